/* sabot.h - the C interface of the Sabot engine.
 *
 * Sabot runs functions over Arrow record batches. A host (the Python package is one) hands in functions as syntax-tree blobs
 * (format: src/front/blob.h) and data through the Arrow C data interface, builds a plan, and drives runs of it.
 *
 *     session -> function(s) -> plan -> run -> sabot_run_next ... until END
 *
 * Ownership words: borrow (the caller keeps it, the callee does not after the call), take (moves to the callee), out-owned (moves
 * to the caller, with the named function that gives it back).
 *
 * Errors: a fallible call returns sabot_status and fills *err (may be NULL; untouched on success). After an error nothing
 * has changed and the call may be repeated, unless said otherwise.
 *
 * Threads: a session may be used from any thread; a plan and a function are immutable once made and may be shared; a run belongs to
 * one thread, the one that calls sabot_run_next (the lane), except sabot_run_cancel, which any thread may call. */
#ifndef SABOT_H
#define SABOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define SABOT_API
#else
#define SABOT_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* --- Arrow C data interface: the field's ABI ----------------------------------------------------------------------- */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE
#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4
struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};
struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};
#endif
#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE
struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};
#endif

/* --- errors -------------------------------------------------------------------------------------------------------- */
typedef enum sabot_status {
    SABOT_OK = 0,
    SABOT_NO_MEMORY,
    SABOT_INVALID,        /* bad argument or malformed data */
    SABOT_TYPE,           /* types do not fit */
    SABOT_UNKNOWN_COLUMN, /* no such column */
    SABOT_UNSUPPORTED,
    SABOT_OS,
    SABOT_TIMEOUT,
    SABOT_LIMIT,
    SABOT_CANCELLED,
    SABOT_USER,  /* the host reported a failure of user code */
    SABOT_STATE, /* called in the wrong state */
    SABOT_INTERNAL
} sabot_status;

typedef struct sabot_error {
    sabot_status status;
    char message[480]; /* NUL-terminated UTF-8 */
} sabot_error;

SABOT_API const char *sabot_version(void); /* borrow, static */

/* --- session: code generator, caches ------------------------------------------------------------------------------- */
typedef struct sabot_session sabot_session;

/* Compiled code, in memory and, where a folder is named, on disk. One serves all sessions of a process. */
typedef struct sabot_cache sabot_cache;

typedef struct sabot_cache_options {
    const char *folder;     /* absolute path, made when it is not there; NULL or "": memory alone */
    int64_t disk_bytes_max; /* of the folder; 0: 256 MiB */
    int64_t memory_bytes_max; /* of objects that are kept; 0: 64 MiB */
} sabot_cache_options;

/* A folder that is not this user's alone is not used, which is no failure: sabot_cache_stats tells why. */
SABOT_API sabot_status sabot_cache_new(const sabot_cache_options *options, sabot_cache **out,
                                       sabot_error *err);
SABOT_API void
sabot_cache_free(sabot_cache *cache); /* drops the caller's reference; NULL is fine */
/* Another folder, other limits. What is in memory stays as far as it fits; counters go on. */
SABOT_API sabot_status sabot_cache_configure(sabot_cache *cache, const sabot_cache_options *options,
                                             sabot_error *err);
/* JSON object: disk (is a folder in use), disk_off (why the folder that was named is not; ""), memory_hits, memory_evicted,
 * memory_objects, memory_bytes, memory_bytes_max, loads, loaded_bytes (mapped code in use), disk_hits, disk_misses, disk_refused
 * (entries that were damaged, forged or not this user's), disk_writes, disk_failures, disk_evicted, disk_bytes_read,
 * disk_bytes_written. usage: disk_entries and disk_bytes too, for which the folder is read. out-owned: sabot_text_free. */
SABOT_API sabot_status sabot_cache_stats(sabot_cache *cache, bool usage, char **json,
                                         sabot_error *err);
/* Removes what caches keep in the folder, also with a key that is damaged. *entry_count: entries removed. */
SABOT_API sabot_status sabot_cache_clear(const char *folder, int64_t *entry_count,
                                         sabot_error *err);

typedef struct sabot_session_options {
    const char *helper_path; /* the sabot-jit program; NULL or missing: everything is interpreted */
    int64_t compile_ms_max;  /* time limit of one compilation; 0: 10000 */
    const char *cpu_level;   /* NULL: this machine's; else "x86-64-v2" ... for tests */
    sabot_cache *cache;      /* retained; NULL: one of its own, in memory */
} sabot_session_options;

