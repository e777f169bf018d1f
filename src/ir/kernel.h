/* The kernel contract: what a compiled function looks like to the engine, whichever tier runs it.
 *
 *     int32_t stopped_at = kernel(&call, row0, row1);     0 <= row0 <= row1 <= SB_VECTOR_ROWS
 *
 * A kernel handles rows [row0, row1) of one vector and returns the row it stopped at with call->status set:
 *     DONE  all rows handled, returns row1
 *     GROW  the leave list is full: the engine enlarges it and calls again with row0 = the returned row. Rows are pure, so
 *           a row may be started twice; entries of rows >= the returned row were not recorded.
 *     STOP  *call->stop was seen set: outputs are meaningless
 *     BAD   (fast entry only) some active row must leave: nothing that was written counts
 *
 * in[k]     values: int64_t, double, or uint8_t (0 or 1) per row, from row 0. valid: bitmap from bit 0, NULL = no nulls. The
 *           adapter pads: reading whole groups of SB_LANES_MAX rows up to the one that holds row1-1 is allowed, for both.
 *           Values of null rows are unspecified but readable.
 * active    bitmap of rows to compute (padded like valid), NULL = all. Other rows are not written and cannot leave.
 * out[k]    values: as in[k]; 64-byte aligned, padded to SB_LANES_MAX rows; valid: bitmap, padded likewise, NULL when the
 *           output cannot be null (sb_ir_output.nullable false). A kernel writes both for active rows only; the
 *           value of a null row is unspecified.
 * leave     {row:24 low, reason:8 high}: rows the kernel cannot do exactly, ascending by row, appended after leave_count.
 *           A leaving row writes nothing else. At most one entry a row.
 * rt        helpers: the only calls generated code makes (rt/rt_table.h).
 * stop      polled on loop back-edges without a small constant trip count.
 *
 * Two entries. `fast` records nothing: any active row that must leave gives BAD. `careful` fills the list.
 * heap      where the lists of a row are (rt/list.h); NULL when the function has none (sb_ir.has_list false). Whoever calls looks at
 *           heap->no_memory afterwards: the rows that left then left for want of memory.
 * No lock, no call but through rt; no allocation but in the heap.
 * Threads: a kernel is pure code; every call brings its own sb_kcall. Offsets are fixed: generated code knows them. */
#ifndef SB_IR_KERNEL_H
#define SB_IR_KERNEL_H

#include <stddef.h>

#include "base/compiler.h"
#include "rt/rt_table.h"

#define SB_VECTOR_ROWS 2048 /* most rows of one kernel call */
#define SB_LANES_MAX 32     /* padding unit of every buffer a kernel sees, in rows */

typedef enum sb_kstatus { SB_K_DONE = 0, SB_K_GROW = 1, SB_K_STOP = 2, SB_K_BAD = 3 } sb_kstatus;

typedef struct sb_kin {
    const void *values;
    const uint8_t *valid;
} sb_kin;

typedef struct sb_kout {
    void *values;
    uint8_t *valid;
} sb_kout;

typedef struct sb_kcall {
    const sb_kin *in;       /*  0 */
    const sb_kout *out;     /*  8 */
    const uint8_t *active;  /* 16 */
    uint32_t *leave;        /* 24 */
    int32_t leave_count;    /* 32 */
    int32_t leave_capacity; /* 36 */
    int32_t status;         /* 40: sb_kstatus */
    int32_t reserved;       /* 44: zero */
    const sb_rt_table *rt;  /* 48 */
    const uint32_t *stop;   /* 56: read with relaxed atomic loads; never NULL */
    sb_rt_heap *heap;       /* 64 */
} sb_kcall;

_Static_assert(offsetof(sb_kcall, leave) == 24 && offsetof(sb_kcall, status) == 40 &&
                   offsetof(sb_kcall, rt) == 48 && offsetof(sb_kcall, stop) == 56 &&
                   offsetof(sb_kcall, heap) == 64,
               "generated code knows these offsets");

typedef int32_t (*sb_kernel_fn)(sb_kcall *call, int32_t row0, int32_t row1);

#define SB_LEAVE_ENTRY(row, reason) ((uint32_t)(row) | ((uint32_t)(reason) << 24))
#define SB_LEAVE_ROW(entry) ((int32_t)((entry) & 0xffffffu))
#define SB_LEAVE_REASON(entry) ((sb_reason)((entry) >> 24))

#endif
