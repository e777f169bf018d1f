/* Stages, as exec/stages.h promises them.
 *
 * Algorithm: one vector at a time, so that what goes from stage to stage stays in the cache. Kernels write arguments into the scratch of
 * their local; those of type float are narrowed where they lie, loops write into `made`, where floats are widened again, because
 * that is how kernels read them. A vector has as many rows as a multiple of any processor's lanes, so that a loop parts them as it
 * parts a whole array.
 *
 * NumPy clears the floating point flags before a loop and looks at them behind it; underflow it ignores, unless the host interprets.
 *
 * Threads: see exec/stages.h; flags are the thread's own. Memory: two blocks a value that is handed on. */
#include "exec/stages.h"

#include <fenv.h>
#include <string.h>

#include "base/mem.h"
#include "exec/call_int.h"

struct sb_stages {
    int32_t count;
    int64_t made_count, made_first;
    const sb_plan *node;
    sb_call_site sites[];
};

struct sb_stages_local {
    const sb_stages *stages;
    sb_view_scratch *made; /* owned: a block for each loop */
    sb_call_local *calls[];
};

void sb_stages_free(sb_stages *stages)
{
    for (int32_t i = 0; stages != NULL && i < stages->count; i++) {
        sb_call_site_release(&stages->sites[i]);
    }
    sb_mem_free(stages);
}

sb_status sb_stages_new(const sb_plan *node, sb_tier tier, sb_stages **out, sb_error *err)
{
    size_t size = sizeof(sb_stages) + (size_t)node->stage_count * sizeof(sb_call_site);
    sb_stages *made = sb_mem_alloc_zero(size);
    if (made == NULL) {
        return sb_error_no_memory(err, size);
    }
    made->node = node;
    made->made_first = node->input->schema->child_count;
    made->made_count = node->inner->child_count - made->made_first;
    for (int32_t i = 0; i < node->stage_count; i++) {
        sb_status status = sb_call_site_init(&made->sites[i], &node->stages[i].call, node->inner,
                                             "", node->function_first, NULL, tier, err);
        if (status != SB_OK) {
            sb_stages_free(made);
            return status;
        }
        made->sites[i].made_first = made->made_first;
        made->count = i + 1;
    }
    *out = made;
    return SB_OK;
}

void sb_stages_local_free(sb_stages_local *local)
{
    if (local == NULL) {
        return;
    }
    for (int32_t i = 0; i < local->stages->count; i++) {
        sb_call_local_free(local->calls[i]);
    }
    sb_mem_free_aligned(local->made);
    sb_mem_free(local);
}

sb_status sb_stages_local_new(const sb_stages *stages, sb_stages_local **out,
                              const sb_view_scratch **made, sb_error *err)
{
    size_t size = sizeof(sb_stages_local) + (size_t)stages->count * sizeof(sb_call_local *);
    size_t block = (size_t)stages->made_count * sizeof(sb_view_scratch);
    sb_stages_local *local = sb_mem_alloc_zero(size);
    if (local == NULL) {
        return sb_error_no_memory(err, size);
    }
    sb_status status = SB_OK;
    local->stages = stages;
    local->made = sb_mem_alloc_aligned(block);
    if (local->made == NULL) {
        status = sb_error_no_memory(err, block);
        goto out;
    }
    memset(local->made, 0, block); /* kernels read whole groups of rows */
    for (int32_t i = 0; i < stages->count; i++) {
        SB_TRY(sb_call_local_new(&stages->sites[i], &local->calls[i], err));
        local->calls[i]->made = local->made;
    }
    *out = local;
    *made = local->made;
    return SB_OK;
out:
    sb_stages_local_free(local);
    return status;
}

/* Each value moves towards the end. */
static void floats_widen(uint8_t *values, int64_t rows)
{
    for (int64_t i = rows - 1; i >= 0; i--) {
        float narrow;
        memcpy(&narrow, values + i * 4, sizeof narrow);
        const double wide = (double)narrow;
        memcpy(values + i * 8, &wide, sizeof wide);
    }
}

