#include "api/webhooks/signature.h"

bool webhook_secret_make(struct webhook_secret *secret)
{
    secret->count = WEBHOOK_SECRET_MADE;
    return digest_random(secret->bytes, secret->count);
}

bool webhook_secret_read(struct text text, struct webhook_secret *secret)
{
    static const struct text prefix = TEXT(WEBHOOK_SECRET_PREFIX);
    if (text.count < prefix.count || memcmp(text.bytes, prefix.bytes, prefix.count) != 0) {
        return false;
    }
    struct text coded = {text.bytes + prefix.count, text.count - prefix.count};
    size_t count = 0;
    if (!base64_read(coded, secret->bytes, sizeof(secret->bytes), &count) || count < WEBHOOK_SECRET_MIN) {
        return false;
    }
    secret->count = count;
    return true;
}

void webhook_secret_write(const struct webhook_secret *secret, char out[WEBHOOK_SECRET_TEXT_BYTES])
{
    char *at = text_put(out, TEXT(WEBHOOK_SECRET_PREFIX));
    *base64_put(at, secret->bytes, secret->count) = '\0';
}

static char *put_signature(char *at, const struct webhook_secret *secret, const struct text *parts,
                           size_t count)
{
    struct text key = {(const char *)secret->bytes, secret->count};
    struct sha256 mac = digest_hmac_sha256(key, parts, count);
    return base64_put(text_put(at, TEXT("v1,")), mac.bytes, sizeof(mac.bytes));
}

void webhook_sign(const struct webhook_secret *secret, const struct webhook_secret *old, const char *id,
                  const char *timestamp, struct text payload, char out[WEBHOOK_SIGNATURES_BYTES])
{
    const struct text parts[] = {text_of(id), TEXT("."), text_of(timestamp), TEXT("."), payload};
    char *at = put_signature(out, secret, parts, sizeof(parts) / sizeof(parts[0]));
    if (old->count != 0) {
        *at++ = ' ';
        at = put_signature(at, old, parts, sizeof(parts) / sizeof(parts[0]));
    }
    *at = '\0';
}
