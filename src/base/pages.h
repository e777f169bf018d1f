/* Pages of memory straight from the system, for base/block.h: declared here because base needs them, made by the os room, whose files
 * alone call the system.
 *
 * Failure is NULL or false, never a status: who asks for pages has another way.
 * Threads: any; a process forked from one that is inside of such a call may go on. */
#ifndef SB_BASE_PAGES_H
#define SB_BASE_PAGES_H

#include "base/compiler.h"

typedef enum sb_page_size {
    SB_PAGES_SMALL, /* whatever the system does by itself, one touched byte costs no more than the smallest page */
    SB_PAGES_HUGE, /* the largest that fit, where the system gives them on demand: a wish */
} sb_page_size;

/* Zeroed memory to read and write, not yet backed; out-owned. `size` is a multiple of `alignment`, which is a power of two. */
SB_MUST_USE void *sb_pages_map(size_t size, size_t alignment, sb_page_size pages);
/* take; false: still mapped, since the system has no room to note the hole. */
bool sb_pages_unmap(void *pages, size_t size);
/* Gives the memory behind the addresses back; they stay mapped, their contents are lost. They lie in one mapping of sb_pages_map, which
 * gets no huge pages any more: those would come back for the part. False: nothing changed (locked memory, odd bounds). */
bool sb_pages_discard(void *pages, size_t size);

size_t sb_pages_machine_size(void); /* bytes of memory that the machine has; 0: unknown */

#endif
