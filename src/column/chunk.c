/* Chunks, as column/chunk.h promises them.
 *
 * Algorithm: everything is per column; a change that can fail builds the new columns beside the old ones and swaps them at the end, so
 * that a failed call leaves the chunk as it was. Rows that were compacted know their places in the source by the mask they were taken
 * with; a later mask is spread over the bits of the earlier one. A number a row would cost more than the rows.
 *
 * Threads: none of its own. Memory: see column/chunk.h. */
#include "column/chunk.h"

#include <string.h>

#include "base/mem.h"
#include "column/array_int.h"

static void columns_drop(sb_array **columns, int64_t count)
{
    for (int64_t i = 0; columns != NULL && i < count; i++) {
        sb_array_drop(columns[i]);
    }
    sb_mem_free(columns);
}

static sb_status columns_new(int64_t count, sb_array ***out, sb_error *err)
{
    size_t size = (size_t)count * sizeof(sb_array *);
    *out = sb_mem_alloc_zero(size);
    return *out != NULL ? SB_OK : sb_error_no_memory(err, size);
}

static sb_status chunk_new(sb_type *schema, int64_t rows, sb_chunk **out, sb_error *err)
{
    sb_chunk *chunk = sb_mem_alloc_zero(sizeof *chunk);
    if (chunk == NULL) {
        return sb_error_no_memory(err, sizeof *chunk);
    }
    sb_status status = columns_new(schema->child_count, &chunk->columns, err);
    if (status != SB_OK) {
        sb_mem_free(chunk);
        return status;
    }
    chunk->schema = sb_type_retain(schema);
    chunk->rows = rows;
    chunk->active_count = rows;
    *out = chunk;
    return SB_OK;
}

void sb_chunk_free(sb_chunk *chunk)
{
    if (chunk == NULL) {
        return;
    }
    columns_drop(chunk->columns, chunk->schema->child_count);
    sb_owner_drop(chunk->host);
    sb_type_drop(chunk->schema);
    sb_mem_free_aligned(chunk->active);
    sb_mem_free_aligned(chunk->source_mask);
    sb_mem_free(chunk->source_rows);
    sb_mem_free(chunk);
}

sb_status sb_chunk_import(struct ArrowArray *batch, sb_type *schema, sb_release_queue *queue,
                          sb_chunk **out, sb_error *err)
{
    sb_array *root = NULL;
    sb_chunk *chunk = NULL;
    sb_status status = sb_array_import(batch, schema, queue, &root, err);
    if (status != SB_OK) {
        return status;
    }
    /* The rest cannot be undone for the caller: the batch is ours now and is released when this fails. */
    if (sb_array_null_count(root) != 0) {
        status = sb_error_set(err, SB_INVALID, "a record batch has null rows");
        goto out;
    }
    SB_TRY(chunk_new(schema, root->length, &chunk, err));
    for (int64_t i = 0; i < schema->child_count; i++) {
        SB_TRY(
            sb_array_slice(root->children[i], root->offset, root->length, &chunk->columns[i], err));
    }
    *out = chunk;
    chunk = NULL;
out:
    sb_chunk_free(chunk);
    sb_array_drop(root);
    return status;
}

/* --- objects of the host's ---------------------------------------------------------------------------------------- */

sb_status sb_chunk_hold(sb_chunk *chunk, sb_host *host, sb_release_queue *queue, sb_error *err)
{
    SB_ASSERT(chunk->active == NULL && host->release != NULL);
    sb_owner *owner = sb_owner_new(queue);
    if (owner == NULL) {
        return sb_error_no_memory(err, sizeof *owner);
    }
    owner->host = *host;
    host->release = NULL;
    sb_owner_drop(chunk->host);
    chunk->host = owner;
    return SB_OK;
}

sb_status sb_chunk_new_host(sb_type *schema, int64_t rows, sb_host *host, sb_release_queue *queue,
                            sb_chunk **out, sb_error *err)
{
    sb_chunk *chunk = sb_mem_alloc_zero(sizeof *chunk);
    if (chunk == NULL) {
        return sb_error_no_memory(err, sizeof *chunk);
    }
    chunk->schema = sb_type_retain(schema);
    chunk->rows = rows;
    chunk->active_count = rows;
    sb_status status = sb_chunk_hold(chunk, host, queue, err);
    if (status != SB_OK) {
        sb_chunk_free(chunk);
        return status;
    }
    *out = chunk;
    return SB_OK;
}

void *sb_chunk_host(const sb_chunk *chunk)
{
    return chunk->host != NULL ? chunk->host->host.object : NULL;
}

void sb_chunk_fill(sb_chunk *chunk, sb_chunk *data)
{
    SB_ASSERT(chunk->columns == NULL && data->rows == chunk->rows && data->active == NULL);
    chunk->columns = data->columns;
    data->columns = NULL;
    sb_chunk_free(data);
}

/* What the host keeps is no longer what the chunk holds. */
static void host_forget(sb_chunk *chunk)
{
    sb_owner_drop(chunk->host);
    chunk->host = NULL;
}

/* --- export, slices, changes --------------------------------------------------------------------------------------- */

