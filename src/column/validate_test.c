/* Tests of sb_array_validate and of what import refuses: a bad array of every kind, in blocks of just the size they need so that the
 * address sanitizer sees any read past them. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "column/array_int.h"
#include "column/gather.h"
#include "column/rows.h"
#include "column/testkit.h"

#define ROWS 40

static sb_array *array_of(int index, sb_type **type)
{
    uint64_t seed = 4242u + (uint64_t)index;
    *type = sb_kit_type(index, "x");
    sb_array *array = *type != NULL ? sb_kit_array(*type, ROWS, &seed) : NULL;
    assert_non_null(array);
    return array;
}

static void none_release(struct ArrowArray *array)
{
    array->release = NULL;
}

static void random_arrays_are_right(void **state)
{
    (void)state;
    for (int i = 0; i < sb_kit_type_count; i++) {
        sb_type *type;
        sb_array *slice, *array = array_of(i, &type);
        assert_int_equal(sb_array_slice(array, 3, 20, &slice, NULL), SB_OK);
        assert_int_equal(sb_array_validate(slice, SB_VALIDATE_OFFSETS, NULL), SB_OK);
        assert_int_equal(sb_array_validate(slice, SB_VALIDATE_UTF8, NULL), SB_OK);
        assert_int_equal(sb_array_validate(array, SB_VALIDATE_UTF8, NULL), SB_OK);
        assert_int_equal(sb_array_validate(array, SB_VALIDATE_UTF8, NULL), SB_OK);
        sb_array_drop(slice);
        sb_array_drop(array);
        sb_type_drop(type);
    }
}

/* A value written over row `row` of a buffer, and what the check says about it. */
typedef struct damage {
    int type;
    int buffer; /* of the array; -1: of its first child */
    int64_t width;
    int64_t row;
    int64_t value;
    sb_validate_level level;
    const char *text;
} damage;

static const damage damages[] = {
    {3, 1, 4, 7, -1, SB_VALIDATE_OFFSETS, "do not ascend"},
    {3, 1, 4, 0, -1, SB_VALIDATE_OFFSETS, "negative"},
    {3, 1, 4, 7, 1 << 30, SB_VALIDATE_OFFSETS, "behind the end"},
    {10, 1, 4, 9, INT32_MAX, SB_VALIDATE_OFFSETS, "behind the end"},
    {9, 1, 8, 7, INT64_MAX, SB_VALIDATE_OFFSETS, "behind the end"},
    {9, 1, 8, 7, INT64_MIN, SB_VALIDATE_OFFSETS, "do not ascend"},
    {13, 1, 4, 11, 1 << 20, SB_VALIDATE_OFFSETS, "behind the end"},
    {14, 1, 8, 11, -9, SB_VALIDATE_OFFSETS, "do not ascend"},
    {31, 1, 4, 11, 1 << 20, SB_VALIDATE_OFFSETS, "behind the end"},
    {17, 1, 4, 5, 17, SB_VALIDATE_OFFSETS, "outside of the dictionary"},
    {17, 1, 4, 5, -1, SB_VALIDATE_OFFSETS, "outside of the dictionary"},
    {32, 1, 1, 5, 255, SB_VALIDATE_OFFSETS, "outside of the dictionary"},
    {33, 1, 2, 5, -300, SB_VALIDATE_OFFSETS, "outside of the dictionary"},
    {34, 1, 8, 5, -1, SB_VALIDATE_OFFSETS, "outside of the dictionary"},
    {22, 1, 4, 4, -1, SB_VALIDATE_OFFSETS, "outside of its data buffer"}, /* size of row 1 */
    {22, 1, 4, 4, INT32_MAX, SB_VALIDATE_OFFSETS, "outside of its data buffer"},
    {24, 1, 4, 6, -1, SB_VALIDATE_OFFSETS, "outside of its child"},
    {24, 1, 4, 6, 51, SB_VALIDATE_OFFSETS, "outside of its child"},
    {24, 2, 4, 6, -1, SB_VALIDATE_OFFSETS, "outside of its child"},
    {25, 2, 8, 6, INT64_MAX, SB_VALIDATE_OFFSETS, "outside of its child"},
    {25, 1, 8, 6, INT64_MAX, SB_VALIDATE_OFFSETS, "outside of its child"},
    {26, 0, 1, 9, 3, SB_VALIDATE_OFFSETS, "type id"},
    {26, 0, 1, 9, -4, SB_VALIDATE_OFFSETS, "type id"},
    {27, 0, 1, 9, 127, SB_VALIDATE_OFFSETS, "type id"},
    {27, 1, 4, 9, -1, SB_VALIDATE_OFFSETS, "outside of its child"},
    {27, 1, 4, 9, 1 << 20, SB_VALIDATE_OFFSETS, "outside of its child"},
    {28, -1, 4, 2, 0, SB_VALIDATE_OFFSETS, "do not ascend"},
    {28, -1, 4, 0, 0, SB_VALIDATE_OFFSETS, "do not ascend"},
    {29, -1, 2, 2, -7, SB_VALIDATE_OFFSETS, "do not ascend"},
    {30, -1, 8, 3, INT64_MIN, SB_VALIDATE_OFFSETS, "do not ascend"},
    {3, 2, 1, 0, 0x80, SB_VALIDATE_UTF8, "not UTF-8"},
    {9, 2, 1, 0, 0xFF, SB_VALIDATE_UTF8, "not UTF-8"},
    {27, 1, 4, 20, 0, SB_VALIDATE_FULL, "into a child do not ascend"},
};

