/* After building: dead code goes, uniformity and facts are computed, the result is verified.
 *
 * Dead code: marking from what must stay (stores, leaves, ops that may raise, loops) through operands, region markers and loop
 * edges; the rest is dropped and values are renumbered. Integer + - * that nobody uses go although they could leave: in CPython
 * they cannot fail.
 * Uniformity: optimistic fixpoint. A value is uniform when all its operands are and no divergent choice made it: a merge
 * also needs a uniform condition, a loop's result a uniform end_loop. A loop's arguments do not: rows that are still in the loop have made
 * the same turns.
 * Memory: scratch arrays, freed before return. Threads: one. */
#include "base/mem.h"
#include "ir/ir.h"

#define UNKNOWN_TURNS 100 /* assumed for the cost of a loop whose turns are not known */
#define CALL_COST 300     /* of a function that may call itself */
#define COST_MAX 1000000000u

typedef struct finisher {
    sb_ir *ir;
    uint32_t *
        region; /* per instruction: the IF or LOOP it is directly inside of, 0 at top; for MERGE/RESULT too */
    uint32_t *owner; /* MERGE: its IF; ARG: its LOOP; RESULT: 0 */
    uint8_t *live;
    uint32_t *stack; /* worklist, at most one entry an instruction */
    uint64_t *turns; /* of the loops around an instruction */
    size_t stack_count;
} finisher;

static void mark(finisher *f, sb_value v)
{
    if (!f->live[v]) {
        f->live[v] = 1;
        f->stack[f->stack_count++] = v;
    }
}

/* Region and owner of every instruction. Nesting is kept in the region array itself: no recursion, no stack. */
static void find_regions(finisher *f)
{
    const sb_inst *insts = f->ir->insts.items;
    uint32_t current = 0;
    uint32_t last_end = 0; /* region marker whose results follow */
    for (size_t i = 0; i < f->ir->insts.count; i++) {
        switch (insts[i].op) {
        case SB_IR_IF:
        case SB_IR_LOOP:
            f->region[i] = current;
            current = (uint32_t)i;
            break;
        case SB_IR_ELSE:
            f->region[i] = current;
            break;
        case SB_IR_END_IF:
        case SB_IR_END_LOOP:
            f->region[i] = current;
            last_end = current;
            current = f->region[current];
            break;
        case SB_IR_MERGE:
            f->region[i] = current;
            f->owner[i] = last_end;
            break;
        case SB_IR_ARG:
            f->region[i] = current;
            f->owner[i] = current;
            break;
        default:
            f->region[i] = current;
            break;
        }
    }
}

static void mark_structure(finisher *f, sb_value v)
{
    const sb_inst *inst = &f->ir->insts.items[v];
    if (f->region[v] != 0) {
        mark(f, f->region[v]);
    }
    switch (inst->op) {
    case SB_IR_IF:
        mark(f, inst->b);
        mark(f, inst->c);
        break;
    case SB_IR_LOOP:
        mark(f, inst->b);
        break;
    case SB_IR_MERGE:
        mark(f, f->owner[v]);
        break;
    case SB_IR_CALL: {
        const sb_ir *function = &f->ir->functions->items[inst->imm.i];
        for (uint32_t k = 0; k < function->inputs.count; k++) {
            mark(f, v - 1 - k);
        }
        for (uint32_t k = 0; k < function->outputs.count; k++) {
            mark(f, v + 1 + k);
        }
        break;
    }
    default:
        break;
    }
}

static void mark_all(finisher *f)
{
    const sb_inst *insts = f->ir->insts.items;
    for (size_t i = 0; i < f->ir->insts.count; i++) {
        bool root = insts[i].op == SB_IR_STORE || insts[i].op == SB_IR_LOOP ||
                    (sb_op_infos[insts[i].op].flags & (SB_OP_RAISES | SB_OP_STAYS)) != 0;
        if (root) {
            mark(f, (sb_value)i);
        }
    }
    while (f->stack_count > 0) {
        sb_value v = f->stack[--f->stack_count];
        const sb_inst *inst = &insts[v];
        mark_structure(f, v);
        const sb_value operands[SB_OPERANDS_MAX] = {inst->a, inst->b, inst->c};
        for (unsigned k = 0; k < SB_OPERANDS_MAX && k < sb_op_infos[inst->op].operand_count; k++) {
            if (operands[k] != 0) {
                mark(f, operands[k]);
            }
        }
    }
}

static void compact(finisher *f)
{
    sb_ir *ir = f->ir;
    uint32_t *renumbered = f->stack; /* free by now */
    size_t count = 0;
    f->live[0] = 1;
    for (size_t i = 0; i < ir->insts.count; i++) {
        renumbered[i] = (uint32_t)count;
        if (f->live[i]) {
            ir->insts.items[count++] = ir->insts.items[i];
        }
    }
    ir->insts.count = count;
    for (size_t i = 0; i < count; i++) {
        sb_inst *inst = &ir->insts.items[i];
        inst->a = renumbered[inst->a];
        inst->b = renumbered[inst->b];
        inst->c = renumbered[inst->c];
    }
}

