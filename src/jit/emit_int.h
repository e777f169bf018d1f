/* Private to emit*.c: the emitter's state and the small assembler over LLVM's text.
 *
 * emit.c         options, width, one function: prologue, block loop, stores, exits
 * emit_text.c    values, types, instructions, labels
 * emit_region.c  lane masks, checks, if and loop
 * emit_op.c      one lane form per op
 * emit_div.c     division and modulo
 * emit_list.c    lists of the row
 * emit_call.c    functions that may call themselves
 * emit_math.c    bit operations, shifts, conversions to int, what rt computes
 * emit_warn.c    where the fast entry looks whether NumPy would warn
 *
 * Values. An sb_ev is a temporary or a constant, scalar or one per lane (vec). A value that is the same in all lanes stays a
 * scalar and is spread where a vector needs it. With one lane everything is scalar.
 *
 * Masks. `mask` says which lanes the code at hand counts for. EV_NONE is "the block's own mask", which only the end of the
 * block applies; that keeps straight code free of masks. The careful entry and loops with a mask of their own never have it.
 *
 * No lane of a value is ever poison: a poison lane would spread through `and` and `bitcast` to lanes that count.
 *
 * Buffers. `prologue` runs once a call, `head` once a block before everything else, `body` is the code at hand. Text is
 * appended to *out, which is one of them. Mutable state is in allocas (prologue); sroa turns it into registers. */
#ifndef SB_JIT_EMIT_INT_H
#define SB_JIT_EMIT_INT_H

#include "base/buf.h"
#include "ir/ir.h"
#include "jit/emit.h"

typedef enum sb_ev_kind { EV_NONE = 0, EV_TEMP, EV_CONST } sb_ev_kind;

typedef struct sb_ev {
    uint8_t kind; /* sb_ev_kind */
    uint8_t prim; /* sb_prim */
    bool vec;     /* one per lane */
    uint32_t id;  /* EV_TEMP: %t<id> */
    int64_t bits; /* EV_CONST: the value, a double's bits */
} sb_ev;

typedef struct sb_emit_region_info { /* of an IF or LOOP */
    uint32_t end;                    /* index of its END_IF or END_LOOP */
    uint32_t weight;                 /* instructions inside, costly ones counted more */
    bool leaves;                     /* something inside may leave */
    bool loops;                      /* a loop inside */
} sb_emit_region_info;

typedef enum sb_emit_frame_kind {
    SB_EMIT_IF_JUMP,  /* uniform condition: one side runs */
    SB_EMIT_IF_FLAT,  /* both sides run under masks */
    SB_EMIT_IF_LANES, /* each side runs when some lane takes it */
    SB_EMIT_LOOP
} sb_emit_frame_kind;

typedef struct sb_emit_frame {
    sb_emit_frame_kind kind;
    sb_value inst; /* the IF or LOOP */
    sb_ev outer;   /* mask outside */
    sb_ev cond;    /* IF */
    uint32_t
        first; /* label: else-region (IF_JUMP), between the regions (IF_LANES), start of a turn (LOOP) */
    uint32_t last;      /* label after the construct */
    uint32_t then_from; /* label the then-region's values come from */
    uint32_t skip_from; /* label from which a region is skipped (IF_LANES) */
    uint32_t mask_slot; /* LOOP: alloca of the turn's mask */
    sb_ev words;        /* LOOP: the turn's mask as words, without mask registers */
    bool uniform;       /* LOOP: all lanes make the same number of turns */
} sb_emit_frame;

/* What the fast entry does about an NP_WARN_F64, or a RESULT that stands for some. */
typedef enum sb_emit_watch {
    SB_EMIT_WATCH_NOT,  /* another check finds what this one would */
    SB_EMIT_WATCH_HERE, /* it looks whether the value is finite */
} sb_emit_watch;

#define SB_EMIT_SPLATS 32

enum { /* numbers of metadata: what a load or store touches (emit.c writes the nodes) */
       SB_EMIT_TBAA_HEADER = 5,
       SB_EMIT_TBAA_ITEM = 6
};

