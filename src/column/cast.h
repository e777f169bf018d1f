/* Casts between primitive types: bool, integers, floats, dates, times of day, timestamps, durations, and null to any of them.
 *
 * A value that the other type cannot hold is an error, as with pyarrow's safe cast: no integer overflows, no fraction or part of a
 * unit is lost, no integer beyond those that a float holds exactly becomes one (half floats excepted: they round). Floats round
 * to shorter floats; a timestamp becomes the date or the time of day that it falls on, where its zone is UTC or none.
 *
 * Threads: none of their own. */
#ifndef SB_COLUMN_CAST_H
#define SB_COLUMN_CAST_H

#include "column/array.h"

bool sb_type_can_cast(const sb_type *from, const sb_type *to);

/* The rows as the other type; the buffers are shared where the bits stay the same. SB_TYPE when there is no such cast, SB_INVALID when
 * a value does not fit. */
sb_status sb_array_cast(sb_array *array, sb_type *type, sb_array **out, sb_error *err);

#endif
