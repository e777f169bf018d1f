/* Python values as registers: kinds, truth, arithmetic, comparison. The typing rules of the compiled language are here.
 *
 * Interface: sb_pyval_* of lower_int.h. What CPython would raise on becomes a leave; what needs more than the static kinds tell becomes a
 * choice by `is[tag]`.
 * Memory: none. Threads: one. */
#include "front/lower_int.h"

sb_value sb_op1(lowering *l, sb_op_code op, sb_value x)
{
    return sb_irb_op(&l->b, op, x, 0, 0);
}

sb_value sb_op2(lowering *l, sb_op_code op, sb_value x, sb_value y)
{
    return sb_irb_op(&l->b, op, x, y, 0);
}

unsigned sb_tag_count(uint32_t tags)
{
    return (unsigned)sb_popcount_u64(tags);
}

pyval sb_pyval_never(void)
{
    return (pyval){0};
}

pyval sb_pyval_none(void)
{
    return (pyval){.tags = NONE_BIT};
}

pyval sb_pyval_bool(sb_value b)
{
    return (pyval){.tags = BOOL_BIT, .b = b};
}

pyval sb_pyval_int(sb_value i)
{
    return (pyval){.tags = INT_BIT, .i = i};
}

pyval sb_pyval_float(sb_value f)
{
    return (pyval){.tags = FLOAT_BIT, .f = f};
}

pyval sb_pyval_unbound(void)
{
    return (pyval){.tags = UNBOUND_BIT};
}

pyval sb_pyval_opaque(opaque_why why)
{
    return (pyval){.tags = OPAQUE_BIT, .why = (uint8_t)why};
}

pyval sb_pyval_items(pyval *items, uint32_t count, bool is_list)
{
    return (pyval){.tags = ITEMS_BIT, .items = items, .count = count, .is_list = is_list};
}

pyval *sb_items_new(lowering *l, uint32_t count)
{
    pyval *items = sb_arena_alloc_zero(&l->arena, sizeof(*items) * ((size_t)count + 1));
    l->no_memory = l->no_memory || items == NULL;
    return items;
}

static bool same_items(const pyval *x, const pyval *y)
{
    if (x->count != y->count || x->is_list != y->is_list) {
        return false;
    }
    for (uint32_t k = 0; k < x->count && x->items != y->items; k++) {
        if (!sb_pyval_same(&x->items[k], &y->items[k])) {
            return false;
        }
    }
    return true;
}

bool sb_pyval_same(const pyval *x, const pyval *y)
{
    if (x->tags != y->tags || x->b != y->b || x->i != y->i || x->f != y->f ||
        x->dtype != y->dtype) {
        return false;
    }
    if ((x->tags & ITEMS_BIT) && !same_items(x, y)) {
        return false;
    }
    if (sb_tag_count(x->tags) < 2) {
        return true;
    }
    for (unsigned tag = 0; tag < TAG_COUNT; tag++) {
        if ((x->tags & TAG_BIT(tag)) && x->is[tag] != y->is[tag]) {
            return false;
        }
    }
    return true;
}

sb_value sb_pyval_is(lowering *l, const pyval *v, unsigned tag)
{
    if (!(v->tags & TAG_BIT(tag))) {
        return l->zero_b;
    }
    return sb_tag_count(v->tags) == 1 ? l->true_b : v->is[tag];
}

pyval sb_pyval_strip(lowering *l, pyval v, unsigned tag, sb_reason reason)
{
    if (!(v.tags & TAG_BIT(tag))) {
        return v;
    }
    sb_irb_leave_if(&l->b, sb_pyval_is(l, &v, tag), reason);
    v.tags &= ~TAG_BIT(tag);
    return v;
}

/* The lowest tag's register from the others': merges and loop arguments carry all but that one. What is complete stays as it is: its
 * items may be shared with states outside of the region that is being built, or of the trial of a loop. */
