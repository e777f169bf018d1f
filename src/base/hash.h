/* Hashing of byte strings: 64 bits, seeded, stable across machines of either byte order only within a process.
 * A build with -Dhash_zero=true returns 0 for everything, so that collisions are always exercised. */
#ifndef SB_BASE_HASH_H
#define SB_BASE_HASH_H

#include "base/compiler.h"

uint64_t sb_hash_bytes(const void *data, size_t size, uint64_t seed);

#endif
