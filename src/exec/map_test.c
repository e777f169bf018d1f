/* Tests of maps of rows: several results of one function beside columns that are passed on, for every way a row is computed. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "exec/testkit.h"

#define ROWS 2200

static const char *const map_columns[] = {"s", NULL, "b", NULL, NULL, "b"};
static const char *const map_names[] = {"s", "f", "b", "m", "h", "again"};

/* [filter] -> map -> [filter]. compiled: by the IR; else by the host. NULL: no memory. */
static sb_plan *map_plan(bool compiled, bool filtered)
{
    sb_type *schema = sb_kit_schema();
    sb_plan *plans[4] = {NULL};
    sb_plan *last = NULL;
    int end = 0;
    sb_func *all = sb_kit_map_func("all", "a,b,x,c", "mlhgfb", compiled ? SB_KIT_ALL : NULL);
    sb_func *keep = sb_kit_func("keep", "b", "b", SB_KIT_KEEP);
    bool whole = schema != NULL && all != NULL && keep != NULL &&
                 sb_plan_new_source("KIT", schema, &plans[end], NULL) == SB_OK;
    if (whole && filtered) {
        whole = sb_plan_new_filter(plans[end], keep, &plans[end + 1], NULL) == SB_OK;
        end += whole;
    }
    if (whole) {
        whole = sb_plan_new_map(plans[end], all, 6, map_columns, map_names, &plans[end + 1],
                                NULL) == SB_OK;
        end += whole;
    }
    if (whole) {
        last = sb_plan_retain(plans[end]);
    }
    for (int i = 0; i < 4; i++) {
        sb_plan_drop(plans[i]);
    }
    sb_type_drop(schema);
    sb_func_drop(all);
    sb_func_drop(keep);
    return last;
}

static int64_t mul_of(int64_t row)
{
    int64_t product;
    return sb_mul_overflow_i64(sb_kit_a(row), sb_kit_b(row), &product) ||
                   sb_add_overflow_i64(product, 1, &product)
               ? -1
               : product;
}

/* What becomes of the rows of which sb_kit_dropped says so. */
typedef enum fate { KEPT, DROPPED, NULLED } fate;

/* Rows [0, rows) as the host prints them. */
static void expect(sb_buf *out, int64_t rows, bool filtered, fate some)
{
    for (int64_t row = 0; row < rows; row++) {
        char word[16];
        if ((filtered && sb_kit_b(row) % 3 == 0) || (some == DROPPED && sb_kit_dropped(row))) {
            continue;
        }
        if (some == NULLED && sb_kit_dropped(row)) {
            sb_buf_text(out, "s=- f=- b=- m=- h=- again=-\n");
            continue;
        }
        sb_kit_s(row, word);
        sb_buf_printf(out, sb_kit_s_valid(row) ? "s='%s" : "s=-", word);
        sb_buf_printf(out, " f=%s", !sb_kit_c_valid(row) ? "-" : sb_kit_c(row) ? "false" : "true");
        sb_buf_printf(out, " b=%" PRId64, sb_kit_b(row));
        sb_buf_printf(out, sb_kit_a_valid(row) ? " m=%" PRId64 : " m=-", mul_of(row));
        sb_buf_printf(out, " h=%a again=%" PRId64 "\n", sb_kit_x(row) * 0.5, sb_kit_b(row));
    }
}

static const sb_run_options shapes[] = {
    {.threads = 1},
    {.threads = 1, .morsel_rows = 64},
    {.threads = 2, .morsel_rows = 3},
    {.threads = 3, .morsel_rows = 100, .tier = SB_TIER_INTERPRETER},
};

static void assert_text(const sb_buf *given, const sb_buf *wanted)
{
    assert_int_equal(given->size, wanted->size);
    assert_memory_equal(given->data, wanted->data, wanted->size);
}

