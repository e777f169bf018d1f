/* Objects on disk: what comes back is what was written, or nothing. Damage, forgeries, races, sudden death, failing calls. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "jit/disk.h"
#include "jit/test_folder.h"
#include "os/os.h"

#define NAME_SIZE (2 * SB_DIGEST_SIZE + 1)

static sb_digest key_of(int number)
{
    sb_digest key = {{0}};
    key.bytes[0] = (uint8_t)number;
    key.bytes[1] = (uint8_t)(number >> 8);
    key.bytes[31] = 0xab;
    return key;
}

static const char *entry_path(const char *folder, int number)
{
    char name[SB_TEST_PATH_SIZE / 2];
    const sb_digest key = key_of(number);
    int at = snprintf(name, sizeof(name), "%s/", folder);
    for (size_t i = 0; i < SB_DIGEST_SIZE; i++) {
        at += snprintf(name + at, sizeof(name) - (size_t)at, "%02x", key.bytes[i]);
    }
    return sb_test_path(name);
}

/* The object of a number: a size and bytes of its own. */
static size_t object_of(int number, uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t)(number * 31 + (int)i * 7 + (int)(i >> 8));
    }
    return size;
}

static sb_disk *opened_with(const char *folder, int64_t bytes_max)
{
    sb_disk *disk = NULL;
    sb_error err = {0};
    if (sb_disk_open(&disk, sb_test_path(folder), bytes_max, &err) != SB_OK) {
        fail_msg("%s", err.message);
    }
    return disk;
}

static sb_disk *opened(const char *folder)
{
    return opened_with(folder, 0);
}

#define OBJECT_SIZE 100

static void add(sb_disk *disk, int number, size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    const sb_digest key = key_of(number);
    assert_non_null(bytes);
    sb_disk_add(disk, &key, bytes, object_of(number, bytes, size));
    free(bytes);
}

/* Whatever is found is right. */
static bool found(sb_disk *disk, int number)
{
    sb_buf object;
    sb_buf_init(&object, 0);
    sb_buf_text(&object, "what was here before");
    const sb_digest key = key_of(number);
    const bool there = sb_disk_find(disk, &key, &object);
    uint8_t *bytes = malloc(object.size + 1);
    assert_non_null(bytes);
    object_of(number, bytes, object.size);
    assert_true(there || object.size == 0);
    assert_memory_equal(bytes, object.size > 0 ? object.data : "", object.size);
    free(bytes);
    sb_buf_release(&object);
    return there;
}

static sb_disk_stats stats_of(const sb_disk *disk)
{
    sb_disk_stats stats;
    sb_disk_stats_get(disk, &stats);
    return stats;
}

static void test_comes_back(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, OBJECT_SIZE, 8192, 100000};
    sb_disk *disk = opened("a/code");
    for (int i = 0; i < (int)SB_COUNT_OF(sizes); i++) {
        assert_false(found(disk, i));
        add(disk, i, sizes[i]);
        assert_true(found(disk, i));
    }
    sb_disk *other = opened("a/code");
    int64_t entries = 0;
    int64_t bytes = 0;
    for (int i = 0; i < (int)SB_COUNT_OF(sizes); i++) {
        assert_true(found(other, i));
    }
    const sb_disk_stats stats = stats_of(other);
    assert_int_equal(stats.hits, 5);
    assert_int_equal(stats.bytes_read, 108293);
    assert_int_equal(stats.misses + stats.refused + stats.failures + stats.writes, 0);
    assert_int_equal(stats_of(disk).misses, 5);
    assert_int_equal(stats_of(disk).writes, 5);
    assert_int_equal(stats_of(disk).bytes_written, 108293);
    assert_int_equal(sb_disk_usage(disk, &entries, &bytes, NULL), SB_OK);
    assert_int_equal(entries, 5);
    assert_int_equal(bytes, 108293 + 5 * 80 + 32);
    assert_int_equal(sb_test_shell("test -z \"$(find a -perm /077)\""), 0); /* 0600, 0700 */
    sb_disk_drop(disk);
    sb_disk_drop(other);
    sb_disk_drop(NULL);
}

static void assert_refused_once(sb_disk *disk, int number)
{
    const sb_disk_stats before = stats_of(disk);
    assert_false(found(disk, number));
    const sb_disk_stats after = stats_of(disk);
    assert_int_equal(after.refused, before.refused + 1);
    assert_int_equal(after.misses, before.misses + 1);
    assert_int_equal(after.failures, before.failures);
}

