/* Client of the compiler process (helper.h): starts it, frames requests, checks replies, kills it when it misbehaves.
 *
 * Algorithm: a compile is one or two attempts. An attempt starts the process if none runs, writes header and bytes, waits
 * for the first byte of the reply in slices of WAIT_SLICE_NS (so that a cancel is seen while nothing is half read), then
 * reads the rest in pieces. A transfer that stalls for STALL_NS once bytes flow is a broken process. After any failure but a
 * refusal the process is killed: what is left in its socket would be taken for the next reply.
 *
 * The second attempt is for a process that died (killed from outside, out of memory, a crash in LLVM); there is none after
 * a time limit, nor when the program cannot be started at all.
 *
 * Threads: see helper.h; `cancelled` and `pid` are the only fields read by others. Memory: the struct and its path. */
#include "jit/helper.h"

#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "jit/wire.h"
#include "os/os.h"

#define SECOND_NS ((int64_t)1000000000)
#define WAIT_SLICE_NS ((int64_t)10000000)
#define STALL_NS (2 * SECOND_NS)
#define PIECE_SIZE ((size_t)256 << 10)
#define MESSAGE_SIZE_MAX 4096 /* bytes of a refusal's text that are read */

struct sb_helper {
    char *path;
    sb_child *child; /* NULL: none runs */
    sb_child_limits limits;
    int64_t timeout_ns;
    int64_t owner_pid;
    uint64_t serial;
    uint64_t compiler; /* of the last reply */
    int32_t failures;  /* in a row */
    int32_t failures_max;
    atomic_bool cancelled;  /* relaxed: a flag alone, nothing is published with it */
    _Atomic int64_t starts; /* relaxed counters for reports */
    _Atomic int64_t child_pid;
    sb_error last; /* why the last failure was */
};

sb_status sb_helper_new(sb_helper **out, const sb_helper_options *options, sb_error *err)
{
    const size_t path_size = options->path == NULL ? 0 : strlen(options->path);
    if (path_size == 0) {
        return sb_error_set(err, SB_INVALID, "no path of the compiler program");
    }
    sb_helper *helper = sb_mem_alloc_zero(sizeof(*helper));
    char *path = sb_mem_alloc(path_size + 1);
    if (helper == NULL || path == NULL) {
        sb_mem_free(helper);
        sb_mem_free(path);
        return sb_error_no_memory(err, sizeof(*helper) + path_size + 1);
    }
    memcpy(path, options->path, path_size + 1);
    helper->path = path;
    helper->limits.memory_bytes_max =
        options->memory_bytes_max > 0 ? options->memory_bytes_max : (int64_t)4 << 30;
    helper->limits.cpu_seconds_max = options->cpu_seconds_max > 0 ? options->cpu_seconds_max : 600;
    helper->timeout_ns = options->timeout_ns > 0 ? options->timeout_ns : 10 * SECOND_NS;
    helper->failures_max = options->failures_max > 0 ? options->failures_max : 3;
    helper->owner_pid = sb_os_pid();
    *out = helper;
    return SB_OK;
}

static void stop_child(sb_helper *helper)
{
    if (helper->child != NULL) {
        sb_child_kill(helper->child);
        helper->child = NULL;
        atomic_store_explicit(&helper->child_pid, 0, memory_order_relaxed);
    }
}

void sb_helper_free(sb_helper *helper)
{
    if (helper == NULL) {
        return;
    }
    if (helper->owner_pid == sb_os_pid()) {
        stop_child(helper);
    }
    sb_mem_free(helper->path);
    sb_mem_free(helper);
}

void sb_helper_cancel(sb_helper *helper)
{
    atomic_store_explicit(&helper->cancelled, true, memory_order_relaxed);
}

int64_t sb_helper_starts(const sb_helper *helper)
{
    return atomic_load_explicit(&helper->starts, memory_order_relaxed);
}

int64_t sb_helper_pid(const sb_helper *helper)
{
    return atomic_load_explicit(&helper->child_pid, memory_order_relaxed);
}

bool sb_helper_is_own(const sb_helper *helper)
{
    return helper->compiler == SB_COMPILER_ID;
}

bool sb_helper_broken(const sb_helper *helper)
{
    return helper->failures >= helper->failures_max;
}

static sb_status start_child(sb_helper *helper, sb_error *err)
{
    const char *const argv[] = {helper->path};
    sb_status status = sb_child_start(&helper->child, helper->path, argv, SB_COUNT_OF(argv),
                                      &helper->limits, false, err);
    if (status == SB_OK) {
        atomic_fetch_add_explicit(&helper->starts, 1, memory_order_relaxed);
        atomic_store_explicit(&helper->child_pid, sb_child_pid(helper->child),
                              memory_order_relaxed);
    } else {
        helper->child = NULL;
    }
    return status;
}

