/* What a batch answers. */
#include "api/rate_limits/asking.h"
#include "api/rate_limits/batch_route.h"
#include "api/rate_limits/decision_json.h"

/* Items in the order of the request. */
static const rl_batch_item *item_at(const rl_batch_request *asked, const rl_batch *batch, uint32_t i)
{
    return &batch->items[asked->order[i]];
}

static void write_result(struct json_out *out, const rl_batch_check *check, const rl_batch_item *item)
{
    json_out_open_object(out);
    rl_decision_members(out, check->policy, check->key, (uint64_t)check->cost, &item->decision);
    if (item->status == RL_LIMITER_FULL) {
        json_out_member_string(out, "code", problem_code_text(PROBLEM_LIMITER_FULL));
    } else if (item->status == RL_COST_EXCEEDS_LIMIT) {
        json_out_member_string(out, "code", problem_code_text(PROBLEM_COST_EXCEEDS_LIMIT));
    }
    json_out_close_object(out);
}

static void answer_results(struct http_request *request, const rl_batch_request *asked, const rl_batch *batch)
{
    struct json_out *out = http_answer_out(request);
    bool allowed = true;

    for (uint32_t i = 0; i < batch->count; i++) {
        allowed = allowed && batch->items[i].decision.allowed;
    }
    json_out_open_object(out);
    json_out_member_bool(out, "allowed", allowed);
    json_out_key(out, "results");
    json_out_open_array(out);
    for (uint32_t i = 0; i < asked->count; i++) {
        write_result(out, &asked->checks[i], item_at(asked, batch, i));
    }
    json_out_close_array(out);
    json_out_close_object(out);
    http_answer_header(request, "Cache-Control", TEXT("no-store"));
    http_answer_json(request, 200);
}

/* Errors that a batch has as a whole: 422 with where. Returns: true when one was sent. */
static bool answer_error(struct http_request *request, const rl_batch_request *asked, const rl_batch *batch)
{
    bool dear = false;
    bool unknown = false;
    struct json_errors errors;
    struct json_out *out;

    json_errors_init(&errors);
    for (uint32_t i = 0; i < asked->count; i++) {
        const rl_batch_item *item = item_at(asked, batch, i);
        const struct json_where top = {.name = "checks"};
        const struct json_where where = {.parent = &top, .index = i};
        if (item->status == RL_UNKNOWN_RATE) {
            unknown = true;
            json_errors_add(&errors, &where, NULL, "there is no policy \"%.*s\"",
                            (int)asked->checks[i].policy.count, asked->checks[i].policy.bytes);
        } else if (item->status == RL_COST_EXCEEDS_LIMIT && (batch->all_or_nothing || batch->looking)) {
            dear = true;
            json_errors_add(&errors, &where, "cost",
                            batch->all_or_nothing ? "the costs of this key can never pass its limit of %u"
                                                  : "the limit is %u",
                            item->decision.limit);
        }
    }
    if (unknown) {
        http_answer_errors(request, &errors);
    } else if (dear) {
        out = http_problem_begin(request, PROBLEM_COST_EXCEEDS_LIMIT,
                                 "an item's cost, or the sum of a key's, can never pass its limit");
        json_out_key(out, "errors");
        json_out_open_array(out);
        for (size_t i = 0; i < errors.count; i++) {
            json_out_open_object(out);
            json_out_member_text(out, "pointer", errors.items[i].pointer);
            json_out_member_text(out, "detail", errors.items[i].detail);
            json_out_close_object(out);
        }
        json_out_close_array(out);
        http_problem_end(request);
    }
    return unknown || dear;
}

/* The largest wait among the items that did not pass. Returns: false when for one of them no waiting helps. */
static bool longest_wait(const rl_batch *batch, rl_decision *longest, bool *full)
{
    bool helps = true;

    *longest = (rl_decision){.allowed = false};
    *full = false;
    for (uint32_t i = 0; i < batch->count; i++) {
        const rl_decision *decision = &batch->items[i].decision;
        if (decision->allowed) {
            continue;
        }
        *full = *full || batch->items[i].status == RL_LIMITER_FULL;
        helps = helps && decision->has_retry_after;
        if (decision->retry_after_ms >= longest->retry_after_ms) {
            *longest = *decision;
        }
    }
    return helps;
}

static void answer_denied(struct http_request *request, const rl_batch_request *asked, const rl_batch *batch)
{
    rl_decision longest;
    bool full;
    bool helps = longest_wait(batch, &longest, &full);
    struct json_out *out;

    http_answer_header(request, "Cache-Control", TEXT("no-store"));
    if (helps) {
        http_answer_headerf(request, "Retry-After", "%llu", (unsigned long long)longest.retry_after_s);
    }
    out = http_problem_begin(request, full ? PROBLEM_LIMITER_FULL : PROBLEM_RATE_LIMITED,
                             "not all of the checks pass; nothing was taken");
    json_out_member_bool(out, "allowed", false);
    json_out_key(out, "violated");
    json_out_open_array(out);
    for (uint32_t i = 0; i < asked->count; i++) {
        if (!item_at(asked, batch, i)->decision.allowed) {
            json_out_int(out, i);
        }
    }
    json_out_close_array(out);
    if (helps) {
        json_out_member_int(out, "retry_after_ms", (int64_t)longest.retry_after_ms);
    } else {
        json_out_member_null(out, "retry_after_ms");
    }
    http_problem_end(request);
}

void rl_batch_answer(struct http_request *request, rl_batch_request *asked, const rl_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        asked->order[batch->items[i].index] = i;
    }
    if (answer_error(request, asked, batch)) {
        return;
    }
    if (batch->all_or_nothing && __atomic_load_n(&batch->state, __ATOMIC_ACQUIRE) != RL_BATCH_COMMITTED) {
        answer_denied(request, asked, batch);
    } else {
        answer_results(request, asked, batch);
    }
}
