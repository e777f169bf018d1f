/* The interpreter against the row-by-row oracle: every op in every form, dense and under a mask; regions; leaving; the kernel
 * contract (GROW, STOP, active, row ranges); allocation failures. */
#include "interp/interp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bitmap.h"
#include "base/mem.h"
#include "interp/testkit.h"
#include "interp/testkit_calls.h"

typedef struct machine {
    sb_ir ir;
    sb_interp *interp;
    sb_interp_state *state;
} machine;

static int32_t run_machine(void *context, sb_kcall *call, int32_t row0, int32_t row1)
{
    machine *m = context;
    return sb_interp_run(m->interp, m->state, call, row0, row1);
}

static void machine_init(machine *m, const char *text)
{
    sb_error err = {0};
    *m = (machine){0};
    if (sb_ir_parse(&m->ir, text, &err) != SB_OK) {
        fail_msg("%s\n%s", err.message, text);
    }
    assert_int_equal(sb_interp_new(&m->ir, &m->interp, &err), SB_OK);
    assert_int_equal(sb_interp_state_new(m->interp, &m->state, &err), SB_OK);
}

static void machine_release(machine *m)
{
    sb_interp_state_free(m->state);
    sb_interp_free(m->interp);
    sb_ir_release(&m->ir);
}

/* Many batches of `rows` rows, whole and from the middle, with room for `capacity` leaving rows. */
static void check_rows(machine *m, const char *text, int32_t rows, int32_t capacity)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        sb_error err = {0};
        sb_testkit_batch batch;
        sb_buf report;
        sb_buf_init(&report, 0);
        assert_int_equal(sb_testkit_batch_init(&batch, &m->ir, seed * 31, rows, &err), SB_OK);
        const sb_testkit_run run = {
            .kernel = run_machine, .context = m, .leave_capacity = capacity, .strict = true};
        const int32_t row0 = seed % 2 == 0 ? rows / 3 : 0;
        const int32_t row1 = seed % 3 == 0 ? rows - rows / 5 : rows;
        if (!sb_testkit_check(&batch, &run, row0, row1, &report)) {
            fail_msg("rows %d, seed %d: %s\n%s", rows, (int)seed, report.data, text);
        }
        sb_buf_release(&report);
        sb_testkit_batch_release(&batch);
    }
}

static void check_text(const char *text)
{
    static const int32_t sizes[] = {0, 1, 3, 31, 32, 511, 513, 2048};
    machine m;
    machine_init(&m, text);
    for (size_t k = 0; k < SB_COUNT_OF(sizes); k++) {
        check_rows(&m, text, sizes[k], k % 2 == 0 ? 4096 : 1);
    }
    machine_release(&m);
}

/* --- every op ------------------------------------------------------------------------------------------------------------ */

static const char *prim_name(char letter)
{
    return letter == 'b' ? "b" : (letter == 'i' ? "i64" : "f64");
}

static const char *const_text(char letter, bool other)
{
    switch (letter) {
    case 'b':
        return other ? "const_b 0" : "const_b 1";
    case 'i':
        return other ? "const_i64 -3" : "const_i64 9007199254740993";
    default:
        return other ? "const_f64 -0x1.8p+1" : "const_f64 0x1p+53";
    }
}

/* v1.. are the operands (bit k of `cells`: operand k is a constant), v4 a condition; the op is inside a rare branch when
 * `masked`. */
