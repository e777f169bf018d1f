/* Tests of sb_run_interpret: the host's functions give what native code gives, so the rows are the same whenever functions are taken
 * back; which of them the host had to compute tells whether what was computed ahead was thrown away. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "exec/run.h"
#include "exec/testkit.h"

static const bool all[] = {true, true, true, true, true};

/* Takes input and functions; NULL when memory is short. */
static sb_plan *with(sb_plan *input, int32_t count, const char *const *names, sb_func **funcs)
{
    sb_plan *plan = NULL;
    bool whole = input != NULL;
    for (int32_t i = 0; i < count; i++) {
        whole = whole && funcs[i] != NULL;
    }
    if (whole) {
        (void)sb_plan_new_with(input, count, names, funcs, &plan, NULL);
    }
    for (int32_t i = 0; i < count; i++) {
        sb_func_drop(funcs[i]);
    }
    sb_plan_drop(input);
    return plan;
}

static sb_plan *source(void)
{
    sb_plan *plan = NULL;
    sb_type *schema = sb_kit_schema();
    if (schema != NULL) {
        (void)sb_plan_new_source("KIT", schema, &plan, NULL);
    }
    sb_type_drop(schema);
    return plan;
}

/* Three compiled functions; the first leaves some rows. */
static sb_plan *plan_native(void)
{
    static const char *const names[] = {"y", "h", "c"};
    sb_func *funcs[] = {sb_kit_func("mul", "a,b", "l", SB_KIT_MUL),
                        sb_kit_func("half", "x", "g", SB_KIT_HALF),
                        sb_kit_func("flip", "c", "b", SB_KIT_FLIP)};
    return with(source(), 3, names, funcs);
}

/* A compiled filter, then compiled functions round one of the host's. */
static sb_plan *plan_mixed(void)
{
    static const char *const names[] = {"y", "t", "h"};
    static const char *const last[] = {"c"};
    sb_plan *input = source();
    sb_plan *kept = NULL;
    sb_func *keep = sb_kit_func("keep", "b", "b", SB_KIT_KEEP);
    if (input != NULL && keep != NULL) {
        (void)sb_plan_new_filter(input, keep, &kept, NULL);
    }
    sb_func_drop(keep);
    sb_plan_drop(input);
    sb_func *funcs[] = {sb_kit_func("mul", "a,b", "l", SB_KIT_MUL),
                        sb_kit_func("text", "s,b", "u", NULL),
                        sb_kit_func("half", "x", "g", SB_KIT_HALF)};
    sb_plan *made = with(kept, 3, names, funcs);
    sb_func *flip[] = {sb_kit_func("flip", "c", "b", SB_KIT_FLIP)};
    return with(made, 1, last, flip);
}

typedef sb_plan *(*plan_fn)(void);
static const plan_fn plans[] = {plan_native, plan_mixed};
static const int32_t function_counts[] = {3, 5};

static void run(sb_kit_host *host, sb_kit_source *from, sb_plan *plan, int64_t rows,
                int32_t threads, int64_t revoke_at)
{
    sb_run_options options = {
        .threads = threads, .morsel_rows = 16, .tier = SB_TIER_INTERPRETER, .revocable = true};
    *from = (sb_kit_source){.rows = rows, .batch_rows = 50, .fail_batch = -1};
    sb_kit_host_init(host);
    host->revoke = all;
    host->revoke_count = plan->function_end;
    host->revoke_at = revoke_at;
    sb_kit_run(host, plan, from, &options);
    assert_int_equal(from->live, 0);
    assert_false(from->out_of_thread);
    assert_true(host->in_order);
    assert_true(host->ascending);
    assert_true(host->args_right);
}

static void rows_are_the_same_whenever_functions_are_taken_back(void **state)
{
    (void)state;
    for (size_t p = 0; p < SB_COUNT_OF(plans); p++) {
        sb_plan *plan = plans[p]();
        sb_kit_host wanted, host;
        sb_kit_source from;
        assert_int_equal(plan->function_end, function_counts[p]);
        run(&wanted, &from, plan, 400, 1, -1);
        assert_int_equal(wanted.status, SB_OK);
        for (int32_t threads = 1; threads <= 3; threads += 2) {
            bool reached = true;
            for (int64_t at = 0; reached; at++) {
                run(&host, &from, plan, 400, threads, at);
                reached = host.events > at;
                assert_int_equal(host.status, SB_OK);
                assert_int_equal(host.out.size, wanted.out.size);
                assert_memory_equal(host.out.data, wanted.out.data, wanted.out.size);
                sb_kit_host_release(&host);
            }
        }
        sb_kit_host_release(&wanted);
        sb_plan_drop(plan);
    }
}

