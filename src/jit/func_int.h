/* What a function keeps of how it runs, for the files of this room that run it and report on it.
 *
 * Threads: handles and counters are atomic; see func.c. */
#ifndef SB_JIT_FUNC_INT_H
#define SB_JIT_FUNC_INT_H

#include <stdatomic.h>

#include "interp/interp.h"
#include "jit/code.h"
#include "jit/func.h"
#include "jit/passes.h"
#include "os/os.h"

#define NATIVE_WORTH 100000 /* operations in tier 0, some 0.1 ms */

enum { ENTRY_FAST, ENTRY_CAREFUL, ENTRY_COUNT };

typedef struct sb_func_private {
    atomic_int references;
    struct sb_jit *jit; /* borrow; NULL: never native */
    sb_interp *interp;
    int lanes;
    sb_mutex *mutex; /* over requests */
    _Atomic(sb_code *) codes[ENTRY_COUNT];
    atomic_bool request_failed[ENTRY_COUNT]; /* emitting or queueing failed for good */
    atomic_llong worth;                      /* operations done in tier 0 */
    atomic_llong vectors, bad_vectors;
    sb_passes passes;
    atomic_llong rows, rows_native, rows_interpreter;
    atomic_llong ns[SB_RAN_COUNT], rows_timed[SB_RAN_COUNT];
    atomic_uint tries; /* of sb_func_try */
    atomic_llong left[SB_REASON_COUNT];
} func_private;

/* The text of an entry for LLVM. */
sb_status sb_func_emit(const sb_func *func, int entry, sb_buf *text, sb_error *err);
/* An entry's native code; NULL: there is none, or not yet. */
sb_kernel_fn sb_func_entry(const sb_func *func, int entry);
/* Whether the fast entry fails so often that the careful one is used instead. */
bool sb_func_is_often_bad(const func_private *priv);

#endif