static void op_program(sb_buf *out, int op, char star, unsigned cells, bool masked)
{
    const sb_op_info *info = &sb_op_infos[op];
    const char result = info->result == '*' ? star : info->result;
    char letters[3] = {0};
    sb_buf_reset(out);
    sb_buf_text(out, "inputs");
    for (unsigned k = 0; k < info->operand_count; k++) {
        letters[k] = info->operands[k] == '*' ? star : info->operands[k];
        sb_buf_printf(out, " %s", prim_name(letters[k]));
    }
    sb_buf_printf(out, " i64\noutputs %s?\n", prim_name(result));
    for (unsigned k = 0; k < info->operand_count; k++) {
        if ((cells >> k & 1) != 0) {
            sb_buf_printf(out, "v%u:%s = %s\n", k + 1, prim_name(letters[k]),
                          const_text(letters[k], k % 2 == 1));
        } else {
            sb_buf_printf(out, "v%u:%s = in %u\n", k + 1, prim_name(letters[k]), k);
        }
    }
    sb_buf_printf(out, "v5:i64 = in %d\nv6:i64 = const_i64 -13\nv4:b = py_lt_i64 v5 v6\n",
                  info->operand_count);
    sb_buf_printf(out, "v7:%s = %s\n", prim_name(result), const_text(result, true));
    sb_buf_text(out, masked ? "if v4\n" : "");
    sb_buf_printf(out, "v8:%s = %s", prim_name(result), info->text);
    for (unsigned k = 0; k < info->operand_count; k++) {
        sb_buf_printf(out, " v%u", k + 1);
    }
    sb_buf_char(out, '\n');
    if (masked) {
        sb_buf_printf(out, "else\nend_if\nv9:%s = merge v8 v7\n", prim_name(result));
    }
    sb_buf_printf(out, "store 0 v%d v4\n", masked ? 9 : 8);
}

static void every_op_in_every_form(void **state)
{
    (void)state;
    int tried = 0;
    sb_buf text;
    sb_buf_init(&text, 0);
    for (int op = 1; op < SB_IR_OP_COUNT; op++) {
        const sb_op_info *info = &sb_op_infos[op];
        if ((info->flags & (SB_OP_STRUCT | SB_OP_LIST_FLAG)) != 0 || info->operand_count == 0 ||
            info->result == 'v') {
            continue;
        }
        for (unsigned form = 0; form < 1u << info->operand_count; form++) {
            for (int star = 0; star < (strchr(info->operands, '*') != NULL ? 3 : 1); star++) {
                op_program(&text, op, "bif"[star], form, false);
                check_text(text.data);
                op_program(&text, op, "bif"[star], form, true);
                check_text(text.data);
                tried++;
            }
        }
    }
    assert_true(tried > 100);
    sb_buf_release(&text);
}

/* Constants that have loops of their own; the branch is rare, so that both kinds of loop run. */
static void by_constants(void **state)
{
    (void)state;
    static const char *const ops[][3] = {
        {"py_mod_i64", "i64", "const_i64 1"},
        {"py_mod_i64", "i64", "const_i64 8"},
        {"py_mod_i64", "i64", "const_i64 -8"},
        {"py_mod_i64", "i64", "const_i64 10"},
        {"py_floordiv_i64", "i64", "const_i64 1"},
        {"py_floordiv_i64", "i64", "const_i64 8"},
        {"py_floordiv_i64", "i64", "const_i64 -1"},
        {"py_mod_i64", "i64", "const_i64 4611686018427387904"},
        {"py_floordiv_i64", "i64", "const_i64 4611686018427387904"},
        {"py_floordiv_i64", "i64", "const_i64 0"},
        {"py_pow_f64", "f64", "const_f64 0x1p+1"},
        {"math_pow", "f64", "const_f64 0x1p+1"},
        {"py_pow_f64", "f64", "const_f64 0x1.8p+1"},
    };
    sb_buf text;
    sb_buf_init(&text, 0);
    for (size_t k = 0; k < SB_COUNT_OF(ops); k++) {
        const char *prim = ops[k][1];
        sb_buf_reset(&text);
        sb_buf_printf(&text,
                      "inputs %s i64\noutputs %s %s\nv1:%s = in 0\nv2:i64 = in 1\nv3:%s = %s\n"
                      "v4:i64 = const_i64 -13\nv5:b = py_lt_i64 v2 v4\nv6:%s = %s v1 v3\n"
                      "if v5\nv7:%s = %s v1 v3\nelse\nend_if\nv8:%s = merge v7 v1\n"
                      "store 0 v6\nstore 1 v8\n",
                      prim, prim, prim, prim, prim, ops[k][2], prim, ops[k][0], prim, ops[k][0],
                      prim);
        check_text(text.data);
    }
    sb_buf_release(&text);
}

