/* The verifier: is this sb_ir well-formed? Run after every change of an IR; what it accepts, tiers may rely on.
 *
 * One pass in program order with a stack of open regions kept in arrays: a value is visible when its region is still open
 * (and, inside an IF, it is not from the then-region once ELSE was seen). Back and out edges (ARG.b, MERGE, RESULT) are checked
 * against the region they must come from.
 * Memory: scratch, freed before return. Threads: any. */
#include "base/mem.h"
#include "ir/ir.h"

typedef struct checker {
    const sb_ir *ir;
    uint32_t *scope;  /* per instruction: number of the scope it was defined in */
    uint32_t *parent; /* per scope: the scope around it */
    uint32_t *opener; /* per scope: its IF or LOOP */
    uint8_t *closed;  /* per scope */
    uint32_t scope_count;
    uint32_t current;
    uint8_t *stored; /* per output */
    sb_error *err;
    uint32_t at; /* instruction being checked */
} checker;

static sb_status bad(const checker *c, const char *what)
{
    const sb_inst *inst = &c->ir->insts.items[c->at];
    return sb_error_set(c->err, SB_INTERNAL, "IR: instruction %u (%s): %s", c->at,
                        inst->op < SB_IR_OP_COUNT ? sb_op_infos[inst->op].text : "?", what);
}

static void open_scope(checker *c, uint32_t opener)
{
    uint32_t scope = c->scope_count++;
    c->parent[scope] = c->current;
    c->opener[scope] = opener;
    c->closed[scope] = 0;
    c->current = scope;
}

static void close_scope(checker *c)
{
    c->closed[c->current] = 1;
    c->current = c->parent[c->current];
}

/* Visible from scope `from` on: defined in it or in one around it. */
static bool visible_from(const checker *c, sb_value v, uint32_t from)
{
    uint32_t scope = c->scope[v];
    for (;;) {
        if (scope == from) {
            return true;
        }
        if (from == 0) {
            return false;
        }
        from = c->parent[from];
    }
}

static bool letter_fits(char letter, uint8_t prim, uint8_t star)
{
    switch (letter) {
    case 'b':
        return prim == SB_PRIM_B;
    case 'i':
        return prim == SB_PRIM_I64;
    case 'f':
        return prim == SB_PRIM_F64;
    case '*':
        return star == SB_PRIM_VOID || prim == star;
    default:
        return prim == SB_PRIM_VOID;
    }
}

static sb_status check_operands(const checker *c, const sb_inst *inst)
{
    const sb_op_info *info = &sb_op_infos[inst->op];
    const sb_value operands[SB_OPERANDS_MAX] = {inst->a, inst->b, inst->c};
    for (unsigned k = 0; k < SB_OPERANDS_MAX && k < info->operand_count; k++) {
        sb_value v = operands[k];
        if (v == 0 || v >= c->at) {
            return bad(c, "an operand is not defined before it");
        }
        if (!visible_from(c, v, c->current)) {
            return bad(c, "an operand is not visible here");
        }
        if (!letter_fits(info->operands[k], c->ir->insts.items[v].prim, inst->prim)) {
            return bad(c, "an operand has another type");
        }
    }
    if (info->result != '*' && !letter_fits(info->result, inst->prim, SB_PRIM_VOID)) {
        return bad(c, "the result has another type");
    }
    return inst->prim == SB_PRIM_VOID && info->result == '*' ? bad(c, "no result type") : SB_OK;
}

static sb_status check_if(checker *c, const sb_inst *inst)
{
    const sb_inst *insts = c->ir->insts.items;
    if (inst->op == SB_IR_IF) {
        size_t count = c->ir->insts.count;
        if (inst->b <= c->at || inst->c <= inst->b || inst->c >= count ||
            insts[inst->b].op != SB_IR_ELSE || insts[inst->c].op != SB_IR_END_IF) {
            return bad(c, "markers do not pair");
        }
        sb_status status = check_operands(c, inst);
        if (status == SB_OK) {
            open_scope(c, c->at);
        }
        return status;
    }
    uint32_t opener = c->opener[c->current];
    bool is_else = inst->op == SB_IR_ELSE;
    if (c->current == 0 || insts[opener].op != SB_IR_IF || inst->b != opener ||
        (is_else ? insts[opener].b : insts[opener].c) != c->at) {
        return bad(c, "markers do not pair");
    }
    close_scope(c);
    if (is_else) {
        open_scope(c, opener);
    }
    return SB_OK;
}

/* The region marker whose results stand here: walks back over other results. */
static uint32_t owner_of_result(const checker *c, uint8_t result_op, uint8_t end_op)
{
    const sb_inst *insts = c->ir->insts.items;
    uint32_t i = c->at;
    while (i > 0 && insts[i].op == result_op) {
        i--;
    }
    return insts[i].op == end_op ? insts[i].b : 0;
}