static int64_t buffer_size(const sb_array *array, int buffer, int64_t width)
{
    bool offsets =
        array->type->layout >= SB_LAYOUT_BINARY && array->type->layout <= SB_LAYOUT_LARGE_LIST;
    if (buffer == 2 && offsets) {
        return array->data_size;
    }
    if (array->type->layout == SB_LAYOUT_BINARY_VIEW) {
        return array->length * 16;
    }
    return (array->length + offsets) * width;
}

static void damaged_arrays_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < SB_COUNT_OF(damages); i++) {
        const damage *row = &damages[i];
        sb_type *type;
        sb_array *array = array_of(row->type, &type);
        sb_array *node = row->buffer < 0 ? array->children[0] : array;
        int buffer = row->buffer < 0 ? 1 : row->buffer;
        sb_array *taken;
        sb_error error;
        uint8_t mask[64] = {0xfe, 0xff, 0xff, 0xff, 0xff};
        size_t size = (size_t)buffer_size(node, buffer, row->width);
        uint8_t *block = sb_mem_alloc(size);
        assert_non_null(block);
        memcpy(block, node->buffers[buffer], size);
        sb_index_put(block + row->row * row->width, row->width, row->value);
        if (sb_layout_infos[type->layout].has_validity) {
            array->buffers[0] = NULL; /* a null row may hold anything */
        }
        node->buffers[buffer] = block;
        sb_status status = sb_array_validate(array, row->level, &error);
        assert_int_equal(status, SB_INVALID);
        assert_non_null(strstr(error.message, row->text));
        assert_non_null(strstr(error.message, "row "));
        if (row->level > SB_VALIDATE_OFFSETS) {
            assert_int_equal(sb_array_validate(array, SB_VALIDATE_OFFSETS, NULL), SB_OK);
        } else if (type->dictionary == NULL) {
            assert_int_equal(sb_array_take(array, mask, ROWS - 1, &taken, NULL), SB_INVALID);
        }
        sb_array_drop(array);
        sb_mem_free(block);
        sb_type_drop(type);
    }
}

