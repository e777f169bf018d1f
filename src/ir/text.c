/* IR as text, out and in: what SABOT_DUMP=ir shows and what tests are written in.
 *
 *     inputs i64 f64 b
 *     outputs i64? f64             ? = can be null; none = always null
 *     v1:i64 = in 0
 *     v2:f64 = const_f64 0x1.8p+1
 *     leave_if v3 overflow
 *     if v3
 *       ...
 *     else
 *     end_if
 *     v9:i64 = merge v4 v1
 *     loop 1000                    turns at most, 0 = unknown
 *       v10:i64 = arg v1 v12
 *     end_loop v13
 *     v14:i64 = result v10
 *     store 0 v14 v2               the validity is left out when never null; `store 0 - v2` has no value
 *
 *     pass v1                      arguments of the call that follows, then its results
 *     call 0
 *     v15:i64 = got 0
 *     function 0                   begins that function, with inputs and outputs of its own; behind the program
 *
 * Numbers after v are free in what is read, instruction numbers in what is written. nan is written `nan`.
 * Memory: the sb_buf, the sb_ir. Threads: none of its own. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ir/ir.h"

static const char *const prim_names[] = {"none", "b", "i64", "f64"};

/* --- printing ----------------------------------------------------------------------------------------------------------- */

static void print_inst(const sb_ir *ir, size_t index, sb_buf *out)
{
    const sb_inst *inst = &ir->insts.items[index];
    const sb_op_info *info = &sb_op_infos[inst->op];
    if (inst->prim != SB_PRIM_VOID && inst->op != SB_IR_PASS) {
        sb_buf_printf(out, "v%zu:%s = ", index, prim_names[inst->prim]);
    }
    sb_buf_text(out, info->text);
    switch (inst->op) {
    case SB_IR_IN:
    case SB_IR_IN_VALID:
    case SB_IR_CONST_B:
    case SB_IR_CONST_I:
    case SB_IR_LOOP:
    case SB_IR_CALL:
    case SB_IR_GOT:
        sb_buf_printf(out, " %" PRId64, inst->imm.i);
        break;
    case SB_IR_CONST_F:
        if (inst->imm.f != inst->imm.f) {
            sb_buf_text(out, " nan");
        } else {
            sb_buf_printf(out, " %a", inst->imm.f);
        }
        break;
    case SB_IR_STORE:
        sb_buf_printf(out, " %" PRId64, inst->imm.i);
        sb_buf_printf(out, inst->a != 0 ? " v%u" : " -", inst->a);
        if (inst->b != 0) {
            sb_buf_printf(out, " v%u", inst->b);
        }
        break;
    default: {
        const sb_value operands[SB_OPERANDS_MAX] = {inst->a, inst->b, inst->c};
        for (unsigned k = 0; k < SB_OPERANDS_MAX && k < info->operand_count; k++) {
            sb_buf_printf(out, " v%u", operands[k]);
        }
        if (inst->op == SB_IR_LEAVE_IF) {
            sb_buf_printf(out, " %s", sb_reason_name((sb_reason)inst->reason));
        }
        break;
    }
    }
    sb_buf_char(out, '\n');
}

static void print_program(const sb_ir *ir, sb_buf *out)
{
    sb_buf_text(out, "inputs");
    for (size_t i = 0; i < ir->inputs.count; i++) {
        sb_buf_printf(out, " %s", prim_names[ir->inputs.items[i].prim]);
    }
    sb_buf_text(out, "\noutputs");
    for (size_t i = 0; i < ir->outputs.count; i++) {
        const sb_ir_output *output = &ir->outputs.items[i];
        sb_buf_printf(out, " %s%s", prim_names[output->prim], output->nullable ? "?" : "");
    }
    sb_buf_char(out, '\n');
    size_t depth = 0;
    for (size_t i = 1; i < ir->insts.count; i++) {
        uint8_t op = ir->insts.items[i].op;
        if (op == SB_IR_ELSE || op == SB_IR_END_IF || op == SB_IR_END_LOOP) {
            depth--;
        }
        sb_buf_repeat(out, ' ', 2 * depth);
        print_inst(ir, i, out);
        if (op == SB_IR_IF || op == SB_IR_ELSE || op == SB_IR_LOOP) {
            depth++;
        }
    }
}

void sb_ir_print(const sb_ir *ir, sb_buf *out)
{
    print_program(ir, out);
    for (uint32_t k = 0; ir->owns_functions && k < ir->functions->count; k++) {
        sb_buf_printf(out, "function %u\n", k);
        print_program(&ir->functions->items[k], out);
    }
}

/* --- parsing ------------------------------------------------------------------------------------------------------------ */

#define WORDS_MAX 8
#define WORD_SIZE 48
#define NUMBER_MAX 100000 /* greatest v number */
#define OPEN_MAX 200

typedef struct parser {
    sb_ir *ir;
    sb_irb builder;
    uint32_t *by_number; /* v number -> instruction */
    char words[WORDS_MAX][WORD_SIZE];
    unsigned word_count;
    uint32_t open[OPEN_MAX]; /* IF and LOOP instructions that are open */
    unsigned open_count;
    int line;
    sb_error *err;
} parser;

