/* The hash of base/hash.h.
 *
 * Algorithm: the bytes are taken in words of 64 bits (the last one padded with zeros); each word is xored in, multiplied
 * by an odd constant, and folded by its own upper half, so that low bits depend on all bits seen. The size goes into the
 * start, so that padding cannot make two inputs equal; a last round of two multiplications spreads every input bit over
 * the whole result. It is for hash tables of trusted size, not a cryptographic hash.
 *
 * Threads: any. Memory: none. */
#include "base/hash.h"

#ifndef SB_HASH_ZERO
#include <string.h>

/* Odd, about half of the bits set, no visible pattern. */
#define FACTOR_SEED UINT64_C(0xB5297A4D3F84D5A7)
#define FACTOR_WORD UINT64_C(0xD6C8B1A5E93F6E0D)
#define FACTOR_LAST UINT64_C(0x8F3D91C7A65B2E59)

static uint64_t fold(uint64_t x)
{
    return x ^ (x >> 32);
}

static uint64_t absorb(uint64_t state, uint64_t word)
{
    /* The word is mixed before it meets the state: two words cannot cancel by a small difference in both. */
    word = fold(word * FACTOR_SEED) * FACTOR_LAST;
    state = (state ^ word) * FACTOR_WORD;
    return fold(state);
}
#endif

uint64_t sb_hash_bytes(const void *data, size_t size, uint64_t seed)
{
#ifdef SB_HASH_ZERO
    (void)data;
    (void)size;
    (void)seed;
    return 0;
#else
    const unsigned char *bytes = data;
    uint64_t state = fold((seed + FACTOR_LAST) * FACTOR_SEED) ^ ((uint64_t)size * FACTOR_WORD);
    size_t at = 0;
    for (; size - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, bytes + at, sizeof(word));
        state = absorb(state, word);
    }
    if (at < size) {
        uint64_t word = 0;
        memcpy(&word, bytes + at, size - at);
        state = absorb(state, word);
    }
    state = fold(state * FACTOR_SEED);
    return fold(state * FACTOR_LAST);
#endif
}
