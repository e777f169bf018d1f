/* Emitted code against the row by row oracle: every op, all pairs of boundary values, loops, random programs, all widths, both
 * entries, every level this machine has. A build without the compiler program has nothing to run: emit_text_test.c has the text. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bitmap.h"
#include "base/cpu.h"
#include "base/mem.h"
#include "interp/testkit.h"
#include "interp/testkit_calls.h"
#include "ir/kernel.h"
#include "jit/code.h"
#include "jit/emit.h"
#include "jit/helper.h"
#include "jit/loader.h"
#include "jit/test_programs.h"
#include "os/os.h"

static const int widths[] = {1, 8, 16, 32};

typedef struct compiled {
    sb_object *object;
    sb_kernel_fn fast, careful;
    bool use_fast;
    bool only_fast; /* BAD is not done again: it is an answer */
    int64_t fast_runs, bad_runs, needless_bad;
} compiled;

static sb_helper *helper;

static size_t levels(const char **out)
{
    static const char *const x86[] = {"x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"};
    size_t count = 0;
    for (int level = 2; level <= sb_cpu_x86_level(); level++) {
        out[count++] = x86[level - 1];
    }
    if (count == 0) {
        out[count++] = sb_cpu_level();
    }
    return count;
}

static sb_kernel_fn entry(const sb_object *object, const char *name)
{
    const void *address = sb_object_symbol(object, name);
    sb_kernel_fn fn = NULL;
    memcpy(&fn, &address, sizeof(fn));
    return fn;
}

static void compile(compiled *out, const sb_ir *ir, int lanes, const char *level)
{
    const sb_emit_options options = {
        .lanes = lanes, .fast = true, .careful = true, .cpu_level = level};
    sb_buf text, object;
    sb_error err = {0};
    sb_buf_init(&text, 0);
    sb_buf_init(&object, 0);
    assert_int_equal(sb_emit_llvm(ir, &options, &text, &err), SB_OK);
    const sb_helper_request request = {.text = text.data,
                                       .text_size = text.size,
                                       .cpu = sb_emit_processor(level),
                                       .deadline_ns = SB_NEVER};
    sb_status status = sb_helper_compile(helper, &request, &object, &err);
    if (status == SB_OK) {
        status = sb_object_load(object.data, object.size, &out->object, &err);
    }
    if (status != SB_OK) {
        print_error("%s, %d lanes: %s\n%s\n", level, lanes, err.message, text.data);
    }
    assert_int_equal(status, SB_OK);
    out->fast = entry(out->object, SB_EMIT_FAST);
    out->careful = entry(out->object, SB_EMIT_CAREFUL);
    assert_true(out->fast != NULL && out->careful != NULL);
    sb_buf_release(&text);
    sb_buf_release(&object);
}

/* As the engine does: what the fast entry calls BAD is done again with care. */
static int32_t run_entry(void *context, sb_kcall *call, int32_t row0, int32_t row1)
{
    compiled *code = context;
    if (!code->use_fast) {
        return code->careful(call, row0, row1);
    }
    const int32_t leave_count = call->leave_count;
    const int32_t stopped = code->fast(call, row0, row1);
    assert_int_equal(call->leave_count, leave_count);
    code->fast_runs++;
    if (call->status != SB_K_BAD || code->only_fast) {
        return stopped;
    }
    code->bad_runs++;
    const int32_t again = code->careful(call, row0, row1);
    code->needless_bad += call->status == SB_K_DONE && call->leave_count == 0;
    return again;
}

static void print_failure(const sb_ir *ir, const char *what, const sb_buf *report)
{
    sb_buf text;
    sb_buf_init(&text, 0);
    sb_ir_print(ir, &text);
    print_error("%s\n%s%s\n", what, text.data, report->data);
    sb_buf_release(&text);
}

