/* Rows as values: are two equal, and hashes that agree with that, for every type.
 *
 * What counts is what a row says, not how it is stored: a dictionary's index stands for its value, a run for its value, a view for its
 * bytes. Two rows that are null are equal. A union's row is its id and its value.
 *
 *   SB_EQUAL_KEY    as keys are: nan equals nan, -0.0 equals 0.0. Hashes agree with this one.
 *   SB_EQUAL_IEEE   as Arrow compares arrays: nan equals nothing, -0.0 equals 0.0
 *
 * Threads: none of their own. Memory: none. */
#ifndef SB_COLUMN_ROWS_H
#define SB_COLUMN_ROWS_H

#include "column/array.h"

typedef enum sb_equal_mode { SB_EQUAL_KEY = 0, SB_EQUAL_IEEE } sb_equal_mode;

/* Of arrays of equal types that SB_VALIDATE_OFFSETS has passed. */
bool sb_row_equal(const sb_array *a, int64_t row_a, const sb_array *b, int64_t row_b,
                  sb_equal_mode mode);
uint64_t sb_row_hash(const sb_array *array, int64_t row, uint64_t seed);

/* Same length and equal rows; arrays of other types are not equal. Checks offsets first. SB_UNSUPPORTED for unknown formats. */
sb_status sb_array_equal(sb_array *a, sb_array *b, sb_equal_mode mode, bool *out, sb_error *err);
/* hashes[i] of each row, made from what it held before: 0 at first, then one column of a key after the other. Checks first. */
sb_status sb_array_hash(sb_array *array, uint64_t *hashes, sb_error *err);

#endif
