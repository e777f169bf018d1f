/* sb_front_lower: binds parameters to columns, lowers the body, decides the result's type, finishes the IR.
 *
 * The result's type follows from the kinds that can be returned (None aside): bool -> bool; int -> int64; float, or int and float -> double
 * (an int beyond 2**53 leaves); none at all -> null; bool with a number has no common type. When the body was refused, the return
 * annotation tells the type.
 * Memory: an arena for the tree and environments, freed before return; the result owns the rest. Threads: any. */
#include <stdio.h>
#include <string.h>

#include "front/lower_int.h"

/* --- refusals --------------------------------------------------------------------------------------------------------- */

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = sb_mem_alloc(size);
    if (copy != NULL) {
        memcpy(copy, text, size);
    }
    return copy;
}

static void add_refusal(lowering *l, uint32_t code, const char *detail, sb_refusal place)
{
    for (size_t k = 0; k < l->refusals.count; k++) {
        const sb_refusal *r = &l->refusals.items[k];
        if (r->code == code && r->line == place.line && r->col == place.col &&
            r->end_col == place.end_col) {
            return;
        }
    }
    if (l->refusals.count >= REFUSALS_MAX) {
        return;
    }
    place.code = code;
    place.detail = copy_text(detail);
    if (place.detail == NULL || !SB_VEC_PUSH(&l->refusals, place)) {
        sb_mem_free(place.detail);
        l->no_memory = true;
    }
}

void sb_refuse(lowering *l, uint32_t code, const char *detail, const sb_node *at)
{
    add_refusal(
        l, code, detail,
        (sb_refusal){
            .line = at->line, .col = at->col, .end_line = at->end_line, .end_col = at->end_col});
}

bool sb_working(lowering *l)
{
    if (l->work < WORK_MAX && !l->b.too_large) {
        l->work++;
        return !l->no_memory;
    }
    add_refusal(l, SB_REFUSAL_TOO_COMPLEX, "", (sb_refusal){0});
    return false;
}

/* --- parameters --------------------------------------------------------------------------------------------------------- */

/* A parameter of a function of whole batches: nothing reads it but COLUMN. */
static sb_status bind_whole(lowering *l, const sb_column_kind *kind, sb_func_param *param,
                            sb_lowered *out, sb_error *err)
{
    whole_column *column = &l->columns[param->index];
    const bool listed = kind->prim != SB_PRIM_VOID && !(TAG_BIT(kind->tag) & TIME_BITS);
    *column = (whole_column){.tag = kind->tag, .format = param->format};
    param->prim = listed ? SB_PRIM_I64 : SB_PRIM_VOID;
    param->nulls = l->tree.has_nulls;
    if (!listed) {
        return SB_OK;
    }
    param->input = (int32_t)out->ir.inputs.count;
    const sb_ir_input input = {.param = param->index, .prim = SB_PRIM_I64};
    if (!SB_VEC_PUSH(&out->ir.inputs, input)) {
        return sb_error_no_memory(err, sizeof(sb_ir_input));
    }
    column->handle = sb_irb_in(&l->b, (uint32_t)param->input);
    return SB_OK;
}

static sb_status bind_column(lowering *l, uint32_t index, const sb_front_column *column,
                             sb_lowered *out, pyval *value, sb_error *err)
{
    sb_func_param *param = &out->params[out->param_count];
    sb_column_kind kind = sb_column_kind_of(column->format);
    *param = (sb_func_param){.index = index, .prim = kind.prim, .input = -1};
    out->param_count++;
    param->column = copy_text(column->name);
    param->format = copy_text(column->format);
    if (param->column == NULL || param->format == NULL) {
        return sb_error_no_memory(err, strlen(column->name) + strlen(column->format));
    }
    if (l->columns != NULL) {
        *value = sb_pyval_opaque(OPAQUE_COLUMN);
        return bind_whole(l, &kind, param, out, err);
    }
    if (param->prim == SB_PRIM_VOID) {
        *value = sb_pyval_opaque(OPAQUE_COLUMN);
        return SB_OK;
    }
    uint32_t input = (uint32_t)out->ir.inputs.count;
    if (!SB_VEC_PUSH(&out->ir.inputs, (sb_ir_input){.param = index, .prim = param->prim})) {
        return sb_error_no_memory(err, sizeof(sb_ir_input));
    }
    param->input = (int32_t)input;
    *value = sb_column_value(l, input, &kind);
    return SB_OK;
}

