/* Equality and hashes of rows, as column/rows.h promises them.
 *
 * Algorithm: a row is first followed to where its value lies, through runs and dictionaries; then values are compared, or hashed, by
 * layout. Floats are brought to one form of nan and of zero before they are hashed. Columns of fixed width without nulls are
 * compared as memory where equal bytes mean equal values, and hashed in one loop.
 *
 * Threads: none of its own. Memory: none. Recursion: over the type. */
#include "column/rows.h"

#include <string.h>

#include "base/hash.h"
#include "column/array_int.h"

#define NULL_VALUE UINT64_C(0x6E756C6C)

static bool row_is_null(const sb_array *array, int64_t at)
{
    if (array->type->layout == SB_LAYOUT_NULL) {
        return true;
    }
    const uint8_t *valid =
        sb_layout_infos[array->type->layout].has_validity ? array->buffers[0] : NULL;
    /* A null count of 0 is believed everywhere, whatever the bitmap says. */
    return valid != NULL && atomic_load_explicit(&array->null_count, memory_order_relaxed) != 0 &&
           !sb_bit_get(valid, at);
}

/* Follows runs and dictionaries; gives false when the row is null. */
static bool row_resolve(const sb_array **array, int64_t *row)
{
    for (;;) {
        const sb_array *node = *array;
        int64_t at = node->offset + *row;
        if (row_is_null(node, at)) {
            return false;
        }
        if (node->type->layout == SB_LAYOUT_RUN_END) {
            *row = sb_run_find(node, at);
            *array = node->children[1];
        } else if (node->dictionary != NULL) {
            *row = sb_dictionary_index(node, at);
            *array = node->dictionary;
        } else {
            return true;
        }
    }
}

/* Bytes of a float type, 0 of any other. */
static int64_t float_width(const sb_type *type)
{
    char format = type->format[1] == 0 ? type->format[0] : 0;
    return format == 'e' ? 2 : format == 'f' ? 4 : format == 'g' ? 8 : 0;
}

/* The bits of a float with one zero and one nan; *is_nan says which. */
static uint64_t float_bits(const uint8_t *value, int64_t width, bool *is_nan)
{
    static const uint64_t infinities[] = {0x7C00, 0x7F800000, UINT64_C(0x7FF0000000000000)};
    uint64_t infinity = infinities[width / 4];
    uint64_t sign = UINT64_C(1) << (width * 8 - 1);
    uint64_t bits = 0;
    if (width == 2) {
        uint16_t half;
        memcpy(&half, value, 2);
        bits = half;
    } else if (width == 4) {
        uint32_t single;
        memcpy(&single, value, 4);
        bits = single;
    } else {
        memcpy(&bits, value, 8);
    }
    *is_nan = (bits & ~sign) > infinity;
    if (*is_nan) {
        return infinity + 1;
    }
    return (bits & ~sign) == 0 ? 0 : bits;
}

/* The items of a list's row. */
static void row_items(const sb_array *array, int64_t at, int64_t *start, int64_t *size)
{
    int64_t width = sb_offset_width(array->type);
    if (array->type->layout == SB_LAYOUT_FIXED_LIST) {
        *size = array->type->width;
        *start = at * *size;
        return;
    }
    *start = sb_index_get(array->buffers[1], width, at);
    *size = array->type->layout == SB_LAYOUT_LIST_VIEW
                ? sb_index_get(array->buffers[2], width, at)
                : sb_index_get(array->buffers[1], width, at + 1) - *start;
}

static const sb_array *union_child(const sb_array *array, int64_t *row, int8_t *id)
{
    int64_t at = array->offset + *row;
    *id = ((const int8_t *)array->buffers[0])[at];
    *row =
        array->type->layout == SB_LAYOUT_DENSE_UNION ? sb_index_get(array->buffers[1], 4, at) : at;
    return array->children[array->type->union_index[*id]];
}

/* --- equality ------------------------------------------------------------------------------------------------------- */

