/* Objects by key (cache.h): a hash table, a list from the newest to the oldest use, and the folder behind them.
 *
 * An object is in the table as long as its bytes are kept (then it is in the list too) or its code is in use, or both. Eviction gives
 * the bytes back; what is in use then stays in the table until the last user drops it, so that another request of the
 * same key shares it.
 *
 * The folder can be exchanged while it is in use: who reads or writes holds a reference. Counters of folders that were given up are
 * added to `past`.
 *
 * Threads: everything below `mutex` is under it. The caller of sb_cache_find reads a file without it; when two threads do so for one
 * key, the second finds the object of the first and drops its own. Memory: objects, and one struct each. */
#include "jit/cache.h"

#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "jit/loader.h"
#include "os/os.h"

#define BUCKET_COUNT 4096u /* power of two */
#define MEMORY_BYTES_DEFAULT ((size_t)64 << 20)

struct sb_mapped {
    sb_mapped *bucket_next;
    sb_mapped *newer;
    sb_mapped *older;
    sb_digest key;
    bool kept;          /* in the list */
    sb_buf bytes;       /* of the object, when kept */
    sb_object *object;  /* mapped; not NULL while in use */
    int64_t user_count; /* 0: not mapped */
};

struct sb_cache {
    atomic_int references;
    int64_t owner_pid;
    sb_mutex *mutex;
    sb_disk *disk; /* NULL: none */
    sb_mapped *buckets[BUCKET_COUNT];
    sb_mapped *newest;
    sb_mapped *oldest;
    sb_error unmappable; /* executable memory was refused: why; SB_OK until then */
    sb_disk_stats past;  /* of folders given up */
    sb_cache_stats stats;
};

static bool forked(const sb_cache *cache)
{
    return cache->owner_pid != sb_os_pid();
}

/* --- table and list, under the mutex ------------------------------------------------------------------------------ */

/* A key is a digest: any bytes of it are spread well. */
static sb_mapped **bucket_of(sb_cache *cache, const sb_digest *key)
{
    return &cache->buckets[(key->bytes[0] | (unsigned)key->bytes[1] << 8) & (BUCKET_COUNT - 1)];
}

static sb_mapped *lookup(sb_cache *cache, const sb_digest *key)
{
    sb_mapped *item = *bucket_of(cache, key);
    while (item != NULL && !sb_digest_equal(&item->key, key)) {
        item = item->bucket_next;
    }
    return item;
}

static size_t kept_size(const sb_mapped *item)
{
    return sizeof(*item) + item->bytes.capacity;
}

static void list_unlink(sb_cache *cache, sb_mapped *item)
{
    *(item->newer != NULL ? &item->newer->older : &cache->newest) = item->older;
    *(item->older != NULL ? &item->older->newer : &cache->oldest) = item->newer;
}

static void list_push(sb_cache *cache, sb_mapped *item)
{
    item->newer = NULL;
    item->older = cache->newest;
    *(cache->newest != NULL ? &cache->newest->newer : &cache->oldest) = item;
    cache->newest = item;
}

/* Frees what is neither kept nor in use. */
static void release_idle(sb_cache *cache, sb_mapped *item)
{
    if (item->kept || item->user_count > 0) {
        return;
    }
    sb_mapped **link = bucket_of(cache, &item->key);
    while (*link != item) {
        link = &(*link)->bucket_next;
    }
    *link = item->bucket_next;
    sb_mem_free(item);
}

static void evict(sb_cache *cache, sb_mapped *item)
{
    list_unlink(cache, item);
    cache->stats.memory_bytes -= kept_size(item);
    cache->stats.object_count--;
    item->kept = false;
    sb_buf_release(&item->bytes);
    release_idle(cache, item);
}

static void trim(sb_cache *cache, size_t bytes_max)
{
    while (cache->oldest != NULL && cache->stats.memory_bytes > bytes_max) {
        evict(cache, cache->oldest);
        cache->stats.memory_evicted++;
    }
}

/* --- mapping, under the mutex ------------------------------------------------------------------------------------- */

static sb_status map_code(sb_cache *cache, sb_mapped *item, sb_error *err)
{
    if (item->object != NULL) {
        return SB_OK;
    }
    if (cache->unmappable.status != SB_OK) {
        return sb_error_set(err, cache->unmappable.status, "%s", cache->unmappable.message);
    }
    sb_error why = {0};
    sb_status status = sb_object_load(item->bytes.data, item->bytes.size, &item->object, &why);
    if (status != SB_OK) {
        item->object = NULL;
        if (status == SB_OS) {
            cache->unmappable = why;
        }
        return sb_error_set(err, status, "%s", why.message);
    }
    cache->stats.loads++;
    cache->stats.loaded_bytes += sb_object_size(item->object);
    return SB_OK;
}

/* One more user of item; it becomes the newest. */
static sb_status use(sb_cache *cache, sb_mapped *item, sb_mapped **out, sb_error *err)
{
    sb_status status = map_code(cache, item, err);
    if (status != SB_OK) {
        return status;
    }
    item->user_count++;
    if (item->kept) {
        list_unlink(cache, item);
        list_push(cache, item);
    }
    *out = item;
    return SB_OK;
}

