/* Test support of the exec room: a source whose rows are functions of their number, and a host that
 * answers asks and writes down what comes out.
 *
 * Columns of the source: a int64 with nulls, b int64, x double, c bool with nulls, s string with nulls. Every batch is a slice: struct,
 * children and bitmaps have offsets of their own. Linked into test programs only. Threads: none of its own. */
#ifndef SB_EXEC_TESTKIT_H
#define SB_EXEC_TESTKIT_H

#include "exec/run.h"
#include "plan/testkit.h"

/* --- the source --------------------------------------------------------------------------------------------------- */
typedef struct sb_kit_source {
    int64_t rows;       /* in all */
    int64_t batch_rows; /* rows a batch; 0: one batch */
    int64_t fail_batch; /* get_next fails there; -1: never */
    int64_t at, batch;
    int64_t live; /* batches given and not released */
    bool released;
    bool out_of_thread; /* a batch was released while `lane` did not say so */
    bool lane;          /* set by the test round calls of the run */
} sb_kit_source;

void sb_kit_stream(sb_kit_source *source, struct ArrowArrayStream *out);

bool sb_kit_a_valid(int64_t row);
int64_t sb_kit_a(int64_t row); /* large in some rows, so that a * b overflows there */
int64_t sb_kit_b(int64_t row);
double sb_kit_x(int64_t row);
bool sb_kit_c_valid(int64_t row);
bool sb_kit_c(int64_t row);
bool sb_kit_s_valid(int64_t row);
void sb_kit_s(int64_t row, char out[16]);

/* --- the host ----------------------------------------------------------------------------------------------------- */
typedef struct sb_kit_host {
    sb_buf out;             /* a line a row: every column as text */
    int64_t batches;        /* given out */
    int64_t wakes;          /* times that nothing happened for a while */
    int64_t asks, ask_rows; /* answered */
    int64_t ask_rows_max;   /* most rows of one ask */
    int64_t order_max;      /* greatest seq of an in-order ask so far */
    bool in_order;          /* in-order asks came in order */
    bool args_right;        /* arguments were those of the rows named */
    int64_t fail_row;       /* source row at which user code fails; -1: never */
    int32_t fail_function;
    int64_t fail_row_2; /* a second such place */
    int32_t fail_function_2;
    int64_t fail_batch;    /* batch functions fail at this batch; -1: never */
    int64_t drop_batch;    /* batch functions drop this batch; -1: none */
    int64_t phases;        /* asks of phases, which give their columns or the first row of these */
    int64_t refuse_batch;  /* of this batch they give nothing; -1: none */
    int64_t short_batch;   /* of this batch a row too few; -1: none */
    int32_t drop_function; /* drops its rows of which sb_kit_dropped says so; -1: none does */
    bool nulls;            /* it makes them null as a whole instead */
    const bool *revoke; /* functions that are interpreted from event `revoke_at` on; NULL: none */
    int32_t revoke_count;
    int64_t revoke_at, events;
    int64_t rows_before, asked_before; /* given out and answered before that */
    int64_t rows;                      /* given out */
    bool
        ascending; /* no ask was for rows before those of an earlier one, or before rows given out */
    sb_seq last;   /* of these */
    sb_status status; /* how the run ended: SB_OK at END */
    sb_error error;
    sb_token failure;
} sb_kit_host;

bool sb_kit_dropped(int64_t row);

void sb_kit_host_init(sb_kit_host *host);
void sb_kit_host_release(sb_kit_host *host);

/* Makes a run of the plan (borrowed), drives it to its end and frees it. Scalar functions by name: "mul" as SB_KIT_MUL with -1 for
 * overflow, "half", "keep", "flip", "all" (mul, half, flip as three results), "text" (s as it is, with b behind it), "score" (x + b
 * as double, null where c is false).
 * Batch functions give the batch back; batch filters keep rows whose b is even. */
void sb_kit_run(sb_kit_host *host, sb_plan *plan, sb_kit_source *source,
                const sb_run_options *options);

#endif
