/* The IR: text round trips, what the verifier refuses, folding, dead code, uniformity, facts, limits, failing allocations. */
#include "ir/ir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "ir/refusal.h"

#define IO(outputs) "inputs i64 f64 b\noutputs " outputs "\n"
#define MARGIN "v1:i64 = in 0\nv2:f64 = in 1\nv3:b = in 2\n"

static const char nested[] = IO("i64? f64") MARGIN "v4:i64 = const_i64 3\n"
                                                   "v5:b = py_lt_i64 v1 v4\n"
                                                   "if v5\n"
                                                   "  loop 7\n"
                                                   "    v8:i64 = arg v1 v10\n"
                                                   "    v9:f64 = arg v2 v9\n"
                                                   "    v10:i64 = py_add_i64 v8 v4\n"
                                                   "    v11:b = py_lt_i64 v10 v4\n"
                                                   "    leave_if v3 overflow\n"
                                                   "  end_loop v11\n"
                                                   "  v14:i64 = result v8\n"
                                                   "  v15:f64 = result v9\n"
                                                   "else\n"
                                                   "end_if\n"
                                                   "v18:i64 = merge v14 v1\n"
                                                   "v19:f64 = merge v15 v2\n"
                                                   "v20:f64 = const_f64 -0x1.8p+1\n"
                                                   "v21:f64 = py_mul_f64 v19 v20\n"
                                                   "v22:b = in_valid 0\n"
                                                   "store 0 v18 v22\n"
                                                   "store 1 v21\n";

static void print(const sb_ir *ir, sb_buf *out)
{
    sb_buf_init(out, 1 << 20);
    sb_ir_print(ir, out);
    sb_buf_char(out, '\0');
    assert_false(out->failed);
}

static void parse(sb_ir *ir, const char *text)
{
    sb_error err = {0};
    if (sb_ir_parse(ir, text, &err) != SB_OK) {
        fail_msg("%s", err.message);
    }
}

/* --- text ------------------------------------------------------------------------------------------------------------- */

static void test_round_trip(void **state)
{
    (void)state;
    sb_ir first;
    sb_ir second;
    sb_buf one;
    sb_buf two;
    parse(&first, nested);
    print(&first, &one);
    parse(&second, one.data);
    print(&second, &two);
    assert_string_equal(one.data, two.data);
    assert_non_null(strstr(one.data, "inputs i64 f64 b\noutputs i64? f64\n"));
    assert_non_null(strstr(one.data, "  loop 7\n"));
    assert_non_null(strstr(one.data, "const_f64 -0x1.8p+1\n"));
    assert_non_null(strstr(one.data, " overflow\n"));
    assert_int_equal(first.insts.count, second.insts.count);
    assert_memory_equal(first.insts.items, second.insts.items, first.insts.count * sizeof(sb_inst));
    sb_buf_release(&one);
    sb_buf_release(&two);
    sb_ir_release(&first);
    sb_ir_release(&second);
}

static void refuse(const char *text, sb_status status, const char *message)
{
    sb_ir ir;
    sb_error err = {0};
    const sb_status got = sb_ir_parse(&ir, text, &err);
    if (got != status || strstr(err.message, message) == NULL) {
        fail_msg("expected '%s', got %d '%s' for\n%s", message, (int)got, err.message, text);
    }
}

static void test_bad_text(void **state)
{
    (void)state;
    refuse("inputs i32\n", SB_INVALID, "line 1: no such type");
    refuse("inputs i64\nfrobnicate v1\n", SB_INVALID, "line 2: no such op");
    refuse("v0:i64 = const_i64 1\n", SB_INVALID, "expected v<number>:<type> = op");
    refuse("v1:int = const_i64 1\n", SB_INVALID, "expected v<number>:<type> = op");
    refuse("v1:i64\n", SB_INVALID, "expected v<number>:<type> = op");
    refuse("v1:i64 = add 1 2 3 4 5 6 7 8 9\n", SB_INVALID, "too many or too long words");
    refuse("else\n", SB_INVALID, "markers do not pair");
    refuse("v1:b = const_b 1\nif v1\nend_loop v1\n", SB_INVALID, "markers do not pair");
    refuse("loop 1\nend_if\n", SB_INVALID, "markers do not pair");
}

