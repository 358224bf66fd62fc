#include "api/rate_limits/decision_json.h"

#include "api/rate_limits/policy.h"

#define FIELD_BYTES (RL_POLICY_NAME_MAX + 80)

void rl_decision_members(struct json_out *out, struct text policy, struct text key, uint64_t cost,
                         const rl_decision *decision)
{
    json_out_member_bool(out, "allowed", decision->allowed);
    json_out_member_text(out, "policy", policy);
    json_out_member_text(out, "key", key);
    json_out_member_int(out, "cost", (int64_t)cost);
    json_out_member_int(out, "limit", decision->limit);
    json_out_member_int(out, "remaining", decision->remaining);
    if (decision->allowed || decision->has_retry_after) {
        json_out_member_int(out, "retry_after_ms", (int64_t)decision->retry_after_ms);
    } else {
        json_out_member_null(out, "retry_after_ms");
    }
    json_out_member_int(out, "reset_ms", (int64_t)decision->reset_ms);
}

/* printf takes longer than the decision. */
static char *put_text(char *at, const char *bytes, size_t count)
{
    memcpy(at, bytes, count);
    return at + count;
}

static char *put_number(char *at, uint64_t number)
{
    char digits[20];
    size_t count = 0;

    do {
        digits[sizeof(digits) - ++count] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    return put_text(at, digits + sizeof(digits) - count, count);
}

static char *put_name(char *at, struct text policy)
{
    *at++ = '"';
    at = put_text(at, policy.bytes, policy.count < RL_POLICY_NAME_MAX ? policy.count : RL_POLICY_NAME_MAX);
    *at++ = '"';
    return at;
}

static void add(struct http_request *request, const char *name, const char *field, const char *end)
{
    http_answer_header(request, name, (struct text){.bytes = field, .count = (size_t)(end - field)});
}

void rl_decision_headers(struct http_request *request, struct text policy, const rl_decision *decision)
{
    char field[FIELD_BYTES];
    char *at = put_name(field, policy);

    at = put_number(put_text(at, ";q=", 3), decision->policy_quota);
    at = put_number(put_text(at, ";w=", 3), decision->policy_window_s);
    add(request, "RateLimit-Policy", field, at);
    at = put_name(field, policy);
    at = put_number(put_text(at, ";r=", 3), decision->header_remaining);
    if (decision->has_next_token) {
        at = put_number(put_text(at, ";t=", 3), decision->next_token_s);
    }
    add(request, "RateLimit", field, at);
    if (!decision->allowed && decision->has_retry_after) {
        add(request, "Retry-After", field, put_number(field, decision->retry_after_s));
    }
    http_answer_header(request, "Cache-Control", TEXT("no-store"));
}
