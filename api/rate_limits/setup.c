/* From the store to the tables, before there are processes; the tree; and the way back. */
#define _GNU_SOURCE
#include "api/rate_limits/limiter.h"
#include "api/rate_limits/policies.h"
#include "api/rate_limits/records.h"
#include "api/rate_limits/saver.h"
#include "server/log.h"
#include "server/restarts.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define READ_LIMIT_MS 600000

struct loading {
    rl_policy_entry *policies;
    uint32_t policy_count, policy_room;
    uint32_t *rates; /* of policy i in partition p at i * partition_count + p */
    int64_t now_ms;
    uint64_t levels, left_out;
    bool no_memory;
};

/* --- first rows --- */

struct first_rows {
    struct store_write write; /* first */
    rl_seed seed;
    enum store_status status;
};

static enum store_status first_apply(struct store_tx *tx, void *arg)
{
    return rl_sql_first_rows(tx, &((struct first_rows *)arg)->seed, NULL);
}

static void first_done(struct store_write *write, enum store_status status)
{
    ((struct first_rows *)(void *)write)->status = status;
}

static bool write_first_rows(char *why, size_t bytes)
{
    struct first_rows first = {.write = {.apply = first_apply, .done = first_done}, .status = STORE_CLOSED};

    first.write.arg = &first;
    if (getrandom(&first.seed, sizeof(first.seed), 0) != (ssize_t)sizeof(first.seed)) {
        snprintf(why, bytes, "the system gives no random bytes");
        return false;
    }
    if (store_submit(rl_service.store, &first.write)) {
        (void)store_quiesce(rl_service.store);
    }
    if (first.status != STORE_OK) {
        snprintf(why, bytes, "the first rows of the rate limits cannot be written: %s",
                 store_status_text(first.status));
        return false;
    }
    return true;
}

/* --- loading --- */

static int load_policy(void *ctx, const rl_policy_entry *entry)
{
    struct loading *loading = ctx;
    uint32_t parts = rl_service.partition_count;

    if (loading->policy_count == loading->policy_room) {
        uint32_t room = loading->policy_room == 0 ? 16 : 2 * loading->policy_room;
        rl_policy_entry *policies = realloc(loading->policies, room * sizeof(*policies));
        if (policies != NULL) {
            loading->policies = policies;
        }
        uint32_t *rates = realloc(loading->rates, (size_t)room * parts * sizeof(*rates));
        if (rates != NULL) {
            loading->rates = rates;
        }
        if (policies == NULL || rates == NULL) {
            loading->no_memory = true;
            return 1;
        }
        loading->policy_room = room;
    }
    loading->policies[loading->policy_count] = *entry;
    for (uint32_t p = 0; p < parts; p++) {
        uint32_t *rate = &loading->rates[loading->policy_count * parts + p];
        *rate = 0;
        if (rl_partition_set_policy(&rl_service.partitions[p], rl_service.start_ns, entry->policy_id, rate,
                                    &entry->policy) != RL_OK) {
            loading->no_memory = true;
            return 1;
        }
    }
    loading->policy_count++;
    return 0;
}

