/* Loader of relocatable objects: what it loads, what it refuses, and that no bytes make it step outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "jit/helper.h"
#include "jit/loader_int.h"
#include "jit/test_object.h"
#include "jit/test_programs.h"
#include "os/os.h"

typedef int32_t (*plain_fn)(void);

static int32_t call_plain(const void *address)
{
    plain_fn fn;
    memcpy(&fn, &address, sizeof(fn));
    return fn();
}

static void test_loads_and_runs(void **state)
{
    (void)state;
    uint8_t bytes[SB_SAMPLE_SIZE];
    sb_sample_object(bytes, SB_SAMPLE_HOST);
    sb_object *object = NULL;
    sb_error err = {0};
    assert_int_equal(sb_object_load(bytes, sizeof(bytes), &object, &err), SB_OK);
    memset(bytes, 0, sizeof(bytes));
    assert_int_equal(call_plain(sb_object_symbol(object, "kernel")), SB_SAMPLE_RESULT);
    assert_null(sb_object_symbol(object, "outside"));
    assert_null(sb_object_symbol(object, ""));
    assert_true(sb_object_size(object) >= 16);
    sb_object_free(object);
}

static void test_x86_image(void **state)
{
    (void)state;
    uint8_t bytes[SB_SAMPLE_SIZE];
    sb_sample_object(bytes, SB_SAMPLE_X86);
    sb_elf_image image;
    assert_int_equal(sb_elf_image_build(&image, bytes, sizeof(bytes), SB_ELF_X86_64, NULL), SB_OK);
    int32_t distance = 0;
    memcpy(&distance, image.bytes + 64 + 2, 4);
    assert_int_equal(distance, 12 - 2 - 4);
    assert_int_equal(image.function_count, 1);
    sb_elf_image_release(&image);
    assert_int_equal(sb_elf_image_build(&image, bytes, sizeof(bytes), SB_ELF_AARCH64, NULL),
                     SB_UNSUPPORTED);
}

static void test_arm_image(void **state)
{
    (void)state;
    uint8_t bytes[SB_SAMPLE_SIZE];
    sb_sample_object(bytes, SB_SAMPLE_ARM);
    sb_elf_image image;
    assert_int_equal(sb_elf_image_build(&image, bytes, sizeof(bytes), SB_ELF_AARCH64, NULL), SB_OK);
    uint32_t words[2];
    memcpy(words, image.bytes + 64, sizeof(words));
    assert_int_equal(words[0], 0x90000000); /* the same page */
    assert_int_equal(words[1], 0xb9400000 | ((64 + 12) / 4) << 10);
    sb_elf_image_release(&image);
}

typedef struct arm_case {
    uint32_t kind;
    uint32_t before;
    uint64_t offset;
    int64_t target;
    uint32_t after; /* 0: refused */
} arm_case;

static void test_arm_relocations(void **state)
{
    (void)state;
    static const arm_case cases[] = {
        {274, 0x10000000, 8, 8 + 5, 0x30000020},        /* adr, 5 ahead */
        {274, 0x10000000, 8, 8 + (1 << 20), 0},         /* too far */
        {275, 0x90000000, 8, 3 * 4096 + 8, 0xf0000000}, /* adrp, 3 pages */
        {275, 0x90000000, 4096, 8, 0xf0ffffe0},         /* adrp, back a page */
        {277, 0x91000000, 0, 0x1234, 0x9108d000},       /* add, 0x234 */
        {278, 0x39400000, 0, 0x1235, 0x3948d400},       /* ldrb */
        {284, 0x79400000, 0, 0x1236, 0x79446c00},       /* ldrh, 0x236 / 2 */
        {285, 0xb9400000, 0, 0x1238, 0xb9423800},       /* ldr w, 0x238 / 4 */
        {286, 0xf9400000, 0, 0x1238, 0xf9411c00},       /* ldr x, 0x238 / 8 */
        {299, 0x3dc00000, 0, 0x1230, 0x3dc08c00},       /* ldr q, 0x230 / 16 */
        {299, 0x3dc00000, 0, 0x1238, 0},                /* not a multiple of 16 */
        {283, 0x94000000, 16, 8, 0x97fffffe},           /* bl, back 8 */
        {282, 0x14000000, 0, 64, 0x14000010},           /* b, 64 ahead */
        {282, 0x14000000, 0, 65, 0},                    /* between instructions */
        {283, 0x94000000, 0, (int64_t)1 << 27, 0},      /* too far */
        {283, 0x94000000, 2, 64, 0},                    /* itself between instructions */
        {261, 0, 16, 8, 0xfffffff8},                    /* word, back 8 */
        {257, 0, 0, 8, 0},                              /* absolute */
        {311, 0, 0, 8, 0},                              /* through a table of addresses */
    };
    for (size_t i = 0; i < SB_COUNT_OF(cases); i++) {
        static uint8_t bytes[8192];
        const arm_case *c = &cases[i];
        memset(bytes, 0, sizeof(bytes));
        memcpy(bytes + c->offset, &c->before, 4);
        sb_status status = sb_elf_relocate(bytes, sizeof(bytes), SB_ELF_AARCH64, c->kind, c->offset,
                                           c->target, NULL);
        assert_int_equal(status == SB_OK, c->after != 0);
        if (status == SB_OK) {
            uint32_t after = 0;
            memcpy(&after, bytes + c->offset, 4);
            assert_int_equal(after, c->after);
        }
    }
}

