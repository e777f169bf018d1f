/* Tests of child processes. The program is its own child: its first argument then names what it does. Each test ends with
 * no child left unreaped and no descriptor left open. */
#define _GNU_SOURCE 1

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/mem.h"
#include "os/os.h"
#include "os/os_test.h"

#define MS INT64_C(1000000)
#define SELF "/proc/self/exe"
#define PATIENCE                                                                                   \
    (sb_os_now_ns() + 20000 * MS) /* far more than needed: a loaded machine is no failure */

/* --- what the child does ---------------------------------------------------------------------- */

typedef struct report {
    int64_t pid;
    int environment_count;
    int open_count; /* descriptors above 2 */
    int blocked_count;
    int ignored_count;
    int handled_count;
    bool leads_session;
    uint64_t core_hard;
    int argc;
} report;

static bool whole_io(ssize_t (*transfer)(int, void *, size_t), int fd, void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t part = transfer(fd, (char *)data + done, size - done);
        if (part <= 0) {
            return false;
        }
        done += (size_t)part;
    }
    return true;
}

static ssize_t put(int fd, void *data, size_t size)
{
    return write(fd, data, size);
}

static void child_echo(void)
{
    char part[4096];
    ssize_t size = 0;
    while ((size = read(0, part, sizeof(part))) > 0) {
        if (!whole_io(put, 1, part, (size_t)size)) {
            return;
        }
    }
}

static void child_report(int argc)
{
    report out = {.pid = getpid(), .argc = argc, .leads_session = getsid(0) == getpid()};
    char go = 0;
    if (read(0, &go, 1) != 1) {
        return;
    }
    for (char **entry = environ; *entry != NULL; entry++) {
        out.environment_count++;
    }
    for (int fd = 3; fd < 1024; fd++) {
        out.open_count += fcntl(fd, F_GETFD) >= 0;
    }
    sigset_t blocked;
    (void)sigprocmask(SIG_SETMASK, NULL, &blocked);
    for (int sig = 1; sig < 32; sig++) {
        struct sigaction action;
        bool own_fault =
            sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE; /* sanitizers take them */
        if (own_fault || sigaction(sig, NULL, &action) != 0) {
            continue;
        }
        out.blocked_count += sigismember(&blocked, sig) == 1;
        out.ignored_count += action.sa_handler == SIG_IGN;
        out.handled_count += action.sa_handler != SIG_IGN && action.sa_handler != SIG_DFL;
    }
    struct rlimit limit;
    (void)getrlimit(RLIMIT_CORE, &limit);
    out.core_hard = limit.rlim_max;
    (void)whole_io(put, 1, &out, sizeof(out));
}

static void child_spin(void)
{
    for (volatile uint64_t i = 0;; i++) {
    }
}

static void child_deaf(void)
{
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    for (;;) {
        (void)pause();
    }
}

static void child_complain(void)
{
    static const char text[] = "complaint";
    char go = 0;
    (void)!read(0, &go, 1);
    (void)!write(2, text, sizeof(text) - 1);
    (void)!write(1, "k", 1);
}

static void child_main(int argc, char **argv)
{
    if (strcmp(argv[1], "echo") == 0) {
        child_echo();
    } else if (strcmp(argv[1], "report") == 0) {
        child_report(argc);
    } else if (strcmp(argv[1], "spin") == 0) {
        child_spin();
    } else if (strcmp(argv[1], "deaf") == 0) {
        child_deaf();
    } else if (strcmp(argv[1], "complain") == 0) {
        child_complain();
    }
}

/* --- helpers ---------------------------------------------------------------------------------- */

static sb_status start_limited(sb_child **out, const char *what, const sb_child_limits *limits)
{
    const char *argv[] = {"sabot-test-child", what};
    return sb_child_start(out, SELF, argv, SB_COUNT_OF(argv), limits, false, NULL);
}

