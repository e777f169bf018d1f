/* Digests that nobody can forge: BLAKE2b (RFC 7693), mostly with 32 bytes of result, with or without a key. Names of cache entries, and
 * with a key the proof that this user's engine wrote one.
 *
 *     sb_digest_init(&state, sizeof(digest), key, key_size);  sb_digest_add(&state, data, size) ...  sb_digest_end(&state, &digest);
 *
 * base/hash.h is for tables in memory: faster, and easy to forge.
 * Threads: any, a state one at a time. Memory: none. */
#ifndef SB_BASE_DIGEST_H
#define SB_BASE_DIGEST_H

#include "base/compiler.h"

#define SB_DIGEST_SIZE 32
#define SB_DIGEST_SIZE_MAX 64
#define SB_DIGEST_KEY_MAX 64
#define SB_DIGEST_BLOCK 128

typedef struct sb_digest {
    uint8_t bytes[SB_DIGEST_SIZE];
} sb_digest;

typedef struct sb_digest_state {
    uint64_t h[8];
    uint64_t total; /* bytes taken in so far, those of the block not counted */
    size_t filled;
    size_t size; /* of the result */
    uint8_t block[SB_DIGEST_BLOCK];
} sb_digest_state;

/* size: bytes of the result, 1 to SB_DIGEST_SIZE_MAX. key borrowed, at most SB_DIGEST_KEY_MAX bytes; of no bytes: a plain hash. */
void sb_digest_init(sb_digest_state *state, size_t size, const void *key, size_t key_size);
void sb_digest_add(sb_digest_state *state, const void *data, size_t size);
void sb_digest_end(sb_digest_state *state,
                   void *out); /* `size` bytes; nothing of a key stays in state */
/* In a time that does not tell where they differ. */
bool sb_digest_equal(const sb_digest *a, const sb_digest *b);

#endif
