/* Squares of blocks, and the trial of this process's libm. The exponent goes to pow as a value that no compiler knows: all of them make
 * a product of pow(x, 2.0), which is another number once in a thousand. */
#include "rt/square.h"

#include "base/error.h"
#include "rt/rt_table.h"

#define TRIED 8192 /* numbers made; one in sixteen is near enough to be a trial */
#define BLOCK 64

static const volatile double two = 2.0;

bool sb_rt_squares_agree(double (*power)(double, double))
{
    uint64_t random = 20240229;
    bool same = true;
    for (int turn = 0; turn < TRIED; turn++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        const uint64_t exponent = 1023 - 99 + (uint64_t)turn % 199;
        const uint64_t bits = (random >> 12) | (exponent << 52) | (random << 63);
        double a;
        double p;
        memcpy(&a, &bits, sizeof(a));
        const bool sure = sb_rt_square(a, SB_RT_SQUARE_MARGIN, &p);
        if (sure && !sb_rt_square(a, SB_RT_SQUARE_MARGIN - 0x1p-57, &p)) {
            same &= power(a, two) == p;
        }
    }
    return same;
}

void sb_rt_square_by_libm(double *out, const double *a, uint64_t lanes)
{
    const double exponent = two;
    for (; lanes != 0; lanes &= lanes - 1) {
        const int k = sb_ctz_u64(lanes);
        out[k] = pow(a[k], exponent);
    }
}

static int64_t square_few(double *restrict out, const double *restrict a, int64_t n, double margin)
{
    bool sure[BLOCK];
    uint64_t others = 0;
    int64_t leaves = 0;
    SB_ASSERT(n <= BLOCK);
    for (int64_t i = 0; i < n; i++) {
        sure[i] = sb_rt_square(a[i], margin, &out[i]);
    }
    for (int64_t i = 0; i < n; i++) {
        others |= (uint64_t)!sure[i] << i;
    }
    sb_rt_square_by_libm(out, a, others);
    for (; others != 0; others &= others - 1) {
        const int k = sb_ctz_u64(others);
        leaves |= -(int64_t)(!(out[k] - out[k] == 0.0) && a[k] - a[k] == 0.0);
    }
    return leaves;
}

int64_t sb_rt_square_block(double *restrict out, const double *restrict a, int64_t n)
{
    const double margin = sb_rt_table_here()->square_margin;
    int64_t leaves = 0;
    for (int64_t i = 0; i < n; i += BLOCK) {
        leaves |= square_few(out + i, a + i, n - i < BLOCK ? n - i : BLOCK, margin);
    }
    return leaves;
}
