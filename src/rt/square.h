/* a ** 2 without libm, where libm's pow must give the product.
 *
 * Let p be a * a rounded, e = a * a - p its exact error, and u the distance between doubles at p. Any pow whose error before its own
 * rounding is below u/32 gives p while |e| < u/2 - u/32: no boundary between two doubles is that near. glibc's errs by at most
 * u/56 for 2**-200 <= a*a <= 2**200, where this is asked. What is nearer (one square in sixteen), tiny, huge or no number is
 * for libm itself. That this process's pow is as good is no promise: sb_rt_squares_agree looks at products just outside of
 * the margin, and where one differs nothing is taken without libm.
 *
 * Memory: none. Threads: any. */
#ifndef SB_RT_SQUARE_H
#define SB_RT_SQUARE_H

#include <math.h>
#include <string.h>

#include "base/compiler.h"

#define SB_RT_SQUARE_LEAST 0x1p-100 /* of |a| */
#define SB_RT_SQUARE_MOST 0x1p100
#define SB_RT_SQUARE_MARGIN 0x1.ep-54  /* (1/2 - 1/32) u, where 2**52 u is a power of two */
#define SB_RT_SQUARE_NO_MARGIN (-1.0)  /* nothing is sure */
#define SB_RT_SQUARE_SPLIT 134217729.0 /* 2**27 + 1: halves whose products are exact */
#define SB_RT_EXPONENT_BITS 0x7ff0000000000000

/* Of a product that neither overflows nor loses bits below. */
static inline double sb_rt_square_error(double a, double p)
{
#ifdef FP_FAST_FMA
    return fma(a, a, -p);
#else
    const double t = a * SB_RT_SQUARE_SPLIT;
    const double high = t - (t - a);
    const double low = a - high;
    return ((high * high - p) + 2.0 * high * low) + low * low;
#endif
}

/* 2**52 u; of a power of two that below it, where doubles are nearer to each other. */
static inline double sb_rt_square_unit(double p)
{
    uint64_t bits;
    double unit;
    memcpy(&bits, &p, sizeof(bits));
    bits = (bits - 1) & SB_RT_EXPONENT_BITS;
    memcpy(&unit, &bits, sizeof(unit));
    return unit;
}

/* *out = a * a; is that what libm's pow(a, 2.0) gives? `margin` is the table's. Without branches, for loops over vectors. */
static inline bool sb_rt_square(double a, double margin, double *out)
{
    const double p = a * a;
    const double size = fabs(a);
    const bool sure = fabs(sb_rt_square_error(a, p)) < sb_rt_square_unit(p) * margin;
    *out = p;
    return (sure & (size >= SB_RT_SQUARE_LEAST) & (size <= SB_RT_SQUARE_MOST)) | (a == 0.0);
}

/* Whether `power` gives the product for some hundred numbers whose squares are nearly as close to a boundary as sb_rt_square takes
 * them. 20 to 50 us. */
bool sb_rt_squares_agree(double (*power)(double, double));

/* out[k] = pow(a[k], 2.0) for each k whose bit is set in `lanes`. */
void sb_rt_square_by_libm(double *out, const double *a, uint64_t lanes);

/* out = a ** 2, as sb_rt_py_pow_f64 has it; negative when some row leaves. out and a do not overlap. */
int64_t sb_rt_square_block(double *restrict out, const double *restrict a, int64_t n);

#endif
