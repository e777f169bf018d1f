/* sabot-jit: LLVM IR text in, relocatable object out. A process of its own, so that nothing of LLVM (its size, its globals,
 * its crashes) is in the process that uses the engine.
 *
 *     sabot-jit        reads requests from stdin and writes replies to stdout (jit/wire.h) until stdin ends
 *
 * Per request: a fresh context, parse, verify, a short pass pipeline, code generation to memory. Text that LLVM refuses
 * is answered with its message. A request that does not follow the format ends the process with status 2, and what LLVM
 * calls fatal ends it too: the engine starts another.
 *
 * Exactness: nothing here may change a result. Floating-point operations carry no fast-math flags in the text, contraction
 * is left at LLVM's standard mode (only llvm.fmuladd may fuse), and "no-builtins" keeps LLVM from putting library calls in.
 *
 * Passes: bodies come as structured loops over whole vectors with their mutable state in allocas. sroa makes SSA of it;
 * the loop and SLP vectorisers and unrolling are left out, since lanes are already explicit. Of 3 ms for a small body the passes
 * take 0.5, code generation the rest.
 *
 * Threads: one. Memory: request bytes lie in a static buffer, touched only as far as a request is long; LLVM has the rest. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <llvm-c/Analysis.h>
#include <llvm-c/Core.h>
#include <llvm-c/IRReader.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include "jit/wire.h"

#define PASSES                                                                                     \
    "function(sroa,early-cse,instcombine<no-verify-fixpoint>,simplifycfg,"                         \
    "loop-mssa(loop-rotate,licm),gvn,adce,simplifycfg)"

/* LLVMInitialize<target><part>(). meson.build names the target and its triple: SB_TARGET, SB_TRIPLE. */
#define TARGET_CALL(target, part) TARGET_CALL_PASTED(target, part)
#define TARGET_CALL_PASTED(target, part) LLVMInitialize##target##part()

static char text_bytes[SB_WIRE_TEXT_MAX + 1]; /* the parser wants a NUL after the text */

/* The target machine of the last request: they seldom differ, and making one takes longer than looking. */
static struct {
    char cpu[SB_WIRE_NAME_MAX + 1];
    char features[SB_WIRE_NAME_MAX + 1];
    LLVMTargetMachineRef machine;
} target;

/* What one request holds; whatever is not NULL is given back by job_release. */
typedef struct job {
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMMemoryBufferRef output;
    char message[2048]; /* first diagnostic, NUL-terminated */
} job;

static bool read_all(void *data, size_t size)
{
    return fread(data, 1, size, stdin) == size;
}

static bool write_reply(sb_wire_result result, const char *data, size_t size, uint64_t serial)
{
    const sb_wire_reply reply = {.magic = SB_WIRE_MAGIC_REPLY,
                                 .result = (uint32_t)result,
                                 .size = size,
                                 .serial = serial,
                                 .compiler = SB_COMPILER_ID};
    return fwrite(&reply, 1, sizeof(reply), stdout) == sizeof(reply) &&
           fwrite(data, 1, size, stdout) == size && fflush(stdout) == 0;
}

static bool refuse(job *work, const char *stage, const char *detail)
{
    if (work->message[0] == '\0') {
        snprintf(work->message, sizeof(work->message), "%s: %s", stage,
                 detail != NULL ? detail : "no reason given");
    }
    return false;
}

/* LLVM's default handler ends the process on an error; keep the first one as the reply instead. */
static void on_diagnostic(LLVMDiagnosticInfoRef info, void *arg)
{
    job *work = arg;
    if (LLVMGetDiagInfoSeverity(info) == LLVMDSError) {
        char *text = LLVMGetDiagInfoDescription(info);
        refuse(work, "compile", text);
        LLVMDisposeMessage(text);
    }
}

static bool target_select(job *work, const char *cpu, const char *features)
{
    if (target.machine != NULL && strcmp(cpu, target.cpu) == 0 &&
        strcmp(features, target.features) == 0) {
        return true;
    }
    if (target.machine != NULL) {
        LLVMDisposeTargetMachine(target.machine);
        target.machine = NULL;
    }
    LLVMTargetRef found = NULL;
    char *why = NULL;
    if (LLVMGetTargetFromTriple(SB_TRIPLE, &found, &why) == 0) {
        target.machine =
            LLVMCreateTargetMachine(found, SB_TRIPLE, cpu, features, LLVMCodeGenLevelDefault,
                                    LLVMRelocPIC, LLVMCodeModelSmall);
    }
    if (target.machine == NULL) {
        refuse(work, "target", why);
    } else {
        strcpy(target.cpu, cpu);
        strcpy(target.features, features);
    }
    LLVMDisposeMessage(why);
    return target.machine != NULL;
}

