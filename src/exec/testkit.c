/* The test source and host, as exec/testkit.h promises them.
 *
 * Algorithm: a batch is one block with all buffers; its release frees it. The host reads arguments through the same Arrow structs
 * that a real host gets and checks them against the row numbers that come with them.
 *
 * Threads: the lane's. Memory: plain heap blocks through base/mem.h. */
#include "exec/testkit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "exec/call.h"

#define SKEW 5 /* rows in front of every buffer that belong to nobody */

/* --- rows --------------------------------------------------------------------------------------------------------- */

bool sb_kit_a_valid(int64_t row)
{
    return row % 7 != 3;
}
int64_t sb_kit_a(int64_t row)
{
    return row % 11 == 5 ? INT64_MAX / 2 : row * 3 - 50;
}
int64_t sb_kit_b(int64_t row)
{
    return row % 13 + 2;
}
double sb_kit_x(int64_t row)
{
    return (double)row * 0.25 - 8;
}
bool sb_kit_c_valid(int64_t row)
{
    return row % 5 != 1;
}
bool sb_kit_c(int64_t row)
{
    return row % 3 == 0;
}
bool sb_kit_dropped(int64_t row)
{
    return row % 9 < 2;
}
bool sb_kit_s_valid(int64_t row)
{
    return row % 6 != 2;
}
void sb_kit_s(int64_t row, char out[16])
{
    (void)snprintf(out, 16, "%.*s%" PRId64, (int)(row % 4), "wxyz", row % 1000);
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

typedef struct kit_block {
    sb_kit_source *source;
    struct ArrowArray nodes[5];
    struct ArrowArray *pointers[5];
    const void *buffers[6][3];
    uint8_t *data;
} kit_block;

static void child_release(struct ArrowArray *array)
{
    array->release = NULL;
}

static void batch_release(struct ArrowArray *array)
{
    kit_block *block = array->private_data;
    block->source->live--;
    if (!block->source->lane) {
        block->source->out_of_thread = true;
    }
    sb_mem_free(block->data);
    sb_mem_free(block);
    array->release = NULL;
}

static void batch_fill(kit_block *block, int64_t first, int64_t rows)
{
    int64_t all = rows + SKEW;
    uint8_t *at = block->data;
    int64_t *a = (void *)at, *b = a + all;
    double *x = (void *)(b + all);
    int32_t *offsets = (void *)(x + all);
    uint8_t *bits = (void *)(offsets + all + 1);
    size_t bitmap = sb_bitmap_size(all);
    char *text = (char *)bits + 4 * bitmap;
    int32_t size = 0;
    memset(bits, 0, 4 * bitmap);
    offsets[0] = 0;
    for (int64_t i = 0; i < all; i++) {
        int64_t row = first + i - SKEW;
        bool real = i >= SKEW;
        a[i] = real ? sb_kit_a(row) : -7;
        b[i] = real ? sb_kit_b(row) : 0;
        x[i] = real ? sb_kit_x(row) : 1e300;
        sb_bit_put(bits, i, real && sb_kit_a_valid(row));
        sb_bit_put(bits + bitmap, i, real && sb_kit_c_valid(row));
        sb_bit_put(bits + 2 * bitmap, i, real && sb_kit_c(row));
        sb_bit_put(bits + 3 * bitmap, i, real && sb_kit_s_valid(row));
        if (real && sb_kit_s_valid(row)) {
            char word[16];
            sb_kit_s(row, word);
            for (const char *c = word; *c != 0; c++) {
                text[size++] = *c;
            }
        }
        offsets[i + 1] = size;
    }
    const void *buffers[6][3] = {{bits, a},
                                 {NULL, b},
                                 {NULL, x},
                                 {bits + bitmap, bits + 2 * bitmap},
                                 {bits + 3 * bitmap, offsets, text},
                                 {NULL}};
    memcpy(block->buffers, buffers, sizeof buffers);
}

/* Half of the skew is the struct's offset, the rest the children's. */
static int batch_make(sb_kit_source *source, int64_t rows, struct ArrowArray *out)
{
    size_t all = (size_t)(rows + SKEW);
    kit_block *block = sb_mem_alloc_zero(sizeof *block);
    uint8_t *data = sb_mem_alloc(all * (8 * 3 + 4 + 16) + 4 * sb_bitmap_size((int64_t)all) + 4);
    if (block == NULL || data == NULL) {
        sb_mem_free(block);
        sb_mem_free(data);
        return ENOMEM;
    }
    block->source = source;
    block->data = data;
    batch_fill(block, source->at, rows);
    for (int i = 0; i < 5; i++) {
        block->pointers[i] = &block->nodes[i];
        block->nodes[i] = (struct ArrowArray){
            .length = rows + 2,
            .null_count = i == 1 || i == 2 ? 0 : -1,
            .offset = SKEW - 2,
            .n_buffers = i == 4 ? 3 : 2,
            .buffers = block->buffers[i],
            .release = child_release,
        };
    }
    *out = (struct ArrowArray){
        .length = rows,
        .offset = 2,
        .n_buffers = 1,
        .n_children = 5,
        .buffers = block->buffers[5],
        .children = block->pointers,
        .release = batch_release,
        .private_data = block,
    };
    source->live++;
    return 0;
}

/* --- the stream --------------------------------------------------------------------------------------------------- */

static int stream_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    (void)stream;
    sb_type *schema = sb_kit_schema();
    sb_status status = schema != NULL ? sb_type_export(schema, out, NULL) : SB_NO_MEMORY;
    sb_type_drop(schema);
    return status == SB_OK ? 0 : ENOMEM;
}

