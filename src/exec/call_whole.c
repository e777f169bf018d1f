/* The native part of a call of a function of whole batches: one row, whose inputs are the columns as lists, see sb_item.
 *
 * Algorithm: a column of int64 or double without nulls is a list where it lies; any other is written out as words, or as pairs where
 * items may be None. The kernel runs once. Its outputs are lists in the heap of the function's local, which are copied into columns: as
 * long as each other, and as the batch where columns of it are passed on, else the host calls the function, which then raises.
 *
 * Threads: see exec/call.h. Memory: words of columns belong to the local and are kept; large ones are given back after the call. */
#include <string.h>

#include "base/mem.h"
#include "exec/call_int.h"

#define WORDS_KEPT ((int64_t)1 << 20) /* of one column, from batch to batch */

struct sb_call_whole {
    SB_ALIGNED(64) int64_t handle[SB_LANES_MAX]; /* what the kernel reads; only the first counts */
    sb_rt_list list;
    int64_t *words; /* owned */
    int64_t room;
};

sb_status sb_call_whole_new(const sb_call_site *site, sb_call_whole **out, sb_error *err)
{
    const size_t size = (site->func->ir.inputs.count + 1) * sizeof(sb_call_whole);
    sb_call_whole *whole = sb_mem_alloc_aligned(size);
    if (whole == NULL) {
        return sb_error_no_memory(err, size);
    }
    memset(whole, 0, size);
    *out = whole;
    return SB_OK;
}

void sb_call_whole_free(sb_call_whole *whole, size_t count)
{
    for (size_t k = 0; whole != NULL && k < count; k++) {
        sb_mem_free(whole[k].words);
    }
    sb_mem_free_aligned(whole);
}

/* --- columns as lists ----------------------------------------------------------------------------------------------- */

static sb_status words_reserve(sb_call_whole *input, int64_t count, sb_error *err)
{
    if (count <= input->room) {
        return SB_OK;
    }
    sb_mem_free(input->words);
    input->room = 0;
    input->words = sb_mem_alloc_array((size_t)count, sizeof *input->words);
    if (input->words == NULL) {
        return sb_error_no_memory(err, (size_t)count * sizeof *input->words);
    }
    input->room = count;
    return SB_OK;
}

static int64_t word_at(const sb_view *view, char format, int64_t row)
{
    if (format == 'b') {
        return ((const uint8_t *)view->values)[row];
    }
    int64_t word;
    memcpy(&word, (const uint8_t *)view->values + row * 8, sizeof word);
    return word;
}

static bool is_float(char format)
{
    return format == 'e' || format == 'f' || format == 'g';
}

/* Rows [row0, row0 + rows) as words; false: one is no int64. */
static bool words_write(sb_array *column, bool pairs, int64_t row0, int64_t rows,
                        sb_view_scratch *scratch, int64_t *out)
{
    const char format = column->type->format[0];
    const sb_item kind = is_float(format) ? SB_ITEM_FLOAT : SB_ITEM_PLAIN;
    sb_view view = {0};
    sb_view_values(column, row0, rows, scratch, &view);
    sb_view_valid(column, row0, rows, scratch, &view);
    for (int64_t row = 0; row < rows; row++) {
        const bool valid = view.valid == NULL || sb_bit_get(view.valid, row);
        const int64_t word = valid ? word_at(&view, format, row) : 0;
        if (format == 'L' && word < 0) {
            return false;
        }
        if (pairs) {
            out[2 * row] = word;
            out[2 * row + 1] = valid ? kind : SB_ITEM_NONE;
        } else {
            out[row] = word;
        }
    }
    return true;
}

/* Where the items lie as they are; NULL: they do not. */
static const void *words_there(const sb_array *column, bool pairs)
{
    const char format = column->type->format[0];
    const uint8_t *values = column->buffers[1];
    if (pairs || (format != 'l' && format != 'g') || values == NULL) {
        return NULL;
    }
    values += column->offset * 8;
    return (uintptr_t)values % sizeof(int64_t) == 0 ? values : NULL;
}

