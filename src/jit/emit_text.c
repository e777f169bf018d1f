/* The small assembler over LLVM's text: values, types, instructions, labels.
 *
 * Each function writes at most a few lines to *e->out and gives the value back. Operands of different width are brought
 * together by spreading the scalar; a scalar is spread once a basic block. Branches first save the checks found in
 * the block (sb_emit_flush_bad), so no other file has to think of it. */
#include "jit/emit_int.h"

#include <inttypes.h>
#include <string.h>

sb_ev sb_ev_int(int64_t value)
{
    return (sb_ev){.kind = EV_CONST, .prim = SB_PRIM_I64, .bits = value};
}

sb_ev sb_ev_double(double value)
{
    sb_ev v = {.kind = EV_CONST, .prim = SB_PRIM_F64};
    memcpy(&v.bits, &value, sizeof(value));
    return v;
}

sb_ev sb_ev_bool(bool value)
{
    return (sb_ev){.kind = EV_CONST, .prim = SB_PRIM_B, .bits = value};
}

bool sb_ev_is_bool(sb_ev v, bool value)
{
    return v.kind == EV_CONST && v.prim == SB_PRIM_B && v.bits == (int64_t)value;
}

const char *sb_eb_type(const sb_emitter *e, uint8_t prim, bool vec)
{
    return e->types[vec][prim];
}

sb_ev sb_eb_temp(sb_emitter *e, uint8_t prim, bool vec)
{
    const sb_ev v = {.kind = EV_TEMP, .prim = prim, .vec = vec, .id = e->temps++};
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = ", v.id);
    return v;
}

void sb_eb_put(sb_emitter *e, sb_ev v)
{
    SB_ASSERT(v.kind != EV_NONE);
    if (v.kind == EV_TEMP) {
        sb_buf_printf(e->out, "%%t%" PRIu32, v.id);
        return;
    }
    if (v.vec) {
        sb_buf_printf(e->out, "splat (%s ", e->types[false][v.prim]);
    }
    if (v.prim == SB_PRIM_F64) {
        sb_buf_printf(e->out, "0x%016" PRIX64, (uint64_t)v.bits);
    } else if (v.prim == SB_PRIM_B) {
        sb_buf_text(e->out, v.bits != 0 ? "true" : "false");
    } else {
        sb_buf_printf(e->out, "%" PRId64, v.bits);
    }
    if (v.vec) {
        sb_buf_char(e->out, ')');
    }
}

sb_ev sb_eb_widen(sb_emitter *e, sb_ev v)
{
    if (v.vec || e->lanes == 1) {
        return v;
    }
    if (v.kind == EV_CONST) {
        v.vec = true;
        return v;
    }
    for (uint32_t i = 0; i < e->splat_count; i++) {
        if (e->splats[i].id == v.id) {
            return (sb_ev){.kind = EV_TEMP, .prim = v.prim, .vec = true, .id = e->splats[i].splat};
        }
    }
    const char *vector = e->types[true][v.prim];
    const sb_ev one = sb_eb_temp(e, v.prim, true);
    sb_buf_printf(e->out, "insertelement %s poison, %s %%t%" PRIu32 ", i32 0\n", vector,
                  e->types[false][v.prim], v.id);
    const sb_ev all = sb_eb_temp(e, v.prim, true);
    sb_buf_printf(
        e->out, "shufflevector %s %%t%" PRIu32 ", %s poison, <%" PRIu32 " x i32> zeroinitializer\n",
        vector, one.id, vector, e->lanes);
    if (e->splat_count < SB_EMIT_SPLATS) {
        e->splats[e->splat_count].id = v.id;
        e->splats[e->splat_count++].splat = all.id;
    }
    return all;
}

static void unify(sb_emitter *e, sb_ev *a, sb_ev *b)
{
    if (a->vec != b->vec) {
        *a = sb_eb_widen(e, *a);
        *b = sb_eb_widen(e, *b);
    }
}

static void operands(sb_emitter *e, const char *op, sb_ev a, sb_ev b)
{
    sb_buf_printf(e->out, "%s %s ", op, sb_eb_type(e, a.prim, a.vec));
    sb_eb_put(e, a);
    sb_buf_text(e->out, ", ");
    sb_eb_put(e, b);
    sb_buf_char(e->out, '\n');
}

sb_ev sb_eb_bin(sb_emitter *e, const char *op, sb_ev a, sb_ev b)
{
    SB_ASSERT(a.prim == b.prim);
    unify(e, &a, &b);
    const sb_ev r = sb_eb_temp(e, a.prim, a.vec);
    operands(e, op, a, b);
    return r;
}

