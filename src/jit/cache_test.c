/* Objects by key: least recently used in memory, what is in use stays mapped, the folder behind, threads, forks. */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "ir/kernel.h"
#include "jit/cache.h"
#include "jit/test_folder.h"
#include "jit/test_object.h"
#include "os/os.h"

static sb_digest key_of(int number)
{
    sb_digest key = {{0}};
    for (size_t i = 0; i < 4; i++) {
        key.bytes[i] = (uint8_t)(number >> (8 * i));
    }
    return key;
}

static sb_cache *new_cache(const char *folder, size_t memory_bytes_max)
{
    sb_cache *cache = NULL;
    const sb_cache_options options = {.dir = folder, .memory_bytes_max = memory_bytes_max};
    assert_int_equal(sb_cache_new(&cache, &options, NULL), SB_OK);
    return cache;
}

static sb_cache_stats stats_of(sb_cache *cache)
{
    sb_cache_stats stats;
    sb_cache_stats_get(cache, &stats);
    return stats;
}

static sb_mapped *found(sb_cache *cache, int number, sb_cache_place place)
{
    const sb_digest key = key_of(number);
    sb_mapped *mapped = NULL;
    sb_cache_place source;
    assert_int_equal(sb_cache_find(cache, &key, SB_CACHE_DISK, &mapped, &source, NULL), SB_OK);
    assert_int_equal(mapped != NULL, source != SB_CACHE_NONE);
    assert_int_equal(source, place);
    return mapped;
}

static bool kept(sb_cache *cache, int number)
{
    const sb_digest key = key_of(number);
    sb_mapped *mapped = NULL;
    sb_cache_place source;
    assert_int_equal(sb_cache_find(cache, &key, SB_CACHE_MEMORY, &mapped, &source, NULL), SB_OK);
    if (mapped != NULL) {
        sb_mapped_drop(cache, mapped);
    }
    return mapped != NULL;
}

static sb_mapped *added(sb_cache *cache, int number)
{
    const sb_digest key = key_of(number);
    uint8_t bytes[SB_SAMPLE_SIZE];
    sb_mapped *mapped = NULL;
    sb_error err = {0};
    sb_buf object;
    sb_sample_object(bytes, SB_SAMPLE_HOST);
    sb_buf_init(&object, 0);
    sb_buf_append(&object, bytes, sizeof(bytes));
    if (sb_cache_add(cache, &key, &object, true, &mapped, &err) != SB_OK) {
        fail_msg("%s", err.message);
    }
    assert_null(object.data);
    return mapped;
}

static void assert_runs(const sb_mapped *mapped)
{
    const void *address = sb_mapped_symbol(mapped, "kernel");
    sb_kernel_fn kernel;
    assert_non_null(address);
    memcpy(&kernel, &address, sizeof(kernel));
    assert_int_equal(kernel(NULL, 0, 0), SB_SAMPLE_RESULT);
    assert_null(sb_mapped_symbol(mapped, "colonel"));
}

static void test_shares_and_unmaps(void **state)
{
    (void)state;
    sb_cache *cache = new_cache(NULL, 0);
    assert_null(found(cache, 1, SB_CACHE_NONE));
    sb_mapped *first = added(cache, 1);
    sb_mapped *second = found(cache, 1, SB_CACHE_MEMORY);
    sb_mapped *third = added(cache, 1); /* two compilers were quicker than one */
    assert_ptr_equal(first, second);
    assert_ptr_equal(first, third);
    assert_runs(first);
    sb_cache_stats stats = stats_of(cache);
    assert_int_equal(stats.loads, 1);
    assert_int_equal(stats.memory_hits, 1);
    assert_int_equal(stats.object_count, 1);
    assert_true(stats.loaded_bytes > 0 && stats.memory_bytes > SB_SAMPLE_SIZE);
    assert_false(stats.on_disk);
    sb_mapped_drop(cache, first);
    sb_mapped_drop(cache, second);
    assert_runs(third);
    sb_mapped_drop(cache, third);
    assert_int_equal(stats_of(cache).loaded_bytes, 0);
    third = found(cache, 1, SB_CACHE_MEMORY);
    assert_runs(third);
    assert_int_equal(stats_of(cache).loads, 2);
    sb_mapped_drop(cache, third);
    sb_cache_drop(cache);
    sb_cache_drop(NULL);
}

