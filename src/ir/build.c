/* Building IR: appends instructions, folds what is constant, keeps regions paired.
 *
 * Interface: sb_irb_* of ir.h, called by the front and by tests; errors are sticky in the builder and come out of sb_ir_finish.
 * Folding calls the primitives of rt/rt.h, so a folded result is by construction what tier 0 would compute.
 * Memory: the instruction array of the sb_ir. Threads: one builder, one thread. */
#include "base/compiler.h"
#include "ir/ir.h"
#include "rt/rt.h"

const sb_op_info sb_op_infos[SB_IR_OP_COUNT] = {
#define X(name, op_text, op_result, op_operands, op_flags)                                         \
    [SB_IR_##name] = {.text = (op_text),                                                           \
                      .operands = (op_operands),                                                   \
                      .result = (op_result),                                                       \
                      .flags = (op_flags),                                                         \
                      .operand_count = (uint8_t)(sizeof(op_operands) - 1)},
    SB_OP_LIST(X)
#undef X
};

const sb_slow_info sb_slow_infos[SB_IR_OP_COUNT] = {
#define SB_E(X, NAME, name) [SB_IR_MATH_##NAME] = {1 + SB_RT_SLOW_MATH_##NAME, SB_REASON_RAISE},
    SB_RT_MATH1_LIST(SB_E, ) SB_RT_MATH2_LIST(SB_E, )
#undef SB_E
#define SB_E(X, NAME, name, to, ta, tb, why)                                                       \
    [SB_IR_##NAME] = {1 + SB_RT_SLOW_##NAME, SB_REASON_##why},
        SB_RT_SLOW_LIST(SB_E, )
#undef SB_E
};

void sb_ir_init(sb_ir *ir)
{
    *ir = (sb_ir){0};
}

void sb_ir_release(sb_ir *ir)
{
    SB_VEC_RELEASE(&ir->insts);
    SB_VEC_RELEASE(&ir->inputs);
    SB_VEC_RELEASE(&ir->outputs);
    if (ir->owns_functions) {
        sb_ir_functions *functions = ir->functions;
        ir->functions = NULL;
        ir->owns_functions = false;
        for (uint32_t k = 0; k < functions->count; k++) {
            SB_VEC_RELEASE(&functions->items[k].insts);
            SB_VEC_RELEASE(&functions->items[k].inputs);
            SB_VEC_RELEASE(&functions->items[k].outputs);
        }
        sb_mem_free(functions);
    }
}

sb_status sb_ir_set_functions(sb_ir *ir, uint32_t count, sb_error *err)
{
    const size_t size = sizeof(sb_ir_functions) + count * sizeof(sb_ir);
    sb_ir_functions *functions = sb_mem_alloc_zero(size);
    if (functions == NULL) {
        return sb_error_no_memory(err, size);
    }
    functions->count = count;
    for (uint32_t k = 0; k < count; k++) {
        functions->items[k].functions = functions;
    }
    if (ir->owns_functions) {
        sb_ir old = {.functions = ir->functions, .owns_functions = true};
        sb_ir_release(&old);
    }
    ir->functions = functions;
    ir->owns_functions = true;
    return SB_OK;
}

static sb_value append(sb_irb *b, sb_inst inst)
{
    if (b->no_memory || b->too_large) {
        return 0;
    }
    if (b->ir->insts.count >= b->insts_max) {
        b->too_large = true;
        return 0;
    }
    if (!SB_VEC_PUSH(&b->ir->insts, inst)) {
        b->no_memory = true;
        return 0;
    }
    return (sb_value)(b->ir->insts.count - 1);
}

void sb_irb_init(sb_irb *b, sb_ir *ir, size_t insts_max)
{
    *b = (sb_irb){.ir = ir, .insts_max = insts_max};
    if (ir->insts.count == 0) {
        (void)append(b, (sb_inst){.op = SB_IR_NOP});
    }
}

static const sb_inst *inst_at(const sb_irb *b, sb_value v)
{
    static const sb_inst nop = {.op = SB_IR_NOP};
    return v < b->ir->insts.count ? &b->ir->insts.items[v] : &nop;
}

static sb_prim prim_of_letter(char letter, sb_prim star)
{
    switch (letter) {
    case 'b':
        return SB_PRIM_B;
    case 'i':
        return SB_PRIM_I64;
    case 'f':
        return SB_PRIM_F64;
    case '*':
        return star;
    default:
        return SB_PRIM_VOID;
    }
}

/* --- folding ---------------------------------------------------------------------------------------------------------- */

static bool fold_int(sb_irb *b, sb_op_code op, int64_t x, int64_t y, sb_value *out)
{
    int64_t r = 0;
    sb_reason reason = SB_REASON_NONE;
    switch (op) {
    case SB_IR_PY_ADD_I64:
        reason = sb_rt_py_add_i64(x, y, &r);
        break;
    case SB_IR_PY_SUB_I64:
        reason = sb_rt_py_sub_i64(x, y, &r);
        break;
    case SB_IR_PY_MUL_I64:
        reason = sb_rt_py_mul_i64(x, y, &r);
        break;
    case SB_IR_PY_NEG_I64:
        reason = sb_rt_py_neg_i64(x, &r);
        break;
    case SB_IR_PY_FLOORDIV_I64:
        reason = sb_rt_py_floordiv_i64(x, y, &r);
        break;
    case SB_IR_PY_MOD_I64:
        reason = sb_rt_py_mod_i64(x, y, &r);
        break;
    case SB_IR_IX_ADD:
        r = sb_rt_ix_add(x, y);
        break;
    case SB_IR_IX_SUB:
        r = sb_rt_ix_sub(x, y);
        break;
    case SB_IR_IX_UDIV:
        r = sb_rt_ix_udiv(x, y);
        break;
    case SB_IR_PY_POW_I64:
        reason = sb_rt_py_pow_i64(x, y, &r);
        break;
    case SB_IR_PY_LSHIFT_I64:
        reason = sb_rt_py_lshift_i64(x, y, &r);
        break;
    case SB_IR_PY_RSHIFT_I64:
        reason = sb_rt_py_rshift_i64(x, y, &r);
        break;
    case SB_IR_PY_AND_I64:
        r = sb_rt_py_and_i64(x, y);
        break;
    case SB_IR_PY_OR_I64:
        r = sb_rt_py_or_i64(x, y);
        break;
    case SB_IR_PY_XOR_I64:
        r = sb_rt_py_xor_i64(x, y);
        break;
    case SB_IR_PY_INVERT_I64:
        r = sb_rt_py_invert_i64(x);
        break;
    case SB_IR_PY_BIT_COUNT_I64:
        r = sb_rt_py_bit_count_i64(x);
        break;
    case SB_IR_PY_BIT_LENGTH_I64:
        r = sb_rt_py_bit_length_i64(x);
        break;
    case SB_IR_PY_ABS_I64:
        reason = sb_rt_py_abs_i64(x, &r);
        break;
    default:
        return false;
    }
    if (reason != SB_REASON_NONE) {
        return false;
    }
    *out = sb_irb_const_i(b, r);
    return true;
}

static bool fold_float(sb_irb *b, sb_op_code op, double x, double y, sb_value *out)
{
    double r = 0;
    sb_reason reason = SB_REASON_NONE;
    switch (op) {
    case SB_IR_PY_ADD_F64:
        r = sb_rt_py_add_f64(x, y);
        break;
    case SB_IR_PY_SUB_F64:
        r = sb_rt_py_sub_f64(x, y);
        break;
    case SB_IR_PY_MUL_F64:
        r = sb_rt_py_mul_f64(x, y);
        break;
    case SB_IR_PY_NEG_F64:
        r = sb_rt_py_neg_f64(x);
        break;
    case SB_IR_PY_TRUEDIV_F64:
        reason = sb_rt_py_truediv_f64(x, y, &r);
        break;
    case SB_IR_PY_FLOORDIV_F64:
        reason = sb_rt_py_floordiv_f64(x, y, &r);
        break;
    case SB_IR_PY_MOD_F64:
        reason = sb_rt_py_mod_f64(x, y, &r);
        break;
    case SB_IR_PY_ABS_F64:
        r = sb_rt_py_abs_f64(x);
        break;
    case SB_IR_PY_POW_F64:
        reason = sb_rt_py_pow_f64(x, y, &r);
        break;
    case SB_IR_MATH_SQRT:
        reason = sb_rt_math_sqrt(x, &r);
        break;
    default:
        return false;
    }
    if (reason != SB_REASON_NONE) {
        return false;
    }
    *out = sb_irb_const_f(b, r);
    return true;
}

static bool fold_compare(sb_irb *b, sb_op_code op, const sb_inst *x, const sb_inst *y,
                         sb_value *out)
{
    bool r;
    switch (op) {
    case SB_IR_PY_EQ_I64:
        r = sb_rt_py_eq_i64(x->imm.i, y->imm.i);
        break;
    case SB_IR_PY_LT_I64:
        r = sb_rt_py_lt_i64(x->imm.i, y->imm.i);
        break;
    case SB_IR_PY_LE_I64:
        r = sb_rt_py_le_i64(x->imm.i, y->imm.i);
        break;
    case SB_IR_PY_EQ_F64:
        r = sb_rt_py_eq_f64(x->imm.f, y->imm.f);
        break;
    case SB_IR_PY_LT_F64:
        r = sb_rt_py_lt_f64(x->imm.f, y->imm.f);
        break;
    case SB_IR_PY_LE_F64:
        r = sb_rt_py_le_f64(x->imm.f, y->imm.f);
        break;
    default:
        return false;
    }
    *out = sb_irb_const_b(b, r);
    return true;
}

static bool fold_convert(sb_irb *b, sb_op_code op, const sb_inst *x, sb_value *out)
{
    double r = 0;
    switch (op) {
    case SB_IR_PY_INT_B:
        *out = sb_irb_const_i(b, x->imm.i);
        return true;
    case SB_IR_PY_FLOAT_I64:
        *out = sb_irb_const_f(b, sb_rt_py_float_i64(x->imm.i));
        return true;
    case SB_IR_PY_EXACT_FLOAT_I64:
        if (sb_rt_py_exact_float_i64(x->imm.i, &r) != SB_REASON_NONE) {
            return false;
        }
        *out = sb_irb_const_f(b, r);
        return true;
    default:
        return false;
    }
}

/* Boolean identities that need only one constant operand; keeps masks and flags short. */
static bool fold_bool(sb_irb *b, sb_op_code op, sb_value x, sb_value y, sb_value z, sb_value *out)
{
    bool cx = false;
    bool cy = false;
    bool x_const = sb_irb_is_const_b(b, x, &cx);
    bool y_const = op != SB_IR_NOT && sb_irb_is_const_b(b, y, &cy);
    switch (op) {
    case SB_IR_NOT:
        if (x_const) {
            *out = sb_irb_const_b(b, !cx);
            return true;
        }
        if (inst_at(b, x)->op == SB_IR_NOT) {
            *out = inst_at(b, x)->a;
            return true;
        }
        return false;
    case SB_IR_AND:
    case SB_IR_OR: {
        bool neutral = op == SB_IR_AND;
        if (x_const) {
            *out = cx == neutral ? y : x;
            return true;
        }
        if (y_const) {
            *out = cy == neutral ? x : y;
            return true;
        }
        if (x == y) {
            *out = x;
            return true;
        }
        return false;
    }
    case SB_IR_SELECT:
        if (x_const) {
            *out = cx ? y : z;
            return true;
        }
        if (y == z) {
            *out = y;
            return true;
        }
        return false;
    default:
        return false;
    }
}

static bool is_const(const sb_inst *inst)
{
    return inst->op == SB_IR_CONST_B || inst->op == SB_IR_CONST_I || inst->op == SB_IR_CONST_F;
}

static bool fold(sb_irb *b, sb_op_code op, sb_value x, sb_value y, sb_value z, sb_value *out)
{
    if (fold_bool(b, op, x, y, z, out)) {
        return true;
    }
    const sb_op_info *info = &sb_op_infos[op];
    /* Copies: emitting the folded constant may move the instruction array. */
    sb_inst ix = *inst_at(b, x);
    sb_inst iy = *inst_at(b, info->operand_count > 1 ? y : x);
    if (!is_const(&ix) || !is_const(&iy) || info->operand_count > 2) {
        return false;
    }
    if (info->operand_count == 1 && fold_convert(b, op, &ix, out)) {
        return true;
    }
    if (info->result == 'b') {
        return fold_compare(b, op, &ix, &iy, out);
    }
    return info->operands[0] == 'i' ? fold_int(b, op, ix.imm.i, iy.imm.i, out)
                                    : fold_float(b, op, ix.imm.f, iy.imm.f, out);
}

/* --- instructions ----------------------------------------------------------------------------------------------------- */

sb_value sb_irb_op(sb_irb *b, sb_op_code op, sb_value x, sb_value y, sb_value z)
{
    const sb_op_info *info = &sb_op_infos[op];
    SB_ASSERT((info->flags & SB_OP_STRUCT) == 0 && info->operand_count >= 1);
    if (b->no_memory || b->too_large) {
        return 0;
    }
    sb_value folded = 0;
    if (fold(b, op, x, y, z, &folded)) {
        return folded;
    }
    sb_prim star = (sb_prim)inst_at(b, op == SB_IR_SELECT ? y : x)->prim;
    return append(b, (sb_inst){.op = (uint8_t)op,
                               .prim = (uint8_t)prim_of_letter(info->result, star),
                               .a = x,
                               .b = info->operand_count > 1 ? y : 0,
                               .c = info->operand_count > 2 ? z : 0});
}

sb_value sb_irb_const_b(sb_irb *b, bool value)
{
    return append(b, (sb_inst){.op = SB_IR_CONST_B, .prim = SB_PRIM_B, .imm.i = value});
}

sb_value sb_irb_const_i(sb_irb *b, int64_t value)
{
    return append(b, (sb_inst){.op = SB_IR_CONST_I, .prim = SB_PRIM_I64, .imm.i = value});
}

sb_value sb_irb_const_f(sb_irb *b, double value)
{
    return append(b, (sb_inst){.op = SB_IR_CONST_F, .prim = SB_PRIM_F64, .imm.f = value});
}

sb_value sb_irb_in(sb_irb *b, uint32_t input)
{
    SB_ASSERT(input < b->ir->inputs.count);
    return append(b, (sb_inst){.op = SB_IR_IN,
                               .prim = (uint8_t)b->ir->inputs.items[input].prim,
                               .imm.i = input});
}

sb_value sb_irb_in_valid(sb_irb *b, uint32_t input)
{
    SB_ASSERT(input < b->ir->inputs.count);
    return append(b, (sb_inst){.op = SB_IR_IN_VALID, .prim = SB_PRIM_B, .imm.i = input});
}

void sb_irb_leave_if(sb_irb *b, sb_value cond, sb_reason reason)
{
    bool value = false;
    if (sb_irb_is_const_b(b, cond, &value) && !value) {
        return;
    }
    (void)append(b, (sb_inst){.op = SB_IR_LEAVE_IF, .reason = (uint8_t)reason, .a = cond});
}

/* --- regions ---------------------------------------------------------------------------------------------------------- */

sb_value sb_irb_if(sb_irb *b, sb_value cond)
{
    return append(b, (sb_inst){.op = SB_IR_IF, .a = cond});
}

void sb_irb_else(sb_irb *b, sb_value if_inst)
{
    sb_value v = append(b, (sb_inst){.op = SB_IR_ELSE, .b = if_inst});
    if (v != 0) {
        b->ir->insts.items[if_inst].b = v;
    }
}

void sb_irb_end_if(sb_irb *b, sb_value if_inst)
{
    sb_value v = append(b, (sb_inst){.op = SB_IR_END_IF, .b = if_inst});
    if (v != 0) {
        b->ir->insts.items[if_inst].c = v;
    }
}

sb_value sb_irb_merge(sb_irb *b, sb_value then_value, sb_value else_value)
{
    if (then_value == else_value) {
        return then_value;
    }
    return append(b, (sb_inst){.op = SB_IR_MERGE,
                               .prim = inst_at(b, then_value)->prim,
                               .a = then_value,
                               .b = else_value});
}

sb_value sb_irb_loop(sb_irb *b, int64_t turns_max)
{
    return append(b, (sb_inst){.op = SB_IR_LOOP, .imm.i = turns_max});
}

sb_value sb_irb_arg(sb_irb *b, sb_value init)
{
    return append(b, (sb_inst){.op = SB_IR_ARG, .prim = inst_at(b, init)->prim, .a = init});
}

void sb_irb_arg_next(sb_irb *b, sb_value arg, sb_value next)
{
    if (arg != 0 && arg < b->ir->insts.count) {
        b->ir->insts.items[arg].b = next;
    }
}

void sb_irb_end_loop(sb_irb *b, sb_value loop, sb_value again)
{
    sb_value v = append(b, (sb_inst){.op = SB_IR_END_LOOP, .a = again, .b = loop});
    if (v != 0) {
        b->ir->insts.items[loop].b = v;
    }
}

sb_value sb_irb_result(sb_irb *b, sb_value arg)
{
    return append(b, (sb_inst){.op = SB_IR_RESULT, .prim = inst_at(b, arg)->prim, .a = arg});
}

/* --- calls ------------------------------------------------------------------------------------------------------------ */

void sb_irb_pass(sb_irb *b, sb_value v)
{
    (void)append(b, (sb_inst){.op = SB_IR_PASS, .prim = inst_at(b, v)->prim, .a = v});
}

void sb_irb_call(sb_irb *b, uint32_t function)
{
    (void)append(b, (sb_inst){.op = SB_IR_CALL, .imm.i = function});
}

sb_value sb_irb_got(sb_irb *b, uint32_t output, sb_prim prim)
{
    return append(b, (sb_inst){.op = SB_IR_GOT, .prim = (uint8_t)prim, .imm.i = output});
}

const char *sb_ir_wrong_call(const sb_ir *ir, uint32_t call)
{
    const sb_inst *insts = ir->insts.items;
    const int64_t number = insts[call].imm.i;
    if (ir->functions == NULL || number < 0 || number >= ir->functions->count) {
        return "no such function";
    }
    const sb_ir *function = &ir->functions->items[number];
    const uint32_t inputs = (uint32_t)function->inputs.count;
    const uint32_t outputs = (uint32_t)function->outputs.count;
    if (inputs >= call || insts[call - inputs - 1].op == SB_IR_PASS ||
        outputs >= ir->insts.count - call) {
        return "arguments or results do not fit";
    }
    for (uint32_t k = 0; k < inputs; k++) {
        const sb_inst *pass = &insts[call - inputs + k];
        if (pass->op != SB_IR_PASS || pass->prim != function->inputs.items[k].prim) {
            return "an argument does not fit";
        }
    }
    for (uint32_t k = 0; k < outputs; k++) {
        const sb_inst *got = &insts[call + 1 + k];
        const sb_ir_output *output = &function->outputs.items[k];
        if (got->op != SB_IR_GOT || got->imm.i != k || got->prim != output->prim ||
            output->nullable || output->prim == SB_PRIM_VOID) {
            return "a result does not fit";
        }
    }
    return NULL;
}

void sb_irb_store(sb_irb *b, uint32_t output, sb_value value, sb_value valid)
{
    (void)append(b, (sb_inst){.op = SB_IR_STORE, .a = value, .b = valid, .imm.i = output});
}

bool sb_irb_is_const_b(const sb_irb *b, sb_value v, bool *out)
{
    const sb_inst *inst = inst_at(b, v);
    if (inst->op != SB_IR_CONST_B) {
        return false;
    }
    *out = inst->imm.i != 0;
    return true;
}

void sb_irb_rewind(sb_irb *b, size_t mark)
{
    if (mark < b->ir->insts.count) {
        b->ir->insts.count = mark;
    }
}
