#include "server/http/router.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void handler(struct http_request *request)
{
    (void)request;
}

#define R(p, m)                                        \
    {                                                  \
        .pattern = p, .methods = m, .handler = handler \
    }

static const struct route rate_limits[] = {
    R("/v1/rate-limits", HTTP_GET),
    R("/v1/rate-limits/check", HTTP_POST),
    R("/v1/rate-limits/{policy}", HTTP_GET | HTTP_PUT | HTTP_DELETE),
    R("/v1/rate-limits/{policy}/check", HTTP_POST),
    R("/v1/rate-limits/{policy}/keys/{key}", HTTP_GET | HTTP_DELETE),
    R("/v1/rate-limits/{policy}/keys/{key}/check", HTTP_GET | HTTP_POST),
    R("/v1/rate-limits/{policy}/gate", HTTP_ANY),
    {.pattern = "/v1/rate-limits/{policy}/gate/by-header/{header}/...",
     .methods = HTTP_ANY,
     .handler = handler,
     .flags = ROUTE_QUERY_IGNORED},
};

static const struct route others[] = {
    R("/", HTTP_GET),
    R("/healthz", HTTP_GET),
    R("/v1/payments/state-machine", HTTP_GET),
    R("/v1/payments/{id}", HTTP_GET),
    R("/v1/payments/{id}/state-machine", HTTP_GET),
    R("/v1/payments/{id}/capture", HTTP_POST),
};

static const struct route_table tables[] = {ROUTE_TABLE(rate_limits), ROUTE_TABLE(others)};

static struct router *router;
static char buffer[HTTP_TARGET_BUFFER(4096)];
static struct http_target target;
static struct route_match match;

static void set_up(void)
{
    char why[128];
    router = router_create(tables, 2, why, sizeof(why));
    cr_assert_not_null(router, "%s", why);
}

static void tear_down(void)
{
    router_destroy(router);
}

TestSuite(router, .init = set_up, .fini = tear_down);

static enum route_answer find(const char *method, const char *raw)
{
    (void)http_target_parse(&target, text_of(raw), buffer);
    return router_find(router, text_of(method), &target, &match);
}

static void expect_found(const char *method, const char *raw, const char *pattern)
{
    enum route_answer answer = find(method, raw);
    cr_assert_eq(answer, ROUTE_FOUND, "%s %s: %d", method, raw, (int)answer);
    cr_expect_str_eq(match.route->pattern, pattern, "%s %s", method, raw);
}

Test(router, finds_routes_and_their_parameters)
{
    expect_found("GET", "/", "/");
    expect_found("GET", "/healthz", "/healthz");
    expect_found("POST", "/v1/rate-limits/default/check", "/v1/rate-limits/{policy}/check");
    expect_found("GET", "/v1/rate-limits/default/keys/alice/check?cost=1",
                 "/v1/rate-limits/{policy}/keys/{key}/check");
    cr_expect_eq(match.param_count, 2);
    cr_expect(text_equal(match.params[0], TEXT("default")));
    cr_expect(text_equal(match.params[1], TEXT("alice")));
    expect_found("GET", "http://h/healthz", "/healthz");
    expect_found("GET", "http://h", "/");
}

Test(router, an_encoded_separator_is_data_and_encoding_is_not_spelling)
{
    expect_found("GET", "/v1/rate-limits/default/keys/a%2Fcheck", "/v1/rate-limits/{policy}/keys/{key}");
    cr_expect(text_equal(match.params[1], TEXT("a/check")));
    expect_found("GET", "/%76%31/rate-limits/d/keys/k", "/v1/rate-limits/{policy}/keys/{key}");
    cr_expect_eq(find("GET", "/v1%2Frate-limits"), ROUTE_NOT_FOUND);
    cr_expect_eq(find("GET", "/v1/rate-limits/default/keys/a/check/x"), ROUTE_NOT_FOUND);
}

Test(router, prefers_literals_but_passes_over_what_lacks_the_method)
{
    expect_found("POST", "/v1/rate-limits/check", "/v1/rate-limits/check");
    expect_found("PUT", "/v1/rate-limits/check", "/v1/rate-limits/{policy}");
    expect_found("GET", "/v1/payments/state-machine", "/v1/payments/state-machine");
    expect_found("GET", "/v1/payments/state-machine/state-machine", "/v1/payments/{id}/state-machine");
    expect_found("POST", "/v1/payments/state-machine/capture", "/v1/payments/{id}/capture");
    cr_expect(text_equal(match.params[0], TEXT("state-machine")));
    cr_expect_eq(find("PATCH", "/v1/rate-limits/check"), ROUTE_METHOD_NOT_ALLOWED);
    cr_expect_eq(match.allow,
                 HTTP_GET | HTTP_HEAD | HTTP_PUT | HTTP_POST | HTTP_DELETE | 1u << HTTP_METHOD_OPTIONS);
}

