#include "tests/api/limiter_stage.h"

#include "api/rate_limits/limiter.h"

#include <stdio.h>

static tr_pid stage_supervisor;

rl_policy stage_policy(uint32_t limit)
{
    rl_policy_request request = {.limit = limit, .amount = 1, .every_ms = 600000, .default_cost = 1};
    rl_policy policy;

    TR_CHECK(rl_policy_make(&request, &policy) == 0);
    return policy;
}

static tr_err stage_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                         tr_term *reason)
{
    tr_child_spec *spec = tr_scratch_alloc(sizeof(*spec));

    (void)arg;
    (void)reason;
    *spec = rl_partitions_child_spec();
    *flags = (tr_sup_flags){.intensity = 1000000, .period_s = 1};
    *children = spec;
    *count = 1;
    return TR_OK;
}

void limiter_stage_start(uint32_t partitions, uint32_t max_keys, uint32_t limit)
{
    static const tr_supervisor supervisor = {.name = "stage", .init = stage_init};
    static struct settings settings;
    char why[200];
    rl_policy policy = stage_policy(limit);
    tr_started started;

    settings.server_max_restarts = 1000000;
    settings.server_max_seconds = 1;
    TR_CHECK(rl_service_init(partitions, max_keys, 1, why, sizeof(why)));
    rl_service.settings = &settings;
    for (uint32_t i = 0; i < partitions; i++) {
        uint32_t rate_id = 0;
        TR_CHECK(rl_partition_set_policy(&rl_service.partitions[i], tr_now_ns(), STAGE_POLICY, &rate_id,
                                         &policy) == RL_OK);
    }
    TR_CHECK(tr_supervisor_start_link(&supervisor, NULL, 0, NULL, &started) == TR_OK);
    stage_supervisor = started.pid;
}

void limiter_stage_stop(void)
{
    tr_unlink(tr_to(stage_supervisor));
    TR_CHECK(tr_gen_server_stop(tr_to(stage_supervisor), TR_ATOM(SHUTDOWN), TR_INFINITY, NULL) == TR_OK);
    rl_service_fini();
}

rl_hash stage_key(uint32_t partition, uint32_t n)
{
    for (uint32_t i = 0;; i++) {
        rl_hash hash = rl_key_hash(&rl_service.seed, STAGE_POLICY, &i, sizeof(i));
        if (rl_partition_of(&hash) == partition && n-- == 0) {
            return hash;
        }
    }
}

rl_decided limiter_ask(const rl_hash *key, uint64_t cost, enum rl_how how)
{
    rl_decided decided;

    TR_CHECK(TR_CALL(rl_partition_pid(rl_partition_of(key)), STAGE_CALL_MS, rl_decided, &decided, rl_check,
                     .hash = *key, .cost = cost, .policy_id = STAGE_POLICY, .how = (uint32_t)how) == TR_OK);
    return decided;
}

uint32_t limiter_remaining(const rl_hash *key)
{
    return limiter_ask(key, 1, RL_HOW_PEEK).decision.remaining;
}

rl_switched limiter_tell(uint32_t partition, const tr_type *type, const void *payload)
{
    tr_msg *reply = NULL;
    rl_switched switched;

    TR_CHECK(tr_gen_server_call(tr_to(rl_partition_pid(partition)), tr_msg_new(type, payload), STAGE_CALL_MS,
                                &reply, NULL) == TR_OK);
    switched = *TR_MATCH(reply, rl_switched);
    tr_msg_drop(reply);
    return switched;
}

void limiter_kill(uint32_t partition)
{
    tr_pid pid = rl_partition_pid(partition);

    tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
    while (rl_partition_pid(partition) == pid || rl_partition_pid(partition) == TR_NO_PID) {
        tr_sleep(1);
    }
}

tr_blob *stage_batch(const rl_hash *keys, const uint64_t *costs, uint32_t count)
{
    tr_blob *blob = rl_batch_new(count);
    rl_batch *batch = rl_batch_of(blob);

    batch->all_or_nothing = true;
    for (uint32_t i = 0; i < count; i++) {
        batch->items[i] = (rl_batch_item){.hash = keys[i],
                                          .cost = costs[i],
                                          .policy_id = STAGE_POLICY,
                                          .index = i,
                                          .partition = rl_partition_of(&keys[i]),
                                          .status = RL_UNKNOWN_RATE};
    }
    rl_batch_sort(batch, 0, count);
    return blob;
}

tr_ref stage_lock(tr_blob *batch, uint32_t first, uint32_t count)
{
    tr_pid pid = rl_partition_pid(rl_batch_of(batch)->items[first].partition);

    return tr_send_request(tr_to(pid), TR_MSG(rl_batch_lock, .batch = batch, .first = first, .count = count,
                                              .coordinator = tr_self()));
}

void stage_settle(tr_blob *batch, uint32_t partition)
{
    (void)TR_CAST(rl_partition_pid(partition), rl_batch_settle, .batch = batch);
}
