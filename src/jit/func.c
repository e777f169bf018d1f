/* Tiers: which code runs a vector, and what is remembered of it.
 *
 * Interface: sb_func_* of func.h.
 * Policy: tier 0 serves from the first row on. Native code is asked for once the rows seen so far were worth it (NATIVE_WORTH
 * operations; a tiny input never starts the compiler), at once under SB_TIER_NATIVE. The fast entry comes first. Vectors it
 * calls BAD are done again, in
 * tier 0; when more than 1 in BAD_SHARE of at least BAD_VECTORS_MIN vectors is BAD, the careful entry is compiled and used instead.
 * Threads: the function is shared; handles and counters are atomic, requests are made under `mutex` (innermost but for the
 * compile service's own). A local belongs to one worker.
 * Memory: the leave list of a local grows from LEAVE_CAPACITY_MIN to one entry a row. */
#include <string.h>

#include "base/mem.h"
#include "jit/emit.h"
#include "jit/func_int.h"
#include "jit/totals.h"

#define WAIT_WORTH 50000000 /* likewise, some 50 ms: more than compiling takes */
#define WAIT_NS_MAX ((int64_t)150 * 1000 * 1000) /* a run shall be cancelled in 200 ms */
#define BAD_SHARE 16
#define BAD_VECTORS_MIN 4
#define TIMED_EVERY 16 /* one vector in this many is timed, and the first after another tier */
#define FLUSH_EVERY 32 /* vectors between additions to the function's totals */
#ifdef SB_TEST_TINY
#define LEAVE_CAPACITY_MIN 1
#else
#define LEAVE_CAPACITY_MIN 64
#endif

struct sb_func_local {
    sb_func *func;
    sb_interp_state *state;
    uint32_t *leave;
    int32_t leave_capacity;
    uint32_t vectors, untimed; /* in all; since one was timed */
    bool was_native;
    sb_rt_heap heap;        /* of lists */
    sb_func_counts pending; /* not yet in the function's totals */
};

/* --- life ----------------------------------------------------------------------------------------------------------------- */

void sb_func_parts_release(sb_func *parts)
{
    sb_mem_free(parts->host);
    sb_mem_free(parts->host_why);
    sb_mem_free(parts->record);
    sb_mem_free(parts->name);
    for (uint32_t k = 0; k < parts->param_count; k++) {
        sb_mem_free(parts->params[k].column);
        sb_mem_free(parts->params[k].format);
    }
    sb_mem_free(parts->params);
    for (uint32_t k = 0; k < parts->refusal_count; k++) {
        sb_mem_free(parts->refusals[k].detail);
    }
    sb_mem_free(parts->refusals);
    for (uint32_t k = 0; k < parts->key_count; k++) {
        sb_mem_free(parts->keys[k].name);
    }
    sb_mem_free(parts->keys);
    sb_ir_release(&parts->ir);
    *parts = (sb_func){0};
}

/* Adds to a number that others add to as well and nothing depends on. */
static void add(atomic_llong *total, int64_t more)
{
    atomic_fetch_add_explicit(total, more, memory_order_relaxed);
}

static void count_binding(const sb_func *func)
{
    if (func->priv->jit == NULL) {
        return;
    }
    sb_totals *totals = sb_jit_totals(func->priv->jit);
    add(func->compiled ? &totals->compiled : &totals->interpreted, 1);
    for (uint32_t k = 0; !func->compiled && k < func->refusal_count; k++) {
        add(&totals->refused[func->refusals[k].code], 1);
    }
}

