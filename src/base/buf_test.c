/* Tests of base/buf.h: writing, the sticky failure, limits, JSON text, failing allocations. */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

static void writes_and_grows(void **state)
{
    (void)state;
    sb_buf buf;
    sb_buf_init(&buf, 0);
    char expected[4096] = "";
    size_t size = 0;
    for (int i = 0; i < 100; i++) {
        sb_buf_text(&buf, "ab");
        sb_buf_char(&buf, 'c');
        sb_buf_printf(&buf, "<%d,%s>", i * i, "text");
        sb_buf_repeat(&buf, '.', 3);
        sb_buf_append(&buf, "xyz", 2);
        size += (size_t)sprintf(expected + size, "abc<%d,text>...xy", i * i);
        assert_int_equal(buf.size, size);
        assert_string_equal(buf.data, expected);
    }
    assert_int_equal(sb_buf_status(&buf, NULL), SB_OK);
    sb_buf_reset(&buf);
    assert_int_equal(buf.size, 0);
    assert_string_equal(buf.data, "");
    sb_buf_printf(&buf, "%500d", 7); /* fits what is there */
    assert_int_equal(buf.size, 500);
    char *text = sb_buf_take(&buf);
    assert_int_equal(strlen(text), 500);
    sb_mem_free(text);
    assert_null(buf.data);
    assert_int_equal(buf.size, 0);
    sb_buf_release(&buf);
    sb_buf_release(&buf);
}

/* printf at every distance from the end of the block gives the same text. */
static void printf_at_every_fill(void **state)
{
    (void)state;
    for (size_t fill = 0; fill < 140; fill++) {
        sb_buf buf;
        sb_buf_init(&buf, 0);
        sb_buf_repeat(&buf, 'x', fill);
        sb_buf_printf(&buf, "[%05d]", 42);
        assert_int_equal(buf.size, fill + 7);
        assert_string_equal(buf.data + fill, "[00042]");
        sb_buf_printf(&buf, "%s", "");
        assert_int_equal(buf.size, fill + 7);
        sb_buf_release(&buf);
    }
}

static void empty_buffers(void **state)
{
    (void)state;
    sb_buf buf = {0};
    sb_buf_reset(&buf);
    sb_buf_append(&buf, "", 0);
    sb_buf_repeat(&buf, 'x', 0);
    sb_buf_printf(&buf, "%s", "");
    assert_int_equal(buf.size, 0);
    assert_false(buf.failed);
    sb_buf_release(&buf);
    char *text = sb_buf_take(&buf);
    assert_string_equal(text, "");
    sb_mem_free(text);
}

/* Whatever the way of writing, what fits below size_max is kept and the status says LIMIT. */
static void limit_cuts(void **state)
{
    (void)state;
    static const char whole[] = "0123456789";
    for (size_t size_max = 1; size_max < 40; size_max++) {
        for (int way = 0; way < 3; way++) {
            sb_buf buf;
            sb_buf_init(&buf, size_max);
            char expected[64] = "";
            for (int i = 0; i < 4; i++) {
                if (way == 0) {
                    sb_buf_text(&buf, whole);
                } else if (way == 1) {
                    sb_buf_printf(&buf, "%s", whole);
                } else {
                    for (size_t c = 0; c < 10; c++) {
                        sb_buf_char(&buf, whole[c]);
                    }
                }
                memcpy(expected + (size_t)i * 10, whole, sizeof(whole));
            }
            expected[size_max] = '\0';
            assert_true(buf.failed);
            assert_string_equal(buf.data, expected);
            assert_int_equal(buf.size, size_max);
            sb_error err = {0};
            assert_int_equal(sb_buf_status(&buf, &err), SB_LIMIT);
            assert_int_equal(err.status, SB_LIMIT);
            assert_null(sb_buf_take(&buf));
            assert_null(buf.data);
            assert_true(buf.failed);
            sb_buf_reset(&buf);
            sb_buf_repeat(&buf, 'y', size_max); /* exactly full is no failure */
            assert_int_equal(sb_buf_status(&buf, &err), SB_OK);
            sb_buf_text(&buf, "");
            sb_buf_printf(&buf, "%s", "");
            assert_int_equal(sb_buf_status(&buf, &err), SB_OK);
            sb_buf_repeat(&buf, 'y', 1);
            assert_int_equal(sb_buf_status(&buf, &err), SB_LIMIT);
            sb_buf_release(&buf);
        }
    }
}

