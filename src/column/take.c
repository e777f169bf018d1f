/* Taking rows out of an array by bitmap: what a filter does to every column it keeps.
 *
 * Algorithm: one walk over the mask's 64-bit words serves all layouts: a full word is a run of 64 rows, any other is taken bit by bit.
 * Of few rows that stand alone the numbers are written down first. Fixed-width values, bits and text are copied. A list makes a mask
 * over its child's items and takes from the child; a struct and a fixed-size list likewise. Dictionaries, data of views, children of
 * list views and of dense unions stay whole, only what points into them is taken. Of runs, the values that keep a row are taken.
 *
 * Threads: none of its own. Memory: fresh blocks, handed to the new array. Recursion: over the type, see SB_TYPE_DEPTH_MAX. */
#include <string.h>

#include "base/mem.h"
#include "column/array_int.h"

/* A run of consecutive rows whose bits are set; length 0: no more. */
typedef struct mask_run {
    const uint8_t *mask;
    int64_t rows;
    int64_t start;
    int64_t length;
    int64_t word_at; /* row of the first bit of word */
    uint64_t word;   /* bits not given yet */
} mask_run;

static void mask_run_init(mask_run *run, const uint8_t *mask, int64_t rows)
{
    *run = (mask_run){.mask = mask, .rows = rows};
    run->word = rows > 0 ? sb_bitmap_word(mask, 0) : 0;
}

/* Runs end at word borders, so a run has at most 64 rows. */
static bool mask_run_next(mask_run *run)
{
    while (run->word == 0) {
        run->word_at += 64;
        if (run->word_at >= run->rows) {
            return false;
        }
        run->word = sb_bitmap_word(run->mask, run->word_at / 64);
    }
    int first = sb_ctz_u64(run->word);
    uint64_t rest = ~(run->word >> first);
    int length = rest == 0 ? 64 : sb_ctz_u64(rest);
    if (first + length >= 64) {
        length = 64 - first;
        run->word = 0;
    } else {
        run->word &= ~(uint64_t)0 << (first + length);
    }
    run->start = run->word_at + first;
    run->length = length;
    return true;
}

static sb_status mask_new(int64_t rows, uint8_t **out, sb_error *err)
{
    size_t size = sb_mask_size(rows);
    *out = sb_mem_alloc_aligned(size);
    if (*out == NULL) {
        return sb_error_no_memory(err, size);
    }
    memset(*out, 0, size == 0 ? 1 : size);
    return SB_OK;
}

/* --- few rows ------------------------------------------------------------------------------------------------------- */

#define SPAN_ROWS 4096
#define FEW 8 /* rows are few where they are less than one in so many */
#define SPREAD                                                                                     \
    8 /* and no more than so many in each word that has any: where they stand together they are copied together */

static bool are_few(const uint8_t *mask, int64_t rows, int64_t taken)
{
    int64_t words = 0;
    for (int64_t i = 0; taken < rows / FEW && i < (rows + 63) / 64; i++) {
        words += sb_bitmap_word(mask, i) != 0;
    }
    return taken < rows / FEW && taken <= words * SPREAD;
}

/* The numbers of the rows within a span of at most SPAN_ROWS whose bits are set. Most words have none or one: for up to two of them
 * nothing is decided, so nothing is foreseen wrongly. */
static int32_t span_rows(const uint8_t *mask, int64_t rows, uint16_t *at)
{
    const uint64_t top = UINT64_C(1) << 63;
    int32_t count = 0;
    for (int64_t row = 0; row < rows; row += 64) {
        uint64_t word = sb_bitmap_word(mask, row / 64);
        for (int k = 0; k < 2; k++) {
            at[count] = (uint16_t)(row + sb_ctz_u64(word | top));
            count += word != 0;
            word &= word - 1;
        }
        for (; word != 0; word &= word - 1) {
            at[count++] = (uint16_t)(row + sb_ctz_u64(word));
        }
    }
    return count;
}

