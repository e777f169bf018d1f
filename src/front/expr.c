/* Lowering of expressions: operands are lowered in CPython's order; what CPython evaluates only sometimes gets a region.
 *
 * Interface: sb_lower_expr. Recursion follows the tree, bounded by SB_BLOB_DEPTH_MAX. A refused expression gives the value *never*, so
 * that its users add no refusals of their own.
 * Memory: none of its own. Threads: one. */
#include "front/lower_int.h"

static pyval lower_local(lowering *l, env *e, const sb_node *n)
{
    pyval v = e->vars[n->slot];
    if (v.tags & OPAQUE_BIT) {
        if (v.why == OPAQUE_LENGTH) {
            l->wants_memory = true;
            sb_refuse(l, SB_REFUSAL_TYPE, "a tuple or list whose length depends on the row", n);
        } else if (v.why == OPAQUE_DTYPE) {
            return v; /* sb_lower_expr refuses it */
        } else {
            sb_refuse(l, SB_REFUSAL_COLUMN_TYPE, l->tree.locals[n->slot], n);
        }
        return sb_pyval_never();
    }
    return sb_pyval_strip(l, v, TAG_UNBOUND, SB_REASON_RAISE);
}

/* --- what is evaluated only by some rows ---------------------------------------------------------------------------------- */

static bool assigns(const sb_node *n)
{
    if (n == NULL) {
        return false;
    }
    if (n->kind == SB_BLOB_NAMED || n->kind == SB_BLOB_BLOCK) {
        return true;
    }
    bool found = assigns(n->a) || assigns(n->b) || assigns(n->c);
    for (uint32_t k = 0; !found && k < n->list.count; k++) {
        found = assigns(n->list.items[k]);
    }
    return found;
}

/* An IF of an expression: where a side assigns, each has locals of its own. */
typedef struct choice {
    sb_value cond, region;
    bool copies;
    env x, y;
} choice;

static env *choice_open(lowering *l, env *e, choice *c, sb_value cond, bool copies)
{
    c->cond = cond;
    c->copies = copies;
    if (copies) {
        sb_env_copy(l, &c->x, e);
        sb_env_copy(l, &c->y, e);
    }
    c->region = sb_irb_if(&l->b, cond);
    return copies ? &c->x : e;
}

static env *choice_else(lowering *l, env *e, choice *c)
{
    sb_irb_else(&l->b, c->region);
    return c->copies ? &c->y : e;
}

static void choice_join(lowering *l, env *e, choice *c)
{
    bool dead = e->dead;
    if (c->copies) {
        sb_env_merge(l, e, c->cond, &c->x, &c->y);
        e->dead = dead;
    }
}

/* The value behind it. */
static pyval choice_close(lowering *l, env *e, choice *c, const pyval *x, const pyval *y)
{
    sb_irb_end_if(&l->b, c->region);
    pyval r = sb_merge_value(l, c->cond, x, y);
    choice_join(l, e, c);
    sb_pyval_complete(l, &r);
    return r;
}

static sb_value choice_close_bool(lowering *l, env *e, choice *c, sb_value x, sb_value y)
{
    sb_irb_end_if(&l->b, c->region);
    sb_value r = sb_merge_bool(l, c->cond, x, y);
    choice_join(l, e, c);
    return r;
}

/* test ? then : orelse, each side lowered only when it can be reached. */
static pyval lower_choice(lowering *l, env *e, sb_value cond, const sb_node *then,
                          const sb_node *orelse)
{
    bool known = false;
    if (sb_irb_is_const_b(&l->b, cond, &known)) {
        return sb_lower_expr(l, e, known ? then : orelse);
    }
    choice c;
    pyval x = sb_lower_expr(l, choice_open(l, e, &c, cond, assigns(then) || assigns(orelse)), then);
    pyval y = sb_lower_expr(l, choice_else(l, e, &c), orelse);
    return choice_close(l, e, &c, &x, &y);
}

