/* Random programs on random columns against the row-by-row oracle.
 *
 *     SABOT_FUZZ_SEED=70000 SABOT_FUZZ_COUNT=100000 test_interp_fuzz      from another seed, for longer
 *
 * A failure prints the seed, the program and the first row that differs. The share of rows that leave is kept between
 * bounds: were it near all or none, the other rows or leaving would not be tested. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "interp/interp.h"
#include "interp/testkit.h"

#define PROGRAMS 1500

typedef struct fuzz {
    sb_ir ir;
    sb_interp *interp;
    sb_interp_state *state;
    int64_t rows;
    int64_t left;
} fuzz;

static int32_t run_fuzz(void *context, sb_kcall *call, int32_t row0, int32_t row1)
{
    fuzz *f = context;
    const int32_t before = call->leave_count;
    const int32_t stopped = sb_interp_run(f->interp, f->state, call, row0, row1);
    f->left += call->leave_count - before;
    f->rows += stopped - row0;
    return stopped;
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void check_batch(fuzz *f, uint64_t seed, int32_t rows, const sb_testkit_run *run)
{
    sb_testkit_batch batch;
    sb_error err = {0};
    sb_buf report;
    sb_buf_init(&report, 0);
    assert_int_equal(sb_testkit_batch_init(&batch, &f->ir, seed, rows, &err), SB_OK);
    const int32_t row0 = seed % 4 == 0 ? rows / 3 : 0;
    if (!sb_testkit_check(&batch, run, row0, rows, &report)) {
        sb_buf_char(&report, '\n');
        sb_ir_print(&f->ir, &report);
        fail_msg("seed %llu, %d rows: %s", (unsigned long long)seed, rows, report.data);
    }
    sb_testkit_batch_release(&batch);
    sb_buf_release(&report);
}

static void random_programs(void **state)
{
    (void)state;
    static const int32_t sizes[] = {1, 3, 31, 32, 100, 513, 2048, 700};
    const uint64_t first = setting("SABOT_FUZZ_SEED", 1);
    const uint64_t count = setting("SABOT_FUZZ_COUNT", PROGRAMS);
    fuzz f = {0};
    for (uint64_t seed = first; seed < first + count; seed++) {
        sb_error err = {0};
        assert_int_equal(sb_testkit_program(&f.ir, seed, 20 + (uint32_t)(seed % 120), &err), SB_OK);
        assert_int_equal(sb_interp_new(&f.ir, &f.interp, &err), SB_OK);
        assert_int_equal(sb_interp_state_new(f.interp, &f.state, &err), SB_OK);
        for (uint64_t k = 0; k < 3; k++) {
            const sb_testkit_run run = {.kernel = run_fuzz,
                                        .context = &f,
                                        .leave_capacity = k == 0 ? 0 : (k == 1 ? 1 : 4096),
                                        .strict = true};
            check_batch(&f, seed * 3 + k, sizes[(seed + k) % SB_COUNT_OF(sizes)], &run);
        }
        sb_interp_state_free(f.state);
        sb_interp_free(f.interp);
        sb_ir_release(&f.ir);
    }
    if (count >= PROGRAMS) {
        assert_true(f.left > 0);
        assert_in_range(f.left * 100, 2 * f.rows, 60 * f.rows);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_programs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
