/* Shutting tasks down. Comments name the cases of Elixir's task_test that a scene ports; each is played with a time limit
 * and with brutal kill. */
#include "runtime/core/behaviour.h"
#include "tests/runtime/task_jobs.h"

/* A task that has ended, its messages in the mailbox. */
static tr_task ended(const tr_task_job *of)
{
    tr_task task;
    EXPECT(tr_task_async(of, &task) == TR_OK);
    settle();
    EXPECT(!tr_is_alive(task.pid));
    return task;
}

/* A value in the mailbox, and a DOWN that is not normal: as if it had been hit between the two. */
static tr_task answered_then_down(tr_term reason)
{
    tr_task task = tr_task_completed(TR_MSG(num, .n = 1));
    tr_task crashed = ended(JOB(END, .term = reason));
    tr_msg *value = tr_receive_ref(task.ref, 0);
    EXPECT(TR_MATCH(value, num) != NULL);
    tr_msg *down = tr_receive_ref(crashed.ref, 0);
    EXPECT(TR_MATCH(down, tr_down_msg) != NULL);
    /* put back under one reference */
    EXPECT(tr__send_kind(tr_to(tr_self()), TR_MSG_REPLY, crashed.ref, value) == TR_OK);
    EXPECT(tr__send_kind(tr_to(tr_self()), TR_MSG_DOWN, crashed.ref, down) == TR_OK);
    return crashed;
}

/* [shutdown/2] returns {:ok, result} when reply and abnormal :DOWN in message queue; the same with shut down :DOWN; both
 * also with :brutal_kill */
SCENE(task_shutdown, a_value_in_the_mailbox_wins)
{
    const int64_t limits[] = {1000, TR_SHUTDOWN_BRUTAL_KILL};
    (void)tr_trap_exit(true);
    for (size_t i = 0; i < 2; i++) {
        says(tr_task_shutdown(answered_then_down(tr_atom("abnormal")), limits[i]));
        says(tr_task_shutdown(answered_then_down(TR_ATOM(SHUTDOWN)), limits[i]));
        SAID("ok 1", "ok 1");
    }
    while (TR_RECEIVE(tr_exit_msg, 0) != NULL) {
    }
    expect_no_message();
}

SCENE(task_shutdown, a_value_that_is_there_is_taken)
{
    says(tr_task_shutdown(ended(JOB(GIVE, .n = 1)), 1000));
    says(tr_task_shutdown(ended(JOB(GIVE, .n = 2)), TR_SHUTDOWN_BRUTAL_KILL));
    expect_no_message();
    SAID("ok 1", "ok 2");
}

/* [shutdown/2] returns nil on shutting down task; returns nil on killing task */
SCENE(task_shutdown, a_running_task_is_ended)
{
    tr_task task = ASYNC(GIVE_AT_GO);
    says(tr_task_shutdown(task, 1000));
    EXPECT(!tr_is_alive(task.pid));
    task = ASYNC(GIVE_AT_GO);
    says(tr_task_shutdown(task, TR_SHUTDOWN_BRUTAL_KILL));
    EXPECT(!tr_is_alive(task.pid));
    task = ASYNC(IGNORE_SHUTDOWN);
    settle();
    says(tr_task_shutdown(task, TR_SHUTDOWN_BRUTAL_KILL));
    EXPECT(!tr_is_alive(task.pid));
    expect_no_message();
    SAID("nil", "nil", "nil");
}

/* [shutdown/2] returns exit on abnormal :DOWN in message queue; also with :brutal_kill */
SCENE(task_shutdown, an_end_in_the_mailbox_is_told)
{
    (void)tr_trap_exit(true);
    says(tr_task_shutdown(ended(JOB(END, .term = tr_atom("abnormal"))), 1000));
    says(tr_task_shutdown(ended(JOB(END, .term = tr_atom("abnormal"))), TR_SHUTDOWN_BRUTAL_KILL));
    SAID("exit abnormal", "exit abnormal");
}

/* [shutdown/2] returns nil on shutdown :DOWN in message queue; with :brutal_kill: returns exit on it */
SCENE(task_shutdown, an_end_by_shutdown_is_what_was_asked_for)
{
    (void)tr_trap_exit(true);
    says(tr_task_shutdown(ended(JOB(END, .term = TR_ATOM(SHUTDOWN))), 1000));
    says(tr_task_shutdown(ended(JOB(END, .term = TR_ATOM(SHUTDOWN))), TR_SHUTDOWN_BRUTAL_KILL));
    SAID("nil", "exit shutdown");
}

/* [shutdown/2] returns exit on killed :DOWN in message queue; with :brutal_kill: returns nil on it */
SCENE(task_shutdown, an_end_by_kill_is_what_brutal_kill_asked_for)
{
    (void)tr_trap_exit(true);
    says(tr_task_shutdown(ended(JOB(END, .term = TR_ATOM(KILLED))), 1000));
    says(tr_task_shutdown(ended(JOB(END, .term = TR_ATOM(KILLED))), TR_SHUTDOWN_BRUTAL_KILL));
    SAID("exit killed", "nil");
}

/* returns exit on killing task after shutdown timeout */
SCENE(task_shutdown, who_does_not_heed_the_shutdown_is_killed)
{
    tr_task task = ASYNC(IGNORE_SHUTDOWN);
    settle();
    says(tr_task_shutdown(task, 100));
    EXPECT(!tr_is_alive(task.pid));
    expect_no_message();
    SAID("exit killed");
}

/* returns {:exit, :noproc} if task handled, with a time limit and with :brutal_kill */
SCENE(task_shutdown, a_settled_task_that_is_gone_is_noproc)
{
    const int64_t limits[] = {1000, TR_SHUTDOWN_BRUTAL_KILL};
    for (size_t i = 0; i < 2; i++) {
        tr_task task = ASYNC(GIVE, .n = 1);
        says(tr_task_await(task, 1000));
        settle();
        says(tr_task_shutdown(task, limits[i]));
        SAID("ok 1", "exit noproc");
    }
    expect_no_message();
}

/* What await gave up on is ended all the same. */
SCENE(task_shutdown, a_settled_task_that_runs_is_ended)
{
    const int64_t limits[] = {1000, TR_SHUTDOWN_BRUTAL_KILL};
    for (size_t i = 0; i < 2; i++) {
        tr_task task = ASYNC(GIVE_AT_GO, .n = 1);
        says(tr_task_await(task, 10));
        says(tr_task_shutdown(task, limits[i]));
        EXPECT(!tr_is_alive(task.pid));
        SAID("nil", "nil");
    }
    expect_no_message();
}

SCENE(task_shutdown, a_value_given_on_the_way_out_counts)
{
    tr_task task = ASYNC(GIVE_AT_EXIT, .n = 5);
    settle();
    says(tr_task_shutdown(task, 1000));
    task = ASYNC(END_AT_EXIT, .term = tr_atom("other"));
    settle();
    says(tr_task_shutdown(task, 1000));
    expect_no_message();
    SAID("ok 5", "exit other");
}

/* The owner does not trap exits, and lives. */
SCENE(task_shutdown, unlinks_before_it_signals)
{
    tr_task task = ASYNC(END_AT_EXIT, .term = tr_atom("boom"));
    settle();
    says(tr_task_shutdown(task, 1000));
    EXPECT(!has_link(task.pid));
    SAID("exit boom");
}
