/* The public C interface as a host uses it: functions, plans and runs through sabot.h alone, every call with failing
 * allocations, and the mistakes of a caller. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "front/front_vectors.inc"
#include "sabot.h"

#define ROWS 10

/* --- a source: batches of two int64 columns, x and y ------------------------------------------------------------------ */

typedef struct source {
    int64_t values[2][ROWS];
    int64_t next; /* first row of the next batch */
    int64_t batch_rows;
    int live; /* arrays not released */
} source;

static struct ArrowSchema field_schemas[2];
static struct ArrowSchema *field_pointers[2] = {&field_schemas[0], &field_schemas[1]};

static void keep_schema(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static struct ArrowSchema two_columns(void)
{
    field_schemas[0] =
        (struct ArrowSchema){.format = "l", .name = "x", .flags = 2, .release = keep_schema};
    field_schemas[1] =
        (struct ArrowSchema){.format = "l", .name = "y", .flags = 2, .release = keep_schema};
    return (struct ArrowSchema){.format = "+s",
                                .name = "",
                                .n_children = 2,
                                .children = field_pointers,
                                .release = keep_schema};
}

typedef struct batch {
    source *from;
    const void *buffers[1];
    const void *column_buffers[2][2];
    struct ArrowArray columns[2];
    struct ArrowArray *pointers[2];
} batch;

static void column_release(struct ArrowArray *array)
{
    array->release = NULL;
}

static void batch_release(struct ArrowArray *array)
{
    batch *held = array->private_data;
    held->from->live--;
    sb_mem_free(held);
    array->release = NULL;
}

static int source_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    (void)stream;
    *out = two_columns();
    return 0;
}

static int source_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    source *from = stream->private_data;
    *out = (struct ArrowArray){0};
    int64_t rows = ROWS - from->next < from->batch_rows ? ROWS - from->next : from->batch_rows;
    if (rows <= 0) {
        return 0;
    }
    batch *held = sb_mem_alloc_zero(sizeof(*held));
    if (held == NULL) {
        return 12;
    }
    held->from = from;
    for (int k = 0; k < 2; k++) {
        held->column_buffers[k][1] = &from->values[k][from->next];
        held->columns[k] = (struct ArrowArray){.length = rows,
                                               .n_buffers = 2,
                                               .buffers = held->column_buffers[k],
                                               .release = column_release};
        held->pointers[k] = &held->columns[k];
    }
    *out = (struct ArrowArray){.length = rows,
                               .n_buffers = 1,
                               .buffers = held->buffers,
                               .n_children = 2,
                               .children = held->pointers,
                               .release = batch_release,
                               .private_data = held};
    from->next += rows;
    from->live++;
    return 0;
}

static const char *source_error(struct ArrowArrayStream *stream)
{
    (void)stream;
    return "no memory";
}

static void source_release(struct ArrowArrayStream *stream)
{
    stream->release = NULL;
}

static struct ArrowArrayStream source_open(source *from, int64_t batch_rows)
{
    *from = (source){.batch_rows = batch_rows};
    for (int64_t i = 0; i < ROWS; i++) {
        from->values[0][i] = i;
        from->values[1][i] = 100 * i;
    }
    return (struct ArrowArrayStream){.get_schema = source_schema,
                                     .get_next = source_next,
                                     .get_last_error = source_error,
                                     .release = source_release,
                                     .private_data = from};
}

static const front_vector *vector_named(const char *name)
{
    for (size_t k = 0; k < sizeof(front_vectors) / sizeof(front_vectors[0]); k++) {
        if (strcmp(front_vectors[k].name, name) == 0) {
            return &front_vectors[k];
        }
    }
    return NULL;
}

/* --- the whole way ------------------------------------------------------------------------------------------------------ */

typedef struct world {
    sabot_session *session;
    sabot_function *function;
    sabot_plan *start, *plan;
    sabot_run *run;
    source from;
    struct ArrowArrayStream stream;
    int64_t sum, rows, called; /* of the output column, of all batches, rows asked of the host */
    sabot_error err;
} world;