/* Some columns, some ranges, both entries. */
static void check_batches(compiled *code, const sb_ir *ir, uint64_t seed, const char *what)
{
    static const int32_t ranges[][3] = {{100, 0, 100}, {64, 0, 64},  {77, 5, 70}, {40, 33, 34},
                                        {3, 0, 3},     {96, 32, 64}, {9, 4, 4}};
    for (size_t k = 0; k < SB_COUNT_OF(ranges); k++) {
        for (int fast = 0; fast < 2; fast++) {
            sb_testkit_batch batch;
            sb_buf report;
            sb_buf_init(&report, 0);
            assert_int_equal(sb_testkit_batch_init(&batch, ir, seed + k, ranges[k][0], NULL),
                             SB_OK);
            code->use_fast = fast != 0;
            const sb_testkit_run run = {.kernel = run_entry,
                                        .context = code,
                                        .leave_capacity = k % 2 == 0 ? 1 : 64,
                                        .strict = true};
            const bool same = sb_testkit_check(&batch, &run, ranges[k][1], ranges[k][2], &report);
            if (!same) {
                print_failure(ir, what, &report);
                print_error("batch seed %d, range %d, fast %d\n", (int)seed, (int)k, fast);
            }
            assert_true(same);
            sb_buf_release(&report);
            sb_testkit_batch_release(&batch);
        }
    }
}

static void check_program(const sb_ir *ir, uint64_t seed, int lanes, const char *level,
                          compiled *totals)
{
    compiled code = {0};
    char what[64];
    snprintf(what, sizeof(what), "%s, %d lanes, seed %d", level, lanes, (int)seed);
    compile(&code, ir, lanes, level);
    check_batches(&code, ir, seed, what);
    totals->fast_runs += code.fast_runs;
    totals->bad_runs += code.bad_runs;
    totals->needless_bad += code.needless_bad;
    sb_object_free(code.object);
}

/* All widths at all levels; `alike`: one width a level, for ops whose code differs from another's in a number only. */
static void check_everywhere(const char *ir_text, uint64_t seed, bool alike, compiled *totals)
{
    const char *names[4];
    const size_t count = levels(names);
    const size_t step = alike ? SB_COUNT_OF(widths) : 1;
    sb_ir ir;
    sb_error err = {0};
    if (sb_ir_parse(&ir, ir_text, &err) != SB_OK) {
        fail_msg("%s\n%s", err.message, ir_text);
    }
    for (size_t level = 0; level < count; level++) {
        for (size_t w = alike ? (seed / 100 + level) % step : 0; w < SB_COUNT_OF(widths);
             w += step) {
            check_program(&ir, seed + w, widths[w], names[level], totals);
        }
    }
    sb_ir_release(&ir);
}

/* --- every op ------------------------------------------------------------------------------------------------------- */

static const char *prim_text(char letter)
{
    return letter == 'b' ? "b" : letter == 'i' ? "i64" : "f64";
}

/* One op over columns; `constant` >= 0 makes operand `which` that constant instead. */
static void write_op_program(sb_buf *text, const sb_op_info *info, int which, const char *constant)
{
    sb_buf_reset(text);
    sb_buf_text(text, "inputs");
    for (unsigned k = 0; k < info->operand_count; k++) {
        sb_buf_printf(text, " %s", prim_text(info->operands[k] == '*' ? 'f' : info->operands[k]));
    }
    const char *result = prim_text(info->result == '*' ? 'f' : info->result);
    sb_buf_printf(text, "\noutputs %s?\n", result);
    for (unsigned k = 0; k < info->operand_count; k++) {
        const char letter = info->operands[k] == '*' ? 'f' : info->operands[k];
        if ((int)k == which) {
            sb_buf_printf(text, "v%u:%s = const_%s %s\n", k + 1, prim_text(letter),
                          prim_text(letter), constant);
        } else {
            sb_buf_printf(text, "v%u:%s = in %u\n", k + 1, prim_text(letter), k);
        }
    }
    sb_buf_printf(text, "v8:%s = %s", result, info->text);
    for (unsigned k = 0; k < info->operand_count; k++) {
        sb_buf_printf(text, " v%u", k + 1);
    }
    sb_buf_text(text, "\nv9:b = in_valid 0\nstore 0 v8 v9\n");
}

static void test_every_op(void **state)
{
    (void)state;
    compiled totals = {0};
    sb_buf text;
    sb_buf_init(&text, 0);
    for (int op = SB_IR_NOT; op < SB_IR_IF; op++) {
        if (sb_op_infos[op].result == 'v') {
            continue;
        }
        write_op_program(&text, &sb_op_infos[op], -1, "");
        /* the first has one operand, the last two: these go everywhere */
        const bool alike = op > SB_IR_MATH_ACOS && op < SB_IR_MATH_REMAINDER;
        check_everywhere(text.data, (uint64_t)op * 100, alike, &totals);
    }
    sb_buf_release(&text);
    assert_true(totals.bad_runs > 0 && totals.bad_runs < totals.fast_runs);
}

