/* task_supervisor.c: tasks as the children of a dynamic supervisor. */
#include <troupe/task_supervisor.h>

#include "runtime/otp/task.h"

/* ---- the supervisor ---- */

static tr_err init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                   tr_term *reason)
{
    const tr_task_supervisor_opts *opts = arg;
    (void)children, (void)count, (void)reason;
    *flags = (tr_sup_flags){.strategy = TR_DYNAMIC,
                            .intensity = opts->max_restarts,
                            .period_s = opts->max_seconds,
                            .max_children = opts->max_children};
    return TR_OK;
}

static const tr_supervisor task_supervisor = {.name = "task_supervisor", .init = init};
static const tr_task_supervisor_opts defaults;

tr_err tr_task_supervisor_start_link(const tr_task_supervisor_opts *opts, const tr_start_opts *start,
                                     tr_started *started)
{
    opts = opts != NULL ? opts : &defaults;
    return tr_supervisor_start_link(&task_supervisor, opts, sizeof(*opts), start, started);
}

tr_child_spec tr_task_supervisor_child_spec(const tr_task_supervisor_opts *opts)
{
    opts = opts != NULL ? opts : &defaults;
    return (tr_child_spec){.id = tr_atom(task_supervisor.name),
                           .supervisor = &task_supervisor,
                           .arg = opts,
                           .arg_bytes = sizeof(*opts)};
}

/* ---- its tasks ---- */

static tr_sup_result start(tr_dest sup, const tr__task_birth *birth, size_t birth_bytes,
                           const tr_task_child_opts *opts)
{
    return tr_dynamic_supervisor_start_child(
        sup, &(tr_child_spec){.main = tr__task_main,
                              .arg = birth,
                              .arg_bytes = birth_bytes,
                              .start.spawn.label = opts->name != NULL ? opts->name : "task",
                              .restart = opts->restart,
                              .shutdown_ms = opts->shutdown_ms});
}

tr_err tr__task_start_supervised(tr_dest sup, const tr__task_birth *birth, size_t birth_bytes,
                                 const char *name, int64_t shutdown_ms, bool link, tr_pid *pid)
{
    tr_sup_result result =
        start(sup, birth, birth_bytes,
              &(tr_task_child_opts){.restart = TR_TEMPORARY, .shutdown_ms = shutdown_ms, .name = name});
    if (result.err != TR_OK) {
        return result.err == TR_E_NOPROC || result.err == TR_E_BADARG ? result.err : TR_E_LIMIT;
    }
    *pid = result.pid;
    return link ? tr_link(tr_to(result.pid)) : TR_OK;
}

static tr_err async(tr_dest sup, const tr_task_job *job, int64_t shutdown_ms, bool link, tr_task *task)
{
    tr_pid pid;
    size_t bytes;
    TR_CHECK(job->fn != NULL);
    tr_scratch_mark mark = tr_scratch();
    const tr__task_birth *birth =
        tr__task_birth_of((tr__task_birth){.fn = job->fn, .supervised = true}, &bytes);
    tr_err err = tr__task_start_supervised(sup, birth, bytes, job->name, shutdown_ms, link, &pid);
    tr_scratch_release(mark);
    if (err != TR_OK) {
        tr_msg_drop(job->arg);
        return err;
    }
    *task = tr__task_own(pid, job->arg);
    return TR_OK;
}

tr_err tr_task_supervisor_async(tr_dest sup, const tr_task_job *job, int64_t shutdown_ms, tr_task *task)
{
    return async(sup, job, shutdown_ms, true, task);
}

tr_err tr_task_supervisor_async_nolink(tr_dest sup, const tr_task_job *job, int64_t shutdown_ms,
                                       tr_task *task)
{
    return async(sup, job, shutdown_ms, false, task);
}

tr_sup_result tr_task_supervisor_start_child(tr_dest sup, tr_main_fn fn, const void *arg, size_t arg_bytes,
                                             const tr_task_child_opts *opts)
{
    static const tr_task_child_opts temporary = {.restart = TR_TEMPORARY};
    size_t bytes;
    TR_CHECK(fn != NULL);
    const tr__task_birth *birth =
        tr__task_birth_of((tr__task_birth){.main = fn, .arg = arg, .arg_bytes = arg_bytes}, &bytes);
    return start(sup, birth, bytes, opts != NULL ? opts : &temporary);
}

/* ---- administration ---- */

tr_err tr_task_supervisor_children(tr_dest sup, const tr_pid **pids, size_t *count)
{
    const tr_child_info *children;
    size_t all;
    tr_err err = tr_supervisor_which_children(sup, &children, &all);
    if (err != TR_OK) {
        return err;
    }
    tr_pid *running = tr_scratch_alloc((all + 1) * sizeof(*running));
    *count = 0;
    for (size_t i = 0; i < all; i++) {
        if (children[i].state == TR_CHILD_RUNNING) {
            running[(*count)++] = children[i].pid;
        }
    }
    *pids = running;
    return TR_OK;
}

tr_sup_result tr_task_supervisor_terminate_child(tr_dest sup, tr_pid pid)
{
    return tr_dynamic_supervisor_terminate_child(sup, pid);
}
