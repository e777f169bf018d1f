/* Tests of the plan and run part of sabot.h, called as a host calls it: results, calls of rows and batches, failures, wrong arguments,
 * failing allocations in each call. */
#include "sabot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "exec/testkit.h"

typedef struct fixture {
    sabot_session *session;
    struct ArrowSchema schema;
    sb_func *mul, *score;
    sabot_plan *source, *with, *batch;
} fixture;

static sabot_function *handle(sb_func *func)
{
    return (sabot_function *)(void *)func;
}

/* The plan: y = mul(a, b), z = score(x, b, c), then a batch function. */
static sabot_status open_fixture(fixture *f, sabot_error *err)
{
    static const char *const names[] = {"y", "z"};
    sb_type *type = sb_kit_schema();
    sabot_status status = SABOT_NO_MEMORY;
    if (type != NULL && sb_type_export(type, &f->schema, NULL) == SB_OK) {
        f->mul = sb_kit_func("mul", "a,b", "l", SB_KIT_MUL);
        f->score = sb_kit_func("score", "x,b,c", "g", NULL);
    }
    sb_type_drop(type);
    if (f->mul == NULL || f->score == NULL) {
        return status;
    }
    sabot_function *functions[] = {handle(f->mul), handle(f->score)};
    status = sabot_session_new(NULL, &f->session, err);
    if (status == SABOT_OK) {
        status = sabot_plan_new(f->session, "KIT", &f->schema, &f->source, err);
    }
    if (status == SABOT_OK) {
        status = sabot_plan_with_columns(f->source, 2, names, functions, &f->with, err);
    }
    if (status == SABOT_OK) {
        status = sabot_plan_batch(f->with, "same", NULL, false, &f->batch, err);
    }
    return status;
}

static void close_fixture(fixture *f)
{
    sabot_plan_free(f->batch);
    sabot_plan_free(f->with);
    sabot_plan_free(f->source);
    sabot_session_free(f->session);
    sb_func_drop(f->mul);
    sb_func_drop(f->score);
    if (f->schema.release != NULL) {
        f->schema.release(&f->schema);
    }
}

typedef struct outcome {
    int64_t rows, batches, row_calls, batch_calls;
    sabot_status status;
    sabot_error err;
    int32_t op, function_index;
    int64_t source_row, seq;
} outcome;

static sabot_status reply_rows(sabot_run *run, const sabot_event *event, int64_t fail_row,
                               sabot_error *err)
{
    int64_t done = 0;
    for (; done < event->row_count; done++) {
        int64_t at = event->rows != NULL ? event->rows[done] : done;
        int64_t row =
            event->source_rows != NULL ? event->source_rows[done] : event->source_row + at;
        if (row == fail_row) {
            break;
        }
        event->valid[done] = 1;
        if (event->result_format[0] == 'l') {
            ((int64_t *)event->values)[done] = row;
        } else {
            ((double *)event->values)[done] = (double)row;
        }
    }
    return sabot_run_reply_rows(run, done, NULL, done < event->row_count ? "boom" : NULL, err);
}

static sabot_status serve(sabot_run *run, sabot_event *event, int64_t fail_row, outcome *out)
{
    sabot_status status = SABOT_OK;
    switch (event->kind) {
    case SABOT_EVENT_BATCH:
        out->rows += event->array.length;
        out->batches++;
        event->array.release(&event->array);
        event->schema.release(&event->schema);
        break;
    case SABOT_EVENT_CALL_ROWS:
        out->row_calls++;
        status = reply_rows(run, event, fail_row, &out->err);
        break;
    case SABOT_EVENT_CALL_BATCH:
        out->batch_calls++;
        status = sabot_run_reply_batch(run, &event->array, &event->schema, NULL, &out->err);
        if (status != SABOT_OK) {
            event->array.release(&event->array);
            event->schema.release(&event->schema);
        } else {
            assert_null(event->array.release);
            assert_null(event->schema.release);
        }
        break;
    case SABOT_EVENT_PULL:
    case SABOT_EVENT_WAKE:
    case SABOT_EVENT_END:
        break;
    }
    return status;
}

