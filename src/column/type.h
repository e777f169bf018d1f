/* Types: what an Arrow schema says, deeply copied, and the memory layout that follows from its format string.
 *
 * One struct serves types, fields and schemas: a schema is a type of layout STRUCT whose children are the columns. A format
 * string that is not known here is of layout OPAQUE: such columns pass through, nothing looks into them.
 *
 * Memory: reference-counted trees, const once made. Threads: any. Nesting is at most SB_TYPE_DEPTH_MAX, so functions
 * here and in array.c that recurse over children are bounded by it. */
#ifndef SB_COLUMN_TYPE_H
#define SB_COLUMN_TYPE_H

#include <stdatomic.h>

#include "base/buf.h"
#include "column/arrow.h"

#define SB_TYPE_DEPTH_MAX 64
#define SB_COLUMNS_MAX 65536
#define SB_UNION_IDS 128
#define SB_UNION_NONE 255

/* name, buffers (-1: at least the views layout's three), may have a validity bitmap, rows can be taken out of it */
#define SB_LAYOUT_LIST_X(X)                                                                        \
    X(NULL, 0, false, true)                                                                        \
    X(FIXED, 2, true, true)        /* width bytes a value; dictionary indices too */               \
    X(BOOL, 2, true, true)         /* a bit a value */                                             \
    X(BINARY, 3, true, true)       /* 32-bit offsets: utf8 and binary */                           \
    X(LARGE_BINARY, 3, true, true) /* 64-bit offsets */                                            \
    X(LIST, 2, true, true)         /* 32-bit offsets into the child: list and map */               \
    X(LARGE_LIST, 2, true, true)                                                                   \
    X(FIXED_LIST, 1, true, true) /* width child items a value */                                   \
    X(STRUCT, 1, true, true)                                                                       \
    X(BINARY_VIEW, -1, true, true)                                                                 \
    X(LIST_VIEW, 3, true, true)                                                                    \
    X(SPARSE_UNION, 1, false, true)                                                                \
    X(DENSE_UNION, 2, false, true)                                                                 \
    X(RUN_END, 0, false, true)                                                                     \
    X(OPAQUE, -2, false, false)

typedef enum sb_layout {
#define X(name, buffers, validity, take) SB_LAYOUT_##name,
    SB_LAYOUT_LIST_X(X)
#undef X
        SB_LAYOUT_COUNT
} sb_layout;

typedef struct sb_layout_info {
    const char *name;
    int32_t buffer_count;
    bool has_validity;
    bool can_take;
} sb_layout_info;
extern const sb_layout_info sb_layout_infos[SB_LAYOUT_COUNT];

typedef struct sb_type sb_type;
struct sb_type {
    _Atomic int64_t refs;
    char *name;     /* owned; "" when it has none */
    char *format;   /* owned */
    char *metadata; /* owned, Arrow's binary form; NULL: none */
    size_t metadata_size;
    int64_t flags;
    sb_layout layout;
    int64_t width; /* FIXED: bytes a value. FIXED_LIST: items a value. LIST_VIEW: bytes an offset */
    uint8_t *union_index; /* owned; unions: child of each of the SB_UNION_IDS ids, SB_UNION_NONE */
    int64_t child_count;
    sb_type **children;  /* owned references */
    sb_type *dictionary; /* owned reference; NULL: none */
};

/* Deep copy; the schema is borrowed and not released. SB_INVALID for what no producer may give. */
sb_status sb_type_import(const struct ArrowSchema *schema, sb_type **out, sb_error *err);
/* Has it an extension type, whose values are its own affair whatever its storage is? */
bool sb_schema_is_extension(const struct ArrowSchema *schema);
/* The exported schema keeps a reference on the type and may be released on any thread. */
sb_status sb_type_export(sb_type *type, struct ArrowSchema *out, sb_error *err);

/* A column type with no children, such as "l", "g", "b", "u", "n". */
sb_status sb_type_new(const char *format, const char *name, int64_t flags, sb_type **out,
                      sb_error *err);
/* A schema of these columns (references are taken on success); metadata of `like` when it is not NULL. */
sb_status sb_type_new_struct(sb_type *const *columns, int64_t count, const sb_type *like,
                             sb_type **out, sb_error *err);
/* The same type under another name. */
sb_status sb_type_rename(sb_type *type, const char *name, sb_type **out, sb_error *err);
sb_type *sb_type_retain(sb_type *type);
void sb_type_drop(sb_type *type); /* NULL is fine */

/* Same formats, children and their names; the outermost names, metadata and nullability do not count. */
bool sb_type_equal(const sb_type *a, const sb_type *b);
/* Has it, with all children and dictionaries, a layout that is known here? If not, *culprit is the innermost that has none. */
bool sb_type_is_known(const sb_type *type, const sb_type **culprit);
/* Can sb_array_take work on it? If not, *culprit (may be NULL) is the innermost type that cannot. */
bool sb_type_can_take(const sb_type *type, const sb_type **culprit);
/* Index of the child of that name; -1: none, -2: more than one. */
int64_t sb_type_find(const sb_type *schema, const char *name);
/* Readable: "int64", "string", "list<item: int64>"; formats it does not know are printed as they are. */
void sb_type_print(const sb_type *type, sb_buf *out);

#endif
