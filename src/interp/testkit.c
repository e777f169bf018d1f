/* The oracle, and the comparison of a kernel with it.
 *
 * The oracle is written for plainness: one row, one value array, a switch over ops, jumps at region markers.
 *
 * Memory: the oracle's arrays and scratch buffers, freed before return. Threads: one at a time. */
#include "interp/testkit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bitmap.h"
#include "base/mem.h"
#include "rt/rt.h"

/* --- oracle ------------------------------------------------------------------------------------------------------------ */

sb_status sb_testkit_oracle_init(sb_testkit_oracle *oracle, const sb_ir *ir, sb_error *err)
{
    const size_t count = ir->insts.count;
    *oracle = (sb_testkit_oracle){.ir = ir};
    oracle->values = sb_mem_alloc_zero(count * sizeof(*oracle->values));
    oracle->owner = sb_mem_alloc_zero(count * sizeof(*oracle->owner));
    oracle->taken = sb_mem_alloc_zero(count);
    if (oracle->values == NULL || oracle->owner == NULL || oracle->taken == NULL) {
        sb_testkit_oracle_release(oracle);
        return sb_error_no_memory(err, count * sizeof(*oracle->values));
    }
    uint32_t last = 0; /* the IF whose end was seen last */
    for (size_t i = 0; i < count; i++) {
        const sb_inst *inst = &ir->insts.items[i];
        if (inst->op == SB_IR_END_IF) {
            last = inst->b;
        }
        oracle->owner[i] = inst->op == SB_IR_MERGE ? last : 0;
    }
    return SB_OK;
}

void sb_testkit_oracle_release(sb_testkit_oracle *oracle)
{
    sb_mem_free(oracle->values);
    sb_mem_free(oracle->owner);
    sb_mem_free(oracle->taken);
    sb_rt_heap_release(&oracle->heap);
    *oracle = (sb_testkit_oracle){0};
}

#define LEAVING_1(NAME, text, from, to)                                                            \
    case SB_IR_##NAME:                                                                             \
        return sb_rt_##text(a.from, &out->to);
#define LEAVING_2(NAME, text, from, to)                                                            \
    case SB_IR_##NAME:                                                                             \
        return sb_rt_##text(a.from, b.from, &out->to);
#define PLAIN_1(NAME, text, from, to)                                                              \
    case SB_IR_##NAME:                                                                             \
        out->to = sb_rt_##text(a.from);                                                            \
        return SB_REASON_NONE;
#define PLAIN_2(NAME, text, fa, fb, to)                                                            \
    case SB_IR_##NAME:                                                                             \
        out->to = sb_rt_##text(a.fa, b.fb);                                                        \
        return SB_REASON_NONE;

/* Of operands of two kinds. */
static sb_reason eval_mixed(uint8_t op, sb_testkit_scalar a, sb_testkit_scalar b,
                            sb_testkit_scalar *out)
{
    switch (op) {
    case SB_IR_MATH_LDEXP:
        return sb_rt_math_ldexp(a.f, b.i, &out->f);
    case SB_IR_MATH_EXPONENT:
        return sb_rt_math_exponent(a.f, b.f, &out->i);
    case SB_IR_PY_ROUND_N_F64:
        return sb_rt_py_round_n_f64(a.f, b.i, &out->f);
    default:
        SB_ASSERT(false && "an op that the oracle does not know");
        return SB_REASON_NONE;
    }
}

