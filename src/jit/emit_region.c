/* Lane masks, checks, IF and LOOP.
 *
 * Checks. With one lane a check is a branch: to the exit that returns BAD, or to the row's leave. With more lanes the fast
 * entry gathers what it finds: sign bits as they come (one `or` a check) or booleans, masked where a mask is at hand; it looks at
 * them at the end of a block, and round loops whose length garbage could drive up. The careful entry takes the lanes out of
 * every mask at once: `alive` loses them, the mask at hand loses them, and masks of outer regions are met with `alive`
 * when their region goes on.
 *
 * IF. A uniform condition is a jump. Else both regions run under masks and MERGE selects: without branches when they are short and
 * free of loops, with a jump round each region that no lane takes when not.
 *
 * LOOP. Arguments live in allocas. With a uniform condition all lanes make the same turns and the arguments are stored plainly: lanes
 * outside of the mask do not count. Else the loop has a mask of its own, a turn stores under it, and the loop runs until it
 * is empty; a lane that stopped keeps its last values, which are the results. An argument that all lanes still in the loop share is a
 * scalar; where it is a result, each lane has a copy.
 * Infinite garbage: a lane that left or went bad must not keep a loop alive, so a loop tests for that before it starts (fast),
 * at each turn when turns may be many (fast), or whether a lane is left at all (careful). */
#include "jit/emit_int.h"

#include <inttypes.h>

#define FLAT_WEIGHT_MAX                                                                            \
    24u /* instructions of an IF that are run for all lanes rather than branched over */
#define FEW_TURNS                                                                                  \
    1024 /* a loop of at most so many turns is finished before bad lanes are looked at */

/* --- facts about regions ------------------------------------------------------------------------------------------- */

/* By a constant: a shift or a mask, or some products. */
static uint32_t division_weight(const sb_inst *inst, const sb_inst *divisor)
{
    if (inst->uniform || divisor->op != SB_IR_CONST_I) {
        return inst->uniform ? 2 : 16;
    }
    const int64_t by = divisor->imm.i;
    return by > 0 && (by & (by - 1)) == 0 ? 1 : 9;
}

uint32_t sb_emit_weight(const sb_ir *ir, const sb_inst *inst)
{
    switch (inst->op) {
    case SB_IR_PY_FLOORDIV_F64:
    case SB_IR_PY_MOD_F64:
        return 40;
    case SB_IR_PY_FLOORDIV_I64:
    case SB_IR_PY_MOD_I64:
        return division_weight(inst, &ir->insts.items[inst->b]);
    case SB_IR_IX_UDIV:
        return inst->uniform ? 2 : 16;
    case SB_IR_PY_MUL_I64:
    case SB_IR_PY_TRUEDIV_F64:
    case SB_IR_PY_TRUEDIV_I64:
        return inst->uniform ? 1 : 3;
    default:
        if (sb_slow_infos[inst->op].call > 0) {
            return 100;
        }
        return inst->uniform ? 0 : 1;
    }
}

static bool may_leave(const sb_emitter *e, size_t i)
{
    const uint8_t op = e->ir->insts.items[i].op;
    const bool watches = op == SB_IR_NP_WARN_F64 || op == SB_IR_RESULT;
    return watches && !e->careful ? e->watch[i] == SB_EMIT_WATCH_HERE
                                  : (sb_op_infos[op].flags & SB_OP_LEAVES) != 0;
}

void sb_emit_infos(sb_emitter *e)
{
    const sb_inst *insts = e->ir->insts.items;
    uint32_t depth = 0;
    for (size_t i = 1; i < e->ir->insts.count; i++) {
        const sb_inst *inst = &insts[i];
        const bool opens = inst->op == SB_IR_IF || inst->op == SB_IR_LOOP;
        const bool closes = inst->op == SB_IR_END_IF || inst->op == SB_IR_END_LOOP;
        if (opens) {
            e->frames[depth++].inst = (sb_value)i;
        } else if (closes) {
            SB_ASSERT(depth > 0);
            const sb_value opener = e->frames[--depth].inst;
            sb_emit_region_info *info = &e->infos[opener];
            info->end = (uint32_t)i;
            if (depth > 0) {
                sb_emit_region_info *outer = &e->infos[e->frames[depth - 1].inst];
                outer->weight += info->weight;
                outer->leaves |= info->leaves;
                outer->loops |= info->loops || insts[opener].op == SB_IR_LOOP;
            }
        } else if (depth > 0) {
            sb_emit_region_info *info = &e->infos[e->frames[depth - 1].inst];
            info->weight += sb_emit_weight(e->ir, inst);
            info->leaves |= may_leave(e, i);
        }
    }
}

