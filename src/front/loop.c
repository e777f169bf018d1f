/* Lowering of for and while.
 *
 * A loop becomes `if the first test holds { loop { turn } }`, the loop's test standing at the end of each turn (do-while). What the body
 * assigns is carried as loop arguments; break and return are flags that end the row's turns; the else clause is the region of the
 * rows that did not break.
 *
 * Kinds: the tags of carried locals at the head of a turn are found by building the loop on trial, widening until nothing new
 * flows back. When a local changes its number kind in the first turn only (`total = 0`, then `total += x * j`), the first turn is
 * peeled, so that the loop itself carries bare registers. Results of trials are remembered per loop and entry shapes: nested loops
 * would otherwise be tried again and again.
 *
 * Interface: sb_lower_loop. Memory: arena of the lowering. Threads: one. */

#include "front/lower_int.h"

struct loop_memo {
    loop_memo *next;
    const sb_node *node;
    const shape *entry;  /* of all locals and the result at the loop's start */
    const shape *header; /* the same at the head of every turn */
    bool peel;
};

typedef struct loop_site {
    const sb_node *node;
    bool *carried; /* by slot */
    bool has_return, has_break;
} loop_site;

/* --- what a body assigns ------------------------------------------------------------------------------------------------- */

static void scan_expression(loop_site *site, const sb_node *n);

static void scan_target(loop_site *site, const sb_target *target)
{
    if (target->object != NULL) {
        scan_expression(site, target->object);
        scan_expression(site, target->index);
    } else if (!target->unpacks) {
        site->carried[target->slot] = true;
    }
    for (uint32_t k = 0; k < target->count; k++) {
        scan_target(site, &target->items[k]);
    }
}

static void scan_list(loop_site *site, const sb_node_list *list, bool own_loop);

/* Assignment expressions. What a block or a comprehension has of its own is unbound again behind it. */
static void scan_expression(loop_site *site, const sb_node *n)
{
    if (n == NULL) {
        return;
    }
    if (n->kind == SB_BLOB_NAMED) {
        site->carried[n->slot] = true;
    }
    scan_expression(site, n->a);
    scan_expression(site, n->b);
    if (n->kind != SB_BLOB_COMPREHENSION) { /* its loop is of a and b */
        scan_expression(site, n->c);
    }
    if (n->kind == SB_BLOB_BLOCK) {
        scan_list(site, &n->list, false);
    } else {
        for (uint32_t k = 0; k < n->list.count; k++) {
            scan_expression(site, n->list.items[k]);
        }
    }
    if (n->kind == SB_BLOB_BLOCK || n->kind == SB_BLOB_COMPREHENSION) {
        for (uint32_t k = 0; k < n->count; k++) {
            site->carried[n->slot + k] = false;
        }
    }
}

static void scan_statement(loop_site *site, const sb_node *n, bool own_loop)
{
    switch (n->kind) {
    case SB_BLOB_ASSIGN:
    case SB_BLOB_FOR:
        for (uint32_t t = 0; t < n->target_count; t++) {
            scan_target(site, &n->targets[t]);
        }
        break;
    case SB_BLOB_AUGASSIGN:
        site->carried[n->slot] = true;
        break;
    case SB_BLOB_DEL:
        for (uint32_t t = 0; t < n->target_count; t++) {
            site->carried[n->slots[t]] = true;
        }
        break;
    case SB_BLOB_RETURN:
        site->has_return = true;
        break;
    case SB_BLOB_BREAK:
        site->has_break = site->has_break || own_loop;
        break;
    default:
        break;
    }
    scan_expression(site, n->a);
    if (n->kind == SB_BLOB_AUGITEM) {
        scan_expression(site, n->b);
        scan_expression(site, n->c);
    }
    if (n->kind == SB_BLOB_IF || n->kind == SB_BLOB_FOR || n->kind == SB_BLOB_WHILE) {
        scan_list(site, &n->list, own_loop && n->kind == SB_BLOB_IF);
        scan_list(site, &n->orelse, own_loop);
    }
}

static void scan_list(loop_site *site, const sb_node_list *list, bool own_loop)
{
    for (uint32_t k = 0; k < list->count; k++) {
        scan_statement(site, list->items[k], own_loop);
    }
}

