/* One lane form per op. rt/rt.h defines each; this file says how lanes compute it.
 *
 * Additions: the sign of (a^r)&(b^r). Products, in lanes: when the target converts and multiplies int64 vectors, the product of the
 * operands as doubles is at most 2**63 * (1 - 2**-50) only if the exact one fits; what is above is decided exactly lane by lane
 * (careful) or called bad (fast). Other targets first look whether all operands fit 32 bits, which is one multiplication,
 * and go the long way only if some do not. By a constant, the operand's range is compared. Scalars use LLVM's checked operations.
 *
 * Comparing an int with a double: the int rounded to a double decides unless both are then equal; that double is an integer, so
 * the rest is a comparison of integers, but for 2**63, which is above every int. */
#include "jit/emit_int.h"

#include <inttypes.h>
#include <stdio.h>

#define TWO_63 9223372036854775808.0
#define EXACT_MAX (INT64_C(1) << 53)                 /* ints up to here are doubles */
#define PRODUCT_MAX_BITS INT64_C(0x43DFFFFFFFFFFFFB) /* 2**63 * (1 - 5 * 2**-53) */
#define TWO_52_BITS INT64_C(0x4330000000000000)
#define TWO_84_BITS INT64_C(0x4530000000000000)
#define TWO_84_63_52 0x1.00000801p84 /* 2**84 + 2**63 + 2**52 */
#define MAGNITUDE INT64_MAX          /* a double's bits without its sign */

static sb_ev add_sub(sb_emitter *e, const char *op, sb_ev a, sb_ev b)
{
    const bool adds = op[0] == 'a';
    if (!a.vec && !b.vec) {
        sb_ev overflow;
        const sb_ev r = sb_eb_checked(e, adds ? "sadd" : "ssub", a, b, &overflow);
        sb_emit_check(e, overflow, SB_REASON_OVERFLOW);
        return r;
    }
    const sb_ev r = sb_eb_bin(e, op, a, b);
    const sb_ev left = sb_eb_bin(e, "xor", a, r);
    const sb_ev right = adds ? sb_eb_bin(e, "xor", b, r) : sb_eb_bin(e, "xor", a, b);
    sb_emit_check_sign(e, sb_eb_bin(e, "and", left, right), SB_REASON_OVERFLOW);
    return r;
}

static sb_ev neg(sb_emitter *e, sb_ev a)
{
    const sb_ev r = sb_eb_bin(e, "sub", sb_ev_int(0), a);
    sb_emit_check_sign(e, sb_eb_bin(e, "and", a, r),
                       SB_REASON_OVERFLOW); /* both negative: only INT64_MIN */
    return r;
}

/* Without an instruction for vectors: the upper and the lower 32 bits each become the low digits of a large double, by their bit
 * pattern alone; taking the large parts away is exact, so that the last addition is the only one that rounds. */
sb_ev sb_emit_to_double(sb_emitter *e, sb_ev a)
{
    if (e->converts || !a.vec) {
        return sb_eb_cast(e, "sitofp", a, SB_PRIM_F64);
    }
    const sb_ev biased = sb_eb_bin(e, "xor", a, sb_ev_int(INT64_MIN));
    const sb_ev high =
        sb_eb_bin(e, "or", sb_eb_bin(e, "lshr", biased, sb_ev_int(32)), sb_ev_int(TWO_84_BITS));
    const sb_ev low =
        sb_eb_bin(e, "or", sb_eb_bin(e, "and", a, sb_ev_int(UINT32_MAX)), sb_ev_int(TWO_52_BITS));
    const sb_ev upper = sb_eb_bin(e, "fsub", sb_eb_cast(e, "bitcast", high, SB_PRIM_F64),
                                  sb_ev_double(TWO_84_63_52));
    return sb_eb_bin(e, "fadd", upper, sb_eb_cast(e, "bitcast", low, SB_PRIM_F64));
}

/* --- products ------------------------------------------------------------------------------------------------------- */

