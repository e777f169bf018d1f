/* The only door to the heap: malloc and free are called in mem.c alone.
 *
 * Failure is NULL, and the caller reports it with sb_error_no_memory. In builds with -Dfaults=true a test can make the
 * Nth allocation from now fail (sb_fault_arm), and can ask how many blocks are live (leak check).
 *
 * Threads: any. */
#ifndef SB_BASE_MEM_H
#define SB_BASE_MEM_H

#include "base/compiler.h"

SB_MUST_USE void *sb_mem_alloc(size_t size);      /* out-owned; size 0 gives a unique pointer */
SB_MUST_USE void *sb_mem_alloc_zero(size_t size); /* out-owned, zeroed */
SB_MUST_USE void *sb_mem_realloc(void *ptr,
                                 size_t size); /* take ptr on success; ptr stays valid on failure */
void sb_mem_free(void *ptr);                   /* take; NULL is fine */

/* 64-byte aligned, size rounded up to a multiple of 64, not zeroed: column buffers. Free with sb_mem_free_aligned. */
SB_MUST_USE void *sb_mem_alloc_aligned(size_t size);
void sb_mem_free_aligned(void *ptr);

/* Array of `count` items of `item_size` bytes; NULL when the product overflows. */
SB_MUST_USE void *sb_mem_alloc_array(size_t count, size_t item_size);

#ifdef SB_FAULTS
/* From now on the nth allocation (1 = the next) of this process fails, and `every` makes all later ones fail too.
 * 0 disarms. */
void sb_fault_arm(int64_t nth, bool every);
bool sb_fault_hit(void);          /* did the armed allocation happen? */
int64_t sb_mem_live_blocks(void); /* blocks allocated and not freed */
#endif

#endif
