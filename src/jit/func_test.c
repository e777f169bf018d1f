/* Tiers of one function: every tier gives the same, bad vectors go to the careful code, leave lists grow, counters add up.
 * Native parts run where the compiler was built (SABOT_JIT_HELPER); without it the same checks run in tier 0. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "jit/code.h"
#include "jit/func.h"
#include "jit/passes.h"
#include "os/os.h"

#define VECTORS 64

/* y = a * b, null where a is null. */
static const char *const product_text = "inputs i64 i64\n"
                                        "outputs i64?\n"
                                        "v1:i64 = in 0\n"
                                        "v2:i64 = in 1\n"
                                        "v3:b = in_valid 0\n"
                                        "if v3\n"
                                        "  v4:i64 = py_mul_i64 v1 v2\n"
                                        "else\n"
                                        "end_if\n"
                                        "v5:i64 = merge v4 v1\n"
                                        "store 0 v5 v3\n";

/* Turns without end while the input is positive. */
static const char *const endless_text = "inputs i64\n"
                                        "outputs i64\n"
                                        "v1:i64 = in 0\n"
                                        "v2:i64 = const_i64 0\n"
                                        "v3:i64 = const_i64 1\n"
                                        "loop 0\n"
                                        "  v4:i64 = arg v2 v5\n"
                                        "  v5:i64 = ix_add v4 v3\n"
                                        "  v6:b = py_lt_i64 v2 v1\n"
                                        "end_loop v6\n"
                                        "v7:i64 = result v4\n"
                                        "store 0 v7\n";

static int64_t a_values[SB_VECTOR_ROWS] SB_ALIGNED(64);
static int64_t b_values[SB_VECTOR_ROWS] SB_ALIGNED(64);
static int64_t y_values[SB_VECTOR_ROWS] SB_ALIGNED(64);
static uint8_t a_valid[SB_VECTOR_ROWS / 8] SB_ALIGNED(64);
static uint8_t y_valid[SB_VECTOR_ROWS / 8] SB_ALIGNED(64);

static char *helper_path(void)
{
    static char path[1024];
    const char *named = sb_os_env("SABOT_JIT_HELPER");
    const char *build = sb_os_env("SABOT_BUILD_DIR");
    (void)snprintf(path, sizeof(path), "%s%s",
                   named != NULL ? named : (build != NULL ? build : "."),
                   named != NULL ? "" : "/src/jit_helper/sabot-jit");
    return path;
}

static sb_jit *new_jit(void)
{
    sb_jit *jit = NULL;
    sb_jit_options options = {.helper_path = helper_path()};
    assert_int_equal(sb_jit_new(&jit, &options, NULL), SB_OK);
    return jit;
}

static sb_status new_func(sb_jit *jit, const char *text, sb_func **out)
{
    sb_error err = {0};
    sb_func parts = {.compiled = true, .result_format = "l", .result_prim = SB_PRIM_I64};
    sb_status status = sb_ir_parse(&parts.ir, text, &err);
    if (status == SB_OK) {
        parts.name = sb_mem_alloc(2);
        status = parts.name != NULL ? SB_OK : SB_NO_MEMORY;
    }
    if (status == SB_OK) {
        memcpy(parts.name, "f", 2);
        status = sb_func_new(jit, &parts, out, &err);
    }
    sb_func_parts_release(&parts);
    return status;
}

/* Row i is i * (i + 1), but every `bad_every`th overflows (0: none) and every 7th has no a. */
static void fill(int32_t bad_every)
{
    for (int32_t i = 0; i < SB_VECTOR_ROWS; i++) {
        bool bad = bad_every > 0 && i % bad_every == bad_every - 1;
        a_values[i] = bad ? INT64_MAX - i : i;
        b_values[i] = i + 2;
        if (i % 7 == 6) {
            a_valid[i / 8] = (uint8_t)(a_valid[i / 8] & ~(1u << (i % 8)));
        } else {
            a_valid[i / 8] = (uint8_t)(a_valid[i / 8] | (1u << (i % 8)));
        }
    }
}

static bool is_set(const uint8_t *bits, int32_t i)
{
    return (bits[i / 8] >> (i % 8)) & 1;
}