SABOT_API sabot_status sabot_session_new(const sabot_session_options *options, sabot_session **out,
                                         sabot_error *err);
/* take, after everything made from it; NULL is fine */
SABOT_API void sabot_session_free(sabot_session *session);
/* JSON object: requests, compiled, cache_hits (in memory or on disk; refusals too), disk_hits, failures, compile_ms (a sum), helper,
 * helper_starts, helper_pid, queued, cpu, and of the cache loads, cache_bytes, loaded_bytes; functions {compiled, interpreted,
 * refused{reason: count}}: times a function was bound to columns; rows {native, interpreter, left{reason: count}} of all runs.
 * out-owned: sabot_text_free. */
SABOT_API sabot_status sabot_session_stats(sabot_session *session, char **json, sabot_error *err);
SABOT_API void sabot_text_free(char *text);

/* What compiled code makes of math.<name>(a) or math.<name>(a, b): 1: *out is it; 0: it raises; -1: there is no such function, or a NULL.
 * A host compares this with its own libm before it trusts compiled code with that name. Any thread. */
SABOT_API int sabot_math_value(const char *name, double a, double b, double *out);

/* --- functions ------------------------------------------------------------------------------------------------------- */
typedef struct sabot_function sabot_function;

/* Types and lowers a scalar function. columns: struct schema with the columns it may read; parameters bind by name, a parameter that
 * names no column takes its default, else SABOT_UNKNOWN_COLUMN. A function that cannot be compiled is not an error: it is made
 * in interpreted mode with its refusals in the report. SABOT_TYPE: return kinds with no common type, or an annotation that
 * disagrees; SABOT_UNSUPPORTED: the result's type cannot be told. blob and columns are borrowed; columns not released. */
SABOT_API sabot_status sabot_function_new(sabot_session *session, const void *blob,
                                          size_t blob_size, const struct ArrowSchema *columns,
                                          bool compile_off, sabot_function **out, sabot_error *err);
/* The same for a function whose blob gives a tuple of key_count items (1 or more) for each row: each item is a result of its own, under
 * its name (borrowed). The result's format is "+s"; types that cannot be told are no error: the formats are "" then, and a run of such
 * a function fails. For maps of rows alone. */
SABOT_API sabot_status sabot_function_new_keys(sabot_session *session, const void *blob,
                                               size_t blob_size, const struct ArrowSchema *columns,
                                               const char *const *names, int32_t key_count,
                                               bool compile_off, sabot_function **out,
                                               sabot_error *err);
/* Drops the caller's reference; NULL is fine. */
SABOT_API void sabot_function_free(sabot_function *function);
/* Says what the host computes a function with that is not compiled, as reports and explain name it ("numba"; it counts as not exact),
 * or, with name NULL, why CPython does, in place of the reasons there were. Before the function is in a plan. Borrows both. */
SABOT_API sabot_status sabot_function_set_host(sabot_function *function, const char *name,
                                               const char *why, sabot_error *err);
SABOT_API bool sabot_function_is_compiled(const sabot_function *function);
/* borrow: Arrow format, "l" "g" "b" "u" "n"; "+s" of several results */
SABOT_API const char *sabot_function_result_format(const sabot_function *function);
/* Of several results: how many there are (0: there is one), and the Arrow format of result i (borrow). */
SABOT_API int32_t sabot_function_key_count(const sabot_function *function);
SABOT_API const char *sabot_function_key_format(const sabot_function *function, int32_t i);
/* Parameters bound to columns. */
SABOT_API int32_t sabot_function_param_count(const sabot_function *function);
/* Index among all of the function's parameters, and the column's name (borrow), of bound parameter i. */
SABOT_API int32_t sabot_function_param_index(const sabot_function *function, int32_t i);
SABOT_API const char *sabot_function_param_column(const sabot_function *function, int32_t i);
/* JSON object: name, mode, kind, result, params, reads, can_raise, reasons[{code,message,hint,line,col,end_line,end_col}], lanes,
 * cpu, native ("none"|"pending"|"ready"|"failed"), native_from (""|"compiler"|"memory"|"disk"), native_error, compile_ms, rows,
 * rows_native, rows_interpreter, rows_left{reason: count}, timed{interpreter{ns, rows}, native{ns, rows}}: some vectors of rows and
 * the time they took, by what computed them. out-owned: sabot_text_free. Counters are those of all runs of
 * this function so far. */
