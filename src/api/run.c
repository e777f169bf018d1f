/* sabot_run_*: driving runs.
 *
 * Interface: sabot.h. Checks arguments and puts the exec room's events into Arrow structs. sabot_run is sb_run.
 * Memory: structs of an event belong to its taker. Threads: see sabot.h. */
#include "exec/run.h"
#include "api/api_int.h"

_Static_assert((int)SABOT_TIER_INTERPRETER == (int)SB_TIER_INTERPRETER &&
                   (int)SABOT_TIER_NATIVE == (int)SB_TIER_NATIVE,
               "tiers have the same numbers");

static sb_run *api_run(sabot_run *run)
{
    return (sb_run *)(void *)run;
}

static const sb_run *api_const_run(const sabot_run *run)
{
    return (const sb_run *)(const void *)run;
}

static sabot_status null_argument(sabot_error *err)
{
    return api_status(sb_error_set(api_error(err), SB_INVALID, "an argument is NULL"));
}

sabot_status sabot_run_new(sabot_plan *plan, struct ArrowArrayStream *source,
                           const sabot_run_options *options, sabot_run **out, sabot_error *err)
{
    if (plan == NULL || out == NULL) {
        return null_argument(err);
    }
    sb_run_options given = {0};
    if (options != NULL) {
        given = (sb_run_options){
            .threads = options->threads,
            .morsel_rows = options->morsel_rows,
            .tier = (sb_tier)options->tier,
            .interpret = options->interpret,
            .interpret_count = options->interpret_count,
            .validate = options->validate,
            .schema_once = options->schema_once,
            .schemas_known = options->schemas_known,
            .number_rows = options->number_rows,
            .prompt = options->prompt,
            .revocable = options->revocable,
        };
    }
    sb_run *run = NULL;
    sb_status status = sb_run_new((sb_plan *)(void *)plan, source, &given, &run, api_error(err));
    if (status == SB_OK) {
        *out = (sabot_run *)(void *)run;
    }
    return api_status(status);
}

/* Do the rows of the source follow each other? */
static bool rows_follow(const int64_t *rows, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (rows[0] < 0 || rows[i] != rows[0] + i) {
            return false;
        }
    }
    return true;
}

static sb_status chunk_give(sb_run *run, const sb_chunk *chunk, sabot_event *event, sb_error *err)
{
    event->row_count = chunk->rows;
    event->source_row = chunk->rows > 0 ? sb_chunk_source_row(chunk, 0) : -1;
    event->source_rows = chunk->source_rows;
    if (event->source_rows != NULL && rows_follow(event->source_rows, chunk->rows)) {
        event->source_rows = NULL;
    }
    event->object = sb_chunk_host(chunk);
    event->data_held = chunk->columns != NULL;
    if (event->object != NULL) {
        return SB_OK;
    }
    int32_t op = event->kind == SABOT_EVENT_BATCH ? -1 : event->op;
    sb_status status = SB_OK;
    if (sb_run_schema_is_new(run, op, chunk->schema)) {
        status = sb_type_export(chunk->schema, &event->schema, err);
    }
    if (status == SB_OK) {
        status = sb_chunk_export(chunk, &event->array, err);
    }
    if (status != SB_OK && event->schema.release != NULL) {
        event->schema.release(&event->schema);
    }
    return status;
}

static void rows_give(const sb_ask *ask, sabot_event *event)
{
    event->kind = SABOT_EVENT_CALL_ROWS;
    event->function_index = ask->function_index;
    event->arg_count = (int32_t)ask->arg_count;
    event->args = ask->args;
    event->arg_schemas = ask->arg_schemas;
    event->row_count = ask->row_count;
    event->rows = ask->rows;
    event->source_rows = ask->source_rows;
    event->result_format = ask->func->result_format;
    event->values = ask->values;
    event->valid = ask->valid;
    event->result_count = (int32_t)sb_func_result_count(ask->func);
    event->result_formats = ask->formats;
}