static void take_few_bits(uint8_t *dst, const uint8_t *src, int64_t offset, const uint8_t *mask,
                          int64_t rows)
{
    uint16_t at[SPAN_ROWS + 1];
    uint64_t waiting = 0;
    int64_t done = 0;
    for (int64_t row = 0; row < rows; row += SPAN_ROWS) {
        int64_t span = rows - row < SPAN_ROWS ? rows - row : SPAN_ROWS;
        int32_t count = span_rows(mask + row / 8, span, at);
        for (int32_t i = 0; i < count; i++) {
            waiting |= (uint64_t)sb_bit_get(src, offset + row + at[i]) << (done & 63);
            if ((++done & 63) == 0) {
                sb_bitmap_word_put(dst, done / 64 - 1, waiting);
                waiting = 0;
            }
        }
    }
    for (int64_t i = done & ~(int64_t)63; i < done; i += 8, waiting >>= 8) {
        dst[i / 8] = (uint8_t)waiting;
    }
}

/* `width` is a constant in each call. */
static inline void take_few_values(uint8_t *dst, const uint8_t *src, size_t width,
                                   const uint8_t *mask, int64_t rows)
{
    uint16_t at[SPAN_ROWS + 1];
    for (int64_t row = 0; row < rows; row += SPAN_ROWS, src += SPAN_ROWS * width) {
        int64_t span = rows - row < SPAN_ROWS ? rows - row : SPAN_ROWS;
        int32_t count = span_rows(mask + row / 8, span, at);
        for (int32_t i = 0; i < count; i++) {
            memcpy(dst + (size_t)i * width, src + at[i] * width, width);
        }
        dst += (size_t)count * width;
    }
}

/* --- copying one buffer ------------------------------------------------------------------------------------------- */

/* `rows` (at most 64) bits from bit `at` on; reads no byte behind them. */
static inline uint64_t bits_load(const uint8_t *bits, int64_t at, int64_t rows)
{
    uint8_t bytes[8] = {0};
    if (SB_LIKELY(rows == 64)) {
        uint64_t low = sb_bitmap_word(bits + (at >> 3), 0);
        int shift = (int)(at & 7);
        return shift == 0 ? low : low >> shift | (uint64_t)bits[(at >> 3) + 8] << (64 - shift);
    }
    sb_bitmap_copy(bytes, 0, bits, at, rows);
    return sb_bitmap_word(bytes, 0);
}

/* The bits of `word` where `mask` has one, moved together at the low end. Each step moves those bits that have an odd number of
 * gaps left below them by half as many places as the step before would. */
static uint64_t bits_compress(uint64_t word, uint64_t mask)
{
    uint64_t gaps = ~mask << 1;
    word &= mask;
    for (int step = 1; step < 64; step *= 2) {
        uint64_t parity = gaps; /* of the gaps below each bit */
        for (int by = 1; by < 64; by *= 2) {
            parity ^= parity << by;
        }
        uint64_t moved = parity & mask;
        mask = (mask ^ moved) | moved >> step;
        uint64_t part = word & moved;
        word = (word ^ part) | part >> step;
        gaps &= ~parity;
    }
    return word;
}

/* Likewise, run by run: cheaper where there are few. */
static uint64_t bits_join(uint64_t word, uint64_t mask)
{
    uint64_t joined = 0;
    int at = 0;
    while (mask != 0) {
        int first = sb_ctz_u64(mask);
        uint64_t rest = ~(mask >> first);
        int length = rest == 0 ? 64 : sb_ctz_u64(rest);
        uint64_t run = length == 64 ? ~(uint64_t)0 : ((uint64_t)1 << length) - 1;
        joined |= (word >> first & run) << at;
        at += length;
        mask = first + length >= 64 ? 0 : mask & ~(uint64_t)0 << (first + length);
    }
    return joined;
}

