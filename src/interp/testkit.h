/* Test support: random valid IR programs, biased input batches, a slow oracle, and a check of any kernel against it.
 *
 *     sb_testkit_program(&ir, seed, 60, &err);               a program, finished
 *     sb_testkit_batch_init(&batch, &ir, seed, 2048, &err);  columns, maybe nulls and an active bitmap
 *     ok = sb_testkit_check(&batch, &run, 0, 2048, &report); runs it, follows GROW, compares every row
 *
 * The oracle walks the program one row at a time and calls the primitives of rt/rt.h: it shares nothing with the
 * interpreter or the emitter. The same seed gives the same program and the same data on every machine.
 *
 * Linked into test programs only. Memory: released by the release functions. Threads: one at a time. */
#ifndef SB_INTERP_TESTKIT_H
#define SB_INTERP_TESTKIT_H

#include "base/buf.h"
#include "ir/ir.h"
#include "ir/kernel.h"

/* A kernel behind a context pointer, so that the interpreter and compiled code both fit. */
typedef int32_t (*sb_testkit_kernel)(void *context, sb_kcall *call, int32_t row0, int32_t row1);

typedef struct sb_testkit_run {
    sb_testkit_kernel kernel;
    void *context;
    int32_t leave_capacity; /* of the first call; GROW doubles it */
    bool fast;              /* the entry that answers BAD where any row leaves */
    bool strict; /* rows that are not computed must keep every byte and bit of the outputs */
} sb_testkit_run;

typedef struct sb_testkit_batch {
    const sb_ir *ir; /* borrow */
    int32_t rows;
    sb_kin *in;
    uint8_t *active; /* NULL: all */
} sb_testkit_batch;

typedef union sb_testkit_scalar {
    int64_t i;
    double f;
    bool b;
} sb_testkit_scalar;

typedef struct sb_testkit_cell {
    sb_testkit_scalar value;
    bool valid;
} sb_testkit_cell;

typedef struct sb_testkit_oracle {
    const sb_ir *ir; /* borrow */
    sb_testkit_scalar *values;
    uint32_t *owner; /* MERGE: its IF; LOOP: unused */
    uint8_t *taken;  /* IF: which way the row went last */
    sb_rt_heap heap;
    uint32_t level; /* calls around */
} sb_testkit_oracle;

/* splitmix64; the state is any number. */
uint64_t sb_testkit_random(uint64_t *state);

/* A random program of about `size` instructions with every kind of op and region; its loops end. */
sb_status sb_testkit_program(sb_ir *ir, uint64_t seed, uint32_t size, sb_error *err);

/* Columns for the inputs of ir. Values lean to the boundaries to a degree that the seed decides. */
sb_status sb_testkit_batch_init(sb_testkit_batch *batch, const sb_ir *ir, uint64_t seed,
                                int32_t rows, sb_error *err);
void sb_testkit_batch_release(sb_testkit_batch *batch);

sb_status sb_testkit_oracle_init(sb_testkit_oracle *oracle, const sb_ir *ir, sb_error *err);
void sb_testkit_oracle_release(sb_testkit_oracle *oracle);
/* One row: cells[output] is set when the row does not leave. */
sb_reason sb_testkit_eval(sb_testkit_oracle *oracle, const sb_kin *in, int32_t row,
                          sb_testkit_cell *cells);

/* Runs rows [row0, row1) and compares outputs, leave list and status with the oracle. False: `report` says what differs. */
bool sb_testkit_check(const sb_testkit_batch *batch, const sb_testkit_run *run, int32_t row0,
                      int32_t row1, sb_buf *report);

#endif