/* --- regions ------------------------------------------------------------------------------------------------------------- */

static void branches(void **state)
{
    (void)state;
    check_text(
        "inputs i64 i64 b\noutputs i64 i64 b\n"
        "v1:i64 = in 0\nv2:i64 = in 1\nv3:b = in 2\nv4:b = py_lt_i64 v1 v2\n"
        "if v3\n"
        "  if v4\n    v5:i64 = py_add_i64 v1 v2\n"
        "  else\n    v6:i64 = py_mul_i64 v1 v2\n    v7:i64 = py_floordiv_i64 v6 v2\n  end_if\n"
        "  v8:i64 = merge v5 v7\n  v9:b = merge v4 v3\n"
        "else\n  v10:i64 = py_mod_i64 v2 v1\nend_if\n"
        "v11:i64 = merge v8 v10\nv12:i64 = merge v1 v2\nv13:b = merge v9 v4\n"
        "store 0 v11\nstore 1 v12\nstore 2 v13\n");
}

static void branches_on_constants(void **state)
{
    (void)state;
    check_text("inputs i64\noutputs i64 i64\n"
               "v1:i64 = in 0\nv2:b = const_b 1\nv3:i64 = const_i64 5\nv4:b = const_b 0\n"
               "if v2\n  v5:i64 = py_add_i64 v3 v3\n  v6:i64 = py_add_i64 v1 v3\n"
               "else\n  v7:i64 = py_floordiv_i64 v3 v1\nend_if\n"
               "v8:i64 = merge v5 v3\nv9:i64 = merge v6 v7\n"
               "if v4\n  v10:i64 = py_mul_i64 v9 v9\n"
               "else\n  v11:i64 = py_sub_i64 v9 v8\nend_if\n"
               "v12:i64 = merge v10 v11\n"
               "store 0 v12\nstore 1 v8\n");
}

/* while b: a, b = b, a % b; turns differ from row to row, arguments feed each other */
static void euclid(void **state)
{
    (void)state;
    check_text("inputs i64 i64\noutputs i64 i64\n"
               "v1:i64 = in 0\nv2:i64 = in 1\nv3:i64 = const_i64 0\nv4:i64 = const_i64 1\n"
               "v5:b = py_eq_i64 v2 v3\nleave_if v5 div_zero\n"
               "loop 0\n"
               "  v6:i64 = arg v1 v7\n  v7:i64 = arg v2 v9\n  v8:i64 = arg v3 v10\n"
               "  v9:i64 = py_mod_i64 v6 v7\n  v10:i64 = ix_add v8 v4\n"
               "  v11:b = py_eq_i64 v9 v3\n  v12:b = not v11\n"
               "end_loop v12\n"
               "v13:i64 = result v6\nv14:i64 = result v8\nstore 0 v13\nstore 1 v14\n");
}

/* Three arguments that change places each turn, a boolean among two: a cycle of moves */
static void rotation(void **state)
{
    (void)state;
    check_text("inputs i64 i64 i64 b b\noutputs i64 i64 i64 b b\n"
               "v1:i64 = in 0\nv2:i64 = in 1\nv3:i64 = in 2\nv4:b = in 3\nv5:b = in 4\n"
               "v6:i64 = const_i64 0\nv7:i64 = const_i64 1\nv8:i64 = const_i64 5\n"
               "v20:i64 = py_mod_i64 v1 v8\n"
               "loop 5\n"
               "  v9:i64 = arg v1 v10\n  v10:i64 = arg v2 v11\n  v11:i64 = arg v3 v9\n"
               "  v12:b = arg v4 v13\n  v13:b = arg v5 v12\n  v14:i64 = arg v6 v15\n"
               "  v15:i64 = py_add_i64 v14 v7\n  v16:b = py_lt_i64 v15 v20\n"
               "end_loop v16\n"
               "v21:i64 = result v9\nv22:i64 = result v10\nv23:i64 = result v11\n"
               "v24:b = result v12\nv25:b = result v13\n"
               "store 0 v21\nstore 1 v22\nstore 2 v23\nstore 3 v24\nstore 4 v25\n");
}

