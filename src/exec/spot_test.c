/* Spots: the same values as the source's formulas, what is not done on the spot, the watch, failing allocations.
 *
 * Where there is no code generator (SABOT_JIT_HELPER), nothing is done on the spot, and only that is tested. */
#include "exec/spot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "exec/testkit.h"
#include "jit/code.h"

typedef struct fixture {
    sb_jit *jit;
    sb_watch *watch;
    sb_plan *half, *flip, *mul, *forever;
} fixture;

static fixture all;

static char *helper_path(void)
{
    static char path[1024];
    const char *named = sb_os_env("SABOT_JIT_HELPER");
    const char *build = sb_os_env("SABOT_BUILD_DIR");
    (void)snprintf(path, sizeof(path), "%s%s",
                   named != NULL ? named : (build != NULL ? build : "."),
                   named != NULL ? "" : "/src/jit_helper/sabot-jit");
    return path;
}

static sb_plan *plan_of(const char *columns, const char *format, const char *ir)
{
    static const char *const name = "y";
    sb_plan *source = NULL;
    sb_plan *with = NULL;
    sb_type *schema = sb_kit_schema();
    sb_func *func = sb_kit_func_of(all.jit, "f", columns, format, ir);
    assert_true(schema != NULL && func != NULL);
    sb_func_start(func, SB_TIER_NATIVE);
    assert_int_equal(sb_plan_new_source("KIT", schema, &source, NULL), SB_OK);
    assert_int_equal(sb_plan_new_with(source, 1, &name, &func, &with, NULL), SB_OK);
    sb_plan_drop(source);
    sb_func_drop(func);
    sb_type_drop(schema);
    return with;
}

static int open_all(void **state)
{
    sb_jit_options options = {.helper_path = helper_path()};
    (void)state;
    assert_int_equal(sb_jit_new(&all.jit, &options, NULL), SB_OK);
    assert_int_equal(sb_watch_new(&all.watch, NULL), SB_OK);
    all.half = plan_of("x", "g", SB_KIT_HALF);
    all.flip = plan_of("c", "b", SB_KIT_FLIP);
    all.mul = plan_of("a,b", "l", SB_KIT_MUL);
    all.forever = plan_of("b", "l", SB_KIT_FOREVER);
    return 0;
}

static int close_all(void **state)
{
    sb_plan *plans[] = {all.half, all.flip, all.mul, all.forever};
    (void)state;
    for (size_t k = 0; k < SB_COUNT_OF(plans); k++) {
        sb_plan_drop(plans[k]);
    }
    sb_watch_free(all.watch);
    sb_jit_free(all.jit);
    return 0;
}

static bool is_native(void)
{
    sb_jit_stats stats;
    sb_jit_stats_get(all.jit, &stats);
    return stats.loads > 0;
}

/* One batch of `rows` rows. */
static sb_status once(sb_plan *plan, int64_t rows, struct ArrowArray *out, bool *done)
{
    sb_kit_source from = {.rows = rows, .fail_batch = -1};
    struct ArrowArrayStream stream;
    struct ArrowArray batch = {0};
    sb_spot *spot = NULL;
    *done = false;
    sb_kit_stream(&from, &stream);
    from.lane = true;
    if (stream.get_next(&stream, &batch) != 0) {
        return SB_NO_MEMORY;
    }
    sb_status status = sb_spot_new(plan, all.watch, &spot, NULL);
    if (status == SB_OK) {
        status = sb_spot_run(spot, &batch, out, done, NULL);
        assert_true(batch.release == NULL);
    } else {
        batch.release(&batch);
    }
    sb_spot_free(spot);
    assert_int_equal(from.live, 0);
    return status;
}

