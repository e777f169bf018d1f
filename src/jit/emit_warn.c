/* Where the fast entry looks whether NumPy would warn.
 *
 * NumPy warns where an operation makes a NaN or an infinity of operands that were none (NP_WARN_F64). The careful entry asks exactly
 * that. The fast entry may be wrong towards "leaves", so there it is enough to know that a result is not finite; and one look can stand
 * for many, since what is not finite stays so through + - *, as a dividend, and when rounded to float32 or negated (sticky ops).
 *
 * A value is guarded when some check surely finds it if it is not finite in a row that the code at hand counts for. Going backwards
 * through the program:
 *   NP_WARN_F64 a      a guarded: nothing to do. Else it looks at a, which is guarded from there on.
 *   a sticky op        guarded itself: its sticky operands are, when they are made in the same region, so that the rows are the same.
 *   MERGE              guarded itself: what comes from inside of a side is, for the rows of that side. What comes from outside is when
 *                      the other side depends on it, too.
 *   END_LOOP           for an ARG whose next value depends on it (`total = total + x`): what once is not finite stays so until the last
 *                      turn. So when its RESULT is guarded, the next value is in every turn; an unguarded one gets a look of its own
 *                      when warnings hang on it. A loop of sums has one look behind it, and none in it.
 * A depends on B: A is not finite in every row in which B is not. That is B itself, a sticky op of what depends, a MERGE of two sides
 * that do, a RESULT whose ARG starts with what depends and keeps it.
 *
 * What is put off changes no value, so loops take the turns that CPython's would; a row that is found out late is found out.
 * Infinities and NaN that come from columns send their vector to the careful entry, which is slower and exact.
 *
 * Memory: scratch of the emitter. Threads: one. */
#include "jit/emit_int.h"

#define GUARDED 1u
#define WARNED 2u    /* an NP_WARN_F64 looks at it */
#define STEPS_MAX 64 /* of one question whether a value depends on another */

/* The operands through which an op is not finite: how many, from the first on. */
static unsigned sticky_operands(uint8_t op)
{
    switch (op) {
    case SB_IR_PY_ADD_F64:
    case SB_IR_PY_SUB_F64:
    case SB_IR_PY_MUL_F64:
        return 2;
    case SB_IR_PY_TRUEDIV_F64:
    case SB_IR_PY_NEG_F64:
    case SB_IR_PY_ABS_F64:
    case SB_IR_NP_F32:
        return 1;
    default:
        return 0;
    }
}

/* The region of each instruction: its IF, ELSE or LOOP; 0 at top. Gives whether there is anything to watch. */
static bool find_scopes(const sb_emitter *e)
{
    const sb_inst *insts = e->ir->insts.items;
    uint32_t scope = 0;
    bool any = false;
    for (uint32_t i = 1; i < e->ir->insts.count; i++) {
        const sb_inst *inst = &insts[i];
        e->known[i] = 0;
        e->watch[i] = SB_EMIT_WATCH_NOT;
        if (inst->op == SB_IR_ELSE) {
            e->scopes[i] = e->scopes[inst->b];
            scope = i;
            continue;
        }
        if (inst->op == SB_IR_END_IF || inst->op == SB_IR_END_LOOP) {
            scope = e->scopes[inst->b];
        }
        e->scopes[i] = scope;
        if (inst->op == SB_IR_IF || inst->op == SB_IR_LOOP) {
            scope = i;
        } else if (inst->op == SB_IR_NP_WARN_F64) {
            e->known[inst->a] |= WARNED;
            any = true;
        }
    }
    return any;
}

