#include "server/http/path.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static char buffer[HTTP_TARGET_BUFFER(8192)];

static bool parse(struct http_target *target, const char *raw)
{
    return http_target_parse(target, text_of(raw), buffer);
}

static void expect_text(struct text text, const char *expected)
{
    cr_expect(text_equal(text, text_of(expected)), "'%.*s' is not '%s'", (int)text.count,
              text.bytes == NULL ? "" : text.bytes, expected);
}

Test(path, splits_first_and_decodes_once)
{
    struct http_target t;
    cr_assert(parse(&t, "/v1/keys/a%2Fb%252Fc/%C3%A9+x/d%3Fe?q=%26%3D+1&flag&=v&x=a=b"));
    cr_expect_eq(t.form, HTTP_FORM_ORIGIN);
    cr_expect_eq(t.segment_count, 5);
    cr_expect_eq(t.bad_segment, HTTP_SEGMENT_NONE);
    expect_text(t.segments[0], "v1");
    expect_text(t.segments[2], "a/b%2Fc");
    expect_text(t.segments[3], "\xC3\xA9+x");
    expect_text(t.segments[4], "d?e");
    cr_expect_eq(t.param_count, 4);
    expect_text(http_target_param(&t, "q"), "&= 1");
    expect_text(http_target_param(&t, "flag"), "");
    expect_text(http_target_param(&t, ""), "v");
    expect_text(http_target_param(&t, "x"), "a=b");
    cr_expect_null(http_target_param(&t, "none").bytes);
}

Test(path, keeps_its_own_copy_of_the_target)
{
    struct http_target t;
    char raw[] = "/a/b?c=d";
    cr_assert(http_target_parse(&t, text_of(raw), buffer));
    memset(raw, 'X', sizeof(raw) - 1);
    expect_text(t.raw, "/a/b?c=d");
    expect_text(t.path, "/a/b");
    expect_text(t.query, "c=d");
    expect_text(t.segments[1], "b");
    expect_text(http_target_param(&t, "c"), "d");
}

