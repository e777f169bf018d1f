/* Calls of functions that may call themselves: a function's program is run for the rows of the frame at hand.
 *
 * Each level of calls has a state of its own for each function, made when it is first needed and kept. Arguments are read where
 * the caller has them, results are written where it wants them: rows have the same numbers on all levels. Rows that leave in the
 * function leave in the caller. Deeper than SB_IR_CALLS_MAX, and where there is no memory for a level, all rows leave, which is always
 * right.
 *
 * Memory: states, freed with that of level 0. Threads: one a state. */
#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "interp/interp_int.h"

sb_status sb_interp_prepare_functions(sb_interp *p, sb_error *err)
{
    const uint32_t count = p->ir->functions->count;
    p->functions = sb_mem_alloc_zero(count * sizeof(sb_interp *) + 1);
    if (p->functions == NULL) {
        return sb_error_no_memory(err, count * sizeof(sb_interp *));
    }
    for (uint32_t k = 0; k < count; k++) {
        const sb_status status = sb_interp_new(&p->ir->functions->items[k], &p->functions[k], err);
        if (status != SB_OK) {
            return status;
        }
        p->functions[k]->functions = p->functions;
    }
    return SB_OK;
}

void sb_interp_free_functions(sb_interp *p)
{
    const bool owned = p->ir->owns_functions && p->functions != NULL;
    for (uint32_t k = 0; owned && k < p->ir->functions->count; k++) {
        sb_interp_free(p->functions[k]);
    }
    if (owned) {
        sb_mem_free(p->functions);
    }
}

static sb_interp_state *callee_of(const sb_interp *p, sb_interp_state *st, uint32_t number)
{
    const uint32_t count = p->ir->functions->count;
    if (st->level >= SB_IR_CALLS_MAX) {
        return NULL;
    }
    if (st->callees == NULL) {
        const size_t slots = (size_t)count * SB_IR_CALLS_MAX;
        st->callees = sb_mem_alloc_zero(slots * sizeof(sb_interp_state *));
        if (st->callees == NULL) {
            return NULL;
        }
        st->callee_count = slots;
    }
    sb_interp_state **slot = &st->callees[(size_t)st->level * count + number];
    if (*slot == NULL && sb_interp_state_new(p->functions[number], slot, NULL) == SB_OK) {
        (*slot)->level = st->level + 1;
        (*slot)->callees = st->callees;
    }
    return *slot;
}

void sb_interp_free_callees(sb_interp_state *st)
{
    for (size_t k = 0; st->level == 0 && k < st->callee_count; k++) {
        sb_interp_state_free(st->callees[k]);
    }
    if (st->level == 0) {
        sb_mem_free(st->callees);
    }
}

/* Makes the leaving rows of a function those of its caller. */
static int32_t take_reasons(sb_interp_state *st, const sb_interp_state *inner, const sb_frame *f)
{
    const uint16_t *rows = f->dense ? st->identity : f->rows;
    int32_t left = 0;
    for (int32_t k = 0; inner->left > 0 && k < f->count; k++) {
        const uint16_t i = rows[k];
        if (inner->reasons[i] != 0) {
            st->reasons[i] = inner->reasons[i];
            left++;
        }
    }
    return left;
}

static int32_t leave_all(sb_interp_state *st, const sb_frame *f)
{
    const uint16_t *rows = f->dense ? st->identity : f->rows;
    for (int32_t k = 0; k < f->count; k++) {
        st->reasons[rows[k]] = SB_REASON_DEPTH;
    }
    return f->count;
}

void sb_interp_call(const sb_interp *p, sb_interp_state *st, const sb_step *step, sb_frame *f)
{
    const _Atomic uint32_t *stop = (const _Atomic uint32_t *)st->call->stop;
    if (f->count == 0) {
        return;
    }
    if (atomic_load_explicit(stop, memory_order_relaxed) != 0) { /* calls may multiply */
        st->stopped = true;
        return;
    }
    sb_interp_state *inner = callee_of(p, st, (uint32_t)step->imm);
    if (inner == NULL) {
        sb_interp_count_left(st, f, leave_all(st, f));
        return;
    }
    for (uint32_t k = 0; k < step->finals_count; k++) {
        inner->slots[k] = st->slots[p->moves.items[step->finals_first + k].a];
    }
    for (uint32_t k = 0; k < step->moves_count; k++) {
        inner->own_out[k] = (sb_kout){.values = st->slots[p->moves.items[step->moves_first + k].o]};
    }
    inner->own_call = (sb_kcall){.out = inner->own_out, .stop = st->call->stop};
    inner->call = &inner->own_call;
    inner->n = st->n;
    inner->row = 0;
    inner->left = 0;
    inner->depth = 0;
    inner->stopped = false;
    memset(inner->reasons, 0, sizeof(inner->reasons));
    sb_interp_copy_frame(inner, &inner->frames[0], f);
    sb_interp_steps(p->functions[step->imm], inner);
    st->stopped = inner->stopped;
    sb_interp_count_left(st, f, take_reasons(st, inner, f));
}
