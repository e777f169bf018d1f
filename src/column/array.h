/* Arrays: one column's memory, shared and sliced without copying.
 *
 * An array is a typed view (length, offset, buffers, children) that keeps its memory alive through an owner: either an imported
 * ArrowArray, released once the last view of any part of it is gone, or blocks of this process's heap. Arrays are const once
 * made, but for the null count, which is computed when first asked for.
 *
 * Import checks structure: buffer counts and presence, lengths, offsets, children, the first and last offset of variable
 * layouts, the last run end; SB_INVALID says what is wrong and nothing outside the buffers was read. The rest waits for
 * sb_array_validate, which every kernel that reads it calls first.
 *
 * The host may need its buffers released on one thread only (the one that holds its interpreter's lock, say): an owner made with a
 * release queue puts itself there instead, until the queue is closed.
 *
 * Threads: references any; the rest const. */
#ifndef SB_COLUMN_ARRAY_H
#define SB_COLUMN_ARRAY_H

#include "base/bitmap.h"
#include "column/type.h"

#define SB_ARRAY_ROWS_MAX ((int64_t)1 << 40)

/* --- where imported memory goes back ------------------------------------------------------------------------------ */
typedef struct sb_release_queue sb_release_queue;

sb_status sb_release_queue_new(sb_release_queue **out, sb_error *err); /* out-owned: drop */
sb_release_queue *sb_release_queue_retain(sb_release_queue *queue);
void sb_release_queue_drop(sb_release_queue *queue); /* NULL is fine */
void sb_release_queue_drain(
    sb_release_queue *queue); /* calls the waiting releases on this thread */
void sb_release_queue_close(
    sb_release_queue *queue); /* drains; later releases happen where the last view is dropped */

/* --- arrays -------------------------------------------------------------------------------------------------------- */
typedef struct sb_owner sb_owner;

/* Something of the host's that is only kept: whoever takes it sets release to NULL. */
typedef struct sb_host {
    void *object;
    void (*release)(
        void *object); /* called where an imported array's would be; NULL: there is none */
} sb_host;

typedef struct sb_array sb_array;
struct sb_array {
    _Atomic int64_t refs;
    _Atomic int64_t null_count; /* -1: not counted yet */
    sb_type *type;              /* owned reference */
    int64_t length;
    int64_t offset;
    int64_t
        extent; /* rows from the start of the buffers that are known to be there; >= offset + length */
    int64_t data_size;       /* BINARY, LARGE_BINARY: bytes that the data buffer is known to hold */
    _Atomic int32_t checked; /* what sb_array_validate found right, see SB_CHECK_* in array_int.h */
    sb_owner *owner;         /* owned reference */
    int64_t buffer_count;
    int64_t child_count;
    const void **buffers; /* borrow of owner */
    sb_array **
        children; /* owned references; the offset of a struct or a fixed-size list does not move them */
    sb_array *dictionary; /* owned reference; NULL: none */
};

/* Takes *source (release is set to NULL) on success; on failure it is untouched. queue: borrow, may be NULL. */
sb_status sb_array_import(struct ArrowArray *source, sb_type *type, sb_release_queue *queue,
                          sb_array **out, sb_error *err);
/* Zero-copy; the exported struct and each of its children may be released on any thread. */
sb_status sb_array_export(sb_array *array, struct ArrowArray *out, sb_error *err);

/* An array over heap blocks (from sb_mem_alloc_aligned; NULL where the layout allows it), children and dictionary: all taken on
 * success. type is borrowed. */
typedef struct sb_array_parts {
    int64_t length;
    int64_t null_count;
    int64_t extent; /* rows that the blocks have room for */
    void *blocks[3];
    int64_t block_count;
    sb_array **children; /* the array of pointers is borrowed */
    int64_t child_count;
    sb_array *dictionary;
    const void *const *shared; /* BINARY_VIEW: data buffers that go before the last block; borrow */
    int64_t shared_count;
    sb_array *const *keep; /* arrays whose memory the shared buffers lie in; borrow */
    int64_t keep_count;
} sb_array_parts;
sb_status sb_array_new(sb_type *type, const sb_array_parts *parts, sb_array **out, sb_error *err);
/* Arrays come in with their structure checked; the rest is checked here, each array once for each level:
 *   OFFSETS  whatever says where a value lies: offsets, sizes, views, dictionary indices, union ids, run ends
 *   UTF8     text is UTF-8, after OFFSETS
 *   FULL     both, and what the format demands of values: null counts, map keys, times of day, decimals, order in dense unions
 * SB_INVALID says what is wrong in which row. */
typedef enum sb_validate_level {
    SB_VALIDATE_OFFSETS = 0,
    SB_VALIDATE_UTF8,
    SB_VALIDATE_FULL
} sb_validate_level;
sb_status sb_array_validate(sb_array *array, sb_validate_level level, sb_error *err);

/* length rows, all null, of layout NULL. */
sb_status sb_array_new_null(sb_type *type, int64_t length, sb_array **out, sb_error *err);

sb_array *sb_array_retain(sb_array *array);
void sb_array_drop(sb_array *array); /* NULL is fine */
/* Rows [start, start+length) of array; whole slices are the same object retained. */
sb_status sb_array_slice(sb_array *array, int64_t start, int64_t length, sb_array **out,
                         sb_error *err);

int64_t sb_array_null_count(sb_array *array);
/* Bitmap of valid rows, NULL when there are no nulls; row i is bit array->offset + i. */
const uint8_t *sb_array_validity(sb_array *array);

/* Bytes of a row of BINARY, LARGE_BINARY or BINARY_VIEW that is not null; borrow, never NULL. SB_VALIDATE_OFFSETS goes before. */
const uint8_t *sb_array_text(const sb_array *array, int64_t row, int64_t *size);

/* Bytes of a bitmap that can be read in whole blocks of 64. */
static inline size_t sb_mask_size(int64_t rows)
{
    return (sb_bitmap_size(rows) + 63) & ~(size_t)63;
}
/* A mask for sb_array_take of the rows of a BOOL array that are true, null rows not; out-owned by sb_mem_free_aligned, padded to 64
 * bytes. count: of the bits set. */
sb_status sb_array_mask(sb_array *array, uint8_t **out, int64_t *count, sb_error *err);

/* Rows whose bit is set in mask (from bit 0, readable in whole 64-bit words, bits past array->length zero); count of them is
 * given. sb_type_can_take must hold. SB_INVALID when offsets do not ascend or point outside. */
sb_status sb_array_take(sb_array *array, const uint8_t *mask, int64_t count, sb_array **out,
                        sb_error *err);

#endif
