/* Arithmetic, comparison and conversion of NumPy's scalars (numpy.h): promotion by NEP 50, warnings as leaves.
 *
 * Kinds are split first: an operand that can have several opens a region for each, so that what follows sees one kind a side. Then the
 * type of the result decides:
 *   np.bool     & | ^, + and * of booleans
 *   an integer  operands as int64, the operation of Python's ints, which leaves beyond 64 bits; then a look whether the type holds it. An
 *               int64 needs none, but has to be computed even if nothing uses it (KEEP), since NumPy would warn
 *   float64     operands as doubles; float32: the same, rounded
 * A Python number is weak: it takes the type of the other, and leaves where that cannot hold it. Shifts and powers that wrap without a
 * warning leave, too.
 * Division by zero leaves also where NumPy has nothing to warn of (inf / 0).
 *
 * Memory: none. Threads: one. */
#include <string.h>

#include "front/numpy.h"

#define EXACT_MAX (INT64_C(1) << 53) /* ints up to here are doubles */

static pyval refused(lowering *l, const char *what)
{
    sb_refuse(l, SB_REFUSAL_TYPE, what, l->at);
    return sb_pyval_never();
}

static pyval raises(lowering *l)
{
    sb_irb_leave_if(&l->b, l->true_b, SB_REASON_RAISE);
    return sb_pyval_never();
}

const sb_np_int *sb_np_int_of(uint8_t format)
{
    static const sb_np_int types[] = {
        {'c', 8, true, INT8_MIN, INT8_MAX},    {'C', 8, false, 0, UINT8_MAX},
        {'s', 16, true, INT16_MIN, INT16_MAX}, {'S', 16, false, 0, UINT16_MAX},
        {'i', 32, true, INT32_MIN, INT32_MAX}, {'I', 32, false, 0, UINT32_MAX},
        {'l', 64, true, INT64_MIN, INT64_MAX}, {'L', 64, false, 0, INT64_MAX},
    };
    for (size_t k = 0; k < SB_COUNT_OF(types); k++) {
        if (types[k].format == format) {
            return &types[k];
        }
    }
    return NULL;
}

pyval sb_np_bool_value(sb_value b)
{
    return (pyval){.tags = NP_BOOL_BIT, .b = b};
}

pyval sb_np_int_value(sb_value i, uint8_t dtype)
{
    return (pyval){.tags = NP_INT_BIT, .i = i, .dtype = dtype};
}

pyval sb_np_float_value(sb_value f, uint8_t dtype)
{
    return (pyval){.tags = dtype == 'f' ? NP_F32_BIT : NP_F64_BIT, .f = f};
}

void sb_np_leave_outside(lowering *l, sb_value i, uint8_t dtype)
{
    const sb_np_int *type = sb_np_int_of(dtype);
    if (type->low != INT64_MIN) {
        const sb_value low = sb_irb_const_i(&l->b, type->low);
        sb_irb_leave_if(&l->b, sb_op2(l, SB_IR_PY_LT_I64, i, low), SB_REASON_NP_WARNING);
    }
    if (type->high != INT64_MAX) {
        const sb_value high = sb_irb_const_i(&l->b, type->high);
        sb_irb_leave_if(&l->b, sb_op2(l, SB_IR_PY_LT_I64, high, i), SB_REASON_NP_WARNING);
    }
}

static bool is_finite_const(const lowering *l, sb_value v)
{
    const sb_inst *inst = &l->b.ir->insts.items[v];
    return inst->op == SB_IR_CONST_F && inst->imm.f - inst->imm.f == 0.0;
}

void sb_np_warn(lowering *l, sb_value r, sb_value x, sb_value y)
{
    if (!is_finite_const(l, r)) {
        (void)sb_irb_op(&l->b, SB_IR_NP_WARN_F64, r, x, y);
    }
}

/* --- kinds ------------------------------------------------------------------------------------------------------------ */

static pyval only(const pyval *v, unsigned tag)
{
    pyval r = *v;
    r.tags = TAG_BIT(tag);
    return r;
}

static pyval without(const pyval *v, unsigned tag)
{
    pyval r = *v;
    r.tags &= ~TAG_BIT(tag);
    return r;
}

typedef pyval (*of_two)(lowering *l, uint8_t op, pyval x, pyval y);

