/* From IR to flat steps: which values are cells, how long each lives, which register holds it, what runs in which order.
 *
 * Cells: a value is a cell when all rows that compute it compute the same. Optimistic fixpoint; stronger than sb_inst.uniform:
 * the arguments of a loop are cells even when rows finish at different turns, only its results are not.
 *
 * Life: from the definition to the last use in program order; a value from outside a loop that is used inside lives to the
 * loop's end. MERGE is a select on its IF's condition, so both its operands and the condition live until then. Rows of a vector run
 * in program order under masks, hence a register may be taken again as soon as its value is dead in that order.
 *
 * Loops: an argument, its results and, where the old value is dead by then, its next value share one register (`keep`: such a
 * step must not write rows that finished earlier). Other next values are moved at the loop's end, in an order that reads each
 * register before it is overwritten; cycles go through a temporary.
 *
 * Memory: scratch arrays freed before return; the steps belong to the sb_interp. Threads: any. */
#include <string.h>

#include "base/mem.h"
#include "interp/interp_int.h"

typedef enum file_kind { FILE_WIDE, FILE_NARROW, FILE_COUNT } file_kind;

/* A register's number while slots are not laid out yet: file and index. */
typedef struct place {
    uint8_t file; /* file_kind */
    bool is_cell;
    bool is_input;
    uint32_t index;
} place;

/* A copy at a loop's end. Slots are numbered when all registers are known; until then a move names places. */
typedef struct pending_move {
    place o, a;
    uint8_t prim;
    bool done;
} pending_move;
typedef SB_VEC(pending_move) pending_moves;

typedef struct move_ranges {
    uint32_t finals_first, finals_count;
    uint32_t moves_first, moves_count;
} move_ranges;

typedef struct register_file {
    SB_VEC(uint32_t) free;
    uint32_t count;
} register_file;

typedef struct preparer {
    sb_interp *p;
    const sb_inst *insts;
    uint32_t count;
    uint32_t *
        loop; /* per instruction: the innermost LOOP it is inside of (LOOP itself: the one around it), 0 none */
    uint32_t *region; /* likewise, IF or LOOP */
    uint32_t *owner;  /* MERGE: its IF; RESULT: its LOOP */
    uint32_t *last;   /* per value: instruction of its last use */
    uint32_t *shared; /* per value: the ARG whose register it shares, 0 none */
    uint32_t *dies;   /* per instruction: first value whose register is free after it, 0 none */
    uint32_t *dies_next;
    uint32_t *step_of;     /* per instruction: its step, or the next one */
    move_ranges *ranges;   /* per END_LOOP */
    pending_moves ordered; /* of all loops */
    uint8_t *cell;
    place *places;
    register_file files[FILE_COUNT];
    bool no_memory;
} preparer;

/* --- structure ------------------------------------------------------------------------------------------------------ */

static void find_regions(preparer *q)
{
    uint32_t region = 0;
    uint32_t loop = 0;
    uint32_t last_end = 0;
    uint32_t depth = 0;
    for (uint32_t i = 0; i < q->count; i++) {
        const sb_inst *inst = &q->insts[i];
        q->region[i] = region;
        q->loop[i] = loop;
        switch (inst->op) {
        case SB_IR_IF:
        case SB_IR_LOOP:
            region = i;
            loop = inst->op == SB_IR_LOOP ? i : loop;
            depth++;
            q->p->depth_max = depth > q->p->depth_max ? depth : q->p->depth_max;
            break;
        case SB_IR_END_IF:
        case SB_IR_END_LOOP:
            last_end = inst->b;
            region = q->region[inst->b];
            loop = q->loop[inst->b];
            depth--;
            break;
        case SB_IR_MERGE:
        case SB_IR_RESULT:
            q->owner[i] = last_end;
            break;
        default:
            break;
        }
    }
}

static bool operands_are_cells(const preparer *q, const sb_inst *inst)
{
    const sb_value operands[3] = {inst->a, inst->b, inst->c};
    const uint32_t count = sb_op_infos[inst->op].operand_count;
    for (uint32_t k = 0; k < SB_COUNT_OF(operands) && k < count; k++) {
        if (!q->cell[operands[k]]) {
            return false;
        }
    }
    return true;
}