static sb_status syntax_error(const parser *p, const char *what)
{
    return sb_error_set(p->err, SB_INVALID, "IR text, line %d: %s", p->line, what);
}

/* Splits one line; gives the start of the next. */
static const char *read_words(parser *p, const char *text)
{
    p->word_count = 0;
    while (*text != '\0' && *text != '\n') {
        while (*text == ' ' || *text == '\t' || *text == '=') {
            text++;
        }
        size_t size = strcspn(text, " \t\n=");
        if (size > 0 && p->word_count < WORDS_MAX && size < WORD_SIZE) {
            memcpy(p->words[p->word_count], text, size);
            p->words[p->word_count++][size] = '\0';
        } else if (size > 0) {
            p->word_count = WORDS_MAX + 1; /* refused by the caller */
            return text + strcspn(text, "\n") + (strchr(text, '\n') != NULL);
        }
        text += size;
    }
    return *text == '\n' ? text + 1 : text;
}

static bool prim_of_name(const char *name, sb_prim *out)
{
    for (size_t i = 0; i < SB_COUNT_OF(prim_names); i++) {
        if (strcmp(name, prim_names[i]) == 0) {
            *out = (sb_prim)i;
            return true;
        }
    }
    return false;
}

/* Number of "v12" or "v12:i64"; 0 when it is none. */
static uint32_t number_of(const char *word)
{
    if (word[0] != 'v') {
        return 0;
    }
    long number = strtol(word + 1, NULL, 10);
    return number > 0 && number < NUMBER_MAX ? (uint32_t)number : 0;
}

static sb_value value_of(const parser *p, const char *word)
{
    return p->by_number[number_of(word)];
}

static sb_status parse_header(parser *p)
{
    bool inputs = strcmp(p->words[0], "inputs") == 0;
    for (unsigned i = 1; i < p->word_count; i++) {
        char *word = p->words[i];
        size_t size = strlen(word);
        bool nullable = word[size - 1] == '?';
        if (nullable) {
            word[size - 1] = '\0';
        }
        sb_prim prim = SB_PRIM_VOID;
        if (!prim_of_name(word, &prim)) {
            return syntax_error(p, "no such type");
        }
        bool pushed =
            inputs
                ? SB_VEC_PUSH(&p->ir->inputs, (sb_ir_input){.param = i - 1, .prim = prim})
                : SB_VEC_PUSH(&p->ir->outputs, (sb_ir_output){.prim = prim, .nullable = nullable});
        if (!pushed) {
            return sb_error_no_memory(p->err, sizeof(sb_ir_input));
        }
    }
    return SB_OK;
}

static int op_of_name(const char *name)
{
    for (int i = 1; i < SB_IR_OP_COUNT; i++) {
        if (strcmp(name, sb_op_infos[i].text) == 0) {
            return i;
        }
    }
    return -1;
}

static uint8_t reason_of_name(const char *name)
{
    for (unsigned i = 1; i < SB_REASON_COUNT; i++) {
        if (strcmp(name, sb_reason_name((sb_reason)i)) == 0) {
            return (uint8_t)i;
        }
    }
    return SB_REASON_NONE;
}

static void parse_operands(parser *p, sb_inst *inst, unsigned first)
{
    sb_value operands[SB_OPERANDS_MAX] = {0, 0, 0};
    for (unsigned k = 0; k < 3 && first + k < p->word_count; k++) {
        operands[k] = value_of(p, p->words[first + k]);
    }
    inst->a = operands[0];
    inst->b = operands[1];
    inst->c = operands[2];
}

/* Pairs markers and fills the fields that are not operands. */
static sb_status parse_structure(parser *p, sb_inst *inst, uint32_t self)
{
    sb_inst *insts = p->ir->insts.items;
    uint32_t opener = p->open_count > 0 ? p->open[p->open_count - 1] : 0;
    switch (inst->op) {
    case SB_IR_IF:
    case SB_IR_LOOP:
        if (p->open_count == OPEN_MAX) {
            return syntax_error(p, "regions are nested too deeply");
        }
        p->open[p->open_count++] = self;
        return SB_OK;
    case SB_IR_ELSE:
    case SB_IR_END_IF:
    case SB_IR_END_LOOP:
        if (opener == 0 || (insts[opener].op == SB_IR_LOOP) != (inst->op == SB_IR_END_LOOP)) {
            return syntax_error(p, "markers do not pair");
        }
        inst->b = opener;
        if (inst->op == SB_IR_END_IF) {
            insts[opener].c = self;
        } else {
            insts[opener].b = self;
        }
        p->open_count -= inst->op != SB_IR_ELSE;
        return SB_OK;
    default:
        return SB_OK;
    }
}

