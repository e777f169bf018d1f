/* Lists that change or whose length the row decides: handles of lists in the row's memory (rt/list.h).
 *
 * A handle is all that a variable holds, so names of one list share it without more. What its items are belongs to the list, not to
 * the name: each place that makes lists has a site, sites whose lists meet in one variable become one, and a site has the kinds of all
 * items that are put in. Kinds are found while lowering; when some were found too late, the function is lowered again with what was
 * learnt. A read of a site that holds nothing yet is a read of an empty list: no row gets past it, which is how the first lowering
 * starts.
 *
 * Items are ints, floats or booleans; ints beside floats take two words each, and such lists are not sorted or searched. An item None
 * lets its row leave. In functions of whole batches items may be None or np.float64, too, and columns are lists: nothing may change
 * those, so where something does the list is a copy.
 *
 * Lists of known length that nothing changes are values by place (ITEMS) and take no memory. Which form a display has is decided for the
 * whole function: by place, unless that was refused for a list that changes or meets one in memory (l->wants_memory).
 *
 * Memory: sites live with the lowering. Threads: one. */
#include "front/lower_int.h"

/* --- sites ------------------------------------------------------------------------------------------------------------ */

static uint32_t root_of(const lowering *l, uint32_t site)
{
    while (l->sites->items[site].parent != site) {
        site = l->sites->items[site].parent;
    }
    return site;
}

static uint32_t site_of(lowering *l, const sb_node *place)
{
    sb_list_sites *sites = l->sites;
    for (uint32_t k = 0; k < sites->count; k++) {
        if (sites->items[k].place == place) {
            return root_of(l, k);
        }
    }
    if (sites->count == LIST_SITES_MAX) {
        sb_refuse(l, SB_REFUSAL_TOO_COMPLEX, "", place);
        return 0;
    }
    sites->items[sites->count] = (sb_list_site){.place = place, .parent = sites->count};
    return sites->count++;
}

static void add_kinds(lowering *l, uint32_t site, uint32_t kinds)
{
    sb_list_site *root = &l->sites->items[root_of(l, site)];
    if ((kinds & ~root->kinds) != 0) {
        root->kinds |= kinds;
        l->sites->changed = true;
    }
}

uint32_t sb_list_join(lowering *l, uint32_t x, uint32_t y)
{
    const uint32_t first = root_of(l, x);
    const uint32_t second = root_of(l, y);
    if (first != second) {
        sb_list_site *x_root = &l->sites->items[first];
        sb_list_site *y_root = &l->sites->items[second];
        const uint32_t kinds = l->sites->items[second].kinds;
        if (x_root->changes != y_root->changes || x_root->is_column != y_root->is_column) {
            x_root->changes = x_root->changes || y_root->changes;
            x_root->is_column = x_root->is_column || y_root->is_column;
            l->sites->changed = true;
        }
        add_kinds(l, second, l->sites->items[first].kinds);
        add_kinds(l, first, kinds);
        l->sites->items[second].parent = first;
    }
    return first;
}

/* Its lists are about to change. */
static void will_change(lowering *l, uint32_t site)
{
    sb_list_site *root = &l->sites->items[root_of(l, site)];
    if (!root->changes) {
        root->changes = true;
        l->sites->changed = l->sites->changed || root->is_column;
    }
}

/* Kinds of the items; none yet: an empty list. */
static uint32_t kinds_of(const lowering *l, uint32_t site)
{
    return l->sites->items[root_of(l, site)].kinds;
}

/* --- items as words ------------------------------------------------------------------------------------------------------
 * An item of a site with one kind is one word. With more it is two: what it is, then its kind (sb_item). Positions of
 * items are doubled then to be positions of words; negative ones stay right, as they count from the end. */

#define MIXED_BITS (INT_BIT | FLOAT_BIT | NONE_BIT | NP_F64_BIT)
#define WHOLE_ONLY_BITS (NONE_BIT | NP_BOOL_BIT | NP_F64_BIT) /* in functions of whole batches */

