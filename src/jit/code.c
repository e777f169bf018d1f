/* Compile service (code.h).
 *
 * Parts: a cache of compiled texts (hash table and LRU list), a ring of waiting handles, one thread that takes from the ring
 * and talks to the compiler process. A request that the cache can answer is READY when it returns.
 *
 * A cached text holds the object's bytes, or why there is none. Mapped code (`loaded`) belongs to the handles that use it and
 * goes with the last one; the cache only knows of it, so that two handles of one text share a mapping.
 *
 * A handle's life: PENDING -> READY or FAILED, once. `entry` and the failure's text are written before `state` is stored with
 * release order; readers load with acquire order.
 *
 * Threads: everything of sb_jit below `mutex` is under it, except while the service thread compiles, which it does unlocked.
 * Memory: sb_jit is freed by the last of its owner and its handles; cache and thread go in sb_jit_free. */
#include "jit/code.h"

#include <stdatomic.h>
#include <string.h>

#include "base/cpu.h"
#include "base/hash.h"
#include "base/mem.h"
#include "jit/emit.h"
#include "jit/helper.h"
#include "jit/loader.h"
#include "os/os.h"

#define BUCKET_COUNT 256u /* power of two */
#define SYMBOL_SIZE 64u
#define CPU_SIZE 64u
#define FEATURES_SIZE 512u

typedef struct cached cached;

/* Mapped code, shared by the handles of one text. */
typedef struct loaded {
    sb_object *object;
    int64_t handle_count;
    cached *origin; /* NULL when evicted */
} loaded;

/* A text that was compiled, or refused. */
struct cached {
    cached *bucket_next;
    cached *newer; /* LRU list */
    cached *older;
    uint64_t hash;
    sb_buf text;
    sb_buf object; /* empty when failure is set */
    sb_error failure;
    loaded *code; /* NULL: not mapped now */
};

struct sb_jit {
    _Atomic int64_t ref_count;
    int64_t owner_pid;
    char cpu[CPU_SIZE];
    char features[FEATURES_SIZE];
    size_t cache_bytes_max;
    size_t queue_count_max;
    bool dump_asm;
    sb_helper *helper; /* NULL: no compiler */
    sb_mutex *mutex;
    sb_cond *work; /* something was queued, or closing */
    sb_cond *done; /* a handle left PENDING */

    sb_thread *thread;
    bool closing;
    sb_error no_memory_map; /* executable memory was refused: why; status SB_OK until then */
    sb_code **queue;        /* ring of queue_count_max */
    size_t queue_first;
    size_t queue_count;
    cached *buckets[BUCKET_COUNT];
    cached *newest;
    cached *oldest;
    sb_jit_stats stats;
};

