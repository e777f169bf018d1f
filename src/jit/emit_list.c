/* Lists of a row: one lane only, so that control flow decides which operations run, as in C.
 *
 * What loops do (making a small list, length, item, append, taking the last) is spelled out on the header that a handle points to and on
 * the heap; the rest, and what needs more room than there is, calls the table of rt. Loads and stores of headers and of items are told
 * apart for the optimizer, so that a loop that only stores items keeps the header in registers.
 *
 * Memory, threads: those of the emitter. */
#include "jit/emit_int.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "rt/list.h"
#include "rt/rt_table.h"

#define SMALL_ROOM 64 /* items; larger lists are made by rt */

/* --- memory ------------------------------------------------------------------------------------------------------------- */

static uint32_t header_of(sb_emitter *e, sb_ev handle)
{
    const uint32_t pointer = e->temps++;
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = inttoptr i64 ", pointer);
    sb_eb_put(e, handle);
    sb_buf_text(e->out, " to ptr\n");
    return pointer;
}

static uint32_t field_at(sb_emitter *e, uint32_t header, size_t offset)
{
    const uint32_t at = e->temps++;
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = getelementptr i8, ptr %%t%" PRIu32 ", i64 %zu\n", at,
                  header, offset);
    return at;
}

static sb_ev load_field(sb_emitter *e, uint32_t header, size_t offset)
{
    const uint32_t at = field_at(e, header, offset);
    const sb_ev v = sb_eb_temp(e, SB_PRIM_I64, false);
    sb_buf_printf(e->out, "load i64, ptr %%t%" PRIu32 ", align 8, !tbaa !%d\n", at,
                  SB_EMIT_TBAA_HEADER);
    return v;
}

static void store_field(sb_emitter *e, uint32_t header, size_t offset, sb_ev v)
{
    const uint32_t at = field_at(e, header, offset);
    sb_buf_text(e->out, "  store i64 ");
    sb_eb_put(e, v);
    sb_buf_printf(e->out, ", ptr %%t%" PRIu32 ", align 8, !tbaa !%d\n", at, SB_EMIT_TBAA_HEADER);
}

static void store_count(sb_emitter *e, uint32_t header, sb_ev count)
{
    store_field(e, header, offsetof(sb_rt_list, count), count);
}

/* Loaded before positions are checked: what every turn of a loop loads is loaded once. */
static uint32_t items_of(sb_emitter *e, uint32_t header)
{
    const uint32_t start = field_at(e, header, offsetof(sb_rt_list, items));
    const uint32_t items = e->temps++;
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = load ptr, ptr %%t%" PRIu32 ", align 8, !tbaa !%d\n",
                  items, start, SB_EMIT_TBAA_HEADER);
    return items;
}

/* Pointer to an item that is there. */
static uint32_t item_at(sb_emitter *e, uint32_t items, sb_ev index)
{
    const uint32_t at = e->temps++;
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = getelementptr i64, ptr %%t%" PRIu32 ", i64 ", at,
                  items);
    sb_eb_put(e, index);
    sb_buf_char(e->out, '\n');
    return at;
}

static sb_ev load_item(sb_emitter *e, uint32_t at)
{
    const sb_ev v = sb_eb_temp(e, SB_PRIM_I64, false);
    sb_buf_printf(e->out, "load i64, ptr %%t%" PRIu32 ", align 8, !tbaa !%d\n", at,
                  SB_EMIT_TBAA_ITEM);
    return v;
}

static void store_item(sb_emitter *e, uint32_t at, sb_ev word)
{
    sb_buf_text(e->out, "  store i64 ");
    sb_eb_put(e, word);
    sb_buf_printf(e->out, ", ptr %%t%" PRIu32 ", align 8, !tbaa !%d\n", at, SB_EMIT_TBAA_ITEM);
}

/* --- the table of rt ------------------------------------------------------------------------------------------------------ */

/* Where the reason that came back is not 0 the row leaves for it. */
static void check_reason(sb_emitter *e, sb_ev reason)
{
    const uint32_t leaves = sb_eb_label_new(e);
    const uint32_t next = sb_eb_label_new(e);
    sb_eb_branch_rare(e, sb_eb_cmp(e, "icmp ne", reason, sb_ev_int(0)), leaves, next);
    sb_eb_label(e, leaves);
    if (e->careful) {
        const uint32_t narrow = e->temps++;
        sb_buf_printf(e->out, "  %%t%" PRIu32 " = trunc i64 %%t%" PRIu32 " to i32\n", narrow,
                      reason.id);
        sb_buf_printf(e->out,
                      "  store i32 %%t%" PRIu32 ", ptr %%row_reason\n  br label %%row_leaves\n",
                      narrow);
    } else {
        sb_buf_text(e->out, "  br label %exit_bad\n");
    }
    sb_eb_label(e, next);
    e->checks = true;
}

/* A pointer that lies `offset` bytes behind another, loaded. */
static uint32_t load_pointer(sb_emitter *e, const char *base, size_t offset)
{
    const uint32_t at = e->temps++;
    const uint32_t pointer = e->temps++;
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = getelementptr i8, ptr %s, i64 %zu\n", at, base,
                  offset);
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = load ptr, ptr %%t%" PRIu32 ", align 8\n", pointer,
                  at);
    return pointer;
}

