/* Tests of batch functions that native code computes row by row: a batch of which a row leaves is the host's as a whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "exec/testkit.h"

#define ROWS 2200
#define BATCH 10

/* b is even; leaves where a * b overflows, or a null's value with b does. */
#define EVEN                                                                                       \
    "inputs i64 i64\noutputs b\nv1:i64 = in 0\nv2:i64 = in 1\nv3:i64 = py_mul_i64 v1 v2\n"         \
    "v4:i64 = const_i64 2\nv5:i64 = py_mod_i64 v1 v4\nv6:i64 = const_i64 0\n"                      \
    "v7:b = py_eq_i64 v5 v6\nv8:b = py_eq_i64 v3 v3\nv9:b = and v7 v8\nstore 0 v9\n"

static const char *const names[] = {"a", "b", "x", "c", "s"};

typedef struct shape {
    bool compiled, filters, behind; /* behind: a filter by rows comes before */
    bool whole, pairs;              /* of whole batches; pairs: with nulls */
} shape;

#define SHAPES 12

/* [filter] -> a map that gives back what it got, or a filter of even b. NULL: no memory. */
static sb_plan *lowered_plan(shape s)
{
    sb_type *schema = sb_kit_schema();
    sb_func *func =
        s.whole     ? sb_kit_whole_func("copies", "a,b,x,c", "alblxgcb", SB_KIT_COPIES, s.pairs)
        : s.filters ? sb_kit_func("even", "b,a", "b", s.compiled ? EVEN : NULL)
                    : sb_kit_map_func("all", "a,b,x,c", "mlhgfb", s.compiled ? SB_KIT_ALL : NULL);
    sb_func *keep = sb_kit_func("keep", "b", "b", SB_KIT_KEEP);
    sb_plan *source = NULL, *between = NULL, *last = NULL;
    bool whole = schema != NULL && func != NULL && keep != NULL &&
                 sb_plan_new_source("KIT", schema, &source, NULL) == SB_OK;
    if (whole && s.behind) {
        whole = sb_plan_new_filter(source, keep, &between, NULL) == SB_OK;
    }
    if (whole) {
        static const char *const made[] = {NULL, NULL, NULL, NULL, "s"};
        (void)sb_plan_new_lowered(between != NULL ? between : source, "f(batch)\tcompiled", func,
                                  s.filters, s.filters ? 0 : 5, s.whole ? made : names, names,
                                  &last, NULL);
    }
    sb_plan_drop(between);
    sb_plan_drop(source);
    sb_type_drop(schema);
    sb_func_drop(func);
    sb_func_drop(keep);
    return last;
}

static bool comes_out(shape s, int64_t row)
{
    return !(s.behind && sb_kit_b(row) % 3 == 0) && !(s.filters && sb_kit_b(row) % 2 != 0);
}

static void expect(sb_buf *out, shape s, int64_t first, int64_t end)
{
    for (int64_t row = first; row < end; row++) {
        char word[16];
        if (!comes_out(s, row)) {
            continue;
        }
        sb_kit_s(row, word);
        sb_buf_printf(out, sb_kit_a_valid(row) ? "a=%lld" : "a=-", (long long)sb_kit_a(row));
        sb_buf_printf(out, " b=%lld x=%a", (long long)sb_kit_b(row), sb_kit_x(row));
        sb_buf_printf(out, " c=%s", !sb_kit_c_valid(row) ? "-" : sb_kit_c(row) ? "true" : "false");
        sb_buf_printf(out, sb_kit_s_valid(row) ? " s='%s\n" : " s=-\n", word);
    }
}

static const sb_run_options shapes[] = {
    {.threads = 1},
    {.threads = 1, .morsel_rows = 64},
    {.threads = 2, .morsel_rows = 3},
    {.threads = 3, .morsel_rows = 100, .tier = SB_TIER_INTERPRETER},
};

/* How many batches the host was asked for. */
static int64_t check_run(sb_plan *plan, const sb_run_options *options, shape s)
{
    sb_kit_host host;
    sb_buf wanted;
    sb_kit_source from = {.rows = ROWS, .batch_rows = BATCH, .fail_batch = -1};
    sb_buf_init(&wanted, 0);
    sb_kit_host_init(&host);
    sb_kit_run(&host, plan, &from, options);
    assert_int_equal(host.status, SB_OK);
    expect(&wanted, s, 0, ROWS);
    assert_int_equal(host.out.size, wanted.size);
    assert_memory_equal(host.out.data, wanted.data, wanted.size);
    assert_int_equal(from.live, 0);
    assert_true(s.compiled || host.in_order);
    int64_t asked = host.asks;
    sb_kit_host_release(&host);
    sb_buf_release(&wanted);
    return asked;
}

static shape shape_of(int number)
{
    if (number >= 8) {
        return (shape){
            .compiled = true, .whole = true, .pairs = number % 2, .behind = number / 2 % 2};
    }
    return (shape){.compiled = number % 2 == 0, .filters = number / 2 % 2, .behind = number / 4};
}

static void what_comes_out_does_not_depend_on_who_computes(void **state)
{
    (void)state;
    for (int number = 0; number < SHAPES; number++) {
        shape s = shape_of(number);
        sb_plan *plan = lowered_plan(s);
        assert_non_null(plan);
        for (size_t k = 0; k < SB_COUNT_OF(shapes); k++) {
            int64_t asked = check_run(plan, &shapes[k], s);
            if (s.whole) { /* batches with nulls are left where there are no pairs */
                assert_true(s.pairs ? asked == 0 : asked > 0);
                continue;
            }
            assert_true(s.compiled ? asked > 0 && asked < ROWS / BATCH : asked == ROWS / BATCH);
        }
        sb_plan_drop(plan);
    }
}