SABOT_API sabot_status sabot_function_report(const sabot_function *function, char **json,
                                             sabot_error *err);
/* what: "ir", "llvm", "asm". SABOT_UNSUPPORTED when there is none. out-owned: sabot_text_free. */
SABOT_API sabot_status sabot_function_text(sabot_session *session, sabot_function *function,
                                           const char *what, char **text, sabot_error *err);

/* --- plans ------------------------------------------------------------------------------------------------------------ */
typedef struct sabot_plan sabot_plan;

/* schema: struct schema of the source, borrowed. */
SABOT_API sabot_status sabot_plan_new(sabot_session *session, const char *source_text,
                                      const struct ArrowSchema *schema, sabot_plan **out,
                                      sabot_error *err);
SABOT_API void sabot_plan_free(sabot_plan *plan); /* drops the caller's reference; NULL is fine */
/* Each gives a new plan that keeps the old one alive; the old one is unchanged (borrowed). Functions are retained. */
SABOT_API sabot_status sabot_plan_with_columns(sabot_plan *plan, int32_t count,
                                               const char *const *names,
                                               sabot_function *const *functions, sabot_plan **out,
                                               sabot_error *err);
SABOT_API sabot_status sabot_plan_filter(sabot_plan *plan, sabot_function *function,
                                         sabot_plan **out, sabot_error *err);
SABOT_API sabot_status sabot_plan_select(sabot_plan *plan, int32_t count, const char *const *names,
                                         sabot_plan **out, sabot_error *err);
/* A select that names its columns anew, and may take one more than once. SABOT_INVALID: two of one name. */
SABOT_API sabot_status sabot_plan_project(sabot_plan *plan, int32_t count,
                                          const char *const *columns, const char *const *names,
                                          sabot_plan **out, sabot_error *err);
/* One row for each row: columns of the input, and results of a function that gives several (sabot_function_new_keys). columns[i]: the
 * input's column that is passed on as names[i], untouched; NULL: the function's result of that name. SABOT_INVALID: two of one name. */
SABOT_API sabot_status sabot_plan_map(sabot_plan *plan, sabot_function *function, int32_t count,
                                      const char *const *columns, const char *const *names,
                                      sabot_plan **out, sabot_error *err);
/* A batch function run by the host on the lane (event CALL_BATCH). label is for reports; what follows a tab in it says how the function
 * runs. schema: its declared output, or NULL: the node is deferred, whatever schema its first batch has. After a deferred node only
 * batch operators can follow. is_filter: the function gives a Boolean array, rows where it is true are kept, the schema stays (schema
 * must be NULL). */
SABOT_API sabot_status sabot_plan_batch(sabot_plan *plan, const char *label,
                                        const struct ArrowSchema *schema, bool is_filter,
                                        sabot_plan **out, sabot_error *err);
/* A batch function of which `function` computes the same row by row, or in one call for the batch where its text is of whole columns
 * (its results may then have another number of rows, if no column is passed on): with columns as of sabot_plan_map, or for a filter with
 * one result, whose truth keeps a row (count is 0). A batch of which it leaves a row is computed by the host instead (event CALL_BATCH,
 * in no order), as are all in a run that interprets the function. label: as of sabot_plan_batch. schema: the result's, which may differ
 * from that of sabot_plan_map in metadata and nullability; NULL: it does not, as for a filter. */
SABOT_API sabot_status sabot_plan_lowered(sabot_plan *plan, const char *label,
                                          sabot_function *function, bool is_filter, int32_t count,
                                          const char *const *columns, const char *const *names,
                                          const struct ArrowSchema *schema, sabot_plan **out,
                                          sabot_error *err);

/* A loop of the host's over numbers of one type, as NumPy's ufuncs have them: value k of argument i is at args[i] + k * steps[i], the
 * results go to args[arg_count] likewise, *count times. It is pure but for floating point flags, and called on any thread. */
typedef void (*sabot_loop_fn)(char **args, const intptr_t *count, const intptr_t *steps,
                              void *data);

#define SABOT_LOOP_ARGS_MAX 2
typedef struct sabot_loop {
    const char *name; /* borrow: of the column that it makes */
    sabot_loop_fn fn; /* this and data must outlive every plan with it */
    void *data;
    char format; /* of arguments and results: 'g' or 'f' */
    int32_t arg_count;
    int32_t args[SABOT_LOOP_ARGS_MAX];     /* which result of the stage's function; -1: */
    double constants[SABOT_LOOP_ARGS_MAX]; /* the same value in all rows, with a step of 0 */
} sabot_loop;

