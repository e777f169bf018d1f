/* Tests of batch functions that native code computes row by row: a batch of which a row leaves is the host's as a whole. */
#include <fenv.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "exec/testkit.h"

#define ROWS 2200
#define BATCH 10

/* b is even; leaves where a * b overflows, or a null's value with b does. */
#define EVEN                                                                                       \
    "inputs i64 i64\noutputs b\nv1:i64 = in 0\nv2:i64 = in 1\nv3:i64 = py_mul_i64 v1 v2\n"         \
    "v4:i64 = const_i64 2\nv5:i64 = py_mod_i64 v1 v4\nv6:i64 = const_i64 0\n"                      \
    "v7:b = py_eq_i64 v5 v6\nv8:b = py_eq_i64 v3 v3\nv9:b = and v7 v8\nstore 0 v9\n"

static const char *const names[] = {"a", "b", "x", "c", "s"};

/* x * 0.5 as a double and as a float; what loops made of x as the column x. */
#define ARGUMENTS                                                                                  \
    "inputs f64\noutputs f64 f64\nv1:f64 = in 0\nv2:f64 = const_f64 0x1p-1\n"                      \
    "v3:f64 = py_mul_f64 v1 v2\nstore 0 v3\nstore 1 v3\n"
#define AGAIN "inputs f64\noutputs f64\nv1:f64 = in 0\nstore 0 v1\n"
#define AGAIN_WITH_B "inputs f64 i64\noutputs f64\nv1:f64 = in 0\nv2:i64 = in 1\nstore 0 v1\n"
/* 1 / x, which leaves where x is 0. */
#define LEAVES                                                                                     \
    "inputs f64\noutputs f64\nv1:f64 = in 0\nv2:f64 = const_f64 0x1p0\n"                           \
    "v3:f64 = py_truediv_f64 v2 v1\nstore 0 v3\n"

typedef struct shape {
    bool compiled, filters, behind; /* behind: a filter by rows comes before */
    bool whole, pairs;              /* of whole batches; pairs: with nulls */
    bool masked;                    /* a map that drops rows */
} shape;

#define SHAPES 12

/* [filter] -> a map that gives back what it got, or a filter of even b. NULL: no memory. */
static sb_plan *lowered_plan(shape s)
{
    sb_type *schema = sb_kit_schema();
    sb_func *func =
        s.whole     ? sb_kit_whole_func("copies", "a,b,x,c", "alblxgcb", SB_KIT_COPIES, s.pairs)
        : s.filters ? sb_kit_func("even", "b,a", "b", s.compiled ? EVEN : NULL)
                    : sb_kit_map_func("all", "a,b,x,c", "mlhgfb", s.compiled ? SB_KIT_ALL : NULL);
    sb_func *keep = sb_kit_func("keep", "b", "b", SB_KIT_KEEP);
    sb_plan *source = NULL, *between = NULL, *last = NULL;
    bool whole = schema != NULL && func != NULL && keep != NULL &&
                 sb_plan_new_source("KIT", schema, &source, NULL) == SB_OK;
    if (whole && s.behind) {
        whole = sb_plan_new_filter(source, keep, &between, NULL) == SB_OK;
    }
    if (whole) {
        static const char *const made[] = {NULL, NULL, NULL, NULL, "s"};
        (void)sb_plan_new_lowered(between != NULL ? between : source, "f(batch)\tcompiled", func,
                                  s.filters, s.filters ? 0 : 5, s.whole ? made : names, names, NULL,
                                  &last, NULL);
    }
    sb_plan_drop(between);
    sb_plan_drop(source);
    sb_type_drop(schema);
    sb_func_drop(func);
    sb_func_drop(keep);
    return last;
}

/* --- stages ------------------------------------------------------------------------------------------------------- */

#define LOOP_BODY(type, expression)                                                                \
    for (intptr_t k = 0; k < *count; k++) {                                                        \
        type a, b = 0;                                                                             \
        memcpy(&a, args[0] + k * steps[0], sizeof a);                                              \
        memcpy(&b, args[1] + k * steps[1], sizeof b);                                              \
        const type made = (type)(expression);                                                      \
        memcpy(args[2] + k * steps[2], &made, sizeof made);                                        \
    }

static void add_doubles(char **args, const intptr_t *count, const intptr_t *steps, void *data)
{
    (void)data;
    LOOP_BODY(double, a + b)
}

static void add_floats(char **args, const intptr_t *count, const intptr_t *steps, void *data)
{
    (void)data;
    LOOP_BODY(float, a + b)
}