static bool is_uniform(const finisher *f, sb_value v)
{
    const sb_inst *insts = f->ir->insts.items;
    const sb_inst *inst = &insts[v];
    if ((sb_op_infos[inst->op].flags & SB_OP_LIST_FLAG) != 0) {
        return false; /* each row has lists of its own */
    }
    switch (inst->op) {
    case SB_IR_IN:
    case SB_IR_IN_VALID:
    case SB_IR_PASS:
    case SB_IR_GOT:
        return false;
    case SB_IR_MERGE:
        if (!insts[insts[f->owner[v]].a].uniform) {
            return false;
        }
        break;
    case SB_IR_RESULT:
        if (!insts[insts[insts[f->owner[inst->a]].b].a].uniform) {
            return false;
        }
        break;
    default:
        break;
    }
    const sb_value operands[SB_OPERANDS_MAX] = {inst->a, inst->b, inst->c};
    for (unsigned k = 0; k < SB_OPERANDS_MAX && k < sb_op_infos[inst->op].operand_count; k++) {
        if (!insts[operands[k]].uniform) {
            return false;
        }
    }
    return true;
}

static void find_uniform(finisher *f)
{
    sb_ir *ir = f->ir;
    for (size_t i = 0; i < ir->insts.count; i++) {
        ir->insts.items[i].uniform = 1;
    }
    bool changed = true;
    while (changed) {
        changed = false;
        for (size_t i = 0; i < ir->insts.count; i++) {
            sb_inst *inst = &ir->insts.items[i];
            if (inst->uniform && !is_uniform(f, (sb_value)i)) {
                inst->uniform = 0;
                changed = true;
            }
        }
    }
}

static uint32_t reasons_of(const sb_inst *inst)
{
#define BIT(name) (1u << SB_REASON_##name)
    switch (inst->op) {
    case SB_IR_PY_EXACT_FLOAT_I64:
        return BIT(BIGINT);
    case SB_IR_PY_ADD_I64:
    case SB_IR_PY_SUB_I64:
    case SB_IR_PY_MUL_I64:
    case SB_IR_PY_NEG_I64:
        return BIT(OVERFLOW);
    case SB_IR_PY_FLOORDIV_I64:
        return BIT(OVERFLOW) | BIT(DIV_ZERO);
    case SB_IR_PY_TRUEDIV_I64:
        return BIT(BIGINT) | BIT(DIV_ZERO);
    case SB_IR_PY_MOD_I64:
    case SB_IR_PY_TRUEDIV_F64:
    case SB_IR_PY_FLOORDIV_F64:
    case SB_IR_PY_MOD_F64:
        return BIT(DIV_ZERO);
    case SB_IR_PY_ABS_I64:
        return BIT(OVERFLOW);
    case SB_IR_PY_LSHIFT_I64:
    case SB_IR_PY_INT_F64:
        return BIT(OVERFLOW) | BIT(RAISE);
    case SB_IR_PY_RSHIFT_I64:
    case SB_IR_MATH_SQRT:
        return BIT(RAISE);
    case SB_IR_LEAVE_IF:
        return 1u << inst->reason;
    case SB_IR_NP_WARN_F64:
        return BIT(NP_WARNING);
    case SB_IR_LIST_GET:
    case SB_IR_LIST_SET:
    case SB_IR_LIST_POP:
        return BIT(RAISE);
    case SB_IR_LIST_NEW:
    case SB_IR_LIST_APPEND:
    case SB_IR_LIST_INSERT:
    case SB_IR_LIST_SLICE:
    case SB_IR_LIST_REPEAT:
    case SB_IR_LIST_EXTEND:
    case SB_IR_LIST_SORT_I64:
        return BIT(MEMORY);
    case SB_IR_LIST_SORT_F64:
    case SB_IR_LIST_SORT_BY_I64:
    case SB_IR_LIST_SORT_BY_F64:
        return BIT(MEMORY) | BIT(TYPE_TAG);
    case SB_IR_LIST_FIND_F64:
    case SB_IR_LIST_EQ_F64:
        return BIT(TYPE_TAG);
    case SB_IR_CALL:
        return BIT(DEPTH);
    default:
        return sb_slow_infos[inst->op].call > 0 ? 1u << sb_slow_infos[inst->op].reason : 0;
    }
#undef BIT
}

