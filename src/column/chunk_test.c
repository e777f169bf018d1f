/* Tests of column/chunk.h and column/view.h: batches with offsets and nulls, filtering late and compacting, source rows, kernel views of
 * every alignment. */
#include "column/chunk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "column/testkit.h"
#include "column/view.h"

/* --- chunks ------------------------------------------------------------------------------------------------------- */

/* A struct of (string, bool) as a record batch of the rows [13, 13 + rows). */
static sb_chunk *chunk_of(int64_t rows, sb_array **whole)
{
    uint64_t seed = 17;
    sb_type *type = sb_kit_type(16, "");
    sb_array *array = type != NULL ? sb_kit_array(type, rows + 20, &seed) : NULL;
    sb_array *slice = NULL;
    sb_chunk *chunk = NULL;
    struct ArrowArray exported = {0};
    if (array != NULL) {
        array->buffers[0] = NULL; /* a record batch has no nulls of its own */
        array->null_count = 0;
        if (sb_array_slice(array, 13, rows, &slice, NULL) == SB_OK &&
            sb_array_export(slice, &exported, NULL) == SB_OK &&
            sb_chunk_import(&exported, type, NULL, &chunk, NULL) == SB_OK) {
            chunk->source_row = 1000;
        }
    }
    if (exported.release != NULL) {
        exported.release(&exported);
    }
    sb_array_drop(slice);
    if (whole != NULL) {
        *whole = array;
    } else {
        sb_array_drop(array);
    }
    sb_type_drop(type);
    return chunk;
}

static void chunk_print(const sb_chunk *chunk, int64_t row, sb_buf *out)
{
    sb_kit_print(chunk->columns[0], row, out);
    sb_buf_char(out, ' ');
    sb_kit_print(chunk->columns[1], row, out);
}

static void assert_row(const sb_chunk *chunk, int64_t row, const sb_array *whole, int64_t at)
{
    sb_buf given, wanted;
    SB_ASSERT(whole != NULL);
    sb_buf_init(&given, 0);
    sb_buf_init(&wanted, 0);
    chunk_print(chunk, row, &given);
    sb_kit_print(whole->children[0], at, &wanted);
    sb_buf_char(&wanted, ' ');
    sb_kit_print(whole->children[1], at, &wanted);
    assert_string_equal(given.data, wanted.data);
    sb_buf_release(&given);
    sb_buf_release(&wanted);
}

static uint8_t *mask_of(int64_t rows, int64_t step)
{
    uint8_t *mask = sb_mem_alloc_aligned(sb_mask_size(rows));
    if (mask != NULL) {
        memset(mask, 0, sb_mask_size(rows));
        for (int64_t row = 0; row < rows; row += step) {
            sb_bit_set(mask, row);
        }
    }
    return mask;
}

static void a_batch_applies_its_own_offset(void **state)
{
    (void)state;
    sb_array *whole;
    sb_chunk *chunk = chunk_of(100, &whole);
    assert_int_equal(chunk->rows, 100);
    for (int64_t row = 0; row < 100; row++) {
        assert_row(chunk, row, whole, 13 + row);
    }
    sb_chunk_free(chunk);
    sb_array_drop(whole);
}

static void null_rows_in_a_batch_are_refused(void **state)
{
    (void)state;
    uint64_t seed = 4;
    sb_type *type = sb_kit_type(16, "");
    sb_array *array = sb_kit_array(type, 40, &seed);
    struct ArrowArray exported;
    sb_chunk *chunk;
    assert_int_equal(sb_array_export(array, &exported, NULL), SB_OK);
    assert_int_equal(sb_chunk_import(&exported, type, NULL, &chunk, NULL), SB_INVALID);
    if (exported.release != NULL) {
        exported.release(&exported);
    }
    sb_array_drop(array);
    sb_type_drop(type);
}