static void check_rows(const sb_kcall *call, int32_t bad_every)
{
    int32_t left = 0;
    for (int32_t i = 0; i < SB_VECTOR_ROWS; i++) {
        bool present = i % 7 != 6;
        bool bad = present && bad_every > 0 && i % bad_every == bad_every - 1;
        if (bad) {
            assert_true(left < call->leave_count);
            assert_int_equal(SB_LEAVE_ROW(call->leave[left]), i);
            assert_int_equal(SB_LEAVE_REASON(call->leave[left]), SB_REASON_OVERFLOW);
            left++;
            continue;
        }
        assert_int_equal(is_set(y_valid, i), present);
        if (present) {
            assert_int_equal(y_values[i], (int64_t)i * (i + 2));
        }
    }
    assert_int_equal(call->leave_count, left);
}

static sb_status run_vector(sb_func *func, sb_func_local *local, sb_kcall *call, sb_tier tier,
                            sb_func_counts *counts)
{
    static uint32_t go_on = 0;
    static sb_kin in[2];
    static sb_kout out;
    in[0] = (sb_kin){a_values, a_valid};
    in[1] = (sb_kin){b_values, NULL};
    out = (sb_kout){y_values, y_valid};
    *call = (sb_kcall){.in = in, .out = &out, .stop = &go_on};
    return sb_func_run(func, local, call, SB_VECTOR_ROWS, tier, counts, NULL);
}

static bool has_native(sb_func *func)
{
    sb_buf json;
    sb_buf_init(&json, 0);
    sb_func_report(func, &json);
    assert_false(json.failed);
    bool ready = strstr(json.data, "\"native\": \"ready\"") != NULL;
    sb_buf_release(&json);
    return ready;
}

static void check_tier(sb_tier tier, int32_t bad_every)
{
    sb_jit *jit = new_jit();
    sb_func *func = NULL;
    sb_func_local *local = NULL;
    sb_func_counts counts = {0};
    sb_kcall call;
    fill(bad_every);
    assert_int_equal(new_func(jit, product_text, &func), SB_OK);
    sb_func_start(func, tier);
    assert_int_equal(sb_func_local_new(func, &local, NULL), SB_OK);
    int64_t left = 0;
    for (int k = 0; k < VECTORS; k++) {
        memset(y_values, 0x5a, sizeof(y_values));
        assert_int_equal(run_vector(func, local, &call, tier, &counts), SB_OK);
        check_rows(&call, bad_every);
        left += call.leave_count;
    }
    assert_int_equal(counts.rows, (int64_t)VECTORS * SB_VECTOR_ROWS);
    assert_int_equal(counts.rows_native + counts.rows_interpreter, counts.rows);
    assert_int_equal(counts.left[SB_REASON_OVERFLOW], left);
    if (tier == SB_TIER_INTERPRETER) {
        assert_int_equal(counts.rows_native, 0);
    }
    if (tier == SB_TIER_NATIVE && has_native(func)) {
        assert_int_equal(counts.rows_interpreter, 0);
    }
    sb_func_local_free(local);
    sb_func_drop(func);
    sb_jit_free(jit);
}

static void test_tiers_agree(void **state)
{
    (void)state;
    static const int32_t every[] = {0, 1, 2, 16, 700};
    for (size_t k = 0; k < SB_COUNT_OF(every); k++) {
        check_tier(SB_TIER_INTERPRETER, every[k]);
        check_tier(SB_TIER_NATIVE, every[k]);
        check_tier(SB_TIER_AUTO, every[k]);
    }
}

/* Under AUTO native code comes in the background, and vectors that are often bad end up in the careful entry. */
static void test_auto_goes_over(void **state)
{
    (void)state;
    sb_jit *jit = new_jit();
    sb_func *func = NULL;
    sb_func_local *local = NULL;
    sb_func_counts counts = {0};
    sb_kcall call;
    fill(16);
    assert_int_equal(new_func(jit, product_text, &func), SB_OK);
    sb_func_start(func, SB_TIER_AUTO);
    assert_int_equal(sb_func_local_new(func, &local, NULL), SB_OK);
    int64_t deadline = sb_os_now_ns() + (int64_t)20 * 1000000000;
    bool expected = false;
    while (sb_os_now_ns() < deadline && !expected) {
        counts = (sb_func_counts){0};
        assert_int_equal(run_vector(func, local, &call, SB_TIER_AUTO, &counts), SB_OK);
        check_rows(&call, 16);
        sb_jit_stats stats;
        sb_jit_stats_get(jit, &stats);
        /* Two entries are compiled and the last vector ran natively; without a compiler the request has failed. */
        expected = stats.failures > 0 ? counts.rows_native == 0
                                      : stats.compiles == 2 && counts.rows_native > 0;
    }
    assert_true(expected);
    sb_func_local_free(local);
    sb_func_drop(func);
    sb_jit_free(jit);
}