/* --- one turn ------------------------------------------------------------------------------------------------------------ */

static sb_value test_again(lowering *l, env *e, const sb_node *n, sb_value stop)
{
    bool known = false;
    if (sb_irb_is_const_b(&l->b, stop, &known)) {
        if (known) {
            return l->zero_b;
        }
        pyval test = sb_lower_expr(l, e, n->a);
        return sb_pyval_truth(l, &test);
    }
    env x;
    env y;
    sb_env_copy(l, &x, e);
    sb_env_copy(l, &y, e);
    sb_value go_on = sb_op1(l, SB_IR_NOT, stop);
    sb_value region = sb_irb_if(&l->b, go_on);
    pyval test = sb_lower_expr(l, &x, n->a); /* it may assign */
    sb_value holds = sb_pyval_truth(l, &test);
    sb_irb_else(&l->b, region);
    sb_irb_end_if(&l->b, region);
    holds = sb_merge_bool(l, go_on, holds, l->zero_b);
    sb_env_merge(l, e, go_on, &x, &y);
    return holds;
}

/* Lowers the body once from the head state in *e; gives "another turn?" and leaves the end state in *e and *c. */
static sb_value lower_turn(lowering *l, env *e, const loop_site *site, sb_counter *c)
{
    const sb_node *n = site->node;
    e->returned = l->zero_b;
    e->broke = l->zero_b;
    e->continued = l->zero_b;
    e->dead = false;
    if (n->kind == SB_BLOB_FOR) {
        sb_assign(l, e, &n->targets[0], sb_iter_item(l, c));
    }
    sb_lower_block(l, e, &n->list, 0);
    bool continued = true;
    bool no_continue = sb_irb_is_const_b(&l->b, e->continued, &continued) && !continued;
    sb_value stop = sb_op2(l, SB_IR_OR, e->returned, e->broke);
    if (e->dead && no_continue) {
        stop = l->true_b;
    }
    e->continued = l->zero_b;
    e->dead = false;
    if (n->kind == SB_BLOB_WHILE) {
        return test_again(l, e, n, stop);
    }
    sb_iter_advance(l, c);
    return sb_op2(l, SB_IR_AND, sb_op1(l, SB_IR_NOT, stop), sb_iter_more(l, c));
}

/* --- the loop itself ------------------------------------------------------------------------------------------------------ */

typedef struct arg_set arg_set;
struct arg_set { /* the ARGs of one carried value */
    sb_value is[TAG_COUNT];
    sb_value b, i, f;
    arg_set *items;
};

static sb_value arg_or_none(lowering *l, bool wanted, sb_value init)
{
    return wanted ? sb_irb_arg(&l->b, init) : 0;
}

static pyval open_args(lowering *l, const pyval *init, const shape *s, arg_set *args);

static void open_items(lowering *l, const pyval *init, const shape *s, arg_set *args, pyval *head)
{
    static const pyval never = {0};
    head->items = sb_items_new(l, s->count);
    args->items = sb_arena_alloc_zero(&l->arena, sizeof(*args->items) * ((size_t)s->count + 1));
    if (head->items == NULL || args->items == NULL) {
        l->no_memory = true;
        return;
    }
    head->count = s->count;
    head->is_list = s->is_list;
    for (uint32_t k = 0; k < s->count; k++) {
        const pyval *from = init->tags & ITEMS_BIT ? &init->items[k] : &never;
        head->items[k] = open_args(l, from, &s->items[k], &args->items[k]);
    }
}

