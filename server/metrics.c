#include "server/metrics.h"

#include "server/thread_slot.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum metric_kind { KIND_COUNTER, KIND_GAUGE, KIND_HISTOGRAM };

/* Cells of one thread. The last shard is shared by threads without a slot of their own. */
struct shard {
    _Alignas(64) _Atomic uint64_t cells[METRICS_CELLS_MAX];
};

struct series {
    struct series *next; /* of the family, in order of registration */
    char *labels;        /* a="x",b="y"; empty = none */
    uint32_t cell;       /* the first; a histogram: buckets, then +Inf, then the sum */
    double (*read)(void *context);
    void *context;
};

struct family {
    struct family *next;
    char *name;
    char *help;
    enum metric_kind kind;
    enum metric_unit unit;
    double bounds[METRICS_BUCKETS_MAX];       /* as shown */
    uint64_t raw_bounds[METRICS_BUCKETS_MAX]; /* as observed */
    size_t bound_count;
    struct series *first;
};

/* What metric_observe() needs, by cell: set once at registration, read without the lock afterwards. */
static const struct family *_Atomic histogram_of[METRICS_CELLS_MAX];

static struct {
    pthread_mutex_t lock;
    struct family *first;
    uint32_t cells_used;
    _Atomic(struct shard *) shards[THREAD_SLOTS + 1];
    atomic_uint shard_count;
    struct shard shared;
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER};

const double metrics_duration_buckets[] = {
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
const size_t metrics_duration_bucket_count =
    sizeof metrics_duration_buckets / sizeof metrics_duration_buckets[0];

/* ---- Updates ---- */

static struct shard *make_shard(unsigned slot)
{
    void *memory =
        mmap(NULL, sizeof(struct shard), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (slot == THREAD_SLOT_NONE || memory == MAP_FAILED) {
        if (memory != MAP_FAILED) {
            munmap(memory, sizeof(struct shard));
        }
        return &registry.shared;
    }
    struct shard *shard = memory;
    struct shard *expected = NULL;
    if (!atomic_compare_exchange_strong_explicit(&registry.shards[slot], &expected, shard,
                                                 memory_order_acq_rel, memory_order_acquire)) {
        munmap(memory, sizeof(struct shard)); /* a signal handler of this thread was first */
        return expected;
    }
    unsigned count = atomic_load_explicit(&registry.shard_count, memory_order_relaxed);
    while (count <= slot &&
           !atomic_compare_exchange_weak_explicit(&registry.shard_count, &count, slot + 1,
                                                  memory_order_acq_rel, memory_order_relaxed)) {
    }
    return shard;
}

static struct shard *own_shard(void)
{
    unsigned slot = thread_slot();
    struct shard *shard = atomic_load_explicit(&registry.shards[slot], memory_order_relaxed);
    return shard != NULL ? shard : make_shard(slot);
}

static void add(struct shard *shard, uint32_t cell, uint64_t n)
{
    atomic_fetch_add_explicit(&shard->cells[cell], n, memory_order_relaxed);
}

void metric_count(metric_counter counter, uint64_t n)
{
    add(own_shard(), counter.cell, n);
}

void metric_add(metric_gauge gauge, int64_t n)
{
    add(own_shard(), gauge.cell, (uint64_t)n);
}

void metric_observe(metric_histogram histogram, uint64_t value)
{
    const struct family *family = atomic_load_explicit(&histogram_of[histogram.series], memory_order_acquire);
    struct shard *shard = own_shard();
    size_t bucket = 0;
    if (family == NULL) {
        return; /* never registered */
    }
    while (bucket < family->bound_count && value > family->raw_bounds[bucket]) {
        bucket++;
    }
    add(shard, histogram.series + (uint32_t)bucket, 1);
    add(shard, histogram.series + (uint32_t)family->bound_count + 1, value);
}

static uint64_t total(uint32_t cell)
{
    uint64_t sum = atomic_load_explicit(&registry.shared.cells[cell], memory_order_relaxed);
    unsigned count = atomic_load_explicit(&registry.shard_count, memory_order_acquire);
    for (unsigned slot = 0; slot < count; slot++) {
        struct shard *shard = atomic_load_explicit(&registry.shards[slot], memory_order_acquire);
        sum += shard != NULL ? atomic_load_explicit(&shard->cells[cell], memory_order_relaxed) : 0;
    }
    return sum;
}

uint64_t metric_counter_value(metric_counter counter)
{
    return total(counter.cell);
}

int64_t metric_gauge_value(metric_gauge gauge)
{
    return (int64_t)total(gauge.cell);
}

/* ---- Registration ---- */

static void __attribute__((noreturn)) refuse(const char *name, const char *problem)
{
    fprintf(stderr, "trouped: metric %s: %s\n", name != NULL ? name : "(no name)", problem);
    abort();
}

static void *allocate(size_t bytes)
{
    void *memory = calloc(1, bytes);
    if (memory == NULL) {
        refuse("registry", "there is not enough memory");
    }
    return memory;
}

static bool good_name(const char *name)
{
    return name != NULL && name[0] >= 'a' && name[0] <= 'z' &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text);
    return length >= strlen(end) && strcmp(text + length - strlen(end), end) == 0;
}

static void judge(const struct metric_options *options, enum metric_kind kind)
{
    if (!good_name(options->name) ||
        (strncmp(options->name, "troupe_", 7) != 0 && strncmp(options->name, "process_", 8) != 0)) {
        refuse(options->name, "names are troupe_ or process_ and lower case letters, digits, _");
    }
    if (options->help == NULL || options->help[0] == '\0') {
        refuse(options->name, "there is no help");
    }
    if (ends_with(options->name, "_total") != (kind == KIND_COUNTER)) {
        refuse(options->name, "counters, and only they, end in _total");
    }
    if (kind == KIND_HISTOGRAM && ends_with(options->name, "_seconds") != (options->unit == METRIC_SECONDS)) {
        refuse(options->name, "histograms of METRIC_SECONDS, and only they, end in _seconds");
    }
    for (size_t i = 0; i <= METRICS_LABELS_MAX && options->labels[i].name != NULL; i++) {
        const char *name = options->labels[i].name;
        if (i == METRICS_LABELS_MAX || !good_name(name) || strcmp(name, "le") == 0 ||
            strcmp(name, "quantile") == 0) {
            refuse(options->name, "a label has a bad name, or there are too many");
        }
    }
}

static void print_escaped(FILE *out, const char *text, bool quotes)
{
    for (; *text != '\0'; text++) {
        if (*text == '\\' || (*text == '"' && quotes)) {
            fprintf(out, "\\%c", *text);
        } else if (*text == '\n') {
            fputs("\\n", out);
        } else {
            fputc(*text, out);
        }
    }
}

static char *label_text(const struct metric_options *options)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    for (size_t i = 0; out != NULL && options->labels[i].name != NULL; i++) {
        fprintf(out, "%s%s=\"", i > 0 ? "," : "", options->labels[i].name);
        print_escaped(out, options->labels[i].value != NULL ? options->labels[i].value : "", true);
        fputc('"', out);
    }
    if (out == NULL || fclose(out) != 0) {
        refuse(options->name, "there is not enough memory");
    }
    return text;
}