static void word_put(uint8_t *dst, uint64_t word, int64_t size)
{
    for (int64_t i = 0; i < size; i++) {
        dst[i] = (uint8_t)(word >> (8 * i));
    }
}

static void take_bits(uint8_t *dst, const uint8_t *src, int64_t offset, const uint8_t *mask,
                      int64_t rows, int64_t taken)
{
    uint64_t waiting = 0; /* bits that do not fill a word yet */
    if (are_few(mask, rows, taken)) {
        take_few_bits(dst, src, offset, mask, rows);
        return;
    }
    int used = 0;
    for (int64_t row = 0; row < rows; row += 64) {
        uint64_t wanted = sb_bitmap_word(mask, row / 64);
        if (wanted == 0) {
            continue;
        }
        uint64_t word = bits_load(src, offset + row, rows - row < 64 ? rows - row : 64);
        int count = 1;
        if ((wanted & (wanted - 1)) == 0) {
            word = word >> sb_ctz_u64(wanted) & 1;
        } else if (wanted != ~(uint64_t)0) {
            count = sb_popcount_u64(wanted);
            word = sb_popcount_u64(wanted & ~(wanted << 1)) <= 6 ? bits_join(word, wanted)
                                                                 : bits_compress(word, wanted);
        } else {
            count = 64;
        }
        waiting |= word << used;
        if (used + count < 64) {
            used += count;
            continue;
        }
        sb_bitmap_word_put(dst, 0, waiting);
        dst += 8;
        waiting = used == 0 ? 0 : word >> (64 - used);
        used += count - 64;
    }
    word_put(dst, waiting, (used + 7) / 8);
}

/* The values of one word's rows; `width` is a constant in each call, so that a value is one load and one store. */
static inline uint8_t *take_word(uint8_t *dst, const uint8_t *src, size_t width, uint64_t word)
{
    while (word != 0) {
        memcpy(dst, src + (size_t)sb_ctz_u64(word) * width, width);
        dst += width;
        word &= word - 1;
    }
    return dst;
}

static uint8_t *take_runs_of(uint8_t *dst, const uint8_t *src, size_t width, uint64_t word)
{
    while (word != 0) {
        int first = sb_ctz_u64(word);
        uint64_t rest = ~(word >> first);
        int length = rest == 0 ? 64 : sb_ctz_u64(rest);
        memcpy(dst, src + (size_t)first * width, (size_t)length * width);
        dst += (size_t)length * width;
        word = first + length >= 64 ? 0 : word & ~(uint64_t)0 << (first + length);
    }
    return dst;
}

static void take_values(uint8_t *dst, const uint8_t *src, size_t width, const uint8_t *mask,
                        int64_t rows, int64_t taken)
{
    bool few = are_few(mask, rows, taken);
    if (few && width == 8) {
        take_few_values(dst, src, 8, mask, rows);
        return;
    }
    if (few && width == 4) {
        take_few_values(dst, src, 4, mask, rows);
        return;
    }
    if (few && width == 16) {
        take_few_values(dst, src, 16, mask, rows);
        return;
    }
    for (int64_t row = 0; row < rows; row += 64, src += 64 * width) {
        uint64_t word = sb_bitmap_word(mask, row / 64);
        if (word == 0) {
            continue;
        }
        /* Long runs are copied whole: a run costs about as much as eight values. */
        bool runs = (word & (word - 1)) != 0 &&
                    sb_popcount_u64(word & ~(word << 1)) * 8 < sb_popcount_u64(word);
        if (!runs && width == 8) {
            dst = take_word(dst, src, 8, word);
        } else if (!runs && width == 4) {
            dst = take_word(dst, src, 4, word);
        } else if (!runs && width == 16) {
            dst = take_word(dst, src, 16, word);
        } else if (!runs && width == 1) {
            dst = take_word(dst, src, 1, word);
        } else if (!runs && width == 2) {
            dst = take_word(dst, src, 2, word);
        } else {
            dst = take_runs_of(dst, src, width, word);
        }
    }
}