static sb_ev mul_by_const(sb_emitter *e, sb_ev a, int64_t c)
{
    if (c != 0 && c != 1) {
        const int64_t low = c > 0 ? INT64_MIN / c : (c == -1 ? -INT64_MAX : INT64_MAX / c);
        const int64_t high = c > 0 ? INT64_MAX / c : (c == -1 ? INT64_MAX : INT64_MIN / c);
        const int64_t span = (int64_t)((uint64_t)high - (uint64_t)low);
        const sb_ev offset = sb_eb_bin(e, "sub", a, sb_ev_int(low));
        sb_emit_check(e, sb_eb_cmp(e, "icmp ugt", offset, sb_ev_int(span)), SB_REASON_OVERFLOW);
    }
    return sb_eb_bin(e, "mul", a, sb_ev_int(c));
}

/* A word per lane that is negative where the product may not fit. */
static sb_ev doubtful_products(sb_emitter *e, sb_ev a, sb_ev b)
{
    const sb_ev x = sb_emit_to_double(e, a);
    const sb_ev y = sb_emit_to_double(e, b);
    const sb_ev bits = sb_eb_cast(e, "bitcast", sb_eb_bin(e, "fmul", x, y), SB_PRIM_I64);
    const sb_ev size = sb_eb_bin(e, "and", bits, sb_ev_int(MAGNITUDE));
    return sb_eb_bin(e, "sub", sb_ev_int(PRODUCT_MAX_BITS), size);
}

sb_ev sb_emit_bits_of_mask(sb_emitter *e, sb_ev mask)
{
    const uint32_t narrow = e->temps++;
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = bitcast %s ", narrow, sb_eb_type(e, SB_PRIM_B, true));
    sb_eb_put(e, mask);
    sb_buf_printf(e->out, " to i%" PRIu32 "\n", e->lanes);
    const sb_ev bits = sb_eb_temp(e, SB_PRIM_I64, false);
    sb_buf_printf(e->out, "zext i%" PRIu32 " %%t%" PRIu32 " to i64\n", e->lanes, narrow);
    return bits;
}

static sb_ev mask_of_bits(sb_emitter *e, sb_ev bits)
{
    const uint32_t narrow = e->temps++;
    char name[16];
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = trunc i64 %%t%" PRIu32 " to i%" PRIu32 "\n", narrow,
                  bits.id, e->lanes);
    snprintf(name, sizeof(name), "%%t%" PRIu32, narrow);
    return sb_emit_spread_bits(e, name);
}

static sb_ev load_lane(sb_emitter *e, uint32_t slot, sb_ev lane)
{
    const uint32_t at = e->temps++;
    sb_buf_printf(e->out,
                  "  %%t%" PRIu32 " = getelementptr i64, ptr %%t%" PRIu32 ", i64 %%t%" PRIu32 "\n",
                  at, slot, lane.id);
    return sb_eb_load(e, at, SB_PRIM_I64, false);
}

