/* Functions that may call themselves: programs of their own, called by CALL of the IR.
 *
 * Kinds. A function has one set of kinds for each parameter, all that any call gives it, and one for its result. Both are found by
 * lowering everything again until no set grows: at first nothing is known to come back, so what stands behind a call is not lowered,
 * and the results are those of returns without one. Sets only grow, and there are few kinds, so that ends.
 *
 * A value passes as registers: one for each kind that has a payload, then, with several kinds, one boolean for each kind but the
 * lowest.
 *
 * Memory: the arena; the programs belong to the IR. Threads: one. */
#include <string.h>

#include "front/lower_int.h"

#define SCALAR_BITS (NONE_BIT | NUMERIC_BITS)
#define REGISTERS_MAX 6u /* of one value */

static const unsigned scalar_tags[] = {TAG_NONE, TAG_BOOL, TAG_INT, TAG_FLOAT};

static bool is_lowest(uint32_t tags, unsigned tag)
{
    return (tags & (TAG_BIT(tag) - 1)) == 0;
}

static uint32_t prims_of(uint32_t tags, sb_prim *out)
{
    uint32_t count = 0;
    if (tags & BOOL_BIT) {
        out[count++] = SB_PRIM_B;
    }
    if (tags & INT_BIT) {
        out[count++] = SB_PRIM_I64;
    }
    if (tags & FLOAT_BIT) {
        out[count++] = SB_PRIM_F64;
    }
    for (unsigned k = 1; k < sb_tag_count(tags); k++) {
        out[count++] = SB_PRIM_B;
    }
    return count;
}

/* The registers of a value as one that may have any of `tags`. */
static uint32_t registers_of(lowering *l, const pyval *v, uint32_t tags, sb_value *out)
{
    uint32_t count = 0;
    if (tags & BOOL_BIT) {
        out[count++] = v->tags & BOOL_BIT ? v->b : l->zero_b;
    }
    if (tags & INT_BIT) {
        out[count++] = v->tags & INT_BIT ? v->i : l->zero_i;
    }
    if (tags & FLOAT_BIT) {
        out[count++] = v->tags & FLOAT_BIT ? v->f : l->zero_f;
    }
    for (unsigned k = 0; k < SB_COUNT_OF(scalar_tags); k++) {
        const unsigned tag = scalar_tags[k];
        if ((tags & TAG_BIT(tag)) && !is_lowest(tags, tag)) {
            out[count++] = v->tags == 0 ? l->zero_b : sb_pyval_is(l, v, tag);
        }
    }
    return count;
}

/* The value of such registers. */
static pyval value_of(lowering *l, uint32_t tags, const sb_value *registers)
{
    pyval v = {.tags = tags};
    uint32_t count = 0;
    v.b = tags & BOOL_BIT ? registers[count++] : 0;
    v.i = tags & INT_BIT ? registers[count++] : 0;
    v.f = tags & FLOAT_BIT ? registers[count++] : 0;
    for (unsigned k = 0; k < SB_COUNT_OF(scalar_tags); k++) {
        const unsigned tag = scalar_tags[k];
        if ((tags & TAG_BIT(tag)) && !is_lowest(tags, tag)) {
            v.is[tag] = registers[count++];
        }
    }
    sb_pyval_complete(l, &v);
    return v;
}

/* --- calls ------------------------------------------------------------------------------------------------------------ */

static void grow(lowering *l, uint32_t *tags, uint32_t more)
{
    l->grown |= (*tags | more) != *tags;
    *tags |= more;
}

/* Arguments by the function's own locals; false: no row gets to the call, or it is refused. */
static bool lower_arguments(lowering *l, env *e, const sb_node *n, pyval *args)
{
    const sb_tree_function *function = &l->tree.functions[n->slot];
    for (uint32_t k = 0; k < n->list.count; k++) {
        const uint32_t own = n->slots[k] - function->first;
        pyval v = sb_lower_expr(l, e, n->list.items[k]);
        if (v.tags == 0) {
            return false;
        }
        if (own >= function->count || (v.tags & ~SCALAR_BITS) != 0) {
            sb_refuse(l, SB_REFUSAL_TYPE, "an argument of a function that calls itself", n);
            return false;
        }
        args[own] = v;
    }
    return true;
}

