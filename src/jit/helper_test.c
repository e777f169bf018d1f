/* Client of the compiler process against a program that misbehaves in every way, and against the real one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "jit/helper.h"
#include "jit/test_object.h"
#include "jit/test_programs.h"
#include "os/os.h"

#define MILLISECOND ((int64_t)1000000)

static sb_helper *new_helper(const char *path, int64_t timeout_ns)
{
    sb_helper *helper = NULL;
    const sb_helper_options options = {.path = path, .timeout_ns = timeout_ns};
    assert_int_equal(sb_helper_new(&helper, &options, NULL), SB_OK);
    return helper;
}

static sb_status ask(sb_helper *helper, const char *text, sb_buf *reply, sb_error *err)
{
    const sb_helper_request request = {
        .text = text, .text_size = strlen(text), .cpu = "generic", .deadline_ns = SB_NEVER};
    return sb_helper_compile(helper, &request, reply, err);
}

static void assert_works(sb_helper *helper)
{
    sb_buf reply;
    sb_buf_init(&reply, 0);
    sb_error err = {0};
    assert_int_equal(ask(helper, "anything", &reply, &err), SB_OK);
    assert_int_equal(reply.size, SB_SAMPLE_SIZE);
    sb_buf_release(&reply);
}

static void test_keeps_one_process(void **state)
{
    (void)state;
    sb_helper *helper = new_helper(sb_fake_program(), 0);
    assert_int_equal(sb_helper_starts(helper), 0);
    for (int i = 0; i < 10; i++) {
        assert_works(helper);
    }
    assert_int_equal(sb_helper_starts(helper), 1);
    assert_true(sb_helper_pid(helper) > 0);
    assert_true(sb_helper_is_own(helper));
    sb_buf reply;
    sb_buf_init(&reply, 0);
    assert_int_equal(ask(helper, ";stranger\n", &reply, NULL), SB_OK); /* its code runs */
    assert_false(sb_helper_is_own(helper));
    sb_buf_release(&reply);
    sb_helper_free(helper);
}

static void test_assembly(void **state)
{
    (void)state;
    sb_helper *helper = new_helper(sb_fake_program(), 0);
    sb_buf reply;
    sb_buf_init(&reply, 0);
    const sb_helper_request request = {
        .text = "x", .text_size = 1, .cpu = "c", .want_asm = true, .deadline_ns = SB_NEVER};
    assert_int_equal(sb_helper_compile(helper, &request, &reply, NULL), SB_OK);
    assert_string_equal(reply.data, "# assembly\n");
    sb_buf_release(&reply);
    sb_helper_free(helper);
}

/* Each of these costs two processes, the reply is empty, and the next text is well again. */
static void test_liars_are_retried_then_refused(void **state)
{
    (void)state;
    static const char *const words[] = {";crash\n", ";middle\n", ";garbage\n", ";serial\n",
                                        ";huge\n",  ";liar\n",   ";long\n"};
    for (size_t i = 0; i < SB_COUNT_OF(words); i++) {
        sb_helper *helper = new_helper(sb_fake_program(), 0);
        sb_buf reply;
        sb_buf_init(&reply, 0);
        sb_error err = {0};
        assert_int_equal(ask(helper, words[i], &reply, &err), SB_OS);
        assert_true(strlen(err.message) > 0);
        assert_int_equal(reply.size, 0);
        assert_int_equal(sb_helper_starts(helper), 2);
        assert_works(helper);
        assert_false(sb_helper_broken(helper));
        sb_buf_release(&reply);
        sb_helper_free(helper);
    }
}

static void test_one_crash_is_not_seen(void **state)
{
    (void)state;
    sb_helper *helper = new_helper(sb_fake_program(), 0);
    sb_buf reply;
    sb_buf_init(&reply, 0);
    assert_works(helper);
    assert_int_equal(ask(helper, ";old\n", &reply, NULL), SB_OK);
    assert_int_equal(sb_helper_starts(helper), 2);
    sb_buf_release(&reply);
    sb_helper_free(helper);
}

static void test_refusal_keeps_the_process(void **state)
{
    (void)state;
    sb_helper *helper = new_helper(sb_fake_program(), 0);
    sb_buf reply;
    sb_buf_init(&reply, 0);
    sb_error err = {0};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(ask(helper, ";refuse\n", &reply, &err), SB_INVALID);
        assert_non_null(strstr(err.message, "not to my taste"));
    }
    assert_int_equal(ask(helper, ";rude\n", &reply, &err), SB_INVALID);
    assert_string_equal(err.message, "the compiler refused: a ?  ?z");
    assert_int_equal(sb_helper_starts(helper), 1);
    assert_works(helper);
    sb_buf_release(&reply);
    sb_helper_free(helper);
}

