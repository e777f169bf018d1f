/* Types, as column/type.h promises them.
 *
 * Algorithm: a format string is looked up in one table of exact names and one of prefixes; what is in neither is OPAQUE.
 * Metadata is copied by walking its length-prefixed pairs, because nothing else tells its size.
 *
 * Threads: reference counts are atomic; a drop releases before the last one acquires, so whoever frees sees all writes.
 * Memory: every string of a type is its own block. */
#include "column/type.h"

#include <string.h>

#include "base/mem.h"

const sb_layout_info sb_layout_infos[SB_LAYOUT_COUNT] = {
#define X(name, buffers, validity, take) {#name, buffers, validity, take},
    SB_LAYOUT_LIST_X(X)
#undef X
};

typedef struct format_row {
    const char *format; /* exact, or a prefix when it ends in ':' */
    sb_layout layout;
    int32_t width;
    const char *text;
} format_row;

static const format_row formats[] = {
    {"n", SB_LAYOUT_NULL, 0, "null"},
    {"b", SB_LAYOUT_BOOL, 0, "bool"},
    {"c", SB_LAYOUT_FIXED, 1, "int8"},
    {"C", SB_LAYOUT_FIXED, 1, "uint8"},
    {"s", SB_LAYOUT_FIXED, 2, "int16"},
    {"S", SB_LAYOUT_FIXED, 2, "uint16"},
    {"i", SB_LAYOUT_FIXED, 4, "int32"},
    {"I", SB_LAYOUT_FIXED, 4, "uint32"},
    {"l", SB_LAYOUT_FIXED, 8, "int64"},
    {"L", SB_LAYOUT_FIXED, 8, "uint64"},
    {"e", SB_LAYOUT_FIXED, 2, "halffloat"},
    {"f", SB_LAYOUT_FIXED, 4, "float"},
    {"g", SB_LAYOUT_FIXED, 8, "double"},
    {"u", SB_LAYOUT_BINARY, 0, "string"},
    {"z", SB_LAYOUT_BINARY, 0, "binary"},
    {"U", SB_LAYOUT_LARGE_BINARY, 0, "large_string"},
    {"Z", SB_LAYOUT_LARGE_BINARY, 0, "large_binary"},
    {"vu", SB_LAYOUT_BINARY_VIEW, 0, "string_view"},
    {"vz", SB_LAYOUT_BINARY_VIEW, 0, "binary_view"},
    {"tdD", SB_LAYOUT_FIXED, 4, "date32[day]"},
    {"tdm", SB_LAYOUT_FIXED, 8, "date64[ms]"},
    {"tts", SB_LAYOUT_FIXED, 4, "time32[s]"},
    {"ttm", SB_LAYOUT_FIXED, 4, "time32[ms]"},
    {"ttu", SB_LAYOUT_FIXED, 8, "time64[us]"},
    {"ttn", SB_LAYOUT_FIXED, 8, "time64[ns]"},
    {"tss:", SB_LAYOUT_FIXED, 8, "timestamp[s]"},
    {"tsm:", SB_LAYOUT_FIXED, 8, "timestamp[ms]"},
    {"tsu:", SB_LAYOUT_FIXED, 8, "timestamp[us]"},
    {"tsn:", SB_LAYOUT_FIXED, 8, "timestamp[ns]"},
    {"tDs", SB_LAYOUT_FIXED, 8, "duration[s]"},
    {"tDm", SB_LAYOUT_FIXED, 8, "duration[ms]"},
    {"tDu", SB_LAYOUT_FIXED, 8, "duration[us]"},
    {"tDn", SB_LAYOUT_FIXED, 8, "duration[ns]"},
    {"tiM", SB_LAYOUT_FIXED, 4, "month_interval"},
    {"tiD", SB_LAYOUT_FIXED, 8, "day_time_interval"},
    {"tin", SB_LAYOUT_FIXED, 16, "month_day_nano_interval"},
    {"d:", SB_LAYOUT_FIXED, 0, "decimal"},
    {"w:", SB_LAYOUT_FIXED, 0, "fixed_size_binary"},
    {"+l", SB_LAYOUT_LIST, 0, "list"},
    {"+m", SB_LAYOUT_LIST, 0, "map"},
    {"+L", SB_LAYOUT_LARGE_LIST, 0, "large_list"},
    {"+w:", SB_LAYOUT_FIXED_LIST, 0, "fixed_size_list"},
    {"+s", SB_LAYOUT_STRUCT, 0, "struct"},
    {"+vl", SB_LAYOUT_LIST_VIEW, 4, "list_view"},
    {"+vL", SB_LAYOUT_LIST_VIEW, 8, "large_list_view"},
    {"+us:", SB_LAYOUT_SPARSE_UNION, 0, "sparse_union"},
    {"+ud:", SB_LAYOUT_DENSE_UNION, 0, "dense_union"},
    {"+r", SB_LAYOUT_RUN_END, 0, "run_end_encoded"},
};

