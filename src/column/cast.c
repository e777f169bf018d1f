/* Casts, as column/cast.h promises them.
 *
 * Algorithm: one table tells of each format how it is stored and what it means. A cast reads a vector of rows as int64 or double, puts
 * zero where rows are null, changes them by one of a few operations that stops at the first value that does not fit, and
 * writes the vector as the other type is stored. Unsigned 64-bit values travel as the int64 of the same bits, marked as such.
 *
 * Threads: none of its own. Memory: fresh blocks, handed to the new array. */
#include "column/cast.h"

#include <string.h>

#include "base/mem.h"
#include "column/array_int.h"
#include "column/half.h"

#define VECTOR 1024
#define NS_SECOND INT64_C(1000000000)
#define NS_DAY (86400 * NS_SECOND)

/* name, C type, what a vector of it is read as */
#define STORES(X)                                                                                  \
    X(I8, int8_t, whole)                                                                           \
    X(U8, uint8_t, whole)                                                                          \
    X(I16, int16_t, whole)                                                                         \
    X(U16, uint16_t, whole)                                                                        \
    X(I32, int32_t, whole)                                                                         \
    X(U32, uint32_t, whole)                                                                        \
    X(I64, int64_t, whole)                                                                         \
    X(U64, uint64_t, whole)                                                                        \
    X(F32, float, real)                                                                            \
    X(F64, double, real)

typedef enum store_kind {
#define X(name, type, lane) STORE_##name,
    STORES(X)
#undef X
        STORE_F16,
    STORE_BIT,
    STORE_NONE
} store_kind;

typedef enum kind {
    KIND_BOOL = 0,
    KIND_INT,
    KIND_FLOAT,
    KIND_DATE,
    KIND_TIME,
    KIND_STAMP,
    KIND_DURATION,
    KIND_COUNT
} kind;

typedef struct primitive {
    const char *format; /* a prefix when it ends in ':' */
    kind kind;
    store_kind store;
    int64_t tick; /* nanoseconds a unit */
} primitive;

static const primitive primitives[] = {
    {"b", KIND_BOOL, STORE_BIT, 0},
    {"c", KIND_INT, STORE_I8, 0},
    {"C", KIND_INT, STORE_U8, 0},
    {"s", KIND_INT, STORE_I16, 0},
    {"S", KIND_INT, STORE_U16, 0},
    {"i", KIND_INT, STORE_I32, 0},
    {"I", KIND_INT, STORE_U32, 0},
    {"l", KIND_INT, STORE_I64, 0},
    {"L", KIND_INT, STORE_U64, 0},
    {"e", KIND_FLOAT, STORE_F16, 0},
    {"f", KIND_FLOAT, STORE_F32, 0},
    {"g", KIND_FLOAT, STORE_F64, 0},
    {"tdD", KIND_DATE, STORE_I32, NS_DAY},
    {"tdm", KIND_DATE, STORE_I64, NS_SECOND / 1000},
    {"tts", KIND_TIME, STORE_I32, NS_SECOND},
    {"ttm", KIND_TIME, STORE_I32, NS_SECOND / 1000},
    {"ttu", KIND_TIME, STORE_I64, 1000},
    {"ttn", KIND_TIME, STORE_I64, 1},
    {"tss:", KIND_STAMP, STORE_I64, NS_SECOND},
    {"tsm:", KIND_STAMP, STORE_I64, NS_SECOND / 1000},
    {"tsu:", KIND_STAMP, STORE_I64, 1000},
    {"tsn:", KIND_STAMP, STORE_I64, 1},
    {"tDs", KIND_DURATION, STORE_I64, NS_SECOND},
    {"tDm", KIND_DURATION, STORE_I64, NS_SECOND / 1000},
    {"tDu", KIND_DURATION, STORE_I64, 1000},
    {"tDn", KIND_DURATION, STORE_I64, 1},
};

/* From a row's kind to a column's: is there a cast? KIND_INT to and from times only where both are stored alike. */
static const bool casts[KIND_COUNT][KIND_COUNT] = {
    [KIND_BOOL] = {[KIND_BOOL] = true, [KIND_INT] = true, [KIND_FLOAT] = true},
    [KIND_INT] = {true, true, true, true, true, true, true},
    [KIND_FLOAT] = {[KIND_BOOL] = true, [KIND_INT] = true, [KIND_FLOAT] = true},
    [KIND_DATE] = {[KIND_INT] = true, [KIND_DATE] = true, [KIND_STAMP] = true},
    [KIND_TIME] = {[KIND_INT] = true, [KIND_TIME] = true},
    [KIND_STAMP] = {[KIND_INT] = true, [KIND_DATE] = true, [KIND_TIME] = true, [KIND_STAMP] = true},
    [KIND_DURATION] = {[KIND_INT] = true, [KIND_DURATION] = true},
};

