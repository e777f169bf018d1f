/* Primitives that generated code does not spell out but calls, a block of lanes at a time.
 *
 * E(X, NAME, name): of math, one double each; the process's own libm answers. E(X, NAME, name, out, a, b, reason): the others; a row can
 * leave for one reason only, so that the lanes need to say no more than whether it does. X is handed through for the op table. */
#ifndef SB_RT_SLOW_H
#define SB_RT_SLOW_H

#define SB_RT_MATH1_LIST(E, X)                                                                     \
    E(X, ACOS, acos)                                                                               \
    E(X, ACOSH, acosh)                                                                             \
    E(X, ASIN, asin)                                                                               \
    E(X, ASINH, asinh)                                                                             \
    E(X, ATAN, atan)                                                                               \
    E(X, ATANH, atanh)                                                                             \
    E(X, CBRT, cbrt)                                                                               \
    E(X, COS, cos)                                                                                 \
    E(X, COSH, cosh)                                                                               \
    E(X, ERF, erf)                                                                                 \
    E(X, ERFC, erfc)                                                                               \
    E(X, EXP, exp)                                                                                 \
    E(X, EXP2, exp2)                                                                               \
    E(X, EXPM1, expm1)                                                                             \
    E(X, LOG, log)                                                                                 \
    E(X, LOG10, log10)                                                                             \
    E(X, LOG1P, log1p)                                                                             \
    E(X, LOG2, log2)                                                                               \
    E(X, SIN, sin)                                                                                 \
    E(X, SINH, sinh)                                                                               \
    E(X, TAN, tan)                                                                                 \
    E(X, TANH, tanh)

#define SB_RT_MATH2_LIST(E, X)                                                                     \
    E(X, ATAN2, atan2)                                                                             \
    E(X, COPYSIGN, copysign)                                                                       \
    E(X, FMOD, fmod)                                                                               \
    E(X, NEXTAFTER, nextafter)                                                                     \
    E(X, POW, pow)                                                                                 \
    E(X, REMAINDER, remainder)

#define SB_RT_SLOW_LIST(E, X)                                                                      \
    E(X, PY_POW_I64, py_pow_i64, int64_t, int64_t, int64_t, OVERFLOW)                              \
    E(X, PY_POW_F64, py_pow_f64, double, double, double, RAISE)                                    \
    E(X, PY_ROUND_N_F64, py_round_n_f64, double, double, int64_t, BIGINT)                          \
    E(X, PY_ROUND_N_I64, py_round_n_i64, int64_t, int64_t, int64_t, OVERFLOW)                      \
    E(X, MATH_GCD_I64, math_gcd_i64, int64_t, int64_t, int64_t, OVERFLOW)                          \
    E(X, MATH_ISQRT_I64, math_isqrt_i64, int64_t, int64_t, int64_t, RAISE)                         \
    E(X, MATH_LDEXP, math_ldexp, double, double, int64_t, RAISE)                                   \
    E(X, MATH_EXPONENT, math_exponent, int64_t, double, double, RAISE)

enum { /* the first argument of sb_rt_table.slow, and of sb_rt_table.libm below SB_RT_SLOW_LIBM_COUNT */
#define SB_E(X, NAME, name) SB_RT_SLOW_MATH_##NAME,
       SB_RT_MATH1_LIST(SB_E, ) SB_RT_MATH2_LIST(SB_E, )
#undef SB_E
           SB_RT_SLOW_LIBM_COUNT,
       SB_RT_SLOW_BEFORE_OTHERS =
           SB_RT_SLOW_LIBM_COUNT - 1, /* those that follow count on from here */
#define SB_E(X, NAME, name, to, ta, tb, reason) SB_RT_SLOW_##NAME,
       SB_RT_SLOW_LIST(SB_E, )
#undef SB_E
           SB_RT_SLOW_COUNT
};

#endif