static const sb_front_column *find_column(const sb_front_column *columns, uint32_t count,
                                          const char *name)
{
    for (uint32_t k = 0; k < count; k++) {
        if (strcmp(columns[k].name, name) == 0) {
            return &columns[k];
        }
    }
    return NULL;
}

/* The finest unit of the timestamps that parameters are bound to; constants have microseconds. */
static void find_stamp_unit(lowering *l, const sb_front_column *columns, uint32_t column_count)
{
    l->stamp_us = l->tree.has_stamps ? 1 : INT64_MAX;
    for (uint32_t k = 0; k < l->tree.param_count; k++) {
        const sb_front_column *column = find_column(columns, column_count, l->tree.locals[k]);
        int64_t unit_us = column != NULL ? sb_column_kind_of(column->format).unit_us : 0;
        l->stamp_us = unit_us != 0 && unit_us < l->stamp_us ? unit_us : l->stamp_us;
    }
}

static sb_status bind_params(lowering *l, env *e, const sb_front_column *columns,
                             uint32_t column_count, sb_lowered *out, sb_error *err)
{
    out->params = sb_mem_alloc_zero(sizeof(*out->params) * (l->tree.param_count + 1));
    if (out->params == NULL) {
        return sb_error_no_memory(err, sizeof(*out->params));
    }
    find_stamp_unit(l, columns, column_count);
    if (l->tree.is_whole) {
        out->is_whole = true;
        l->columns =
            sb_arena_alloc_zero(&l->arena, sizeof(*l->columns) * (l->tree.param_count + 1));
        if (l->columns == NULL) {
            return sb_error_no_memory(err, sizeof(*l->columns));
        }
    }
    for (uint32_t k = 0; k < l->tree.param_count; k++) {
        const sb_front_column *column = find_column(columns, column_count, l->tree.locals[k]);
        if (column != NULL) {
            sb_status status = bind_column(l, k, column, out, &e->vars[k], err);
            if (status != SB_OK) {
                return status;
            }
        } else if (l->tree.params[k].fallback != NULL) {
            e->vars[k] = sb_lower_expr(l, e, l->tree.params[k].fallback);
        } else {
            return sb_error_set(err, SB_UNKNOWN_COLUMN,
                                "%s: parameter '%s' is not the name of a column", l->tree.name,
                                l->tree.locals[k]);
        }
    }
    return SB_OK;
}

/* --- the result --------------------------------------------------------------------------------------------------------- */

void sb_finish_result(lowering *l, env *e)
{
    bool known = false;
    bool all_returned = sb_irb_is_const_b(&l->b, e->returned, &known) && known;
    if (all_returned || e->dead) {
        return;
    }
    pyval none = sb_pyval_none();
    bool none_returned = sb_irb_is_const_b(&l->b, e->returned, &known) && !known;
    e->result = none_returned ? none : sb_pyval_select(l, e->returned, &e->result, &none);
}

static const char *format_of_annotation(uint8_t annotation)
{
    switch (annotation) {
    case SB_BLOB_ANN_INT:
        return "l";
    case SB_BLOB_ANN_FLOAT:
        return "g";
    case SB_BLOB_ANN_BOOL:
        return "b";
    case SB_BLOB_ANN_STR:
        return "u";
    case SB_BLOB_ANN_NONE:
        return "n";
    default:
        return NULL;
    }
}

static const char *type_name(const char *format)
{
    switch (format[0]) {
    case 'l':
        return "int64";
    case 'g':
        return "double";
    case 'b':
        return "bool";
    case 'u':
        return "string";
    default:
        return "null";
    }
}

/* key: of a result among several; NULL: there is one. firsts: the first return of each kind. */
static sb_status mixed_returns(const lowering *l, const char *key, const sb_node *const *firsts,
                               uint32_t tags, sb_error *err)
{
    unsigned number = tags & INT_BIT ? TAG_INT : (tags & FLOAT_BIT ? TAG_FLOAT : TAG_NP_F64);
    return sb_error_set(err, SB_TYPE,
                        "%s: returns %s%.100s%sbool (line %u) and %s (line %u): no Arrow type "
                        "holds both; convert one, for example with int(...) or != 0",
                        l->tree.name, key != NULL ? "as \"" : "", key != NULL ? key : "",
                        key != NULL ? "\" " : "", firsts[TAG_BOOL]->line,
                        number == TAG_INT ? "int" : "float", firsts[number]->line);
}

