#include "server/log_writer.h"

#include "server/log_format.h"
#include "server/thread_slot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    NAP_MS = 2,
    BATCH_BYTES = 256 * 1024,
};

enum writer_state { WRITER_BUSY, WRITER_NAPPING, WRITER_ASLEEP };

/* How far the writer is in one ring, during one batch. */
struct cursor {
    struct log_ring *ring;
    uint64_t position;
    uint64_t end;
    const struct log_record *record; /* NULL = no more in this batch */
};

static struct {
    _Atomic(struct log_ring *) rings[THREAD_SLOTS];
    atomic_uint ring_count; /* slots from here on have no ring */
    atomic_bool running;
    atomic_bool stopping;
    atomic_bool reopen_wanted;
    _Atomic uint32_t state;        /* futex */
    _Atomic uint32_t flush_wanted; /* tickets given out */
    _Atomic uint32_t flush_done;   /* futex: tickets served */
    _Atomic uint32_t finished;     /* futex: 1 = the thread is through */
    _Atomic int64_t
        give_up_at_ms; /* while stopping: monotonic time after which a stalled descriptor is left */
    _Atomic uint64_t lines_written, bytes_written, write_errors, batches;
    _Atomic uint64_t dropped_without_ring; /* no ring, or the write failed */
    uint64_t dropped_reported;             /* the writer's */
    atomic_int fd;
    char *file;
    bool torn; /* the last write ended inside a line */
    pthread_t thread;
    struct cursor cursors[THREAD_SLOTS];
    char batch[BATCH_BYTES];
    size_t batch_used;
    uint64_t batch_lines;
} writer = {.fd = STDERR_FILENO};

static _Thread_local bool on_writer_thread;

static int64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t timeout_ms)
{
    struct timespec limit = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000};
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, timeout_ms >= 0 ? &limit : NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* ---- Producers ---- */

bool log_writer_running(void)
{
    return atomic_load_explicit(&writer.running, memory_order_acquire);
}

static void wake_from(uint32_t state)
{
    if (atomic_exchange_explicit(&writer.state, WRITER_BUSY, memory_order_seq_cst) >= state) {
        futex_wake(&writer.state);
    }
}

void log_writer_notice(size_t waiting)
{
    uint32_t state = atomic_load_explicit(&writer.state, memory_order_seq_cst);
    if (state == WRITER_ASLEEP || (state == WRITER_NAPPING && waiting > LOG_RING_BYTES / 4)) {
        wake_from(WRITER_NAPPING);
    }
}

void log_writer_count_dropped(struct log_ring *ring)
{
    _Atomic uint64_t *count = ring != NULL ? &ring->dropped : &writer.dropped_without_ring;
    atomic_fetch_add_explicit(count, 1, memory_order_seq_cst);
    log_writer_notice(LOG_RING_BYTES);
}

struct log_ring *log_writer_ring(void)
{
    unsigned slot = thread_slot();
    if (slot == THREAD_SLOT_NONE) {
        return NULL;
    }
    struct log_ring *ring = atomic_load_explicit(&writer.rings[slot], memory_order_relaxed);
    if (ring == NULL && (ring = log_ring_create()) != NULL) {
        atomic_store_explicit(&writer.rings[slot], ring, memory_order_seq_cst);
        unsigned count = atomic_load_explicit(&writer.ring_count, memory_order_relaxed);
        while (count <= slot &&
               !atomic_compare_exchange_weak_explicit(&writer.ring_count, &count, slot + 1,
                                                      memory_order_seq_cst, memory_order_relaxed)) {
        }
    }
    return ring;
}

int log_writer_fd(void)
{
    return atomic_load_explicit(&writer.fd, memory_order_relaxed);
}

/* ---- Writing ---- */

static bool wait_writable(int fd)
{
    struct pollfd waiting = {.fd = fd, .events = POLLOUT};
    poll(&waiting, 1, 100);
    int64_t give_up_at = atomic_load_explicit(&writer.give_up_at_ms, memory_order_relaxed);
    return give_up_at == 0 || monotonic_ms() < give_up_at;
}

