#include "server/store/store_writer.h"

#include <string.h>

struct job {
    struct store_write write; /* first: done gets it */
    store_writer_fn apply;
    tr_from from;
    size_t arg_bytes, result_bytes;
    uint64_t bytes[]; /* the result, then the argument */
};

TR_MESSAGE_BLOBS(
    store_write_msg, { tr_blob *job; }, offsetof(store_write_msg, job));
TR_MESSAGE_BLOBS(
    store_written_msg,
    {
        enum store_status status;
        tr_blob *job;
    },
    offsetof(store_written_msg, job));

static size_t padded(size_t bytes)
{
    return (bytes + 7u) & ~(size_t)7;
}

static struct job *job_of(tr_blob *blob)
{
    return (struct job *)(void *)blob->bytes;
}

static tr_blob *blob_of(struct job *job)
{
    return (tr_blob *)(void *)((char *)job - offsetof(tr_blob, bytes));
}

static void *result_of(struct job *job)
{
    return job->bytes;
}

static const void *arg_of(const struct job *job)
{
    return (const char *)job->bytes + padded(job->result_bytes);
}

/* ---- on the commit thread ---- */

static enum store_status job_apply(struct store_tx *tx, void *arg)
{
    struct job *job = arg;
    memset(result_of(job), 0, job->result_bytes);
    return job->apply(tx, arg_of(job), result_of(job));
}

static void job_done(struct store_write *write, enum store_status status)
{
    struct job *job = (struct job *)(void *)write;
    store_written_msg written = {.status = status, .job = blob_of(job)};
    (void)tr_reply(job->from, TR_TYPE(store_written_msg), &written);
    tr_blob_drop(blob_of(job));
}

/* ---- the process ---- */

typedef struct store_writer {
    struct store *store;
    uint64_t writes;
} store_writer;

static tr_next store_writer_init(store_writer *self, const void *arg)
{
    self->store = (struct store *)(uintptr_t)arg;
    return TR_INIT_OK;
}

static tr_next store_writer_handle_call(store_writer *self, tr_from from, const tr_msg *msg)
{
    const store_write_msg *request = TR_MATCH(msg, store_write_msg);
    if (request == NULL) {
        return tr_unexpected(msg);
    }
    struct job *job = job_of(tr_blob_retain(request->job));
    job->from = from;
    job->write = (struct store_write){.apply = job_apply, .done = job_done, .arg = job};
    self->writes++;
    if (!store_submit(self->store, &job->write)) {
        job_done(&job->write, STORE_CLOSED);
    }
    return TR_NOREPLY;
}

static tr_term store_writer_format_state(const store_writer *self)
{
    return tr_map_n(2, (tr_term[]){tr_atom("writes"), tr_int((int64_t)self->writes), tr_atom("healthy"),
                                   store_is_healthy(self->store) ? TR_ATOM(TRUE) : TR_ATOM(FALSE)});
}

TR_GEN_SERVER(store_writer, .init = store_writer_init, .handle_call = store_writer_handle_call,
              .format_state = store_writer_format_state);

tr_child_spec store_writer_child_spec(struct store *store)
{
    return (tr_child_spec){.id = tr_atom("store.writer"),
                           .server = store_writer_server,
                           .arg = store,
                           .start = {.name = tr_atom("store.writer")}};
}

/* ---- callers ---- */

enum store_status store_writer_run(store_writer_fn apply, const void *arg, size_t arg_bytes, void *result,
                                   size_t result_bytes, int64_t timeout_ms)
{
    tr_blob *blob = tr_blob_new(NULL, sizeof(struct job) + padded(result_bytes) + arg_bytes);
    struct job *job = job_of(blob);
    *job = (struct job){.apply = apply, .arg_bytes = arg_bytes, .result_bytes = result_bytes};
    if (arg_bytes > 0) { /* arg may be NULL then, which memcpy does not take */
        memcpy((char *)(uintptr_t)arg_of(job), arg, arg_bytes);
    }
    tr_msg *request = TR_MSG(store_write_msg, .job = blob);
    tr_blob_drop(blob); /* the message has it now */
    tr_msg *reply = NULL;
    tr_err err = tr_gen_server_call(tr_to_name(tr_atom("store.writer")), request, timeout_ms, &reply, NULL);
    if (err != TR_OK) {
        return err == TR_E_FULL ? STORE_BUSY : err == TR_E_NOPROC ? STORE_CLOSED : STORE_UNKNOWN;
    }
    const store_written_msg *written = TR_MATCH(reply, store_written_msg);
    enum store_status status = written->status;
    if (result != NULL) {
        memcpy(result, result_of(job_of(written->job)), result_bytes);
    }
    tr_msg_drop(reply);
    return status;
}