/* --- masks and checks ---------------------------------------------------------------------------------------------- */

sb_ev sb_emit_base(sb_emitter *e)
{
    return e->base.kind != EV_NONE ? e->base : sb_emit_spread_bits(e, "%mask_bits");
}

sb_ev sb_emit_mask(sb_emitter *e)
{
    return e->mask.kind == EV_NONE ? sb_emit_base(e) : e->mask;
}

sb_ev sb_emit_relevant(sb_emitter *e, sb_ev cond)
{
    return e->mask.kind == EV_NONE ? cond : sb_eb_and(e, e->mask, cond);
}

void sb_emit_flush_bad(sb_emitter *e)
{
    if (e->bad_words.kind != EV_NONE) {
        const sb_ev before = sb_eb_load(e, e->words_slot - 1, SB_PRIM_I64, true);
        sb_eb_store(e, e->words_slot - 1, sb_eb_bin(e, "or", before, e->bad_words));
        e->bad_words.kind = EV_NONE;
    }
    if (e->bad_lanes.kind != EV_NONE) {
        const sb_ev before = sb_eb_load(e, e->lanes_slot - 1, SB_PRIM_B, true);
        sb_eb_store(e, e->lanes_slot - 1, sb_eb_bin(e, "or", before, e->bad_lanes));
        e->bad_lanes.kind = EV_NONE;
    }
}

/* A slot that every block starts with `zero` in. */
static uint32_t block_slot(sb_emitter *e, sb_ev zero)
{
    const uint32_t slot = sb_eb_slot(e, zero.prim, true);
    sb_buf *out = e->out;
    e->out = &e->head;
    sb_eb_store(e, slot, sb_eb_widen(e, zero));
    e->out = out;
    return slot + 1;
}

static void add_bad_lanes(sb_emitter *e, sb_ev lanes)
{
    if (e->lanes_slot == 0) {
        e->lanes_slot = block_slot(e, sb_ev_bool(false));
    }
    e->bad_lanes = e->bad_lanes.kind == EV_NONE ? lanes : sb_eb_bin(e, "or", e->bad_lanes, lanes);
}

static void add_bad_words(sb_emitter *e, sb_ev words)
{
    if (e->words_slot == 0) {
        e->words_slot = block_slot(e, sb_ev_int(0));
    }
    e->bad_words = e->bad_words.kind == EV_NONE ? words : sb_eb_bin(e, "or", e->bad_words, words);
}

void sb_emit_test_bad(sb_emitter *e)
{
    if (e->lanes == 1 || (e->words_slot == 0 && e->lanes_slot == 0)) {
        return;
    }
    sb_emit_flush_bad(e);
    sb_ev bad = {.kind = EV_NONE};
    if (e->words_slot != 0) {
        const sb_ev words = sb_eb_load(e, e->words_slot - 1, SB_PRIM_I64, true);
        bad = sb_eb_cmp(e, "icmp slt", words, sb_ev_int(0));
    }
    if (e->lanes_slot != 0) {
        const sb_ev lanes = sb_eb_load(e, e->lanes_slot - 1, SB_PRIM_B, true);
        bad = bad.kind == EV_NONE ? lanes : sb_eb_bin(e, "or", bad, lanes);
    }
    const uint32_t look = sb_eb_label_new(e);
    const uint32_t good = sb_eb_label_new(e);
    const sb_ev some = sb_eb_any(e, bad);
    sb_eb_branch_rare(e, some, look, good);
    sb_eb_label(e, look); /* a lane that is not asked for may be bad */
    const sb_ev any = sb_eb_any(e, sb_eb_and(e, bad, sb_emit_base(e)));
    sb_buf_text(e->out, "  br i1 ");
    sb_eb_put(e, any);
    sb_buf_printf(e->out, ", label %%exit_bad, label %%b%" PRIu32 ", !prof !0\n", good);
    sb_eb_label(e, good);
}

