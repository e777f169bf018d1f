/* Ranges of bits, as base/bitmap.h promises them.
 *
 * Algorithm: the bits up to the next byte of the destination (or source, when counting) go one by one, then whole
 * words of 64, then the rest one by one; a fill has masks for its first and its last byte. Words are read and written as
 * bytes in little-endian order, which compilers turn into one load on little-endian machines, so no byte outside the range
 * is touched. Words are counted by the processor's instruction; where there is none, counting adds eight words at a time bit by bit, so
 * that one word in eight is counted. Bits become bytes and back by eight at a time in one 64-bit register.
 *
 * Threads: none of its own. Memory: the caller's. */
#include "base/bitmap.h"

#include <string.h>

#include "base/error.h"

#define EVERY_BYTE(byte) ((uint64_t)(byte) * UINT64_C(0x0101010101010101))

/* 64 bits of which the first is bit `offset`; reads nine bytes when offset is not a multiple of 8. */
static inline uint64_t load_word(const uint8_t *bits, int64_t offset)
{
    const uint8_t *at = bits + (offset >> 3);
    unsigned shift = (unsigned)(offset & 7);
    uint64_t word = sb_bitmap_word(at, 0);
    return shift == 0 ? word : word >> shift | (uint64_t)at[8] << (64 - shift);
}

/* Bit by bit a + b + c = 2 * the carry + what is returned. */
static inline uint64_t add_bits(uint64_t a, uint64_t b, uint64_t c, uint64_t *carry)
{
    uint64_t sum = a ^ b;
    *carry = (a & b) | (sum & c);
    return sum ^ c;
}

/* Eight words: sums up to seven stay in `sums`, bit by bit; gives the bits of which eight came together. */
static inline uint64_t add_words(const uint8_t *bits, int64_t offset, uint64_t sums[3])
{
    uint64_t twos, more_twos, fours, more_fours, eights;
    uint64_t one = sums[0], two = sums[1];
    one = add_bits(one, load_word(bits, offset), load_word(bits, offset + 64), &twos);
    one = add_bits(one, load_word(bits, offset + 128), load_word(bits, offset + 192), &more_twos);
    two = add_bits(two, twos, more_twos, &fours);
    one = add_bits(one, load_word(bits, offset + 256), load_word(bits, offset + 320), &twos);
    one = add_bits(one, load_word(bits, offset + 384), load_word(bits, offset + 448), &more_twos);
    two = add_bits(two, twos, more_twos, &more_fours);
    sums[0] = one;
    sums[1] = two;
    sums[2] = add_bits(sums[2], fours, more_fours, &eights);
    return eights;
}

/* `offset` is 0 in one call, so that words are loaded as they lie there. */
static inline int64_t count_from(const uint8_t *bits, int64_t offset, int64_t count)
{
    uint64_t sums[3] = {0};
    int64_t set = 0;
    int64_t i = 0;
    for (; i + 512 <= count; i += 512) {
        set += INT64_C(8) * sb_popcount_u64(add_words(bits, offset + i, sums));
    }
    for (int k = 0; k < 3; k++) {
        set += (int64_t)sb_popcount_u64(sums[k]) << k;
    }
    for (; i + 64 <= count; i += 64) {
        set += sb_popcount_u64(load_word(bits, offset + i));
    }
    for (; i < count; i++) {
        set += sb_bit_get(bits, offset + i) ? 1 : 0;
    }
    return set;
}

#if defined(__x86_64__)
/* The whole words of bits that begin at a byte. */
SB_TARGET("popcnt") static int64_t count_words(const uint8_t *bits, int64_t words)
{
    int64_t set = 0;
    for (int64_t i = 0; i < words; i++) {
        set += SB_POPCOUNT(sb_bitmap_word(bits, i));
    }
    return set;
}
#endif