/* f of the first of several kinds in a region, of the others in the other. */
static pyval split(lowering *l, uint8_t op, const pyval *x, const pyval *y, of_two f)
{
    const bool first = sb_tag_count(x->tags) > 1;
    const pyval *many = first ? x : y;
    const unsigned tag = (unsigned)sb_ctz_u64(many->tags);
    const pyval one = only(many, tag);
    const pyval rest = without(many, tag);
    const sb_value cond = sb_pyval_is(l, many, tag);
    if (!sb_working(l)) {
        return sb_pyval_never();
    }
    const sb_value region = sb_irb_if(&l->b, cond);
    const pyval a = first ? f(l, op, one, *y) : f(l, op, *x, one);
    sb_irb_else(&l->b, region);
    const pyval b = first ? f(l, op, rest, *y) : f(l, op, *x, rest);
    sb_irb_end_if(&l->b, region);
    pyval r = sb_merge_value(l, cond, &a, &b);
    sb_pyval_complete(l, &r);
    return r;
}

static unsigned kind_of(const pyval *v)
{
    return (unsigned)sb_ctz_u64(v->tags);
}

static bool is_float(unsigned tag)
{
    return tag == TAG_FLOAT || tag == TAG_NP_F64 || tag == TAG_NP_F32;
}

static bool is_truth(unsigned tag)
{
    return tag == TAG_BOOL || tag == TAG_NP_BOOL;
}

/* Two integer types of NumPy: the smallest that holds both; int64 with uint64 gives 'g'. */
static uint8_t common_int(uint8_t x, uint8_t y)
{
    const sb_np_int *a = sb_np_int_of(x);
    const sb_np_int *b = sb_np_int_of(y);
    if (a->is_signed == b->is_signed) {
        return a->bits >= b->bits ? x : y;
    }
    const sb_np_int *with_sign = a->is_signed ? a : b;
    const sb_np_int *other = a->is_signed ? b : a;
    if (with_sign->bits > other->bits) {
        return with_sign->format;
    }
    return other->bits == 8 ? 's' : (other->bits == 16 ? 'i' : (other->bits == 32 ? 'l' : 'g'));
}

/* The type in which two operands of one kind each meet: an Arrow format; 'b' for np.bool. One of them is of NumPy. */
static uint8_t common_type(const pyval *x, const pyval *y)
{
    const unsigned kx = kind_of(x);
    const unsigned ky = kind_of(y);
    if (kx == TAG_NP_F64 || ky == TAG_NP_F64) {
        return 'g';
    }
    if (kx == TAG_NP_F32 || ky == TAG_NP_F32) {
        const pyval *other = kx == TAG_NP_F32 ? y : x;
        return other->tags == NP_INT_BIT && sb_np_int_of(other->dtype)->bits > 16 ? 'g' : 'f';
    }
    if (is_float(kx) || is_float(ky)) {
        return 'g';
    }
    if (kx == TAG_NP_INT && ky == TAG_NP_INT) {
        return common_int(x->dtype, y->dtype);
    }
    if (kx == TAG_NP_INT || ky == TAG_NP_INT) {
        return kx == TAG_NP_INT ? x->dtype : y->dtype;
    }
    return is_truth(kx) && is_truth(ky) ? 'b' : 'l';
}

static sb_value as_whole(lowering *l, const pyval *v, unsigned tag)
{
    return is_truth(tag) ? sb_op1(l, SB_IR_PY_INT_B, v->b) : v->i;
}

sb_value sb_np_as_double(lowering *l, const pyval *v, unsigned tag)
{
    return is_float(tag) ? v->f : sb_op1(l, SB_IR_PY_FLOAT_I64, as_whole(l, v, tag));
}

sb_value sb_np_as_float32(lowering *l, const pyval *v, unsigned tag)
{
    if (tag == TAG_NP_F32) {
        return v->f;
    }
    if (tag == TAG_INT) { /* not rounded twice */
        return sb_op1(l, SB_IR_NP_F32, sb_op1(l, SB_IR_PY_EXACT_FLOAT_I64, v->i));
    }
    const sb_value f = sb_np_as_double(l, v, tag);
    if (!is_float(tag)) {
        return f; /* of 16 bits */
    }
    const sb_value r = sb_op1(l, SB_IR_NP_F32, f);
    sb_np_warn(l, r, f, f);
    return r;
}

/* The operand as an integer of the type; a Python int beyond it raises. */
static sb_value as_int_of(lowering *l, const pyval *v, unsigned tag, uint8_t dtype)
{
    const sb_value i = as_whole(l, v, tag);
    if (tag == TAG_INT) {
        sb_np_leave_outside(l, i, dtype);
    }
    return i;
}

/* --- binary ------------------------------------------------------------------------------------------------------------ */

