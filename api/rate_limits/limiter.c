#include "api/rate_limits/limiter.h"

#include "api/rate_limits/limiter_adopt.h"
#include "server/log.h"
#include "server/restarts.h"

#include <stdio.h>
#include <unistd.h>

/* Overrides of a removed policy that one message drops. */
#define DROP_SLICE 256

/* --- decisions --- */

uint32_t rl__limiter_rate(const limiter *self, uint32_t policy_id, const rl_hash *hash)
{
    const rl_policy_slot *policy = rl_policy_map_find(&self->policies, policy_id);
    rl_key_entry entry;

    if (policy == NULL) {
        return 0;
    }
    if (policy->overrides != 0 && rl_key_index_find(self->partition->overrides, hash, &entry)) {
        return entry.rate_id;
    }
    return policy->rate_id;
}

void rl__limiter_tally(rl_tally *tally, const rl_verdict *verdict)
{
    if (verdict->status == RL_ALLOWED) {
        tally->allowed++;
    } else if (verdict->status == RL_LIMITER_FULL) {
        tally->limiter_full++;
    } else if (verdict->status == RL_DENIED || verdict->status == RL_BLOCKED) {
        if (verdict->admitted) {
            tally->shadow_denied++;
        } else {
            tally->denied++;
        }
    }
}

static inline void count_one(metric_counter counter, uint64_t n)
{
    if (n != 0) {
        metric_count(counter, n);
    }
}

void rl__limiter_count(limiter *self, const rl_tally *tally)
{
    const struct rl_metrics *metrics = &rl_service.metrics;

    if (tally->allowed != 0 && __atomic_load_n(&self->partition->dirty, __ATOMIC_RELAXED) == 0) {
        __atomic_store_n(&self->partition->dirty, 1, __ATOMIC_RELAXED);
    }
    count_one(metrics->allowed, tally->allowed);
    count_one(metrics->denied, tally->denied);
    count_one(metrics->shadow_denied, tally->shadow_denied);
    count_one(metrics->limiter_full, tally->limiter_full);
    self->decisions += tally->allowed + tally->denied + tally->shadow_denied + tally->limiter_full;
}

void rl__limiter_check(limiter *self, const rl_check *check, rl_decided *out)
{
    uint32_t rate_id = rl__limiter_rate(self, check->policy_id, &check->hash);
    rl_table *table = self->partition->table;
    rl_tally tally = {0};
    rl_verdict verdict;

    if (check->how == RL_HOW_PEEK) {
        rl_table_peek(table, tr_now_ns(), rate_id, &check->hash, check->cost, &verdict);
    } else {
        rl_table_check(table, tr_now_ns(), rate_id, &check->hash, check->cost, &verdict);
        rl__limiter_tally(&tally, &verdict);
        rl__limiter_count(self, &tally);
    }
    out->status = verdict.status;
    if (verdict.status != RL_UNKNOWN_RATE) {
        rl_decision_make(&verdict, &out->decision);
    }
}

bool rl__limiter_reset(limiter *self, const rl_hash *hash)
{
    return rl_table_reset(self->partition->table, hash);
}

static tr_next answer_check(limiter *self, tr_from from, const rl_check *check)
{
    rl_decided decided = {.status = RL_UNKNOWN_RATE};

    if (self->locks.keys != 0 && rl__limiter_wait_check(self, from, check)) {
        return TR_NOREPLY;
    }
    rl__limiter_check(self, check, &decided);
    (void)tr_reply(from, TR_TYPE(rl_decided), &decided);
    return TR_NOREPLY;
}

static tr_next answer_reset(limiter *self, tr_from from, const rl_reset *reset)
{
    if (self->locks.keys != 0 && rl__limiter_wait_reset(self, from, &reset->hash)) {
        return TR_NOREPLY;
    }
    return TR_REPLY(from, rl_was_reset, .known = rl__limiter_reset(self, &reset->hash));
}

static tr_next answer_make_room(limiter *self, tr_from from, const rl_make_room *ask)
{
    uint64_t now_ns = tr_now_ns();
    uint64_t room_in_ns = rl_table_room_in_ns(self->partition->table, now_ns);
    uint32_t dropped = room_in_ns != 0 ? 0 : rl_table_sweep(self->partition->table, now_ns, ask->lines);

    return TR_REPLY(from, rl_room_made, .dropped = dropped,
                    .room_in_ns = rl_table_room_in_ns(self->partition->table, now_ns));
}

/* --- numbers --- */

