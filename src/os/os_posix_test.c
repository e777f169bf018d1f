/* Tests of time, environment, randomness, threads, mutexes and condition variables. */
#define _GNU_SOURCE 1

#include <fcntl.h>
#include <fenv.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "os/os_int.h"
#include "os/os_test.h"

#define MS INT64_C(1000000)

static void time_goes_on(void **state)
{
    (void)state;
    int64_t before = sb_os_now_ns();
    sb_os_sleep_ns(3 * MS);
    int64_t after = sb_os_now_ns();
    assert_true(before > 0);
    assert_true(after - before >= 3 * MS);
    sb_os_sleep_ns(0);
    sb_os_sleep_ns(-5);
    sb_os_sleep_ns(INT64_MIN);
}

static void poll_times_round_up(void **state)
{
    (void)state;
    assert_int_equal(sb_os_poll_ms(SB_NEVER), -1);
    assert_int_equal(sb_os_poll_ms(SB_NEVER - 1), INT_MAX);
    assert_int_equal(sb_os_poll_ms(0), 0);
    assert_int_equal(sb_os_poll_ms(INT64_MIN), 0);
    assert_in_range(sb_os_poll_ms(sb_os_now_ns() + 5000 * MS), 4000, 5000);
    int64_t deadline = sb_os_now_ns() + 50 * MS;
    while (sb_os_now_ns() < deadline) {
        int left_ms = sb_os_poll_ms(deadline);
        assert_true(left_ms > 0 || sb_os_now_ns() >= deadline); /* no busy loop at the end */
    }
}

static void environment(void **state)
{
    (void)state;
    assert_int_equal(setenv("SABOT_OS_TEST", "here", 1), 0);
    assert_string_equal(sb_os_env("SABOT_OS_TEST"), "here");
    assert_int_equal(unsetenv("SABOT_OS_TEST"), 0);
    assert_null(sb_os_env("SABOT_OS_TEST"));
    assert_in_range(sb_os_cpu_count(), 1, 65536);
    assert_int_equal(sb_os_pid(), getpid());
}

static int cpu_count_follows_affinity_step(void)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    SB_STEP(sched_setaffinity(0, sizeof(one), &one) == 0);
    SB_STEP(sb_os_cpu_count() == 1);
    return 0;
}
SB_FORKED_TEST(cpu_count_follows_affinity)

static void random_bytes_differ(void **state)
{
    (void)state;
    unsigned char a[1000] = {0};
    unsigned char b[1000] = {0};
    assert_int_equal(sb_os_random(a, sizeof(a), NULL), SB_OK);
    assert_int_equal(sb_os_random(b, sizeof(b), NULL), SB_OK);
    assert_memory_not_equal(a, b, sizeof(a));
    assert_memory_not_equal(a + 900, b + 900, 100); /* to the end */
    assert_int_equal(sb_os_random(a, 0, NULL), SB_OK);
}

static int refused_random_is_told_step(void)
{
    unsigned char bytes[8];
    sb_error err = {0};
    SB_STEP(sb_test_refuse_call(SYS_getrandom, 0, 0, EPERM));
    SB_STEP(sb_os_random(bytes, sizeof(bytes), &err) == SB_OS);
    SB_STEP(strstr(err.message, "getrandom") != NULL);
    return 0;
}
SB_FORKED_TEST(refused_random_is_told)