typedef struct item {
    sb_value word;
    sb_value kind; /* an int; 0: one word only */
} item;

static bool is_mixed(const lowering *l, uint32_t site)
{
    const uint32_t kinds = kinds_of(l, site);
    return sb_tag_count(kinds) > 1 &&
           ((kinds & ~MIXED_BITS) == 0 || kinds == (BOOL_BIT | NONE_BIT));
}

/* Sorting and searching know numbers of one kind and booleans. */
static bool is_plain(const lowering *l, uint32_t site)
{
    return !is_mixed(l, site) && (kinds_of(l, site) & WHOLE_ONLY_BITS) == 0;
}

static void refuse_kinds(lowering *l)
{
    sb_refuse(l, SB_REFUSAL_TYPE, "a list whose items are of several kinds", l->at);
}

static pyval list_value(sb_value handle, uint32_t site)
{
    return (pyval){.tags = LIST_BIT, .i = handle, .site = site};
}

static const struct kind_of_item {
    unsigned tag;
    sb_item kind;
} kinds_of_items[] = {{TAG_BOOL, SB_ITEM_PLAIN},
                      {TAG_INT, SB_ITEM_PLAIN},
                      {TAG_FLOAT, SB_ITEM_FLOAT},
                      {TAG_NONE, SB_ITEM_NONE},
                      {TAG_NP_F64, SB_ITEM_NP_F64}};

static sb_value truth_of_word(lowering *l, sb_value word)
{
    return sb_op1(l, SB_IR_NOT, sb_op2(l, SB_IR_PY_EQ_I64, word, l->zero_i));
}

/* Of several kinds: the registers of the others are zero. */
static pyval mixed_value(lowering *l, uint32_t kinds, item from)
{
    pyval v = {.tags = kinds};
    for (size_t k = 0; k < SB_COUNT_OF(kinds_of_items); k++) {
        const struct kind_of_item one = kinds_of_items[k];
        if (kinds & TAG_BIT(one.tag)) {
            v.is[one.tag] = sb_op2(l, SB_IR_PY_EQ_I64, from.kind, sb_irb_const_i(&l->b, one.kind));
        }
    }
    if (kinds & BOOL_BIT) {
        v.b = truth_of_word(l, from.word);
    }
    if (kinds & INT_BIT) {
        v.i = sb_irb_op(&l->b, SB_IR_SELECT, v.is[TAG_INT], from.word, l->zero_i);
    }
    if (kinds & DOUBLE_BITS) {
        sb_value is_float = kinds & FLOAT_BIT ? v.is[TAG_FLOAT] : v.is[TAG_NP_F64];
        if ((kinds & DOUBLE_BITS) == (FLOAT_BIT | NP_F64_BIT)) {
            is_float = sb_op2(l, SB_IR_OR, v.is[TAG_FLOAT], v.is[TAG_NP_F64]);
        }
        v.f = sb_irb_op(&l->b, SB_IR_SELECT, is_float, sb_op1(l, SB_IR_IX_F64_BITS, from.word),
                        l->zero_f);
    }
    return v;
}

static pyval value_of_item(lowering *l, uint32_t site, item from)
{
    if (is_mixed(l, site)) {
        return mixed_value(l, kinds_of(l, site), from);
    }
    switch (kinds_of(l, site)) {
    case BOOL_BIT:
        return sb_pyval_bool(truth_of_word(l, from.word));
    case INT_BIT:
        return sb_pyval_int(from.word);
    case FLOAT_BIT:
        return sb_pyval_float(sb_op1(l, SB_IR_IX_F64_BITS, from.word));
    case NONE_BIT:
        return sb_pyval_none();
    case NP_BOOL_BIT:
        return (pyval){.tags = NP_BOOL_BIT, .b = truth_of_word(l, from.word)};
    case NP_F64_BIT:
        return (pyval){.tags = NP_F64_BIT, .f = sb_op1(l, SB_IR_IX_F64_BITS, from.word)};
    default:
        if (kinds_of(l, site) != 0) { /* else it is always empty */
            refuse_kinds(l);
        }
        return sb_pyval_never();
    }
}

