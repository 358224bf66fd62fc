/* Metrics under concurrency, without Criterion so that they run under TSan: updates, scrapes and registration at once. */
#include "server/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, TURNS = 50000 };

static unsigned passed;
static unsigned failed;
static atomic_bool done;
static metric_counter counter;
static metric_histogram histogram;

static void check(bool holds, const char *what)
{
    printf("%s %s\n", holds ? "ok    " : "FAILED", what);
    *(holds ? &passed : &failed) += 1;
}

static void *update(void *unused)
{
    for (int i = 0; i < TURNS; i++) {
        metric_count(counter, 1);
        metric_observe(histogram, (uint64_t)i * 1000);
    }
    return unused;
}

/* Scrapes until told to stop; the counter must never fall. */
static void *scrape(void *result)
{
    bool *rises = result;
    uint64_t last = 0;
    while (!atomic_load(&done)) {
        size_t bytes = 0;
        char *text = metrics_text(&bytes);
        const char *at = strstr(text, "\ntroupe_c_total ");
        uint64_t now = at != NULL ? strtoull(at + 16, NULL, 10) : 0;
        *rises = *rises && now >= last;
        last = now;
        free(text);
    }
    return NULL;
}

static void *register_more(void *unused)
{
    static char names[200][32];
    for (int i = 0; i < 200; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        metric_counter late = metrics_counter(&(struct metric_options){
            .name = "troupe_late_total", .help = "Late.", .labels = {{"n", names[i]}}});
        metric_count(late, 1);
    }
    return unused;
}

int main(void)
{
    pthread_t threads[THREADS];
    pthread_t scraper;
    pthread_t registrar;
    bool rises = true;
    counter = metrics_counter(&(struct metric_options){.name = "troupe_c_total", .help = "C."});
    histogram = metrics_histogram(
        &(struct metric_options){.name = "troupe_h_seconds", .help = "H.", .unit = METRIC_SECONDS});
    metrics_register_process();
    pthread_create(&scraper, NULL, scrape, &rises);
    pthread_create(&registrar, NULL, register_more, NULL);
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, update, NULL);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_join(registrar, NULL);
    atomic_store(&done, true);
    pthread_join(scraper, NULL);
    size_t bytes = 0;
    char *text = metrics_text(&bytes);
    char expected[64];
    snprintf(expected, sizeof expected, "\ntroupe_h_seconds_count %d\n", THREADS * TURNS);
    check(metric_counter_value(counter) == (uint64_t)THREADS * TURNS, "no count is lost");
    check(strstr(text, expected) != NULL, "no observation is lost");
    check(strstr(text, "troupe_late_total{n=\"199\"} 1\n") != NULL, "late registrations count");
    check(rises, "a counter never falls between scrapes");
    free(text);
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}