/* Arrow format of the returned kinds; NULL when they do not tell. */
static const char *format_of_tags(uint32_t tags)
{
    if (tags & BOOL_BIT) {
        return "b";
    }
    if (tags & (FLOAT_BIT | NP_F64_BIT)) { /* np.float64 is a float */
        return "g";
    }
    if (tags & INT_BIT) {
        return "l";
    }
    return tags & NONE_BIT ? "n" : NULL;
}

#define INTEGER_BITS (INT_BIT | NP_INT_BIT)
#define NUMBER_BITS (INTEGER_BITS | DOUBLE_BITS)

/* Arrow format of the kinds that an item of the result has, as pa.array would type a list of them all. NULL: they do not tell, or no type
 * is theirs whatever their order. */
static const char *format_of_item(const pyval *v)
{
    static const char formats[][2] = {"c", "C", "s", "S", "i", "I", "l", "L"};
    const uint32_t tags = v->tags & ~NONE_BIT;
    if (!(tags & NP_BITS)) {
        return format_of_tags(v->tags);
    }
    if (tags & TRUTH_BITS) {
        return tags & NUMBER_BITS ? NULL : "b";
    }
    if (tags == NP_F32_BIT) {
        return "f";
    }
    if (tags & DOUBLE_BITS) {
        return (tags & NP_F32_BIT) && (tags & NP_INT_BIT) ? NULL : "g";
    }
    for (size_t k = 0; tags == NP_INT_BIT && k < SB_COUNT_OF(formats); k++) {
        if (formats[k][0] == (char)v->dtype) {
            return formats[k];
        }
    }
    return "l";
}

static sb_status decide_type(lowering *l, uint32_t tags, sb_lowered *out, sb_error *err)
{
    const char *annotated = format_of_annotation(l->tree.annotation);
    const char *inferred = l->refusals.count == 0 ? format_of_tags(tags) : NULL;
    if (inferred != NULL && (tags & BOOL_BIT) && (tags & (INT_BIT | FLOAT_BIT | NP_F64_BIT))) {
        return mixed_returns(l, NULL, l->return_tags, tags, err);
    }
    if (inferred != NULL && annotated != NULL && strcmp(inferred, annotated) != 0) {
        if (strcmp(inferred, "n") != 0) {
            return sb_error_set(err, SB_TYPE,
                                "%s: the return annotation says %s, but the function returns %s",
                                l->tree.name, type_name(annotated), type_name(inferred));
        }
        inferred = annotated; /* only None is returned: every type holds it */
    }
    const char *format = inferred != NULL ? inferred : annotated;
    if (format == NULL) {
        const sb_refusal *first = l->refusals.count > 0 ? &l->refusals.items[0] : NULL;
        return sb_error_set(
            err, SB_UNSUPPORTED,
            "%s: the result's type cannot be told%s%s%s%s; add a return annotation, such as -> int",
            l->tree.name, first != NULL ? ": " : "",
            first != NULL ? sb_refusal_code_message(first->code) : "",
            first != NULL && first->detail[0] != '\0' ? ": " : "",
            first != NULL ? first->detail : "");
    }
    (void)snprintf(out->result_format, sizeof(out->result_format), "%s", format);
    out->result_prim = sb_column_kind_of(format).prim;
    return SB_OK;
}

static sb_value double_result(lowering *l, const pyval *v)
{
    if (!(v->tags & INTEGER_BITS)) {
        return v->f;
    }
    if (!(v->tags & DOUBLE_BITS) && sb_tag_count(v->tags) == 1) {
        return sb_op1(l, SB_IR_PY_EXACT_FLOAT_I64, v->i);
    }
    sb_value whole = sb_op2(l, SB_IR_OR, sb_pyval_is(l, v, TAG_INT), sb_pyval_is(l, v, TAG_NP_INT));
    sb_value region = sb_irb_if(&l->b, whole);
    sb_value exact = sb_op1(l, SB_IR_PY_EXACT_FLOAT_I64, v->i);
    sb_irb_else(&l->b, region);
    sb_irb_end_if(&l->b, region);
    return sb_irb_merge(&l->b, exact, v->tags & DOUBLE_BITS ? v->f : l->zero_f);
}

