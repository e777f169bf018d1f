/* Loader of relocatable objects: ELF64 bytes in, executable code out.
 *
 *     sb_object_load(bytes, size, &object, err);  the bytes are not needed afterwards
 *     sb_object_symbol(object, "kernel")          address of a function of that name, NULL when there is none
 *     sb_object_free(object)                      no code of it may be running
 *
 * Takes what the compiler process makes for this machine (x86-64, aarch64; little endian) and refuses everything else with
 * SB_INVALID (malformed) or SB_UNSUPPORTED (well-formed, but not for us): undefined symbols, writable or zero-filled
 * sections, thread-local data, absolute addresses. Every number in the bytes is checked, so no bytes make the loader read or
 * write outside. It cannot judge instructions: bytes that are run must come from the compiler or from an authenticated store.
 *
 * SB_OS: the system refuses executable memory.
 * Threads: an object is immutable once loaded. */
#ifndef SB_JIT_LOADER_H
#define SB_JIT_LOADER_H

#include "base/error.h"

typedef struct sb_object sb_object;

sb_status sb_object_load(const void *bytes, size_t size, sb_object **out,
                         sb_error *err); /* out-owned; bytes borrowed */
const void *sb_object_symbol(const sb_object *object, const char *name); /* borrow of the object */
size_t sb_object_size(const sb_object *object);                          /* bytes of mapped code */
void sb_object_free(sb_object *object);                                  /* take; NULL is fine */

#endif
