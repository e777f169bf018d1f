/* Random programs and random columns for them.
 *
 * A program is valid by construction: operands are picked from a pool of the values that are visible here, cut back when a
 * region ends; merges and results bring values out. Loops count their turns with a counter of their own. One program in four has lists:
 * made at top level, used everywhere, by positions that are mostly small.
 *
 * Memory: the program's own arrays and the batch. Threads: one at a time. */
#include <math.h>
#include <string.h>

#include "base/bitmap.h"
#include "base/mem.h"
#include "interp/testkit.h"

#define POOL_MAX 1024
#define DEPTH_MAX 3
#define ARGS_MAX 4
#define LISTS_MAX 6

typedef struct pool {
    sb_value items[POOL_MAX];
    uint32_t count;
} pool;

typedef struct generator {
    sb_ir *ir;
    sb_irb b;
    uint64_t random;
    uint32_t size_max;
    pool visible;
    sb_value lists[LISTS_MAX]; /* made at top level */
    uint32_t list_count;
} generator;

uint64_t sb_testkit_random(uint64_t *state)
{
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = *state;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint32_t below(uint64_t *state, uint32_t limit)
{
    return (uint32_t)(sb_testkit_random(state) >> 33) % limit;
}

static int64_t edge_int(uint64_t *state)
{
    static const int64_t bases[] = {
        0,         INT64_C(1) << 31,    INT64_C(1) << 53,    INT64_C(1) << 62,   INT64_MAX,
        INT64_MIN, -(INT64_C(1) << 31), -(INT64_C(1) << 53), -(INT64_C(1) << 62)};
    const int64_t base = bases[below(state, SB_COUNT_OF(bases))];
    const int64_t delta = (int64_t)below(state, 5) - 2;
    int64_t out;
    return sb_add_overflow_i64(base, delta, &out) ? base : out;
}

static double edge_double(uint64_t *state)
{
    static const double values[] = {0.0,
                                    -0.0,
                                    INFINITY,
                                    -INFINITY,
                                    NAN,
                                    5e-324,
                                    -2.2250738585072014e-308,
                                    1.7976931348623157e308,
                                    9007199254740992.0,
                                    -9007199254740994.0,
                                    9223372036854775808.0,
                                    -9223372036854775808.0,
                                    0.1,
                                    4503599627370496.5};
    return values[below(state, SB_COUNT_OF(values))];
}

static int64_t any_int(uint64_t *state, uint32_t edge_percent)
{
    if (below(state, 100) < edge_percent) {
        return below(state, 8) == 0 ? (int64_t)sb_testkit_random(state) : edge_int(state);
    }
    return (int64_t)below(state, 41) - 15;
}

static double any_double(uint64_t *state, uint32_t edge_percent)
{
    if (below(state, 100) < edge_percent) {
        return edge_double(state);
    }
    return ((double)below(state, 4001) - 1500.0) / (below(state, 2) == 0 ? 100.0 : 8.0);
}

/* --- programs ------------------------------------------------------------------------------------------------------ */

static sb_prim any_prim(generator *g)
{
    static const sb_prim prims[] = {SB_PRIM_I64, SB_PRIM_I64, SB_PRIM_F64, SB_PRIM_B};
    return prims[below(&g->random, SB_COUNT_OF(prims))];
}

static void show(generator *g, sb_value v)
{
    if (v != 0 && g->visible.count < POOL_MAX) {
        g->visible.items[g->visible.count++] = v;
    }
}

static sb_value make_const(generator *g, sb_prim prim)
{
    switch (prim) {
    case SB_PRIM_B:
        return sb_irb_const_b(&g->b, below(&g->random, 2) == 0);
    case SB_PRIM_F64:
        return sb_irb_const_f(&g->b, any_double(&g->random, 10));
    default:
        return sb_irb_const_i(&g->b, any_int(&g->random, 10));
    }
}

static sb_value pick_from(generator *g, const pool *from, sb_prim prim)
{
    for (uint32_t k = 0; k < 12 && from->count > 0; k++) {
        const sb_value v = from->items[below(&g->random, from->count)];
        if (v < g->ir->insts.count && g->ir->insts.items[v].prim == (uint8_t)prim) {
            return v;
        }
    }
    return 0;
}

static sb_value pick(generator *g, sb_prim prim)
{
    const sb_value v = below(&g->random, 8) == 0 ? 0 : pick_from(g, &g->visible, prim);
    return v != 0 ? v : make_const(g, prim);
}

/* The functions of math are many and much alike: where they were as likely as the rest, most rows would leave by them. */
static bool is_wanted(generator *g, sb_op_code op)
{
    const sb_op_info *info = &sb_op_infos[op];
    if (info->operand_count == 0 || (info->flags & (SB_OP_STRUCT | SB_OP_LIST_FLAG)) != 0 ||
        op == SB_IR_LEAVE_IF) {
        return false;
    }
    if (op >= SB_IR_MATH_ACOS && op <= SB_IR_MATH_REMAINDER) {
        return below(&g->random, 16) == 0;
    }
    return (info->flags & SB_OP_LEAVES) == 0 || below(&g->random, 2) == 0;
}

/* Ops whose results NumPy may warn of. */
static bool is_watched(sb_op_code op)
{
    return (op >= SB_IR_PY_ADD_F64 && op <= SB_IR_PY_MOD_F64) || op == SB_IR_NP_F32;
}

static void gen_op(generator *g)
{
    sb_op_code op;
    do {
        op = (sb_op_code)below(&g->random, SB_IR_OP_COUNT);
    } while (!is_wanted(g, op));
    const sb_prim star = any_prim(g);
    sb_value operands[3] = {0, 0, 0};
    for (uint32_t k = 0; k < sb_op_infos[op].operand_count; k++) {
        const char letter = sb_op_infos[op].operands[k];
        const sb_prim prim = letter == 'b'   ? SB_PRIM_B
                             : letter == 'i' ? SB_PRIM_I64
                             : letter == 'f' ? SB_PRIM_F64
                                             : star;
        operands[k] = pick(g, prim);
    }
    const sb_value v = sb_irb_op(&g->b, op, operands[0], operands[1], operands[2]);
    if (is_watched(op) && below(&g->random, 2) == 0) {
        const sb_value other = sb_op_infos[op].operand_count > 1 ? operands[1] : operands[0];
        (void)sb_irb_op(&g->b, SB_IR_NP_WARN_F64, v, operands[0], other);
    }
    show(g, v);
}

static sb_value a_list(generator *g)
{
    return g->lists[below(&g->random, g->list_count)];
}

/* From -2 to 5, now and then anything. */
static sb_value a_position(generator *g)
{
    const sb_value any = pick(g, SB_PRIM_I64);
    if (below(&g->random, 10) == 0) {
        return any;
    }
    const sb_value low = sb_irb_op(&g->b, SB_IR_PY_AND_I64, any, sb_irb_const_i(&g->b, 7), 0);
    return sb_irb_op(&g->b, SB_IR_IX_SUB, low, sb_irb_const_i(&g->b, 2), 0);
}

/* A new list, known from here on at top level, else looked at and forgotten. */
static void gen_made_list(generator *g, uint32_t depth)
{
    const sb_value list = a_list(g);
    const sb_value first = a_position(g);
    sb_value made = 0;
    if (below(&g->random, 2) == 0) {
        made = sb_irb_op(&g->b, SB_IR_LIST_SLICE, list, first, a_position(g));
    } else {
        made = sb_irb_op(&g->b, SB_IR_LIST_REPEAT, list, first, 0);
    }
    if (depth == 0 && g->list_count < LISTS_MAX) {
        g->lists[g->list_count++] = made;
    }
    show(g, sb_irb_op(&g->b, SB_IR_LIST_LEN, made, 0, 0));
}

static void gen_list_op(generator *g, uint32_t depth)
{
    static const sb_op_code ops[] = {
        SB_IR_LIST_LEN,      SB_IR_LIST_GET,      SB_IR_LIST_GET,         SB_IR_LIST_SET,
        SB_IR_LIST_APPEND,   SB_IR_LIST_APPEND,   SB_IR_LIST_APPEND,      SB_IR_LIST_POP,
        SB_IR_LIST_INSERT,   SB_IR_LIST_EXTEND,   SB_IR_LIST_REVERSE,     SB_IR_LIST_SORT_I64,
        SB_IR_LIST_SORT_F64, SB_IR_LIST_FIND_I64, SB_IR_LIST_FIND_F64,    SB_IR_LIST_EQ_I64,
        SB_IR_LIST_EQ_F64,   SB_IR_LIST_SLICE,    SB_IR_LIST_SORT_BY_I64, SB_IR_LIST_SORT_BY_F64};
    const sb_op_code op = ops[below(&g->random, SB_COUNT_OF(ops))];
    if (op == SB_IR_LIST_SLICE) {
        gen_made_list(g, depth);
        return;
    }
    if (op == SB_IR_LIST_EXTEND && depth > 0) {
        return; /* by itself, in loops inside loops: too long to run */
    }
    const sb_value list = a_list(g);
    sb_value operands[2];
    for (uint32_t k = 0; k < SB_COUNT_OF(operands); k++) {
        const bool position = k == 0 && (op == SB_IR_LIST_GET || op == SB_IR_LIST_SET ||
                                         op == SB_IR_LIST_POP || op == SB_IR_LIST_INSERT);
        const bool other =
            op == SB_IR_LIST_EXTEND || op == SB_IR_LIST_EQ_I64 || op == SB_IR_LIST_EQ_F64;
        operands[k] = position ? a_position(g) : (other ? a_list(g) : pick(g, SB_PRIM_I64));
    }
    if (op == SB_IR_LIST_POP && below(&g->random, 2) == 0) {
        operands[0] = sb_irb_const_i(&g->b, -1);
    }
    const sb_value v = sb_irb_op(&g->b, op, list, operands[0], operands[1]);
    if (sb_op_infos[op].result != 'v') {
        show(g, v);
    }
}

static void gen_lists(generator *g)
{
    for (uint32_t k = 0; k < 2; k++) {
        const sb_value list =
            sb_irb_op(&g->b, SB_IR_LIST_NEW, sb_irb_const_i(&g->b, below(&g->random, 6)), 0, 0);
        for (uint32_t item = below(&g->random, 5); item > 0; item--) {
            (void)sb_irb_op(&g->b, SB_IR_LIST_APPEND, list, pick(g, SB_PRIM_I64), 0);
        }
        g->lists[g->list_count++] = list;
    }
    const sb_value one =
        sb_irb_op(&g->b, SB_IR_SELECT, pick(g, SB_PRIM_B), g->lists[0], g->lists[1]);
    g->lists[g->list_count++] = one;
}

static void gen_in(generator *g)
{
    const uint32_t input = below(&g->random, (uint32_t)g->ir->inputs.count);
    show(g, below(&g->random, 3) == 0 ? sb_irb_in_valid(&g->b, input) : sb_irb_in(&g->b, input));
}

static void gen_leave(generator *g)
{
    sb_value cond = pick(g, SB_PRIM_B);
    bool value = false;
    if (sb_irb_is_const_b(&g->b, cond, &value) && value) {
        return; /* every row would leave: nothing left to see */
    }
    if (below(&g->random, 10) != 0) { /* make it rarer */
        cond = sb_irb_op(&g->b, SB_IR_AND, cond, pick(g, SB_PRIM_B), 0);
    }
    const uint32_t reason = 1 + below(&g->random, SB_REASON_COUNT - 1);
    sb_irb_leave_if(&g->b, cond, (sb_reason)reason);
}

static void gen_block(generator *g, uint32_t count, uint32_t depth);

static void gen_if(generator *g, uint32_t depth)
{
    const uint32_t mark = g->visible.count;
    const sb_value branch = sb_irb_if(&g->b, pick(g, SB_PRIM_B));
    gen_block(g, 1 + below(&g->random, 6), depth + 1);
    pool *then_side = sb_mem_alloc(sizeof(pool));
    if (then_side == NULL) {
        g->b.no_memory = true;
        return;
    }
    *then_side = g->visible;
    g->visible.count = mark;
    sb_irb_else(&g->b, branch);
    gen_block(g, below(&g->random, 5), depth + 1);
    const pool else_side = g->visible;
    g->visible.count = mark;
    sb_irb_end_if(&g->b, branch);
    sb_value merged[3];
    uint32_t merged_count = 0;
    for (uint32_t k = 0; k < 3; k++) {
        const sb_prim prim = any_prim(g);
        const sb_value x = pick_from(g, then_side, prim);
        const sb_value y = pick_from(g, &else_side, prim);
        if (x != 0 && y != 0 && x != y) {
            merged[merged_count++] = sb_irb_merge(&g->b, x, y);
        }
    }
    for (uint32_t k = 0; k < merged_count; k++) {
        show(g, merged[k]);
    }
    sb_mem_free(then_side);
}

/* while True: ...; turn += 1; if not (turn < limit and maybe): break */
static void gen_loop(generator *g, uint32_t depth)
{
    const uint32_t mark = g->visible.count;
    const uint32_t turns = 1 + below(&g->random, 7);
    sb_value limit = sb_irb_const_i(&g->b, turns);
    const bool data_limit = below(&g->random, 2) == 0;
    if (data_limit) { /* a limit of this row's own, 0 to 6 */
        const sb_value seven = sb_irb_const_i(&g->b, 7);
        const sb_value data = pick(g, SB_PRIM_I64);
        limit = sb_irb_op(&g->b, SB_IR_PY_MOD_I64, data, seven, 0);
    }
    const sb_value zero = sb_irb_const_i(&g->b, 0);
    const sb_value one = sb_irb_const_i(&g->b, 1);
    sb_value inits[ARGS_MAX] = {zero};
    const uint32_t arg_count = 1 + below(&g->random, ARGS_MAX);
    for (uint32_t k = 1; k < arg_count; k++) {
        inits[k] = pick(g, any_prim(g));
    }
    const bool known = below(&g->random, 3) != 0;
    const sb_value loop = sb_irb_loop(&g->b, known ? (data_limit ? 7 : turns) : 0);
    sb_value args[ARGS_MAX] = {0};
    for (uint32_t k = 0; k < arg_count; k++) {
        args[k] = sb_irb_arg(&g->b, inits[k]);
        show(g, args[k]);
    }
    gen_block(g, 1 + below(&g->random, 7), depth + 1);
    const sb_op_code add = below(&g->random, 2) == 0 ? SB_IR_IX_ADD : SB_IR_PY_ADD_I64;
    const sb_value turn = sb_irb_op(&g->b, add, args[0], one, 0);
    sb_irb_arg_next(&g->b, args[0], turn);
    for (uint32_t k = 1; k < arg_count; k++) {
        sb_irb_arg_next(&g->b, args[k], pick(g, (sb_prim)g->ir->insts.items[args[k]].prim));
    }
    sb_value again = sb_irb_op(&g->b, SB_IR_PY_LT_I64, turn, limit, 0);
    if (below(&g->random, 3) == 0) {
        again = sb_irb_op(&g->b, SB_IR_AND, again, pick(g, SB_PRIM_B), 0);
    }
    sb_irb_end_loop(&g->b, loop, again);
    g->visible.count = mark;
    sb_value results[ARGS_MAX];
    uint32_t result_count = 0;
    for (uint32_t k = 0; k < arg_count; k++) {
        if (below(&g->random, 5) != 0) {
            results[result_count++] = sb_irb_result(&g->b, args[k]);
        }
    }
    for (uint32_t k = 0; k < result_count; k++) {
        show(g, results[k]);
    }
}

static void gen_block(generator *g, uint32_t count, uint32_t depth)
{
    for (uint32_t k = 0; k < count; k++) {
        if (g->ir->insts.count >= g->size_max) {
            return;
        }
        const uint32_t kind = below(&g->random, 100);
        if (kind < 9 && depth < DEPTH_MAX) {
            gen_if(g, depth);
        } else if (kind < 16 && depth < DEPTH_MAX) {
            gen_loop(g, depth);
        } else if (kind < 19) {
            gen_leave(g);
        } else if (kind < 26) {
            gen_in(g);
        } else if (kind < 50 && g->list_count > 0) {
            gen_list_op(g, depth);
        } else {
            gen_op(g);
        }
    }
}

static bool gen_signature(generator *g)
{
    const uint32_t inputs = 1 + below(&g->random, 4);
    for (uint32_t k = 0; k < inputs; k++) {
        if (!SB_VEC_PUSH(&g->ir->inputs, (sb_ir_input){.param = k, .prim = any_prim(g)})) {
            return false;
        }
    }
    const uint32_t outputs = 1 + below(&g->random, 3);
    for (uint32_t k = 0; k < outputs; k++) {
        const bool always_null = below(&g->random, 20) == 0;
        const sb_ir_output output = {.prim = always_null ? SB_PRIM_VOID : any_prim(g),
                                     .nullable = always_null || below(&g->random, 2) == 0};
        if (!SB_VEC_PUSH(&g->ir->outputs, output)) {
            return false;
        }
    }
    return true;
}

static void gen_stores(generator *g)
{
    sb_value values[3] = {0, 0, 0};
    sb_value valids[3] = {0, 0, 0};
    for (uint32_t k = 0; k < SB_COUNT_OF(values) && k < (uint32_t)g->ir->outputs.count; k++) {
        const sb_ir_output *output = &g->ir->outputs.items[k];
        if (output->prim == SB_PRIM_VOID) {
            valids[k] = sb_irb_const_b(&g->b, false);
            continue;
        }
        values[k] = pick(g, output->prim);
        valids[k] = output->nullable ? pick(g, SB_PRIM_B) : 0;
    }
    for (uint32_t k = 0; k < SB_COUNT_OF(values) && k < (uint32_t)g->ir->outputs.count; k++) {
        sb_irb_store(&g->b, k, values[k], valids[k]);
    }
}

sb_status sb_testkit_program(sb_ir *ir, uint64_t seed, uint32_t size, sb_error *err)
{
    sb_ir_init(ir);
    generator g = {.ir = ir, .random = seed, .size_max = size};
    sb_irb_init(&g.b, ir, 100000);
    sb_status status = SB_OK;
    if (!gen_signature(&g)) {
        status = sb_error_no_memory(err, sizeof(sb_ir_input));
        goto out;
    }
    for (uint32_t k = 0; k < (uint32_t)ir->inputs.count; k++) {
        show(&g, sb_irb_in(&g.b, k));
    }
    if (seed % 4 == 1) {
        gen_lists(&g);
    }
    gen_block(&g, size, 0);
    gen_stores(&g);
    SB_TRY(sb_ir_finish(&g.b, err));
out:
    if (status != SB_OK) {
        sb_ir_release(ir);
    }
    return status;
}

/* --- batches --------------------------------------------------------------------------------------------------------- */

static size_t padded_rows(int32_t rows)
{
    return ((size_t)rows + SB_LANES_MAX) / SB_LANES_MAX * SB_LANES_MAX;
}

static void fill_values(void *values, sb_prim prim, int32_t rows, uint64_t *random,
                        uint32_t edge_percent)
{
    for (int32_t i = 0; i < rows; i++) {
        switch (prim) {
        case SB_PRIM_B:
            ((uint8_t *)values)[i] = (uint8_t)below(random, 2);
            break;
        case SB_PRIM_F64:
            ((double *)values)[i] = any_double(random, edge_percent);
            break;
        default:
            ((int64_t *)values)[i] = any_int(random, edge_percent);
            break;
        }
    }
}

static uint8_t *random_bits(int32_t rows, uint64_t *random, uint32_t percent)
{
    const size_t size = padded_rows(rows) / 8;
    uint8_t *bits = sb_mem_alloc_zero(size);
    for (int32_t i = 0; bits != NULL && i < rows; i++) {
        if (below(random, 100) < percent) {
            sb_bit_set(bits, i);
        }
    }
    return bits;
}

sb_status sb_testkit_batch_init(sb_testkit_batch *batch, const sb_ir *ir, uint64_t seed,
                                int32_t rows, sb_error *err)
{
    static const uint32_t edges[] = {0, 0, 1, 4, 30};
    uint64_t random = seed ^ UINT64_C(0x5ab0);
    *batch = (sb_testkit_batch){.ir = ir, .rows = rows};
    const size_t values_size = padded_rows(rows) * 8;
    batch->in = sb_mem_alloc_zero((ir->inputs.count + 1) * sizeof(*batch->in));
    if (batch->in == NULL) {
        goto no_memory;
    }
    for (size_t k = 0; k < ir->inputs.count; k++) {
        void *values = sb_mem_alloc_aligned(values_size);
        if (values == NULL) {
            goto no_memory;
        }
        memset(values, 0, values_size);
        batch->in[k].values = values;
        fill_values(values, ir->inputs.items[k].prim, rows, &random, edges[below(&random, 5)]);
        if (below(&random, 2) == 0) {
            batch->in[k].valid = random_bits(rows, &random, below(&random, 2) == 0 ? 90 : 50);
            if (batch->in[k].valid == NULL) {
                goto no_memory;
            }
        }
    }
    if (below(&random, 3) == 0) {
        static const uint32_t percents[] = {100, 95, 50, 3};
        batch->active = random_bits(rows, &random, percents[below(&random, 4)]);
        if (batch->active == NULL) {
            goto no_memory;
        }
    }
    return SB_OK;
no_memory:
    sb_testkit_batch_release(batch);
    return sb_error_no_memory(err, values_size);
}

void sb_testkit_batch_release(sb_testkit_batch *batch)
{
    for (size_t k = 0; batch->in != NULL && k < batch->ir->inputs.count; k++) {
        union {
            const void *borrowed;
            void *owned;
        } values = {.borrowed = batch->in[k].values}, valid = {.borrowed = batch->in[k].valid};
        sb_mem_free_aligned(values.owned);
        sb_mem_free(valid.owned);
    }
    sb_mem_free(batch->in);
    sb_mem_free(batch->active);
    *batch = (sb_testkit_batch){0};
}
