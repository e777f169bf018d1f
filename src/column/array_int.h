/* What the files of the column room share about arrays: owners and bare allocation. */
#ifndef SB_COLUMN_ARRAY_INT_H
#define SB_COLUMN_ARRAY_INT_H

#include "column/array.h"

struct sb_owner {
    _Atomic int64_t refs;
    struct ArrowArray imported; /* release NULL: the memory is in blocks */
    void *blocks[3];            /* from sb_mem_alloc_aligned */
    int64_t block_count;
    sb_release_queue
        *queue;     /* owned reference; NULL: released where the last reference is dropped */
    sb_owner *next; /* in the queue */
};

sb_owner *sb_owner_new(sb_release_queue *queue); /* NULL: no memory */
sb_owner *sb_owner_retain(sb_owner *owner);
void sb_owner_drop(sb_owner *owner); /* NULL is fine */

/* An empty array of the type with room for its pointers; NULL: no memory. */
sb_array *sb_array_alloc(sb_type *type, int64_t buffer_count, int64_t child_count);

#endif
