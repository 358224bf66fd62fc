#include "server/log.h"
#include "server/metrics.h"
#include "server/thread_slot.h"

#include <criterion/criterion.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char *scrape(void)
{
    size_t bytes = 0;
    char *text = metrics_text(&bytes);
    cr_assert_not_null(text);
    cr_assert_eq(strlen(text), bytes);
    return text;
}

static void shows(const char *lines)
{
    char *text = scrape();
    cr_assert_not_null(strstr(text, lines), "missing:\n%s\nin:\n%s", lines, text);
    free(text);
}

/* The value of the line that begins so. */
static double value_of(const char *start)
{
    char *text = scrape();
    char line[200];
    snprintf(line, sizeof line, "\n%s ", start);
    const char *at = strstr(text, line);
    cr_assert_not_null(at, "%s is missing in:\n%s", start, text);
    double value = strtod(at + strlen(line), NULL);
    free(text);
    return value;
}

Test(metrics, counter_counts)
{
    metric_counter c = metrics_counter(&(struct metric_options){.name = "troupe_x_total", .help = "Xs."});
    shows("# HELP troupe_x_total Xs.\n# TYPE troupe_x_total counter\ntroupe_x_total 0\n");
    metric_count(c, 1);
    metric_count(c, 41);
    cr_assert_eq(metric_counter_value(c), 42);
    shows("troupe_x_total 42\n");
}

Test(metrics, gauge_goes_up_and_down_below_zero_too)
{
    metric_gauge g = metrics_gauge(&(struct metric_options){.name = "troupe_open", .help = "Open."});
    metric_add(g, 3);
    metric_add(g, -5);
    cr_assert_eq(metric_gauge_value(g), -2);
    shows("# TYPE troupe_open gauge\ntroupe_open -2\n");
}

Test(metrics, series_of_one_name_are_one_family)
{
    metric_counter get = metrics_counter(&(struct metric_options){
        .name = "troupe_r_total", .help = "R.", .labels = {{"method", "GET"}, {"status", "2xx"}}});
    metrics_gauge(&(struct metric_options){.name = "troupe_between", .help = "Between."});
    metric_counter put = metrics_counter(&(struct metric_options){
        .name = "troupe_r_total", .help = "R.", .labels = {{"method", "PUT"}, {"status", "2xx"}}});
    metric_count(get, 1);
    metric_count(put, 2);
    shows("# TYPE troupe_r_total counter\n"
          "troupe_r_total{method=\"GET\",status=\"2xx\"} 1\n"
          "troupe_r_total{method=\"PUT\",status=\"2xx\"} 2\n"
          "# HELP troupe_between");
}

Test(metrics, labels_and_help_are_escaped)
{
    metrics_gauge(&(struct metric_options){
        .name = "troupe_odd", .help = "a\\b\nc\"d", .labels = {{"l", "q\"b\\n\n\xC3\xA4"}}});
    shows("# HELP troupe_odd a\\\\b\\nc\"d\n");
    shows("troupe_odd{l=\"q\\\"b\\\\n\\n\xC3\xA4\"} 0\n");
}

Test(metrics, histogram_puts_values_on_a_bound_below_it)
{
    const double bounds[] = {0.001, 0.01, 1};
    metric_histogram h = metrics_histogram(&(struct metric_options){.name = "troupe_t_seconds",
                                                                    .help = "T.",
                                                                    .unit = METRIC_SECONDS,
                                                                    .buckets = bounds,
                                                                    .bucket_count = 3,
                                                                    .labels = {{"route", "/x"}}});
    metric_observe(h, 0);
    metric_observe(h, 1000000);    /* 1 ms, on the bound */
    metric_observe(h, 1000001);    /* just above it */
    metric_observe(h, 2000000000); /* above all */
    shows("# TYPE troupe_t_seconds histogram\n"
          "troupe_t_seconds_bucket{route=\"/x\",le=\"0.001\"} 2\n"
          "troupe_t_seconds_bucket{route=\"/x\",le=\"0.01\"} 3\n"
          "troupe_t_seconds_bucket{route=\"/x\",le=\"1\"} 3\n"
          "troupe_t_seconds_bucket{route=\"/x\",le=\"+Inf\"} 4\n"
          "troupe_t_seconds_sum{route=\"/x\"} 2.002000001\n"
          "troupe_t_seconds_count{route=\"/x\"} 4\n");
}

