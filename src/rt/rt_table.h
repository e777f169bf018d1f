/* Helpers that generated code calls through sb_kcall.rt: what is too long or too risky to emit inline. Each works on n
 * lanes at once (n <= 32), never traps, and gives per lane exactly what the scalar primitive in rt.h gives; lanes
 * whose operands the primitive refuses get any value (the caller's checks make those rows leave). */
#ifndef SB_RT_RT_TABLE_H
#define SB_RT_RT_TABLE_H

#include "base/compiler.h"
#include "rt/list.h"
#include "rt/slow.h"
#include "rt/square.h"

#define SB_RT_ABI 4
#define SB_RT_ALL_ONES_SIZE 320 /* bytes: validity of a whole vector plus padding */

typedef struct sb_rt_table {
    uint64_t abi;            /*  0 */
    const uint8_t *all_ones; /*  8: 0xff bytes */
    void (*py_mod_f64)(double *out, const double *a, const double *b, int64_t n);         /* 16 */
    void (*py_floordiv_f64)(double *out, const double *a, const double *b, int64_t n);    /* 24 */
    void (*py_mod_i64)(int64_t *out, const int64_t *a, const int64_t *b, int64_t n);      /* 32 */
    void (*py_floordiv_i64)(int64_t *out, const int64_t *a, const int64_t *b, int64_t n); /* 40 */
    /* 48: any primitive of rt/slow.h, by its number; bad[k] is negative where the row leaves. Operands are 8 bytes a lane. */
    void (*slow)(int64_t number, void *out, int64_t *bad, const void *a, const void *b, int64_t n);
    const sb_rt_list_fn *lists;           /* 56: the primitives of rt/list.h, by number */
    void (*heap_reset)(sb_rt_heap *heap); /* 64 */
    /* 72: what libm gives, of SB_RT_MATH1_LIST and SB_RT_MATH2_LIST; which results make a row leave is the caller's to see. Of one
     * operand: b is not read. */
    void (*libm)(int64_t number, double *out, const double *a, const double *b, int64_t n);
    /* 80: out[k] = libm's a[k] ** 2 in the lanes whose bits are set; the others of out stay. */
    void (*square)(double *out, const double *a, uint64_t lanes);
    double square_margin; /* 88: which squares need no libm (rt/square.h) */
} sb_rt_table;

extern const sb_rt_table sb_rt_table_default; /* where libm is as good as we know it */
extern const sb_rt_table sb_rt_table_careful; /* where it is not: nothing is taken for granted */

/* The one for this process, found out when first asked. */
const sb_rt_table *sb_rt_table_here(void);

#endif
