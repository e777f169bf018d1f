/* Loader of relocatable objects (loader.h).
 *
 * Algorithm:
 *   1. read the section table; each section's bytes must lie inside the file
 *   2. lay out the allocated sections one after another, each at its alignment; a writable or
 *      zero-filled one is refused, notes and unwind tables are left out
 *   3. copy them into a private buffer
 *   4. apply the relocations of the sections laid out; a symbol must be defined in one of them
 *   5. note the global functions by name
 *   6. hand the buffer to the os room, which maps a sealed copy of it read+execute
 *
 * The file is not assumed to be aligned: every struct is copied out before it is looked at. Sizes come as 64-bit numbers from
 * the file; each is bounded by the file's size or IMAGE_SIZE_MAX before it takes part in arithmetic.
 *
 * Threads: none. Memory: the image lives from 2 to 6; an object keeps the mapping, function list and names. */
#include "jit/loader.h"

#include <string.h>

#include "base/mem.h"
#include "jit/loader_int.h"
#include "os/os.h"

#define IMAGE_SIZE_MAX ((size_t)64 << 20)
#define ALIGNMENT_MAX ((uint64_t)4096)
#define SECTION_COUNT_MAX 4096u
#define NOT_LOADED SIZE_MAX
/* Bytes before the first section: a sanitizer's check of a call by pointer reads what precedes a function. */
#define IMAGE_LEAD ((size_t)64)

enum {
    ELF_TYPE_RELOCATABLE = 1,
    SECTION_PROGBITS = 1,
    SECTION_SYMTAB = 2,
    SECTION_STRTAB = 3,
    SECTION_RELA = 4,
    SECTION_NOTE = 7,
    SECTION_REL = 9,
    SECTION_X86_UNWIND = 0x70000001,
    FLAG_WRITE = 1,
    FLAG_ALLOC = 2,
    FLAG_EXECUTE = 4,
    FLAG_THREAD_LOCAL = 0x400,
    INDEX_RESERVED = 0xff00,
    BIND_LOCAL = 0,
    TYPE_FUNCTION = 2,
};

typedef struct elf_header {
    uint8_t ident[16];
    uint16_t type;
    uint16_t machine;
    uint32_t version;
    uint64_t entry;
    uint64_t program_offset;
    uint64_t section_offset;
    uint32_t flags;
    uint16_t header_size;
    uint16_t program_size;
    uint16_t program_count;
    uint16_t section_size;
    uint16_t section_count;
    uint16_t name_section;
} elf_header;

typedef struct elf_section {
    uint32_t name;
    uint32_t type;
    uint64_t flags;
    uint64_t address;
    uint64_t offset;
    uint64_t size;
    uint32_t link;
    uint32_t info;
    uint64_t alignment;
    uint64_t entry_size;
} elf_section;

typedef struct elf_symbol {
    uint32_t name;
    uint8_t info; /* binding in the high four bits, type in the low */
    uint8_t other;
    uint16_t section;
    uint64_t value;
    uint64_t size;
} elf_symbol;

typedef struct elf_rela {
    uint64_t offset;
    uint64_t info; /* symbol in the high word, kind in the low */
    int64_t addend;
} elf_rela;

_Static_assert(sizeof(elf_header) == 64 && sizeof(elf_section) == 64 && sizeof(elf_symbol) == 24 &&
                   sizeof(elf_rela) == 24,
               "as in the file");

/* The file while it is read. */
typedef struct reader {
    const uint8_t *bytes;
    size_t size;
    elf_section *sections; /* section_count of them */
    size_t *places;        /* of each section in the image; NOT_LOADED */
    size_t section_count;
    size_t symtab; /* index; 0: none */
    size_t symbol_count;
    sb_elf_image *image;
    sb_elf_machine machine;
} reader;

struct sb_object {
    sb_code_map map;
    sb_elf_function *functions;
    size_t function_count;
    char *names;
};

static sb_status malformed(const char *what, sb_error *err)
{
    return sb_error_set(err, SB_INVALID, "object: %s", what);
}

static sb_status unsupported(const char *what, sb_error *err)
{
    return sb_error_set(err, SB_UNSUPPORTED, "object: %s", what);
}

static const uint8_t *section_bytes(const reader *in, size_t index)
{
    return in->bytes + in->sections[index].offset;
}

