/* Logical plans, as plan/plan.h promises them.
 *
 * Algorithm: each builder makes a node with node_new, fills it and gives it out; a failure drops the half-made node, which releases
 * whatever it already holds.
 *
 * Threads: const once made. Memory: see plan/plan.h; the chain is dropped in a loop, because its length is the user's. */
#include "plan/plan_int.h"

#include <string.h>

#include "base/mem.h"

#define NAMES_IN_MESSAGE 12

sb_status sb_plan_node_new(sb_plan_kind kind, sb_plan *input, int32_t count, sb_plan **out,
                           sb_error *err)
{
    sb_plan *plan = sb_mem_alloc_zero(sizeof *plan);
    if (plan == NULL) {
        return sb_error_no_memory(err, sizeof *plan);
    }
    atomic_init(&plan->refs, 1);
    plan->kind = kind;
    plan->op_index = -1;
    plan->mask = -1;
    if (input != NULL) {
        plan->input = sb_plan_retain(input);
        plan->op_index = input->op_index + 1;
        plan->function_first = input->function_end;
        plan->function_end = input->function_end;
    }
    if (count > 0) {
        plan->calls = sb_mem_alloc_zero((size_t)count * sizeof *plan->calls);
        plan->columns = sb_mem_alloc_zero((size_t)count * sizeof *plan->columns);
        if (plan->calls == NULL || plan->columns == NULL) {
            sb_plan_drop(plan);
            return sb_error_no_memory(err, (size_t)count * sizeof *plan->calls);
        }
    }
    plan->count = count;
    *out = plan;
    return SB_OK;
}

static void node_free(sb_plan *plan)
{
    for (int32_t i = 0; plan->calls != NULL && i < plan->count; i++) {
        sb_func_drop(plan->calls[i].func);
        sb_mem_free(plan->calls[i].columns);
    }
    for (int32_t i = 0; plan->stages != NULL && i < plan->stage_count; i++) {
        sb_func_drop(plan->stages[i].call.func);
        sb_mem_free(plan->stages[i].call.columns);
        sb_mem_free(plan->stages[i].loops);
    }
    sb_mem_free(plan->stages);
    for (int32_t k = 0; plan->phases != NULL && k < plan->phase_count; k++) {
        sb_plan_drop(plan->phases[k].plan);
        sb_type_drop(plan->phases[k].made);
    }
    sb_mem_free(plan->phases);
    sb_plan_drop(plan->last);
    sb_type_drop(plan->inner);
    sb_mem_free(plan->calls);
    sb_mem_free(plan->columns);
    sb_mem_free(plan->sources);
    sb_mem_free(plan->label);
    sb_type_drop(plan->schema);
    sb_mem_free(plan);
}

sb_plan *sb_plan_retain(sb_plan *plan)
{
    atomic_fetch_add_explicit(&plan->refs, 1, memory_order_relaxed);
    return plan;
}

void sb_plan_drop(sb_plan *plan)
{
    while (plan != NULL && atomic_fetch_sub_explicit(&plan->refs, 1, memory_order_acq_rel) == 1) {
        sb_plan *input = plan->input;
        node_free(plan);
        plan = input;
    }
}

sb_status sb_plan_label_set(sb_plan *plan, const char *text, sb_error *err)
{
    size_t size = strlen(text) + 1;
    plan->label = sb_mem_alloc(size);
    if (plan->label == NULL) {
        return sb_error_no_memory(err, size);
    }
    memcpy(plan->label, text, size);
    return SB_OK;
}

/* --- names and types ---------------------------------------------------------------------------------------------- */

static sb_status unknown_column(const sb_type *schema, const char *name, sb_error *err)
{
    sb_buf list;
    sb_buf_init(&list, 256);
    for (int64_t i = 0; i < schema->child_count && i < NAMES_IN_MESSAGE; i++) {
        sb_buf_printf(&list, "%s%s", i > 0 ? ", " : "", schema->children[i]->name);
    }
    if (schema->child_count > NAMES_IN_MESSAGE) {
        sb_buf_text(&list, ", ...");
    }
    sb_status status =
        sb_error_set(err, SB_UNKNOWN_COLUMN, "no column \"%.100s\"; the columns are: %s", name,
                     list.size > 0 ? list.data : "none");
    sb_buf_release(&list);
    return status;
}

