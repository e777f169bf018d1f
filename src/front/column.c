/* Columns as Python values: which formats kernels read, and what they become.
 *
 * Algorithm: kernels see int64, double or bool (column/view.h widens what is narrower). Dates stay days. Timestamps of all columns
 * of a function are brought to the finest of their units, so that comparing needs no unit. In a zone whose
 * offset changes the wall clock may go back, and Python compares by that clock: those are told from None, and passed on. The host
 * gives no zone that it does not know.
 * A date or timestamp that Python cannot hold fails its row before the function is called, read or not: the row leaves first.
 *
 * Interface: sb_column_* of lower_int.h. Memory: none. Threads: any. */
#include <string.h>

#include "front/lower_int.h"

#define SECOND_US INT64_C(1000000)
#define DAY_S INT64_C(86400)
#define DAY_FIRST INT64_C(-719162) /* of the year 1 */
#define DAY_LAST INT64_C(2932896)  /* of the year 9999 */

static const sb_column_kind kinds[] = {
    {"b", SB_PRIM_B, TAG_BOOL, 0},
    {"c", SB_PRIM_I64, TAG_INT, 0},
    {"C", SB_PRIM_I64, TAG_INT, 0},
    {"s", SB_PRIM_I64, TAG_INT, 0},
    {"S", SB_PRIM_I64, TAG_INT, 0},
    {"i", SB_PRIM_I64, TAG_INT, 0},
    {"I", SB_PRIM_I64, TAG_INT, 0},
    {"l", SB_PRIM_I64, TAG_INT, 0},
    {"L", SB_PRIM_I64, TAG_INT, 0},
    {"e", SB_PRIM_F64, TAG_FLOAT, 0},
    {"f", SB_PRIM_F64, TAG_FLOAT, 0},
    {"g", SB_PRIM_F64, TAG_FLOAT, 0},
    {"tdD", SB_PRIM_I64, TAG_DATE, 0},
    {"tss:", SB_PRIM_I64, TAG_STAMP, SECOND_US},
    {"tsm:", SB_PRIM_I64, TAG_STAMP, SECOND_US / 1000},
    {"tsu:", SB_PRIM_I64, TAG_STAMP, 1},
};

static bool in_range(const char *digits, int most)
{
    bool both = digits[0] >= '0' && digits[0] <= '9' && digits[1] >= '0' && digits[1] <= '9';
    return both && (digits[0] - '0') * 10 + digits[1] - '0' <= most;
}

/* UTC, or +hh:mm and -hh:mm. */
static bool has_fixed_offset(const char *zone)
{
    if (strcmp(zone, "UTC") == 0) {
        return true;
    }
    return strlen(zone) == 6 && (zone[0] == '+' || zone[0] == '-') && in_range(zone + 1, 23) &&
           zone[3] == ':' && in_range(zone + 4, 59);
}

sb_column_kind sb_column_kind_of(const char *format)
{
    for (size_t k = 0; k < SB_COUNT_OF(kinds); k++) {
        sb_column_kind kind = kinds[k];
        size_t size = strlen(kind.format);
        if (kind.unit_us == 0 ? strcmp(format, kind.format) != 0
                              : strncmp(format, kind.format, size) != 0) {
            continue;
        }
        if (kind.unit_us != 0 && format[size] != '\0') {
            kind.tag = has_fixed_offset(format + size) ? TAG_AWARE : TAG_ZONED;
        }
        return kind;
    }
    return (sb_column_kind){.format = "", .prim = SB_PRIM_VOID};
}

/* Rows outside of low and high leave; not null ones, whose values may be anything. */
static void leave_outside(lowering *l, sb_value in, sb_value valid, int64_t low, int64_t high,
                          sb_reason reason)
{
    sb_value outside = sb_op2(l, SB_IR_PY_LT_I64, in, sb_irb_const_i(&l->b, low));
    if (high != INT64_MAX) {
        sb_value above = sb_op2(l, SB_IR_PY_LT_I64, sb_irb_const_i(&l->b, high), in);
        outside = sb_op2(l, SB_IR_OR, outside, above);
    }
    sb_irb_leave_if(&l->b, sb_op2(l, SB_IR_AND, valid, outside), reason);
}

static sb_value stamp_value(lowering *l, sb_value in, sb_value valid, const sb_column_kind *kind)
{
    /* In a zone the time of the wall clock, too, must be within Python's years. */
    int64_t margin = kind->tag == TAG_STAMP ? 0 : 1;
    int64_t day = DAY_S * (SECOND_US / kind->unit_us);
    leave_outside(l, in, valid, (DAY_FIRST + margin) * day, (DAY_LAST + 1 - margin) * day - 1,
                  SB_REASON_RAISE);
    int64_t factor = kind->unit_us / l->stamp_us;
    if (factor == 1) {
        return in;
    }
    sb_value known = sb_irb_op(&l->b, SB_IR_SELECT, valid, in, l->zero_i);
    return sb_op2(l, SB_IR_PY_MUL_I64, known, sb_irb_const_i(&l->b, factor));
}

pyval sb_column_value(lowering *l, uint32_t input, const sb_column_kind *kind)
{
    pyval v = {.tags = NONE_BIT | TAG_BIT(kind->tag)};
    sb_value in = sb_irb_in(&l->b, input);
    sb_value valid = sb_irb_in_valid(&l->b, input);
    v.is[kind->tag] = valid;
    sb_pyval_complete(l, &v);
    if (kind->prim == SB_PRIM_B) {
        v.b = in;
        return v;
    }
    if (kind->prim == SB_PRIM_F64) {
        v.f = in;
        return v;
    }
    v.i = in;
    if (kind->format[0] == 'L') {
        leave_outside(l, in, valid, 0, INT64_MAX, SB_REASON_OVERFLOW);
    } else if (kind->tag == TAG_DATE) {
        leave_outside(l, in, valid, DAY_FIRST, DAY_LAST, SB_REASON_RAISE);
    } else if (kind->unit_us != 0) {
        v.i = stamp_value(l, in, valid, kind);
    }
    return v;
}
