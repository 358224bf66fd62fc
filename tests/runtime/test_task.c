/* Tasks, one at a time. Comments name the cases of Elixir's task_test that a scene ports. */
#include "tests/runtime/task_jobs.h"

/* ---- starting ---- */

/* async/1 */
SCENE(task, async_is_linked_and_answers_with_reference_then_down)
{
    tr_task task = ASYNC(GIVE_AT_GO, .n = 7);
    EXPECT(task.owner == tr_self() && task.pid != TR_NO_PID);
    EXPECT(has_link(task.pid));
    tell_go(task.pid);
    tr_msg *msg = tr_receive(NULL, NULL, 1000);
    EXPECT(TR_MATCH(msg, num)->n == 7 && tr_ref_equal(tr_msg_ref(msg), task.ref));
    EXPECT(tr_msg_kind_of(msg) == TR_MSG_REPLY);
    tr_msg_drop(msg);
    msg = tr_receive(NULL, NULL, 1000);
    const tr_down_msg *down = TR_MATCH(msg, tr_down_msg);
    EXPECT(down != NULL && tr_ref_equal(down->ref, task.ref) && tr_same(down->reason, TR_ATOM(NORMAL)));
    tr_msg_drop(msg);
    EXPECT(!has_link(task.pid));
    expect_no_message();
}

SCENE(task, argument_is_copied_with_its_terms)
{
    tr_scratch_mark mark = tr_scratch();
    tr_task task = ASYNC(GIVE_TERM, .term = tr_tuple(tr_string("a text of its own"), tr_int(1)));
    tr_scratch_release(mark);
    memset(tr_scratch_alloc(256), 0x5a, 256);
    says(tr_task_await(task, 1000));
    SAID("ok {\"a text of its own\",1}");
}

SCENE(task, no_message_is_nil)
{
    says(tr_task_await(ASYNC(GIVE_NULL), 1000));
    SAID("ok nil");
}

static tr_msg *without_argument(const void *arg)
{
    say("argument %s", arg == NULL ? "none" : "there");
    return TR_MSG(num, .n = 1);
}

SCENE(task, a_job_needs_no_argument)
{
    tr_task task;
    EXPECT(tr_task_async(&(tr_task_job){.fn = without_argument}, &task) == TR_OK);
    says(tr_task_await(task, 1000));
    SAID("argument none", "ok 1");
}

static void say_number(const void *arg)
{
    const tr_pid *callers;
    say("number %d, %zu caller", *(const int *)arg, tr_task_callers(&callers));
    wait_for_go();
    tr_exit(tr_atom("boom"));
}

/* start/1, start/3 */
SCENE(task, start_is_not_linked_and_sends_nothing)
{
    tr_pid pid;
    int number = 3;
    EXPECT(tr_task_start(say_number, &number, sizeof number, &pid) == TR_OK);
    number = 4;
    settle();
    EXPECT(!has_link(pid));
    tell_go(pid);
    expect_no_message();
    SAID("number 3, 1 caller");
}

/* start_link/3 */
SCENE(task, start_link_is_linked)
{
    tr_pid pid;
    int number = 3;
    (void)tr_trap_exit(true);
    EXPECT(tr_task_start_link(say_number, &number, sizeof number, &pid) == TR_OK);
    tell_go(pid);
    tr_exit_msg *end = (tr_exit_msg *)(uintptr_t)TR_RECEIVE(tr_exit_msg, 1000);
    EXPECT(end != NULL && end->from == pid && tr_same(end->reason, tr_atom("boom")));
    SAID("number 3, 1 caller");
}

static void say_go(const void *arg)
{
    say("child %d", *(const int *)arg);
}

/* can be supervised directly */
SCENE(task, a_task_is_a_temporary_child)
{
    int number = 5;
    tr_child_spec spec = tr_task_child_spec(say_go, &number, sizeof number);
    tr_supervisor sup = {.name = "top", .children = &spec, .child_count = 1};
    tr_started top;
    tr_child_counts counts;
    EXPECT(tr_supervisor_start_link(&sup, NULL, 0, NULL, &top) == TR_OK);
    settle();
    EXPECT(tr_supervisor_count_children(tr_to(top.pid), &counts) == TR_OK && counts.specs == 0);
    SAID("child 5");
}

/* completed/1, can ignore completed tasks, ignores if task PID is nil */
SCENE(task, completed_is_there_at_once)
{
    tr_task task = tr_task_completed(TR_MSG(num, .n = 1));
    EXPECT(task.pid == TR_NO_PID && task.owner == tr_self());
    says(tr_task_yield(task, 0));
    says(tr_task_await(tr_task_completed(TR_MSG(num, .n = 2)), 0));
    says(tr_task_ignore(tr_task_completed(TR_MSG(num, .n = 3))));
    says(tr_task_shutdown(tr_task_completed(TR_MSG(num, .n = 4)), 1000));
    says(tr_task_yield(task, 10));
    SAID("ok 1", "ok 2", "ok 3", "ok 4", "nil");
    expect_no_message();
}