/* Raises a flag where the number that data points to is met; else only underflow. */
static void multiply_flagged(char **args, const intptr_t *count, const intptr_t *steps, void *data)
{
    LOOP_BODY(double, a *b)
    (void)feraiseexcept(FE_UNDERFLOW | FE_INEXACT);
    for (intptr_t k = 0; k < *count; k++) {
        double a;
        memcpy(&a, args[0] + k * steps[0], sizeof a);
        (void)feraiseexcept(a == *(const double *)data ? FE_OVERFLOW : 0);
    }
}

static double flagged = 1e300;

/* Two stages that give x as it is, and a last one that takes it. leaves: the second has 1 / x beside. NULL: no memory. */
static sb_plan *staged_plan(bool leaves, bool behind)
{
    static const char *const passed[] = {"a", "b", NULL, "c", "s"};
    sb_type *schema = sb_kit_schema();
    sb_func *first = sb_kit_map_func("first", "x", "pgqf", ARGUMENTS);
    sb_func *second = leaves ? sb_kit_map_func("second", "x", "pg", LEAVES)
                             : sb_kit_map_func("second", "m", "pg", AGAIN);
    sb_func *last = sb_kit_map_func("last", leaves ? "m,b" : "n,b", "xg", AGAIN_WITH_B);
    sb_func *keep = sb_kit_func("keep", "b", "b", SB_KIT_KEEP);
    sb_plan *source = NULL, *between = NULL, *plan = NULL;
    const sb_loop loops[] = {
        {.name = "m", .fn = add_doubles, .format = 'g', .arg_count = 2},
        {.name = "f",
         .fn = add_floats,
         .format = 'f',
         .arg_count = 2,
         .args = {1, -1},
         .constants = {0, 0.25}},
    };
    const sb_loop again = {.name = "n",
                           .fn = multiply_flagged,
                           .data = &flagged,
                           .format = 'g',
                           .arg_count = 2,
                           .args = {0, -1},
                           .constants = {0, 1}};
    const sb_stage stages[] = {{first, 2, loops}, {second, 1, &again}};
    bool whole = schema != NULL && first != NULL && second != NULL && last != NULL &&
                 keep != NULL && sb_plan_new_source("KIT", schema, &source, NULL) == SB_OK;
    if (whole && behind) {
        whole = sb_plan_new_filter(source, keep, &between, NULL) == SB_OK;
    }
    if (whole) {
        (void)sb_plan_new_staged(between != NULL ? between : source, "f(batch)", last, false, 5,
                                 passed, names, NULL, 2, stages, &plan, NULL);
    }
    sb_plan_drop(between);
    sb_plan_drop(source);
    sb_type_drop(schema);
    sb_func_drop(first);
    sb_func_drop(second);
    sb_func_drop(last);
    sb_func_drop(keep);
    return plan;
}

/* --- phases ------------------------------------------------------------------------------------------------------- */

/* x + m - k, which is x where both are the same. */
#define JOINED                                                                                     \
    "inputs f64 f64 f64 i64\noutputs f64\nv1:f64 = in 0\nv2:f64 = in 1\nv3:f64 = in 2\n"           \
    "v4:f64 = py_add_f64 v1 v2\nv5:f64 = py_sub_f64 v4 v3\nv6:i64 = in 3\nstore 0 v5\n"
/* Those, and whether b is even. */
#define JOINED_EVEN                                                                                \
    "inputs f64 f64 i64\noutputs b\nv1:f64 = in 0\nv2:f64 = in 1\nv3:b = py_eq_f64 v1 v2\n"        \
    "v4:i64 = in 2\nv5:i64 = const_i64 2\nv6:i64 = py_mod_i64 v4 v5\nv7:i64 = const_i64 0\n"       \
    "v8:b = py_eq_i64 v6 v7\nv9:b = and v3 v8\nstore 0 v9\n"
#define TWO                                                                                        \
    "inputs f64 f64\noutputs f64 f64\nv1:f64 = in 0\nv2:f64 = in 1\nstore 0 v1\nstore 1 v2\n"

/* A source of the kit's columns and doubles of these names. NULL: no memory. */
static sb_plan *source_with(const sb_type *schema, int32_t count, const char *const *doubles)
{
    sb_type *types[9] = {NULL};
    sb_type *all = NULL;
    sb_plan *source = NULL;
    int64_t at = 0;
    sb_status status = SB_OK;
    for (; at < schema->child_count; at++) {
        types[at] = sb_type_retain(schema->children[at]);
    }
    for (int32_t k = 0; status == SB_OK && k < count; k++, at++) {
        status = sb_type_new("g", doubles[k], ARROW_FLAG_NULLABLE, &types[at], NULL);
    }
    if (status == SB_OK) {
        status = sb_type_new_struct(types, at, NULL, &all, NULL);
    }
    for (int64_t k = 0; status != SB_OK && k < at; k++) {
        sb_type_drop(types[k]);
    }
    if (status == SB_OK) {
        (void)sb_plan_new_source("PHASE", all, &source, NULL);
        sb_type_drop(all);
    }
    return source;
}