static sb_reason eval_number(uint8_t op, sb_testkit_scalar a, sb_testkit_scalar b,
                             sb_testkit_scalar *out)
{
    switch (op) {
        PLAIN_1(PY_INT_B, py_int_b, b, i)
        PLAIN_1(PY_FLOAT_I64, py_float_i64, i, f)
        PLAIN_1(PY_NEG_F64, py_neg_f64, f, f)
        LEAVING_1(PY_EXACT_FLOAT_I64, py_exact_float_i64, i, f)
        LEAVING_1(PY_NEG_I64, py_neg_i64, i, i)
        LEAVING_2(PY_ADD_I64, py_add_i64, i, i)
        LEAVING_2(PY_SUB_I64, py_sub_i64, i, i)
        LEAVING_2(PY_MUL_I64, py_mul_i64, i, i)
        LEAVING_2(PY_FLOORDIV_I64, py_floordiv_i64, i, i)
        LEAVING_2(PY_MOD_I64, py_mod_i64, i, i)
        LEAVING_2(PY_TRUEDIV_I64, py_truediv_i64, i, f)
        LEAVING_2(PY_TRUEDIV_F64, py_truediv_f64, f, f)
        LEAVING_2(PY_FLOORDIV_F64, py_floordiv_f64, f, f)
        LEAVING_2(PY_MOD_F64, py_mod_f64, f, f)
        PLAIN_2(PY_ADD_F64, py_add_f64, f, f, f)
        PLAIN_2(PY_SUB_F64, py_sub_f64, f, f, f)
        PLAIN_2(PY_MUL_F64, py_mul_f64, f, f, f)
        PLAIN_2(PY_EQ_I64, py_eq_i64, i, i, b)
        PLAIN_2(PY_LT_I64, py_lt_i64, i, i, b)
        PLAIN_2(PY_LE_I64, py_le_i64, i, i, b)
        PLAIN_2(PY_EQ_F64, py_eq_f64, f, f, b)
        PLAIN_2(PY_LT_F64, py_lt_f64, f, f, b)
        PLAIN_2(PY_LE_F64, py_le_f64, f, f, b)
        PLAIN_2(PY_EQ_I64_F64, py_eq_i64_f64, i, f, b)
        PLAIN_2(PY_LT_I64_F64, py_lt_i64_f64, i, f, b)
        PLAIN_2(PY_LE_I64_F64, py_le_i64_f64, i, f, b)
        PLAIN_2(PY_GT_I64_F64, py_gt_i64_f64, i, f, b)
        PLAIN_2(PY_GE_I64_F64, py_ge_i64_f64, i, f, b)
        PLAIN_2(IX_ADD, ix_add, i, i, i)
        PLAIN_2(IX_SUB, ix_sub, i, i, i)
        PLAIN_2(IX_UDIV, ix_udiv, i, i, i)
        PLAIN_1(IX_BITS_F64, ix_bits_f64, f, i)
        PLAIN_1(IX_F64_BITS, ix_f64_bits, i, f)
        PLAIN_1(PY_INVERT_I64, py_invert_i64, i, i)
        PLAIN_1(PY_BIT_COUNT_I64, py_bit_count_i64, i, i)
        PLAIN_1(PY_BIT_LENGTH_I64, py_bit_length_i64, i, i)
        PLAIN_1(PY_ABS_F64, py_abs_f64, f, f)
        PLAIN_1(FLOOR_F64, floor_f64, f, f)
        PLAIN_1(CEIL_F64, ceil_f64, f, f)
        PLAIN_1(RINT_F64, rint_f64, f, f)
        PLAIN_2(PY_AND_I64, py_and_i64, i, i, i)
        PLAIN_2(PY_OR_I64, py_or_i64, i, i, i)
        PLAIN_2(PY_XOR_I64, py_xor_i64, i, i, i)
        LEAVING_1(PY_ABS_I64, py_abs_i64, i, i)
        LEAVING_1(PY_INT_F64, py_int_f64, f, i)
        LEAVING_2(PY_LSHIFT_I64, py_lshift_i64, i, i)
        LEAVING_2(PY_RSHIFT_I64, py_rshift_i64, i, i)
        LEAVING_2(PY_POW_I64, py_pow_i64, i, i)
        LEAVING_2(PY_ROUND_N_I64, py_round_n_i64, i, i)
        LEAVING_2(MATH_GCD_I64, math_gcd_i64, i, i)
        LEAVING_2(MATH_ISQRT_I64, math_isqrt_i64, i, i)
        LEAVING_2(PY_POW_F64, py_pow_f64, f, f)
        LEAVING_1(MATH_SQRT, math_sqrt, f, f)
#define E_(X, NAME, name) LEAVING_1(MATH_##NAME, math_##name, f, f)
        SB_RT_MATH1_LIST(E_, )
#undef E_
#define E_(X, NAME, name) LEAVING_2(MATH_##NAME, math_##name, f, f)
        SB_RT_MATH2_LIST(E_, )
#undef E_
    default:
        return eval_mixed(op, a, b, out);
    }
}

