#include "api/rate_limits/policy_routes.h"

#include "api/rate_limits/asking.h"
#include "api/rate_limits/policy_json.h"

/* The policy a path names; NULL: 404 was sent. Good until the handler returns. */
static const rl_policy_entry *policy_of_path(struct http_request *request)
{
    struct text name = http_request_param(request, 0);
    const rl_policy_entry *entry = rl_snapshot_find(rl_snapshot_now(&rl_service.policies), name);

    if (entry == NULL) {
        rl_answer_no_policy(request, name);
    }
    return entry;
}

/* At the deadline. A change that has begun goes on: it is durable perhaps, and waits for a partition. */
static void answer_late(struct http_request *request)
{
    http_answer_header(request, "Retry-After", TEXT("1"));
    http_answer_problem(request, PROBLEM_UNAVAILABLE,
                        "not all limiters have answered; read again to see what holds");
}

static void ask_policies(struct http_request *request, tr_msg *msg, http_reply *reply)
{
    http_request_on_timeout(request, answer_late);
    http_request_call(request, tr_to_name(rl_service.policies_name), msg, 0, reply);
}

/* What went wrong, the same for policies and overrides. */
static void answer_failure(struct http_request *request, enum rl_outcome outcome)
{
    switch (outcome) {
    case RL_NO_SUCH_POLICY:
        rl_answer_no_policy(request, http_request_param(request, 0));
        break;
    case RL_NO_SUCH_OVERRIDE:
        http_answer_problem(request, PROBLEM_OVERRIDE_NOT_FOUND, "this key has no numbers of its own");
        break;
    case RL_VERSION_CONFLICT:
        http_answer_problem(request, PROBLEM_VERSION_CONFLICT, "it was changed in the meantime");
        break;
    case RL_TOO_MANY:
        http_answer_problem(request, PROBLEM_STORAGE_FULL, "there is no room for more policies or overrides");
        break;
    case RL_STORAGE_FULL:
        http_answer_problem(request, PROBLEM_STORAGE_FULL, "the disk is full; nothing was changed");
        break;
    default:
        http_answer_header(request, "Retry-After", TEXT("1"));
        http_answer_problem(request, PROBLEM_UNAVAILABLE,
                            "the change could not be stored; read again to see what holds");
        break;
    }
}

/* --- reading policies --- */

void rl_route_policies(struct http_request *request)
{
    uint32_t count = 0;
    const rl_policy_entry *entries = rl_snapshot_entries(rl_snapshot_now(&rl_service.policies), &count);
    struct json_out *out;
    struct text cursor;
    int64_t limit;
    uint32_t i = 0;

    if (!http_request_page(request, &limit, &cursor)) {
        return;
    }
    if (cursor.bytes != NULL && !rl_policy_name_ok(cursor.bytes, cursor.count)) {
        struct json_errors errors;
        json_errors_init(&errors);
        json_errors_add_query(&errors, TEXT("cursor"), "is not a cursor that this list gave out");
        http_answer_errors(request, &errors);
        return;
    }
    /* The cursor is the last name given: it stays good when policies come and go. */
    while (cursor.bytes != NULL && i < count && strcmp(entries[i].name, cursor.bytes) <= 0) {
        i++;
    }
    out = http_answer_out(request);
    json_out_open_object(out);
    json_out_key(out, "items");
    json_out_open_array(out);
    for (; i < count && limit > 0; i++, limit--) {
        rl_policy_write(out, &entries[i]);
    }
    json_out_close_array(out);
    http_answer_page(request, i < count ? text_of(entries[i - 1].name) : (struct text){0});
    json_out_close_object(out);
    http_answer_json(request, 200);
}

void rl_route_policy_get(struct http_request *request)
{
    const rl_policy_entry *entry = policy_of_path(request);

    if (entry != NULL && http_request_precondition(request, entry->version)) {
        http_answer_etag(request, entry->version);
        rl_policy_write(http_answer_out(request), entry);
        http_answer_json(request, 200);
    }
}

/* --- changing policies --- */

static bool is_conditional(const struct http_request *request)
{
    return http_request_header(request, HTTP_FIELD_IF_MATCH).bytes != NULL ||
           http_request_header(request, HTTP_FIELD_IF_NONE_MATCH).bytes != NULL;
}

