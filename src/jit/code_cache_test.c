/* Compile services with a cache that others have too: in one process, and from one process to the next. */
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "jit/cache.h"
#include "jit/code.h"
#include "jit/test_folder.h"
#include "jit/test_object.h"
#include "jit/test_programs.h"
#include "os/os.h"

static sb_jit *new_jit(const sb_jit_options *options)
{
    sb_jit *jit = NULL;
    assert_int_equal(sb_jit_new(&jit, options, NULL), SB_OK);
    return jit;
}

static sb_code *requested(sb_jit *jit, const char *text)
{
    sb_code *code = NULL;
    sb_buf buf;
    sb_buf_init(&buf, 0);
    sb_buf_text(&buf, text);
    assert_int_equal(sb_jit_request(jit, &buf, "kernel", &code, NULL), SB_OK);
    return code;
}

static void assert_ready(sb_code *code)
{
    sb_buf why;
    sb_buf_init(&why, 0);
    sb_code_state state = sb_code_wait(code, SB_NEVER);
    sb_code_failure(code, &why);
    if (state != SB_CODE_READY) {
        fail_msg("%s", why.data);
    }
    assert_int_equal(why.size, 0);
    assert_non_null(sb_code_entry(code));
    sb_buf_release(&why);
}

static void assert_failed(sb_code *code, const char *part)
{
    sb_buf why;
    sb_buf_init(&why, 0);
    assert_int_equal(sb_code_wait(code, SB_NEVER), SB_CODE_FAILED);
    assert_null(sb_code_entry(code));
    sb_code_failure(code, &why);
    if (why.data == NULL || strstr(why.data, part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, why.data == NULL ? "" : why.data);
    }
    assert_int_equal(sb_code_compile_ns(code), 0);
    sb_buf_release(&why);
}

static sb_jit_stats stats_of(sb_jit *jit)
{
    sb_jit_stats stats;
    sb_jit_stats_get(jit, &stats);
    return stats;
}

static sb_cache *new_cache(const char *folder)
{
    sb_cache *cache = NULL;
    assert_int_equal(sb_cache_new(&cache, &(sb_cache_options){.dir = folder}, NULL), SB_OK);
    return cache;
}

static void test_sessions_share_a_cache(void **state)
{
    (void)state;
    sb_cache *cache = new_cache(NULL);
    sb_jit *first = new_jit(&(sb_jit_options){.helper_path = sb_fake_program(), .cache = cache});
    sb_jit *second = new_jit(&(sb_jit_options){.cache = cache}); /* without a compiler */
    sb_jit *other =
        new_jit(&(sb_jit_options){.cache = cache, .cpu = "x86-64", .features = "+sse4.1"});
    sb_cache_drop(cache);
    sb_code *compiled = requested(first, "one");
    assert_ready(compiled);
    sb_code *shared = requested(second, "one");
    assert_int_equal(sb_code_state_get(shared), SB_CODE_READY); /* at once */
    assert_ptr_equal(sb_code_entry(shared), sb_code_entry(compiled));
    assert_int_equal(sb_code_origin_get(compiled), SB_CODE_COMPILED);
    assert_int_equal(sb_code_origin_get(shared), SB_CODE_FROM_MEMORY);
    sb_code *unlike = requested(other, "one"); /* other instructions */
    assert_failed(unlike, "no compiler");
    assert_int_equal(sb_code_origin_get(unlike), SB_CODE_NOWHERE);
    sb_code_drop(unlike);
    sb_code_drop(compiled);
    sb_jit_free(first);
    assert_int_equal(sb_code_entry(shared)(NULL, 0, 0), SB_SAMPLE_RESULT);
    sb_jit_free(other);
    sb_jit_free(second);
    sb_code_drop(shared);
}

