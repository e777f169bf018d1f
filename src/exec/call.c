/* The native part of a call and its life: sites, locals, vectors. The host's part is call_host.c.
 *
 * Algorithm: the chunk is walked in vectors of SB_VECTOR_ROWS rows; inputs are viewed (column/view.h), the kernel writes int64 and
 * double results straight into the column's memory, validity likewise, booleans as bytes that are packed after. Rows that the kernel
 * leaves are collected for the host.
 *
 * Threads: see exec/call.h. Memory: the output blocks are fresh aligned blocks, first touched by the worker that fills them. */
#include "exec/call.h"

#include <string.h>

#include "base/mem.h"
#include "exec/call_int.h"
#include "exec/stages.h"

_Static_assert(SB_VIEW_ROWS_MAX == SB_VECTOR_ROWS && SB_VIEW_PAD == SB_LANES_MAX,
               "column views are what kernels expect");

/* --- sites -------------------------------------------------------------------------------------------------------- */

static sb_status site_inputs(sb_call_site *site, sb_error *err)
{
    const sb_func *func = site->func;
    size_t count = func->compiled ? func->ir.inputs.count : 0;
    site->input_columns = sb_mem_alloc(count * sizeof(int64_t));
    if (site->input_columns == NULL) {
        return sb_error_no_memory(err, count * sizeof(int64_t));
    }
    for (size_t k = 0; k < count; k++) {
        site->input_columns[k] = -1;
    }
    for (uint32_t i = 0; i < func->param_count && func->compiled; i++) {
        if (func->params[i].input >= 0 && (size_t)func->params[i].input < count) {
            site->input_columns[func->params[i].input] = site->columns[i];
        }
    }
    for (size_t k = 0; k < count; k++) {
        if (site->input_columns[k] < 0) {
            return sb_error_set(err, SB_INTERNAL, "function %.100s: kernel input %zu has no column",
                                func->name, k);
        }
    }
    return SB_OK;
}

static sb_status site_schemas(sb_call_site *site, const sb_type *input, sb_error *err)
{
    size_t count = site->func->param_count;
    site->schemas = sb_mem_alloc_zero(count * sizeof *site->schemas);
    site->schema_pointers = sb_mem_alloc_zero(count * sizeof *site->schema_pointers);
    if (site->schemas == NULL || site->schema_pointers == NULL) {
        return sb_error_no_memory(err, count * sizeof *site->schemas);
    }
    for (size_t i = 0; i < count; i++) {
        sb_status status =
            sb_type_export(input->children[site->columns[i]], &site->schemas[i], err);
        if (status != SB_OK) {
            return status;
        }
        site->schema_pointers[i] = &site->schemas[i];
    }
    return SB_OK;
}

static sb_status site_results(sb_call_site *site, const char *name, sb_error *err)
{
    sb_func *func = site->func;
    size_t count = sb_func_result_count(func);
    site->types = sb_mem_alloc_zero(count * sizeof *site->types);
    site->formats = sb_mem_alloc_zero(count + 1);
    if (site->types == NULL || site->formats == NULL) {
        return sb_error_no_memory(err, count * sizeof *site->types);
    }
    for (size_t k = 0; k < count; k++) {
        const char *format = sb_func_format(func, (uint32_t)k);
        bool text = format[0] == 'u';
        if (strlen(format) != 1 || strchr("cCsSiIlLfgbun", format[0]) == NULL ||
            (text && (func->compiled || func->key_count > 0))) {
            return sb_error_set(err, SB_UNSUPPORTED, "function %.100s: results of format \"%s\"",
                                func->name, format);
        }
        site->formats[k] = format[0];
        sb_status status = sb_type_new(format, func->key_count > 0 ? func->keys[k].name : name,
                                       ARROW_FLAG_NULLABLE, &site->types[k], err);
        if (status != SB_OK) {
            return status;
        }
        site->result_count = (int32_t)k + 1;
    }
    return SB_OK;
}

