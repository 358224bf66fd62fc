/* Structured logs: one JSON object a line, written by a thread of its own.
 *
 * 1. A producer never blocks, never allocates on the way and never waits for the disk: it formats on its own
 *    stack and copies into a ring that belongs to its thread. No other thread writes there, so a producer
 *    that is stopped half-way leaves nothing behind: a line exists only once it is complete.
 * 2. What does not fit is counted, never waited for, and a `log.lines_dropped` line says how many. Written +
 *    dropped = sent, at any flush.
 * 3. Every line is one JSON object of at most LOG_LINE_MAX bytes and begins with ts, level and event. Strings
 *    are escaped, invalid UTF-8 becomes U+FFFD. A string that was cut ends in "...(+N bytes)"; a line that
 *    lost whole fields says "fields_dropped":N.
 * 4. Lines of one thread keep their order; lines of different threads are merged by their time.
 *
 * Life cycle: log_start(), any number of events from any thread, log_stop(). Before and after, events are
 * written at once with write(2), so no line is lost at start or at exit.
 * Limits: LOG_RING_BYTES of lines waiting for each thread; strings are cut at LOG_STRING_MAX bytes.
 */
#ifndef TROUPE_SERVER_LOG_H
#define TROUPE_SERVER_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LOG_LINE_MAX = 4096,
    LOG_STRING_MAX = 1024,
    LOG_RING_BYTES = 1 << 19,
};

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

enum log_access_mode { LOG_ACCESS_OFF, LOG_ACCESS_ERRORS, LOG_ACCESS_ALL };

/* Every event there is: noun, past verb. A new one is one line here. */
#define LOG_EVENTS(EVENT)                                      \
    EVENT(SERVICE_STARTED, "service.started")                  \
    EVENT(SERVICE_READY, "service.ready")                      \
    EVENT(SERVICE_DRAINED, "service.drained")                  \
    EVENT(SERVICE_STOPPED, "service.stopped")                  \
    EVENT(SERVICE_FAILED, "service.failed")                    \
    EVENT(SETTINGS_LOADED, "settings.loaded")                  \
    EVENT(SIGNAL_RECEIVED, "signal.received")                  \
    EVENT(DRAIN_STARTED, "drain.started")                      \
    EVENT(LISTENER_OPENED, "listener.opened")                  \
    EVENT(LISTENER_CLOSED, "listener.closed")                  \
    EVENT(LISTENER_FAILED, "listener.failed")                  \
    EVENT(CONNECTION_REFUSED, "connection.refused")            \
    EVENT(CONNECTION_FAILED, "connection.failed")              \
    EVENT(REQUEST_FINISHED, "request.finished")                \
    EVENT(REQUEST_REFUSED, "request.refused")                  \
    EVENT(REQUEST_FAILED, "request.failed")                    \
    EVENT(REQUEST_TIMED_OUT, "request.timed_out")              \
    EVENT(PROCESS_STARTED, "process.started")                  \
    EVENT(PROCESS_EXITED, "process.exited")                    \
    EVENT(PROCESS_CRASHED, "process.crashed")                  \
    EVENT(SERVER_TERMINATED, "gen_server.terminated")          \
    EVENT(STATEM_TERMINATED, "gen_statem.terminated")          \
    EVENT(CHILD_TERMINATED, "supervisor.child_terminated")     \
    EVENT(CHILD_START_FAILED, "supervisor.start_failed")       \
    EVENT(CHILD_SHUTDOWN_FAILED, "supervisor.shutdown_failed") \
    EVENT(SUPERVISOR_GAVE_UP, "supervisor.gave_up")            \
    EVENT(CHILD_STARTED, "supervisor.child_started")           \
    EVENT(MESSAGE_IGNORED, "message.ignored")                  \
    EVENT(PROCESS_FAULTED, "process.faulted")                  \
    EVENT(PROCESS_KILLED, "process.killed")                    \
    EVENT(SUPERVISOR_RESTARTED, "supervisor.restarted")        \
    EVENT(SUPERVISOR_EXHAUSTED, "supervisor.exhausted")        \
    EVENT(SYS_EVENT, "sys.event")                              \
    EVENT(CALLBACK_RAN_LONG, "callback.ran_long")              \
    EVENT(STAGE_WARNED, "stage.warned")                        \
    EVENT(CORE_TAKEN_OVER, "core.taken_over")                  \
    EVENT(FAULT_LIMIT_REACHED, "fault_limit.reached")          \
    EVENT(DRILL_RUN, "drill.run")                              \
    EVENT(STORE_OPENED, "store.opened")                        \
    EVENT(STORE_CLOSED, "store.closed")                        \
    EVENT(STORE_FAILED, "store.failed")                        \
    EVENT(STORE_MIGRATED, "store.migrated")                    \
    EVENT(STORE_RECOVERED, "store.recovered")                  \
    EVENT(STORE_FILLED, "store.filled")                        \
    EVENT(STORE_RESUMED, "store.resumed")                      \
    EVENT(STORE_BROKEN, "store.broken")                        \
    EVENT(STORE_CHECKPOINT_FAILED, "store.checkpoint_failed")  \
    EVENT(LIMITS_RESTORED, "limits.restored")                  \
    EVENT(PAYMENT_DISAGREED, "payment.disagreed")              \
    EVENT(LIMITS_SAVED, "limits.saved")                        \
    EVENT(LIMITS_SAVE_FAILED, "limits.save_failed")            \
    EVENT(LIMITER_FILLED, "limiter.filled")                    \
    EVENT(POLICY_CHANGED, "policy.changed")                    \
    EVENT(POLICY_REMOVED, "policy.removed")                    \
    EVENT(CONFIG_SETTING_REFUSED, "config.setting_refused")    \
    EVENT(CONFIG_RELOADED, "config.reloaded")                  \
    EVENT(CONFIG_RELOAD_FAILED, "config.reload_failed")        \
    EVENT(CONFIG_CHANGED, "config.changed")                    \
    EVENT(CONFIG_FILE_CHANGED, "config.file_changed")          \
    EVENT(FLAGS_CHANGED, "flags.changed")                      \
    EVENT(PAYMENT_CHANGED, "payment.changed")                  \
    EVENT(OPERATION_LEFT_UNKNOWN, "operation.left_unknown")    \
    EVENT(GATEWAY_FAILED, "gateway.failed")                    \
    EVENT(WEBHOOK_FAILED, "webhook.failed")                    \
    EVENT(WEBHOOK_CHANGED, "webhook.changed")                  \
    EVENT(WEBHOOK_REMOVED, "webhook.removed")                  \
    EVENT(WEBHOOK_DISABLED, "webhook.disabled")                \
    EVENT(WEBHOOK_FILLED, "webhook.filled")                    \
    EVENT(SOURCE_FAILED, "source.failed")                      \
    EVENT(BREAKER_OPENED, "breaker.opened")                    \
    EVENT(BREAKER_CLOSED, "breaker.closed")                    \
    EVENT(LOG_LEVEL_CHANGED, "log.level_changed")              \
    EVENT(LOG_REOPENED, "log.reopened")                        \
    EVENT(LOG_LINES_DROPPED, "log.lines_dropped")