static enum rl_result set_policy(limiter *self, const rl_set_policy *set)
{
    rl_policy_slot *policy = rl_policy_map_find(&self->policies, set->policy_id);
    uint32_t rate_id = policy == NULL ? 0 : policy->rate_id;
    enum rl_result result =
        rl_partition_set_policy(self->partition, tr_now_ns(), set->policy_id, &rate_id, &set->policy);

    if (result == RL_OK && policy == NULL) {
        (void)rl_policy_map_put(&self->policies, set->policy_id, rate_id);
    } else if (result == RL_OK) {
        policy->rate_id = rate_id;
    }
    return result;
}

static enum rl_result set_override(limiter *self, const rl_set_override *set)
{
    rl_policy_slot *policy = rl_policy_map_find(&self->policies, set->policy_id);
    rl_key_entry entry;
    bool is_new = !rl_key_index_find(self->partition->overrides, &set->hash, &entry);
    enum rl_result result;

    if (policy == NULL) {
        return RL_E_UNKNOWN_RATE;
    }
    result = rl_partition_set_override(self->partition, tr_now_ns(), set->policy_id, &set->hash, set->cookie,
                                       &set->policy);
    if (result == RL_OK && is_new) {
        policy->overrides++;
    }
    return result;
}

static void end_override(limiter *self, rl_policy_slot *policy, const rl_hash *hash)
{
    rl_key_index_erase(self->partition->overrides, hash);
    policy->overrides--;
    __atomic_sub_fetch(&self->partition->override_count, 1, __ATOMIC_RELAXED);
}

static enum rl_result drop_override(limiter *self, const rl_drop_override *drop)
{
    rl_policy_slot *policy = rl_policy_map_find(&self->policies, drop->policy_id);
    rl_key_entry entry;

    if (policy == NULL || !rl_key_index_find(self->partition->overrides, &drop->hash, &entry)) {
        return RL_OK;
    }
    (void)rl_table_rate_merge(self->partition->table, tr_now_ns(), entry.rate_id, policy->rate_id);
    end_override(self, policy, &drop->hash);
    return RL_OK;
}

/* Overrides first, a slice at a time; the policy's own rate with the last of them. Returns: is there more. */
static bool drop_policy(limiter *self, uint32_t policy_id)
{
    rl_policy_slot *policy = rl_policy_map_find(&self->policies, policy_id);
    uint64_t now_ns = tr_now_ns();
    uint64_t at = 0;
    rl_key_entry entry;
    rl_rate_info info;
    rl_hash hash;
    int dropped = 0;

    while (policy != NULL && policy->overrides != 0 &&
           rl_key_index_next(self->partition->overrides, &at, &hash, &entry)) {
        if (!rl_table_rate_get(self->partition->table, entry.rate_id, &info) || info.policy_id != policy_id) {
            continue;
        }
        if (dropped++ == DROP_SLICE) {
            return true;
        }
        (void)rl_table_rate_remove(self->partition->table, now_ns, entry.rate_id);
        end_override(self, policy, &hash);
    }
    if (policy != NULL) {
        (void)rl_table_rate_remove(self->partition->table, now_ns, policy->rate_id);
        rl_policy_map_erase(&self->policies, policy_id);
    }
    return false;
}

static bool answer_numbers(limiter *self, tr_from from, const tr_msg *msg)
{
    const rl_set_policy *policy = TR_MATCH(msg, rl_set_policy);
    const rl_set_override *set = TR_MATCH(msg, rl_set_override);
    const rl_drop_override *drop = TR_MATCH(msg, rl_drop_override);
    const rl_drop_policy *remove = TR_MATCH(msg, rl_drop_policy);
    rl_switched switched = {.result = RL_OK};

    if (policy != NULL) {
        switched.result = set_policy(self, policy);
    } else if (set != NULL) {
        switched.result = set_override(self, set);
    } else if (drop != NULL) {
        switched.result = drop_override(self, drop);
    } else if (remove != NULL) {
        switched.more = drop_policy(self, remove->policy_id);
    } else {
        return false;
    }
    (void)tr_reply(from, TR_TYPE(rl_switched), &switched);
    return true;
}

/* --- saving --- */

static void note_memory(const limiter *self)
{
    rl_table_info info;

    rl_table_info_get(self->partition->table, &info);
    __atomic_store_n(&self->partition->memory_bytes, info.memory_bytes, __ATOMIC_RELAXED);
}