static void test_every_byte_counts(void **state)
{
    (void)state;
    sb_disk *disk = opened("code");
    sb_buf entry;
    add(disk, 1, OBJECT_SIZE);
    const char *path = entry_path("code", 1);
    assert_true(sb_test_read_file(path, &entry));
    assert_int_equal(entry.size, 80 + OBJECT_SIZE);
    for (size_t at = 0; at < entry.size; at++) {
        for (int bit = 0; bit < 8; bit++) {
            entry.data[at] = (char)(entry.data[at] ^ (1 << bit));
            assert_true(sb_test_write_file(path, entry.data, entry.size));
            assert_refused_once(disk, 1);
            entry.data[at] = (char)(entry.data[at] ^ (1 << bit));
        }
        assert_true(sb_test_write_file(path, entry.data, at)); /* cut there */
        assert_refused_once(disk, 1);
    }
    sb_buf_char(&entry, 'x');
    assert_true(sb_test_write_file(path, entry.data, entry.size)); /* longer */
    assert_refused_once(disk, 1);
    add(disk, 1, OBJECT_SIZE); /* compiled anew, it is good again */
    assert_true(found(disk, 1));
    sb_buf_release(&entry);
    sb_disk_drop(disk);
}

static void test_forgeries(void **state)
{
    (void)state;
    sb_disk *disk = opened("code");
    sb_disk *stranger = opened("stranger");
    sb_buf entry;
    add(disk, 1, OBJECT_SIZE);
    add(stranger, 2, OBJECT_SIZE);
    /* An entry of another folder, that is of another key. */
    assert_true(sb_test_read_file(entry_path("stranger", 2), &entry));
    assert_true(sb_test_write_file(entry_path("code", 2), entry.data, entry.size));
    sb_buf_release(&entry);
    assert_refused_once(disk, 2);
    /* An entry of this folder under another name. */
    assert_true(sb_test_read_file(entry_path("code", 1), &entry));
    assert_true(sb_test_write_file(entry_path("code", 3), entry.data, entry.size));
    assert_refused_once(disk, 3);
    /* A good entry that is a link, that others may use, that is another user's. */
    assert_int_equal(rename(entry_path("code", 1), sb_test_path("elsewhere")), 0);
    assert_int_equal(symlink(sb_test_path("elsewhere"), entry_path("code", 1)), 0);
    assert_refused_once(disk, 1);
    assert_int_equal(unlink(entry_path("code", 1)), 0);
    assert_true(sb_test_write_file(entry_path("code", 1), entry.data, entry.size));
    assert_true(found(disk, 1));
    assert_int_equal(chmod(entry_path("code", 1), 0620), 0);
    assert_refused_once(disk, 1);
    assert_int_equal(chmod(entry_path("code", 1), 0600), 0);
    assert_true(found(disk, 1));
    if (geteuid() == 0) { /* nobody else can give a file away */
        assert_int_equal(chown(entry_path("code", 1), 12345, 12345), 0);
        assert_refused_once(disk, 1);
    }
    /* A pipe, and a folder, which cannot be replaced by a file. */
    assert_int_equal(mkfifo(entry_path("code", 4), 0600), 0);
    assert_refused_once(disk, 4);
    add(disk, 4, OBJECT_SIZE);
    assert_true(found(disk, 4));
    assert_int_equal(mkdir(entry_path("code", 5), 0700), 0);
    assert_refused_once(disk, 5);
    add(disk, 5, OBJECT_SIZE);
    assert_int_equal(stats_of(disk).failures, 1);
    sb_buf_release(&entry);
    sb_disk_drop(stranger);
    sb_disk_drop(disk);
}

static void assert_not_opened(const char *part)
{
    sb_disk *disk = NULL;
    sb_error err = {0};
    assert_int_equal(sb_disk_open(&disk, sb_test_path("code"), 0, &err), SB_INVALID);
    if (strstr(err.message, part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, err.message);
    }
}