static void eval_in(const sb_ir *ir, const sb_inst *inst, const sb_kin *in, int32_t row,
                    sb_testkit_scalar *out)
{
    const sb_kin *column = &in[inst->imm.i];
    if (inst->op == SB_IR_IN_VALID) {
        out->b = column->valid == NULL || sb_bit_get(column->valid, row);
        return;
    }
    switch (ir->inputs.items[inst->imm.i].prim) {
    case SB_PRIM_B:
        out->b = ((const uint8_t *)column->values)[row] != 0;
        break;
    case SB_PRIM_F64:
        out->f = ((const double *)column->values)[row];
        break;
    default:
        out->i = ((const int64_t *)column->values)[row];
        break;
    }
}

/* Everything without control flow. */
static sb_reason eval_value(sb_testkit_oracle *oracle, const sb_inst *inst, const sb_kin *in,
                            int32_t row, sb_testkit_scalar *out)
{
    const sb_testkit_scalar *values = oracle->values;
    const sb_testkit_scalar a = values[inst->a];
    const sb_testkit_scalar b = values[inst->b];
    switch (inst->op) {
    case SB_IR_IN:
    case SB_IR_IN_VALID:
        eval_in(oracle->ir, inst, in, row, out);
        return SB_REASON_NONE;
    case SB_IR_CONST_B:
        out->b = inst->imm.i != 0;
        return SB_REASON_NONE;
    case SB_IR_CONST_I:
        out->i = inst->imm.i;
        return SB_REASON_NONE;
    case SB_IR_CONST_F:
        out->f = inst->imm.f;
        return SB_REASON_NONE;
    case SB_IR_NOT:
        out->b = !a.b;
        return SB_REASON_NONE;
    case SB_IR_AND:
        out->b = a.b && b.b;
        return SB_REASON_NONE;
    case SB_IR_OR:
        out->b = a.b || b.b;
        return SB_REASON_NONE;
    case SB_IR_XOR:
        out->b = a.b != b.b;
        return SB_REASON_NONE;
    case SB_IR_SELECT:
        *out = a.b ? b : values[inst->c];
        return SB_REASON_NONE;
    case SB_IR_LEAVE_IF:
        return a.b ? (sb_reason)inst->reason : SB_REASON_NONE;
    case SB_IR_NP_F32:
        out->f = sb_rt_np_f32(a.f);
        return SB_REASON_NONE;
    case SB_IR_NP_WARN_F64:
        return sb_rt_np_warn_f64(a.f, b.f, values[inst->c].f);
    case SB_IR_KEEP:
        return SB_REASON_NONE;
    default:
        if ((sb_op_infos[inst->op].flags & SB_OP_LIST_FLAG) != 0) {
            return sb_rt_list_call((sb_rt_list_op)(inst->op - SB_IR_LIST_NEW), &oracle->heap, a.i,
                                   b.i, values[inst->c].i, &out->i);
        }
        return eval_number(inst->op, a, b, out);
    }
}

/* The end of a loop's turn: gives the next instruction. All arguments change at once. */
static uint32_t eval_turn(const sb_testkit_oracle *oracle, const sb_inst *end, uint32_t at)
{
    const sb_inst *insts = oracle->ir->insts.items;
    sb_testkit_scalar *values = oracle->values;
    sb_testkit_scalar next[256];
    if (!values[end->a].b) {
        return at + 1;
    }
    uint32_t count = 0;
    const uint32_t first = end->b + 1;
    for (; insts[first + count].op == SB_IR_ARG; count++) {
        SB_ASSERT(count < SB_COUNT_OF(next));
        next[count] = values[insts[first + count].b];
    }
    for (uint32_t k = 0; k < count; k++) {
        values[first + k] = next[k];
    }
    return first + count;
}

#define CALL_VALUES_MAX 16

