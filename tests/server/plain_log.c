/* Log under concurrency, without Criterion so that it runs under TSan: what was sent is written or counted as dropped. */
#include "server/log.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 4, LINES = 20000 };

static unsigned passed;
static unsigned failed;

static void check(bool holds, const char *what)
{
    printf("%s %s\n", holds ? "ok    " : "FAILED", what);
    *(holds ? &passed : &failed) += 1;
}

struct count {
    uint64_t lines;
    uint64_t reported_dropped;
    bool ordered; /* the n of each thread never goes back */
    bool whole;
};

static struct count count_lines(const char *file)
{
    struct count count = {.ordered = true, .whole = true};
    long last[THREADS + 1] = {-1, -1, -1, -1, -1};
    char line[LOG_LINE_MAX + 2];
    FILE *in = fopen(file, "r");
    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        size_t length = strlen(line);
        count.whole = count.whole && length > 2 && line[0] == '{' && strcmp(line + length - 2, "}\n") == 0;
        static const char report[] = "\"event\":\"log.lines_dropped\",\"lines\":";
        const char *at = strstr(line, report);
        if (at != NULL) {
            count.reported_dropped += strtoull(at + sizeof report - 1, NULL, 10);
            continue;
        }
        count.lines++;
        at = strstr(line, "\"thread\":");
        if (at != NULL) {
            long thread = strtol(at + 9, NULL, 10);
            at = strstr(line, "\"n\":");
            long n = at != NULL ? strtol(at + 4, NULL, 10) : -1;
            count.ordered = count.ordered && n > last[thread];
            last[thread] = n;
        }
    }
    if (in != NULL) {
        fclose(in);
    }
    return count;
}

static void *send_lines(void *argument)
{
    int thread = *(int *)argument;
    for (int n = 0; n < LINES; n++) {
        if (n % 4 == 3) {
            log_access(&(struct log_access){.request_id = "r", .method = "GET", .path = "/x", .status = 200});
        } else {
            log_event(LOG_INFO, EVENT_REQUEST_FAILED, log_int("thread", thread), log_int("n", n));
        }
        if (n % 5000 == 0) {
            log_flush(10000);
        }
    }
    return NULL;
}

static void run_threads(void)
{
    pthread_t threads[THREADS];
    int numbers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i + 1;
        pthread_create(&threads[i], NULL, send_lines, &numbers[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void conserves_lines(const char *file)
{
    struct log_stats before;
    struct log_stats after;
    log_stats(&before);
    check(log_start(&(struct log_options){.level = LOG_INFO, .access = LOG_ACCESS_ALL, .file = file}) == 0,
          "starts");
    run_threads();
    check(log_flush(30000), "flush comes back");
    log_stats(&after);
    uint64_t written = after.lines_written - before.lines_written;
    uint64_t dropped = after.lines_dropped - before.lines_dropped;
    printf("       sent %d written %llu dropped %llu batches %llu\n", THREADS * LINES,
           (unsigned long long)written, (unsigned long long)dropped,
           (unsigned long long)(after.batches - before.batches));
    check(written + dropped == (uint64_t)THREADS * LINES, "written + dropped = sent");
    log_stop();
    struct count count = count_lines(file);
    check(count.lines == written, "the file has the lines that were counted as written");
    check(count.reported_dropped == dropped, "log.lines_dropped says how many are missing");
    check(count.ordered, "the lines of a thread are in order");
    check(count.whole, "every line is whole");
}

static void *drain_pipe(void *argument)
{
    char bytes[65536];
    while (read(*(int *)argument, bytes, sizeof bytes) > 0) {
    }
    return NULL;
}

/* A pipe nobody reads: producers must come back at once, and what does not fit must be counted. */
static void never_blocks_producers(void)
{
    int pipe_ends[2];
    struct log_stats before;
    struct log_stats after;
    log_stats(&before);
    if (pipe2(pipe_ends, O_CLOEXEC) != 0) {
        check(false, "pipe");
        return;
    }
    check(log_start(&(struct log_options){.level = LOG_INFO, .fd = pipe_ends[1]}) == 0, "starts on a pipe");
    char filler[512];
    memset(filler, 'x', sizeof filler);
    int sent = 0;
    for (; sent < 20000; sent++) {
        log_event(LOG_INFO, EVENT_REQUEST_FAILED, log_strn("filler", filler, sizeof filler));
    }
    log_stats(&after);
    check(after.lines_dropped > before.lines_dropped,
          "a stalled descriptor makes lines drop, not producers wait");
    check(!log_flush(50), "flush gives up in time");
    pthread_t reader;
    pthread_create(&reader, NULL, drain_pipe, &pipe_ends[0]);
    check(log_flush(30000), "flush comes back once the descriptor is read");
    log_stats(&after);
    check(after.lines_written - before.lines_written + after.lines_dropped - before.lines_dropped ==
              (uint64_t)sent,
          "written + dropped = sent after a stall");
    log_stop();
    close(pipe_ends[1]);
    pthread_join(reader, NULL);
    close(pipe_ends[0]);
}

static void *send_one(void *argument)
{
    log_event(LOG_INFO, EVENT_REQUEST_FAILED, log_str("from", argument));
    return NULL;
}

/* More threads than there are slots, one after another: slots and rings are used again. */
static void survives_many_threads(const char *file)
{
    struct log_stats before;
    struct log_stats after;
    log_stats(&before);
    check(log_start(&(struct log_options){.level = LOG_INFO, .file = file}) == 0, "starts again");
    for (int i = 0; i < 1000; i++) {
        pthread_t thread;
        char name[] = "short-lived";
        pthread_create(&thread, NULL, send_one, name);
        pthread_join(thread, NULL);
    }
    log_stop();
    log_stats(&after);
    check(after.lines_written - before.lines_written == 1000, "a thousand short-lived threads lose nothing");
}

int main(void)
{
    char folder[] = "/tmp/plain_log.XXXXXX";
    char file[64];
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    snprintf(file, sizeof file, "%s/log", folder);
    conserves_lines(file);
    never_blocks_producers();
    survives_many_threads(file);
    unlink(file);
    rmdir(folder);
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}