sb_status sb_func_new(struct sb_jit *jit, sb_func *parts, sb_func **out, sb_error *err)
{
    sb_status status = SB_OK;
    sb_func *func = sb_mem_alloc_zero(sizeof(*func));
    func_private *priv = sb_mem_alloc_zero(sizeof(*priv));
    if (func == NULL || priv == NULL) {
        status = sb_error_no_memory(err, sizeof(*priv));
        goto out;
    }
    *func = *parts;
    func->priv = priv;
    atomic_init(&priv->references, 1);
    priv->jit = jit;
    SB_TRY(sb_mutex_new(&priv->mutex, err));
    if (func->compiled) {
        SB_TRY(sb_interp_new(&func->ir, &priv->interp, err));
        priv->lanes = jit != NULL ? sb_emit_choose_lanes(&func->ir, sb_jit_cpu(jit)) : 0;
    }
    count_binding(func);
    *parts = (sb_func){0};
    *out = func;
    return SB_OK;
out:
    if (priv != NULL) {
        sb_mutex_free(priv->mutex);
    }
    sb_mem_free(priv);
    sb_mem_free(func);
    return status;
}

sb_func *sb_func_retain(sb_func *func)
{
    atomic_fetch_add_explicit(&func->priv->references, 1, memory_order_relaxed);
    return func;
}

