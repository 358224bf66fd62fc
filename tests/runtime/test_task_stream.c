/* Streams of tasks. Comments name the cases of Elixir's task_test and task/supervisor_test that a scene ports; those that
 * the original generates for several values of max_concurrency run for each of them. */
#include "tests/runtime/task_jobs.h"

/* Elements: jobs from a table; how many were taken. */
typedef struct table {
    const job *jobs;
    size_t count, taken;
} table;

static tr_msg *next_job(void *ctx)
{
    table *of = ctx;
    return of->taken == of->count ? NULL : tr_msg_new(TR_TYPE(job), &of->jobs[of->taken++]);
}

static tr_task_stream *a_stream(table *of, tr_task_stream_opts opts)
{
    tr_task_stream *stream = NULL;
    EXPECT(tr_task_async_stream(TR_TASK_EACH(do_job, job), next_job, of, &opts, &stream) == TR_OK);
    return stream;
}

static tr_dest a_supervisor(int64_t max_children)
{
    tr_started started = {.pid = TR_NO_PID};
    EXPECT(tr_task_supervisor_start_link(&(tr_task_supervisor_opts){.max_children = max_children}, NULL,
                                         &started) == TR_OK);
    return tr_to(started.pid);
}

/* Says all results up to the end, which it gives. */
static tr_err say_stream(tr_task_stream *stream)
{
    tr_task_result result;
    tr_err err;
    while ((err = tr_task_stream_next(stream, &result)) == TR_OK) {
        if (result.err == TR_E_TIMEOUT) {
            TERM_IS(result.reason, "timeout");
            say("late");
        } else {
            says(result);
        }
    }
    return err;
}

static uint64_t processes(void)
{
    tr_node_stats stats;
    settle();
    tr_node_stats_get(&stats);
    return stats.processes;
}

#define JOBS(...)                                                                               \
    {                                                                                           \
        .jobs = (const job[]){__VA_ARGS__}, .count = sizeof((job[]){__VA_ARGS__}) / sizeof(job) \
    }
#define FOR_EACH_CONCURRENCY(c) for (size_t c = 1; c <= 16; c *= 4)

/* ---- order ---- */

/* streams an enumerable with mfa x3 */
SCENE(task_stream, gives_results_in_order)
{
    FOR_EACH_CONCURRENCY(most)
    {
        table four = JOBS({.n = 1}, {.n = 2}, {.n = 3}, {.n = 4});
        tr_task_stream *stream = a_stream(&four, (tr_task_stream_opts){.max_concurrency = most});
        EXPECT(say_stream(stream) == TR_E_NOT_FOUND);
        tr_task_stream_close(stream);
        SAID("ok 1", "ok 2", "ok 3", "ok 4");
    }
    expect_no_message();
}

/* streams an enumerable with slowest first x3 */
SCENE(task_stream, keeps_the_order_when_the_first_is_slow)
{
    FOR_EACH_CONCURRENCY(most)
    {
        table three =
            JOBS({.deed = GIVE_AFTER, .n = 1, .ms = 1000}, {.deed = GIVE_AFTER, .n = 2, .ms = 100}, {.n = 3});
        tr_task_stream *stream = a_stream(&three, (tr_task_stream_opts){.max_concurrency = most});
        EXPECT(say_stream(stream) == TR_E_NOT_FOUND);
        tr_task_stream_close(stream);
        SAID("ok 1", "ok 2", "ok 3");
    }
    expect_no_message();
}

/* streams an enumerable with ordered: false */
SCENE(task_stream, unordered_gives_what_is_done_first)
{
    table three = JOBS({.deed = GIVE_AFTER, .n = 1, .ms = 300}, {.deed = GIVE_AFTER, .n = 2, .ms = 100},
                       {.deed = GIVE_AFTER, .n = 3, .ms = 200});
    tr_task_stream *stream = a_stream(&three, (tr_task_stream_opts){.max_concurrency = 4, .unordered = true});
    tr_task_result result;
    EXPECT(tr_task_stream_next(stream, &result) == TR_OK && tr_task_stream_index(stream) == 1);
    says(result);
    EXPECT(say_stream(stream) == TR_E_NOT_FOUND && tr_task_stream_index(stream) == 0);
    tr_task_stream_close(stream);
    SAID("ok 2", "ok 3", "ok 1");
    expect_no_message();
}

