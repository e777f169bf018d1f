/* Logical plans: what to do with the rows of a source, as a chain of const nodes.
 *
 * A plan is its last node; each builder call gives a new plan that keeps its input alive. Names are resolved when a node is built:
 * a node refers to columns of its input by index. A node whose schema is not known yet (a batch function without a declared one) is
 * deferred: schema is NULL, and only batch functions can follow.
 *
 * Operators are numbered from the source's consumer (0) on; functions of with_columns and filter nodes likewise, in plan order.
 *
 * Threads: const once made; references are atomic. Memory: reference-counted nodes; functions and types are referenced. */
#ifndef SB_PLAN_PLAN_H
#define SB_PLAN_PLAN_H

#include "column/type.h"
#include "jit/func.h"

typedef enum sb_plan_kind {
    SB_PLAN_SOURCE,
    SB_PLAN_WITH,   /* columns added or replaced by functions of the input's columns */
    SB_PLAN_FILTER, /* rows kept where a function is true */
    SB_PLAN_MAP,    /* columns of the input, and the results of one function */
    SB_PLAN_SELECT,
    SB_PLAN_BATCH,  /* a function of the host over whole batches */
    SB_PLAN_LOWERED /* such a function, and one of rows that gives the same: native code computes the batch, or the host does */
} sb_plan_kind;

typedef struct sb_plan_call {
    sb_func *func;    /* owned reference */
    int64_t *columns; /* owned: the input's column of each bound parameter */
} sb_plan_call;

/* A loop of the host's and a stage of a staged function, see include/sabot.h. */
typedef void (*sb_loop_fn)(char **args, const intptr_t *count, const intptr_t *steps, void *data);

#define SB_LOOP_ARGS_MAX 2
typedef struct sb_loop {
    const char *name; /* borrow; NULL in a plan, whose `inner` has it */
    sb_loop_fn fn;    /* borrow, as data: outlives the plan */
    void *data;
    char format; /* 'g' or 'f' */
    int32_t arg_count;
    int32_t args[SB_LOOP_ARGS_MAX]; /* result of the stage's function; -1: a constant */
    double constants[SB_LOOP_ARGS_MAX];
} sb_loop;

typedef struct sb_stage {
    sb_func *func; /* borrow */
    int32_t loop_count;
    const sb_loop *loops; /* borrow */
} sb_stage;

typedef struct sb_plan_stage {
    sb_plan_call call; /* columns: of `inner` */
    int32_t loop_count;
    sb_loop *loops;     /* owned */
    int64_t made_first; /* column of `inner` that the first loop makes; the others follow */
} sb_plan_stage;

typedef struct sb_plan sb_plan;

/* A phase of a phased function, see include/sabot.h. */
typedef struct sb_phase {
    sb_plan *plan; /* borrow */
    bool one_row;
} sb_phase;

typedef struct sb_plan_phase {
    sb_plan *plan; /* owned reference: LOWERED and no filter, or SELECT, over a source of its own */
    sb_type *made; /* owned reference, a struct: the columns that the host makes of its result */
    bool one_row;  /* of these: the same value in all rows */
} sb_plan_phase;

struct sb_plan {
    _Atomic int64_t refs;
    sb_plan_kind kind;
    sb_plan *input;         /* owned reference; NULL: this is the source */
    sb_type *schema;        /* owned reference; NULL: deferred */
    int32_t op_index;       /* the source is -1 */
    int32_t function_first; /* index of calls[0] among the plan's functions */
    int32_t function_end;   /* functions up to and with this node */
    int32_t count;          /* WITH, SELECT: columns. FILTER, MAP, LOWERED: 1 */
    sb_plan_call *calls;    /* WITH, FILTER, MAP, LOWERED: count */
    int64_t *columns;       /* WITH: place of each result in schema. SELECT: column of the input */
    int64_t *
        sources; /* MAP, LOWERED but a filter: of each column in schema, that of the input, or -1 - the result */
    char *
        label; /* SOURCE, BATCH, LOWERED: for explain; how a batch function runs may follow a tab */
    bool is_filter;      /* BATCH, LOWERED: gives a Boolean array, the schema stays */
    int32_t mask;        /* LOWERED: the function's result that says which rows stay; -1: all do */
    int32_t stage_count; /* LOWERED: what runs before calls[0]; 0: nothing */
    sb_plan_stage *stages; /* owned */
    sb_type *
        inner; /* owned reference: with stages, the input's columns and those of all loops, which calls[0] and stages read */
    int32_t phase_count;   /* LOWERED: before `last`; 0: calls[0] sees the input itself */
    sb_plan_phase *phases; /* owned */
    sb_plan *
        last; /* owned reference: LOWERED, over a source of the input's columns and those of all phases; NULL without phases */
};