static sb_status column_find(const sb_type *schema, const char *name, int64_t *out, sb_error *err)
{
    *out = sb_type_find(schema, name);
    if (*out == -2) {
        return sb_error_set(err, SB_INVALID, "column name \"%.100s\" is ambiguous: it occurs twice",
                            name);
    }
    return *out >= 0 ? SB_OK : unknown_column(schema, name, err);
}

static sb_status param_check(const sb_func *func, const sb_func_param *param, const sb_type *column,
                             sb_error *err)
{
    const char *need = func->compiled && param->prim != SB_PRIM_VOID ? param->format : NULL;
    if (need == NULL || (strcmp(column->format, need) == 0 && column->dictionary == NULL)) {
        return SB_OK;
    }
    sb_buf given;
    sb_buf_init(&given, 200);
    sb_type_print(column, &given);
    sb_status status = sb_error_set(
        err, SB_TYPE, "function %.60s was made for a column \"%.100s\" of format \"%s\"; it is %s",
        func->name, param->column, need, given.size > 0 ? given.data : "another");
    sb_buf_release(&given);
    return status;
}

/* whole: it may be one of whole batches. */
static sb_status call_bind(sb_plan_call *call, sb_func *func, const sb_type *schema, bool whole,
                           sb_error *err)
{
    size_t size = func->param_count * sizeof(int64_t);
    call->columns = sb_mem_alloc(size);
    if (call->columns == NULL) {
        return sb_error_no_memory(err, size);
    }
    call->func = sb_func_retain(func);
    if (func->is_whole && (!whole || func->key_count == 0)) {
        return sb_error_set(err, SB_INVALID, "%.60s is a function of whole batches", func->name);
    }
    for (uint32_t i = 0; i < func->param_count; i++) {
        const sb_func_param *param = &func->params[i];
        sb_status status = column_find(schema, param->column, &call->columns[i], err);
        if (status == SB_OK) {
            status = param_check(func, param, schema->children[call->columns[i]], err);
        }
        if (status != SB_OK) {
            return status;
        }
    }
    return SB_OK;
}

sb_status sb_plan_need_schema(const sb_plan *input, const char *what, sb_error *err)
{
    if (input->schema != NULL) {
        return SB_OK;
    }
    return sb_error_set(err, SB_UNSUPPORTED,
                        "%s cannot follow a batch function whose schema is not known; declare it",
                        what);
}

sb_status sb_plan_check_take(const sb_type *schema, sb_error *err)
{
    for (int64_t i = 0; i < schema->child_count; i++) {
        const sb_type *culprit;
        if (sb_type_can_take(schema->children[i], &culprit)) {
            continue;
        }
        sb_buf text;
        sb_buf_init(&text, 200);
        sb_type_print(culprit, &text);
        sb_status status =
            sb_error_set(err, SB_UNSUPPORTED,
                         "filter: column \"%.100s\" has type %s, whose rows cannot be "
                         "taken out yet; drop or cast it first",
                         schema->children[i]->name, text.size > 0 ? text.data : culprit->format);
        sb_buf_release(&text);
        return status;
    }
    return SB_OK;
}

/* --- builders ----------------------------------------------------------------------------------------------------- */

sb_status sb_plan_new_source(const char *text, sb_type *schema, sb_plan **out, sb_error *err)
{
    if (schema->layout != SB_LAYOUT_STRUCT) {
        return sb_error_set(err, SB_INVALID, "the source's schema is not a struct");
    }
    sb_plan *plan = NULL;
    sb_status status = sb_plan_node_new(SB_PLAN_SOURCE, NULL, 0, &plan, err);
    if (status != SB_OK) {
        return status;
    }
    plan->schema = sb_type_retain(schema);
    status = sb_plan_label_set(plan, text, err);
    if (status != SB_OK) {
        sb_plan_drop(plan);
        return status;
    }
    *out = plan;
    return SB_OK;
}