/* Takes x, of which m is the first row; gives x and m, which are n and k behind that; and x again of these. leaves: the second phase
 * has 1 / x in the place of m, and n and k are one. NULL: no memory. */
static sb_plan *phased_plan(bool filters, bool leaves, bool behind)
{
    static const char *const doubles[] = {"m", "n", "k"}, *const taken[] = {"x"},
                             *const two[] = {"0", "1"}, *const one[] = {"p"},
                             *const made[] = {NULL, NULL},
                             *const passed[] = {"a", "b", NULL, "c", "s"};
    sb_type *schema = sb_kit_schema();
    sb_func *second = leaves ? sb_kit_map_func("second", "x", "pg", LEAVES)
                             : sb_kit_map_func("second", "x,m", "0g1g", TWO);
    sb_func *last = filters  ? sb_kit_func("last", "m,k,b", "b", JOINED_EVEN)
                    : leaves ? sb_kit_map_func("last", "x,b", "xg", AGAIN_WITH_B)
                             : sb_kit_map_func("last", "n,m,k,b", "xg", JOINED);
    sb_func *keep = sb_kit_func("keep", "b", "b", SB_KIT_KEEP);
    sb_plan *parts[3] = {NULL}, *sources[3] = {NULL};
    sb_plan *source = NULL, *between = NULL, *plan = NULL;
    bool whole = schema != NULL && second != NULL && last != NULL && keep != NULL &&
                 sb_plan_new_source("KIT", schema, &source, NULL) == SB_OK;
    if (whole && behind) {
        whole = sb_plan_new_filter(source, keep, &between, NULL) == SB_OK;
    }
    for (int32_t k = 0; whole && k < 3; k++) {
        sources[k] = source_with(schema, k == 2 && !leaves ? 3 : k, doubles);
        whole = sources[k] != NULL;
    }
    whole = whole && sb_plan_new_select(sources[0], 1, taken, &parts[0], NULL) == SB_OK &&
            sb_plan_new_lowered(sources[1], "", second, false, leaves ? 1 : 2, made,
                                leaves ? one : two, NULL, &parts[1], NULL) == SB_OK &&
            sb_plan_new_lowered(sources[2], "f(batch)", last, filters, filters ? 0 : 5, passed,
                                names, NULL, &parts[2], NULL) == SB_OK;
    if (whole) {
        const sb_phase phases[] = {{parts[0], true}, {parts[1], false}};
        (void)sb_plan_new_phased(between != NULL ? between : source, 2, phases, parts[2], &plan,
                                 NULL);
    }
    for (int32_t k = 0; k < 3; k++) {
        sb_plan_drop(parts[k]);
        sb_plan_drop(sources[k]);
    }
    sb_plan_drop(between);
    sb_plan_drop(source);
    sb_type_drop(schema);
    sb_func_drop(second);
    sb_func_drop(last);
    sb_func_drop(keep);
    return plan;
}

/* --- masks -------------------------------------------------------------------------------------------------------- */

/* EVEN, and x as it is. */
#define EVEN_AND_X                                                                                 \
    "inputs i64 i64 f64\noutputs f64 b\nv1:i64 = in 0\nv2:i64 = in 1\nv3:i64 = py_mul_i64 v1 v2\n" \
    "v4:i64 = const_i64 2\nv5:i64 = py_mod_i64 v1 v4\nv6:i64 = const_i64 0\n"                      \
    "v7:b = py_eq_i64 v5 v6\nv8:b = py_eq_i64 v3 v3\nv9:b = and v7 v8\nv10:f64 = in 2\n"           \
    "store 0 v10\nstore 1 v9\n"