/* How many rows the host was asked for. */
static int64_t check_run(sb_plan *plan, const sb_run_options *options, bool filtered, fate some)
{
    sb_kit_host host;
    sb_buf wanted;
    sb_kit_source from = {.rows = ROWS, .batch_rows = 50, .fail_batch = -1};
    sb_buf_init(&wanted, 0);
    sb_kit_host_init(&host);
    host.drop_function = some != KEPT ? filtered : -1;
    host.nulls = some == NULLED;
    sb_kit_run(&host, plan, &from, options);
    assert_int_equal(host.status, SB_OK);
    assert_true(host.args_right && host.in_order);
    expect(&wanted, ROWS, filtered, some);
    assert_text(&host.out, &wanted);
    assert_int_equal(from.live, 0);
    int64_t asked = host.ask_rows;
    sb_kit_host_release(&host);
    sb_buf_release(&wanted);
    return asked;
}

static void all_results_come_out(void **state)
{
    (void)state;
    for (int which = 0; which < 4; which++) {
        bool compiled = which % 2 == 0;
        bool filtered = which / 2 == 1;
        sb_plan *plan = map_plan(compiled, filtered);
        assert_non_null(plan);
        for (size_t k = 0; k < SB_COUNT_OF(shapes); k++) {
            int64_t asked = check_run(plan, &shapes[k], filtered, KEPT);
            /* Some rows leave; where the host computes, it gets each row that counts. */
            assert_true(compiled ? asked > 0 && asked < ROWS / 2 : asked > ROWS / 2);
            if (!compiled) {
                (void)check_run(plan, &shapes[k], filtered, DROPPED);
                (void)check_run(plan, &shapes[k], filtered, NULLED);
            }
        }
        sb_plan_drop(plan);
    }
}

static void a_failing_row_ends_all_columns(void **state)
{
    (void)state;
    sb_plan *plan = map_plan(false, false);
    for (size_t k = 0; k < SB_COUNT_OF(shapes); k++) {
        sb_kit_host host;
        sb_buf wanted;
        sb_kit_source from = {.rows = ROWS, .batch_rows = 50, .fail_batch = -1};
        sb_buf_init(&wanted, 0);
        sb_kit_host_init(&host);
        host.fail_row = 1234;
        host.fail_function = 0;
        sb_kit_run(&host, plan, &from, &shapes[k]);
        assert_int_equal(host.status, SB_USER);
        assert_int_equal(host.failure.row, 1234);
        assert_int_equal(host.failure.op, 0);
        expect(&wanted, 1234, false, KEPT);
        assert_text(&host.out, &wanted);
        sb_kit_host_release(&host);
        sb_buf_release(&wanted);
    }
    sb_plan_drop(plan);
}

static void a_format_that_is_not_told_does_not_run(void **state)
{
    (void)state;
    static const char *const none[] = {NULL}, *const names[] = {"m"};
    sb_type *schema = sb_kit_schema();
    sb_plan *source, *plan;
    sb_func *text = sb_kit_map_func("all", "a", "mu", NULL);
    assert_int_equal(sb_plan_new_source("KIT", schema, &source, NULL), SB_OK);
    assert_int_equal(sb_plan_new_map(source, text, 1, none, names, &plan, NULL), SB_OK);
    sb_kit_host host;
    sb_kit_source from = {.rows = 10, .fail_batch = -1};
    sb_kit_host_init(&host);
    sb_kit_run(&host, plan, &from, &shapes[0]);
    assert_int_equal(host.status, SB_UNSUPPORTED);
    sb_kit_host_release(&host);
    sb_plan_drop(plan);
    sb_plan_drop(source);
    sb_func_drop(text);
    sb_type_drop(schema);
}

#ifdef SB_FAULTS
static bool fault_round(bool compiled, int64_t nth)
{
    int64_t live = sb_mem_live_blocks();
    sb_kit_host host;
    sb_kit_source from = {.rows = 48, .batch_rows = 20, .fail_batch = -1};
    sb_kit_host_init(&host);
    host.drop_function = 1;
    host.nulls = true;
    sb_fault_arm(nth, false);
    sb_plan *plan = map_plan(compiled, true);
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
    for (int compiled = 0; compiled < 2; compiled++) {
        int64_t nth = 1;
        while (!fault_round(compiled != 0, nth)) {
            nth++;
        }
        assert_true(nth > 50);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_results_come_out),
        cmocka_unit_test(a_failing_row_ends_all_columns),
        cmocka_unit_test(a_format_that_is_not_told_does_not_run),
#ifdef SB_FAULTS
        cmocka_unit_test(failing_allocations_leak_nothing),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
