/* Compile service (code.h).
 *
 * Parts: a list of what is refused for good, a ring of waiting handles, one thread that takes from the ring, looks on disk and talks to
 * the compiler process. The objects themselves are in the cache (cache.h), which other services may share. A request
 * that memory can answer is READY when it returns; files are read by the service thread alone.
 *
 * A handle's life: PENDING -> READY or FAILED, once. `entry` and the failure's text are written before `state` is stored with
 * release order; readers load with acquire order.
 *
 * Threads: everything of sb_jit below `mutex` is under it, except while the service thread compiles, which it does unlocked.
 * The cache's mutex is taken under it. Memory: sb_jit is freed by the last of its owner and its handles; the thread goes in
 * sb_jit_free. */
#include "jit/code.h"

#include <stdatomic.h>
#include <string.h>

#include "base/cpu.h"
#include "base/digest.h"
#include "base/mem.h"
#include "jit/cache.h"
#include "jit/emit.h"
#include "jit/helper.h"
#include "jit/totals.h"
#include "jit/wire.h"
#include "os/os.h"
#include "rt/rt.h"

#define REFUSAL_COUNT_MAX 256
#define SYMBOL_SIZE 64u
#define NO_COMPILER "no compiler: this installation has no sabot-jit program, or it is switched off"
#define CPU_SIZE 64u
#define FEATURES_SIZE 512u

typedef struct refusal refusal;
struct refusal {
    refusal *next;
    sb_digest key;
    sb_error why;
};

struct sb_jit {
    _Atomic int64_t ref_count;
    int64_t owner_pid;
    char cpu[CPU_SIZE];
    char features[FEATURES_SIZE];
    size_t queue_count_max;
    bool dump_asm;
    sb_totals totals;
    sb_cache *cache;   /* held */
    sb_helper *helper; /* NULL: no compiler */
    sb_mutex *mutex;
    sb_cond *work; /* something was queued, or closing */
    sb_cond *done; /* a handle left PENDING */

    sb_thread *thread;
    bool closing;
    sb_code **queue; /* ring of queue_count_max */
    size_t queue_first;
    size_t queue_count;
    refusal *refusals;
    int refusal_count;
    sb_jit_stats stats;
};

struct sb_code {
    _Atomic int64_t ref_count;
    _Atomic(sb_kernel_fn) entry;
    _Atomic int state; /* sb_code_state */
    sb_jit *jit;
    sb_mapped *mapped; /* not NULL once READY */
    sb_digest key;
    sb_buf text; /* emptied once compiled */
    sb_code_origin origin;
    bool compiled; /* the compiler gave an object; of the service thread */
    int64_t compile_ns;
    char symbol[SYMBOL_SIZE];
    sb_error failure;
};

const char *sb_cpu_level(void)
{
    static const char *const x86[] = {"generic", "x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"};
    return SB_CPU_AARCH64 ? "aarch64" : x86[sb_cpu_x86_level()];
}

static bool forked(const sb_jit *jit)
{
    return jit->owner_pid != sb_os_pid();
}

/* --- construction ------------------------------------------------------------------------------------------------- */

static void jit_unref(sb_jit *jit)
{
    if (atomic_fetch_sub_explicit(&jit->ref_count, 1, memory_order_acq_rel) != 1) {
        return;
    }
    sb_helper_free(jit->helper);
    sb_cache_drop(jit->cache);
    sb_cond_free(jit->done);
    sb_cond_free(jit->work);
    sb_mutex_free(jit->mutex);
    sb_mem_free(jit->queue);
    sb_mem_free(jit);
}

static sb_status copy_name(char *out, size_t out_size, const char *name, sb_error *err)
{
    const size_t size = strlen(name) + 1;
    if (size > out_size) {
        return sb_error_set(err, SB_INVALID, "a name of %zu bytes; at most %zu", size - 1,
                            out_size - 1);
    }
    memcpy(out, name, size);
    return SB_OK;
}