/* Is v not finite wherever `from` is not? *warned: some value on the way is one that NumPy may warn of. */
static bool depends(const sb_emitter *e, sb_value v, sb_value from, unsigned *steps, bool *warned)
{
    const sb_inst *insts = e->ir->insts.items;
    const sb_inst *inst = &insts[v];
    if (v == from) {
        return true;
    }
    if (v < from || ++*steps > STEPS_MAX) {
        return false;
    }
    bool holds = false;
    const unsigned sticky = sticky_operands(inst->op);
    if (inst->op == SB_IR_MERGE) {
        holds =
            depends(e, inst->a, from, steps, warned) && depends(e, inst->b, from, steps, warned);
    } else if (inst->op == SB_IR_RESULT) {
        const sb_inst *arg = &insts[inst->a];
        holds =
            depends(e, arg->a, from, steps, warned) && depends(e, arg->b, inst->a, steps, warned);
    } else if (sticky > 0) {
        holds = depends(e, inst->a, from, steps, warned) ||
                (sticky > 1 && depends(e, inst->b, from, steps, warned));
    }
    *warned |= holds && (e->known[v] & WARNED) != 0;
    return holds;
}

static void guard(const sb_emitter *e, sb_value v, uint32_t scope)
{
    if (e->scopes[v] == scope) {
        e->known[v] |= GUARDED;
    }
}

/* The region of a value is the side of the IF when it is made there. */
static void guard_sides(const sb_emitter *e, uint32_t i)
{
    const sb_inst *insts = e->ir->insts.items;
    const sb_inst *merge = &insts[i];
    uint32_t end = i;
    while (insts[end].op == SB_IR_MERGE) {
        end--;
    }
    const uint32_t opener = insts[end].b;
    const sb_value sides[2] = {merge->a, merge->b};
    const uint32_t scopes[2] = {opener, insts[opener].b};
    for (unsigned k = 0; k < 2; k++) {
        unsigned steps = 0;
        bool warned = false;
        guard(e, sides[k], scopes[k]);
        if (depends(e, sides[1 - k], sides[k], &steps, &warned)) {
            guard(e, sides[k], e->scopes[i]);
        }
    }
}

static sb_value result_of(const sb_emitter *e, uint32_t end, sb_value arg)
{
    const sb_inst *insts = e->ir->insts.items;
    for (uint32_t k = end + 1; k < e->ir->insts.count && insts[k].op == SB_IR_RESULT; k++) {
        if (insts[k].a == arg) {
            return k;
        }
    }
    return 0;
}

static void guard_turns(const sb_emitter *e, uint32_t end)
{
    const sb_inst *insts = e->ir->insts.items;
    const sb_value loop = insts[end].b;
    for (sb_value arg = loop + 1; insts[arg].op == SB_IR_ARG; arg++) {
        const sb_value result = insts[arg].prim == SB_PRIM_F64 ? result_of(e, end, arg) : 0;
        const sb_value next = insts[arg].b;
        unsigned steps = 0;
        bool warned = false;
        if (result == 0 || next == arg || !depends(e, next, arg, &steps, &warned) || !warned) {
            continue;
        }
        if (!(e->known[result] & GUARDED)) {
            e->watch[result] = SB_EMIT_WATCH_HERE;
            e->known[result] |= GUARDED;
        }
        guard(e, next, loop);
    }
}

static void visit(const sb_emitter *e, uint32_t i)
{
    const sb_inst *inst = &e->ir->insts.items[i];
    const uint32_t scope = e->scopes[i];
    const bool guarded = (e->known[i] & GUARDED) != 0;
    switch (inst->op) {
    case SB_IR_NP_WARN_F64:
        if (!(e->known[inst->a] & GUARDED) || e->scopes[inst->a] != scope) {
            e->watch[i] = SB_EMIT_WATCH_HERE;
            guard(e, inst->a, scope);
        }
        break;
    case SB_IR_END_LOOP:
        guard_turns(e, i);
        break;
    case SB_IR_MERGE:
        if (guarded) {
            guard_sides(e, i);
        }
        break;
    default:
        for (unsigned k = 0; guarded && k < sticky_operands(inst->op); k++) {
            guard(e, k == 0 ? inst->a : inst->b, scope);
        }
        break;
    }
}

void sb_emit_plan_watch(sb_emitter *e)
{
    if (!find_scopes(e) || e->careful) {
        return;
    }
    for (uint32_t i = (uint32_t)e->ir->insts.count - 1; i > 0; i--) {
        visit(e, i);
    }
}
