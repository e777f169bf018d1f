/* Numbers beyond + - * /: powers, bit operations, abs, int, round, and the functions of math.
 *
 * A number of either kind takes a region for each kind where what is done differs. Leaving is always right, so kinds that Python refuses,
 * such as a float for a shift, leave.
 *
 * Memory: none. Threads: one. */
#include "front/lower_int.h"

typedef pyval (*of_number)(lowering *l, const pyval *v, unsigned tag);

/* f of a number: of the kind it has, in a region where it can have both. */
static pyval by_kind(lowering *l, pyval v, of_number f)
{
    v = sb_pyval_number(l, v);
    if (v.tags == 0) {
        return v;
    }
    if (sb_tag_count(v.tags) == 1) {
        return f(l, &v, v.tags == INT_BIT ? TAG_INT : TAG_FLOAT);
    }
    sb_value is_int = sb_pyval_is(l, &v, TAG_INT);
    sb_value region = sb_irb_if(&l->b, is_int);
    pyval x = f(l, &v, TAG_INT);
    sb_irb_else(&l->b, region);
    pyval y = f(l, &v, TAG_FLOAT);
    sb_irb_end_if(&l->b, region);
    pyval r = sb_merge_value(l, is_int, &x, &y);
    sb_pyval_complete(l, &r);
    return r;
}

/* Rows with another kind than an int leave. */
static pyval only_int(lowering *l, pyval v)
{
    v = sb_pyval_number(l, v);
    return sb_pyval_strip(l, v, TAG_FLOAT, SB_REASON_RAISE);
}

static pyval only_float(lowering *l, pyval v)
{
    v = sb_pyval_number(l, v);
    return v.tags == 0 ? v : sb_pyval_float(sb_pyval_as_float(l, &v));
}

/* --- bits --------------------------------------------------------------------------------------------------------- */

pyval sb_pyval_bits(lowering *l, uint8_t op, pyval x, pyval y)
{
    static const sb_op_code ints[] = {
        [SB_BLOB_LSHIFT] = SB_IR_PY_LSHIFT_I64, [SB_BLOB_RSHIFT] = SB_IR_PY_RSHIFT_I64,
        [SB_BLOB_BITAND] = SB_IR_PY_AND_I64,    [SB_BLOB_BITOR] = SB_IR_PY_OR_I64,
        [SB_BLOB_BITXOR] = SB_IR_PY_XOR_I64,
    };
    static const sb_op_code bools[] = {
        [SB_BLOB_BITAND] = SB_IR_AND, [SB_BLOB_BITOR] = SB_IR_OR, [SB_BLOB_BITXOR] = SB_IR_XOR};
    if ((x.tags | y.tags) & NP_BITS) {
        return sb_np_binary(l, op, x, y);
    }
    x = sb_pyval_strip(l, x, TAG_NONE, SB_REASON_NONE_OPERAND);
    y = sb_pyval_strip(l, y, TAG_NONE, SB_REASON_NONE_OPERAND);
    if (x.tags == BOOL_BIT && y.tags == BOOL_BIT && op >= SB_BLOB_BITAND) {
        return sb_pyval_bool(sb_op2(l, bools[op], x.b, y.b));
    }
    if ((x.tags & y.tags & BOOL_BIT) && op >= SB_BLOB_BITAND) {
        /* Of two bools a bool, else an int: rows with two bools leave, since few functions mix them. */
        sb_value both =
            sb_op2(l, SB_IR_AND, sb_pyval_is(l, &x, TAG_BOOL), sb_pyval_is(l, &y, TAG_BOOL));
        sb_irb_leave_if(&l->b, both, SB_REASON_TYPE_TAG);
    }
    x = only_int(l, x);
    y = only_int(l, y);
    if (x.tags == 0 || y.tags == 0) {
        return sb_pyval_never();
    }
    return sb_pyval_int(sb_op2(l, ints[op], x.i, y.i));
}