static sb_status read_header(const reader *in, elf_header *header, sb_error *err)
{
    static const uint8_t ident[7] = {0x7f, 'E', 'L', 'F',
                                     2,    1,   1}; /* 64 bits, little endian, version 1 */
    if (in->size < sizeof(*header)) {
        return malformed("shorter than its header", err);
    }
    memcpy(header, in->bytes, sizeof(*header));
    if (memcmp(header->ident, ident, sizeof(ident)) != 0 || header->type != ELF_TYPE_RELOCATABLE) {
        return malformed("not a relocatable ELF64 file", err);
    }
    if (header->machine != (uint16_t)in->machine) {
        return unsupported("made for another machine", err);
    }
    if (header->section_size != sizeof(elf_section) || header->section_count == 0 ||
        header->section_count > SECTION_COUNT_MAX) {
        return malformed("no sensible section table", err);
    }
    const size_t table_size = header->section_count * sizeof(elf_section);
    if (header->section_offset > in->size || table_size > in->size - header->section_offset) {
        return malformed("the section table lies outside the file", err);
    }
    return SB_OK;
}

/* Sections that take bytes of the file must lie inside it; only allocated ones without bytes are another matter. */
static sb_status check_section(reader *in, size_t index, sb_error *err)
{
    const elf_section *section = &in->sections[index];
    const bool in_file = section->type == SECTION_PROGBITS || section->type == SECTION_SYMTAB ||
                         section->type == SECTION_STRTAB || section->type == SECTION_RELA;
    if (in_file && (section->offset > in->size || section->size > in->size - section->offset)) {
        return malformed("a section lies outside the file", err);
    }
    if (section->type == SECTION_SYMTAB) {
        if (in->symtab != 0) {
            return malformed("two symbol tables", err);
        }
        if (section->entry_size != sizeof(elf_symbol) || section->size % sizeof(elf_symbol) != 0) {
            return malformed("the symbol table has entries of an odd size", err);
        }
        in->symtab = index;
        in->symbol_count = (size_t)section->size / sizeof(elf_symbol);
    }
    return SB_OK;
}

static sb_status read_sections(reader *in, sb_error *err)
{
    elf_header header;
    sb_status status = read_header(in, &header, err);
    if (status != SB_OK) {
        return status;
    }
    in->section_count = header.section_count;
    in->sections = sb_mem_alloc_array(in->section_count, sizeof(*in->sections));
    in->places = sb_mem_alloc_array(in->section_count, sizeof(*in->places));
    if (in->sections == NULL || in->places == NULL) {
        return sb_error_no_memory(err, in->section_count * sizeof(*in->sections));
    }
    memcpy(in->sections, in->bytes + header.section_offset,
           in->section_count * sizeof(*in->sections));
    for (size_t i = 0; i < in->section_count; i++) {
        in->places[i] = NOT_LOADED;
        status = check_section(in, i, err);
        if (status != SB_OK) {
            return status;
        }
    }
    return SB_OK;
}

/* Gives the section its place in the image, or leaves it out. */
static sb_status place_section(reader *in, size_t index, sb_error *err)
{
    const elf_section *section = &in->sections[index];
    sb_elf_image *image = in->image;
    if ((section->flags & FLAG_ALLOC) == 0 || section->size == 0 || section->type == SECTION_NOTE ||
        section->type == SECTION_X86_UNWIND) {
        return SB_OK;
    }
    if ((section->flags & (FLAG_WRITE | FLAG_THREAD_LOCAL)) != 0) {
        return unsupported("writable data", err);
    }
    if (section->type != SECTION_PROGBITS) {
        return unsupported("a section of another kind than code or constants", err);
    }
    const uint64_t alignment = section->alignment == 0 ? 1 : section->alignment;
    if ((alignment & (alignment - 1)) != 0 || alignment > ALIGNMENT_MAX) {
        return malformed("a section's alignment is no power of two up to 4096", err);
    }
    const size_t place = (image->size + (size_t)alignment - 1) & ~((size_t)alignment - 1);
    if (place > IMAGE_SIZE_MAX || section->size > IMAGE_SIZE_MAX - place) {
        return sb_error_set(err, SB_LIMIT, "object: over %zu bytes of code", IMAGE_SIZE_MAX);
    }
    in->places[index] = place;
    image->size = place + (size_t)section->size;
    return SB_OK;
}