static const char calling[] = "inputs i64\noutputs i64\nv1:i64 = in 0\npass v1\ncall 1\n"
                              "v2:i64 = got 0\nv3:i64 = py_add_i64 v2 v2\nstore 0 v3\n"
                              "function 0\ninputs b\noutputs\nv1:b = in 0\nleave_if v1 raise\n"
                              "function 1\ninputs i64\noutputs i64\nv1:i64 = in 0\npass v1\n"
                              "call 1\nv2:i64 = got 0\nstore 0 v2\n";

static void test_functions(void **state)
{
    (void)state;
    sb_ir first;
    sb_ir second;
    sb_buf one;
    sb_buf two;
    parse(&first, calling);
    print(&first, &one);
    parse(&second, one.data);
    print(&second, &two);
    assert_string_equal(one.data, two.data);
    assert_non_null(strstr(one.data, "pass v1\ncall 1\nv4:i64 = got 0\n"));
    assert_non_null(strstr(one.data, "function 1\ninputs i64\noutputs i64\n"));
    assert_int_equal(first.functions->count, 2);
    assert_int_equal(first.leave_reasons,
                     1u << SB_REASON_DEPTH | 1u << SB_REASON_RAISE | 1u << SB_REASON_OVERFLOW);
    assert_true(first.has_loop && first.cost >= 100);
    assert_int_equal(sb_ir_set_functions(&second, 3, NULL), SB_OK);
    assert_int_equal(second.functions->count, 3);
    sb_buf_release(&one);
    sb_buf_release(&two);
    sb_ir_release(&first);
    sb_ir_release(&second);
}

/* --- the verifier -------------------------------------------------------------------------------------------------------- */

#define BAD(body, message)                                                                         \
    refuse(IO("i64? f64") MARGIN body "store 0 v1 v3\nstore 1 v2\n", SB_INTERNAL, message)

static void test_verifier_operands(void **state)
{
    (void)state;
    BAD("v4:i64 = py_add_i64 v1 v9\n", "an operand is not defined before it");
    BAD("v4:i64 = py_add_i64 v1 v2\n", "an operand has another type");
    BAD("v4:f64 = py_add_i64 v1 v1\n", "the result has another type");
    BAD("v4:i64 = select v3 v1 v2\n", "an operand has another type");
    BAD("select v3 v1 v1\n", "no result type");
    BAD("v4:i64 = in 3\n", "no such input");
    BAD("v4:b = in_valid -1\n", "no such input");
    BAD("v4:f64 = in 0\n", "the input has another type");
    BAD("leave_if v3 whatever\n", "no such reason");
    BAD("leave_if v1 raise\n", "an operand has another type");
}

#define FUNCTION "function 0\ninputs i64\noutputs i64\nv1:i64 = in 0\nstore 0 v1\n"
#define CALLING(body, message)                                                                     \
    refuse("inputs i64 f64\noutputs\nv1:i64 = in 0\nv2:f64 = in 1\n" body FUNCTION, SB_INTERNAL,   \
           message)

static void test_verifier_calls(void **state)
{
    (void)state;
    BAD("call 0\n", "no such function");
    CALLING("pass v1\ncall 1\nv3:i64 = got 0\n", "no such function");
    CALLING("pass v1\ncall -1\nv3:i64 = got 0\n", "no such function");
    CALLING("call 0\nv3:i64 = got 0\n", "an argument does not fit");
    CALLING("pass v2\ncall 0\nv3:i64 = got 0\n", "an argument does not fit");
    CALLING("pass v1\npass v1\ncall 0\nv3:i64 = got 0\n", "arguments or results do not fit");
    CALLING("pass v1\ncall 0\n", "arguments or results do not fit");
    CALLING("pass v1\ncall 0\nv3:f64 = got 0\n", "a result does not fit");
    CALLING("pass v1\ncall 0\nv3:i64 = got 1\n", "a result does not fit");
    CALLING("pass v1\ncall 0\nv3:i64 = got 0\nv4:i64 = got 1\n", "does not follow a call");
    CALLING("pass v1\n", "does not precede a call");
    CALLING("v3:i64 = got 0\n", "does not follow a call");
    CALLING("pass v9\ncall 0\nv3:i64 = got 0\n", "an operand is not defined before it");
    refuse("inputs i64\noutputs\nfunction 0\ninputs i64\noutputs i64\nv1:i64 = in 0\n", SB_INTERNAL,
           "an output has no store");
    refuse("inputs i64\noutputs\nfunction 0\nfrobnicate\n", SB_INVALID, "line 4: no such op");
}

