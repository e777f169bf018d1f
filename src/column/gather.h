/* Rows of one or several arrays put together into a new one: take by index and concatenation, for every type.
 *
 * Both check what they read (SB_INVALID). Data buffers of views are shared, children of list views too when they come from one
 * array; dictionaries are shared when they are the same, else united. A result that its layout cannot hold (offsets of 32 bits,
 * indices, run ends) is SB_LIMIT; unknown formats are SB_UNSUPPORTED.
 *
 * Threads: none of their own. */
#ifndef SB_COLUMN_GATHER_H
#define SB_COLUMN_GATHER_H

#include "column/array.h"

/* Row rows[i] of the array for each i; -1 gives a null row (in a union: one of its first child). SB_INVALID for any other number
 * that is no row. */
sb_status sb_array_gather(sb_array *array, const int64_t *rows, int64_t count, sb_array **out,
                          sb_error *err);

/* The rows of all arrays, count >= 1 of equal types (SB_TYPE). */
sb_status sb_array_concat(sb_array *const *arrays, int64_t count, sb_array **out, sb_error *err);

/* One dictionary of the distinct rows of several, in order of first appearance; maps[i] (out-owned by sb_mem_free each, as is the
 * array of them) gives the new index of each old one. */
sb_status sb_dictionary_unite(sb_array *const *dictionaries, int64_t count, sb_array **out,
                              int64_t ***maps, sb_error *err);

#endif
