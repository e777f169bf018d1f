/* Counting what operators and functions do.
 *
 * Algorithm: each context counts for itself, without the lock; what it has is added to the run's when it gives a task back. Bytes are
 * what the rows of the columns that an operator made take in their buffers, told from their lengths, so no row is looked at.
 *
 * Threads: see run_int.h. Memory: none. */
#include <string.h>

#include "exec/run_int.h"

static int64_t text_size(const sb_array *array)
{
    if (array->length == 0) {
        return 0;
    }
    int64_t ends[2] = {0, 0};
    if (array->type->layout == SB_LAYOUT_LARGE_BINARY) {
        const uint8_t *offsets = array->buffers[1];
        memcpy(&ends[0], offsets + array->offset * 8, 8);
        memcpy(&ends[1], offsets + (array->offset + array->length) * 8, 8);
        return ends[1] - ends[0] + array->length * 8;
    }
    int32_t short_ends[2];
    const uint8_t *offsets = array->buffers[1];
    memcpy(&short_ends[0], offsets + array->offset * 4, 4);
    memcpy(&short_ends[1], offsets + (array->offset + array->length) * 4, 4);
    return (int64_t)short_ends[1] - short_ends[0] + array->length * 4;
}

static int64_t array_size(const sb_array *array)
{
    int64_t size = 0;
    switch (array->type->layout) {
    case SB_LAYOUT_FIXED:
        size = array->length * array->type->width;
        break;
    case SB_LAYOUT_BOOL:
        size = (int64_t)sb_bitmap_size(array->length);
        break;
    case SB_LAYOUT_BINARY:
    case SB_LAYOUT_LARGE_BINARY:
        size = text_size(array);
        break;
    case SB_LAYOUT_BINARY_VIEW:
        size = array->length * 16;
        break;
    case SB_LAYOUT_LIST:
        size = array->length * 4;
        break;
    case SB_LAYOUT_LARGE_LIST:
        size = array->length * 8;
        break;
    case SB_LAYOUT_LIST_VIEW:
        size = array->length * 2 * array->type->width;
        break;
    default:
        break;
    }
    if (sb_layout_infos[array->type->layout].has_validity && array->buffers[0] != NULL) {
        size += (int64_t)sb_bitmap_size(array->length);
    }
    for (int64_t i = 0; i < array->child_count; i++) {
        size += array_size(array->children[i]);
    }
    return size;
}

int64_t sb_chunk_size(const sb_chunk *chunk)
{
    int64_t size = 0;
    for (int64_t i = 0; chunk->columns != NULL && i < chunk->schema->child_count; i++) {
        size += array_size(chunk->columns[i]);
    }
    return size;
}

void sb_op_count_output(const sb_op *op, sb_op_counts *counts, const sb_chunk *chunk,
                        const void *before)
{
    if (chunk == NULL) {
        return;
    }
    counts->rows_out += chunk->active_count;
    counts->batches_out++;
    if (chunk->columns == NULL || chunk->columns == before || op->node->kind == SB_PLAN_SELECT) {
        return;
    }
    bool some = op->node->kind == SB_PLAN_WITH;
    int64_t count = some ? op->node->count : chunk->schema->child_count;
    for (int64_t i = 0; i < count; i++) {
        if (op->node->sources != NULL && op->node->sources[i] >= 0) {
            continue;
        }
        counts->bytes_out += array_size(chunk->columns[some ? op->node->columns[i] : i]);
    }
}

static void ops_count(sb_op_counts *to, sb_op_counts *from)
{
    to->rows_in += from->rows_in;
    to->rows_out += from->rows_out;
    to->batches_in += from->batches_in;
    to->batches_out += from->batches_out;
    to->busy_ns += from->busy_ns;
    to->host_ns += from->host_ns;
    to->wait_ns += from->wait_ns;
    to->bytes_out += from->bytes_out;
    *from = (sb_op_counts){0};
}

void sb_run_count_locked(sb_run *run, sb_context *context)
{
    for (int32_t i = 0; i < run->function_count; i++) {
        sb_call_counts *to = &run->counts[i];
        sb_call_counts *from = &context->counts[i];
        to->func.rows += from->func.rows;
        to->func.rows_native += from->func.rows_native;
        to->func.rows_interpreter += from->func.rows_interpreter;
        for (int k = 0; k < SB_RAN_COUNT; k++) {
            to->func.ns[k] += from->func.ns[k];
            to->func.rows_timed[k] += from->func.rows_timed[k];
        }
        for (int32_t k = 0; k < SB_REASON_COUNT; k++) {
            to->func.left[k] += from->func.left[k];
        }
        to->rows_host += from->rows_host;
        *from = (sb_call_counts){0};
    }
    for (int32_t i = 0; i < run->op_count; i++) {
        ops_count(&run->op_counts[i], &context->ops[i]);
    }
    run->task_count += context->tasks;
    context->tasks = 0;
}