static void test_verifier_regions(void **state)
{
    (void)state;
    BAD("if v1\nelse\nend_if\n", "an operand has another type");
    BAD("if v3\nv4:i64 = py_add_i64 v1 v1\nelse\nv5:i64 = py_add_i64 v4 v1\nend_if\n",
        "an operand is not visible here");
    BAD("if v3\nv4:i64 = py_add_i64 v1 v1\nelse\nend_if\nv5:i64 = py_add_i64 v4 v1\n",
        "an operand is not visible here");
    BAD("if v3\nend_if\n", "markers do not pair");
    BAD("if v3\nelse\n", "markers do not pair");
    BAD("loop 1\n", "markers do not pair");
    BAD("v4:i64 = merge v1 v1\n", "does not follow an end_if");
    BAD("if v3\nelse\nend_if\nv4:i64 = merge v1 v9\n", "an operand is not defined before it");
    BAD("if v3\nelse\nv4:i64 = py_neg_i64 v1\nend_if\nv5:i64 = merge v4 v1\n",
        "an operand is not visible here");
    BAD("if v3\nelse\nend_if\nv5:i64 = merge v1 v2\n", "an operand has another type");
    BAD("if v3\nelse\nend_if\nmerge v9 v9\n", "an operand is not defined before it");
    BAD("v4:i64 = arg v1 v1\n", "does not follow a loop");
    BAD("loop 0\nv4:i64 = arg v9 v1\nend_loop v3\n", "an operand is not visible here");
    BAD("loop 0\nv4:i64 = arg v2 v1\nend_loop v3\n", "an operand has another type");
    BAD("loop 0\nv4:i64 = arg v1 v4\nv5:i64 = arg v4 v1\nend_loop v3\n",
        "an operand is not visible here");
    BAD("loop 0\nv4:i64 = arg v1 v2\nend_loop v3\n", "no fitting next value");
    BAD("loop 0\nv4:i64 = arg v1 v9\nend_loop v3\n", "no fitting next value");
    BAD("loop 0\nend_loop v1\n", "an operand is not visible here");
    BAD("v4:i64 = result v1\n", "is not of an argument of the loop before it");
    BAD("loop 0\nv4:i64 = arg v1 v4\nend_loop v3\nv5:f64 = result v4\n",
        "an operand has another type");
    BAD("loop 0\nv4:i64 = arg v1 v4\nv6:i64 = py_neg_i64 v4\nend_loop v3\nv5:i64 = result v6\n",
        "is not of an argument of the loop before it");
}

static void test_verifier_stores(void **state)
{
    (void)state;
    refuse(IO("i64") MARGIN, SB_INTERNAL, "an output has no store");
    refuse(IO("i64") MARGIN "store 1 v1\n", SB_INTERNAL, "stores must be at top level");
    refuse(IO("i64") MARGIN "store 0 v1\nstore 0 v1\n", SB_INTERNAL, "stores must be at top level");
    refuse(IO("i64") MARGIN "if v3\nstore 0 v1\nelse\nend_if\n", SB_INTERNAL,
           "stores must be at top level");
    refuse(IO("i64") MARGIN "store 0 -\n", SB_INTERNAL, "the value does not fit the output");
    refuse(IO("none?") MARGIN "store 0 v1 v3\n", SB_INTERNAL, "the value does not fit the output");
    refuse(IO("i64") MARGIN "store 0 v1 v3\n", SB_INTERNAL, "validity does not fit the output");
    refuse(IO("i64?") MARGIN "store 0 v1\n", SB_INTERNAL, "validity does not fit the output");
    refuse(IO("i64") MARGIN "store 0 v2\n", SB_INTERNAL, "not visible here or has another type");
    refuse(IO("i64") MARGIN "loop 1\nv4:i64 = arg v1 v4\nend_loop v3\nstore 0 v4\n", SB_INTERNAL,
           "not visible here or has another type");
}

