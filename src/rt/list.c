/* Lists of a row.
 *
 * Memory is given out from the front of chunks and never taken back before the reset: what a list outgrew stays behind it, unless the list
 * is the last thing given out, which then grows where it stands. Chunks double in size.
 *
 * Sorting: runs of RUN items by insertion, then merges of neighbours of equal length, from one buffer to the other. Stable, since 0.0 and
 * -0.0 are equal and not the same.
 *
 * Memory: see list.h. Threads: one a heap. */
#include "rt/list.h"

#include <string.h>

#include "base/error.h"
#include "base/mem.h"

#define CHUNK_MIN ((size_t)64 << 10)
#define SMALL 64        /* items up to which a list grows fourfold */
#define LONG 512        /* items from which a list may be one of all rows */
#define LIKELY_SHARE 16 /* of the memory that is left, for one of these */
#define RUN 16

struct sb_rt_chunk {
    sb_rt_chunk *next;
    size_t size; /* of all of it */
};

_Static_assert(sizeof(sb_rt_chunk) == SB_RT_CHUNK_HEADER && SB_RT_CHUNK_HEADER % 16 == 0,
               "what follows it is aligned");

/* --- the heap ----------------------------------------------------------------------------------------------------- */

static size_t heap_max(const sb_rt_heap *heap)
{
    return heap->is_whole ? SB_RT_WHOLE_HEAP_MAX : SB_RT_HEAP_MAX;
}

static int64_t list_max(const sb_rt_heap *heap)
{
    return heap->is_whole ? SB_RT_WHOLE_LIST_MAX : SB_RT_LIST_MAX;
}

static void enter_chunk(sb_rt_heap *heap, sb_rt_chunk *chunk)
{
    heap->current = chunk;
    heap->at = chunk != NULL ? (char *)(chunk + 1) : NULL;
    heap->end = chunk != NULL ? (char *)chunk + chunk->size : NULL;
}

void sb_rt_heap_release(sb_rt_heap *heap)
{
    while (heap->first != NULL) {
        sb_rt_chunk *next = heap->first->next;
        sb_mem_free(heap->first);
        heap->first = next;
    }
    *heap = (sb_rt_heap){.is_whole = heap->is_whole, .likely = heap->likely};
}

void sb_rt_heap_reset(sb_rt_heap *heap)
{
    if (heap->held > 2 * SB_RT_HEAP_MAX) { /* of many rows, each with other sizes */
        const bool no_memory = heap->no_memory;
        sb_rt_heap_release(heap);
        heap->no_memory = no_memory;
    }
    enter_chunk(heap, heap->first);
    heap->used = 0;
    heap->full = false;
}

static bool add_chunk(sb_rt_heap *heap, size_t size)
{
    size_t wanted = heap->current != NULL ? 2 * heap->current->size : CHUNK_MIN;
    wanted = wanted > SB_RT_HEAP_MAX / 4 ? SB_RT_HEAP_MAX / 4 : wanted;
    wanted = wanted < size + sizeof(sb_rt_chunk) ? size + sizeof(sb_rt_chunk) : wanted;
    sb_rt_chunk *chunk = sb_mem_alloc(wanted);
    if (chunk == NULL) {
        heap->no_memory = true;
        return false;
    }
    chunk->size = wanted;
    heap->held += wanted;
    if (heap->current == NULL) {
        chunk->next = NULL;
        heap->first = chunk;
    } else {
        chunk->next = heap->current->next;
        heap->current->next = chunk;
    }
    enter_chunk(heap, chunk);
    return true;
}

/* size: a multiple of 8, at most some times SB_RT_LIST_MAX. NULL: the row leaves. */
static void *take(sb_rt_heap *heap, size_t size)
{
    if (size > heap_max(heap) - heap->used) {
        heap->full = true;
        return NULL;
    }
    if (size > (size_t)(heap->end - heap->at)) {
        sb_rt_chunk *next = heap->current != NULL ? heap->current->next : heap->first;
        while (next != NULL && size > next->size - sizeof(*next)) {
            next = next->next; /* what is passed over is free again after the reset */
        }
        if (next != NULL) {
            enter_chunk(heap, next);
        } else if (!add_chunk(heap, size)) {
            return NULL;
        }
    }
    void *result = heap->at;
    heap->at += size;
    heap->used += size;
    return result;
}

/* --- lists ------------------------------------------------------------------------------------------------------------ */