/* --- all pairs of boundary values ------------------------------------------------------------------------------------- */

#define PAIR_ROWS SB_VECTOR_ROWS
#define TWO(n) (INT64_C(1) << (n))

static const int64_t edge_ints[] = {0,
                                    1,
                                    -1,
                                    2,
                                    -2,
                                    3,
                                    -3,
                                    7,
                                    -7,
                                    1000,
                                    49,
                                    -98,
                                    TWO(31) - 1,
                                    TWO(31),
                                    -TWO(31),
                                    -TWO(31) - 1,
                                    TWO(32),
                                    -TWO(32) - 1,
                                    3037000499,
                                    3037000500,
                                    -3037000500,
                                    TWO(51) - 1,
                                    TWO(51),
                                    -TWO(51),
                                    TWO(52) - 1,
                                    TWO(52) + 1,
                                    -TWO(52) - 1,
                                    TWO(53) - 1,
                                    TWO(53),
                                    TWO(53) + 1,
                                    -TWO(53),
                                    -TWO(53) - 1,
                                    TWO(54) - 1,
                                    1 - TWO(54),
                                    TWO(62) - 1,
                                    TWO(62),
                                    TWO(62) + 1,
                                    -TWO(62),
                                    -TWO(62) - 1,
                                    INT64_MAX - 512,
                                    INT64_MAX - 511,
                                    INT64_MAX - 1,
                                    INT64_MAX,
                                    INT64_MIN,
                                    INT64_MIN + 1,
                                    INT64_MIN + 512,
                                    6148914691236517205};

static const double edge_doubles[] = {0.0,
                                      -0.0,
                                      1.0,
                                      -1.0,
                                      0.1,
                                      -0.1,
                                      3.0,
                                      -3.0,
                                      2.5,
                                      -1000.0,
                                      5e-324,
                                      -2.2250738585072014e-308,
                                      1.7976931348623157e308,
                                      INFINITY,
                                      -INFINITY,
                                      NAN,
                                      2147483648.0,
                                      4503599627370495.5,
                                      4503599627370496.0,
                                      9007199254740991.0,
                                      9007199254740992.0,
                                      9007199254740994.0,
                                      -9007199254740992.0,
                                      -9007199254740994.0,
                                      0x1p62,
                                      -0x1p62,
                                      9223372036854774784.0,
                                      0x1p63,
                                      -0x1p63,
                                      -9223372036854777856.0};

typedef struct pair_columns {
    int64_t ints[2][PAIR_ROWS + SB_LANES_MAX];
    double doubles[2][PAIR_ROWS + SB_LANES_MAX];
    uint8_t bools[3][PAIR_ROWS + SB_LANES_MAX];
    uint8_t active[PAIR_ROWS / 8 + 8];
    sb_kin in[3];
} pair_columns;

static pair_columns columns;

static void fill_columns(const sb_ir *ir)
{
    const size_t ints = SB_COUNT_OF(edge_ints);
    const size_t doubles = SB_COUNT_OF(edge_doubles);
    const size_t input_count = ir->inputs.count;
    /* the first column goes through its values fastest; it may be of the other type than the second */
    const size_t first =
        input_count > 0 && ir->inputs.items[0].prim == SB_PRIM_I64 ? ints : doubles;
    for (size_t row = 0; row < PAIR_ROWS + SB_LANES_MAX; row++) {
        for (size_t k = 0; k < 2; k++) {
            const size_t at = k == 0 ? row % first : row / first;
            columns.ints[k][row] = edge_ints[at % ints];
            columns.doubles[k][row] = edge_doubles[at % doubles];
        }
        for (size_t k = 0; k < 3; k++) {
            columns.bools[k][row] = (row >> k) & 1;
        }
    }
    for (size_t k = 0; k < input_count; k++) {
        const sb_prim prim = ir->inputs.items[k].prim;
        columns.in[k] =
            (sb_kin){.values = prim == SB_PRIM_B     ? (const void *)columns.bools[k]
                               : prim == SB_PRIM_I64 ? (const void *)columns.ints[k % 2]
                                                     : (const void *)columns.doubles[k % 2]};
    }
}