static sb_status block_new(size_t size, void **out, sb_error *err)
{
    *out = sb_mem_alloc_aligned(size);
    return *out != NULL ? SB_OK : sb_error_no_memory(err, size);
}

static sb_status take_validity(sb_array *array, const uint8_t *mask, int64_t count,
                               sb_array_parts *parts, sb_error *err)
{
    const uint8_t *valid = sb_array_validity(array);
    parts->null_count = 0;
    if (valid == NULL) {
        return SB_OK;
    }
    sb_status status = block_new(sb_bitmap_size(count), &parts->blocks[0], err);
    if (status != SB_OK) {
        return status;
    }
    take_bits(parts->blocks[0], valid, array->offset, mask, array->length, count);
    parts->null_count = count - sb_bitmap_count(parts->blocks[0], 0, count);
    return SB_OK;
}

/* --- variable layouts --------------------------------------------------------------------------------------------- */

static inline int64_t offset_at(const sb_array *array, bool large, int64_t row)
{
    const uint8_t *offsets = array->buffers[1];
    if (large) {
        int64_t wide;
        memcpy(&wide, offsets + (array->offset + row) * 8, 8);
        return wide;
    }
    int32_t narrow;
    memcpy(&narrow, offsets + (array->offset + row) * 4, 4);
    return narrow;
}

static inline void offset_put(void *offsets, bool large, int64_t row, int64_t value)
{
    if (large) {
        ((int64_t *)offsets)[row] = value;
    } else {
        ((int32_t *)offsets)[row] = (int32_t)value;
    }
}

/* The sum of the taken rows' sizes, whose ends go to `offsets`; -1 when an offset points outside. `large` is a constant in each call. */
static inline int64_t offsets_take(const sb_array *array, bool large, const uint8_t *mask,
                                   int64_t lowest, int64_t highest, void *offsets)
{
    int64_t at = 0, sum = 0, last = lowest;
    bool bad = false;
    offset_put(offsets, large, 0, 0);
    for (int64_t row = 0; row < array->length; row += 64) {
        for (uint64_t word = sb_bitmap_word(mask, row / 64); word != 0; word &= word - 1) {
            int64_t which = row + sb_ctz_u64(word);
            int64_t start = offset_at(array, large, which);
            int64_t end = offset_at(array, large, which + 1);
            /* Against the last row taken too: a list's items must not be wanted twice. */
            bad |= start < last || end < start || end > highest;
            last = end;
            /* Wraps where it is bad, and is not used then. */
            sum = (int64_t)((uint64_t)sum + (uint64_t)end - (uint64_t)start);
            offset_put(offsets, large, ++at, sum);
        }
    }
    return bad ? -1 : sum;
}

/* Writes the offsets of the taken rows and gives the bytes (or items) they span in all. Every offset that is read is checked
 * to ascend within what the data buffer or the child holds. */
static sb_status take_offsets(sb_array *array, bool large, const uint8_t *mask, void *offsets,
                              int64_t *total, sb_error *err)
{
    int64_t lowest = array->length > 0 ? offset_at(array, large, 0) : 0;
    int64_t highest = array->length > 0 ? offset_at(array, large, array->length) : 0;
    int64_t limit = array->child_count > 0 ? array->children[0]->length : array->data_size;
    /* Import has seen the ends of the array that this may be a slice of, not those of the slice. */
    if (lowest < 0 || highest < lowest || highest > limit) {
        goto bad;
    }
    *total = large ? offsets_take(array, true, mask, lowest, highest, offsets)
                   : offsets_take(array, false, mask, lowest, highest, offsets);
    if (*total >= 0) {
        return SB_OK;
    }
bad:
    return sb_error_set(err, SB_INVALID,
                        "malformed Arrow array \"%.100s\": its offsets do not ascend",
                        array->type->name);
}