static sb_status parse_line(parser *p)
{
    unsigned first = 0;
    sb_inst inst = {0};
    uint32_t number = 0;
    char *colon = strchr(p->words[0], ':');
    if (colon != NULL) {
        sb_prim prim = SB_PRIM_VOID;
        number = number_of(p->words[0]);
        if (number == 0 || !prim_of_name(colon + 1, &prim) || p->word_count < 2) {
            return syntax_error(p, "expected v<number>:<type> = op");
        }
        inst.prim = (uint8_t)prim;
        first = 1;
    }
    int op = op_of_name(p->words[first]);
    if (op < 0) {
        return syntax_error(p, "no such op");
    }
    inst.op = (uint8_t)op;
    first++;
    bool immediate = op == SB_IR_IN || op == SB_IR_IN_VALID || op == SB_IR_CONST_B ||
                     op == SB_IR_CONST_I || op == SB_IR_LOOP || op == SB_IR_STORE ||
                     op == SB_IR_CALL || op == SB_IR_GOT;
    if (op == SB_IR_CONST_F && first < p->word_count) {
        inst.imm.f = strtod(p->words[first], NULL);
    } else if (immediate && first < p->word_count) {
        inst.imm.i = strtoll(p->words[first], NULL, 10);
        first++;
    }
    if (op == SB_IR_LEAVE_IF && first + 1 < p->word_count) {
        inst.reason = reason_of_name(p->words[first + 1]);
        p->word_count--;
    }
    if (op != SB_IR_CONST_F) {
        parse_operands(p, &inst, first);
    }
    if (op == SB_IR_PASS) {
        inst.prim = p->ir->insts.items[inst.a].prim;
    }
    uint32_t self = (uint32_t)p->ir->insts.count;
    sb_status status = parse_structure(p, &inst, self);
    if (status != SB_OK) {
        return status;
    }
    if (op == SB_IR_ARG) {
        inst.c = number_of(p->words[first + 1]); /* resolved at the end: it comes later */
    }
    if (!SB_VEC_PUSH(&p->ir->insts, inst)) {
        return sb_error_no_memory(p->err, sizeof(sb_inst));
    }
    p->by_number[number] = number == 0 ? 0 : self;
    return SB_OK;
}

static void resolve_args(parser *p)
{
    for (size_t i = 0; i < p->ir->insts.count; i++) {
        sb_inst *inst = &p->ir->insts.items[i];
        if (inst->op == SB_IR_ARG) {
            inst->b = p->by_number[inst->c];
            inst->c = 0;
        }
    }
}

static bool begins_function(const char *line)
{
    return strncmp(line, "function", 8) == 0;
}

static uint32_t count_functions(const char *text)
{
    uint32_t count = 0;
    while (*text != '\0') {
        count += begins_function(text);
        const char *end = strchr(text, '\n');
        if (end == NULL) {
            break;
        }
        text = end + 1;
    }
    return count;
}

/* One program, up to the next function; *text moves there. */
static sb_status parse_program(parser *p, sb_ir *ir, const char **text)
{
    p->ir = ir;
    p->open_count = 0;
    sb_irb_init(&p->builder, ir, SIZE_MAX);
    memset(p->by_number, 0, NUMBER_MAX * sizeof(*p->by_number));
    if (p->builder.no_memory) {
        return sb_error_no_memory(p->err, sizeof(sb_inst));
    }
    while (**text != '\0' && !begins_function(*text)) {
        p->line++;
        *text = read_words(p, *text);
        if (p->word_count == 0) {
            continue;
        }
        if (p->word_count > WORDS_MAX) {
            return syntax_error(p, "too many or too long words");
        }
        bool header = strcmp(p->words[0], "inputs") == 0 || strcmp(p->words[0], "outputs") == 0;
        sb_status status = header ? parse_header(p) : parse_line(p);
        if (status != SB_OK) {
            return status;
        }
    }
    resolve_args(p);
    return SB_OK;
}

static sb_status finish_program(sb_ir *ir, sb_error *err)
{
    sb_irb builder;
    sb_irb_init(&builder, ir, SIZE_MAX);
    return sb_ir_finish(&builder, err);
}

sb_status sb_ir_parse(sb_ir *ir, const char *text, sb_error *err)
{
    sb_ir_init(ir);
    parser p = {.err = err};
    sb_status status = SB_OK;
    const uint32_t functions = count_functions(text);
    p.by_number = sb_mem_alloc_zero(NUMBER_MAX * sizeof(*p.by_number));
    if (p.by_number == NULL) {
        status = sb_error_no_memory(err, NUMBER_MAX * sizeof(*p.by_number));
        goto out;
    }
    if (functions > 0) {
        SB_TRY(sb_ir_set_functions(ir, functions, err));
    }
    SB_TRY(parse_program(&p, ir, &text));
    for (uint32_t k = 0; k < functions; k++) {
        p.line++;
        text = read_words(&p, text); /* functions stand in their order */
        SB_TRY(parse_program(&p, &ir->functions->items[k], &text));
    }
    for (uint32_t k = 0; k < functions; k++) {
        SB_TRY(finish_program(&ir->functions->items[k], err));
    }
    SB_TRY(finish_program(ir, err));
out:
    sb_mem_free(p.by_number);
    if (status != SB_OK) {
        sb_ir_release(ir);
    }
    return status;
}
