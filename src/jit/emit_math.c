/* Lane forms of bit operations, shifts, conversions to int, and of everything in rt/slow.h.
 *
 * What has a good instruction is spelled out; square roots, floors and magnitudes are exact on every machine, so LLVM's own may stand
 * for them. The rest calls the table of rt once a block of lanes; lanes that must leave come back as negative words. Lanes outside of the
 * mask are computed as well: no primitive traps, whatever they hold.
 *
 * Memory, threads: those of the emitter. */
#include "jit/emit_int.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "rt/rt_table.h"

#define TWO_63 9223372036854775808.0

static sb_ev left_shift(sb_emitter *e, sb_ev a, sb_ev b)
{
    sb_emit_check(e, sb_eb_cmp(e, "icmp slt", b, sb_ev_int(0)), SB_REASON_RAISE);
    const sb_ev count = sb_eb_bin(e, "and", b, sb_ev_int(63));
    const sb_ev r = sb_eb_bin(e, "shl", a, count);
    const sb_ev lost = sb_eb_cmp(e, "icmp ne", sb_eb_bin(e, "ashr", r, count), a);
    const sb_ev far = sb_eb_cmp(e, "icmp ugt", b, sb_ev_int(63));
    const sb_ev some = sb_eb_cmp(e, "icmp ne", a, sb_ev_int(0));
    sb_emit_check(e, sb_eb_or(e, lost, sb_eb_and(e, far, some)), SB_REASON_OVERFLOW);
    return r;
}

static sb_ev right_shift(sb_emitter *e, sb_ev a, sb_ev b)
{
    sb_emit_check(e, sb_eb_cmp(e, "icmp slt", b, sb_ev_int(0)), SB_REASON_RAISE);
    const sb_ev far = sb_eb_cmp(e, "icmp ugt", b, sb_ev_int(63));
    return sb_eb_bin(e, "ashr", a, sb_eb_select(e, far, sb_ev_int(63), b));
}

static sb_ev magnitude(sb_emitter *e, sb_ev a)
{
    const sb_ev below = sb_eb_cmp(e, "icmp slt", a, sb_ev_int(0));
    const sb_ev r = sb_eb_select(e, below, sb_eb_bin(e, "sub", sb_ev_int(0), a), a);
    sb_emit_check_sign(e, r, SB_REASON_OVERFLOW); /* only INT64_MIN stays negative */
    return r;
}

/* The magnitude, as an unsigned number. */
static sb_ev unsigned_of(sb_emitter *e, sb_ev a)
{
    const sb_ev sign = sb_eb_bin(e, "ashr", a, sb_ev_int(63));
    return sb_eb_bin(e, "sub", sb_eb_bin(e, "xor", a, sign), sign);
}

static sb_ev masked(sb_emitter *e, sb_ev a, int64_t shift, uint64_t mask)
{
    return sb_eb_bin(e, "and", sb_eb_bin(e, "lshr", a, sb_ev_int(shift)), sb_ev_int((int64_t)mask));
}

/* Counts in parallel; LLVM knows the form and takes the processor's instruction where there is one. */
static sb_ev ones(sb_emitter *e, sb_ev a)
{
    const uint64_t pairs = 0x3333333333333333u;
    const uint64_t nibbles = 0x0f0f0f0f0f0f0f0fu;
    sb_ev v = sb_eb_bin(e, "sub", a, masked(e, a, 1, 0x5555555555555555u));
    v = sb_eb_bin(e, "add", masked(e, v, 0, pairs), masked(e, v, 2, pairs));
    v = sb_eb_bin(e, "add", v, sb_eb_bin(e, "lshr", v, sb_ev_int(4)));
    v = sb_eb_bin(e, "mul", masked(e, v, 0, nibbles), sb_ev_int(0x0101010101010101));
    return sb_eb_bin(e, "lshr", v, sb_ev_int(56));
}

/* All bits below the highest one, and it. */
static sb_ev filled(sb_emitter *e, sb_ev a)
{
    for (int64_t shift = 1; shift < 64; shift *= 2) {
        a = sb_eb_bin(e, "or", a, sb_eb_bin(e, "lshr", a, sb_ev_int(shift)));
    }
    return a;
}

