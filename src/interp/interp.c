/* Running steps over a vector, slice by slice.
 *
 * Each open region has a frame: the rows it runs for, either all rows of the slice (dense) or an ascending list. An IF
 * splits its parent's rows, a loop's frame shrinks as rows finish, a row that leaves is dropped from every frame (at once
 * from the current one, from outer ones when their region is entered again).
 *
 * Values of rows that are not selected are unspecified, so an op that cannot leave runs densely even under a mask
 * as long as enough rows are selected; so does one that can, until it meets rows that would leave. Only steps marked `keep`,
 * loop moves and stores must write selected rows alone.
 *
 * Leaving rows are collected per slice and appended to the list at its end. When it is full, the row of the first entry
 * without room is where the caller must go on: rows before it are complete, and slices are pure.
 *
 * Lists. The rows of a slice share one heap, emptied before each slice. When they do not fit, the slice is run again with half as
 * many rows, down to one, so that a row leaves for its own lists only.
 *
 * Memory: one block per state. Threads: one a state. */
#include "interp/interp.h"

#include <stdatomic.h>
#include <string.h>

#include "base/bitmap.h"
#include "base/mem.h"
#include "interp/interp_int.h"
#include "rt/rt.h"

#define DENSE_SHARE                                                                                \
    4 /* under a mask, ops run densely while at least 1 row in this many is selected */
#define LIST_SLICE_ROWS                                                                            \
    64 /* what the lists of more rows hold is out of the cache when it is looked at again */
#define MISSES_MAX 8 /* dense tries under a mask that a step may lose before it stops trying */

/* --- state ----------------------------------------------------------------------------------------------------------- */

static void lay_out_slots(const sb_interp *p, sb_interp_state *st)
{
    uint8_t *at = st->memory;
    uint32_t slot = p->input_count;
    st->scratch[0] = at;
    at += SB_SLICE_ROWS * sizeof(int64_t);
    st->scratch[1] = at;
    at += SB_SLICE_ROWS;
    for (uint32_t k = 0; k < p->wide_count; k++) {
        st->slots[slot++] = at;
        at += SB_SLICE_ROWS * sizeof(int64_t);
    }
    for (uint32_t k = 0; k < p->narrow_count; k++) {
        st->slots[slot++] = at;
        at += SB_SLICE_ROWS;
    }
    for (uint32_t k = 0; k < p->cell_count; k++) {
        st->slots[slot++] = at;
        at += sizeof(int64_t);
    }
    for (size_t k = 0; k < p->cells.count; k++) {
        const sb_cell_init *init = &p->cells.items[k];
        void *cell = st->slots[init->slot];
        if (init->prim == SB_PRIM_B) {
            *(uint8_t *)cell = init->value.i != 0;
        } else if (init->prim == SB_PRIM_F64) {
            *(double *)cell = init->value.f;
        } else {
            *(int64_t *)cell = init->value.i;
        }
    }
}

sb_status sb_interp_state_new(const sb_interp *p, sb_interp_state **out, sb_error *err)
{
    const size_t slots = (size_t)p->input_count + p->wide_count + p->narrow_count + p->cell_count;
    const size_t size = (size_t)p->wide_count * SB_SLICE_ROWS * sizeof(int64_t) +
                        (size_t)p->narrow_count * SB_SLICE_ROWS +
                        (size_t)p->cell_count * sizeof(int64_t) +
                        SB_SLICE_ROWS * (sizeof(int64_t) + 1); /* scratch */
    sb_interp_state *st = sb_mem_alloc_zero(sizeof(*st));
    if (st == NULL) {
        return sb_error_no_memory(err, sizeof(*st));
    }
    st->slots = sb_mem_alloc_zero((slots + 1) * sizeof(*st->slots));
    st->misses = sb_mem_alloc_zero(p->steps.count + 1);
    st->frames = sb_mem_alloc_array((size_t)p->depth_max + 1, sizeof(*st->frames));
    st->memory = sb_mem_alloc_aligned(size);
    if (st->slots == NULL || st->misses == NULL || st->frames == NULL || st->memory == NULL) {
        sb_interp_state_free(st);
        return sb_error_no_memory(err, size);
    }
    memset(st->memory, 0, size); /* dense loops read rows that nothing wrote */
    lay_out_slots(p, st);
    for (uint16_t i = 0; i < SB_SLICE_ROWS; i++) {
        st->identity[i] = i;
    }
    st->slice_rows = p->ir->has_list ? LIST_SLICE_ROWS : SB_SLICE_ROWS;
    *out = st;
    return SB_OK;
}