/* A view of more than 12 bytes has four numbers that can be wrong, and text that may be none. */
static void views_say_where_their_text_is(void **state)
{
    (void)state;
    static const struct {
        int32_t size, buffer, offset;
        sb_validate_level level;
        const char *text; /* NULL: it is right */
    } views[] = {
        {13, 0, 3, SB_VALIDATE_FULL, NULL},
        {16, 0, 0, SB_VALIDATE_FULL, NULL},
        {17, 0, 0, SB_VALIDATE_OFFSETS, "outside of its data buffer"},
        {13, 0, 4, SB_VALIDATE_OFFSETS, "outside of its data buffer"},
        {13, 0, -1, SB_VALIDATE_OFFSETS, "outside of its data buffer"},
        {13, 0, INT32_MAX, SB_VALIDATE_OFFSETS, "outside of its data buffer"},
        {13, -1, 0, SB_VALIDATE_OFFSETS, "outside of its data buffer"},
        {13, 1, 0, SB_VALIDATE_OFFSETS, "outside of its data buffer"},
        {INT32_MIN, 0, 0, SB_VALIDATE_OFFSETS, "outside of its data buffer"},
        {13, 0, 0, SB_VALIDATE_UTF8, "not UTF-8"},
    };
    for (size_t i = 0; i < SB_COUNT_OF(views); i++) {
        int64_t *sizes = sb_mem_alloc(sizeof *sizes);
        uint8_t *text = sb_mem_alloc(16), *view = sb_mem_alloc(16);
        assert_true(sizes != NULL && text != NULL && view != NULL);
        memset(text, 'a', 16);
        text[7] = views[i].level == SB_VALIDATE_UTF8 ? 0x80 : 'b';
        sizes[0] = 16;
        memcpy(view, &views[i].size, 4);
        memset(view + 4, 'a', 4);
        memcpy(view + 8, &views[i].buffer, 4);
        memcpy(view + 12, &views[i].offset, 4);
        const void *buffers[4] = {NULL, view, text, sizes};
        struct ArrowArray given = {
            .length = 1, .n_buffers = 4, .buffers = buffers, .release = none_release};
        sb_type *type = sb_kit_type(22, "x");
        sb_array *array;
        sb_error error = {0};
        assert_int_equal(sb_array_import(&given, type, NULL, &array, NULL), SB_OK);
        sb_status status = sb_array_validate(array, views[i].level, &error);
        assert_int_equal(status, views[i].text == NULL ? SB_OK : SB_INVALID);
        assert_true(views[i].text == NULL || strstr(error.message, views[i].text) != NULL);
        sb_array_drop(array);
        sb_type_drop(type);
        sb_mem_free(view);
        sb_mem_free(text);
        sb_mem_free(sizes);
    }
}

/* What is wrong deep down is found from the top: below lists, structs, dictionaries, unions and runs. */
static void damage_is_found_at_any_depth(void **state)
{
    (void)state;
    static const struct {
        int type;
        int path[4]; /* children from the top, -1 ends it, -2: the dictionary */
    } cases[] = {
        {13, {0, -1}},     {18, {0, 0, -1}}, {16, {0, -1}},  {17, {-2, -1}},   {19, {0, 0, -1}},
        {19, {1, -2, -1}}, {26, {0, -1}},    {28, {1, -1}},  {29, {1, 0, -1}}, {31, {0, 0, -1}},
        {39, {1, 1, -1}},  {24, {0, -1}},    {33, {-2, -1}}, {20, {0, 0, -1}},
    };
    for (size_t i = 0; i < SB_COUNT_OF(cases); i++) {
        sb_type *type;
        sb_array *array = array_of(cases[i].type, &type), *node = array;
        sb_error error = {0};
        for (int step = 0; cases[i].path[step] != -1; step++) {
            int at = cases[i].path[step];
            node = at == -2 ? node->dictionary : node->children[at];
        }
        bool large = node->type->layout == SB_LAYOUT_LARGE_BINARY;
        assert_true(large || node->type->layout == SB_LAYOUT_BINARY);
        int64_t width = large ? 8 : 4, size = node->data_size;
        assert_true(size > 0);
        uint8_t *text = sb_mem_alloc((size_t)size);
        assert_non_null(text);
        memset(text, 0xA5, (size_t)size);
        node->buffers[0] = NULL;
        node->buffers[2] = text;
        assert_true(sb_index_get(node->buffers[1], width, node->length) == size);
        assert_int_equal(sb_array_validate(array, SB_VALIDATE_OFFSETS, NULL), SB_OK);
        assert_int_equal(sb_array_validate(array, SB_VALIDATE_FULL, &error), SB_INVALID);
        assert_non_null(strstr(error.message, "not UTF-8"));
        sb_array_drop(array);
        sb_mem_free(text);
        sb_type_drop(type);
    }
}

