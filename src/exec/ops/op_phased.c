/* A batch function of which native code computes the phases between what the host does with whole columns.
 *
 * Algorithm: each phase is a function of rows, or takes columns as they are, over the batch's columns and all that was made before; the
 * host is asked with its result and gives columns, or one row, whose values all rows see. Behind the last phase stands a lowered
 * function. Where a row leaves, or the host cannot say, all of it is given up and the host calls the batch function itself, which
 * is pure. A batch of one row is the host's: a column of one row then stands for one row alone.
 *
 * Threads: shared state is const after open, but for the schema, see op_batch.h; one local per worker; a state goes with its work.
 * Memory: a state holds references to the batch's columns until the last phase is done. */
#include "base/mem.h"
#include "exec/call.h"
#include "exec/ops/op_batch.h"
#include "exec/ops/op_lowered.h"
#include "exec/stages.h"

typedef struct part {
    const sb_plan *plan; /* borrow */
    sb_call_site site;   /* zeroed: it takes columns */
    sb_stages *stages;   /* owned; NULL: none */
} part;

typedef struct phased_shared {
    sb_batch_shared batch;
    int32_t count; /* phases, and the last part behind them */
    part parts[];
} phased_shared;

typedef struct phased_local {
    int32_t count;
    sb_call_local *calls[]; /* owned; NULL: of a part that takes columns */
} phased_local;

typedef struct phased_state {
    int32_t at;      /* the part that is to run, or of whose result the host was asked */
    sb_chunk *inner; /* owned: the batch's columns, and what the host made of phases */
    sb_chunk *given; /* owned: what the host was asked with; NULL: nothing */
} phased_state;

/* --- opening ------------------------------------------------------------------------------------------------------ */

static void release_shared(void *shared)
{
    phased_shared *own = shared;
    for (int32_t k = 0; own != NULL && k < own->count; k++) {
        sb_stages_free(own->parts[k].stages);
        sb_call_site_release(&own->parts[k].site);
    }
    if (own != NULL) {
        sb_batch_release(&own->batch);
    }
    sb_mem_free(own);
}

static sb_status part_open(part *own, const sb_plan *plan, const sb_op *op, sb_error *err)
{
    own->plan = plan;
    if (plan->kind == SB_PLAN_SELECT) {
        return SB_OK;
    }
    const sb_type *read = plan->stage_count > 0 ? plan->inner : plan->input->schema;
    const int32_t index = op->node->function_first;
    sb_status status =
        sb_call_site_init(&own->site, &plan->calls[0], read, plan->is_filter ? "filter" : "", index,
                          op->interpret, op->tier, err);
    if (status == SB_OK && plan->stage_count > 0 && own->site.native) {
        own->site.made_first = plan->input->schema->child_count;
        status = sb_stages_new(plan, index, op->tier, &own->stages, err);
    }
    return status;
}

static sb_status open_shared(const sb_op *op, void **shared, sb_error *err)
{
    const sb_plan *node = op->node;
    const int32_t count = node->phase_count + 1;
    const size_t size = sizeof(phased_shared) + (size_t)count * sizeof(part);
    phased_shared *own = sb_mem_alloc_zero(size);
    if (own == NULL) {
        return sb_error_no_memory(err, size);
    }
    own->count = count;
    sb_status status = sb_batch_open(op, &own->batch, err);
    for (int32_t k = 0; status == SB_OK && k < count; k++) {
        const sb_plan *plan = k < node->phase_count ? node->phases[k].plan : node->last;
        status = part_open(&own->parts[k], plan, op, err);
    }
    if (status != SB_OK) {
        release_shared(own);
        return status;
    }
    *shared = own;
    return SB_OK;
}

static void release_local(void *local)
{
    phased_local *own = local;
    for (int32_t k = 0; own != NULL && k < own->count; k++) {
        sb_call_local_free(own->calls[k]);
    }
    sb_mem_free(own);
}

static sb_status open_local(const sb_op *op, void *shared, void **local, sb_error *err)
{
    (void)op;
    phased_shared *all = shared;
    const size_t size = sizeof(phased_local) + (size_t)all->count * sizeof(sb_call_local *);
    phased_local *own = sb_mem_alloc_zero(size);
    if (own == NULL) {
        return sb_error_no_memory(err, size);
    }
    own->count = all->count;
    sb_status status = SB_OK;
    for (int32_t k = 0; status == SB_OK && k < own->count; k++) {
        const part *one = &all->parts[k];
        if (one->plan->kind == SB_PLAN_SELECT) {
            continue;
        }
        status = sb_call_local_new(&one->site, &own->calls[k], err);
        if (status == SB_OK && one->stages != NULL) {
            sb_call_local *call = own->calls[k];
            status = sb_stages_local_new(one->stages, &call->stages, &call->made, err);
        }
    }
    if (status != SB_OK) {
        release_local(own);
        return status;
    }
    *local = own;
    return SB_OK;
}