void sb_interp_state_free(sb_interp_state *st)
{
    if (st != NULL) {
        sb_interp_free_callees(st);
        sb_mem_free(st->slots);
        sb_mem_free(st->misses);
        sb_mem_free(st->frames);
        sb_mem_free_aligned(st->memory);
        sb_mem_free(st);
    }
}

/* --- frames ---------------------------------------------------------------------------------------------------------- */

static const uint16_t *rows_of(const sb_interp_state *st, const sb_frame *f)
{
    return f->dense ? st->identity : f->rows;
}

static void drop_left(sb_interp_state *st, sb_frame *f)
{
    if (f->left_seen == st->left) {
        return;
    }
    const uint16_t *rows = rows_of(st, f);
    int32_t kept = 0;
    for (int32_t k = 0; k < f->count; k++) {
        const uint16_t i = rows[k];
        f->rows[kept] = i;
        kept += st->reasons[i] == 0;
    }
    f->dense = f->dense && kept == f->count;
    f->count = kept;
    f->left_seen = st->left;
}

void sb_interp_count_left(sb_interp_state *st, sb_frame *f, int32_t left)
{
    if (left > 0) {
        st->left += left;
        drop_left(st, f);
    }
}

void sb_interp_copy_frame(sb_interp_state *st, sb_frame *to, const sb_frame *from)
{
    to->count = from->count;
    to->dense = from->dense;
    to->shrunk = false;
    to->left_seen = st->left;
    if (!from->dense) {
        memcpy(to->rows, from->rows, (size_t)from->count * sizeof(from->rows[0]));
    }
}

/* The rows of `from` whose condition is `want`. None of them has left: rows that leave in a then-region had it true. */
static void split_frame(sb_interp_state *st, sb_frame *to, const sb_frame *from,
                        const uint8_t *cond, uint8_t want)
{
    const uint16_t *rows = rows_of(st, from);
    int32_t kept = 0;
    for (int32_t k = 0; k < from->count; k++) {
        const uint16_t i = rows[k];
        to->rows[kept] = i;
        kept += cond[i] == want;
    }
    to->count = kept;
    to->dense = kept == st->n;
    to->shrunk = false;
    to->left_seen = st->left;
}

static int32_t count_true(const sb_interp_state *st, const sb_frame *f, const uint8_t *cond)
{
    if (f->dense) {
        return sb_interp_count(cond, st->n);
    }
    int32_t sum = 0;
    for (int32_t k = 0; k < f->count; k++) {
        sum += cond[f->rows[k]];
    }
    return sum;
}

/* May a step that writes into `keep` or other registers run over all rows? */
static bool runs_dense(const sb_interp_state *st, const sb_frame *f, bool keep)
{
    return f->dense || (f->count * DENSE_SHARE >= st->n && !(keep && f->shrunk));
}

/* --- operations -------------------------------------------------------------------------------------------------------- */

/* Where a dense step writes: never into an operand. */
static void *target_of(const sb_interp_state *st, const sb_step *step)
{
    return step->in_place ? st->scratch[step->prim == SB_PRIM_B] : st->slots[step->o];
}

/* The dense step is done: its target becomes the register. */
static void commit_target(sb_interp_state *st, const sb_step *step)
{
    if (step->in_place) {
        void **scratch = &st->scratch[step->prim == SB_PRIM_B];
        void *old = st->slots[step->o];
        st->slots[step->o] = *scratch;
        *scratch = old;
    }
}

static void run_plain(sb_interp_state *st, const sb_step *step, const sb_frame *f)
{
    const void *a = st->slots[step->a];
    const void *b = st->slots[step->b];
    if (runs_dense(st, f, step->keep)) {
        (void)step->dense(target_of(st, step), a, b, st->n);
        commit_target(st, step);
    } else {
        (void)step->sparse(st->slots[step->o], a, b, f->rows, f->count, st->reasons);
    }
}

