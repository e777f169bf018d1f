/* Inside the interpreter: the prepared program, the kernels it calls, the registers of a thread.
 *
 * A vector is run in slices of SB_SLICE_ROWS rows, so that a register is 4 KiB and the working set of a function stays in
 * the first-level cache. Every value of the program has a slot; state->slots[slot] points to
 *     a register of the slice     8 bytes a row (wide) or 1 (narrow, booleans)
 *     a cell                      8 bytes: constants and values that are the same in all selected rows
 *     an input column             at the slice's first row
 *
 * Memory, threads: see interp.h. */
#ifndef SB_INTERP_INTERP_INT_H
#define SB_INTERP_INTERP_INT_H

#include "interp/interp.h"

#define SB_SLICE_ROWS 512

/* Which operands are cells: the rest have a value a row. */
typedef enum sb_form { SB_FORM_VV = 0, SB_FORM_VC = 1, SB_FORM_CV = 2, SB_FORM_CC = 3 } sb_form;
#define SB_FORM_COUNT 3 /* CC runs as VV over one row */

/* Rows [0, n), n >= 1. Negative: some row would leave; out is then unspecified. out overlaps no operand. One-operand ops
 * get a twice. */
typedef int64_t (*sb_dense_fn)(void *out, const void *a, const void *b, int32_t n);
/* The listed rows; out may be an operand. A row that leaves gets its reason in reasons[row] and writes nothing; gives how many left. */
typedef int32_t (*sb_sparse_fn)(void *out, const void *a, const void *b, const uint16_t *rows,
                                int32_t count, uint8_t *reasons);

typedef struct sb_interp_kernel {
    sb_dense_fn dense[SB_FORM_COUNT];
    sb_sparse_fn sparse[SB_FORM_COUNT];
} sb_interp_kernel;

extern const sb_interp_kernel
    sb_interp_kernels[SB_IR_OP_COUNT]; /* ops with one or two operands and a value */

/* Better loops where the second operand of rows, `cell`, is a constant of the program: squares, division by powers of two. */
void sb_interp_by_constant(const sb_inst *inst, const sb_inst *cell, sb_dense_fn *dense,
                           sb_sparse_fn *sparse);
/* out = cond ? x : y over rows [0, count) without overlap, or over the listed rows when rows is not NULL. form is of x and
 * y, one of all four. */
void sb_interp_select(sb_prim prim, sb_form form, void *out, const uint8_t *cond, const void *x,
                      const void *y, const uint16_t *rows, int32_t count);
/* out = a, likewise; cell: a is one value for all rows. out may be a. */
void sb_interp_copy(sb_prim prim, bool cell, void *out, const void *a, const uint16_t *rows,
                    int32_t count);
/* How many of the n bytes, each 0 or 1, are 1. */
int32_t sb_interp_count(const uint8_t *bytes, int32_t n);

typedef enum sb_step_kind {
    SB_STEP_PLAIN,    /* o = op(a, b) */
    SB_STEP_LEAVING,  /* likewise, rows may leave */
    SB_STEP_CELL,     /* both, for a cell */
    SB_STEP_SELECT,   /* o = a ? b : c; also MERGE */
    SB_STEP_CHOOSE,   /* likewise, a is a cell */
    SB_STEP_COPY,     /* o = a */
    SB_STEP_VALID,    /* o = validity of input imm */
    SB_STEP_LEAVE,    /* LEAVE_IF a */
    SB_STEP_WARN,     /* NP_WARN_F64 a, b, c; form: bit k set where operand k is a cell */
    SB_STEP_IF,       /* jump: the step of its ELSE */
    SB_STEP_ELSE,     /* jump: the step of its END_IF; a: the condition */
    SB_STEP_END_IF,   /**/
    SB_STEP_LOOP,     /* jump: the step after its END_LOOP */
    SB_STEP_END_LOOP, /* jump: the first step of its body */
    SB_STEP_STORE,    /* output imm */
    SB_STEP_LIST,     /* o = list op imm of a, b, c; form: bit k set where operand k is a cell */
    SB_STEP_CALL,     /* function imm; finals: arguments (a), moves: results (o) */
} sb_step_kind;

