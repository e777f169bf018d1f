/* Take by index of values that lie side by side: one load and one store a row, where the spans of gather.c would cost more than the
 * values.
 *
 * Algorithm: a row of -1 reads the first value there is and is made null, so that the loop over values has no case apart; zero is put
 * there afterwards. Memory and threads: as in gather.c. */
#include <string.h>

#include "base/mem.h"
#include "column/array_int.h"
#include "column/gather.h"

/* `width` is a constant in each call but the last one's. */
static inline void values_pick(uint8_t *dst, const uint8_t *src, size_t width, const int64_t *rows,
                               int64_t count)
{
    for (int64_t i = 0; i < count; i++, dst += width) {
        int64_t row = rows[i] < 0 ? 0 : rows[i];
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

static sb_status validity_gather(sb_array *array, const int64_t *rows, int64_t count,
                                 sb_array_parts *parts, sb_error *err)
{
    const uint8_t *valid = sb_array_validity(array);
    bool missing = false;
    for (int64_t i = 0; i < count; i++) {
        missing |= rows[i] < 0;
    }
    if (valid == NULL && !missing) {
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

sb_status sb_array_gather_flat(sb_array *array, const int64_t *rows, int64_t count, sb_array **out,
                               sb_error *err)
{
    bool bits = array->type->layout == SB_LAYOUT_BOOL;
    int64_t width = array->type->width, padded = (count + 63) & ~(int64_t)63;
    size_t size = bits ? sb_bitmap_size(padded) : (size_t)(padded * width);
    sb_array_parts parts = {.length = count, .extent = padded, .block_count = 2};
    sb_status status;
    SB_TRY(sb_array_check(array, err));
    SB_TRY(validity_gather(array, rows, count, &parts, err));
    uint8_t *values = parts.blocks[1] = sb_mem_alloc_aligned(size);
    if (values == NULL) {
        status = sb_error_no_memory(err, size);
        goto out;
    }
    const uint8_t *src = array->buffers[1];
    if (array->length == 0) { /* every row is -1 */
        memset(values, 0, size);
    } else if (bits) {
        bits_gather(values, src, array->offset, rows, count);
    } else if (width > 0) {
        values_gather(values, src + array->offset * width, (size_t)width, rows, count);
    }
    for (int64_t i = 0; !bits && parts.null_count > 0 && i < count; i++) {
        if (rows[i] < 0) {
            memset(values + i * width, 0, (size_t)width);
        }
    }
    parts.dictionary = array->dictionary != NULL ? sb_array_retain(array->dictionary) : NULL;
    SB_TRY(sb_array_new(array->type, &parts, out, err));
    return SB_OK;
out:
    sb_array_drop(parts.dictionary);
    sb_mem_free_aligned(parts.blocks[0]);
    sb_mem_free_aligned(parts.blocks[1]);
    return status;
}
