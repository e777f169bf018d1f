/* Lowering of statements: straight-line code and if. Control flow is data: after a statement through which some rows return, break or
 * continue, the rest of the block is a region of the rows that are still there.
 *
 * Interface: sb_lower_block, sb_env_copy, sb_env_merge, sb_env_gone. Loops are in loop.c.
 * Memory: environments in the lowering's arena. Threads: one. */
#include <string.h>

#include "front/lower_int.h"

void sb_env_copy(lowering *l, env *to, const env *from)
{
    size_t size = sizeof(pyval) * (l->tree.local_count + 1);
    pyval *vars = sb_arena_alloc(&l->arena, size);
    *to = *from;
    if (vars == NULL) {
        /* Both share from here on: wrong values, but nothing is built from them. */
        l->no_memory = true;
        return;
    }
    memcpy(vars, from->vars, sizeof(pyval) * l->tree.local_count);
    to->vars = vars;
}

sb_value sb_env_gone(lowering *l, const env *e)
{
    return sb_op2(l, SB_IR_OR, e->returned, sb_op2(l, SB_IR_OR, e->broke, e->continued));
}

/* A flag's merge; `false, true` needs a computed register, asked for by *invert. */
static sb_value merge_flag(lowering *l, sb_value cond, sb_value x, sb_value y, bool *invert)
{
    bool cx = false;
    bool cy = false;
    *invert = sb_irb_is_const_b(&l->b, x, &cx) && sb_irb_is_const_b(&l->b, y, &cy) && !cx && cy;
    return *invert ? cond : sb_merge_bool(l, cond, x, y);
}

void sb_env_merge(lowering *l, env *to, sb_value cond, const env *x, const env *y)
{
    bool invert[3];
    sb_value flags[3];
    flags[0] = merge_flag(l, cond, x->returned, y->returned, &invert[0]);
    flags[1] = merge_flag(l, cond, x->broke, y->broke, &invert[1]);
    flags[2] = merge_flag(l, cond, x->continued, y->continued, &invert[2]);
    to->result = sb_merge_value(l, cond, &x->result, &y->result);
    for (uint32_t slot = 0; slot < l->tree.local_count; slot++) {
        to->vars[slot] = sb_merge_value(l, cond, &x->vars[slot], &y->vars[slot]);
    }
    sb_pyval_complete(l, &to->result);
    for (uint32_t slot = 0; slot < l->tree.local_count; slot++) {
        sb_pyval_complete(l, &to->vars[slot]);
    }
    for (unsigned k = 0; k < 3; k++) {
        flags[k] = invert[k] ? sb_op1(l, SB_IR_NOT, flags[k]) : flags[k];
    }
    to->returned = flags[0];
    to->broke = flags[1];
    to->continued = flags[2];
    to->dead = x->dead && y->dead;
}

/* Rows that returned need their locals no more: where those would only widen the kinds of the rows that go on (`kept`), they are dropped.
 * Rows that broke or continued keep theirs: the loop carries them out. */
static void forget_returned(lowering *l, env *gone, const env *kept)
{
    bool flag = true;
    if (!gone->dead || !sb_irb_is_const_b(&l->b, gone->broke, &flag) || flag ||
        !sb_irb_is_const_b(&l->b, gone->continued, &flag) || flag) {
        return;
    }
    for (uint32_t slot = 0; slot < l->tree.local_count; slot++) {
        if (gone->vars[slot].tags != kept->vars[slot].tags) {
            gone->vars[slot] = sb_pyval_never();
        }
    }
}

static void lower_if(lowering *l, env *e, const sb_node *n)
{
    pyval test = sb_lower_expr(l, e, n->a);
    if (test.tags == 0) {
        e->dead = true;
        return;
    }
    sb_value cond = sb_pyval_truth(l, &test);
    bool known = false;
    if (sb_irb_is_const_b(&l->b, cond, &known)) {
        sb_lower_block(l, e, known ? &n->list : &n->orelse, 0);
        return;
    }
    env x;
    env y;
    sb_env_copy(l, &x, e);
    sb_env_copy(l, &y, e);
    sb_value region = sb_irb_if(&l->b, cond);
    sb_lower_block(l, &x, &n->list, 0);
    sb_irb_else(&l->b, region);
    sb_lower_block(l, &y, &n->orelse, 0);
    forget_returned(l, &x, &y);
    forget_returned(l, &y, &x);
    sb_irb_end_if(&l->b, region);
    sb_env_merge(l, e, cond, &x, &y);
}

static void note_tags(const sb_node **firsts, uint32_t tags, const sb_node *n)
{
    for (unsigned tag = 0; tag < TAG_COUNT; tag++) {
        if ((tags & TAG_BIT(tag)) && firsts[tag] == NULL) {
            firsts[tag] = n;
        }
    }
}

