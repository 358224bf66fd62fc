/* The limiter process: decisions, numbers, death and adoption. In virtual time. */
#include "tests/api/limiter_stage.h"
#include "tests/runtime/stage.h"

#define TOKEN_MS 600000

SCENE(limiter, takes_until_empty_and_refills_by_the_clock)
{
    limiter_stage_start(4, 1000, 3);
    rl_hash key = stage_key(2, 0);
    for (uint32_t left = 3; left-- > 0;) {
        rl_decided got = limiter_ask(&key, 1, RL_HOW_TAKE);
        EXPECT(got.decision.allowed && got.decision.remaining == left);
    }
    rl_decided denied = limiter_ask(&key, 1, RL_HOW_TAKE);
    EXPECT(denied.status == RL_DENIED && !denied.decision.allowed &&
           denied.decision.retry_after_ms == TOKEN_MS);
    tr_sleep(TOKEN_MS - 1);
    EXPECT(limiter_ask(&key, 1, RL_HOW_TAKE).status == RL_DENIED);
    tr_sleep(1);
    EXPECT(limiter_ask(&key, 1, RL_HOW_TAKE).status == RL_ALLOWED);
    limiter_stage_stop();
}

SCENE(limiter, looking_adds_no_key)
{
    limiter_stage_start(1, 10, 3);
    for (uint32_t n = 0; n < 50; n++) {
        rl_hash key = stage_key(0, n);
        EXPECT(limiter_remaining(&key) == 3);
    }
    EXPECT(rl_service.budget.used == 0);
    limiter_stage_stop();
}

SCENE(limiter, unknown_policy_is_told)
{
    limiter_stage_start(1, 10, 3);
    rl_hash key = stage_key(0, 0);
    rl_decided got;
    EXPECT(TR_CALL(rl_partition_pid(0), 100, rl_decided, &got, rl_check, .hash = key, .cost = 1,
                   .policy_id = 77) == TR_OK);
    EXPECT(got.status == RL_UNKNOWN_RATE);
    limiter_stage_stop();
}

SCENE(limiter, killed_it_neither_loses_nor_refills)
{
    limiter_stage_start(2, 1000, 100);
    for (uint32_t n = 0; n < 40; n++) {
        rl_hash key = stage_key(n % 2, n);
        EXPECT(limiter_ask(&key, n + 1, RL_HOW_TAKE).status == RL_ALLOWED);
    }
    uint64_t keys = rl_service.budget.used;
    for (int kills = 0; kills < 5; kills++) {
        limiter_kill(0);
        limiter_kill(1);
    }
    for (uint32_t n = 0; n < 40; n++) {
        rl_hash key = stage_key(n % 2, n);
        EXPECT(limiter_remaining(&key) == 100 - (n + 1));
    }
    EXPECT(rl_service.budget.used == keys);
    limiter_stage_stop();
}

SCENE(limiter, partitions_share_one_bound_of_keys)
{
    limiter_stage_start(4, 10, 5);
    for (uint32_t n = 0; n < 10; n++) {
        rl_hash key = stage_key(n % 3, n);
        EXPECT(limiter_ask(&key, 1, RL_HOW_TAKE).status == RL_ALLOWED);
    }
    rl_hash other = stage_key(3, 0);
    EXPECT(limiter_ask(&other, 1, RL_HOW_TAKE).status == RL_LIMITER_FULL);
    rl_hash known = stage_key(0, 0);
    EXPECT(limiter_ask(&known, 1, RL_HOW_TAKE).status == RL_ALLOWED);
    tr_sleep((int64_t)TOKEN_MS * 3);
    EXPECT(limiter_ask(&other, 1, RL_HOW_TAKE).status ==
           RL_LIMITER_FULL); /* its own partition has none to drop */
    rl_room_made made;
    EXPECT(TR_CALL(rl_partition_pid(1), 100, rl_room_made, &made, rl_make_room, .lines = 4096) == TR_OK);
    EXPECT(made.dropped >= 3);
    EXPECT(limiter_ask(&other, 1, RL_HOW_TAKE).status == RL_ALLOWED);
    limiter_stage_stop();
}

/* --- numbers --- */

SCENE(limiter, override_begins_changes_and_ends_at_the_level_it_finds)
{
    limiter_stage_start(1, 100, 10);
    rl_hash key = stage_key(0, 0);
    rl_set_override set = {.hash = key, .cookie = 7, .policy_id = STAGE_POLICY, .policy = stage_policy(50)};
    EXPECT(limiter_ask(&key, 4, RL_HOW_TAKE).status == RL_ALLOWED);
    EXPECT(limiter_tell(0, TR_TYPE(rl_set_override), &set).result == RL_OK);
    EXPECT(limiter_remaining(&key) == 46);
    EXPECT(limiter_tell(0, TR_TYPE(rl_set_override), &set).result == RL_OK); /* twice is once */
    set.policy = stage_policy(20);
    EXPECT(limiter_tell(0, TR_TYPE(rl_set_override), &set).result == RL_OK);
    EXPECT(limiter_remaining(&key) == 16);
    limiter_kill(0);
    EXPECT(limiter_remaining(&key) == 16);
    rl_drop_override drop = {.hash = key, .policy_id = STAGE_POLICY};
    EXPECT(limiter_tell(0, TR_TYPE(rl_drop_override), &drop).result == RL_OK);
    EXPECT(limiter_tell(0, TR_TYPE(rl_drop_override), &drop).result == RL_OK);
    EXPECT(limiter_remaining(&key) == 6);
    limiter_stage_stop();
}