static void run_plan(sabot_plan *plan, int32_t threads, int64_t fail_row, outcome *out)
{
    sb_kit_source from = {.rows = 300, .batch_rows = 100, .fail_batch = -1};
    sabot_run_options options = {.threads = threads, .morsel_rows = 30};
    struct ArrowArrayStream stream;
    sabot_run *run = NULL;
    sabot_event event = {0};
    char *json = NULL;
    *out = (outcome){0};
    sb_kit_stream(&from, &stream);
    out->status = sabot_run_new(plan, &stream, &options, &run, &out->err);
    while (out->status == SABOT_OK) {
        out->status = sabot_run_next(run, &event, &out->err);
        if (out->status != SABOT_OK || event.kind == SABOT_EVENT_END) {
            break;
        }
        out->status = serve(run, &event, fail_row, out);
    }
    if (run != NULL) {
        sabot_run_failure(run, &out->op, &out->function_index, &out->source_row, &out->seq);
        if (out->status == SABOT_OK) {
            out->status = sabot_run_report(run, &json, &out->err);
            sabot_text_free(json);
        }
    }
    sabot_run_free(run);
    if (stream.release != NULL) {
        stream.release(&stream);
    }
    assert_int_equal(from.live, 0);
}

static void a_run_serves_its_host(void **state)
{
    (void)state;
    fixture f = {0};
    outcome out;
    assert_int_equal(open_fixture(&f, NULL), SABOT_OK);
    for (int32_t threads = 1; threads < 3; threads++) {
        run_plan(f.batch, threads, -1, &out);
        assert_int_equal(out.status, SABOT_OK);
        assert_int_equal(out.rows, 300);
        assert_int_equal(out.batch_calls, 3);
        assert_true(out.row_calls > 3);
        assert_int_equal(out.op, -1);
        run_plan(f.with, threads, 234, &out);
        assert_int_equal(out.status, SABOT_USER);
        assert_int_equal(out.err.status, SABOT_USER);
        assert_string_equal(out.err.message, "boom");
        assert_int_equal(out.rows, 234);
        assert_int_equal(out.op, 0);
        assert_int_equal(out.function_index, 1); /* row 234 does not leave the first */
        assert_int_equal(out.source_row, 234);
        assert_int_equal(out.seq, 2);
    }
    close_fixture(&f);
}

static void plans_can_be_looked_at(void **state)
{
    (void)state;
    fixture f = {0};
    struct ArrowSchema schema;
    bool deferred = true;
    char *text;
    assert_int_equal(open_fixture(&f, NULL), SABOT_OK);
    assert_int_equal(sabot_plan_schema(f.with, &schema, &deferred, NULL), SABOT_OK);
    assert_false(deferred);
    assert_int_equal(schema.n_children, 7);
    assert_string_equal(schema.children[6]->name, "z");
    schema.release(&schema);
    assert_int_equal(sabot_plan_schema(f.batch, &schema, &deferred, NULL), SABOT_OK);
    assert_true(deferred);
    assert_null(schema.release);
    assert_int_equal(sabot_plan_input_schema(f.with, 0, &schema, &deferred, NULL), SABOT_OK);
    assert_false(deferred);
    assert_int_equal(schema.n_children, 5);
    schema.release(&schema);
    assert_int_equal(sabot_plan_input_schema(f.batch, 1, &schema, &deferred, NULL), SABOT_OK);
    assert_int_equal(schema.n_children, 7);
    schema.release(&schema);
    for (int32_t op = -1; op < 3; op++) {
        if (op != 0 && op != 1) {
            assert_int_equal(sabot_plan_input_schema(f.batch, op, &schema, &deferred, NULL),
                             SABOT_INVALID);
        }
    }
    assert_int_equal(sabot_plan_explain(f.with, &text, NULL), SABOT_OK);
    assert_non_null(strstr(text, "WITH   y = mul(a, b)"));
    sabot_text_free(text);
    close_fixture(&f);
}