/* Of a value of one kind, or of those that an item of a list may have; None is any word. */
static sb_value word_of_value(lowering *l, const pyval *v)
{
    if (v->tags & TRUTH_BITS) {
        return sb_op1(l, SB_IR_PY_INT_B, v->b);
    }
    if (!(v->tags & DOUBLE_BITS)) {
        return v->tags & INT_BIT ? v->i : l->zero_i;
    }
    const sb_value bits = sb_op1(l, SB_IR_IX_BITS_F64, v->f);
    return v->tags & INT_BIT
               ? sb_irb_op(&l->b, SB_IR_SELECT, sb_pyval_is(l, v, TAG_INT), v->i, bits)
               : bits;
}

static sb_value kind_of_value(lowering *l, const pyval *v)
{
    sb_value kind = l->zero_i;
    for (size_t k = 0; k < SB_COUNT_OF(kinds_of_items); k++) {
        const struct kind_of_item one = kinds_of_items[k];
        if ((v->tags & TAG_BIT(one.tag)) && one.kind != SB_ITEM_PLAIN) {
            kind = sb_irb_op(&l->b, SB_IR_SELECT, sb_pyval_is(l, v, one.tag),
                             sb_irb_const_i(&l->b, one.kind), kind);
        }
    }
    return kind;
}

/* What to put into a list of this site; false: no row gets there, or it is refused. */
static bool item_of_value(lowering *l, uint32_t site, pyval v, item *out)
{
    if (v.tags & ((ITEMS_BIT | LIST_BIT | TIME_BITS | NP_BITS | OPAQUE_BIT) &
                  ~(l->columns != NULL ? WHOLE_ONLY_BITS : 0))) {
        sb_refuse(l, SB_REFUSAL_TYPE, "a list whose items are no numbers or booleans", l->at);
        return false;
    }
    if (!(l->columns != NULL && l->tree.has_nulls)) {
        v = sb_pyval_strip(l, v, TAG_NONE, SB_REASON_NONE_OPERAND);
    }
    if (v.tags == 0) {
        return false;
    }
    add_kinds(l, site, v.tags);
    const bool mixed = is_mixed(l, site);
    if (sb_tag_count(kinds_of(l, site)) != 1 && !mixed) {
        refuse_kinds(l);
        return false;
    }
    *out = (item){.word = word_of_value(l, &v)};
    if (mixed) {
        out->kind = kind_of_value(l, &v);
    }
    return true;
}

static void append_item(lowering *l, sb_value handle, item from)
{
    (void)sb_op2(l, SB_IR_LIST_APPEND, handle, from.word);
    if (from.kind != 0) {
        (void)sb_op2(l, SB_IR_LIST_APPEND, handle, from.kind);
    }
}

/* The position of an item's first word. */
static sb_value first_word(lowering *l, uint32_t site, sb_value index)
{
    int64_t known = 0;
    if (!is_mixed(l, site) || (sb_const_int(l, index, &known) && known == INT64_MAX)) {
        return index;
    }
    return sb_op2(l, SB_IR_PY_ADD_I64, index, index);
}

static sb_value next_word(lowering *l, sb_value index)
{
    return sb_op2(l, SB_IR_IX_ADD, index, sb_irb_const_i(&l->b, 1));
}

/* --- making lists ----------------------------------------------------------------------------------------------------------- */

pyval sb_list_new(lowering *l, const sb_node *place)
{
    return list_value(sb_op1(l, SB_IR_LIST_NEW, l->zero_i), site_of(l, place));
}