enum log_event_id {
#define LOG_EVENT_ID(name, text) EVENT_##name,
    LOG_EVENTS(LOG_EVENT_ID)
#undef LOG_EVENT_ID
        LOG_EVENT_COUNT
};

enum log_field_type {
    LOG_FIELD_NONE,
    LOG_FIELD_STR,
    LOG_FIELD_INT,
    LOG_FIELD_UINT,
    LOG_FIELD_DOUBLE,
    LOG_FIELD_BOOL
};

/* One typed member of a line. The name is a literal in the code: lower case, digits and '_'. */
struct log_field {
    const char *name;
    enum log_field_type type;
    union {
        int64_t i;
        uint64_t u;
        double d;
        bool b;
        struct {
            const char *text; /* NULL is written as null */
            size_t bytes;     /* SIZE_MAX = up to the NUL */
        } s;
    } as;
};

static inline struct log_field log_str(const char *name, const char *text)
{
    return (struct log_field){.name = name, .type = LOG_FIELD_STR, .as.s = {text, SIZE_MAX}};
}

static inline struct log_field log_strn(const char *name, const char *text, size_t bytes)
{
    return (struct log_field){.name = name, .type = LOG_FIELD_STR, .as.s = {text, bytes}};
}

static inline struct log_field log_int(const char *name, int64_t value)
{
    return (struct log_field){.name = name, .type = LOG_FIELD_INT, .as.i = value};
}

static inline struct log_field log_uint(const char *name, uint64_t value)
{
    return (struct log_field){.name = name, .type = LOG_FIELD_UINT, .as.u = value};
}

static inline struct log_field log_double(const char *name, double value)
{
    return (struct log_field){.name = name, .type = LOG_FIELD_DOUBLE, .as.d = value};
}

static inline struct log_field log_bool(const char *name, bool value)
{
    return (struct log_field){.name = name, .type = LOG_FIELD_BOOL, .as.b = value};
}

extern atomic_int log_level_now; /* use log_level() and log_set_level() */