/* `a and b`, `a or b` give an operand; three and more associate from the left. */
static pyval lower_boolop(lowering *l, env *e, const sb_node *n)
{
    bool is_or = n->op != 0;
    pyval v = sb_lower_expr(l, e, n->list.items[0]);
    for (uint32_t k = 1; k < n->list.count; k++) {
        sb_value truth = sb_pyval_truth(l, &v);
        bool known = false;
        if (sb_irb_is_const_b(&l->b, truth, &known)) {
            if (known == is_or) {
                return v;
            }
            v = sb_lower_expr(l, e, n->list.items[k]);
            continue;
        }
        choice c;
        sb_value go_on = is_or ? sb_op1(l, SB_IR_NOT, truth) : truth;
        env *side = choice_open(l, e, &c, go_on, assigns(n->list.items[k]));
        pyval next = sb_lower_expr(l, side, n->list.items[k]);
        (void)choice_else(l, e, &c);
        v = choice_close(l, e, &c, &next, &v);
    }
    return v;
}

/* `is` compares with None, True and False only: other identities are no part of the language's meaning. */
static sb_value lower_identity(lowering *l, const sb_node *n, const pyval *x, const sb_node *right,
                               bool *refused)
{
    switch (right->kind) {
    case SB_BLOB_CONST_NONE:
        return sb_pyval_is(l, x, TAG_NONE);
    case SB_BLOB_CONST_BOOL: {
        if (!(x->tags & BOOL_BIT)) {
            return l->zero_b;
        }
        sb_value wanted = right->value.i != 0 ? x->b : sb_op1(l, SB_IR_NOT, x->b);
        return sb_op2(l, SB_IR_AND, sb_pyval_is(l, x, TAG_BOOL), wanted);
    }
    default:
        sb_refuse(l, SB_REFUSAL_OPERATOR, "is", n);
        *refused = true;
        return l->zero_b;
    }
}

static sb_value lower_membership(lowering *l, const sb_node *n, const pyval *x, const pyval *y,
                                 bool *refused)
{
    if (y->tags == LIST_BIT) {
        sb_value has = sb_list_has(l, y, x);
        if (has != 0) {
            return has;
        }
    }
    if (y->tags != ITEMS_BIT) {
        sb_refuse(l, SB_REFUSAL_OPERATOR, "in", n);
        *refused = true;
        return l->zero_b;
    }
    sb_value found = l->zero_b;
    for (uint32_t k = 0; k < y->count; k++) {
        found = sb_op2(l, SB_IR_OR, found, sb_item_equal(l, x, &y->items[k]));
    }
    return found;
}

static sb_value lower_comparison(lowering *l, const sb_node *n, uint8_t op, const pyval *x,
                                 const sb_node *right, const pyval *y, bool *refused)
{
    if (x->tags == 0 || y->tags == 0) {
        *refused = true;
        return l->zero_b;
    }
    switch (op) {
    case SB_BLOB_IS:
        return lower_identity(l, n, x, right, refused);
    case SB_BLOB_IS_NOT:
        return sb_op1(l, SB_IR_NOT, lower_identity(l, n, x, right, refused));
    case SB_BLOB_IN:
        return lower_membership(l, n, x, y, refused);
    case SB_BLOB_NOT_IN:
        return sb_op1(l, SB_IR_NOT, lower_membership(l, n, x, y, refused));
    default:
        return sb_pyval_compare(l, op, *x, *y);
    }
}

#define CHAIN_MAX 60 /* links of one chained comparison; more are refused */

/* What the links of a comparison have been seen to give. */
typedef struct links {
    bool refused;   /* or never */
    uint32_t kinds; /* of their truths: tags */
    pyval last;
} links;

/* Whether link k holds; found->last: its value, of both kinds where it has both. */
static sb_value lower_link(lowering *l, const sb_node *n, uint32_t k, const pyval *x,
                           const pyval *y, links *found)
{
    if (n->ops[k] <= SB_BLOB_GE && ((x->tags | y->tags) & NP_BITS) && x->tags != 0 &&
        y->tags != 0) {
        found->last = sb_np_compare(l, n->ops[k], *x, *y);
        found->refused = found->last.tags == 0;
    } else {
        const sb_value holds =
            lower_comparison(l, n, n->ops[k], x, n->list.items[k], y, &found->refused);
        found->last = sb_pyval_bool(holds);
    }
    found->kinds |= found->last.tags;
    return found->refused ? l->zero_b : found->last.b;
}

/* The links of a comparison from k on, for rows in which all before hold; x: their last operand. Sets found->refused, which the value of a
 * single comparison is never with; a later link that is never is so only where it is reached. */
