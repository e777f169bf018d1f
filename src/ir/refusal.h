/* Why a function, or a place in it, is not compiled. One table: codes are what reports and tests name.
 *
 * X(NAME, "code", "message", "hint"): message may be followed by a detail. */
#ifndef SB_IR_REFUSAL_H
#define SB_IR_REFUSAL_H

#include "base/compiler.h"

#define SB_REFUSAL_LIST(X)                                                                         \
    X(NO_SOURCE, "no_source", "the function's source text was not found",                          \
      "define it in a file, a notebook or python -c, not through a string given to exec")          \
    X(SOURCE_MISMATCH, "source_mismatch", "the source text does not give this code object",        \
      "the file changed since it was loaded, or a tool rewrote the code")                          \
    X(SYNTAX, "syntax", "this form is not compiled yet", "")                                       \
    X(OPERATOR, "operator", "this operator is not compiled yet", "")                               \
    X(UNKNOWN_CALL, "unknown_call", "Sabot does not know what this call reads or writes", "")      \
    X(CAPTURED, "captured", "a captured object of this type is not compiled",                      \
      "captured numbers, booleans, None and strings are")                                          \
    X(UNRESOLVED, "unresolved", "this name is not defined when the stream is built", "")           \
    X(IMPURE, "impure", "it writes outside the function", "")                                      \
    X(SIGNATURE, "signature", "this kind of parameter or function is not compiled", "")            \
    X(BIG_CONSTANT, "big_constant", "an integer constant beyond 64 bits", "")                      \
    X(TYPE, "type", "a value of this type is not compiled yet", "")                                \
    X(COLUMN_TYPE, "column_type", "a column of this type is not compiled yet", "")                 \
    X(RESULT_TYPE, "result_type", "the result's type cannot be told",                              \
      "add a return annotation, such as -> int")                                                   \
    X(TOO_COMPLEX, "too_complex", "the function is too large or too deeply nested to compile", "") \
    X(BATCH, "batch", "a batch function runs in CPython, batch by batch", "")                      \
    X(TRACING, "tracing", "a trace or profile function is set", "")                                \
    X(OFF, "off", "compilation is switched off (compile=\"off\")", "")                             \
    X(REBOUND, "rebound", "a captured name was rebound after the stream was built",                \
      "build the stream again to compile with the new value")

typedef enum sb_refusal_code {
    SB_REFUSAL_NONE,
#define X(name, code, message, hint) SB_REFUSAL_##name,
    SB_REFUSAL_LIST(X)
#undef X
        SB_REFUSAL_COUNT
} sb_refusal_code;

const char *sb_refusal_code_name(uint32_t code);    /* borrow, static: "unknown_call" */
const char *sb_refusal_code_message(uint32_t code); /* borrow, static */
const char *sb_refusal_code_hint(uint32_t code);    /* borrow, static; may be "" */
uint32_t sb_refusal_code_of_name(const char *name,
                                 size_t size); /* SB_REFUSAL_SYNTAX when unknown */

#endif
