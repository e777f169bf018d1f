/* Tests of base/mem.h: edges of sizes, alignment, and in fault builds the hook itself. */
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void size_zero_is_a_block(void **state)
{
    (void)state;
    void *a = sb_mem_alloc(0);
    void *b = sb_mem_alloc_zero(0);
    void *c = sb_mem_alloc_array(0, 8);
    void *d = sb_mem_alloc_aligned(0);
    void *e = sb_mem_realloc(NULL, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    assert_non_null(d);
    assert_non_null(e);
    assert_ptr_not_equal(a, b);
    e = sb_mem_realloc(e, 0);
    assert_non_null(e);
    sb_mem_free(a);
    sb_mem_free(b);
    sb_mem_free(c);
    sb_mem_free_aligned(d);
    sb_mem_free(e);
    sb_mem_free(NULL);
    sb_mem_free_aligned(NULL);
}

static void impossible_sizes_are_null(void **state)
{
    (void)state;
    volatile size_t huge = SIZE_MAX; /* volatile: compilers know such an allocation fails */
    assert_null(sb_mem_alloc(huge));
    assert_null(sb_mem_alloc_zero(huge));
    assert_null(sb_mem_alloc_aligned(huge));
    assert_null(sb_mem_alloc_aligned(huge / 2 - 62));
    assert_null(sb_mem_alloc_array(huge / 2, 3));
    assert_null(sb_mem_alloc_array(huge, huge));
    char *kept = sb_mem_alloc(4);
    assert_non_null(kept);
    memcpy(kept, "abc", 4);
    void *grown = sb_mem_realloc(kept, huge);
    assert_null(grown);
    assert_string_equal(kept, "abc");
    sb_mem_free(kept);
}

static void zeroed_and_kept(void **state)
{
    (void)state;
    unsigned char *bytes = sb_mem_alloc_zero(1000);
    assert_non_null(bytes);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(bytes[i], 0);
        bytes[i] = (unsigned char)i;
    }
    bytes = sb_mem_realloc(bytes, 100000);
    assert_non_null(bytes);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(bytes[i], (unsigned char)i);
    }
    sb_mem_free(bytes);
}

static void aligned_blocks(void **state)
{
    (void)state;
    for (size_t size = 0; size < 300; size += 7) {
        unsigned char *block = sb_mem_alloc_aligned(size);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % 64, 0);
        memset(block, 1, size == 0 ? 64 : (size + 63) / 64 * 64); /* the rounding may be written */
        sb_mem_free_aligned(block);
    }
}

#ifdef SB_FAULTS
static void live_blocks_are_counted(void **state)
{
    (void)state;
    int64_t before = sb_mem_live_blocks();
    void *a = sb_mem_alloc(1);
    void *b = sb_mem_alloc_aligned(1);
    void *c = sb_mem_realloc(NULL, 1);
    assert_int_equal(sb_mem_live_blocks(), before + 3);
    c = sb_mem_realloc(c, 100);
    assert_non_null(c);
    assert_int_equal(sb_mem_live_blocks(), before + 3);
    sb_mem_free(a);
    sb_mem_free_aligned(b);
    sb_mem_free(c);
    sb_mem_free(NULL);
    assert_int_equal(sb_mem_live_blocks(), before);
}

static void nth_allocation_fails_once(void **state)
{
    (void)state;
    int64_t before = sb_mem_live_blocks();
    sb_fault_arm(3, false);
    void *a = sb_mem_alloc(1);
    void *b = sb_mem_alloc_aligned(1);
    assert_false(sb_fault_hit());
    void *grown = sb_mem_realloc(a, 50);
    assert_null(grown);
    assert_true(sb_fault_hit());
    a = sb_mem_realloc(a, 50);
    sb_fault_arm(0, false);
    assert_true(sb_fault_hit());
    assert_non_null(a);
    assert_non_null(b);
    sb_mem_free(a);
    sb_mem_free_aligned(b);
    assert_int_equal(sb_mem_live_blocks(), before);
}

static void every_later_allocation_fails(void **state)
{
    (void)state;
    sb_fault_arm(2, true);
    void *a = sb_mem_alloc_zero(1);
    assert_non_null(a);
    for (int i = 0; i < 3; i++) {
        assert_null(sb_mem_alloc(1));
        assert_null(sb_mem_alloc_zero(1));
        assert_null(sb_mem_alloc_aligned(1));
        assert_null(sb_mem_alloc_array(1, 1));
    }
    sb_fault_arm(0, false);
    void *b = sb_mem_alloc(1);
    assert_non_null(b);
    sb_mem_free(a);
    sb_mem_free(b);
    sb_fault_arm(5, true);
    assert_false(sb_fault_hit());
    sb_fault_arm(0, false);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(size_zero_is_a_block),
        cmocka_unit_test(impossible_sizes_are_null),
        cmocka_unit_test(zeroed_and_kept),
        cmocka_unit_test(aligned_blocks),
#ifdef SB_FAULTS
        cmocka_unit_test(live_blocks_are_counted),
        cmocka_unit_test(nth_allocation_fails_once),
        cmocka_unit_test(every_later_allocation_fails),
#endif
    };
    return cmocka_run_group_tests_name("base_mem", tests, NULL, NULL);
}