static void test_x86_relocations(void **state)
{
    (void)state;
    uint8_t bytes[32] = {0};
    int64_t wide = 0;
    const sb_elf_machine x86 = SB_ELF_X86_64;
    assert_int_equal(sb_elf_relocate(bytes, 32, x86, 24, 24, 8, NULL), SB_OK);
    memcpy(&wide, bytes + 24, 8);
    assert_int_equal(wide, -16);
    assert_int_equal(sb_elf_relocate(bytes, 32, x86, 24, 25, 8, NULL), SB_INVALID);
    assert_int_equal(sb_elf_relocate(bytes, 32, x86, 4, 28, 8, NULL), SB_OK);
    assert_int_equal(sb_elf_relocate(bytes, 32, x86, 2, 29, 8, NULL), SB_INVALID);
    assert_int_equal(sb_elf_relocate(bytes, 32, x86, 2, UINT64_MAX, 8, NULL), SB_INVALID);
    assert_int_equal(sb_elf_relocate(bytes, 2, x86, 2, 0, 8, NULL), SB_INVALID);
    assert_int_equal(sb_elf_relocate(bytes, 32, x86, 2, 0, (int64_t)1 << 32, NULL), SB_INVALID);
    static const uint32_t refused[] = {0, 1, 3, 9, 10, 11, 41, 42, 260, 283};
    for (size_t i = 0; i < SB_COUNT_OF(refused); i++) {
        assert_int_equal(sb_elf_relocate(bytes, 32, x86, refused[i], 0, 8, NULL), SB_UNSUPPORTED);
    }
}

/* One field of the sample changed, and what comes of it. */
typedef struct refusal {
    const char *what;
    size_t at;
    uint64_t value;
    size_t width;
    sb_status status;
} refusal;

#define SECTION(index, field) ((size_t)(SB_SAMPLE_SECTIONS_AT + (index) * 64 + (field)))
#define RELA(field) ((size_t)(SB_SAMPLE_RELA_AT + (field)))
#define SYMBOL(index, field) ((size_t)(SB_SAMPLE_SYMTAB_AT + (index) * 24 + (field)))

