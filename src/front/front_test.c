/* The front against CPython: lowered functions are evaluated row by row, by the slow oracle of interp/testkit.h and by the
 * interpreter, and compared with front_vectors.h (tools/gen_front_vectors.py). Then: malformed blobs, limits, failing
 * allocations. */
#include "front/front.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "front/blob.h"
#include "front/front_vectors.h"
#include "interp/interp.h"
#include "interp/testkit.h"

#define VECTORS SB_COUNT_OF(front_vectors)
#define ROWS_MAX 32
#define PARAMS_MAX 4

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
} table;

static sb_status lower_with(const front_vector *v, const void *blob, size_t size, bool off,
                            sb_lowered *out, sb_error *err)
{
    char names[PARAMS_MAX][32];
    char formats[PARAMS_MAX][2];
    sb_front_column columns[PARAMS_MAX];
    uint32_t count = 0;
    const char *at = v->params;
    for (; *at != '\0'; count++) {
        const size_t length = strcspn(at, " ");
        memcpy(names[count], at, length);
        names[count][length] = '\0';
        formats[count][0] = v->kinds[count];
        formats[count][1] = '\0';
        columns[count] = (sb_front_column){names[count], formats[count]};
        at += length + (at[length] == ' ');
    }
    return sb_front_lower(blob, size, columns, count, off, out, err);
}

static sb_status lower(const front_vector *v, sb_lowered *out, sb_error *err)
{
    return lower_with(v, v->blob, v->blob_size, false, out, err);
}

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

static bool is_expected(const char *word, char format, const sb_testkit_cell *cell)
{
    if (!cell->valid || word[0] == 'n') {
        return !cell->valid && word[0] == 'n';
    }
    switch (format) {
    case 'b':
        return cell->value.b == (word[0] == 't');
    case 'l':
        return word[0] == 'i' && cell->value.i == strtoll(word + 1, NULL, 10);
    case 'g': {
        const double want = double_of(word + 1);
        return word[0] == 'd' && ((want != want && cell->value.f != cell->value.f) ||
                                  memcmp(&want, &cell->value.f, sizeof(want)) == 0);
    }
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
    if (want[0] != '!' && is_expected(want, v->format[0], cell)) {
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

/* --- malformed blobs ----------------------------------------------------------------------------------------------------- */

/* Any answer is right but a crash; the copy has no byte to spare, so that a sanitizer sees reads past its end. */
static void lower_damaged(const front_vector *v, const char *bytes, size_t size)
{
    char *copy = sb_mem_alloc(size);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    sb_lowered lowered;
    if (lower_with(v, copy, size, false, &lowered, NULL) == SB_OK) {
        sb_lowered_release(&lowered);
    }
    sb_mem_free(copy);
}

static void test_truncated(void **state)
{
    (void)state;
    for (size_t k = 0; k < VECTORS; k += 5) {
        const front_vector *v = &front_vectors[k];
        for (size_t size = 0; size < v->blob_size; size++) {
            sb_lowered lowered;
            assert_int_equal(lower_with(v, v->blob, size, false, &lowered, NULL), SB_INVALID);
        }
        lower_damaged(v, v->blob, v->blob_size / 2);
    }
}

static void test_flipped(void **state)
{
    (void)state;
    static const uint8_t flips[] = {1, 2, 0x20, 0x80, 0xff};
    char bytes[4096];
    for (size_t k = 0; k < VECTORS; k += 7) {
        const front_vector *v = &front_vectors[k];
        for (size_t at = 0; at < v->blob_size; at++) {
            memcpy(bytes, v->blob, v->blob_size);
            bytes[at] = (char)(bytes[at] ^ (char)flips[(at + k) % SB_COUNT_OF(flips)]);
            lower_damaged(v, bytes, v->blob_size);
        }
    }
}

/* --- failing allocations ----------------------------------------------------------------------------------------------------- */

#ifdef SB_FAULTS
static void test_faults(void **state)
{
    (void)state;
    for (size_t k = 0; k < VECTORS; k += 3) {
        bool hit = true;
        for (int64_t nth = 1; hit; nth++) {
            const int64_t before = sb_mem_live_blocks();
            sb_lowered lowered;
            sb_fault_arm(nth, (nth & 1) != 0);
            const sb_status status = lower(&front_vectors[k], &lowered, NULL);
            hit = sb_fault_hit();
            sb_fault_arm(0, false);
            assert_int_equal(status, hit ? SB_NO_MEMORY : SB_OK);
            if (status == SB_OK) {
                assert_true(lowered.compiled);
                sb_lowered_release(&lowered);
            }
            assert_int_equal(sb_mem_live_blocks(), before);
        }
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_flipped),
#ifdef SB_FAULTS
        cmocka_unit_test(test_faults),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