static sb_status store_result(lowering *l, const pyval *v, sb_prim prim, sb_lowered *out,
                              sb_error *err)
{
    bool nullable = (v->tags & NONE_BIT) != 0;
    sb_value value = 0;
    switch (prim) {
    case SB_PRIM_B:
        value = v->tags & TRUTH_BITS ? v->b : l->zero_b;
        break;
    case SB_PRIM_I64:
        value = v->tags & (INTEGER_BITS | LIST_BIT) ? v->i : l->zero_i;
        break;
    case SB_PRIM_F64:
        value = v->tags & NUMBER_BITS ? double_result(l, v) : l->zero_f;
        break;
    case SB_PRIM_VOID:
        break;
    }
    sb_value valid = nullable ? sb_op1(l, SB_IR_NOT, sb_pyval_is(l, v, TAG_NONE)) : 0;
    uint32_t output = (uint32_t)out->ir.outputs.count;
    if (!SB_VEC_PUSH(&out->ir.outputs, (sb_ir_output){.prim = prim, .nullable = nullable})) {
        return sb_error_no_memory(err, sizeof(sb_ir_output));
    }
    sb_irb_store(&l->b, output, value, valid);
    return SB_OK;
}

/* --- several results -------------------------------------------------------------------------------------------------------- */

static sb_status keys_new(lowering *l, sb_lowered *out, sb_error *err)
{
    size_t lines = sizeof(*l->key_tags) * l->key_count;
    l->key_tags = sb_arena_alloc_zero(&l->arena, lines);
    out->keys = sb_mem_alloc_zero(sizeof(*out->keys) * l->key_count);
    if (l->key_tags == NULL || out->keys == NULL) {
        return sb_error_no_memory(err, lines);
    }
    for (; out->key_count < l->key_count; out->key_count++) {
        char *name = copy_text(l->key_names[out->key_count]);
        if (name == NULL) {
            return sb_error_no_memory(err, strlen(l->key_names[out->key_count]));
        }
        out->keys[out->key_count].name = name;
    }
    return SB_OK;
}

/* The results of a function of whole batches: lists in memory. */
static const pyval *list_values(lowering *l, const pyval *result)
{
    pyval *lists = sb_items_new(l, result->count);
    const sb_node *end = l->tree.body.items[l->tree.body.count - 1];
    for (uint32_t k = 0; lists != NULL && k < result->count; k++) {
        const pyval held = sb_list_held(l, result->items[k], end);
        if (!(held.tags & LIST_BIT)) {
            char detail[120];
            (void)snprintf(detail, sizeof(detail), "the result \"%.80s\", which is no list",
                           l->key_names[k]);
            sb_refuse(l, SB_REFUSAL_TYPE, detail, end);
            return NULL;
        }
        lists[k] = sb_list_only(l, held, "the result");
    }
    return lists;
}

/* The items of the result; rows that give none leave. NULL: no row gives any, or it cannot be told. */
static const pyval *key_values(lowering *l, pyval *result)
{
    if (l->refusals.count > 0 || result->tags == NONE_BIT) {
        return NULL;
    }
    if (result->tags & NONE_BIT) {
        *result = sb_pyval_strip(l, *result, TAG_NONE, SB_REASON_RAISE);
    }
    if (result->tags != ITEMS_BIT || result->count != l->key_count) {
        return NULL;
    }
    return l->columns != NULL ? list_values(l, result) : result->items;
}

static sb_mixing mixing_of(const pyval *v)
{
    const uint32_t tags = v->tags & ~NONE_BIT;
    const bool narrow = (tags & NP_INT_BIT) && v->dtype != 'l';
    if (((tags & NP_F32_BIT) && tags != NP_F32_BIT) || (narrow && tags != NP_INT_BIT)) {
        return SB_MIXING_WIDTHS;
    }
    const bool ints = tags & (INT_BIT | NP_INT_BIT);
    return ints && (tags & DOUBLE_BITS) ? SB_MIXING_INTS : SB_MIXING_NONE;
}

