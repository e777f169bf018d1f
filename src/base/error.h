/* Statuses and error messages.
 *
 * A fallible function returns sb_status and takes `sb_error *err` last. err may be NULL and is untouched on
 * success. sb_error_set gives its status back, so a failing function ends in one line:
 *     return sb_error_set(err, SB_INVALID, "offset %lld is negative", off);
 *
 * Memory: sb_error is a plain value in the caller's storage; long messages are cut. Threads: any. */
#ifndef SB_BASE_ERROR_H
#define SB_BASE_ERROR_H

#include "base/compiler.h"

/* name, what it tells the caller */
#define SB_STATUS_LIST(X)                                                                          \
    X(OK, "success")                                                                               \
    X(NO_MEMORY, "out of memory")                                                                  \
    X(INVALID, "bad argument or malformed data")                                                   \
    X(TYPE, "types do not fit")                                                                    \
    X(UNKNOWN_COLUMN, "no such column")                                                            \
    X(UNSUPPORTED, "not supported")                                                                \
    X(OS, "the operating system refused")                                                          \
    X(TIMEOUT, "time limit reached")                                                               \
    X(LIMIT, "a configured maximum was reached")                                                   \
    X(CANCELLED, "cancelled")                                                                      \
    X(USER, "user code failed")                                                                    \
    X(STATE, "called in the wrong state")                                                          \
    X(INTERNAL, "internal error")

typedef enum sb_status {
#define X(name, text) SB_##name,
    SB_STATUS_LIST(X)
#undef X
        SB_STATUS_COUNT
} sb_status;

#define SB_ERROR_MESSAGE_SIZE 480

typedef struct sb_error {
    sb_status status;
    char message[SB_ERROR_MESSAGE_SIZE]; /* NUL-terminated UTF-8 */
} sb_error;

const char *sb_status_name(sb_status status); /* borrow, static: "NO_MEMORY" */

/* Fills *err when err is not NULL; returns status. Never allocates. */
sb_status sb_error_set(sb_error *err, sb_status status, const char *format, ...) SB_PRINTF(3, 4);
sb_status sb_error_no_memory(sb_error *err, size_t size);

/* Programmer errors only; compiled out with NDEBUG. */
#ifdef NDEBUG
#define SB_ASSERT(cond) ((void)0)
#else
#define SB_ASSERT(cond) ((cond) ? (void)0 : sb_assert_failed(#cond, __FILE__, __LINE__))
#endif
SB_NORETURN void sb_assert_failed(const char *cond, const char *file, int line);

/* Leaves the function through `out:` with `status` set; for functions that must release. */
#define SB_TRY(expr)                                                                               \
    do {                                                                                           \
        status = (expr);                                                                           \
        if (status != SB_OK) {                                                                     \
            goto out;                                                                              \
        }                                                                                          \
    } while (0)

#endif