static sb_child *start(const char *what)
{
    sb_child *child = NULL;
    return start_limited(&child, what, NULL) == SB_OK ? child : NULL;
}

static bool echoes(sb_child *child, size_t size)
{
    char sent[10000];
    char got[10000];
    for (size_t i = 0; i < size; i++) {
        sent[i] = (char)(i * 7);
    }
    return sb_child_write(child, sent, size, PATIENCE, NULL) == SB_OK &&
           sb_child_read(child, got, size, PATIENCE, NULL) == SB_OK && memcmp(sent, got, size) == 0;
}

static bool get_report(sb_child *child, report *out)
{
    return sb_child_write(child, "g", 1, PATIENCE, NULL) == SB_OK &&
           sb_child_read(child, out, sizeof(*out), PATIENCE, NULL) == SB_OK;
}

/* True when the child ended: everything it wrote is read, then its socket says so. */
static bool ends(sb_child *child)
{
    char part;
    sb_status status = SB_OK;
    while (status == SB_OK) {
        status = sb_child_read(child, &part, 1, PATIENCE, NULL);
    }
    return status == SB_OS;
}

static bool kills_quickly(sb_child *child)
{
    int64_t before = sb_os_now_ns();
    sb_child_kill(child);
    return sb_os_now_ns() - before < 5000 * MS;
}

static bool no_child_left(void)
{
    return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
}

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static int descriptors_before;

static int note_descriptors(void **state)
{
    (void)state;
    descriptors_before = open_descriptors();
    return 0;
}

static int check_nothing_left(void **state)
{
    (void)state;
    return no_child_left() && open_descriptors() == descriptors_before ? 0 : -1;
}

/* --- talking ---------------------------------------------------------------------------------- */

static void talks(void **state)
{
    (void)state;
    sb_child *child = start("echo");
    assert_non_null(child);
    assert_true(sb_child_pid(child) > 1);
    for (size_t size = 0; size <= 10000; size += 625) {
        assert_true(echoes(child, size));
    }
    sb_child_kill(child);
}

static void reading_stops_at_the_deadline(void **state)
{
    (void)state;
    sb_child *child = start("echo");
    assert_non_null(child);
    char byte;
    sb_error err = {0};
    int64_t deadline = sb_os_now_ns() + 20 * MS;
    assert_int_equal(sb_child_read(child, &byte, 1, deadline, &err), SB_TIMEOUT);
    assert_int_equal(err.status, SB_TIMEOUT);
    assert_true(sb_os_now_ns() >= deadline);
    assert_int_equal(sb_child_read(child, &byte, 1, 0, NULL), SB_TIMEOUT);
    assert_true(echoes(child, 100)); /* and goes on */
    sb_child_kill(child);
}

static void writing_stops_at_the_deadline(void **state)
{
    (void)state;
    const size_t size = (size_t)16 << 20;
    void *much = sb_mem_alloc_zero(size);
    assert_non_null(much);
    sb_child *child = start("deaf");
    assert_non_null(child);
    int64_t deadline = sb_os_now_ns() + 20 * MS;
    assert_int_equal(sb_child_write(child, much, size, deadline, NULL), SB_TIMEOUT);
    assert_true(sb_os_now_ns() >= deadline);
    assert_true(kills_quickly(child));
    sb_mem_free(much);
}

static void a_child_that_ended_is_told(void **state)
{
    (void)state;
    sb_child *child = start("quit");
    assert_non_null(child);
    sb_error err = {0};
    char bytes[4] = {0};
    assert_int_equal(sb_child_read(child, bytes, sizeof(bytes), PATIENCE, &err), SB_OS);
    assert_non_null(strstr(err.message, "went away"));
    /* SIGPIPE would end this test. */
    assert_int_equal(sb_child_write(child, bytes, sizeof(bytes), PATIENCE, &err), SB_OS);
    assert_true(kills_quickly(child));
}

