/* Options, the choice of width, and the frame of one entry: what is round the emitted body.
 *
 *     entry      input pointers, allocas
 *     block      the next `lanes` rows; is the block whole (all its rows are asked for, no `active`)?
 *       partial  its mask from row0, row1, active; nothing to do: next block
 *     body       head (per block state), the ops
 *     end        fast: a lane must leave -> exit_bad. careful: append to the leave list, or exit_grow
 *     stores     whole: plain; else old and new values are blended, so that other rows keep their bytes
 *     exits      status and row
 *
 * With one lane a block is a row: inactive rows are skipped, leaving jumps to row_leaves, stores are single.
 * Stores are gathered while the ops are walked (e->values holds what they store), since they come after all that leaves.
 *
 * Width. Short bodies are interleaved: the latency of a chain of operations hides behind other chains, and the loop round the
 * block costs less a row. Long ones would run out of registers. An int64 product or division in lanes needs conversions that
 * only AVX-512 has; below that few lanes keep the rare exact path short, and loops whose rows make different numbers of turns are
 * scalar: a turn under a mask costs more there than the lanes win.
 *
 * Memory: one allocation for the tables, three buffers; all given back. */
#include "jit/emit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ir/kernel.h"
#include "jit/emit_int.h"

typedef struct level {
    const char *name;
    const char *processor; /* LLVM's name of it */
    const char *attributes;
    bool converts, multiplies, fuses;
    uint32_t short_body;  /* weight up to which `lanes_short` rows run side by side */
    uint32_t medium_body; /* ... `lanes_medium` rows */
    int lanes_short, lanes_medium, lanes_long;
} level;

static const level levels[] = {
    {"x86-64", "x86-64", "\"target-cpu\"=\"x86-64\"", false, false, false, 10, 0, 16, 8, 8},
    {"x86-64-v2", "x86-64-v2", "\"target-cpu\"=\"x86-64-v2\"", false, false, false, 10, 0, 16, 8,
     8},
    {"x86-64-v3", "x86-64-v3", "\"target-cpu\"=\"x86-64-v3\"", false, false, true, 16, 0, 16, 8, 8},
    {"x86-64-v4", "x86-64-v4",
     "\"target-cpu\"=\"x86-64-v4\" \"prefer-vector-width\"=\"512\" "
     "\"min-legal-vector-width\"=\"512\"",
     true, true, true, 18, 56, 32, 16, 8},
    {"aarch64", "generic", "", true, false, true, 10, 0, 16, 8, 8},
    {"generic", "generic", "", false, false, false, 10, 0, 16, 8, 8},
};

static const level *level_of(const char *name)
{
    for (size_t i = 0; name != NULL && i < SB_COUNT_OF(levels); i++) {
        if (strcmp(levels[i].name, name) == 0) {
            return &levels[i];
        }
    }
    return NULL;
}

const char *sb_emit_processor(const char *cpu_level)
{
    const level *found = level_of(cpu_level);
    return found != NULL ? found->processor : cpu_level;
}

int sb_emit_choose_lanes(const sb_ir *ir, const char *cpu_level)
{
    const level *found = level_of(cpu_level);
    if (found == NULL || ir->has_list) {
        return 1;
    }
    uint32_t body = 0;
    if (ir->owns_functions) {
        return 1;
    }
    for (size_t i = 1; i < ir->insts.count; i++) {
        const sb_inst *inst = &ir->insts.items[i];
        if (inst->op == SB_IR_END_LOOP && !ir->insts.items[inst->a].uniform && !found->multiplies) {
            return 1;
        }
        const uint8_t flags = sb_op_infos[inst->op].flags;
        body += (flags & SB_OP_STRUCT) == 0 ? sb_emit_weight(ir, inst) : 0;
    }
    if (body <= found->short_body) {
        return found->lanes_short;
    }
    return body <= found->medium_body ? found->lanes_medium : found->lanes_long;
}

/* --- pointers and bitmaps ------------------------------------------------------------------------------------------- */

/* A field of type ptr, loaded once a call. */
static uint32_t load_pointer(sb_emitter *e, const char *base, size_t offset)
{
    const uint32_t at = e->temps++;
    const uint32_t pointer = e->temps++;
    sb_buf_printf(&e->prologue, "  %%t%" PRIu32 " = getelementptr i8, ptr %s, i64 %zu\n", at, base,
                  offset);
    sb_buf_printf(&e->prologue, "  %%t%" PRIu32 " = load ptr, ptr %%t%" PRIu32 ", align 8\n",
                  pointer, at);
    return pointer;
}

