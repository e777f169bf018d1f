/* The lane: opening a run, deciding what the consuming thread does next, handing things out.
 *
 * Algorithm: sb_run_next looks, in this order, for a finished first task, for input that idle workers wait for, for an ask, for a task
 * to do itself (when there are no workers), for more input; else it waits. A run starts without workers and gets them when the source
 * proves to have more than one morsel, and a step to be longer than its way to a worker and back (unless the number of threads was
 * asked for), or at once when a native function has loops without a bound, because the lane must come back to look at signals. A
 * source that is slow to answer is asked again only when nothing is in flight, so that results do not wait for it.
 *
 * What the host makes may stay with it: an operator that reads columns (`reads`) gets them with the batch or the answer before it, and
 * between the others a chunk is only the host's object.
 *
 * Threads: the lane, but for sb_run_cancel. Memory: everything is released by sb_run_free; what the host made, on the lane. */
#include "exec/run.h"

#include <string.h>

#include "base/block.h"
#include "base/mem.h"
#include "exec/run_int.h"

#define SLOW_PULL_NS ((int64_t)20 * 1000 * 1000)
#define HANDING_NS ((int64_t)30 * 1000)   /* what a step costs more on a worker: there and back */
#define LEAD_NS_MAX ((int64_t)250 * 1000) /* of one step: it may have been kept waiting by others */
#define LONG_STEP_NS                                                                               \
    ((int64_t)10 * 1000 * 1000) /* the lane should have looked at signals meanwhile */
#define AHEAD_BYTES_MIN                                                                            \
    ((int64_t)4 << 20) /* batches that are no more than this together may wait */
#define MORSEL_ROWS_MAX ((int64_t)1 << 24)

/* --- opening ------------------------------------------------------------------------------------------------------ */

/* Of a revocable run: whether an operator computes something before one that asks for all that it does. */
static bool works_ahead(const sb_run *run)
{
    for (int32_t i = 0; i < run->op_count; i++) {
        if ((run->ops[i].caps & SB_OP_LIGHT) == 0) {
            return true;
        }
        if ((run->ops[i].caps & SB_OP_PYTHON) != 0) {
            return false;
        }
    }
    return false;
}

static sb_status ops_open(sb_run *run, sb_error *err)
{
    const sb_plan *node = run->plan;
    run->last_in_order = -1;
    bool works = false; /* an operator looks at rows: others have nothing to gain from pieces */
    run->cut = true;
    run->all_light = true;
    for (int32_t i = run->op_count - 1; i >= 0; i--, node = node->input) {
        sb_op_init(&run->ops[i], node, run->interpret, run->tier);
    }
    for (int32_t i = 0; i < run->op_count; i++) {
        const sb_op *op = &run->ops[i];
        if ((op->caps & SB_OP_PYTHON) != 0) {
            run->last_in_order = i;
        }
        run->cut = run->cut && (op->caps & SB_OP_BATCH_SENSITIVE) == 0;
        run->all_light = run->all_light && (op->caps & SB_OP_LIGHT) != 0;
        run->reads[i] = op->node->kind != SB_PLAN_BATCH || op->node->is_filter;
        works = works || (op->caps & SB_OP_CAN_FAIL) != 0;
        if (op->vt->open_shared != NULL) {
            sb_status status = op->vt->open_shared(op, &run->shared[i], err);
            if (status != SB_OK) {
                return status;
            }
        }
    }
    run->cut = run->cut && works;
    run->ahead = !run->revocable || works_ahead(run);
    return SB_OK;
}

static void stages_start(sb_run *run, const sb_plan *node)
{
    for (int32_t s = 0; s < node->stage_count; s++) {
        sb_func *func = node->stages[s].call.func;
        sb_func_start(func, run->tier);
        run->has_loop = run->has_loop || func->ir.has_loop;
    }
}

static void functions_start(sb_run *run)
{
    for (const sb_plan *node = run->plan; node != NULL; node = node->input) {
        for (int32_t i = 0; i < node->count && node->kind != SB_PLAN_SELECT; i++) {
            sb_func *func = node->calls[i].func;
            if (func->compiled && !atomic_load_explicit(&run->interpret[node->function_first + i],
                                                        memory_order_relaxed)) {
                sb_func_start(func, run->tier);
                run->has_loop = run->has_loop || func->ir.has_loop;
                stages_start(run, node);
            }
        }
    }
}