/* Takes what object holds. The item is used once when it could be mapped; else nothing of it stays. */
static sb_status insert(sb_cache *cache, const sb_digest *key, sb_buf *object, sb_mapped **out,
                        sb_error *err)
{
    sb_mapped *item = lookup(cache, key);
    if (item != NULL) {
        sb_buf_release(object);
        return use(cache, item, out, err);
    }
    item = sb_mem_alloc_zero(sizeof(*item));
    if (item == NULL) {
        sb_buf_release(object);
        return sb_error_no_memory(err, sizeof(*item));
    }
    item->key = *key;
    item->bytes = *object;
    sb_buf_init(object, object->size_max);
    sb_status status = map_code(cache, item, err);
    if (status != SB_OK) {
        sb_buf_release(&item->bytes);
        sb_mem_free(item);
        return status;
    }
    sb_mapped **bucket = bucket_of(cache, key);
    item->bucket_next = *bucket;
    *bucket = item;
    item->kept = true;
    item->user_count = 1;
    list_push(cache, item);
    cache->stats.object_count++;
    cache->stats.memory_bytes += kept_size(item);
    trim(cache, cache->stats.memory_bytes_max);
    *out = item;
    return SB_OK;
}

/* --- the folder --------------------------------------------------------------------------------------------------- */

static sb_disk *disk_of(sb_cache *cache)
{
    sb_mutex_lock(cache->mutex);
    sb_disk *disk = cache->disk != NULL ? sb_disk_retain(cache->disk) : NULL;
    sb_mutex_unlock(cache->mutex);
    return disk;
}

static void add_stats(sb_disk_stats *sum, const sb_disk_stats *more)
{
    sum->hits += more->hits;
    sum->misses += more->misses;
    sum->refused += more->refused;
    sum->writes += more->writes;
    sum->failures += more->failures;
    sum->evicted += more->evicted;
    sum->bytes_read += more->bytes_read;
    sum->bytes_written += more->bytes_written;
}

/* Opens the folder named, if one is. Only a lack of memory is a failure. */
static sb_status open_disk(const sb_cache_options *options, sb_disk **out, sb_error *off,
                           sb_error *err)
{
    *out = NULL;
    *off = (sb_error){0};
    if (options->dir == NULL || options->dir[0] == '\0') {
        return SB_OK;
    }
    sb_status status = sb_disk_open(out, options->dir, options->disk_bytes_max, off);
    if (status != SB_OK) {
        *out = NULL;
    }
    return status == SB_NO_MEMORY ? sb_error_set(err, status, "%s", off->message) : SB_OK;
}

/* --- life --------------------------------------------------------------------------------------------------------- */

sb_status sb_cache_new(sb_cache **out, const sb_cache_options *options, sb_error *err)
{
    sb_status status = SB_OK;
    sb_cache *cache = sb_mem_alloc_zero(sizeof(*cache));
    if (cache == NULL) {
        return sb_error_no_memory(err, sizeof(*cache));
    }
    atomic_init(&cache->references, 1);
    cache->owner_pid = sb_os_pid();
    SB_TRY(sb_mutex_new(&cache->mutex, err));
    SB_TRY(sb_cache_configure(cache, options, err));
    *out = cache;
    return SB_OK;
out:
    sb_cache_drop(cache);
    return status;
}

sb_cache *sb_cache_retain(sb_cache *cache)
{
    atomic_fetch_add_explicit(&cache->references, 1, memory_order_relaxed);
    return cache;
}