static sb_rt_list *list_of(int64_t handle)
{
    SB_ASSERT(handle != 0);
    return (sb_rt_list *)(uintptr_t)
        handle; /* NOLINT(performance-no-int-to-ptr): that is what a handle is */
}

static sb_reason new_list(sb_rt_heap *heap, int64_t room, sb_rt_list **out)
{
    room = room < 0 ? 0 : room;
    if (room > list_max(heap)) {
        return SB_REASON_MEMORY;
    }
    sb_rt_list *list = take(heap, sizeof(*list) + (size_t)room * sizeof(int64_t));
    if (list == NULL) {
        return SB_REASON_MEMORY;
    }
    *list = (sb_rt_list){.items = (int64_t *)(list + 1), .room = room};
    *out = list;
    return SB_REASON_NONE;
}

/* Room for `count` items in all. */
static sb_reason make_room(sb_rt_heap *heap, sb_rt_list *list, int64_t count)
{
    if (count <= list->room) {
        return SB_REASON_NONE;
    }
    if (count > list_max(heap)) {
        return SB_REASON_MEMORY;
    }
    int64_t room = list->room * (list->room < SMALL ? 4 : 2);
    const size_t left = heap_max(heap) - heap->used;
    if (room < heap->likely && count > LONG && (size_t)heap->likely <= left / LIKELY_SHARE) {
        room = heap->likely;
    }
    room = room < count ? count : room;
    room = room > list_max(heap) ? list_max(heap) : room;
    const size_t more = (size_t)(room - list->room) * sizeof(int64_t);
    const bool is_last = (char *)(list->items + list->room) == heap->at;
    if (is_last && more <= (size_t)(heap->end - heap->at) && more <= heap_max(heap) - heap->used) {
        heap->at += more;
        heap->used += more;
        list->room = room;
        return SB_REASON_NONE;
    }
    int64_t *items = take(heap, (size_t)room * sizeof(*items));
    if (items == NULL) {
        return SB_REASON_MEMORY;
    }
    memcpy(items, list->items, (size_t)list->count * sizeof(*items));
    list->items = items;
    list->room = room;
    return SB_REASON_NONE;
}

static sb_reason list_new(sb_rt_heap *heap, int64_t a, int64_t b, int64_t c, int64_t *out)
{
    sb_rt_list *list = NULL;
    (void)b;
    (void)c;
    const sb_reason reason = new_list(heap, a <= 0 ? SB_RT_LIST_ROOM : a, &list);
    *out = (int64_t)(uintptr_t)list;
    return reason;
}

static sb_reason list_len(sb_rt_heap *heap, int64_t a, int64_t b, int64_t c, int64_t *out)
{
    (void)heap;
    (void)b;
    (void)c;
    *out = list_of(a)->count;
    return SB_REASON_NONE;
}

/* The place of item `index`; false where there is none. */
static bool place_of(const sb_rt_list *list, int64_t index, int64_t *out)
{
    *out = index < 0 ? index + list->count : index;
    return *out >= 0 && *out < list->count;
}

static sb_reason list_get(sb_rt_heap *heap, int64_t a, int64_t b, int64_t c, int64_t *out)
{
    const sb_rt_list *list = list_of(a);
    int64_t at = 0;
    (void)heap;
    (void)c;
    if (!place_of(list, b, &at)) {
        return SB_REASON_RAISE;
    }
    *out = list->items[at];
    return SB_REASON_NONE;
}

static sb_reason list_set(sb_rt_heap *heap, int64_t a, int64_t b, int64_t c, int64_t *out)
{
    sb_rt_list *list = list_of(a);
    int64_t at = 0;
    (void)heap;
    (void)out;
    if (!place_of(list, b, &at)) {
        return SB_REASON_RAISE;
    }
    list->items[at] = c;
    return SB_REASON_NONE;
}

static sb_reason list_append(sb_rt_heap *heap, int64_t a, int64_t b, int64_t c, int64_t *out)
{
    sb_rt_list *list = list_of(a);
    (void)c;
    (void)out;
    const sb_reason reason = make_room(heap, list, list->count + 1);
    if (reason == SB_REASON_NONE) {
        list->items[list->count++] = b;
    }
    return reason;
}