/* Bytes that one sample takes in the list. */
static size_t sample_size(void)
{
    sb_cache *cache = new_cache(NULL, 0);
    sb_mapped_drop(cache, added(cache, 1));
    const size_t size = stats_of(cache).memory_bytes;
    sb_cache_drop(cache);
    return size;
}

static void test_least_recently_used_goes(void **state)
{
    (void)state;
    sb_cache *cache = new_cache(NULL, 3 * sample_size());
    for (int i = 0; i < 3; i++) {
        sb_mapped_drop(cache, added(cache, i));
    }
    assert_true(kept(cache, 0)); /* used: 1 is the oldest now */
    sb_mapped_drop(cache, added(cache, 3));
    assert_false(kept(cache, 1));
    assert_true(kept(cache, 2));
    sb_mapped_drop(cache, added(cache, 4));
    assert_false(kept(cache, 0));
    assert_true(kept(cache, 3) && kept(cache, 2) && kept(cache, 4));
    assert_int_equal(stats_of(cache).memory_evicted, 2);
    assert_int_equal(stats_of(cache).object_count, 3);
    /* What is in use stays, evicted or not, and is found. */
    sb_mapped *held = added(cache, 5);
    for (int i = 6; i < 12; i++) {
        sb_mapped_drop(cache, added(cache, i));
    }
    assert_runs(held);
    sb_mapped *again = found(cache, 5, SB_CACHE_MEMORY);
    assert_ptr_equal(held, again);
    sb_mapped_drop(cache, held);
    assert_runs(again);
    sb_mapped_drop(cache, again);
    assert_false(kept(cache, 5));
    assert_int_equal(stats_of(cache).loaded_bytes, 0);
    const sb_cache_options less = {.memory_bytes_max = sample_size()};
    assert_int_equal(sb_cache_configure(cache, &less, NULL), SB_OK);
    assert_int_equal(stats_of(cache).object_count, 1);
    assert_true(kept(cache, 11));
    sb_cache_drop(cache);
}

static int code_mappings(void)
{
    sb_buf text;
    int count = 0;
    assert_true(sb_test_read_file("/proc/self/maps", &text));
    for (char *at = text.data; (at = strstr(at, "sabot-code")) != NULL; at++) {
        count++;
    }
    sb_buf_release(&text);
    return count;
}

static int open_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static void test_ten_thousand_cycles(void **state)
{
    (void)state;
    sb_cache *cache = new_cache(NULL, 20 * sample_size());
    sb_mapped *used[4] = {NULL};
    int mappings = 0;
    int descriptors = 0;
    int64_t blocks = 0;
    for (int i = 0; i < 10000; i++) {
        sb_mapped **slot = &used[i % 4];
        if (*slot != NULL) {
            sb_mapped_drop(cache, *slot);
        }
        *slot = added(cache, i);
        if (i == 1000) {
            mappings = code_mappings();
            descriptors = open_descriptors();
#ifdef SB_FAULTS
            blocks = sb_mem_live_blocks();
#endif
        }
    }
    assert_int_equal(code_mappings(), mappings);
    assert_int_equal(mappings, 4);
    assert_int_equal(open_descriptors(), descriptors);
#ifdef SB_FAULTS
    assert_int_equal(sb_mem_live_blocks(), blocks);
#endif
    (void)blocks;
    sb_cache_stats stats = stats_of(cache);
    assert_true(stats.memory_bytes <= stats.memory_bytes_max);
    assert_int_equal(stats.object_count, 20);
    assert_int_equal(stats.memory_evicted, 10000 - 20);
    for (size_t i = 0; i < SB_COUNT_OF(used); i++) {
        assert_runs(used[i]);
        sb_mapped_drop(cache, used[i]);
    }
    sb_cache_drop(cache);
}

