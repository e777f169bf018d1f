/* A function ready to run: its IR, tier 0, native code as it arrives, and its counters. What plan and exec know of a function.
 *
 * sb_func_new -> sb_func_start (asks for native code, returns at once) -> per worker sb_func_local_new -> sb_func_run per vector
 *
 * Tiers: sb_func_run uses native code when it is there and the tier allows, else tier 0. Native code is the fast entry first; a vector it
 * calls BAD is done again by tier 0; when more than 1 vector in 16 is BAD the careful entry is asked for and used.
 * A function that is not compiled (compiled == false) has no kernel: the engine hands all its rows to CPython.
 *
 * Threads: const after sb_func_new but for atomics (reference count, counters, code handles). A local belongs to one worker. */
#ifndef SB_JIT_FUNC_H
#define SB_JIT_FUNC_H

#include "base/buf.h"
#include "ir/func_info.h"
#include "ir/kernel.h"

struct sb_jit;

typedef enum sb_tier { SB_TIER_AUTO = 0, SB_TIER_INTERPRETER = 1, SB_TIER_NATIVE = 2 } sb_tier;

typedef struct sb_func sb_func;
struct sb_func {
    char *name;   /* owned */
    char *record; /* owned: the parameter of a record function; "" or NULL: a scalar one */
    bool compiled;
    bool is_whole;         /* of whole batches, by sb_func_run_whole alone: see sb_item */
    bool can_raise;        /* some row may leave or raise */
    char result_format[8]; /* Arrow format: "l" "g" "b" "u" "n"; "+s": one result for each key */
    sb_prim result_prim;   /* of "l" "g" "b"; VOID otherwise */
    uint32_t key_count;    /* 0: one result */
    sb_func_key *keys;     /* owned: its results, the kernel's outputs in order */
    uint32_t param_count;  /* bound parameters, in parameter order */
    sb_func_param *params; /* owned */
    uint32_t refusal_count;
    sb_refusal *refusals; /* owned */
    sb_ir ir;             /* when compiled */
    char *host;           /* owned: what the host computes it with, as reports say; NULL: CPython */
    char *host_why;       /* owned: why CPython, in place of the refusals; NULL: those say it */
    struct sb_func_private *priv;
};

/* Everything of *parts is taken on success (its priv is ignored), nothing on failure. */
sb_status sb_func_new(struct sb_jit *jit /* borrow, may be NULL: never native */, sb_func *parts,
                      sb_func **out, sb_error *err);
sb_func *sb_func_retain(sb_func *func);
void sb_func_drop(sb_func *func);           /* NULL is fine */
void sb_func_parts_release(sb_func *parts); /* for the parts of a function that was not made */

/* Says that the host computes it with something else than CPython (name), or why not (why); the other is NULL. Before it is shared; of
 * one that is not compiled. */
sb_status sb_func_set_host(sb_func *func, const char *name, const char *why, sb_error *err);
/* "compiled", "interpreted", or what the host computes it with. borrow */
const char *sb_func_mode(const sb_func *func);

bool sb_func_is_record(const sb_func *func);
/* Results a row, and the Arrow format of one of them. */
uint32_t sb_func_result_count(const sb_func *func);
const char *sb_func_format(const sb_func *func, uint32_t result);

/* Asks for native code when the tier wants it; NATIVE waits until it is there or failed. Cheap when repeated. */
void sb_func_start(sb_func *func, sb_tier tier);

typedef struct sb_func_local sb_func_local;
sb_status sb_func_local_new(sb_func *func, sb_func_local **out, sb_error *err);
void sb_func_local_free(sb_func_local *local);

enum { SB_RAN_INTERPRETER, SB_RAN_NATIVE, SB_RAN_COUNT };

typedef struct sb_func_counts {
    int64_t rows, rows_native,
        rows_interpreter; /* rows given; finished or left in native code / in tier 0 */
    int64_t left[SB_REASON_COUNT];
    /* Some vectors are timed: their time and rows, in tier 0 and in native code. One that native code gives up counts with both
     * times as tier 0's. */
    int64_t ns[SB_RAN_COUNT], rows_timed[SB_RAN_COUNT];
} sb_func_counts;

/* Computes rows [0, row_count) of one vector. The caller sets in, out, active, stop of *call; this sets rt, the leave list (owned by
 * `local`, valid until its next run) and leaves leave_count entries in call->leave. Adds to *counts (the caller's own) and to the
 * function's totals. SB_OK, SB_CANCELLED (stop was set), SB_NO_MEMORY. */
sb_status sb_func_run(sb_func *func, sb_func_local *local, sb_kcall *call, int32_t row_count,
                      sb_tier tier, sb_func_counts *counts, sb_error *err);

/* The same for a function of whole batches: one row, whose inputs are lists of `rows` items. Its outputs are lists that stay until the
 * next run of `local`. */
sb_status sb_func_run_whole(sb_func *func, sb_func_local *local, sb_kcall *call, int64_t rows,
                            sb_tier tier, sb_func_counts *counts, sb_error *err);

/* Counts rows that leave for another reason than the kernel's, such as what a whole batch's columns or results are. */
void sb_func_leave(sb_func_local *local, int64_t rows, sb_reason reason, sb_func_counts *counts);

/* Whether a vector, or a batch that leaves as a whole, shall be the host's without a try, see passes.h; only under AUTO. It is
 * counted then. */
bool sb_func_passes(sb_func_local *local, int64_t rows, sb_tier tier, sb_func_counts *counts);
/* Tells how many of the rows of one that was tried left. undivided: one row takes all others with it. */
void sb_func_judge(sb_func_local *local, int64_t rows, int64_t left, bool undivided, sb_tier tier);

/* sb_func_run by the fast entry alone, if it is there: false when some row must leave or stop was set; nothing is counted then, and what
 * was written means nothing. Of the local only the memory of lists is used. */
bool sb_func_try(sb_func *func, sb_func_local *local, sb_kcall *call, int32_t row_count);

/* --- looking ------------------------------------------------------------------------------------------------------ */
void sb_func_report(const sb_func *func,
                    sb_buf *json); /* the JSON object of sabot_function_report */
/* what: "ir", "llvm", "asm" (asks the compiler at helper_path; may be NULL for the others). */
sb_status sb_func_text(sb_func *func, const char *what, const char *helper_path, sb_buf *text,
                       sb_error *err);

#endif