/* A call: the function by an oracle of its own. */
static sb_reason eval_call(const sb_testkit_oracle *oracle, uint32_t at)
{
    const sb_ir *ir = oracle->ir;
    const sb_ir *function = &ir->functions->items[ir->insts.items[at].imm.i];
    const uint32_t inputs = (uint32_t)function->inputs.count;
    sb_testkit_scalar args[CALL_VALUES_MAX];
    sb_testkit_cell results[CALL_VALUES_MAX];
    sb_kin in[CALL_VALUES_MAX];
    sb_testkit_oracle inner;
    if (oracle->level >= SB_IR_CALLS_MAX) {
        return SB_REASON_DEPTH;
    }
    if (sb_testkit_oracle_init(&inner, function, NULL) != SB_OK) {
        abort();
    }
    inner.level = oracle->level + 1;
    for (uint32_t k = 0; k < inputs; k++) {
        args[k] = oracle->values[at - inputs + k];
        in[k] = (sb_kin){.values = &args[k]};
    }
    const sb_reason reason = sb_testkit_eval(&inner, in, 0, results);
    for (uint32_t k = 0; reason == SB_REASON_NONE && k < function->outputs.count; k++) {
        oracle->values[at + 1 + k] = results[k].value;
    }
    sb_testkit_oracle_release(&inner);
    return reason;
}

sb_reason sb_testkit_eval(sb_testkit_oracle *oracle, const sb_kin *in, int32_t row,
                          sb_testkit_cell *cells)
{
    const sb_inst *insts = oracle->ir->insts.items;
    sb_testkit_scalar *values = oracle->values;
    uint32_t at = 1;
    sb_rt_heap_reset(&oracle->heap);
    while (at < oracle->ir->insts.count) {
        const sb_inst *inst = &insts[at];
        switch (inst->op) {
        case SB_IR_IF:
            oracle->taken[at] = values[inst->a].b;
            at = oracle->taken[at] ? at + 1 : inst->b + 1;
            break;
        case SB_IR_ELSE: /* reached from the then-region only */
            at = insts[inst->b].c;
            break;
        case SB_IR_MERGE:
            values[at] = oracle->taken[oracle->owner[at]] ? values[inst->a] : values[inst->b];
            at++;
            break;
        case SB_IR_ARG: /* reached from outside only */
            values[at] = values[inst->a];
            at++;
            break;
        case SB_IR_END_LOOP:
            at = eval_turn(oracle, inst, at);
            break;
        case SB_IR_RESULT:
            values[at] = values[insts[inst->a].b];
            at++;
            break;
        case SB_IR_STORE:
            cells[inst->imm.i].value = values[inst->a];
            cells[inst->imm.i].valid = inst->b == 0 || values[inst->b].b;
            at++;
            break;
        case SB_IR_PASS:
            values[at] = values[inst->a];
            at++;
            break;
        case SB_IR_CALL: {
            const sb_reason reason = eval_call(oracle, at);
            if (reason != SB_REASON_NONE) {
                return reason;
            }
            at++;
            break;
        }
        case SB_IR_NOP:
        case SB_IR_END_IF:
        case SB_IR_LOOP:
        case SB_IR_GOT: /* written by the call */
            at++;
            break;
        default: {
            const sb_reason reason = eval_value(oracle, inst, in, row, &values[at]);
            if (reason != SB_REASON_NONE) {
                return reason;
            }
            at++;
            break;
        }
        }
    }
    return SB_REASON_NONE;
}

/* --- comparison ---------------------------------------------------------------------------------------------------------- */

#define CANARY 0xa5

typedef struct comparison {
    const sb_testkit_batch *batch;
    const sb_testkit_run *run;
    sb_testkit_oracle oracle;
    sb_testkit_cell *cells;
    sb_kout *out;
    uint32_t *leave;
    sb_kcall call;
    uint32_t stop;
    sb_rt_heap heap;
    sb_buf *report;
} comparison;

static size_t values_size(const sb_testkit_batch *batch)
{
    return ((size_t)batch->rows + SB_LANES_MAX) / SB_LANES_MAX * SB_LANES_MAX * 8;
}

static void comparison_release(comparison *c)
{
    for (size_t k = 0; c->out != NULL && k < c->batch->ir->outputs.count; k++) {
        sb_mem_free_aligned(c->out[k].values);
        sb_mem_free(c->out[k].valid);
    }
    sb_mem_free(c->out);
    sb_mem_free(c->cells);
    sb_mem_free(c->leave);
    sb_rt_heap_release(&c->heap);
    sb_testkit_oracle_release(&c->oracle);
}