/** The level below which events are not made.   Blocks: no.   Context: any thread. */
static inline enum log_level log_level(void)
{
    return (enum log_level)atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

/** Changes the level from the next event on.   Blocks: no.   Context: any thread or signal handler. */
static inline void log_set_level(enum log_level level)
{
    atomic_store_explicit(&log_level_now, (int)level, memory_order_relaxed);
}

/** The word used for a level in lines and settings: "debug", "info", "warn", "error". */
const char *log_level_text(enum log_level level);

/** The text of an event, for example "service.ready". */
const char *log_event_text(enum log_event_id event);

/** Writes one event with its fields: log_event(LOG_INFO, EVENT_SERVICE_READY, log_str("address", text)).
 *  The fields are not evaluated when the level is off. Strings are borrowed until it returns.
 *  Blocks: no. Context: any thread; not a signal handler. Cost: well under a microsecond, no allocation. */
#define log_event(level, event, ...)                                                                \
    do {                                                                                            \
        if ((level) >= log_level()) {                                                               \
            const struct log_field log_event_fields_[] = {{.type = LOG_FIELD_NONE}, ##__VA_ARGS__}; \
            log_write((level), (event), log_event_fields_ + 1,                                      \
                      sizeof log_event_fields_ / sizeof log_event_fields_[0] - 1);                  \
        }                                                                                           \
    } while (0)

/** What log_event() calls; it does not look at the level. */
void log_write(enum log_level level, enum log_event_id event, const struct log_field *fields, size_t count);

/** Last words: waits up to 200 ms for what was logged before, then writes the line with write(2) itself, to
 *  the log and, when that is a file, to stderr as well. log_double() fields are not allowed here.
 *  Blocks: up to 200 ms.   Context: any thread or signal handler (async-signal-safe). */
#define log_fatal_now(event, ...)                                                               \
    do {                                                                                        \
        const struct log_field log_event_fields_[] = {{.type = LOG_FIELD_NONE}, ##__VA_ARGS__}; \
        log_write_fatal((event), log_event_fields_ + 1,                                         \
                        sizeof log_event_fields_ / sizeof log_event_fields_[0] - 1);            \
    } while (0)

/** What log_fatal_now() calls. */
void log_write_fatal(enum log_event_id event, const struct log_field *fields, size_t count);

/* One finished request. Strings are borrowed for the call and may be NULL (the member is then left out). */
struct log_access {
    const char *request_id;
    const char *method;
    const char *path;     /* as sent, without the query: it may hold what is nobody's business */
    const char *route;    /* the template, for example "/v1/payments/{id}" */
    const char *client;   /* address of the peer */
    const char *trace_id; /* from traceparent */
    const char *code;     /* problem code of an error answer */
    int status;
    int64_t duration_ns;
    uint64_t request_bytes;
    uint64_t response_bytes;
};

extern _Atomic int64_t
    log_access_slow_ns; /* set by log_set_access(): errors mode reports from here on; INT64_MAX = never */
extern atomic_int log_access_mode_now;

/** Whether the access log wants a request with this outcome: look before you fill in a struct log_access.
 *  Blocks: no.   Context: any thread.   Cost: two loads. */
static inline bool log_access_wanted(int status, int64_t duration_ns)
{
    int mode = atomic_load_explicit(&log_access_mode_now, memory_order_relaxed);
    return mode == LOG_ACCESS_ALL ||
           (mode == LOG_ACCESS_ERRORS &&
            (status >= 500 ||
             duration_ns >= atomic_load_explicit(&log_access_slow_ns, memory_order_relaxed)));
}

/** Hands a finished request to the access log, if log_access_wanted(). The log's thread makes the text of it.
 *  Blocks: no. Context: any thread; not a signal handler. Cost: one copy of the strings, no allocation. */
void log_access(const struct log_access *access);

struct log_options {
    enum log_level level;
    enum log_access_mode access;
    int64_t slow_request_ms;        /* 0 = a slow request is nothing special */
    const char *file;               /* NULL = descriptor `fd`; copied */
    int fd;                         /* used when file is NULL; 0 = stderr */
    int64_t (*wall_clock_ns)(void); /* NULL = CLOCK_REALTIME; must be async-signal-safe */
    bool no_thread;                 /* stay synchronous: every line is written at once */
};

/** Opens the log and starts its thread.
 *  Errors: -1 with errno when the file cannot be opened or the thread cannot start; the log then goes on as
 *  before.
 *  Blocks: for one open(2).   Context: one thread, once until log_stop(). */
int log_start(const struct log_options *options);

/** Which finished requests are logged from now on; slow_request_ms as in struct log_options.
 *  Blocks: no.   Context: any thread. */
void log_set_access(enum log_access_mode access, int64_t slow_request_ms);

/** Waits until what was logged before this call is written, or the time is up.
 *  Returns: true when all of it is written. Blocks: up to timeout_ms. Context: any thread or signal handler.
 *  */
bool log_flush(int timeout_ms);

/** Writes what is left and ends the thread; a descriptor that does not take the lines in two seconds is given
 *  up on. Events of other threads during the stop may be counted as dropped.
 *  Blocks: up to two seconds.   Context: the thread that called log_start(). */
void log_stop(void);

/** Asks for the log file to be opened anew (after a rotation). Without a file nothing happens.
 *  Blocks: no.   Context: any thread or signal handler. */
void log_reopen(void);

struct log_stats {
    uint64_t lines_written;
    uint64_t lines_dropped; /* no room in the ring, no ring, or write(2) failed */
    uint64_t bytes_written;
    uint64_t write_errors;
    uint64_t batches; /* calls of write(2) */
};

/** Reads the counters; lines_dropped lines that the log itself makes are in none of them.
 *  Blocks: no.   Context: any thread. */
void log_stats(struct log_stats *stats);

#endif
