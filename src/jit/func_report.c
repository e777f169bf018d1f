/* What there is to tell of a function: its report as JSON, its forms as text.
 *
 * Interface: the last part of func.h.
 * Threads: counters are read while others add to them. Memory: buffers of the caller's. */
#include <string.h>

#include "ir/refusal.h"
#include "jit/emit.h"
#include "jit/func_int.h"
#include "jit/helper.h"

static void report_reasons(const sb_func *func, sb_buf *json)
{
    sb_buf_text(json, "\"reasons\": [");
    for (uint32_t k = 0; k < func->refusal_count && func->host == NULL && func->host_why == NULL;
         k++) {
        const sb_refusal *r = &func->refusals[k];
        sb_buf_text(json, k == 0 ? "{\"code\": " : ", {\"code\": ");
        sb_buf_json_string(json, sb_refusal_code_name(r->code), SIZE_MAX);
        sb_buf_text(json, ", \"message\": ");
        sb_buf_json_string(json, sb_refusal_code_message(r->code), SIZE_MAX);
        sb_buf_text(json, ", \"detail\": ");
        sb_buf_json_string(json, r->detail, SIZE_MAX);
        sb_buf_text(json, ", \"hint\": ");
        sb_buf_json_string(json, sb_refusal_code_hint(r->code), SIZE_MAX);
        sb_buf_printf(json, ", \"line\": %u, \"col\": %u, \"end_line\": %u, \"end_col\": %u}",
                      r->line, r->col, r->end_line, r->end_col);
    }
    sb_buf_text(json, "]");
}

static void report_params(const sb_func *func, sb_buf *json)
{
    bool first = true;
    sb_buf_text(json, "\"params\": [");
    for (uint32_t k = 0; k < func->param_count; k++) {
        sb_buf_text(json, k == 0 ? "" : ", ");
        sb_buf_json_string(json, func->params[k].column, SIZE_MAX);
    }
    sb_buf_text(json, "], \"reads\": [");
    for (uint32_t k = 0; k < func->param_count; k++) {
        int32_t input = func->params[k].input;
        bool reads = !func->compiled || (input >= 0 && (func->ir.inputs.items[input].reads_values ||
                                                        func->ir.inputs.items[input].reads_valid));
        if (reads) {
            sb_buf_text(json, first ? "" : ", ");
            sb_buf_json_string(json, func->params[k].column, SIZE_MAX);
            first = false;
        }
    }
    sb_buf_text(json, "]");
}

static void report_native(const sb_func *func, sb_buf *json)
{
    static const char *const states[] = {"pending", "ready", "failed"};
    static const char *const origins[] = {"", "compiler", "memory", "disk"};
    const func_private *priv = func->priv;
    sb_buf why;
    sb_buf_init(&why, 0);
    const char *state = "none";
    const char *origin = "";
    int64_t compile_ns = 0;
    for (int k = ENTRY_COUNT - 1; k >= 0; k--) {
        sb_code *code = atomic_load_explicit(&priv->codes[k], memory_order_acquire);
        if (code != NULL) {
            state = states[sb_code_state_get(code)];
            origin = origins[sb_code_origin_get(code)];
            compile_ns += sb_code_compile_ns(code);
            sb_buf_reset(&why);
            sb_code_failure(code, &why);
        }
    }
    sb_buf_printf(json, "\"lanes\": %d, \"cpu\": ", priv->lanes);
    sb_buf_json_string(json, priv->jit != NULL ? sb_jit_cpu(priv->jit) : "", SIZE_MAX);
    sb_buf_printf(json, ", \"native\": \"%s\", \"native_error\": ", state);
    sb_buf_json_string(json, why.size > 0 ? why.data : "", why.size);
    const bool careful =
        !func->is_whole && sb_func_is_often_bad(priv) && sb_func_entry(func, ENTRY_CAREFUL) != NULL;
    const int64_t cost = func->ir.cost > 0 ? (int64_t)func->ir.cost : 1;
    sb_buf_printf(json, ", \"native_from\": \"%s\", \"compile_ms\": %.3f", origin,
                  (double)compile_ns / 1e6);
    sb_buf_printf(json, ", \"native_after\": %lld, \"careful\": %s",
                  (long long)((NATIVE_WORTH + cost - 1) / cost), careful ? "true" : "false");
    sb_buf_release(&why);
}

static void report_times(func_private *priv, sb_buf *json)
{
    static const char *const names[] = {"interpreter", "native"};
    sb_buf_text(json, "\"timed\": {");
    for (int k = 0; k < SB_RAN_COUNT; k++) {
        sb_buf_printf(json, "%s\"%s\": {\"ns\": %lld, \"rows\": %lld}", k > 0 ? ", " : "", names[k],
                      (long long)atomic_load_explicit(&priv->ns[k], memory_order_relaxed),
                      (long long)atomic_load_explicit(&priv->rows_timed[k], memory_order_relaxed));
    }
    sb_buf_text(json, "}");
}

