/* Tasks: a morsel's way through the operators, and the contexts that walk it.
 *
 * Algorithm: a step cuts the morsel out of its input, then calls push of one operator after the other until one asks the host or the last
 * has given its output; then it compacts the chunk, so that the lane has nothing to do but to hand it out. An operator's error status
 * becomes an error token in place of the whole chunk.
 *
 * Threads: a task belongs to the context that runs it; nothing here takes the run's lock. Memory: a task owns its chunk. */
#include <string.h>

#include "base/mem.h"
#include "exec/run_int.h"

/* --- contexts ----------------------------------------------------------------------------------------------------- */

sb_status sb_context_open(sb_context *context, sb_run *run, sb_error *err)
{
    size_t ops = (size_t)run->op_count;
    size_t functions = (size_t)run->function_count;
    *context = (sb_context){.run = run};
    context->counts = sb_mem_alloc_zero(functions * sizeof(sb_call_counts));
    context->ops = sb_mem_alloc_zero(ops * sizeof(sb_op_counts));
    if (context->counts == NULL || context->ops == NULL) {
        sb_context_close(context);
        return sb_error_no_memory(err, functions * sizeof(sb_call_counts));
    }
    return SB_OK;
}

static void locals_close(sb_context *context)
{
    const sb_run *run = context->run;
    for (int32_t i = 0; context->locals != NULL && i < run->op_count; i++) {
        if (run->ops[i].vt->release_local != NULL) {
            run->ops[i].vt->release_local(context->locals[i]);
        }
    }
    sb_mem_free(context->locals);
    context->locals = NULL;
}

sb_status sb_context_open_locals(sb_context *context, sb_error *err)
{
    const sb_run *run = context->run;
    sb_status status = SB_OK;
    if (context->locals != NULL) {
        return SB_OK;
    }
    context->locals = sb_mem_alloc_zero((size_t)run->op_count * sizeof(void *));
    if (context->locals == NULL) {
        return sb_error_no_memory(err, (size_t)run->op_count * sizeof(void *));
    }
    for (int32_t i = 0; i < run->op_count; i++) {
        if (run->ops[i].vt->open_local != NULL) {
            SB_TRY(
                run->ops[i].vt->open_local(&run->ops[i], run->shared[i], &context->locals[i], err));
        }
    }
    return SB_OK;
out:
    locals_close(context);
    return status;
}

void sb_context_close(sb_context *context)
{
    locals_close(context);
    sb_mem_free(context->counts);
    sb_mem_free(context->ops);
    *context = (sb_context){0};
}

/* --- tasks -------------------------------------------------------------------------------------------------------- */

