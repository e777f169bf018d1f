/* Division and modulo.
 *
 * Lanes of int64: the machine divides vectors of doubles, not of integers. While |a|, |b| < 2**52 both are doubles, and q = floor of
 * their rounded quotient is the floor or one above it: rounding is monotone and integers are doubles. q*b and a - q*b are
 * then exact, and the sign of that remainder against b's says which. Targets without conversions of int64 vectors make them by
 * adding 1.5 * 2**52, which holds below 2**51. When some lane of the mask is beyond, the whole block goes through rt.
 * By a constant the quotient is a product with its rounded reciprocal, off by one at most in either direction; by a power of two it is a
 * shift or a mask.
 *
 * Scalars: sdiv with the divisor made safe, then the correction to the floor.
 * Doubles: where the quotient is below 2**53 the remainder is one fused operation; other blocks, and targets without that, go
 * through rt, whose fmod is a loop. */
#include <inttypes.h>
#include <math.h>
#include <stddef.h>

#include "jit/emit_int.h"
#include "rt/rt_table.h"

#define MAGIC_BITS INT64_C(0x4338000000000000) /* of 1.5 * 2**52 */
#define TWO_53 9007199254740992.0
#define MAGIC 6755399441055744.0

sb_ev sb_emit_is_zero(sb_emitter *e, sb_ev v)
{
    const bool real = v.prim == SB_PRIM_F64;
    if (v.kind == EV_CONST) {
        return sb_ev_bool((real ? (int64_t)((uint64_t)v.bits << 1) : v.bits) ==
                          0); /* either zero of doubles */
    }
    return real ? sb_eb_cmp(e, "fcmp oeq", v, sb_ev_double(0.0))
                : sb_eb_cmp(e, "icmp eq", v, sb_ev_int(0));
}

uint32_t sb_emit_spill(sb_emitter *e, unsigned index, sb_ev v)
{
    SB_ASSERT(index < SB_COUNT_OF(e->spill));
    if (e->spill[index] == 0) {
        e->spill[index] = sb_eb_slot(e, SB_PRIM_I64, e->lanes > 1) + 1;
    }
    if (v.kind != EV_NONE) {
        sb_eb_store(e, e->spill[index] - 1, v);
    }
    return e->spill[index] - 1;
}

static sb_ev call_rt(sb_emitter *e, size_t offset, sb_ev a, sb_ev b)
{
    if (a.vec || b.vec) {
        a = sb_eb_widen(e, a);
        b = sb_eb_widen(e, b);
    }
    const uint32_t in_a = sb_emit_spill(e, 0, a);
    const uint32_t in_b = sb_emit_spill(e, 1, b);
    const uint32_t result = sb_emit_spill(e, 2, (sb_ev){.kind = EV_NONE});
    const uint32_t at = e->temps++;
    const uint32_t function = e->temps++;
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = getelementptr i8, ptr %%rt, i64 %zu\n", at, offset);
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = load ptr, ptr %%t%" PRIu32 ", align 8\n", function,
                  at);
    sb_buf_printf(e->out,
                  "  call void %%t%" PRIu32 "(ptr %%t%" PRIu32 ", ptr %%t%" PRIu32
                  ", ptr %%t%" PRIu32 ", i64 %" PRIu32 ")\n",
                  function, result, in_a, in_b, a.vec ? e->lanes : 1);
    return sb_eb_load(e, result, a.prim, a.vec);
}

/* --- int64, scalar -------------------------------------------------------------------------------------------------- */

static sb_ev div_scalar(sb_emitter *e, sb_ev a, sb_ev b, bool modulo)
{
    const sb_ev zero = sb_emit_is_zero(e, b);
    sb_emit_check(e, zero, SB_REASON_DIV_ZERO);
    const sb_ev lowest = sb_eb_cmp(e, "icmp eq", a, sb_ev_int(INT64_MIN));
    const sb_ev minus = sb_eb_cmp(e, "icmp eq", b, sb_ev_int(-1));
    const sb_ev over = sb_eb_bin(e, "and", lowest, minus);
    if (!modulo) {
        sb_emit_check(e, over, SB_REASON_OVERFLOW);
    }
    const sb_ev safe = sb_eb_select(e, sb_eb_or(e, zero, over), sb_ev_int(1), b);
    const sb_ev q = sb_eb_bin(e, "sdiv", a, safe);
    const sb_ev r = sb_eb_bin(e, "sub", a, sb_eb_bin(e, "mul", q, safe));
    const sb_ev rest = sb_eb_cmp(e, "icmp ne", r, sb_ev_int(0));
    const sb_ev apart = sb_eb_cmp(e, "icmp slt", sb_eb_bin(e, "xor", r, safe), sb_ev_int(0));
    const sb_ev adjust = sb_eb_bin(e, "and", rest, apart);
    if (modulo) {
        return sb_eb_bin(e, "add", r, sb_eb_select(e, adjust, safe, sb_ev_int(0)));
    }
    return sb_eb_bin(e, "sub", q, sb_eb_cast(e, "zext", adjust, SB_PRIM_I64));
}

