/* All-or-nothing batches over several partitions: locks, and deaths at every step. In virtual time; the test coordinates. */
#include "api/rate_limits/limiter.h"
#include "tests/api/limiter_stage.h"
#include "tests/runtime/stage.h"

enum { LIMIT = 100, COST = 3 };

typedef struct pair {
    rl_hash keys[2]; /* in partitions 0 and 1 */
    tr_blob *batch;
} pair;

static pair pair_of(uint32_t n)
{
    pair made = {.keys = {stage_key(0, n), stage_key(1, n)}};

    made.batch = stage_batch(made.keys, (uint64_t[]){COST, COST}, 2);
    return made;
}

static bool is_locked(tr_ref lock, int64_t timeout_ms)
{
    tr_msg *reply = NULL;

    if (tr_wait_response(lock, timeout_ms, &reply, NULL) != TR_OK) {
        return false;
    }
    tr_msg_drop(reply);
    return true;
}

static bool lock_at_once(tr_blob *batch, uint32_t item)
{
    return is_locked(stage_lock(batch, item, 1), 1000);
}

static void settle_both(const pair *both)
{
    stage_settle(both->batch, 0);
    stage_settle(both->batch, 1);
}

/* Both keys were taken from, or neither was. */
static bool is_whole(const pair *both, bool taken)
{
    uint32_t wanted = taken ? LIMIT - COST : LIMIT;

    return limiter_remaining(&both->keys[0]) == wanted && limiter_remaining(&both->keys[1]) == wanted;
}

SCENE(batch, committed_is_taken_from_all)
{
    limiter_stage_start(2, 100, LIMIT);
    pair both = pair_of(0);
    EXPECT(lock_at_once(both.batch, 0) && lock_at_once(both.batch, 1));
    EXPECT(rl_batch_of(both.batch)->items[0].decision.remaining == LIMIT - COST);
    EXPECT(rl_batch_decide(rl_batch_of(both.batch), RL_BATCH_COMMITTED) == RL_BATCH_COMMITTED);
    settle_both(&both);
    EXPECT(is_whole(&both, true));
    tr_blob_drop(both.batch);
    limiter_stage_stop();
}

SCENE(batch, not_enough_in_one_takes_from_none)
{
    limiter_stage_start(2, 100, LIMIT);
    pair both = pair_of(0);
    EXPECT(limiter_ask(&both.keys[1], LIMIT - COST + 1, RL_HOW_TAKE).status == RL_ALLOWED);
    EXPECT(lock_at_once(both.batch, 0) && lock_at_once(both.batch, 1));
    EXPECT(rl_batch_of(both.batch)->doomed);
    EXPECT(rl_batch_of(both.batch)->items[1].status == RL_DENIED);
    EXPECT(rl_batch_decide(rl_batch_of(both.batch), RL_BATCH_ABORTED) == RL_BATCH_ABORTED);
    settle_both(&both);
    EXPECT(limiter_remaining(&both.keys[0]) == LIMIT && limiter_remaining(&both.keys[1]) == COST - 1);
    tr_blob_drop(both.batch);
    limiter_stage_stop();
}

SCENE(batch, others_wait_for_locked_keys_and_for_no_other)
{
    limiter_stage_start(2, 100, LIMIT);
    pair both = pair_of(0);
    rl_hash neighbour = stage_key(0, 9);
    EXPECT(lock_at_once(both.batch, 0));
    tr_ref check = tr_send_request(tr_to(rl_partition_pid(0)), TR_MSG(rl_check, .hash = both.keys[0],
                                                                      .cost = 1, .policy_id = STAGE_POLICY));
    tr_ref look =
        tr_send_request(tr_to(rl_partition_pid(0)), TR_MSG(rl_check, .hash = both.keys[0], .cost = 1,
                                                           .policy_id = STAGE_POLICY, .how = RL_HOW_PEEK));
    EXPECT(limiter_ask(&neighbour, 1, RL_HOW_TAKE).status == RL_ALLOWED);
    tr_msg *reply = NULL;
    EXPECT(tr_wait_response(check, 1000, &reply, NULL) == TR_E_TIMEOUT);
    EXPECT(lock_at_once(both.batch, 1));
    (void)rl_batch_decide(rl_batch_of(both.batch), RL_BATCH_COMMITTED);
    settle_both(&both);
    EXPECT(tr_wait_response(check, 1000, &reply, NULL) == TR_OK);
    EXPECT(TR_MATCH(reply, rl_decided)->decision.remaining == LIMIT - COST - 1);
    tr_msg_drop(reply);
    EXPECT(tr_wait_response(look, 1000, &reply, NULL) == TR_OK);
    EXPECT(TR_MATCH(reply, rl_decided)->decision.remaining == LIMIT - COST - 1);
    tr_msg_drop(reply);
    tr_blob_drop(both.batch);
    limiter_stage_stop();
}

