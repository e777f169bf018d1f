/* A limit of time for what is computed on a thread of the host's: such a thread hears no signals while it computes.
 *
 * sb_watch_new -> [sb_watch_begin -> compute, polling the word -> sb_watch_end]* -> sb_watch_free
 *
 * Threads: any may begin; one at a time gets it. A thread of its own looks every 10 ms while there is something to look at, and sleeps
 * after a second without. */
#ifndef SB_EXEC_WATCH_H
#define SB_EXEC_WATCH_H

#include "os/os.h"

typedef struct sb_watch sb_watch;

sb_status sb_watch_new(sb_watch **out, sb_error *err);
void sb_watch_free(sb_watch *watch); /* NULL is fine; nothing may be begun */

/* The word that is set when more than 10 to 20 ms have passed; NULL: somebody else computes. Borrow, until sb_watch_end. */
const uint32_t *sb_watch_begin(sb_watch *watch);
void sb_watch_end(sb_watch *watch);

#endif