sb_ev sb_eb_cmp(sb_emitter *e, const char *op, sb_ev a, sb_ev b)
{
    SB_ASSERT(a.prim == b.prim);
    unify(e, &a, &b);
    const sb_ev r = sb_eb_temp(e, SB_PRIM_B, a.vec);
    operands(e, op, a, b);
    return r;
}

sb_ev sb_eb_cast(sb_emitter *e, const char *op, sb_ev a, sb_prim to)
{
    const sb_ev r = sb_eb_temp(e, (uint8_t)to, a.vec);
    sb_buf_printf(e->out, "%s %s ", op, sb_eb_type(e, a.prim, a.vec));
    sb_eb_put(e, a);
    sb_buf_printf(e->out, " to %s\n", sb_eb_type(e, (uint8_t)to, a.vec));
    return r;
}

sb_ev sb_eb_unary(sb_emitter *e, const char *op, sb_ev a)
{
    const sb_ev r = sb_eb_temp(e, a.prim, a.vec);
    sb_buf_printf(e->out, "%s %s ", op, sb_eb_type(e, a.prim, a.vec));
    sb_eb_put(e, a);
    sb_buf_char(e->out, '\n');
    return r;
}

/* All operands are vectors or none is. */
static sb_ev intrinsic(sb_emitter *e, const char *name, const sb_ev *operands, size_t count)
{
    const bool vec = operands[0].vec;
    const char *type = sb_eb_type(e, SB_PRIM_F64, vec);
    const sb_ev r = sb_eb_temp(e, SB_PRIM_F64, vec);
    if (vec) {
        sb_buf_printf(e->out, "call %s @llvm.%s.v%" PRIu32 "f64(", type, name, e->lanes);
    } else {
        sb_buf_printf(e->out, "call %s @llvm.%s.f64(", type, name);
    }
    for (size_t k = 0; k < count; k++) {
        SB_ASSERT(operands[k].prim == SB_PRIM_F64 && operands[k].vec == vec);
        sb_buf_printf(e->out, "%s%s ", k == 0 ? "" : ", ", type);
        sb_eb_put(e, operands[k]);
    }
    sb_buf_text(e->out, ")\n");
    return r;
}

sb_ev sb_eb_intrinsic(sb_emitter *e, const char *name, sb_ev a)
{
    return intrinsic(e, name, &a, 1);
}

sb_ev sb_eb_copysign(sb_emitter *e, sb_ev a, sb_ev b)
{
    const bool vec = a.vec || b.vec;
    return intrinsic(e, "copysign",
                     (sb_ev[]){vec ? sb_eb_widen(e, a) : a, vec ? sb_eb_widen(e, b) : b}, 2);
}

sb_ev sb_eb_fma(sb_emitter *e, sb_ev a, sb_ev b, sb_ev c)
{
    return intrinsic(e, "fma", (sb_ev[]){a, b, c}, 3);
}

sb_ev sb_eb_checked(sb_emitter *e, const char *name, sb_ev a, sb_ev b, sb_ev *overflow)
{
    SB_ASSERT(!a.vec && !b.vec);
    const sb_ev pair = sb_eb_temp(e, SB_PRIM_I64, false);
    sb_buf_printf(e->out, "call {i64, i1} @llvm.%s.with.overflow.i64(i64 ", name);
    sb_eb_put(e, a);
    sb_buf_text(e->out, ", i64 ");
    sb_eb_put(e, b);
    sb_buf_text(e->out, ")\n");
    const sb_ev r = sb_eb_temp(e, SB_PRIM_I64, false);
    sb_buf_printf(e->out, "extractvalue {i64, i1} %%t%" PRIu32 ", 0\n", pair.id);
    *overflow = sb_eb_temp(e, SB_PRIM_B, false);
    sb_buf_printf(e->out, "extractvalue {i64, i1} %%t%" PRIu32 ", 1\n", pair.id);
    return r;
}

sb_ev sb_eb_select(sb_emitter *e, sb_ev c, sb_ev a, sb_ev b)
{
    SB_ASSERT(a.prim == b.prim);
    if (c.kind == EV_CONST) {
        return c.bits != 0 ? a : b;
    }
    unify(e, &a, &b);
    if (c.vec) {
        a = sb_eb_widen(e, a);
        b = sb_eb_widen(e, b);
    }
    const char *type = sb_eb_type(e, a.prim, a.vec);
    const sb_ev r = sb_eb_temp(e, a.prim, a.vec);
    sb_buf_printf(e->out, "select %s ", sb_eb_type(e, c.prim, c.vec));
    sb_eb_put(e, c);
    sb_buf_printf(e->out, ", %s ", type);
    sb_eb_put(e, a);
    sb_buf_printf(e->out, ", %s ", type);
    sb_eb_put(e, b);
    sb_buf_char(e->out, '\n');
    return r;
}