/* Of the lanes in `doubtful` (not empty), those whose product overflows: one scalar turn a lane. */
static sb_ev overflows_exactly(sb_emitter *e, sb_ev a, sb_ev b, sb_ev doubtful)
{
    const uint32_t slot_a = sb_emit_spill(e, 0, a);
    const uint32_t slot_b = sb_emit_spill(e, 1, b);
    const uint32_t todo_slot = sb_eb_slot(e, SB_PRIM_I64, false);
    const uint32_t found_slot = sb_eb_slot(e, SB_PRIM_I64, false);
    const uint32_t turn = sb_eb_label_new(e);
    const uint32_t done = sb_eb_label_new(e);
    sb_eb_store(e, todo_slot, sb_emit_bits_of_mask(e, doubtful));
    sb_eb_store(e, found_slot, sb_ev_int(0));
    sb_eb_jump(e, turn);
    sb_eb_label(e, turn);
    const sb_ev todo = sb_eb_load(e, todo_slot, SB_PRIM_I64, false);
    const sb_ev lane = sb_eb_temp(e, SB_PRIM_I64, false);
    sb_buf_printf(e->out, "call i64 @llvm.cttz.i64(i64 %%t%" PRIu32 ", i1 false)\n", todo.id);
    const sb_ev x = load_lane(e, slot_a, lane);
    const sb_ev y = load_lane(e, slot_b, lane);
    sb_ev overflow;
    (void)sb_eb_checked(e, "smul", x, y, &overflow);
    const sb_ev bit = sb_eb_bin(e, "shl", sb_eb_cast(e, "zext", overflow, SB_PRIM_I64), lane);
    const sb_ev found = sb_eb_load(e, found_slot, SB_PRIM_I64, false);
    sb_eb_store(e, found_slot, sb_eb_bin(e, "or", found, bit));
    const sb_ev rest = sb_eb_bin(e, "and", todo, sb_eb_bin(e, "sub", todo, sb_ev_int(1)));
    sb_eb_store(e, todo_slot, rest);
    sb_eb_branch(e, sb_eb_cmp(e, "icmp ne", rest, sb_ev_int(0)), turn, done);
    sb_eb_label(e, done);
    return mask_of_bits(e, sb_eb_load(e, found_slot, SB_PRIM_I64, false));
}

/* Lanes that overflow, exactly; starts at and ends in straight code. */
static sb_ev exact_overflow(sb_emitter *e, sb_ev a, sb_ev b)
{
    const sb_ev word = doubtful_products(e, a, b);
    const sb_ev doubtful = sb_emit_relevant(e, sb_eb_cmp(e, "icmp slt", word, sb_ev_int(0)));
    const uint32_t slow = sb_eb_label_new(e);
    const uint32_t join = sb_eb_label_new(e);
    const sb_ev some = sb_eb_any(e, doubtful);
    sb_eb_branch_rare(e, some, slow, join);
    const uint32_t from = e->label;
    sb_eb_label(e, slow);
    const sb_ev found = overflows_exactly(e, a, b, doubtful);
    const uint32_t slow_from = e->label;
    sb_eb_jump(e, join);
    sb_eb_label(e, join);
    return sb_eb_phi(e, sb_ev_bool(false), from, found, slow_from);
}

static sb_ev mul_narrow_first(sb_emitter *e, sb_ev a, sb_ev b)
{
    const sb_ev offset = sb_ev_int(INT64_C(1) << 31);
    const sb_ev both =
        sb_eb_bin(e, "or", sb_eb_bin(e, "add", a, offset), sb_eb_bin(e, "add", b, offset));
    const sb_ev beyond = sb_eb_bin(e, "lshr", both, sb_ev_int(32));
    const sb_ev wide = sb_emit_relevant(e, sb_eb_cmp(e, "icmp ne", beyond, sb_ev_int(0)));
    const uint32_t slow = sb_eb_label_new(e);
    const uint32_t fast = sb_eb_label_new(e);
    const uint32_t join = sb_eb_label_new(e);
    const sb_ev some = sb_eb_any(e, wide);
    sb_eb_branch(e, some, slow, fast);
    sb_eb_label(e, fast);
    const sb_ev x = sb_eb_bin(e, "ashr", sb_eb_bin(e, "shl", a, sb_ev_int(32)), sb_ev_int(32));
    const sb_ev y = sb_eb_bin(e, "ashr", sb_eb_bin(e, "shl", b, sb_ev_int(32)), sb_ev_int(32));
    const sb_ev quick = sb_eb_bin(e, "mul", x, y);
    sb_eb_jump(e, join);
    sb_eb_label(e, slow);
    const sb_ev full = sb_eb_bin(e, "mul", a, b);
    const sb_ev over = e->careful
                           ? exact_overflow(e, a, b)
                           : sb_eb_cmp(e, "icmp slt", doubtful_products(e, a, b), sb_ev_int(0));
    const uint32_t slow_from = e->label;
    sb_eb_jump(e, join);
    sb_eb_label(e, join);
    const sb_ev r = sb_eb_phi(e, quick, fast, full, slow_from);
    const sb_ev overflow = sb_eb_phi(e, sb_ev_bool(false), fast, over, slow_from);
    sb_emit_check(e, overflow, SB_REASON_OVERFLOW);
    return r;
}

