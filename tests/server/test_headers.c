#include "server/http/headers.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#define TESTS(array) (sizeof(array) / sizeof((array)[0]))

Test(headers, json_is_a_media_type_with_or_without_parameters)
{
    static const char *const good[] = {"application/json",
                                       "Application/JSON",
                                       " application/json ",
                                       "application/json; charset=utf-8",
                                       "application/json;charset=\"utf-8\"",
                                       "application/json ; a=b;c=\"d\\\"e\"",
                                       "application/json;"};
    static const char *const bad[] = {"",
                                      "application/jsonx",
                                      "application/x-json",
                                      "text/json",
                                      "application",
                                      "application/",
                                      "application/json x",
                                      "application/json; charset",
                                      "application/json; charset=",
                                      "application/json; a=\"b",
                                      "application/json, text/plain",
                                      "application/problem+json",
                                      "json",
                                      "application/json; a=\"\\"};
    for (size_t i = 0; i < TESTS(good); i++) {
        cr_expect(http_media_type_is_json(text_of(good[i])), "%s", good[i]);
    }
    for (size_t i = 0; i < TESTS(bad); i++) {
        cr_expect_not(http_media_type_is_json(text_of(bad[i])), "%s", bad[i]);
    }
    cr_expect_not(http_media_type_is_json((struct text){0}));
}

Test(headers, bearer_tokens_are_found)
{
    cr_expect(text_equal(http_bearer_token(TEXT("Bearer abc")), TEXT("abc")));
    cr_expect(text_equal(http_bearer_token(TEXT("bEARER   a.b-c_~+/= ")), TEXT("a.b-c_~+/=")));
    static const char *const bad[] = {"",          "Bearer",     "Bearer ",     "Bearer  ",       "Bearerabc",
                                      "Basic abc", "Bearer a b", "Bearer\tabc", "Bearer \xC3\xA9"};
    for (size_t i = 0; i < TESTS(bad); i++) {
        cr_expect_null(http_bearer_token(text_of(bad[i])).bytes, "%s", bad[i]);
    }
    cr_expect_null(http_bearer_token((struct text){0}).bytes);
}

Test(headers, tokens_are_equal_only_when_they_are)
{
    cr_expect(http_token_equal(TEXT("secret"), TEXT("secret")));
    cr_expect_not(http_token_equal(TEXT("secret"), TEXT("secreT")));
    cr_expect_not(http_token_equal(TEXT("secret"), TEXT("Secret")));
    cr_expect_not(http_token_equal(TEXT("secret"), TEXT("secre")));
    cr_expect_not(http_token_equal(TEXT("secret"), TEXT("secrets")));
    cr_expect_not(http_token_equal(TEXT("secret"), TEXT("")));
    cr_expect_not(http_token_equal(TEXT("secret"), (struct text){0}));
    cr_expect_not(http_token_equal(TEXT(""), TEXT("")));
    cr_expect_not(http_token_equal((struct text){0}, (struct text){0}));
}

Test(headers, loopback_hosts_are_told_from_foreign_ones)
{
    static const char *const good[] = {"localhost", "LocalHost:8080", "localhost.",
                                       "127.0.0.1", "127.0.0.1:80",   "127.255.255.254",
                                       "[::1]",     "[::1]:8080",     " localhost "};
    static const char *const bad[] = {"",
                                      "evil.example",
                                      "localhost.evil.example",
                                      "127.0.0.1.evil.example",
                                      "128.0.0.1",
                                      "127.0.0",
                                      "127.1",
                                      "0127.0.0.1",
                                      "127.0.0.256",
                                      "127.0.0.01",
                                      "0.0.0.0",
                                      "[::2]",
                                      "[::1",
                                      "::1",
                                      "[::ffff:127.0.0.1]",
                                      "localhost:80x",
                                      "localhost:123456",
                                      "localhost@evil",
                                      "127.0.0.1:80:80",
                                      "2130706433",
                                      "127..0.1",
                                      "127.0.0.",
                                      ".localhost",
                                      "localhost.."};
    for (size_t i = 0; i < TESTS(good); i++) {
        cr_expect(http_host_is_loopback(text_of(good[i])), "%s", good[i]);
    }
    for (size_t i = 0; i < TESTS(bad); i++) {
        cr_expect_not(http_host_is_loopback(text_of(bad[i])), "%s", bad[i]);
    }
}

Test(headers, hosts_are_well_formed_or_not)
{
    static const char *const good[] = {"", "h", "h:80", "h:", "a-b.c_d", "[::1]:1", "1.2.3.4", "xn--e1a%41"};
    static const char *const bad[] = {"h/x",    "u@h", "h:8a", "a b",  "[::1",     "[]",
                                      "[::1]x", "h?x", "h#",   "a\"b", "h:123456", "\xC3\xA9"};
    for (size_t i = 0; i < TESTS(good); i++) {
        cr_expect(http_host_valid(text_of(good[i])), "%s", good[i]);
    }
    for (size_t i = 0; i < TESTS(bad); i++) {
        cr_expect_not(http_host_valid(text_of(bad[i])), "%s", bad[i]);
    }
    cr_expect_not(http_host_valid((struct text){"a\0b", 3}));
}