uint32_t sb_emit_input_values(sb_emitter *e, uint32_t input)
{
    if (e->input_values[input] == 0) {
        e->input_values[input] =
            load_pointer(e, "%in", input * sizeof(sb_kin) + offsetof(sb_kin, values)) + 1;
    }
    return e->input_values[input] - 1;
}

uint32_t sb_emit_input_valid(sb_emitter *e, uint32_t input)
{
    if (e->input_valids[input] == 0) {
        const uint32_t given =
            load_pointer(e, "%in", input * sizeof(sb_kin) + offsetof(sb_kin, valid));
        const uint32_t none = e->temps++;
        const uint32_t used = e->temps++;
        sb_buf_printf(&e->prologue, "  %%t%" PRIu32 " = icmp eq ptr %%t%" PRIu32 ", null\n", none,
                      given);
        sb_buf_printf(&e->prologue,
                      "  %%t%" PRIu32 " = select i1 %%t%" PRIu32 ", ptr %%ones, ptr %%t%" PRIu32
                      "\n",
                      used, none, given);
        e->input_valids[input] = used + 1;
    }
    return e->input_valids[input] - 1;
}

/* AVX-512 has masks of bits. Elsewhere the bits are spread to all lanes and each looks at its own. */
sb_ev sb_emit_spread_bits(sb_emitter *e, const char *bits)
{
    if (e->multiplies) {
        const sb_ev lanes = sb_eb_temp(e, SB_PRIM_B, true);
        sb_buf_printf(e->out, "bitcast i%" PRIu32 " %s to %s\n", e->lanes, bits,
                      sb_eb_type(e, SB_PRIM_B, true));
        return lanes;
    }
    const sb_ev all = sb_eb_temp(e, SB_PRIM_I64, false);
    sb_buf_printf(e->out, "zext i%" PRIu32 " %s to i64\n", e->lanes, bits);
    const sb_ev spread = sb_eb_widen(e, all);
    const sb_ev own = sb_eb_temp(e, SB_PRIM_I64, true);
    sb_buf_printf(e->out, "and %s %%t%" PRIu32 ", %%lane_bits\n", sb_eb_type(e, SB_PRIM_I64, true),
                  spread.id);
    return sb_eb_cmp(e, "icmp ne", own, sb_ev_int(0));
}

uint32_t sb_emit_load_raw_bits(sb_emitter *e, uint32_t pointer)
{
    const uint32_t at = e->temps++;
    const uint32_t raw = e->temps++;
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = getelementptr i8, ptr %%t%" PRIu32 ", i64 %%row8\n",
                  at, pointer);
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = load i%" PRIu32 ", ptr %%t%" PRIu32 ", align 1\n",
                  raw, e->lanes == 1 ? 8 : e->lanes, at);
    return raw;
}

sb_ev sb_emit_load_bits(sb_emitter *e, uint32_t pointer)
{
    const uint32_t raw = sb_emit_load_raw_bits(e, pointer);
    if (e->lanes > 1) {
        char name[16];
        snprintf(name, sizeof(name), "%%t%" PRIu32, raw);
        return sb_emit_spread_bits(e, name);
    }
    const uint32_t shifted = e->temps++;
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = lshr i8 %%t%" PRIu32 ", %%bit\n", shifted, raw);
    const sb_ev bit = sb_eb_temp(e, SB_PRIM_B, false);
    sb_buf_printf(e->out, "trunc i8 %%t%" PRIu32 " to i1\n", shifted);
    return bit;
}

/* --- stores --------------------------------------------------------------------------------------------------------- */

static uint32_t output_pointer(sb_emitter *e, const sb_inst *store, bool valid)
{
    const size_t at = (size_t)store->imm.i * sizeof(sb_kout);
    return load_pointer(e, "%out",
                        at + (valid ? offsetof(sb_kout, valid) : offsetof(sb_kout, values)));
}

