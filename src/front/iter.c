/* What a for loop goes through: range, the items of tuples and lists, and enumerate, zip and reversed of these.
 *
 * A list in memory may change while the loop runs: as in CPython, each turn asks whether it still has an item there.
 *
 * A source is a tree of these, made once before the loop. Its state, carried from turn to turn, is flat: the turns left, the turns
 * done where items are chosen by number, and one running value a range. An item of a tuple is chosen by a chain of selects, so that a
 * loop over a tuple is a loop, not as many copies of its body.
 *
 * Memory: sources live in the arena of the lowering. Threads: one. */
#include "front/lower_int.h"

typedef enum source_kind {
    SOURCE_RANGE,
    SOURCE_ITEMS,
    SOURCE_ENUMERATE,
    SOURCE_ZIP,
    SOURCE_LIST
} source_kind;

struct sb_source {
    source_kind kind;
    uint32_t range; /* RANGE, ENUMERATE: which of the counter's */
    sb_value turns; /* unsigned; 0: as lists say */
    pyval items;    /* ITEMS, LIST */
    sb_value last;  /* LIST, backwards: the first position to look at; else 0 */
    uint32_t count; /* ENUMERATE: 1, ZIP: any */
    sb_source **parts;
};

bool sb_const_int(const lowering *l, sb_value v, int64_t *out)
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
    if (!sb_const_int(l, size, &known) || known != 1) {
        turns = sb_op2(l, SB_IR_IX_UDIV, sb_op2(l, SB_IR_IX_SUB, span, one), size);
        turns = sb_op2(l, SB_IR_IX_ADD, turns, one);
    }
    return sb_irb_op(&l->b, SB_IR_SELECT, some, turns, l->zero_i);
}

static sb_source *source_new(lowering *l, source_kind kind, uint32_t parts)
{
    sb_source *source = sb_arena_alloc_zero(&l->arena, sizeof(*source));
    if (source != NULL) {
        source->parts = sb_arena_alloc_zero(&l->arena, sizeof(*source->parts) * (parts + 1));
        source->kind = kind;
        source->count = parts;
    }
    if (source == NULL || source->parts == NULL) {
        l->no_memory = true;
        return NULL;
    }
    return source;
}

/* A running value of the counter; false when there are too many. */
static bool add_range(lowering *l, sb_counter *c, sb_value start, sb_value step, const sb_node *n,
                      uint32_t *out)
{
    if (c->range_count == RANGES_MAX) {
        sb_refuse(l, SB_REFUSAL_TOO_COMPLEX, "", n);
        return false;
    }
    *out = c->range_count;
    c->ranges[c->range_count++] = (sb_range_state){.current = start, .step = step};
    return true;
}

/* An argument that must be an int; never where no row gets past it. */
static pyval whole_number(lowering *l, pyval v)
{
    v = sb_pyval_number(l, sb_np_index(l, v));
    return sb_pyval_strip(l, v, TAG_FLOAT, SB_REASON_TYPE_TAG);
}