static sb_value lower_links(lowering *l, env *e, const sb_node *n, uint32_t k, const pyval *x,
                            links *found)
{
    const sb_node *right = n->list.items[k];
    const bool contains = n->ops[k] == SB_BLOB_IN || n->ops[k] == SB_BLOB_NOT_IN;
    pyval y = contains && right->kind == SB_BLOB_LIST ? sb_lower_display(l, e, right)
                                                      : sb_lower_expr(l, e, right);
    sb_value holds = lower_link(l, n, k, x, &y, found);
    bool known = false;
    if (found->refused || k + 1 == n->list.count) {
        return holds;
    }
    if (sb_irb_is_const_b(&l->b, holds, &known)) {
        return known ? lower_links(l, e, n, k + 1, &y, found) : holds;
    }
    bool copies = false;
    for (uint32_t later = k + 1; later < n->list.count; later++) {
        copies = copies || assigns(n->list.items[later]);
    }
    choice c;
    sb_value rest = lower_links(l, choice_open(l, e, &c, holds, copies), n, k + 1, &y, found);
    (void)choice_else(l, e, &c);
    return choice_close_bool(l, e, &c, rest, l->zero_b);
}

static pyval lower_compare(lowering *l, env *e, const sb_node *n)
{
    links found = {0};
    if (n->list.count > CHAIN_MAX) {
        sb_refuse(l, SB_REFUSAL_TOO_COMPLEX, "", n);
        return sb_pyval_never();
    }
    pyval x = sb_lower_expr(l, e, n->a);
    const sb_value truth = lower_links(l, e, n, 0, &x, &found);
    if (n->list.count == 1) {
        return found.refused ? sb_pyval_never() : found.last;
    }
    if (found.kinds != 0 && found.kinds != BOOL_BIT && found.kinds != NP_BOOL_BIT) {
        sb_refuse(l, SB_REFUSAL_OPERATOR, "a chained comparison of NumPy and Python values", n);
    }
    return (pyval){.tags = found.kinds == NP_BOOL_BIT ? NP_BOOL_BIT : BOOL_BIT, .b = truth};
}

pyval sb_pyval_binary(lowering *l, uint8_t op, pyval x, pyval y, const sb_node *n)
{
    if (op == SB_BLOB_MATMUL) {
        sb_refuse(l, SB_REFUSAL_OPERATOR, "@", n);
        return sb_pyval_never();
    }
    if (x.tags == 0 || y.tags == 0) {
        return sb_pyval_never();
    }
    if (op == SB_BLOB_POW) {
        return sb_pyval_power(l, x, y);
    }
    return op < SB_BLOB_POW ? sb_pyval_arith(l, op, x, y) : sb_pyval_bits(l, op, x, y);
}

static pyval lower_binary(lowering *l, env *e, const sb_node *n)
{
    pyval x = sb_lower_expr(l, e, n->a);
    pyval y = sb_lower_expr(l, e, n->b);
    return sb_pyval_binary(l, n->op, x, y, n);
}

static pyval lower_unary(lowering *l, env *e, const sb_node *n)
{
    pyval v = sb_lower_expr(l, e, n->a);
    if (v.tags == 0) {
        return v;
    }
    switch (n->op) {
    case SB_BLOB_NEG:
        return sb_pyval_negate(l, v);
    case SB_BLOB_POS:
        return v.tags & NP_BITS ? sb_np_unary(l, SB_BLOB_POS, v) : sb_pyval_number(l, v);
    case SB_BLOB_NOT:
        return sb_pyval_bool(sb_op1(l, SB_IR_NOT, sb_pyval_truth(l, &v)));
    default:
        return sb_pyval_invert(l, v);
    }
}

pyval sb_lower_display(lowering *l, env *e, const sb_node *n)
{
    if (n->list.count > ITEMS_MAX) {
        sb_refuse(l, SB_REFUSAL_TOO_COMPLEX, "", n);
        return sb_pyval_never();
    }
    pyval *items = sb_items_new(l, n->list.count);
    for (uint32_t k = 0; items != NULL && k < n->list.count; k++) {
        items[k] = sb_lower_expr(l, e, n->list.items[k]);
        if (items[k].tags == 0) {
            return sb_pyval_never();
        }
    }
    return items == NULL ? sb_pyval_never()
                         : sb_pyval_items(items, n->list.count, n->kind == SB_BLOB_LIST);
}

