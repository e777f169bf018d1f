/* Random arrays and their printer, as column/testkit.h promises them.
 *
 * Algorithm: every layout is filled by its own rules from one xorshift generator. Memory: heap blocks of base/mem.h. */
#include "column/testkit.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"

typedef struct type_row {
    const char *format;
    int children[2];
    int child_count;
    int dictionary; /* index, 0: none */
} type_row;

static const type_row rows[] = {
    {"l", {0}, 0, 0},
    {"g", {0}, 0, 0},
    {"b", {0}, 0, 0},
    {"u", {0}, 0, 0},
    {"c", {0}, 0, 0},
    {"s", {0}, 0, 0},
    {"i", {0}, 0, 0},
    {"d:38,10", {0}, 0, 0},
    {"w:3", {0}, 0, 0},
    {"U", {0}, 0, 0},
    {"z", {0}, 0, 0},
    {"n", {0}, 0, 0},
    {"tsu:Europe/Paris", {0}, 0, 0},
    {"+l", {3}, 1, 0},
    {"+L", {2}, 1, 0},
    {"+w:3", {0}, 1, 0},
    {"+s", {3, 2}, 2, 0},
    {"i", {0}, 0, 3},
    {"+l", {16}, 1, 0},
    {"+s", {13, 17}, 2, 0},
    {"+w:2", {13}, 1, 0},
    {"+l", {11}, 1, 0},
};
const int sb_kit_type_count = (int)SB_COUNT_OF(rows);

uint64_t sb_kit_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* --- types: made through the C interface, so that import is what makes them ------------------------------------------ */

