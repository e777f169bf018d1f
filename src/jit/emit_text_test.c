/* The emitted text: two tiny functions in full, options, the choice of width, repeatability, failing allocations. Needs no
 * compiler. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "interp/testkit.h"
#include "jit/emit.h"

/* What the body of one entry looks like: from its first block to the block that goes on to the next rows. */
static void check_body(const char *ir_text, int lanes, const char *level, const char *wanted)
{
    const sb_emit_options options = {.lanes = lanes, .fast = true, .cpu_level = level};
    sb_ir ir;
    sb_buf text;
    sb_buf_init(&text, 0);
    assert_int_equal(sb_ir_parse(&ir, ir_text, NULL), SB_OK);
    assert_int_equal(sb_emit_llvm(&ir, &options, &text, NULL), SB_OK);
    char *start = strstr(text.data, "b0:\n");
    assert_non_null(start);
    char *end = strstr(start, "next:\n");
    assert_non_null(end);
    *end = '\0';
    assert_string_equal(start, wanted);
    sb_buf_release(&text);
    sb_ir_release(&ir);
}

static const char add_rows[] = "inputs i64 i64\n"
                               "outputs i64?\n"
                               "v1:i64 = in 0\n"
                               "v2:i64 = in 1\n"
                               "v3:i64 = py_add_i64 v1 v2\n"
                               "v4:b = in_valid 1\n"
                               "store 0 v3 v4\n";

static const char add_rows_body[] =
    "b0:\n"
    "  %t2 = getelementptr i64, ptr %t1, i64 %row\n"
    "  %t3 = load i64, ptr %t2, align 8\n"
    "  %t6 = getelementptr i64, ptr %t5, i64 %row\n"
    "  %t7 = load i64, ptr %t6, align 8\n"
    "  %t8 = call {i64, i1} @llvm.sadd.with.overflow.i64(i64 %t3, i64 %t7)\n"
    "  %t9 = extractvalue {i64, i1} %t8, 0\n"
    "  %t10 = extractvalue {i64, i1} %t8, 1\n"
    "  br i1 %t10, label %b2, label %b1, !prof !0\n"
    "b2:\n"
    "  br label %exit_bad\n"
    "b1:\n"
    "  %t15 = getelementptr i8, ptr %t14, i64 %row8\n"
    "  %t16 = load i8, ptr %t15, align 1\n"
    "  %t17 = lshr i8 %t16, %bit\n"
    "  %t18 = trunc i8 %t17 to i1\n"
    "  %other_bits = xor i8 %this_bit, -1\n"
    "  %t21 = getelementptr i64, ptr %t20, i64 %row\n"
    "  store i64 %t9, ptr %t21, align 8\n"
    "  %t24 = getelementptr i8, ptr %t23, i64 %row8\n"
    "  %t25 = load i8, ptr %t24, align 1\n"
    "  %t26 = zext i1 %t18 to i8\n"
    "  %t27 = shl i8 %t26, %bit\n"
    "  %t28 = and i8 %t25, %other_bits\n"
    "  %t29 = or i8 %t28, %t27\n"
    "  store i8 %t29, ptr %t24, align 1\n"
    "  br label %next\n";

static const char sum_lanes[] = "inputs f64\n"
                                "outputs f64\n"
                                "v1:f64 = in 0\n"
                                "v2:i64 = const_i64 1\n"
                                "v3:i64 = const_i64 9\n"
                                "v4:f64 = const_f64 0.0\n"
                                "loop 8\n"
                                "  v10:i64 = arg v2 v12\n"
                                "  v11:f64 = arg v4 v15\n"
                                "  v13:f64 = py_float_i64 v10\n"
                                "  v14:f64 = py_mul_f64 v1 v13\n"
                                "  v15:f64 = py_add_f64 v11 v14\n"
                                "  v12:i64 = ix_add v10 v2\n"
                                "  v16:b = py_lt_i64 v12 v3\n"
                                "end_loop v16\n"
                                "v20:f64 = result v11\n"
                                "store 0 v20\n";

