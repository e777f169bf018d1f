/* Builtins with NumPy's scalars, and how such a scalar comes from a column (numpy.h).
 *
 * A builtin of Python takes a NumPy scalar as the Python number of the same value, by __float__ or __int__, or as an index, by
 * __index__, which integers alone have. The kinds share registers, so that becomes another tag on the same value.
 *
 * Memory: none. Threads: one. */
#include "front/numpy.h"

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

/* --- as Python's -------------------------------------------------------------------------------------------------------- */

static void retag(lowering *l, pyval *v, unsigned from, unsigned to)
{
    if (!(v->tags & TAG_BIT(from))) {
        return;
    }
    const sb_value is_from = sb_pyval_is(l, v, from);
    const sb_value is_to = sb_pyval_is(l, v, to);
    v->is[to] = sb_op2(l, SB_IR_OR, is_from, is_to);
    v->tags = (v->tags & ~TAG_BIT(from)) | TAG_BIT(to);
}

pyval sb_np_plain(lowering *l, pyval v)
{
    if (v.tags & ITEMS_BIT) {
        pyval *items = sb_items_new(l, v.count);
        for (uint32_t k = 0; items != NULL && k < v.count; k++) {
            items[k] = sb_np_plain(l, v.items[k]);
        }
        v.items = items != NULL ? items : v.items;
    }
    retag(l, &v, TAG_NP_BOOL, TAG_BOOL);
    retag(l, &v, TAG_NP_INT, TAG_INT);
    retag(l, &v, TAG_NP_F64, TAG_FLOAT);
    retag(l, &v, TAG_NP_F32, TAG_FLOAT);
    v.dtype = 0;
    return v;
}

/* Other scalars than those of the tag raise. */
static pyval strip_but(lowering *l, pyval v, unsigned kept)
{
    for (unsigned tag = TAG_NP_BOOL; tag <= TAG_NP_F32; tag++) {
        v = tag != kept ? sb_pyval_strip(l, v, tag, SB_REASON_RAISE) : v;
    }
    return v;
}

pyval sb_np_index(lowering *l, pyval v)
{
    return sb_np_plain(l, strip_but(l, v, TAG_NP_INT));
}

/* How a builtin of Python takes NumPy's scalars. */
typedef enum how {
    HOW_AS_IS, /* it knows them */
    HOW_PLAIN, /* as the Python number */
    HOW_INDEX, /* integers alone */
    HOW_F64,   /* np.float64 alone */
    HOW_LDEXP, /* the first as a number; the second has to be an int of Python */
    HOW_ROUND, /* one argument as a number, digits as an index */
    HOW_ABS,   /* abs */
    HOW_FLOAT, /* floats alone as the Python number */
    HOW_REFUSED
} how;

static how way_of(uint8_t op)
{
    if (op >= SB_BLOB_MATH_FIRST && op < SB_BLOB_NP_ITEM) {
        return HOW_PLAIN;
    }
    if (op >= SB_BLOB_LIST_NEW && op <= SB_BLOB_LIST_INDEX) {
        return HOW_AS_IS;
    }
    switch (op) {
    case SB_BLOB_LEN:
    case SB_BLOB_MIN:
    case SB_BLOB_MAX:
    case SB_BLOB_BOOL:
    case SB_BLOB_ISINSTANCE:
    case SB_BLOB_SUM_BEGIN:
    case SB_BLOB_SUM_NEXT:
    case SB_BLOB_SUM_NEXT_PLAIN:
    case SB_BLOB_SUM_END:
    case SB_BLOB_DIVMOD:
        return HOW_AS_IS;
    case SB_BLOB_FLOAT:
    case SB_BLOB_INT:
    case SB_BLOB_ISNAN:
    case SB_BLOB_ISINF:
    case SB_BLOB_ISFINITE:
    case SB_BLOB_FLOOR:
    case SB_BLOB_CEIL:
    case SB_BLOB_FABS:
    case SB_BLOB_SQRT:
    case SB_BLOB_DEGREES:
    case SB_BLOB_RADIANS:
    case SB_BLOB_EXPONENT:
        return HOW_PLAIN;
    case SB_BLOB_TRUNC:
        return HOW_F64;
    case SB_BLOB_GCD:
    case SB_BLOB_ISQRT:
    case SB_BLOB_INT_INDEX:
        return HOW_INDEX;
    case SB_BLOB_LDEXP:
        return HOW_LDEXP;
    case SB_BLOB_ROUND:
        return HOW_ROUND;
    case SB_BLOB_ABS:
        return HOW_ABS;
    case SB_BLOB_IS_INTEGER:
        return HOW_FLOAT;
    default:
        return HOW_REFUSED;
    }
}

static bool refuse_call(lowering *l, pyval *out)
{
    *out = refused(l, "this function of a NumPy scalar");
    return false;
}

/* round(x) is an int of Python; with digits NumPy rounds in its own way. */
static bool ready_round(lowering *l, pyval *args, uint32_t count, pyval *out)
{
    if (args[0].tags & NP_BOOL_BIT || (count > 1 && (args[0].tags & NP_BITS))) {
        return refuse_call(l, out);
    }
    args[0] = sb_np_plain(l, args[0]);
    if (count > 1) {
        args[1] = sb_np_index(l, args[1]);
    }
    return true;
}