/* [filter] -> a map that gives the rows with an even b. NULL: no memory. */
static sb_plan *masked_plan(bool behind)
{
    static const char *const passed[] = {"a", "b", NULL, "c", "s"};
    sb_type *schema = sb_kit_schema();
    sb_func *func = sb_kit_map_func("evens", "b,a,x", "xgkb", EVEN_AND_X);
    sb_func *keep = sb_kit_func("keep", "b", "b", SB_KIT_KEEP);
    sb_plan *source = NULL, *between = NULL, *plan = NULL;
    bool whole = schema != NULL && func != NULL && keep != NULL &&
                 sb_plan_new_source("KIT", schema, &source, NULL) == SB_OK;
    if (whole && behind) {
        whole = sb_plan_new_filter(source, keep, &between, NULL) == SB_OK;
    }
    if (whole) {
        (void)sb_plan_new_masked(between != NULL ? between : source, "f(batch)", func, 5, passed,
                                 names, "k", NULL, 0, NULL, &plan, NULL);
    }
    sb_plan_drop(between);
    sb_plan_drop(source);
    sb_type_drop(schema);
    sb_func_drop(func);
    sb_func_drop(keep);
    return plan;
}

/* Whether a row of this one's batch leaves. */
static bool batch_leaves(shape s, int64_t row)
{
    int64_t first = row - row % BATCH, product;
    for (int64_t k = first; k < first + BATCH; k++) {
        bool given = !(s.behind && sb_kit_b(k) % 3 == 0);
        if (given && sb_mul_overflow_i64(sb_kit_a(k), sb_kit_b(k), &product)) {
            return true;
        }
    }
    return false;
}

static bool comes_out(shape s, int64_t row)
{
    if (s.masked && sb_kit_b(row) % 2 != 0 && !batch_leaves(s, row)) {
        return false; /* the host gives back the batches that it is asked for */
    }
    return !(s.behind && sb_kit_b(row) % 3 == 0) && !(s.filters && sb_kit_b(row) % 2 != 0);
}

static void expect(sb_buf *out, shape s, int64_t first, int64_t end)
{
    for (int64_t row = first; row < end; row++) {
        char word[16];
        if (!comes_out(s, row)) {
            continue;
        }
        sb_kit_s(row, word);
        sb_buf_printf(out, sb_kit_a_valid(row) ? "a=%lld" : "a=-", (long long)sb_kit_a(row));
        sb_buf_printf(out, " b=%lld x=%a", (long long)sb_kit_b(row), sb_kit_x(row));
        sb_buf_printf(out, " c=%s", !sb_kit_c_valid(row) ? "-" : sb_kit_c(row) ? "true" : "false");
        sb_buf_printf(out, sb_kit_s_valid(row) ? " s='%s\n" : " s=-\n", word);
    }
}

static const sb_run_options shapes[] = {
    {.threads = 1},
    {.threads = 1, .morsel_rows = 64},
    {.threads = 2, .morsel_rows = 3},
    {.threads = 3, .morsel_rows = 100, .tier = SB_TIER_INTERPRETER},
};

/* How many batches the host was asked for. */
static int64_t check_run(sb_plan *plan, const sb_run_options *options, shape s)
{
    sb_kit_host host;
    sb_buf wanted;
    sb_kit_source from = {.rows = ROWS, .batch_rows = BATCH, .fail_batch = -1};
    sb_buf_init(&wanted, 0);
    sb_kit_host_init(&host);
    sb_kit_run(&host, plan, &from, options);
    assert_int_equal(host.status, SB_OK);
    expect(&wanted, s, 0, ROWS);
    assert_int_equal(host.out.size, wanted.size);
    assert_memory_equal(host.out.data, wanted.data, wanted.size);
    assert_int_equal(from.live, 0);
    assert_true(s.compiled || host.in_order);
    int64_t asked = host.asks;
    sb_kit_host_release(&host);
    sb_buf_release(&wanted);
    return asked;
}

static shape shape_of(int number)
{
    if (number >= 8) {
        return (shape){
            .compiled = true, .whole = true, .pairs = number % 2, .behind = number / 2 % 2};
    }
    return (shape){.compiled = number % 2 == 0, .filters = number / 2 % 2, .behind = number / 4};
}

static void what_comes_out_does_not_depend_on_who_computes(void **state)
{
    (void)state;
    for (int number = 0; number < SHAPES; number++) {
        shape s = shape_of(number);
        sb_plan *plan = lowered_plan(s);
        assert_non_null(plan);
        for (size_t k = 0; k < SB_COUNT_OF(shapes); k++) {
            int64_t asked = check_run(plan, &shapes[k], s);
            if (s.whole) { /* batches with nulls are left where there are no pairs */
                assert_true(s.pairs ? asked == 0 : asked > 0);
                continue;
            }
            if (!s.compiled) {
                assert_int_equal(asked, ROWS / BATCH);
                continue;
            }
            assert_true(asked > 0);
            /* Under AUTO batches behind such that leave are passed by. */
            assert_true(shapes[k].tier == SB_TIER_AUTO || asked < ROWS / BATCH);
        }
        sb_plan_drop(plan);
    }
}

