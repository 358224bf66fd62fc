#include "api/rate_limits/check_routes.h"

#include "api/rate_limits/asking.h"
#include "api/rate_limits/decision_json.h"
#include "api/rate_limits/saver.h"

#include <stdio.h>

/* --- answers --- */

static void answer_too_dear(struct http_request *request, const rl_ask *ask, const rl_decided *decided)
{
    char detail[160];
    struct json_out *out;

    snprintf(detail, sizeof(detail), "a cost of %llu can never pass a limit of %u",
             (unsigned long long)ask->cost, decided->decision.limit);
    out = http_problem_begin(request, PROBLEM_COST_EXCEEDS_LIMIT, detail);
    json_out_key(out, "errors");
    json_out_open_array(out);
    json_out_open_object(out);
    json_out_member_string(out, "pointer", "/cost");
    json_out_member_string(out, "detail", detail);
    json_out_close_object(out);
    json_out_close_array(out);
    http_problem_end(request);
}

static void answer_decision(struct http_request *request, const rl_ask *ask, const rl_decided *decided)
{
    const rl_decision *decision = &decided->decision;
    struct json_out *out;

    if (decided->status == RL_COST_EXCEEDS_LIMIT && ask->how == RL_HOW_TAKE) {
        answer_too_dear(request, ask, decided);
        return;
    }
    bool denied = !decision->allowed && ask->how != RL_HOW_PEEK;
    rl_decision_headers(request, ask->policy, decision, denied);
    if (!denied) {
        out = http_answer_out(request);
        json_out_open_object(out);
        rl_decision_members(out, ask->policy, ask->key, ask->cost, decision);
        json_out_close_object(out);
        http_answer_json(request, 200);
        return;
    }
    out =
        http_problem_begin(request, PROBLEM_RATE_LIMITED,
                           decided->status == RL_BLOCKED ? "the limit is 0: every check of this key is denied"
                                                         : "the limit of this key is used up for now");
    rl_decision_members(out, ask->policy, ask->key, ask->cost, decision);
    http_problem_end(request);
}

/* --- check --- */

struct check_body {
    struct text key;
    int64_t cost;
};

static const struct json_member check_members[] = {
    JSON_MEMBER("key", JSON_TEXT, struct check_body, key, .required = true, .min = 1,
                .max = RL_KEY_BYTES_MAX),
    JSON_MEMBER("cost", JSON_INT, struct check_body, cost, .min = 1, .max = JSON_INTEGER_MAX),
};
static const struct json_shape check_shape = JSON_SHAPE(check_members);

void rl_route_check_body(struct http_request *request)
{
    struct check_body body = {.cost = 0};
    UNCLEARED struct json_errors errors;
    rl_ask *ask;

    json_errors_init(&errors);
    if (!json_read_object(http_request_json(request), NULL, &check_shape, &body, &errors)) {
        http_answer_errors(request, &errors);
        return;
    }
    ask = rl_ask_new(request);
    if (ask != NULL) {
        ask->policy = http_request_param(request, 0);
        ask->key = body.key;
        ask->cost = (uint64_t)body.cost;
        ask->answer = answer_decision;
        rl_ask_start(request, ask);
    }
}

/* The key of the path and the cost of the query. Returns: false when a 422 was sent. */
static bool read_path(struct http_request *request, rl_ask *ask)
{
    struct text cost = http_request_query(request, "cost");
    int64_t number = 0;

    ask->policy = http_request_param(request, 0);
    ask->key = http_request_param(request, 1);
    ask->answer = answer_decision;
    if (ask->key.count <= RL_KEY_BYTES_MAX &&
        (cost.bytes == NULL || http_read_int(cost, 1, JSON_INTEGER_MAX, &number))) {
        ask->cost = (uint64_t)number;
        return true;
    }
    struct json_errors errors;
    json_errors_init(&errors);
    (void)rl_key_fits(ask->key, &errors);
    if (cost.bytes != NULL && !http_read_int(cost, 1, JSON_INTEGER_MAX, &number)) {
        json_errors_add_query(&errors, TEXT("cost"),
                              "must be an integer of at least 1, written as digits only");
    }
    http_answer_errors(request, &errors);
    return false;
}

static void check_path(struct http_request *request, enum rl_how how)
{
    rl_ask *ask = rl_ask_new(request);

    if (ask != NULL && read_path(request, ask)) {
        ask->how = how;
        rl_ask_start(request, ask);
    }
}

void rl_route_check_key(struct http_request *request)
{
    check_path(request, RL_HOW_TAKE);
}

void rl_route_peek(struct http_request *request)
{
    check_path(request, RL_HOW_PEEK);
}

/* --- reset: the bucket, then what was saved of it --- */

static void was_forgotten(struct http_request *request, unsigned tag, const tr_msg *reply, tr_term reason)
{
    const rl_saver_answer *answer = TR_MATCH(reply, rl_saver_answer);

    (void)tag;
    if (answer == NULL) {
        rl_answer_not_reached(request, reason);
    } else if (!answer->ok) {
        http_answer_header(request, "Retry-After", TEXT("1"));
        http_answer_problem(request, PROBLEM_UNAVAILABLE,
                            "the key is full again, but a level saved before could not be removed");
    } else {
        http_answer_empty(request, 204);
    }
}

static void was_reset(struct http_request *request, unsigned tag, const tr_msg *reply, tr_term reason)
{
    const rl_ask *ask = http_request_state(request);

    (void)tag;
    if (TR_MATCH(reply, rl_was_reset) == NULL) {
        rl_answer_not_reached(request, reason);
        return;
    }
    http_request_call(request, tr_to_name(rl_service.saver_name), TR_MSG(rl_ask_forget, .hash = ask->hash), 0,
                      was_forgotten);
}

void rl_route_reset(struct http_request *request)
{
    rl_ask *ask = rl_ask_new(request);
    const rl_policy_entry *policy;

    if (ask == NULL || !read_path(request, ask)) {
        return;
    }
    policy = rl_snapshot_find(rl_snapshot_now(&rl_service.policies), ask->policy);
    if (policy == NULL) {
        rl_answer_no_policy(request, ask->policy);
        return;
    }
    ask->hash = rl_key_hash(&rl_service.seed, policy->policy_id, ask->key.bytes, ask->key.count);
    http_request_on_timeout(request, rl_answer_unavailable);
    http_request_call(request, tr_to(rl_partition_pid(rl_partition_of(&ask->hash))),
                      TR_MSG(rl_reset, .hash = ask->hash), 0, was_reset);
}
