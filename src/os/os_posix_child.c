/* Child processes over one socket pair, as os/os.h promises them.
 *
 * Algorithm: posix_spawn, which borrows the parent's memory until the exec instead of copying its tables: it is quick
 * with a large parent, and no fork handler or other code of the host runs in between. The limits are set from outside
 * with prlimit right after the spawn; the child must do nothing costly before its first read. Descriptors from 3 on
 * are closed in the child by the file actions.
 *
 * A parent's death reaches the child as the end of its input. PR_SET_PDEATHSIG is not used: it fires when the thread
 * that spawned ends, and threads of this library come and go. A child that never reads again ends by its CPU limit. The
 * end of input needs that no process forked from the host without exec holds the parent's end.
 *
 * The child may be reaped by others: a host that ignores SIGCHLD, or waits for any child. A pidfd keeps naming this
 * child and never a later process with its number. Without pidfds (old kernels, seccomp) the number is used after asking
 * that it still is a child of this process.
 *
 * Threads: a child belongs to one thread at a time; starting is allowed from any.
 * Memory: sb_child is out-owned and taken back by sb_child_kill. */
#define _GNU_SOURCE 1

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/os_int.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#define SYS_pidfd_send_signal 424
#endif
#define ID_TYPE_PIDFD ((idtype_t)3) /* P_PIDFD, which C libraries before glibc 2.36 lack */

#define REAP_NS_MAX INT64_C(1000000000)
#define REAP_PAUSE_NS_MIN INT64_C(50000)
#define REAP_PAUSE_NS_MAX INT64_C(10000000)

struct sb_child {
    pid_t pid;
    int pidfd;  /* -1: the system has none */
    int socket; /* the parent's end */
};

/* --- starting --------------------------------------------------------------------------------- */

static void close_if_open(int fd)
{
    if (fd >= 0) {
        (void)close(fd);
    }
}

/* Moves *fd above the standard descriptors, which a host may have closed and the child's actions overwrite. */
static bool lift_descriptor(int *fd)
{
    if (*fd > STDERR_FILENO) {
        return true;
    }
    int lifted = fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (lifted < 0) {
        return false;
    }
    (void)close(*fd);
    *fd = lifted;
    return true;
}

/* Fills ends[0] (parent's) and ends[1] (child's); on failure both may be open or -1. */
static sb_status make_sockets(int ends[2], sb_error *err)
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        ends[0] = -1;
        ends[1] = -1;
        return sb_os_refused(err, "socketpair for a child process", errno);
    }
    if (!lift_descriptor(&ends[0]) || !lift_descriptor(&ends[1])) {
        return sb_os_refused(err, "duplicating a descriptor", errno);
    }
    return SB_OK;
}

