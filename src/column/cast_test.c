/* Tests of column/cast.h beside those against pyarrow (tests/test_column_kernels.py): what is shared, what the messages say, half floats
 * against all 65,536 of them, failing allocations. */
#include "column/cast.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "column/testkit.h"

static sb_type *type_of(const char *format)
{
    sb_type *type;
    assert_int_equal(sb_type_new(format, "x", 0, &type, NULL), SB_OK);
    return type;
}

static sb_array *array_of(const char *format, const void *values, int64_t rows)
{
    sb_type *type = type_of(format);
    sb_array *array;
    sb_array_parts parts = {.length = rows, .extent = rows, .block_count = 2};
    parts.blocks[1] = sb_mem_alloc_aligned((size_t)(rows * type->width));
    assert_non_null(parts.blocks[1]);
    memcpy(parts.blocks[1], values, (size_t)(rows * type->width));
    assert_int_equal(sb_array_new(type, &parts, &array, NULL), SB_OK);
    sb_type_drop(type);
    return array;
}

static sb_status cast_to(sb_array *array, const char *format, sb_array **out, sb_error *err)
{
    sb_type *type = type_of(format);
    sb_status status = sb_array_cast(array, type, out, err);
    sb_type_drop(type);
    return status;
}

static void same_bits_are_shared(void **state)
{
    (void)state;
    static const int64_t values[3] = {1, -2, 3};
    static const char *const formats[] = {"l", "tsu:", "tDn", "ttu", "tdm"};
    sb_array *array = array_of("l", values, 3);
    for (size_t i = 0; i < SB_COUNT_OF(formats); i++) {
        sb_array *made, *back;
        assert_int_equal(cast_to(array, formats[i], &made, NULL), SB_OK);
        assert_ptr_equal(made->buffers[1], array->buffers[1]);
        assert_string_equal(made->type->format, formats[i]);
        assert_int_equal(cast_to(made, "l", &back, NULL), SB_OK);
        assert_ptr_equal(back->buffers[1], array->buffers[1]);
        sb_array_drop(made);
        sb_array_drop(back);
    }
    sb_array_drop(array);
}

static void messages_name_the_row_and_the_value(void **state)
{
    (void)state;
    static const int64_t whole[4] = {1, 2, 300, -1};
    static const double real[2] = {1, 2.5};
    static const uint64_t large[1] = {UINT64_MAX};
    sb_array *made;
    sb_error error;
    sb_array *array = array_of("l", whole, 4);
    assert_int_equal(cast_to(array, "c", &made, &error), SB_INVALID);
    assert_string_equal(error.message, "cast of int64 to int8: row 2, 300, does not fit");
    assert_int_equal(cast_to(array, "L", &made, &error), SB_INVALID);
    assert_string_equal(error.message, "cast of int64 to uint64: row 3, -1, does not fit");
    assert_int_equal(cast_to(array, "u", &made, &error), SB_TYPE);
    assert_string_equal(error.message, "there is no cast of int64 to string");
    sb_array_drop(array);
    array = array_of("g", real, 2);
    assert_int_equal(cast_to(array, "l", &made, &error), SB_INVALID);
    assert_string_equal(error.message, "cast of double to int64: row 1, 2.5, does not fit");
    sb_array_drop(array);
    array = array_of("L", large, 1);
    assert_int_equal(cast_to(array, "l", &made, &error), SB_INVALID);
    assert_string_equal(error.message,
                        "cast of uint64 to int64: row 0, 18446744073709551615, does not fit");
    sb_array_drop(array);
}

static void zones_other_than_utc_need_their_rules(void **state)
{
    (void)state;
    static const int64_t values[1] = {0};
    sb_array *made;
    sb_array *array = array_of("tsu:Europe/Paris", values, 1);
    assert_int_equal(cast_to(array, "tdD", &made, NULL), SB_TYPE);
    assert_int_equal(cast_to(array, "tsn:", &made, NULL), SB_OK);
    sb_array_drop(made);
    sb_array_drop(array);
    array = array_of("tsu:UTC", values, 1);
    assert_int_equal(cast_to(array, "tdD", &made, NULL), SB_OK);
    sb_array_drop(made);
    sb_array_drop(array);
}