/* streams an enumerable with infinite timeout */
SCENE(task_stream, may_have_no_time_limit)
{
    table one = JOBS({.deed = GIVE_AFTER, .n = 1, .ms = 3600000});
    tr_task_stream *stream = a_stream(&one, (tr_task_stream_opts){.timeout_ms = TR_INFINITY});
    EXPECT(say_stream(stream) == TR_E_NOT_FOUND);
    tr_task_stream_close(stream);
    SAID("ok 1");
}

SCENE(task_stream, of_nothing_ends_at_once)
{
    table none = {.count = 0};
    tr_task_result result;
    tr_task_stream *stream = a_stream(&none, (tr_task_stream_opts){0});
    EXPECT(say_stream(stream) == TR_E_NOT_FOUND);
    EXPECT(tr_task_stream_next(stream, &result) == TR_E_NOT_FOUND);
    tr_task_stream_close(stream);
}

/* ---- laziness and concurrency ---- */

SCENE(task_stream, takes_elements_only_when_there_is_room_and_somebody_waits)
{
    table five = JOBS({.n = 1}, {.n = 2}, {.n = 3}, {.n = 4}, {.n = 5});
    tr_task_result result;
    tr_task_stream *stream = a_stream(&five, (tr_task_stream_opts){.max_concurrency = 2});
    settle();
    EXPECT(five.taken == 0);
    EXPECT(tr_task_stream_next(stream, &result) == TR_OK);
    EXPECT(five.taken == 2);
    settle();
    EXPECT(five.taken == 2);
    EXPECT(tr_task_stream_next(stream, &result) == TR_OK);
    EXPECT(five.taken <= 4);
    tr_task_stream_close(stream);
    expect_no_message();
}

static int running, most_running;

static tr_msg *counts_itself(const job *j)
{
    running++;
    most_running = running > most_running ? running : most_running;
    tr_sleep(j->ms);
    running--;
    return TR_MSG(num, .n = j->n);
}

SCENE(task_stream, never_runs_more_than_it_may)
{
    job jobs[40];
    for (int i = 0; i < 40; i++) {
        jobs[i] = (job){.n = i, .ms = 10 + 7 * (i % 5)};
    }
    for (size_t most = 1; most <= 9; most += 4) {
        table all = {.jobs = jobs, .count = 40};
        tr_task_stream_opts opts = {.max_concurrency = most};
        tr_task_stream *stream;
        most_running = 0;
        EXPECT(tr_task_async_stream(TR_TASK_EACH(counts_itself, job), next_job, &all, &opts, &stream) ==
               TR_OK);
        tr_task_result result;
        for (int64_t i = 0; i < 40; i++) {
            EXPECT(tr_task_stream_next(stream, &result) == TR_OK && TR_MATCH(result.value, num)->n == i);
            tr_msg_drop(result.value);
        }
        EXPECT(tr_task_stream_next(stream, &result) == TR_E_NOT_FOUND);
        tr_task_stream_close(stream);
        EXPECT(most_running == (int)most);
    }
    expect_no_message();
}

SCENE(task_stream, keeps_what_waits_behind_a_slow_element)
{
    enum { COUNT = 200 };
    job jobs[COUNT];
    for (int i = 0; i < COUNT; i++) {
        jobs[i] = (job){.deed = i == 0 ? GIVE_AFTER : GIVE, .n = i, .ms = 1000};
    }
    table all = {.jobs = jobs, .count = COUNT};
    tr_task_stream *stream = a_stream(&all, (tr_task_stream_opts){.max_concurrency = 2});
    tr_task_result result;
    for (int64_t i = 0; i < COUNT; i++) {
        EXPECT(tr_task_stream_next(stream, &result) == TR_OK && TR_MATCH(result.value, num)->n == i);
        EXPECT(all.taken == COUNT);
        tr_msg_drop(result.value);
    }
    tr_task_stream_close(stream);
}

/* ---- time ---- */

