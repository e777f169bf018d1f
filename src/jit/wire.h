/* What travels between the engine and the compiler process sabot-jit, over the process's stdin and stdout.
 *
 * One request, one reply, strictly in turn. Both ends are the same machine: integers are in its byte order, and the structs
 * have no padding. Whoever reads checks every field: the engine trusts no reply, the program trusts no request.
 *
 *     request = sb_wire_request, cpu bytes, features bytes, text bytes
 *     reply   = sb_wire_reply, payload bytes (an object, assembly text, or the text of an error)
 *
 * The magic carries the version of this format and of LLVM: another version's program is refused at its first reply. */
#ifndef SB_JIT_WIRE_H
#define SB_JIT_WIRE_H

#include <stdint.h>

#include "jit/compiler_id.h"

#define SB_WIRE_MAGIC_REQUEST 0x51310174u
#define SB_WIRE_MAGIC_REPLY 0x52310174u

#define SB_WIRE_TEXT_MAX ((uint64_t)16 << 20)  /* bytes of LLVM IR text */
#define SB_WIRE_REPLY_MAX ((uint64_t)64 << 20) /* bytes of a payload */
#define SB_WIRE_NAME_MAX 1024u                 /* bytes of cpu, and of features */

typedef enum sb_wire_want { SB_WIRE_OBJECT = 1, SB_WIRE_ASM = 2 } sb_wire_want;
typedef enum sb_wire_result { SB_WIRE_DONE = 1, SB_WIRE_REFUSED = 2 } sb_wire_result;

typedef struct sb_wire_request {
    uint32_t magic;
    uint32_t want;          /* sb_wire_want */
    uint32_t cpu_size;      /* bytes, at most SB_WIRE_NAME_MAX */
    uint32_t features_size; /* likewise */
    uint64_t text_size;     /* bytes, 1 to SB_WIRE_TEXT_MAX */
    uint64_t serial;        /* given back in the reply */
} sb_wire_request;

typedef struct sb_wire_reply {
    uint32_t magic;
    uint32_t result; /* sb_wire_result: what the payload is */
    uint64_t size;   /* bytes, at most SB_WIRE_REPLY_MAX */
    uint64_t serial;
    uint64_t compiler; /* SB_COMPILER_ID of the program */
} sb_wire_reply;

_Static_assert(sizeof(sb_wire_request) == 32 && sizeof(sb_wire_reply) == 32, "no padding");

#endif
