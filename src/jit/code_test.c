/* Compile service: states, cache, failures, forks, threads; with a compiler that misbehaves and with the real one. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "jit/code.h"
#include "jit/test_object.h"
#include "jit/test_programs.h"
#include "os/os.h"

#define MILLISECOND ((int64_t)1000000)

static sb_jit *new_jit(const sb_jit_options *options)
{
    sb_jit *jit = NULL;
    assert_int_equal(sb_jit_new(&jit, options, NULL), SB_OK);
    return jit;
}

static sb_jit *new_fake_jit(void)
{
    return new_jit(&(sb_jit_options){.helper_path = sb_fake_program(),
                                     .compile_timeout_ns = 300 * MILLISECOND});
}

static sb_status request(sb_jit *jit, const char *text, const char *symbol, sb_code **out)
{
    sb_buf buf;
    sb_buf_init(&buf, 0);
    sb_buf_text(&buf, text);
    sb_status status = sb_jit_request(jit, &buf, symbol, out, NULL);
    assert_null(buf.data);
    return status;
}

static sb_code *requested(sb_jit *jit, const char *text)
{
    sb_code *code = NULL;
    assert_int_equal(request(jit, text, "kernel", &code), SB_OK);
    return code;
}

static void assert_ready(sb_code *code)
{
    sb_buf why;
    sb_buf_init(&why, 0);
    sb_code_state state = sb_code_wait(code, SB_NEVER);
    sb_code_failure(code, &why);
    if (state != SB_CODE_READY) {
        fail_msg("%s", why.data);
    }
    assert_int_equal(why.size, 0);
    assert_non_null(sb_code_entry(code));
    sb_buf_release(&why);
}

static void assert_failed(sb_code *code, const char *part)
{
    sb_buf why;
    sb_buf_init(&why, 0);
    assert_int_equal(sb_code_wait(code, SB_NEVER), SB_CODE_FAILED);
    assert_null(sb_code_entry(code));
    sb_code_failure(code, &why);
    if (why.data == NULL || strstr(why.data, part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, why.data == NULL ? "" : why.data);
    }
    assert_int_equal(sb_code_compile_ns(code), 0);
    sb_buf_release(&why);
}

static sb_jit_stats stats_of(sb_jit *jit)
{
    sb_jit_stats stats;
    sb_jit_stats_get(jit, &stats);
    return stats;
}

static void test_ready_and_cached(void **state)
{
    (void)state;
    sb_jit *jit = new_fake_jit();
    sb_code *first = requested(jit, "one");
    assert_ready(first);
    assert_true(sb_code_compile_ns(first) > 0);
    assert_int_equal(sb_code_entry(first)(NULL, 0, 0), SB_SAMPLE_RESULT);
    sb_code *second = requested(jit, "one");
    assert_int_equal(sb_code_state_get(second), SB_CODE_READY); /* at once */
    assert_ptr_equal(sb_code_entry(second), sb_code_entry(first));
    assert_int_equal(sb_code_compile_ns(second), 0);
    sb_jit_stats stats = stats_of(jit);
    assert_int_equal(stats.requests, 2);
    assert_int_equal(stats.compiles, 1);
    assert_int_equal(stats.cache_hits, 1);
    assert_int_equal(stats.loads, 1);
    assert_true(stats.loaded_bytes > 0 && stats.cache_bytes > SB_SAMPLE_SIZE &&
                stats.helper_pid > 0);
    sb_code_drop(first);
    sb_code_drop(second);
    assert_int_equal(stats_of(jit).loaded_bytes, 0);
    sb_jit_free(jit);
}

static void test_same_text_twice_compiles_once(void **state)
{
    (void)state;
    sb_jit *jit = new_fake_jit();
    sb_code *codes[8];
    for (size_t i = 0; i < SB_COUNT_OF(codes); i++) {
        codes[i] = requested(jit, ";slow\n");
    }
    for (size_t i = 0; i < SB_COUNT_OF(codes); i++) {
        assert_ready(codes[i]);
        sb_code_drop(codes[i]);
    }
    assert_int_equal(stats_of(jit).compiles, 1);
    sb_jit_free(jit);
}

