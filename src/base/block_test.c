/* Tests of base/block.h: sizes and classes; where the next block comes from; what is kept and what goes back; a random walk against a
 * model; a system that refuses; threads that free each other's blocks; forks in the midst of it. */
#define _GNU_SOURCE 1

#include "base/block.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/mem.h"
#include "os/os.h"
#include "os/os_test.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define SLAB (2 * MIB)

enum {
    MODEL_BLOCKS = 64,
    MODEL_STEPS = 20000,
    SHARED_BLOCKS = 32,
    THREADS = 4,
    THREAD_STEPS = 4000
};

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *seed >> 33;
}

/* Both ends and the middle: who wrote another's bytes is found, and few pages are touched. */
static void sign(uint8_t *block, size_t size, uint8_t mark)
{
    block[0] = mark;
    block[size / 2] = mark;
    block[size - 1] = mark;
}

static bool signed_by(const uint8_t *block, size_t size, uint8_t mark)
{
    return block[0] == mark && block[size / 2] == mark && block[size - 1] == mark;
}

static uint8_t *slab_of(const void *block)
{
    return (uint8_t *)((uintptr_t)block & ~(uintptr_t)(SLAB - 1));
}

/* Bytes of the range that have memory behind them. */
static size_t backed_size(const void *start, size_t size)
{
    static unsigned char pages[1 << 14];
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    assert_true(size / page <= sizeof pages);
    assert_int_equal(mincore((void *)(uintptr_t)start, size, pages), 0);
    size_t count = 0;
    for (size_t i = 0; i < size / page; i++) {
        count += pages[i] & 1;
    }
    return count * page;
}

/* Each test begins and ends with nothing held. */
static int nothing_held(void **state)
{
    (void)state;
    sb_block_trim(0);
    sb_block_stats stats = sb_block_stats_get();
    return stats.live_size == 0 && stats.kept_size == 0 && stats.slab_count == 0 ? 0 : -1;
}

/* --- sizes ---------------------------------------------------------------------------------------------------------- */

static void sizes_and_classes(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        size_t block; /* 0: not served */
    } cases[] = {{1, 0},
                 {256 * KIB - 1, 0},
                 {256 * KIB, 256 * KIB},
                 {256 * KIB + 1, 320 * KIB},
                 {320 * KIB, 320 * KIB},
                 {384 * KIB, 384 * KIB},
                 {512 * KIB - 63, 512 * KIB},
                 {512 * KIB, 512 * KIB},
                 {640 * KIB, 640 * KIB},
                 {640 * KIB + 1, 0},
                 {683 * KIB, 1024 * KIB},
                 {1024 * KIB, 1024 * KIB},
                 {1200 * KIB, 0},
                 {1366 * KIB, 2048 * KIB},
                 {2048 * KIB, 2048 * KIB},
                 {2048 * KIB + 1, 0},
                 {SIZE_MAX, 0}};
    for (size_t i = 0; i < SB_COUNT_OF(cases); i++) {
        uint8_t *block = sb_block_alloc(cases[i].size);
        assert_int_equal(block != NULL, cases[i].block != 0);
        assert_int_equal(sb_block_stats_get().live_size, cases[i].block);
        if (block != NULL) {
            assert_int_equal((uintptr_t)block % 64, 0);
            memset(block, 1, cases[i].size);
            assert_true(sb_block_owns(block));
            assert_true(sb_block_free(block));
        }
    }
}

static void other_pointers_are_not_taken(void **state)
{
    (void)state;
    int local = 0;
    void *heap = malloc(512 * KIB);
    void *block = sb_block_alloc(512 * KIB);
    const void *others[] = {NULL,
                            &local,
                            heap,
                            &others,
                            slab_of(block) - 1,
                            slab_of(block) + SLAB,
                            (void *)UINTPTR_MAX,
                            (void *)(UINTPTR_MAX >> 8)};
    for (size_t i = 0; i < SB_COUNT_OF(others); i++) {
        assert_false(sb_block_owns(others[i]));
        assert_false(sb_block_free((void *)(uintptr_t)others[i]));
    }
    assert_true(sb_block_free(block));
    free(heap);
}

/* --- where the next block comes from -------------------------------------------------------------------------------- */

