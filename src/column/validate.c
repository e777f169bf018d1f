/* Checks of what import leaves for later, as sb_array_validate of column/array.h promises them.
 *
 * Algorithm: sb_array_check looks at the node's own offsets, indices, views, ids or run ends; sb_array_validate does so for the
 * whole tree and then, as asked, reads text and values. What was found right is remembered in the array, and slices made later know
 * it too. Children and dictionaries are checked whole, since the slices of one column share them: each once, not once a slice.
 *
 * Threads: the marks are relaxed atomics; two threads may check the same rows. Memory: none. Recursion: over the type. */
#include <string.h>

#include "column/array_int.h"

static sb_status bad(const sb_array *array, int64_t row, sb_error *err, const char *what)
{
    return sb_error_set(err, SB_INVALID,
                        "malformed Arrow array \"%.100s\" (format \"%.40s\"), row %lld: %s",
                        array->type->name, array->type->format, (long long)row, what);
}

static bool is_null(const sb_array *array, int64_t row)
{
    const uint8_t *valid =
        sb_layout_infos[array->type->layout].has_validity ? array->buffers[0] : NULL;
    return valid != NULL && !sb_bit_get(valid, array->offset + row);
}

static bool has_mark(const sb_array *array, int32_t mark)
{
    return (atomic_load_explicit(&array->checked, memory_order_relaxed) & mark) != 0;
}

/* --- where values lie ---------------------------------------------------------------------------------------------- */

static sb_status check_offsets(const sb_array *array, int64_t limit, sb_error *err)
{
    if (array->length == 0) {
        return SB_OK;
    }
    int64_t width = sb_offset_width(array->type);
    const uint8_t *offsets = (const uint8_t *)array->buffers[1] + array->offset * width;
    int64_t last = sb_index_get(offsets, width, 0);
    if (last < 0) {
        return bad(array, 0, err, "a negative offset");
    }
    for (int64_t row = 0; row < array->length; row++) {
        int64_t end = sb_index_get(offsets, width, row + 1);
        if (end < last || end > limit) {
            return bad(array, row, err,
                       end < last ? "offsets do not ascend" : "an offset behind the end");
        }
        last = end;
    }
    return SB_OK;
}

static sb_status check_indices(const sb_array *array, sb_error *err)
{
    for (int64_t row = 0; row < array->length; row++) {
        int64_t index = sb_dictionary_index(array, array->offset + row);
        if ((index < 0 || index >= array->dictionary->length) && !is_null(array, row)) {
            return bad(array, row, err, "an index outside of the dictionary");
        }
    }
    return SB_OK;
}

static sb_status check_views(const sb_array *array, sb_error *err)
{
    int64_t count = array->buffer_count - 3;
    const void *sizes = array->buffers[array->buffer_count - 1];
    for (int64_t row = 0; row < array->length; row++) {
        sb_text_view view = sb_text_view_get(array, array->offset + row);
        if (is_null(array, row) || (view.size >= 0 && view.size <= SB_TEXT_INLINE)) {
            continue;
        }
        if (view.size < 0 || view.buffer < 0 || view.buffer >= count || view.offset < 0 ||
            (int64_t)view.offset + view.size > sb_index_get(sizes, 8, view.buffer)) {
            return bad(array, row, err, "a view outside of its data buffer");
        }
    }
    return SB_OK;
}

static sb_status check_list_views(const sb_array *array, sb_error *err)
{
    int64_t limit = array->children[0]->length;
    for (int64_t row = 0; row < array->length; row++) {
        int64_t at = array->offset + row;
        int64_t start = sb_index_get(array->buffers[1], array->type->width, at);
        int64_t size = sb_index_get(array->buffers[2], array->type->width, at);
        if ((start < 0 || size < 0 || size > limit || start > limit - size) &&
            !is_null(array, row)) {
            return bad(array, row, err, "a list outside of its child");
        }
    }
    return SB_OK;
}

static sb_status check_union(const sb_array *array, sb_error *err)
{
    const int8_t *ids = array->buffers[0];
    for (int64_t row = 0; row < array->length; row++) {
        int64_t at = array->offset + row;
        if (ids[at] < 0 || array->type->union_index[ids[at]] == SB_UNION_NONE) {
            return bad(array, row, err, "a type id that the union does not have");
        }
        if (array->type->layout == SB_LAYOUT_DENSE_UNION) {
            const sb_array *child = array->children[array->type->union_index[ids[at]]];
            int64_t offset = sb_index_get(array->buffers[1], 4, at);
            if (offset < 0 || offset >= child->length) {
                return bad(array, row, err, "an offset outside of its child");
            }
        }
    }
    return SB_OK;
}