pyval sb_list_of_items(lowering *l, const pyval *items, uint32_t count, const sb_node *place)
{
    const uint32_t site = site_of(l, place);
    const sb_value handle = sb_op1(l, SB_IR_LIST_NEW, sb_irb_const_i(&l->b, count));
    for (uint32_t k = 0; k < count; k++) {
        item one = {0};
        if (!item_of_value(l, site, items[k], &one)) {
            return sb_pyval_never();
        }
        append_item(l, handle, one);
    }
    return list_value(handle, site);
}

bool sb_are_numbers(const pyval *items, uint32_t count)
{
    for (uint32_t k = 0; k < count; k++) {
        if (items[k].tags & (ITEMS_BIT | LIST_BIT | TIME_BITS | NP_BITS | OPAQUE_BIT)) {
            return false;
        }
    }
    return true;
}

pyval sb_list_held(lowering *l, pyval list, const sb_node *place)
{
    if (!l->in_memory || list.tags != ITEMS_BIT || !sb_are_numbers(list.items, list.count)) {
        return list;
    }
    return sb_list_of_items(l, list.items, list.count, place);
}

static pyval slice(lowering *l, const pyval *list, sb_value lower, sb_value upper)
{
    lower = first_word(l, list->site, lower);
    upper = first_word(l, list->site, upper);
    return list_value(sb_irb_op(&l->b, SB_IR_LIST_SLICE, list->i, lower, upper), list->site);
}

static pyval copy(lowering *l, const pyval *list)
{
    return slice(l, list, l->zero_i, sb_irb_const_i(&l->b, INT64_MAX));
}

pyval sb_list_column(lowering *l, const sb_node *n)
{
    whole_column *column = &l->columns[n->list.items[0]->slot];
    const bool numpy = (n->list.items[1]->value.i & SB_BLOB_COLUMN_NUMPY) != 0;
    if (column->handle == 0 || (numpy && column->format[0] != 'g')) {
        const char *format = column->format != NULL ? column->format : "a parameter without one";
        sb_refuse(l, SB_REFUSAL_COLUMN_TYPE, format, n);
        return sb_pyval_never();
    }
    if (numpy && l->tree.has_nulls) {
        sb_refuse(l, SB_REFUSAL_TYPE, "an array of a column that may have nulls", n);
        return sb_pyval_never();
    }
    const uint32_t site = site_of(l, n);
    l->sites->items[root_of(l, site)].is_column = true;
    add_kinds(l, site, TAG_BIT(numpy ? TAG_NP_F64 : column->tag));
    add_kinds(l, site, l->tree.has_nulls ? NONE_BIT : 0);
    const bool pairs = is_mixed(l, site);
    const bool several = !pairs && sb_tag_count(kinds_of(l, site)) > 1;
    if (several || (pairs && (numpy || column->words)) || (!pairs && column->pairs)) {
        refuse_kinds(l); /* the column's items are laid out in one way */
        return sb_pyval_never();
    }
    column->pairs = pairs;
    column->words = !pairs;
    const pyval list = list_value(column->handle, site);
    return l->sites->items[root_of(l, site)].changes ? copy(l, &list) : list;
}

pyval sb_list_kinds(const lowering *l, const pyval *list, bool *pairs)
{
    *pairs = is_mixed(l, list->site);
    return (pyval){.tags = kinds_of(l, list->site)};
}

pyval sb_list_concat(lowering *l, const pyval *x, const pyval *y)
{
    pyval r = copy(l, x);
    r.site = sb_list_join(l, x->site, y->site);
    (void)sb_op2(l, SB_IR_LIST_EXTEND, r.i, y->i);
    return r;
}

pyval sb_list_repeat(lowering *l, pyval list, pyval count)
{
    if (list.tags & ITEMS_BIT) {
        list = sb_list_of_items(l, list.items, list.count, l->at);
    }
    count = sb_pyval_strip(l, sb_pyval_number(l, count), TAG_FLOAT, SB_REASON_RAISE);
    if (list.tags == 0 || count.tags == 0) {
        return sb_pyval_never();
    }
    return list_value(sb_op2(l, SB_IR_LIST_REPEAT, list.i, count.i), list.site);
}

