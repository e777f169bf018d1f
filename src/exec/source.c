/* Pulling the source: an Arrow stream, or batches that the host supplies when it is asked.
 *
 * Only the lane calls the stream. A batch goes into the queue of inputs whole; workers cut it, but for one whose rows have no known
 * places: the host tells failures of one function in one batch apart by those. The end and a failure of the source are a token that
 * comes out behind the last task.
 *
 * Threads: lane. Memory: batches are released through the run's queue once nothing refers to them. */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "exec/run_int.h"

static sb_status stream_error(struct ArrowArrayStream *source, int code, sb_error *err)
{
    const char *text = source->get_last_error != NULL ? source->get_last_error(source) : NULL;
    return sb_error_set(err, code == ENOMEM ? SB_NO_MEMORY : SB_USER, "the source failed: %s",
                        text != NULL ? text : strerror(code));
}

sb_status sb_run_check_source(struct ArrowArrayStream *source, const sb_type *schema, sb_error *err)
{
    struct ArrowSchema given = {0};
    sb_type *type = NULL;
    int code = source->get_schema(source, &given);
    if (code != 0) {
        return stream_error(source, code, err);
    }
    sb_status status = sb_type_import(&given, &type, err);
    if (given.release != NULL) {
        given.release(&given);
    }
    if (status == SB_OK && !sb_type_equal(type, schema)) {
        status =
            sb_error_set(err, SB_TYPE, "the source's schema is not the one the plan was made for");
    }
    sb_type_drop(type);
    return status;
}

static void source_end(sb_run *run, sb_token_kind kind, const sb_error *error)
{
    run->ending = (sb_token){
        .kind = kind,
        .seq = {.batch = run->batches},
        .row = -1,
        .op = -1,
        .function_index = -1,
    };
    if (error != NULL) {
        run->ending.error = *error;
    }
    sb_mutex_lock(run->lock);
    run->source_ended = true;
    sb_mutex_unlock(run->lock);
}

bool sb_input_is_cut(const sb_run *run, const sb_input *input)
{
    return run->cut && !input->whole;
}

static sb_status schema_fits(const sb_run *run, const struct ArrowSchema *schema, sb_error *err)
{
    sb_type *type = NULL;
    if (schema == NULL) {
        return SB_OK;
    }
    sb_status status = sb_type_import(schema, &type, err);
    if (status == SB_OK && !sb_type_equal(type, run->source_schema)) {
        status = sb_error_set(
            err, SB_TYPE, "a batch of the source has not the schema that the plan was made for");
    }
    sb_type_drop(type);
    return status;
}

/* The chunk of what was supplied. */
static sb_status chunk_make(sb_run *run, const sb_supply *supply, sb_chunk **out, sb_error *err)
{
    sb_chunk *chunk = NULL;
    sb_status status = schema_fits(run, supply->schema, err);
    if (status != SB_OK) {
        return status;
    }
    if (supply->array == NULL) {
        SB_TRY(sb_chunk_new_host(run->source_schema, supply->row_count, supply->host, run->releases,
                                 &chunk, err));
    } else {
        SB_TRY(sb_chunk_import(supply->array, run->source_schema, run->releases, &chunk, err));
        if (supply->host != NULL) {
            SB_TRY(sb_chunk_hold(chunk, supply->host, run->releases, err));
        }
    }
    for (int64_t i = 0; run->validate && i < chunk->schema->child_count; i++) {
        SB_TRY(sb_array_validate(chunk->columns[i], SB_VALIDATE_FULL, err));
    }
    SB_TRY(sb_chunk_set_source(chunk, supply->source_row, supply->source_rows, err));
    *out = chunk;
    chunk = NULL;
out:
    sb_chunk_free(chunk);
    return status;
}

static sb_status input_new(sb_run *run, const sb_supply *supply, sb_input **out, sb_error *err)
{
    sb_chunk *chunk = NULL;
    sb_input *input = NULL;
    sb_status status = chunk_make(run, supply, &chunk, err);
    if (status != SB_OK) {
        return status;
    }
    bool whole = chunk->source_row < 0 && chunk->source_rows == NULL;
    if ((!run->cut || whole) && chunk->rows > INT32_MAX) {
        status = sb_error_set(
            err, SB_LIMIT, "a batch of %lld rows is too large for a batch function; cut it first",
            (long long)chunk->rows);
        goto out;
    }
    input = sb_mem_alloc_zero(sizeof *input);
    if (input == NULL) {
        status = sb_error_no_memory(err, sizeof *input);
        goto out;
    }
    atomic_init(&input->refs, 1);
    input->whole = whole;
    input->chunk = chunk;
    input->bytes = sb_chunk_size(chunk);
    run->pull_bytes -= run->pull_bytes / 8; /* batches of several sizes count as the larger ones */
    run->pull_bytes = input->bytes > run->pull_bytes ? input->bytes : run->pull_bytes;
    chunk->seq.batch = run->batches++;
    run->source_rows += chunk->rows;
    *out = input;
    return SB_OK;
out:
    sb_chunk_free(chunk);
    return status;
}

void sb_run_pull(sb_run *run)
{
    struct ArrowArray batch = {0};
    sb_error error = {0};
    int64_t start = sb_os_now_ns();
    int code = run->source.get_next(&run->source, &batch);
    run->pull_ns = sb_os_now_ns() - start;
    run->source_ns += run->pull_ns;
    if (code != 0) {
        (void)stream_error(&run->source, code, &error);
        source_end(run, SB_TOKEN_ERROR, &error);
        return;
    }
    sb_supply supply = {.array = batch.release != NULL ? &batch : NULL,
                        .source_row = run->source_rows};
    sb_run_put(run, &supply);
    if (batch.release != NULL) {
        batch.release(&batch);
    }
}

void sb_run_put(sb_run *run, const sb_supply *supply)
{
    sb_input *input = NULL;
    sb_error error = {0};
    if (supply->message != NULL) {
        (void)sb_error_set(&error, SB_USER, "%s", supply->message);
        source_end(run, SB_TOKEN_ERROR, &error);
        return;
    }
    if (supply->array == NULL && supply->host == NULL) {
        source_end(run, SB_TOKEN_END, NULL);
        return;
    }
    if (input_new(run, supply, &input, &error) != SB_OK) {
        source_end(run, SB_TOKEN_ERROR, &error);
        return;
    }
    sb_mutex_lock(run->lock);
    bool wanted = !run->source_ended;
    if (wanted) {
        *run->inputs_tail = input;
        run->inputs_tail = &input->next;
        sb_cond_broadcast(run->work_cond);
    }
    sb_mutex_unlock(run->lock);
    if (!wanted) {
        sb_input_drop(input);
    }
}