static void store_values(sb_emitter *e, const sb_inst *inst, uint32_t pointer, bool blend)
{
    const bool vec = e->lanes > 1;
    const sb_ev v = sb_eb_widen(e, e->values[inst->a]);
    const uint32_t at = e->temps++;
    const bool bytes = v.prim == SB_PRIM_B;
    char type[16];
    snprintf(type, sizeof(type), "%s", sb_eb_type(e, v.prim, vec));
    if (bytes) {
        snprintf(type, sizeof(type), vec ? "<%" PRIu32 " x i8>" : "i8", e->lanes);
    }
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = getelementptr %s, ptr %%t%" PRIu32 ", i64 %%row\n",
                  at, bytes ? "i8" : "i64", pointer);
    uint32_t id = v.id;
    if (bytes) {
        id = e->temps++;
        sb_buf_printf(e->out, "  %%t%" PRIu32 " = zext %s ", id, sb_eb_type(e, v.prim, vec));
        sb_eb_put(e, v);
        sb_buf_printf(e->out, " to %s\n", type);
    } else if (v.kind == EV_CONST) {
        id = sb_eb_unary(e, "freeze", v).id;
    }
    const uint32_t align = !vec ? (bytes ? 1u : 8u) : (bytes ? e->lanes : 64u);
    if (blend) {
        const uint32_t old = e->temps++;
        const uint32_t both = e->temps++;
        sb_buf_printf(e->out, "  %%t%" PRIu32 " = load %s, ptr %%t%" PRIu32 ", align %" PRIu32 "\n",
                      old, type, at, align);
        sb_buf_printf(e->out,
                      "  %%t%" PRIu32 " = select %s %%t%" PRIu32 ", %s %%t%" PRIu32
                      ", %s %%t%" PRIu32 "\n",
                      both, sb_eb_type(e, SB_PRIM_B, true), e->written.id, type, id, type, old);
        id = both;
    }
    sb_buf_printf(e->out, "  store %s %%t%" PRIu32 ", ptr %%t%" PRIu32 ", align %" PRIu32 "\n",
                  type, id, at, align);
}

static void store_valid_row(sb_emitter *e, sb_ev valid, uint32_t at)
{
    const uint32_t id = e->temps;
    e->temps += 5;
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = load i8, ptr %%t%" PRIu32 ", align 1\n", id, at);
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = zext i1 ", id + 1);
    sb_eb_put(e, valid);
    sb_buf_text(e->out, " to i8\n");
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = shl i8 %%t%" PRIu32 ", %%bit\n", id + 2, id + 1);
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = and i8 %%t%" PRIu32 ", %%other_bits\n", id + 3, id);
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = or i8 %%t%" PRIu32 ", %%t%" PRIu32 "\n", id + 4,
                  id + 3, id + 2);
    sb_buf_printf(e->out, "  store i8 %%t%" PRIu32 ", ptr %%t%" PRIu32 ", align 1\n", id + 4, at);
}

static void store_valid(sb_emitter *e, const sb_inst *inst, uint32_t pointer, bool blend)
{
    sb_ev valid = inst->b != 0 ? e->values[inst->b] : sb_ev_bool(true);
    const uint32_t at = e->temps++;
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = getelementptr i8, ptr %%t%" PRIu32 ", i64 %%row8\n",
                  at, pointer);
    if (e->lanes == 1) {
        store_valid_row(e, valid, at);
        return;
    }
    const sb_inst *source = &e->ir->insts.items[inst->b];
    uint32_t id;
    if (source->op == SB_IR_IN_VALID) { /* the input's bits as they are */
        id = sb_emit_load_raw_bits(e, sb_emit_input_valid(e, (uint32_t)source->imm.i));
    } else {
        valid = sb_eb_widen(e, valid);
        id = e->temps++;
        sb_buf_printf(e->out, "  %%t%" PRIu32 " = bitcast %s ", id, sb_eb_type(e, SB_PRIM_B, true));
        sb_eb_put(e, valid);
        sb_buf_printf(e->out, " to i%" PRIu32 "\n", e->lanes);
    }
    if (blend) {
        const uint32_t next = e->temps;
        e->temps += 4;
        const char *line = "  %%t%" PRIu32 " = %s i%" PRIu32 " %%t%" PRIu32 ", %s\n";
        sb_buf_printf(e->out, line, next, "and", e->lanes, id, "%written_bits");
        sb_buf_printf(e->out, "  %%t%" PRIu32 " = load i%" PRIu32 ", ptr %%t%" PRIu32 ", align 1\n",
                      next + 1, e->lanes, at);
        sb_buf_printf(e->out, line, next + 2, "and", e->lanes, next + 1, "%kept_bits");
        sb_buf_printf(e->out, "  %%t%" PRIu32 " = or i%" PRIu32 " %%t%" PRIu32 ", %%t%" PRIu32 "\n",
                      next + 3, e->lanes, next, next + 2);
        id = next + 3;
    }
    sb_buf_printf(e->out, "  store i%" PRIu32 " %%t%" PRIu32 ", ptr %%t%" PRIu32 ", align 1\n",
                  e->lanes, id, at);
}

static void store_all(sb_emitter *e, bool blend)
{
    for (size_t i = 1; i < e->ir->insts.count; i++) {
        const sb_inst *inst = &e->ir->insts.items[i];
        if (inst->op != SB_IR_STORE) {
            continue;
        }
        const sb_ir_output *output = &e->ir->outputs.items[inst->imm.i];
        if (inst->a != 0 && output->prim != SB_PRIM_VOID) {
            store_values(e, inst, output_pointer(e, inst, false), blend);
        }
        if (output->nullable) {
            store_valid(e, inst, output_pointer(e, inst, true), blend);
        }
    }
}