/* Products that the fast entry is free to call BAD. */
static bool product_is_doubtful(const sb_ir *ir, int32_t row)
{
    bool multiplies = false;
    for (size_t i = 1; i < ir->insts.count; i++) {
        multiplies |= ir->insts.items[i].op == SB_IR_PY_MUL_I64;
    }
    const double size = (double)columns.ints[0][row] * (double)columns.ints[1][row];
    return multiplies && (size >= 9223372036854770000.0 || size <= -9223372036854770000.0);
}

/* One row alone, so that no other row of its block sends it the long way: a leaving row is BAD, another has the oracle's value. */
static void check_row(const compiled *code, const sb_ir *ir, int32_t row, sb_reason reason,
                      sb_testkit_cell cell)
{
    static SB_ALIGNED(64) uint8_t values[(PAIR_ROWS + SB_LANES_MAX) * 8];
    static uint8_t valid[PAIR_ROWS];
    static const uint32_t stop = 0;
    const sb_kout out = {.values = values, .valid = valid};
    sb_kcall call = {
        .in = columns.in, .out = &out, .status = -1, .rt = &sb_rt_table_default, .stop = &stop};
    if (reason != SB_REASON_NONE) {
        (void)code->fast(&call, row, row + 1);
        assert_int_equal(call.status, SB_K_BAD);
        return;
    }
    (void)code->careful(&call, row, row + 1);
    assert_int_equal(call.status, SB_K_DONE);
    const sb_prim prim = ir->outputs.items[0].prim;
    const size_t size = prim == SB_PRIM_B ? 1 : 8;
    sb_testkit_scalar got = {0};
    memcpy(&got, values + (size_t)row * size, size);
    const bool both_nan = prim == SB_PRIM_F64 && got.f != got.f && cell.value.f != cell.value.f;
    assert_true(!cell.valid || both_nan || memcmp(&got, &cell.value, size) == 0);
}

static void check_pairs(compiled *code, const sb_ir *ir, const char *what)
{
    sb_testkit_batch batch = {.ir = ir, .rows = PAIR_ROWS, .in = columns.in};
    sb_testkit_run run = {
        .kernel = run_entry, .context = code, .leave_capacity = 100, .strict = true};
    sb_testkit_oracle oracle;
    sb_testkit_cell cells[1];
    sb_buf report;
    sb_buf_init(&report, 0);
    assert_int_equal(sb_testkit_oracle_init(&oracle, ir, NULL), SB_OK);
    memset(columns.active, 0, sizeof(columns.active));
    for (int32_t row = 0; row < PAIR_ROWS; row++) {
        const sb_reason reason = sb_testkit_eval(&oracle, columns.in, row, cells);
        const bool leaves = reason != SB_REASON_NONE;
        check_row(code, ir, row, reason, cells[0]);
        sb_bit_put(columns.active, row, !leaves && !product_is_doubtful(ir, row));
    }
    sb_testkit_oracle_release(&oracle);
    code->use_fast = false;
    bool same = sb_testkit_check(&batch, &run, 0, PAIR_ROWS, &report);
    if (same) {
        batch.active = columns.active;
        code->use_fast = run.fast = true;
        code->only_fast = true;
        same = sb_testkit_check(&batch, &run, 0, PAIR_ROWS, &report);
    }
    if (!same) {
        print_failure(ir, what, &report);
    }
    assert_true(same);
    sb_buf_release(&report);
}

static void check_pairs_of(const sb_ir *ir, int lanes, const char *level)
{
    char what[64];
    compiled code = {0};
    snprintf(what, sizeof(what), "%s, %d lanes, pairs", level, lanes);
    fill_columns(ir);
    compile(&code, ir, lanes, level);
    check_pairs(&code, ir, what);
    sb_object_free(code.object);
}

static void check_pairs_at(const char *ir_text, int lanes, const char *level)
{
    sb_ir ir;
    sb_error err = {0};
    if (sb_ir_parse(&ir, ir_text, &err) != SB_OK) {
        fail_msg("%s\n%s", err.message, ir_text);
    }
    check_pairs_of(&ir, lanes, level);
    sb_ir_release(&ir);
}

static void test_pairs(void **state)
{
    (void)state;
    const char *names[4];
    const size_t count = levels(names);
    sb_buf text;
    sb_buf_init(&text, 0);
    for (int op = SB_IR_NOT; op < SB_IR_IF; op++) {
        for (size_t level = 0; sb_op_infos[op].result != 'v' && level < count; level++) {
            write_op_program(&text, &sb_op_infos[op], -1, "");
            check_pairs_at(text.data, 16, names[level]);
            if (level + 1 == count) {
                check_pairs_at(text.data, 1, names[level]);
            }
        }
    }
    sb_buf_release(&text);
}

