/* Tests of column/gather.h and column/rows.h: rows of every type taken by index and joined, from slices, from several arrays with
 * dictionaries and buffers of their own; equality and hashes; limits; failing allocations. */
#include "column/gather.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "column/array_int.h"
#include "column/rows.h"
#include "column/testkit.h"

static sb_array *slice_of(sb_array *array, int64_t start, int64_t length)
{
    sb_array *slice;
    assert_int_equal(sb_array_slice(array, start, length, &slice, NULL), SB_OK);
    return slice;
}

static sb_array *array_of(sb_type *type, int64_t length, uint64_t seed)
{
    sb_array *array = sb_kit_array(type, length, &seed);
    assert_non_null(array);
    return array;
}

static void print_row(const sb_array *array, int64_t row, sb_buf *out)
{
    sb_buf_reset(out);
    if (row < 0) {
        sb_buf_char(out, '-');
    } else {
        sb_kit_print(array, row, out);
    }
}

/* A union has no nulls of its own: there a null row is "id:-". */
static void assert_row(const sb_array *a, int64_t row_a, const sb_array *b, int64_t row_b)
{
    sb_buf x, y;
    sb_buf_init(&x, 0);
    sb_buf_init(&y, 0);
    print_row(a, row_a, &x);
    print_row(b, row_b, &y);
    if (row_a < 0) {
        assert_int_equal(y.data[y.size - 1], '-');
    } else {
        assert_int_equal(x.size, y.size);
        assert_memory_equal(x.data, y.data, x.size);
    }
    sb_buf_release(&x);
    sb_buf_release(&y);
}

/* --- take ----------------------------------------------------------------------------------------------------------- */

static void rows_by_index_are_the_rows(void **state)
{
    (void)state;
    for (int i = 0; i < sb_kit_type_count; i++) {
        for (int64_t count = 0; count <= 150; count += 75) {
            uint64_t seed = 77u + (uint64_t)i;
            int64_t rows[150];
            sb_type *type = sb_kit_type(i, "x");
            sb_array *array = array_of(type, 130, seed);
            sb_array *slice = slice_of(array, 11, 100);
            sb_array *taken;
            for (int64_t k = 0; k < count; k++) {
                uint64_t random = sb_kit_random(&seed);
                rows[k] = random % 9 == 0                                ? -1
                          : k > 0 && random % 3 == 0 && rows[k - 1] < 99 ? rows[k - 1] + 1
                                                                         : (int64_t)(random % 100);
            }
            assert_int_equal(sb_array_gather(slice, rows, count, &taken, NULL), SB_OK);
            assert_int_equal(taken->length, count);
            assert_int_equal(sb_array_validate(taken, SB_VALIDATE_UTF8, NULL), SB_OK);
            for (int64_t k = 0; k < count; k++) {
                assert_row(slice, rows[k], taken, k);
            }
            sb_array_drop(slice);
            sb_array_drop(array);
            sb_array_drop(taken);
            sb_type_drop(type);
        }
    }
}

static void rows_outside_are_refused(void **state)
{
    (void)state;
    static const int64_t bad[] = {-2, 10, INT64_MIN, INT64_MAX};
    sb_type *type = sb_kit_type(0, "x");
    sb_array *array = array_of(type, 10, 5);
    sb_array *taken;
    for (size_t i = 0; i < SB_COUNT_OF(bad); i++) {
        int64_t rows[2] = {3, bad[i]};
        assert_int_equal(sb_array_gather(array, rows, 2, &taken, NULL), SB_INVALID);
    }
    sb_array_drop(array);
    sb_type_drop(type);
}

/* --- concatenation -------------------------------------------------------------------------------------------------- */

static void joined_rows_are_the_rows(void **state)
{
    (void)state;
    for (int i = 0; i < sb_kit_type_count; i++) {
        sb_type *type = sb_kit_type(i, "x");
        sb_array *first = array_of(type, 90, 31), *second = array_of(type, 40, 63);
        sb_array *parts[5] = {slice_of(first, 7, 33), slice_of(first, 40, 50),
                              slice_of(second, 0, 0), sb_array_retain(second),
                              array_of(type, 0, 9)};
        sb_array *joined;
        int64_t at = 0;
        assert_int_equal(sb_array_concat(parts, 5, &joined, NULL), SB_OK);
        assert_int_equal(joined->length, 123);
        assert_int_equal(sb_array_validate(joined, SB_VALIDATE_UTF8, NULL), SB_OK);
        for (int k = 0; k < 5; k++) {
            for (int64_t row = 0; row < parts[k]->length; row++) {
                assert_row(parts[k], row, joined, at++);
            }
            sb_array_drop(parts[k]);
        }
        sb_array_drop(first);
        sb_array_drop(second);
        sb_array_drop(joined); /* what it shared went with it */
        sb_type_drop(type);
    }
}