/* SB_CANCELLED or SB_TIMEOUT when it is time to give up, else SB_OK and the deadline of one step. */
static sb_status step_deadline(const sb_helper *helper, int64_t deadline_ns, int64_t step_ns,
                               int64_t *out, sb_error *err)
{
    if (atomic_load_explicit(&helper->cancelled, memory_order_relaxed)) {
        return sb_error_set(err, SB_CANCELLED, "the compile was cancelled");
    }
    const int64_t now = sb_os_now_ns();
    if (now >= deadline_ns) {
        return sb_error_set(err, SB_TIMEOUT, "the compiler process gave no answer in time");
    }
    *out = deadline_ns - now > step_ns ? now + step_ns : deadline_ns;
    return SB_OK;
}

/* A step that timed out before the whole deadline did is a stall: the process is at fault, not the time given. */
static sb_status stalled(sb_status status, int64_t deadline_ns, sb_error *err)
{
    if (status == SB_TIMEOUT && sb_os_now_ns() < deadline_ns) {
        return sb_error_set(err, SB_OS, "the compiler process stalled in mid-transfer");
    }
    return status;
}

static sb_status write_all(sb_helper *helper, const void *data, size_t size, int64_t deadline_ns,
                           sb_error *err)
{
    const char *bytes = data;
    while (size > 0) {
        const size_t piece = size < PIECE_SIZE ? size : PIECE_SIZE;
        int64_t step = 0;
        sb_status status = step_deadline(helper, deadline_ns, STALL_NS, &step, err);
        if (status == SB_OK) {
            status =
                stalled(sb_child_write(helper->child, bytes, piece, step, err), deadline_ns, err);
        }
        if (status != SB_OK) {
            return status;
        }
        bytes += piece;
        size -= piece;
    }
    return SB_OK;
}

static sb_status read_all(sb_helper *helper, void *data, size_t size, int64_t deadline_ns,
                          sb_error *err)
{
    char *bytes = data;
    while (size > 0) {
        const size_t piece = size < PIECE_SIZE ? size : PIECE_SIZE;
        int64_t step = 0;
        sb_status status = step_deadline(helper, deadline_ns, STALL_NS, &step, err);
        if (status == SB_OK) {
            status =
                stalled(sb_child_read(helper->child, bytes, piece, step, err), deadline_ns, err);
        }
        if (status != SB_OK) {
            return status;
        }
        bytes += piece;
        size -= piece;
    }
    return SB_OK;
}

static sb_status send_request(sb_helper *helper, const sb_helper_request *request,
                              int64_t deadline_ns, sb_error *err)
{
    const char *features = request->features != NULL ? request->features : "";
    const sb_wire_request header = {
        .magic = SB_WIRE_MAGIC_REQUEST,
        .want = request->want_asm ? SB_WIRE_ASM : SB_WIRE_OBJECT,
        .cpu_size = (uint32_t)strlen(request->cpu),
        .features_size = (uint32_t)strlen(features),
        .text_size = request->text_size,
        .serial = ++helper->serial,
    };
    sb_status status = write_all(helper, &header, sizeof(header), deadline_ns, err);
    if (status == SB_OK) {
        status = write_all(helper, request->cpu, header.cpu_size, deadline_ns, err);
    }
    if (status == SB_OK) {
        status = write_all(helper, features, header.features_size, deadline_ns, err);
    }
    if (status == SB_OK) {
        status = write_all(helper, request->text, request->text_size, deadline_ns, err);
    }
    return status;
}

/* Only one byte is asked for while waiting, so a slice that passes leaves nothing half read. */
static sb_status receive_header(sb_helper *helper, int64_t deadline_ns, sb_wire_reply *header,
                                sb_error *err)
{
    unsigned char bytes[sizeof(*header)];
    for (;;) {
        int64_t slice = 0;
        sb_status status = step_deadline(helper, deadline_ns, WAIT_SLICE_NS, &slice, err);
        if (status != SB_OK) {
            return status;
        }
        status = sb_child_read(helper->child, bytes, 1, slice, err);
        if (status == SB_OK) {
            break;
        }
        if (status != SB_TIMEOUT) {
            return status;
        }
    }
    sb_status status = read_all(helper, bytes + 1, sizeof(bytes) - 1, deadline_ns, err);
    if (status != SB_OK) {
        return status;
    }
    memcpy(header, bytes, sizeof(*header));
    if (header->magic != SB_WIRE_MAGIC_REPLY || header->serial != helper->serial ||
        header->size > SB_WIRE_REPLY_MAX ||
        (header->result != SB_WIRE_DONE && header->result != SB_WIRE_REFUSED)) {
        return sb_error_set(err, SB_OS, "%s answered with something else than a reply",
                            helper->path);
    }
    helper->compiler = header->compiler;
    return SB_OK;
}

