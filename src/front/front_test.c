/* The front on what is malformed, too large or out of memory. What it makes of well-formed functions is compared with CPython's
 * answers in tests/front_oracle_test.c. */
#include "front/front.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "front/blob.h"
#include "front/front_test.h"

/* --- malformed blobs ----------------------------------------------------------------------------------------------------- */

/* Any answer is right but a crash; the copy has no byte to spare, so that a sanitizer sees reads past its end. */
static void lower_damaged(const front_vector *v, const char *bytes, size_t size)
{
    char *copy = sb_mem_alloc(size);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    sb_lowered lowered;
    if (lower_with(v, copy, size, false, &lowered, NULL) == SB_OK) {
        sb_lowered_release(&lowered);
    }
    sb_mem_free(copy);
}

static void test_truncated(void **state)
{
    (void)state;
    for (size_t k = 0; k < VECTORS; k += 5) {
        const front_vector *v = &front_vectors[k];
        for (size_t size = 0; size < v->blob_size; size++) {
            sb_lowered lowered;
            assert_int_equal(lower_with(v, v->blob, size, false, &lowered, NULL), SB_INVALID);
        }
        lower_damaged(v, v->blob, v->blob_size / 2);
    }
}

static void test_flipped(void **state)
{
    (void)state;
    static const uint8_t flips[] = {1, 2, 0x20, 0x80, 0xff};
    char bytes[4096];
    for (size_t k = 0; k < VECTORS; k += 7) {
        const front_vector *v = &front_vectors[k];
        for (size_t at = 0; at < v->blob_size; at++) {
            memcpy(bytes, v->blob, v->blob_size);
            bytes[at] = (char)(bytes[at] ^ (char)flips[(at + k) % SB_COUNT_OF(flips)]);
            lower_damaged(v, bytes, v->blob_size);
        }
    }
}

/* --- limits ---------------------------------------------------------------------------------------------------------------- */

/* Writes blobs: one parameter x and one local s. */
static void put_u8(sb_buf *out, unsigned value)
{
    sb_buf_char(out, (char)value);
}

static void put_u32(sb_buf *out, uint32_t value)
{
    for (unsigned k = 0; k < 4; k++) {
        put_u8(out, (value >> (8 * k)) & 0xff);
    }
}

static void put_node(sb_buf *out, unsigned kind, uint32_t line)
{
    const uint32_t place[4] = {line, 0, line, 1};
    put_u8(out, kind);
    for (unsigned k = 0; k < 4; k++) {
        put_u32(out, place[k]);
    }
}

static void put_local(sb_buf *out, uint32_t slot)
{
    put_node(out, SB_BLOB_LOCAL, 1);
    put_u32(out, slot);
}

static void put_int(sb_buf *out, uint32_t value)
{
    put_node(out, SB_BLOB_CONST_INT, 1);
    put_u32(out, value);
    put_u32(out, 0);
}

static void put_text(sb_buf *out, const char *text)
{
    put_u32(out, (uint32_t)strlen(text));
    sb_buf_text(out, text);
}

static void put_header(sb_buf *out, uint32_t statements)
{
    sb_buf_init(out, (size_t)1 << 24);
    put_u32(out, SB_BLOB_MAGIC);
    put_u32(out, SB_BLOB_VERSION);
    put_text(out, "f");
    put_text(out, "f.py");
    put_u32(out, 1);
    put_u8(out, SB_BLOB_ANN_INT);
    put_text(out, "");
    put_u32(out, 2);
    put_text(out, "x");
    put_text(out, "s");
    put_u32(out, 1);
    put_u8(out, 0);
    put_u32(out, 0); /* no called functions */
    put_u32(out, statements);
}

static void put_return(sb_buf *out)
{
    put_node(out, SB_BLOB_RETURN, 2);
    put_u8(out, 1);
    put_local(out, 0);
}

static sb_status lower_blob(sb_buf *blob, const char *format, sb_lowered *out, sb_error *err)
{
    assert_false(blob->failed);
    const sb_front_column column = {"x", format};
    const sb_status status = sb_front_lower(blob->data, blob->size, &column, 1, false, out, err);
    sb_buf_release(blob);
    return status;
}

static void is_too_complex(sb_buf *blob)
{
    sb_lowered lowered;
    assert_int_equal(lower_blob(blob, "l", &lowered, NULL), SB_OK);
    assert_false(lowered.compiled);
    assert_true(lowered.can_raise);
    assert_int_equal(lowered.refusals[0].code, SB_REFUSAL_TOO_COMPLEX);
    assert_string_equal(lowered.result_format, "l");
    sb_lowered_release(&lowered);
}

