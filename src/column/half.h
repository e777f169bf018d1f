/* Half floats (IEEE binary16) as doubles, exactly.
 *
 * Threads: any. Memory: none. */
#ifndef SB_COLUMN_HALF_H
#define SB_COLUMN_HALF_H

#include <stdint.h>
#include <string.h>

static inline double sb_half_to_double(uint16_t half)
{
    uint64_t sign = (uint64_t)(half >> 15) << 63;
    uint64_t exponent = half >> 10 & 0x1F, fraction = half & 0x3FF;
    uint64_t bits;
    double value;
    if (exponent == 0) { /* fraction times 2 to the power of -24 */
        value = (double)fraction * 0x1p-24;
        return sign != 0 ? -value : value;
    }
    bits = sign | (exponent == 0x1F ? UINT64_C(0x7FF) : exponent + 1008) << 52 | fraction << 42;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif
