/* Lists against a plain array on random operations; limits; sorting against its definition; failing allocations. */
#include "rt/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/mem.h"

#define MODEL_MAX 4000

static uint64_t random_state;

static uint64_t any(uint64_t below)
{
    random_state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = random_state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % below;
}

static int64_t word_of(double value)
{
    int64_t word;
    memcpy(&word, &value, sizeof(word));
    return word;
}

static int64_t call(sb_rt_heap *heap, sb_rt_list_op op, int64_t a, int64_t b, int64_t c)
{
    int64_t out = 0;
    assert_int_equal(sb_rt_list_call(op, heap, a, b, c, &out), SB_REASON_NONE);
    return out;
}

static sb_reason reason_of(sb_rt_heap *heap, sb_rt_list_op op, int64_t a, int64_t b, int64_t c)
{
    int64_t out = 0;
    return sb_rt_list_call(op, heap, a, b, c, &out);
}

static void same_as(sb_rt_heap *heap, int64_t list, const int64_t *model, int64_t count)
{
    assert_int_equal(call(heap, SB_RT_LIST_LEN, list, 0, 0), count);
    for (int64_t k = 0; k < count; k++) {
        assert_int_equal(call(heap, SB_RT_LIST_GET, list, k, 0), model[k]);
        assert_int_equal(call(heap, SB_RT_LIST_GET, list, k - count, 0), model[k]);
    }
    assert_int_equal(reason_of(heap, SB_RT_LIST_GET, list, count, 0), SB_REASON_RAISE);
    assert_int_equal(reason_of(heap, SB_RT_LIST_GET, list, -count - 1, 0), SB_REASON_RAISE);
}

/* One random change of list and model. */
static void change(sb_rt_heap *heap, int64_t list, int64_t *model, int64_t *count)
{
    const int64_t word = (int64_t)any(1000);
    const int64_t at = *count > 0 ? (int64_t)any((uint64_t)*count) : 0;
    switch (any(6)) {
    case 0:
        if (*count > 0) {
            (void)call(heap, SB_RT_LIST_SET, list, at - *count, word);
            model[at] = word;
        }
        break;
    case 1:
        if (*count > 0) {
            assert_int_equal(call(heap, SB_RT_LIST_POP, list, at, 0), model[at]);
            *count -= 1;
            memmove(&model[at], &model[at + 1], (size_t)(*count - at) * sizeof(*model));
        }
        break;
    case 2:
        (void)call(heap, SB_RT_LIST_INSERT, list, at, word);
        memmove(&model[at + 1], &model[at], (size_t)(*count - at) * sizeof(*model));
        model[at] = word;
        *count += 1;
        break;
    default:
        (void)call(heap, SB_RT_LIST_APPEND, list, word, 0);
        model[*count] = word;
        *count += 1;
        break;
    }
}

static void against_an_array(void **state)
{
    (void)state;
    sb_rt_heap heap = {0};
    static int64_t models[2][MODEL_MAX + 1];
    for (uint64_t round = 0; round < 20; round++) {
        random_state = round;
        sb_rt_heap_reset(&heap);
        int64_t counts[2] = {0, 0};
        int64_t lists[2];
        for (size_t k = 0; k < 2; k++) {
            lists[k] = call(&heap, SB_RT_LIST_NEW, (int64_t)any(20), 0, 0);
        }
        for (int turn = 0; turn < 3000; turn++) {
            const size_t k = any(2);
            change(&heap, lists[k], models[k], &counts[k]);
        }
        same_as(&heap, lists[0], models[0], counts[0]);
        same_as(&heap, lists[1], models[1], counts[1]);
    }
    sb_rt_heap_release(&heap);
}

static int64_t built(sb_rt_heap *heap, const int64_t *words, int64_t count)
{
    const int64_t list = call(heap, SB_RT_LIST_NEW, 0, 0, 0);
    for (int64_t k = 0; k < count; k++) {
        (void)call(heap, SB_RT_LIST_APPEND, list, words[k], 0);
    }
    return list;
}

