/* Statuses and messages, as base/error.h promises them.
 *
 * Algorithm: a message is formatted beside the error and then copied in, so that an error may be wrapped in itself
 * (`sb_error_set(err, s, "reading: %s", err->message)`); a cut falls between UTF-8 characters.
 *
 * Threads: any. Memory: the caller's storage and the stack; nothing is allocated, so running out of memory can be told. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const status_names[] = {
#define X(name, text) #name,
    SB_STATUS_LIST(X)
#undef X
};

static const char *const status_texts[] = {
#define X(name, text) text,
    SB_STATUS_LIST(X)
#undef X
};

const char *sb_status_name(sb_status status)
{
    size_t index = (size_t)status;
    return index < SB_COUNT_OF(status_names) ? status_names[index] : "UNKNOWN";
}

static const char *status_text(sb_status status)
{
    size_t index = (size_t)status;
    return index < SB_COUNT_OF(status_texts) ? status_texts[index] : "unknown status";
}

/* The size of text without the incomplete character that a cut may have left at its end. */
static size_t whole_characters(const char *text, size_t size)
{
    size_t start = size;
    while (start > 0 && size - start < 4) {
        start--;
        unsigned char byte = (unsigned char)text[start];
        if (byte < 0x80) {
            return size;
        }
        if (byte >= 0xC0) {
            size_t need = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2;
            return size - start < need ? start : size;
        }
    }
    return size;
}

sb_status sb_error_set(sb_error *err, sb_status status, const char *format, ...)
{
    SB_ASSERT(status != SB_OK);
    if (err == NULL) {
        return status;
    }
    char message[SB_ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    size_t size = 0;
    if (length < 0) { /* the C library could not format it; the status must still be readable */
        const char *text = status_text(status);
        size = strlen(text);
        memcpy(message, text, size);
    } else if ((size_t)length < sizeof(message)) {
        size = (size_t)length;
    } else {
        size = whole_characters(message, sizeof(message) - 1);
    }
    message[size] = '\0';
    err->status = status;
    memcpy(err->message, message, size + 1);
    return status;
}

sb_status sb_error_no_memory(sb_error *err, size_t size)
{
    return sb_error_set(err, SB_NO_MEMORY, "out of memory (%zu bytes asked)", size);
}

void sb_assert_failed(const char *cond, const char *file, int line)
{
    (void)fprintf(stderr, "sabot: assertion failed: %s (%s:%d)\n", cond, file, line);
    abort();
}