Test(headers, etag_lists_are_judged_strongly_and_weakly)
{
    static const struct {
        const char *value;
        enum http_etags strong;
        enum http_etags weak;
    } cases[] = {
        {"*", HTTP_ETAGS_ANY, HTTP_ETAGS_ANY},
        {" * ", HTTP_ETAGS_ANY, HTTP_ETAGS_ANY},
        {"\"1\"", HTTP_ETAGS_MATCH, HTTP_ETAGS_MATCH},
        {"\"0\", \"1\"", HTTP_ETAGS_MATCH, HTTP_ETAGS_MATCH},
        {"\"0\",,\t\"1\" ,", HTTP_ETAGS_MATCH, HTTP_ETAGS_MATCH},
        {"W/\"1\"", HTTP_ETAGS_NO_MATCH, HTTP_ETAGS_MATCH},
        {"\"2\"", HTTP_ETAGS_NO_MATCH, HTTP_ETAGS_NO_MATCH},
        {"\"a,\", \"1\"", HTTP_ETAGS_MATCH, HTTP_ETAGS_MATCH},
        {"\"\"", HTTP_ETAGS_NO_MATCH, HTTP_ETAGS_NO_MATCH},
        {"", HTTP_ETAGS_INVALID, HTTP_ETAGS_INVALID},
        {",", HTTP_ETAGS_INVALID, HTTP_ETAGS_INVALID},
        {"1", HTTP_ETAGS_INVALID, HTTP_ETAGS_INVALID},
        {"\"1", HTTP_ETAGS_INVALID, HTTP_ETAGS_INVALID},
        {"\"1\" \"2\"", HTTP_ETAGS_INVALID, HTTP_ETAGS_INVALID},
        {"w/\"1\"", HTTP_ETAGS_INVALID, HTTP_ETAGS_INVALID},
        {"\"1\", *", HTTP_ETAGS_INVALID, HTTP_ETAGS_INVALID},
        {"\"a b\"", HTTP_ETAGS_INVALID, HTTP_ETAGS_INVALID},
    };
    for (size_t i = 0; i < TESTS(cases); i++) {
        struct text value = text_of(cases[i].value);
        cr_expect_eq(http_if_match(value, TEXT("\"1\"")), cases[i].strong, "%s", cases[i].value);
        cr_expect_eq(http_if_none_match(value, TEXT("\"1\"")), cases[i].weak, "%s", cases[i].value);
    }
    cr_expect_eq(http_if_match(TEXT("\"1\""), (struct text){0}), HTTP_ETAGS_NO_MATCH);
}

Test(headers, notes_known_fields_and_repeats)
{
    struct http_headers headers = {0};
    cr_expect(http_headers_note(&headers, TEXT("HOST"), TEXT("h")));
    cr_expect(http_headers_note(&headers, TEXT("Hosts"), TEXT("x")));
    cr_expect(http_headers_note(&headers, TEXT("X-Other"), TEXT("x")));
    cr_expect(http_headers_note(&headers, TEXT("TraceParent"), TEXT("1")));
    cr_expect(http_headers_note(&headers, TEXT("traceparent"), TEXT("2")));
    cr_expect(http_headers_note(&headers, TEXT("traceparent"), TEXT("3")));
    cr_expect_null(http_header(&headers, HTTP_FIELD_TRACEPARENT).bytes);
    cr_expect(text_equal(http_header(&headers, HTTP_FIELD_HOST), TEXT("h")));
    cr_expect_not(http_headers_note(&headers, TEXT("host"), TEXT("h")));
}

Test(headers, tokens_have_the_bytes_of_rfc_9110)
{
    for (int byte = 0; byte < 256; byte++) {
        char c = (char)byte;
        bool expected =
            byte != 0 && byte < 0x80 &&
            strchr("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", byte) !=
                NULL;
        cr_expect_eq(http_is_token((struct text){&c, 1}), expected, "%d", byte);
    }
    cr_expect_not(http_is_token(TEXT("")));
}

/* Every name in three spellings, and with each of its bytes changed to the tokens nearest to it. */
Test(headers, fields_are_known_by_their_whole_name_in_any_case)
{
#define NAME(field, text, repeated) text,
    static const char *const names[] = {HTTP_FIELDS(NAME)};
#undef NAME
    for (unsigned f = 0; f < HTTP_FIELDS_COUNT; f++) {
        char name[32];
        size_t count = strlen(names[f]);
        for (int spelling = 0; spelling < 3; spelling++) {
            struct http_headers headers = {0};
            for (size_t i = 0; i < count; i++) {
                bool upper = spelling == 1 || (spelling == 2 && i % 2 == 0);
                name[i] = upper ? (char)toupper(names[f][i]) : names[f][i];
            }
            cr_expect(http_headers_note(&headers, (struct text){name, count}, TEXT("v")));
            cr_expect(headers.present == UINT32_C(1) << f, "%s", names[f]);
        }
        for (size_t i = 0; i < count; i++) {
            for (const char *other = "!#$%&'*+.^_`|~0129qzQZ"; *other != '\0'; other++) {
                struct http_headers headers = {0};
                memcpy(name, names[f], count);
                name[i] = *other;
                if (strncasecmp(name, names[f], count) != 0) {
                    (void)http_headers_note(&headers, (struct text){name, count}, TEXT("v"));
                    cr_expect(headers.present == 0, "%.*s", (int)count, name);
                }
            }
        }
    }
}