static const format_row *format_find(const char *format)
{
    for (size_t i = 0; i < SB_COUNT_OF(formats); i++) {
        size_t size = strlen(formats[i].format);
        bool prefix = formats[i].format[size - 1] == ':';
        if (prefix ? strncmp(format, formats[i].format, size) == 0
                   : strcmp(format, formats[i].format) == 0) {
            return &formats[i];
        }
    }
    return NULL;
}

/* A whole number in 0..max after `text`, to its end; -1 when it is not one. */
static int64_t number_parse(const char *text, int64_t max)
{
    int64_t value = 0;
    if (*text == 0) {
        return -1;
    }
    for (; *text != 0; text++) {
        if (*text < '0' || *text > '9') {
            return -1;
        }
        value = value * 10 + (*text - '0');
        if (value > max) {
            return -1;
        }
    }
    return value;
}

static int64_t decimal_width(const char *format)
{
    const char *comma = strchr(format, ',');
    comma = comma != NULL ? strchr(comma + 1, ',') : NULL;
    int64_t bits = comma != NULL ? number_parse(comma + 1, 256) : 128;
    return bits == 32 || bits == 64 || bits == 128 || bits == 256 ? bits / 8 : -1;
}

/* Fills the union's table from its list of ids, "0,1,5"; false when that is no list of distinct ids. */
static bool union_parse(const char *ids, uint8_t *index, int64_t *count)
{
    *count = 0;
    memset(index, SB_UNION_NONE, SB_UNION_IDS);
    while (*ids != 0) {
        int64_t id = 0;
        if (*ids < '0' || *ids > '9') {
            return false;
        }
        for (; *ids >= '0' && *ids <= '9'; ids++) {
            id = id * 10 + (*ids - '0');
            if (id >= SB_UNION_IDS) {
                return false;
            }
        }
        if (index[id] != SB_UNION_NONE || (*ids != 0 && (*ids != ',' || ids[1] == 0))) {
            return false;
        }
        index[id] = (uint8_t)(*count)++;
        ids += *ids == ',';
    }
    return true;
}

static sb_status type_set_union(sb_type *type, int64_t child_count, sb_error *err)
{
    int64_t count;
    type->union_index = sb_mem_alloc(SB_UNION_IDS);
    if (type->union_index == NULL) {
        return sb_error_no_memory(err, SB_UNION_IDS);
    }
    if (!union_parse(type->format + 4, type->union_index, &count) || count != child_count) {
        return sb_error_set(err, SB_INVALID, "union format \"%.60s\" with %lld children",
                            type->format, (long long)child_count);
    }
    return SB_OK;
}

