/* Dictionaries united, as sb_dictionary_unite of column/gather.h promises it.
 *
 * Algorithm: the dictionaries are joined end to end; a table of rows, open addressing by hash, finds for each row the first that
 * equals it. The first ones, in order, are the new dictionary.
 *
 * Threads: none of its own. Memory: the table lives as long as the call. */
#include <string.h>

#include "base/mem.h"
#include "column/gather.h"
#include "column/rows.h"

typedef struct table {
    int64_t *slots; /* 1 + row of the joined dictionaries; 0: empty */
    uint64_t mask;
} table;

/* The row that equals `row` and came first, itself when none did. */
static int64_t table_put(table *set, const sb_array *rows, int64_t row)
{
    uint64_t at = sb_row_hash(rows, row, 0) & set->mask;
    while (set->slots[at] != 0) {
        if (sb_row_equal(rows, set->slots[at] - 1, rows, row, SB_EQUAL_KEY)) {
            return set->slots[at] - 1;
        }
        at = (at + 1) & set->mask;
    }
    set->slots[at] = row + 1;
    return row;
}

/* places[i] becomes the new index of joined row i; firsts the rows that are kept. */
static sb_status rows_number(const sb_array *joined, int64_t *places, int64_t *firsts,
                             int64_t *count, sb_error *err)
{
    table set = {.mask = 15};
    while (set.mask < 2 * (uint64_t)joined->length) {
        set.mask = set.mask * 2 + 1;
    }
    size_t size = (size_t)(set.mask + 1) * sizeof *set.slots;
    set.slots = sb_mem_alloc_zero(size);
    if (set.slots == NULL) {
        return sb_error_no_memory(err, size);
    }
    *count = 0;
    for (int64_t row = 0; row < joined->length; row++) {
        int64_t first = table_put(&set, joined, row);
        if (first == row) {
            firsts[*count] = row;
            places[row] = (*count)++;
        } else {
            places[row] = places[first];
        }
    }
    sb_mem_free(set.slots);
    return SB_OK;
}

static sb_status maps_make(sb_array *const *dictionaries, int64_t count, const int64_t *places,
                           int64_t ***out, sb_error *err)
{
    int64_t **maps = sb_mem_alloc_zero((size_t)count * sizeof *maps);
    for (int64_t i = 0; maps != NULL && i < count; i++) {
        size_t size = (size_t)dictionaries[i]->length * sizeof(int64_t);
        maps[i] = sb_mem_alloc(size);
        if (maps[i] == NULL) {
            for (int64_t k = 0; k < i; k++) {
                sb_mem_free(maps[k]);
            }
            sb_mem_free(maps);
            return sb_error_no_memory(err, size);
        }
        memcpy(maps[i], places, size);
        places += dictionaries[i]->length;
    }
    *out = maps;
    return maps != NULL ? SB_OK : sb_error_no_memory(err, (size_t)count * sizeof *maps);
}

sb_status sb_dictionary_unite(sb_array *const *dictionaries, int64_t count, sb_array **out,
                              int64_t ***maps, sb_error *err)
{
    sb_array *joined = NULL, *kept = NULL;
    int64_t *places = NULL, *firsts = NULL;
    int64_t distinct = 0;
    sb_status status;
    SB_TRY(sb_array_concat(dictionaries, count, &joined, err));
    SB_TRY(sb_array_validate(joined, SB_VALIDATE_OFFSETS, err));
    size_t size = (size_t)joined->length * sizeof(int64_t);
    places = sb_mem_alloc(size);
    firsts = sb_mem_alloc(size);
    if (places == NULL || firsts == NULL) {
        status = sb_error_no_memory(err, size);
        goto out;
    }
    SB_TRY(rows_number(joined, places, firsts, &distinct, err));
    SB_TRY(sb_array_gather(joined, firsts, distinct, &kept, err));
    SB_TRY(maps_make(dictionaries, count, places, maps, err));
    *out = kept;
    kept = NULL;
out:
    sb_array_drop(kept);
    sb_array_drop(joined);
    sb_mem_free(places);
    sb_mem_free(firsts);
    return status;
}