/* Where the result of that name goes: over a column of the input, or behind them and the results before it. */
static sb_status with_place(sb_plan *plan, const char *const *names, int32_t i, int64_t *end,
                            sb_error *err)
{
    for (int32_t k = 0; k < i; k++) {
        if (strcmp(names[k], names[i]) == 0) {
            return sb_error_set(err, SB_INVALID, "column \"%.100s\" is given twice", names[i]);
        }
    }
    int64_t found = sb_type_find(plan->input->schema, names[i]);
    if (found == -2) {
        return sb_error_set(err, SB_INVALID,
                            "cannot replace \"%.100s\": the input has two columns of that name",
                            names[i]);
    }
    plan->columns[i] = found >= 0 ? found : (*end)++;
    return SB_OK;
}

static sb_status with_schema(sb_plan *plan, const char *const *names, int64_t count, sb_error *err)
{
    const sb_type *input = plan->input->schema;
    sb_status status = SB_OK;
    sb_type **columns = sb_mem_alloc_zero((size_t)count * sizeof(sb_type *));
    if (columns == NULL) {
        return sb_error_no_memory(err, (size_t)count * sizeof(sb_type *));
    }
    for (int32_t i = 0; i < plan->count; i++) {
        SB_TRY(sb_type_new(plan->calls[i].func->result_format, names[i], ARROW_FLAG_NULLABLE,
                           &columns[plan->columns[i]], err));
    }
    for (int64_t i = 0; i < input->child_count; i++) {
        if (columns[i] == NULL) {
            columns[i] = sb_type_retain(input->children[i]);
        }
    }
    SB_TRY(sb_type_new_struct(columns, count, input, &plan->schema, err));
    sb_mem_free(columns);
    return SB_OK;
out:
    for (int64_t i = 0; i < count; i++) {
        sb_type_drop(columns[i]);
    }
    sb_mem_free(columns);
    return status;
}

sb_status sb_plan_new_with(sb_plan *input, int32_t count, const char *const *names,
                           sb_func *const *funcs, sb_plan **out, sb_error *err)
{
    sb_plan *plan = NULL;
    sb_status status = sb_plan_need_schema(input, "with_columns", err);
    if (status != SB_OK) {
        return status;
    }
    if (count < 1 || count > SB_COLUMNS_MAX) {
        return sb_error_set(err, SB_INVALID, "with_columns needs 1 to %d functions, not %d",
                            SB_COLUMNS_MAX, count);
    }
    SB_TRY(sb_plan_node_new(SB_PLAN_WITH, input, count, &plan, err));
    plan->function_end += count;
    int64_t end = input->schema->child_count;
    for (int32_t i = 0; i < count; i++) {
        SB_TRY(with_place(plan, names, i, &end, err));
        SB_TRY(call_bind(&plan->calls[i], funcs[i], input->schema, false, err));
    }
    SB_TRY(with_schema(plan, names, end, err));
    *out = plan;
    return SB_OK;
out:
    sb_plan_drop(plan);
    return status;
}

sb_status sb_plan_new_filter(sb_plan *input, sb_func *func, sb_plan **out, sb_error *err)
{
    sb_plan *plan = NULL;
    sb_status status = sb_plan_need_schema(input, "a filter by rows", err);
    if (status != SB_OK) {
        return status;
    }
    SB_TRY(sb_plan_check_take(input->schema, err));
    SB_TRY(sb_plan_node_new(SB_PLAN_FILTER, input, 1, &plan, err));
    plan->function_end += 1;
    SB_TRY(call_bind(&plan->calls[0], func, input->schema, false, err));
    plan->schema = sb_type_retain(input->schema);
    *out = plan;
    return SB_OK;
out:
    sb_plan_drop(plan);
    return status;
}

static sb_status name_check(const char *const *names, int32_t i, sb_error *err)
{
    for (int32_t k = 0; k < i; k++) {
        if (strcmp(names[k], names[i]) == 0) {
            return sb_error_set(err, SB_INVALID, "column \"%.100s\" is selected twice", names[i]);
        }
    }
    return SB_OK;
}

