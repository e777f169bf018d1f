/* The byte buffer, as base/buf.h promises it.
 *
 * Algorithm: capacity doubles and always has room for the closing NUL. What passes size_max is cut there, so a full
 * buffer tells a limit from a lack of memory. After a failure appends do nothing, until sb_buf_reset.
 *
 * Threads: one owner. Memory: data is the buffer's until sb_buf_take. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define CAPACITY_MIN ((size_t)64)

void sb_buf_init(sb_buf *buf, size_t size_max)
{
    *buf = (sb_buf){.size_max = size_max};
}

void sb_buf_release(sb_buf *buf)
{
    sb_mem_free(buf->data);
    sb_buf_init(buf, buf->size_max);
}

void sb_buf_reset(sb_buf *buf)
{
    buf->size = 0;
    buf->failed = false;
    if (buf->data != NULL) {
        buf->data[0] = '\0';
    }
}

/* Bytes that may still be appended. */
static size_t room_left(const sb_buf *buf)
{
    size_t size_max = buf->size_max == 0 ? (size_t)PTRDIFF_MAX - 1 : buf->size_max;
    return size_max > buf->size ? size_max - buf->size : 0;
}

/* Makes room for `more` bytes, at most room_left, and a NUL; false sets failed and changes nothing else. */
static bool grow(sb_buf *buf, size_t more)
{
    size_t need = buf->size + more + 1;
    if (need <= buf->capacity) {
        return true;
    }
    size_t capacity = buf->capacity < CAPACITY_MIN ? CAPACITY_MIN : buf->capacity;
    while (capacity < need) {
        capacity = capacity > (size_t)PTRDIFF_MAX / 2 ? need : capacity * 2;
    }
    char *data = sb_mem_realloc(buf->data, capacity);
    if (data == NULL) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

/* Reserves `size` bytes or as many as size_max leaves; SIZE_MAX when nothing can be appended. */
static size_t reserve(sb_buf *buf, size_t size)
{
    if (buf->failed) {
        return SIZE_MAX;
    }
    size_t left = room_left(buf);
    size_t fitting = size < left ? size : left;
    if (!grow(buf, fitting)) {
        return SIZE_MAX;
    }
    buf->failed = fitting < size;
    return fitting;
}

void sb_buf_append(sb_buf *buf, const void *data, size_t size)
{
    size_t fitting = reserve(buf, size);
    if (fitting == SIZE_MAX) {
        return;
    }
    if (fitting > 0) {
        memcpy(buf->data + buf->size, data, fitting);
        buf->size += fitting;
    }
    buf->data[buf->size] = '\0';
}

void sb_buf_text(sb_buf *buf, const char *text)
{
    sb_buf_append(buf, text, strlen(text));
}

void sb_buf_char(sb_buf *buf, char c)
{
    sb_buf_append(buf, &c, 1);
}

void sb_buf_repeat(sb_buf *buf, char c, size_t count)
{
    size_t fitting = reserve(buf, count);
    if (fitting == SIZE_MAX) {
        return;
    }
    if (fitting > 0) {
        memset(buf->data + buf->size, c, fitting);
        buf->size += fitting;
    }
    buf->data[buf->size] = '\0';
}

void sb_buf_printf(sb_buf *buf, const char *format, ...)
{
    if (buf->failed) {
        return;
    }
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    size_t space = buf->capacity - buf->size;
    int length = vsnprintf(space == 0 ? NULL : buf->data + buf->size, space, format, args);
    size_t size = length < 0 ? 0 : (size_t)length;
    if (length < 0) { /* a length that does not fit an int */
        buf->failed = true;
    } else if (size >= space || size > room_left(buf)) {
        size_t fitting = reserve(buf, size);
        size = fitting == SIZE_MAX ? 0 : fitting;
        if (fitting != SIZE_MAX) {
            (void)vsnprintf(buf->data + buf->size, fitting + 1, format, again);
        }
    }
    va_end(again);
    va_end(args);
    buf->size += size;
    if (buf->data != NULL && buf->capacity > 0) {
        buf->data[buf->size] = '\0'; /* a refused text may have left bytes after the end */
    }
}

/* The size of the well-formed UTF-8 character at text, 0 when there is none (RFC 3629). */
static size_t utf8_size(const unsigned char *text, size_t size)
{
    unsigned char lead = text[0];
    if (lead < 0x80) {
        return 1;
    }
    size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || size < need) {
        return 0;
    }
    for (size_t i = 1; i < need; i++) {
        if ((text[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    bool overlong = (lead == 0xE0 && text[1] < 0xA0) || (lead == 0xF0 && text[1] < 0x90);
    bool surrogate = lead == 0xED && text[1] >= 0xA0;
    bool too_large = lead == 0xF4 && text[1] >= 0x90;
    return overlong || surrogate || too_large ? 0 : need;
}

static void json_escape(sb_buf *buf, unsigned char c)
{
    switch (c) {
    case '"':
        sb_buf_text(buf, "\\\"");
        break;
    case '\\':
        sb_buf_text(buf, "\\\\");
        break;
    case '\n':
        sb_buf_text(buf, "\\n");
        break;
    case '\r':
        sb_buf_text(buf, "\\r");
        break;
    case '\t':
        sb_buf_text(buf, "\\t");
        break;
    default:
        sb_buf_printf(buf, "\\u%04x", (unsigned)c);
        break;
    }
}

void sb_buf_json_string(sb_buf *buf, const char *text, size_t size)
{
    if (size == SIZE_MAX) {
        size = strlen(text);
    }
    const unsigned char *bytes = (const unsigned char *)text;
    sb_buf_char(buf, '"');
    size_t start = 0; /* of the run that needs no escape */
    size_t at = 0;
    while (at < size && !buf->failed) {
        unsigned char c = bytes[at];
        size_t step = utf8_size(bytes + at, size - at);
        bool plain = step > 0 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7F;
        if (plain) {
            at += step;
            continue;
        }
        sb_buf_append(buf, bytes + start, at - start);
        if (step == 0) {
            sb_buf_text(buf, "\\ufffd"); /* JSON is Unicode: a stray byte becomes U+FFFD */
        } else {
            json_escape(buf, c);
        }
        at++;
        start = at;
    }
    sb_buf_append(buf, bytes + start, at - start);
    sb_buf_char(buf, '"');
}

char *sb_buf_take(sb_buf *buf)
{
    sb_buf_append(buf, "", 0); /* an empty text is a block too */
    bool failed = buf->failed;
    char *out = failed ? NULL : buf->data;
    if (failed) {
        sb_mem_free(buf->data);
    }
    sb_buf_init(buf, buf->size_max);
    buf->failed = failed;
    return out;
}

sb_status sb_buf_status(const sb_buf *buf, sb_error *err)
{
    if (!buf->failed) {
        return SB_OK;
    }
    if (buf->size_max != 0 && buf->size >= buf->size_max) {
        return sb_error_set(err, SB_LIMIT, "text is longer than the allowed %zu bytes",
                            buf->size_max);
    }
    return sb_error_no_memory(err, buf->capacity * 2);
}