static sb_status ask_give(sb_run *run, const sb_ask *ask, sabot_event *event, sb_error *err)
{
    event->source_row = ask->source_row;
    if (!ask->whole_batch) {
        rows_give(ask, event);
        return SB_OK;
    }
    event->kind = SABOT_EVENT_CALL_BATCH;
    event->phase = ask->phase;
    return chunk_give(run, ask->chunk, event, err);
}

/* A result: its row numbers stay until the next one; the object does until the next event, since its release waits for that. */
static sb_status batch_give(sb_run *run, sb_chunk *chunk, sabot_event *event, sb_error *err)
{
    event->kind = SABOT_EVENT_BATCH;
    sb_status status = chunk_give(run, chunk, event, err);
    (void)sb_run_keep_rows(run, chunk);
    sb_chunk_free(chunk);
    return status;
}

static sb_status event_give(sb_run *run, const sb_event *got, sabot_event *event, sb_error *err)
{
    sabot_event made = {.op = got->op,
                        .function_index = -1,
                        .seq = got->seq.batch,
                        .source_row = -1,
                        .data_wanted = got->data_wanted};
    sb_status status = SB_OK;
    switch (got->kind) {
    case SB_EVENT_BATCH:
        status = batch_give(run, got->chunk, &made, err);
        break;
    case SB_EVENT_ASK:
        status = ask_give(run, got->ask, &made, err);
        break;
    case SB_EVENT_PULL:
        made.kind = SABOT_EVENT_PULL;
        break;
    case SB_EVENT_WAKE:
        made.kind = SABOT_EVENT_WAKE;
        break;
    case SB_EVENT_END:
        made.kind = SABOT_EVENT_END;
        break;
    }
    if (status != SB_OK) {
        /* The batch is lost, so nothing may follow it. */
        sb_run_cancel(run);
        return status;
    }
    *event = made;
    return SB_OK;
}

sabot_status sabot_run_next(sabot_run *run, sabot_event *event, sabot_error *err)
{
    if (run == NULL || event == NULL) {
        return null_argument(err);
    }
    sb_event got;
    sb_status status = sb_run_next(api_run(run), &got, api_error(err));
    if (status == SB_OK) {
        status = event_give(api_run(run), &got, event, api_error(err));
    }
    return api_status(status);
}

sabot_status sabot_run_reply_rows(sabot_run *run, int64_t done_count, struct ArrowArray *column,
                                  const char *message, sabot_error *err)
{
    if (run == NULL) {
        return null_argument(err);
    }
    const sb_ask *ask = sb_run_asked(api_run(run));
    if (ask != NULL && ask->whole_batch) {
        return api_status(
            sb_error_set(api_error(err), SB_STATE, "a batch was asked for, not rows"));
    }
    sb_answer answer = {.done_count = done_count, .column = column, .message = message};
    sb_status status = sb_run_answer(api_run(run), &answer, api_error(err));
    if (status == SB_OK && column != NULL && column->release != NULL) {
        column->release(column);
    }
    return api_status(status);
}

static sb_status answer_batch(sabot_run *run, const sb_answer *answer, sb_error *err)
{
    const sb_ask *ask = sb_run_asked(api_run(run));
    if (ask != NULL && !ask->whole_batch) {
        return sb_error_set(err, SB_STATE, "rows were asked for, not a batch");
    }
    return sb_run_answer(api_run(run), answer, err);
}

sabot_status sabot_run_reply_batch(sabot_run *run, struct ArrowArray *array,
                                   struct ArrowSchema *schema, const char *message,
                                   sabot_error *err)
{
    if (run == NULL) {
        return null_argument(err);
    }
    sb_answer answer = {.array = array, .schema = schema, .message = message};
    sb_status status = answer_batch(run, &answer, api_error(err));
    if (status != SB_OK) {
        return api_status(status);
    }
    if (array != NULL && array->release != NULL) {
        array->release(array);
    }
    if (schema != NULL && schema->release != NULL) {
        schema->release(schema);
    }
    return SABOT_OK;
}