static void check_scalar_row(sb_emitter *e, sb_ev cond, sb_reason reason)
{
    const uint32_t next = sb_eb_label_new(e);
    const uint32_t leaves = sb_eb_label_new(e);
    sb_eb_branch_rare(e, cond, leaves, next);
    sb_eb_label(e, leaves);
    if (e->careful) {
        sb_buf_printf(e->out, "  store i32 %d, ptr %%row_reason\n  br label %%row_leaves\n",
                      (int)reason);
    } else {
        sb_buf_text(e->out, "  br label %exit_bad\n");
    }
    sb_eb_label(e, next);
}

/* A uniform check is nearly always false: one scalar test, nothing for the lanes. */
static void check_uniform_fast(sb_emitter *e, sb_ev cond)
{
    const sb_ev lanes = e->mask.kind == EV_NONE ? sb_eb_widen(e, sb_ev_bool(true)) : e->mask;
    if (cond.kind == EV_CONST) {
        add_bad_lanes(e, lanes);
        return;
    }
    const uint32_t bad = sb_eb_label_new(e);
    const uint32_t next = sb_eb_label_new(e);
    sb_eb_branch_rare(e, cond, bad, next);
    sb_eb_label(e, bad);
    add_bad_lanes(e, lanes);
    sb_eb_jump(e, next);
    sb_eb_label(e, next);
}

static void check_careful(sb_emitter *e, sb_ev cond, sb_reason reason)
{
    const sb_ev leaving = sb_eb_and(e, sb_emit_mask(e), sb_eb_widen(e, cond));
    const sb_ev alive = sb_eb_load(e, e->alive_slot, SB_PRIM_B, true);
    sb_eb_store(e, e->alive_slot, sb_eb_and(e, alive, sb_eb_not(e, leaving)));
    const uint32_t before = e->temps++;
    const uint32_t after = e->temps++;
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = load <%" PRIu32 " x i8>, ptr %%t%" PRIu32 "\n",
                  before, e->lanes, e->reason_slot);
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = select <%" PRIu32 " x i1> ", after, e->lanes);
    sb_eb_put(e, leaving);
    sb_buf_printf(e->out, ", <%" PRIu32 " x i8> splat (i8 %d), <%" PRIu32 " x i8> %%t%" PRIu32 "\n",
                  e->lanes, (int)reason, e->lanes, before);
    sb_buf_printf(e->out, "  store <%" PRIu32 " x i8> %%t%" PRIu32 ", ptr %%t%" PRIu32 "\n",
                  e->lanes, after, e->reason_slot);
    e->mask = sb_eb_and(e, sb_emit_mask(e), sb_eb_not(e, leaving));
}

void sb_emit_check(sb_emitter *e, sb_ev cond, sb_reason reason)
{
    if (sb_ev_is_bool(cond, false)) {
        return;
    }
    e->checks = true;
    if (e->lanes == 1) {
        check_scalar_row(e, cond, reason);
    } else if (e->careful) {
        check_careful(e, cond, reason);
    } else if (!cond.vec) {
        check_uniform_fast(e, cond);
    } else {
        add_bad_lanes(e, sb_emit_relevant(e, cond));
    }
}

void sb_emit_check_sign(sb_emitter *e, sb_ev word, sb_reason reason)
{
    if (e->careful || !word.vec) {
        sb_emit_check(e, sb_eb_cmp(e, "icmp slt", word, sb_ev_int(0)), reason);
        return;
    }
    e->checks = true;
    add_bad_words(e, e->mask.kind == EV_NONE ? word : sb_eb_select(e, e->mask, word, sb_ev_int(0)));
}

