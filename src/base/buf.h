/* A growable byte buffer and text writer with a sticky error: append freely, look at `failed` once at the end.
 *
 * Owner: one thread. data is NUL-terminated whenever size > 0. At most size_max bytes (0: no limit). */
#ifndef SB_BASE_BUF_H
#define SB_BASE_BUF_H

#include "base/error.h"

typedef struct sb_buf {
    char *data;
    size_t size;
    size_t capacity;
    size_t size_max;
    bool failed; /* an allocation failed or size_max was passed; data holds what fitted */
} sb_buf;

void sb_buf_init(sb_buf *buf, size_t size_max);
void sb_buf_release(sb_buf *buf);
void sb_buf_reset(sb_buf *buf); /* size 0, failed false, capacity kept */
void sb_buf_append(sb_buf *buf, const void *data, size_t size);
void sb_buf_text(sb_buf *buf, const char *text);
void sb_buf_char(sb_buf *buf, char c);
void sb_buf_printf(sb_buf *buf, const char *format, ...) SB_PRINTF(2, 3);
void sb_buf_repeat(sb_buf *buf, char c, size_t count);
void sb_buf_json_string(sb_buf *buf, const char *text,
                        size_t size); /* quoted, escaped; size SIZE_MAX: NUL-terminated */
char *sb_buf_take(sb_buf *buf); /* out-owned by sb_mem_free; NULL when failed; buf is empty after */
sb_status sb_buf_status(const sb_buf *buf, sb_error *err); /* SB_OK, or SB_NO_MEMORY / SB_LIMIT */

#endif
