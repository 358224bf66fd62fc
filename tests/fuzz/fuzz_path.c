/* Targets: what is decoded keeps the promises of path.h, encodes back to the same, and routes without
 * surprise. */
#include "server/http/path.h"
#include "server/http/router.h"
#include "server/utf8.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void handler(struct http_request *request)
{
    (void)request;
}

static const struct route routes[] = {
    {.pattern = "/", .methods = HTTP_GET, .handler = handler},
    {.pattern = "/a", .methods = HTTP_GET | HTTP_PUT, .handler = handler},
    {.pattern = "/a/{x}", .methods = HTTP_POST, .handler = handler},
    {.pattern = "/a/b", .methods = HTTP_DELETE, .handler = handler},
    {.pattern = "/{x}/{y}/c/{z}", .methods = HTTP_GET, .handler = handler},
    {.pattern = "/a/{x}/d/...", .methods = HTTP_ANY, .handler = handler, .flags = ROUTE_QUERY_IGNORED},
};

static void check(bool truth)
{
    if (!truth) {
        abort();
    }
}

static void check_part(struct text part)
{
    check(utf8_valid(part.bytes, part.count));
    check(part.count == 0 || memchr(part.bytes, 0, part.count) == NULL);
}

static size_t encode(const struct http_target *target, char *out)
{
    size_t used = 0;
    for (size_t i = 0; i < target->segment_count; i++) {
        out[used++] = '/';
        for (size_t k = 0; k < target->segments[i].count; k++) {
            used += (size_t)sprintf(out + used, "%%%02X", (unsigned char)target->segments[i].bytes[k]);
        }
    }
    return used;
}

static void check_round_trip(const struct http_target *target)
{
    struct http_target again;
    char *encoded = malloc(3 * target->raw.count + 64);
    size_t count = encode(target, encoded);
    char *buffer = malloc(HTTP_TARGET_BUFFER(count) + 1);
    check(http_target_parse(&again, (struct text){encoded, count}, buffer));
    check(again.segment_count == target->segment_count && again.bad_segment == HTTP_SEGMENT_NONE);
    for (size_t i = 0; i < again.segment_count; i++) {
        check(text_equal(again.segments[i], target->segments[i]));
    }
    free(buffer);
    free(encoded);
}

static void check_target(const struct http_target *target)
{
    for (size_t i = 0; i < target->segment_count && i < target->bad_segment; i++) {
        check_part(target->segments[i]);
        check(!text_equal(target->segments[i], TEXT(".")) && !text_equal(target->segments[i], TEXT("..")));
    }
    for (size_t i = 0; i < target->param_count; i++) {
        check_part(target->params[i].name);
        check_part(target->params[i].value);
    }
    if (target->form == HTTP_FORM_ORIGIN && target->bad_segment == HTTP_SEGMENT_NONE &&
        target->segment_count > 0) {
        check_round_trip(target);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct router *router;
    struct route_table table = ROUTE_TABLE(routes);
    char why[128];
    struct http_target target;
    struct route_match match;
    if (router == NULL) {
        router = router_create(&table, 1, why, sizeof(why));
        check(router != NULL);
    }
    /* Both blocks have exactly the promised size. */
    char *raw = malloc(size + 1);
    char *buffer = malloc(HTTP_TARGET_BUFFER(size) + (size == 0));
    memcpy(raw, data, size);
    bool ok = http_target_parse(&target, (struct text){raw, size}, buffer);
    free(raw);
    check(ok == (target.form != HTTP_FORM_INVALID));
    if (ok) {
        check_target(&target);
    }
    static const char *const methods[] = {"GET", "HEAD", "POST", "DELETE", "OPTIONS", "BREW"};
    for (size_t m = 0; m < 6; m++) {
        enum route_answer answer = router_find(router, text_of(methods[m]), &target, &match);
        check((answer == ROUTE_FOUND) <= (match.route != NULL));
        for (size_t i = 0; answer == ROUTE_FOUND && i < match.param_count; i++) {
            check_part(match.params[i]);
            check(match.params[i].count > 0);
        }
    }
    free(buffer);
    return 0;
}