/* All of a long text arrives although the pipe is non-blocking and small. */
static int writes_whole_text_to_stderr_step(void)
{
    static char text[200000];
    int ends[2];
    SB_STEP(pipe(ends) == 0);
    memset(text, 'x', sizeof(text));
    pid_t reader = fork();
    if (reader == 0) {
        (void)close(ends[1]);
        size_t got = 0;
        char part[5000];
        ssize_t size = 0;
        while ((size = read(ends[0], part, sizeof(part))) > 0) {
            got += (size_t)size;
        }
        _exit(got == sizeof(text) ? 0 : 1);
    }
    (void)close(ends[0]);
    SB_STEP(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    SB_STEP(dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
    (void)close(ends[1]);
    sb_os_write_stderr(text, sizeof(text));
    (void)close(STDERR_FILENO);
    sb_os_write_stderr("nobody", 6); /* no harm */
    int result = -1;
    SB_STEP(waitpid(reader, &result, 0) == reader);
    SB_STEP(WIFEXITED(result) && WEXITSTATUS(result) == 0);
    return 0;
}
SB_FORKED_TEST(writes_whole_text_to_stderr)

/* --- threads ---------------------------------------------------------------------------------- */

typedef struct seen {
    char name[32];
    sigset_t blocked;
    int rounding;
    bool flushes_denormals;
    pthread_t id;
} seen;

static bool flushes_denormals(void)
{
    volatile double tiny = 0x1p-1040;
    volatile double half = tiny * 0.5;
    return half == 0;
}

static void look_round(void *arg)
{
    seen *out = arg;
    out->id = pthread_self();
    (void)pthread_getname_np(out->id, out->name, sizeof(out->name));
    (void)pthread_sigmask(SIG_SETMASK, NULL, &out->blocked);
    out->rounding = fegetround();
    out->flushes_denormals = flushes_denormals();
}

static void thread_starts_as_promised(void **state)
{
    (void)state;
    sigset_t before, after;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &before);
    sb_thread *thread = NULL;
    seen out = {0};
    assert_int_equal(sb_thread_start(&thread, "a name that is long", look_round, &out, NULL),
                     SB_OK);
    sb_thread_join(thread);
    assert_string_equal(out.name, "a name that is ");
    assert_false(pthread_equal(out.id, pthread_self()));
    assert_int_equal(out.rounding, FE_TONEAREST);
    assert_false(out.flushes_denormals);
    static const int blocked[] = {SIGINT, SIGTERM, SIGALRM, SIGCHLD, SIGPROF, SIGUSR1, SIGPIPE};
    for (size_t i = 0; i < SB_COUNT_OF(blocked); i++) {
        assert_int_equal(sigismember(&out.blocked, blocked[i]), 1);
    }
    assert_int_equal(sigismember(&out.blocked, SIGSEGV), 0);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_int_equal(sigismember(&after, SIGINT), sigismember(&before, SIGINT));
}

static void thread_inherits_floating_point(void **state)
{
    (void)state;
    fenv_t before;
    assert_int_equal(fegetenv(&before), 0);
    assert_int_equal(fesetround(FE_UPWARD), 0);
#if defined(__x86_64__)
    fenv_t flushing;
    assert_int_equal(fegetenv(&flushing), 0);
    flushing.__mxcsr |= 0x8040; /* flush to zero, denormals are zero */
    assert_int_equal(fesetenv(&flushing), 0);
#endif
    bool expected = flushes_denormals();
    sb_thread *thread = NULL;
    seen out = {0};
    sb_status status = sb_thread_start(&thread, "fp", look_round, &out, NULL);
    assert_int_equal(fesetenv(&before), 0);
    assert_int_equal(status, SB_OK);
    sb_thread_join(thread);
    assert_int_equal(out.rounding, FE_UPWARD);
    assert_int_equal(out.flushes_denormals, expected);
}

static int refused_thread_is_told_step(void)
{
    sb_thread *thread = NULL;
    sb_error err = {0};
    SB_STEP(sb_test_refuse_call(SYS_clone3, 0, 0, EAGAIN));
    SB_STEP(sb_test_refuse_call(SYS_clone, 0, 0, EAGAIN));
    SB_STEP(sb_thread_start(&thread, "none", look_round, NULL, &err) == SB_OS);
    SB_STEP(thread == NULL && strstr(err.message, "thread") != NULL);
    sigset_t mask;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mask);
    SB_STEP(sigismember(&mask, SIGINT) == 0);
    return 0;
}
SB_FORKED_TEST(refused_thread_is_told)

typedef struct shared {
    sb_mutex *mutex;
    sb_cond *cond;
    int64_t turn; /* guarded by mutex, as is sum */
    int64_t sum;
} shared;

enum { ROUNDS = 3000 };

static void add_in_turn(shared *s, int64_t side)
{
    for (int i = 0; i < ROUNDS; i++) {
        sb_mutex_lock(s->mutex);
        while (s->turn != side) {
            sb_cond_wait(s->cond, s->mutex);
        }
        s->sum = s->sum * 3 % 1000003 + side;
        s->turn = 1 - side;
        sb_cond_signal(s->cond);
        sb_mutex_unlock(s->mutex);
    }
}

static void other_side(void *arg)
{
    add_in_turn(arg, 1);
}

static void shared_init(shared *s)
{
    *s = (shared){0};
    assert_int_equal(sb_mutex_new(&s->mutex, NULL), SB_OK);
    assert_int_equal(sb_cond_new(&s->cond, NULL), SB_OK);
}

static void shared_release(shared *s)
{
    sb_cond_free(s->cond);
    sb_mutex_free(s->mutex);
}