static void damage(size_t at, sb_inst inst, const char *message)
{
    sb_ir ir;
    sb_error err = {0};
    parse(&ir, nested);
    assert_true(at < ir.insts.count);
    ir.insts.items[at] = inst;
    assert_int_equal(sb_ir_verify(&ir, &err), SB_INTERNAL);
    if (strstr(err.message, message) == NULL) {
        fail_msg("expected '%s', got '%s'", message, err.message);
    }
    sb_ir_release(&ir);
}

/* What text cannot say. */
static void test_verifier_structs(void **state)
{
    (void)state;
    damage(0, (sb_inst){.op = SB_IR_IN, .prim = SB_PRIM_I64}, "instruction 0 is not a nop");
    damage(3, (sb_inst){.op = SB_IR_NOP}, "only instruction 0 is a nop");
    damage(3, (sb_inst){.op = SB_IR_OP_COUNT}, "has no such op");
    damage(3, (sb_inst){.op = SB_IR_CONST_B, .prim = SB_PRIM_B, .imm.i = 2}, "0 or 1");
    sb_ir ir;
    sb_ir_init(&ir);
    assert_int_equal(sb_ir_verify(&ir, NULL), SB_INTERNAL);
    sb_irb b;
    sb_irb_init(&b, &ir, 100);
    const sb_value loop = sb_irb_loop(&b, 0);
    const sb_value yes = sb_irb_const_b(&b, true);
    sb_irb_end_loop(&b, loop, yes);
    assert_int_equal(sb_ir_verify(&ir, NULL), SB_OK);
    assert_true(SB_VEC_PUSH(&ir.inputs, (sb_ir_input){.prim = (sb_prim)9}));
    assert_int_equal(sb_ir_verify(&ir, NULL), SB_INTERNAL);
    sb_ir_release(&ir);
}

/* --- folding ------------------------------------------------------------------------------------------------------------------ */

static const sb_inst *at(const sb_irb *b, sb_value v)
{
    return &b->ir->insts.items[v];
}

static void test_folding(void **state)
{
    (void)state;
    sb_ir ir;
    sb_irb b;
    sb_ir_init(&ir);
    assert_true(SB_VEC_PUSH(&ir.inputs, (sb_ir_input){.prim = SB_PRIM_B}));
    sb_irb_init(&b, &ir, 1000);
    const sb_value in = sb_irb_in(&b, 0);
    const sb_value yes = sb_irb_const_b(&b, true);
    const sb_value no = sb_irb_const_b(&b, false);
    const sb_value seven = sb_irb_const_i(&b, -7);
    const sb_value two = sb_irb_const_i(&b, 2);
    const sb_value zero = sb_irb_const_i(&b, 0);
    const sb_value big = sb_irb_const_i(&b, INT64_MAX);
    assert_int_equal(at(&b, sb_irb_op(&b, SB_IR_PY_FLOORDIV_I64, seven, two, 0))->imm.i, -4);
    assert_int_equal(at(&b, sb_irb_op(&b, SB_IR_PY_MOD_I64, seven, two, 0))->imm.i, 1);
    assert_int_equal(at(&b, sb_irb_op(&b, SB_IR_PY_NEG_I64, seven, 0, 0))->imm.i, 7);
    assert_int_equal(at(&b, sb_irb_op(&b, SB_IR_IX_ADD, big, two, 0))->imm.i, INT64_MIN + 1);
    assert_int_equal(at(&b, sb_irb_op(&b, SB_IR_PY_ADD_I64, big, two, 0))->op, SB_IR_PY_ADD_I64);
    assert_int_equal(at(&b, sb_irb_op(&b, SB_IR_PY_MOD_I64, two, zero, 0))->op, SB_IR_PY_MOD_I64);
    assert_int_equal(at(&b, sb_irb_op(&b, SB_IR_PY_EXACT_FLOAT_I64, big, 0, 0))->op,
                     SB_IR_PY_EXACT_FLOAT_I64);
    const sb_value half = sb_irb_op(&b, SB_IR_PY_FLOAT_I64, two, 0, 0);
    assert_true(at(&b, half)->imm.f == 2.0);
    assert_true(at(&b, sb_irb_op(&b, SB_IR_PY_NEG_F64, half, 0, 0))->imm.f == -2.0);
    bool known = false;
    assert_true(sb_irb_is_const_b(&b, sb_irb_op(&b, SB_IR_PY_LT_I64, seven, two, 0), &known));
    assert_true(known);
    assert_int_equal(sb_irb_op(&b, SB_IR_AND, in, yes, 0), in);
    assert_int_equal(sb_irb_op(&b, SB_IR_AND, no, in, 0), no);
    assert_int_equal(sb_irb_op(&b, SB_IR_OR, in, no, 0), in);
    assert_int_equal(sb_irb_op(&b, SB_IR_OR, in, in, 0), in);
    assert_int_equal(sb_irb_op(&b, SB_IR_SELECT, no, two, seven), seven);
    assert_int_equal(sb_irb_op(&b, SB_IR_SELECT, in, two, two), two);
    const sb_value not_in = sb_irb_op(&b, SB_IR_NOT, in, 0, 0);
    assert_int_equal(sb_irb_op(&b, SB_IR_NOT, not_in, 0, 0), in);
    assert_int_equal(sb_irb_merge(&b, two, two), two);
    const size_t count = ir.insts.count;
    sb_irb_leave_if(&b, no, SB_REASON_RAISE);
    assert_int_equal(ir.insts.count, count);
    sb_ir_release(&ir);
}

