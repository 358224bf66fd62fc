/* The thread behind the log: it collects the records of all rings, orders them by time and writes them in
 * batches.
 *
 * 1. Only this thread writes to the log's descriptor while it runs, save log_writer_write_now() on fatal
 *    paths.
 * 2. The word `state` says how deep it sleeps. A producer publishes, then reads `state`; the writer stores
 *    `state`, then looks at the rings once more; all four are sequentially consistent, so one of them sees
 *    the other.
 * 3. After a batch it naps NAP_MS before it looks again: producers in a burst do not pay for waking it. When
 *    a nap brought nothing it sleeps until it is woken: an idle log costs nothing.
 * 4. It blocks all signals.
 *
 * Life cycle: open, start, stop; inside of the log only.
 */
#ifndef TROUPE_SERVER_LOG_WRITER_H
#define TROUPE_SERVER_LOG_WRITER_H

#include "server/log_ring.h"

/** Wall clock of the log (log.c).   Context: any thread or signal handler. */
int64_t log_wall_ns(void);

/** Opens `file` (copied), or takes `fd` when it is NULL.   Errors: -1 with errno. */
int log_writer_open(const char *file, int fd);

/** Starts the thread.   Errors: -1 with errno. */
int log_writer_start(void);

/** Drains and ends the thread, or leaves it behind when it does not finish in time. */
void log_writer_stop(int timeout_ms);

/** Whether records go through the rings.   Context: any thread or signal handler. */
bool log_writer_running(void);

/** This thread's ring, made at the first call.   Returns: NULL when there is none to be had. */
struct log_ring *log_writer_ring(void);

/** Counts a record that found no room; `ring` may be NULL. */
void log_writer_count_dropped(struct log_ring *ring);

/** Tells the writer that a record was published; `waiting` bytes are in that ring. */
void log_writer_notice(size_t waiting);

/** Writes a line at once.   Context: any thread or signal handler. */
void log_writer_write_now(const char *line, size_t bytes);

/** The descriptor in use.   Context: any thread or signal handler. */
int log_writer_fd(void);

/** See log_flush().   Context: any thread or signal handler. */
bool log_writer_flush(int timeout_ms);

/** See log_reopen().   Context: any thread or signal handler. */
void log_writer_reopen(void);

/** See log_stats(). */
void log_writer_stats(struct log_stats *stats);

#endif
