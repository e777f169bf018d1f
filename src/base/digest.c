/* BLAKE2b of RFC 7693: the compression function of section 3.2 over blocks of 128 bytes (3.3). The first block of the keyed form is
 * the key; the result is a message authentication code as it stands.
 *
 * The last block is held back until the end is known, because it alone is marked. Lengths stay below 2^64 bytes, so the
 * upper word of the counter is always 0.
 *
 * Threads: any. Memory: none. */
#include "base/digest.h"

#include <string.h>

#include "base/error.h"

static const uint64_t start_words[8] = {
    UINT64_C(0x6a09e667f3bcc908), UINT64_C(0xbb67ae8584caa73b), UINT64_C(0x3c6ef372fe94f82b),
    UINT64_C(0xa54ff53a5f1d36f1), UINT64_C(0x510e527fade682d1), UINT64_C(0x9b05688c2b3e6c1f),
    UINT64_C(0x1f83d9abfb41bd6b), UINT64_C(0x5be0cd19137e2179),
};

/* Which words of the block each round takes, in order; rounds 10 and 11 are 0 and 1 again. */
static const uint8_t schedule[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

static uint64_t rotate_right(uint64_t x, unsigned count)
{
    return (x >> count) | (x << (64 - count));
}

static uint64_t load_word(const uint8_t *bytes)
{
    uint64_t word = 0;
    for (unsigned i = 0; i < 8; i++) {
        word |= (uint64_t)bytes[i] << (8 * i);
    }
    return word;
}

static inline void mix(uint64_t *v, unsigned a, unsigned b, unsigned c, unsigned d, uint64_t x,
                       uint64_t y)
{
    v[a] += v[b] + x;
    v[d] = rotate_right(v[d] ^ v[a], 32);
    v[c] += v[d];
    v[b] = rotate_right(v[b] ^ v[c], 24);
    v[a] += v[b] + y;
    v[d] = rotate_right(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = rotate_right(v[b] ^ v[c], 63);
}

/* total: bytes up to the end of this block. */
static void compress(uint64_t *h, const uint8_t *block, uint64_t total, bool last)
{
    uint64_t v[16];
    uint64_t m[16];
    memcpy(v, h, 8 * sizeof(*v));
    memcpy(v + 8, start_words, sizeof(start_words));
    v[12] ^= total;
    v[14] = last ? ~v[14] : v[14];
    for (unsigned i = 0; i < 16; i++) {
        m[i] = load_word(block + (size_t)8 * i);
    }
    for (unsigned round = 0; round < 12; round++) {
        const uint8_t *s = schedule[round % 10];
        mix(v, 0, 4, 8, 12, m[s[0]], m[s[1]]);
        mix(v, 1, 5, 9, 13, m[s[2]], m[s[3]]);
        mix(v, 2, 6, 10, 14, m[s[4]], m[s[5]]);
        mix(v, 3, 7, 11, 15, m[s[6]], m[s[7]]);
        mix(v, 0, 5, 10, 15, m[s[8]], m[s[9]]);
        mix(v, 1, 6, 11, 12, m[s[10]], m[s[11]]);
        mix(v, 2, 7, 8, 13, m[s[12]], m[s[13]]);
        mix(v, 3, 4, 9, 14, m[s[14]], m[s[15]]);
    }
    for (unsigned i = 0; i < 8; i++) {
        h[i] ^= v[i] ^ v[i + 8];
    }
}

void sb_digest_init(sb_digest_state *state, size_t size, const void *key, size_t key_size)
{
    SB_ASSERT(size > 0 && size <= SB_DIGEST_SIZE_MAX && key_size <= SB_DIGEST_KEY_MAX);
    *state = (sb_digest_state){.size = size};
    memcpy(state->h, start_words, sizeof(start_words));
    /* The parameter block of section 2.5: result size, key size, fanout 1, depth 1. */
    state->h[0] ^= UINT64_C(0x01010000) ^ ((uint64_t)key_size << 8) ^ size;
    if (key_size > 0) {
        memcpy(state->block, key, key_size);
        state->filled = SB_DIGEST_BLOCK;
    }
}

void sb_digest_add(sb_digest_state *state, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    while (size > 0) {
        if (state->filled == SB_DIGEST_BLOCK) {
            state->total += SB_DIGEST_BLOCK;
            compress(state->h, state->block, state->total, false);
            state->filled = 0;
        }
        const size_t room = SB_DIGEST_BLOCK - state->filled;
        const size_t count = size < room ? size : room;
        memcpy(state->block + state->filled, bytes, count);
        state->filled += count;
        bytes += count;
        size -= count;
    }
}

void sb_digest_end(sb_digest_state *state, void *out)
{
    uint8_t *bytes = out;
    memset(state->block + state->filled, 0, SB_DIGEST_BLOCK - state->filled);
    compress(state->h, state->block, state->total + state->filled, true);
    for (size_t i = 0; i < state->size; i++) {
        bytes[i] = (uint8_t)(state->h[i / 8] >> (8 * (i % 8)));
    }
    sb_digest_state volatile *wiped = state; /* volatile: or the compiler drops what nobody reads */
    *wiped = (sb_digest_state){0};
}

bool sb_digest_equal(const sb_digest *a, const sb_digest *b)
{
    unsigned differing = 0;
    for (unsigned i = 0; i < SB_DIGEST_SIZE; i++) {
        differing |= (unsigned)(a->bytes[i] ^ b->bytes[i]);
    }
    return differing == 0;
}