/* with :on_timeout set to :kill_task x3; ordered: false, on_timeout: :kill_task */
SCENE(task_stream, kills_a_late_task_and_goes_on)
{
    FOR_EACH_CONCURRENCY(most)
    {
        table three = JOBS({.n = 1}, {.deed = IGNORE_SHUTDOWN}, {.n = 3});
        tr_task_stream_opts opts = {
            .max_concurrency = most, .timeout_ms = 50, .on_timeout = TR_ON_TIMEOUT_KILL_TASK};
        tr_task_stream *stream = a_stream(&three, opts);
        EXPECT(say_stream(stream) == TR_E_NOT_FOUND);
        tr_task_stream_close(stream);
        SAID("ok 1", "late", "ok 3");
    }
    table two = JOBS({.deed = GIVE_AT_GO}, {.n = 2});
    tr_task_stream *stream = a_stream(&two, (tr_task_stream_opts){.max_concurrency = 2,
                                                                  .timeout_ms = 50,
                                                                  .unordered = true,
                                                                  .on_timeout = TR_ON_TIMEOUT_KILL_TASK});
    EXPECT(say_stream(stream) == TR_E_NOT_FOUND);
    tr_task_stream_close(stream);
    SAID("ok 2", "late");
    expect_no_message();
}

SCENE(task_stream, a_late_task_ends_the_stream)
{
    table three = JOBS({.n = 1}, {.deed = GIVE_AT_GO}, {.deed = IGNORE_SHUTDOWN});
    uint64_t before = processes();
    tr_task_stream *stream = a_stream(&three, (tr_task_stream_opts){.max_concurrency = 3, .timeout_ms = 50});
    EXPECT(say_stream(stream) == TR_E_TIMEOUT);
    EXPECT(processes() == before);
    EXPECT(say_stream(stream) == TR_E_TIMEOUT);
    tr_task_stream_close(stream);
    SAID("ok 1");
    expect_no_message();
}

SCENE(task_stream, time_runs_while_the_consumer_does_something_else)
{
    table two = JOBS({.n = 1}, {.deed = GIVE_AFTER, .n = 2, .ms = 1000});
    tr_task_stream *stream =
        a_stream(&two, (tr_task_stream_opts){
                           .max_concurrency = 2, .timeout_ms = 100, .on_timeout = TR_ON_TIMEOUT_KILL_TASK});
    tr_task_result result;
    EXPECT(tr_task_stream_next(stream, &result) == TR_OK);
    says(result);
    uint64_t before = processes();
    tr_sleep(200);
    EXPECT(processes() == before - 1);
    EXPECT(say_stream(stream) == TR_E_NOT_FOUND);
    tr_task_stream_close(stream);
    SAID("ok 1", "late");
}

/* with timeout and :zip_input_on_exit: an exit is told from the others by the number of its element */
SCENE(task_stream, an_exit_tells_whose_it_is)
{
    tr_dest sup = a_supervisor(0);
    table three = JOBS({.deed = GIVE_AFTER, .n = 1, .ms = 20}, {.deed = GIVE_AT_GO},
                       {.deed = END, .term = tr_atom("boom")});
    tr_task_result result;
    tr_task_stream *stream = a_stream(&three, (tr_task_stream_opts){.max_concurrency = 3,
                                                                    .timeout_ms = 50,
                                                                    .unordered = true,
                                                                    .on_timeout = TR_ON_TIMEOUT_KILL_TASK,
                                                                    .sup = sup,
                                                                    .nolink = true});
    while (tr_task_stream_next(stream, &result) == TR_OK) {
        say("%zu %s", tr_task_stream_index(stream), tr_err_name(result.err));
        tr_msg_drop(result.value);
    }
    tr_task_stream_close(stream);
    SAID("2 TR_E_EXIT", "0 TR_OK", "1 TR_E_TIMEOUT");
}

/* ---- crashes ---- */

static void streams(const void *arg)
{
    const job *second = arg;
    table three = JOBS({.n = 1}, *second, {.n = 3});
    tr_task_result result;
    tr_task_stream *stream = a_stream(&three, (tr_task_stream_opts){.max_concurrency = 1, .timeout_ms = 100});
    while (tr_task_stream_next_or_exit(stream, &result)) {
        says(result);
    }
    tr_task_stream_close(stream);
}

static void stream_ends(job second)
{
    says_how_it_ends(streams, &second, sizeof second);
}