static sb_status take_text(sb_array *array, bool large, const uint8_t *mask, int64_t count,
                           sb_array_parts *parts, sb_error *err)
{
    sb_status status;
    int64_t total = 0;
    parts->block_count = 3;
    SB_TRY(block_new((size_t)(count + 1) * (large ? 8 : 4), &parts->blocks[1], err));
    SB_TRY(take_offsets(array, large, mask, parts->blocks[1], &total, err));
    SB_TRY(block_new((size_t)total + SB_TEXT_SHORT, &parts->blocks[2], err));
    mask_run run;
    uint8_t *dst = parts->blocks[2];
    const uint8_t *src = array->buffers[2];
    mask_run_init(&run, mask, array->length);
    while (mask_run_next(&run)) {
        int64_t start = offset_at(array, large, run.start);
        int64_t size = offset_at(array, large, run.start + run.length) - start;
        dst = sb_text_put(dst, src, start, size, array->data_size);
    }
out:
    return status;
}

static sb_status take_rows(sb_array *array, const uint8_t *mask, int64_t count, sb_array **out,
                           sb_error *err);

/* Takes from the items [lowest, highest) of the child those whose bit is set. */
static sb_status take_items(sb_array *child, int64_t lowest, int64_t highest, const uint8_t *items,
                            int64_t total, sb_array **out, sb_error *err)
{
    sb_array *slice = NULL;
    sb_status status = sb_array_slice(child, lowest, highest - lowest, &slice, err);
    if (status == SB_OK) {
        /* A struct is never left with an offset: pyarrow does not look at that of a map's entries. */
        status = child->type->layout == SB_LAYOUT_STRUCT && slice->offset != 0
                     ? take_rows(slice, items, total, out, err)
                     : sb_array_take(slice, items, total, out, err);
    }
    sb_array_drop(slice);
    return status;
}

static sb_status take_list(sb_array *array, bool large, const uint8_t *mask, int64_t count,
                           sb_array_parts *parts, sb_error *err)
{
    sb_status status;
    uint8_t *items = NULL;
    int64_t total = 0;
    int64_t lowest = array->length > 0 ? offset_at(array, large, 0) : 0;
    int64_t highest = array->length > 0 ? offset_at(array, large, array->length) : 0;
    parts->block_count = 2;
    SB_TRY(block_new((size_t)(count + 1) * (large ? 8 : 4), &parts->blocks[1], err));
    SB_TRY(take_offsets(array, large, mask, parts->blocks[1], &total, err));
    SB_TRY(mask_new(highest - lowest, &items, err));
    mask_run run;
    mask_run_init(&run, mask, array->length);
    while (mask_run_next(&run)) {
        int64_t start = offset_at(array, large, run.start);
        int64_t end = offset_at(array, large, run.start + run.length);
        sb_bitmap_fill(items, start - lowest, end - start, true);
    }
    SB_TRY(take_items(array->children[0], lowest, highest, items, total, &parts->children[0], err));
    parts->child_count = 1;
out:
    sb_mem_free_aligned(items);
    return status;
}

static sb_status take_fixed_list(sb_array *array, const uint8_t *mask, int64_t count,
                                 sb_array_parts *parts, sb_error *err)
{
    int64_t width = array->type->width;
    uint8_t *items = NULL;
    sb_status status = mask_new(array->length * width, &items, err);
    if (status != SB_OK) {
        return status;
    }
    parts->block_count = 1;
    mask_run run;
    mask_run_init(&run, mask, array->length);
    while (mask_run_next(&run)) {
        sb_bitmap_fill(items, run.start * width, run.length * width, true);
    }
    int64_t first = array->offset * width;
    SB_TRY(take_items(array->children[0], first, first + array->length * width, items,
                      count * width, &parts->children[0], err));
    parts->child_count = 1;
out:
    sb_mem_free_aligned(items);
    return status;
}