static void wrong_arguments_are_told(void **state)
{
    (void)state;
    static const char *const names[] = {NULL};
    fixture f = {0};
    sabot_plan *plan = NULL;
    sabot_run *run = NULL;
    sabot_error err;
    struct ArrowArrayStream stream = {0};
    sabot_event event;
    char *text;
    bool deferred;
    assert_int_equal(open_fixture(&f, NULL), SABOT_OK);
    sabot_function *functions[] = {handle(f.mul)};
    assert_int_equal(sabot_plan_new(NULL, "T", &f.schema, &plan, &err), SABOT_INVALID);
    assert_int_equal(sabot_plan_new(f.session, "T", NULL, &plan, &err), SABOT_INVALID);
    assert_int_equal(sabot_plan_with_columns(f.source, 1, names, functions, &plan, &err),
                     SABOT_INVALID);
    assert_int_equal(sabot_plan_with_columns(f.source, 1, NULL, functions, &plan, &err),
                     SABOT_INVALID);
    assert_int_equal(sabot_plan_filter(f.source, NULL, &plan, &err), SABOT_INVALID);
    assert_int_equal(sabot_plan_select(f.source, 1, names, &plan, &err), SABOT_INVALID);
    assert_int_equal(sabot_plan_batch(f.source, NULL, NULL, false, &plan, &err), SABOT_INVALID);
    assert_int_equal(sabot_plan_schema(NULL, &f.schema, &deferred, &err), SABOT_INVALID);
    assert_int_equal(sabot_plan_input_schema(f.with, 0, NULL, &deferred, &err), SABOT_INVALID);
    assert_int_equal(sabot_plan_explain(NULL, &text, &err), SABOT_INVALID);
    assert_int_equal(sabot_run_new(f.with, &stream, NULL, &run, &err), SABOT_INVALID);
    assert_int_equal(sabot_run_new(NULL, &stream, NULL, &run, &err), SABOT_INVALID);
    assert_int_equal(sabot_run_next(NULL, &event, &err), SABOT_INVALID);
    assert_int_equal(sabot_run_reply_rows(NULL, 0, NULL, NULL, &err), SABOT_INVALID);
    assert_int_equal(sabot_run_reply_batch(NULL, NULL, NULL, NULL, &err), SABOT_INVALID);
    assert_int_equal(sabot_run_interpret(NULL, NULL, 0, &err), SABOT_INVALID);
    assert_int_equal(sabot_run_report(NULL, &text, &err), SABOT_INVALID);
    sabot_run_cancel(NULL);
    sabot_run_free(NULL);
    sabot_plan_free(NULL);
    close_fixture(&f);
}

static void replies_of_the_wrong_kind_are_told(void **state)
{
    (void)state;
    fixture f = {0};
    sb_kit_source from = {.rows = 10, .fail_batch = -1};
    struct ArrowArrayStream stream;
    sabot_run *run;
    sabot_event event;
    assert_int_equal(open_fixture(&f, NULL), SABOT_OK);
    sb_kit_stream(&from, &stream);
    assert_int_equal(sabot_run_new(f.with, &stream, NULL, &run, NULL), SABOT_OK);
    assert_int_equal(sabot_run_reply_rows(run, 0, NULL, NULL, NULL), SABOT_STATE);
    assert_int_equal(sabot_run_interpret(run, NULL, 1, NULL), SABOT_INVALID);
    assert_int_equal(sabot_run_interpret(run, NULL, 0, NULL), SABOT_STATE); /* not revocable */
    assert_int_equal(sabot_run_next(run, &event, NULL), SABOT_OK);
    assert_int_equal(event.kind, SABOT_EVENT_CALL_ROWS);
    assert_int_equal(sabot_run_reply_batch(run, NULL, NULL, NULL, NULL), SABOT_STATE);
    assert_int_equal(sabot_run_reply_rows(run, event.row_count + 1, NULL, NULL, NULL),
                     SABOT_INVALID);
    sabot_run_cancel(run);
    assert_int_equal(reply_rows(run, &event, -1, NULL), SABOT_OK);
    assert_int_equal(sabot_run_next(run, &event, NULL), SABOT_CANCELLED);
    sabot_run_free(run);
    close_fixture(&f);
}

#ifdef SB_FAULTS
static void failing_allocations_leak_nothing(void **state)
{
    (void)state;
    for (int32_t threads = 1; threads < 3; threads++) {
        for (int64_t nth = 1;; nth++) {
            int64_t live = sb_mem_live_blocks();
            fixture f = {0};
            outcome out = {0};
            sb_fault_arm(nth, false);
            out.status = open_fixture(&f, &out.err);
            if (out.status == SABOT_OK) {
                run_plan(f.batch, threads, -1, &out);
            }
            sb_fault_arm(0, false);
            bool hit = sb_fault_hit();
            assert_true(out.status == SABOT_OK || (hit && out.status == SABOT_NO_MEMORY));
            close_fixture(&f);
            assert_int_equal(sb_mem_live_blocks(), live);
            if (!hit) {
                assert_int_equal(out.rows, 300);
                break;
            }
        }
    }
}
#endif

