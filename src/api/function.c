/* sabot_function_*: from a blob and a schema to a function ready to run, and looking at it.
 *
 * Interface: sabot.h. The front types and lowers, the jit room keeps and runs.
 * Memory: out-owned handles. Threads: a function is const once made; counters are atomic. */
#include "api/api_int.h"
#include "base/mem.h"
#include "column/type.h"
#include "front/front.h"

/* Everything moves: the two structs hold the same facts for different owners. */
static void move_parts(sb_lowered *from, sb_func *to)
{
    *to = (sb_func){.name = from->name,
                    .record = from->record,
                    .compiled = from->compiled,
                    .is_whole = from->is_whole,
                    .can_raise = from->can_raise,
                    .result_prim = from->result_prim,
                    .key_count = from->key_count,
                    .keys = from->keys,
                    .param_count = from->param_count,
                    .params = from->params,
                    .refusal_count = from->refusal_count,
                    .refusals = from->refusals,
                    .ir = from->ir};
    for (size_t k = 0; k < sizeof(to->result_format); k++) {
        to->result_format[k] = from->result_format[k];
    }
    *from = (sb_lowered){0};
}

static sabot_status function_new(sabot_session *session, const void *blob, size_t blob_size,
                                 const struct ArrowSchema *columns, const char *const *keys,
                                 int32_t key_count, bool compile_off, sabot_function **out,
                                 sabot_error *err)
{
    sb_status status = SB_OK;
    sb_lowered lowered = {0};
    sb_func parts = {0};
    sb_func *func = NULL;
    if (session == NULL || blob == NULL || columns == NULL || columns->release == NULL ||
        out == NULL || columns->n_children < 0) {
        return api_status(
            sb_error_set(api_error(err), SB_INVALID, "an argument is NULL or released"));
    }
    size_t count = (size_t)columns->n_children;
    sb_front_column *names = sb_mem_alloc_array(count + 1, sizeof(*names));
    if (names == NULL) {
        return api_status(sb_error_no_memory(api_error(err), count * sizeof(*names)));
    }
    for (size_t k = 0; k < count; k++) {
        const struct ArrowSchema *child = columns->children[k];
        /* The format of a dictionary is that of its indices, of an extension type that of its storage: no types that kernels know. */
        names[k].name = child->name != NULL ? child->name : "";
        bool plain = child->dictionary == NULL && !sb_schema_is_extension(child);
        names[k].format = plain ? child->format : "other";
    }
    SB_TRY(sb_front_lower_keys(blob, blob_size, names, (uint32_t)count, keys, (uint32_t)key_count,
                               compile_off, &lowered, api_error(err)));
    move_parts(&lowered, &parts);
    SB_TRY(sb_func_new(session->jit, &parts, &func, api_error(err)));
    *out = (sabot_function *)(void *)func;
out:
    sb_func_parts_release(&parts);
    sb_mem_free(names);
    return api_status(status);
}

sabot_status sabot_function_new(sabot_session *session, const void *blob, size_t blob_size,
                                const struct ArrowSchema *columns, bool compile_off,
                                sabot_function **out, sabot_error *err)
{
    return function_new(session, blob, blob_size, columns, NULL, 0, compile_off, out, err);
}

sabot_status sabot_function_new_keys(sabot_session *session, const void *blob, size_t blob_size,
                                     const struct ArrowSchema *columns, const char *const *names,
                                     int32_t key_count, bool compile_off, sabot_function **out,
                                     sabot_error *err)
{
    bool named = names != NULL && key_count > 0 && key_count <= SB_COLUMNS_MAX;
    for (int32_t k = 0; named && k < key_count; k++) {
        named = names[k] != NULL;
    }
    if (!named) {
        return api_status(sb_error_set(api_error(err), SB_INVALID, "%d results", (int)key_count));
    }
    return function_new(session, blob, blob_size, columns, names, key_count, compile_off, out, err);
}
void sabot_function_free(sabot_function *function)
{
    sb_func_drop(api_func(function));
}

sabot_status sabot_function_set_host(sabot_function *function, const char *name, const char *why,
                                     sabot_error *err)
{
    if (function == NULL || (name == NULL) == (why == NULL) || api_func(function)->compiled) {
        return api_status(sb_error_set(api_error(err), SB_INVALID,
                                       "a function that is not compiled, and a name or a reason"));
    }
    return api_status(sb_func_set_host(api_func(function), name, why, api_error(err)));
}

bool sabot_function_is_compiled(const sabot_function *function)
{
    return api_const_func(function)->compiled;
}

const char *sabot_function_result_format(const sabot_function *function)
{
    return api_const_func(function)->result_format;
}

int32_t sabot_function_key_count(const sabot_function *function)
{
    return (int32_t)api_const_func(function)->key_count;
}

const char *sabot_function_key_format(const sabot_function *function, int32_t i)
{
    const sb_func *func = api_const_func(function);
    return i >= 0 && (uint32_t)i < func->key_count ? func->keys[i].format : NULL;
}

int32_t sabot_function_param_count(const sabot_function *function)
{
    return (int32_t)api_const_func(function)->param_count;
}

int32_t sabot_function_param_index(const sabot_function *function, int32_t i)
{
    const sb_func *func = api_const_func(function);
    return i >= 0 && (uint32_t)i < func->param_count ? (int32_t)func->params[i].index : -1;
}

const char *sabot_function_param_column(const sabot_function *function, int32_t i)
{
    const sb_func *func = api_const_func(function);
    return i >= 0 && (uint32_t)i < func->param_count ? func->params[i].column : NULL;
}

sabot_status sabot_function_report(const sabot_function *function, char **json, sabot_error *err)
{
    sb_buf buf;
    if (function == NULL || json == NULL) {
        return api_status(sb_error_set(api_error(err), SB_INVALID, "an argument is NULL"));
    }
    sb_buf_init(&buf, 0);
    sb_func_report(api_const_func(function), &buf);
    return sb_api_give_text(&buf, json, err);
}

sabot_status sabot_function_text(sabot_session *session, sabot_function *function, const char *what,
                                 char **text, sabot_error *err)
{
    sb_buf buf;
    if (session == NULL || function == NULL || what == NULL || text == NULL) {
        return api_status(sb_error_set(api_error(err), SB_INVALID, "an argument is NULL"));
    }
    sb_buf_init(&buf, 0);
    sb_status status =
        sb_func_text(api_func(function), what, session->helper_path, &buf, api_error(err));
    if (status != SB_OK) {
        sb_buf_release(&buf);
        return api_status(status);
    }
    return sb_api_give_text(&buf, text, err);
}
