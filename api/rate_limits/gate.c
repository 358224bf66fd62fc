/* The gate: decisions for proxies, with empty bodies. 204, or 429 (or the status asked for), with the header fields of a check.
 *
 * nginx understands 401 and 403 of a subrequest only, hence `deny`. Envoy appends its client's path and query: ignored there;
 * and it lets pass on 200 alone, any other status below 500 goes to its client: hence the gate of its own.
 */
#include "api/rate_limits/asking.h"
#include "api/rate_limits/check_routes.h"
#include "api/rate_limits/decision_json.h"

#define PASS_DEFAULT 204
#define PASS_ENVOY   200
#define DENY_DEFAULT 429
#define DENY_MIN     400
#define DENY_MAX     599

static void answer_gate(struct http_request *request, const rl_ask *ask, const rl_decided *decided)
{
    rl_decision_headers(request, ask->policy, &decided->decision, !decided->decision.allowed);
    http_answer_empty(request, decided->decision.allowed ? ask->pass_status : ask->deny_status);
}

static void ask_gate(struct http_request *request, struct text key, unsigned pass_status,
                     unsigned deny_status)
{
    struct json_errors errors;
    rl_ask *ask;

    json_errors_init(&errors);
    if (!rl_key_fits(key, &errors)) {
        http_answer_errors(request, &errors);
        return;
    }
    ask = rl_ask_new(request);
    if (ask != NULL) {
        ask->policy = http_request_param(request, 0);
        ask->key = key;
        ask->pass_status = pass_status;
        ask->deny_status = deny_status;
        ask->answer = answer_gate;
        rl_ask_start(request, ask);
    }
}

/* The key of a header field that must be there once. Returns: false when a 400 was sent. */
static bool key_of_header(struct http_request *request, struct text name, struct text *key)
{
    struct text value = {0};
    size_t count = http_is_token(name) ? http_request_header_any(request, name, &value) : 0;
    char *copy;

    if (count == 1) {
        value = http_trim(value);
    }
    if (count != 1 || value.count == 0) {
        http_answer_problem(request, PROBLEM_BAD_REQUEST,
                            count > 1 ? "the header of the key is repeated"
                                      : "the header of the key is missing");
        return false;
    }
    copy = json_arena_take(http_request_arena(request), value.count);
    if (copy == NULL) {
        rl_answer_unavailable(request);
        return false;
    }
    memcpy(copy, value.bytes, value.count);
    *key = (struct text){.bytes = copy, .count = value.count};
    return true;
}

void rl_route_gate(struct http_request *request)
{
    struct text key = http_request_query(request, "key");
    struct text header = http_request_query(request, "key_header");
    struct text deny = http_request_query(request, "deny");
    int64_t status = DENY_DEFAULT;
    struct json_errors errors;

    json_errors_init(&errors);
    if ((key.bytes == NULL) == (header.bytes == NULL)) {
        json_errors_add_query(&errors, TEXT("key"), "either key or key_header must be given");
    }
    if (deny.bytes != NULL && !http_read_int(deny, DENY_MIN, DENY_MAX, &status)) {
        json_errors_add_query(&errors, TEXT("deny"), "must be a status from 400 to 599");
    }
    if (errors.count != 0) {
        http_answer_errors(request, &errors);
        return;
    }
    if (header.bytes == NULL || key_of_header(request, header, &key)) {
        ask_gate(request, key, PASS_DEFAULT, (unsigned)status);
    }
}

static void gate_by_header(struct http_request *request, unsigned pass_status)
{
    struct text key;

    if (key_of_header(request, http_request_param(request, 1), &key)) {
        ask_gate(request, key, pass_status, DENY_DEFAULT);
    }
}

void rl_route_gate_header(struct http_request *request)
{
    gate_by_header(request, PASS_DEFAULT);
}

void rl_route_gate_envoy(struct http_request *request)
{
    gate_by_header(request, PASS_ENVOY);
}