static sb_status decide_keys(lowering *l, const pyval *values, sb_lowered *out, sb_error *err)
{
    (void)snprintf(out->result_format, sizeof(out->result_format), "+s");
    for (uint32_t k = 0; k < l->key_count; k++) {
        sb_func_key *key = &out->keys[k];
        pyval value = values != NULL ? values[k] : sb_pyval_never();
        if (value.tags == LIST_BIT) {
            value = sb_list_kinds(l, &value, &key->pairs);
            value.tags = value.tags == 0 ? NONE_BIT : value.tags; /* always empty */
        }
        const uint32_t tags = value.tags;
        const bool told = values != NULL && l->refusals.count == 0;
        const char *format = told ? format_of_item(&value) : NULL;
        if (format == NULL && l->refusals.count > 0) {
            continue;
        }
        if (format == NULL) {
            add_refusal(l, SB_REFUSAL_TYPE,
                        tags & NP_BITS ? "NumPy scalars and other values in one result"
                                       : "no row gives a result",
                        (sb_refusal){0});
            continue;
        }
        const bool mixes = (tags & BOOL_BIT) && (tags & (INT_BIT | FLOAT_BIT));
        if (mixes && l->columns != NULL) { /* of lists, which no return tells */
            add_refusal(l, SB_REFUSAL_TYPE, "a list of booleans and numbers", (sb_refusal){0});
            continue;
        }
        if (mixes) {
            return mixed_returns(l, key->name, l->key_tags[k], tags, err);
        }
        (void)snprintf(key->format, sizeof(key->format), "%s", format);
        key->prim = l->columns != NULL ? SB_PRIM_I64 : sb_column_kind_of(format).prim;
        key->mixing = mixing_of(&value);
    }
    return SB_OK;
}

/* The type of the result, or of each of them; *values: the items, where there are several. */
static sb_status decide_result(lowering *l, pyval *result, const pyval **values, sb_lowered *out,
                               sb_error *err)
{
    *values = result;
    if (l->key_count == 0) {
        return decide_type(l, result->tags, out, err);
    }
    *values = key_values(l, result);
    return decide_keys(l, *values, out, err);
}

static sb_status store_results(lowering *l, const pyval *values, sb_lowered *out, sb_error *err)
{
    if (l->key_count == 0) {
        return store_result(l, values, out->result_prim, out, err);
    }
    sb_status status = SB_OK;
    for (uint32_t k = 0; k < l->key_count && status == SB_OK; k++) {
        status = store_result(l, &values[k], out->keys[k].prim, out, err);
    }
    return status;
}

/* --- the whole ------------------------------------------------------------------------------------------------------------ */

/* Refuses what a return gives. */
static void refuse_returned(lowering *l, const sb_node *n, const char *detail)
{
    if (n == NULL) {
        add_refusal(l, SB_REFUSAL_TYPE, detail, (sb_refusal){0});
    } else {
        sb_refuse(l, SB_REFUSAL_TYPE, detail, n->op ? n->a : n);
    }
}

/* A value that no column holds. what: which it is; firsts: the first return of each kind. */
static void refuse_value(lowering *l, const pyval *v, const char *what,
                         const sb_node *const *firsts)
{
    char detail[160];
    if (v->tags & (ITEMS_BIT | LIST_BIT | OPAQUE_BIT)) {
        bool items = (v->tags & (ITEMS_BIT | LIST_BIT)) || v->why == OPAQUE_LENGTH;
        const unsigned tag = v->tags & LIST_BIT ? TAG_LIST : (items ? TAG_ITEMS : TAG_OPAQUE);
        (void)snprintf(detail, sizeof(detail), "%s%s", items ? "a tuple or list as " : "", what);
        refuse_returned(l, firsts[tag], detail);
    }
    /* No value of Python, but for float64; as a list's item each has its type of Arrow. */
    const bool of_python = l->key_count == 0 || l->tree.record[0] != '\0';
    for (unsigned tag = TAG_NP_BOOL; of_python && tag <= TAG_NP_F32; tag++) {
        if (tag != TAG_NP_F64 && (v->tags & TAG_BIT(tag))) {
            (void)snprintf(detail, sizeof(detail), "a NumPy scalar as %s", what);
            refuse_returned(l, firsts[tag], detail);
        }
    }
    for (unsigned tag = TAG_DATE; tag <= TAG_ZONED; tag++) {
        if (v->tags & TAG_BIT(tag)) {
            (void)snprintf(detail, sizeof(detail), "a date or timestamp as %s", what);
            refuse_returned(l, firsts[tag], detail);
        }
    }
}