/* Inner turns depend on the outer counter and on the row; rows leave in the middle of both */
static void nested_loops(void **state)
{
    (void)state;
    check_text(
        "inputs i64 i64\noutputs i64 i64\n"
        "v1:i64 = in 0\nv2:i64 = in 1\nv3:i64 = const_i64 0\nv4:i64 = const_i64 1\n"
        "v5:i64 = const_i64 6\nv6:i64 = py_mod_i64 v1 v5\n"
        "loop 6\n"
        "  v7:i64 = arg v3 v20\n  v8:i64 = arg v2 v16\n"
        "  loop 0\n"
        "    v9:i64 = arg v3 v12\n    v10:i64 = arg v8 v11\n"
        "    v11:i64 = py_mul_i64 v10 v2\n    v12:i64 = ix_add v9 v4\n"
        "    v13:b = py_lt_i64 v12 v7\n    v14:b = py_lt_i64 v11 v1\n    v15:b = and v13 v14\n"
        "  end_loop v15\n"
        "  v21:i64 = result v10\n  v22:i64 = result v9\n"
        "  v16:i64 = py_sub_i64 v21 v22\n"
        "  v20:i64 = py_add_i64 v7 v4\n  v23:b = py_lt_i64 v20 v6\n"
        "end_loop v23\n"
        "v24:i64 = result v8\nv25:i64 = result v7\nstore 0 v24\nstore 1 v25\n");
}

/* The counter is the same in all rows, its result is not */
static void counter_that_rows_leave_early(void **state)
{
    (void)state;
    check_text(
        "inputs i64 i64\noutputs i64 i64 f64\n"
        "v1:i64 = in 0\nv2:i64 = in 1\nv3:i64 = const_i64 0\nv4:i64 = const_i64 1\n"
        "v5:f64 = const_f64 0x1p-1\nv30:i64 = const_i64 9\nv31:i64 = py_mod_i64 v1 v30\n"
        "loop 9\n"
        "  v6:i64 = arg v3 v9\n  v7:i64 = arg v1 v10\n  v8:f64 = arg v5 v11\n"
        "  v9:i64 = py_add_i64 v6 v4\n  v10:i64 = py_add_i64 v7 v2\n  v11:f64 = py_add_f64 v8 v8\n"
        "  v12:b = py_lt_i64 v9 v31\n"
        "end_loop v12\n"
        "v13:i64 = result v6\nv14:i64 = result v7\nv15:f64 = result v8\n"
        "store 0 v13\nstore 1 v14\nstore 2 v15\n");
}

static void leaving_on_purpose(void **state)
{
    (void)state;
    check_text(
        "inputs i64 b b\noutputs i64?\n"
        "v1:i64 = in 0\nv2:b = in 1\nv3:b = in_valid 0\nv4:b = not v3\nleave_if v4 none_operand\n"
        "v5:b = in 2\nv6:b = and v5 v2\n"
        "if v6\n  leave_if v5 raise\n  v7:i64 = py_mul_i64 v1 v1\nelse\n  v8:i64 = py_neg_i64 v1\n"
        "end_if\nv9:i64 = merge v7 v8\nstore 0 v9 v2\n");
    check_text("inputs b\noutputs b\nv1:b = in 0\nv2:b = const_b 1\nif v1\n  leave_if v2 type_tag\n"
               "else\nend_if\nstore 0 v1\n");
}

static void outputs_without_values(void **state)
{
    (void)state;
    check_text("inputs i64\noutputs none? i64? f64 b?\n"
               "v1:i64 = in 0\nv2:b = const_b 0\nv3:b = in_valid 0\nv4:f64 = const_f64 -0x0p+0\n"
               "store 0 - v2\nstore 1 v1 v3\nstore 2 v4\nstore 3 v3 v2\n");
}

/* --- the contract ------------------------------------------------------------------------------------------------------------ */

