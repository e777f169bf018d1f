/* Calls: builtins on values, functions of the user lowered in place, blocks and comprehensions that stand for what builtins do with
 * an iterable.
 *
 * A called function is lowered where it is called: its locals are slots of the whole function, unbound before and behind the call. Its
 * returns are flags of its own, so control flow of the caller is not touched. Recursion cannot be written in a tree.
 *
 * Memory: none of its own. Threads: one. */
#include <string.h>

#include "front/lower_int.h"

static pyval never_raises(lowering *l)
{
    sb_irb_leave_if(&l->b, l->true_b, SB_REASON_RAISE);
    return sb_pyval_never();
}

/* --- functions of the user -------------------------------------------------------------------------------------------- */

static void unbind(env *e, uint32_t first, uint32_t count)
{
    for (uint32_t k = 0; k < count; k++) {
        e->vars[first + k] = sb_pyval_unbound();
    }
}

/* How the name of a function begins that stands for one of math: that makes Python's numbers of what it is given. */
#define FORM_OF_MATH "math."

pyval sb_lower_inline(lowering *l, env *e, const sb_node *n)
{
    const sb_tree_function *function = &l->tree.functions[n->slot];
    pyval *args = sb_items_new(l, n->list.count);
    if (args == NULL) {
        return sb_pyval_never();
    }
    for (uint32_t k = 0; k < n->list.count; k++) {
        args[k] = sb_lower_expr(l, e, n->list.items[k]);
        if (args[k].tags == 0) {
            return sb_pyval_never();
        }
        if (strncmp(function->name, FORM_OF_MATH, sizeof(FORM_OF_MATH) - 1) == 0) {
            if (args[k].tags & NP_BOOL_BIT) { /* no int to those that want one */
                sb_refuse(l, SB_REFUSAL_TYPE, "this function of a NumPy boolean", n);
                return sb_pyval_never();
            }
            args[k] = sb_np_plain(l, args[k]);
        }
    }
    if (l->inlined >= INLINED_MAX) {
        sb_refuse(l, SB_REFUSAL_TOO_COMPLEX, "", n);
        return sb_pyval_never();
    }
    env outer = *e;
    e->returned = e->broke = e->continued = l->zero_b;
    e->result = sb_pyval_never();
    e->dead = false;
    unbind(e, function->first, function->count);
    for (uint32_t k = 0; k < n->list.count; k++) {
        e->vars[n->slots[k]] = args[k];
    }
    l->inlined++;
    sb_lower_block(l, e, &function->body, 0);
    l->inlined--;
    sb_finish_result(l, e);
    pyval result = e->result;
    unbind(e, function->first, function->count);
    e->returned = outer.returned;
    e->broke = outer.broke;
    e->continued = outer.continued;
    e->result = outer.result;
    e->dead = outer.dead;
    return result;
}

pyval sb_lower_block_value(lowering *l, env *e, const sb_node *n)
{
    bool dead = e->dead;
    e->dead = false;
    sb_lower_block(l, e, &n->list, 0);
    pyval v = e->dead ? sb_pyval_never() : sb_lower_expr(l, e, n->a);
    unbind(e, n->slot, n->count);
    e->dead = dead;
    return v;
}

static pyval comprehend_items(lowering *l, env *e, const sb_node *n)
{
    int64_t count = 0;
    pyval *items = sb_iter_all(l, e, n->a, &count);
    bool dead = e->dead;
    for (int64_t k = 0; k < count; k++) {
        e->dead = false;
        sb_assign(l, e, &n->targets[0], items[k]);
        items[k] = e->dead ? sb_pyval_never() : sb_lower_expr(l, e, n->b);
        if (items[k].tags == 0) {
            count = -1;
        }
    }
    unbind(e, n->slot, n->count);
    e->dead = dead;
    return count < 0 ? sb_pyval_never() : sb_pyval_items(items, (uint32_t)count, true);
}

/* Is it known how many items there are, and few? Nothing stays built. */
static bool has_known_length(lowering *l, env *e, const sb_node *n, uint32_t most)
{
    sb_counter c;
    env trial;
    int64_t turns = 0;
    size_t mark = l->b.ir->insts.count;
    sb_env_copy(l, &trial, e);
    bool known = sb_iter_open(l, &trial, n->a, &c) && c.list_count == 0 &&
                 sb_const_int(l, c.left, &turns) && turns >= 0 && turns <= (int64_t)most;
    sb_irb_rewind(&l->b, mark);
    return known;
}