static bool can_be_cell(const preparer *q, uint32_t v)
{
    const sb_inst *inst = &q->insts[v];
    if ((sb_op_infos[inst->op].flags & SB_OP_LIST_FLAG) != 0) {
        return false; /* each row has lists of its own */
    }
    switch (inst->op) {
    case SB_IR_IN:
    case SB_IR_IN_VALID:
    case SB_IR_PASS: /* a value a row, whatever it was */
    case SB_IR_GOT:
        return false;
    case SB_IR_MERGE:
        return operands_are_cells(q, inst) && q->cell[q->insts[q->owner[v]].a];
    case SB_IR_RESULT:
        return operands_are_cells(q, inst) && q->cell[q->insts[q->insts[q->owner[v]].b].a];
    default:
        return operands_are_cells(q, inst);
    }
}

static void find_cells(preparer *q)
{
    memset(q->cell, 1, q->count);
    bool changed = true;
    while (changed) {
        changed = false;
        for (uint32_t v = 1; v < q->count; v++) {
            if (q->cell[v] && q->insts[v].prim != SB_PRIM_VOID && !can_be_cell(q, v)) {
                q->cell[v] = 0;
                changed = true;
            }
        }
    }
}

/* --- life ------------------------------------------------------------------------------------------------------------- */

/* Value v is read at instruction `at`, which is inside `loop`. */
static void use(preparer *q, sb_value v, uint32_t at, uint32_t loop)
{
    if (v == 0) {
        return;
    }
    for (; loop != 0; loop = q->loop[loop]) {
        const uint32_t end = q->insts[loop].b;
        if (v > loop && v < end) {
            break;
        }
        at = end;
    }
    q->last[v] = at > q->last[v] ? at : q->last[v];
}

/* Arguments and results all live from the call to the last result: a function reads and writes them in any order. */
static void use_call(preparer *q, uint32_t i)
{
    const sb_ir *function = &q->p->ir->functions->items[q->insts[i].imm.i];
    const uint32_t end = i + (uint32_t)function->outputs.count;
    for (uint32_t k = 1; k <= function->inputs.count; k++) {
        q->last[i - k] = end;
    }
    for (uint32_t k = i + 1; k <= end; k++) {
        q->last[k] = end;
    }
}

static void find_uses(preparer *q)
{
    for (uint32_t i = 1; i < q->count; i++) {
        const sb_inst *inst = &q->insts[i];
        q->last[i] = i > q->last[i] ? i : q->last[i];
        switch (inst->op) {
        case SB_IR_ARG: /* its initial value is read before the first turn only; `next` at the end of each */
            use(q, inst->a, i, q->loop[q->loop[i]]);
            use(q, inst->b, q->insts[q->loop[i]].b, q->loop[i]);
            break;
        case SB_IR_MERGE:
            use(q, q->insts[q->owner[i]].a, i, q->loop[i]);
            use(q, inst->a, i, q->loop[i]);
            use(q, inst->b, i, q->loop[i]);
            break;
        case SB_IR_ELSE:
            use(q, q->insts[inst->b].a, i, q->loop[i]);
            break;
        case SB_IR_CALL:
            use_call(q, i);
            break;
        case SB_IR_RESULT: /* has its argument's register, see extend_args */
        case SB_IR_END_IF:
            break;
        case SB_IR_END_LOOP:
            use(q, inst->a, i, inst->b);
            break;
        case SB_IR_STORE:
            use(q, inst->a, i, q->loop[i]);
            use(q, inst->b, i, q->loop[i]);
            break;
        default: {
            const sb_value operands[3] = {inst->a, inst->b, inst->c};
            const uint32_t count = sb_op_infos[inst->op].operand_count;
            for (uint32_t k = 0; k < SB_COUNT_OF(operands) && k < count; k++) {
                use(q, operands[k], i, q->loop[i]);
            }
            break;
        }
        }
    }
}

/* May ARG `arg` and its next value share a register? Asked while last[arg] is the last read of the old value. */
static bool can_share(const preparer *q, uint32_t arg)
{
    const sb_value next = q->insts[arg].b;
    const uint32_t loop = q->loop[arg];
    if (next <= loop || q->region[next] != loop || q->cell[next] || q->cell[arg] ||
        q->shared[next] != 0 || q->last[arg] > next) {
        return false;
    }
    const uint8_t op = q->insts[next].op;
    return op != SB_IR_ARG && op != SB_IR_RESULT && op != SB_IR_IN && op != SB_IR_IN_VALID &&
           op != SB_IR_GOT;
}

