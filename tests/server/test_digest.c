#include "server/digest.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void assert_hex(struct sha256 digest, const char *expected)
{
    char hex[2 * SHA256_BYTES + 1];
    for (size_t i = 0; i < SHA256_BYTES; i++) {
        (void)snprintf(hex + 2 * i, 3, "%02x", digest.bytes[i]);
    }
    cr_assert_str_eq(hex, expected);
}

/* FIPS 180-4, the examples of its appendix. */
Test(digest, sha256_of_known_texts)
{
    assert_hex(digest_sha256(NULL, 0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_hex(digest_sha256(&TEXT("abc"), 1),
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const struct text parts[] = {
        TEXT("abcdbcdecdefdefgefghfghighij"), TEXT(""), {NULL, 0}, TEXT("hijkijkljklmklmnlmnomnopnopq")};
    assert_hex(digest_sha256(parts, 4), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

/* RFC 4231, cases 2, 3 and 6. */
Test(digest, hmac_of_known_texts)
{
    const struct text parts[] = {TEXT("what do ya want "), TEXT("for nothing?")};
    assert_hex(digest_hmac_sha256(TEXT("Jefe"), parts, 2),
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    char key[131];
    char data[50];
    memset(key, 0xaa, sizeof(key));
    memset(data, 0xdd, sizeof(data));
    assert_hex(digest_hmac_sha256((struct text){key, 20}, &(struct text){data, sizeof(data)}, 1),
               "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    assert_hex(digest_hmac_sha256((struct text){key, sizeof(key)},
                                  &TEXT("Test Using Larger Than Block-Size Key - Hash Key First"), 1),
               "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

Test(digest, hmac_takes_an_empty_key)
{
    assert_hex(digest_hmac_sha256((struct text){NULL, 0}, NULL, 0),
               "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

/* RFC 4648 section 10. */
Test(digest, base64_of_known_texts)
{
    static const struct known {
        const char *plain, *coded;
    } knowns[] = {{"", ""},
                  {"f", "Zg=="},
                  {"fo", "Zm8="},
                  {"foo", "Zm9v"},
                  {"foob", "Zm9vYg=="},
                  {"fooba", "Zm9vYmE="},
                  {"foobar", "Zm9vYmFy"},
                  {"\xff\xef\xbf", "/++/"}};
    for (size_t i = 0; i < sizeof(knowns) / sizeof(knowns[0]); i++) {
        char coded[16] = "";
        char back[16] = "";
        size_t count = 99;
        size_t plain = strlen(knowns[i].plain);
        cr_assert_eq(base64_put(coded, knowns[i].plain, plain), coded + BASE64_TEXT_BYTES(plain));
        cr_assert_str_eq(coded, knowns[i].coded);
        cr_assert(base64_read(text_of(coded), back, plain, &count), "%s", coded);
        cr_assert_eq(count, plain);
        cr_assert_eq(memcmp(back, knowns[i].plain, plain), 0);
    }
}

Test(digest, base64_that_is_none_is_refused)
{
    static const char *const bad[] = {"Z",    "Zg",       "Zg=",      "Zg===", "=",    "==",
                                      "====", "Z===",     "Zh==",     "Zm9=",  "Zm 9", "Zm9v\n",
                                      "Zm-_", "Zg==Zg==", "Zm8=Zm8=", "*m9v"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char out[16];
        size_t count = 99;
        cr_expect_not(base64_read(text_of(bad[i]), out, sizeof(out), &count), "%s", bad[i]);
        cr_expect_eq(count, 99);
    }
}

Test(digest, base64_over_the_room_is_refused)
{
    char out[3];
    size_t count = 0;
    cr_expect_not(base64_read(TEXT("Zm9v"), out, 2, &count));
    cr_expect(base64_read(TEXT("Zm8="), out, 2, &count));
    cr_expect(base64_read(TEXT("Zm9v"), out, 3, &count));
}

Test(digest, random_bytes_differ_and_fill_everything)
{
    uint8_t a[1000] = {0};
    uint8_t b[1000] = {0};
    cr_assert(digest_random(a, sizeof(a)));
    cr_assert(digest_random(b, sizeof(b)));
    cr_expect_not(digest_equal(a, b, sizeof(a)));
    cr_expect(digest_equal(a, a, sizeof(a)));
    cr_expect(digest_equal(a, b, 0));
    static const uint8_t zeros[16];
    cr_expect_neq(memcmp(a + sizeof(a) - sizeof(zeros), zeros, sizeof(zeros)), 0);
}

Test(digest, wiped_bytes_are_gone)
{
    uint8_t secret[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const uint8_t zeros[8];
    digest_wipe(secret, sizeof(secret));
    cr_expect(digest_equal(secret, zeros, sizeof(secret)));
}