sb_status sb_call_site_init(sb_call_site *site, const sb_plan_call *call, const sb_type *input,
                            const char *name, int32_t function_index, const atomic_bool *interpret,
                            sb_tier tier, sb_error *err)
{
    sb_status status;
    *site = (sb_call_site){
        .func = call->func,
        .columns = call->columns,
        .made_first = INT64_MAX,
        .function_index = function_index,
        .native = call->func->compiled,
        .interpret = interpret,
        .tier = tier,
    };
    site->native = !sb_call_site_by_host(site);
    SB_TRY(site_results(site, name, err));
    SB_TRY(site_inputs(site, err));
    SB_TRY(site_schemas(site, input, err));
    return SB_OK;
out:
    sb_call_site_release(site);
    return status;
}

bool sb_call_site_by_host(const sb_call_site *site)
{
    return !site->native ||
           (site->interpret != NULL && atomic_load_explicit(site->interpret, memory_order_relaxed));
}

void sb_call_site_release(sb_call_site *site)
{
    for (size_t i = 0; site->schemas != NULL && i < site->func->param_count; i++) {
        if (site->schemas[i].release != NULL) {
            site->schemas[i].release(&site->schemas[i]);
        }
    }
    sb_mem_free(site->schemas);
    sb_mem_free(site->schema_pointers);
    sb_mem_free(site->input_columns);
    for (int32_t k = 0; k < site->result_count; k++) {
        sb_type_drop(site->types[k]);
    }
    sb_mem_free(site->types);
    sb_mem_free(site->formats);
    *site = (sb_call_site){0};
}

sb_status sb_call_local_new(const sb_call_site *site, sb_call_local **out, sb_error *err)
{
    sb_status status = SB_OK;
    size_t count = site->native ? site->func->ir.inputs.count : 0;
    size_t results = (size_t)site->result_count;
    size_t size = (count + results + 1) * sizeof(sb_view_scratch);
    sb_call_local *local = sb_mem_alloc_zero(sizeof *local);
    if (local == NULL) {
        return sb_error_no_memory(err, sizeof *local);
    }
    if (site->native) {
        local->inputs = sb_mem_alloc_aligned((count + 1) * sizeof(sb_view_scratch));
        local->in = sb_mem_alloc_array(count, sizeof *local->in);
        local->out = sb_mem_alloc_aligned(results * sizeof(sb_view_scratch));
        local->kout = sb_mem_alloc_array(results, sizeof *local->kout);
        if (local->inputs == NULL || local->in == NULL || local->out == NULL ||
            local->kout == NULL) {
            status = sb_error_no_memory(err, size);
            goto out;
        }
        SB_TRY(sb_func_local_new(site->func, &local->func, err));
        local->input_count = count;
        if (site->func->is_whole) {
            SB_TRY(sb_call_whole_new(site, &local->whole, err));
        }
    }
    *out = local;
    return SB_OK;
out:
    sb_call_local_free(local);
    return status;
}

void sb_call_local_free(sb_call_local *local)
{
    if (local == NULL) {
        return;
    }
    if (local->func != NULL) {
        sb_func_local_free(local->func);
    }
    sb_call_whole_free(local->whole, local->input_count);
    sb_mem_free_aligned(local->inputs);
    sb_mem_free(local->in);
    sb_mem_free_aligned(local->out);
    sb_mem_free(local->kout);
    sb_stages_local_free(local->stages);
    sb_mem_free(local);
}

/* --- calls -------------------------------------------------------------------------------------------------------- */

void sb_call_init(sb_call *call, const sb_call_site *site, int64_t rows)
{
    *call = (sb_call){.site = site, .rows = rows, .fail_row = -1};
}

void sb_call_release(sb_call *call)
{
    sb_call_host_release(call);
    for (int32_t k = 0; call->results != NULL && k < call->site->result_count; k++) {
        sb_mem_free_aligned(call->results[k].values);
        sb_mem_free_aligned(call->results[k].valid);
    }
    sb_mem_free(call->results);
    sb_mem_free_aligned(call->keep);
    sb_mem_free_aligned(call->whole);
    SB_VEC_RELEASE(&call->host_rows);
    *call = (sb_call){0};
}

/* Bytes of a validity bitmap, or of a Boolean result: whole 64-byte blocks. */
static size_t bits_size(int64_t rows)
{
    return sb_mask_size(rows);
}

