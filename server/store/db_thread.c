#include "server/store/db_thread.h"

#include "server/store/store_clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS       UINT64_C(1000000)
#define BACK_OFF_MIN_MS 10u
#define BACK_OFF_MAX_MS 1000u

struct db_thread {
    tr_resource resource; /* first: of the worker */
    struct store *store;
    tr_pid worker;
    _Atomic uint32_t *load;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct db_job *first, **last;
    bool stopping;
    bool lost; /* the thread's own */
};

/* How many threads there are, for db_threads_join. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    uint32_t count;
} threads = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};

/* ---- jobs ---- */

tr_blob *db_job_blob(struct db_job *job)
{
    return (tr_blob *)(void *)((char *)job - offsetof(tr_blob, bytes));
}

void *db_job_result(struct db_job *job)
{
    return job->bytes;
}

const void *db_job_arg(const struct db_job *job)
{
    return (const char *)job->bytes + ((job->result_bytes + 7u) & ~(size_t)7);
}

void store_rows_add(struct store_rows *rows, const void *bytes, size_t count)
{
    if (rows->failed || count == 0) {
        return;
    }
    if (count > STORE_ROWS_MAX - rows->count) {
        rows->failed = true;
        return;
    }
    if (rows->count + count > rows->room) {
        size_t room = rows->room == 0 ? 4096 : rows->room;
        while (room < rows->count + count) {
            room *= 2;
        }
        char *grown = realloc(rows->bytes, room);
        if (grown == NULL) {
            rows->failed = true;
            return;
        }
        rows->bytes = grown;
        rows->room = room;
    }
    memcpy(rows->bytes + rows->count, bytes, count);
    rows->count += count;
}

static void let_go(struct db_thread *self, struct db_job *job)
{
    tr_blob_drop(db_job_blob(job));
    atomic_fetch_sub_explicit(self->load, 1, memory_order_relaxed);
}

/* Answers a job and lets it go. */
static void finish(struct db_thread *self, struct db_job *job, enum store_status status, tr_blob *rows)
{
    db_read_answer answer = {.status = status, .job = db_job_blob(job), .rows = rows};
    (void)tr_reply(job->from, TR_TYPE(db_read_answer), &answer);
    if (rows != NULL) {
        tr_blob_drop(rows);
    }
    let_go(self, job);
}

static void run(struct db_thread *self, struct db_job *job, struct store_reader *reader)
{
    struct store_rows rows = {0};
    memset(db_job_result(job), 0, job->result_bytes);
    enum store_status status =
        job->fn(reader, db_job_arg(job), job->result_bytes == 0 ? NULL : db_job_result(job), &rows);
    if (status == STORE_OK && rows.failed) {
        status = STORE_NOMEM;
    }
    tr_blob *found = status == STORE_OK ? tr_blob_new(rows.bytes, rows.count) : NULL;
    free(rows.bytes);
    self->lost = status == STORE_IO || status == STORE_CORRUPT || status == STORE_CLOSED;
    finish(self, job, status, found);
    if (self->lost) {
        (void)TR_SEND(self->worker, db_connection_lost);
    }
}

/* ---- the queue ---- */

static struct db_job *take(struct db_thread *self)
{
    struct db_job *job = self->first;
    if (job != NULL) {
        self->first = job->next;
        if (self->first == NULL) {
            self->last = &self->first;
        }
    }
    return job;
}

/* The next job; NULL: it is time to end. */
static struct db_job *await_job(struct db_thread *self)
{
    pthread_mutex_lock(&self->lock);
    while ((self->first == NULL || self->lost) && !self->stopping) {
        pthread_cond_wait(&self->wake, &self->lock);
    }
    struct db_job *job = self->stopping ? NULL : take(self);
    pthread_mutex_unlock(&self->lock);
    return job;
}

