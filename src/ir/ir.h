/* The typed IR of one function: structured SSA in one flat array of instructions.
 *
 * A value is the index of the instruction that makes it; 0 is no value (instruction 0 is a nop). Regions are delimited by
 * marker instructions and nest:
 *
 *     if a              then-region: insts up to ELSE (b = its index); else-region up to END_IF (c = its index)
 *     else
 *     end_if            directly followed by the results:
 *     merge a b         a from the then-region (or outside), b from the else-region (or outside)
 *
 *     loop              directly followed by its arguments:
 *     arg a b           a = initial value, from outside; b = value for the next turn, from inside
 *       ... body ...    runs at least once (do-while)
 *     end_loop a        a: another turn? (boolean); b = index of LOOP. Directly followed by the results:
 *     result a          a = the ARG; the value is that ARG's `b` of the row's last turn
 *
 *     pass a            arguments, directly before
 *     call              imm.i = number of a function; directly followed by its results, one for each of its outputs:
 *     got               imm.i = number of the output
 *
 * Functions are programs of their own, in a table that all of a program share: they may call each other and themselves, SB_IR_CALLS_MAX
 * inside each other; deeper rows leave. Their inputs are arguments and their outputs results, none of which is ever null.
 *
 * Every value used must be defined earlier in this region or an enclosing one, but for the back and out edges above.
 * All rows of a vector run the same instructions; a row is masked out of an IF's regions it does not take, of a loop's turns
 * after its last, and of everything after it left. Ops that may trap or leave count for unmasked rows only; values of masked
 * rows are unspecified.
 *
 *     store a b         output imm.i := value a where b is true, null elsewhere. b = 0: never null. Only at top level, once per
 *                       output, after everything that can leave.
 *
 * LOOP.imm.i: the greatest possible number of turns when known and constant, else 0. Back-edges poll `stop` unless it is known and
 * not above SB_IR_TURNS_UNPOLLED.
 *
 * Built by sb_irb_*, checked by sb_ir_verify, then const. Memory: arrays are owned by the sb_ir. Threads: const after verify. */
#ifndef SB_IR_IR_H
#define SB_IR_IR_H

#include "base/buf.h"
#include "base/error.h"
#include "base/vec.h"
#include "ir/ops.h"
#include "rt/reason.h"

#define SB_IR_TURNS_UNPOLLED 4096
#define SB_IR_CALLS_MAX 64

typedef enum sb_op_code {
#define X(name, text, result, operands, flags) SB_IR_##name,
    SB_OP_LIST(X)
#undef X
        SB_IR_OP_COUNT
} sb_op_code;

typedef enum sb_prim { SB_PRIM_VOID = 0, SB_PRIM_B = 1, SB_PRIM_I64 = 2, SB_PRIM_F64 = 3 } sb_prim;

#define SB_OPERANDS_MAX 3

typedef struct sb_op_info {
    const char *text;
    const char *operands;
    char result;
    uint8_t flags;
    uint8_t operand_count;
} sb_op_info;
extern const sb_op_info sb_op_infos[SB_IR_OP_COUNT];

typedef struct sb_slow_info { /* of an op that generated code calls, see rt/slow.h */
    uint8_t call;             /* 1 + its number there; 0: no such op */
    uint8_t reason;           /* why its rows leave */
} sb_slow_info;
extern const sb_slow_info sb_slow_infos[SB_IR_OP_COUNT];

typedef uint32_t sb_value;

typedef struct sb_inst {
    uint8_t op;      /* sb_op_code */
    uint8_t prim;    /* sb_prim of the value, VOID when there is none */
    uint8_t reason;  /* LEAVE_IF: sb_reason */
    uint8_t uniform; /* set by sb_ir_finish: the same in all rows of a vector that compute it */
    sb_value a, b, c;
    union {
        int64_t i;
        double f;
    } imm;
} sb_inst;

typedef struct sb_ir_input {
    uint32_t param; /* index of the function's parameter it comes from */
    sb_prim prim;
    bool reads_values; /* some IN of it: else only validity is read */
    bool reads_valid;  /* some IN_VALID of it */
} sb_ir_input;

typedef struct sb_ir_output {
    sb_prim prim; /* VOID: always null */
    bool nullable;
} sb_ir_output;

