/* Compile service: LLVM IR text in, callable code out, in the background.
 *
 *     sb_jit_new(&jit, &options, err);                         one per session
 *     sb_jit_request(jit, &text, "kernel", &code, err);        returns at once
 *     fn = sb_code_entry(code);  fn != NULL ? fn(...) : interpret;   once a vector
 *     sb_code_drop(code);  ...  sb_jit_free(jit);
 *
 * Every request ends READY or FAILED with a reason; that there is no compiler, no executable memory, a crash or a time limit
 * are reasons like any other, and whoever asked goes on interpreting.
 *
 * Objects are kept in a cache (cache.h), which sessions may share and which may have a folder: a text that was compiled once is
 * loaded again with no compiler at all. Refusals and time limits, which would only repeat themselves, are kept by the service.
 *
 * Threads: every function may be called from any thread, sb_jit_free by one, when no sb_jit_* call is under way. Handles
 * may outlive the service: their code stays callable until the last is dropped.
 * Fork: in a child of the process that made it every request is FAILED, and nothing of the parent's is touched or freed.
 * Locks: one mutex, under which only that of the cache is taken; no callback runs under it. */
#ifndef SB_JIT_CODE_H
#define SB_JIT_CODE_H

#include "base/buf.h"
#include "ir/kernel.h"

struct sb_cache;

typedef struct sb_jit sb_jit;
typedef struct sb_code sb_code;

typedef struct sb_jit_options {
    const char *helper_path; /* borrow; NULL: no compiler, every request fails with that reason */
    const char *cpu;         /* borrow: "x86-64-v3"; NULL: sb_cpu_level() */
    const char *features;    /* borrow: LLVM's syntax; NULL: those of the cpu */
    int64_t compile_timeout_ns; /* 0: 10 s */
    struct sb_cache *cache;     /* borrow, held from here on; NULL: one of its own, in memory */
    size_t cache_bytes_max;     /* of its own; 0: 64 MiB */
    size_t queue_count_max;     /* waiting requests; 0: 256 */
    bool dump_asm;              /* writes the assembly of every text compiled to stderr */
} sb_jit_options;

typedef struct sb_jit_stats {
    int64_t requests;
    int64_t compiles;   /* texts that the compiler answered with an object */
    int64_t cache_hits; /* requests answered by objects or refusals kept, in memory or on disk */
    int64_t disk_hits;  /* of them by objects on disk */
    int64_t loads;      /* objects mapped; as the two sizes below, of all that use the cache */
    int64_t failures;   /* requests that ended FAILED */
    int64_t compile_ns; /* sum over compiles */
    int64_t helper_starts;
    int64_t helper_pid; /* 0: none runs */
    int64_t queued;
    size_t cache_bytes;
    size_t loaded_bytes; /* mapped code that handles keep */
} sb_jit_stats;

typedef enum sb_code_origin {
    SB_CODE_NOWHERE, /* not READY */
    SB_CODE_COMPILED,
    SB_CODE_FROM_MEMORY,
    SB_CODE_FROM_DISK
} sb_code_origin;

typedef enum sb_code_state {
    SB_CODE_PENDING = 0,
    SB_CODE_READY = 1,
    SB_CODE_FAILED = 2
} sb_code_state;

/* Best processor level that this machine and its system support: "x86-64", "x86-64-v2" to "-v4"; "aarch64", which has one
 * (vectors of 128 bits); "generic" elsewhere. Static. */
const char *sb_cpu_level(void);

sb_status sb_jit_new(sb_jit **out, const sb_jit_options *options, sb_error *err); /* out-owned */
/* take; NULL is fine. Kills a compile under way; what is pending becomes FAILED. */
void sb_jit_free(sb_jit *jit);
const char *sb_jit_cpu(const sb_jit *jit); /* borrow */
void sb_jit_stats_get(sb_jit *jit, sb_jit_stats *out);

/* Asks for the function `symbol` (at most 63 bytes) of text. What text holds is taken whatever the result, and it is empty
 * afterwards. SB_OK with a handle, out-owned, even when that is FAILED at once; SB_LIMIT when the queue is full (ask again
 * later), SB_NO_MEMORY, SB_INVALID. */
sb_status sb_jit_request(sb_jit *jit, sb_buf *text, const char *symbol, sb_code **out,
                         sb_error *err);

void sb_code_retain(sb_code *code);
void sb_code_drop(sb_code *code); /* take; NULL is fine. No call of its entry may be running */

sb_kernel_fn sb_code_entry(const sb_code *code); /* NULL until READY; one atomic load */
sb_code_state sb_code_state_get(const sb_code *code);
sb_code_state sb_code_wait(sb_code *code, int64_t deadline_ns); /* PENDING: the deadline passed */
void sb_code_failure(const sb_code *code, sb_buf *out); /* appends why it is FAILED; else nothing */
int64_t sb_code_compile_ns(const sb_code *code); /* 0: it came from the cache, or is not READY */
sb_code_origin sb_code_origin_get(const sb_code *code);

#endif
