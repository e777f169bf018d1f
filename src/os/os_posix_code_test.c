/* Tests of executable mappings: code runs, also under PR_SET_MDWE; refusals are told; nothing is writable. */
#define _GNU_SOURCE 1

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "os/os.h"
#include "os/os_test.h"

#define MDWE_SET 65 /* PR_SET_MDWE */
#define MDWE_REFUSE_EXEC_GAIN 1UL
#define FILE_EXEC 0x10u /* MFD_EXEC */

/* The function begins 16 bytes in: clang's function sanitizer looks at the bytes before the one it calls. */
#define ENTRY 16
#if defined(__x86_64__)
static const uint8_t return_42[] = {0, 0, 0, 0, 0, 0,    0,    0,    0,    0,    0,
                                    0, 0, 0, 0, 0, 0xB8, 0x2A, 0x00, 0x00, 0x00, 0xC3};
#elif defined(__aarch64__)
static const uint8_t return_42[] = {0, 0, 0, 0, 0,    0,    0,    0,    0,    0,    0,    0,
                                    0, 0, 0, 0, 0x40, 0x05, 0x80, 0x52, 0xC0, 0x03, 0x5F, 0xD6};
#else
#error "the bytes of a function that returns 42 are needed for this processor"
#endif

static int call(const sb_code_map *map)
{
    int (*function)(void);
    const uint8_t *entry = map->base + ENTRY;
    memcpy(&function, &entry, sizeof(function));
    return function();
}

/* The permissions of the mapping that holds the address, "r-xp", or "" when there is none. */
static void permissions_of(const void *address, char out[5])
{
    out[0] = '\0';
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
        char *rest = line; /* "start-end flags ..." */
        unsigned long start = strtoul(rest, &rest, 16);
        unsigned long end = *rest == '-' ? strtoul(rest + 1, &rest, 16) : 0;
        if ((uintptr_t)address >= start && (uintptr_t)address < end && strlen(rest) > 5) {
            memcpy(out, rest + 1, 4);
            out[4] = '\0';
        }
    }
    if (maps != NULL) {
        (void)fclose(maps);
    }
}

static int lowest_free_descriptor(void)
{
    int fd = dup(0);
    (void)close(fd);
    return fd;
}

static void code_runs(void **state)
{
    (void)state;
    int descriptor = lowest_free_descriptor();
    sb_code_map map = {0};
    sb_error err = {0};
    assert_int_equal(sb_code_map_new(&map, return_42, sizeof(return_42), &err), SB_OK);
    assert_memory_equal(map.base, return_42, sizeof(return_42));
    assert_int_equal(map.size, sizeof(return_42));
    assert_int_equal(call(&map), 42);
    char flags[5];
    permissions_of(map.base, flags);
    assert_string_equal(flags, "r-xp");
    const uint8_t *base = map.base;
    sb_code_map_release(&map);
    assert_null(map.base);
    permissions_of(base, flags);
    assert_string_equal(flags, "");
    sb_code_map_release(&map);
    assert_int_equal(lowest_free_descriptor(), descriptor);
    assert_int_equal(sb_code_map_new(&map, return_42, 0, &err), SB_INVALID);
}

/* Sizes round a page and far beyond: all bytes arrive, the last function runs. */
static void large_code_arrives_whole(void **state)
{
    (void)state;
    static uint8_t bytes[3 << 20];
    const size_t sizes[] = {4095, 4096, 4097, sizeof(bytes)};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t size = sizes[i];
        for (size_t at = 0; at < size; at++) {
            bytes[at] = (uint8_t)(at * 31 >> 3);
        }
        size_t last = (size - sizeof(return_42)) & ~(size_t)15;
        memcpy(bytes + last, return_42, sizeof(return_42));
        sb_code_map map = {0};
        assert_int_equal(sb_code_map_new(&map, bytes, size, NULL), SB_OK);
        assert_memory_equal(map.base, bytes, size);
        sb_code_map tail = {.base = map.base + last, .size = sizeof(return_42)};
        assert_int_equal(call(&tail), 42);
        sb_code_map_release(&map);
    }
}

