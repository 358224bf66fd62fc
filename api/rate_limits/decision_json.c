#include "api/rate_limits/decision_json.h"

#include "api/rate_limits/policy.h"
#include "server/digits.h"
#include "server/http/fields.h"
#include "server/json_scan.h"

/* Both writers reserve the most that can come once and then only copy: on the way of every check. */
#define MEMBERS_BYTES (160 + 6 * DIGITS_MAX)
#define FIELDS_BYTES  (128 + 5 * DIGITS_MAX)

static char *put_number(char *at, struct text before, uint64_t number)
{
    return digits_put(text_put(at, before), number);
}

static char *put_numbers(char *at, uint64_t cost, const rl_decision *decision)
{
    at = put_number(at, TEXT(",\"cost\":"), cost);
    at = put_number(at, TEXT(",\"limit\":"), decision->limit);
    at = put_number(at, TEXT(",\"remaining\":"), decision->remaining);
    if (decision->allowed || decision->has_retry_after) {
        at = put_number(at, TEXT(",\"retry_after_ms\":"), decision->retry_after_ms);
    } else {
        at = text_put(at, TEXT(",\"retry_after_ms\":null"));
    }
    return put_number(at, TEXT(",\"reset_ms\":"), decision->reset_ms);
}

/* A policy's name is plain by its grammar; most keys are. */
static bool is_plain(struct text text)
{
    return json_skip_plain(text.bytes, text.bytes + text.count) == text.bytes + text.count;
}

static char *put_names(char *at, struct text policy, struct text key, bool allowed)
{
    at = text_put(at,
                  allowed ? TEXT("\"allowed\":true,\"policy\":\"") : TEXT("\"allowed\":false,\"policy\":\""));
    at = text_put(at, policy);
    at = text_put(at, TEXT("\",\"key\":\""));
    at = text_put(at, key);
    *at++ = '"';
    return at;
}

void rl_decision_members(struct json_out *out, struct text policy, struct text key, uint64_t cost,
                         const rl_decision *decision)
{
    bool plain = is_plain(key);

    if (!plain) {
        json_out_member_bool(out, "allowed", decision->allowed);
        json_out_member_text(out, "policy", policy);
        json_out_member_text(out, "key", key);
    }
    char *at = json_out_reserve(out, MEMBERS_BYTES + policy.count + key.count);
    if (at == NULL) {
        return;
    }
    if (plain) {
        at = text_put(at, out->comma ? TEXT(",") : TEXT(""));
        at = put_names(at, policy, key, decision->allowed);
    }
    json_out_commit(out, put_numbers(at, cost, decision));
}

static char *put_policy(char *at, struct text name, struct text policy)
{
    at = text_put(text_put(at, name), policy);
    *at++ = '"';
    return at;
}

void rl_decision_headers(struct http_request *request, struct text policy, const rl_decision *decision,
                         bool denied)
{
    struct fields *fields = http_answer_fields(request);
    char *at =
        policy.count > RL_POLICY_NAME_MAX ? NULL : fields_reserve(fields, FIELDS_BYTES + 2 * policy.count);

    if (at == NULL) {
        return;
    }
    at = put_policy(at, TEXT("\r\nRateLimit-Policy: \""), policy);
    at = put_number(at, TEXT(";q="), decision->policy_quota);
    at = put_number(at, TEXT(";w="), decision->policy_window_s);
    at = put_policy(at, TEXT("\r\nRateLimit: \""), policy);
    at = put_number(at, TEXT(";r="), decision->header_remaining);
    if (decision->has_next_token) {
        at = put_number(at, TEXT(";t="), decision->next_token_s);
    }
    if (denied && decision->has_retry_after) {
        at = put_number(at, TEXT("\r\nRetry-After: "), decision->retry_after_s);
    }
    fields_commit(fields, text_put(at, TEXT("\r\nCache-Control: no-store")));
}