/* *reason: why the batch leaves, if it does. */
static sb_status column_list(sb_array *column, bool pairs, bool nulls, sb_view_scratch *scratch,
                             sb_call_whole *input, sb_reason *reason, sb_error *err)
{
    const int64_t rows = column->length;
    const int64_t count = pairs ? 2 * rows : rows;
    if (!nulls && sb_array_null_count(column) > 0) {
        *reason = SB_REASON_NONE_OPERAND;
        return SB_OK;
    }
    const void *there = words_there(column, pairs);
    if (there == NULL) {
        sb_status status = words_reserve(input, count, err);
        if (status != SB_OK) {
            return status;
        }
        for (int64_t row0 = 0; row0 < rows; row0 += SB_VIEW_ROWS_MAX) {
            const int64_t some = rows - row0 < SB_VIEW_ROWS_MAX ? rows - row0 : SB_VIEW_ROWS_MAX;
            int64_t *out = input->words + (pairs ? 2 * row0 : row0);
            if (!words_write(column, pairs, row0, some, scratch, out)) {
                *reason = SB_REASON_OVERFLOW;
                return SB_OK;
            }
        }
    }
    /* Programs only read the lists that columns are. */
    int64_t *items = there != NULL ? (int64_t *)(uintptr_t)there : input->words;
    input->list = (sb_rt_list){.items = items, .count = count, .room = count};
    input->handle[0] = (int64_t)(uintptr_t)&input->list;
    return SB_OK;
}

static sb_status lists_in(const sb_call *call, sb_call_local *local, const sb_chunk *chunk,
                          sb_reason *reason, sb_error *err)
{
    const sb_func *func = call->site->func;
    for (size_t k = 0; k < func->ir.inputs.count; k++) {
        const sb_ir_input *input = &func->ir.inputs.items[k];
        local->in[k] = (sb_kin){.values = local->whole[k].handle};
        if (!input->reads_values) {
            continue;
        }
        bool pairs = false;
        bool nulls = false;
        for (uint32_t p = 0; p < func->param_count; p++) {
            const bool is_it = func->params[p].input == (int32_t)k;
            pairs = is_it ? func->params[p].pairs : pairs;
            nulls = is_it ? func->params[p].nulls : nulls;
        }
        sb_array *column = chunk->columns[call->site->input_columns[k]];
        sb_status status =
            column_list(column, pairs, nulls, &local->inputs[k], &local->whole[k], reason, err);
        if (status != SB_OK || *reason != SB_REASON_NONE) {
            return status;
        }
    }
    return SB_OK;
}

static void words_trim(const sb_call *call, sb_call_local *local)
{
    for (size_t k = 0; k < call->site->func->ir.inputs.count; k++) {
        sb_call_whole *input = &local->whole[k];
        if (input->room > WORDS_KEPT) {
            sb_mem_free(input->words);
            input->words = NULL;
            input->room = 0;
        }
    }
}

/* --- lists as columns ----------------------------------------------------------------------------------------------- */

static const sb_rt_list *list_out(const sb_call_local *local, int32_t k)
{
    int64_t handle;
    memcpy(&handle, local->out[k].values, sizeof handle);
    SB_ASSERT(handle != 0);
    return (const sb_rt_list *)(uintptr_t)/* NOLINTNEXTLINE(performance-no-int-to-ptr) */
        handle;
}

static int64_t length_of(const sb_rt_list *list, bool pairs)
{
    return pairs ? list->count / 2 : list->count;
}

/* False: an int that no double is. */
static bool word_as_double(int64_t word, int64_t kind, double *out)
{
    const int64_t limit = INT64_C(1) << 53;
    if (kind == SB_ITEM_PLAIN) {
        *out = (double)word;
        return word >= -limit && word <= limit;
    }
    memcpy(out, &word, sizeof *out);
    return true;
}