static void test_bytes_need_no_compiler(void **state)
{
    (void)state;
    sb_jit *jit = new_fake_jit();
    sb_code *code = requested(jit, "one");
    assert_ready(code);
    sb_code_drop(code);           /* unmapped */
    for (int i = 0; i < 3; i++) { /* the compiler is declared broken */
        const char *const crashes[] = {";crash\n1", ";crash\n2", ";crash\n3"};
        sb_code *bad = requested(jit, crashes[i]);
        assert_failed(bad, "");
        sb_code_drop(bad);
    }
    sb_code *other = requested(jit, "two");
    assert_failed(other, "3 times in a row");
    sb_code_drop(other);
    code = requested(jit, "one");
    assert_int_equal(sb_code_state_get(code), SB_CODE_READY);
    assert_int_equal(sb_code_entry(code)(NULL, 0, 0), SB_SAMPLE_RESULT);
    assert_int_equal(stats_of(jit).loads, 2);
    sb_code_drop(code);
    sb_jit_free(jit);
}

static void test_failures(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *why;
        bool kept;
    } cases[] = {
        {";refuse\n", "not to my taste", true},
        {";hang\n", "in time", true},
        {";crash\n", "", false},
        {";garbage\n", "something else", false},
        {";empty\n", "shorter than", true},
        {";bytes\n", "not a relocatable", true},
    };
    for (size_t i = 0; i < SB_COUNT_OF(cases); i++) {
        sb_jit *jit = new_fake_jit();
        sb_code *code = requested(jit, cases[i].text);
        assert_failed(code, cases[i].why);
        sb_code_drop(code);
        /* What would only happen again is not tried again. */
        code = requested(jit, cases[i].text);
        assert_failed(code, cases[i].why);
        sb_code_drop(code);
        sb_jit_stats stats = stats_of(jit);
        assert_int_equal(stats.cache_hits, cases[i].kept ? 1 : 0);
        assert_int_equal(stats.failures, 2);
        code = requested(jit, "well");
        assert_ready(code);
        sb_code_drop(code);
        sb_jit_free(jit);
    }
}

static void test_no_such_symbol(void **state)
{
    (void)state;
    sb_jit *jit = new_fake_jit();
    sb_code *code = NULL;
    assert_int_equal(request(jit, "one", "colonel", &code), SB_OK);
    assert_failed(code, "colonel");
    sb_code_drop(code);
    assert_int_equal(stats_of(jit).loaded_bytes, 0);
    code = requested(jit, "one");
    assert_ready(code);
    sb_code_drop(code);
    char name[100];
    memset(name, 'a', sizeof(name));
    name[99] = '\0';
    assert_int_equal(request(jit, "one", name, &code), SB_INVALID);
    assert_int_equal(request(jit, "", "kernel", &code), SB_INVALID);
    sb_jit_free(jit);
}

static void test_no_compiler(void **state)
{
    (void)state;
    sb_jit *jit = new_jit(&(sb_jit_options){0});
    sb_code *code = requested(jit, "one");
    assert_int_equal(sb_code_state_get(code), SB_CODE_FAILED); /* at once */
    assert_failed(code, "no compiler");
    sb_code_drop(code);
    sb_jit_free(jit);
    jit = new_jit(&(sb_jit_options){.helper_path = "/nonexistent/sabot-jit"});
    for (int i = 0; i < 5; i++) {
        code = requested(jit, "one");
        assert_failed(code, "/nonexistent/sabot-jit");
        sb_code_drop(code);
    }
    sb_jit_free(jit);
}

/* Of the helper that runs, when one does, but for `other`. */
static int64_t helper_pid(sb_jit *jit, int64_t other)
{
    int64_t pid = stats_of(jit).helper_pid;
    while (pid == 0 || pid == other) {
        sb_os_sleep_ns(MILLISECOND);
        pid = stats_of(jit).helper_pid;
    }
    return pid;
}

static void kill_helper(int64_t pid)
{
    char command[64];
    assert_true(pid > 0); /* 0 would be this program's own group */
    snprintf(command, sizeof(command), "kill -9 %lld", (long long)pid);
    assert_int_equal(system(command), 0);
}