/* --- phases ------------------------------------------------------------------------------------------------------- */

static void release_state(void *own)
{
    phased_state *state = own;
    if (state != NULL) {
        sb_chunk_free(state->inner);
        sb_chunk_free(state->given);
    }
    sb_mem_free(state);
}

static sb_status state_new(sb_work *work, sb_error *err)
{
    sb_status status = sb_chunk_compact(work->chunk, err);
    if (status != SB_OK) {
        return status;
    }
    phased_state *state = sb_mem_alloc_zero(sizeof *state);
    if (state == NULL) {
        return sb_error_no_memory(err, sizeof *state);
    }
    status = sb_chunk_share(work->chunk, &state->inner, err);
    if (status != SB_OK) {
        release_state(state);
        return status;
    }
    work->state = state;
    return SB_OK;
}

/* All of it is given up: the batch function itself is called. */
static sb_status give_up(sb_work *work, sb_push *result, sb_error *err)
{
    release_state(work->state);
    work->state = NULL;
    return sb_batch_ask(work, false, result, err);
}

/* Runs a part's function over what there is. Rows that pass several functions are counted once, with the last. */
static sb_status part_run(const part *own, sb_call_local *local, sb_work *work, bool is_last,
                          sb_call *call, int64_t *left, sb_error *err)
{
    const phased_state *state = work->state;
    sb_func_counts *counts = &work->counts[own->site.function_index].func;
    const sb_func_counts before = *counts;
    sb_work inner = *work;
    inner.chunk = state->inner;
    sb_call_init(call, &own->site, state->inner->rows);
    sb_status status = sb_call_native(call, local, &inner, left, err);
    if (!is_last) {
        const sb_func_counts after = *counts;
        *counts = before;
        counts->rows += *left > 0 ? state->inner->rows : 0;
        for (int32_t k = 0; k < SB_REASON_COUNT; k++) {
            counts->left[k] = after.left[k];
        }
    }
    return status;
}

typedef struct taken {
    const sb_plan *node;
    const sb_chunk *from;
} taken;

static sb_status columns_select(const void *context, const sb_chunk *chunk, sb_array **columns,
                                sb_error *err)
{
    (void)chunk;
    (void)err;
    const taken *own = context;
    for (int32_t k = 0; k < own->node->count; k++) {
        columns[k] = sb_array_retain(own->from->columns[own->node->columns[k]]);
    }
    return SB_OK;
}

/* The result of a phase, in the state's `given`. */
static sb_status phase_run(const part *own, sb_call_local *local, sb_work *work, int64_t *left,
                           sb_error *err)
{
    phased_state *state = work->state;
    sb_call call = {0};
    sb_status status = sb_chunk_share(work->chunk, &state->given, err);
    if (status != SB_OK) {
        return status;
    }
    if (own->plan->kind == SB_PLAN_SELECT) {
        const taken context = {own->plan, state->inner};
        return sb_chunk_replace(state->given, own->plan->schema, columns_select, &context, err);
    }
    status = part_run(own, local, work, false, &call, left, err);
    if (status == SB_OK && *left == 0) {
        status = sb_lowered_columns(own->plan, &call, state->inner, state->given, err);
    }
    sb_call_release(&call);
    return status;
}

static void phase_ask(sb_work *work, sb_push *result)
{
    const phased_state *state = work->state;
    work->ask = (sb_ask){
        .whole_batch = true,
        .phase = state->at + 1,
        .chunk = state->given,
        .function_index = -1,
        .source_row = -1,
        .row_count = state->given->rows,
    };
    *result = SB_PUSH_BLOCKED;
}

static sb_status last_run(const part *own, sb_call_local *local, sb_work *work, int64_t *left,
                          sb_error *err)
{
    const phased_state *state = work->state;
    sb_call call = {0};
    sb_status status = part_run(own, local, work, true, &call, left, err);
    if (status == SB_OK && *left == 0) {
        status = own->plan->is_filter
                     ? sb_lowered_mask(&call, work->chunk, err)
                     : sb_lowered_columns(own->plan, &call, state->inner, work->chunk, err);
    }
    sb_call_release(&call);
    return status;
}

