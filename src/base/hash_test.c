/* Tests of base/hash.h: every byte, the size and the seed count; results look random; a zero build gives zero. */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef SB_HASH_ZERO
static void zero_build_gives_zero(void **state)
{
    (void)state;
    assert_int_equal(sb_hash_bytes("abc", 3, 1), 0);
    assert_int_equal(sb_hash_bytes("", 0, 0), 0);
}
#else
enum { KEY_COUNT = 1 << 16 };

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void same_bytes_same_hash(void **state)
{
    (void)state;
    unsigned char memory[64];
    const char text[] = "a text of some thirty characters";
    uint64_t expected = sb_hash_bytes(text, sizeof(text), 9);
    for (size_t at = 0; at < 16; at++) { /* wherever it lies */
        memcpy(memory + at, text, sizeof(text));
        assert_true(sb_hash_bytes(memory + at, sizeof(text), 9) == expected);
    }
    assert_true(sb_hash_bytes(text, sizeof(text), 10) != expected);
    assert_true(sb_hash_bytes(NULL, 0, 1) == sb_hash_bytes(text, 0, 1));
}

static void zeros_of_each_size_differ(void **state)
{
    (void)state;
    static const unsigned char zeros[100];
    uint64_t hashes[100];
    for (size_t size = 0; size < 100; size++) {
        hashes[size] = sb_hash_bytes(zeros, size, 0);
        for (size_t other = 0; other < size; other++) {
            assert_true(hashes[size] != hashes[other]);
        }
    }
}

/* Each input bit, of the key or the seed, turns each output bit in about half of the trials. */
static void every_bit_reaches_every_bit(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 4, 7, 8, 9, 16, 21};
    const int trials = 2000;
    uint64_t seed = 1;
    for (size_t s = 0; s < SB_COUNT_OF(sizes); s++) {
        for (size_t bit = 0; bit < sizes[s] * 8 + 64; bit++) {
            int turned[64] = {0};
            for (int t = 0; t < trials; t++) {
                unsigned char key[24];
                for (size_t i = 0; i < sizeof(key); i++) {
                    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                    key[i] = (unsigned char)(seed >> 56);
                }
                uint64_t before = sb_hash_bytes(key, sizes[s], seed);
                uint64_t other_seed = seed;
                if (bit < sizes[s] * 8) {
                    key[bit / 8] = (unsigned char)(key[bit / 8] ^ (1u << (bit % 8)));
                } else {
                    other_seed ^= UINT64_C(1) << (bit - sizes[s] * 8);
                }
                uint64_t changed = before ^ sb_hash_bytes(key, sizes[s], other_seed);
                for (int out = 0; out < 64; out++) {
                    turned[out] += (int)((changed >> out) & 1);
                }
            }
            for (int out = 0; out < 64; out++) { /* 1000 expected, standard deviation 22 */
                assert_in_range(turned[out], 850, 1150);
            }
        }
    }
}

/* Keys that differ little, as counters and short names do, spread over a table as random ones would. */
static void close_keys_spread(void **state)
{
    (void)state;
    static uint64_t hashes[KEY_COUNT];
    static uint8_t used[2][KEY_COUNT];
    for (int kind = 0; kind < 4; kind++) {
        memset(used, 0, sizeof(used));
        for (uint64_t i = 0; i < KEY_COUNT; i++) {
            uint64_t key[2] = {0, 0};
            size_t size = kind == 0 ? 8 : kind == 1 ? 4 : 16;
            key[0] = kind == 2 ? i << 48 : i;
            key[1] = kind == 3 ? ~i : 0;
            hashes[i] = sb_hash_bytes(key, size, 0);
            used[0][hashes[i] % KEY_COUNT] = 1;
            used[1][hashes[i] >> 48] = 1;
        }
        for (int end = 0; end < 2; end++) {
            int slots = 0;
            for (size_t i = 0; i < KEY_COUNT; i++) {
                slots += used[end][i];
            }
            assert_in_range(slots, 41000, 41850); /* random: 41,427, standard deviation 80 */
        }
        qsort(hashes, KEY_COUNT, sizeof(hashes[0]), compare_u64);
        for (size_t i = 1; i < KEY_COUNT; i++) {
            assert_true(hashes[i] != hashes[i - 1]);
        }
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef SB_HASH_ZERO
        cmocka_unit_test(zero_build_gives_zero),
#else
        cmocka_unit_test(same_bytes_same_hash),
        cmocka_unit_test(zeros_of_each_size_differ),
        cmocka_unit_test(every_bit_reaches_every_bit),
        cmocka_unit_test(close_keys_spread),
#endif
    };
    return cmocka_run_group_tests_name("base_hash", tests, NULL, NULL);
}