void sb_pyval_complete(lowering *l, pyval *v)
{
    for (uint32_t k = 0; (v->tags & ITEMS_BIT) && k < v->count; k++) {
        sb_pyval_complete(l, &v->items[k]);
    }
    if (sb_tag_count(v->tags) < 2) {
        return;
    }
    unsigned lowest = (unsigned)sb_ctz_u64(v->tags);
    if (v->is[lowest] != 0) {
        return; /* was not merged: its register may be seen where one made here is not */
    }
    sb_value others = l->zero_b;
    for (unsigned tag = lowest + 1; tag < TAG_COUNT; tag++) {
        if (v->tags & TAG_BIT(tag)) {
            others = sb_op2(l, SB_IR_OR, others, v->is[tag]);
        }
    }
    v->is[lowest] = sb_op1(l, SB_IR_NOT, others);
}

sb_value sb_merge_bool(lowering *l, sb_value cond, sb_value x, sb_value y)
{
    bool cx = false;
    bool cy = false;
    if (sb_irb_is_const_b(&l->b, x, &cx) && sb_irb_is_const_b(&l->b, y, &cy)) {
        if (cx == cy) {
            return cx ? l->true_b : l->zero_b; /* x may be a constant that only its side sees */
        }
        if (cx) {
            return cond;
        }
    }
    return sb_irb_merge(&l->b, x, y);
}

static sb_value payload(const pyval *v, uint32_t tags, sb_value in_tags, sb_value absent)
{
    return v->tags & tags ? in_tags : absent;
}

typedef pyval (*join_values)(lowering *l, sb_value cond, const pyval *x, const pyval *y);

/* Items of r, which has those of x, of y or of both; lengths and kinds are known to fit. */
static void join_items(lowering *l, sb_value cond, const pyval *x, const pyval *y, pyval *r,
                       join_values join)
{
    static const pyval never = {0};
    const pyval *like = x->tags & ITEMS_BIT ? x : y;
    if (!(r->tags & ITEMS_BIT)) {
        return;
    }
    r->count = like->count;
    r->is_list = like->is_list;
    r->items = sb_items_new(l, r->count);
    for (uint32_t k = 0; r->items != NULL && k < r->count; k++) {
        r->items[k] = join(l, cond, x->tags & ITEMS_BIT ? &x->items[k] : &never,
                           y->tags & ITEMS_BIT ? &y->items[k] : &never);
    }
    r->count = r->items != NULL ? r->count : 0;
}

/* One that cannot be joined with the other, or is opaque itself. Otherwise *r gets the type of NumPy's integers. */
static bool joins_to_opaque(const pyval *x, const pyval *y, pyval *r)
{
    if ((x->tags | y->tags) & OPAQUE_BIT) {
        *r = x->tags & OPAQUE_BIT ? *x : *y;
        return true;
    }
    if ((x->tags & y->tags & ITEMS_BIT) && (x->count != y->count || x->is_list != y->is_list)) {
        *r = sb_pyval_opaque(OPAQUE_LENGTH);
        return true;
    }
    if (((x->tags & LIST_BIT) && (y->tags & ITEMS_BIT)) ||
        ((x->tags & ITEMS_BIT) && (y->tags & LIST_BIT))) {
        *r = sb_pyval_opaque(OPAQUE_LENGTH);
        return true;
    }
    if ((x->tags & y->tags & NP_INT_BIT) && x->dtype != y->dtype) {
        *r = sb_pyval_opaque(OPAQUE_DTYPE);
        return true;
    }
    r->dtype = x->tags & NP_INT_BIT ? x->dtype : y->dtype;
    return false;
}

static uint32_t joined_site(lowering *l, const pyval *x, const pyval *y)
{
    if (x->tags & y->tags & LIST_BIT) {
        return sb_list_join(l, x->site, y->site);
    }
    return x->tags & LIST_BIT ? x->site : y->site;
}

