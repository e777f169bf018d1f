/* For the tests of this room: where the compiler programs are, and LLVM IR for the real one. */
#ifndef SB_JIT_TEST_PROGRAMS_H
#define SB_JIT_TEST_PROGRAMS_H

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

static inline const char *sb_test_program(const char *variable, const char *in_build)
{
    static char path[2][1024];
    char *out = path[in_build[8] == 'f'];
    const char *given = getenv(variable);
    const char *build = getenv("SABOT_BUILD_DIR");
    if (given != NULL) {
        snprintf(out, sizeof(path[0]), "%s", given);
    } else {
        snprintf(out, sizeof(path[0]), "%s/%s", build != NULL ? build : ".", in_build);
    }
    FILE *file = fopen(out, "rb");
    if (file == NULL) {
        return NULL;
    }
    fclose(file);
    return out;
}

/* The misbehaving program; it is always built. */
static inline const char *sb_fake_program(void)
{
    return sb_test_program("SABOT_FAKE_HELPER", "src/jit/fake_helper");
}

/* sabot-jit; NULL in a build without LLVM. */
static inline const char *sb_real_program(void)
{
    return sb_test_program("SABOT_JIT_HELPER", "src/jit_helper/sabot-jit");
}

/* A kernel of two int64 columns, out = in0 + in1 + extra, that ignores active and nulls. It ends with row1. */
static inline void sb_write_add_kernel(sb_buf *out, long extra)
{
    sb_buf_printf(out,
                  "define i32 @kernel(ptr %%c, i32 %%row0, i32 %%row1) nounwind {\n"
                  "entry:\n"
                  "  %%in = load ptr, ptr %%c\n"
                  "  %%in0 = load ptr, ptr %%in\n"
                  "  %%in1p = getelementptr i8, ptr %%in, i64 16\n"
                  "  %%in1 = load ptr, ptr %%in1p\n"
                  "  %%outp = getelementptr i8, ptr %%c, i64 8\n"
                  "  %%out = load ptr, ptr %%outp\n"
                  "  %%out0 = load ptr, ptr %%out\n"
                  "  %%status = getelementptr i8, ptr %%c, i64 40\n"
                  "  store i32 0, ptr %%status\n"
                  "  br label %%head\n"
                  "head:\n"
                  "  %%row = phi i32 [ %%row0, %%entry ], [ %%next, %%body ]\n"
                  "  %%more = icmp slt i32 %%row, %%row1\n"
                  "  br i1 %%more, label %%body, label %%done\n"
                  "body:\n"
                  "  %%i = sext i32 %%row to i64\n"
                  "  %%ap = getelementptr i64, ptr %%in0, i64 %%i\n"
                  "  %%bp = getelementptr i64, ptr %%in1, i64 %%i\n"
                  "  %%op = getelementptr i64, ptr %%out0, i64 %%i\n"
                  "  %%a = load i64, ptr %%ap\n"
                  "  %%b = load i64, ptr %%bp\n"
                  "  %%s = add i64 %%a, %%b\n"
                  "  %%t = add i64 %%s, %ld\n"
                  "  store i64 %%t, ptr %%op\n"
                  "  %%next = add i32 %%row, 1\n"
                  "  br label %%head\n"
                  "done:\n"
                  "  ret i32 %%row1\n"
                  "}\n",
                  extra);
}

#endif