/* The mask with which the enclosing region goes on. */
static sb_ev mask_after(sb_emitter *e, const sb_emit_frame *frame)
{
    if (!e->careful || e->lanes == 1 || !e->infos[frame->inst].leaves) {
        return frame->outer;
    }
    return sb_eb_and(e, frame->outer, sb_eb_load(e, e->alive_slot, SB_PRIM_B, true));
}

/* --- if ------------------------------------------------------------------------------------------------------------ */

static bool is_vec(const sb_emitter *e, const sb_inst *inst)
{
    return e->lanes > 1 && !inst->uniform;
}

static sb_ev merge_operand(sb_emitter *e, const sb_inst *merge, sb_value operand)
{
    const sb_ev v = e->values[operand];
    return is_vec(e, merge) ? sb_eb_widen(e, v) : v;
}

/* What stands for a value of a region that was skipped: never used, never poison. */
static sb_ev nothing(sb_ev like)
{
    return (sb_ev){.kind = EV_CONST, .prim = like.prim, .vec = like.vec};
}

static bool is_merge(const sb_emitter *e, size_t i)
{
    return i < e->ir->insts.count && e->ir->insts.items[i].op == SB_IR_MERGE;
}

void sb_emit_if(sb_emitter *e, sb_value i)
{
    const sb_emit_region_info *info = &e->infos[i];
    sb_emit_frame *frame = &e->frames[e->frame_count++];
    *frame =
        (sb_emit_frame){.inst = i, .outer = e->mask, .cond = e->values[e->ir->insts.items[i].a]};
    frame->first = sb_eb_label_new(e);
    frame->last = sb_eb_label_new(e);
    if (!frame->cond.vec) {
        const uint32_t then = sb_eb_label_new(e);
        frame->kind = SB_EMIT_IF_JUMP;
        sb_eb_branch(e, frame->cond, then, frame->first);
        sb_eb_label(e, then);
    } else if (!info->loops && info->weight <= FLAT_WEIGHT_MAX) {
        frame->kind = SB_EMIT_IF_FLAT;
        if (info->leaves) {
            e->mask = sb_emit_relevant(e, frame->cond);
        }
    } else {
        const uint32_t then = sb_eb_label_new(e);
        frame->kind = SB_EMIT_IF_LANES;
        e->mask = sb_eb_and(e, sb_emit_mask(e), frame->cond);
        const sb_ev some = sb_eb_any(e, e->mask);
        sb_eb_branch(e, some, then, frame->first);
        frame->skip_from = e->label;
        sb_eb_label(e, then);
    }
}

/* Between the regions of an IF_LANES: the then-region's values, and the jump round the else-region. */
static void else_lanes(sb_emitter *e, sb_emit_frame *frame)
{
    const sb_inst *insts = e->ir->insts.items;
    frame->then_from = e->label;
    sb_eb_jump(e, frame->first);
    sb_eb_label(e, frame->first);
    for (size_t m = e->infos[frame->inst].end + 1; is_merge(e, m); m++) {
        const sb_ev v = e->values[insts[m].a];
        const bool inside = insts[m].a > frame->inst && v.kind == EV_TEMP;
        e->values[m] = inside ? sb_eb_phi(e, v, frame->then_from, nothing(v), frame->skip_from) : v;
    }
    const uint32_t other = sb_eb_label_new(e);
    e->mask = frame->outer;
    e->mask = sb_eb_and(e, sb_emit_mask(e), sb_eb_not(e, frame->cond));
    const sb_ev some = sb_eb_any(e, e->mask);
    sb_eb_branch(e, some, other, frame->last);
    frame->skip_from = e->label;
    sb_eb_label(e, other);
}

