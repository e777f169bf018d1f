/* Typed growable arrays.
 *
 *     typedef SB_VEC(int64_t) i64_vec;        zeroed is empty
 *     if (!SB_VEC_PUSH(&v, 3)) return sb_error_no_memory(err, ...);
 *     v.items[i], v.count
 *     SB_VEC_RELEASE(&v);
 *
 * Owner: one thread. */
#ifndef SB_BASE_VEC_H
#define SB_BASE_VEC_H

#include "base/mem.h"

#define SB_VEC(type)                                                                               \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t count;                                                                              \
        size_t capacity;                                                                           \
    }

/* Grows *items (item_size bytes each) to hold at least `need`; false when memory is short, nothing changed then. */
SB_MUST_USE bool sb_vec_grow(void **items, size_t *capacity, size_t need, size_t item_size);

#define SB_VEC_RESERVE(vec, need)                                                                  \
    ((need) <= (vec)->capacity ||                                                                  \
     sb_vec_grow((void **)&(vec)->items, &(vec)->capacity, (need), sizeof(*(vec)->items)))
#define SB_VEC_PUSH(vec, ...)                                                                      \
    (SB_VEC_RESERVE((vec), (vec)->count + 1)                                                       \
         ? ((vec)->items[(vec)->count++] = (__VA_ARGS__), true)                                    \
         : false)
#define SB_VEC_RELEASE(vec)                                                                        \
    do {                                                                                           \
        sb_mem_free((vec)->items);                                                                 \
        (vec)->items = NULL;                                                                       \
        (vec)->count = 0;                                                                          \
        (vec)->capacity = 0;                                                                       \
    } while (0)

#endif