static const refusal refusals[] = {
    {"magic", 0, 0, 1, SB_INVALID},
    {"32 bits", 4, 1, 1, SB_INVALID},
    {"big endian", 5, 2, 1, SB_INVALID},
    {"executable file", 16, 2, 2, SB_INVALID},
    {"other machine", 18, 40, 2, SB_UNSUPPORTED},
    {"section table outside", 40, UINT64_MAX, 8, SB_INVALID},
    {"section table beyond", 40, SB_SAMPLE_SECTIONS_AT + 1, 8, SB_INVALID},
    {"section size", 58, 40, 2, SB_INVALID},
    {"no sections", 60, 0, 2, SB_INVALID},
    {"many sections", 60, 0xffff, 2, SB_INVALID},
    {"writable", SECTION(2, 8), 3, 8, SB_UNSUPPORTED},
    {"writable code", SECTION(1, 8), 7, 8, SB_UNSUPPORTED},
    {"thread-local", SECTION(2, 8), 0x402, 8, SB_UNSUPPORTED},
    {"zero-filled", SECTION(2, 4), 8, 4, SB_UNSUPPORTED},
    {"constructors", SECTION(2, 4), 14, 4, SB_UNSUPPORTED},
    {"alignment 3", SECTION(1, 48), 3, 8, SB_INVALID},
    {"alignment 8192", SECTION(1, 48), 8192, 8, SB_INVALID},
    {"bytes outside", SECTION(1, 24), SB_SAMPLE_SIZE, 8, SB_INVALID},
    {"size outside", SECTION(1, 32), UINT64_MAX, 8, SB_INVALID},
    {"offset wraps", SECTION(1, 24), UINT64_MAX - 4, 8, SB_INVALID},
    {"symbol entry size", SECTION(4, 56), 16, 8, SB_INVALID},
    {"symbol table size", SECTION(4, 32), SB_SAMPLE_SYMTAB_SIZE - 1, 8, SB_INVALID},
    {"no symbol table", SECTION(4, 4), 1, 4, SB_INVALID},
    {"two symbol tables", SECTION(5, 4), 2, 4, SB_INVALID},
    {"names elsewhere", SECTION(4, 40), 1, 4, SB_INVALID},
    {"names nowhere", SECTION(4, 40), 99, 4, SB_INVALID},
    {"names without end", SECTION(5, 32), SB_SAMPLE_STRTAB_SIZE - 1, 8, SB_INVALID},
    {"name outside", SYMBOL(2, 0), SB_SAMPLE_STRTAB_SIZE, 4, SB_INVALID},
    {"function outside code", SYMBOL(2, 8), SB_SAMPLE_TEXT_SIZE, 8, SB_INVALID},
    {"function far outside", SYMBOL(2, 8), UINT64_MAX, 8, SB_INVALID},
    {"function in constants", SYMBOL(2, 6), 2, 2, SB_INVALID},
    {"function in reserved section", SYMBOL(2, 6), 0xfff1, 2, SB_INVALID},
    {"function in no section", SYMBOL(2, 6), 77, 2, SB_INVALID},
    {"function in unloaded section", SYMBOL(2, 6), 5, 2, SB_UNSUPPORTED},
    {"relocation entry size", SECTION(3, 56), 16, 8, SB_INVALID},
    {"relocation table size", SECTION(3, 32), 47, 8, SB_INVALID},
    {"relocations of nothing", SECTION(3, 44), 99, 4, SB_INVALID},
    {"relocations of other symbols", SECTION(3, 40), 5, 4, SB_INVALID},
    {"relocations without addends", SECTION(3, 4), 9, 4, SB_UNSUPPORTED},
    {"relocation at the end", RELA(0), SB_SAMPLE_TEXT_SIZE - 3, 8, SB_INVALID},
    {"relocation outside", RELA(0), SB_SAMPLE_TEXT_SIZE, 8, SB_INVALID},
    {"relocation far outside", RELA(0), UINT64_MAX, 8, SB_INVALID},
    {"undefined symbol", RELA(12), SB_SAMPLE_SYMBOL_OUTSIDE, 4, SB_UNSUPPORTED},
    {"no such symbol", RELA(12), 4, 4, SB_INVALID},
    {"no such symbol at all", RELA(12), UINT32_MAX, 4, SB_INVALID},
    {"absolute", RELA(8), 1, 4, SB_UNSUPPORTED},
    {"table of addresses", RELA(8), 42, 4, SB_UNSUPPORTED},
    {"addend far", RELA(16), (uint64_t)1 << 40, 8, SB_INVALID},
    {"addend wraps", RELA(16), INT64_MAX, 8, SB_INVALID},
    {"target outside its section", SYMBOL(1, 8), SB_SAMPLE_RODATA_SIZE + 1, 8, SB_INVALID},
};

static void test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < SB_COUNT_OF(refusals); i++) {
        uint8_t bytes[SB_SAMPLE_SIZE];
        sb_sample_object(bytes, SB_SAMPLE_X86);
        sb_sample_put(bytes + refusals[i].at, refusals[i].value, refusals[i].width);
        sb_elf_image image;
        sb_error err = {0};
        sb_status status = sb_elf_image_build(&image, bytes, sizeof(bytes), SB_ELF_X86_64, &err);
        if (status != refusals[i].status) {
            fail_msg("%s: %s, %s", refusals[i].what, sb_status_name(status), err.message);
        }
        assert_null(image.bytes);
    }
}

