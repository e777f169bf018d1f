/* Operations on lists: for selected rows alone, one after the other. Those that loops are made of are spelled out, so that a row
 * costs a few instructions instead of a call.
 *
 * Memory: the heap of the call. Threads: one a state. */
#include "interp/interp_int.h"

typedef struct operands {
    const int64_t *a, *b, *c;
    bool a_cell, b_cell, c_cell;
} operands;

static sb_rt_list *list_at(const operands *in, uint16_t row)
{
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): that is what a handle is */
    return (sb_rt_list *)(uintptr_t)in->a[in->a_cell ? 0 : row];
}

/* Where the item is that the row asks for; NULL: there is none. */
static int64_t *item_at(const operands *in, uint16_t row)
{
    sb_rt_list *list = list_at(in, row);
    int64_t at = in->b[in->b_cell ? 0 : row];
    at += at < 0 ? list->count : 0;
    return at >= 0 && at < list->count ? &list->items[at] : NULL;
}

static int32_t get(const operands *in, int64_t *o, const uint16_t *rows, int32_t count,
                   uint8_t *reasons)
{
    int32_t left = 0;
    for (int32_t k = 0; k < count; k++) {
        const int64_t *item = item_at(in, rows[k]);
        if (SB_UNLIKELY(item == NULL)) {
            reasons[rows[k]] = SB_REASON_RAISE;
            left++;
        } else {
            o[rows[k]] = *item;
        }
    }
    return left;
}

static int32_t set(const operands *in, const uint16_t *rows, int32_t count, uint8_t *reasons)
{
    int32_t left = 0;
    for (int32_t k = 0; k < count; k++) {
        int64_t *item = item_at(in, rows[k]);
        if (SB_UNLIKELY(item == NULL)) {
            reasons[rows[k]] = SB_REASON_RAISE;
            left++;
        } else {
            *item = in->c[in->c_cell ? 0 : rows[k]];
        }
    }
    return left;
}

static int32_t call(sb_rt_list_op op, sb_rt_heap *heap, const operands *in, int64_t *o,
                    const uint16_t *rows, int32_t count, uint8_t *reasons)
{
    int32_t left = 0;
    for (int32_t k = 0; k < count; k++) {
        const uint16_t i = rows[k];
        int64_t out = 0;
        const sb_reason reason =
            sb_rt_list_call(op, heap, in->a[in->a_cell ? 0 : i], in->b[in->b_cell ? 0 : i],
                            in->c[in->c_cell ? 0 : i], &out);
        if (SB_UNLIKELY(reason != SB_REASON_NONE)) {
            reasons[i] = (uint8_t)reason;
            left++;
        } else if (o != NULL) {
            o[i] = out;
        }
    }
    return left;
}

int32_t sb_interp_list(const sb_step *step, void *const *slots, sb_rt_heap *heap,
                       const uint16_t *rows, int32_t count, uint8_t *reasons)
{
    const operands in = {.a = slots[step->a],
                         .b = slots[step->b],
                         .c = slots[step->c],
                         .a_cell = (step->form & 1) != 0,
                         .b_cell = (step->form & 2) != 0,
                         .c_cell = (step->form & 4) != 0};
    int64_t *o = step->prim != SB_PRIM_VOID ? slots[step->o] : NULL;
    switch (step->imm) {
    case SB_RT_LIST_GET:
        return get(&in, o, rows, count, reasons);
    case SB_RT_LIST_SET:
        return set(&in, rows, count, reasons);
    case SB_RT_LIST_LEN:
        for (int32_t k = 0; k < count; k++) {
            o[rows[k]] = list_at(&in, rows[k])->count;
        }
        return 0;
    default:
        return call((sb_rt_list_op)step->imm, heap, &in, o, rows, count, reasons);
    }
}