static void nothing_release(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static void schema_fill(int index, const char *name, struct ArrowSchema *nodes,
                        struct ArrowSchema **pointers, int *used)
{
    struct ArrowSchema *node = &nodes[(*used)++];
    int at = *used * 2;
    *node = (struct ArrowSchema){
        .format = rows[index].format,
        .name = name,
        .flags = ARROW_FLAG_NULLABLE,
        .n_children = rows[index].child_count,
        .children = &pointers[at],
        .release = nothing_release,
    };
    for (int i = 0; i < rows[index].child_count; i++) {
        pointers[at + i] = &nodes[*used];
        schema_fill(rows[index].children[i], i == 0 ? "first" : "second", nodes, pointers, used);
    }
    if (rows[index].dictionary > 0) {
        node->dictionary = &nodes[*used];
        schema_fill(rows[index].dictionary, "words", nodes, pointers, used);
    }
}

sb_type *sb_kit_type(int index, const char *name)
{
    struct ArrowSchema nodes[16];
    struct ArrowSchema *pointers[40];
    int used = 0;
    sb_type *type = NULL;
    schema_fill(index, name, nodes, pointers, &used);
    (void)sb_type_import(&nodes[0], &type, NULL);
    return type;
}

/* --- arrays ------------------------------------------------------------------------------------------------------- */

static bool fill_bytes(void **block, size_t size, uint64_t *seed)
{
    *block = sb_mem_alloc_aligned(size);
    for (size_t i = 0; *block != NULL && i < size; i++) {
        ((uint8_t *)*block)[i] = (uint8_t)(sb_kit_random(seed) >> 11);
    }
    return *block != NULL;
}

/* Offsets from 0 with steps of 0 to 4; gives the last. */
static int64_t fill_offsets(void **block, bool large, int64_t length, uint64_t *seed)
{
    *block = sb_mem_alloc_aligned(((size_t)length + 1) * (large ? 8 : 4));
    int64_t at = 0;
    for (int64_t i = 0; *block != NULL && i <= length; i++) {
        if (large) {
            ((int64_t *)*block)[i] = at;
        } else {
            ((int32_t *)*block)[i] = (int32_t)at;
        }
        at += i < length ? (int64_t)(sb_kit_random(seed) % 5) : 0;
    }
    return *block != NULL ? at : -1;
}

/* Letters, so that the printed text is readable. */
static bool fill_text(void **block, int64_t size, uint64_t *seed)
{
    if (size < 0 || !fill_bytes(block, (size_t)size, seed)) {
        return false;
    }
    for (int64_t i = 0; i < size; i++) {
        ((uint8_t *)*block)[i] = (uint8_t)('a' + ((uint8_t *)*block)[i] % 26);
    }
    return true;
}

static bool fill_child(const sb_type *type, int64_t i, int64_t length, sb_array_parts *parts,
                       uint64_t *seed)
{
    if (length < 0) {
        return false;
    }
    parts->children[i] = sb_kit_array(type->children[i], length, seed);
    parts->child_count += parts->children[i] != NULL;
    return parts->children[i] != NULL;
}

static bool fill_dictionary(const sb_type *type, int64_t length, sb_array_parts *parts,
                            uint64_t *seed)
{
    parts->dictionary = sb_kit_array(type->dictionary, 17, seed);
    for (int64_t i = 0; i < length; i++) {
        ((int32_t *)parts->blocks[1])[i] = (int32_t)(sb_kit_random(seed) % 17);
    }
    return parts->dictionary != NULL;
}

static bool fill(const sb_type *type, int64_t length, sb_array_parts *parts, uint64_t *seed)
{
    bool large = type->layout == SB_LAYOUT_LARGE_BINARY || type->layout == SB_LAYOUT_LARGE_LIST;
    parts->block_count = sb_layout_infos[type->layout].buffer_count;
    if (!fill_bytes(&parts->blocks[0], sb_bitmap_size(length), seed)) {
        return false;
    }
    switch (type->layout) {
    case SB_LAYOUT_FIXED:
        return fill_bytes(&parts->blocks[1], (size_t)(length * type->width), seed) &&
               (type->dictionary == NULL || fill_dictionary(type, length, parts, seed));
    case SB_LAYOUT_BOOL:
        return fill_bytes(&parts->blocks[1], sb_bitmap_size(length), seed);
    case SB_LAYOUT_BINARY:
    case SB_LAYOUT_LARGE_BINARY:
        return fill_text(&parts->blocks[2], fill_offsets(&parts->blocks[1], large, length, seed),
                         seed);
    case SB_LAYOUT_LIST:
    case SB_LAYOUT_LARGE_LIST:
        return fill_child(type, 0, fill_offsets(&parts->blocks[1], large, length, seed), parts,
                          seed);
    case SB_LAYOUT_FIXED_LIST:
        return fill_child(type, 0, length * type->width, parts, seed);
    default:
        return fill_child(type, 0, length, parts, seed) && fill_child(type, 1, length, parts, seed);
    }
}

sb_array *sb_kit_array(sb_type *type, int64_t length, uint64_t *seed)
{
    sb_array *children[2] = {0};
    sb_array *array = NULL;
    sb_array_parts parts = {
        .length = length, .extent = length, .null_count = -1, .children = children};
    if (type->layout == SB_LAYOUT_NULL) {
        return sb_array_new_null(type, length, &array, NULL) == SB_OK ? array : NULL;
    }
    if (fill(type, length, &parts, seed) && sb_array_new(type, &parts, &array, NULL) == SB_OK) {
        return array;
    }
    for (int i = 0; i < 3; i++) {
        sb_mem_free_aligned(parts.blocks[i]);
    }
    sb_array_drop(children[0]);
    sb_array_drop(children[1]);
    sb_array_drop(parts.dictionary);
    return NULL;
}

/* --- printing ----------------------------------------------------------------------------------------------------- */

static int64_t offset_of(const sb_array *array, int64_t row)
{
    bool large = array->type->layout == SB_LAYOUT_LARGE_BINARY ||
                 array->type->layout == SB_LAYOUT_LARGE_LIST;
    return large ? ((const int64_t *)array->buffers[1])[row]
                 : ((const int32_t *)array->buffers[1])[row];
}

static void print_items(const sb_array *items, int64_t start, int64_t end, sb_buf *out)
{
    sb_buf_char(out, '[');
    for (int64_t i = start; i < end; i++) {
        sb_kit_print(items, i, out);
        sb_buf_char(out, ' ');
    }
    sb_buf_char(out, ']');
}

static void print_fixed(const sb_array *array, int64_t at, sb_buf *out)
{
    if (array->type->dictionary != NULL) {
        sb_kit_print(array->dictionary, ((const int32_t *)array->buffers[1])[at], out);
        return;
    }
    const uint8_t *bytes = (const uint8_t *)array->buffers[1] + at * array->type->width;
    for (int64_t i = 0; i < array->type->width; i++) {
        sb_buf_printf(out, "%02x", bytes[i]);
    }
}

void sb_kit_print(const sb_array *array, int64_t row, sb_buf *out)
{
    int64_t at = array->offset + row;
    const uint8_t *valid = array->buffer_count > 0 ? array->buffers[0] : NULL;
    if (array->type->layout == SB_LAYOUT_NULL || (valid != NULL && !sb_bit_get(valid, at))) {
        sb_buf_char(out, '-');
        return;
    }
    switch (array->type->layout) {
    case SB_LAYOUT_FIXED:
        print_fixed(array, at, out);
        break;
    case SB_LAYOUT_BOOL:
        sb_buf_char(out, sb_bit_get(array->buffers[1], at) ? 't' : 'f');
        break;
    case SB_LAYOUT_BINARY:
    case SB_LAYOUT_LARGE_BINARY:
        sb_buf_char(out, '\'');
        sb_buf_append(out, (const char *)array->buffers[2] + offset_of(array, at),
                      (size_t)(offset_of(array, at + 1) - offset_of(array, at)));
        break;
    case SB_LAYOUT_LIST:
    case SB_LAYOUT_LARGE_LIST:
        print_items(array->children[0], offset_of(array, at), offset_of(array, at + 1), out);
        break;
    case SB_LAYOUT_FIXED_LIST:
        print_items(array->children[0], at * array->type->width, (at + 1) * array->type->width,
                    out);
        break;
    default:
        for (int64_t i = 0; i < array->child_count; i++) {
            sb_buf_text(out, i == 0 ? "{" : ", ");
            sb_kit_print(array->children[i], at, out);
        }
        sb_buf_char(out, '}');
    }
}

void sb_kit_print_all(const sb_array *array, sb_buf *out)
{
    for (int64_t row = 0; row < array->length; row++) {
        sb_kit_print(array, row, out);
        sb_buf_char(out, '\n');
    }
}
