/* Private to the front: Python values while lowering, and the lowering context.
 *
 * A Python value is a set of tags (the kinds it can have) with one register per kind that has a payload. With one tag it is that bare
 * register; with more, `is[tag]` tells per row which kind it has. A value with no tags is *never*: no row gets that far. Tuples, and lists
 * that nothing changes, are values by place: their length is the same in all rows, and their items are never shared with what is assigned.
 * Other lists are handles (list.c).
 * The environment maps locals to values; control flow is data: `returned`, `broke`, `continued` say which rows are gone.
 *
 * Memory: values are plain; environments live in the arena of the lowering. Threads: one. */
#ifndef SB_FRONT_LOWER_INT_H
#define SB_FRONT_LOWER_INT_H

#include "base/arena.h"
#include "front/front.h"
#include "front/tree.h"

enum {
    TAG_NONE,
    TAG_BOOL,
    TAG_INT,
    TAG_FLOAT,
    TAG_DATE,
    TAG_STAMP,
    TAG_AWARE,
    TAG_ZONED,
    TAG_ITEMS,
    TAG_LIST,
    TAG_NP_BOOL,
    TAG_NP_INT,
    TAG_NP_F64,
    TAG_NP_F32,
    TAG_UNBOUND,
    TAG_OPAQUE,
    TAG_COUNT
};
#define TAG_BIT(tag) (1u << (tag))
#define NONE_BIT TAG_BIT(TAG_NONE)
#define BOOL_BIT TAG_BIT(TAG_BOOL)
#define INT_BIT TAG_BIT(TAG_INT)
#define FLOAT_BIT TAG_BIT(TAG_FLOAT)
#define DATE_BIT TAG_BIT(TAG_DATE)   /* days since 1970 */
#define STAMP_BIT TAG_BIT(TAG_STAMP) /* a datetime without zone: units of time since 1970 */
#define AWARE_BIT TAG_BIT(TAG_AWARE) /* one with a zone of fixed offset: likewise, in UTC */
#define ZONED_BIT                                                                                  \
    TAG_BIT(TAG_ZONED) /* one with any other zone: likewise; not compared, see column.c */
#define ITEMS_BIT TAG_BIT(TAG_ITEMS) /* a tuple or list by place */
#define LIST_BIT TAG_BIT(TAG_LIST)   /* a list in the row's memory: its handle */
#define NP_BOOL_BIT TAG_BIT(TAG_NP_BOOL)
#define NP_INT_BIT TAG_BIT(TAG_NP_INT) /* `dtype` says of which type */
#define NP_F64_BIT TAG_BIT(TAG_NP_F64)
#define NP_F32_BIT TAG_BIT(TAG_NP_F32)
#define UNBOUND_BIT TAG_BIT(TAG_UNBOUND)
#define OPAQUE_BIT                                                                                 \
    TAG_BIT(TAG_OPAQUE) /* never with another tag; any use is refused, as `why` says */
#define NUMERIC_BITS (BOOL_BIT | INT_BIT | FLOAT_BIT)
#define TIME_BITS (DATE_BIT | STAMP_BIT | AWARE_BIT | ZONED_BIT)
#define NP_BITS (NP_BOOL_BIT | NP_INT_BIT | NP_F64_BIT | NP_F32_BIT)
/* What shares a payload: `b`, `i`, `f`. */
#define TRUTH_BITS (BOOL_BIT | NP_BOOL_BIT)
#define WHOLE_BITS (INT_BIT | TIME_BITS | LIST_BIT | NP_INT_BIT)
#define DOUBLE_BITS (FLOAT_BIT | NP_F64_BIT | NP_F32_BIT)

typedef enum opaque_why {
    OPAQUE_COLUMN, /* a column of a type that kernels do not know */
    OPAQUE_LENGTH, /* tuples or lists of different lengths meet here */
    OPAQUE_DTYPE,  /* NumPy integers of different types do */
} opaque_why;

