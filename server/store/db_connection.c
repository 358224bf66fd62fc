#include "server/store/db_connection.h"

#include "server/store/db_thread.h"
#include "server/store/store_clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)
#define RESTARTS_MAX \
    100 /* connections lost in RESTARTS_SECONDS, all workers together, before the pool gives up */
#define RESTARTS_SECONDS 5

TR_MESSAGE_BLOBS(
    db_read, { tr_blob *job; }, offsetof(db_read, job));

static struct {
    struct store *store;
    tr_registry *registry;
    _Atomic uint32_t turn;                 /* where the next search for an idle worker begins */
    _Atomic uint32_t load[DB_CONNECTIONS]; /* jobs a worker's thread has */
} pool;

static tr_term key_of(uint32_t index)
{
    return tr_tuple(tr_atom("db_connection"), tr_int(index + 1));
}

/* ---- the worker ---- */

typedef struct db_connection {
    struct db_thread *thread; /* its own: ends with this process */
    uint32_t index;
    uint64_t reads;
} db_connection;

static tr_next db_connection_init(db_connection *self, const void *arg)
{
    self->index = *(const uint32_t *)arg;
    self->thread = db_thread_start(pool.store, &pool.load[self->index]);
    return self->thread != NULL ? TR_INIT_OK : TR_STOP(tr_atom("no_thread"));
}

static tr_next db_connection_handle_call(db_connection *self, tr_from from, const tr_msg *msg)
{
    const db_read *request = TR_MATCH(msg, db_read);
    if (request == NULL) {
        return tr_unexpected(msg);
    }
    struct db_job *job = (struct db_job *)(void *)tr_blob_retain(request->job)->bytes;
    job->from = from;
    self->reads++;
    db_thread_add(self->thread, job);
    return TR_NOREPLY;
}

static tr_next db_connection_handle_info(db_connection *self, const tr_msg *msg)
{
    (void)self;
    if (TR_MATCH(msg, db_connection_lost) != NULL) {
        return TR_STOP(tr_atom("connection_lost"));
    }
    return TR_NOREPLY;
}

static tr_term db_connection_format_state(const db_connection *self)
{
    return tr_map_n(2, (tr_term[]){tr_atom("reads"), tr_int((int64_t)self->reads), tr_atom("waiting"),
                                   tr_int(pool.load[self->index])});
}

TR_GEN_SERVER(db_connection, .init = db_connection_init, .handle_call = db_connection_handle_call,
              .handle_info = db_connection_handle_info, .format_state = db_connection_format_state);

/* ---- the supervisor ---- */

static tr_err pool_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                        tr_term *reason)
{
    (void)arg;
    (void)reason;
    tr_child_spec *specs = tr_scratch_alloc(DB_CONNECTIONS * sizeof(*specs));
    uint32_t *indexes = tr_scratch_alloc(DB_CONNECTIONS * sizeof(*indexes));
    for (uint32_t i = 0; i < DB_CONNECTIONS; i++) {
        char label[32];
        snprintf(label, sizeof(label), "db_connection.%u", i + 1);
        indexes[i] = i;
        specs[i] =
            (tr_child_spec){.id = key_of(i),
                            .server = db_connection_server,
                            .arg = &indexes[i],
                            .arg_bytes = sizeof(indexes[i]),
                            .start = {.name = tr_atom(label), .registry = pool.registry, .key = key_of(i)}};
    }
    *flags =
        (tr_sup_flags){.strategy = TR_ONE_FOR_ONE, .intensity = RESTARTS_MAX, .period_s = RESTARTS_SECONDS};
    *children = specs;
    *count = DB_CONNECTIONS;
    return TR_OK;
}

tr_child_spec db_connections_child_spec(struct store *store)
{
    static const tr_supervisor supervisor = {.name = "db_connections", .init = pool_init};
    pool.store = store;
    pool.registry = tr_registry_new("db_connections");
    return (tr_child_spec){.id = tr_atom("db_connections"),
                           .supervisor = &supervisor,
                           .start = {.name = tr_atom("db_connections")}};
}

