/* The syntax-tree blob: what the capture side hands to the compiler. Neutral: no Python objects, names already resolved.
 *
 * Little-endian bytes, one function with the functions that it calls:
 *
 *     u32 SB_BLOB_MAGIC, u32 SB_BLOB_VERSION
 *     str  name                      str = u32 size, UTF-8 bytes
 *     str  file
 *     u32  first_line
 *     u8   annotation                SB_BLOB_ANN_*: the return annotation, as far as it is known
 *     str  record                    a record function: the name of its parameter; the parameters below are columns that it reads.
 *                                    Empty: a scalar function
 *     u32  local_count, then per local: str name         parameters come first, in order
 *     u32  param_count, then per parameter: u8 has_default, and if 1: an expression node (CONST_* or UNSUPPORTED)
 *     u32  function_count, then per called function: str name, u32 first, u32 count (its own locals), statement list
 *     body: a statement list         a lambda's body is one RETURN
 *
 * A function whose name begins with `math.` is a form of that function of math: NumPy's scalars come to it as Python's numbers.
 *
 * All functions share one table of locals, so that a nested one finds those of its enclosing function; a function calls only
 * functions that stand before it in the table, but for INVOKE.
 *
 * A node: u8 kind, u32 line, u32 col, u32 end_line, u32 end_col, then its fields. Lines from 1; columns count UTF-8 bytes from 0,
 * as Python's ast has them. A list: u32 count, nodes. Depth is at most SB_BLOB_DEPTH_MAX; readers refuse more.
 *
 * Expressions
 *     CONST_NONE                                    CONST_BOOL u8         CONST_INT i64
 *     CONST_BIGINT str (decimal)                    CONST_FLOAT u64 (bits)     CONST_STR str
 *     CONST_TIME u8 SB_BLOB_TIME_*, i64: of dates days since 1970; of datetimes microseconds, of those with a zone in UTC
 *     LOCAL u32 slot
 *     UNARY u8 op, node                             BINARY u8 op, left, right
 *     BOOLOP u8 op (0 and, 1 or), list              COMPARE left, u32 count, count x (u8 op, node)
 *     IFEXP test, body, orelse                      CALL u8 builtin, list of arguments
 *     TUPLE list                                    LIST list
 *     SUBSCRIPT value, index                        NAMED u32 slot, value (:=)
 *     INLINE u32 function, u32 count, count x (u32 slot, node)     arguments in the order in which they are evaluated
 *     INVOKE likewise: a function that calls itself, maybe through others; any of the table, scalars only
 *     BLOCK u32 first, u32 count, statement list, node    statements, then the value; the slots from first on are its own
 *     COMPREHENSION u32 first, u32 count, target, iterable, node   a list, one item a turn; the first own slot is the list while it grows
 *     SLICE u8 backwards, value, lower, upper (CONST_NONE where there is no bound; backwards: all of it, and no bounds)
 *     UNSUPPORTED str code, str detail              code: one of SB_REFUSAL_LIST (ir/refusal.h) in lower case
 * Statements
 *     ASSIGN u32 count of targets (left to right), targets, value
 *     AUGASSIGN u32 slot, u8 op, value              EXPR node           PASS
 *     AUGITEM u8 op, list, position, value
 *     IF test, list, list                           WHILE test, list, list(else)
 *     FOR target, iter expression, list, list(else)
 *     RETURN u8 has_value [node]                    BREAK               CONTINUE
 *     RAISE                                         DEL u32 count, slots u32...
 *     UNSUPPORTED (as above; stands for a whole statement)
 * A target: u8 0, u32 slot; or u8 1, u32 count, that many targets to unpack into; or u8 2, list, position, of ASSIGN only.
 *
 * A captured global, closure cell or default that holds an exact None, bool, int, float, str, date or datetime is written as that
 * constant at the place of its use. Memory: the reader borrows the bytes. Threads: none of its own. */
#ifndef SB_FRONT_BLOB_H
#define SB_FRONT_BLOB_H