void sb_cache_drop(sb_cache *cache)
{
    /* acq_rel: the last owner sees what the others did before it frees. */
    if (cache == NULL || forked(cache) ||
        atomic_fetch_sub_explicit(&cache->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    trim(cache, 0);
    sb_disk_drop(cache->disk);
    sb_mutex_free(cache->mutex);
    sb_mem_free(cache);
}

sb_status sb_cache_configure(sb_cache *cache, const sb_cache_options *options, sb_error *err)
{
    sb_disk *disk = NULL;
    sb_error off;
    if (forked(cache)) {
        return sb_error_set(err, SB_STATE, "forked: the cache belongs to the parent process");
    }
    sb_status status = open_disk(options, &disk, &off, err);
    if (status != SB_OK) {
        return status;
    }
    sb_mutex_lock(cache->mutex);
    sb_disk *before = cache->disk;
    if (before != NULL) {
        sb_disk_stats stats;
        sb_disk_stats_get(before, &stats);
        add_stats(&cache->past, &stats);
    }
    cache->disk = disk;
    cache->stats.disk_off = off;
    cache->stats.memory_bytes_max =
        options->memory_bytes_max > 0 ? options->memory_bytes_max : MEMORY_BYTES_DEFAULT;
    trim(cache, cache->stats.memory_bytes_max);
    sb_mutex_unlock(cache->mutex);
    sb_disk_drop(before);
    return SB_OK;
}

/* --- use ---------------------------------------------------------------------------------------------------------- */

bool sb_cache_has_disk(sb_cache *cache)
{
    if (forked(cache)) {
        return false;
    }
    sb_mutex_lock(cache->mutex);
    const bool has = cache->disk != NULL;
    sb_mutex_unlock(cache->mutex);
    return has;
}

sb_status sb_cache_mappable(sb_cache *cache, sb_error *err)
{
    if (forked(cache)) {
        return SB_OK;
    }
    sb_mutex_lock(cache->mutex);
    sb_status status = cache->unmappable.status;
    if (status != SB_OK) {
        sb_error_set(err, status, "%s", cache->unmappable.message);
    }
    sb_mutex_unlock(cache->mutex);
    return status;
}

static sb_status find_in_memory(sb_cache *cache, const sb_digest *key, sb_mapped **out,
                                sb_error *err)
{
    sb_status status = SB_OK;
    sb_mutex_lock(cache->mutex);
    sb_mapped *item = lookup(cache, key);
    if (item != NULL) {
        cache->stats.memory_hits++;
        status = use(cache, item, out, err);
    }
    sb_mutex_unlock(cache->mutex);
    return status;
}

static sb_status find_on_disk(sb_cache *cache, const sb_digest *key, sb_mapped **out, sb_error *err)
{
    sb_disk *disk = disk_of(cache);
    if (disk == NULL) {
        return SB_OK;
    }
    sb_status status = SB_OK;
    sb_buf object;
    sb_buf_init(&object, 0);
    if (sb_disk_find(disk, key, &object)) {
        sb_mutex_lock(cache->mutex);
        status = insert(cache, key, &object, out, err);
        sb_mutex_unlock(cache->mutex);
    }
    sb_buf_release(&object);
    sb_disk_drop(disk);
    return status;
}

sb_status sb_cache_find(sb_cache *cache, const sb_digest *key, sb_cache_place place,
                        sb_mapped **out, sb_cache_place *source, sb_error *err)
{
    *out = NULL;
    *source = SB_CACHE_NONE;
    if (forked(cache)) {
        return SB_OK;
    }
    sb_status status = find_in_memory(cache, key, out, err);
    if (status == SB_OK && *out != NULL) {
        *source = SB_CACHE_MEMORY;
    } else if (status == SB_OK && place == SB_CACHE_DISK) {
        status = find_on_disk(cache, key, out, err);
        *source = *out != NULL ? SB_CACHE_DISK : SB_CACHE_NONE;
    }
    return status;
}

sb_status sb_cache_add(sb_cache *cache, const sb_digest *key, sb_buf *object, bool store,
                       sb_mapped **out, sb_error *err)
{
    if (forked(cache)) {
        sb_buf_release(object);
        return sb_error_set(err, SB_STATE, "forked: the cache belongs to the parent process");
    }
    sb_buf copy; /* what the list keeps may be evicted while the file is written */
    sb_disk *disk = store ? disk_of(cache) : NULL;
    sb_buf_init(&copy, 0);
    if (disk != NULL) {
        sb_buf_append(&copy, object->data, object->size);
    }
    sb_mutex_lock(cache->mutex);
    sb_status status = insert(cache, key, object, out, err);
    sb_mutex_unlock(cache->mutex);
    if (disk != NULL && status == SB_OK && sb_buf_status(&copy, NULL) == SB_OK) {
        sb_disk_add(disk, key, copy.data, copy.size);
    }
    sb_buf_release(&copy);
    sb_disk_drop(disk);
    return status;
}

const void *sb_mapped_symbol(const sb_mapped *mapped, const char *name)
{
    return sb_object_symbol(mapped->object, name);
}

void sb_mapped_drop(sb_cache *cache, sb_mapped *mapped)
{
    if (forked(cache)) {
        return; /* the mutex may be held by a thread that is not here: leave it all */
    }
    sb_mutex_lock(cache->mutex);
    SB_ASSERT(mapped->user_count > 0);
    if (--mapped->user_count == 0) {
        cache->stats.loaded_bytes -= sb_object_size(mapped->object);
        sb_object_free(mapped->object);
        mapped->object = NULL;
        release_idle(cache, mapped);
    }
    sb_mutex_unlock(cache->mutex);
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

void sb_cache_stats_get(sb_cache *cache, sb_cache_stats *out)
{
    *out = (sb_cache_stats){0};
    if (forked(cache)) {
        return;
    }
    sb_mutex_lock(cache->mutex);
    *out = cache->stats;
    out->on_disk = cache->disk != NULL;
    if (cache->disk != NULL) {
        sb_disk_stats_get(cache->disk, &out->disk);
    }
    add_stats(&out->disk, &cache->past);
    sb_mutex_unlock(cache->mutex);
}

sb_status sb_cache_usage(sb_cache *cache, int64_t *entry_count, int64_t *bytes, sb_error *err)
{
    *entry_count = 0;
    *bytes = 0;
    sb_disk *disk = forked(cache) ? NULL : disk_of(cache);
    sb_status status = disk != NULL ? sb_disk_usage(disk, entry_count, bytes, err) : SB_OK;
    sb_disk_drop(disk);
    return status;
}
