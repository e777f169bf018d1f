/* Folders of this user's alone: what is written and read, what is refused, and every system call failing in turn. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "os/os.h"

#define PATH_SIZE 256

static char root[PATH_SIZE]; /* made anew for each test */

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "%s/sabot-dir-XXXXXX", P_tmpdir);
    return mkdtemp(root) == NULL ? -1 : 0;
}

static void shell(const char *format, const char *what)
{
    char command[3 * PATH_SIZE];
    snprintf(command, sizeof(command), format, root, what);
    assert_int_equal(system(command), 0);
}

static int remove_root(void **state)
{
    (void)state;
    shell("rm -rf '%s'%s", "");
    return 0;
}

static const char *in_root(const char *name)
{
    static char path[2 * PATH_SIZE];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    return path;
}

static sb_dir *opened(const char *name)
{
    sb_dir *dir = NULL;
    sb_error err = {0};
    if (sb_dir_open(&dir, in_root(name), &err) != SB_OK) {
        fail_msg("%s", err.message);
    }
    return dir;
}

static void assert_holds(const sb_dir *dir, const char *name, const char *text)
{
    sb_buf out;
    bool found = false;
    sb_buf_init(&out, 0);
    assert_int_equal(sb_dir_read(dir, name, 100000, &out, &found, NULL), SB_OK);
    assert_int_equal(found, text != NULL);
    if (text != NULL) {
        assert_int_equal(out.size, strlen(text));
        assert_memory_equal(out.data, text, out.size);
    }
    sb_buf_release(&out);
}

static void assert_not_read(const sb_dir *dir, const char *name, sb_status expected,
                            size_t size_max)
{
    sb_buf out;
    bool found = false;
    sb_buf_init(&out, 0);
    assert_int_equal(sb_dir_read(dir, name, size_max, &out, &found, NULL), expected);
    assert_true(found);
    sb_buf_release(&out);
}

static void assert_not_opened(const char *path, sb_status expected, const char *part)
{
    sb_dir *dir = NULL;
    sb_error err = {0};
    assert_int_equal(sb_dir_open(&dir, path, &err), expected);
    assert_null(dir);
    if (strstr(err.message, part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, err.message);
    }
}

static unsigned mode_of(const char *name)
{
    struct stat facts;
    assert_int_equal(stat(in_root(name), &facts), 0);
    return (unsigned)(facts.st_mode & 07777);
}

static void test_files(void **state)
{
    (void)state;
    sb_dir *dir = opened("a/b/c");
    assert_int_equal(mode_of("a"), 0700);
    assert_int_equal(mode_of("a/b/c"), 0700);
    assert_holds(dir, "x", NULL);
    const mode_t mask = umask(0777);
    assert_int_equal(sb_dir_write(dir, "x", "one", 3, false, NULL), SB_OK);
    umask(mask);
    assert_int_equal(mode_of("a/b/c/x"), 0600);
    assert_holds(dir, "x", "one");
    assert_int_equal(sb_dir_write(dir, "x", "", 0, false, NULL), SB_OK);
    assert_holds(dir, "x", "");
    assert_int_equal(sb_dir_write(dir, "x", "three", 5, true, NULL), SB_STATE);
    assert_holds(dir, "x", "");
    assert_int_equal(sb_dir_write(dir, "y", "four", 4, true, NULL), SB_OK);
    sb_dir *again = opened("a/b/c");
    assert_holds(again, "y", "four");
    assert_not_read(again, "y", SB_LIMIT, 3);
    assert_int_equal(sb_dir_remove(again, "y", NULL), SB_OK);
    assert_int_equal(sb_dir_remove(again, "y", NULL), SB_OK);
    assert_holds(dir, "y", NULL);
    shell("test \"$(ls -A '%s/a/b/c')\" = x%s", ""); /* no temporary file */
    sb_dir_close(again);
    sb_dir_close(dir);
    sb_dir_close(NULL);
}

static void test_folders_that_are_refused(void **state)
{
    (void)state;
    shell("mkdir -m 700 '%s/good'%s", "");
    shell("ln -s good '%s/link'%s", "");
    shell("touch '%s/file'%s", "");
    shell("mkdir -m 770 '%s/group'%s", "");
    shell("mkdir -m 701 '%s/others'%s", "");
    assert_not_opened("good", SB_INVALID, "absolute");
    assert_not_opened(in_root("link"), SB_INVALID, "a link");
    assert_not_opened(in_root("file"), SB_INVALID, "no folder");
    assert_not_opened(in_root("group"), SB_INVALID, "mode 770");
    assert_not_opened(in_root("others"), SB_INVALID, "mode 701");
    assert_not_opened(in_root("file/below"), SB_OS, "errno");
    assert_not_opened("/proc/sabot", SB_OS, "errno");
    if (geteuid() == 0) { /* nobody else can give a folder away */
        shell("mkdir -m 700 '%s/foreign' && chown 12345 '%s/foreign'", root);
        assert_not_opened(in_root("foreign"), SB_INVALID, "belongs to user 12345");
    }
}

static void test_files_that_are_refused(void **state)
{
    (void)state;
    sb_dir *dir = opened("d");
    assert_int_equal(sb_dir_write(dir, "x", "one", 3, false, NULL), SB_OK);
    shell("cd '%s/d' && ln -s x link && mkfifo pipe && mkdir sub && cp x open && chmod 640 open%s",
          "");
    assert_not_read(dir, "link", SB_INVALID, 100);
    assert_not_read(dir, "pipe", SB_INVALID, 100); /* and nobody waits for its other end */
    assert_not_read(dir, "sub", SB_INVALID, 100);
    assert_not_read(dir, "open", SB_INVALID, 100);
    if (geteuid() == 0) {
        shell("cd '%s/d' && cp -p x foreign && chown 12345 foreign%s", "");
        assert_not_read(dir, "foreign", SB_INVALID, 100);
    }
    /* A link is replaced, not written through. */
    assert_int_equal(sb_dir_write(dir, "link", "two", 3, false, NULL), SB_OK);
    assert_holds(dir, "link", "two");
    assert_holds(dir, "x", "one");
    sb_dir_close(dir);
}

