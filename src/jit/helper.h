/* Client of the compiler process: LLVM IR text in, object bytes or assembly text out.
 *
 * The process starts at the first compile and is kept. It may crash, hang, lie or be missing; none of that reaches the
 * caller but as a status:
 *     SB_INVALID    the compiler refused the text; the message is its own, the process is well
 *     SB_OS         the process could not be started, or died twice on this text, or answered nonsense twice
 *     SB_TIMEOUT    no answer in time; the process was killed
 *     SB_CANCELLED  sb_helper_cancel was called; the process was killed
 *     SB_STATE      declared broken after too many failures in a row (the message says of what), or called in a fork
 *     SB_LIMIT      the text or a name is too long
 *
 * Threads: one caller at a time, except sb_helper_cancel, which any thread may call while the helper lives.
 * Fork: a child of the process that made the helper is refused, and freeing the helper there leaves the process alone. */
#ifndef SB_JIT_HELPER_H
#define SB_JIT_HELPER_H

#include "base/buf.h"

typedef struct sb_helper sb_helper;

typedef struct sb_helper_options {
    const char *path;         /* borrow, copied: the program */
    int64_t timeout_ns;       /* for one compile, retry included; 0: 10 s */
    int64_t memory_bytes_max; /* address space of the process; 0: 4 GiB */
    int64_t cpu_seconds_max;  /* of one process in all; 0: 600 */
    int32_t failures_max;     /* failed compiles in a row until it is declared broken; 0: 3 */
} sb_helper_options;

typedef struct sb_helper_request {
    const char *text; /* borrow: LLVM IR */
    size_t text_size;
    const char *cpu;      /* borrow: as LLVM names it, "x86-64-v3" */
    const char *features; /* borrow: "+avx2,-fma"; NULL: none */
    bool want_asm;        /* assembly text instead of an object */
    int64_t deadline_ns; /* absolute; the helper's own time limit holds too. SB_NEVER: that alone */
} sb_helper_request;

sb_status sb_helper_new(sb_helper **out, const sb_helper_options *options,
                        sb_error *err); /* out-owned */
void sb_helper_free(sb_helper *helper); /* take; NULL is fine. Kills the process */

/* Replaces what reply (borrowed) holds by the object or assembly text; on failure reply is empty. */
sb_status sb_helper_compile(sb_helper *helper, const sb_helper_request *request, sb_buf *reply,
                            sb_error *err);

/* Makes the compile that runs now, and every later one, end with SB_CANCELLED within some 10 ms. */
void sb_helper_cancel(sb_helper *helper);

int64_t sb_helper_starts(const sb_helper *helper); /* processes started so far */
int64_t sb_helper_pid(const sb_helper *helper);    /* of the running process; 0: none runs */
bool sb_helper_broken(const sb_helper *helper);
/* Was the last answer that of the program built with this engine? By the thread that compiles. */
bool sb_helper_is_own(const sb_helper *helper);

#endif