static void a_killed_child_is_told(void **state)
{
    (void)state;
    sb_child *child = start("echo");
    assert_non_null(child);
    assert_true(echoes(child, 10));
    assert_int_equal(kill((pid_t)sb_child_pid(child), SIGKILL), 0);
    assert_true(ends(child));
    assert_true(kills_quickly(child));
}

/* --- starting --------------------------------------------------------------------------------- */

static void starts_clean(void **state)
{
    (void)state;
    int null_fd = open("/dev/null", O_RDONLY);
    int high_fd = fcntl(null_fd, F_DUPFD, 700);
    assert_true(null_fd >= 0 && high_fd >= 700);
    sigset_t blocked, before;
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &blocked, &before);
    void (*old_pipe)(int) = signal(SIGPIPE, SIG_IGN);
    void (*old_term)(int) = signal(SIGTERM, _exit);
    sb_child *child = start("report");
    (void)signal(SIGPIPE, old_pipe);
    (void)signal(SIGTERM, old_term);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    (void)close(null_fd);
    (void)close(high_fd);
    assert_non_null(child);

    report seen = {0};
    assert_true(get_report(child, &seen));
    assert_int_equal(seen.pid, sb_child_pid(child));
    assert_int_equal(seen.argc, 2);
    assert_int_equal(seen.environment_count, 0);
    assert_int_equal(seen.open_count, 0);
    assert_int_equal(seen.blocked_count, 0);
    assert_int_equal(seen.ignored_count, 0);
    assert_int_equal(seen.handled_count, 0);
    assert_true(seen.leads_session);
    assert_int_equal(seen.core_hard, 0);
    sb_child_kill(child);
}

static bool has_limits(const sb_child_limits *limits, rlim_t cpu, rlim_t memory)
{
    static const char *const argv[] = {
        "cat"}; /* no program with a sanitizer: those need much memory */
    sb_child *child = NULL;
    if (sb_child_start(&child, "/bin/cat", argv, 1, limits, false, NULL) != SB_OK) {
        return false;
    }
    bool talks = echoes(child, 1000);
    struct rlimit seen_cpu, seen_memory;
    pid_t pid = (pid_t)sb_child_pid(child);
    bool known = prlimit(pid, RLIMIT_CPU, NULL, &seen_cpu) == 0 &&
                 prlimit(pid, RLIMIT_AS, NULL, &seen_memory) == 0;
    sb_child_kill(child);
    return talks && known && seen_cpu.rlim_cur == cpu && seen_memory.rlim_cur == memory;
}

static void limits_are_set(void **state)
{
    (void)state;
    struct rlimit cpu, memory;
    assert_int_equal(getrlimit(RLIMIT_CPU, &cpu), 0);
    assert_int_equal(getrlimit(RLIMIT_AS, &memory), 0);
    const int64_t bytes = INT64_C(1) << 30;
    rlim_t cpu_lower = cpu.rlim_cur < 77 ? cpu.rlim_cur : 77;
    rlim_t memory_lower = memory.rlim_cur < (rlim_t)bytes ? memory.rlim_cur : (rlim_t)bytes;
    sb_child_limits limits = {.cpu_seconds_max = 77, .memory_bytes_max = bytes};
    assert_true(has_limits(&limits, cpu_lower, memory_lower));
    limits = (sb_child_limits){.cpu_seconds_max = 77};
    assert_true(has_limits(&limits, cpu_lower, memory.rlim_cur));
    limits = (sb_child_limits){.memory_bytes_max = bytes};
    assert_true(has_limits(&limits, cpu.rlim_cur, memory_lower));
    limits = (sb_child_limits){0};
    assert_true(has_limits(&limits, cpu.rlim_cur, memory.rlim_cur));
    assert_true(has_limits(NULL, cpu.rlim_cur, memory.rlim_cur));
}