/* Offsets that ascend inside a slice and point behind what import has seen. */
static void slices_do_not_hide_bad_ends(void **state)
{
    (void)state;
    static const int which[] = {3, 13};
    for (size_t i = 0; i < SB_COUNT_OF(which); i++) {
        sb_type *type;
        sb_array *slice, *taken, *array = array_of(which[i], &type);
        int32_t offsets[ROWS + 1];
        uint8_t mask[64] = {0x15};
        memcpy(offsets, array->buffers[1], sizeof offsets);
        offsets[5] = 1 << 24;
        array->buffers[1] = offsets;
        assert_int_equal(sb_array_slice(array, 0, 5, &slice, NULL), SB_OK);
        assert_int_equal(sb_array_validate(slice, SB_VALIDATE_OFFSETS, NULL), SB_INVALID);
        assert_int_equal(sb_array_take(slice, mask, 3, &taken, NULL), SB_INVALID);
        sb_array_drop(slice);
        assert_int_equal(sb_array_slice(array, 5, 5, &slice, NULL), SB_OK);
        assert_int_equal(sb_array_take(slice, mask, 3, &taken, NULL), SB_INVALID);
        sb_array_drop(slice);
        sb_array_drop(array);
        sb_type_drop(type);
    }
}

/* Each row taken ascends, but not from one to the next: the items of a list would be wanted twice, or lie before the first. */
static void rows_between_do_not_hide_bad_offsets(void **state)
{
    (void)state;
    static const int32_t overlaps[5] = {1, 5, 2, 7, 7}, before[5] = {3, 3, 0, 4, 7};
    static const int32_t *const offsets[] = {overlaps, before};
    static const int which[] = {3, 13};
    for (size_t i = 0; i < 4; i++) {
        sb_type *type;
        sb_array *slice, *taken, *array = array_of(which[i / 2], &type);
        uint8_t mask[64] = {0x5};
        assert_true(array->data_size > 7 || array->child_count > 0);
        array->buffers[1] = offsets[i % 2];
        assert_int_equal(sb_array_slice(array, 0, 4, &slice, NULL), SB_OK);
        assert_int_equal(sb_array_take(slice, mask, 2, &taken, NULL), SB_INVALID);
        sb_array_drop(slice);
        sb_array_drop(array);
        sb_type_drop(type);
    }
}

/* Random damage to whatever says where values lie: every kernel gives an answer or an error, and the sanitizer has nothing to say. */
static void random_damage_is_survived(void **state)
{
    (void)state;
    int refused = 0;
    for (int i = 0; i < sb_kit_type_count; i++) {
        for (int round = 0; round < 60; round++) {
            sb_type *type;
            sb_array *array = array_of(i, &type), *out = NULL;
            uint64_t seed = 77u + (uint64_t)(i * 100 + round), hashes[ROWS] = {0};
            int64_t rows[5] = {1, 20, 30, -1, 7};
            uint8_t mask[64] = {0xa7, 0x5c, 0xff, 0x00, 0x31};
            sb_array *node = array->child_count > 0 && round % 3 == 0 ? array->children[0] : array;
            int buffer = node->type->layout == SB_LAYOUT_SPARSE_UNION ||
                                 (node->type->layout == SB_LAYOUT_DENSE_UNION && round % 2 == 0)
                             ? 0
                             : 1;
            int64_t width = node->type->layout == SB_LAYOUT_FIXED         ? node->type->width
                            : node->type->layout == SB_LAYOUT_BINARY_VIEW ? 16
                            : buffer == 0                                 ? 1
                                          : sb_offset_width(node->type);
            uint8_t *block = NULL;
            if (node->buffer_count > 1 && node->length > 0 && width > 0 &&
                node->type->layout != SB_LAYOUT_BOOL) {
                bool offsets = node->type->layout >= SB_LAYOUT_BINARY &&
                               node->type->layout <= SB_LAYOUT_LARGE_LIST;
                size_t size = (size_t)((node->length + offsets) * width);
                block = sb_mem_alloc(size);
                assert_non_null(block);
                memcpy(block, node->buffers[buffer], size);
                block[sb_kit_random(&seed) % size] = (uint8_t)sb_kit_random(&seed);
                node->buffers[buffer] = block;
            }
            refused += sb_array_take(array, mask, 20, &out, NULL) == SB_INVALID;
            sb_array_drop(out);
            out = NULL;
            (void)sb_array_gather(array, rows, 5, &out, NULL);
            sb_array_drop(out);
            out = NULL;
            sb_array *both[2] = {array, array};
            (void)sb_array_concat(both, 2, &out, NULL);
            sb_array_drop(out);
            (void)sb_array_hash(array, hashes, NULL);
            (void)sb_array_validate(array, SB_VALIDATE_FULL, NULL);
            sb_array_drop(array);
            sb_mem_free(block);
            sb_type_drop(type);
        }
    }
    assert_true(refused > 50);
}