static void test_killed_in_mid_compile(void **state)
{
    (void)state;
    sb_jit *jit = new_jit(&(sb_jit_options){.helper_path = sb_fake_program(),
                                            .compile_timeout_ns = 20000 * MILLISECOND});
    /* Once: the second process answers. */
    sb_code *code = requested(jit, ";slow\n");
    while (stats_of(jit).helper_pid == 0) {
        sb_os_sleep_ns(MILLISECOND);
    }
    kill_helper(helper_pid(jit, 0));
    assert_ready(code);
    sb_code_drop(code);
    assert_int_equal(stats_of(jit).helper_starts, 2);
    /* Twice: failed. */
    code = requested(jit, ";hang\n");
    const int64_t first = helper_pid(jit, 0);
    sb_os_sleep_ns(20 * MILLISECOND);
    kill_helper(first);
    kill_helper(helper_pid(jit, first));
    assert_failed(code, "");
    sb_code_drop(code);
    sb_jit_free(jit);
}

static void test_wait_has_a_deadline(void **state)
{
    (void)state;
    sb_jit *jit = new_fake_jit();
    sb_code *code = requested(jit, ";slow\n");
    assert_null(sb_code_entry(code));
    assert_int_equal(sb_code_wait(code, sb_os_now_ns() + MILLISECOND), SB_CODE_PENDING);
    assert_ready(code);
    sb_code_drop(code);
    sb_jit_free(jit);
}

static void test_free_cancels_promptly(void **state)
{
    (void)state;
    sb_jit *jit =
        new_jit(&(sb_jit_options){.helper_path = sb_fake_program()}); /* ten seconds each */
    sb_code *running = requested(jit, ";hang\n1");
    sb_code *waiting = requested(jit, ";hang\n2");
    sb_code *ready = NULL;
    while (stats_of(jit).helper_pid == 0) {
        sb_os_sleep_ns(MILLISECOND);
    }
    assert_int_equal(request(jit, "never", "kernel", &ready), SB_OK);
    const int64_t start = sb_os_now_ns();
    sb_jit_free(jit);
    assert_true(sb_os_now_ns() - start < 1000 * MILLISECOND);
    assert_failed(running, "cancelled");
    assert_failed(waiting, "closed");
    assert_failed(ready, "closed");
    sb_code_drop(running);
    sb_code_drop(waiting);
    sb_code_drop(ready);
}

static void test_handles_outlive_the_service(void **state)
{
    (void)state;
    sb_jit *jit = new_fake_jit();
    sb_code *code = requested(jit, "one");
    sb_code_retain(code);
    assert_ready(code);
    sb_jit_free(jit);
    assert_int_equal(sb_code_entry(code)(NULL, 0, 0), SB_SAMPLE_RESULT);
    sb_code_drop(code);
    assert_int_equal(sb_code_entry(code)(NULL, 0, 0), SB_SAMPLE_RESULT);
    sb_code_drop(code);
    sb_code_drop(NULL);
    sb_jit_free(NULL);
}

static void test_unwanted_is_not_compiled(void **state)
{
    (void)state;
    sb_jit *jit = new_fake_jit();
    sb_code *slow = requested(jit, ";slow\n");
    sb_code_drop(requested(jit, "unwanted"));
    sb_code *last = requested(jit, "wanted");
    assert_ready(last);
    assert_int_equal(stats_of(jit).compiles, 2);
    sb_code_drop(slow);
    sb_code_drop(last);
    sb_jit_free(jit);
}

static void test_queue_is_bounded(void **state)
{
    (void)state;
    sb_jit *jit =
        new_jit(&(sb_jit_options){.helper_path = sb_fake_program(), .queue_count_max = 2});
    sb_code *codes[10] = {0};
    size_t count = 0;
    sb_status status = SB_OK;
    while (count < SB_COUNT_OF(codes) && status == SB_OK) {
        char text[32];
        snprintf(text, sizeof(text), ";slow\n%zu", count);
        status = request(jit, text, "kernel", &codes[count]);
        count += status == SB_OK;
    }
    assert_int_equal(status, SB_LIMIT);
    assert_true(count == 2 || count == 3); /* one may run already */
    for (size_t i = 0; i < count; i++) {
        assert_ready(codes[i]);
        sb_code_drop(codes[i]);
    }
    sb_jit_free(jit);
}