void sb_emit_else(sb_emitter *e)
{
    sb_emit_frame *frame = &e->frames[e->frame_count - 1];
    const sb_emit_region_info *info = &e->infos[frame->inst];
    const sb_inst *insts = e->ir->insts.items;
    if (frame->kind == SB_EMIT_IF_LANES) {
        else_lanes(e, frame);
        return;
    }
    for (size_t m = info->end + 1; is_merge(e, m); m++) {
        e->values[m] = merge_operand(e, &insts[m], insts[m].a);
    }
    e->mask = frame->outer;
    if (frame->kind == SB_EMIT_IF_JUMP) {
        frame->then_from = e->label;
        sb_eb_jump(e, frame->last);
        sb_eb_label(e, frame->first);
    } else if (info->leaves) {
        const sb_ev other = sb_eb_not(e, frame->cond);
        e->mask = sb_emit_relevant(e, other);
    }
}

void sb_emit_end_if(sb_emitter *e)
{
    const sb_emit_frame *frame = &e->frames[--e->frame_count];
    const sb_inst *insts = e->ir->insts.items;
    const size_t first = e->infos[frame->inst].end + 1;
    const bool jumps = frame->kind == SB_EMIT_IF_JUMP;
    for (size_t m = first; is_merge(e, m); m++) {
        e->others[m] = jumps ? merge_operand(e, &insts[m], insts[m].b) : e->values[insts[m].b];
    }
    if (frame->kind != SB_EMIT_IF_FLAT) {
        const uint32_t from = e->label;
        sb_eb_jump(e, frame->last);
        sb_eb_label(e, frame->last);
        for (size_t m = first; is_merge(e, m); m++) {
            const sb_ev v = e->others[m];
            if (jumps) {
                e->values[m] = sb_eb_phi(e, e->values[m], frame->then_from, v, from);
            } else if (insts[m].b > frame->inst && v.kind == EV_TEMP) {
                e->others[m] = sb_eb_phi(e, v, from, nothing(v), frame->skip_from);
            }
        }
    }
    for (size_t m = first; !jumps && is_merge(e, m); m++) {
        e->values[m] = sb_eb_select(e, frame->cond, e->values[m], e->others[m]);
    }
    e->mask = mask_after(e, frame);
}

/* Without mask registers a mask that lives from turn to turn is kept as words: as bits it would be packed and unpacked. */
static uint32_t mask_slot(sb_emitter *e)
{
    return sb_eb_slot(e, e->multiplies ? SB_PRIM_B : SB_PRIM_I64, true);
}

static void store_first_mask(sb_emitter *e, uint32_t slot, sb_ev mask)
{
    sb_eb_store(e, slot, e->multiplies ? mask : sb_eb_cast(e, "sext", mask, SB_PRIM_I64));
}

/* Takes the lanes that do not go on out of the loop's mask; is one left? `frame->words` are the words that this turn began
 * with: the optimizer sees through sext alone, not through their `and`. */
static sb_ev store_next_mask(sb_emitter *e, const sb_emit_frame *frame, sb_ev again)
{
    again = sb_eb_widen(e, again);
    if (e->careful || e->multiplies) { /* lanes may have left in this turn */
        again = sb_eb_and(e, e->mask, again);
    }
    if (e->multiplies) {
        sb_eb_store(e, frame->mask_slot, again);
        return sb_eb_any(e, again);
    }
    const sb_ev go = sb_eb_cast(e, "sext", again, SB_PRIM_I64);
    const sb_ev words = sb_eb_bin(e, "and", frame->words, go);
    sb_eb_store(e, frame->mask_slot, words);
    const sb_ev some = sb_eb_temp(e, SB_PRIM_I64, false);
    sb_buf_printf(e->out, "call i64 @llvm.vector.reduce.or.v%" PRIu32 "i64(%s %%t%" PRIu32 ")\n",
                  e->lanes, sb_eb_type(e, SB_PRIM_I64, true), words.id);
    return sb_eb_cmp(e, "icmp ne", some, sb_ev_int(0));
}

static sb_ev load_mask(sb_emitter *e, sb_emit_frame *frame)
{
    if (e->multiplies) {
        return sb_eb_load(e, frame->mask_slot, SB_PRIM_B, true);
    }
    frame->words = sb_eb_load(e, frame->mask_slot, SB_PRIM_I64, true);
    return sb_eb_cmp(e, "icmp slt", frame->words, sb_ev_int(0));
}