static pyval lower_items(lowering *l, env *e, const sb_node *n)
{
    pyval v = sb_lower_display(l, e, n);
    return n->kind == SB_BLOB_LIST ? sb_list_held(l, v, n) : v;
}

static pyval lower_named(lowering *l, env *e, const sb_node *n)
{
    pyval v = sb_lower_expr(l, e, n->a);
    e->vars[n->slot] = v;
    return v;
}

/* All timestamps of a function that has such constants are in microseconds. */
static pyval constant_time(lowering *l, const sb_node *n)
{
    static const uint32_t bits[] = {DATE_BIT, STAMP_BIT, AWARE_BIT};
    return (pyval){.tags = bits[n->op], .i = sb_irb_const_i(&l->b, n->value.i)};
}

static pyval lower_kind(lowering *l, env *e, const sb_node *n)
{
    switch (n->kind) {
    case SB_BLOB_CONST_NONE:
        return sb_pyval_none();
    case SB_BLOB_CONST_BOOL:
        return sb_pyval_bool(n->value.i != 0 ? l->true_b : l->zero_b);
    case SB_BLOB_CONST_INT:
        return sb_pyval_int(sb_irb_const_i(&l->b, n->value.i));
    case SB_BLOB_CONST_FLOAT:
        return sb_pyval_float(sb_irb_const_f(&l->b, n->value.f));
    case SB_BLOB_CONST_TIME:
        return constant_time(l, n);
    case SB_BLOB_CONST_BIGINT:
        sb_refuse(l, SB_REFUSAL_BIG_CONSTANT, n->text, n);
        return sb_pyval_never();
    case SB_BLOB_CONST_STR:
        sb_refuse(l, SB_REFUSAL_TYPE, "str", n);
        return sb_pyval_never();
    case SB_BLOB_LOCAL:
        return lower_local(l, e, n);
    case SB_BLOB_UNARY:
        return lower_unary(l, e, n);
    case SB_BLOB_BINARY:
        return lower_binary(l, e, n);
    case SB_BLOB_BOOLOP:
        return lower_boolop(l, e, n);
    case SB_BLOB_COMPARE:
        return lower_compare(l, e, n);
    case SB_BLOB_IFEXP: {
        pyval test = sb_lower_expr(l, e, n->a);
        return test.tags == 0 ? sb_pyval_never()
                              : lower_choice(l, e, sb_pyval_truth(l, &test), n->b, n->c);
    }
    case SB_BLOB_CALL:
        return sb_lower_call(l, e, n);
    case SB_BLOB_TUPLE:
    case SB_BLOB_LIST:
        return lower_items(l, e, n);
    case SB_BLOB_SUBSCRIPT:
        return sb_lower_subscript(l, e, n);
    case SB_BLOB_SLICE:
        return sb_lower_slice(l, e, n);
    case SB_BLOB_NAMED:
        return lower_named(l, e, n);
    case SB_BLOB_INLINE:
        return sb_lower_inline(l, e, n);
    case SB_BLOB_INVOKE:
        return sb_lower_invoke(l, e, n);
    case SB_BLOB_BLOCK:
        return sb_lower_block_value(l, e, n);
    case SB_BLOB_COMPREHENSION:
        return sb_lower_comprehension(l, e, n);
    case SB_BLOB_UNSUPPORTED:
        sb_refuse(l, sb_refusal_code_of_name(n->text, n->text_size), n->detail, n);
        return sb_pyval_never();
    default:
        sb_refuse(l, SB_REFUSAL_SYNTAX, "", n);
        return sb_pyval_never();
    }
}

pyval sb_lower_expr(lowering *l, env *e, const sb_node *n)
{
    const sb_node *outer = l->at;
    if (!sb_working(l)) {
        return sb_pyval_never();
    }
    l->at = n;
    pyval v = lower_kind(l, e, n);
    l->at = outer;
    if ((v.tags & OPAQUE_BIT) && v.why == OPAQUE_DTYPE) {
        sb_refuse(l, SB_REFUSAL_TYPE, "a NumPy integer whose type depends on the row", n);
        return sb_pyval_never();
    }
    return v;
}