static sb_status jit_init(sb_jit *jit, const sb_jit_options *options, sb_error *err)
{
    sb_status status = SB_OK;
    atomic_init(&jit->ref_count, 1);
    jit->owner_pid = sb_os_pid();
    jit->queue_count_max = options->queue_count_max > 0 ? options->queue_count_max : 256;
    jit->dump_asm = options->dump_asm;
    SB_TRY(copy_name(jit->cpu, sizeof(jit->cpu),
                     options->cpu != NULL ? options->cpu : sb_cpu_level(), err));
    SB_TRY(copy_name(jit->features, sizeof(jit->features),
                     options->features != NULL ? options->features : "", err));
    jit->queue = sb_mem_alloc_array(jit->queue_count_max, sizeof(sb_code *));
    if (jit->queue == NULL) {
        return sb_error_no_memory(err, jit->queue_count_max * sizeof(sb_code *));
    }
    SB_TRY(sb_mutex_new(&jit->mutex, err));
    SB_TRY(sb_cond_new(&jit->work, err));
    SB_TRY(sb_cond_new(&jit->done, err));
    if (options->cache != NULL) {
        jit->cache = sb_cache_retain(options->cache);
    } else {
        const sb_cache_options own = {.memory_bytes_max = options->cache_bytes_max};
        SB_TRY(sb_cache_new(&jit->cache, &own, err));
    }
    if (options->helper_path != NULL && options->helper_path[0] != '\0') {
        const sb_helper_options helper = {.path = options->helper_path,
                                          .timeout_ns = options->compile_timeout_ns};
        SB_TRY(sb_helper_new(&jit->helper, &helper, err));
    }
out:
    return status;
}

sb_status sb_jit_new(sb_jit **out, const sb_jit_options *options, sb_error *err)
{
    sb_jit *jit = sb_mem_alloc_zero(sizeof(*jit));
    if (jit == NULL) {
        return sb_error_no_memory(err, sizeof(*jit));
    }
    sb_status status = jit_init(jit, options, err);
    if (status != SB_OK) {
        jit_unref(jit);
        return status;
    }
    *out = jit;
    return SB_OK;
}

const char *sb_jit_cpu(const sb_jit *jit)
{
    return jit->cpu;
}

sb_totals *sb_jit_totals(sb_jit *jit)
{
    return &jit->totals;
}

/* --- what is refused for good, under the mutex -------------------------------------------------------------------- */

/* A text that the compiler refuses, or takes too long over, fares no better next time; nor does an object that cannot be loaded. */
static bool worth_keeping(sb_status status)
{
    return status == SB_INVALID || status == SB_UNSUPPORTED || status == SB_LIMIT ||
           status == SB_TIMEOUT;
}

static refusal *refusal_find(const sb_jit *jit, const sb_digest *key)
{
    refusal *item = jit->refusals;
    while (item != NULL && !sb_digest_equal(&item->key, key)) {
        item = item->next;
    }
    return item;
}

/* The newest first; of more than REFUSAL_COUNT_MAX the oldest goes. Without memory it is simply tried again. */
static void refusal_keep(sb_jit *jit, const sb_digest *key, const sb_error *why)
{
    refusal *item = sb_mem_alloc(sizeof(*item));
    if (item == NULL) {
        return;
    }
    *item = (refusal){.next = jit->refusals, .key = *key, .why = *why};
    jit->refusals = item;
    if (++jit->refusal_count > REFUSAL_COUNT_MAX) {
        refusal **last = &jit->refusals;
        while ((*last)->next != NULL) {
            last = &(*last)->next;
        }
        sb_mem_free(*last);
        *last = NULL;
        jit->refusal_count--;
    }
}

static void refusals_release(sb_jit *jit)
{
    while (jit->refusals != NULL) {
        refusal *item = jit->refusals;
        jit->refusals = item->next;
        sb_mem_free(item);
    }
    jit->refusal_count = 0;
}

/* --- handles ------------------------------------------------------------------------------------------------------ */

static void code_fail(sb_code *code, sb_status status, const char *why)
{
    sb_error_set(&code->failure, status, "%s", why);
    atomic_store_explicit(&code->state, SB_CODE_FAILED, memory_order_release);
}

