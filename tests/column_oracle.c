/* The kernels of the column room behind a C interface that Python's ctypes can call: arrays come and go as ArrowArray and ArrowSchema.
 * Only tests/test_column_kernels.py loads this library.
 *
 * Each function takes the arrays it is given, answers with a status, and puts the message of a failure where sb_oracle_error finds it.
 *
 * Threads: one. Memory: the caller's structs; everything else is gone when a call returns, but what it exported. */
#include <string.h>

#include "base/mem.h"
#include "column/cast.h"
#include "column/gather.h"
#include "column/rows.h"

#define ARRAYS_MAX 8

const char *sb_oracle_error(void);
int sb_oracle_round_trip(struct ArrowArray *array, struct ArrowSchema *schema, int level,
                         struct ArrowArray *out, struct ArrowSchema *out_schema);
int sb_oracle_slice(struct ArrowArray *array, struct ArrowSchema *schema, int64_t start,
                    int64_t length, struct ArrowArray *out, struct ArrowSchema *out_schema);
int sb_oracle_mask(struct ArrowArray *array, struct ArrowSchema *schema, const uint8_t *mask,
                   int64_t count, struct ArrowArray *out, struct ArrowSchema *out_schema);
int sb_oracle_gather(struct ArrowArray *array, struct ArrowSchema *schema, const int64_t *rows,
                     int64_t count, struct ArrowArray *out, struct ArrowSchema *out_schema);
int sb_oracle_concat(struct ArrowArray *arrays, struct ArrowSchema *schema, int64_t count,
                     struct ArrowArray *out, struct ArrowSchema *out_schema);
int sb_oracle_equal(struct ArrowArray *arrays, struct ArrowSchema *schema, int mode, bool *out);
int sb_oracle_hash(struct ArrowArray *array, struct ArrowSchema *schema, uint64_t *hashes);
int sb_oracle_cast(struct ArrowArray *array, struct ArrowSchema *schema, struct ArrowSchema *target,
                   struct ArrowArray *out, struct ArrowSchema *out_schema);

static sb_error last;

const char *sb_oracle_error(void)
{
    return last.message;
}

/* `count` arrays of one type; the structs are released whatever comes of it. */
static sb_status arrays_take(struct ArrowArray *given, struct ArrowSchema *schema, int64_t count,
                             sb_array **arrays)
{
    sb_type *type = NULL;
    sb_status status = sb_type_import(schema, &type, &last);
    for (int64_t i = 0; status == SB_OK && i < count; i++) {
        status = sb_array_import(&given[i], type, NULL, &arrays[i], &last);
    }
    for (int64_t i = 0; i < count; i++) {
        if (given[i].release != NULL) {
            given[i].release(&given[i]);
        }
    }
    sb_type_drop(type);
    return status;
}

/* Exports and drops the array. */
static int give(sb_status status, sb_array *array, struct ArrowArray *out,
                struct ArrowSchema *out_schema)
{
    if (status == SB_OK) {
        status = sb_type_export(array->type, out_schema, &last);
    }
    if (status == SB_OK) {
        status = sb_array_export(array, out, &last);
        if (status != SB_OK) {
            out_schema->release(out_schema);
        }
    }
    sb_array_drop(array);
    return (int)status;
}

int sb_oracle_round_trip(struct ArrowArray *array, struct ArrowSchema *schema, int level,
                         struct ArrowArray *out, struct ArrowSchema *out_schema)
{
    sb_array *taken = NULL;
    sb_status status = arrays_take(array, schema, 1, &taken);
    if (status == SB_OK) {
        status = sb_array_validate(taken, (sb_validate_level)level, &last);
    }
    return give(status, taken, out, out_schema);
}

int sb_oracle_slice(struct ArrowArray *array, struct ArrowSchema *schema, int64_t start,
                    int64_t length, struct ArrowArray *out, struct ArrowSchema *out_schema)
{
    sb_array *taken = NULL, *slice = NULL;
    sb_status status = arrays_take(array, schema, 1, &taken);
    if (status == SB_OK) {
        status = sb_array_slice(taken, start, length, &slice, &last);
    }
    sb_array_drop(taken);
    return give(status, slice, out, out_schema);
}

int sb_oracle_mask(struct ArrowArray *array, struct ArrowSchema *schema, const uint8_t *mask,
                   int64_t count, struct ArrowArray *out, struct ArrowSchema *out_schema)
{
    sb_array *taken = NULL, *kept = NULL;
    sb_status status = arrays_take(array, schema, 1, &taken);
    if (status == SB_OK) {
        status = sb_array_take(taken, mask, count, &kept, &last);
    }
    sb_array_drop(taken);
    return give(status, kept, out, out_schema);
}

int sb_oracle_gather(struct ArrowArray *array, struct ArrowSchema *schema, const int64_t *rows,
                     int64_t count, struct ArrowArray *out, struct ArrowSchema *out_schema)
{
    sb_array *taken = NULL, *gathered = NULL;
    sb_status status = arrays_take(array, schema, 1, &taken);
    if (status == SB_OK) {
        status = sb_array_gather(taken, rows, count, &gathered, &last);
    }
    sb_array_drop(taken);
    return give(status, gathered, out, out_schema);
}

int sb_oracle_concat(struct ArrowArray *arrays, struct ArrowSchema *schema, int64_t count,
                     struct ArrowArray *out, struct ArrowSchema *out_schema)
{
    sb_array *taken[ARRAYS_MAX] = {0}, *joined = NULL;
    sb_status status = arrays_take(arrays, schema, count, taken);
    if (status == SB_OK) {
        status = sb_array_concat(taken, count, &joined, &last);
    }
    for (int64_t i = 0; i < count; i++) {
        sb_array_drop(taken[i]);
    }
    return give(status, joined, out, out_schema);
}

int sb_oracle_equal(struct ArrowArray *arrays, struct ArrowSchema *schema, int mode, bool *out)
{
    sb_array *taken[2] = {0};
    sb_status status = arrays_take(arrays, schema, 2, taken);
    if (status == SB_OK) {
        status = sb_array_equal(taken[0], taken[1], (sb_equal_mode)mode, out, &last);
    }
    sb_array_drop(taken[0]);
    sb_array_drop(taken[1]);
    return (int)status;
}

int sb_oracle_hash(struct ArrowArray *array, struct ArrowSchema *schema, uint64_t *hashes)
{
    sb_array *taken = NULL;
    sb_status status = arrays_take(array, schema, 1, &taken);
    if (status == SB_OK) {
        status = sb_array_hash(taken, hashes, &last);
    }
    sb_array_drop(taken);
    return (int)status;
}

int sb_oracle_cast(struct ArrowArray *array, struct ArrowSchema *schema, struct ArrowSchema *target,
                   struct ArrowArray *out, struct ArrowSchema *out_schema)
{
    sb_array *taken = NULL, *made = NULL;
    sb_type *type = NULL;
    sb_status status = arrays_take(array, schema, 1, &taken);
    if (status == SB_OK) {
        status = sb_type_import(target, &type, &last);
    }
    if (status == SB_OK) {
        status = sb_array_cast(taken, type, &made, &last);
    }
    sb_array_drop(taken);
    sb_type_drop(type);
    return give(status, made, out, out_schema);
}
