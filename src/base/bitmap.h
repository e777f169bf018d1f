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