static int64_t passed_by(sb_passes *passes)
{
    int64_t count = 0;
    while (sb_passes_take(passes, SB_VECTOR_ROWS)) {
        count++;
    }
    return count;
}

/* Behind a vector that nearly all rows leave some are passed by, more each time; one that rows stay in ends it. */
static void test_vectors_are_passed_by(void **state)
{
    (void)state;
    static const int64_t wanted[] = {4, 8, 16, 32, 64, 64};
    sb_passes passes = {0};
    assert_int_equal(passed_by(&passes), 0);
    sb_passes_judge(&passes, 2048, 1791, false);
    sb_passes_judge(&passes, 1, 0, true);
    assert_int_equal(passed_by(&passes), 0);
    int64_t rows = 0;
    for (size_t k = 0; k < SB_COUNT_OF(wanted); k++) {
        sb_passes_judge(&passes, k % 2 == 0 ? 2048 : 1, k % 2 == 0 ? 1792 : 1, k > 0);
        assert_int_equal(passed_by(&passes), wanted[k]);
        rows += wanted[k] * SB_VECTOR_ROWS;
    }
    assert_int_equal(atomic_load(&passes.rows), rows);
    sb_passes_judge(&passes, 2048, 100, false);
    assert_int_equal(passed_by(&passes), 0);
    sb_passes_judge(&passes, 2048, 2048, true); /* one batch alone */
    assert_int_equal(passed_by(&passes), 0);
    sb_passes_judge(&passes, 2048, 0, true);
    sb_passes_judge(&passes, 2048, 2048, true);
    assert_int_equal(passed_by(&passes), 0);
    sb_passes_judge(&passes, 2048, 2048, true);
    assert_int_equal(passed_by(&passes), 4);
}

/* Only AUTO passes vectors by; their rows are counted as given, and as computed nowhere. */
static void test_passed_rows_are_counted(void **state)
{
    (void)state;
    sb_func *func = NULL;
    sb_func_local *local = NULL;
    sb_func_counts counts = {0};
    assert_int_equal(new_func(NULL, product_text, &func), SB_OK);
    assert_int_equal(sb_func_local_new(func, &local, NULL), SB_OK);
    sb_func_judge(local, 2048, 2048, false, SB_TIER_INTERPRETER);
    sb_func_judge(local, 2048, 2048, false, SB_TIER_NATIVE);
    assert_false(sb_func_passes(local, 2048, SB_TIER_AUTO, &counts));
    sb_func_judge(local, 2048, 2048, false, SB_TIER_AUTO);
    assert_false(sb_func_passes(local, 2048, SB_TIER_INTERPRETER, &counts));
    assert_false(sb_func_passes(local, 2048, SB_TIER_NATIVE, &counts));
    assert_int_equal(counts.rows, 0);
    assert_true(sb_func_passes(local, 2048, SB_TIER_AUTO, &counts));
    assert_int_equal(counts.rows, 2048);
    assert_int_equal(counts.rows_native + counts.rows_interpreter, 0);
    sb_func_local_free(local);
    sb_func_drop(func);
}

static int64_t timed_of(sb_func *func, const char *tier)
{
    sb_buf json;
    char what[64];
    long long rows = -1;
    sb_buf_init(&json, 0);
    sb_func_report(func, &json);
    snprintf(what, sizeof(what), "\"%s\": {\"ns\": ", tier);
    const char *found = strstr(json.data, what);
    assert_non_null(found);
    assert_int_equal(sscanf(strstr(found, "\"rows\""), "\"rows\": %lld", &rows), 1);
    sb_buf_release(&json);
    return rows;
}