/* --- validation ------------------------------------------------------------------------------------------------------ */

static void held_elsewhere(struct ArrowArray *array)
{
    array->release = NULL;
}

static void static_schema(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static void text_schema(struct ArrowSchema *out)
{
    static struct ArrowSchema column;
    static struct ArrowSchema *columns[1] = {&column};
    column = (struct ArrowSchema){.format = "u", .name = "word", .release = static_schema};
    *out = (struct ArrowSchema){
        .format = "+s", .name = "", .n_children = 1, .children = columns, .release = static_schema};
}

static int text_stream_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    (void)stream;
    text_schema(out);
    return 0;
}

/* One row that is not UTF-8, then the end. */
static int text_stream_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    static const int32_t offsets[2] = {0, 2};
    static const void *text[3] = {NULL, offsets, "\xff\xfe"}, *none[1] = {NULL};
    static struct ArrowArray column;
    static struct ArrowArray *columns[1] = {&column};
    int *given = stream->private_data;
    memset(out, 0, sizeof *out);
    if ((*given)++ == 0) {
        column = (struct ArrowArray){
            .length = 1, .n_buffers = 3, .buffers = text, .release = held_elsewhere};
        *out = (struct ArrowArray){.length = 1,
                                   .n_buffers = 1,
                                   .buffers = none,
                                   .n_children = 1,
                                   .children = columns,
                                   .release = held_elsewhere};
    }
    return 0;
}

static const char *text_stream_error(struct ArrowArrayStream *stream)
{
    (void)stream;
    return NULL;
}

static void text_stream_release(struct ArrowArrayStream *stream)
{
    stream->release = NULL;
}

static void bad_text_passes_unless_all_is_checked(void **state)
{
    (void)state;
    sabot_session *session = NULL;
    sabot_plan *plan = NULL;
    struct ArrowSchema schema;
    text_schema(&schema);
    assert_int_equal(sabot_session_new(NULL, &session, NULL), SABOT_OK);
    assert_int_equal(sabot_plan_new(session, "text", &schema, &plan, NULL), SABOT_OK);
    for (int validate = 0; validate < 2; validate++) {
        int given = 0;
        struct ArrowArrayStream stream = {.get_schema = text_stream_schema,
                                          .get_next = text_stream_next,
                                          .get_last_error = text_stream_error,
                                          .release = text_stream_release,
                                          .private_data = &given};
        sabot_run_options options = {.threads = 1, .validate = validate == 1};
        sabot_run *run = NULL;
        sabot_status status = SABOT_OK;
        outcome out = {0};
        assert_int_equal(sabot_run_new(plan, &stream, &options, &run, NULL), SABOT_OK);
        sabot_event event = {.kind = SABOT_EVENT_WAKE};
        while (status == SABOT_OK && event.kind != SABOT_EVENT_END) {
            status = sabot_run_next(run, &event, &out.err);
            status = status == SABOT_OK ? serve(run, &event, -1, &out) : status;
        }
        assert_int_equal(status, validate ? SABOT_INVALID : SABOT_OK);
        assert_int_equal(out.rows, validate ? 0 : 1);
        assert_true(!validate || strstr(out.err.message, "\"word\"") != NULL);
        sabot_run_free(run);
    }
    sabot_plan_free(plan);
    sabot_session_free(session);
}

/* --- a host that reads the source and keeps its batches --------------------------------------------------------------- */

typedef struct keeper {
    int64_t live; /* objects that the engine has */
    int64_t rows, objects,
        calls;         /* of results; results that came back as objects; calls of batch functions */
    int64_t first_row; /* of the last result */
    int64_t schemas;   /* that came with batches */
    bool known;        /* it has the plan's from before */
} keeper;

static void let_go(void *object)
{
    ((keeper *)object)->live--;
}

