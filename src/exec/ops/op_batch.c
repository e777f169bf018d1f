/* A function of the host over whole batches: map, or a filter that gives a Boolean array.
 *
 * Algorithm: push compacts the chunk and asks; answer imports the result, or only keeps the host's own object of it. A batch that
 * an error has cut is not shown to the function. A deferred operator takes the schema of its first result and holds later ones
 * to it. A function that gives back what it was given leaves the chunk as it is, but for its rows' places in the source: whether
 * they are known shall not depend on what a function does inside.
 *
 * Threads: asks are answered in order of seq on the lane, so the shared schema has one owner. Memory: the result is a new chunk. */
#include "exec/ops/op_batch.h"

#include <string.h>

#include "base/mem.h"

sb_status sb_batch_open(const sb_op *op, sb_batch_shared *own, sb_error *err)
{
    *own = (sb_batch_shared){0};
    if (op->node->is_filter) {
        return sb_type_new("b", "", 0, &own->schema, err);
    }
    if (op->node->schema != NULL) {
        own->schema = sb_type_retain(op->node->schema);
    }
    return SB_OK;
}

void sb_batch_release(sb_batch_shared *own)
{
    sb_type_drop(own->schema);
    *own = (sb_batch_shared){0};
}

static sb_status open_shared(const sb_op *op, void **shared, sb_error *err)
{
    sb_batch_shared *own = sb_mem_alloc(sizeof *own);
    if (own == NULL) {
        return sb_error_no_memory(err, sizeof *own);
    }
    sb_status status = sb_batch_open(op, own, err);
    if (status != SB_OK) {
        sb_mem_free(own);
        return status;
    }
    *shared = own;
    return SB_OK;
}

static void release_shared(void *shared)
{
    if (shared != NULL) {
        sb_batch_release(shared);
    }
    sb_mem_free(shared);
}

sb_status sb_batch_ask(sb_work *work, bool in_order, sb_push *result, sb_error *err)
{
    sb_status status = sb_chunk_compact(work->chunk, err);
    if (status == SB_OK) {
        status = sb_chunk_number_rows(work->chunk, err);
    }
    if (status != SB_OK) {
        return status;
    }
    work->ask = (sb_ask){
        .in_order = in_order,
        .whole_batch = true,
        .chunk = work->chunk,
        .function_index = -1,
        .source_row = sb_chunk_source_row(work->chunk, 0),
        .source_rows = work->chunk->source_rows,
        .row_count = work->chunk->rows,
    };
    *result = SB_PUSH_BLOCKED;
    return SB_OK;
}

bool sb_batch_is_cut(sb_work *work, sb_push *result)
{
    if (work->token.kind != SB_TOKEN_ERROR) {
        return false;
    }
    sb_chunk_free(work->chunk);
    work->chunk = NULL;
    *result = SB_PUSH_NEED_INPUT;
    return true;
}

static sb_status push(const sb_op *op, void *shared, void *local, sb_work *work, sb_push *result,
                      sb_error *err)
{
    (void)op;
    (void)shared;
    (void)local;
    return sb_batch_is_cut(work, result) ? SB_OK : sb_batch_ask(work, true, result, err);
}

/* SB_TYPE unless the result has the schema that was declared or that the first batch had. */
static sb_status schema_check(const sb_op *op, const sb_type *known, const sb_type *given,
                              sb_error *err)
{
    if (known == NULL || sb_type_equal(known, given)) {
        return SB_OK;
    }
    const char *whose = op->node->schema != NULL ? "declared" : "its first batch had";
    if (known->child_count != given->child_count) {
        return sb_error_set(err, SB_TYPE, "%.100s gave %lld columns; %s %lld", op->node->label,
                            (long long)given->child_count, whose, (long long)known->child_count);
    }
    for (int64_t i = 0; i < known->child_count; i++) {
        const sb_type *a = known->children[i];
        const sb_type *b = given->children[i];
        if (strcmp(a->name, b->name) == 0 && sb_type_equal(a, b)) {
            continue;
        }
        sb_buf types;
        sb_buf_init(&types, 400);
        sb_buf_printf(&types, "gave column %lld as \"%.60s\" ", (long long)i, b->name);
        sb_type_print(b, &types);
        sb_buf_printf(&types, "; %s \"%.60s\" ", whose, a->name);
        sb_type_print(a, &types);
        sb_status status = sb_error_set(err, SB_TYPE, "%.60s %s", op->node->label,
                                        types.size > 0 ? types.data : "gave another schema");
        sb_buf_release(&types);
        return status;
    }
    return sb_error_set(err, SB_TYPE, "%.100s gave another schema", op->node->label);
}

/* Holds a result's schema to the known one, which the first result sets where none is declared. */
static sb_status schema_take(const sb_op *op, sb_batch_shared *shared, sb_type *schema,
                             sb_error *err)
{
    sb_status status = schema_check(op, shared->schema, schema, err);
    if (status == SB_OK && shared->schema == NULL) {
        shared->schema = sb_type_retain(schema);
    }
    return status;
}

static sb_status schema_import(const sb_op *op, sb_batch_shared *shared, const sb_answer *given,
                               sb_error *err)
{
    sb_type *schema = NULL;
    if (given->schema == NULL) {
        return shared->schema != NULL ? SB_OK
                                      : sb_error_set(err, SB_INVALID,
                                                     "the first result of %.100s came without a "
                                                     "schema",
                                                     op->node->label);
    }
    sb_status status = sb_type_import(given->schema, &schema, err);
    if (status != SB_OK) {
        return status;
    }
    status = schema->layout == SB_LAYOUT_STRUCT
                 ? schema_take(op, shared, schema, err)
                 : sb_error_set(err, SB_TYPE, "%.100s gave no record batch", op->node->label);
    sb_type_drop(schema);
    return status;
}