/* `if x: return x` a thousand times: the regions nest, the stack must not. */
static void test_many_returns(void **state)
{
    (void)state;
    for (uint32_t count = 100; count <= 5000; count *= 50) {
        sb_buf blob;
        put_header(&blob, count + 1);
        for (uint32_t k = 0; k < count; k++) {
            put_node(&blob, SB_BLOB_IF, 2);
            put_local(&blob, 0);
            put_u32(&blob, 1);
            put_return(&blob);
            put_u32(&blob, 0);
        }
        put_return(&blob);
        if (count == 5000) {
            is_too_complex(&blob);
            continue;
        }
        sb_lowered lowered;
        assert_int_equal(lower_blob(&blob, "l", &lowered, NULL), SB_OK);
        assert_true(lowered.compiled);
        sb_lowered_release(&lowered);
    }
}

static void test_many_statements(void **state)
{
    (void)state;
    sb_buf blob;
    put_header(&blob, 40001);
    for (uint32_t k = 0; k < 40000; k++) {
        put_node(&blob, SB_BLOB_AUGASSIGN, 2);
        put_u32(&blob, 0);
        put_u8(&blob, SB_BLOB_ADD);
        put_int(&blob, 1);
    }
    put_return(&blob);
    is_too_complex(&blob);
}

/* for s in range(x), each inside the last, with one kind more at every level. */
static void put_loops(sb_buf *out, unsigned levels)
{
    for (unsigned k = 0; k < levels; k++) {
        put_node(out, SB_BLOB_FOR, 2);
        put_u8(out, 0);
        put_u32(out, 1);
        put_node(out, SB_BLOB_CALL, 2);
        put_u8(out, SB_BLOB_RANGE);
        put_u32(out, 1);
        put_local(out, 0);
        put_u32(out, 2);
        put_node(out, SB_BLOB_AUGASSIGN, 2);
        put_u32(out, 0);
        put_u8(out, k % 2 != 0 ? SB_BLOB_TRUEDIV : SB_BLOB_MUL);
        put_local(out, 1);
    }
    put_node(out, SB_BLOB_PASS, 2);
    for (unsigned k = 0; k < levels; k++) {
        put_u32(out, 0);
    }
}

static void test_nested_loops(void **state)
{
    (void)state;
    for (unsigned levels = 1; levels <= 60; levels += levels < 10 ? 1 : 25) {
        sb_buf blob;
        sb_lowered lowered;
        put_header(&blob, 2);
        put_loops(&blob, levels);
        put_node(&blob, SB_BLOB_RETURN, 2);
        put_u8(&blob, 1);
        put_int(&blob, 1);
        assert_int_equal(lower_blob(&blob, "l", &lowered, NULL), SB_OK);
        assert_true(lowered.compiled || lowered.refusals[0].code == SB_REFUSAL_TOO_COMPLEX);
        assert_true(lowered.compiled || levels > 4);
        sb_lowered_release(&lowered);
    }
}

static void test_depth(void **state)
{
    (void)state;
    for (uint32_t depth = SB_BLOB_DEPTH_MAX - 2; depth <= SB_BLOB_DEPTH_MAX + 1; depth++) {
        sb_buf blob;
        sb_lowered lowered;
        sb_error err = {0};
        put_header(&blob, 1);
        put_node(&blob, SB_BLOB_RETURN, 2);
        put_u8(&blob, 1);
        for (uint32_t k = 0; k < depth - 2; k++) {
            put_node(&blob, SB_BLOB_UNARY, 2);
            put_u8(&blob, SB_BLOB_POS);
        }
        put_local(&blob, 0);
        const bool fits = depth <= SB_BLOB_DEPTH_MAX;
        assert_int_equal(lower_blob(&blob, "l", &lowered, &err), fits ? SB_OK : SB_INVALID);
        assert_true(fits || strstr(err.message, "nested too deeply") != NULL);
        sb_lowered_release(&lowered);
    }
}

/* --- types and refusals ---------------------------------------------------------------------------------------------------------- */

