/* Take by index and concatenation, as column/gather.h promises them.
 *
 * Algorithm: both are lists of spans, pieces of sources that follow each other in the result; a span of no source is null rows. A node
 * copies its own buffers span by span, and makes of its spans those of its children: a struct passes them on, a list gives the items
 * that they hold, a dense union gives each child the items it is asked for, runs give the values of the runs that are touched.
 *
 * Threads: none of its own. Memory: fresh blocks, handed to the new array. Recursion: over the type. */
#include "column/gather.h"

#include <string.h>

#include "base/mem.h"
#include "column/array_int.h"

typedef struct span {
    int64_t source; /* -1: null rows */
    int64_t start;
    int64_t length;
} span;

typedef struct spans {
    span *items;
    int64_t count;
    int64_t capacity;
    int64_t rows; /* of all together */
} spans;

/* What one node works with. */
typedef struct job {
    sb_type *type;
    sb_array *const *sources;
    int64_t source_count;
    const spans *picks;
    sb_array_parts parts;
} job;

static sb_status gather(sb_type *type, sb_array *const *sources, int64_t source_count,
                        const spans *picks, sb_array **out, sb_error *err);

static sb_status spans_add(spans *list, int64_t source, int64_t start, int64_t length,
                           sb_error *err)
{
    if (length == 0) {
        return SB_OK;
    }
    list->rows += length;
    span *last = list->count > 0 ? &list->items[list->count - 1] : NULL;
    if (last != NULL && last->source == source &&
        (source < 0 || last->start + last->length == start)) {
        last->length += length;
        return SB_OK;
    }
    if (list->items == NULL || list->count == list->capacity) {
        int64_t capacity = list->capacity < 8 ? 16 : list->capacity * 2;
        span *items = sb_mem_realloc(list->items, (size_t)capacity * sizeof *items);
        if (items == NULL) {
            return sb_error_no_memory(err, (size_t)capacity * sizeof *items);
        }
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = (span){.source = source, .start = start, .length = length};
    return SB_OK;
}

static sb_status block_new(job *work, int index, int64_t size, sb_error *err)
{
    void *block = sb_mem_alloc_aligned((size_t)size);
    work->parts.blocks[index] = block;
    if (work->parts.block_count <= index) {
        work->parts.block_count = index + 1;
    }
    return block != NULL ? SB_OK : sb_error_no_memory(err, (size_t)size);
}

sb_status sb_array_too_much(const sb_type *type, const char *what, sb_error *err)
{
    return sb_error_set(err, SB_LIMIT,
                        "column \"%.100s\": more %s than its type \"%.40s\" can hold", type->name,
                        what, type->format);
}

/* --- one child ------------------------------------------------------------------------------------------------------ */

static sb_status child_gather(job *work, int64_t index, const spans *picks, sb_error *err)
{
    size_t size = (size_t)work->source_count * sizeof(sb_array *);
    sb_array **children = sb_mem_alloc(size);
    if (children == NULL) {
        return sb_error_no_memory(err, size);
    }
    for (int64_t i = 0; i < work->source_count; i++) {
        children[i] = work->sources[i]->children[index];
    }
    sb_status status = gather(work->type->children[index], children, work->source_count, picks,
                              &work->parts.children[index], err);
    if (status == SB_OK) {
        work->parts.child_count = index + 1;
    }
    sb_mem_free(children);
    return status;
}

/* --- bits and values ------------------------------------------------------------------------------------------------ */

static sb_status gather_validity(job *work, sb_error *err)
{
    bool needed = false;
    for (int64_t i = 0; i < work->picks->count && !needed; i++) {
        needed = work->picks->items[i].source < 0;
    }
    for (int64_t i = 0; i < work->source_count && !needed; i++) {
        needed = sb_array_validity(work->sources[i]) != NULL;
    }
    work->parts.block_count = 1;
    if (!needed) {
        return SB_OK;
    }
    sb_status status = block_new(work, 0, (int64_t)sb_bitmap_size(work->picks->rows), err);
    uint8_t *bits = work->parts.blocks[0];
    int64_t at = 0;
    for (int64_t i = 0; status == SB_OK && i < work->picks->count; i++) {
        const span *pick = &work->picks->items[i];
        sb_array *source = pick->source < 0 ? NULL : work->sources[pick->source];
        const uint8_t *valid = source != NULL ? sb_array_validity(source) : NULL;
        if (valid != NULL) {
            sb_bitmap_copy(bits, at, valid, source->offset + pick->start, pick->length);
        } else {
            sb_bitmap_fill(bits, at, pick->length, source != NULL);
        }
        at += pick->length;
    }
    if (status == SB_OK) {
        work->parts.null_count = at - sb_bitmap_count(bits, 0, at);
    }
    return status;
}

static sb_status gather_bits(job *work, sb_error *err)
{
    int64_t padded = (work->picks->rows + 63) & ~(int64_t)63;
    sb_status status = block_new(work, 1, (int64_t)sb_bitmap_size(padded), err);
    uint8_t *bits = work->parts.blocks[1];
    int64_t at = 0;
    for (int64_t i = 0; status == SB_OK && i < work->picks->count; i++) {
        const span *pick = &work->picks->items[i];
        if (pick->source < 0) {
            sb_bitmap_fill(bits, at, pick->length, false);
        } else {
            const sb_array *source = work->sources[pick->source];
            sb_bitmap_copy(bits, at, source->buffers[1], source->offset + pick->start,
                           pick->length);
        }
        at += pick->length;
    }
    return status;
}

/* Values of `width` bytes of one buffer, zero where there is no source; the block has room for whole groups of 64. */
static sb_status gather_values(job *work, int buffer, int64_t width, sb_error *err)
{
    int64_t padded = (work->picks->rows + 63) & ~(int64_t)63;
    sb_status status = block_new(work, buffer, padded * width, err);
    if (status != SB_OK || width == 0) {
        return status;
    }
    uint8_t *out = work->parts.blocks[buffer];
    for (int64_t i = 0; i < work->picks->count; i++) {
        const span *pick = &work->picks->items[i];
        size_t size = (size_t)(pick->length * width);
        if (pick->source < 0) {
            memset(out, 0, size);
        } else {
            const sb_array *source = work->sources[pick->source];
            const uint8_t *from = source->buffers[buffer];
            from += (source->offset + pick->start) * width;
            if (size == 8) {
                memcpy(out, from, 8); /* one row of the commonest width: no call */
            } else {
                memcpy(out, from, size);
            }
        }
        out += size;
    }
    return SB_OK;
}

/* --- dictionaries --------------------------------------------------------------------------------------------------- */

static void maps_free(int64_t **maps, int64_t count)
{
    for (int64_t i = 0; maps != NULL && i < count; i++) {
        sb_mem_free(maps[i]);
    }
    sb_mem_free(maps);
}

static sb_status indices_map(job *work, int64_t *const *maps, sb_error *err)
{
    static const char formats[] = "cCsSiIlL";
    int64_t width = work->type->width;
    /* The largest index: bits of the width, less one for the signed formats and for what int64 holds. */
    bool is_signed = (strchr(formats, work->type->format[0]) - formats) % 2 == 0;
    int64_t largest = width == 8 ? INT64_MAX : (INT64_C(1) << (width * 8 - is_signed)) - 1;
    uint8_t *out = work->parts.blocks[1];
    const uint8_t *valid = work->parts.blocks[0];
    int64_t at = 0;
    for (int64_t i = 0; i < work->picks->count; i++) {
        const span *pick = &work->picks->items[i];
        for (int64_t row = 0; row < pick->length; row++, at++) {
            int64_t index = 0;
            if (pick->source >= 0 && (valid == NULL || sb_bit_get(valid, at))) {
                const sb_array *source = work->sources[pick->source];
                index = maps[pick->source]
                            [sb_dictionary_index(source, source->offset + pick->start + row)];
            }
            if (index > largest) {
                return sb_array_too_much(work->type, "dictionary entries", err);
            }
            sb_index_put(out + at * width, width, index);
        }
    }
    return SB_OK;
}

static sb_status gather_dictionary(job *work, sb_error *err)
{
    int64_t count = work->source_count;
    int64_t **maps = NULL;
    bool same = true;
    for (int64_t i = 1; i < count; i++) {
        same = same && work->sources[i]->dictionary == work->sources[0]->dictionary;
    }
    if (same) {
        work->parts.dictionary = sb_array_retain(work->sources[0]->dictionary);
        return SB_OK;
    }
    size_t size = (size_t)count * sizeof(sb_array *);
    sb_array **given = sb_mem_alloc(size);
    if (given == NULL) {
        return sb_error_no_memory(err, size);
    }
    for (int64_t i = 0; i < count; i++) {
        given[i] = work->sources[i]->dictionary;
    }
    sb_status status = sb_dictionary_unite(given, count, &work->parts.dictionary, &maps, err);
    if (status == SB_OK) {
        status = indices_map(work, maps, err);
        maps_free(maps, count);
    }
    sb_mem_free(given);
    return status;
}

/* --- text ----------------------------------------------------------------------------------------------------------- */

/* Offsets of the result; the rows of a span keep their distances. Gives the sum. */
static sb_status gather_offsets(job *work, int64_t *total, sb_error *err)
{
    int64_t width = sb_offset_width(work->type);
    sb_status status = block_new(work, 1, (work->picks->rows + 1) * width, err);
    if (status != SB_OK) {
        return status;
    }
    uint8_t *out = work->parts.blocks[1];
    int64_t sum = 0;
    sb_index_put(out, width, 0);
    for (int64_t i = 0; i < work->picks->count; i++) {
        const span *pick = &work->picks->items[i];
        const sb_array *source = pick->source < 0 ? NULL : work->sources[pick->source];
        int64_t at = source != NULL ? source->offset + pick->start : 0;
        int64_t shift = source != NULL ? sum - sb_index_get(source->buffers[1], width, at) : 0;
        for (int64_t row = 1; row <= pick->length; row++) {
            int64_t end = sum;
            if (source != NULL) {
                end = sb_index_get(source->buffers[1], width, at + row) + shift;
            }
            out += width;
            sb_index_put(out, width, end);
            if (row == pick->length) {
                sum = end;
            }
        }
        if (width == 4 && sum > INT32_MAX) {
            return sb_array_too_much(work->type,
                                     work->type->child_count > 0 ? "items" : "bytes of text", err);
        }
    }
    *total = sum;
    return SB_OK;
}

static sb_status gather_text(job *work, sb_error *err)
{
    int64_t total = 0, width = sb_offset_width(work->type);
    sb_status status;
    SB_TRY(gather_offsets(work, &total, err));
    SB_TRY(block_new(work, 2, total, err));
    uint8_t *out = work->parts.blocks[2];
    for (int64_t i = 0; i < work->picks->count; i++) {
        const span *pick = &work->picks->items[i];
        if (pick->source < 0) {
            continue;
        }
        const sb_array *source = work->sources[pick->source];
        int64_t at = source->offset + pick->start;
        int64_t start = sb_index_get(source->buffers[1], width, at);
        int64_t size = sb_index_get(source->buffers[1], width, at + pick->length) - start;
        if (size > 0) {
            memcpy(out, (const uint8_t *)source->buffers[2] + start, (size_t)size);
            out += size;
        }
    }
out:
    return status;
}

/* Moves the views of valid rows to the buffers' new numbers. */
static sb_status views_shift(job *work, const int64_t *bases, sb_error *err)
{
    uint8_t *views = work->parts.blocks[1];
    const uint8_t *valid = work->parts.blocks[0];
    int64_t at = 0;
    for (int64_t i = 0; i < work->picks->count; i++) {
        const span *pick = &work->picks->items[i];
        for (int64_t row = 0; row < pick->length; row++, at++) {
            sb_text_view view = {0};
            if (pick->source >= 0 && (valid == NULL || sb_bit_get(valid, at))) {
                memcpy(&view, views + at * 16, sizeof view);
                if (view.size > SB_TEXT_INLINE) {
                    if (view.buffer + bases[pick->source] > INT32_MAX) {
                        return sb_array_too_much(work->type, "data buffers", err);
                    }
                    view.buffer = (int32_t)(view.buffer + bases[pick->source]);
                }
            }
            memcpy(views + at * 16, &view, sizeof view);
        }
    }
    return SB_OK;
}

static bool same_buffers(const sb_array *a, const sb_array *b)
{
    int64_t shared = a->buffer_count - 3;
    return a->buffer_count == b->buffer_count && shared > 0 &&
           memcmp(a->buffers + 2, b->buffers + 2, (size_t)shared * sizeof(void *)) == 0 &&
           memcmp(a->buffers[shared + 2], b->buffers[shared + 2], (size_t)shared * 8) == 0;
}

/* Number of the first data buffer of each source; sources that have the same buffers as the one before share them. */
static int64_t views_number(const job *work, int64_t *bases)
{
    int64_t count = 0;
    for (int64_t i = 0; i < work->source_count; i++) {
        const sb_array *source = work->sources[i];
        if (i > 0 && same_buffers(work->sources[i - 1], source)) {
            bases[i] = bases[i - 1];
            continue;
        }
        bases[i] = count;
        count += source->buffer_count - 3;
    }
    return count;
}

static sb_status gather_views(job *work, const void ***shared, sb_error *err)
{
    size_t size = (size_t)work->source_count * sizeof(int64_t);
    int64_t *bases = sb_mem_alloc(size);
    sb_status status = SB_OK;
    if (bases == NULL) {
        return sb_error_no_memory(err, size);
    }
    int64_t count = views_number(work, bases);
    *shared = sb_mem_alloc_array((size_t)count, sizeof(void *));
    if (*shared == NULL) {
        status = sb_error_no_memory(err, (size_t)count * sizeof(void *));
        goto out;
    }
    SB_TRY(gather_values(work, 1, 16, err));
    SB_TRY(views_shift(work, bases, err));
    SB_TRY(block_new(work, 2, count * 8, err));
    for (int64_t i = 0; i < work->source_count; i++) {
        const sb_array *source = work->sources[i];
        for (int64_t b = 0; b < source->buffer_count - 3; b++) {
            (*shared)[bases[i] + b] = source->buffers[2 + b];
            int64_t known = sb_index_get(source->buffers[source->buffer_count - 1], 8, b);
            memcpy((uint8_t *)work->parts.blocks[2] + (bases[i] + b) * 8, &known, 8);
        }
    }
    work->parts.shared = *shared;
    work->parts.shared_count = count;
    work->parts.keep = work->sources;
    work->parts.keep_count = work->source_count;
out:
    sb_mem_free(bases);
    return status;
}

/* --- lists ---------------------------------------------------------------------------------------------------------- */

static sb_status gather_list(job *work, sb_error *err)
{
    spans items = {0};
    int64_t total = 0, width = sb_offset_width(work->type);
    sb_status status;
    SB_TRY(gather_offsets(work, &total, err));
    for (int64_t i = 0; i < work->picks->count; i++) {
        const span *pick = &work->picks->items[i];
        if (pick->source < 0) {
            continue;
        }
        const sb_array *source = work->sources[pick->source];
        int64_t at = source->offset + pick->start;
        int64_t start = sb_index_get(source->buffers[1], width, at);
        int64_t end = sb_index_get(source->buffers[1], width, at + pick->length);
        SB_TRY(spans_add(&items, pick->source, start, end - start, err));
    }
    SB_TRY(child_gather(work, 0, &items, err));
out:
    sb_mem_free(items.items);
    return status;
}

/* A struct, a sparse union (width 1) or a fixed-size list: children by position. */
static sb_status gather_aligned(job *work, int64_t width, sb_error *err)
{
    spans items = {0};
    sb_status status = SB_OK;
    for (int64_t i = 0; i < work->picks->count; i++) {
        const span *pick = &work->picks->items[i];
        int64_t start =
            pick->source < 0 ? 0 : (work->sources[pick->source]->offset + pick->start) * width;
        SB_TRY(spans_add(&items, pick->source, start, pick->length * width, err));
    }
    for (int64_t i = 0; i < work->type->child_count; i++) {
        SB_TRY(child_gather(work, i, &items, err));
    }
out:
    sb_mem_free(items.items);
    return status;
}

/* Of each source the items between the first and the last that a list of it holds; where[i] is what is to be added to its offsets. */
static sb_status views_items(const job *work, int64_t *where, spans *items, sb_error *err)
{
    for (int64_t i = 0; i < work->source_count; i++) {
        const sb_array *source = work->sources[i];
        int64_t width = work->type->width, lowest = INT64_MAX, highest = 0;
        for (int64_t row = 0; row < source->length; row++) {
            int64_t at = source->offset + row;
            int64_t start = sb_index_get(source->buffers[1], width, at);
            int64_t size = sb_index_get(source->buffers[2], width, at);
            const uint8_t *valid = source->buffers[0];
            if ((valid == NULL || sb_bit_get(valid, at)) && size > 0) {
                lowest = start < lowest ? start : lowest;
                highest = start + size > highest ? start + size : highest;
            }
        }
        lowest = lowest < highest ? lowest : highest;
        where[i] = items->rows - lowest;
        sb_status status = spans_add(items, i, lowest, highest - lowest, err);
        if (status != SB_OK) {
            return status;
        }
    }
    return work->type->width == 4 && items->rows > INT32_MAX
               ? sb_array_too_much(work->type, "items", err)
               : SB_OK;
}

static sb_status gather_list_views(job *work, sb_error *err)
{
    int64_t width = work->type->width, at = 0;
    size_t size = (size_t)work->source_count * sizeof(int64_t);
    int64_t *where = sb_mem_alloc_zero(size);
    spans items = {0};
    sb_status status;
    if (where == NULL) {
        return sb_error_no_memory(err, size);
    }
    SB_TRY(gather_values(work, 1, width, err));
    SB_TRY(gather_values(work, 2, width, err));
    if (work->source_count == 1) {
        work->parts.children[0] = sb_array_retain(work->sources[0]->children[0]);
        work->parts.child_count = 1;
    } else {
        SB_TRY(views_items(work, where, &items, err));
        SB_TRY(child_gather(work, 0, &items, err));
    }
    uint8_t *offsets = work->parts.blocks[1], *sizes = work->parts.blocks[2];
    const uint8_t *valid = work->parts.blocks[0];
    for (int64_t i = 0; i < work->picks->count; i++) {
        const span *pick = &work->picks->items[i];
        for (int64_t row = 0; row < pick->length; row++, at++) {
            bool filled =
                (valid == NULL || sb_bit_get(valid, at)) && sb_index_get(sizes, width, at) > 0;
            int64_t start = filled ? sb_index_get(offsets, width, at) + where[pick->source] : 0;
            sb_index_put(offsets + at * width, width, start);
            if (!filled) {
                sb_index_put(sizes + at * width, width, 0);
            }
        }
    }
out:
    sb_mem_free(items.items);
    sb_mem_free(where);
    return status;
}

/* --- unions --------------------------------------------------------------------------------------------------------- */

/* Ids, with that of the first child where there is no source. */
static sb_status gather_ids(job *work, sb_error *err)
{
    sb_status status = gather_values(work, 0, 1, err);
    uint8_t *ids = work->parts.blocks[0];
    uint8_t first = 0;
    while (first < SB_UNION_IDS - 1 && work->type->union_index[first] != 0) {
        first++;
    }
    for (int64_t i = 0; status == SB_OK && i < work->picks->count; i++) {
        const span *pick = &work->picks->items[i];
        if (pick->source < 0) {
            memset(ids, first, (size_t)pick->length);
        }
        ids += pick->length;
    }
    return status;
}

static sb_status gather_dense(job *work, sb_error *err)
{
    int64_t children = work->type->child_count, at = 0;
    size_t size = (size_t)children * sizeof(spans);
    spans *items = sb_mem_alloc_zero(size);
    sb_status status;
    if (items == NULL) {
        return sb_error_no_memory(err, size);
    }
    SB_TRY(gather_ids(work, err));
    SB_TRY(block_new(work, 1, work->picks->rows * 4, err));
    const int8_t *ids = work->parts.blocks[0];
    for (int64_t i = 0; i < work->picks->count; i++) {
        const span *pick = &work->picks->items[i];
        for (int64_t row = 0; row < pick->length; row++, at++) {
            const sb_array *source = pick->source < 0 ? NULL : work->sources[pick->source];
            spans *child = &items[work->type->union_index[ids[at]]];
            int64_t start = source != NULL ? sb_index_get(source->buffers[1], 4,
                                                          source->offset + pick->start + row)
                                           : 0;
            if (child->rows >= INT32_MAX) {
                status = sb_array_too_much(work->type, "rows", err);
                goto out;
            }
            sb_index_put((uint8_t *)work->parts.blocks[1] + at * 4, 4, child->rows);
            SB_TRY(spans_add(child, pick->source, start, 1, err));
        }
    }
    for (int64_t i = 0; i < children; i++) {
        SB_TRY(child_gather(work, i, &items[i], err));
    }
out:
    for (int64_t i = 0; i < children; i++) {
        sb_mem_free(items[i].items);
    }
    sb_mem_free(items);
    return status;
}

/* --- runs ----------------------------------------------------------------------------------------------------------- */

/* Values that the result's runs have, and where each run ends; rows of one run that follow each other stay one run. */
static sb_status runs_list(const job *work, spans *values, sb_buf *ends, sb_error *err)
{
    int64_t at = 0, last_source = -2, last_run = -1;
    for (int64_t i = 0; i < work->picks->count; i++) {
        const span *pick = &work->picks->items[i];
        const sb_array *source = pick->source < 0 ? NULL : work->sources[pick->source];
        int64_t row = 0;
        int64_t run = source != NULL ? sb_run_find(source, source->offset + pick->start) : 0;
        while (row < pick->length) {
            int64_t next = pick->length;
            if (source != NULL) {
                const sb_array *given = source->children[0];
                next = sb_index_get(given->buffers[1], given->type->width, given->offset + run) -
                       source->offset - pick->start;
                next = next < pick->length ? next : pick->length;
            }
            at += next - row;
            if (pick->source == last_source && run == last_run) {
                memcpy(ends->data + ends->size - sizeof at, &at, sizeof at);
            } else {
                sb_buf_append(ends, &at, sizeof at);
                sb_status status = spans_add(values, pick->source, run, 1, err);
                if (status != SB_OK) {
                    return status;
                }
            }
            row = next;
            last_source = pick->source;
            last_run = run++;
        }
    }
    return sb_buf_status(ends, err);
}

static sb_status gather_runs(job *work, sb_error *err)
{
    sb_type *type = work->type->children[0];
    int64_t width = type->width;
    spans values = {0};
    sb_buf ends;
    sb_array_parts made = {.block_count = 2};
    sb_status status;
    sb_buf_init(&ends, 0);
    if (width < 8 && work->picks->rows >= INT64_C(1) << (width * 8 - 1)) {
        status = sb_array_too_much(work->type, "rows", err);
        goto out;
    }
    SB_TRY(runs_list(work, &values, &ends, err));
    made.length = made.extent = (int64_t)(ends.size / sizeof(int64_t));
    made.blocks[1] = sb_mem_alloc_aligned((size_t)(made.length * width));
    if (made.blocks[1] == NULL) {
        status = sb_error_no_memory(err, (size_t)(made.length * width));
        goto out;
    }
    for (int64_t i = 0; i < made.length; i++) {
        sb_index_put((uint8_t *)made.blocks[1] + i * width, width, sb_index_get(ends.data, 8, i));
    }
    SB_TRY(sb_array_new(type, &made, &work->parts.children[0], err));
    made.blocks[1] = NULL;
    work->parts.child_count = 1;
    SB_TRY(child_gather(work, 1, &values, err));
out:
    sb_mem_free_aligned(made.blocks[1]);
    sb_mem_free(values.items);
    sb_buf_release(&ends);
    return status;
}

/* --- all layouts ---------------------------------------------------------------------------------------------------- */

static sb_status gather_layout(job *work, const void ***shared, sb_error *err)
{
    sb_status status;
    switch (work->type->layout) {
    case SB_LAYOUT_NULL:
        return SB_OK;
    case SB_LAYOUT_FIXED:
        status = gather_values(work, 1, work->type->width, err);
        return status == SB_OK && work->type->dictionary != NULL ? gather_dictionary(work, err)
                                                                 : status;
    case SB_LAYOUT_BOOL:
        return gather_bits(work, err);
    case SB_LAYOUT_BINARY:
    case SB_LAYOUT_LARGE_BINARY:
        return gather_text(work, err);
    case SB_LAYOUT_BINARY_VIEW:
        return gather_views(work, shared, err);
    case SB_LAYOUT_LIST:
    case SB_LAYOUT_LARGE_LIST:
        return gather_list(work, err);
    case SB_LAYOUT_FIXED_LIST:
        return gather_aligned(work, work->type->width, err);
    case SB_LAYOUT_STRUCT:
        return gather_aligned(work, 1, err);
    case SB_LAYOUT_LIST_VIEW:
        return gather_list_views(work, err);
    case SB_LAYOUT_SPARSE_UNION:
        status = gather_ids(work, err);
        return status == SB_OK ? gather_aligned(work, 1, err) : status;
    case SB_LAYOUT_DENSE_UNION:
        return gather_dense(work, err);
    case SB_LAYOUT_RUN_END:
        return gather_runs(work, err);
    default:
        return sb_error_set(err, SB_UNSUPPORTED, "rows of format \"%.40s\" cannot be taken",
                            work->type->format);
    }
}

static sb_status gather(sb_type *type, sb_array *const *sources, int64_t source_count,
                        const spans *picks, sb_array **out, sb_error *err)
{
    job work = {.type = type, .sources = sources, .source_count = source_count, .picks = picks};
    const void **shared = NULL;
    sb_status status = SB_OK;
    sb_array_parts *parts = &work.parts;
    parts->length = parts->extent = picks->rows;
    parts->null_count = type->layout == SB_LAYOUT_NULL ? picks->rows : 0;
    for (int64_t i = 0; i < source_count; i++) {
        SB_TRY(sb_array_check(sources[i], err));
    }
    parts->children = sb_mem_alloc_zero((size_t)type->child_count * sizeof(sb_array *));
    if (parts->children == NULL) {
        return sb_error_no_memory(err, (size_t)type->child_count * sizeof(sb_array *));
    }
    if (sb_layout_infos[type->layout].has_validity) {
        SB_TRY(gather_validity(&work, err));
    }
    SB_TRY(gather_layout(&work, &shared, err));
    if (type->layout == SB_LAYOUT_FIXED || type->layout == SB_LAYOUT_BOOL) {
        parts->extent = (picks->rows + 63) & ~(int64_t)63;
    }
    SB_TRY(sb_array_new(type, parts, out, err));
    sb_mem_free(parts->children);
    sb_mem_free(shared);
    return SB_OK;
out:
    for (int i = 0; i < 3; i++) {
        sb_mem_free_aligned(parts->blocks[i]);
    }
    for (int64_t i = 0; i < parts->child_count; i++) {
        sb_array_drop(parts->children[i]);
    }
    sb_array_drop(parts->dictionary);
    sb_mem_free(parts->children);
    sb_mem_free(shared);
    return status;
}

sb_status sb_array_gather(sb_array *array, const int64_t *rows, int64_t count, sb_array **out,
                          sb_error *err)
{
    spans picks = {0};
    sb_status status = SB_OK;
    for (int64_t i = 0; i < count; i++) {
        if (SB_UNLIKELY((uint64_t)rows[i] + 1 > (uint64_t)array->length)) {
            return sb_error_set(err, SB_INVALID, "row %lld of an array of %lld rows",
                                (long long)rows[i], (long long)array->length);
        }
    }
    bool taken;
    status = sb_array_gather_flat(array, rows, count, out, &taken, err);
    if (taken || status != SB_OK) {
        return status;
    }
    for (int64_t i = 0; i < count; i++) {
        SB_TRY(spans_add(&picks, rows[i] < 0 ? -1 : 0, rows[i] < 0 ? 0 : rows[i], 1, err));
    }
    SB_TRY(gather(array->type, &array, 1, &picks, out, err));
out:
    sb_mem_free(picks.items);
    return status;
}

sb_status sb_array_concat(sb_array *const *arrays, int64_t count, sb_array **out, sb_error *err)
{
    SB_ASSERT(count > 0);
    spans picks = {0};
    sb_status status = SB_OK;
    for (int64_t i = 0; i < count; i++) {
        if (!sb_type_equal(arrays[i]->type, arrays[0]->type)) {
            status = sb_error_set(err, SB_TYPE,
                                  "array %lld to be joined has another type than the first",
                                  (long long)i);
            goto out;
        }
        SB_TRY(spans_add(&picks, i, 0, arrays[i]->length, err));
    }
    if (count == 1) {
        *out = sb_array_retain(arrays[0]);
    } else {
        SB_TRY(gather(arrays[0]->type, arrays, count, &picks, out, err));
    }
out:
    sb_mem_free(picks.items);
    return status;
}