static sb_status run_alloc(sb_run *run, sb_error *err)
{
    size_t ops = (size_t)run->op_count;
    size_t functions = (size_t)run->function_count;
    size_t threads = (size_t)run->threads;
    run->ops = sb_mem_alloc_zero(ops * sizeof *run->ops);
    run->shared = sb_mem_alloc_zero(ops * sizeof *run->shared);
    run->op_counts = sb_mem_alloc_zero(ops * sizeof *run->op_counts);
    run->reads = sb_mem_alloc_zero((ops + 1) * sizeof *run->reads);
    run->interpret = sb_mem_alloc_zero(functions * sizeof *run->interpret);
    run->counts = sb_mem_alloc_zero(functions * sizeof *run->counts);
    run->workers = sb_mem_alloc_zero(threads * sizeof *run->workers);
    if (run->ops == NULL || run->shared == NULL || run->op_counts == NULL || run->reads == NULL ||
        run->interpret == NULL || run->counts == NULL || run->workers == NULL) {
        return sb_error_no_memory(err, ops * sizeof *run->ops);
    }
    return SB_OK;
}

static sb_status options_set(sb_run *run, const sb_run_options *options, sb_error *err)
{
    int64_t rows = options->morsel_rows;
    if (options->threads < 0 || rows < 0 || rows > MORSEL_ROWS_MAX) {
        return sb_error_set(err, SB_INVALID, "threads or morsel_rows out of range");
    }
    if (options->interpret != NULL && options->interpret_count != run->function_count) {
        return sb_error_set(err, SB_INVALID, "the plan has %d functions, not %d",
                            run->function_count, options->interpret_count);
    }
    int32_t threads = options->threads != 0 ? options->threads : sb_os_cpu_count();
    run->threads = threads < SB_THREADS_MAX ? threads : SB_THREADS_MAX;
    run->flight_max = 2 * (int64_t)run->threads + 2;
    run->morsel_rows = rows != 0 ? rows : SB_MORSEL_ROWS;
    run->tier = options->tier;
    run->validate = options->validate;
    run->number_rows = options->number_rows;
    run->prompt = options->prompt;
    run->revocable = options->revocable;
    run->patient = options->threads == 0;
    run->op_count = run->plan->op_index + 1;
    return SB_OK;
}

static sb_status schemas_new(sb_run *run, bool known, sb_error *err)
{
    run->schemas = sb_mem_alloc_zero(((size_t)run->op_count + 1) * sizeof *run->schemas);
    if (run->schemas == NULL) {
        return sb_error_no_memory(err, (size_t)run->op_count * sizeof *run->schemas);
    }
    if (known && run->plan->schema != NULL) {
        run->schemas[0] = sb_type_retain(run->plan->schema);
    }
    for (const sb_plan *node = run->plan; known && node->input != NULL; node = node->input) {
        sb_type *schema = node->input->schema;
        run->schemas[node->op_index + 1] = schema != NULL ? sb_type_retain(schema) : NULL;
    }
    return SB_OK;
}

static sb_status run_open(sb_run *run, const sb_run_options *options, sb_error *err)
{
    sb_status status;
    const sb_plan *source = run->plan;
    while (source->input != NULL) {
        source = source->input;
    }
    run->source_schema = sb_type_retain(source->schema);
    run->function_count = run->plan->function_end;
    run->inputs_tail = &run->inputs;
    run->inline_run = true;
    run->pid = sb_os_pid();
    SB_TRY(options_set(run, options, err));
    SB_TRY(run_alloc(run, err));
    if (options->schema_once) {
        SB_TRY(schemas_new(run, options->schemas_known, err));
    }
    for (int32_t i = 0; options->interpret != NULL && i < run->function_count; i++) {
        atomic_store_explicit(&run->interpret[i], options->interpret[i], memory_order_relaxed);
    }
    SB_TRY(sb_release_queue_new(&run->releases, err));
    SB_TRY(sb_mutex_new(&run->lock, err));
    SB_TRY(sb_cond_new(&run->work_cond, err));
    SB_TRY(sb_cond_new(&run->lane_cond, err));
    SB_TRY(ops_open(run, err));
    SB_TRY(sb_context_open(&run->lane, run, err));
out:
    return status;
}