static int lower_limits_of_the_host_stay_step(void)
{
    struct rlimit memory;
    struct rlimit lower = {.rlim_cur = 500, .rlim_max = 600};
    SB_STEP(getrlimit(RLIMIT_AS, &memory) == 0);
    SB_STEP(setrlimit(RLIMIT_CPU, &lower) == 0);
    sb_child_limits limits = {.cpu_seconds_max = 5000};
    SB_STEP(has_limits(&limits, 500, memory.rlim_cur));
    return 0;
}
SB_FORKED_TEST(lower_limits_of_the_host_stay)

static void cpu_limit_ends_a_spinning_child(void **state)
{
    (void)state;
    sb_child_limits limits = {.cpu_seconds_max = 1};
    sb_child *child = NULL;
    assert_int_equal(start_limited(&child, "spin", &limits), SB_OK);
    assert_true(ends(child));
    sb_child_kill(child);
}

/* The shell has the memory of the limit and not more; its substitution asks for it in one piece. */
static void memory_limit_is_felt(void **state)
{
    (void)state;
    static const char *const argv[] = {
        "sh", "-c", "read go; x=$(head -c 80000000 /dev/zero | tr '\\0' x) && echo big; echo end"};
    char answer[4];
    for (int limited = 0; limited < 2; limited++) {
        sb_child_limits limits = {.memory_bytes_max = limited ? 40000000 : 0};
        sb_child *child = NULL;
        assert_int_equal(sb_child_start(&child, "/bin/sh", argv, 3, &limits, false, NULL), SB_OK);
        assert_int_equal(sb_child_write(child, "\n", 1, PATIENCE, NULL), SB_OK);
        sb_status status = sb_child_read(child, answer, sizeof(answer), PATIENCE, NULL);
        bool grew = status == SB_OK && memcmp(answer, "big\n", 4) == 0;
        assert_int_equal(grew, !limited);
        sb_child_kill(child);
    }
}

static void failing_to_start_leaves_nothing(void **state)
{
    (void)state;
    static const char *const argv[] = {"none"};
    sb_child *child = NULL;
    sb_error err = {0};
    assert_int_equal(sb_child_start(&child, "/nonexistent/program", argv, 1, NULL, false, &err),
                     SB_OS);
    assert_non_null(strstr(err.message, "/nonexistent/program"));
    assert_int_equal(sb_child_start(&child, "/dev/null", argv, 1, NULL, false, &err), SB_OS);
    assert_int_equal(sb_child_start(&child, SELF, argv, 0, NULL, false, &err), SB_INVALID);
    assert_null(child);
}

static bool start_is_refused(const char *what)
{
    int before = open_descriptors();
    static const char *const argv[] = {"none", "echo"};
    sb_child *child = NULL;
    sb_error err = {0};
    sb_status status = sb_child_start(&child, SELF, argv, 2, NULL, false, &err);
    return status == SB_OS && child == NULL && strstr(err.message, what) != NULL &&
           open_descriptors() == before && no_child_left();
}

static int refused_limits_are_told_step(void)
{
    SB_STEP(sb_test_refuse_call(SYS_prlimit64, 1, RLIMIT_CORE, EPERM));
    SB_STEP(start_is_refused("prlimit"));
    return 0;
}
SB_FORKED_TEST(refused_limits_are_told)

static int refused_sockets_are_told_step(void)
{
    SB_STEP(sb_test_refuse_call(SYS_socketpair, 0, 0, EMFILE));
    SB_STEP(start_is_refused("socketpair"));
    return 0;
}
SB_FORKED_TEST(refused_sockets_are_told)

static int starts_with_standard_descriptors_closed_step(void)
{
    for (int keep = 0; keep < 2; keep++) {
        (void)close(0);
        (void)close(1);
        (void)close(2);
        static const char *const argv[] = {"closed", "echo"};
        sb_child *child = NULL;
        SB_STEP(sb_child_start(&child, SELF, argv, 2, NULL, keep != 0, NULL) == SB_OK);
        SB_STEP(echoes(child, 1000));
        SB_STEP(kills_quickly(child));
        SB_STEP(fcntl(0, F_GETFD) < 0 && fcntl(1, F_GETFD) < 0 && fcntl(2, F_GETFD) < 0);
    }
    return 0;
}
SB_FORKED_TEST(starts_with_standard_descriptors_closed)