/* Under the mutex. */
static void code_fail_counted(sb_code *code, const sb_error *why)
{
    code->jit->stats.failures++;
    code_fail(code, why->status, why->message);
}

/* READY, or FAILED because there is no such function. Takes mapped; false: it is to be dropped. Under the mutex. */
static bool code_ready(sb_code *code, sb_mapped *mapped, sb_code_origin origin)
{
    const void *address = sb_mapped_symbol(mapped, code->symbol);
    sb_kernel_fn entry;
    if (address == NULL) {
        sb_error why = {0};
        sb_error_set(&why, SB_INVALID, "the compiled text has no function %s", code->symbol);
        code_fail_counted(code, &why);
        return false;
    }
    _Static_assert(sizeof(entry) == sizeof(address), "code and data addresses are alike");
    memcpy(&entry, &address, sizeof(entry));
    code->mapped = mapped;
    code->origin = origin;
    atomic_store_explicit(&code->entry, entry, memory_order_release);
    atomic_store_explicit(&code->state, SB_CODE_READY, memory_order_release);
    return true;
}

/* What the cache gave: code, or a reason why its code cannot be used. Under the mutex. */
static void code_finish(sb_jit *jit, sb_code *code, sb_mapped *mapped, sb_code_origin origin,
                        const sb_error *why)
{
    if (mapped == NULL) {
        if (worth_keeping(why->status)) {
            refusal_keep(jit, &code->key, why);
        }
        code_fail_counted(code, why);
    } else if (!code_ready(code, mapped, origin)) {
        sb_mapped_drop(jit->cache, mapped);
    }
}

void sb_code_retain(sb_code *code)
{
    atomic_fetch_add_explicit(&code->ref_count, 1, memory_order_relaxed);
}

static bool code_unref(sb_code *code)
{
    return atomic_fetch_sub_explicit(&code->ref_count, 1, memory_order_acq_rel) == 1;
}

/* Under the mutex. The reference to jit stays with the caller. */
static void code_free(sb_jit *jit, sb_code *code)
{
    if (code->mapped != NULL) {
        sb_mapped_drop(jit->cache, code->mapped);
    }
    sb_buf_release(&code->text);
    sb_mem_free(code);
}

void sb_code_drop(sb_code *code)
{
    if (code == NULL || !code_unref(code)) {
        return;
    }
    sb_jit *jit = code->jit;
    if (forked(jit)) {
        return; /* the mutex may be held by a thread that is not here: leave it all */
    }
    sb_mutex_lock(jit->mutex);
    code_free(jit, code);
    sb_mutex_unlock(jit->mutex);
    jit_unref(jit);
}

/* The queue's reference. Under the mutex, so that who looks at the counts next finds it gone; jit has its owner still. */
static void code_drop_queued(sb_jit *jit, sb_code *code)
{
    if (code_unref(code)) {
        code_free(jit, code);
        jit_unref(jit);
    }
}

sb_kernel_fn sb_code_entry(const sb_code *code)
{
    return atomic_load_explicit(&code->entry, memory_order_acquire);
}

sb_code_state sb_code_state_get(const sb_code *code)
{
    return (sb_code_state)atomic_load_explicit(&code->state, memory_order_acquire);
}

sb_code_state sb_code_wait(sb_code *code, int64_t deadline_ns)
{
    sb_jit *jit = code->jit;
    if (sb_code_state_get(code) != SB_CODE_PENDING) {
        return sb_code_state_get(code);
    }
    if (forked(jit)) {
        code_fail(code, SB_STATE, "forked: the compiler belongs to the parent process");
        return SB_CODE_FAILED;
    }
    sb_mutex_lock(jit->mutex);
    bool in_time = true;
    while (in_time && sb_code_state_get(code) == SB_CODE_PENDING) {
        in_time = sb_cond_wait_until(jit->done, jit->mutex, deadline_ns);
    }
    sb_mutex_unlock(jit->mutex);
    return sb_code_state_get(code);
}