static sb_status lay_out(reader *in, sb_error *err)
{
    in->image->size = IMAGE_LEAD;
    for (size_t i = 0; i < in->section_count; i++) {
        sb_status status = place_section(in, i, err);
        if (status != SB_OK) {
            return status;
        }
    }
    if (in->image->size == IMAGE_LEAD) {
        return malformed("no code", err);
    }
    in->image->bytes = sb_mem_alloc_aligned(in->image->size);
    if (in->image->bytes == NULL) {
        return sb_error_no_memory(err, in->image->size);
    }
    memset(in->image->bytes, 0, in->image->size);
    for (size_t i = 0; i < in->section_count; i++) {
        if (in->places[i] != NOT_LOADED) {
            memcpy(in->image->bytes + in->places[i], section_bytes(in, i),
                   (size_t)in->sections[i].size);
        }
    }
    return SB_OK;
}

static elf_symbol symbol_at(const reader *in, size_t index)
{
    elf_symbol symbol;
    memcpy(&symbol, section_bytes(in, in->symtab) + index * sizeof(symbol), sizeof(symbol));
    return symbol;
}

/* Offset of the symbol in the image. */
static sb_status symbol_place(const reader *in, size_t index, size_t *out, sb_error *err)
{
    if (index >= in->symbol_count) {
        return malformed("a relocation of a symbol that is not there", err);
    }
    const elf_symbol symbol = symbol_at(in, index);
    if (symbol.section == 0) {
        return unsupported("a call or reference to something outside it", err);
    }
    if (symbol.section >= INDEX_RESERVED || symbol.section >= in->section_count) {
        return malformed("a symbol in no section", err);
    }
    if (in->places[symbol.section] == NOT_LOADED) {
        return unsupported("a reference to a section that is not loaded", err);
    }
    if (symbol.value > in->sections[symbol.section].size) {
        return malformed("a symbol lies outside its section", err);
    }
    *out = in->places[symbol.section] + (size_t)symbol.value;
    return SB_OK;
}

static sb_status apply_relocation(const reader *in, size_t target, const elf_rela *rela,
                                  sb_error *err)
{
    size_t symbol = 0;
    sb_status status = symbol_place(in, (size_t)(rela->info >> 32), &symbol, err);
    if (status != SB_OK) {
        return status;
    }
    const elf_section *section = &in->sections[target];
    int64_t goal = 0;
    if (rela->offset >= section->size ||
        sb_add_overflow_i64((int64_t)symbol, rela->addend, &goal) ||
        goal < -(int64_t)IMAGE_SIZE_MAX || goal > 2 * (int64_t)IMAGE_SIZE_MAX) {
        return malformed("a relocation lies or points outside", err);
    }
    const size_t end = in->places[target] + (size_t)section->size;
    return sb_elf_relocate(in->image->bytes, end, in->machine, (uint32_t)rela->info,
                           in->places[target] + rela->offset, goal, err);
}

static sb_status relocate_section(const reader *in, const elf_section *table, sb_error *err)
{
    if (table->info >= in->section_count) {
        return malformed("relocations of a section that is not there", err);
    }
    if (in->places[table->info] == NOT_LOADED) {
        return SB_OK;
    }
    if (table->type == SECTION_REL) {
        return unsupported("relocations without addends", err);
    }
    if (table->entry_size != sizeof(elf_rela) || table->size % sizeof(elf_rela) != 0) {
        return malformed("relocations of an odd size", err);
    }
    if (in->symtab == 0 || table->link != in->symtab) {
        return malformed("relocations without their symbol table", err);
    }
    const size_t count = (size_t)table->size / sizeof(elf_rela);
    for (size_t i = 0; i < count; i++) {
        elf_rela rela;
        memcpy(&rela, in->bytes + table->offset + i * sizeof(rela), sizeof(rela));
        sb_status status = apply_relocation(in, table->info, &rela, err);
        if (status != SB_OK) {
            return status;
        }
    }
    return SB_OK;
}

static sb_status relocate(const reader *in, sb_error *err)
{
    for (size_t i = 0; i < in->section_count; i++) {
        const elf_section *section = &in->sections[i];
        if (section->type == SECTION_RELA || section->type == SECTION_REL) {
            sb_status status = relocate_section(in, section, err);
            if (status != SB_OK) {
                return status;
            }
        }
    }
    return SB_OK;
}

static bool is_global_function(const elf_symbol *symbol)
{
    return symbol->section != 0 && (symbol->info & 15) == TYPE_FUNCTION &&
           (symbol->info >> 4) != BIND_LOCAL;
}

