/* What all functions of a session did so far, for whoever watches a process.
 *
 * Threads: relaxed atomics, each a number of its own. Rows are added from time to time by the workers (func.c) and are all there when
 * a run has ended. */
#ifndef SB_JIT_TOTALS_H
#define SB_JIT_TOTALS_H

#include <stdatomic.h>

#include "ir/refusal.h"
#include "rt/reason.h"

typedef struct sb_totals {
    /* Functions bound to columns: the same function with other columns is another one. */
    atomic_llong compiled, interpreted;
    atomic_llong
        refused[SB_REFUSAL_COUNT]; /* of the interpreted ones, by reason; one may have several */
    atomic_llong rows_native, rows_interpreter; /* those that left are among them */
    atomic_llong left[SB_REASON_COUNT];         /* rows left to CPython, by reason */
} sb_totals;

struct sb_jit;
sb_totals *sb_jit_totals(struct sb_jit *jit); /* borrow */

#endif
