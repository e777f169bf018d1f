/* What a staged function computes before its last stage: row functions that give arguments, and loops of the host's over these.
 *
 * sb_stages_new -> per worker sb_stages_local_new -> sb_stages_run per vector, after which the columns of all loops are in `made`.
 *
 * Threads: stages are const; a local belongs to one worker. Memory: of a vector, kept by the local. */
#ifndef SB_EXEC_STAGES_H
#define SB_EXEC_STAGES_H

#include "exec/call.h"

typedef struct sb_stages sb_stages;
typedef struct sb_stages_local sb_stages_local;

/* node: borrow, with stages; it outlives them. function_index: whose counts are added to. */
sb_status sb_stages_new(const sb_plan *node, int32_t function_index, sb_tier tier, sb_stages **out,
                        sb_error *err);
void sb_stages_free(sb_stages *stages); /* NULL is fine */

/* *made: borrowed from the local: a block for each loop, in their order. */
sb_status sb_stages_local_new(const sb_stages *stages, sb_stages_local **out,
                              const sb_view_scratch **made, sb_error *err);
void sb_stages_local_free(sb_stages_local *local); /* NULL is fine */

/* Rows [row0, row0 + rows) of a chunk all of whose rows are active. *left: some row left, or a loop raised a flag; `made` means nothing
 * then. */
sb_status sb_stages_run(sb_stages_local *local, const sb_work *work, int64_t row0, int64_t rows,
                        bool *left, sb_error *err);

#endif
