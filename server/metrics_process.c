/* What every program can tell about itself, read from the kernel at a scrape. */
#include "server/log.h"
#include "server/metrics.h"
#include "server/version.h"

#include <dirent.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double cpu_seconds(void *unused)
{
    (void)unused;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Reads a small file of /proc; empty when it cannot be read. */
static void read_small(const char *file, char *text, size_t bytes)
{
    FILE *in = fopen(file, "re");
    size_t used = in != NULL ? fread(text, 1, bytes - 1, in) : 0;
    text[used] = '\0';
    if (in != NULL) {
        fclose(in);
    }
}

/* /proc/self/statm: pages, all and resident. */
static double memory_bytes(void *resident)
{
    char text[128];
    char *second = NULL;
    read_small("/proc/self/statm", text, sizeof text);
    unsigned long long all = strtoull(text, &second, 10);
    unsigned long long pages = resident != NULL ? strtoull(second, NULL, 10) : all;
    return all > 0 ? (double)pages * (double)sysconf(_SC_PAGESIZE) : (double)NAN;
}

static double open_fds(void *unused)
{
    (void)unused;
    struct stat status;
    if (stat("/proc/self/fd", &status) == 0 && status.st_size > 0) {
        return (double)status.st_size; /* kernels since 6.2 say it at once */
    }
    DIR *folder = opendir("/proc/self/fd");
    double count = folder != NULL ? -1 : (double)NAN; /* not the one used to look */
    for (const struct dirent *entry = NULL; folder != NULL && (entry = readdir(folder)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    if (folder != NULL) {
        closedir(folder);
    }
    return count;
}

static double max_fds(void *unused)
{
    (void)unused;
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? (double)limit.rlim_cur
                                                                                    : (double)INFINITY;
}

/* Field 22 of /proc/self/stat, in ticks since boot; the name in field 2 may have spaces and brackets. */
static double start_time(void)
{
    char text[1024];
    read_small("/proc/self/stat", text, sizeof text);
    const char *at = strrchr(text, ')');
    for (int field = 2; at != NULL && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    unsigned long long ticks = at != NULL ? strtoull(at, NULL, 10) : 0;
    struct timespec wall;
    struct timespec boot;
    if (ticks == 0 || clock_gettime(CLOCK_REALTIME, &wall) != 0 ||
        clock_gettime(CLOCK_BOOTTIME, &boot) != 0) {
        return (double)NAN;
    }
    double booted = (double)(wall.tv_sec - boot.tv_sec) + (double)(wall.tv_nsec - boot.tv_nsec) / 1e9;
    double started = booted + (double)ticks / (double)sysconf(_SC_CLK_TCK);
    return floor(started * 100 + 0.5) / 100; /* a tick is no finer */
}

static double stored(void *value)
{
    return *(const double *)value;
}

static double log_lines_written(void *unused)
{
    (void)unused;
    struct log_stats stats;
    log_stats(&stats);
    return (double)stats.lines_written;
}

static double log_lines_dropped(void *unused)
{
    (void)unused;
    struct log_stats stats;
    log_stats(&stats);
    return (double)stats.lines_dropped;
}

static double log_write_errors(void *unused)
{
    (void)unused;
    struct log_stats stats;
    log_stats(&stats);
    return (double)stats.write_errors;
}

static void counter(const char *name, const char *help, double (*read)(void *), void *context)
{
    metrics_counter_callback(
        &(struct metric_options){.name = name, .help = help, .read = read, .context = context});
}

static void gauge(const char *name, const char *help, double (*read)(void *), void *context)
{
    metrics_gauge_callback(
        &(struct metric_options){.name = name, .help = help, .read = read, .context = context});
}

void metrics_register_process(void)
{
    static double started;
    static double one = 1;
    static char resident;
    started = start_time();
    counter("process_cpu_seconds_total", "CPU time used, user and system.", cpu_seconds, NULL);
    gauge("process_resident_memory_bytes", "Memory that is in RAM.", memory_bytes, &resident);
    gauge("process_virtual_memory_bytes", "Address space in use.", memory_bytes, NULL);
    gauge("process_open_fds", "Open file descriptors.", open_fds, NULL);
    gauge("process_max_fds", "File descriptors that may be open.", max_fds, NULL);
    gauge("process_start_time_seconds", "Start of the process, Unix time.", stored, &started);
    counter("troupe_log_lines_total", "Log lines written.", log_lines_written, NULL);
    counter("troupe_log_lines_dropped_total", "Log lines lost for want of room or a failed write.",
            log_lines_dropped, NULL);
    counter("troupe_log_write_errors_total", "Writes of the log that failed.", log_write_errors, NULL);
    metrics_gauge_callback(&(struct metric_options){
        .name = "troupe_build_info",
        .help = "Always 1; the labels say what is running.",
        .labels = {{"version", version_number()}, {"commit", version_commit()}},
        .read = stored,
        .context = &one,
    });
}