static pyval ready_one(lowering *l, how way, pyval v)
{
    switch (way) {
    case HOW_INDEX:
        return sb_np_index(l, v);
    case HOW_F64:
        return sb_np_plain(l, strip_but(l, v, TAG_NP_F64));
    default:
        return sb_np_plain(l, v);
    }
}

bool sb_np_arguments(lowering *l, const sb_node *n, pyval *args, uint32_t count, pyval *out)
{
    uint32_t tags = 0;
    for (uint32_t k = 0; k < count; k++) {
        tags |= args[k].tags;
    }
    if (!(tags & NP_BITS)) {
        return true;
    }
    const how way = way_of(n->op);
    switch (way) {
    case HOW_AS_IS:
        return true;
    case HOW_REFUSED:
        return refuse_call(l, out);
    case HOW_ROUND:
        return ready_round(l, args, count, out);
    case HOW_ABS:
        *out = sb_np_abs(l, args[0]);
        return false;
    case HOW_FLOAT:
        if (tags & (NP_INT_BIT | NP_BOOL_BIT)) {
            return refuse_call(l, out);
        }
        break;
    default:
        break;
    }
    for (uint32_t k = 0; k < count; k++) {
        const bool raises_here = way == HOW_LDEXP && k == 1;
        args[k] = raises_here ? strip_but(l, args[k], TAG_COUNT) : ready_one(l, way, args[k]);
        if (args[k].tags == 0) {
            *out = sb_pyval_never();
            return false;
        }
    }
    return true;
}

/* --- from columns ------------------------------------------------------------------------------------------------------- */

/* Only rows with this kind of Python value get past. */
static pyval strip_to(lowering *l, pyval v, unsigned kept)
{
    for (unsigned tag = 0; tag < TAG_COUNT; tag++) {
        v = tag != kept ? sb_pyval_strip(l, v, tag, SB_REASON_TYPE_TAG) : v;
    }
    return v;
}

static pyval item_of(lowering *l, pyval v, uint8_t dtype)
{
    if (dtype == 'b') {
        v = strip_to(l, v, TAG_BOOL);
        return v.tags == 0 ? v : sb_np_bool_value(v.b);
    }
    if (sb_np_int_of(dtype) != NULL) {
        v = strip_to(l, v, TAG_INT);
        if (v.tags != 0) {
            sb_np_leave_outside(l, v.i, dtype);
        }
        return v.tags == 0 ? v : sb_np_int_value(v.i, dtype);
    }
    v = strip_to(l, v, TAG_FLOAT);
    if (v.tags != 0 && dtype == 'f') {
        const sb_value same = sb_op2(l, SB_IR_PY_EQ_F64, sb_op1(l, SB_IR_NP_F32, v.f), v.f);
        const sb_value is = sb_op2(l, SB_IR_OR, same, sb_pyval_is_nan(l, &v));
        sb_irb_leave_if(&l->b, sb_op1(l, SB_IR_NOT, is), SB_REASON_TYPE_TAG);
    }
    return v.tags == 0 ? v : sb_np_float_value(v.f, dtype);
}

/* --- types called ------------------------------------------------------------------------------------------------------- */

static sb_value whole_of(lowering *l, const pyval *v, unsigned tag)
{
    if (tag == TAG_BOOL || tag == TAG_NP_BOOL) {
        return sb_op1(l, SB_IR_PY_INT_B, v->b);
    }
    return TAG_BIT(tag) & DOUBLE_BITS ? sb_op1(l, SB_IR_PY_INT_F64, v->f) : v->i;
}

/* dtype(v) of one kind. What wraps or loses its size leaves, though NumPy may have an answer. */
static pyval cast_kind(lowering *l, uint8_t dtype, const pyval *v, unsigned tag)
{
    if (dtype == 'b') {
        return sb_np_bool_value(sb_pyval_truth(l, v));
    }
    if (dtype == 'g') {
        return sb_np_float_value(sb_np_as_double(l, v, tag), 'g');
    }
    if (dtype == 'f') {
        const bool wide = tag == TAG_NP_INT && sb_np_int_of(v->dtype)->bits > 16;
        return sb_np_float_value(sb_np_as_float32(l, v, wide ? TAG_INT : tag), 'f');
    }
    const sb_value i = whole_of(l, v, tag);
    sb_np_leave_outside(l, i, dtype);
    return sb_np_int_value(i, dtype);
}

static pyval cast_to(lowering *l, pyval v, uint8_t dtype)
{
    v = sb_pyval_strip(l, v, TAG_NONE, SB_REASON_TYPE_TAG);
    if (v.tags & ~(NUMERIC_BITS | NP_BITS)) {
        return refused(l, "an array of a value that is no number");
    }
    return sb_np_by_kind(l, dtype, &v, cast_kind);
}

pyval sb_np_call(lowering *l, const sb_node *n, const pyval *args)
{
    int64_t letter = 0;
    const bool known = args[1].tags == INT_BIT && sb_const_int(l, args[1].i, &letter);
    if (!known) {
        return raises(l); /* no tree that the capture side writes */
    }
    if (letter != 'b' && letter != 'f' && letter != 'g' &&
        (letter < 0 || letter > UINT8_MAX || sb_np_int_of((uint8_t)letter) == NULL)) {
        return refused(l, "a NumPy scalar of this type");
    }
    return n->op == SB_BLOB_NP_ITEM ? item_of(l, args[0], (uint8_t)letter)
                                    : cast_to(l, args[0], (uint8_t)letter);
}