/* --- dead code, uniformity, facts --------------------------------------------------------------------------------------------- */

static void same_after_finish(const char *text, const char *expected)
{
    sb_ir ir;
    sb_buf out;
    parse(&ir, text);
    print(&ir, &out);
    assert_string_equal(out.data, expected);
    sb_buf_release(&out);
    sb_ir_release(&ir);
}

static void test_dead_code(void **state)
{
    (void)state;
    same_after_finish(IO("i64") MARGIN "v4:i64 = py_add_i64 v1 v1\n"
                                       "v5:f64 = py_add_f64 v2 v2\n"
                                       "if v3\nelse\nend_if\nv9:i64 = merge v1 v4\n"
                                       "store 0 v1\n",
                      IO("i64") "v1:i64 = in 0\nstore 0 v1\n");
    same_after_finish(IO("i64") MARGIN "if v3\n"
                                       "v4:i64 = py_floordiv_i64 v1 v1\n"
                                       "v5:i64 = py_mul_i64 v4 v4\n"
                                       "else\nend_if\n"
                                       "store 0 v1\n",
                      IO("i64") "v1:i64 = in 0\nv2:b = in 2\nif v2\n"
                                "  v4:i64 = py_floordiv_i64 v1 v1\nelse\nend_if\nstore 0 v1\n");
    same_after_finish(IO("i64") MARGIN "loop 0\nv4:i64 = arg v1 v4\nend_loop v3\nstore 0 v1\n",
                      IO("i64") "v1:i64 = in 0\nv2:b = in 2\nloop 0\nend_loop v2\nstore 0 v1\n");
    same_after_finish(IO("i64") MARGIN "leave_if v3 raise\nstore 0 v1\n",
                      IO("i64") "v1:i64 = in 0\nv2:b = in 2\nleave_if v2 raise\nstore 0 v1\n");
}