static sb_ev call_list(sb_emitter *e, const sb_inst *inst, const sb_ev *operands)
{
    const uint32_t result = sb_emit_spill(e, 2, (sb_ev){.kind = EV_NONE});
    const unsigned number = inst->op - SB_IR_LIST_NEW;
    char table[16];
    snprintf(table, sizeof(table), "%%t%" PRIu32,
             load_pointer(e, "%rt", offsetof(sb_rt_table, lists)));
    const uint32_t function = load_pointer(e, table, number * sizeof(sb_rt_list_fn));
    const uint32_t narrow = e->temps++;
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = call i32 %%t%" PRIu32 "(ptr %%heap", narrow,
                  function);
    for (unsigned k = 0; k < SB_OPERANDS_MAX; k++) {
        sb_buf_text(e->out, ", i64 ");
        sb_eb_put(e, k < sb_op_infos[inst->op].operand_count ? operands[k] : sb_ev_int(0));
    }
    sb_buf_printf(e->out, ", ptr %%t%" PRIu32 ")\n", result);
    if ((sb_op_infos[inst->op].flags & SB_OP_LEAVES) != 0) {
        const sb_ev reason = sb_eb_temp(e, SB_PRIM_I64, false);
        sb_buf_printf(e->out, "zext i32 %%t%" PRIu32 " to i64\n", narrow);
        check_reason(e, reason);
    }
    return inst->prim == SB_PRIM_VOID ? (sb_ev){.kind = EV_NONE}
                                      : sb_eb_load(e, result, SB_PRIM_I64, false);
}

/* --- the heap ------------------------------------------------------------------------------------------------------------- */

/* A word of it; pointers are words too. */
static sb_ev heap_word(sb_emitter *e, size_t offset)
{
    const uint32_t at = e->temps++;
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = getelementptr i8, ptr %%heap, i64 %zu\n", at, offset);
    return sb_eb_load(e, at, SB_PRIM_I64, false);
}

static void set_heap_word(sb_emitter *e, size_t offset, sb_ev v)
{
    const uint32_t at = e->temps++;
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = getelementptr i8, ptr %%heap, i64 %zu\n", at, offset);
    sb_eb_store(e, at, v);
}

/* As sb_rt_heap_reset does it, where the row before has not left the first chunk. */
void sb_emit_heap_reset(sb_emitter *e)
{
    const uint32_t near = sb_eb_label_new(e);
    const uint32_t far = sb_eb_label_new(e);
    const uint32_t next = sb_eb_label_new(e);
    const sb_ev first = heap_word(e, offsetof(sb_rt_heap, first));
    const sb_ev same = sb_eb_cmp(e, "icmp eq", first, heap_word(e, offsetof(sb_rt_heap, current)));
    const sb_ev some = sb_eb_cmp(e, "icmp ne", first, sb_ev_int(0));
    sb_eb_branch_rare(e, sb_eb_not(e, sb_eb_and(e, same, some)), far, near);
    sb_eb_label(e, far);
    const uint32_t function = load_pointer(e, "%rt", offsetof(sb_rt_table, heap_reset));
    sb_buf_printf(e->out, "  call void %%t%" PRIu32 "(ptr %%heap)\n", function);
    sb_eb_jump(e, next);
    sb_eb_label(e, near);
    set_heap_word(e, offsetof(sb_rt_heap, at),
                  sb_eb_bin(e, "add", first, sb_ev_int(SB_RT_CHUNK_HEADER)));
    set_heap_word(e, offsetof(sb_rt_heap, used), sb_ev_int(0));
    const uint32_t full = e->temps++;
    sb_buf_printf(e->out, "  %%t%" PRIu32 " = getelementptr i8, ptr %%heap, i64 %zu\n", full,
                  offsetof(sb_rt_heap, full));
    sb_buf_printf(e->out, "  store i8 0, ptr %%t%" PRIu32 ", align 1\n", full);
    sb_eb_jump(e, next);
    sb_eb_label(e, next);
}

