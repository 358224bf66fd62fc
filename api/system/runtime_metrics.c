/* The node's counters as metrics. Each series reads them anew: a scrape is rare, and they are a sum over a few cores. */
#include "api/system/system_impl.h"
#include "server/metrics.h"

#include <stddef.h>

struct series {
    const char *name;
    const char *help;
    size_t offset; /* of the counter in tr_node_stats */
    bool counter;
};

#define STAT(member) offsetof(tr_node_stats, member)

static const struct series all_series[] = {
    {"troupe_runtime_processes", "Processes alive.", STAT(processes), false},
    {"troupe_runtime_processes_spawned_total", "Processes started.", STAT(processes_spawned), true},
    {"troupe_runtime_messages_sent_total", "Messages and signals sent.", STAT(messages_sent), true},
    {"troupe_runtime_messages_dead_letter_total", "Messages to processes that were gone.",
     STAT(messages_dead_letter), true},
    {"troupe_runtime_messages_refused_total", "Messages refused because a mailbox was full.",
     STAT(messages_refused), true},
    {"troupe_runtime_slices_total", "Times a process was run.", STAT(slices), true},
    {"troupe_runtime_steals_total", "Processes taken over from another core's queue.", STAT(steals), true},
    {"troupe_runtime_wakeups_total", "Times a sleeping core was woken.", STAT(wakeups), true},
    {"troupe_runtime_parks_total", "Times a process parked in the middle of a function.", STAT(parked), true},
    {"troupe_runtime_timers", "Timers that have not fired.", STAT(timers), false},
    {"troupe_runtime_stacks", "Stacks of processes, in use or kept.", STAT(stacks), false},
    {"troupe_runtime_stacks_free", "Stacks of processes that are kept for the next one.", STAT(stacks_free),
     false},
    {"troupe_runtime_allocated_bytes_total", "Bytes allocated for processes and messages.",
     STAT(bytes_allocated), true},
    {"troupe_runtime_freed_bytes_total", "Bytes of processes and messages given back.", STAT(bytes_freed),
     true},
};

static double read_series(void *context)
{
    const struct series *series = context;
    tr_node_stats stats = {0};
    tr_node_stats_get(&stats);
    return (double)*(const uint64_t *)(const void *)((const char *)&stats + series->offset);
}

static double read_workers(void *context)
{
    (void)context;
    return (double)tr_node_workers();
}

void system_register_runtime_metrics(void)
{
    for (size_t i = 0; i < sizeof(all_series) / sizeof(all_series[0]); i++) {
        const struct series *series = &all_series[i];
        struct metric_options options = {.name = series->name,
                                         .help = series->help,
                                         .read = read_series,
                                         .context = (void *)(uintptr_t)series};
        if (series->counter) {
            metrics_counter_callback(&options);
        } else {
            metrics_gauge_callback(&options);
        }
    }
    metrics_gauge_callback(&(struct metric_options){
        .name = "troupe_runtime_workers", .help = "Threads that run processes.", .read = read_workers});
}