static sb_ev to_int(sb_emitter *e, sb_ev a)
{
    const sb_ev rest = sb_eb_bin(e, "fsub", a, a);
    sb_emit_check(e, sb_eb_cmp(e, "fcmp une", rest, sb_ev_double(0.0)), SB_REASON_RAISE);
    const sb_ev low = sb_eb_cmp(e, "fcmp oge", a, sb_ev_double(-TWO_63));
    const sb_ev high = sb_eb_cmp(e, "fcmp olt", a, sb_ev_double(TWO_63));
    const sb_ev fits = sb_eb_and(e, low, high);
    sb_emit_check(e, sb_eb_not(e, fits), SB_REASON_OVERFLOW);
    return sb_eb_cast(e, "fptosi", sb_eb_select(e, fits, a, sb_ev_double(0.0)), SB_PRIM_I64);
}

/* Rounded to a float32, which stays a double. */
static sb_ev to_f32(sb_emitter *e, sb_ev a)
{
    char narrow[24] = "float";
    if (a.vec) {
        snprintf(narrow, sizeof(narrow), "<%" PRIu32 " x float>", e->lanes);
    }
    const uint32_t t = e->temps++;
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = fptrunc %s ", t, sb_eb_type(e, SB_PRIM_F64, a.vec));
    sb_eb_put(e, a);
    sb_buf_printf(e->out, " to %s\n", narrow);
    const sb_ev r = sb_eb_temp(e, SB_PRIM_F64, a.vec);
    sb_buf_printf(e->out, "fpext %s %%t%" PRIu32 " to %s\n", narrow, t,
                  sb_eb_type(e, SB_PRIM_F64, a.vec));
    return r;
}

static sb_ev root(sb_emitter *e, sb_ev a)
{
    sb_emit_check(e, sb_eb_cmp(e, "fcmp olt", a, sb_ev_double(0.0)), SB_REASON_RAISE);
    return sb_eb_intrinsic(e, "sqrt", a);
}

/* --- through the table ------------------------------------------------------------------------------------------------ */

/* A function of the table, loaded. */
static uint32_t load_function(sb_emitter *e, size_t offset)
{
    const uint32_t at = e->temps++;
    const uint32_t function = e->temps++;
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = getelementptr i8, ptr %%rt, i64 %zu\n", at, offset);
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = load ptr, ptr %%t%" PRIu32 ", align 8\n", function,
                  at);
    return function;
}

static sb_ev is_finite(sb_emitter *e, sb_ev a)
{
    return sb_eb_cmp(e, "fcmp oeq", sb_eb_bin(e, "fsub", a, a), sb_ev_double(0.0));
}

/* As sb_rt_is_made has it. */
static sb_ev is_made(sb_emitter *e, sb_ev r, sb_ev a, sb_ev b, bool two)
{
    sb_ev finite = is_finite(e, a);
    sb_ev number = sb_eb_cmp(e, "fcmp ord", a, two ? b : a);
    if (two) {
        finite = sb_eb_and(e, finite, is_finite(e, b));
    }
    const sb_ev made = sb_eb_and(e, number, sb_eb_cmp(e, "fcmp uno", r, r));
    const sb_ev odd = sb_eb_not(e, is_finite(e, r));
    return sb_eb_and(e, odd, sb_eb_or(e, finite, made));
}

static void check_libm(sb_emitter *e, sb_ev r, sb_ev a, sb_ev b, bool two)
{
    sb_emit_check(e, is_made(e, r, a, b, two), SB_REASON_RAISE);
}

void sb_emit_check_finite(sb_emitter *e, sb_ev r)
{
    sb_emit_check(e, sb_eb_not(e, is_finite(e, r)), SB_REASON_NP_WARNING);
}

void sb_emit_warn(sb_emitter *e, sb_value i)
{
    const sb_inst *inst = &e->ir->insts.items[i];
    const sb_ev r = e->values[inst->a];
    if (e->careful) {
        const sb_ev made = is_made(e, r, e->values[inst->b], e->values[inst->c], true);
        sb_emit_check(e, made, SB_REASON_NP_WARNING);
    } else if (e->watch[i] == SB_EMIT_WATCH_HERE) {
        sb_emit_check_finite(e, r);
    }
}

static sb_ev call_libm(sb_emitter *e, int number, sb_ev a, sb_ev b, bool two)
{
    if (a.vec || b.vec) {
        a = sb_eb_widen(e, a);
        b = sb_eb_widen(e, b);
    }
    const uint32_t in_a = sb_emit_spill(e, 0, a);
    const uint32_t in_b = two ? sb_emit_spill(e, 1, b) : in_a;
    const uint32_t result = sb_emit_spill(e, 2, (sb_ev){.kind = EV_NONE});
    const uint32_t function = load_function(e, offsetof(sb_rt_table, libm));
    sb_buf_printf(e->out,
                  "  call void %%t%" PRIu32 "(i64 %d, ptr %%t%" PRIu32 ", ptr %%t%" PRIu32
                  ", ptr %%t%" PRIu32 ", i64 %" PRIu32 ")\n",
                  function, number, result, in_a, in_b, a.vec ? e->lanes : 1);
    const sb_ev r = sb_eb_load(e, result, SB_PRIM_F64, a.vec);
    check_libm(e, r, a, b, two);
    return r;
}