sb_status sb_chunk_export(const sb_chunk *chunk, struct ArrowArray *out, sb_error *err)
{
    SB_ASSERT(chunk->active == NULL && chunk->columns != NULL);
    int64_t count = chunk->schema->child_count;
    sb_array_parts parts = {
        .length = chunk->rows,
        .extent = chunk->rows,
        .block_count = 1,
        .children = chunk->columns,
        .child_count = count,
    };
    sb_array *root;
    sb_status status = sb_array_new(chunk->schema, &parts, &root, err);
    if (status != SB_OK) {
        return status;
    }
    for (int64_t i = 0; i < count; i++) {
        sb_array_retain(chunk->columns[i]);
    }
    status = sb_array_export(root, out, err);
    sb_array_drop(root);
    return status;
}

static sb_status columns_slice(const sb_chunk *chunk, int64_t start, int64_t length,
                               sb_array ***out, sb_error *err)
{
    sb_array **columns;
    sb_status status = columns_new(chunk->schema->child_count, &columns, err);
    if (status != SB_OK) {
        return status;
    }
    for (int64_t i = 0; i < chunk->schema->child_count; i++) {
        status = sb_array_slice(chunk->columns[i], start, length, &columns[i], err);
        if (status != SB_OK) {
            columns_drop(columns, i);
            return status;
        }
    }
    *out = columns;
    return SB_OK;
}

sb_status sb_chunk_slice(const sb_chunk *chunk, int64_t start, int64_t length, sb_chunk **out,
                         sb_error *err)
{
    SB_ASSERT(chunk->active == NULL && chunk->columns != NULL && chunk->source_mask == NULL);
    sb_chunk *part = sb_mem_alloc_zero(sizeof *part);
    if (part == NULL) {
        return sb_error_no_memory(err, sizeof *part);
    }
    sb_status status = columns_slice(chunk, start, length, &part->columns, err);
    if (status != SB_OK) {
        sb_mem_free(part);
        return status;
    }
    part->schema = sb_type_retain(chunk->schema);
    part->rows = length;
    part->active_count = length;
    part->seq = chunk->seq;
    const int64_t *rows = chunk->source_rows;
    status = sb_chunk_set_source(part, rows == NULL ? sb_chunk_source_row(chunk, start) : -1,
                                 rows != NULL ? rows + start : NULL, err);
    if (status != SB_OK) {
        sb_chunk_free(part);
        return status;
    }
    *out = part;
    return SB_OK;
}

sb_status sb_chunk_share(const sb_chunk *chunk, sb_chunk **out, sb_error *err)
{
    SB_ASSERT(chunk->active == NULL && chunk->columns != NULL);
    sb_status status = chunk_new(chunk->schema, chunk->rows, out, err);
    if (status != SB_OK) {
        return status;
    }
    (*out)->seq = chunk->seq;
    (*out)->source_row = -1;
    for (int64_t i = 0; i < chunk->schema->child_count; i++) {
        (*out)->columns[i] = sb_array_retain(chunk->columns[i]);
    }
    return SB_OK;
}

sb_status sb_chunk_replace(sb_chunk *chunk, sb_type *schema, sb_columns_make *make,
                           const void *context, sb_error *err)
{
    sb_array **columns;
    sb_status status = columns_new(schema->child_count, &columns, err);
    if (status != SB_OK) {
        return status;
    }
    status = make(context, chunk, columns, err);
    if (status != SB_OK) {
        columns_drop(columns, schema->child_count);
        return status;
    }
    host_forget(chunk);
    columns_drop(chunk->columns, chunk->schema->child_count);
    chunk->columns = columns;
    sb_type *before = chunk->schema;
    chunk->schema = sb_type_retain(schema);
    sb_type_drop(before);
    return SB_OK;
}

sb_status sb_chunk_truncate(sb_chunk *chunk, int64_t rows, sb_error *err)
{
    SB_ASSERT(rows <= chunk->rows);
    sb_array **columns;
    sb_status status = columns_slice(chunk, 0, rows, &columns, err);
    if (status != SB_OK) {
        return status;
    }
    host_forget(chunk);
    columns_drop(chunk->columns, chunk->schema->child_count);
    chunk->columns = columns;
    if (chunk->active != NULL) {
        sb_bitmap_fill(chunk->active, rows, chunk->rows - rows, false);
        chunk->active_count = sb_bitmap_count(chunk->active, 0, rows);
    } else {
        chunk->active_count = rows;
    }
    chunk->rows = rows;
    return SB_OK;
}

void sb_chunk_restrict(sb_chunk *chunk, uint8_t *mask)
{
    if (chunk->active != NULL) {
        for (size_t i = 0; i < sb_bitmap_size(chunk->rows); i++) {
            mask[i] = (uint8_t)(mask[i] & chunk->active[i]);
        }
        sb_mem_free_aligned(chunk->active);
    }
    chunk->active = mask;
    chunk->active_count = sb_bitmap_count(mask, 0, chunk->rows);
    if (chunk->active_count == chunk->rows) {
        sb_mem_free_aligned(mask);
        chunk->active = NULL;
    } else {
        host_forget(chunk);
    }
}