static void test_folder(void **state)
{
    (void)state;
    sb_cache *cache = new_cache(sb_test_path("code"), 0);
    assert_true(sb_cache_has_disk(cache));
    sb_mapped_drop(cache, added(cache, 1));
    sb_cache *other = new_cache(sb_test_path("code"), 0);
    sb_mapped *mapped = found(other, 1, SB_CACHE_DISK);
    assert_runs(mapped);
    sb_mapped_drop(other, mapped);
    sb_mapped_drop(other, found(other, 1, SB_CACHE_MEMORY));
    assert_null(found(other, 2, SB_CACHE_NONE));
    sb_cache_stats stats = stats_of(other);
    assert_true(stats.on_disk && stats.disk.hits == 1 && stats.disk.misses == 1);
    /* Another folder: counters go on, memory stays. */
    assert_int_equal(
        sb_cache_configure(other, &(sb_cache_options){.dir = sb_test_path("more")}, NULL), SB_OK);
    sb_mapped_drop(other, found(other, 1, SB_CACHE_MEMORY));
    assert_null(found(other, 2, SB_CACHE_NONE));
    stats = stats_of(other);
    assert_true(stats.on_disk && stats.disk.hits == 1 && stats.disk.misses == 2);
    /* One that is not safe: memory alone, and why. */
    assert_int_equal(sb_test_shell("chmod 755 more"), 0);
    assert_int_equal(
        sb_cache_configure(other, &(sb_cache_options){.dir = sb_test_path("more")}, NULL), SB_OK);
    stats = stats_of(other);
    assert_false(stats.on_disk || sb_cache_has_disk(other));
    assert_non_null(strstr(stats.disk_off.message, "mode 755"));
    sb_mapped_drop(other, added(other, 3));
    assert_int_equal(stats_of(other).disk.misses, 2);
    int64_t entries = -1;
    int64_t bytes = -1;
    assert_int_equal(sb_cache_usage(other, &entries, &bytes, NULL), SB_OK);
    assert_int_equal(entries + bytes, 0);
    assert_int_equal(sb_cache_usage(cache, &entries, &bytes, NULL), SB_OK);
    assert_int_equal(entries, 1);
    assert_int_equal(sb_cache_configure(other, &(sb_cache_options){0}, NULL), SB_OK);
    assert_int_equal(stats_of(other).disk_off.status, SB_OK); /* none was named */
    sb_cache_drop(other);
    sb_cache_drop(cache);
}

static void test_bad_objects_are_not_kept(void **state)
{
    (void)state;
    sb_cache *cache = new_cache(sb_test_path("code"), 0);
    const sb_digest key = key_of(1);
    sb_mapped *mapped = NULL;
    sb_buf object;
    sb_buf_init(&object, 0);
    sb_buf_text(&object,
                "no object at all, but long enough to be looked at by the loader's header check");
    assert_int_equal(sb_cache_add(cache, &key, &object, true, &mapped, NULL), SB_INVALID);
    assert_null(object.data);
    assert_null(found(cache, 1, SB_CACHE_NONE));
    assert_int_equal(stats_of(cache).disk.writes, 0);
    sb_mapped_drop(cache, added(cache, 1));
    sb_cache_drop(cache);
}

typedef struct user {
    sb_cache *cache;
    int first;
} user;

static void use_often(void *arg)
{
    const user *me = arg;
    for (int i = 0; i < 600; i++) {
        const sb_digest key = key_of((i * 7 + me->first) % 9);
        sb_mapped *mapped = NULL;
        sb_cache_place source;
        const sb_cache_place place = i % 3 == 0 ? SB_CACHE_DISK : SB_CACHE_MEMORY;
        assert_int_equal(sb_cache_find(me->cache, &key, place, &mapped, &source, NULL), SB_OK);
        if (mapped == NULL) {
            mapped = added(me->cache, (i * 7 + me->first) % 9);
        }
        assert_runs(mapped);
        if (i % 50 == me->first) {
            const sb_cache_options options = {.dir = i % 100 < 50 ? sb_test_root : NULL,
                                              .memory_bytes_max = 4000};
            assert_int_equal(sb_cache_configure(me->cache, &options, NULL), SB_OK);
        }
        sb_mapped_drop(me->cache, mapped);
    }
}

static void test_many_threads(void **state)
{
    (void)state;
    sb_cache *cache = new_cache(sb_test_root, 4000); /* three samples */
    sb_thread *threads[4];
    user users[4];
    for (int i = 0; i < 4; i++) {
        users[i] = (user){.cache = cache, .first = i};
        assert_int_equal(sb_thread_start(&threads[i], "use", use_often, &users[i], NULL), SB_OK);
    }
    for (int i = 0; i < 4; i++) {
        sb_thread_join(threads[i]);
    }
    assert_int_equal(stats_of(cache).loaded_bytes, 0);
    assert_int_equal(stats_of(cache).disk.refused, 0);
    sb_cache_drop(cache);
}

