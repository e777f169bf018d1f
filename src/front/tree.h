/* The syntax tree as read from a blob (private to the front).
 *
 * Memory: everything lives in the arena given to sb_tree_read. Threads: const after reading. */
#ifndef SB_FRONT_TREE_H
#define SB_FRONT_TREE_H

#include "base/arena.h"
#include "base/error.h"
#include "front/blob.h"

typedef struct sb_node sb_node;

typedef struct sb_node_list {
    sb_node **items;
    uint32_t count;
} sb_node_list;

/* What is assigned to: a local, several targets that a tuple is unpacked into, or an item of a list. */
typedef struct sb_target sb_target;
struct sb_target {
    bool unpacks;
    sb_node *object, *index; /* an item of a list; else NULL */
    uint32_t slot;
    uint32_t count;
    sb_target *items;
};

/* Which fields a kind uses is written in front/blob.h, in the same order. */
struct sb_node {
    uint8_t kind;   /* SB_BLOB_<kind> */
    uint8_t op;     /* operator, builtin, or has_value */
    uint32_t slot;  /* also INLINE: the function; BLOCK, COMPREHENSION: the first own local */
    uint32_t count; /* BLOCK, COMPREHENSION: own locals */
    uint32_t line, col, end_line, end_col;
    union {
        int64_t i;
        double f;
    } value;
    const char *text; /* CONST_STR, CONST_BIGINT; UNSUPPORTED: code */
    size_t text_size;
    const char *detail; /* UNSUPPORTED */
    sb_node *a, *b,
        *c; /* operands, test, value, iterable; COMPREHENSION: c is the loop that fills the list */
    sb_node_list list; /* operands, arguments, body */
    sb_node_list orelse;
    uint8_t *ops;       /* COMPARE: one an item of list */
    uint32_t *slots;    /* INLINE: one an item of list; DEL */
    sb_target *targets; /* ASSIGN, FOR, COMPREHENSION */
    uint32_t target_count;
};

typedef struct sb_tree_param {
    sb_node *fallback; /* default; NULL: none */
} sb_tree_param;

typedef struct sb_tree_function { /* called by name from the body, or from functions behind it */
    const char *name;
    uint32_t first, count; /* its own locals */
    sb_node_list body;
} sb_tree_function;

typedef struct sb_tree {
    const char *name;
    const char *file;
    uint32_t first_line;
    uint8_t annotation; /* SB_BLOB_ANN_* */
    const char *record; /* the parameter of a record function; else "" */
    uint32_t local_count;
    const char **locals;
    uint32_t param_count;
    sb_tree_param *params;
    uint32_t function_count;
    sb_tree_function *functions;
    sb_node_list body;
    bool has_stamps; /* constants of microseconds */
    bool is_whole;   /* called once per batch: it has a COLUMN */
    bool has_nulls;  /* items of its columns may be None */
} sb_tree;

/* SB_INVALID for anything malformed: every count, size, slot and depth is checked. */
sb_status sb_tree_read(const void *blob, size_t size, sb_arena *arena, sb_tree *out, sb_error *err);

#endif
