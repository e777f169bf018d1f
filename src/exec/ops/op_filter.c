/* filter by a function of columns: rows where it is true stay.
 *
 * Algorithm: the result becomes a mask that restricts the chunk's active rows; columns are left as they are, unless only one row in
 * COMPACT_BELOW or fewer is left. A null result drops the row. Where the function only gives its Boolean argument, the column itself is
 * the mask.
 *
 * Threads: shared state is const after open; one local per worker. Memory: the mask belongs to the chunk. */
#include "base/mem.h"
#include "exec/call.h"

#define COMPACT_BELOW 8

typedef struct filter_shared {
    sb_call_site site;
    bool is_column; /* the function gives its argument */
} filter_shared;

static void release_shared(void *shared)
{
    filter_shared *own = shared;
    if (own != NULL) {
        sb_call_site_release(&own->site);
    }
    sb_mem_free(own);
}

static bool gives_its_argument(const sb_ir *ir)
{
    bool stored = false;
    if (ir->inputs.count != 1 || ir->inputs.items[0].prim != SB_PRIM_B) {
        return false;
    }
    for (size_t i = 0; i < ir->insts.count; i++) {
        const sb_inst *inst = &ir->insts.items[i];
        if (inst->op == SB_IR_STORE) {
            stored = ir->insts.items[inst->a].op == SB_IR_IN &&
                     ir->insts.items[inst->b].op == SB_IR_IN_VALID;
        } else if (inst->op != SB_IR_NOP && inst->op != SB_IR_IN && inst->op != SB_IR_IN_VALID) {
            return false;
        }
    }
    return stored;
}

static sb_status open_shared(const sb_op *op, void **shared, sb_error *err)
{
    filter_shared *own = sb_mem_alloc_zero(sizeof *own);
    if (own == NULL) {
        return sb_error_no_memory(err, sizeof *own);
    }
    sb_status status =
        sb_call_site_init(&own->site, &op->node->calls[0], op->node->input->schema, "filter",
                          op->node->function_first, op->interpret, op->tier, err);
    if (status != SB_OK) {
        sb_mem_free(own);
        return status;
    }
    own->is_column = own->site.native && gives_its_argument(&own->site.func->ir);
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
    const filter_shared *own = shared;
    sb_call_local *made = NULL;
    sb_status status = sb_call_local_new(&own->site, &made, err);
    *local = made;
    return status;
}

static void release_state(void *state)
{
    if (state != NULL) {
        sb_call_release(state);
    }
    sb_mem_free(state);
}

/* Takes the mask. */
static sb_status restrict_to(sb_chunk *chunk, uint8_t *mask, sb_error *err)
{
    sb_chunk_restrict(chunk, mask);
    return chunk->active_count <= chunk->rows / COMPACT_BELOW ? sb_chunk_compact(chunk, err)
                                                              : SB_OK;
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
        status = sb_call_mask(call, 0, chunk->rows, &mask, err);
    }
    if (status != SB_OK) {
        return status;
    }
    status = restrict_to(chunk, mask, err);
    if (status != SB_OK) {
        return status;
    }
    release_state(call);
    work->state = NULL;
    *result = SB_PUSH_HAVE_OUTPUT;
    return SB_OK;
}

static sb_status push(const sb_op *op, void *shared, void *local, sb_work *work, sb_push *result,
                      sb_error *err)
{
    const filter_shared *own = shared;
    if (own->is_column && !sb_call_site_by_host(&own->site)) {
        uint8_t *mask;
        int64_t kept;
        sb_status taken =
            sb_array_mask(work->chunk->columns[own->site.input_columns[0]], &mask, &kept, err);
        *result = SB_PUSH_HAVE_OUTPUT;
        return taken != SB_OK ? taken : restrict_to(work->chunk, mask, err);
    }
    sb_call *call = sb_mem_alloc_zero(sizeof *call);
    bool blocked;
    if (call == NULL) {
        return sb_error_no_memory(err, sizeof *call);
    }
    work->state = call;
    sb_call_init(call, &own->site, work->chunk->rows);
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