/* --- values: checked only when everything is ------------------------------------------------------------------------ */

typedef struct one_value {
    const char *format;
    int64_t low, high; /* of a value of 16 bytes or fewer */
    sb_status wanted;
} one_value;

static void values_are_checked_in_full(void **state)
{
    (void)state;
    static const one_value values[] = {
        {"tdm", 86400000, 0, SB_OK},
        {"tdm", 86400001, 0, SB_INVALID},
        {"tts", 86399, 0, SB_OK},
        {"tts", 86400, 0, SB_INVALID},
        {"ttm", -1, -1, SB_INVALID},
        {"ttn", INT64_C(86399999999999), 0, SB_OK},
        {"ttn", INT64_C(86400000000000), 0, SB_INVALID},
        {"d:3,1,32", 999, 0, SB_OK},
        {"d:3,1,32", 1000, 0, SB_INVALID},
        {"d:3,1,64", -999, -1, SB_OK},
        {"d:3,1", -1000, -1, SB_INVALID},
        {"ttu", INT64_C(86399999999), 0, SB_OK},
        {"ttu", INT64_C(86400000000), 0, SB_INVALID},
        {"tdm", -86400000, -1, SB_OK},
        {"d:38,0", -1, INT64_MAX, SB_INVALID},
        {"d:38,0", 0, INT64_C(1) << 60, SB_OK},
    };
    for (size_t i = 0; i < SB_COUNT_OF(values); i++) {
        sb_type *type;
        sb_array *array;
        sb_array_parts parts = {.length = 1, .extent = 1, .block_count = 2};
        parts.blocks[1] = sb_mem_alloc_aligned(16);
        memcpy(parts.blocks[1], &values[i].low, 8);
        memcpy((uint8_t *)parts.blocks[1] + 8, &values[i].high, 8);
        assert_int_equal(sb_type_new(values[i].format, "x", 0, &type, NULL), SB_OK);
        assert_int_equal(sb_array_new(type, &parts, &array, NULL), SB_OK);
        assert_int_equal(sb_array_validate(array, SB_VALIDATE_UTF8, NULL), SB_OK);
        assert_int_equal(sb_array_validate(array, SB_VALIDATE_FULL, NULL), values[i].wanted);
        sb_array_drop(array);
        sb_type_drop(type);
    }
}

/* 10 to the power of 60 is one digit more than decimal256(60, 3) has room for; a null row may hold anything. */
static void wide_decimals_are_checked_in_full(void **state)
{
    (void)state;
    static const uint64_t power[4] = {UINT64_C(0x1000000000000000), UINT64_C(0xd762422c946590d9),
                                      UINT64_C(0x4f2726179a224501), UINT64_C(0x9f)};
    static const uint8_t none_valid[1] = {0};
    for (int i = 0; i < 6; i++) {
        uint64_t value[4];
        sb_type *type = sb_kit_type(36, "x");
        sb_array *array;
        const void *buffers[2] = {i == 5 ? none_valid : NULL, value};
        struct ArrowArray given = {
            .length = 1, .n_buffers = 2, .buffers = buffers, .release = none_release};
        given.null_count = i == 5;
        bool borrow = i == 1 || i == 3;
        memcpy(value, power, sizeof value);
        for (int k = 0; borrow && k < 4; k++) { /* one less */
            borrow = value[k]-- == 0;
        }
        bool carry = i >= 2;
        for (int k = 0; i >= 2 && i < 4 && k < 4; k++) { /* negated */
            value[k] = ~value[k] + carry;
            carry = carry && value[k] == 0;
        }
        if (i == 4) {
            memset(value, 0x7f, sizeof value);
        }
        assert_int_equal(sb_array_import(&given, type, NULL, &array, NULL), SB_OK);
        bool fits = i == 1 || i == 3 || i == 5;
        assert_int_equal(sb_array_validate(array, SB_VALIDATE_FULL, NULL),
                         fits ? SB_OK : SB_INVALID);
        sb_array_drop(array);
        sb_type_drop(type);
    }
}

