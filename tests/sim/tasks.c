/* Tasks: whatever ends one, and however its owner gives it up, there is one result and no message of it is left. */
#include "runtime/core/behaviour.h"
#include "tests/sim/scene.h"

enum { TASKS = 5, ROUNDS = 4, ELEMENTS = 6 };

TR_MESSAGE(errand, {
    unsigned turns;
    bool sleeps, crashes, traps;
});

static tr_msg *runs(const errand *of)
{
    (void)tr_trap_exit(of->traps);
    for (unsigned i = 0; i < of->turns; i++) {
        tr_yield();
    }
    if (of->sleeps) {
        tr_sleep(2);
    }
    if (of->crashes) {
        tr_exit(tr_atom("boom"));
    }
    return TR_MSG(errand, .turns = of->turns);
}

static tr_task_job some_job(void)
{
    return *TR_TASK(runs, errand, .turns = any(4), .sleeps = any(3) == 0, .crashes = any(5) == 0,
                    .traps = any(3) == 0);
}

static tr_dest a_supervisor(void)
{
    tr_started started = {.pid = TR_NO_PID};
    CHECK(tr_task_supervisor_start_link(NULL, NULL, &started) == TR_OK);
    return tr_to(started.pid);
}

static bool every(const tr_msg *msg, void *unused)
{
    (void)msg;
    (void)unused;
    return true;
}

/* Those of links may come; nothing else. */
static void only_exits_are_left(void)
{
    for (tr_msg *msg; (msg = tr__receive_own(every, NULL, 0)) != NULL; tr_msg_drop(msg)) {
        CHECK(tr_msg_kind_of(msg) == TR_MSG_EXIT);
    }
}

/* ---- one by one ---- */

static tr_task starts(tr_dest sup)
{
    tr_task task = {.pid = TR_NO_PID};
    tr_task_job of = some_job();
    switch (any(3)) {
    case 0:
        CHECK(tr_task_async(&of, &task) == TR_OK);
        break;
    case 1:
        CHECK(tr_task_supervisor_async(sup, &of, 0, &task) == TR_OK);
        break;
    default:
        CHECK(tr_task_supervisor_async_nolink(sup, &of, 0, &task) == TR_OK);
        break;
    }
    return task;
}

static tr_task_result gives_up(tr_task task)
{
    switch (any(4)) {
    case 0:
        return tr_task_await(task, any(3));
    case 1:
        return tr_task_ignore(task);
    case 2:
        return tr_task_shutdown(task, any(3));
    default:
        return tr_task_shutdown(task, TR_SHUTDOWN_BRUTAL_KILL);
    }
}

static bool is_expected(const tr_task_result *result)
{
    return result->err == TR_OK || result->err == TR_E_TIMEOUT ||
           (result->err == TR_E_EXIT &&
            (tr_same(result->reason, tr_atom("boom")) || tr_same(result->reason, TR_ATOM(KILLED))));
}

/* Of a task that was settled before: it may be gone, or end by itself, and its value is lost. */
static bool is_afterthought(const tr_task_result *result)
{
    return result->err == TR_E_EXIT &&
           (tr_same(result->reason, TR_ATOM(NOPROC)) || tr_same(result->reason, TR_ATOM(NORMAL)));
}

static void takes(tr_task_result result, bool settled)
{
    CHECK(is_expected(&result) || (settled && is_afterthought(&result)));
    scene_received += result.err == TR_OK ? 1 : 0;
    tr_msg_drop(result.value);
}

void scene_settled_tasks_are_silent(const void *arg)
{
    (void)arg;
    (void)tr_trap_exit(true);
    tr_dest sup = a_supervisor();
    for (int round = 0; round < ROUNDS; round++) {
        tr_task tasks[TASKS];
        tr_task_result results[TASKS];
        for (int i = 0; i < TASKS; i++) {
            tasks[i] = starts(sup);
        }
        if (any(2) == 0) {
            tr_task_yield_opts opts = {
                .timeout_ms = any(3), .limit = any(TASKS), .late = (tr_task_late)any(3)};
            tr_task_yield_many(tasks, TASKS, &opts, results);
            for (int i = 0; i < TASKS; i++) {
                takes(results[i], false);
                if (results[i].err == TR_E_TIMEOUT) { /* left alone, ignored, or killed */
                    takes(gives_up(tasks[i]), opts.late != TR_LATE_KEEP);
                }
            }
        } else {
            for (int i = 0; i < TASKS; i++) {
                takes(gives_up(tasks[i]), false);
            }
        }
        only_exits_are_left();
        tr_sleep(10);
        only_exits_are_left();
    }
    scene_over = true;
}

/* ---- streams ---- */

static tr_msg *next_errand(void *left)
{
    return (*(int *)left)-- > 0 ? some_job().arg : NULL;
}

/* After its end, whatever that was, nothing runs and nothing comes; and what came was in order. */
void scene_streams_leave_nothing(const void *arg)
{
    (void)arg;
    (void)tr_trap_exit(true);
    tr_dest sup = a_supervisor();
    for (int round = 0; round < ROUNDS; round++) {
        int left = ELEMENTS;
        size_t expected = 0;
        tr_task_stream *stream;
        tr_task_result result;
        const tr_pid *pids;
        size_t count;
        tr_task_stream_opts opts = {.max_concurrency = 1 + any(4),
                                    .unordered = any(3) == 0,
                                    .timeout_ms = 1 + any(4),
                                    .on_timeout = (tr_on_timeout)any(2)};
        if (any(2) == 0) {
            opts.sup = sup;
            opts.nolink = any(2) == 0;
        }
        CHECK(tr_task_async_stream(TR_TASK_EACH(runs, errand), next_errand, &left, &opts, &stream) == TR_OK);
        while (any(8) != 0 && tr_task_stream_next(stream, &result) == TR_OK) {
            CHECK(is_expected(&result));
            CHECK(opts.unordered || tr_task_stream_index(stream) == expected++);
            tr_msg_drop(result.value);
        }
        tr_task_stream_close(stream);
        CHECK(tr__receive_own(every, NULL, 0) == NULL);
        CHECK(tr_task_supervisor_children(sup, &pids, &count) == TR_OK && count == 0);
        tr_sleep(10);
        CHECK(tr__receive_own(every, NULL, 0) == NULL);
    }
    scene_over = true;
}