void sb_code_failure(const sb_code *code, sb_buf *out)
{
    if (sb_code_state_get(code) == SB_CODE_FAILED) {
        sb_buf_text(out, code->failure.message);
    }
}

int64_t sb_code_compile_ns(const sb_code *code)
{
    return sb_code_state_get(code) == SB_CODE_READY ? code->compile_ns : 0;
}

sb_code_origin sb_code_origin_get(const sb_code *code)
{
    return sb_code_state_get(code) == SB_CODE_READY ? code->origin : SB_CODE_NOWHERE;
}

/* --- the service thread ------------------------------------------------------------------------------------------- */

static sb_code *queue_pop(sb_jit *jit)
{
    sb_code *code = jit->queue[jit->queue_first];
    jit->queue_first = (jit->queue_first + 1) % jit->queue_count_max;
    jit->queue_count--;
    return code;
}

static void dump_assembly(sb_jit *jit, sb_helper_request *request, const char *symbol)
{
    sb_buf text;
    sb_buf_init(&text, 0);
    request->want_asm = true;
    sb_error why = {0};
    if (sb_helper_compile(jit->helper, request, &text, &why) != SB_OK) {
        sb_buf_printf(&text, "# no assembly of %s: %s\n", symbol, why.message);
    }
    if (text.data != NULL) {
        sb_os_write_stderr(text.data, text.size);
    }
    sb_buf_release(&text);
}

/* Unlocked. */
static sb_status compile(sb_jit *jit, sb_code *code, sb_buf *object, sb_error *err)
{
    sb_helper_request request = {.text = code->text.data,
                                 .text_size = code->text.size,
                                 .cpu = sb_emit_processor(jit->cpu),
                                 .features = jit->features,
                                 .deadline_ns = SB_NEVER};
    const int64_t start = sb_os_now_ns();
    sb_status status = sb_helper_compile(jit->helper, &request, object, err);
    code->compile_ns = sb_os_now_ns() - start;
    if (status == SB_OK && jit->dump_asm) {
        dump_assembly(jit, &request, code->symbol);
    }
    return status;
}

/* From memory, also when another request of the same text was just served; under the mutex. False: it must be looked for elsewhere. */
static bool answer(sb_jit *jit, sb_code *code)
{
    sb_error why = {0};
    sb_mapped *mapped = NULL;
    sb_cache_place source;
    const refusal *refused = refusal_find(jit, &code->key);
    if (refused != NULL) {
        jit->stats.cache_hits++;
        code_fail_counted(code, &refused->why);
        return true;
    }
    sb_status status =
        sb_cache_find(jit->cache, &code->key, SB_CACHE_MEMORY, &mapped, &source, &why);
    if (status == SB_OK && mapped == NULL) {
        return false;
    }
    jit->stats.cache_hits++;
    code_finish(jit, code, mapped, SB_CODE_FROM_MEMORY, &why);
    return true;
}

/* Unlocked: from disk, else from the compiler. */
static sb_status fetch(sb_jit *jit, sb_code *code, sb_mapped **mapped, sb_code_origin *origin,
                       sb_error *err)
{
    sb_cache_place source;
    sb_buf object;
    sb_status status = sb_cache_find(jit->cache, &code->key, SB_CACHE_DISK, mapped, &source, err);
    if (status != SB_OK || *mapped != NULL) {
        *origin = source == SB_CACHE_DISK ? SB_CODE_FROM_DISK : SB_CODE_FROM_MEMORY;
        return status;
    }
    *origin = SB_CODE_COMPILED;
    if (jit->helper == NULL) {
        return sb_error_set(err, SB_STATE, NO_COMPILER);
    }
    sb_buf_init(&object, 0);
    status = compile(jit, code, &object, err);
    if (status == SB_OK) {
        code->compiled = true;
        status = sb_cache_add(jit->cache, &code->key, &object, sb_helper_is_own(jit->helper),
                              mapped, err);
    }
    sb_buf_release(&object);
    return status;
}