SCENE(limiter, removed_policy_takes_overrides_along_in_slices)
{
    limiter_stage_start(1, 100, 10);
    rl_set_policy policy = {.policy_id = 9, .policy = stage_policy(5)};
    EXPECT(limiter_tell(0, TR_TYPE(rl_set_policy), &policy).result == RL_OK);
    for (uint64_t i = 1; i <= 1000; i++) {
        rl_set_override set = {
            .hash = {{i, i * 77}}, .cookie = i, .policy_id = 9, .policy = stage_policy(50)};
        EXPECT(limiter_tell(0, TR_TYPE(rl_set_override), &set).result == RL_OK);
    }
    rl_drop_policy drop = {.policy_id = 9};
    int slices = 1;
    while (limiter_tell(0, TR_TYPE(rl_drop_policy), &drop).more) {
        slices++;
    }
    EXPECT(slices == 4);
    EXPECT(rl_key_index_count(rl_service.partitions[0].overrides) == 0);
    rl_set_override late = {.hash = {{1, 77}}, .cookie = 1, .policy_id = 9, .policy = stage_policy(50)};
    EXPECT(limiter_tell(0, TR_TYPE(rl_set_override), &late).result == RL_E_UNKNOWN_RATE);
    limiter_stage_stop();
}

/* A death between the steps of a change leaves one of these; the successor puts them right. */
SCENE(limiter, successor_mends_half_made_overrides)
{
    limiter_stage_start(1, 100, 10);
    rl_partition *partition = &rl_service.partitions[0];
    rl_hash stray = stage_key(0, 0);
    rl_hash moved = stage_key(0, 1);
    rl_hash gone = stage_key(0, 2);
    rl_policy fifty = stage_policy(50);
    rl_policy thirty = stage_policy(30);
    rl_rate rate = rl_rate_make(&fifty);
    rl_rate other = rl_rate_make(&thirty);
    rl_key_entry entry = {.cookie = 3};
    uint32_t rate_id = 0;
    uint32_t policy_rate = 1;

    EXPECT(limiter_ask(&stray, 4, RL_HOW_TAKE).status == RL_ALLOWED);
    tr_sys_suspend(tr_to(rl_partition_pid(0)), 100) == TR_OK ? (void)0 : tr_exit(tr_atom("suspend"));
    /* rate added and the key rebased, index not written */
    EXPECT(rl_table_rate_add(partition->table, &rate, STAGE_POLICY, 5, &rate_id) == RL_OK);
    EXPECT(rl_table_rebase(partition->table, tr_now_ns(), rate_id, &stray) == RL_OK);
    /* rate replaced, index not written */
    EXPECT(rl_partition_set_override(partition, tr_now_ns(), STAGE_POLICY, &moved, 3, &fifty) == RL_OK);
    EXPECT(rl_key_index_find(partition->overrides, &moved, &entry));
    EXPECT(rl_table_rate_replace(partition->table, tr_now_ns(), entry.rate_id, &other, &rate_id) == RL_OK);
    /* rate merged, index not written */
    EXPECT(rl_partition_set_override(partition, tr_now_ns(), STAGE_POLICY, &gone, 4, &fifty) == RL_OK);
    EXPECT(rl_key_index_find(partition->overrides, &gone, &entry));
    EXPECT(rl_table_rate_merge(partition->table, tr_now_ns(), entry.rate_id, policy_rate) == RL_OK);
    limiter_kill(0);
    EXPECT(limiter_remaining(&stray) == 6);
    EXPECT(limiter_remaining(&moved) == 30);
    EXPECT(limiter_remaining(&gone) == 10);
    EXPECT(rl_key_index_count(partition->overrides) == 1);
    limiter_stage_stop();
}

/* --- suspended --- */

SCENE(limiter, suspended_partition_stalls_its_keys_only)
{
    limiter_stage_start(2, 100, 10);
    rl_hash held = stage_key(0, 0);
    rl_hash free_key = stage_key(1, 0);
    rl_decided got;
    EXPECT(tr_sys_suspend(tr_to(rl_partition_pid(0)), 100) == TR_OK);
    EXPECT(TR_CALL(rl_partition_pid(0), 700, rl_decided, &got, rl_check, .hash = held, .cost = 1,
                   .policy_id = STAGE_POLICY) == TR_E_TIMEOUT);
    EXPECT(limiter_ask(&free_key, 1, RL_HOW_TAKE).status == RL_ALLOWED);
    EXPECT(tr_sys_resume(tr_to(rl_partition_pid(0)), 100) == TR_OK);
    EXPECT(limiter_ask(&held, 1, RL_HOW_TAKE).decision.remaining ==
           8); /* what was asked late was decided, too */
    limiter_stage_stop();
}
