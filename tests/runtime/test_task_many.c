/* Many tasks at once: await_many and yield_many. Comments name the cases of Elixir's task_test that a scene ports. */
#include "tests/runtime/task_jobs.h"

static void say_all(const tr_task_result *results, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        says(results[i]);
    }
}

/* ---- await_many ---- */

/* [await_many/2] returns list of replies; returns replies in input order ignoring response order */
SCENE(task_many, await_many_gives_values_in_the_order_of_the_tasks)
{
    tr_task_result results[3];
    tr_task tasks[] = {ASYNC(GIVE_AFTER, .n = 1, .ms = 300), ASYNC(GIVE_AFTER, .n = 2, .ms = 100),
                       ASYNC(GIVE_AFTER, .n = 3, .ms = 200)};
    EXPECT(tr_task_await_many(tasks, 3, 1000, results) == TR_OK);
    say_all(results, 3);
    SAID("ok 1", "ok 2", "ok 3");
    expect_no_message();
}

/* [await_many/2] returns an empty list immediately */
SCENE(task_many, await_many_of_none_is_done)
{
    EXPECT(tr_task_await_many(NULL, 0, 0, NULL) == TR_OK);
}

/* [await_many/2] ignores additional messages after reply */
SCENE(task_many, await_many_takes_only_what_is_of_its_tasks)
{
    tr_task_result results[2];
    tr_task tasks[] = {ASYNC(GIVE, .n = 1), ASYNC(GIVE_AFTER, .n = 2, .ms = 10)};
    tr_task other = ASYNC(GIVE, .n = 3);
    TR_SEND(tr_self(), go);
    EXPECT(tr_task_await_many(tasks, 2, 1000, results) == TR_OK);
    say_all(results, 2);
    EXPECT(TR_RECEIVE(go, 0) != NULL);
    says(tr_task_await(other, 0));
    SAID("ok 1", "ok 2", "ok 3");
    expect_no_message();
}

/* [await_many/2] exits on timeout: what came counts, what is late is dropped */
SCENE(task_many, await_many_has_one_time_limit)
{
    tr_task_result results[3];
    tr_task tasks[] = {ASYNC(GIVE_AFTER, .n = 1, .ms = 80), ASYNC(GIVE_AFTER, .n = 2, .ms = 160),
                       ASYNC(GIVE, .n = 3)};
    int64_t begin = tr_now_ms();
    EXPECT(tr_task_await_many(tasks, 3, 100, results) == TR_E_TIMEOUT);
    EXPECT(tr_now_ms() - begin == 100);
    say_all(results, 3);
    SAID("ok 1", "nil", "ok 3");
    tr_sleep(1000);
    expect_no_message();
}

/* [await_many/2] exits with same reason when task exits; exits immediately when any task crashes / on any task error */
SCENE(task_many, await_many_ends_with_the_first_failure)
{
    tr_task_result results[3];
    (void)tr_trap_exit(true);
    tr_task tasks[] = {ASYNC(GIVE_AFTER, .n = 1, .ms = 1000), ASYNC(GIVE, .n = 2),
                       ASYNC(END_AT_GO, .term = tr_atom("unknown"))};
    settle();
    int64_t begin = tr_now_ms();
    tell_go(tasks[2].pid);
    EXPECT(tr_task_await_many(tasks, 3, 5000, results) == TR_E_EXIT);
    EXPECT(tr_now_ms() == begin);
    EXPECT(tr_is_alive(tasks[0].pid) && has_link(tasks[0].pid));
    say_all(results, 3);
    SAID("nil", "ok 2", "exit unknown");
}

static void awaits_many(const void *arg)
{
    tr_task_result results[2];
    (void)tr_trap_exit(true);
    tr_task tasks[] = {ASYNC(GIVE, .n = 1), ASYNC(GIVE)};
    EXPECT(tr_task_async(&(tr_task_job){.fn = (tr_task_fn)do_job, .arg = tr_msg_new(TR_TYPE(job), arg)},
                         &tasks[1]) == TR_OK);
    tr_task_await_many_or_exit(tasks, 2, 100, results);
}

