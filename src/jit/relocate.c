/* Relocation kinds of x86-64 and aarch64 that occur between the sections of one object (loader_int.h).
 *
 * Everything is relative to the place, or to a 4 KiB page, so the image can be mapped at any page. Kinds that would need the
 * final address (absolute words) or a table of addresses (GOT) are refused: position-independent code with only local
 * symbols has none. A branch of AArch64 reaches 128 MiB, an image has 64 at most: no veneer is ever needed.
 *
 * Numbers are those of the System V ABI supplements of the two machines.
 * Threads: none. Memory: none. */
#include <string.h>

#include "jit/loader_int.h"

#define PAGE_MASK ((int64_t)4095)

enum {
    X86_PC32 = 2,
    X86_PLT32 = 4,
    X86_PC64 = 24,
    ARM_PREL64 = 260,
    ARM_PREL32 = 261,
    ARM_ADR_PREL_LO21 = 274,
    ARM_ADR_PREL_PG_HI21 = 275,
    ARM_ADD_ABS_LO12 = 277,
    ARM_LDST8_LO12 = 278,
    ARM_JUMP26 = 282,
    ARM_CALL26 = 283,
    ARM_LDST16_LO12 = 284,
    ARM_LDST32_LO12 = 285,
    ARM_LDST64_LO12 = 286,
    ARM_LDST128_LO12 = 299,
};

static sb_status refuse_kind(uint32_t kind, sb_error *err)
{
    return sb_error_set(err, SB_UNSUPPORTED, "object: relocation of kind %u", (unsigned)kind);
}

static sb_status refuse_range(uint32_t kind, sb_error *err)
{
    return sb_error_set(err, SB_INVALID,
                        "object: a relocation of kind %u does not reach its target",
                        (unsigned)kind);
}

static uint32_t load_u32(const uint8_t *bytes)
{
    uint32_t word;
    memcpy(&word, bytes, sizeof(word));
    return word;
}

static void store_u32(uint8_t *bytes, uint32_t word)
{
    memcpy(bytes, &word, sizeof(word));
}

static sb_status store_relative(uint8_t *field, size_t width, uint32_t kind, int64_t distance,
                                sb_error *err)
{
    if (width == sizeof(int64_t)) {
        memcpy(field, &distance, sizeof(distance));
        return SB_OK;
    }
    if (distance < INT32_MIN || distance > INT32_MAX) {
        return refuse_range(kind, err);
    }
    const int32_t narrow = (int32_t)distance;
    memcpy(field, &narrow, sizeof(narrow));
    return SB_OK;
}

/* Replaces `count` bits of the instruction from bit `at`. */
static void patch_bits(uint8_t *field, uint32_t at, uint32_t count, uint32_t value)
{
    const uint32_t mask = ((1u << count) - 1u) << at;
    store_u32(field, (load_u32(field) & ~mask) | ((value << at) & mask));
}

static void patch_adr(uint8_t *field, int64_t value)
{
    patch_bits(field, 29, 2, (uint32_t)(value & 3));
    patch_bits(field, 5, 19, (uint32_t)((uint64_t)value >> 2));
}

/* The 12 low bits of the address, in units of the access (1 << scale bytes). */
static sb_status patch_low12(uint8_t *field, uint32_t scale, uint32_t kind, int64_t target,
                             sb_error *err)
{
    const uint32_t low = (uint32_t)(target & PAGE_MASK);
    if ((low & ((1u << scale) - 1u)) != 0) {
        return refuse_range(kind, err);
    }
    patch_bits(field, 10, 12, low >> scale);
    return SB_OK;
}

static sb_status relocate_arm(uint8_t *field, uint32_t kind, int64_t place, int64_t target,
                              sb_error *err)
{
    const int64_t distance = target - place;
    switch (kind) {
    case ARM_ADR_PREL_LO21:
        if (distance < -(1 << 20) || distance >= (1 << 20)) {
            return refuse_range(kind, err);
        }
        patch_adr(field, distance);
        return SB_OK;
    case ARM_ADR_PREL_PG_HI21: {
        const int64_t pages = ((target & ~PAGE_MASK) - (place & ~PAGE_MASK)) / (PAGE_MASK + 1);
        if (pages < -(1 << 20) || pages >= (1 << 20)) {
            return refuse_range(kind, err);
        }
        patch_adr(field, pages);
        return SB_OK;
    }
    case ARM_JUMP26:
    case ARM_CALL26:
        if ((distance & 3) != 0 || distance < -(1 << 27) || distance >= (1 << 27)) {
            return refuse_range(kind, err);
        }
        patch_bits(field, 0, 26, (uint32_t)((uint64_t)distance >> 2));
        return SB_OK;
    case ARM_ADD_ABS_LO12:
    case ARM_LDST8_LO12:
        return patch_low12(field, 0, kind, target, err);
    case ARM_LDST16_LO12:
        return patch_low12(field, 1, kind, target, err);
    case ARM_LDST32_LO12:
        return patch_low12(field, 2, kind, target, err);
    case ARM_LDST64_LO12:
        return patch_low12(field, 3, kind, target, err);
    case ARM_LDST128_LO12:
        return patch_low12(field, 4, kind, target, err);
    default:
        return refuse_kind(kind, err);
    }
}

sb_status sb_elf_relocate(uint8_t *bytes, size_t size, sb_elf_machine machine, uint32_t kind,
                          uint64_t offset, int64_t target, sb_error *err)
{
    const bool x86 = machine == SB_ELF_X86_64;
    const bool wide = kind == (x86 ? (uint32_t)X86_PC64 : (uint32_t)ARM_PREL64);
    const bool narrow = x86 ? kind == X86_PC32 || kind == X86_PLT32 : kind == ARM_PREL32;
    const size_t width = wide ? 8 : 4;
    if (size < width || offset > size - width) {
        return sb_error_set(err, SB_INVALID, "object: a relocation lies outside its section");
    }
    uint8_t *field = bytes + offset;
    const int64_t place = (int64_t)offset;
    if (wide || narrow) {
        return store_relative(field, width, kind, target - place, err);
    }
    if (x86) {
        return refuse_kind(kind, err);
    }
    if ((offset & 3) != 0) {
        return sb_error_set(err, SB_INVALID, "object: a relocation lies between instructions");
    }
    return relocate_arm(field, kind, place, target, err);
}