/* Task.Supervisor streams an enumerable with exits, and its Task twin: without trapping, the consumer goes along */
SCENE(task_stream, a_crash_takes_the_consumer_along)
{
    uint64_t before = processes();
    stream_ends((job){.n = 2});
    SAID("ok 1", "ok 2", "ok 3", "ended normal");
    stream_ends((job){.deed = END, .term = tr_atom("boom")});
    SAID("ok 1", "ended boom");
    stream_ends((job){.deed = GIVE_AT_GO});
    SAID("ok 1", "ended {timeout,{'Task.Supervised',stream}}");
    EXPECT(processes() == before);
}

SCENE(task_stream, a_consumer_that_traps_gets_the_exit_in_its_place)
{
    table three = JOBS({.n = 1}, {.deed = END, .term = tr_atom("boom")}, {.n = 3});
    (void)tr_trap_exit(true);
    tr_task_stream *stream = a_stream(&three, (tr_task_stream_opts){.max_concurrency = 2});
    EXPECT(say_stream(stream) == TR_E_NOT_FOUND);
    tr_task_stream_close(stream);
    SAID("ok 1", "exit boom", "ok 3");
    expect_no_message();
}

/* async_stream_nolink: streams an enumerable with fun; with exits; with slowest first */
SCENE(task_stream, nolink_gives_exits_without_trapping)
{
    tr_dest sup = a_supervisor(0);
    table three =
        JOBS({.deed = GIVE_AFTER, .n = 1, .ms = 100}, {.deed = END, .term = tr_atom("boom")}, {.n = 3});
    tr_task_stream *stream =
        a_stream(&three, (tr_task_stream_opts){.max_concurrency = 3, .sup = sup, .nolink = true});
    EXPECT(say_stream(stream) == TR_E_NOT_FOUND);
    tr_task_stream_close(stream);
    SAID("ok 1", "exit boom", "ok 3");
    expect_no_message();
}

static tr_pid seen_keeper;

static bool see_keeper(const tr_process_summary *summary, void *unused)
{
    (void)unused;
    seen_keeper = strcmp(summary->label, "task_stream") == 0 ? summary->pid : seen_keeper;
    return true;
}

SCENE(task_stream, the_end_of_the_keeper_is_told_to_a_consumer_that_traps)
{
    tr_task_result result = {.err = TR_OK};
    table two = JOBS({.n = 1}, {.deed = GIVE_AT_GO});
    (void)tr_trap_exit(true);
    tr_task_stream *stream = a_stream(&two, (tr_task_stream_opts){.max_concurrency = 2});
    EXPECT(tr_task_stream_next(stream, &result) == TR_OK);
    tr_process_each(see_keeper, NULL);
    tr_exit_signal(tr_to(seen_keeper), TR_ATOM(KILL));
    EXPECT(tr_task_stream_next(stream, &result) == TR_E_EXIT);
    TERM_IS(result.reason, "killed");
    tr_task_stream_close(stream);
    expect_no_message();
}

/* ---- stopping early ---- */

/* shuts down unused tasks x3; without leaking messages x3; the same for async_stream and async_stream_nolink */
SCENE(task_stream, close_ends_what_runs_and_leaves_nothing)
{
    tr_dest sup = a_supervisor(0);
    uint64_t before = processes();
    for (int kind = 0; kind < 3; kind++) {
        FOR_EACH_CONCURRENCY(most)
        {
            table five = JOBS({.n = 1}, {.deed = IGNORE_SHUTDOWN}, {.n = 3}, {.deed = GIVE_AT_GO},
                              {.deed = GIVE_AFTER, .ms = 10});
            tr_task_result result;
            tr_task_stream_opts opts = {.max_concurrency = most, .timeout_ms = TR_INFINITY};
            opts.sup = kind > 0 ? sup : opts.sup;
            opts.nolink = kind == 2;
            tr_task_stream *stream = a_stream(&five, opts);
            EXPECT(tr_task_stream_next(stream, &result) == TR_OK);
            says(result);
            settle();
            tr_task_stream_close(stream);
            EXPECT(processes() == before);
            SAID("ok 1");
        }
    }
    expect_no_message();
}