static void stages_run_before_the_function(void **state)
{
    (void)state;
    for (int behind = 0; behind < 2; behind++) {
        shape s = {.compiled = true, .behind = behind == 1};
        sb_plan *plan = staged_plan(false, s.behind);
        assert_non_null(plan);
        for (size_t k = 0; k < SB_COUNT_OF(shapes); k++) {
            assert_int_equal(check_run(plan, &shapes[k], s), 0);
        }
        flagged = sb_kit_x(ROWS / 2 + 1); /* met in one batch, or in more */
        int64_t asked = check_run(plan, &shapes[2], s);
        assert_true(asked > 0 && asked < ROWS / BATCH);
        flagged = 1e300;
        sb_plan_drop(plan);
        plan = staged_plan(true, s.behind);
        asked = check_run(plan, &shapes[1], s);
        assert_true(asked > 0 && asked < ROWS / BATCH);
        sb_plan_drop(plan);
    }
}

static void a_mask_drops_rows_of_all_columns(void **state)
{
    (void)state;
    for (int behind = 0; behind < 2; behind++) {
        shape s = {.compiled = true, .behind = behind == 1, .masked = true};
        sb_plan *plan = masked_plan(s.behind);
        assert_non_null(plan);
        for (size_t k = 0; k < SB_COUNT_OF(shapes); k++) {
            sb_run_options options = shapes[k];
            options.tier = SB_TIER_INTERPRETER; /* else batches may pass that would not leave */
            int64_t asked = check_run(plan, &options, s);
            assert_true(asked > 0 && asked < ROWS / BATCH);
        }
        sb_plan_drop(plan);
    }
}

static void masks_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char *const none[] = {NULL}, *const x[] = {"x"}, *const b[] = {"b"};
    sb_type *schema = sb_kit_schema();
    sb_func *evens = sb_kit_map_func("evens", "b,a,x", "xgkb", EVEN_AND_X);
    sb_func *single = sb_kit_func("even", "b,a", "b", EVEN);
    sb_func *whole = sb_kit_whole_func("copies", "a,b,x,c", "alblxgcb", SB_KIT_COPIES, true);
    sb_plan *source = NULL, *plan = NULL;
    assert_int_equal(sb_plan_new_source("KIT", schema, &source, NULL), SB_OK);
    assert_int_equal(
        sb_plan_new_masked(source, "f", evens, 1, none, x, "z", NULL, 0, NULL, &plan, NULL),
        SB_INVALID);
    assert_int_equal(
        sb_plan_new_masked(source, "f", evens, 1, none, x, "x", NULL, 0, NULL, &plan, NULL),
        SB_INVALID);
    assert_int_equal(
        sb_plan_new_masked(source, "f", single, 1, b, b, "k", NULL, 0, NULL, &plan, NULL),
        SB_INVALID);
    assert_int_equal(
        sb_plan_new_masked(source, "f", whole, 1, none, b, "c", NULL, 0, NULL, &plan, NULL),
        SB_INVALID);
    assert_int_equal(
        sb_plan_new_masked(source, "f", evens, 1, none, x, "k", schema, 0, NULL, &plan, NULL),
        SB_INVALID);
    assert_null(plan);
    sb_plan_drop(source);
    sb_func_drop(evens);
    sb_func_drop(single);
    sb_func_drop(whole);
    sb_type_drop(schema);
}

