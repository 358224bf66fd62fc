/* What `fractional` and `sem_ver` stand on. */
#include "api/flags/murmur3.h"
#include "api/flags/semver.h"

#include <criterion/criterion.h>

/* Vectors of MurmurHash3 x86_32 as they are published with many implementations. */
Test(murmur3, gives_the_known_hashes)
{
    static const struct {
        const char *text;
        uint32_t seed, hash;
    } rows[] = {
        {"", 0, 0},
        {"", 1, 0x514e28b7},
        {"", 0xffffffff, 0x81f16f39},
        {"test", 0, 0xba6bd213},
        {"test", 0x9747b28c, 0x704b81dc},
        {"Hello, world!", 0, 0xc0363e43},
        {"Hello, world!", 0x9747b28c, 0x24884cba},
        {"The quick brown fox jumps over the lazy dog", 0, 0x2e4ff723},
        {"The quick brown fox jumps over the lazy dog", 0x9747b28c, 0x2fa826cd},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t hash = murmur3_32(text_of(rows[i].text), TEXT(""), rows[i].seed);
        cr_assert_eq(hash, rows[i].hash, "\"%s\": %08x", rows[i].text, hash);
    }
}

Test(murmur3, two_texts_are_one_behind_the_other)
{
    struct text whole = TEXT("new-banner-user-1234");
    for (size_t cut = 0; cut <= whole.count; cut++) {
        cr_assert_eq(murmur3_32((struct text){whole.bytes, cut},
                                (struct text){whole.bytes + cut, whole.count - cut}, 0),
                     murmur3_32(whole, TEXT(""), 0));
    }
}

/* The chain of Semantic Versioning 2.0.0, section 11. */
Test(semver, orders_versions)
{
    static const char *const chain[] = {"0.9.9",
                                        "1.0.0-alpha",
                                        "1.0.0-alpha.1",
                                        "1.0.0-alpha.beta",
                                        "1.0.0-beta",
                                        "1.0.0-beta.2",
                                        "1.0.0-beta.11",
                                        "1.0.0-rc.1",
                                        "1.0.0",
                                        "1.2.0",
                                        "1.10.0",
                                        "2.0.0",
                                        "99999999999999999999.0.0"};
    size_t count = sizeof(chain) / sizeof(chain[0]);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++) {
            struct semver a, b;
            cr_assert(semver_parse(text_of(chain[i]), &a) && semver_parse(text_of(chain[j]), &b));
            int order = semver_compare(&a, &b);
            cr_assert_eq((order > 0) - (order < 0), (i > j) - (i < j), "%s, %s", chain[i], chain[j]);
        }
    }
}

Test(semver, takes_and_refuses)
{
    static const char *const good[] = {"1", "v1", "1.2", "v1.2.3+build.01", "0.0.0", "1.0.0-0A.-", "1.0.0--"};
    static const char *const bad[] = {"",       "v",        "01.0.0", "1.",         "1.2.3.4",
                                      "1.0.0-", "1.0.0-01", "1.0.0+", "1.0.0-a..b", "1.2-rc",
                                      "a.b.c",  "1.0.0 ",   "1.-1.0", "1.0.0-a.",   "1.0.0-\xc3\xa4"};
    struct semver version;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cr_assert(semver_parse(text_of(good[i]), &version), "%s", good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_not(semver_parse(text_of(bad[i]), &version), "%s", bad[i]);
    }
}

Test(semver, operators_hold)
{
    static const struct {
        const char *one, *operator, * other;
        bool holds;
    } rows[] = {
        {"1.0.0", "=", "1.0.0+x", true}, {"1.0.0", "!=", "1.0.1", true},  {"1.0.0", "<", "1.0.0", false},
        {"1.0.0", "<=", "1", true},      {"1.0.1", ">", "1.0", true},     {"1.0.0", ">=", "1.0.1", false},
        {"1.9.0", "^", "1.2.0", true},   {"2.0.0", "^", "1.0.0", false},  {"1.2.9", "~", "1.2.0", true},
        {"1.3.0", "~", "1.2.0", false},  {"1.0.0", "=>", "1.0.0", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct semver a, b;
        cr_assert(semver_parse(text_of(rows[i].one), &a) && semver_parse(text_of(rows[i].other), &b));
        cr_assert_eq(semver_holds(&a, semver_operator_of(text_of(rows[i].operator)), &b), rows[i].holds,
                     "%s %s %s", rows[i].one, rows[i].operator, rows[i].other);
    }
}