/* Supplies the next batch of the stream: its object, and its data where that is wanted. */
static sabot_status supply(sabot_run *run, struct ArrowArrayStream *stream,
                           const sabot_event *event, keeper *own, int64_t *row, sabot_error *err)
{
    sabot_batch batch = {.object = own, .release = let_go, .source_row = *row};
    int64_t rows[100];
    int code = stream->get_next(stream, &batch.array);
    if (code != 0) {
        return sabot_run_reply_pull(run, NULL, "the disk is on fire", err);
    }
    if (batch.array.release == NULL) {
        return sabot_run_reply_pull(run, NULL, NULL, err);
    }
    batch.row_count = batch.array.length;
    for (int64_t i = 0; i < batch.row_count; i++) {
        rows[i] = *row + i * 10; /* every tenth row of some source */
    }
    batch.source_rows = rows;
    *row += batch.row_count * 10;
    if (!event->data_wanted) {
        batch.array.release(&batch.array);
    }
    own->live++;
    sabot_status status = sabot_run_reply_pull(run, &batch, NULL, err);
    if (status != SABOT_OK) {
        own->live--;
        if (batch.array.release != NULL) {
            batch.array.release(&batch.array);
        }
    }
    return status;
}

static sabot_status give_back(sabot_run *run, const sabot_event *event, keeper *own,
                              sabot_error *err)
{
    sabot_batch same = {.unchanged = true, .source_row = -1};
    own->calls++;
    if (event->object == NULL) {
        same.object = own;
        same.release = let_go;
        own->live++;
    }
    sabot_status status = sabot_run_reply_object(run, &same, err);
    if (status != SABOT_OK && same.release != NULL) {
        own->live--;
    }
    return status;
}

static sabot_status keep_result(sabot_event *event, keeper *own)
{
    own->rows += event->row_count;
    own->objects += event->object != NULL;
    own->first_row = event->source_rows != NULL ? event->source_rows[0] : event->source_row;
    if (event->array.release != NULL) {
        event->array.release(&event->array);
    }
    if (event->schema.release != NULL) {
        own->schemas++;
        event->schema.release(&event->schema);
    }
    return SABOT_OK;
}

static sabot_status drive_keeper(sabot_plan *plan, sb_kit_source *from, int32_t threads,
                                 keeper *own, char **json, sabot_error *err)
{
    sabot_run_options options = {.threads = threads,
                                 .schema_once = true,
                                 .schemas_known = own->known,
                                 .number_rows = true,
                                 .morsel_rows = 30};
    struct ArrowArrayStream stream;
    sabot_event event = {.kind = SABOT_EVENT_WAKE};
    sabot_run *run = NULL;
    int64_t row = 7;
    sb_kit_stream(from, &stream);
    sabot_status status = sabot_run_new(plan, NULL, &options, &run, err);
    while (status == SABOT_OK && event.kind != SABOT_EVENT_END) {
        status = sabot_run_next(run, &event, err);
        if (status != SABOT_OK) {
            break;
        }
        if (event.kind == SABOT_EVENT_PULL) {
            status = supply(run, &stream, &event, own, &row, err);
        } else if (event.kind == SABOT_EVENT_CALL_BATCH) {
            if (event.array.release != NULL) {
                event.array.release(&event.array);
            }
            if (event.schema.release != NULL) {
                own->schemas++;
                event.schema.release(&event.schema);
            }
            status = give_back(run, &event, own, err);
        } else if (event.kind == SABOT_EVENT_CALL_ROWS) {
            status = reply_rows(run, &event, -1, err);
        } else if (event.kind == SABOT_EVENT_BATCH) {
            status = keep_result(&event, own);
        }
    }
    if (status == SABOT_OK && json != NULL) {
        status = sabot_run_report(run, json, err);
    }
    sabot_run_free(run);
    stream.release(&stream);
    return status;
}

/* Two batch functions over the source, and with one operator of the engine before them. */
static sabot_status open_keeper(fixture *f, sabot_plan **maps, sabot_plan **mixed)
{
    sabot_plan *one = NULL;
    sabot_status status = sabot_plan_batch(f->source, "one", NULL, false, &one, NULL);
    if (status == SABOT_OK) {
        status = sabot_plan_batch(one, "two", NULL, false, maps, NULL);
    }
    if (status == SABOT_OK) {
        status = sabot_plan_batch(f->batch, "two", NULL, false, mixed, NULL);
    }
    sabot_plan_free(one);
    return status;
}

