/* What the processor that runs this can do, the operating system's part included.
 *
 * Threads: any. */
#ifndef SB_BASE_CPU_H
#define SB_BASE_CPU_H

#include "base/compiler.h"

#if defined(__aarch64__)
#define SB_CPU_AARCH64 true
#else
#define SB_CPU_AARCH64 false
#endif

/* Level of the x86-64 psABI: 1 to 4; 0 on another machine. */
static inline int sb_cpu_x86_level(void)
{
#if defined(__x86_64__)
    if (SB_CPU_SUPPORTS("x86-64-v4")) {
        return 4;
    }
    if (SB_CPU_SUPPORTS("x86-64-v3")) {
        return 3;
    }
    return SB_CPU_SUPPORTS("x86-64-v2") ? 2 : 1;
#else
    return 0;
#endif
}

#endif