/* One cast on its way. */
typedef struct cast {
    const primitive *from;
    const primitive *to;
    int64_t whole[VECTOR];
    double real[VECTOR];
} cast;

static const primitive *primitive_find(const sb_type *type)
{
    if (type->dictionary != NULL) {
        return NULL;
    }
    for (size_t i = 0; i < SB_COUNT_OF(primitives); i++) {
        size_t size = strlen(primitives[i].format);
        bool prefix = primitives[i].format[size - 1] == ':';
        if (prefix ? strncmp(type->format, primitives[i].format, size) == 0
                   : strcmp(type->format, primitives[i].format) == 0) {
            return &primitives[i];
        }
    }
    return NULL;
}

/* --- half floats ---------------------------------------------------------------------------------------------------- */

/* Rounds to nearest, ties to even. */
static uint16_t half_from_double(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint16_t sign = (uint16_t)(bits >> 48 & 0x8000);
    uint64_t magnitude = bits & ~(UINT64_C(1) << 63);
    if (magnitude > UINT64_C(0x7FF0000000000000)) {
        return (uint16_t)(sign | 0x7E00);
    }
    int64_t exponent = (int64_t)(magnitude >> 52) - 1023;
    if (exponent > 15) {
        return (uint16_t)(sign | 0x7C00);
    }
    if (exponent < -25) {
        return sign;
    }
    uint64_t fraction = (magnitude & UINT64_C(0xFFFFFFFFFFFFF)) | UINT64_C(1) << 52;
    /* Below the normal ones every step of the exponent costs a bit. */
    int shift = exponent < -14 ? (int)(42 - 14 - exponent) : 42;
    uint64_t kept = fraction >> shift, rest = fraction & ((UINT64_C(1) << shift) - 1);
    uint64_t tie = UINT64_C(1) << (shift - 1);
    kept += rest > tie || (rest == tie && (kept & 1) != 0);
    /* A carry out of the fraction goes into the exponent, as it must. */
    uint64_t base = exponent < -14 ? 0 : (uint64_t)(exponent + 14) << 10;
    return (uint16_t)(sign | (base + kept));
}

/* --- reading and writing a vector ----------------------------------------------------------------------------------- */