static void world_release(world *w)
{
    sabot_run_free(w->run);
    if (w->stream.release != NULL) {
        w->stream.release(&w->stream);
    }
    sabot_plan_free(w->plan);
    sabot_plan_free(w->start);
    sabot_function_free(w->function);
    sabot_session_free(w->session);
}

static sabot_status make_plan(world *w)
{
    static const char *const names[] = {"z"};
    const front_vector *vector = vector_named("add_ints");
    struct ArrowSchema schema = two_columns();
    sabot_status status = sabot_session_new(NULL, &w->session, &w->err);
    if (status == SABOT_OK) {
        status = sabot_function_new(w->session, vector->blob, vector->blob_size, &schema, false,
                                    &w->function, &w->err);
    }
    if (status == SABOT_OK) {
        status = sabot_plan_new(w->session, "TEST", &schema, &w->start, &w->err);
    }
    if (status == SABOT_OK) {
        status = sabot_plan_with_columns(w->start, 1, names, &w->function, &w->plan, &w->err);
    }
    return status;
}

static void take_batch(world *w, sabot_event *event)
{
    const struct ArrowArray *z = event->array.children[2];
    const int64_t *values = z->buffers[1];
    for (int64_t i = 0; i < z->length; i++) {
        w->sum += values[z->offset + i];
    }
    w->rows += event->array.length;
    event->array.release(&event->array);
    event->schema.release(&event->schema);
}

/* The host's part: rows that left are answered with -1. */
static sabot_status answer_rows(world *w, const sabot_event *event)
{
    for (int64_t i = 0; i < event->row_count; i++) {
        ((int64_t *)event->values)[i] = -1;
        event->valid[i] = 1;
    }
    w->called += event->row_count;
    return sabot_run_reply_rows(w->run, event->row_count, NULL, NULL, &w->err);
}

static sabot_status drive(world *w)
{
    for (;;) {
        sabot_event event = {0};
        sabot_status status = sabot_run_next(w->run, &event, &w->err);
        if (status != SABOT_OK || event.kind == SABOT_EVENT_END) {
            return status;
        }
        if (event.kind == SABOT_EVENT_BATCH) {
            take_batch(w, &event);
        } else if (event.kind == SABOT_EVENT_CALL_ROWS) {
            status = answer_rows(w, &event);
            if (status != SABOT_OK) {
                return status;
            }
        }
    }
}

static sabot_status run_all(world *w, int64_t big_row)
{
    sabot_status status = make_plan(w);
    w->stream = source_open(&w->from, 4);
    if (big_row >= 0) {
        w->from.values[0][big_row] = INT64_MAX;
    }
    sabot_run_options options = {.threads = 2};
    if (status == SABOT_OK) {
        status = sabot_run_new(w->plan, &w->stream, &options, &w->run, &w->err);
    }
    return status == SABOT_OK ? drive(w) : status;
}

static void test_function_runs(void **state)
{
    (void)state;
    world w = {0};
    /* The vector's function is x + y. */
    assert_int_equal(run_all(&w, -1), SABOT_OK);
    assert_int_equal(w.rows, ROWS);
    assert_int_equal(w.sum, 45 * 101);
    assert_int_equal(w.called, 0);
    world_release(&w);
    assert_int_equal(w.from.live, 0);
}

static void test_leaving_row_is_asked_of_the_host(void **state)
{
    (void)state;
    world w = {0};
    assert_int_equal(run_all(&w, 5), SABOT_OK);
    assert_int_equal(w.called, 1);
    assert_int_equal(w.sum, 45 * 101 - 5 * 101 - 1);
    char *report = NULL;
    assert_int_equal(sabot_run_report(w.run, &report, &w.err), SABOT_OK);
    assert_non_null(strstr(report, "\"overflow\": 1"));
    sabot_text_free(report);
    world_release(&w);
}

/* --- looking -------------------------------------------------------------------------------------------------------------- */

