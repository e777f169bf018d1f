/* Private to the front: NumPy's scalars while lowering. What they are among Python values stands in lower_int.h.
 *
 * Four kinds: np.bool, np.intN and np.uintN (one tag, the dtype in the value), np.float64, np.float32. They share the registers of the
 * Python kinds; a float32 is a double that a float32 holds, a uint64 at 2**63 and above is no value here. Where NumPy would warn, the
 * row leaves.
 *
 * Interface: each takes values of which some may be NumPy's, and gives *never* where no row gets past it. */
#ifndef SB_FRONT_NUMPY_H
#define SB_FRONT_NUMPY_H

#include "front/lower_int.h"

typedef struct
    sb_np_int { /* an integer type: an Arrow format, and what it holds, up to INT64_MAX */
    uint8_t format;
    uint8_t bits;
    bool is_signed;
    int64_t low, high;
} sb_np_int;

const sb_np_int *sb_np_int_of(uint8_t format); /* NULL: no such type */
pyval sb_np_bool_value(sb_value b);
pyval sb_np_int_value(sb_value i, uint8_t dtype);
pyval sb_np_float_value(sb_value f, uint8_t dtype); /* "f", "g" */
/* Rows leave whose int is none of that type. */
void sb_np_leave_outside(lowering *l, sb_value i, uint8_t dtype);
/* r, which the operation made of x and y: rows leave where NumPy warns of it. */
void sb_np_warn(lowering *l, sb_value r, sb_value x, sb_value y);
/* cond: rows with the tag; the value of f(v of one tag) merged over all tags of v. Used by what differs by kind. */
typedef pyval (*sb_np_of_kind)(lowering *l, uint8_t op, const pyval *v, unsigned tag);
pyval sb_np_by_kind(lowering *l, uint8_t op, const pyval *v, sb_np_of_kind f);
sb_value sb_np_as_double(lowering *l, const pyval *v, unsigned tag); /* of one kind */
sb_value sb_np_as_float32(lowering *l, const pyval *v, unsigned tag);
pyval sb_np_round32(lowering *l, sb_value made, sb_value x, sb_value y, uint8_t dtype);

#endif
