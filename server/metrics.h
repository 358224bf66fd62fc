/* Metrics of the service: counters, gauges and histograms, shown in Prometheus' text format 0.0.4.
 *
 * 1. An update is one relaxed atomic add to a cell in the calling thread's own shard: no lock, no allocation,
 *    no cache line another thread writes to. Only a scrape adds the shards up.
 * 2. Labels are given when a metric is registered and never come from a request: the number of series is
 *    fixed.
 * 3. Series of one name are one family: same kind, help, unit and buckets, shown together with one HELP and
 *    one TYPE.
 * 4. Names: troupe_..._<base unit>, counters end in _total; process_... for what every program has. A wrong
 *    registration is a bug of this program and aborts with a message.
 * 5. Totals survive their thread: a shard is kept for the next owner of its slot.
 *
 * Life cycle: register at start (or later, from any thread), update from any thread, metrics_text() at a
 * scrape. There is one registry and it is never taken down.
 * Limits: METRICS_CELLS_MAX cells (a counter has one, a histogram one for each bucket and two more); 8 labels
 * a series.
 */
#ifndef TROUPE_SERVER_METRICS_H
#define TROUPE_SERVER_METRICS_H

#include <stddef.h>
#include <stdint.h>

enum {
    METRICS_CELLS_MAX = 8192,
    METRICS_LABELS_MAX = 8,
    METRICS_BUCKETS_MAX = 32,
};

/* What a histogram observes and how it is shown: seconds are observed in nanoseconds. */
enum metric_unit { METRIC_PLAIN, METRIC_SECONDS };

struct metric_label {
    const char *name;
    const char *value; /* any UTF-8; escaped when shown */
};

/* A registration. Strings are copied. */
struct metric_options {
    const char *name;
    const char *help;
    struct metric_label labels[METRICS_LABELS_MAX + 1]; /* up to the first without a name */
    enum metric_unit unit;                              /* histograms */
    const double *buckets; /* histograms: upper bounds in the base unit, rising; NULL = durations */
    size_t bucket_count;
    double (*read)(
        void *context); /* callbacks: called at a scrape, under the registry's lock; must not register */
    void *context;
};

typedef struct metric_counter {
    uint32_t cell;
} metric_counter;

typedef struct metric_gauge {
    uint32_t cell;
} metric_gauge;

typedef struct metric_histogram {
    uint32_t series;
} metric_histogram;

/* From 50 us to 10 s: the bounds used when a histogram names none. */
extern const double metrics_duration_buckets[];
extern const size_t metrics_duration_bucket_count;

/** Registers a counter: metrics_counter(&(struct metric_options){.name = "troupe_x_total", .help = "..."}).
 *  Errors: aborts on a bad name, a series that exists, or too many cells.
 *  Blocks: for the registry's lock.   Context: any thread. */
metric_counter metrics_counter(const struct metric_options *options);

/** Registers a gauge that goes up and down with metric_add() from any thread. As metrics_counter(). */
metric_gauge metrics_gauge(const struct metric_options *options);

/** Registers a histogram. As metrics_counter(). */
metric_histogram metrics_histogram(const struct metric_options *options);

/** Registers a counter or gauge whose value options->read gives at each scrape. As metrics_counter(). */
void metrics_counter_callback(const struct metric_options *options);
void metrics_gauge_callback(const struct metric_options *options);

/** Counts.   Blocks: no.   Context: any thread.   Cost: one uncontended atomic add. */
void metric_count(metric_counter counter, uint64_t n);

/** Moves a gauge up or down.   Blocks: no.   Context: any thread.   Cost: as metric_count(). */
void metric_add(metric_gauge gauge, int64_t n);

/** Observes a value: nanoseconds with METRIC_SECONDS, else the value itself.
 *  Blocks: no.   Context: any thread.   Cost: a search over the buckets and two adds. */
void metric_observe(metric_histogram histogram, uint64_t value);

/** What a counter or gauge stands at, over all shards.   Context: any thread.   Cost: O(shards). */
uint64_t metric_counter_value(metric_counter counter);
int64_t metric_gauge_value(metric_gauge gauge);

/** The media type of metrics_text(). */
#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/** Shows all metrics.
 *  Returns: text to free() and its length in *bytes; NULL without memory.
 *  Blocks: for the registry's lock; callbacks run. Context: any thread, not on a 64 KiB stack with deep
 *  callbacks.
 *  Cost: O(series x shards). */
char *metrics_text(size_t *bytes);

/** Registers process_* (CPU, memory, descriptors, start time), troupe_build_info and troupe_log_*. Call once.
 *  Context: any thread. */
void metrics_register_process(void);

#endif