static void note_return(lowering *l, const pyval *v, const sb_node *n)
{
    if (l->inlined > 0) {
        return;
    }
    note_tags(l->return_tags, v->tags, n);
    if ((v->tags & ITEMS_BIT) && v->count == l->key_count) {
        for (uint32_t k = 0; k < v->count; k++) {
            note_tags(l->key_tags[k], v->items[k].tags, n);
        }
    }
}

static void lower_return(lowering *l, env *e, const sb_node *n)
{
    e->result = n->op ? sb_lower_expr(l, e, n->a) : sb_pyval_none();
    note_return(l, &e->result, n);
    e->returned = l->true_b;
    e->dead = true;
}

static void assign_item(lowering *l, env *e, const sb_target *target, pyval v)
{
    if (e->dead) {
        return;
    }
    pyval list = sb_lower_expr(l, e, target->object);
    pyval index = sb_lower_expr(l, e, target->index);
    e->dead = list.tags == 0 || index.tags == 0 || !sb_list_store(l, list, index, v);
}

/* The items of a list by place; a list of another length raises. */
static pyval unpacked_list(lowering *l, pyval v, uint32_t count)
{
    v = sb_list_only(l, v, "unpacking");
    if (v.tags == 0) {
        return v;
    }
    sb_value fits = sb_op2(l, SB_IR_PY_EQ_I64, sb_list_length(l, &v), sb_irb_const_i(&l->b, count));
    sb_irb_leave_if(&l->b, sb_op1(l, SB_IR_NOT, fits), SB_REASON_RAISE);
    pyval *items = sb_items_new(l, count);
    for (uint32_t k = 0; items != NULL && k < count; k++) {
        items[k] = sb_list_get(l, &v, sb_irb_const_i(&l->b, k));
        if (items[k].tags == 0) {
            return sb_pyval_never();
        }
    }
    return items == NULL ? sb_pyval_never() : sb_pyval_items(items, count, false);
}

void sb_assign(lowering *l, env *e, const sb_target *target, pyval v)
{
    if (v.tags == 0) {
        e->dead = true; /* no row gets past a value that never is */
    }
    if (target->object != NULL) {
        assign_item(l, e, target, v);
        return;
    }
    if (!target->unpacks) {
        e->vars[target->slot] = v;
        return;
    }
    if (v.tags & LIST_BIT) {
        v = unpacked_list(l, v, target->count);
    }
    if (!e->dead) {
        /* What is no tuple, or one of another length, raises. */
        uint32_t others = v.tags & ~ITEMS_BIT;
        for (unsigned tag = 0; tag < TAG_COUNT && v.tags != 0; tag++) {
            v = others & TAG_BIT(tag) ? sb_pyval_strip(l, v, tag, SB_REASON_RAISE) : v;
        }
        if ((v.tags & ITEMS_BIT) && v.count != target->count) {
            sb_irb_leave_if(&l->b, l->true_b, SB_REASON_RAISE);
            v.tags = 0;
        }
        e->dead = v.tags == 0;
    }
    for (uint32_t k = 0; k < target->count; k++) {
        sb_assign(l, e, &target->items[k], e->dead ? sb_pyval_never() : v.items[k]);
    }
}

static void assign(env *e, uint32_t slot, pyval v)
{
    e->vars[slot] = v;
    e->dead = e->dead || v.tags == 0;
}

static void lower_assign(lowering *l, env *e, const sb_node *n)
{
    pyval v = sb_lower_expr(l, e, n->a);
    for (uint32_t k = 0; k < n->target_count; k++) {
        sb_assign(l, e, &n->targets[k], v);
    }
}

static void lower_del(lowering *l, env *e, const sb_node *n)
{
    for (uint32_t k = 0; k < n->target_count; k++) {
        pyval v = sb_pyval_strip(l, e->vars[n->slots[k]], TAG_UNBOUND, SB_REASON_RAISE);
        e->dead = e->dead || v.tags == 0;
        e->vars[n->slots[k]] = sb_pyval_unbound();
    }
}

/* All rows that come here raise. */
static void lower_raise(lowering *l, env *e)
{
    sb_irb_leave_if(&l->b, l->true_b, SB_REASON_RAISE);
    e->dead = true;
}

/* list[index] op= value */
static void lower_augitem(lowering *l, env *e, const sb_node *n)
{
    pyval list = sb_lower_expr(l, e, n->a);
    pyval index = sb_lower_expr(l, e, n->b);
    e->dead = true;
    if (list.tags == 0 || index.tags == 0) {
        return;
    }
    list = sb_list_only(l, list, "assignment to an item");
    pyval old = list.tags == 0 ? list : sb_list_item(l, &list, index);
    if (old.tags == 0) {
        return;
    }
    pyval v = sb_lower_expr(l, e, n->c);
    v = v.tags == 0 ? v : sb_pyval_binary(l, n->op, old, v, n);
    e->dead = v.tags == 0 || !sb_list_store(l, list, index, v);
}