static pyval of_truths(lowering *l, uint8_t op, const pyval *x, const pyval *y)
{
    switch (op) {
    case SB_BLOB_ADD:
    case SB_BLOB_BITOR:
        return sb_np_bool_value(sb_op2(l, SB_IR_OR, x->b, y->b));
    case SB_BLOB_MUL:
    case SB_BLOB_BITAND:
        return sb_np_bool_value(sb_op2(l, SB_IR_AND, x->b, y->b));
    case SB_BLOB_BITXOR:
        return sb_np_bool_value(sb_op2(l, SB_IR_XOR, x->b, y->b));
    case SB_BLOB_SUB:
        return raises(l);
    default:
        return refused(l, "an int8 made of NumPy booleans");
    }
}

static pyval of_ints(lowering *l, uint8_t op, const pyval *x, const pyval *y, uint8_t dtype)
{
    static const sb_op_code ops[] = {
        [SB_BLOB_ADD] = SB_IR_PY_ADD_I64,       [SB_BLOB_SUB] = SB_IR_PY_SUB_I64,
        [SB_BLOB_MUL] = SB_IR_PY_MUL_I64,       [SB_BLOB_FLOORDIV] = SB_IR_PY_FLOORDIV_I64,
        [SB_BLOB_MOD] = SB_IR_PY_MOD_I64,       [SB_BLOB_POW] = SB_IR_PY_POW_I64,
        [SB_BLOB_LSHIFT] = SB_IR_PY_LSHIFT_I64, [SB_BLOB_RSHIFT] = SB_IR_PY_RSHIFT_I64,
        [SB_BLOB_BITAND] = SB_IR_PY_AND_I64,    [SB_BLOB_BITOR] = SB_IR_PY_OR_I64,
        [SB_BLOB_BITXOR] = SB_IR_PY_XOR_I64,
    };
    const sb_value a = as_int_of(l, x, kind_of(x), dtype);
    const sb_value b = as_int_of(l, y, kind_of(y), dtype);
    if (op == SB_BLOB_POW) {
        sb_irb_leave_if(&l->b, sb_op2(l, SB_IR_PY_LT_I64, b, l->zero_i), SB_REASON_RAISE);
    }
    const sb_value r = sb_op2(l, ops[op], a, b);
    (void)sb_irb_op(&l->b, SB_IR_KEEP, r, 0, 0);
    sb_np_leave_outside(l, r, dtype);
    return sb_np_int_value(r, dtype);
}

pyval sb_np_round32(lowering *l, sb_value made, sb_value x, sb_value y, uint8_t dtype)
{
    const sb_value r = dtype == 'f' ? sb_op1(l, SB_IR_NP_F32, made) : made;
    sb_np_warn(l, r, x, y);
    return sb_np_float_value(r, dtype);
}

/* With a float64 ** is libm's pow. NumPy takes other pairs for arrays, whose powers differ in the last bit. */
static bool is_libm_power(const pyval *x, const pyval *y)
{
    return ((x->tags | y->tags) & NP_F64_BIT) &&
           !((x->tags | y->tags) & (NP_F32_BIT | NP_BOOL_BIT));
}

static pyval of_floats(lowering *l, uint8_t op, const pyval *x, const pyval *y, uint8_t dtype)
{
    static const sb_op_code ops[] = {
        [SB_BLOB_ADD] = SB_IR_PY_ADD_F64,           [SB_BLOB_SUB] = SB_IR_PY_SUB_F64,
        [SB_BLOB_MUL] = SB_IR_PY_MUL_F64,           [SB_BLOB_TRUEDIV] = SB_IR_PY_TRUEDIV_F64,
        [SB_BLOB_FLOORDIV] = SB_IR_PY_FLOORDIV_F64, [SB_BLOB_MOD] = SB_IR_PY_MOD_F64,
        [SB_BLOB_POW] = SB_IR_PY_POW_F64,
    };
    if (op > SB_BLOB_POW) {
        return raises(l);
    }
    if (op == SB_BLOB_POW && !is_libm_power(x, y)) {
        return refused(l, "** of such NumPy scalars");
    }
    if (dtype == 'f' && op == SB_BLOB_FLOORDIV) {
        return refused(l, "// of a float32");
    }
    const bool narrow = dtype == 'f';
    const sb_value a =
        narrow ? sb_np_as_float32(l, x, kind_of(x)) : sb_np_as_double(l, x, kind_of(x));
    const sb_value b =
        narrow ? sb_np_as_float32(l, y, kind_of(y)) : sb_np_as_double(l, y, kind_of(y));
    return sb_np_round32(l, sb_op2(l, ops[op], a, b), a, b, dtype);
}