int64_t sb_bitmap_count(const uint8_t *bits, int64_t offset, int64_t count)
{
    SB_ASSERT(offset >= 0 && count >= 0);
#if defined(__x86_64__)
    if ((offset & 7) == 0 && count >= 64 && SB_CPU_SUPPORTS("popcnt")) {
        int64_t whole = count & ~(int64_t)63;
        bits += offset >> 3;
        return count_words(bits, whole / 64) + count_from(bits + whole / 8, 0, count - whole);
    }
#endif
    return (offset & 7) == 0 ? count_from(bits + (offset >> 3), 0, count)
                             : count_from(bits, offset, count);
}

void sb_bitmap_copy(uint8_t *dst, int64_t dst_offset, const uint8_t *src, int64_t src_offset,
                    int64_t count)
{
    SB_ASSERT(dst_offset >= 0 && src_offset >= 0 && count >= 0);
    int64_t i = 0;
    for (; i < count && ((dst_offset + i) & 7) != 0; i++) {
        sb_bit_put(dst, dst_offset + i, sb_bit_get(src, src_offset + i));
    }
    if (((src_offset + i) & 7) == 0 && count - i >= 64) {
        int64_t whole = (count - i) & ~(int64_t)7;
        memcpy(dst + ((dst_offset + i) >> 3), src + ((src_offset + i) >> 3), (size_t)(whole / 8));
        i += whole;
    }
    for (; i + 64 <= count; i += 64) {
        sb_bitmap_word_put(dst + ((dst_offset + i) >> 3), 0, load_word(src, src_offset + i));
    }
    for (; i < count; i++) {
        sb_bit_put(dst, dst_offset + i, sb_bit_get(src, src_offset + i));
    }
}

void sb_bitmap_fill(uint8_t *bits, int64_t offset, int64_t count, bool value)
{
    SB_ASSERT(offset >= 0 && count >= 0);
    if (count == 0) {
        return;
    }
    uint8_t *first = bits + (offset >> 3);
    uint8_t *last = bits + ((offset + count - 1) >> 3);
    unsigned head = 0xFFu << (offset & 7) & 0xFF;
    unsigned tail = 0xFFu >> (7 - ((offset + count - 1) & 7));
    unsigned ones = value ? 0xFF : 0;
    if (first == last) {
        head &= tail;
    } else {
        *last = (uint8_t)((*last & ~tail) | (ones & tail));
        memset(first + 1, (int)ones, (size_t)(last - first - 1));
    }
    *first = (uint8_t)((*first & ~head) | (ones & head));
}

/* Eight bytes of 0 or 1, the lowest bit first. */
static uint64_t spread_bits(uint64_t byte)
{
    uint64_t each = (byte * EVERY_BYTE(0x01)) & UINT64_C(0x8040201008040201);
    return ((each + EVERY_BYTE(0x7F)) >> 7) & EVERY_BYTE(0x01);
}

/* The inverse; any byte but 0 counts as 1. */
static uint8_t gather_bits(uint64_t bytes)
{
    uint64_t high = (((bytes & EVERY_BYTE(0x7F)) + EVERY_BYTE(0x7F)) | bytes) & EVERY_BYTE(0x80);
    return (uint8_t)(((high >> 7) * UINT64_C(0x0102040810204080)) >> 56);
}

void sb_bitmap_unpack(uint8_t *bytes, const uint8_t *bits, int64_t offset, int64_t count)
{
    SB_ASSERT(offset >= 0 && count >= 0);
    int64_t i = 0;
    for (; i + 64 <= count; i += 64) {
        uint64_t word = load_word(bits, offset + i);
        for (int64_t part = 0; part < 64; part += 8) {
            sb_bitmap_word_put(bytes + i + part, 0, spread_bits((word >> part) & 0xFF));
        }
    }
    for (; i < count; i++) {
        bytes[i] = sb_bit_get(bits, offset + i) ? 1 : 0;
    }
}

void sb_bitmap_pack(uint8_t *bits, const uint8_t *bytes, int64_t count)
{
    SB_ASSERT(count >= 0);
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
        bits[i >> 3] = gather_bits(load_word(bytes + i, 0));
    }
    for (; i < count; i++) {
        sb_bit_put(bits, i, bytes[i] != 0);
    }
}