pyval sb_pyval_invert(lowering *l, pyval v)
{
    if (v.tags & NP_BITS) {
        return sb_np_unary(l, SB_BLOB_INVERT, v);
    }
    if (v.tags & BOOL_BIT) { /* deprecated, and a warning that may be an error */
        v = sb_pyval_strip(l, v, TAG_BOOL, SB_REASON_TYPE_TAG);
    }
    v = only_int(l, v);
    return v.tags == 0 ? v : sb_pyval_int(sb_op1(l, SB_IR_PY_INVERT_I64, v.i));
}

/* --- powers ------------------------------------------------------------------------------------------------------- */

static pyval power_of_floats(lowering *l, const pyval *x, const pyval *y)
{
    return sb_pyval_float(
        sb_op2(l, SB_IR_PY_POW_F64, sb_pyval_as_float(l, x), sb_pyval_as_float(l, y)));
}

/* x ** 2 and x ** 3 are products: each of their parts fits where the whole does. */
static pyval whole_power(lowering *l, sb_value x, sb_value y, int64_t known)
{
    if (known != 2 && known != 3) {
        return sb_pyval_int(sb_op2(l, SB_IR_PY_POW_I64, x, y));
    }
    sb_value r = sb_op2(l, SB_IR_PY_MUL_I64, x, x);
    return sb_pyval_int(known == 2 ? r : sb_op2(l, SB_IR_PY_MUL_I64, r, x));
}

/* Of ints: an int where the exponent is not negative. */
static pyval power_of_ints(lowering *l, const pyval *x, const pyval *y)
{
    int64_t known = 0;
    pyval floats_x = sb_pyval_int(x->i);
    pyval floats_y = sb_pyval_int(y->i);
    if (sb_const_int(l, y->i, &known)) {
        return known >= 0 ? whole_power(l, x->i, y->i, known)
                          : power_of_floats(l, &floats_x, &floats_y);
    }
    sb_value below = sb_op2(l, SB_IR_PY_LT_I64, y->i, l->zero_i);
    sb_value region = sb_irb_if(&l->b, below);
    pyval broken = power_of_floats(l, &floats_x, &floats_y);
    sb_irb_else(&l->b, region);
    pyval whole = sb_pyval_int(sb_op2(l, SB_IR_PY_POW_I64, x->i, y->i));
    sb_irb_end_if(&l->b, region);
    pyval r = sb_merge_value(l, below, &broken, &whole);
    sb_pyval_complete(l, &r);
    return r;
}

pyval sb_pyval_power(lowering *l, pyval x, pyval y)
{
    if ((x.tags | y.tags) & NP_BITS) {
        return sb_np_binary(l, SB_BLOB_POW, x, y);
    }
    x = sb_pyval_number(l, x);
    y = sb_pyval_number(l, y);
    if (x.tags == 0 || y.tags == 0) {
        return sb_pyval_never();
    }
    if (x.tags == INT_BIT && y.tags == INT_BIT) {
        return power_of_ints(l, &x, &y);
    }
    if (x.tags == FLOAT_BIT || y.tags == FLOAT_BIT) {
        return power_of_floats(l, &x, &y);
    }
    sb_value both = sb_op2(l, SB_IR_AND, sb_pyval_is(l, &x, TAG_INT), sb_pyval_is(l, &y, TAG_INT));
    sb_value region = sb_irb_if(&l->b, both);
    pyval ints = power_of_ints(l, &x, &y);
    sb_irb_else(&l->b, region);
    pyval floats = power_of_floats(l, &x, &y);
    sb_irb_end_if(&l->b, region);
    pyval r = sb_merge_value(l, both, &ints, &floats);
    sb_pyval_complete(l, &r);
    return r;
}

/* --- one number ------------------------------------------------------------------------------------------------------ */

static pyval abs_of(lowering *l, const pyval *v, unsigned tag)
{
    return tag == TAG_INT ? sb_pyval_int(sb_op1(l, SB_IR_PY_ABS_I64, v->i))
                          : sb_pyval_float(sb_op1(l, SB_IR_PY_ABS_F64, v->f));
}

static pyval int_of(lowering *l, const pyval *v, unsigned tag)
{
    return sb_pyval_int(tag == TAG_INT ? v->i : sb_op1(l, SB_IR_PY_INT_F64, v->f));
}

