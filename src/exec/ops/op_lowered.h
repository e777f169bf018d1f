/* What operators of batch functions that native code computes do with its results.
 *
 * Threads: none of its own. */
#ifndef SB_EXEC_OPS_OP_LOWERED_H
#define SB_EXEC_OPS_OP_LOWERED_H

#include "exec/call.h"

/* Gives a chunk the columns of a lowered node: results of the call, which are moved there, and columns of `from`. */
sb_status sb_lowered_columns(const sb_plan *node, sb_call *call, const sb_chunk *from,
                             sb_chunk *chunk, sb_error *err);
/* Keeps the rows that the call's result says. */
sb_status sb_lowered_mask(sb_call *call, sb_chunk *chunk, sb_error *err);

#endif