sb_status sb_call_valid_new(sb_call *call, sb_call_result *result, bool value, sb_error *err)
{
    SB_ASSERT(result->valid == NULL);
    size_t size = bits_size(call->capacity);
    result->valid = sb_mem_alloc_aligned(size);
    if (result->valid == NULL) {
        return sb_error_no_memory(err, size);
    }
    memset(result->valid, value ? 0xFF : 0, size);
    return SB_OK;
}

/* Bytes of a value in the finished column; 0: no number. Until then each has 8. */
static size_t number_size(char format)
{
    switch (format) {
    case 'c':
    case 'C':
        return 1;
    case 's':
    case 'S':
        return 2;
    case 'i':
    case 'I':
    case 'f':
        return 4;
    case 'l':
    case 'L':
    case 'g':
        return 8;
    default:
        return 0;
    }
}

static sb_status values_new(const sb_call *call, sb_call_result *result, char format, sb_error *err)
{
    size_t size = 0;
    if (number_size(format) > 0) {
        size = (size_t)call->capacity * 8;
    } else if (format == 'b') {
        size = bits_size(call->capacity);
    } else {
        return SB_OK;
    }
    result->values = sb_mem_alloc_aligned(size);
    if (result->values == NULL) {
        return sb_error_no_memory(err, size);
    }
    if (format == 'b') {
        memset(result->values, 0,
               size); /* bits of rows that nobody computes are looked at by masks */
    }
    return SB_OK;
}

sb_status sb_call_results_new(sb_call *call, sb_error *err)
{
    const sb_call_site *site = call->site;
    size_t size = (size_t)site->result_count * sizeof *call->results;
    call->capacity = (call->rows + SB_LANES_MAX - 1) & ~(int64_t)(SB_LANES_MAX - 1);
    call->results = sb_mem_alloc_zero(size);
    if (call->results == NULL) {
        return sb_error_no_memory(err, size);
    }
    for (int32_t k = 0; k < site->result_count; k++) {
        sb_status status = values_new(call, &call->results[k], site->formats[k], err);
        if (status != SB_OK) {
            return status;
        }
    }
    return SB_OK;
}

static sb_status leaves_keep(sb_call *call, const sb_kcall *kcall, int64_t row0, sb_error *err)
{
    for (int32_t i = 0; i < kcall->leave_count; i++) {
        if (!SB_VEC_PUSH(&call->host_rows, (int32_t)row0 + SB_LEAVE_ROW(kcall->leave[i]))) {
            return sb_error_no_memory(err, call->host_rows.count * sizeof(int32_t));
        }
    }
    return SB_OK;
}

/* One value for all rows. */
static void single_view(const sb_array *column, int64_t rows, sb_view_scratch *scratch,
                        sb_view *out)
{
    sb_view one = {0};
    sb_view_values(column, 0, 1, scratch, &one);
    rows = (rows + SB_VIEW_PAD - 1) & ~(int64_t)(SB_VIEW_PAD - 1);
    if (column->type->layout == SB_LAYOUT_BOOL) {
        memset(scratch->values, *(const uint8_t *)one.values, (size_t)rows);
    } else {
        uint64_t value;
        memcpy(&value, one.values, sizeof value);
        for (int64_t i = 0; i < rows; i++) {
            memcpy(scratch->values + i * 8, &value, sizeof value);
        }
    }
    *out = (sb_view){.values = scratch->values};
}

void sb_call_view_inputs(const sb_call_site *site, sb_call_local *local, const sb_chunk *chunk,
                         int64_t row0, int64_t rows)
{
    const sb_ir *ir = &site->func->ir;
    for (size_t k = 0; k < ir->inputs.count; k++) {
        int64_t number = site->input_columns[k];
        sb_view view = {0};
        if (number >= site->made_first) {
            local->in[k] = (sb_kin){.values = local->made[number - site->made_first].values};
            continue;
        }
        sb_array *column = chunk->columns[number];
        if (column->length < chunk->rows) { /* what the host made of a phase: never null */
            single_view(column, rows, &local->inputs[k], &view);
            local->in[k] = (sb_kin){.values = view.values};
            continue;
        }
        if (ir->inputs.items[k].reads_values) {
            sb_view_values(column, row0, rows, &local->inputs[k], &view);
        }
        if (ir->inputs.items[k].reads_valid) {
            sb_view_valid(column, row0, rows, &local->inputs[k], &view);
        }
        local->in[k] = (sb_kin){.values = view.values, .valid = view.valid};
    }
}