/* Bytes in a heap block of exactly their size, so that a sanitizer sees every step outside. Not run, not mapped. */
static sb_status build_exactly(const uint8_t *bytes, size_t size, sb_elf_machine machine)
{
    uint8_t *copy = sb_mem_alloc(size);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    sb_elf_image image;
    sb_status status = sb_elf_image_build(&image, copy, size, machine, NULL);
    sb_mem_free(copy);
    for (size_t i = 0; i < image.function_count; i++) {
        assert_true(image.functions[i].offset < image.size);
        assert_true(strlen(image.names + image.functions[i].name_offset) < size);
    }
    sb_elf_image_release(&image);
    return status;
}

static void check_crafted(const uint8_t *bytes, size_t size, sb_elf_machine machine)
{
    assert_int_equal(build_exactly(bytes, size, machine), SB_OK);
    for (size_t cut = 0; cut < size; cut++) {
        assert_int_not_equal(build_exactly(bytes, cut, machine), SB_OK);
    }
    uint8_t *crafted = sb_mem_alloc(size);
    assert_non_null(crafted);
    static const uint8_t changes[] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff, 0x7f};
    int refused = 0;
    for (size_t at = 0; at < size; at++) {
        memcpy(crafted, bytes, size);
        for (size_t k = 0; k < SB_COUNT_OF(changes); k++) {
            crafted[at] = bytes[at] ^ changes[k];
            refused += build_exactly(crafted, size, machine) != SB_OK;
        }
        /* Runs of eight: whole fields at their extremes. */
        const size_t run = size - at < 8 ? size - at : 8;
        memset(crafted + at, 0xff, run);
        refused += build_exactly(crafted, size, machine) != SB_OK;
        memset(crafted + at, 0x00, run);
        refused += build_exactly(crafted, size, machine) != SB_OK;
    }
    assert_true(refused > 500);
    sb_mem_free(crafted);
}

static void test_crafted_samples(void **state)
{
    (void)state;
    uint8_t bytes[SB_SAMPLE_SIZE];
    sb_sample_object(bytes, SB_SAMPLE_X86);
    check_crafted(bytes, sizeof(bytes), SB_ELF_X86_64);
    sb_sample_object(bytes, SB_SAMPLE_ARM);
    check_crafted(bytes, sizeof(bytes), SB_ELF_AARCH64);
}

#ifdef SB_FAULTS
static void test_faults(void **state)
{
    (void)state;
    uint8_t bytes[SB_SAMPLE_SIZE];
    sb_sample_object(bytes, SB_SAMPLE_HOST);
    const int64_t live = sb_mem_live_blocks();
    bool all_done = false;
    for (int64_t nth = 1; !all_done; nth++) {
        sb_object *object = NULL;
        sb_fault_arm(nth, false);
        sb_status status = sb_object_load(bytes, sizeof(bytes), &object, NULL);
        all_done = !sb_fault_hit();
        sb_fault_arm(0, false);
        assert_int_equal(status, all_done ? SB_OK : SB_NO_MEMORY);
        sb_object_free(object);
        assert_int_equal(sb_mem_live_blocks(), live);
    }
}
#endif

/* --- objects of the real compiler ------------------------------------------------------------- */

static void compile_real(const char *text, sb_buf *object)
{
    sb_helper *helper = NULL;
    const sb_helper_options options = {.path = sb_real_program()};
    assert_int_equal(sb_helper_new(&helper, &options, NULL), SB_OK);
    const sb_helper_request request = {
        .text = text, .text_size = strlen(text), .cpu = "", .deadline_ns = SB_NEVER};
    sb_error err = {0};
    if (sb_helper_compile(helper, &request, object, &err) != SB_OK) {
        fail_msg("%s", err.message);
    }
    sb_helper_free(helper);
}

