/* task_supervisor.h: a dynamic supervisor whose children are tasks. Semantics are Elixir 1.14's Task.Supervisor.
 *
 *     tr_task_supervisor_start_link(&(tr_task_supervisor_opts){.max_children = 100}, NULL, &started);
 *     err = tr_task_supervisor_async_nolink(tr_to(started.pid), TR_TASK(fetch, user_query, .id = 5), 0, &task);
 *     if (tr_task_yield(task, 5000).err == TR_E_TIMEOUT) ... tr_task_shutdown(task, TR_SHUTDOWN_BRUTAL_KILL) ...
 *
 * Invariants
 *  1. It is a supervisor of strategy TR_DYNAMIC: dynamic_supervisor.h says what that means, and its functions work here.
 *     Any such supervisor without an extra argument serves as one.
 *  2. Tasks are linked to the supervisor. async links them to the caller as well; with async_nolink a crash only shows
 *     in the result, and the end of the caller does not end the task.
 *  3. A task whose owner died before it got its work ends with {shutdown, Reason}.
 *  4. Asynchronous tasks are temporary.
 */
#ifndef TROUPE_TASK_SUPERVISOR_H
#define TROUPE_TASK_SUPERVISOR_H

#include <troupe/dynamic_supervisor.h>
#include <troupe/task.h>

typedef struct tr_task_supervisor_opts {
    int64_t max_children; /* 0: no limit; TR_MAX_CHILDREN_NONE: not even one */
    int32_t max_restarts; /* 0: 3; TR_INTENSITY_NONE: the first failure gives up */
    int32_t max_seconds;  /* 0: 5 */
} tr_task_supervisor_opts;

/** Starts a task supervisor. opts (NULL: all defaults) is copied; start as for any server.
 *  Errors as tr_supervisor_start_link. Blocks: parks. Context: process. */
TR_MUST_CHECK tr_err tr_task_supervisor_start_link(const tr_task_supervisor_opts *opts,
                                                   const tr_start_opts *start, tr_started *started);
/** The spec of one as a child, with id task_supervisor: change it at will. opts is borrowed until the spec was used. */
tr_child_spec tr_task_supervisor_child_spec(const tr_task_supervisor_opts *opts);

/** Starts a task under the supervisor, linked to the caller as well, which becomes its owner. Takes job->arg.
 *  shutdown_ms: what the supervisor grants the task at its end; 0: 5000 ms, see TR_SHUTDOWN_DEFAULT.
 *  Errors: TR_E_LIMIT (max_children, or no process is left), TR_E_NOPROC (no supervisor, or it is ending).
 *  Blocks: parks. Context: process. */
TR_MUST_CHECK tr_err tr_task_supervisor_async(tr_dest sup, const tr_task_job *job, int64_t shutdown_ms,
                                              tr_task *task);
/** The same without the link to the caller. */
TR_MUST_CHECK tr_err tr_task_supervisor_async_nolink(tr_dest sup, const tr_task_job *job, int64_t shutdown_ms,
                                                     tr_task *task);

typedef struct tr_task_child_opts {
    tr_restart restart;  /* as everywhere, 0 is TR_PERMANENT */
    int64_t shutdown_ms; /* 0: 5000 ms */
    const char *name;    /* for reports and lists; copied; NULL: "task" */
} tr_task_child_opts;
/** Starts a child that nobody awaits: fn(arg) on a copy of arg_bytes of arg, at each restart. opts NULL: temporary.
 *  Errors as tr_dynamic_supervisor_start_child. Blocks: parks. Context: process. */
tr_sup_result tr_task_supervisor_start_child(tr_dest sup, tr_main_fn fn, const void *arg, size_t arg_bytes,
                                             const tr_task_child_opts *opts);

/** The pids of all tasks that run, newest first, on the caller's scratch memory. Blocks: parks. */
TR_MUST_CHECK tr_err tr_task_supervisor_children(tr_dest sup, const tr_pid **pids, size_t *count);
/** Ends a task and waits for that. TR_E_NOT_FOUND when it is none of this supervisor's. Blocks: parks. */
tr_sup_result tr_task_supervisor_terminate_child(tr_dest sup, tr_pid pid);

#endif