static void test_refusals(void **state)
{
    (void)state;
    sb_buf blob;
    sb_lowered lowered;
    sb_error err = {0};
    put_header(&blob, 2);
    put_node(&blob, SB_BLOB_UNSUPPORTED, 7);
    put_text(&blob, "impure");
    put_text(&blob, "global y");
    put_node(&blob, SB_BLOB_RETURN, 8);
    put_u8(&blob, 1);
    put_node(&blob, SB_BLOB_BINARY, 9);
    put_u8(&blob, SB_BLOB_MATMUL);
    put_local(&blob, 0);
    put_local(&blob, 0);
    assert_int_equal(lower_blob(&blob, "l", &lowered, &err), SB_OK);
    assert_false(lowered.compiled);
    assert_int_equal(lowered.refusal_count, 2);
    assert_int_equal(lowered.refusals[0].code, SB_REFUSAL_IMPURE);
    assert_int_equal(lowered.refusals[0].line, 7);
    assert_string_equal(lowered.refusals[0].detail, "global y");
    assert_int_equal(lowered.refusals[1].code, SB_REFUSAL_OPERATOR);
    assert_int_equal(lowered.refusals[1].line, 9);
    assert_string_equal(lowered.refusals[1].detail, "@");
    sb_lowered_release(&lowered);
    put_header(&blob, 1); /* a column that kernels do not know; the annotation tells the type */
    put_return(&blob);
    assert_int_equal(lower_blob(&blob, "u", &lowered, &err), SB_OK);
    assert_int_equal(lowered.refusals[0].code, SB_REFUSAL_COLUMN_TYPE);
    assert_string_equal(lowered.result_format, "l");
    sb_lowered_release(&lowered);
    put_header(&blob, 1); /* annotated int, returns double */
    put_return(&blob);
    assert_int_equal(lower_blob(&blob, "g", &lowered, &err), SB_TYPE);
    assert_non_null(strstr(err.message, "says int64, but the function returns double"));
}

static void test_columns(void **state)
{
    (void)state;
    sb_lowered lowered;
    sb_error err = {0};
    const front_vector *v = &front_vectors[0];
    assert_int_equal(sb_front_lower(v->blob, v->blob_size, NULL, 0, false, &lowered, &err),
                     SB_UNKNOWN_COLUMN);
    assert_non_null(strstr(err.message, "'x'"));
    assert_int_equal(lower_with(v, v->blob, v->blob_size, true, &lowered, &err), SB_OK);
    assert_false(lowered.compiled);
    assert_int_equal(lowered.refusals[0].code, SB_REFUSAL_OFF);
    assert_string_equal(lowered.result_format, "l");
    sb_lowered_release(&lowered);
}

static void return_column(const char *format, sb_lowered *out)
{
    sb_buf blob;
    put_header(&blob, 1);
    put_return(&blob);
    assert_int_equal(lower_blob(&blob, format, out, NULL), SB_OK);
}

/* Which formats are integers, which are refused when they are returned, which when they are read. */
static void test_column_formats(void **state)
{
    (void)state;
    static const char *const ints[] = {"c", "C", "s", "S", "i", "I", "l", "L"};
    static const char *const times[] = {"tdD", "tss:", "tsm:UTC", "tsu:-00:00", "tsu:Europe/Paris"};
    static const char *const unknown[] = {"tsn:", "tsn:UTC", "tdm", "tts", "tDs", "cc", "u"};
    sb_lowered lowered;
    for (size_t k = 0; k < SB_COUNT_OF(ints); k++) {
        return_column(ints[k], &lowered);
        assert_true(lowered.compiled);
        assert_string_equal(lowered.params[0].format, ints[k]);
        assert_int_equal(lowered.params[0].prim, SB_PRIM_I64);
        assert_int_equal(lowered.can_raise, ints[k][0] == 'L');
        sb_lowered_release(&lowered);
    }
    for (size_t k = 0; k < SB_COUNT_OF(times); k++) {
        return_column(times[k], &lowered);
        assert_int_equal(lowered.refusals[0].code, SB_REFUSAL_TYPE);
        sb_lowered_release(&lowered);
    }
    for (size_t k = 0; k < SB_COUNT_OF(unknown); k++) {
        return_column(unknown[k], &lowered);
        assert_int_equal(lowered.refusals[0].code, SB_REFUSAL_COLUMN_TYPE);
        assert_int_equal(lowered.params[0].prim, SB_PRIM_VOID);
        sb_lowered_release(&lowered);
    }
}

/* --- several results --------------------------------------------------------------------------------------------------------- */

enum second { SEVEN, NONE, NOT_X };

/* return (x, second) */
static void put_pair(sb_buf *out, enum second second, uint32_t line)
{
    put_node(out, SB_BLOB_RETURN, line);
    put_u8(out, 1);
    put_node(out, SB_BLOB_TUPLE, line);
    put_u32(out, 2);
    put_local(out, 0);
    if (second == SEVEN) {
        put_int(out, 7);
    } else if (second == NONE) {
        put_node(out, SB_BLOB_CONST_NONE, line);
    } else {
        put_node(out, SB_BLOB_UNARY, line);
        put_u8(out, SB_BLOB_NOT);
        put_local(out, 0);
    }
}