/* --- the end of a block --------------------------------------------------------------------------------------------- */

/* Appends the block's leaving lanes to the leave list, lowest first. */
static void record_leaves(sb_emitter *e)
{
    const uint32_t lanes = e->lanes;
    sb_buf *out = e->out;
    const sb_ev alive = sb_eb_load(e, e->alive_slot, SB_PRIM_B, true);
    sb_buf_printf(out,
                  "  %%alive_bits = bitcast <%" PRIu32 " x i1> %%t%" PRIu32 " to i%" PRIu32 "\n",
                  lanes, alive.id, lanes);
    sb_buf_printf(out,
                  "  %%left = xor i%" PRIu32 " %%alive_bits, %%mask_bits\n"
                  "  %%some_left = icmp ne i%" PRIu32 " %%left, 0\n"
                  "  br i1 %%some_left, label %%leaves, label %%stores, !prof !0\n"
                  "leaves:\n"
                  "  %%leave_capacity = load i32, ptr %%leave_capacity_at, align 4\n"
                  "  %%leave_count = load i32, ptr %%leave_count_at, align 8\n",
                  lanes, lanes);
    if (lanes < 32) {
        sb_buf_printf(out, "  %%left32 = zext i%" PRIu32 " %%left to i32\n", lanes);
    } else {
        sb_buf_text(out, "  %left32 = or i32 %left, 0\n");
    }
    sb_buf_printf(
        out,
        "  %%leaving = call i32 @llvm.ctpop.i32(i32 %%left32)\n"
        "  %%leave_end = add i32 %%leave_count, %%leaving\n"
        "  %%too_many = icmp sgt i32 %%leave_end, %%leave_capacity\n"
        "  br i1 %%too_many, label %%exit_grow, label %%record_start\n"
        "record_start:\n"
        "  %%reasons = load <%" PRIu32 " x i8>, ptr %%t%" PRIu32 "\n"
        "  store <%" PRIu32 " x i8> %%reasons, ptr %%reason_list\n"
        "  br label %%record\n"
        "record:\n"
        "  %%bits = phi i32 [ %%left32, %%record_start ], [ %%bits_next, %%record ]\n"
        "  %%slot = phi i32 [ %%leave_count, %%record_start ], [ %%slot_next, %%record ]\n"
        "  %%lane = call i32 @llvm.cttz.i32(i32 %%bits, i1 false)\n"
        "  %%reason_at = getelementptr i8, ptr %%reason_list, i32 %%lane\n"
        "  %%reason8 = load i8, ptr %%reason_at, align 1\n"
        "  %%reason32 = zext i8 %%reason8 to i32\n"
        "  %%reason_high = shl i32 %%reason32, 24\n"
        "  %%left_row = add i32 %%block_row, %%lane\n"
        "  %%entry_word = or i32 %%reason_high, %%left_row\n"
        "  %%entry_at = getelementptr i32, ptr %%leave, i32 %%slot\n"
        "  store i32 %%entry_word, ptr %%entry_at, align 4\n"
        "  %%bits_less = sub i32 %%bits, 1\n"
        "  %%bits_next = and i32 %%bits, %%bits_less\n"
        "  %%slot_next = add i32 %%slot, 1\n"
        "  %%more = icmp ne i32 %%bits_next, 0\n"
        "  br i1 %%more, label %%record, label %%recorded\n"
        "recorded:\n"
        "  store i32 %%leave_end, ptr %%leave_count_at, align 8\n"
        "  br label %%stores\n",
        lanes, e->reason_slot, lanes);
}

static void end_block_lanes(sb_emitter *e)
{
    const uint32_t lanes = e->lanes;
    const char *written = "%mask_bits";
    if (e->careful && e->checks) {
        record_leaves(e);
        written = "%alive_bits";
    } else {
        sb_emit_test_bad(e);
        sb_buf_text(e->out, "  br label %stores\n");
    }
    sb_buf_printf(e->out,
                  "stores:\n"
                  "  %%plain = icmp eq i%" PRIu32 " %s, -1\n"
                  "  br i1 %%plain, label %%stores_plain, label %%stores_blend, !prof !1\n"
                  "stores_plain:\n",
                  lanes, written);
    e->splat_count = 0;
    store_all(e, false);
    sb_buf_printf(e->out,
                  "  br label %%next\n"
                  "stores_blend:\n"
                  "  %%written_bits = or i%" PRIu32 " %s, 0\n"
                  "  %%kept_bits = xor i%" PRIu32 " %s, -1\n",
                  lanes, written, lanes, written);
    e->splat_count = 0;
    e->written = sb_emit_spread_bits(e, written);
    store_all(e, true);
    sb_buf_text(e->out, "  br label %next\n");
}