sb_status sb_run_new(sb_plan *plan, struct ArrowArrayStream *source, const sb_run_options *options,
                     sb_run **out, sb_error *err)
{
    static const sb_run_options none = {0};
    if (source != NULL && source->release == NULL) {
        return sb_error_set(err, SB_INVALID, "the source is already released");
    }
    sb_run *run = sb_mem_alloc_zero(sizeof *run);
    if (run == NULL) {
        return sb_error_no_memory(err, sizeof *run);
    }
    run->plan = sb_plan_retain(plan);
    sb_status status = run_open(run, options != NULL ? options : &none, err);
    if (status == SB_OK && source != NULL) {
        status = sb_run_check_source(source, run->source_schema, err);
    }
    if (status != SB_OK) {
        sb_run_free(run);
        return status;
    }
    functions_start(run);
    run->by_host = source == NULL;
    if (source != NULL) {
        run->source = *source;
        source->release = NULL;
    }
    *out = run;
    return SB_OK;
}

/* --- closing ------------------------------------------------------------------------------------------------------ */

static void workers_stop(sb_run *run)
{
    if (run->worker_count == 0) {
        return;
    }
    sb_mutex_lock(run->lock);
    run->quit = true;
    sb_run_stop_locked(run);
    sb_mutex_unlock(run->lock);
    sb_run_join_workers(run);
}

static void data_free(sb_run *run)
{
    sb_run_free_tasks(run, run->tasks);
    run->tasks = NULL;
    while (run->inputs != NULL) {
        sb_input *next = run->inputs->next;
        sb_input_drop(run->inputs);
        run->inputs = next;
    }
    if (run->releases != NULL) {
        sb_release_queue_close(run->releases);
        sb_release_queue_drop(run->releases);
    }
    if (run->source.release != NULL) {
        run->source.release(&run->source);
    }
}

void sb_run_free(sb_run *run)
{
    if (run == NULL || run->pid != sb_os_pid()) {
        return; /* in a forked child: the workers are not here, the locks may be held for ever */
    }
    workers_stop(run);
    data_free(run);
    sb_context_close(&run->lane);
    for (int32_t i = 0; run->ops != NULL && run->shared != NULL && i < run->op_count; i++) {
        if (run->ops[i].vt != NULL && run->ops[i].vt->release_shared != NULL) {
            run->ops[i].vt->release_shared(run->shared[i]);
        }
    }
    sb_cond_free(run->lane_cond);
    sb_cond_free(run->work_cond);
    sb_mutex_free(run->lock);
    sb_mem_free(run->given_rows);
    sb_mem_free(run->workers);
    sb_mem_free(run->counts);
    sb_mem_free(run->interpret);
    for (int32_t i = 0; run->schemas != NULL && i <= run->op_count; i++) {
        sb_type_drop(run->schemas[i]);
    }
    sb_mem_free(run->schemas);
    sb_mem_free(run->reads);
    sb_mem_free(run->op_counts);
    sb_mem_free(run->shared);
    sb_mem_free(run->ops);
    sb_type_drop(run->source_schema);
    sb_plan_drop(run->plan);
    sb_mem_free(run);
    sb_block_settle();
}

void sb_run_cancel(sb_run *run)
{
    if (run->pid != sb_os_pid()) {
        return;
    }
    atomic_store_explicit(&run->cancelled, true, memory_order_release);
    sb_mutex_lock(run->lock);
    run->quit = true;
    sb_run_stop_locked(run);
    sb_mutex_unlock(run->lock);
}

/* --- the lane ----------------------------------------------------------------------------------------------------- */

typedef enum lane_move {
    MOVE_WAIT,
    MOVE_GIVE,
    MOVE_PULL,
    MOVE_ASK,
    MOVE_STEP,
    MOVE_FAIL
} lane_move;