sb_ev sb_eb_and(sb_emitter *e, sb_ev a, sb_ev b)
{
    if (a.kind == EV_CONST) {
        return a.bits != 0 ? b : a;
    }
    if (b.kind == EV_CONST) {
        return b.bits != 0 ? a : b;
    }
    return sb_eb_bin(e, "and", a, b);
}

sb_ev sb_eb_or(sb_emitter *e, sb_ev a, sb_ev b)
{
    if (a.kind == EV_CONST) {
        return a.bits != 0 ? a : b;
    }
    if (b.kind == EV_CONST) {
        return b.bits != 0 ? b : a;
    }
    return sb_eb_bin(e, "or", a, b);
}

sb_ev sb_eb_not(sb_emitter *e, sb_ev a)
{
    if (a.kind == EV_CONST) {
        a.bits = !a.bits;
        return a;
    }
    return sb_eb_bin(e, "xor", a, sb_ev_bool(true));
}

sb_ev sb_eb_any(sb_emitter *e, sb_ev m)
{
    if (m.kind == EV_CONST || !m.vec) {
        m.vec = false;
        return m;
    }
    const uint32_t bits = e->temps++;
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = bitcast %s %%t%" PRIu32 " to i%" PRIu32 "\n", bits,
                  e->types[true][SB_PRIM_B], m.id, e->lanes);
    const sb_ev r = sb_eb_temp(e, SB_PRIM_B, false);
    sb_buf_printf(e->out, "icmp ne i%" PRIu32 " %%t%" PRIu32 ", 0\n", e->lanes, bits);
    return r;
}

sb_ev sb_eb_phi(sb_emitter *e, sb_ev a, uint32_t from_a, sb_ev b, uint32_t from_b)
{
    SB_ASSERT(a.prim == b.prim);
    if (a.kind == EV_CONST) {
        a.vec = b.vec;
    } else if (b.kind == EV_CONST) {
        b.vec = a.vec;
    }
    SB_ASSERT(a.vec == b.vec);
    const sb_ev r = sb_eb_temp(e, a.prim, a.vec);
    sb_buf_printf(e->out, "phi %s [ ", sb_eb_type(e, a.prim, a.vec));
    sb_eb_put(e, a);
    sb_buf_printf(e->out, ", %%b%" PRIu32 " ], [ ", from_a);
    sb_eb_put(e, b);
    sb_buf_printf(e->out, ", %%b%" PRIu32 " ]\n", from_b);
    return r;
}

uint32_t sb_eb_slot(sb_emitter *e, uint8_t prim, bool vec)
{
    const uint32_t id = e->temps++;
    sb_buf_printf(&e->prologue, "  %%t%" PRIu32 " = alloca %s, align %d\n", id,
                  sb_eb_type(e, prim, vec), vec && prim != SB_PRIM_B ? 64 : 8);
    return id;
}

sb_ev sb_eb_load(sb_emitter *e, uint32_t slot, uint8_t prim, bool vec)
{
    const sb_ev r = sb_eb_temp(e, prim, vec);
    sb_buf_printf(e->out, "load %s, ptr %%t%" PRIu32 "\n", sb_eb_type(e, prim, vec), slot);
    return r;
}

void sb_eb_store(sb_emitter *e, uint32_t slot, sb_ev v)
{
    sb_buf_printf(e->out, "  store %s ", sb_eb_type(e, v.prim, v.vec));
    sb_eb_put(e, v);
    sb_buf_printf(e->out, ", ptr %%t%" PRIu32 "\n", slot);
}

uint32_t sb_eb_label_new(sb_emitter *e)
{
    return e->labels++;
}

void sb_eb_label(sb_emitter *e, uint32_t label)
{
    sb_buf_printf(e->out, "b%" PRIu32 ":\n", label);
    e->label = label;
    e->splat_count = 0;
}

void sb_eb_jump(sb_emitter *e, uint32_t label)
{
    sb_emit_flush_bad(e);
    sb_buf_printf(e->out, "  br label %%b%" PRIu32 "\n", label);
}

static void branch(sb_emitter *e, sb_ev c, uint32_t yes, uint32_t no, const char *note)
{
    SB_ASSERT(!c.vec);
    sb_emit_flush_bad(e);
    sb_buf_text(e->out, "  br i1 ");
    sb_eb_put(e, c);
    sb_buf_printf(e->out, ", label %%b%" PRIu32 ", label %%b%" PRIu32 "%s\n", yes, no, note);
}

void sb_eb_branch(sb_emitter *e, sb_ev c, uint32_t yes, uint32_t no)
{
    branch(e, c, yes, no, "");
}

void sb_eb_branch_rare(sb_emitter *e, sb_ev c, uint32_t yes, uint32_t no)
{
    branch(e, c, yes, no, ", !prof !0");
}
