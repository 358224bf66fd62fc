#include "api/rate_limits/batch_route.h"

#include "api/rate_limits/asking.h"
#include "api/rate_limits/check_routes.h"

#include <stdio.h>

/* --- reading --- */

struct batch_body {
    int mode;
    const cJSON *checks;
};

static const char *const modes[] = {"independent", "all_or_nothing", NULL};
static const struct json_member batch_members[] = {
    JSON_MEMBER("mode", JSON_WORD, struct batch_body, mode, .words = modes),
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the macro compares the sizes of pointers */
    JSON_MEMBER("checks", JSON_ARRAY, struct batch_body, checks, .required = true, .min = 1,
                .max = RL_BATCH_MAX),
};
static const struct json_shape batch_shape = JSON_SHAPE(batch_members);

static const struct json_member item_members[] = {
    JSON_MEMBER("policy", JSON_TEXT, rl_batch_check, policy, .required = true),
    JSON_MEMBER("key", JSON_TEXT, rl_batch_check, key, .required = true, .min = 1, .max = RL_KEY_BYTES_MAX),
    JSON_MEMBER("cost", JSON_INT, rl_batch_check, cost, .min = 1, .max = JSON_INTEGER_MAX),
};
static const struct json_shape item_shape = JSON_SHAPE(item_members);

/* Reads the items. Policies come after: shape before existence. */
static bool read_items(const cJSON *checks, rl_batch_request *asked, struct json_errors *errors)
{
    const struct json_where top = {.name = "checks"};
    const cJSON *item;
    bool fits = true;

    cJSON_ArrayForEach(item, checks)
    {
        const struct json_where where = {.parent = &top, .index = asked->count};
        rl_batch_check *check = &asked->checks[asked->count++];
        *check = (rl_batch_check){.cost = 0};
        fits = json_read_object(item, &where, &item_shape, check, errors) && fits;
    }
    return fits;
}

/* Neighbours mostly ask the same policy: it is looked up once. */
static bool find_policies(rl_batch_request *asked, struct json_errors *errors)
{
    const rl_snapshot *snapshot = rl_snapshot_now(&rl_service.policies);
    const struct json_where top = {.name = "checks"};
    const rl_policy_entry *policy = NULL;
    struct text name = {0};

    for (uint32_t i = 0; i < asked->count; i++) {
        rl_batch_check *check = &asked->checks[i];
        if (policy == NULL || !text_equal(check->policy, name)) {
            name = check->policy;
            policy = rl_snapshot_find(snapshot, name);
        }
        if (policy == NULL) {
            const struct json_where where = {.parent = &top, .index = i};
            json_errors_add(errors, &where, NULL, "there is no policy \"%.*s\"", (int)name.count, name.bytes);
            continue;
        }
        check->policy_id = policy->policy_id;
        check->cost = check->cost != 0 ? check->cost : policy->policy.default_cost;
        check->hash = rl_key_hash(&rl_service.seed, check->policy_id, check->key.bytes, check->key.count);
        check->partition = rl_partition_of(&check->hash);
    }
    return errors->count == 0;
}

static void answer_too_dear(struct http_request *request, uint32_t index, uint32_t limit)
{
    struct json_out *out =
        http_problem_begin(request, PROBLEM_COST_EXCEEDS_LIMIT,
                           "an item's cost, or the sum of a key's, can never pass its limit");
    char pointer[48];
    char detail[64];

    snprintf(pointer, sizeof(pointer), "/checks/%u/cost", index);
    snprintf(detail, sizeof(detail), "the limit is %u", limit);
    json_out_key(out, "errors");
    json_out_open_array(out);
    json_out_open_object(out);
    json_out_member_string(out, "pointer", pointer);
    json_out_member_string(out, "detail", detail);
    json_out_close_object(out);
    json_out_close_array(out);
    http_problem_end(request);
}

/* Where no key has numbers of its own, a cost above its policy's limit can never pass. Returns: false when a 422 was sent. */
static bool costs_can_pass(struct http_request *request, const rl_batch_request *asked)
{
    const rl_snapshot *snapshot = rl_snapshot_now(&rl_service.policies);

    if (rl_override_count() != 0) {
        return true;
    }
    for (uint32_t i = 0; i < asked->count; i++) {
        if (asked->checks[i].cost > 1) {
            const rl_policy_entry *policy = rl_snapshot_find(snapshot, asked->checks[i].policy);
            uint32_t limit = policy->policy.limit;
            if (limit != 0 && asked->checks[i].cost > limit) {
                answer_too_dear(request, i, limit);
                return false;
            }
        }
    }
    return true;
}

/* Where some keys have, only their partitions know. An all-or-nothing batch hears of it before it takes; others ask first. */
static bool must_look(const rl_batch_request *asked)
{
    bool above_one = false;

    for (uint32_t i = 0; i < asked->count; i++) {
        above_one = above_one || asked->checks[i].cost > 1;
    }
    return above_one && !asked->all_or_nothing && rl_override_count() != 0;
}

/* --- the batch --- */