static tr_msg *nested(const job *j)
{
    job inner = *j;
    tr_task task;
    inner.pid = tr_self();
    EXPECT(tr_task_async(&(tr_task_job){.fn = (tr_task_fn)do_job, .arg = tr_msg_new(TR_TYPE(job), &inner)},
                         &task) == TR_OK);
    return tr_task_await(task, 1000).value;
}

SCENE(task, callers_are_those_on_whose_behalf_it_runs)
{
    tr_task task;
    const tr_pid *callers;
    EXPECT(tr_task_callers(&callers) == 0);
    says(tr_task_await(ASYNC(TELL_CALLERS, .pid = tr_self()), 1000));
    EXPECT(tr_task_async(TR_TASK(nested, job, .deed = TELL_CALLERS, .n = 2), &task) == TR_OK);
    says(tr_task_await(task, 1000));
    SAID("1 callers, as it should be", "ok 0", "2 callers, as it should be", "ok 2");
}

/* logs a terminated task, logs a terminated task with a process label */
SCENE(task, a_crash_is_reported_once_and_a_clean_end_is_not)
{
    (void)tr_trap_exit(true);
    says(tr_task_await(ASYNC(END, .term = tr_atom("boom")), 1000));
    says(tr_task_await(ASYNC(CRASH, .term = tr_atom("bug")), 1000));
    REPORTED("process.crashed boom", "process.crashed bug");
    says(tr_task_await(ASYNC(END, .term = TR_ATOM(SHUTDOWN)), 1000));
    says(tr_task_await(ASYNC(END, .term = tr_tuple(TR_ATOM(SHUTDOWN), tr_int(1))), 1000));
    says(tr_task_await(ASYNC(END, .term = TR_ATOM(NORMAL)), 1000));
    REPORTED();
    SAID("exit boom", "exit bug", "exit shutdown", "exit {shutdown,1}", "exit normal");
}

SCENE(task, is_listed_under_the_name_of_its_function)
{
    tr_process_summary summary;
    tr_task task = ASYNC(GIVE_AT_GO, .n = 1);
    EXPECT(tr_process_summary_of(task.pid, &summary) == TR_OK && strcmp(summary.label, "do_job") == 0);
    tell_go(task.pid);
    says(tr_task_await(task, 1000));
    SAID("ok 1");
}

/* ---- await ---- */

/* [await/2] demonitors and unalias on timeout */
SCENE(task, await_that_times_out_drops_the_late_value)
{
    tr_task task = ASYNC(GIVE_AT_GO, .n = 1);
    tr_process_info info;
    says(tr_task_await(task, 100));
    EXPECT(tr_process_info_of(tr_self(), false, 1000, &info) == TR_OK && info.monitor_count == 0);
    EXPECT(has_link(task.pid));
    tell_go(task.pid);
    expect_no_message();
    SAID("nil");
}

static void awaits_job(const void *arg)
{
    tr_task task;
    (void)tr_trap_exit(true);
    EXPECT(tr_task_async(&(tr_task_job){.fn = (tr_task_fn)do_job, .arg = tr_msg_new(TR_TYPE(job), arg)},
                         &task) == TR_OK);
    tr_msg_drop(tr_task_await_or_exit(task, 100));
}

static void await_or_exit_ends(deed what, tr_term term)
{
    says_how_it_ends(awaits_job, &(job){.deed = what, .term = term}, sizeof(job));
}

/* [await/2] exits on normal exit, exits on task error, exits on task exit; and on time-out */
SCENE(task, await_or_exit_ends_its_caller)
{
    await_or_exit_ends(GIVE, TR_TERM_NONE_VALUE);
    await_or_exit_ends(END, TR_ATOM(NORMAL));
    await_or_exit_ends(CRASH, tr_atom("bug"));
    await_or_exit_ends(END, tr_atom("unknown"));
    await_or_exit_ends(GIVE_AT_GO, TR_TERM_NONE_VALUE);
    SAID("ended normal", "ended {normal,{'Task',await}}", "ended {bug,{'Task',await}}",
         "ended {unknown,{'Task',await}}", "ended {timeout,{'Task',await}}");
}

SCENE(task, typed_await_checks_the_type)
{
    num out = {0};
    go nothing;
    EXPECT(TR_AWAIT(ASYNC(GIVE, .n = 42), 1000, num, &out) == TR_OK && out.n == 42);
    EXPECT(TR_AWAIT(ASYNC(GIVE, .n = 42), 1000, go, &nothing) == TR_E_TYPE);
    EXPECT(TR_AWAIT(ASYNC(GIVE_AFTER, .ms = 1000), 10, num, &out) == TR_E_TIMEOUT);
    tr_task_result result = tr_task_yield(ASYNC(GIVE, .n = 43), 1000);
    EXPECT(TR_TASK_VALUE(result, num, &out) == TR_OK && out.n == 43);
}