static void test_texts(void **state)
{
    (void)state;
    world w = {0};
    char *text = NULL;
    assert_int_equal(make_plan(&w), SABOT_OK);
    assert_int_equal(sabot_function_text(w.session, w.function, "ir", &text, &w.err), SABOT_OK);
    assert_non_null(strstr(text, "py_add_i64"));
    sabot_text_free(text);
    assert_int_equal(sabot_function_text(w.session, w.function, "llvm", &text, &w.err), SABOT_OK);
    assert_non_null(strstr(text, "sabot_fast"));
    sabot_text_free(text);
    assert_int_equal(sabot_function_text(w.session, w.function, "asm", &text, &w.err),
                     SABOT_UNSUPPORTED);
    assert_int_equal(sabot_function_text(w.session, w.function, "tea", &text, &w.err),
                     SABOT_INVALID);
    assert_int_equal(sabot_function_report(w.function, &text, &w.err), SABOT_OK);
    assert_non_null(strstr(text, "\"mode\": \"compiled\""));
    sabot_text_free(text);
    assert_int_equal(sabot_session_stats(w.session, &text, &w.err), SABOT_OK);
    assert_non_null(strstr(text, "\"helper_pid\": 0"));
    assert_non_null(strstr(text, "\"functions\": {\"compiled\": 1, \"interpreted\": 0, "));
    assert_non_null(strstr(text, "\"rows\": {\"native\": 0, \"interpreter\": "));
    sabot_text_free(text);
    assert_int_equal(sabot_plan_explain(w.plan, &text, &w.err), SABOT_OK);
    assert_non_null(strstr(text, "WITH"));
    sabot_text_free(text);
    assert_string_equal(sabot_function_result_format(w.function), "l");
    assert_int_equal(sabot_function_param_count(w.function), 2);
    assert_int_equal(sabot_function_param_index(w.function, 1), 1);
    assert_string_equal(sabot_function_param_column(w.function, 1), "y");
    assert_int_equal(sabot_function_param_index(w.function, 2), -1);
    assert_null(sabot_function_param_column(w.function, -1));
    assert_true(sabot_function_is_compiled(w.function));
    world_release(&w);
}

/* --- several results ------------------------------------------------------------------------------------------------------ */

static const char *const key_names[] = {"p"};
static const char *const map_columns[] = {"y", NULL};
static const char *const map_names[] = {"again", "p"};

/* add_ints gives no tuple, so the type of its one item cannot be told. */
static sabot_status make_map(world *w, sabot_function **function, sabot_plan **plan)
{
    const front_vector *vector = vector_named("add_ints");
    struct ArrowSchema schema = two_columns();
    sabot_status status = sabot_function_new_keys(w->session, vector->blob, vector->blob_size,
                                                  &schema, key_names, 1, false, function, &w->err);
    return status == SABOT_OK
               ? sabot_plan_map(w->start, *function, 1, map_columns, map_names, plan, &w->err)
               : status;
}

static void assert_reported(sabot_function *function, const char *wanted, bool there)
{
    char *json = NULL;
    assert_int_equal(sabot_function_report(function, &json, NULL), SABOT_OK);
    assert_int_equal(strstr(json, wanted) != NULL, there);
    sabot_text_free(json);
}

/* What the host computes a function with, or why it does not, stands in its report in place of the refusals. */
static void check_host(sabot_function *function)
{
    assert_int_equal(sabot_function_set_host(function, NULL, NULL, NULL), SABOT_INVALID);
    assert_int_equal(sabot_function_set_host(function, "numba", "both", NULL), SABOT_INVALID);
    assert_reported(function, "\"mode\": \"interpreted\"", true);
    assert_reported(function, "\"code\"", true);
    assert_int_equal(sabot_function_set_host(function, NULL, "refused", NULL), SABOT_OK);
    assert_reported(function, "\"code\"", false);
    assert_int_equal(sabot_function_set_host(function, "numba", NULL, NULL), SABOT_OK);
    assert_reported(function, "\"mode\": \"numba\"", true);
}

