/* Tests of base/arena.h: what is handed out stays apart and intact; limits; reset; failing allocations. */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

enum { PIECES = 600 };

/* Fills an arena with pieces of mixed sizes, then finds each one unchanged. */
static void fill_and_check(sb_arena *arena)
{
    unsigned char *pieces[PIECES];
    size_t sizes[PIECES];
    uint32_t seed = 7;
    for (size_t i = 0; i < PIECES; i++) {
        seed = seed * 1664525u + 1013904223u;
        sizes[i] = (seed >> 8) % (i % 50 == 0 ? 9000 : 90);
        pieces[i] = sb_arena_alloc(arena, sizes[i]);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        memset(pieces[i], (int)(i & 0xFF), sizes[i]);
    }
    for (size_t i = 0; i < PIECES; i++) {
        for (size_t j = 0; j < sizes[i]; j++) {
            assert_int_equal(pieces[i][j], i & 0xFF);
        }
    }
}

static void pieces_stay_apart(void **state)
{
    (void)state;
    static const size_t block_sizes[] = {0, 1, 64, 4096, (size_t)8 << 20};
    for (size_t i = 0; i < SB_COUNT_OF(block_sizes); i++) {
        sb_arena arena;
        sb_arena_init(&arena, block_sizes[i], 0);
        for (int round = 0; round < 3; round++) {
            fill_and_check(&arena);
            sb_arena_reset(&arena);
        }
        sb_arena_release(&arena);
        fill_and_check(&arena);
        sb_arena_release(&arena);
    }
}

static void zeroed_arena_is_fine(void **state)
{
    (void)state;
    sb_arena arena = {0};
    sb_arena_release(&arena);
    sb_arena_reset(&arena);
    assert_non_null(sb_arena_alloc(&arena, 10));
    sb_arena_release(&arena);
    sb_arena_release(&arena);
    assert_int_equal(arena.total, 0);
}

static void empty_pieces_differ(void **state)
{
    (void)state;
    sb_arena arena;
    sb_arena_init(&arena, 64, 0);
    void *a = sb_arena_alloc(&arena, 0);
    void *b = sb_arena_alloc(&arena, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_ptr_not_equal(a, b);
    sb_arena_release(&arena);
}

static void zero_and_strndup(void **state)
{
    (void)state;
    sb_arena arena;
    sb_arena_init(&arena, 256, 0);
    void *dirty = sb_arena_alloc(&arena, 200);
    assert_non_null(dirty);
    memset(dirty, 0xAA, 200);
    sb_arena_reset(&arena);
    unsigned char *zeroed = sb_arena_alloc_zero(&arena, 200);
    assert_non_null(zeroed);
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(zeroed[i], 0);
    }
    assert_string_equal(sb_arena_strndup(&arena, "hello world", 5), "hello");
    assert_string_equal(sb_arena_strndup(&arena, NULL, 0), "");
    assert_null(sb_arena_strndup(&arena, "x", SIZE_MAX));
    assert_null(sb_arena_alloc(&arena, SIZE_MAX));
    assert_null(sb_arena_alloc(&arena, (size_t)PTRDIFF_MAX));
    sb_arena_release(&arena);
}

static void blocks_double_up_to_a_mebibyte(void **state)
{
    (void)state;
    sb_arena arena;
    sb_arena_init(&arena, 64, 0);
    size_t total = 0;
    for (size_t size = 64; size <= (size_t)1 << 20; size *= 2) {
        for (size_t used = 0; used < size; used += 16) {
            assert_non_null(sb_arena_alloc(&arena, 16));
        }
        total += size;
        assert_int_equal(arena.total, total);
    }
    assert_non_null(sb_arena_alloc(&arena, 16));
    assert_int_equal(arena.total, total + ((size_t)1 << 20));
    /* A giant lies beside the head, which goes on being filled. */
    assert_non_null(sb_arena_alloc(&arena, (size_t)3 << 20));
    size_t with_giant = arena.total;
    assert_non_null(sb_arena_alloc(&arena, 16));
    assert_int_equal(arena.total, with_giant);
    sb_arena_reset(&arena);
    assert_int_equal(arena.total, (size_t)1 << 20);
    sb_arena_release(&arena);
    assert_non_null(sb_arena_alloc(&arena, (size_t)3 << 20));
    sb_arena_reset(&arena);
    assert_int_equal(arena.total, 0);
    sb_arena_release(&arena);
}

static void first_block_is_as_asked(void **state)
{
    (void)state;
    sb_arena arena;
    sb_arena_init(&arena, 5000, 0);
    assert_non_null(sb_arena_alloc(&arena, 1));
#ifdef SB_TEST_TINY
    assert_int_equal(arena.total, 64);
#else
    assert_int_equal(arena.total, 5008);
#endif
    sb_arena_release(&arena);
}

static void size_max_holds(void **state)
{
    (void)state;
    for (size_t size_max = 0x100; size_max < 0x2000; size_max += 0x88) {
        sb_arena arena;
        sb_arena_init(&arena, 128, size_max);
        size_t given = 0;
        while (sb_arena_alloc(&arena, 16) != NULL) {
            given += 16;
            assert_true(arena.total <= size_max);
        }
        assert_int_equal(given, size_max / 16 * 16); /* small pieces fill it to the end */
        assert_null(sb_arena_alloc(&arena, 16));
        sb_arena_reset(&arena);
        assert_null(sb_arena_alloc(&arena, size_max + 1));
        assert_non_null(sb_arena_alloc(&arena, 16));
        sb_arena_release(&arena);
        assert_null(sb_arena_alloc(&arena, size_max + 1));
        assert_non_null(sb_arena_alloc(&arena, size_max / 16 * 16));
        sb_arena_release(&arena);
    }
}

#ifdef SB_FAULTS
static void survives_failing_allocations(void **state)
{
    (void)state;
    int64_t live = sb_mem_live_blocks();
    bool hit = true;
    for (int64_t nth = 1; hit; nth++) {
        sb_arena arena;
        sb_arena_init(&arena, 64, 0);
        sb_fault_arm(nth, false);
        int given = 0;
        for (int i = 0; i < 100; i++) {
            char *piece = sb_arena_strndup(&arena, "0123456789012345678901234567890", 31);
            given += piece != NULL;
        }
        hit = sb_fault_hit();
        sb_fault_arm(0, false);
        assert_int_equal(given, hit ? 99 : 100); /* the one that failed can be asked again */
        sb_arena_release(&arena);
        assert_int_equal(sb_mem_live_blocks(), live);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_stay_apart),
        cmocka_unit_test(zeroed_arena_is_fine),
        cmocka_unit_test(empty_pieces_differ),
        cmocka_unit_test(zero_and_strndup),
        cmocka_unit_test(blocks_double_up_to_a_mebibyte),
        cmocka_unit_test(first_block_is_as_asked),
        cmocka_unit_test(size_max_holds),
#ifdef SB_FAULTS
        cmocka_unit_test(survives_failing_allocations),
#endif
    };
    return cmocka_run_group_tests_name("base_arena", tests, NULL, NULL);
}
