/* task.h: one computation in a process of its own, whose value its owner awaits. Semantics are Elixir 1.14's Task.
 *
 *     static tr_msg *fetch(const user_query *query) { ... return TR_MSG(user, .id = query->id); }
 *     ...
 *     tr_task task;
 *     err = tr_task_async(TR_TASK(fetch, user_query, .id = 5), &task);
 *     ...                                      the owner does something else
 *     err = TR_AWAIT(task, 5000, user, &out);
 *
 *     owner -- async: link, monitor, argument --> task: fn(argument)
 *       ^                                           | returned a message       ended in any other way
 *       +---- REPLY with task.ref, DOWN normal -----+        DOWN with the reason, EXIT by the link --> owner
 *
 * Invariants
 *  1. A task is a plain process: it may block anywhere, and whatever ends it, its argument and all it owns go too.
 *  2. Owner and task are linked: a crash of one takes the other along unless that one traps exits. See
 *     tr_task_ignore, tr_task_shutdown, and async_nolink in task_supervisor.h.
 *  3. The value comes as a message of kind TR_MSG_REPLY whose tr_msg_ref is task.ref, then the DOWN: a plain receive
 *     and handle_info see both, unless a function below takes them. Neither counts for a mailbox limit.
 *  4. After await, ignore, shutdown, and any result of yield but TR_E_TIMEOUT, the task is settled: nothing of it
 *     comes any more, a late value is dropped. To wait for a settled task again is to wait until time is up.
 *  5. Only the owner may use a handle: any other process crashes with {badarg, {task_owner, Owner}}.
 *  6. Functions named ..._or_exit end their caller as Elixir's do; the others return what happened and end nobody.
 */
#ifndef TROUPE_TASK_H
#define TROUPE_TASK_H

#include <troupe/supervisor.h>

/** A handle, held by value; copies mean the same task. */
typedef struct tr_task {
    tr_pid pid; /* TR_NO_PID: it was completed from the beginning */
    tr_pid owner;
    tr_ref ref; /* of the value and the DOWN */
} tr_task;

/** What a task runs: gets the payload of its argument (NULL without one), and returns a message, which it gives
 *  away; NULL is the term nil. */
typedef tr_msg *(*tr_task_fn)(const void *arg);

/** A function on its way to a task. */
typedef struct tr_task_job {
    tr_task_fn fn;
    tr_msg *arg;      /* taken, also on errors; NULL: none */
    const char *name; /* for reports and lists; static; NULL: "task" */
} tr_task_job;