static sb_ev mul(sb_emitter *e, sb_ev a, sb_ev b)
{
    if (!a.vec && !b.vec) {
        sb_ev overflow;
        const sb_ev r = sb_eb_checked(e, "smul", a, b, &overflow);
        sb_emit_check(e, overflow, SB_REASON_OVERFLOW);
        return r;
    }
    if (a.kind == EV_CONST || b.kind == EV_CONST) {
        return a.kind == EV_CONST ? mul_by_const(e, b, a.bits) : mul_by_const(e, a, b.bits);
    }
    a = sb_eb_widen(e, a);
    b = sb_eb_widen(e, b);
    if (!e->multiplies) {
        return mul_narrow_first(e, a, b);
    }
    const sb_ev r = sb_eb_bin(e, "mul", a, b);
    if (e->careful) {
        sb_emit_check(e, exact_overflow(e, a, b), SB_REASON_OVERFLOW);
    } else {
        sb_emit_check_sign(e, doubtful_products(e, a, b), SB_REASON_OVERFLOW);
    }
    return r;
}

/* --- conversions and comparisons ------------------------------------------------------------------------------------ */

static sb_ev beyond_exact(sb_emitter *e, sb_ev a)
{
    if (a.kind == EV_CONST) {
        return sb_ev_bool(a.bits < -EXACT_MAX || a.bits > EXACT_MAX);
    }
    const sb_ev offset = sb_eb_bin(e, "add", a, sb_ev_int(EXACT_MAX));
    return sb_eb_cmp(e, "icmp ugt", offset, sb_ev_int(2 * EXACT_MAX));
}

static sb_ev truediv_i64(sb_emitter *e, sb_ev a, sb_ev b)
{
    sb_emit_check(e, sb_emit_is_zero(e, b), SB_REASON_DIV_ZERO);
    sb_emit_check(e, sb_eb_or(e, beyond_exact(e, a), beyond_exact(e, b)), SB_REASON_BIGINT);
    const sb_ev x = sb_emit_to_double(e, a);
    const sb_ev y = sb_emit_to_double(e, b);
    return sb_eb_bin(e, "fdiv", x, y);
}

/* int64 (less, equal, ...) double. `floats` compares the rounded int, `ints` decides when that is equal; above: the answer when
 * the double is 2**63. */
static sb_ev compare_mixed(sb_emitter *e, sb_ev a, sb_ev f, const char *floats, const char *ints,
                           bool above)
{
    const sb_ev d = sb_emit_to_double(e, a);
    const sb_ev equal = sb_eb_cmp(e, "fcmp oeq", d, f);
    const sb_ev low = sb_eb_cmp(e, "fcmp olt", d, sb_ev_double(TWO_63));
    const sb_ev safe = sb_eb_select(e, low, d, sb_ev_double(0.0));
    const sb_ev whole = sb_eb_cast(e, "fptosi", safe, SB_PRIM_I64);
    const sb_ev exact = sb_eb_cmp(e, ints, a, whole);
    const sb_ev same = above ? sb_eb_or(e, exact, sb_eb_not(e, low)) : sb_eb_and(e, exact, low);
    const sb_ev tie = sb_eb_and(e, equal, same);
    return floats == NULL ? tie : sb_eb_or(e, tie, sb_eb_cmp(e, floats, d, f));
}