static sb_status type_set_format(sb_type *type, const char *format, sb_error *err)
{
    size_t size = strlen(format) + 1;
    type->format = sb_mem_alloc(size);
    if (type->format == NULL) {
        return sb_error_no_memory(err, size);
    }
    memcpy(type->format, format, size);
    const format_row *row = format_find(format);
    type->layout = row != NULL ? row->layout : SB_LAYOUT_OPAQUE;
    type->width = row != NULL ? row->width : 0;
    if (strncmp(format, "d:", 2) == 0) {
        type->width = decimal_width(format + 2);
    } else if (strncmp(format, "w:", 2) == 0) {
        type->width = number_parse(format + 2, INT32_MAX);
    } else if (strncmp(format, "+w:", 3) == 0) {
        type->width = number_parse(format + 3, INT32_MAX);
    }
    if (type->width < 0) {
        return sb_error_set(err, SB_INVALID, "malformed Arrow format \"%.60s\"", format);
    }
    return SB_OK;
}

static sb_status text_copy(char **out, const char *text, sb_error *err)
{
    size_t size = (text != NULL ? strlen(text) : 0) + 1;
    *out = sb_mem_alloc(size);
    if (*out == NULL) {
        return sb_error_no_memory(err, size);
    }
    if (text != NULL) {
        memcpy(*out, text, size);
    } else {
        **out = 0;
    }
    return SB_OK;
}

/* Size in bytes of Arrow's metadata block; SIZE_MAX when a length is negative. */
static size_t metadata_size(const char *metadata)
{
    int32_t pairs;
    memcpy(&pairs, metadata, sizeof pairs);
    size_t at = sizeof pairs;
    if (pairs < 0) {
        return SIZE_MAX;
    }
    for (int64_t i = 0; i < 2 * (int64_t)pairs; i++) {
        int32_t length;
        memcpy(&length, metadata + at, sizeof length);
        if (length < 0) {
            return SIZE_MAX;
        }
        at += sizeof length + (size_t)length;
    }
    return at;
}

bool sb_schema_is_extension(const struct ArrowSchema *schema)
{
    static const char key[] = "ARROW:extension:name";
    const char *metadata = schema->metadata;
    if (metadata == NULL || metadata_size(metadata) == SIZE_MAX) {
        return false;
    }
    int32_t pairs, length;
    memcpy(&pairs, metadata, sizeof pairs);
    size_t at = sizeof pairs;
    for (int64_t i = 0; i < 2 * (int64_t)pairs; i++) {
        memcpy(&length, metadata + at, sizeof length);
        at += sizeof length;
        if (i % 2 == 0 && (size_t)length == sizeof key - 1 &&
            memcmp(metadata + at, key, sizeof key - 1) == 0) {
            return true;
        }
        at += (size_t)length;
    }
    return false;
}

static sb_status type_set_metadata(sb_type *type, const char *metadata, size_t size, sb_error *err)
{
    if (size == SIZE_MAX) {
        return sb_error_set(err, SB_INVALID, "malformed metadata of column \"%.100s\"", type->name);
    }
    type->metadata = sb_mem_alloc(size);
    if (type->metadata == NULL) {
        return sb_error_no_memory(err, size);
    }
    memcpy(type->metadata, metadata, size);
    type->metadata_size = size;
    return SB_OK;
}

static sb_status type_make(const char *format, const char *name, int64_t flags, int64_t child_count,
                           sb_type **out, sb_error *err)
{
    sb_status status = SB_OK;
    sb_type *type = sb_mem_alloc_zero(sizeof *type);
    if (type == NULL) {
        return sb_error_no_memory(err, sizeof *type);
    }
    atomic_init(&type->refs, 1);
    type->flags = flags;
    SB_TRY(text_copy(&type->name, name, err));
    SB_TRY(type_set_format(type, format, err));
    if (type->layout == SB_LAYOUT_SPARSE_UNION || type->layout == SB_LAYOUT_DENSE_UNION) {
        SB_TRY(type_set_union(type, child_count, err));
    }
    if (child_count > 0) {
        size_t size = (size_t)child_count * sizeof *type->children;
        type->children = sb_mem_alloc_zero(size);
        if (type->children == NULL) {
            status = sb_error_no_memory(err, size);
            goto out;
        }
    }
    *out = type;
    return SB_OK;
out:
    sb_type_drop(type);
    return status;
}