/* The counter is one scalar for all lanes, and nothing is masked. */
static const char sum_lanes_body[] =
    "b0:\n"
    "  %mask_bits = phi i8 [ -1, %block ], [ %partial_bits, %partial ]\n"
    "  %t2 = getelementptr i64, ptr %t1, i64 %row\n"
    "  %t3 = load <8 x double>, ptr %t2, align 8\n"
    "  store i64 1, ptr %t4\n"
    "  store <8 x double> splat (double 0x0000000000000000), ptr %t5\n"
    "  br label %b1\n"
    "b1:\n"
    "  %t6 = load i64, ptr %t4\n"
    "  %t7 = load <8 x double>, ptr %t5\n"
    "  %t8 = sitofp i64 %t6 to double\n"
    "  %t9 = insertelement <8 x double> poison, double %t8, i32 0\n"
    "  %t10 = shufflevector <8 x double> %t9, <8 x double> poison, <8 x i32> zeroinitializer\n"
    "  %t11 = fmul <8 x double> %t3, %t10\n"
    "  %t12 = fadd <8 x double> %t7, %t11\n"
    "  %t13 = add i64 %t6, 1\n"
    "  %t14 = icmp slt i64 %t13, 9\n"
    "  store i64 %t13, ptr %t4\n"
    "  store <8 x double> %t12, ptr %t5\n"
    "  br i1 %t14, label %b3, label %b2\n"
    "b3:\n"
    "  br label %b1\n"
    "b2:\n"
    "  %t15 = load <8 x double>, ptr %t5\n"
    "  br label %stores\n"
    "stores:\n"
    "  %plain = icmp eq i8 %mask_bits, -1\n"
    "  br i1 %plain, label %stores_plain, label %stores_blend, !prof !1\n"
    "stores_plain:\n"
    "  %t18 = getelementptr i64, ptr %t17, i64 %row\n"
    "  store <8 x double> %t15, ptr %t18, align 64\n"
    "  br label %next\n"
    "stores_blend:\n"
    "  %written_bits = or i8 %mask_bits, 0\n"
    "  %kept_bits = xor i8 %mask_bits, -1\n"
    "  %t19 = bitcast i8 %mask_bits to <8 x i1>\n"
    "  %t22 = getelementptr i64, ptr %t21, i64 %row\n"
    "  %t23 = load <8 x double>, ptr %t22, align 64\n"
    "  %t24 = select <8 x i1> %t19, <8 x double> %t15, <8 x double> %t23\n"
    "  store <8 x double> %t24, ptr %t22, align 64\n"
    "  br label %next\n";

static void test_text(void **state)
{
    (void)state;
    check_body(add_rows, 1, "x86-64-v3", add_rows_body);
    check_body(sum_lanes, 8, "x86-64-v4", sum_lanes_body);
}

static void test_options(void **state)
{
    (void)state;
    sb_ir ir;
    sb_buf text;
    sb_error err = {0};
    sb_buf_init(&text, 0);
    assert_int_equal(sb_ir_parse(&ir, sum_lanes, NULL), SB_OK);
    sb_emit_options options = {.lanes = 4, .fast = true, .cpu_level = "x86-64-v3"};
    assert_int_equal(sb_emit_llvm(&ir, &options, &text, &err), SB_INVALID);
    assert_non_null(strstr(err.message, "4 lanes"));
    options = (sb_emit_options){.lanes = 8, .fast = true, .cpu_level = "vax"};
    assert_int_equal(sb_emit_llvm(&ir, &options, &text, &err), SB_INVALID);
    assert_non_null(strstr(err.message, "'vax'"));
    assert_int_equal(text.size, 0);
    options.cpu_level = "x86-64-v3";
    assert_int_equal(sb_emit_llvm(&ir, &options, &text, &err), SB_OK);
    assert_non_null(strstr(text.data, "@sabot_fast("));
    assert_null(strstr(text.data, "@sabot_careful("));
    sb_buf_release(&text);
    sb_buf_init(&text, 100);
    assert_int_equal(sb_emit_llvm(&ir, &options, &text, &err), SB_LIMIT);
    sb_buf_release(&text);
    sb_ir_release(&ir);
}