/* streams an enumerable without leaking tasks x3; streams with fake down messages on the inbox */
SCENE(task_stream, leaves_other_messages_alone)
{
    uint64_t before = processes();
    table three = JOBS({.n = 1}, {.n = 2}, {.n = 3});
    tr_task other = ASYNC(GIVE, .n = 9);
    settle();
    tr_task_stream *stream = a_stream(&three, (tr_task_stream_opts){.max_concurrency = 1});
    TR_SEND(tr_self(), num, .n = 8);
    EXPECT(say_stream(stream) == TR_E_NOT_FOUND);
    tr_task_stream_close(stream);
    EXPECT(TR_MATCH(tr_receive(NULL, NULL, 0), num)->n == 9); /* the oldest: the other task's value */
    says(tr_task_yield(other, 0));
    EXPECT(TR_RECEIVE(num, 0)->n == 8);
    SAID("ok 1", "ok 2", "ok 3", "exit normal");
    EXPECT(processes() == before);
    expect_no_message();
}

SCENE(task_stream, its_messages_are_seen_by_no_receive)
{
    table three = JOBS({.n = 1}, {.n = 2}, {.n = 3});
    tr_task_result result;
    tr_task_stream *stream = a_stream(&three, (tr_task_stream_opts){.max_concurrency = 3});
    EXPECT(tr_task_stream_next(stream, &result) == TR_OK);
    settle();
    EXPECT(TR_RECEIVE(num, 0) == NULL && tr_receive(NULL, NULL, 0) == NULL);
    says(result);
    EXPECT(say_stream(stream) == TR_E_NOT_FOUND);
    tr_task_stream_close(stream);
    SAID("ok 1", "ok 2", "ok 3");
}

typedef struct consumer_arg {
    tr_dest sup;
    tr_term end;
    bool nolink, traps;
} consumer_arg;

/* Ends in the middle of a stream, without closing it. */
static void consumes_and_ends(const void *arg)
{
    const consumer_arg *at = arg;
    table four = JOBS({.n = 1}, {.deed = GIVE_AT_GO}, {.deed = GIVE_AT_GO}, {.n = 4});
    tr_task_result result;
    (void)tr_trap_exit(at->traps);
    tr_task_stream *stream = a_stream(
        &four, (tr_task_stream_opts){
                   .max_concurrency = 3, .timeout_ms = TR_INFINITY, .sup = at->sup, .nolink = at->nolink});
    EXPECT(tr_task_stream_next(stream, &result) == TR_OK);
    tr_exit(at->end);
}

/* The consumer dies: linked tasks go with it, others run on, as in Elixir. */
SCENE(task_stream, the_death_of_the_consumer_ends_linked_tasks)
{
    tr_dest sup = a_supervisor(0);
    uint64_t before = processes();
    const tr_term ends[] = {tr_atom("boom"), TR_ATOM(NORMAL), TR_ATOM(SHUTDOWN)};
    for (int i = 0; i < 12; i++) {
        tr_pid pid;
        consumer_arg arg = {.end = ends[i % 3], .traps = i % 2 == 0};
        arg.sup = i < 6 ? arg.sup : sup;
        EXPECT(tr_spawn(NULL, consumes_and_ends, &arg, sizeof arg, &pid) == TR_OK);
        EXPECT(processes() == before);
    }
    tr_pid pid;
    consumer_arg arg = {.end = tr_atom("boom"), .sup = sup, .nolink = true};
    EXPECT(tr_spawn(NULL, consumes_and_ends, &arg, sizeof arg, &pid) == TR_OK);
    EXPECT(processes() == before + 2);
    EXPECT(tr_dynamic_supervisor_stop(sup, TR_ATOM(NORMAL), 10000, NULL) == TR_OK);
}

/* ---- supervisors and misuse ---- */

/* async_stream: streams an enumerable with fun, with mfa, without leaking tasks */
SCENE(task_stream, tasks_are_children_of_the_supervisor)
{
    tr_dest sup = a_supervisor(0);
    const tr_pid *pids;
    size_t count;
    table three = JOBS({.deed = GIVE_AFTER, .n = 1, .ms = 10}, {.deed = GIVE_AT_GO, .n = 2}, {.n = 3});
    tr_task_result result;
    tr_task_stream *stream = a_stream(&three, (tr_task_stream_opts){.max_concurrency = 2, .sup = sup});
    EXPECT(tr_task_stream_next(stream, &result) == TR_OK);
    says(result);
    EXPECT(tr_task_supervisor_children(sup, &pids, &count) == TR_OK && count == 1);
    tell_go(pids[0]);
    EXPECT(say_stream(stream) == TR_E_NOT_FOUND);
    EXPECT(tr_task_supervisor_children(sup, &pids, &count) == TR_OK && count == 0);
    tr_task_stream_close(stream);
    SAID("ok 1", "ok 2", "ok 3");
}