typedef struct sabot_stage {
    sabot_function *function; /* borrow: its results are numbers that are never null */
    int32_t loop_count;
    const sabot_loop *loops; /* borrow */
} sabot_stage;

/* sabot_plan_lowered for a function that needs such loops: before `function` the stages run in their order, some rows at a time. A stage's
 * function gives arguments, its loops make columns of them, which the functions behind it read by name. A batch in which a loop
 * raises a floating point flag (invalid, division by zero, overflow) is the host's, as one of which a row leaves, or one of a single
 * row, where NumPy's steps are others. SABOT_INVALID: a name twice or of a column of the input, an argument that is not of the loop's
 * type, a function that is not compiled. */
SABOT_API sabot_status sabot_plan_staged(sabot_plan *plan, const char *label,
                                         sabot_function *function, bool is_filter, int32_t count,
                                         const char *const *columns, const char *const *names,
                                         const struct ArrowSchema *schema, int32_t stage_count,
                                         const sabot_stage *stages, sabot_plan **out,
                                         sabot_error *err);
SABOT_API sabot_status sabot_plan_schema(const sabot_plan *plan, struct ArrowSchema *out,
                                         bool *deferred, sabot_error *err);
/* The same of what goes into operator `op`. SABOT_INVALID: there is no such operator. */
SABOT_API sabot_status sabot_plan_input_schema(const sabot_plan *plan, int32_t op,
                                               struct ArrowSchema *out, bool *deferred,
                                               sabot_error *err);
/* The operator tree, last operator first, as users see it. out-owned: sabot_text_free. */
SABOT_API sabot_status sabot_plan_explain(const sabot_plan *plan, char **text, sabot_error *err);

/* --- on the spot ------------------------------------------------------------------------------------------------------ */
#define SABOT_SPOT_ROWS_MAX 2048

typedef struct sabot_spot sabot_spot;

/* A function over small batches, computed by native code on the calling thread, without a run. plan: with_columns of one compiled
 * function over a source; it is retained. The session must outlive the spot. Any thread may use it. */
SABOT_API sabot_status sabot_spot_new(sabot_session *session, sabot_plan *plan, sabot_spot **out,
                                      sabot_error *err);
SABOT_API void sabot_spot_free(sabot_spot *spot); /* NULL is fine */
/* Takes *batch, a batch with the source's columns. *done: *out is the function's column. Not done, and nothing made: there is no native
 * code yet, some row must be computed by the host, the batch has more rows than that, it takes longer than 10 to 20 ms, or another
 * thread is at it; then a run is to be made. */
SABOT_API sabot_status sabot_spot_run(sabot_spot *spot, struct ArrowArray *batch,
                                      struct ArrowArray *out, bool *done, sabot_error *err);

/* --- runs --------------------------------------------------------------------------------------------------------------- */
typedef struct sabot_run sabot_run;

typedef enum sabot_tier {
    SABOT_TIER_AUTO = 0,
    SABOT_TIER_INTERPRETER = 1,
    SABOT_TIER_NATIVE = 2
} sabot_tier;

typedef struct sabot_run_options {
    int32_t
        threads; /* native workers; 0: default (one a processor, at most 2 queued morsels each) */
    int64_t morsel_rows; /* 0: default */
    sabot_tier tier;     /* NATIVE: the run's start waits for native code */
    /* Per operator, function by function in plan order (all with_columns and filter functions, source first): true runs that function row
     * by row in CPython in this run (a captured name was rebound, tracing is on). NULL: none. Borrowed for the call. */
    const bool *interpret;
    int32_t interpret_count;
    /* Each batch of the source is checked in full before anything reads it: text, decimals, times, null counts, and every offset.
     * Without it, what a kernel reads is checked before it reads it. */
    bool validate;
    /* BATCH and CALL_BATCH events bring a schema only where it is another than that of the last event of the same kind and operator;
     * else it is zeroed. For hosts that keep what they made of it. schemas_known: what sabot_plan_schema and sabot_plan_input_schema tell
     * counts as brought, since the host keeps that, too. */
    bool schema_once;
    bool schemas_known;
    bool
        number_rows; /* BATCH events tell the rows in the source of all their rows, not of the first alone */
    /* The source may be silent for ever: it is asked for more only when every result of what it gave was handed out. Without it, the
     * source is read ahead while workers compute. */
    bool prompt;
    /* sabot_run_interpret may be called. Rows are then shown to the host, in a call or as a result, only when all before them were
     * given out, and what is computed ahead of that is thrown away when functions change. */
    bool revocable;
} sabot_run_options;