static void put_item(rl_batch_item *item, const rl_batch_check *check, uint32_t index)
{
    item->hash = check->hash;
    item->cost = (uint64_t)check->cost;
    item->policy_id = check->policy_id;
    item->index = index;
    item->partition = check->partition;
    item->status = RL_UNKNOWN_RATE;
    item->decision.allowed = false;
}

/* Places by which items of one partition are neighbours, in the order they were asked. */
static void deal(const rl_batch_request *asked)
{
    uint32_t starts[RL_PARTITIONS_MAX + 1] = {0};

    for (uint32_t i = 0; i < asked->count; i++) {
        starts[asked->checks[i].partition + 1]++;
    }
    for (uint32_t p = 0; p < rl_service.partition_count; p++) {
        starts[p + 1] += starts[p];
    }
    for (uint32_t i = 0; i < asked->count; i++) {
        asked->order[i] = starts[asked->checks[i].partition]++;
    }
}

tr_blob *rl_batch_build(const rl_batch_request *asked)
{
    tr_blob *blob = rl_batch_new(asked->count);
    rl_batch *batch = rl_batch_of(blob);

    batch->all_or_nothing = asked->all_or_nothing;
    deal(asked);
    for (uint32_t i = 0; i < asked->count; i++) {
        put_item(&batch->items[asked->order[i]], &asked->checks[i], i);
    }
    if (asked->all_or_nothing) {
        rl_batch_sort(batch, 0, asked->count);
    }
    return blob;
}

uint32_t rl_batch_run_end(const rl_batch *batch, uint32_t first)
{
    uint32_t end = first + 1;

    while (end < batch->count && batch->items[end].partition == batch->items[first].partition) {
        end++;
    }
    return end;
}

/* --- asking --- */

static void start(struct http_request *request, rl_batch_request *asked, bool looking);

/* The last partition has looked: what it found is the answer, or nothing stands in the way of the batch. */
static void looked(struct http_request *request, rl_batch_request *asked, const rl_batch *batch)
{
    bool dear = false;

    for (uint32_t i = 0; i < batch->count; i++) {
        dear = dear || batch->items[i].status == RL_COST_EXCEEDS_LIMIT;
    }
    if (dear) {
        rl_batch_answer(request, asked, batch);
    } else {
        start(request, asked, false);
    }
}

static void part_done(struct http_request *request, unsigned tag, const tr_msg *reply, tr_term reason)
{
    rl_batch_request *asked = http_request_state(request);
    const rl_batch_part_done *done = TR_MATCH(reply, rl_batch_part_done);

    (void)tag;
    if (done == NULL) {
        asked->failed = true;
        rl_answer_not_reached(request, reason);
    } else if (--asked->waiting == 0) {
        const rl_batch *batch = rl_batch_of(done->batch);
        if (batch->looking) {
            looked(request, asked, batch);
        } else {
            rl_batch_answer(request, asked, batch);
        }
    }
}

static void send_parts(struct http_request *request, rl_batch_request *asked, tr_blob *blob)
{
    const rl_batch *batch = rl_batch_of(blob);
    uint32_t end;

    for (uint32_t first = 0; first < batch->count; first = end) {
        end = rl_batch_run_end(batch, first);
        asked->waiting++;
    }
    http_request_on_timeout(request, rl_answer_unavailable);
    for (uint32_t first = 0; first < batch->count && !asked->failed; first = end) {
        end = rl_batch_run_end(batch, first);
        http_request_call(request, tr_to(rl_partition_pid(batch->items[first].partition)),
                          TR_MSG(rl_batch_part, .batch = blob, .first = first, .count = end - first), 0,
                          part_done);
    }
}

static void start(struct http_request *request, rl_batch_request *asked, bool looking)
{
    tr_blob *blob = rl_batch_build(asked);
    rl_batch *batch = rl_batch_of(blob);

    batch->looking = looking;
    if (asked->all_or_nothing && rl_batch_run_end(batch, 0) != batch->count) {
        http_request_on_timeout(request, rl_answer_unavailable);
        http_request_spawn(request, rl_batch_coordinate);
    } else {
        send_parts(request, asked, blob);
    }
    tr_blob_drop(blob);
}

void rl_route_batch(struct http_request *request)
{
    struct json_arena *arena = http_request_arena(request);
    struct batch_body body = {.mode = 0};
    rl_batch_request *asked = json_arena_take(arena, sizeof(*asked));
    struct json_errors errors;
    size_t count;

    json_errors_init(&errors);
    if (!json_read_object(http_request_json(request), NULL, &batch_shape, &body, &errors)) {
        http_answer_errors(request, &errors);
        return;
    }
    count = (size_t)cJSON_GetArraySize(body.checks);
    if (asked != NULL) {
        *asked = (rl_batch_request){.all_or_nothing = body.mode == 1};
        asked->checks = json_arena_take(arena, count * sizeof(*asked->checks));
        asked->order = json_arena_take(arena, count * sizeof(*asked->order));
        http_request_set_state(request, asked);
    }
    if (asked == NULL || asked->checks == NULL || asked->order == NULL) {
        rl_answer_unavailable(request);
    } else if (!read_items(body.checks, asked, &errors) || !find_policies(asked, &errors)) {
        http_answer_errors(request, &errors);
    } else if (costs_can_pass(request, asked)) {
        start(request, asked, must_look(asked));
    }
}
