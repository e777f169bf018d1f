/* Tier 0: runs a verified IR program over vectors of rows, and is the oracle of generated code.
 *
 *     sb_interp_new -> (sb_interp_state_new -> sb_interp_run* -> sb_interp_state_free)* -> sb_interp_free
 *
 * sb_interp_run keeps the kernel contract of ir/kernel.h as the careful entry does: the status is DONE, GROW or STOP.
 * call->rt is not used.
 *
 * Memory: a program is a few hundred bytes an instruction; a state is 4 KiB a live value. Nothing is allocated by a run, but for the
 * registers of functions that are called, which are kept: without memory for them rows leave.
 * Threads: a sb_interp is const and shared; each thread brings its own state. */
#ifndef SB_INTERP_INTERP_H
#define SB_INTERP_INTERP_H

#include "base/error.h"
#include "ir/ir.h"
#include "ir/kernel.h"

typedef struct sb_interp sb_interp;
typedef struct sb_interp_state sb_interp_state;

/* ir: borrow, finished, outlives the result. *out: owned. SB_NO_MEMORY. */
sb_status sb_interp_new(const sb_ir *ir, sb_interp **out, sb_error *err);
void sb_interp_free(sb_interp *interp); /* take; NULL is fine */

/* The registers of one thread. interp: borrow, outlives the state. *out: owned. SB_NO_MEMORY. */
sb_status sb_interp_state_new(const sb_interp *interp, sb_interp_state **out, sb_error *err);
void sb_interp_state_free(sb_interp_state *state); /* take; NULL is fine */

int32_t sb_interp_run(const sb_interp *interp, sb_interp_state *state, sb_kcall *call, int32_t row0,
                      int32_t row1);

#endif