/* What the engine did not take of a batch that it accepted. */
static void batch_release(sabot_batch *batch, const sb_host *host)
{
    if (batch->array.release != NULL) {
        batch->array.release(&batch->array);
    }
    if (batch->schema.release != NULL) {
        batch->schema.release(&batch->schema);
    }
    if (host->release != NULL) {
        host->release(host->object);
    }
    batch->object = NULL;
    batch->release = NULL;
}

sabot_status sabot_run_reply_object(sabot_run *run, sabot_batch *batch, sabot_error *err)
{
    if (run == NULL || batch == NULL) {
        return null_argument(err);
    }
    sb_host host = {.object = batch->object, .release = batch->release};
    sb_answer answer = {
        .unchanged = batch->unchanged,
        .array = batch->array.release != NULL ? &batch->array : NULL,
        .schema = batch->schema.release != NULL ? &batch->schema : NULL,
        .host = host.release != NULL ? &host : NULL,
        .row_count = batch->row_count,
    };
    if (answer.array == NULL && answer.host == NULL && !answer.unchanged) {
        return api_status(
            sb_error_set(api_error(err), SB_INVALID, "there is nothing in the batch"));
    }
    sb_status status = answer_batch(run, &answer, api_error(err));
    if (status == SB_OK) {
        batch_release(batch, &host);
    }
    return api_status(status);
}

sabot_status sabot_run_reply_pull(sabot_run *run, sabot_batch *batch, const char *message,
                                  sabot_error *err)
{
    if (run == NULL) {
        return null_argument(err);
    }
    sb_supply supply = {.source_row = -1, .message = batch == NULL ? message : NULL};
    sb_host host = {0};
    if (batch != NULL) {
        host = (sb_host){.object = batch->object, .release = batch->release};
        supply.array = batch->array.release != NULL ? &batch->array : NULL;
        supply.schema = batch->schema.release != NULL ? &batch->schema : NULL;
        supply.host = host.release != NULL ? &host : NULL;
        supply.row_count = batch->row_count;
        supply.source_row = batch->source_row;
        supply.source_rows = batch->source_rows;
        if (supply.array == NULL && supply.host == NULL) {
            return api_status(
                sb_error_set(api_error(err), SB_INVALID, "there is nothing in the batch"));
        }
    }
    sb_status status = sb_run_supply(api_run(run), &supply, api_error(err));
    if (status == SB_OK && batch != NULL) {
        batch_release(batch, &host);
    }
    return api_status(status);
}

sabot_status sabot_run_interpret(sabot_run *run, const bool *interpret, int32_t interpret_count,
                                 sabot_error *err)
{
    if (run == NULL || (interpret == NULL && interpret_count != 0)) {
        return null_argument(err);
    }
    return api_status(sb_run_interpret(api_run(run), interpret, interpret_count, api_error(err)));
}

void sabot_run_failure(const sabot_run *run, int32_t *op, int32_t *function_index,
                       int64_t *source_row, int64_t *seq)
{
    const sb_token *token = sb_run_failure(api_const_run(run));
    bool none = token->kind == SB_TOKEN_NONE;
    *op = none ? -1 : token->op;
    *function_index = none ? -1 : token->function_index;
    *source_row = none ? -1 : token->row;
    *seq = none ? -1 : token->seq.batch;
}

void sabot_run_cancel(sabot_run *run)
{
    if (run != NULL) {
        sb_run_cancel(api_run(run));
    }
}

sabot_status sabot_run_report(const sabot_run *run, char **json, sabot_error *err)
{
    if (run == NULL || json == NULL) {
        return null_argument(err);
    }
    sb_buf buf;
    sb_buf_init(&buf, 0);
    sb_run_report(api_const_run(run), &buf);
    return sb_api_give_text(&buf, json, err);
}

void sabot_run_free(sabot_run *run)
{
    sb_run_free(api_run(run));
}
