/* The kernel call itself: generated code on one vector of 2,048 rows beside hand-written C, taking turns in one process.
 *
 *     bench_kernel <helper> <peers.so> <symbol> <ir text file>
 *
 * The IR's inputs are three int64 columns without nulls. Both write into memory that they have written before, in a ring larger than the
 * second-level cache is not needed: one vector's 64 KiB. Answers are compared first. Prints "<kernel ns/row> <peer ns/row>", medians. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ir/ir.h"
#include "ir/kernel.h"
#include "jit/code.h"
#include "jit/emit.h"
#include "os/os.h"

#define REPEATS 400 /* calls timed together */
#define ROUNDS 41

typedef int64_t (*peer_fn)(const int64_t *, const int64_t *, const int64_t *, int64_t *, int64_t);

static int64_t columns[3][SB_VECTOR_ROWS] SB_ALIGNED(64);
static int64_t ours[SB_VECTOR_ROWS] SB_ALIGNED(64);
static int64_t theirs[SB_VECTOR_ROWS] SB_ALIGNED(64);

static int fail(const char *what, const char *why)
{
    (void)fprintf(stderr, "bench_kernel: %s: %s\n", what, why);
    return 1;
}

static int compare_doubles(const void *x, const void *y)
{
    double a = *(const double *)x;
    double b = *(const double *)y;
    return (a > b) - (a < b);
}

static char *read_file(const char *path)
{
    static char text[1 << 16];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    size_t size = fread(text, 1, sizeof(text) - 1, file);
    (void)fclose(file);
    text[size] = '\0';
    return text;
}

static sb_kernel_fn compile(const char *helper, const sb_ir *ir, sb_jit **jit, sb_code **code,
                            sb_error *err)
{
    sb_jit_options options = {.helper_path = helper};
    sb_buf text;
    sb_buf_init(&text, 0);
    if (sb_jit_new(jit, &options, err) != SB_OK) {
        return NULL;
    }
    sb_emit_options emit = {.lanes = sb_emit_choose_lanes(ir, sb_jit_cpu(*jit)),
                            .fast = true,
                            .cpu_level = sb_jit_cpu(*jit)};
    if (sb_emit_llvm(ir, &emit, &text, err) != SB_OK ||
        sb_jit_request(*jit, &text, SB_EMIT_FAST, code, err) != SB_OK) {
        return NULL;
    }
    (void)sb_code_wait(*code, SB_NEVER);
    return sb_code_entry(*code);
}

static void measure(sb_kernel_fn kernel, sb_kcall *call, peer_fn peer)
{
    static double kernel_ns[ROUNDS];
    static double peer_ns[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
        int64_t t0 = sb_os_now_ns();
        for (int k = 0; k < REPEATS; k++) {
            (void)kernel(call, 0, SB_VECTOR_ROWS);
        }
        int64_t t1 = sb_os_now_ns();
        for (int k = 0; k < REPEATS; k++) {
            (void)peer(columns[0], columns[1], columns[2], theirs, SB_VECTOR_ROWS);
        }
        int64_t t2 = sb_os_now_ns();
        kernel_ns[round] = (double)(t1 - t0) / REPEATS / SB_VECTOR_ROWS;
        peer_ns[round] = (double)(t2 - t1) / REPEATS / SB_VECTOR_ROWS;
    }
    qsort(kernel_ns, ROUNDS, sizeof(double), compare_doubles);
    qsort(peer_ns, ROUNDS, sizeof(double), compare_doubles);
    (void)printf("%.4f %.4f\n", kernel_ns[ROUNDS / 2], peer_ns[ROUNDS / 2]);
}

int main(int argc, char **argv)
{
    sb_ir ir;
    sb_error err = {0};
    sb_jit *jit = NULL;
    sb_code *code = NULL;
    uint32_t stop = 0;
    if (argc != 5) {
        return fail("usage", "bench_kernel helper peers.so symbol ir.txt");
    }
    void *library = dlopen(argv[2], RTLD_NOW);
    void *symbol = library != NULL ? dlsym(library, argv[3]) : NULL;
    peer_fn peer = NULL;
    memcpy(&peer, &symbol, sizeof(peer)); /* ISO C has no cast for this */
    char *text = read_file(argv[4]);
    if (peer == NULL || text == NULL) {
        return fail(argv[2], "cannot be read");
    }
    if (sb_ir_parse(&ir, text, &err) != SB_OK) {
        return fail("IR", err.message);
    }
    sb_kernel_fn kernel = compile(argv[1], &ir, &jit, &code, &err);
    if (kernel == NULL) {
        return fail("compile", err.message);
    }
    uint64_t seed = 88172645463325252u;
    for (size_t k = 0; k < SB_COUNT_OF(columns); k++) {
        for (size_t i = 0; i < SB_VECTOR_ROWS; i++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            columns[k][i] = (int64_t)(seed % 2000001) - 1000000;
        }
    }
    sb_kin in[3] = {{columns[0], NULL}, {columns[1], NULL}, {columns[2], NULL}};
    sb_kout out = {.values = ours};
    sb_kcall call = {.in = in, .out = &out, .rt = &sb_rt_table_default, .stop = &stop};
    (void)kernel(&call, 0, SB_VECTOR_ROWS);
    (void)peer(columns[0], columns[1], columns[2], theirs, SB_VECTOR_ROWS);
    if (call.status != SB_K_DONE || memcmp(ours, theirs, sizeof(ours)) != 0) {
        return fail("answers", "differ");
    }
    measure(kernel, &call, peer);
    sb_code_drop(code);
    sb_jit_free(jit);
    sb_ir_release(&ir);
    (void)dlclose(library);
    return 0;
}