static void stages_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    sb_type *schema = sb_kit_schema();
    sb_func *first = sb_kit_map_func("first", "x", "pgqf", ARGUMENTS);
    sb_func *early = sb_kit_map_func("early", "m", "pg", AGAIN);
    sb_func *whole = sb_kit_map_func("whole", "a", "pl", NULL);
    sb_func *nullable = sb_kit_map_func("all", "a,b,x,c", "mlhgfb", SB_KIT_ALL);
    sb_plan *source = NULL, *plan = NULL;
    assert_int_equal(sb_plan_new_source("KIT", schema, &source, NULL), SB_OK);
    static const char *const made[] = {"p"}, *const none[] = {NULL};
    const sb_loop right = {.name = "m", .fn = add_doubles, .format = 'g', .arg_count = 2};
    sb_loop wrong[10];
    for (size_t k = 0; k < SB_COUNT_OF(wrong); k++) {
        wrong[k] = right;
    }
    wrong[0].name = "x";
    wrong[1].fn = NULL;
    wrong[2].format = 'f';
    wrong[3].format = 'l';
    wrong[4].arg_count = 0;
    wrong[5].arg_count = 3;
    wrong[6].args[1] = 2;
    wrong[7].args[1] = 1; /* of another type */
    wrong[8].args[0] = wrong[8].args[1] = -1;
    wrong[9].args[0] = -2;
    for (size_t k = 0; k < SB_COUNT_OF(wrong); k++) {
        const sb_stage stage = {first, 1, &wrong[k]};
        assert_int_equal(sb_plan_new_staged(source, "f", first, false, 1, none, made, NULL, 1,
                                            &stage, &plan, NULL),
                         SB_INVALID);
    }
    const sb_loop twice[] = {right, right};
    const sb_stage stages[] = {{first, 2, twice},
                               {early, 1, &right},
                               {whole, 1, &right},
                               {nullable, 1, &right},
                               {first, 0, NULL}};
    for (size_t k = 0; k < SB_COUNT_OF(stages); k++) {
        assert_int_equal(sb_plan_new_staged(source, "f", first, false, 1, none, made, NULL, 1,
                                            &stages[k], &plan, NULL),
                         SB_INVALID);
    }
    assert_int_equal(
        sb_plan_new_staged(source, "f", first, false, 1, none, made, NULL, -1, stages, &plan, NULL),
        SB_INVALID);
    assert_null(plan);
    sb_plan_drop(source);
    sb_func_drop(first);
    sb_func_drop(early);
    sb_func_drop(whole);
    sb_func_drop(nullable);
    sb_type_drop(schema);
}

static void phases_run_between_what_the_host_gives(void **state)
{
    (void)state;
    for (int number = 0; number < 8; number++) {
        const bool leaves = number % 2 == 1;
        shape s = {.compiled = true, .filters = number / 2 % 2 == 1, .behind = number / 4 == 1};
        if (leaves && s.filters) {
            continue;
        }
        sb_plan *plan = phased_plan(s.filters, leaves, s.behind);
        assert_non_null(plan);
        for (size_t k = 0; k < SB_COUNT_OF(shapes); k++) {
            int64_t asked = check_run(plan, &shapes[k], s);
            assert_true(leaves ? asked > 0 && asked < ROWS / BATCH : asked == 0);
        }
        sb_plan_drop(plan);
    }
}

static void check_phased(sb_plan *plan, int64_t refused, int64_t shortened, int64_t batch_rows)
{
    sb_kit_host host;
    sb_buf wanted;
    sb_kit_source from = {.rows = 100, .batch_rows = batch_rows, .fail_batch = -1};
    sb_buf_init(&wanted, 0);
    sb_kit_host_init(&host);
    host.refuse_batch = refused;
    host.short_batch = shortened;
    sb_kit_run(&host, plan, &from, &shapes[0]);
    const int64_t batches = 100 / batch_rows;
    if (shortened < 0) {
        assert_int_equal(host.status, SB_OK);
        assert_int_equal(host.asks, batch_rows == 1 ? batches : 1);
        assert_int_equal(host.phases, batch_rows == 1 ? 0 : 2 * batches - 1);
        expect(&wanted, (shape){.compiled = true}, 0, 100);
    } else {
        assert_int_equal(host.status, SB_INVALID);
        assert_string_equal(host.error.message, "0 rows where a phase wants 1");
        expect(&wanted, (shape){.compiled = true}, 0, shortened * batch_rows);
    }
    assert_int_equal(host.out.size, wanted.size);
    assert_memory_equal(host.out.data, wanted.data, wanted.size);
    assert_int_equal(from.live, 0);
    sb_kit_host_release(&host);
    sb_buf_release(&wanted);
}

static void a_host_that_gives_nothing_gets_the_batch(void **state)
{
    (void)state;
    sb_plan *plan = phased_plan(false, false, false);
    check_phased(plan, 3, -1, BATCH);
    check_phased(plan, -1, 4, BATCH);
    check_phased(plan, -1, -1, 1); /* a batch of one row is the host's */
    sb_plan_drop(plan);
}

