/* The emitter: verified IR to LLVM IR as text, one block of rows at a time, in one of four widths.
 *
 * The text holds one function per entry asked for, named SB_EMIT_FAST and SB_EMIT_CAREFUL, each of the type sb_kernel_fn and
 * keeping the contract of ir/kernel.h. It needs LLVM 19, names its own target CPU, and after code generation has no undefined
 * symbol: the only calls are those through sb_kcall.rt, and those of the program's own functions.
 *
 * Functions with lists (sb_ir.has_list) have one lane.
 *
 * `lanes` is the number of rows that run side by side: 1 is scalar code with branches, 8, 16 and 32 are vectors of
 * that many rows. More lanes than a register holds are interleaved registers. Every width gives the same bits.
 *
 * The fast entry may call rows BAD that the careful entry can do: integer products within 2**-50 of 2**63.
 *
 * Threads: any. Memory: everything but the text is given back before the return. */
#ifndef SB_JIT_EMIT_H
#define SB_JIT_EMIT_H

#include "base/buf.h"
#include "ir/ir.h"

#define SB_EMIT_FAST "sabot_fast"
#define SB_EMIT_CAREFUL "sabot_careful"

typedef struct sb_emit_options {
    int lanes;             /* 1, 8, 16 or 32 */
    bool fast;             /* emit the fast entry */
    bool careful;          /* emit the careful entry */
    const char *cpu_level; /* borrow: "x86-64", "x86-64-v2" to "-v4", "aarch64", "generic" */
} sb_emit_options;

/* Appends to *text. SB_INVALID (options), SB_NO_MEMORY, SB_LIMIT (text->size_max). */
sb_status sb_emit_llvm(const sb_ir *ir, const sb_emit_options *options, sb_buf *text,
                       sb_error *err);

/* What LLVM calls the processor of that level; a name that is none of a level is given back. Static, or borrow of cpu_level. */
const char *sb_emit_processor(const char *cpu_level);

/* The width that runs this IR fastest on that level without making its compilation slow. */
int sb_emit_choose_lanes(const sb_ir *ir, const char *cpu_level);

#endif