/* if x: return (x, first); then `more` statements */
static void put_pairs(sb_buf *out, enum second first, uint32_t more)
{
    put_header(out, 1 + more);
    put_node(out, SB_BLOB_IF, 2);
    put_local(out, 0);
    put_u32(out, 1);
    put_pair(out, first, 3);
    put_u32(out, 0);
}

static sb_status lower_keys(sb_buf *blob, const char *format, sb_lowered *out, sb_error *err)
{
    static const char *const names[] = {"p", "q"};
    const sb_front_column column = {"x", format};
    const sb_status status =
        sb_front_lower_keys(blob->data, blob->size, &column, 1, names, 2, false, out, err);
    sb_buf_release(blob);
    return status;
}

static void test_keys(void **state)
{
    (void)state;
    sb_buf blob;
    sb_lowered lowered;
    put_pairs(&blob, SEVEN, 1);
    put_pair(&blob, NONE, 5);
    assert_int_equal(lower_keys(&blob, "g", &lowered, NULL), SB_OK);
    assert_true(lowered.compiled);
    assert_false(lowered.can_raise);
    assert_string_equal(lowered.result_format, "+s");
    assert_int_equal(lowered.key_count, 2);
    assert_string_equal(lowered.keys[0].name, "p");
    assert_string_equal(lowered.keys[0].format, "g");
    assert_int_equal(lowered.keys[0].prim, SB_PRIM_F64);
    assert_string_equal(lowered.keys[1].format, "l");
    assert_int_equal(lowered.ir.outputs.count, 2);
    assert_int_equal(lowered.ir.outputs.items[1].prim, SB_PRIM_I64);
    assert_true(lowered.ir.outputs.items[1].nullable);
    sb_lowered_release(&lowered);
    put_pairs(&blob, SEVEN, 0); /* a row that gives no pair leaves */
    assert_int_equal(lower_keys(&blob, "l", &lowered, NULL), SB_OK);
    assert_true(lowered.compiled);
    assert_int_equal(lowered.ir.leave_reasons, 1u << SB_REASON_RAISE);
    assert_false(lowered.ir.outputs.items[1].nullable);
    sb_lowered_release(&lowered);
}

static void test_keys_that_are_not_told(void **state)
{
    (void)state;
    sb_buf blob;
    sb_lowered lowered;
    sb_error err;
    put_pairs(&blob, SEVEN, 1);
    put_pair(&blob, NOT_X, 5);
    assert_int_equal(lower_keys(&blob, "l", &lowered, &err), SB_TYPE);
    assert_non_null(strstr(err.message, "returns as \"q\" bool (line 5) and int (line 3)"));
    put_pairs(&blob, NOT_X, 0); /* a column that kernels do not know */
    assert_int_equal(lower_keys(&blob, "u", &lowered, NULL), SB_OK);
    assert_false(lowered.compiled);
    assert_int_equal(lowered.refusals[0].code, SB_REFUSAL_COLUMN_TYPE);
    assert_string_equal(lowered.keys[1].format, "");
    sb_lowered_release(&lowered);
    put_header(&blob, 1); /* no pair at all */
    put_node(&blob, SB_BLOB_PASS, 2);
    assert_int_equal(lower_keys(&blob, "l", &lowered, NULL), SB_OK);
    assert_false(lowered.compiled);
    assert_string_equal(lowered.refusals[0].detail, "no row gives a result");
    sb_lowered_release(&lowered);
    put_header(&blob, 1);
    put_return(&blob);
    assert_int_equal(lower_keys(&blob, "tdD", &lowered, NULL), SB_OK);
    assert_false(lowered.compiled);
    sb_lowered_release(&lowered);
    put_pairs(&blob, SEVEN, 0);
    assert_int_equal(lower_keys(&blob, "tdD", &lowered, NULL), SB_OK);
    assert_string_equal(lowered.refusals[0].detail, "a date or timestamp as the result \"p\"");
    assert_int_equal(lowered.refusals[0].line, 3);
    sb_lowered_release(&lowered);
}

