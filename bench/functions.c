/* Hand-written C that bench/functions.py measures against: functions of tests/corpus, row by row, compiled with -O3 -march=native.
 *
 * row_*: what a programmer writes for one row after another; the compiler may make vectors of it. lanes_*: eight rows side by side,
 * rows that are done masked, as somebody writes it who wants the processor's vectors for a loop. No integer of these overflows on
 * the data that is measured, and nothing checks it. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define LANES 8
#define PI 3.14159265358979323846

typedef double vd __attribute__((vector_size(8 * LANES)));
typedef int64_t vi __attribute__((vector_size(8 * LANES)));
typedef uint64_t vu __attribute__((vector_size(8 * LANES)));

void row_z_score(const double *x, double *out, int64_t n);
void row_order_total(const double *price, const int64_t *quantity, const bool *member, double *out,
                     int64_t n);
void row_haversine(const double *lat1, const double *lon1, const double *lat2, const double *lon2,
                   double *out, int64_t n);
void row_black_scholes_call(const double *spot, const double *strike, const double *years,
                            const double *rate, const double *vol, double *out, int64_t n);
void row_zeller(const int64_t *date, int64_t *out, int64_t n);
void row_income_tax(const double *income, double *out, int64_t n);
void row_luhn_valid(const int64_t *number, bool *out, int64_t n);
void row_crc32_of_word(const int64_t *value, int64_t *out, int64_t n);
void row_sum_of_steps(const double *x, double *out, int64_t n);
void row_collatz_steps(const int64_t *start, int64_t *out, int64_t n);
void row_mandelbrot(const double *re, const double *im, int64_t *out, int64_t n);
void lanes_crc32_of_word(const int64_t *value, int64_t *out, int64_t n);
void lanes_sum_of_steps(const double *x, double *out, int64_t n);
void lanes_collatz_steps(const int64_t *start, int64_t *out, int64_t n);
void lanes_mandelbrot(const double *re, const double *im, int64_t *out, int64_t n);

/* --- without loops ------------------------------------------------------------------------------------------------------ */

void row_z_score(const double *restrict x, double *restrict out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = (x[i] - 12.5) / 3.75;
    }
}

void row_order_total(const double *restrict price, const int64_t *restrict quantity,
                     const bool *restrict member, double *restrict out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double discount = 0.0;
        if (quantity[i] >= 500) {
            discount = 0.2;
        } else if (quantity[i] >= 100) {
            discount = 0.1;
        } else if (quantity[i] >= 10) {
            discount = 0.05;
        }
        if (member[i]) {
            discount += 0.02;
        }
        out[i] = price[i] * (double)quantity[i] * (1.0 - discount);
    }
}

/* Products where Python has ** 2, as a C programmer writes it and as compilers make of pow(x, 2.0): quicker than the pow that CPython
 * calls, and not its last bit once in a thousand. */
void row_haversine(const double *restrict lat1, const double *restrict lon1,
                   const double *restrict lat2, const double *restrict lon2, double *restrict out,
                   int64_t n)
{
    const double radian = PI / 180.0;
    for (int64_t i = 0; i < n; i++) {
        double phi1 = lat1[i] * radian;
        double phi2 = lat2[i] * radian;
        double down = sin((phi2 - phi1) / 2.0);
        double across = sin((lon2[i] * radian - lon1[i] * radian) / 2.0);
        double a = down * down + cos(phi1) * cos(phi2) * (across * across);
        out[i] = 2.0 * 6371.0088 * asin(sqrt(a));
    }
}

static double norm_cdf(double x)
{
    return 0.5 * (1.0 + erf(x / sqrt(2.0)));
}

void row_black_scholes_call(const double *restrict spot, const double *restrict strike,
                            const double *restrict years, const double *restrict rate,
                            const double *restrict vol, double *restrict out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double spread = vol[i] * sqrt(years[i]);
        double d1 =
            (log(spot[i] / strike[i]) + (rate[i] + vol[i] * vol[i] / 2.0) * years[i]) / spread;
        double later = strike[i] * exp(-rate[i] * years[i]);
        out[i] = spot[i] * norm_cdf(d1) - later * norm_cdf(d1 - spread);
    }
}

void row_zeller(const int64_t *restrict date, int64_t *restrict out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t y = date[i] / 10000;
        int64_t m = date[i] / 100 % 100;
        int64_t d = date[i] % 100;
        if (m < 3) {
            m += 12;
            y -= 1;
        }
        int64_t k = y % 100;
        int64_t j = y / 100;
        out[i] = (d + 13 * (m + 1) / 5 + k + k / 4 + j / 4 + 5 * j) % 7;
    }
}

/* --- loops, row by row -------------------------------------------------------------------------------------------------- */

void row_income_tax(const double *restrict income, double *restrict out, int64_t n)
{
    static const double uppers[] = {11000.0, 44725.0, 95375.0, 182100.0, 231250.0};
    static const double rates[] = {0.10, 0.12, 0.22, 0.24, 0.32};
    for (int64_t i = 0; i < n; i++) {
        double tax = 0.0;
        double lower = 0.0;
        double rate = 0.37;
        for (int k = 0; k < 5; k++) {
            if (income[i] <= uppers[k]) {
                rate = rates[k];
                break;
            }
            tax += (uppers[k] - lower) * rates[k];
            lower = uppers[k];
        }
        out[i] = tax + (income[i] - lower) * rate;
    }
}