/* What the layout needs of its children, so that arrays of the type can be walked without looking back. */
static sb_status type_check(const sb_type *type, sb_error *err)
{
    int64_t need = -1;
    switch (type->layout) {
    case SB_LAYOUT_LIST:
    case SB_LAYOUT_LARGE_LIST:
    case SB_LAYOUT_FIXED_LIST:
    case SB_LAYOUT_LIST_VIEW:
        need = 1;
        break;
    case SB_LAYOUT_RUN_END:
        need = 2;
        break;
    case SB_LAYOUT_STRUCT:
    case SB_LAYOUT_SPARSE_UNION:
    case SB_LAYOUT_DENSE_UNION:
    case SB_LAYOUT_OPAQUE:
        break;
    default:
        need = 0;
    }
    if (need >= 0 && type->child_count != need) {
        return sb_error_set(err, SB_INVALID, "format \"%.60s\" needs %lld children and has %lld",
                            type->format, (long long)need, (long long)type->child_count);
    }
    if (type->layout == SB_LAYOUT_RUN_END &&
        (type->children[0]->layout != SB_LAYOUT_FIXED || type->children[0]->dictionary != NULL ||
         strlen(type->children[0]->format) != 1 ||
         strchr("sil", type->children[0]->format[0]) == NULL)) {
        return sb_error_set(err, SB_INVALID, "run ends of format \"%.60s\"",
                            type->children[0]->format);
    }
    if (strcmp(type->format, "+m") == 0 &&
        (type->children[0]->layout != SB_LAYOUT_STRUCT || type->children[0]->child_count != 2)) {
        return sb_error_set(err, SB_INVALID, "a map's entries are no struct of key and value");
    }
    if (type->dictionary != NULL && type->layout != SB_LAYOUT_OPAQUE &&
        (strlen(type->format) != 1 || strchr("cCsSiIlL", type->format[0]) == NULL)) {
        return sb_error_set(err, SB_INVALID, "dictionary indices of format \"%.60s\"",
                            type->format);
    }
    return SB_OK;
}

static sb_status type_import(const struct ArrowSchema *schema, int depth, sb_type **out,
                             sb_error *err)
{
    sb_status status = SB_OK;
    sb_type *type = NULL;
    if (schema == NULL || schema->release == NULL || schema->format == NULL) {
        return sb_error_set(err, SB_INVALID, "an Arrow schema is missing or already released");
    }
    if (depth > SB_TYPE_DEPTH_MAX) {
        return sb_error_set(err, SB_UNSUPPORTED, "types nested deeper than %d", SB_TYPE_DEPTH_MAX);
    }
    if (schema->n_children < 0 || schema->n_children > SB_COLUMNS_MAX ||
        (schema->n_children > 0 && schema->children == NULL)) {
        return sb_error_set(err, SB_INVALID, "an Arrow schema with %lld children",
                            (long long)schema->n_children);
    }
    SB_TRY(type_make(schema->format, schema->name, schema->flags, schema->n_children, &type, err));
    if (schema->metadata != NULL) {
        SB_TRY(type_set_metadata(type, schema->metadata, metadata_size(schema->metadata), err));
    }
    for (int64_t i = 0; i < schema->n_children; i++) {
        SB_TRY(type_import(schema->children[i], depth + 1, &type->children[i], err));
        type->child_count = i + 1;
    }
    if (schema->dictionary != NULL) {
        SB_TRY(type_import(schema->dictionary, depth + 1, &type->dictionary, err));
    }
    SB_TRY(type_check(type, err));
    *out = type;
    type = NULL;
out:
    sb_type_drop(type);
    return status;
}

