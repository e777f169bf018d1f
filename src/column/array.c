/* Arrays, as column/array.h promises them: owners, references, slices, null counts, the release queue.
 *
 * Algorithm: the release queue is a stack of owners linked through themselves, pushed with compare-and-swap and taken as a whole; a
 * closed queue holds a sentinel instead of a head, so that a late push sees it and releases on the spot.
 *
 * Threads: reference counts are atomic (acquire and release at the drop). The null count is a relaxed atomic: two threads may count
 * the same bits and store the same number.
 * Memory: an array is one block with its pointers to children and buffers behind it. */
#include "column/array.h"

#include <string.h>

#include "base/mem.h"
#include "column/array_int.h"

struct sb_release_queue {
    _Atomic int64_t refs;
    _Atomic(sb_owner *) head;
};

/* Its address marks a closed queue; it is never released. */
static sb_owner closed_mark;

sb_status sb_release_queue_new(sb_release_queue **out, sb_error *err)
{
    sb_release_queue *queue = sb_mem_alloc_zero(sizeof *queue);
    if (queue == NULL) {
        return sb_error_no_memory(err, sizeof *queue);
    }
    atomic_init(&queue->refs, 1);
    atomic_init(&queue->head, NULL);
    *out = queue;
    return SB_OK;
}

sb_release_queue *sb_release_queue_retain(sb_release_queue *queue)
{
    atomic_fetch_add_explicit(&queue->refs, 1, memory_order_relaxed);
    return queue;
}

static void owner_free(sb_owner *owner)
{
    if (owner->imported.release != NULL) {
        owner->imported.release(&owner->imported);
    }
    if (owner->host.release != NULL) {
        owner->host.release(owner->host.object);
    }
    for (int64_t i = 0; i < owner->block_count; i++) {
        sb_mem_free_aligned(owner->blocks[i]);
    }
    for (int64_t i = 0; i < owner->parent_count; i++) {
        sb_owner_drop(owner->parents[i]);
    }
    sb_mem_free(owner->parents);
    sb_release_queue *queue = owner->queue;
    sb_mem_free(owner);
    sb_release_queue_drop(queue);
}

static void owners_free(sb_owner *head)
{
    while (head != NULL) {
        sb_owner *next = head->next;
        owner_free(head);
        head = next;
    }
}

void sb_release_queue_drain(sb_release_queue *queue)
{
    sb_owner *head = atomic_load_explicit(&queue->head, memory_order_acquire);
    /* Only close puts the mark, and it is called by the thread that drains: a load followed by an exchange is enough. */
    if (head == NULL || head == &closed_mark) {
        return;
    }
    owners_free(atomic_exchange_explicit(&queue->head, NULL, memory_order_acq_rel));
}

void sb_release_queue_close(sb_release_queue *queue)
{
    sb_owner *head = atomic_exchange_explicit(&queue->head, &closed_mark, memory_order_acq_rel);
    if (head != &closed_mark) {
        owners_free(head);
    }
}

