/* Lists and versions: ?limit= and ?cursor=, Link, ETag, If-Match, If-None-Match. */
#include <stdio.h>

#include "server/http/core.h"

#define LIMIT_DEFAULT    50
#define LIMIT_MAX        500
#define CURSOR_BYTES_MAX 600
#define LINK_BYTES_MAX   2048

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A cursor is the hex form of what the list wants to go on from: opaque, safe in a URL, checked when it comes
 * back. */
static bool cursor_decode(struct http_request *request, struct text text, struct text *out)
{
    if (text.count % 2 != 0 || text.count == 0 || text.count > CURSOR_BYTES_MAX) {
        return false;
    }
    char *bytes = json_arena_take(http_request_arena(request), text.count / 2 + 1);
    if (bytes == NULL) {
        return false;
    }
    for (size_t i = 0; i < text.count / 2; i++) {
        int high = hex_digit(text.bytes[2 * i]);
        int low = hex_digit(text.bytes[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        bytes[i] = (char)(high << 4 | low);
    }
    bytes[text.count / 2] = '\0';
    *out = (struct text){.bytes = bytes, .count = text.count / 2};
    return true;
}

bool http_request_page(struct http_request *request, int64_t *limit, struct text *cursor)
{
    struct json_errors errors;
    json_errors_init(&errors);
    struct text given = http_request_query(request, "limit");
    *limit = LIMIT_DEFAULT;
    if (given.bytes != NULL && !http_read_int(given, 1, LIMIT_MAX, limit)) {
        json_errors_add_query(&errors, TEXT("limit"), "must be an integer from 1 to 500");
    }
    given = http_request_query(request, "cursor");
    *cursor = (struct text){0};
    if (given.bytes != NULL && !cursor_decode(request, given, cursor)) {
        json_errors_add_query(&errors, TEXT("cursor"), "is not a cursor that this list gave out");
    }
    if (errors.count != 0) {
        http_answer_errors(request, &errors);
        return false;
    }
    return true;
}

struct link {
    char bytes[LINK_BYTES_MAX];
    size_t used;
    bool full;
};

static void link_add(struct link *link, struct text text)
{
    link->full = link->full || text.count > sizeof(link->bytes) - link->used;
    if (!link->full) {
        memcpy(link->bytes + link->used, text.bytes, text.count);
        link->used += text.count;
    }
}

static void link_add_escaped(struct link *link, struct text text)
{
    for (size_t i = 0; i < text.count; i++) {
        char escape[3];
        link_add(link, (struct text){escape, http_escape_byte(text.bytes[i], escape)});
    }
}

/* A link that lost a parameter would list something else: one that is too long is left out, next_cursor
 * remains. */
static void answer_link(struct http_request *request, struct text cursor)
{
    struct link link;
    link.used = 0;
    link.full = false;
    link_add(&link, TEXT("<"));
    link_add(&link, request->target.path);
    link_add(&link, TEXT("?"));
    for (size_t i = 0; i < request->target.param_count; i++) {
        const struct http_param *param = &request->target.params[i];
        if (!text_equal(param->name, TEXT("cursor"))) {
            link_add_escaped(&link, param->name);
            link_add(&link, TEXT("="));
            link_add_escaped(&link, param->value);
            link_add(&link, TEXT("&"));
        }
    }
    link_add(&link, TEXT("cursor="));
    link_add(&link, cursor);
    link_add(&link, TEXT(">; rel=\"next\""));
    if (!link.full) {
        http_answer_header(request, "Link", (struct text){.bytes = link.bytes, .count = link.used});
    }
}

void http_answer_page(struct http_request *request, struct text next)
{
    struct json_out *out = http_answer_out(request);
    if (next.bytes == NULL || next.count * 2 > CURSOR_BYTES_MAX) {
        json_out_member_null(out, "next_cursor");
        return;
    }
    char cursor[CURSOR_BYTES_MAX + 1];
    for (size_t i = 0; i < next.count; i++) {
        snprintf(cursor + 2 * i, 3, "%02x", (unsigned char)next.bytes[i]);
    }
    struct text text = {.bytes = cursor, .count = next.count * 2};
    json_out_member_text(out, "next_cursor", text);
    answer_link(request, text);
}

/* ---- versions ---- */

static struct text etag_text(char *out, size_t bytes, uint64_t version)
{
    int count = snprintf(out, bytes, "\"%llu\"", (unsigned long long)version);
    return (struct text){.bytes = out, .count = (size_t)count};
}

void http_answer_etag(struct http_request *request, uint64_t version)
{
    char tag[32];
    http_answer_header(request, "ETag", etag_text(tag, sizeof(tag), version));
}

static bool is_read(const struct http_request *request)
{
    return request->match.method == HTTP_METHOD_GET || request->match.method == HTTP_METHOD_HEAD;
}

bool http_request_precondition(struct http_request *request, uint64_t version)
{
    char buffer[32];
    struct text tag = version == 0 ? (struct text){0} : etag_text(buffer, sizeof(buffer), version);
    struct text if_match = http_request_header(request, HTTP_FIELD_IF_MATCH);
    struct text if_none = http_request_header(request, HTTP_FIELD_IF_NONE_MATCH);
    if (if_match.bytes != NULL) {
        enum http_etags judged = http_if_match(if_match, tag);
        bool holds = judged == HTTP_ETAGS_MATCH || (judged == HTTP_ETAGS_ANY && version != 0);
        if (judged == HTTP_ETAGS_INVALID) {
            http_answer_problem(request, PROBLEM_BAD_REQUEST, "If-Match is not a list of entity tags");
            return false;
        }
        if (!holds) {
            http_answer_problem(request, PROBLEM_VERSION_CONFLICT,
                                "the resource has another version than If-Match names");
            return false;
        }
    }
    if (if_none.bytes == NULL) {
        return true;
    }
    enum http_etags judged = http_if_none_match(if_none, tag);
    bool matched = judged == HTTP_ETAGS_MATCH || (judged == HTTP_ETAGS_ANY && version != 0);
    if (judged == HTTP_ETAGS_INVALID) {
        http_answer_problem(request, PROBLEM_BAD_REQUEST, "If-None-Match is not a list of entity tags");
        return false;
    }
    if (!matched) {
        return true;
    }
    if (is_read(request)) {
        http_answer_etag(request, version);
        http_answer_empty(request, 304);
    } else {
        http_answer_problem(request, PROBLEM_VERSION_CONFLICT,
                            "the resource exists with this version already");
    }
    return false;
}