static void all_rows_leave(void **state)
{
    (void)state;
    static const char text[] = "inputs i64\noutputs i64\nv1:i64 = in 0\nv2:i64 = const_i64 0\n"
                               "v3:i64 = py_floordiv_i64 v1 v2\nstore 0 v3\n";
    machine m;
    machine_init(&m, text);
    for (int32_t capacity = 0; capacity < 3; capacity++) {
        check_rows(&m, text, 2048, capacity);
    }
    machine_release(&m);
}

/* Calls again with a list of one entry, as an engine that drains it would. */
static void list_of_one(void **state)
{
    (void)state;
    machine m;
    machine_init(&m, "inputs i64 i64\noutputs i64\nv1:i64 = in 0\nv2:i64 = in 1\n"
                     "v3:i64 = py_floordiv_i64 v1 v2\nstore 0 v3\n");
    int64_t a[704];
    int64_t b[704];
    int64_t z[704] = {0};
    const sb_kin in[2] = {{.values = a}, {.values = b}};
    const sb_kout out[1] = {{.values = z}};
    uint32_t entry = 0;
    const uint32_t stop = 0;
    for (int k = 0; k < 704; k++) {
        a[k] = k;
        b[k] = k % 7;
    }
    sb_kcall call = {.in = in, .out = out, .leave = &entry, .leave_capacity = 1, .stop = &stop};
    int32_t row = 0;
    int32_t expected = 0;
    for (;;) {
        row = sb_interp_run(m.interp, m.state, &call, row, 700);
        if (call.leave_count > 0) {
            assert_int_equal(SB_LEAVE_ROW(entry), expected);
            assert_int_equal(SB_LEAVE_REASON(entry), SB_REASON_DIV_ZERO);
            expected += 7;
            call.leave_count = 0;
        }
        if (call.status == SB_K_DONE) {
            break;
        }
        assert_int_equal(call.status, SB_K_GROW);
        assert_int_equal(row, expected);
    }
    assert_int_equal(row, 700);
    assert_int_equal(expected, 700);
    for (int k = 0; k < 704; k++) {
        assert_int_equal(z[k], k < 700 && k % 7 != 0 ? k / (k % 7) : 0);
    }
    machine_release(&m);
}

static void calls(void **state)
{
    (void)state;
    for (size_t k = 0; k < SB_COUNT_OF(sb_testkit_calls); k++) {
        check_text(sb_testkit_calls[k]);
    }
}

static void endless_calls_stop(void **state)
{
    (void)state;
    machine m;
    machine_init(&m, sb_testkit_endless_calls);
    int64_t a[64] = {60, 60};
    int64_t z[64];
    const sb_kin in[1] = {{.values = a}};
    const sb_kout out[1] = {{.values = z}};
    const uint32_t stop = 1;
    sb_kcall call = {.in = in, .out = out, .stop = &stop};
    (void)sb_interp_run(m.interp, m.state, &call, 0, 40);
    assert_int_equal(call.status, SB_K_STOP);
    machine_release(&m);
}