typedef struct pyval pyval;
struct pyval {
    uint32_t tags;
    sb_value is[TAG_COUNT]; /* booleans; meaningful when more than one tag is set */
    sb_value b, i, f;       /* payloads; 0 where the tag is not set */
    uint32_t count;         /* ITEMS */
    pyval *items;           /* ITEMS: in the arena, const once made */
    bool is_list;           /* ITEMS */
    uint8_t why;            /* OPAQUE: opaque_why */
    uint8_t dtype;          /* NP_INT: its type, as an Arrow format */
    uint32_t site;          /* LIST: where it was made, see list.c */
};

/* Kinds without registers: what a value can be at one place. */
typedef struct shape shape;
struct shape {
    uint32_t tags;
    uint32_t count;
    shape *items;
    bool is_list;
    uint8_t why;
    uint8_t dtype;
    uint32_t site;
};

#define LIST_SITES_MAX 256

typedef struct sb_list_site {
    const sb_node *place; /* where lists are made */
    uint32_t parent;      /* another site that it became one with, or itself */
    uint32_t kinds;       /* of the items: tags */
    bool is_column;       /* a list of it may be a column of the batch */
    bool changes;         /* its lists change: no column itself, but a copy */
} sb_list_site;

typedef struct sb_list_sites { /* kept while the function is lowered again */
    sb_list_site items[LIST_SITES_MAX];
    uint32_t count;
    bool changed; /* something was learnt */
} sb_list_sites;

typedef struct env {
    pyval *vars;  /* by local slot */
    pyval result; /* value returned, for rows with `returned` */
    sb_value returned, broke, continued;
    bool dead; /* no row falls through to here */
} env;

typedef struct loop_memo loop_memo;

/* A function that may call itself, with the kinds that its parameters and its result have been seen to have. */
typedef struct invoked {
    bool reached;
    uint32_t *tags; /* by its own local, 0: never given */
    uint32_t result;
} invoked;

typedef struct whole_column { /* a parameter of a function of whole batches */
    sb_value handle;          /* of the list that it is; 0: of no type that lists hold */
    unsigned tag;             /* of its items, None aside */
    const char *format;       /* borrow */
    bool words, pairs;        /* what lists of it have been made of; never both */
} whole_column;

typedef struct lowering {
    sb_tree tree;
    sb_arena arena;
    sb_irb b;
    sb_value zero_b, zero_i, zero_f, true_b; /* constants visible everywhere */
    bool no_memory;
    uint32_t work;     /* nodes lowered so far, trials included */
    uint32_t depth;    /* of sb_lower_rest inside itself */
    uint32_t inlined;  /* calls of functions inside each other */
    const sb_node *at; /* what is being lowered */
    int64_t
        stamp_us; /* microseconds of the unit that all timestamps of the function are brought to */
    SB_VEC(sb_refusal) refusals;
    loop_memo *memos;
    invoked *functions; /* as the tree has them */
    bool grown;         /* kinds of functions have grown in this round */
    sb_list_sites *sites;
    whole_column *columns;                 /* by parameter; NULL: a function of rows */
    bool in_memory;                        /* displays make lists in memory */
    bool wants_memory;                     /* that could help against a refusal */
    bool unsettled;                        /* too many rounds: to be refused */
    const sb_node *return_tags[TAG_COUNT]; /* the first return of each kind; NULL: none */
    const char *const *key_names; /* of the items that are results; NULL: the value itself is */
    uint32_t key_count;
    const sb_node *(*key_tags)[TAG_COUNT]; /* as return_tags, by item */
} lowering;

#define WORK_MAX 400000u
#define INSTS_MAX 30000u
#define REFUSALS_MAX 16u
#define REST_DEPTH_MAX 200u /* each costs stack, here and in who walks the regions */
#define INLINED_MAX 24u     /* likewise */
#define SPELLED_MAX 16u /* items of a comprehension that is written out where lists are in memory */
#define ITEMS_MAX 256u  /* of one tuple or list */