/* Under the mutex but for what takes long. */
static void serve(sb_jit *jit, sb_code *code)
{
    sb_error why = {0};
    sb_mapped *mapped = NULL;
    sb_code_origin origin = SB_CODE_NOWHERE;
    if (answer(jit, code)) {
        return;
    }
    sb_mutex_unlock(jit->mutex);
    (void)fetch(jit, code, &mapped, &origin, &why);
    sb_mutex_lock(jit->mutex);
    sb_buf_release(&code->text);
    if (origin != SB_CODE_COMPILED) {
        jit->stats.cache_hits++;
        jit->stats.disk_hits += origin == SB_CODE_FROM_DISK;
    } else if (code->compiled) {
        jit->stats.compiles++;
        jit->stats.compile_ns += code->compile_ns;
    }
    code_finish(jit, code, mapped, origin, &why);
}

static void service_main(void *arg)
{
    sb_jit *jit = arg;
    sb_mutex_lock(jit->mutex);
    for (;;) {
        while (jit->queue_count == 0 && !jit->closing) {
            sb_cond_wait(jit->work, jit->mutex);
        }
        if (jit->closing) {
            break;
        }
        sb_code *code = queue_pop(jit);
        /* Acquire: with one reference left nobody else can look at the handle any more. */
        if (atomic_load_explicit(&code->ref_count, memory_order_acquire) > 1) {
            serve(jit, code);
        } else {
            code_fail(code, SB_CANCELLED, "nobody waits for it");
        }
        code_drop_queued(jit, code);
        sb_cond_broadcast(jit->done);
    }
    sb_mutex_unlock(jit->mutex);
}