#define SB_BLOB_MAGIC 0x31464253u /* "SBF1" */
#define SB_BLOB_VERSION 4u
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
    X(TUPLE, 15)                                                                                   \
    X(LIST, 16)                                                                                    \
    X(SUBSCRIPT, 17)                                                                               \
    X(NAMED, 18)                                                                                   \
    X(INLINE, 19)                                                                                  \
    X(BLOCK, 20)                                                                                   \
    X(COMPREHENSION, 21)                                                                           \
    X(SLICE, 22)                                                                                   \
    X(CONST_TIME, 23)                                                                              \
    X(INVOKE, 24)                                                                                  \
    X(ASSIGN, 32)                                                                                  \
    X(AUGASSIGN, 33)                                                                               \
    X(EXPR, 34)                                                                                    \
    X(PASS, 35)                                                                                    \
    X(IF, 36)                                                                                      \
    X(WHILE, 37)                                                                                   \
    X(FOR, 38)                                                                                     \
    X(RETURN, 39)                                                                                  \
    X(BREAK, 40)                                                                                   \
    X(CONTINUE, 41)                                                                                \
    X(RAISE, 42)                                                                                   \
    X(DEL, 43)                                                                                     \
    X(AUGITEM, 44)

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
/* Builtins: X(NAME, number, least arguments, most arguments). The SUM_ ones are the steps of sum(): a state of (total, correction);
 * SUM_NEXT_PLAIN is that of CPython before 3.12. ISINSTANCE has the kinds as bits of a constant (SB_BLOB_KIND_*). NP_ITEM is a column's
 * value as an element of the NumPy array that the column is: a NumPy scalar of the type that the letter says.
 * A function with a COLUMN is called once per batch: its parameters are whole columns, and nothing else reads them.
 * NP_CAST is that type called with a number; those behind it are functions of NumPy, called with numbers. */
#define SB_BLOB_BUILTIN_LIST(X)                                                                    \
    X(RANGE, 1, 1, 3)                                                                              \
    X(ENUMERATE, 2, 1, 2)                                                                          \
    X(ZIP, 3, 0, 255)                                                                              \
    X(REVERSED, 4, 1, 1)                                                                           \
    X(LEN, 5, 1, 1)                                                                                \
    X(MIN, 6, 2, 255)                                                                              \
    X(MAX, 7, 2, 255)                                                                              \
    X(BOOL, 8, 0, 1)                                                                               \
    X(FLOAT, 9, 0, 1)                                                                              \
    X(ISINSTANCE, 10, 2, 2)                                                                        \
    X(TUPLE_OF, 11, 0, 1)                                                                          \
    X(LIST_OF, 12, 0, 1)                                                                           \
    X(SORTED, 13, 1, 2)                                                                            \
    X(SUM_BEGIN, 14, 1, 1)                                                                         \
    X(SUM_NEXT, 15, 2, 2)                                                                          \
    X(SUM_NEXT_PLAIN, 16, 2, 2)                                                                    \
    X(SUM_END, 17, 1, 1)                                                                           \
    X(DIVMOD, 18, 2, 2)                                                                            \
    X(ISNAN, 19, 1, 1)                                                                             \
    X(ISINF, 20, 1, 1)                                                                             \
    X(ISFINITE, 21, 1, 1)                                                                          \
    X(ABS, 22, 1, 1)                                                                               \
    X(INT, 23, 0, 1)                                                                               \
    X(ROUND, 24, 1, 2)                                                                             \
    X(FLOOR, 25, 1, 1)                                                                             \
    X(CEIL, 26, 1, 1)                                                                              \
    X(TRUNC, 27, 1, 1)                                                                             \
    X(FABS, 28, 1, 1)                                                                              \
    X(SQRT, 29, 1, 1)                                                                              \
    X(GCD, 30, 0, 255)                                                                             \
    X(ISQRT, 31, 1, 1)                                                                             \
    X(DEGREES, 32, 1, 1)                                                                           \
    X(RADIANS, 33, 1, 1)                                                                           \
    X(INT_INDEX, 34, 1, 1) /* operator.index */                                                    \
    X(LIST_NEW, 35, 0, 0)                                                                          \
    X(APPEND, 36, 2, 2)                                                                            \
    X(POP, 37, 1, 2)                                                                               \
    X(INSERT, 38, 3, 3)                                                                            \
    X(EXTEND, 39, 2, 2)                                                                            \
    X(REVERSE, 40, 1, 1)                                                                           \
    X(SORT, 41, 2, 2) /* reverse: a constant */                                                    \
    X(LIST_INDEX, 42, 2, 2)                                                                        \
    X(SORT_BY, 43, 4, 4)     /* a list, its keys; constants: reverse, in place. The sorted list */ \
    X(COLUMN, 44, 2, 2)      /* a column of the batch as a list: a parameter; SB_BLOB_COLUMN_* */  \
    X(ARRAY_INDEX, 45, 1, 1) /* an index of a NumPy array: no boolean */                           \
    X(LDEXP, 58, 2, 2)                                                                             \
    X(EXPONENT, 59, 1, 1)  /* the second item of math.frexp */                                     \
    X(BIT_COUNT, 60, 1, 1) /* methods: their object */                                             \
    X(BIT_LENGTH, 61, 1, 1)                                                                        \
    X(IS_INTEGER, 62, 2, 2) /* the second: whether ints have it */                                 \
    X(NP_ITEM, 128, 2, 2)   /* the second: an Arrow format's letter */                             \
    X(NP_CAST, 129, 2, 2)   /* likewise */                                                         \
    X(NP_SQRT, 130, 1, 1)                                                                          \
    X(NP_ABSOLUTE, 131, 1, 1)                                                                      \
    X(NP_FABS, 132, 1, 1)                                                                          \
    X(NP_FLOOR, 133, 1, 1)                                                                         \
    X(NP_CEIL, 134, 1, 1)                                                                          \
    X(NP_TRUNC, 135, 1, 1)                                                                         \
    X(NP_RINT, 136, 1, 1)                                                                          \
    X(NP_SIGN, 137, 1, 1)                                                                          \
    X(NP_SQUARE, 138, 1, 1)                                                                        \
    X(NP_NEGATIVE, 139, 1, 1)                                                                      \
    X(NP_ISNAN, 140, 1, 1)                                                                         \
    X(NP_ISINF, 141, 1, 1)                                                                         \
    X(NP_ISFINITE, 142, 1, 1)                                                                      \
    X(NP_MINIMUM, 143, 2, 2)                                                                       \
    X(NP_MAXIMUM, 144, 2, 2)                                                                       \
    X(NP_CLIP, 145, 3, 3)