static void run_leaving(const sb_interp *p, sb_interp_state *st, const sb_step *step, sb_frame *f)
{
    uint8_t *misses = &st->misses[step - p->steps.items];
    const void *a = st->slots[step->a];
    const void *b = st->slots[step->b];
    if (runs_dense(st, f, step->keep) && (f->dense || *misses < MISSES_MAX)) {
        if (step->dense(target_of(st, step), a, b, st->n) >= 0) {
            commit_target(st, step);
            return;
        }
        if (!f->dense) {
            *misses = (uint8_t)(*misses + 1);
        }
    }
    const int32_t left =
        step->sparse(st->slots[step->o], a, b, rows_of(st, f), f->count, st->reasons);
    sb_interp_count_left(st, f, left);
}

static void leave_all(sb_interp_state *st, sb_frame *f, uint8_t reason)
{
    const uint16_t *rows = rows_of(st, f);
    for (int32_t k = 0; k < f->count; k++) {
        st->reasons[rows[k]] = reason;
    }
    sb_interp_count_left(st, f, f->count);
}

static void run_cell(sb_interp_state *st, const sb_step *step, sb_frame *f)
{
    void *o = st->slots[step->o];
    const void *a = st->slots[step->a];
    const void *b = st->slots[step->b];
    if (f->count > 0 && step->dense(o, a, b, 1) < 0) {
        uint8_t reason = 0;
        (void)step->sparse(o, a, b, st->identity, 1, &reason);
        leave_all(st, f, reason);
    }
}

static void run_select(sb_interp_state *st, const sb_step *step, const sb_frame *f)
{
    const bool dense = runs_dense(st, f, step->keep);
    sb_interp_select((sb_prim)step->prim, (sb_form)step->form,
                     dense ? target_of(st, step) : st->slots[step->o], st->slots[step->a],
                     st->slots[step->b], st->slots[step->c], dense ? NULL : f->rows,
                     dense ? st->n : f->count);
    if (dense) {
        commit_target(st, step);
    }
}

static void run_choose(sb_interp_state *st, const sb_step *step, const sb_frame *f, bool to_cell)
{
    const bool first = *(const uint8_t *)st->slots[step->a] != 0;
    const bool cell = (step->form & (first ? SB_FORM_CV : SB_FORM_VC)) != 0;
    const bool dense = to_cell || runs_dense(st, f, step->keep);
    sb_interp_copy((sb_prim)step->prim, cell, st->slots[step->o],
                   st->slots[first ? step->b : step->c], dense ? NULL : f->rows,
                   to_cell ? 1 : (dense ? st->n : f->count));
}

static void run_copy(sb_interp_state *st, const sb_step *step, const sb_frame *f)
{
    const bool dense = step->uniform || runs_dense(st, f, step->keep);
    sb_interp_copy((sb_prim)step->prim, step->form == SB_FORM_CV, st->slots[step->o],
                   st->slots[step->a], dense ? NULL : f->rows,
                   step->uniform ? 1 : (dense ? st->n : f->count));
}

static void run_valid(sb_interp_state *st, const sb_step *step)
{
    const uint8_t *bits = st->call->in[step->imm].valid;
    if (bits == NULL) {
        memset(st->slots[step->o], 1, (size_t)st->n);
    } else {
        sb_bitmap_unpack(st->slots[step->o], bits, st->row, st->n);
    }
}

static void run_leave(sb_interp_state *st, const sb_step *step, sb_frame *f)
{
    const uint8_t *cond = st->slots[step->a];
    if (step->uniform) {
        if (cond[0] != 0) {
            leave_all(st, f, step->reason);
        }
        return;
    }
    if (count_true(st, f, cond) == 0) {
        return;
    }
    const uint16_t *rows = rows_of(st, f);
    int32_t left = 0;
    for (int32_t k = 0; k < f->count; k++) {
        if (cond[rows[k]] != 0) {
            st->reasons[rows[k]] = step->reason;
            left++;
        }
    }
    sb_interp_count_left(st, f, left);
}

