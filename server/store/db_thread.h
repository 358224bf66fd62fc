/* db_thread: the thread behind one db_connection: opens a reader, runs jobs on it, tells when it was lost. Private to
 * server/store.
 *
 * Invariants
 *  1. A thread belongs to one worker process, through a resource: when that ends, however it ends, the thread finishes what it runs,
 *     drops what waits, closes its reader and ends. Nobody waits for it but db_threads_join.
 *  2. `jobs`, `stopping` under the mutex. The reader is the thread's alone.
 *  3. It opens its reader with back-off (10 ms, doubled up to 1 s); jobs wait meanwhile until their time is up.
 *  4. After a failure that means the connection is gone (STORE_IO, STORE_CORRUPT, STORE_CLOSED) it answers that job, sends
 *     db_connection_lost to its worker, and runs no other: those who wait hear of the worker's end.
 * Life cycle: db_thread_start (in the worker's init) -> db_thread_add* -> the worker's end.
 */
#ifndef TROUPE_SERVER_STORE_DB_THREAD_H
#define TROUPE_SERVER_STORE_DB_THREAD_H

#include "server/store/db_connection.h"

struct db_job {
    struct db_job *next;
    store_read_fn fn;
    tr_from from;
    uint64_t give_up_ns; /* of store__now_ns: nobody waits any longer */
    size_t arg_bytes, result_bytes;
    uint64_t bytes[]; /* the result, then the argument */
};

TR_MESSAGE_BLOBS(
    db_read_answer,
    {
        enum store_status status;
        tr_blob *job;
        tr_blob *rows; /* NULL: none */
    },
    offsetof(db_read_answer, job), offsetof(db_read_answer, rows));

struct db_thread;

/** Starts the thread of the calling worker. load counts the jobs it has. NULL: no thread or memory can be had. */
struct db_thread *db_thread_start(struct store *store, _Atomic uint32_t *load);

/** Takes a job (a reference of its blob). Context: the worker. */
void db_thread_add(struct db_thread *thread, struct db_job *job);

/** Waits for the end of all threads. Context: a thread that may block, after the node stopped. */
void db_threads_join(void);

tr_blob *db_job_blob(struct db_job *job);
void *db_job_result(struct db_job *job);
const void *db_job_arg(const struct db_job *job);

#endif