pyval sb_lower_comprehension(lowering *l, env *e, const sb_node *n)
{
    if (has_known_length(l, e, n, l->in_memory ? SPELLED_MAX : ITEMS_MAX)) {
        return sb_list_held(l, comprehend_items(l, e, n), n);
    }
    pyval list = sb_list_new(l, n);
    bool dead = e->dead;
    e->dead = false;
    e->vars[n->slot] = list;
    sb_lower_loop(l, e, n->c);
    list = e->dead ? sb_pyval_never() : list;
    unbind(e, n->slot, n->count);
    e->dead = dead;
    return list;
}

/* --- items ------------------------------------------------------------------------------------------------------------ */

/* One of them by a number that each row has for itself; numbers outside raise. */
static pyval item_at(lowering *l, const pyval *v, sb_value index)
{
    int64_t known = 0;
    int64_t count = v->count;
    if (sb_const_int(l, index, &known)) {
        known += known < 0 ? count : 0;
        return known >= 0 && known < count ? v->items[known] : never_raises(l);
    }
    sb_value low = sb_op2(l, SB_IR_PY_LT_I64, index, sb_irb_const_i(&l->b, -count));
    sb_value high = sb_op2(l, SB_IR_PY_LT_I64, sb_irb_const_i(&l->b, count - 1), index);
    sb_irb_leave_if(&l->b, sb_op2(l, SB_IR_OR, low, high), SB_REASON_RAISE);
    if (count == 0) {
        return sb_pyval_never();
    }
    sb_value from_end = sb_op2(l, SB_IR_PY_LT_I64, index, l->zero_i);
    sb_value moved = sb_op2(l, SB_IR_IX_ADD, index, sb_irb_const_i(&l->b, count));
    sb_value at = sb_irb_op(&l->b, SB_IR_SELECT, from_end, moved, index);
    pyval r = v->items[count - 1];
    for (int64_t k = count - 1; k-- > 0;) {
        sb_value here = sb_op2(l, SB_IR_PY_EQ_I64, at, sb_irb_const_i(&l->b, k));
        r = sb_pyval_select(l, here, &v->items[k], &r);
    }
    return r;
}

pyval sb_lower_subscript(lowering *l, env *e, const sb_node *n)
{
    pyval v = n->a->kind == SB_BLOB_LIST ? sb_lower_display(l, e, n->a) : sb_lower_expr(l, e, n->a);
    pyval index = sb_lower_expr(l, e, n->b);
    if (v.tags == 0 || index.tags == 0) {
        return sb_pyval_never();
    }
    if (v.tags & LIST_BIT) {
        v = sb_list_only(l, v, "a subscript");
        return v.tags == 0 ? v : sb_list_item(l, &v, index);
    }
    if (!(v.tags & ITEMS_BIT)) {
        sb_refuse(l, SB_REFUSAL_SYNTAX, "a subscript", n);
        return sb_pyval_never();
    }
    for (unsigned tag = 0; tag < TAG_COUNT; tag++) {
        v = tag != TAG_ITEMS ? sb_pyval_strip(l, v, tag, SB_REASON_RAISE) : v;
    }
    index = sb_pyval_number(l, sb_np_index(l, index));
    index = sb_pyval_strip(l, index, TAG_FLOAT, SB_REASON_RAISE);
    return index.tags == 0 ? index : item_at(l, &v, index.i);
}

/* --- builtins --------------------------------------------------------------------------------------------------------- */

/* The first that no later one beats. */
static pyval extreme(lowering *l, const pyval *args, uint32_t count, bool largest)
{
    pyval best = args[0];
    for (uint32_t k = 1; k < count; k++) {
        sb_value beats = sb_pyval_compare(l, largest ? SB_BLOB_GT : SB_BLOB_LT, args[k], best);
        best = sb_pyval_select(l, beats, &args[k], &best);
    }
    return best;
}

static pyval to_float(lowering *l, pyval v)
{
    v = sb_pyval_number(l, v);
    return v.tags == 0 ? v : sb_pyval_float(sb_pyval_as_float(l, &v));
}

