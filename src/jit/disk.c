/* Objects on disk (disk.h): one file an entry in a folder of this user's alone, os/os.h's sb_dir.
 *
 * File "key": 32 random bytes, written once by the first process that finds none. It lies with the entries on purpose: who may
 * write the folder could run anything as this user anyway, and who may not cannot read the key. What the code proves is
 * that an entry is whole, is the one asked for, and came from an engine that could read the key: not from a folder copied or
 * unpacked from elsewhere, nor from a time when its mode was another.
 *
 * Entry, named by its key in 64 hexadecimal digits:
 *
 *     at         bytes  what
 *     0          8      magic, with the version of this format
 *     8          32     the entry's key again, so that no entry can be passed off as another
 *     40         8      size of the object, least significant byte first
 *     48         size   the object
 *     48 + size  32     BLAKE2b of all before it, under the folder's key
 *
 * The bytes are read into memory of ours, and checked and used there: what happens to the file later changes nothing.
 *
 * Room: how many bytes the folder holds is estimated: counted at the first write and at every COUNT_EVERY-th, with this process's own
 * writes added between. Beyond bytes_max a sweep removes the entries that were longest unused until an eighth is free. Finding an
 * entry makes its age 0. Files that a dead process left half written go after TEMPORARY_AGE_NS.
 *
 * Threads: counters are atomics; one thread at a time sweeps. Memory: the struct; a sweep keeps a list of the entries. */
#include "jit/disk.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/vec.h"
#include "jit/wire.h"
#include "os/os.h"

#define KEY_FILE "key"
#define KEY_SIZE 32u
#define MAGIC_SIZE 8u
#define HEADER_SIZE (MAGIC_SIZE + SB_DIGEST_SIZE + 8u)
#define NAME_SIZE (2 * (size_t)SB_DIGEST_SIZE + 1)
#define ENTRY_SIZE_MAX (HEADER_SIZE + (size_t)SB_WIRE_REPLY_MAX + SB_DIGEST_SIZE)
#define BYTES_MAX_DEFAULT (INT64_C(256) << 20)
#define COUNT_EVERY 64
#define TEMPORARY_AGE_NS (INT64_C(3600) * 1000000000)
#define ENTRY_COUNT_MAX ((size_t)1 << 20) /* that one sweep looks at */

static const uint8_t magic[MAGIC_SIZE] = {'S', 'A', 'B', 'O', 'T', 'O', 1, '\n'};

struct sb_disk {
    atomic_int references;
    sb_dir *dir;
    int64_t bytes_max;
    uint8_t key[KEY_SIZE];
    atomic_flag sweeping;
    _Atomic int64_t bytes_known; /* below 0: not counted yet */
    _Atomic int64_t hits, misses, refused, writes, failures, evicted, bytes_read, bytes_written;
};

/* --- opening ------------------------------------------------------------------------------------------------------ */

static sb_status make_key(const sb_dir *dir, sb_error *err)
{
    uint8_t key[KEY_SIZE];
    sb_status status = sb_os_random(key, sizeof(key), err);
    if (status == SB_OK) {
        status = sb_dir_write(dir, KEY_FILE, key, sizeof(key), true, err);
    }
    return status == SB_STATE ? SB_OK : status; /* another process was first: its key is read */
}

static sb_status read_key(const sb_dir *dir, uint8_t *key, bool *found, sb_error *err)
{
    sb_buf bytes;
    sb_buf_init(&bytes, 0);
    sb_status status = sb_dir_read(dir, KEY_FILE, KEY_SIZE, &bytes, found, err);
    if (status == SB_LIMIT || (status == SB_OK && *found && bytes.size != KEY_SIZE)) {
        status = sb_error_set(err, SB_INVALID, "its key is damaged; `sabot cache clear` mends it");
    } else if (status == SB_OK && *found) {
        memcpy(key, bytes.data, KEY_SIZE);
    }
    sb_buf_release(&bytes);
    return status;
}

sb_status sb_disk_open(sb_disk **out, const char *path, int64_t bytes_max, sb_error *err)
{
    sb_status status = SB_OK;
    bool found = false;
    sb_disk *disk = sb_mem_alloc_zero(sizeof(*disk));
    if (disk == NULL) {
        return sb_error_no_memory(err, sizeof(*disk));
    }
    atomic_init(&disk->references, 1);
    atomic_init(&disk->bytes_known, -1);
    atomic_flag_clear_explicit(&disk->sweeping, memory_order_relaxed);
    disk->bytes_max = bytes_max > 0 ? bytes_max : BYTES_MAX_DEFAULT;
    SB_TRY(sb_dir_open(&disk->dir, path, err));
    SB_TRY(read_key(disk->dir, disk->key, &found, err));
    if (!found) {
        SB_TRY(make_key(disk->dir, err));
        SB_TRY(read_key(disk->dir, disk->key, &found, err));
    }
    if (!found) {
        status = sb_error_set(err, SB_OS, "%s: its key went away", path);
        goto out;
    }
    *out = disk;
    return SB_OK;
out:
    sb_disk_drop(disk);
    return status;
}

