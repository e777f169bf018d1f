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
#include <string.h>

#include "base/compiler.h"
#include "rt/reason.h"
#include "rt/slow.h"

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

/* Negative counts raise; those of 64 and more are no shift of C. */
static inline sb_reason sb_rt_py_lshift_i64(int64_t a, int64_t b, int64_t *out)
{
    if (b < 0) {
        return SB_REASON_RAISE;
    }
    if (a == 0) {
        *out = 0;
        return SB_REASON_NONE;
    }
    if (b > 62) {
        if (a == -1 && b == 63) {
            *out = INT64_MIN;
            return SB_REASON_NONE;
        }
        return SB_REASON_OVERFLOW;
    }
    int64_t result = (int64_t)((uint64_t)a << b);
    if (result >> b != a) {
        return SB_REASON_OVERFLOW;
    }
    *out = result;
    return SB_REASON_NONE;
}

static inline sb_reason sb_rt_py_rshift_i64(int64_t a, int64_t b, int64_t *out)
{
    if (b < 0) {
        return SB_REASON_RAISE;
    }
    *out = a >> (b > 63 ? 63 : b);
    return SB_REASON_NONE;
}

static inline int64_t sb_rt_py_and_i64(int64_t a, int64_t b)
{
    return a & b;
}

static inline int64_t sb_rt_py_or_i64(int64_t a, int64_t b)
{
    return a | b;
}

static inline int64_t sb_rt_py_xor_i64(int64_t a, int64_t b)
{
    return a ^ b;
}

static inline int64_t sb_rt_py_invert_i64(int64_t a)
{
    return ~a;
}

static inline uint64_t sb_rt_unsigned_of(int64_t a)
{
    return a < 0 ? 0 - (uint64_t)a : (uint64_t)a;
}

/* Of the magnitude, as int.bit_count and int.bit_length have it. */
static inline int64_t sb_rt_py_bit_count_i64(int64_t a)
{
    return sb_popcount_u64(sb_rt_unsigned_of(a));
}

static inline int64_t sb_rt_py_bit_length_i64(int64_t a)
{
    return a == 0 ? 0 : 64 - sb_clz_u64(sb_rt_unsigned_of(a));
}

static inline sb_reason sb_rt_py_abs_i64(int64_t a, int64_t *out)
{
    if (a >= 0) {
        *out = a;
        return SB_REASON_NONE;
    }
    return sb_rt_py_neg_i64(a, out);
}

/* b is not negative: Python's answer is no int then, and the front asks for floats. */
static inline sb_reason sb_rt_py_pow_i64(int64_t a, int64_t b, int64_t *out)
{
    int64_t result = 1;
    if (b < 0) {
        return SB_REASON_OVERFLOW;
    }
    if (a == 0 || a == 1 || a == -1) {
        *out = b == 0 ? 1 : (a == -1 && (b & 1) == 0 ? 1 : a);
        return SB_REASON_NONE;
    }
    if (b > 63) {
        return SB_REASON_OVERFLOW;
    }
    for (; b > 0; b--) { /* at most 63 turns, and most bases end it sooner */
        if (sb_mul_overflow_i64(result, a, &result)) {
            return SB_REASON_OVERFLOW;
        }
    }
    *out = result;
    return SB_REASON_NONE;
}

/* round(a, b): to tens and hundreds when b is negative, ties to the even digit. */
static inline sb_reason sb_rt_py_round_n_i64(int64_t a, int64_t b, int64_t *out)
{
    if (b >= 0) {
        *out = a;
        return SB_REASON_NONE;
    }
    if (b < -19) {
        *out = 0;
        return SB_REASON_NONE;
    }
    uint64_t unit = 1;
    for (int64_t k = b; k < 0; k++) {
        unit *= 10;
    }
    uint64_t size = a < 0 ? 0 - (uint64_t)a : (uint64_t)a;
    uint64_t rest = size % unit;
    uint64_t whole = size - rest;
    bool up = rest > unit - rest || (rest == unit - rest && (whole / unit & 1) != 0);
    if (up) {
        whole += unit; /* below 2**64: with the largest unit, whole was 0 */
    }
    if (whole > (uint64_t)INT64_MAX) {
        return SB_REASON_OVERFLOW;
    }
    *out = a < 0 ? -(int64_t)whole : (int64_t)whole;
    return SB_REASON_NONE;
}