sb_status sb_type_import(const struct ArrowSchema *schema, sb_type **out, sb_error *err)
{
    return type_import(schema, 0, out, err);
}

sb_status sb_type_new(const char *format, const char *name, int64_t flags, sb_type **out,
                      sb_error *err)
{
    return type_make(format, name, flags, 0, out, err);
}

sb_status sb_type_new_struct(sb_type *const *columns, int64_t count, const sb_type *like,
                             sb_type **out, sb_error *err)
{
    if (count > SB_COLUMNS_MAX) {
        return sb_error_set(err, SB_LIMIT, "more than %d columns", SB_COLUMNS_MAX);
    }
    sb_type *type;
    sb_status status = type_make("+s", "", like != NULL ? like->flags : 0, count, &type, err);
    if (status != SB_OK) {
        return status;
    }
    if (like != NULL && like->metadata != NULL) {
        status = type_set_metadata(type, like->metadata, like->metadata_size, err);
        if (status != SB_OK) {
            sb_type_drop(type);
            return status;
        }
    }
    for (int64_t i = 0; i < count; i++) {
        type->children[i] = columns[i];
    }
    type->child_count = count;
    *out = type;
    return SB_OK;
}

sb_type *sb_type_retain(sb_type *type)
{
    /* A new reference is made from an existing one, which already orders everything. */
    atomic_fetch_add_explicit(&type->refs, 1, memory_order_relaxed);
    return type;
}