/* Where the kernel writes: into the columns' memory, or to bytes that are packed or dropped. */
static void vector_out(const sb_call *call, sb_call_local *local, int64_t row0)
{
    for (int32_t k = 0; k < call->site->result_count; k++) {
        const sb_call_result *result = &call->results[k];
        char format = call->site->formats[k];
        uint8_t *valid = result->valid != NULL ? result->valid + row0 / 8 : NULL;
        sb_kout *out = &local->kout[k];
        *out = (sb_kout){.values = local->out[k].values, .valid = valid};
        if (number_size(format) > 0) {
            out->values = (uint8_t *)result->values + row0 * 8;
        } else if (format == 'n') {
            out->valid = local->out[k].valid;
        }
    }
}

static void booleans_pack(const sb_call *call, const sb_call_local *local, int64_t row0,
                          int64_t rows)
{
    for (int32_t k = 0; k < call->site->result_count; k++) {
        if (call->site->formats[k] == 'b') {
            sb_bitmap_pack((uint8_t *)call->results[k].values + row0 / 8, local->out[k].values,
                           rows);
        }
    }
}

static sb_status vector_run(sb_call *call, sb_call_local *local, sb_work *work, int64_t row0,
                            int64_t rows, sb_error *err)
{
    const sb_call_site *site = call->site;
    sb_call_view_inputs(site, local, work->chunk, row0, rows);
    vector_out(call, local, row0);
    const uint8_t *active = work->chunk->active;
    sb_kcall kcall = {
        .in = local->in,
        .out = local->kout,
        .active = active != NULL ? active + row0 / 8 : NULL,
        .stop = work->stop,
    };
    sb_status status = sb_func_run(site->func, local->func, &kcall, (int32_t)rows, site->tier,
                                   &work->counts[site->function_index].func, err);
    if (status != SB_OK) {
        return status;
    }
    booleans_pack(call, local, row0, rows);
    return leaves_keep(call, &kcall, row0, err);
}

/* Bitmaps of the results that can be null. */
static sb_status valids_new(sb_call *call, sb_error *err)
{
    for (int32_t k = 0; k < call->site->result_count; k++) {
        const sb_ir_output *output = &call->site->func->ir.outputs.items[k];
        if (!output->nullable || call->site->formats[k] == 'n') {
            continue;
        }
        sb_status status = sb_call_valid_new(call, &call->results[k], false, err);
        if (status != SB_OK) {
            return status;
        }
    }
    return SB_OK;
}

static sb_status host_row_add(sb_call *call, int64_t row, sb_error *err)
{
    if (!SB_VEC_PUSH(&call->host_rows, (int32_t)row)) {
        return sb_error_no_memory(err, call->host_rows.count * sizeof(int32_t));
    }
    call->host_count = (int64_t)call->host_rows.count;
    return SB_OK;
}

/* Every row of a vector that counts is the host's. */
static sb_status vector_pass(sb_call *call, const sb_chunk *chunk, int64_t row0, int64_t rows,
                             sb_error *err)
{
    for (int64_t row = row0; row < row0 + rows; row++) {
        const bool counts = chunk->active == NULL || sb_bit_get(chunk->active, row);
        if (counts && !SB_VEC_PUSH(&call->host_rows, (int32_t)row)) {
            return sb_error_no_memory(err, call->host_rows.count * sizeof(int32_t));
        }
    }
    return SB_OK;
}

/* One vector by native code, or none of it. */
static sb_status vector_do(sb_call *call, sb_call_local *local, sb_work *work, int64_t row0,
                           int64_t rows, sb_error *err)
{
    const sb_call_site *site = call->site;
    const uint8_t *active = work->chunk->active;
    const size_t before = call->host_rows.count;
    sb_func_counts *counts = &work->counts[site->function_index].func;
    if (!call->undivided && sb_func_passes(local->func, rows, site->tier, counts)) {
        return vector_pass(call, work->chunk, row0, rows, err);
    }
    sb_status status = vector_run(call, local, work, row0, rows, err);
    if (status == SB_OK && !call->undivided) {
        const int64_t given = active != NULL ? sb_bitmap_count(active, row0, rows) : rows;
        sb_func_judge(local->func, given, (int64_t)(call->host_rows.count - before), false,
                      site->tier);
    }
    return status;
}