static void test_uniform(void **state)
{
    (void)state;
    sb_ir ir;
    parse(&ir, IO("i64") "v1:i64 = in 0\nv2:b = in 2\nv3:i64 = const_i64 5\nv4:i64 = const_i64 1\n"
                         "loop 5\n"
                         "v6:i64 = arg v3 v9\nv7:i64 = arg v1 v8\n"
                         "v8:i64 = py_add_i64 v7 v6\n"
                         "v9:i64 = ix_sub v6 v4\n"
                         "loop 0\n"
                         "v11:i64 = arg v6 v12\n"
                         "v12:i64 = ix_add v11 v4\n"
                         "v13:b = py_lt_i64 v12 v1\n"
                         "end_loop v13\n"
                         "v15:i64 = result v11\n"
                         "if v2\nelse\nend_if\nv19:i64 = merge v3 v4\n"
                         "v20:i64 = py_add_i64 v15 v19\n"
                         "v21:b = py_lt_i64 v4 v9\n"
                         "end_loop v21\n"
                         "v23:i64 = result v6\nv24:i64 = result v7\n"
                         "v25:i64 = py_mul_i64 v23 v24\n"
                         "store 0 v25\n");
    /* dead code is gone: py_add of v15 and v19 with all that only it needs; the inner loop stays */
    unsigned uniform_args = 0;
    unsigned uniform_results = 0;
    for (size_t i = 0; i < ir.insts.count; i++) {
        const sb_inst *inst = &ir.insts.items[i];
        uniform_args += inst->op == SB_IR_ARG && inst->uniform;
        uniform_results += inst->op == SB_IR_RESULT && inst->uniform;
        assert_false(inst->op == SB_IR_IN && inst->uniform);
        assert_false(inst->op == SB_IR_PY_ADD_I64 && inst->uniform);
        assert_false(inst->op == SB_IR_MERGE);
        assert_true(inst->op != SB_IR_IX_SUB || inst->uniform);
        assert_true(inst->op != SB_IR_IX_ADD || inst->uniform); /* the inner test diverges later */
    }
    assert_int_equal(uniform_args, 2);
    assert_int_equal(uniform_results, 1);
    sb_ir_release(&ir);
}

/* Rows leave the loop after different turns: inside of it the turn is one for all, what it was at the end is not. */
static void test_uniform_result(void **state)
{
    (void)state;
    sb_ir ir;
    parse(&ir, IO("i64") "v1:i64 = in 0\nv2:i64 = const_i64 0\nv3:i64 = const_i64 1\nloop 0\n"
                         "v5:i64 = arg v2 v6\nv6:i64 = ix_add v5 v3\nv7:b = py_lt_i64 v6 v1\n"
                         "end_loop v7\nv9:i64 = result v5\nstore 0 v9\n");
    for (size_t i = 0; i < ir.insts.count; i++) {
        const sb_inst *inst = &ir.insts.items[i];
        assert_true(inst->op != SB_IR_ARG || inst->uniform);
        assert_true(inst->op != SB_IR_IX_ADD || inst->uniform);
        assert_false(inst->op == SB_IR_RESULT && inst->uniform);
    }
    sb_ir_release(&ir);
}

static void test_uniform_merge(void **state)
{
    (void)state;
    static const char form[] = IO("i64") "v1:i64 = const_i64 5\nv2:i64 = const_i64 1\n%s"
                                         "if v3\nelse\nend_if\nv9:i64 = merge v1 v2\nstore 0 v9\n";
    static const char *const conditions[] = {"v3:b = in 2\n", "v3:b = py_lt_i64 v1 v2\n"};
    for (unsigned k = 0; k < 2; k++) {
        sb_buf text;
        sb_buf_init(&text, 4096);
        sb_buf_text(&text, IO("i64") "v1:i64 = const_i64 5\nv2:i64 = const_i64 1\n");
        sb_buf_text(&text, conditions[k]);
        sb_buf_text(&text, strstr(form, "if v3"));
        sb_buf_char(&text, '\0');
        sb_ir ir;
        parse(&ir, text.data);
        const sb_inst *merge = &ir.insts.items[ir.insts.count - 2];
        assert_int_equal(merge->op, SB_IR_MERGE);
        assert_int_equal(merge->uniform, k);
        sb_ir_release(&ir);
        sb_buf_release(&text);
    }
}