/* --- values (value.c) ----------------------------------------------------------------------------------------------- */
pyval sb_pyval_never(void);
pyval sb_pyval_none(void);
pyval sb_pyval_bool(sb_value b);
pyval sb_pyval_int(sb_value i);
pyval sb_pyval_float(sb_value f);
pyval sb_pyval_unbound(void);
pyval sb_pyval_opaque(opaque_why why);
pyval sb_pyval_items(pyval *items, uint32_t count, bool is_list);
/* Room for items, all never; NULL when memory is short. */
pyval *sb_items_new(lowering *l, uint32_t count);
bool sb_pyval_same(const pyval *x, const pyval *y);
sb_value sb_pyval_is(lowering *l, const pyval *v, unsigned tag); /* boolean: has it this kind */
/* Rows whose value has the tag leave; the result lacks it. */
pyval sb_pyval_strip(lowering *l, pyval v, unsigned tag, sb_reason reason);
sb_value sb_pyval_truth(lowering *l, const pyval *v);
/* None leaves, bool becomes int: tags within INT, FLOAT. A date, timestamp or NumPy scalar is refused: never. */
pyval sb_pyval_number(lowering *l, pyval v);
sb_value sb_pyval_as_float(lowering *l, const pyval *v);         /* of a number: float(v) */
pyval sb_pyval_arith(lowering *l, uint8_t op, pyval x, pyval y); /* SB_BLOB_ADD .. SB_BLOB_MOD */
pyval sb_pyval_negate(lowering *l, pyval v);
sb_value sb_pyval_compare(lowering *l, uint8_t op, pyval x, pyval y); /* SB_BLOB_EQ .. SB_BLOB_GE */
sb_value sb_pyval_is_nan(lowering *l, const pyval *v);
sb_value sb_item_equal(lowering *l, const pyval *x,
                       const pyval *y); /* as `in` and tuples compare */
/* cond ? x : y without a region: all registers must be visible here. */
pyval sb_pyval_select(lowering *l, sb_value cond, const pyval *x, const pyval *y);
sb_value sb_op1(lowering *l, sb_op_code op, sb_value x);
sb_value sb_op2(lowering *l, sb_op_code op, sb_value x, sb_value y);

/* --- columns (column.c) ------------------------------------------------------------------------------------------------- */
typedef struct sb_column_kind {
    const char *format; /* exact, or what stands before a zone */
    sb_prim prim;
    unsigned tag;
    int64_t unit_us; /* of timestamps: microseconds of one unit; else 0 */
} sb_column_kind;

/* How kernels read a column of this format; prim VOID: they do not. */
sb_column_kind sb_column_kind_of(const char *format);
/* The parameter's value: rows that Python cannot hold, or int64, leave. */
pyval sb_column_value(lowering *l, uint32_t input, const sb_column_kind *kind);

/* --- NumPy's scalars (numpy.c, numpy_call.c): see numpy.h ------------------------------------------------------------------ */
/* x op y, one of them of NumPy: SB_BLOB_ADD .. SB_BLOB_BITXOR. */
pyval sb_np_binary(lowering *l, uint8_t op, pyval x, pyval y);
/* SB_BLOB_EQ .. SB_BLOB_GE: np.bool, or bool where None is compared; a never is refused or raises. */
pyval sb_np_compare(lowering *l, uint8_t op, pyval x, pyval y);
pyval sb_np_unary(lowering *l, uint8_t op, pyval v); /* SB_BLOB_NEG, POS, INVERT */
pyval sb_np_abs(lowering *l, pyval v);
pyval sb_np_plain(lowering *l, pyval v); /* the Python number of the same value: float(), int() */
pyval sb_np_index(lowering *l, pyval v); /* integers as Python's; other scalars raise */
/* A builtin of Python with an argument of NumPy: readies the arguments; false: *out is the value. */
bool sb_np_arguments(lowering *l, const sb_node *n, pyval *args, uint32_t count, pyval *out);
pyval sb_np_call(lowering *l, const sb_node *n, const pyval *args); /* a builtin from NP_ITEM on */