static void refuse_result(lowering *l, const pyval *v)
{
    if (l->key_count == 0 || (v->tags & ~NONE_BIT) != ITEMS_BIT || v->count != l->key_count) {
        refuse_value(l, v, "the result", l->return_tags);
        return;
    }
    for (uint32_t k = 0; l->columns == NULL && k < l->key_count; k++) {
        char what[120];
        (void)snprintf(what, sizeof(what), "the result \"%.80s\"", l->key_names[k]);
        refuse_value(l, &v->items[k], what, l->key_tags[k]);
    }
}

bool sb_begin_program(lowering *l, env *e)
{
    l->zero_b = sb_irb_const_b(&l->b, false);
    l->true_b = sb_irb_const_b(&l->b, true);
    l->zero_i = sb_irb_const_i(&l->b, 0);
    l->zero_f = sb_irb_const_f(&l->b, 0.0);
    e->vars = sb_arena_alloc_zero(&l->arena, sizeof(pyval) * (l->tree.local_count + 1));
    if (e->vars == NULL || l->b.no_memory) {
        return false;
    }
    e->returned = l->zero_b;
    e->broke = l->zero_b;
    e->continued = l->zero_b;
    for (uint32_t slot = 0; slot < l->tree.local_count; slot++) {
        e->vars[slot] = sb_pyval_unbound();
    }
    return true;
}

static sb_status lower_body(lowering *l, const sb_front_column *columns, uint32_t column_count,
                            bool compile_off, sb_lowered *out, sb_error *err)
{
    env e = {0};
    sb_irb_init(&l->b, &out->ir, INSTS_MAX);
    if (!sb_begin_program(l, &e)) {
        return sb_error_no_memory(err, sizeof(pyval) * (l->tree.local_count + 1));
    }
    sb_status status = l->key_count > 0 ? keys_new(l, out, err) : SB_OK;
    if (status == SB_OK) {
        status = bind_params(l, &e, columns, column_count, out, err);
    }
    if (status != SB_OK) {
        return status;
    }
    sb_lower_block(l, &e, &l->tree.body, 0);
    for (uint32_t k = 0; l->columns != NULL && k < out->param_count; k++) {
        out->params[k].pairs = l->columns[out->params[k].index].pairs;
    }
    sb_finish_result(l, &e);
    status = sb_lower_functions(l, &out->ir, err);
    if (status != SB_OK) {
        return status;
    }
    refuse_result(l, &e.result);
    if (l->no_memory || l->b.no_memory) {
        return sb_error_no_memory(err, sizeof(pyval));
    }
    const pyval *values = NULL;
    status = decide_result(l, &e.result, &values, out, err);
    if (status == SB_OK && l->no_memory) { /* a refusal was lost: there may be no values */
        status = sb_error_no_memory(err, sizeof(sb_refusal));
    }
    if (status != SB_OK) {
        return status;
    }
    if (l->unsettled) {
        add_refusal(l, SB_REFUSAL_TOO_COMPLEX, "", (sb_refusal){0});
    }
    if (compile_off) {
        add_refusal(l, SB_REFUSAL_OFF, "", (sb_refusal){0});
    }
    if (l->refusals.count == 0) {
        status = store_results(l, values, out, err);
        status = status == SB_OK ? sb_finish_functions(&out->ir, err) : status;
        status = status == SB_OK ? sb_ir_finish(&l->b, err) : status;
        out->compiled = status == SB_OK;
        if (status == SB_LIMIT) {
            add_refusal(l, SB_REFUSAL_TOO_COMPLEX, "", (sb_refusal){0});
            status = SB_OK;
        }
    }
    if (status == SB_OK && l->no_memory) {
        return sb_error_no_memory(err, sizeof(sb_refusal));
    }
    return status;
}

/* Hands the refusals over and settles the facts that hold without IR. */
static void hand_over(lowering *l, sb_lowered *out)
{
    out->refusals = l->refusals.items;
    out->refusal_count = (uint32_t)l->refusals.count;
    l->refusals.items = NULL;
    l->refusals.count = 0;
    out->can_raise = !out->compiled || out->ir.leave_reasons != 0;
    if (out->compiled) {
        return;
    }
    sb_ir_release(&out->ir);
    sb_ir_init(&out->ir);
    for (uint32_t k = 0; k < out->param_count; k++) {
        out->params[k].input = -1;
    }
}