static pyval is_instance(lowering *l, const pyval *v, int64_t kinds)
{
    static const unsigned tags[] = {TAG_NONE, TAG_BOOL, TAG_INT, TAG_FLOAT};
    sb_value result = l->zero_b;
    for (unsigned k = 0; k < SB_COUNT_OF(tags); k++) {
        if (kinds >> k & 1) {
            result = sb_op2(l, SB_IR_OR, result, sb_pyval_is(l, v, tags[k]));
        }
    }
    if (kinds &
        SB_BLOB_KIND_FLOAT) { /* np.float64 is a float; no other type of NumPy is Python's */
        result = sb_op2(l, SB_IR_OR, result, sb_pyval_is(l, v, TAG_NP_F64));
    }
    if (kinds & (v->is_list ? SB_BLOB_KIND_LIST : SB_BLOB_KIND_TUPLE)) {
        result = sb_op2(l, SB_IR_OR, result, sb_pyval_is(l, v, TAG_ITEMS));
    }
    if (kinds & SB_BLOB_KIND_LIST) {
        result = sb_op2(l, SB_IR_OR, result, sb_pyval_is(l, v, TAG_LIST));
    }
    return sb_pyval_bool(result);
}

static sb_value nan_of(lowering *l, sb_value f)
{
    return sb_op1(l, SB_IR_NOT, sb_op2(l, SB_IR_PY_EQ_F64, f, f));
}

static pyval float_class(lowering *l, uint8_t op, pyval v)
{
    v = to_float(l, v);
    if (v.tags == 0 || op == SB_BLOB_ISNAN) {
        return v.tags == 0 ? v : sb_pyval_bool(nan_of(l, v.f));
    }
    /* x - x is zero for finite numbers only */
    sb_value rest = sb_op2(l, SB_IR_PY_SUB_F64, v.f, v.f);
    sb_value finite = sb_op2(l, SB_IR_PY_EQ_F64, rest, l->zero_f);
    if (op == SB_BLOB_ISFINITE) {
        return sb_pyval_bool(finite);
    }
    sb_value other = sb_op2(l, SB_IR_OR, finite, nan_of(l, v.f));
    return sb_pyval_bool(sb_op1(l, SB_IR_NOT, other));
}

/* Rows leave whose value is a NaN, or has one in it: an order with NaN depends on the algorithm. */
static void leave_nan(lowering *l, const pyval *v)
{
    sb_irb_leave_if(&l->b, sb_pyval_is_nan(l, v), SB_REASON_TYPE_TAG);
    for (uint32_t k = 0; (v->tags & ITEMS_BIT) && k < v->count; k++) {
        leave_nan(l, &v->items[k]);
    }
}

/* Items in ascending order of their keys: neighbours change places while the later is less, so equal ones keep theirs. The keys are
 * sorted with them; they may be the items. */
static void sort_items(lowering *l, pyval *items, pyval *keys, uint32_t count)
{
    for (uint32_t k = 0; k < count; k++) {
        leave_nan(l, &keys[k]);
    }
    for (uint32_t end = count; end > 1; end--) {
        for (uint32_t k = 0; k + 1 < end; k++) {
            sb_value less = sb_pyval_compare(l, SB_BLOB_LT, keys[k + 1], keys[k]);
            pyval first = sb_pyval_select(l, less, &items[k + 1], &items[k]);
            items[k + 1] = sb_pyval_select(l, less, &items[k], &items[k + 1]);
            items[k] = first;
            if (keys != items) {
                pyval first_key = sb_pyval_select(l, less, &keys[k + 1], &keys[k]);
                keys[k + 1] = sb_pyval_select(l, less, &keys[k], &keys[k + 1]);
                keys[k] = first_key;
            }
        }
    }
}

static pyval copied(lowering *l, const pyval *v)
{
    pyval *items = sb_items_new(l, v->count);
    for (uint32_t k = 0; items != NULL && k < v->count; k++) {
        items[k] = v->items[k];
    }
    return items == NULL ? sb_pyval_never() : sb_pyval_items(items, v->count, true);
}

static pyval sorted_items(lowering *l, const pyval *v)
{
    pyval r = copied(l, v);
    sort_items(l, r.items, r.items, r.count);
    return r;
}

#define SORTED_MAX 12u

