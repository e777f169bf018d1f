/* Time, environment, randomness and threads for POSIX systems with Linux extensions, as os/os.h promises them.
 *
 * Threads: any. A thread starts with every signal blocked that some other thread could take, so handlers of the host
 * never run on it; signals that a thread causes itself (SIGSEGV and its kin) stay open, because a blocked one kills the
 * process before the host's crash handler can speak. The floating-point environment comes from the creating thread, as
 * POSIX asks of pthread_create. Condition variables wait on the monotonic clock.
 *
 * Memory: sb_thread, sb_mutex and sb_cond are blocks of base/mem.h; sb_thread_join frees the first. */
#define _GNU_SOURCE 1

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/os_int.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define NAME_SIZE 16 /* what the kernel keeps of a thread's name, the NUL included */
#define STDERR_STALL_MS 1000

struct sb_thread {
    pthread_t id;
    void (*main)(void *);
    void *arg;
    char name[NAME_SIZE];
};

struct sb_mutex {
    pthread_mutex_t mutex;
};

struct sb_cond {
    pthread_cond_t cond;
};

/* --- errors, time, environment ---------------------------------------------------------------- */

sb_status sb_os_refused(sb_error *err, const char *what, int error_number)
{
    return sb_error_set(err, SB_OS, "%s: %s (errno %d)", what, strerror(error_number),
                        error_number);
}

static struct timespec timespec_of(int64_t time_ns)
{
    return (struct timespec){.tv_sec = (time_t)(time_ns / NS_PER_S),
                             .tv_nsec = (long)(time_ns % NS_PER_S)};
}

int64_t sb_os_now_ns(void)
{
    struct timespec now;
    int rc = clock_gettime(CLOCK_MONOTONIC, &now);
    SB_ASSERT(rc == 0);
    (void)rc;
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

void sb_os_sleep_ns(int64_t duration_ns)
{
    int64_t end_ns;
    if (duration_ns <= 0) {
        return;
    }
    if (sb_add_overflow_i64(sb_os_now_ns(), duration_ns, &end_ns)) {
        end_ns = SB_NEVER;
    }
    struct timespec end = timespec_of(end_ns);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) == EINTR) {
    }
}