/* All slices share the run ends, so it is these that remember. */
static sb_status check_run_ends(const sb_array *array, sb_error *err)
{
    sb_array *ends = array->children[0];
    int64_t last = 0;
    if (has_mark(ends, SB_CHECK_RUN_ENDS)) {
        return SB_OK;
    }
    for (int64_t i = 0; i < ends->length; i++) {
        int64_t end = sb_index_get(ends->buffers[1], ends->type->width, ends->offset + i);
        if (end <= last) {
            return bad(array, i, err, "run ends do not ascend");
        }
        last = end;
    }
    atomic_fetch_or_explicit(&ends->checked, SB_CHECK_RUN_ENDS, memory_order_relaxed);
    return SB_OK;
}

sb_status sb_array_check(sb_array *array, sb_error *err)
{
    if (has_mark(array, SB_CHECK_OFFSETS)) {
        return SB_OK;
    }
    sb_status status = SB_OK;
    switch (array->type->layout) {
    case SB_LAYOUT_FIXED:
        status = array->dictionary != NULL ? check_indices(array, err) : SB_OK;
        break;
    case SB_LAYOUT_BINARY:
    case SB_LAYOUT_LARGE_BINARY:
        status = check_offsets(array, array->data_size, err);
        break;
    case SB_LAYOUT_LIST:
    case SB_LAYOUT_LARGE_LIST:
        status = check_offsets(array, array->children[0]->length, err);
        break;
    case SB_LAYOUT_BINARY_VIEW:
        status = check_views(array, err);
        break;
    case SB_LAYOUT_LIST_VIEW:
        status = check_list_views(array, err);
        break;
    case SB_LAYOUT_SPARSE_UNION:
    case SB_LAYOUT_DENSE_UNION:
        status = check_union(array, err);
        break;
    case SB_LAYOUT_RUN_END:
        status = check_run_ends(array, err);
        break;
    default:
        break;
    }
    if (status == SB_OK) {
        atomic_fetch_or_explicit(&array->checked, SB_CHECK_OFFSETS, memory_order_relaxed);
    }
    return status;
}

/* --- text ---------------------------------------------------------------------------------------------------------- */

/* Size of the character at `text`, 0 when it is not UTF-8: no surrogates, nothing overlong, nothing above U+10FFFF. */
static int64_t utf8_step(const uint8_t *text, int64_t size)
{
    uint8_t first = text[0];
    if (first < 0x80) {
        return 1;
    }
    int64_t need = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || need > size) {
        return 0;
    }
    uint8_t lowest = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    uint8_t highest = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
    if (text[1] < lowest || text[1] > highest) {
        return 0;
    }
    for (int64_t i = 2; i < need; i++) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return need;
}

static bool utf8_is_valid(const uint8_t *text, int64_t size)
{
    int64_t at = 0;
    while (at < size) {
        uint64_t word = 0;
        if (size - at >= 8) {
            memcpy(&word, text + at, sizeof word);
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                at += 8;
                continue;
            }
        }
        int64_t step = utf8_step(text + at, size - at);
        if (step == 0) {
            return false;
        }
        at += step;
    }
    return true;
}

static sb_status check_utf8(const sb_array *array, sb_error *err)
{
    const char *format = array->type->format;
    if (strcmp(format, "u") != 0 && strcmp(format, "U") != 0 && strcmp(format, "vu") != 0) {
        return SB_OK;
    }
    for (int64_t row = 0; row < array->length; row++) {
        int64_t size;
        if (is_null(array, row)) {
            continue;
        }
        const uint8_t *text = sb_array_text(array, row, &size);
        if (!utf8_is_valid(text, size)) {
            return bad(array, row, err, "text that is not UTF-8");
        }
    }
    return SB_OK;
}

/* --- values -------------------------------------------------------------------------------------------------------- */

#define SECONDS_A_DAY 86400

/* Values a time of day must stay below; 0: no time. */
static int64_t day_length(const char *format)
{
    if (strncmp(format, "tt", 2) != 0) {
        return 0;
    }
    return format[2] == 's'   ? SECONDS_A_DAY
           : format[2] == 'm' ? SECONDS_A_DAY * INT64_C(1000)
           : format[2] == 'u' ? SECONDS_A_DAY * INT64_C(1000000)
                              : SECONDS_A_DAY * INT64_C(1000000000);
}

/* Is |value| < 10 to the power of digits? The value is a little-endian two's complement number of width bytes. */
static bool decimal_fits(const uint8_t *value, int64_t width, int64_t digits)
{
    uint32_t number[8] = {0}, limit[8] = {1};
    uint32_t fill = (value[width - 1] & 0x80) != 0 ? UINT32_MAX : 0;
    uint64_t carry = fill & 1;
    for (int i = 0; i < 8; i++) { /* magnitude */
        uint32_t word = fill;
        if ((int64_t)i * 4 < width) {
            memcpy(&word, value + (int64_t)i * 4, sizeof word);
        }
        carry += (uint64_t)(word ^ fill);
        number[i] = (uint32_t)carry;
        carry >>= 32;
    }
    for (int64_t digit = 0; digit < digits; digit++) {
        carry = 0;
        for (int i = 0; i < 8; i++) {
            carry += (uint64_t)limit[i] * 10;
            limit[i] = (uint32_t)carry;
            carry >>= 32;
        }
        if (carry != 0) {
            return true; /* the limit is above any 256 bits */
        }
    }
    for (int i = 7; i >= 0; i--) {
        if (number[i] != limit[i]) {
            return number[i] < limit[i];
        }
    }
    return false;
}

