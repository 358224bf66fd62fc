#include "server/store/store_metrics.h"

#include "server/metrics.h"
#include "server/store/store.h"
#include "server/store/store_stats.h"

static const struct store *watched;

#define READ(name, expression)               \
    static double read_##name(void *context) \
    {                                        \
        (void)context;                       \
        struct store_stats stats;            \
        store_stats_read(watched, &stats);   \
        return (double)(expression);         \
    }

READ(commits, stats.commits)
READ(writes_ok, stats.writes_ok)
READ(writes_rejected, stats.writes_rejected)
READ(writes_full, stats.writes_full)
READ(writes_failed, stats.writes_failed + stats.writes_unknown + stats.writes_busy)
READ(commit_seconds, (double)stats.commit_us_sum / 1e6)
READ(wait_seconds, (double)stats.wait_us_sum / 1e6)
READ(queue, stats.queue_length)
READ(wal_bytes, stats.wal_bytes)
READ(checkpoints, stats.checkpoints)
READ(checkpoints_failed, stats.checkpoints_failed)
READ(broken, stats.broken ? 1 : 0)

static double read_full(void *context)
{
    (void)context;
    return store_is_full(watched) ? 1 : 0;
}

static void counter(const char *name, const char *help, const char *label, const char *value,
                    double (*read)(void *))
{
    metrics_counter_callback(
        &(struct metric_options){.name = name, .help = help, .labels = {{label, value}}, .read = read});
}

static void gauge(const char *name, const char *help, double (*read)(void *))
{
    metrics_gauge_callback(&(struct metric_options){.name = name, .help = help, .read = read});
}

void store_metrics_register(struct store *store)
{
    static const char *const writes = "Writes decided, by outcome.";
    watched = store;
    counter("troupe_store_commits_total", "Groups committed with one sync.", NULL, NULL, read_commits);
    counter("troupe_store_writes_total", writes, "result", "ok", read_writes_ok);
    counter("troupe_store_writes_total", writes, "result", "rejected", read_writes_rejected);
    counter("troupe_store_writes_total", writes, "result", "full", read_writes_full);
    counter("troupe_store_writes_total", writes, "result", "failed", read_writes_failed);
    counter("troupe_store_commit_seconds_total", "Time spent in commits.", NULL, NULL, read_commit_seconds);
    counter("troupe_store_wait_seconds_total", "Time writes waited until they were decided.", NULL, NULL,
            read_wait_seconds);
    counter("troupe_store_checkpoints_total", "Complete checkpoints.", NULL, NULL, read_checkpoints);
    counter("troupe_store_checkpoints_failed_total", "Checkpoints that failed.", NULL, NULL,
            read_checkpoints_failed);
    gauge("troupe_store_queue_length", "Writes that wait.", read_queue);
    gauge("troupe_store_wal_bytes", "Used part of the write-ahead log.", read_wal_bytes);
    gauge("troupe_store_full", "1 while the last write found no space.", read_full);
    gauge("troupe_store_broken", "1 after a storage failure.", read_broken);
}