/* Is a result there that is not finite? Looked for in all rows at once. */
static bool some_odd(const sb_interp_state *st, const sb_step *step)
{
    const double *r = st->slots[step->a];
    const int32_t n = step->form & 1 ? 1 : st->n;
    int64_t odd = 0;
    for (int32_t i = 0; i < n; i++) {
        odd |= !(r[i] - r[i] == 0.0);
    }
    return odd != 0;
}

static void run_warn(sb_interp_state *st, const sb_step *step, sb_frame *f)
{
    const double *r = st->slots[step->a];
    const double *x = st->slots[step->b];
    const double *y = st->slots[step->c];
    if (f->count == 0 || ((f->dense || (step->form & 1)) && !some_odd(st, step))) {
        return;
    }
    const uint16_t *rows = rows_of(st, f);
    int32_t left = 0;
    for (int32_t k = 0; k < f->count; k++) {
        const uint16_t i = rows[k];
        const sb_reason reason = sb_rt_np_warn_f64(
            r[step->form & 1 ? 0 : i], x[step->form & 2 ? 0 : i], y[step->form & 4 ? 0 : i]);
        if (reason != SB_REASON_NONE) {
            st->reasons[i] = (uint8_t)reason;
            left++;
        }
    }
    sb_interp_count_left(st, f, left);
}

static void run_list(sb_interp_state *st, const sb_step *step, sb_frame *f)
{
    sb_rt_heap *heap = st->call->heap;
    const int32_t left =
        sb_interp_list(step, st->slots, heap, rows_of(st, f), f->count, st->reasons);
    st->crowded = heap->full && st->n > 1;
    sb_interp_count_left(st, f, left);
}

/* --- regions --------------------------------------------------------------------------------------------------------------- */

/* Gives the next step. */
static uint32_t run_if(sb_interp_state *st, const sb_step *step, uint32_t next)
{
    const sb_frame *parent = &st->frames[st->depth];
    sb_frame *child = &st->frames[++st->depth];
    const uint8_t *cond = st->slots[step->a];
    const int32_t taken =
        step->uniform ? (cond[0] != 0 ? parent->count : 0) : count_true(st, parent, cond);
    child->else_count = parent->count - taken;
    if (taken == 0) {
        child->count = 0;
        child->dense = false;
        return step->jump;
    }
    if (taken == parent->count) {
        sb_interp_copy_frame(st, child, parent);
    } else {
        split_frame(st, child, parent, cond, 1);
    }
    return next;
}

static uint32_t run_else(sb_interp_state *st, const sb_step *step, uint32_t next)
{
    const sb_frame *parent = &st->frames[st->depth - 1];
    sb_frame *child = &st->frames[st->depth];
    if (child->else_count == 0) {
        return step->jump;
    }
    if (child->else_count == parent->count) {
        sb_interp_copy_frame(st, child, parent);
    } else {
        split_frame(st, child, parent, st->slots[step->a], 0);
    }
    return next;
}

static void leave_region(sb_interp_state *st)
{
    st->depth--;
    drop_left(st, &st->frames[st->depth]);
}

static uint32_t run_loop(sb_interp_state *st, const sb_step *step, uint32_t next)
{
    const sb_frame *parent = &st->frames[st->depth];
    if (parent->count == 0) {
        return step->jump;
    }
    sb_interp_copy_frame(st, &st->frames[++st->depth], parent);
    return next;
}

/* Once rows have finished, moves write the frame's rows and no others. */
static void run_moves(const sb_interp *p, sb_interp_state *st, uint32_t first, uint32_t count,
                      const sb_frame *f)
{
    const bool dense = runs_dense(st, f, true);
    for (uint32_t k = 0; k < count; k++) {
        const sb_move *move = &p->moves.items[first + k];
        if (move->to_cell) {
            memcpy(st->slots[move->o], st->slots[move->a], sizeof(int64_t));
        } else {
            sb_interp_copy((sb_prim)move->prim, move->from_cell, st->slots[move->o],
                           st->slots[move->a], dense ? NULL : f->rows, dense ? st->n : f->count);
        }
    }
}

