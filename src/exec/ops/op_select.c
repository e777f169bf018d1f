/* select: some of the columns, in the order asked for. Threads: stateless. Memory: references only. */
#include "base/mem.h"
#include "exec/op.h"

static sb_status push(const sb_op *op, void *shared, void *local, sb_work *work, sb_push *result,
                      sb_error *err)
{
    (void)shared;
    (void)local;
    const sb_plan *node = op->node;
    size_t size = (size_t)node->count * sizeof(sb_array *);
    sb_array **columns = sb_mem_alloc(size);
    if (columns == NULL) {
        return sb_error_no_memory(err, size);
    }
    for (int32_t i = 0; i < node->count; i++) {
        columns[i] = sb_array_retain(work->chunk->columns[node->columns[i]]);
    }
    sb_chunk_set_columns(work->chunk, sb_type_retain(node->schema), columns);
    *result = SB_PUSH_HAVE_OUTPUT;
    return SB_OK;
}

const sb_op_vtable sb_op_select = {.name = "select", .push = push};