static void await_many_or_exit_ends(deed what, tr_term term)
{
    says_how_it_ends(awaits_many, &(job){.deed = what, .term = term}, sizeof(job));
}

SCENE(task_many, await_many_or_exit_ends_its_caller)
{
    await_many_or_exit_ends(GIVE, TR_TERM_NONE_VALUE);
    await_many_or_exit_ends(GIVE_AT_GO, TR_TERM_NONE_VALUE);
    await_many_or_exit_ends(END, tr_atom("unknown"));
    await_many_or_exit_ends(CRASH, tr_atom("bug"));
    SAID("ended normal", "ended {timeout,{'Task',await_many}}", "ended {unknown,{'Task',await_many}}",
         "ended {bug,{'Task',await_many}}");
}

/* raises when invoked from a non-owner process */
static void awaits_anothers(const void *task)
{
    tr_task_result result;
    say("got %s", tr_err_name(tr_task_await_many(task, 1, 0, &result)));
}

static void yields_to_anothers(const void *task)
{
    tr_task_result result;
    tr_task_yield_many(task, 1, &(tr_task_yield_opts){.timeout_ms = 0}, &result);
}

SCENE(task_many, only_the_owner_may_wait)
{
    tr_task task = ASYNC(GIVE, .n = 1);
    says_how_it_ends(awaits_anothers, &task, sizeof task);
    says_how_it_ends(yields_to_anothers, &task, sizeof task);
    SAID("ended {badarg,task_owner}", "ended {badarg,task_owner}");
}

static void awaits_one_twice(const void *unused)
{
    (void)unused;
    tr_task_result results[2];
    tr_task task = ASYNC(GIVE, .n = 1);
    say("got %s", tr_err_name(tr_task_await_many((tr_task[]){task, task}, 2, 1000, results)));
}

SCENE(task_many, a_task_cannot_be_awaited_twice)
{
    (void)tr_trap_exit(true);
    tr_pid pid;
    tr_ref watch;
    EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &watch}, awaits_one_twice, NULL, 0, &pid) == TR_OK);
    const tr_down_msg *down = TR_MATCH(tr_receive_ref(watch, 1000), tr_down_msg);
    EXPECT(tr_is_tagged(down->reason, "badarg", 2));
    EXPECT(tr_is_tagged(tr_term_items(down->reason)[1], "task_twice", 2));
    SAID();
}

/* ---- yield_many ---- */

static void yield_many(const tr_task *tasks, size_t count, tr_task_yield_opts opts)
{
    tr_task_result *results = tr_scratch_alloc((count + 1) * sizeof *results);
    tr_task_yield_many(tasks, count, &opts, results);
    say_all(results, count);
}

/* [yield_many/2] returns results from multiple tasks */
SCENE(task_many, yield_many_gives_what_there_is_in_time)
{
    (void)tr_trap_exit(true);
    tr_task tasks[] = {ASYNC(GIVE_AFTER, .n = 1, .ms = 50), ASYNC(GIVE_AFTER, .n = 2, .ms = 1000),
                       ASYNC(END, .term = tr_atom("boom")), ASYNC(GIVE, .n = 4)};
    yield_many(tasks, 4, (tr_task_yield_opts){.timeout_ms = 100});
    SAID("ok 1", "nil", "exit boom", "ok 4");
    says(tr_task_yield(tasks[1], 2000));
    SAID("ok 2");
}

/* [yield_many/2] returns results on infinity timeout */
SCENE(task_many, yield_many_may_wait_for_ever)
{
    tr_task tasks[] = {ASYNC(GIVE_AFTER, .n = 1, .ms = 3600000), ASYNC(GIVE, .n = 2)};
    yield_many(tasks, 2, (tr_task_yield_opts){.timeout_ms = TR_INFINITY});
    SAID("ok 1", "ok 2");
    expect_no_message();
}

