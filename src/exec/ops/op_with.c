/* with_columns: functions of the input's columns, their results added behind or put over columns of the same name. And map of rows: one
 * function whose results, with columns of the input, are all there is behind it.
 *
 * Algorithm: the functions run one after the other over the whole chunk. When one fails at row r, those after it compute only the rows
 * before r; so the lowest failing row wins, and at the same row the first function. At the end the chunk is cut to the rows before
 * the failure and gets its new columns. A row that one function drops is not given to those after it.
 *
 * Threads: shared state is const after open; one local per worker. Memory: results belong to the chunk. */
#include "base/mem.h"
#include "column/gather.h"
#include "exec/call.h"

typedef struct with_shared {
    int32_t count;
    sb_call_site sites[];
} with_shared;

typedef struct with_local {
    int32_t count;
    sb_call_local *calls[];
} with_local;

typedef struct with_state {
    int32_t count;
    int32_t at;     /* the function that runs */
    int64_t rows;   /* rows before the first failure so far */
    int32_t failed; /* function that failed there; -1: none */
    sb_call calls[];
} with_state;

static void release_shared(void *shared)
{
    with_shared *own = shared;
    for (int32_t i = 0; own != NULL && i < own->count; i++) {
        sb_call_site_release(&own->sites[i]);
    }
    sb_mem_free(own);
}

static sb_status open_shared(const sb_op *op, void **shared, sb_error *err)
{
    const sb_plan *node = op->node;
    size_t size = sizeof(with_shared) + (size_t)node->count * sizeof(sb_call_site);
    with_shared *own = sb_mem_alloc_zero(size);
    if (own == NULL) {
        return sb_error_no_memory(err, size);
    }
    for (int32_t i = 0; i < node->count; i++) {
        const atomic_bool *interpret = op->interpret != NULL ? &op->interpret[i] : NULL;
        bool maps = node->kind == SB_PLAN_MAP;
        const char *name = maps ? "" : node->schema->children[node->columns[i]]->name;
        sb_status status =
            sb_call_site_init(&own->sites[i], &node->calls[i], node->input->schema, name,
                              node->function_first + i, interpret, op->tier, err);
        if (status != SB_OK) {
            release_shared(own);
            return status;
        }
        own->count = i + 1;
    }
    *shared = own;
    return SB_OK;
}

static void release_local(void *local)
{
    with_local *own = local;
    for (int32_t i = 0; own != NULL && i < own->count; i++) {
        sb_call_local_free(own->calls[i]);
    }
    sb_mem_free(own);
}

static sb_status open_local(const sb_op *op, void *shared, void **local, sb_error *err)
{
    const with_shared *sites = shared;
    size_t size = sizeof(with_local) + (size_t)op->node->count * sizeof(sb_call_local *);
    with_local *own = sb_mem_alloc_zero(size);
    if (own == NULL) {
        return sb_error_no_memory(err, size);
    }
    for (int32_t i = 0; i < sites->count; i++) {
        sb_status status = sb_call_local_new(&sites->sites[i], &own->calls[i], err);
        if (status != SB_OK) {
            release_local(own);
            return status;
        }
        own->count = i + 1;
    }
    *local = own;
    return SB_OK;
}

static void release_state(void *state)
{
    with_state *own = state;
    for (int32_t i = 0; own != NULL && i < own->count; i++) {
        if (own->calls[i].site != NULL) {
            sb_call_release(&own->calls[i]);
        }
    }
    sb_mem_free(own);
}

static sb_status state_open(const with_shared *shared, sb_work *work, sb_error *err)
{
    size_t size = sizeof(with_state) + (size_t)shared->count * sizeof(sb_call);
    with_state *state = sb_mem_alloc_zero(size);
    if (state == NULL) {
        return sb_error_no_memory(err, size);
    }
    state->count = shared->count;
    state->rows = work->chunk->rows;
    state->failed = -1;
    work->state = state;
    return SB_OK;
}

static sb_status with_results(const sb_op *op, with_state *state, const sb_chunk *chunk,
                              sb_array **columns, sb_error *err)
{
    for (int32_t i = 0; i < state->count; i++) {
        sb_status status = sb_call_take_column(&state->calls[i], 0, state->rows,
                                               &columns[op->node->columns[i]], err);
        if (status != SB_OK) {
            return status;
        }
    }
    for (int64_t k = 0; k < chunk->schema->child_count; k++) {
        if (columns[k] == NULL) {
            columns[k] = sb_array_retain(chunk->columns[k]);
        }
    }
    return SB_OK;
}