/* Morsels that can be cut from what was pulled. */
static int64_t morsels_waiting(const sb_run *run)
{
    int64_t morsels = 0;
    for (const sb_input *input = run->inputs; input != NULL; input = input->next) {
        morsels += sb_input_is_cut(run, input)
                       ? (input->chunk->rows - input->cut) / run->morsel_rows + 1
                       : 1;
    }
    return morsels;
}

/* Whether one more batch, taken to be as large as those before it, would be more than may wait: a few small ones, or a large one a
 * worker. */
static bool is_laden(const sb_run *run)
{
    int64_t ahead = sb_run_ahead_locked(run);
    int64_t most = (run->threads + 2) * run->pull_bytes;
    most = most > AHEAD_BYTES_MIN ? most : AHEAD_BYTES_MIN;
    return ahead > 0 && ahead + run->pull_bytes > most;
}

/* May the source be asked? hungry: somebody waits for it. */
static bool pull_wanted(const sb_run *run, bool *hungry)
{
    *hungry = false;
    bool waits = run->prompt || run->pull_ns > SLOW_PULL_NS;
    if (run->source_ended || (waits && run->in_flight > 0) ||
        (run->prompt && run->inputs != NULL)) {
        return false;
    }
    /* What the source does must not come between two asks for the same rows. */
    if (run->revocable && run->by_host && run->tasks != NULL && run->tasks->bound) {
        return false;
    }
    if (run->inline_run) {
        return run->inputs == NULL && run->in_flight == 0;
    }
    if (is_laden(run)) {
        return false;
    }
    *hungry = run->inputs == NULL && run->in_flight < run->flight_max;
    return morsels_waiting(run) < run->threads;
}

static lane_move move_locked(sb_run *run, sb_task **task)
{
    bool hungry;
    bool wanted = pull_wanted(run, &hungry);
    if (run->tasks != NULL && run->tasks->state == SB_TASK_DONE) {
        *task = run->tasks;
        sb_run_unlink_locked(run, *task);
        sb_cond_signal(run->work_cond);
        return MOVE_GIVE;
    }
    if (run->no_memory) {
        return MOVE_FAIL;
    }
    if (run->tasks == NULL && run->inputs == NULL && run->source_ended) {
        return MOVE_GIVE; /* what the source ended with */
    }
    if (hungry) {
        return MOVE_PULL;
    }
    *task = sb_run_find_ask_locked(run);
    if (*task != NULL) {
        (*task)->state = SB_TASK_HOST;
        (*task)->bound = true;
        return MOVE_ASK;
    }
    if (run->inline_run) {
        *task = sb_run_pick_locked(run);
        if (*task != NULL) {
            return MOVE_STEP;
        }
    }
    return wanted ? MOVE_PULL : run->no_memory ? MOVE_FAIL : MOVE_WAIT;
}

static sb_status run_fail(sb_run *run, const sb_token *token, sb_error *err)
{
    run->over = true;
    run->failure = *token;
    workers_stop(run);
    return sb_error_set(err, token->error.status, "%s", token->error.message);
}

static sb_status run_fail_here(sb_run *run, const sb_error *error, sb_error *err)
{
    sb_token token = {.kind = SB_TOKEN_ERROR, .row = -1, .op = -1, .function_index = -1};
    token.error = *error;
    return run_fail(run, &token, err);
}

/* Hands the task's chunk out, or acts on what follows it. *given: the event is filled. */
static sb_status give(sb_run *run, sb_task *task, sb_event *event, bool *given, sb_error *err)
{
    sb_token token = task != NULL ? task->work.token : run->ending;
    sb_chunk *chunk = task != NULL ? task->work.chunk : NULL;
    if (task != NULL) {
        task->work.chunk = NULL;
        sb_task_free(run, task);
    }
    /* An empty batch says nothing, unless it is the first to tell what the columns are. */
    if (chunk != NULL && (chunk->rows > 0 || (run->plan->schema == NULL && !run->delivered))) {
        if (run->number_rows && sb_chunk_number_rows(chunk, err) != SB_OK) {
            sb_chunk_free(chunk);
            return SB_NO_MEMORY;
        }
        *event = (sb_event){.kind = SB_EVENT_BATCH, .op = -1, .seq = chunk->seq, .chunk = chunk};
        run->held = token;
        run->delivered = true;
        *given = true;
        return SB_OK;
    }
    sb_chunk_free(chunk);
    if (token.kind == SB_TOKEN_ERROR) {
        return run_fail(run, &token, err);
    }
    if (token.kind == SB_TOKEN_END) {
        run->over = true;
        workers_stop(run);
        *event = (sb_event){.kind = SB_EVENT_END, .op = -1, .seq = token.seq};
        *given = true;
    }
    return SB_OK;
}