static sb_reason list_pop(sb_rt_heap *heap, int64_t a, int64_t b, int64_t c, int64_t *out)
{
    sb_rt_list *list = list_of(a);
    int64_t at = 0;
    (void)heap;
    (void)c;
    if (!place_of(list, b, &at)) {
        return SB_REASON_RAISE;
    }
    *out = list->items[at];
    list->count--;
    memmove(&list->items[at], &list->items[at + 1], (size_t)(list->count - at) * sizeof(int64_t));
    return SB_REASON_NONE;
}

/* A bound of a slice, within [0, count]. */
static int64_t bound_of(const sb_rt_list *list, int64_t index)
{
    if (index < 0) {
        return index < -list->count ? 0 : index + list->count;
    }
    return index > list->count ? list->count : index;
}

static sb_reason list_insert(sb_rt_heap *heap, int64_t a, int64_t b, int64_t c, int64_t *out)
{
    sb_rt_list *list = list_of(a);
    (void)out;
    const sb_reason reason = make_room(heap, list, list->count + 1);
    if (reason != SB_REASON_NONE) {
        return reason;
    }
    const int64_t at = bound_of(list, b);
    memmove(&list->items[at + 1], &list->items[at], (size_t)(list->count - at) * sizeof(int64_t));
    list->items[at] = c;
    list->count++;
    return SB_REASON_NONE;
}

static sb_reason list_slice(sb_rt_heap *heap, int64_t a, int64_t b, int64_t c, int64_t *out)
{
    const sb_rt_list *list = list_of(a);
    const int64_t first = bound_of(list, b);
    const int64_t last = bound_of(list, c);
    const int64_t count = last > first ? last - first : 0;
    sb_rt_list *made = NULL;
    const sb_reason reason = new_list(heap, count, &made);
    if (reason != SB_REASON_NONE) {
        return reason;
    }
    memcpy(made->items, &list->items[first], (size_t)count * sizeof(int64_t));
    made->count = count;
    *out = (int64_t)(uintptr_t)made;
    return SB_REASON_NONE;
}

static sb_reason list_repeat(sb_rt_heap *heap, int64_t a, int64_t b, int64_t c, int64_t *out)
{
    const sb_rt_list *list = list_of(a);
    int64_t count = 0;
    (void)c;
    if (b > 0 && sb_mul_overflow_i64(list->count, b, &count)) {
        return SB_REASON_MEMORY;
    }
    sb_rt_list *made = NULL;
    const sb_reason reason = new_list(heap, count, &made);
    if (reason != SB_REASON_NONE) {
        return reason;
    }
    int64_t done = count > 0 ? list->count : 0;
    memcpy(made->items, list->items, (size_t)done * sizeof(int64_t));
    while (done < count) { /* what is there already once more */
        const int64_t more = done < count - done ? done : count - done;
        memcpy(&made->items[done], made->items, (size_t)more * sizeof(int64_t));
        done += more;
    }
    made->count = count;
    *out = (int64_t)(uintptr_t)made;
    return SB_REASON_NONE;
}

static sb_reason list_extend(sb_rt_heap *heap, int64_t a, int64_t b, int64_t c, int64_t *out)
{
    sb_rt_list *list = list_of(a);
    const sb_rt_list *other = list_of(b);
    const int64_t count = other->count;
    (void)c;
    (void)out;
    const sb_reason reason = make_room(heap, list, list->count + count);
    if (reason != SB_REASON_NONE) {
        return reason;
    }
    memcpy(&list->items[list->count], other->items, (size_t)count * sizeof(int64_t));
    list->count += count;
    return SB_REASON_NONE;
}

static sb_reason list_reverse(sb_rt_heap *heap, int64_t a, int64_t b, int64_t c, int64_t *out)
{
    const sb_rt_list *list = list_of(a);
    (void)heap;
    (void)b;
    (void)c;
    (void)out;
    for (int64_t k = 0; k < list->count / 2; k++) {
        const int64_t word = list->items[k];
        list->items[k] = list->items[list->count - 1 - k];
        list->items[list->count - 1 - k] = word;
    }
    return SB_REASON_NONE;
}

/* --- by value ----------------------------------------------------------------------------------------------------------- */

static double double_of(int64_t word)
{
    double value;
    memcpy(&value, &word, sizeof(value));
    return value;
}

static inline bool less_i64(int64_t x, int64_t y)
{
    return x < y;
}

static inline bool less_f64(int64_t x, int64_t y)
{
    return double_of(x) < double_of(y);
}