static void end_block_row(sb_emitter *e)
{
    sb_buf_text(e->out, "  %other_bits = xor i8 %this_bit, -1\n");
    store_all(e, false);
    sb_buf_text(e->out, "  br label %next\n");
    if (!e->careful) {
        return;
    }
    sb_buf_text(e->out, "row_leaves:\n"
                        "  %leave_capacity = load i32, ptr %leave_capacity_at, align 4\n"
                        "  %leave_count = load i32, ptr %leave_count_at, align 8\n"
                        "  %too_many = icmp sge i32 %leave_count, %leave_capacity\n"
                        "  br i1 %too_many, label %exit_grow, label %record\n"
                        "record:\n"
                        "  %reason32 = load i32, ptr %row_reason\n"
                        "  %reason_high = shl i32 %reason32, 24\n"
                        "  %entry_word = or i32 %reason_high, %block_row\n"
                        "  %entry_at = getelementptr i32, ptr %leave, i32 %leave_count\n"
                        "  store i32 %entry_word, ptr %entry_at, align 4\n"
                        "  %leave_end = add i32 %leave_count, 1\n"
                        "  store i32 %leave_end, ptr %leave_count_at, align 8\n"
                        "  br label %next\n");
}

/* --- one entry ------------------------------------------------------------------------------------------------------ */

void sb_emit_walk(sb_emitter *e)
{
    const sb_ir *ir = e->ir;
    for (sb_value i = 1; i < ir->insts.count; i++) {
        const sb_inst *inst = &ir->insts.items[i];
        switch (inst->op) {
        case SB_IR_IF:
            sb_emit_if(e, i);
            break;
        case SB_IR_ELSE:
            sb_emit_else(e);
            break;
        case SB_IR_END_IF:
            sb_emit_end_if(e);
            break;
        case SB_IR_LOOP:
            sb_emit_loop(e, i);
            break;
        case SB_IR_END_LOOP:
            sb_emit_end_loop(e, i);
            break;
        case SB_IR_CALL:
            sb_emit_call(e, i);
            break;
        case SB_IR_NOP:
        case SB_IR_MERGE:
        case SB_IR_ARG:
        case SB_IR_RESULT:
        case SB_IR_STORE:
        case SB_IR_PASS:
        case SB_IR_GOT:
        case SB_IR_KEEP:
            break;
        case SB_IR_NP_WARN_F64:
            sb_emit_warn(e, i);
            break;
        default:
            e->values[i] = sb_emit_op(e, inst);
            break;
        }
    }
}

/* The fields of sb_kcall that any entry may need; what is not used costs nothing after optimisation. */
static void begin_prologue(sb_emitter *e)
{
    static const struct {
        const char *name;
        size_t offset;
    } pointers[] = {
        {"in", offsetof(sb_kcall, in)},         {"out", offsetof(sb_kcall, out)},
        {"active", offsetof(sb_kcall, active)}, {"leave", offsetof(sb_kcall, leave)},
        {"rt", offsetof(sb_kcall, rt)},         {"stop", offsetof(sb_kcall, stop)},
        {"heap", offsetof(sb_kcall, heap)},
    };
    static const struct {
        const char *name;
        size_t offset;
    } fields[] = {
        {"status_at", offsetof(sb_kcall, status)},
        {"leave_count_at", offsetof(sb_kcall, leave_count)},
        {"leave_capacity_at", offsetof(sb_kcall, leave_capacity)},
    };
    sb_buf *out = &e->prologue;
    for (size_t i = 0; i < SB_COUNT_OF(fields); i++) {
        sb_buf_printf(out, "  %%%s = getelementptr i8, ptr %%call, i64 %zu\n", fields[i].name,
                      fields[i].offset);
    }
    for (size_t i = 0; i < SB_COUNT_OF(pointers); i++) {
        sb_buf_printf(out, "  %%%s_at = getelementptr i8, ptr %%call, i64 %zu\n", pointers[i].name,
                      pointers[i].offset);
        sb_buf_printf(out, "  %%%s = load ptr, ptr %%%s_at, align 8\n", pointers[i].name,
                      pointers[i].name);
    }
    sb_buf_printf(out, "  %%ones_at = getelementptr i8, ptr %%rt, i64 %zu\n",
                  offsetof(sb_rt_table, all_ones));
    sb_buf_text(out, "  %ones = load ptr, ptr %ones_at, align 8\n"
                     "  %dense = icmp eq ptr %active, null\n");
    if (e->lanes == 1) {
        sb_buf_text(out, "  %row_reason = alloca i32, align 8\n");
    } else if (!e->multiplies) {
        sb_buf_printf(out, "  %%lane_bits = or %s <", sb_eb_type(e, SB_PRIM_I64, true));
        for (uint32_t lane = 0; lane < e->lanes; lane++) {
            sb_buf_printf(out, "%si64 %" PRIu64, lane == 0 ? "" : ", ", UINT64_C(1) << lane);
        }
        sb_buf_text(out, ">, zeroinitializer\n");
    }
}

