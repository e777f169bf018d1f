/* Test support of the column room: random arrays of any type whose rows can be taken, and a printer that walks them row by row.
 *
 * Linked into test programs only. Threads: none of its own. */
#ifndef SB_COLUMN_TESTKIT_H
#define SB_COLUMN_TESTKIT_H

#include "column/array.h"

/* The types that tests go through: name, format, children by index into the same list (0: none), dictionary likewise. */
extern const int sb_kit_type_count;
/* out-owned; NULL: no memory. */
sb_type *sb_kit_type(int index, const char *name);
/* length random rows, some null, with garbage where rows are null; NULL: no memory. The same seed gives the same rows. */
sb_array *sb_kit_array(sb_type *type, int64_t length, uint64_t *seed);
/* Row `row` of the array as text. */
void sb_kit_print(const sb_array *array, int64_t row, sb_buf *out);
void sb_kit_print_all(const sb_array *array, sb_buf *out);
uint64_t sb_kit_random(uint64_t *seed);

#endif
