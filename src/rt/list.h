/* Lists that grow: what the list_ ops of ir/ops.h do, on the memory of one row.
 *
 * A list is an int64_t handle, so that two names of one list share it; an item is a word of 64 bits: an int, a double's bits, or a
 * boolean as 0 or 1. All items of a list are of one kind, which the front knows. Handles are valid until sb_rt_heap_reset.
 *
 * A primitive does its operation as CPython does, or gives the reason why the row leaves; then the list may be half changed, which no row
 * sees: CPython computes the row from its start. Negative positions count from the end.
 *
 *     NEW a            an empty list with room for a items, or for SB_RT_LIST_ROOM where a is 0
 *     LEN a            its length
 *     GET a b          item b; RAISE where there is none
 *     SET a b c        item b becomes c; likewise
 *     APPEND a b
 *     POP a b          takes item b out and gives it; likewise
 *     INSERT a b c     c before item b, b is brought within the list
 *     SLICE a b c      a new list of items b up to c, both as Python's slices take them
 *     REPEAT a b       a new list of b times the items of a
 *     EXTEND a b       the items of b behind those of a; b may be a
 *     REVERSE a, SORT_I64 a, SORT_F64 a        in place, stable; TYPE_TAG where an order with a NaN is asked for
 *     SORT_BY_I64 a b, SORT_BY_F64 a b         in place, stable, by the items of b; likewise, also where b is not as long as a
 *     FIND_I64 a b, FIND_F64 a b   position of the first item equal to b, or -1; TYPE_TAG where identity of NaNs would decide
 *     EQ_I64 a b, EQ_F64 a b       1 or 0; likewise
 *
 * Limits: SB_RT_LIST_MAX words a list, SB_RT_HEAP_MAX bytes a row, garbage included (nothing is given back before the reset); beyond
 * them a row leaves for MEMORY. A heap whose one row is a whole batch has SB_RT_WHOLE_LIST_MAX and SB_RT_WHOLE_HEAP_MAX. When memory
 * itself is short the row leaves too, and heap->no_memory is set.
 *
 * Memory: chunks, owned by the heap, kept from reset to reset. Threads: a heap belongs to one thread. */
#ifndef SB_RT_LIST_H
#define SB_RT_LIST_H

#include <stddef.h>

#include "base/compiler.h"
#include "rt/reason.h"

#define SB_RT_LIST_MAX (INT64_C(1) << 20)
#define SB_RT_HEAP_MAX ((size_t)64 << 20)
#define SB_RT_WHOLE_LIST_MAX (INT64_C(1) << 26)
#define SB_RT_WHOLE_HEAP_MAX ((size_t)2 << 30)

/* X(NAME, name, result, operands, may leave, changes a list), for the op table handed through as ARG */
#define SB_RT_LIST_LIST(X, ARG)                                                                    \
    X(ARG, NEW, new, 'i', "i", true, false)                                                        \
    X(ARG, LEN, len, 'i', "i", false, false)                                                       \
    X(ARG, GET, get, 'i', "ii", true, true)                                                        \
    X(ARG, SET, set, 'v', "iii", true, true)                                                       \
    X(ARG, APPEND, append, 'v', "ii", true, true)                                                  \
    X(ARG, POP, pop, 'i', "ii", true, true)                                                        \
    X(ARG, INSERT, insert, 'v', "iii", true, true)                                                 \
    X(ARG, SLICE, slice, 'i', "iii", true, false)                                                  \
    X(ARG, REPEAT, repeat, 'i', "ii", true, false)                                                 \
    X(ARG, EXTEND, extend, 'v', "ii", true, true)                                                  \
    X(ARG, REVERSE, reverse, 'v', "i", false, true)                                                \
    X(ARG, SORT_I64, sort_i64, 'v', "i", true, true)                                               \
    X(ARG, SORT_F64, sort_f64, 'v', "i", true, true)                                               \
    X(ARG, SORT_BY_I64, sort_by_i64, 'v', "ii", true, true)                                        \
    X(ARG, SORT_BY_F64, sort_by_f64, 'v', "ii", true, true)                                        \
    X(ARG, FIND_I64, find_i64, 'i', "ii", false, false)                                            \
    X(ARG, FIND_F64, find_f64, 'i', "ii", true, false)                                             \
    X(ARG, EQ_I64, eq_i64, 'i', "ii", false, false)                                                \
    X(ARG, EQ_F64, eq_f64, 'i', "ii", true, false)

typedef enum sb_rt_list_op {
#define SB_E(ARG, NAME, name, result, operands, leaves, stays) SB_RT_LIST_##NAME,
    SB_RT_LIST_LIST(SB_E, )
#undef SB_E
        SB_RT_LIST_OP_COUNT
} sb_rt_list_op;

typedef struct sb_rt_list { /* generated code knows these offsets */
    int64_t *items;         /*  0 */
    int64_t count;          /*  8 */
    int64_t room;           /* 16 */
} sb_rt_list;

_Static_assert(offsetof(sb_rt_list, items) == 0 && offsetof(sb_rt_list, count) == 8 &&
                   offsetof(sb_rt_list, room) == 16,
               "generated code knows these offsets");

#define SB_RT_LIST_ROOM 8      /* items that a list made empty has room for */
#define SB_RT_CHUNK_HEADER 16u /* bytes of a chunk before what it gives out */

typedef struct sb_rt_chunk sb_rt_chunk;

typedef struct sb_rt_heap {       /* generated code knows the offsets of what it makes lists with */
    char *at, *end;               /*  0: the free part of `current` */
    sb_rt_chunk *first, *current; /* 16: owned */
    size_t used;                  /* 32: bytes given out since the reset */
    size_t held;                  /* bytes of all chunks */
    bool full;                    /* 48: since the reset: SB_RT_HEAP_MAX was reached */
    bool no_memory;               /* an allocation failed; whoever looks clears it */
    bool is_whole;                /* its one row is a batch: the larger limits; set by the owner */
    int64_t likely; /* words that a list which has outgrown some will likely have; likewise */
} sb_rt_heap;

/* A heap of zeros is empty and ready. */
void sb_rt_heap_reset(sb_rt_heap *heap); /* all lists are gone */
void sb_rt_heap_release(sb_rt_heap *heap);

typedef sb_reason (*sb_rt_list_fn)(sb_rt_heap *heap, int64_t a, int64_t b, int64_t c, int64_t *out);

extern const sb_rt_list_fn sb_rt_list_functions[SB_RT_LIST_OP_COUNT];

/* The operation; *out is written with SB_REASON_NONE by those that have a value. Operands that an op lacks are not read. */
sb_reason sb_rt_list_call(sb_rt_list_op op, sb_rt_heap *heap, int64_t a, int64_t b, int64_t c,
                          int64_t *out);

#endif