struct sb_code {
    _Atomic int64_t ref_count;
    _Atomic(sb_kernel_fn) entry;
    _Atomic int state; /* sb_code_state */
    sb_jit *jit;
    loaded *code; /* not NULL once READY */
    uint64_t hash;
    sb_buf text; /* emptied when it moves to the cache */
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
    jit->cache_bytes_max =
        options->cache_bytes_max > 0 ? options->cache_bytes_max : (size_t)64 << 20;
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

/* --- cache (under the mutex) -------------------------------------------------------------------------------------- */

static size_t cached_size(const cached *item)
{
    return sizeof(*item) + item->text.capacity + item->object.capacity;
}

static void lru_unlink(sb_jit *jit, cached *item)
{
    *(item->newer != NULL ? &item->newer->older : &jit->newest) = item->older;
    *(item->older != NULL ? &item->older->newer : &jit->oldest) = item->newer;
}

static void lru_push(sb_jit *jit, cached *item)
{
    item->newer = NULL;
    item->older = jit->newest;
    *(jit->newest != NULL ? &jit->newest->newer : &jit->oldest) = item;
    jit->newest = item;
}

static cached *cache_find(sb_jit *jit, uint64_t hash, const sb_buf *text)
{
    cached *item = jit->buckets[hash & (BUCKET_COUNT - 1)];
    while (item != NULL && (item->hash != hash || item->text.size != text->size ||
                            memcmp(item->text.data, text->data, text->size) != 0)) {
        item = item->bucket_next;
    }
    if (item != NULL) {
        lru_unlink(jit, item);
        lru_push(jit, item);
    }
    return item;
}

static void cached_free(cached *item)
{
    if (item->code != NULL) {
        item->code->origin = NULL;
    }
    sb_buf_release(&item->text);
    sb_buf_release(&item->object);
    sb_mem_free(item);
}

/* Takes the text of the handle and the object. NULL: no memory, nothing is taken. */
static cached *cache_add(sb_jit *jit, sb_code *code, sb_buf *object)
{
    cached *item = sb_mem_alloc_zero(sizeof(*item));
    if (item == NULL) {
        return NULL;
    }
    item->hash = code->hash;
    item->text = code->text;
    item->object = *object;
    sb_buf_init(&code->text, 0);
    sb_buf_init(object, object->size_max);
    cached **bucket = &jit->buckets[item->hash & (BUCKET_COUNT - 1)];
    item->bucket_next = *bucket;
    *bucket = item;
    lru_push(jit, item);
    jit->stats.cache_bytes += cached_size(item);
    return item;
}

static void cache_trim(sb_jit *jit, size_t bytes_max)
{
    while (jit->oldest != NULL && jit->stats.cache_bytes > bytes_max) {
        cached *item = jit->oldest;
        cached **link = &jit->buckets[item->hash & (BUCKET_COUNT - 1)];
        while (*link != item) {
            link = &(*link)->bucket_next;
        }
        *link = item->bucket_next;
        lru_unlink(jit, item);
        jit->stats.cache_bytes -= cached_size(item);
        cached_free(item);
    }
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

static void code_ready(sb_code *code, loaded *mapped, const void *address)
{
    sb_kernel_fn entry;
    _Static_assert(sizeof(entry) == sizeof(address), "code and data addresses are alike");
    memcpy(&entry, &address, sizeof(entry));
    mapped->handle_count++;
    code->code = mapped;
    atomic_store_explicit(&code->entry, entry, memory_order_release);
    atomic_store_explicit(&code->state, SB_CODE_READY, memory_order_release);
}

/* Maps the object of item if it is not mapped now. Under the mutex. */
static sb_status cached_load(sb_jit *jit, cached *item, sb_error *err)
{
    if (item->failure.status != SB_OK) {
        return sb_error_set(err, item->failure.status, "%s", item->failure.message);
    }
    if (item->code != NULL) {
        return SB_OK;
    }
    if (jit->no_memory_map.status != SB_OK) {
        return sb_error_set(err, jit->no_memory_map.status, "%s", jit->no_memory_map.message);
    }
    loaded *mapped = sb_mem_alloc_zero(sizeof(*mapped));
    if (mapped == NULL) {
        return sb_error_no_memory(err, sizeof(*mapped));
    }
    sb_error why = {0};
    sb_status status = sb_object_load(item->object.data, item->object.size, &mapped->object, &why);
    if (status != SB_OK) {
        sb_mem_free(mapped);
        if (status == SB_OS) {
            jit->no_memory_map = why;
        } else if (status != SB_NO_MEMORY) {
            item->failure = why;
        }
        return sb_error_set(err, status, "%s", why.message);
    }
    mapped->origin = item;
    item->code = mapped;
    jit->stats.loads++;
    jit->stats.loaded_bytes += sb_object_size(mapped->object);
    return SB_OK;
}

/* Under the mutex. */
static void loaded_free(sb_jit *jit, loaded *mapped)
{
    if (mapped->origin != NULL) {
        mapped->origin->code = NULL;
    }
    jit->stats.loaded_bytes -= sb_object_size(mapped->object);
    sb_object_free(mapped->object);
    sb_mem_free(mapped);
}

/* READY or FAILED by what the cache holds. Under the mutex. */
static void code_finish(sb_jit *jit, sb_code *code, cached *item)
{
    sb_error why = {0};
    if (cached_load(jit, item, &why) != SB_OK) {
        code_fail_counted(code, &why);
        return;
    }
    const void *address = sb_object_symbol(item->code->object, code->symbol);
    if (address == NULL) {
        sb_error_set(&why, SB_INVALID, "the compiled text has no function %s", code->symbol);
        code_fail_counted(code, &why);
        if (item->code->handle_count == 0) {
            loaded_free(jit, item->code);
        }
        return;
    }
    code_ready(code, item->code, address);
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
    if (code->code != NULL && --code->code->handle_count == 0) {
        loaded_free(jit, code->code);
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

/* A text that the compiler refuses, or takes too long over, fares no better next time. */
static bool worth_keeping(sb_status status)
{
    return status == SB_INVALID || status == SB_LIMIT || status == SB_TIMEOUT;
}

/* Under the mutex but for the compile itself. */
static void serve(sb_jit *jit, sb_code *code)
{
    cached *item = cache_find(jit, code->hash, &code->text);
    if (item != NULL) {
        jit->stats.cache_hits++;
        code_finish(jit, code, item);
        return;
    }
    sb_error why = {0};
    sb_buf object;
    sb_buf_init(&object, 0);
    sb_mutex_unlock(jit->mutex);
    sb_status status = compile(jit, code, &object, &why);
    sb_mutex_lock(jit->mutex);
    if (status == SB_OK) {
        jit->stats.compiles++;
        jit->stats.compile_ns += code->compile_ns;
    }
    if (status == SB_OK || worth_keeping(status)) {
        item = cache_add(jit, code, &object);
        if (item == NULL) {
            sb_error_no_memory(&why, sizeof(*item));
        } else if (status != SB_OK) {
            item->failure = why;
        }
    }
    if (item != NULL) {
        code_finish(jit, code, item);
        cache_trim(jit, jit->cache_bytes_max);
    } else {
        code_fail_counted(code, &why);
    }
    sb_buf_release(&object);
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
    cache_trim(jit, 0);
    sb_cond_broadcast(jit->done);
    sb_helper *helper = jit->helper;
    jit->helper = NULL;
    sb_mutex_unlock(jit->mutex);
    sb_helper_free(helper);
    jit_unref(jit);
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

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
    code->hash = sb_hash_bytes(text->data, text->size, 0);
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
    cached *item = cache_find(jit, code->hash, &code->text);
    if (item != NULL) {
        jit->stats.cache_hits++;
        code_finish(jit, code, item);
        return SB_OK;
    }
    if (jit->no_memory_map.status != SB_OK) {
        code_fail_counted(code, &jit->no_memory_map);
        return SB_OK;
    }
    if (jit->helper == NULL || jit->closing) {
        sb_error_set(
            &why, SB_UNSUPPORTED,
            "no compiler: this installation has no sabot-jit program, or it is switched off");
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
    sb_mutex_lock(jit->mutex);
    *out = jit->stats;
    out->queued = (int64_t)jit->queue_count;
    if (jit->helper != NULL) {
        out->helper_starts = sb_helper_starts(jit->helper);
        out->helper_pid = sb_helper_pid(jit->helper);
    }
    sb_mutex_unlock(jit->mutex);
}