static void turn_round(pyval *v)
{
    for (uint32_t k = 0; k < v->count / 2; k++) {
        pyval first = v->items[k];
        v->items[k] = v->items[v->count - 1 - k];
        v->items[v->count - 1 - k] = first;
    }
}

/* Of a list that is nobody else's. */
static pyval sorted(lowering *l, pyval v, bool reverse)
{
    if (v.tags != ITEMS_BIT || v.count > SORTED_MAX) {
        return sb_list_sorted(l, v, reverse);
    }
    if (!reverse) {
        return sorted_items(l, &v);
    }
    turn_round(&v); /* a descending sort keeps equal items in their order, too */
    v = sorted_items(l, &v);
    turn_round(&v);
    return v;
}

/* The keys of a list by place, which are in memory where lists are. */
static pyval keys_by_place(lowering *l, const pyval *keys, uint32_t count)
{
    if (keys->tags != LIST_BIT) {
        return copied(l, keys);
    }
    pyval *items = sb_items_new(l, count);
    for (uint32_t k = 0; items != NULL && k < count; k++) {
        items[k] = sb_list_get(l, keys, sb_irb_const_i(&l->b, k));
    }
    return items == NULL ? sb_pyval_never() : sb_pyval_items(items, count, true);
}

static pyval sorted_by(lowering *l, const pyval *args)
{
    pyval list = args[0];
    pyval keys = args[1];
    bool descending = false;
    bool in_place = false;
    bool known = args[2].tags == BOOL_BIT && args[3].tags == BOOL_BIT &&
                 sb_irb_is_const_b(&l->b, args[2].b, &descending) &&
                 sb_irb_is_const_b(&l->b, args[3].b, &in_place);
    if (!known) {
        return never_raises(l); /* no tree that the capture side writes */
    }
    if (list.tags != ITEMS_BIT || in_place ||
        (list.count > SORTED_MAX && sb_are_numbers(list.items, list.count))) {
        list = list.tags == ITEMS_BIT && !in_place
                   ? sb_list_of_items(l, list.items, list.count, l->at)
                   : list;
        return list.tags == 0 ? list : sb_list_sort_by(l, list, keys, descending);
    }
    if (list.count > SORTED_MAX || (keys.tags != LIST_BIT && keys.tags != ITEMS_BIT)) {
        sb_refuse(l, SB_REFUSAL_TOO_COMPLEX, "", l->at);
        return sb_pyval_never();
    }
    list = copied(l, &list);
    keys = keys_by_place(l, &keys, list.count);
    if (list.tags == 0 || keys.count != list.count) {
        return sb_pyval_never();
    }
    if (descending) { /* a descending sort keeps equal items in their order, too */
        turn_round(&list);
        turn_round(&keys);
    }
    sort_items(l, list.items, keys.items, list.count);
    if (descending) {
        turn_round(&list);
    }
    return list;
}

static pyval tuple_of(lowering *l, env *e, const sb_node *n)
{
    int64_t count = 0;
    pyval *items = NULL;
    if (n->list.count > 0 && n->list.items[0]->kind == SB_BLOB_COMPREHENSION) {
        pyval v = comprehend_items(l, e, n->list.items[0]);
        v.is_list = false;
        return v;
    }
    if (n->list.count > 0) {
        items = sb_iter_all(l, e, n->list.items[0], &count);
    }
    return count < 0 ? sb_pyval_never() : sb_pyval_items(items, (uint32_t)count, false);
}

/* list and sorted get a list of their own: a comprehension. */
static pyval list_of(lowering *l, env *e, const sb_node *n)
{
    if (n->list.count == 0) {
        return l->in_memory ? sb_list_new(l, n) : sb_pyval_items(sb_items_new(l, 0), 0, true);
    }
    const sb_node *from = n->list.items[0];
    if (n->op == SB_BLOB_LIST_OF) {
        return sb_lower_expr(l, e, from);
    }
    /* Few items of known number are sorted by place, whatever their kinds. */
    const bool by_place =
        from->kind == SB_BLOB_COMPREHENSION && has_known_length(l, e, from, ITEMS_MAX);
    pyval v = by_place ? comprehend_items(l, e, from) : sb_lower_expr(l, e, from);
    if (v.tags == 0) {
        return v;
    }
    return sb_list_held(l, sorted(l, v, n->list.count > 1 && n->list.items[1]->value.i != 0), n);
}