static sb_source *open_range(lowering *l, env *e, const sb_node *n, sb_counter *c, bool backwards)
{
    pyval args[3] = {{0}};
    uint32_t count = n->list.count;
    for (uint32_t k = 0; k < count; k++) {
        args[k] = sb_lower_expr(l, e, n->list.items[k]);
    }
    for (uint32_t k = 0; k < count; k++) {
        args[k] = whole_number(l, args[k]);
        if (args[k].tags == 0) {
            return NULL;
        }
    }
    sb_value start = count == 1 ? l->zero_i : args[0].i;
    sb_value stop = count == 1 ? args[0].i : args[1].i;
    sb_value step = count == 3 ? args[2].i : sb_irb_const_i(&l->b, 1);
    sb_value no_step = sb_op2(l, SB_IR_PY_EQ_I64, step, l->zero_i);
    bool known = false;
    sb_irb_leave_if(&l->b, no_step, SB_REASON_RAISE);
    if (sb_irb_is_const_b(&l->b, no_step, &known) && known) {
        return NULL;
    }
    sb_source *source = source_new(l, SOURCE_RANGE, 0);
    if (source == NULL) {
        return NULL;
    }
    source->turns = count_turns(l, start, stop, step);
    if (backwards) {
        /* From the last value: start + (turns - 1) * step, which fits when there is one. */
        sb_value before = sb_op2(l, SB_IR_IX_SUB, source->turns, sb_irb_const_i(&l->b, 1));
        sb_value some = sb_op1(l, SB_IR_NOT, sb_op2(l, SB_IR_PY_EQ_I64, source->turns, l->zero_i));
        before = sb_irb_op(&l->b, SB_IR_SELECT, some, before, l->zero_i);
        start = sb_op2(l, SB_IR_IX_ADD, start, sb_op2(l, SB_IR_PY_MUL_I64, before, step));
        step = sb_op2(l, SB_IR_IX_SUB, l->zero_i, step);
    }
    return add_range(l, c, start, step, n, &source->range) ? source : NULL;
}

static sb_source *open_list(lowering *l, pyval v, const sb_node *n, sb_counter *c, bool backwards)
{
    v = sb_list_only(l, v, "iteration");
    if (v.tags != 0 && c->list_count == LISTS_MAX) {
        sb_refuse(l, SB_REFUSAL_TOO_COMPLEX, "", n);
        return NULL;
    }
    sb_source *source = v.tags != 0 ? source_new(l, SOURCE_LIST, 0) : NULL;
    if (source == NULL) {
        return NULL;
    }
    source->items = v;
    if (backwards) {
        source->last = sb_op2(l, SB_IR_IX_SUB, sb_list_length(l, &v), sb_irb_const_i(&l->b, 1));
    }
    c->lists[c->list_count++] = source;
    c->index = l->zero_i;
    return source;
}

static sb_source *open_items(lowering *l, pyval v, const sb_node *n, sb_counter *c, bool backwards)
{
    uint32_t others = v.tags & ~ITEMS_BIT;
    if (v.tags & LIST_BIT) {
        return open_list(l, v, n, c, backwards);
    }
    if (v.tags & OPAQUE_BIT) {
        l->wants_memory = l->wants_memory || v.why == OPAQUE_LENGTH;
        sb_refuse(l, SB_REFUSAL_TYPE, "a list whose length depends on the row", n);
        return NULL;
    }
    for (unsigned tag = 0; tag < TAG_COUNT; tag++) { /* a number cannot be iterated over */
        v = others & TAG_BIT(tag) ? sb_pyval_strip(l, v, tag, SB_REASON_RAISE) : v;
    }
    sb_source *source = v.tags != 0 ? source_new(l, SOURCE_ITEMS, 0) : NULL;
    if (source == NULL) {
        return NULL;
    }
    if (backwards) {
        pyval *items = sb_items_new(l, v.count);
        for (uint32_t k = 0; items != NULL && k < v.count; k++) {
            items[k] = v.items[v.count - 1 - k];
        }
        v.items = items;
        v.count = items != NULL ? v.count : 0;
    }
    source->items = v;
    source->turns = sb_irb_const_i(&l->b, v.count);
    c->index = v.count > 1 ? l->zero_i : c->index;
    return source;
}

static sb_source *open_source(lowering *l, env *e, const sb_node *n, sb_counter *c, bool backwards);

