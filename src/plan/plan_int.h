/* How nodes of plans are made, for the files of this room. */
#ifndef SB_PLAN_PLAN_INT_H
#define SB_PLAN_PLAN_INT_H

#include "plan/plan.h"

/* count: of functions. out-owned */
sb_status sb_plan_node_new(sb_plan_kind kind, sb_plan *input, int32_t count, sb_plan **out,
                           sb_error *err);
/* Hands a node out where all went well, and drops it where not. */
sb_status sb_plan_node_give(sb_status status, sb_plan *plan, sb_plan **out);
sb_status sb_plan_label_set(sb_plan *plan, const char *text, sb_error *err);
/* SB_INVALID: the columns before are not known. */
sb_status sb_plan_need_schema(const sb_plan *input, const char *what, sb_error *err);

#endif
