/* select: some of the columns, in the order asked for. Threads: stateless. Memory: references only. */
#include "exec/op.h"

static sb_status selected(const void *context, const sb_chunk *chunk, sb_array **columns,
                          sb_error *err)
{
    (void)err;
    const sb_plan *node = context;
    for (int32_t i = 0; i < node->count; i++) {
        columns[i] = sb_array_retain(chunk->columns[node->columns[i]]);
    }
    return SB_OK;
}

static sb_status push(const sb_op *op, void *shared, void *local, sb_work *work, sb_push *result,
                      sb_error *err)
{
    (void)shared;
    (void)local;
    *result = SB_PUSH_HAVE_OUTPUT;
    return sb_chunk_replace(work->chunk, op->node->schema, selected, op->node, err);
}

const sb_op_vtable sb_op_select = {.name = "select", .push = push};