static void extend_args(preparer *q)
{
    for (uint32_t i = 1; i < q->count; i++) {
        if (q->insts[i].op == SB_IR_ARG) {
            if (can_share(q, i)) {
                q->shared[q->insts[i].b] = i;
            }
            const uint32_t end = q->insts[q->loop[i]].b;
            q->last[i] = end > q->last[i] ? end : q->last[i];
        }
    }
    /* Backwards: a result may itself be extended by the loop around it. */
    for (uint32_t i = q->count - 1; i > 0; i--) {
        const sb_inst *inst = &q->insts[i];
        if (inst->op == SB_IR_RESULT && q->cell[i] == q->cell[inst->a]) {
            q->shared[i] = inst->a;
            q->last[inst->a] = q->last[i] > q->last[inst->a] ? q->last[i] : q->last[inst->a];
        }
    }
}

/* --- registers -------------------------------------------------------------------------------------------------------- */

static file_kind file_of(uint8_t prim)
{
    return prim == SB_PRIM_B ? FILE_NARROW : FILE_WIDE;
}

static place new_register(preparer *q, uint8_t prim)
{
    const file_kind kind = file_of(prim);
    register_file *file = &q->files[kind];
    const uint32_t index =
        file->free.count > 0 ? file->free.items[--file->free.count] : file->count++;
    return (place){.file = (uint8_t)kind, .index = index};
}

static place new_cell(preparer *q)
{
    return (place){.is_cell = true, .index = q->p->cell_count++};
}

static void free_register(preparer *q, sb_value v)
{
    const place *at = &q->places[v];
    if (!at->is_cell && !at->is_input && !SB_VEC_PUSH(&q->files[at->file].free, at->index)) {
        q->no_memory = true;
    }
}

static bool owns_register(const preparer *q, uint32_t v)
{
    return q->insts[v].prim != SB_PRIM_VOID && q->insts[v].op != SB_IR_IN && !q->cell[v] &&
           q->shared[v] == 0;
}

static void place_value(preparer *q, uint32_t v)
{
    const sb_inst *inst = &q->insts[v];
    if (inst->prim == SB_PRIM_VOID) {
        return;
    }
    if (q->shared[v] != 0) {
        q->places[v] = q->places[q->shared[v]];
    } else if (q->cell[v]) {
        q->places[v] = new_cell(q);
    } else if (inst->op == SB_IR_IN) {
        q->places[v] = (place){.is_input = true, .index = (uint32_t)inst->imm.i};
    } else {
        q->places[v] = new_register(q, inst->prim);
    }
}

/* A result that is written while its loop runs (its argument is a cell) has its register from the loop's start. */
static bool is_early_result(const preparer *q, uint32_t v)
{
    return q->insts[v].op == SB_IR_RESULT && !q->cell[v] && q->cell[q->insts[v].a];
}

static void free_dying(preparer *q, uint32_t i)
{
    for (uint32_t v = q->dies[i]; v != 0; v = q->dies_next[v]) {
        if (v != i) {
            free_register(q, v);
        }
    }
}

static void place_early_results(preparer *q, uint32_t end)
{
    for (uint32_t r = end + 1; r < q->count && q->insts[r].op == SB_IR_RESULT; r++) {
        if (is_early_result(q, r)) {
            q->places[r] = new_register(q, q->insts[r].prim);
        }
    }
}

static void place_all(preparer *q)
{
    for (uint32_t v = 1; v < q->count; v++) {
        if (owns_register(q, v)) {
            q->dies_next[v] = q->dies[q->last[v]];
            q->dies[q->last[v]] = v;
        }
    }
    for (uint32_t i = 1; i < q->count; i++) {
        /* An op's result never gets the register of an operand, so that its loop may assume no overlap; a copy may. */
        const bool copies = q->insts[i].op == SB_IR_ARG;
        if (copies) {
            free_dying(q, i);
        }
        if (q->insts[i].op == SB_IR_LOOP) {
            place_early_results(q, q->insts[i].b);
        }
        if (!is_early_result(q, i)) {
            place_value(q, i);
        }
        if (!copies) {
            free_dying(q, i);
        }
        if (owns_register(q, i) && q->last[i] == i) { /* nobody reads it */
            free_register(q, i);
        }
    }
}