static void test_key(void **state)
{
    (void)state;
    sb_disk *disk = opened("code");
    add(disk, 1, OBJECT_SIZE);
    sb_disk_drop(disk);
    static const char *const damages[] = {
        "truncate -s 31 code/key",
        "truncate -s 33 code/key",
        "truncate -s 0 code/key",
        "chmod 640 code/key",
        "mv code/key code/moved && ln -s moved code/key",
    };
    static const char *const said[] = {"damaged", "damaged", "damaged", "alone", "link"};
    for (size_t i = 0; i < SB_COUNT_OF(damages); i++) {
        assert_int_equal(sb_test_shell("cp -p code/key saved"), 0);
        assert_int_equal(sb_test_shell(damages[i]), 0);
        assert_not_opened(said[i]);
        assert_int_equal(sb_test_shell("rm -f code/key && cp -p saved code/key"), 0);
    }
    disk = opened("code");
    assert_true(found(disk, 1));
    sb_disk_drop(disk);
    /* Another key: nothing that was written under the first is taken. */
    assert_int_equal(sb_test_shell("head -c 32 /dev/urandom > code/key"), 0);
    disk = opened("code");
    assert_refused_once(disk, 1);
    sb_disk_drop(disk);
}

static void test_clear(void **state)
{
    (void)state;
    int64_t entries = -1;
    sb_error err = {0};
    sb_disk *disk = opened("code");
    add(disk, 1, OBJECT_SIZE);
    add(disk, 2, OBJECT_SIZE);
    assert_int_equal(sb_test_shell("cd code && truncate -s 1 key && touch tmp-1 other.txt"), 0);
    assert_int_equal(sb_disk_clear(sb_test_path("code"), &entries, &err), SB_OK);
    assert_int_equal(entries, 2);
    assert_int_equal(sb_test_shell("test \"$(ls -A code)\" = other.txt"), 0);
    assert_false(found(disk, 1)); /* who has it open goes on */
    add(disk, 1, OBJECT_SIZE);
    sb_disk *next = opened("code"); /* with a new key */
    assert_refused_once(next, 1);
    add(next, 1, OBJECT_SIZE);
    assert_true(found(next, 1));
    assert_int_equal(sb_test_shell("chmod 750 code"), 0);
    assert_int_equal(sb_disk_clear(sb_test_path("code"), &entries, &err), SB_INVALID);
    sb_disk_drop(next);
    sb_disk_drop(disk);
}

static void test_room(void **state)
{
    (void)state;
    const int64_t bytes_max = 20000;
    int64_t entries = 0;
    int64_t bytes = 0;
    sb_disk *disk = opened_with("code", bytes_max);
    for (int i = 0; i < 15; i++) {
        add(disk, i, 1000);
        sb_os_sleep_ns(2000000); /* ages differ also where times are coarse */
    }
    assert_int_equal(sb_test_shell("touch -d '2 hours ago' code/tmp-old && touch code/tmp-new"), 0);
    assert_true(found(disk, 0)); /* used last */
    for (int i = 15; i < 25; i++) {
        sb_os_sleep_ns(2000000);
        add(disk, i, 1000);
        assert_int_equal(sb_disk_usage(disk, &entries, &bytes, NULL), SB_OK);
        assert_true(bytes <= bytes_max);
    }
    assert_true(found(disk, 0));
    assert_true(found(disk, 24));
    assert_false(found(disk, 1));
    assert_true(stats_of(disk).evicted >= 6 && stats_of(disk).evicted == 25 - entries);
    assert_int_equal(sb_test_shell("test -e code/tmp-new && ! test -e code/tmp-old"), 0);
    add(disk, 30, 10001); /* would drive out half of the others */
    assert_false(found(disk, 30));
    sb_disk_drop(disk);
    /* Another process's entries count too. */
    disk = opened_with("code", 5000);
    add(disk, 31, 1000);
    assert_int_equal(sb_disk_usage(disk, &entries, &bytes, NULL), SB_OK);
    assert_true(bytes <= 5000 && found(disk, 31));
    sb_disk_drop(disk);
}

static int status_of(pid_t child)
{
    int status = -1;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

/* Processes that open a new folder at once agree on its key. */
static void test_many_processes(void **state)
{
    (void)state;
    enum { PROCESS_COUNT = 8 };
    pid_t children[PROCESS_COUNT];
    for (int i = 0; i < PROCESS_COUNT; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            sb_disk *disk = opened("code");
            for (int k = 0; k < 20; k++) {
                add(disk, i * 5 + k, 500); /* neighbours write the same */
            }
            _exit(stats_of(disk).failures == 0 ? 0 : 1);
        }
    }
    for (int i = 0; i < PROCESS_COUNT; i++) {
        assert_int_equal(status_of(children[i]), 0);
    }
    sb_disk *disk = opened("code");
    for (int k = 0; k < 5 * PROCESS_COUNT + 15; k++) {
        assert_true(found(disk, k));
    }
    sb_disk_drop(disk);
}

