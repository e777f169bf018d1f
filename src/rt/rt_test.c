/* The primitives against CPython's own answers (rt_vectors.inc), against independent definitions on random operands, and the
 * lane helpers against the primitives. */
#include "rt/rt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "rt/rt_table.h"
#include "rt/rt_vectors.inc"

#define INTS SB_COUNT_OF(vector_ints)
#define DOUBLES SB_COUNT_OF(vector_doubles)
#define RANDOM_ROUNDS 200000

static int64_t int_of(uint64_t bits)
{
    int64_t x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

static double double_of(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

static uint64_t double_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

static int64_t int_at(size_t index)
{
    return int_of(vector_ints[index]);
}

static double double_at(size_t index)
{
    return double_of(vector_doubles[index]);
}

#define AT(name, type)                                                                             \
    static type name##_at(size_t index)                                                            \
    {                                                                                              \
        return AT_##type(vector_##name[index]);                                                    \
    }
#define AT_int64_t int_of
#define AT_double double_of
AT(counts, int64_t)
AT(digits, int64_t)
AT(scales, int64_t)
AT(rounded, double)
AT(bases, double)
AT(exponents, double)
#undef AT

static bool same_int(int64_t x, uint64_t bits)
{
    return x == int_of(bits);
}

static bool same_double(double x, uint64_t bits)
{
    const double y = double_of(bits);
    return (x != x && y != y) || memcmp(&x, &bits, sizeof(x)) == 0;
}

static void check(bool ok, const char *name, size_t k, size_t columns)
{
    if (!ok) {
        fail_msg("%s: row %zu, column %zu differs from CPython", name, k / columns, k % columns);
    }
}

/* A leaving op: same reason, *out written exactly when there is none. */
#define LEAVING_GRID(name, rows, columns, at_a, at_b, type, same)                                  \
    assert_int_equal(sizeof(name##_reasons) - 1, (rows) * (columns));                              \
    for (size_t k = 0; k < (rows) * (columns); k++) {                                              \
        const type untouched = 77;                                                                 \
        type z = untouched;                                                                        \
        const sb_reason reason = sb_rt_##name(at_a(k / (columns)), at_b(k % (columns)), &z);       \
        check((char)('0' + (int)reason) == name##_reasons[k], #name " (reason)", k, (columns));    \
        const bool ok = reason == SB_REASON_NONE ? same(z, name##_results[k]) : z == untouched;    \
        check(ok, #name, k, (columns));                                                            \
    }

#define PLAIN_GRID(name, rows, columns, at_a, at_b, same)                                          \
    for (size_t k = 0; k < (rows) * (columns); k++) {                                              \
        check(name##_reasons[k] == '0', #name " (reason)", k, (columns));                          \
        check(same(sb_rt_##name(at_a(k / (columns)), at_b(k % (columns))), name##_results[k]),     \
              #name, k, (columns));                                                                \
    }

#define COMPARE_GRID(name, rows, columns, at_a, at_b)                                              \
    assert_int_equal(sizeof(name##_results) - 1, (rows) * (columns));                              \
    for (size_t k = 0; k < (rows) * (columns); k++) {                                              \
        const bool z = sb_rt_##name(at_a(k / (columns)), at_b(k % (columns)));                     \
        check((z ? '1' : '0') == name##_results[k], #name, k, (columns));                          \
    }

static void ints_are_cpythons(void **state)
{
    (void)state;
    LEAVING_GRID(py_add_i64, INTS, INTS, int_at, int_at, int64_t, same_int)
    LEAVING_GRID(py_sub_i64, INTS, INTS, int_at, int_at, int64_t, same_int)
    LEAVING_GRID(py_mul_i64, INTS, INTS, int_at, int_at, int64_t, same_int)
    LEAVING_GRID(py_floordiv_i64, INTS, INTS, int_at, int_at, int64_t, same_int)
    LEAVING_GRID(py_mod_i64, INTS, INTS, int_at, int_at, int64_t, same_int)
    LEAVING_GRID(py_truediv_i64, INTS, INTS, int_at, int_at, double, same_double)
    PLAIN_GRID(ix_add, INTS, INTS, int_at, int_at, same_int)
    PLAIN_GRID(ix_sub, INTS, INTS, int_at, int_at, same_int)
    PLAIN_GRID(ix_udiv, INTS, INTS, int_at, int_at, same_int)
}

static void bits_and_powers_are_cpythons(void **state)
{
    (void)state;
    const size_t counts = SB_COUNT_OF(vector_counts);
    PLAIN_GRID(py_and_i64, INTS, INTS, int_at, int_at, same_int)
    PLAIN_GRID(py_or_i64, INTS, INTS, int_at, int_at, same_int)
    PLAIN_GRID(py_xor_i64, INTS, INTS, int_at, int_at, same_int)
    LEAVING_GRID(py_lshift_i64, INTS, counts, int_at, counts_at, int64_t, same_int)
    LEAVING_GRID(py_rshift_i64, INTS, counts, int_at, counts_at, int64_t, same_int)
    LEAVING_GRID(py_pow_i64, INTS, counts, int_at, counts_at, int64_t, same_int)
    LEAVING_GRID(py_round_n_i64, INTS, counts, int_at, counts_at, int64_t, same_int)
    LEAVING_GRID(math_gcd_i64, INTS, INTS, int_at, int_at, int64_t, same_int)
    LEAVING_GRID(py_pow_f64, SB_COUNT_OF(vector_bases), SB_COUNT_OF(vector_exponents), bases_at,
                 exponents_at, double, same_double)
}

/* One operand: the columns of a grid of one column. */
#define ONE_LEAVING(name, rows, at_a, type, same)                                                  \
    for (size_t k = 0; k < (rows); k++) {                                                          \
        type z = 77;                                                                               \
        const sb_reason reason = name##_of(at_a(k), &z);                                           \
        check((char)('0' + (int)reason) == name##_reasons[k], #name " (reason)", k, 1);            \
        check(reason == SB_REASON_NONE ? same(z, name##_results[k]) : z == 77, #name, k, 1);       \
    }
#define math_isqrt_i64_of(a, out) sb_rt_math_isqrt_i64(a, 0, out)
#define math_exponent_of(a, out) sb_rt_math_exponent(a, 0, out)
#define py_abs_i64_of sb_rt_py_abs_i64
#define py_int_f64_of sb_rt_py_int_f64
#define math_sqrt_of sb_rt_math_sqrt

static void conversions_are_cpythons(void **state)
{
    (void)state;
    ONE_LEAVING(math_isqrt_i64, INTS, int_at, int64_t, same_int)
    ONE_LEAVING(math_exponent, DOUBLES, double_at, int64_t, same_int)
    LEAVING_GRID(math_ldexp, DOUBLES, SB_COUNT_OF(vector_scales), double_at, scales_at, double,
                 same_double)
    ONE_LEAVING(py_abs_i64, INTS, int_at, int64_t, same_int)
    ONE_LEAVING(py_int_f64, DOUBLES, double_at, int64_t, same_int)
    ONE_LEAVING(math_sqrt, DOUBLES, double_at, double, same_double)
    for (size_t k = 0; k < INTS; k++) {
        check(same_int(sb_rt_py_invert_i64(int_at(k)), py_invert_i64_results[k]), "py_invert_i64",
              k, 1);
        check(same_int(sb_rt_py_bit_count_i64(int_at(k)), py_bit_count_i64_results[k]),
              "py_bit_count_i64", k, 1);
        check(same_int(sb_rt_py_bit_length_i64(int_at(k)), py_bit_length_i64_results[k]),
              "py_bit_length_i64", k, 1);
    }
    for (size_t k = 0; k < DOUBLES; k++) {
        check(same_double(sb_rt_py_abs_f64(double_at(k)), py_abs_f64_results[k]), "py_abs_f64", k,
              1);
    }
}

/* Rounding may leave for CPython where it wants more digits than a double has; where it does not, it is right. */
static void rounding_is_cpythons(void **state)
{
    (void)state;
    const size_t columns = SB_COUNT_OF(vector_digits);
    const size_t cells = SB_COUNT_OF(vector_rounded) * columns;
    size_t answered = 0;
    for (size_t k = 0; k < cells; k++) {
        double z = 0;
        if (sb_rt_py_round_n_f64(rounded_at(k / columns), digits_at(k % columns), &z) ==
            SB_REASON_NONE) {
            check(py_round_n_f64_reasons[k] == '0', "py_round_n_f64 (reason)", k, columns);
            check(same_double(z, py_round_n_f64_results[k]), "py_round_n_f64", k, columns);
            answered++;
        }
    }
    assert_true(answered * 2 > cells);
}

static volatile double two = 2.0; /* a compiler that sees it makes a product of the power */

/* One of the libm's results, near boundaries where its rounding shows, also when the exponent is written down. */
static void squares_are_libms(void **state)
{
    (void)state;
    const double others[] = {0x1.5ee652457cd05p+1, 0x1.fb1939858c8dp-2, 0x1.f9dad1b6bcfcbp+59};
    for (size_t k = 0; k < SB_COUNT_OF(others); k++) {
        double z = 0;
        assert_int_equal(sb_rt_py_pow_f64(others[k], 2.0, &z), SB_REASON_NONE);
        assert_true(z == pow(others[k], two));
        assert_int_equal(sb_rt_math_pow(-others[k], 2.0, &z), SB_REASON_NONE);
        assert_true(z == pow(others[k], two));
        assert_false(sb_rt_square(others[k], SB_RT_SQUARE_MARGIN, &z));
    }
}

static double square_input(uint64_t random, int kind)
{
    switch (kind % 6) {
    case 0: /* any double */
        return double_of(random);
    case 1: /* of a usual size */
        return double_of((random >> 12) | ((UINT64_C(1023) - 60 + random % 120) << 52));
    case 2: /* a float's */
        return (double)(float)double_of((random >> 12) |
                                        ((UINT64_C(1023) - 30 + random % 60) << 52));
    case 3: /* whole, its square fits or not */
        return (double)(int64_t)(random >> (1 + random % 60));
    case 4: /* decimal */
        return (double)(int64_t)(random % 2000001) / 1000.0 - 1000.0;
    default: /* next to the root of a power of two, where doubles become denser */
        return ldexp(double_of(double_bits(sqrt(2.0)) + random % 64 - 32),
                     (int)(random >> 32) % 90);
    }
}

/* What needs no libm is what libm gives, and it is most of what there is; the blocks say the same. */
static void sure_squares_are_libms(void **state)
{
    (void)state;
    uint64_t random = 99;
    int64_t taken = 0;
    double in[100];
    double out[100];
    for (int turn = 0; turn < 60 * RANDOM_ROUNDS / 100; turn++) {
        int64_t leaves = 0;
        for (int k = 0; k < 100; k++) {
            double z = 0;
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
            in[k] = square_input(random ^ random >> 31, turn + k);
            const bool sure = sb_rt_square(in[k], SB_RT_SQUARE_MARGIN, &z);
            assert_true(!sure || z == pow(in[k], two));
            assert_true(!sb_rt_square(in[k], SB_RT_SQUARE_NO_MARGIN, &z) || in[k] == 0.0);
            taken += sure;
            leaves |= sb_rt_py_pow_f64(in[k], 2.0, &z) == SB_REASON_NONE ? 0 : -1;
        }
        const int64_t few = 1 + turn % 100;
        assert_true(sb_rt_square_block(out, in, few) >= 0 || leaves < 0);
        for (int64_t k = 0; k < few; k++) {
            const double z = pow(in[k], two);
            assert_true(memcmp(&z, &out[k], sizeof(z)) == 0 || (z != z && out[k] != out[k]));
        }
        assert_true((sb_rt_square_block(out, in, 100) < 0) == (leaves < 0));
    }
    assert_true(taken > 60 * (int64_t)RANDOM_ROUNDS / 4 * 3);
}

/* 0.53 units of error: a little more than any libm that we know. */
static double sloppy_pow(double a, double b)
{
    const double p = a * a;
    const double error = fma(a, a, -p);
    const double unit = sb_rt_square_unit(p) * 0x1p-52;
    return fabs(error) < unit * (0.5 - 0.06) ? pow(a, b) : nextafter(p, error > 0.0 ? 1e308 : 0.0);
}

static void only_a_good_libm_is_trusted(void **state)
{
    (void)state;
    assert_true(sb_rt_squares_agree(pow));
    assert_false(sb_rt_squares_agree(sloppy_pow));
    assert_ptr_equal(sb_rt_table_here(), &sb_rt_table_default);
    assert_ptr_equal(sb_rt_table_here(), &sb_rt_table_default);
    assert_true(sb_rt_table_careful.square_margin < 0.0);
}

/* A zero remainder has the sign of the first operand, whatever libm says. */
static void remainders_of_zero_have_signs(void **state)
{
    (void)state;
    static const double pairs[][2] = {
        {6.730238372566097e-267, 2.2250738585072014e-308}, {4.0, 2.0}, {4.0, -2.0}, {0.0, 3.0}};
    for (size_t k = 0; k < SB_COUNT_OF(pairs); k++) {
        for (int sign = 0; sign < 2; sign++) {
            double z = 77;
            const double a = sign != 0 ? -pairs[k][0] : pairs[k][0];
            assert_int_equal(sb_rt_math_remainder(a, pairs[k][1], &z), SB_REASON_NONE);
            assert_true(z == 0.0 && (signbit(z) != 0) == (sign != 0));
        }
    }
}

static void doubles_are_cpythons(void **state)
{
    (void)state;
    PLAIN_GRID(py_add_f64, DOUBLES, DOUBLES, double_at, double_at, same_double)
    PLAIN_GRID(py_sub_f64, DOUBLES, DOUBLES, double_at, double_at, same_double)
    PLAIN_GRID(py_mul_f64, DOUBLES, DOUBLES, double_at, double_at, same_double)
    LEAVING_GRID(py_truediv_f64, DOUBLES, DOUBLES, double_at, double_at, double, same_double)
    LEAVING_GRID(py_floordiv_f64, DOUBLES, DOUBLES, double_at, double_at, double, same_double)
    LEAVING_GRID(py_mod_f64, DOUBLES, DOUBLES, double_at, double_at, double, same_double)
}

static void one_operand_is_cpythons(void **state)
{
    (void)state;
    for (size_t k = 0; k < INTS; k++) {
        const int64_t a = int_at(k);
        int64_t negated = 77;
        double exact = 77;
        const sb_reason neg = sb_rt_py_neg_i64(a, &negated);
        check((char)('0' + (int)neg) == py_neg_i64_reasons[k], "py_neg_i64 (reason)", k, 1);
        check(neg != SB_REASON_NONE ? negated == 77 : same_int(negated, py_neg_i64_results[k]),
              "py_neg_i64", k, 1);
        const sb_reason fits = sb_rt_py_exact_float_i64(a, &exact);
        check((char)('0' + (int)fits) == py_exact_float_i64_reasons[k], "py_exact_float_i64", k, 1);
        check(fits != SB_REASON_NONE ? exact == 77
                                     : same_double(exact, py_exact_float_i64_results[k]),
              "py_exact_float_i64", k, 1);
        check(same_double(sb_rt_py_float_i64(a), py_float_i64_results[k]), "py_float_i64", k, 1);
    }
    for (size_t k = 0; k < DOUBLES; k++) {
        check(same_double(sb_rt_py_neg_f64(double_at(k)), py_neg_f64_results[k]), "py_neg_f64", k,
              1);
    }
    assert_int_equal(sb_rt_py_int_b(true), 1);
    assert_int_equal(sb_rt_py_int_b(false), 0);
}

static void comparisons_are_cpythons(void **state)
{
    (void)state;
    COMPARE_GRID(py_eq_i64, INTS, INTS, int_at, int_at)
    COMPARE_GRID(py_lt_i64, INTS, INTS, int_at, int_at)
    COMPARE_GRID(py_le_i64, INTS, INTS, int_at, int_at)
    COMPARE_GRID(py_eq_f64, DOUBLES, DOUBLES, double_at, double_at)
    COMPARE_GRID(py_lt_f64, DOUBLES, DOUBLES, double_at, double_at)
    COMPARE_GRID(py_le_f64, DOUBLES, DOUBLES, double_at, double_at)
    COMPARE_GRID(py_eq_i64_f64, INTS, DOUBLES, int_at, double_at)
    COMPARE_GRID(py_lt_i64_f64, INTS, DOUBLES, int_at, double_at)
    COMPARE_GRID(py_le_i64_f64, INTS, DOUBLES, int_at, double_at)
    COMPARE_GRID(py_gt_i64_f64, INTS, DOUBLES, int_at, double_at)
    COMPARE_GRID(py_ge_i64_f64, INTS, DOUBLES, int_at, double_at)
}

/* --- random operands against other definitions ------------------------------------------------------------------------ */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* All magnitudes alike. */
static int64_t any_int(uint64_t *state)
{
    const int64_t x = int_of(next_random(state));
    return x / (INT64_C(1) << (next_random(state) % 63));
}

static uint64_t magnitude(int64_t x)
{
    return x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
}

/* Magnitude by long multiplication of 32-bit halves; true when it needs more than 64 bits. */
static bool multiply(uint64_t a, uint64_t b, uint64_t *out)
{
    const uint64_t low = (a & UINT32_MAX) * (b & UINT32_MAX);
    const uint64_t mid1 = (a >> 32) * (b & UINT32_MAX) + (low >> 32);
    const uint64_t mid2 = (a & UINT32_MAX) * (b >> 32) + (mid1 & UINT32_MAX);
    const uint64_t high = (a >> 32) * (b >> 32) + (mid1 >> 32) + (mid2 >> 32);
    *out = (mid2 << 32) | (low & UINT32_MAX);
    return high != 0;
}

/* Does sign and magnitude fit an int64? */
static bool fits(bool negative, uint64_t size)
{
    return size <= (uint64_t)INT64_MAX + (negative ? 1 : 0);
}

static void random_products(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u;
    int overflows = 0;
    for (int k = 0; k < RANDOM_ROUNDS; k++) {
        const int64_t a = any_int(&random);
        const int64_t b = any_int(&random);
        const bool negative = (a < 0) != (b < 0);
        uint64_t size;
        const bool wide = multiply(magnitude(a), magnitude(b), &size);
        int64_t z = 0;
        const sb_reason reason = sb_rt_py_mul_i64(a, b, &z);
        if (wide || !fits(negative, size)) {
            assert_int_equal(reason, SB_REASON_OVERFLOW);
            overflows++;
        } else {
            assert_int_equal(reason, SB_REASON_NONE);
            assert_true((uint64_t)z == (negative ? 0 - size : size));
        }
    }
    assert_in_range(overflows, RANDOM_ROUNDS / 100, RANDOM_ROUNDS - RANDOM_ROUNDS / 100);
}

/* a == q * b + r with 0 <= r < b, or b < r <= 0, has one solution. */
static void random_quotients(void **state)
{
    (void)state;
    uint64_t random = 4101842887655102017u;
    for (int k = 0; k < RANDOM_ROUNDS; k++) {
        const int64_t a = any_int(&random);
        const int64_t b = any_int(&random);
        int64_t q = 0;
        int64_t r = 0;
        if (b == 0 || (a == INT64_MIN && b == -1)) {
            continue;
        }
        assert_int_equal(sb_rt_py_floordiv_i64(a, b, &q), SB_REASON_NONE);
        assert_int_equal(sb_rt_py_mod_i64(a, b, &r), SB_REASON_NONE);
        assert_true(b > 0 ? r >= 0 && r < b : r <= 0 && r > b);
        assert_true((uint64_t)q * (uint64_t)b + (uint64_t)r == (uint64_t)a);
        assert_true(magnitude(q) <= magnitude(a)); /* so the sum above did not wrap twice */
    }
}

/* Small multiples of 1/64: every intermediate is exact, so the definition by real numbers can be computed. */
static void random_double_quotients(void **state)
{
    (void)state;
    uint64_t random = 1181783497276652981u;
    for (int k = 0; k < RANDOM_ROUNDS; k++) {
        const int64_t x = any_int(&random) >> 34;
        const int64_t y = any_int(&random) >> 34;
        if (y == 0) {
            continue;
        }
        int64_t q = 0;
        int64_t r = 0;
        double fq = 0;
        double fr = 0;
        assert_int_equal(sb_rt_py_floordiv_i64(x, y, &q), SB_REASON_NONE);
        assert_int_equal(sb_rt_py_mod_i64(x, y, &r), SB_REASON_NONE);
        const double a = (double)x / 64;
        const double b = (double)y / 64;
        assert_int_equal(sb_rt_py_floordiv_f64(a, b, &fq), SB_REASON_NONE);
        assert_int_equal(sb_rt_py_mod_f64(a, b, &fr), SB_REASON_NONE);
        assert_true(fq == (double)q);
        assert_true(fr == (double)r / 64);
        assert_true(signbit(fr) == signbit(b));
    }
}

static void lanes_are_the_primitives(void **state)
{
    (void)state;
    const sb_rt_table *rt = &sb_rt_table_default;
    double fa[32];
    double fb[32];
    double fz[32];
    int64_t ia[32];
    int64_t ib[32];
    int64_t iz[32];
    for (size_t shift = 0; shift < 32; shift++) {
        for (size_t k = 0; k < 32; k++) {
            fa[k] = double_at(k % DOUBLES);
            fb[k] = double_at((k + shift) % DOUBLES);
            ia[k] = int_at(k % INTS);
            ib[k] = int_at((k + shift) % INTS);
        }
        rt->py_mod_f64(fz, fa, fb, 32);
        rt->py_mod_i64(iz, ia, ib, 31);
        for (size_t k = 0; k < 31; k++) {
            double f = 0;
            int64_t i = 0;
            if (sb_rt_py_mod_f64(fa[k], fb[k], &f) == SB_REASON_NONE) {
                assert_true((f != f && fz[k] != fz[k]) || memcmp(&f, &fz[k], sizeof(f)) == 0);
            }
            if (sb_rt_py_mod_i64(ia[k], ib[k], &i) == SB_REASON_NONE) {
                assert_true(i == iz[k]);
            }
        }
        memcpy(fz, fa, sizeof(fz));
        memcpy(iz, ib, sizeof(iz));
        rt->py_floordiv_f64(fz, fz, fb, 32); /* in place */
        rt->py_floordiv_i64(iz, ia, iz, 32);
        for (size_t k = 0; k < 32; k++) {
            double f = 0;
            int64_t i = 0;
            if (sb_rt_py_floordiv_f64(fa[k], fb[k], &f) == SB_REASON_NONE) {
                assert_true((f != f && fz[k] != fz[k]) || memcmp(&f, &fz[k], sizeof(f)) == 0);
            }
            if (sb_rt_py_floordiv_i64(ia[k], ib[k], &i) == SB_REASON_NONE) {
                assert_true(i == iz[k]);
            }
        }
    }
}

static void table_is_complete(void **state)
{
    (void)state;
    assert_int_equal(sb_rt_table_default.abi, SB_RT_ABI);
    for (size_t k = 0; k < SB_RT_ALL_ONES_SIZE; k++) {
        assert_int_equal(sb_rt_table_default.all_ones[k], 0xff);
    }
}

static void reasons_have_names(void **state)
{
    (void)state;
    assert_string_equal(sb_reason_name(SB_REASON_NONE), "none");
    assert_string_equal(sb_reason_name(SB_REASON_DIV_ZERO), "div_zero");
    assert_string_equal(sb_reason_name(SB_REASON_RAISE), "raise");
    assert_string_equal(sb_reason_name(SB_REASON_COUNT), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ints_are_cpythons),
        cmocka_unit_test(doubles_are_cpythons),
        cmocka_unit_test(bits_and_powers_are_cpythons),
        cmocka_unit_test(conversions_are_cpythons),
        cmocka_unit_test(rounding_is_cpythons),
        cmocka_unit_test(squares_are_libms),
        cmocka_unit_test(sure_squares_are_libms),
        cmocka_unit_test(only_a_good_libm_is_trusted),
        cmocka_unit_test(remainders_of_zero_have_signs),
        cmocka_unit_test(one_operand_is_cpythons),
        cmocka_unit_test(comparisons_are_cpythons),
        cmocka_unit_test(random_products),
        cmocka_unit_test(random_quotients),
        cmocka_unit_test(random_double_quotients),
        cmocka_unit_test(lanes_are_the_primitives),
        cmocka_unit_test(table_is_complete),
        cmocka_unit_test(reasons_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