static int stream_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    sb_kit_source *source = stream->private_data;
    out->release = NULL;
    if (source->batch == source->fail_batch) {
        return EIO;
    }
    int64_t left = source->rows - source->at;
    if (left == 0) {
        return 0;
    }
    int64_t rows = source->batch_rows > 0 && source->batch_rows < left ? source->batch_rows : left;
    int code = batch_make(source, rows, out);
    if (code == 0) {
        source->at += rows;
        source->batch++;
    }
    return code;
}

static const char *stream_error(struct ArrowArrayStream *stream)
{
    (void)stream;
    return "the disk is on fire";
}

static void stream_release(struct ArrowArrayStream *stream)
{
    sb_kit_source *source = stream->private_data;
    source->released = true;
    stream->release = NULL;
}

void sb_kit_stream(sb_kit_source *source, struct ArrowArrayStream *out)
{
    *out = (struct ArrowArrayStream){
        .get_schema = stream_schema,
        .get_next = stream_next,
        .get_last_error = stream_error,
        .release = stream_release,
        .private_data = source,
    };
}

/* --- reading arrow arrays ----------------------------------------------------------------------------------------- */

static bool array_valid(const struct ArrowArray *array, int64_t row)
{
    const uint8_t *bits = array->n_buffers > 0 ? array->buffers[0] : NULL;
    return bits == NULL || sb_bit_get(bits, array->offset + row);
}
static int64_t array_i64(const struct ArrowArray *array, int64_t row)
{
    return ((const int64_t *)array->buffers[1])[array->offset + row];
}
static double array_f64(const struct ArrowArray *array, int64_t row)
{
    return ((const double *)array->buffers[1])[array->offset + row];
}
static bool array_bool(const struct ArrowArray *array, int64_t row)
{
    return sb_bit_get(array->buffers[1], array->offset + row);
}

static void value_print(const struct ArrowSchema *schema, const struct ArrowArray *array,
                        int64_t row, sb_buf *out)
{
    const int32_t *offsets;
    if (schema->format[0] == 'n' || !array_valid(array, row)) {
        sb_buf_text(out, "-");
        return;
    }
    switch (schema->format[0]) {
    case 'l':
        sb_buf_printf(out, "%" PRId64, array_i64(array, row));
        break;
    case 'g':
        sb_buf_printf(out, "%a", array_f64(array, row));
        break;
    case 'b':
        sb_buf_text(out, array_bool(array, row) ? "true" : "false");
        break;
    default:
        offsets = (const int32_t *)array->buffers[1] + array->offset + row;
        sb_buf_char(out, '\'');
        sb_buf_append(out, (const char *)array->buffers[2] + offsets[0],
                      (size_t)(offsets[1] - offsets[0]));
    }
}

static void batch_print(const struct ArrowSchema *schema, const struct ArrowArray *batch,
                        sb_buf *out)
{
    for (int64_t row = 0; row < batch->length; row++) {
        for (int64_t i = 0; i < batch->n_children; i++) {
            sb_buf_printf(out, "%s%s=", i > 0 ? " " : "", schema->children[i]->name);
            value_print(schema->children[i], batch->children[i], batch->offset + row, out);
        }
        sb_buf_char(out, '\n');
    }
}

/* --- the host ----------------------------------------------------------------------------------------------------- */

void sb_kit_host_init(sb_kit_host *host)
{
    *host = (sb_kit_host){.in_order = true,
                          .args_right = true,
                          .ascending = true,
                          .fail_row = -1,
                          .fail_function = -1,
                          .fail_row_2 = -1,
                          .fail_function_2 = -1,
                          .fail_batch = -1,
                          .drop_batch = -1,
                          .refuse_batch = -1,
                          .short_batch = -1,
                          .drop_function = -1};
    sb_buf_init(&host->out, 0);
}

