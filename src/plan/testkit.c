/* A schema and functions for tests, as plan/testkit.h promises them.
 *
 * Algorithm: functions are made as the front makes them, but from text. Memory: heap blocks of base/mem.h. Threads: none of its own. */
#include "plan/testkit.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

sb_type *sb_kit_schema(void)
{
    static const char *const formats[] = {"l", "l", "g", "b", "u"};
    static const char *const names[] = {"a", "b", "x", "c", "s"};
    sb_type *columns[5] = {0};
    sb_type *schema = NULL;
    for (int i = 0; i < 5; i++) {
        if (sb_type_new(formats[i], names[i], ARROW_FLAG_NULLABLE, &columns[i], NULL) != SB_OK) {
            goto out;
        }
    }
    if (sb_type_new_struct(columns, 5, NULL, &schema, NULL) == SB_OK) {
        return schema;
    }
out:
    for (int i = 0; i < 5; i++) {
        sb_type_drop(columns[i]);
    }
    return NULL;
}

/* --- functions ---------------------------------------------------------------------------------------------------- */

static char *copy(const char *text, size_t size)
{
    char *made = sb_mem_alloc(size + 1);
    if (made != NULL) {
        memcpy(made, text, size);
        made[size] = 0;
    }
    return made;
}

static const char *format_of(sb_prim prim)
{
    return prim == SB_PRIM_B ? "b" : prim == SB_PRIM_F64 ? "g" : "l";
}

static bool params_fill(sb_func *parts, const char *columns)
{
    uint32_t count = 1;
    for (const char *c = columns; *c != 0; c++) {
        count += *c == ',';
    }
    parts->params = sb_mem_alloc_zero(count * sizeof *parts->params);
    if (parts->params == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        size_t size = strcspn(columns, ",");
        sb_func_param *param = &parts->params[i];
        param->index = i;
        param->column = copy(columns, size);
        param->input = -1;
        if (parts->compiled) {
            param->input = (int32_t)i;
            param->prim = parts->ir.inputs.items[i].prim;
        }
        param->format = copy(format_of(param->prim), 1);
        parts->param_count = i + 1;
        if (param->column == NULL || param->format == NULL) {
            return false;
        }
        columns += size + (columns[size] == ',');
    }
    return true;
}

static sb_prim prim_of(const char *format)
{
    return format[0] == 'l'   ? SB_PRIM_I64
           : format[0] == 'g' ? SB_PRIM_F64
           : format[0] == 'f' ? SB_PRIM_F64 /* floats are doubles to a kernel */
           : format[0] == 'b' ? SB_PRIM_B
                              : SB_PRIM_VOID;
}

static bool keys_fill(sb_func *parts, const char *results)
{
    size_t count = strlen(results) / 2;
    parts->keys = sb_mem_alloc_zero(count * sizeof *parts->keys);
    for (size_t k = 0; parts->keys != NULL && k < count; k++) {
        sb_func_key *key = &parts->keys[k];
        key->name = copy(&results[2 * k], 1);
        key->format[0] = results[2 * k + 1];
        key->prim = prim_of(key->format);
        parts->key_count = (uint32_t)k + 1;
        if (key->name == NULL) {
            return false;
        }
    }
    return parts->keys != NULL;
}

static sb_func *func_make(struct sb_jit *jit, sb_func parts, const char *name, const char *columns,
                          const char *results, const char *ir, bool pairs)
{
    sb_func *func = NULL;
    sb_error error = {0};
    sb_ir_init(&parts.ir);
    if (results != NULL && !keys_fill(&parts, results)) {
        goto out;
    }
    if (ir != NULL && sb_ir_parse(&parts.ir, ir, &error) != SB_OK) {
        if (error.status != SB_NO_MEMORY) {
            (void)fprintf(stderr, "%s: %s\n", name, error.message);
        }
        goto out;
    }
    parts.name = copy(name, strlen(name));
    if (parts.name == NULL || !params_fill(&parts, columns)) {
        goto out;
    }
    for (uint32_t k = 0; parts.is_whole && k < parts.param_count; k++) {
        parts.params[k].format[0] = results[2 * k + 1]; /* its results are its columns */
        parts.params[k].pairs = pairs;
        parts.params[k].nulls = pairs;
    }
    for (uint32_t k = 0; parts.is_whole && k < parts.key_count; k++) {
        parts.keys[k].prim = SB_PRIM_I64;
        parts.keys[k].pairs = pairs;
    }
    (void)sb_func_new(jit, &parts, &func, NULL);
out:
    sb_func_parts_release(&parts);
    return func;
}

sb_func *sb_kit_func(const char *name, const char *columns, const char *format, const char *ir)
{
    return sb_kit_func_of(NULL, name, columns, format, ir);
}

sb_func *sb_kit_func_of(struct sb_jit *jit, const char *name, const char *columns,
                        const char *format, const char *ir)
{
    sb_func parts = {.compiled = ir != NULL, .result_prim = prim_of(format)};
    memcpy(parts.result_format, format, strlen(format) + 1);
    return func_make(jit, parts, name, columns, NULL, ir, false);
}

sb_func *sb_kit_map_func(const char *name, const char *columns, const char *results, const char *ir)
{
    return func_make(NULL, (sb_func){.compiled = ir != NULL, .result_format = "+s"}, name, columns,
                     results, ir, false);
}

sb_func *sb_kit_whole_func(const char *name, const char *columns, const char *results,
                           const char *ir, bool pairs)
{
    const sb_func parts = {.compiled = true, .is_whole = true, .result_format = "+s"};
    return func_make(NULL, parts, name, columns, results, ir, pairs);
}
