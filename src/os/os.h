/* Everything that depends on the operating system, behind one interface. No other room calls time, random, file, process,
 * thread or memory-mapping functions. os_posix.c is the real form; a seeded one can replace it at link time.
 *
 * Times are nanoseconds of the monotonic clock. Deadlines are absolute; SB_NEVER never passes.
 * Locks: no function here takes a lock of another room. */
#ifndef SB_OS_OS_H
#define SB_OS_OS_H

#include "base/buf.h"

#define SB_NEVER INT64_MAX

/* --- time, environment -------------------------------------------------------------------------------------------- */
int64_t sb_os_now_ns(void);               /* monotonic */
void sb_os_sleep_ns(int64_t duration_ns); /* at least that long; tests and back-off only */
const char *sb_os_env(const char *name);  /* borrow; NULL when unset */
int sb_os_cpu_count(void);                /* processors this process may use, at least 1 */
int64_t sb_os_pid(void);
sb_status sb_os_random(void *out, size_t size, sb_error *err); /* from the system's generator */
void sb_os_write_stderr(const char *text, size_t size); /* whole text, best effort: SABOT_DUMP */

/* --- threads ------------------------------------------------------------------------------------------------------ */
typedef struct sb_thread sb_thread;
typedef struct sb_mutex sb_mutex;
typedef struct sb_cond sb_cond;

/* Starts main(arg) with all signals blocked, named `name` (15 characters shown), with the caller's floating-point
 * control word. out-owned: join it. */
sb_status sb_thread_start(sb_thread **out, const char *name, void (*main)(void *), void *arg,
                          sb_error *err);
void sb_thread_join(sb_thread *thread); /* take */

sb_status sb_mutex_new(sb_mutex **out, sb_error *err);
void sb_mutex_free(sb_mutex *mutex); /* take; NULL is fine */
void sb_mutex_lock(sb_mutex *mutex);
void sb_mutex_unlock(sb_mutex *mutex);
sb_status sb_cond_new(sb_cond **out, sb_error *err);
void sb_cond_free(sb_cond *cond); /* take; NULL is fine */
void sb_cond_wait(sb_cond *cond, sb_mutex *mutex);
bool sb_cond_wait_until(sb_cond *cond, sb_mutex *mutex,
                        int64_t deadline_ns); /* false: the deadline passed */
void sb_cond_signal(sb_cond *cond);
void sb_cond_broadcast(sb_cond *cond);

/* --- child processes talked to over one socket pair --------------------------------------------------------------- */
typedef struct sb_child sb_child;

typedef struct sb_child_limits {
    int64_t cpu_seconds_max;  /* 0: none */
    int64_t memory_bytes_max; /* address space; 0: none */
} sb_child_limits;

/* Starts the program at path (argv[0..argc) borrowed) with a socket as its stdin and stdout, stderr to /dev/null unless
 * keep_stderr, an empty environment, its own session, every other descriptor closed, the limits set. It dies with its
 * parent where the system can do that. Works when fork handlers of the host are unsafe (vfork/posix_spawn). */
sb_status sb_child_start(sb_child **out, const char *path, const char *const *argv, size_t argc,
                         const sb_child_limits *limits, bool keep_stderr, sb_error *err);
/* Whole transfers: SB_TIMEOUT at the deadline, SB_OS when the child went away. Never raises SIGPIPE. */
sb_status sb_child_write(sb_child *child, const void *data, size_t size, int64_t deadline_ns,
                         sb_error *err);
sb_status sb_child_read(sb_child *child, void *data, size_t size, int64_t deadline_ns,
                        sb_error *err);
int64_t sb_child_pid(const sb_child *child);
void sb_child_kill(sb_child *child); /* take: SIGKILL, reap, close; never blocks for long */

/* --- executable memory -------------------------------------------------------------------------------------------- */
typedef struct sb_code_map {
    const uint8_t *base; /* read and execute */
    size_t size;
} sb_code_map;
/* Copies bytes into a sealed memory file and maps it read+execute at any address: no mapping is ever writable and
 * executable. SB_OS when the system refuses (seccomp, SELinux, noexec policy): the caller runs without native code. */
sb_status sb_code_map_new(sb_code_map *out, const void *bytes, size_t size, sb_error *err);
void sb_code_map_release(sb_code_map *map);

/* --- folders that are this user's alone --------------------------------------------------------------------------- */
#define SB_DIR_TEMPORARY "tmp-" /* beginning of the name of a file that is being written */

typedef struct sb_dir sb_dir;

typedef struct sb_dir_item {
    const char *name; /* borrow */
    int64_t size;     /* bytes */
    int64_t age_ns;   /* since it was written, or touched */
} sb_dir_item;

/* Opens the folder at path (absolute; made when it is not there, and what is missing above it, with mode 0700). SB_INVALID: it is a
 * link, no folder, another user's, or others may enter it. SB_OS: the system refuses. */
sb_status sb_dir_open(sb_dir **out, const char *path, sb_error *err); /* out-owned */
void sb_dir_close(sb_dir *dir);                                       /* take; NULL is fine */

/* Names below are those of files in the folder, without a '/'. No link is followed. */

/* Appends the bytes of a file; *found is false when there is none. SB_INVALID: it is no plain file, another user's, or others may use
 * it; SB_LIMIT: it has more than size_max bytes. On failure out holds nothing that counts. */
sb_status sb_dir_read(const sb_dir *dir, const char *name, size_t size_max, sb_buf *out,
                      bool *found, sb_error *err);
/* Writes a file of mode 0600 under a name that nobody knows and then gives it its own: whoever reads sees all of it or nothing, also
 * when this process dies at any point. once: SB_STATE where the name is taken already, and the bytes are on the disk when this returns;
 * otherwise a file of that name is replaced. */
sb_status sb_dir_write(const sb_dir *dir, const char *name, const void *bytes, size_t size,
                       bool once, sb_error *err);
sb_status sb_dir_touch(const sb_dir *dir, const char *name, sb_error *err); /* its age is 0 now */
sb_status sb_dir_remove(const sb_dir *dir, const char *name,
                        sb_error *err); /* none of that name is fine */
/* Calls see for each plain file, in any order; false ends it. */
sb_status sb_dir_list(const sb_dir *dir, bool (*see)(void *arg, const sb_dir_item *item), void *arg,
                      sb_error *err);

#ifdef SB_FAULTS
/* From now on the nth system call for a file of a folder (1: the next) fails with error_number; 0 disarms. */
void sb_dir_fault_arm(int64_t nth, int error_number);
bool sb_dir_fault_hit(void);
/* Each read and write moves at most so many bytes; 0: as many as asked for. */
void sb_dir_fault_short(size_t size_max);
#endif

#endif
