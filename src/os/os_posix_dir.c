/* Folders that are this user's alone, as os/os.h promises them.
 *
 * A folder is held by a descriptor and looked at once, when it is opened: no later change of the path can put another in its place.
 * Every file is looked at through its own descriptor after it was opened, and opened without following a link and without waiting for
 * the other end of a pipe.
 *
 * Only the folder itself must be this user's: who may rename it away can put no other one in its place that is this
 * user's and closed to others.
 *
 * Writing: a temporary file made anew (O_EXCL) with a random name, all bytes, then rename, or link where nothing may be replaced.
 * A file that a dead process left is one with SB_DIR_TEMPORARY in front.
 *
 * Threads: any. Memory: the struct alone. */
#define _GNU_SOURCE 1

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/os_int.h"

#define NS_PER_S INT64_C(1000000000)
#define TEMPORARY_RANDOM 16 /* bytes */
#define TEMPORARY_SIZE (sizeof(SB_DIR_TEMPORARY) + 2 * (size_t)TEMPORARY_RANDOM)
#define PIECE_SIZE 8192u

struct sb_dir {
    int fd;
};

/* --- failures on demand ------------------------------------------------------------------------------------------- */

#ifdef SB_FAULTS
#include <stdatomic.h>

static _Atomic int64_t fault_countdown; /* relaxed, all of them: each is a number of its own */
static atomic_int fault_errno;
static atomic_bool fault_was_hit;
static _Atomic size_t fault_size_max;

void sb_dir_fault_arm(int64_t nth, int error_number)
{
    if (nth > 0) {
        atomic_store_explicit(&fault_was_hit, false, memory_order_relaxed);
    }
    atomic_store_explicit(&fault_errno, error_number, memory_order_relaxed);
    atomic_store_explicit(&fault_countdown, nth, memory_order_relaxed);
}

bool sb_dir_fault_hit(void)
{
    return atomic_load_explicit(&fault_was_hit, memory_order_relaxed);
}

void sb_dir_fault_short(size_t size_max)
{
    atomic_store_explicit(&fault_size_max, size_max, memory_order_relaxed);
}

static bool refused(void)
{
    if (atomic_load_explicit(&fault_countdown, memory_order_relaxed) <= 0 ||
        atomic_fetch_sub_explicit(&fault_countdown, 1, memory_order_relaxed) != 1) {
        return false;
    }
    atomic_store_explicit(&fault_was_hit, true, memory_order_relaxed);
    errno = atomic_load_explicit(&fault_errno, memory_order_relaxed);
    return true;
}

static size_t piece_of(size_t size)
{
    const size_t most = atomic_load_explicit(&fault_size_max, memory_order_relaxed);
    return most > 0 && most < size ? most : size;
}
#else
static inline bool refused(void)
{
    return false;
}

static inline size_t piece_of(size_t size)
{
    return size;
}
#endif

/* --- folders ------------------------------------------------------------------------------------------------------ */

/* Makes the folder and those above it that are missing. path is written to while this runs. */
static bool make_folders(char *path)
{
    for (char *at = path + 1; *at != '\0'; at++) {
        if (*at == '/') {
            *at = '\0';
            const bool asked = !refused();
            if (asked) {
                (void)mkdir(path, 0700); /* the last one tells what a failure here means */
            }
            *at = '/';
            if (!asked) {
                return false;
            }
        }
    }
    return !refused() && (mkdir(path, 0700) == 0 || errno == EEXIST);
}

static sb_status check_folder(int fd, const char *path, sb_error *err)
{
    struct stat facts;
    if (refused() || fstat(fd, &facts) != 0) {
        return sb_os_refused(err, path, errno);
    }
    if (facts.st_uid != geteuid()) {
        return sb_error_set(err, SB_INVALID, "%s belongs to user %lu, not to user %lu", path,
                            (unsigned long)facts.st_uid, (unsigned long)geteuid());
    }
    if ((facts.st_mode & 077) != 0) {
        return sb_error_set(err, SB_INVALID, "%s has mode %03o: others may use it (chmod 700)",
                            path, (unsigned)(facts.st_mode & 0777));
    }
    return SB_OK;
}

