/* sabot_cache_*: compiled code in memory and on disk, for all sessions of a process.
 *
 * Interface: sabot.h; a sabot_cache is a sb_cache. Memory: out-owned handles and texts. Threads: any. */
#include "jit/cache.h"
#include "api/api_int.h"

static sb_cache *cache_of(sabot_cache *cache)
{
    return (sb_cache *)(void *)cache;
}

static sb_cache_options options_of(const sabot_cache_options *options)
{
    sb_cache_options out = {0};
    if (options != NULL) {
        out.dir = options->folder;
        out.disk_bytes_max = options->disk_bytes_max > 0 ? options->disk_bytes_max : 0;
        out.memory_bytes_max =
            options->memory_bytes_max > 0 ? (size_t)options->memory_bytes_max : 0;
    }
    return out;
}

static sabot_status null_argument(sabot_error *err)
{
    return api_status(sb_error_set(api_error(err), SB_INVALID, "an argument is NULL"));
}

sabot_status sabot_cache_new(const sabot_cache_options *options, sabot_cache **out,
                             sabot_error *err)
{
    const sb_cache_options wanted = options_of(options);
    sb_cache *cache = NULL;
    if (out == NULL) {
        return null_argument(err);
    }
    sb_status status = sb_cache_new(&cache, &wanted, api_error(err));
    if (status == SB_OK) {
        *out = (sabot_cache *)(void *)cache;
    }
    return api_status(status);
}

void sabot_cache_free(sabot_cache *cache)
{
    sb_cache_drop(cache_of(cache));
}

sabot_status sabot_cache_configure(sabot_cache *cache, const sabot_cache_options *options,
                                   sabot_error *err)
{
    const sb_cache_options wanted = options_of(options);
    if (cache == NULL) {
        return null_argument(err);
    }
    return api_status(sb_cache_configure(cache_of(cache), &wanted, api_error(err)));
}

static void write_number(sb_buf *json, const char *name, int64_t value)
{
    sb_buf_printf(json, ", \"%s\": %lld", name, (long long)value);
}

static void write_stats(sb_buf *json, const sb_cache_stats *stats)
{
    const sb_disk_stats *disk = &stats->disk;
    sb_buf_printf(json, "{\"disk\": %s, \"disk_off\": ", stats->on_disk ? "true" : "false");
    sb_buf_json_string(json, stats->disk_off.status != SB_OK ? stats->disk_off.message : "",
                       SIZE_MAX);
    write_number(json, "memory_hits", stats->memory_hits);
    write_number(json, "memory_evicted", stats->memory_evicted);
    write_number(json, "memory_objects", stats->object_count);
    write_number(json, "memory_bytes", (int64_t)stats->memory_bytes);
    write_number(json, "memory_bytes_max", (int64_t)stats->memory_bytes_max);
    write_number(json, "loads", stats->loads);
    write_number(json, "loaded_bytes", (int64_t)stats->loaded_bytes);
    write_number(json, "disk_hits", disk->hits);
    write_number(json, "disk_misses", disk->misses);
    write_number(json, "disk_refused", disk->refused);
    write_number(json, "disk_writes", disk->writes);
    write_number(json, "disk_failures", disk->failures);
    write_number(json, "disk_evicted", disk->evicted);
    write_number(json, "disk_bytes_read", disk->bytes_read);
    write_number(json, "disk_bytes_written", disk->bytes_written);
}

sabot_status sabot_cache_stats(sabot_cache *cache, bool usage, char **json, sabot_error *err)
{
    sb_cache_stats stats;
    sb_buf buf;
    int64_t entries = 0;
    int64_t bytes = 0;
    if (cache == NULL || json == NULL) {
        return null_argument(err);
    }
    sb_cache_stats_get(cache_of(cache), &stats);
    if (usage) {
        sb_status status = sb_cache_usage(cache_of(cache), &entries, &bytes, api_error(err));
        if (status != SB_OK) {
            return api_status(status);
        }
    }
    sb_buf_init(&buf, 0);
    write_stats(&buf, &stats);
    if (usage) {
        write_number(&buf, "disk_entries", entries);
        write_number(&buf, "disk_bytes", bytes);
    }
    sb_buf_text(&buf, "}");
    return sb_api_give_text(&buf, json, err);
}

sabot_status sabot_cache_clear(const char *folder, int64_t *entry_count, sabot_error *err)
{
    if (folder == NULL || entry_count == NULL) {
        return null_argument(err);
    }
    return api_status(sb_disk_clear(folder, entry_count, api_error(err)));
}
