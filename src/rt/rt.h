/* The exact scalar primitives: the definition of every py_ and ix_ op of ir/ops.h.
 *
 * sb_rt_<op text> is CPython's operation on one row, bit for bit (only the sign and payload of a NaN are free). A
 * primitive that cannot always answer returns sb_reason and writes *out only with SB_REASON_NONE; the others return
 * the value. Constant folding, the interpreter, the lane helpers and the tests of generated code call these and nothing
 * else, so an op has one meaning.
 *
 * When two reasons apply, division by zero is named before bigint, so that every tier reports the same one.
 * Default rounding (half to even) is assumed; nothing here may be contracted or reassociated.
 *
 * Memory: none. Threads: any. No undefined behaviour for any operand. */
#ifndef SB_RT_RT_H
#define SB_RT_RT_H

#include <math.h>

#include "base/compiler.h"
#include "rt/reason.h"

#define SB_RT_EXACT_INT_MAX INT64_C(9007199254740992) /* 2**53: every smaller int is a double */
#define SB_RT_TWO_63 9223372036854775808.0

static inline bool sb_rt_fits_double(int64_t a)
{
    return a >= -SB_RT_EXACT_INT_MAX && a <= SB_RT_EXACT_INT_MAX;
}

/* --- conversions ------------------------------------------------------------------------------------------------- */

static inline int64_t sb_rt_py_int_b(bool a)
{
    return a ? 1 : 0;
}

static inline double sb_rt_py_float_i64(int64_t a)
{
    return (double)a;
}

static inline sb_reason sb_rt_py_exact_float_i64(int64_t a, double *out)
{
    if (!sb_rt_fits_double(a)) {
        return SB_REASON_BIGINT;
    }
    *out = (double)a;
    return SB_REASON_NONE;
}

/* --- integers ---------------------------------------------------------------------------------------------------- */

static inline sb_reason sb_rt_py_add_i64(int64_t a, int64_t b, int64_t *out)
{
    int64_t result;
    if (sb_add_overflow_i64(a, b, &result)) {
        return SB_REASON_OVERFLOW;
    }
    *out = result;
    return SB_REASON_NONE;
}

static inline sb_reason sb_rt_py_sub_i64(int64_t a, int64_t b, int64_t *out)
{
    int64_t result;
    if (sb_sub_overflow_i64(a, b, &result)) {
        return SB_REASON_OVERFLOW;
    }
    *out = result;
    return SB_REASON_NONE;
}

static inline sb_reason sb_rt_py_mul_i64(int64_t a, int64_t b, int64_t *out)
{
    int64_t result;
    if (sb_mul_overflow_i64(a, b, &result)) {
        return SB_REASON_OVERFLOW;
    }
    *out = result;
    return SB_REASON_NONE;
}

static inline sb_reason sb_rt_py_neg_i64(int64_t a, int64_t *out)
{
    if (a == INT64_MIN) {
        return SB_REASON_OVERFLOW;
    }
    *out = -a;
    return SB_REASON_NONE;
}

/* Rounds towards minus infinity. */
static inline sb_reason sb_rt_py_floordiv_i64(int64_t a, int64_t b, int64_t *out)
{
    if (b == 0) {
        return SB_REASON_DIV_ZERO;
    }
    if (b == -1) {
        return sb_rt_py_neg_i64(a, out);
    }
    int64_t quotient = a / b;
    if (a % b != 0 && (a < 0) != (b < 0)) {
        quotient -= 1;
    }
    *out = quotient;
    return SB_REASON_NONE;
}

/* Zero or the sign of the divisor. */
static inline sb_reason sb_rt_py_mod_i64(int64_t a, int64_t b, int64_t *out)
{
    if (b == 0) {
        return SB_REASON_DIV_ZERO;
    }
    if (b == -1) { /* INT64_MIN % -1 traps on some machines */
        *out = 0;
        return SB_REASON_NONE;
    }
    int64_t rest = a % b;
    if (rest != 0 && (rest < 0) != (b < 0)) {
        rest += b;
    }
    *out = rest;
    return SB_REASON_NONE;
}

/* Python's quotient is rounded once; that of two doubles is too when both ints are doubles. */
static inline sb_reason sb_rt_py_truediv_i64(int64_t a, int64_t b, double *out)
{
    if (b == 0) {
        return SB_REASON_DIV_ZERO;
    }
    if (!sb_rt_fits_double(a) || !sb_rt_fits_double(b)) {
        return SB_REASON_BIGINT;
    }
    *out = (double)a / (double)b;
    return SB_REASON_NONE;
}