pyval sb_merge_value(lowering *l, sb_value cond, const pyval *x, const pyval *y)
{
    pyval r = {.tags = x->tags | y->tags};
    if (sb_pyval_same(x, y)) {
        return *x;
    }
    if (joins_to_opaque(x, y, &r)) {
        return r;
    }
    join_items(l, cond, x, y, &r, sb_merge_value);
    r.site = joined_site(l, x, y);
    if (r.tags & TRUTH_BITS) {
        r.b = sb_irb_merge(&l->b, payload(x, TRUTH_BITS, x->b, l->zero_b),
                           payload(y, TRUTH_BITS, y->b, l->zero_b));
    }
    if (r.tags & WHOLE_BITS) {
        r.i = sb_irb_merge(&l->b, payload(x, WHOLE_BITS, x->i, l->zero_i),
                           payload(y, WHOLE_BITS, y->i, l->zero_i));
    }
    if (r.tags & DOUBLE_BITS) {
        r.f = sb_irb_merge(&l->b, payload(x, DOUBLE_BITS, x->f, l->zero_f),
                           payload(y, DOUBLE_BITS, y->f, l->zero_f));
    }
    if (sb_tag_count(r.tags) > 1) {
        unsigned lowest = (unsigned)sb_ctz_u64(r.tags);
        for (unsigned tag = lowest + 1; tag < TAG_COUNT; tag++) {
            if (r.tags & TAG_BIT(tag)) {
                r.is[tag] = sb_merge_bool(l, cond, sb_pyval_is(l, x, tag), sb_pyval_is(l, y, tag));
            }
        }
    }
    return r;
}

static sb_value select_one(lowering *l, sb_value cond, sb_value x, sb_value y)
{
    return sb_irb_op(&l->b, SB_IR_SELECT, cond, x, y);
}

static sb_value select_payload(lowering *l, sb_value cond, const pyval *x, const pyval *y,
                               uint32_t tags, sb_value of_x, sb_value of_y)
{
    if ((x->tags & tags) && (y->tags & tags)) {
        return select_one(l, cond, of_x, of_y);
    }
    return x->tags & tags ? of_x : of_y;
}

pyval sb_pyval_select(lowering *l, sb_value cond, const pyval *x, const pyval *y)
{
    pyval r = {.tags = x->tags | y->tags};
    if (sb_pyval_same(x, y)) {
        return *x;
    }
    if (joins_to_opaque(x, y, &r)) {
        return r;
    }
    join_items(l, cond, x, y, &r, sb_pyval_select);
    r.site = joined_site(l, x, y);
    r.b = select_payload(l, cond, x, y, TRUTH_BITS, x->b, y->b);
    r.i = select_payload(l, cond, x, y, WHOLE_BITS, x->i, y->i);
    r.f = select_payload(l, cond, x, y, DOUBLE_BITS, x->f, y->f);
    if (sb_tag_count(r.tags) > 1) {
        unsigned lowest = (unsigned)sb_ctz_u64(r.tags);
        for (unsigned tag = lowest + 1; tag < TAG_COUNT; tag++) {
            if (r.tags & TAG_BIT(tag)) {
                sb_value in_x = sb_op2(l, SB_IR_AND, cond, sb_pyval_is(l, x, tag));
                sb_value in_y =
                    sb_op2(l, SB_IR_AND, sb_op1(l, SB_IR_NOT, cond), sb_pyval_is(l, y, tag));
                r.is[tag] = sb_op2(l, SB_IR_OR, in_x, in_y);
            }
        }
        sb_pyval_complete(l, &r);
    }
    return r;
}

/* --- truth -------------------------------------------------------------------------------------------------------------- */

/* Where it may be something else, its handle is only there for rows that have a list. */
static sb_value list_truth(lowering *l, const pyval *v)
{
    if (v->tags == LIST_BIT) {
        return sb_op2(l, SB_IR_PY_LT_I64, l->zero_i, sb_list_length(l, v));
    }
    sb_value region = sb_irb_if(&l->b, sb_pyval_is(l, v, TAG_LIST));
    sb_value some = sb_op2(l, SB_IR_PY_LT_I64, l->zero_i, sb_list_length(l, v));
    sb_irb_else(&l->b, region);
    sb_irb_end_if(&l->b, region);
    return sb_irb_merge(&l->b, some, l->zero_b);
}

static sb_value truth_of_tag(lowering *l, const pyval *v, unsigned tag)
{
    switch (tag) {
    case TAG_BOOL:
    case TAG_NP_BOOL:
        return v->b;
    case TAG_INT:
    case TAG_NP_INT:
        return sb_op1(l, SB_IR_NOT, sb_op2(l, SB_IR_PY_EQ_I64, v->i, l->zero_i));
    case TAG_FLOAT:
    case TAG_NP_F64:
    case TAG_NP_F32:
        return sb_op1(l, SB_IR_NOT, sb_op2(l, SB_IR_PY_EQ_F64, v->f, l->zero_f));
    case TAG_ITEMS:
        return v->count > 0 ? l->true_b : l->zero_b;
    case TAG_LIST:
        return list_truth(l, v);
    case TAG_DATE:
    case TAG_STAMP:
    case TAG_AWARE:
    case TAG_ZONED:
        return l->true_b;
    default:
        return l->zero_b;
    }
}