static uint32_t slot_of_place(const preparer *q, place at)
{
    const sb_interp *p = q->p;
    if (at.is_input) {
        return at.index;
    }
    uint32_t slot = p->input_count + at.index;
    if (at.is_cell) {
        return slot + q->files[FILE_WIDE].count + q->files[FILE_NARROW].count;
    }
    return at.file == FILE_NARROW ? slot + q->files[FILE_WIDE].count : slot;
}

/* --- moves at a loop's end ---------------------------------------------------------------------------------------------- */

static bool same_place(place x, place y)
{
    return x.is_cell == y.is_cell && x.is_input == y.is_input && x.index == y.index &&
           (x.is_cell || x.is_input || x.file == y.file);
}

static bool is_read(const pending_moves *moves, place at, size_t except)
{
    for (size_t k = 0; k < moves->count; k++) {
        if (k != except && !moves->items[k].done && same_place(moves->items[k].a, at)) {
            return true;
        }
    }
    return false;
}

static void push_move(preparer *q, pending_moves *out, place o, place a, uint8_t prim)
{
    if (!SB_VEC_PUSH(out, (pending_move){.o = o, .a = a, .prim = prim})) {
        q->no_memory = true;
    }
}

/* Puts the moves [first, count) in an order in which no source is overwritten before it is read. */
static void order_moves(preparer *q, pending_moves *moves, pending_moves *out)
{
    for (size_t left = moves->count; left > 0 && !q->no_memory;) {
        bool progress = false;
        for (size_t k = 0; k < moves->count; k++) {
            pending_move *move = &moves->items[k];
            if (!move->done && !is_read(moves, move->o, k)) {
                push_move(q, out, move->o, move->a, move->prim);
                move->done = true;
                left--;
                progress = true;
            }
        }
        if (progress) {
            continue;
        }
        /* A cycle: what is left all waits. Free one target by saving its old value. */
        size_t k = 0;
        while (moves->items[k].done) {
            k++;
        }
        const place old = moves->items[k].o;
        place saved;
        if (old.is_cell) {
            saved = new_cell(q);
        } else { /* never given back: it must be nobody else's during the whole loop */
            register_file *file = &q->files[old.file];
            saved = (place){.file = old.file, .index = file->count++};
        }
        push_move(q, out, saved, old, moves->items[k].prim);
        for (size_t other = 0; other < moves->count; other++) {
            if (!moves->items[other].done && same_place(moves->items[other].a, old)) {
                moves->items[other].a = saved;
            }
        }
    }
}

static void collect_moves(preparer *q, uint32_t loop, pending_moves *moves)
{
    for (uint32_t arg = loop + 1; q->insts[arg].op == SB_IR_ARG; arg++) {
        const place o = q->places[arg];
        const place a = q->places[q->insts[arg].b];
        if (!same_place(o, a)) {
            push_move(q, moves, o, a, q->insts[arg].prim);
        }
    }
}

/* Results whose argument is a cell: rows that finish get the argument's next value. */
static void collect_finals(preparer *q, uint32_t end, pending_moves *out)
{
    for (uint32_t r = end + 1; r < q->count && q->insts[r].op == SB_IR_RESULT; r++) {
        if (is_early_result(q, r)) {
            push_move(q, out, q->places[r], q->places[q->insts[q->insts[r].a].b], q->insts[r].prim);
        }
    }
}

static void plan_moves(preparer *q)
{
    for (uint32_t i = 1; i < q->count && !q->no_memory; i++) {
        if (q->insts[i].op != SB_IR_END_LOOP) {
            continue;
        }
        move_ranges *ranges = &q->ranges[i];
        pending_moves moves = {0};
        ranges->finals_first = (uint32_t)q->ordered.count;
        collect_finals(q, i, &q->ordered);
        ranges->moves_first = (uint32_t)q->ordered.count;
        ranges->finals_count = ranges->moves_first - ranges->finals_first;
        collect_moves(q, q->insts[i].b, &moves);
        order_moves(q, &moves, &q->ordered);
        ranges->moves_count = (uint32_t)q->ordered.count - ranges->moves_first;
        SB_VEC_RELEASE(&moves);
    }
    for (size_t k = 0; k < q->ordered.count && !q->no_memory; k++) {
        const pending_move *move = &q->ordered.items[k];
        q->no_memory = !SB_VEC_PUSH(&q->p->moves, (sb_move){.o = slot_of_place(q, move->o),
                                                            .a = slot_of_place(q, move->a),
                                                            .prim = move->prim,
                                                            .from_cell = move->a.is_cell,
                                                            .to_cell = move->o.is_cell});
    }
}