/* --- int64, lanes --------------------------------------------------------------------------------------------------- */

static int64_t exact_limit(const sb_emitter *e)
{
    return INT64_C(1) << (e->converts ? 52 : 51);
}

static sb_ev to_double(sb_emitter *e, sb_ev a)
{
    if (a.kind == EV_CONST) {
        return sb_ev_double((double)a.bits);
    }
    if (e->converts || !a.vec) {
        return sb_eb_cast(e, "sitofp", a, SB_PRIM_F64);
    }
    const sb_ev shifted = sb_eb_bin(e, "add", a, sb_ev_int(MAGIC_BITS));
    return sb_eb_bin(e, "fsub", sb_eb_cast(e, "bitcast", shifted, SB_PRIM_F64),
                     sb_ev_double(MAGIC));
}

/* Of an integer within the limit; lanes outside of the mask may hold anything, hence freeze. */
static sb_ev to_int(sb_emitter *e, sb_ev d)
{
    if (e->converts) {
        return sb_eb_unary(e, "freeze", sb_eb_cast(e, "fptosi", d, SB_PRIM_I64));
    }
    const sb_ev shifted =
        sb_eb_cast(e, "bitcast", sb_eb_bin(e, "fadd", d, sb_ev_double(MAGIC)), SB_PRIM_I64);
    return sb_eb_bin(e, "sub", shifted, sb_ev_int(MAGIC_BITS));
}

/* Down where the target rounds vectors, else to the nearest: both are the floor or one above it, and corrected alike. */
static sb_ev round_quotient(sb_emitter *e, sb_ev q)
{
    if (e->converts) {
        return sb_eb_intrinsic(e, "floor", q);
    }
    return sb_eb_bin(e, "fsub", sb_eb_bin(e, "fadd", q, sb_ev_double(MAGIC)), sb_ev_double(MAGIC));
}

static sb_ev div_by_double(sb_emitter *e, sb_ev a, sb_ev b, bool modulo)
{
    const sb_ev x = to_double(e, a);
    const sb_ev y = to_double(e, b);
    const sb_ev q = round_quotient(e, sb_eb_bin(e, "fdiv", x, y));
    const sb_ev r = sb_eb_bin(e, "fsub", x, sb_eb_bin(e, "fmul", q, y));
    const sb_ev apart = sb_eb_cmp(e, "fcmp olt", sb_eb_bin(e, "fmul", r, y), sb_ev_double(0.0));
    const sb_ev fixed =
        modulo ? sb_eb_bin(e, "fadd", r, y) : sb_eb_bin(e, "fsub", q, sb_ev_double(1.0));
    return to_int(e, sb_eb_select(e, apart, fixed, modulo ? r : q));
}

static sb_ev div_by_reciprocal(sb_emitter *e, sb_ev a, int64_t b, bool modulo)
{
    const sb_ev x = to_double(e, a);
    const sb_ev y = sb_ev_double((double)b);
    const sb_ev guess = sb_eb_bin(e, "fmul", x, sb_ev_double(1.0 / (double)b));
    const sb_ev q = round_quotient(e, guess);
    const sb_ev r = sb_eb_bin(e, "fsub", x, sb_eb_bin(e, "fmul", q, y));
    const sb_ev above = sb_eb_cmp(e, b > 0 ? "fcmp olt" : "fcmp ogt", r, sb_ev_double(0.0));
    const sb_ev below = sb_eb_cmp(e, b > 0 ? "fcmp oge" : "fcmp ole", r, y);
    if (modulo) {
        const sb_ev up = sb_eb_select(e, above, sb_eb_bin(e, "fadd", r, y), r);
        return to_int(e, sb_eb_select(e, below, sb_eb_bin(e, "fsub", r, y), up));
    }
    const sb_ev less = sb_eb_select(e, above, sb_eb_bin(e, "fsub", q, sb_ev_double(1.0)), q);
    return to_int(e, sb_eb_select(e, below, sb_eb_bin(e, "fadd", q, sb_ev_double(1.0)), less));
}

/* Lanes whose operands are beyond the limit. A constant operand is within it. */
static sb_ev beyond_limit(sb_emitter *e, sb_ev a, sb_ev b)
{
    const sb_ev limit = sb_ev_int(exact_limit(e));
    sb_ev both = sb_eb_bin(e, "add", a, limit);
    if (b.kind != EV_CONST) {
        both = sb_eb_bin(e, "or", both, sb_eb_bin(e, "add", b, limit));
    }
    const sb_ev rest = sb_eb_bin(e, "lshr", both, sb_ev_int(e->converts ? 53 : 52));
    return sb_eb_cmp(e, "icmp ne", rest, sb_ev_int(0));
}

