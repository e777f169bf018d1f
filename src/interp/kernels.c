/* The inner loops: for each op and each form of operands one loop over all rows of a slice, one over listed rows.
 *
 * Dense loops are plain so that compilers vectorise them; they compute every row and fold "would leave" into one sign
 * bit. Sparse loops call the primitive of rt/rt.h row by row: they decide which rows leave, and why. Both are made by one
 * macro from one line of the lists below; adding an op is adding its line.
 *
 * A dense loop never writes over an operand (restrict); a sparse one may, since it reads a row before it writes it.
 *
 * Memory: none. Threads: any. */
#include <string.h>

#include "interp/interp_int.h"
#include "rt/rt.h"
#include "rt/square.h"

#define V(p, i) p[i]
#define C(p, i) p##_cell

#define DENSE(fn, to, ta, tb, A, B, BODY)                                                          \
    static int64_t fn(void *out, const void *pa, const void *pb, int32_t n)                        \
    {                                                                                              \
        to *restrict o = out;                                                                      \
        const ta *restrict a = pa;                                                                 \
        const tb *restrict b = pb;                                                                 \
        const ta a_cell = a[0];                                                                    \
        const tb b_cell = b[0];                                                                    \
        int64_t leaves = 0;                                                                        \
        (void)a_cell;                                                                              \
        (void)b_cell;                                                                              \
        for (int32_t i = 0; i < n; i++) {                                                          \
            const ta x = A(a, i);                                                                  \
            const tb y = B(b, i);                                                                  \
            (void)y;                                                                               \
            to z;                                                                                  \
            BODY;                                                                                  \
            o[i] = z;                                                                              \
        }                                                                                          \
        return leaves;                                                                             \
    }

#define SPARSE(fn, to, ta, tb, A, B, BODY)                                                         \
    static int32_t fn(void *out, const void *pa, const void *pb, const uint16_t *rows,             \
                      int32_t count, uint8_t *reasons)                                             \
    {                                                                                              \
        to *o = out;                                                                               \
        const ta *a = pa;                                                                          \
        const tb *b = pb;                                                                          \
        const ta a_cell = a[0];                                                                    \
        const tb b_cell = b[0];                                                                    \
        int32_t left = 0;                                                                          \
        (void)a_cell;                                                                              \
        (void)b_cell;                                                                              \
        (void)reasons;                                                                             \
        for (int32_t k = 0; k < count; k++) {                                                      \
            const uint16_t i = rows[k];                                                            \
            const ta x = A(a, i);                                                                  \
            const tb y = B(b, i);                                                                  \
            (void)y;                                                                               \
            to z;                                                                                  \
            BODY;                                                                                  \
            o[i] = z;                                                                              \
        }                                                                                          \
        return left;                                                                               \
    }

/* Writes nothing for a row that leaves. */
#define LEAVE_ROW(call)                                                                            \
    const sb_reason reason = call;                                                                 \
    if (SB_UNLIKELY(reason != SB_REASON_NONE)) {                                                   \
        reasons[i] = (uint8_t)reason;                                                              \
        left++;                                                                                    \
        continue;                                                                                  \
    }

static inline int64_t sign_if(bool condition)
{
    return -(int64_t)condition;
}

/* X(NAME, value type, type of a, type of b, dense body: z from x and y, and `leaves` |= negative where it leaves,
 *   sparse body: z from x and y, or the row leaves) */