/* --- steps --------------------------------------------------------------------------------------------------------------- */

static uint32_t slot_of(const preparer *q, sb_value v)
{
    return v == 0 ? 0 : slot_of_place(q, q->places[v]);
}

static sb_form form_of(const preparer *q, sb_value a, sb_value b)
{
    return (sb_form)((q->cell[a] ? SB_FORM_CV : 0) | (q->cell[b] ? SB_FORM_VC : 0));
}

static void step_select(const preparer *q, sb_step *step, uint32_t i, sb_value cond, sb_value x,
                        sb_value y)
{
    step->kind = q->cell[cond] ? SB_STEP_CHOOSE : SB_STEP_SELECT;
    step->a = slot_of(q, cond);
    step->b = slot_of(q, x);
    step->c = slot_of(q, y);
    step->form = (uint8_t)form_of(q, x, y);
    step->uniform = q->cell[i] != 0;
    step->in_place = step->o == step->a || step->o == step->b || step->o == step->c;
}

/* Up to three operands, each a cell or not. */
static void step_operands(const preparer *q, sb_step *step, const sb_inst *inst)
{
    const sb_value operands[SB_OPERANDS_MAX] = {inst->a, inst->b, inst->c};
    uint32_t slots[SB_OPERANDS_MAX] = {0, 0, 0};
    const uint32_t count = sb_op_infos[inst->op].operand_count;
    step->form = 0;
    for (uint32_t k = 0; k < SB_COUNT_OF(operands); k++) {
        const sb_value v = k < count ? operands[k] : inst->a; /* what is lacking is not read */
        slots[k] = slot_of(q, v);
        step->form |= (uint8_t)((q->cell[v] != 0) << k);
    }
    step->a = slots[0];
    step->b = slots[1];
    step->c = slots[2];
}

static void step_op(const preparer *q, sb_step *step, uint32_t i)
{
    const sb_inst *inst = &q->insts[i];
    if ((sb_op_infos[inst->op].flags & SB_OP_LIST_FLAG) != 0) {
        step->kind = SB_STEP_LIST;
        step->imm = inst->op - SB_IR_LIST_NEW;
        step_operands(q, step, inst);
        return;
    }
    const sb_interp_kernel *kernel = &sb_interp_kernels[inst->op];
    const sb_value b = sb_op_infos[inst->op].operand_count > 1 ? inst->b : inst->a;
    const bool leaves = (sb_op_infos[inst->op].flags & SB_OP_LEAVES) != 0;
    step->a = slot_of(q, inst->a);
    step->b = slot_of(q, b);
    step->kind = q->cell[i] ? SB_STEP_CELL : (leaves ? SB_STEP_LEAVING : SB_STEP_PLAIN);
    step->form = (uint8_t)(q->cell[i] ? SB_FORM_VV : form_of(q, inst->a, b));
    step->in_place = step->o == step->a || step->o == step->b;
    step->dense = kernel->dense[step->form];
    step->sparse = kernel->sparse[step->form];
    if (step->form == SB_FORM_VC) {
        sb_interp_by_constant(inst, &q->insts[b], &step->dense, &step->sparse);
    }
}

static void step_end_loop(const preparer *q, sb_step *step, uint32_t i)
{
    const sb_inst *inst = &q->insts[i];
    uint32_t body = inst->b + 1;
    while (q->insts[body].op == SB_IR_ARG) {
        body++;
    }
    step->kind = SB_STEP_END_LOOP;
    step->jump = q->step_of[body];
    const int64_t turns_max = q->insts[inst->b].imm.i;
    step->poll = turns_max == 0 || turns_max > SB_IR_TURNS_UNPOLLED;
    step->finals_first = q->ranges[i].finals_first;
    step->finals_count = q->ranges[i].finals_count;
    step->moves_first = q->ranges[i].moves_first;
    step->moves_count = q->ranges[i].moves_count;
}

static void step_store(const preparer *q, sb_step *step, const sb_inst *inst)
{
    step->kind = SB_STEP_STORE;
    step->prim = inst->a != 0 ? q->insts[inst->a].prim : SB_PRIM_VOID;
    step->form = (uint8_t)(q->cell[inst->a] ? SB_FORM_CV : SB_FORM_VV);
    step->has_valid = inst->b != 0;
    step->valid_cell = q->cell[inst->b] != 0;
}

