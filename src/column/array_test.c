/* Tests of column/type.h, array.h and chunk.h: round trips through the C data interface, slices, taking rows from every layout,
 * malformed arrays, where memory goes back, failing allocations. */
#include "column/array.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "column/chunk.h"
#include "column/testkit.h"

/* --- types -------------------------------------------------------------------------------------------------------- */

static void types_survive_a_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < sb_kit_type_count; i++) {
        sb_type *type = sb_kit_type(i, "näme");
        struct ArrowSchema schema;
        sb_type *again;
        assert_non_null(type);
        assert_int_equal(sb_type_export(type, &schema, NULL), SB_OK);
        assert_int_equal(sb_type_import(&schema, &again, NULL), SB_OK);
        assert_true(sb_type_equal(type, again));
        assert_string_equal(again->name, "näme");
        schema.release(&schema);
        assert_null(schema.release);
        assert_true(sb_type_equal(type, again));
        sb_type_drop(again);
        sb_type_drop(type);
    }
}

static void none_release(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static void metadata_and_flags_are_kept(void **state)
{
    (void)state;
    static const struct {
        int32_t pairs, key_size;
        char key[4]; /* the length need not be the text's */
        int32_t value_size;
        char value[4];
    } block = {1, 4, "key", 2, "a"};
    const size_t size = 18; /* the last two bytes are not part of it */
    char metadata[sizeof block];
    memcpy(metadata, &block, sizeof block);
    struct ArrowSchema schema = {.format = "l",
                                 .name = NULL,
                                 .metadata = metadata,
                                 .flags = ARROW_FLAG_NULLABLE,
                                 .release = none_release};
    sb_type *type;
    assert_int_equal(sb_type_import(&schema, &type, NULL), SB_OK);
    assert_int_equal(type->metadata_size, size);
    assert_memory_equal(type->metadata, metadata, size);
    assert_string_equal(type->name, "");
    assert_int_equal(type->flags, ARROW_FLAG_NULLABLE);
    sb_type_drop(type);
    int32_t negative = -1;
    memcpy(metadata + 4, &negative, 4);
    assert_int_equal(sb_type_import(&schema, &type, NULL), SB_INVALID);
}

static void malformed_types_are_refused(void **state)
{
    (void)state;
    static const char *const formats[] = {"w:", "w:x", "w:-1", "+w:99999999999", "d:3", "d:3,1,77",
                                          "+l", "+r",  "+w:2"};
    sb_type *type;
    sb_error error;
    for (size_t i = 0; i < SB_COUNT_OF(formats); i++) {
        struct ArrowSchema schema = {.format = formats[i], .release = none_release};
        sb_status status = sb_type_import(&schema, &type, &error);
        if (strcmp(formats[i], "d:3") == 0) {
            assert_int_equal(status, SB_OK);
            sb_type_drop(type);
        } else {
            assert_int_equal(status, SB_INVALID);
        }
    }
    struct ArrowSchema child = {.format = "l", .release = none_release};
    struct ArrowSchema *children[] = {&child};
    struct ArrowSchema parent = {
        .format = "l", .n_children = 1, .children = children, .release = none_release};
    assert_int_equal(sb_type_import(&parent, &type, NULL), SB_INVALID);
    parent.format = "+s";
    child.release = NULL;
    assert_int_equal(sb_type_import(&parent, &type, NULL), SB_INVALID);
    parent.n_children = -1;
    assert_int_equal(sb_type_import(&parent, &type, NULL), SB_INVALID);
    assert_int_equal(sb_type_import(NULL, &type, NULL), SB_INVALID);
    struct ArrowSchema nested[80];
    struct ArrowSchema *links[80];
    for (int i = 0; i < 80; i++) {
        links[i] = i < 79 ? &nested[i + 1] : &child;
        nested[i] = (struct ArrowSchema){
            .format = "+l", .n_children = 1, .children = &links[i], .release = none_release};
    }
    child.release = none_release;
    assert_int_equal(sb_type_import(&nested[0], &type, NULL), SB_UNSUPPORTED);
}

static void unknown_formats_pass(void **state)
{
    (void)state;
    struct ArrowSchema schema = {.format = "novel:7", .name = "n", .release = none_release};
    sb_type *type;
    assert_int_equal(sb_type_import(&schema, &type, NULL), SB_OK);
    assert_int_equal(type->layout, SB_LAYOUT_OPAQUE);
    const sb_type *culprit = NULL;
    assert_false(sb_type_can_take(type, &culprit));
    assert_ptr_equal(culprit, type);
    sb_type_drop(type);
}

static void types_print_as_arrow_does(void **state)
{
    (void)state;
    static const struct {
        int index;
        const char *text;
    } cases[] = {{0, "int64"},
                 {12, "timestamp[us](Europe/Paris)"},
                 {13, "list<first: string>"},
                 {17, "dictionary<string>"},
                 {7, "decimal(38,10)"}};
    for (size_t i = 0; i < SB_COUNT_OF(cases); i++) {
        sb_type *type = sb_kit_type(cases[i].index, "x");
        sb_buf text;
        sb_buf_init(&text, 0);
        sb_type_print(type, &text);
        assert_string_equal(text.data, cases[i].text);
        sb_buf_release(&text);
        sb_type_drop(type);
    }
}

/* --- round trips and slices --------------------------------------------------------------------------------------- */

static void assert_same_rows(const sb_array *a, int64_t start, const sb_array *b)
{
    sb_buf x, y;
    sb_buf_init(&x, 0);
    sb_buf_init(&y, 0);
    for (int64_t row = 0; row < b->length; row++) {
        sb_buf_reset(&x);
        sb_buf_reset(&y);
        sb_kit_print(a, start + row, &x);
        sb_kit_print(b, row, &y);
        assert_int_equal(x.size, y.size);
        assert_memory_equal(x.data, y.data, x.size);
    }
    sb_buf_release(&x);
    sb_buf_release(&y);
}

/* Reads every row. */
static void touch(const sb_array *array)
{
    sb_buf text;
    sb_buf_init(&text, 0);
    sb_kit_print_all(array, &text);
    sb_buf_release(&text);
}

static void arrays_survive_a_round_trip(void **state)
{
    (void)state;
    for (int i = 0; i < sb_kit_type_count; i++) {
        uint64_t seed = 88172645463325252u + (uint64_t)i;
        sb_type *type = sb_kit_type(i, "x");
        sb_array *array = sb_kit_array(type, 200, &seed);
        sb_array *slice, *again;
        struct ArrowArray exported;
        assert_int_equal(sb_array_slice(array, 13, 150, &slice, NULL), SB_OK);
        assert_same_rows(array, 13, slice);
        assert_int_equal(sb_array_export(slice, &exported, NULL), SB_OK);
        assert_int_equal(exported.offset, 13);
        sb_array_drop(slice);
        assert_int_equal(sb_array_import(&exported, type, NULL, &again, NULL), SB_OK);
        assert_null(exported.release);
        assert_same_rows(array, 13, again);
        if (array->buffer_count > 1 && type->layout != SB_LAYOUT_NULL) {
            assert_ptr_equal(array->buffers[1], again->buffers[1]);
        }
        sb_array_drop(array);
        touch(again); /* its memory is still there */
        sb_array_drop(again);
        sb_type_drop(type);
    }
}

static void null_counts_follow_slices(void **state)
{
    (void)state;
    uint64_t seed = 7;
    sb_type *type = sb_kit_type(0, "x");
    sb_array *array = sb_kit_array(type, 300, &seed);
    for (int64_t start = 0; start < 300; start += 37) {
        sb_array *slice;
        int64_t nulls = 0;
        int64_t length = 300 - start > 100 ? 100 : 300 - start;
        assert_int_equal(sb_array_slice(array, start, length, &slice, NULL), SB_OK);
        for (int64_t row = 0; row < length; row++) {
            nulls += !sb_bit_get(array->buffers[0], start + row);
        }
        assert_int_equal(sb_array_null_count(slice), nulls);
        assert_int_equal(sb_array_null_count(slice), nulls);
        sb_array_drop(slice);
    }
    sb_array_drop(array);
    sb_type_drop(type);
}

/* --- taking rows -------------------------------------------------------------------------------------------------- */

/* Masks of several densities, so that whole words, runs and single bits all occur. */
static int64_t mask_fill(uint8_t *mask, int64_t rows, int density, uint64_t *seed)
{
    int64_t count = 0;
    memset(mask, 0, sb_mask_size(rows));
    for (int64_t row = 0; row < rows; row++) {
        bool on = density == 0   ? false
                  : density == 1 ? true
                  : density == 2 ? sb_kit_random(seed) % 2 == 0
                  : density == 3 ? sb_kit_random(seed) % 50 == 0
                  : density == 4 ? row / 70 % 2 == 0
                                 : row % 4096 > 3900 || row % 4096 < 100;
        sb_bit_put(mask, row, on);
        count += on;
    }
    return count;
}

static void check_taken(int which, int64_t rows, int density)
{
    uint64_t seed = 99991u + (uint64_t)(which * 7 + density);
    uint8_t mask[2048];
    sb_type *type = sb_kit_type(which, "x");
    sb_array *array = sb_kit_array(type, rows + 50, &seed);
    sb_array *slice, *taken;
    assert_true(sb_mask_size(rows) <= sizeof mask);
    assert_int_equal(sb_array_slice(array, 21, rows, &slice, NULL), SB_OK);
    int64_t count = mask_fill(mask, rows, density, &seed);
    assert_int_equal(sb_array_take(slice, mask, count, &taken, NULL), SB_OK);
    assert_int_equal(taken->length, count);
    for (int64_t row = 0, at = 0; row < rows; row++) {
        if (sb_bit_get(mask, row)) {
            sb_array *one;
            assert_int_equal(sb_array_slice(taken, at++, 1, &one, NULL), SB_OK);
            assert_same_rows(slice, row, one);
            sb_array_drop(one);
        }
    }
    sb_array_drop(taken);
    sb_array_drop(slice);
    sb_array_drop(array);
    sb_type_drop(type);
}

static void taken_rows_are_the_rows(void **state)
{
    (void)state;
    for (int i = 0; i < sb_kit_type_count; i++) {
        for (int density = 0; density < 5; density++) {
            check_taken(i, 333, density);
        }
        /* Few of so many that they are looked for in several parts: spread, and together where parts meet. */
        check_taken(i, 9333, 3);
        check_taken(i, 16000, 5);
    }
}

static void masks_are_true_rows(void **state)
{
    (void)state;
    uint64_t seed = 31;
    sb_type *type = sb_kit_type(2, "x");
    sb_array *array = sb_kit_array(type, 400, &seed);
    for (int nulls = 0; nulls < 2; nulls++) {
        for (int64_t start = 0; start < 130; start += 13) {
            sb_array *slice;
            uint8_t *mask;
            int64_t count, wanted = 0;
            assert_int_equal(sb_array_slice(array, start, 400 - 2 * start, &slice, NULL), SB_OK);
            assert_int_equal(sb_array_mask(slice, &mask, &count, NULL), SB_OK);
            for (int64_t row = 0; row < slice->length; row++) {
                const uint8_t *valid = slice->buffers[0];
                bool on = (valid == NULL || sb_bit_get(valid, start + row)) &&
                          sb_bit_get(slice->buffers[1], start + row);
                assert_int_equal(sb_bit_get(mask, row), on);
                wanted += on;
            }
            assert_int_equal(count, wanted);
            sb_mem_free_aligned(mask);
            sb_array_drop(slice);
        }
        array->buffers[0] = NULL;
        atomic_store(&array->null_count, 0);
    }
    sb_array_drop(array);
    sb_type_drop(type);
}

static void bad_offsets_in_the_middle_are_found(void **state)
{
    (void)state;
    uint64_t seed = 5;
    uint8_t mask[64] = {0xff, 0x0f};
    static const int which[] = {3, 9, 13, 14}; /* string, large string, list, large list */
    for (size_t i = 0; i < SB_COUNT_OF(which); i++) {
        sb_type *type = sb_kit_type(which[i], "x");
        sb_array *array = sb_kit_array(type, 20, &seed);
        sb_array *taken;
        void *offsets = sb_mem_alloc_aligned((size_t)21 * 8);
        bool large = which[i] == 9 || which[i] == 14;
        memcpy(offsets, array->buffers[1], (size_t)21 * (large ? 8 : 4));
        if (large) {
            ((int64_t *)offsets)[6] = 1 << 20;
        } else {
            ((int32_t *)offsets)[6] = -5;
        }
        const void *kept = array->buffers[1];
        array->buffers[1] = offsets;
        assert_int_equal(sb_array_take(array, mask, 12, &taken, NULL), SB_INVALID);
        array->buffers[1] = kept;
        sb_mem_free_aligned(offsets);
        sb_array_drop(array);
        sb_type_drop(type);
    }
}

/* --- malformed arrays --------------------------------------------------------------------------------------------- */

static int released;

static void count_release(struct ArrowArray *array)
{
    released++;
    array->release = NULL;
}

static void assert_refused(struct ArrowArray array, int type_index)
{
    sb_type *type = sb_kit_type(type_index, "x");
    sb_array *out;
    sb_error error;
    released = 0;
    assert_int_equal(sb_array_import(&array, type, NULL, &out, &error), SB_INVALID);
    assert_non_null(array.release); /* still the caller's */
    assert_int_equal(released, 0);
    sb_type_drop(type);
}

static void malformed_arrays_are_refused(void **state)
{
    (void)state;
    static const int64_t values[4] = {1, 2, 3, 4};
    static const int32_t descending[3] = {4, 2, 0}, negative[3] = {-4, 2, 3}, fine[3] = {0, 1, 2};
    const void *two[2] = {NULL, values}, *empty[2] = {NULL, NULL};
    const void *text[3] = {NULL, descending, "abcd"};
    struct ArrowArray good = {
        .length = 3, .n_buffers = 2, .buffers = two, .release = count_release};
    struct ArrowArray bad;
#define REFUSE(type, ...) assert_refused((bad = good, __VA_ARGS__, bad), type)
    REFUSE(0, bad.length = -1);
    REFUSE(0, bad.offset = -1);
    REFUSE(0, bad.length = INT64_MAX);
    REFUSE(0, bad.offset = INT64_MAX);
    REFUSE(0, bad.null_count = -2);
    REFUSE(0, bad.null_count = 4);
    REFUSE(0, bad.null_count = 1); /* and no bitmap */
    REFUSE(0, bad.n_buffers = 1);
    REFUSE(0, bad.n_buffers = 3);
    REFUSE(0, bad.n_buffers = -2);
    REFUSE(0, bad.buffers = NULL);
    REFUSE(0, bad.buffers = empty);
    REFUSE(0, bad.n_children = 1);
    REFUSE(0, bad.dictionary = &good);
    REFUSE(17, bad.offset = 0); /* a dictionary is announced and missing */
    REFUSE(3, bad.n_buffers = 3, bad.buffers = text, bad.length = 2);
    text[1] = negative;
    REFUSE(3, bad.n_buffers = 3, bad.buffers = text, bad.length = 2);
    text[1] = NULL;
    REFUSE(3, bad.n_buffers = 3, bad.buffers = text, bad.length = 2);
    text[1] = fine;
    text[2] = NULL;
    REFUSE(3, bad.n_buffers = 3, bad.buffers = text, bad.length = 2);
    const void *words[3] = {NULL, NULL, NULL};
    struct ArrowArray child = {
        .length = 1, .n_buffers = 3, .buffers = words, .release = count_release};
    struct ArrowArray *children[2] = {&child, &good};
    const void *list[2] = {NULL, fine};
    words[1] = fine;
    words[2] = "ab";
    /* the list's last offset is 2 and its child has one row */
    REFUSE(13, bad.buffers = list, bad.length = 2, bad.n_children = 1, bad.children = children);
    child.release = NULL;
    REFUSE(13, bad.buffers = list, bad.length = 1, bad.n_children = 1, bad.children = children);
    child.release = count_release;
    /* a struct of three rows with a child of one */
    REFUSE(16, bad.n_buffers = 1, bad.n_children = 2, bad.children = children);
    /* two items a row, three rows, a child of one */
    REFUSE(20, bad.n_buffers = 1, bad.n_children = 1, bad.children = children);
    REFUSE(13, bad.n_children = 1, bad.children = NULL);
#undef REFUSE
    good.release = NULL;
    sb_type *type = sb_kit_type(0, "x");
    sb_array *out;
    assert_int_equal(sb_array_import(&good, type, NULL, &out, NULL), SB_INVALID);
    sb_type_drop(type);
}

/* --- where memory goes back --------------------------------------------------------------------------------------- */

static void releases_wait_in_the_queue(void **state)
{
    (void)state;
    static const int64_t values[4] = {1, 2, 3, 4};
    const void *buffers[2] = {NULL, values};
    sb_type *type = sb_kit_type(0, "x");
    sb_release_queue *queue;
    sb_array *arrays[3], *slice;
    assert_int_equal(sb_release_queue_new(&queue, NULL), SB_OK);
    for (int i = 0; i < 3; i++) {
        struct ArrowArray source = {
            .length = 4, .n_buffers = 2, .buffers = buffers, .release = count_release};
        assert_int_equal(sb_array_import(&source, type, queue, &arrays[i], NULL), SB_OK);
    }
    released = 0;
    assert_int_equal(sb_array_slice(arrays[0], 1, 2, &slice, NULL), SB_OK);
    sb_array_drop(arrays[0]);
    sb_release_queue_drain(queue);
    assert_int_equal(released, 0); /* the slice holds it */
    sb_array_drop(slice);
    sb_array_drop(arrays[1]);
    assert_int_equal(released, 0);
    sb_release_queue_drain(queue);
    assert_int_equal(released, 2);
    sb_release_queue_close(queue);
    sb_release_queue_drop(queue);
    sb_array_drop(arrays[2]); /* after the close: on the spot */
    assert_int_equal(released, 3);
    sb_type_drop(type);
}

static void moved_children_live_on(void **state)
{
    (void)state;
    uint64_t seed = 3;
    sb_type *type = sb_kit_type(16, "x");
    sb_array *array = sb_kit_array(type, 50, &seed);
    sb_array *again;
    struct ArrowArray exported, child;
    assert_int_equal(sb_array_export(array, &exported, NULL), SB_OK);
    child = *exported.children[0];
    exported.children[0]->release = NULL;
    exported.release(&exported);
    assert_int_equal(sb_array_import(&child, type->children[0], NULL, &again, NULL), SB_OK);
    assert_same_rows(array->children[0], 0, again);
    sb_array_drop(array);
    touch(again);
    sb_array_drop(again);
    sb_type_drop(type);
}

/* --- failing allocations ------------------------------------------------------------------------------------------ */

#ifdef SB_FAULTS
static bool fault_round(int index, int64_t nth)
{
    int64_t live = sb_mem_live_blocks();
    uint64_t seed = 11;
    uint8_t mask[64];
    struct ArrowArray exported = {0};
    sb_array *array = NULL, *slice = NULL, *taken = NULL, *again = NULL;
    sb_release_queue *queue = NULL;
    int64_t count = mask_fill(mask, 80, 2, &seed);
    sb_status status = SB_NO_MEMORY;
    sb_fault_arm(nth, false);
    sb_type *type = sb_kit_type(index, "x");
    if (type != NULL && (array = sb_kit_array(type, 100, &seed)) != NULL) {
        SB_TRY(sb_release_queue_new(&queue, NULL));
        SB_TRY(sb_array_slice(array, 10, 80, &slice, NULL));
        SB_TRY(sb_array_take(slice, mask, count, &taken, NULL));
        SB_TRY(sb_array_export(taken, &exported, NULL));
        SB_TRY(sb_array_import(&exported, type, queue, &again, NULL));
    }
out:
    sb_fault_arm(0, false);
    bool hit = sb_fault_hit();
    assert_int_equal(status, hit ? SB_NO_MEMORY : SB_OK);
    if (exported.release != NULL) {
        exported.release(&exported);
    }
    sb_array_drop(again);
    sb_array_drop(taken);
    sb_array_drop(slice);
    sb_array_drop(array);
    sb_type_drop(type);
    if (queue != NULL) {
        sb_release_queue_close(queue);
    }
    sb_release_queue_drop(queue);
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
        cmocka_unit_test(types_survive_a_round_trip),
        cmocka_unit_test(metadata_and_flags_are_kept),
        cmocka_unit_test(malformed_types_are_refused),
        cmocka_unit_test(unknown_formats_pass),
        cmocka_unit_test(types_print_as_arrow_does),
        cmocka_unit_test(arrays_survive_a_round_trip),
        cmocka_unit_test(null_counts_follow_slices),
        cmocka_unit_test(taken_rows_are_the_rows),
        cmocka_unit_test(masks_are_true_rows),
        cmocka_unit_test(bad_offsets_in_the_middle_are_found),
        cmocka_unit_test(malformed_arrays_are_refused),
        cmocka_unit_test(releases_wait_in_the_queue),
        cmocka_unit_test(moved_children_live_on),
#ifdef SB_FAULTS
        cmocka_unit_test(failing_allocations_leak_nothing),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
