/* Who asks, and may they: tokens, and the Host check of open loopback listeners. */
#include "server/http/core.h"

static bool any_equal(const struct settings_texts *tokens, struct text presented)
{
    bool equal = false; /* all are compared: the time tells nothing about which one it was */
    for (size_t i = 0; i < tokens->count; i++) {
        equal = http_token_equal(text_of(tokens->items[i]), presented) || equal;
    }
    return equal;
}

static bool host_is_foreign(const struct http_request *request)
{
    struct text host = http_trim(http_header(&request->guard.headers, HTTP_FIELD_HOST));
    struct connection *peer = request->peer;
    if (request->target.form == HTTP_FORM_ABSOLUTE) {
        return request->target.authority.count != 0 && !http_host_is_loopback(request->target.authority);
    }
    if (peer == NULL || !text_equal(host, connection_host(peer))) {
        return host.count != 0 && !http_host_is_loopback(host);
    }
    if (peer->host_kind == HOST_UNJUDGED) {
        peer->host_kind = host.count == 0 || http_host_is_loopback(host) ? HOST_LOOPBACK : HOST_FOREIGN;
    }
    return peer->host_kind == HOST_FOREIGN;
}

static enum problem_code judge_open(struct http_request *request, const char **detail)
{
    const struct listener *listener = request->core->listener;
    bool local = request->peer == NULL || request->peer->loopback;
    if (local && listener->host_checked && host_is_foreign(request)) {
        *detail = "this listener is open to this machine only: Host must name it";
        return PROBLEM_FOREIGN_HOST;
    }
    request->principal = HTTP_ADMIN;
    return PROBLEM_NONE;
}

enum problem_code access_judge(struct http_request *request, const char **detail)
{
    const struct listener *listener = request->core->listener;
    const struct settings *settings = listener->settings;
    enum route_access access = request->match.route->access;
    if (listener->open_access) {
        return judge_open(request, detail);
    }
    struct text token = http_bearer_token(http_header(&request->guard.headers, HTTP_FIELD_AUTHORIZATION));
    if (token.count != 0 && any_equal(&settings->admin_token, token)) {
        request->principal = HTTP_ADMIN;
    } else if (token.count != 0 && any_equal(&settings->client_token, token)) {
        request->principal = HTTP_CLIENT;
    }
    if (access == ROUTE_ACCESS_OPEN) {
        return PROBLEM_NONE;
    }
    if (request->principal == HTTP_NOBODY) {
        *detail = "a bearer token is needed";
        return PROBLEM_UNAUTHORIZED;
    }
    if (access == ROUTE_ACCESS_ADMIN && request->principal != HTTP_ADMIN) {
        *detail = "this call needs an admin token";
        return PROBLEM_FORBIDDEN;
    }
    return PROBLEM_NONE;
}