/* Phases that are none are refused. */
static void check_phases(const world *given, sabot_plan *plan)
{
    world w = *given;
    sabot_plan *refused = NULL;
    const sabot_phase phases[] = {{plan, true}, {NULL, true}};
    assert_int_equal(sabot_plan_phased(NULL, 1, phases, plan, &refused, &w.err), SABOT_INVALID);
    assert_int_equal(sabot_plan_phased(w.start, 1, NULL, plan, &refused, &w.err), SABOT_INVALID);
    assert_int_equal(sabot_plan_phased(w.start, 2, phases, plan, &refused, &w.err), SABOT_INVALID);
    assert_int_equal(sabot_plan_phased(w.start, 1, phases, NULL, &refused, &w.err), SABOT_INVALID);
    assert_int_equal(sabot_plan_phased(w.start, 1, phases, plan, NULL, &w.err), SABOT_INVALID);
    assert_int_equal(sabot_plan_phased(w.start, 1, phases, plan, &refused, &w.err), SABOT_INVALID);
    assert_null(refused);
}

static void test_maps(void **state)
{
    (void)state;
    world w = {0};
    sabot_function *function = NULL, *none = NULL;
    sabot_plan *plan = NULL, *refused = NULL;
    struct ArrowSchema schema = two_columns();
    char *text = NULL;
    assert_int_equal(make_plan(&w), SABOT_OK);
    assert_int_equal(make_map(&w, &function, &plan), SABOT_OK);
    assert_false(sabot_function_is_compiled(function));
    check_host(function);
    assert_string_equal(sabot_function_result_format(function), "+s");
    assert_int_equal(sabot_function_key_count(function), 1);
    assert_string_equal(sabot_function_key_format(function, 0), "");
    assert_null(sabot_function_key_format(function, 1));
    assert_null(sabot_function_key_format(w.function, 0));
    assert_int_equal(sabot_function_key_count(w.function), 0);
    assert_int_equal(sabot_plan_explain(plan, &text, &w.err), SABOT_OK);
    assert_non_null(strstr(text, "passes again"));
    sabot_text_free(text);
    assert_int_equal(
        sabot_function_new_keys(w.session, "x", 1, &schema, NULL, 1, false, &none, &w.err),
        SABOT_INVALID);
    assert_int_equal(
        sabot_function_new_keys(w.session, "x", 1, &schema, key_names, 0, false, &none, &w.err),
        SABOT_INVALID);
    assert_int_equal(sabot_plan_map(w.start, NULL, 1, map_columns, map_names, &refused, &w.err),
                     SABOT_INVALID);
    assert_int_equal(sabot_plan_map(w.start, w.function, 1, map_columns, map_names, &refused, NULL),
                     SABOT_INVALID);
    assert_int_equal(sabot_plan_lowered(w.start, NULL, function, false, 1, map_columns, map_names,
                                        NULL, &refused, &w.err),
                     SABOT_INVALID);
    assert_int_equal(sabot_plan_lowered(w.start, "f", function, false, 1, NULL, map_names, NULL,
                                        &refused, &w.err),
                     SABOT_INVALID);
    const sabot_stage stages[] = {{function, 1, NULL}, {NULL, 0, NULL}, {function, 0, NULL}};
    for (int k = 0; k < 3; k++) {
        assert_int_equal(sabot_plan_staged(w.start, "f", function, false, 1, map_columns, map_names,
                                           NULL, 1, &stages[k], &refused, &w.err),
                         SABOT_INVALID);
    }
    assert_int_equal(sabot_plan_staged(w.start, "f", function, false, 1, map_columns, map_names,
                                       NULL, 0, stages, &refused, &w.err),
                     SABOT_INVALID);
    check_phases(&w, plan);
    assert_int_equal(sabot_plan_masked(w.start, "f", function, 1, map_columns, map_names, NULL,
                                       NULL, 0, NULL, &refused, &w.err),
                     SABOT_INVALID);
    assert_int_equal(sabot_plan_masked(w.start, "f", function, 1, map_columns, map_names, "none",
                                       NULL, 0, NULL, &refused, &w.err),
                     SABOT_INVALID);
    assert_int_equal(sabot_plan_masked(w.start, "f", function, 1, map_columns, map_names, "none",
                                       NULL, 1, stages, &refused, &w.err),
                     SABOT_INVALID);
    assert_null(refused);
    sabot_plan_free(plan);
    assert_int_equal(sabot_plan_lowered(w.start, "f\tby rows", function, false, 1, map_columns,
                                        map_names, NULL, &plan, &w.err),
                     SABOT_OK);
    assert_int_equal(sabot_plan_explain(plan, &text, &w.err), SABOT_OK);
    assert_non_null(strstr(text, "MAP    f"));
    assert_non_null(strstr(text, "by rows"));
    sabot_text_free(text);
    sabot_plan_free(plan);
    sabot_function_free(function);
    world_release(&w);
}