typedef enum sabot_event_kind {
    SABOT_EVENT_BATCH, /* a result: `array` is out-owned by the event's taker */
    SABOT_EVENT_CALL_ROWS, /* call `function` for `row_count` rows of `array`; answer with sabot_run_reply_rows */
    SABOT_EVENT_CALL_BATCH, /* call batch function `op` on `array`; answer with sabot_run_reply_batch */
    SABOT_EVENT_PULL, /* runs without a stream: the source's next batch is wanted; answer with sabot_run_reply_pull */
    SABOT_EVENT_WAKE, /* nothing to do: look at signals and call again */
    SABOT_EVENT_END
} sabot_event_kind;

typedef struct sabot_event {
    sabot_event_kind kind;
    int32_t op;             /* index of the operator in the plan; the source's consumer is 0 */
    int32_t function_index; /* CALL_ROWS: as in sabot_run_options.interpret; else -1 */
    int64_t seq;            /* input batch */
    /* Row in the source of row 0; -1: not known, as behind any batch function. */
    int64_t source_row;
    /* BATCH, CALL_BATCH: struct array and its schema, both out-owned; zeroed where `object` is not NULL. CALL_ROWS, PULL: zeroed. */
    struct ArrowArray array;
    struct ArrowSchema schema;
    /* BATCH, CALL_BATCH: the object that the host gave for just these rows and columns; borrowed until the next call for this run (a
     * call that answers gives it back). NULL: there is none. */
    void *object;
    bool data_held;   /* CALL_BATCH with an object: the engine has its data too */
    bool data_wanted; /* PULL, CALL_BATCH: the answer must bring data, since an operator reads it */

    /* CALL_ROWS, borrowed until the reply: one column for each bound parameter, of any Arrow type. */
    int32_t arg_count;
    const struct ArrowArray *const *args;
    const struct ArrowSchema *const *arg_schemas;
    /* Rows to compute (batch events: rows of the batch), their ascending indices in args, to which the caller adds
     * args[i]->offset (NULL: 0 .. row_count - 1), and their rows in the source, -1 where one is not known (NULL: source_row + index; of
     * a BATCH only with number_rows, borrowed until the next one). */
    int64_t row_count;
    const int32_t *rows;
    const int64_t *source_rows;
    /* "l" "g" "b": the host fills values[i] (int64_t, double, uint8_t) and valid[i] (0 null, 1 value) for the i-th row to
     * compute; "n": valid alone; any other: it replies with a column. For every format valid[i] == 2 drops the row; valid is zeroed. */
    const char *result_format;
    void *values;
    uint8_t *valid;
    /* Results a row: 1, or those of a function that gives several ("+s"). Then result_formats[k] is the format of result k, its
     * values are from (char *)values + k * 8 * row_count on, its valid bytes from valid + k * row_count on; valid[i] of the first drops
     * the row when it is 2, and makes all its columns null, those that are passed on too, when it is 3. No result has a column. */
    int32_t result_count;
    const char *result_formats;
} sabot_event;

/* source: taken on success; NULL: the host reads the source and is asked for its batches (event PULL). Starts no thread: that is
 * left to the first call of sabot_run_next. */
SABOT_API sabot_status sabot_run_new(sabot_plan *plan, struct ArrowArrayStream *source,
                                     const sabot_run_options *options, sabot_run **out,
                                     sabot_error *err);
/* Blocks, at most about 50 ms before a WAKE, until the lane has something to do. Call it without the interpreter's lock; the workers never
 * take it. An error of the run (in source order the first) is returned once, after every batch that precedes it; it ends the run,
 * and a new run of the same plan starts afresh. */
SABOT_API sabot_status sabot_run_next(sabot_run *run, sabot_event *event, sabot_error *err);
/* done_count rows were computed; when it is less than row_count, row done_count failed in user code and message says how (the run then
 * ends at that row: rows before it still come out; the error that sabot_run_next later returns is SABOT_USER with that message and
 * sabot_run_failure tells which). column: for result formats other than l g b n, an array of done_count values; taken. */
