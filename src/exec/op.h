/* The contract between operators and the driver that runs them.
 *
 * An operator is const (sb_op), with shared state for each run and local state for each worker. The driver takes a chunk through
 * a chain of operators: push, until the operator has done with the chunk, then the next operator's push.
 *
 *     open_shared -> open_local per worker -> { push [BLOCKED -> host -> answer]* }* -> release_local -> release_shared
 *
 * Work that only the host can do (a Python function, a row that left native code) is asked for: push fills work->ask and returns BLOCKED;
 * the driver hands the ask to the host on the lane, in order of seq where the ask says so, and calls answer with what came back.
 *
 * An operator that fails at row r keeps the rows before r in work->chunk and sets work->token. A token that is set when push is
 * called comes from an operator before: the chunk holds the rows before the error. An error status, in contrast, gives up the whole chunk.
 *
 * An operator with several outputs for one input will need a way to say so; all of today's give at most one. Counters live in the
 * driver and in work->counts. */
#ifndef SB_EXEC_OP_H
#define SB_EXEC_OP_H

#include <stdatomic.h>

#include "column/chunk.h"
#include "plan/plan.h"

typedef enum sb_op_caps {
    SB_OP_ORDER_KEEPING = 1 << 0, /* rows come out in the order they went in */
    SB_OP_PARALLEL = 1 << 1,      /* push may run on several workers at once */
    SB_OP_BATCH_SENSITIVE =
        1 << 2, /* sees the batches that its input has: the source is not cut before it */
    SB_OP_PYTHON = 1 << 3,   /* asks the host for user code that must run in order of seq */
    SB_OP_CAN_FAIL = 1 << 4, /* may set work->token */
    SB_OP_LIGHT =
        1
        << 5 /* push does little and needs no local state: the lane may call it, local is NULL then */
} sb_op_caps;

typedef enum sb_push {
    SB_PUSH_NEED_INPUT,  /* the chunk is used up and nothing came of it */
    SB_PUSH_HAVE_OUTPUT, /* work->chunk is the output */
    SB_PUSH_BLOCKED,     /* work->ask is filled */
    SB_PUSH_RESUME       /* from answer only: push is to be called again */
} sb_push;

/* What an operator did in one context, kept by the driver. */
typedef struct sb_op_counts {
    int64_t rows_in, rows_out; /* active rows */
    int64_t batches_in, batches_out;
    int64_t busy_ns; /* in push and answer */
    int64_t host_ns; /* between an ask and its answer */
    int64_t wait_ns; /* asks: until the lane took them up */
    int64_t
        bytes_out; /* of columns that the operator made; those it passes on and those the host keeps do not count */
} sb_op_counts;

/* What a function did in one context, added up by the driver. */
typedef struct sb_call_counts {
    sb_func_counts func;
    int64_t rows_host; /* rows computed by the host */
} sb_call_counts;

/* Something for the host to do. Everything it points to is the operator's and stays until answer returns. */
typedef struct sb_ask {
    bool in_order;    /* user code with a memory of its own: strictly by seq */
    bool whole_batch; /* call the batch function on `chunk`; else rows of `func` */
    int32_t
        phase; /* whole_batch: `chunk` is the result of this phase of it, from 1, and what stands behind is wanted; 0: call it */
    const sb_chunk *chunk; /* compact; for a whole batch it may have no columns */
    const sb_func *func;
    int32_t function_index; /* among the plan's functions; -1 for batch functions */
    uint32_t arg_count;
    const struct ArrowArray *const *args;
    const struct ArrowSchema *const *arg_schemas;
    int64_t source_row; /* of row 0 of the args (whole_batch: of the batch); -1: not known */
    int64_t row_count;
    const int32_t *rows;        /* which rows of the args, ascending; NULL: all row_count of them */
    const int64_t *source_rows; /* of each of them; NULL: source_row + index */
    /* For each result, one block of 8 * row_count bytes and one of row_count; the host writes: */
    void *values; /* int64_t, double or uint8_t per row */
    uint8_t *
        valid; /* a byte per row, zeroed: 0, 1, or of the first result SB_ROW_DROPPED, SB_ROW_NULL */
    const char *formats; /* of each result */
} sb_ask;

/* What came back. Structs and the object are moved out of by who uses them. */
typedef struct sb_answer {
    int64_t done_count; /* rows computed; less than asked: the next one failed with message */
    struct ArrowArray *column; /* rows of a text function: done_count values */
    /* Batch function. unchanged: it gave back what it was given, or its filter keeps all rows. Else its result: data, or an object of
     * the host's of row_count rows, or both. None of these three: it failed with message, or, without one, the batch is dropped. */
    bool unchanged;
    struct ArrowArray *array; /* NULL: no data; unchanged: the data of a chunk that has none */
    const struct ArrowSchema *schema; /* NULL: the one that is known; filters: Boolean */
    sb_host *host;                    /* the result as the host's own object; NULL: none */
    int64_t row_count;
    const char *message; /* borrow; NULL: no words */
} sb_answer;

/* One chunk on its way through the operators. */
typedef struct sb_work {
    sb_chunk *chunk; /* owned; NULL: none left */
    sb_token token;  /* what follows the chunk */
    void *state;     /* the operator's own, between a BLOCKED push and the last answer or push */
    sb_ask ask;
    const uint32_t *stop;       /* polled by kernels */
    sb_release_queue *releases; /* for what is imported */
    sb_call_counts *counts;     /* by function index; belongs to the calling context */
} sb_work;

typedef struct sb_op sb_op;

/* push and answer own the work while they run. open_* happen on the lane thread before any push, release_* after the last. */
typedef struct sb_op_vtable {
    const char *name;
    sb_status (*open_shared)(const sb_op *op, void **shared, sb_error *err); /* once a run */
    void (*release_shared)(void *shared);                                    /* NULL is fine */
    sb_status (*open_local)(const sb_op *op, void *shared, void **local,
                            sb_error *err); /* once a worker */
    void (*release_local)(void *local);     /* NULL is fine */
    /* Once a chunk, and again after an answer said RESUME; on any worker. */
    sb_status (*push)(const sb_op *op, void *shared, void *local, sb_work *work, sb_push *result,
                      sb_error *err);
    /* Once an ask, on the lane thread; NULL for operators that never ask. */
    sb_status (*answer)(const sb_op *op, void *shared, sb_work *work, const sb_answer *answer,
                        sb_push *result, sb_error *err);
    void (*release_state)(void *state); /* of a work that is given up; NULL is fine */
} sb_op_vtable;

struct sb_op {
    const sb_op_vtable *vt;
    const sb_plan *node; /* borrow: the run holds the plan */
    /* borrow: per call of the node, true: row by row in the host, from the next chunk on; NULL: none. Set on the lane. */
    const atomic_bool *interpret;
    uint32_t caps; /* sb_op_caps */
    sb_tier tier;
};

extern const sb_op_vtable sb_op_with, sb_op_map, sb_op_filter, sb_op_select, sb_op_batch,
    sb_op_lowered, sb_op_phased;

/* Makes the operator of a plan node (not of the source). interpret: of the whole plan, by function index, or NULL. */
void sb_op_init(sb_op *op, const sb_plan *node, const atomic_bool *interpret, sb_tier tier);

#endif