static uint32_t run_end_loop(const sb_interp *p, sb_interp_state *st, const sb_step *step,
                             uint32_t next)
{
    sb_frame *f = &st->frames[st->depth];
    const uint8_t *cond = st->slots[step->a];
    const int32_t again = step->uniform ? (cond[0] != 0 ? f->count : 0) : count_true(st, f, cond);
    const bool splits = again > 0 && again < f->count;
    int32_t kept = 0;
    if (splits) { /* before the moves: the condition may be an argument */
        const uint16_t *rows = rows_of(st, f);
        for (int32_t k = 0; k < f->count; k++) {
            st->spare[kept] = rows[k];
            kept += cond[rows[k]] != 0;
        }
    }
    if (again < f->count) {
        run_moves(p, st, step->finals_first, step->finals_count, f);
    }
    run_moves(p, st, step->moves_first, step->moves_count, f);
    if (again == 0) {
        leave_region(st);
        return next;
    }
    if (splits) {
        memcpy(f->rows, st->spare, (size_t)kept * sizeof(f->rows[0]));
        f->count = kept;
        f->dense = false;
        f->shrunk = true;
    }
    if (step->poll) {
        const _Atomic uint32_t *stop = (const _Atomic uint32_t *)st->call->stop;
        st->stopped = atomic_load_explicit(stop, memory_order_relaxed) != 0;
    }
    return step->jump;
}

/* --- outputs --------------------------------------------------------------------------------------------------------------- */

static void store_valid(sb_interp_state *st, const sb_step *step, const sb_frame *f, uint8_t *bits)
{
    const uint8_t *valid = st->slots[step->b];
    const bool cell = step->valid_cell;
    if (f->dense && !step->has_valid) {
        sb_bitmap_fill(bits, st->row, st->n, step->prim != SB_PRIM_VOID);
    } else if (f->dense && cell) {
        sb_bitmap_fill(bits, st->row, st->n, valid[0] != 0);
    } else if (f->dense) {
        uint8_t packed[SB_SLICE_ROWS / 8];
        sb_bitmap_pack(packed, valid, st->n);
        sb_bitmap_copy(bits, st->row, packed, 0, st->n);
    } else {
        for (int32_t k = 0; k < f->count; k++) {
            const uint16_t i = f->rows[k];
            sb_bit_put(bits, st->row + i,
                       step->has_valid ? valid[cell ? 0 : i] != 0 : step->prim != SB_PRIM_VOID);
        }
    }
}

static void run_store(sb_interp_state *st, const sb_step *step, const sb_frame *f)
{
    const sb_kout *out = &st->call->out[step->imm];
    if (step->prim != SB_PRIM_VOID) {
        const size_t size = step->prim == SB_PRIM_B ? 1 : sizeof(int64_t);
        uint8_t *values = (uint8_t *)out->values + (size_t)st->row * size;
        sb_interp_copy((sb_prim)step->prim, step->form == SB_FORM_CV, values, st->slots[step->a],
                       f->dense ? NULL : f->rows, f->count);
    }
    if (out->valid != NULL) {
        store_valid(st, step, f, out->valid);
    }
}

/* --- driver ------------------------------------------------------------------------------------------------------------------ */

static uint32_t run_step(const sb_interp *p, sb_interp_state *st, const sb_step *step,
                         uint32_t next)
{
    sb_frame *f = &st->frames[st->depth];
    switch ((sb_step_kind)step->kind) {
    case SB_STEP_PLAIN:
        run_plain(st, step, f);
        return next;
    case SB_STEP_LEAVING:
        run_leaving(p, st, step, f);
        return next;
    case SB_STEP_CELL:
        run_cell(st, step, f);
        return next;
    case SB_STEP_SELECT:
        run_select(st, step, f);
        return next;
    case SB_STEP_CHOOSE:
        run_choose(st, step, f, step->uniform);
        return next;
    case SB_STEP_COPY:
        run_copy(st, step, f);
        return next;
    case SB_STEP_VALID:
        run_valid(st, step);
        return next;
    case SB_STEP_LEAVE:
        run_leave(st, step, f);
        return next;
    case SB_STEP_WARN:
        run_warn(st, step, f);
        return next;
    case SB_STEP_IF:
        return run_if(st, step, next);
    case SB_STEP_ELSE:
        return run_else(st, step, next);
    case SB_STEP_END_IF:
        leave_region(st);
        return next;
    case SB_STEP_LOOP:
        return run_loop(st, step, next);
    case SB_STEP_END_LOOP:
        return run_end_loop(p, st, step, next);
    case SB_STEP_STORE:
        run_store(st, step, f);
        return next;
    case SB_STEP_LIST:
        run_list(st, step, f);
        return next;
    case SB_STEP_CALL:
        sb_interp_call(p, st, step, f);
        return next;
    }
    return next;
}