void sb_jit_free(sb_jit *jit)
{
    if (jit == NULL || forked(jit)) {
        return;
    }
    sb_mutex_lock(jit->mutex);
    jit->closing = true;
    if (jit->helper != NULL) {
        sb_helper_cancel(jit->helper);
    }
    sb_cond_signal(jit->work);
    sb_thread *thread = jit->thread;
    jit->thread = NULL;
    sb_mutex_unlock(jit->mutex);
    if (thread != NULL) {
        sb_thread_join(thread);
    }
    sb_mutex_lock(jit->mutex);
    while (jit->queue_count > 0) {
        sb_code *code = queue_pop(jit);
        code_fail(code, SB_CANCELLED, "the session was closed");
        code_drop_queued(jit, code);
    }
    refusals_release(jit);
    sb_cond_broadcast(jit->done);
    sb_helper *helper = jit->helper;
    jit->helper = NULL;
    sb_mutex_unlock(jit->mutex);
    sb_helper_free(helper);
    jit_unref(jit);
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

/* All that an object depends on. The text says everything else: layouts, places of helpers in their table, captured values. */
static sb_digest key_of(const sb_jit *jit, const sb_buf *text)
{
    static const char kind[] = "sabot object 1";
    const uint64_t compiler = SB_COMPILER_ID;
    const char *processor = sb_emit_processor(jit->cpu);
    const uint64_t contract[] = {sizeof(sb_kcall), sizeof(sb_rt_table), SB_VECTOR_ROWS};
    sb_digest key;
    sb_digest_state state;
    sb_digest_init(&state, sizeof(key), NULL, 0);
    sb_digest_add(&state, kind, sizeof(kind));
    sb_digest_add(&state, &compiler, sizeof(compiler));
    sb_digest_add(&state, contract, sizeof(contract));
    sb_digest_add(&state, processor, strlen(processor) + 1);
    sb_digest_add(&state, jit->features, strlen(jit->features) + 1);
    sb_digest_add(&state, text->data, text->size);
    sb_digest_end(&state, &key);
    return key;
}

static sb_status code_new(sb_code **out, sb_jit *jit, sb_buf *text, const char *symbol,
                          sb_error *err)
{
    sb_code *code = sb_mem_alloc_zero(sizeof(*code));
    if (code == NULL) {
        return sb_error_no_memory(err, sizeof(*code));
    }
    sb_status status = copy_name(code->symbol, sizeof(code->symbol), symbol, err);
    if (status != SB_OK) {
        sb_mem_free(code);
        return status;
    }
    atomic_init(&code->ref_count, 1);
    atomic_init(&code->state, SB_CODE_PENDING);
    atomic_init(&code->entry, NULL);
    code->jit = jit;
    atomic_fetch_add_explicit(&jit->ref_count, 1, memory_order_relaxed);
    code->key = key_of(jit, text);
    code->text = *text;
    sb_buf_init(text, text->size_max);
    *out = code;
    return SB_OK;
}

/* Under the mutex. */
static sb_status enqueue(sb_jit *jit, sb_code *code, sb_error *err)
{
    if (jit->queue_count == jit->queue_count_max) {
        return sb_error_set(err, SB_LIMIT, "%zu functions wait for the compiler already",
                            jit->queue_count);
    }
    if (jit->thread == NULL) {
        sb_status status = sb_thread_start(&jit->thread, "sabot-jit", service_main, jit, err);
        if (status != SB_OK) {
            jit->thread = NULL;
            return status;
        }
    }
    sb_code_retain(code);
    jit->queue[(jit->queue_first + jit->queue_count) % jit->queue_count_max] = code;
    jit->queue_count++;
    sb_cond_signal(jit->work);
    return SB_OK;
}

/* Under the mutex. */
static sb_status answer_or_enqueue(sb_jit *jit, sb_code *code, sb_error *err)
{
    sb_error why = {0};
    jit->stats.requests++;
    if (answer(jit, code)) {
        return SB_OK;
    }
    if (sb_cache_mappable(jit->cache, &why) != SB_OK) {
        code_fail_counted(code, &why);
        return SB_OK;
    }
    if ((jit->helper == NULL && !sb_cache_has_disk(jit->cache)) || jit->closing) {
        sb_error_set(&why, SB_STATE, NO_COMPILER);
        code_fail_counted(code, &why);
        return SB_OK;
    }
    sb_status status = enqueue(jit, code, &why);
    if (status == SB_LIMIT || status == SB_NO_MEMORY) {
        return sb_error_set(err, status, "%s", why.message);
    }
    if (status != SB_OK) {
        code_fail_counted(code, &why);
    }
    return SB_OK;
}

sb_status sb_jit_request(sb_jit *jit, sb_buf *text, const char *symbol, sb_code **out,
                         sb_error *err)
{
    sb_code *code = NULL;
    sb_status status = sb_buf_status(text, err);
    if (status == SB_OK && text->size == 0) {
        status = sb_error_set(err, SB_INVALID, "an empty text to compile");
    }
    if (status == SB_OK) {
        status = code_new(&code, jit, text, symbol, err);
    }
    sb_buf_release(text);
    if (status != SB_OK) {
        return status;
    }
    if (forked(jit)) {
        code_fail(code, SB_STATE, "forked: the compiler belongs to the parent process");
    } else {
        sb_mutex_lock(jit->mutex);
        status = answer_or_enqueue(jit, code, err);
        sb_mutex_unlock(jit->mutex);
    }
    if (status != SB_OK) {
        sb_code_drop(code);
        return status;
    }
    *out = code;
    return SB_OK;
}

void sb_jit_stats_get(sb_jit *jit, sb_jit_stats *out)
{
    *out = (sb_jit_stats){0};
    if (forked(jit)) {
        return;
    }
    sb_cache_stats cache;
    sb_cache_stats_get(jit->cache, &cache);
    sb_mutex_lock(jit->mutex);
    *out = jit->stats;
    out->loads = cache.loads;
    out->cache_bytes = cache.memory_bytes;
    out->loaded_bytes = cache.loaded_bytes;
    out->queued = (int64_t)jit->queue_count;
    if (jit->helper != NULL) {
        out->helper_starts = sb_helper_starts(jit->helper);
        out->helper_pid = sb_helper_pid(jit->helper);
    }
    sb_mutex_unlock(jit->mutex);
}
