/* The host's part of a call: asking for rows in pieces, patching what comes back, building text results.
 *
 * Algorithm: the rows for the host are either all rows in order (dense: each piece gets its own slices as arguments) or an
 * ascending list over the whole chunk. A piece has at most SB_ASK_ROWS_MAX rows. Values and validity bytes of a piece are patched into
 * the column; text pieces are appended, with empty null rows for the rows between.
 *
 * Threads: asks are filled by whoever runs the call, answers come on the lane. Memory: the ask's buffers are made once a call. */
#include <string.h>

#include "base/mem.h"
#include "exec/call_int.h"

struct sb_call_text {
    sb_buf data;
    int64_t filled;   /* rows that have an offset behind them */
    int32_t *offsets; /* owned aligned block, capacity + 1 */
    int64_t capacity;
};

/* --- asking ------------------------------------------------------------------------------------------------------- */

static void args_release(sb_call *call)
{
    for (uint32_t i = 0; call->args != NULL && i < call->site->func->param_count; i++) {
        if (call->args[i].release != NULL) {
            call->args[i].release(&call->args[i]);
        }
    }
}

static sb_status text_new(sb_call *call, sb_error *err)
{
    sb_call_text *text = sb_mem_alloc_zero(sizeof *text);
    if (text == NULL) {
        return sb_error_no_memory(err, sizeof *text);
    }
    call->results[0].text = text;
    size_t size = ((size_t)call->rows + 1) * sizeof(int32_t);
    sb_buf_init(&text->data, INT32_MAX);
    text->capacity = call->rows;
    text->offsets = sb_mem_alloc_aligned(size);
    if (text->offsets == NULL) {
        return sb_error_no_memory(err, size);
    }
    text->offsets[0] = 0;
    return SB_OK;
}

static sb_status host_buffers(sb_call *call, sb_chunk *chunk, sb_error *err)
{
    if (call->args != NULL) {
        return SB_OK;
    }
    sb_status status = sb_chunk_number_rows(chunk, err);
    if (status != SB_OK) {
        return status;
    }
    size_t piece =
        (size_t)(call->host_count < SB_ASK_ROWS_MAX ? call->host_count : SB_ASK_ROWS_MAX);
    size_t params = call->site->func->param_count;
    size_t cells = piece * (size_t)call->site->result_count;
    if (call->host_values == NULL) {
        call->host_values = sb_mem_alloc_zero(cells * 8);
    }
    if (call->host_valid == NULL) {
        call->host_valid = sb_mem_alloc_zero(cells);
    }
    if (call->host_source_rows == NULL && chunk->source_rows != NULL && !call->dense) {
        call->host_source_rows = sb_mem_alloc_array(piece, sizeof(int64_t));
        if (call->host_source_rows == NULL) {
            return sb_error_no_memory(err, piece * sizeof(int64_t));
        }
    }
    if (call->arg_pointers == NULL) {
        call->arg_pointers = sb_mem_alloc_array(params, sizeof *call->arg_pointers);
    }
    struct ArrowArray *args = sb_mem_alloc_zero(params * sizeof *args);
    if (call->host_values == NULL || call->host_valid == NULL || call->arg_pointers == NULL ||
        args == NULL) {
        sb_mem_free(args);
        return sb_error_no_memory(err, cells * 8);
    }
    call->args = args;
    for (size_t i = 0; i < params; i++) {
        call->arg_pointers[i] = &args[i];
    }
    return SB_OK;
}

/* Exports the arguments: of this piece when dense, else of the whole chunk, once. */
static sb_status args_export(sb_call *call, const sb_chunk *chunk, int64_t count, sb_error *err)
{
    if (call->host_at > 0 && !call->dense) {
        return SB_OK;
    }
    args_release(call);
    for (uint32_t i = 0; i < call->site->func->param_count; i++) {
        sb_array *column = chunk->columns[call->site->columns[i]];
        sb_array *piece = NULL;
        sb_status status = call->dense ? sb_array_slice(column, call->host_at, count, &piece, err)
                                       : sb_array_slice(column, 0, column->length, &piece, err);
        if (status == SB_OK) {
            status = sb_array_export(piece, &call->args[i], err);
        }
        sb_array_drop(piece);
        if (status != SB_OK) {
            return status;
        }
    }
    return SB_OK;
}

