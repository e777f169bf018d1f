/* Lowering of for and while.
 *
 * A loop becomes `if the first test holds { loop { turn } }`, the loop's test standing at the end of each turn (do-while). What the body
 * assigns is carried as loop arguments; break and return are flags that end the row's turns; the else clause is the region of the
 * rows that did not break.
 *
 * Kinds: the tags of carried locals at the head of a turn are found by building the loop on trial, widening until nothing new
 * flows back. When a local changes its number kind in the first turn only (`total = 0`, then `total += x * j`), the first turn is
 * peeled, so that the loop itself carries bare registers. Results of trials are remembered per loop and entry kinds: nested loops
 * would otherwise be tried again and again.
 *
 * Interface: sb_lower_loop. Memory: arena of the lowering. Threads: one. */
#include <string.h>

#include "front/lower_int.h"

struct loop_memo {
    loop_memo *next;
    const sb_node *node;
    const uint32_t *entry;  /* tags of all locals and the result at the loop's start */
    const uint32_t *header; /* the same at the head of every turn */
    bool peel;
};

typedef struct counter { /* of a for loop; absent in while */
    sb_value current;    /* value of this turn */
    sb_value left;       /* turns left, this one included; unsigned */
    sb_value step;
    int64_t turns_max; /* 0: unknown */
} counter;

typedef struct loop_site {
    const sb_node *node;
    bool *carried; /* by slot */
    bool has_return, has_break;
} loop_site;

/* --- what a body assigns ------------------------------------------------------------------------------------------------- */

