/* Interface: exec/spot.h. */
#include "exec/spot.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "exec/call.h"

_Static_assert(SB_SPOT_ROWS_MAX == SB_VECTOR_ROWS, "a spot computes one vector");

struct sb_spot {
    sb_plan *plan; /* owned reference */
    sb_watch *watch;
    sb_call_site site;
    sb_call_local *local; /* owned */
    bool loops;           /* so that time has to be watched */
    atomic_flag busy;
};

/* A column beside those of the source, or a map to the one result of its function. */
static bool is_one_function(const sb_plan *plan)
{
    bool with = plan->kind == SB_PLAN_WITH;
    if ((!with && plan->kind != SB_PLAN_MAP) || plan->count != 1 ||
        plan->input->kind != SB_PLAN_SOURCE || !plan->calls[0].func->compiled) {
        return false;
    }
    uint32_t keys = plan->calls[0].func->key_count;
    return with ? keys == 0 : keys == 1 && plan->schema->child_count == 1;
}

sb_status sb_spot_new(sb_plan *plan, sb_watch *watch, sb_spot **out, sb_error *err)
{
    sb_status status = SB_OK;
    if (!is_one_function(plan)) {
        return sb_error_set(err, SB_UNSUPPORTED,
                            "a spot is made of one compiled function over a source");
    }
    sb_spot *spot = sb_mem_alloc_zero(sizeof(*spot));
    if (spot == NULL) {
        return sb_error_no_memory(err, sizeof(*spot));
    }
    atomic_flag_clear(&spot->busy);
    spot->plan = sb_plan_retain(plan);
    spot->watch = watch;
    spot->loops = plan->calls[0].func->ir.has_loop;
    int64_t place = plan->kind == SB_PLAN_WITH ? plan->columns[0] : 0;
    const char *name = plan->schema->children[place]->name;
    SB_TRY(sb_call_site_init(&spot->site, &plan->calls[0], plan->input->schema, name, 0, NULL,
                             SB_TIER_NATIVE, err));
    SB_TRY(sb_call_local_new(&spot->site, &spot->local, err));
    *out = spot;
    return SB_OK;
out:
    sb_spot_free(spot);
    return status;
}

void sb_spot_free(sb_spot *spot)
{
    if (spot == NULL) {
        return;
    }
    sb_call_local_free(spot->local);
    sb_call_site_release(&spot->site);
    sb_plan_drop(spot->plan);
    sb_mem_free(spot);
}

static sb_status compute(sb_spot *spot, const sb_chunk *chunk, const uint32_t *stop,
                         struct ArrowArray *out, bool *done, sb_error *err)
{
    sb_call call;
    sb_array *column = NULL;
    sb_call_init(&call, &spot->site, chunk->rows);
    sb_status status = sb_call_try(&call, spot->local, chunk, stop, done, err);
    if (status == SB_OK && *done) {
        status = sb_call_take_column(&call, 0, chunk->rows, &column, err);
    }
    if (status == SB_OK && *done) {
        status = sb_array_export(column, out, err);
    }
    *done = *done && status == SB_OK;
    sb_array_drop(column);
    sb_call_release(&call);
    return status;
}

sb_status sb_spot_run(sb_spot *spot, struct ArrowArray *batch, struct ArrowArray *out, bool *done,
                      sb_error *err)
{
    static const uint32_t never = 0;
    sb_chunk *chunk = NULL;
    sb_status status = SB_OK;
    *done = false;
    if (batch->length > SB_SPOT_ROWS_MAX || atomic_flag_test_and_set(&spot->busy)) {
        batch->release(batch);
        return SB_OK;
    }
    const uint32_t *stop = spot->loops ? sb_watch_begin(spot->watch) : &never;
    SB_TRY(sb_chunk_import(batch, spot->plan->input->schema, NULL, &chunk, err));
    if (stop != NULL) {
        SB_TRY(compute(spot, chunk, stop, out, done, err));
    }
out:
    if (stop != NULL && spot->loops) {
        sb_watch_end(spot->watch);
    }
    sb_chunk_free(chunk);
    if (batch->release != NULL) {
        batch->release(batch);
    }
    atomic_flag_clear(&spot->busy);
    return status;
}