static void ask_rows(sb_call *call, sb_ask *ask, const sb_chunk *chunk, int64_t count)
{
    if (call->dense) {
        ask->rows = NULL;
        ask->source_rows = chunk->source_rows != NULL ? chunk->source_rows + call->host_at : NULL;
        ask->source_row = sb_chunk_source_row(chunk, call->host_at);
        return;
    }
    ask->rows = call->host_rows.items + call->host_at;
    ask->source_row = sb_chunk_source_row(chunk, 0);
    ask->source_rows = call->host_source_rows;
    for (int64_t i = 0; i < count && call->host_source_rows != NULL; i++) {
        call->host_source_rows[i] = chunk->source_rows[ask->rows[i]];
    }
}

sb_status sb_call_host_ask(sb_call *call, sb_work *work, bool *blocked, sb_error *err)
{
    const sb_call_site *site = call->site;
    int64_t count = call->host_count - call->host_at;
    *blocked = false;
    if (count == 0 || call->fail_row >= 0) {
        args_release(call);
        return SB_OK;
    }
    count = count < SB_ASK_ROWS_MAX ? count : SB_ASK_ROWS_MAX;
    sb_status status = host_buffers(call, work->chunk, err);
    if (status == SB_OK && site->formats[0] == 'u' && call->results[0].text == NULL) {
        status = text_new(call, err);
    }
    if (status == SB_OK) {
        status = args_export(call, work->chunk, count, err);
    }
    if (status != SB_OK) {
        return status;
    }
    memset(call->host_valid, 0, (size_t)(count * site->result_count));
    work->ask = (sb_ask){
        .in_order = call->by_host,
        .chunk = work->chunk,
        .func = site->func,
        .function_index = site->function_index,
        .arg_count = site->func->param_count,
        .args = call->arg_pointers,
        .arg_schemas = site->schema_pointers,
        .row_count = count,
        .values = call->host_values,
        .valid = call->host_valid,
        .formats = site->formats,
    };
    ask_rows(call, &work->ask, work->chunk, count);
    *blocked = true;
    return SB_OK;
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static int64_t host_row(const sb_call *call, int64_t i)
{
    return call->dense ? call->host_at + i : call->host_rows.items[call->host_at + i];
}

static sb_status mask_new(uint8_t **mask, int64_t rows, sb_error *err)
{
    size_t size = sb_mask_size(rows);
    *mask = sb_mem_alloc_aligned(size);
    if (*mask == NULL) {
        return sb_error_no_memory(err, size);
    }
    memset(*mask, 0, size);
    sb_bitmap_fill(*mask, 0, rows, true);
    return SB_OK;
}

/* Takes rows out of `keep` or `whole` as the host wants it; their results are null from here on. */
static sb_status mark_rows(sb_call *call, const sb_work *work, int64_t count, sb_error *err)
{
    int64_t asked = work->ask.row_count;
    for (int64_t i = 0; i < count; i++) {
        if (call->host_valid[i] != SB_ROW_DROPPED && call->host_valid[i] != SB_ROW_NULL) {
            continue;
        }
        uint8_t **mask = call->host_valid[i] == SB_ROW_DROPPED ? &call->keep : &call->whole;
        sb_status status = *mask == NULL ? mask_new(mask, work->chunk->rows, err) : SB_OK;
        if (status != SB_OK) {
            return status;
        }
        sb_bit_clear(*mask, host_row(call, i));
        for (int32_t k = 0; k < call->site->result_count; k++) {
            call->host_valid[k * asked + i] = 0;
        }
    }
    return SB_OK;
}

/* Puts what the host made of one result into its column. asked: rows, which is how the blocks lie. */
static sb_status patch(sb_call *call, int32_t number, int64_t asked, int64_t count, sb_error *err)
{
    sb_call_result *result = &call->results[number];
    char format = call->site->formats[number];
    const uint8_t *host_valid = call->host_valid + number * asked;
    const uint8_t *host_values = (const uint8_t *)call->host_values + number * asked * 8;
    for (int64_t i = 0; i < count; i++) {
        int64_t row = host_row(call, i);
        if (!host_valid[i]) {
            if (result->valid == NULL) {
                sb_status status = sb_call_valid_new(call, result, true, err);
                if (status != SB_OK) {
                    return status;
                }
            }
            sb_bit_clear(result->valid, row);
            continue;
        }
        if (result->valid != NULL) {
            sb_bit_set(result->valid, row);
        }
        if (format == 'b') {
            sb_bit_put(result->values, row, host_values[i] != 0);
        } else {
            memcpy((uint8_t *)result->values + row * 8, host_values + i * 8, 8);
        }
    }
    return SB_OK;
}

static sb_status patch_all(sb_call *call, int64_t asked, int64_t count, sb_error *err)
{
    for (int32_t k = 0; k < call->site->result_count; k++) {
        sb_status status =
            call->site->formats[k] != 'n' ? patch(call, k, asked, count, err) : SB_OK;
        if (status != SB_OK) {
            return status;
        }
    }
    return SB_OK;
}

static sb_status text_fill(sb_call *call, int64_t row, sb_error *err)
{
    sb_call_result *result = &call->results[0];
    sb_call_text *text = result->text;
    if (text->filled < row && result->valid == NULL) {
        sb_status status = sb_call_valid_new(call, result, true, err);
        if (status != SB_OK) {
            return status;
        }
    }
    for (; text->filled < row; text->filled++) {
        sb_bit_clear(result->valid, text->filled);
        text->offsets[text->filled + 1] = (int32_t)text->data.size;
    }
    return SB_OK;
}

static sb_status text_add(sb_call *call, int64_t row, const char *data, int64_t size, sb_error *err)
{
    sb_call_text *text = call->results[0].text;
    sb_status status = text_fill(call, row, err);
    if (status != SB_OK) {
        return status;
    }
    sb_buf_append(&text->data, data, (size_t)size);
    status = sb_buf_status(&text->data, err);
    if (status != SB_OK) {
        return status;
    }
    text->offsets[++text->filled] = (int32_t)text->data.size;
    return SB_OK;
}

static sb_status text_append(sb_call *call, sb_array *column, sb_error *err)
{
    const uint8_t *valid = sb_array_validity(column);
    const uint8_t *offsets = column->buffers[1];
    const char *data = column->buffers[2];
    int32_t last = 0;
    if (column->length > 0) {
        memcpy(&last, offsets + (column->offset + column->length) * 4, 4);
    }
    for (int64_t i = 0; i < column->length; i++) {
        int32_t ends[2];
        memcpy(ends, offsets + (column->offset + i) * 4, 8);
        if (ends[0] < 0 || ends[1] < ends[0] || ends[1] > last) {
            return sb_error_set(err, SB_INVALID, "the answer's text offsets do not ascend");
        }
        sb_status status;
        if (valid != NULL && !sb_bit_get(valid, column->offset + i)) {
            status = text_fill(call, host_row(call, i) + 1, err);
        } else {
            status = text_add(call, host_row(call, i), ends[1] > ends[0] ? data + ends[0] : "",
                              ends[1] - ends[0], err);
        }
        if (status != SB_OK) {
            return status;
        }
    }
    return SB_OK;
}

static sb_status text_answer(sb_call *call, sb_work *work, const sb_answer *answer, sb_error *err)
{
    if (answer->done_count == 0) {
        return SB_OK;
    }
    sb_array *column = NULL;
    sb_status status =
        sb_array_import(answer->column, call->site->types[0], work->releases, &column, err);
    if (status != SB_OK) {
        return status;
    }
    if (column->length != answer->done_count) {
        status = sb_error_set(err, SB_INVALID, "the answer has %lld values for %lld rows",
                              (long long)column->length, (long long)answer->done_count);
    } else {
        status = text_append(call, column, err);
    }
    sb_array_drop(column);
    return status;
}

sb_status sb_call_answer(sb_call *call, sb_work *work, const sb_answer *answer, bool *blocked,
                         sb_error *err)
{
    SB_ASSERT(answer->done_count >= 0 && answer->done_count <= work->ask.row_count);
    sb_status status = mark_rows(call, work, answer->done_count, err);
    if (status == SB_OK && call->site->formats[0] == 'u') {
        status = text_answer(call, work, answer, err);
    } else if (status == SB_OK) {
        status = patch_all(call, work->ask.row_count, answer->done_count, err);
    }
    if (status != SB_OK) {
        return status;
    }
    work->counts[call->site->function_index].rows_host += answer->done_count;
    if (answer->done_count < work->ask.row_count) {
        call->fail_row = host_row(call, answer->done_count);
        call->rows = call->fail_row;
        (void)sb_error_set(&call->failure, SB_USER, "%s",
                           answer->message != NULL ? answer->message : "user code failed");
    }
    call->host_at += answer->done_count;
    return sb_call_host_ask(call, work, blocked, err);
}

void sb_call_host_release(sb_call *call)
{
    args_release(call);
    sb_mem_free(call->args);
    sb_mem_free(call->arg_pointers);
    sb_mem_free(call->host_values);
    sb_mem_free(call->host_valid);
    sb_mem_free(call->host_source_rows);
    sb_call_text *text = call->results != NULL ? call->results[0].text : NULL;
    if (text != NULL) {
        sb_buf_release(&text->data);
        sb_mem_free_aligned(text->offsets);
        sb_mem_free(text);
    }
}

/* --- text results ------------------------------------------------------------------------------------------------- */

sb_status sb_call_text_take(sb_call *call, int64_t rows, sb_array **out, sb_error *err)
{
    sb_call_result *result = &call->results[0];
    if (result->text == NULL) { /* no row asked for: none counts */
        sb_status status = text_new(call, err);
        if (status != SB_OK) {
            return status;
        }
    }
    sb_call_text *text = result->text;
    sb_status status = text_fill(call, rows, err);
    if (status != SB_OK) {
        return status;
    }
    size_t size = (size_t)text->offsets[rows];
    uint8_t *data = sb_mem_alloc_aligned(size);
    if (data == NULL) {
        return sb_error_no_memory(err, size);
    }
    if (size > 0) {
        memcpy(data, text->data.data, size);
    }
    sb_array_parts parts = {.length = rows, .extent = rows, .block_count = 3};
    if (result->valid != NULL) {
        parts.null_count = rows - sb_bitmap_count(result->valid, 0, rows);
    }
    parts.blocks[0] = parts.null_count > 0 ? result->valid : NULL;
    parts.blocks[1] = text->offsets;
    parts.blocks[2] = data;
    status = sb_array_new(call->site->types[0], &parts, out, err);
    if (status != SB_OK) {
        sb_mem_free_aligned(data);
        return status;
    }
    text->offsets = NULL;
    if (parts.blocks[0] != NULL) {
        result->valid = NULL;
    }
    return SB_OK;
}

void sb_call_text_mask(const sb_call *call, int64_t rows, uint8_t *mask)
{
    const sb_call_text *text = call->results[0].text;
    for (int64_t i = 0; text != NULL && i < rows && i < text->filled; i++) {
        sb_bit_put(mask, i, text->offsets[i + 1] > text->offsets[i]);
    }
}