/* Both of one kind. */
static pyval binary_of_kinds(lowering *l, uint8_t op, const pyval *x, const pyval *y)
{
    const uint8_t dtype = common_type(x, y);
    if (dtype == 'b') {
        return of_truths(l, op, x, y);
    }
    if (dtype == 'f' || dtype == 'g') {
        return of_floats(l, op, x, y, dtype);
    }
    return op == SB_BLOB_TRUEDIV ? of_floats(l, op, x, y, 'g') : of_ints(l, op, x, y, dtype);
}

pyval sb_np_binary(lowering *l, uint8_t op, pyval x, pyval y)
{
    x = sb_pyval_strip(l, x, TAG_NONE, SB_REASON_NONE_OPERAND);
    y = sb_pyval_strip(l, y, TAG_NONE, SB_REASON_NONE_OPERAND);
    if (x.tags == 0 || y.tags == 0) {
        return sb_pyval_never();
    }
    if ((x.tags | y.tags) & ~(NUMERIC_BITS | NP_BITS)) {
        return refused(l, "a NumPy scalar with a value that is no number");
    }
    if (!((x.tags | y.tags) & NP_BITS)) {
        return sb_pyval_binary(l, op, x, y, l->at);
    }
    if (sb_tag_count(x.tags) > 1 || sb_tag_count(y.tags) > 1) {
        return split(l, op, &x, &y, sb_np_binary);
    }
    return binary_of_kinds(l, op, &x, &y);
}

/* --- unary -------------------------------------------------------------------------------------------------------------- */

typedef pyval (*of_one)(lowering *l, uint8_t op, const pyval *v);

pyval sb_np_by_kind(lowering *l, uint8_t op, const pyval *v, sb_np_of_kind f)
{
    if (v->tags == 0 || !sb_working(l)) {
        return sb_pyval_never();
    }
    const unsigned tag = kind_of(v);
    if (sb_tag_count(v->tags) == 1) {
        return f(l, op, v, tag);
    }
    const pyval one = only(v, tag);
    const pyval rest = without(v, tag);
    const sb_value cond = sb_pyval_is(l, v, tag);
    const sb_value region = sb_irb_if(&l->b, cond);
    const pyval a = f(l, op, &one, tag);
    sb_irb_else(&l->b, region);
    const pyval b = sb_np_by_kind(l, op, &rest, f);
    sb_irb_end_if(&l->b, region);
    pyval r = sb_merge_value(l, cond, &a, &b);
    sb_pyval_complete(l, &r);
    return r;
}

static pyval int_made(lowering *l, sb_value r, uint8_t dtype)
{
    (void)sb_irb_op(&l->b, SB_IR_KEEP, r, 0, 0);
    sb_np_leave_outside(l, r, dtype);
    return sb_np_int_value(r, dtype);
}

/* ~ of an unsigned integer is taken within its bits. */
static pyval inverted(lowering *l, const pyval *v)
{
    const sb_np_int *type = sb_np_int_of(v->dtype);
    if (type->is_signed) {
        return sb_np_int_value(sb_op1(l, SB_IR_PY_INVERT_I64, v->i), v->dtype);
    }
    if (type->bits == 64) {
        return refused(l, "~ of a uint64");
    }
    const sb_value ones = sb_irb_const_i(&l->b, type->high);
    return sb_np_int_value(sb_op2(l, SB_IR_PY_XOR_I64, v->i, ones), v->dtype);
}

static pyval unary_of_kind(lowering *l, uint8_t op, const pyval *v, unsigned tag)
{
    switch (tag) {
    case TAG_NP_INT:
        if (op == SB_BLOB_NEG) {
            return int_made(l, sb_op1(l, SB_IR_PY_NEG_I64, v->i), v->dtype);
        }
        return op == SB_BLOB_POS ? *v : inverted(l, v);
    case TAG_NP_F64:
    case TAG_NP_F32:
        if (op == SB_BLOB_NEG) {
            return sb_np_float_value(sb_op1(l, SB_IR_PY_NEG_F64, v->f),
                                     tag == TAG_NP_F32 ? 'f' : 'g');
        }
        return op == SB_BLOB_POS ? *v : raises(l);
    case TAG_NP_BOOL:
        return op == SB_BLOB_INVERT ? sb_np_bool_value(sb_op1(l, SB_IR_NOT, v->b)) : raises(l);
    default:
        if (op == SB_BLOB_NEG) {
            return sb_pyval_negate(l, *v);
        }
        return op == SB_BLOB_POS ? sb_pyval_number(l, *v) : sb_pyval_invert(l, *v);
    }
}

