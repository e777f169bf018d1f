/* Functions of NumPy called with numbers: those whose results are rounded as the operation itself is (numpy.h).
 *
 * A Python number is taken as NumPy takes it where nothing else says a type: an int as int64, a float as float64. What gives a float16
 * (square roots of 8 bits, of booleans) is refused. Integers wrap there without a warning: such rows leave.
 *
 * Memory: none. Threads: one. */
#include "front/numpy.h"

static pyval refused(lowering *l)
{
    sb_refuse(l, SB_REFUSAL_TYPE, "this function of NumPy for a value of this type", l->at);
    return sb_pyval_never();
}

/* The number as a scalar of NumPy; booleans stay. */
static pyval as_numpy(const pyval *v, unsigned tag)
{
    switch (tag) {
    case TAG_INT:
        return sb_np_int_value(v->i, 'l');
    case TAG_FLOAT:
        return sb_np_float_value(v->f, 'g');
    default:
        return *v;
    }
}

static bool is_int(const pyval *v)
{
    return v->tags == NP_INT_BIT;
}

static uint8_t float_type(const pyval *v)
{
    return v->tags == NP_F32_BIT ? 'f' : 'g';
}

static sb_value greater(lowering *l, sb_value x, sb_value y)
{
    return sb_op2(l, SB_IR_PY_LT_F64, y, x);
}

static sb_value chosen(lowering *l, sb_value cond, sb_value x, sb_value y)
{
    return sb_irb_op(&l->b, SB_IR_SELECT, cond, x, y);
}

/* --- of one number ------------------------------------------------------------------------------------------------------ */

static pyval sign_of(lowering *l, const pyval *v)
{
    if (is_int(v)) {
        const sb_value up = sb_op2(l, SB_IR_PY_LT_I64, l->zero_i, v->i);
        const sb_value down = sb_op2(l, SB_IR_PY_LT_I64, v->i, l->zero_i);
        const sb_value rest = chosen(l, down, sb_irb_const_i(&l->b, -1), l->zero_i);
        return sb_np_int_value(chosen(l, up, sb_irb_const_i(&l->b, 1), rest), v->dtype);
    }
    const sb_value up = greater(l, v->f, l->zero_f);
    const sb_value down = greater(l, l->zero_f, v->f);
    const sb_value zero = sb_op2(l, SB_IR_PY_EQ_F64, v->f, l->zero_f);
    sb_value r = chosen(l, zero, l->zero_f, v->f); /* NaN stays */
    r = chosen(l, down, sb_irb_const_f(&l->b, -1.0), r);
    r = chosen(l, up, sb_irb_const_f(&l->b, 1.0), r);
    return sb_np_float_value(r, float_type(v));
}

static pyval class_of(lowering *l, uint8_t op, const pyval *v)
{
    if (is_int(v)) {
        return sb_np_bool_value(op == SB_BLOB_NP_ISFINITE ? l->true_b : l->zero_b);
    }
    const sb_value rest = sb_op2(l, SB_IR_PY_SUB_F64, v->f, v->f);
    const sb_value finite = sb_op2(l, SB_IR_PY_EQ_F64, rest, l->zero_f);
    const sb_value number = sb_op2(l, SB_IR_PY_EQ_F64, v->f, v->f);
    switch (op) {
    case SB_BLOB_NP_ISFINITE:
        return sb_np_bool_value(finite);
    case SB_BLOB_NP_ISNAN:
        return sb_np_bool_value(sb_op1(l, SB_IR_NOT, number));
    default: {
        const sb_value infinite = sb_op2(l, SB_IR_AND, number, sb_op1(l, SB_IR_NOT, finite));
        return sb_np_bool_value(infinite);
    }
    }
}