static void reverse(lowering *l, const pyval *list)
{
    will_change(l, list->site);
    if (is_mixed(l, list->site)) {
        refuse_kinds(l);
    }
    (void)sb_op1(l, SB_IR_LIST_REVERSE, list->i);
}

/* In place; a descending sort keeps equal items in their order, too. */
static void sort(lowering *l, const pyval *list, bool descending)
{
    const bool floats = kinds_of(l, list->site) == FLOAT_BIT;
    will_change(l, list->site);
    if (!is_plain(l, list->site)) {
        refuse_kinds(l);
    }
    if (descending) {
        reverse(l, list);
    }
    (void)sb_op1(l, floats ? SB_IR_LIST_SORT_F64 : SB_IR_LIST_SORT_I64, list->i);
    if (descending) {
        reverse(l, list);
    }
}

pyval sb_list_sorted(lowering *l, pyval list, bool descending)
{
    if (list.tags & ITEMS_BIT) {
        list = sb_list_of_items(l, list.items, list.count, l->at);
    }
    if (list.tags != 0) {
        sort(l, &list, descending);
    }
    return list;
}

pyval sb_list_sort_by(lowering *l, pyval list, pyval keys, bool descending)
{
    keys = keys.tags & ITEMS_BIT ? sb_list_of_items(l, keys.items, keys.count, l->at) : keys;
    list = sb_list_only(l, list, "sort");
    keys = list.tags == 0 ? list : sb_list_only(l, keys, "sort");
    if (keys.tags == 0) {
        return sb_pyval_never();
    }
    will_change(l, list.site);
    will_change(l, keys.site);
    if (is_mixed(l, list.site) || !is_plain(l, keys.site)) {
        refuse_kinds(l);
    }
    const bool floats = kinds_of(l, keys.site) == FLOAT_BIT;
    if (descending) {
        reverse(l, &list);
        reverse(l, &keys);
    }
    (void)sb_op2(l, floats ? SB_IR_LIST_SORT_BY_F64 : SB_IR_LIST_SORT_BY_I64, list.i, keys.i);
    if (descending) {
        reverse(l, &list);
    }
    return list;
}

/* --- items ------------------------------------------------------------------------------------------------------------------ */

/* An index, or never. */
static pyval position(lowering *l, pyval index)
{
    return sb_pyval_strip(l, sb_pyval_number(l, sb_np_index(l, index)), TAG_FLOAT, SB_REASON_RAISE);
}

pyval sb_list_only(lowering *l, pyval v, const char *what)
{
    if (v.tags & OPAQUE_BIT) {
        sb_refuse(l, SB_REFUSAL_TYPE, "a list whose length depends on the row", l->at);
        return sb_pyval_never();
    }
    if (v.tags & ITEMS_BIT) {
        l->wants_memory = l->wants_memory || v.is_list;
        sb_refuse(l, SB_REFUSAL_TYPE, "a list that changes", l->at);
        return sb_pyval_never();
    }
    if (v.tags != 0 && !(v.tags & LIST_BIT)) {
        sb_refuse(l, SB_REFUSAL_UNKNOWN_CALL, what, l->at);
        return sb_pyval_never();
    }
    for (unsigned tag = 0; tag < TAG_COUNT; tag++) {
        v = tag != TAG_LIST ? sb_pyval_strip(l, v, tag, SB_REASON_RAISE) : v;
    }
    return v;
}

pyval sb_list_get(lowering *l, const pyval *list, sb_value index)
{
    item from = {0};
    index = first_word(l, list->site, index);
    from.word = sb_op2(l, SB_IR_LIST_GET, list->i, index);
    if (is_mixed(l, list->site)) {
        from.kind = sb_op2(l, SB_IR_LIST_GET, list->i, next_word(l, index));
    }
    return value_of_item(l, list->site, from);
}