static bool find_policy(const struct loading *loading, uint32_t policy_id, uint32_t *at)
{
    uint32_t low = 0;
    uint32_t high = loading->policy_count;

    while (low < high) { /* they came in order of id */
        uint32_t middle = low + (high - low) / 2;
        if (loading->policies[middle].policy_id < policy_id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *at = low;
    return low < loading->policy_count && loading->policies[low].policy_id == policy_id;
}

static int load_override(void *ctx, const rl_override_row *row)
{
    struct loading *loading = ctx;
    rl_hash hash = rl_key_hash(&rl_service.seed, row->name.policy_id, row->name.key, row->name.key_bytes);
    uint32_t at;

    if (row->expires_at_ms <= loading->now_ms || !find_policy(loading, row->name.policy_id, &at)) {
        return 0; /* the policies' process takes it out */
    }
    if (rl_partition_set_override(&rl_service.partitions[rl_partition_of(&hash)], rl_service.start_ns,
                                  row->name.policy_id, &hash, row->cookie, &row->policy) != RL_OK) {
        loading->no_memory = true;
        return 1;
    }
    return 0;
}

static int load_level(void *ctx, const rl_record *record, int64_t saved_at_ms)
{
    struct loading *loading = ctx;
    uint32_t index = rl_partition_of(&record->hash);
    rl_partition *partition = &rl_service.partitions[index];
    rl_key_entry entry;
    uint32_t at;

    if (!find_policy(loading, record->policy_id, &at)) {
        return 0;
    }
    uint32_t rate_id = rl_key_index_find(partition->overrides, &record->hash, &entry)
                           ? entry.rate_id
                           : loading->rates[at * rl_service.partition_count + index];
    enum rl_result result = rl_table_restore(partition->table, rl_service.start_ns, rate_id, record,
                                             rl_wall_elapsed_ns(saved_at_ms, loading->now_ms));
    if (result == RL_OK) {
        loading->levels++;
    } else {
        loading->left_out++;
    }
    return 0;
}

static enum store_status load_all(struct store_reader *reader, struct loading *loading)
{
    bool found = false;
    enum store_status status = rl_read_seed(reader, &rl_service.seed, &found);

    if (status == STORE_OK && !found) {
        return STORE_CORRUPT;
    }
    if (status == STORE_OK) {
        status = rl_read_policies(reader, load_policy, loading);
    }
    if (status == STORE_OK) {
        status = rl_read_overrides(reader, load_override, loading);
    }
    if (status == STORE_OK) {
        status = rl_read_levels(reader, load_level, loading);
    }
    return status == STORE_OK && loading->no_memory ? STORE_NOMEM : status;
}

static bool load(char *why, size_t bytes)
{
    struct loading loading = {.now_ms = rl_wall_ms()};
    struct store_reader *reader = NULL;
    struct store_error error = {.text = ""};
    rl_snapshot *snapshot = NULL;
    enum store_status status = store_reader_open(rl_service.store, READ_LIMIT_MS, &reader, &error);

    if (status == STORE_OK) {
        status = load_all(reader, &loading);
        store_reader_close(reader);
    }
    if (status == STORE_OK) {
        snapshot = rl_snapshot_create(loading.policies, loading.policy_count);
    }
    free(loading.policies);
    free(loading.rates);
    if (snapshot == NULL) {
        snprintf(why, bytes, "the rate limits cannot be loaded: %s",
                 store_status_text(status == STORE_OK ? STORE_NOMEM : status));
        return false;
    }
    rl_snapshot_publish(&rl_service.policies, snapshot);
    log_event(loading.left_out == 0 ? LOG_INFO : LOG_WARN, EVENT_LIMITS_RESTORED,
              log_uint("policies", loading.policy_count), log_uint("overrides", rl_override_count()),
              log_uint("levels", loading.levels), log_uint("left_out", loading.left_out));
    return true;
}

/* --- what the composition root calls --- */

const struct store_schema *rate_limits_schemas(size_t *count)
{
    *count = 1;
    return &rl_schema;
}

bool rate_limits_setup(const struct settings *settings, struct store *store, int workers, char *why,
                       size_t bytes)
{
    if (!rl_service_init((uint32_t)settings->partitions, (uint32_t)settings->max_keys, workers, why, bytes)) {
        return false;
    }
    rl_service.settings = settings;
    rl_service.store = store;
    rl_service.save_interval_ms = (uint32_t)settings->save_interval_ms;
    if (!write_first_rows(why, bytes) || !load(why, bytes)) {
        rl_service_fini();
        return false;
    }
    return true;
}

static tr_err sup_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                       tr_term *reason)
{
    tr_child_spec *specs = tr_scratch_alloc(3 * sizeof(*specs));

    (void)arg;
    (void)reason;
    specs[0] = rl_partitions_child_spec();
    specs[1] = rl_policies_child_spec();
    specs[2] = rl_saver_child_spec();
    *flags = restarts_allowed(rl_service.settings);
    *children = specs;
    *count = 3;
    return TR_OK;
}

tr_child_spec rate_limits_child_spec(void)
{
    static const tr_supervisor supervisor = {.name = "rate_limits.sup", .init = sup_init};

    return (tr_child_spec){.id = tr_atom("rate_limits.sup"),
                           .supervisor = &supervisor,
                           .start = {.name = tr_atom("rate_limits.sup")}};
}

bool rate_limits_ready(char *detail, size_t bytes)
{
    uint32_t there = 0;

    for (uint32_t i = 0; i < rl_service.partition_count; i++) {
        there += rl_partition_pid(i) != TR_NO_PID;
    }
    bool policies = tr_whereis(tr_to_name(rl_service.policies_name)) != TR_NO_PID;
    snprintf(detail, bytes, "%u of %u partitions%s", there, rl_service.partition_count,
             policies ? "" : ", policies are restarting");
    return policies && there == rl_service.partition_count;
}

void rate_limits_teardown(void)
{
    rl_service_fini();
}