/* ARGs for a value that has at most this shape at the head of a turn. */
static pyval open_args(lowering *l, const pyval *init, const shape *s, arg_set *args)
{
    uint32_t tags = s->tags;
    *args = (arg_set){0};
    args->b = arg_or_none(l, tags & TRUTH_BITS, init->tags & TRUTH_BITS ? init->b : l->zero_b);
    args->i = arg_or_none(l, tags & WHOLE_BITS, init->tags & WHOLE_BITS ? init->i : l->zero_i);
    args->f = arg_or_none(l, tags & DOUBLE_BITS, init->tags & DOUBLE_BITS ? init->f : l->zero_f);
    pyval head = {.tags = tags, .b = args->b, .i = args->i, .f = args->f, .why = s->why};
    head.site = s->site;
    head.dtype = s->dtype;
    if (tags & ITEMS_BIT) {
        open_items(l, init, s, args, &head);
    }
    if (sb_tag_count(tags) > 1) {
        unsigned lowest = (unsigned)sb_ctz_u64(tags);
        for (unsigned tag = lowest + 1; tag < TAG_COUNT; tag++) {
            if (tags & TAG_BIT(tag)) {
                args->is[tag] = sb_irb_arg(&l->b, sb_pyval_is(l, init, tag));
                head.is[tag] = args->is[tag];
            }
        }
    }
    return head;
}

static void close_args(lowering *l, const arg_set *args, const shape *s, const pyval *next)
{
    static const pyval never = {0};
    if (args->b != 0) {
        sb_irb_arg_next(&l->b, args->b, next->tags & TRUTH_BITS ? next->b : l->zero_b);
    }
    if (args->i != 0) {
        sb_irb_arg_next(&l->b, args->i, next->tags & WHOLE_BITS ? next->i : l->zero_i);
    }
    if (args->f != 0) {
        sb_irb_arg_next(&l->b, args->f, next->tags & DOUBLE_BITS ? next->f : l->zero_f);
    }
    for (unsigned tag = 0; tag < TAG_COUNT; tag++) {
        if (args->is[tag] != 0) {
            sb_irb_arg_next(&l->b, args->is[tag], sb_pyval_is(l, next, tag));
        }
    }
    for (uint32_t k = 0; args->items != NULL && k < s->count; k++) {
        bool has = (next->tags & ITEMS_BIT) && k < next->count;
        close_args(l, &args->items[k], &s->items[k], has ? &next->items[k] : &never);
    }
}

/* The value after the loop: what the last turn gave, so of its kinds only, as far as the head has room for them. */
static pyval result_of_args(lowering *l, const arg_set *args, const shape *head, const shape *out)
{
    uint32_t tags = head->tags & out->tags;
    pyval r = {.tags = tags, .why = head->why, .dtype = head->dtype, .site = head->site};
    r.b = tags & TRUTH_BITS ? sb_irb_result(&l->b, args->b) : 0;
    r.i = tags & WHOLE_BITS ? sb_irb_result(&l->b, args->i) : 0;
    r.f = tags & DOUBLE_BITS ? sb_irb_result(&l->b, args->f) : 0;
    if ((tags & ITEMS_BIT) && head->count == out->count) {
        r.items = sb_items_new(l, head->count);
        r.count = r.items != NULL ? head->count : 0;
        r.is_list = head->is_list;
        for (uint32_t k = 0; k < r.count; k++) {
            r.items[k] = result_of_args(l, &args->items[k], &head->items[k], &out->items[k]);
        }
    }
    if (sb_tag_count(tags) > 1) {
        unsigned lowest = (unsigned)sb_ctz_u64(tags);
        for (unsigned tag = lowest + 1; tag < TAG_COUNT; tag++) {
            r.is[tag] = tags & TAG_BIT(tag) ? sb_irb_result(&l->b, args->is[tag]) : 0;
        }
    }
    return r;
}

static sb_value flag_result(lowering *l, sb_value arg)
{
    return arg != 0 ? sb_irb_result(&l->b, arg) : l->zero_b;
}

/* ARGs of a for loop's state. */
typedef struct counter_args {
    sb_value left, index;
    sb_value currents[RANGES_MAX];
} counter_args;

static void open_counter(lowering *l, sb_counter *c, bool is_for, counter_args *args)
{
    *args = (counter_args){0};
    if (!is_for) {
        return;
    }
    args->left = c->left = arg_or_none(l, c->left != 0, c->left);
    args->index = c->index = arg_or_none(l, c->index != 0, c->index);
    for (uint32_t k = 0; k < c->range_count; k++) {
        args->currents[k] = c->ranges[k].current = sb_irb_arg(&l->b, c->ranges[k].current);
    }
}

