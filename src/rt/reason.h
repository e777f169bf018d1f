/* Why a row leaves native code for CPython. One list; names appear in reports and tests. */
#ifndef SB_RT_REASON_H
#define SB_RT_REASON_H

#include "base/compiler.h"

/* name, text for reports */
#define SB_REASON_LIST(X)                                                                          \
    X(NONE, "none", "did not leave")                                                               \
    X(OVERFLOW, "overflow", "an integer result needs more than 64 bits")                           \
    X(BIGINT, "bigint", "an integer is too large for the exact double path")                       \
    X(DIV_ZERO, "div_zero", "division or modulo by zero")                                          \
    X(NONE_OPERAND, "none_operand", "None where a number is needed")                               \
    X(TYPE_TAG, "type_tag", "a value of this kind does not fit the operation or the result type")  \
    X(RAISE, "raise", "the function raises here")                                                  \
    X(MEMORY, "memory", "the lists of one row grow beyond a limit")                                \
    X(DEPTH, "depth", "more functions inside each other than native code follows")                 \
    X(NP_WARNING, "np_warning", "NumPy would warn here")

typedef enum sb_reason {
#define X(name, text, doc) SB_REASON_##name,
    SB_REASON_LIST(X)
#undef X
        SB_REASON_COUNT
} sb_reason;

const char *sb_reason_name(sb_reason reason); /* borrow, static: "overflow" */

#endif