/* schema: borrow, a struct type. */
sb_status sb_plan_new_source(const char *text, sb_type *schema, sb_plan **out, sb_error *err);
/* SB_UNKNOWN_COLUMN, SB_TYPE (a column is not of the type the function was made for), SB_INVALID (a name twice),
 * SB_UNSUPPORTED (after a deferred node). Functions see the columns of the input, not each other's results. */
sb_status sb_plan_new_with(sb_plan *input, int32_t count, const char *const *names,
                           sb_func *const *funcs, sb_plan **out, sb_error *err);
/* Likewise; SB_UNSUPPORTED also for a column that cannot be filtered. */
sb_status sb_plan_new_filter(sb_plan *input, sb_func *func, sb_plan **out, sb_error *err);
/* One row for each row: `count` columns. columns[i]: the input's column that is passed on as names[i]; NULL: the function's result of
 * that name. Every result of the function but those without a name is a column. SB_INVALID: two of one name, no such result. */
sb_status sb_plan_new_map(sb_plan *input, sb_func *func, int32_t count, const char *const *columns,
                          const char *const *names, sb_plan **out, sb_error *err);
sb_status sb_plan_new_select(sb_plan *input, int32_t count, const char *const *names, sb_plan **out,
                             sb_error *err);
/* A select that gives its columns new names, and may take a column more than once. SB_INVALID: two of one name. */
sb_status sb_plan_new_project(sb_plan *input, int32_t count, const char *const *columns,
                              const char *const *names, sb_plan **out, sb_error *err);
/* schema: borrow, NULL: deferred (or the input's, for a filter). */
sb_status sb_plan_new_batch(sb_plan *input, const char *label, sb_type *schema, bool is_filter,
                            sb_plan **out, sb_error *err);
/* func: of rows, as for a map, or for a filter one result whose truth keeps a row. A batch of which it leaves a row is the host's as a
 * whole. schema: borrow, the result's with its metadata, which is not a filter's; NULL: columns that are passed on have the input's.
 * SB_INVALID: it is not that of the columns. */
sb_status sb_plan_new_lowered(sb_plan *input, const char *label, sb_func *func, bool is_filter,
                              int32_t count, const char *const *columns, const char *const *names,
                              sb_type *schema, sb_plan **out, sb_error *err);
/* Likewise, with stages before it. SB_INVALID, SB_UNSUPPORTED as sabot_plan_staged says. */
sb_status sb_plan_new_staged(sb_plan *input, const char *label, sb_func *func, bool is_filter,
                             int32_t count, const char *const *columns, const char *const *names,
                             sb_type *schema, int32_t stage_count, const sb_stage *stages,
                             sb_plan **out, sb_error *err);
/* The function of `last`, behind phases. SB_INVALID: as sabot_plan_phased says. */
sb_status sb_plan_new_phased(sb_plan *input, int32_t phase_count, const sb_phase *phases,
                             sb_plan *last, sb_plan **out, sb_error *err);
/* Likewise, no filter, with stages or without: of the rows those stay whose result `mask`, a Boolean of that name, is true.
 * SB_INVALID: there is no such result, or the function is of whole batches; SB_UNSUPPORTED: a column cannot be filtered. */
sb_status sb_plan_new_masked(sb_plan *input, const char *label, sb_func *func, int32_t count,
                             const char *const *columns, const char *const *names, const char *mask,
                             sb_type *schema, int32_t stage_count, const sb_stage *stages,
                             sb_plan **out, sb_error *err);
sb_plan *sb_plan_retain(sb_plan *plan);
void sb_plan_drop(sb_plan *plan); /* NULL is fine */

/* The operator tree, last operator first, lines ended by newlines. */
void sb_plan_explain(const sb_plan *plan, sb_buf *out);

/* Can every column of the schema be filtered? SB_UNSUPPORTED names the first that cannot. */
sb_status sb_plan_check_take(const sb_type *schema, sb_error *err);

#endif