void sb_kit_host_release(sb_kit_host *host)
{
    sb_buf_release(&host->out);
}

/* Are the arguments what the source has in that row? */
static bool args_match(const sb_ask *ask, int64_t at, int64_t row)
{
    for (uint32_t i = 0; i < ask->arg_count; i++) {
        const struct ArrowArray *arg = ask->args[i];
        char name = ask->arg_schemas[i]->name[0];
        bool valid = array_valid(arg, at);
        bool right = name == 'a' ? valid == sb_kit_a_valid(row) &&
                                       (!valid || array_i64(arg, at) == sb_kit_a(row))
                     : name == 'b' ? array_i64(arg, at) == sb_kit_b(row)
                     : name == 'x' ? array_f64(arg, at) == sb_kit_x(row)
                     : name == 'c' ? valid == sb_kit_c_valid(row) &&
                                         (!valid || array_bool(arg, at) == sb_kit_c(row))
                                   : valid == sb_kit_s_valid(row);
        if (!right) {
            return false;
        }
    }
    return true;
}

/* "mul", "half" and "flip" of one row, as results 0, 1 and 2. */
static void compute_all(const sb_ask *ask, int64_t i, int64_t row)
{
    char *values = ask->values;
    int64_t product;
    bool over = sb_mul_overflow_i64(sb_kit_a(row), sb_kit_b(row), &product) ||
                sb_add_overflow_i64(product, 1, &product);
    ask->valid[i] = sb_kit_a_valid(row);
    ((int64_t *)ask->values)[i] = over ? -1 : product;
    ask->valid[ask->row_count + i] = 1;
    ((double *)(void *)(values + 8 * ask->row_count))[i] = sb_kit_x(row) * 0.5;
    ask->valid[2 * ask->row_count + i] = sb_kit_c_valid(row);
    values[16 * ask->row_count + i] = !sb_kit_c(row);
}

static void compute(const sb_ask *ask, int64_t i, int64_t row, sb_buf *texts, int32_t *offsets)
{
    const char *name = ask->func->name;
    ask->valid[i] = 1;
    if (strcmp(name, "all") == 0) {
        compute_all(ask, i, row);
    } else if (strcmp(name, "mul") == 0) {
        int64_t product;
        bool over = sb_mul_overflow_i64(sb_kit_a(row), sb_kit_b(row), &product) ||
                    sb_add_overflow_i64(product, 1, &product);
        ask->valid[i] = sb_kit_a_valid(row);
        ((int64_t *)ask->values)[i] = over ? -1 : product;
    } else if (strcmp(name, "half") == 0) {
        ((double *)ask->values)[i] = sb_kit_x(row) * 0.5;
    } else if (strcmp(name, "keep") == 0) {
        ((uint8_t *)ask->values)[i] = sb_kit_b(row) % 3 != 0;
    } else if (strcmp(name, "flip") == 0) {
        ((uint8_t *)ask->values)[i] = !sb_kit_c(row);
        ask->valid[i] = sb_kit_c_valid(row);
    } else if (strcmp(name, "score") == 0) {
        ((double *)ask->values)[i] = sb_kit_x(row) + (double)sb_kit_b(row);
        ask->valid[i] = !sb_kit_c_valid(row) || sb_kit_c(row);
    } else if (offsets != NULL) {
        char word[16] = "";
        if (sb_kit_s_valid(row)) {
            sb_kit_s(row, word);
        }
        sb_buf_printf(texts, "%s/%" PRId64, word, sb_kit_b(row));
        offsets[i + 1] = (int32_t)texts->size;
    }
}

static void text_release(struct ArrowArray *array)
{
    sb_mem_free(array->private_data);
    array->release = NULL;
}

/* A text column over offsets and characters; buffers[3..] holds both, taken. */
static bool text_column(int64_t rows, const int32_t *offsets, const sb_buf *texts,
                        struct ArrowArray *out)
{
    size_t size = ((size_t)rows + 1) * 4;
    const void **block = sb_mem_alloc(3 * sizeof(void *) + size + texts->size + 1);
    if (block == NULL) {
        return false;
    }
    uint8_t *at = (void *)(block + 3);
    memcpy(at, offsets, size);
    if (texts->size > 0) {
        memcpy(at + size, texts->data, texts->size);
    }
    block[0] = NULL;
    block[1] = at;
    block[2] = at + size;
    *out = (struct ArrowArray){.length = rows,
                               .n_buffers = 3,
                               .buffers = block,
                               .release = text_release,
                               .private_data = block};
    return true;
}

