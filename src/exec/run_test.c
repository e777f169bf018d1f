/* Tests of exec/run.h: the same rows, order, failing row and error for every batch size, morsel size and number of workers; batch
 * functions and their boundaries; sources that fail; cancelling; forks; failing allocations. */
#include "exec/run.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "exec/testkit.h"
#include "os/os.h"

/* --- plans -------------------------------------------------------------------------------------------------------- */

/* Takes the functions; NULL when one is NULL or memory is short. */
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

static sb_plan *filter(sb_plan *input, sb_func *func)
{
    sb_plan *plan = NULL;
    if (input != NULL && func != NULL) {
        (void)sb_plan_new_filter(input, func, &plan, NULL);
    }
    sb_func_drop(func);
    sb_plan_drop(input);
    return plan;
}

static sb_plan *batch(sb_plan *input, bool deferred, bool is_filter)
{
    sb_plan *plan = NULL;
    if (input != NULL) {
        sb_type *schema = deferred || is_filter ? NULL : input->schema;
        (void)sb_plan_new_batch(input, "same", schema, is_filter, &plan, NULL);
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

/* A filter, then functions of both kinds under it, then a selection. */
static sb_plan *plan_mixed(void)
{
    static const char *const names[] = {"y", "t", "z"};
    static const char *const kept[] = {"t", "y", "a", "z", "c"};
    sb_plan *plan = filter(source(), sb_kit_func("keep", "b", "b", SB_KIT_KEEP));
    sb_func *funcs[] = {sb_kit_func("mul", "a,b", "l", SB_KIT_MUL),
                        sb_kit_func("text", "s,b", "u", NULL),
                        sb_kit_func("score", "x,b,c", "g", NULL)};
    plan = with(plan, 3, names, funcs);
    sb_plan *selected = NULL;
    if (plan != NULL) {
        (void)sb_plan_new_select(plan, 5, kept, &selected, NULL);
    }
    sb_plan_drop(plan);
    return selected;
}

/* Two filters by the host and natively, over each other. */
static sb_plan *plan_filters(void)
{
    sb_plan *plan = filter(source(), sb_kit_func("flip", "c", "b", NULL));
    return filter(plan, sb_kit_func("keep", "b", "b", SB_KIT_KEEP));
}

/* Native, whole batches, a filter of batches, native. */
static sb_plan *plan_batches(void)
{
    static const char *const y[] = {"y"}, *const h[] = {"h"};
    sb_func *mul[] = {sb_kit_func("mul", "a,b", "l", SB_KIT_MUL)};
    sb_plan *plan = batch(batch(with(source(), 1, y, mul), false, false), false, true);
    sb_func *half[] = {sb_kit_func("half", "x", "g", SB_KIT_HALF)};
    return with(plan, 1, h, half);
}

static sb_plan *plan_deferred(void)
{
    return batch(batch(source(), true, false), false, true);
}

typedef sb_plan *(*plan_fn)(void);
static const plan_fn plans[] = {plan_native, plan_mixed, plan_filters, plan_batches, plan_deferred};

/* --- what must come out -------------------------------------------------------------------------------------------- */

static void print_i64(sb_buf *out, const char *name, bool valid, int64_t value)
{
    sb_buf_printf(out, valid ? "%s=%" PRId64 : "%s=-", name, value);
}

static void print_bool(sb_buf *out, const char *name, bool valid, bool value)
{
    sb_buf_printf(out, "%s=%s", name, valid ? value ? "true" : "false" : "-");
}

static int64_t mul_of(int64_t row)
{
    int64_t product;
    return sb_mul_overflow_i64(sb_kit_a(row), sb_kit_b(row), &product) ||
                   sb_add_overflow_i64(product, 1, &product)
               ? -1
               : product;
}

static void expect_native(sb_buf *out, int64_t rows)
{
    for (int64_t row = 0; row < rows; row++) {
        char word[16];
        sb_kit_s(row, word);
        print_i64(out, "a", sb_kit_a_valid(row), sb_kit_a(row));
        print_i64(out, " b", true, sb_kit_b(row));
        sb_buf_printf(out, " x=%a", sb_kit_x(row));
        print_bool(out, " c", sb_kit_c_valid(row), !sb_kit_c(row));
        sb_buf_printf(out, " s=%s%s", sb_kit_s_valid(row) ? "'" : "",
                      sb_kit_s_valid(row) ? word : "-");
        print_i64(out, " y", sb_kit_a_valid(row), mul_of(row));
        sb_buf_printf(out, " h=%a\n", sb_kit_x(row) * 0.5);
    }
}

static void expect_mixed_rows(sb_buf *out, int64_t rows, bool dropped)
{
    for (int64_t row = 0; row < rows; row++) {
        char word[16] = "";
        if (sb_kit_b(row) % 3 == 0 || (dropped && sb_kit_dropped(row))) {
            continue;
        }
        if (sb_kit_s_valid(row)) {
            sb_kit_s(row, word);
        }
        sb_buf_printf(out, "t='%s/%" PRId64, word, sb_kit_b(row));
        print_i64(out, " y", sb_kit_a_valid(row), mul_of(row));
        print_i64(out, " a", sb_kit_a_valid(row), sb_kit_a(row));
        if (sb_kit_c_valid(row) && !sb_kit_c(row)) {
            sb_buf_text(out, " z=-");
        } else {
            sb_buf_printf(out, " z=%a", sb_kit_x(row) + (double)sb_kit_b(row));
        }
        print_bool(out, " c", sb_kit_c_valid(row), sb_kit_c(row));
        sb_buf_char(out, '\n');
    }
}

static void expect_mixed(sb_buf *out, int64_t rows)
{
    expect_mixed_rows(out, rows, false);
}

static void expect_mixed_dropped(sb_buf *out, int64_t rows)
{
    expect_mixed_rows(out, rows, true);
}

/* --- every shape of a run ------------------------------------------------------------------------------------------ */

typedef struct shape {
    int32_t threads;
    int64_t morsel_rows, batch_rows;
} shape;

static const shape shapes[] = {{1, 0, 0},    {1, 0, 1}, {2, 3, 3},   {1, 64, 0},
                               {2, 64, 50},  {3, 7, 0}, {2, 1, 2},   {2, 4096, 2048},
                               {3, 100, 33}, {2, 0, 0}, {1, 5, 2048}};

static void run_shape(sb_kit_host *host, sb_kit_source *from, sb_plan *plan, int64_t rows,
                      const shape *how)
{
    sb_run_options options = {
        .threads = how->threads, .morsel_rows = how->morsel_rows, .tier = SB_TIER_INTERPRETER};
    *from = (sb_kit_source){.rows = rows, .batch_rows = how->batch_rows, .fail_batch = -1};
    sb_kit_run(host, plan, from, &options);
    assert_int_equal(from->live, 0);
    assert_true(from->released);
    assert_false(from->out_of_thread);
    assert_true(host->in_order);
    assert_true(host->args_right);
}

static void assert_text(const sb_buf *given, const sb_buf *wanted)
{
    assert_int_equal(given->size, wanted->size);
    if (wanted->size > 0) {
        assert_memory_equal(given->data, wanted->data, wanted->size);
    }
}

static void rows_are_those_of_python(void **state)
{
    (void)state;
    static const int64_t sizes[] = {0, 1, 33, 2100};
    for (size_t n = 0; n < SB_COUNT_OF(sizes); n++) {
        for (size_t k = 0; k < SB_COUNT_OF(shapes); k++) {
            for (int which = 0; which < 2; which++) {
                sb_kit_host host;
                sb_kit_source from;
                sb_buf wanted;
                sb_buf_init(&wanted, 0);
                sb_kit_host_init(&host);
                sb_plan *plan = plans[which]();
                (which == 0 ? expect_native : expect_mixed)(&wanted, sizes[n]);
                run_shape(&host, &from, plan, sizes[n], &shapes[k]);
                assert_int_equal(host.status, SB_OK);
                assert_text(&host.out, &wanted);
                sb_plan_drop(plan);
                sb_kit_host_release(&host);
                sb_buf_release(&wanted);
            }
        }
    }
}

/* Batch boundaries are part of what a batch function means, so only plans without one are compared over batch sizes. */
static void every_shape_gives_the_same(void **state)
{
    (void)state;
    for (size_t p = 0; p < SB_COUNT_OF(plans); p++) {
        sb_plan *plan = plans[p]();
        sb_kit_host first;
        sb_kit_source from;
        sb_kit_host_init(&first);
        run_shape(&first, &from, plan, 2200, &shapes[0]);
        assert_int_equal(first.status, SB_OK);
        assert_true(first.out.size > 1000);
        for (size_t k = 1; k < SB_COUNT_OF(shapes); k++) {
            sb_kit_host host;
            sb_kit_host_init(&host);
            run_shape(&host, &from, plan, 2200, &shapes[k]);
            assert_int_equal(host.status, SB_OK);
            assert_text(&host.out, &first.out);
            sb_kit_host_release(&host);
        }
        sb_kit_host_release(&first);
        sb_plan_drop(plan);
    }
}

static void batch_functions_see_whole_batches(void **state)
{
    (void)state;
    sb_plan *plan = plan_batches();
    for (size_t k = 0; k < SB_COUNT_OF(shapes); k++) {
        sb_kit_host host;
        sb_kit_source from;
        sb_kit_host_init(&host);
        run_shape(&host, &from, plan, 500, &shapes[k]);
        int64_t size = shapes[k].batch_rows > 0 ? shapes[k].batch_rows : 500;
        assert_int_equal(host.status, SB_OK);
        assert_true(host.asks >= 2 * ((500 + size - 1) / size)); /* leaving rows ask too */
        sb_kit_host_release(&host);
    }
    sb_plan_drop(plan);
}

/* --- rows and batches that the host drops ---------------------------------------------------------------------------- */

static void dropped_rows_are_in_no_column(void **state)
{
    (void)state;
    for (int32_t function = 2; function <= 3; function++) { /* text and score: the host's */
        for (size_t k = 0; k < SB_COUNT_OF(shapes); k++) {
            sb_plan *plan = plan_mixed();
            sb_kit_host host;
            sb_kit_source from;
            sb_buf wanted;
            sb_buf_init(&wanted, 0);
            sb_kit_host_init(&host);
            host.drop_function = function;
            expect_mixed_dropped(&wanted, 2100);
            run_shape(&host, &from, plan, 2100, &shapes[k]);
            assert_int_equal(host.status, SB_OK);
            assert_text(&host.out, &wanted);
            sb_plan_drop(plan);
            sb_kit_host_release(&host);
            sb_buf_release(&wanted);
        }
    }
}

/* A failure behind a dropped row is at the row that it was at. */
static void rows_before_a_failure_may_be_dropped(void **state)
{
    (void)state;
    sb_plan *plan = plan_mixed();
    for (size_t k = 0; k < SB_COUNT_OF(shapes); k++) {
        sb_kit_host host;
        sb_kit_source from;
        sb_buf wanted;
        sb_buf_init(&wanted, 0);
        sb_kit_host_init(&host);
        host.drop_function = 2;
        host.fail_function = 3;
        host.fail_row = 740;
        expect_mixed_dropped(&wanted, 740);
        run_shape(&host, &from, plan, 2100, &shapes[k]);
        assert_int_equal(host.status, SB_USER);
        assert_int_equal(host.failure.row, 740);
        assert_text(&host.out, &wanted);
        sb_kit_host_release(&host);
        sb_buf_release(&wanted);
    }
    sb_plan_drop(plan);
}

static void a_dropped_batch_gives_no_rows(void **state)
{
    (void)state;
    static const shape how[] = {{1, 0, 50}, {3, 7, 50}};
    for (size_t p = 3; p < SB_COUNT_OF(plans);
         p++) { /* batch functions, and before the schema is known */
        for (size_t k = 0; k < SB_COUNT_OF(how); k++) {
            for (int64_t drop = 0; drop < 2; drop++) {
                sb_plan *plan = plans[p]();
                sb_kit_host host, whole;
                sb_kit_source from;
                sb_kit_host_init(&host);
                sb_kit_host_init(&whole);
                host.drop_batch = drop;
                run_shape(&host, &from, plan, 100, &how[k]);
                run_shape(&whole, &from, plan, 100, &how[k]);
                assert_int_equal(host.status, SB_OK);
                assert_int_equal(host.batches, whole.batches - 1);
                size_t size = host.out.size;
                assert_true(size > 0 && size < whole.out.size);
                assert_memory_equal(host.out.data,
                                    whole.out.data + (drop == 0 ? whole.out.size - size : 0), size);
                sb_plan_drop(plan);
                sb_kit_host_release(&host);
                sb_kit_host_release(&whole);
            }
        }
    }
}

/* --- failures ------------------------------------------------------------------------------------------------------ */

static void check_failure(sb_plan *plan, int64_t rows, int32_t function, int64_t row, int32_t op,
                          void (*expect)(sb_buf *, int64_t))
{
    for (size_t k = 0; k < SB_COUNT_OF(shapes); k++) {
        sb_kit_host host;
        sb_kit_source from;
        sb_buf wanted;
        sb_buf_init(&wanted, 0);
        sb_kit_host_init(&host);
        host.fail_function = function;
        host.fail_row = row;
        expect(&wanted, row);
        run_shape(&host, &from, plan, rows, &shapes[k]);
        assert_int_equal(host.status, SB_USER);
        assert_string_equal(host.error.message, "boom");
        assert_int_equal(host.failure.row, row);
        assert_int_equal(host.failure.op, op);
        assert_int_equal(host.failure.function_index, function);
        assert_text(&host.out, &wanted);
        sb_kit_host_release(&host);
        sb_buf_release(&wanted);
    }
}

static void the_first_failing_row_ends_the_run(void **state)
{
    (void)state;
    sb_plan *plan = plan_native();
    check_failure(plan, 1500, 0, 1226, 0,
                  expect_native); /* 1226 % 11 == 5 and a is not null: it leaves */
    check_failure(plan, 1500, 0, 5, 0, expect_native);
    sb_plan_drop(plan);
    plan = plan_mixed();
    check_failure(plan, 1300, 2, 1000, 1, expect_mixed);
    check_failure(plan, 1300, 3, 0, 1, expect_mixed);
    check_failure(plan, 1300, 3, 1299, 1, expect_mixed);
    sb_plan_drop(plan);
}

/* The first row from `row` on that the filter of the next test keeps. */
static int64_t next_kept(int64_t row)
{
    while (!sb_kit_c_valid(row) || sb_kit_c(row)) {
        row++;
    }
    return row;
}

/* Two places fail: the lower row wins, at the same row the earlier function, whatever the shape of the run. */
static void the_lower_of_two_failures_wins(void **state)
{
    (void)state;
    static const struct {
        int32_t function[2];
        int64_t row[2];
        int wins;
    } cases[] = {
        {{1, 2}, {700, 700}, 0}, /* one operator: the first function */
        {{1, 2}, {700, 698}, 1}, {{1, 2}, {698, 700}, 0},  {{2, 3}, {5, 5}, 0},
        {{0, 3}, {800, 800}, 0}, /* two operators: the earlier */
        {{0, 3}, {800, 795}, 1}, {{0, 2}, {801, 1100}, 0}, {{0, 3}, {1250, 7}, 1},
    };
    static const char *const names[] = {"y", "t", "z"};
    sb_plan *plan = filter(source(), sb_kit_func("flip", "c", "b", NULL));
    sb_func *funcs[] = {sb_kit_func("half", "x", "g", NULL), sb_kit_func("text", "s,b", "u", NULL),
                        sb_kit_func("score", "x,b,c", "g", NULL)};
    plan = with(plan, 3, names, funcs);
    assert_non_null(plan);
    for (size_t i = 0; i < SB_COUNT_OF(cases); i++) {
        for (size_t k = 0; k < SB_COUNT_OF(shapes); k++) {
            sb_kit_host host;
            sb_kit_source from;
            sb_kit_host_init(&host);
            host.fail_function = cases[i].function[0];
            host.fail_row = next_kept(cases[i].row[0]);
            host.fail_function_2 = cases[i].function[1];
            host.fail_row_2 = next_kept(cases[i].row[1]);
            run_shape(&host, &from, plan, 1300, &shapes[k]);
            assert_int_equal(host.status, SB_USER);
            assert_int_equal(host.failure.row, next_kept(cases[i].row[cases[i].wins]));
            assert_int_equal(host.failure.function_index, cases[i].function[cases[i].wins]);
            assert_int_equal(host.failure.op, cases[i].function[cases[i].wins] > 0);
            sb_kit_host_release(&host);
        }
    }
    sb_plan_drop(plan);
}

static void a_batch_function_never_sees_a_cut_batch(void **state)
{
    (void)state;
    sb_plan *plan = plan_batches();
    for (int threads = 1; threads < 3; threads++) {
        sb_kit_host host;
        sb_kit_source from;
        shape how = {threads, 0, 100};
        sb_kit_host_init(&host);
        host.fail_function = 0;
        host.fail_row = 214; /* in the third batch; it overflows */
        assert_int_equal(host.fail_row % 11, 5);
        run_shape(&host, &from, plan, 1000, &how);
        assert_int_equal(host.status, SB_USER);
        assert_int_equal(host.failure.row, 214);
        assert_int_equal(host.failure.seq.batch, 2);
        assert_int_equal(host.batches, 2);
        sb_kit_host_release(&host);
    }
    sb_plan_drop(plan);
}

static void a_failing_batch_function_is_named(void **state)
{
    (void)state;
    sb_plan *plan = plan_batches();
    for (int threads = 1; threads < 3; threads++) {
        sb_kit_host host;
        sb_kit_source from;
        shape how = {threads, 0, 10};
        sb_kit_host_init(&host);
        host.fail_batch = 7;
        run_shape(&host, &from, plan, 1000, &how);
        assert_int_equal(host.status, SB_USER);
        assert_int_equal(host.failure.op, 1);
        assert_int_equal(host.failure.function_index, -1);
        assert_int_equal(host.failure.row, -1);
        assert_int_equal(host.failure.seq.batch, 7);
        assert_int_equal(host.batches, 7);
        sb_kit_host_release(&host);
    }
    sb_plan_drop(plan);
}

static void a_failing_source_comes_after_its_rows(void **state)
{
    (void)state;
    sb_plan *plan = plan_native();
    for (int threads = 1; threads < 3; threads++) {
        sb_kit_host host;
        sb_buf wanted;
        sb_run_options options = {.threads = threads, .morsel_rows = 16};
        sb_kit_source from = {.rows = 1000, .batch_rows = 40, .fail_batch = 5};
        sb_buf_init(&wanted, 0);
        sb_kit_host_init(&host);
        expect_native(&wanted, 200);
        sb_kit_run(&host, plan, &from, &options);
        assert_int_equal(host.status, SB_USER);
        assert_non_null(strstr(host.error.message, "the disk is on fire"));
        assert_int_equal(host.failure.op, -1);
        assert_text(&host.out, &wanted);
        assert_int_equal(from.live, 0);
        sb_kit_host_release(&host);
        sb_buf_release(&wanted);
    }
    sb_plan_drop(plan);
}

/* --- running by the host on demand --------------------------------------------------------------------------------- */

static void functions_can_be_interpreted_in_one_run(void **state)
{
    (void)state;
    static const bool all[] = {true, true, true};
    sb_plan *plan = plan_native();
    sb_kit_host host;
    sb_buf wanted;
    sb_buf_init(&wanted, 0);
    sb_kit_host_init(&host);
    expect_native(&wanted, 9000);
    sb_run_options options = {.threads = 2, .interpret = all, .interpret_count = 3};
    sb_kit_source from = {.rows = 9000, .fail_batch = -1};
    sb_kit_run(&host, plan, &from, &options);
    assert_int_equal(host.status, SB_OK);
    assert_text(&host.out, &wanted);
    assert_int_equal(host.ask_rows, 3 * 9000);
    assert_true(host.ask_rows_max <= 8192);
    options.interpret_count = 2;
    sb_kit_run(&host, plan, &from, &options);
    assert_int_equal(host.status, SB_INVALID);
    sb_kit_host_release(&host);
    sb_buf_release(&wanted);
    sb_plan_drop(plan);
}

static void the_report_counts(void **state)
{
    (void)state;
    sb_plan *plan = plan_native();
    sb_kit_source from = {.rows = 1100, .fail_batch = -1};
    sb_run_options options = {.threads = 1};
    struct ArrowArrayStream stream;
    sb_run *run;
    sb_event event;
    sb_buf json;
    sb_kit_stream(&from, &stream);
    assert_int_equal(sb_run_new(plan, &stream, &options, &run, NULL), SB_OK);
    from.lane = true;
    while (sb_run_next(run, &event, NULL) == SB_OK && event.kind != SB_EVENT_END) {
        if (event.kind == SB_EVENT_ASK) {
            memset(event.ask->valid, 0, (size_t)event.ask->row_count);
            sb_answer answer = {.done_count = event.ask->row_count};
            assert_int_equal(sb_run_answer(run, &answer, NULL), SB_OK);
        } else if (event.kind == SB_EVENT_BATCH) {
            sb_chunk_free(event.chunk);
        }
    }
    sb_buf_init(&json, 0);
    sb_run_report(run, &json);
    assert_non_null(strstr(json.data, "\"name\": \"mul\", \"operator\": 0, \"column\": \"y\""));
    assert_non_null(strstr(json.data, "\"rows\": 1100, \"rows_native\": 0"));
    int left = 0;
    for (int64_t row = 0; row < 1100; row++) {
        left += sb_kit_a_valid(row) && mul_of(row) == -1;
    }
    assert_true(left > 50);
    char wanted[64];
    (void)snprintf(wanted, sizeof wanted, "\"rows_cpython\": %d", left);
    assert_non_null(strstr(json.data, wanted));
    (void)snprintf(wanted, sizeof wanted, "\"rows_left\": {\"overflow\": %d}", left);
    assert_non_null(strstr(json.data, wanted));
    sb_buf_release(&json);
    sb_run_free(run);
    sb_plan_drop(plan);
}

/* --- cancelling, waiting, wrong calls ------------------------------------------------------------------------------ */

static sb_plan *plan_forever(void)
{
    static const char *const y[] = {"y"};
    sb_func *funcs[] = {sb_kit_func("forever", "b", "l", SB_KIT_FOREVER)};
    return with(source(), 1, y, funcs);
}

static void cancel_soon(void *arg)
{
    sb_os_sleep_ns((int64_t)80 * 1000 * 1000);
    sb_run_cancel(arg);
}

static void endless_loops_wake_the_lane_and_can_be_cancelled(void **state)
{
    (void)state;
    for (int threads = 1; threads < 3; threads++) {
        sb_plan *plan = plan_forever();
        sb_kit_source from = {.rows = 10, .fail_batch = -1};
        sb_run_options options = {.threads = threads, .tier = SB_TIER_INTERPRETER};
        struct ArrowArrayStream stream;
        sb_run *run;
        sb_event event;
        sb_thread *thread;
        int wakes = 0;
        sb_kit_stream(&from, &stream);
        assert_int_equal(sb_run_new(plan, &stream, &options, &run, NULL), SB_OK);
        assert_int_equal(sb_thread_start(&thread, "cancel", cancel_soon, run, NULL), SB_OK);
        int64_t start = sb_os_now_ns();
        sb_status status;
        while ((status = sb_run_next(run, &event, NULL)) == SB_OK) {
            assert_int_equal(event.kind, SB_EVENT_WAKE);
            wakes++;
        }
        assert_int_equal(status, SB_CANCELLED);
        assert_int_equal(sb_run_next(run, &event, NULL), SB_CANCELLED);
        assert_true(wakes >= 1);
        sb_thread_join(thread);
        from.lane = true;
        sb_run_free(run);
        assert_true(sb_os_now_ns() - start < (int64_t)2000 * 1000 * 1000);
        assert_int_equal(from.live, 0);
        sb_plan_drop(plan);
    }
}

static void wrong_calls_are_told(void **state)
{
    (void)state;
    sb_plan *plan = plan_filters();
    sb_kit_source from = {.rows = 10, .fail_batch = -1};
    struct ArrowArrayStream stream;
    sb_run *run;
    sb_event event;
    sb_answer answer = {.done_count = 11};
    sb_kit_stream(&from, &stream);
    assert_int_equal(sb_run_new(plan, &stream, NULL, &run, NULL), SB_OK);
    assert_null(stream.release);
    assert_int_equal(sb_run_answer(run, &answer, NULL), SB_STATE);
    assert_int_equal(sb_run_next(run, &event, NULL), SB_OK);
    assert_int_equal(event.kind, SB_EVENT_ASK);
    assert_int_equal(sb_run_next(run, &event, NULL), SB_STATE);
    assert_int_equal(sb_run_answer(run, &answer, NULL), SB_INVALID);
    answer.done_count = -1;
    assert_int_equal(sb_run_answer(run, &answer, NULL), SB_INVALID);
    from.lane = true;
    sb_run_free(run); /* with a question open */
    assert_int_equal(from.live, 0);
    sb_run_free(NULL);

    static const char *const names[] = {"a"};
    sb_plan *other = NULL;
    sb_type *column[1], *schema = NULL;
    assert_int_equal(sb_type_new("g", names[0], 0, &column[0], NULL), SB_OK);
    assert_int_equal(sb_type_new_struct(column, 1, NULL, &schema, NULL), SB_OK);
    assert_int_equal(sb_plan_new_source("OTHER", schema, &other, NULL), SB_OK);
    sb_kit_stream(&from, &stream);
    assert_int_equal(sb_run_new(other, &stream, NULL, &run, NULL), SB_TYPE);
    assert_non_null(stream.release); /* still the caller's */
    sb_type_drop(schema);
    sb_plan_drop(other);
    sb_plan_drop(plan);
}

static void a_forked_child_is_told(void **state)
{
    (void)state;
    sb_plan *plan = plan_native();
    sb_kit_source from = {.rows = 100, .batch_rows = 10, .fail_batch = -1};
    sb_run_options options = {.threads = 2, .morsel_rows = 1};
    struct ArrowArrayStream stream;
    sb_run *run;
    sb_event event = {0};
    sb_kit_stream(&from, &stream);
    assert_int_equal(sb_run_new(plan, &stream, &options, &run, NULL), SB_OK);
    while (event.kind != SB_EVENT_ASK) {
        assert_int_equal(sb_run_next(run, &event, NULL), SB_OK);
        if (event.kind == SB_EVENT_BATCH) {
            sb_chunk_free(event.chunk);
        }
    }
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        sb_answer answer = {.done_count = 0};
        bool right = sb_run_next(run, &event, NULL) == SB_STATE &&
                     sb_run_answer(run, &answer, NULL) == SB_STATE;
        sb_run_cancel(run);
        sb_run_free(run);
        _exit(right ? 0 : 1);
    }
    int code = 1;
    assert_int_equal(waitpid(pid, &code, 0), pid);
    assert_int_equal(code, 0);
    from.lane = true;
    sb_run_free(run);
    sb_plan_drop(plan);
}

/* --- failing allocations ------------------------------------------------------------------------------------------- */

#ifdef SB_FAULTS
/* Everything from the plan on, with the nth allocation failing; true when it was not reached. */
static bool fault_round(plan_fn make, const shape *how, int64_t nth)
{
    int64_t live = sb_mem_live_blocks();
    sb_kit_host host;
    sb_kit_source from = {.rows = 48, .batch_rows = how->batch_rows, .fail_batch = -1};
    sb_run_options options = {.threads = how->threads, .morsel_rows = how->morsel_rows};
    sb_kit_host_init(&host);
    host.drop_function = 2;
    sb_fault_arm(nth, false);
    sb_plan *plan = make();
    if (plan != NULL) {
        sb_kit_run(&host, plan, &from, &options);
    }
    sb_fault_arm(0, false);
    bool hit = sb_fault_hit();
    if (plan != NULL && !hit) {
        assert_int_equal(host.status, SB_OK);
    } else if (plan != NULL && host.status != SB_OK) {
        assert_true(host.status == SB_NO_MEMORY || host.status == SB_CANCELLED);
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
    static const shape how[] = {{1, 0, 20}, {2, 16, 30}};
    for (size_t p = 0; p < SB_COUNT_OF(plans); p++) {
        for (size_t k = 0; k < SB_COUNT_OF(how); k++) {
            int64_t nth = 1;
            while (!fault_round(plans[p], &how[k], nth)) {
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
        cmocka_unit_test(rows_are_those_of_python),
        cmocka_unit_test(every_shape_gives_the_same),
        cmocka_unit_test(batch_functions_see_whole_batches),
        cmocka_unit_test(dropped_rows_are_in_no_column),
        cmocka_unit_test(rows_before_a_failure_may_be_dropped),
        cmocka_unit_test(a_dropped_batch_gives_no_rows),
        cmocka_unit_test(the_first_failing_row_ends_the_run),
        cmocka_unit_test(the_lower_of_two_failures_wins),
        cmocka_unit_test(a_batch_function_never_sees_a_cut_batch),
        cmocka_unit_test(a_failing_batch_function_is_named),
        cmocka_unit_test(a_failing_source_comes_after_its_rows),
        cmocka_unit_test(functions_can_be_interpreted_in_one_run),
        cmocka_unit_test(the_report_counts),
        cmocka_unit_test(endless_loops_wake_the_lane_and_can_be_cancelled),
        cmocka_unit_test(wrong_calls_are_told),
        cmocka_unit_test(a_forked_child_is_told),
#ifdef SB_FAULTS
        cmocka_unit_test(failing_allocations_end_the_run_cleanly),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
