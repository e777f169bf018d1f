/* Ranges of bits, as base/bitmap.h promises them.
 *
 * Algorithm: the bits up to the next byte of the destination (or source, when counting) go one by one, then whole
 * words of 64, then the rest one by one. Words are read and written as bytes in little-endian order, which compilers
 * turn into one load on little-endian machines, so no byte outside the range is touched.
 *
 * Threads: none of its own. Memory: the caller's. */
#include "base/bitmap.h"

#include <string.h>

#include "base/error.h"

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

static void store_word(uint8_t *bytes, uint64_t word)
{
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(word >> (8 * i));
    }
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

void sb_bitmap_unpack(uint8_t *bytes, const uint8_t *bits, int64_t offset, int64_t count)
{
    SB_ASSERT(offset >= 0 && count >= 0);
    for (int64_t i = 0; i < count; i++) {
        bytes[i] = sb_bit_get(bits, offset + i) ? 1 : 0;
    }
}

void sb_bitmap_pack(uint8_t *bits, const uint8_t *bytes, int64_t count)
{
    SB_ASSERT(count >= 0);
    int64_t i = 0;
    for (; i + 8 <= count; i += 8) {
        unsigned byte = 0;
        for (unsigned bit = 0; bit < 8; bit++) {
            byte |= (bytes[i + bit] != 0 ? 1u : 0u) << bit;
        }
        bits[i >> 3] = (uint8_t)byte;
    }
    for (; i < count; i++) {
        sb_bit_put(bits, i, bytes[i] != 0);
    }
}
