/* Tests of base/error.h: names, formatting, cutting, wrapping. */
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void every_status_has_its_name(void **state)
{
    (void)state;
    assert_int_equal(SB_OK, 0);
    assert_string_equal(sb_status_name(SB_OK), "OK");
    assert_string_equal(sb_status_name(SB_NO_MEMORY), "NO_MEMORY");
    assert_string_equal(sb_status_name(SB_INTERNAL), "INTERNAL");
    for (int s = 0; s < (int)SB_STATUS_COUNT; s++) {
        for (int t = 0; t < s; t++) {
            assert_string_not_equal(sb_status_name((sb_status)s), sb_status_name((sb_status)t));
        }
    }
    assert_string_equal(sb_status_name(SB_STATUS_COUNT), "UNKNOWN");
    assert_string_equal(sb_status_name((sb_status)-1), "UNKNOWN");
}

static void message_is_formatted(void **state)
{
    (void)state;
    sb_error err = {0};
    sb_status status = sb_error_set(&err, SB_INVALID, "offset %d of %s", -4, "column \"a\"");
    assert_int_equal(status, SB_INVALID);
    assert_int_equal(err.status, SB_INVALID);
    assert_string_equal(err.message, "offset -4 of column \"a\"");
    assert_int_equal(sb_error_set(NULL, SB_TYPE, "%d", 1), SB_TYPE);
    assert_int_equal(sb_error_no_memory(&err, 123), SB_NO_MEMORY);
    assert_int_equal(err.status, SB_NO_MEMORY);
    assert_non_null(strstr(err.message, "123"));
    assert_int_equal(sb_error_no_memory(NULL, 1), SB_NO_MEMORY);
}

static void message_wraps_itself(void **state)
{
    (void)state;
    sb_error err = {0};
    (void)sb_error_set(&err, SB_OS, "inner");
    (void)sb_error_set(&err, SB_USER, "outer: %s!", err.message);
    assert_string_equal(err.message, "outer: inner!");
    assert_int_equal(err.status, SB_USER);
}

static void long_message_is_cut(void **state)
{
    (void)state;
    char text[2 * SB_ERROR_MESSAGE_SIZE];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    sb_error err = {0};
    (void)sb_error_set(&err, SB_INVALID, "%s", text);
    assert_int_equal(strlen(err.message), SB_ERROR_MESSAGE_SIZE - 1);
    text[SB_ERROR_MESSAGE_SIZE - 1] = '\0';
    (void)sb_error_set(&err, SB_INVALID, "%s", text);
    assert_string_equal(err.message, text);
    memset(text, 0x80, sizeof(text) - 1); /* no text at all: cut where the room ends */
    (void)sb_error_set(&err, SB_INVALID, "%s", text);
    assert_int_equal(strlen(err.message), SB_ERROR_MESSAGE_SIZE - 1);
}

/* A cut never leaves part of a character, whatever its width and position. */
static void cut_keeps_characters_whole(void **state)
{
    (void)state;
    static const char *const characters[] = {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    for (size_t c = 0; c < SB_COUNT_OF(characters); c++) {
        size_t width = strlen(characters[c]);
        for (size_t lead = 0; lead < 5; lead++) {
            char text[2 * SB_ERROR_MESSAGE_SIZE] = "";
            memset(text, 'x', lead);
            for (size_t at = lead; at + width < sizeof(text); at += width) {
                memcpy(text + at, characters[c], width + 1);
            }
            sb_error err = {0};
            (void)sb_error_set(&err, SB_INVALID, "%s", text);
            size_t size = strlen(err.message);
            assert_int_equal((size - lead) % width, 0);
            assert_true(size + width > SB_ERROR_MESSAGE_SIZE - 1);
            assert_memory_equal(err.message, text, size);
        }
    }
}

static sb_status goes_out(sb_status from, int *steps)
{
    sb_status status = SB_OK;
    SB_TRY(SB_OK);
    (*steps)++;
    SB_TRY(from);
    (*steps)++;
out:
    return status;
}

static void try_leaves_at_the_first_failure(void **state)
{
    (void)state;
    int steps = 0;
    assert_int_equal(goes_out(SB_LIMIT, &steps), SB_LIMIT);
    assert_int_equal(steps, 1);
    assert_int_equal(goes_out(SB_OK, &steps), SB_OK);
    assert_int_equal(steps, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_its_name),
        cmocka_unit_test(message_is_formatted),
        cmocka_unit_test(message_wraps_itself),
        cmocka_unit_test(long_message_is_cut),
        cmocka_unit_test(cut_keeps_characters_whole),
        cmocka_unit_test(try_leaves_at_the_first_failure),
    };
    return cmocka_run_group_tests_name("base_error", tests, NULL, NULL);
}