/* What a half float is worth, by the definition. */
static double half_value(uint16_t half)
{
    int exponent = half >> 10 & 0x1F, fraction = half & 0x3FF;
    double value = exponent == 0x1F ? (fraction == 0 ? (double)INFINITY : (double)NAN)
                   : exponent == 0  ? ldexp(fraction, -24)
                                    : ldexp(fraction + 1024, exponent - 25);
    return half & 0x8000 ? -value : value;
}

static void all_half_floats_pass_both_ways(void **state)
{
    (void)state;
    enum { COUNT = 65536 };
    uint16_t *halves = sb_mem_alloc(COUNT * sizeof *halves);
    assert_non_null(halves);
    for (int i = 0; i < COUNT; i++) {
        halves[i] = (uint16_t)i;
    }
    sb_array *array = array_of("e", halves, COUNT), *wide, *back;
    assert_int_equal(cast_to(array, "g", &wide, NULL), SB_OK);
    assert_int_equal(cast_to(wide, "e", &back, NULL), SB_OK);
    const double *values = wide->buffers[1];
    const uint16_t *again = back->buffers[1];
    for (int i = 0; i < COUNT; i++) {
        double wanted = half_value(halves[i]);
        if (isnan(wanted)) {
            assert_true(isnan(values[i]) && isnan(half_value(again[i])));
        } else {
            assert_memory_equal(&values[i], &wanted, sizeof wanted);
            assert_int_equal(again[i], halves[i]);
        }
    }
    sb_array_drop(wide);
    sb_array_drop(back);
    sb_array_drop(array);
    sb_mem_free(halves);
}

/* Between two neighbours a value goes to the nearer one, in the middle to the even one. */
static void half_floats_round_to_the_nearest(void **state)
{
    (void)state;
    for (uint16_t half = 0; half < 0x7BFF; half++) {
        double low = half_value(half), high = half_value((uint16_t)(half + 1));
        double middle = (low + high) / 2;
        const double values[3] = {nextafter(middle, low), middle, nextafter(middle, high)};
        sb_array *array = array_of("g", values, 3), *made;
        assert_int_equal(cast_to(array, "e", &made, NULL), SB_OK);
        const uint16_t *given = made->buffers[1];
        assert_int_equal(given[0], half);
        assert_int_equal(given[1], half + (half & 1));
        assert_int_equal(given[2], half + 1);
        sb_array_drop(made);
        sb_array_drop(array);
    }
}

#ifdef SB_FAULTS
static bool fault_round(int64_t nth)
{
    uint64_t seed = 3;
    int64_t live = sb_mem_live_blocks();
    sb_type *from = sb_kit_type(4, "x"), *to = type_of("g"), *same = type_of("tsu:");
    sb_array *array = sb_kit_array(from, 70, &seed), *made = NULL, *shared = NULL;
    static const int64_t values[1] = {1};
    sb_array *whole = array_of("l", values, 1);
    sb_status status;
    sb_fault_arm(nth, false);
    SB_TRY(sb_array_cast(array, to, &made, NULL));
    SB_TRY(sb_array_cast(whole, same, &shared, NULL));
out:
    sb_fault_arm(0, false);
    bool hit = sb_fault_hit();
    assert_int_equal(status, hit ? SB_NO_MEMORY : SB_OK);
    sb_array_drop(made);
    sb_array_drop(shared);
    sb_array_drop(whole);
    sb_array_drop(array);
    sb_type_drop(from);
    sb_type_drop(to);
    sb_type_drop(same);
    assert_int_equal(sb_mem_live_blocks(), live);
    return !hit;
}

static void failing_allocations_leak_nothing(void **state)
{
    (void)state;
    int64_t nth = 1;
    while (!fault_round(nth)) {
        nth++;
    }
    assert_true(nth > 4);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits_are_shared),
        cmocka_unit_test(messages_name_the_row_and_the_value),
        cmocka_unit_test(zones_other_than_utc_need_their_rules),
        cmocka_unit_test(all_half_floats_pass_both_ways),
        cmocka_unit_test(half_floats_round_to_the_nearest),
#ifdef SB_FAULTS
        cmocka_unit_test(failing_allocations_leak_nothing),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