void sb_release_queue_drop(sb_release_queue *queue)
{
    if (queue == NULL || atomic_fetch_sub_explicit(&queue->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    sb_mem_free(queue); /* empty: each owner that waits in it holds a reference */
}

/* --- owners ------------------------------------------------------------------------------------------------------- */

sb_owner *sb_owner_new(sb_release_queue *queue)
{
    sb_owner *owner = sb_mem_alloc_zero(sizeof *owner);
    if (owner != NULL) {
        atomic_init(&owner->refs, 1);
        owner->queue = queue != NULL ? sb_release_queue_retain(queue) : NULL;
    }
    return owner;
}

sb_owner *sb_owner_retain(sb_owner *owner)
{
    atomic_fetch_add_explicit(&owner->refs, 1, memory_order_relaxed);
    return owner;
}

void sb_owner_drop(sb_owner *owner)
{
    if (owner == NULL || atomic_fetch_sub_explicit(&owner->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (owner->queue != NULL && (owner->imported.release != NULL || owner->host.release != NULL)) {
        sb_release_queue *queue = sb_release_queue_retain(owner->queue);
        sb_owner *head = atomic_load_explicit(&queue->head, memory_order_acquire);
        while (head != &closed_mark) {
            owner->next = head;
            if (atomic_compare_exchange_weak_explicit(&queue->head, &head, owner,
                                                      memory_order_acq_rel, memory_order_acquire)) {
                sb_release_queue_drop(queue);
                return;
            }
        }
        sb_release_queue_drop(queue);
    }
    owner_free(owner);
}

/* --- references --------------------------------------------------------------------------------------------------- */

sb_array *sb_array_alloc(sb_type *type, int64_t buffer_count, int64_t child_count)
{
    size_t pointers = (size_t)(buffer_count + child_count) * sizeof(void *);
    sb_array *array = sb_mem_alloc_zero(sizeof *array + pointers);
    if (array == NULL) {
        return NULL;
    }
    atomic_init(&array->refs, 1);
    atomic_init(&array->null_count, -1);
    array->type = sb_type_retain(type);
    array->buffer_count = buffer_count;
    array->child_count = child_count;
    void *behind = array + 1;
    array->buffers = behind;
    array->children = (void *)(array->buffers + buffer_count);
    return array;
}

sb_array *sb_array_retain(sb_array *array)
{
    atomic_fetch_add_explicit(&array->refs, 1, memory_order_relaxed);
    return array;
}

void sb_array_drop(sb_array *array)
{
    if (array == NULL || atomic_fetch_sub_explicit(&array->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (int64_t i = 0; i < array->child_count; i++) {
        sb_array_drop(array->children[i]);
    }
    sb_array_drop(array->dictionary);
    sb_owner_drop(array->owner);
    sb_type_drop(array->type);
    sb_mem_free(array);
}

sb_status sb_array_slice(sb_array *array, int64_t start, int64_t length, sb_array **out,
                         sb_error *err)
{
    SB_ASSERT(start >= 0 && length >= 0 && start <= array->length - length);
    if (start == 0 && length == array->length) {
        *out = sb_array_retain(array);
        return SB_OK;
    }
    sb_array *slice = sb_array_alloc(array->type, array->buffer_count, array->child_count);
    if (slice == NULL) {
        return sb_error_no_memory(err, sizeof *slice);
    }
    int64_t nulls = atomic_load_explicit(&array->null_count, memory_order_relaxed);
    if (nulls == 0 || nulls == array->length) {
        atomic_init(&slice->null_count, nulls == 0 ? 0 : length);
    }
    slice->length = length;
    slice->offset = array->offset + start;
    slice->extent = array->extent;
    slice->data_size = array->data_size;
    atomic_init(&slice->checked, atomic_load_explicit(&array->checked, memory_order_relaxed));
    slice->owner = array->owner != NULL ? sb_owner_retain(array->owner) : NULL;
    for (int64_t i = 0; i < array->buffer_count; i++) {
        slice->buffers[i] = array->buffers[i];
    }
    for (int64_t i = 0; i < array->child_count; i++) {
        slice->children[i] = sb_array_retain(array->children[i]);
    }
    slice->dictionary = array->dictionary != NULL ? sb_array_retain(array->dictionary) : NULL;
    *out = slice;
    return SB_OK;
}

/* Keeps alive what the shared buffers lie in. */
static sb_status owner_keep(sb_owner *owner, const sb_array_parts *parts, sb_error *err)
{
    if (parts->keep_count == 0) {
        return SB_OK;
    }
    owner->parents = sb_mem_alloc_array((size_t)parts->keep_count, sizeof(sb_owner *));
    if (owner->parents == NULL) {
        return sb_error_no_memory(err, (size_t)parts->keep_count * sizeof(sb_owner *));
    }
    for (int64_t i = 0; i < parts->keep_count; i++) {
        if (parts->keep[i]->owner != NULL) {
            owner->parents[owner->parent_count++] = sb_owner_retain(parts->keep[i]->owner);
        }
    }
    return SB_OK;
}

static int64_t data_size(const sb_array *array)
{
    bool text = array->type->layout == SB_LAYOUT_BINARY;
    if ((!text && array->type->layout != SB_LAYOUT_LARGE_BINARY) || array->length == 0) {
        return 0;
    }
    return sb_index_get(array->buffers[1], text ? 4 : 8, array->length);
}

sb_status sb_array_new(sb_type *type, const sb_array_parts *parts, sb_array **out, sb_error *err)
{
    SB_ASSERT(parts->extent >= parts->length && parts->block_count <= 3);
    SB_ASSERT(parts->shared_count == 0 || parts->block_count == 3);
    int64_t buffer_count = parts->block_count + parts->shared_count;
    sb_owner *owner = sb_owner_new(NULL);
    sb_array *array = sb_array_alloc(type, buffer_count, parts->child_count);
    if (owner == NULL || array == NULL || owner_keep(owner, parts, err) != SB_OK) {
        sb_owner_drop(owner);
        if (array != NULL) {
            array->child_count = 0;
        }
        sb_array_drop(array);
        return sb_error_no_memory(err, sizeof *array);
    }
    array->owner = owner;
    array->length = parts->length;
    array->extent = parts->extent;
    atomic_init(&array->null_count, parts->null_count);
    owner->block_count = parts->block_count;
    for (int64_t i = 0; i < parts->block_count; i++) {
        owner->blocks[i] = parts->blocks[i];
        array->buffers[i == 2 ? i + parts->shared_count : i] = parts->blocks[i];
    }
    for (int64_t i = 0; i < parts->shared_count; i++) {
        array->buffers[2 + i] = parts->shared[i];
    }
    for (int64_t i = 0; i < parts->child_count; i++) {
        array->children[i] = parts->children[i];
    }
    array->dictionary = parts->dictionary;
    array->data_size = data_size(array);
    *out = array;
    return SB_OK;
}

sb_status sb_array_new_null(sb_type *type, int64_t length, sb_array **out, sb_error *err)
{
    SB_ASSERT(type->layout == SB_LAYOUT_NULL);
    sb_array_parts parts = {.length = length, .null_count = length, .extent = length};
    return sb_array_new(type, &parts, out, err);
}

/* --- nulls -------------------------------------------------------------------------------------------------------- */

int64_t sb_array_null_count(sb_array *array)
{
    int64_t nulls = atomic_load_explicit(&array->null_count, memory_order_relaxed);
    if (nulls >= 0) {
        return nulls;
    }
    if (array->type->layout == SB_LAYOUT_NULL) {
        nulls = array->length;
    } else if (!sb_layout_infos[array->type->layout].has_validity || array->buffers[0] == NULL) {
        nulls = 0;
    } else {
        nulls = array->length - sb_bitmap_count(array->buffers[0], array->offset, array->length);
    }
    atomic_store_explicit(&array->null_count, nulls, memory_order_relaxed);
    return nulls;
}

const uint8_t *sb_array_validity(sb_array *array)
{
    if (!sb_layout_infos[array->type->layout].has_validity || array->buffers[0] == NULL ||
        sb_array_null_count(array) == 0) {
        return NULL;
    }
    return array->buffers[0];
}

const uint8_t *sb_array_text(const sb_array *array, int64_t row, int64_t *size)
{
    int64_t at = array->offset + row;
    if (array->type->layout == SB_LAYOUT_BINARY_VIEW) {
        sb_text_view view = sb_text_view_get(array, at);
        *size = view.size;
        return view.size <= SB_TEXT_INLINE
                   ? (const uint8_t *)array->buffers[1] + at * 16 + 4
                   : (const uint8_t *)array->buffers[2 + view.buffer] + view.offset;
    }
    int64_t width = sb_offset_width(array->type);
    int64_t start = sb_index_get(array->buffers[1], width, at);
    *size = sb_index_get(array->buffers[1], width, at + 1) - start;
    return *size > 0 ? (const uint8_t *)array->buffers[2] + start : (const uint8_t *)"";
}

int64_t sb_run_find(const sb_array *array, int64_t at)
{
    const sb_array *ends = array->children[0];
    int64_t low = 0, high = ends->length - 1;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (sb_index_get(ends->buffers[1], ends->type->width, ends->offset + middle) > at) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}
