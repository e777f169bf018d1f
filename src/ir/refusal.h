/* Why a function, or a place in it, is not compiled. One table: codes are what reports and tests name.
 *
 * X(NAME, "code", "message", "hint"): message may be followed by a detail. Each has a golden report in tests/test_refusals.py. What is
 * no affair of the engine has no row: batch functions and untold results are those of the host's reports. */
#ifndef SB_IR_REFUSAL_H
#define SB_IR_REFUSAL_H

#include "base/compiler.h"

#define SB_REFUSAL_LIST(X)                                                                         \
    X(NO_SOURCE, "no_source", "the function's source text was not found",                          \
      "define it in a file, a notebook or python -c, not through a string given to exec")          \
    X(SOURCE_MISMATCH, "source_mismatch", "the source text does not give this code object",        \
      "load it again if its file changed; a tool that rewrites code has to be off for it")         \
    X(SYNTAX, "syntax", "this form is not compiled yet",                                           \
      "write it with forms that are, or give this part a function and a column of its own")        \
    X(OPERATOR, "operator", "this operator is not compiled yet",                                   \
      "compiled are arithmetic, comparisons, `is` with None, True or False, and `in` a tuple or "  \
      "list")                                                                                      \
    X(UNKNOWN_CALL, "unknown_call", "Sabot does not know what this call reads or writes",          \
      "write it with operators, math or functions of your own, or give it a column of its own")    \
    X(CAPTURED, "captured", "a captured object of this type is not compiled",                      \
      "captured numbers, booleans, None and strings are, and what holds only such and is only "    \
      "read")                                                                                      \
    X(UNRESOLVED, "unresolved", "this name is not defined when the stream is built",               \
      "define it before")                                                                          \
    X(NOT_LOADED, "not_loaded", "a module that is not loaded when the stream is built",            \
      "import it at the top of the file")                                                          \
    X(IMPURE, "impure", "it reads or writes outside the function",                                 \
      "only compute and return here; what else is done for a row stays in a function that "        \
      "CPython runs")                                                                              \
    X(SIGNATURE, "signature", "this kind of parameter or function is not compiled",                \
      "a plain function with named parameters that returns one value is")                          \
    X(BIG_CONSTANT, "big_constant", "an integer constant beyond 64 bits",                          \
      "write it as a float, such as 1e30, where that is exact enough")                             \
    X(TYPE, "type", "a value of this type is not compiled yet",                                    \
      "numbers, booleans and None are, and inside the function tuples and lists of these")         \
    X(COLUMN_TYPE, "column_type", "a column of this type is not compiled yet",                     \
      "columns of numbers, booleans, dates and timestamps are; convert it in a column of its own") \
    X(TOO_COMPLEX, "too_complex", "the function is too large or too deeply nested to compile",     \
      "split it: a part of it can be a column that the rest reads")                                \
    X(OFF, "off", "compilation is switched off (compile=\"off\")",                                 \
      "sabot.config or sabot.udf said so")

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