void sb_interp_steps(const sb_interp *p, sb_interp_state *st)
{
    const uint32_t step_count = (uint32_t)p->steps.count;
    for (uint32_t at = 0;
         at < step_count && st->frames[0].count > 0 && !st->stopped && !st->crowded;) {
        at = run_step(p, st, &p->steps.items[at], at + 1);
    }
}

static void start_slice(const sb_interp *p, sb_interp_state *st, int32_t row, int32_t n)
{
    sb_frame *top = &st->frames[0];
    const sb_kcall *call = st->call;
    if (p->ir->has_list) {
        sb_rt_heap_reset(call->heap);
    }
    st->crowded = false;
    if (st->left > 0) {
        memset(st->reasons, 0, sizeof(st->reasons));
    }
    st->row = row;
    st->n = n;
    st->left = 0;
    st->depth = 0;
    for (uint32_t k = 0; k < p->input_count; k++) {
        const size_t size = p->ir->inputs.items[k].prim == SB_PRIM_B ? 1 : sizeof(int64_t);
        const void *values = call->in[k].values;
        union {
            const void *borrowed;
            void *slot; /* input slots are operands only */
        } at = {.borrowed = values == NULL ? NULL : (const uint8_t *)values + (size_t)row * size};
        st->slots[k] = at.slot;
    }
    top->count = n;
    top->dense = true;
    top->shrunk = false;
    top->left_seen = 0;
    if (call->active != NULL) {
        int32_t kept = 0;
        for (int32_t i = 0; i < n; i++) {
            top->rows[kept] = (uint16_t)i;
            kept += sb_bit_get(call->active, row + i);
        }
        top->count = kept;
        top->dense = kept == n;
    }
}

/* Appends the slice's leaving rows. The row that found no room, or -1. */
static int32_t record_left(sb_interp_state *st)
{
    sb_kcall *call = st->call;
    int32_t left = st->left;
    for (int32_t i = 0; left > 0; i++) {
        if (st->reasons[i] == 0) {
            continue;
        }
        if (call->leave_count >= call->leave_capacity) {
            return st->row + i;
        }
        call->leave[call->leave_count++] = SB_LEAVE_ENTRY(st->row + i, st->reasons[i]);
        left--;
    }
    return -1;
}

int32_t sb_interp_run(const sb_interp *p, sb_interp_state *st, sb_kcall *call, int32_t row0,
                      int32_t row1)
{
    SB_ASSERT(row0 >= 0 && row0 <= row1 && row1 <= SB_VECTOR_ROWS);
    st->call = call;
    st->stopped = false;
    for (int32_t row = row0; row < row1;) {
        /* Slices end at multiples of their size, so that later ones start at whole bitmap bytes. */
        const int32_t end = (row / st->slice_rows + 1) * st->slice_rows;
        const int32_t n = (end < row1 ? end : row1) - row;
        start_slice(p, st, row, n);
        sb_interp_steps(p, st);
        if (SB_UNLIKELY(st->stopped)) {
            call->status = SB_K_STOP;
            return row;
        }
        if (SB_UNLIKELY(st->crowded)) { /* rows are pure: again, fewer at a time */
            st->slice_rows /= 2;
            continue;
        }
        const int32_t full_at = record_left(st);
        if (full_at >= 0) {
            call->status = SB_K_GROW;
            return full_at;
        }
        row += n;
    }
    call->status = SB_K_DONE;
    return row1;
}