/* Constants in .rodata, a local call, a switch that becomes a jump table. */
static const char real_text[] =
    "@table = private unnamed_addr constant [4 x i32] [i32 7, i32 11, i32 13, i32 17]\n"
    "define internal i32 @pick(i32 %i) noinline nounwind {\n"
    "  %p = getelementptr [4 x i32], ptr @table, i64 0, i32 %i\n"
    "  %v = load i32, ptr %p\n"
    "  ret i32 %v\n"
    "}\n"
    "define i32 @kernel() nounwind {\n"
    "  %a = call i32 @pick(i32 1)\n"
    "  %b = call i32 @pick(i32 3)\n"
    "  %s = mul i32 %a, %b\n"
    "  ret i32 %s\n"
    "}\n"
    "define internal i32 @choose(i32 %i, i32 %x) noinline nounwind {\n"
    "  switch i32 %i, label %z [i32 0, label %a i32 1, label %b i32 2, label %c i32 3, label %d "
    "i32 4, label %e]\n"
    "a:\n  %ra = mul i32 %x, %x\n  ret i32 %ra\n"
    "b:\n  %rb = sub i32 9, %x\n  ret i32 %rb\n"
    "c:\n  %rc = shl i32 3, %x\n  ret i32 %rc\n"
    "d:\n  %rd = xor i32 %x, 85\n  ret i32 %rd\n"
    "e:\n  %re = udiv i32 1000, %x\n  ret i32 %re\n"
    "z:\n  ret i32 0\n"
    "}\n"
    "define i32 @other() nounwind {\n"
    "  %a = call i32 @choose(i32 3, i32 5)\n"
    "  %b = call i32 @choose(i32 4, i32 5)\n"
    "  %s = add i32 %a, %b\n"
    "  ret i32 %s\n"
    "}\n";

static void test_real_runs(void **state)
{
    (void)state;
    sb_buf bytes;
    sb_buf_init(&bytes, 0);
    compile_real(real_text, &bytes);
    sb_object *object = NULL;
    sb_error err = {0};
    if (sb_object_load(bytes.data, bytes.size, &object, &err) != SB_OK) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(call_plain(sb_object_symbol(object, "kernel")), 11 * 17);
    assert_int_equal(call_plain(sb_object_symbol(object, "other")), (5 ^ 85) + 1000 / 5);
    assert_null(sb_object_symbol(object, "pick"));
    sb_object_free(object);
    sb_buf_release(&bytes);
}

static void test_real_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "declare i32 @outside()\ndefine i32 @kernel() {\n  %a = call i32 @outside()\n  ret i32 "
        "%a\n}\n",
        "@x = internal global i32 5\ndefine ptr @kernel() {\n  ret ptr @x\n}\n",
        "@x = internal global i32 0\ndefine ptr @kernel() {\n  ret ptr @x\n}\n",
        "declare double @llvm.pow.f64(double, double)\n"
        "define double @kernel(double %a) {\n"
        "  %b = call double @llvm.pow.f64(double %a, double %a)\n"
        "  ret double %b\n"
        "}\n",
    };
    for (size_t i = 0; i < SB_COUNT_OF(texts); i++) {
        sb_buf bytes;
        sb_buf_init(&bytes, 0);
        compile_real(texts[i], &bytes);
        sb_object *object = NULL;
        assert_int_equal(sb_object_load(bytes.data, bytes.size, &object, NULL), SB_UNSUPPORTED);
        sb_buf_release(&bytes);
    }
}

static void test_real_crafted(void **state)
{
    (void)state;
    sb_buf bytes;
    sb_buf_init(&bytes, 0);
    compile_real(real_text, &bytes);
    check_crafted((const uint8_t *)bytes.data, bytes.size,
                  SB_SAMPLE_HOST == SB_SAMPLE_X86 ? SB_ELF_X86_64 : SB_ELF_AARCH64);
    sb_buf_release(&bytes);
}

int main(void)
{
    const struct CMUnitTest sample[] = {
        cmocka_unit_test(test_loads_and_runs),  cmocka_unit_test(test_x86_image),
        cmocka_unit_test(test_arm_image),       cmocka_unit_test(test_arm_relocations),
        cmocka_unit_test(test_x86_relocations), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_crafted_samples),
#ifdef SB_FAULTS
        cmocka_unit_test(test_faults),
#endif
    };
    const struct CMUnitTest real[] = {
        cmocka_unit_test(test_real_runs),
        cmocka_unit_test(test_real_refused),
        cmocka_unit_test(test_real_crafted),
    };
    int failed = cmocka_run_group_tests_name("sample object", sample, NULL, NULL);
    if (sb_real_program() != NULL) {
        failed += cmocka_run_group_tests_name("compiled objects", real, NULL, NULL);
    }
    return failed;
}
