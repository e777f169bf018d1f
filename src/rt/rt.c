/* Names of the reasons, and the lane helpers that generated code calls.
 *
 * A helper runs the scalar primitive on each lane; a lane that the primitive refuses gets zero, since the caller's own
 * checks make that row leave. `out` may be `a` or `b` itself.
 *
 * Memory: none. Threads: any. */
#include "rt/rt.h"

#include <stdatomic.h>

#include "base/error.h"
#include "rt/rt_table.h"

const char *sb_reason_name(sb_reason reason)
{
    static const char *const names[SB_REASON_COUNT] = {
#define X(name, text, doc) text,
        SB_REASON_LIST(X)
#undef X
    };
    const size_t index = (size_t)reason;
    return index < SB_REASON_COUNT ? names[index] : "unknown";
}

#define LANES(text, type)                                                                          \
    static void text##_lanes(type *out, const type *a, const type *b, int64_t n)                   \
    {                                                                                              \
        SB_ASSERT(n >= 0);                                                                         \
        for (int64_t i = 0; i < n; i++) {                                                          \
            type result = 0;                                                                       \
            if (sb_rt_##text(a[i], b[i], &result) != SB_REASON_NONE) {                             \
                result = 0;                                                                        \
            }                                                                                      \
            out[i] = result;                                                                       \
        }                                                                                          \
    }

LANES(py_mod_f64, double)
LANES(py_floordiv_f64, double)
LANES(py_mod_i64, int64_t)
LANES(py_floordiv_i64, int64_t)
#undef LANES

/* One loop a primitive. */
#define SLOW(text, to, ta, tb, call)                                                               \
    static void text##_slow(void *out, int64_t *bad, const void *pa, const void *pb, int64_t n)    \
    {                                                                                              \
        to *o = out;                                                                               \
        const ta *a = pa;                                                                          \
        const tb *b = pb;                                                                          \
        (void)b;                                                                                   \
        for (int64_t i = 0; i < n; i++) {                                                          \
            to result = 0;                                                                         \
            bad[i] = call == SB_REASON_NONE ? 0 : -1;                                              \
            o[i] = result;                                                                         \
        }                                                                                          \
    }
#define E_(X, NAME, name)                                                                          \
    SLOW(math_##name, double, double, double, sb_rt_math_##name(a[i], &result))
SB_RT_MATH1_LIST(E_, )
#undef E_
#define E_(X, NAME, name)                                                                          \
    SLOW(math_##name, double, double, double, sb_rt_math_##name(a[i], b[i], &result))
SB_RT_MATH2_LIST(E_, )
#undef E_
#define E_(X, NAME, name, to, ta, tb, reason)                                                      \
    SLOW(name, to, ta, tb, sb_rt_##name(a[i], b[i], &result))
SB_RT_SLOW_LIST(E_, )
#undef E_

/* Nothing but the calls: they are most of the time of the functions that have them. */
#define LIBM(name, call)                                                                           \
    static void name##_libm(double *out, const double *a, const double *b, int64_t n)              \
    {                                                                                              \
        (void)b;                                                                                   \
        for (int64_t i = 0; i < n; i++) {                                                          \
            out[i] = call;                                                                         \
        }                                                                                          \
    }
#define E_(X, NAME, name) LIBM(name, name(a[i]))
SB_RT_MATH1_LIST(E_, )
#undef E_
#define E_(X, NAME, name) LIBM(name, sb_rt_libm_##name(a[i], b[i]))
SB_RT_MATH2_LIST(E_, )
#undef E_

static void libm_lanes(int64_t number, double *out, const double *a, const double *b, int64_t n)
{
    static void (*const table[])(double *, const double *, const double *, int64_t) = {
#define E_(X, NAME, name) [SB_RT_SLOW_MATH_##NAME] = name##_libm,
        SB_RT_MATH1_LIST(E_, ) SB_RT_MATH2_LIST(E_, )
#undef E_
    };
    SB_ASSERT(number >= 0 && (size_t)number < SB_COUNT_OF(table) && n >= 0);
    table[number](out, a, b, n);
}

static void slow_lanes(int64_t number, void *out, int64_t *bad, const void *a, const void *b,
                       int64_t n)
{
    static void (*const table[SB_RT_SLOW_COUNT])(void *, int64_t *, const void *, const void *,
                                                 int64_t) = {
#define E_(X, NAME, name) [SB_RT_SLOW_MATH_##NAME] = math_##name##_slow,
        SB_RT_MATH1_LIST(E_, ) SB_RT_MATH2_LIST(E_, )
#undef E_
#define E_(X, NAME, name, to, ta, tb, reason) [SB_RT_SLOW_##NAME] = name##_slow,
            SB_RT_SLOW_LIST(E_, )
#undef E_
    };
    SB_ASSERT(number >= 0 && number < SB_RT_SLOW_COUNT && n >= 0);
    table[number](out, bad, a, b, n);
}

#define ONES_8 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
#define ONES_64 ONES_8, ONES_8, ONES_8, ONES_8, ONES_8, ONES_8, ONES_8, ONES_8
static const uint8_t all_ones[SB_RT_ALL_ONES_SIZE] = {ONES_64, ONES_64, ONES_64, ONES_64, ONES_64};

_Static_assert(SB_RT_ALL_ONES_SIZE == 5 * 64, "every byte of all_ones is set above");

#define TABLE(margin)                                                                              \
    {                                                                                              \
        .abi = SB_RT_ABI,                                                                          \
        .all_ones = all_ones,                                                                      \
        .py_mod_f64 = py_mod_f64_lanes,                                                            \
        .py_floordiv_f64 = py_floordiv_f64_lanes,                                                  \
        .py_mod_i64 = py_mod_i64_lanes,                                                            \
        .py_floordiv_i64 = py_floordiv_i64_lanes,                                                  \
        .slow = slow_lanes,                                                                        \
        .lists = sb_rt_list_functions,                                                             \
        .heap_reset = sb_rt_heap_reset,                                                            \
        .libm = libm_lanes,                                                                        \
        .square = sb_rt_square_by_libm,                                                            \
        .square_margin = (margin),                                                                 \
    }

const sb_rt_table sb_rt_table_default = TABLE(SB_RT_SQUARE_MARGIN);
const sb_rt_table sb_rt_table_careful = TABLE(SB_RT_SQUARE_NO_MARGIN);

/* Two threads may both find out, and find the same. */
const sb_rt_table *sb_rt_table_here(void)
{
    static _Atomic(const sb_rt_table *) known;
    const sb_rt_table *table = atomic_load_explicit(&known, memory_order_relaxed);
    if (SB_UNLIKELY(table == NULL)) {
        table = sb_rt_squares_agree(pow) ? &sb_rt_table_default : &sb_rt_table_careful;
        atomic_store_explicit(&known, table, memory_order_relaxed);
    }
    return table;
}
