#include "api/webhooks/signature.h"

#include <criterion/criterion.h>

/* The known answer of the specification's own libraries. */
#define KNOWN_SECRET  "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define KNOWN_ID      "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define KNOWN_TIME    "1614265330"
#define KNOWN_PAYLOAD "{\"test\": 2432232314}"
#define KNOWN_SIGNED  "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

Test(webhook_signature, known_answer)
{
    struct webhook_secret secret;
    const struct webhook_secret none = {.count = 0};
    char out[WEBHOOK_SIGNATURES_BYTES];
    cr_assert(webhook_secret_read(TEXT(KNOWN_SECRET), &secret));
    webhook_sign(&secret, &none, KNOWN_ID, KNOWN_TIME, TEXT(KNOWN_PAYLOAD), out);
    cr_expect_str_eq(out, KNOWN_SIGNED);
}

Test(webhook_signature, old_secret_signs_beside_the_new_one)
{
    struct webhook_secret old;
    struct webhook_secret secret;
    char out[WEBHOOK_SIGNATURES_BYTES];
    cr_assert(webhook_secret_read(TEXT(KNOWN_SECRET), &old));
    cr_assert(webhook_secret_make(&secret));
    webhook_sign(&secret, &old, KNOWN_ID, KNOWN_TIME, TEXT(KNOWN_PAYLOAD), out);
    char *second = strchr(out, ' ');
    cr_assert_not_null(second);
    cr_expect_str_eq(second + 1, KNOWN_SIGNED);
    cr_expect_eq((size_t)(second - out), strlen(KNOWN_SIGNED));
    cr_expect_neq(memcmp(out, KNOWN_SIGNED, strlen(KNOWN_SIGNED)), 0);
    cr_expect_eq(memcmp(out, "v1,", 3), 0);
}

Test(webhook_signature, every_part_is_signed)
{
    struct webhook_secret secret;
    const struct webhook_secret none = {.count = 0};
    char out[WEBHOOK_SIGNATURES_BYTES];
    cr_assert(webhook_secret_read(TEXT(KNOWN_SECRET), &secret));
    webhook_sign(&secret, &none, "msg_other", KNOWN_TIME, TEXT(KNOWN_PAYLOAD), out);
    cr_expect_str_neq(out, KNOWN_SIGNED);
    webhook_sign(&secret, &none, KNOWN_ID, "1614265331", TEXT(KNOWN_PAYLOAD), out);
    cr_expect_str_neq(out, KNOWN_SIGNED);
    webhook_sign(&secret, &none, KNOWN_ID, KNOWN_TIME, TEXT("{\"test\": 2432232315}"), out);
    cr_expect_str_neq(out, KNOWN_SIGNED);
    secret.bytes[0] ^= 1;
    webhook_sign(&secret, &none, KNOWN_ID, KNOWN_TIME, TEXT(KNOWN_PAYLOAD), out);
    cr_expect_str_neq(out, KNOWN_SIGNED);
}

Test(webhook_signature, secrets_are_read_as_they_are_written)
{
    struct webhook_secret made;
    struct webhook_secret read;
    char text[WEBHOOK_SECRET_TEXT_BYTES];
    cr_assert(webhook_secret_make(&made));
    cr_expect_eq(made.count, 32);
    webhook_secret_write(&made, text);
    cr_expect_eq(strlen(text), 6 + 44);
    cr_assert(webhook_secret_read(text_of(text), &read));
    cr_expect_eq(read.count, made.count);
    cr_expect_eq(memcmp(read.bytes, made.bytes, made.count), 0);
}

Test(webhook_signature, secrets_of_the_wrong_size_or_form_are_refused)
{
    struct webhook_secret secret;
    char text[WEBHOOK_SECRET_TEXT_BYTES + 8] = WEBHOOK_SECRET_PREFIX;
    uint8_t bytes[WEBHOOK_SECRET_MAX + 1] = {0};
    static const size_t sizes[] = {0, 23, 24, 64, 65};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        *base64_put(text + 6, bytes, sizes[i]) = '\0';
        cr_expect_eq(webhook_secret_read(text_of(text), &secret),
                     sizes[i] >= WEBHOOK_SECRET_MIN && sizes[i] <= WEBHOOK_SECRET_MAX, "%zu", sizes[i]);
    }
    cr_expect_not(webhook_secret_read(TEXT("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), &secret));
    cr_expect_not(webhook_secret_read(TEXT("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS"), &secret));
    cr_expect_not(webhook_secret_read(TEXT("whsec_*fKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), &secret));
    cr_expect_not(webhook_secret_read(TEXT("whsec"), &secret));
}