static sb_ev div_lanes(sb_emitter *e, sb_ev a, sb_ev b, bool modulo)
{
    const size_t helper =
        modulo ? offsetof(sb_rt_table, py_mod_i64) : offsetof(sb_rt_table, py_floordiv_i64);
    const bool by_const = b.kind == EV_CONST;
    if (!by_const) {
        sb_emit_check(e, sb_emit_is_zero(e, b), SB_REASON_DIV_ZERO);
    }
    const sb_ev beyond = sb_emit_relevant(e, sb_eb_widen(e, beyond_limit(e, a, b)));
    const uint32_t slow = sb_eb_label_new(e);
    const uint32_t fast = sb_eb_label_new(e);
    const uint32_t join = sb_eb_label_new(e);
    const sb_ev some = sb_eb_any(e, beyond);
    sb_eb_branch_rare(e, some, slow, fast);
    sb_eb_label(e, fast);
    const sb_ev quick =
        by_const ? div_by_reciprocal(e, a, b.bits, modulo) : div_by_double(e, a, b, modulo);
    const uint32_t fast_from = e->label;
    sb_eb_jump(e, join);
    sb_eb_label(e, slow);
    const sb_ev exact = call_rt(e, helper, a, b);
    sb_ev over = sb_ev_bool(false);
    if (!modulo && !by_const) {
        const sb_ev lowest = sb_eb_cmp(e, "icmp eq", a, sb_ev_int(INT64_MIN));
        over = sb_eb_widen(e, sb_eb_and(e, lowest, sb_eb_cmp(e, "icmp eq", b, sb_ev_int(-1))));
    }
    const uint32_t slow_from = e->label;
    sb_eb_jump(e, join);
    sb_eb_label(e, join);
    const sb_ev r = sb_eb_phi(e, quick, fast_from, exact, slow_from);
    if (over.kind != EV_CONST) {
        over = sb_eb_phi(e, sb_ev_bool(false), fast_from, over, slow_from);
    }
    sb_emit_check(e, over, SB_REASON_OVERFLOW);
    return r;
}

/* A lane by a constant that is not zero. */
static sb_ev div_by_const(sb_emitter *e, sb_ev a, int64_t c, bool modulo)
{
    if (c == 1) {
        return modulo ? sb_ev_int(0) : a;
    }
    if (c == -1) {
        if (modulo) {
            return sb_ev_int(0);
        }
        const sb_ev r = sb_eb_bin(e, "sub", sb_ev_int(0), a);
        sb_emit_check_sign(e, sb_eb_bin(e, "and", a, r), SB_REASON_OVERFLOW);
        return r;
    }
    if (c > 0 && (c & (c - 1)) == 0) {
        return modulo ? sb_eb_bin(e, "and", a, sb_ev_int(c - 1))
                      : sb_eb_bin(e, "ashr", a, sb_ev_int(sb_ctz_u64((uint64_t)c)));
    }
    return div_lanes(e, a, sb_ev_int(c), modulo);
}

sb_ev sb_emit_div_i64(sb_emitter *e, const sb_inst *inst)
{
    const sb_ev a = e->values[inst->a];
    sb_ev b = e->values[inst->b];
    const bool modulo = inst->op == SB_IR_PY_MOD_I64;
    const int64_t small = INT64_C(1) << 49;
    if (!a.vec && !b.vec) {
        return div_scalar(e, a, b, modulo);
    }
    const bool power = b.kind == EV_CONST && b.bits > 0 && (b.bits & (b.bits - 1)) == 0;
    if (b.kind == EV_CONST && b.bits != 0 && (power || (b.bits >= -small && b.bits <= small))) {
        return div_by_const(e, a, b.bits, modulo);
    }
    if (b.kind == EV_CONST) { /* the general form asks for its zeros and its size */
        b = sb_eb_bin(e, "or", sb_eb_widen(e, b), sb_ev_int(0));
    }
    return div_lanes(e, sb_eb_widen(e, a), sb_eb_widen(e, b), modulo);
}

/* --- the others ----------------------------------------------------------------------------------------------------- */

/* fmod while the quotient is below 2**53. Its floor q is exact or, rounded up, one above; what is left of |a| has the bits of a
 * or of b alone and is smaller than b, so that the fused product gives it exactly, and so does adding b where q was above. */