/* --- loop ---------------------------------------------------------------------------------------------------------- */

static bool is_op(const sb_emitter *e, size_t i, sb_op_code op)
{
    return i < e->ir->insts.count && e->ir->insts.items[i].op == op;
}

static bool few_turns(const sb_emitter *e, sb_value loop)
{
    const int64_t turns = e->ir->insts.items[loop].imm.i;
    return turns > 0 && turns <= FEW_TURNS && !e->infos[loop].loops;
}

/* Does something before or round this loop leave, so that garbage may reach it? */
static bool may_have_left(const sb_emitter *e)
{
    bool leaves = e->checks;
    for (uint32_t k = 0; k < e->frame_count; k++) {
        leaves |= e->frames[k].kind == SB_EMIT_LOOP && e->infos[e->frames[k].inst].leaves;
    }
    return leaves;
}

/* Results of arguments that are one for all lanes of a turn: each lane keeps the last that it saw. */
static bool is_kept_by_lane(const sb_emitter *e, const sb_inst *result)
{
    return is_vec(e, result) && !e->others[result->a].vec;
}

static void begin_results(sb_emitter *e, const sb_emit_frame *frame)
{
    const sb_inst *insts = e->ir->insts.items;
    for (size_t k = e->infos[frame->inst].end + 1; is_op(e, k, SB_IR_RESULT); k++) {
        e->others[k] = e->others[insts[k].a];
        if (is_kept_by_lane(e, &insts[k])) {
            e->others[k].vec = true;
            e->others[k].id = sb_eb_slot(e, insts[k].prim, true);
            sb_eb_store(e, e->others[k].id, sb_eb_widen(e, e->values[insts[insts[k].a].a]));
        }
    }
}

void sb_emit_loop(sb_emitter *e, sb_value i)
{
    const sb_inst *insts = e->ir->insts.items;
    const sb_inst *end = &insts[e->infos[i].end];
    if (!e->careful && !few_turns(e, i) && may_have_left(e)) {
        if (e->infos[i].leaves ||
            e->frame_count > 0) { /* the slots a turn of an outer loop may fill later */
            e->words_slot = e->words_slot != 0 ? e->words_slot : block_slot(e, sb_ev_int(0));
            e->lanes_slot = e->lanes_slot != 0 ? e->lanes_slot : block_slot(e, sb_ev_bool(false));
        }
        sb_emit_test_bad(e);
    }
    sb_emit_frame *frame = &e->frames[e->frame_count++];
    *frame = (sb_emit_frame){.kind = SB_EMIT_LOOP, .inst = i};
    frame->uniform = !is_vec(e, &insts[end->a]);
    frame->first = sb_eb_label_new(e);
    frame->last = sb_eb_label_new(e);
    frame->outer = e->mask;
    for (size_t k = i + 1; is_op(e, k, SB_IR_ARG); k++) {
        const bool vec = is_vec(e, &insts[k]);
        const sb_ev init = e->values[insts[k].a];
        e->others[k] = (sb_ev){.kind = EV_TEMP, .prim = insts[k].prim, .vec = vec};
        e->others[k].id = sb_eb_slot(e, insts[k].prim, vec);
        sb_eb_store(e, e->others[k].id, vec ? sb_eb_widen(e, init) : init);
    }
    begin_results(e, frame);
    if (!frame->uniform) {
        frame->mask_slot = mask_slot(e);
        store_first_mask(e, frame->mask_slot, sb_eb_widen(e, sb_emit_mask(e)));
    }
    sb_eb_jump(e, frame->first);
    sb_eb_label(e, frame->first);
    for (size_t k = i + 1; is_op(e, k, SB_IR_ARG); k++) {
        e->values[k] = sb_eb_load(e, e->others[k].id, insts[k].prim, e->others[k].vec);
    }
    if (!frame->uniform) {
        e->mask = load_mask(e, frame);
    } else if (e->careful && e->lanes > 1 && e->infos[i].leaves) {
        /* a lane that left in a turn before must not leave again, for what comes then */
        const sb_ev alive = sb_eb_load(e, e->alive_slot, SB_PRIM_B, true);
        e->mask = sb_eb_and(e, sb_emit_mask(e), alive);
    }
}