void sb_func_drop(sb_func *func)
{
    /* acq_rel: the last owner sees what the others did before it frees. */
    if (func == NULL ||
        atomic_fetch_sub_explicit(&func->priv->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    func_private *priv = func->priv;
    for (int k = 0; k < ENTRY_COUNT; k++) {
        sb_code_drop(atomic_load_explicit(&priv->codes[k], memory_order_relaxed));
    }
    sb_interp_free(priv->interp);
    sb_mutex_free(priv->mutex);
    sb_mem_free(priv);
    sb_func_parts_release(func);
    sb_mem_free(func);
}

static sb_status text_copy(const char *text, char **out, sb_error *err)
{
    const size_t size = strlen(text) + 1;
    char *copy = sb_mem_alloc(size);
    if (copy == NULL) {
        return sb_error_no_memory(err, size);
    }
    memcpy(copy, text, size);
    sb_mem_free(*out);
    *out = copy;
    return SB_OK;
}

sb_status sb_func_set_host(sb_func *func, const char *name, const char *why, sb_error *err)
{
    SB_ASSERT(!func->compiled && (name == NULL) != (why == NULL));
    char **other = name != NULL ? &func->host_why : &func->host;
    sb_mem_free(*other);
    *other = NULL;
    return name != NULL ? text_copy(name, &func->host, err) : text_copy(why, &func->host_why, err);
}

const char *sb_func_mode(const sb_func *func)
{
    return func->compiled ? "compiled" : func->host != NULL ? func->host : "interpreted";
}

/* --- native code ---------------------------------------------------------------------------------------------------------- */

sb_status sb_func_emit(const sb_func *func, int entry, sb_buf *text, sb_error *err)
{
    sb_emit_options options = {.lanes = func->priv->lanes,
                               .fast = entry == ENTRY_FAST,
                               .careful = entry == ENTRY_CAREFUL,
                               .cpu_level = sb_jit_cpu(func->priv->jit)};
    return sb_emit_llvm(&func->ir, &options, text, err);
}

/* Asks for one entry, once. A full queue is asked again at a later vector. */
static void request(sb_func *func, int entry)
{
    static const char *const symbols[] = {SB_EMIT_FAST, SB_EMIT_CAREFUL};
    func_private *priv = func->priv;
    if (priv->jit == NULL || !func->compiled ||
        atomic_load_explicit(&priv->request_failed[entry], memory_order_relaxed) ||
        atomic_load_explicit(&priv->codes[entry], memory_order_acquire) != NULL) {
        return;
    }
    sb_mutex_lock(priv->mutex);
    if (atomic_load_explicit(&priv->codes[entry], memory_order_relaxed) == NULL) {
        sb_buf text;
        sb_code *code = NULL;
        sb_buf_init(&text, 0);
        sb_status status = sb_func_emit(func, entry, &text, NULL);
        if (status == SB_OK) {
            status = sb_jit_request(priv->jit, &text, symbols[entry], &code, NULL);
        }
        sb_buf_release(&text);
        /* release: whoever loads the handle sees what it points to. */
        atomic_store_explicit(&priv->codes[entry], code, memory_order_release);
        if (status != SB_OK && status != SB_LIMIT && status != SB_NO_MEMORY) {
            atomic_store_explicit(&priv->request_failed[entry], true, memory_order_relaxed);
        }
    }
    sb_mutex_unlock(priv->mutex);
}

sb_kernel_fn sb_func_entry(const sb_func *func, int entry)
{
    sb_code *code = atomic_load_explicit(&func->priv->codes[entry], memory_order_acquire);
    return code != NULL ? sb_code_entry(code) : NULL;
}

void sb_func_start(sb_func *func, sb_tier tier)
{
    if (tier != SB_TIER_NATIVE || !func->compiled) {
        return;
    }
    for (int k = 0; k < ENTRY_COUNT; k++) {
        const bool never_bad = func->ir.leave_reasons == 0;
        if (func->is_whole ? k == ENTRY_FAST : k == ENTRY_CAREFUL && never_bad) {
            continue;
        }
        request(func, k);
    }
    for (int k = 0; k < ENTRY_COUNT; k++) {
        sb_code *code = atomic_load_explicit(&func->priv->codes[k], memory_order_acquire);
        if (code != NULL) {
            (void)sb_code_wait(code, SB_NEVER);
        }
    }
}

/* Whether so many vectors have a leaving row that the careful entry serves better. */
bool sb_func_is_often_bad(const func_private *priv)
{
    const int64_t bad = atomic_load_explicit(&priv->bad_vectors, memory_order_relaxed);
    const int64_t all = atomic_load_explicit(&priv->vectors, memory_order_relaxed);
    return all >= BAD_VECTORS_MIN && bad * BAD_SHARE > all;
}

/* Before a vector, under AUTO: is it time to ask for something? */
static void consider(sb_func *func, int64_t row_count)
{
    func_private *priv = func->priv;
    const int first = func->is_whole ? ENTRY_CAREFUL : ENTRY_FAST;
    if (atomic_load_explicit(&priv->codes[first], memory_order_acquire) == NULL) {
        int64_t ops = (int64_t)func->ir.cost * row_count;
        int64_t worth = atomic_fetch_add_explicit(&priv->worth, ops, memory_order_relaxed) + ops;
        if (worth >= NATIVE_WORTH) {
            request(func, first);
        }
        return;
    }
    if (sb_func_is_often_bad(priv)) {
        request(func, ENTRY_CAREFUL);
    }
}

/* Before a call for many rows, under AUTO: there may be no other call that its native code is for. */
static void wait_for_whole(sb_func *func, int64_t rows)
{
    const int64_t ops = (int64_t)func->ir.cost * rows;
    if (ops < WAIT_WORTH) {
        return;
    }
    sb_code *code = atomic_load_explicit(&func->priv->codes[ENTRY_CAREFUL], memory_order_acquire);
    if (code == NULL) {
        request(func, ENTRY_CAREFUL);
        code = atomic_load_explicit(&func->priv->codes[ENTRY_CAREFUL], memory_order_acquire);
    }
    if (code != NULL && sb_code_state_get(code) == SB_CODE_PENDING) {
        const int64_t most = ops / 2 < WAIT_NS_MAX ? ops / 2 : WAIT_NS_MAX; /* 1 ns an operation */
        (void)sb_code_wait(code, sb_os_now_ns() + most);
    }
}

/* --- running -------------------------------------------------------------------------------------------------------------- */

sb_status sb_func_local_new(sb_func *func, sb_func_local **out, sb_error *err)
{
    sb_status status = SB_OK;
    SB_ASSERT(func->compiled);
    sb_func_local *local = sb_mem_alloc_zero(sizeof(*local));
    if (local == NULL) {
        return sb_error_no_memory(err, sizeof(*local));
    }
    local->func = sb_func_retain(func);
    local->leave_capacity = LEAVE_CAPACITY_MIN;
    local->leave = sb_mem_alloc(sizeof(*local->leave) * LEAVE_CAPACITY_MIN);
    if (local->leave == NULL) {
        status = sb_error_no_memory(err, sizeof(*local->leave) * LEAVE_CAPACITY_MIN);
        goto out;
    }
    SB_TRY(sb_interp_state_new(func->priv->interp, &local->state, err));
    *out = local;
    return SB_OK;
out:
    sb_func_local_free(local);
    return status;
}

static void flush_counts(sb_func_local *local)
{
    func_private *priv = local->func->priv;
    sb_totals *totals = priv->jit != NULL ? sb_jit_totals(priv->jit) : NULL;
    sb_func_counts *p = &local->pending;
    add(&priv->rows, p->rows);
    add(&priv->rows_native, p->rows_native);
    add(&priv->rows_interpreter, p->rows_interpreter);
    for (int k = 0; k < SB_RAN_COUNT; k++) {
        if (p->rows_timed[k] != 0) {
            add(&priv->ns[k], p->ns[k]);
            add(&priv->rows_timed[k], p->rows_timed[k]);
        }
    }
    for (int k = 0; k < SB_REASON_COUNT; k++) {
        if (p->left[k] != 0) {
            add(&priv->left[k], p->left[k]);
        }
        if (p->left[k] != 0 && totals != NULL) {
            add(&totals->left[k], p->left[k]);
        }
    }
    if (totals != NULL) {
        add(&totals->rows_native, p->rows_native);
        add(&totals->rows_interpreter, p->rows_interpreter);
    }
    *p = (sb_func_counts){0};
}

void sb_func_local_free(sb_func_local *local)
{
    if (local == NULL) {
        return;
    }
    flush_counts(local);
    sb_interp_state_free(local->state);
    sb_rt_heap_release(&local->heap);
    sb_mem_free(local->leave);
    sb_func_drop(local->func);
    sb_mem_free(local);
}

static sb_status grow_leave(sb_func_local *local, sb_kcall *call, sb_error *err)
{
    int32_t capacity = local->leave_capacity * 4;
    capacity = capacity > SB_VECTOR_ROWS ? SB_VECTOR_ROWS : capacity;
    SB_ASSERT(capacity > local->leave_capacity);
    size_t size = sizeof(*local->leave) * (size_t)capacity;
    uint32_t *leave = sb_mem_realloc(local->leave, size);
    if (leave == NULL) {
        return sb_error_no_memory(err, size);
    }
    local->leave = leave;
    local->leave_capacity = capacity;
    call->leave = leave;
    call->leave_capacity = capacity;
    return SB_OK;
}

/* Runs a tier that records leaving rows (careful native code, or tier 0 when native is NULL) to the end of the vector. */
static sb_status run_careful(sb_func_local *local, sb_kernel_fn native, sb_kcall *call,
                             int32_t row_count, sb_error *err)
{
    const sb_interp *interp = local->func->priv->interp;
    int32_t row = 0;
    call->leave_count = 0;
    for (;;) {
        row = native != NULL ? native(call, row, row_count)
                             : sb_interp_run(interp, local->state, call, row, row_count);
        switch (call->status) {
        case SB_K_DONE:
            return SB_OK;
        case SB_K_GROW: {
            sb_status status = grow_leave(local, call, err);
            if (status != SB_OK) {
                return status;
            }
            break;
        }
        case SB_K_STOP:
            return sb_error_set(err, SB_CANCELLED, "cancelled");
        default:
            return sb_error_set(err, SB_INTERNAL, "%s: kernel status %d", local->func->name,
                                (int)call->status);
        }
    }
}

/* The fast entry; *bad: some row must leave, nothing counts. */
static sb_status run_fast(sb_func_local *local, sb_kernel_fn fast, sb_kcall *call,
                          int32_t row_count, bool *bad, sb_error *err)
{
    func_private *priv = local->func->priv;
    call->leave_count = 0;
    (void)fast(call, 0, row_count);
    *bad = call->status == SB_K_BAD;
    atomic_fetch_add_explicit(&priv->vectors, 1, memory_order_relaxed);
    if (*bad) {
        atomic_fetch_add_explicit(&priv->bad_vectors, 1, memory_order_relaxed);
        return SB_OK;
    }
    return call->status == SB_K_STOP ? sb_error_set(err, SB_CANCELLED, "cancelled") : SB_OK;
}

/* Chooses the tier of one vector and runs it; *native: generated code did it. */
static sb_status run_tier(sb_func_local *local, sb_kcall *call, int32_t row_count, sb_tier tier,
                          bool *native, sb_error *err)
{
    sb_func *func = local->func;
    func_private *priv = func->priv;
    *native = false;
    if (tier == SB_TIER_INTERPRETER || priv->jit == NULL) {
        return run_careful(local, NULL, call, row_count, err);
    }
    sb_kernel_fn careful = sb_func_entry(func, ENTRY_CAREFUL);
    const bool often_bad = sb_func_is_often_bad(priv) ||
                           func->is_whole; /* one row: nothing is to be gained by a fast entry */
    sb_kernel_fn fast = careful != NULL && often_bad ? NULL : sb_func_entry(func, ENTRY_FAST);
    bool bad = fast == NULL;
    if (fast != NULL) {
        sb_status status = run_fast(local, fast, call, row_count, &bad, err);
        if (status != SB_OK || !bad) {
            *native = true;
            return status;
        }
    }
    /* Under NATIVE the careful entry does BAD vectors too, so that a test knows what it ran. */
    sb_kernel_fn again = tier == SB_TIER_NATIVE || often_bad ? careful : NULL;
    *native = again != NULL;
    return run_careful(local, again, call, row_count, err);
}

/* rows_a_row: that one row of the call stands for. */
static void count(sb_func_local *local, const sb_kcall *call, int64_t row_count, int64_t rows_a_row,
                  bool native, int64_t started, sb_func_counts *counts)
{
    sb_func_counts one = {.rows = row_count};
    one.rows_native = native ? row_count : 0;
    one.rows_interpreter = native ? 0 : row_count;
    const int ran = native ? SB_RAN_NATIVE : SB_RAN_INTERPRETER;
    if (started != 0) {
        one.ns[ran] = sb_os_now_ns() - started;
        one.rows_timed[ran] = row_count;
    }
    if (native != local->was_native) {
        local->was_native = native;
        local->untimed = 0;
    }
    sb_func_counts *sums[] = {counts, &local->pending};
    for (size_t s = 0; s < SB_COUNT_OF(sums); s++) {
        sums[s]->rows += one.rows;
        sums[s]->rows_native += one.rows_native;
        sums[s]->rows_interpreter += one.rows_interpreter;
        sums[s]->ns[ran] += one.ns[ran];
        sums[s]->rows_timed[ran] += one.rows_timed[ran];
        for (int32_t k = 0; k < call->leave_count; k++) {
            sums[s]->left[SB_LEAVE_REASON(call->leave[k])] += rows_a_row;
        }
    }
    if (local->vectors % FLUSH_EVERY == 0 || row_count < SB_VECTOR_ROWS) {
        flush_counts(local);
    }
}

static sb_status run(sb_func_local *local, sb_kcall *call, int32_t row_count, int64_t rows_a_row,
                     sb_tier tier, sb_func_counts *counts, sb_error *err)
{
    bool native = false;
    if (tier == SB_TIER_AUTO && local->func->priv->jit != NULL) {
        consider(local->func, row_count * rows_a_row);
    }
    int64_t started = local->untimed++ % TIMED_EVERY == 0 ? sb_os_now_ns() : 0;
    local->vectors++;
    call->rt = sb_rt_table_here();
    call->leave = local->leave;
    call->leave_capacity = local->leave_capacity;
    call->leave_count = 0;
    call->reserved = 0;
    call->heap = &local->heap;
    sb_status status = run_tier(local, call, row_count, tier, &native, err);
    if (local->heap.no_memory) {
        sb_rt_heap_release(&local->heap);
        return sb_error_no_memory(err, SB_RT_HEAP_MAX);
    }
    if (status == SB_OK) {
        count(local, call, row_count * rows_a_row, rows_a_row, native, started, counts);
    }
    return status;
}

sb_status sb_func_run(sb_func *func, sb_func_local *local, sb_kcall *call, int32_t row_count,
                      sb_tier tier, sb_func_counts *counts, sb_error *err)
{
    SB_ASSERT(func == local->func && !func->is_whole);
    (void)func; /* asserted only */
    SB_ASSERT(row_count >= 0 && row_count <= SB_VECTOR_ROWS);
    return run(local, call, row_count, 1, tier, counts, err);
}

sb_status sb_func_run_whole(sb_func *func, sb_func_local *local, sb_kcall *call, int64_t rows,
                            sb_tier tier, sb_func_counts *counts, sb_error *err)
{
    SB_ASSERT(func == local->func && func->is_whole && rows > 0);
    local->heap.is_whole = true;
    local->heap.likely = func->key_count > 0 && func->keys[0].pairs ? 2 * rows : rows;
    if (tier == SB_TIER_AUTO && func->priv->jit != NULL) {
        wait_for_whole(func, rows);
    }
    return run(local, call, 1, rows, tier, counts, err);
}

void sb_func_leave(sb_func_local *local, int64_t rows, sb_reason reason, sb_func_counts *counts)
{
    counts->left[reason] += rows;
    local->pending.left[reason] += rows;
    flush_counts(local);
}

bool sb_func_passes(sb_func_local *local, int64_t rows, sb_tier tier, sb_func_counts *counts)
{
    if (tier != SB_TIER_AUTO || !sb_passes_take(&local->func->priv->passes, rows)) {
        return false;
    }
    counts->rows += rows;
    local->pending.rows += rows;
    return true;
}

void sb_func_judge(sb_func_local *local, int64_t rows, int64_t left, bool undivided, sb_tier tier)
{
    if (tier == SB_TIER_AUTO) {
        sb_passes_judge(&local->func->priv->passes, rows, left, undivided);
    }
}

bool sb_func_try(sb_func *func, sb_func_local *local, sb_kcall *call, int32_t row_count)
{
    SB_ASSERT(row_count >= 0 && row_count <= SB_VECTOR_ROWS);
    func_private *priv = func->priv;
    sb_kernel_fn fast = priv->jit != NULL ? sb_func_entry(func, ENTRY_FAST) : NULL;
    if (fast == NULL) {
        return false;
    }
    call->rt = sb_rt_table_here();
    call->leave = NULL;
    call->leave_capacity = 0;
    call->leave_count = 0;
    call->reserved = 0;
    const uint32_t tries = atomic_fetch_add_explicit(&priv->tries, 1, memory_order_relaxed);
    const int64_t started = tries % TIMED_EVERY == 0 ? sb_os_now_ns() : 0;
    call->heap = &local->heap;
    (void)fast(call, 0, row_count);
    if (local->heap.no_memory) {
        sb_rt_heap_release(&local->heap);
        return false;
    }
    if (call->status != SB_K_DONE) {
        return false;
    }
    if (started != 0) {
        add(&priv->ns[SB_RAN_NATIVE], sb_os_now_ns() - started);
        add(&priv->rows_timed[SB_RAN_NATIVE], row_count);
    }
    add(&priv->rows, row_count);
    add(&priv->rows_native, row_count);
    add(&sb_jit_totals(priv->jit)->rows_native, row_count);
    return true;
}