/* None leaves; what is no number is refused. */
static pyval numbers_of(lowering *l, pyval v)
{
    v = sb_pyval_strip(l, v, TAG_NONE, SB_REASON_NONE_OPERAND);
    if (v.tags & ~(NUMERIC_BITS | NP_BITS)) {
        return refused(l, "a NumPy scalar or a value that is no number");
    }
    return v;
}

pyval sb_np_unary(lowering *l, uint8_t op, pyval v)
{
    v = numbers_of(l, v);
    return sb_np_by_kind(l, op, &v, unary_of_kind);
}

static pyval abs_of_kind(lowering *l, uint8_t op, const pyval *v, unsigned tag)
{
    (void)op;
    switch (tag) {
    case TAG_NP_INT:
        return int_made(l, sb_op1(l, SB_IR_PY_ABS_I64, v->i), v->dtype);
    case TAG_INT:
        return sb_pyval_int(sb_op1(l, SB_IR_PY_ABS_I64, v->i));
    case TAG_BOOL:
        return sb_pyval_int(sb_op1(l, SB_IR_PY_INT_B, v->b));
    case TAG_NP_BOOL:
        return *v;
    case TAG_FLOAT:
        return sb_pyval_float(sb_op1(l, SB_IR_PY_ABS_F64, v->f));
    default:
        return sb_np_float_value(sb_op1(l, SB_IR_PY_ABS_F64, v->f), tag == TAG_NP_F32 ? 'f' : 'g');
    }
}

pyval sb_np_abs(lowering *l, pyval v)
{
    v = numbers_of(l, v);
    return sb_np_by_kind(l, 0, &v, abs_of_kind);
}

/* --- comparison --------------------------------------------------------------------------------------------------------- */

/* As integers where both are, exactly; else as doubles, or as float32 where one is and the other is weak. */
static sb_value holds(lowering *l, uint8_t op, const pyval *x, const pyval *y)
{
    const unsigned kx = kind_of(x);
    const unsigned ky = kind_of(y);
    const bool eq = op == SB_BLOB_EQ;
    const bool lt = op == SB_BLOB_LT;
    if (!is_float(kx) && !is_float(ky)) {
        return sb_op2(l, eq ? SB_IR_PY_EQ_I64 : (lt ? SB_IR_PY_LT_I64 : SB_IR_PY_LE_I64),
                      as_whole(l, x, kx), as_whole(l, y, ky));
    }
    const bool narrow = common_type(x, y) == 'f';
    const sb_value a = narrow ? sb_np_as_float32(l, x, kx) : sb_np_as_double(l, x, kx);
    const sb_value b = narrow ? sb_np_as_float32(l, y, ky) : sb_np_as_double(l, y, ky);
    return sb_op2(l, eq ? SB_IR_PY_EQ_F64 : (lt ? SB_IR_PY_LT_F64 : SB_IR_PY_LE_F64), a, b);
}

static pyval compare_kinds(lowering *l, uint8_t op, pyval x, pyval y)
{
    if (x.tags == 0 || y.tags == 0) {
        return sb_pyval_never();
    }
    if (!((x.tags | y.tags) & NP_BITS)) {
        return sb_pyval_bool(sb_pyval_compare(l, op, x, y));
    }
    if (sb_tag_count(x.tags) > 1 || sb_tag_count(y.tags) > 1) {
        return split(l, op, &x, &y, compare_kinds);
    }
    if ((x.tags | y.tags) & NONE_BIT) { /* only of == and != */
        return sb_pyval_bool(op == SB_BLOB_NE ? l->true_b : l->zero_b);
    }
    if (op == SB_BLOB_NE) {
        return sb_np_bool_value(sb_op1(l, SB_IR_NOT, holds(l, SB_BLOB_EQ, &x, &y)));
    }
    return sb_np_bool_value(holds(l, op, &x, &y));
}

pyval sb_np_compare(lowering *l, uint8_t op, pyval x, pyval y)
{
    if (op == SB_BLOB_GT || op == SB_BLOB_GE) {
        return sb_np_compare(l, op == SB_BLOB_GT ? SB_BLOB_LT : SB_BLOB_LE, y, x);
    }
    if (op == SB_BLOB_LT || op == SB_BLOB_LE) {
        x = sb_pyval_strip(l, x, TAG_NONE, SB_REASON_NONE_OPERAND);
        y = sb_pyval_strip(l, y, TAG_NONE, SB_REASON_NONE_OPERAND);
    }
    if ((x.tags | y.tags) & ~(NONE_BIT | NUMERIC_BITS | NP_BITS)) {
        return refused(l, "a NumPy scalar compared with a value that is no number");
    }
    return compare_kinds(l, op, x, y);
}