static void phases_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const char *const taken[] = {"x"}, *const doubles[] = {"m", "n"};
    static const char *const made[] = {NULL}, *const one[] = {"x"};
    sb_type *schema = sb_kit_schema();
    sb_func *last = sb_kit_map_func("last", "x,b", "xg", AGAIN_WITH_B);
    sb_func *single = sb_kit_func("even", "b,a", "b", EVEN);
    sb_func *host = sb_kit_map_func("host", "x", "xg", NULL);
    sb_plan *source = source_with(schema, 0, doubles), *with = source_with(schema, 1, doubles);
    sb_plan *select = NULL, *late = NULL, *row = NULL, *filter = NULL, *byhost = NULL, *plan = NULL;
    sb_plan *nested = NULL;
    assert_int_equal(sb_plan_new_select(source, 1, taken, &select, NULL), SB_OK);
    assert_int_equal(sb_plan_new_select(with, 1, taken, &late, NULL), SB_OK);
    assert_int_equal(sb_plan_new_lowered(with, "f", last, false, 1, made, one, NULL, &row, NULL),
                     SB_OK);
    assert_int_equal(
        sb_plan_new_lowered(source, "f", single, true, 0, NULL, NULL, NULL, &filter, NULL), SB_OK);
    assert_int_equal(sb_plan_new_lowered(with, "f", host, false, 1, made, one, NULL, &byhost, NULL),
                     SB_OK);
    const sb_phase right[] = {{select, true}, {select, true}};
    assert_int_equal(sb_plan_new_phased(source, 1, right, row, &nested, NULL), SB_OK);
    const sb_phase wrong[] = {{late, true}, {filter, true}, {source, true}, {nested, true}};
    for (size_t k = 0; k < SB_COUNT_OF(wrong); k++) {
        assert_int_equal(sb_plan_new_phased(source, 1, &wrong[k], row, &plan, NULL), SB_INVALID);
    }
    assert_int_equal(sb_plan_new_phased(source, 0, right, row, &plan, NULL), SB_INVALID);
    assert_int_equal(sb_plan_new_phased(source, 2, right, row, &plan, NULL), SB_INVALID);
    assert_int_equal(sb_plan_new_phased(with, 1, right, row, &plan, NULL), SB_INVALID);
    sb_plan *const lasts[] = {select, late, byhost, nested, source};
    for (size_t k = 0; k < SB_COUNT_OF(lasts); k++) {
        assert_int_equal(sb_plan_new_phased(source, 1, right, lasts[k], &plan, NULL), SB_INVALID);
    }
    assert_null(plan);
    sb_plan *const all[] = {select, late, row, filter, byhost, nested, source, with};
    for (size_t k = 0; k < SB_COUNT_OF(all); k++) {
        sb_plan_drop(all[k]);
    }
    sb_func_drop(last);
    sb_func_drop(single);
    sb_func_drop(host);
    sb_type_drop(schema);
}

static void a_run_that_interprets_asks_for_all(void **state)
{
    (void)state;
    static const bool interpret[] = {true};
    shape s = {.compiled = true};
    sb_plan *plan = lowered_plan(s);
    sb_run_options options = {.threads = 2, .interpret = interpret, .interpret_count = 1};
    assert_int_equal(check_run(plan, &options, s), ROWS / BATCH);
    sb_plan_drop(plan);
    plan = phased_plan(false, false, false);
    assert_int_equal(check_run(plan, &options, s), ROWS / BATCH);
    sb_plan_drop(plan);
}

static void a_batch_that_fails_ends_the_run(void **state)
{
    (void)state;
    for (int number = 0; number < 2; number++) {
        shape s = {.compiled = false, .filters = number == 1};
        sb_plan *plan = lowered_plan(s);
        sb_kit_host host;
        sb_buf wanted;
        sb_kit_source from = {.rows = ROWS, .batch_rows = BATCH, .fail_batch = -1};
        sb_buf_init(&wanted, 0);
        sb_kit_host_init(&host);
        host.drop_batch = 2;
        host.fail_batch = 7;
        sb_kit_run(&host, plan, &from, &shapes[2]);
        assert_int_equal(host.status, SB_USER);
        assert_int_equal(host.failure.op, 0);
        assert_int_equal(host.failure.function_index, -1);
        assert_int_equal(host.failure.row, -1);
        assert_string_equal(host.error.message, "boom");
        expect(&wanted, s, 0, 2 * BATCH);
        expect(&wanted, s, 3 * BATCH, 7 * BATCH);
        assert_int_equal(host.out.size, wanted.size);
        assert_memory_equal(host.out.data, wanted.data, wanted.size);
        sb_kit_host_release(&host);
        sb_buf_release(&wanted);
        sb_plan_drop(plan);
    }
}

