/* signature: secrets and signatures of Standard Webhooks.
 *
 *     secret      whsec_ and the base64 of 24 to 64 random bytes
 *     signed      ID.TIMESTAMP.PAYLOAD, the very bytes that are sent
 *     signature   v1, and the base64 of its HMAC-SHA256; two of them, one blank between, while a secret is being replaced
 *
 * Invariant: a secret is never logged, and is in one answer only: the one to the request that made it.
 * Source: Standard Webhooks 1.0.0.
 */
#ifndef TROUPE_API_WEBHOOKS_SIGNATURE_H
#define TROUPE_API_WEBHOOKS_SIGNATURE_H

#include "server/digest.h"

#define WEBHOOK_SECRET_MIN    24
#define WEBHOOK_SECRET_MAX    64
#define WEBHOOK_SECRET_MADE   32 /* bytes of one that is made here */
#define WEBHOOK_SECRET_PREFIX "whsec_"
#define WEBHOOK_SECRET_TEXT_BYTES \
    (sizeof(WEBHOOK_SECRET_PREFIX) + BASE64_TEXT_BYTES(WEBHOOK_SECRET_MAX)) /* NUL counted */
#define WEBHOOK_SIGNATURES_BYTES (2 * (sizeof("v1,") + BASE64_TEXT_BYTES(SHA256_BYTES)) + 1)

struct webhook_secret {
    size_t count; /* 0: there is none */
    uint8_t bytes[WEBHOOK_SECRET_MAX];
};

/** A fresh one.   Returns: false when the system gives no random bytes. */
bool webhook_secret_make(struct webhook_secret *secret);
/** Reads `whsec_...`.   Returns: false when that is not a secret of the right size. */
bool webhook_secret_read(struct text text, struct webhook_secret *secret);
/** Writes it as people get to see it, with a NUL. */
void webhook_secret_write(const struct webhook_secret *secret, char out[WEBHOOK_SECRET_TEXT_BYTES]);

/** The value of webhook-signature, with a NUL. old may be empty. timestamp: the digits that go into webhook-timestamp. */
void webhook_sign(const struct webhook_secret *secret, const struct webhook_secret *old, const char *id,
                  const char *timestamp, struct text payload, char out[WEBHOOK_SIGNATURES_BYTES]);

#endif