/* The first turn is peeled: the loop carries a double and uniform counters, nothing else. */
static void test_peeled(void **state)
{
    (void)state;
    for (size_t k = 0; k < VECTORS; k++) {
        if (strcmp(front_vectors[k].name, "peeled_total") != 0) {
            continue;
        }
        sb_lowered lowered;
        unsigned doubles = 0;
        assert_int_equal(lower(&front_vectors[k], &lowered, NULL), SB_OK);
        for (size_t i = 0; i < lowered.ir.insts.count; i++) {
            const sb_inst *inst = &lowered.ir.insts.items[i];
            if (inst->op == SB_IR_ARG) {
                doubles += inst->prim == SB_PRIM_F64;
                assert_true(inst->prim == SB_PRIM_F64 ||
                            (inst->prim == SB_PRIM_I64 && inst->uniform));
            }
            assert_true(inst->op != SB_IR_LOOP || inst->imm.i == 39);
        }
        assert_int_equal(doubles, 1);
        sb_lowered_release(&lowered);
        return;
    }
    fail();
}

/* --- failing allocations ----------------------------------------------------------------------------------------------------- */

#ifdef SB_FAULTS
static void test_faults(void **state)
{
    (void)state;
    for (size_t k = 0; k < VECTORS; k += 3) {
        bool hit = true;
        for (int64_t nth = 1; hit; nth++) {
            const int64_t before = sb_mem_live_blocks();
            sb_lowered lowered;
            sb_fault_arm(nth, (nth & 1) != 0);
            const sb_status status = lower(&front_vectors[k], &lowered, NULL);
            hit = sb_fault_hit();
            sb_fault_arm(0, false);
            assert_int_equal(status, hit ? SB_NO_MEMORY : SB_OK);
            if (status == SB_OK) {
                assert_true(lowered.compiled);
                sb_lowered_release(&lowered);
            }
            assert_int_equal(sb_mem_live_blocks(), before);
        }
    }
}
#endif

#ifdef SB_FAULTS
static void test_faults_of_columns(void **state)
{
    (void)state;
    static const char *const formats[] = {"c", "L", "tss:UTC", "u"};
    for (size_t k = 0; k < SB_COUNT_OF(formats); k++) {
        bool hit = true;
        for (int64_t nth = 1; hit; nth++) {
            const int64_t before = sb_mem_live_blocks();
            sb_buf blob;
            sb_lowered lowered;
            put_header(&blob, 1);
            put_return(&blob);
            sb_fault_arm(nth, (nth & 1) != 0);
            const sb_status status = lower_blob(&blob, formats[k], &lowered, NULL);
            hit = sb_fault_hit();
            sb_fault_arm(0, false);
            assert_int_equal(status, hit ? SB_NO_MEMORY : SB_OK);
            if (status == SB_OK) {
                sb_lowered_release(&lowered);
            }
            assert_int_equal(sb_mem_live_blocks(), before);
        }
    }
}
#endif

#ifdef SB_FAULTS
static void faults_of_keys(bool pairs)
{
    bool hit = true;
    for (int64_t nth = 1; hit; nth++) {
        const int64_t before = sb_mem_live_blocks();
        sb_buf blob;
        sb_lowered lowered;
        if (pairs) {
            put_pairs(&blob, SEVEN, 0);
        } else {
            put_header(&blob, 1);
            put_node(&blob, SB_BLOB_PASS, 2);
        }
        sb_fault_arm(nth, (nth & 1) != 0);
        const sb_status status = lower_keys(&blob, "l", &lowered, NULL);
        hit = sb_fault_hit();
        sb_fault_arm(0, false);
        assert_int_equal(status, hit ? SB_NO_MEMORY : SB_OK);
        if (status == SB_OK) {
            assert_true(lowered.compiled == pairs);
            sb_lowered_release(&lowered);
        }
        assert_int_equal(sb_mem_live_blocks(), before);
    }
}

static void test_faults_of_keys(void **state)
{
    (void)state;
    faults_of_keys(true);
    faults_of_keys(false);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncated),      cmocka_unit_test(test_flipped),
        cmocka_unit_test(test_many_returns),   cmocka_unit_test(test_many_statements),
        cmocka_unit_test(test_nested_loops),   cmocka_unit_test(test_depth),
        cmocka_unit_test(test_refusals),       cmocka_unit_test(test_columns),
        cmocka_unit_test(test_peeled),         cmocka_unit_test(test_column_formats),
        cmocka_unit_test(test_keys),           cmocka_unit_test(test_keys_that_are_not_told),
#ifdef SB_FAULTS
        cmocka_unit_test(test_faults),         cmocka_unit_test(test_faults_of_columns),
        cmocka_unit_test(test_faults_of_keys),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