static void filters_meet_and_compact(void **state)
{
    (void)state;
    sb_array *whole;
    sb_chunk *chunk = chunk_of(200, &whole);
    sb_chunk_restrict(chunk, mask_of(200, 2));
    assert_int_equal(chunk->active_count, 100);
    sb_chunk_restrict(chunk, mask_of(200, 3));
    assert_int_equal(chunk->active_count, 34);
    assert_int_equal(sb_chunk_truncate(chunk, 190, NULL), SB_OK);
    assert_int_equal(chunk->active_count, 32);
    assert_int_equal(sb_chunk_compact(chunk, NULL), SB_OK);
    assert_int_equal(chunk->rows, 32);
    assert_null(chunk->active);
    for (int64_t row = 0; row < 32; row++) {
        assert_int_equal(sb_chunk_source_row(chunk, row), 1000 + row * 6);
        assert_row(chunk, row, whole, 13 + row * 6);
    }
    sb_chunk_restrict(chunk, mask_of(32, 4)); /* over rows that were compacted once */
    assert_int_equal(sb_chunk_compact(chunk, NULL), SB_OK);
    assert_int_equal(chunk->rows, 8);
    assert_int_equal(sb_chunk_source_row(chunk, 3), 1000 + 12 * 6);
    assert_int_equal(sb_chunk_number_rows(chunk, NULL), SB_OK);
    assert_int_equal(chunk->source_rows[3], 1000 + 12 * 6);
    sb_chunk_restrict(chunk, mask_of(8, 1));
    assert_null(chunk->active); /* all rows stay: nothing to remember */
    sb_chunk_free(chunk);
    sb_array_drop(whole);
}

static void rows_keep_their_numbers_through_many_masks(void **state)
{
    (void)state;
    enum { ROWS = 700 };
    uint64_t seed = 5;
    for (int turn = 0; turn < 40; turn++) {
        sb_chunk *chunk = chunk_of(ROWS, NULL);
        int64_t numbers[ROWS], count = ROWS;
        for (int64_t i = 0; i < ROWS; i++) {
            numbers[i] = 1000 + i;
        }
        for (int round = 0; round < 4; round++) {
            uint8_t *mask = mask_of(count, ROWS); /* one row; more by chance */
            int64_t kept = 0, rare = 1 + (int64_t)(sb_kit_random(&seed) % 9);
            for (int64_t i = 0; i < count; i++) {
                sb_bit_put(mask, i, sb_kit_random(&seed) % 10 >= (uint64_t)rare);
                numbers[kept] = numbers[i];
                kept += sb_bit_get(mask, i) ? 1 : 0;
            }
            count = kept;
            sb_chunk_restrict(chunk, mask);
            assert_int_equal(sb_chunk_compact(chunk, NULL), SB_OK);
            if (count > 3 && turn % 3 == 0) {
                count -= 3;
                assert_int_equal(sb_chunk_truncate(chunk, count, NULL), SB_OK);
            }
            assert_int_equal(chunk->rows, count);
            for (int64_t i = 0; i < count; i++) {
                assert_int_equal(sb_chunk_source_row(chunk, i), numbers[i]);
            }
            if (turn % 2 == 0) {
                assert_int_equal(sb_chunk_number_rows(chunk, NULL), SB_OK);
                for (int64_t i = 0; i < count; i++) {
                    assert_int_equal(sb_chunk_source_row(chunk, i), numbers[i]);
                }
            }
        }
        sb_chunk_free(chunk);
    }
}

static void slices_know_where_they_come_from(void **state)
{
    (void)state;
    sb_array *whole;
    sb_chunk *chunk = chunk_of(100, &whole), *part;
    assert_int_equal(sb_chunk_slice(chunk, 40, 30, &part, NULL), SB_OK);
    sb_chunk_free(chunk);
    assert_int_equal(sb_chunk_source_row(part, 2), 1042);
    assert_row(part, 2, whole, 13 + 42);
    sb_chunk_free(part);
    sb_array_drop(whole);
}

/* --- views -------------------------------------------------------------------------------------------------------- */