/* A list changes under all its names: += is extend. False: no list. */
static bool augments_list(lowering *l, env *e, const sb_node *n)
{
    pyval v = e->vars[n->slot];
    if (!(v.tags & LIST_BIT) && !((v.tags & ITEMS_BIT) && v.is_list)) {
        return false;
    }
    e->dead = true;
    if (n->op != SB_BLOB_ADD) {
        sb_refuse(l, SB_REFUSAL_OPERATOR, "a list changed by an operator other than +=", n);
        return true;
    }
    v = sb_list_only(l, v, "+=");
    pyval other = v.tags == 0 ? v : sb_lower_expr(l, e, n->a);
    e->dead = other.tags == 0 || sb_list_extend(l, &v, other).tags == 0;
    e->vars[n->slot] = v;
    return true;
}

static void lower_augassign(lowering *l, env *e, const sb_node *n)
{
    if (augments_list(l, e, n)) {
        return;
    }
    sb_node target = {.kind = SB_BLOB_LOCAL,
                      .slot = n->slot,
                      .line = n->line,
                      .col = n->col,
                      .end_line = n->end_line,
                      .end_col = n->end_col};
    sb_node whole = *n;
    whole.kind = SB_BLOB_BINARY;
    whole.b = n->a;
    whole.a = &target;
    assign(e, n->slot, sb_lower_expr(l, e, &whole));
}

static void lower_statement(lowering *l, env *e, const sb_node *n)
{
    l->at = n;
    switch (n->kind) {
    case SB_BLOB_ASSIGN:
        lower_assign(l, e, n);
        break;
    case SB_BLOB_AUGASSIGN:
        lower_augassign(l, e, n);
        break;
    case SB_BLOB_AUGITEM:
        lower_augitem(l, e, n);
        break;
    case SB_BLOB_EXPR:
        e->dead = sb_lower_expr(l, e, n->a).tags == 0;
        break;
    case SB_BLOB_PASS:
        break;
    case SB_BLOB_IF:
        lower_if(l, e, n);
        break;
    case SB_BLOB_WHILE:
    case SB_BLOB_FOR:
        sb_lower_loop(l, e, n);
        break;
    case SB_BLOB_RETURN:
        lower_return(l, e, n);
        break;
    case SB_BLOB_BREAK:
        e->broke = l->true_b;
        e->dead = true;
        break;
    case SB_BLOB_CONTINUE:
        e->continued = l->true_b;
        e->dead = true;
        break;
    case SB_BLOB_RAISE:
        lower_raise(l, e);
        break;
    case SB_BLOB_DEL:
        lower_del(l, e, n);
        break;
    default:
        sb_refuse(l, sb_refusal_code_of_name(n->text, n->text_size), n->detail, n);
        break;
    }
}

void sb_lower_rest(lowering *l, env *e, sb_value gone, bool rejoin, const sb_node_list *list,
                   uint32_t from)
{
    if (l->depth >= REST_DEPTH_MAX) {
        sb_refuse(l, SB_REFUSAL_TOO_COMPLEX, "", list->items[from]);
        return;
    }
    l->depth++;
    sb_value here = sb_op1(l, SB_IR_NOT, gone);
    env x;
    env y;
    sb_env_copy(l, &x, e);
    sb_env_copy(l, &y, e);
    x.returned = l->zero_b;
    x.broke = l->zero_b;
    x.continued = l->zero_b;
    x.result = sb_pyval_never();
    x.dead = false;
    sb_value region = sb_irb_if(&l->b, here);
    sb_lower_block(l, &x, list, from);
    sb_irb_else(&l->b, region);
    y.dead = !rejoin;
    forget_returned(l, &y, &x);
    forget_returned(l, &x, &y);
    sb_irb_end_if(&l->b, region);
    sb_env_merge(l, e, here, &x, &y);
    l->depth--;
}

void sb_lower_block(lowering *l, env *e, const sb_node_list *list, uint32_t from)
{
    for (uint32_t k = from; k < list->count; k++) {
        if (e->dead || !sb_working(l)) {
            return;
        }
        lower_statement(l, e, list->items[k]);
        sb_value gone = sb_env_gone(l, e);
        bool all = false;
        if (sb_irb_is_const_b(&l->b, gone, &all)) {
            e->dead = e->dead || all;
        } else if (k + 1 < list->count) {
            sb_lower_rest(l, e, gone, false, list, k + 1);
            return;
        }
    }
}
