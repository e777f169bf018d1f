/* Tests of base/bitmap.h against bits taken one by one, on blocks of exactly the needed size, so that a sanitizer sees
 * every read or write beyond the range. */
#include "base/bitmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

enum { OFFSET_COUNT = 10 };

static const int64_t counts[] = {0, 1, 5, 7, 8, 9, 63, 64, 65, 71, 72, 127, 128, 129, 200, 333};

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static uint8_t *random_bits(int64_t count, uint32_t *seed)
{
    uint8_t *bits = sb_mem_alloc(sb_bitmap_size(count));
    assert_non_null(bits);
    for (size_t i = 0; i < sb_bitmap_size(count); i++) {
        bits[i] = (uint8_t)next_random(seed);
    }
    return bits;
}

static void single_bits(void **state)
{
    (void)state;
    uint8_t bits[3] = {0};
    sb_bit_set(bits, 9);
    assert_int_equal(bits[1], 2);
    assert_true(sb_bit_get(bits, 9));
    assert_false(sb_bit_get(bits, 8));
    sb_bit_put(bits, 23, true);
    assert_int_equal(bits[2], 0x80);
    sb_bit_put(bits, 23, false);
    sb_bit_clear(bits, 9);
    assert_int_equal(bits[1] | bits[2], 0);
    assert_int_equal(sb_bitmap_size(0), 0);
    assert_int_equal(sb_bitmap_size(8), 1);
    assert_int_equal(sb_bitmap_size(9), 2);
}

static void count_and_unpack(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (size_t c = 0; c < SB_COUNT_OF(counts); c++) {
        for (int64_t offset = 0; offset < OFFSET_COUNT; offset++) {
            int64_t count = counts[c];
            uint8_t *bits = random_bits(offset + count, &seed);
            uint8_t *bytes = sb_mem_alloc((size_t)count);
            assert_non_null(bytes);
            sb_bitmap_unpack(bytes, bits, offset, count);
            int64_t set = 0;
            for (int64_t i = 0; i < count; i++) {
                assert_int_equal(bytes[i], sb_bit_get(bits, offset + i));
                set += bytes[i];
            }
            assert_int_equal(sb_bitmap_count(bits, offset, count), set);
            sb_mem_free(bytes);
            sb_mem_free(bits);
        }
    }
}

static void pack_takes_any_non_zero(void **state)
{
    (void)state;
    uint32_t seed = 2;
    for (size_t c = 0; c < SB_COUNT_OF(counts); c++) {
        int64_t count = counts[c];
        uint8_t *bytes = sb_mem_alloc((size_t)count);
        uint8_t *bits = random_bits(count, &seed);
        assert_non_null(bytes);
        for (int64_t i = 0; i < count; i++) {
            bytes[i] = (uint8_t)(next_random(&seed) % 3 == 0 ? 0 : next_random(&seed));
        }
        sb_bitmap_pack(bits, bytes, count);
        for (int64_t i = 0; i < count; i++) {
            assert_int_equal(sb_bit_get(bits, i), bytes[i] != 0);
        }
        sb_mem_free(bytes);
        sb_mem_free(bits);
    }
}

static void copy_keeps_the_rest(void **state)
{
    (void)state;
    uint32_t seed = 3;
    for (size_t c = 0; c < SB_COUNT_OF(counts); c++) {
        for (int64_t from = 0; from < OFFSET_COUNT; from++) {
            for (int64_t to = 0; to < OFFSET_COUNT; to++) {
                int64_t count = counts[c];
                uint8_t *src = random_bits(from + count, &seed);
                uint8_t *dst = random_bits(to + count + 9, &seed);
                size_t size = sb_bitmap_size(to + count + 9);
                uint8_t *before = sb_mem_alloc(size);
                assert_non_null(before);
                memcpy(before, dst, size);
                sb_bitmap_copy(dst, to, src, from, count);
                for (int64_t i = 0; i < to + count + 9; i++) {
                    bool inside = i >= to && i < to + count;
                    bool expected = inside ? sb_bit_get(src, from + i - to) : sb_bit_get(before, i);
                    assert_int_equal(sb_bit_get(dst, i), expected);
                }
                sb_mem_free(src);
                sb_mem_free(dst);
                sb_mem_free(before);
            }
        }
    }
}

/* The destination may end with the range. */
static void copy_stays_inside(void **state)
{
    (void)state;
    uint32_t seed = 4;
    for (size_t c = 0; c < SB_COUNT_OF(counts); c++) {
        for (int64_t to = 0; to < 8; to++) {
            uint8_t *src = random_bits(counts[c] + 3, &seed);
            uint8_t *dst = random_bits(to + counts[c], &seed);
            sb_bitmap_copy(dst, to, src, 3, counts[c]);
            for (int64_t i = 0; i < counts[c]; i++) {
                assert_int_equal(sb_bit_get(dst, to + i), sb_bit_get(src, 3 + i));
            }
            sb_mem_free(src);
            sb_mem_free(dst);
        }
    }
}

static void fill_keeps_the_rest(void **state)
{
    (void)state;
    uint32_t seed = 5;
    for (size_t c = 0; c < SB_COUNT_OF(counts); c++) {
        for (int64_t offset = 0; offset < OFFSET_COUNT; offset++) {
            for (int value = 0; value < 2; value++) {
                int64_t whole = offset + counts[c] + 5;
                uint8_t *bits = random_bits(whole, &seed);
                uint8_t *before = sb_mem_alloc(sb_bitmap_size(whole));
                assert_non_null(before);
                memcpy(before, bits, sb_bitmap_size(whole));
                sb_bitmap_fill(bits, offset, counts[c], value != 0);
                for (int64_t i = 0; i < whole; i++) {
                    bool inside = i >= offset && i < offset + counts[c];
                    assert_int_equal(sb_bit_get(bits, i),
                                     inside ? value != 0 : sb_bit_get(before, i));
                }
                sb_mem_free(bits);
                sb_mem_free(before);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_bits),
        cmocka_unit_test(count_and_unpack),
        cmocka_unit_test(pack_takes_any_non_zero),
        cmocka_unit_test(copy_keeps_the_rest),
        cmocka_unit_test(copy_stays_inside),
        cmocka_unit_test(fill_keeps_the_rest),
    };
    return cmocka_run_group_tests_name("base_bitmap", tests, NULL, NULL);
}