static sb_ev remainder_of(sb_emitter *e, sb_ev a, sb_ev b, sb_ev size)
{
    const sb_ev y = sb_eb_intrinsic(e, "fabs", b);
    const sb_ev q = sb_eb_intrinsic(e, "floor", size);
    const sb_ev r = sb_eb_fma(e, sb_eb_unary(e, "fneg", q), y, sb_eb_intrinsic(e, "fabs", a));
    const sb_ev above = sb_eb_cmp(e, "fcmp olt", r, sb_ev_double(0.0));
    return sb_eb_copysign(e, sb_eb_select(e, above, sb_eb_bin(e, "fadd", r, y), r), a);
}

/* As sb_rt_py_mod_f64 and sb_rt_py_floordiv_f64 have it. */
static sb_ev div_by_remainder(sb_emitter *e, sb_ev a, sb_ev b, sb_ev ratio, sb_ev rest, bool modulo)
{
    const sb_ev zero = sb_ev_double(0.0);
    const sb_ev some = sb_eb_cmp(e, "fcmp une", rest, zero);
    const sb_ev below = sb_eb_cmp(e, "fcmp olt", rest, zero);
    const sb_ev apart =
        sb_eb_and(e, some, sb_eb_bin(e, "xor", below, sb_eb_cmp(e, "fcmp olt", b, zero)));
    if (modulo) {
        const sb_ev r = sb_eb_select(e, apart, sb_eb_bin(e, "fadd", rest, b), rest);
        return sb_eb_select(e, some, r, sb_eb_copysign(e, zero, b));
    }
    const sb_ev near = sb_eb_bin(e, "fdiv", sb_eb_bin(e, "fsub", a, rest), b);
    const sb_ev q = sb_eb_select(e, apart, sb_eb_bin(e, "fsub", near, sb_ev_double(1.0)), near);
    const sb_ev whole = sb_eb_intrinsic(e, "floor", q);
    const sb_ev low = sb_eb_cmp(e, "fcmp ogt", sb_eb_bin(e, "fsub", q, whole), sb_ev_double(0.5));
    const sb_ev snapped =
        sb_eb_select(e, low, sb_eb_bin(e, "fadd", whole, sb_ev_double(1.0)), whole);
    const sb_ev none = sb_eb_cmp(e, "fcmp oeq", q, zero);
    return sb_eb_select(e, none, sb_eb_copysign(e, zero, ratio), snapped);
}

sb_ev sb_emit_div_f64(sb_emitter *e, const sb_inst *inst)
{
    const bool modulo = inst->op == SB_IR_PY_MOD_F64;
    const size_t helper =
        modulo ? offsetof(sb_rt_table, py_mod_f64) : offsetof(sb_rt_table, py_floordiv_f64);
    sb_ev a = e->values[inst->a];
    sb_ev b = e->values[inst->b];
    sb_emit_check(e, sb_emit_is_zero(e, b), SB_REASON_DIV_ZERO);
    if (!e->fuses) {
        return call_rt(e, helper, a, b);
    }
    if (a.vec || b.vec) {
        a = sb_eb_widen(e, a);
        b = sb_eb_widen(e, b);
    }
    const sb_ev ratio = sb_eb_bin(e, "fdiv", a, b);
    const sb_ev size = sb_eb_intrinsic(e, "fabs", ratio);
    const sb_ev small = sb_eb_cmp(e, "fcmp olt", size, sb_ev_double(TWO_53));
    const sb_ev finite =
        sb_eb_cmp(e, "fcmp olt", sb_eb_intrinsic(e, "fabs", b), sb_ev_double(HUGE_VAL));
    sb_ev beyond = sb_eb_not(e, sb_eb_and(e, small, finite));
    if (a.vec) {
        beyond = sb_eb_any(e, sb_emit_relevant(e, beyond));
    }
    const uint32_t slow = sb_eb_label_new(e);
    const uint32_t fast = sb_eb_label_new(e);
    const uint32_t join = sb_eb_label_new(e);
    sb_eb_branch_rare(e, beyond, slow, fast);
    sb_eb_label(e, fast);
    const sb_ev rest = remainder_of(e, a, b, size);
    const sb_ev quick = div_by_remainder(e, a, b, ratio, rest, modulo);
    const uint32_t fast_from = e->label;
    sb_eb_jump(e, join);
    sb_eb_label(e, slow);
    const sb_ev exact = call_rt(e, helper, a, b);
    const uint32_t slow_from = e->label;
    sb_eb_jump(e, join);
    sb_eb_label(e, join);
    return sb_eb_phi(e, quick, fast_from, exact, slow_from);
}

sb_ev sb_emit_udiv(sb_emitter *e, sb_ev a, sb_ev b)
{
    const sb_ev zero = sb_emit_is_zero(e, b);
    const sb_ev q = sb_eb_bin(e, "udiv", a, sb_eb_select(e, zero, sb_ev_int(1), b));
    return sb_eb_select(e, zero, sb_ev_int(0), q);
}