static void only_equal_types_are_joined(void **state)
{
    (void)state;
    sb_type *types[2] = {sb_kit_type(0, "x"), sb_kit_type(1, "x")};
    sb_array *arrays[2] = {array_of(types[0], 3, 1), array_of(types[1], 3, 1)};
    sb_array *joined;
    assert_int_equal(sb_array_concat(arrays, 2, &joined, NULL), SB_TYPE);
    assert_int_equal(sb_array_concat(arrays, 1, &joined, NULL), SB_OK);
    assert_ptr_equal(joined, arrays[0]);
    sb_array_drop(joined);
    for (int i = 0; i < 2; i++) {
        sb_array_drop(arrays[i]);
        sb_type_drop(types[i]);
    }
}

static void equal_dictionaries_do_not_grow(void **state)
{
    (void)state;
    sb_type *type = sb_kit_type(17, "x");
    sb_array *first = array_of(type, 50, 3), *same = array_of(type, 50, 3);
    sb_array *arrays[2] = {first, same}, *joined, *again;
    assert_int_equal(sb_array_concat(arrays, 2, &joined, NULL), SB_OK);
    assert_true(joined->dictionary->length <= 17);
    arrays[0] = arrays[1] = joined;
    assert_int_equal(sb_array_concat(arrays, 2, &again, NULL), SB_OK);
    assert_ptr_equal(again->dictionary, joined->dictionary);
    sb_array_drop(again);
    sb_array_drop(joined);
    sb_array_drop(first);
    sb_array_drop(same);
    sb_type_drop(type);
}

/* A run-end encoded array of one run of `rows` rows. */
static sb_array *one_run(sb_type *type, int64_t rows)
{
    sb_array *children[2], *array;
    uint64_t seed = 9;
    sb_array_parts ends = {.length = 1, .extent = 1, .block_count = 2};
    ends.blocks[1] = sb_mem_alloc_aligned(8);
    assert_non_null(ends.blocks[1]);
    sb_index_put(ends.blocks[1], type->children[0]->width, rows);
    assert_int_equal(sb_array_new(type->children[0], &ends, &children[0], NULL), SB_OK);
    children[1] = sb_kit_array(type->children[1], 1, &seed);
    sb_array_parts parts = {.length = rows, .extent = rows, .children = children, .child_count = 2};
    assert_int_equal(sb_array_new(type, &parts, &array, NULL), SB_OK);
    return array;
}

static void results_too_large_for_their_type_are_refused(void **state)
{
    (void)state;
    sb_type *type = sb_kit_type(29, "x"); /* run ends of 16 bits */
    sb_array *run = one_run(type, 20000);
    sb_array *arrays[2] = {run, run}, *joined;
    sb_error error;
    assert_int_equal(sb_array_concat(arrays, 2, &joined, &error), SB_LIMIT);
    assert_non_null(strstr(error.message, "\"x\""));
    sb_array_drop(run);
    sb_type_drop(type);
}

/* --- equality and hashes -------------------------------------------------------------------------------------------- */

static void copies_are_equal_and_hash_alike(void **state)
{
    (void)state;
    for (int i = 0; i < sb_kit_type_count; i++) {
        sb_type *type = sb_kit_type(i, "x");
        sb_array *array = array_of(type, 120, 555);
        sb_array *slice = slice_of(array, 13, 80), *copy;
        int64_t rows[80];
        uint64_t x[80] = {0}, y[80] = {0};
        bool equal;
        for (int64_t row = 0; row < 80; row++) {
            rows[row] = row;
        }
        assert_int_equal(sb_array_gather(slice, rows, 80, &copy, NULL), SB_OK);
        assert_int_equal(sb_array_equal(slice, copy, SB_EQUAL_KEY, &equal, NULL), SB_OK);
        assert_true(equal);
        assert_int_equal(sb_array_hash(slice, x, NULL), SB_OK);
        assert_int_equal(sb_array_hash(copy, y, NULL), SB_OK);
        assert_memory_equal(x, y, sizeof x);
        for (int64_t row = 1; row < 80; row++) {
            sb_buf a, b;
            sb_buf_init(&a, 0);
            sb_buf_init(&b, 0);
            sb_kit_print(slice, row, &a);
            sb_kit_print(slice, row - 1, &b);
            bool same = a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
            /* Random floats may be two nans, which print by their bits. */
            if (type->format[0] != 'g' && type->format[0] != 'e') {
                assert_int_equal(sb_row_equal(slice, row, slice, row - 1, SB_EQUAL_KEY), same);
            }
            sb_buf_release(&a);
            sb_buf_release(&b);
        }
        sb_array_drop(copy);
        sb_array_drop(slice);
        sb_array_drop(array);
        sb_type_drop(type);
    }
}