static int add_actions(posix_spawn_file_actions_t *actions, int socket, bool keep_stderr)
{
    int rc = posix_spawn_file_actions_adddup2(actions, socket, STDIN_FILENO);
    if (rc == 0) {
        rc = posix_spawn_file_actions_adddup2(actions, socket, STDOUT_FILENO);
    }
    if (rc == 0 && keep_stderr && fcntl(STDERR_FILENO, F_GETFD) >= 0) {
        rc = posix_spawn_file_actions_adddup2(actions, STDERR_FILENO, STDERR_FILENO);
    } else if (rc == 0) {
        rc = posix_spawn_file_actions_addopen(actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    }
    if (rc == 0) {
        rc = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
    }
    return rc;
}

/* A session of its own, no signal blocked, ignored or handled. */
static int set_attributes(posix_spawnattr_t *attr)
{
    sigset_t all, none;
    (void)sigfillset(&all);
    (void)sigdelset(&all, SIGKILL);
    (void)sigdelset(&all, SIGSTOP);
    (void)sigemptyset(&none);
    int rc = posix_spawnattr_setsigdefault(attr, &all);
    if (rc == 0) {
        rc = posix_spawnattr_setsigmask(attr, &none);
    }
    if (rc == 0) {
        const int flags = POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
        rc = posix_spawnattr_setflags(attr, (short)flags);
    }
    return rc;
}

/* Gives back 0 or an errno. */
static int spawn(pid_t *pid, const char *path, char *const *argv, int socket, bool keep_stderr)
{
    char *const no_environment[] = {NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc != 0) {
        return rc;
    }
    rc = posix_spawnattr_init(&attr);
    if (rc != 0) {
        goto out;
    }
    rc = add_actions(&actions, socket, keep_stderr);
    if (rc == 0) {
        rc = set_attributes(&attr);
    }
    if (rc == 0) {
        rc = posix_spawn(pid, path, &actions, &attr, argv, no_environment);
    }
    (void)posix_spawnattr_destroy(&attr);
out:
    (void)posix_spawn_file_actions_destroy(&actions);
    return rc;
}

/* Lowers one limit of the child; one that is lower already stays. Gives back 0 or an errno. */
static int lower_limit(pid_t pid, int resource, rlim_t soft, rlim_t hard)
{
    struct rlimit limit;
    int rc = prlimit(pid, (enum __rlimit_resource)resource, NULL, &limit);
    if (rc == 0) {
        limit.rlim_max = hard < limit.rlim_max ? hard : limit.rlim_max;
        limit.rlim_cur = soft < limit.rlim_cur ? soft : limit.rlim_cur;
        limit.rlim_cur = limit.rlim_cur < limit.rlim_max ? limit.rlim_cur : limit.rlim_max;
        rc = prlimit(pid, (enum __rlimit_resource)resource, &limit, NULL);
    }
    /* ESRCH: it ended and was reaped by others; the next read will tell. */
    return rc == 0 || errno == ESRCH ? 0 : errno;
}

static int set_limits(pid_t pid, const sb_child_limits *limits)
{
    int rc = lower_limit(pid, RLIMIT_CORE, 0, 0);
    if (rc == 0 && limits != NULL && limits->cpu_seconds_max > 0) {
        rlim_t seconds = (rlim_t)limits->cpu_seconds_max; /* SIGXCPU then, SIGKILL a second later */
        rc = lower_limit(pid, RLIMIT_CPU, seconds, seconds + 1);
    }
    if (rc == 0 && limits != NULL && limits->memory_bytes_max > 0) {
        rlim_t bytes = (rlim_t)limits->memory_bytes_max;
        rc = lower_limit(pid, RLIMIT_AS, bytes, bytes);
    }
    return rc;
}

sb_status sb_child_start(sb_child **out, const char *path, const char *const *argv, size_t argc,
                         const sb_child_limits *limits, bool keep_stderr, sb_error *err)
{
    if (argc == 0) {
        return sb_error_set(err, SB_INVALID, "a child process needs at least its own name");
    }
    int ends[2] = {-1, -1};
    sb_status status = SB_OK;
    char **list = sb_mem_alloc_array(argc + 1, sizeof(*list));
    sb_child *child = sb_mem_alloc(sizeof(*child));
    if (list == NULL || child == NULL) {
        status = sb_error_no_memory(err, (argc + 1) * sizeof(*list) + sizeof(*child));
        goto out;
    }
    memcpy(list, argv, argc * sizeof(*list));
    list[argc] = NULL;
    SB_TRY(make_sockets(ends, err));

    *child = (sb_child){.pid = -1, .pidfd = -1, .socket = ends[0]};
    int rc = spawn(&child->pid, path, list, ends[1], keep_stderr);
    if (rc != 0) {
        status = sb_error_set(err, SB_OS, "starting %s: %s (errno %d)", path, strerror(rc), rc);
        goto out;
    }
    child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0); /* closed on exec by itself */
    rc = set_limits(child->pid, limits);
    if (rc != 0) {
        status = sb_os_refused(err, "setting the limits of a child process (prlimit)", rc);
        sb_child_kill(child);
        child = NULL;
        ends[0] = -1;
        goto out;
    }
    *out = child;
    child = NULL;
    ends[0] = -1;
out:
    close_if_open(ends[0]);
    close_if_open(ends[1]);
    sb_mem_free(child);
    sb_mem_free(list);
    return status;
}

/* --- talking ---------------------------------------------------------------------------------- */

