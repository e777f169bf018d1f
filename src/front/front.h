/* From a syntax-tree blob to typed IR: sb_front_lower.
 *
 * The same typing decides the result's type whether or not the function is then compiled. A function that cannot be
 * compiled is not an error: `refusals` say why.
 *
 * Memory: sb_lowered owns its strings, arrays and IR; sb_lowered_release gives them back (zeroed is fine). Threads: any. */
#ifndef SB_FRONT_FRONT_H
#define SB_FRONT_FRONT_H

#include "ir/func_info.h"
#include "ir/refusal.h"

typedef struct sb_front_column { /* borrowed */
    const char *name;
    const char *format; /* Arrow format string */
} sb_front_column;

typedef struct sb_lowered {
    char *name;
    char *record;          /* of a record function: its parameter's name; else "" */
    bool compiled;         /* ir is there */
    bool is_whole;         /* of whole batches: see sb_item */
    bool can_raise;        /* some row may leave or raise (true when not compiled) */
    char result_format[8]; /* "l" "g" "b" "u" "n"; "+s": the keys are the results */
    sb_prim result_prim;
    uint32_t key_count;
    sb_func_key *keys;
    uint32_t param_count;
    sb_func_param *params;
    uint32_t refusal_count;
    sb_refusal *refusals;
    sb_ir ir;
} sb_lowered;

/* SB_UNKNOWN_COLUMN: a parameter is no column and has no default. SB_TYPE: return kinds with no common type, or an annotation that
 * disagrees. SB_UNSUPPORTED: the result's type cannot be told. SB_INVALID: the blob is malformed. */
sb_status sb_front_lower(const void *blob, size_t size, const sb_front_column *columns,
                         uint32_t column_count, bool compile_off, sb_lowered *out, sb_error *err);
/* The same for a function that gives a tuple of key_count items in each row, at least one: each item becomes a result of its own, the
 * output of that number. A row that gives anything else leaves. Of a function that is refused no format is told: "". names: borrow. */
sb_status sb_front_lower_keys(const void *blob, size_t size, const sb_front_column *columns,
                              uint32_t column_count, const char *const *names, uint32_t key_count,
                              bool compile_off, sb_lowered *out, sb_error *err);
void sb_lowered_release(sb_lowered *lowered);

#endif