static sb_status answer_rows(sb_kit_host *host, sb_run *run, const sb_ask *ask, sb_error *err)
{
    bool text = strcmp(ask->func->result_format, "u") == 0;
    int32_t *offsets = text ? sb_mem_alloc(((size_t)ask->row_count + 1) * 4) : NULL;
    struct ArrowArray column = {0};
    sb_buf texts;
    sb_answer answer = {.done_count = ask->row_count};
    sb_buf_init(&texts, 0);
    if (text && offsets == NULL) {
        return sb_error_no_memory(err, 4);
    }
    if (text) {
        offsets[0] = 0;
    }
    for (int64_t i = 0; i < ask->row_count; i++) {
        int64_t at = ask->rows != NULL ? ask->rows[i] : i;
        int64_t row = ask->source_rows != NULL ? ask->source_rows[i]
                                               : ask->source_row + (ask->rows != NULL ? at : i);
        host->args_right = host->args_right && args_match(ask, at, row);
        if ((row == host->fail_row && ask->function_index == host->fail_function) ||
            (row == host->fail_row_2 && ask->function_index == host->fail_function_2)) {
            answer.done_count = i;
            answer.message = "boom";
            break;
        }
        compute(ask, i, row, &texts, offsets);
        if (ask->function_index == host->drop_function && sb_kit_dropped(row)) {
            ask->valid[i] = host->nulls ? SB_ROW_NULL : SB_ROW_DROPPED;
        }
    }
    host->asks++;
    host->ask_rows += answer.done_count;
    host->ask_rows_max = ask->row_count > host->ask_rows_max ? ask->row_count : host->ask_rows_max;
    sb_status status = SB_OK;
    if (text && (texts.failed || !text_column(answer.done_count, offsets, &texts, &column))) {
        status = sb_error_no_memory(err, texts.size);
    }
    answer.column = &column;
    if (status == SB_OK) {
        status = sb_run_answer(run, &answer, err);
    }
    if (column.release != NULL) {
        column.release(&column);
    }
    sb_mem_free(offsets);
    sb_buf_release(&texts);
    return status;
}

static void bools_release(struct ArrowArray *array)
{
    sb_mem_free(array->private_data);
    array->release = NULL;
}

/* True where the batch's column b is even. */
static bool evens(const struct ArrowArray *batch, struct ArrowArray *out)
{
    const void **block = sb_mem_alloc_zero(2 * sizeof(void *) + sb_bitmap_size(batch->length) + 1);
    if (block == NULL) {
        return false;
    }
    uint8_t *bits = (void *)(block + 2);
    for (int64_t row = 0; row < batch->length; row++) {
        sb_bit_put(bits, row, array_i64(batch->children[1], batch->offset + row) % 2 == 0);
    }
    block[1] = bits;
    *out = (struct ArrowArray){.length = batch->length,
                               .n_buffers = 2,
                               .buffers = block,
                               .release = bools_release,
                               .private_data = block};
    return true;
}