/* Whether the lane by itself would be slower. Steps that are shorter than their way to a worker and back stay on the lane; that
 * they are not is told by two long ones, or more that are less so. Where nothing can be
 * computed ahead there is nothing to gain but that the lane looks at signals. */
static bool workers_pay(const sb_run *run)
{
    bool many = run->source_rows > run->morsel_rows;
    return !run->all_light &&
           (!run->inline_run || run->has_loop ||
            (many && (run->ahead ? !run->patient || run->lead_ns >= 2 * LEAD_NS_MAX
                                 : run->longest_ns > LONG_STEP_NS)));
}

/* After a batch came in, or a step on the lane: starts the workers that it calls for. */
static sb_status workers_call(sb_run *run, sb_error *err)
{
    run->pulled = false;
    if (!workers_pay(run)) {
        return SB_OK;
    }
    run->inline_run = false;
    sb_mutex_lock(run->lock);
    int64_t morsels = morsels_waiting(run);
    sb_mutex_unlock(run->lock);
    int32_t count = morsels < run->threads ? (int32_t)morsels : run->threads;
    sb_error error = {0};
    if (sb_run_start_workers(run, count > 0 ? count : 1, &error) != SB_OK) {
        return run_fail_here(run, &error, err);
    }
    return SB_OK;
}

static sb_status step(sb_run *run, sb_task *task, sb_error *err)
{
    sb_error error = {0};
    sb_task *garbage = NULL;
    int64_t start = sb_os_now_ns();
    sb_status status = sb_context_open_locals(&run->lane, &error);
    sb_task_state state = SB_TASK_READY;
    if (status == SB_OK) {
        state = sb_task_step(&run->lane, task);
        task->bound = true; /* nothing is behind it */
    }
    int64_t step_ns = sb_os_now_ns() - start;
    int64_t lead_ns = step_ns - HANDING_NS;
    run->longest_ns = step_ns > run->longest_ns ? step_ns : run->longest_ns;
    run->lead_ns += lead_ns < LEAD_NS_MAX ? lead_ns : LEAD_NS_MAX;
    run->lead_ns = run->lead_ns > 0 ? run->lead_ns : 0;
    sb_mutex_lock(run->lock);
    sb_run_settle_locked(run, &run->lane, task, state, &garbage);
    sb_mutex_unlock(run->lock);
    sb_run_free_tasks(run, garbage);
    return status == SB_OK ? workers_call(run, err) : run_fail_here(run, &error, err);
}

/* Somebody looks into the source's batches. */
static bool source_is_read(const sb_run *run)
{
    return run->op_count == 0 || run->reads[0] || run->validate;
}

static sb_status pull(sb_run *run, sb_event *event, bool *given, sb_error *err)
{
    if (!run->by_host) {
        sb_run_pull(run);
        return workers_call(run, err);
    }
    run->pulling = true;
    run->asked_ns = sb_os_now_ns();
    *given = true;
    *event = (sb_event){.kind = SB_EVENT_PULL,
                        .op = -1,
                        .seq = {.batch = run->batches},
                        .data_wanted = source_is_read(run)};
    return SB_OK;
}

static void ask(sb_run *run, sb_task *task, sb_event *event)
{
    const sb_op *op = &run->ops[task->op];
    run->asked = task;
    run->asked_ns = sb_os_now_ns();
    run->lane.ops[task->op].wait_ns += run->asked_ns - task->asked_ns;
    *event = (sb_event){.kind = SB_EVENT_ASK,
                        .op = op->node->op_index,
                        .seq = task->work.ask.chunk->seq,
                        .ask = &task->work.ask,
                        .data_wanted = run->reads[task->op + 1]};
}

