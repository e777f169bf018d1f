/* Which vectors are the host's at once: see passes.h. */
#include "jit/passes.h"

#define STAY_SHARE 8 /* 1 in so many rows has to stay for a try to be worth its time */
#define BAD_MIN 2    /* batches that leave one after the other */
#define WAIT_MIN 4
#define WAIT_MAX 64

bool sb_passes_take(sb_passes *passes, int64_t rows)
{
    if (atomic_load_explicit(&passes->wait, memory_order_relaxed) <= 0) {
        return false;
    }
    atomic_fetch_sub_explicit(&passes->wait, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&passes->rows, rows, memory_order_relaxed);
    return true;
}

void sb_passes_judge(sb_passes *passes, int64_t rows, int64_t left, bool undivided)
{
    if (left == 0 || left < rows - rows / STAY_SHARE) {
        atomic_store_explicit(&passes->bad, 0, memory_order_relaxed);
        atomic_store_explicit(&passes->next, WAIT_MIN, memory_order_relaxed);
        return;
    }
    const int bad = 1 + atomic_load_explicit(&passes->bad, memory_order_relaxed);
    atomic_store_explicit(&passes->bad, bad < BAD_MIN ? bad : BAD_MIN, memory_order_relaxed);
    if (undivided && bad < BAD_MIN) {
        return;
    }
    int next = atomic_load_explicit(&passes->next, memory_order_relaxed);
    next = next < WAIT_MIN ? WAIT_MIN : next;
    atomic_store_explicit(&passes->wait, next, memory_order_relaxed);
    next = next < WAIT_MAX ? 2 * next : WAIT_MAX;
    atomic_store_explicit(&passes->next, next, memory_order_relaxed);
}