/** A job from a typed function `tr_msg *fn(const A *arg)` and its argument, which is copied with terms and blobs. */
#define TR_TASK(task_fn, A, ...)                                                        \
    (&(tr_task_job){.fn = (tr_task_fn)(1 ? (task_fn) : (tr_msg * (*)(const A *)) NULL), \
                    .arg = TR_MSG(A, __VA_ARGS__),                                      \
                    .name = #task_fn})

/** What became of a task. */
typedef struct tr_task_result {
    tr_err err;     /* TR_OK: value; TR_E_EXIT: it ended without one; TR_E_TIMEOUT: neither (Elixir's nil) */
    tr_msg *value;  /* the process's, until tr_msg_drop or the end of the running callback */
    tr_term reason; /* EXIT: why it ended; on the caller's scratch memory */
} tr_task_result;

#define TR_TASK_TIMEOUT_MS 5000

/* ---- starting
 * --------------------------------------------------------------------------------------------------- */

/** Starts a task linked to the caller, which becomes its owner. Takes job->arg.
 *  Errors: TR_E_LIMIT, TR_E_NOMEM. Blocks: no. Context: process. */
TR_MUST_CHECK tr_err tr_task_async(const tr_task_job *job, tr_task *task);
/** A task that is done: its value is in the caller's mailbox. Takes value. */
tr_task tr_task_completed(tr_msg *value);

/** A process nobody awaits: runs fn(arg) on a copy of arg_bytes of arg; an abnormal end is reported.
 *  Errors as tr_task_async. Blocks: no. Context: process. */
TR_MUST_CHECK tr_err tr_task_start(tr_main_fn fn, const void *arg, size_t arg_bytes, tr_pid *pid);
/** The same, linked to the caller. */
TR_MUST_CHECK tr_err tr_task_start_link(tr_main_fn fn, const void *arg, size_t arg_bytes, tr_pid *pid);
/** The spec of such a process as a child: id task, temporary. arg is borrowed until the spec was used. */
tr_child_spec tr_task_child_spec(tr_main_fn fn, const void *arg, size_t arg_bytes);

/** In a task: on whose behalf it runs. Its owner (or starter) first, then that one's, if that is a task, and so on
 *  (Elixir: $callers, which is where the dictionary has them as a list). The array is on scratch memory.
 *  Returns: how many; 0 outside of tasks. Context: process. */
size_t tr_task_callers(const tr_pid **callers);

/* ---- waiting: all of these park the calling process, which must be the owner
 * --------------------------------------------- */

/** Waits for the end of a task. On TR_E_TIMEOUT the task goes on (and stays linked), but is settled. */
tr_task_result tr_task_await(tr_task task, int64_t timeout_ms);
/** Typed: err = TR_AWAIT(task, 5000, user, &out); TR_E_TYPE when the value is something else. Terms and blobs of out
 *  live as long as a value. */
#define TR_AWAIT(task, timeout_ms, T, out) \
    tr__task_unpack(tr_task_await((task), (timeout_ms)), TR_TYPE(T), (1 ? (out) : (T *)NULL))
/** The same for a result that is there: err = TR_TASK_VALUE(results[0], user, &out); takes its value. */
#define TR_TASK_VALUE(result, T, out) tr__task_unpack((result), TR_TYPE(T), (1 ? (out) : (T *)NULL))
TR_MUST_CHECK tr_err tr__task_unpack(tr_task_result result, const tr_type *type, void *out);
/** Returns the value, or ends the caller with {timeout, Where} or {Reason, Where}, where Where is
 *  {'Task', await, [Pid, Timeout]}. */
tr_msg *tr_task_await_or_exit(tr_task task, int64_t timeout_ms);

/** Waits for all within one time limit; returns as soon as one ended without a value. results[i] is task i's:
 *  TR_E_TIMEOUT for those that had not replied by then. All are settled; the late ones go on.
 *  Returns: TR_OK, or the err of the task that ended the wait. Misuse: a task that is listed twice ({badarg, _}).
 *  Cost: O(count). */
TR_MUST_CHECK tr_err tr_task_await_many(const tr_task *tasks, size_t count, int64_t timeout_ms,
                                        tr_task_result *results);
/** The same, but ends the caller: {Reason, {'Task', await_many, [Pids, Timeout]}}. */
void tr_task_await_many_or_exit(const tr_task *tasks, size_t count, int64_t timeout_ms,
                                tr_task_result *results);

/** Waits like await, but on TR_E_TIMEOUT the task is not settled: yield again, or shut it down. */
tr_task_result tr_task_yield(tr_task task, int64_t timeout_ms);

typedef enum tr_task_late { TR_LATE_KEEP, TR_LATE_IGNORE, TR_LATE_KILL } tr_task_late;
typedef struct tr_task_yield_opts {
    int64_t timeout_ms; /* TR_INFINITY: none */
    size_t limit;       /* come back when so many are settled; 0: all */
    tr_task_late
        late; /* time is up: what happens to the rest (tr_task_ignore, or shutdown with brutal kill) */
} tr_task_yield_opts;
/** Yields to many at once. results[i] is task i's. A limit that is reached leaves the rest alone.
 *  Misuse and cost as tr_task_await_many. */
void tr_task_yield_many(const tr_task *tasks, size_t count, const tr_task_yield_opts *opts,
                        tr_task_result *results);

/* ---- giving up
 * -------------------------------------------------------------------------------------------------- */

/** Unlinks the task, asks it to end with shutdown, waits, kills it when time is up (TR_SHUTDOWN_BRUTAL_KILL: at
 *  once), and waits for its end. TR_OK when there was or still came a value, TR_E_TIMEOUT when it ended of that
 *  without one, TR_E_EXIT otherwise: killed when it did not heed the shutdown. A settled task has lost its value:
 *  its own reason, or noproc when it was gone. */
tr_task_result tr_task_shutdown(tr_task task, int64_t timeout_ms);
/** Unlinks and forgets the task, which goes on. Returns what is there: a value, an end, or TR_E_TIMEOUT. Does not
 *  wait. */
tr_task_result tr_task_ignore(tr_task task);

#endif
