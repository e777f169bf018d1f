/* Arenas: allocate many, release once. An arena belongs to one thread at a time.
 *
 * init -> alloc* -> (reset -> alloc*)* -> release. release accepts a zeroed struct. Blocks grow from block_size by
 * doubling up to 1 MiB; at most size_max bytes in all (0: no limit). Allocation failure is NULL. */
#ifndef SB_BASE_ARENA_H
#define SB_BASE_ARENA_H

#include "base/compiler.h"

typedef struct sb_arena_block sb_arena_block;
typedef struct sb_arena {
    sb_arena_block *head; /* newest block */
    size_t used;          /* bytes used of head */
    size_t block_size;
    size_t size_max;
    size_t total; /* bytes in all blocks */
} sb_arena;

void sb_arena_init(sb_arena *arena, size_t block_size, size_t size_max);
SB_MUST_USE void *sb_arena_alloc(sb_arena *arena,
                                 size_t size); /* borrow of the arena; 16-byte aligned */
SB_MUST_USE void *sb_arena_alloc_zero(sb_arena *arena, size_t size); /* likewise, zeroed */
SB_MUST_USE char *sb_arena_strndup(sb_arena *arena, const char *text, size_t size); /* NUL added */
void sb_arena_reset(sb_arena *arena);   /* forgets all, keeps one block */
void sb_arena_release(sb_arena *arena); /* gives all back; arena is zeroed but for its settings */

#endif