sb_status sb_dir_open(sb_dir **out, const char *path, sb_error *err)
{
    if (path[0] != '/') {
        return sb_error_set(err, SB_INVALID, "%s: not an absolute path", path);
    }
    sb_status status = SB_OK;
    const size_t size = strlen(path) + 1;
    int fd = -1;
    char *copy = sb_mem_alloc(size);
    sb_dir *dir = sb_mem_alloc(sizeof(*dir));
    if (copy == NULL || dir == NULL) {
        status = sb_error_no_memory(err, size + sizeof(*dir));
        goto out;
    }
    memcpy(copy, path, size);
    if (!make_folders(copy)) {
        status = sb_os_refused(err, path, errno);
        goto out;
    }
    fd = refused() ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR)) {
        status = sb_error_set(err, SB_INVALID, "%s is no folder, or a link to one", path);
        goto out;
    }
    if (fd < 0) {
        status = sb_os_refused(err, path, errno);
        goto out;
    }
    SB_TRY(check_folder(fd, path, err));
    dir->fd = fd;
    *out = dir;
out:
    sb_mem_free(copy);
    if (status != SB_OK) {
        sb_mem_free(dir);
        if (fd >= 0) {
            (void)close(fd);
        }
    }
    return status;
}

void sb_dir_close(sb_dir *dir)
{
    if (dir != NULL) {
        (void)close(dir->fd);
        sb_mem_free(dir);
    }
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static sb_status check_file(int fd, const char *name, size_t size_max, sb_error *err)
{
    struct stat facts;
    if (refused() || fstat(fd, &facts) != 0) {
        return sb_os_refused(err, name, errno);
    }
    if (!S_ISREG(facts.st_mode) || facts.st_uid != geteuid() || (facts.st_mode & 077) != 0) {
        return sb_error_set(err, SB_INVALID, "%s is no plain file of this user's alone", name);
    }
    if (facts.st_size < 0 || (uint64_t)facts.st_size > size_max) {
        return sb_error_set(err, SB_LIMIT, "%s has %lld bytes; at most %zu", name,
                            (long long)facts.st_size, size_max);
    }
    return SB_OK;
}

/* To the end of the file, which may have grown since it was looked at. */
static sb_status read_all(int fd, const char *name, size_t size_max, sb_buf *out, sb_error *err)
{
    sb_status status = SB_OK;
    size_t total = 0;
    char piece[PIECE_SIZE];
    for (;;) {
        const ssize_t got = refused() ? -1 : read(fd, piece, piece_of(sizeof(piece)));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            status = sb_os_refused(err, name, errno);
            break;
        }
        total += (size_t)got;
        if (total > size_max) {
            status = sb_error_set(err, SB_LIMIT, "%s has more than %zu bytes", name, size_max);
            break;
        }
        if (got == 0) {
            status = sb_buf_status(out, err);
            break;
        }
        sb_buf_append(out, piece, (size_t)got);
    }
    return status;
}

sb_status sb_dir_read(const sb_dir *dir, const char *name, size_t size_max, sb_buf *out,
                      bool *found, sb_error *err)
{
    SB_ASSERT(strchr(name, '/') == NULL);
    const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    const int fd = refused() ? -1 : openat(dir->fd, name, flags);
    *found = fd >= 0 || errno != ENOENT;
    if (fd < 0) {
        return errno == ENOENT  ? SB_OK
               : errno == ELOOP ? sb_error_set(err, SB_INVALID, "%s is a link", name)
                                : sb_os_refused(err, name, errno);
    }
    sb_status status = check_file(fd, name, size_max, err);
    if (status == SB_OK) {
        status = read_all(fd, name, size_max, out, err);
    }
    (void)close(fd);
    return status;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static sb_status temporary_name(char *name, sb_error *err)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t random[TEMPORARY_RANDOM];
    sb_status status = sb_os_random(random, sizeof(random), err);
    size_t at = sizeof(SB_DIR_TEMPORARY) - 1;
    if (status == SB_OK) {
        memcpy(name, SB_DIR_TEMPORARY, at);
        for (size_t i = 0; i < sizeof(random); i++) {
            name[at++] = digits[random[i] >> 4];
            name[at++] = digits[random[i] & 15];
        }
        name[at] = '\0';
    }
    return status;
}

