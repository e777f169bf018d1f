/* What the tests of the os room share: running a step in a forked process, where limits, filters and closed descriptors
 * do no harm, and refusing a system call there as a sandbox would.
 *
 * A step gives back 0, or the line that failed (SB_STEP). Threads: only from a process with one thread. */
#ifndef SB_OS_OS_TEST_H
#define SB_OS_OS_TEST_H

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SB_STEP(cond)                                                                              \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            return __LINE__;                                                                       \
        }                                                                                          \
    } while (0)

/* True when step gave 0 in a process of its own. */
static inline bool sb_test_passes_in_fork(int (*step)(void))
{
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        /* cmocka's handlers would go on with the next test here. */
        static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS};
        for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
            (void)signal(faults[i], SIG_DFL);
        }
        int line = step();
        if (line != 0) {
            (void)fprintf(stderr, "the step failed at line %d\n", line);
        }
        _exit(line == 0 ? 0 : 1);
    }
    int result = -1;
    while (waitpid(pid, &result, 0) < 0 && errno == EINTR) {
    }
    return pid > 0 && WIFEXITED(result) && WEXITSTATUS(result) == 0;
}

/* Defines the test `name`, which runs name_step in a process of its own. */
#define SB_FORKED_TEST(name)                                                                       \
    static void name(void **state)                                                                 \
    {                                                                                              \
        (void)state;                                                                               \
        assert_true(sb_test_passes_in_fork(name##_step));                                          \
    }

/* From now on the system call fails with error_number where its argument `index` has all bits of `mask`. */
static inline bool sb_test_refuse_call(long number, unsigned index, unsigned mask, int error_number)
{
    const unsigned argument = (unsigned)(offsetof(struct seccomp_data, args) + index * 8);
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, argument), /* its low half: little-endian */
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, mask),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, mask, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error_number),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

#endif
