#include "server/log.h"

#include "server/log_format.h"
#include "server/log_ring.h"
#include "server/log_writer.h"
#include "server/thread_slot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

atomic_int log_level_now = LOG_INFO;
atomic_int log_access_mode_now = LOG_ACCESS_OFF;
_Atomic int64_t log_access_slow_ns = INT64_MAX;

static _Atomic(int64_t (*)(void)) wall_clock;

static const char *const level_texts[] = {"debug", "info", "warn", "error"};

const char *log_level_text(enum log_level level)
{
    return (unsigned)level <= LOG_ERROR ? level_texts[level] : "error";
}

int64_t log_wall_ns(void)
{
    int64_t (*clock)(void) = atomic_load_explicit(&wall_clock, memory_order_relaxed);
    if (clock != NULL) {
        return clock();
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void log_write(enum log_level level, enum log_event_id event, const struct log_field *fields, size_t count)
{
    int64_t now = log_wall_ns();
    if (!log_writer_running()) {
        char line[LOG_LINE_MAX];
        log_writer_write_now(line, log_format_event(line, now, log_level_text(level), event, fields, count));
        return;
    }
    struct log_ring *ring = log_writer_ring();
    struct log_record *record = ring != NULL ? log_ring_reserve(ring, LOG_LINE_MAX) : NULL;
    if (record == NULL) {
        log_writer_count_dropped(ring);
        return;
    }
    record->type = LOG_RECORD_LINE;
    record->wall_ns = now;
    size_t bytes = log_format_event(record->payload, now, log_level_text(level), event, fields, count);
    log_writer_notice(log_ring_publish(ring, record, bytes));
}

void log_access(const struct log_access *access)
{
    if (!log_access_wanted(access->status, access->duration_ns)) {
        return;
    }
    int64_t now = log_wall_ns();
    size_t bytes = log_access_record_bytes(access);
    if (!log_writer_running()) {
        _Alignas(
            16) char room[sizeof(struct log_access_record) + (size_t)LOG_ACCESS_STRINGS * LOG_STRING_MAX];
        char line[LOG_LINE_MAX];
        struct log_access_record *record = (struct log_access_record *)(void *)room;
        log_access_record_fill(record, access);
        log_writer_write_now(line, log_format_access(line, now, record));
        return;
    }
    struct log_ring *ring = log_writer_ring();
    struct log_record *record = ring != NULL ? log_ring_reserve(ring, bytes) : NULL;
    if (record == NULL) {
        log_writer_count_dropped(ring);
        return;
    }
    record->type = LOG_RECORD_ACCESS;
    record->wall_ns = now;
    log_access_record_fill((struct log_access_record *)(void *)record->payload, access);
    log_writer_notice(log_ring_publish(ring, record, bytes));
}

void log_write_fatal(enum log_event_id event, const struct log_field *fields, size_t count)
{
    int saved = errno;
    char line[LOG_LINE_MAX];
    size_t bytes = log_format_event(line, log_wall_ns(), "fatal", event, fields, count);
    log_flush(200);
    log_writer_write_now(line, bytes);
    if (log_writer_fd() != STDERR_FILENO && write(STDERR_FILENO, line, bytes) < 0) {
        errno = saved; /* nothing is left to tell it to */
    }
    errno = saved;
}

void log_set_access(enum log_access_mode access, int64_t slow_request_ms)
{
    bool slow_matters = slow_request_ms > 0 && slow_request_ms < INT64_MAX / 1000000;

    atomic_store_explicit(&log_access_mode_now, (int)access, memory_order_relaxed);
    atomic_store_explicit(&log_access_slow_ns, slow_matters ? slow_request_ms * 1000000 : INT64_MAX,
                          memory_order_relaxed);
}

int log_start(const struct log_options *options)
{
    if (log_writer_open(options->file, options->fd != 0 ? options->fd : STDERR_FILENO) != 0) {
        return -1;
    }
    atomic_store_explicit(&wall_clock, options->wall_clock_ns, memory_order_relaxed);
    log_set_level(options->level);
    log_set_access(options->access, options->slow_request_ms);
    return options->no_thread ? 0 : log_writer_start();
}

bool log_flush(int timeout_ms)
{
    return log_writer_flush(timeout_ms);
}

void log_stop(void)
{
    log_writer_stop(2000);
}

void log_reopen(void)
{
    log_writer_reopen();
}

void log_stats(struct log_stats *stats)
{
    log_writer_stats(stats);
}
