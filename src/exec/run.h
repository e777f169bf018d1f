/* Runs: a plan over one source, driven by the thread that consumes it (the lane).
 *
 *     sb_run_new -> { sb_run_next [-> sb_run_answer | sb_run_supply] }* until END or an error -> sb_run_free
 *
 * The lane pulls the source, hands asks to the host and results out, in the source's order. Native workers take morsels through the
 * operators; a run too small to need them does the same steps on the lane. The first error in source order ends the run, after every
 * row before it came out.
 *
 * Threads: one run belongs to one thread; sb_run_cancel may be called by any. After a fork a run of the parent is only refused. */
#ifndef SB_EXEC_RUN_H
#define SB_EXEC_RUN_H

#include "exec/op.h"

#define SB_THREADS_MAX 256
#ifdef SB_TEST_MORSEL
#define SB_MORSEL_ROWS SB_TEST_MORSEL
#else
#define SB_MORSEL_ROWS 65536
#endif
#define SB_WAKE_NS ((int64_t)50 * 1000 * 1000)

typedef struct sb_run sb_run;

typedef struct sb_run_options {
    int32_t threads;     /* 0: one a processor */
    int64_t morsel_rows; /* 0: SB_MORSEL_ROWS */
    sb_tier tier;
    const bool *interpret; /* by function index; borrow for the call; NULL: none */
    int32_t interpret_count;
    bool validate;    /* every batch of the source in full, before anything reads it */
    bool schema_once; /* see sb_run_schema_is_new */
    bool
        schemas_known; /* with it: the host has the plan's result and what goes into its operators, as far as the plan tells */
    bool number_rows;  /* batches are given out with their source_rows */
    bool prompt;       /* the source is not asked while results are under way: it may be silent */
    bool
        revocable; /* sb_run_interpret may be called: only the first task asks, others can begin anew */
} sb_run_options;

typedef enum sb_event_kind {
    SB_EVENT_BATCH, /* chunk: out-owned, compact */
    SB_EVENT_ASK,   /* ask: borrow until sb_run_answer; sb_run_next is refused before that */
    SB_EVENT_PULL, /* runs without a stream: the next batch is wanted; sb_run_next is refused before sb_run_supply */
    SB_EVENT_WAKE, /* nothing happened for a while */
    SB_EVENT_END
} sb_event_kind;

typedef struct sb_event {
    sb_event_kind kind;
    int32_t op; /* ASK */
    sb_seq seq;
    sb_chunk *chunk;
    const sb_ask *ask;
    bool
        data_wanted; /* ASK for a whole batch, PULL: an operator reads the answer, so the host's object alone will not do */
} sb_event;

/* The next batch of a source that the host reads: data, or the host's own object, or both. Structs and the object are moved out of. */
typedef struct sb_supply {
    struct ArrowArray *array;         /* NULL: no data */
    const struct ArrowSchema *schema; /* NULL: the plan's */
    sb_host *host;                    /* NULL: none */
    int64_t row_count;                /* of the host's object, where there is no data */
    int64_t source_row;               /* of row 0; -1: not known */
    const int64_t *source_rows;       /* borrow: of each row; NULL: source_row + index */
    const char *message; /* borrow: no batch, the source failed; NULL and no batch: it has ended */
} sb_supply;

/* Takes *source on success; NULL: the host is asked by PULL. Waits for native code when the tier is NATIVE; starts no thread. */
sb_status sb_run_new(sb_plan *plan, struct ArrowArrayStream *source, const sb_run_options *options,
                     sb_run **out, sb_error *err);
/* The run's error is returned once; then, and after END, every call gives END. A cancelled run gives SB_CANCELLED. */
sb_status sb_run_next(sb_run *run, sb_event *event, sb_error *err);
/* Data in *answer is moved out of where it is used. What is wrong with it is an error of the run, at this operator; the status
 * here is SB_STATE (nothing was asked), SB_INVALID (done_count is impossible): nothing happened then. */
sb_status sb_run_answer(sb_run *run, const sb_answer *answer, sb_error *err);
/* Answers PULL. What is wrong with the batch is the source's error, behind the rows before it; the status here is SB_STATE (no
 * batch was asked for), SB_INVALID (data is missing, impossible row_count): nothing happened then. */
sb_status sb_run_supply(sb_run *run, const sb_supply *supply, sb_error *err);
/* From here on the host computes every row of these functions, too (by function index, false: as before). What was computed for rows
 * behind those that the host has seen, be it as results or in an ask, is thrown away and computed anew. Between two events, or before
 * the answer to one; only the lane. SB_STATE: the run is not revocable; SB_INVALID: wrong count. */
sb_status sb_run_interpret(sb_run *run, const bool *interpret, int32_t count, sb_error *err);
/* With schema_once: whether `schema` is another than at the last call for `op` (-1: results). Else true. Lane. */
bool sb_run_schema_is_new(sb_run *run, int32_t op, sb_type *schema);
/* What the host was asked last and has not answered; NULL: nothing. */
const sb_ask *sb_run_asked(const sb_run *run);
/* Moves the rows' numbers out of a chunk that the run gave, if it has any; borrow until this is called again. */
const int64_t *sb_run_keep_rows(sb_run *run, sb_chunk *chunk);
/* Where the error that sb_run_next returned came from; kind NONE before. */
const sb_token *sb_run_failure(const sb_run *run);
void sb_run_cancel(sb_run *run);
void sb_run_report(const sb_run *run, sb_buf *json);
void sb_run_free(sb_run *run); /* take; NULL is fine. In a forked child the run is left as it is */

#endif
