/* Tasks under a supervisor. Comments name the cases of Elixir's task/supervisor_test that a scene ports. */
#include "runtime/otp/task.h"
#include "tests/runtime/task_jobs.h"

static tr_dest a_supervisor(const tr_task_supervisor_opts *opts)
{
    tr_started started = {.pid = TR_NO_PID};
    EXPECT(tr_task_supervisor_start_link(opts, NULL, &started) == TR_OK);
    return tr_to(started.pid);
}

static size_t children_of(tr_dest sup, tr_pid *first)
{
    const tr_pid *pids;
    size_t count = 0;
    EXPECT(tr_task_supervisor_children(sup, &pids, &count) == TR_OK);
    *first = count > 0 ? pids[0] : TR_NO_PID;
    return count;
}

static tr_task an_async(tr_dest sup, const tr_task_job *of)
{
    tr_task task = {.pid = TR_NO_PID};
    EXPECT(tr_task_supervisor_async(sup, of, 0, &task) == TR_OK);
    return task;
}

static tr_task an_async_nolink(tr_dest sup, const tr_task_job *of)
{
    tr_task task = {.pid = TR_NO_PID};
    EXPECT(tr_task_supervisor_async_nolink(sup, of, 0, &task) == TR_OK);
    return task;
}

/* ---- the supervisor ---- */

/* can be supervised directly; multiple supervisors can be supervised and identified with simple child spec */
SCENE(task_supervisor, is_a_child_among_others)
{
    tr_task_supervisor_opts one = {.max_children = 1};
    tr_child_spec specs[] = {tr_task_supervisor_child_spec(&one), tr_task_supervisor_child_spec(NULL)};
    specs[0].id = tr_atom("first");
    specs[0].start.name = tr_atom("first_tasks");
    specs[1].start.name = tr_atom("second_tasks");
    tr_supervisor sup = {.name = "top", .children = specs, .child_count = 2};
    tr_started top;
    EXPECT(tr_supervisor_start_link(&sup, NULL, 0, NULL, &top) == TR_OK);
    tr_task held = an_async(tr_to_name(tr_atom("first_tasks")), JOB(GIVE_AT_GO, .n = 1));
    tr_task task;
    EXPECT(tr_task_supervisor_async(tr_to_name(tr_atom("first_tasks")), JOB(GIVE), 0, &task) == TR_E_LIMIT);
    says(tr_task_await(an_async(tr_to_name(tr_atom("second_tasks")), JOB(GIVE, .n = 2)), 1000));
    tell_go(held.pid);
    says(tr_task_await(held, 1000));
    SAID("ok 2", "ok 1");
}

SCENE(task_supervisor, that_is_gone_takes_no_task)
{
    tr_task task;
    tr_dest sup = a_supervisor(NULL);
    EXPECT(tr_dynamic_supervisor_stop(sup, TR_ATOM(NORMAL), 1000, NULL) == TR_OK);
    EXPECT(tr_task_supervisor_async(sup, JOB(GIVE), 0, &task) == TR_E_NOPROC);
    EXPECT(tr_task_supervisor_async_nolink(sup, JOB(GIVE), 0, &task) == TR_E_NOPROC);
    EXPECT(tr_task_supervisor_terminate_child(sup, tr_self()).err == TR_E_NOPROC);
}

/* ---- async ---- */

/* [async/1] spawns tasks under the supervisor */
SCENE(task_supervisor, async_links_to_supervisor_and_caller)
{
    tr_pid child;
    tr_process_info info;
    tr_dest sup = a_supervisor(NULL);
    tr_task task = an_async(sup, JOB(GIVE_AT_GO, .n = 1));
    EXPECT(children_of(sup, &child) == 1 && child == task.pid);
    EXPECT(has_link(task.pid));
    EXPECT(tr_process_info_of(task.pid, false, 1000, &info) == TR_OK && info.link_count == 2);
    EXPECT(info.monitor_count == 0); /* it has its work: it does not watch its owner any more */
    tell_go(task.pid);
    says(tr_task_await(task, 1000));
    EXPECT(children_of(sup, &child) == 0);
    SAID("ok 1");
    expect_no_message();
}

SCENE(task_supervisor, callers_are_the_owners_not_the_supervisor)
{
    tr_dest sup = a_supervisor(NULL);
    says(tr_task_await(an_async(sup, JOB(TELL_CALLERS, .pid = tr_self())), 1000));
    SAID("1 callers, as it should be", "ok 0");
}

/* [async/1] with custom shutdown, [async_nolink/1] with custom shutdown */
SCENE(task_supervisor, a_task_is_granted_its_shutdown_time)
{
    tr_task task;
    tr_child_info info;
    tr_dest sup = a_supervisor(NULL);
    EXPECT(tr_task_supervisor_async(sup, JOB(GIVE_AT_GO), TR_SHUTDOWN_BRUTAL_KILL, &task) == TR_OK);
    EXPECT(tr_supervisor_get_childspec(sup, tr_pid_term(task.pid), &info) == TR_OK);
    EXPECT(info.shutdown_ms == TR_SHUTDOWN_BRUTAL_KILL && info.restart == TR_TEMPORARY);
    EXPECT(tr_task_supervisor_async_nolink(sup, JOB(GIVE_AT_GO), 100, &task) == TR_OK);
    EXPECT(tr_supervisor_get_childspec(sup, tr_pid_term(task.pid), &info) == TR_OK &&
           info.shutdown_ms == 100);
    task = an_async(sup, JOB(GIVE_AT_GO));
    EXPECT(tr_supervisor_get_childspec(sup, tr_pid_term(task.pid), &info) == TR_OK &&
           info.shutdown_ms == 5000);
}