/* Per block state of the body. */
static void begin_body(sb_emitter *e)
{
    e->out = &e->body;
    e->label = sb_eb_label_new(e); /* b0, the block that `head` opens */
    e->mask = (sb_ev){.kind = EV_NONE};
    if (e->lanes == 1) {
        e->base = sb_ev_bool(true);
        e->mask = e->base;
        if (e->ir->has_list) {
            e->out = &e->head;
            sb_emit_heap_reset(e);
            e->out = &e->body;
        }
        return;
    }
    e->out = &e->head;
    e->base = (sb_ev){.kind = EV_NONE};
    if (e->careful) {
        e->base = sb_emit_spread_bits(e, "%mask_bits");
        e->mask = e->base;
        e->alive_slot = sb_eb_slot(e, SB_PRIM_B, true);
        sb_eb_store(e, e->alive_slot, e->base);
        e->reason_slot = e->temps++;
        sb_buf_printf(&e->prologue, "  %%t%" PRIu32 " = alloca <%" PRIu32 " x i8>, align 32\n",
                      e->reason_slot, e->lanes);
        sb_buf_printf(&e->prologue, "  %%reason_list = alloca <%" PRIu32 " x i8>, align 32\n",
                      e->lanes);
        sb_buf_printf(e->out, "  store <%" PRIu32 " x i8> zeroinitializer, ptr %%t%" PRIu32 "\n",
                      e->lanes, e->reason_slot);
    }
    e->out = &e->body;
}

static void write_block_start_row(sb_buf *text)
{
    sb_buf_text(text, "  %some_rows = icmp slt i32 %row0, %row1\n"
                      "  br i1 %some_rows, label %block, label %exit_done\n"
                      "block:\n"
                      "  %block_row = phi i32 [ %row0, %entry ], [ %next_row, %next ]\n"
                      "  %row = zext i32 %block_row to i64\n"
                      "  %row8 = lshr i64 %row, 3\n"
                      "  %row_low = trunc i64 %row to i8\n"
                      "  %bit = and i8 %row_low, 7\n"
                      "  %this_bit = shl i8 1, %bit\n"
                      "  br i1 %dense, label %b0, label %partial\n"
                      "partial:\n"
                      "  %active_byte_at = getelementptr i8, ptr %active, i64 %row8\n"
                      "  %active_byte = load i8, ptr %active_byte_at, align 1\n"
                      "  %active_bit = and i8 %active_byte, %this_bit\n"
                      "  %inactive = icmp eq i8 %active_bit, 0\n"
                      "  br i1 %inactive, label %next, label %b0\n"
                      "b0:\n");
}

static void write_block_start_lanes(sb_buf *text, uint32_t w)
{
    sb_buf_printf(text,
                  "  %%first_row = and i32 %%row0, -%" PRIu32 "\n"
                  "  %%some_rows = icmp slt i32 %%row0, %%row1\n"
                  "  br i1 %%some_rows, label %%block, label %%exit_done\n"
                  "block:\n"
                  "  %%block_row = phi i32 [ %%first_row, %%entry ], [ %%next_row, %%next ]\n"
                  "  %%row = zext i32 %%block_row to i64\n"
                  "  %%row8 = lshr i64 %%row, 3\n"
                  "  %%block_end = add i32 %%block_row, %" PRIu32 "\n"
                  "  %%from_start = icmp sge i32 %%block_row, %%row0\n"
                  "  %%to_end = icmp sle i32 %%block_end, %%row1\n"
                  "  %%in_range = and i1 %%from_start, %%to_end\n"
                  "  %%whole = and i1 %%in_range, %%dense\n"
                  "  br i1 %%whole, label %%b0, label %%partial, !prof !1\n"
                  "partial:\n"
                  "  %%before = sub i32 %%row0, %%block_row\n"
                  "  %%skip = call i32 @llvm.smax.i32(i32 %%before, i32 0)\n"
                  "  %%after = sub i32 %%block_end, %%row1\n"
                  "  %%cut = call i32 @llvm.smax.i32(i32 %%after, i32 0)\n"
                  "  %%low_ones = lshr i32 %" PRIu32 ", %%cut\n"
                  "  %%high_ones = shl i32 -1, %%skip\n"
                  "  %%range_bits = and i32 %%low_ones, %%high_ones\n"
                  "  %%active_or_ones = select i1 %%dense, ptr %%ones, ptr %%active\n"
                  "  %%active_bits_at = getelementptr i8, ptr %%active_or_ones, i64 %%row8\n"
                  "  %%active_bits = load i%" PRIu32 ", ptr %%active_bits_at, align 1\n",
                  w, w, w == 32 ? UINT32_MAX : (1u << w) - 1, w);
    if (w < 32) {
        sb_buf_printf(text, "  %%range = trunc i32 %%range_bits to i%" PRIu32 "\n", w);
    } else {
        sb_buf_text(text, "  %range = or i32 %range_bits, 0\n");
    }
    sb_buf_printf(text,
                  "  %%partial_bits = and i%" PRIu32 " %%active_bits, %%range\n"
                  "  %%nothing = icmp eq i%" PRIu32 " %%partial_bits, 0\n"
                  "  br i1 %%nothing, label %%next, label %%b0\n"
                  "b0:\n"
                  "  %%mask_bits = phi i%" PRIu32
                  " [ -1, %%block ], [ %%partial_bits, %%partial ]\n",
                  w, w, w);
}