/* One vector in 16 is timed, whatever tier; the first of a tier always. */
static void test_some_vectors_are_timed(void **state)
{
    (void)state;
    sb_jit *jit = new_jit();
    sb_func *func = NULL;
    sb_func_local *local = NULL;
    sb_func_counts counts = {0};
    sb_kcall call;
    fill(0);
    assert_int_equal(new_func(jit, product_text, &func), SB_OK);
    assert_int_equal(sb_func_local_new(func, &local, NULL), SB_OK);
    for (int k = 0; k < 33; k++) {
        assert_int_equal(run_vector(func, local, &call, SB_TIER_INTERPRETER, &counts), SB_OK);
    }
    assert_int_equal(counts.rows_timed[SB_RAN_INTERPRETER], 3 * SB_VECTOR_ROWS);
    assert_int_equal(counts.rows_timed[SB_RAN_NATIVE], 0);
    assert_true(counts.ns[SB_RAN_INTERPRETER] > 0 && counts.ns[SB_RAN_NATIVE] == 0);
    sb_func_start(func, SB_TIER_NATIVE);
    assert_int_equal(run_vector(func, local, &call, SB_TIER_NATIVE, &counts), SB_OK);
    const bool native = has_native(func);
    assert_int_equal(counts.rows_native, native ? SB_VECTOR_ROWS : 0);
    sb_func_local_free(local);
    assert_int_equal(timed_of(func, "interpreter"), 3 * SB_VECTOR_ROWS);
    assert_int_equal(sb_func_local_new(func, &local, NULL), SB_OK);
    /* Whoever computes small batches by themselves is measured, too. */
    int32_t tries = 0;
    for (; tries < 17 && sb_func_try(func, local, &call, SB_VECTOR_ROWS); tries++) {
    }
    assert_int_equal(tries, native ? 17 : 0);
    assert_int_equal(timed_of(func, "native"), native ? 2 * SB_VECTOR_ROWS : 0);
    sb_func_local_free(local);
    sb_func_drop(func);
    sb_jit_free(jit);
}

typedef struct endless {
    sb_func *func;
    uint32_t stop;
    sb_tier tier;
    sb_status status;
} endless;

static void run_endless(void *arg)
{
    endless *e = arg;
    sb_func_local *local = NULL;
    sb_func_counts counts = {0};
    sb_kin in[1] = {{a_values, NULL}};
    sb_kout out = {y_values, NULL};
    sb_kcall call = {.in = in, .out = &out, .stop = &e->stop};
    e->status = sb_func_local_new(e->func, &local, NULL);
    if (e->status == SB_OK) {
        e->status = sb_func_run(e->func, local, &call, SB_VECTOR_ROWS, e->tier, &counts, NULL);
    }
    sb_func_local_free(local);
}

static void test_endless_loop_stops(void **state)
{
    (void)state;
    static const sb_tier tiers[] = {SB_TIER_INTERPRETER, SB_TIER_NATIVE};
    fill(0);
    for (size_t k = 0; k < SB_COUNT_OF(tiers); k++) {
        sb_jit *jit = new_jit();
        sb_thread *thread = NULL;
        endless e = {.tier = tiers[k]};
        assert_int_equal(new_func(jit, endless_text, &e.func), SB_OK);
        sb_func_start(e.func, tiers[k]);
        assert_int_equal(sb_thread_start(&thread, "endless", run_endless, &e, NULL), SB_OK);
        sb_os_sleep_ns(20 * 1000000);
        int64_t asked = sb_os_now_ns();
        __atomic_store_n(&e.stop, 1, __ATOMIC_RELAXED);
        sb_thread_join(thread);
        assert_int_equal(e.status, SB_CANCELLED);
        assert_true(sb_os_now_ns() - asked < (int64_t)1000 * 1000000);
        sb_func_drop(e.func);
        sb_jit_free(jit);
    }
}

static void test_texts(void **state)
{
    (void)state;
    sb_jit *jit = new_jit();
    sb_func *func = NULL;
    sb_buf text;
    sb_buf_init(&text, 0);
    assert_int_equal(new_func(jit, product_text, &func), SB_OK);
    assert_int_equal(sb_func_text(func, "ir", NULL, &text, NULL), SB_OK);
    assert_non_null(strstr(text.data, "py_mul_i64"));
    sb_buf_reset(&text);
    assert_int_equal(sb_func_text(func, "llvm", NULL, &text, NULL), SB_OK);
    assert_non_null(strstr(text.data, "sabot_fast"));
    assert_int_equal(sb_func_text(func, "asm", NULL, &text, NULL), SB_UNSUPPORTED);
    assert_int_equal(sb_func_text(func, "tea", NULL, &text, NULL), SB_INVALID);
    sb_buf_release(&text);
    sb_func_drop(func);
    sb_jit_free(jit);
}