/* --- sum -------------------------------------------------------------------------------------------------------------- */

static pyval pair(lowering *l, pyval total, sb_value correction)
{
    pyval *items = sb_items_new(l, 2);
    if (items == NULL) {
        return sb_pyval_never();
    }
    items[0] = total;
    items[1] = sb_pyval_float(correction);
    return sb_pyval_items(items, 2, false);
}

static sb_value magnitude(lowering *l, sb_value f)
{
    sb_value below = sb_op2(l, SB_IR_PY_LT_F64, f, l->zero_f);
    return sb_irb_op(&l->b, SB_IR_SELECT, below, sb_op1(l, SB_IR_PY_NEG_F64, f), f);
}

/* The error of total + x, by which of the two is larger (Neumaier's summation, as CPython 3.12 and later add floats). */
static sb_value addition_error(lowering *l, sb_value total, sb_value x, sb_value sum)
{
    sb_value larger = sb_op2(l, SB_IR_PY_LE_F64, magnitude(l, x), magnitude(l, total));
    sb_value big = sb_irb_op(&l->b, SB_IR_SELECT, larger, total, x);
    sb_value small = sb_irb_op(&l->b, SB_IR_SELECT, larger, x, total);
    return sb_op2(l, SB_IR_PY_ADD_F64, sb_op2(l, SB_IR_PY_SUB_F64, big, sum), small);
}

/* The total is an int until the first float; from then on it is a float with a correction for each float added. */
static pyval sum_next(lowering *l, pyval total, sb_value correction, pyval x, bool plain)
{
    if ((total.tags | x.tags) &
        NP_BITS) { /* added like any others, but for what floats before left */
        if (!plain && (total.tags & FLOAT_BIT)) {
            sb_refuse(l, SB_REFUSAL_TYPE, "a sum of floats of Python and of NumPy", l->at);
            return sb_pyval_never();
        }
        const pyval sum = sb_pyval_arith(l, SB_BLOB_ADD, total, x);
        return sum.tags == 0 ? sum : pair(l, sum, correction);
    }
    x = sb_pyval_number(l, x);
    total = sb_pyval_number(l, total);
    if (x.tags == 0 || total.tags == 0) {
        return sb_pyval_never();
    }
    pyval sum = sb_pyval_arith(l, SB_BLOB_ADD, total, x);
    if (plain || !(total.tags & FLOAT_BIT) || !(x.tags & FLOAT_BIT)) {
        return pair(l, sum, correction);
    }
    sb_value both =
        sb_op2(l, SB_IR_AND, sb_pyval_is(l, &total, TAG_FLOAT), sb_pyval_is(l, &x, TAG_FLOAT));
    sb_value error = addition_error(l, total.f, x.f, sum.f);
    sb_value corrected = sb_op2(l, SB_IR_PY_ADD_F64, correction, error);
    return pair(l, sum, sb_irb_op(&l->b, SB_IR_SELECT, both, corrected, correction));
}

static pyval sum_end(lowering *l, pyval total, sb_value correction)
{
    if (!(total.tags & FLOAT_BIT)) {
        return total;
    }
    sb_value rest = sb_op2(l, SB_IR_PY_SUB_F64, correction, correction);
    sb_value finite = sb_op2(l, SB_IR_PY_EQ_F64, rest, l->zero_f);
    sb_value none = sb_op2(l, SB_IR_PY_EQ_F64, correction, l->zero_f);
    sb_value counts = sb_op2(l, SB_IR_AND, finite, sb_op1(l, SB_IR_NOT, none));
    sb_value fixed = sb_op2(l, SB_IR_PY_ADD_F64, total.f, correction);
    total.f = sb_irb_op(&l->b, SB_IR_SELECT, counts, fixed, total.f);
    return total;
}

static pyval sum_call(lowering *l, uint8_t op, const pyval *args)
{
    if (op == SB_BLOB_SUM_BEGIN) {
        return pair(l, args[0], l->zero_f);
    }
    const pyval *state = &args[0];
    if (state->tags != ITEMS_BIT || state->count != 2 || state->items[1].tags != FLOAT_BIT) {
        return never_raises(l); /* no tree that the capture side writes */
    }
    if (op == SB_BLOB_SUM_END) {
        return sum_end(l, state->items[0], state->items[1].f);
    }
    return sum_next(l, state->items[0], state->items[1].f, args[1], op == SB_BLOB_SUM_NEXT_PLAIN);
}

