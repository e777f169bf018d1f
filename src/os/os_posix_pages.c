/* Pages of memory, as base/pages.h promises them.
 *
 * Algorithm: newer kernels align a mapping of a huge page's size by themselves; where one does not, twice the size is mapped and the ends
 * are cut off. All advice is a wish: a kernel that is built or set up without huge pages refuses it, and plain pages serve as well.
 *
 * Threads: any. Memory: the caller's. */
#define _GNU_SOURCE 1

#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/pages.h"

static uint8_t *map(size_t size)
{
    void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return base != MAP_FAILED ? base : NULL;
}

/* Cutting off an end needs no room: the rest keeps its one entry in the kernel's list. */
static void cut(uint8_t *from, const uint8_t *to)
{
    if (to > from) {
        (void)munmap(from, (size_t)(to - from));
    }
}

static uint8_t *map_aligned(size_t size, size_t alignment)
{
    uint8_t *base = map(size);
    if (base == NULL || ((uintptr_t)base & (alignment - 1)) == 0) {
        return base;
    }
    cut(base, base + size);
    base = map(size + alignment);
    if (base == NULL) {
        return NULL;
    }
    uint8_t *start = base + (-(uintptr_t)base & (alignment - 1));
    cut(base, start);
    cut(start + size, base + size + alignment);
    return start;
}

void *sb_pages_map(size_t size, size_t alignment, sb_page_size pages)
{
    SB_ASSERT(size > 0 && (size & (alignment - 1)) == 0 && (alignment & (alignment - 1)) == 0);
    uint8_t *base = map_aligned(size, alignment);
    if (base != NULL) {
        (void)madvise(base, size, pages == SB_PAGES_HUGE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    }
    return base;
}

bool sb_pages_unmap(void *pages, size_t size)
{
    return munmap(pages, size) == 0;
}

bool sb_pages_discard(void *pages, size_t size)
{
    (void)madvise(pages, size, MADV_NOHUGEPAGE);
    return madvise(pages, size, MADV_DONTNEED) == 0;
}

size_t sb_pages_machine_size(void)
{
    long count = sysconf(_SC_PHYS_PAGES);
    long size = sysconf(_SC_PAGESIZE);
    return count > 0 && size > 0 ? (size_t)count * (size_t)size : 0;
}