/* Of math, by libm: X(NAME, number, arguments); numbers from SB_BLOB_MATH_FIRST on. */
#define SB_BLOB_MATH_FIRST 64

enum {
#define X(name, number, least, most) SB_BLOB_##name = number,
    SB_BLOB_BUILTIN_LIST(X)
#undef X
};
#define SB_BLOB_MATH_LIST(X)                                                                       \
    X(ACOS, 64, 1)                                                                                 \
    X(ACOSH, 65, 1)                                                                                \
    X(ASIN, 66, 1)                                                                                 \
    X(ASINH, 67, 1)                                                                                \
    X(ATAN, 68, 1)                                                                                 \
    X(ATANH, 69, 1)                                                                                \
    X(CBRT, 70, 1)                                                                                 \
    X(COS, 71, 1)                                                                                  \
    X(COSH, 72, 1)                                                                                 \
    X(ERF, 73, 1)                                                                                  \
    X(ERFC, 74, 1)                                                                                 \
    X(EXP, 75, 1)                                                                                  \
    X(EXP2, 76, 1)                                                                                 \
    X(EXPM1, 77, 1)                                                                                \
    X(LOG, 78, 1)                                                                                  \
    X(LOG10, 79, 1)                                                                                \
    X(LOG1P, 80, 1)                                                                                \
    X(LOG2, 81, 1)                                                                                 \
    X(SIN, 82, 1)                                                                                  \
    X(SINH, 83, 1)                                                                                 \
    X(TAN, 84, 1)                                                                                  \
    X(TANH, 85, 1)                                                                                 \
    X(ATAN2, 86, 2)                                                                                \
    X(COPYSIGN, 87, 2)                                                                             \
    X(FMOD, 88, 2)                                                                                 \
    X(NEXTAFTER, 89, 2)                                                                            \
    X(POW, 90, 2)                                                                                  \
    X(REMAINDER, 91, 2)
enum {
    SB_BLOB_KIND_NONE = 1,
    SB_BLOB_KIND_BOOL = 2,
    SB_BLOB_KIND_INT = 4, /* not bool: callers set both */
    SB_BLOB_KIND_FLOAT = 8,
    SB_BLOB_KIND_TUPLE = 16,
    SB_BLOB_KIND_LIST = 32
};
enum {
    SB_BLOB_COLUMN_NULLS = 1, /* items may be None; holds for all columns where it is set once */
    SB_BLOB_COLUMN_NUMPY = 2  /* items are those of a NumPy array */
};
enum { SB_BLOB_TIME_DATE = 0, SB_BLOB_TIME_STAMP = 1, SB_BLOB_TIME_AWARE = 2 };
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