/* Gives back what a complaining child's stderr brought, as a count of bytes, or -1. */
static ssize_t complaint_size(bool keep_stderr)
{
    int pipe_ends[2];
    char text[64];
    static const char *const argv[] = {"complain", "complain"};
    sb_child *child = NULL;
    int own_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    if (own_stderr < 0 || pipe2(pipe_ends, O_CLOEXEC) != 0 ||
        dup2(pipe_ends[1], STDERR_FILENO) < 0) {
        return -1;
    }
    sb_status status = sb_child_start(&child, SELF, argv, 2, NULL, keep_stderr, NULL);
    (void)close(pipe_ends[1]);
    (void)dup2(own_stderr, STDERR_FILENO);
    (void)close(own_stderr);
    if (status != SB_OK || !echoes(child, 0) ||
        sb_child_write(child, "g", 1, PATIENCE, NULL) != SB_OK || !ends(child)) {
        return -1;
    }
    sb_child_kill(child);
    ssize_t size = read(pipe_ends[0], text, sizeof(text));
    (void)close(pipe_ends[0]);
    return size;
}

static int stderr_is_kept_only_when_asked_step(void)
{
    SB_STEP(complaint_size(true) == 9);
    SB_STEP(complaint_size(false) == 0);
    return 0;
}
SB_FORKED_TEST(stderr_is_kept_only_when_asked)

/* --- ending ----------------------------------------------------------------------------------- */

static void a_deaf_child_dies_at_once(void **state)
{
    (void)state;
    sb_child *child = start("deaf");
    assert_non_null(child);
    pid_t pid = (pid_t)sb_child_pid(child);
    assert_true(kills_quickly(child));
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
}

/* The ways in which a child may be reaped by its host. */
static int lives_beside_other_reapers(void)
{
    sb_child *child = start("quit");
    SB_STEP(child != NULL);
    SB_STEP(waitpid(-1, NULL, 0) == (pid_t)sb_child_pid(child)); /* a host that waits for anyone */
    SB_STEP(ends(child));
    SB_STEP(kills_quickly(child));

    void (*before)(int) = signal(SIGCHLD, SIG_IGN); /* a host that wants no zombies */
    child = start("echo");
    SB_STEP(child != NULL);
    SB_STEP(echoes(child, 100));
    pid_t pid = (pid_t)sb_child_pid(child);
    SB_STEP(kills_quickly(child));
    SB_STEP(kill(pid, 0) == -1 && errno == ESRCH);
    child = start("quit");
    SB_STEP(child != NULL);
    SB_STEP(ends(child));
    SB_STEP(kills_quickly(child));
    (void)signal(SIGCHLD, before);

    sb_child *other = start("echo"); /* killing one leaves the other */
    child = start("echo");
    SB_STEP(child != NULL && other != NULL);
    SB_STEP(kills_quickly(child));
    SB_STEP(echoes(other, 100));
    SB_STEP(kills_quickly(other));
    SB_STEP(no_child_left());
    return 0;
}

static int others_may_reap_step(void)
{
    return lives_beside_other_reapers();
}
SB_FORKED_TEST(others_may_reap)

static int others_may_reap_without_pidfd_step(void)
{
    SB_STEP(sb_test_refuse_call(SYS_pidfd_open, 0, 0, ENOSYS));
    return lives_beside_other_reapers();
}
SB_FORKED_TEST(others_may_reap_without_pidfd)

static void start_from_thread(void *arg)
{
    sb_child **out = arg;
    *out = start("echo");
}