/* --- merging at the end of an IF ---------------------------------------------------------------------------------------
 * Merges must directly follow the end_if: merge all values first, then sb_pyval_complete each (it computes). */
pyval sb_merge_value(lowering *l, sb_value cond, const pyval *x, const pyval *y);
sb_value sb_merge_bool(lowering *l, sb_value cond, sb_value x, sb_value y);
void sb_pyval_complete(lowering *l, pyval *v); /* is[] of the lowest tag from the others */

/* --- shapes (shape.c) ----------------------------------------------------------------------------------------------- */
void sb_shape_of(lowering *l, const pyval *v, shape *out);
bool sb_shape_same(const shape *x, const shape *y);
bool sb_shape_widen(lowering *l, shape *to, const shape *from); /* true: *to has grown */
unsigned sb_shape_mixed(
    const shape *s); /* values in it that need a lane of tags to tell number kinds apart */

/* --- what a for loop goes through (iter.c) ---------------------------------------------------------------------------- */
#define RANGES_MAX 8u
#define LISTS_MAX 4u

typedef struct sb_range_state {
    sb_value current; /* value of this turn */
    sb_value step;
} sb_range_state;

typedef struct sb_source sb_source;

typedef struct sb_counter {
    const sb_source *source;
    sb_value left;     /* turns left, this one included, as far as lists do not say; unsigned */
    int64_t turns_max; /* 0: unknown */
    sb_value index;    /* turns done; 0: not needed */
    uint32_t range_count;
    sb_range_state ranges[RANGES_MAX];
    uint32_t
        list_count; /* lists that end the loop: as long as they are when their end is reached */
    const sb_source *lists[LISTS_MAX];
} sb_counter;

/* Lowers the iterable; false when no row gets past it, or it was refused. */
bool sb_iter_open(lowering *l, env *e, const sb_node *n, sb_counter *c);
pyval sb_iter_item(lowering *l, const sb_counter *c);    /* of this turn */
void sb_iter_advance(lowering *l, sb_counter *c);        /* to the next turn */
sb_value sb_iter_more(lowering *l, const sb_counter *c); /* boolean: is there a turn */
/* When it is known how many items there are: all of them; *count < 0 when not. */
pyval *sb_iter_all(lowering *l, env *e, const sb_node *n, int64_t *count);

/* --- calls (call.c) --------------------------------------------------------------------------------------------------- */
pyval sb_lower_call(lowering *l, env *e, const sb_node *n);   /* of a builtin */
pyval sb_lower_inline(lowering *l, env *e, const sb_node *n); /* of a user's function */
pyval sb_lower_invoke(lowering *l, env *e, const sb_node *n); /* of one that may call itself */
/* Lowers all functions that are reached into the program's table; what they return is kept. Instructions are not finished. */
sb_status sb_lower_functions(lowering *l, sb_ir *program, sb_error *err);
sb_status sb_finish_functions(sb_ir *program, sb_error *err);
/* What is known of the functions of the tree: nothing yet. False: no memory. */
bool sb_functions_new(lowering *l);
void sb_forget_functions(lowering *l);
pyval sb_lower_block_value(lowering *l, env *e, const sb_node *n);
pyval sb_lower_comprehension(lowering *l, env *e, const sb_node *n);
pyval sb_lower_subscript(lowering *l, env *e, const sb_node *n);

/* --- lists in memory (list.c): *never* where no row gets past, or where it was refused ------------------------------------- */
pyval sb_list_new(lowering *l, const sb_node *place);
/* A column of the batch as a list: n is the COLUMN. */
pyval sb_list_column(lowering *l, const sb_node *n);
/* What the items of a list are, as one value; *pairs: see sb_item. */
pyval sb_list_kinds(const lowering *l, const pyval *list, bool *pairs);
pyval sb_list_of_items(lowering *l, const pyval *items, uint32_t count, const sb_node *place);
/* A list by place as the function has its lists: in memory, where they are there and its items can be. Others stay; nothing may change
 * them. */
