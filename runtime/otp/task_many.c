/* task_many.c: waiting for many tasks at once. */
#include "runtime/otp/task.h"

#include <troupe/timer.h>

#include "runtime/core/process.h"

/* Which task a message is about: open addressing by reference. A task that is settled stays in it: nothing of it comes any
 * more. */
typedef struct waiting {
    const tr_task *tasks;
    size_t count;
    size_t *slots; /* index + 1 */
    size_t room;   /* a power of two */
    size_t found;  /* by the last match */
} waiting;

/* The slot of this reference, or a free one. */
static size_t slot_of(const waiting *wait, tr_ref ref)
{
    size_t at = (size_t)(ref.id * 0x9e3779b97f4a7c15u >> 32) & (wait->room - 1);
    while (wait->slots[at] != 0 && !tr_ref_equal(wait->tasks[wait->slots[at] - 1].ref, ref)) {
        at = (at + 1) & (wait->room - 1);
    }
    return at;
}

static waiting wait_for(const tr_task *tasks, size_t count, tr_task_result *results)
{
    waiting wait = {.tasks = tasks, .count = count, .room = 4};
    while (wait.room < 2 * count) {
        wait.room *= 2;
    }
    for (size_t i = 0; i < count; i++) {
        tr__task_check_owner(&tasks[i]);
    }
    wait.slots = tr_alloc(wait.room * sizeof(*wait.slots));
    for (size_t i = 0; i < count; i++) {
        size_t at = slot_of(&wait, tasks[i].ref);
        if (wait.slots[at] != 0) {
            tr_free(wait.slots);
            tr_error(tr_tuple(TR_ATOM(BADARG), tr_tuple(tr_atom("task_twice"), tr_pid_term(tasks[i].pid))));
        }
        wait.slots[at] = i + 1;
        results[i] = (tr_task_result){.err = TR_E_TIMEOUT};
    }
    return wait;
}

static bool is_waited_for(const tr_msg *msg, void *ctx)
{
    waiting *wait = ctx;
    tr_msg_kind kind = tr_msg_kind_of(msg);
    if (kind != TR_MSG_REPLY && kind != TR_MSG_DOWN) {
        return false;
    }
    size_t slot = wait->slots[slot_of(wait, tr_msg_ref(msg))];
    wait->found = slot - 1;
    return slot != 0;
}

int64_t tr__task_left(int64_t deadline_ms)
{
    if (deadline_ms == TR_INFINITY) {
        return TR_INFINITY;
    }
    int64_t left = deadline_ms - (int64_t)(tr_now_ns() / 1000000u);
    return left < 0 ? 0 : left;
}

/* Settles the task that the oldest message is about. Returns: its result, or NULL when time is up. */
static tr_task_result *settle_next(waiting *wait, int64_t deadline, tr_task_result *results)
{
    tr_msg *msg = tr_receive(is_waited_for, wait, tr__task_left(deadline));
    if (msg == NULL) {
        return NULL;
    }
    size_t at = wait->found;
    tr_demonitor(wait->tasks[at].ref, true);
    results[at] = tr__task_result_of(msg);
    return &results[at];
}

/* ---- await_many ---- */

static const tr_task_result *await_all(const tr_task *tasks, size_t count, int64_t timeout_ms,
                                       tr_task_result *results)
{
    static const tr_task_result late = {.err = TR_E_TIMEOUT, .reason = TR_ATOM(TIMEOUT)};
    const tr_task_result *ended = NULL;
    waiting wait = wait_for(tasks, count, results);
    int64_t deadline = tr__deadline(timeout_ms);
    for (size_t left = count; left > 0 && ended == NULL; left--) {
        const tr_task_result *next = settle_next(&wait, deadline, results);
        ended = next == NULL ? &late : next->err != TR_OK ? next : NULL;
    }
    tr_free(wait.slots);
    for (size_t i = 0; i < count && ended != NULL; i++) {
        if (results[i].err == TR_E_TIMEOUT) {
            tr_demonitor(tasks[i].ref, true);
        }
    }
    return ended;
}

tr_err tr_task_await_many(const tr_task *tasks, size_t count, int64_t timeout_ms, tr_task_result *results)
{
    const tr_task_result *ended = await_all(tasks, count, timeout_ms, results);
    return ended == NULL ? TR_OK : ended->err;
}

void tr_task_await_many_or_exit(const tr_task *tasks, size_t count, int64_t timeout_ms,
                                tr_task_result *results)
{
    const tr_task_result *ended = await_all(tasks, count, timeout_ms, results);
    if (ended != NULL) {
        tr_term *pids = tr_scratch_alloc((count + 1) * sizeof(*pids));
        for (size_t i = 0; i < count; i++) {
            pids[i] = tr_pid_term(tasks[i].pid);
        }
        tr_term args = tr_list(tr_list_n(count, pids), tr__task_ms(timeout_ms));
        tr__task_exit(ended->reason, "Task", "await_many", args);
    }
}

/* ---- yield_many ---- */

static void treat_late(const tr_task *task, tr_task_late late, tr_task_result *result)
{
    if (late == TR_LATE_IGNORE) {
        *result = tr_task_ignore(*task);
    } else if (late == TR_LATE_KILL) {
        *result = tr_task_shutdown(*task, TR_SHUTDOWN_BRUTAL_KILL);
    }
}

void tr_task_yield_many(const tr_task *tasks, size_t count, const tr_task_yield_opts *opts,
                        tr_task_result *results)
{
    waiting wait = wait_for(tasks, count, results);
    int64_t deadline = tr__deadline(opts->timeout_ms);
    bool in_time = true;
    size_t left = opts->limit != 0 && opts->limit < count ? opts->limit : count;
    for (; left > 0 && in_time; left--) {
        in_time = settle_next(&wait, deadline, results) != NULL;
    }
    tr_free(wait.slots);
    for (size_t i = 0; i < count && !in_time; i++) {
        if (results[i].err == TR_E_TIMEOUT) {
            treat_late(&tasks[i], opts->late, &results[i]);
        }
    }
}
