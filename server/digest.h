/* digest: hashes and codes that others have to agree with, over OpenSSL's libcrypto. No state; any thread. */
#ifndef TROUPE_SERVER_DIGEST_H
#define TROUPE_SERVER_DIGEST_H

#include "server/text.h"

#include <stdint.h>

#define SHA256_BYTES 32

/** SHA-256 of the parts, one behind the other. Ends the program when the library refuses (it has no reason to). */
void digest_sha256(const struct text *parts, size_t count, uint8_t out[SHA256_BYTES]);

#endif
