/* For the tests of this room: a small relocatable object made by hand, so that they need no compiler.
 *
 * Sections: 1 .text, 2 .rodata, 3 .rela.text, 4 .symtab, 5 .strtab. Symbols: 1 the section .rodata, 2 the global function
 * "kernel" at the start of .text, 3 the undefined "outside".
 *
 * Its kernel returns SB_SAMPLE_RESULT, read from .rodata. */
#ifndef SB_JIT_TEST_OBJECT_H
#define SB_JIT_TEST_OBJECT_H

#include <stdint.h>
#include <string.h>

#define SB_SAMPLE_RESULT 0x01020304
#define SB_SAMPLE_SECTION_COUNT 6
#define SB_SAMPLE_SYMBOL_OUTSIDE 3

enum {
    SB_SAMPLE_TEXT_AT = 64,
    SB_SAMPLE_TEXT_SIZE = 12,
    SB_SAMPLE_RODATA_AT = 80,
    SB_SAMPLE_RODATA_SIZE = 4,
    SB_SAMPLE_RELA_AT = 88,
    SB_SAMPLE_RELA_SIZE = 48,
    SB_SAMPLE_SYMTAB_AT = 136,
    SB_SAMPLE_SYMTAB_SIZE = 96,
    SB_SAMPLE_STRTAB_AT = 232,
    SB_SAMPLE_STRTAB_SIZE = 16,
    SB_SAMPLE_SECTIONS_AT = 248,
    SB_SAMPLE_SIZE = SB_SAMPLE_SECTIONS_AT + SB_SAMPLE_SECTION_COUNT * 64,
    SB_SAMPLE_X86 = 62,
    SB_SAMPLE_ARM = 183,
};

static inline void sb_sample_put(uint8_t *at, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

static inline void sb_sample_section(uint8_t *object, size_t index, uint32_t type, uint64_t flags,
                                     size_t offset, size_t size, uint32_t link, uint32_t info,
                                     uint64_t alignment, uint64_t entry_size)
{
    uint8_t *at = object + SB_SAMPLE_SECTIONS_AT + index * 64;
    sb_sample_put(at + 4, type, 4);
    sb_sample_put(at + 8, flags, 8);
    sb_sample_put(at + 24, offset, 8);
    sb_sample_put(at + 32, size, 8);
    sb_sample_put(at + 40, link, 4);
    sb_sample_put(at + 44, info, 4);
    sb_sample_put(at + 48, alignment, 8);
    sb_sample_put(at + 56, entry_size, 8);
}

static inline void sb_sample_rela(uint8_t *object, size_t index, uint64_t offset, uint32_t symbol,
                                  uint32_t kind, int64_t addend)
{
    uint8_t *at = object + SB_SAMPLE_RELA_AT + index * 24;
    sb_sample_put(at, offset, 8);
    sb_sample_put(at + 8, ((uint64_t)symbol << 32) | kind, 8);
    sb_sample_put(at + 16, (uint64_t)addend, 8);
}

static inline void sb_sample_symbol(uint8_t *object, size_t index, uint32_t name, uint8_t info,
                                    uint16_t section)
{
    uint8_t *at = object + SB_SAMPLE_SYMTAB_AT + index * 24;
    sb_sample_put(at, name, 4);
    at[4] = info;
    sb_sample_put(at + 6, section, 2);
}

/* object has SB_SAMPLE_SIZE bytes. */
static inline void sb_sample_object(uint8_t *object, uint16_t machine)
{
    static const uint8_t ident[7] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    static const uint8_t x86[SB_SAMPLE_TEXT_SIZE] = {0x8b, 0x05, 0,   0,
                                                     0,    0,    0xc3};  /* mov eax; ret */
    static const uint32_t arm[3] = {0x90000000, 0xb9400000, 0xd65f03c0}; /* adrp; ldr; ret */
    memset(object, 0, SB_SAMPLE_SIZE);
    memcpy(object, ident, sizeof(ident));
    sb_sample_put(object + 16, 1, 2);
    sb_sample_put(object + 18, machine, 2);
    sb_sample_put(object + 20, 1, 4);
    sb_sample_put(object + 40, SB_SAMPLE_SECTIONS_AT, 8);
    sb_sample_put(object + 52, 64, 2);
    sb_sample_put(object + 58, 64, 2);
    sb_sample_put(object + 60, SB_SAMPLE_SECTION_COUNT, 2);
    sb_sample_put(object + SB_SAMPLE_RODATA_AT, SB_SAMPLE_RESULT, 4);
    if (machine == SB_SAMPLE_X86) {
        memcpy(object + SB_SAMPLE_TEXT_AT, x86, sizeof(x86));
        sb_sample_rela(object, 0, 2, 1, 2, -4);
        sb_sample_rela(object, 1, 8, 1, 2, 0);
    } else {
        memcpy(object + SB_SAMPLE_TEXT_AT, arm, sizeof(arm));
        sb_sample_rela(object, 0, 0, 1, 275, 0);
        sb_sample_rela(object, 1, 4, 1, 285, 0);
    }
    memcpy(object + SB_SAMPLE_STRTAB_AT, "\0kernel\0outside", SB_SAMPLE_STRTAB_SIZE);
    sb_sample_symbol(object, 1, 0, 3, 2);
    sb_sample_symbol(object, 2, 1, (1 << 4) | 2, 1);
    sb_sample_symbol(object, 3, 8, 1 << 4, 0);
    sb_sample_section(object, 1, 1, 6, SB_SAMPLE_TEXT_AT, SB_SAMPLE_TEXT_SIZE, 0, 0, 16, 0);
    sb_sample_section(object, 2, 1, 2, SB_SAMPLE_RODATA_AT, SB_SAMPLE_RODATA_SIZE, 0, 0, 4, 0);
    sb_sample_section(object, 3, 4, 0, SB_SAMPLE_RELA_AT, SB_SAMPLE_RELA_SIZE, 4, 1, 8, 24);
    sb_sample_section(object, 4, 2, 0, SB_SAMPLE_SYMTAB_AT, SB_SAMPLE_SYMTAB_SIZE, 5, 2, 8, 24);
    sb_sample_section(object, 5, 3, 0, SB_SAMPLE_STRTAB_AT, SB_SAMPLE_STRTAB_SIZE, 0, 0, 1, 0);
}

/* Of the engine; a program that is built for another machine than the engine is told (meson.build). */
#if defined(SB_SAMPLE_FOR_ARM) || defined(__aarch64__)
#define SB_SAMPLE_HOST SB_SAMPLE_ARM
#else
#define SB_SAMPLE_HOST SB_SAMPLE_X86
#endif

#endif