sb_value sb_pyval_truth(lowering *l, const pyval *v)
{
    sb_value result = l->zero_b;
    for (unsigned tag = 0; tag < TAG_COUNT; tag++) {
        if (v->tags & TAG_BIT(tag)) {
            sb_value t = sb_op2(l, SB_IR_AND, sb_pyval_is(l, v, tag), truth_of_tag(l, v, tag));
            result = sb_op2(l, SB_IR_OR, result, t);
        }
    }
    return result;
}

/* --- arithmetic --------------------------------------------------------------------------------------------------------- */

static void refuse_here(lowering *l, const char *type)
{
    static const sb_node nowhere = {0};
    sb_refuse(l, SB_REFUSAL_COLUMN_TYPE, type, l->at != NULL ? l->at : &nowhere);
}

/* What no operator but == takes. */
static pyval strip_no_operand(lowering *l, pyval v)
{
    v = sb_pyval_strip(l, v, TAG_NONE, SB_REASON_NONE_OPERAND);
    v = sb_pyval_strip(l, v, TAG_LIST, SB_REASON_RAISE);
    return sb_pyval_strip(l, v, TAG_ITEMS, SB_REASON_RAISE);
}

pyval sb_pyval_number(lowering *l, pyval v)
{
    v = strip_no_operand(l, v);
    if (v.tags & TIME_BITS) {
        refuse_here(l, v.tags & DATE_BIT ? "date" : "timestamp");
        return sb_pyval_never();
    }
    if (v.tags & NP_BITS) {
        sb_refuse(l, SB_REFUSAL_TYPE, "a NumPy scalar in this place", l->at);
        return sb_pyval_never();
    }
    if (!(v.tags & BOOL_BIT)) {
        return v;
    }
    sb_value from_bool = sb_op1(l, SB_IR_PY_INT_B, v.b);
    pyval r = {.tags = (v.tags & ~BOOL_BIT) | INT_BIT, .f = v.f};
    r.i =
        v.tags & INT_BIT ? select_one(l, sb_pyval_is(l, &v, TAG_BOOL), from_bool, v.i) : from_bool;
    if (r.tags & FLOAT_BIT) {
        r.is[TAG_FLOAT] = v.is[TAG_FLOAT];
        sb_pyval_complete(l, &r);
    }
    return r;
}

sb_value sb_pyval_as_float(lowering *l, const pyval *v)
{
    if (!(v->tags & INT_BIT)) {
        return v->f;
    }
    sb_value from_int = sb_op1(l, SB_IR_PY_FLOAT_I64, v->i);
    return v->tags & FLOAT_BIT ? select_one(l, v->is[TAG_INT], from_int, v->f) : from_int;
}

typedef struct arith_ops {
    sb_op_code of_int, of_float;
    bool int_gives_float;
} arith_ops;

static const arith_ops arith_table[] = {
    [SB_BLOB_ADD] = {SB_IR_PY_ADD_I64, SB_IR_PY_ADD_F64, false},
    [SB_BLOB_SUB] = {SB_IR_PY_SUB_I64, SB_IR_PY_SUB_F64, false},
    [SB_BLOB_MUL] = {SB_IR_PY_MUL_I64, SB_IR_PY_MUL_F64, false},
    [SB_BLOB_TRUEDIV] = {SB_IR_PY_TRUEDIV_I64, SB_IR_PY_TRUEDIV_F64, true},
    [SB_BLOB_FLOORDIV] = {SB_IR_PY_FLOORDIV_I64, SB_IR_PY_FLOORDIV_F64, false},
    [SB_BLOB_MOD] = {SB_IR_PY_MOD_I64, SB_IR_PY_MOD_F64, false},
};