static void test_constant_operands(void **state)
{
    (void)state;
    static const char *const ints[] = {"0",
                                       "1",
                                       "-1",
                                       "2",
                                       "8",
                                       "3",
                                       "-7",
                                       "1000",
                                       "49",
                                       "-49",
                                       "4611686018427387904",
                                       "-2",
                                       "9223372036854775807",
                                       "-9223372036854775808"};
    static const int ops[] = {SB_IR_PY_ADD_I64, SB_IR_PY_SUB_I64,      SB_IR_PY_MUL_I64,
                              SB_IR_PY_MOD_I64, SB_IR_PY_FLOORDIV_I64, SB_IR_PY_TRUEDIV_I64,
                              SB_IR_IX_UDIV};
    const char *names[4];
    const char *level = names[levels(names) - 1];
    compiled totals = {0};
    sb_buf text;
    sb_buf_init(&text, 0);
    for (size_t k = 0; k < SB_COUNT_OF(ops); k++) {
        for (size_t c = 0; c < SB_COUNT_OF(ints); c++) {
            for (int which = 0; which < 2; which++) {
                sb_ir ir;
                write_op_program(&text, &sb_op_infos[ops[k]], which, ints[c]);
                assert_int_equal(sb_ir_parse(&ir, text.data, NULL), SB_OK);
                check_program(&ir, 7 * c, 8, level, &totals);
                check_pairs_at(text.data, 16, level);
                check_program(&ir, 7 * c, 1, level, &totals);
                if (which == 1) {
                    check_pairs_at(text.data, 16, names[0]);
                    check_program(&ir, 7 * c, 16, names[0], &totals);
                }
                sb_ir_release(&ir);
            }
        }
    }
    sb_buf_release(&text);
}

/* Rows that make different numbers of turns, leave in the middle, and take both sides of an IF in a loop. */
static const char collatz[] =
    "inputs i64\noutputs i64\nv1:i64 = in 0\nv2:i64 = const_i64 0\nv3:i64 = const_i64 1\nv4:i64 = "
    "const_i64 2\n"
    "v5:i64 = const_i64 3\nv6:i64 = const_i64 90\nv7:i64 = py_mod_i64 v1 v6\nv8:i64 = py_add_i64 "
    "v7 v3\nloop 0\n"
    "v10:i64 = arg v8 v20\nv11:i64 = arg v2 v21\nv12:i64 = py_mod_i64 v10 v4\nv13:b = py_eq_i64 "
    "v12 v2\n"
    "if v13\nv14:i64 = py_floordiv_i64 v10 v4\nelse\nv15:i64 = py_mul_i64 v10 v5\nv16:i64 = "
    "py_add_i64 v15 v3\n"
    "end_if\nv20:i64 = merge v14 v16\nv21:i64 = py_add_i64 v11 v3\nv22:b = py_lt_i64 v3 "
    "v20\nend_loop v22\n"
    "v30:i64 = result v11\nv31:i64 = result v10\nv32:i64 = py_add_i64 v30 v31\nstore 0 v32\n";

/* Overflows after some turns, later for smaller rows; a nested loop of as many turns as the outer one has made. */
static const char growing[] =
    "inputs i64\noutputs i64\nv1:i64 = in 0\nv2:i64 = const_i64 0\nv3:i64 = const_i64 1\nv4:i64 = "
    "const_i64 5\n"
    "v6:i64 = const_i64 9\nv7:i64 = py_mod_i64 v1 v6\nloop 0\nv10:i64 = arg v1 v20\nv11:i64 = arg "
    "v2 v21\n"
    "v12:i64 = py_mul_i64 v10 v4\nloop 0\nv13:i64 = arg v12 v15\nv14:i64 = arg v2 v16\n"
    "v15:i64 = py_add_i64 v13 v3\nv16:i64 = ix_add v14 v3\nv17:b = py_lt_i64 v16 v11\nend_loop "
    "v17\n"
    "v20:i64 = result v13\nv21:i64 = ix_add v11 v3\nv22:b = py_lt_i64 v21 v7\nend_loop v22\n"
    "v30:i64 = result v10\nstore 0 v30\n";