/* [async/1] and [async_nolink/1] raises when :max_children is reached */
SCENE(task_supervisor, max_children_is_a_limit)
{
    tr_task task;
    tr_dest sup = a_supervisor(&(tr_task_supervisor_opts){.max_children = 1});
    tr_task first = an_async(sup, JOB(GIVE_AT_GO, .n = 1));
    EXPECT(tr_task_supervisor_async(sup, JOB(GIVE), 0, &task) == TR_E_LIMIT);
    EXPECT(tr_task_supervisor_async_nolink(sup, JOB(GIVE), 0, &task) == TR_E_LIMIT);
    tell_go(first.pid);
    says(tr_task_await(first, 1000));
    says(tr_task_await(an_async_nolink(sup, JOB(GIVE, .n = 2)), 1000));
    SAID("ok 1", "ok 2");
}

/* [async_nolink/1] spawns a task under the supervisor without linking to the caller */
SCENE(task_supervisor, async_nolink_spares_the_caller)
{
    tr_pid child;
    tr_dest sup = a_supervisor(NULL);
    tr_task task = an_async_nolink(sup, JOB(END_AT_GO, .term = tr_atom("boom")));
    EXPECT(children_of(sup, &child) == 1 && child == task.pid && !has_link(task.pid));
    tell_go(task.pid);
    says(tr_task_yield(task, 1000));
    SAID("exit boom");
    REPORTED("process.crashed boom", "supervisor.child_terminated boom");
}

/* [await/1] demonitors and unalias on timeout; exits on task error */
SCENE(task_supervisor, await_settles_a_task)
{
    (void)tr_trap_exit(true);
    tr_dest sup = a_supervisor(NULL);
    tr_task task = an_async_nolink(sup, JOB(GIVE_AT_GO, .n = 1));
    says(tr_task_await(task, 10));
    tell_go(task.pid);
    expect_no_message();
    says(tr_task_await(an_async(sup, JOB(CRASH, .term = tr_atom("bug"))), 1000));
    SAID("nil", "exit bug");
}

typedef struct owner_arg {
    tr_pid sup, told;
    bool nolink;
} owner_arg;

/* Starts a task and tells whom, then waits to be killed. */
static void owns(const void *arg)
{
    const owner_arg *at = arg;
    tr_task task = (at->nolink ? an_async_nolink : an_async)(tr_to(at->sup), JOB(GIVE_AT_GO));
    TR_SEND(at->told, num, .n = (int64_t)task.pid);
    wait_for_go();
}

SCENE(task_supervisor, the_death_of_the_owner_ends_linked_tasks_only)
{
    tr_dest sup = a_supervisor(NULL);
    for (int nolink = 0; nolink < 2; nolink++) {
        tr_pid owner;
        owner_arg arg = {sup.pid, tr_self(), nolink == 1};
        EXPECT(tr_spawn(NULL, owns, &arg, sizeof arg, &owner) == TR_OK);
        const num *told = TR_RECEIVE(num, 1000);
        tr_exit_signal(tr_to(owner), TR_ATOM(KILL));
        settle();
        EXPECT(tr_is_alive((tr_pid)told->n) == (nolink == 1));
    }
}

/* Asks a suspended supervisor for a task, and is killed while it waits. */
static void asks_in_vain(const void *sup)
{
    tr_task task;
    tr_err err = tr_task_supervisor_async_nolink(tr_to(*(const tr_pid *)sup), JOB(GIVE), 0, &task);
    say("it got an answer: %s", tr_err_name(err));
}

/* task monitors the owner until it receives its work */
SCENE(task_supervisor, a_task_whose_owner_died_before_it_got_work_ends)
{
    tr_pid owner;
    tr_pid child;
    tr_dest sup = a_supervisor(NULL);
    EXPECT(tr_sys_suspend(sup, 1000) == TR_OK);
    EXPECT(tr_spawn(NULL, asks_in_vain, &sup.pid, sizeof sup.pid, &owner) == TR_OK);
    settle();
    tr_exit_signal(tr_to(owner), TR_ATOM(KILL));
    EXPECT(tr_sys_resume(sup, 1000) == TR_OK);
    settle();
    EXPECT(children_of(sup, &child) == 0);
    SAID();
    REPORTED();
}