static pyval of_int(lowering *l, uint8_t op, const pyval *v)
{
    const bool wide = sb_np_int_of(v->dtype)->bits >= 32;
    const sb_value f = sb_np_as_double(l, v, TAG_NP_INT);
    switch (op) {
    case SB_BLOB_NP_SQRT:
        return wide ? sb_np_float_value(sb_op1(l, SB_IR_MATH_SQRT, f), 'g') : refused(l);
    case SB_BLOB_NP_FABS:
        return wide ? sb_np_float_value(sb_op1(l, SB_IR_PY_ABS_F64, f), 'g') : refused(l);
    case SB_BLOB_NP_ABSOLUTE:
        return sb_np_int_made(l, sb_op1(l, SB_IR_PY_ABS_I64, v->i), v->dtype);
    case SB_BLOB_NP_SQUARE:
        return sb_np_int_made(l, sb_op2(l, SB_IR_PY_MUL_I64, v->i, v->i), v->dtype);
    case SB_BLOB_NP_NEGATIVE:
        return sb_np_int_made(l, sb_op1(l, SB_IR_PY_NEG_I64, v->i), v->dtype);
    default:
        return refused(l); /* roundings: versions of NumPy differ in the type */
    }
}

/* Towards zero; the sign of a zero stays. */
static sb_value truncated(lowering *l, sb_value f)
{
    const sb_value below = greater(l, l->zero_f, f);
    return chosen(l, below, sb_op1(l, SB_IR_CEIL_F64, f), sb_op1(l, SB_IR_FLOOR_F64, f));
}

static pyval of_float(lowering *l, uint8_t op, const pyval *v)
{
    const uint8_t dtype = float_type(v);
    const sb_value f = v->f;
    switch (op) {
    case SB_BLOB_NP_SQRT:
        return sb_np_round32(l, sb_op1(l, SB_IR_MATH_SQRT, f), f, f, dtype);
    case SB_BLOB_NP_ABSOLUTE:
    case SB_BLOB_NP_FABS:
        return sb_np_float_value(sb_op1(l, SB_IR_PY_ABS_F64, f), dtype);
    case SB_BLOB_NP_FLOOR:
        return sb_np_float_value(sb_op1(l, SB_IR_FLOOR_F64, f), dtype);
    case SB_BLOB_NP_CEIL:
        return sb_np_float_value(sb_op1(l, SB_IR_CEIL_F64, f), dtype);
    case SB_BLOB_NP_RINT:
        return sb_np_float_value(sb_op1(l, SB_IR_RINT_F64, f), dtype);
    case SB_BLOB_NP_TRUNC:
        return sb_np_float_value(truncated(l, f), dtype);
    case SB_BLOB_NP_SQUARE:
        return sb_np_round32(l, sb_op2(l, SB_IR_PY_MUL_F64, f, f), f, f, dtype);
    default:
        return sb_np_float_value(sb_op1(l, SB_IR_PY_NEG_F64, f), dtype); /* NEGATIVE */
    }
}

static pyval of_kind(lowering *l, uint8_t op, const pyval *v, unsigned tag)
{
    const pyval x = as_numpy(v, tag);
    if (x.tags & TRUTH_BITS) {
        return refused(l);
    }
    if (op == SB_BLOB_NP_SIGN) {
        return sign_of(l, &x);
    }
    if (op >= SB_BLOB_NP_ISNAN) {
        return class_of(l, op, &x);
    }
    return is_int(&x) ? of_int(l, op, &x) : of_float(l, op, &x);
}

/* --- of two -------------------------------------------------------------------------------------------------------------- */

/* A NaN wins. Of a zero and a negative zero the processor's way decides: such rows leave. */
static sb_value extreme_float(lowering *l, bool largest, sb_value x, sb_value y)
{
    const sb_value same = sb_op2(l, SB_IR_PY_EQ_F64, x, y);
    const sb_value bits = sb_op2(l, SB_IR_PY_EQ_I64, sb_op1(l, SB_IR_IX_BITS_F64, x),
                                 sb_op1(l, SB_IR_IX_BITS_F64, y));
    const sb_value differ = sb_op2(l, SB_IR_AND, same, sb_op1(l, SB_IR_NOT, bits));
    sb_irb_leave_if(&l->b, differ, SB_REASON_TYPE_TAG);
    const sb_value first = largest ? greater(l, x, y) : greater(l, y, x);
    const sb_value nan = sb_op1(l, SB_IR_NOT, sb_op2(l, SB_IR_PY_EQ_F64, x, x));
    return chosen(l, sb_op2(l, SB_IR_OR, first, nan), x, y);
}