static void a_run_that_interprets_asks_for_all(void **state)
{
    (void)state;
    static const bool interpret[] = {true};
    shape s = {.compiled = true};
    sb_plan *plan = lowered_plan(s);
    sb_run_options options = {.threads = 2, .interpret = interpret, .interpret_count = 1};
    assert_int_equal(check_run(plan, &options, s), ROWS / BATCH);
    sb_plan_drop(plan);
}

static void a_batch_that_fails_ends_the_run(void **state)
{
    (void)state;
    for (int number = 0; number < 2; number++) {
        shape s = {.compiled = false, .filters = number == 1};
        sb_plan *plan = lowered_plan(s);
        sb_kit_host host;
        sb_buf wanted;
        sb_kit_source from = {.rows = ROWS, .batch_rows = BATCH, .fail_batch = -1};
        sb_buf_init(&wanted, 0);
        sb_kit_host_init(&host);
        host.drop_batch = 2;
        host.fail_batch = 7;
        sb_kit_run(&host, plan, &from, &shapes[2]);
        assert_int_equal(host.status, SB_USER);
        assert_int_equal(host.failure.op, 0);
        assert_int_equal(host.failure.function_index, -1);
        assert_int_equal(host.failure.row, -1);
        assert_string_equal(host.error.message, "boom");
        expect(&wanted, s, 0, 2 * BATCH);
        expect(&wanted, s, 3 * BATCH, 7 * BATCH);
        assert_int_equal(host.out.size, wanted.size);
        assert_memory_equal(host.out.data, wanted.data, wanted.size);
        sb_kit_host_release(&host);
        sb_buf_release(&wanted);
        sb_plan_drop(plan);
    }
}

static void mistakes_are_refused(void **state)
{
    (void)state;
    sb_type *schema = sb_kit_schema();
    sb_func *single = sb_kit_func("even", "b,a", "b", EVEN);
    sb_func *keyed = sb_kit_map_func("all", "a,b,x,c", "mlhgfb", SB_KIT_ALL);
    static const char *const none[] = {NULL}, *const unknown[] = {"zz"};
    sb_plan *source = NULL, *deferred = NULL, *plan = NULL;
    assert_int_equal(sb_plan_new_source("KIT", schema, &source, NULL), SB_OK);
    assert_int_equal(sb_plan_new_batch(source, "g", NULL, false, &deferred, NULL), SB_OK);
    assert_int_equal(sb_plan_new_lowered(source, "f", single, false, 1, none, names, &plan, NULL),
                     SB_INVALID);
    assert_int_equal(sb_plan_new_lowered(source, "f", keyed, false, 1, none, unknown, &plan, NULL),
                     SB_INVALID);
    assert_int_equal(sb_plan_new_lowered(source, "f", keyed, false, 1, unknown, names, &plan, NULL),
                     SB_UNKNOWN_COLUMN);
    assert_int_equal(sb_plan_new_lowered(deferred, "f", single, true, 0, NULL, NULL, &plan, NULL),
                     SB_UNSUPPORTED);
    /* Lists are no columns of rows. */
    sb_func *whole = sb_kit_whole_func("copies", "a,b,x,c", "alblxgcb", SB_KIT_COPIES, true);
    assert_int_equal(sb_plan_new_map(source, whole, 1, unknown, names, &plan, NULL), SB_INVALID);
    assert_int_equal(sb_plan_new_with(source, 1, names, &whole, &plan, NULL), SB_INVALID);
    assert_int_equal(sb_plan_new_filter(source, whole, &plan, NULL), SB_INVALID);
    sb_func_drop(whole);
    assert_null(plan);
    sb_plan_drop(deferred);
    sb_plan_drop(source);
    sb_func_drop(single);
    sb_func_drop(keyed);
    sb_type_drop(schema);
}

#ifdef SB_FAULTS
static bool fault_round(shape s, int64_t nth)
{
    int64_t live = sb_mem_live_blocks();
    sb_kit_host host;
    sb_kit_source from = {.rows = 48, .batch_rows = 20, .fail_batch = -1};
    sb_kit_host_init(&host);
    sb_fault_arm(nth, false);
    sb_plan *plan = lowered_plan(s);
    if (plan != NULL) {
        sb_kit_run(&host, plan, &from, &shapes[0]);
    }
    sb_fault_arm(0, false);
    bool hit = sb_fault_hit();
    if (plan != NULL && host.status != SB_OK) {
        assert_true(hit && (host.status == SB_NO_MEMORY || host.status == SB_CANCELLED));
    }
    assert_int_equal(from.live, 0);
    sb_plan_drop(plan);
    sb_kit_host_release(&host);
    assert_int_equal(sb_mem_live_blocks(), live);
    return !hit;
}

static void failing_allocations_leak_nothing(void **state)
{
    (void)state;
    for (int number = 0; number < SHAPES; number++) {
        int64_t nth = 1;
        while (!fault_round(shape_of(number), nth)) {
            nth++;
        }
        assert_true(nth > 50);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_out_does_not_depend_on_who_computes),
        cmocka_unit_test(a_run_that_interprets_asks_for_all),
        cmocka_unit_test(a_batch_that_fails_ends_the_run),
        cmocka_unit_test(mistakes_are_refused),
#ifdef SB_FAULTS
        cmocka_unit_test(failing_allocations_leak_nothing),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