typedef struct sb_step {
    uint8_t kind;
    uint8_t form;    /* sb_form of the operands that may be cells (SELECT, CHOOSE: of b and c) */
    uint8_t prim;    /* of the value, or of the stored one */
    uint8_t reason;  /* LEAVE */
    bool uniform;    /* IF, ELSE, END_LOOP, LEAVE: a is a cell; CHOOSE, COPY: o is one */
    bool in_place;   /* PLAIN, LEAVING, SELECT: o is the register of an operand too */
    bool keep;       /* o holds results of rows that finished the loop: write selected rows only */
    bool poll;       /* END_LOOP: look at stop */
    bool has_valid;  /* STORE: b is the validity */
    bool valid_cell; /* STORE: b is a cell */
    uint32_t o, a, b, c; /* slots */
    uint32_t jump;
    uint32_t finals_first, finals_count; /* END_LOOP: moves for rows that finish, done first */
    uint32_t moves_first, moves_count;   /* END_LOOP: loop arguments for the next turn, in order */
    int64_t imm;
    sb_dense_fn dense;
    sb_sparse_fn sparse;
} sb_step;

/* The operation of a LIST step for the listed rows; gives how many left, with their reasons. */
int32_t sb_interp_list(const sb_step *step, void *const *slots, sb_rt_heap *heap,
                       const uint16_t *rows, int32_t count, uint8_t *reasons);
#define SB_CALL_VALUES_MAX 64u /* arguments or results of a function */

typedef struct sb_move {
    uint32_t o, a; /* slots */
    uint8_t prim;
    bool from_cell;
    bool to_cell;
} sb_move;

typedef struct sb_cell_init {
    uint32_t slot;
    uint8_t prim;
    union {
        int64_t i;
        double f;
    } value;
} sb_cell_init;

struct sb_interp {
    const sb_ir *ir; /* borrow */
    SB_VEC(sb_step) steps;
    SB_VEC(sb_move) moves;
    SB_VEC(sb_cell_init) cells; /* constants */
    /* slots: inputs, then wide registers, narrow registers, cells */
    uint32_t input_count;
    uint32_t wide_count;
    uint32_t narrow_count;
    uint32_t cell_count;
    uint32_t depth_max;    /* regions open at once */
    sb_interp **functions; /* that it may call; owned by the program, see sb_ir_functions */
};

/* Rows that a region runs for. */
typedef struct sb_frame {
    int32_t count;
    int32_t left_seen;            /* state->left when rows that left were last dropped from here */
    int32_t else_count;           /* IF: rows for the else-region, as of the IF */
    bool dense;                   /* all rows of the slice; rows[] is not set then */
    bool shrunk;                  /* LOOP: some rows finished before the others */
    uint16_t rows[SB_SLICE_ROWS]; /* ascending */
} sb_frame;

struct sb_interp_state {
    void **slots;
    /* A dense step whose result has an operand's register writes here, then the two change places: wide, narrow. */
    void *scratch[2];
    uint8_t *memory;  /* registers and cells */
    uint8_t *misses;  /* per step: how often a dense try under a mask met a row that would leave */
    sb_frame *frames; /* depth_max + 1 */
    uint32_t depth;
    int32_t n;    /* rows of the slice */
    int32_t row;  /* its first row in the vector */
    int32_t left; /* rows of the slice that left */
    int32_t
        slice_rows; /* rows of a slice, a power of 2: fewer once the lists of as many did not fit */
    bool stopped;
    bool crowded;              /* the lists of the slice's rows do not fit into one heap */
    sb_kcall *call;            /* borrow, for one run */
    uint32_t level;            /* calls around this one */
    sb_interp_state **callees; /* by level and function, made when first needed; owned by level 0 */
    size_t callee_count;
    sb_kcall own_call; /* of a function */
    sb_kout own_out[SB_CALL_VALUES_MAX];
    uint8_t reasons[SB_SLICE_ROWS];
    uint16_t identity[SB_SLICE_ROWS]; /* 0, 1, 2 ... */
    uint16_t spare[SB_SLICE_ROWS];
};

/* --- calls (call.c) --------------------------------------------------------------------------------------------------- */

/* Runs a function for the rows of the frame at hand; a row that leaves there leaves here. */
void sb_interp_call(const sb_interp *p, sb_interp_state *st, const sb_step *step, sb_frame *f);
/* The programs that a program may call. */
sb_status sb_interp_prepare_functions(sb_interp *p, sb_error *err);
void sb_interp_free_functions(sb_interp *p);
/* The states of called functions. */
void sb_interp_free_callees(sb_interp_state *st);

/* --- for calls (interp.c) ---------------------------------------------------------------------------------------------- */

/* All steps of a program, for the rows of its first frame. */
void sb_interp_steps(const sb_interp *p, sb_interp_state *st);
void sb_interp_copy_frame(sb_interp_state *st, sb_frame *to, const sb_frame *from);
/* Drops the `left` rows that now have a reason from the frame. */
void sb_interp_count_left(sb_interp_state *st, sb_frame *f, int32_t left);

#endif