pyval sb_list_held(lowering *l, pyval list, const sb_node *place);
pyval sb_list_concat(lowering *l, const pyval *x, const pyval *y);
pyval sb_list_repeat(lowering *l, pyval list, pyval count);
pyval sb_list_sorted(lowering *l, pyval list,
                     bool reverse); /* sorts the list itself; or a list by place into a new one */
/* Sorts a list in memory by the items of another. */
pyval sb_list_sort_by(lowering *l, pyval list, pyval keys, bool reverse);
bool sb_are_numbers(const pyval *items, uint32_t count); /* what lists in memory hold */
/* Its lists alone: other values raise. what: named by the refusal of values that are never lists. */
pyval sb_list_only(lowering *l, pyval v, const char *what);
pyval sb_list_get(lowering *l, const pyval *list, sb_value index);
pyval sb_list_item(lowering *l, const pyval *list, pyval index);
bool sb_list_store(lowering *l, pyval list, pyval index, pyval v); /* list[index] = v */
pyval sb_list_extend(lowering *l, const pyval *list, pyval other); /* None */
pyval sb_lower_slice(lowering *l, env *e, const sb_node *n);
sb_value sb_list_has(lowering *l, const pyval *list, const pyval *v); /* `in`; 0: not compiled */
sb_value sb_list_equal(lowering *l, const pyval *x, const pyval *y);
sb_value sb_list_length(lowering *l, const pyval *list);
pyval sb_list_method(lowering *l, const sb_node *n, const pyval *args, uint32_t count);
uint32_t sb_list_join(lowering *l, uint32_t x,
                      uint32_t y); /* lists of both may be one: the site of both */
/* math.c: builtins from SB_BLOB_ABS on, and powers. */
pyval sb_lower_math(lowering *l, const sb_node *n, const pyval *args, uint32_t count);
pyval sb_pyval_power(lowering *l, pyval x, pyval y);
pyval sb_pyval_bits(lowering *l, uint8_t op, pyval x, pyval y); /* << >> & | ^ */
pyval sb_pyval_invert(lowering *l, pyval v);
/* Room for locals and the constants that are visible everywhere; false: no memory. */
bool sb_begin_program(lowering *l, env *e);
/* Rows that fall off a function's end return None. */
void sb_finish_result(lowering *l, env *e);

/* x op y of Python: SB_BLOB_ADD .. SB_BLOB_BITXOR, @ refused at n. */
pyval sb_pyval_binary(lowering *l, uint8_t op, pyval x, pyval y, const sb_node *n);
pyval sb_lower_display(lowering *l, env *e, const sb_node *n); /* of a tuple or list, by place */

/* --- expressions (expr.c), statements (stmt.c), loops (loop.c) -------------------------------------------------------------- */
pyval sb_lower_expr(lowering *l, env *e, const sb_node *n);
void sb_assign(lowering *l, env *e, const sb_target *target, pyval v);
bool sb_const_int(const lowering *l, sb_value v, int64_t *out);
void sb_lower_block(lowering *l, env *e, const sb_node_list *list, uint32_t from);
/* The list from `from` on for the rows that are not `gone`; flags of gone rows are kept, the others start anew. `rejoin`: some gone
 * rows go on behind the list, as those that broke do behind a loop's else clause. */
void sb_lower_rest(lowering *l, env *e, sb_value gone, bool rejoin, const sb_node_list *list,
                   uint32_t from);
void sb_lower_loop(lowering *l, env *e, const sb_node *n);
void sb_env_copy(lowering *l, env *to, const env *from);
/* After `end_if`: joins the two sides' environments (both started from one with the same flags) into *to. */
void sb_env_merge(lowering *l, env *to, sb_value cond, const env *x, const env *y);
sb_value sb_env_gone(lowering *l, const env *e); /* returned | broke | continued */

void sb_refuse(lowering *l, uint32_t code, const char *detail, const sb_node *at);
bool sb_working(
    lowering *l); /* counts one unit of work; false when the budget is spent (refused) */
unsigned sb_tag_count(uint32_t tags);

#endif