static void scan_list(loop_site *site, const sb_node_list *list, bool own_loop)
{
    for (uint32_t k = 0; k < list->count; k++) {
        const sb_node *n = list->items[k];
        switch (n->kind) {
        case SB_BLOB_ASSIGN:
            for (uint32_t t = 0; t < n->target_count; t++) {
                site->carried[n->targets[t]] = true;
            }
            break;
        case SB_BLOB_AUGASSIGN:
            site->carried[n->slot] = true;
            break;
        case SB_BLOB_FOR:
            site->carried[n->slot] = true;
            scan_list(site, &n->list, false);
            scan_list(site, &n->orelse, own_loop);
            break;
        case SB_BLOB_WHILE:
            scan_list(site, &n->list, false);
            scan_list(site, &n->orelse, own_loop);
            break;
        case SB_BLOB_IF:
            scan_list(site, &n->list, own_loop);
            scan_list(site, &n->orelse, own_loop);
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
    sb_value go_on = sb_op1(l, SB_IR_NOT, stop);
    sb_value region = sb_irb_if(&l->b, go_on);
    pyval test = sb_lower_expr(l, e, n->a);
    sb_value holds = sb_pyval_truth(l, &test);
    sb_irb_else(&l->b, region);
    sb_irb_end_if(&l->b, region);
    return sb_merge_bool(l, go_on, holds, l->zero_b);
}

/* Lowers the body once from the head state in *e; gives "another turn?" and leaves the end state in *e and *c. */
static sb_value lower_turn(lowering *l, env *e, const loop_site *site, counter *c)
{
    const sb_node *n = site->node;
    e->returned = l->zero_b;
    e->broke = l->zero_b;
    e->continued = l->zero_b;
    e->dead = false;
    if (n->kind == SB_BLOB_FOR) {
        e->vars[n->slot] = sb_pyval_int(c->current);
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
    c->current = sb_op2(l, SB_IR_IX_ADD, c->current, c->step);
    c->left = sb_op2(l, SB_IR_IX_SUB, c->left, sb_irb_const_i(&l->b, 1));
    sb_value more = sb_op1(l, SB_IR_NOT, sb_op2(l, SB_IR_PY_EQ_I64, c->left, l->zero_i));
    return sb_op2(l, SB_IR_AND, sb_op1(l, SB_IR_NOT, stop), more);
}

/* --- the loop itself ------------------------------------------------------------------------------------------------------ */

typedef struct arg_set { /* the ARGs of one carried value */
    sb_value is[TAG_COUNT];
    sb_value b, i, f;
} arg_set;

static sb_value arg_or_none(lowering *l, bool wanted, sb_value init)
{
    return wanted ? sb_irb_arg(&l->b, init) : 0;
}

/* ARGs for a value that has at most `tags` at the head of a turn. */
static pyval open_args(lowering *l, const pyval *init, uint32_t tags, arg_set *args)
{
    *args = (arg_set){0};
    args->b = arg_or_none(l, tags & BOOL_BIT, init->tags & BOOL_BIT ? init->b : l->zero_b);
    args->i = arg_or_none(l, tags & INT_BIT, init->tags & INT_BIT ? init->i : l->zero_i);
    args->f = arg_or_none(l, tags & FLOAT_BIT, init->tags & FLOAT_BIT ? init->f : l->zero_f);
    pyval head = {.tags = tags, .b = args->b, .i = args->i, .f = args->f};
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

static void close_args(lowering *l, const arg_set *args, const pyval *next)
{
    if (args->b != 0) {
        sb_irb_arg_next(&l->b, args->b, next->tags & BOOL_BIT ? next->b : l->zero_b);
    }
    if (args->i != 0) {
        sb_irb_arg_next(&l->b, args->i, next->tags & INT_BIT ? next->i : l->zero_i);
    }
    if (args->f != 0) {
        sb_irb_arg_next(&l->b, args->f, next->tags & FLOAT_BIT ? next->f : l->zero_f);
    }
    for (unsigned tag = 0; tag < TAG_COUNT; tag++) {
        if (args->is[tag] != 0) {
            sb_irb_arg_next(&l->b, args->is[tag], sb_pyval_is(l, next, tag));
        }
    }
}

/* The value after the loop: what the last turn gave, so of its kinds only. */
static pyval result_of_args(lowering *l, const arg_set *args, uint32_t tags)
{
    pyval r = {.tags = tags};
    r.b = tags & BOOL_BIT ? sb_irb_result(&l->b, args->b) : 0;
    r.i = tags & INT_BIT ? sb_irb_result(&l->b, args->i) : 0;
    r.f = tags & FLOAT_BIT ? sb_irb_result(&l->b, args->f) : 0;
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

/* Emits the loop with the given head tags; *out gets the tags that flow back. Afterwards *e is the state behind the loop. When out
 * has a tag that header lacks, what was built is wrong and must be rewound. */
static void build_loop(lowering *l, env *e, const loop_site *site, counter c,
                       const uint32_t *header, uint32_t *out)
{
    uint32_t locals = l->tree.local_count;
    arg_set *args = sb_arena_alloc_zero(&l->arena, sizeof(*args) * (locals + 1));
    if (args == NULL) {
        l->no_memory = true;
        return;
    }
    bool is_for = site->node->kind == SB_BLOB_FOR;
    env head;
    sb_env_copy(l, &head, e);
    sb_value loop = sb_irb_loop(&l->b, c.turns_max);
    sb_value current_arg = arg_or_none(l, is_for, c.current);
    sb_value left_arg = arg_or_none(l, is_for, c.left);
    sb_value returned_arg = arg_or_none(l, site->has_return, l->zero_b);
    sb_value broke_arg = arg_or_none(l, site->has_break, l->zero_b);
    for (uint32_t slot = 0; slot < locals; slot++) {
        if (site->carried[slot]) {
            head.vars[slot] = open_args(l, &e->vars[slot], header[slot], &args[slot]);
        }
    }
    if (site->has_return) {
        head.result = open_args(l, &e->result, header[locals], &args[locals]);
    }
    for (uint32_t slot = 0; slot < locals; slot++) {
        sb_pyval_complete(l, &head.vars[slot]);
    }
    sb_pyval_complete(l, &head.result);
    c.current = current_arg;
    c.left = left_arg;
    sb_value again = lower_turn(l, &head, site, &c);
    sb_irb_arg_next(&l->b, current_arg, c.current);
    sb_irb_arg_next(&l->b, left_arg, c.left);
    sb_irb_arg_next(&l->b, returned_arg, head.returned);
    sb_irb_arg_next(&l->b, broke_arg, head.broke);
    for (uint32_t slot = 0; slot < locals; slot++) {
        out[slot] = head.vars[slot].tags;
        close_args(l, &args[slot], &head.vars[slot]);
    }
    out[locals] = head.result.tags;
    close_args(l, &args[locals], &head.result);
    sb_irb_end_loop(&l->b, loop, again);
    e->returned = flag_result(l, returned_arg);
    e->broke = flag_result(l, broke_arg);
    for (uint32_t slot = 0; slot < locals; slot++) {
        if (site->carried[slot]) {
            e->vars[slot] = result_of_args(l, &args[slot], out[slot] & header[slot]);
        }
    }
    if (site->has_return) {
        e->result = result_of_args(l, &args[locals], out[locals] & header[locals]);
    }
    for (uint32_t slot = 0; slot < locals; slot++) {
        sb_pyval_complete(l, &e->vars[slot]);
    }
    sb_pyval_complete(l, &e->result);
}

/* --- finding the kinds ------------------------------------------------------------------------------------------------------ */

static uint32_t *tags_of(lowering *l, const env *e)
{
    uint32_t locals = l->tree.local_count;
    uint32_t *tags = sb_arena_alloc_zero(&l->arena, sizeof(*tags) * (locals + 1));
    if (tags == NULL) {
        l->no_memory = true;
        return NULL;
    }
    for (uint32_t slot = 0; slot < locals; slot++) {
        tags[slot] = e->vars[slot].tags;
    }
    tags[locals] = e->result.tags;
    return tags;
}

/* Adds to the head tags what flows back; false when it was all there. */
static bool widen(const lowering *l, const loop_site *site, uint32_t *header, const uint32_t *out)
{
    uint32_t locals = l->tree.local_count;
    bool changed = false;
    for (uint32_t k = 0; k <= locals; k++) {
        bool carried = k < locals ? site->carried[k] : site->has_return;
        if (carried && (out[k] & ~header[k]) != 0) {
            header[k] |= out[k];
            changed = true;
        }
    }
    return changed;
}

/* Head tags when the loop starts in state *e: NULL when memory or the budget is out. Nothing stays built. */
static uint32_t *find_header(lowering *l, const env *e, const loop_site *site, counter c)
{
    uint32_t *header = tags_of(l, e);
    uint32_t *out = tags_of(l, e);
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
static unsigned mixed_count(const lowering *l, const uint32_t *header)
{
    unsigned count = 0;
    for (uint32_t k = 0; k < l->tree.local_count; k++) {
        count += sb_tag_count(header[k] & NUMERIC_BITS) > 1;
    }
    return count;
}

static const loop_memo *find_memo(const lowering *l, const sb_node *node, const uint32_t *entry)
{
    size_t size = sizeof(*entry) * (l->tree.local_count + 1);
    for (const loop_memo *m = l->memos; m != NULL; m = m->next) {
        if (m->node == node && memcmp(m->entry, entry, size) == 0) {
            return m;
        }
    }
    return NULL;
}

/* Decides on head tags and peeling for a loop that starts in state *e. */
static const loop_memo *study(lowering *l, const env *e, const loop_site *site, counter c)
{
    uint32_t *entry = tags_of(l, e);
    if (entry == NULL) {
        return NULL;
    }
    const loop_memo *known = find_memo(l, site->node, entry);
    if (known != NULL) {
        return known;
    }
    loop_memo *memo = sb_arena_alloc_zero(&l->arena, sizeof(*memo));
    const uint32_t *plain = find_header(l, e, site, c);
    if (memo == NULL || plain == NULL) {
        l->no_memory = l->no_memory || memo == NULL;
        return NULL;
    }
    *memo = (loop_memo){.next = l->memos, .node = site->node, .entry = entry, .header = plain};
    if (mixed_count(l, plain) > 0) {
        size_t mark = l->b.ir->insts.count;
        env first;
        sb_env_copy(l, &first, e);
        counter rest = c;
        (void)lower_turn(l, &first, site, &rest);
        first.result = e->result;
        const uint32_t *peeled = find_header(l, &first, site, rest);
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

/* Builds the loop for good. What was learnt in a trial may have hung on a constant that is none here, so head tags are widened until
 * they hold. */
static void build_fitting(lowering *l, env *e, const loop_site *site, counter c,
                          const uint32_t *learnt)
{
    uint32_t *header = tags_of(l, e);
    uint32_t *out = tags_of(l, e);
    if (header == NULL || out == NULL) {
        return;
    }
    memcpy(header, learnt, sizeof(*header) * (l->tree.local_count + 1));
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
static void lower_turns(lowering *l, env *e, const loop_site *site, counter c)
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

static bool const_int(const lowering *l, sb_value v, int64_t *out)
{
    const sb_inst *inst = &l->b.ir->insts.items[v];
    if (inst->op != SB_IR_CONST_I) {
        return false;
    }
    *out = inst->imm.i;
    return true;
}

/* Turns of range(start, stop, step) as an unsigned number; step is not 0. */
static sb_value count_turns(lowering *l, sb_value start, sb_value stop, sb_value step)
{
    sb_value one = sb_irb_const_i(&l->b, 1);
    sb_value up = sb_op2(l, SB_IR_PY_LT_I64, l->zero_i, step);
    sb_value from = sb_irb_op(&l->b, SB_IR_SELECT, up, start, stop);
    sb_value to = sb_irb_op(&l->b, SB_IR_SELECT, up, stop, start);
    sb_value size =
        sb_irb_op(&l->b, SB_IR_SELECT, up, step, sb_op2(l, SB_IR_IX_SUB, l->zero_i, step));
    sb_value some = sb_op2(l, SB_IR_PY_LT_I64, from, to);
    sb_value span = sb_op2(l, SB_IR_IX_SUB, to, from);
    int64_t known = 0;
    sb_value turns = span;
    if (!const_int(l, size, &known) || known != 1) {
        turns = sb_op2(l, SB_IR_IX_UDIV, sb_op2(l, SB_IR_IX_SUB, span, one), size);
        turns = sb_op2(l, SB_IR_IX_ADD, turns, one);
    }
    return sb_irb_op(&l->b, SB_IR_SELECT, some, turns, l->zero_i);
}

/* Lowers range(...) of a for loop; false when no row gets past it. */
static bool lower_range(lowering *l, env *e, const sb_node *n, counter *c)
{
    pyval args[3];
    uint32_t count = n->list.count;
    for (uint32_t k = 0; k < count && k < 3; k++) {
        args[k] = sb_lower_expr(l, e, n->list.items[k]);
    }
    if (count < 1 || count > 3) {
        sb_irb_leave_if(&l->b, l->true_b, SB_REASON_RAISE);
        return false;
    }
    for (uint32_t k = 0; k < count; k++) {
        args[k] = sb_pyval_number(l, args[k]);
        args[k] = sb_pyval_strip(l, args[k], TAG_FLOAT, SB_REASON_TYPE_TAG);
        if (args[k].tags == 0) {
            return false;
        }
    }
    sb_value start = count == 1 ? l->zero_i : args[0].i;
    sb_value stop = count == 1 ? args[0].i : args[1].i;
    c->step = count == 3 ? args[2].i : sb_irb_const_i(&l->b, 1);
    sb_value no_step = sb_op2(l, SB_IR_PY_EQ_I64, c->step, l->zero_i);
    bool known = false;
    sb_irb_leave_if(&l->b, no_step, SB_REASON_RAISE);
    if (sb_irb_is_const_b(&l->b, no_step, &known) && known) {
        return false;
    }
    c->current = start;
    c->left = count_turns(l, start, stop, c->step);
    int64_t turns = 0;
    c->turns_max = const_int(l, c->left, &turns) && turns > 0 ? turns : 0;
    return true;
}

/* First test of the loop; false when no row gets past it. */
static bool lower_head(lowering *l, env *e, const sb_node *n, counter *c, sb_value *enter)
{
    if (n->kind == SB_BLOB_WHILE) {
        pyval test = sb_lower_expr(l, e, n->a);
        *enter = sb_pyval_truth(l, &test);
        return test.tags != 0;
    }
    if (n->a->kind != SB_BLOB_CALL) {
        if (n->a->kind == SB_BLOB_UNSUPPORTED) {
            (void)sb_lower_expr(l, e, n->a); /* its own reason says more */
        } else {
            sb_refuse(l, SB_REFUSAL_SYNTAX, "for over something other than range", n->a);
        }
        return false;
    }
    if (!lower_range(l, e, n->a, c)) {
        return false;
    }
    *enter = sb_op1(l, SB_IR_NOT, sb_op2(l, SB_IR_PY_EQ_I64, c->left, l->zero_i));
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
        site.carried[n->slot] = true;
    }
    counter c = {0};
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