static sb_source *open_enumerate(lowering *l, env *e, const sb_node *n, sb_counter *c)
{
    sb_source *source = source_new(l, SOURCE_ENUMERATE, 1);
    sb_source *part = source != NULL ? open_source(l, e, n->list.items[0], c, false) : NULL;
    pyval start = sb_pyval_int(l->zero_i);
    if (part == NULL) {
        return NULL;
    }
    if (n->list.count > 1) {
        start = whole_number(l, sb_lower_expr(l, e, n->list.items[1]));
    }
    if (start.tags == 0) {
        return NULL;
    }
    /* So large that counting on could leave 64 bits. */
    sb_value large = sb_op2(l, SB_IR_PY_LT_I64, sb_irb_const_i(&l->b, INT64_C(1) << 62), start.i);
    sb_irb_leave_if(&l->b, large, SB_REASON_OVERFLOW);
    source->parts[0] = part;
    source->turns = part->turns;
    return add_range(l, c, start.i, sb_irb_const_i(&l->b, 1), n, &source->range) ? source : NULL;
}

static sb_source *open_zip(lowering *l, env *e, const sb_node *n, sb_counter *c)
{
    sb_source *source = source_new(l, SOURCE_ZIP, n->list.count);
    if (source == NULL) {
        return NULL;
    }
    source->turns = n->list.count == 0 ? l->zero_i : 0;
    for (uint32_t k = 0; k < n->list.count; k++) {
        sb_source *part = open_source(l, e, n->list.items[k], c, false);
        if (part == NULL) {
            return NULL;
        }
        source->parts[k] = part;
        if (part->turns == 0) {
            continue;
        }
        /* Beyond 2**63 turns: compared as signed they would be the least. */
        sb_value large = sb_op2(l, SB_IR_PY_LT_I64, part->turns, l->zero_i);
        sb_irb_leave_if(&l->b, large, SB_REASON_OVERFLOW);
        if (source->turns == 0) {
            source->turns = part->turns;
        } else {
            sb_value less = sb_op2(l, SB_IR_PY_LT_I64, part->turns, source->turns);
            source->turns = sb_irb_op(&l->b, SB_IR_SELECT, less, part->turns, source->turns);
        }
    }
    return source;
}

static sb_source *open_source(lowering *l, env *e, const sb_node *n, sb_counter *c, bool backwards)
{
    if (!sb_working(l)) {
        return NULL;
    }
    if (n->kind == SB_BLOB_CALL && n->op == SB_BLOB_RANGE) {
        return open_range(l, e, n, c, backwards);
    }
    if (n->kind == SB_BLOB_CALL && n->op == SB_BLOB_REVERSED && !backwards) {
        return open_source(l, e, n->list.items[0], c, true);
    }
    if (n->kind == SB_BLOB_CALL && n->op <= SB_BLOB_REVERSED) {
        if (backwards) { /* TypeError: it has no length */
            sb_irb_leave_if(&l->b, l->true_b, SB_REASON_RAISE);
            return NULL;
        }
        return n->op == SB_BLOB_ENUMERATE ? open_enumerate(l, e, n, c) : open_zip(l, e, n, c);
    }
    pyval v = n->kind == SB_BLOB_LIST ? sb_lower_display(l, e, n) : sb_lower_expr(l, e, n);
    return v.tags != 0 ? open_items(l, v, n, c, backwards) : NULL;
}

bool sb_iter_open(lowering *l, env *e, const sb_node *n, sb_counter *c)
{
    int64_t turns = 0;
    *c = (sb_counter){0};
    c->source = open_source(l, e, n, c, false);
    if (c->source == NULL) {
        return false;
    }
    c->left = c->source->turns;
    c->turns_max = sb_const_int(l, c->left, &turns) && turns > 0 ? turns : 0;
    return true;
}

/* The position in the list that this turn looks at. */
static sb_value place_in_list(lowering *l, const sb_counter *c, const sb_source *source)
{
    return source->last == 0 ? c->index : sb_op2(l, SB_IR_IX_SUB, source->last, c->index);
}

