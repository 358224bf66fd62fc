/* digest: fingerprints, keyed signatures, base64 and secrets, over libcrypto.
 *
 * Invariants
 *   1. Nothing here fails for its input: sizes are checked by asserts, and libcrypto without memory ends the program. Only
 *      random bytes and decoding can say no.
 *   2. Secrets are compared with digest_equal, whose time depends on the count alone.
 *   3. base64 is RFC 4648 section 4: with padding, without blanks. What is read must be what would be written: one text a value.
 * No state; all of it may be called from any thread, and from a process that has 8 KiB of stack left.
 */
#ifndef TROUPE_SERVER_DIGEST_H
#define TROUPE_SERVER_DIGEST_H

#include "server/text.h"

#include <stdint.h>

#define SHA256_BYTES 32

struct sha256 {
    uint8_t bytes[SHA256_BYTES];
};

/** The SHA-256 of `count` texts, one behind the other. Where they end is not part of it: put separators that cannot stand inside.
 *  Cost: some 2 ns a byte and 300 ns. */
struct sha256 digest_sha256(const struct text *parts, size_t count);

/** The HMAC-SHA256 of `count` texts, one behind the other. key may be empty. Cost: as two of digest_sha256. */
struct sha256 digest_hmac_sha256(struct text key, const struct text *parts, size_t count);

/** Whether two runs of `count` bytes are equal. */
bool digest_equal(const void *a, const void *b, size_t count);

/** Fills with random bytes that may be secrets.   Returns: false when the system has none.   Blocks: at boot at most. */
bool digest_random(void *out, size_t count);

/** Overwrites what was a secret, also where the compiler sees that nobody reads it any more. */
void digest_wipe(void *secret, size_t count);

/* How long the base64 of `count` bytes is; no NUL counted. */
#define BASE64_TEXT_BYTES(count) (((count) + 2) / 3 * 4)

/** Writes BASE64_TEXT_BYTES(count) characters and no NUL. Returns: the end of them. */
char *base64_put(char *at, const void *bytes, size_t count);

/** Reads base64 into out, which has `room` bytes. Returns: false when it is not base64 or too long; *count is then untouched. */
bool base64_read(struct text text, void *out, size_t room, size_t *count);

#endif
