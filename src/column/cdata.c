/* Import and export of arrays through the Arrow C data interface.
 *
 * Algorithm: import walks the ArrowArray beside its type, checks each node (check_node, then the layout's own rules) and makes one
 * sb_array a node; all share one owner that holds the whole ArrowArray. The interface tells no buffer sizes, so a
 * buffer is taken to be as long as offset + length says: that is the node's extent. Export gives each node its own reference; a leaf
 * needs no memory for that, because its buffer pointers already lie in the sb_array.
 *
 * Threads: an exported struct may be released anywhere. Memory: see column/array.h. */
#include <string.h>

#include "base/mem.h"
#include "column/array_int.h"

/* --- import ------------------------------------------------------------------------------------------------------- */

static sb_status bad(const sb_type *type, sb_error *err, const char *what)
{
    return sb_error_set(err, SB_INVALID, "malformed Arrow array \"%.100s\" (format \"%.40s\"): %s",
                        type->name, type->format, what);
}

static bool buffers_fit(const struct ArrowArray *source, const sb_type *type)
{
    int32_t need = sb_layout_infos[type->layout].buffer_count;
    if (source->n_buffers < 0 || source->n_buffers > INT32_MAX ||
        (source->n_buffers > 0 && source->buffers == NULL)) {
        return false;
    }
    switch (type->layout) {
    case SB_LAYOUT_BINARY_VIEW:
        return source->n_buffers >= 3;
    case SB_LAYOUT_OPAQUE:
        return true;
    default: /* a union with a validity bitmap, as before Arrow 1.0, is refused here */
        return source->n_buffers == need;
    }
}

static sb_status check_node(const struct ArrowArray *source, const sb_type *type, sb_error *err)
{
    if (source->length < 0 || source->offset < 0 || source->length > SB_ARRAY_ROWS_MAX ||
        source->offset > SB_ARRAY_ROWS_MAX) {
        return bad(type, err, "its length or offset is negative or too large");
    }
    if (source->null_count < -1 || source->null_count > source->length) {
        return bad(type, err, "its null count is impossible");
    }
    if (!buffers_fit(source, type)) {
        return bad(type, err, "wrong number of buffers");
    }
    if (source->n_children != type->child_count ||
        (source->n_children > 0 && source->children == NULL)) {
        return bad(type, err, "wrong number of children");
    }
    if ((source->dictionary != NULL) != (type->dictionary != NULL)) {
        return bad(type, err, "its dictionary is missing or was not announced");
    }
    if (source->dictionary != NULL && source->dictionary->release == NULL) {
        return bad(type, err, "its dictionary was released");
    }
    if (sb_layout_infos[type->layout].has_validity && source->null_count > 0 &&
        source->buffers[0] == NULL) {
        return bad(type, err, "it has nulls and no validity bitmap");
    }
    return SB_OK;
}

/* First and last offset of the rows, once it is known that there are rows. */
static sb_status offsets_ends(const struct ArrowArray *source, const sb_type *type, bool large,
                              int64_t *first, int64_t *last, sb_error *err)
{
    int64_t end = source->offset + source->length;
    if (large) {
        const uint8_t *offsets = source->buffers[1];
        memcpy(first, offsets + source->offset * 8, 8);
        memcpy(last, offsets + end * 8, 8);
    } else {
        int32_t ends[2];
        const uint8_t *offsets = source->buffers[1];
        memcpy(&ends[0], offsets + source->offset * 4, 4);
        memcpy(&ends[1], offsets + end * 4, 4);
        *first = ends[0];
        *last = ends[1];
    }
    if (*first < 0 || *last < *first) {
        return bad(type, err, "its offsets are negative or do not ascend");
    }
    return SB_OK;
}

static sb_status check_variable(const struct ArrowArray *source, const sb_type *type, sb_error *err)
{
    if (source->length == 0) {
        return SB_OK;
    }
    bool large = type->layout == SB_LAYOUT_LARGE_BINARY || type->layout == SB_LAYOUT_LARGE_LIST;
    bool list = type->layout == SB_LAYOUT_LIST || type->layout == SB_LAYOUT_LARGE_LIST;
    int64_t first, last;
    if (source->buffers[1] == NULL) {
        return bad(type, err, "it has rows and no offsets");
    }
    sb_status status = offsets_ends(source, type, large, &first, &last, err);
    if (status != SB_OK) {
        return status;
    }
    if (list && last > source->children[0]->length) {
        return bad(type, err, "its last offset lies behind the child's end");
    }
    if (!list && last > first && source->buffers[2] == NULL) {
        return bad(type, err, "it has text and no data buffer");
    }
    return SB_OK;
}