static sb_status move_make(sb_run *run, lane_move move, sb_task *task, sb_event *event, bool *given,
                           sb_error *err)
{
    sb_error error = {0};
    switch (move) {
    case MOVE_GIVE:
        return give(run, task, event, given, err);
    case MOVE_PULL:
        return pull(run, event, given, err);
    case MOVE_ASK:
        ask(run, task, event);
        *given = true;
        return SB_OK;
    case MOVE_STEP:
        return step(run, task, err);
    case MOVE_FAIL:
        (void)sb_error_no_memory(&error, sizeof(sb_task));
        return run_fail_here(run, &error, err);
    case MOVE_WAIT:
        break;
    }
    return SB_OK;
}

static bool is_cancelled(const sb_run *run)
{
    return atomic_load_explicit(&run->cancelled, memory_order_acquire);
}

static sb_status usable(const sb_run *run, sb_error *err)
{
    if (run->pid != sb_os_pid()) {
        return sb_error_set(err, SB_STATE,
                            "this run was started before a fork and cannot go on in the child");
    }
    return SB_OK;
}

static sb_status next_event(sb_run *run, sb_event *event, sb_error *err)
{
    int64_t deadline = sb_os_now_ns() + SB_WAKE_NS;
    sb_status pulled = run->pulled ? workers_call(run, err) : SB_OK;
    if (pulled != SB_OK) {
        return pulled;
    }
    for (;;) {
        bool given = false;
        bool late = false;
        sb_task *task = NULL;
        sb_release_queue_drain(run->releases);
        sb_mutex_lock(run->lock);
        lane_move move = is_cancelled(run) ? MOVE_WAIT : move_locked(run, &task);
        if (move == MOVE_WAIT && !is_cancelled(run)) {
            late = !sb_cond_wait_until(run->lane_cond, run->lock, deadline);
        }
        sb_mutex_unlock(run->lock);
        if (is_cancelled(run)) {
            if (move == MOVE_GIVE && task != NULL) {
                sb_task_free(run, task);
            }
            return sb_error_set(err, SB_CANCELLED, "the run was cancelled");
        }
        sb_status status = move_make(run, move, task, event, &given, err);
        if (status != SB_OK || given) {
            return status;
        }
        if (late || (move != MOVE_WAIT && sb_os_now_ns() >= deadline)) {
            *event = (sb_event){.kind = SB_EVENT_WAKE, .op = -1};
            return SB_OK;
        }
    }
}

sb_status sb_run_next(sb_run *run, sb_event *event, sb_error *err)
{
    sb_status status = usable(run, err);
    if (status != SB_OK) {
        return status;
    }
    if (run->asked != NULL || run->pulling) {
        return sb_error_set(err, SB_STATE, "the last call of the host was not answered");
    }
    if (is_cancelled(run)) {
        return sb_error_set(err, SB_CANCELLED, "the run was cancelled");
    }
    if (run->held.kind == SB_TOKEN_ERROR) {
        sb_token token = run->held;
        run->held = (sb_token){0};
        return run_fail(run, &token, err);
    }
    if (run->over) {
        sb_release_queue_drain(run->releases);
        *event = (sb_event){.kind = SB_EVENT_END, .op = -1};
        return SB_OK;
    }
    return next_event(run, event, err);
}

static sb_status rows_fit(const sb_ask *ask, const sb_answer *answer, sb_error *err)
{
    if (answer->done_count < 0 || answer->done_count > ask->row_count) {
        return sb_error_set(err, SB_INVALID, "%lld rows answered of %lld asked",
                            (long long)answer->done_count, (long long)ask->row_count);
    }
    return SB_OK;
}