/* At an event with rows nothing has been asked for later ones, so the host computes all of these, whatever workers had done. */
static void what_was_computed_ahead_is_thrown_away(void **state)
{
    (void)state;
    sb_plan *plan = plan_native();
    int64_t checked = 0;
    for (int64_t at = 0; at < 60; at++) {
        sb_kit_host host;
        sb_kit_source from;
        run(&host, &from, plan, 2000, 3, at);
        assert_int_equal(host.status, SB_OK);
        int64_t left = 2000 - host.rows_before;
        int64_t asked = host.ask_rows - host.asked_before;
        /* In the middle of an ask the rest of its rows was not computed by the host. */
        assert_in_range(asked, 3 * (left - 16), 3 * left);
        checked += asked == 3 * left;
        sb_kit_host_release(&host);
    }
    assert_true(checked > 0);
    sb_plan_drop(plan);
}

static void failures_are_those_of_the_first_row(void **state)
{
    (void)state;
    sb_plan *plan = plan_mixed();
    for (int64_t at = 0; at < 40; at++) {
        sb_kit_host host;
        sb_kit_source from = {.rows = 400, .batch_rows = 50, .fail_batch = -1};
        sb_run_options options = {
            .threads = 3, .morsel_rows = 16, .tier = SB_TIER_INTERPRETER, .revocable = true};
        sb_kit_host_init(&host);
        host.revoke = all;
        host.revoke_count = 5;
        host.revoke_at = at;
        host.fail_function = 2; /* of the host's own */
        host.fail_row = 201;
        while (sb_kit_b(host.fail_row) % 3 == 0) {
            host.fail_row++;
        }
        sb_kit_run(&host, plan, &from, &options);
        assert_int_equal(host.status == SB_OK || host.status == SB_USER, true);
        if (host.status == SB_USER) {
            assert_int_equal(host.failure.row, host.fail_row);
            assert_int_equal(host.failure.function_index, 2);
        }
        assert_int_equal(from.live, 0);
        sb_kit_host_release(&host);
    }
    sb_plan_drop(plan);
}

static void wrong_calls_are_told(void **state)
{
    (void)state;
    sb_plan *plan = plan_native();
    for (int revocable = 0; revocable < 2; revocable++) {
        sb_kit_source from = {.rows = 10, .fail_batch = -1};
        struct ArrowArrayStream stream;
        sb_run_options options = {.revocable = revocable == 1};
        sb_run *made;
        sb_kit_stream(&from, &stream);
        assert_int_equal(sb_run_new(plan, &stream, &options, &made, NULL), SB_OK);
        assert_int_equal(sb_run_interpret(made, all, 2, NULL), revocable ? SB_INVALID : SB_STATE);
        assert_int_equal(sb_run_interpret(made, all, 3, NULL), revocable ? SB_OK : SB_STATE);
        from.lane = true;
        sb_run_free(made);
        assert_int_equal(from.live, 0);
    }
    sb_plan_drop(plan);
}

#ifdef SB_FAULTS
static bool fault_round(plan_fn make, int32_t threads, int64_t at, int64_t nth)
{
    int64_t live = sb_mem_live_blocks();
    sb_kit_host host;
    sb_kit_source from = {.rows = 80, .batch_rows = 40, .fail_batch = -1};
    sb_run_options options = {.threads = threads, .morsel_rows = 16, .revocable = true};
    sb_kit_host_init(&host);
    host.revoke = all;
    host.revoke_at = at;
    sb_fault_arm(nth, false);
    sb_plan *plan = make();
    if (plan != NULL) {
        host.revoke_count = plan->function_end;
        sb_kit_run(&host, plan, &from, &options);
    }
    sb_fault_arm(0, false);
    bool hit = sb_fault_hit();
    if (plan != NULL && host.status != SB_OK) {
        assert_true(hit);
        assert_true(host.status == SB_NO_MEMORY || host.status == SB_CANCELLED);
    } else if (plan != NULL) {
        assert_int_equal(host.rows, make == plan_native ? 80 : host.rows);
    }
    assert_int_equal(from.live, 0);
    sb_plan_drop(plan);
    sb_kit_host_release(&host);
    assert_int_equal(sb_mem_live_blocks(), live);
    return !hit;
}

static void failing_allocations_end_the_run_cleanly(void **state)
{
    (void)state;
    for (size_t p = 0; p < SB_COUNT_OF(plans); p++) {
        for (int32_t threads = 1; threads <= 2; threads++) {
            int64_t nth = 1;
            while (!fault_round(plans[p], threads, 2, nth)) {
                nth++;
            }
            assert_true(nth > 50);
        }
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_the_same_whenever_functions_are_taken_back),
        cmocka_unit_test(what_was_computed_ahead_is_thrown_away),
        cmocka_unit_test(failures_are_those_of_the_first_row),
        cmocka_unit_test(wrong_calls_are_told),
#ifdef SB_FAULTS
        cmocka_unit_test(failing_allocations_end_the_run_cleanly),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
