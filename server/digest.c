#include "server/digest.h"

#include <openssl/evp.h>
#include <troupe/troupe.h>

void digest_sha256(const struct text *parts, size_t count, uint8_t out[SHA256_BYTES])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned bytes = SHA256_BYTES;
    bool good = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; good && i < count; i++) {
        good = EVP_DigestUpdate(context, parts[i].bytes, parts[i].count) == 1;
    }
    good = good && EVP_DigestFinal_ex(context, out, &bytes) == 1;
    EVP_MD_CTX_free(context);
    TR_CHECK(good);
}