static void check_view(sb_array *slice, int64_t row0, int64_t rows, bool bits)
{
    static sb_view_scratch scratch;
    sb_view view = {0};
    int64_t padded = (rows + SB_VIEW_PAD - 1) / SB_VIEW_PAD * SB_VIEW_PAD;
    volatile uint8_t sum = 0;
    memset(&scratch, 0xAB, sizeof scratch);
    sb_view_values(slice, row0, rows, &scratch, &view);
    sb_view_valid(slice, row0, rows, &scratch, &view);
    if (view.valid == NULL) {
        fail_msg("the validity is lost");
        return;
    }
    for (int64_t i = 0; i < rows; i++) {
        int64_t at = slice->offset + row0 + i;
        if (bits) {
            assert_int_equal(((const uint8_t *)view.values)[i],
                             sb_bit_get(slice->buffers[1], at) ? 1 : 0);
        } else {
            assert_int_equal(((const int64_t *)view.values)[i],
                             ((const int64_t *)slice->buffers[1])[at]);
        }
        assert_int_equal(sb_bit_get(view.valid, i), sb_bit_get(slice->buffers[0], at));
    }
    /* Whole groups must be readable: the sanitizer watches. */
    const uint8_t *bytes = view.values;
    for (int64_t i = 0; i < padded * (bits ? 1 : 8); i++) {
        sum = (uint8_t)(sum + bytes[i]);
    }
    for (int64_t i = 0; i < padded / 8; i++) {
        sum = (uint8_t)(sum + view.valid[i]);
    }
}

static void views_have_every_alignment(void **state)
{
    (void)state;
    static const int which[] = {0, 1, 2};
    for (size_t k = 0; k < SB_COUNT_OF(which); k++) {
        uint64_t seed = 1234;
        sb_type *type = sb_kit_type(which[k], "x");
        sb_array *array = sb_kit_array(type, 3000, &seed);
        for (int64_t start = 0; start < 20; start++) {
            sb_array *slice;
            assert_int_equal(sb_array_slice(array, start, 2900, &slice, NULL), SB_OK);
            check_view(slice, 0, 2048, which[k] == 2);
            check_view(slice, 2048, 2900 - 2048, which[k] == 2);
            check_view(slice, 0, 1, which[k] == 2);
            check_view(slice, 2880, 20, which[k] == 2);
            sb_array_drop(slice);
            assert_int_equal(sb_array_slice(array, start, 3000 - start, &slice, NULL), SB_OK);
            check_view(slice, 2048, 3000 - start - 2048, which[k] == 2); /* to the buffer's end */
            sb_array_drop(slice);
        }
        sb_array_drop(array);
        sb_type_drop(type);
    }
}

static void values_that_are_in_place_are_not_copied(void **state)
{
    (void)state;
    static sb_view_scratch scratch;
    uint64_t seed = 1234;
    sb_type *type = sb_kit_type(0, "x");
    sb_array *array = sb_kit_array(type, 4096, &seed);
    sb_view view = {0};
    sb_view_values(array, 2048, 2048, &scratch, &view);
    sb_view_valid(array, 2048, 2048, &scratch, &view);
    assert_ptr_equal(view.values, (const int64_t *)array->buffers[1] + 2048);
    assert_ptr_equal(view.valid, (const uint8_t *)array->buffers[0] + 256);
    sb_view_values(array, 0, 2047, &scratch, &view); /* the group it ends in is still inside */
    assert_ptr_equal(view.values, array->buffers[1]);
    array->null_count = 0;
    sb_view_valid(array, 0, 100, &scratch, &view);
    assert_null(view.valid);
    sb_array_drop(array);
    sb_type_drop(type);
}

/* One value, read as its format says; *out for floats. */
static int64_t number_at(const char *format, const uint8_t *bytes, double *out)
{
    union {
        int8_t c;
        uint8_t C;
        int16_t s;
        uint16_t S;
        int32_t i;
        uint32_t I;
        int64_t l;
        float f;
    } u = {0};
    *out = 0;
    switch (format[0]) {
    case 'c':
        memcpy(&u.c, bytes, 1);
        return u.c;
    case 'C':
        memcpy(&u.C, bytes, 1);
        return u.C;
    case 's':
        memcpy(&u.s, bytes, 2);
        return u.s;
    case 'S':
        memcpy(&u.S, bytes, 2);
        return u.S;
    case 'i':
        memcpy(&u.i, bytes, 4);
        return u.i;
    case 'I':
        memcpy(&u.I, bytes, 4);
        return u.I;
    case 'f':
        memcpy(&u.f, bytes, 4);
        *out = (double)u.f;
        return 0;
    default:
        memcpy(&u.l, bytes, strcmp(format, "tdD") == 0 ? 4 : 8);
        return strcmp(format, "tdD") == 0 ? u.i : u.l;
    }
}