/* Both kinds occur: rows whose operands are both int take one region, the others the other. */
static pyval arith_mixed(lowering *l, const arith_ops *ops, const pyval *x, const pyval *y)
{
    sb_value both_int =
        sb_op2(l, SB_IR_AND, sb_pyval_is(l, x, TAG_INT), sb_pyval_is(l, y, TAG_INT));
    sb_value region = sb_irb_if(&l->b, both_int);
    sb_value from_int = sb_op2(l, ops->of_int, x->i, y->i);
    sb_irb_else(&l->b, region);
    sb_value from_float =
        sb_op2(l, ops->of_float, sb_pyval_as_float(l, x), sb_pyval_as_float(l, y));
    sb_irb_end_if(&l->b, region);
    if (ops->int_gives_float) {
        return sb_pyval_float(sb_irb_merge(&l->b, from_int, from_float));
    }
    pyval r = {.tags = INT_BIT | FLOAT_BIT};
    r.i = sb_irb_merge(&l->b, from_int, l->zero_i);
    r.f = sb_irb_merge(&l->b, l->zero_f, from_float);
    r.is[TAG_INT] = both_int;
    r.is[TAG_FLOAT] = sb_op1(l, SB_IR_NOT, both_int);
    return r;
}

static pyval concatenate(lowering *l, const pyval *x, const pyval *y)
{
    uint32_t count = x->count + y->count;
    pyval *items = sb_items_new(l, count);
    if (items == NULL) {
        return sb_pyval_never();
    }
    for (uint32_t k = 0; k < count; k++) {
        items[k] = k < x->count ? x->items[k] : y->items[k - x->count];
    }
    return sb_pyval_items(items, count, x->is_list);
}

static bool is_sequence(const pyval *v)
{
    return (v->tags & LIST_BIT) || (v->tags == ITEMS_BIT && v->is_list);
}

/* List + list, list * number; false: an operator that lists do not have. */
static bool arith_lists(lowering *l, uint8_t op, const pyval *x, const pyval *y, pyval *out)
{
    if (op == SB_BLOB_ADD && x->tags == LIST_BIT && y->tags == LIST_BIT) {
        *out = sb_list_concat(l, x, y);
        return true;
    }
    if (op == SB_BLOB_ADD && is_sequence(x) && is_sequence(y)) {
        *out = sb_pyval_never();
        l->wants_memory = true;
        sb_refuse(l, SB_REFUSAL_TYPE, "a list whose length depends on the row", l->at);
        return true;
    }
    if (op == SB_BLOB_MUL && is_sequence(x) != is_sequence(y)) {
        const pyval *list = is_sequence(x) ? x : y;
        const pyval *count = is_sequence(x) ? y : x;
        if (list->tags == LIST_BIT || list->tags == ITEMS_BIT) {
            *out = sb_list_repeat(l, *list, *count);
            return true;
        }
    }
    return false;
}

pyval sb_pyval_arith(lowering *l, uint8_t op, pyval x, pyval y)
{
    const arith_ops *ops = &arith_table[op];
    if ((x.tags | y.tags) & NP_BITS) {
        return sb_np_binary(l, op, x, y);
    }
    if (op == SB_BLOB_ADD && x.tags == ITEMS_BIT && y.tags == ITEMS_BIT && x.is_list == y.is_list &&
        x.count + y.count <= ITEMS_MAX) {
        return concatenate(l, &x, &y);
    }
    if ((x.tags | y.tags) & (LIST_BIT | ITEMS_BIT)) {
        pyval r;
        if (arith_lists(l, op, &x, &y, &r)) {
            return r;
        }
    }
    x = sb_pyval_number(l, x);
    y = sb_pyval_number(l, y);
    if (x.tags == 0 || y.tags == 0) {
        return sb_pyval_never();
    }
    if (x.tags == INT_BIT && y.tags == INT_BIT) {
        sb_value v = sb_op2(l, ops->of_int, x.i, y.i);
        return ops->int_gives_float ? sb_pyval_float(v) : sb_pyval_int(v);
    }
    if (x.tags == FLOAT_BIT || y.tags == FLOAT_BIT) {
        return sb_pyval_float(
            sb_op2(l, ops->of_float, sb_pyval_as_float(l, &x), sb_pyval_as_float(l, &y)));
    }
    return arith_mixed(l, ops, &x, &y);
}