static void close_counter(lowering *l, const sb_counter *c, const counter_args *args)
{
    sb_irb_arg_next(&l->b, args->left, c->left);
    sb_irb_arg_next(&l->b, args->index, c->index);
    for (uint32_t k = 0; k < c->range_count; k++) {
        sb_irb_arg_next(&l->b, args->currents[k], c->ranges[k].current);
    }
}

/* The turn inside of the loop: from the ARGs at its head to its end, where *out gets the shapes that flow back. */
static sb_value build_turn(lowering *l, env *head, const loop_site *site, sb_counter *c,
                           const shape *header, arg_set *args, shape *out)
{
    uint32_t locals = l->tree.local_count;
    for (uint32_t slot = 0; slot < locals; slot++) {
        sb_pyval_complete(l, &head->vars[slot]);
    }
    sb_pyval_complete(l, &head->result);
    sb_value again = lower_turn(l, head, site, c);
    for (uint32_t slot = 0; slot < locals; slot++) {
        if (site->carried[slot]) {
            sb_shape_of(l, &head->vars[slot], &out[slot]);
            close_args(l, &args[slot], &header[slot], &head->vars[slot]);
        }
    }
    sb_shape_of(l, &head->result, &out[locals]);
    close_args(l, &args[locals], &header[locals], &head->result);
    return again;
}

/* Emits the loop with the given head shapes; *out gets those that flow back. Afterwards *e is the state behind the loop. When out
 * does not fit into header, what was built is wrong and must be rewound. */
static void build_loop(lowering *l, env *e, const loop_site *site, sb_counter c,
                       const shape *header, shape *out)
{
    uint32_t locals = l->tree.local_count;
    arg_set *args = sb_arena_alloc_zero(&l->arena, sizeof(*args) * (locals + 1));
    if (args == NULL) {
        l->no_memory = true;
        return;
    }
    env head;
    counter_args counters;
    sb_env_copy(l, &head, e);
    sb_value loop = sb_irb_loop(&l->b, c.turns_max);
    open_counter(l, &c, site->node->kind == SB_BLOB_FOR, &counters);
    sb_value returned_arg = arg_or_none(l, site->has_return, l->zero_b);
    sb_value broke_arg = arg_or_none(l, site->has_break, l->zero_b);
    for (uint32_t slot = 0; slot < locals; slot++) {
        if (site->carried[slot]) {
            head.vars[slot] = open_args(l, &e->vars[slot], &header[slot], &args[slot]);
        }
    }
    if (site->has_return) {
        head.result = open_args(l, &e->result, &header[locals], &args[locals]);
    }
    sb_value again = build_turn(l, &head, site, &c, header, args, out);
    close_counter(l, &c, &counters);
    sb_irb_arg_next(&l->b, returned_arg, head.returned);
    sb_irb_arg_next(&l->b, broke_arg, head.broke);
    sb_irb_end_loop(&l->b, loop, again);
    e->returned = flag_result(l, returned_arg);
    e->broke = flag_result(l, broke_arg);
    for (uint32_t slot = 0; slot < locals; slot++) {
        if (site->carried[slot]) {
            e->vars[slot] = result_of_args(l, &args[slot], &header[slot], &out[slot]);
        }
    }
    if (site->has_return) {
        e->result = result_of_args(l, &args[locals], &header[locals], &out[locals]);
    }
    for (uint32_t slot = 0; slot < locals; slot++) {
        sb_pyval_complete(l, &e->vars[slot]);
    }
    sb_pyval_complete(l, &e->result);
}

/* --- finding the kinds ------------------------------------------------------------------------------------------------------ */

static shape *shapes_of(lowering *l, const env *e)
{
    uint32_t locals = l->tree.local_count;
    shape *shapes = sb_arena_alloc_zero(&l->arena, sizeof(*shapes) * (locals + 1));
    if (shapes == NULL) {
        l->no_memory = true;
        return NULL;
    }
    for (uint32_t slot = 0; slot < locals; slot++) {
        sb_shape_of(l, &e->vars[slot], &shapes[slot]);
    }
    sb_shape_of(l, &e->result, &shapes[locals]);
    return shapes;
}