void sb_type_drop(sb_type *type)
{
    if (type == NULL || atomic_fetch_sub_explicit(&type->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (int64_t i = 0; i < type->child_count; i++) {
        sb_type_drop(type->children[i]);
    }
    sb_type_drop(type->dictionary);
    sb_mem_free(type->children);
    sb_mem_free(type->union_index);
    sb_mem_free(type->metadata);
    sb_mem_free(type->format);
    sb_mem_free(type->name);
    sb_mem_free(type);
}

/* --- export ------------------------------------------------------------------------------------------------------- */

/* What an exported node owns beside its reference: places for its children, in one block. */
typedef struct type_export {
    sb_type *type;
    struct ArrowSchema *dictionary;
    struct ArrowSchema **pointers;
    int64_t count;
    struct ArrowSchema nodes[]; /* children, then the dictionary's if there is one */
} type_export;

static void exported_release(struct ArrowSchema *schema)
{
    type_export *own = schema->private_data;
    for (int64_t i = 0; i < own->count; i++) {
        if (own->nodes[i].release != NULL) {
            own->nodes[i].release(&own->nodes[i]);
        }
    }
    sb_type_drop(own->type);
    sb_mem_free(own->pointers);
    sb_mem_free(own);
    schema->release = NULL;
}

sb_status sb_type_export(sb_type *type, struct ArrowSchema *out, sb_error *err)
{
    SB_ASSERT(type != NULL);
    int64_t count = type->child_count + (type->dictionary != NULL ? 1 : 0);
    size_t size = sizeof(type_export) + (size_t)count * sizeof(struct ArrowSchema);
    type_export *own = sb_mem_alloc_zero(size);
    struct ArrowSchema **pointers = sb_mem_alloc_array((size_t)count, sizeof *pointers);
    if (own == NULL || pointers == NULL) {
        sb_mem_free(own);
        sb_mem_free(pointers);
        return sb_error_no_memory(err, size);
    }
    own->type = sb_type_retain(type);
    own->pointers = pointers;
    struct ArrowSchema made = {
        .format = type->format,
        .name = type->name,
        .metadata = type->metadata,
        .flags = type->flags,
        .n_children = type->child_count,
        .children = type->child_count > 0 ? pointers : NULL,
        .dictionary = type->dictionary != NULL ? &own->nodes[type->child_count] : NULL,
        .release = exported_release,
        .private_data = own,
    };
    for (int64_t i = 0; i < count; i++) {
        sb_type *child = i < type->child_count ? type->children[i] : type->dictionary;
        pointers[i] = &own->nodes[i];
        sb_status status = sb_type_export(child, &own->nodes[i], err);
        if (status != SB_OK) {
            exported_release(&made);
            return status;
        }
        own->count = i + 1;
    }
    *out = made;
    return SB_OK;
}

sb_status sb_type_rename(sb_type *type, const char *name, sb_type **out, sb_error *err)
{
    struct ArrowSchema schema;
    sb_status status = sb_type_export(type, &schema, err);
    if (status != SB_OK) {
        return status;
    }
    schema.name = name; /* the exporter's private data owns the old one */
    status = sb_type_import(&schema, out, err);
    schema.release(&schema);
    return status;
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

bool sb_type_equal(const sb_type *a, const sb_type *b)
{
    if (a == b) {
        return true;
    }
    if (strcmp(a->format, b->format) != 0 || a->child_count != b->child_count ||
        (a->dictionary == NULL) != (b->dictionary == NULL)) {
        return false;
    }
    /* Lists and maps name their item fields as their producer likes; only a struct's names mean something. */
    bool named = a->layout == SB_LAYOUT_STRUCT;
    for (int64_t i = 0; i < a->child_count; i++) {
        if ((named && strcmp(a->children[i]->name, b->children[i]->name) != 0) ||
            !sb_type_equal(a->children[i], b->children[i])) {
            return false;
        }
    }
    return a->dictionary == NULL || sb_type_equal(a->dictionary, b->dictionary);
}

bool sb_type_can_take(const sb_type *type, const sb_type **culprit)
{
    if (!sb_layout_infos[type->layout].can_take) {
        if (culprit != NULL) {
            *culprit = type;
        }
        return false;
    }
    for (int64_t i = 0; i < type->child_count; i++) {
        if (!sb_type_can_take(type->children[i], culprit)) {
            return false;
        }
    }
    return true; /* a dictionary stays whole, whatever it holds */
}

bool sb_type_is_known(const sb_type *type, const sb_type **culprit)
{
    if (type->layout == SB_LAYOUT_OPAQUE) {
        *culprit = type;
        return false;
    }
    for (int64_t i = 0; i < type->child_count; i++) {
        if (!sb_type_is_known(type->children[i], culprit)) {
            return false;
        }
    }
    return type->dictionary == NULL || sb_type_is_known(type->dictionary, culprit);
}

int64_t sb_type_find(const sb_type *schema, const char *name)
{
    int64_t found = -1;
    for (int64_t i = 0; i < schema->child_count; i++) {
        if (strcmp(schema->children[i]->name, name) == 0) {
            if (found >= 0) {
                return -2;
            }
            found = i;
        }
    }
    return found;
}

void sb_type_print(const sb_type *type, sb_buf *out)
{
    const format_row *row = format_find(type->format);
    if (type->dictionary != NULL) {
        sb_buf_text(out, "dictionary<");
        sb_type_print(type->dictionary, out);
        sb_buf_text(out, ">");
        return;
    }
    sb_buf_text(out, row != NULL ? row->text : type->format);
    if (row != NULL && row->format[0] == 't' && row->format[1] == 's' && type->format[4] != 0) {
        sb_buf_printf(out, "(%s)", type->format + 4);
    } else if (strncmp(type->format, "d:", 2) == 0 || strncmp(type->format, "w:", 2) == 0) {
        sb_buf_printf(out, "(%s)", type->format + 2);
    }
    for (int64_t i = 0; i < type->child_count; i++) {
        sb_buf_text(out, i == 0 ? "<" : ", ");
        sb_buf_printf(out, "%s: ", type->children[i]->name);
        sb_type_print(type->children[i], out);
    }
    if (type->child_count > 0) {
        sb_buf_text(out, ">");
    }
}
