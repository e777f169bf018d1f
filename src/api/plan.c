/* sabot_plan_*: building plans and looking at them.
 *
 * Interface: sabot.h. Checks arguments, imports schemas, then calls the plan room. sabot_plan is sb_plan.
 * Memory: out-owned handles. Threads: plans are const once made. */
#include "plan/plan.h"
#include "api/api_int.h"

static sb_plan *api_plan(sabot_plan *plan)
{
    return (sb_plan *)(void *)plan;
}

static const sb_plan *api_const_plan(const sabot_plan *plan)
{
    return (const sb_plan *)(const void *)plan;
}

static sabot_status null_argument(sabot_error *err)
{
    return api_status(sb_error_set(api_error(err), SB_INVALID, "an argument is NULL"));
}

/* Gives a made plan out. */
static sabot_status give(sb_status status, sb_plan *made, sabot_plan **out)
{
    if (status == SB_OK) {
        *out = (sabot_plan *)(void *)made;
    }
    return api_status(status);
}

static bool any_null(int32_t count, const void *const *items)
{
    for (int32_t i = 0; i < count; i++) {
        if (items[i] == NULL) {
            return true;
        }
    }
    return false;
}

sabot_status sabot_plan_new(sabot_session *session, const char *source_text,
                            const struct ArrowSchema *schema, sabot_plan **out, sabot_error *err)
{
    if (session == NULL || source_text == NULL || schema == NULL || out == NULL) {
        return null_argument(err);
    }
    sb_type *type = NULL;
    sb_plan *made = NULL;
    sb_status status = sb_type_import(schema, &type, api_error(err));
    if (status == SB_OK) {
        status = sb_plan_new_source(source_text, type, &made, api_error(err));
    }
    sb_type_drop(type);
    return give(status, made, out);
}

void sabot_plan_free(sabot_plan *plan)
{
    sb_plan_drop(api_plan(plan));
}

sabot_status sabot_plan_with_columns(sabot_plan *plan, int32_t count, const char *const *names,
                                     sabot_function *const *functions, sabot_plan **out,
                                     sabot_error *err)
{
    if (plan == NULL || out == NULL || (count > 0 && (names == NULL || functions == NULL)) ||
        any_null(count, (const void *const *)names) ||
        any_null(count, (const void *const *)functions)) {
        return null_argument(err);
    }
    sb_plan *made = NULL;
    sb_func *const *funcs = (sb_func *const *)(const void *)functions;
    sb_status status = sb_plan_new_with(api_plan(plan), count, names, funcs, &made, api_error(err));
    return give(status, made, out);
}

sabot_status sabot_plan_filter(sabot_plan *plan, sabot_function *function, sabot_plan **out,
                               sabot_error *err)
{
    if (plan == NULL || function == NULL || out == NULL) {
        return null_argument(err);
    }
    sb_plan *made = NULL;
    sb_status status =
        sb_plan_new_filter(api_plan(plan), api_func(function), &made, api_error(err));
    return give(status, made, out);
}

sabot_status sabot_plan_map(sabot_plan *plan, sabot_function *function, int32_t count,
                            const char *const *columns, const char *const *names, sabot_plan **out,
                            sabot_error *err)
{
    if (plan == NULL || function == NULL || out == NULL ||
        (count > 0 && (columns == NULL || names == NULL)) ||
        any_null(count, (const void *const *)names)) {
        return null_argument(err);
    }
    sb_plan *made = NULL;
    sb_status status = sb_plan_new_map(api_plan(plan), api_func(function), count, columns, names,
                                       &made, api_error(err));
    return give(status, made, out);
}

sabot_status sabot_plan_select(sabot_plan *plan, int32_t count, const char *const *names,
                               sabot_plan **out, sabot_error *err)
{
    if (plan == NULL || out == NULL || (count > 0 && names == NULL) ||
        any_null(count, (const void *const *)names)) {
        return null_argument(err);
    }
    sb_plan *made = NULL;
    sb_status status = sb_plan_new_select(api_plan(plan), count, names, &made, api_error(err));
    return give(status, made, out);
}

sabot_status sabot_plan_project(sabot_plan *plan, int32_t count, const char *const *columns,
                                const char *const *names, sabot_plan **out, sabot_error *err)
{
    if (plan == NULL || out == NULL || (count > 0 && (columns == NULL || names == NULL)) ||
        any_null(count, (const void *const *)columns) ||
        any_null(count, (const void *const *)names)) {
        return null_argument(err);
    }
    sb_plan *made = NULL;
    sb_status status =
        sb_plan_new_project(api_plan(plan), count, columns, names, &made, api_error(err));
    return give(status, made, out);
}

sabot_status sabot_plan_batch(sabot_plan *plan, const char *label, const struct ArrowSchema *schema,
                              bool is_filter, sabot_plan **out, sabot_error *err)
{
    if (plan == NULL || label == NULL || out == NULL) {
        return null_argument(err);
    }
    sb_type *type = NULL;
    sb_plan *made = NULL;
    sb_status status = schema != NULL ? sb_type_import(schema, &type, api_error(err)) : SB_OK;
    if (status == SB_OK) {
        status = sb_plan_new_batch(api_plan(plan), label, type, is_filter, &made, api_error(err));
    }
    sb_type_drop(type);
    return give(status, made, out);
}

static bool any_stage_null(int32_t count, const sabot_stage *stages)
{
    for (int32_t i = 0; i < count; i++) {
        if (stages[i].function == NULL || (stages[i].loop_count > 0 && stages[i].loops == NULL)) {
            return true;
        }
    }
    return false;
}

