/* Take by index, row by row, where the spans of gather.c would cost more than the rows: values that lie side by side, text, structs,
 * short lists.
 *
 * Algorithm: of values, a row of -1 reads the first there is and is made null, so that the loop has no case apart; zero is put there
 * afterwards. Of text, one pass makes the offsets and one copies. A struct hands the rows on to its children, a list the numbers of
 * its items. Memory and threads: as in gather.c. Recursion: over the type. */
#include <string.h>

#include "base/mem.h"
#include "column/array_int.h"
#include "column/gather.h"

/* `width` is a constant in each call but the last one's. */
static inline void values_pick(uint8_t *dst, const uint8_t *src, size_t width, const int64_t *rows,
                               int64_t count)
{
    for (int64_t i = 0; i < count; i++, dst += width) {
        int64_t row = rows[i] & ~(rows[i] >> 63); /* -1: 0 */
        memcpy(dst, src + (size_t)row * width, width);
    }
}

static void values_gather(uint8_t *dst, const uint8_t *src, size_t width, const int64_t *rows,
                          int64_t count)
{
    switch (width) {
    case 0:
        break;
    case 1:
        values_pick(dst, src, 1, rows, count);
        break;
    case 2:
        values_pick(dst, src, 2, rows, count);
        break;
    case 4:
        values_pick(dst, src, 4, rows, count);
        break;
    case 8:
        values_pick(dst, src, 8, rows, count);
        break;
    case 16:
        values_pick(dst, src, 16, rows, count);
        break;
    case 32:
        values_pick(dst, src, 32, rows, count);
        break;
    default:
        values_pick(dst, src, width, rows, count);
    }
}

/* Bit `at + rows[i]` of each, 0 for -1; a NULL source is all ones. */
static void bits_gather(uint8_t *dst, const uint8_t *src, int64_t at, const int64_t *rows,
                        int64_t count)
{
    for (int64_t start = 0; start < count; start += 8) {
        int64_t end = count - start < 8 ? count : start + 8;
        unsigned byte = 0;
        for (int64_t i = start; i < end; i++) {
            unsigned bit = rows[i] >= 0 && (src == NULL || sb_bit_get(src, at + rows[i]));
            byte |= bit << (i - start);
        }
        dst[start / 8] = (uint8_t)byte;
    }
}

static bool any_missing(const int64_t *rows, int64_t count)
{
    int64_t all = 0;
    for (int64_t i = 0; i < count; i++) {
        all |= rows[i];
    }
    return all < 0;
}

static sb_status validity_gather(sb_array *array, const int64_t *rows, int64_t count,
                                 sb_array_parts *parts, sb_error *err)
{
    const uint8_t *valid = sb_array_validity(array);
    if (valid == NULL && !any_missing(rows, count)) {
        return SB_OK;
    }
    parts->blocks[0] = sb_mem_alloc_aligned(sb_bitmap_size(count));
    if (parts->blocks[0] == NULL) {
        return sb_error_no_memory(err, sb_bitmap_size(count));
    }
    bits_gather(parts->blocks[0], valid, array->offset, rows, count);
    parts->null_count = count - sb_bitmap_count(parts->blocks[0], 0, count);
    return SB_OK;
}

static sb_status block_new(sb_array_parts *parts, int index, size_t size, sb_error *err)
{
    parts->blocks[index] = sb_mem_alloc_aligned(size);
    parts->block_count = index + 1;
    return parts->blocks[index] != NULL ? SB_OK : sb_error_no_memory(err, size);
}

static void missing_clear(uint8_t *values, size_t width, const int64_t *rows, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (rows[i] < 0) {
            memset(values + (size_t)i * width, 0, width);
        }
    }
}

/* Bits, or values of the type's width; in a block with room for whole groups of 64. */
static sb_status places_gather(const sb_array *array, const int64_t *rows, int64_t count,
                               sb_array_parts *parts, sb_error *err)
{
    bool bits = array->type->layout == SB_LAYOUT_BOOL;
    size_t width = (size_t)array->type->width;
    int64_t padded = (count + 63) & ~(int64_t)63;
    size_t size = bits ? sb_bitmap_size(padded) : (size_t)padded * width;
    sb_status status = block_new(parts, 1, size, err);
    if (status != SB_OK) {
        return status;
    }
    uint8_t *values = parts->blocks[1];
    const uint8_t *src = array->buffers[1];
    parts->extent = padded;
    if (array->length == 0) { /* every row is -1 */
        memset(values, 0, size);
    } else if (bits) {
        bits_gather(values, src, array->offset, rows, count);
    } else if (width > 0) {
        values_gather(values, src + (size_t)array->offset * width, width, rows, count);
        if (parts->null_count > 0) {
            missing_clear(values, width, rows, count);
        }
    }
    parts->dictionary = array->dictionary != NULL ? sb_array_retain(array->dictionary) : NULL;
    return SB_OK;
}

/* --- text ----------------------------------------------------------------------------------------------------------- */