static void objects_of_the_host_pass_through(void **state)
{
    (void)state;
    fixture f = {0};
    sabot_plan *maps = NULL, *mixed = NULL;
    assert_int_equal(open_fixture(&f, NULL), SABOT_OK);
    assert_int_equal(open_keeper(&f, &maps, &mixed), SABOT_OK);
    for (int32_t threads = 1; threads < 3; threads++) {
        sb_kit_source from = {.rows = 300, .batch_rows = 100, .fail_batch = -1, .lane = true};
        keeper own = {0};
        char *json = NULL;
        assert_int_equal(drive_keeper(maps, &from, threads, &own, &json, NULL), SABOT_OK);
        assert_int_equal(own.rows, 300);
        assert_int_equal(own.objects, 3);
        assert_int_equal(own.calls, 6);
        assert_int_equal(own.first_row, -1); /* a batch function made them */
        assert_int_equal(own.live, 0);
        assert_int_equal(from.live, 0);
        assert_non_null(strstr(json, "\"label\": \"two\", \"rows_in\": 300, \"rows_out\": 300, "
                                     "\"batches_in\": 3, \"batches_out\": 3"));
        assert_non_null(strstr(json, "\"bytes_out\": 0"));
        sabot_text_free(json);
        from = (sb_kit_source){.rows = 300, .batch_rows = 100, .fail_batch = -1, .lane = true};
        own = (keeper){0};
        assert_int_equal(drive_keeper(mixed, &from, threads, &own, &json, NULL), SABOT_OK);
        assert_int_equal(own.rows, 300);
        assert_int_equal(own.objects, 3); /* made by the host of what the engine gave it */
        assert_int_equal(own.live, 0);
        assert_int_equal(from.live, 0);
        assert_non_null(
            strstr(json, "\"name\": \"with_columns\", \"label\": null, \"rows_in\": 300"));
        sabot_text_free(json);
    }
    sabot_plan_free(maps);
    sabot_plan_free(mixed);
    close_fixture(&f);
}

/* One for the result, one for what goes into the batch function: once a run, or never. */
static void schemas_come_once_or_not_at_all(void **state)
{
    (void)state;
    fixture f = {0};
    assert_int_equal(open_fixture(&f, NULL), SABOT_OK);
    for (int known = 0; known < 2; known++) {
        sb_kit_source from = {.rows = 300, .batch_rows = 100, .fail_batch = -1, .lane = true};
        keeper own = {.known = known != 0};
        assert_int_equal(drive_keeper(f.with, &from, 1, &own, NULL, NULL), SABOT_OK);
        assert_int_equal(own.schemas, 1 - known);
        assert_int_equal(own.rows, 300);
        from = (sb_kit_source){.rows = 300, .batch_rows = 100, .fail_batch = -1, .lane = true};
        own = (keeper){.known = known != 0};
        assert_int_equal(drive_keeper(f.batch, &from, 1, &own, NULL, NULL), SABOT_OK);
        assert_int_equal(own.schemas, 1 - known);
        assert_int_equal(own.rows, 300);
    }
    close_fixture(&f);
}

static void rows_of_the_host_stay_with_the_batches(void **state)
{
    (void)state;
    fixture f = {0};
    assert_int_equal(open_fixture(&f, NULL), SABOT_OK);
    for (int32_t threads = 1; threads < 3; threads++) {
        sb_kit_source from = {.rows = 300, .batch_rows = 100, .fail_batch = -1, .lane = true};
        keeper own = {0};
        assert_int_equal(drive_keeper(f.with, &from, threads, &own, NULL, NULL), SABOT_OK);
        assert_int_equal(own.rows, 300);
        assert_int_equal(own.objects, 0);
        assert_int_equal(own.first_row, 7 + 10 * 290); /* of the last part of 10 rows */
        assert_int_equal(own.live, 0);
        assert_int_equal(from.live, 0);
    }
    close_fixture(&f);
}

static void a_source_of_the_host_that_fails_comes_after_its_rows(void **state)
{
    (void)state;
    fixture f = {0};
    assert_int_equal(open_fixture(&f, NULL), SABOT_OK);
    for (int32_t threads = 1; threads < 3; threads++) {
        sb_kit_source from = {.rows = 300, .batch_rows = 100, .fail_batch = 2, .lane = true};
        keeper own = {0};
        sabot_error err;
        assert_int_equal(drive_keeper(f.batch, &from, threads, &own, NULL, &err), SABOT_USER);
        assert_string_equal(err.message, "the disk is on fire");
        assert_int_equal(own.rows, 200);
        assert_int_equal(own.live, 0);
        assert_int_equal(from.live, 0);
    }
    close_fixture(&f);
}