static sb_status push(const sb_op *op, void *shared, void *local, sb_work *work, sb_push *result,
                      sb_error *err)
{
    const phased_shared *own = shared;
    const int32_t last = own->count - 1;
    if (work->state == NULL) {
        if (sb_batch_is_cut(work, result)) {
            return SB_OK;
        }
        const bool by_host = sb_call_site_by_host(&own->parts[last].site);
        if (by_host || work->chunk->active_count < 2) {
            return sb_batch_ask(work, by_host, result, err);
        }
        sb_status status = state_new(work, err);
        if (status != SB_OK) {
            return status;
        }
    }
    (void)op; /* asserted only */
    SB_ASSERT(local != NULL && op->node->phase_count == last);
    phased_state *state = work->state;
    const part *at = &own->parts[state->at];
    sb_call_local *call = ((phased_local *)local)->calls[state->at];
    const bool is_last = state->at == last;
    int64_t left = 0;
    sb_status status =
        is_last ? last_run(at, call, work, &left, err) : phase_run(at, call, work, &left, err);
    if (status != SB_OK) {
        return status;
    }
    if (left > 0) {
        return give_up(work, result, err);
    }
    if (is_last) {
        release_state(state);
        work->state = NULL;
        *result = SB_PUSH_HAVE_OUTPUT;
    } else {
        phase_ask(work, result);
    }
    return SB_OK;
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static sb_status columns_join(const void *context, const sb_chunk *chunk, sb_array **columns,
                              sb_error *err)
{
    (void)err;
    const sb_chunk *made = context;
    const int64_t before = chunk->schema->child_count;
    for (int64_t k = 0; k < before; k++) {
        columns[k] = sb_array_retain(chunk->columns[k]);
    }
    for (int64_t k = 0; k < made->schema->child_count; k++) {
        columns[before + k] = sb_array_retain(made->columns[k]);
    }
    return SB_OK;
}

/* What the host made has as many rows as the batch, or one, and no nulls. */
static sb_status made_check(const sb_chunk *made, int64_t rows, sb_error *err)
{
    if (made->rows != rows) {
        return sb_error_set(err, SB_INVALID, "%lld rows where a phase wants %lld",
                            (long long)made->rows, (long long)rows);
    }
    for (int64_t k = 0; k < made->schema->child_count; k++) {
        if (sb_array_null_count(made->columns[k]) != 0) {
            return sb_error_set(err, SB_INVALID, "a null in what was made of a phase");
        }
    }
    return SB_OK;
}

static sb_status made_take(const phased_shared *own, const sb_op *op, sb_work *work,
                           const sb_answer *given, sb_error *err)
{
    phased_state *state = work->state;
    const sb_plan_phase *phase = &op->node->phases[state->at];
    sb_chunk *made = NULL;
    sb_status status = sb_chunk_import(given->array, phase->made, work->releases, &made, err);
    if (status == SB_OK) {
        status = made_check(made, phase->one_row ? 1 : state->inner->rows, err);
    }
    if (status == SB_OK) {
        sb_type *schema = own->parts[state->at + 1].plan->input->schema;
        status = sb_chunk_replace(state->inner, schema, columns_join, made, err);
    }
    sb_chunk_free(made);
    sb_chunk_free(state->given);
    state->given = NULL;
    state->at++;
    return status;
}

static sb_status answer(const sb_op *op, void *shared, sb_work *work, const sb_answer *given,
                        sb_push *result, sb_error *err)
{
    phased_shared *own = shared;
    sb_call_counts *counts = &work->counts[op->node->function_first];
    if (work->state == NULL) {
        counts->rows_host += work->ask.row_count;
        return sb_batch_answer(op, &own->batch, work, given, result, err);
    }
    if (given->array == NULL) { /* as where a row leaves: which one is not told */
        counts->func.rows += work->ask.row_count;
        counts->func.left[SB_REASON_NP_WARNING]++;
        return give_up(work, result, err);
    }
    *result = SB_PUSH_RESUME;
    return made_take(own, op, work, given, err);
}

const sb_op_vtable sb_op_phased = {
    .name = "batch",
    .open_shared = open_shared,
    .release_shared = release_shared,
    .open_local = open_local,
    .release_local = release_local,
    .push = push,
    .answer = answer,
    .release_state = release_state,
};
