/* What call.c and call_host.c share: the host's part of a call, and text results. */
#ifndef SB_EXEC_CALL_INT_H
#define SB_EXEC_CALL_INT_H

#include "exec/call.h"

/* The blocks of all results, for call->rows rows. */
sb_status sb_call_results_new(sb_call *call, sb_error *err);
sb_status sb_call_valid_new(sb_call *call, sb_call_result *result, bool value, sb_error *err);

/* Columns as lists: one for each kernel input. */
sb_status sb_call_whole_new(const sb_call_site *site, sb_call_whole **out, sb_error *err);
void sb_call_whole_free(sb_call_whole *whole, size_t count); /* NULL is fine */

/* Fills work->ask when rows are left for the host. */
sb_status sb_call_host_ask(sb_call *call, sb_work *work, bool *blocked, sb_error *err);
void sb_call_host_release(sb_call *call);

sb_status sb_call_text_take(sb_call *call, int64_t rows, sb_array **out, sb_error *err);
/* The inputs of a vector, into local->in. */
void sb_call_view_inputs(const sb_call_site *site, sb_call_local *local, const sb_chunk *chunk,
                         int64_t row0, int64_t rows);
/* Brings what kernels wrote to the column's own width, in place: each value moves towards the start. What stands under a null may be
 * anything. */
void sb_call_narrow(uint8_t *values, int64_t rows, char format);

void sb_call_text_mask(const sb_call *call, int64_t rows, uint8_t *mask);

#endif
