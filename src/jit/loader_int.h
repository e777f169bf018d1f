/* Private to the loader and its test: laying out and relocating without mapping, for any supported machine. */
#ifndef SB_JIT_LOADER_INT_H
#define SB_JIT_LOADER_INT_H

#include "jit/loader.h"

typedef enum sb_elf_machine {
    SB_ELF_X86_64 = 62,
    SB_ELF_AARCH64 = 183,
    SB_ELF_NONE = 0
} sb_elf_machine;

/* A function that the object defines. */
typedef struct sb_elf_function {
    size_t offset;      /* in the image */
    size_t name_offset; /* in names, NUL-terminated there */
} sb_elf_function;

/* Sections laid out one after another and relocated against each other, for any base that is a multiple of 4096. */
typedef struct sb_elf_image {
    uint8_t *bytes; /* sb_mem_free_aligned */
    size_t size;
    sb_elf_function *functions; /* sb_mem_free */
    size_t function_count;
    char *names; /* sb_mem_free */
} sb_elf_image;

/* On failure *image is zeroed. */
sb_status sb_elf_image_build(sb_elf_image *image, const void *bytes, size_t size,
                             sb_elf_machine machine, sb_error *err);
void sb_elf_image_release(sb_elf_image *image);

/* Patches the field at `offset` of bytes[0..size): kind as the machine's ABI numbers it, target = symbol + addend, as
 * offsets in the image. */
sb_status sb_elf_relocate(uint8_t *bytes, size_t size, sb_elf_machine machine, uint32_t kind,
                          uint64_t offset, int64_t target, sb_error *err);

#endif
