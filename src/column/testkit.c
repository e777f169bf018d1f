/* Random arrays and their printer, as column/testkit.h promises them.
 *
 * Algorithm: every layout is filled by its own rules from one xorshift generator. Memory: heap blocks of base/mem.h. */
#include "column/testkit.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "column/array_int.h"

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
    {"vu", {0}, 0, 0}, /* 22 */
    {"vz", {0}, 0, 0},
    {"+vl", {3}, 1, 0},
    {"+vL", {22}, 1, 0},
    {"+us:4,1", {3, 0}, 2, 0}, /* 26 */
    {"+ud:0,9", {22, 13}, 2, 0},
    {"+r", {6, 3}, 2, 0}, /* 28 */
    {"+r", {5, 16}, 2, 0},
    {"+r", {0, 2}, 2, 0},
    {"+m", {16}, 1, 0}, /* 31 */
    {"C", {0}, 0, 22},
    {"s", {0}, 0, 9},
    {"L", {0}, 0, 12},
    {"d:9,2,32", {0}, 0, 0},
    {"d:60,3,256", {0}, 0, 0},
    {"tin", {0}, 0, 0},
    {"e", {0}, 0, 0},
    {"+s", {26, 28}, 2, 0},
    {"+l", {27}, 1, 0}, /* 40 */
    {"+w:2", {28}, 1, 0},
    {"w:0", {0}, 0, 0},
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
    memset(parts->blocks[1], 0, (size_t)(length * type->width));
    for (int64_t i = 0; i < length; i++) {
        ((uint8_t *)parts->blocks[1])[i * type->width] = (uint8_t)(sb_kit_random(seed) % 17);
    }
    return parts->dictionary != NULL;
}

/* Views of 0 to 19 bytes into the text of another array. */
static bool fill_views(int64_t length, sb_array_parts *parts, sb_array **text, uint64_t *seed)
{
    sb_type *type = sb_kit_type(3, "text");
    *text = type != NULL ? sb_kit_array(type, 100, seed) : NULL;
    sb_type_drop(type);
    int64_t *sizes = parts->blocks[2] = sb_mem_alloc_aligned(8);
    uint8_t *views = parts->blocks[1] = sb_mem_alloc_aligned((size_t)length * 16);
    if (*text == NULL || sizes == NULL || views == NULL) {
        return false;
    }
    sizes[0] = (*text)->data_size;
    memset(views, 0, (size_t)length * 16);
    for (int64_t i = 0; i < length; i++) {
        sb_text_view view = {.size = (int32_t)(sb_kit_random(seed) % 20)};
        view.offset = (int32_t)(sb_kit_random(seed) % (uint64_t)(sizes[0] - 20));
        const uint8_t *at = (const uint8_t *)(*text)->buffers[2] + view.offset;
        memcpy(view.prefix, at, 4);
        memcpy(views + i * 16, &view, sizeof view);
        if (view.size <= SB_TEXT_INLINE) {
            memset(views + i * 16 + 4, 0, SB_TEXT_INLINE);
            memcpy(views + i * 16 + 4, at, (size_t)view.size);
        }
    }
    parts->shared = &(*text)->buffers[2];
    parts->shared_count = 1;
    parts->keep = text;
    parts->keep_count = 1;
    return true;
}

/* Lists of 0 to 3 items anywhere in a child of 50, overlapping and in no order. */
static bool fill_list_views(const sb_type *type, int64_t length, sb_array_parts *parts,
                            uint64_t *seed)
{
    size_t width = (size_t)type->width;
    for (int b = 1; b <= 2; b++) {
        uint8_t *block = parts->blocks[b] = sb_mem_alloc_aligned((size_t)length * width);
        if (block == NULL) {
            return false;
        }
        memset(block, 0, (size_t)length * width);
        for (int64_t i = 0; i < length; i++) {
            block[(size_t)i * width] = (uint8_t)(sb_kit_random(seed) % (b == 1 ? 47 : 4));
        }
    }
    return fill_child(type, 0, 50, parts, seed);
}

static bool fill_union(const sb_type *type, int64_t length, sb_array_parts *parts, uint64_t *seed)
{
    bool dense = type->layout == SB_LAYOUT_DENSE_UNION;
    int32_t used[2] = {0};
    uint8_t ids[2] = {0};
    for (int id = 0; id < SB_UNION_IDS; id++) {
        if (type->union_index[id] != SB_UNION_NONE) {
            ids[type->union_index[id]] = (uint8_t)id;
        }
    }
    uint8_t *given = parts->blocks[0] = sb_mem_alloc_aligned((size_t)length);
    int32_t *offsets = dense ? parts->blocks[1] = sb_mem_alloc_aligned((size_t)length * 4) : NULL;
    for (int64_t i = 0; given != NULL && i < length; i++) {
        int which = (int)(sb_kit_random(seed) >> 7 & 1);
        given[i] = ids[which];
        if (offsets != NULL) {
            offsets[i] = used[which];
            used[which] += sb_kit_random(seed) % 3 > 0;
        }
    }
    if (given == NULL || (dense && offsets == NULL)) {
        return false;
    }
    return fill_child(type, 0, dense ? used[0] + 1 : length, parts, seed) &&
           fill_child(type, 1, dense ? used[1] + 1 : length, parts, seed);
}