SABOT_API sabot_status sabot_run_reply_rows(sabot_run *run, int64_t done_count,
                                            struct ArrowArray *column, const char *message,
                                            sabot_error *err);
/* A batch from the host: its data, an object of the host's that stands for it, or both. The engine keeps the object and hands it out
 * (sabot_event.object) as long as no operator changes the batch; it is given back by `release`, which is called on the lane within
 * any call for the run, sabot_run_free the last. */
typedef struct sabot_batch {
    struct ArrowArray
        array; /* struct array (of a filter's answer: Boolean); release NULL: the object alone */
    struct ArrowSchema
        schema; /* release NULL: that of the plan's source (PULL), the known one of the operator (CALL_BATCH) */
    void *object; /* with release; NULL: none */
    void (*release)(void *object);
    int64_t row_count; /* of the object, where there is no array */
    bool
        unchanged; /* CALL_BATCH: the function gave back what it was given, or its filter keeps all rows */
    int64_t source_row; /* PULL: row in the source of row 0; -1: not known */
    const int64_t
        *source_rows; /* PULL, borrow: of each row, -1: not known; NULL: source_row + index */
} sabot_batch;

/* Answers PULL: the source's next batch. NULL batch: the source failed with message, or, without one, it has ended. What is wrong with a
 * batch becomes an error of the run. batch is taken where SABOT_OK comes back. The error of a failed source is SABOT_USER with
 * operator -1, behind every row before it. */
SABOT_API sabot_status sabot_run_reply_pull(sabot_run *run, sabot_batch *batch, const char *message,
                                            sabot_error *err);
/* Answers CALL_BATCH, as sabot_run_reply_batch does, for hosts that keep their objects. An unchanged batch needs no array, unless
 * data is wanted that the engine has not; an object given with it stands for the batch from here on. */
SABOT_API sabot_status sabot_run_reply_object(sabot_run *run, sabot_batch *batch, sabot_error *err);
/* array+schema: the result (struct array; for a filter a boolean array), taken. NULL array: it failed with message; without a message
 * the batch is dropped. */
SABOT_API sabot_status sabot_run_reply_batch(sabot_run *run, struct ArrowArray *array,
                                             struct ArrowSchema *schema, const char *message,
                                             sabot_error *err);
/* For hosts whose code may change what functions were compiled from: from here on the run has these functions, too, computed row by row
 * by the host (as sabot_run_options.interpret; false: as before), for all rows behind those that the host has seen. Of an operator
 * that waits for an answer, the functions that follow count. To be called after such code and before the answer, reply or
 * sabot_run_next that comes next. Work that is done twice is counted twice. SABOT_STATE: the run is not revocable. */
SABOT_API sabot_status sabot_run_interpret(sabot_run *run, const bool *interpret,
                                           int32_t interpret_count, sabot_error *err);
/* Where a SABOT_USER error came from: operator, function index (-1 for batch functions), source row (-1 unknown), seq. */
SABOT_API void sabot_run_failure(const sabot_run *run, int32_t *op, int32_t *function_index,
                                 int64_t *source_row, int64_t *seq);
SABOT_API void sabot_run_cancel(sabot_run *run); /* any thread; next then returns SABOT_CANCELLED */
/* JSON object:
 *   functions: [{name, operator, column, mode, tier, rows, rows_native, rows_interpreter, rows_left{}, rows_cpython, ns_per_row}]
 *   operators: [{name, label (of a batch function, else null), rows_in, rows_out, batches_in, batches_out, busy_ns, host_ns, wait_ns,
 *     bytes_out, capabilities[]}], source first. Batches are those that the operator saw: what a large one was cut into.
 *     busy_ns: in the operator's own code, of all threads; host_ns: from each call of the host to its answer; wait_ns: calls of the
 *     host, until the lane came to them. bytes_out: values, offsets and validity of the columns that the operator made, by the lengths
 *     of their buffers. Columns passed on do not count, nor a dictionary's values, data that stayed with the host, and the rows
 *     of a filter that are copied only later.
 *   batches, rows (of the source), source_ns (until the source gave its batches), morsels, workers (the most that ran).
 * Rows, batches and bytes do not depend on the number of workers, in a run that fails nowhere. */
SABOT_API sabot_status sabot_run_report(const sabot_run *run, char **json, sabot_error *err);
SABOT_API void sabot_run_free(sabot_run *run); /* take; cancels, joins the workers; NULL is fine */

#ifdef __cplusplus
}
#endif
#endif