/* Copies the string table, which ends in NUL, so that every name in it does. */
static sb_status copy_names(reader *in, size_t *names_size, sb_error *err)
{
    const size_t strings = in->sections[in->symtab].link;
    if (strings >= in->section_count || in->sections[strings].type != SECTION_STRTAB) {
        return malformed("the symbol table has no names", err);
    }
    const size_t size = (size_t)in->sections[strings].size;
    if (size == 0 || section_bytes(in, strings)[size - 1] != 0) {
        return malformed("the last name has no end", err);
    }
    in->image->names = sb_mem_alloc(size);
    if (in->image->names == NULL) {
        return sb_error_no_memory(err, size);
    }
    memcpy(in->image->names, section_bytes(in, strings), size);
    *names_size = size;
    return SB_OK;
}

static sb_status note_functions(reader *in, sb_error *err)
{
    size_t names_size = 0;
    if (in->symtab == 0) {
        return malformed("no symbol table", err);
    }
    sb_status status = copy_names(in, &names_size, err);
    if (status != SB_OK) {
        return status;
    }
    in->image->functions = sb_mem_alloc_array(in->symbol_count, sizeof(sb_elf_function));
    if (in->image->functions == NULL) {
        return sb_error_no_memory(err, in->symbol_count * sizeof(sb_elf_function));
    }
    for (size_t i = 1; i < in->symbol_count; i++) {
        const elf_symbol symbol = symbol_at(in, i);
        if (!is_global_function(&symbol)) {
            continue;
        }
        size_t place = 0;
        status = symbol_place(in, i, &place, err);
        if (status != SB_OK) {
            return status;
        }
        const elf_section *section = &in->sections[symbol.section];
        if (symbol.name >= names_size || symbol.value >= section->size ||
            (section->flags & FLAG_EXECUTE) == 0) {
            return malformed("a function without name or code", err);
        }
        in->image->functions[in->image->function_count++] =
            (sb_elf_function){.offset = place, .name_offset = symbol.name};
    }
    return SB_OK;
}

sb_status sb_elf_image_build(sb_elf_image *image, const void *bytes, size_t size,
                             sb_elf_machine machine, sb_error *err)
{
    *image = (sb_elf_image){0};
    reader in = {.bytes = bytes, .size = size, .image = image, .machine = machine};
    sb_status status = SB_OK;
    SB_TRY(read_sections(&in, err));
    SB_TRY(lay_out(&in, err));
    SB_TRY(relocate(&in, err));
    SB_TRY(note_functions(&in, err));
out:
    sb_mem_free(in.sections);
    sb_mem_free(in.places);
    if (status != SB_OK) {
        sb_elf_image_release(image);
    }
    return status;
}

void sb_elf_image_release(sb_elf_image *image)
{
    sb_mem_free_aligned(image->bytes);
    sb_mem_free(image->functions);
    sb_mem_free(image->names);
    *image = (sb_elf_image){0};
}

static sb_elf_machine running_machine(void)
{
#if defined(__x86_64__)
    return SB_ELF_X86_64;
#elif defined(__aarch64__) && defined(__AARCH64EL__)
    return SB_ELF_AARCH64;
#else
    return SB_ELF_NONE;
#endif
}

sb_status sb_object_load(const void *bytes, size_t size, sb_object **out, sb_error *err)
{
    if (running_machine() == SB_ELF_NONE) {
        return unsupported("no loader for this machine", err);
    }
    sb_elf_image image;
    sb_status status = sb_elf_image_build(&image, bytes, size, running_machine(), err);
    if (status != SB_OK) {
        return status;
    }
    sb_object *object = sb_mem_alloc_zero(sizeof(*object));
    if (object == NULL) {
        status = sb_error_no_memory(err, sizeof(*object));
    } else {
        status = sb_code_map_new(&object->map, image.bytes, image.size, err);
    }
    if (status == SB_OK) {
        object->functions = image.functions;
        object->function_count = image.function_count;
        object->names = image.names;
        image.functions = NULL;
        image.names = NULL;
        *out = object;
    } else {
        sb_mem_free(object);
    }
    sb_elf_image_release(&image);
    return status;
}

const void *sb_object_symbol(const sb_object *object, const char *name)
{
    for (size_t i = 0; i < object->function_count; i++) {
        if (strcmp(object->names + object->functions[i].name_offset, name) == 0) {
            return object->map.base + object->functions[i].offset;
        }
    }
    return NULL;
}

size_t sb_object_size(const sb_object *object)
{
    return object->map.size;
}

void sb_object_free(sb_object *object)
{
    if (object != NULL) {
        sb_code_map_release(&object->map);
        sb_mem_free(object->functions);
        sb_mem_free(object->names);
        sb_mem_free(object);
    }
}