static void report_counts(const sb_func *func, sb_buf *json)
{
    func_private *priv = func->priv;
    sb_buf_printf(json,
                  "\"rows\": %lld, \"rows_native\": %lld, \"rows_interpreter\": %lld, "
                  "\"rows_passed\": %lld",
                  (long long)atomic_load_explicit(&priv->rows, memory_order_relaxed),
                  (long long)atomic_load_explicit(&priv->rows_native, memory_order_relaxed),
                  (long long)atomic_load_explicit(&priv->rows_interpreter, memory_order_relaxed),
                  (long long)atomic_load_explicit(&priv->passes.rows, memory_order_relaxed));
    sb_buf_text(json, ", \"rows_left\": {");
    bool first = true;
    for (int k = 1; k < SB_REASON_COUNT; k++) {
        long long left = atomic_load_explicit(&priv->left[k], memory_order_relaxed);
        if (left > 0) {
            sb_buf_printf(json, "%s\"%s\": %lld", first ? "" : ", ", sb_reason_name((sb_reason)k),
                          left);
            first = false;
        }
    }
    sb_buf_text(json, "}, ");
    report_times(priv, json);
}

static const char *type_name(const char *format)
{
    static const char *const names[][2] = {{"l", "int64"},  {"g", "double"}, {"b", "bool"},
                                           {"u", "string"}, {"n", "null"},   {"+s", "struct"}};
    for (size_t k = 0; k < SB_COUNT_OF(names); k++) {
        if (strcmp(format, names[k][0]) == 0) {
            return names[k][1];
        }
    }
    return format;
}

bool sb_func_is_record(const sb_func *func)
{
    return func->record != NULL && func->record[0] != 0;
}

uint32_t sb_func_result_count(const sb_func *func)
{
    return func->key_count > 0 ? func->key_count : 1;
}

const char *sb_func_format(const sb_func *func, uint32_t result)
{
    SB_ASSERT(result < sb_func_result_count(func));
    return func->key_count > 0 ? func->keys[result].format : func->result_format;
}

static void report_keys(const sb_func *func, sb_buf *json)
{
    sb_buf_text(json, "\"results\": {");
    for (uint32_t k = 0; k < func->key_count; k++) {
        sb_buf_text(json, k > 0 ? ", " : "");
        sb_buf_json_string(json, func->keys[k].name, SIZE_MAX);
        sb_buf_printf(json, ": \"%s\"", type_name(func->keys[k].format));
    }
    sb_buf_text(json, "}, \"mixing\": [");
    for (uint32_t k = 0; k < func->key_count; k++) {
        sb_buf_printf(json, "%s%d", k > 0 ? ", " : "", (int)func->keys[k].mixing);
    }
    sb_buf_text(json, "], ");
}

void sb_func_report(const sb_func *func, sb_buf *json)
{
    sb_buf_text(json, "{\"name\": ");
    sb_buf_json_string(json, func->name, SIZE_MAX);
    sb_buf_text(json, ", \"mode\": ");
    sb_buf_json_string(json, sb_func_mode(func), SIZE_MAX);
    sb_buf_printf(json, ", \"kind\": \"%s\", \"result\": \"%s\", ",
                  sb_func_is_record(func) ? "record" : "scalar", type_name(func->result_format));
    sb_buf_text(json, "\"record\": ");
    sb_buf_json_string(json, func->record != NULL ? func->record : "", SIZE_MAX);
    sb_buf_text(json, ", ");
    report_keys(func, json);
    report_params(func, json);
    sb_buf_printf(json, ", \"can_raise\": %s, ", func->can_raise ? "true" : "false");
    report_reasons(func, json);
    sb_buf_text(json, ", ");
    report_native(func, json);
    sb_buf_text(json, ", ");
    report_counts(func, json);
    sb_buf_text(json, "}");
}

static sb_status text_of_asm(const sb_func *func, const char *helper_path, const sb_buf *llvm,
                             sb_buf *text, sb_error *err)
{
    sb_helper *helper = NULL;
    sb_helper_options options = {.path = helper_path};
    if (helper_path == NULL) {
        return sb_error_set(err, SB_UNSUPPORTED, "there is no compiler");
    }
    sb_status status = sb_helper_new(&helper, &options, err);
    if (status != SB_OK) {
        return status;
    }
    sb_helper_request wanted = {.text = llvm->data,
                                .text_size = llvm->size,
                                .cpu = sb_emit_processor(sb_jit_cpu(func->priv->jit)),
                                .want_asm = true,
                                .deadline_ns = SB_NEVER};
    status = sb_helper_compile(helper, &wanted, text, err);
    sb_helper_free(helper);
    return status;
}

sb_status sb_func_text(sb_func *func, const char *what, const char *helper_path, sb_buf *text,
                       sb_error *err)
{
    sb_buf llvm;
    sb_status status = SB_OK;
    sb_buf_init(&llvm, 0);
    if (!func->compiled) {
        return sb_error_set(err, SB_UNSUPPORTED, "%s is not compiled", func->name);
    }
    if (strcmp(what, "ir") == 0) {
        sb_ir_print(&func->ir, text);
        return sb_buf_status(text, err);
    }
    bool want_asm = strcmp(what, "asm") == 0;
    if (!want_asm && strcmp(what, "llvm") != 0) {
        return sb_error_set(err, SB_INVALID, "'%s' is none of ir, llvm, asm", what);
    }
    if (func->priv->jit == NULL) {
        return sb_error_set(err, SB_UNSUPPORTED, "there is no code generator");
    }
    SB_TRY(sb_func_emit(func, ENTRY_FAST, want_asm ? &llvm : text, err));
    if (want_asm) {
        SB_TRY(text_of_asm(func, helper_path, &llvm, text, err));
    }
out:
    sb_buf_release(&llvm);
    return status;
}