/* --- doubles ----------------------------------------------------------------------------------------------------- */

static inline double sb_rt_py_add_f64(double a, double b)
{
    return a + b;
}

static inline double sb_rt_py_sub_f64(double a, double b)
{
    return a - b;
}

static inline double sb_rt_py_mul_f64(double a, double b)
{
    return a * b;
}

static inline double sb_rt_py_neg_f64(double a)
{
    return -a;
}

static inline sb_reason sb_rt_py_truediv_f64(double a, double b, double *out)
{
    if (b == 0.0) {
        return SB_REASON_DIV_ZERO;
    }
    *out = a / b;
    return SB_REASON_NONE;
}

/* A non-zero remainder takes the divisor's sign, a zero one is a zero of that sign. */
static inline sb_reason sb_rt_py_mod_f64(double a, double b, double *out)
{
    if (b == 0.0) {
        return SB_REASON_DIV_ZERO;
    }
    double rest = fmod(a, b);
    if (rest == 0.0) {
        rest = copysign(0.0, b);
    } else if ((rest < 0.0) != (b < 0.0)) {
        rest += b;
    }
    *out = rest;
    return SB_REASON_NONE;
}

/* By the remainder, not by floor(a / b): 1.0 // 0.1 is 9.0. The quotient of (a - rest) by b is near an integer; it is
 * snapped to the nearest one, and a zero takes the sign of the true quotient. */
static inline sb_reason sb_rt_py_floordiv_f64(double a, double b, double *out)
{
    if (b == 0.0) {
        return SB_REASON_DIV_ZERO;
    }
    const double rest = fmod(a, b);
    double quotient = (a - rest) / b;
    if (rest != 0.0 && (rest < 0.0) != (b < 0.0)) {
        quotient -= 1.0;
    }
    if (quotient == 0.0) {
        *out = copysign(0.0, a / b);
        return SB_REASON_NONE;
    }
    double whole = floor(quotient);
    if (quotient - whole > 0.5) {
        whole += 1.0;
    }
    *out = whole;
    return SB_REASON_NONE;
}

/* --- comparisons ------------------------------------------------------------------------------------------------- */

static inline bool sb_rt_py_eq_i64(int64_t a, int64_t b)
{
    return a == b;
}

static inline bool sb_rt_py_lt_i64(int64_t a, int64_t b)
{
    return a < b;
}

static inline bool sb_rt_py_le_i64(int64_t a, int64_t b)
{
    return a <= b;
}

static inline bool sb_rt_py_eq_f64(double a, double b)
{
    return a == b;
}

static inline bool sb_rt_py_lt_f64(double a, double b)
{
    return a < b;
}

static inline bool sb_rt_py_le_f64(double a, double b)
{
    return a <= b;
}

/* -1, 0, 1 as the int is less than, equal to, greater than the double; 2 when that is a NaN. Compares the values
 * themselves: rounding the int first would make 2**53 + 1 equal to 2.0**53. */
static inline int sb_rt_order_i64_f64(int64_t a, double b)
{
    if (b != b) {
        return 2;
    }
    if (b >= SB_RT_TWO_63) {
        return -1;
    }
    if (b < -SB_RT_TWO_63) {
        return 1;
    }
    const int64_t whole = (int64_t)b;
    if (a != whole) {
        return a < whole ? -1 : 1;
    }
    const double part = b - (double)whole; /* exact */
    return part > 0.0 ? -1 : (part < 0.0 ? 1 : 0);
}

static inline bool sb_rt_py_eq_i64_f64(int64_t a, double b)
{
    return sb_rt_order_i64_f64(a, b) == 0;
}

static inline bool sb_rt_py_lt_i64_f64(int64_t a, double b)
{
    return sb_rt_order_i64_f64(a, b) == -1;
}

static inline bool sb_rt_py_le_i64_f64(int64_t a, double b)
{
    return sb_rt_order_i64_f64(a, b) <= 0;
}

static inline bool sb_rt_py_gt_i64_f64(int64_t a, double b)
{
    return sb_rt_order_i64_f64(a, b) == 1;
}

static inline bool sb_rt_py_ge_i64_f64(int64_t a, double b)
{
    const int order = sb_rt_order_i64_f64(a, b);
    return order == 0 || order == 1;
}

/* --- index arithmetic -------------------------------------------------------------------------------------------- */

static inline int64_t sb_rt_ix_add(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static inline int64_t sb_rt_ix_sub(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static inline int64_t sb_rt_ix_udiv(int64_t a, int64_t b)
{
    return b == 0 ? 0 : (int64_t)((uint64_t)a / (uint64_t)b);
}

#endif