/* --- mistakes ------------------------------------------------------------------------------------------------------------- */

static void test_null_arguments(void **state)
{
    (void)state;
    world w = {0};
    struct ArrowSchema released = {0};
    char *text = NULL;
    sabot_event event;
    assert_int_equal(make_plan(&w), SABOT_OK);
    assert_int_equal(sabot_session_new(NULL, NULL, &w.err), SABOT_INVALID);
    assert_int_equal(sabot_session_stats(NULL, &text, NULL), SABOT_INVALID);
    int64_t entries = 0;
    assert_int_equal(sabot_cache_new(NULL, NULL, &w.err), SABOT_INVALID);
    assert_int_equal(sabot_cache_configure(NULL, NULL, &w.err), SABOT_INVALID);
    assert_int_equal(sabot_cache_stats(NULL, false, &text, &w.err), SABOT_INVALID);
    assert_int_equal(sabot_cache_clear(NULL, &entries, &w.err), SABOT_INVALID);
    assert_int_equal(sabot_cache_clear("relative", &entries, &w.err), SABOT_INVALID);
    sabot_cache_free(NULL);
    double value = 0;
    assert_int_equal(sabot_math_value("exp", 0.0, 0.0, &value), 1);
    assert_true(value == 1.0);
    assert_int_equal(sabot_math_value("log", -1.0, 0.0, &value), 0);
    assert_int_equal(sabot_math_value("nope", 1.0, 0.0, &value), -1);
    assert_int_equal(sabot_math_value(NULL, 1.0, 0.0, &value), -1);
    assert_int_equal(sabot_function_new(w.session, "x", 1, &released, false, &w.function, NULL),
                     SABOT_INVALID);
    assert_int_equal(sabot_function_report(NULL, &text, &w.err), SABOT_INVALID);
    assert_int_equal(sabot_function_text(w.session, NULL, "ir", &text, &w.err), SABOT_INVALID);
    assert_int_equal(sabot_plan_new(w.session, NULL, NULL, &w.plan, &w.err), SABOT_INVALID);
    assert_int_equal(sabot_plan_filter(NULL, w.function, &w.plan, &w.err), SABOT_INVALID);
    assert_int_equal(sabot_run_new(NULL, NULL, NULL, &w.run, &w.err), SABOT_INVALID);
    assert_int_equal(sabot_run_next(NULL, &event, &w.err), SABOT_INVALID);
    assert_int_equal(sabot_run_reply_rows(NULL, 0, NULL, NULL, &w.err), SABOT_INVALID);
    sabot_run_cancel(NULL);
    sabot_run_free(NULL);
    sabot_plan_free(NULL);
    sabot_function_free(NULL);
    sabot_session_free(NULL);
    world_release(&w);
}

static void test_malformed_blob(void **state)
{
    (void)state;
    world w = {0};
    sabot_function *function = NULL;
    const front_vector *vector = vector_named("add_ints");
    struct ArrowSchema schema = two_columns();
    assert_int_equal(make_plan(&w), SABOT_OK);
    for (size_t size = 0; size < vector->blob_size; size++) {
        assert_int_equal(
            sabot_function_new(w.session, vector->blob, size, &schema, false, &function, &w.err),
            SABOT_INVALID);
    }
    world_release(&w);
}

/* --- failing allocations ---------------------------------------------------------------------------------------------------- */

#ifdef SB_FAULTS