/* Short bodies are interleaved, long ones not; where lanes are dear, rows that part ways are scalar. */
static void test_choice_of_lanes(void **state)
{
    (void)state;
    sb_ir ir;
    assert_int_equal(sb_ir_parse(&ir, sum_lanes, NULL), SB_OK);
    assert_int_equal(sb_emit_choose_lanes(&ir, "x86-64-v4"), 32);
    assert_int_equal(sb_emit_choose_lanes(&ir, "x86-64-v3"), 16);
    assert_int_equal(sb_emit_choose_lanes(&ir, "aarch64"), 16);
    assert_int_equal(sb_emit_choose_lanes(&ir, "vax"), 1);
    sb_ir_release(&ir);
    assert_int_equal(
        sb_ir_parse(&ir,
                    "inputs f64\noutputs f64\nv1:f64 = in 0\nloop 0\nv2:f64 = arg v1 v3\n"
                    "v3:f64 = py_add_f64 v2 v2\nv4:b = py_lt_f64 v3 v2\nend_loop v4\n"
                    "v5:f64 = result v2\nstore 0 v5\n",
                    NULL),
        SB_OK);
    assert_int_equal(sb_emit_choose_lanes(&ir, "x86-64-v4"), 32);
    assert_int_equal(sb_emit_choose_lanes(&ir, "x86-64-v3"), 1);
    assert_int_equal(sb_emit_choose_lanes(&ir, "aarch64"), 1);
    sb_ir_release(&ir);
    assert_int_equal(sb_ir_parse(&ir,
                                 "inputs i64\noutputs i64\nv1:i64 = in 0\nv2:i64 = list_new v1\n"
                                 "list_append v2 v1\nv3:i64 = list_len v2\nstore 0 v3\n",
                                 NULL),
                     SB_OK);
    assert_int_equal(sb_emit_choose_lanes(&ir, "x86-64-v4"), 1);
    const sb_emit_options options = {.lanes = 8, .fast = true, .cpu_level = "x86-64-v4"};
    sb_buf text;
    sb_buf_init(&text, 0);
    assert_int_equal(sb_emit_llvm(&ir, &options, &text, NULL), SB_INVALID);
    sb_buf_release(&text);
    sb_ir_release(&ir);
    sb_ir_init(&ir);
    assert_int_equal(sb_testkit_program(&ir, 3, 300, NULL), SB_OK);
    assert_int_equal(sb_emit_choose_lanes(&ir, "x86-64-v4"), 8);
    sb_ir_release(&ir);
}

/* LLVM has no processor "aarch64": it would say so on stderr, once an object, and take the generic one. */
static void test_processors(void **state)
{
    (void)state;
    assert_string_equal(sb_emit_processor("aarch64"), "generic");
    assert_string_equal(sb_emit_processor("x86-64"), "x86-64");
    assert_string_equal(sb_emit_processor("x86-64-v4"), "x86-64-v4");
    assert_string_equal(sb_emit_processor("cortex-a76"), "cortex-a76");
}

/* The same text every time, of the same size whatever the entries' order, and both entries in it. */
static void test_text_is_stable(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        sb_ir ir;
        sb_ir_init(&ir);
        assert_int_equal(sb_testkit_program(&ir, seed, 40, NULL), SB_OK);
        const sb_emit_options options = {.lanes = ir.has_list ? 1 : 8 << (seed % 3),
                                         .fast = true,
                                         .careful = true,
                                         .cpu_level = "x86-64-v3"};
        sb_buf first, second;
        sb_buf_init(&first, 0);
        sb_buf_init(&second, 0);
        assert_int_equal(sb_emit_llvm(&ir, &options, &first, NULL), SB_OK);
        assert_int_equal(sb_emit_llvm(&ir, &options, &second, NULL), SB_OK);
        assert_string_equal(first.data, second.data);
        assert_non_null(strstr(first.data, "@sabot_fast("));
        assert_non_null(strstr(first.data, "@sabot_careful("));
        sb_buf_release(&first);
        sb_buf_release(&second);
        sb_ir_release(&ir);
    }
}

#ifdef SB_FAULTS
static void test_faults(void **state)
{
    (void)state;
    const sb_emit_options options = {
        .lanes = 8, .fast = true, .careful = true, .cpu_level = "x86-64-v4"};
    sb_ir ir;
    assert_int_equal(sb_ir_parse(&ir, sum_lanes, NULL), SB_OK);
    const int64_t live = sb_mem_live_blocks();
    int64_t nth = 1;
    for (;; nth++) {
        sb_buf text;
        sb_buf_init(&text, 0);
        sb_fault_arm(nth, nth % 2 == 0);
        const sb_status status = sb_emit_llvm(&ir, &options, &text, NULL);
        const bool hit = sb_fault_hit();
        sb_fault_arm(0, false);
        assert_int_equal(status, hit ? SB_NO_MEMORY : SB_OK);
        sb_buf_release(&text);
        assert_int_equal(sb_mem_live_blocks(), live);
        if (!hit) {
            break;
        }
    }
    assert_true(nth > 4);
    sb_ir_release(&ir);
}
#endif

int main(void)
{
    const struct CMUnitTest text[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_choice_of_lanes),
        cmocka_unit_test(test_processors),
        cmocka_unit_test(test_text_is_stable),
#ifdef SB_FAULTS
        cmocka_unit_test(test_faults),
#endif
    };
    return cmocka_run_group_tests_name("emit_text", text, NULL, NULL);
}