static bool fixed_equal(const sb_array *a, int64_t at_a, const sb_array *b, int64_t at_b,
                        sb_equal_mode mode)
{
    int64_t width = a->type->width;
    const uint8_t *x = (const uint8_t *)a->buffers[1] + at_a * width;
    const uint8_t *y = (const uint8_t *)b->buffers[1] + at_b * width;
    if (float_width(a->type) > 0) {
        bool nan_x, nan_y;
        uint64_t bits_x = float_bits(x, width, &nan_x);
        uint64_t bits_y = float_bits(y, width, &nan_y);
        return bits_x == bits_y && (mode == SB_EQUAL_KEY || !nan_x);
    }
    return width == 0 || memcmp(x, y, (size_t)width) == 0;
}

static bool text_equal(const sb_array *a, int64_t row_a, const sb_array *b, int64_t row_b)
{
    int64_t size_a, size_b;
    const uint8_t *x = sb_array_text(a, row_a, &size_a);
    const uint8_t *y = sb_array_text(b, row_b, &size_b);
    return size_a == size_b && (size_a == 0 || memcmp(x, y, (size_t)size_a) == 0);
}

static bool items_equal(const sb_array *a, int64_t at_a, const sb_array *b, int64_t at_b,
                        sb_equal_mode mode)
{
    int64_t start_a, size_a, start_b, size_b;
    row_items(a, at_a, &start_a, &size_a);
    row_items(b, at_b, &start_b, &size_b);
    if (size_a != size_b) {
        return false;
    }
    for (int64_t i = 0; i < size_a; i++) {
        if (!sb_row_equal(a->children[0], start_a + i, b->children[0], start_b + i, mode)) {
            return false;
        }
    }
    return true;
}

static bool union_equal(const sb_array *a, int64_t row_a, const sb_array *b, int64_t row_b,
                        sb_equal_mode mode)
{
    int8_t id_a, id_b;
    const sb_array *x = union_child(a, &row_a, &id_a);
    const sb_array *y = union_child(b, &row_b, &id_b);
    return id_a == id_b && sb_row_equal(x, row_a, y, row_b, mode);
}

bool sb_row_equal(const sb_array *a, int64_t row_a, const sb_array *b, int64_t row_b,
                  sb_equal_mode mode)
{
    bool valid_a = row_resolve(&a, &row_a);
    bool valid_b = row_resolve(&b, &row_b);
    if (!valid_a || !valid_b) {
        return valid_a == valid_b;
    }
    int64_t at_a = a->offset + row_a, at_b = b->offset + row_b;
    switch (a->type->layout) {
    case SB_LAYOUT_FIXED:
        return fixed_equal(a, at_a, b, at_b, mode);
    case SB_LAYOUT_BOOL:
        return sb_bit_get(a->buffers[1], at_a) == sb_bit_get(b->buffers[1], at_b);
    case SB_LAYOUT_BINARY:
    case SB_LAYOUT_LARGE_BINARY:
    case SB_LAYOUT_BINARY_VIEW:
        return text_equal(a, row_a, b, row_b);
    case SB_LAYOUT_LIST:
    case SB_LAYOUT_LARGE_LIST:
    case SB_LAYOUT_FIXED_LIST:
    case SB_LAYOUT_LIST_VIEW:
        return items_equal(a, at_a, b, at_b, mode);
    case SB_LAYOUT_SPARSE_UNION:
    case SB_LAYOUT_DENSE_UNION:
        return union_equal(a, row_a, b, row_b, mode);
    default:
        for (int64_t i = 0; i < a->child_count; i++) {
            if (!sb_row_equal(a->children[i], at_a, b->children[i], at_b, mode)) {
                return false;
            }
        }
        return true;
    }
}

static sb_status rows_ready(sb_array *array, const char *what, sb_error *err)
{
    const sb_type *culprit;
    if (!sb_type_is_known(array->type, &culprit)) {
        return sb_error_set(err, SB_UNSUPPORTED, "rows of format \"%.40s\" cannot be %s",
                            culprit->format, what);
    }
    return sb_array_validate(array, SB_VALIDATE_OFFSETS, err);
}