typedef struct sb_emitter {
    const sb_ir *ir;
    uint32_t lanes;
    bool careful;
    bool converts; /* the target converts between vectors of int64 and double in one instruction */
    bool multiplies;      /* ... and multiplies vectors of int64 cheaply */
    bool fuses;           /* it has fused multiplication and addition */
    char types[2][4][16]; /* [vec][prim] */

    sb_buf prologue, head, body;
    sb_buf *out;
    uint32_t temps, labels;
    uint32_t label; /* the block at hand */
    struct {
        uint32_t id, splat;
    } splats[SB_EMIT_SPLATS]; /* scalars already spread in this block */
    uint32_t splat_count;

    sb_ev *values; /* by instruction */
    sb_ev *others; /* by instruction: a MERGE's else-value; an ARG's own result slot (id) */
    sb_emit_region_info *infos;
    uint8_t *watch;   /* by instruction: sb_emit_watch, see emit_warn.c */
    uint32_t *scopes; /* by instruction: scratch of emit_warn.c, like known */
    uint8_t *known;
    sb_emit_frame *frames;
    uint32_t frame_count;
    uint32_t *input_values,
        *input_valids; /* by input: pointer temporaries + 1, 0 when not loaded yet */

    sb_ev base;          /* careful: the block's mask; the fast entry makes it where it is needed */
    sb_ev mask;          /* see above */
    sb_ev written;       /* at the end of a block: lanes to store */
    sb_ev bad_words;     /* fast: sign bits found in this basic block, not yet in the slot */
    sb_ev bad_lanes;     /* fast: likewise, booleans */
    uint32_t words_slot; /* alloca + 1 of what was found, 0: none */
    uint32_t lanes_slot;
    uint32_t alive_slot;  /* careful: lanes of the block that have not left */
    uint32_t reason_slot; /* careful: reason by lane, i8 */
    uint32_t spill[4];    /* allocas + 1 for calls through rt, 0: none yet */
    bool checks;          /* a check was emitted */
    bool in_function;     /* this is a called function, see emit_call.c */
} sb_emitter;

/* --- emit_text.c -------------------------------------------------------------------------------------------------- */
sb_ev sb_ev_int(int64_t value);
sb_ev sb_ev_double(double value);
sb_ev sb_ev_bool(bool value);
bool sb_ev_is_bool(sb_ev v, bool value); /* is it that constant? */

const char *sb_eb_type(const sb_emitter *e, uint8_t prim, bool vec);
sb_ev sb_eb_temp(sb_emitter *e, uint8_t prim,
                 bool vec); /* "  %tN = " is written; the caller ends the line */
void sb_eb_put(sb_emitter *e, sb_ev v);
sb_ev sb_eb_widen(sb_emitter *e, sb_ev v); /* scalar -> vector; anything else as it is */
sb_ev sb_eb_bin(sb_emitter *e, const char *op, sb_ev a, sb_ev b);
sb_ev sb_eb_cmp(sb_emitter *e, const char *op, sb_ev a, sb_ev b);
sb_ev sb_eb_cast(sb_emitter *e, const char *op, sb_ev a, sb_prim to);
sb_ev sb_eb_unary(sb_emitter *e, const char *op, sb_ev a); /* fneg, freeze */
sb_ev sb_eb_intrinsic(sb_emitter *e, const char *name,
                      sb_ev a); /* llvm.<name>.<type> of one double */
sb_ev sb_eb_copysign(sb_emitter *e, sb_ev a, sb_ev b);
sb_ev sb_eb_fma(sb_emitter *e, sb_ev a, sb_ev b,
                sb_ev c); /* a * b + c, rounded once; all vectors or none */
sb_ev sb_eb_checked(sb_emitter *e, const char *name, sb_ev a, sb_ev b,
                    sb_ev *overflow); /* scalars */
sb_ev sb_eb_select(sb_emitter *e, sb_ev c, sb_ev a, sb_ev b);
sb_ev sb_eb_and(sb_emitter *e, sb_ev a, sb_ev b); /* of booleans, folds constants */
sb_ev sb_eb_or(sb_emitter *e, sb_ev a, sb_ev b);
sb_ev sb_eb_not(sb_emitter *e, sb_ev a);
sb_ev sb_eb_any(sb_emitter *e, sb_ev m); /* scalar: is some lane true? */
sb_ev sb_eb_phi(sb_emitter *e, sb_ev a, uint32_t from_a, sb_ev b, uint32_t from_b);

uint32_t sb_eb_slot(sb_emitter *e, uint8_t prim, bool vec); /* an alloca */
sb_ev sb_eb_load(sb_emitter *e, uint32_t slot, uint8_t prim, bool vec);
void sb_eb_store(sb_emitter *e, uint32_t slot, sb_ev v);

uint32_t sb_eb_label_new(sb_emitter *e);
void sb_eb_label(sb_emitter *e, uint32_t label); /* starts a block */
void sb_eb_jump(sb_emitter *e, uint32_t label);
void sb_eb_branch(sb_emitter *e, sb_ev c, uint32_t yes, uint32_t no);
void sb_eb_branch_rare(sb_emitter *e, sb_ev c, uint32_t yes, uint32_t no); /* yes is unlikely */