static void floats_are_keys(void **state)
{
    (void)state;
    static const uint64_t bits[] = {0, UINT64_C(1) << 63, UINT64_C(0x7FF8000000000000),
                                    UINT64_C(0xFFF0000000000001), UINT64_C(0x7FF0000000000000)};
    sb_type *type = sb_kit_type(1, "x");
    sb_array_parts parts = {.length = 5, .extent = 5, .block_count = 2};
    sb_array *array;
    uint64_t hashes[5] = {0};
    parts.blocks[1] = sb_mem_alloc_aligned(sizeof bits);
    memcpy(parts.blocks[1], bits, sizeof bits);
    assert_int_equal(sb_array_new(type, &parts, &array, NULL), SB_OK);
    assert_int_equal(sb_array_hash(array, hashes, NULL), SB_OK);
    assert_int_equal(hashes[0], hashes[1]);
    assert_int_equal(hashes[2], hashes[3]);
    assert_true(sb_row_equal(array, 0, array, 1, SB_EQUAL_KEY));
    assert_true(sb_row_equal(array, 0, array, 1, SB_EQUAL_IEEE));
    assert_true(sb_row_equal(array, 2, array, 3, SB_EQUAL_KEY));
    assert_false(sb_row_equal(array, 2, array, 2, SB_EQUAL_IEEE));
    assert_false(sb_row_equal(array, 2, array, 4, SB_EQUAL_KEY));
    assert_true(sb_row_equal(array, 4, array, 4, SB_EQUAL_IEEE));
    sb_array_drop(array);
    sb_type_drop(type);
}

static void lengths_and_types_make_arrays_differ(void **state)
{
    (void)state;
    sb_type *type = sb_kit_type(0, "x"), *other = sb_kit_type(1, "x");
    sb_array *array = array_of(type, 9, 1), *floats = array_of(other, 9, 1);
    sb_array *slice = slice_of(array, 0, 8);
    bool equal = true;
    assert_int_equal(sb_array_equal(array, slice, SB_EQUAL_KEY, &equal, NULL), SB_OK);
    assert_false(equal);
    equal = true;
    assert_int_equal(sb_array_equal(array, floats, SB_EQUAL_KEY, &equal, NULL), SB_OK);
    assert_false(equal);
    sb_array_drop(slice);
    sb_array_drop(array);
    sb_array_drop(floats);
    sb_type_drop(type);
    sb_type_drop(other);
}

/* --- failing allocations -------------------------------------------------------------------------------------------- */

#ifdef SB_FAULTS
static bool fault_round(int index, int64_t nth)
{
    static const int64_t rows[] = {5, 6, 7, -1, 2, 40, 3};
    int64_t live = sb_mem_live_blocks();
    sb_type *type = sb_kit_type(index, "x");
    sb_array *arrays[2] = {array_of(type, 50, 1), array_of(type, 50, 2)};
    sb_array *taken = NULL, *joined = NULL;
    uint64_t hashes[50] = {0};
    bool equal;
    sb_fault_arm(nth, false);
    sb_status status;
    SB_TRY(sb_array_gather(arrays[0], rows, (int64_t)SB_COUNT_OF(rows), &taken, NULL));
    SB_TRY(sb_array_concat(arrays, 2, &joined, NULL));
    SB_TRY(sb_array_equal(arrays[0], arrays[1], SB_EQUAL_KEY, &equal, NULL));
    SB_TRY(sb_array_hash(arrays[0], hashes, NULL));
out:
    sb_fault_arm(0, false);
    bool hit = sb_fault_hit();
    assert_int_equal(status, hit ? SB_NO_MEMORY : SB_OK);
    sb_array_drop(taken);
    sb_array_drop(joined);
    sb_array_drop(arrays[0]);
    sb_array_drop(arrays[1]);
    sb_type_drop(type);
    assert_int_equal(sb_mem_live_blocks(), live);
    return !hit;
}

static void failing_allocations_leak_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < sb_kit_type_count; i++) {
        int64_t nth = 1;
        while (!fault_round(i, nth)) {
            nth++;
        }
        assert_true(nth > 5);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_by_index_are_the_rows),
        cmocka_unit_test(rows_outside_are_refused),
        cmocka_unit_test(joined_rows_are_the_rows),
        cmocka_unit_test(only_equal_types_are_joined),
        cmocka_unit_test(equal_dictionaries_do_not_grow),
        cmocka_unit_test(results_too_large_for_their_type_are_refused),
        cmocka_unit_test(copies_are_equal_and_hash_alike),
        cmocka_unit_test(floats_are_keys),
        cmocka_unit_test(lengths_and_types_make_arrays_differ),
#ifdef SB_FAULTS
        cmocka_unit_test(failing_allocations_leak_nothing),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