static void null_counts_and_map_keys_are_checked_in_full(void **state)
{
    (void)state;
    sb_type *type;
    sb_array *array = array_of(0, &type);
    atomic_store(&array->null_count, 1);
    assert_int_equal(sb_array_validate(array, SB_VALIDATE_FULL, NULL), SB_INVALID);
    sb_array_drop(array);
    sb_type_drop(type);
    array = array_of(31, &type);
    sb_error error;
    assert_int_equal(sb_array_validate(array, SB_VALIDATE_FULL, &error), SB_INVALID);
    assert_non_null(strstr(error.message, "key is null"));
    sb_array_drop(array);
    sb_type_drop(type);
}

static void utf8_is_what_unicode_says(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {
        {"", true},
        {"plain text of ASCII", true},
        {"gr\xc3\xbc\xc3\x9f", true},
        {"\xe2\x82\xac and \xf0\x9f\x98\x80", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"\xed\x9f\xbf", true},
        {"\xc0\x80", false},
        {"\xc1\xbf", false},
        {"\xe0\x9f\xbf", false},
        {"\xed\xa0\x80", false},
        {"\xf0\x8f\xbf\xbf", false},
        {"\xf4\x90\x80\x80", false},
        {"\xf5\x80\x80\x80", false},
        {"abcdefg\xc3", false},
        {"abc\xe2\x82", false},
        {"\xe2\x28\xa1", false},
        {"\xbf", false},
        {"12345678\xff", false},
    };
    for (size_t i = 0; i < SB_COUNT_OF(cases); i++) {
        sb_type *type;
        sb_array *array;
        size_t size = strlen(cases[i].text);
        sb_array_parts parts = {.length = 1, .extent = 1, .block_count = 3};
        int32_t *offsets = parts.blocks[1] = sb_mem_alloc_aligned(8);
        parts.blocks[2] = sb_mem_alloc_aligned(size);
        memcpy(parts.blocks[2], cases[i].text, size);
        offsets[0] = 0;
        offsets[1] = (int32_t)size;
        assert_int_equal(sb_type_new("u", "x", 0, &type, NULL), SB_OK);
        assert_int_equal(sb_array_new(type, &parts, &array, NULL), SB_OK);
        assert_int_equal(sb_array_validate(array, SB_VALIDATE_UTF8, NULL),
                         cases[i].valid ? SB_OK : SB_INVALID);
        sb_array_drop(array);
        sb_type_drop(type);
    }
}

/* --- at the door ---------------------------------------------------------------------------------------------------- */

static void refuse(struct ArrowArray array, int type_index, const char *text)
{
    sb_type *type = sb_kit_type(type_index, "x");
    sb_array *out;
    sb_error error;
    array.release = none_release;
    assert_int_equal(sb_array_import(&array, type, NULL, &out, &error), SB_INVALID);
    assert_non_null(strstr(error.message, text));
    assert_non_null(array.release);
    sb_type_drop(type);
}

static void nested_layouts_are_checked_at_the_door(void **state)
{
    (void)state;
    static const int64_t sizes[1] = {-1}, some[1] = {5}, numbers[4] = {1, 2, 3, 4};
    static const int32_t ends[2] = {1, 2};
    static const uint8_t bits[1] = {1};
    static const char block[64];
    const void *view[4] = {NULL, block, block, sizes};
    refuse((struct ArrowArray){.length = 2, .n_buffers = 4, .buffers = view}, 22, "data buffer");
    view[3] = NULL;
    refuse((struct ArrowArray){.length = 2, .n_buffers = 4, .buffers = view}, 22, "data buffer");
    view[3] = some;
    view[2] = NULL;
    refuse((struct ArrowArray){.length = 2, .n_buffers = 4, .buffers = view}, 22, "data buffer");
    view[1] = NULL;
    refuse((struct ArrowArray){.length = 2, .n_buffers = 3, .buffers = view}, 22, "no views");
    refuse((struct ArrowArray){.length = 2, .n_buffers = 2, .buffers = view}, 22, "buffers");
    const void *three[3] = {NULL, NULL, NULL}, *wide[2] = {NULL, numbers},
               *narrow[2] = {NULL, ends};
    struct ArrowArray text = {.n_buffers = 3, .buffers = three, .release = none_release};
    struct ArrowArray long_values = {
        .length = 4, .n_buffers = 2, .buffers = wide, .release = none_release};
    struct ArrowArray runs = {
        .length = 2, .n_buffers = 2, .buffers = narrow, .release = none_release};
    struct ArrowArray *lists[1] = {&text}, *both[2] = {&text, &long_values};
    struct ArrowArray *encoded[2] = {&runs, &text};
    struct ArrowArray node = {
        .length = 2, .n_buffers = 3, .buffers = three, .n_children = 1, .children = lists};
    refuse(node, 24, "no offsets or sizes");
    node = (struct ArrowArray){
        .length = 2, .n_buffers = 1, .buffers = three, .n_children = 2, .children = both};
    refuse(node, 26, "shorter");
    node.length = 0;
    node.offset = 0;
    node.n_buffers = 2;
    refuse(node, 26, "wrong number of buffers");
    both[0] = &long_values;
    node = (struct ArrowArray){
        .length = 2, .n_buffers = 2, .buffers = three, .n_children = 2, .children = both};
    both[0] = &text;
    refuse(node, 27, "no type ids");
    node = (struct ArrowArray){.length = 2, .n_children = 2, .children = encoded};
    refuse(node, 28, "fewer values");
    encoded[1] = &text;
    text.length = 0;
    runs.length = 0;
    refuse(node, 28, "end before");
    runs.length = 2;
    runs.null_count = 1;
    narrow[0] = bits;
    refuse(node, 28, "run end is null");
    node.length = 1;
    refuse(node, 28, "run end is null");
}