/* [yield_many/2] returns nil on timeout by default */
SCENE(task_many, yield_many_leaves_the_late_alone)
{
    tr_task task = ASYNC(GIVE_AT_GO, .n = 1);
    yield_many(&task, 1, (tr_task_yield_opts){.timeout_ms = 10});
    EXPECT(tr_is_alive(task.pid) && has_link(task.pid));
    tell_go(task.pid);
    says(tr_task_await(task, 1000));
    SAID("nil", "ok 1");
}

/* [yield_many/2] shuts down on timeout when configured */
SCENE(task_many, yield_many_kills_the_late)
{
    tr_task task = ASYNC(IGNORE_SHUTDOWN);
    settle();
    yield_many(&task, 1, (tr_task_yield_opts){.timeout_ms = 10, .late = TR_LATE_KILL});
    EXPECT(!tr_is_alive(task.pid));
    SAID("nil");
    expect_no_message();
}

/* [yield_many/2] ignores on timeout when configured */
SCENE(task_many, yield_many_ignores_the_late)
{
    tr_task task = ASYNC(GIVE_AT_GO);
    yield_many(&task, 1, (tr_task_yield_opts){.timeout_ms = 10, .late = TR_LATE_IGNORE});
    EXPECT(tr_is_alive(task.pid) && !has_link(task.pid));
    tell_go(task.pid);
    SAID("nil");
    expect_no_message();
}

/* [yield_many/2] returns results from multiple tasks with limit */
SCENE(task_many, yield_many_comes_back_at_the_limit)
{
    tr_task tasks[] = {ASYNC(GIVE_AFTER, .n = 1, .ms = 300), ASYNC(GIVE_AFTER, .n = 2, .ms = 100),
                       ASYNC(GIVE_AFTER, .n = 3, .ms = 200)};
    int64_t begin = tr_now_ms();
    yield_many(tasks, 3, (tr_task_yield_opts){.timeout_ms = 1000, .limit = 2, .late = TR_LATE_KILL});
    EXPECT(tr_now_ms() - begin == 200);
    SAID("nil", "ok 2", "ok 3");
    EXPECT(tr_is_alive(tasks[0].pid));
    says(tr_task_await(tasks[0], 1000));
    SAID("ok 1");
}

/* [yield_many/2] returns results from multiple tasks with limit and on timeout */
SCENE(task_many, yield_many_below_the_limit_treats_the_late)
{
    tr_task tasks[] = {ASYNC(GIVE_AT_GO), ASYNC(GIVE, .n = 2), ASYNC(GIVE_AT_GO)};
    yield_many(tasks, 3, (tr_task_yield_opts){.timeout_ms = 100, .limit = 2, .late = TR_LATE_KILL});
    EXPECT(!tr_is_alive(tasks[0].pid) && !tr_is_alive(tasks[2].pid));
    SAID("nil", "ok 2", "nil");
}

/* ---- how many ---- */

enum { MANY = 10000 };

SCENE(task_many, ten_thousand_are_in_flight)
{
    tr_task *tasks = tr_alloc(MANY * sizeof *tasks);
    tr_task_result *results = tr_alloc(MANY * sizeof *results);
    tr_node_stats stats;
    int64_t sum = 0;
    for (int i = 0; i < MANY; i++) {
        tasks[i] = ASYNC(GIVE_AT_GO, .n = i);
    }
    settle();
    tr_node_stats_get(&stats);
    EXPECT(stats.processes >= MANY);
    for (int i = MANY - 1; i >= 0; i--) {
        tell_go(tasks[i].pid);
    }
    EXPECT(tr_task_await_many(tasks, MANY, TR_INFINITY, results) == TR_OK);
    for (int i = 0; i < MANY; i++) {
        sum += TR_MATCH(results[i].value, num)->n == i ? 1 : 0;
        tr_msg_drop(results[i].value);
    }
    EXPECT(sum == MANY);
    expect_no_message();
}