static void test_hang_is_killed(void **state)
{
    (void)state;
    static const char *const words[] = {";hang\n", ";stall\n"};
    for (size_t i = 0; i < SB_COUNT_OF(words); i++) {
        sb_helper *helper = new_helper(sb_fake_program(), 100 * MILLISECOND);
        sb_buf reply;
        sb_buf_init(&reply, 0);
        sb_error err = {0};
        const int64_t start = sb_os_now_ns();
        assert_int_equal(ask(helper, words[i], &reply, &err), SB_TIMEOUT);
        const int64_t took = sb_os_now_ns() - start;
        assert_true(took >= 100 * MILLISECOND && took < 1500 * MILLISECOND);
        assert_int_equal(sb_helper_pid(helper), 0);
        assert_int_equal(sb_helper_starts(helper), 1);
        sb_buf_release(&reply);
        sb_helper_free(helper);
    }
}

static void test_broken_after_three_failures(void **state)
{
    (void)state;
    sb_helper *helper = new_helper(sb_fake_program(), 0);
    sb_buf reply;
    sb_buf_init(&reply, 0);
    sb_error err = {0};
    for (int i = 0; i < 3; i++) {
        assert_false(sb_helper_broken(helper));
        assert_int_equal(ask(helper, ";crash\n", &reply, &err), SB_OS);
    }
    assert_true(sb_helper_broken(helper));
    const int64_t starts = sb_helper_starts(helper);
    assert_int_equal(ask(helper, "anything", &reply, &err), SB_STATE);
    assert_non_null(strstr(err.message, "3 times"));
    assert_int_equal(sb_helper_starts(helper), starts);
    sb_buf_release(&reply);
    sb_helper_free(helper);
}

static void test_missing_program(void **state)
{
    (void)state;
    sb_helper *helper = new_helper("/nonexistent/sabot-jit", 0);
    sb_buf reply;
    sb_buf_init(&reply, 0);
    sb_error err = {0};
    assert_int_equal(ask(helper, "anything", &reply, &err), SB_OS);
    assert_non_null(strstr(err.message, "/nonexistent/sabot-jit"));
    sb_buf_release(&reply);
    sb_helper_free(helper);
    const sb_helper_options none = {0};
    assert_int_equal(sb_helper_new(&helper, &none, NULL), SB_INVALID);
}