/* What one process compiled, the next has without a compiler. */
static void test_next_process_needs_no_compiler(void **state)
{
    (void)state;
    assert_int_equal(sb_test_make_root(NULL), 0);
    sb_cache *cache = new_cache(sb_test_path("code"));
    sb_jit *jit = new_jit(&(sb_jit_options){.helper_path = sb_fake_program(), .cache = cache});
    static const char *const texts[] = {"one", ";stranger\n", ";refuse\n", ";bytes\n"};
    for (size_t i = 0; i < SB_COUNT_OF(texts); i++) {
        sb_code *code = requested(jit, texts[i]);
        assert_int_equal(sb_code_wait(code, SB_NEVER), i < 2 ? SB_CODE_READY : SB_CODE_FAILED);
        sb_code_drop(code);
    }
    sb_jit_free(jit);
    sb_cache_drop(cache);
    cache = new_cache(sb_test_path("code"));
    static const char *const programs[] = {NULL, "/nonexistent/sabot-jit"};
    for (size_t i = 0; i < SB_COUNT_OF(programs); i++) {
        jit = new_jit(&(sb_jit_options){.helper_path = programs[i], .cache = cache});
        sb_code *code = requested(jit, "one");
        assert_ready(code);
        assert_int_equal(sb_code_entry(code)(NULL, 0, 0), SB_SAMPLE_RESULT);
        assert_int_equal(sb_code_origin_get(code),
                         i == 0 ? SB_CODE_FROM_DISK : SB_CODE_FROM_MEMORY);
        assert_int_equal(sb_code_compile_ns(code), 0);
        sb_code_drop(code);
        code = requested(jit, ";stranger\n"); /* what another compiler made is not kept */
        assert_failed(code, i == 0 ? "no compiler" : "/nonexistent");
        sb_code_drop(code);
        sb_jit_stats stats = stats_of(jit);
        assert_int_equal(stats.compiles, 0);
        assert_int_equal(stats.cache_hits, 1);
        assert_int_equal(stats.disk_hits, i == 0);
        sb_jit_free(jit);
    }
    sb_cache_drop(cache);
    assert_int_equal(sb_test_remove_root(NULL), 0);
}

/* --- the real program ------------------------------------------------------------------------- */

#define ROW_COUNT 100

static void run_add(const sb_code *code, int64_t extra)
{
    int64_t a[ROW_COUNT];
    int64_t b[ROW_COUNT];
    int64_t sum[ROW_COUNT] = {0};
    for (int64_t i = 0; i < ROW_COUNT; i++) {
        a[i] = i * i - 7;
        b[i] = INT64_C(1) << (i % 60);
    }
    const uint32_t stop = 0;
    const sb_kin in[] = {{.values = a}, {.values = b}};
    const sb_kout out = {.values = sum};
    sb_kcall call = {.in = in, .out = &out, .status = 77, .stop = &stop};
    assert_int_equal(sb_code_entry(code)(&call, 3, ROW_COUNT), ROW_COUNT);
    assert_int_equal(call.status, SB_K_DONE);
    for (int64_t i = 0; i < ROW_COUNT; i++) {
        assert_int_equal(sum[i], i < 3 ? 0 : a[i] + b[i] + extra);
    }
}

static sb_code *request_add(sb_jit *jit, long extra)
{
    sb_buf text;
    sb_buf_init(&text, 0);
    sb_write_add_kernel(&text, extra);
    sb_code *code = NULL;
    assert_int_equal(sb_jit_request(jit, &text, "kernel", &code, NULL), SB_OK);
    return code;
}

/* Text in, callable code out, by a service that has neither compiled nor mapped it before. The time is printed, not judged. */
static void test_real_from_disk(void **state)
{
    (void)state;
    const int turns = 100;
    int64_t best_ns = INT64_MAX;
    int64_t sum_ns = 0;
    assert_int_equal(sb_test_make_root(NULL), 0);
    for (int i = 0; i <= turns; i++) {
        sb_cache *cache = new_cache(sb_test_path("code"));
        const char *program = i == 0 ? sb_real_program() : NULL;
        sb_jit *jit = new_jit(&(sb_jit_options){.helper_path = program, .cache = cache});
        sb_cache_drop(cache);
        const int64_t start = sb_os_now_ns();
        sb_code *code = request_add(jit, 5);
        assert_ready(code);
        const int64_t ns = sb_os_now_ns() - start;
        run_add(code, 5);
        assert_int_equal(sb_code_origin_get(code), i == 0 ? SB_CODE_COMPILED : SB_CODE_FROM_DISK);
        sb_code_drop(code);
        sb_jit_free(jit);
        if (i > 0) {
            sum_ns += ns;
            best_ns = ns < best_ns ? ns : best_ns;
        }
    }
    print_message("from text to code by a file, a thread's start included: %.1f us at best, %.1f "
                  "on average\n",
                  (double)best_ns / 1e3, (double)sum_ns / turns / 1e3);
    assert_int_equal(sb_test_remove_root(NULL), 0);
}

int main(void)
{
    const struct CMUnitTest fake[] = {
        cmocka_unit_test(test_sessions_share_a_cache),
        cmocka_unit_test(test_next_process_needs_no_compiler),
    };
    const struct CMUnitTest real[] = {
        cmocka_unit_test(test_real_from_disk),
    };
    int failed = cmocka_run_group_tests_name("misbehaving program", fake, NULL, NULL);
    if (sb_real_program() != NULL) {
        failed += cmocka_run_group_tests_name("sabot-jit", real, NULL, NULL);
    }
    return failed;
}