void sb_input_drop(sb_input *input)
{
    if (input == NULL || atomic_fetch_sub_explicit(&input->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    sb_chunk_free(input->chunk);
    sb_mem_free(input);
}

sb_task *sb_task_new(sb_error *err)
{
    sb_task *task = sb_mem_alloc_zero(sizeof *task);
    if (task == NULL) {
        (void)sb_error_no_memory(err, sizeof *task);
        return NULL;
    }
    atomic_init(&task->stop, 0);
    return task;
}

void sb_task_free(sb_run *run, sb_task *task)
{
    if (task == NULL) {
        return;
    }
    if (task->work.state != NULL && run->ops[task->op].vt->release_state != NULL) {
        run->ops[task->op].vt->release_state(task->work.state);
    }
    sb_chunk_free(task->work.chunk);
    sb_chunk_free(task->origin);
    sb_input_drop(task->input);
    sb_mem_free(task);
}

/* The whole chunk is given up: an error that is no single row's. */
static void task_fail(sb_run *run, sb_task *task, const sb_error *error)
{
    const sb_op *op = task->op < run->op_count ? &run->ops[task->op] : NULL;
    sb_chunk *chunk = task->work.chunk;
    if (task->work.state != NULL && op != NULL && op->vt->release_state != NULL) {
        op->vt->release_state(task->work.state);
    }
    task->work.state = NULL;
    task->work.token = (sb_token){
        .kind = SB_TOKEN_ERROR,
        .seq = chunk != NULL ? chunk->seq : (sb_seq){0},
        .row = -1,
        .op = op != NULL ? op->node->op_index : -1,
        .function_index = -1,
        .error = *error,
    };
    sb_chunk_free(chunk);
    task->work.chunk = NULL;
    task->op = run->op_count;
}

/* What was computed is thrown away. */
static sb_status task_begin_anew(sb_run *run, sb_task *task, sb_error *err)
{
    task->anew = false;
    if (task->origin == NULL) {
        return SB_OK; /* it stands where it began */
    }
    if (task->work.state != NULL && run->ops[task->op].vt->release_state != NULL) {
        run->ops[task->op].vt->release_state(task->work.state);
    }
    sb_chunk_free(task->work.chunk);
    task->work.chunk = NULL;
    task->work.state = NULL;
    task->work.token = (sb_token){0};
    task->op = 0;
    return sb_chunk_slice(task->origin, 0, task->origin->rows, &task->work.chunk, err);
}

/* keep: it may have to begin anew. */
static sb_status task_cut(sb_task *task, bool keep, sb_error *err)
{
    sb_input *input = task->input;
    if (input == NULL) {
        return SB_OK;
    }
    if (task->rows == input->chunk->rows) {
        task->work.chunk = input->chunk; /* no other task has a part of it */
        input->chunk = NULL;
    } else {
        sb_status status =
            sb_chunk_slice(input->chunk, task->start, task->rows, &task->work.chunk, err);
        if (status != SB_OK) {
            return status;
        }
    }
    task->work.chunk->seq.part = task->part;
    sb_input_drop(task->input);
    task->input = NULL;
    const sb_chunk *chunk = task->work.chunk;
    return keep && chunk->columns != NULL
               ? sb_chunk_slice(chunk, 0, chunk->rows, &task->origin, err)
               : SB_OK;
}

static void work_bind(sb_context *context, sb_task *task)
{
    /* A kernel reads the word with a relaxed atomic load, as the contract says; the types have the same representation. */
    const void *stop = &task->stop;
    task->work.stop = stop;
    task->work.releases = context->run->releases;
    task->work.counts = context->counts;
}

/* then: when the task was taken up. */
static sb_task_state walk(sb_context *context, sb_task *task, bool light_only, int64_t then,
                          sb_error *err)
{
    sb_run *run = context->run;
    while (task->op < run->op_count && task->work.chunk != NULL) {
        const sb_op *op = &run->ops[task->op];
        void *local = context->locals != NULL ? context->locals[task->op] : NULL;
        sb_push result = SB_PUSH_HAVE_OUTPUT;
        if (light_only && (op->caps & SB_OP_LIGHT) == 0) {
            return SB_TASK_READY;
        }
        sb_op_counts *counts = &context->ops[task->op];
        if (task->work.state == NULL) {
            counts->rows_in += task->work.chunk->active_count;
            counts->batches_in++;
        }
        const void *before = task->work.chunk->columns;
        sb_status status =
            op->vt->push(op, run->shared[task->op], local, &task->work, &result, err);
        int64_t now = sb_os_now_ns();
        counts->busy_ns += now - then;
        then = now;
        if (status != SB_OK) {
            task_fail(run, task, err);
            return SB_TASK_DONE;
        }
        if (result == SB_PUSH_BLOCKED) {
            task->asked_ns = now;
            return SB_TASK_ASK;
        }
        sb_op_count_output(op, counts, task->work.chunk, before);
        task->op++;
    }
    task->op = run->op_count;
    if (task->work.chunk != NULL) {
        sb_status status = sb_chunk_compact(task->work.chunk, err);
        if (status != SB_OK) {
            task_fail(run, task, err);
        }
    }
    return SB_TASK_DONE;
}

sb_task_state sb_task_step(sb_context *context, sb_task *task)
{
    sb_error error = {0};
    work_bind(context, task);
    if (task->input != NULL) {
        context->tasks++;
    }
    /* Without workers nothing is computed ahead. */
    bool keep = context->run->revocable && context != &context->run->lane;
    sb_status status =
        task->anew ? task_begin_anew(context->run, task, &error) : task_cut(task, keep, &error);
    if (status != SB_OK) {
        task_fail(context->run, task, &error);
        return SB_TASK_DONE;
    }
    return walk(context, task, false, sb_os_now_ns(), &error);
}

sb_task_state sb_task_answer(sb_context *context, sb_task *task, const sb_answer *answer,
                             int64_t now)
{
    sb_run *run = context->run;
    const sb_op *op = &run->ops[task->op];
    sb_op_counts *counts = &context->ops[task->op];
    const void *before = task->work.chunk->columns;
    sb_error error = {0};
    sb_push result = SB_PUSH_HAVE_OUTPUT;
    work_bind(context, task);
    sb_status status =
        op->vt->answer(op, run->shared[task->op], &task->work, answer, &result, &error);
    int64_t then = sb_os_now_ns();
    counts->busy_ns += then - now;
    if (status != SB_OK) {
        task_fail(run, task, &error);
        return SB_TASK_DONE;
    }
    if (result == SB_PUSH_BLOCKED) {
        task->asked_ns = then;
        return SB_TASK_ASK;
    }
    if (result != SB_PUSH_RESUME) {
        sb_op_count_output(op, counts, task->work.chunk, before);
        task->op++;
    }
    return walk(context, task, true, then, &error);
}