/* raises when invoked from a non-owner process: await, yield, ignore, shutdown */
static void awaits(const void *task)
{
    (void)tr_task_await(*(const tr_task *)task, 0);
}
static void yields(const void *task)
{
    (void)tr_task_yield(*(const tr_task *)task, 0);
}
static void ignores(const void *task)
{
    (void)tr_task_ignore(*(const tr_task *)task);
}
static void shuts_down(const void *task)
{
    (void)tr_task_shutdown(*(const tr_task *)task, 0);
}

SCENE(task, only_the_owner_may_use_a_handle)
{
    tr_task task = ASYNC(GIVE_AT_GO, .n = 1);
    const tr_main_fn misuses[] = {awaits, yields, ignores, shuts_down};
    for (size_t i = 0; i < 4; i++) {
        says_how_it_ends(misuses[i], &task, sizeof task);
        SAID("ended {badarg,task_owner}");
    }
    tell_go(task.pid);
    says(tr_task_await(task, 1000));
    SAID("ok 1");
}

/* ---- ignore ---- */

/* [ignore/1] discards on time replies */
SCENE(task, ignore_gives_what_is_there)
{
    tr_task task = ASYNC(GIVE, .n = 1);
    settle();
    says(tr_task_ignore(task));
    says(tr_task_ignore(task));
    expect_no_message();
    SAID("ok 1", "nil");
}

/* [ignore/1] discards late replies */
SCENE(task, ignore_drops_a_late_value)
{
    tr_task task = ASYNC(GIVE_AT_GO, .n = 1);
    says(tr_task_ignore(task));
    EXPECT(!has_link(task.pid) && tr_is_alive(task.pid));
    tell_go(task.pid);
    expect_no_message();
    EXPECT(!tr_is_alive(task.pid));
    SAID("nil");
}

/* [ignore/1] discards late failures */
SCENE(task, ignore_is_not_hit_by_a_late_crash)
{
    tr_task task = ASYNC(END_AT_GO, .term = tr_atom("boom"));
    says(tr_task_ignore(task));
    tell_go(task.pid);
    expect_no_message();
    SAID("nil");
}

SCENE(task, ignore_tells_of_an_end)
{
    (void)tr_trap_exit(true);
    tr_task task = ASYNC(END, .term = tr_atom("boom"));
    settle();
    says(tr_task_ignore(task));
    SAID("exit boom");
}

/* ---- yield ---- */

/* [yield/2] returns nil on timeout */
SCENE(task, yield_may_be_tried_again)
{
    tr_task task = ASYNC(GIVE_AT_GO, .n = 1);
    says(tr_task_yield(task, 0));
    says(tr_task_yield(task, 100));
    tell_go(task.pid);
    says(tr_task_yield(task, 100));
    expect_no_message();
    SAID("nil", "nil", "ok 1");
}

/* [yield/2] return exit on normal exit */
SCENE(task, yield_tells_of_a_normal_end)
{
    says(tr_task_yield(ASYNC(END, .term = TR_ATOM(NORMAL)), 1000));
    SAID("exit normal");
}

/* ---- the owner ---- */

typedef struct asker {
    tr_pid sup;
    tr_task task;
} asker;
TR_MESSAGE_EMPTY(ask);

static tr_next asker_handle_info(asker *self, const tr_msg *msg)
{
    const num *value = TR_MATCH(msg, num);
    const tr_down_msg *down = TR_MATCH(msg, tr_down_msg);
    if (TR_MATCH(msg, ask) != NULL) {
        EXPECT(tr_task_async(JOB(GIVE, .n = 9), &self->task) == TR_OK);
    } else if (value != NULL && tr_ref_equal(tr_msg_ref(msg), self->task.ref)) {
        say("value %" PRId64, value->n);
    } else if (down != NULL && tr_ref_equal(down->ref, self->task.ref)) {
        say("down %s", tr_term_text(down->reason));
    }
    return TR_NOREPLY;
}

TR_GEN_SERVER(asker, .handle_info = asker_handle_info);

SCENE(task, a_server_gets_value_and_down_in_handle_info)
{
    tr_started started;
    tr_start_opts opts = {.spawn.mailbox_max = 1}; /* replies are exempt */
    EXPECT(tr_gen_server_start(asker_server, NULL, 0, &opts, &started) == TR_OK);
    EXPECT(TR_SEND(started.pid, ask) == TR_OK);
    settle();
    SAID("value 9", "down normal");
}

static void owns_and_ends(const void *arg)
{
    tr_task task;
    EXPECT(tr_task_async(JOB(GIVE_AT_GO), &task) == TR_OK);
    TR_SEND(*(const tr_pid *)arg, num, .n = (int64_t)task.pid);
    wait_for_go();
    tr_exit(tr_atom("gone"));
}

SCENE(task, the_death_of_the_owner_ends_the_task)
{
    tr_pid self = tr_self();
    tr_pid owner;
    EXPECT(tr_spawn(NULL, owns_and_ends, &self, sizeof self, &owner) == TR_OK);
    tr_pid task = (tr_pid)TR_RECEIVE(num, 1000)->n;
    EXPECT(tr_is_alive(task));
    tell_go(owner);
    settle();
    EXPECT(!tr_is_alive(task));
}