static void policy_was_put(struct http_request *request, unsigned tag, const tr_msg *reply, tr_term reason)
{
    const rl_policy_answer *answer = TR_MATCH(reply, rl_policy_answer);

    (void)tag;
    if (answer == NULL) {
        rl_answer_not_reached(request, reason);
    } else if (answer->outcome == RL_DONE_CREATED || answer->outcome == RL_DONE_REPLACED ||
               answer->outcome == RL_DONE_SAME) {
        http_answer_etag(request, answer->entry.version);
        rl_policy_write(http_answer_out(request), &answer->entry);
        http_answer_json(request, answer->outcome == RL_DONE_CREATED ? 201 : 200);
    } else {
        answer_failure(request, (enum rl_outcome)answer->outcome);
    }
}

void rl_route_policy_put(struct http_request *request)
{
    struct text name = http_request_param(request, 0);
    rl_ask_put_policy ask = {.expected = RL_ANY_VERSION};
    const rl_policy_entry *entry;
    struct json_errors errors;

    json_errors_init(&errors);
    if (!rl_policy_read(http_request_json(request), name, &ask.wanted.policy, &errors)) {
        http_answer_errors(request, &errors);
        return;
    }
    memcpy(ask.wanted.name, name.bytes, name.count);
    ask.wanted.name_bytes = (uint8_t)name.count;
    entry = rl_snapshot_find(rl_snapshot_now(&rl_service.policies), name);
    if (!http_request_precondition(request, entry == NULL ? 0 : entry->version)) {
        return;
    }
    if (is_conditional(request)) {
        ask.expected = entry == NULL ? 0 : entry->version;
    }
    ask_policies(request, tr_msg_new(TR_TYPE(rl_ask_put_policy), &ask), policy_was_put);
}

static void policy_was_dropped(struct http_request *request, unsigned tag, const tr_msg *reply,
                               tr_term reason)
{
    const rl_policy_answer *answer = TR_MATCH(reply, rl_policy_answer);

    (void)tag;
    if (answer == NULL) {
        rl_answer_not_reached(request, reason);
    } else if (answer->outcome == RL_DONE_DROPPED) {
        http_answer_empty(request, 204);
    } else {
        answer_failure(request, (enum rl_outcome)answer->outcome);
    }
}

void rl_route_policy_delete(struct http_request *request)
{
    const rl_policy_entry *entry = policy_of_path(request);

    if (entry == NULL) {
        return;
    }
    if (!http_request_precondition(request, entry->version)) {
        return;
    }
    if (entry->policy_id == RL_DEFAULT_POLICY_ID) {
        http_answer_problem(request, PROBLEM_POLICY_PROTECTED,
                            "the policy \"default\" can be replaced, not removed");
        return;
    }
    ask_policies(request,
                 TR_MSG(rl_ask_drop_policy, .policy_id = entry->policy_id,
                        .expected = is_conditional(request) ? entry->version : RL_ANY_VERSION),
                 policy_was_dropped);
}

/* --- overrides --- */

static void key_of_path(struct http_request *request, uint32_t policy_id, rl_key_name *name)
{
    struct text key = http_request_param(request, 1);

    *name = (rl_key_name){.policy_id = policy_id, .key_bytes = (uint32_t)key.count};
    memcpy(name->key, key.bytes, key.count);
}

/* Shape before existence. Returns: false when a 422 was sent. */
static bool key_fits(struct http_request *request)
{
    struct json_errors errors;

    json_errors_init(&errors);
    if (!rl_key_fits(http_request_param(request, 1), &errors)) {
        http_answer_errors(request, &errors);
        return false;
    }
    return true;
}

static void answer_row(struct http_request *request, unsigned status, const rl_override_row *row)
{
    http_answer_etag(request, row->version);
    rl_override_write(http_answer_out(request), http_request_param(request, 0), row);
    http_answer_json(request, status);
}