/* to[first, last) from the ascending from[first, middle) and from[middle, last); of equal items the earlier comes first. */
#define DEFINE_SORT(name, type, less)                                                              \
    static void insert_##name(type *items, int64_t first, int64_t last)                            \
    {                                                                                              \
        for (int64_t k = first + 1; k < last; k++) {                                               \
            const type word = items[k];                                                            \
            int64_t at = k;                                                                        \
            for (; at > first && less(word, items[at - 1]); at--) {                                \
                items[at] = items[at - 1];                                                         \
            }                                                                                      \
            items[at] = word;                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void merge_##name(type *to, const type *from, int64_t first, int64_t middle,            \
                             int64_t last)                                                         \
    {                                                                                              \
        int64_t x = first;                                                                         \
        int64_t y = middle;                                                                        \
        for (int64_t k = first; k < last; k++) {                                                   \
            const bool second = x == middle || (y < last && less(from[y], from[x]));               \
            to[k] = second ? from[y++] : from[x++];                                                \
        }                                                                                          \
    }                                                                                              \
    static void sort_##name(type *items, type *spare, int64_t count)                               \
    {                                                                                              \
        type *from = items;                                                                        \
        type *to = spare;                                                                          \
        for (int64_t first = 0; first < count; first += RUN) {                                     \
            insert_##name(items, first, first + RUN < count ? first + RUN : count);                \
        }                                                                                          \
        for (int64_t width = RUN; width < count; width *= 2) {                                     \
            for (int64_t first = 0; first < count; first += 2 * width) {                           \
                const int64_t middle = first + width < count ? first + width : count;              \
                const int64_t last = middle + width < count ? middle + width : count;              \
                merge_##name(to, from, first, middle, last);                                       \
            }                                                                                      \
            type *other = from;                                                                    \
            from = to;                                                                             \
            to = other;                                                                            \
        }                                                                                          \
        if (from != items) {                                                                       \
            memcpy(items, from, (size_t)count * sizeof(*items));                                   \
        }                                                                                          \
    }

typedef struct ranked {
    int64_t rank, word;
} ranked;

static inline bool less_ranked_i64(ranked x, ranked y)
{
    return x.rank < y.rank;
}

static inline bool less_ranked_f64(ranked x, ranked y)
{
    return double_of(x.rank) < double_of(y.rank);
}

DEFINE_SORT(i64, int64_t, less_i64)
DEFINE_SORT(f64, int64_t, less_f64)
DEFINE_SORT(by_i64, ranked, less_ranked_i64)
DEFINE_SORT(by_f64, ranked, less_ranked_f64)

static bool has_nan(const sb_rt_list *list)
{
    for (int64_t k = 0; k < list->count; k++) {
        const double value = double_of(list->items[k]);
        if (value != value) {
            return true;
        }
    }
    return false;
}

/* Room to merge in; a list of one run needs none. */
static sb_reason spare_for(sb_rt_heap *heap, const sb_rt_list *list, int64_t **out)
{
    *out = NULL;
    if (list->count > RUN) {
        *out = take(heap, (size_t)list->count * sizeof(int64_t));
        return *out == NULL ? SB_REASON_MEMORY : SB_REASON_NONE;
    }
    return SB_REASON_NONE;
}

static sb_reason list_sort_i64(sb_rt_heap *heap, int64_t a, int64_t b, int64_t c, int64_t *out)
{
    const sb_rt_list *list = list_of(a);
    int64_t *spare = NULL;
    (void)b;
    (void)c;
    (void)out;
    const sb_reason reason = spare_for(heap, list, &spare);
    if (reason == SB_REASON_NONE) {
        sort_i64(list->items, spare, list->count);
    }
    return reason;
}

static sb_reason list_sort_f64(sb_rt_heap *heap, int64_t a, int64_t b, int64_t c, int64_t *out)
{
    const sb_rt_list *list = list_of(a);
    int64_t *spare = NULL;
    (void)b;
    (void)c;
    (void)out;
    if (has_nan(list)) {
        return SB_REASON_TYPE_TAG;
    }
    const sb_reason reason = spare_for(heap, list, &spare);
    if (reason == SB_REASON_NONE) {
        sort_f64(list->items, spare, list->count);
    }
    return reason;
}

/* Sorts copies, each beside its rank; both lists may be one. */
static sb_reason sort_by(sb_rt_heap *heap, int64_t a, int64_t b,
                         void (*sort)(ranked *items, ranked *spare, int64_t count))
{
    const sb_rt_list *list = list_of(a);
    const sb_rt_list *ranks = list_of(b);
    if (list->count != ranks->count) {
        return SB_REASON_TYPE_TAG;
    }
    ranked *items = take(heap, (size_t)list->count * 2 * sizeof(*items));
    if (items == NULL) {
        return SB_REASON_MEMORY;
    }
    for (int64_t k = 0; k < list->count; k++) {
        items[k] = (ranked){.rank = ranks->items[k], .word = list->items[k]};
    }
    sort(items, items + list->count, list->count);
    for (int64_t k = 0; k < list->count; k++) {
        list->items[k] = items[k].word;
    }
    return SB_REASON_NONE;
}

static sb_reason list_sort_by_i64(sb_rt_heap *heap, int64_t a, int64_t b, int64_t c, int64_t *out)
{
    (void)c;
    (void)out;
    return sort_by(heap, a, b, sort_by_i64);
}

static sb_reason list_sort_by_f64(sb_rt_heap *heap, int64_t a, int64_t b, int64_t c, int64_t *out)
{
    (void)c;
    (void)out;
    return has_nan(list_of(b)) ? SB_REASON_TYPE_TAG : sort_by(heap, a, b, sort_by_f64);
}

static sb_reason list_find_i64(sb_rt_heap *heap, int64_t a, int64_t b, int64_t c, int64_t *out)
{
    const sb_rt_list *list = list_of(a);
    (void)heap;
    (void)c;
    *out = -1;
    for (int64_t k = 0; k < list->count; k++) {
        if (list->items[k] == b) {
            *out = k;
            break;
        }
    }
    return SB_REASON_NONE;
}

/* Of two doubles: equal, not, or decided by which objects they are. */
static sb_reason same_f64(int64_t x, int64_t y, bool *out)
{
    const double value = double_of(x);
    const double other = double_of(y);
    *out = value == other;
    return value != value && other != other ? SB_REASON_TYPE_TAG : SB_REASON_NONE;
}

static sb_reason list_find_f64(sb_rt_heap *heap, int64_t a, int64_t b, int64_t c, int64_t *out)
{
    const sb_rt_list *list = list_of(a);
    (void)heap;
    (void)c;
    *out = -1;
    for (int64_t k = 0; k < list->count; k++) {
        bool same = false;
        const sb_reason reason = same_f64(list->items[k], b, &same);
        if (reason != SB_REASON_NONE) {
            return reason;
        }
        if (same) {
            *out = k;
            break;
        }
    }
    return SB_REASON_NONE;
}

static sb_reason list_eq_i64(sb_rt_heap *heap, int64_t a, int64_t b, int64_t c, int64_t *out)
{
    const sb_rt_list *list = list_of(a);
    const sb_rt_list *other = list_of(b);
    (void)heap;
    (void)c;
    *out = list->count == other->count &&
           memcmp(list->items, other->items, (size_t)list->count * sizeof(int64_t)) == 0;
    return SB_REASON_NONE;
}

static sb_reason list_eq_f64(sb_rt_heap *heap, int64_t a, int64_t b, int64_t c, int64_t *out)
{
    const sb_rt_list *list = list_of(a);
    const sb_rt_list *other = list_of(b);
    (void)heap;
    (void)c;
    *out = list->count == other->count;
    for (int64_t k = 0; *out != 0 && k < list->count; k++) {
        bool same = false;
        const sb_reason reason = same_f64(list->items[k], other->items[k], &same);
        if (reason != SB_REASON_NONE) {
            return reason;
        }
        *out = same;
    }
    return SB_REASON_NONE;
}

const sb_rt_list_fn sb_rt_list_functions[SB_RT_LIST_OP_COUNT] = {
#define SB_E(ARG, NAME, name, result, operands, leaves, stays) [SB_RT_LIST_##NAME] = list_##name,
    SB_RT_LIST_LIST(SB_E, )
#undef SB_E
};

sb_reason sb_rt_list_call(sb_rt_list_op op, sb_rt_heap *heap, int64_t a, int64_t b, int64_t c,
                          int64_t *out)
{
    SB_ASSERT(op < SB_RT_LIST_OP_COUNT);
    return sb_rt_list_functions[op](heap, a, b, c, out);
}