static void set_bounds(struct family *family, const struct metric_options *options)
{
    const double *bounds = options->buckets != NULL ? options->buckets : metrics_duration_buckets;
    family->bound_count = options->buckets != NULL ? options->bucket_count : metrics_duration_bucket_count;
    if (family->bound_count == 0 || family->bound_count > METRICS_BUCKETS_MAX ||
        (options->buckets == NULL && options->unit != METRIC_SECONDS)) {
        refuse(options->name, "a histogram needs 1 to 32 buckets");
    }
    for (size_t i = 0; i < family->bound_count; i++) {
        if (!isfinite(bounds[i]) || bounds[i] < 0 || (i > 0 && bounds[i] <= bounds[i - 1])) {
            refuse(options->name, "buckets must rise and be finite");
        }
        family->bounds[i] = bounds[i];
        family->raw_bounds[i] = (uint64_t)llround(bounds[i] * (family->unit == METRIC_SECONDS ? 1e9 : 1));
    }
}

static void judge_same_bounds(const struct family *family, const struct metric_options *options)
{
    struct family other = {.unit = options->unit};
    set_bounds(&other, options);
    if (other.bound_count != family->bound_count ||
        memcmp(other.bounds, family->bounds, other.bound_count * sizeof other.bounds[0]) != 0) {
        refuse(options->name, "its family has other buckets");
    }
}

static struct family *find_or_make_family(const struct metric_options *options, enum metric_kind kind)
{
    struct family **end = &registry.first;
    for (; *end != NULL; end = &(*end)->next) {
        if (strcmp((*end)->name, options->name) == 0) {
            if ((*end)->kind != kind || strcmp((*end)->help, options->help) != 0 ||
                (*end)->unit != options->unit) {
                refuse(options->name, "its family has another kind, help or unit");
            }
            if (kind == KIND_HISTOGRAM) {
                judge_same_bounds(*end, options);
            }
            return *end;
        }
    }
    struct family *family = allocate(sizeof *family);
    family->name = allocate(strlen(options->name) + 1);
    family->help = allocate(strlen(options->help) + 1);
    memcpy(family->name, options->name, strlen(options->name));
    memcpy(family->help, options->help, strlen(options->help));
    family->kind = kind;
    family->unit = options->unit;
    if (kind == KIND_HISTOGRAM) {
        set_bounds(family, options);
    }
    *end = family;
    return family;
}