static void wrong_answers_to_a_pull_are_told(void **state)
{
    (void)state;
    fixture f = {0};
    sabot_run *run;
    sabot_event event;
    keeper own = {0};
    sabot_batch batch = {.object = &own, .release = let_go, .row_count = 3};
    sabot_batch nothing = {.source_row = -1};
    assert_int_equal(open_fixture(&f, NULL), SABOT_OK);
    assert_int_equal(sabot_run_new(f.with, NULL, NULL, &run, NULL), SABOT_OK);
    assert_int_equal(sabot_run_reply_pull(NULL, &batch, NULL, NULL), SABOT_INVALID);
    assert_int_equal(sabot_run_reply_object(run, NULL, NULL), SABOT_INVALID);
    assert_int_equal(sabot_run_reply_pull(run, &batch, NULL, NULL), SABOT_STATE);
    assert_int_equal(sabot_run_next(run, &event, NULL), SABOT_OK);
    assert_int_equal(event.kind, SABOT_EVENT_PULL);
    assert_true(event.data_wanted);
    assert_int_equal(sabot_run_next(run, &event, NULL), SABOT_STATE);
    assert_int_equal(sabot_run_reply_pull(run, &batch, NULL, NULL), SABOT_INVALID);
    assert_int_equal(sabot_run_reply_pull(run, &nothing, NULL, NULL), SABOT_INVALID);
    assert_int_equal(sabot_run_reply_object(run, &nothing, NULL), SABOT_INVALID);
    assert_int_equal(sabot_run_reply_pull(run, NULL, NULL, NULL), SABOT_OK);
    assert_int_equal(sabot_run_next(run, &event, NULL), SABOT_OK);
    assert_int_equal(event.kind, SABOT_EVENT_END);
    sabot_run_free(run);
    assert_int_equal(own.live, 0);
    close_fixture(&f);
}

#ifdef SB_FAULTS
static void failing_allocations_lose_no_object(void **state)
{
    (void)state;
    for (int which = 0; which < 2; which++) {
        for (int64_t nth = 1;; nth++) {
            int64_t live = sb_mem_live_blocks();
            fixture f = {0};
            keeper own = {0};
            sabot_plan *maps = NULL, *mixed = NULL;
            sb_kit_source from = {.rows = 300, .batch_rows = 100, .fail_batch = -1, .lane = true};
            sb_fault_arm(nth, false);
            sabot_status status = open_fixture(&f, NULL);
            if (status == SABOT_OK) {
                status = open_keeper(&f, &maps, &mixed);
            }
            if (status == SABOT_OK) {
                (void)drive_keeper(which == 0 ? maps : mixed, &from, 2, &own, NULL, NULL);
            }
            sb_fault_arm(0, false);
            bool hit = sb_fault_hit();
            assert_int_equal(own.live, 0);
            assert_int_equal(from.live, 0);
            sabot_plan_free(maps);
            sabot_plan_free(mixed);
            close_fixture(&f);
            assert_int_equal(sb_mem_live_blocks(), live);
            if (!hit) {
                assert_int_equal(own.rows, 300);
                break;
            }
        }
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_serves_its_host),
        cmocka_unit_test(plans_can_be_looked_at),
        cmocka_unit_test(wrong_arguments_are_told),
        cmocka_unit_test(replies_of_the_wrong_kind_are_told),
        cmocka_unit_test(bad_text_passes_unless_all_is_checked),
        cmocka_unit_test(objects_of_the_host_pass_through),
        cmocka_unit_test(schemas_come_once_or_not_at_all),
        cmocka_unit_test(rows_of_the_host_stay_with_the_batches),
        cmocka_unit_test(a_source_of_the_host_that_fails_comes_after_its_rows),
        cmocka_unit_test(wrong_answers_to_a_pull_are_told),
#ifdef SB_FAULTS
        cmocka_unit_test(failing_allocations_leak_nothing),
        cmocka_unit_test(failing_allocations_lose_no_object),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
