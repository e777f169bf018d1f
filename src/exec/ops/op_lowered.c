/* A batch function that native code computes row by row: map, or a filter.
 *
 * Algorithm: a function of rows that gives the same runs over the whole batch. When it leaves no row, its results and the columns that are
 * passed on are the batch, or those of its rows that one of the results says; else all of it is given up and the host calls the batch
 * function itself, which is pure, so in no order.
 * A function of whole batches runs once for the batch instead, and may give it another number of rows.
 * A function that the run interprets is the host's in the order of its batches.
 *
 * Threads: shared state is const after open, but for the schema, see op_batch.h; one local per worker. Memory: results belong to the
 * chunk. */
#include "exec/ops/op_lowered.h"

#include "base/bitmap.h"
#include "base/mem.h"
#include "exec/call.h"
#include "exec/ops/op_batch.h"
#include "exec/stages.h"

typedef struct lowered_shared {
    sb_call_site site;
    sb_stages *stages; /* owned; NULL: none */
    sb_batch_shared batch;
} lowered_shared;

static void release_shared(void *shared)
{
    lowered_shared *own = shared;
    if (own != NULL) {
        sb_stages_free(own->stages);
        sb_call_site_release(&own->site);
        sb_batch_release(&own->batch);
    }
    sb_mem_free(own);
}

static sb_status open_shared(const sb_op *op, void **shared, sb_error *err)
{
    const sb_plan *node = op->node;
    lowered_shared *own = sb_mem_alloc_zero(sizeof *own);
    if (own == NULL) {
        return sb_error_no_memory(err, sizeof *own);
    }
    sb_type *read = node->stage_count > 0 ? node->inner : node->input->schema;
    sb_status status =
        sb_call_site_init(&own->site, &node->calls[0], read, node->is_filter ? "filter" : "",
                          node->function_first, op->interpret, op->tier, err);
    if (status != SB_OK) {
        sb_mem_free(own);
        return status;
    }
    status = sb_batch_open(op, &own->batch, err);
    if (status == SB_OK && node->stage_count > 0 && own->site.native) {
        own->site.made_first = node->input->schema->child_count;
        status = sb_stages_new(node, node->function_first, op->tier, &own->stages, err);
    }
    if (status != SB_OK) {
        release_shared(own);
        return status;
    }
    *shared = own;
    return SB_OK;
}

static void release_local(void *local)
{
    sb_call_local_free(local);
}

static sb_status open_local(const sb_op *op, void *shared, void **local, sb_error *err)
{
    (void)op;
    const lowered_shared *own = shared;
    sb_call_local *made = NULL;
    sb_status status = sb_call_local_new(&own->site, &made, err);
    if (status == SB_OK && own->stages != NULL) {
        status = sb_stages_local_new(own->stages, &made->stages, &made->made, err);
    }
    *local = made;
    return status;
}

typedef struct {
    const sb_plan *node;
    sb_call *call;
    const sb_chunk *from;
} called;

static sb_status columns_take(const void *context, const sb_chunk *chunk, sb_array **columns,
                              sb_error *err)
{
    (void)chunk;
    const sb_plan *node = ((const called *)context)->node;
    sb_call *call = ((const called *)context)->call;
    const sb_chunk *from = ((const called *)context)->from;
    for (int64_t k = 0; k < node->schema->child_count; k++) {
        int64_t source = node->sources[k];
        if (source >= 0) {
            columns[k] = sb_array_retain(from->columns[source]);
            continue;
        }
        sb_status status =
            sb_call_take_column(call, (int32_t)(-1 - source), call->rows, &columns[k], err);
        if (status != SB_OK) {
            return status;
        }
    }
    return SB_OK;
}

sb_status sb_lowered_columns(const sb_plan *node, sb_call *call, const sb_chunk *from,
                             sb_chunk *chunk, sb_error *err)
{
    called context = {node, call, from};
    sb_status status = sb_chunk_replace(chunk, node->schema, columns_take, &context, err);
    if (status != SB_OK) {
        return status;
    }
    if (call->rows != chunk->rows) { /* of whole batches, none of whose columns is passed on */
        chunk->rows = call->rows;
        chunk->active_count = call->rows;
    }
    /* As behind any batch function: what is known shall not depend on how it runs. */
    return sb_chunk_set_source(chunk, -1, NULL, err);
}

