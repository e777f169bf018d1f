/* The tasks of a run: which one a worker takes, which ask the host gets, what an error cancels.
 *
 * Algorithm: all tasks in flight are one list in ascending order, a few per worker, so a scan finds what is wanted. A worker prefers
 * the lowest READY task to cutting a new one. Asks in order are the baton's: the lowest task that is not yet behind the last operator that
 * asks in order; so user code sees the same sequence of calls for any number of workers. An error at one task drops all higher.
 *
 * A revocable run computes ahead what may prove to be wrong: before a task shows the host anything, by an ask or as a result, all
 * before it have been given out. So when the host's code has changed what functions read, those that have shown nothing begin anew.
 *
 * Threads: every function here runs with the run's lock held, but for sb_run_free_tasks. Memory: dropped tasks are handed out as
 * garbage, to be freed without the lock. */
#include "base/mem.h"
#include "exec/run_int.h"

void sb_run_append_locked(sb_run *run, sb_task *task)
{
    sb_task **at = &run->tasks;
    while (*at != NULL) {
        SB_ASSERT((*at)->order < task->order);
        at = &(*at)->next;
    }
    task->next = NULL;
    *at = task;
    run->in_flight++;
    run->in_flight_bytes += task->bytes;
}

void sb_run_unlink_locked(sb_run *run, sb_task *task)
{
    sb_task **at = &run->tasks;
    while (*at != task) {
        at = &(*at)->next;
    }
    *at = task->next;
    task->next = NULL;
    run->in_flight--;
    run->in_flight_bytes -= task->bytes;
}

static void inputs_clear(sb_run *run)
{
    while (run->inputs != NULL) {
        sb_input *input = run->inputs;
        run->inputs = input->next;
        sb_input_drop(input);
    }
    run->inputs_tail = &run->inputs;
}

static int64_t bytes_of(const sb_input *input, int64_t rows)
{
    double share = input->chunk->rows > 0 ? (double)rows / (double)input->chunk->rows : 1;
    return (int64_t)((double)input->bytes * share);
}

int64_t sb_run_ahead_locked(const sb_run *run)
{
    int64_t bytes = run->in_flight_bytes;
    for (const sb_input *input = run->inputs; input != NULL; input = input->next) {
        bytes += bytes_of(input, input->chunk->rows - input->cut);
    }
    return bytes;
}

static sb_task *task_cut_next(sb_run *run)
{
    sb_input *input = run->inputs;
    if (input == NULL || run->in_flight >= run->flight_max) {
        return NULL;
    }
    sb_task *task = sb_task_new(NULL);
    if (task == NULL) {
        run->no_memory = true; /* the lane ends the run */
        sb_cond_signal(run->lane_cond);
        return NULL;
    }
    int64_t left = input->chunk->rows - input->cut;
    task->rows = sb_input_is_cut(run, input) && left > run->morsel_rows ? run->morsel_rows : left;
    task->bytes = bytes_of(input, task->rows);
    task->start = input->cut;
    task->part = input->parts++;
    task->input = input;
    task->order = run->next_order++;
    atomic_fetch_add_explicit(&input->refs, 1, memory_order_relaxed);
    input->cut += task->rows;
    if (input->cut == input->chunk->rows) {
        run->inputs = input->next;
        if (run->inputs == NULL) {
            run->inputs_tail = &run->inputs;
        }
        sb_input_drop(input);
    }
    sb_run_append_locked(run, task);
    return task;
}

sb_task *sb_run_pick_locked(sb_run *run)
{
    if (run->quit) {
        return NULL;
    }
    sb_task *task = run->tasks;
    while (task != NULL && task->state != SB_TASK_READY) {
        task = task->next;
    }
    if (task == NULL) {
        task = task_cut_next(run);
    }
    if (task == NULL) {
        return NULL;
    }
    task->state = SB_TASK_RUNNING;
    if (task->redo) {
        task->redo = false;
        task->anew = true;
        atomic_store_explicit(&task->stop, 0, memory_order_relaxed);
    }
    return task;
}