static void test_facts(void **state)
{
    (void)state;
    sb_ir ir;
    parse(&ir, nested);
    assert_true(ir.has_loop);
    assert_int_equal(ir.leave_reasons, 1u << SB_REASON_OVERFLOW);
    assert_true(ir.inputs.items[0].reads_values && ir.inputs.items[0].reads_valid);
    assert_true(ir.inputs.items[2].reads_values && !ir.inputs.items[2].reads_valid);
    const uint32_t seven_turns = ir.cost;
    sb_ir_release(&ir);
    parse(&ir, IO("i64") MARGIN "v4:i64 = py_floordiv_i64 v1 v1\nv5:f64 = py_truediv_i64 v1 v4\n"
                                "v6:f64 = py_exact_float_i64 v4\nstore 0 v4\n");
    assert_false(ir.has_loop);
    assert_int_equal(ir.leave_reasons,
                     1u << SB_REASON_OVERFLOW | 1u << SB_REASON_DIV_ZERO | 1u << SB_REASON_BIGINT);
    assert_false(ir.inputs.items[1].reads_values);
    assert_true(ir.cost < seven_turns);
    sb_ir_release(&ir);
    parse(&ir, IO("i64") MARGIN "loop 1000000000\nloop 1000000000\nend_loop v3\nend_loop v3\n"
                                "store 0 v1\n");
    assert_int_equal(ir.cost, 1000000000u);
    sb_ir_release(&ir);
}

/* --- limits and memory ----------------------------------------------------------------------------------------------------------- */

static void test_limits(void **state)
{
    (void)state;
    sb_ir ir;
    sb_irb b;
    sb_ir_init(&ir);
    sb_irb_init(&b, &ir, 4);
    sb_value v = sb_irb_const_b(&b, true);
    for (int i = 0; i < 5; i++) {
        v = sb_irb_if(&b, v);
        sb_irb_else(&b, v);
        sb_irb_end_if(&b, v);
        v = sb_irb_op(&b, SB_IR_NOT, v, 0, 0);
    }
    assert_int_equal(v, 0);
    assert_int_equal(ir.insts.count, 4);
    sb_error err = {0};
    assert_int_equal(sb_ir_finish(&b, &err), SB_LIMIT);
    assert_non_null(strstr(err.message, "more than 4 instructions"));
    sb_ir_release(&ir);
    sb_ir_init(&ir);
    sb_irb_init(&b, &ir, 100);
    v = sb_irb_const_b(&b, true);
    const size_t mark = ir.insts.count;
    (void)sb_irb_if(&b, v);
    sb_irb_rewind(&b, mark);
    sb_irb_rewind(&b, mark + 10);
    assert_int_equal(sb_ir_finish(&b, NULL), SB_OK);
    sb_ir_release(&ir);
}

static void test_refusal_codes(void **state)
{
    (void)state;
    for (uint32_t code = 1; code < SB_REFUSAL_COUNT; code++) {
        const char *name = sb_refusal_code_name(code);
        assert_true(strlen(name) > 0 && strlen(sb_refusal_code_message(code)) > 0);
        assert_non_null(sb_refusal_code_hint(code));
        assert_int_equal(sb_refusal_code_of_name(name, strlen(name)), code);
    }
    assert_int_equal(sb_refusal_code_of_name("unknown_calls", 13), SB_REFUSAL_SYNTAX);
    assert_int_equal(sb_refusal_code_of_name("unknown", 7), SB_REFUSAL_SYNTAX);
}

#ifdef SB_FAULTS
static void check_faults(const char *text)
{
    bool hit = true;
    for (int64_t nth = 1; hit; nth++) {
        const int64_t before = sb_mem_live_blocks();
        sb_ir ir;
        sb_fault_arm(nth, (nth & 1) != 0);
        const sb_status status = sb_ir_parse(&ir, text, NULL);
        hit = sb_fault_hit();
        sb_fault_arm(0, false);
        assert_int_equal(status, hit ? SB_NO_MEMORY : SB_OK);
        if (status == SB_OK) {
            sb_ir_release(&ir);
        }
        assert_int_equal(sb_mem_live_blocks(), before);
    }
}

static void test_faults(void **state)
{
    (void)state;
    check_faults(nested);
    check_faults(calling);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_bad_text),
        cmocka_unit_test(test_verifier_operands),
        cmocka_unit_test(test_functions),
        cmocka_unit_test(test_verifier_calls),
        cmocka_unit_test(test_verifier_regions),
        cmocka_unit_test(test_verifier_stores),
        cmocka_unit_test(test_verifier_structs),
        cmocka_unit_test(test_folding),
        cmocka_unit_test(test_dead_code),
        cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_uniform_result),
        cmocka_unit_test(test_uniform_merge),
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_refusal_codes),
#ifdef SB_FAULTS
        cmocka_unit_test(test_faults),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