static void step_call(preparer *q, sb_step *step, uint32_t i)
{
    const sb_ir *function = &q->p->ir->functions->items[q->insts[i].imm.i];
    step->kind = SB_STEP_CALL;
    step->finals_first = (uint32_t)q->p->moves.count;
    step->finals_count = (uint32_t)function->inputs.count;
    for (uint32_t k = 0; k < step->finals_count; k++) {
        const uint32_t pass = i - step->finals_count + k;
        q->no_memory = !SB_VEC_PUSH(&q->p->moves, (sb_move){.a = slot_of(q, pass)}) || q->no_memory;
    }
    step->moves_first = (uint32_t)q->p->moves.count;
    step->moves_count = (uint32_t)function->outputs.count;
    for (uint32_t k = 0; k < step->moves_count; k++) {
        q->no_memory =
            !SB_VEC_PUSH(&q->p->moves, (sb_move){.o = slot_of(q, i + 1 + k)}) || q->no_memory;
    }
}

/* False: the instruction needs no step. */
static bool make_step(preparer *q, sb_step *step, uint32_t i)
{
    const sb_inst *inst = &q->insts[i];
    *step = (sb_step){.prim = inst->prim, .reason = inst->reason, .imm = inst->imm.i};
    step->o = slot_of(q, inst->prim == SB_PRIM_VOID ? 0 : i);
    step->a = slot_of(q, inst->prim == SB_PRIM_VOID ? inst->a : 0);
    step->b = slot_of(q, inst->op == SB_IR_STORE ? inst->b : 0);
    step->uniform = q->cell[inst->a] != 0;
    step->keep = q->shared[i] != 0;
    switch (inst->op) {
    case SB_IR_NOP:
    case SB_IR_IN:
    case SB_IR_CONST_B:
    case SB_IR_CONST_I:
    case SB_IR_CONST_F:
    case SB_IR_RESULT:
    case SB_IR_GOT:
    case SB_IR_KEEP:
        return false;
    case SB_IR_IN_VALID:
        step->kind = SB_STEP_VALID;
        return true;
    case SB_IR_SELECT:
        step_select(q, step, i, inst->a, inst->b, inst->c);
        return true;
    case SB_IR_MERGE:
        step_select(q, step, i, q->insts[q->owner[i]].a, inst->a, inst->b);
        return true;
    case SB_IR_ARG:
    case SB_IR_PASS:
        step->kind = SB_STEP_COPY;
        step->a = slot_of(q, inst->a);
        step->form = (uint8_t)(q->cell[inst->a] ? SB_FORM_CV : SB_FORM_VV);
        step->uniform = inst->op == SB_IR_ARG && q->cell[i] != 0;
        step->keep = inst->op == SB_IR_PASS && step->keep;
        return inst->op == SB_IR_PASS || step->o != step->a;
    case SB_IR_CALL:
        step_call(q, step, i);
        return true;
    case SB_IR_LEAVE_IF:
        step->kind = SB_STEP_LEAVE;
        return true;
    case SB_IR_NP_WARN_F64:
        step->kind = SB_STEP_WARN;
        step_operands(q, step, inst);
        return true;
    case SB_IR_IF:
        step->kind = SB_STEP_IF;
        return true;
    case SB_IR_ELSE:
        step->kind = SB_STEP_ELSE;
        step->a = slot_of(q, q->insts[inst->b].a);
        step->uniform = q->cell[q->insts[inst->b].a] != 0;
        return true;
    case SB_IR_END_IF:
        step->kind = SB_STEP_END_IF;
        return true;
    case SB_IR_LOOP:
        step->kind = SB_STEP_LOOP;
        return true;
    case SB_IR_END_LOOP:
        step_end_loop(q, step, i);
        return true;
    case SB_IR_STORE:
        step_store(q, step, inst);
        return true;
    default:
        step_op(q, step, i);
        return true;
    }
}

static void add_const(preparer *q, uint32_t i)
{
    const sb_inst *inst = &q->insts[i];
    sb_cell_init init = {.slot = slot_of(q, i), .prim = inst->prim};
    if (inst->op == SB_IR_CONST_F) {
        init.value.f = inst->imm.f;
    } else {
        init.value.i = inst->imm.i;
    }
    q->no_memory = !SB_VEC_PUSH(&q->p->cells, init) || q->no_memory;
}

