/* A function over the rows of a chunk: native vectors first, then the rows that only the host can compute.
 *
 *     sb_call_init -> sb_call_run [BLOCKED -> sb_call_answer]* -> fail_row tells where it failed -> sb_call_take_column
 *                                                                                     or sb_call_mask -> sb_call_release
 *
 * The output is written once, by the kernel, into the column's final memory; rows from the host are patched in.
 *
 * Threads: a call belongs to one thread at a time; an sb_call_site is const after init. */
#ifndef SB_EXEC_CALL_H
#define SB_EXEC_CALL_H

#include "column/view.h"
#include "exec/op.h"

/* What the host writes into a row's `valid` to have the row dropped; 0 is null, 1 a value. */
#define SB_ROW_DROPPED 2
/* Of a map: every column of the row is null, those that are passed on too. */
#define SB_ROW_NULL 3

/* Most rows the host is asked for at once, so that it can look at its signals in between. */
#ifdef SB_TEST_MORSEL
#define SB_ASK_ROWS_MAX 2
#else
#define SB_ASK_ROWS_MAX 8192
#endif

/* A function at its place in a plan: part of the operator's shared state. */
typedef struct sb_call_site {
    sb_func *func;          /* borrow: the plan holds it */
    const int64_t *columns; /* borrow: the chunk's column of each bound parameter */
    int64_t *input_columns; /* owned: the chunk's column of each kernel input */
    int64_t
        made_first; /* columns from this one on are made by stages, exec/stages.h, and not the chunk's */
    int32_t result_count; /* of the function; its outputs */
    sb_type **types;      /* owned: of each result, owned references */
    char *formats;        /* owned: the letter of each; ended by 0 */
    int32_t function_index;
    bool native;                  /* native code may compute it: locals have room for that */
    const atomic_bool *interpret; /* borrow: the host computes every row; NULL: never */
    sb_tier tier;
    struct ArrowSchema *schemas;                /* owned: of the arguments */
    const struct ArrowSchema **schema_pointers; /* owned */
} sb_call_site;

/* name: of the column of a single result; several have their own. */
sb_status sb_call_site_init(sb_call_site *site, const sb_plan_call *call, const sb_type *input,
                            const char *name, int32_t function_index, const atomic_bool *interpret,
                            sb_tier tier, sb_error *err);
void sb_call_site_release(sb_call_site *site); /* zeroed is fine */
/* Whether the host computes every row of a call that begins now. */
bool sb_call_site_by_host(const sb_call_site *site);

typedef struct sb_call_whole sb_call_whole;

/* A worker's memory for one site. */
typedef struct sb_call_local {
    sb_func_local *func;
    sb_view_scratch *inputs;        /* owned, one per kernel input */
    sb_kin *in;                     /* owned, likewise */
    sb_view_scratch *out;           /* owned, one per result: booleans as bytes */
    sb_kout *kout;                  /* owned, likewise */
    struct sb_stages_local *stages; /* owned: run before each vector; NULL: none */
    const sb_view_scratch *made;    /* borrow: what stages made of the vector; NULL: none */
    sb_call_whole *whole;           /* owned; of a function of whole batches */
    size_t input_count;
} sb_call_local;

sb_status sb_call_local_new(const sb_call_site *site, sb_call_local **out, sb_error *err);
void sb_call_local_free(sb_call_local *local); /* NULL is fine */

typedef struct sb_call_text sb_call_text;

typedef struct sb_call_result {
    void *values;       /* owned aligned block; NULL for text and null results */
    uint8_t *valid;     /* owned aligned bitmap; NULL: no nulls so far */
    sb_call_text *text; /* owned; text results */
} sb_call_result;

typedef struct sb_call {
    const sb_call_site *site;
    int64_t
        rows; /* rows [0, rows) of the chunk are computed; at fail_row's failure: those before it */
    int64_t capacity;          /* rows the blocks have room for */
    sb_call_result *results;   /* owned; NULL before the first run */
    bool computed;             /* the native part is done */
    bool by_host;              /* there was none */
    bool undivided;            /* a row that leaves takes all others with it */
    bool dense;                /* the host computes all rows in order */
    SB_VEC(int32_t) host_rows; /* rows for the host, ascending (not dense) */
    int64_t host_at; /* of these (or of rows, when dense), how many were asked for and answered */
    int64_t host_count; /* how many there are */
    int64_t fail_row;   /* in the chunk; -1: none */
    sb_error failure;
    uint8_t *keep;     /* owned mask as sb_chunk.active: rows not dropped; NULL: none was */
    uint8_t *whole;    /* owned mask likewise: rows that are not null as a whole; NULL: none is */
    void *host_values; /* owned: where the host writes */
    uint8_t *host_valid;
    int64_t *host_source_rows;
    struct ArrowArray *args; /* owned; release is NULL where nothing is exported */
    const struct ArrowArray **arg_pointers;
} sb_call;

/* For rows [0, rows) of chunks as `work` brings them. call must be zeroed or released. */
void sb_call_init(sb_call *call, const sb_call_site *site, int64_t rows);
void sb_call_release(sb_call *call); /* zeroed is fine */

/* Computes; *blocked: work->ask is filled and sb_call_answer must follow. SB_CANCELLED when the stop word was set. */
sb_status sb_call_run(sb_call *call, sb_call_local *local, sb_work *work, bool *blocked,
                      sb_error *err);
/* Native code alone; *left: rows that it could not do. */
sb_status sb_call_native(sb_call *call, sb_call_local *local, sb_work *work, int64_t *left,
                         sb_error *err);
/* The same of a function of whole batches, which makes call->rows those of its result; same_rows: these must be as many as before.
 * *left: it could not do this batch. */
sb_status sb_call_whole_native(sb_call *call, sb_call_local *local, sb_work *work, bool same_rows,
                               bool *left, sb_error *err);
/* Takes what the host computed; *blocked: there is another ask. */
sb_status sb_call_answer(sb_call *call, sb_work *work, const sb_answer *answer, bool *blocked,
                         sb_error *err);

/* All rows of a chunk of at most SB_VECTOR_ROWS, all active, by native code alone and at once; false: sb_call_run has to do it. */
sb_status sb_call_try(sb_call *call, sb_call_local *local, const sb_chunk *chunk,
                      const uint32_t *stop, bool *done, sb_error *err);

/* The first `rows` rows of a result as a column. */
sb_status sb_call_take_column(sb_call *call, int32_t result, int64_t rows, sb_array **out,
                              sb_error *err);
/* Bit per row: a result is true (as Python's truth) and not null; a text is the first. Out-owned aligned block, padded as
 * sb_chunk.active. */
sb_status sb_call_mask(const sb_call *call, int32_t result, int64_t rows, uint8_t **out,
                       sb_error *err);

/* Sets work->token to the call's failure, when it is the first in source order. */
void sb_call_fail(const sb_call *call, const sb_op *op, sb_work *work);

#endif