#ifdef SB_FAULTS
/* Rows whose calls find no memory leave; with memory they come back. */
static void failing_allocations_of_calls(void **state)
{
    (void)state;
    sb_ir ir;
    sb_error err = {0};
    assert_int_equal(sb_ir_parse(&ir, sb_testkit_calls[0], &err), SB_OK);
    const int64_t live = sb_mem_live_blocks();
    bool hit = true;
    int64_t nth = 0;
    while (hit) {
        sb_interp *interp = NULL;
        sb_interp_state *st = NULL;
        int64_t a[64] = {5, 6, 7};
        int64_t z[64] = {0};
        uint8_t valid[16];
        uint32_t leave[64];
        const sb_kin in[1] = {{.values = a}};
        const sb_kout out[1] = {{.values = z, .valid = valid}};
        const uint32_t stop = 0;
        sb_kcall call = {.in = in, .out = out, .leave = leave, .leave_capacity = 64, .stop = &stop};
        sb_fault_arm(++nth, false);
        sb_status status = sb_interp_new(&ir, &interp, &err);
        if (status == SB_OK) {
            status = sb_interp_state_new(interp, &st, &err);
        }
        if (status == SB_OK) {
            assert_int_equal(sb_interp_run(interp, st, &call, 0, 3), 3);
        }
        hit = sb_fault_hit();
        sb_fault_arm(0, false);
        assert_true(status == SB_OK || (hit && status == SB_NO_MEMORY));
        if (status == SB_OK) {
            assert_true((call.leave_count > 0) == hit);
            call.leave_count = 0;
            assert_int_equal(sb_interp_run(interp, st, &call, 0, 3), 3);
            assert_int_equal(call.leave_count, 0);
            assert_int_equal(z[0] + z[1] + z[2], 120 + 720 + 5040);
        }
        sb_interp_state_free(st);
        sb_interp_free(interp);
        assert_int_equal(sb_mem_live_blocks(), live);
    }
    assert_true(nth > 20);
    sb_ir_release(&ir);
}
#endif

static void endless_loop_stops(void **state)
{
    (void)state;
    machine m;
    machine_init(&m,
                 "inputs b\noutputs b\nv1:b = in 0\nloop 0\n  v2:b = arg v1 v3\n  v3:b = not v2\n"
                 "  v4:b = const_b 1\nend_loop v4\nv5:b = result v2\nstore 0 v5\n");
    uint8_t a[64] = {0};
    uint8_t z[64] = {0};
    const sb_kin in[1] = {{.values = a}};
    const sb_kout out[1] = {{.values = z}};
    const uint32_t stop = 1;
    sb_kcall call = {.in = in, .out = out, .stop = &stop};
    (void)sb_interp_run(m.interp, m.state, &call, 0, 40);
    assert_int_equal(call.status, SB_K_STOP);
    machine_release(&m);
}

/* The state is clean after a run in which rows left and one that was stopped. */
static void runs_do_not_leak_into_each_other(void **state)
{
    (void)state;
    machine m;
    machine_init(&m,
                 "inputs i64\noutputs i64\nv1:i64 = in 0\nv2:i64 = py_add_i64 v1 v1\nstore 0 v2\n");
    int64_t a[64];
    int64_t z[64];
    uint32_t leave[64];
    const sb_kin in[1] = {{.values = a}};
    const sb_kout out[1] = {{.values = z}};
    const uint32_t stop = 0;
    for (int round = 0; round < 4; round++) {
        for (int k = 0; k < 64; k++) {
            a[k] = round % 2 == 0 ? INT64_MAX - (k % 3 == 0 ? INT64_MAX : 0) : k;
        }
        sb_kcall call = {.in = in, .out = out, .leave = leave, .leave_capacity = 64, .stop = &stop};
        assert_int_equal(sb_interp_run(m.interp, m.state, &call, 0, 60), 60);
        assert_int_equal(call.status, SB_K_DONE);
        assert_int_equal(call.leave_count, round % 2 == 0 ? 40 : 0);
        assert_int_equal(z[3], round % 2 == 0 ? 0 : 6);
    }
    machine_release(&m);
}

static const char all_kinds[] =
    "inputs i64 f64 b\noutputs i64? f64 b\n"
    "v1:i64 = in 0\nv2:f64 = in 1\nv3:b = in 2\nv4:i64 = const_i64 3\nv5:b = in_valid 0\n"
    "if v3\n  v6:f64 = py_mul_f64 v2 v2\nelse\n  v7:f64 = py_neg_f64 v2\nend_if\n"
    "v8:f64 = merge v6 v7\n"
    "loop 0\n  v9:i64 = arg v1 v10\n  v11:i64 = arg v4 v9\n  v10:i64 = py_floordiv_i64 v11 v4\n"
    "  v12:b = py_lt_i64 v4 v10\nend_loop v12\n"
    "v13:i64 = result v9\nv14:b = py_eq_i64_f64 v13 v8\n"
    "store 0 v13 v5\nstore 1 v8\nstore 2 v14\n";

