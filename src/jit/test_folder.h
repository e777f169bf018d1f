/* For the tests of this room: a folder made anew for each test, and plain reading and writing of the files in it. */
#ifndef SB_JIT_TEST_FOLDER_H
#define SB_JIT_TEST_FOLDER_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

#define SB_TEST_PATH_SIZE 512

static char sb_test_root[SB_TEST_PATH_SIZE / 2];

static inline int sb_test_make_root(void **state)
{
    (void)state;
    /* In memory where there is such a place: a key is synced to its disk, and hundreds are made. */
    const char *base = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : P_tmpdir;
    snprintf(sb_test_root, sizeof(sb_test_root), "%s/sabot-jit-XXXXXX", base);
    return mkdtemp(sb_test_root) == NULL ? -1 : 0;
}

/* Runs a shell command in the folder; its exit status. */
static inline int sb_test_shell(const char *command)
{
    char line[3 * SB_TEST_PATH_SIZE];
    snprintf(line, sizeof(line), "cd '%s' && %s", sb_test_root, command);
    return system(line);
}

static inline int sb_test_remove_root(void **state)
{
    (void)state;
    char line[SB_TEST_PATH_SIZE];
    snprintf(line, sizeof(line), "rm -rf '%s'", sb_test_root);
    return system(line);
}

static inline const char *sb_test_path(const char *name)
{
    static char paths[4][SB_TEST_PATH_SIZE];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, SB_TEST_PATH_SIZE, "%s/%s", sb_test_root, name);
    return path;
}

/* False: no such file. out is initialised here. */
static inline bool sb_test_read_file(const char *path, sb_buf *out)
{
    char bytes[4096];
    sb_buf_init(out, 0);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return false;
    }
    size_t got;
    while ((got = fread(bytes, 1, sizeof(bytes), file)) > 0) {
        sb_buf_append(out, bytes, got);
    }
    fclose(file);
    return true;
}

static inline bool sb_test_write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        return false;
    }
    const bool written = fwrite(bytes, 1, size, file) == size;
    return fclose(file) == 0 && written && chmod(path, 0600) == 0;
}

#endif