/* Waits until a transfer in that direction can go on, or the child went away. */
static sb_status wait_ready(const sb_child *child, short events, int64_t deadline_ns, sb_error *err)
{
    struct pollfd ready = {.fd = child->socket, .events = events};
    int count = poll(&ready, 1, sb_os_poll_ms(deadline_ns));
    if (count > 0 || (count < 0 && errno == EINTR)) {
        return SB_OK;
    }
    if (count < 0) {
        return sb_os_refused(err, "waiting for a child process (poll)", errno);
    }
    if (deadline_ns > sb_os_now_ns()) { /* poll cannot wait for longer than INT_MAX ms at once */
        return SB_OK;
    }
    return sb_error_set(err, SB_TIMEOUT, "the child process did not %s in time",
                        events == POLLIN ? "answer" : "take its input");
}

static sb_status child_gone(sb_error *err)
{
    return sb_error_set(err, SB_OS, "the child process went away");
}

sb_status sb_child_write(sb_child *child, const void *data, size_t size, int64_t deadline_ns,
                         sb_error *err)
{
    const char *from = data;
    size_t done = 0;
    while (done < size) {
        ssize_t sent = send(child->socket, from + done, size - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            done += (size_t)sent;
        } else if (errno == EPIPE || errno == ECONNRESET) {
            return child_gone(err);
        } else if (errno == EAGAIN) {
            sb_status status = wait_ready(child, POLLOUT, deadline_ns, err);
            if (status != SB_OK) {
                return status;
            }
        } else if (errno != EINTR) {
            return sb_os_refused(err, "sending to a child process", errno);
        }
    }
    return SB_OK;
}

sb_status sb_child_read(sb_child *child, void *data, size_t size, int64_t deadline_ns,
                        sb_error *err)
{
    char *to = data;
    size_t done = 0;
    while (done < size) {
        ssize_t got = recv(child->socket, to + done, size - done, MSG_DONTWAIT);
        if (got > 0) {
            done += (size_t)got;
        } else if (got == 0 || errno == ECONNRESET) {
            return child_gone(err);
        } else if (errno == EAGAIN) {
            sb_status status = wait_ready(child, POLLIN, deadline_ns, err);
            if (status != SB_OK) {
                return status;
            }
        } else if (errno != EINTR) {
            return sb_os_refused(err, "receiving from a child process", errno);
        }
    }
    return SB_OK;
}

int64_t sb_child_pid(const sb_child *child)
{
    return (int64_t)child->pid;
}

/* --- ending ----------------------------------------------------------------------------------- */

/* True when the child needs no more waiting: it is reaped now, or was by others. */
static bool reap(const sb_child *child, int extra_flags)
{
    siginfo_t info = {0};
    idtype_t type = child->pidfd >= 0 ? ID_TYPE_PIDFD : P_PID;
    id_t id = child->pidfd >= 0 ? (id_t)child->pidfd : (id_t)child->pid;
    int rc = waitid(type, id, &info, WEXITED | WNOHANG | extra_flags);
    return rc == 0 ? info.si_pid != 0 : errno == ECHILD;
}

static void send_kill(const sb_child *child)
{
    if (child->pidfd >= 0) {
        (void)syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0);
    } else if (!reap(child, WNOWAIT)) {
        (void)kill(child->pid, SIGKILL);
    }
}

void sb_child_kill(sb_child *child)
{
    SB_ASSERT(child->pid > 0);
    send_kill(child);
    (void)close(child->socket);
    /* A child that the kernel cannot end now (it waits for a device) is left to be a zombie of the host. */
    int64_t end_ns = sb_os_now_ns() + REAP_NS_MAX;
    int64_t pause_ns = REAP_PAUSE_NS_MIN;
    while (!reap(child, 0) && sb_os_now_ns() < end_ns) {
        sb_os_sleep_ns(pause_ns);
        pause_ns = pause_ns * 2 < REAP_PAUSE_NS_MAX ? pause_ns * 2 : REAP_PAUSE_NS_MAX;
    }
    close_if_open(child->pidfd);
    sb_mem_free(child);
}