static void write_exit(sb_buf *text, const char *name, sb_kstatus status, const char *row)
{
    sb_buf_printf(text, "%s:\n  store i32 %d, ptr %%status_at, align 8\n  ret i32 %s\n", name,
                  (int)status, row);
}

static void write_function(sb_emitter *e, sb_buf *text)
{
    sb_buf_printf(text, "define i32 @%s(ptr %%call, i32 %%row0, i32 %%row1) #0 {\nentry:\n",
                  e->careful ? SB_EMIT_CAREFUL : SB_EMIT_FAST);
    sb_buf_append(text, e->prologue.data, e->prologue.size);
    if (e->lanes == 1) {
        write_block_start_row(text);
    } else {
        write_block_start_lanes(text, e->lanes);
    }
    sb_buf_append(text, e->head.data, e->head.size);
    sb_buf_append(text, e->body.data, e->body.size);
    sb_buf_printf(text,
                  "next:\n"
                  "  %%next_row = add i32 %%block_row, %" PRIu32 "\n"
                  "  %%again = icmp slt i32 %%next_row, %%row1\n"
                  "  br i1 %%again, label %%block, label %%exit_done\n",
                  e->lanes);
    write_exit(text, "exit_done", SB_K_DONE, "%row1");
    write_exit(text, "exit_stop", SB_K_STOP, "%block_row");
    if (e->careful) {
        sb_buf_text(text, "exit_grow:\n"
                          "  %stopped_at = call i32 @llvm.smax.i32(i32 %block_row, i32 %row0)\n");
        sb_buf_printf(text, "  store i32 %d, ptr %%status_at, align 8\n  ret i32 %%stopped_at\n",
                      (int)SB_K_GROW);
    } else {
        write_exit(text, "exit_bad", SB_K_BAD, "%block_row");
    }
    sb_buf_text(text, "}\n");
}

void sb_emit_begin(sb_emitter *e)
{
    const sb_ir *ir = e->ir;
    e->temps = e->labels = e->splat_count = e->frame_count = 0;
    e->words_slot = e->lanes_slot = 0;
    e->bad_words.kind = e->bad_lanes.kind = EV_NONE;
    e->checks = false;
    memset(e->spill, 0, sizeof(e->spill));
    memset(e->input_values, 0, ir->inputs.count * sizeof(*e->input_values));
    memset(e->input_valids, 0, ir->inputs.count * sizeof(*e->input_valids));
    sb_buf_reset(&e->prologue);
    sb_buf_reset(&e->head);
    sb_buf_reset(&e->body);
    memset(e->infos, 0, ir->insts.count * sizeof(*e->infos));
    sb_emit_plan_watch(e);
    sb_emit_infos(e);
}

sb_status sb_emit_parts_status(const sb_emitter *e, sb_error *err)
{
    const sb_buf *parts[] = {&e->prologue, &e->head, &e->body};
    for (size_t i = 0; i < SB_COUNT_OF(parts); i++) {
        const sb_status status = sb_buf_status(parts[i], err);
        if (status != SB_OK) {
            return status;
        }
    }
    return SB_OK;
}