static sb_ev call_slow(sb_emitter *e, const sb_inst *inst, sb_ev a, sb_ev b)
{
    const sb_slow_info *slow = &sb_slow_infos[inst->op];
    if (a.vec || b.vec) {
        a = sb_eb_widen(e, a);
        b = sb_eb_widen(e, b);
    }
    const uint32_t in_a = sb_emit_spill(e, 0, a);
    const uint32_t in_b = sb_emit_spill(e, 1, b);
    const uint32_t result = sb_emit_spill(e, 2, (sb_ev){.kind = EV_NONE});
    const uint32_t bad = sb_emit_spill(e, 3, (sb_ev){.kind = EV_NONE});
    const uint32_t function = load_function(e, offsetof(sb_rt_table, slow));
    sb_buf_printf(e->out,
                  "  call void %%t%" PRIu32 "(i64 %d, ptr %%t%" PRIu32 ", ptr %%t%" PRIu32
                  ", ptr %%t%" PRIu32 ", ptr %%t%" PRIu32 ", i64 %" PRIu32 ")\n",
                  function, slow->call - 1, result, bad, in_a, in_b, a.vec ? e->lanes : 1);
    const sb_ev words = sb_eb_load(e, bad, SB_PRIM_I64, a.vec);
    sb_emit_check_sign(e, words, (sb_reason)slow->reason);
    return sb_eb_load(e, result, inst->prim, a.vec);
}

static bool is_libm(uint8_t op)
{
    return sb_slow_infos[op].call - 1 < SB_RT_SLOW_LIBM_COUNT;
}

static bool two_operands(uint8_t op)
{
    return sb_op_infos[op].operand_count > 1;
}

bool sb_emit_math(sb_emitter *e, const sb_inst *inst, sb_ev a, sb_ev b, sb_ev *out)
{
    switch (inst->op) {
    case SB_IR_PY_AND_I64:
        *out = sb_eb_bin(e, "and", a, b);
        return true;
    case SB_IR_PY_OR_I64:
        *out = sb_eb_bin(e, "or", a, b);
        return true;
    case SB_IR_PY_XOR_I64:
        *out = sb_eb_bin(e, "xor", a, b);
        return true;
    case SB_IR_PY_INVERT_I64:
        *out = sb_eb_bin(e, "xor", a, sb_ev_int(-1));
        return true;
    case SB_IR_PY_BIT_COUNT_I64:
        *out = ones(e, unsigned_of(e, a));
        return true;
    case SB_IR_PY_BIT_LENGTH_I64:
        *out = ones(e, filled(e, unsigned_of(e, a)));
        return true;
    case SB_IR_PY_LSHIFT_I64:
        *out = left_shift(e, a, b);
        return true;
    case SB_IR_PY_RSHIFT_I64:
        *out = right_shift(e, a, b);
        return true;
    case SB_IR_PY_ABS_I64:
        *out = magnitude(e, a);
        return true;
    case SB_IR_PY_ABS_F64:
        *out = sb_eb_intrinsic(e, "fabs", a);
        return true;
    case SB_IR_FLOOR_F64:
        *out = sb_eb_intrinsic(e, "floor", a);
        return true;
    case SB_IR_CEIL_F64:
        *out = sb_eb_intrinsic(e, "ceil", a);
        return true;
    case SB_IR_RINT_F64:
        *out = sb_eb_intrinsic(e, "roundeven", a);
        return true;
    case SB_IR_NP_F32:
        *out = to_f32(e, a);
        return true;
    case SB_IR_PY_INT_F64:
        *out = to_int(e, a);
        return true;
    case SB_IR_MATH_SQRT:
        *out = root(e, a);
        return true;
    default:
        if (sb_slow_infos[inst->op].call == 0) {
            return false;
        }
        *out = is_libm(inst->op) ? call_libm(e, sb_slow_infos[inst->op].call - 1, a,
                                             two_operands(inst->op) ? b : a, two_operands(inst->op))
                                 : call_slow(e, inst, a, two_operands(inst->op) ? b : a);
        return true;
    }
}