#define LANE_whole int64_t
#define LANE_real double
#define X(name, type, lane)                                                                        \
    static void load_##name(cast *work, const uint8_t *values, int64_t rows)                       \
    {                                                                                              \
        for (int64_t i = 0; i < rows; i++) {                                                       \
            type value;                                                                            \
            memcpy(&value, values + (size_t)i * sizeof value, sizeof value);                       \
            work->lane[i] = (LANE_##lane)value;                                                    \
        }                                                                                          \
    }                                                                                              \
    static void save_##name(const cast *work, uint8_t *values, int64_t rows)                       \
    {                                                                                              \
        for (int64_t i = 0; i < rows; i++) {                                                       \
            type value = (type)work->lane[i];                                                      \
            memcpy(values + (size_t)i * sizeof value, &value, sizeof value);                       \
        }                                                                                          \
    }
STORES(X)
#undef X

static void load_F16(cast *work, const uint8_t *values, int64_t rows)
{
    for (int64_t i = 0; i < rows; i++) {
        uint16_t half;
        memcpy(&half, values + i * 2, sizeof half);
        work->real[i] = sb_half_to_double(half);
    }
}

static void save_F16(const cast *work, uint8_t *values, int64_t rows)
{
    for (int64_t i = 0; i < rows; i++) {
        uint16_t half = half_from_double(work->real[i]);
        memcpy(values + i * 2, &half, sizeof half);
    }
}

typedef struct store_row {
    void (*load)(cast *work, const uint8_t *values, int64_t rows);
    void (*save)(const cast *work, uint8_t *values, int64_t rows);
    int64_t width;
} store_row;

static const store_row stores[] = {
#define X(name, type, lane) {load_##name, save_##name, sizeof(type)},
    STORES(X)
#undef X
        {load_F16, save_F16, 2},
};

static void load_bits(cast *work, const uint8_t *bits, int64_t at, int64_t rows)
{
    for (int64_t i = 0; i < rows; i++) {
        work->whole[i] = sb_bit_get(bits, at + i);
    }
}

static void save_bits(const cast *work, uint8_t *bits, int64_t at, int64_t rows)
{
    for (int64_t i = 0; i < rows; i++) {
        sb_bit_put(bits, at + i, work->whole[i] != 0);
    }
}

/* --- what happens to values: each gives the first row that does not fit, or -1 ---------------------------------------- */

typedef struct range {
    int64_t low;
    uint64_t high;
} range;

static range range_of(store_kind store)
{
    switch (store) {
    case STORE_I8:
        return (range){INT8_MIN, INT8_MAX};
    case STORE_U8:
        return (range){0, UINT8_MAX};
    case STORE_I16:
        return (range){INT16_MIN, INT16_MAX};
    case STORE_U16:
        return (range){0, UINT16_MAX};
    case STORE_I32:
        return (range){INT32_MIN, INT32_MAX};
    case STORE_U32:
        return (range){0, UINT32_MAX};
    case STORE_U64:
        return (range){0, UINT64_MAX};
    case STORE_F32:
        return (range){-(INT64_C(1) << 24), UINT64_C(1) << 24};
    case STORE_F16:
    case STORE_F64:
        return (range){-(INT64_C(1) << 53), UINT64_C(1) << 53};
    default:
        return (range){INT64_MIN, INT64_MAX};
    }
}

static int64_t whole_fit(const cast *work, store_kind to, int64_t rows)
{
    range fit = range_of(to);
    bool is_unsigned = work->from->store == STORE_U64;
    for (int64_t i = 0; i < rows; i++) {
        int64_t value = work->whole[i];
        bool negative = !is_unsigned && value < 0;
        if (negative ? value < fit.low : (uint64_t)value > fit.high) {
            return i;
        }
    }
    return -1;
}

static int64_t whole_to_real(cast *work, int64_t rows)
{
    bool is_unsigned = work->from->store == STORE_U64;
    /* pyarrow's border for half floats: that of the float as wide as the integer is. */
    bool narrow = work->to->store == STORE_F16 && work->from->store < STORE_I64;
    int64_t bad = whole_fit(work, narrow ? STORE_F32 : work->to->store, rows);
    for (int64_t i = 0; bad < 0 && i < rows; i++) {
        work->real[i] = is_unsigned ? (double)(uint64_t)work->whole[i] : (double)work->whole[i];
    }
    return bad;
}

static int64_t real_to_whole(cast *work, int64_t rows)
{
    range fit = range_of(work->to->store);
    double low = (double)fit.low;
    uint64_t half = fit.high / 2 + 1;
    double high = (double)half * 2.0; /* one more than the highest, exactly */
    for (int64_t i = 0; i < rows; i++) {
        double value = work->real[i];
        if (!(value >= low && value < high)) { /* nan too */
            return i;
        }
        bool is_large = value >= 0x1p63;
        work->whole[i] = is_large ? (int64_t)(uint64_t)value : (int64_t)value;
        if (!is_large && (double)work->whole[i] != value) {
            return i;
        }
    }
    return -1;
}

static void real_to_truth(cast *work, int64_t rows)
{
    for (int64_t i = 0; i < rows; i++) {
        work->whole[i] = work->real[i] < 0 || work->real[i] > 0 || work->real[i] != work->real[i];
    }
}

static int64_t floor_div(int64_t value, int64_t by)
{
    int64_t quotient = value / by;
    return value % by < 0 ? quotient - 1 : quotient;
}

/* From one unit to the other; a part that is lost does not fit. */
static int64_t units_change(cast *work, int64_t from, int64_t to, int64_t rows)
{
    for (int64_t i = 0; i < rows; i++) {
        int64_t value = work->whole[i];
        if (from >= to ? sb_mul_overflow_i64(value, from / to, &work->whole[i])
                       : value % (to / from) != 0) {
            work->whole[i] = value;
            return i;
        }
        if (from < to) {
            work->whole[i] = value / (to / from);
        }
    }
    return whole_fit(work, work->to->store, rows);
}

static int64_t times_change(cast *work, int64_t rows)
{
    const primitive *from = work->from, *to = work->to;
    if (from->kind == KIND_STAMP && (to->kind == KIND_DATE || to->kind == KIND_TIME)) {
        int64_t day = NS_DAY / from->tick;
        for (int64_t i = 0; i < rows; i++) {
            int64_t days = floor_div(work->whole[i], day);
            /* The time of the first day that int64 can tell of begins before it: by remainder, not by difference. */
            int64_t time = work->whole[i] % day;
            work->whole[i] = to->kind == KIND_DATE ? days : time < 0 ? time + day : time;
        }
        return units_change(work, to->kind == KIND_DATE ? NS_DAY : from->tick, to->tick, rows);
    }
    return units_change(work, from->tick, to->tick, rows);
}

static int64_t vector_change(cast *work, int64_t rows)
{
    kind from = work->from->kind, to = work->to->kind;
    if (from == KIND_FLOAT) {
        if (to == KIND_BOOL) {
            real_to_truth(work, rows);
        }
        return to == KIND_INT ? real_to_whole(work, rows) : -1;
    }
    if (to == KIND_FLOAT) {
        return whole_to_real(work, rows);
    }
    if (to == KIND_BOOL) {
        return -1;
    }
    return from <= KIND_INT ? whole_fit(work, work->to->store, rows) : times_change(work, rows);
}

/* --- arrays --------------------------------------------------------------------------------------------------------- */

static sb_status unfit(const sb_array *array, const sb_type *type, int64_t row, const cast *work,
                       int64_t at, sb_error *err)
{
    sb_buf names;
    sb_buf_init(&names, 200);
    sb_type_print(array->type, &names);
    sb_buf_text(&names, " to ");
    sb_type_print(type, &names);
    const char *text = names.size > 0 ? names.data : type->format;
    sb_status status;
    if (work->from->kind == KIND_FLOAT) {
        status = sb_error_set(err, SB_INVALID, "cast of %s: row %lld, %.17g, does not fit", text,
                              (long long)row, work->real[at]);
    } else if (work->from->store == STORE_U64) {
        status = sb_error_set(err, SB_INVALID, "cast of %s: row %lld, %llu, does not fit", text,
                              (long long)row, (unsigned long long)work->whole[at]);
    } else {
        status = sb_error_set(err, SB_INVALID, "cast of %s: row %lld, %lld, does not fit", text,
                              (long long)row, (long long)work->whole[at]);
    }
    sb_buf_release(&names);
    return status;
}

static void vector_load(cast *work, const sb_array *array, const uint8_t *valid, int64_t row,
                        int64_t rows)
{
    int64_t at = array->offset + row;
    const uint8_t *values = array->buffers[1];
    if (work->from->store == STORE_BIT) {
        load_bits(work, values, at, rows);
    } else {
        const store_row *from = &stores[work->from->store];
        from->load(work, values + at * from->width, rows);
    }
    for (int64_t i = 0; valid != NULL && i < rows; i++) {
        if (!sb_bit_get(valid, at + i)) {
            work->whole[i] = 0;
            work->real[i] = 0;
        }
    }
}

static sb_status values_cast(sb_array *array, sb_type *type, cast *work, uint8_t *out,
                             sb_error *err)
{
    const uint8_t *valid = sb_array_validity(array);
    for (int64_t row = 0; row < array->length; row += VECTOR) {
        int64_t rows = array->length - row < VECTOR ? array->length - row : VECTOR;
        vector_load(work, array, valid, row, rows);
        int64_t bad = vector_change(work, rows);
        if (bad >= 0) {
            return unfit(array, type, row + bad, work, bad, err);
        }
        if (work->to->store == STORE_BIT) {
            save_bits(work, out, row, rows);
        } else {
            const store_row *to = &stores[work->to->store];
            to->save(work, out + row * to->width, rows);
        }
    }
    return SB_OK;
}

/* The same buffers under another type. */
static sb_status array_retype(sb_array *array, sb_type *type, sb_array **out, sb_error *err)
{
    sb_array *view = sb_array_alloc(type, array->buffer_count, 0);
    if (view == NULL) {
        return sb_error_no_memory(err, sizeof *view);
    }
    view->length = array->length;
    view->offset = array->offset;
    view->extent = array->extent;
    atomic_init(&view->null_count, sb_array_null_count(array));
    view->owner = array->owner != NULL ? sb_owner_retain(array->owner) : NULL;
    for (int64_t i = 0; i < array->buffer_count; i++) {
        view->buffers[i] = array->buffers[i];
    }
    *out = view;
    return SB_OK;
}

static sb_status validity_copy(sb_array *array, sb_array_parts *parts, sb_error *err)
{
    int64_t rows = array->length;
    bool nulls = array->type->layout == SB_LAYOUT_NULL;
    const uint8_t *valid = nulls ? NULL : sb_array_validity(array);
    if (valid == NULL && !nulls) {
        return SB_OK;
    }
    parts->blocks[0] = sb_mem_alloc_aligned(sb_bitmap_size(rows));
    if (parts->blocks[0] == NULL) {
        return sb_error_no_memory(err, sb_bitmap_size(rows));
    }
    if (nulls) {
        sb_bitmap_fill(parts->blocks[0], 0, rows, false);
    } else {
        sb_bitmap_copy(parts->blocks[0], 0, valid, array->offset, rows);
    }
    parts->null_count = sb_array_null_count(array);
    return SB_OK;
}

static sb_status array_cast(sb_array *array, sb_type *type, sb_array **out, sb_error *err)
{
    int64_t rows = array->length, padded = (rows + 63) & ~(int64_t)63;
    sb_array_parts parts = {.length = rows, .extent = padded, .block_count = 2};
    cast *work = sb_mem_alloc_zero(sizeof *work);
    sb_status status = SB_OK;
    if (work == NULL) {
        return sb_error_no_memory(err, sizeof *work);
    }
    work->from = primitive_find(array->type);
    work->to = primitive_find(type);
    size_t size = work->to->store == STORE_BIT ? sb_bitmap_size(padded)
                                               : (size_t)(padded * stores[work->to->store].width);
    SB_TRY(validity_copy(array, &parts, err));
    parts.blocks[1] = sb_mem_alloc_aligned(size);
    if (parts.blocks[1] == NULL) {
        status = sb_error_no_memory(err, size);
        goto out;
    }
    if (array->type->layout == SB_LAYOUT_NULL) {
        memset(parts.blocks[1], 0, size);
    } else {
        SB_TRY(values_cast(array, type, work, parts.blocks[1], err));
    }
    SB_TRY(sb_array_new(type, &parts, out, err));
    sb_mem_free(work);
    return SB_OK;
out:
    sb_mem_free_aligned(parts.blocks[0]);
    sb_mem_free_aligned(parts.blocks[1]);
    sb_mem_free(work);
    return status;
}

static bool zone_is_utc(const sb_type *type)
{
    const char *zone = type->format + 4;
    return *zone == 0 || strcmp(zone, "UTC") == 0 || strcmp(zone, "Etc/UTC") == 0 ||
           strcmp(zone, "+00:00") == 0;
}

bool sb_type_can_cast(const sb_type *from, const sb_type *to)
{
    const primitive *a = primitive_find(from), *b = primitive_find(to);
    if (b == NULL || (a == NULL && from->layout != SB_LAYOUT_NULL)) {
        return sb_type_equal(from, to);
    }
    if (a == NULL) {
        return true;
    }
    bool halves = (a->store == STORE_F16 && b->kind == KIND_BOOL) ||
                  (a->kind == KIND_BOOL && b->store == STORE_F16);
    bool times = a->kind >= KIND_DATE || b->kind >= KIND_DATE;
    bool numbers = a->kind <= KIND_FLOAT || b->kind <= KIND_FLOAT;
    if (!casts[a->kind][b->kind] || halves || (times && numbers && a->store != b->store)) {
        return false;
    }
    return a->kind != KIND_STAMP || (b->kind != KIND_DATE && b->kind != KIND_TIME) ||
           zone_is_utc(from);
}

sb_status sb_array_cast(sb_array *array, sb_type *type, sb_array **out, sb_error *err)
{
    if (!sb_type_can_cast(array->type, type)) {
        sb_buf names;
        sb_buf_init(&names, 300);
        sb_type_print(array->type, &names);
        sb_buf_text(&names, " to ");
        sb_type_print(type, &names);
        sb_status status = sb_error_set(err, SB_TYPE, "there is no cast of %s",
                                        names.size > 0 ? names.data : "these types");
        sb_buf_release(&names);
        return status;
    }
    if (sb_type_equal(array->type, type)) {
        *out = sb_array_retain(array);
        return SB_OK;
    }
    const primitive *from = primitive_find(array->type), *to = primitive_find(type);
    bool same = from != NULL && from->store == to->store &&
                (from == to || from->kind == KIND_INT || to->kind == KIND_INT);
    return same ? array_retype(array, type, out, err) : array_cast(array, type, out, err);
}