pyval sb_list_item(lowering *l, const pyval *list, pyval index)
{
    index = position(l, index);
    return index.tags == 0 ? index : sb_list_get(l, list, index.i);
}

bool sb_list_store(lowering *l, pyval list, pyval index, pyval v)
{
    list = sb_list_only(l, list, "assignment to an item");
    index = position(l, index);
    item one = {0};
    if (list.tags == 0 || index.tags == 0 || !item_of_value(l, list.site, v, &one)) {
        return false;
    }
    will_change(l, list.site);
    const sb_value at = first_word(l, list.site, index.i);
    (void)sb_irb_op(&l->b, SB_IR_LIST_SET, list.i, at, one.word);
    if (one.kind != 0) {
        (void)sb_irb_op(&l->b, SB_IR_LIST_SET, list.i, next_word(l, at), one.kind);
    }
    return true;
}

/* A bound of a slice; never where no row gets past it. */
static pyval bound(lowering *l, env *e, const sb_node *n, int64_t otherwise)
{
    pyval v = sb_lower_expr(l, e, n);
    if (v.tags == 0) {
        return v;
    }
    pyval number = position(l, v.tags == NONE_BIT ? sb_pyval_int(l->zero_i) : v);
    if (v.tags & NONE_BIT) {
        const sb_value none = sb_pyval_is(l, &v, TAG_NONE);
        const sb_value all = sb_irb_const_i(&l->b, otherwise);
        number = sb_pyval_int(sb_irb_op(&l->b, SB_IR_SELECT, none, all, number.i));
    }
    return number;
}

/* Of a tuple or list by place, with bounds that are the same for all rows. */
static pyval slice_items(lowering *l, const pyval *v, int64_t lower, int64_t upper, bool backwards)
{
    const int64_t count = v->count;
    lower = lower < 0 ? (lower < -count ? 0 : lower + count) : (lower > count ? count : lower);
    upper = upper < 0 ? (upper < -count ? 0 : upper + count) : (upper > count ? count : upper);
    const uint32_t size = upper > lower ? (uint32_t)(upper - lower) : 0;
    pyval *items = sb_items_new(l, size);
    for (uint32_t k = 0; items != NULL && k < size; k++) {
        items[k] = v->items[backwards ? count - 1 - k : lower + k];
    }
    return items == NULL ? sb_pyval_never() : sb_pyval_items(items, size, v->is_list);
}

pyval sb_lower_slice(lowering *l, env *e, const sb_node *n)
{
    pyval v = sb_lower_expr(l, e, n->a);
    const pyval lower = bound(l, e, n->b, 0);
    const pyval upper = bound(l, e, n->c, INT64_MAX);
    int64_t first = 0;
    int64_t last = 0;
    if (v.tags == 0 || lower.tags == 0 || upper.tags == 0) {
        return sb_pyval_never();
    }
    if (v.tags == ITEMS_BIT) {
        if (sb_const_int(l, lower.i, &first) && sb_const_int(l, upper.i, &last)) {
            return slice_items(l, &v, first, last, n->op != 0);
        }
        if (!v.is_list) {
            sb_refuse(l, SB_REFUSAL_TYPE, "a tuple whose length depends on the row", n);
            return sb_pyval_never();
        }
        v = sb_list_of_items(l, v.items, v.count, n);
    } else if (!(v.tags & LIST_BIT)) {
        sb_refuse(l, SB_REFUSAL_SYNTAX, "a slice", n);
        return sb_pyval_never();
    }
    v = sb_list_only(l, v, "a slice");
    if (v.tags == 0) {
        return v;
    }
    const pyval made = slice(l, &v, lower.i, upper.i);
    if (n->op != 0) {
        reverse(l, &made);
    }
    return made;
}