static void write_until_killed(void)
{
    sb_disk *disk = opened_with("code", 400000);
    for (int k = 0;; k++) {
        add(disk, k % 16, (size_t)(k % 16) * 3000);
    }
}

/* A process that dies while it writes leaves nothing wrong, at most files that are no entries. */
static void test_kill(void **state)
{
    (void)state;
    int64_t hits = 0;
    for (int turn = 0; turn < 200; turn++) {
        const pid_t child = fork();
        if (child == 0) {
            write_until_killed();
        }
        assert_true(child > 0);
        sb_os_sleep_ns(turn * 20011 % 4000000);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_true(WIFSIGNALED(status_of(child)));
        sb_disk *disk = opened("code");
        for (int k = 0; k < 16; k++) {
            hits += found(disk, k);
        }
        assert_int_equal(stats_of(disk).refused, 0);
        assert_int_equal(stats_of(disk).failures, 0);
        sb_disk_drop(disk);
    }
    assert_true(hits > 100);
}

static void use_often(void *arg)
{
    sb_disk *disk = arg;
    for (int k = 0; k < 300; k++) {
        if (!found(disk, k % 11)) {
            add(disk, k % 11, 700);
        }
    }
}

static void test_many_threads(void **state)
{
    (void)state;
    sb_disk *disk = opened_with("code", 5000);
    sb_thread *threads[4];
    for (size_t i = 0; i < SB_COUNT_OF(threads); i++) {
        assert_int_equal(sb_thread_start(&threads[i], "use", use_often, sb_disk_retain(disk), NULL),
                         SB_OK);
    }
    for (size_t i = 0; i < SB_COUNT_OF(threads); i++) {
        sb_thread_join(threads[i]);
        sb_disk_drop(disk);
    }
    assert_int_equal(stats_of(disk).refused, 0);
    sb_disk_drop(disk);
}

#ifdef SB_FAULTS
static void whole_life(void)
{
    sb_disk *disk = NULL;
    if (sb_disk_open(&disk, sb_test_path("faults"), 3000, NULL) == SB_OK) {
        for (int k = 0; k < 4; k++) {
            add(disk, k, 1000);
            (void)found(disk, k);
        }
        sb_disk_drop(disk);
    }
    int64_t entries = 0;
    int64_t bytes = 0;
    (void)sb_disk_clear(sb_test_path("faults"), &entries, NULL);
    if (sb_disk_open(&disk, sb_test_path("faults"), 3000, NULL) == SB_OK) {
        (void)sb_disk_usage(disk, &entries, &bytes, NULL);
        sb_disk_drop(disk);
    }
}

static void assert_works(void)
{
    sb_disk *disk = opened("faults");
    add(disk, 1, 1000);
    assert_true(found(disk, 1));
    sb_disk_drop(disk);
}

static void test_every_call_fails_once(void **state)
{
    (void)state;
    static const int numbers[] = {ENOSPC, EACCES, EIO};
    const int64_t live = sb_mem_live_blocks();
    bool hit = true;
    for (int64_t nth = 1; hit; nth++) {
        sb_dir_fault_short(nth % 2 == 0 ? 13 : 0);
        sb_dir_fault_arm(nth, numbers[nth % 3]);
        whole_life();
        hit = sb_dir_fault_hit();
        sb_dir_fault_arm(0, 0);
        sb_dir_fault_short(0);
        assert_int_equal(sb_mem_live_blocks(), live);
        assert_works();
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    const int64_t live = sb_mem_live_blocks();
    bool hit = true;
    for (int64_t nth = 1; hit; nth++) {
        sb_fault_arm(nth, false);
        whole_life();
        hit = sb_fault_hit();
        sb_fault_arm(0, false);
        assert_int_equal(sb_mem_live_blocks(), live);
        assert_works();
    }
}
#endif

#define TEST(name) cmocka_unit_test_setup_teardown(name, sb_test_make_root, sb_test_remove_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_comes_back),
        TEST(test_every_byte_counts),
        TEST(test_forgeries),
        TEST(test_key),
        TEST(test_clear),
        TEST(test_room),
        TEST(test_many_processes),
        TEST(test_kill),
        TEST(test_many_threads),
#ifdef SB_FAULTS
        TEST(test_every_call_fails_once),
        TEST(test_no_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