static sb_status type_named(sb_type *type, const char *name, sb_type **out, sb_error *err)
{
    if (strcmp(type->name, name) != 0) {
        return sb_type_rename(type, name, out, err);
    }
    *out = sb_type_retain(type);
    return SB_OK;
}

/* The types of a projection's columns; owned by the caller, also when it fails. */
static sb_status project_types(sb_plan *plan, const char *const *columns, const char *const *names,
                               sb_type **types, sb_error *err)
{
    const sb_type *input = plan->input->schema;
    for (int32_t i = 0; i < plan->count; i++) {
        sb_status status = column_find(input, columns[i], &plan->columns[i], err);
        if (status != SB_OK) {
            return status;
        }
        status = name_check(names, i, err);
        if (status == SB_OK) {
            status = type_named(input->children[plan->columns[i]], names[i], &types[i], err);
        }
        if (status != SB_OK) {
            return status;
        }
    }
    return SB_OK;
}

/* Gives a node the schema of these types, or drops them where `status` says that something failed. Takes the types. */
static sb_status types_take(sb_status status, sb_plan *plan, sb_type **types, int32_t count,
                            sb_error *err)
{
    if (status == SB_OK) {
        status = sb_type_new_struct(types, count, plan->input->schema, &plan->schema, err);
    }
    for (int32_t i = 0; status != SB_OK && types != NULL && i < count; i++) {
        sb_type_drop(types[i]);
    }
    sb_mem_free(types);
    return status;
}

/* Ends a builder: gives the node out, or drops it. */
sb_status sb_plan_node_give(sb_status status, sb_plan *plan, sb_plan **out)
{
    if (status != SB_OK) {
        sb_plan_drop(plan);
        return status;
    }
    *out = plan;
    return SB_OK;
}

sb_status sb_plan_new_project(sb_plan *input, int32_t count, const char *const *columns,
                              const char *const *names, sb_plan **out, sb_error *err)
{
    sb_plan *plan = NULL;
    sb_status status = sb_plan_need_schema(input, "select", err);
    if (status != SB_OK) {
        return status;
    }
    if (count < 0 || count > SB_COLUMNS_MAX) {
        return sb_error_set(err, SB_INVALID, "select of %d columns", count);
    }
    status = sb_plan_node_new(SB_PLAN_SELECT, input, count, &plan, err);
    if (status != SB_OK) {
        return status;
    }
    sb_type **types = sb_mem_alloc_zero((size_t)count * sizeof *types);
    status = types != NULL ? project_types(plan, columns, names, types, err)
                           : sb_error_no_memory(err, (size_t)count * sizeof *types);
    return sb_plan_node_give(types_take(status, plan, types, count, err), plan, out);
}

static sb_status result_find(const sb_func *func, const char *name, int64_t *out, sb_error *err)
{
    for (uint32_t k = 0; k < func->key_count; k++) {
        if (strcmp(func->keys[k].name, name) == 0) {
            *out = -1 - (int64_t)k;
            return SB_OK;
        }
    }
    return sb_error_set(err, SB_INVALID, "function %.60s gives no \"%.100s\"", func->name, name);
}

/* Where a map's columns come from, and their types; owned by the caller, also when it fails. */
static sb_status map_types(sb_plan *plan, int32_t count, const char *const *columns,
                           const char *const *names, sb_type **types, sb_error *err)
{
    const sb_func *func = plan->calls[0].func;
    for (int32_t i = 0; i < count; i++) {
        const sb_type *input = plan->input->schema;
        int64_t *source = &plan->sources[i];
        sb_status status = name_check(names, i, err);
        if (status == SB_OK) {
            status = columns[i] != NULL ? column_find(input, columns[i], source, err)
                                        : result_find(func, names[i], source, err);
        }
        if (status == SB_OK && *source >= 0) {
            status = type_named(input->children[*source], names[i], &types[i], err);
        } else if (status == SB_OK) {
            status = sb_type_new(func->keys[-1 - *source].format, names[i], ARROW_FLAG_NULLABLE,
                                 &types[i], err);
        }
        if (status != SB_OK) {
            return status;
        }
    }
    return SB_OK;
}