sb_status sb_chunk_set_source(sb_chunk *chunk, int64_t row, const int64_t *rows, sb_error *err)
{
    int64_t *copy = NULL;
    if (rows != NULL && chunk->rows > 0) {
        size_t size = (size_t)chunk->rows * sizeof(int64_t);
        copy = sb_mem_alloc(size);
        if (copy == NULL) {
            return sb_error_no_memory(err, size);
        }
        memcpy(copy, rows, size);
    }
    sb_mem_free_aligned(chunk->source_mask);
    chunk->source_mask = NULL;
    sb_mem_free(chunk->source_rows);
    chunk->source_rows = copy;
    chunk->source_row = copy != NULL ? copy[0] : row;
    return SB_OK;
}

int64_t sb_chunk_source_row(const sb_chunk *chunk, int64_t row)
{
    if (chunk->source_rows != NULL) {
        return chunk->source_rows[row];
    }
    if (chunk->source_row < 0 || chunk->source_mask == NULL) {
        return chunk->source_row < 0 ? -1 : chunk->source_row + row;
    }
    int64_t left = row;
    for (int64_t i = 0; i * 64 < chunk->source_span; i++) {
        uint64_t word = sb_bitmap_word(chunk->source_mask, i);
        int count = sb_popcount_u64(word);
        if (left < count) {
            for (; left > 0; left--) {
                word &= word - 1;
            }
            return chunk->source_row + i * 64 + sb_ctz_u64(word);
        }
        left -= count;
    }
    return chunk->source_row; /* no row is left */
}

sb_status sb_chunk_number_rows(sb_chunk *chunk, sb_error *err)
{
    if (chunk->source_mask == NULL || chunk->source_rows != NULL) {
        return SB_OK;
    }
    size_t size = (size_t)chunk->rows * sizeof(int64_t);
    int64_t *rows = sb_mem_alloc(size);
    if (rows == NULL) {
        return sb_error_no_memory(err, size);
    }
    int64_t at = 0;
    for (int64_t row = 0; row < chunk->source_span; row += 64) {
        uint64_t word = sb_bitmap_word(chunk->source_mask, row / 64);
        for (; word != 0 && at < chunk->rows; word &= word - 1) {
            rows[at++] = chunk->source_row + row + sb_ctz_u64(word);
        }
    }
    chunk->source_rows = rows;
    return SB_OK;
}

/* Of the bits of `mask` those stay whose place among them is set in `picked`, which has `rows` bits. */
static void mask_pick(uint8_t *mask, int64_t span, const uint8_t *picked, int64_t rows)
{
    int64_t at = 0;
    for (int64_t i = 0; i * 64 < span; i++) {
        uint64_t word = sb_bitmap_word(mask, i);
        int count = sb_popcount_u64(word), shift = (int)(at & 63);
        uint64_t bits = at < rows ? sb_bitmap_word(picked, at / 64) >> shift : 0;
        if (shift > 0 && shift + count > 64 && (at / 64 + 1) * 64 < rows) {
            bits |= sb_bitmap_word(picked, at / 64 + 1) << (64 - shift);
        }
        uint64_t kept = 0;
        for (; word != 0; word &= word - 1, bits >>= 1) {
            kept |= (bits & 1) != 0 ? word & ~(word - 1) : 0;
        }
        sb_bitmap_word_put(mask, i, kept);
        at += count;
    }
}

/* The rows have become those that are active. */
static void source_compact(sb_chunk *chunk)
{
    if (chunk->source_mask == NULL && chunk->source_rows != NULL) {
        int64_t at = 0;
        for (int64_t row = 0; row < chunk->rows; row++) {
            if (sb_bit_get(chunk->active, row)) {
                chunk->source_rows[at++] = chunk->source_rows[row];
            }
        }
        sb_mem_free_aligned(chunk->active);
        chunk->active = NULL;
        return;
    }
    sb_mem_free(chunk->source_rows);
    chunk->source_rows = NULL;
    if (chunk->source_row >= 0 && chunk->source_mask == NULL) {
        chunk->source_mask = chunk->active;
        chunk->source_span = chunk->rows;
    } else {
        if (chunk->source_mask != NULL) {
            mask_pick(chunk->source_mask, chunk->source_span, chunk->active, chunk->rows);
        }
        sb_mem_free_aligned(chunk->active);
    }
    chunk->active = NULL;
}

sb_status sb_chunk_compact(sb_chunk *chunk, sb_error *err)
{
    if (chunk->active == NULL) {
        return SB_OK;
    }
    sb_array **columns = NULL;
    int64_t count = chunk->schema->child_count;
    sb_status status;
    SB_TRY(columns_new(count, &columns, err));
    for (int64_t i = 0; i < count; i++) {
        SB_TRY(
            sb_array_take(chunk->columns[i], chunk->active, chunk->active_count, &columns[i], err));
    }
    columns_drop(chunk->columns, count);
    chunk->columns = columns;
    source_compact(chunk);
    chunk->rows = chunk->active_count;
    return SB_OK;
out:
    columns_drop(columns, count);
    return status;
}