static void child_outlives_the_thread_that_started_it(void **state)
{
    (void)state;
    sb_child *child = NULL;
    sb_thread *thread = NULL;
    assert_int_equal(sb_thread_start(&thread, "starter", start_from_thread, &child, NULL), SB_OK);
    sb_thread_join(thread);
    assert_non_null(child);
    sb_os_sleep_ns(20 * MS);
    assert_true(echoes(child, 100));
    sb_child_kill(child);
}

static int child_ends_with_its_parent_step(void)
{
    SB_STEP(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
    pid_t parent = fork();
    if (parent == 0) {
        sb_child *child = start("echo");
        bool talked = child != NULL && echoes(child, 100);
        _exit(talked ? 0 : 1); /* without a word to the child */
    }
    int result = -1;
    SB_STEP(waitpid(parent, &result, 0) == parent);
    SB_STEP(WIFEXITED(result) && WEXITSTATUS(result) == 0);
    pid_t orphan = waitpid(-1, &result, 0);
    SB_STEP(orphan > 0 && orphan != parent);
    SB_STEP(WIFEXITED(result) && WEXITSTATUS(result) == 0); /* at the end of its input */
    return 0;
}
SB_FORKED_TEST(child_ends_with_its_parent)

#ifdef SB_FAULTS
static void survives_failing_allocations(void **state)
{
    (void)state;
    int64_t live = sb_mem_live_blocks();
    int failures = 0;
    bool hit = true;
    for (int64_t nth = 1; hit; nth++) {
        static const char *const argv[] = {"fault", "echo"};
        sb_child *child = NULL;
        sb_error err = {0};
        sb_fault_arm(nth, false);
        sb_status status = sb_child_start(&child, SELF, argv, 2, NULL, false, &err);
        hit = sb_fault_hit();
        sb_fault_arm(0, false);
        failures += hit;
        assert_int_equal(status, hit ? SB_NO_MEMORY : SB_OK);
        assert_int_equal(err.status, status);
        if (hit) {
            assert_null(child);
        } else {
            assert_true(echoes(child, 10));
            sb_child_kill(child);
        }
        assert_int_equal(sb_mem_live_blocks(), live);
    }
    assert_int_equal(failures, 2);
}
#endif

#define CHILD_TEST(name) cmocka_unit_test_setup_teardown(name, note_descriptors, check_nothing_left)

int main(int argc, char **argv)
{
    if (argc > 1) {
        child_main(argc, argv);
        _exit(0);
    }
    const struct CMUnitTest tests[] = {
        CHILD_TEST(talks),
        CHILD_TEST(reading_stops_at_the_deadline),
        CHILD_TEST(writing_stops_at_the_deadline),
        CHILD_TEST(a_child_that_ended_is_told),
        CHILD_TEST(a_killed_child_is_told),
        CHILD_TEST(starts_clean),
        CHILD_TEST(limits_are_set),
        CHILD_TEST(lower_limits_of_the_host_stay),
        CHILD_TEST(cpu_limit_ends_a_spinning_child),
        CHILD_TEST(memory_limit_is_felt),
        CHILD_TEST(failing_to_start_leaves_nothing),
        CHILD_TEST(refused_limits_are_told),
        CHILD_TEST(refused_sockets_are_told),
        CHILD_TEST(starts_with_standard_descriptors_closed),
        CHILD_TEST(stderr_is_kept_only_when_asked),
        CHILD_TEST(a_deaf_child_dies_at_once),
        CHILD_TEST(others_may_reap),
        CHILD_TEST(others_may_reap_without_pidfd),
        CHILD_TEST(child_outlives_the_thread_that_started_it),
        CHILD_TEST(child_ends_with_its_parent),
#ifdef SB_FAULTS
        CHILD_TEST(survives_failing_allocations),
#endif
    };
    return cmocka_run_group_tests_name("os_child", tests, NULL, NULL);
}