static bool write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        const ssize_t wrote = refused() ? -1 : write(fd, bytes, piece_of(size));
        if (wrote < 0 && errno != EINTR) {
            return false;
        }
        if (wrote == 0) { /* POSIX leaves open what that would mean: it must not be for ever */
            errno = EIO;
            return false;
        }
        bytes += wrote > 0 ? wrote : 0;
        size -= wrote > 0 ? (size_t)wrote : 0;
    }
    return true;
}

static bool write_temporary(int fd, const void *bytes, size_t size, bool on_disk)
{
    /* The mode again: the process's mask may have taken its owner's bits away. */
    bool written = !refused() && fchmod(fd, 0600) == 0 && write_all(fd, bytes, size) &&
                   (!on_disk || (!refused() && fsync(fd) == 0));
    const int error_number = errno;
    const bool closed = close(fd) == 0 && !refused(); /* where a quota may speak */
    if (!written) {
        errno = error_number;
    }
    return written && closed;
}

static bool publish(const sb_dir *dir, const char *temporary, const char *name, bool once)
{
    if (refused()) {
        return false;
    }
    return once ? linkat(dir->fd, temporary, dir->fd, name, 0) == 0
                : renameat(dir->fd, temporary, dir->fd, name) == 0;
}

sb_status sb_dir_write(const sb_dir *dir, const char *name, const void *bytes, size_t size,
                       bool once, sb_error *err)
{
    SB_ASSERT(strchr(name, '/') == NULL);
    char temporary[TEMPORARY_SIZE];
    sb_status status = temporary_name(temporary, err);
    if (status != SB_OK) {
        return status;
    }
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const int fd = refused() ? -1 : openat(dir->fd, temporary, flags, 0600);
    if (fd < 0) {
        return sb_os_refused(err, "making a file", errno);
    }
    const bool written = write_temporary(fd, bytes, size, once);
    const bool published = written && publish(dir, temporary, name, once);
    const int error_number = errno;
    if (once || !published) {
        (void)unlinkat(dir->fd, temporary, 0);
    }
    if (written && once && !published && error_number == EEXIST) {
        return sb_error_set(err, SB_STATE, "%s is there already", name);
    }
    return published ? SB_OK : sb_os_refused(err, "writing a file", error_number);
}

sb_status sb_dir_touch(const sb_dir *dir, const char *name, sb_error *err)
{
    SB_ASSERT(strchr(name, '/') == NULL);
    if (refused() || utimensat(dir->fd, name, NULL, AT_SYMLINK_NOFOLLOW) != 0) {
        return sb_os_refused(err, name, errno);
    }
    return SB_OK;
}

sb_status sb_dir_remove(const sb_dir *dir, const char *name, sb_error *err)
{
    SB_ASSERT(strchr(name, '/') == NULL);
    if ((refused() || unlinkat(dir->fd, name, 0) != 0) && errno != ENOENT) {
        return sb_os_refused(err, name, errno);
    }
    return SB_OK;
}

/* --- looking round ------------------------------------------------------------------------------------------------ */

static int64_t ns_of(const struct timespec *time)
{
    return (int64_t)time->tv_sec * NS_PER_S + time->tv_nsec;
}

sb_status sb_dir_list(const sb_dir *dir, bool (*see)(void *arg, const sb_dir_item *item), void *arg,
                      sb_error *err)
{
    /* A descriptor of its own, since reading a folder moves a position that descriptors share. */
    const int fd = refused() ? -1 : openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    if (stream == NULL) {
        const int error_number = errno;
        if (fd >= 0) {
            (void)close(fd);
        }
        return sb_os_refused(err, "listing a folder", error_number);
    }
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_REALTIME, &now);
    bool more = true;
    while (more) {
        struct stat facts;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL) {
            break;
        }
        if (fstatat(fd, entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(facts.st_mode)) {
            const sb_dir_item item = {.name = entry->d_name,
                                      .size = (int64_t)facts.st_size,
                                      .age_ns = ns_of(&now) - ns_of(&facts.st_mtim)};
            more = see(arg, &item);
        }
    }
    (void)closedir(stream);
    return SB_OK;
}