static pyval extreme(lowering *l, uint8_t op, pyval x, pyval y)
{
    const bool largest = op == SB_BLOB_NP_MAXIMUM;
    if (x.tags == 0 || y.tags == 0) {
        return sb_pyval_never();
    }
    if (sb_tag_count(x.tags) > 1 || sb_tag_count(y.tags) > 1) {
        return sb_np_split(l, op, &x, &y, extreme);
    }
    if ((x.tags | y.tags) & TRUTH_BITS) {
        return refused(l);
    }
    if (!((x.tags | y.tags) & NP_BITS)) {
        x = as_numpy(&x, (unsigned)sb_ctz_u64(x.tags));
    }
    const unsigned kx = (unsigned)sb_ctz_u64(x.tags);
    const unsigned ky = (unsigned)sb_ctz_u64(y.tags);
    const uint8_t dtype = sb_np_common_type(&x, &y);
    if (dtype == 'f' || dtype == 'g') {
        const bool narrow = dtype == 'f';
        const sb_value a = narrow ? sb_np_as_float32(l, &x, kx) : sb_np_as_double(l, &x, kx);
        const sb_value b = narrow ? sb_np_as_float32(l, &y, ky) : sb_np_as_double(l, &y, ky);
        return sb_np_float_value(extreme_float(l, largest, a, b), dtype);
    }
    const sb_value a = sb_np_as_int(l, &x, kx, dtype);
    const sb_value b = sb_np_as_int(l, &y, ky, dtype);
    const sb_value less = sb_op2(l, SB_IR_PY_LT_I64, a, b);
    return sb_np_int_value(largest ? chosen(l, less, b, a) : chosen(l, less, a, b), dtype);
}

/* The lesser of the upper bound and of the greater of x and the lower one. Bounds are Python's, or of x's own type: with others all three
 * would have to meet in one type first. */
static pyval clipped(lowering *l, const pyval *args)
{
    pyval bounds[2];
    pyval x = sb_pyval_strip(l, args[0], TAG_NONE, SB_REASON_RAISE);
    if (x.tags == 0 || sb_tag_count(x.tags) != 1 || !(x.tags & (NUMERIC_BITS | NP_BITS))) {
        return x.tags == 0 ? x : refused(l);
    }
    x = as_numpy(&x, (unsigned)sb_ctz_u64(x.tags));
    for (unsigned k = 0; k < 2; k++) {
        const pyval bound = sb_pyval_strip(l, args[k + 1], TAG_NONE, SB_REASON_TYPE_TAG);
        const bool same = bound.tags == x.tags && bound.dtype == x.dtype;
        if ((bound.tags & ~(INT_BIT | FLOAT_BIT)) && !same) {
            return refused(l);
        }
        bounds[k] = bound;
    }
    return extreme(l, SB_BLOB_NP_MINIMUM, extreme(l, SB_BLOB_NP_MAXIMUM, x, bounds[0]), bounds[1]);
}

pyval sb_np_function(lowering *l, const sb_node *n, const pyval *args)
{
    if (n->op == SB_BLOB_NP_CLIP) {
        return clipped(l, args);
    }
    const bool two = n->op >= SB_BLOB_NP_MINIMUM;
    const pyval x = sb_pyval_strip(l, args[0], TAG_NONE, SB_REASON_RAISE);
    const pyval y = two ? sb_pyval_strip(l, args[1], TAG_NONE, SB_REASON_RAISE) : x;
    if ((x.tags | y.tags) & ~(NUMERIC_BITS | NP_BITS)) {
        return refused(l);
    }
    return two ? extreme(l, n->op, x, y) : sb_np_by_kind(l, n->op, &x, of_kind);
}