/* raises an error if :max_children is reached with clean stream shutdown */
SCENE(task_stream, max_children_end_the_stream_cleanly)
{
    tr_dest sup = a_supervisor(2);
    uint64_t before = processes();
    table three = JOBS({.deed = GIVE_AT_GO}, {.deed = GIVE_AT_GO}, {.n = 3});
    tr_task_stream *stream =
        a_stream(&three, (tr_task_stream_opts){.max_concurrency = 3, .sup = sup, .nolink = true});
    EXPECT(say_stream(stream) == TR_E_LIMIT);
    EXPECT(processes() == before);
    tr_task_stream_close(stream);
    expect_no_message();
}

SCENE(task_stream, without_its_supervisor_it_ends)
{
    table one = JOBS({.n = 1});
    tr_dest sup = a_supervisor(0);
    tr_task_stream *stream = a_stream(&one, (tr_task_stream_opts){.sup = sup, .nolink = true});
    EXPECT(tr_dynamic_supervisor_stop(sup, TR_ATOM(NORMAL), 1000, NULL) == TR_OK);
    EXPECT(say_stream(stream) == TR_E_NOPROC);
    tr_task_stream_close(stream);
    expect_no_message();
}

static void opens_badly(const void *opts)
{
    table none = {.count = 0};
    (void)a_stream(&none, *(const tr_task_stream_opts *)opts);
}

/* does not allow streaming with invalid :on_timeout, with invalid :timeout, with invalid :shutdown */
SCENE(task_stream, options_that_do_not_exist_are_refused)
{
    tr_task_stream_opts opts = {.on_timeout = (tr_on_timeout)2};
    says_how_it_ends(opens_badly, &opts, sizeof opts);
    opts = (tr_task_stream_opts){.timeout_ms = -2};
    says_how_it_ends(opens_badly, &opts, sizeof opts);
    opts = (tr_task_stream_opts){.nolink = true};
    says_how_it_ends(opens_badly, &opts, sizeof opts);
    opts = (tr_task_stream_opts){.shutdown_ms = -4};
    says_how_it_ends(opens_badly, &opts, sizeof opts);
    SAID("ended {badarg,on_timeout}", "ended {badarg,timeout}", "ended {badarg,nolink}",
         "ended {badarg,shutdown}");
}

/* ---- in a server ---- */

typedef struct summer {
    int64_t sum;
} summer;

static tr_next summer_handle_call(summer *self, tr_from from, const tr_msg *msg)
{
    table three = JOBS({.n = 1}, {.deed = GIVE_AFTER, .n = 2, .ms = 100}, {.n = 3});
    tr_task_result result;
    tr_task_stream *stream = a_stream(&three, (tr_task_stream_opts){.max_concurrency = 2});
    while (tr_task_stream_next(stream, &result) == TR_OK) {
        self->sum += TR_MATCH(result.value, num)->n;
    }
    tr_task_stream_close(stream);
    return TR_MATCH(msg, go) != NULL ? TR_REPLY(from, num, .n = self->sum) : tr_unexpected(msg);
}

static tr_next summer_handle_info(summer *self, const tr_msg *msg)
{
    (void)self;
    say("info %s", msg->type->name);
    return TR_NOREPLY;
}

TR_GEN_SERVER(summer, .handle_call = summer_handle_call, .handle_info = summer_handle_info,
              .trap_exit = true);

SCENE(task_stream, works_inside_a_callback)
{
    tr_started started;
    num out = {0};
    EXPECT(tr_gen_server_start(summer_server, NULL, 0, NULL, &started) == TR_OK);
    EXPECT(TR_CALL(started.pid, 5000, num, &out, go) == TR_OK && out.n == 6);
    settle();
    SAID(); /* nothing of the stream reached handle_info, not even the keeper's EXIT */
}