static void check_widened(const sb_array *slice, int64_t row0, int64_t rows)
{
    static sb_view_scratch scratch;
    sb_view view = {0};
    const char *format = slice->type->format;
    memset(&scratch, 0xAB, sizeof scratch);
    sb_view_values(slice, row0, rows, &scratch, &view);
    for (int64_t i = 0; i < rows; i++) {
        const uint8_t *bytes = slice->buffers[1];
        double real;
        int64_t whole =
            number_at(format, bytes + (slice->offset + row0 + i) * slice->type->width, &real);
        if (format[0] == 'f') {
            double seen = ((const double *)view.values)[i];
            assert_true(seen == real || (seen != seen && real != real));
        } else {
            assert_int_equal(((const int64_t *)view.values)[i], whole);
        }
    }
    /* Whole groups must be readable, and what pads a copy is zero. */
    for (int64_t i = rows; i % SB_VIEW_PAD != 0; i++) {
        volatile int64_t pad = ((const int64_t *)view.values)[i];
        assert_true(view.values != scratch.values || pad == 0);
    }
}

static void narrow_numbers_are_widened(void **state)
{
    (void)state;
    static const char *const formats[] = {"c", "C", "s",   "S",    "i",       "I",
                                          "f", "l", "tdD", "tss:", "tsu:UTC", "L"};
    for (size_t k = 0; k < SB_COUNT_OF(formats); k++) {
        uint64_t seed = 99 + k;
        sb_type *type;
        assert_int_equal(sb_type_new(formats[k], "x", ARROW_FLAG_NULLABLE, &type, NULL), SB_OK);
        sb_array *array = sb_kit_array(type, 2100, &seed);
        for (int64_t start = 0; start < 9; start++) {
            sb_array *slice;
            assert_int_equal(sb_array_slice(array, start, 2100 - start, &slice, NULL), SB_OK);
            check_widened(slice, 0, 2048);
            check_widened(slice, 2048, 2100 - start - 2048);
            check_widened(slice, 5, 1);
            check_widened(slice, 0, 0);
            sb_array_drop(slice);
        }
        sb_array_drop(array);
        sb_type_drop(type);
    }
}

/* --- failing allocations ------------------------------------------------------------------------------------------ */

#ifdef SB_FAULTS
static bool fault_round(int64_t nth)
{
    int64_t live = sb_mem_live_blocks();
    sb_chunk *part = NULL;
    sb_status status = SB_NO_MEMORY;
    struct ArrowArray exported = {0};
    sb_fault_arm(nth, false);
    sb_chunk *chunk = chunk_of(100, NULL);
    uint8_t *mask = mask_of(50, 3);
    if (chunk != NULL && mask != NULL) {
        SB_TRY(sb_chunk_slice(chunk, 20, 50, &part, NULL));
        sb_chunk_restrict(part, mask);
        mask = NULL;
        SB_TRY(sb_chunk_truncate(part, 45, NULL));
        SB_TRY(sb_chunk_compact(part, NULL));
        SB_TRY(sb_chunk_number_rows(part, NULL));
        SB_TRY(sb_chunk_export(part, &exported, NULL));
    }
out:
    sb_fault_arm(0, false);
    bool hit = sb_fault_hit();
    assert_int_equal(status, hit ? SB_NO_MEMORY : SB_OK);
    if (exported.release != NULL) {
        exported.release(&exported);
    }
    sb_mem_free_aligned(mask);
    sb_chunk_free(part);
    sb_chunk_free(chunk);
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
    assert_true(nth > 20);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_applies_its_own_offset),
        cmocka_unit_test(null_rows_in_a_batch_are_refused),
        cmocka_unit_test(filters_meet_and_compact),
        cmocka_unit_test(rows_keep_their_numbers_through_many_masks),
        cmocka_unit_test(slices_know_where_they_come_from),
        cmocka_unit_test(views_have_every_alignment),
        cmocka_unit_test(values_that_are_in_place_are_not_copied),
        cmocka_unit_test(narrow_numbers_are_widened),
#ifdef SB_FAULTS
        cmocka_unit_test(failing_allocations_leak_nothing),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
