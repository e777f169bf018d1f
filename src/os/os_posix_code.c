/* Executable memory, as os/os.h promises it.
 *
 * Algorithm: the bytes are written into an anonymous memory file, which is sealed against every later change and then
 * mapped read and execute. At no time is there a writable mapping of them, so this works where changing a mapping to
 * executable is denied (PR_SET_MDWE, SELinux execmem, W^X kernels). The kernel makes the instruction cache coherent when
 * it maps a page as executable for the first time, so nothing is flushed here, on AArch64 neither: it is how a shared library's code
 * gets there. Nor does anyone run code at these addresses before they are mapped and published.
 *
 * Threads: any. Memory: the mapping is the caller's until sb_code_map_release; the file goes with it. */
#define _GNU_SOURCE 1

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/os_int.h"

/* Asks for an executable file by name: kernels from 6.3 on can be told to refuse or to default to the contrary. */
#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

static int make_file(void)
{
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd = memfd_create("sabot-code", flags | MFD_EXEC);
    if (fd < 0 &&
        errno == EINVAL) { /* a kernel that does not know MFD_EXEC makes executable ones */
        fd = memfd_create("sabot-code", flags);
    }
    return fd;
}

static bool write_all(int fd, const void *bytes, size_t size)
{
    const char *from = bytes;
    size_t done = 0;
    while (done < size) {
        ssize_t wrote = write(fd, from + done, size - done);
        if (wrote < 0 && errno != EINTR) {
            return false;
        }
        done += wrote > 0 ? (size_t)wrote : 0;
    }
    return true;
}

sb_status sb_code_map_new(sb_code_map *out, const void *bytes, size_t size, sb_error *err)
{
    if (size == 0) {
        return sb_error_set(err, SB_INVALID, "no code to map");
    }
    int fd = make_file();
    if (fd < 0) {
        return sb_os_refused(err, "memfd_create for native code", errno);
    }
    sb_status status = SB_OK;
    void *base = MAP_FAILED;
    if (!write_all(fd, bytes, size)) {
        status = sb_os_refused(err, "writing native code to a memory file", errno);
        goto out;
    }
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        status = sb_os_refused(err, "sealing native code (F_ADD_SEALS)", errno);
        goto out;
    }
    base = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    if (base == MAP_FAILED) {
        status = sb_os_refused(err, "mapping native code executable (mmap)", errno);
        goto out;
    }
    *out = (sb_code_map){.base = base, .size = size};
out:
    (void)close(fd);
    return status;
}

void sb_code_map_release(sb_code_map *map)
{
    if (map->base == NULL) {
        return;
    }
    /* munmap takes a pointer to non-const: the integer form says that nothing is written through it. */
    int rc = munmap((void *)(uintptr_t)map->base, map->size);
    SB_ASSERT(rc == 0);
    (void)rc;
    *map = (sb_code_map){0};
}