#ifdef SB_FAULTS
static sb_status whole_life(void)
{
    sb_func *func = NULL;
    sb_func_local *local = NULL;
    sb_func_counts counts = {0};
    sb_kcall call;
    sb_status status = new_func(NULL, product_text, &func);
    if (status == SB_OK) {
        status = sb_func_local_new(func, &local, NULL);
    }
    if (status == SB_OK) {
        status = run_vector(func, local, &call, SB_TIER_AUTO, &counts);
    }
    if (status == SB_OK) {
        check_rows(&call, 2); /* more rows leave than the first leave list holds */
    }
    sb_func_local_free(local);
    sb_func_drop(func);
    return status;
}

static void test_failing_allocations(void **state)
{
    (void)state;
    int64_t live = sb_mem_live_blocks();
    fill(2);
    for (int64_t nth = 1;; nth++) {
        sb_fault_arm(nth, false);
        sb_status status = whole_life();
        bool hit = sb_fault_hit();
        sb_fault_arm(0, false);
        assert_int_equal(sb_mem_live_blocks(), live);
        assert_int_equal(whole_life(), SB_OK);
        if (!hit) {
            assert_int_equal(status, SB_OK);
            return;
        }
        assert_int_equal(status, SB_NO_MEMORY);
    }
}
#endif

#ifdef SB_FAULTS
/* Lists of rows whose memory fails: an error of the run, in each tier, and the next run goes on. */
static void test_lists_without_memory(void **state)
{
    (void)state;
    static const char text[] = "inputs i64 i64\noutputs i64?\nv1:i64 = in 0\nv2:i64 = in 1\n"
                               "v3:i64 = list_new v1\nlist_append v3 v2\n"
                               "v4:i64 = const_i64 9000\nv5:i64 = list_repeat v3 v4\n"
                               "v6:i64 = list_len v5\nv7:b = in_valid 0\nstore 0 v6 v7\n";
    sb_func *func = NULL;
    sb_func_local *local = NULL;
    const sb_kin in[] = {{.values = a_values, .valid = a_valid}, {.values = b_values}};
    const sb_kout out[] = {{.values = y_values, .valid = y_valid}};
    const uint32_t stop = 0;
    fill(0);
    for (int32_t k = 0; k < SB_VECTOR_ROWS; k++) {
        a_values[k] = k % 5;
    }
    assert_int_equal(new_func(NULL, text, &func), SB_OK);
    assert_int_equal(sb_func_local_new(func, &local, NULL), SB_OK);
    for (int round = 0; round < 4; round++) {
        sb_kcall call = {.in = in, .out = out, .stop = &stop};
        sb_func_counts counts = {0};
        const int64_t live = sb_mem_live_blocks();
        sb_fault_arm(round % 2 == 0 ? 1 + round : 0, true);
        const sb_status status =
            sb_func_run(func, local, &call, 100, SB_TIER_INTERPRETER, &counts, NULL);
        sb_fault_arm(0, false);
        assert_int_equal(status, round % 2 == 0 ? SB_NO_MEMORY : SB_OK);
        if (round % 2 == 0) {
            assert_int_equal(sb_mem_live_blocks(), live);
        } else {
            assert_int_equal(y_values[99], 9000);
        }
        sb_func_local_free(local);
        assert_int_equal(sb_func_local_new(func, &local, NULL), SB_OK);
    }
    sb_func_local_free(local);
    sb_func_drop(func);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiers_agree),
        cmocka_unit_test(test_auto_goes_over),
        cmocka_unit_test(test_vectors_are_passed_by),
        cmocka_unit_test(test_passed_rows_are_counted),
        cmocka_unit_test(test_some_vectors_are_timed),
        cmocka_unit_test(test_endless_loop_stops),
        cmocka_unit_test(test_texts),
#ifdef SB_FAULTS
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test(test_lists_without_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