/* The last buffer of a view array tells how long its data buffers are. */
static sb_status check_views(const struct ArrowArray *source, const sb_type *type, sb_error *err)
{
    const void *sizes = source->buffers[source->n_buffers - 1];
    if (source->length > 0 && source->buffers[1] == NULL) {
        return bad(type, err, "it has rows and no views");
    }
    for (int64_t i = 0; i < source->n_buffers - 3; i++) {
        int64_t size = sizes != NULL ? sb_index_get(sizes, 8, i) : -1;
        if (size < 0 || (size > 0 && source->buffers[2 + i] == NULL)) {
            return bad(type, err, "a data buffer is missing or of no known size");
        }
    }
    return SB_OK;
}

static sb_status check_fixed(const struct ArrowArray *source, const sb_type *type, sb_error *err)
{
    int64_t size;
    if (sb_mul_overflow_i64(source->offset + source->length, type->width, &size)) {
        return bad(type, err, "its length or offset is negative or too large");
    }
    if (source->length > 0 && source->buffers[1] == NULL && type->width > 0) {
        return bad(type, err, "it has rows and no values");
    }
    return SB_OK;
}

/* Once the children are in: every row has a run. */
static sb_status check_run_ends(const sb_array *array, sb_error *err)
{
    sb_array *ends = array->children[0];
    if (sb_array_null_count(ends) != 0) {
        return bad(array->type, err, "a run end is null");
    }
    if (array->children[1]->length < ends->length) {
        return bad(array->type, err, "it has fewer values than runs");
    }
    if (array->length > 0 &&
        (ends->length == 0 || sb_index_get(ends->buffers[1], ends->type->width,
                                           ends->offset + ends->length - 1) < array->extent)) {
        return bad(array->type, err, "its runs end before its rows");
    }
    return SB_OK;
}

static sb_status check_layout(const struct ArrowArray *source, const sb_type *type, sb_error *err)
{
    int64_t end = source->offset + source->length;
    int64_t items;
    switch (type->layout) {
    case SB_LAYOUT_FIXED:
        return check_fixed(source, type, err);
    case SB_LAYOUT_BOOL:
        return source->length > 0 && source->buffers[1] == NULL
                   ? bad(type, err, "it has rows and no values")
                   : SB_OK;
    case SB_LAYOUT_BINARY:
    case SB_LAYOUT_LARGE_BINARY:
    case SB_LAYOUT_LIST:
    case SB_LAYOUT_LARGE_LIST:
        return check_variable(source, type, err);
    case SB_LAYOUT_STRUCT:
    case SB_LAYOUT_SPARSE_UNION:
        for (int64_t i = 0; i < source->n_children; i++) {
            if (source->children[i]->length < end) {
                return bad(type, err, "a child is shorter than it is");
            }
        }
        return type->layout == SB_LAYOUT_STRUCT || source->length == 0 || source->buffers[0] != NULL
                   ? SB_OK
                   : bad(type, err, "it has rows and no type ids");
    case SB_LAYOUT_FIXED_LIST:
        if (sb_mul_overflow_i64(end, type->width, &items) || source->children[0]->length < items) {
            return bad(type, err, "its child is too short");
        }
        return SB_OK;
    case SB_LAYOUT_BINARY_VIEW:
        return check_views(source, type, err);
    case SB_LAYOUT_LIST_VIEW:
        return source->length > 0 && (source->buffers[1] == NULL || source->buffers[2] == NULL)
                   ? bad(type, err, "it has rows and no offsets or sizes")
                   : SB_OK;
    case SB_LAYOUT_DENSE_UNION:
        return source->length > 0 && (source->buffers[0] == NULL || source->buffers[1] == NULL)
                   ? bad(type, err, "it has rows and no type ids or offsets")
                   : SB_OK;
    default:
        return SB_OK;
    }
}