sb_value sb_iter_more(lowering *l, const sb_counter *c)
{
    sb_value more = l->true_b;
    if (c->left != 0) {
        more = sb_op1(l, SB_IR_NOT, sb_op2(l, SB_IR_PY_EQ_I64, c->left, l->zero_i));
    }
    for (uint32_t k = 0; k < c->list_count; k++) {
        const sb_source *source = c->lists[k];
        sb_value at = place_in_list(l, c, source);
        sb_value there = sb_op2(l, SB_IR_PY_LT_I64, at, sb_list_length(l, &source->items));
        if (source->last != 0) {
            sb_value low = sb_op2(l, SB_IR_PY_LE_I64, l->zero_i, at);
            there = sb_op2(l, SB_IR_AND, low, there);
        }
        more = sb_op2(l, SB_IR_AND, more, there);
    }
    return more;
}

/* The item with the number of this turn. */
static pyval chosen(lowering *l, const pyval *from, sb_value index)
{
    int64_t known = 0;
    if (from->count == 1 || from->count == 0) {
        return from->count == 1 ? from->items[0] : sb_pyval_never();
    }
    if (sb_const_int(l, index, &known)) {
        return known >= 0 && known < from->count ? from->items[known] : sb_pyval_never();
    }
    pyval v = from->items[from->count - 1];
    for (uint32_t k = from->count - 1; k-- > 0;) {
        sb_value here = sb_op2(l, SB_IR_PY_EQ_I64, index, sb_irb_const_i(&l->b, k));
        v = sb_pyval_select(l, here, &from->items[k], &v);
    }
    return v;
}

static pyval item_of(lowering *l, const sb_counter *c, const sb_source *source)
{
    if (source->kind == SOURCE_RANGE) {
        return sb_pyval_int(c->ranges[source->range].current);
    }
    if (source->kind == SOURCE_LIST) {
        return sb_list_get(l, &source->items, place_in_list(l, c, source));
    }
    if (source->kind == SOURCE_ITEMS) {
        return chosen(l, &source->items, c->index);
    }
    bool numbered = source->kind == SOURCE_ENUMERATE;
    uint32_t count = source->count + numbered;
    pyval *items = sb_items_new(l, count);
    if (items == NULL) {
        return sb_pyval_never();
    }
    if (numbered) {
        items[0] = sb_pyval_int(c->ranges[source->range].current);
    }
    for (uint32_t k = 0; k < source->count; k++) {
        items[k + numbered] = item_of(l, c, source->parts[k]);
    }
    return sb_pyval_items(items, count, false);
}

pyval sb_iter_item(lowering *l, const sb_counter *c)
{
    return item_of(l, c, c->source);
}

void sb_iter_advance(lowering *l, sb_counter *c)
{
    sb_value one = sb_irb_const_i(&l->b, 1);
    for (uint32_t k = 0; k < c->range_count; k++) {
        sb_range_state *range = &c->ranges[k];
        range->current = sb_op2(l, SB_IR_IX_ADD, range->current, range->step);
    }
    if (c->index != 0) {
        c->index = sb_op2(l, SB_IR_IX_ADD, c->index, one);
    }
    if (c->left != 0) {
        c->left = sb_op2(l, SB_IR_IX_SUB, c->left, one);
    }
}

pyval *sb_iter_all(lowering *l, env *e, const sb_node *n, int64_t *count)
{
    sb_counter c;
    *count = -1;
    if (!sb_iter_open(l, e, n, &c)) {
        return NULL;
    }
    int64_t turns = 0;
    if (!sb_const_int(l, c.left, &turns) || turns < 0 || turns > (int64_t)ITEMS_MAX) {
        sb_refuse(l, SB_REFUSAL_TYPE, "a list whose length depends on the row", n);
        return NULL;
    }
    pyval *items = sb_items_new(l, (uint32_t)turns);
    for (int64_t k = 0; items != NULL && k < turns; k++) {
        items[k] = sb_iter_item(l, &c);
        sb_iter_advance(l, &c);
    }
    *count = items != NULL ? turns : -1;
    return items;
}