static sb_status check_merge(const checker *c, const sb_inst *inst)
{
    uint32_t owner = owner_of_result(c, SB_IR_MERGE, SB_IR_END_IF);
    const sb_inst *insts = c->ir->insts.items;
    if (owner == 0) {
        return bad(c, "does not follow an end_if");
    }
    if (inst->a == 0 || inst->b == 0 || inst->a >= c->at || inst->b >= c->at) {
        return bad(c, "an operand is not defined before it");
    }
    /* Scopes of one IF are numbered at its opening and its else: find them through a value's opener. */
    for (unsigned k = 0; k < 2; k++) {
        sb_value v = k == 0 ? inst->a : inst->b;
        uint32_t scope = c->scope[v];
        bool inside = scope != 0 && c->opener[scope] == owner && c->closed[scope];
        bool then_side = v < insts[owner].b;
        if (inside ? then_side != (k == 0) : !visible_from(c, v, c->current)) {
            return bad(c, "an operand is not visible here");
        }
        if (insts[v].prim != inst->prim) {
            return bad(c, "an operand has another type");
        }
    }
    return inst->prim == SB_PRIM_VOID ? bad(c, "no result type") : SB_OK;
}

static sb_status check_loop(checker *c, const sb_inst *inst)
{
    const sb_inst *insts = c->ir->insts.items;
    if (inst->op == SB_IR_LOOP) {
        if (inst->b <= c->at || inst->b >= c->ir->insts.count ||
            insts[inst->b].op != SB_IR_END_LOOP) {
            return bad(c, "markers do not pair");
        }
        open_scope(c, c->at);
        return SB_OK;
    }
    uint32_t opener = c->opener[c->current];
    if (c->current == 0 || inst->b != opener || insts[opener].op != SB_IR_LOOP ||
        insts[opener].b != c->at) {
        return bad(c, "markers do not pair");
    }
    if (inst->a == 0 || inst->a >= c->at || insts[inst->a].prim != SB_PRIM_B ||
        !visible_from(c, inst->a, c->current)) {
        return bad(c, "an operand is not visible here");
    }
    for (uint32_t i = opener + 1; insts[i].op == SB_IR_ARG; i++) {
        sb_value next = insts[i].b;
        if (next == 0 || next >= c->at || !visible_from(c, next, c->current) ||
            insts[next].prim != insts[i].prim) {
            return bad(c, "a loop argument has no fitting next value");
        }
    }
    close_scope(c);
    return SB_OK;
}

static sb_status check_arg(const checker *c, const sb_inst *inst)
{
    const sb_inst *insts = c->ir->insts.items;
    uint8_t before = insts[c->at - 1].op;
    if (c->current == 0 || (before != SB_IR_LOOP && before != SB_IR_ARG)) {
        return bad(c, "does not follow a loop");
    }
    if (inst->a == 0 || inst->a >= c->at || c->scope[inst->a] == c->current ||
        !visible_from(c, inst->a, c->current)) {
        return bad(c, "an operand is not visible here");
    }
    return insts[inst->a].prim != inst->prim || inst->prim == SB_PRIM_VOID
               ? bad(c, "an operand has another type")
               : SB_OK;
}

static sb_status check_result(const checker *c, const sb_inst *inst)
{
    uint32_t owner = owner_of_result(c, SB_IR_RESULT, SB_IR_END_LOOP);
    const sb_inst *insts = c->ir->insts.items;
    if (owner == 0 || inst->a <= owner || inst->a >= c->at || insts[inst->a].op != SB_IR_ARG ||
        c->opener[c->scope[inst->a]] != owner) {
        return bad(c, "is not of an argument of the loop before it");
    }
    return insts[inst->a].prim != inst->prim ? bad(c, "an operand has another type") : SB_OK;
}

static sb_status check_store(checker *c, const sb_inst *inst)
{
    size_t index = (size_t)inst->imm.i;
    if (c->current != 0 || inst->imm.i < 0 || index >= c->ir->outputs.count || c->stored[index]) {
        return bad(c, "stores must be at top level, one for each output");
    }
    c->stored[index] = 1;
    const sb_ir_output *output = &c->ir->outputs.items[index];
    if (output->prim == SB_PRIM_VOID ? inst->a != 0 : inst->a == 0) {
        return bad(c, "the value does not fit the output");
    }
    if ((inst->b != 0) != output->nullable) {
        return bad(c, "validity does not fit the output");
    }
    for (unsigned k = 0; k < 2; k++) {
        sb_value v = k == 0 ? inst->a : inst->b;
        if (v == 0) {
            continue;
        }
        uint8_t want = (uint8_t)(k == 0 ? output->prim : SB_PRIM_B);
        if (v >= c->at || !visible_from(c, v, c->current) || c->ir->insts.items[v].prim != want) {
            return bad(c, "an operand is not visible here or has another type");
        }
    }
    return SB_OK;
}