/* Ends of the rows' text, the first of which is 0, and their sum. `width` is a constant in each call. */
static inline int64_t ends_gather(uint8_t *ends, const uint8_t *src, int64_t width,
                                  const int64_t *rows, int64_t count)
{
    int64_t sum = 0;
    sb_index_put(ends, width, 0);
    for (int64_t i = 0; i < count; i++) {
        if (rows[i] >= 0) {
            sum += sb_index_get(src, width, rows[i] + 1) - sb_index_get(src, width, rows[i]);
        }
        sb_index_put(ends + (i + 1) * width, width, sum);
    }
    return sum;
}

static inline void bytes_gather(uint8_t *dst, const sb_array *array, int64_t width,
                                const int64_t *rows, int64_t count)
{
    const uint8_t *ends = (const uint8_t *)array->buffers[1] + array->offset * width;
    for (int64_t i = 0; i < count; i++) {
        if (rows[i] >= 0) {
            int64_t start = sb_index_get(ends, width, rows[i]);
            int64_t size = sb_index_get(ends, width, rows[i] + 1) - start;
            dst = sb_text_put(dst, array->buffers[2], start, size, array->data_size);
        }
    }
}

/* Offsets of the result's rows, of text or of lists. */
static sb_status offsets_gather(const sb_array *array, const int64_t *rows, int64_t count,
                                sb_array_parts *parts, int64_t *total, sb_error *err)
{
    int64_t width = sb_offset_width(array->type);
    const uint8_t *src = array->buffers[1];
    sb_status status = block_new(parts, 1, (size_t)((count + 1) * width), err);
    if (status != SB_OK) {
        return status;
    }
    src = array->length > 0 ? src + array->offset * width : src;
    *total = width == 4 ? ends_gather(parts->blocks[1], src, 4, rows, count)
                        : ends_gather(parts->blocks[1], src, 8, rows, count);
    if (width == 4 && *total > INT32_MAX) {
        return sb_array_too_much(array->type,
                                 array->type->child_count > 0 ? "items" : "bytes of text", err);
    }
    return SB_OK;
}

static sb_status text_gather(const sb_array *array, const int64_t *rows, int64_t count,
                             sb_array_parts *parts, sb_error *err)
{
    int64_t total = 0;
    sb_status status = offsets_gather(array, rows, count, parts, &total, err);
    if (status == SB_OK) {
        status = block_new(parts, 2, (size_t)total + SB_TEXT_SHORT, err);
    }
    if (status != SB_OK || array->length == 0) {
        return status;
    }
    if (sb_offset_width(array->type) == 4) {
        bytes_gather(parts->blocks[2], array, 4, rows, count);
    } else {
        bytes_gather(parts->blocks[2], array, 8, rows, count);
    }
    return SB_OK;
}

/* --- children ------------------------------------------------------------------------------------------------------- */

/* Most items of a list on average for which a number an item costs less than a span a row. */
#define LIST_SHORT 16

/* The child's rows from `first` on, `length` of them, by row. */
static sb_status child_gather(const sb_array *array, int64_t index, int64_t first, int64_t length,
                              const int64_t *rows, int64_t count, sb_array_parts *parts,
                              sb_error *err)
{
    sb_array *slice = NULL;
    sb_status status = sb_array_slice(array->children[index], first, length, &slice, err);
    if (status == SB_OK) {
        status = sb_array_gather(slice, rows, count, &parts->children[index], err);
    }
    if (status == SB_OK) {
        parts->child_count = index + 1;
    }
    sb_array_drop(slice);
    return status;
}

static sb_status struct_gather(const sb_array *array, const int64_t *rows, int64_t count,
                               sb_array_parts *parts, sb_error *err)
{
    parts->block_count = 1;
    for (int64_t i = 0; i < array->child_count; i++) {
        sb_status status =
            child_gather(array, i, array->offset, array->length, rows, count, parts, err);
        if (status != SB_OK) {
            return status;
        }
    }
    return SB_OK;
}

static sb_status items_gather(const sb_array *array, const int64_t *items, int64_t total,
                              sb_array_parts *parts, sb_error *err)
{
    return child_gather(array, 0, 0, array->children[0]->length, items, total, parts, err);
}

static sb_status list_gather(const sb_array *array, const int64_t *rows, int64_t count,
                             sb_array_parts *parts, sb_error *err)
{
    int64_t total = 0, at = 0, width = sb_offset_width(array->type);
    sb_status status = offsets_gather(array, rows, count, parts, &total, err);
    if (status != SB_OK) {
        return status;
    }
    int64_t *items = sb_mem_alloc_array((size_t)total, sizeof *items);
    if (items == NULL) {
        return sb_error_no_memory(err, (size_t)total * sizeof *items);
    }
    for (int64_t i = 0; i < count; i++) {
        if (rows[i] >= 0) {
            int64_t row = array->offset + rows[i];
            int64_t end = sb_index_get(array->buffers[1], width, row + 1);
            for (int64_t k = sb_index_get(array->buffers[1], width, row); k < end; k++) {
                items[at++] = k;
            }
        }
    }
    status = items_gather(array, items, total, parts, err);
    sb_mem_free(items);
    return status;
}