/* Reads in pieces and grows as bytes come: a size that is announced but never sent costs no memory. */
static sb_status receive_payload(sb_helper *helper, size_t size, int64_t deadline_ns, sb_buf *reply,
                                 sb_error *err)
{
    char *piece = sb_mem_alloc(PIECE_SIZE);
    if (piece == NULL) {
        return sb_error_no_memory(err, PIECE_SIZE);
    }
    sb_status status = SB_OK;
    while (size > 0 && status == SB_OK) {
        const size_t count = size < PIECE_SIZE ? size : PIECE_SIZE;
        status = read_all(helper, piece, count, deadline_ns, err);
        if (status == SB_OK) {
            sb_buf_append(reply, piece, count);
            status = sb_buf_status(reply, err);
        }
        size -= count;
    }
    sb_mem_free(piece);
    return status;
}

/* One line of plain characters, whatever was sent: it ends in reports. */
static void make_plain(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c >= 0x7f) {
            text[i] = c < 0x20 ? ' ' : '?';
        }
    }
}

static sb_status receive_refusal(sb_helper *helper, size_t size, int64_t deadline_ns, sb_error *err)
{
    sb_buf text;
    sb_buf_init(&text, 0);
    sb_status status =
        size <= MESSAGE_SIZE_MAX
            ? receive_payload(helper, size, deadline_ns, &text, err)
            : sb_error_set(err, SB_OS, "the compiler's message is of %zu bytes", size);
    if (status == SB_OK) {
        make_plain(text.data, text.size);
        status = sb_error_set(err, SB_INVALID, "the compiler refused: %.*s", (int)text.size,
                              text.size > 0 ? text.data : "");
    }
    sb_buf_release(&text);
    return status;
}

static sb_status attempt(sb_helper *helper, const sb_helper_request *request, int64_t deadline_ns,
                         sb_buf *reply, sb_error *err)
{
    sb_wire_reply header = {0};
    sb_status status = send_request(helper, request, deadline_ns, err);
    if (status == SB_OK) {
        status = receive_header(helper, deadline_ns, &header, err);
    }
    if (status == SB_OK && header.result == SB_WIRE_REFUSED) {
        status = receive_refusal(helper, (size_t)header.size, deadline_ns, err);
    } else if (status == SB_OK) {
        status = receive_payload(helper, (size_t)header.size, deadline_ns, reply, err);
    }
    return status;
}

/* Up to two attempts, the second with a new process. */
static sb_status compile_with_retry(sb_helper *helper, const sb_helper_request *request,
                                    int64_t deadline_ns, sb_buf *reply, sb_error *err)
{
    sb_status status = SB_OK;
    for (int tries = 2; tries > 0; tries--) {
        if (helper->child == NULL && (status = start_child(helper, err)) != SB_OK) {
            return status;
        }
        sb_buf_reset(reply);
        status = attempt(helper, request, deadline_ns, reply, err);
        if (status == SB_OK || status == SB_INVALID) {
            return status;
        }
        stop_child(helper);
        if (status != SB_OS) {
            return status;
        }
    }
    return status;
}

static sb_status check_request(const sb_helper *helper, const sb_helper_request *request,
                               sb_error *err)
{
    if (helper->owner_pid != sb_os_pid()) {
        return sb_error_set(err, SB_STATE, "forked: the compiler belongs to the parent process");
    }
    if (request->text_size == 0 || request->text_size > SB_WIRE_TEXT_MAX) {
        return sb_error_set(err, SB_LIMIT, "text of %zu bytes for the compiler; at most %llu",
                            request->text_size, (unsigned long long)SB_WIRE_TEXT_MAX);
    }
    if (strlen(request->cpu) > SB_WIRE_NAME_MAX ||
        (request->features != NULL && strlen(request->features) > SB_WIRE_NAME_MAX)) {
        return sb_error_set(err, SB_LIMIT, "a processor name or feature list is over %u bytes",
                            SB_WIRE_NAME_MAX);
    }
    if (sb_helper_broken(helper)) {
        return sb_error_set(err, SB_STATE, "the compiler failed %d times in a row, last: %s",
                            (int)helper->failures, helper->last.message);
    }
    return SB_OK;
}

sb_status sb_helper_compile(sb_helper *helper, const sb_helper_request *request, sb_buf *reply,
                            sb_error *err)
{
    sb_status status = check_request(helper, request, err);
    if (status != SB_OK) {
        return status;
    }
    const int64_t limit_ns = sb_os_now_ns() + helper->timeout_ns;
    const int64_t deadline_ns = limit_ns < request->deadline_ns ? limit_ns : request->deadline_ns;
    sb_error why = {0};
    status = compile_with_retry(helper, request, deadline_ns, reply, &why);
    if (status != SB_OK) {
        sb_buf_reset(reply);
    }
    if (status == SB_OK || status == SB_INVALID) {
        helper->failures = 0;
    } else if (status == SB_OS || status == SB_TIMEOUT) {
        helper->failures++;
        helper->last = why;
    }
    return status == SB_OK ? status : sb_error_set(err, status, "%s", why.message);
}