/* Whether it raised no flag that NumPy tells of. arguments: of the stage, at their own width. */
static bool loop_run(const sb_loop *loop, sb_view_scratch *arguments, int64_t rows,
                     sb_view_scratch *out)
{
    const intptr_t count = (intptr_t)rows;
    const bool narrow = loop->format == 'f';
    const intptr_t width = narrow ? (intptr_t)sizeof(float) : (intptr_t)sizeof(double);
    char *args[SB_LOOP_ARGS_MAX + 1];
    intptr_t steps[SB_LOOP_ARGS_MAX + 1];
    double wide[SB_LOOP_ARGS_MAX];
    float narrowed[SB_LOOP_ARGS_MAX];
    for (int32_t k = 0; k < loop->arg_count; k++) {
        wide[k] = loop->constants[k];
        narrowed[k] = (float)loop->constants[k];
        if (loop->args[k] >= 0) {
            args[k] = (char *)arguments[loop->args[k]].values;
        } else {
            args[k] = narrow ? (char *)&narrowed[k] : (char *)&wide[k];
        }
        steps[k] = loop->args[k] >= 0 ? width : 0;
    }
    args[loop->arg_count] = (char *)out->values;
    steps[loop->arg_count] = width;
    (void)feclearexcept(FE_ALL_EXCEPT);
    loop->fn(args, &count, steps, loop->data);
    const bool quiet = fetestexcept(FE_DIVBYZERO | FE_OVERFLOW | FE_INVALID) == 0;
    if (narrow && quiet) {
        floats_widen(out->values, rows);
    }
    return quiet;
}

static sb_status stage_run(sb_stages_local *local, int32_t number, const sb_work *work,
                           int64_t row0, int64_t rows, bool *left, sb_error *err)
{
    const sb_call_site *site = &local->stages->sites[number];
    const sb_plan_stage *stage = &local->stages->node->stages[number];
    sb_call_local *own = local->calls[number];
    sb_call_counts *counts = &work->counts[site->function_index];
    sb_func_counts done = {0};
    sb_call_view_inputs(site, own, work->chunk, row0, rows);
    for (int32_t k = 0; k < site->result_count; k++) {
        own->kout[k] = (sb_kout){.values = own->out[k].values};
    }
    sb_kcall kcall = {.in = own->in, .out = own->kout, .stop = work->stop};
    sb_status status =
        sb_func_run(site->func, own->func, &kcall, (int32_t)rows, site->tier, &done, err);
    if (status != SB_OK) {
        return status;
    }
    for (int32_t k = 0; k < SB_REASON_COUNT; k++) {
        counts->func.left[k] += done.left[k];
    }
    *left = kcall.leave_count > 0;
    for (int32_t k = 0; !*left && k < site->result_count; k++) {
        sb_call_narrow(own->out[k].values, rows, site->formats[k]);
    }
    sb_view_scratch *made = &local->made[stage->made_first - local->stages->made_first];
    for (int32_t i = 0; !*left && i < stage->loop_count; i++) {
        *left = !loop_run(&stage->loops[i], own->out, rows, &made[i]);
        if (*left) {
            sb_func_leave(own->func, 1, SB_REASON_NP_WARNING, &counts->func);
        }
    }
    return SB_OK;
}

sb_status sb_stages_run(sb_stages_local *local, const sb_work *work, int64_t row0, int64_t rows,
                        bool *left, sb_error *err)
{
    SB_ASSERT(work->chunk->active == NULL);
    *left = false;
    for (int32_t i = 0; !*left && i < local->stages->count; i++) {
        sb_status status = stage_run(local, i, work, row0, rows, left, err);
        if (status != SB_OK) {
            return status;
        }
    }
    return SB_OK;
}