static sb_status node_import(const struct ArrowArray *source, sb_type *type, sb_owner *owner,
                             sb_array **out, sb_error *err)
{
    sb_array *array = NULL;
    sb_status status = check_node(source, type, err);
    if (status != SB_OK) {
        return status;
    }
    for (int64_t i = 0; i < source->n_children; i++) {
        if (source->children[i] == NULL || source->children[i]->release == NULL) {
            return bad(type, err, "a child is missing or released");
        }
    }
    SB_TRY(check_layout(source, type, err));
    array = sb_array_alloc(type, source->n_buffers, source->n_children);
    if (array == NULL) {
        return sb_error_no_memory(err, sizeof *array);
    }
    array->length = source->length;
    array->offset = source->offset;
    array->extent = source->offset + source->length;
    array->owner = sb_owner_retain(owner);
    for (int64_t i = 0; i < source->n_buffers; i++) {
        array->buffers[i] = source->buffers[i];
    }
    if (type->layout == SB_LAYOUT_BINARY || type->layout == SB_LAYOUT_LARGE_BINARY) {
        array->data_size = source->length > 0 ? sb_index_get(source->buffers[1],
                                                             sb_offset_width(type), array->extent)
                                              : 0;
    }
    bool no_bitmap = !sb_layout_infos[type->layout].has_validity || source->buffers[0] == NULL;
    /* A count of 0 is a claim that costs nothing to believe; any other is counted when asked for. */
    if (type->layout != SB_LAYOUT_NULL && type->layout != SB_LAYOUT_OPAQUE &&
        (no_bitmap || source->null_count == 0)) {
        atomic_init(&array->null_count, 0);
    } else if (type->layout == SB_LAYOUT_OPAQUE) {
        atomic_init(&array->null_count, source->null_count);
    }
    for (int64_t i = 0; i < source->n_children; i++) {
        SB_TRY(
            node_import(source->children[i], type->children[i], owner, &array->children[i], err));
    }
    if (type->dictionary != NULL) {
        SB_TRY(node_import(source->dictionary, type->dictionary, owner, &array->dictionary, err));
    }
    if (type->layout == SB_LAYOUT_RUN_END) {
        SB_TRY(check_run_ends(array, err));
    }
    *out = array;
    array = NULL;
out:
    sb_array_drop(array);
    return status;
}

sb_status sb_array_import(struct ArrowArray *source, sb_type *type, sb_release_queue *queue,
                          sb_array **out, sb_error *err)
{
    if (source == NULL || source->release == NULL) {
        return sb_error_set(err, SB_INVALID, "an Arrow array is missing or already released");
    }
    sb_owner *owner = sb_owner_new(queue);
    if (owner == NULL) {
        return sb_error_no_memory(err, sizeof *owner);
    }
    sb_status status = node_import(source, type, owner, out, err);
    if (status == SB_OK) {
        /* The nodes point at what the struct points at, not at the struct: it may move now. */
        owner->imported = *source;
        source->release = NULL;
    }
    sb_owner_drop(owner);
    return status;
}

/* --- export ------------------------------------------------------------------------------------------------------- */

typedef struct array_export {
    sb_array *array;
    struct ArrowArray **pointers;
    int64_t count;
    struct ArrowArray nodes[]; /* children, then the dictionary's if there is one */
} array_export;

static void leaf_release(struct ArrowArray *exported)
{
    sb_array_drop(exported->private_data);
    exported->release = NULL;
}

static void nested_release(struct ArrowArray *exported)
{
    array_export *own = exported->private_data;
    for (int64_t i = 0; i < own->count; i++) {
        if (own->nodes[i].release != NULL) {
            own->nodes[i].release(&own->nodes[i]);
        }
    }
    sb_array_drop(own->array);
    sb_mem_free(own->pointers);
    sb_mem_free(own);
    exported->release = NULL;
}

static sb_status nested_export(sb_array *array, struct ArrowArray *out, sb_error *err)
{
    int64_t count = array->child_count + (array->dictionary != NULL ? 1 : 0);
    size_t size = sizeof(array_export) + (size_t)count * sizeof(struct ArrowArray);
    array_export *own = sb_mem_alloc_zero(size);
    struct ArrowArray **pointers = sb_mem_alloc_array((size_t)count, sizeof *pointers);
    if (own == NULL || pointers == NULL) {
        sb_mem_free(own);
        sb_mem_free(pointers);
        return sb_error_no_memory(err, size);
    }
    own->array = sb_array_retain(array);
    own->pointers = pointers;
    out->children = array->child_count > 0 ? pointers : NULL;
    out->dictionary = array->dictionary != NULL ? &own->nodes[array->child_count] : NULL;
    out->private_data = own;
    out->release = nested_release;
    for (int64_t i = 0; i < count; i++) {
        sb_array *child = i < array->child_count ? array->children[i] : array->dictionary;
        pointers[i] = &own->nodes[i];
        sb_status status = sb_array_export(child, &own->nodes[i], err);
        if (status != SB_OK) {
            nested_release(out);
            return status;
        }
        own->count = i + 1;
    }
    return SB_OK;
}

sb_status sb_array_export(sb_array *array, struct ArrowArray *out, sb_error *err)
{
    SB_ASSERT(array != NULL);
    struct ArrowArray made = {
        .length = array->length,
        .null_count = atomic_load_explicit(&array->null_count, memory_order_relaxed),
        /* pyarrow refuses views of no rows that begin later. */
        .offset = array->length > 0 ? array->offset : 0,
        .n_buffers = array->buffer_count,
        .n_children = array->child_count,
        .buffers = array->buffers,
        .release = leaf_release,
    };
    if (array->child_count > 0 || array->dictionary != NULL) {
        sb_status status = nested_export(array, &made, err);
        if (status != SB_OK) {
            return status;
        }
    } else {
        made.private_data = sb_array_retain(array);
    }
    *out = made;
    return SB_OK;
}
