/* How the policies' process makes partitions know something: asked until answered. What is asked says what shall be, so a
 * partition that died in between is simply asked again. */
#include "api/rate_limits/messages.h"
#include "api/rate_limits/policies.h"

#define RETRY_MS 5

/* One partition, for as long as it takes: it may be restarting, or be held by an operator. */
static rl_switched ask(uint32_t partition, const tr_type *type, const void *payload, tr_ref request)
{
    rl_switched switched = {.result = RL_OK};
    tr_msg *reply = NULL;

    while (request.id == 0 || tr_receive_response(request, TR_INFINITY, &reply, NULL) != TR_OK) {
        tr_pid pid = rl_partition_pid(partition);
        if (request.id != 0 || pid == TR_NO_PID) {
            tr_sleep(RETRY_MS);
            pid = rl_partition_pid(partition);
        }
        request = pid == TR_NO_PID ? TR_NO_REF : tr_send_request(tr_to(pid), tr_msg_new(type, payload));
    }
    switched = *TR_MATCH(reply, rl_switched);
    tr_msg_drop(reply);
    return switched;
}

/* All of them at the same time. Returns: the first result that is not RL_OK. */
static enum rl_result ask_all(const tr_type *type, const void *payload, bool *more)
{
    uint32_t count = rl_service.partition_count;
    tr_ref *requests = tr_alloc(count * sizeof(*requests));
    enum rl_result result = RL_OK;

    *more = false;
    for (uint32_t i = 0; i < count; i++) {
        tr_pid pid = rl_partition_pid(i);
        requests[i] = pid == TR_NO_PID ? TR_NO_REF : tr_send_request(tr_to(pid), tr_msg_new(type, payload));
    }
    for (uint32_t i = 0; i < count; i++) {
        rl_switched switched = ask(i, type, payload, requests[i]);
        *more = *more || switched.more;
        result = result == RL_OK ? (enum rl_result)switched.result : result;
    }
    tr_free(requests);
    return result;
}

enum rl_result rl__switch_policy(uint32_t policy_id, const rl_policy *policy)
{
    rl_set_policy set = {.policy_id = policy_id, .policy = *policy};
    bool more;

    return ask_all(TR_TYPE(rl_set_policy), &set, &more);
}

void rl__switch_drop_policy(uint32_t policy_id)
{
    rl_drop_policy drop = {.policy_id = policy_id};
    bool more = true;

    while (more) {
        (void)ask_all(TR_TYPE(rl_drop_policy), &drop, &more);
    }
}

static rl_hash hash_of(const rl_key_name *name)
{
    return rl_key_hash(&rl_service.seed, name->policy_id, name->key, name->key_bytes);
}

enum rl_result rl__switch_override(const rl_override_row *row)
{
    rl_set_override set = {.hash = hash_of(&row->name),
                           .cookie = row->cookie,
                           .policy_id = row->name.policy_id,
                           .policy = row->policy};

    return (enum rl_result)ask(rl_partition_of(&set.hash), TR_TYPE(rl_set_override), &set, TR_NO_REF).result;
}

void rl__switch_drop_override(const rl_key_name *name)
{
    rl_drop_override drop = {.hash = hash_of(name), .policy_id = name->policy_id};

    (void)ask(rl_partition_of(&drop.hash), TR_TYPE(rl_drop_override), &drop, TR_NO_REF);
}