/* A column that a map passes on: as it is, or null in rows that are null as a whole. */
static sb_status pass_on(const sb_call *call, sb_array *column, sb_array **out, sb_error *err)
{
    if (call->whole == NULL) {
        *out = sb_array_retain(column);
        return SB_OK;
    }
    size_t size = (size_t)column->length * sizeof(int64_t);
    int64_t *rows = sb_mem_alloc(size);
    if (rows == NULL) {
        return sb_error_no_memory(err, size);
    }
    for (int64_t i = 0; i < column->length; i++) {
        rows[i] = sb_bit_get(call->whole, i) ? i : -1;
    }
    sb_status status = sb_array_gather(column, rows, column->length, out, err);
    sb_mem_free(rows);
    return status;
}

static sb_status map_results(const sb_op *op, with_state *state, const sb_chunk *chunk,
                             sb_array **columns, sb_error *err)
{
    const sb_plan *node = op->node;
    for (int64_t k = 0; k < node->schema->child_count; k++) {
        int64_t source = node->sources[k];
        sb_status status = source >= 0
                               ? pass_on(&state->calls[0], chunk->columns[source], &columns[k], err)
                               : sb_call_take_column(&state->calls[0], (int32_t)(-1 - source),
                                                     state->rows, &columns[k], err);
        if (status != SB_OK) {
            return status;
        }
    }
    return SB_OK;
}

typedef struct {
    const sb_op *op;
    with_state *state;
} answered;

static sb_status results(const void *context, const sb_chunk *chunk, sb_array **columns,
                         sb_error *err)
{
    const answered *own = context;
    return own->op->node->kind == SB_PLAN_MAP
               ? map_results(own->op, own->state, chunk, columns, err)
               : with_results(own->op, own->state, chunk, columns, err);
}

static sb_status finish(const sb_op *op, sb_work *work, sb_push *result, sb_error *err)
{
    with_state *state = work->state;
    if (state->failed >= 0) {
        sb_call_fail(&state->calls[state->failed], op, work);
        sb_status status = sb_chunk_truncate(work->chunk, state->rows, err);
        if (status != SB_OK) {
            return status;
        }
    }
    answered context = {op, state};
    sb_status status = sb_chunk_replace(work->chunk, op->node->schema, results, &context, err);
    if (status != SB_OK) {
        return status;
    }
    release_state(state);
    work->state = NULL;
    *result = SB_PUSH_HAVE_OUTPUT;
    return SB_OK;
}

/* The function at `at` has come to its end. */
static void call_done(with_state *state, sb_chunk *chunk)
{
    sb_call *call = &state->calls[state->at];
    if (call->fail_row >= 0) {
        SB_ASSERT(call->fail_row < state->rows);
        state->rows = call->fail_row;
        state->failed = state->at;
    }
    if (call->keep != NULL) {
        sb_chunk_restrict(chunk, call->keep);
        call->keep = NULL;
    }
    state->at++;
}

static sb_status push(const sb_op *op, void *shared, void *local, sb_work *work, sb_push *result,
                      sb_error *err)
{
    const with_shared *sites = shared;
    with_local *own = local;
    if (work->state == NULL) {
        sb_status status = state_open(sites, work, err);
        if (status != SB_OK) {
            return status;
        }
    }
    with_state *state = work->state;
    while (state->at < state->count) {
        sb_call *call = &state->calls[state->at];
        bool blocked;
        sb_call_init(call, &sites->sites[state->at], state->rows);
        sb_status status =
            sb_call_run(call, own != NULL ? own->calls[state->at] : NULL, work, &blocked, err);
        if (status != SB_OK) {
            return status;
        }
        if (blocked) {
            *result = SB_PUSH_BLOCKED;
            return SB_OK;
        }
        call_done(state, work->chunk);
    }
    return finish(op, work, result, err);
}

static sb_status answer(const sb_op *op, void *shared, sb_work *work, const sb_answer *given,
                        sb_push *result, sb_error *err)
{
    (void)shared;
    with_state *state = work->state;
    bool blocked;
    sb_status status = sb_call_answer(&state->calls[state->at], work, given, &blocked, err);
    if (status != SB_OK) {
        return status;
    }
    if (blocked) {
        *result = SB_PUSH_BLOCKED;
        return SB_OK;
    }
    call_done(state, work->chunk);
    if (state->at < state->count) {
        *result = SB_PUSH_RESUME;
        return SB_OK;
    }
    return finish(op, work, result, err);
}

const sb_op_vtable sb_op_with = {
    .name = "with_columns",
    .open_shared = open_shared,
    .release_shared = release_shared,
    .open_local = open_local,
    .release_local = release_local,
    .push = push,
    .answer = answer,
    .release_state = release_state,
};

const sb_op_vtable sb_op_map = {
    .name = "map",
    .open_shared = open_shared,
    .release_shared = release_shared,
    .open_local = open_local,
    .release_local = release_local,
    .push = push,
    .answer = answer,
    .release_state = release_state,
};
