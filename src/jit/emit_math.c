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

/* Ones in the lanes that do not count: some primitives are loops, which end at once there. */
static sb_ev quiet(sb_emitter *e, sb_ev v)
{
    const sb_ev one = v.prim == SB_PRIM_F64 ? sb_ev_double(1.0) : sb_ev_int(1);
    return e->mask.kind == EV_NONE ? v : sb_eb_select(e, e->mask, v, sb_eb_widen(e, one));
}

static sb_ev call_slow(sb_emitter *e, const sb_inst *inst, sb_ev a, sb_ev b)
{
    const sb_slow_info *slow = &sb_slow_infos[inst->op];
    if (a.vec || b.vec) {
        a = quiet(e, sb_eb_widen(e, a));
        b = quiet(e, sb_eb_widen(e, b));
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

/* --- squares ---------------------------------------------------------------------------------------------------------- */

static sb_ev square_error(sb_emitter *e, sb_ev a, sb_ev p)
{
    if (e->fuses) {
        return sb_eb_fma(e, a, a, sb_eb_unary(e, "fneg", p));
    }
    const sb_ev t = sb_eb_bin(e, "fmul", a, sb_ev_double(SB_RT_SQUARE_SPLIT));
    const sb_ev high = sb_eb_bin(e, "fsub", t, sb_eb_bin(e, "fsub", t, a));
    const sb_ev low = sb_eb_bin(e, "fsub", a, high);
    const sb_ev first = sb_eb_bin(e, "fsub", sb_eb_bin(e, "fmul", high, high), p);
    const sb_ev cross = sb_eb_bin(e, "fmul", sb_eb_bin(e, "fmul", sb_ev_double(2.0), high), low);
    return sb_eb_bin(e, "fadd", sb_eb_bin(e, "fadd", first, cross), sb_eb_bin(e, "fmul", low, low));
}

/* Lanes whose product p of a and a may not be what libm gives, as sb_rt_square has it. */
static sb_ev is_doubtful_square(sb_emitter *e, sb_ev a, sb_ev p)
{
    const sb_ev before =
        sb_eb_bin(e, "add", sb_eb_cast(e, "bitcast", p, SB_PRIM_I64), sb_ev_int(-1));
    const sb_ev unit = sb_eb_cast(
        e, "bitcast", sb_eb_bin(e, "and", before, sb_ev_int(SB_RT_EXPONENT_BITS)), SB_PRIM_F64);
    const uint32_t at = e->temps++;
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = getelementptr i8, ptr %%rt, i64 %zu\n", at,
                  offsetof(sb_rt_table, square_margin));
    const sb_ev margin = sb_eb_load(e, at, SB_PRIM_F64, false);
    const sb_ev error = sb_eb_intrinsic(e, "fabs", square_error(e, a, p));
    const sb_ev size = sb_eb_intrinsic(e, "fabs", a);
    const sb_ev near = sb_eb_cmp(e, "fcmp olt", error, sb_eb_bin(e, "fmul", unit, margin));
    const sb_ev low = sb_eb_cmp(e, "fcmp oge", size, sb_ev_double(SB_RT_SQUARE_LEAST));
    const sb_ev high = sb_eb_cmp(e, "fcmp ole", size, sb_ev_double(SB_RT_SQUARE_MOST));
    const sb_ev sure = sb_eb_and(e, near, sb_eb_and(e, low, high));
    return sb_eb_not(e, sb_eb_or(e, sure, sb_eb_cmp(e, "fcmp oeq", a, sb_ev_double(0.0))));
}

static void call_square(sb_emitter *e, uint32_t out, uint32_t in, sb_ev lanes)
{
    const uint32_t function = load_function(e, offsetof(sb_rt_table, square));
    sb_buf_printf(e->out, "  call void %%t%" PRIu32 "(ptr %%t%" PRIu32 ", ptr %%t%" PRIu32 ", i64 ",
                  function, out, in);
    sb_eb_put(e, lanes);
    sb_buf_text(e->out, ")\n");
}

/* a ** 2: the product, and libm for the lanes that it may round the other way. What is too large is among those. */
static sb_ev square(sb_emitter *e, sb_ev a)
{
    const sb_ev p = sb_eb_bin(e, "fmul", a, a);
    sb_ev doubtful = is_doubtful_square(e, a, p);
    if (a.vec) {
        doubtful = sb_emit_relevant(e, doubtful);
    }
    const uint32_t slow = sb_eb_label_new(e);
    const uint32_t join = sb_eb_label_new(e);
    const sb_ev some = sb_eb_any(e, doubtful);
    const uint32_t fast_from = e->label;
    sb_eb_branch(e, some, slow, join);
    sb_eb_label(e, slow);
    const uint32_t in = sb_emit_spill(e, 0, a);
    const uint32_t out = sb_emit_spill(e, 2, p);
    call_square(e, out, in, a.vec ? sb_emit_bits_of_mask(e, doubtful) : sb_ev_int(1));
    const sb_ev exact = sb_eb_load(e, out, SB_PRIM_F64, a.vec);
    const sb_ev over = sb_eb_and(e, is_finite(e, a), sb_eb_not(e, is_finite(e, exact)));
    const uint32_t slow_from = e->label;
    sb_eb_jump(e, join);
    sb_eb_label(e, join);
    const sb_ev r = sb_eb_phi(e, p, fast_from, exact, slow_from);
    sb_emit_check(e, sb_eb_phi(e, sb_ev_bool(false), fast_from, over, slow_from), SB_REASON_RAISE);
    return r;
}

static bool is_square(const sb_inst *inst, sb_ev a, sb_ev b)
{
    const bool power = inst->op == SB_IR_PY_POW_F64 || inst->op == SB_IR_MATH_POW;
    return power && a.kind == EV_TEMP && b.kind == EV_CONST && b.bits == sb_ev_double(2.0).bits;
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
        if (is_square(inst, a, b)) {
            *out = square(e, a);
            return true;
        }
        *out = is_libm(inst->op) ? call_libm(e, sb_slow_infos[inst->op].call - 1, a,
                                             two_operands(inst->op) ? b : a, two_operands(inst->op))
                                 : call_slow(e, inst, a, two_operands(inst->op) ? b : a);
        return true;
    }
}