static sb_status native_run(sb_call *call, sb_call_local *local, sb_work *work, sb_error *err)
{
    const uint8_t *active = work->chunk->active;
    sb_status status = valids_new(call, err);
    if (status != SB_OK) {
        return status;
    }
    for (int64_t row0 = 0; row0 < call->rows; row0 += SB_VECTOR_ROWS) {
        int64_t rows = call->rows - row0 < SB_VECTOR_ROWS ? call->rows - row0 : SB_VECTOR_ROWS;
        if (active != NULL && sb_bitmap_count(active, row0, rows) == 0) {
            continue;
        }
        bool left = false;
        if (local->stages != NULL) {
            status = sb_stages_run(local->stages, work, row0, rows, &left, err);
        }
        /* Where a row leaves with all others, what is behind it is not computed. */
        if (status == SB_OK && (left || (call->undivided && call->host_rows.count > 0))) {
            work->counts[call->site->function_index].func.rows += call->rows - row0;
            return left ? host_row_add(call, row0, err) : SB_OK;
        }
        if (status == SB_OK) {
            status = vector_do(call, local, work, row0, rows, err);
        }
        if (status != SB_OK) {
            return status;
        }
    }
    call->host_count = (int64_t)call->host_rows.count;
    call->dense = call->host_count == call->rows && call->rows > 0;
    return SB_OK;
}

sb_status sb_call_try(sb_call *call, sb_call_local *local, const sb_chunk *chunk,
                      const uint32_t *stop, bool *done, sb_error *err)
{
    SB_ASSERT(call->site->native && chunk->active == NULL && call->rows <= SB_VECTOR_ROWS);
    *done = false;
    sb_status status = sb_call_results_new(call, err);
    if (status == SB_OK) {
        status = valids_new(call, err);
    }
    if (status != SB_OK) {
        return status;
    }
    sb_kcall kcall = {.in = local->in, .out = local->kout, .stop = stop};
    sb_call_view_inputs(call->site, local, chunk, 0, call->rows);
    vector_out(call, local, 0);
    *done = sb_func_try(call->site->func, local->func, &kcall, (int32_t)call->rows);
    if (*done) {
        booleans_pack(call, local, 0, call->rows);
    }
    return SB_OK;
}

/* Every row that counts is the host's. */
static sb_status host_rows_all(sb_call *call, const sb_chunk *chunk, sb_error *err)
{
    if (chunk->active == NULL) {
        call->dense = true;
        call->host_count = call->rows;
        return SB_OK;
    }
    for (int64_t row = 0; row < call->rows; row++) {
        if (sb_bit_get(chunk->active, row) && !SB_VEC_PUSH(&call->host_rows, (int32_t)row)) {
            return sb_error_no_memory(err, call->host_rows.count * sizeof(int32_t));
        }
    }
    call->host_count = (int64_t)call->host_rows.count;
    return SB_OK;
}

sb_status sb_call_run(sb_call *call, sb_call_local *local, sb_work *work, bool *blocked,
                      sb_error *err)
{
    *blocked = false;
    if (!call->computed) {
        sb_status status = sb_call_results_new(call, err);
        if (status == SB_OK) {
            call->by_host = sb_call_site_by_host(call->site);
            status = call->by_host ? host_rows_all(call, work->chunk, err)
                                   : native_run(call, local, work, err);
        }
        if (status != SB_OK) {
            return status;
        }
        call->computed = true;
    }
    return sb_call_host_ask(call, work, blocked, err);
}

sb_status sb_call_native(sb_call *call, sb_call_local *local, sb_work *work, int64_t *left,
                         sb_error *err)
{
    const sb_call_site *site = call->site;
    SB_ASSERT(site->native);
    sb_func_counts *counts = &work->counts[site->function_index].func;
    *left = call->rows;
    if (sb_func_passes(local->func, call->rows, site->tier, counts)) {
        return SB_OK;
    }
    call->undivided = true;
    sb_status status = sb_call_results_new(call, err);
    if (status == SB_OK) {
        status = native_run(call, local, work, err);
    }
    *left = (int64_t)call->host_rows.count;
    if (status == SB_OK) {
        sb_func_judge(local->func, call->rows, *left > 0 ? call->rows : 0, true, site->tier);
    }
    return status;
}