static pyval call_function(lowering *l, uint32_t number, const pyval *args)
{
    const invoked *known = &l->functions[number];
    const uint32_t locals = l->tree.functions[number].count;
    sb_value *registers =
        sb_arena_alloc_zero(&l->arena, ((size_t)locals + 1) * REGISTERS_MAX * sizeof(sb_value));
    if (registers == NULL) {
        l->no_memory = true;
        return sb_pyval_never();
    }
    uint32_t count = 0;
    for (uint32_t k = 0; k < locals; k++) {
        if (known->tags[k] != 0) {
            count += registers_of(l, &args[k], known->tags[k], registers + count);
        }
    }
    for (uint32_t k = 0; k < count; k++) {
        sb_irb_pass(&l->b, registers[k]);
    }
    sb_irb_call(&l->b, number);
    sb_prim prims[REGISTERS_MAX];
    const uint32_t results = prims_of(known->result, prims);
    for (uint32_t k = 0; k < results; k++) {
        registers[k] = sb_irb_got(&l->b, k, prims[k]);
    }
    return value_of(l, known->result, registers);
}

pyval sb_lower_invoke(lowering *l, env *e, const sb_node *n)
{
    invoked *known = &l->functions[n->slot];
    const uint32_t locals = l->tree.functions[n->slot].count;
    pyval *args = sb_items_new(l, locals);
    if (args == NULL || !lower_arguments(l, e, n, args)) {
        return sb_pyval_never();
    }
    l->grown |= !known->reached;
    known->reached = true;
    for (uint32_t k = 0; k < locals; k++) {
        grow(l, &known->tags[k], args[k].tags);
        if (args[k].tags == 0 && known->tags[k] != 0) {
            sb_refuse(l, SB_REFUSAL_TYPE, "a call without an argument", n);
            return sb_pyval_never();
        }
    }
    if (known->result == 0) { /* not known to come back: if it stays so, it never does */
        sb_irb_leave_if(&l->b, l->true_b, SB_REASON_DEPTH);
        return sb_pyval_never();
    }
    return call_function(l, n->slot, args);
}

/* --- functions ---------------------------------------------------------------------------------------------------------- */

static bool bind_arguments(lowering *l, env *e, sb_ir *ir, uint32_t number)
{
    const sb_tree_function *function = &l->tree.functions[number];
    const invoked *known = &l->functions[number];
    for (uint32_t k = 0; k < function->count; k++) {
        sb_prim prims[REGISTERS_MAX];
        sb_value registers[REGISTERS_MAX];
        const uint32_t count = prims_of(known->tags[k], prims);
        for (uint32_t r = 0; r < count; r++) {
            const uint32_t input = (uint32_t)ir->inputs.count;
            if (!SB_VEC_PUSH(&ir->inputs, (sb_ir_input){.param = input, .prim = prims[r]})) {
                return false;
            }
            registers[r] = sb_irb_in(&l->b, input);
        }
        if (known->tags[k] != 0) {
            e->vars[function->first + k] = value_of(l, known->tags[k], registers);
        }
    }
    return true;
}

static bool store_results(lowering *l, sb_ir *ir, const pyval *result, uint32_t tags)
{
    sb_prim prims[REGISTERS_MAX];
    sb_value registers[REGISTERS_MAX];
    const uint32_t count = prims_of(tags, prims);
    (void)registers_of(l, result, tags, registers);
    for (uint32_t k = 0; k < count; k++) {
        if (!SB_VEC_PUSH(&ir->outputs, (sb_ir_output){.prim = prims[k]})) {
            return false;
        }
        sb_irb_store(&l->b, k, registers[k], 0);
    }
    return true;
}