#ifdef SB_FAULTS
static void failing_allocations(void **state)
{
    (void)state;
    sb_ir ir;
    sb_error err = {0};
    assert_int_equal(sb_ir_parse(&ir, all_kinds, &err), SB_OK);
    const int64_t live = sb_mem_live_blocks();
    bool hit = true;
    int64_t nth = 0;
    while (hit) {
        sb_interp *interp = NULL;
        sb_interp_state *st = NULL;
        sb_fault_arm(++nth, false);
        sb_status status = sb_interp_new(&ir, &interp, &err);
        if (status == SB_OK) {
            status = sb_interp_state_new(interp, &st, &err);
        }
        hit = sb_fault_hit();
        sb_fault_arm(0, false);
        assert_int_equal(status, hit ? SB_NO_MEMORY : SB_OK);
        sb_interp_state_free(st);
        sb_interp_free(interp);
        assert_int_equal(sb_mem_live_blocks(), live);
    }
    assert_true(nth > 10);
    sb_ir_release(&ir);
}
#endif

static void all_kinds_at_once(void **state)
{
    (void)state;
    check_text(all_kinds);
}

/* Each row makes a list as long as its number says, up to 2**18 items, and looks at its last item: more than one heap holds for a slice,
 * so that slices grow short, and no row leaves for it. */
static const char long_lists[] =
    "inputs i64\noutputs i64\nv1:i64 = in 0\nv2:i64 = const_i64 262143\n"
    "v3:i64 = py_and_i64 v1 v2\nv4:i64 = const_i64 1\nv5:i64 = ix_add v3 v4\n"
    "v6:i64 = list_new v4\nlist_append v6 v1\nv7:i64 = list_repeat v6 v5\n"
    "v8:i64 = const_i64 -1\nlist_append v7 v3\nv9:i64 = list_pop v7 v8\n"
    "v10:i64 = list_get v7 v3\nv11:i64 = ix_add v9 v10\nstore 0 v11\n";

static void lists_that_fill_the_heap(void **state)
{
    (void)state;
    check_text(long_lists);
}

/* A row alone beyond the limits leaves, the rows beside it do not. */
static void lists_beyond_the_limits(void **state)
{
    (void)state;
    check_text(
        "inputs i64\noutputs i64\nv1:i64 = in 0\nv2:i64 = const_i64 1\nv3:i64 = list_new v2\n"
        "list_append v3 v1\nv4:i64 = const_i64 20\nv5:b = py_lt_i64 v4 v1\nif v5\n"
        "  loop 9\n    v6:i64 = arg v2 v7\n    v8:i64 = const_i64 1048576\n"
        "    v9:i64 = list_repeat v3 v8\n    v7:i64 = ix_add v6 v2\n"
        "    v10:i64 = const_i64 9\n    v11:b = py_lt_i64 v7 v10\n  end_loop v11\n"
        "else\nend_if\nv12:i64 = list_len v3\nstore 0 v12\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_op_in_every_form),
        cmocka_unit_test(by_constants),
        cmocka_unit_test(branches),
        cmocka_unit_test(branches_on_constants),
        cmocka_unit_test(euclid),
        cmocka_unit_test(rotation),
        cmocka_unit_test(nested_loops),
        cmocka_unit_test(counter_that_rows_leave_early),
        cmocka_unit_test(leaving_on_purpose),
        cmocka_unit_test(outputs_without_values),
        cmocka_unit_test(all_rows_leave),
        cmocka_unit_test(list_of_one),
        cmocka_unit_test(endless_loop_stops),
        cmocka_unit_test(calls),
        cmocka_unit_test(endless_calls_stop),
        cmocka_unit_test(runs_do_not_leak_into_each_other),
        cmocka_unit_test(all_kinds_at_once),
        cmocka_unit_test(lists_that_fill_the_heap),
        cmocka_unit_test(lists_beyond_the_limits),
#ifdef SB_FAULTS
        cmocka_unit_test(failing_allocations),
        cmocka_unit_test(failing_allocations_of_calls),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
