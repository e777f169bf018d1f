/* Ranges of bits, as base/bitmap.h promises them.
 *
 * Algorithm: the bits up to the next byte of the destination (or source, when counting) go one by one, then whole
 * words of 64, then the rest one by one. Words are read and written as bytes in little-endian order, which compilers
 * turn into one load on little-endian machines, so no byte outside the range is touched. Bits become bytes and back by
 * eight at a time in one 64-bit register.
 *
 * Threads: none of its own. Memory: the caller's. */
#include "base/bitmap.h"

#include <string.h>

#include "base/error.h"

#define EVERY_BYTE(byte) ((uint64_t)(byte) * UINT64_C(0x0101010101010101))

/* 64 bits of which the first is bit `offset`; reads nine bytes when offset is not a multiple of 8. */
static uint64_t load_word(const uint8_t *bits, int64_t offset)
{
    const uint8_t *at = bits + (offset >> 3);
    unsigned shift = (unsigned)(offset & 7);
    uint64_t word = (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 |
                    (uint64_t)at[3] << 24 | (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 |
                    (uint64_t)at[6] << 48 | (uint64_t)at[7] << 56;
    return shift == 0 ? word : word >> shift | (uint64_t)at[8] << (64 - shift);
}

/* Written out, since compilers merge these stores into one but not those of a loop. */
static void store_word(uint8_t *bytes, uint64_t word)
{
    bytes[0] = (uint8_t)word;
    bytes[1] = (uint8_t)(word >> 8);
    bytes[2] = (uint8_t)(word >> 16);
    bytes[3] = (uint8_t)(word >> 24);
    bytes[4] = (uint8_t)(word >> 32);
    bytes[5] = (uint8_t)(word >> 40);
    bytes[6] = (uint8_t)(word >> 48);
    bytes[7] = (uint8_t)(word >> 56);
}

int64_t sb_bitmap_count(const uint8_t *bits, int64_t offset, int64_t count)
{
    SB_ASSERT(offset >= 0 && count >= 0);
    int64_t set = 0;
    int64_t i = 0;
    for (; i + 64 <= count; i += 64) {
        set += sb_popcount_u64(load_word(bits, offset + i));
    }
    for (; i < count; i++) {
        set += sb_bit_get(bits, offset + i) ? 1 : 0;
    }
    return set;
}

void sb_bitmap_copy(uint8_t *dst, int64_t dst_offset, const uint8_t *src, int64_t src_offset,
                    int64_t count)
{
    SB_ASSERT(dst_offset >= 0 && src_offset >= 0 && count >= 0);
    int64_t i = 0;
    for (; i < count && ((dst_offset + i) & 7) != 0; i++) {
        sb_bit_put(dst, dst_offset + i, sb_bit_get(src, src_offset + i));
    }
    for (; i + 64 <= count; i += 64) {
        store_word(dst + ((dst_offset + i) >> 3), load_word(src, src_offset + i));
    }
    for (; i < count; i++) {
        sb_bit_put(dst, dst_offset + i, sb_bit_get(src, src_offset + i));
    }
}

void sb_bitmap_fill(uint8_t *bits, int64_t offset, int64_t count, bool value)
{
    SB_ASSERT(offset >= 0 && count >= 0);
    int64_t i = 0;
    for (; i < count && ((offset + i) & 7) != 0; i++) {
        sb_bit_put(bits, offset + i, value);
    }
    int64_t whole = (count - i) & ~(int64_t)7;
    if (whole > 0) {
        memset(bits + ((offset + i) >> 3), value ? 0xFF : 0, (size_t)(whole / 8));
        i += whole;
    }
    for (; i < count; i++) {
        sb_bit_put(bits, offset + i, value);
    }
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
            store_word(bytes + i + part, spread_bits((word >> part) & 0xFF));
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