static uint32_t cost_of(const sb_inst *inst)
{
    switch (inst->op) {
    case SB_IR_PY_FLOORDIV_I64:
    case SB_IR_PY_MOD_I64:
    case SB_IR_IX_UDIV:
        return 10;
    case SB_IR_PY_FLOORDIV_F64:
    case SB_IR_PY_MOD_F64:
        return 20;
    case SB_IR_PY_TRUEDIV_I64:
    case SB_IR_PY_TRUEDIV_F64:
    case SB_IR_MATH_SQRT:
        return 4;
    case SB_IR_CALL:
        return CALL_COST;
    case SB_IR_PY_MUL_I64:
    case SB_IR_PY_LSHIFT_I64:
    case SB_IR_PY_INT_F64:
        return 3;
    case SB_IR_PY_ADD_I64:
    case SB_IR_PY_SUB_I64:
    case SB_IR_LIST_LEN:
    case SB_IR_LIST_GET:
    case SB_IR_LIST_SET:
        return 2;
    case SB_IR_LIST_APPEND:
    case SB_IR_LIST_POP:
        return 5;
    case SB_IR_NOP:
    case SB_IR_CONST_B:
    case SB_IR_CONST_I:
    case SB_IR_CONST_F:
    case SB_IR_ELSE:
    case SB_IR_END_IF:
    case SB_IR_KEEP:
        return 0;
    default:
        return sb_slow_infos[inst->op].call > 0 ||
                       (sb_op_infos[inst->op].flags & SB_OP_LIST_FLAG) != 0
                   ? 30
                   : 1;
    }
}

static void find_facts(finisher *f)
{
    sb_ir *ir = f->ir;
    uint64_t cost = 0;
    ir->leave_reasons = 0;
    ir->has_loop = false;
    ir->has_list = false;
    for (size_t i = 0; i < ir->insts.count; i++) {
        const sb_inst *inst = &ir->insts.items[i];
        uint64_t around = f->region[i] == 0 ? 1 : f->turns[f->region[i]];
        f->turns[i] = around;
        if (inst->op == SB_IR_LOOP) {
            uint64_t turns = inst->imm.i > 0 ? (uint64_t)inst->imm.i : UNKNOWN_TURNS;
            f->turns[i] = turns > COST_MAX / around ? COST_MAX : around * turns;
            ir->has_loop = true;
        } else if (inst->op == SB_IR_CALL) {
            ir->has_loop = true;
        } else if (inst->op == SB_IR_IN) {
            ir->inputs.items[inst->imm.i].reads_values = true;
        } else if (inst->op == SB_IR_IN_VALID) {
            ir->inputs.items[inst->imm.i].reads_valid = true;
        }
        ir->has_list |= (sb_op_infos[inst->op].flags & SB_OP_LIST_FLAG) != 0;
        ir->leave_reasons |= reasons_of(inst);
        cost += around * cost_of(inst);
        cost = cost > COST_MAX ? COST_MAX : cost;
    }
    ir->cost = (uint32_t)cost;
    for (uint32_t k = 0; ir->owns_functions && k < ir->functions->count; k++) {
        ir->leave_reasons |= ir->functions->items[k].leave_reasons;
    }
}

static sb_status finish(sb_ir *ir, sb_error *err)
{
    size_t count = ir->insts.count;
    sb_status status = SB_OK;
    finisher f = {.ir = ir};
    f.region = sb_mem_alloc_zero(count * sizeof(*f.region));
    f.owner = sb_mem_alloc_zero(count * sizeof(*f.owner));
    f.live = sb_mem_alloc_zero(count);
    f.stack = sb_mem_alloc_zero(count * sizeof(*f.stack));
    f.turns = sb_mem_alloc_zero(count * sizeof(*f.turns));
    if (f.region == NULL || f.owner == NULL || f.live == NULL || f.stack == NULL ||
        f.turns == NULL) {
        status = sb_error_no_memory(err, count * sizeof(uint64_t));
        goto out;
    }
    find_regions(&f);
    mark_all(&f);
    compact(&f);
    find_regions(&f);
    find_uniform(&f);
    find_facts(&f);
    status = sb_ir_verify(ir, err);
out:
    sb_mem_free(f.region);
    sb_mem_free(f.owner);
    sb_mem_free(f.live);
    sb_mem_free(f.stack);
    sb_mem_free(f.turns);
    return status;
}

sb_status sb_ir_finish(sb_irb *b, sb_error *err)
{
    if (b->no_memory) {
        return sb_error_no_memory(err, b->ir->insts.count * sizeof(sb_inst));
    }
    if (b->too_large) {
        return sb_error_set(err, SB_LIMIT, "the function needs more than %zu instructions",
                            b->insts_max);
    }
    /* Dead code can only be told in a well-formed program. */
    sb_status status = sb_ir_verify(b->ir, err);
    return status == SB_OK ? finish(b->ir, err) : status;
}
