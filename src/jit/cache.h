/* Compiled objects by key, in memory and on disk: one for all sessions of a process.
 *
 *     sb_cache_find(cache, &key, SB_CACHE_DISK, &mapped, &source, err);    mapped NULL: not there
 *     sb_cache_add(cache, &key, &object, true, &mapped, err);              what the compiler gave
 *     sb_mapped_symbol(mapped, "kernel") ...  sb_mapped_drop(cache, mapped);
 *
 * In memory: objects up to a number of bytes, those that were longest unused go first. Code is mapped while somebody uses it, and
 * shared by all who do; what is in use is never unmapped, whether its object is still kept or not.
 * On disk: disk.h, when a folder was named and is safe.
 *
 * Threads: any. Fork: in a child of the process that made it nothing is found and nothing taken in; mapped code stays callable.
 * Locks: one mutex, innermost, not held while a file is read or written. */
#ifndef SB_JIT_CACHE_H
#define SB_JIT_CACHE_H

#include "jit/disk.h"

typedef struct sb_cache sb_cache;
typedef struct sb_mapped sb_mapped; /* mapped code, held by reference */

typedef enum sb_cache_place { SB_CACHE_NONE, SB_CACHE_MEMORY, SB_CACHE_DISK } sb_cache_place;

typedef struct sb_cache_options {
    const char *dir;         /* borrow: absolute path of the folder; NULL or "": none */
    int64_t disk_bytes_max;  /* 0: 256 MiB */
    size_t memory_bytes_max; /* 0: 64 MiB */
} sb_cache_options;

typedef struct sb_cache_stats {
    int64_t memory_hits;
    int64_t memory_evicted; /* objects */
    int64_t loads;          /* objects mapped */
    int64_t object_count;   /* kept in memory */
    size_t memory_bytes;    /* of them */
    size_t memory_bytes_max;
    size_t loaded_bytes; /* mapped code in use */
    bool on_disk;        /* a folder is in use */
    sb_disk_stats disk;  /* of all folders that were in use so far */
    sb_error
        disk_off; /* why the folder named is not used; status SB_OK: it is, or none was named */
} sb_cache_stats;

/* A folder that cannot be used is no failure: disk_off says why, and memory alone is used. */
sb_status sb_cache_new(sb_cache **out, const sb_cache_options *options, sb_error *err);
sb_cache *sb_cache_retain(sb_cache *cache);
void sb_cache_drop(sb_cache *cache); /* NULL is fine; mapped code must have been dropped */
/* Other limits, another folder; what is kept stays as far as it fits. */
sb_status sb_cache_configure(sb_cache *cache, const sb_cache_options *options, sb_error *err);
void sb_cache_stats_get(sb_cache *cache, sb_cache_stats *out);
/* Of the folder in use; zeros without one. Reads the whole folder. */
sb_status sb_cache_usage(sb_cache *cache, int64_t *entry_count, int64_t *bytes, sb_error *err);
bool sb_cache_has_disk(sb_cache *cache);
/* SB_OK, or why no code can be mapped in this process: it was refused before. */
sb_status sb_cache_mappable(sb_cache *cache, sb_error *err);

/* Looks in memory, and up to `place`. SB_OK with *out, out-owned, and where it was; with *out NULL when it is not there. Errors: it is
 * there, but cannot be mapped. */
sb_status sb_cache_find(sb_cache *cache, const sb_digest *key, sb_cache_place place,
                        sb_mapped **out, sb_cache_place *source, sb_error *err);
/* What object holds is taken, also on failure; it is mapped and kept, store: on disk too. An object that cannot be loaded is
 * not kept. *out: out-owned. */
sb_status sb_cache_add(sb_cache *cache, const sb_digest *key, sb_buf *object, bool store,
                       sb_mapped **out, sb_error *err);

const void *sb_mapped_symbol(const sb_mapped *mapped,
                             const char *name);          /* NULL: no such function */
void sb_mapped_drop(sb_cache *cache, sb_mapped *mapped); /* no call of its code may be running */

#endif