static sb_ev load_input(sb_emitter *e, const sb_inst *inst)
{
    const uint32_t pointer = sb_emit_input_values(e, (uint32_t)inst->imm.i);
    const bool vec = e->lanes > 1;
    const bool bytes = inst->prim == SB_PRIM_B;
    const uint32_t at = e->temps++;
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = getelementptr %s, ptr %%t%" PRIu32 ", i64 %%row\n",
                  at, bytes ? "i8" : "i64", pointer);
    if (!bytes) {
        const sb_ev v = sb_eb_temp(e, inst->prim, vec);
        sb_buf_printf(e->out, "load %s, ptr %%t%" PRIu32 ", align 8\n",
                      sb_eb_type(e, inst->prim, vec), at);
        return v;
    }
    const uint32_t raw = e->temps++;
    char type[16] = "i8";
    if (vec) {
        snprintf(type, sizeof(type), "<%" PRIu32 " x i8>", e->lanes);
    }
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = load %s, ptr %%t%" PRIu32 ", align 1\n", raw, type,
                  at);
    const sb_ev v = sb_eb_temp(e, SB_PRIM_B, vec);
    sb_buf_printf(e->out, "icmp ne %s %%t%" PRIu32 ", %s\n", type, raw,
                  vec ? "zeroinitializer" : "0");
    return v;
}

static sb_ev load_valid(sb_emitter *e, const sb_inst *inst)
{
    return sb_emit_load_bits(e, sb_emit_input_valid(e, (uint32_t)inst->imm.i));
}

/* Once a block at its start when the op stands inside a region: no lane mask matters to it. */
static sb_ev load(sb_emitter *e, const sb_inst *inst)
{
    sb_buf *out = e->out;
    if (e->frame_count > 0) {
        e->out = &e->head;
    }
    const sb_ev v = inst->op == SB_IR_IN ? load_input(e, inst) : load_valid(e, inst);
    e->out = out;
    return v;
}

/* --- the table ------------------------------------------------------------------------------------------------------ */

static sb_ev emit_plain(sb_emitter *e, const sb_inst *inst, sb_ev a, sb_ev b)
{
    switch (inst->op) {
    case SB_IR_NOT:
        return sb_eb_not(e, a);
    case SB_IR_AND:
        return sb_eb_and(e, a, b);
    case SB_IR_OR:
        return sb_eb_or(e, a, b);
    case SB_IR_XOR:
        return sb_eb_bin(e, "xor", a, b);
    case SB_IR_PY_INT_B:
        return sb_eb_cast(e, "zext", a, SB_PRIM_I64);
    case SB_IR_PY_FLOAT_I64:
        return sb_emit_to_double(e, a);
    case SB_IR_PY_ADD_F64:
        return sb_eb_bin(e, "fadd", a, b);
    case SB_IR_PY_SUB_F64:
        return sb_eb_bin(e, "fsub", a, b);
    case SB_IR_PY_MUL_F64:
        return sb_eb_bin(e, "fmul", a, b);
    case SB_IR_PY_NEG_F64:
        return sb_eb_unary(e, "fneg", a);
    case SB_IR_IX_ADD:
        return sb_eb_bin(e, "add", a, b);
    case SB_IR_IX_SUB:
        return sb_eb_bin(e, "sub", a, b);
    case SB_IR_IX_BITS_F64:
        return sb_eb_cast(e, "bitcast", a, SB_PRIM_I64);
    case SB_IR_IX_F64_BITS:
        return sb_eb_cast(e, "bitcast", a, SB_PRIM_F64);
    default:
        return sb_emit_udiv(e, a, b); /* IX_UDIV */
    }
}

