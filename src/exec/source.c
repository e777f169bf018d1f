/* Pulling the source: an Arrow stream of the host.
 *
 * Only the lane calls the stream, so a stream that is Python underneath runs on its consumer's thread. A batch goes into the queue of
 * inputs whole; workers cut it. The end and a failure of the source are a token that comes out behind the last task.
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

/* Wraps what was pulled; the batch is released here when that fails. */
static sb_status input_new(sb_run *run, struct ArrowArray *batch, sb_input **out, sb_error *err)
{
    sb_input *input = sb_mem_alloc_zero(sizeof *input);
    sb_status status = SB_OK;
    if (input == NULL) {
        status = sb_error_no_memory(err, sizeof *input);
        goto out;
    }
    atomic_init(&input->refs, 1);
    SB_TRY(sb_chunk_import(batch, run->source_schema, run->releases, &input->chunk, err));
    if (!run->cut && input->chunk->rows > INT32_MAX) {
        status = sb_error_set(
            err, SB_LIMIT, "a batch of %lld rows is too large for a batch function; cut it first",
            (long long)input->chunk->rows);
        goto out;
    }
    for (int64_t i = 0; run->validate && i < input->chunk->schema->child_count; i++) {
        SB_TRY(sb_array_validate(input->chunk->columns[i], SB_VALIDATE_FULL, err));
    }
    input->chunk->seq.batch = run->batches++;
    input->chunk->source_row = run->source_rows;
    run->source_rows += input->chunk->rows;
    *out = input;
    return SB_OK;
out:
    if (batch->release != NULL) {
        batch->release(batch);
    }
    if (input != NULL) {
        sb_chunk_free(input->chunk);
    }
    sb_mem_free(input);
    return status;
}

void sb_run_pull(sb_run *run)
{
    struct ArrowArray batch = {0};
    sb_input *input = NULL;
    sb_error error = {0};
    int64_t start = sb_os_now_ns();
    int code = run->source.get_next(&run->source, &batch);
    run->pull_ns = sb_os_now_ns() - start;
    if (code != 0) {
        (void)stream_error(&run->source, code, &error);
        source_end(run, SB_TOKEN_ERROR, &error);
        return;
    }
    if (batch.release == NULL) {
        source_end(run, SB_TOKEN_END, NULL);
        return;
    }
    if (input_new(run, &batch, &input, &error) != SB_OK) {
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