static void store_args(sb_emitter *e, const sb_emit_frame *frame)
{
    const sb_inst *insts = e->ir->insts.items;
    for (size_t k = frame->inst + 1; is_op(e, k, SB_IR_ARG); k++) {
        sb_ev next = e->values[insts[k].b];
        if (e->others[k].vec) {
            next = sb_eb_widen(e, next);
            if (!frame->uniform) {
                next = sb_eb_select(e, e->mask, next, e->values[k]);
            }
        }
        sb_eb_store(e, e->others[k].id, next);
    }
    for (size_t k = e->infos[frame->inst].end + 1; is_op(e, k, SB_IR_RESULT); k++) {
        if (is_kept_by_lane(e, &insts[k])) {
            const sb_ev next = sb_eb_widen(e, e->values[insts[insts[k].a].b]);
            const sb_ev last = sb_eb_load(e, e->others[k].id, insts[k].prim, true);
            sb_eb_store(e, e->others[k].id, sb_eb_select(e, e->mask, next, last));
        }
    }
}

/* Is there another turn? A scalar. */
static sb_ev another_turn(sb_emitter *e, const sb_emit_frame *frame, sb_ev again)
{
    if (!frame->uniform) {
        return store_next_mask(e, frame, again);
    }
    if (e->careful && e->lanes > 1 && may_have_left(e)) {
        return sb_eb_and(e, again, sb_eb_any(e, sb_emit_mask(e)));
    }
    return again;
}

static void poll_stop(sb_emitter *e)
{
    const uint32_t word = e->temps++;
    const uint32_t next = sb_eb_label_new(e);
    /* volatile, not atomic: an atomic load would keep the optimizer from moving others round it */
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = load volatile i32, ptr %%stop, align 4\n", word);
    const sb_ev set = sb_eb_temp(e, SB_PRIM_B, false);
    sb_buf_printf(e->out, "icmp ne i32 %%t%" PRIu32 ", 0\n", word);
    sb_emit_flush_bad(e);
    sb_buf_text(e->out, "  br i1 ");
    sb_eb_put(e, set);
    sb_buf_printf(e->out, ", label %%exit_stop, label %%b%" PRIu32 ", !prof !0\n", next);
    sb_eb_label(e, next);
}

void sb_emit_end_loop(sb_emitter *e, sb_value i)
{
    const sb_inst *insts = e->ir->insts.items;
    const sb_emit_frame *frame = &e->frames[e->frame_count - 1];
    store_args(e, frame);
    const sb_ev again = another_turn(e, frame, e->values[insts[i].a]);
    const uint32_t turn = sb_eb_label_new(e);
    sb_eb_branch(e, again, turn, frame->last);
    sb_eb_label(e, turn);
    const int64_t turns_max = insts[frame->inst].imm.i;
    if (turns_max == 0 || turns_max > SB_IR_TURNS_UNPOLLED) {
        poll_stop(e);
    }
    if (!e->careful && e->infos[frame->inst].leaves && !few_turns(e, frame->inst)) {
        sb_emit_test_bad(e);
    }
    sb_eb_jump(e, frame->first);
    sb_eb_label(e, frame->last);
    for (size_t k = i + 1; is_op(e, k, SB_IR_RESULT); k++) {
        const sb_ev slot = e->others[k];
        e->values[k] = sb_eb_load(e, slot.id, slot.prim, slot.vec);
    }
    e->mask = mask_after(e, frame);
    e->frame_count--;
    for (size_t k = i + 1; !e->careful && is_op(e, k, SB_IR_RESULT); k++) {
        if (e->watch[k] == SB_EMIT_WATCH_HERE) {
            sb_emit_check_finite(e, e->values[k]);
        }
    }
}