SCENE(batch, locks_are_granted_in_the_order_they_came)
{
    limiter_stage_start(2, 100, LIMIT);
    rl_hash keys[2] = {stage_key(0, 0), stage_key(0, 1)};
    tr_blob *first = stage_batch(keys, (uint64_t[]){1, 1}, 1);
    tr_blob *second = stage_batch(keys, (uint64_t[]){1, 1}, 2);
    tr_blob *third = stage_batch(keys + 1, (uint64_t[]){1}, 1);
    tr_ref one = stage_lock(first, 0, 1);
    tr_ref two = stage_lock(second, 0, 2);
    tr_ref three = stage_lock(third, 0, 1);
    EXPECT(is_locked(one, 100) && !is_locked(two, 100) && !is_locked(three, 100));
    (void)rl_batch_decide(rl_batch_of(first), RL_BATCH_ABORTED);
    stage_settle(first, 0);
    EXPECT(is_locked(two, 100) && !is_locked(three, 100));
    (void)rl_batch_decide(rl_batch_of(second), RL_BATCH_COMMITTED);
    stage_settle(second, 0);
    EXPECT(is_locked(three, 100));
    (void)rl_batch_decide(rl_batch_of(third), RL_BATCH_ABORTED);
    stage_settle(third, 0);
    EXPECT(limiter_remaining(&keys[0]) == LIMIT - 1 && limiter_remaining(&keys[1]) == LIMIT - 1);
    tr_blob_drop(first);
    tr_blob_drop(second);
    tr_blob_drop(third);
    limiter_stage_stop();
}

SCENE(batch, given_up_while_waiting_it_leaves_the_line)
{
    limiter_stage_start(2, 100, LIMIT);
    pair held = pair_of(0);
    pair late = pair_of(0);
    EXPECT(lock_at_once(held.batch, 0));
    EXPECT(!lock_at_once(late.batch, 0));
    (void)rl_batch_decide(rl_batch_of(late.batch), RL_BATCH_ABORTED);
    stage_settle(late.batch, 0);
    (void)rl_batch_decide(rl_batch_of(held.batch), RL_BATCH_ABORTED);
    stage_settle(held.batch, 0);
    EXPECT(is_whole(&held, false));
    tr_blob_drop(held.batch);
    tr_blob_drop(late.batch);
    limiter_stage_stop();
}

/* --- deaths --- */

/* Locks up to `locks` partitions, decides if told to, settles up to `settles`, and dies. */
struct steps {
    tr_blob *batch;
    int locks;
    bool decides;
    int settles;
};

static void coordinate(const void *arg)
{
    const struct steps *steps = arg;

    for (int i = 0; i < steps->locks; i++) {
        TR_CHECK(lock_at_once(steps->batch, (uint32_t)i));
    }
    if (steps->decides) {
        (void)rl_batch_decide(rl_batch_of(steps->batch), RL_BATCH_COMMITTED);
    }
    for (int i = 0; i < steps->settles; i++) {
        stage_settle(steps->batch, (uint32_t)i);
    }
    tr_exit(TR_ATOM(KILLED));
}

SCENE(batch, death_of_the_coordinator_at_any_step_leaves_a_whole)
{
    limiter_stage_start(2, 1000, LIMIT);
    const struct steps all[] = {{.locks = 0},
                                {.locks = 1},
                                {.locks = 2},
                                {.locks = 2, .decides = true},
                                {.locks = 2, .decides = true, .settles = 1},
                                {.locks = 2, .decides = true, .settles = 2}};
    for (uint32_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        pair both = pair_of(i);
        struct steps steps = all[i];
        tr_pid pid;
        steps.batch = both.batch;
        EXPECT(tr_spawn(NULL, coordinate, &steps, sizeof(steps), &pid) == TR_OK);
        tr_sleep(10);
        EXPECT(is_whole(&both, steps.decides));
        EXPECT(rl_service.partitions[0].open == NULL && rl_service.partitions[1].open == NULL);
        tr_blob_drop(both.batch);
    }
    limiter_stage_stop();
}

