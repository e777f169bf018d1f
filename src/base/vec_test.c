/* Tests of base/vec.h: growth of items of several types, overflow, failing allocations. */
#include "base/vec.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct pair {
    int64_t key;
    const char *name;
} pair;

typedef SB_VEC(int64_t) i64_vec;
typedef SB_VEC(pair) pair_vec;
typedef SB_VEC(const char *) text_vec;

static void pushes_keep_what_is_there(void **state)
{
    (void)state;
    i64_vec ints = {0};
    pair_vec pairs = {0};
    text_vec texts = {0};
    static const char name[] = "name";
    for (int64_t i = 0; i < 5000; i++) {
        assert_true(SB_VEC_PUSH(&ints, i * 3));
        assert_true(SB_VEC_PUSH(&pairs, (pair){.key = -i, .name = name}));
        assert_true(SB_VEC_PUSH(&texts, name + i % 5));
    }
    assert_int_equal(ints.count, 5000);
    for (int64_t i = 0; i < 5000; i++) {
        assert_int_equal(ints.items[i], i * 3);
        assert_int_equal(pairs.items[i].key, -i);
        assert_ptr_equal(texts.items[i], name + i % 5);
    }
    SB_VEC_RELEASE(&ints);
    SB_VEC_RELEASE(&pairs);
    SB_VEC_RELEASE(&texts);
    assert_null(ints.items);
    assert_int_equal(ints.capacity, 0);
    SB_VEC_RELEASE(&ints);
}

static void reserve_is_exact_or_more(void **state)
{
    (void)state;
    i64_vec ints = {0};
    size_t none = ints.count;
    assert_true(SB_VEC_RESERVE(&ints, none));
    assert_null(ints.items);
    assert_true(SB_VEC_RESERVE(&ints, 1000));
    assert_true(ints.capacity >= 1000);
    int64_t *items = ints.items;
    for (int64_t i = 0; i < 1000; i++) {
        assert_true(SB_VEC_PUSH(&ints, i));
    }
    assert_ptr_equal(ints.items, items);
    SB_VEC_RELEASE(&ints);
}

static void impossible_growth_changes_nothing(void **state)
{
    (void)state;
    i64_vec ints = {0};
    assert_true(SB_VEC_PUSH(&ints, 5));
    size_t capacity = ints.capacity;
    assert_false(SB_VEC_RESERVE(&ints, SIZE_MAX));
    assert_false(SB_VEC_RESERVE(&ints, SIZE_MAX / sizeof(int64_t) + 1));
    assert_false(SB_VEC_RESERVE(&ints, SIZE_MAX / 2 / sizeof(int64_t) + 1));
    assert_int_equal(ints.capacity, capacity);
    assert_int_equal(ints.items[0], 5);
    SB_VEC_RELEASE(&ints);
}

#ifdef SB_FAULTS
static void survives_failing_allocations(void **state)
{
    (void)state;
    int64_t live = sb_mem_live_blocks();
    bool hit = true;
    for (int64_t nth = 1; hit; nth++) {
        i64_vec ints = {0};
        sb_fault_arm(nth, false);
        int64_t pushed = 0;
        bool went = true;
        while (went && pushed < 100) {
            went = SB_VEC_PUSH(&ints, pushed);
            pushed += went;
        }
        hit = sb_fault_hit();
        sb_fault_arm(0, false);
        assert_int_equal(pushed == 100, !hit);
        assert_int_equal(ints.count, pushed);
        while (pushed < 100) {
            assert_true(SB_VEC_PUSH(&ints, pushed));
            pushed++;
        }
        for (int64_t i = 0; i < 100; i++) {
            assert_int_equal(ints.items[i], i);
        }
        SB_VEC_RELEASE(&ints);
        assert_int_equal(sb_mem_live_blocks(), live);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pushes_keep_what_is_there),
        cmocka_unit_test(reserve_is_exact_or_more),
        cmocka_unit_test(impossible_growth_changes_nothing),
#ifdef SB_FAULTS
        cmocka_unit_test(survives_failing_allocations),
#endif
    };
    return cmocka_run_group_tests_name("base_vec", tests, NULL, NULL);
}