static sb_ev emit_compare(sb_emitter *e, const sb_inst *inst, sb_ev a, sb_ev b)
{
    switch (inst->op) {
    case SB_IR_PY_EQ_I64:
        return sb_eb_cmp(e, "icmp eq", a, b);
    case SB_IR_PY_LT_I64:
        return sb_eb_cmp(e, "icmp slt", a, b);
    case SB_IR_PY_LE_I64:
        return sb_eb_cmp(e, "icmp sle", a, b);
    case SB_IR_PY_EQ_F64:
        return sb_eb_cmp(e, "fcmp oeq", a, b);
    case SB_IR_PY_LT_F64:
        return sb_eb_cmp(e, "fcmp olt", a, b);
    case SB_IR_PY_LE_F64:
        return sb_eb_cmp(e, "fcmp ole", a, b);
    case SB_IR_PY_EQ_I64_F64:
        return compare_mixed(e, a, b, NULL, "icmp eq", false);
    case SB_IR_PY_LT_I64_F64:
        return compare_mixed(e, a, b, "fcmp olt", "icmp slt", true);
    case SB_IR_PY_LE_I64_F64:
        return compare_mixed(e, a, b, "fcmp olt", "icmp sle", true);
    case SB_IR_PY_GT_I64_F64:
        return compare_mixed(e, a, b, "fcmp ogt", "icmp sgt", false);
    default:
        return compare_mixed(e, a, b, "fcmp ogt", "icmp sge", false); /* PY_GE_I64_F64 */
    }
}

static sb_ev emit_leaving(sb_emitter *e, const sb_inst *inst, sb_ev a, sb_ev b)
{
    switch (inst->op) {
    case SB_IR_PY_EXACT_FLOAT_I64:
        sb_emit_check(e, beyond_exact(e, a), SB_REASON_BIGINT);
        return sb_emit_to_double(e, a);
    case SB_IR_PY_ADD_I64:
        return add_sub(e, "add", a, b);
    case SB_IR_PY_SUB_I64:
        return add_sub(e, "sub", a, b);
    case SB_IR_PY_MUL_I64:
        return mul(e, a, b);
    case SB_IR_PY_NEG_I64:
        return neg(e, a);
    case SB_IR_PY_FLOORDIV_I64:
    case SB_IR_PY_MOD_I64:
        return sb_emit_div_i64(e, inst);
    case SB_IR_PY_TRUEDIV_I64:
        return truediv_i64(e, a, b);
    case SB_IR_PY_TRUEDIV_F64:
        sb_emit_check(e, sb_emit_is_zero(e, b), SB_REASON_DIV_ZERO);
        return sb_eb_bin(e, "fdiv", a, b);
    case SB_IR_LEAVE_IF:
        sb_emit_check(e, a, (sb_reason)inst->reason);
        return (sb_ev){.kind = EV_NONE};
    default:
        return sb_emit_div_f64(e, inst);
    }
}

sb_ev sb_emit_op(sb_emitter *e, const sb_inst *inst)
{
    const sb_ev a = e->values[inst->a];
    const sb_ev b = e->values[inst->b];
    switch (inst->op) {
    case SB_IR_IN:
        if (e->in_function) { /* an argument */
            return (sb_ev){.kind = EV_TEMP, .prim = inst->prim, .id = (uint32_t)inst->imm.i};
        }
        return load(e, inst);
    case SB_IR_IN_VALID:
        return load(e, inst);
    case SB_IR_CONST_B:
        return sb_ev_bool(inst->imm.i != 0);
    case SB_IR_CONST_I:
        return sb_ev_int(inst->imm.i);
    case SB_IR_CONST_F:
        return sb_ev_double(inst->imm.f);
    case SB_IR_SELECT:
        return sb_eb_select(e, a, b, e->values[inst->c]);
    default:
        break;
    }
    if ((sb_op_infos[inst->op].flags & SB_OP_LIST_FLAG) != 0) {
        return sb_emit_list(e, inst);
    }
    sb_ev made;
    if (sb_emit_math(e, inst, a, b, &made)) {
        return made;
    }
    if ((sb_op_infos[inst->op].flags & SB_OP_LEAVES) != 0) {
        return emit_leaving(e, inst, a, b);
    }
    return sb_op_infos[inst->op].result == 'b' && inst->op >= SB_IR_PY_EQ_I64
               ? emit_compare(e, inst, a, b)
               : emit_plain(e, inst, a, b);
}