sb_status sb_array_equal(sb_array *a, sb_array *b, sb_equal_mode mode, bool *out, sb_error *err)
{
    sb_status status = rows_ready(a, "compared", err);
    if (status == SB_OK) {
        status = rows_ready(b, "compared", err);
    }
    if (status != SB_OK) {
        return status;
    }
    *out = false;
    if (a->length != b->length || !sb_type_equal(a->type, b->type)) {
        return SB_OK;
    }
    bool plain = a->type->layout == SB_LAYOUT_FIXED && a->dictionary == NULL &&
                 float_width(a->type) == 0 && a->length > 0;
    if (plain && sb_array_validity(a) == NULL && sb_array_validity(b) == NULL) {
        size_t width = (size_t)a->type->width;
        *out = width == 0 || memcmp((const uint8_t *)a->buffers[1] + (size_t)a->offset * width,
                                    (const uint8_t *)b->buffers[1] + (size_t)b->offset * width,
                                    (size_t)a->length * width) == 0;
        return SB_OK;
    }
    for (int64_t row = 0; row < a->length; row++) {
        if (!sb_row_equal(a, row, b, row, mode)) {
            return SB_OK;
        }
    }
    *out = true;
    return SB_OK;
}

/* --- hashes --------------------------------------------------------------------------------------------------------- */

static uint64_t value_hash(uint64_t value, uint64_t seed)
{
    return sb_hash_bytes(&value, sizeof value, seed);
}

static uint64_t fixed_hash(const sb_array *array, int64_t at, uint64_t seed)
{
    int64_t width = array->type->width;
    const uint8_t *value = (const uint8_t *)array->buffers[1] + at * width;
    if (float_width(array->type) > 0) {
        bool is_nan;
        return value_hash(float_bits(value, width, &is_nan), seed);
    }
    return sb_hash_bytes(width > 0 ? value : (const uint8_t *)"", (size_t)width, seed);
}

static uint64_t items_hash(const sb_array *array, int64_t at, uint64_t seed)
{
    int64_t start, size;
    row_items(array, at, &start, &size);
    uint64_t hash = value_hash((uint64_t)size, seed);
    for (int64_t i = 0; i < size; i++) {
        hash = sb_row_hash(array->children[0], start + i, hash);
    }
    return hash;
}

uint64_t sb_row_hash(const sb_array *array, int64_t row, uint64_t seed)
{
    int64_t size;
    int8_t id;
    if (!row_resolve(&array, &row)) {
        return value_hash(NULL_VALUE, ~seed); /* null and the number of the same bits differ */
    }
    int64_t at = array->offset + row;
    switch (array->type->layout) {
    case SB_LAYOUT_FIXED:
        return fixed_hash(array, at, seed);
    case SB_LAYOUT_BOOL:
        return value_hash(sb_bit_get(array->buffers[1], at), seed);
    case SB_LAYOUT_BINARY:
    case SB_LAYOUT_LARGE_BINARY:
    case SB_LAYOUT_BINARY_VIEW: {
        const uint8_t *text = sb_array_text(array, row, &size);
        return sb_hash_bytes(text, (size_t)size, seed);
    }
    case SB_LAYOUT_LIST:
    case SB_LAYOUT_LARGE_LIST:
    case SB_LAYOUT_FIXED_LIST:
    case SB_LAYOUT_LIST_VIEW:
        return items_hash(array, at, seed);
    case SB_LAYOUT_SPARSE_UNION:
    case SB_LAYOUT_DENSE_UNION: {
        const sb_array *child = union_child(array, &row, &id);
        return sb_row_hash(child, row, value_hash((uint64_t)id, seed));
    }
    default:
        for (int64_t i = 0; i < array->child_count; i++) {
            seed = sb_row_hash(array->children[i], at, seed);
        }
        return value_hash((uint64_t)array->child_count, seed);
    }
}

sb_status sb_array_hash(sb_array *array, uint64_t *hashes, sb_error *err)
{
    sb_status status = rows_ready(array, "hashed", err);
    if (status != SB_OK) {
        return status;
    }
    for (int64_t row = 0; row < array->length; row++) {
        hashes[row] = sb_row_hash(array, row, hashes[row]);
    }
    return SB_OK;
}
