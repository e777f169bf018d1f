/* Workers: native threads that take tasks as long as there are any.
 *
 * Threads: a worker holds the run's lock only while it looks for a task or gives one back. It never calls the host: what the host made is
 * released through the run's queue. Memory: contexts are opened and closed on the lane. */
#include <string.h>

#include "base/mem.h"
#include "exec/run_int.h"

static void worker_main(void *arg)
{
    sb_context *context = arg;
    sb_run *run = context->run;
    sb_mutex_lock(run->lock);
    while (!run->quit) {
        sb_task *task = sb_run_pick_locked(run);
        if (task == NULL) {
            sb_cond_wait(run->work_cond, run->lock);
            continue;
        }
        sb_mutex_unlock(run->lock);
        sb_task_state state = sb_task_step(context, task);
        sb_task *garbage = NULL;
        sb_mutex_lock(run->lock);
        sb_run_settle_locked(run, context, task, state, &garbage);
        if (garbage != NULL) {
            sb_mutex_unlock(run->lock);
            sb_run_free_tasks(run, garbage);
            sb_mutex_lock(run->lock);
        }
    }
    sb_mutex_unlock(run->lock);
}

sb_status sb_run_start_workers(sb_run *run, int32_t count, sb_error *err)
{
    while (run->worker_count < count && run->worker_count < run->threads) {
        sb_context *context = &run->workers[run->worker_count];
        sb_status status = sb_context_open(context, run, err);
        if (status == SB_OK) {
            status = sb_context_open_locals(context, err);
        }
        if (status == SB_OK) {
            status = sb_thread_start(&context->thread, "sabot-worker", worker_main, context, err);
        }
        if (status != SB_OK) {
            sb_context_close(context);
            return run->worker_count > 0 ? SB_OK : status;
        }
        run->workers_used = ++run->worker_count;
    }
    return SB_OK;
}

void sb_run_join_workers(sb_run *run)
{
    for (int32_t i = 0; i < run->worker_count; i++) {
        sb_thread_join(run->workers[i].thread);
        sb_context_close(&run->workers[i]);
    }
    run->worker_count = 0;
}
