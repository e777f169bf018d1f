/* A million rows through a filter, with sabot.h alone.
 *
 * The program is the host: it makes the data itself, as an ArrowArrayStream of batches with the columns id and x, and it answers for
 * the filter with a mask: a Boolean array with nulls, of which the engine keeps the rows that are true. It prints how many
 * rows came out and the sum of their ids.
 *
 *     cc filter.c -lsabot && ./a.out
 */
#include <sabot.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 1000000
#define BATCH 65536

static int64_t x_of(int64_t id)
{
    return id * 7919 % 1000;
}

/* --- schemas: static, so there is nothing to release ------------------------------------------------------------------ */

static void schema_release(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static void schema_fill(struct ArrowSchema *out)
{
    static struct ArrowSchema columns[2];
    static struct ArrowSchema *pointers[2] = {&columns[0], &columns[1]};
    static const char *const names[2] = {"id", "x"};
    for (int i = 0; i < 2; i++) {
        columns[i] =
            (struct ArrowSchema){.format = "l", .name = names[i], .release = schema_release};
    }
    *out = (struct ArrowSchema){.format = "+s",
                                .name = "",
                                .n_children = 2,
                                .children = pointers,
                                .release = schema_release};
}

/* --- arrays: one block each, with everything in it --------------------------------------------------------------------- */

typedef struct batch {
    struct ArrowArray columns[2];
    struct ArrowArray *pointers[2];
    const void *struct_buffers[1];
    const void *buffers[2][2];
    int64_t values[2][BATCH];
} batch;

static void column_release(struct ArrowArray *array)
{
    array->release = NULL; /* the batch holds its memory */
}

static void batch_release(struct ArrowArray *array)
{
    free(array->private_data);
    array->release = NULL;
}

static int batch_make(int64_t first, int64_t rows, struct ArrowArray *out)
{
    batch *own = calloc(1, sizeof *own);
    if (own == NULL) {
        return 12; /* ENOMEM */
    }
    for (int64_t i = 0; i < rows; i++) {
        own->values[0][i] = first + i;
        own->values[1][i] = x_of(first + i);
    }
    for (int c = 0; c < 2; c++) {
        own->buffers[c][1] = own->values[c];
        own->pointers[c] = &own->columns[c];
        own->columns[c] = (struct ArrowArray){
            .length = rows, .n_buffers = 2, .buffers = own->buffers[c], .release = column_release};
    }
    *out = (struct ArrowArray){.length = rows,
                               .n_buffers = 1,
                               .n_children = 2,
                               .buffers = own->struct_buffers,
                               .children = own->pointers,
                               .release = batch_release,
                               .private_data = own};
    return 0;
}

/* --- the stream ------------------------------------------------------------------------------------------------------- */

static int stream_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    (void)stream;
    schema_fill(out);
    return 0;
}

static int stream_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    int64_t *next = stream->private_data;
    int64_t rows = ROWS - *next < BATCH ? ROWS - *next : BATCH;
    memset(out, 0, sizeof *out); /* a released array is the end */
    if (rows == 0) {
        return 0;
    }
    int failed = batch_make(*next, rows, out);
    *next += failed != 0 ? 0 : rows;
    return failed;
}

static const char *stream_error(struct ArrowArrayStream *stream)
{
    (void)stream;
    return "out of memory";
}

static void stream_release(struct ArrowArrayStream *stream)
{
    stream->release = NULL;
}

/* --- the mask: true where x < 250, null where id is a multiple of 7 ------------------------------------------------------ */

typedef struct mask {
    const void *buffers[2];
    uint8_t bits[2][BATCH / 8];
} mask;

static void mask_release(struct ArrowArray *array)
{
    free(array->private_data);
    array->release = NULL;
}

static sabot_status mask_reply(sabot_run *run, sabot_event *event, sabot_error *err)
{
    mask *own = calloc(1, sizeof *own);
    const struct ArrowArray *ids = event->array.children[0], *xs = event->array.children[1];
    struct ArrowSchema type = {.format = "b", .name = "", .flags = 2, .release = schema_release};
    struct ArrowArray answer = {0};
    if (own != NULL) {
        const int64_t *id = (const int64_t *)ids->buffers[1] + ids->offset + event->array.offset;
        const int64_t *x = (const int64_t *)xs->buffers[1] + xs->offset + event->array.offset;
        for (int64_t i = 0; i < event->array.length; i++) {
            own->bits[0][i / 8] |= (uint8_t)((id[i] % 7 != 0) << (i % 8));
            own->bits[1][i / 8] |= (uint8_t)((x[i] < 250) << (i % 8));
        }
        own->buffers[0] = own->bits[0];
        own->buffers[1] = own->bits[1];
        answer = (struct ArrowArray){.length = event->array.length,
                                     .null_count = -1,
                                     .n_buffers = 2,
                                     .buffers = own->buffers,
                                     .release = mask_release,
                                     .private_data = own};
    }
    event->array.release(&event->array);
    event->schema.release(&event->schema);
    return sabot_run_reply_batch(run, own != NULL ? &answer : NULL, own != NULL ? &type : NULL,
                                 "out of memory", err);
}

/* --- the run ------------------------------------------------------------------------------------------------------------ */

static sabot_status run_all(sabot_run *run, int64_t *count, int64_t *sum, sabot_error *err)
{
    for (;;) {
        sabot_event event;
        sabot_status status = sabot_run_next(run, &event, err);
        if (status != SABOT_OK || event.kind == SABOT_EVENT_END) {
            return status;
        }
        if (event.kind == SABOT_EVENT_CALL_BATCH) {
            status = mask_reply(run, &event, err);
        } else if (event.kind == SABOT_EVENT_BATCH) {
            const struct ArrowArray *ids = event.array.children[0];
            const int64_t *id = (const int64_t *)ids->buffers[1] + ids->offset + event.array.offset;
            for (int64_t i = 0; i < event.array.length; i++) {
                *sum += id[i];
            }
            *count += event.array.length;
            event.array.release(&event.array);
            event.schema.release(&event.schema);
        }
        if (status != SABOT_OK) {
            return status;
        }
    }
}

int main(void)
{
    sabot_session *session = NULL;
    sabot_plan *source = NULL, *plan = NULL;
    sabot_run *run = NULL;
    sabot_error error = {0};
    int64_t next = 0, count = 0, sum = 0;
    struct ArrowSchema schema;
    struct ArrowArrayStream stream = {.get_schema = stream_schema,
                                      .get_next = stream_next,
                                      .get_last_error = stream_error,
                                      .release = stream_release,
                                      .private_data = &next};
    schema_fill(&schema);
    sabot_status status = sabot_session_new(NULL, &session, &error);
    if (status == SABOT_OK) {
        status = sabot_plan_new(session, "a million rows", &schema, &source, &error);
    }
    if (status == SABOT_OK) {
        status = sabot_plan_batch(source, "x < 250", NULL, true, &plan, &error);
    }
    if (status == SABOT_OK) {
        status = sabot_run_new(plan, &stream, NULL, &run, &error);
    }
    if (status == SABOT_OK) {
        status = run_all(run, &count, &sum, &error);
    }
    if (status == SABOT_OK) {
        printf("%lld of %d rows, sum of their ids %lld\n", (long long)count, ROWS, (long long)sum);
    } else {
        fprintf(stderr, "%s\n", error.message);
    }
    sabot_run_free(run);
    sabot_plan_free(plan);
    sabot_plan_free(source);
    sabot_session_free(session);
    return status == SABOT_OK ? 0 : 1;
}