/* Gives a node that has `count` columns of its input or of its function their schema. */
static sb_status map_schema(sb_plan *plan, int32_t count, const char *const *columns,
                            const char *const *names, sb_error *err)
{
    sb_status status = SB_OK;
    sb_type **types = sb_mem_alloc_zero((size_t)count * sizeof *types);
    plan->sources = sb_mem_alloc_array((size_t)count, sizeof *plan->sources);
    if (types == NULL || plan->sources == NULL) {
        status = sb_error_no_memory(err, (size_t)count * sizeof *types);
    } else {
        status = map_types(plan, count, columns, names, types, err);
    }
    return types_take(status, plan, types, count, err);
}

static sb_status map_check(const sb_func *func, int32_t count, sb_error *err)
{
    if (count < 0 || count > SB_COLUMNS_MAX || func->key_count == 0) {
        return sb_error_set(err, SB_INVALID, "map by %.60s to %d columns", func->name, count);
    }
    return SB_OK;
}

sb_status sb_plan_new_map(sb_plan *input, sb_func *func, int32_t count, const char *const *columns,
                          const char *const *names, sb_plan **out, sb_error *err)
{
    sb_plan *plan = NULL;
    sb_status status;
    SB_TRY(sb_plan_need_schema(input, "a map of rows", err));
    SB_TRY(map_check(func, count, err));
    SB_TRY(sb_plan_node_new(SB_PLAN_MAP, input, 1, &plan, err));
    plan->function_end += 1;
    SB_TRY(call_bind(&plan->calls[0], func, input->schema, false, err));
    SB_TRY(map_schema(plan, count, columns, names, err));
out:
    return sb_plan_node_give(status, plan, out);
}

/* A stage's function gives numbers without nulls, and each loop takes those of its own type. */
static sb_status stage_check(const sb_stage *stage, sb_error *err)
{
    const sb_func *func = stage->func;
    bool right = func->compiled && func->key_count > 0 && stage->loop_count > 0;
    for (uint32_t k = 0; right && k < func->key_count; k++) {
        right = !func->ir.outputs.items[k].nullable &&
                (strcmp(func->keys[k].format, "g") == 0 || strcmp(func->keys[k].format, "f") == 0);
    }
    for (int32_t i = 0; right && i < stage->loop_count; i++) {
        const sb_loop *loop = &stage->loops[i];
        bool reads = false;
        right = loop->fn != NULL && loop->name != NULL && loop->arg_count >= 1 &&
                loop->arg_count <= SB_LOOP_ARGS_MAX;
        for (int32_t k = 0; right && k < loop->arg_count; k++) {
            int32_t arg = loop->args[k];
            reads = reads || arg >= 0;
            right = arg == -1 || (arg >= 0 && (uint32_t)arg < func->key_count &&
                                  func->keys[arg].format[0] == loop->format);
        }
        right = right && reads && (loop->format == 'g' || loop->format == 'f');
    }
    return right
               ? SB_OK
               : sb_error_set(err, SB_INVALID,
                              "stage %.60s: its function gives no numbers, or a loop takes others",
                              func->name);
}

static sb_status stage_set(sb_plan_stage *own, const sb_stage *stage, int64_t made_first,
                           const sb_type *inner, sb_error *err)
{
    own->loops = sb_mem_alloc_array((size_t)stage->loop_count, sizeof *own->loops);
    if (own->loops == NULL) {
        return sb_error_no_memory(err, (size_t)stage->loop_count * sizeof *own->loops);
    }
    for (int32_t i = 0; i < stage->loop_count; i++) {
        own->loops[i] = stage->loops[i];
        own->loops[i].name = NULL;
    }
    own->loop_count = stage->loop_count;
    own->made_first = made_first;
    sb_status status = call_bind(&own->call, stage->func, inner, false, err);
    for (uint32_t i = 0; status == SB_OK && i < stage->func->param_count; i++) {
        if (own->call.columns[i] >= made_first) {
            status = sb_error_set(err, SB_INVALID, "stage %.60s reads what is made after it",
                                  stage->func->name);
        }
    }
    return status;
}