static void override_answered(struct http_request *request, unsigned tag, const tr_msg *reply, tr_term reason)
{
    const rl_override_answer *answer = TR_MATCH(reply, rl_override_answer);

    (void)tag;
    if (answer == NULL) {
        rl_answer_not_reached(request, reason);
        return;
    }
    switch ((enum rl_outcome)answer->outcome) {
    case RL_DONE_CREATED:
        answer_row(request, 201, &answer->row);
        break;
    case RL_DONE_REPLACED:
        answer_row(request, 200, &answer->row);
        break;
    case RL_DONE_FOUND:
        if (http_request_precondition(request, answer->row.version)) {
            answer_row(request, 200, &answer->row);
        }
        break;
    case RL_DONE_DROPPED:
        http_answer_empty(request, 204);
        break;
    default:
        answer_failure(request, (enum rl_outcome)answer->outcome);
        break;
    }
}

/* --- overrides: changing one, at once or after a look at the version that If-Match and If-None-Match are about --- */

/* The change that waits for the version. */
typedef struct override_change {
    bool drop;
    rl_ask_put_override put; /* a drop has the name only */
} override_change;

static void ask_change(struct http_request *request, const override_change *change)
{
    tr_msg *msg;

    if (change->drop) {
        msg = TR_MSG(rl_ask_drop_override, .name = change->put.row.name, .expected = change->put.expected);
    } else {
        msg = tr_msg_new(TR_TYPE(rl_ask_put_override), &change->put);
    }
    ask_policies(request, msg, override_answered);
}

static void version_was_read(struct http_request *request, unsigned tag, const tr_msg *reply, tr_term reason)
{
    const rl_override_answer *answer = TR_MATCH(reply, rl_override_answer);
    override_change *change = http_request_state(request);

    (void)tag;
    if (answer == NULL) {
        rl_answer_not_reached(request, reason);
    } else if (answer->outcome != RL_DONE_FOUND && (change->drop || answer->outcome != RL_NO_SUCH_OVERRIDE)) {
        answer_failure(request, (enum rl_outcome)answer->outcome);
    } else if (http_request_precondition(request, answer->row.version)) {
        change->put.expected = answer->row.version;
        ask_change(request, change);
    }
}

static void change_override(struct http_request *request, const override_change *change)
{
    override_change *waiting;

    if (!is_conditional(request)) {
        ask_change(request, change);
        return;
    }
    waiting = json_arena_take(http_request_arena(request), sizeof(*waiting));
    if (waiting == NULL) {
        rl_answer_unavailable(request);
        return;
    }
    *waiting = *change;
    http_request_set_state(request, waiting);
    ask_policies(request, TR_MSG(rl_ask_get_override, .name = change->put.row.name), version_was_read);
}

void rl_route_override_put(struct http_request *request)
{
    const rl_policy_entry *entry =
        rl_snapshot_find(rl_snapshot_now(&rl_service.policies), http_request_param(request, 0));
    override_change change = {.drop = false, .put.expected = RL_ANY_VERSION};
    struct json_errors errors;
    bool fits;

    json_errors_init(&errors);
    fits = rl_key_fits(http_request_param(request, 1), &errors);
    if (!rl_override_read(http_request_json(request), entry == NULL ? RL_ENFORCE : entry->policy.mode,
                          &change.put.row.policy, &change.put.expires_in_ms, &errors) ||
        !fits) {
        http_answer_errors(request, &errors);
        return;
    }
    if (entry == NULL) {
        rl_answer_no_policy(request, http_request_param(request, 0));
        return;
    }
    key_of_path(request, entry->policy_id, &change.put.row.name);
    change_override(request, &change);
}

void rl_route_override_get(struct http_request *request)
{
    const rl_policy_entry *entry = key_fits(request) ? policy_of_path(request) : NULL;
    rl_key_name name;

    if (entry != NULL) {
        key_of_path(request, entry->policy_id, &name);
        ask_policies(request, TR_MSG(rl_ask_get_override, .name = name), override_answered);
    }
}

void rl_route_override_delete(struct http_request *request)
{
    const rl_policy_entry *entry = key_fits(request) ? policy_of_path(request) : NULL;
    override_change change = {.drop = true, .put.expected = RL_ANY_VERSION};

    if (entry != NULL) {
        key_of_path(request, entry->policy_id, &change.put.row.name);
        change_override(request, &change);
    }
}