/* One operand */
#define UNARY_LIST(X)                                                                              \
    X(NOT, uint8_t, uint8_t, z = (uint8_t)(x ^ 1), z = (uint8_t)(x ^ 1))                           \
    X(PY_INT_B, int64_t, uint8_t, z = x, z = sb_rt_py_int_b(x != 0))                               \
    X(PY_FLOAT_I64, double, int64_t, z = (double)x, z = sb_rt_py_float_i64(x))                     \
    X(PY_EXACT_FLOAT_I64, double, int64_t, z = (double)x;                                          \
      leaves |= sign_if(!sb_rt_fits_double(x)), LEAVE_ROW(sb_rt_py_exact_float_i64(x, &z)))        \
    X(PY_NEG_I64, int64_t, int64_t, z = sb_rt_ix_sub(0, x);                                        \
      leaves |= x & z, LEAVE_ROW(sb_rt_py_neg_i64(x, &z)))                                         \
    X(PY_NEG_F64, double, double, z = -x, z = sb_rt_py_neg_f64(x))                                 \
    X(PY_INVERT_I64, int64_t, int64_t, z = ~x, z = sb_rt_py_invert_i64(x))                         \
    X(PY_BIT_COUNT_I64, int64_t, int64_t, z = sb_rt_py_bit_count_i64(x),                           \
      z = sb_rt_py_bit_count_i64(x))                                                               \
    X(PY_BIT_LENGTH_I64, int64_t, int64_t, z = sb_rt_py_bit_length_i64(x),                         \
      z = sb_rt_py_bit_length_i64(x))                                                              \
    X(PY_ABS_I64, int64_t, int64_t, z = x < 0 ? sb_rt_ix_sub(0, x) : x;                            \
      leaves |= z, LEAVE_ROW(sb_rt_py_abs_i64(x, &z)))                                             \
    X(PY_ABS_F64, double, double, z = fabs(x), z = sb_rt_py_abs_f64(x))                            \
    X(FLOOR_F64, double, double, z = floor(x), z = sb_rt_floor_f64(x))                             \
    X(CEIL_F64, double, double, z = ceil(x), z = sb_rt_ceil_f64(x))                                \
    X(RINT_F64, double, double, z = rint(x), z = sb_rt_rint_f64(x))                                \
    X(NP_F32, double, double, z = sb_rt_np_f32(x), z = sb_rt_np_f32(x))                            \
    X(PY_INT_F64, int64_t, double, DENSE_UNARY(sb_rt_py_int_f64),                                  \
      LEAVE_ROW(sb_rt_py_int_f64(x, &z)))                                                          \
    X(IX_BITS_F64, int64_t, double, z = sb_rt_ix_bits_f64(x), z = sb_rt_ix_bits_f64(x))            \
    X(IX_F64_BITS, double, int64_t, z = sb_rt_ix_f64_bits(x), z = sb_rt_ix_f64_bits(x))            \
    X(MATH_SQRT, double, double, z = sqrt(x);                                                      \
      leaves |= sign_if(x < 0.0), LEAVE_ROW(sb_rt_math_sqrt(x, &z)))                               \
    SB_RT_MATH1_LIST(MATH1, X)