/* --- by value ------------------------------------------------------------------------------------------------------------- */

/* Position of the first item that equals v, or -1; 0: refused. */
static sb_value find(lowering *l, const pyval *list, pyval v)
{
    const bool floats = kinds_of(l, list->site) == FLOAT_BIT;
    v = sb_pyval_strip(l, v, TAG_NONE, SB_REASON_NONE_OPERAND);
    if (v.tags == 0 || kinds_of(l, list->site) == 0) {
        return sb_irb_const_i(&l->b, -1); /* an empty list */
    }
    if (sb_tag_count(v.tags) != 1 || !(v.tags & NUMERIC_BITS) || !is_plain(l, list->site)) {
        return 0;
    }
    if (floats) {
        v = sb_pyval_number(l, v);
        const sb_value f = v.tags & INT_BIT ? sb_op1(l, SB_IR_PY_EXACT_FLOAT_I64, v.i) : v.f;
        return sb_op2(l, SB_IR_LIST_FIND_F64, list->i, sb_op1(l, SB_IR_IX_BITS_F64, f));
    }
    if (v.tags & FLOAT_BIT) { /* only a whole number equals an int; beyond 2**53 it leaves */
        const sb_value limit = sb_irb_const_f(&l->b, 9007199254740992.0);
        const sb_value size = sb_op1(l, SB_IR_PY_ABS_F64, v.f);
        sb_irb_leave_if(&l->b, sb_op2(l, SB_IR_PY_LT_F64, limit, size), SB_REASON_BIGINT);
        const sb_value whole = sb_op2(l, SB_IR_PY_EQ_F64, v.f, sb_op1(l, SB_IR_FLOOR_F64, v.f));
        const sb_value safe = sb_irb_op(&l->b, SB_IR_SELECT, whole, v.f, l->zero_f);
        const sb_value word = sb_op1(l, SB_IR_PY_INT_F64, safe);
        const sb_value found = sb_op2(l, SB_IR_LIST_FIND_I64, list->i, word);
        return sb_irb_op(&l->b, SB_IR_SELECT, whole, found, sb_irb_const_i(&l->b, -1));
    }
    return sb_op2(l, SB_IR_LIST_FIND_I64, list->i, word_of_value(l, &v));
}

sb_value sb_list_has(lowering *l, const pyval *list, const pyval *v)
{
    const sb_value found = find(l, list, *v);
    return found == 0 ? 0 : sb_op2(l, SB_IR_PY_LE_I64, l->zero_i, found);
}

sb_value sb_list_equal(lowering *l, const pyval *x, const pyval *y)
{
    const uint32_t kinds = kinds_of(l, x->site) | kinds_of(l, y->site);
    if (x->tags != LIST_BIT || y->tags != LIST_BIT || (kinds & WHOLE_ONLY_BITS) != 0 ||
        (kinds != FLOAT_BIT && (kinds & FLOAT_BIT) != 0)) {
        sb_refuse(l, SB_REFUSAL_OPERATOR, "comparison of such lists", l->at);
        return l->zero_b;
    }
    const sb_value same =
        sb_op2(l, kinds == FLOAT_BIT ? SB_IR_LIST_EQ_F64 : SB_IR_LIST_EQ_I64, x->i, y->i);
    return sb_op1(l, SB_IR_NOT, sb_op2(l, SB_IR_PY_EQ_I64, same, l->zero_i));
}

sb_value sb_list_length(lowering *l, const pyval *list)
{
    const sb_value words = sb_op1(l, SB_IR_LIST_LEN, list->i);
    return is_mixed(l, list->site) ? sb_op2(l, SB_IR_IX_UDIV, words, sb_irb_const_i(&l->b, 2))
                                   : words;
}

/* --- methods ---------------------------------------------------------------------------------------------------------------- */