static bool holds_plain_values(const sb_array *array)
{
    sb_array *child = array->children[0];
    return child->type->layout == SB_LAYOUT_FIXED && child->dictionary == NULL &&
           sb_array_validity(child) == NULL;
}

/* Values without nulls are taken a whole list at a time. */
static sb_status fixed_values_gather(const sb_array *array, const int64_t *rows, int64_t count,
                                     sb_array_parts *parts, sb_error *err)
{
    const sb_array *child = array->children[0];
    int64_t width = array->type->width * child->type->width;
    int64_t length = count * array->type->width;
    sb_array_parts made = {.length = length, .extent = length};
    sb_status status = block_new(&made, 1, (size_t)(count * width), err);
    if (status != SB_OK) {
        return status;
    }
    if (width > 0 && count > 0) {
        const uint8_t *src =
            (const uint8_t *)child->buffers[1] + child->offset * child->type->width;
        values_gather(made.blocks[1], src + array->offset * width, (size_t)width, rows, count);
    }
    status = sb_array_new(child->type, &made, &parts->children[0], err);
    if (status != SB_OK) {
        sb_mem_free_aligned(made.blocks[1]);
        return status;
    }
    parts->child_count = 1;
    return SB_OK;
}

static sb_status fixed_list_gather(const sb_array *array, const int64_t *rows, int64_t count,
                                   sb_array_parts *parts, sb_error *err)
{
    int64_t width = array->type->width;
    parts->block_count = 1;
    if (holds_plain_values(array) && !any_missing(rows, count)) {
        return fixed_values_gather(array, rows, count, parts, err);
    }
    size_t total = (size_t)(count * width);
    int64_t *items = sb_mem_alloc_array(total, sizeof *items);
    if (items == NULL) {
        return sb_error_no_memory(err, total * sizeof *items);
    }
    for (int64_t i = 0; i < count; i++) {
        for (int64_t k = 0; k < width; k++) {
            items[i * width + k] = rows[i] < 0 ? -1 : (array->offset + rows[i]) * width + k;
        }
    }
    sb_status status = items_gather(array, items, count * width, parts, err);
    sb_mem_free(items);
    return status;
}

/* Is a list's average row short? */
static bool rows_are_short(const sb_array *array)
{
    int64_t width = sb_offset_width(array->type);
    if (array->length == 0) {
        return false;
    }
    int64_t items = sb_index_get(array->buffers[1], width, array->offset + array->length) -
                    sb_index_get(array->buffers[1], width, array->offset);
    return items / array->length <= LIST_SHORT;
}

/* --- all layouts ---------------------------------------------------------------------------------------------------- */

static bool goes_by_row(const sb_array *array)
{
    switch (array->type->layout) {
    case SB_LAYOUT_FIXED:
    case SB_LAYOUT_BOOL:
    case SB_LAYOUT_BINARY:
    case SB_LAYOUT_LARGE_BINARY:
    case SB_LAYOUT_STRUCT:
        return true;
    case SB_LAYOUT_FIXED_LIST:
        return array->type->width <= LIST_SHORT || holds_plain_values(array);
    case SB_LAYOUT_LIST:
    case SB_LAYOUT_LARGE_LIST:
        return rows_are_short(array);
    default:
        return false;
    }
}

static sb_status layout_gather(const sb_array *array, const int64_t *rows, int64_t count,
                               sb_array_parts *parts, sb_error *err)
{
    switch (array->type->layout) {
    case SB_LAYOUT_BINARY:
    case SB_LAYOUT_LARGE_BINARY:
        return text_gather(array, rows, count, parts, err);
    case SB_LAYOUT_STRUCT:
        return struct_gather(array, rows, count, parts, err);
    case SB_LAYOUT_FIXED_LIST:
        return fixed_list_gather(array, rows, count, parts, err);
    case SB_LAYOUT_LIST:
    case SB_LAYOUT_LARGE_LIST:
        return list_gather(array, rows, count, parts, err);
    default:
        return places_gather(array, rows, count, parts, err);
    }
}

sb_status sb_array_gather_flat(sb_array *array, const int64_t *rows, int64_t count, sb_array **out,
                               bool *taken, sb_error *err)
{
    size_t pointers = (size_t)array->child_count * sizeof(sb_array *);
    sb_array_parts parts = {.length = count, .extent = count};
    sb_status status = sb_array_check(array, err);
    *taken = status == SB_OK && goes_by_row(array);
    if (!*taken) {
        return status;
    }
    parts.children = sb_mem_alloc_zero(pointers);
    if (parts.children == NULL) {
        return sb_error_no_memory(err, pointers);
    }
    SB_TRY(validity_gather(array, rows, count, &parts, err));
    SB_TRY(layout_gather(array, rows, count, &parts, err));
    SB_TRY(sb_array_new(array->type, &parts, out, err));
    sb_mem_free(parts.children);
    return SB_OK;
out:
    for (int64_t i = 0; i < parts.child_count; i++) {
        sb_array_drop(parts.children[i]);
    }
    sb_array_drop(parts.dictionary);
    for (int i = 0; i < 3; i++) {
        sb_mem_free_aligned(parts.blocks[i]);
    }
    sb_mem_free(parts.children);
    return status;
}