/* Of a revocable run only the first task may ask: those behind it must not have shown the host anything yet. */
static sb_task *first_ask(const sb_run *run)
{
    sb_task *task = run->tasks;
    return task != NULL && task->state == SB_TASK_ASK ? task : NULL;
}

sb_task *sb_run_find_ask_locked(sb_run *run)
{
    if (run->revocable) {
        return first_ask(run);
    }
    for (sb_task *task = run->tasks; task != NULL; task = task->next) {
        if (task->state == SB_TASK_ASK && (!task->work.ask.in_order || task->order == run->baton)) {
            return task;
        }
    }
    return NULL;
}

static void baton_advance(sb_run *run)
{
    for (sb_task *task = run->tasks; task != NULL; task = task->next) {
        if (task->order == run->baton) {
            if (!task->passed) {
                return;
            }
            run->baton++;
        }
    }
}

/* Drops every task above `order` and all input: nothing behind the error will be wanted. */
static void cancel_above(sb_run *run, int64_t order, sb_task **garbage)
{
    sb_task **at = &run->tasks;
    while (*at != NULL) {
        sb_task *task = *at;
        if (task->order <= order) {
            at = &task->next;
            continue;
        }
        if (task->state == SB_TASK_RUNNING || task->state == SB_TASK_HOST) {
            task->dropped = true;
            atomic_store_explicit(&task->stop, 1, memory_order_relaxed);
            at = &task->next;
            continue;
        }
        sb_run_unlink_locked(run, task);
        task->next = *garbage;
        *garbage = task;
    }
    inputs_clear(run);
    run->source_ended = true;
}

void sb_run_settle_locked(sb_run *run, sb_context *context, sb_task *task, sb_task_state state,
                          sb_task **garbage)
{
    sb_run_count_locked(run, context);
    if (task->dropped) {
        sb_run_unlink_locked(run, task);
        task->next = *garbage;
        *garbage = task;
        sb_cond_signal(run->lane_cond);
        return;
    }
    if (task->redo) {
        state = SB_TASK_READY;
    }
    task->state = state;
    if (task->work.token.kind == SB_TOKEN_ERROR && !task->redo) {
        cancel_above(run, task->order, garbage);
    }
    task->passed = task->op > run->last_in_order;
    baton_advance(run);
    if (state == SB_TASK_READY) {
        sb_cond_signal(run->work_cond);
    }
    if (state == SB_TASK_ASK || run->tasks->state == SB_TASK_DONE ||
        sb_run_find_ask_locked(run) != NULL) {
        sb_cond_signal(run->lane_cond);
    }
}

void sb_run_redo_locked(sb_run *run)
{
    for (sb_task *task = run->tasks; task != NULL; task = task->next) {
        bool running = task->state == SB_TASK_RUNNING;
        /* What stands behind a failed task was dropped, so that one stays as it is. One without columns has computed nothing. */
        bool stays = !running && (task->work.token.kind == SB_TOKEN_ERROR || task->origin == NULL);
        if (task->bound || task->dropped || stays) {
            continue;
        }
        task->redo = true;
        if (running) {
            atomic_store_explicit(&task->stop, 1, memory_order_relaxed);
        } else {
            task->state = SB_TASK_READY;
        }
    }
    sb_cond_broadcast(run->work_cond);
}

void sb_run_stop_locked(sb_run *run)
{
    for (sb_task *task = run->tasks; task != NULL; task = task->next) {
        atomic_store_explicit(&task->stop, 1, memory_order_relaxed);
    }
    sb_cond_broadcast(run->work_cond);
    sb_cond_broadcast(run->lane_cond);
}

void sb_run_free_tasks(sb_run *run, sb_task *garbage)
{
    while (garbage != NULL) {
        sb_task *next = garbage->next;
        sb_task_free(run, garbage);
        garbage = next;
    }
}