/* Returns how many bytes went out before an error that does not pass. */
static size_t write_all(int fd, const char *bytes, size_t count)
{
    size_t done = 0;
    while (done < count) {
        ssize_t n = write(fd, bytes + done, count - done);
        if (n > 0) {
            done += (size_t)n;
            continue;
        }
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) && wait_writable(fd)) {
            continue;
        }
        break;
    }
    return done;
}

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

void log_writer_write_now(const char *line, size_t bytes)
{
    size_t done = write_all(log_writer_fd(), line, bytes);
    add(&writer.batches, 1);
    add(&writer.bytes_written, done);
    add(done == bytes ? &writer.lines_written : &writer.dropped_without_ring, 1);
    if (done != bytes) {
        add(&writer.write_errors, 1);
    }
}

static uint64_t count_lines(const char *bytes, size_t count)
{
    uint64_t lines = 0;
    for (const char *at = bytes; (at = memchr(at, '\n', count - (size_t)(at - bytes))) != NULL; at++) {
        lines++;
    }
    return lines;
}

static void write_batch(void)
{
    if (writer.batch_used == 0) {
        return;
    }
    if (writer.torn && write_all(log_writer_fd(), "\n", 1) == 1) {
        writer.torn = false;
    }
    size_t done = writer.torn ? 0 : write_all(log_writer_fd(), writer.batch, writer.batch_used);
    uint64_t whole = done == writer.batch_used ? writer.batch_lines : count_lines(writer.batch, done);
    if (done < writer.batch_used) {
        writer.torn = writer.torn || (done > 0 && writer.batch[done - 1] != '\n');
        add(&writer.write_errors, 1);
        add(&writer.dropped_without_ring, writer.batch_lines - whole);
    }
    add(&writer.batches, 1);
    add(&writer.bytes_written, done);
    add(&writer.lines_written, whole);
    writer.batch_used = 0;
    writer.batch_lines = 0;
}

static void batch_record(const struct log_record *record)
{
    if (BATCH_BYTES - writer.batch_used < LOG_LINE_MAX) {
        write_batch();
    }
    char *at = writer.batch + writer.batch_used;
    if (record->type == LOG_RECORD_ACCESS) {
        const struct log_access_record *access =
            (const struct log_access_record *)(const void *)record->payload;
        writer.batch_used += log_format_access(at, record->wall_ns, access);
    } else {
        memcpy(at, record->payload, record->payload_bytes);
        writer.batch_used += record->payload_bytes;
    }
    writer.batch_lines++;
}

/* Sets a cursor on every ring with something in it, up to what is published now. */
static size_t set_cursors(void)
{
    size_t count = 0;
    unsigned rings = atomic_load_explicit(&writer.ring_count, memory_order_acquire);
    for (unsigned slot = 0; slot < rings; slot++) {
        struct log_ring *ring = atomic_load_explicit(&writer.rings[slot], memory_order_acquire);
        if (ring == NULL) {
            continue;
        }
        struct cursor cursor = {.ring = ring};
        cursor.position = atomic_load_explicit(&ring->tail, memory_order_relaxed);
        cursor.end = atomic_load_explicit(&ring->head, memory_order_acquire);
        cursor.record = log_ring_peek(ring, &cursor.position, cursor.end);
        if (cursor.record != NULL) {
            writer.cursors[count++] = cursor;
        }
    }
    return count;
}

/* Takes everything that is published now, oldest first. */
static bool drain(void)
{
    size_t count = set_cursors();
    bool any = count > 0;
    while (count > 0) {
        size_t oldest = 0;
        for (size_t i = 1; i < count; i++) {
            if (writer.cursors[i].record->wall_ns < writer.cursors[oldest].record->wall_ns) {
                oldest = i;
            }
        }
        struct cursor *cursor = &writer.cursors[oldest];
        batch_record(cursor->record);
        cursor->position = log_ring_after(cursor->position, cursor->record);
        cursor->record = log_ring_peek(cursor->ring, &cursor->position, cursor->end);
        log_ring_release(cursor->ring, cursor->position);
        if (cursor->record == NULL) {
            *cursor = writer.cursors[--count];
        }
    }
    write_batch();
    return any;
}