Test(router, answers_head_as_get_and_options_by_itself)
{
    char allow[HTTP_ALLOW_BYTES];
    expect_found("HEAD", "/healthz", "/healthz");
    cr_expect_eq(match.method, HTTP_METHOD_HEAD);
    cr_expect_eq(find("HEAD", "/v1/rate-limits/d/check"), ROUTE_METHOD_NOT_ALLOWED);
    cr_expect_eq(find("OPTIONS", "/v1/rate-limits/d"), ROUTE_OPTIONS);
    cr_expect_eq(http_allow_text(match.allow, allow), strlen("GET, HEAD, PUT, DELETE, OPTIONS"));
    cr_expect_str_eq(allow, "GET, HEAD, PUT, DELETE, OPTIONS");
    cr_expect_eq(find("OPTIONS", "*"), ROUTE_OPTIONS);
    (void)http_allow_text(match.allow, allow);
    cr_expect_str_eq(allow, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    cr_expect_eq(find("OPTIONS", "/nowhere"), ROUTE_NOT_FOUND);
}

Test(router, judges_the_path_before_the_method)
{
    cr_expect_eq(find("BREW", "/healthz"), ROUTE_METHOD_UNKNOWN);
    cr_expect_eq(find("get", "/healthz"), ROUTE_METHOD_UNKNOWN);
    cr_expect_eq(find("BREW", "/nowhere"), ROUTE_NOT_FOUND);
    cr_expect_eq(find("DELETE", "/healthz"), ROUTE_METHOD_NOT_ALLOWED);
    cr_expect_eq(find("CONNECT", "h:443"), ROUTE_METHOD_UNKNOWN);
    cr_expect_eq(find("GET", "h:443"), ROUTE_BAD_PATH);
    cr_expect_eq(find("GET", "*"), ROUTE_BAD_PATH);
}

Test(router, takes_any_method_where_a_route_says_so)
{
    expect_found("GET", "/v1/rate-limits/d/gate?key=a", "/v1/rate-limits/{policy}/gate");
    expect_found("OPTIONS", "/v1/rate-limits/d/gate", "/v1/rate-limits/{policy}/gate");
    expect_found("PROPFIND", "/v1/rate-limits/d/gate", "/v1/rate-limits/{policy}/gate");
}

Test(router, ignores_the_rest_of_a_path_where_a_route_says_so)
{
    static const char pattern[] = "/v1/rate-limits/{policy}/gate/by-header/{header}/...";
    static const char *const rests[] = {"",
                                        "/",
                                        "/a/b?c=%zz",
                                        "/%zz",
                                        "/../../check",
                                        "/%00?x",
                                        "//",
                                        "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17"};
    for (size_t i = 0; i < sizeof(rests) / sizeof(rests[0]); i++) {
        char raw[256];
        sprintf(raw, "/v1/rate-limits/d/gate/by-header/x-api-key%s", rests[i]);
        expect_found("MKCOL", raw, pattern);
        cr_expect(text_equal(match.params[1], TEXT("x-api-key")));
    }
    cr_expect_eq(find("GET", "/v1/rate-limits/d/gate/by-header/%zz/a"), ROUTE_BAD_PATH);
    cr_expect_eq(find("GET", "/v1/rate-limits/d/gate/by-header//a"), ROUTE_NOT_FOUND);
    cr_expect_eq(find("GET", "/v1/rate-limits/d/gate/by-header"), ROUTE_NOT_FOUND);
}

Test(router, refuses_bad_encoding_before_looking_for_a_route)
{
    static const char *const bad[] = {"/%zz",
                                      "/healthz/%00",
                                      "/v1/rate-limits/..",
                                      "/v1/rate-limits/%2e%2e/check",
                                      "/v1/rate-limits/d/keys/%ff",
                                      "/healthz?a=%"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        enum route_answer answer = find("GET", bad[i]);
        cr_expect_eq(answer, ROUTE_BAD_PATH, "%s: %d", bad[i], (int)answer);
    }
}

Test(router, an_empty_segment_is_no_parameter)
{
    cr_expect_eq(find("GET", "/v1/rate-limits/"), ROUTE_NOT_FOUND);
    cr_expect_eq(find("GET", "//healthz"), ROUTE_NOT_FOUND);
    cr_expect_eq(find("GET", "/healthz/"), ROUTE_NOT_FOUND);
    cr_expect_eq(find("GET", "/v1/rate-limits//keys/a"), ROUTE_NOT_FOUND);
}

Test(router, says_why_a_table_is_wrong)
{
    static const struct route bad[] = {R("x", HTTP_GET),
                                       R("/a//b", HTTP_GET),
                                       R("/a{b}", HTTP_GET),
                                       R("/a", 0),
                                       R("/a/", HTTP_GET),
                                       R(NULL, HTTP_GET),
                                       {.pattern = "/a", .methods = HTTP_GET},
                                       R("/{a}/{b}/{c}/{d}/{e}", HTTP_GET)};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct route_table table = {.routes = &bad[i], .count = 1};
        char why[128] = "";
        cr_expect_null(router_create(&table, 1, why, sizeof(why)), "%zu", i);
        cr_expect_gt(strlen(why), 5);
    }
    static const struct route twice[] = {R("/a/{x}", HTTP_GET | HTTP_PUT), R("/a/{y}", HTTP_PUT)};
    struct route_table table = ROUTE_TABLE(twice);
    char why[128] = "";
    cr_expect_null(router_create(&table, 1, why, sizeof(why)));
    cr_expect_not_null(strstr(why, "/a/{y}"));
}