/* ... and 5 s at most for that work */
SCENE(task_supervisor, a_task_that_gets_no_work_ends)
{
    tr_pid pid;
    size_t bytes;
    tr_dest sup = a_supervisor(NULL);
    const tr__task_birth *birth =
        tr__task_birth_of((tr__task_birth){.fn = (tr_task_fn)do_job, .supervised = true}, &bytes);
    EXPECT(tr__task_start_supervised(sup, birth, bytes, "idle", 0, false, &pid) == TR_OK);
    tr_sleep(4999);
    EXPECT(tr_is_alive(pid));
    tr_sleep(2);
    EXPECT(!tr_is_alive(pid));
    REPORTED("process.crashed timeout", "supervisor.child_terminated timeout");
}

/* ---- start_child ---- */

typedef struct errand {
    tr_pid told;
    tr_term end;
} errand;

static void runs_errand(const void *arg)
{
    const errand *at = arg;
    TR_SEND(at->told, num, .n = (int64_t)tr_self());
    wait_for_go();
    tr_exit(at->end);
}

static tr_sup_result a_child(tr_dest sup, tr_term end, const tr_task_child_opts *opts)
{
    errand arg = {tr_self(), end};
    return tr_task_supervisor_start_child(sup, runs_errand, &arg, sizeof arg, opts);
}

static tr_pid told_pid(void)
{
    const num *told = TR_RECEIVE(num, 1000);
    return told == NULL ? TR_NO_PID : (tr_pid)told->n;
}

/* start_child/1, start_child/3 */
SCENE(task_supervisor, start_child_is_temporary)
{
    tr_pid child;
    tr_dest sup = a_supervisor(NULL);
    tr_sup_result result = a_child(sup, tr_atom("boom"), NULL);
    EXPECT(result.err == TR_OK && result.pid == told_pid());
    EXPECT(children_of(sup, &child) == 1 && child == result.pid && !has_link(child));
    tell_go(result.pid);
    settle();
    EXPECT(children_of(sup, &child) == 0);
    expect_no_message();
}

/* start_child/1 with custom shutdown */
SCENE(task_supervisor, start_child_takes_restart_and_shutdown)
{
    tr_child_info info;
    tr_dest sup = a_supervisor(&(tr_task_supervisor_opts){.max_restarts = 1});
    tr_task_child_opts opts = {
        .restart = TR_TRANSIENT, .shutdown_ms = TR_SHUTDOWN_BRUTAL_KILL, .name = "errand"};
    tr_sup_result result = a_child(sup, tr_atom("boom"), &opts);
    EXPECT(tr_supervisor_get_childspec(sup, tr_pid_term(result.pid), &info) == TR_OK);
    EXPECT(info.restart == TR_TRANSIENT && info.shutdown_ms == TR_SHUTDOWN_BRUTAL_KILL);
    tell_go(told_pid());
    tr_pid again = told_pid();
    EXPECT(again != result.pid && again != TR_NO_PID);
    tr_ref watch = tr_monitor(sup, NULL);
    (void)tr_trap_exit(true);
    tell_go(again);
    tr_msg *down = tr_receive_ref(watch, 1000); /* one restart was allowed */
    TERM_IS(TR_MATCH(down, tr_down_msg)->reason, "shutdown");
}

SCENE(task_supervisor, a_transient_child_may_end)
{
    tr_pid child;
    tr_dest sup = a_supervisor(NULL);
    tr_sup_result result = a_child(sup, TR_ATOM(NORMAL), &(tr_task_child_opts){.restart = TR_TRANSIENT});
    tell_go(result.pid);
    settle();
    EXPECT(children_of(sup, &child) == 0);
}

SCENE(task_supervisor, start_child_beyond_max_children_is_an_error)
{
    tr_dest sup = a_supervisor(&(tr_task_supervisor_opts){.max_children = TR_MAX_CHILDREN_NONE});
    tr_sup_result result = a_child(sup, TR_ATOM(NORMAL), NULL);
    EXPECT(result.err == TR_E_STATE);
    TERM_IS(result.reason, "max_children");
}

/* terminate_child/2 */
SCENE(task_supervisor, terminate_child_ends_a_task)
{
    tr_pid child;
    tr_dest sup = a_supervisor(NULL);
    tr_sup_result result = a_child(sup, TR_ATOM(NORMAL), NULL);
    EXPECT(tr_task_supervisor_terminate_child(sup, result.pid).err == TR_OK);
    EXPECT(!tr_is_alive(result.pid) && children_of(sup, &child) == 0);
    EXPECT(tr_task_supervisor_terminate_child(sup, result.pid).err == TR_E_NOT_FOUND);
}

SCENE(task_supervisor, its_end_ends_all_tasks)
{
    (void)tr_trap_exit(true);
    tr_dest sup = a_supervisor(NULL);
    tr_task linked = an_async(sup, JOB(GIVE_AT_GO));
    tr_task alone = an_async_nolink(sup, JOB(IGNORE_SHUTDOWN));
    settle();
    int64_t begin = tr_now_ms();
    EXPECT(tr_dynamic_supervisor_stop(sup, TR_ATOM(SHUTDOWN), TR_INFINITY, NULL) == TR_OK);
    EXPECT(tr_now_ms() - begin == 5000); /* what a task is granted */
    says(tr_task_yield(linked, 0));
    says(tr_task_yield(alone, 0));
    SAID("exit shutdown", "exit killed");
}
