/* Interface: exec/watch.h.
 *
 * `turn` is odd while something is computed. The thread remembers what it saw; an odd number that it sees twice has been there for a
 * whole look. A late word of the turn before may stop the next one early, which costs time alone.
 * Memory order: begin writes `turn` and then reads `asleep`, the thread writes `asleep` and then reads `turn`, all in one total order, so
 * that one of them sees the other.
 *
 * Memory: one object. */
#include "exec/watch.h"

#include <stdatomic.h>

#include "base/mem.h"

#define LOOK_NS INT64_C(10000000)
#define LOOKS_MAX 100 /* without anything new, before the thread sleeps */

struct sb_watch {
    sb_mutex *lock;
    sb_cond *cond;
    sb_thread *thread;
    int64_t owner_pid; /* the thread is not in a forked child */
    bool quit;         /* under lock */
    _Atomic uint64_t turn;
    _Atomic uint32_t stop;
    atomic_bool asleep;
};

static void look(void *arg)
{
    sb_watch *watch = arg;
    uint64_t seen = 0;
    int idle = 0;
    sb_mutex_lock(watch->lock);
    while (!watch->quit) {
        const uint64_t now = atomic_load(&watch->turn);
        if (now == seen && (now & 1) != 0) {
            atomic_store(&watch->stop, 1);
        }
        idle = now == seen && (now & 1) == 0 ? idle + 1 : 0;
        seen = now;
        if (idle < LOOKS_MAX) {
            (void)sb_cond_wait_until(watch->cond, watch->lock, sb_os_now_ns() + LOOK_NS);
            continue;
        }
        atomic_store(&watch->asleep, true);
        if (atomic_load(&watch->turn) == seen) {
            sb_cond_wait(watch->cond, watch->lock);
        }
        atomic_store(&watch->asleep, false);
        idle = 0;
    }
    sb_mutex_unlock(watch->lock);
}

sb_status sb_watch_new(sb_watch **out, sb_error *err)
{
    sb_status status = SB_OK;
    sb_watch *watch = sb_mem_alloc_zero(sizeof(*watch));
    if (watch == NULL) {
        return sb_error_no_memory(err, sizeof(*watch));
    }
    watch->owner_pid = sb_os_pid();
    SB_TRY(sb_mutex_new(&watch->lock, err));
    SB_TRY(sb_cond_new(&watch->cond, err));
    SB_TRY(sb_thread_start(&watch->thread, "sabot-watch", look, watch, err));
    *out = watch;
    return SB_OK;
out:
    sb_watch_free(watch);
    return status;
}

void sb_watch_free(sb_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    if (watch->owner_pid != sb_os_pid()) {
        return; /* what another thread held may be locked: nothing of it is touched */
    }
    if (watch->thread != NULL) {
        sb_mutex_lock(watch->lock);
        watch->quit = true;
        sb_cond_broadcast(watch->cond);
        sb_mutex_unlock(watch->lock);
        sb_thread_join(watch->thread);
    }
    sb_cond_free(watch->cond);
    sb_mutex_free(watch->lock);
    sb_mem_free(watch);
}

const uint32_t *sb_watch_begin(sb_watch *watch)
{
    uint64_t turn = atomic_load(&watch->turn);
    if ((turn & 1) != 0 || !atomic_compare_exchange_strong(&watch->turn, &turn, turn + 1)) {
        return NULL;
    }
    atomic_store(&watch->stop, 0);
    if (atomic_load(&watch->asleep)) {
        sb_mutex_lock(watch->lock);
        sb_cond_broadcast(watch->cond);
        sb_mutex_unlock(watch->lock);
    }
    return (uint32_t *)(uintptr_t)&watch->stop;
}

void sb_watch_end(sb_watch *watch)
{
    atomic_fetch_add(&watch->turn, 1);
}
