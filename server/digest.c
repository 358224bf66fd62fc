#define _GNU_SOURCE
#include "server/digest.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sys/random.h>

#include <stdio.h>
#include <stdlib.h>

static const char letters[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Only memory can be short here, and then a fingerprint that is none would do harm. */
static void must(bool done, const char *what)
{
    if (!done) {
        fprintf(stderr, "trouped: libcrypto: %s\n", what);
        abort();
    }
}

struct sha256 digest_sha256(const struct text *parts, size_t count)
{
    struct sha256 out;
    unsigned length = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    must(context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1, "SHA-256 does not start");
    for (size_t i = 0; i < count; i++) {
        must(EVP_DigestUpdate(context, parts[i].bytes, parts[i].count) == 1, "SHA-256 stopped");
    }
    must(EVP_DigestFinal_ex(context, out.bytes, &length) == 1 && length == SHA256_BYTES,
         "SHA-256 gave nothing");
    EVP_MD_CTX_free(context);
    return out;
}

struct sha256 digest_hmac_sha256(struct text key, const struct text *parts, size_t count)
{
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_construct_end()};
    /* An empty key is a key: libcrypto takes NULL for "the one of before". */
    const unsigned char *bytes = (const unsigned char *)(key.count == 0 ? "" : key.bytes);
    struct sha256 out;
    size_t length = 0;
    EVP_MAC *mac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    EVP_MAC_CTX *context = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
    must(context != NULL && EVP_MAC_init(context, bytes, key.count, params) == 1, "HMAC does not start");
    for (size_t i = 0; i < count; i++) {
        must(EVP_MAC_update(context, (const unsigned char *)parts[i].bytes, parts[i].count) == 1,
             "HMAC stopped");
    }
    must(EVP_MAC_final(context, out.bytes, &length, sizeof(out.bytes)) == 1 && length == SHA256_BYTES,
         "HMAC gave nothing");
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(mac);
    return out;
}

bool digest_equal(const void *a, const void *b, size_t count)
{
    return CRYPTO_memcmp(a, b, count) == 0;
}

bool digest_random(void *out, size_t count)
{
    uint8_t *at = out;
    while (count != 0) {
        size_t some = count < 256 ? count : 256; /* so much comes whole or not at all */
        if (getrandom(at, some, 0) != (ssize_t)some) {
            return false;
        }
        at += some;
        count -= some;
    }
    return true;
}

void digest_wipe(void *secret, size_t count)
{
    OPENSSL_cleanse(secret, count);
}

char *base64_put(char *at, const void *bytes, size_t count)
{
    const uint8_t *in = bytes;
    for (size_t i = 0; i < count; i += 3) {
        size_t left = count - i;
        uint32_t word = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
                        (left > 2 ? (uint32_t)in[i + 2] : 0);
        *at++ = letters[word >> 18];
        *at++ = letters[word >> 12 & 63];
        *at++ = left > 1 ? letters[word >> 6 & 63] : '=';
        *at++ = left > 2 ? letters[word & 63] : '=';
    }
    return at;
}

static int value_of(char letter)
{
    if (letter >= 'A' && letter <= 'Z') {
        return letter - 'A';
    }
    if (letter >= 'a' && letter <= 'z') {
        return letter - 'a' + 26;
    }
    if (letter >= '0' && letter <= '9') {
        return letter - '0' + 52;
    }
    return letter == '+' ? 62 : letter == '/' ? 63 : -1;
}

bool base64_read(struct text text, void *out, size_t room, size_t *count)
{
    size_t padding = 0;
    while (padding < 2 && padding < text.count && text.bytes[text.count - 1 - padding] == '=') {
        padding++;
    }
    size_t bytes = text.count / 4 * 3 - padding;
    if (text.count % 4 != 0 || bytes > room) {
        return false;
    }
    uint8_t *at = out;
    uint32_t word = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < text.count - padding; i++) {
        int value = value_of(text.bytes[i]);
        if (value < 0) {
            return false;
        }
        word = word << 6 | (uint32_t)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *at++ = (uint8_t)(word >> bits);
        }
    }
    if ((word & ((1u << bits) - 1)) != 0) {
        return false; /* bits that nobody reads: a second text of the same value */
    }
    *count = bytes;
    return true;
}