static pyval rounded_int(lowering *l, const pyval *v, unsigned tag, sb_op_code op)
{
    return sb_pyval_int(tag == TAG_INT ? v->i : sb_op1(l, SB_IR_PY_INT_F64, sb_op1(l, op, v->f)));
}

static pyval round_of(lowering *l, const pyval *v, unsigned tag)
{
    return rounded_int(l, v, tag, SB_IR_RINT_F64);
}

static pyval floor_of(lowering *l, const pyval *v, unsigned tag)
{
    return rounded_int(l, v, tag, SB_IR_FLOOR_F64);
}

static pyval ceil_of(lowering *l, const pyval *v, unsigned tag)
{
    return rounded_int(l, v, tag, SB_IR_CEIL_F64);
}

/* round(x, n): of an int an int, of a float a float; n is None or an int. */
static pyval round_digits(lowering *l, pyval v, pyval digits)
{
    if (digits.tags == NONE_BIT) {
        return by_kind(l, v, round_of);
    }
    v = sb_pyval_number(l, v);
    digits = sb_pyval_strip(l, digits, TAG_NONE, SB_REASON_TYPE_TAG);
    digits = only_int(l, digits);
    if (v.tags == 0 || digits.tags == 0) {
        return sb_pyval_never();
    }
    if (v.tags == INT_BIT) {
        return sb_pyval_int(sb_op2(l, SB_IR_PY_ROUND_N_I64, v.i, digits.i));
    }
    if (v.tags == FLOAT_BIT) {
        return sb_pyval_float(sb_op2(l, SB_IR_PY_ROUND_N_F64, v.f, digits.i));
    }
    sb_value is_int = sb_pyval_is(l, &v, TAG_INT);
    sb_value region = sb_irb_if(&l->b, is_int);
    pyval x = sb_pyval_int(sb_op2(l, SB_IR_PY_ROUND_N_I64, v.i, digits.i));
    sb_irb_else(&l->b, region);
    pyval y = sb_pyval_float(sb_op2(l, SB_IR_PY_ROUND_N_F64, v.f, digits.i));
    sb_irb_end_if(&l->b, region);
    pyval r = sb_merge_value(l, is_int, &x, &y);
    sb_pyval_complete(l, &r);
    return r;
}

/* --- math --------------------------------------------------------------------------------------------------------- */

static pyval gcd_of(lowering *l, const pyval *args, uint32_t count)
{
    sb_value r = l->zero_i;
    for (uint32_t k = 0; k < count; k++) {
        pyval v = only_int(l, args[k]);
        if (v.tags == 0) {
            return v;
        }
        r = sb_op2(l, SB_IR_MATH_GCD_I64, r, v.i);
    }
    return sb_pyval_int(r);
}

static pyval of_float(lowering *l, const sb_node *n, const pyval *args)
{
    static const sb_op_code ops[] = {
#define X(name, number, count) [number - SB_BLOB_MATH_FIRST] = SB_IR_MATH_##name,
        SB_BLOB_MATH_LIST(X)
#undef X
    };
    pyval x = only_float(l, args[0]);
    pyval y = n->list.count > 1 ? only_float(l, args[1]) : x;
    if (x.tags == 0 || y.tags == 0) {
        return sb_pyval_never();
    }
    sb_op_code op = ops[n->op - SB_BLOB_MATH_FIRST];
    return sb_pyval_float(n->list.count > 1 ? sb_op2(l, op, x.f, y.f) : sb_op1(l, op, x.f));
}

static pyval scaled(lowering *l, pyval v, double factor)
{
    v = only_float(l, v);
    return v.tags == 0
               ? v
               : sb_pyval_float(sb_op2(l, SB_IR_PY_MUL_F64, v.f, sb_irb_const_f(&l->b, factor)));
}

static pyval ldexp_of(lowering *l, pyval x, pyval power)
{
    x = only_float(l, x);
    power = only_int(l, power);
    bool never = x.tags == 0 || power.tags == 0;
    return never ? sb_pyval_never() : sb_pyval_float(sb_op2(l, SB_IR_MATH_LDEXP, x.f, power.i));
}