static void make_steps(preparer *q)
{
    sb_interp *p = q->p;
    for (uint32_t i = 0; i < q->count && !q->no_memory; i++) {
        const uint8_t op = q->insts[i].op;
        sb_step step;
        q->step_of[i] = (uint32_t)p->steps.count;
        if (op == SB_IR_CONST_B || op == SB_IR_CONST_I || op == SB_IR_CONST_F) {
            add_const(q, i);
        }
        if (make_step(q, &step, i) && !SB_VEC_PUSH(&p->steps, step)) {
            q->no_memory = true;
        }
    }
    if (q->no_memory) {
        return;
    }
    for (uint32_t i = 0; i < q->count; i++) { /* forward jumps */
        const sb_inst *inst = &q->insts[i];
        const uint32_t at = q->step_of[i];
        if (inst->op == SB_IR_IF) {
            p->steps.items[at].jump = q->step_of[inst->b];
        } else if (inst->op == SB_IR_ELSE) {
            p->steps.items[at].jump = q->step_of[q->insts[inst->b].c];
        } else if (inst->op == SB_IR_LOOP) {
            p->steps.items[at].jump = q->step_of[inst->b] + 1;
        }
    }
}

/* --- the whole ------------------------------------------------------------------------------------------------------------ */

static bool alloc_scratch(preparer *q)
{
    const size_t count = q->count;
    uint32_t **arrays[] = {&q->loop,   &q->region, &q->owner,     &q->last,
                           &q->shared, &q->dies,   &q->dies_next, &q->step_of};
    for (size_t k = 0; k < SB_COUNT_OF(arrays); k++) {
        *arrays[k] = sb_mem_alloc_zero(count * sizeof(uint32_t));
        if (*arrays[k] == NULL) {
            return false;
        }
    }
    q->ranges = sb_mem_alloc_zero(count * sizeof(*q->ranges));
    q->cell = sb_mem_alloc_zero(count);
    q->places = sb_mem_alloc_zero(count * sizeof(*q->places));
    return q->ranges != NULL && q->cell != NULL && q->places != NULL;
}

static void free_scratch(preparer *q)
{
    uint32_t *arrays[] = {q->loop,   q->region, q->owner,     q->last,
                          q->shared, q->dies,   q->dies_next, q->step_of};
    for (size_t k = 0; k < SB_COUNT_OF(arrays); k++) {
        sb_mem_free(arrays[k]);
    }
    sb_mem_free(q->ranges);
    sb_mem_free(q->cell);
    sb_mem_free(q->places);
    SB_VEC_RELEASE(&q->ordered);
    SB_VEC_RELEASE(&q->files[FILE_WIDE].free);
    SB_VEC_RELEASE(&q->files[FILE_NARROW].free);
}

sb_status sb_interp_new(const sb_ir *ir, sb_interp **out, sb_error *err)
{
    sb_interp *p = sb_mem_alloc_zero(sizeof(*p));
    if (p == NULL) {
        return sb_error_no_memory(err, sizeof(*p));
    }
    p->ir = ir;
    p->input_count = (uint32_t)ir->inputs.count;
    preparer q = {.p = p, .insts = ir->insts.items, .count = (uint32_t)ir->insts.count};
    q.no_memory = !alloc_scratch(&q);
    if (!q.no_memory) {
        find_regions(&q);
        find_cells(&q);
        find_uses(&q);
        extend_args(&q);
        place_all(&q);
    }
    if (!q.no_memory) {
        plan_moves(&q);
        make_steps(&q);
        p->wide_count = q.files[FILE_WIDE].count;
        p->narrow_count = q.files[FILE_NARROW].count;
    }
    free_scratch(&q);
    if (q.no_memory) {
        sb_interp_free(p);
        return sb_error_no_memory(err, ir->insts.count * sizeof(sb_step));
    }
    if (ir->owns_functions) {
        const sb_status status = sb_interp_prepare_functions(p, err);
        if (status != SB_OK) {
            sb_interp_free(p);
            return status;
        }
    }
    *out = p;
    return SB_OK;
}

void sb_interp_free(sb_interp *interp)
{
    if (interp != NULL) {
        sb_interp_free_functions(interp);
        SB_VEC_RELEASE(&interp->steps);
        SB_VEC_RELEASE(&interp->moves);
        SB_VEC_RELEASE(&interp->cells);
        sb_mem_free(interp);
    }
}