/* The input's columns, and those that loops make. */
static sb_status inner_new(sb_plan *plan, const sb_stage *stages, int64_t count, sb_error *err)
{
    const sb_type *input = plan->input->schema;
    sb_status status = SB_OK;
    int64_t at = input->child_count;
    sb_type **types = sb_mem_alloc_zero((size_t)count * sizeof *types);
    if (types == NULL) {
        return sb_error_no_memory(err, (size_t)count * sizeof *types);
    }
    for (int64_t k = 0; k < at; k++) {
        types[k] = sb_type_retain(input->children[k]);
    }
    for (int32_t s = 0; s < plan->stage_count; s++) {
        for (int32_t i = 0; i < stages[s].loop_count; i++) {
            const sb_loop *loop = &stages[s].loops[i];
            const char format[2] = {loop->format, 0};
            for (int64_t k = 0; k < at; k++) {
                if (strcmp(types[k]->name, loop->name) == 0) {
                    status = sb_error_set(err, SB_INVALID, "column \"%.100s\" is made twice",
                                          loop->name);
                    goto out;
                }
            }
            SB_TRY(sb_type_new(format, loop->name, ARROW_FLAG_NULLABLE, &types[at], err));
            at++;
        }
    }
    SB_TRY(sb_type_new_struct(types, count, NULL, &plan->inner, err));
    sb_mem_free(types);
    return SB_OK;
out:
    for (int64_t k = 0; k < count; k++) {
        sb_type_drop(types[k]);
    }
    sb_mem_free(types);
    return status;
}

static sb_status stages_set(sb_plan *plan, int32_t stage_count, const sb_stage *stages,
                            sb_error *err)
{
    int64_t count = plan->input->schema->child_count;
    int64_t made = count;
    size_t size = (size_t)stage_count * sizeof *plan->stages;
    if (stage_count < 1 || stage_count > SB_COLUMNS_MAX) {
        return sb_error_set(err, SB_INVALID, "%d stages", stage_count);
    }
    plan->stages = sb_mem_alloc_zero(size);
    if (plan->stages == NULL) {
        return sb_error_no_memory(err, size);
    }
    plan->stage_count = stage_count;
    for (int32_t s = 0; s < stage_count; s++) {
        sb_status status = stage_check(&stages[s], err);
        if (status != SB_OK) {
            return status;
        }
        count += stages[s].loop_count;
    }
    sb_status status = inner_new(plan, stages, count, err);
    for (int32_t s = 0; status == SB_OK && s < stage_count; s++) {
        status = stage_set(&plan->stages[s], &stages[s], made, plan->inner, err);
        made += stages[s].loop_count;
    }
    return status;
}

/* Rows are dropped of every column that goes on. */
static sb_status mask_set(sb_plan *plan, const char *mask, sb_error *err)
{
    const sb_func *func = plan->calls[0].func;
    int64_t source = 0;
    sb_status status = result_find(func, mask, &source, err);
    if (status != SB_OK) {
        return status;
    }
    plan->mask = (int32_t)(-1 - source);
    if (func->is_whole || strcmp(func->keys[plan->mask].format, "b") != 0) {
        return sb_error_set(err, SB_INVALID, "result \"%.100s\" of %.60s is no Boolean of a row",
                            mask, func->name);
    }
    return sb_plan_check_take(plan->schema, err);
}