/* Lowers the tree once. */
static sb_status lower_once(lowering *l, const sb_front_column *columns, uint32_t column_count,
                            bool compile_off, sb_lowered *out, sb_error *err)
{
    sb_status status = SB_OK;
    out->name = copy_text(l->tree.name);
    out->record = copy_text(l->tree.record);
    if (out->name == NULL || out->record == NULL) {
        status = sb_error_no_memory(err, strlen(l->tree.name));
        goto out;
    }
    SB_TRY(lower_body(l, columns, column_count, compile_off, out, err));
    hand_over(l, out);
out:
    for (size_t k = 0; k < l->refusals.count; k++) {
        sb_mem_free(l->refusals.items[k].detail);
    }
    SB_VEC_RELEASE(&l->refusals);
    return status;
}

#define ROUNDS_MAX 24 /* of finding what the items of lists are, and what functions give */

/* Until nothing new is learnt about lists. */
static sb_status lower_rounds(lowering *l, bool in_memory, const sb_front_column *columns,
                              uint32_t column_count, bool compile_off, sb_lowered *out,
                              sb_error *err)
{
    sb_status status = SB_OK;
    *l->sites = (sb_list_sites){0};
    sb_forget_functions(l);
    for (unsigned round = 0;; round++) {
        sb_lowered_release(out);
        *l = (lowering){.tree = l->tree,
                        .arena = l->arena,
                        .sites = l->sites,
                        .functions = l->functions,
                        .key_names = l->key_names,
                        .key_count = l->key_count};
        l->in_memory = in_memory;
        l->unsettled = round == ROUNDS_MAX;
        l->sites->changed = false;
        status = lower_once(l, columns, column_count, compile_off, out, err);
        const bool learnt = l->sites->changed || l->grown;
        if (status == SB_NO_MEMORY || !learnt || round == ROUNDS_MAX) {
            return status;
        }
    }
}

sb_status sb_front_lower(const void *blob, size_t size, const sb_front_column *columns,
                         uint32_t column_count, bool compile_off, sb_lowered *out, sb_error *err)
{
    return sb_front_lower_keys(blob, size, columns, column_count, NULL, 0, compile_off, out, err);
}

sb_status sb_front_lower_keys(const void *blob, size_t size, const sb_front_column *columns,
                              uint32_t column_count, const char *const *names, uint32_t key_count,
                              bool compile_off, sb_lowered *out, sb_error *err)
{
    lowering l = {.key_names = names, .key_count = key_count};
    sb_error failed = {0};
    sb_status status = SB_OK;
    *out = (sb_lowered){0};
    sb_arena_init(&l.arena, 4096, (size_t)256 << 20);
    SB_TRY(sb_tree_read(blob, size, &l.arena, &l.tree, &failed));
    l.sites = sb_arena_alloc_zero(&l.arena, sizeof(*l.sites));
    if (l.sites == NULL || !sb_functions_new(&l)) {
        status = sb_error_no_memory(&failed, sizeof(*l.sites));
        goto out;
    }
    status = lower_rounds(&l, l.tree.is_whole, columns, column_count, compile_off, out, &failed);
    if (l.wants_memory && !l.tree.is_whole && status != SB_NO_MEMORY) {
        status = lower_rounds(&l, true, columns, column_count, compile_off, out, &failed);
    }
out:
    sb_arena_release(&l.arena);
    if (status != SB_OK) {
        sb_lowered_release(out);
        return sb_error_set(err, status, "%s", failed.message);
    }
    return status;
}

void sb_lowered_release(sb_lowered *lowered)
{
    sb_mem_free(lowered->name);
    sb_mem_free(lowered->record);
    for (uint32_t k = 0; k < lowered->param_count; k++) {
        sb_mem_free(lowered->params[k].column);
        sb_mem_free(lowered->params[k].format);
    }
    sb_mem_free(lowered->params);
    for (uint32_t k = 0; k < lowered->refusal_count; k++) {
        sb_mem_free(lowered->refusals[k].detail);
    }
    sb_mem_free(lowered->refusals);
    for (uint32_t k = 0; k < lowered->key_count; k++) {
        sb_mem_free(lowered->keys[k].name);
    }
    sb_mem_free(lowered->keys);
    sb_ir_release(&lowered->ir);
    *lowered = (sb_lowered){0};
}