static bool item_put(sb_call_result *result, char format, int64_t row, int64_t word, int64_t kind)
{
    double number = 0;
    if (format == 'b') {
        sb_bit_put(result->values, row, word != 0);
    } else if (format == 'l') {
        ((int64_t *)result->values)[row] = word;
    } else if (format == 'g') {
        if (!word_as_double(word, kind, &number)) {
            return false;
        }
        ((double *)result->values)[row] = number;
    }
    return true;
}

/* The items of one list; false: one does not fit the type. */
static sb_status items_copy(sb_call *call, int32_t k, const sb_rt_list *list, bool pairs,
                            bool *fits, sb_error *err)
{
    sb_call_result *result = &call->results[k];
    const char format = call->site->formats[k];
    if (!pairs && (format == 'l' || format == 'g')) {
        memcpy(result->values, list->items, (size_t)call->rows * sizeof(int64_t));
        return SB_OK;
    }
    for (int64_t row = 0; row < call->rows && *fits; row++) {
        const int64_t word = list->items[pairs ? 2 * row : row];
        const int64_t kind = pairs ? list->items[2 * row + 1] : SB_ITEM_PLAIN;
        if (kind != SB_ITEM_NONE) {
            *fits = item_put(result, format, row, word, kind);
            continue;
        }
        if (result->valid == NULL) {
            sb_status status = sb_call_valid_new(call, result, true, err);
            if (status != SB_OK) {
                return status;
            }
        }
        sb_bit_put(result->valid, row, false);
    }
    return SB_OK;
}

static sb_status lists_out(sb_call *call, const sb_call_local *local, bool same_rows,
                           sb_reason *reason, sb_error *err)
{
    const sb_func *func = call->site->func;
    const int64_t rows = length_of(list_out(local, 0), func->keys[0].pairs);
    bool fits = true;
    for (int32_t k = 1; k < call->site->result_count; k++) {
        fits = fits && length_of(list_out(local, k), func->keys[k].pairs) == rows;
    }
    if (!fits || (same_rows && rows != call->rows) || rows > INT32_MAX) {
        *reason = SB_REASON_RAISE;
        return SB_OK;
    }
    call->rows = rows;
    sb_status status = sb_call_results_new(call, err);
    for (int32_t k = 0; status == SB_OK && fits && k < call->site->result_count; k++) {
        status = items_copy(call, k, list_out(local, k), func->keys[k].pairs, &fits, err);
    }
    *reason = fits ? *reason : SB_REASON_BIGINT;
    return status;
}

/* --- exported --------------------------------------------------------------------------------------------------------- */

sb_status sb_call_whole_native(sb_call *call, sb_call_local *local, sb_work *work, bool same_rows,
                               bool *left, sb_error *err)
{
    const sb_call_site *site = call->site;
    sb_func_counts *counts = &work->counts[site->function_index].func;
    const int64_t rows = call->rows;
    sb_reason reason = SB_REASON_NONE;
    sb_status status = SB_OK;
    *left = true;
    SB_ASSERT(work->chunk->active == NULL && work->chunk->rows == rows);
    if (sb_func_passes(local->func, rows, site->tier, counts)) {
        return SB_OK;
    }
    SB_TRY(lists_in(call, local, work->chunk, &reason, err));
    for (int32_t k = 0; k < site->result_count; k++) {
        local->kout[k] = (sb_kout){.values = local->out[k].values};
    }
    if (reason == SB_REASON_NONE) {
        sb_kcall kcall = {.in = local->in, .out = local->kout, .stop = work->stop};
        SB_TRY(sb_func_run_whole(site->func, local->func, &kcall, rows, site->tier, counts, err));
        if (kcall.leave_count > 0) { /* counted */
            sb_func_judge(local->func, rows, rows, true, site->tier);
            goto out;
        }
        SB_TRY(lists_out(call, local, same_rows, &reason, err));
    }
    if (reason != SB_REASON_NONE) {
        sb_func_leave(local->func, rows, reason, counts);
    }
    *left = reason != SB_REASON_NONE;
    sb_func_judge(local->func, rows, *left ? rows : 0, true, site->tier);
out:
    words_trim(call, local);
    return status;
}
