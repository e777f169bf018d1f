/* Batch functions that do something with whole columns between their rows: a chain of small plans, and what is made between them.
 *
 * Threads: none of its own. Memory: a node holds the plans of its phases. */
#include <string.h>

#include "base/mem.h"
#include "plan/plan_int.h"

/* What can stand in a phased function: it computes the columns of a source, or takes some of them. */
static bool is_part(const sb_plan *plan, bool is_last)
{
    const bool alone = plan->input != NULL && plan->input->kind == SB_PLAN_SOURCE;
    if (!alone || plan->kind != SB_PLAN_LOWERED) {
        return alone && plan->kind == SB_PLAN_SELECT && !is_last;
    }
    const sb_func *func = plan->calls[0].func;
    return plan->phase_count == 0 && plan->mask < 0 && func->compiled && !func->is_whole &&
           (is_last || !plan->is_filter);
}

/* What a schema has behind all of another one: a struct. SB_INVALID: it has nothing more, or other columns. */
static sb_status schema_behind(const sb_type *before, const sb_type *schema, sb_type **out,
                               sb_error *err)
{
    const int64_t count = schema->child_count - before->child_count;
    bool right = count > 0;
    for (int64_t i = 0; right && i < before->child_count; i++) {
        right = strcmp(before->children[i]->name, schema->children[i]->name) == 0 &&
                sb_type_equal(before->children[i], schema->children[i]);
    }
    if (!right) {
        return sb_error_set(err, SB_INVALID, "a phase that adds no column to those before it");
    }
    sb_type **types = sb_mem_alloc_zero((size_t)count * sizeof *types);
    if (types == NULL) {
        return sb_error_no_memory(err, (size_t)count * sizeof *types);
    }
    for (int64_t i = 0; i < count; i++) {
        types[i] = sb_type_retain(schema->children[before->child_count + i]);
    }
    sb_status status = sb_type_new_struct(types, count, NULL, out, err);
    for (int64_t i = 0; status != SB_OK && i < count; i++) {
        sb_type_drop(types[i]);
    }
    sb_mem_free(types);
    return status;
}

static sb_status phases_set(sb_plan *plan, int32_t phase_count, const sb_phase *phases,
                            sb_error *err)
{
    size_t size = (size_t)phase_count * sizeof *plan->phases;
    plan->phases = sb_mem_alloc_zero(size);
    if (plan->phases == NULL) {
        return sb_error_no_memory(err, size);
    }
    plan->phase_count = phase_count;
    if (!sb_type_equal(phases[0].plan->input->schema, plan->input->schema)) {
        return sb_error_set(err, SB_INVALID, "the first phase has another input");
    }
    for (int32_t k = 0; k < phase_count; k++) {
        const sb_plan *next = k + 1 < phase_count ? phases[k + 1].plan : plan->last;
        plan->phases[k].plan = sb_plan_retain(phases[k].plan);
        plan->phases[k].one_row = phases[k].one_row;
        sb_status status = schema_behind(phases[k].plan->input->schema, next->input->schema,
                                         &plan->phases[k].made, err);
        if (status != SB_OK) {
            return status;
        }
    }
    return SB_OK;
}

sb_status sb_plan_new_phased(sb_plan *input, int32_t phase_count, const sb_phase *phases,
                             sb_plan *last, sb_plan **out, sb_error *err)
{
    sb_plan *plan = NULL;
    sb_status status;
    SB_TRY(sb_plan_need_schema(input, "a function by rows", err));
    bool right = phase_count >= 1 && phase_count <= SB_COLUMNS_MAX && is_part(last, true);
    for (int32_t k = 0; right && k < phase_count; k++) {
        right = is_part(phases[k].plan, false);
    }
    if (!right) {
        return sb_error_set(err, SB_INVALID, "%d phases that are no functions of rows",
                            phase_count);
    }
    if (last->is_filter) {
        SB_TRY(sb_plan_check_take(input->schema, err));
    }
    SB_TRY(sb_plan_node_new(SB_PLAN_LOWERED, input, 1, &plan, err));
    plan->function_end += 1;
    plan->is_filter = last->is_filter;
    plan->calls[0].func = sb_func_retain(last->calls[0].func);
    plan->last = sb_plan_retain(last);
    plan->schema = sb_type_retain(last->is_filter ? input->schema : last->schema);
    SB_TRY(sb_plan_label_set(plan, last->label, err));
    SB_TRY(phases_set(plan, phase_count, phases, err));
out:
    return sb_plan_node_give(status, plan, out);
}