typedef struct sb_ir_functions sb_ir_functions;

typedef struct sb_ir {
    SB_VEC(sb_inst) insts;
    SB_VEC(sb_ir_input) inputs;
    SB_VEC(sb_ir_output) outputs;
    /* facts, set by sb_ir_finish */
    uint32_t leave_reasons; /* bit per sb_reason that can occur */
    bool has_loop;
    bool has_list; /* some op on lists: sb_kcall.heap is needed */
    uint32_t cost; /* rough operations a row, loops counted by their known turns, else 100 */
    sb_ir_functions
        *functions; /* that it may call; NULL: none. Borrow, but for the program's own */
    bool owns_functions;
} sb_ir;

struct sb_ir_functions {
    uint32_t count;
    sb_ir items[];
};

/* --- building: errors are sticky, look at the status of sb_ir_finish --------------------------------------------------- */
typedef struct sb_irb {
    sb_ir *ir; /* borrow */
    bool no_memory;
    bool too_large; /* passed insts_max */
    size_t insts_max;
} sb_irb;

void sb_ir_init(sb_ir *ir);
void sb_ir_release(sb_ir *ir);
/* Gives a program `count` functions without instructions, in place of those that it had. They are finished before the program. */
sb_status sb_ir_set_functions(sb_ir *ir, uint32_t count, sb_error *err);
void sb_irb_init(sb_irb *b, sb_ir *ir, size_t insts_max);

sb_value sb_irb_op(sb_irb *b, sb_op_code op, sb_value x, sb_value y,
                   sb_value z); /* folds constants where rt can */
sb_value sb_irb_const_b(sb_irb *b, bool value);
sb_value sb_irb_const_i(sb_irb *b, int64_t value);
sb_value sb_irb_const_f(sb_irb *b, double value);
sb_value sb_irb_in(sb_irb *b, uint32_t input);       /* the input's values */
sb_value sb_irb_in_valid(sb_irb *b, uint32_t input); /* true where it is not null */
void sb_irb_leave_if(sb_irb *b, sb_value cond, sb_reason reason);
sb_value sb_irb_if(sb_irb *b, sb_value cond); /* the IF */
void sb_irb_else(sb_irb *b, sb_value if_inst);
void sb_irb_end_if(sb_irb *b, sb_value if_inst);
sb_value sb_irb_merge(sb_irb *b, sb_value then_value, sb_value else_value);
sb_value sb_irb_loop(sb_irb *b, int64_t turns_max);
sb_value sb_irb_arg(sb_irb *b, sb_value init); /* its `b` is set by sb_irb_arg_next */
void sb_irb_arg_next(sb_irb *b, sb_value arg, sb_value next);
void sb_irb_end_loop(sb_irb *b, sb_value loop, sb_value again);
sb_value sb_irb_result(sb_irb *b, sb_value arg);
void sb_irb_pass(sb_irb *b, sb_value v);
void sb_irb_call(sb_irb *b, uint32_t function);
sb_value sb_irb_got(sb_irb *b, uint32_t output, sb_prim prim);
void sb_irb_store(sb_irb *b, uint32_t output, sb_value value, sb_value valid);
/* Is the value a constant boolean? gives it in *out. */
bool sb_irb_is_const_b(const sb_irb *b, sb_value v, bool *out);

/* Throws away everything from instruction `mark` on (a count taken before a trial). */
void sb_irb_rewind(sb_irb *b, size_t mark);

/* Removes dead instructions, computes uniformity and facts, verifies. SB_NO_MEMORY, SB_LIMIT (too_large), SB_INTERNAL. */
sb_status sb_ir_finish(sb_irb *b, sb_error *err);

/* Do a CALL's arguments and results stand round it, and fit? For the verifier: what is wrong, NULL if nothing. */
const char *sb_ir_wrong_call(const sb_ir *ir, uint32_t call);

/* --- looking ------------------------------------------------------------------------------------------------------ */
sb_status sb_ir_verify(const sb_ir *ir, sb_error *err);
void sb_ir_print(const sb_ir *ir, sb_buf *out);
sb_status sb_ir_parse(sb_ir *ir, const char *text,
                      sb_error *err); /* what sb_ir_print writes; ir is initialised; finished */

#endif