static bool parse(job *work, size_t size)
{
    LLVMMemoryBufferRef input =
        LLVMCreateMemoryBufferWithMemoryRange(text_bytes, size, "kernel.ll", 1);
    char *why = NULL;
    if (LLVMParseIRInContext(work->context, input, &work->module, &why) != 0) { /* takes input */
        work->module = NULL;
        refuse(work, "parse", why);
    } else if (LLVMVerifyModule(work->module, LLVMReturnStatusAction, &why) != 0) {
        refuse(work, "verify", why);
    }
    LLVMDisposeMessage(why);
    return work->message[0] == '\0';
}

static void forbid_library_calls(LLVMContextRef context, LLVMModuleRef module)
{
    const char name[] = "no-builtins";
    LLVMAttributeRef attribute = LLVMCreateStringAttribute(context, name, sizeof(name) - 1, "", 0);
    for (LLVMValueRef fn = LLVMGetFirstFunction(module); fn != NULL; fn = LLVMGetNextFunction(fn)) {
        if (!LLVMIsDeclaration(fn)) {
            LLVMAddAttributeAtIndex(fn, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, attribute);
        }
    }
}

static bool optimize(job *work)
{
    char *triple = LLVMGetTargetMachineTriple(target.machine);
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(target.machine);
    LLVMSetTarget(work->module, triple);
    LLVMSetModuleDataLayout(work->module, layout);
    LLVMDisposeTargetData(layout);
    LLVMDisposeMessage(triple);
    forbid_library_calls(work->context, work->module);

    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef error = LLVMRunPasses(work->module, PASSES, target.machine, options);
    LLVMDisposePassBuilderOptions(options);
    if (error != NULL) {
        char *why = LLVMGetErrorMessage(error);
        refuse(work, "passes", why);
        LLVMDisposeErrorMessage(why);
    }
    return work->message[0] == '\0';
}

static bool generate(job *work, uint32_t want)
{
    char *why = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(target.machine, work->module,
                                            want == SB_WIRE_ASM ? LLVMAssemblyFile : LLVMObjectFile,
                                            &why, &work->output) != 0) {
        work->output = NULL;
        refuse(work, "generate", why);
    } else if (LLVMGetBufferSize(work->output) > SB_WIRE_REPLY_MAX) {
        refuse(work, "generate", "the object is too large");
    }
    LLVMDisposeMessage(why);
    return work->message[0] == '\0';
}

static void job_release(job *work)
{
    if (work->output != NULL) {
        LLVMDisposeMemoryBuffer(work->output);
    }
    if (work->module != NULL) {
        LLVMDisposeModule(work->module);
    }
    LLVMContextDispose(work->context);
}

/* False when the reply could not be written. */
static bool answer(const sb_wire_request *request, const char *cpu, const char *features)
{
    job work = {.context = LLVMContextCreate()};
    LLVMContextSetDiagnosticHandler(work.context, on_diagnostic, &work);
    const bool done = target_select(&work, cpu, features) &&
                      parse(&work, (size_t)request->text_size) && optimize(&work) &&
                      generate(&work, request->want);
    const bool written =
        done ? write_reply(SB_WIRE_DONE, LLVMGetBufferStart(work.output),
                           LLVMGetBufferSize(work.output), request->serial)
             : write_reply(SB_WIRE_REFUSED, work.message, strlen(work.message), request->serial);
    job_release(&work);
    return written;
}

static bool request_valid(const sb_wire_request *request)
{
    return request->magic == SB_WIRE_MAGIC_REQUEST &&
           (request->want == SB_WIRE_OBJECT || request->want == SB_WIRE_ASM) &&
           request->cpu_size <= SB_WIRE_NAME_MAX && request->features_size <= SB_WIRE_NAME_MAX &&
           request->text_size > 0 && request->text_size <= SB_WIRE_TEXT_MAX;
}

int main(void)
{
    TARGET_CALL(SB_TARGET, TargetInfo);
    TARGET_CALL(SB_TARGET, Target);
    TARGET_CALL(SB_TARGET, TargetMC);
    TARGET_CALL(SB_TARGET, AsmPrinter);
    for (;;) {
        sb_wire_request request;
        char cpu[SB_WIRE_NAME_MAX + 1];
        char features[SB_WIRE_NAME_MAX + 1];
        if (!read_all(&request, sizeof(request))) {
            return 0;
        }
        if (!request_valid(&request) || !read_all(cpu, request.cpu_size) ||
            !read_all(features, request.features_size) ||
            !read_all(text_bytes, (size_t)request.text_size)) {
            return 2;
        }
        cpu[request.cpu_size] = '\0';
        features[request.features_size] = '\0';
        text_bytes[request.text_size] = '\0';
        if (!answer(&request, cpu, features)) {
            return 1;
        }
    }
}