/* Runs of 1 to 6 rows, the last one past the end. */
static bool fill_runs(const sb_type *type, int64_t length, sb_array_parts *parts, uint64_t *seed)
{
    int64_t width = type->children[0]->width;
    int64_t runs = 0, at = 0;
    sb_array_parts ends = {.block_count = 2};
    uint8_t *values = ends.blocks[1] = sb_mem_alloc_aligned((size_t)((length + 1) * width));
    if (values == NULL) {
        return false;
    }
    while (at <= length) {
        at += 1 + (int64_t)(sb_kit_random(seed) % 6);
        memcpy(values + runs++ * width, &at, (size_t)width); /* the low bytes */
    }
    ends.length = ends.extent = runs;
    if (sb_array_new(type->children[0], &ends, &parts->children[0], NULL) != SB_OK) {
        sb_mem_free_aligned(values);
        return false;
    }
    parts->child_count = 1;
    return fill_child(type, 1, runs, parts, seed);
}

static bool fill(const sb_type *type, int64_t length, sb_array_parts *parts, sb_array **text,
                 uint64_t *seed)
{
    bool large = sb_offset_width(type) == 8;
    int32_t count = sb_layout_infos[type->layout].buffer_count;
    parts->block_count = count < 0 ? 3 : count;
    if (sb_layout_infos[type->layout].has_validity &&
        !fill_bytes(&parts->blocks[0], sb_bitmap_size(length), seed)) {
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
    case SB_LAYOUT_BINARY_VIEW:
        return fill_views(length, parts, text, seed);
    case SB_LAYOUT_LIST_VIEW:
        return fill_list_views(type, length, parts, seed);
    case SB_LAYOUT_SPARSE_UNION:
    case SB_LAYOUT_DENSE_UNION:
        return fill_union(type, length, parts, seed);
    case SB_LAYOUT_RUN_END:
        return fill_runs(type, length, parts, seed);
    default:
        return fill_child(type, 0, length, parts, seed) && fill_child(type, 1, length, parts, seed);
    }
}

sb_array *sb_kit_array(sb_type *type, int64_t length, uint64_t *seed)
{
    sb_array *children[2] = {0};
    sb_array *array = NULL, *text = NULL;
    sb_array_parts parts = {
        .length = length, .extent = length, .null_count = -1, .children = children};
    if (type->layout == SB_LAYOUT_NULL) {
        return sb_array_new_null(type, length, &array, NULL) == SB_OK ? array : NULL;
    }
    if (fill(type, length, &parts, &text, seed) &&
        sb_array_new(type, &parts, &array, NULL) == SB_OK) {
        sb_array_drop(text);
        return array;
    }
    for (int i = 0; i < 3; i++) {
        sb_mem_free_aligned(parts.blocks[i]);
    }
    sb_array_drop(text);
    sb_array_drop(children[0]);
    sb_array_drop(children[1]);
    sb_array_drop(parts.dictionary);
    return NULL;
}

/* --- printing ----------------------------------------------------------------------------------------------------- */

static int64_t offset_of(const sb_array *array, int64_t row)
{
    return sb_index_get(array->buffers[1], sb_offset_width(array->type), row);
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
        sb_kit_print(array->dictionary, sb_dictionary_index(array, at), out);
        return;
    }
    const uint8_t *bytes = (const uint8_t *)array->buffers[1] + at * array->type->width;
    for (int64_t i = 0; i < array->type->width; i++) {
        sb_buf_printf(out, "%02x", bytes[i]);
    }
}

static void print_text(const sb_array *array, int64_t row, sb_buf *out)
{
    int64_t size;
    const uint8_t *text = sb_array_text(array, row, &size);
    sb_buf_char(out, '\'');
    sb_buf_append(out, text, (size_t)size);
}

static void print_union(const sb_array *array, int64_t at, sb_buf *out)
{
    const int8_t *ids = array->buffers[0];
    SB_ASSERT(ids != NULL);
    int8_t id = ids[at];
    bool dense = array->type->layout == SB_LAYOUT_DENSE_UNION;
    sb_buf_printf(out, "%d:", id);
    sb_kit_print(array->children[array->type->union_index[id]],
                 dense ? sb_index_get(array->buffers[1], 4, at) : at, out);
}

static void print_run(const sb_array *array, int64_t at, sb_buf *out)
{
    const sb_array *ends = array->children[0];
    int64_t run = 0;
    while (sb_index_get(ends->buffers[1], ends->type->width, ends->offset + run) <= at) {
        run++;
    }
    sb_kit_print(array->children[1], run, out);
}

static void print_nested(const sb_array *array, int64_t at, sb_buf *out)
{
    int64_t start;
    switch (array->type->layout) {
    case SB_LAYOUT_LIST:
    case SB_LAYOUT_LARGE_LIST:
        print_items(array->children[0], offset_of(array, at), offset_of(array, at + 1), out);
        break;
    case SB_LAYOUT_LIST_VIEW:
        start = offset_of(array, at);
        print_items(array->children[0], start,
                    start + sb_index_get(array->buffers[2], array->type->width, at), out);
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

void sb_kit_print(const sb_array *array, int64_t row, sb_buf *out)
{
    int64_t at = array->offset + row;
    const uint8_t *valid =
        sb_layout_infos[array->type->layout].has_validity ? array->buffers[0] : NULL;
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
    case SB_LAYOUT_BINARY_VIEW:
        print_text(array, row, out);
        break;
    case SB_LAYOUT_SPARSE_UNION:
    case SB_LAYOUT_DENSE_UNION:
        print_union(array, at, out);
        break;
    case SB_LAYOUT_RUN_END:
        print_run(array, at, out);
        break;
    default:
        print_nested(array, at, out);
    }
}

void sb_kit_print_all(const sb_array *array, sb_buf *out)
{
    for (int64_t row = 0; row < array->length; row++) {
        sb_kit_print(array, row, out);
        sb_buf_char(out, '\n');
    }
}
