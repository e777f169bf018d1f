/* Facts of one function that outlive the front: parameters, refusals, result type. Plain data shared by front, jit, plan and api.
 *
 * Memory: strings and arrays are owned by whoever holds the struct (sb_mem_free). Threads: const once made. */
#ifndef SB_IR_FUNC_INFO_H
#define SB_IR_FUNC_INFO_H

#include "ir/ir.h"

/* A function of whole batches is called for one row, whose inputs and outputs are lists (rt/list.h): each a handle, of kind I64. An item
 * is one word, or where items are of several kinds a pair of words, of which the second says what the first is. */
typedef enum sb_item {
    SB_ITEM_PLAIN = 0, /* an int, or a boolean */
    SB_ITEM_FLOAT = 1,
    SB_ITEM_NONE = 2,
    SB_ITEM_NP_F64 = 3
} sb_item;

typedef struct sb_func_param {
    uint32_t index; /* among all parameters of the Python function */
    char *column;   /* owned: name of the column it binds to */
    char *format;   /* owned: the column's Arrow format */
    sb_prim prim;   /* what kernels see of the column; VOID: they do not know its type */
    int32_t input;  /* index in ir.inputs (kernel in[]); -1: the kernel does not read it */
    bool pairs;     /* of a function of whole batches: see sb_item */
    bool nulls;     /* likewise: items may be None */
} sb_func_param;

typedef enum sb_mixing { /* what the values of a result may be, besides those of its type */
                         SB_MIXING_NONE,
                         SB_MIXING_INTS,  /* ints among doubles */
                         SB_MIXING_WIDTHS /* NumPy's narrow numbers among wide ones */
} sb_mixing;

typedef struct sb_func_key { /* one of several results: an item of the function's tuple */
    char *name;              /* owned */
    char format[8];          /* Arrow format: "l" "g" "b" "n"; of NumPy's scalars "c" to "L", "f" */
    sb_prim prim;            /* what kernels write: int64, double or boolean; VOID for "n" */
    sb_mixing mixing;
    bool pairs; /* of a function of whole batches: see sb_item */
} sb_func_key;

typedef struct sb_refusal {                /* one reason why a function is not compiled */
    uint32_t code;                         /* sb_refusal_code of ir/refusal.h */
    char *detail;                          /* owned; may be empty */
    uint32_t line, col, end_line, end_col; /* line 0: no place */
} sb_refusal;

#endif
