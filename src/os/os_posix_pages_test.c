/* Tests of base/pages.h: alignment, zeroes, what is given back; refusals. */
#define _GNU_SOURCE 1

#include "base/pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "os/os_test.h"

#define MIB ((size_t)1 << 20)

static bool mapped(const void *pages)
{
    unsigned char page;
    return mincore((void *)(uintptr_t)pages, 1, &page) == 0;
}

static void mappings_are_aligned_and_zero(void **state)
{
    (void)state;
    uint8_t *all[9];
    for (int i = 0; i < 9; i++) {
        size_t alignment = MIB / 16 << i;
        all[i] = sb_pages_map(alignment, alignment, i % 2 == 0 ? SB_PAGES_HUGE : SB_PAGES_SMALL);
        assert_non_null(all[i]);
        assert_int_equal((uintptr_t)all[i] % alignment, 0);
        assert_int_equal(all[i][alignment - 1], 0);
        memset(all[i], i + 1, alignment);
    }
    for (int i = 0; i < 9; i++) {
        assert_int_equal(all[i][0], i + 1);
        assert_true(sb_pages_unmap(all[i], MIB / 16 << i));
        assert_false(mapped(all[i]));
    }
}

static void a_part_is_given_back(void **state)
{
    (void)state;
    uint8_t *pages = sb_pages_map(2 * MIB, 2 * MIB, SB_PAGES_HUGE);
    assert_non_null(pages);
    memset(pages, 7, 2 * MIB);
    assert_true(sb_pages_discard(pages + MIB / 2, MIB / 2));
    assert_int_equal(pages[MIB / 2 - 1], 7);
    assert_int_equal(pages[MIB], 7);
    assert_int_equal(pages[MIB / 2], 0);
    assert_int_equal(pages[MIB - 1], 0);
    assert_false(sb_pages_discard(pages + 1, MIB / 2)); /* odd bounds */
    assert_true(sb_pages_unmap(pages, 2 * MIB));
}

static void the_machine_has_memory(void **state)
{
    (void)state;
    assert_true(sb_pages_machine_size() >= 64 * MIB);
}

static int no_room_is_null_step(void)
{
    SB_STEP(sb_test_refuse_call(SYS_mmap, 1, 2 * MIB, ENOMEM));
    SB_STEP(sb_pages_map(2 * MIB, 2 * MIB, SB_PAGES_HUGE) == NULL);
    return 0;
}

static int advice_is_a_wish_step(void)
{
    SB_STEP(sb_test_refuse_call(SYS_madvise, 0, 0, EINVAL));
    uint8_t *pages = sb_pages_map(2 * MIB, 2 * MIB, SB_PAGES_HUGE);
    SB_STEP(pages != NULL);
    memset(pages, 1, 2 * MIB);
    SB_STEP(!sb_pages_discard(pages, MIB) && pages[5] == 1);
    SB_STEP(sb_pages_unmap(pages, 2 * MIB));
    return 0;
}

SB_FORKED_TEST(no_room_is_null)
SB_FORKED_TEST(advice_is_a_wish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mappings_are_aligned_and_zero),
        cmocka_unit_test(a_part_is_given_back),
        cmocka_unit_test(the_machine_has_memory),
        cmocka_unit_test(no_room_is_null),
        cmocka_unit_test(advice_is_a_wish),
    };
    return cmocka_run_group_tests_name("os_pages", tests, NULL, NULL);
}
