/* The one growing step behind the typed arrays of base/vec.h.
 *
 * Algorithm: capacity doubles from CAPACITY_MIN, or jumps to what is needed.
 * Threads: one owner. Memory: the items are the array's. */
#include "base/vec.h"

#include <string.h>

#define CAPACITY_MIN ((size_t)8)

bool sb_vec_grow(void **items, size_t *capacity, size_t need, size_t item_size)
{
    if (need <= *capacity) {
        return true;
    }
    size_t wanted = *capacity < CAPACITY_MIN ? CAPACITY_MIN : *capacity;
    while (wanted < need) {
        wanted = wanted > SIZE_MAX / 2 ? need : wanted * 2;
    }
    size_t size;
    if (sb_mul_overflow_size(wanted, item_size, &size)) {
        return false;
    }
    /* items is the address of a pointer of another type: reading it as bytes keeps that defined. */
    void *old;
    memcpy(&old, items, sizeof(old));
    void *grown = sb_mem_realloc(old, size);
    if (grown == NULL) {
        return false;
    }
    memcpy(items, &grown, sizeof(grown));
    *capacity = wanted;
    return true;
}