typedef struct seen {
    int count;
    int most;
    int64_t bytes;
    int64_t age_ns_min;
    int64_t age_ns_max;
} seen;

static bool see(void *arg, const sb_dir_item *item)
{
    seen *all = arg;
    all->count++;
    all->bytes += item->size;
    all->age_ns_min = item->age_ns < all->age_ns_min ? item->age_ns : all->age_ns_min;
    all->age_ns_max = item->age_ns > all->age_ns_max ? item->age_ns : all->age_ns_max;
    return all->count < all->most;
}

static seen listed(const sb_dir *dir, int most)
{
    seen all = {.most = most, .age_ns_min = INT64_MAX, .age_ns_max = INT64_MIN};
    assert_int_equal(sb_dir_list(dir, see, &all, NULL), SB_OK);
    return all;
}

static void test_list_and_age(void **state)
{
    (void)state;
    sb_dir *dir = opened("d");
    assert_int_equal(listed(dir, 10).count, 0);
    assert_int_equal(sb_dir_write(dir, "x", "one", 3, false, NULL), SB_OK);
    assert_int_equal(sb_dir_write(dir, "y", "seven", 5, false, NULL), SB_OK);
    shell("cd '%s/d' && mkdir sub && ln -s x link && touch -d '2 hours ago' x%s", "");
    seen all = listed(dir, 10);
    assert_int_equal(all.count, 2);
    assert_int_equal(all.bytes, 8);
    const int64_t hour_ns = INT64_C(3600000000000);
    assert_true(all.age_ns_max > 2 * hour_ns - 1 && all.age_ns_max < 3 * hour_ns);
    assert_true(all.age_ns_min < hour_ns);
    assert_int_equal(sb_dir_touch(dir, "x", NULL), SB_OK);
    assert_true(listed(dir, 10).age_ns_max < hour_ns);
    assert_int_equal(sb_dir_touch(dir, "none", NULL), SB_OS);
    assert_int_equal(listed(dir, 1).count, 1);
    assert_int_equal(listed(dir, 10).count, 2); /* from the beginning again */
    sb_dir_close(dir);
}

#ifdef SB_FAULTS
static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static sb_status whole_life(sb_buf *out)
{
    sb_status status = SB_OK;
    sb_dir *dir = NULL;
    bool found = false;
    seen all = {.most = 10};
    SB_TRY(sb_dir_open(&dir, in_root("f/g"), NULL));
    SB_TRY(sb_dir_write(dir, "x", "some bytes", 10, false, NULL));
    status = sb_dir_write(dir, "once", "other bytes", 11, true, NULL);
    if (status != SB_OK && status != SB_STATE) {
        goto out;
    }
    SB_TRY(sb_dir_read(dir, "x", 100, out, &found, NULL));
    SB_TRY(sb_dir_touch(dir, "x", NULL));
    SB_TRY(sb_dir_list(dir, see, &all, NULL));
    SB_TRY(sb_dir_remove(dir, "x", NULL));
out:
    sb_dir_close(dir);
    return status;
}

static void test_every_call_fails_once(void **state)
{
    (void)state;
    static const int numbers[] = {ENOSPC, EACCES, EIO, EMFILE, EROFS};
    const int before = open_descriptors();
    const int64_t live = sb_mem_live_blocks();
    for (size_t i = 0; i < SB_COUNT_OF(numbers); i++) {
        bool hit = true;
        for (int64_t nth = 1; hit; nth++) {
            sb_buf out;
            sb_buf_init(&out, 0);
            sb_dir_fault_short(i % 2 == 0 ? 3 : 0);
            sb_dir_fault_arm(nth, numbers[i]);
            const sb_status status = whole_life(&out);
            hit = sb_dir_fault_hit();
            sb_dir_fault_arm(0, 0);
            sb_dir_fault_short(0);
            assert_int_equal(status == SB_OK, !hit);
            if (status == SB_OK) {
                assert_int_equal(out.size, 10);
                assert_memory_equal(out.data, "some bytes", 10);
            } else {
                assert_int_equal(status, SB_OS);
            }
            sb_buf_release(&out);
            assert_int_equal(open_descriptors(), before);
            assert_int_equal(sb_mem_live_blocks(), live);
            shell("! ls '%s/f/g' 2>/dev/null | grep -q tmp-%s",
                  ""); /* nothing half written stays */
        }
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    const int64_t live = sb_mem_live_blocks();
    bool hit = true;
    for (int64_t nth = 1; hit; nth++) {
        sb_buf out;
        sb_buf_init(&out, 0);
        sb_fault_arm(nth, false);
        const sb_status status = whole_life(&out);
        hit = sb_fault_hit();
        sb_fault_arm(0, false);
        assert_int_equal(status, hit ? SB_NO_MEMORY : SB_OK);
        sb_buf_release(&out);
        assert_int_equal(sb_mem_live_blocks(), live);
    }
}
#endif

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_files),
        TEST(test_folders_that_are_refused),
        TEST(test_files_that_are_refused),
        TEST(test_list_and_age),
#ifdef SB_FAULTS
        TEST(test_every_call_fails_once),
        TEST(test_no_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