/* Adds to the head shapes what flows back; false when it was all there. */
static bool widen(lowering *l, const loop_site *site, shape *header, const shape *out)
{
    uint32_t locals = l->tree.local_count;
    bool changed = false;
    for (uint32_t k = 0; k <= locals; k++) {
        bool carried = k < locals ? site->carried[k] : site->has_return;
        changed = (carried && sb_shape_widen(l, &header[k], &out[k])) || changed;
    }
    return changed;
}

/* Head shapes when the loop starts in state *e: NULL when memory or the budget is out. Nothing stays built. */
static shape *find_header(lowering *l, const env *e, const loop_site *site, sb_counter c)
{
    shape *header = shapes_of(l, e);
    shape *out = shapes_of(l, e);
    bool changed = true;
    while (changed && header != NULL && out != NULL && sb_working(l) && !l->no_memory) {
        size_t mark = l->b.ir->insts.count;
        env trial;
        sb_env_copy(l, &trial, e);
        build_loop(l, &trial, site, c, header, out);
        sb_irb_rewind(&l->b, mark);
        changed = widen(l, site, header, out);
    }
    return changed || out == NULL ? NULL : header;
}

/* Carried values that need a lane of tags to tell number kinds apart. */
static unsigned mixed_count(const lowering *l, const shape *header)
{
    unsigned count = 0;
    for (uint32_t k = 0; k < l->tree.local_count; k++) {
        count += sb_shape_mixed(&header[k]);
    }
    return count;
}

static const loop_memo *find_memo(const lowering *l, const sb_node *node, const shape *entry)
{
    for (const loop_memo *m = l->memos; m != NULL; m = m->next) {
        bool same = m->node == node;
        for (uint32_t k = 0; same && k <= l->tree.local_count; k++) {
            same = sb_shape_same(&m->entry[k], &entry[k]);
        }
        if (same) {
            return m;
        }
    }
    return NULL;
}

/* Decides on head shapes and peeling for a loop that starts in state *e. */
static const loop_memo *study(lowering *l, const env *e, const loop_site *site, sb_counter c)
{
    const shape *entry = shapes_of(l, e);
    if (entry == NULL) {
        return NULL;
    }
    const loop_memo *known = find_memo(l, site->node, entry);
    if (known != NULL) {
        return known;
    }
    loop_memo *memo = sb_arena_alloc_zero(&l->arena, sizeof(*memo));
    const shape *plain = find_header(l, e, site, c);
    if (memo == NULL || plain == NULL) {
        l->no_memory = l->no_memory || memo == NULL;
        return NULL;
    }
    *memo = (loop_memo){.next = l->memos, .node = site->node, .entry = entry, .header = plain};
    if (mixed_count(l, plain) > 0) {
        size_t mark = l->b.ir->insts.count;
        env first;
        sb_env_copy(l, &first, e);
        sb_counter rest = c;
        (void)lower_turn(l, &first, site, &rest);
        first.result = e->result;
        const shape *peeled = find_header(l, &first, site, rest);
        sb_irb_rewind(&l->b, mark);
        if (peeled != NULL && mixed_count(l, peeled) < mixed_count(l, plain)) {
            memo->header = peeled;
            memo->peel = true;
        }
    }
    l->memos = memo;
    return memo;
}

/* --- entering --------------------------------------------------------------------------------------------------------------- */

/* Builds the loop for good. What was learnt in a trial may have hung on a constant that is none here, so head shapes are widened until
 * they hold. */
static void build_fitting(lowering *l, env *e, const loop_site *site, sb_counter c,
                          const shape *learnt)
{
    shape *header = shapes_of(l, e);
    shape *out = shapes_of(l, e);
    if (header == NULL || out == NULL) {
        return;
    }
    (void)widen(l, site, header, learnt);
    while (sb_working(l)) {
        size_t mark = l->b.ir->insts.count;
        env trial;
        sb_env_copy(l, &trial, e);
        build_loop(l, &trial, site, c, header, out);
        if (!widen(l, site, header, out)) {
            *e = trial;
            return;
        }
        sb_irb_rewind(&l->b, mark);
    }
}