void sb_call_fail(const sb_call *call, const sb_op *op, sb_work *work)
{
    SB_ASSERT(call->fail_row >= 0);
    work->token = (sb_token){
        .kind = SB_TOKEN_ERROR,
        .seq = work->chunk->seq,
        .row = sb_chunk_source_row(work->chunk, call->fail_row),
        .op = op->node->op_index,
        .function_index = call->site->function_index,
        .error = call->failure,
    };
}

void sb_call_narrow(uint8_t *values, int64_t rows, char format)
{
    const size_t size = number_size(format);
    for (int64_t i = 0; i < rows && size < 8; i++) {
        if (format == 'f') {
            double wide;
            memcpy(&wide, values + i * 8, sizeof(wide));
            const float narrow = (float)wide;
            memcpy(values + i * 4, &narrow, sizeof(narrow));
        } else { /* little-endian: the low bytes come first */
            memmove(values + (size_t)i * size, values + i * 8, size);
        }
    }
}

/* --- results ------------------------------------------------------------------------------------------------------ */

sb_status sb_call_take_column(sb_call *call, int32_t result, int64_t rows, sb_array **out,
                              sb_error *err)
{
    SB_ASSERT(rows <= call->rows && result < call->site->result_count);
    sb_call_result *own = &call->results[result];
    sb_type *type = call->site->types[result];
    char format = call->site->formats[result];
    if (format == 'n') {
        return sb_array_new_null(type, rows, out, err);
    }
    if (format == 'u') {
        return sb_call_text_take(call, rows, out, err);
    }
    sb_array_parts parts = {.length = rows, .extent = call->capacity, .block_count = 2};
    if (own->valid != NULL) {
        parts.null_count = rows - sb_bitmap_count(own->valid, 0, rows);
    }
    parts.blocks[0] = parts.null_count > 0 ? own->valid : NULL;
    parts.blocks[1] = own->values;
    if (format != 'b') {
        sb_call_narrow(own->values, rows, format);
    }
    sb_status status = sb_array_new(type, &parts, out, err);
    if (status != SB_OK) {
        return status;
    }
    own->values = NULL;
    if (parts.blocks[0] != NULL) {
        own->valid = NULL;
    }
    return SB_OK;
}

static void mask_values(const sb_call *call, int32_t result, int64_t rows, uint8_t *mask)
{
    char format = call->site->formats[result];
    if (format == 'b') {
        memcpy(mask, call->results[result].values, sb_bitmap_size(rows));
    } else if (format == 'l') {
        const int64_t *values = call->results[result].values;
        for (int64_t i = 0; i < rows; i++) {
            sb_bit_put(mask, i, values[i] != 0);
        }
    } else if (format == 'g') {
        const double *values = call->results[result].values;
        for (int64_t i = 0; i < rows; i++) {
            sb_bit_put(mask, i, values[i] < 0 || values[i] > 0 || values[i] != values[i]);
        }
    } else if (format == 'u') {
        sb_call_text_mask(call, rows, mask);
    }
}

sb_status sb_call_mask(const sb_call *call, int32_t result, int64_t rows, uint8_t **out,
                       sb_error *err)
{
    size_t size = sb_mask_size(rows);
    uint8_t *mask = sb_mem_alloc_aligned(size);
    if (mask == NULL) {
        return sb_error_no_memory(err, size);
    }
    memset(mask, 0, size == 0 ? 64 : size);
    mask_values(call, result, rows, mask);
    const uint8_t *valid = call->results[result].valid;
    if (valid != NULL) {
        for (size_t i = 0; i < sb_bitmap_size(rows); i++) {
            mask[i] = (uint8_t)(mask[i] & valid[i]);
        }
    }
    /* The last byte may carry bits of rows behind the last. */
    if ((rows & 7) != 0) {
        mask[rows / 8] = (uint8_t)(mask[rows / 8] & ((1u << (rows & 7)) - 1));
    }
    *out = mask;
    return SB_OK;
}