/* mask: NULL, or not of a filter. */
static sb_status lowered_new(sb_plan *input, const char *label, sb_func *func, bool is_filter,
                             int32_t count, const char *const *columns, const char *const *names,
                             const char *mask, sb_type *schema, int32_t stage_count,
                             const sb_stage *stages, sb_plan **out, sb_error *err)
{
    sb_plan *plan = NULL;
    sb_status status;
    SB_TRY(sb_plan_need_schema(input, "a function by rows", err));
    if (is_filter) {
        SB_TRY(sb_plan_check_take(input->schema, err));
    } else {
        SB_TRY(map_check(func, count, err));
    }
    SB_TRY(sb_plan_node_new(SB_PLAN_LOWERED, input, 1, &plan, err));
    plan->function_end += 1;
    plan->is_filter = is_filter;
    SB_TRY(sb_plan_label_set(plan, label, err));
    if (stage_count != 0) {
        SB_TRY(stages_set(plan, stage_count, stages, err));
    }
    SB_TRY(call_bind(&plan->calls[0], func, stage_count != 0 ? plan->inner : input->schema,
                     stage_count == 0, err));
    if (is_filter) {
        plan->schema = sb_type_retain(input->schema);
    } else {
        SB_TRY(map_schema(plan, count, columns, names, err));
    }
    if (mask != NULL) {
        SB_TRY(mask_set(plan, mask, err));
    }
    if (schema != NULL) {
        if (is_filter || !sb_type_equal(schema, plan->schema)) {
            status = sb_error_set(err, SB_INVALID, "the schema of %.60s is not that of its columns",
                                  func->name);
            goto out;
        }
        sb_type_drop(plan->schema);
        plan->schema = sb_type_retain(schema);
    }
out:
    return sb_plan_node_give(status, plan, out);
}

sb_status sb_plan_new_lowered(sb_plan *input, const char *label, sb_func *func, bool is_filter,
                              int32_t count, const char *const *columns, const char *const *names,
                              sb_type *schema, sb_plan **out, sb_error *err)
{
    return sb_plan_new_staged(input, label, func, is_filter, count, columns, names, schema, 0, NULL,
                              out, err);
}

sb_status sb_plan_new_staged(sb_plan *input, const char *label, sb_func *func, bool is_filter,
                             int32_t count, const char *const *columns, const char *const *names,
                             sb_type *schema, int32_t stage_count, const sb_stage *stages,
                             sb_plan **out, sb_error *err)
{
    return lowered_new(input, label, func, is_filter, count, columns, names, NULL, schema,
                       stage_count, stages, out, err);
}

sb_status sb_plan_new_masked(sb_plan *input, const char *label, sb_func *func, int32_t count,
                             const char *const *columns, const char *const *names, const char *mask,
                             sb_type *schema, int32_t stage_count, const sb_stage *stages,
                             sb_plan **out, sb_error *err)
{
    SB_ASSERT(mask != NULL);
    return lowered_new(input, label, func, false, count, columns, names, mask, schema, stage_count,
                       stages, out, err);
}

sb_status sb_plan_new_select(sb_plan *input, int32_t count, const char *const *names, sb_plan **out,
                             sb_error *err)
{
    return sb_plan_new_project(input, count, names, names, out, err);
}

sb_status sb_plan_new_batch(sb_plan *input, const char *label, sb_type *schema, bool is_filter,
                            sb_plan **out, sb_error *err)
{
    if (is_filter && schema != NULL) {
        return sb_error_set(err, SB_INVALID,
                            "a filter keeps its input's schema; none can be declared");
    }
    if (schema != NULL && schema->layout != SB_LAYOUT_STRUCT) {
        return sb_error_set(err, SB_INVALID, "the declared schema is not a struct");
    }
    if (is_filter && input->schema != NULL) {
        sb_status status = sb_plan_check_take(input->schema, err);
        if (status != SB_OK) {
            return status;
        }
    }
    sb_plan *plan = NULL;
    sb_status status = sb_plan_node_new(SB_PLAN_BATCH, input, 0, &plan, err);
    if (status != SB_OK) {
        return status;
    }
    status = sb_plan_label_set(plan, label, err);
    if (status != SB_OK) {
        sb_plan_drop(plan);
        return status;
    }
    plan->is_filter = is_filter;
    sb_type *known = is_filter ? input->schema : schema;
    plan->schema = known != NULL ? sb_type_retain(known) : NULL;
    *out = plan;
    return SB_OK;
}
