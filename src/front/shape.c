/* Shapes: which kinds a value can have at one place, without its registers. Loops find the shapes at their head before they are built.
 *
 * Interface: sb_shape_* of lower_int.h. Memory: the arena of the lowering. Threads: one. */
#include "front/lower_int.h"

void sb_shape_of(lowering *l, const pyval *v, shape *out)
{
    *out = (shape){.tags = v->tags, .why = v->why, .dtype = v->dtype, .site = v->site};
    if (!(v->tags & ITEMS_BIT)) {
        return;
    }
    out->is_list = v->is_list;
    out->items = sb_arena_alloc_zero(&l->arena, sizeof(*out->items) * ((size_t)v->count + 1));
    if (out->items == NULL) {
        l->no_memory = true;
        return;
    }
    out->count = v->count;
    for (uint32_t k = 0; k < v->count; k++) {
        sb_shape_of(l, &v->items[k], &out->items[k]);
    }
}

static bool lengths_differ(const shape *x, const shape *y)
{
    if (((x->tags & LIST_BIT) && (y->tags & ITEMS_BIT)) ||
        ((x->tags & ITEMS_BIT) && (y->tags & LIST_BIT))) {
        return true; /* the one has no length that is known */
    }
    return (x->tags & y->tags & ITEMS_BIT) && (x->count != y->count || x->is_list != y->is_list);
}

static bool dtypes_differ(const shape *x, const shape *y)
{
    return (x->tags & y->tags & NP_INT_BIT) && x->dtype != y->dtype;
}

bool sb_shape_same(const shape *x, const shape *y)
{
    if (x->tags != y->tags || lengths_differ(x, y) || x->site != y->site || dtypes_differ(x, y)) {
        return false;
    }
    for (uint32_t k = 0; (x->tags & ITEMS_BIT) && k < x->count; k++) {
        if (!sb_shape_same(&x->items[k], &y->items[k])) {
            return false;
        }
    }
    return true;
}

static bool make_opaque(shape *s, uint8_t why)
{
    bool changed = s->tags != OPAQUE_BIT;
    *s = (shape){.tags = OPAQUE_BIT, .why = why};
    return changed;
}

bool sb_shape_widen(lowering *l, shape *to, const shape *from)
{
    if ((to->tags | from->tags) & OPAQUE_BIT) {
        return make_opaque(to, to->tags & OPAQUE_BIT ? to->why : from->why);
    }
    if (lengths_differ(to, from)) {
        return make_opaque(to, OPAQUE_LENGTH);
    }
    if (dtypes_differ(to, from)) {
        return make_opaque(to, OPAQUE_DTYPE);
    }
    to->dtype = from->tags & NP_INT_BIT ? from->dtype : to->dtype;
    bool changed = (from->tags & ~to->tags) != 0;
    if (from->tags & LIST_BIT) {
        to->site = to->tags & LIST_BIT ? sb_list_join(l, to->site, from->site) : from->site;
    }
    bool adopts = (from->tags & ITEMS_BIT) && !(to->tags & ITEMS_BIT);
    to->tags |= from->tags;
    if (adopts) {
        to->is_list = from->is_list;
        to->items = sb_arena_alloc_zero(&l->arena, sizeof(*to->items) * ((size_t)from->count + 1));
        l->no_memory = l->no_memory || to->items == NULL;
        to->count = to->items != NULL ? from->count : 0;
    }
    for (uint32_t k = 0; (from->tags & ITEMS_BIT) && k < to->count; k++) {
        changed = sb_shape_widen(l, &to->items[k], &from->items[k]) || changed;
    }
    return changed;
}

unsigned sb_shape_mixed(const shape *s)
{
    unsigned count = sb_tag_count(s->tags & (NUMERIC_BITS | NP_BITS)) > 1;
    for (uint32_t k = 0; (s->tags & ITEMS_BIT) && k < s->count; k++) {
        count += sb_shape_mixed(&s->items[k]);
    }
    return count;
}