static void schema_release_nothing(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static sb_status answer_batch(sb_kit_host *host, sb_run *run, const sb_event *event, bool is_filter,
                              sb_error *err)
{
    struct ArrowArray batch = {0}, bits = {0};
    struct ArrowSchema schema = {0};
    struct ArrowSchema boolean = {.format = "b", .name = "", .release = schema_release_nothing};
    sb_answer answer = {.message = "boom"};
    sb_status status = sb_type_export(event->ask->chunk->schema, &schema, err);
    if (status == SB_OK) {
        status = sb_chunk_export(event->ask->chunk, &batch, err);
    }
    if (status == SB_OK && is_filter && !evens(&batch, &bits)) {
        status = sb_error_no_memory(err, 1);
    }
    if (event->seq.batch == host->drop_batch) {
        answer.message = NULL;
    } else if (event->seq.batch != host->fail_batch) {
        answer.array = is_filter ? &bits : &batch;
        answer.schema = is_filter ? &boolean : &schema;
    }
    host->asks++;
    if (status == SB_OK) {
        status = sb_run_answer(run, &answer, err);
    }
    if (batch.release != NULL) {
        batch.release(&batch);
    }
    if (bits.release != NULL) {
        bits.release(&bits);
    }
    if (schema.release != NULL) {
        schema.release(&schema);
    }
    return status;
}

static const sb_plan *node_of(const sb_plan *plan, int32_t op)
{
    while (plan->op_index != op) {
        plan = plan->input;
    }
    return plan;
}

/* Of a phase its own columns come back, or the first row of these. */
static sb_status answer_phase(sb_kit_host *host, sb_run *run, const sb_plan *plan,
                              const sb_event *event, sb_error *err)
{
    const sb_plan_phase *phase = &node_of(plan, event->op)->phases[event->ask->phase - 1];
    const sb_chunk *given = event->ask->chunk;
    struct ArrowArray batch = {0};
    sb_chunk *part = NULL;
    const int64_t rows = phase->one_row ? 1 : given->rows;
    host->phases++;
    if (event->seq.batch == host->refuse_batch) {
        const sb_answer none = {0};
        return sb_run_answer(run, &none, err);
    }
    sb_status status =
        sb_chunk_slice(given, 0, rows - (event->seq.batch == host->short_batch), &part, err);
    if (status == SB_OK) {
        status = sb_chunk_export(part, &batch, err);
    }
    sb_chunk_free(part);
    if (status == SB_OK) {
        const sb_answer answer = {.array = &batch};
        status = sb_run_answer(run, &answer, err);
    }
    if (batch.release != NULL) {
        batch.release(&batch);
    }
    return status;
}

static sb_status take_batch(sb_kit_host *host, sb_chunk *chunk, sb_error *err)
{
    struct ArrowArray batch = {0};
    struct ArrowSchema schema = {0};
    sb_status status = sb_type_export(chunk->schema, &schema, err);
    if (status == SB_OK) {
        status = sb_chunk_export(chunk, &batch, err);
    }
    sb_chunk_free(chunk);
    if (status == SB_OK) {
        batch_print(&schema, &batch, &host->out);
        host->batches++;
        batch.release(&batch);
    }
    if (schema.release != NULL) {
        schema.release(&schema);
    }
    return status;
}

static sb_status answer_ask(sb_kit_host *host, sb_run *run, const sb_plan *plan,
                            const sb_event *event, sb_error *err)
{
    if (event->ask->phase > 0) {
        return answer_phase(host, run, plan, event, err);
    }
    return event->ask->whole_batch
               ? answer_batch(host, run, event, node_of(plan, event->op)->is_filter, err)
               : answer_rows(host, run, event->ask, err);
}

/* The host's code has changed what functions were compiled from. */
static sb_status revoke(sb_kit_host *host, sb_run *run)
{
    if (host->revoke == NULL || host->events++ != host->revoke_at) {
        return SB_OK;
    }
    host->rows_before = host->rows;
    host->asked_before = host->ask_rows;
    return sb_run_interpret(run, host->revoke, host->revoke_count, &host->error);
}

static void look_at_order(sb_kit_host *host, sb_seq seq)
{
    bool below = seq.batch < host->last.batch ||
                 (seq.batch == host->last.batch && seq.part < host->last.part);
    host->ascending = host->ascending && !below;
    host->last = seq;
}

static void drive(sb_kit_host *host, sb_run *run, const sb_plan *plan, sb_kit_source *source)
{
    for (;;) {
        sb_event event = {0};
        source->lane = true;
        host->status = sb_run_next(run, &event, &host->error);
        source->lane = false;
        if (host->status != SB_OK || event.kind == SB_EVENT_END) {
            host->failure = *sb_run_failure(run);
            return;
        }
        host->wakes += event.kind == SB_EVENT_WAKE;
        source->lane = true; /* what the host does here happens on the lane too */
        if (event.kind == SB_EVENT_BATCH) {
            look_at_order(host, event.seq);
            host->rows += event.chunk->rows;
            host->status = take_batch(host, event.chunk, &host->error);
        }
        if (host->status == SB_OK && event.kind != SB_EVENT_WAKE) {
            host->status = revoke(host, run);
        }
        if (host->status == SB_OK && event.kind == SB_EVENT_ASK) {
            look_at_order(host, event.seq);
            if (event.ask->in_order) {
                host->in_order = host->in_order && event.seq.batch >= host->order_max;
                host->order_max = event.seq.batch;
            }
            host->status = answer_ask(host, run, plan, &event, &host->error);
        }
        source->lane = false;
        if (host->status != SB_OK) {
            return;
        }
    }
}

void sb_kit_run(sb_kit_host *host, sb_plan *plan, sb_kit_source *source,
                const sb_run_options *options)
{
    struct ArrowArrayStream stream;
    sb_run *run = NULL;
    sb_kit_stream(source, &stream);
    host->status = sb_run_new(plan, &stream, options, &run, &host->error);
    if (host->status == SB_OK) {
        drive(host, run, plan, source);
    }
    source->lane = true;
    sb_run_free(run);
    source->lane = false;
    if (stream.release != NULL) {
        stream.release(&stream);
    }
}
