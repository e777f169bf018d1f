/* What the files of the os room share: one sentence for every refusal of the operating system.
 *
 * Threads: any. Memory: none. */
#ifndef SB_OS_OS_INT_H
#define SB_OS_OS_INT_H

#include "os/os.h"

/* Gives back SB_OS with "<what>: <text of error_number> (errno N)". */
sb_status sb_os_refused(sb_error *err, const char *what, int error_number);

/* Milliseconds from now to the deadline for poll(): rounded up, 0 when it has passed, -1 for SB_NEVER. */
int sb_os_poll_ms(int64_t deadline_ns);

#endif
