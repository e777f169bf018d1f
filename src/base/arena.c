/* Arenas, as base/arena.h promises them: a list of blocks, the newest of which is filled from its start.
 *
 * Algorithm: a request that does not fit the head opens a new head, twice as large up to BLOCK_MAX, or as large as the
 * request. A request above BLOCK_MAX gets a block of its own behind the head, so that the head keeps being filled and a
 * reset has an ordinary block to keep. size_max counts what blocks can hold, not their headers; the last block is made
 * smaller when the limit asks for it.
 *
 * Threads: one at a time. Memory: blocks are owned by the arena, everything handed out is a borrow of it. */
#include "base/arena.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

#define ALIGNMENT ((size_t)16)
#define BLOCK_MIN ((size_t)64)
#define BLOCK_MAX ((size_t)1 << 20)

struct sb_arena_block {
    sb_arena_block *next; /* older */
    size_t size;          /* bytes after the header */
};

#define HEADER_SIZE ((sizeof(sb_arena_block) + ALIGNMENT - 1) & ~(ALIGNMENT - 1))

static size_t round_up(size_t size)
{
    return (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}

static size_t first_block_size(size_t asked)
{
#ifdef SB_TEST_TINY
    (void)asked;
    return BLOCK_MIN;
#else
    return asked < BLOCK_MIN ? BLOCK_MIN : round_up(asked < BLOCK_MAX ? asked : BLOCK_MAX);
#endif
}

static size_t next_block_size(const sb_arena *arena)
{
    size_t size = first_block_size(arena->block_size);
    if (arena->head != NULL && arena->head->size >= size) {
        size = arena->head->size * 2;
    }
    return size < BLOCK_MAX ? size : BLOCK_MAX;
}

static void *block_bytes(sb_arena_block *block)
{
    return (char *)block + HEADER_SIZE;
}

void sb_arena_init(sb_arena *arena, size_t block_size, size_t size_max)
{
    *arena = (sb_arena){.block_size = block_size, .size_max = size_max};
}

/* need is rounded and not 0. */
static void *alloc_in_new_block(sb_arena *arena, size_t need)
{
    size_t left = arena->size_max == 0 ? SIZE_MAX : arena->size_max - arena->total;
    size_t size = next_block_size(arena);
    if (size > left) {
        size = left & ~(ALIGNMENT - 1);
    }
    if (size < need) {
        size = need;
    }
    size_t whole;
    if (size > left || sb_add_overflow_size(HEADER_SIZE, size, &whole)) {
        return NULL;
    }
    sb_arena_block *block = sb_mem_alloc(whole);
    if (block == NULL) {
        return NULL;
    }
    block->size = size;
    arena->total += size;
    if (arena->head != NULL && size > BLOCK_MAX) {
        block->next = arena->head->next;
        arena->head->next = block;
    } else {
        block->next = arena->head;
        arena->head = block;
        arena->used = need;
    }
    return block_bytes(block);
}

void *sb_arena_alloc(sb_arena *arena, size_t size)
{
    if (size > (size_t)PTRDIFF_MAX) {
        return NULL;
    }
    size_t need = size == 0 ? ALIGNMENT : round_up(size);
    if (arena->head != NULL && need <= arena->head->size - arena->used) {
        void *out = (char *)block_bytes(arena->head) + arena->used;
        arena->used += need;
        return out;
    }
    return alloc_in_new_block(arena, need);
}

void *sb_arena_alloc_zero(sb_arena *arena, size_t size)
{
    void *out = sb_arena_alloc(arena, size);
    if (out != NULL && size > 0) {
        memset(out, 0, size);
    }
    return out;
}

char *sb_arena_strndup(sb_arena *arena, const char *text, size_t size)
{
    size_t whole;
    if (sb_add_overflow_size(size, 1, &whole)) {
        return NULL;
    }
    char *out = sb_arena_alloc(arena, whole);
    if (out == NULL) {
        return NULL;
    }
    if (size > 0) {
        memcpy(out, text, size);
    }
    out[size] = '\0';
    return out;
}

static void free_blocks(sb_arena_block *block)
{
    while (block != NULL) {
        sb_arena_block *next = block->next;
        sb_mem_free(block);
        block = next;
    }
}

void sb_arena_reset(sb_arena *arena)
{
    if (arena->head == NULL) {
        return;
    }
    if (arena->head->size > BLOCK_MAX) { /* a giant that came first: not worth holding on to */
        sb_arena_release(arena);
        return;
    }
    free_blocks(arena->head->next);
    arena->head->next = NULL;
    arena->used = 0;
    arena->total = arena->head->size;
}

void sb_arena_release(sb_arena *arena)
{
    free_blocks(arena->head);
    arena->head = NULL;
    arena->used = 0;
    arena->total = 0;
}