/* An empty list of a known small room, from the front of what is free. */
static sb_ev make_list(sb_emitter *e, const sb_inst *inst, const sb_ev *operands)
{
    const int64_t asked = operands[0].kind == EV_CONST ? operands[0].bits : INT64_MAX;
    const int64_t room = asked <= 0 ? SB_RT_LIST_ROOM : asked;
    if (room > SMALL_ROOM) {
        return call_list(e, inst, operands);
    }
    const int64_t size = (int64_t)sizeof(sb_rt_list) + room * (int64_t)sizeof(int64_t);
    const uint32_t slow = sb_eb_label_new(e);
    const uint32_t fast = sb_eb_label_new(e);
    const uint32_t join = sb_eb_label_new(e);
    const sb_ev at = heap_word(e, offsetof(sb_rt_heap, at));
    const sb_ev used = heap_word(e, offsetof(sb_rt_heap, used));
    const sb_ev left = sb_eb_bin(e, "sub", heap_word(e, offsetof(sb_rt_heap, end)), at);
    const sb_ev more = sb_eb_cmp(e, "icmp ult", left, sb_ev_int(size));
    const sb_ev most = sb_ev_int((int64_t)SB_RT_HEAP_MAX - size);
    sb_eb_branch_rare(e, sb_eb_or(e, more, sb_eb_cmp(e, "icmp ugt", used, most)), slow, fast);
    sb_eb_label(e, slow);
    const sb_ev called = call_list(e, inst, operands);
    const uint32_t slow_from = e->label;
    sb_eb_jump(e, join);
    sb_eb_label(e, fast);
    const uint32_t header = header_of(e, at);
    set_heap_word(e, offsetof(sb_rt_heap, at), sb_eb_bin(e, "add", at, sb_ev_int(size)));
    set_heap_word(e, offsetof(sb_rt_heap, used), sb_eb_bin(e, "add", used, sb_ev_int(size)));
    store_field(e, header, offsetof(sb_rt_list, items),
                sb_eb_bin(e, "add", at, sb_ev_int(sizeof(sb_rt_list))));
    store_field(e, header, offsetof(sb_rt_list, count), sb_ev_int(0));
    store_field(e, header, offsetof(sb_rt_list, room), sb_ev_int(room));
    const uint32_t fast_from = e->label;
    sb_eb_jump(e, join);
    sb_eb_label(e, join);
    return sb_eb_phi(e, called, slow_from, at, fast_from);
}

/* --- spelled out ------------------------------------------------------------------------------------------------------------ */

/* The place of item `index`, which is there from here on. */
static sb_ev checked_place(sb_emitter *e, uint32_t header, sb_ev index)
{
    const sb_ev count = load_field(e, header, offsetof(sb_rt_list, count));
    const sb_ev below = sb_eb_cmp(e, "icmp slt", index, sb_ev_int(0));
    const sb_ev place = sb_eb_select(e, below, sb_eb_bin(e, "add", index, count), index);
    sb_emit_check(e, sb_eb_cmp(e, "icmp uge", place, count), SB_REASON_RAISE);
    return place;
}

static void append(sb_emitter *e, const sb_inst *inst, const sb_ev *operands)
{
    const uint32_t header = header_of(e, operands[0]);
    const sb_ev count = load_field(e, header, offsetof(sb_rt_list, count));
    const sb_ev room = load_field(e, header, offsetof(sb_rt_list, room));
    const uint32_t full = sb_eb_label_new(e);
    const uint32_t fits = sb_eb_label_new(e);
    const uint32_t next = sb_eb_label_new(e);
    sb_eb_branch_rare(e, sb_eb_cmp(e, "icmp sge", count, room), full, fits);
    sb_eb_label(e, full);
    (void)call_list(e, inst, operands);
    sb_eb_jump(e, next);
    sb_eb_label(e, fits);
    store_item(e, item_at(e, items_of(e, header), count), operands[1]);
    store_count(e, header, sb_eb_bin(e, "add", count, sb_ev_int(1)));
    sb_eb_jump(e, next);
    sb_eb_label(e, next);
}

static sb_ev take_last(sb_emitter *e, sb_ev handle)
{
    const uint32_t header = header_of(e, handle);
    const sb_ev count = load_field(e, header, offsetof(sb_rt_list, count));
    sb_emit_check(e, sb_eb_cmp(e, "icmp eq", count, sb_ev_int(0)), SB_REASON_RAISE);
    const sb_ev less = sb_eb_bin(e, "sub", count, sb_ev_int(1));
    const sb_ev word = load_item(e, item_at(e, items_of(e, header), less));
    store_count(e, header, less);
    return word;
}

sb_ev sb_emit_list(sb_emitter *e, const sb_inst *inst)
{
    const sb_ev operands[SB_OPERANDS_MAX] = {e->values[inst->a], e->values[inst->b],
                                             e->values[inst->c]};
    SB_ASSERT(e->lanes == 1);
    switch (inst->op) {
    case SB_IR_LIST_NEW:
        return make_list(e, inst, operands);
    case SB_IR_LIST_LEN:
        return load_field(e, header_of(e, operands[0]), offsetof(sb_rt_list, count));
    case SB_IR_LIST_GET: {
        const uint32_t header = header_of(e, operands[0]);
        const uint32_t items = items_of(e, header);
        return load_item(e, item_at(e, items, checked_place(e, header, operands[1])));
    }
    case SB_IR_LIST_SET: {
        const uint32_t header = header_of(e, operands[0]);
        const uint32_t items = items_of(e, header);
        store_item(e, item_at(e, items, checked_place(e, header, operands[1])), operands[2]);
        return (sb_ev){.kind = EV_NONE};
    }
    case SB_IR_LIST_APPEND:
        append(e, inst, operands);
        return (sb_ev){.kind = EV_NONE};
    case SB_IR_LIST_POP:
        if (operands[1].kind == EV_CONST && operands[1].bits == -1) {
            return take_last(e, operands[0]);
        }
        return call_list(e, inst, operands);
    default:
        return call_list(e, inst, operands);
    }
}