static void what_was_freed_last_is_used_next(void **state)
{
    (void)state;
    void *first = sb_block_alloc(512 * KIB);
    void *second = sb_block_alloc(512 * KIB);
    assert_ptr_equal(slab_of(first), slab_of(second));
    assert_true(sb_block_free(second));
    assert_ptr_equal(sb_block_alloc(512 * KIB), second);
    assert_true(sb_block_free(second));
    assert_true(sb_block_free(first));
    assert_ptr_equal(sb_block_alloc(512 * KIB), first);
    assert_true(sb_block_free(first));
    assert_int_equal(sb_block_stats_get().slab_count, 1);
}

static void slabs_in_part_used_come_first(void **state)
{
    (void)state;
    void *blocks[12];
    for (int i = 0; i < 12; i++) {
        blocks[i] = sb_block_alloc(512 * KIB);
        assert_non_null(blocks[i]);
    }
    assert_int_equal(sb_block_stats_get().slab_count, 3);
    for (int i = 0; i < 4; i++) {
        assert_true(sb_block_free(blocks[i])); /* the lowest slab is empty */
    }
    assert_true(sb_block_free(blocks[9]));
    assert_ptr_equal(sb_block_alloc(512 * KIB), blocks[9]);
    /* Another class takes the empty slab, and no fresh one. */
    void *large = sb_block_alloc(1 * MIB);
    assert_int_equal(sb_block_stats_get().slab_count, 3);
    assert_ptr_equal(slab_of(large), slab_of(blocks[0]));
    assert_int_equal(sb_block_stats_get().kept_size, MIB);
    void *other = sb_block_alloc(256 * KIB);
    assert_int_equal(sb_block_stats_get().slab_count, 4);
    assert_true(sb_block_free(large));
    assert_true(sb_block_free(other));
    for (int i = 4; i < 12; i++) {
        assert_true(sb_block_free(blocks[i]));
    }
}

static void a_small_job_touches_what_it_writes(void **state)
{
    (void)state;
    uint8_t *block = sb_block_alloc(512 * KIB);
    block[0] = 1;
    assert_true(backed_size(slab_of(block), SLAB) <= 64 * KIB);
    uint8_t *other = sb_block_alloc(2 * MIB);
    other[0] = 1;
    assert_true(backed_size(slab_of(other), SLAB) <= 64 * KIB);
    assert_true(sb_block_free(block));
    assert_true(sb_block_free(other));
}

/* --- what is kept --------------------------------------------------------------------------------------------------- */

/* Blocks of 512 KiB that fill two and a half times what is kept. */
static size_t many_count(void)
{
    return (size_t)sb_block_kept_max() * 5 / 2 / (512 * KIB) / 16 * 16;
}

static uint8_t **many_new(void)
{
    uint8_t **blocks = malloc(many_count() * sizeof *blocks);
    for (size_t i = 0; i < many_count(); i++) {
        blocks[i] = sb_block_alloc(512 * KIB);
        assert_non_null(blocks[i]);
        memset(blocks[i], (int)i, 512 * KIB);
    }
    return blocks;
}

static void empty_slabs_are_kept_to_a_bound(void **state)
{
    (void)state;
    uint8_t **blocks = many_new();
    assert_int_equal(sb_block_stats_get().live_size, many_count() * 512 * KIB);
    for (size_t i = 0; i < many_count(); i++) {
        assert_true(sb_block_free(blocks[i]));
        assert_true(sb_block_stats_get().kept_size <= sb_block_kept_max());
    }
    sb_block_stats stats = sb_block_stats_get();
    assert_int_equal(stats.live_size, 0);
    assert_int_equal(stats.slab_count * (int64_t)SLAB, stats.kept_size);
    assert_true(stats.kept_size > sb_block_kept_max() - (int64_t)SLAB);
    sb_block_trim(10 * MIB);
    assert_int_equal(sb_block_stats_get().kept_size, 10 * MIB);
    free(blocks);
}

/* The worst consumer: one block in every slab stays, or one in sixteen. */
static void keep_one_in(size_t share)
{
    uint8_t **blocks = many_new();
    for (size_t i = 0; i < many_count(); i++) {
        if (i % share != 0) {
            assert_true(sb_block_free(blocks[i]));
            assert_true(sb_block_stats_get().kept_size <= sb_block_kept_max());
        }
    }
    size_t backed = 0;
    size_t kept_slabs = 0;
    for (size_t i = 0; i < many_count(); i += share) {
        assert_true(signed_by(blocks[i], 512 * KIB, (uint8_t)i));
        backed += backed_size(slab_of(blocks[i]), SLAB);
        kept_slabs++;
    }
    sb_block_stats stats = sb_block_stats_get();
    assert_int_equal(stats.live_size, kept_slabs * 512 * KIB);
    assert_true(backed <= (size_t)(stats.live_size + sb_block_kept_max()));
    /* What is wanted next comes from those slabs, and what lost its memory is as good as any. */
    int64_t slabs = stats.slab_count;
    for (size_t i = 0; i < many_count(); i++) {
        if (i % share != 0) {
            blocks[i] = sb_block_alloc(512 * KIB);
            memset(blocks[i], (int)i, 512 * KIB);
            slabs =
                slabs > sb_block_stats_get().slab_count ? slabs : sb_block_stats_get().slab_count;
        }
    }
    assert_int_equal(slabs, many_count() / 4);
    for (size_t i = 0; i < many_count(); i++) {
        assert_true(signed_by(blocks[i], 512 * KIB, (uint8_t)i));
        assert_true(sb_block_free(blocks[i]));
    }
    free(blocks);
}