static void mistakes_are_refused(void **state)
{
    (void)state;
    sb_type *schema = sb_kit_schema();
    sb_func *single = sb_kit_func("even", "b,a", "b", EVEN);
    sb_func *keyed = sb_kit_map_func("all", "a,b,x,c", "mlhgfb", SB_KIT_ALL);
    static const char *const none[] = {NULL}, *const unknown[] = {"zz"};
    sb_plan *source = NULL, *deferred = NULL, *plan = NULL;
    assert_int_equal(sb_plan_new_source("KIT", schema, &source, NULL), SB_OK);
    assert_int_equal(sb_plan_new_batch(source, "g", NULL, false, &deferred, NULL), SB_OK);
    assert_int_equal(
        sb_plan_new_lowered(source, "f", single, false, 1, none, names, NULL, &plan, NULL),
        SB_INVALID);
    assert_int_equal(
        sb_plan_new_lowered(source, "f", keyed, false, 1, none, unknown, NULL, &plan, NULL),
        SB_INVALID);
    assert_int_equal(
        sb_plan_new_lowered(source, "f", keyed, false, 1, unknown, names, NULL, &plan, NULL),
        SB_UNKNOWN_COLUMN);
    assert_int_equal(
        sb_plan_new_lowered(deferred, "f", single, true, 0, NULL, NULL, NULL, &plan, NULL),
        SB_UNSUPPORTED);
    assert_int_equal(
        sb_plan_new_lowered(source, "f", keyed, false, 1, none, names, schema, &plan, NULL),
        SB_INVALID);
    /* Lists are no columns of rows. */
    sb_func *whole = sb_kit_whole_func("copies", "a,b,x,c", "alblxgcb", SB_KIT_COPIES, true);
    assert_int_equal(sb_plan_new_map(source, whole, 1, unknown, names, &plan, NULL), SB_INVALID);
    assert_int_equal(sb_plan_new_with(source, 1, names, &whole, &plan, NULL), SB_INVALID);
    assert_int_equal(sb_plan_new_filter(source, whole, &plan, NULL), SB_INVALID);
    sb_func_drop(whole);
    assert_null(plan);
    sb_plan_drop(deferred);
    sb_plan_drop(source);
    sb_func_drop(single);
    sb_func_drop(keyed);
    sb_type_drop(schema);
}

#ifdef SB_FAULTS
/* other: -1, or with stages and a filter before, or not, or with phases likewise. */
static bool fault_round(shape s, int other, int64_t nth)
{
    int64_t live = sb_mem_live_blocks();
    sb_kit_host host;
    sb_kit_source from = {.rows = 48, .batch_rows = 20, .fail_batch = -1};
    sb_kit_host_init(&host);
    sb_fault_arm(nth, false);
    sb_plan *plan = s.masked    ? masked_plan(s.behind)
                    : other < 0 ? lowered_plan(s)
                    : other < 2 ? staged_plan(false, other == 1)
                                : phased_plan(other > 3, false, other % 2 == 1);
    if (plan != NULL) {
        sb_kit_run(&host, plan, &from, &shapes[0]);
    }
    sb_fault_arm(0, false);
    bool hit = sb_fault_hit();
    if (plan != NULL && host.status != SB_OK) {
        assert_true(hit && (host.status == SB_NO_MEMORY || host.status == SB_CANCELLED));
    }
    assert_int_equal(from.live, 0);
    sb_plan_drop(plan);
    sb_kit_host_release(&host);
    assert_int_equal(sb_mem_live_blocks(), live);
    return !hit;
}

static void failing_allocations_leak_nothing(void **state)
{
    (void)state;
    for (int number = 0; number < SHAPES + 6; number++) {
        int64_t nth = 1;
        const int other = number < SHAPES ? -1 : number - SHAPES;
        while (!fault_round(shape_of(number % SHAPES), other, nth)) {
            nth++;
        }
        assert_true(nth > 50);
    }
    for (int behind = 0; behind < 2; behind++) {
        int64_t nth = 1;
        while (!fault_round((shape){.masked = true, .behind = behind == 1}, -1, nth)) {
            nth++;
        }
        assert_true(nth > 50);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_out_does_not_depend_on_who_computes),
        cmocka_unit_test(stages_run_before_the_function),
        cmocka_unit_test(a_mask_drops_rows_of_all_columns),
        cmocka_unit_test(masks_that_are_none_are_refused),
        cmocka_unit_test(stages_that_do_not_fit_are_refused),
        cmocka_unit_test(phases_run_between_what_the_host_gives),
        cmocka_unit_test(a_host_that_gives_nothing_gets_the_batch),
        cmocka_unit_test(phases_that_do_not_fit_are_refused),
        cmocka_unit_test(a_run_that_interprets_asks_for_all),
        cmocka_unit_test(a_batch_that_fails_ends_the_run),
        cmocka_unit_test(mistakes_are_refused),
#ifdef SB_FAULTS
        cmocka_unit_test(failing_allocations_leak_nothing),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