/* All lanes make three turns; in the first, squares overflow; in the second, negative rows leave, but not those that have. */
static void make_leaving_twice(sb_ir *ir)
{
    sb_irb b;
    sb_ir_init(ir);
    assert_true(SB_VEC_PUSH(&ir->inputs, (sb_ir_input){.prim = SB_PRIM_I64}));
    assert_true(SB_VEC_PUSH(&ir->outputs, (sb_ir_output){.prim = SB_PRIM_I64}));
    sb_irb_init(&b, ir, 100000);
    const sb_value x = sb_irb_in(&b, 0);
    const sb_value zero = sb_irb_const_i(&b, 0);
    const sb_value one = sb_irb_const_i(&b, 1);
    const sb_value loop = sb_irb_loop(&b, 3);
    const sb_value turn = sb_irb_arg(&b, zero);
    const sb_value v = sb_irb_arg(&b, x);
    const sb_value square = sb_irb_op(&b, SB_IR_PY_MUL_I64, v, v, 0);
    const sb_value negative = sb_irb_op(&b, SB_IR_PY_LT_I64, x, zero, 0);
    const sb_value second = sb_irb_op(&b, SB_IR_PY_EQ_I64, turn, one, 0);
    sb_irb_leave_if(&b, sb_irb_op(&b, SB_IR_AND, negative, second, 0), SB_REASON_TYPE_TAG);
    const sb_value next = sb_irb_op(&b, SB_IR_IX_ADD, turn, one, 0);
    sb_irb_arg_next(&b, turn, next);
    sb_irb_arg_next(&b, v, sb_irb_op(&b, SB_IR_PY_MOD_I64, square, one, 0));
    const sb_value limit = sb_irb_const_i(&b, 3);
    sb_irb_end_loop(&b, loop, sb_irb_op(&b, SB_IR_PY_LT_I64, next, limit, 0));
    sb_irb_store(&b, 0, sb_irb_result(&b, v), 0);
    assert_int_equal(sb_ir_finish(&b, NULL), SB_OK);
}

static void test_loops(void **state)
{
    (void)state;
    const char *names[4];
    const size_t count = levels(names);
    sb_ir twice;
    make_leaving_twice(&twice);
    for (size_t level = 0; level < count; level++) {
        for (size_t w = 0; w < SB_COUNT_OF(widths); w++) {
            check_pairs_at(collatz, widths[w], names[level]);
            check_pairs_at(growing, widths[w], names[level]);
            check_pairs_of(&twice, widths[w], names[level]);
        }
    }
    sb_ir_release(&twice);
}

/* Squares: on one side of an IF by operator, on the other by function. */
static const char squares[] =
    "inputs f64\noutputs f64\nv1:f64 = in 0\nv2:f64 = const_f64 2.0\nv3:f64 = py_pow_f64 v1 v2\n"
    "v4:b = py_lt_f64 v1 v2\nif v4\nv5:f64 = math_pow v1 v2\nelse\nv6:f64 = py_add_f64 v3 v1\n"
    "v7:f64 = py_pow_f64 v6 v2\nend_if\nv8:f64 = merge v5 v7\nstore 0 v8\n";

/* Numbers whose squares lie on either side of the margin, each a row; some, by chance, where libm does not give the product. */
static void fill_squares(void)
{
    const size_t edges = SB_COUNT_OF(edge_doubles);
    uint64_t random = 5;
    for (size_t row = 0; row < PAIR_ROWS + SB_LANES_MAX; row++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        const double fraction = (double)(random >> 11) * 0x1p-53;
        const double sign = (random & 512) != 0 ? -1.0 : 1.0;
        const double any = ldexp(1.0 + fraction, (int)(random % 230) - 115) * sign;
        columns.doubles[0][row] =
            row < edges ? edge_doubles[row] : (row % 3 == 0 ? rint(any) : any);
    }
}

static void check_squares(const sb_ir *ir, int lanes, const char *level)
{
    static SB_ALIGNED(64) double values[2][PAIR_ROWS + SB_LANES_MAX];
    static uint8_t valid[PAIR_ROWS];
    static const uint32_t stop = 0;
    static const sb_rt_table *const tables[] = {&sb_rt_table_default, &sb_rt_table_careful};
    compiled code = {0};
    fill_columns(ir);
    fill_squares();
    compile(&code, ir, lanes, level);
    check_pairs(&code, ir, level);
    for (size_t k = 0; k < 2; k++) {
        const sb_kout out = {.values = values[k], .valid = valid};
        sb_kcall call = {.in = columns.in,
                         .out = &out,
                         .active = columns.active,
                         .status = -1,
                         .rt = tables[k],
                         .stop = &stop};
        (void)code.fast(&call, 0, PAIR_ROWS);
        assert_int_equal(call.status, SB_K_DONE);
    }
    assert_memory_equal(values[0], values[1], sizeof(values[0]));
    sb_object_free(code.object);
}