static void new_lists_from_old(void **state)
{
    (void)state;
    sb_rt_heap heap = {0};
    const int64_t words[] = {5, 6, 7, 8};
    const int64_t list = built(&heap, words, 4);
    same_as(&heap, call(&heap, SB_RT_LIST_SLICE, list, 1, 3), &words[1], 2);
    same_as(&heap, call(&heap, SB_RT_LIST_SLICE, list, -3, INT64_MAX), &words[1], 3);
    same_as(&heap, call(&heap, SB_RT_LIST_SLICE, list, INT64_MIN, -1), words, 3);
    same_as(&heap, call(&heap, SB_RT_LIST_SLICE, list, 3, 1), words, 0);
    same_as(&heap, call(&heap, SB_RT_LIST_REPEAT, list, -1, 0), words, 0);
    const int64_t twice[] = {5, 6, 7, 8, 5, 6, 7, 8};
    same_as(&heap, call(&heap, SB_RT_LIST_REPEAT, list, 2, 0), twice, 8);
    (void)call(&heap, SB_RT_LIST_EXTEND, list, list, 0);
    same_as(&heap, list, twice, 8);
    const int64_t other = built(&heap, twice, 8);
    assert_int_equal(call(&heap, SB_RT_LIST_EQ_I64, list, other, 0), 1);
    (void)call(&heap, SB_RT_LIST_REVERSE, list, 0, 0);
    assert_int_equal(call(&heap, SB_RT_LIST_EQ_I64, list, other, 0), 0);
    assert_int_equal(call(&heap, SB_RT_LIST_FIND_I64, list, 7, 0), 1);
    assert_int_equal(call(&heap, SB_RT_LIST_FIND_I64, list, 9, 0), -1);
    sb_rt_heap_release(&heap);
}

static void sorting(void **state)
{
    (void)state;
    sb_rt_heap heap = {0};
    random_state = 7;
    for (int64_t count = 0; count < 200; count++) {
        sb_rt_heap_reset(&heap);
        const int64_t ints = call(&heap, SB_RT_LIST_NEW, 0, 0, 0);
        const int64_t floats = call(&heap, SB_RT_LIST_NEW, 0, 0, 0);
        int64_t zeros[2] = {0, 0};
        int64_t sum = 0;
        for (int64_t k = 0; k < count; k++) {
            const int64_t x = (int64_t)any(40) - 20;
            const double f = any(3) == 0 ? (any(2) == 0 ? 0.0 : -0.0) : (double)x / 4;
            zeros[0] += word_of(f) == word_of(0.0);
            zeros[1] += word_of(f) == word_of(-0.0);
            sum += x;
            (void)call(&heap, SB_RT_LIST_APPEND, ints, x, 0);
            (void)call(&heap, SB_RT_LIST_APPEND, floats, word_of(f), 0);
        }
        (void)call(&heap, SB_RT_LIST_SORT_I64, ints, 0, 0);
        (void)call(&heap, SB_RT_LIST_SORT_F64, floats, 0, 0);
        for (int64_t k = 0; k < count; k++) {
            sum -= call(&heap, SB_RT_LIST_GET, ints, k, 0);
            double pair[2];
            for (int64_t n = 0; n < 2 && k > 0; n++) {
                const int64_t word = call(&heap, SB_RT_LIST_GET, floats, k - n, 0);
                memcpy(&pair[n], &word, sizeof(word));
            }
            const int64_t word = call(&heap, SB_RT_LIST_GET, floats, k, 0);
            zeros[0] -= word == word_of(0.0);
            zeros[1] -= word == word_of(-0.0);
            assert_true(k == 0 || call(&heap, SB_RT_LIST_GET, ints, k - 1, 0) <=
                                      call(&heap, SB_RT_LIST_GET, ints, k, 0));
            assert_true(k == 0 || pair[1] <= pair[0]);
        }
        assert_true(sum == 0 && zeros[0] == 0 && zeros[1] == 0);
    }
    sb_rt_heap_release(&heap);
}

/* Zeros of two signs are equal: they keep their order, whatever stands between them. */
static void sorting_is_stable(void **state)
{
    (void)state;
    sb_rt_heap heap = {0};
    random_state = 11;
    const int64_t list = call(&heap, SB_RT_LIST_NEW, 0, 0, 0);
    bool signs[300];
    int64_t zeros = 0;
    for (int64_t k = 0; k < 300; k++) {
        const uint64_t kind = any(4);
        const double f = kind == 0 ? 0.0 : (kind == 1 ? -0.0 : (double)any(9) - 4.0);
        if (f == 0.0) {
            signs[zeros++] = word_of(f) < 0;
        }
        (void)call(&heap, SB_RT_LIST_APPEND, list, word_of(f), 0);
    }
    (void)call(&heap, SB_RT_LIST_SORT_F64, list, 0, 0);
    int64_t seen = 0;
    for (int64_t k = 0; k < 300; k++) {
        const int64_t word = call(&heap, SB_RT_LIST_GET, list, k, 0);
        if (word == word_of(0.0) || word == word_of(-0.0)) {
            assert_int_equal(word < 0, signs[seen]);
            seen++;
        }
    }
    assert_int_equal(seen, zeros);
    sb_rt_heap_release(&heap);
}