static void blocks_that_stay_pin_nothing(void **state)
{
    (void)state;
    keep_one_in(4);
    assert_int_equal(nothing_held(NULL), 0);
    keep_one_in(16);
}

static void settling_keeps_what_is_in_use(void **state)
{
    (void)state;
    void *blocks[24];
    for (int i = 0; i < 24; i++) {
        blocks[i] = sb_block_alloc(2 * MIB);
    }
    for (int i = 0; i < 12; i++) {
        assert_true(sb_block_free(blocks[i]));
    }
    bool small_machine = sb_block_kept_max() < 24 * (int64_t)MIB;
    sb_block_settle();
    assert_true(small_machine || sb_block_stats_get().kept_size == 24 * MIB);
    for (int i = 12; i < 23; i++) {
        assert_true(sb_block_free(blocks[i]));
    }
    sb_block_settle();
    assert_true(sb_block_stats_get().kept_size <= 8 * (int64_t)MIB);
    assert_true(sb_block_free(blocks[23]));
}

/* --- a random walk -------------------------------------------------------------------------------------------------- */

static void random_walk(void **state)
{
    (void)state;
    uint8_t *blocks[MODEL_BLOCKS] = {0};
    size_t sizes[MODEL_BLOCKS];
    uint64_t seed = 7;
    for (int step = 0; step < MODEL_STEPS; step++) {
        size_t i = next_random(&seed) % MODEL_BLOCKS;
        if (blocks[i] == NULL) {
            sizes[i] =
                SB_BLOCK_SIZE_MIN + next_random(&seed) % (SB_BLOCK_SIZE_MAX - SB_BLOCK_SIZE_MIN);
            blocks[i] = sb_block_alloc(sizes[i]);
            if (blocks[i] != NULL) {
                sign(blocks[i], sizes[i], (uint8_t)i);
            }
        } else {
            assert_true(signed_by(blocks[i], sizes[i], (uint8_t)i));
            assert_true(sb_block_free(blocks[i]));
            blocks[i] = NULL;
        }
        if (next_random(&seed) % 256 == 0) {
            sb_block_trim((int64_t)(next_random(&seed) % (32 * MIB)));
        }
        assert_true(sb_block_stats_get().kept_size <= sb_block_kept_max());
    }
    for (size_t i = 0; i < MODEL_BLOCKS; i++) {
        assert_true(blocks[i] == NULL || signed_by(blocks[i], sizes[i], (uint8_t)i));
        assert_int_equal(sb_block_free(blocks[i]), blocks[i] != NULL);
    }
}

/* --- a system that refuses ------------------------------------------------------------------------------------------ */

static int heap_serves_without_pages_step(void)
{
    SB_STEP(sb_test_refuse_call(SYS_mmap, 1, SLAB, ENOMEM));
    SB_STEP(sb_block_alloc(512 * KIB) == NULL);
    uint8_t *heap = sb_mem_alloc_aligned(512 * KIB);
    SB_STEP(heap != NULL && !sb_block_owns(heap));
    memset(heap, 1, 512 * KIB);
    sb_mem_free_aligned(heap);
    SB_STEP(sb_block_stats_get().slab_count == 0);
    return 0;
}

