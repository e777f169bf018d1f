/* The heap, as base/mem.h promises it: plain malloc with the edge cases decided, and the fault hook of test builds.
 *
 * Algorithm: a size of 0 asks for one byte, so that success is never NULL; sizes above PTRDIFF_MAX are refused here,
 * because no object can be that large and sanitizers would abort on them. Large aligned blocks come from base/block.h, but not under
 * AddressSanitizer, which sees the ends and the life of what malloc gave alone. With SB_FAULTS each allocation, growing or
 * shrinking ones included, first takes a ticket from one countdown; the ticket that reaches zero fails.
 *
 * Threads: any. The counters are relaxed atomics: each is a number of its own that orders nothing else.
 * Memory: out-owned blocks only, no header in front of a block. */
#include "base/mem.h"

#include <stdlib.h>

#include "base/block.h"
#include "base/error.h"

#define ALIGNMENT ((size_t)64)

#ifdef SB_FAULTS
#include <stdatomic.h>

static _Atomic int64_t
    fault_countdown; /* allocations until the armed one; at or below 0: passed or never armed */
static atomic_bool fault_armed;
static atomic_bool fault_every;
static atomic_bool fault_was_hit;
static _Atomic int64_t live_blocks;

void sb_fault_arm(int64_t nth, bool every)
{
    atomic_store_explicit(&fault_armed, false, memory_order_relaxed);
    if (nth <= 0) {
        return; /* fault_was_hit is kept, so that a test can disarm first and ask after */
    }
    atomic_store_explicit(&fault_was_hit, false, memory_order_relaxed);
    atomic_store_explicit(&fault_every, every, memory_order_relaxed);
    atomic_store_explicit(&fault_countdown, nth, memory_order_relaxed);
    /* release: a thread that sees it armed sees the count. */
    atomic_store_explicit(&fault_armed, true, memory_order_release);
}

bool sb_fault_hit(void)
{
    return atomic_load_explicit(&fault_was_hit, memory_order_relaxed);
}

int64_t sb_mem_live_blocks(void)
{
    return atomic_load_explicit(&live_blocks, memory_order_relaxed);
}

static bool fault_due(void)
{
    if (!atomic_load_explicit(&fault_armed, memory_order_acquire)) {
        return false;
    }
    int64_t left = atomic_fetch_sub_explicit(&fault_countdown, 1, memory_order_relaxed) - 1;
    if (left > 0) {
        return false;
    }
    if (left == 0) {
        atomic_store_explicit(&fault_was_hit, true, memory_order_relaxed);
        return true;
    }
    return atomic_load_explicit(&fault_every, memory_order_relaxed);
}

static void count_live(int64_t change)
{
    atomic_fetch_add_explicit(&live_blocks, change, memory_order_relaxed);
}
#else
static inline bool fault_due(void)
{
    return false;
}

static inline void count_live(int64_t change)
{
    (void)change;
}
#endif

static bool size_refused(size_t size)
{
    return size > (size_t)PTRDIFF_MAX || fault_due();
}

/* Counts a fresh block and hands it on. */
static void *counted(void *ptr)
{
    if (ptr != NULL) {
        count_live(1);
    }
    return ptr;
}

void *sb_mem_alloc(size_t size)
{
    if (size_refused(size)) {
        return NULL;
    }
    return counted(malloc(size == 0 ? 1 : size));
}

void *sb_mem_alloc_zero(size_t size)
{
    if (size_refused(size)) {
        return NULL;
    }
    return counted(calloc(1, size == 0 ? 1 : size));
}

void *sb_mem_realloc(void *ptr, size_t size)
{
    if (size_refused(size)) {
        return NULL;
    }
    SB_ASSERT(!sb_block_owns(ptr));
    void *grown = realloc(ptr, size == 0 ? 1 : size);
    return ptr == NULL ? counted(grown) : grown;
}

void sb_mem_free(void *ptr)
{
    SB_ASSERT(!sb_block_owns(ptr)); /* sb_mem_free_aligned knows what to do with it */
    if (ptr != NULL) {
        count_live(-1);
    }
    free(ptr);
}

void *sb_mem_alloc_aligned(size_t size)
{
    if (size > (size_t)PTRDIFF_MAX - ALIGNMENT || fault_due()) {
        return NULL;
    }
    size_t rounded = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
#ifndef SB_SANITIZE_ADDRESS
    void *block = sb_block_alloc(rounded);
    if (block != NULL) {
        return counted(block);
    }
#endif
    return counted(aligned_alloc(ALIGNMENT, rounded == 0 ? ALIGNMENT : rounded));
}

void sb_mem_free_aligned(void *ptr)
{
    if (ptr == NULL) {
        return;
    }
    count_live(-1);
    if (!sb_block_free(ptr)) {
        free(ptr);
    }
}

void *sb_mem_alloc_array(size_t count, size_t item_size)
{
    size_t size;
    if (sb_mul_overflow_size(count, item_size, &size)) {
        return NULL;
    }
    return sb_mem_alloc(size);
}