static pyval divmod(lowering *l, const pyval *args)
{
    pyval *items = sb_items_new(l, 2);
    if (items == NULL) {
        return sb_pyval_never();
    }
    items[0] = sb_pyval_arith(l, SB_BLOB_FLOORDIV, args[0], args[1]);
    items[1] = sb_pyval_arith(l, SB_BLOB_MOD, args[0], args[1]);
    bool never = items[0].tags == 0 || items[1].tags == 0;
    return never ? sb_pyval_never() : sb_pyval_items(items, 2, false);
}

static pyval length_of(lowering *l, pyval v)
{
    if (v.tags & LIST_BIT) {
        v = sb_list_only(l, v, "len");
        return v.tags == 0 ? v : sb_pyval_int(sb_list_length(l, &v));
    }
    return v.tags == ITEMS_BIT ? sb_pyval_int(sb_irb_const_i(&l->b, v.count)) : never_raises(l);
}

static pyval value_call(lowering *l, const sb_node *n, pyval *args, uint32_t count)
{
    pyval made;
    if (n->op >= SB_BLOB_NP_ITEM) {
        return sb_np_call(l, n, args);
    }
    if (!sb_np_arguments(l, n, args, count, &made)) {
        return made;
    }
    if (n->op == SB_BLOB_LIST_NEW) {
        return sb_list_new(l, n);
    }
    if (n->op == SB_BLOB_ARRAY_INDEX) {
        made = sb_pyval_strip(l, args[0], TAG_NP_BOOL, SB_REASON_RAISE);
        return sb_pyval_strip(l, made, TAG_BOOL, SB_REASON_RAISE);
    }
    if (n->op == SB_BLOB_SORT_BY) {
        return sb_list_held(l, sorted_by(l, args), n);
    }
    if (n->op >= SB_BLOB_APPEND && n->op <= SB_BLOB_LIST_INDEX) {
        return sb_list_method(l, n, args, count);
    }
    if (n->op >= SB_BLOB_ABS) {
        return sb_lower_math(l, n, args, count);
    }
    switch (n->op) {
    case SB_BLOB_LEN:
        return length_of(l, args[0]);
    case SB_BLOB_MIN:
    case SB_BLOB_MAX:
        return extreme(l, args, count, n->op == SB_BLOB_MAX);
    case SB_BLOB_BOOL:
        return sb_pyval_bool(count == 0 ? l->zero_b : sb_pyval_truth(l, &args[0]));
    case SB_BLOB_FLOAT:
        return count == 0 ? sb_pyval_float(l->zero_f) : to_float(l, args[0]);
    case SB_BLOB_ISINSTANCE: {
        int64_t kinds = 0;
        bool known = args[1].tags == INT_BIT && sb_const_int(l, args[1].i, &kinds);
        return known ? is_instance(l, &args[0], kinds) : never_raises(l);
    }
    case SB_BLOB_DIVMOD:
        return divmod(l, args);
    case SB_BLOB_ISNAN:
    case SB_BLOB_ISINF:
    case SB_BLOB_ISFINITE:
        return float_class(l, n->op, args[0]);
    default:
        return sum_call(l, n->op, args);
    }
}

pyval sb_lower_call(lowering *l, env *e, const sb_node *n)
{
    if (n->op <= SB_BLOB_REVERSED) {
        sb_refuse(l, SB_REFUSAL_TYPE, "an iterator outside of for", n);
        return sb_pyval_never();
    }
    if (n->op == SB_BLOB_TUPLE_OF) {
        return tuple_of(l, e, n);
    }
    if (n->op == SB_BLOB_LIST_OF || n->op == SB_BLOB_SORTED) {
        return list_of(l, e, n);
    }
    if (n->op == SB_BLOB_COLUMN) {
        return sb_list_column(l, n);
    }
    uint32_t count = n->list.count;
    pyval *args = sb_items_new(l, count);
    for (uint32_t k = 0; args != NULL && k < count; k++) {
        args[k] = sb_lower_expr(l, e, n->list.items[k]);
        if (args[k].tags == 0) {
            return sb_pyval_never();
        }
    }
    return args == NULL ? sb_pyval_never() : value_call(l, n, args, count);
}
