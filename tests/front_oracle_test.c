/* Lowered functions against CPython: evaluated row by row, by the slow oracle of interp/testkit.h and by the interpreter, and
 * compared with front/front_vectors.inc (tools/gen_front_vectors.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "front/front_test.h"
#include "interp/interp.h"
#include "interp/testkit.h"

#define ROWS_MAX 32

/* The vectors are CPython's answers on x86-64. CPython calls the machine's libm, which is another one elsewhere: erf, cbrt and
 * exp2 of one glibc differ in the last place between x86-64 and AArch64. Units in the last place that are let pass, where a
 * function calls libm. */
#if defined(__x86_64__)
#define LIBM_ULPS_MAX 0u
#else
#define LIBM_ULPS_MAX 2u
#endif

typedef union slot {
    int64_t i;
    double f;
} slot;

typedef struct table { /* the rows of one vector; columns padded as kernels want them */
    uint32_t columns, rows;
    uint8_t bools[PARAMS_MAX][ROWS_MAX];
    slot numbers[PARAMS_MAX][ROWS_MAX];
    uint8_t valid[PARAMS_MAX][ROWS_MAX / 8];
    char expected[ROWS_MAX][24];
    bool stays[ROWS_MAX];
    uint64_t ulps_max; /* of doubles */
} table;

/* --- the oracle ------------------------------------------------------------------------------------------------------- */

