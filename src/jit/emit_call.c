/* Functions that may call themselves: one LLVM function each, with one lane, which both entries call.
 *
 *     i32 @sabot_call<n>(ptr rt, ptr stop, i32 depth, arguments, pointers to results)
 *
 * gives 0, the reason why the row leaves, or -1 when the run was stopped. Each call looks at `stop`, since calls may multiply. A
 * program with functions is emitted with one lane: in lanes all would follow the deepest and the busiest one, and each level of calls
 * would keep masks and registers of all on the stack.
 *
 * Memory: none of its own. */
#include <inttypes.h>

#include "jit/emit_int.h"

void sb_emit_call(sb_emitter *e, sb_value i)
{
    const sb_inst *insts = e->ir->insts.items;
    const sb_ir *function = &e->ir->functions->items[insts[i].imm.i];
    const uint32_t inputs = (uint32_t)function->inputs.count;
    const uint32_t outputs = (uint32_t)function->outputs.count;
    for (uint32_t k = 0; k < outputs; k++) {
        e->others[i + 1 + k].id = sb_eb_slot(e, insts[i + 1 + k].prim, false);
    }
    const uint32_t outcome = e->temps++;
    sb_buf_printf(e->out,
                  "  %%t%" PRIu32 " = call i32 @sabot_call%" PRId64 "(ptr %%rt, ptr %%stop, i32 %s",
                  outcome, insts[i].imm.i, e->in_function ? "%deeper" : "0");
    for (uint32_t k = 0; k < inputs; k++) {
        const sb_ev v = e->values[insts[i - inputs + k].a];
        sb_buf_printf(e->out, ", %s ", sb_eb_type(e, v.prim, false));
        sb_eb_put(e, v);
    }
    for (uint32_t k = 0; k < outputs; k++) {
        sb_buf_printf(e->out, ", ptr %%t%" PRIu32, e->others[i + 1 + k].id);
    }
    sb_buf_text(e->out, ")\n");
    const uint32_t ends = sb_eb_label_new(e);
    const uint32_t next = sb_eb_label_new(e);
    const sb_ev some = sb_eb_temp(e, SB_PRIM_B, false);
    sb_buf_printf(e->out, "icmp ne i32 %%t%" PRIu32 ", 0\n", outcome);
    sb_eb_branch_rare(e, some, ends, next);
    sb_eb_label(e, ends);
    if (e->in_function) {
        sb_buf_printf(e->out, "  ret i32 %%t%" PRIu32 "\n", outcome);
    } else {
        if (e->careful) {
            sb_buf_printf(e->out, "  store i32 %%t%" PRIu32 ", ptr %%row_reason\n", outcome);
        }
        const sb_ev stopped = sb_eb_temp(e, SB_PRIM_B, false);
        sb_buf_printf(e->out, "icmp slt i32 %%t%" PRIu32 ", 0\n  br i1 %%t%" PRIu32, outcome,
                      stopped.id);
        sb_buf_printf(e->out, ", label %%exit_stop, label %%%s\n",
                      e->careful ? "row_leaves" : "exit_bad");
    }
    sb_eb_label(e, next);
    for (uint32_t k = 0; k < outputs; k++) {
        const sb_value got = i + 1 + k;
        e->values[got] = sb_eb_load(e, e->others[got].id, insts[got].prim, false);
    }
    e->checks = true;
}

static void store_results(sb_emitter *e)
{
    for (size_t i = 1; i < e->ir->insts.count; i++) {
        const sb_inst *inst = &e->ir->insts.items[i];
        if (inst->op == SB_IR_STORE) {
            const sb_ev v = e->values[inst->a];
            sb_buf_printf(e->out, "  store %s ", sb_eb_type(e, v.prim, false));
            sb_eb_put(e, v);
            sb_buf_printf(e->out, ", ptr %%o%" PRId64 "\n", inst->imm.i);
        }
    }
    sb_buf_text(e->out, "  ret i32 0\n");
}

static void write_function(const sb_emitter *e, uint32_t number, sb_buf *text)
{
    sb_buf_printf(text,
                  "define internal i32 @sabot_call%" PRIu32 "(ptr %%rt, ptr %%stop, i32 %%depth",
                  number);
    for (uint32_t k = 0; k < e->ir->inputs.count; k++) {
        const uint8_t prim = (uint8_t)e->ir->inputs.items[k].prim;
        sb_buf_printf(text, ", %s %%t%" PRIu32, sb_eb_type(e, prim, false), k);
    }
    for (uint32_t k = 0; k < e->ir->outputs.count; k++) {
        sb_buf_printf(text, ", ptr %%o%" PRIu32, k);
    }
    sb_buf_printf(text, ") #0 {\nentry:\n  %%row_reason = alloca i32, align 8\n");
    sb_buf_append(text, e->prologue.data, e->prologue.size);
    sb_buf_printf(text,
                  "  %%deeper = add i32 %%depth, 1\n"
                  "  %%too_deep = icmp sge i32 %%depth, %d\n"
                  "  br i1 %%too_deep, label %%deep, label %%look, !prof !0\n"
                  "look:\n"
                  "  %%stop_word = load atomic i32, ptr %%stop monotonic, align 4\n"
                  "  %%stop_set = icmp ne i32 %%stop_word, 0\n"
                  "  br i1 %%stop_set, label %%exit_stop, label %%b0, !prof !0\n"
                  "b0:\n",
                  SB_IR_CALLS_MAX);
    sb_buf_append(text, e->head.data, e->head.size);
    sb_buf_append(text, e->body.data, e->body.size);
    sb_buf_printf(text,
                  "deep:\n  ret i32 %d\n"
                  "row_leaves:\n  %%reason = load i32, ptr %%row_reason\n  ret i32 %%reason\n"
                  "exit_stop:\n  ret i32 -1\n}\n",
                  (int)SB_REASON_DEPTH);
}

sb_status sb_emit_functions(sb_emitter *e, sb_buf *text, sb_error *err)
{
    const sb_ir *program = e->ir;
    sb_status status = SB_OK;
    e->in_function = true;
    e->careful = true;
    for (uint32_t k = 0; status == SB_OK && k < program->functions->count; k++) {
        e->ir = &program->functions->items[k];
        sb_emit_begin(e);
        e->temps = (uint32_t)e->ir->inputs.count; /* the arguments have their names */
        e->out = &e->body;
        e->label = sb_eb_label_new(e);
        e->base = e->mask = sb_ev_bool(true);
        sb_emit_walk(e);
        store_results(e);
        status = sb_emit_parts_status(e, err);
        if (status == SB_OK) {
            write_function(e, k, text);
        }
    }
    e->ir = program;
    e->in_function = false;
    return status;
}