static void a_dictionary_that_was_released_is_refused(void **state)
{
    (void)state;
    static const int32_t numbers[2] = {0, 0}, offsets[2] = {0, 1};
    const void *indices[2] = {NULL, numbers}, *words[3] = {NULL, offsets, "a"};
    struct ArrowArray dictionary = {.length = 1, .n_buffers = 3, .buffers = words};
    struct ArrowArray array = {
        .length = 2, .n_buffers = 2, .buffers = indices, .dictionary = &dictionary};
    refuse(array, 17, "dictionary");
    dictionary.release = none_release;
    dictionary.length = -1;
    refuse(array, 17, "length");
}

static void sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    static const int64_t numbers[1] = {0};
    const void *buffers[2] = {NULL, numbers};
    struct ArrowArray vast = {
        .length = INT64_C(1) << 39, .n_buffers = 2, .buffers = buffers, .release = none_release};
    sb_type *type;
    sb_array *out;
    assert_int_equal(sb_type_new("w:2147483647", "x", 0, &type, NULL), SB_OK);
    assert_int_equal(sb_array_import(&vast, type, NULL, &out, NULL), SB_INVALID);
    sb_type_drop(type);
}

static void unions_and_runs_have_sound_types(void **state)
{
    (void)state;
    static const char *const formats[] = {"+us:0",   "+us:0,1,2", "+us:0,0",  "+us:0,128", "+us:0,",
                                          "+us:a,b", "+us:,1",    "+ud:-1,2", "+r",        "+m"};
    struct ArrowSchema child = {.format = "g"}, other = {.format = "u"};
    struct ArrowSchema *children[] = {&child, &other};
    for (size_t i = 0; i < SB_COUNT_OF(formats); i++) {
        sb_type *type;
        struct ArrowSchema schema = {
            .format = formats[i], .n_children = formats[i][1] == 'm' ? 1 : 2, .children = children};
        sb_type *fine = sb_kit_type(26, "x");
        struct ArrowSchema sound;
        assert_int_equal(sb_type_export(fine, &sound, NULL), SB_OK);
        child.release = other.release = schema.release = sound.release;
        assert_int_equal(sb_type_import(&schema, &type, NULL), SB_INVALID);
        sound.release(&sound);
        sb_type_drop(fine);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_arrays_are_right),
        cmocka_unit_test(damaged_arrays_are_refused),
        cmocka_unit_test(views_say_where_their_text_is),
        cmocka_unit_test(damage_is_found_at_any_depth),
        cmocka_unit_test(wide_decimals_are_checked_in_full),
        cmocka_unit_test(slices_do_not_hide_bad_ends),
        cmocka_unit_test(rows_between_do_not_hide_bad_offsets),
        cmocka_unit_test(random_damage_is_survived),
        cmocka_unit_test(values_are_checked_in_full),
        cmocka_unit_test(null_counts_and_map_keys_are_checked_in_full),
        cmocka_unit_test(utf8_is_what_unicode_says),
        cmocka_unit_test(nested_layouts_are_checked_at_the_door),
        cmocka_unit_test(a_dictionary_that_was_released_is_refused),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(unions_and_runs_have_sound_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