static double double_of(const char *hex)
{
    const uint64_t bits = strtoull(hex, NULL, 16);
    double x;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

static void set_cell(table *t, uint32_t column, uint32_t row, const char *word)
{
    const bool null = word[0] == 'n';
    t->bools[column][row] = word[0] == 't';
    if (word[0] == 'i') {
        t->numbers[column][row].i = strtoll(word + 1, NULL, 10);
    } else if (word[0] == 'd') {
        t->numbers[column][row].f = double_of(word + 1);
    }
    t->valid[column][row / 8] |= (uint8_t)((null ? 0u : 1u) << (row % 8));
}

static void read_table(const front_vector *v, table *t)
{
    *t = (table){.columns = (uint32_t)strlen(v->kinds)};
    for (const char *at = v->rows; *at != '\0'; t->rows++) {
        assert_true(t->rows < ROWS_MAX);
        t->stays[t->rows] = *at == '.';
        at += *at == '.';
        for (uint32_t k = 0; k <= t->columns; k++) {
            char word[24];
            const size_t length = strcspn(at, " \n");
            memcpy(word, at, length);
            word[length] = '\0';
            at += length + (at[length] != '\0');
            if (k < t->columns) {
                set_cell(t, k, t->rows, word);
                at += k + 1 == t->columns ? 2 : 0; /* the > */
            } else {
                memcpy(t->expected[t->rows], word, sizeof(word));
            }
        }
    }
}

static bool calls_libm(const sb_ir *ir)
{
    for (size_t i = 1; i < ir->insts.count; i++) {
        const int op = ir->insts.items[i].op;
        if (op == SB_IR_PY_POW_F64 || (op >= SB_IR_MATH_ACOS && op <= SB_IR_MATH_REMAINDER)) {
            return true;
        }
    }
    return false;
}

static bool is_double(double want, double x, uint64_t ulps_max)
{
    uint64_t a, b;
    memcpy(&a, &want, sizeof(a));
    memcpy(&b, &x, sizeof(b));
    return (want != want && x != x) || (a > b ? a - b : b - a) <= ulps_max;
}

static bool is_expected(const char *word, char format, uint64_t ulps_max,
                        const sb_testkit_cell *cell)
{
    if (!cell->valid || word[0] == 'n') {
        return !cell->valid && word[0] == 'n';
    }
    switch (format) {
    case 'b':
        return cell->value.b == (word[0] == 't');
    case 'l':
        return word[0] == 'i' && cell->value.i == strtoll(word + 1, NULL, 10);
    case 'g':
        return word[0] == 'd' && is_double(double_of(word + 1), cell->value.f, ulps_max);
    default:
        return false;
    }
}

static int check_row(const front_vector *v, const table *t, uint32_t row, sb_reason reason,
                     const sb_testkit_cell *cell)
{
    const char *want = t->expected[row];
    if (reason != SB_REASON_NONE) {
        if (t->stays[row]) {
            print_error("%s, row %u: leaves (%s), CPython gives %s\n", v->name, row,
                        sb_reason_name(reason), want);
        }
        return t->stays[row];
    }
    if (want[0] != '!' && is_expected(want, v->format[0], t->ulps_max, cell)) {
        return 0;
    }
    print_error("%s, row %u: gives %s%lld or %a, CPython gives %s\n", v->name, row,
                cell->valid ? "" : "null ", (long long)cell->value.i, cell->value.f, want);
    return 1;
}

static int32_t interpret(void *context, sb_kcall *call, int32_t row0, int32_t row1)
{
    void **both = context;
    return sb_interp_run(both[0], both[1], call, row0, row1);
}

/* The interpreter against the row-by-row evaluator, over the same rows. */
static int check_interp(const front_vector *v, const sb_ir *ir, sb_kin *in, int32_t rows)
{
    sb_interp *interp = NULL;
    sb_interp_state *state = NULL;
    assert_int_equal(sb_interp_new(ir, &interp, NULL), SB_OK);
    assert_int_equal(sb_interp_state_new(interp, &state, NULL), SB_OK);
    void *both[2] = {interp, state};
    const sb_testkit_batch batch = {.ir = ir, .rows = rows, .in = in};
    const sb_testkit_run run = {.kernel = interpret, .context = both, .leave_capacity = 1};
    sb_buf report;
    sb_buf_init(&report, 4096);
    const bool ok = sb_testkit_check(&batch, &run, 0, rows, &report);
    if (!ok) {
        print_error("%s: the interpreter differs: %.*s\n", v->name, (int)report.size, report.data);
    }
    sb_buf_release(&report);
    sb_interp_state_free(state);
    sb_interp_free(interp);
    return !ok;
}

static int check_vector(const front_vector *v)
{
    table t;
    sb_lowered lowered;
    sb_error err = {0};
    if (lower(v, &lowered, &err) != SB_OK || !lowered.compiled) {
        print_error("%s: not compiled: %s\n", v->name, err.message);
        return 1;
    }
    read_table(v, &t);
    t.ulps_max = calls_libm(&lowered.ir) ? LIBM_ULPS_MAX : 0;
    int failures = 0;
    if (strcmp(lowered.result_format, v->format) != 0) {
        print_error("%s: format %s, expected %s\n", v->name, lowered.result_format, v->format);
        failures++;
    }
    sb_kin in[PARAMS_MAX] = {0};
    for (uint32_t k = 0; k < lowered.ir.inputs.count; k++) {
        const uint32_t column = lowered.ir.inputs.items[k].param;
        in[k].values = v->kinds[column] == 'b' ? (void *)t.bools[column] : t.numbers[column];
        in[k].valid = t.valid[column];
    }
    sb_testkit_oracle oracle;
    assert_int_equal(sb_testkit_oracle_init(&oracle, &lowered.ir, NULL), SB_OK);
    for (uint32_t row = 0; row < t.rows; row++) {
        sb_testkit_cell cell = {0};
        const sb_reason reason = sb_testkit_eval(&oracle, in, (int32_t)row, &cell);
        failures += check_row(v, &t, row, reason, &cell);
    }
    failures += check_interp(v, &lowered.ir, in, (int32_t)t.rows);
    sb_testkit_oracle_release(&oracle);
    sb_lowered_release(&lowered);
    return failures;
}

static void test_vectors(void **state)
{
    (void)state;
    int failures = 0;
    for (size_t k = 0; k < VECTORS; k++) {
        failures += check_vector(&front_vectors[k]);
    }
    assert_int_equal(failures, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