static uint64_t dropped_lines(void)
{
    uint64_t dropped = atomic_load_explicit(&writer.dropped_without_ring, memory_order_seq_cst);
    unsigned rings = atomic_load_explicit(&writer.ring_count, memory_order_acquire);
    for (unsigned slot = 0; slot < rings; slot++) {
        struct log_ring *ring = atomic_load_explicit(&writer.rings[slot], memory_order_acquire);
        dropped += ring != NULL ? atomic_load_explicit(&ring->dropped, memory_order_seq_cst) : 0;
    }
    return dropped;
}

/* Its own line is in no counter. When it cannot be written it is tried again after the next batch. */
static void report_dropped(void)
{
    uint64_t total = dropped_lines();
    if (total == writer.dropped_reported || writer.torn) {
        return;
    }
    char line[LOG_LINE_MAX];
    const struct log_field fields[] = {log_uint("lines", total - writer.dropped_reported),
                                       log_uint("total", total)};
    size_t bytes =
        log_format_event(line, log_wall_ns(), log_level_text(LOG_WARN), EVENT_LOG_LINES_DROPPED, fields, 2);
    size_t done = write_all(log_writer_fd(), line, bytes);
    writer.torn = done > 0 && done < bytes;
    if (done == bytes) {
        writer.dropped_reported = total;
    }
}

/* ---- The thread ---- */

static int open_file(const char *file)
{
    return open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
}

/* The new file takes the old one's number, so that no thread is left with a closed descriptor. */
static void reopen_if_wanted(void)
{
    if (!atomic_exchange_explicit(&writer.reopen_wanted, false, memory_order_seq_cst) ||
        writer.file == NULL) {
        return;
    }
    int fd = open_file(writer.file);
    if (fd < 0 || dup3(fd, log_writer_fd(), O_CLOEXEC) < 0) {
        add(&writer.write_errors, 1);
    }
    if (fd >= 0) {
        close(fd);
    }
    writer.torn = false;
    log_event(LOG_INFO, EVENT_LOG_REOPENED, log_bool("ok", fd >= 0));
}