#define MATH1(X, NAME, name)                                                                       \
    X(MATH_##NAME, double, double, DENSE_UNARY(sb_rt_math_##name),                                 \
      LEAVE_ROW(sb_rt_math_##name(x, &z)))

/* Two operands */
#define BINARY_LIST(X)                                                                             \
    X(AND, uint8_t, uint8_t, uint8_t, z = x & y, z = x & y)                                        \
    X(OR, uint8_t, uint8_t, uint8_t, z = x | y, z = x | y)                                         \
    X(XOR, uint8_t, uint8_t, uint8_t, z = x ^ y, z = x ^ y)                                        \
    X(PY_ADD_I64, int64_t, int64_t, int64_t, z = sb_rt_ix_add(x, y);                               \
      leaves |= (x ^ z) & (y ^ z), LEAVE_ROW(sb_rt_py_add_i64(x, y, &z)))                          \
    X(PY_SUB_I64, int64_t, int64_t, int64_t, z = sb_rt_ix_sub(x, y);                               \
      leaves |= (x ^ y) & (x ^ z), LEAVE_ROW(sb_rt_py_sub_i64(x, y, &z)))                          \
    X(PY_MUL_I64, int64_t, int64_t, int64_t, leaves |= sign_if(sb_mul_overflow_i64(x, y, &z)),     \
      LEAVE_ROW(sb_rt_py_mul_i64(x, y, &z)))                                                       \
    X(PY_FLOORDIV_I64, int64_t, int64_t, int64_t, DENSE_CALL(sb_rt_py_floordiv_i64),               \
      LEAVE_ROW(sb_rt_py_floordiv_i64(x, y, &z)))                                                  \
    X(PY_MOD_I64, int64_t, int64_t, int64_t, DENSE_CALL(sb_rt_py_mod_i64),                         \
      LEAVE_ROW(sb_rt_py_mod_i64(x, y, &z)))                                                       \
    X(PY_TRUEDIV_I64, double, int64_t, int64_t, z = (double)x / (double)y;                         \
      leaves |= sign_if(y == 0 || !sb_rt_fits_double(x) || !sb_rt_fits_double(y)),                 \
      LEAVE_ROW(sb_rt_py_truediv_i64(x, y, &z)))                                                   \
    X(PY_ADD_F64, double, double, double, z = x + y, z = sb_rt_py_add_f64(x, y))                   \
    X(PY_SUB_F64, double, double, double, z = x - y, z = sb_rt_py_sub_f64(x, y))                   \
    X(PY_MUL_F64, double, double, double, z = x * y, z = sb_rt_py_mul_f64(x, y))                   \
    X(PY_TRUEDIV_F64, double, double, double, z = x / y;                                           \
      leaves |= sign_if(y == 0.0), LEAVE_ROW(sb_rt_py_truediv_f64(x, y, &z)))                      \
    X(PY_FLOORDIV_F64, double, double, double, DENSE_CALL(sb_rt_py_floordiv_f64),                  \
      LEAVE_ROW(sb_rt_py_floordiv_f64(x, y, &z)))                                                  \
    X(PY_MOD_F64, double, double, double, DENSE_CALL(sb_rt_py_mod_f64),                            \
      LEAVE_ROW(sb_rt_py_mod_f64(x, y, &z)))                                                       \
    X(PY_EQ_I64, uint8_t, int64_t, int64_t, z = x == y, z = sb_rt_py_eq_i64(x, y))                 \
    X(PY_LT_I64, uint8_t, int64_t, int64_t, z = x < y, z = sb_rt_py_lt_i64(x, y))                  \
    X(PY_LE_I64, uint8_t, int64_t, int64_t, z = x <= y, z = sb_rt_py_le_i64(x, y))                 \
    X(PY_EQ_F64, uint8_t, double, double, z = x == y, z = sb_rt_py_eq_f64(x, y))                   \
    X(PY_LT_F64, uint8_t, double, double, z = x < y, z = sb_rt_py_lt_f64(x, y))                    \
    X(PY_LE_F64, uint8_t, double, double, z = x <= y, z = sb_rt_py_le_f64(x, y))                   \
    X(PY_EQ_I64_F64, uint8_t, int64_t, double, MIXED(==, eq), z = sb_rt_py_eq_i64_f64(x, y))       \
    X(PY_LT_I64_F64, uint8_t, int64_t, double, MIXED(<, lt), z = sb_rt_py_lt_i64_f64(x, y))        \
    X(PY_LE_I64_F64, uint8_t, int64_t, double, MIXED(<=, le), z = sb_rt_py_le_i64_f64(x, y))       \
    X(PY_GT_I64_F64, uint8_t, int64_t, double, MIXED(>, gt), z = sb_rt_py_gt_i64_f64(x, y))        \
    X(PY_GE_I64_F64, uint8_t, int64_t, double, MIXED(>=, ge), z = sb_rt_py_ge_i64_f64(x, y))       \
    X(IX_ADD, int64_t, int64_t, int64_t, z = sb_rt_ix_add(x, y), z = sb_rt_ix_add(x, y))           \
    X(IX_SUB, int64_t, int64_t, int64_t, z = sb_rt_ix_sub(x, y), z = sb_rt_ix_sub(x, y))           \
    X(IX_UDIV, int64_t, int64_t, int64_t, z = sb_rt_ix_udiv(x, y), z = sb_rt_ix_udiv(x, y))        \
    X(PY_AND_I64, int64_t, int64_t, int64_t, z = x & y, z = sb_rt_py_and_i64(x, y))                \
    X(PY_OR_I64, int64_t, int64_t, int64_t, z = x | y, z = sb_rt_py_or_i64(x, y))                  \
    X(PY_XOR_I64, int64_t, int64_t, int64_t, z = x ^ y, z = sb_rt_py_xor_i64(x, y))                \
    X(PY_LSHIFT_I64, int64_t, int64_t, int64_t, DENSE_CALL(sb_rt_py_lshift_i64),                   \
      LEAVE_ROW(sb_rt_py_lshift_i64(x, y, &z)))                                                    \
    X(PY_RSHIFT_I64, int64_t, int64_t, int64_t, DENSE_CALL(sb_rt_py_rshift_i64),                   \
      LEAVE_ROW(sb_rt_py_rshift_i64(x, y, &z)))                                                    \
    SB_RT_MATH2_LIST(MATH2, X)                                                                     \
    SB_RT_SLOW_LIST(OTHER, X)
#define MATH2(X, NAME, name)                                                                       \
    X(MATH_##NAME, double, double, double, DENSE_CALL(sb_rt_math_##name),                          \
      LEAVE_ROW(sb_rt_math_##name(x, y, &z)))
#define OTHER(X, NAME, name, to, ta, tb, reason)                                                   \
    X(NAME, to, ta, tb, DENSE_CALL(sb_rt_##name), LEAVE_ROW(sb_rt_##name(x, y, &z)))

/* Where the primitive itself is the loop's body. */
#define DENSE_CALL(primitive)                                                                      \
    z = 0;                                                                                         \
    leaves |= sign_if(primitive(x, y, &z) != SB_REASON_NONE)

#define DENSE_UNARY(primitive)                                                                     \
    z = 0;                                                                                         \
    leaves |= sign_if(primitive(x, &z) != SB_REASON_NONE)

/* Ints that are doubles compare as doubles; that is nearly every row. */
#define MIXED(operator, name)                                                                      \
    z = SB_LIKELY(sb_rt_fits_double(x)) ? (double)x operator y : sb_rt_py_##name##_i64_f64(x, y)

#define DEFINE_UNARY(NAME, to, ta, DENSE_BODY, SPARSE_BODY)                                        \
    DENSE(NAME##_dense_vv, to, ta, ta, V, V, DENSE_BODY)                                           \
    SPARSE(NAME##_sparse_vv, to, ta, ta, V, V, SPARSE_BODY)
#define DEFINE_BINARY(NAME, to, ta, tb, DENSE_BODY, SPARSE_BODY)                                   \
    DENSE(NAME##_dense_vv, to, ta, tb, V, V, DENSE_BODY)                                           \
    DENSE(NAME##_dense_vc, to, ta, tb, V, C, DENSE_BODY)                                           \
    DENSE(NAME##_dense_cv, to, ta, tb, C, V, DENSE_BODY)                                           \
    SPARSE(NAME##_sparse_vv, to, ta, tb, V, V, SPARSE_BODY)                                        \
    SPARSE(NAME##_sparse_vc, to, ta, tb, V, C, SPARSE_BODY)                                        \
    SPARSE(NAME##_sparse_cv, to, ta, tb, C, V, SPARSE_BODY)

UNARY_LIST(DEFINE_UNARY)
BINARY_LIST(DEFINE_BINARY)

const sb_interp_kernel sb_interp_kernels[SB_IR_OP_COUNT] = {
#define X(NAME, ...) [SB_IR_##NAME] = {{NAME##_dense_vv}, {NAME##_sparse_vv}},
    UNARY_LIST(X)
#undef X
#define X(NAME, ...)                                                                               \
    [SB_IR_##NAME] = {{NAME##_dense_vv, NAME##_dense_vc, NAME##_dense_cv},                         \
                      {NAME##_sparse_vv, NAME##_sparse_vc, NAME##_sparse_cv}},
        BINARY_LIST(X)
#undef X
};

/* --- where the second operand is a known constant ------------------------------------------------------------------- */

/* By a power of two. */
DENSE(mod_mask_dense, int64_t, int64_t, int64_t, V, C, z = x & (y - 1))
SPARSE(mod_mask_sparse, int64_t, int64_t, int64_t, V, C, z = x & (y - 1))
DENSE(div_shift_dense, int64_t, int64_t, int64_t, V, C, z = x >> sb_ctz_u64((uint64_t)y))
SPARSE(div_shift_sparse, int64_t, int64_t, int64_t, V, C, z = x >> sb_ctz_u64((uint64_t)y))

static int64_t square_dense(void *out, const void *a, const void *b, int32_t n)
{
    (void)b;
    return sb_rt_square_block(out, a, n);
}

void sb_interp_by_constant(const sb_inst *inst, const sb_inst *cell, sb_dense_fn *dense,
                           sb_sparse_fn *sparse)
{
    const bool real = cell->op == SB_IR_CONST_F;
    const int64_t by = cell->op == SB_IR_CONST_I ? cell->imm.i : 0;
    const bool power = by > 0 && (by & (by - 1)) == 0;
    switch (inst->op) {
    case SB_IR_PY_POW_F64:
    case SB_IR_MATH_POW:
        *dense = real && cell->imm.f == 2.0 ? square_dense : *dense;
        break;
    case SB_IR_PY_MOD_I64:
        *dense = power ? mod_mask_dense : *dense;
        *sparse = power ? mod_mask_sparse : *sparse;
        break;
    case SB_IR_PY_FLOORDIV_I64:
        *dense = power ? div_shift_dense : *dense;
        *sparse = power ? div_shift_sparse : *sparse;
        break;
    default:
        break;
    }
}

/* --- select, copy, count ------------------------------------------------------------------------------------------- */

#define SELECT(fn, type, X_, Y_)                                                                   \
    static void fn##_dense(type *restrict o, const uint8_t *restrict cond,                         \
                           const type *restrict px, const type *restrict py, int32_t n)            \
    {                                                                                              \
        const type px_cell = px[0];                                                                \
        const type py_cell = py[0];                                                                \
        (void)px_cell;                                                                             \
        (void)py_cell;                                                                             \
        for (int32_t i = 0; i < n; i++) {                                                          \
            const type x = X_(px, i);                                                              \
            const type y = Y_(py, i);                                                              \
            o[i] = cond[i] ? x : y;                                                                \
        }                                                                                          \
    }                                                                                              \
    static void fn(type *o, const uint8_t *cond, const type *px, const type *py,                   \
                   const uint16_t *rows, int32_t count)                                            \
    {                                                                                              \
        if (rows == NULL) {                                                                        \
            fn##_dense(o, cond, px, py, count);                                                    \
            return;                                                                                \
        }                                                                                          \
        const type px_cell = px[0];                                                                \
        const type py_cell = py[0];                                                                \
        (void)px_cell;                                                                             \
        (void)py_cell;                                                                             \
        for (int32_t k = 0; k < count; k++) {                                                      \
            const uint16_t i = rows[k];                                                            \
            o[i] = cond[i] ? X_(px, i) : Y_(py, i);                                                \
        }                                                                                          \
    }

#define DEFINE_SELECT(name, type)                                                                  \
    SELECT(name##_vv, type, V, V)                                                                  \
    SELECT(name##_vc, type, V, C)                                                                  \
    SELECT(name##_cv, type, C, V)                                                                  \
    SELECT(name##_cc, type, C, C)                                                                  \
    static void name(sb_form form, type *o, const uint8_t *cond, const type *x, const type *y,     \
                     const uint16_t *rows, int32_t count)                                          \
    {                                                                                              \
        switch (form) {                                                                            \
        case SB_FORM_VV:                                                                           \
            name##_vv(o, cond, x, y, rows, count);                                                 \
            break;                                                                                 \
        case SB_FORM_VC:                                                                           \
            name##_vc(o, cond, x, y, rows, count);                                                 \
            break;                                                                                 \
        case SB_FORM_CV:                                                                           \
            name##_cv(o, cond, x, y, rows, count);                                                 \
            break;                                                                                 \
        case SB_FORM_CC:                                                                           \
            name##_cc(o, cond, x, y, rows, count);                                                 \
            break;                                                                                 \
        }                                                                                          \
    }

DEFINE_SELECT(select_b, uint8_t)
DEFINE_SELECT(select_i64, int64_t)
DEFINE_SELECT(select_f64, double)

void sb_interp_select(sb_prim prim, sb_form form, void *out, const uint8_t *cond, const void *x,
                      const void *y, const uint16_t *rows, int32_t count)
{
    switch (prim) {
    case SB_PRIM_B:
        select_b(form, out, cond, x, y, rows, count);
        break;
    case SB_PRIM_F64:
        select_f64(form, out, cond, x, y, rows, count);
        break;
    default:
        select_i64(form, out, cond, x, y, rows, count);
        break;
    }
}

#define DEFINE_COPY(name, type)                                                                    \
    static void name(bool cell, type *o, const type *a, const uint16_t *rows, int32_t count)       \
    {                                                                                              \
        if (rows != NULL) {                                                                        \
            for (int32_t k = 0; k < count; k++) {                                                  \
                o[rows[k]] = a[cell ? 0 : rows[k]];                                                \
            }                                                                                      \
        } else if (cell) {                                                                         \
            const type x = a[0];                                                                   \
            for (int32_t i = 0; i < count; i++) {                                                  \
                o[i] = x;                                                                          \
            }                                                                                      \
        } else if (o != a) {                                                                       \
            memcpy(o, a, (size_t)count * sizeof(type));                                            \
        }                                                                                          \
    }

DEFINE_COPY(copy_b, uint8_t)
DEFINE_COPY(copy_i64, int64_t)
DEFINE_COPY(copy_f64, double)

void sb_interp_copy(sb_prim prim, bool cell, void *out, const void *a, const uint16_t *rows,
                    int32_t count)
{
    switch (prim) {
    case SB_PRIM_B:
        copy_b(cell, out, a, rows, count);
        break;
    case SB_PRIM_F64:
        copy_f64(cell, out, a, rows, count);
        break;
    default:
        copy_i64(cell, out, a, rows, count);
        break;
    }
}

int32_t sb_interp_count(const uint8_t *bytes, int32_t n)
{
    int32_t sum = 0;
    for (int32_t i = 0; i < n; i++) {
        sum += bytes[i];
    }
    return sum;
}