static int what_cannot_be_unmapped_is_used_again_step(void)
{
    uint8_t *block = sb_block_alloc(2 * MIB);
    block[5] = 1;
    SB_STEP(sb_test_refuse_call(SYS_munmap, 1, SLAB, ENOMEM));
    SB_STEP(sb_block_free(block));
    sb_block_trim(0);
    sb_block_stats stats = sb_block_stats_get();
    SB_STEP(stats.live_size == 0 && stats.kept_size == 0 && stats.slab_count == 1);
    SB_STEP(!sb_block_free(NULL) && sb_block_owns(block));
    uint8_t *parts[4];
    for (int i = 0; i < 4; i++) { /* cut anew */
        parts[i] = sb_block_alloc(512 * KIB);
        SB_STEP(parts[i] != NULL && slab_of(parts[i]) == block && parts[i][5] == 0);
        sign(parts[i], 512 * KIB, 9);
    }
    for (int i = 0; i < 4; i++) {
        SB_STEP(signed_by(parts[i], 512 * KIB, 9) && sb_block_free(parts[i]));
    }
    SB_STEP(sb_block_stats_get().live_size == 0);
    return 0;
}

static int advice_may_be_refused_step(void)
{
    SB_STEP(sb_test_refuse_call(SYS_madvise, 0, 0, EINVAL));
    void *blocks[8];
    for (int i = 0; i < 8; i++) {
        blocks[i] = sb_block_alloc(512 * KIB);
        SB_STEP(blocks[i] != NULL);
        memset(blocks[i], i, 512 * KIB);
    }
    for (int i = 0; i < 8; i++) {
        SB_STEP(sb_block_free(blocks[i]));
    }
    sb_block_trim(0);
    SB_STEP(sb_block_stats_get().slab_count == 0);
    return 0;
}

SB_FORKED_TEST(heap_serves_without_pages)
SB_FORKED_TEST(what_cannot_be_unmapped_is_used_again)
SB_FORKED_TEST(advice_may_be_refused)

/* --- through base/mem.h --------------------------------------------------------------------------------------------- */

static void aligned_memory_comes_from_here(void **state)
{
    (void)state;
    uint8_t *large = sb_mem_alloc_aligned(512 * KIB - 1);
    uint8_t *small = sb_mem_alloc_aligned(100);
    assert_non_null(large);
    assert_non_null(small);
#ifdef SB_SANITIZE_ADDRESS
    assert_false(sb_block_owns(large)); /* malloc's blocks have their ends watched */
#else
    assert_true(sb_block_owns(large));
#endif
    assert_false(sb_block_owns(small));
    memset(large, 1, 512 * KIB);
    sb_mem_free_aligned(large);
    sb_mem_free_aligned(small);
    sb_mem_free_aligned(NULL);
}

#ifdef SB_FAULTS
static void blocks_fail_and_count_like_others(void **state)
{
    (void)state;
    int64_t before = sb_mem_live_blocks();
    sb_fault_arm(2, false);
    void *first = sb_mem_alloc_aligned(512 * KIB);
    assert_non_null(first);
    assert_null(sb_mem_alloc_aligned(512 * KIB));
    assert_true(sb_fault_hit());
    void *second = sb_mem_alloc_aligned(512 * KIB);
    sb_fault_arm(0, false);
    assert_non_null(second);
    assert_int_equal(sb_mem_live_blocks(), before + 2);
    sb_mem_free_aligned(first);
    sb_mem_free_aligned(second);
    assert_int_equal(sb_mem_live_blocks(), before);
}
#endif

/* --- threads, forks ------------------------------------------------------------------------------------------------- */

typedef struct parcel {
    size_t size;
    uint8_t mark;
} parcel;

static _Atomic(uint8_t *) shared[SHARED_BLOCKS];
static atomic_bool quit;
static atomic_int wrong;

/* What the block is goes into the block: the thread that takes it out of the shared place checks and frees it. */
static void parcel_drop(uint8_t *block)
{
    parcel what;
    if (block == NULL) {
        return;
    }
    memcpy(&what, block, sizeof what);
    if (block[what.size - 1] != what.mark || block[what.size / 2] != what.mark ||
        !sb_block_free(block)) {
        atomic_fetch_add(&wrong, 1);
    }
}

static uint8_t *parcel_new(uint64_t *seed)
{
    static const size_t sizes[] = {256 * KIB, 300 * KIB, 512 * KIB, 640 * KIB, 1 * MIB, 2 * MIB};
    parcel what = {.size = sizes[next_random(seed) % SB_COUNT_OF(sizes)],
                   .mark = (uint8_t)next_random(seed)};
    uint8_t *block = sb_block_alloc(what.size);
    if (block != NULL) {
        sign(block, what.size, what.mark);
        memcpy(block, &what, sizeof what);
    }
    return block;
}

static void exchange_step(uint64_t *seed)
{
    size_t place = next_random(seed) % SHARED_BLOCKS;
    uint8_t *mine = next_random(seed) % 3 != 0 ? parcel_new(seed) : NULL;
    parcel_drop(atomic_exchange(&shared[place], mine));
    if (next_random(seed) % 128 == 0) {
        sb_block_trim((int64_t)(next_random(seed) % (16 * MIB)));
    }
}