/* A result stands as far behind its call as its number says; the call was checked before. */
static bool follows_call(const checker *c, const sb_inst *inst)
{
    if (inst->imm.i < 0 || inst->imm.i + 1 >= c->at) {
        return false;
    }
    const sb_inst *call = inst - 1 - inst->imm.i;
    return call->op == SB_IR_CALL &&
           (size_t)inst->imm.i < c->ir->functions->items[call->imm.i].outputs.count;
}

static sb_status check_one(checker *c)
{
    const sb_inst *inst = &c->ir->insts.items[c->at];
    if (inst->op >= SB_IR_OP_COUNT) {
        return sb_error_set(c->err, SB_INTERNAL, "IR: instruction %u has no such op", c->at);
    }
    switch (inst->op) {
    case SB_IR_NOP:
        return c->at == 0 ? SB_OK : bad(c, "only instruction 0 is a nop");
    case SB_IR_IF:
    case SB_IR_ELSE:
    case SB_IR_END_IF:
        return check_if(c, inst);
    case SB_IR_LOOP:
    case SB_IR_END_LOOP:
        return check_loop(c, inst);
    case SB_IR_MERGE:
        return check_merge(c, inst);
    case SB_IR_ARG:
        return check_arg(c, inst);
    case SB_IR_RESULT:
        return check_result(c, inst);
    case SB_IR_STORE:
        return check_store(c, inst);
    case SB_IR_IN:
    case SB_IR_IN_VALID:
        if (inst->imm.i < 0 || (size_t)inst->imm.i >= c->ir->inputs.count) {
            return bad(c, "no such input");
        }
        if (inst->op == SB_IR_IN && inst->prim != c->ir->inputs.items[inst->imm.i].prim) {
            return bad(c, "the input has another type");
        }
        return check_operands(c, inst);
    case SB_IR_CONST_B:
        if (inst->imm.i != 0 && inst->imm.i != 1) {
            return bad(c, "a boolean constant is 0 or 1");
        }
        return check_operands(c, inst);
    case SB_IR_PASS: {
        const uint8_t next = c->at + 1 < c->ir->insts.count ? inst[1].op : (uint8_t)SB_IR_NOP;
        return next == SB_IR_PASS || next == SB_IR_CALL ? check_operands(c, inst)
                                                        : bad(c, "does not precede a call");
    }
    case SB_IR_CALL: {
        const char *wrong = sb_ir_wrong_call(c->ir, c->at);
        return wrong != NULL ? bad(c, wrong) : SB_OK;
    }
    case SB_IR_GOT:
        return follows_call(c, inst) ? check_operands(c, inst) : bad(c, "does not follow a call");
    case SB_IR_LEAVE_IF:
        if (inst->reason == SB_REASON_NONE || inst->reason >= SB_REASON_COUNT) {
            return bad(c, "no such reason");
        }
        return check_operands(c, inst);
    default:
        return check_operands(c, inst);
    }
}

sb_status sb_ir_verify(const sb_ir *ir, sb_error *err)
{
    size_t count = ir->insts.count;
    sb_status status = SB_OK;
    checker c = {.ir = ir, .err = err, .scope_count = 1};
    if (count == 0 || ir->insts.items[0].op != SB_IR_NOP) {
        return sb_error_set(err, SB_INTERNAL, "IR: instruction 0 is not a nop");
    }
    for (size_t i = 0; i < ir->inputs.count; i++) {
        if (ir->inputs.items[i].prim > SB_PRIM_F64) {
            return sb_error_set(err, SB_INTERNAL, "IR: input %zu has no such type", i);
        }
    }
    for (size_t i = 0; i < ir->outputs.count; i++) {
        if (ir->outputs.items[i].prim > SB_PRIM_F64) {
            return sb_error_set(err, SB_INTERNAL, "IR: output %zu has no such type", i);
        }
    }
    size_t scopes = count * 2 + 1;
    c.scope = sb_mem_alloc_zero(count * sizeof(*c.scope));
    c.parent = sb_mem_alloc_zero(scopes * sizeof(*c.parent));
    c.opener = sb_mem_alloc_zero(scopes * sizeof(*c.opener));
    c.closed = sb_mem_alloc_zero(scopes);
    c.stored = sb_mem_alloc_zero(ir->outputs.count + 1);
    if (c.scope == NULL || c.parent == NULL || c.opener == NULL || c.closed == NULL ||
        c.stored == NULL) {
        status = sb_error_no_memory(err, scopes * sizeof(uint32_t));
        goto out;
    }
    for (c.at = 0; c.at < count; c.at++) {
        SB_TRY(check_one(&c));
        c.scope[c.at] = c.current;
    }
    c.at = (uint32_t)count - 1;
    if (c.current != 0) {
        status = bad(&c, "a region is still open at the end");
        goto out;
    }
    for (size_t i = 0; i < ir->outputs.count; i++) {
        if (!c.stored[i]) {
            status = bad(&c, "an output has no store");
            goto out;
        }
    }
out:
    sb_mem_free(c.scope);
    sb_mem_free(c.parent);
    sb_mem_free(c.opener);
    sb_mem_free(c.closed);
    sb_mem_free(c.stored);
    return status;
}
