/* Objects kept on disk from one process to the next: machine code, so every entry is authenticated.
 *
 *     sb_disk_open(&disk, "/home/me/.cache/sabot/code", bytes_max, err);      SB_INVALID: the folder is not safe
 *     if (!sb_disk_find(disk, &key, &object)) { compile; sb_disk_add(disk, &key, object.data, object.size); }
 *     sb_disk_drop(disk);
 *
 * An entry that is damaged, cut, moved to another's name, a link, another user's, or made by who does not have the key of the folder
 * is no entry: it is counted, and compiled anew. A failure to write is counted too, and nothing else happens.
 *
 * Several processes may use one folder. Entries beyond bytes_max go, the longest unused first.
 *
 * Threads: any. Fork: a child may use what its parent opened. Locks: none. */
#ifndef SB_JIT_DISK_H
#define SB_JIT_DISK_H

#include "base/buf.h"
#include "base/digest.h"

typedef struct sb_disk sb_disk;

typedef struct sb_disk_stats {
    int64_t hits;
    int64_t misses;
    int64_t refused; /* entries that were there and no good; misses too */
    int64_t writes;
    int64_t failures;      /* of the system, reading or writing */
    int64_t evicted;       /* entries */
    int64_t bytes_read;    /* of objects */
    int64_t bytes_written; /* likewise */
} sb_disk_stats;

/* path borrowed: an absolute one. bytes_max: of all files; 0: 256 MiB. out-owned by sb_disk_drop. */
sb_status sb_disk_open(sb_disk **out, const char *path, int64_t bytes_max, sb_error *err);
sb_disk *sb_disk_retain(sb_disk *disk);
void sb_disk_drop(sb_disk *disk); /* NULL is fine */

/* True: object (borrowed, replaced) holds what was added under this key. False: it is empty. */
bool sb_disk_find(sb_disk *disk, const sb_digest *key, sb_buf *object);
void sb_disk_add(sb_disk *disk, const sb_digest *key, const void *object, size_t size);
void sb_disk_stats_get(const sb_disk *disk, sb_disk_stats *out);

/* What the folder holds now; reads the whole folder. */
sb_status sb_disk_usage(const sb_disk *disk, int64_t *entry_count, int64_t *bytes, sb_error *err);
/* Removes every entry, half-written file and the key of the folder at path, and nothing else in it. Who has it open goes on, but what
 * it writes from then on nobody can read. SB_INVALID as sb_disk_open, but for a damaged key. */
sb_status sb_disk_clear(const char *path, int64_t *entry_count, sb_error *err);

#endif