static int runs_under_mdwe_step(void)
{
    if (prctl(MDWE_SET, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0) {
        SB_STEP(errno == EINVAL); /* a kernel before 6.3 has no such rule to break */
    } else {
        void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        SB_STEP(page != MAP_FAILED);
        SB_STEP(mprotect(page, 4096, PROT_READ | PROT_EXEC) != 0); /* the rule is in force */
    }
    sb_code_map map = {0};
    SB_STEP(sb_code_map_new(&map, return_42, sizeof(return_42), NULL) == SB_OK);
    SB_STEP(call(&map) == 42);
    sb_code_map_release(&map);
    return 0;
}
SB_FORKED_TEST(runs_under_mdwe)

static int cannot_be_written_through_its_file_step(void)
{
    sb_code_map map = {0};
    SB_STEP(sb_code_map_new(&map, return_42, sizeof(return_42), NULL) == SB_OK);
    char path[64];
    unsigned long start = (unsigned long)(uintptr_t)map.base;
    (void)snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", start, start + 4096);
    FILE *file = fopen(path, "r+"); /* needs privileges; where it opens, the seal holds */
    if (file != NULL) {
        bool wrote = fputc(0, file) != EOF && fflush(file) == 0;
        (void)fclose(file);
        SB_STEP(!wrote);
    }
    SB_STEP(call(&map) == 42);
    sb_code_map_release(&map);
    return 0;
}
SB_FORKED_TEST(cannot_be_written_through_its_file)

static bool refused(const char *what)
{
    int descriptor = lowest_free_descriptor();
    sb_code_map map = {0};
    sb_error err = {0};
    sb_status status = sb_code_map_new(&map, return_42, sizeof(return_42), &err);
    return status == SB_OS && map.base == NULL && strstr(err.message, what) != NULL &&
           lowest_free_descriptor() == descriptor;
}

static int tells_a_refused_file_step(void)
{
    SB_STEP(sb_test_refuse_call(SYS_memfd_create, 0, 0, EPERM));
    SB_STEP(refused("memfd_create"));
    return 0;
}
SB_FORKED_TEST(tells_a_refused_file)

static int tells_a_refused_seal_step(void)
{
    SB_STEP(sb_test_refuse_call(SYS_fcntl, 1, 1033 /* F_ADD_SEALS */, EPERM));
    SB_STEP(refused("F_ADD_SEALS"));
    return 0;
}
SB_FORKED_TEST(tells_a_refused_seal)

static int tells_a_refused_mapping_step(void)
{
    SB_STEP(sb_test_refuse_call(SYS_mmap, 2, PROT_EXEC, EACCES));
    SB_STEP(refused("mmap"));
    return 0;
}
SB_FORKED_TEST(tells_a_refused_mapping)

static int tells_a_refused_write_step(void)
{
    SB_STEP(sb_test_refuse_call(SYS_write, 0, 0, ENOSPC));
    SB_STEP(refused("writing"));
    return 0;
}
SB_FORKED_TEST(tells_a_refused_write)

static int works_without_the_executable_flag_step(void)
{
    SB_STEP(sb_test_refuse_call(SYS_memfd_create, 1, FILE_EXEC, EINVAL));
    sb_code_map map = {0};
    SB_STEP(sb_code_map_new(&map, return_42, sizeof(return_42), NULL) == SB_OK);
    SB_STEP(call(&map) == 42);
    sb_code_map_release(&map);
    return 0;
}
SB_FORKED_TEST(works_without_the_executable_flag)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(code_runs),
        cmocka_unit_test(large_code_arrives_whole),
        cmocka_unit_test(runs_under_mdwe),
        cmocka_unit_test(cannot_be_written_through_its_file),
        cmocka_unit_test(tells_a_refused_file),
        cmocka_unit_test(tells_a_refused_seal),
        cmocka_unit_test(tells_a_refused_mapping),
        cmocka_unit_test(tells_a_refused_write),
        cmocka_unit_test(works_without_the_executable_flag),
    };
    return cmocka_run_group_tests_name("os_code", tests, NULL, NULL);
}