static sabot_status all_calls_of_a_cache(world *w, sabot_cache *cache)
{
    sabot_session *session = NULL;
    char *text = NULL;
    const sabot_session_options options = {.cache = cache};
    sabot_status status = sabot_session_new(&options, &session, &w->err);
    sabot_session_free(session);
    if (status == SABOT_OK) {
        status = sabot_cache_configure(cache, NULL, &w->err);
    }
    for (int usage = 0; usage < 2 && status == SABOT_OK; usage++) {
        status = sabot_cache_stats(cache, usage == 1, &text, &w->err);
        sabot_text_free(text);
        text = NULL;
    }
    return status;
}

static sabot_status all_calls(world *w)
{
    static const char *const names[] = {"z", "x"};
    sabot_status status = run_all(w, 5);
    char *text = NULL;
    sabot_plan *made = NULL;
    struct ArrowSchema schema = {0};
    bool deferred = false;
    if (status == SABOT_OK) {
        status = sabot_run_report(w->run, &text, &w->err);
        sabot_text_free(text);
        text = NULL;
    }
    if (status == SABOT_OK) {
        status = sabot_function_report(w->function, &text, &w->err);
        sabot_text_free(text);
        text = NULL;
    }
    if (status == SABOT_OK) {
        status = sabot_function_text(w->session, w->function, "llvm", &text, &w->err);
        sabot_text_free(text);
        text = NULL;
    }
    if (status == SABOT_OK) {
        status = sabot_session_stats(w->session, &text, &w->err);
        sabot_text_free(text);
        text = NULL;
    }
    if (status == SABOT_OK) {
        status = sabot_plan_explain(w->plan, &text, &w->err);
        sabot_text_free(text);
    }
    if (status == SABOT_OK) {
        status = sabot_plan_schema(w->plan, &schema, &deferred, &w->err);
    }
    if (status == SABOT_OK) {
        schema.release(&schema);
        status = sabot_plan_select(w->plan, 2, names, &made, &w->err);
    }
    if (status == SABOT_OK) {
        sabot_plan_free(made);
        status = sabot_plan_filter(w->plan, w->function, &made, &w->err);
    }
    if (status == SABOT_OK) {
        sabot_plan_free(made);
        status = sabot_plan_batch(w->plan, "f", NULL, false, &made, &w->err);
    }
    if (status == SABOT_OK) {
        sabot_plan_free(made);
        made = NULL;
        sabot_function *function = NULL;
        status = make_map(w, &function, &made);
        sabot_plan_free(made);
        made = NULL;
        if (status == SABOT_OK) {
            status = sabot_plan_lowered(w->start, "f", function, false, 1, map_columns, map_names,
                                        NULL, &made, &w->err);
        }
        sabot_plan_free(made);
        sabot_function_free(function);
    }
    if (status == SABOT_OK) {
        sabot_cache *cache = NULL;
        status = sabot_cache_new(NULL, &cache, &w->err);
        if (status == SABOT_OK) {
            status = all_calls_of_a_cache(w, cache);
        }
        sabot_cache_free(cache);
    }
    return status;
}

static void test_every_call_with_failing_allocations(void **state)
{
    (void)state;
    int64_t live = sb_mem_live_blocks();
    for (int64_t nth = 1;; nth++) {
        world w = {0};
        sb_fault_arm(nth, false);
        sabot_status status = all_calls(&w);
        bool hit = sb_fault_hit();
        sb_fault_arm(0, false);
        world_release(&w);
        assert_int_equal(sb_mem_live_blocks(), live);
        assert_int_equal(w.from.live, 0);
        if (!hit) {
            assert_int_equal(status, SABOT_OK);
            assert_true(nth > 50);
            return;
        }
        /* A fault in something optional (a counter, native code) may cost nothing; else the error says what it is. */
        if (status != SABOT_OK) {
            assert_int_equal(w.err.status, status);
            assert_true(strlen(w.err.message) > 0);
        }
        world again = {0};
        assert_int_equal(all_calls(&again), SABOT_OK);
        world_release(&again);
    }
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_function_runs),
        cmocka_unit_test(test_leaving_row_is_asked_of_the_host),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_maps),
        cmocka_unit_test(test_null_arguments),
        cmocka_unit_test(test_malformed_blob),
#ifdef SB_FAULTS
        cmocka_unit_test(test_every_call_with_failing_allocations),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