static bool work_waits(void)
{
    if (atomic_load_explicit(&writer.stopping, memory_order_seq_cst) ||
        atomic_load_explicit(&writer.reopen_wanted, memory_order_seq_cst) ||
        atomic_load_explicit(&writer.flush_wanted, memory_order_seq_cst) !=
            atomic_load_explicit(&writer.flush_done, memory_order_relaxed)) {
        return true;
    }
    unsigned rings = atomic_load_explicit(&writer.ring_count, memory_order_seq_cst);
    for (unsigned slot = 0; slot < rings; slot++) {
        struct log_ring *ring = atomic_load_explicit(&writer.rings[slot], memory_order_seq_cst);
        if (ring != NULL && atomic_load_explicit(&ring->head, memory_order_seq_cst) !=
                                atomic_load_explicit(&ring->tail, memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

static void rest(uint32_t how)
{
    atomic_store_explicit(&writer.state, how, memory_order_seq_cst);
    bool urgent = atomic_load_explicit(&writer.stopping, memory_order_seq_cst) ||
                  atomic_load_explicit(&writer.flush_wanted, memory_order_seq_cst) !=
                      atomic_load_explicit(&writer.flush_done, memory_order_relaxed);
    if (how == WRITER_NAPPING ? !urgent : !work_waits()) {
        futex_wait(&writer.state, how, how == WRITER_NAPPING ? NAP_MS : -1);
    }
    atomic_store_explicit(&writer.state, WRITER_BUSY, memory_order_seq_cst);
}

static void *writer_main(void *unused)
{
    on_writer_thread = true;
    for (;;) {
        bool stopping = atomic_load_explicit(&writer.stopping, memory_order_seq_cst);
        uint32_t ticket = atomic_load_explicit(&writer.flush_wanted, memory_order_seq_cst);
        bool any = drain();
        reopen_if_wanted();
        report_dropped();
        atomic_store_explicit(&writer.flush_done, ticket, memory_order_seq_cst);
        futex_wake(&writer.flush_done);
        if (stopping) {
            break;
        }
        rest(any ? WRITER_NAPPING : WRITER_ASLEEP);
    }
    atomic_store_explicit(&writer.finished, 1, memory_order_seq_cst);
    futex_wake(&writer.finished);
    return unused;
}

int log_writer_open(const char *file, int fd)
{
    char *copy = NULL;
    if (file != NULL) {
        copy = strdup(file);
        fd = copy != NULL ? open_file(file) : -1;
        if (fd < 0) {
            int saved = errno;
            free(copy);
            errno = saved;
            return -1;
        }
    }
    free(writer.file);
    writer.file = copy;
    writer.torn = false;
    atomic_store_explicit(&writer.fd, fd, memory_order_relaxed);
    return 0;
}

int log_writer_start(void)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    atomic_store(&writer.stopping, false);
    atomic_store(&writer.finished, 0);
    atomic_store(&writer.give_up_at_ms, 0);
    atomic_store(&writer.state, WRITER_BUSY);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&writer.thread, NULL, writer_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) {
        errno = failed;
        return -1;
    }
    pthread_setname_np(writer.thread, "log");
    atomic_store_explicit(&writer.running, true, memory_order_release);
    return 0;
}

/* Waits for *word to leave `value`'s side: until reached() or the time is up. */
static bool wait_until(_Atomic uint32_t *word, uint32_t target, int timeout_ms)
{
    int64_t until = monotonic_ms() + timeout_ms;
    for (;;) {
        uint32_t now = atomic_load_explicit(word, memory_order_seq_cst);
        if ((int32_t)(now - target) >= 0) {
            return true;
        }
        int64_t left = until - monotonic_ms();
        if (left <= 0) {
            return false;
        }
        futex_wait(word, now, left);
    }
}

bool log_writer_flush(int timeout_ms)
{
    if (!log_writer_running() || on_writer_thread) {
        return !on_writer_thread;
    }
    uint32_t ticket = atomic_fetch_add_explicit(&writer.flush_wanted, 1, memory_order_seq_cst) + 1;
    wake_from(WRITER_NAPPING);
    return wait_until(&writer.flush_done, ticket, timeout_ms);
}

void log_writer_stop(int timeout_ms)
{
    if (!log_writer_running()) {
        return;
    }
    atomic_store_explicit(&writer.running, false, memory_order_seq_cst);
    atomic_store(&writer.give_up_at_ms, monotonic_ms() + timeout_ms * 3 / 4);
    atomic_store_explicit(&writer.stopping, true, memory_order_seq_cst);
    wake_from(WRITER_NAPPING);
    if (!wait_until(&writer.finished, 1, timeout_ms)) {
        pthread_detach(writer.thread); /* stuck in write(2); it dies with the process */
        return;
    }
    pthread_join(writer.thread, NULL);
    atomic_store(&writer.give_up_at_ms, 0);
    drain(); /* what slipped in; this thread is the consumer now */
    report_dropped();
}

void log_writer_reopen(void)
{
    atomic_store_explicit(&writer.reopen_wanted, true, memory_order_seq_cst);
    wake_from(WRITER_NAPPING);
}

void log_writer_stats(struct log_stats *stats)
{
    *stats = (struct log_stats){
        .lines_written = atomic_load_explicit(&writer.lines_written, memory_order_relaxed),
        .lines_dropped = dropped_lines(),
        .bytes_written = atomic_load_explicit(&writer.bytes_written, memory_order_relaxed),
        .write_errors = atomic_load_explicit(&writer.write_errors, memory_order_relaxed),
        .batches = atomic_load_explicit(&writer.batches, memory_order_relaxed),
    };
}