pyval sb_pyval_negate(lowering *l, pyval v)
{
    if (v.tags & NP_BITS) {
        return sb_np_unary(l, SB_BLOB_NEG, v);
    }
    v = sb_pyval_number(l, v);
    if (v.tags == INT_BIT) {
        return sb_pyval_int(sb_op1(l, SB_IR_PY_NEG_I64, v.i));
    }
    if (v.tags == (INT_BIT | FLOAT_BIT)) {
        /* INT64_MIN may stand in the unused integer register of a float row. */
        sb_value safe = select_one(l, v.is[TAG_INT], v.i, l->zero_i);
        v.i = sb_op1(l, SB_IR_PY_NEG_I64, safe);
    }
    if (v.tags & FLOAT_BIT) {
        v.f = sb_op1(l, SB_IR_PY_NEG_F64, v.f);
    }
    return v;
}

/* --- comparison --------------------------------------------------------------------------------------------------------- */

static sb_value compare_whole(lowering *l, uint8_t op, const pyval *x, const pyval *y)
{
    bool eq = op == SB_BLOB_EQ;
    bool lt = op == SB_BLOB_LT;
    return sb_op2(l, eq ? SB_IR_PY_EQ_I64 : (lt ? SB_IR_PY_LT_I64 : SB_IR_PY_LE_I64), x->i, y->i);
}

/* x < y, x <= y or x == y of two numbers of one kind each. */
static sb_value compare_kinds(lowering *l, uint8_t op, const pyval *x, unsigned kx, const pyval *y,
                              unsigned ky)
{
    bool eq = op == SB_BLOB_EQ;
    bool lt = op == SB_BLOB_LT;
    if (kx == TAG_INT && ky == TAG_INT) {
        return compare_whole(l, op, x, y);
    }
    if (kx == TAG_FLOAT && ky == TAG_FLOAT) {
        return sb_op2(l, eq ? SB_IR_PY_EQ_F64 : (lt ? SB_IR_PY_LT_F64 : SB_IR_PY_LE_F64), x->f,
                      y->f);
    }
    if (kx == TAG_INT) {
        sb_op_code code =
            eq ? SB_IR_PY_EQ_I64_F64 : (lt ? SB_IR_PY_LT_I64_F64 : SB_IR_PY_LE_I64_F64);
        return sb_op2(l, code, x->i, y->f);
    }
    sb_op_code code = eq ? SB_IR_PY_EQ_I64_F64 : (lt ? SB_IR_PY_GT_I64_F64 : SB_IR_PY_GE_I64_F64);
    return sb_op2(l, code, y->i, x->f);
}

static sb_value compare_numbers(lowering *l, uint8_t op, const pyval *x, const pyval *y)
{
    sb_value result = l->zero_b;
    for (unsigned kx = TAG_INT; kx <= TAG_FLOAT; kx++) {
        for (unsigned ky = TAG_INT; ky <= TAG_FLOAT; ky++) {
            if ((x->tags & TAG_BIT(kx)) && (y->tags & TAG_BIT(ky))) {
                sb_value kinds = sb_op2(l, SB_IR_AND, sb_pyval_is(l, x, kx), sb_pyval_is(l, y, ky));
                sb_value holds = compare_kinds(l, op, x, kx, y, ky);
                result = sb_op2(l, SB_IR_OR, result, sb_op2(l, SB_IR_AND, kinds, holds));
            }
        }
    }
    return result;
}

/* Are both values of this kind of date or timestamp? */
static sb_value both_are(lowering *l, const pyval *x, const pyval *y, unsigned tag)
{
    return sb_op2(l, SB_IR_AND, sb_pyval_is(l, x, tag), sb_pyval_is(l, y, tag));
}

/* Of dates and timestamps only those of one kind compare; *alike: both are of one. */
static sb_value compare_times(lowering *l, uint8_t op, const pyval *x, const pyval *y,
                              sb_value *alike)
{
    sb_value result = l->zero_b;
    uint32_t zones = AWARE_BIT | ZONED_BIT;
    *alike = l->zero_b;
    if ((x->tags & zones) && (y->tags & zones) && ((x->tags | y->tags) & ZONED_BIT)) {
        refuse_here(l, "timestamp in a zone whose offset changes");
    }
    for (unsigned tag = TAG_DATE; tag <= TAG_ZONED; tag++) {
        if (x->tags & y->tags & TAG_BIT(tag)) {
            sb_value both = both_are(l, x, y, tag);
            sb_value holds = sb_op2(l, SB_IR_AND, both, compare_whole(l, op, x, y));
            *alike = sb_op2(l, SB_IR_OR, *alike, both);
            result = sb_op2(l, SB_IR_OR, result, holds);
        }
    }
    return result;
}

