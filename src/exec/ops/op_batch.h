/* Asking the host for a whole batch: what operators of batch functions share.
 *
 * Threads: answers come on the lane, so the shared schema has one owner. */
#ifndef SB_EXEC_OPS_OP_BATCH_H
#define SB_EXEC_OPS_OP_BATCH_H

#include "exec/op.h"

typedef struct sb_batch_shared {
    sb_type
        *schema; /* owned reference: of the results; of a filter, Boolean; NULL: not known yet */
} sb_batch_shared;

sb_status sb_batch_open(const sb_op *op, sb_batch_shared *own, sb_error *err);
void sb_batch_release(sb_batch_shared *own); /* zeroed is fine */
/* A batch that an error has cut is not shown to the function: true, and it is gone. */
bool sb_batch_is_cut(sb_work *work, sb_push *result);
/* Compacts the chunk and asks for it. */
sb_status sb_batch_ask(sb_work *work, bool in_order, sb_push *result, sb_error *err);
/* Makes what the host gave the work's chunk. */
sb_status sb_batch_answer(const sb_op *op, sb_batch_shared *shared, sb_work *work,
                          const sb_answer *given, sb_push *result, sb_error *err);

#endif