/* For rows that take at least one turn. */
static void lower_turns(lowering *l, env *e, const loop_site *site, sb_counter c)
{
    const loop_memo *memo = study(l, e, site, c);
    if (memo == NULL) {
        return;
    }
    if (!memo->peel) {
        build_fitting(l, e, site, c, memo->header);
        return;
    }
    sb_value again = lower_turn(l, e, site, &c);
    bool known = false;
    if (sb_irb_is_const_b(&l->b, again, &known) && !known) {
        return;
    }
    c.turns_max = c.turns_max > 1 ? c.turns_max - 1 : c.turns_max;
    if (sb_irb_is_const_b(&l->b, again, &known)) {
        build_fitting(l, e, site, c, memo->header);
        return;
    }
    env x;
    env y;
    sb_env_copy(l, &x, e);
    sb_env_copy(l, &y, e);
    sb_value region = sb_irb_if(&l->b, again);
    x.returned = l->zero_b;
    x.broke = l->zero_b;
    build_fitting(l, &x, site, c, memo->header);
    sb_irb_else(&l->b, region);
    sb_irb_end_if(&l->b, region);
    sb_env_merge(l, e, again, &x, &y);
}

/* First test of the loop; false when no row gets past it. */
static bool lower_head(lowering *l, env *e, const sb_node *n, sb_counter *c, sb_value *enter)
{
    if (n->kind == SB_BLOB_WHILE) {
        pyval test = sb_lower_expr(l, e, n->a);
        *enter = sb_pyval_truth(l, &test);
        return test.tags != 0;
    }
    if (!sb_iter_open(l, e, n->a, c)) {
        return false;
    }
    *enter = sb_iter_more(l, c);
    return true;
}

/* `while True` without a break ends by return only. */
static bool is_endless(const lowering *l, const loop_site *site, sb_value enter)
{
    bool known = false;
    const sb_node *n = site->node;
    return n->kind == SB_BLOB_WHILE && n->a->kind >= SB_BLOB_CONST_NONE &&
           n->a->kind <= SB_BLOB_CONST_FLOAT && !site->has_break &&
           sb_irb_is_const_b(&l->b, enter, &known) && known;
}

void sb_lower_loop(lowering *l, env *e, const sb_node *n)
{
    loop_site site = {.node = n};
    site.carried = sb_arena_alloc_zero(&l->arena, l->tree.local_count + 1);
    if (site.carried == NULL) {
        l->no_memory = true;
        return;
    }
    scan_list(&site, &n->list, true);
    if (n->kind == SB_BLOB_FOR) {
        scan_target(&site, &n->targets[0]);
    } else {
        scan_expression(&site, n->a); /* the test stands in the loop */
    }
    sb_counter c = {0};
    sb_value enter = l->zero_b;
    if (!lower_head(l, e, n, &c, &enter)) {
        e->dead = true;
        return;
    }
    bool known = false;
    if (!sb_irb_is_const_b(&l->b, enter, &known)) {
        env x;
        env y;
        sb_env_copy(l, &x, e);
        sb_env_copy(l, &y, e);
        sb_value region = sb_irb_if(&l->b, enter);
        lower_turns(l, &x, &site, c);
        sb_irb_else(&l->b, region);
        sb_irb_end_if(&l->b, region);
        sb_env_merge(l, e, enter, &x, &y);
    } else if (known) {
        lower_turns(l, e, &site, c);
    }
    if (is_endless(l, &site, enter)) {
        e->returned = l->true_b; /* no row gets behind it in another way */
        e->dead = true;
        return;
    }
    sb_value gone = sb_op2(l, SB_IR_OR, e->returned, e->broke);
    bool rejoin = !sb_irb_is_const_b(&l->b, e->broke, &known) || known;
    e->broke = l->zero_b; /* of this loop; a break in the else clause is of the outer one */
    e->continued = l->zero_b;
    if (n->orelse.count == 0 || (sb_irb_is_const_b(&l->b, gone, &known) && known)) {
        return;
    }
    if (sb_irb_is_const_b(&l->b, gone, &known)) {
        sb_lower_block(l, e, &n->orelse, 0);
    } else {
        sb_lower_rest(l, e, gone, rejoin, &n->orelse, 0);
    }
}
