/* From plan nodes to operators: which implementation, which capabilities.
 *
 * Threads: const after init. Memory: none. */
#include "exec/op.h"

static bool by_host(const sb_op *op, int32_t i)
{
    return !op->node->calls[i].func->compiled ||
           (op->interpret != NULL && atomic_load_explicit(&op->interpret[i], memory_order_relaxed));
}

/* Functions that are wholly the host's need order; if all are, push does nothing heavy. */
static uint32_t call_caps(const sb_op *op)
{
    uint32_t caps = SB_OP_ORDER_KEEPING | SB_OP_PARALLEL | SB_OP_CAN_FAIL | SB_OP_LIGHT;
    for (int32_t i = 0; i < op->node->count; i++) {
        if (by_host(op, i)) {
            caps |= SB_OP_PYTHON;
        } else {
            caps &= ~(uint32_t)SB_OP_LIGHT;
        }
    }
    return caps;
}

void sb_op_init(sb_op *op, const sb_plan *node, const atomic_bool *interpret, sb_tier tier)
{
    *op = (sb_op){.node = node, .tier = tier};
    op->interpret = interpret != NULL ? interpret + node->function_first : NULL;
    switch (node->kind) {
    case SB_PLAN_WITH:
        op->vt = &sb_op_with;
        op->caps = call_caps(op);
        break;
    case SB_PLAN_MAP:
        op->vt = &sb_op_map;
        op->caps = call_caps(op);
        break;
    case SB_PLAN_FILTER:
        op->vt = &sb_op_filter;
        op->caps = call_caps(op);
        break;
    case SB_PLAN_SELECT:
        op->vt = &sb_op_select;
        op->caps = SB_OP_ORDER_KEEPING | SB_OP_PARALLEL | SB_OP_LIGHT;
        break;
    case SB_PLAN_BATCH:
        op->vt = &sb_op_batch;
        op->caps = SB_OP_ORDER_KEEPING | SB_OP_PARALLEL | SB_OP_BATCH_SENSITIVE | SB_OP_PYTHON |
                   SB_OP_CAN_FAIL | SB_OP_LIGHT;
        break;
    case SB_PLAN_LOWERED:
        op->vt = node->phase_count > 0 ? &sb_op_phased : &sb_op_lowered;
        op->caps = call_caps(op) | SB_OP_BATCH_SENSITIVE;
        break;
    case SB_PLAN_SOURCE:
        SB_ASSERT(false);
        break;
    }
}