static pyval append(lowering *l, const pyval *list, const pyval *args)
{
    item one = {0};
    will_change(l, list->site);
    if (!item_of_value(l, list->site, args[1], &one)) {
        return sb_pyval_never();
    }
    append_item(l, list->i, one);
    return sb_pyval_none();
}

static pyval insert(lowering *l, const pyval *list, const pyval *args)
{
    const pyval index = position(l, args[1]);
    item one = {0};
    if (index.tags == 0 || !item_of_value(l, list->site, args[2], &one)) {
        return sb_pyval_never();
    }
    will_change(l, list->site);
    if (one.kind != 0) {
        refuse_kinds(l);
        return sb_pyval_never();
    }
    (void)sb_irb_op(&l->b, SB_IR_LIST_INSERT, list->i, index.i, one.word);
    return sb_pyval_none();
}

static pyval pop(lowering *l, const pyval *list, const pyval *args, uint32_t count)
{
    const pyval index = count > 1 ? position(l, args[1]) : sb_pyval_int(sb_irb_const_i(&l->b, -1));
    if (index.tags == 0) {
        return index;
    }
    will_change(l, list->site);
    const sb_value at = first_word(l, list->site, index.i);
    item from = {.word = sb_op2(l, SB_IR_LIST_POP, list->i, at)};
    if (is_mixed(
            l,
            list->site)) { /* the second word has moved to where the first was, seen from the start */
        const sb_value from_end = sb_op2(l, SB_IR_PY_LT_I64, at, l->zero_i);
        const sb_value second = sb_irb_op(&l->b, SB_IR_SELECT, from_end, next_word(l, at), at);
        from.kind = sb_op2(l, SB_IR_LIST_POP, list->i, second);
    }
    return value_of_item(l, list->site, from);
}

pyval sb_list_extend(lowering *l, const pyval *list, pyval other)
{
    will_change(l, list->site);
    if (other.tags == ITEMS_BIT) {
        for (uint32_t k = 0; k < other.count; k++) {
            item one = {0};
            if (!item_of_value(l, list->site, other.items[k], &one)) {
                return sb_pyval_never();
            }
            append_item(l, list->i, one);
        }
        return sb_pyval_none();
    }
    other = sb_list_only(l, other, "extend");
    if (other.tags == 0) {
        return other;
    }
    (void)sb_list_join(l, list->site, other.site);
    (void)sb_op2(l, SB_IR_LIST_EXTEND, list->i, other.i);
    return sb_pyval_none();
}

static pyval index_of(lowering *l, const pyval *list, const pyval *args)
{
    const sb_value found = find(l, list, args[1]);
    if (found == 0) {
        sb_refuse(l, SB_REFUSAL_UNKNOWN_CALL, "index", l->at);
        return sb_pyval_never();
    }
    sb_irb_leave_if(&l->b, sb_op2(l, SB_IR_PY_LT_I64, found, l->zero_i), SB_REASON_RAISE);
    return sb_pyval_int(found);
}

pyval sb_list_method(lowering *l, const sb_node *n, const pyval *args, uint32_t count)
{
    static const char *const names[] = {"append",  "pop",  "insert", "extend",
                                        "reverse", "sort", "index"};
    const pyval list = sb_list_only(l, args[0], names[n->op - SB_BLOB_APPEND]);
    if (list.tags == 0) {
        return list;
    }
    switch (n->op) {
    case SB_BLOB_APPEND:
        return append(l, &list, args);
    case SB_BLOB_POP:
        return pop(l, &list, args, count);
    case SB_BLOB_INSERT:
        return insert(l, &list, args);
    case SB_BLOB_EXTEND:
        return sb_list_extend(l, &list, args[1]);
    case SB_BLOB_REVERSE:
        reverse(l, &list);
        return sb_pyval_none();
    case SB_BLOB_SORT: {
        bool known = false;
        sort(l, &list, sb_irb_is_const_b(&l->b, args[1].b, &known) && known);
        return sb_pyval_none();
    }
    default:
        return index_of(l, &list, args);
    }
}