static tr_next answer_save(limiter *self, tr_from from, const rl_save_slice *slice)
{
    tr_blob *records = tr_blob_new(NULL, slice->room * sizeof(rl_record));
    rl_saved_slice saved = {.records = records, .cursor = slice->cursor};

    saved.count =
        (uint32_t)rl_table_save(self->partition->table, tr_now_ns(), (enum rl_save)slice->what, &saved.cursor,
                                slice->lines, (rl_record *)(void *)records->bytes, slice->room);
    (void)tr_reply(from, TR_TYPE(rl_saved_slice), &saved);
    tr_blob_drop(records);
    note_memory(self);
    return TR_NOREPLY;
}

/* --- the process --- */

static tr_next limiter_init(limiter *self, const void *arg)
{
    self->index = *(const uint32_t *)arg;
    self->partition = &rl_service.partitions[self->index];
    if (!rl__limiter_adopt(self)) {
        log_fatal_now(EVENT_SERVICE_FAILED, log_str("what", "the memory of a limiter partition is damaged"),
                      log_uint("partition", self->index), log_int("exit", TROUPED_EXIT_BROKEN));
        _exit(TROUPED_EXIT_BROKEN);
    }
    rl__limiter_settle_all(self);
    note_memory(self);
    TR_CHECK(tr_register(self->partition->name, tr_self()) == TR_OK);
    return TR_INIT_OK;
}

static tr_next limiter_handle_call(limiter *self, tr_from from, const tr_msg *msg)
{
    const rl_check *check = TR_MATCH(msg, rl_check);
    const rl_batch_part *part;
    const rl_batch_lock *lock;
    const rl_reset *reset;
    const rl_make_room *room;
    const rl_save_slice *save;

    if (check != NULL) {
        return answer_check(self, from, check);
    }
    if ((part = TR_MATCH(msg, rl_batch_part)) != NULL) {
        return rl__limiter_batch_part(self, from, part);
    }
    if ((lock = TR_MATCH(msg, rl_batch_lock)) != NULL) {
        return rl__limiter_batch_lock(self, from, lock);
    }
    if ((reset = TR_MATCH(msg, rl_reset)) != NULL) {
        return answer_reset(self, from, reset);
    }
    if ((room = TR_MATCH(msg, rl_make_room)) != NULL) {
        return answer_make_room(self, from, room);
    }
    if ((save = TR_MATCH(msg, rl_save_slice)) != NULL) {
        return answer_save(self, from, save);
    }
    return answer_numbers(self, from, msg) ? TR_NOREPLY : tr_unexpected(msg);
}

static tr_next limiter_handle_cast(limiter *self, const tr_msg *msg)
{
    const rl_batch_settle *settle = TR_MATCH(msg, rl_batch_settle);

    if (settle == NULL) {
        return tr_unexpected(msg);
    }
    rl__limiter_batch_settle(self, settle->batch);
    return TR_NOREPLY;
}

static tr_next limiter_handle_info(limiter *self, const tr_msg *msg)
{
    const tr_down_msg *down = TR_MATCH(msg, tr_down_msg);

    if (down != NULL) {
        rl__limiter_coordinator_down(self, down->ref);
    }
    return TR_NOREPLY;
}

static tr_term limiter_format_state(const limiter *self)
{
    rl_table_info info;

    rl_table_info_get(self->partition->table, &info);
    return tr_map_n(
        5, (tr_term[]){tr_atom("partition"), tr_int(self->index), tr_atom("keys"), tr_int((int64_t)info.keys),
                       tr_atom("policies"), tr_int(self->policies.count), tr_atom("locked_keys"),
                       tr_int(self->locks.keys), tr_atom("decisions"), tr_int((int64_t)self->decisions)});
}

TR_GEN_SERVER(limiter, .init = limiter_init, .handle_call = limiter_handle_call,
              .handle_cast = limiter_handle_cast, .handle_info = limiter_handle_info,
              .format_state = limiter_format_state);

/* --- their supervisor --- */

static size_t partition_argument(uint32_t partition, const void *arg, void *out, size_t bytes)
{
    (void)arg;
    if (bytes >= sizeof(partition)) {
        memcpy(out, &partition, sizeof(partition));
    }
    return sizeof(partition);
}

tr_child_spec rl_partitions_child_spec(void)
{
    static tr_partition_opts options;
    static const tr_sup_flags without_settings = {.intensity = 100, .period_s = 5};
    tr_child_spec spec;

    options = (tr_partition_opts){
        .partitions = rl_service.partition_count,
        .child = {.server = limiter_server},
        .with_arguments = partition_argument,
        .flags = rl_service.settings == NULL ? without_settings : restarts_allowed(rl_service.settings),
    };
    tr_partition_child_spec(&options, rl_service.partitions_name, &spec);
    return spec;
}
