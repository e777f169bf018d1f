/* The op table: the one place that says what an op is. Enum, names, verifier, printer, interpreter and emitter derive from it.
 *
 * X(NAME, text, result, operands, flags)
 *   result    b, i, f: boolean, int64, double;  *: the instruction's own prim;  v: no value
 *   operands  one letter per operand a, b, c, as for result
 *   flags     LEAVES: may make a row leave (each with the reasons its rt primitive gives)
 *             RAISES: some of those rows raise in CPython, so the op stays even when its value is not used
 *             STRUCT: part of the region structure, see ir.h
 *             STAYS: kept though its value is not used, as it changes a list
 *             LIST_FLAG: reads or changes lists: in program order, for the row alone
 *
 * Families: py_ is a Python scalar operation, defined by the function of the same name in rt/rt.h; np_ is one of NumPy's scalars,
 * likewise; ix_ is internal index arithmetic (wraps, never leaves); list_ is on lists of the row's own, defined by rt/list.h; the rest
 * are plain. */
#ifndef SB_IR_OPS_H
#define SB_IR_OPS_H

#include "rt/list.h"
#include "rt/slow.h"

#define SB_OP_LEAVES 1u
#define SB_OP_STRUCT 2u
#define SB_OP_RAISES 4u
#define SB_OP_STAYS 8u
#define SB_OP_LIST_FLAG 16u

