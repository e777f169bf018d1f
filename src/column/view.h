/* What a kernel sees of a column: values from row 0 of a vector and validity from bit 0, whatever the array's layout and offset are.
 *
 * Values of 8 bytes are used where they lie when whole groups of SB_VIEW_PAD rows can be read there; the last rows of a buffer are
 * copied into the caller's scratch memory. Narrower numbers are widened there: integers and dates to int64, floats to double, both
 * exactly. Booleans are unpacked, one byte each. A bitmap that does not start at a whole byte is shifted into scratch.
 *
 * Threads: none of its own. Memory: the view borrows from the array and the scratch. */
#ifndef SB_COLUMN_VIEW_H
#define SB_COLUMN_VIEW_H

#include "column/array.h"

#define SB_VIEW_ROWS_MAX 2048
#define SB_VIEW_PAD 32

typedef struct sb_view_scratch {
    SB_ALIGNED(64) uint8_t values[SB_VIEW_ROWS_MAX * 8];
    SB_ALIGNED(64) uint8_t valid[SB_VIEW_ROWS_MAX / 8];
} sb_view_scratch;

typedef struct sb_view {
    const void *values;   /* int64_t, double or uint8_t each */
    const uint8_t *valid; /* NULL: no nulls */
} sb_view;

/* Rows [row0, row0 + rows) of a column of numbers, booleans, dates or timestamps; both can be read up to the next multiple of
 * SB_VIEW_PAD. uint64 comes with the bits of int64. */
void sb_view_values(const sb_array *column, int64_t row0, int64_t rows, sb_view_scratch *scratch,
                    sb_view *out);
/* Likewise the validity of a column of any format. */
void sb_view_valid(sb_array *column, int64_t row0, int64_t rows, sb_view_scratch *scratch,
                   sb_view *out);

#endif