static void test_cache_is_bounded(void **state)
{
    (void)state;
    const size_t bytes_max = 20000;
    sb_jit *jit =
        new_jit(&(sb_jit_options){.helper_path = sb_fake_program(), .cache_bytes_max = bytes_max});
    sb_code *kept = requested(jit, "kept");
    assert_ready(kept);
    char text[32];
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof(text), "text %d", i);
        sb_code *code = requested(jit, text);
        assert_ready(code);
        sb_code_drop(code);
        assert_true(stats_of(jit).cache_bytes <= bytes_max);
    }
    sb_jit_stats before = stats_of(jit);
    assert_int_equal(before.compiles, 101);
    sb_code *newest = requested(jit, "text 99");
    sb_code *oldest = requested(jit, "text 0");
    assert_ready(newest);
    assert_ready(oldest);
    assert_int_equal(stats_of(jit).cache_hits, before.cache_hits + 1);
    assert_int_equal(stats_of(jit).compiles, 102);
    assert_int_equal(sb_code_entry(kept)(NULL, 0, 0), SB_SAMPLE_RESULT); /* evicted, still mapped */
    sb_code_drop(newest);
    sb_code_drop(oldest);
    sb_code_drop(kept);
    sb_jit_free(jit);
}

static void ask_often(void *arg)
{
    sb_jit *jit = arg;
    for (int i = 0; i < 200; i++) {
        char text[32];
        snprintf(text, sizeof(text), "text %d", i % 7);
        sb_code *code = requested(jit, text);
        if (i % 3 != 0) {
            assert_int_equal(sb_code_wait(code, SB_NEVER), SB_CODE_READY);
        }
        sb_kernel_fn fn = sb_code_entry(code);
        if (fn != NULL) {
            assert_int_equal(fn(NULL, 0, 0), SB_SAMPLE_RESULT);
        }
        sb_code_drop(code);
    }
}

static void test_many_threads(void **state)
{
    (void)state;
    sb_jit *jit = new_jit(&(sb_jit_options){
        .helper_path = sb_fake_program(), .cache_bytes_max = 6000, .queue_count_max = 1000});
    sb_thread *threads[4];
    for (size_t i = 0; i < SB_COUNT_OF(threads); i++) {
        assert_int_equal(sb_thread_start(&threads[i], "ask", ask_often, jit, NULL), SB_OK);
    }
    for (size_t i = 0; i < SB_COUNT_OF(threads); i++) {
        sb_thread_join(threads[i]);
    }
    assert_int_equal(stats_of(jit).requests, 800);
    assert_int_equal(stats_of(jit).failures, 0);
    sb_jit_free(jit);
}

static void test_cpu_level(void **state)
{
    (void)state;
    sb_jit *jit = new_jit(&(sb_jit_options){0});
    assert_string_equal(sb_jit_cpu(jit), sb_cpu_level());
#if defined(__aarch64__)
    assert_string_equal(sb_cpu_level(), "aarch64");
#else
    assert_memory_equal(sb_cpu_level(), "x86-64", 6);
#endif
    sb_jit_free(jit);
    jit = new_jit(&(sb_jit_options){.cpu = "x86-64-v2"});
    assert_string_equal(sb_jit_cpu(jit), "x86-64-v2");
    sb_jit_free(jit);
    char name[100];
    memset(name, 'a', sizeof(name));
    name[99] = '\0';
    assert_int_equal(sb_jit_new(&jit, &(sb_jit_options){.cpu = name}, NULL), SB_INVALID);
}

static void test_dumps_assembly(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const int kept = dup(STDERR_FILENO);
    if (kept < 0 || dup2(ends[1], STDERR_FILENO) < 0) {
        fail_msg("stderr cannot be redirected");
        return;
    }
    sb_jit *jit = new_jit(&(sb_jit_options){.helper_path = sb_fake_program(), .dump_asm = true});
    sb_code *code = requested(jit, "one");
    assert_ready(code);
    sb_code_drop(code);
    sb_jit_free(jit);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    close(ends[1]);
    char text[64] = {0};
    assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
    assert_string_equal(text, "# assembly\n");
    close(ends[0]);
}