static sb_value is_time(lowering *l, const pyval *v)
{
    sb_value result = l->zero_b;
    for (unsigned tag = TAG_DATE; tag <= TAG_ZONED; tag++) {
        result = sb_op2(l, SB_IR_OR, result, sb_pyval_is(l, v, tag));
    }
    return result;
}

/* Of tuples or lists from item k on, all before being equal: the first two items that differ decide, then the lengths. */
static sb_value ordered_items(lowering *l, uint8_t op, const pyval *x, const pyval *y, uint32_t k)
{
    if (k == x->count || k == y->count) {
        bool holds = op == SB_BLOB_LT ? x->count < y->count : x->count <= y->count;
        return holds ? l->true_b : l->zero_b;
    }
    bool known = false;
    sb_value same = sb_item_equal(l, &x->items[k], &y->items[k]);
    if (sb_irb_is_const_b(&l->b, same, &known)) {
        return known ? ordered_items(l, op, x, y, k + 1)
                     : sb_pyval_compare(l, op, x->items[k], y->items[k]);
    }
    sb_value region = sb_irb_if(&l->b, same);
    sb_value rest = ordered_items(l, op, x, y, k + 1);
    sb_irb_else(&l->b, region);
    sb_value here = sb_pyval_compare(l, op, x->items[k], y->items[k]);
    sb_irb_end_if(&l->b, region);
    return sb_irb_merge(&l->b, rest, here);
}

/* x < y or x <= y. */
static sb_value ordered(lowering *l, uint8_t op, pyval x, pyval y)
{
    if (x.tags == ITEMS_BIT && y.tags == ITEMS_BIT && x.is_list == y.is_list) {
        return ordered_items(l, op, &x, &y, 0);
    }
    x = strip_no_operand(l, x);
    y = strip_no_operand(l, y);
    sb_value alike;
    sb_value times = compare_times(l, op, &x, &y, &alike);
    sb_value either = sb_op2(l, SB_IR_OR, is_time(l, &x), is_time(l, &y));
    sb_irb_leave_if(&l->b, sb_op2(l, SB_IR_AND, either, sb_op1(l, SB_IR_NOT, alike)),
                    SB_REASON_RAISE);
    x.tags &= ~TIME_BITS;
    y.tags &= ~TIME_BITS;
    x = sb_pyval_number(l, x);
    y = sb_pyval_number(l, y);
    sb_value numbers = compare_numbers(l, op, &x, &y);
    numbers = sb_op2(l, SB_IR_AND, sb_op1(l, SB_IR_NOT, either), numbers);
    return sb_op2(l, SB_IR_OR, times, numbers);
}

/* Equality of items is by identity first, which for a NaN says more than its value: rows where both are NaN leave. */
static sb_value equal_items(lowering *l, const pyval *x, const pyval *y)
{
    if (x->count != y->count || x->is_list != y->is_list) {
        return l->zero_b;
    }
    sb_value result = l->true_b;
    for (uint32_t k = 0; k < x->count; k++) {
        result = sb_op2(l, SB_IR_AND, result, sb_item_equal(l, &x->items[k], &y->items[k]));
    }
    return result;
}

sb_value sb_pyval_is_nan(lowering *l, const pyval *v)
{
    if (!(v->tags & DOUBLE_BITS)) {
        return l->zero_b;
    }
    sb_value is_float =
        sb_op2(l, SB_IR_OR, sb_pyval_is(l, v, TAG_NP_F64), sb_pyval_is(l, v, TAG_NP_F32));
    is_float = sb_op2(l, SB_IR_OR, is_float, sb_pyval_is(l, v, TAG_FLOAT));
    sb_value nan = sb_op1(l, SB_IR_NOT, sb_op2(l, SB_IR_PY_EQ_F64, v->f, v->f));
    return sb_op2(l, SB_IR_AND, nan, is_float);
}

