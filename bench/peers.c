/* Hand-written C that bench/spine.py measures against, compiled with -O3 -march=native.
 *
 * exact_*: what a careful programmer writes for Python's integers: every overflow is noticed. They give the number of rows that do
 * not fit. loop_*: one accumulator a row, as the Python loop has it. */
#include <stdint.h>
#include <stdlib.h>

int64_t exact_madd(const int64_t *a, const int64_t *b, const int64_t *c, int64_t *out, int64_t n);
int64_t exact_poly(const int64_t *a, const int64_t *b, const int64_t *c, int64_t *out, int64_t n);
int64_t *exact_madd_fresh(const int64_t *a, const int64_t *b, const int64_t *c, int64_t n);
void fresh_free(int64_t *values);
int64_t loop_steps(const double *x, double *out, int64_t n, int64_t steps);

int64_t exact_madd(const int64_t *restrict a, const int64_t *restrict b, const int64_t *restrict c,
                   int64_t *restrict out, int64_t n)
{
    int64_t bad = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t product;
        bad += __builtin_mul_overflow(a[i], b[i], &product) |
               __builtin_add_overflow(product, c[i], &out[i]);
    }
    return bad;
}

int64_t exact_poly(const int64_t *restrict a, const int64_t *restrict b, const int64_t *restrict c,
                   int64_t *restrict out, int64_t n)
{
    int64_t bad = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t sum;
        int64_t twice;
        bad += __builtin_add_overflow(a[i], b[i], &sum) |
               __builtin_add_overflow(c[i], c[i], &twice) |
               __builtin_sub_overflow(sum, twice, &out[i]);
    }
    return bad;
}

/* Into memory that malloc has just given; NULL where a row does not fit. */
int64_t *exact_madd_fresh(const int64_t *a, const int64_t *b, const int64_t *c, int64_t n)
{
    int64_t *out = malloc((size_t)n * sizeof(*out));
    if (out != NULL && exact_madd(a, b, c, out, n) != 0) {
        free(out);
        return NULL;
    }
    return out;
}

void fresh_free(int64_t *values)
{
    free(values);
}

int64_t loop_steps(const double *restrict x, double *restrict out, int64_t n, int64_t steps)
{
    for (int64_t i = 0; i < n; i++) {
        double total = 0.0;
        for (int64_t j = 0; j < steps; j++) {
            total += x[i] * (double)j;
        }
        out[i] = total;
    }
    return 0;
}