static sb_status emit_entry(sb_emitter *e, bool careful, sb_buf *text, sb_error *err)
{
    e->careful = careful;
    sb_emit_begin(e);
    begin_prologue(e);
    begin_body(e);
    sb_emit_walk(e);
    if (e->lanes == 1) {
        end_block_row(e);
    } else {
        end_block_lanes(e);
    }
    const sb_status status = sb_emit_parts_status(e, err);
    if (status == SB_OK) {
        write_function(e, text);
    }
    return status;
}

/* --- exported ------------------------------------------------------------------------------------------------------- */

static void set_types(sb_emitter *e)
{
    static const char *const scalars[4] = {"", "i1", "i64", "double"};
    for (size_t prim = SB_PRIM_B; prim <= SB_PRIM_F64; prim++) {
        snprintf(e->types[false][prim], sizeof(e->types[false][prim]), "%s", scalars[prim]);
        snprintf(e->types[true][prim], sizeof(e->types[true][prim]), "<%" PRIu32 " x %s>",
                 e->lanes % 100, scalars[prim]);
    }
}

static bool allocate(sb_emitter *e, void **memory)
{
    size_t count = e->ir->insts.count + 1;
    size_t inputs = e->ir->inputs.count;
    for (uint32_t k = 0; e->ir->owns_functions && k < e->ir->functions->count; k++) {
        const sb_ir *function = &e->ir->functions->items[k];
        count = function->insts.count >= count ? function->insts.count + 1 : count;
        inputs = function->inputs.count > inputs ? function->inputs.count : inputs;
    }
    const size_t each = 2 * sizeof(sb_ev) + sizeof(sb_emit_region_info) + sizeof(sb_emit_frame) +
                        sizeof(*e->scopes) + sizeof(*e->watch) + sizeof(*e->known);
    char *at = sb_mem_alloc_zero(count * each + 2 * inputs * sizeof(uint32_t));
    *memory = at;
    if (at == NULL) {
        return false;
    }
    e->values = (void *)at;
    e->others = e->values + count;
    e->frames = (void *)(e->others + count);
    e->infos = (void *)(e->frames + count);
    e->input_values = (void *)(e->infos + count);
    e->input_valids = e->input_values + inputs;
    e->scopes = e->input_valids + inputs;
    e->watch = (void *)(e->scopes + count);
    e->known = e->watch + count;
    return true;
}

sb_status sb_emit_llvm(const sb_ir *ir, const sb_emit_options *options, sb_buf *text, sb_error *err)
{
    const level *found = level_of(options->cpu_level);
    const int w = options->lanes;
    if (found == NULL) {
        return sb_error_set(err, SB_INVALID, "unknown cpu level '%s'",
                            options->cpu_level != NULL ? options->cpu_level : "");
    }
    if (w != 1 && w != 8 && w != 16 && w != 32) {
        return sb_error_set(err, SB_INVALID, "%d lanes: the widths are 1, 8, 16 and 32", w);
    }
    if (ir->has_list && w != 1) {
        return sb_error_set(err, SB_INVALID, "%d lanes: lists have one", w);
    }
    sb_emitter e = {.ir = ir,
                    .lanes = ir->owns_functions ? 1 : (uint32_t)w,
                    .converts = found->converts,
                    .multiplies = found->multiplies,
                    .fuses = found->fuses};
    void *memory = NULL;
    sb_status status = SB_OK;
    sb_buf_init(&e.prologue, text->size_max);
    sb_buf_init(&e.head, text->size_max);
    sb_buf_init(&e.body, text->size_max);
    set_types(&e);
    if (!allocate(&e, &memory)) {
        status = sb_error_no_memory(err, ir->insts.count * sizeof(sb_ev));
        goto out;
    }
    if (ir->owns_functions) {
        SB_TRY(sb_emit_functions(&e, text, err));
    }
    if (options->fast) {
        SB_TRY(emit_entry(&e, false, text, err));
    }
    if (options->careful) {
        SB_TRY(emit_entry(&e, true, text, err));
    }
    sb_buf_printf(text,
                  "attributes #0 = { nounwind %s \"no-builtins\" }\n"
                  "!0 = !{!\"branch_weights\", i32 1, i32 1000}\n"
                  "!1 = !{!\"branch_weights\", i32 1000, i32 1}\n"
                  "!2 = !{!\"lists\"}\n"
                  "!3 = !{!\"header\", !2}\n"
                  "!4 = !{!\"item\", !2}\n"
                  "!5 = !{!3, !3, i64 0}\n"
                  "!6 = !{!4, !4, i64 0}\n",
                  found->attributes);
    SB_TRY(sb_buf_status(text, err));
out:
    sb_buf_release(&e.prologue);
    sb_buf_release(&e.head);
    sb_buf_release(&e.body);
    sb_mem_free(memory);
    return status;
}