static inline sb_reason sb_rt_math_gcd_i64(int64_t a, int64_t b, int64_t *out)
{
    uint64_t x = a < 0 ? 0 - (uint64_t)a : (uint64_t)a;
    uint64_t y = b < 0 ? 0 - (uint64_t)b : (uint64_t)b;
    while (y != 0) {
        uint64_t rest = x % y;
        x = y;
        y = rest;
    }
    if (x > (uint64_t)INT64_MAX) {
        return SB_REASON_OVERFLOW;
    }
    *out = (int64_t)x;
    return SB_REASON_NONE;
}

/* The second operand is not read. */
static inline sb_reason sb_rt_math_isqrt_i64(int64_t a, int64_t b, int64_t *out)
{
    (void)b;
    if (a < 0) {
        return SB_REASON_RAISE;
    }
    uint64_t root = (uint64_t)sqrt((double)a); /* off by one at most */
    root = root > 3037000499u ? 3037000499u : root;
    while (root * root > (uint64_t)a) {
        root--;
    }
    while (root < 3037000499u && (root + 1) * (root + 1) <= (uint64_t)a) {
        root++;
    }
    *out = (int64_t)root;
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

static inline double sb_rt_py_abs_f64(double a)
{
    return fabs(a);
}

static inline double sb_rt_floor_f64(double a)
{
    return floor(a);
}

static inline double sb_rt_ceil_f64(double a)
{
    return ceil(a);
}

/* To the nearest integer, ties to even. */
static inline double sb_rt_rint_f64(double a)
{
    return rint(a);
}

/* To the nearest float32, ties to even: what NumPy's float32 gives where the double is the operation's exact result, rounded once. (Of
 * + - * / and sqrt the second rounding changes nothing, as a double has more than twice the bits and two.) */
static inline double sb_rt_np_f32(double a)
{
    return (double)(float)a;
}

/* A NaN that no operand explains, or an infinity from finite operands: what NumPy warns of, and math.* takes for an error. */
static inline bool sb_rt_is_made(double r, double a, double b)
{
    return r != r ? a == a && b == b : !(r - r == 0.0) && a - a == 0.0 && b - b == 0.0;
}

/* Does NumPy warn where + - * / // or % of a and b gives r? Invalid operations make a NaN, overflow and division by zero an infinity. */
static inline sb_reason sb_rt_np_warn_f64(double r, double a, double b)
{
    return sb_rt_is_made(r, a, b) ? SB_REASON_NP_WARNING : SB_REASON_NONE;
}

/* int(a) */
static inline sb_reason sb_rt_py_int_f64(double a, int64_t *out)
{
    if (!(a - a == 0.0)) {
        return SB_REASON_RAISE;
    }
    if (!(a >= -SB_RT_TWO_63 && a < SB_RT_TWO_63)) {
        return SB_REASON_OVERFLOW;
    }
    *out = (int64_t)a;
    return SB_REASON_NONE;
}

/* What math.* makes of a result r of libm. */
static inline sb_reason sb_rt_math_result(double r, double a, double b, double *out)
{
    if (sb_rt_is_made(r, a, b)) {
        return SB_REASON_RAISE;
    }
    *out = r;
    return SB_REASON_NONE;
}

static inline sb_reason sb_rt_math_sqrt(double a, double *out)
{
    return sb_rt_math_result(sqrt(a), a, a, out);
}

#define SB_E(X, NAME, name)                                                                        \
    static inline sb_reason sb_rt_math_##name(double a, double *out)                               \
    {                                                                                              \
        return sb_rt_math_result(name(a), a, a, out);                                              \
    }
SB_RT_MATH1_LIST(SB_E, )
#undef SB_E
/* Python's own remainder is right where some libm's has the wrong sign of zero. */
static inline double sb_rt_libm_remainder(double a, double b)
{
    const double r = remainder(a, b);
    return r == 0.0 ? copysign(r, a) : r;
}

#define sb_rt_libm_atan2 atan2
#define sb_rt_libm_copysign copysign
#define sb_rt_libm_fmod fmod
#define sb_rt_libm_nextafter nextafter
#define sb_rt_libm_pow pow
#define SB_E(X, NAME, name)                                                                        \
    static inline sb_reason sb_rt_math_##name(double a, double b, double *out)                     \
    {                                                                                              \
        return sb_rt_math_result(sb_rt_libm_##name(a, b), a, b, out);                              \
    }
SB_RT_MATH2_LIST(SB_E, )
#undef SB_E

/* a * 2**b, rounded once. */
static inline sb_reason sb_rt_math_ldexp(double a, int64_t b, double *out)
{
    const int64_t far = 5000; /* whatever a is, nothing changes beyond */
    const double r = ldexp(a, (int)(b > far ? far : (b < -far ? -far : b)));
    if (!(r - r == 0.0) && a - a == 0.0) {
        return SB_REASON_RAISE;
    }
    *out = r;
    return SB_REASON_NONE;
}

/* The exponent that math.frexp gives. The second operand is not read. */
static inline sb_reason sb_rt_math_exponent(double a, double b, int64_t *out)
{
    int exponent = 0;
    (void)b;
    if (a - a == 0.0) {
        (void)frexp(a, &exponent);
    }
    *out = exponent;
    return SB_REASON_NONE;
}

/* a ** b. libm answers for the magnitude of a; a negative base with a broken exponent is a complex number in Python. */
static inline sb_reason sb_rt_py_pow_f64(double a, double b, double *out)
{
    const bool finite = a - a == 0.0 && b - b == 0.0;
    if (!finite || b == 0.0) {
        *out = pow(a, b); /* C99 defines these as Python does */
        return SB_REASON_NONE;
    }
    const bool whole = floor(b) == b;
    const bool odd = whole && fmod(fabs(b), 2.0) == 1.0;
    if (a == 0.0) {
        if (b < 0.0) {
            return SB_REASON_RAISE;
        }
        *out = odd ? a : 0.0;
        return SB_REASON_NONE;
    }
    if (a < 0.0 && !whole) {
        return SB_REASON_RAISE;
    }
    const double size = fabs(a);
    const double result = size == 1.0 ? 1.0 : pow(size, b);
    if (!(result - result == 0.0)) {
        return SB_REASON_RAISE;
    }
    *out = a < 0.0 && odd ? -result : result;
    return SB_REASON_NONE;
}

/* round(a, b), correct in decimal: 2.675 is a little less than that, so it gives 2.67. With p the rounded product of a and 10**b and e
 * its exact error, p + e is the number whose nearest integer is wanted; only at a tie of p does e decide. The quotient of that integer
 * by 10**b is rounded once, as reading the digits would be. Leaves where p needs more than 52 bits. */
static inline sb_reason sb_rt_py_round_n_f64(double a, int64_t b, double *out)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const double limit = 4503599627370496.0; /* 2**52 */
    if (!(a - a == 0.0) || b > 323 || a == 0.0 || (b >= 0 && fabs(a) >= limit)) {
        *out = a;
        return SB_REASON_NONE;
    }
    if (b < -308) {
        *out = 0.0 * a;
        return SB_REASON_NONE;
    }
    if (b > 22 || b < -22 || fabs(a) >= limit) {
        return SB_REASON_BIGINT;
    }
    const double unit = powers[b < 0 ? -b : b];
    const double p = b < 0 ? a / unit : a * unit;
    if (fabs(p) >= limit) {
        return SB_REASON_BIGINT;
    }
    /* Of the quotient only the error's sign is wanted, which is that of what is left of a. */
    const double e = b < 0 ? fma(-p, unit, a) : fma(a, unit, -p);
    double whole = rint(p);
    const double rest = p - whole;
    if (rest == 0.5 && e > 0.0) {
        whole += 1.0;
    } else if (rest == -0.5 && e < 0.0) {
        whole -= 1.0;
    }
    *out = b < 0 ? whole * unit : whole / unit;
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

static inline int64_t sb_rt_ix_bits_f64(double a)
{
    int64_t bits;
    memcpy(&bits, &a, sizeof(bits));
    return bits;
}

static inline double sb_rt_ix_f64_bits(int64_t a)
{
    double value;
    memcpy(&value, &a, sizeof(value));
    return value;
}

#endif
