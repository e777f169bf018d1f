/* Compiler extensions live here and nowhere else: attributes, hints, checked arithmetic.
 *
 * Memory: none. Threads: any. */
#ifndef SB_BASE_COMPILER_H
#define SB_BASE_COMPILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SB_MUST_USE __attribute__((warn_unused_result))
#define SB_PRINTF(fmt_index, args_index) __attribute__((format(printf, fmt_index, args_index)))
#define SB_LIKELY(x) __builtin_expect(!!(x), 1)
#define SB_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define SB_UNUSED __attribute__((unused))
#define SB_NORETURN __attribute__((noreturn))
#define SB_FALLTHROUGH __attribute__((fallthrough))
#define SB_ALIGNED(n) __attribute__((aligned(n)))

/* Defined in builds under AddressSanitizer. */
#if defined(__SANITIZE_ADDRESS__)
#define SB_SANITIZE_ADDRESS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SB_SANITIZE_ADDRESS 1
#endif
#endif

/* Does the processor, and the system for it, support this feature or level? x86-64 only; base/cpu.h has the question. */
#define SB_CPU_SUPPORTS(name) __builtin_cpu_supports(name)

/* A function that is only called where the processor supports the feature; x86-64 only. */
#define SB_TARGET(name) __attribute__((target(name)))
/* For such functions: one instruction. */
#define SB_POPCOUNT(x) __builtin_popcountll(x)

#define SB_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Checked arithmetic: true when the exact result does not fit; *out holds the wrapped result. */
static inline bool sb_add_overflow_i64(int64_t a, int64_t b, int64_t *out)
{
    return __builtin_add_overflow(a, b, out);
}
static inline bool sb_sub_overflow_i64(int64_t a, int64_t b, int64_t *out)
{
    return __builtin_sub_overflow(a, b, out);
}
static inline bool sb_mul_overflow_i64(int64_t a, int64_t b, int64_t *out)
{
    return __builtin_mul_overflow(a, b, out);
}
static inline bool sb_add_overflow_size(size_t a, size_t b, size_t *out)
{
    return __builtin_add_overflow(a, b, out);
}
static inline bool sb_mul_overflow_size(size_t a, size_t b, size_t *out)
{
    return __builtin_mul_overflow(a, b, out);
}
static inline int sb_popcount_u64(uint64_t x)
{
#if defined(__x86_64__) && !defined(__POPCNT__)
    /* The compiler would call a function that looks bytes up. */
    x -= (x >> 1) & UINT64_C(0x5555555555555555);
    x = (x & UINT64_C(0x3333333333333333)) + ((x >> 2) & UINT64_C(0x3333333333333333));
    x = (x + (x >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F);
    return (int)((x * UINT64_C(0x0101010101010101)) >> 56);
#else
    return __builtin_popcountll(x);
#endif
}
/* How many bits above the highest set one; x must not be 0. */
static inline int sb_clz_u64(uint64_t x)
{
    return __builtin_clzll(x);
}
/* Index of the lowest set bit; x must not be 0. */
static inline int sb_ctz_u64(uint64_t x)
{
    return __builtin_ctzll(x);
}

#endif