SCENE(batch, death_of_a_partition_at_any_step_leaves_a_whole)
{
    limiter_stage_start(2, 1000, LIMIT);
    for (uint32_t victim = 0; victim < 2; victim++) {
        for (uint32_t step = 0; step < 5; step++) {
            pair both = pair_of(victim * 5 + step);
            rl_batch *batch = rl_batch_of(both.batch);
            bool locked = true;
            for (uint32_t i = 0; i < 2 && locked; i++) {
                if (step == i) {
                    limiter_kill(victim);
                }
                locked = lock_at_once(both.batch, i);
            }
            if (step == 2) {
                limiter_kill(victim);
            }
            bool committed =
                rl_batch_decide(batch, locked ? RL_BATCH_COMMITTED : RL_BATCH_ABORTED) == RL_BATCH_COMMITTED;
            if (step == 3) {
                limiter_kill(victim);
            }
            stage_settle(both.batch, 0);
            if (step == 4) {
                limiter_kill(victim);
            }
            stage_settle(both.batch, 1);
            tr_sleep(10);
            EXPECT(is_whole(&both, committed));
            /* A partition that died before the decision, holding a lock, has decided it. */
            EXPECT(committed == !(step == 2 || (step == 1 && victim == 0)));
            EXPECT(rl_service.partitions[0].open == NULL && rl_service.partitions[1].open == NULL);
            tr_blob_drop(both.batch);
        }
    }
    limiter_stage_stop();
}

SCENE(batch, smaller_numbers_between_lock_and_commit_drain_the_key)
{
    limiter_stage_start(2, 100, LIMIT);
    pair both = pair_of(0);
    EXPECT(limiter_ask(&both.keys[0], 90, RL_HOW_TAKE).status == RL_ALLOWED);
    EXPECT(lock_at_once(both.batch, 0) && lock_at_once(both.batch, 1));
    rl_set_policy set = {.policy_id = STAGE_POLICY, .policy = stage_policy(LIMIT - 9)};
    EXPECT(limiter_tell(0, TR_TYPE(rl_set_policy), &set).result == RL_OK);
    (void)rl_batch_decide(rl_batch_of(both.batch), RL_BATCH_COMMITTED);
    settle_both(&both);
    EXPECT(limiter_remaining(&both.keys[0]) == 0);
    EXPECT(limiter_remaining(&both.keys[1]) == LIMIT - COST);
    tr_blob_drop(both.batch);
    limiter_stage_stop();
}

/* --- parts --- */

SCENE(batch, part_with_locked_keys_waits_and_keeps_its_order)
{
    limiter_stage_start(2, 100, LIMIT);
    pair held = pair_of(0);
    rl_hash keys[4] = {stage_key(0, 5), held.keys[0], stage_key(0, 5), held.keys[0]};
    tr_blob *part = stage_batch(keys, (uint64_t[]){10, 20, 30, 40}, 4);
    rl_batch_of(part)->all_or_nothing = false;
    for (uint32_t i = 0; i < 4; i++) {
        rl_batch_of(part)->items[i] =
            (rl_batch_item){.hash = keys[i], .cost = 10 * (i + 1), .policy_id = STAGE_POLICY, .index = i};
    }
    EXPECT(lock_at_once(held.batch, 0));
    tr_ref request = tr_send_request(tr_to(rl_partition_pid(0)),
                                     TR_MSG(rl_batch_part, .batch = part, .first = 0, .count = 4));
    tr_msg *reply = NULL;
    EXPECT(tr_wait_response(request, 100, &reply, NULL) == TR_E_TIMEOUT);
    (void)rl_batch_decide(rl_batch_of(held.batch), RL_BATCH_ABORTED);
    stage_settle(held.batch, 0);
    EXPECT(tr_wait_response(request, 100, &reply, NULL) == TR_OK);
    tr_msg_drop(reply);
    for (uint32_t i = 0; i < 4; i++) {
        const rl_batch_item *item = &rl_batch_of(part)->items[i];
        uint32_t before[] = {0, 0, 10, 20};
        EXPECT(item->decision.remaining == LIMIT - before[item->index] - item->cost);
    }
    tr_blob_drop(part);
    tr_blob_drop(held.batch);
    limiter_stage_stop();
}
