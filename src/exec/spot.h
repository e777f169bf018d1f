/* One function over a small batch, computed on the spot: on the calling thread, by native code, without a run.
 *
 * What takes long, or has a row that must leave, is given up, and the caller makes a run of it: functions have no side effects.
 *
 * Threads: any; a spot that is in use says so. Memory: keeps the function and its scratch. */
#ifndef SB_EXEC_SPOT_H
#define SB_EXEC_SPOT_H

#include "exec/watch.h"
#include "plan/plan.h"

#define SB_SPOT_ROWS_MAX 2048

typedef struct sb_spot sb_spot;

/* plan: with_columns of one function over a source, or a map to its one result. watch: borrow, must outlive the spot. */
sb_status sb_spot_new(sb_plan *plan, sb_watch *watch, sb_spot **out, sb_error *err);
void sb_spot_free(sb_spot *spot); /* NULL is fine */

/* Takes *batch, a record batch with the source's columns. *done: *out is the function's column (out-owned). Else nothing was made. */
sb_status sb_spot_run(sb_spot *spot, struct ArrowArray *batch, struct ArrowArray *out, bool *done,
                      sb_error *err);

#endif
