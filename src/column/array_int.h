/* What the files of the column room share about arrays: owners and bare allocation. */
#ifndef SB_COLUMN_ARRAY_INT_H
#define SB_COLUMN_ARRAY_INT_H

#include <string.h>

#include "column/array.h"

struct sb_owner {
    _Atomic int64_t refs;
    struct ArrowArray imported; /* release NULL: the memory is in blocks */
    sb_host host;               /* release NULL: none */
    void *blocks[3];            /* from sb_mem_alloc_aligned */
    int64_t block_count;
    sb_owner **parents; /* owned array of owned references: others' memory that is shared */
    int64_t parent_count;
    sb_release_queue
        *queue;     /* owned reference; NULL: released where the last reference is dropped */
    sb_owner *next; /* in the queue */
};

#define SB_CHECK_OFFSETS 1 /* of this node alone */
#define SB_CHECK_OFFSETS_ALL 2
#define SB_CHECK_UTF8_ALL 4
#define SB_CHECK_FULL_ALL 8
#define SB_CHECK_RUN_ENDS 16 /* of run ends: they ascend */

sb_owner *sb_owner_new(sb_release_queue *queue); /* NULL: no memory */
sb_owner *sb_owner_retain(sb_owner *owner);
void sb_owner_drop(sb_owner *owner); /* NULL is fine */

/* An empty array of the type with room for its pointers; NULL: no memory. */
sb_array *sb_array_alloc(sb_type *type, int64_t buffer_count, int64_t child_count);

/* What says where the values of this node's rows lie, children not looked into; remembered. */
sb_status sb_array_check(sb_array *array, sb_error *err);

/* sb_array_gather where spans would cost more than the rows, once it is known that every row is one or -1. *taken: false, and no result,
 * where spans are better. */
sb_status sb_array_gather_flat(sb_array *array, const int64_t *rows, int64_t count, sb_array **out,
                               bool *taken, sb_error *err);
/* SB_LIMIT: a result that its layout cannot hold. */
sb_status sb_array_too_much(const sb_type *type, const char *what, sb_error *err);

/* The run that holds position `at` (row + offset) of a run-end encoded array; SB_VALIDATE_OFFSETS goes before. */
int64_t sb_run_find(const sb_array *array, int64_t at);

/* Value `index` of a buffer of signed whole numbers of `width` bytes. */
static inline int64_t sb_index_get(const void *values, int64_t width, int64_t index)
{
    switch (width) {
    case 1:
        return ((const int8_t *)values)[index];
    case 2: {
        int16_t value;
        memcpy(&value, (const uint8_t *)values + index * 2, sizeof value);
        return value;
    }
    case 4: {
        int32_t value;
        memcpy(&value, (const uint8_t *)values + index * 4, sizeof value);
        return value;
    }
    default: {
        int64_t value;
        memcpy(&value, (const uint8_t *)values + index * 8, sizeof value);
        return value;
    }
    }
}

static inline void sb_index_put(void *values, int64_t width, int64_t value)
{
    int8_t tiny = (int8_t)value;
    int16_t small = (int16_t)value;
    int32_t narrow = (int32_t)value;
    switch (width) {
    case 1:
        memcpy(values, &tiny, sizeof tiny);
        break;
    case 2:
        memcpy(values, &small, sizeof small);
        break;
    case 4:
        memcpy(values, &narrow, sizeof narrow);
        break;
    default:
        memcpy(values, &value, sizeof value);
    }
}

/* Bytes an offset of the layouts that have them. */
static inline int64_t sb_offset_width(const sb_type *type)
{
    switch (type->layout) {
    case SB_LAYOUT_LARGE_BINARY:
    case SB_LAYOUT_LARGE_LIST:
        return 8;
    case SB_LAYOUT_LIST_VIEW:
        return type->width;
    default:
        return 4;
    }
}

/* The index of the dictionary's row; of a type with a dictionary. */
static inline int64_t sb_dictionary_index(const sb_array *array, int64_t at)
{
    int64_t index = sb_index_get(array->buffers[1], array->type->width, at);
    char format = array->type->format[0];
    if (format == 'C') {
        return (uint8_t)index;
    }
    if (format == 'S') {
        return (uint16_t)index;
    }
    return format == 'I' ? (int64_t)(uint32_t)index : index; /* of L: negative when too large */
}

/* A view of a string or binary: 12 bytes in place, or where the bytes lie. */
typedef struct sb_text_view {
    int32_t size;
    uint8_t prefix[4];
    int32_t buffer;
    int32_t offset;
} sb_text_view;
#define SB_TEXT_INLINE 12

static inline sb_text_view sb_text_view_get(const sb_array *array, int64_t at)
{
    sb_text_view view;
    memcpy(&view, (const uint8_t *)array->buffers[1] + at * 16, sizeof view);
    return view;
}

/* Copies text and gives the end of the copy. Most pieces are short: there so many bytes are one load and one store, where the source
 * has them; the destination must have room for as many behind its end. */
#define SB_TEXT_SHORT 16

static inline uint8_t *sb_text_put(uint8_t *dst, const uint8_t *src, int64_t start, int64_t size,
                                   int64_t src_size)
{
    if (size <= SB_TEXT_SHORT && src_size - start >= SB_TEXT_SHORT) {
        memcpy(dst, src + start, SB_TEXT_SHORT);
    } else if (size > 0) {
        memcpy(dst, src + start, (size_t)size);
    }
    return dst + size;
}

#endif