static void check_json(const char *text, size_t size, const char *expected)
{
    sb_buf buf;
    sb_buf_init(&buf, 0);
    sb_buf_json_string(&buf, text, size);
    assert_string_equal(buf.data, expected);
    sb_buf_release(&buf);
}

static void json_strings(void **state)
{
    (void)state;
    check_json("", SIZE_MAX, "\"\"");
    check_json("", 0, "\"\"");
    check_json("plain", SIZE_MAX, "\"plain\"");
    check_json("plain", 3, "\"pla\"");
    check_json("a\"b\\c/", SIZE_MAX, "\"a\\\"b\\\\c/\"");
    check_json("\n\r\t", SIZE_MAX, "\"\\n\\r\\t\"");
    check_json("\0\x01\x1F\x7F", 4, "\"\\u0000\\u0001\\u001f\\u007f\"");
    check_json("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", SIZE_MAX,
               "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"");
}

/* Bytes that are not UTF-8 must not make text that a JSON reader refuses. */
static void json_of_stray_bytes(void **state)
{
    (void)state;
    check_json("a\x80z", 3, "\"a\\ufffdz\"");
    check_json("\xC3", 1, "\"\\ufffd\"");
    check_json("\xC0\x80", 2, "\"\\ufffd\\ufffd\"");
    check_json("\xE0\x9F\x80", 3, "\"\\ufffd\\ufffd\\ufffd\"");
    check_json("\xED\xA0\x80", 3, "\"\\ufffd\\ufffd\\ufffd\"");
    check_json("\xF0\x8F\x80\x80", 4, "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
    check_json("\xF4\x90\x80\x80", 4, "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
    check_json("\xF5", 1, "\"\\ufffd\"");
    check_json("\xE2\x82q", 3, "\"\\ufffd\\ufffdq\"");
    check_json("\xF4\x8F\xBF\xBF", 4, "\"\xF4\x8F\xBF\xBF\"");
    check_json("\xED\x9F\xBF\xEE\x80\x80", 6, "\"\xED\x9F\xBF\xEE\x80\x80\"");
}

#ifdef SB_FAULTS
static void write_much(sb_buf *buf)
{
    for (int i = 0; i < 40; i++) {
        sb_buf_printf(buf, "%d: ", i);
        sb_buf_json_string(buf, "some\ntext", SIZE_MAX);
        sb_buf_repeat(buf, '-', (size_t)i);
    }
}

static void survives_failing_allocations(void **state)
{
    (void)state;
    int64_t live = sb_mem_live_blocks();
    sb_buf good;
    sb_buf_init(&good, 0);
    write_much(&good);
    bool hit = true;
    for (int64_t nth = 1; hit; nth++) {
        sb_buf buf;
        sb_buf_init(&buf, 0);
        sb_fault_arm(nth, false);
        write_much(&buf);
        hit = sb_fault_hit();
        sb_fault_arm(0, false);
        assert_int_equal(buf.failed, hit);
        assert_int_equal(sb_buf_status(&buf, NULL), hit ? SB_NO_MEMORY : SB_OK);
        if (buf.data != NULL) { /* a beginning of the text, whole calls or none */
            assert_memory_equal(buf.data, good.data, buf.size);
            assert_int_equal(buf.data[buf.size], '\0');
        }
        sb_buf_reset(&buf);
        write_much(&buf);
        assert_string_equal(buf.data, good.data);
        sb_buf_release(&buf);
    }
    sb_buf_release(&good);
    sb_fault_arm(1, false);
    assert_null(sb_buf_take(&good));
    sb_fault_arm(0, false);
    assert_int_equal(sb_mem_live_blocks(), live);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_and_grows),
        cmocka_unit_test(printf_at_every_fill),
        cmocka_unit_test(empty_buffers),
        cmocka_unit_test(limit_cuts),
        cmocka_unit_test(json_strings),
        cmocka_unit_test(json_of_stray_bytes),
#ifdef SB_FAULTS
        cmocka_unit_test(survives_failing_allocations),
#endif
    };
    return cmocka_run_group_tests_name("base_buf", tests, NULL, NULL);
}