static sabot_status lowered(sabot_plan *plan, const char *label, sabot_function *function,
                            bool is_filter, int32_t count, const char *const *columns,
                            const char *const *names, const char *mask,
                            const struct ArrowSchema *schema, int32_t stage_count,
                            const sabot_stage *stages, sabot_plan **out, sabot_error *err)
{
    if (plan == NULL || label == NULL || function == NULL || out == NULL ||
        (count > 0 && (columns == NULL || names == NULL)) ||
        any_null(count, (const void *const *)names)) {
        return null_argument(err);
    }
    sb_type *type = NULL;
    sb_plan *made = NULL;
    sb_status status = schema != NULL ? sb_type_import(schema, &type, api_error(err)) : SB_OK;
    const sb_stage *before = (const sb_stage *)(const void *)stages;
    if (status == SB_OK) {
        status = mask != NULL ? sb_plan_new_masked(api_plan(plan), label, api_func(function), count,
                                                   columns, names, mask, type, stage_count, before,
                                                   &made, api_error(err))
                              : sb_plan_new_staged(api_plan(plan), label, api_func(function),
                                                   is_filter, count, columns, names, type,
                                                   stage_count, before, &made, api_error(err));
    }
    sb_type_drop(type);
    return give(status, made, out);
}

sabot_status sabot_plan_lowered(sabot_plan *plan, const char *label, sabot_function *function,
                                bool is_filter, int32_t count, const char *const *columns,
                                const char *const *names, const struct ArrowSchema *schema,
                                sabot_plan **out, sabot_error *err)
{
    return lowered(plan, label, function, is_filter, count, columns, names, NULL, schema, 0, NULL,
                   out, err);
}

sabot_status sabot_plan_staged(sabot_plan *plan, const char *label, sabot_function *function,
                               bool is_filter, int32_t count, const char *const *columns,
                               const char *const *names, const struct ArrowSchema *schema,
                               int32_t stage_count, const sabot_stage *stages, sabot_plan **out,
                               sabot_error *err)
{
    if (stage_count < 1 || stages == NULL || any_stage_null(stage_count, stages)) {
        return null_argument(err);
    }
    return lowered(plan, label, function, is_filter, count, columns, names, NULL, schema,
                   stage_count, stages, out, err);
}

sabot_status sabot_plan_masked(sabot_plan *plan, const char *label, sabot_function *function,
                               int32_t count, const char *const *columns, const char *const *names,
                               const char *mask, const struct ArrowSchema *schema,
                               int32_t stage_count, const sabot_stage *stages, sabot_plan **out,
                               sabot_error *err)
{
    if (mask == NULL || stage_count < 0 || (stage_count > 0 && stages == NULL) ||
        any_stage_null(stage_count, stages)) {
        return null_argument(err);
    }
    return lowered(plan, label, function, false, count, columns, names, mask, schema, stage_count,
                   stages, out, err);
}

_Static_assert(sizeof(sabot_phase) == sizeof(sb_phase), "a phase is the same for both");

sabot_status sabot_plan_phased(sabot_plan *plan, int32_t phase_count, const sabot_phase *phases,
                               sabot_plan *last, sabot_plan **out, sabot_error *err)
{
    bool null = plan == NULL || phases == NULL || last == NULL || out == NULL;
    for (int32_t k = 0; !null && k < phase_count; k++) {
        null = phases[k].plan == NULL;
    }
    if (null) {
        return null_argument(err);
    }
    sb_plan *made = NULL;
    sb_status status =
        sb_plan_new_phased(api_plan(plan), phase_count, (const sb_phase *)(const void *)phases,
                           api_plan(last), &made, api_error(err));
    return give(status, made, out);
}

static sabot_status schema_give(sb_type *schema, struct ArrowSchema *out, bool *deferred,
                                sabot_error *err)
{
    if (schema == NULL) {
        *out = (struct ArrowSchema){0};
        *deferred = true;
        return SABOT_OK;
    }
    sb_status status = sb_type_export(schema, out, api_error(err));
    if (status == SB_OK) {
        *deferred = false;
    }
    return api_status(status);
}

sabot_status sabot_plan_schema(const sabot_plan *plan, struct ArrowSchema *out, bool *deferred,
                               sabot_error *err)
{
    if (plan == NULL || out == NULL || deferred == NULL) {
        return null_argument(err);
    }
    return schema_give(api_const_plan(plan)->schema, out, deferred, err);
}

sabot_status sabot_plan_input_schema(const sabot_plan *plan, int32_t op, struct ArrowSchema *out,
                                     bool *deferred, sabot_error *err)
{
    if (plan == NULL || out == NULL || deferred == NULL) {
        return null_argument(err);
    }
    const sb_plan *node = api_const_plan(plan);
    while (node->input != NULL && node->op_index != op) {
        node = node->input;
    }
    if (node->input == NULL) {
        return api_status(
            sb_error_set(api_error(err), SB_INVALID, "the plan has no operator %d", op));
    }
    return schema_give(node->input->schema, out, deferred, err);
}

sabot_status sabot_plan_explain(const sabot_plan *plan, char **text, sabot_error *err)
{
    if (plan == NULL || text == NULL) {
        return null_argument(err);
    }
    sb_buf buf;
    sb_buf_init(&buf, 0);
    sb_plan_explain(api_const_plan(plan), &buf);
    return sb_api_give_text(&buf, text, err);
}