static void threads_take_turns(void **state)
{
    (void)state;
    shared s;
    shared_init(&s);
    sb_thread *thread = NULL;
    assert_int_equal(sb_thread_start(&thread, "turns", other_side, &s, NULL), SB_OK);
    add_in_turn(&s, 0);
    sb_thread_join(thread);
    int64_t expected = 0;
    for (int i = 0; i < 2 * ROUNDS; i++) {
        expected = expected * 3 % 1000003 + i % 2;
    }
    assert_int_equal(s.sum, expected);
    shared_release(&s);
    sb_cond_free(NULL);
    sb_mutex_free(NULL);
}

static void wait_for_turn(void *arg)
{
    shared *s = arg;
    sb_mutex_lock(s->mutex);
    while (s->turn == 0) {
        (void)sb_cond_wait_until(s->cond, s->mutex, SB_NEVER);
    }
    s->sum++;
    sb_mutex_unlock(s->mutex);
}

static void broadcast_wakes_all(void **state)
{
    (void)state;
    shared s;
    shared_init(&s);
    sb_thread *threads[4] = {NULL};
    for (size_t i = 0; i < SB_COUNT_OF(threads); i++) {
        assert_int_equal(sb_thread_start(&threads[i], "all", wait_for_turn, &s, NULL), SB_OK);
    }
    sb_os_sleep_ns(5 * MS);
    sb_mutex_lock(s.mutex);
    assert_int_equal(s.sum, 0);
    s.turn = 1;
    sb_cond_broadcast(s.cond);
    sb_mutex_unlock(s.mutex);
    for (size_t i = 0; i < SB_COUNT_OF(threads); i++) {
        sb_thread_join(threads[i]);
    }
    assert_int_equal(s.sum, 4);
    shared_release(&s);
}

static void waiting_ends_at_the_deadline(void **state)
{
    (void)state;
    shared s;
    shared_init(&s);
    sb_mutex_lock(s.mutex);
    int64_t deadline = sb_os_now_ns() + 10 * MS;
    while (sb_cond_wait_until(s.cond, s.mutex, deadline)) { /* woken for nothing */
    }
    assert_true(sb_os_now_ns() >= deadline);
    assert_false(sb_cond_wait_until(s.cond, s.mutex, 0));
    assert_false(sb_cond_wait_until(s.cond, s.mutex, INT64_MIN));
    sb_mutex_unlock(s.mutex);
    shared_release(&s);
}

#ifdef SB_FAULTS
static void do_nothing(void *arg)
{
    (void)arg;
}

static void survives_failing_allocations(void **state)
{
    (void)state;
    int64_t live = sb_mem_live_blocks();
    int failures = 0;
    bool hit = true;
    for (int64_t nth = 1; hit; nth++) {
        sb_thread *thread = NULL;
        sb_mutex *mutex = NULL;
        sb_cond *cond = NULL;
        sb_error err = {0};
        sb_fault_arm(nth, false);
        sb_status status = sb_mutex_new(&mutex, &err);
        if (status == SB_OK) {
            status = sb_cond_new(&cond, &err);
        }
        if (status == SB_OK) {
            status = sb_thread_start(&thread, "none", do_nothing, NULL, &err);
        }
        hit = sb_fault_hit();
        sb_fault_arm(0, false);
        assert_int_equal(status, hit ? SB_NO_MEMORY : SB_OK);
        assert_int_equal(err.status, status);
        failures += hit;
        if (thread != NULL) {
            sb_thread_join(thread);
        }
        sb_cond_free(cond);
        sb_mutex_free(mutex);
        assert_int_equal(sb_mem_live_blocks(), live);
    }
    assert_int_equal(failures, 3);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_goes_on),
        cmocka_unit_test(poll_times_round_up),
        cmocka_unit_test(environment),
        cmocka_unit_test(cpu_count_follows_affinity),
        cmocka_unit_test(random_bytes_differ),
        cmocka_unit_test(refused_random_is_told),
        cmocka_unit_test(writes_whole_text_to_stderr),
        cmocka_unit_test(refused_thread_is_told),
        cmocka_unit_test(thread_starts_as_promised),
        cmocka_unit_test(thread_inherits_floating_point),
        cmocka_unit_test(threads_take_turns),
        cmocka_unit_test(broadcast_wakes_all),
        cmocka_unit_test(waiting_ends_at_the_deadline),
#ifdef SB_FAULTS
        cmocka_unit_test(survives_failing_allocations),
#endif
    };
    return cmocka_run_group_tests_name("os_posix", tests, NULL, NULL);
}