/* Lists live in the memory of the row that the program at hand runs for; calls hand none on. */
static bool has_lists(const sb_ir *ir)
{
    for (size_t k = 0; k < ir->insts.count; k++) {
        if ((sb_op_infos[ir->insts.items[k].op].flags & SB_OP_LIST_FLAG) != 0) {
            return true;
        }
    }
    return false;
}

static bool lower_function(lowering *l, sb_ir *ir, uint32_t number)
{
    const sb_tree_function *function = &l->tree.functions[number];
    invoked *known = &l->functions[number];
    env e = {0};
    sb_irb_init(&l->b, ir, INSTS_MAX);
    l->depth = 0;
    l->inlined = 1; /* its returns are not those of the body */
    l->memos = NULL;
    if (!sb_begin_program(l, &e) || !bind_arguments(l, &e, ir, number)) {
        return false;
    }
    sb_lower_block(l, &e, &function->body, 0);
    sb_finish_result(l, &e);
    if (has_lists(ir) && function->body.count > 0) {
        sb_refuse(l, SB_REFUSAL_TYPE, "a list in a function that calls itself",
                  function->body.items[0]);
        return true;
    }
    if ((e.result.tags & ~SCALAR_BITS) != 0 && function->body.count > 0) {
        sb_refuse(l, SB_REFUSAL_TYPE, "the result of a function that calls itself",
                  function->body.items[0]);
        return true;
    }
    grow(l, &known->result, e.result.tags);
    return store_results(l, ir, &e.result, known->result);
}

sb_status sb_lower_functions(lowering *l, sb_ir *program, sb_error *err)
{
    const uint32_t count = l->tree.function_count;
    bool any = false;
    for (uint32_t k = 0; k < count; k++) {
        any |= l->functions[k].reached;
    }
    if (!any) {
        return SB_OK;
    }
    sb_status status = sb_ir_set_functions(program, count, err);
    const lowering outer = *l;
    bool too_large = outer.b.too_large;
    for (uint32_t k = 0; status == SB_OK && k < count; k++) {
        sb_ir *ir = &program->functions->items[k];
        if (!l->functions[k].reached) {
            sb_irb_init(&l->b, ir, INSTS_MAX);
        } else if (!lower_function(l, ir, k)) {
            l->no_memory = true;
        }
        too_large |= l->b.too_large;
        if (l->no_memory || l->b.no_memory) {
            status = sb_error_no_memory(err, sizeof(sb_inst));
        }
    }
    l->b = outer.b;
    l->b.too_large = too_large;
    l->zero_b = outer.zero_b;
    l->zero_i = outer.zero_i;
    l->zero_f = outer.zero_f;
    l->true_b = outer.true_b;
    l->depth = outer.depth;
    l->inlined = outer.inlined;
    l->memos = outer.memos;
    return status;
}

bool sb_functions_new(lowering *l)
{
    l->functions = sb_arena_alloc_zero(&l->arena, sizeof(invoked) * (l->tree.function_count + 1));
    for (uint32_t k = 0; l->functions != NULL && k < l->tree.function_count; k++) {
        const size_t size = sizeof(uint32_t) * (l->tree.functions[k].count + 1);
        l->functions[k].tags = sb_arena_alloc_zero(&l->arena, size);
        l->functions = l->functions[k].tags != NULL ? l->functions : NULL;
    }
    return l->functions != NULL;
}

void sb_forget_functions(lowering *l)
{
    for (uint32_t k = 0; k < l->tree.function_count; k++) {
        invoked *known = &l->functions[k];
        memset(known->tags, 0, sizeof(uint32_t) * l->tree.functions[k].count);
        known->reached = false;
        known->result = 0;
    }
}

sb_status sb_finish_functions(sb_ir *program, sb_error *err)
{
    sb_status status = SB_OK;
    const uint32_t count = program->functions == NULL ? 0 : program->functions->count;
    for (uint32_t k = 0; status == SB_OK && k < count; k++) {
        sb_irb b;
        sb_irb_init(&b, &program->functions->items[k], INSTS_MAX);
        status = sb_ir_finish(&b, err);
    }
    return status;
}
