/* filter by a function of columns: rows where it is true stay.
 *
 * Algorithm: the result becomes a mask that restricts the chunk's active rows; columns are left as they are, unless only one row in
 * COMPACT_BELOW or fewer is left. A null result drops the row.
 *
 * Threads: shared state is const after open; one local per worker. Memory: the mask belongs to the chunk. */
#include "base/mem.h"
#include "exec/call.h"

#define COMPACT_BELOW 8

static void release_shared(void *shared)
{
    if (shared != NULL) {
        sb_call_site_release(shared);
    }
    sb_mem_free(shared);
}

static sb_status open_shared(const sb_op *op, void **shared, sb_error *err)
{
    sb_call_site *site = sb_mem_alloc_zero(sizeof *site);
    if (site == NULL) {
        return sb_error_no_memory(err, sizeof *site);
    }
    sb_status status = sb_call_site_init(site, &op->node->calls[0], op->node->input->schema,
                                         "filter", op->node->function_first,
                                         op->interpret != NULL && op->interpret[0], op->tier, err);
    if (status != SB_OK) {
        sb_mem_free(site);
        return status;
    }
    *shared = site;
    return SB_OK;
}

static void release_local(void *local)
{
    sb_call_local_free(local);
}

static sb_status open_local(const sb_op *op, void *shared, void **local, sb_error *err)
{
    (void)op;
    sb_call_local *own = NULL;
    sb_status status = sb_call_local_new(shared, &own, err);
    *local = own;
    return status;
}

static void release_state(void *state)
{
    if (state != NULL) {
        sb_call_release(state);
    }
    sb_mem_free(state);
}

static sb_status finish(const sb_op *op, sb_work *work, sb_push *result, sb_error *err)
{
    sb_call *call = work->state;
    sb_chunk *chunk = work->chunk;
    uint8_t *mask = NULL;
    sb_status status = SB_OK;
    if (call->fail_row >= 0) {
        sb_call_fail(call, op, work);
        status = sb_chunk_truncate(chunk, call->rows, err);
    }
    if (status == SB_OK) {
        status = sb_call_mask(call, chunk->rows, &mask, err);
    }
    if (status != SB_OK) {
        return status;
    }
    sb_chunk_restrict(chunk, mask);
    if (chunk->active_count <= chunk->rows / COMPACT_BELOW) {
        status = sb_chunk_compact(chunk, err);
        if (status != SB_OK) {
            return status;
        }
    }
    release_state(call);
    work->state = NULL;
    *result = SB_PUSH_HAVE_OUTPUT;
    return SB_OK;
}

static sb_status push(const sb_op *op, void *shared, void *local, sb_work *work, sb_push *result,
                      sb_error *err)
{
    sb_call *call = sb_mem_alloc_zero(sizeof *call);
    bool blocked;
    if (call == NULL) {
        return sb_error_no_memory(err, sizeof *call);
    }
    work->state = call;
    sb_call_init(call, shared, work->chunk->rows);
    sb_status status = sb_call_run(call, local, work, &blocked, err);
    if (status != SB_OK) {
        return status;
    }
    if (blocked) {
        *result = SB_PUSH_BLOCKED;
        return SB_OK;
    }
    return finish(op, work, result, err);
}

static sb_status answer(const sb_op *op, void *shared, sb_work *work, const sb_answer *given,
                        sb_push *result, sb_error *err)
{
    (void)shared;
    bool blocked;
    sb_status status = sb_call_answer(work->state, work, given, &blocked, err);
    if (status != SB_OK) {
        return status;
    }
    if (blocked) {
        *result = SB_PUSH_BLOCKED;
        return SB_OK;
    }
    return finish(op, work, result, err);
}

const sb_op_vtable sb_op_filter = {
    .name = "filter",
    .open_shared = open_shared,
    .release_shared = release_shared,
    .open_local = open_local,
    .release_local = release_local,
    .push = push,
    .answer = answer,
    .release_state = release_state,
};