static bool child_finds_nothing(sb_cache *cache, sb_mapped *mapped)
{
    const sb_digest key = key_of(1);
    sb_mapped *out = NULL;
    sb_cache_place source;
    const sb_cache_options options = {0};
    bool good = sb_cache_find(cache, &key, SB_CACHE_DISK, &out, &source, NULL) == SB_OK;
    good = good && out == NULL && !sb_cache_has_disk(cache) && stats_of(cache).loads == 0;
    good = good && sb_cache_configure(cache, &options, NULL) == SB_STATE;
    assert_runs(mapped);
    sb_mapped_drop(cache, mapped);
    sb_cache_drop(cache);
    /* One of its own works. */
    sb_cache *own = new_cache(sb_test_path("code"), 0);
    mapped = found(own, 1, SB_CACHE_DISK);
    assert_runs(mapped);
    sb_mapped_drop(own, mapped);
    sb_cache_drop(own);
    return good;
}

static void test_fork(void **state)
{
    (void)state;
    sb_cache *cache = new_cache(sb_test_path("code"), 0);
    sb_mapped *mapped = added(cache, 1);
    const pid_t child = fork();
    if (child == 0) {
        _exit(child_finds_nothing(cache, mapped) ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_runs(mapped);
    sb_mapped_drop(cache, mapped);
    sb_cache_drop(cache);
}

/* With a hot page cache, no compiler and no mapping of before: a file read, checked, loaded, mapped. Printed, not judged. */
static void test_time_of_a_load(void **state)
{
    (void)state;
    const int turns = 200;
    sb_cache *cache = new_cache(sb_test_path("code"), 1); /* memory keeps nothing */
    int64_t best_ns = INT64_MAX;
    int64_t sum_ns = 0;
    sb_mapped_drop(cache, added(cache, 1));
    for (int i = 0; i < turns; i++) {
        const int64_t start = sb_os_now_ns();
        sb_mapped *mapped = found(cache, 1, SB_CACHE_DISK);
        const int64_t ns = sb_os_now_ns() - start;
        sum_ns += ns;
        best_ns = ns < best_ns ? ns : best_ns;
        sb_mapped_drop(cache, mapped);
    }
    print_message("a load from disk: %.1f us at best, %.1f on average\n", (double)best_ns / 1e3,
                  (double)sum_ns / turns / 1e3);
    sb_cache_drop(cache);
}

#ifdef SB_FAULTS
static bool whole_life(void)
{
    sb_cache *cache = NULL;
    sb_mapped *mapped = NULL;
    sb_cache_place source;
    bool good = false;
    const sb_digest key = key_of(1);
    const sb_cache_options options = {.dir = sb_test_path("faults"), .memory_bytes_max = 1};
    if (sb_cache_new(&cache, &options, NULL) != SB_OK) {
        return false;
    }
    uint8_t bytes[SB_SAMPLE_SIZE];
    sb_buf object;
    sb_sample_object(bytes, SB_SAMPLE_HOST);
    sb_buf_init(&object, 0);
    sb_buf_append(&object, bytes, sizeof(bytes));
    if (object.failed) {
        sb_buf_release(&object);
    } else if (sb_cache_add(cache, &key, &object, true, &mapped, NULL) == SB_OK) {
        assert_runs(mapped);
        sb_mapped_drop(cache, mapped);
        mapped = NULL;
        good = sb_cache_find(cache, &key, SB_CACHE_DISK, &mapped, &source, NULL) == SB_OK &&
               source == SB_CACHE_DISK;
    }
    if (mapped != NULL) {
        assert_runs(mapped);
        sb_mapped_drop(cache, mapped);
    }
    sb_cache_drop(cache);
    return good;
}

static void test_no_memory(void **state)
{
    (void)state;
    const int64_t live = sb_mem_live_blocks();
    bool hit = true;
    for (int64_t nth = 1; hit; nth++) {
        sb_fault_arm(nth, false);
        const bool good = whole_life();
        hit = sb_fault_hit();
        sb_fault_arm(0, false);
        assert_true(good || hit);
        assert_int_equal(sb_mem_live_blocks(), live);
    }
}
#endif

#define TEST(name) cmocka_unit_test_setup_teardown(name, sb_test_make_root, sb_test_remove_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_shares_and_unmaps),
        TEST(test_least_recently_used_goes),
        TEST(test_ten_thousand_cycles),
        TEST(test_folder),
        TEST(test_bad_objects_are_not_kept),
        TEST(test_many_threads),
        TEST(test_fork),
        TEST(test_time_of_a_load),
#ifdef SB_FAULTS
        TEST(test_no_memory),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