static void values_are_right(void **state)
{
    (void)state;
    for (int64_t rows = 1; rows <= SB_SPOT_ROWS_MAX; rows = rows * 3 + 1) {
        struct ArrowArray x = {0};
        struct ArrowArray c = {0};
        bool done = false;
        assert_int_equal(once(all.half, rows, &x, &done), SB_OK);
        assert_int_equal(done, is_native());
        if (!done) {
            return;
        }
        assert_int_equal(once(all.flip, rows, &c, &done), SB_OK);
        assert_true(done && x.length == rows && c.length == rows);
        if (x.buffers == NULL || c.buffers == NULL) {
            fail_msg("a column without buffers");
            return;
        }
        for (int64_t k = 0; k < rows; k++) {
            assert_true(((const double *)x.buffers[1])[k] == sb_kit_x(k) * 0.5);
            const bool valid = c.buffers[0] == NULL || sb_bit_get(c.buffers[0], k);
            assert_int_equal(valid, sb_kit_c_valid(k));
            assert_true(!valid || sb_bit_get(c.buffers[1], k) == !sb_kit_c(k));
        }
        x.release(&x);
        c.release(&c);
    }
}

static void what_is_not_done(void **state)
{
    struct ArrowArray out = {0};
    bool done = true;
    (void)state;
    assert_int_equal(once(all.half, SB_SPOT_ROWS_MAX + 1, &out, &done), SB_OK);
    assert_false(done);
    assert_int_equal(once(all.mul, 2000, &out, &done), SB_OK); /* some products overflow */
    assert_false(done);
    assert_int_equal(once(all.forever, 1, &out, &done), SB_OK);
    assert_false(done);
    sb_spot *spot = NULL;
    assert_int_equal(sb_spot_new(all.half->input, all.watch, &spot, NULL), SB_UNSUPPORTED);
    assert_null(spot);
}

static void a_watch_stops_what_takes_long(void **state)
{
    (void)state;
    for (int turn = 0; turn < 3; turn++) {
        const uint32_t *stop = sb_watch_begin(all.watch);
        assert_non_null(stop);
        assert_null(sb_watch_begin(all.watch)); /* one at a time */
        const int64_t limit = sb_os_now_ns() + INT64_C(20000000000);
        while (atomic_load((const _Atomic uint32_t *)stop) == 0 && sb_os_now_ns() < limit) {
        }
        assert_int_equal(atomic_load((const _Atomic uint32_t *)stop), 1);
        sb_watch_end(all.watch);
    }
    const uint32_t *stop = sb_watch_begin(all.watch);
    assert_non_null(stop);
    sb_watch_end(all.watch);
}

#ifdef SB_FAULTS
static void failing_allocations(void **state)
{
    (void)state;
    sb_plan *plans[] = {all.half, all.flip, all.mul};
    for (size_t p = 0; p < SB_COUNT_OF(plans); p++) {
        bool hit = true;
        for (int64_t nth = 1; hit; nth++) {
            struct ArrowArray out = {0};
            bool done = false;
            const int64_t live = sb_mem_live_blocks();
            sb_fault_arm(nth, false);
            const sb_status status = once(plans[p], 40, &out, &done);
            sb_fault_arm(0, false);
            hit = sb_fault_hit();
            assert_int_equal(status, hit ? SB_NO_MEMORY : SB_OK);
            if (done) {
                out.release(&out);
            }
            assert_int_equal(sb_mem_live_blocks(), live);
        }
    }
    for (int64_t nth = 1;; nth++) {
        sb_watch *watch = NULL;
        sb_fault_arm(nth, false);
        const sb_status status = sb_watch_new(&watch, NULL);
        sb_fault_arm(0, false);
        sb_watch_free(watch);
        if (status == SB_OK) {
            break;
        }
        assert_int_equal(status, SB_NO_MEMORY);
        assert_null(watch);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_right),
        cmocka_unit_test(what_is_not_done),
        cmocka_unit_test(a_watch_stops_what_takes_long),
#ifdef SB_FAULTS
        cmocka_unit_test(failing_allocations),
#endif
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