sb_disk *sb_disk_retain(sb_disk *disk)
{
    atomic_fetch_add_explicit(&disk->references, 1, memory_order_relaxed);
    return disk;
}

void sb_disk_drop(sb_disk *disk)
{
    /* acq_rel: the last owner sees what the others did before it frees. */
    if (disk == NULL ||
        atomic_fetch_sub_explicit(&disk->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    sb_dir_close(disk->dir);
    sb_mem_free(disk);
}

/* --- entries ------------------------------------------------------------------------------------------------------ */

static void count(_Atomic int64_t *counter, int64_t more)
{
    atomic_fetch_add_explicit(counter, more, memory_order_relaxed); /* orders nothing */
}

static void name_of(const sb_digest *key, char *name)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < SB_DIGEST_SIZE; i++) {
        name[2 * i] = digits[key->bytes[i] >> 4];
        name[2 * i + 1] = digits[key->bytes[i] & 15];
    }
    name[NAME_SIZE - 1] = '\0';
}

static bool is_entry(const char *name)
{
    return strlen(name) == NAME_SIZE - 1 && strspn(name, "0123456789abcdef") == NAME_SIZE - 1;
}

static bool is_temporary(const char *name)
{
    return strncmp(name, SB_DIR_TEMPORARY, sizeof(SB_DIR_TEMPORARY) - 1) == 0;
}

static void write_header(uint8_t *header, const sb_digest *key, size_t object_size)
{
    memcpy(header, magic, sizeof(magic));
    memcpy(header + MAGIC_SIZE, key->bytes, SB_DIGEST_SIZE);
    for (unsigned i = 0; i < 8; i++) {
        header[MAGIC_SIZE + SB_DIGEST_SIZE + i] = (uint8_t)((uint64_t)object_size >> (8 * i));
    }
}

static void authenticate(const sb_disk *disk, const void *bytes, size_t size, sb_digest *out)
{
    sb_digest_state state;
    sb_digest_init(&state, sizeof(*out), disk->key, sizeof(disk->key));
    sb_digest_add(&state, bytes, size);
    sb_digest_end(&state, out);
}

/* Does entry hold the object of key, as it was written? */
static bool verify(const sb_disk *disk, const sb_digest *key, const sb_buf *entry)
{
    uint8_t header[HEADER_SIZE];
    sb_digest expected;
    sb_digest written;
    if (entry->size < HEADER_SIZE + SB_DIGEST_SIZE) {
        return false;
    }
    const size_t signed_size = entry->size - SB_DIGEST_SIZE;
    write_header(header, key, signed_size - HEADER_SIZE);
    authenticate(disk, entry->data, signed_size, &expected);
    memcpy(written.bytes, entry->data + signed_size, sizeof(written.bytes));
    return sb_digest_equal(&expected, &written) && memcmp(header, entry->data, HEADER_SIZE) == 0;
}

bool sb_disk_find(sb_disk *disk, const sb_digest *key, sb_buf *object)
{
    char name[NAME_SIZE];
    bool found = false;
    name_of(key, name);
    sb_buf_reset(object);
    sb_status status = sb_dir_read(disk->dir, name, ENTRY_SIZE_MAX, object, &found, NULL);
    if (status == SB_OK && found && verify(disk, key, object)) {
        object->size -= HEADER_SIZE + SB_DIGEST_SIZE;
        memmove(object->data, object->data + HEADER_SIZE, object->size);
        object->data[object->size] = '\0';         /* as everywhere in a buffer */
        (void)sb_dir_touch(disk->dir, name, NULL); /* or it goes a little early */
        count(&disk->hits, 1);
        count(&disk->bytes_read, (int64_t)object->size);
        return true;
    }
    sb_buf_reset(object);
    count(&disk->misses, 1);
    if (status == SB_OS) {
        count(&disk->failures, 1);
    } else if (found && status != SB_NO_MEMORY) {
        count(&disk->refused, 1);
    }
    return false;
}

/* --- room --------------------------------------------------------------------------------------------------------- */

typedef struct found_entry {
    int64_t age_ns;
    int64_t size;
    char name[NAME_SIZE];
} found_entry;

typedef struct sweep {
    const sb_disk *disk;
    SB_VEC(found_entry) entries;
    int64_t bytes;
    bool remove_temporaries; /* whatever their age */
    sb_status status;
} sweep;

static bool see(void *arg, const sb_dir_item *item)
{
    sweep *all = arg;
    if (is_temporary(item->name) && (all->remove_temporaries || item->age_ns > TEMPORARY_AGE_NS)) {
        (void)sb_dir_remove(all->disk->dir, item->name, NULL);
        return true;
    }
    all->bytes += item->size;
    if (is_entry(item->name)) {
        found_entry entry = {.age_ns = item->age_ns, .size = item->size};
        memcpy(entry.name, item->name, sizeof(entry.name));
        if (all->entries.count == ENTRY_COUNT_MAX) {
            all->status = SB_LIMIT;
        } else if (!SB_VEC_PUSH(&all->entries, entry)) {
            all->status = SB_NO_MEMORY;
        }
    }
    return all->status == SB_OK;
}

