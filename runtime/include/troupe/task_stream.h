/* task_stream.h: a function run on each element of a source, some elements at a time. Semantics are those of Elixir
 * 1.14's Task.async_stream and Task.Supervisor.async_stream(_nolink).
 *
 *     static tr_msg *next_id(void *ctx) { range *r = ctx; return r->at < r->end ? TR_MSG(id, r->at++) : NULL; }
 *     ...
 *     tr_task_stream_opts opts = {.max_concurrency = 4, .on_timeout = TR_ON_TIMEOUT_KILL_TASK};
 *     err = tr_task_async_stream(TR_TASK_EACH(fetch, id), next_id, &range, &opts, &stream);
 *     while ((err = tr_task_stream_next(stream, &result)) == TR_OK) { ... }
 *     tr_task_stream_close(stream);
 *
 *     consumer --- link, monitor --- keeper --- link, monitor, time limit --- a task for each element
 *        | takes an element, sends it to the new task                                |
 *        +<------------------------------ value ------------------------------------+
 *
 * Invariants
 *  1. Lazy: the source is asked only by a consumer that waits in next, and only when fewer than max_concurrency tasks run.
 *  2. Results come in the order of the elements; unordered, in the order of their ends. In order, what waits behind a slow
 *     element is kept, and further elements are taken meanwhile: without bound, as in Elixir.
 *  3. A task's time runs from its start, whatever the consumer does; then it is killed.
 *  4. A task that crashes takes the keeper and the consumer along, unless the consumer trapped exits when the stream began,
 *     or the stream is nolink: then the result is TR_E_EXIT and the stream goes on.
 *  5. No receive of the consumer sees a message of the stream; after close there is neither task, message nor memory of it.
 *  6. The consumer's death ends the keeper, and the tasks by their links to it, with the consumer's reason; nolink tasks go
 *     on then. A consumer that ends normally without close is taken for one that closed.
 *  7. A stream belongs to the process that began it; inside a behaviour, to the callback that began it.
 */
#ifndef TROUPE_TASK_STREAM_H
#define TROUPE_TASK_STREAM_H

#include <troupe/task_supervisor.h>

typedef struct tr_task_stream tr_task_stream;

/** The next element: the argument of its task, taken from here; NULL: there are no more. Runs in the consumer. */
typedef tr_msg *(*tr_task_source)(void *ctx);

typedef enum tr_on_timeout {
    TR_ON_TIMEOUT_EXIT,     /* the stream ends with TR_E_TIMEOUT */
    TR_ON_TIMEOUT_KILL_TASK /* the result of that element is TR_E_TIMEOUT; the stream goes on */
} tr_on_timeout;

typedef struct tr_task_stream_opts {
    size_t max_concurrency; /* 0: one a worker */
    bool unordered;
    int64_t timeout_ms; /* of each task; 0: 5000; TR_INFINITY: none */
    tr_on_timeout on_timeout;
    tr_dest sup;         /* its children are the tasks; zeroed: no supervisor */
    bool nolink;         /* with sup only */
    int64_t shutdown_ms; /* with sup: as in tr_task_supervisor_async */
    const char *name;    /* of the tasks, static; NULL: "task" */
} tr_task_stream_opts;

/** A typed function `tr_msg *fn(const A *element)` as a tr_task_fn. */
#define TR_TASK_EACH(task_fn, A) ((tr_task_fn)(1 ? (task_fn) : (tr_msg * (*)(const A *)) NULL))

/** Begins a stream; no element is taken yet. opts may be NULL. Misuse (an option that does not exist, a negative
 *  time limit or shutdown, nolink without sup) crashes the caller with {badarg, Option}.
 *  Errors: TR_E_LIMIT, TR_E_NOMEM. Blocks: no. Context: process. */
TR_MUST_CHECK tr_err tr_task_async_stream(tr_task_fn fn, tr_task_source source, void *ctx,
                                          const tr_task_stream_opts *opts, tr_task_stream **stream);
/** Waits for the next result. On anything but TR_OK the stream has ended, and its tasks have:
 *  TR_E_NOT_FOUND: all results were delivered; TR_E_TIMEOUT: see TR_ON_TIMEOUT_EXIT; TR_E_LIMIT: the supervisor's
 *  max_children are reached; TR_E_NOPROC: there is no supervisor; TR_E_EXIT: the keeper was killed, result->reason.
 *  Blocks: parks. Context: the consumer. */
TR_MUST_CHECK tr_err tr_task_stream_next(tr_task_stream *stream, tr_task_result *result);
/** The same, but false instead of TR_E_NOT_FOUND, and the caller ends as in Elixir otherwise:
 *  {timeout, {'Task.Supervised', stream, [Timeout]}}, or an error max_children. */
bool tr_task_stream_next_or_exit(tr_task_stream *stream, tr_task_result *result);
/** The number of the element, from 0, that the last result belongs to. */
size_t tr_task_stream_index(const tr_task_stream *stream);
/** Ends a stream at any point: kills its tasks, waits for their ends, frees it. Values that were delivered stay.
 *  Blocks: parks. Context: the consumer. */
void tr_task_stream_close(tr_task_stream *stream);

#endif
