/* For the tests of this room: a program that speaks the compiler's protocol and misbehaves on request. The first line of
 * a text says how; any other text is answered with the sample object.
 *
 *     ;hang      never answers                    ;stall     answers half a header, then nothing
 *     ;crash     dies before it answers           ;middle    dies in mid-reply
 *     ;old       dies unless the text is the first one that the process sees
 *     ;garbage   answers bytes of no meaning      ;serial    answers another request
 *     ;huge      announces 2^64-1 bytes           ;liar      announces 60 MiB, sends ten bytes, dies
 *     ;refuse    refuses                          ;long      refuses with a message of 1 MiB
 *     ;rude      refuses with bytes that are no text
 *     ;empty     an object of no bytes            ;bytes     an object that is none
 *     ;slow      answers after 100 ms          ;stranger  answers as another compiler would */
#define _POSIX_C_SOURCE 200809L
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jit/test_object.h"
#include "jit/wire.h"

static char text[SB_WIRE_TEXT_MAX];
static sb_wire_request request;
static uint64_t seen_count;

static bool is(const char *word)
{
    const size_t size = strlen(word);
    return request.text_size > size && memcmp(text, word, size) == 0 && text[size] == '\n';
}

static void send_bytes(const void *data, size_t size)
{
    if (fwrite(data, 1, size, stdout) != size || fflush(stdout) != 0) {
        exit(1);
    }
}

static void send_header(sb_wire_result result, uint64_t size, uint64_t serial)
{
    const sb_wire_reply reply = {.magic = SB_WIRE_MAGIC_REPLY,
                                 .result = (uint32_t)result,
                                 .size = size,
                                 .serial = serial,
                                 .compiler = SB_COMPILER_ID + is(";stranger")};
    send_bytes(&reply, sizeof(reply));
}

static void send_reply(sb_wire_result result, const void *data, size_t size)
{
    send_header(result, size, request.serial);
    send_bytes(data, size);
}

static void hang(void)
{
    for (;;) {
        pause();
    }
}

/* False: nothing unusual was asked for. */
static bool misbehave(void)
{
    static char junk[1 << 20];
    memset(junk, 0xa5, sizeof(junk));
    if (is(";hang")) {
        hang();
    } else if (is(";stall")) {
        send_bytes(&request, 10);
        hang();
    } else if (is(";crash") || (is(";old") && seen_count > 1)) {
        abort();
    } else if (is(";middle")) {
        send_header(SB_WIRE_DONE, 1000, request.serial);
        send_bytes(junk, 500);
        abort();
    } else if (is(";garbage")) {
        send_bytes(junk, 4096);
    } else if (is(";serial")) {
        send_header(SB_WIRE_DONE, 0, request.serial + 1);
    } else if (is(";huge")) {
        send_header(SB_WIRE_DONE, UINT64_MAX, request.serial);
    } else if (is(";liar")) {
        send_header(SB_WIRE_DONE, (uint64_t)60 << 20, request.serial);
        send_bytes(junk, 10);
        abort();
    } else if (is(";refuse")) {
        send_reply(SB_WIRE_REFUSED, "not to my taste", 15);
    } else if (is(";rude")) {
        send_reply(SB_WIRE_REFUSED, "a\n\xff\0\x1b\x7fz", 7);
    } else if (is(";long")) {
        send_reply(SB_WIRE_REFUSED, junk, sizeof(junk));
    } else if (is(";empty")) {
        send_reply(SB_WIRE_DONE, junk, 0);
    } else if (is(";bytes")) {
        send_reply(SB_WIRE_DONE, junk, 1000);
    } else {
        return false;
    }
    return true;
}

static bool read_all(void *data, size_t size)
{
    return fread(data, 1, size, stdin) == size;
}

int main(void)
{
    char names[2 * SB_WIRE_NAME_MAX];
    while (read_all(&request, sizeof(request))) {
        if (request.magic != SB_WIRE_MAGIC_REQUEST || request.text_size > sizeof(text) ||
            request.cpu_size > SB_WIRE_NAME_MAX || request.features_size > SB_WIRE_NAME_MAX ||
            !read_all(names, request.cpu_size + request.features_size) ||
            !read_all(text, (size_t)request.text_size)) {
            return 2;
        }
        seen_count++;
        if (misbehave()) {
            continue;
        }
        if (is(";slow")) {
            (void)poll(NULL, 0, 100);
        }
        if (request.want == SB_WIRE_ASM) {
            send_reply(SB_WIRE_DONE, "# assembly\n", 11);
        } else {
            uint8_t object[SB_SAMPLE_SIZE];
            sb_sample_object(object, SB_SAMPLE_HOST);
            send_reply(SB_WIRE_DONE, object, sizeof(object));
        }
    }
    return 0;
}
