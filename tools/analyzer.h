/* Included by clang-tidy before each source of the engine: what sb_error_set returns, which the analyzer cannot see from
 * another file. Without it every error path looks as if it might go on. */
#ifndef SB_TOOLS_ANALYZER_H
#define SB_TOOLS_ANALYZER_H

#include "base/error.h"

static inline sb_status sb_analyzer_same(sb_status status)
{
    return status;
}

#define sb_error_set(err, status, ...)                                                             \
    ((void)(sb_error_set)(err, status, __VA_ARGS__), sb_analyzer_same(status))
#define sb_error_no_memory(err, size)                                                              \
    ((void)(sb_error_no_memory)(err, size), sb_analyzer_same(SB_NO_MEMORY))

#endif