static void test_limits(void **state)
{
    (void)state;
    sb_helper *helper = new_helper(sb_fake_program(), 0);
    sb_buf reply;
    sb_buf_init(&reply, 0);
    sb_helper_request request = {.text = "x", .cpu = "c", .deadline_ns = SB_NEVER};
    assert_int_equal(sb_helper_compile(helper, &request, &reply, NULL), SB_LIMIT);
    request.text_size = ((size_t)16 << 20) + 1;
    assert_int_equal(sb_helper_compile(helper, &request, &reply, NULL), SB_LIMIT);
    char name[2000];
    memset(name, 'a', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    request.text_size = 1;
    request.cpu = name;
    assert_int_equal(sb_helper_compile(helper, &request, &reply, NULL), SB_LIMIT);
    assert_int_equal(sb_helper_starts(helper), 0);
    /* The largest text goes through. */
    char *text = sb_mem_alloc((size_t)16 << 20);
    assert_non_null(text);
    memset(text, ' ', (size_t)16 << 20);
    request = (sb_helper_request){
        .text = text, .text_size = (size_t)16 << 20, .cpu = "c", .deadline_ns = SB_NEVER};
    assert_int_equal(sb_helper_compile(helper, &request, &reply, NULL), SB_OK);
    sb_mem_free(text);
    sb_buf_release(&reply);
    sb_helper_free(helper);
}

static void cancel_soon(void *arg)
{
    sb_os_sleep_ns(50 * MILLISECOND);
    sb_helper_cancel(arg);
}

static void test_cancel(void **state)
{
    (void)state;
    sb_helper *helper = new_helper(sb_fake_program(), 0);
    sb_buf reply;
    sb_buf_init(&reply, 0);
    sb_thread *thread = NULL;
    assert_int_equal(sb_thread_start(&thread, "cancel", cancel_soon, helper, NULL), SB_OK);
    const int64_t start = sb_os_now_ns();
    assert_int_equal(ask(helper, ";hang\n", &reply, NULL), SB_CANCELLED);
    assert_true(sb_os_now_ns() - start < 2000 * MILLISECOND);
    sb_thread_join(thread);
    assert_int_equal(sb_helper_pid(helper), 0);
    sb_buf_release(&reply);
    sb_helper_free(helper);
}

#ifdef SB_FAULTS
static void test_faults(void **state)
{
    (void)state;
    const int64_t live = sb_mem_live_blocks();
    bool all_done = false;
    for (int64_t nth = 1; !all_done; nth++) {
        sb_fault_arm(nth, false);
        sb_helper *helper = NULL;
        sb_buf reply;
        sb_buf_init(&reply, 0);
        const sb_helper_options options = {.path = sb_fake_program()};
        sb_status status = sb_helper_new(&helper, &options, NULL);
        if (status == SB_OK) {
            status = ask(helper, "anything", &reply, NULL);
        }
        all_done = !sb_fault_hit();
        sb_fault_arm(0, false);
        assert_int_equal(status, all_done ? SB_OK : SB_NO_MEMORY);
        if (helper != NULL) {
            assert_works(helper);
        }
        sb_buf_release(&reply);
        sb_helper_free(helper);
        assert_int_equal(sb_mem_live_blocks(), live);
    }
}
#endif

/* --- the real program ------------------------------------------------------------------------- */

static void test_real_compiles(void **state)
{
    (void)state;
    sb_helper *helper = new_helper(sb_real_program(), 0);
    sb_buf text;
    sb_buf reply;
    sb_buf_init(&text, 0);
    sb_buf_init(&reply, 0);
    sb_write_add_kernel(&text, 1);
    sb_helper_request request = {.text = text.data,
                                 .text_size = text.size,
                                 .cpu = "",
                                 .features = "",
                                 .deadline_ns = SB_NEVER};
    assert_int_equal(sb_helper_compile(helper, &request, &reply, NULL), SB_OK);
    assert_memory_equal(reply.data, "\177ELF", 4);
    request.want_asm = true;
    assert_int_equal(sb_helper_compile(helper, &request, &reply, NULL), SB_OK);
    assert_non_null(strstr(reply.data, "kernel:"));
    sb_buf_release(&text);
    sb_buf_release(&reply);
    sb_helper_free(helper);
}

static void test_real_refuses(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "define i32 @kernel( {",
        "define i32 @kernel(i32 %x) { ret i64 %x }",
        "define i32 @kernel(i32 %x) {\n  %y = add i32 %y, 1\n  ret i32 %y\n}",
        "no such thing",
        "define i32 @kernel() {",
    };
    sb_helper *helper = new_helper(sb_real_program(), 0);
    sb_buf reply;
    sb_buf_init(&reply, 0);
    for (size_t i = 0; i < SB_COUNT_OF(texts); i++) {
        sb_error err = {0};
        assert_int_equal(ask(helper, texts[i], &reply, &err), SB_INVALID);
        assert_true(strlen(err.message) > 30);
    }
    assert_int_equal(sb_helper_starts(helper), 1);
    sb_buf_release(&reply);
    sb_helper_free(helper);
}

/* What LLVM calls fatal ends the process; the client sees a crash. */
static void test_real_fatal(void **state)
{
    (void)state;
    sb_helper *helper = new_helper(sb_real_program(), 0);
    sb_buf reply;
    sb_buf_init(&reply, 0);
    assert_int_equal(ask(helper, "module asm \"nop\"\n", &reply, NULL), SB_OS);
    assert_int_equal(sb_helper_starts(helper), 2);
    assert_int_equal(ask(helper, "define i32 @f() {\n  ret i32 1\n}\n", &reply, NULL), SB_OK);
    sb_buf_release(&reply);
    sb_helper_free(helper);
}

int main(void)
{
    const struct CMUnitTest fake[] = {
        cmocka_unit_test(test_keeps_one_process),
        cmocka_unit_test(test_assembly),
        cmocka_unit_test(test_liars_are_retried_then_refused),
        cmocka_unit_test(test_one_crash_is_not_seen),
        cmocka_unit_test(test_refusal_keeps_the_process),
        cmocka_unit_test(test_hang_is_killed),
        cmocka_unit_test(test_broken_after_three_failures),
        cmocka_unit_test(test_missing_program),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_cancel),
#ifdef SB_FAULTS
        cmocka_unit_test(test_faults),
#endif
    };
    const struct CMUnitTest real[] = {
        cmocka_unit_test(test_real_compiles),
        cmocka_unit_test(test_real_refuses),
        cmocka_unit_test(test_real_fatal),
    };
    int failed = cmocka_run_group_tests_name("misbehaving program", fake, NULL, NULL);
    if (sb_real_program() != NULL) {
        failed += cmocka_run_group_tests_name("sabot-jit", real, NULL, NULL);
    }
    return failed;
}