static bool failed_with(sb_code *code, const char *part)
{
    sb_buf why;
    sb_buf_init(&why, 0);
    const bool failed = sb_code_wait(code, SB_NEVER) == SB_CODE_FAILED;
    sb_code_failure(code, &why);
    const bool told = why.data != NULL && strstr(why.data, part) != NULL;
    sb_buf_release(&why);
    return failed && told;
}

static bool ask_in_fork(sb_jit *jit, sb_code *pending)
{
    sb_code *code = NULL;
    bool good = request(jit, "two", "kernel", &code) == SB_OK && failed_with(code, "forked");
    sb_code_drop(code);
    code = NULL;
    good = good && failed_with(pending, "forked");
    good = good && stats_of(jit).helper_pid == 0;
    sb_code_drop(pending);
    sb_jit_free(jit);
    return good;
}

static int exit_status_of(pid_t child)
{
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The child neither joins the parent's thread nor kills its compiler; the parent goes on. */
static void test_fork(void **state)
{
    (void)state;
    sb_jit *jit = new_fake_jit();
    sb_code *ready = requested(jit, "one");
    assert_ready(ready);
    sb_code *pending = requested(jit, ";slow\n");
    const pid_t child = fork();
    if (child == 0) {
        const bool runs = sb_code_entry(ready)(NULL, 0, 0) == SB_SAMPLE_RESULT;
        _exit(ask_in_fork(jit, pending) && runs ? 0 : 1);
    }
    assert_int_equal(exit_status_of(child), 0);
    assert_ready(pending);
    assert_int_equal(stats_of(jit).helper_starts, 1);
    sb_code_drop(pending);
    sb_code_drop(ready);
    sb_jit_free(jit);
}

/* No file may grow, so no memory file can hold code: the second text is not even compiled. */
static bool ask_without_executable_memory(void)
{
    const struct rlimit none = {0};
    sb_jit *jit = NULL;
    const sb_jit_options options = {.helper_path = sb_fake_program()};
    sb_code *first = NULL;
    sb_code *second = NULL;
    if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &none) != 0 ||
        sb_jit_new(&jit, &options, NULL) != SB_OK ||
        request(jit, "one", "kernel", &first) != SB_OK) {
        return false;
    }
    bool good = failed_with(first, "native code");
    good = good && request(jit, "two", "kernel", &second) == SB_OK;
    good =
        good && sb_code_state_get(second) == SB_CODE_FAILED && failed_with(second, "native code");
    good = good && stats_of(jit).compiles == 1;
    sb_code_drop(first);
    sb_code_drop(second);
    sb_jit_free(jit);
    return good;
}

static void test_no_executable_memory(void **state)
{
    (void)state;
    const pid_t child = fork();
    if (child == 0) {
        _exit(ask_without_executable_memory() ? 0 : 1);
    }
    assert_int_equal(exit_status_of(child), 0);
}

#ifdef SB_FAULTS
/* One request from making the service to its end; true when it became READY. */
static bool whole_life(void)
{
    sb_jit *jit = NULL;
    sb_code *code = NULL;
    bool ready = false;
    const sb_jit_options options = {.helper_path = sb_fake_program()};
    if (sb_jit_new(&jit, &options, NULL) == SB_OK) {
        sb_buf text;
        sb_buf_init(&text, 0);
        sb_buf_text(&text, "one");
        if (sb_jit_request(jit, &text, "kernel", &code, NULL) == SB_OK) {
            ready = sb_code_wait(code, SB_NEVER) == SB_CODE_READY;
        }
        assert_null(text.data);
    }
    sb_code_drop(code);
    sb_jit_free(jit);
    return ready;
}

static void test_faults(void **state)
{
    (void)state;
    const int64_t live = sb_mem_live_blocks();
    bool all_done = false;
    for (int64_t nth = 1; !all_done; nth++) {
        sb_fault_arm(nth, false);
        const bool ready = whole_life();
        all_done = !sb_fault_hit();
        sb_fault_arm(0, false);
        assert_int_equal(ready, all_done);
        assert_int_equal(sb_mem_live_blocks(), live);
    }
}
#endif

/* --- the real program ------------------------------------------------------------------------- */

#define ROW_COUNT 100