static sb_status look(sweep *all, sb_error *err)
{
    sb_status status = sb_dir_list(all->disk->dir, see, all, err);
    return status == SB_OK && all->status != SB_OK
               ? sb_error_set(err, all->status, "a folder of %zu entries", all->entries.count)
               : status;
}

static int oldest_first(const void *a, const void *b)
{
    const int64_t x = ((const found_entry *)a)->age_ns;
    const int64_t y = ((const found_entry *)b)->age_ns;
    return (x < y) - (x > y);
}

/* Counts the folder and makes room in it. */
static void make_room(sb_disk *disk)
{
    sweep all = {.disk = disk};
    if (look(&all, NULL) != SB_OK) {
        count(&disk->failures, 1);
        all.bytes = -1; /* counted again at the next write */
    } else if (all.bytes > disk->bytes_max) {
        const int64_t wanted = disk->bytes_max - disk->bytes_max / 8;
        qsort(all.entries.items, all.entries.count, sizeof(*all.entries.items), oldest_first);
        for (size_t i = 0; i < all.entries.count && all.bytes > wanted; i++) {
            if (sb_dir_remove(disk->dir, all.entries.items[i].name, NULL) == SB_OK) {
                all.bytes -= all.entries.items[i].size;
                count(&disk->evicted, 1);
            }
        }
    }
    atomic_store_explicit(&disk->bytes_known, all.bytes, memory_order_relaxed);
    SB_VEC_RELEASE(&all.entries);
}

static void account(sb_disk *disk, int64_t bytes)
{
    const int64_t known = atomic_load_explicit(&disk->bytes_known, memory_order_relaxed);
    const int64_t writes = atomic_load_explicit(&disk->writes, memory_order_relaxed);
    if (known >= 0 && known + bytes <= disk->bytes_max && writes % COUNT_EVERY != 0) {
        count(&disk->bytes_known, bytes);
    } else if (!atomic_flag_test_and_set_explicit(&disk->sweeping, memory_order_acquire)) {
        make_room(disk);
        atomic_flag_clear_explicit(&disk->sweeping, memory_order_release);
    }
}

void sb_disk_add(sb_disk *disk, const sb_digest *key, const void *object, size_t size)
{
    char name[NAME_SIZE];
    uint8_t header[HEADER_SIZE];
    sb_digest code;
    sb_buf entry;
    if (size > SB_WIRE_REPLY_MAX || (int64_t)size > disk->bytes_max / 2) {
        return; /* it would drive out half of the others */
    }
    name_of(key, name);
    write_header(header, key, size);
    sb_buf_init(&entry, 0);
    sb_buf_append(&entry, header, sizeof(header));
    sb_buf_append(&entry, object, size);
    if (!entry.failed) {
        authenticate(disk, entry.data, entry.size, &code);
        sb_buf_append(&entry, code.bytes, sizeof(code.bytes));
    }
    if (entry.failed ||
        sb_dir_write(disk->dir, name, entry.data, entry.size, false, NULL) != SB_OK) {
        count(&disk->failures, 1);
    } else {
        count(&disk->writes, 1);
        count(&disk->bytes_written, (int64_t)size);
        account(disk, (int64_t)entry.size);
    }
    sb_buf_release(&entry);
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

static int64_t value_of(const _Atomic int64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void sb_disk_stats_get(const sb_disk *disk, sb_disk_stats *out)
{
    *out = (sb_disk_stats){
        .hits = value_of(&disk->hits),
        .misses = value_of(&disk->misses),
        .refused = value_of(&disk->refused),
        .writes = value_of(&disk->writes),
        .failures = value_of(&disk->failures),
        .evicted = value_of(&disk->evicted),
        .bytes_read = value_of(&disk->bytes_read),
        .bytes_written = value_of(&disk->bytes_written),
    };
}

sb_status sb_disk_usage(const sb_disk *disk, int64_t *entry_count, int64_t *bytes, sb_error *err)
{
    sweep all = {.disk = disk};
    sb_status status = look(&all, err);
    *entry_count = (int64_t)all.entries.count;
    *bytes = all.bytes;
    SB_VEC_RELEASE(&all.entries);
    return status;
}

sb_status sb_disk_clear(const char *path, int64_t *entry_count, sb_error *err)
{
    sb_status status = SB_OK;
    sb_disk folder = {0};
    sweep all = {.disk = &folder, .remove_temporaries = true};
    *entry_count = 0;
    SB_TRY(sb_dir_open(&folder.dir, path, err));
    SB_TRY(look(&all, err));
    for (size_t i = 0; i < all.entries.count; i++) {
        SB_TRY(sb_dir_remove(folder.dir, all.entries.items[i].name, err));
        *entry_count += 1;
    }
    SB_TRY(sb_dir_remove(folder.dir, KEY_FILE, err));
out:
    SB_VEC_RELEASE(&all.entries);
    sb_dir_close(folder.dir);
    return status;
}