/* Waits before the next attempt. Returns: false when it is time to end. */
static bool back_off(struct db_thread *self, unsigned wait_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + wait_ms * NS_PER_MS;
    until.tv_sec += (time_t)(ns / UINT64_C(1000000000));
    until.tv_nsec = (long)(ns % UINT64_C(1000000000));
    pthread_mutex_lock(&self->lock);
    int waited = 0;
    while (!self->stopping && waited == 0) {
        waited = pthread_cond_timedwait(&self->wake, &self->lock, &until);
    }
    bool go_on = !self->stopping;
    pthread_mutex_unlock(&self->lock);
    return go_on;
}

void db_thread_add(struct db_thread *self, struct db_job *job)
{
    job->next = NULL;
    atomic_fetch_add_explicit(self->load, 1, memory_order_relaxed);
    pthread_mutex_lock(&self->lock);
    *self->last = job;
    self->last = &job->next;
    pthread_cond_signal(&self->wake);
    pthread_mutex_unlock(&self->lock);
}

/* ---- the thread ---- */

static struct store_reader *connect(struct db_thread *self)
{
    struct store_reader *reader = NULL;
    unsigned wait_ms = BACK_OFF_MIN_MS;
    while (store_reader_open(self->store, 0, &reader, NULL) != STORE_OK) {
        if (!back_off(self, wait_ms)) {
            return NULL;
        }
        wait_ms = wait_ms * 2 < BACK_OFF_MAX_MS ? wait_ms * 2 : BACK_OFF_MAX_MS;
    }
    return reader;
}

static void serve(struct db_thread *self, struct store_reader *reader)
{
    struct db_job *job;
    while ((job = await_job(self)) != NULL) {
        if (job->give_up_ns <= store__now_ns()) {
            finish(self, job, STORE_TIMEOUT, NULL);
        } else {
            run(self, job, reader);
        }
    }
}

/* The worker is gone: those who wait heard of its end, and asked another. */
static void destroy(struct db_thread *self)
{
    struct db_job *job;
    while ((job = take(self)) != NULL) {
        let_go(self, job);
    }
    pthread_cond_destroy(&self->wake);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

static void *db_thread_main(void *arg)
{
    struct db_thread *self = arg;
    pthread_setname_np(pthread_self(), "db_connection");
    struct store_reader *reader = connect(self);
    if (reader != NULL) {
        serve(self, reader);
    }
    store_reader_close(reader);
    destroy(self);
    pthread_mutex_lock(&threads.lock);
    threads.count--;
    pthread_cond_broadcast(&threads.ended);
    pthread_mutex_unlock(&threads.lock);
    return NULL;
}

static void worker_ended(tr_resource *resource)
{
    struct db_thread *self = (struct db_thread *)(void *)resource;
    pthread_mutex_lock(&self->lock);
    self->stopping = true;
    pthread_cond_signal(&self->wake);
    pthread_mutex_unlock(&self->lock);
}

static bool launch(struct db_thread *self)
{
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_mutex_lock(&threads.lock);
    bool launched = pthread_create(&thread, &attr, db_thread_main, self) == 0;
    threads.count += launched;
    pthread_mutex_unlock(&threads.lock);
    pthread_attr_destroy(&attr);
    return launched;
}

struct db_thread *db_thread_start(struct store *store, _Atomic uint32_t *load)
{
    struct db_thread *self = calloc(1, sizeof *self);
    if (self == NULL) {
        return NULL;
    }
    self->resource.destroy = worker_ended;
    self->store = store;
    self->worker = tr_self();
    self->load = load;
    self->last = &self->first;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (!launch(self)) {
        pthread_cond_destroy(&self->wake);
        pthread_mutex_destroy(&self->lock);
        free(self);
        return NULL;
    }
    tr_resource_add(&self->resource);
    return self;
}

void db_threads_join(void)
{
    pthread_mutex_lock(&threads.lock);
    while (threads.count > 0) {
        pthread_cond_wait(&threads.ended, &threads.lock);
    }
    pthread_mutex_unlock(&threads.lock);
}