#define SB_OP_MATH1(X, NAME, name)                                                                 \
    X(MATH_##NAME, "math_" #name, 'f', "f", SB_OP_LEAVES | SB_OP_RAISES)
#define SB_OP_MATH2(X, NAME, name)                                                                 \
    X(MATH_##NAME, "math_" #name, 'f', "ff", SB_OP_LEAVES | SB_OP_RAISES)

#define SB_OP_OF_LIST(X, NAME, name, result, operands, leaves, stays)                              \
    X(LIST_##NAME, "list_" #name, result, operands,                                                \
      SB_OP_LIST_FLAG | ((leaves) ? SB_OP_LEAVES : 0u) | ((stays) ? SB_OP_STAYS : 0u))

#define SB_OP_LIST(X)                                                                              \
    X(NOP, "nop", 'v', "", 0)                                                                      \
    /* inputs and constants: imm.i is the input's index, or the value */                           \
    X(IN, "in", '*', "", 0)                                                                        \
    X(IN_VALID, "in_valid", 'b', "", 0)                                                            \
    X(CONST_B, "const_b", 'b', "", 0)                                                              \
    X(CONST_I, "const_i64", 'i', "", 0)                                                            \
    X(CONST_F, "const_f64", 'f', "", 0)                                                            \
    /* booleans */                                                                                 \
    X(NOT, "not", 'b', "b", 0)                                                                     \
    X(AND, "and", 'b', "bb", 0)                                                                    \
    X(OR, "or", 'b', "bb", 0)                                                                      \
    X(XOR, "xor", 'b', "bb", 0)                                                                    \
    X(SELECT, "select", '*', "b**", 0) /* a ? b : c */                                             \
    /* conversions */                                                                              \
    X(PY_INT_B, "py_int_b", 'i', "b", 0)                                                           \
    X(PY_FLOAT_I64, "py_float_i64", 'f', "i", 0)                        /* rounds half to even */  \
    X(PY_EXACT_FLOAT_I64, "py_exact_float_i64", 'f', "i", SB_OP_LEAVES) /* |a| > 2**53: bigint */  \
    /* integers */                                                                                 \
    X(PY_ADD_I64, "py_add_i64", 'i', "ii", SB_OP_LEAVES)                                           \
    X(PY_SUB_I64, "py_sub_i64", 'i', "ii", SB_OP_LEAVES)                                           \
    X(PY_MUL_I64, "py_mul_i64", 'i', "ii", SB_OP_LEAVES)                                           \
    X(PY_NEG_I64, "py_neg_i64", 'i', "i", SB_OP_LEAVES)                                            \
    X(PY_FLOORDIV_I64, "py_floordiv_i64", 'i', "ii", SB_OP_LEAVES | SB_OP_RAISES)                  \
    X(PY_MOD_I64, "py_mod_i64", 'i', "ii", SB_OP_LEAVES | SB_OP_RAISES)                            \
    X(PY_TRUEDIV_I64, "py_truediv_i64", 'f', "ii",                                                 \
      SB_OP_LEAVES | SB_OP_RAISES) /* beyond 2**53: bigint */                                      \
    X(PY_AND_I64, "py_and_i64", 'i', "ii", 0)                                                      \
    X(PY_OR_I64, "py_or_i64", 'i', "ii", 0)                                                        \
    X(PY_XOR_I64, "py_xor_i64", 'i', "ii", 0)                                                      \
    X(PY_INVERT_I64, "py_invert_i64", 'i', "i", 0)                                                 \
    X(PY_BIT_COUNT_I64, "py_bit_count_i64", 'i', "i", 0)                                           \
    X(PY_BIT_LENGTH_I64, "py_bit_length_i64", 'i', "i", 0)                                         \
    X(PY_LSHIFT_I64, "py_lshift_i64", 'i', "ii", SB_OP_LEAVES | SB_OP_RAISES)                      \
    X(PY_RSHIFT_I64, "py_rshift_i64", 'i', "ii", SB_OP_LEAVES | SB_OP_RAISES)                      \
    X(PY_ABS_I64, "py_abs_i64", 'i', "i", SB_OP_LEAVES)                                            \
    X(PY_POW_I64, "py_pow_i64", 'i', "ii", SB_OP_LEAVES) /* b >= 0 */                              \
    X(PY_ROUND_N_I64, "py_round_n_i64", 'i', "ii", SB_OP_LEAVES)                                   \
    X(MATH_GCD_I64, "math_gcd_i64", 'i', "ii", SB_OP_LEAVES)                                       \
    X(MATH_ISQRT_I64, "math_isqrt_i64", 'i', "ii", SB_OP_LEAVES | SB_OP_RAISES) /* b: not read */  \
    /* doubles */                                                                                  \
    X(PY_ADD_F64, "py_add_f64", 'f', "ff", 0)                                                      \
    X(PY_SUB_F64, "py_sub_f64", 'f', "ff", 0)                                                      \
    X(PY_MUL_F64, "py_mul_f64", 'f', "ff", 0)                                                      \
    X(PY_NEG_F64, "py_neg_f64", 'f', "f", 0)                                                       \
    X(PY_TRUEDIV_F64, "py_truediv_f64", 'f', "ff", SB_OP_LEAVES | SB_OP_RAISES)                    \
    X(PY_FLOORDIV_F64, "py_floordiv_f64", 'f', "ff", SB_OP_LEAVES | SB_OP_RAISES)                  \
    X(PY_MOD_F64, "py_mod_f64", 'f', "ff", SB_OP_LEAVES | SB_OP_RAISES)                            \
    X(PY_ABS_F64, "py_abs_f64", 'f', "f", 0)                                                       \
    X(FLOOR_F64, "floor_f64", 'f', "f", 0)                                                         \
    X(CEIL_F64, "ceil_f64", 'f', "f", 0)                                                           \
    X(RINT_F64, "rint_f64", 'f', "f", 0) /* half to even */                                        \
    X(NP_F32, "np_f32", 'f', "f", 0)     /* rounded to a float32 */                                \
    X(PY_INT_F64, "py_int_f64", 'i', "f", SB_OP_LEAVES | SB_OP_RAISES)                             \
    X(PY_POW_F64, "py_pow_f64", 'f', "ff", SB_OP_LEAVES | SB_OP_RAISES)                            \
    X(PY_ROUND_N_F64, "py_round_n_f64", 'f', "fi", SB_OP_LEAVES | SB_OP_RAISES)                    \
    X(MATH_SQRT, "math_sqrt", 'f', "f", SB_OP_LEAVES | SB_OP_RAISES)                               \
    X(MATH_LDEXP, "math_ldexp", 'f', "fi", SB_OP_LEAVES | SB_OP_RAISES)                            \
    X(MATH_EXPONENT, "math_exponent", 'i', "ff", 0) /* of frexp; b: not read */                    \
    SB_RT_MATH1_LIST(SB_OP_MATH1, X)                                                               \
    SB_RT_MATH2_LIST(SB_OP_MATH2, X)                                                               \
    /* comparisons; int with float is exact */                                                     \
    X(PY_EQ_I64, "py_eq_i64", 'b', "ii", 0)                                                        \
    X(PY_LT_I64, "py_lt_i64", 'b', "ii", 0)                                                        \
    X(PY_LE_I64, "py_le_i64", 'b', "ii", 0)                                                        \
    X(PY_EQ_F64, "py_eq_f64", 'b', "ff", 0)                                                        \
    X(PY_LT_F64, "py_lt_f64", 'b', "ff", 0)                                                        \
    X(PY_LE_F64, "py_le_f64", 'b', "ff", 0)                                                        \
    X(PY_EQ_I64_F64, "py_eq_i64_f64", 'b', "if", 0)                                                \
    X(PY_LT_I64_F64, "py_lt_i64_f64", 'b', "if", 0)                                                \
    X(PY_LE_I64_F64, "py_le_i64_f64", 'b', "if", 0)                                                \
    X(PY_GT_I64_F64, "py_gt_i64_f64", 'b', "if", 0)                                                \
    X(PY_GE_I64_F64, "py_ge_i64_f64", 'b', "if", 0)                                                \
    /* index arithmetic: wraps; udiv is unsigned, by zero gives zero */                            \
    X(IX_ADD, "ix_add", 'i', "ii", 0)                                                              \
    X(IX_SUB, "ix_sub", 'i', "ii", 0)                                                              \
    X(IX_UDIV, "ix_udiv", 'i', "ii", 0)                                                            \
    X(IX_BITS_F64, "ix_bits_f64", 'i', "f", 0) /* a double's bits, and back */                     \
    X(IX_F64_BITS, "ix_f64_bits", 'f', "i", 0)                                                     \
    /* leaving: `reason` says why */                                                               \
    X(LEAVE_IF, "leave_if", 'v', "b", SB_OP_LEAVES | SB_OP_RAISES)                                 \
    X(NP_WARN_F64, "np_warn_f64", 'v', "fff",                                                      \
      SB_OP_LEAVES | SB_OP_RAISES) /* where NumPy warns of the result a of b and c */              \
    X(KEEP, "keep", 'v', "*",                                                                      \
      SB_OP_STAYS) /* a is computed, and its row may leave, though unused */                       \
    /* structure */                                                                                \
    X(IF, "if", 'v', "b", SB_OP_STRUCT)                                                            \
    X(ELSE, "else", 'v', "", SB_OP_STRUCT)                                                         \
    X(END_IF, "end_if", 'v', "", SB_OP_STRUCT)                                                     \
    X(MERGE, "merge", '*', "**", SB_OP_STRUCT)                                                     \
    X(LOOP, "loop", 'v', "", SB_OP_STRUCT)                                                         \
    X(ARG, "arg", '*', "**", SB_OP_STRUCT)                                                         \
    X(END_LOOP, "end_loop", 'v', "b", SB_OP_STRUCT)                                                \
    X(RESULT, "result", '*', "*", SB_OP_STRUCT)                                                    \
    X(PASS, "pass", '*', "*", SB_OP_STRUCT)                                                        \
    X(CALL, "call", 'v', "", SB_OP_STRUCT | SB_OP_LEAVES | SB_OP_RAISES)                           \
    X(GOT, "got", '*', "", SB_OP_STRUCT)                                                           \
    X(STORE, "store", 'v', "*b", SB_OP_STRUCT)                                                     \
    SB_RT_LIST_LIST(SB_OP_OF_LIST, X)

#endif