Test(metrics, histograms_of_one_family_do_not_mix)
{
    metric_histogram a = metrics_histogram(&(struct metric_options){
        .name = "troupe_t_seconds", .help = "T.", .unit = METRIC_SECONDS, .labels = {{"r", "a"}}});
    metric_histogram b = metrics_histogram(&(struct metric_options){
        .name = "troupe_t_seconds", .help = "T.", .unit = METRIC_SECONDS, .labels = {{"r", "b"}}});
    metric_observe(a, 1);
    metric_observe(b, UINT32_MAX);
    metric_observe(b, 1);
    cr_assert_eq(value_of("troupe_t_seconds_count{r=\"a\"}"), 1);
    cr_assert_eq(value_of("troupe_t_seconds_count{r=\"b\"}"), 2);
    cr_assert_eq(value_of("troupe_t_seconds_sum{r=\"a\"}"), 1e-9);
}

Test(metrics, plain_histogram_shows_values_as_observed)
{
    const double bounds[] = {1, 10, 100};
    metric_histogram h = metrics_histogram(&(struct metric_options){
        .name = "troupe_batch_size", .help = "B.", .buckets = bounds, .bucket_count = 3});
    metric_observe(h, 10);
    metric_observe(h, 11);
    shows("troupe_batch_size_bucket{le=\"10\"} 1\ntroupe_batch_size_bucket{le=\"100\"} 2\n");
    shows("troupe_batch_size_sum 21\ntroupe_batch_size_count 2\n");
}

static double read_context(void *context)
{
    return *(double *)context;
}

Test(metrics, callbacks_are_asked_at_each_scrape)
{
    double value = 1.5;
    metrics_gauge_callback(&(struct metric_options){
        .name = "troupe_now", .help = "Now.", .read = read_context, .context = &value});
    metrics_counter_callback(&(struct metric_options){
        .name = "troupe_ever_total", .help = "Ever.", .read = read_context, .context = &value});
    shows("troupe_now 1.5\n");
    value = 1e15 + 0.5;
    cr_assert_eq(value_of("troupe_now"), value);
    cr_assert_eq(value_of("troupe_ever_total"), value);
    value = 1.0 / 0.0;
    shows("troupe_now +Inf\n");
}

enum { THREADS = 4, TURNS = 100000 };

struct work {
    metric_counter counter;
    metric_gauge gauge;
    metric_histogram histogram;
};

static void *update(void *argument)
{
    const struct work *work = argument;
    for (int i = 0; i < TURNS; i++) {
        metric_count(work->counter, 1);
        metric_add(work->gauge, i % 2 == 0 ? 1 : -1);
        metric_observe(work->histogram, 1);
    }
    return NULL;
}

Test(metrics, nothing_is_lost_between_threads_and_after_their_end)
{
    struct work work = {
        .counter = metrics_counter(&(struct metric_options){.name = "troupe_c_total", .help = "C."}),
        .gauge = metrics_gauge(&(struct metric_options){.name = "troupe_g", .help = "G."}),
        .histogram = metrics_histogram(
            &(struct metric_options){.name = "troupe_h_seconds", .help = "H.", .unit = METRIC_SECONDS}),
    };
    for (int round = 0; round < 3; round++) {
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++) {
            pthread_create(&threads[i], NULL, update, &work);
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
        }
    }
    cr_assert_eq(metric_counter_value(work.counter), 3 * THREADS * TURNS);
    cr_assert_eq(metric_gauge_value(work.gauge), 0);
    cr_assert_eq(value_of("troupe_h_seconds_count"), 3 * THREADS * TURNS);
    cr_assert_eq(value_of("troupe_h_seconds_bucket{le=\"5e-05\"}"), 3 * THREADS * TURNS);
}

static pthread_barrier_t all_there;

static void *count_beside_others(void *argument)
{
    metric_count(*(metric_counter *)argument, 1);
    pthread_barrier_wait(&all_there);
    metric_count(*(metric_counter *)argument, 1);
    return NULL;
}

Test(metrics, more_threads_than_slots_share_a_shard_and_lose_nothing)
{
    enum { MANY = THREAD_SLOTS + 40 };
    static pthread_t threads[MANY];
    metric_counter c = metrics_counter(&(struct metric_options){.name = "troupe_c_total", .help = "C."});
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 * 1024);
    pthread_barrier_init(&all_there, NULL, MANY);
    for (int i = 0; i < MANY; i++) {
        cr_assert_eq(pthread_create(&threads[i], &small, count_beside_others, &c), 0);
    }
    for (int i = 0; i < MANY; i++) {
        pthread_join(threads[i], NULL);
    }
    cr_assert_eq(metric_counter_value(c), 2 * MANY);
}

