/* Any bytes as the body of a policy and of an override: what is accepted is within the ranges of the contract, says
 * what the document says, and comes back the same when it is written out and read again; what is refused says why. */
#include "api/rate_limits/policy_json.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "broken: %s\n", what);
        abort();
    }
}

/* The contract's ranges, written down a second time. */
static void demand_ranges(const rl_policy *policy)
{
    demand(policy->limit <= INT64_C(2147483647), "limit 0..2^31-1");
    demand(policy->amount >= 1 && policy->amount <= INT64_C(2147483647), "amount 1..2^31-1");
    demand(policy->every_ms >= 1 && policy->every_ms <= UINT64_C(31622400000), "every_ms 1..366 days");
    demand(policy->default_cost >= 1, "default_cost at least 1");
    demand(policy->default_cost <= policy->limit || policy->default_cost == 1,
           "default_cost at most the limit");
    demand(policy->style == RL_GRADUAL || policy->style == RL_INTERVAL, "a style");
    demand(policy->mode == RL_ENFORCE || policy->mode == RL_SHADOW, "a mode");
}

/* What the document says of an integer, or its default. */
static bool says_integer(const cJSON *object, const char *name, int64_t value, int64_t fallback)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return item == NULL ? value == fallback : cJSON_IsNumber(item) && item->valuedouble == (double)value;
}

static bool says_word(const cJSON *object, const char *name, const char *word, const char *fallback)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return strcmp(item == NULL ? fallback : item->valuestring, word) == 0;
}

static void demand_faithful(const cJSON *body, const rl_policy *policy, bool of_policy)
{
    const cJSON *refill = cJSON_GetObjectItemCaseSensitive(body, "refill");
    demand(says_integer(body, "limit", policy->limit, -1), "the limit is the document's");
    demand(says_integer(refill, "amount", policy->amount, -1), "the amount is the document's");
    demand(says_integer(refill, "every_ms", (int64_t)policy->every_ms, -1), "every_ms is the document's");
    demand(says_word(refill, "style", rl_style_name(policy->style), "gradual"),
           "the style is the document's");
    demand(says_word(body, "mode", rl_mode_name(policy->mode), "enforce"), "the mode is the document's");
    demand(!of_policy || says_integer(body, "default_cost", policy->default_cost, 1),
           "the cost is the document's");
}

static cJSON *parse_written(struct json_arena *arena, struct json_out *out)
{
    struct json_error error;
    cJSON *root = NULL;
    struct text text = json_out_text(out);
    demand(text.bytes != NULL && json_parse(arena, text, &json_limits_default, &root, &error),
           "what is written is JSON");
    return root;
}

static void demand_round_trip(struct json_arena *arena, struct text name, const rl_policy *policy)
{
    rl_policy_entry entry = {.name_bytes = (uint8_t)name.count, .policy = *policy};
    rl_policy again;
    struct json_errors errors;
    struct json_out out;
    memcpy(entry.name, name.bytes, name.count);
    json_out_init_growing(&out, 0, 1 << 16);
    rl_policy_write(&out, &entry);
    cJSON *root = parse_written(arena, &out);
    json_errors_init(&errors);
    demand(rl_policy_read(root, name, &again, &errors), "what is written is accepted");
    demand(rl_policy_same(policy, &again), "what is written is the same policy");
    json_out_fini(&out);
}

static void try_policy(struct json_arena *arena, const cJSON *body)
{
    const cJSON *named = cJSON_GetObjectItemCaseSensitive(body, "name");
    struct text name = cJSON_IsString(named) ? json_string(named) : TEXT("p");
    struct json_errors errors;
    rl_policy policy;
    json_errors_init(&errors);
    bool ok = rl_policy_read(body, name, &policy, &errors);
    demand(ok == (errors.count == 0), "refused if and only if there is an error");
    if (ok) {
        demand(rl_policy_name_ok(name.bytes, name.count), "the name is one");
        demand_ranges(&policy);
        demand_faithful(body, &policy, true);
        demand_round_trip(arena, name, &policy);
    }
}

static void try_override(struct json_arena *arena, const cJSON *body)
{
    struct json_errors errors;
    struct json_out out;
    rl_override_row row = {.name = {.policy_id = 1, .key_bytes = 1, .key = "k"}};
    int64_t expires_in_ms = 0;
    json_errors_init(&errors);
    bool ok = rl_override_read(body, RL_ENFORCE, &row.policy, &expires_in_ms, &errors);
    demand(ok == (errors.count == 0), "refused if and only if there is an error");
    if (!ok) {
        return;
    }
    demand_ranges(&row.policy);
    demand_faithful(body, &row.policy, false);
    demand(expires_in_ms >= 0 && expires_in_ms <= INT64_C(31622400000), "expires_in_ms at most 366 days");
    row.expires_at_ms = expires_in_ms == 0 ? RL_NEVER : expires_in_ms;
    json_out_init_growing(&out, 0, 1 << 16);
    rl_override_write(&out, TEXT("p"), &row);
    demand_faithful(parse_written(arena, &out), &row.policy, false);
    json_out_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_arena arena;
    struct json_error error;
    cJSON *root = NULL;
    char *text = malloc(size + (size == 0)); /* exactly as long as the text */
    demand(text != NULL, "memory");
    memcpy(text, data, size);
    json_init();
    json_arena_init(&arena, NULL, 0, (size_t)64 << 20);
    if (json_parse(&arena, (struct text){.bytes = text, .count = size}, &json_limits_default, &root,
                   &error)) {
        try_policy(&arena, root);
        try_override(&arena, root);
    }
    json_arena_fini(&arena);
    free(text);
    return 0;
}
