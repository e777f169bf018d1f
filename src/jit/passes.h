/* Which vectors are the host's at once, because nearly all rows of those before them left. What a try costs is bounded so: behind one that
 * nearly all rows left the next four are passed by, then eight, up to 64; one that most rows stay in ends that. Of batches that leave as a
 * whole two have to do so one after the other, since one row is enough for it.
 *
 * Threads: any; numbers of several threads may get lost, which changes time alone. */
#ifndef SB_JIT_PASSES_H
#define SB_JIT_PASSES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct sb_passes { /* zeroed is fine */
    atomic_int wait;       /* vectors to come that are passed by */
    atomic_int bad;        /* tries in a row that nearly all rows left */
    atomic_int next;       /* how many are so behind the next one that nearly all rows leave */
    atomic_llong rows;     /* that were passed by */
} sb_passes;

/* Whether the next vector, which has so many rows, is passed by. */
bool sb_passes_take(sb_passes *passes, int64_t rows);
/* Tells how many rows of one that was tried left. undivided: one row takes all others with it. */
void sb_passes_judge(sb_passes *passes, int64_t rows, int64_t left, bool undivided);

#endif