/* --- emit_warn.c -------------------------------------------------------------------------------------------------- */
void sb_emit_plan_watch(sb_emitter *e); /* sets watch[] of the program at hand */

/* --- emit_region.c ------------------------------------------------------------------------------------------------ */
uint32_t sb_emit_weight(const sb_ir *ir,
                        const sb_inst *inst); /* about how many machine operations a lane */
void sb_emit_infos(sb_emitter *e);
void sb_emit_check(sb_emitter *e, sb_ev cond, sb_reason reason); /* lanes where cond leave */
void sb_emit_check_sign(sb_emitter *e, sb_ev word,
                        sb_reason reason); /* lanes where word < 0 leave */
void sb_emit_flush_bad(sb_emitter *e);
void sb_emit_test_bad(sb_emitter *e); /* fast: return BAD when a lane of the block must leave */
sb_ev sb_emit_base(sb_emitter *e);    /* the block's own mask */
sb_ev sb_emit_mask(sb_emitter *e);    /* the mask at hand, never EV_NONE */
sb_ev sb_emit_relevant(sb_emitter *e,
                       sb_ev cond); /* cond in the lanes of the mask; maybe in more, to be cheap */
void sb_emit_if(sb_emitter *e, sb_value i);
void sb_emit_else(sb_emitter *e);
void sb_emit_end_if(sb_emitter *e);               /* and its MERGEs */
void sb_emit_loop(sb_emitter *e, sb_value i);     /* and its ARGs */
void sb_emit_end_loop(sb_emitter *e, sb_value i); /* and its RESULTs */

/* --- emit_op.c, emit_div.c, emit_math.c ---------------------------------------------------------------------------------------- */
sb_ev sb_emit_op(sb_emitter *e, const sb_inst *inst);
/* The op's value; false: it is none of those in emit_math.c. */
bool sb_emit_math(sb_emitter *e, const sb_inst *inst, sb_ev a, sb_ev b, sb_ev *out);
void sb_emit_warn(sb_emitter *e, sb_value i);      /* an NP_WARN_F64 */
void sb_emit_check_finite(sb_emitter *e, sb_ev r); /* fast: lanes that may have made NumPy warn */
sb_ev sb_emit_list(sb_emitter *e, const sb_inst *inst); /* emit_list.c; one lane */
void sb_emit_heap_reset(sb_emitter *e);                 /* the lists of the row before are gone */
sb_ev sb_emit_div_i64(sb_emitter *e, const sb_inst *inst);
sb_ev sb_emit_div_f64(sb_emitter *e, const sb_inst *inst);
sb_ev sb_emit_to_double(sb_emitter *e, sb_ev a); /* rounded once */
sb_ev sb_emit_is_zero(sb_emitter *e, sb_ev v);   /* of an int64 or double */
sb_ev sb_emit_udiv(sb_emitter *e, sb_ev a, sb_ev b);
sb_ev sb_emit_bits_of_mask(sb_emitter *e, sb_ev mask); /* of lanes: one bit each, an int64 */
uint32_t sb_emit_spill(sb_emitter *e, unsigned index,
                       sb_ev v); /* alloca of a call's operand, v (unless EV_NONE) stored */

/* --- emit_call.c -------------------------------------------------------------------------------------------------- */
void sb_emit_call(sb_emitter *e, sb_value i); /* and its GOTs */
/* Appends the functions of a program; e->ir is the program, and its tables are large enough for each. */
sb_status sb_emit_functions(sb_emitter *e, sb_buf *text, sb_error *err);

/* --- emit.c ------------------------------------------------------------------------------------------------------- */
void sb_emit_begin(sb_emitter *e); /* nothing is emitted yet of this entry or function */
void sb_emit_walk(sb_emitter *e);  /* all instructions but stores */
sb_status sb_emit_parts_status(const sb_emitter *e, sb_error *err);
uint32_t sb_emit_input_values(sb_emitter *e, uint32_t input); /* pointer temporary */
uint32_t sb_emit_input_valid(sb_emitter *e, uint32_t input);
sb_ev sb_emit_spread_bits(sb_emitter *e,
                          const char *bits); /* a register of lanes bits to one boolean a lane */
uint32_t
sb_emit_load_raw_bits(sb_emitter *e,
                      uint32_t pointer); /* this block's bits of a bitmap, as one integer */
sb_ev sb_emit_load_bits(sb_emitter *e, uint32_t pointer); /* this block's bits of a bitmap */

#endif