/* Words are positions: of equal ranks the earlier position comes first. */
static void sorting_by_ranks(void **state)
{
    (void)state;
    sb_rt_heap heap = {0};
    random_state = 13;
    for (int64_t count = 0; count < 150; count++) {
        sb_rt_heap_reset(&heap);
        const bool floats = count % 2 == 1;
        const int64_t list = call(&heap, SB_RT_LIST_NEW, 0, 0, 0);
        const int64_t ranks = call(&heap, SB_RT_LIST_NEW, 0, 0, 0);
        for (int64_t k = 0; k < count; k++) {
            const int64_t rank = (int64_t)any(12) - 6;
            (void)call(&heap, SB_RT_LIST_APPEND, list, k, 0);
            (void)call(&heap, SB_RT_LIST_APPEND, ranks, floats ? word_of((double)rank / 2) : rank,
                       0);
        }
        (void)call(&heap, floats ? SB_RT_LIST_SORT_BY_F64 : SB_RT_LIST_SORT_BY_I64, list, ranks, 0);
        int64_t sum = 0;
        for (int64_t k = 0; k < count; k++) {
            const int64_t at = call(&heap, SB_RT_LIST_GET, list, k, 0);
            const int64_t before = call(&heap, SB_RT_LIST_GET, list, k == 0 ? 0 : k - 1, 0);
            const int64_t rank = call(&heap, SB_RT_LIST_GET, ranks, at, 0);
            const int64_t earlier = call(&heap, SB_RT_LIST_GET, ranks, before, 0);
            double x = 0.0;
            double y = 0.0;
            memcpy(&x, &earlier, sizeof(x));
            memcpy(&y, &rank, sizeof(y));
            const bool less = floats ? x < y : earlier < rank;
            assert_true(k == 0 || less || (earlier == rank && before < at));
            sum += at;
        }
        assert_int_equal(sum, count * (count - 1) / 2);
    }
    const int64_t words[] = {word_of(1.0), word_of(__builtin_nan(""))};
    const int64_t list = built(&heap, words, 2);
    assert_int_equal(reason_of(&heap, SB_RT_LIST_SORT_BY_F64, list, list, 0), SB_REASON_TYPE_TAG);
    const int64_t one = built(&heap, words, 1);
    assert_int_equal(reason_of(&heap, SB_RT_LIST_SORT_BY_I64, list, one, 0), SB_REASON_TYPE_TAG);
    sb_rt_heap_release(&heap);
}

static void nans_leave(void **state)
{
    (void)state;
    sb_rt_heap heap = {0};
    const double nan = __builtin_nan("");
    const int64_t words[] = {word_of(1.0), word_of(nan), word_of(2.0)};
    const int64_t list = built(&heap, words, 3);
    const int64_t same = built(&heap, words, 3);
    assert_int_equal(reason_of(&heap, SB_RT_LIST_SORT_F64, list, 0, 0), SB_REASON_TYPE_TAG);
    assert_int_equal(call(&heap, SB_RT_LIST_FIND_F64, list, word_of(1.0), 0), 0);
    assert_int_equal(call(&heap, SB_RT_LIST_FIND_F64, list, word_of(2.0), 0), 2);
    assert_int_equal(reason_of(&heap, SB_RT_LIST_FIND_F64, list, word_of(nan), 0),
                     SB_REASON_TYPE_TAG);
    assert_int_equal(reason_of(&heap, SB_RT_LIST_EQ_F64, list, same, 0), SB_REASON_TYPE_TAG);
    (void)call(&heap, SB_RT_LIST_SET, same, 0, word_of(3.0));
    assert_int_equal(call(&heap, SB_RT_LIST_EQ_F64, list, same, 0), 0);
    const int64_t zeros[] = {word_of(0.0), word_of(-0.0)};
    const int64_t plus = built(&heap, zeros, 1);
    const int64_t minus = built(&heap, &zeros[1], 1);
    assert_int_equal(call(&heap, SB_RT_LIST_EQ_F64, plus, minus, 0), 1);
    sb_rt_heap_release(&heap);
}