Test(path, counts_segments_as_they_stand)
{
    static const struct {
        const char *raw;
        unsigned segments;
    } cases[] = {{"/", 0}, {"/a", 1}, {"/a/", 2}, {"//", 2}, {"/a//b", 3}, {"/?x", 0}, {"/a?/b/c", 1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_target t;
        cr_assert(parse(&t, cases[i].raw));
        cr_expect_eq(t.segment_count, cases[i].segments, "%s: %u", cases[i].raw, t.segment_count);
    }
}

Test(path, notes_the_first_segment_that_cannot_be_taken)
{
    static const struct {
        const char *raw;
        unsigned index;
        enum http_path_fault fault;
    } cases[] = {{"/a/%00", 1, HTTP_PATH_NUL},       {"/%zz/%00", 0, HTTP_PATH_ESCAPE},
                 {"/a%", 0, HTTP_PATH_ESCAPE},       {"/a%4", 0, HTTP_PATH_ESCAPE},
                 {"/a%4/b", 0, HTTP_PATH_ESCAPE},    {"/%ff", 0, HTTP_PATH_UTF8},
                 {"/%C3", 0, HTTP_PATH_UTF8},        {"/%C3/%A9", 0, HTTP_PATH_UTF8},
                 {"/%ED%A0%80", 0, HTTP_PATH_UTF8},  {"/%C0%AF", 0, HTTP_PATH_UTF8},
                 {"/a/../b", 1, HTTP_PATH_DOTS},     {"/.", 0, HTTP_PATH_DOTS},
                 {"/a/%2e%2E/b", 1, HTTP_PATH_DOTS}, {"/a/.%2e", 1, HTTP_PATH_DOTS},
                 {"/a/b/%2e", 2, HTTP_PATH_DOTS},    {"/%F4%90%80%80", 0, HTTP_PATH_UTF8}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_target t;
        cr_assert(parse(&t, cases[i].raw));
        cr_expect_eq(t.bad_segment, cases[i].index, "%s: %u", cases[i].raw, t.bad_segment);
        cr_expect_eq(t.path_fault, cases[i].fault, "%s: %d", cases[i].raw, (int)t.path_fault);
        cr_expect_gt(strlen(http_path_fault_text(t.path_fault)), 0);
    }
}

Test(path, lets_three_dots_and_dots_within_a_name_be)
{
    struct http_target t;
    cr_assert(parse(&t, "/.../a..b/.x/%2e%2e%2e/..a"));
    cr_expect_eq(t.bad_segment, HTTP_SEGMENT_NONE);
    expect_text(t.segments[3], "...");
}

Test(path, notes_a_query_that_cannot_be_taken)
{
    static const struct {
        const char *raw;
        enum http_path_fault fault;
    } cases[] = {{"/?a=%00", HTTP_PATH_NUL},  {"/?a=%", HTTP_PATH_ESCAPE},  {"/?%f=1", HTTP_PATH_ESCAPE},
                 {"/?a=%ff", HTTP_PATH_UTF8}, {"/?a=b&&c", HTTP_PATH_NONE}, {"/?", HTTP_PATH_NONE}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_target t;
        cr_assert(parse(&t, cases[i].raw));
        cr_expect_eq(t.query_fault, cases[i].fault, "%s: %d", cases[i].raw, (int)t.query_fault);
    }
}

Test(path, limits_segments_and_parameters)
{
    struct http_target t;
    char raw[256] = "";
    for (int i = 0; i < HTTP_SEGMENTS_MAX; i++) {
        strcat(raw, "/s");
    }
    cr_assert(parse(&t, raw));
    cr_expect_eq(t.segment_count, HTTP_SEGMENTS_MAX);
    cr_expect_not(t.more_segments);
    strcat(raw, "/t");
    cr_assert(parse(&t, raw));
    cr_expect_eq(t.segment_count, HTTP_SEGMENTS_MAX);
    cr_expect(t.more_segments);
    strcpy(raw, "/?");
    for (int i = 0; i < HTTP_PARAMS_MAX; i++) {
        sprintf(raw + strlen(raw), "p%d=1&", i);
    }
    cr_assert(parse(&t, raw));
    cr_expect_eq(t.query_fault, HTTP_PATH_NONE);
    strcat(raw, "q");
    cr_assert(parse(&t, raw));
    cr_expect_eq(t.query_fault, HTTP_PATH_TOO_MANY);
}

Test(path, tells_the_forms_apart)
{
    static const struct {
        const char *raw;
        enum http_form form;
        const char *authority;
        const char *path;
    } cases[] = {
        {"*", HTTP_FORM_ASTERISK, NULL, NULL},
        {"/a", HTTP_FORM_ORIGIN, NULL, "/a"},
        {"http://h:80/a?b", HTTP_FORM_ABSOLUTE, "h:80", "/a"},
        {"HTTPS://h", HTTP_FORM_ABSOLUTE, "h", ""},
        {"http://h?x=1", HTTP_FORM_ABSOLUTE, "h", ""},
        {"http://", HTTP_FORM_INVALID, NULL, NULL},
        {"http:///a", HTTP_FORM_INVALID, NULL, NULL},
        {"http://u@h/a", HTTP_FORM_INVALID, NULL, NULL},
        {"ftp://h/a", HTTP_FORM_INVALID, NULL, NULL},
        {"h:443", HTTP_FORM_INVALID, NULL, NULL},
        {"a/b", HTTP_FORM_INVALID, NULL, NULL},
        {"", HTTP_FORM_INVALID, NULL, NULL},
        {"/a#b", HTTP_FORM_INVALID, NULL, NULL},
        {"/a b", HTTP_FORM_INVALID, NULL, NULL},
        {"/\xC3\xA9", HTTP_FORM_INVALID, NULL, NULL},
        {"/\177", HTTP_FORM_INVALID, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_target t;
        cr_expect_eq(parse(&t, cases[i].raw), cases[i].form != HTTP_FORM_INVALID, "%s", cases[i].raw);
        cr_expect_eq(t.form, cases[i].form, "%s: %d", cases[i].raw, (int)t.form);
        if (cases[i].authority != NULL) {
            expect_text(t.authority, cases[i].authority);
        }
        if (cases[i].path != NULL) {
            expect_text(t.path, cases[i].path);
        }
    }
}

Test(path, judges_parameters_by_what_a_route_knows)
{
    static const char *const known[] = {"limit", "cursor", NULL};
    struct http_target t;
    struct text offender = {0};
    cr_assert(parse(&t, "/?cursor=a&limit=5"));
    cr_expect_eq(http_target_check_params(&t, known, &offender), HTTP_PATH_NONE);
    cr_assert(parse(&t, "/?limit=1&Limit=5"));
    cr_expect_eq(http_target_check_params(&t, known, &offender), HTTP_PATH_UNKNOWN);
    expect_text(offender, "Limit");
    cr_assert(parse(&t, "/?limit=1&cursor=&l%69mit=5"));
    cr_expect_eq(http_target_check_params(&t, known, &offender), HTTP_PATH_REPEATED);
    expect_text(offender, "limit");
    cr_assert(parse(&t, "/?a"));
    cr_expect_eq(http_target_check_params(&t, NULL, &offender), HTTP_PATH_UNKNOWN);
    cr_assert(parse(&t, "/"));
    cr_expect_eq(http_target_check_params(&t, NULL, &offender), HTTP_PATH_NONE);
}

Test(path, reads_integers_of_digits_only)
{
    static const char *const bad[] = {
        "", "-1", "+1", "1.0", "1e2", " 1", "0x1", "101", "9999999999999999999"};
    int64_t value = 7;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_expect_not(http_read_int(text_of(bad[i]), 1, 100, &value), "%s", bad[i]);
    }
    cr_expect_eq(value, 7);
    cr_expect(http_read_int(TEXT("100"), 1, 100, &value));
    cr_expect_eq(value, 100);
}
