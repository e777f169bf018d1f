/* Large blocks for result columns, cut from huge pages and used again: behind sb_mem_alloc_aligned, which everybody else calls.
 *
 * A fresh page costs more than what a kernel writes into it. So freed blocks are kept, and what is new comes as pages of 2 MiB where the
 * system has them. A block is a fraction of a slab of 2 MiB; a slab has blocks of one class of sizes:
 *
 *     blocks in a slab    8    6    5    4    3     2     1
 *     KiB               256  320  384  512  640  1024  2048
 *
 * Memory held is at most what is in use, each block counted with the size of its class, and sb_block_kept_max() of free blocks besides;
 * a sixteenth more where blocks do not fill their slab, and for a moment what several threads are freeing. What goes beyond is given back:
 * a slab without a block in use, or else the one block. So blocks that stay do not pin the memory of what was freed round them, whatever
 * the pattern; only the addresses of their slabs stay taken, at most 8 times their size. The first slab of a class has small pages, which
 * are touched as they are written: a small job takes no more than it needs.
 *
 * Threads: any, and no lock: a forked child goes on with what it was given, whatever the parent's other threads were doing.
 * No handler, no destructor, no thread-local state: nothing runs when threads end, or at exit. */
#ifndef SB_BASE_BLOCK_H
#define SB_BASE_BLOCK_H

#include "base/compiler.h"

#define SB_BLOCK_SIZE_MIN ((size_t)1 << 18)
#define SB_BLOCK_SIZE_MAX ((size_t)1 << 21)

typedef struct sb_block_stats {
    int64_t live_size; /* bytes of the blocks in use, as their classes count */
    int64_t kept_size; /* bytes of free blocks that may be backed by memory */
    int64_t slab_count;
} sb_block_stats;

/* 64-byte aligned, not zeroed; out-owned. NULL: not a size for here (too small, too large, or more than a third of its block would be
 * wasted), or no slab to be had; the heap may still have room. */
SB_MUST_USE void *sb_block_alloc(size_t size);
/* take; false: the pointer is none of this file's, nothing happened. */
SB_MUST_USE bool sb_block_free(void *ptr);
SB_MUST_USE bool sb_block_owns(const void *ptr);

/* Gives slabs without a block in use back until at most `size` bytes are kept, or no such slab is left. */
void sb_block_trim(int64_t size);
/* At the end of a piece of work: keeps no more than is in use, or a few MiB. */
void sb_block_settle(void);

int64_t sb_block_kept_max(void); /* 64 MiB, or 1/64 of the machine's memory if that is less */
sb_block_stats sb_block_stats_get(void); /* exact while no other thread is in here */

#endif