/* The host's object alone does where no operator reads it; of a filter, the result is data. */
static sb_status batch_fits(const sb_run *run, const sb_task *task, const sb_answer *answer,
                            sb_error *err)
{
    bool is_filter = run->ops[task->op].node->is_filter;
    bool failed = answer->array == NULL && answer->host == NULL && !answer->unchanged;
    bool data = answer->array != NULL || (answer->unchanged && task->work.chunk->columns != NULL);
    if (failed) {
        return SB_OK;
    }
    if (!data && (is_filter || run->reads[task->op + 1])) {
        return sb_error_set(err, SB_INVALID,
                            "the data of the batch is wanted, not only its object");
    }
    if (!data && !answer->unchanged && answer->row_count < 0) {
        return sb_error_set(err, SB_INVALID, "a batch of %lld rows", (long long)answer->row_count);
    }
    return SB_OK;
}

sb_status sb_run_answer(sb_run *run, const sb_answer *answer, sb_error *err)
{
    sb_status status = usable(run, err);
    if (status != SB_OK) {
        return status;
    }
    sb_task *task = run->asked;
    if (task == NULL) {
        return sb_error_set(err, SB_STATE, "nothing was asked of the host");
    }
    status = task->work.ask.whole_batch ? batch_fits(run, task, answer, err)
                                        : rows_fit(&task->work.ask, answer, err);
    if (status != SB_OK) {
        return status;
    }
    int64_t now = sb_os_now_ns();
    run->lane.ops[task->op].host_ns += now - run->asked_ns;
    run->asked = NULL;
    sb_task *garbage = NULL;
    sb_task_state state = sb_task_answer(&run->lane, task, answer, now);
    sb_mutex_lock(run->lock);
    sb_run_settle_locked(run, &run->lane, task, state, &garbage);
    sb_mutex_unlock(run->lock);
    sb_run_free_tasks(run, garbage);
    return SB_OK;
}

sb_status sb_run_supply(sb_run *run, const sb_supply *supply, sb_error *err)
{
    sb_status status = usable(run, err);
    if (status != SB_OK) {
        return status;
    }
    if (!run->pulling) {
        return sb_error_set(err, SB_STATE, "no batch was asked for");
    }
    bool alone = supply->array == NULL && supply->host != NULL;
    if (alone && (source_is_read(run) || supply->row_count < 0)) {
        return sb_error_set(err, SB_INVALID,
                            supply->row_count < 0
                                ? "a batch of fewer than no rows"
                                : "the data of the batch is wanted, not only its object");
    }
    run->pull_ns = sb_os_now_ns() - run->asked_ns;
    run->source_ns += run->pull_ns;
    run->pulling = false;
    run->pulled = true;
    sb_run_put(run, supply);
    return SB_OK;
}

sb_status sb_run_interpret(sb_run *run, const bool *interpret, int32_t count, sb_error *err)
{
    sb_status status = usable(run, err);
    if (status != SB_OK) {
        return status;
    }
    if (!run->revocable) {
        return sb_error_set(err, SB_STATE, "the run was not made for a change of its functions");
    }
    if (count != run->function_count) {
        return sb_error_set(err, SB_INVALID, "the plan has %d functions, not %d",
                            run->function_count, count);
    }
    bool any = false;
    sb_mutex_lock(run->lock);
    for (int32_t i = 0; i < count; i++) {
        if (interpret[i] &&
            !atomic_exchange_explicit(&run->interpret[i], true, memory_order_relaxed)) {
            any = true;
        }
    }
    if (any) {
        sb_run_redo_locked(run);
    }
    sb_mutex_unlock(run->lock);
    return SB_OK;
}

bool sb_run_schema_is_new(sb_run *run, int32_t op, sb_type *schema)
{
    if (run->schemas == NULL) {
        return true;
    }
    sb_type **last = &run->schemas[op + 1];
    if (*last == schema) {
        return false;
    }
    sb_type_drop(*last);
    *last = sb_type_retain(schema);
    return true;
}

const sb_ask *sb_run_asked(const sb_run *run)
{
    return run->asked != NULL ? &run->asked->work.ask : NULL;
}

const int64_t *sb_run_keep_rows(sb_run *run, sb_chunk *chunk)
{
    sb_mem_free(run->given_rows);
    run->given_rows = chunk->source_rows;
    chunk->source_rows = NULL;
    return run->given_rows;
}

const sb_token *sb_run_failure(const sb_run *run)
{
    return &run->failure;
}