sb_status sb_lowered_mask(sb_call *call, sb_chunk *chunk, sb_error *err)
{
    uint8_t *mask = NULL;
    sb_status status = sb_call_mask(call, 0, chunk->rows, &mask, err);
    if (status == SB_OK) {
        sb_chunk_restrict(chunk, mask);
        status = sb_chunk_compact(chunk, err);
    }
    return status;
}

/* Makes the chunk what the function gives for it: a filter or a mask keeps some rows. *left: it cannot, the host has to. */
static sb_status results_set(const sb_op *op, sb_call *call, sb_chunk *chunk, int64_t *left,
                             sb_error *err)
{
    const sb_plan *node = op->node;
    uint8_t *mask = NULL;
    sb_status status = SB_OK;
    if (node->is_filter) {
        return sb_lowered_mask(call, chunk, err);
    }
    if (node->mask >= 0) {
        status = sb_call_mask(call, node->mask, chunk->rows, &mask, err);
    }
    if (status == SB_OK && node->mask >= 0 && node->stage_count > 0 &&
        sb_bitmap_count(mask, 0, chunk->rows) <= 1) { /* as for a batch of one row */
        *left = chunk->rows;
        sb_mem_free_aligned(mask);
        return SB_OK;
    }
    if (status == SB_OK) {
        status = sb_lowered_columns(node, call, chunk, chunk, err);
    }
    if (status != SB_OK) {
        sb_mem_free_aligned(mask);
        return status;
    }
    if (mask != NULL) {
        sb_chunk_restrict(chunk, mask);
        status = sb_chunk_compact(chunk, err);
    }
    return status;
}

/* Whether columns of the batch are passed on, beside which the results stand. */
static bool keeps_rows(const sb_plan *node)
{
    bool keeps = node->is_filter;
    for (int64_t k = 0; !node->is_filter && k < node->schema->child_count; k++) {
        keeps = keeps || node->sources[k] >= 0;
    }
    return keeps;
}

static sb_status whole_native(const sb_plan *node, sb_call *call, sb_call_local *local,
                              sb_work *work, int64_t *left, sb_error *err)
{
    bool leaves = false;
    sb_status status = sb_call_whole_native(call, local, work, keeps_rows(node), &leaves, err);
    *left = leaves ? work->chunk->rows : 0;
    return status;
}

static sb_status push(const sb_op *op, void *shared, void *local, sb_work *work, sb_push *result,
                      sb_error *err)
{
    const lowered_shared *own = shared;
    sb_call call;
    int64_t left = 0;
    if (sb_batch_is_cut(work, result)) {
        return SB_OK;
    }
    const bool by_host = sb_call_site_by_host(&own->site);
    if (by_host || work->chunk->active_count == 0) { /* it may fail without rows, too */
        return sb_batch_ask(work, by_host, result, err);
    }
    sb_status status = SB_OK;
    if (own->stages != NULL || own->site.func->is_whole) {
        /* They see all rows that they are given. */
        status = sb_chunk_compact(work->chunk, err);
        if (status == SB_OK && own->stages != NULL && work->chunk->rows == 1) {
            return sb_batch_ask(work, false, result, err);
        }
    }
    sb_call_init(&call, &own->site, work->chunk->rows);
    if (status == SB_OK) {
        status = own->site.func->is_whole ? whole_native(op->node, &call, local, work, &left, err)
                                          : sb_call_native(&call, local, work, &left, err);
    }
    if (status == SB_OK && left == 0) {
        status = results_set(op, &call, work->chunk, &left, err);
    }
    sb_call_release(&call);
    if (status == SB_OK && left > 0) {
        return sb_batch_ask(work, false, result, err);
    }
    *result = SB_PUSH_HAVE_OUTPUT;
    return status;
}

static sb_status answer(const sb_op *op, void *shared, sb_work *work, const sb_answer *given,
                        sb_push *result, sb_error *err)
{
    lowered_shared *own = shared;
    work->counts[own->site.function_index].rows_host += work->ask.row_count;
    return sb_batch_answer(op, &own->batch, work, given, result, err);
}

const sb_op_vtable sb_op_lowered = {
    .name = "batch",
    .open_shared = open_shared,
    .release_shared = release_shared,
    .open_local = open_local,
    .release_local = release_local,
    .push = push,
    .answer = answer,
};