static void run_add(sb_code *code, int64_t extra)
{
    int64_t a[ROW_COUNT];
    int64_t b[ROW_COUNT];
    int64_t sum[ROW_COUNT] = {0};
    for (int64_t i = 0; i < ROW_COUNT; i++) {
        a[i] = i * i - 7;
        b[i] = INT64_C(1) << (i % 60);
    }
    const uint32_t stop = 0;
    const sb_kin in[] = {{.values = a}, {.values = b}};
    const sb_kout out = {.values = sum};
    sb_kcall call = {.in = in, .out = &out, .status = 77, .stop = &stop};
    assert_int_equal(sb_code_entry(code)(&call, 3, ROW_COUNT), ROW_COUNT);
    assert_int_equal(call.status, SB_K_DONE);
    for (int64_t i = 0; i < ROW_COUNT; i++) {
        assert_int_equal(sum[i], i < 3 ? 0 : a[i] + b[i] + extra);
    }
}

static sb_code *request_add(sb_jit *jit, long extra)
{
    sb_buf text;
    sb_buf_init(&text, 0);
    sb_write_add_kernel(&text, extra);
    sb_code *code = NULL;
    assert_int_equal(sb_jit_request(jit, &text, "kernel", &code, NULL), SB_OK);
    return code;
}

static void test_real_kernel(void **state)
{
    (void)state;
    sb_jit *jit = new_jit(&(sb_jit_options){.helper_path = sb_real_program()});
    for (long extra = -3; extra < 3; extra++) {
        sb_code *code = request_add(jit, extra);
        assert_ready(code);
        run_add(code, extra);
        sb_code_drop(code);
    }
    assert_int_equal(stats_of(jit).helper_starts, 1);
    sb_jit_free(jit);
}

static void test_real_killed_between(void **state)
{
    (void)state;
    sb_jit *jit = new_jit(&(sb_jit_options){.helper_path = sb_real_program()});
    sb_code *code = request_add(jit, 1);
    assert_ready(code);
    kill_helper(helper_pid(jit, 0));
    sb_code *next = request_add(jit, 2);
    assert_ready(next);
    run_add(code, 1);
    run_add(next, 2);
    sb_code_drop(code);
    sb_code_drop(next);
    sb_jit_free(jit);
}

static void test_real_levels(void **state)
{
    (void)state;
#if defined(__x86_64__)
    static const char *const levels[] = {"x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"};
#else
    const char *const levels[] = {sb_cpu_level()};
#endif
    for (size_t i = 0; i < SB_COUNT_OF(levels); i++) {
        sb_jit *jit =
            new_jit(&(sb_jit_options){.helper_path = sb_real_program(), .cpu = levels[i]});
        sb_code *code = request_add(jit, 1);
        assert_ready(code);
        if (strcmp(levels[i], sb_cpu_level()) <= 0) {
            run_add(code, 1);
        }
        sb_code_drop(code);
        sb_jit_free(jit);
    }
}

int main(void)
{
    const struct CMUnitTest fake[] = {
        cmocka_unit_test(test_ready_and_cached),
        cmocka_unit_test(test_same_text_twice_compiles_once),
        cmocka_unit_test(test_bytes_need_no_compiler),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_no_such_symbol),
        cmocka_unit_test(test_no_compiler),
        cmocka_unit_test(test_killed_in_mid_compile),
        cmocka_unit_test(test_wait_has_a_deadline),
        cmocka_unit_test(test_free_cancels_promptly),
        cmocka_unit_test(test_handles_outlive_the_service),
        cmocka_unit_test(test_unwanted_is_not_compiled),
        cmocka_unit_test(test_queue_is_bounded),
        cmocka_unit_test(test_cache_is_bounded),
        cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_cpu_level),
        cmocka_unit_test(test_dumps_assembly),
        cmocka_unit_test(test_no_executable_memory),
        cmocka_unit_test(test_fork),
#ifdef SB_FAULTS
        cmocka_unit_test(test_faults),
#endif
    };
    const struct CMUnitTest real[] = {
        cmocka_unit_test(test_real_kernel),
        cmocka_unit_test(test_real_killed_between),
        cmocka_unit_test(test_real_levels),
    };
    int failed = cmocka_run_group_tests_name("misbehaving program", fake, NULL, NULL);
    if (sb_real_program() != NULL) {
        failed += cmocka_run_group_tests_name("sabot-jit", real, NULL, NULL);
    }
    return failed;
}