/* --- methods ------------------------------------------------------------------------------------------------------- */

static pyval bits_of(lowering *l, pyval v, sb_op_code op)
{
    v = only_int(l, v);
    return v.tags == 0 ? v : sb_pyval_int(sb_op1(l, op, v.i));
}

static pyval int_is_whole(lowering *l, const pyval *v, unsigned tag)
{
    if (tag == TAG_INT) {
        return sb_pyval_bool(l->true_b);
    }
    sb_value rest = sb_op2(l, SB_IR_PY_SUB_F64, v->f, v->f); /* NaN unless finite */
    sb_value finite = sb_op2(l, SB_IR_PY_EQ_F64, rest, l->zero_f);
    sb_value whole = sb_op2(l, SB_IR_PY_EQ_F64, sb_op1(l, SB_IR_FLOOR_F64, v->f), v->f);
    return sb_pyval_bool(sb_op2(l, SB_IR_AND, finite, whole));
}

static pyval is_whole(lowering *l, pyval v, const pyval *of_ints)
{
    bool has = false;
    if (of_ints->tags != BOOL_BIT || !sb_irb_is_const_b(&l->b, of_ints->b, &has)) {
        return sb_pyval_never(); /* no tree that the capture side writes */
    }
    if (!has) {
        v = sb_pyval_strip(l, v, TAG_INT, SB_REASON_RAISE);
        v = sb_pyval_strip(l, v, TAG_BOOL, SB_REASON_RAISE);
    }
    return v.tags == 0 ? v : by_kind(l, v, int_is_whole);
}

#define PI 3.141592653589793

pyval sb_lower_math(lowering *l, const sb_node *n, const pyval *args, uint32_t count)
{
    pyval v;
    switch (n->op) {
    case SB_BLOB_ABS:
        return by_kind(l, args[0], abs_of);
    case SB_BLOB_INT:
        return count == 0 ? sb_pyval_int(l->zero_i) : by_kind(l, args[0], int_of);
    case SB_BLOB_INT_INDEX:
        return only_int(l, args[0]);
    case SB_BLOB_ROUND:
        return round_digits(l, args[0], count > 1 ? args[1] : sb_pyval_none());
    case SB_BLOB_FLOOR:
        return by_kind(l, args[0], floor_of);
    case SB_BLOB_CEIL:
        return by_kind(l, args[0], ceil_of);
    case SB_BLOB_TRUNC:
        return by_kind(l, args[0], int_of);
    case SB_BLOB_GCD:
        return gcd_of(l, args, count);
    case SB_BLOB_ISQRT:
        v = only_int(l, args[0]);
        return v.tags == 0 ? v : sb_pyval_int(sb_op2(l, SB_IR_MATH_ISQRT_I64, v.i, v.i));
    case SB_BLOB_BIT_COUNT:
        return bits_of(l, args[0], SB_IR_PY_BIT_COUNT_I64);
    case SB_BLOB_BIT_LENGTH:
        return bits_of(l, args[0], SB_IR_PY_BIT_LENGTH_I64);
    case SB_BLOB_IS_INTEGER:
        return is_whole(l, args[0], &args[1]);
    case SB_BLOB_LDEXP:
        return ldexp_of(l, args[0], args[1]);
    case SB_BLOB_EXPONENT:
        v = only_float(l, args[0]);
        return v.tags == 0 ? v : sb_pyval_int(sb_op2(l, SB_IR_MATH_EXPONENT, v.f, v.f));
    case SB_BLOB_FABS:
        v = only_float(l, args[0]);
        return v.tags == 0 ? v : sb_pyval_float(sb_op1(l, SB_IR_PY_ABS_F64, v.f));
    case SB_BLOB_SQRT:
        v = only_float(l, args[0]);
        return v.tags == 0 ? v : sb_pyval_float(sb_op1(l, SB_IR_MATH_SQRT, v.f));
    case SB_BLOB_DEGREES:
        return scaled(l, args[0], 180.0 / PI);
    case SB_BLOB_RADIANS:
        return scaled(l, args[0], PI / 180.0);
    default:
        return of_float(l, n, args);
    }
}