static sb_status take_struct(sb_array *array, const uint8_t *mask, int64_t count,
                             sb_array_parts *parts, sb_error *err)
{
    parts->block_count = 1;
    for (int64_t i = 0; i < array->child_count; i++) {
        sb_status status =
            take_items(array->children[i], array->offset, array->offset + array->length, mask,
                       count, &parts->children[i], err);
        if (status != SB_OK) {
            return status;
        }
        parts->child_count = i + 1;
    }
    return SB_OK;
}

static sb_status take_flat(sb_array *array, const uint8_t *mask, int64_t count,
                           sb_array_parts *parts, sb_error *err)
{
    bool bits = array->type->layout == SB_LAYOUT_BOOL;
    size_t width = (size_t)array->type->width;
    int64_t padded = (count + 63) & ~(int64_t)63;
    sb_status status =
        block_new(bits ? sb_bitmap_size(padded) : (size_t)padded * width, &parts->blocks[1], err);
    if (status != SB_OK) {
        return status;
    }
    parts->block_count = 2;
    if (array->dictionary != NULL) {
        parts->dictionary = sb_array_retain(array->dictionary);
    }
    if (array->length == 0) {
        return SB_OK;
    }
    const uint8_t *src = array->buffers[1];
    if (bits) {
        take_bits(parts->blocks[1], src, array->offset, mask, array->length, count);
    } else if (width > 0) {
        take_values(parts->blocks[1], src + (size_t)array->offset * width, width, mask,
                    array->length, count);
    }
    return SB_OK;
}

/* --- layouts whose values stay where they are ---------------------------------------------------------------------- */

/* Values of `width` bytes; those of null rows become zero, because nobody may look at what they say. */
static sb_status take_places(sb_array *array, int buffer, int64_t width, const uint8_t *mask,
                             int64_t count, sb_array_parts *parts, sb_error *err)
{
    sb_status status = block_new((size_t)(count * width), &parts->blocks[buffer], err);
    if (status != SB_OK || array->length == 0) {
        return status;
    }
    uint8_t *taken = parts->blocks[buffer];
    const uint8_t *valid = parts->blocks[0];
    take_values(taken, (const uint8_t *)array->buffers[buffer] + array->offset * width,
                (size_t)width, mask, array->length, count);
    for (int64_t i = 0; parts->null_count > 0 && i < count; i++) {
        if (!sb_bit_get(valid, i)) {
            memset(taken + i * width, 0, (size_t)width);
        }
    }
    return SB_OK;
}

static sb_status take_views(sb_array *array, const uint8_t *mask, int64_t count,
                            sb_array_parts *parts, sb_error *err)
{
    sb_status status = take_places(array, 1, 16, mask, count, parts, err);
    if (status != SB_OK) {
        return status;
    }
    int64_t shared = array->buffer_count - 3;
    status = block_new((size_t)shared * 8, &parts->blocks[2], err);
    if (status == SB_OK && shared > 0) {
        memcpy(parts->blocks[2], array->buffers[array->buffer_count - 1], (size_t)shared * 8);
    }
    parts->block_count = 3;
    parts->shared = array->buffers + 2;
    parts->shared_count = shared;
    return status;
}

static sb_status take_list_views(sb_array *array, const uint8_t *mask, int64_t count,
                                 sb_array_parts *parts, sb_error *err)
{
    int64_t width = array->type->width;
    sb_status status = take_places(array, 1, width, mask, count, parts, err);
    if (status == SB_OK) {
        status = take_places(array, 2, width, mask, count, parts, err);
    }
    parts->block_count = 3;
    parts->children[0] = sb_array_retain(array->children[0]);
    parts->child_count = 1;
    return status;
}