static void test_squares(void **state)
{
    (void)state;
    const char *names[4];
    const size_t count = levels(names);
    sb_ir ir;
    assert_int_equal(sb_ir_parse(&ir, squares, NULL), SB_OK);
    for (size_t level = 0; level < count; level++) {
        for (size_t w = 0; w < SB_COUNT_OF(widths); w++) {
            check_squares(&ir, widths[w], names[level]);
        }
    }
    sb_ir_release(&ir);
}

/* A raised flag ends a loop that has no known number of turns, in both entries. */
static void test_stop(void **state)
{
    (void)state;
    const char *names[4];
    const char *level = names[levels(names) - 1];
    const sb_kout out = {.values = columns.doubles[1]};
    const uint32_t stop = 1;
    for (size_t w = 0; w < SB_COUNT_OF(widths); w++) {
        sb_ir ir;
        compiled code = {0};
        assert_int_equal(sb_ir_parse(&ir, collatz, NULL), SB_OK);
        fill_columns(&ir);
        compile(&code, &ir, widths[w], level);
        sb_kcall call = {.in = columns.in, .out = &out, .rt = &sb_rt_table_default, .stop = &stop};
        (void)code.fast(&call, 3, 64);
        assert_int_equal(call.status, SB_K_STOP);
        call.status = 0;
        (void)code.careful(&call, 3, 64);
        assert_int_equal(call.status, SB_K_STOP);
        sb_object_free(code.object);
        sb_ir_release(&ir);
    }
}

/* --- random programs ------------------------------------------------------------------------------------------------ */

static void test_calls(void **state)
{
    (void)state;
    compiled totals = {0};
    for (size_t k = 0; k < SB_COUNT_OF(sb_testkit_calls); k++) {
        check_everywhere(sb_testkit_calls[k], 7000 + 10 * k, true, &totals);
    }
    assert_true(totals.bad_runs > 0);
}

static void test_random_programs(void **state)
{
    (void)state;
    const char *names[4];
    const size_t count = levels(names);
    compiled totals = {0};
    const char *given = getenv("SABOT_EMIT_PROGRAMS");
    const uint64_t programs = given != NULL ? strtoull(given, NULL, 10) : 60;
    for (uint64_t seed = 1; seed <= programs; seed++) {
        sb_ir ir;
        sb_ir_init(&ir);
        assert_int_equal(sb_testkit_program(&ir, seed, 10 + (uint32_t)(seed % 7) * 10, NULL),
                         SB_OK);
        for (size_t w = 0; w < (ir.has_list ? 1 : SB_COUNT_OF(widths)); w++) {
            check_program(&ir, seed, widths[w], names[(seed + w) % count], &totals);
        }
        sb_ir_release(&ir);
    }
    print_message("fast entry: %d runs, %d bad, %d of them needlessly\n", (int)totals.fast_runs,
                  (int)totals.bad_runs, (int)totals.needless_bad);
    assert_true(totals.bad_runs < totals.fast_runs);
    assert_true(totals.needless_bad * 20 <= totals.fast_runs);
}

int main(void)
{
    const char *path = sb_real_program();
    const struct CMUnitTest native[] = {
        cmocka_unit_test(test_every_op), cmocka_unit_test(test_constant_operands),
        cmocka_unit_test(test_pairs),    cmocka_unit_test(test_loops),
        cmocka_unit_test(test_squares),  cmocka_unit_test(test_calls),
        cmocka_unit_test(test_stop),     cmocka_unit_test(test_random_programs),
    };
    int failed = 0;
    if (path != NULL) {
        const sb_helper_options options = {.path = path};
        if (sb_helper_new(&helper, &options, NULL) != SB_OK) {
            return 1;
        }
        failed += cmocka_run_group_tests_name("emit_native", native, NULL, NULL);
        sb_helper_free(helper);
    }
    return failed;
}