int sb_os_poll_ms(int64_t deadline_ns)
{
    if (deadline_ns == SB_NEVER) {
        return -1;
    }
    int64_t now_ns = sb_os_now_ns();
    if (deadline_ns <= now_ns) {
        return 0;
    }
    int64_t left_ms = (deadline_ns - now_ns - 1) / NS_PER_MS + 1;
    return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

const char *sb_os_env(const char *name)
{
    return getenv(name);
}

int sb_os_cpu_count(void)
{
    /* The kernel refuses a set smaller than its own: 1,024 processors first, which is soon counted, then 65,536. */
    cpu_set_t sets[64];
    size_t size = sizeof(sets[0]);
    int failed = sched_getaffinity(0, size, sets);
    if (failed != 0) {
        size = sizeof(sets);
        failed = sched_getaffinity(0, size, sets);
    }
    if (failed == 0) {
        int count = CPU_COUNT_S(size, sets);
        return count > 0 ? count : 1;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 && online < INT_MAX ? (int)online : 1;
}

int64_t sb_os_pid(void)
{
    return (int64_t)getpid();
}

sb_status sb_os_random(void *out, size_t size, sb_error *err)
{
    unsigned char *bytes = out;
    size_t done = 0;
    while (done < size) {
        ssize_t got = getrandom(bytes + done, size - done, 0);
        if (got > 0) {
            done += (size_t)got;
        } else if (got < 0 && errno != EINTR) {
            return sb_os_refused(err, "getrandom", errno);
        }
    }
    return SB_OK;
}

void sb_os_write_stderr(const char *text, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t wrote = write(STDERR_FILENO, text + done, size - done);
        if (wrote > 0) {
            done += (size_t)wrote;
            continue;
        }
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
        bool stalled = wrote < 0 && errno == EAGAIN; /* a host made it non-blocking */
        if (!stalled || poll(&ready, 1, STDERR_STALL_MS) == 0) {
            return;
        }
    }
}

/* --- threads ---------------------------------------------------------------------------------- */

static void *thread_main(void *arg)
{
    sb_thread *thread = arg;
    (void)pthread_setname_np(pthread_self(), thread->name);
    thread->main(thread->arg);
    return NULL;
}

static void foreign_signals(sigset_t *set)
{
    static const int own_faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    (void)sigfillset(set);
    for (size_t i = 0; i < SB_COUNT_OF(own_faults); i++) {
        (void)sigdelset(set, own_faults[i]);
    }
}

sb_status sb_thread_start(sb_thread **out, const char *name, void (*main)(void *), void *arg,
                          sb_error *err)
{
    sb_thread *thread = sb_mem_alloc_zero(sizeof(*thread));
    if (thread == NULL) {
        return sb_error_no_memory(err, sizeof(*thread));
    }
    thread->main = main;
    thread->arg = arg;
    size_t size = strlen(name);
    memcpy(thread->name, name, size < NAME_SIZE ? size : NAME_SIZE - 1);

    sigset_t blocked, before;
    foreign_signals(&blocked);
    int rc = pthread_sigmask(SIG_SETMASK, &blocked, &before);
    SB_ASSERT(rc == 0);
    rc = pthread_create(&thread->id, NULL, thread_main, thread);
    int restored = pthread_sigmask(SIG_SETMASK, &before, NULL);
    SB_ASSERT(restored == 0);
    (void)restored;
    if (rc != 0) {
        sb_mem_free(thread);
        return sb_os_refused(err, "starting a thread", rc);
    }
    *out = thread;
    return SB_OK;
}

void sb_thread_join(sb_thread *thread)
{
    int rc = pthread_join(thread->id, NULL);
    SB_ASSERT(rc == 0);
    (void)rc;
    sb_mem_free(thread);
}

/* --- mutexes, condition variables ------------------------------------------------------------- */

sb_status sb_mutex_new(sb_mutex **out, sb_error *err)
{
    sb_mutex *mutex = sb_mem_alloc(sizeof(*mutex));
    if (mutex == NULL) {
        return sb_error_no_memory(err, sizeof(*mutex));
    }
    int rc = pthread_mutex_init(&mutex->mutex, NULL);
    if (rc != 0) {
        sb_mem_free(mutex);
        return sb_os_refused(err, "making a mutex", rc);
    }
    *out = mutex;
    return SB_OK;
}

void sb_mutex_free(sb_mutex *mutex)
{
    if (mutex == NULL) {
        return;
    }
    int rc = pthread_mutex_destroy(&mutex->mutex);
    SB_ASSERT(rc == 0);
    (void)rc;
    sb_mem_free(mutex);
}

void sb_mutex_lock(sb_mutex *mutex)
{
    int rc = pthread_mutex_lock(&mutex->mutex);
    SB_ASSERT(rc == 0);
    (void)rc;
}

void sb_mutex_unlock(sb_mutex *mutex)
{
    int rc = pthread_mutex_unlock(&mutex->mutex);
    SB_ASSERT(rc == 0);
    (void)rc;
}

static int init_monotonic_cond(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    int rc = pthread_condattr_init(&attr);
    if (rc != 0) {
        return rc;
    }
    rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (rc == 0) {
        rc = pthread_cond_init(cond, &attr);
    }
    (void)pthread_condattr_destroy(&attr);
    return rc;
}

sb_status sb_cond_new(sb_cond **out, sb_error *err)
{
    sb_cond *cond = sb_mem_alloc(sizeof(*cond));
    if (cond == NULL) {
        return sb_error_no_memory(err, sizeof(*cond));
    }
    int rc = init_monotonic_cond(&cond->cond);
    if (rc != 0) {
        sb_mem_free(cond);
        return sb_os_refused(err, "making a condition variable", rc);
    }
    *out = cond;
    return SB_OK;
}

void sb_cond_free(sb_cond *cond)
{
    if (cond == NULL) {
        return;
    }
    int rc = pthread_cond_destroy(&cond->cond);
    SB_ASSERT(rc == 0);
    (void)rc;
    sb_mem_free(cond);
}

void sb_cond_wait(sb_cond *cond, sb_mutex *mutex)
{
    int rc = pthread_cond_wait(&cond->cond, &mutex->mutex);
    SB_ASSERT(rc == 0);
    (void)rc;
}

bool sb_cond_wait_until(sb_cond *cond, sb_mutex *mutex, int64_t deadline_ns)
{
    if (deadline_ns == SB_NEVER) {
        sb_cond_wait(cond, mutex);
        return true;
    }
    struct timespec deadline = timespec_of(deadline_ns < 0 ? 0 : deadline_ns);
    int rc = pthread_cond_timedwait(&cond->cond, &mutex->mutex, &deadline);
    SB_ASSERT(rc == 0 || rc == ETIMEDOUT);
    return rc == 0;
}

void sb_cond_signal(sb_cond *cond)
{
    int rc = pthread_cond_signal(&cond->cond);
    SB_ASSERT(rc == 0);
    (void)rc;
}

void sb_cond_broadcast(sb_cond *cond)
{
    int rc = pthread_cond_broadcast(&cond->cond);
    SB_ASSERT(rc == 0);
    (void)rc;
}
