/* The syntax-tree blob: what the capture side hands to the compiler. Neutral: no Python objects, names already resolved.
 *
 * Little-endian bytes, one function:
 *
 *     u32 SB_BLOB_MAGIC, u32 SB_BLOB_VERSION
 *     str  name                      str = u32 size, UTF-8 bytes
 *     str  file
 *     u32  first_line
 *     u8   annotation                SB_BLOB_ANN_*: the return annotation, as far as it is known
 *     u32  local_count, then per local: str name         parameters come first, in order
 *     u32  param_count, then per parameter: u8 has_default, and if 1: an expression node (CONST_* or UNSUPPORTED)
 *     body: a statement list         a lambda's body is one RETURN
 *
 * A node: u8 kind, u32 line, u32 col, u32 end_line, u32 end_col, then its fields. Lines from 1; columns count UTF-8 bytes from 0,
 * as Python's ast has them. A list: u32 count, nodes. Depth is at most SB_BLOB_DEPTH_MAX; readers refuse more.
 *
 * Expressions
 *     CONST_NONE                                    CONST_BOOL u8         CONST_INT i64
 *     CONST_BIGINT str (decimal)                    CONST_FLOAT u64 (bits)     CONST_STR str
 *     LOCAL u32 slot
 *     UNARY u8 op, node                             BINARY u8 op, left, right
 *     BOOLOP u8 op (0 and, 1 or), list              COMPARE left, u32 count, count x (u8 op, node)
 *     IFEXP test, body, orelse                      CALL u8 builtin, list of arguments
 *     UNSUPPORTED str code, str detail              code: one of SB_REFUSAL_LIST (ir/refusal.h) in lower case
 * Statements
 *     ASSIGN u32 count of targets (slots, left to right), slots u32..., value
 *     AUGASSIGN u32 slot, u8 op, value              EXPR node           PASS
 *     IF test, list, list                           WHILE test, list, list(else)
 *     FOR u32 slot, iter expression, list, list(else)
 *     RETURN u8 has_value [node]                    BREAK               CONTINUE
 *     UNSUPPORTED (as above; stands for a whole statement)
 *
 * A captured global, closure cell or default that holds an exact None, bool, int, float or str is written as that constant at the
 * place of its use. Memory: the reader borrows the bytes. Threads: none of its own. */
#ifndef SB_FRONT_BLOB_H
#define SB_FRONT_BLOB_H

#define SB_BLOB_MAGIC 0x31464253u /* "SBF1" */
#define SB_BLOB_VERSION 1u
#define SB_BLOB_DEPTH_MAX 200

/* X(NAME, number) - numbers are part of the format */
#define SB_BLOB_NODE_LIST(X)                                                                       \
    X(CONST_NONE, 1)                                                                               \
    X(CONST_BOOL, 2)                                                                               \
    X(CONST_INT, 3)                                                                                \
    X(CONST_BIGINT, 4)                                                                             \
    X(CONST_FLOAT, 5)                                                                              \
    X(CONST_STR, 6)                                                                                \
    X(LOCAL, 7)                                                                                    \
    X(UNARY, 8)                                                                                    \
    X(BINARY, 9)                                                                                   \
    X(BOOLOP, 10)                                                                                  \
    X(COMPARE, 11)                                                                                 \
    X(IFEXP, 12)                                                                                   \
    X(CALL, 13)                                                                                    \
    X(UNSUPPORTED, 14)                                                                             \
    X(ASSIGN, 32)                                                                                  \
    X(AUGASSIGN, 33)                                                                               \
    X(EXPR, 34)                                                                                    \
    X(PASS, 35)                                                                                    \
    X(IF, 36)                                                                                      \
    X(WHILE, 37)                                                                                   \
    X(FOR, 38)                                                                                     \
    X(RETURN, 39)                                                                                  \
    X(BREAK, 40)                                                                                   \
    X(CONTINUE, 41)

enum {
#define X(name, number) SB_BLOB_##name = number,
    SB_BLOB_NODE_LIST(X)
#undef X
};

enum { SB_BLOB_NEG = 1, SB_BLOB_POS = 2, SB_BLOB_NOT = 3, SB_BLOB_INVERT = 4 };
enum {
    SB_BLOB_ADD = 1,
    SB_BLOB_SUB = 2,
    SB_BLOB_MUL = 3,
    SB_BLOB_TRUEDIV = 4,
    SB_BLOB_FLOORDIV = 5,
    SB_BLOB_MOD = 6,
    SB_BLOB_POW = 7,
    SB_BLOB_LSHIFT = 8,
    SB_BLOB_RSHIFT = 9,
    SB_BLOB_BITAND = 10,
    SB_BLOB_BITOR = 11,
    SB_BLOB_BITXOR = 12,
    SB_BLOB_MATMUL = 13
};
enum {
    SB_BLOB_EQ = 1,
    SB_BLOB_NE = 2,
    SB_BLOB_LT = 3,
    SB_BLOB_LE = 4,
    SB_BLOB_GT = 5,
    SB_BLOB_GE = 6,
    SB_BLOB_IS = 7,
    SB_BLOB_IS_NOT = 8,
    SB_BLOB_IN = 9,
    SB_BLOB_NOT_IN = 10
};
enum { SB_BLOB_RANGE = 1 }; /* builtins */
enum {
    SB_BLOB_ANN_MISSING = 0, /* no annotation */
    SB_BLOB_ANN_UNKNOWN = 1, /* one that names no column type Sabot knows */
    SB_BLOB_ANN_INT = 2,     /* also Optional[int], int | None, and their strings */
    SB_BLOB_ANN_FLOAT = 3,
    SB_BLOB_ANN_BOOL = 4,
    SB_BLOB_ANN_STR = 5,
    SB_BLOB_ANN_NONE = 6
};

#endif
