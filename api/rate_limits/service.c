#define _GNU_SOURCE
#include "api/rate_limits/service.h"

#include "api/rate_limits/batch_items.h"
#include "api/rate_limits/limiter.h"
#include "runtime/sys/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define PARTITIONS_A_WORKER   4
#define PARTITIONS_CHOSEN_MAX 64u

struct rl_service rl_service;

int64_t rl_wall_ms(void)
{
    return tr__clock_wall_ms();
}

static double read_keys(void *context)
{
    (void)context;
    return (double)__atomic_load_n(&rl_service.budget.used, __ATOMIC_RELAXED);
}

uint64_t rl_override_count(void)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < rl_service.partition_count; i++) {
        count += __atomic_load_n(&rl_service.partitions[i].override_count, __ATOMIC_RELAXED);
    }
    return count;
}

static double read_overrides(void *context)
{
    (void)context;
    return (double)rl_override_count();
}

static double read_memory(void *context)
{
    uint64_t bytes = 0;

    (void)context;
    for (uint32_t i = 0; i < rl_service.partition_count; i++) {
        bytes += __atomic_load_n(&rl_service.partitions[i].memory_bytes, __ATOMIC_RELAXED);
    }
    return (double)bytes;
}

static metric_counter decisions(const char *result)
{
    return metrics_counter(&(struct metric_options){.name = "troupe_rate_limit_decisions_total",
                                                    .help = "Rate-limit decisions by result.",
                                                    .labels = {{"result", result}}});
}

static metric_counter counter(const char *name, const char *help)
{
    return metrics_counter(&(struct metric_options){.name = name, .help = help});
}

static void gauge(const char *name, const char *help, double (*read)(void *context))
{
    metrics_gauge_callback(&(struct metric_options){.name = name, .help = help, .read = read});
}

static void metrics_init(void)
{
    static bool registered;
    struct rl_metrics *metrics = &rl_service.metrics;
    static struct rl_metrics kept;

    if (!registered) {
        registered = true;
        kept.allowed = decisions("allowed");
        kept.denied = decisions("denied");
        kept.shadow_denied = decisions("shadow_denied");
        kept.limiter_full = decisions("limiter_full");
        kept.saves = counter("troupe_rate_limit_saves_total", "Rounds in which levels were saved.");
        kept.save_failures =
            counter("troupe_rate_limit_save_failures_total", "Rounds that could not be saved.");
        kept.saved_levels = counter("troupe_rate_limit_saved_levels_total", "Levels written to the store.");
        gauge("troupe_rate_limit_keys", "Keys with a bucket in memory.", read_keys);
        gauge("troupe_rate_limit_overrides", "Keys with numbers of their own.", read_overrides);
        gauge("troupe_rate_limit_table_bytes", "Memory of the bucket tables.", read_memory);
    }
    *metrics = kept;
}

static uint32_t choose_partitions(uint32_t asked, int workers)
{
    uint32_t chosen = asked != 0 ? asked : (uint32_t)(workers < 1 ? 1 : workers) * PARTITIONS_A_WORKER;

    if (asked == 0 && chosen > PARTITIONS_CHOSEN_MAX) {
        chosen = PARTITIONS_CHOSEN_MAX;
    }
    return chosen < RL_PARTITIONS_MAX ? chosen : RL_PARTITIONS_MAX;
}

static bool partition_init(rl_partition *partition, uint32_t index, uint32_t max_keys)
{
    rl_table_options options = {.start_ns = rl_service.start_ns,
                                .max_keys = max_keys,
                                .max_rates = RL_RATES_MAX,
                                .budget = &rl_service.budget};
    char name[64];

    snprintf(name, sizeof(name), "rate_limits.partition.%u", index);
    partition->name = tr_atom(name);
    partition->overrides = rl_key_index_create();
    return partition->overrides != NULL && rl_table_create(&options, &partition->table) == RL_OK;
}

bool rl_service_init(uint32_t partitions, uint32_t max_keys, int workers, char *why, size_t bytes)
{
    uint32_t count = choose_partitions(partitions, workers);

    rl_service = (struct rl_service){.start_ns = tr_now_ns(),
                                     .partition_count = count,
                                     .save_interval_ms = 1000,
                                     .budget = {.max = max_keys},
                                     .partitions_name = tr_atom("rate_limits.partitions"),
                                     .policies_name = tr_atom("rate_limits.policies"),
                                     .saver_name = tr_atom("rate_limits.saver")};
    metrics_init();
    rl_service.partitions = aligned_alloc(_Alignof(rl_partition), count * sizeof(rl_partition));
    if (rl_service.partitions == NULL) {
        snprintf(why, bytes, "no memory for %u limiter partitions", count);
        return false;
    }
    memset(rl_service.partitions, 0, count * sizeof(rl_partition));
    for (uint32_t i = 0; i < count; i++) {
        if (!partition_init(&rl_service.partitions[i], i, max_keys)) {
            snprintf(why, bytes, "no memory for the buckets of %u keys in %u partitions", max_keys, count);
            rl_service_fini();
            return false;
        }
    }
    return true;
}

static void open_batches_fini(rl_partition *partition)
{
    while (partition->open != NULL) {
        rl_open_batch *open = partition->open;
        partition->open = open->next;
        tr_blob_drop(open->batch);
        free(open);
    }
}

void rl_service_fini(void)
{
    for (uint32_t i = 0; rl_service.partitions != NULL && i < rl_service.partition_count; i++) {
        open_batches_fini(&rl_service.partitions[i]);
        rl_key_index_destroy(rl_service.partitions[i].overrides);
        rl_table_destroy(rl_service.partitions[i].table);
    }
    free(rl_service.partitions);
    rl_snapshot_fini(&rl_service.policies);
    rl_service = (struct rl_service){.partition_count = 0};
}