static sb_status take_union(sb_array *array, const uint8_t *mask, int64_t count,
                            sb_array_parts *parts, sb_error *err)
{
    bool dense = array->type->layout == SB_LAYOUT_DENSE_UNION;
    sb_status status;
    SB_TRY(take_places(array, 0, 1, mask, count, parts, err));
    if (!dense) {
        return take_struct(array, mask, count, parts, err);
    }
    parts->block_count = 2;
    SB_TRY(take_places(array, 1, 4, mask, count, parts, err));
    for (int64_t i = 0; i < array->child_count; i++) {
        parts->children[i] = sb_array_retain(array->children[i]);
        parts->child_count = i + 1;
    }
out:
    return status;
}

/* --- runs ---------------------------------------------------------------------------------------------------------- */

/* Ends of the runs from `first` on that keep a row, and a mask of these runs; gives their number. */
static int64_t runs_pick(const sb_array *array, int64_t first, const uint8_t *mask, void *ends,
                         uint8_t *picked)
{
    const sb_array *given = array->children[0];
    int64_t width = given->type->width;
    int64_t row = 0, at = 0;
    uint8_t *out = ends;
    for (int64_t run = first; row < array->length; run++) {
        int64_t end = sb_index_get(given->buffers[1], width, given->offset + run) - array->offset;
        end = end < array->length ? end : array->length;
        int64_t kept = sb_bitmap_count(mask, row, end - row);
        row = end;
        if (kept > 0) {
            at += kept;
            sb_index_put(out, width, at);
            out += width;
            sb_bit_set(picked, run - first);
        }
    }
    return (out - (uint8_t *)ends) / width;
}

static sb_status take_runs(sb_array *array, const uint8_t *mask, sb_array_parts *parts,
                           sb_error *err)
{
    sb_array *ends = array->children[0];
    uint8_t *picked = NULL;
    sb_array_parts made = {.block_count = 2};
    int64_t first = 0, end = 0;
    if (array->length > 0) {
        first = sb_run_find(array, array->offset);
        end = sb_run_find(array, array->offset + array->length - 1) + 1;
    }
    sb_status status;
    SB_TRY(mask_new(end - first, &picked, err));
    SB_TRY(block_new((size_t)((end - first) * ends->type->width), &made.blocks[1], err));
    made.length = made.extent = runs_pick(array, first, mask, made.blocks[1], picked);
    SB_TRY(sb_array_new(ends->type, &made, &parts->children[0], err));
    made.blocks[1] = NULL;
    parts->child_count = 1;
    SB_TRY(
        take_items(array->children[1], first, end, picked, made.length, &parts->children[1], err));
    parts->child_count = 2;
out:
    sb_mem_free_aligned(made.blocks[1]);
    sb_mem_free_aligned(picked);
    return status;
}

static sb_status take_layout(sb_array *array, const uint8_t *mask, int64_t count,
                             sb_array_parts *parts, sb_error *err)
{
    switch (array->type->layout) {
    case SB_LAYOUT_FIXED:
    case SB_LAYOUT_BOOL:
        return take_flat(array, mask, count, parts, err);
    case SB_LAYOUT_BINARY:
    case SB_LAYOUT_LARGE_BINARY:
        return take_text(array, array->type->layout == SB_LAYOUT_LARGE_BINARY, mask, count, parts,
                         err);
    case SB_LAYOUT_LIST:
    case SB_LAYOUT_LARGE_LIST:
        return take_list(array, array->type->layout == SB_LAYOUT_LARGE_LIST, mask, count, parts,
                         err);
    case SB_LAYOUT_FIXED_LIST:
        return take_fixed_list(array, mask, count, parts, err);
    case SB_LAYOUT_STRUCT:
        return take_struct(array, mask, count, parts, err);
    case SB_LAYOUT_BINARY_VIEW:
        return take_views(array, mask, count, parts, err);
    case SB_LAYOUT_LIST_VIEW:
        return take_list_views(array, mask, count, parts, err);
    case SB_LAYOUT_SPARSE_UNION:
    case SB_LAYOUT_DENSE_UNION:
        return take_union(array, mask, count, parts, err);
    case SB_LAYOUT_RUN_END:
        return take_runs(array, mask, parts, err);
    default:
        return sb_error_set(err, SB_UNSUPPORTED, "rows of format \"%.40s\" cannot be taken",
                            array->type->format);
    }
}

