/* sabot_session_*: the code generator and its caches, shared by everything made from a session.
 *
 * Interface: sabot.h. Checks arguments, then calls the jit room. Memory: out-owned handles. Threads: any. */
#include <string.h>

#include "api/api_int.h"
#include "base/block.h"
#include "base/mem.h"
#include "ir/refusal.h"
#include "jit/totals.h"

#define SABOT_VERSION "0.1.0"

const char *sabot_version(void)
{
    return SABOT_VERSION;
}

void sabot_text_free(char *text)
{
    sb_mem_free(text);
}

sabot_status sb_api_give_text(sb_buf *buf, char **text, sabot_error *err)
{
    sb_status status = sb_buf_status(buf, api_error(err));
    if (status == SB_OK) {
        *text = sb_buf_take(buf);
    }
    sb_buf_release(buf);
    return api_status(status);
}

sabot_status sabot_session_new(const sabot_session_options *options, sabot_session **out,
                               sabot_error *err)
{
    static const sabot_session_options none = {0};
    sb_status status = SB_OK;
    if (out == NULL) {
        return api_status(sb_error_set(api_error(err), SB_INVALID, "out is NULL"));
    }
    options = options != NULL ? options : &none;
    sabot_session *session = sb_mem_alloc_zero(sizeof(*session));
    if (session == NULL) {
        return api_status(sb_error_no_memory(api_error(err), sizeof(*session)));
    }
    if (options->helper_path != NULL) {
        size_t size = strlen(options->helper_path) + 1;
        session->helper_path = sb_mem_alloc(size);
        if (session->helper_path == NULL) {
            status = sb_error_no_memory(api_error(err), size);
            goto out;
        }
        memcpy(session->helper_path, options->helper_path, size);
    }
    sb_jit_options jit = {.helper_path = session->helper_path,
                          .cpu = options->cpu_level,
                          .cache = (struct sb_cache *)(void *)options->cache,
                          .compile_timeout_ns = options->compile_ms_max * 1000000};
    SB_TRY(sb_mutex_new(&session->lock, api_error(err)));
    SB_TRY(sb_jit_new(&session->jit, &jit, api_error(err)));
    *out = session;
    return SABOT_OK;
out:
    sabot_session_free(session);
    return api_status(status);
}

void sabot_session_free(sabot_session *session)
{
    if (session == NULL) {
        return;
    }
    sb_watch_free(session->watch);
    sb_mutex_free(session->lock);
    sb_jit_free(session->jit);
    sb_mem_free(session->helper_path);
    sb_mem_free(session);
    sb_block_trim(0);
}

static long long value_of(atomic_llong *total)
{
    return atomic_load_explicit(total, memory_order_relaxed);
}

static void write_functions(sb_totals *totals, sb_buf *json)
{
    bool first = true;
    sb_buf_printf(json, "\"functions\": {\"compiled\": %lld, \"interpreted\": %lld, \"refused\": {",
                  value_of(&totals->compiled), value_of(&totals->interpreted));
    for (int k = 0; k < SB_REFUSAL_COUNT; k++) {
        const long long count = value_of(&totals->refused[k]);
        if (count > 0) {
            sb_buf_printf(json, "%s\"%s\": %lld", first ? "" : ", ",
                          sb_refusal_code_name((sb_refusal_code)k), count);
            first = false;
        }
    }
    sb_buf_text(json, "}}");
}

static void write_rows(sb_totals *totals, sb_buf *json)
{
    bool first = true;
    sb_buf_printf(json, "\"rows\": {\"native\": %lld, \"interpreter\": %lld, \"left\": {",
                  value_of(&totals->rows_native), value_of(&totals->rows_interpreter));
    for (int k = 0; k < SB_REASON_COUNT; k++) {
        const long long count = value_of(&totals->left[k]);
        if (count > 0) {
            sb_buf_printf(json, "%s\"%s\": %lld", first ? "" : ", ", sb_reason_name((sb_reason)k),
                          count);
            first = false;
        }
    }
    sb_buf_text(json, "}}");
}

sabot_status sabot_session_stats(sabot_session *session, char **json, sabot_error *err)
{
    sb_jit_stats stats;
    sb_buf buf;
    if (session == NULL || json == NULL) {
        return api_status(sb_error_set(api_error(err), SB_INVALID, "an argument is NULL"));
    }
    sb_jit_stats_get(session->jit, &stats);
    sb_buf_init(&buf, 0);
    sb_buf_printf(&buf, "{\"requests\": %lld, \"compiled\": %lld, \"cache_hits\": %lld, ",
                  (long long)stats.requests, (long long)stats.compiles,
                  (long long)stats.cache_hits);
    sb_buf_printf(&buf, "\"disk_hits\": %lld, ", (long long)stats.disk_hits);
    sb_buf_printf(&buf, "\"loads\": %lld, \"failures\": %lld, \"compile_ms\": %.3f, ",
                  (long long)stats.loads, (long long)stats.failures,
                  (double)stats.compile_ns / 1e6);
    sb_buf_printf(&buf, "\"helper_starts\": %lld, \"helper_pid\": %lld, \"queued\": %lld, ",
                  (long long)stats.helper_starts, (long long)stats.helper_pid,
                  (long long)stats.queued);
    sb_buf_printf(&buf, "\"cache_bytes\": %zu, \"loaded_bytes\": %zu, \"cpu\": ", stats.cache_bytes,
                  stats.loaded_bytes);
    sb_buf_json_string(&buf, sb_jit_cpu(session->jit), SIZE_MAX);
    sb_buf_text(&buf, ", \"helper\": ");
    sb_buf_json_string(&buf, session->helper_path != NULL ? session->helper_path : "", SIZE_MAX);
    sb_buf_text(&buf, ", ");
    write_functions(sb_jit_totals(session->jit), &buf);
    sb_buf_text(&buf, ", ");
    write_rows(sb_jit_totals(session->jit), &buf);
    sb_buf_text(&buf, "}");
    return sb_api_give_text(&buf, json, err);
}