static uint32_t register_series(const struct metric_options *options, enum metric_kind kind, bool callback)
{
    judge(options, kind);
    if (callback != (options->read != NULL)) {
        refuse(options->name, "`read` is for callbacks, and they need it");
    }
    pthread_mutex_lock(&registry.lock);
    struct family *family = find_or_make_family(options, kind);
    struct series *series = allocate(sizeof *series);
    series->labels = label_text(options);
    series->read = options->read;
    series->context = options->context;
    struct series **end = &family->first;
    for (; *end != NULL; end = &(*end)->next) {
        if (strcmp((*end)->labels, series->labels) == 0) {
            refuse(options->name, "it is registered already with these labels");
        }
    }
    uint32_t cells = callback ? 0 : kind == KIND_HISTOGRAM ? (uint32_t)family->bound_count + 2 : 1;
    if (registry.cells_used + cells > METRICS_CELLS_MAX) {
        refuse(options->name, "there are too many metrics");
    }
    series->cell = registry.cells_used;
    registry.cells_used += cells;
    if (kind == KIND_HISTOGRAM) {
        atomic_store_explicit(&histogram_of[series->cell], family, memory_order_release);
    }
    *end = series;
    pthread_mutex_unlock(&registry.lock);
    return series->cell;
}

metric_counter metrics_counter(const struct metric_options *options)
{
    return (metric_counter){register_series(options, KIND_COUNTER, false)};
}

metric_gauge metrics_gauge(const struct metric_options *options)
{
    return (metric_gauge){register_series(options, KIND_GAUGE, false)};
}

metric_histogram metrics_histogram(const struct metric_options *options)
{
    return (metric_histogram){register_series(options, KIND_HISTOGRAM, false)};
}

void metrics_counter_callback(const struct metric_options *options)
{
    register_series(options, KIND_COUNTER, true);
}

void metrics_gauge_callback(const struct metric_options *options)
{
    register_series(options, KIND_GAUGE, true);
}

/* ---- Scrape ---- */

static void print_number(FILE *out, double value)
{
    char text[40];
    if (isnan(value)) {
        fputs("NaN", out);
        return;
    }
    if (isinf(value)) {
        fputs(value > 0 ? "+Inf" : "-Inf", out);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    fputs(text, out);
}

static void print_name(FILE *out, const struct family *family, const char *suffix,
                       const struct series *series)
{
    bool labelled = series->labels[0] != '\0';
    fprintf(out, "%s%s%s%s%s ", family->name, suffix, labelled ? "{" : "", series->labels,
            labelled ? "}" : "");
}

/* Each cell is read once, so that the buckets, +Inf and the count agree with each other. */
static void print_histogram(FILE *out, const struct family *family, const struct series *series)
{
    uint64_t count = 0;
    const char *joint = series->labels[0] != '\0' ? "," : "";
    for (size_t i = 0; i <= family->bound_count; i++) {
        count += total(series->cell + (uint32_t)i);
        fprintf(out, "%s_bucket{%s%sle=\"", family->name, series->labels, joint);
        print_number(out, i < family->bound_count ? family->bounds[i] : (double)INFINITY);
        fprintf(out, "\"} %llu\n", (unsigned long long)count);
    }
    uint64_t sum = total(series->cell + (uint32_t)family->bound_count + 1);
    print_name(out, family, "_sum", series);
    print_number(out, family->unit == METRIC_SECONDS ? (double)sum / 1e9 : (double)sum);
    fputc('\n', out);
    print_name(out, family, "_count", series);
    fprintf(out, "%llu\n", (unsigned long long)count);
}

static void print_series(FILE *out, const struct family *family, const struct series *series)
{
    if (family->kind == KIND_HISTOGRAM) {
        print_histogram(out, family, series);
        return;
    }
    print_name(out, family, "", series);
    if (series->read != NULL) {
        print_number(out, series->read(series->context));
        fputc('\n', out);
    } else if (family->kind == KIND_GAUGE) {
        fprintf(out, "%lld\n", (long long)total(series->cell));
    } else {
        fprintf(out, "%llu\n", (unsigned long long)total(series->cell));
    }
}

char *metrics_text(size_t *bytes)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    char *text = NULL;
    FILE *out = open_memstream(&text, bytes);
    if (out == NULL) {
        return NULL;
    }
    pthread_mutex_lock(&registry.lock);
    for (const struct family *family = registry.first; family != NULL; family = family->next) {
        fprintf(out, "# HELP %s ", family->name);
        print_escaped(out, family->help, false);
        fprintf(out, "\n# TYPE %s %s\n", family->name, kinds[family->kind]);
        for (const struct series *series = family->first; series != NULL; series = series->next) {
            print_series(out, family, series);
        }
    }
    pthread_mutex_unlock(&registry.lock);
    return fclose(out) == 0 ? text : NULL;
}