void row_luhn_valid(const int64_t *restrict number, bool *restrict out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t total = 0;
        bool twice = false;
        for (int64_t rest = number[i]; rest > 0; rest /= 10) {
            int64_t digit = rest % 10;
            if (twice) {
                digit *= 2;
                digit -= digit > 9 ? 9 : 0;
            }
            total += digit;
            twice = !twice;
        }
        out[i] = total % 10 == 0;
    }
}

void row_crc32_of_word(const int64_t *restrict value, int64_t *restrict out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t crc = 0xFFFFFFFFu;
        for (int shift = 0; shift < 32; shift += 8) {
            crc ^= (uint32_t)(value[i] >> shift) & 0xFFu;
            for (int bit = 0; bit < 8; bit++) {
                crc = crc & 1u ? (crc >> 1) ^ 0xEDB88320u : crc >> 1;
            }
        }
        out[i] = (int64_t)(crc ^ 0xFFFFFFFFu);
    }
}

void row_sum_of_steps(const double *restrict x, double *restrict out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double total = 0.0;
        for (int64_t j = 0; j < 1000; j++) {
            total += x[i] * (double)j;
        }
        out[i] = total;
    }
}

void row_collatz_steps(const int64_t *restrict start, int64_t *restrict out, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t steps = 0;
        for (int64_t m = start[i]; m != 1; steps++) {
            m = m % 2 == 0 ? m / 2 : 3 * m + 1;
        }
        out[i] = steps;
    }
}

void row_mandelbrot(const double *restrict re, const double *restrict im, int64_t *restrict out,
                    int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double x = 0.0;
        double y = 0.0;
        int64_t turn = 0;
        for (; turn < 60; turn++) {
            double x2 = x * x;
            double y2 = y * y;
            if (x2 + y2 > 4.0) {
                break;
            }
            y = 2.0 * x * y + im[i];
            x = x2 - y2 + re[i];
        }
        out[i] = turn;
    }
}

/* --- loops, eight rows side by side ------------------------------------------------------------------------------------- */

void lanes_crc32_of_word(const int64_t *restrict value, int64_t *restrict out, int64_t n)
{
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vu word;
        memcpy(&word, value + i, sizeof(word));
        vu crc = (vu){0} + 0xFFFFFFFFu;
        for (int shift = 0; shift < 32; shift += 8) {
            crc ^= (word >> shift) & 0xFFu;
            for (int bit = 0; bit < 8; bit++) {
                crc = (crc >> 1) ^ (-(crc & 1u) & 0xEDB88320u);
            }
        }
        crc ^= 0xFFFFFFFFu;
        memcpy(out + i, &crc, sizeof(crc));
    }
    row_crc32_of_word(value + i, out + i, n - i);
}

/* Eight vectors at once: an addition waits four cycles for the one before it, and two can start in each. */
#define CHAINS 8

void lanes_sum_of_steps(const double *restrict x, double *restrict out, int64_t n)
{
    int64_t i = 0;
    for (; i + LANES * CHAINS <= n; i += LANES * CHAINS) {
        vd values[CHAINS];
        vd totals[CHAINS] = {0};
        memcpy(values, x + i, sizeof(values));
        for (int64_t j = 0; j < 1000; j++) {
            for (int k = 0; k < CHAINS; k++) {
                totals[k] += values[k] * (double)j;
            }
        }
        memcpy(out + i, totals, sizeof(totals));
    }
    row_sum_of_steps(x + i, out + i, n - i);
}

static bool any(vi mask)
{
    int64_t found = 0;
    for (int k = 0; k < LANES; k++) {
        found |= mask[k];
    }
    return found != 0;
}

void lanes_collatz_steps(const int64_t *restrict start, int64_t *restrict out, int64_t n)
{
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vi m;
        vi steps = {0};
        memcpy(&m, start + i, sizeof(m));
        for (vi going = m != 1; any(going); going = m != 1) {
            vi odd = -(m & 1);
            vi next = (odd & (3 * m + 1)) | (~odd & (m >> 1));
            m = (going & next) | (~going & m);
            steps -= going;
        }
        memcpy(out + i, &steps, sizeof(steps));
    }
    row_collatz_steps(start + i, out + i, n - i);
}

void lanes_mandelbrot(const double *restrict re, const double *restrict im, int64_t *restrict out,
                      int64_t n)
{
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vd cx;
        vd cy;
        vd x = {0};
        vd y = {0};
        vi turns = {0};
        vi going = ~(vi){0};
        memcpy(&cx, re + i, sizeof(cx));
        memcpy(&cy, im + i, sizeof(cy));
        for (int turn = 0; turn < 60; turn++) {
            vd x2 = x * x;
            vd y2 = y * y;
            going &= x2 + y2 <= 4.0;
            if (!any(going)) {
                break;
            }
            turns -= going;
            y = 2.0 * x * y + cy;
            x = x2 - y2 + cx;
        }
        memcpy(out + i, &turns, sizeof(turns));
    }
    row_mandelbrot(re + i, im + i, out + i, n - i);
}
