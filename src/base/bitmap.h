/* Bitmaps in Arrow's layout: bit i is byte i/8, bit i%8. NULL means "all set" where a caller says so.
 *
 * Threads: none of its own. */
#ifndef SB_BASE_BITMAP_H
#define SB_BASE_BITMAP_H

#include "base/compiler.h"

static inline bool sb_bit_get(const uint8_t *bits, int64_t index)
{
    return (bits[index >> 3] >> (index & 7)) & 1;
}
static inline void sb_bit_set(uint8_t *bits, int64_t index)
{
    bits[index >> 3] = (uint8_t)(bits[index >> 3] | (1u << (index & 7)));
}
static inline void sb_bit_clear(uint8_t *bits, int64_t index)
{
    bits[index >> 3] = (uint8_t)(bits[index >> 3] & ~(1u << (index & 7)));
}
static inline void sb_bit_put(uint8_t *bits, int64_t index, bool value)
{
    if (value) {
        sb_bit_set(bits, index);
    } else {
        sb_bit_clear(bits, index);
    }
}
/* Bits 64 * index to 64 * index + 63; all eight bytes are read. */
static inline uint64_t sb_bitmap_word(const uint8_t *bits, int64_t index)
{
    const uint8_t *at = bits + index * 8;
    return (uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24 |
           (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 |
           (uint64_t)at[7] << 56;
}
/* Written out, since compilers merge these stores into one but not those of a loop. */
static inline void sb_bitmap_word_put(uint8_t *bits, int64_t index, uint64_t word)
{
    uint8_t *at = bits + index * 8;
    at[0] = (uint8_t)word;
    at[1] = (uint8_t)(word >> 8);
    at[2] = (uint8_t)(word >> 16);
    at[3] = (uint8_t)(word >> 24);
    at[4] = (uint8_t)(word >> 32);
    at[5] = (uint8_t)(word >> 40);
    at[6] = (uint8_t)(word >> 48);
    at[7] = (uint8_t)(word >> 56);
}
static inline size_t sb_bitmap_size(int64_t count)
{
    return (size_t)((count + 7) / 8);
}

int64_t sb_bitmap_count(const uint8_t *bits, int64_t offset, int64_t count); /* set bits */
/* Copies count bits from src at src_offset to dst at dst_offset; the rest of dst is kept. No overlap. */
void sb_bitmap_copy(uint8_t *dst, int64_t dst_offset, const uint8_t *src, int64_t src_offset,
                    int64_t count);
void sb_bitmap_fill(uint8_t *bits, int64_t offset, int64_t count, bool value);
/* One byte (0 or 1) per bit, and back. */
void sb_bitmap_unpack(uint8_t *bytes, const uint8_t *bits, int64_t offset, int64_t count);
void sb_bitmap_pack(uint8_t *bits, const uint8_t *bytes,
                    int64_t count); /* any non-zero byte is 1; from bit 0 */

#endif