sb_value sb_item_equal(lowering *l, const pyval *x, const pyval *y)
{
    if ((x->tags & DOUBLE_BITS) && (y->tags & DOUBLE_BITS)) {
        sb_value both = sb_op2(l, SB_IR_AND, sb_pyval_is_nan(l, x), sb_pyval_is_nan(l, y));
        sb_irb_leave_if(&l->b, both, SB_REASON_TYPE_TAG);
    }
    return sb_pyval_compare(l, SB_BLOB_EQ, *x, *y);
}

/* None equals None and nothing else; no row leaves. */
static sb_value equal(lowering *l, pyval x, pyval y)
{
    sb_value both_items = l->zero_b;
    if (x.tags & y.tags & ITEMS_BIT) {
        both_items =
            sb_op2(l, SB_IR_AND, sb_pyval_is(l, &x, TAG_ITEMS), sb_pyval_is(l, &y, TAG_ITEMS));
        both_items = sb_op2(l, SB_IR_AND, both_items, equal_items(l, &x, &y));
    }
    if ((x.tags & (LIST_BIT | ITEMS_BIT)) && (y.tags & (LIST_BIT | ITEMS_BIT)) &&
        ((x.tags | y.tags) & LIST_BIT)) {
        l->wants_memory = l->wants_memory || ((x.tags | y.tags) & ITEMS_BIT) != 0;
        return sb_list_equal(l, &x, &y);
    }
    sb_value items_x =
        sb_op2(l, SB_IR_OR, sb_pyval_is(l, &x, TAG_ITEMS), sb_pyval_is(l, &x, TAG_LIST));
    sb_value items_y =
        sb_op2(l, SB_IR_OR, sb_pyval_is(l, &y, TAG_ITEMS), sb_pyval_is(l, &y, TAG_LIST));
    sb_value none_x = sb_pyval_is(l, &x, TAG_NONE);
    sb_value none_y = sb_pyval_is(l, &y, TAG_NONE);
    sb_value both_none = sb_op2(l, SB_IR_AND, none_x, none_y);
    sb_value not_x = sb_op2(l, SB_IR_OR, is_time(l, &x), sb_op2(l, SB_IR_OR, none_x, items_x));
    sb_value not_y = sb_op2(l, SB_IR_OR, is_time(l, &y), sb_op2(l, SB_IR_OR, none_y, items_y));
    sb_value alike;
    sb_value times = compare_times(l, SB_BLOB_EQ, &x, &y, &alike);
    sb_value neither = sb_op1(l, SB_IR_NOT, sb_op2(l, SB_IR_OR, not_x, not_y));
    /* Kinds stay told apart by is[] even when None is taken out: rows with None are masked by `neither`. */
    x.tags &= ~(NONE_BIT | ITEMS_BIT | LIST_BIT | TIME_BITS);
    y.tags &= ~(NONE_BIT | ITEMS_BIT | LIST_BIT | TIME_BITS);
    x = sb_pyval_number(l, x);
    y = sb_pyval_number(l, y);
    sb_value numbers = sb_op2(l, SB_IR_AND, neither, compare_numbers(l, SB_BLOB_EQ, &x, &y));
    sb_value others = sb_op2(l, SB_IR_OR, both_items, times);
    return sb_op2(l, SB_IR_OR, others, sb_op2(l, SB_IR_OR, both_none, numbers));
}

sb_value sb_pyval_compare(lowering *l, uint8_t op, pyval x, pyval y)
{
    if ((x.tags | y.tags) & NP_BITS) {
        const pyval v = sb_np_compare(l, op, x, y);
        return v.tags == 0 ? l->zero_b : v.b;
    }
    switch (op) {
    case SB_BLOB_EQ:
        return equal(l, x, y);
    case SB_BLOB_NE:
        return sb_op1(l, SB_IR_NOT, equal(l, x, y));
    case SB_BLOB_GT:
        return sb_pyval_compare(l, SB_BLOB_LT, y, x);
    case SB_BLOB_GE:
        return sb_pyval_compare(l, SB_BLOB_LE, y, x);
    default:
        return ordered(l, op, x, y);
    }
}