static sb_status check_decimals(const sb_array *array, sb_error *err)
{
    int64_t digits = 0;
    for (const char *at = array->type->format + 2; *at >= '0' && *at <= '9' && digits < 100; at++) {
        digits = digits * 10 + (*at - '0');
    }
    const uint8_t *values = array->buffers[1];
    for (int64_t row = 0; row < array->length; row++) {
        int64_t width = array->type->width;
        if (!is_null(array, row) &&
            !decimal_fits(values + (array->offset + row) * width, width, digits)) {
            return bad(array, row, err, "a decimal of too many digits");
        }
    }
    return SB_OK;
}

static sb_status check_times(const sb_array *array, sb_error *err)
{
    int64_t day = day_length(array->type->format);
    for (int64_t row = 0; row < array->length; row++) {
        int64_t value = sb_index_get(array->buffers[1], array->type->width, array->offset + row);
        if (is_null(array, row)) {
            continue;
        }
        if (day > 0 ? value < 0 || value >= day : value % (SECONDS_A_DAY * INT64_C(1000)) != 0) {
            return bad(array, row, err,
                       day > 0 ? "a time outside of the day" : "a date that is no whole day");
        }
    }
    return SB_OK;
}

static sb_status check_order(const sb_array *array, sb_error *err)
{
    int64_t last[SB_UNION_IDS] = {0};
    const int8_t *ids = array->buffers[0];
    SB_ASSERT(ids != NULL || array->length == 0);
    for (int64_t row = 0; row < array->length; row++) {
        int64_t at = array->offset + row;
        int64_t offset = sb_index_get(array->buffers[1], 4, at);
        if (offset < last[ids[at]]) {
            return bad(array, row, err, "offsets into a child do not ascend");
        }
        last[ids[at]] = offset;
    }
    return SB_OK;
}

static sb_status check_values(sb_array *array, sb_error *err)
{
    const char *format = array->type->format;
    int64_t nulls = atomic_load_explicit(&array->null_count, memory_order_relaxed);
    if (nulls >= 0 && sb_layout_infos[array->type->layout].has_validity &&
        array->buffers[0] != NULL &&
        nulls != array->length - sb_bitmap_count(array->buffers[0], array->offset, array->length)) {
        return bad(array, 0, err, "the null count is not that of the validity bitmap");
    }
    if (strncmp(format, "d:", 2) == 0) {
        return check_decimals(array, err);
    }
    if (strcmp(format, "tdm") == 0 || day_length(format) > 0) {
        return check_times(array, err);
    }
    if (array->type->layout == SB_LAYOUT_DENSE_UNION) {
        return check_order(array, err);
    }
    if (strcmp(format, "+m") == 0 && sb_array_null_count(array->children[0]->children[0]) != 0) {
        return bad(array, 0, err, "a map's key is null");
    }
    return SB_OK;
}

/* --- the tree ------------------------------------------------------------------------------------------------------ */

static sb_status tree_check(sb_array *array, int32_t mark, sb_error *err)
{
    if (has_mark(array, mark)) {
        return SB_OK;
    }
    sb_status status = sb_array_check(array, err);
    if (status == SB_OK && mark == SB_CHECK_UTF8_ALL) {
        status = check_utf8(array, err);
    } else if (status == SB_OK && mark == SB_CHECK_FULL_ALL) {
        status = check_values(array, err);
    }
    for (int64_t i = 0; status == SB_OK && i < array->child_count; i++) {
        status = tree_check(array->children[i], mark, err);
    }
    if (status == SB_OK && array->dictionary != NULL) {
        status = tree_check(array->dictionary, mark, err);
    }
    if (status == SB_OK) {
        atomic_fetch_or_explicit(&array->checked, mark, memory_order_relaxed);
    }
    return status;
}

sb_status sb_array_validate(sb_array *array, sb_validate_level level, sb_error *err)
{
    sb_status status = tree_check(array, SB_CHECK_OFFSETS_ALL, err);
    if (status == SB_OK && level >= SB_VALIDATE_UTF8) {
        status = tree_check(array, SB_CHECK_UTF8_ALL, err);
    }
    if (status == SB_OK && level == SB_VALIDATE_FULL) {
        status = tree_check(array, SB_CHECK_FULL_ALL, err);
    }
    return status;
}