void db_connections_teardown(void)
{
    db_threads_join();
}

/* ---- callers ---- */

/* The worker with the least to do, as far as one look tells. attempt: how many were not there. */
static tr_pid choose(uint32_t attempt)
{
    uint32_t begin = atomic_fetch_add_explicit(&pool.turn, 1, memory_order_relaxed) + attempt;
    uint32_t best = begin % DB_CONNECTIONS;
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; attempt == 0 && i < DB_CONNECTIONS && least > 0; i++) {
        uint32_t at = (begin + i) % DB_CONNECTIONS;
        uint32_t load = atomic_load_explicit(&pool.load[at], memory_order_relaxed);
        if (load < least) {
            least = load;
            best = at;
        }
    }
    return tr_registry_lookup(pool.registry, key_of(best), NULL);
}

/* A request with its job; nobody else holds that yet, so it goes where the message goes, whoever is killed. */
static tr_msg *request_new(const struct store_read *read)
{
    size_t padded = (read->result_bytes + 7u) & ~(size_t)7;
    tr_blob *blob = tr_blob_new(NULL, sizeof(struct db_job) + padded + read->arg_bytes);
    struct db_job *job = (struct db_job *)(void *)blob->bytes;
    *job = (struct db_job){.fn = read->fn,
                           .arg_bytes = read->arg_bytes,
                           .result_bytes = read->result_bytes,
                           .give_up_ns = store__now_ns() + (uint64_t)read->timeout_ms * NS_PER_MS};
    if (read->arg_bytes > 0) {
        memcpy((char *)(uintptr_t)db_job_arg(job), read->arg, read->arg_bytes);
    }
    tr_msg *request = TR_MSG(db_read, .job = blob);
    tr_blob_drop(blob);
    return request;
}

/* Asks one worker after the other while they are not there, or end: a read may be done twice.
 * Returns: the answer, its message in *reply for the caller to drop; NULL with the error in *err. */
static const db_read_answer *ask(const struct store_read *read, tr_msg **reply, tr_err *err)
{
    *err = TR_E_NOPROC;
    for (uint32_t attempt = 0; attempt <= DB_CONNECTIONS && (*err == TR_E_NOPROC || *err == TR_E_EXIT);
         attempt++) {
        tr_pid worker = choose(attempt);
        if (worker != TR_NO_PID) {
            *err = tr_gen_server_call(tr_to(worker), request_new(read), read->timeout_ms, reply, NULL);
        }
    }
    return *err == TR_OK ? TR_MATCH(*reply, db_read_answer) : NULL;
}

/* Runs it; the answer's message stays in *reply for its rows. */
static enum store_status run(const struct store_read *read, tr_msg **reply)
{
    tr_err err;
    const db_read_answer *answer = ask(read, reply, &err);
    if (answer == NULL) {
        return err == TR_E_TIMEOUT ? STORE_TIMEOUT : STORE_BUSY;
    }
    if (read->result != NULL) {
        memcpy(read->result, db_job_result((struct db_job *)(void *)answer->job->bytes), read->result_bytes);
    }
    return answer->status;
}

enum store_status store_read(store_read_fn fn, const void *arg, size_t arg_bytes, void *result,
                             size_t result_bytes, int64_t timeout_ms)
{
    tr_msg *reply = NULL;
    enum store_status status =
        run(&(struct store_read){fn, arg, arg_bytes, result, result_bytes, timeout_ms}, &reply);
    if (reply != NULL) {
        tr_msg_drop(reply);
    }
    return status;
}

enum store_status store_read_rows(const struct store_read *read, struct store_found *found)
{
    tr_msg *reply = NULL;
    enum store_status status = run(read, &reply);
    if (status == STORE_OK) {
        const tr_blob *rows = TR_MATCH(reply, db_read_answer)->rows;
        *found =
            (struct store_found){.bytes = (const char *)rows->bytes, .count = rows->size, .reply = reply};
    } else if (reply != NULL) {
        tr_msg_drop(reply);
    }
    return status;
}