static bool comparison_init(comparison *c)
{
    const sb_ir *ir = c->batch->ir;
    const size_t size = values_size(c->batch);
    const int32_t capacity = c->run->leave_capacity;
    c->out = sb_mem_alloc_zero((ir->outputs.count + 1) * sizeof(*c->out));
    c->cells = sb_mem_alloc_zero((ir->outputs.count + 1) * sizeof(*c->cells));
    c->leave = sb_mem_alloc_zero(((size_t)capacity + 1) * sizeof(*c->leave));
    if (c->out == NULL || c->cells == NULL || c->leave == NULL ||
        sb_testkit_oracle_init(&c->oracle, ir, NULL) != SB_OK) {
        return false;
    }
    for (size_t k = 0; k < ir->outputs.count; k++) {
        c->out[k].values = sb_mem_alloc_aligned(size);
        c->out[k].valid = ir->outputs.items[k].nullable ? sb_mem_alloc(size / 64 + 8) : NULL;
        if (c->out[k].values == NULL ||
            (ir->outputs.items[k].nullable && c->out[k].valid == NULL)) {
            return false;
        }
        memset(c->out[k].values, CANARY, size);
        if (c->out[k].valid != NULL) {
            memset(c->out[k].valid, CANARY, size / 64 + 8);
        }
    }
    c->call = (sb_kcall){.in = c->batch->in,
                         .out = c->out,
                         .active = c->batch->active,
                         .leave = c->leave,
                         .leave_capacity = capacity,
                         .status = -1,
                         .rt = &sb_rt_table_default,
                         .stop = &c->stop,
                         .heap = &c->heap};
    return true;
}

static bool cell_equal(sb_prim prim, const sb_kout *out, int32_t row, const sb_testkit_cell *cell)
{
    if (out->valid != NULL && sb_bit_get(out->valid, row) != cell->valid) {
        return false;
    }
    if (!cell->valid) {
        return true;
    }
    switch (prim) {
    case SB_PRIM_B:
        return ((const uint8_t *)out->values)[row] == (cell->value.b ? 1 : 0);
    case SB_PRIM_I64:
        return ((const int64_t *)out->values)[row] == cell->value.i;
    case SB_PRIM_F64: {
        const double got = ((const double *)out->values)[row];
        const bool both_nan = got != got && cell->value.f != cell->value.f;
        return both_nan || memcmp(&got, &cell->value.f, sizeof(got)) == 0;
    }
    default:
        return true;
    }
}

static bool untouched(sb_prim prim, const sb_kout *out, int32_t row)
{
    static const uint8_t canary[8] = {CANARY, CANARY, CANARY, CANARY,
                                      CANARY, CANARY, CANARY, CANARY};
    const size_t size = prim == SB_PRIM_B ? 1 : 8;
    const uint8_t *bytes = (const uint8_t *)out->values + (size_t)row * size;
    if (prim != SB_PRIM_VOID && memcmp(bytes, canary, size) != 0) {
        return false;
    }
    return out->valid == NULL || sb_bit_get(out->valid, row) == ((CANARY >> (row & 7)) & 1);
}

static void report_cell(comparison *c, size_t output, int32_t row)
{
    const sb_prim prim = c->batch->ir->outputs.items[output].prim;
    const sb_kout *out = &c->out[output];
    const sb_testkit_cell *cell = &c->cells[output];
    int64_t got = 0;
    memcpy(&got, (const uint8_t *)out->values + (size_t)row * (prim == SB_PRIM_B ? 1 : 8),
           prim == SB_PRIM_B ? 1 : 8);
    sb_buf_printf(c->report,
                  "row %d output %zu: valid %d, bits %016" PRIx64
                  "; wanted valid %d, bits %016" PRIx64 "\n",
                  row, output, out->valid == NULL || sb_bit_get(out->valid, row), (uint64_t)got,
                  cell->valid, (uint64_t)cell->value.i);
}

