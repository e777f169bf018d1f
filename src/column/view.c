/* Kernel views of columns, as column/view.h promises them.
 *
 * Algorithm: the array's extent tells how many rows its buffers hold; a read of whole groups that stays inside it needs no copy.
 * Padding rows of a copy are zero. A pointer that is not aligned to its values is copied too.
 *
 * Threads: none of its own. Memory: none of its own. */
#include "column/view.h"

#include <string.h>

#include "column/half.h"

static int64_t padded(int64_t rows)
{
    return (rows + SB_VIEW_PAD - 1) & ~(int64_t)(SB_VIEW_PAD - 1);
}

/* --- narrow numbers ------------------------------------------------------------------------------------------------- */

#define EXACTLY(value) (value)
#define WIDEN_LIST(X)                                                                              \
    X(i8, int8_t, int64_t, EXACTLY)                                                                \
    X(u8, uint8_t, int64_t, EXACTLY)                                                               \
    X(i16, int16_t, int64_t, EXACTLY)                                                              \
    X(u16, uint16_t, int64_t, EXACTLY)                                                             \
    X(i32, int32_t, int64_t, EXACTLY)                                                              \
    X(u32, uint32_t, int64_t, EXACTLY)                                                             \
    X(f16, uint16_t, double, sb_half_to_double)                                                    \
    X(f32, float, double, EXACTLY)

/* Values may lie at any address: they are read by memcpy, which costs nothing where they are aligned. */
#define X(name, type, wide, convert)                                                               \
    static void widen_##name(const uint8_t *from, int64_t rows, void *out)                         \
    {                                                                                              \
        wide *to = out;                                                                            \
        for (int64_t i = 0; i < rows; i++) {                                                       \
            type value;                                                                            \
            memcpy(&value, from + (size_t)i * sizeof value, sizeof value);                         \
            to[i] = (wide)convert(value);                                                          \
        }                                                                                          \
    }
WIDEN_LIST(X)
#undef X

typedef void (*widen_fn)(const uint8_t *from, int64_t rows, void *out);

/* NULL: the values have 8 bytes. */
static widen_fn widen_of(const char *format)
{
    switch (format[0]) {
    case 'c':
        return widen_i8;
    case 'C':
        return widen_u8;
    case 's':
        return widen_i16;
    case 'S':
        return widen_u16;
    case 'i':
        return widen_i32;
    case 'I':
        return widen_u32;
    case 'e':
        return widen_f16;
    case 'f':
        return widen_f32;
    default:
        return strcmp(format, "tdD") == 0 ? widen_i32 : NULL;
    }
}

void sb_view_values(const sb_array *column, int64_t row0, int64_t rows, sb_view_scratch *scratch,
                    sb_view *out)
{
    SB_ASSERT(rows <= SB_VIEW_ROWS_MAX && row0 + rows <= column->length);
    int64_t first = column->offset + row0;
    size_t pad = (size_t)(padded(rows) - rows);
    const uint8_t *buffer = column->buffers[1];
    if (column->type->layout == SB_LAYOUT_BOOL) {
        if (rows > 0) {
            sb_bitmap_unpack(scratch->values, buffer, first, rows);
        }
        memset(scratch->values + rows, 0, pad);
        out->values = scratch->values;
        return;
    }
    widen_fn widen = widen_of(column->type->format);
    SB_ASSERT(widen != NULL || column->type->width == 8);
    if (widen == NULL && first + padded(rows) <= column->extent && ((uintptr_t)buffer & 7) == 0) {
        out->values = buffer + first * 8;
        return;
    }
    if (rows > 0 && widen != NULL) {
        widen(buffer + first * column->type->width, rows, scratch->values);
    } else if (rows > 0) {
        memcpy(scratch->values, buffer + first * 8, (size_t)rows * 8);
    }
    memset(scratch->values + rows * 8, 0, pad * 8);
    out->values = scratch->values;
}

void sb_view_valid(sb_array *column, int64_t row0, int64_t rows, sb_view_scratch *scratch,
                   sb_view *out)
{
    SB_ASSERT(rows <= SB_VIEW_ROWS_MAX && row0 + rows <= column->length);
    if (column->type->layout == SB_LAYOUT_NULL) {
        memset(scratch->valid, 0, sizeof scratch->valid);
        out->valid = scratch->valid;
        return;
    }
    const uint8_t *bits = sb_array_validity(column);
    if (bits == NULL) {
        out->valid = NULL;
        return;
    }
    int64_t first = column->offset + row0;
    if ((first & 7) == 0 &&
        first / 8 + padded(rows) / 8 <= (int64_t)sb_bitmap_size(column->extent)) {
        out->valid = bits + first / 8;
        return;
    }
    memset(scratch->valid, 0, (size_t)padded(rows) / 8);
    sb_bitmap_copy(scratch->valid, 0, bits, first, rows);
    out->valid = scratch->valid;
}