static sb_status take_rows(sb_array *array, const uint8_t *mask, int64_t count, sb_array **out,
                           sb_error *err)
{
    if (array->type->layout == SB_LAYOUT_NULL) {
        return sb_array_new_null(array->type, count, out, err);
    }
    size_t pointers = (size_t)array->child_count * sizeof(sb_array *);
    sb_array_parts parts = {
        .length = count, .extent = count, .null_count = -1, .keep = &array, .keep_count = 0};
    sb_status status = SB_OK;
    /* Text and lists check the offsets that they read as they go. */
    if (array->type->layout >= SB_LAYOUT_BINARY_VIEW) {
        status = sb_array_check(array, err);
        parts.keep_count = array->type->layout == SB_LAYOUT_BINARY_VIEW;
        if (status != SB_OK) {
            return status;
        }
    }
    if (array->child_count > 0) {
        parts.children = sb_mem_alloc_zero(pointers);
        if (parts.children == NULL) {
            return sb_error_no_memory(err, pointers);
        }
    }
    SB_TRY(take_validity(array, mask, count, &parts, err));
    SB_TRY(take_layout(array, mask, count, &parts, err));
    if (array->type->layout == SB_LAYOUT_FIXED || array->type->layout == SB_LAYOUT_BOOL) {
        /* The values have room for whole lane groups; a validity bitmap is readable in whole 64-byte blocks. */
        parts.extent = (count + 63) & ~(int64_t)63;
    }
    SB_TRY(sb_array_new(array->type, &parts, out, err));
    sb_mem_free(parts.children);
    return SB_OK;
out:
    for (int64_t i = 0; i < 3; i++) {
        sb_mem_free_aligned(parts.blocks[i]);
    }
    for (int64_t i = 0; i < parts.child_count; i++) {
        sb_array_drop(parts.children[i]);
    }
    sb_array_drop(parts.dictionary);
    sb_mem_free(parts.children);
    return status;
}

sb_status sb_array_take(sb_array *array, const uint8_t *mask, int64_t count, sb_array **out,
                        sb_error *err)
{
    if (count == array->length) {
        *out = sb_array_retain(array);
        return SB_OK;
    }
    if (count > 0) {
        return take_rows(array, mask, count, out, err);
    }
    /* Of no rows nothing is to be found, so that nobody need look through the mask. */
    sb_array *none = NULL;
    sb_status status = sb_array_slice(array, 0, 0, &none, err);
    if (status == SB_OK) {
        status = take_rows(none, mask, 0, out, err);
    }
    sb_array_drop(none);
    return status;
}

sb_status sb_array_mask(sb_array *array, uint8_t **out, int64_t *count, sb_error *err)
{
    SB_ASSERT(array->type->layout == SB_LAYOUT_BOOL);
    size_t size = sb_mask_size(array->length);
    uint8_t *mask = sb_mem_alloc_aligned(size);
    if (mask == NULL) {
        return sb_error_no_memory(err, size);
    }
    const uint8_t *valid = sb_array_validity(array);
    int64_t whole = array->length & ~(int64_t)63;
    memset(mask + whole / 8, 0, size - (size_t)(whole / 8));
    if (array->length > 0) {
        sb_bitmap_copy(mask, 0, array->buffers[1], array->offset, array->length);
    }
    for (int64_t row = 0; valid != NULL && row < array->length; row += 64) {
        int64_t rows = array->length - row < 64 ? array->length - row : 64;
        uint64_t word = bits_load(valid, array->offset + row, rows);
        sb_bitmap_word_put(mask, row / 64, word & sb_bitmap_word(mask, row / 64));
    }
    *count = sb_bitmap_count(mask, 0, array->length);
    *out = mask;
    return SB_OK;
}