static sb_status answer_map(const sb_op *op, sb_batch_shared *shared, sb_work *work,
                            const sb_answer *given, sb_error *err)
{
    sb_chunk *chunk = NULL;
    sb_status status = schema_import(op, shared, given, err);
    if (status != SB_OK) {
        return status;
    }
    /* The known schema, so that all results agree in metadata and nullability too. */
    if (given->array != NULL) {
        SB_TRY(sb_chunk_import(given->array, shared->schema, work->releases, &chunk, err));
    }
    if ((chunk != NULL ? chunk->rows : given->row_count) > INT32_MAX) {
        status = sb_error_set(err, SB_LIMIT, "%.100s gave more than %d rows", op->node->label,
                              INT32_MAX);
        goto out;
    }
    if (given->array == NULL) {
        SB_TRY(sb_chunk_new_host(shared->schema, given->row_count, given->host, work->releases,
                                 &chunk, err));
    } else if (given->host != NULL) {
        SB_TRY(sb_chunk_hold(chunk, given->host, work->releases, err));
    }
    SB_ASSERT(chunk != NULL);
    chunk->seq = work->chunk->seq;
    chunk->source_row = -1;
    sb_chunk_free(work->chunk);
    work->chunk = chunk;
    chunk = NULL;
out:
    sb_chunk_free(chunk);
    return status;
}

/* The chunk stays; it may get what it lacks: the host's object of it, or its data. */
static sb_status answer_unchanged(const sb_op *op, sb_batch_shared *shared, sb_work *work,
                                  const sb_answer *given, sb_error *err)
{
    sb_chunk *chunk = work->chunk;
    sb_status status = op->node->is_filter ? SB_OK : schema_take(op, shared, chunk->schema, err);
    if (status == SB_OK && given->array != NULL && chunk->columns == NULL) {
        sb_chunk *data = NULL;
        status = sb_chunk_import(given->array, chunk->schema, work->releases, &data, err);
        if (status == SB_OK && data->rows != chunk->rows) {
            sb_chunk_free(data);
            status = sb_error_set(err, SB_INVALID, "an unchanged batch came with other rows");
        }
        if (status == SB_OK) {
            sb_chunk_fill(chunk, data);
        }
    }
    if (status == SB_OK && given->host != NULL && chunk->host == NULL) {
        status = sb_chunk_hold(chunk, given->host, work->releases, err);
    }
    if (status == SB_OK && !op->node->is_filter) {
        status = sb_chunk_set_source(chunk, -1, NULL, err);
    }
    return status;
}

static sb_status answer_filter(const sb_op *op, const sb_batch_shared *shared, sb_work *work,
                               const sb_answer *given, sb_error *err)
{
    sb_type *type = given->schema == NULL ? sb_type_retain(shared->schema) : NULL;
    sb_array *column = NULL;
    uint8_t *mask = NULL;
    int64_t kept;
    sb_status status = given->schema != NULL ? sb_type_import(given->schema, &type, err) : SB_OK;
    if (status != SB_OK) {
        return status;
    }
    if (type->layout != SB_LAYOUT_BOOL) {
        status = sb_error_set(err, SB_TYPE, "filter %.100s gave no Boolean array", op->node->label);
        goto out;
    }
    SB_TRY(sb_array_import(given->array, type, work->releases, &column, err));
    if (column->length != work->chunk->rows) {
        status =
            sb_error_set(err, SB_INVALID, "filter %.100s gave %lld values for %lld rows",
                         op->node->label, (long long)column->length, (long long)work->chunk->rows);
        goto out;
    }
    SB_TRY(
        sb_plan_check_take(work->chunk->schema, err)); /* not known before, after a deferred one */
    SB_TRY(sb_array_mask(column, &mask, &kept, err));
    sb_chunk_restrict(work->chunk, mask);
    status = sb_chunk_compact(work->chunk, err);
out:
    sb_array_drop(column);
    sb_type_drop(type);
    return status;
}

sb_status sb_batch_answer(const sb_op *op, sb_batch_shared *shared, sb_work *work,
                          const sb_answer *given, sb_push *result, sb_error *err)
{
    bool none = given->array == NULL && given->host == NULL && !given->unchanged;
    if (none && given->message == NULL) {
        sb_chunk_free(work->chunk);
        work->chunk = NULL;
        *result = SB_PUSH_NEED_INPUT;
        return SB_OK;
    }
    if (none) {
        work->token = (sb_token){
            .kind = SB_TOKEN_ERROR,
            .seq = work->chunk->seq,
            .row = -1,
            .op = op->node->op_index,
            .function_index = -1,
        };
        (void)sb_error_set(&work->token.error, SB_USER, "%s", given->message);
        sb_chunk_free(work->chunk);
        work->chunk = NULL;
        *result = SB_PUSH_NEED_INPUT;
        return SB_OK;
    }
    *result = SB_PUSH_HAVE_OUTPUT;
    if (given->unchanged) {
        return answer_unchanged(op, shared, work, given, err);
    }
    return op->node->is_filter ? answer_filter(op, shared, work, given, err)
                               : answer_map(op, shared, work, given, err);
}

static sb_status answer(const sb_op *op, void *shared, sb_work *work, const sb_answer *given,
                        sb_push *result, sb_error *err)
{
    return sb_batch_answer(op, shared, work, given, result, err);
}

const sb_op_vtable sb_op_batch = {
    .name = "batch",
    .open_shared = open_shared,
    .release_shared = release_shared,
    .push = push,
    .answer = answer,
};