static void exchange_main(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    for (int step = 0; step < THREAD_STEPS; step++) {
        exchange_step(&seed);
    }
}

static void exchange_until_quit(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    while (!atomic_load(&quit)) {
        exchange_step(&seed);
    }
}

static void threads_start(sb_thread **threads, void (*thread_main)(void *))
{
    for (int i = 0; i < THREADS; i++) {
        void *seed = (void *)(uintptr_t)(i + 1);
        assert_int_equal(sb_thread_start(&threads[i], "exchange", thread_main, seed, NULL), SB_OK);
    }
}

static void threads_end(sb_thread **threads)
{
    for (int i = 0; i < THREADS; i++) {
        sb_thread_join(threads[i]);
    }
    for (int i = 0; i < SHARED_BLOCKS; i++) {
        parcel_drop(atomic_exchange(&shared[i], NULL));
    }
    assert_int_equal(atomic_load(&wrong), 0);
    sb_block_stats stats = sb_block_stats_get();
    assert_int_equal(stats.live_size, 0);
    assert_true(stats.kept_size >= 0 && stats.kept_size <= sb_block_kept_max());
    int64_t slabs_size = stats.slab_count * (int64_t)SLAB;
    assert_true(stats.kept_size <= slabs_size && stats.kept_size >= slabs_size / 16 * 15);
}

static void threads_free_each_others_blocks(void **state)
{
    (void)state;
    sb_thread *threads[THREADS];
    threads_start(threads, exchange_main);
    threads_end(threads);
}

/* In the child of a process whose threads were in the midst of taking and freeing: no lock is held for ever, what was there is there. */
static int child_goes_on(uint8_t *own)
{
    SB_STEP(signed_by(own, MIB, 77));
    SB_STEP(sb_block_free(own));
    uint64_t seed = 99;
    for (int i = 0; i < 200; i++) {
        exchange_step(&seed);
    }
    for (int i = 0; i < SHARED_BLOCKS; i++) {
        parcel_drop(atomic_exchange(&shared[i], NULL));
    }
    SB_STEP(atomic_load(&wrong) == 0);
    return 0;
}

static bool passes_in_child(uint8_t *own)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)alarm(60);
        int line = child_goes_on(own);
        _exit(line == 0 ? 0 : 1);
    }
    int result = -1;
    while (waitpid(pid, &result, 0) < 0 && errno == EINTR) {
    }
    return pid > 0 && WIFEXITED(result) && WEXITSTATUS(result) == 0;
}

static void a_forked_child_goes_on(void **state)
{
    (void)state;
    sb_thread *threads[THREADS];
    uint8_t *own = sb_block_alloc(MIB);
    sign(own, MIB, 77);
    threads_start(threads, exchange_until_quit);
    bool good = true;
    for (int i = 0; i < 30 && good; i++) {
        good = passes_in_child(own);
    }
    atomic_store(&quit, true);
    assert_true(signed_by(own, MIB, 77));
    assert_true(sb_block_free(own));
    threads_end(threads);
    assert_true(good);
}

#define BLOCK_TEST(name) cmocka_unit_test_setup_teardown(name, nothing_held, nothing_held)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BLOCK_TEST(sizes_and_classes),
        BLOCK_TEST(other_pointers_are_not_taken),
        BLOCK_TEST(what_was_freed_last_is_used_next),
        BLOCK_TEST(slabs_in_part_used_come_first),
        BLOCK_TEST(a_small_job_touches_what_it_writes),
        BLOCK_TEST(empty_slabs_are_kept_to_a_bound),
        BLOCK_TEST(blocks_that_stay_pin_nothing),
        BLOCK_TEST(settling_keeps_what_is_in_use),
        BLOCK_TEST(random_walk),
        BLOCK_TEST(heap_serves_without_pages),
        BLOCK_TEST(what_cannot_be_unmapped_is_used_again),
        BLOCK_TEST(advice_may_be_refused),
        BLOCK_TEST(aligned_memory_comes_from_here),
#ifdef SB_FAULTS
        BLOCK_TEST(blocks_fail_and_count_like_others),
#endif
        BLOCK_TEST(threads_free_each_others_blocks),
        BLOCK_TEST(a_forked_child_goes_on),
    };
    return cmocka_run_group_tests_name("base_block", tests, NULL, NULL);
}
