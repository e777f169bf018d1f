"""Errors to put into the engine, each small enough to be a slip of the pen. The fuzzer must notice every one.

A mutation replaces text that occurs once in a file. It must change what some function gives: an error that only makes rows
leave which need not is slow, not wrong, and is no mutation.
"""

from __future__ import annotations

from typing import NamedTuple


class Mutation(NamedTuple):
    name: str
    file: str
    old: str
    new: str
    tier: str  # where it shows: interpreter, native or mixed


RT = "src/rt/rt.h"
KERNELS = "src/interp/kernels.c"
INTERP = "src/interp/interp.c"
OPS = "src/jit/emit_op.c"
DIV = "src/jit/emit_div.c"
REGION = "src/jit/emit_region.c"
EMIT = "src/jit/emit.c"
EMIT_MATH = "src/jit/emit_math.c"
CALL = "src/front/call.c"
ITER = "src/front/iter.c"
LIST = "src/front/list.c"
LIST_EMIT = "src/jit/emit_list.c"
LIST_INTERP = "src/interp/lists.c"
LIST_RT = "src/rt/list.c"
MATH = "src/front/math.c"
VALUE = "src/front/value.c"

MUTATIONS = [
    Mutation(
        "floor division of integers truncates",
        RT,
        "        quotient -= 1;\n    }\n    *out = quotient;",
        "    }\n    *out = quotient;",
        "interpreter",
    ),
    Mutation(
        "remainder of integers keeps the dividend's sign",
        RT,
        "        rest += b;\n    }\n    *out = rest;\n    return SB_REASON_NONE;\n}\n\n/* Python's quotient",
        "    }\n    *out = rest;\n    return SB_REASON_NONE;\n}\n\n/* Python's quotient",
        "interpreter",
    ),
    Mutation(
        "INT64_MIN // -1 wraps",
        RT,
        "        return sb_rt_py_neg_i64(a, out);",
        "        *out = (int64_t)(0 - (uint64_t)a);\n        return SB_REASON_NONE;",
        "interpreter",
    ),
    Mutation(
        "integers up to 2**54 count as exact doubles",
        RT,
        "INT64_C(9007199254740992)",
        "INT64_C(18014398509481984)",
        "interpreter",
    ),
    Mutation(
        "an int equals a double that it rounds to",
        RT,
        "    if (b >= SB_RT_TWO_63) {\n        return -1;",
        "    if ((double)a == b) {\n        return 0;\n    }\n    if (b >= SB_RT_TWO_63) {\n        return -1;",
        "interpreter",
    ),
    Mutation(
        "a zero remainder of doubles is positive",
        RT,
        "rest = copysign(0.0, b);",
        "rest = 0.0;",
        "mixed",
    ),
    Mutation(
        "floor division of doubles by the rounded quotient",
        RT,
        "double quotient = (a - rest) / b;",
        "double quotient = a / b;",
        "mixed",
    ),
    Mutation(
        "<= of integers is < in dense loops",
        KERNELS,
        "X(PY_LE_I64, uint8_t, int64_t, int64_t, z = x <= y,",
        "X(PY_LE_I64, uint8_t, int64_t, int64_t, z = x < y,",
        "interpreter",
    ),
    Mutation(
        "overflow of a dense addition is looked for as of a subtraction",
        KERNELS,
        "leaves |= (x ^ z) & (y ^ z),",
        "leaves |= (x ^ z) & (x ^ y),",
        "interpreter",
    ),
    Mutation(
        "a uniform condition chooses the other value",
        INTERP,
        "const bool first = *(const uint8_t *)st->slots[step->a] != 0;",
        "const bool first = *(const uint8_t *)st->slots[step->a] == 0;",
        "interpreter",
    ),
    Mutation(
        "a loop's result is taken from a later turn",
        INTERP,
        "const bool dense = runs_dense(st, f, true);\n    for (uint32_t k = 0; k < count; k++) {",
        "const bool dense = runs_dense(st, f, false);\n    for (uint32_t k = 0; k < count; k++) {",
        "interpreter",
    ),
    Mutation(
        "rows that finished a loop are written by later turns",
        INTERP,
        "        f->shrunk = true;",
        "        f->shrunk = false;",
        "interpreter",
    ),
    Mutation(
        "a leaving row is named by its place in the slice",
        INTERP,
        "SB_LEAVE_ENTRY(st->row + i, st->reasons[i])",
        "SB_LEAVE_ENTRY(i, st->reasons[i])",
        "interpreter",
    ),
    Mutation(
        "nulls are those of the first slice",
        INTERP,
        "sb_bitmap_unpack(st->slots[step->o], bits, st->row, st->n);",
        "sb_bitmap_unpack(st->slots[step->o], bits, 0, st->n);",
        "interpreter",
    ),
    Mutation(
        "overflow of an addition of lanes is looked for as of a subtraction",
        OPS,
        'adds ? sb_eb_bin(e, "xor", b, r) : sb_eb_bin(e, "xor", a, b);',
        'adds ? sb_eb_bin(e, "xor", a, b) : sb_eb_bin(e, "xor", a, b);',
        "native",
    ),
    Mutation(
        "lanes compare an int with a double through a double",
        OPS,
        "const sb_ev tie = sb_eb_and(e, equal, same);",
        "(void)same;\n    const sb_ev tie = equal;",
        "native",
    ),
    Mutation(
        "<= of integers is < in lanes",
        OPS,
        '"icmp sle", a, b);\n    case SB_IR_PY_EQ_F64',
        '"icmp slt", a, b);\n    case SB_IR_PY_EQ_F64',
        "native",
    ),
    Mutation(
        "products up to 2**64 count as within int64",
        OPS,
        "INT64_C(0x43DFFFFFFFFFFFFB)",
        "INT64_C(0x43EFFFFFFFFFFFFB)",
        "native",
    ),
    Mutation(
        "lanes divide integers up to 2**54 as doubles",
        OPS,
        "(INT64_C(1) << 53)  ",
        "(INT64_C(1) << 54)  ",
        "native",
    ),
    Mutation(
        "a lane divided by a power of two is shifted without its sign",
        DIV,
        'sb_eb_bin(e, "ashr", a, sb_ev_int(sb_ctz_u64((uint64_t)c)))',
        'sb_eb_bin(e, "lshr", a, sb_ev_int(sb_ctz_u64((uint64_t)c)))',
        "native",
    ),
    Mutation(
        "the values of a merge change places",
        REGION,
        "sb_eb_select(e, frame->cond, e->values[m], e->others[m])",
        "sb_eb_select(e, frame->cond, e->others[m], e->values[m])",
        "native",
    ),
    Mutation(
        "a lane that finished a loop takes the values of later turns",
        REGION,
        "next = sb_eb_select(e, e->mask, next, e->values[k]);",
        "next = sb_eb_select(e, sb_eb_widen(e, sb_ev_bool(true)), next, e->values[k]);",
        "native",
    ),
    Mutation(
        "overflow under a mask counts for the other lanes",
        REGION,
        "sb_eb_select(e, e->mask, word, sb_ev_int(0)));",
        "sb_eb_select(e, e->mask, sb_ev_int(0), word));",
        "native",
    ),
    Mutation(
        "the last lane of a filtered block is lost",
        EMIT,
        "%%cut = call i32 @llvm.smax.i32(i32 %%after, i32 0)",
        "%%cut = call i32 @llvm.smax.i32(i32 %%after, i32 1)",
        "native",
    ),
    Mutation(
        "the last lane of the tail is lost",
        EMIT,
        '"  %%low_ones = lshr i32 %" PRIu32 ", %%cut\\n"',
        '"  %%cut_more = add i32 %%cut, 1\\n  %%low_ones = lshr i32 %" PRIu32 ", %%cut_more\\n"',
        "native",
    ),
    Mutation(
        "the mask of a filter is that of the first slice",
        INTERP,
        "sb_bit_get(call->active, row + i)",
        "sb_bit_get(call->active, i)",
        "interpreter",
    ),
    Mutation(
        "the nulls of another column",
        OPS,
        "sb_emit_load_bits(e, sb_emit_input_valid(e, (uint32_t)inst->imm.i))",
        "sb_emit_load_bits(e, sb_emit_input_valid(e, 0 * (uint32_t)inst->imm.i))",
        "native",
    ),
    Mutation(
        "integers are rounded half up to tens",
        RT,
        "(rest == unit - rest && (whole / unit & 1) != 0)",
        "rest == unit - rest",
        "interpreter",
    ),
    Mutation(
        "a right shift by 64 and more is one by its low bits",
        RT,
        "*out = a >> (b > 63 ? 63 : b);",
        "*out = a >> (b & 63);",
        "interpreter",
    ),
    Mutation(
        "native code does not shift right by 64 and more",
        EMIT_MATH,
        'sb_eb_bin(e, "ashr", a, sb_eb_select(e, far, sb_ev_int(63), b))',
        'sb_eb_bin(e, "ashr", a, sb_eb_select(e, far, sb_ev_int(0), b))',
        "native",
    ),
    Mutation(
        "native left shifts lose bits",
        EMIT_MATH,
        "sb_eb_or(e, lost, sb_eb_and(e, far, some))",
        "sb_eb_and(e, lost, sb_eb_and(e, far, some))",
        "native",
    ),
    Mutation("powers of -1 are -1", RT, "(a == -1 && (b & 1) == 0 ? 1 : a)", "a", "interpreter"),
    Mutation(
        "isqrt is one too large",
        RT,
        "while (root < 3037000499u && (root + 1) * (root + 1) <= (uint64_t)a) {",
        "while (root < 3037000499u && root * root < (uint64_t)a) {",
        "interpreter",
    ),
    Mutation(
        "ties are rounded away from zero",
        RT,
        "double whole = rint(p);",
        "double whole = round(p);",
        "interpreter",
    ),
    Mutation(
        "int() of a double that does not fit",
        RT,
        "if (!(a >= -SB_RT_TWO_63 && a < SB_RT_TWO_63)) {",
        "if (!(a >= -SB_RT_TWO_63 && a < 1e300)) {",
        "interpreter",
    ),
    Mutation(
        "native int() rounds to nearest",
        EMIT_MATH,
        'return sb_eb_cast(e, "fptosi", sb_eb_select(e, fits, a, sb_ev_double(0.0)), SB_PRIM_I64);',
        'return sb_eb_cast(e, "fptosi", sb_eb_select(e, fits, sb_eb_intrinsic(e, "roundeven", a), sb_ev_double(0.0)), SB_PRIM_I64);',
        "native",
    ),
    Mutation(
        "errors of math do not raise",
        RT,
        "!(r - r == 0.0) && a - a == 0.0 && b - b == 0.0) {",
        "false) {",
        "interpreter",
    ),
    Mutation(
        "native ceil is floor",
        EMIT_MATH,
        'sb_eb_intrinsic(e, "ceil", a)',
        'sb_eb_intrinsic(e, "floor", a)',
        "native",
    ),
    Mutation(
        "native bit or is and",
        EMIT_MATH,
        '*out = sb_eb_bin(e, "or", a, b);',
        '*out = sb_eb_bin(e, "and", a, b);',
        "native",
    ),
    Mutation(
        "math.trunc is floor",
        MATH,
        "    case SB_BLOB_TRUNC:\n        return by_kind(l, args[0], int_of);",
        "    case SB_BLOB_TRUNC:\n        return by_kind(l, args[0], floor_of);",
        "interpreter",
    ),
    Mutation(
        "a square of an int is a float",
        MATH,
        "return known >= 0 ? ",
        "return known > 2 ? ",
        "interpreter",
    ),
    Mutation(
        "negative indexes count from one before the end",
        CALL,
        "sb_value moved = sb_op2(l, SB_IR_IX_ADD, index, sb_irb_const_i(&l->b, count));",
        "sb_value moved = sb_op2(l, SB_IR_IX_ADD, index, sb_irb_const_i(&l->b, count - 1));",
        "interpreter",
    ),
    Mutation("sorting stops early", CALL, "end > 1; end--", "end > 2; end--", "interpreter"),
    Mutation(
        "a called function's returns are the caller's",
        CALL,
        "    e->returned = outer.returned;\n    e->broke",
        "    e->broke",
        "interpreter",
    ),
    Mutation(
        "reversed goes forward",
        ITER,
        "items[k] = v.items[v.count - 1 - k];",
        "items[k] = v.items[k];",
        "interpreter",
    ),
    Mutation(
        "enumerate starts at 0",
        ITER,
        "add_range(l, c, start.i, sb_irb_const_i(&l->b, 1), n, &source->range)",
        "add_range(l, c, l->zero_i, sb_irb_const_i(&l->b, 1), n, &source->range)",
        "interpreter",
    ),
    Mutation(
        "divmod gives the quotient twice",
        CALL,
        "items[1] = sb_pyval_arith(l, SB_BLOB_MOD, args[0], args[1]);",
        "items[1] = sb_pyval_arith(l, SB_BLOB_FLOORDIV, args[0], args[1]);",
        "interpreter",
    ),
    Mutation(
        "negative positions in lists count from one before the end",
        LIST_INTERP,
        "at += at < 0 ? list->count : 0;",
        "at += at < 0 ? list->count - 1 : 0;",
        "interpreter",
    ),
    Mutation(
        "native code leaves in its list what it pops",
        LIST_EMIT,
        "    store_count(e, header, less);\n    return word;",
        "    return word;",
        "native",
    ),
    Mutation(
        "the second item of a list is not sorted",
        LIST_RT,
        "for (int64_t k = first + 1; k < last; k++) {                                               \\\n",
        "for (int64_t k = first + 2; k < last; k++) {                                               \\\n",
        "interpreter",
    ),
    Mutation(
        "reversed begins before the last item of a list",
        ITER,
        "sb_list_length(l, &v), sb_irb_const_i(&l->b, 1));",
        "sb_list_length(l, &v), sb_irb_const_i(&l->b, 2));",
        "interpreter",
    ),
    Mutation(
        "list + list changes the first",
        LIST,
        "    pyval r = copy(l, x);\n",
        "    pyval r = *x;\n",
        "interpreter",
    ),
    Mutation(
        "a list's ints beside floats come back as floats",
        LIST,
        "v.is[TAG_INT] = sb_op2(l, SB_IR_PY_EQ_I64, from.is_float, l->zero_i);",
        "v.is[TAG_INT] = sb_op2(l, SB_IR_PY_EQ_I64, from.is_float, from.word);",
        "interpreter",
    ),
    Mutation(
        "a region's values replace what it left as it was",
        VALUE,
        "    if (v->is[lowest] != 0) {",
        "    if (false && v->is[lowest] != 0) {",
        "interpreter",
    ),
]