Test(metrics, process_metrics_tell_the_truth)
{
    metrics_register_process();
    double fds = value_of("process_open_fds");
    int extra = dup(0);
    cr_assert_eq(value_of("process_open_fds"), fds + 1);
    close(extra);
    cr_assert_gt(value_of("process_resident_memory_bytes"), 100000);
    cr_assert_geq(value_of("process_virtual_memory_bytes"), value_of("process_resident_memory_bytes"));
    cr_assert_geq(value_of("process_cpu_seconds_total"), 0);
    cr_assert_gt(value_of("process_max_fds"), 0);
    double age = (double)time(NULL) - value_of("process_start_time_seconds");
    cr_assert(age > -2 && age < 600, "%g", age);
    char *text = scrape();
    cr_assert_not_null(strstr(text, "troupe_build_info{version=\""));
    free(text);
}

/* promtool is the judge of the format; where it is not installed the other cases have to do. */
Test(metrics, promtool_has_nothing_to_say)
{
    if (system("command -v promtool > /dev/null 2>&1") != 0) {
        cr_skip_test("promtool is not installed");
    }
    metrics_register_process();
    metrics_gauge(&(struct metric_options){
        .name = "troupe_odd", .help = "O\\dd \"x\".", .labels = {{"l", "q\"b\\\n"}}});
    metric_histogram h = metrics_histogram(&(struct metric_options){
        .name = "troupe_t_seconds", .help = "T.", .unit = METRIC_SECONDS, .labels = {{"r", "a"}}});
    metrics_histogram(&(struct metric_options){
        .name = "troupe_t_seconds", .help = "T.", .unit = METRIC_SECONDS, .labels = {{"r", "b"}}});
    metric_observe(h, 5);
    char *text = scrape();
    FILE *judge = popen("promtool check metrics 2>&1", "w");
    fputs(text, judge);
    int status = pclose(judge);
    cr_assert_eq(WEXITSTATUS(status), 0, "%s", text);
    free(text);
}

/* Wrong registrations are bugs of this program and end it. */
#define REFUSES(what, ...)                           \
    Test(metrics, refuses_##what, .signal = SIGABRT) \
    {                                                \
        __VA_ARGS__;                                 \
    }

REFUSES(a_name_without_the_prefix, metrics_gauge(&(struct metric_options){.name = "x", .help = "X."}))
REFUSES(a_name_with_odd_letters, metrics_gauge(&(struct metric_options){.name = "troupe_X", .help = "X."}))
REFUSES(a_missing_help, metrics_gauge(&(struct metric_options){.name = "troupe_x", .help = ""}))
REFUSES(a_counter_without_total, metrics_counter(&(struct metric_options){.name = "troupe_x", .help = "X."}))
REFUSES(a_gauge_with_total, metrics_gauge(&(struct metric_options){.name = "troupe_x_total", .help = "X."}))
REFUSES(seconds_without_the_unit,
        metrics_histogram(&(struct metric_options){.name = "troupe_x_seconds", .help = "X."}))
REFUSES(the_label_le,
        metrics_gauge(&(struct metric_options){.name = "troupe_x", .help = "X.", .labels = {{"le", "1"}}}))
REFUSES(a_series_twice, metrics_gauge(&(struct metric_options){.name = "troupe_x", .help = "X."});
        metrics_gauge(&(struct metric_options){.name = "troupe_x", .help = "X."}))
REFUSES(another_help_in_one_family, metrics_gauge(&(struct metric_options){.name = "troupe_x", .help = "X."});
        metrics_gauge(&(struct metric_options){.name = "troupe_x", .help = "Y.", .labels = {{"l", "1"}}}))
REFUSES(buckets_that_fall,
        metrics_histogram(&(struct metric_options){
            .name = "troupe_x", .help = "X.", .buckets = (const double[]){2, 1}, .bucket_count = 2}))
REFUSES(other_buckets_in_one_family,
        metrics_histogram(&(struct metric_options){
            .name = "troupe_x", .help = "X.", .buckets = (const double[]){1, 2}, .bucket_count = 2});
        metrics_histogram(&(struct metric_options){.name = "troupe_x",
                                                   .help = "X.",
                                                   .labels = {{"l", "1"}},
                                                   .buckets = (const double[]){1, 3},
                                                   .bucket_count = 2}))