static void limits(void **state)
{
    (void)state;
    sb_rt_heap heap = {0};
    const int64_t one[] = {1};
    const int64_t list = built(&heap, one, 1);
    const int64_t most = call(&heap, SB_RT_LIST_REPEAT, list, SB_RT_LIST_MAX, 0);
    assert_int_equal(reason_of(&heap, SB_RT_LIST_APPEND, most, 1, 0), SB_REASON_MEMORY);
    assert_int_equal(reason_of(&heap, SB_RT_LIST_REPEAT, list, SB_RT_LIST_MAX + 1, 0),
                     SB_REASON_MEMORY);
    assert_int_equal(reason_of(&heap, SB_RT_LIST_REPEAT, most, INT64_MAX, 0), SB_REASON_MEMORY);
    assert_int_equal(reason_of(&heap, SB_RT_LIST_EXTEND, most, most, 0), SB_REASON_MEMORY);
    assert_false(heap.full);
    int made = 0;
    while (reason_of(&heap, SB_RT_LIST_REPEAT, list, SB_RT_LIST_MAX, 0) == SB_REASON_NONE) {
        made++;
    }
    assert_true(made > 4 && made < 8 && heap.full && heap.used <= SB_RT_HEAP_MAX);
    sb_rt_heap_reset(&heap);
    assert_false(heap.full);
    const size_t held = heap.held;
    const int64_t again = built(&heap, one, 1);
    (void)call(&heap, SB_RT_LIST_REPEAT, again, SB_RT_LIST_MAX, 0);
    assert_int_equal(heap.held, held); /* chunks are used again */
    sb_rt_heap_release(&heap);
}

static void a_batch_has_larger_limits(void **state)
{
    (void)state;
    sb_rt_heap heap = {.is_whole = true};
    const int64_t one[] = {1};
    const int64_t list = built(&heap, one, 1);
    (void)call(&heap, SB_RT_LIST_REPEAT, list, SB_RT_LIST_MAX + 1, 0);
    assert_int_equal(reason_of(&heap, SB_RT_LIST_REPEAT, list, SB_RT_WHOLE_LIST_MAX + 1, 0),
                     SB_REASON_MEMORY);
    assert_false(heap.full);
    heap.used = SB_RT_WHOLE_HEAP_MAX - 64; /* as if so much were there */
    assert_int_equal(reason_of(&heap, SB_RT_LIST_REPEAT, list, 100, 0), SB_REASON_MEMORY);
    assert_true(heap.full);
    sb_rt_heap_release(&heap);
    assert_true(heap.is_whole);
}

/* A heap whose rows need ever other sizes does not keep all of them. */
static void chunks_do_not_pile_up(void **state)
{
    (void)state;
    sb_rt_heap heap = {0};
    const int64_t one[] = {1};
    for (int64_t round = 0; round < 60; round++) {
        sb_rt_heap_reset(&heap);
        for (int64_t k = 0; k < 60; k++) {
            const int64_t list = built(&heap, one, 1);
            (void)reason_of(&heap, SB_RT_LIST_REPEAT, list, 1000 * (60 - round) * (k % 17 + 1), 0);
        }
        assert_true(heap.held <= 4 * SB_RT_HEAP_MAX);
    }
    sb_rt_heap_release(&heap);
}

#ifdef SB_FAULTS
static void failing_allocations(void **state)
{
    (void)state;
    const int64_t live = sb_mem_live_blocks();
    bool hit = true;
    for (int64_t nth = 1; hit; nth++) {
        sb_rt_heap heap = {0};
        sb_fault_arm(nth, true);
        int64_t list = 0;
        sb_reason reason = sb_rt_list_call(SB_RT_LIST_NEW, &heap, 0, 0, 0, &list);
        for (int64_t k = 0; reason == SB_REASON_NONE && k < 100000; k++) {
            reason = reason_of(&heap, SB_RT_LIST_APPEND, list, k, 0);
        }
        if (reason == SB_REASON_NONE) {
            reason = reason_of(&heap, SB_RT_LIST_SORT_I64, list, 0, 0);
        }
        hit = sb_fault_hit();
        sb_fault_arm(0, false);
        assert_int_equal(heap.no_memory, hit);
        assert_int_equal(reason, hit ? SB_REASON_MEMORY : SB_REASON_NONE);
        heap.no_memory = false;
        sb_rt_heap_reset(&heap); /* and it goes on */
        (void)call(&heap, SB_RT_LIST_NEW, 10, 0, 0);
        sb_rt_heap_release(&heap);
        assert_int_equal(sb_mem_live_blocks(), live);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_an_array),
        cmocka_unit_test(new_lists_from_old),
        cmocka_unit_test(sorting),
        cmocka_unit_test(sorting_is_stable),
        cmocka_unit_test(sorting_by_ranks),
        cmocka_unit_test(nans_leave),
        cmocka_unit_test(limits),
        cmocka_unit_test(a_batch_has_larger_limits),
        cmocka_unit_test(chunks_do_not_pile_up),
#ifdef SB_FAULTS
        cmocka_unit_test(failing_allocations),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