/* Compares one row; *next_leave walks the leave list. */
static bool compare_row(comparison *c, int32_t row, bool computed, int32_t *next_leave)
{
    const sb_ir *ir = c->batch->ir;
    sb_reason reason = SB_REASON_NONE;
    if (computed) {
        reason = sb_testkit_eval(&c->oracle, c->batch->in, row, c->cells);
    }
    if (reason != SB_REASON_NONE) {
        const bool listed = *next_leave < c->call.leave_count;
        const uint32_t entry = listed ? c->leave[*next_leave] : 0;
        if (!listed || entry != SB_LEAVE_ENTRY(row, reason)) {
            sb_buf_printf(c->report, "row %d leaves (%s): next entry is row %d, %s\n", row,
                          sb_reason_name(reason), listed ? SB_LEAVE_ROW(entry) : -1,
                          sb_reason_name(SB_LEAVE_REASON(entry)));
            return false;
        }
        *next_leave += 1;
    }
    const bool written = computed && reason == SB_REASON_NONE;
    for (size_t k = 0; k < ir->outputs.count; k++) {
        const sb_prim prim = ir->outputs.items[k].prim;
        if (written && !cell_equal(prim, &c->out[k], row, &c->cells[k])) {
            report_cell(c, k, row);
            return false;
        }
        if (!written && c->run->strict && !untouched(prim, &c->out[k], row)) {
            sb_buf_printf(c->report, "row %d output %zu was written, it must not be\n", row, k);
            return false;
        }
    }
    return true;
}

/* Follows GROW. False on a protocol error. */
static bool run_kernel(comparison *c, int32_t row0, int32_t row1)
{
    int32_t row = row0;
    for (;;) {
        const int32_t stopped = c->run->kernel(c->run->context, &c->call, row, row1);
        if (c->call.status == SB_K_DONE || c->call.status == SB_K_BAD) {
            const bool done_ok = c->call.status == SB_K_BAD || stopped == row1;
            if (!done_ok) {
                sb_buf_printf(c->report, "done, but stopped at row %d\n", stopped);
            }
            return done_ok;
        }
        if (c->call.status != SB_K_GROW || stopped < row || stopped >= row1 ||
            c->call.leave_count > c->call.leave_capacity) {
            sb_buf_printf(c->report, "status %d at row %d\n", c->call.status, stopped);
            return false;
        }
        if (c->call.leave_count > 0 && SB_LEAVE_ROW(c->leave[c->call.leave_count - 1]) >= stopped) {
            sb_buf_printf(c->report, "an entry at or after the row %d it stopped at\n", stopped);
            return false;
        }
        const int32_t capacity = c->call.leave_capacity * 2 + 1;
        uint32_t *leave = sb_mem_realloc(c->leave, (size_t)capacity * sizeof(*leave));
        if (leave == NULL) {
            sb_buf_text(c->report, "no memory for the leave list\n");
            return false;
        }
        c->leave = leave;
        c->call.leave = leave;
        c->call.leave_capacity = capacity;
        row = stopped;
    }
}

static bool is_computed(const sb_testkit_batch *batch, int32_t row, int32_t row0, int32_t row1)
{
    return row >= row0 && row < row1 && (batch->active == NULL || sb_bit_get(batch->active, row));
}

static bool compare_fast(comparison *c, int32_t row0, int32_t row1)
{
    bool leaves = false;
    for (int32_t row = row0; row < row1 && !leaves; row++) {
        leaves = is_computed(c->batch, row, row0, row1) &&
                 sb_testkit_eval(&c->oracle, c->batch->in, row, c->cells) != SB_REASON_NONE;
    }
    if (leaves != (c->call.status == SB_K_BAD)) {
        sb_buf_printf(c->report, "fast entry: status %d, rows leave: %d\n", c->call.status, leaves);
        return false;
    }
    return true;
}

bool sb_testkit_check(const sb_testkit_batch *batch, const sb_testkit_run *run, int32_t row0,
                      int32_t row1, sb_buf *report)
{
    comparison c = {.batch = batch, .run = run, .report = report};
    bool ok = comparison_init(&c);
    if (!ok) {
        sb_buf_text(report, "no memory\n");
        goto out;
    }
    ok = run_kernel(&c, row0, row1);
    if (ok && run->fast) {
        ok = compare_fast(&c, row0, row1);
        if (c.call.status == SB_K_BAD) {
            goto out;
        }
    }
    int32_t next_leave = 0;
    for (int32_t row = 0; ok && row < batch->rows; row++) {
        ok = compare_row(&c, row, is_computed(batch, row, row0, row1), &next_leave);
    }
    if (ok && next_leave != c.call.leave_count) {
        sb_buf_printf(report, "%d entries in the leave list, wanted %d\n", c.call.leave_count,
                      next_leave);
        ok = false;
    }
out:
    comparison_release(&c);
    return ok;
}
