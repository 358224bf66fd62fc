/* Consumer supervisors: the cases of GenStage's consumer_supervisor_test, by their names. */
#include <troupe/consumer_supervisor.h>

#include "tests/runtime/actors.h"

/* What a child is started with: how it begins, and an event. */
typedef struct task {
    int64_t ends_after_ms; /* of the spec: 0 lives on */
    number event;
} task;

static int failing; /* so many starts fail from now on */
static int ignoring;

typedef struct worker {
    task task;
} worker;

TR_MESSAGE_TERMS(
    end_with, { tr_term reason; }, offsetof(end_with, reason));

static tr_next worker_init(worker *self, const void *arg)
{
    self->task = *(const task *)arg;
    say("+%" PRId64, self->task.event.n);
    if (failing > 0) {
        failing--;
        return TR_STOP(tr_atom("cannot"));
    }
    if (ignoring > 0) {
        ignoring--;
        return TR_IGNORE_START;
    }
    return TR_INIT_OK;
}

static tr_next worker_handle_info(worker *self, const tr_msg *msg)
{
    const end_with *end = TR_MATCH(msg, end_with);
    (void)self;
    return end != NULL ? TR_STOP(end->reason) : TR_NOREPLY;
}

static void worker_terminate(worker *self, tr_term reason)
{
    say("-%" PRId64 " %s", self->task.event.n, tr_term_text(reason));
}

static void stubborn_terminate(worker *self, tr_term reason)
{
    worker_terminate(self, reason);
    tr_sleep(100);
    if (self->task.event.n % 2 == 1) {
        tr_exit(tr_atom("late"));
    }
}

typedef worker stubborn;
TR_GEN_SERVER(worker, .init = worker_init, .handle_info = worker_handle_info, .terminate = worker_terminate,
              .trap_exit = true);
TR_GEN_SERVER(stubborn, .init = worker_init, .handle_info = worker_handle_info,
              .terminate = stubborn_terminate, .trap_exit = true);

static void brief(const void *arg)
{
    say("ran %" PRId64, ((const task *)arg)->event.n);
}

/* ---- the module: its options are what a scene set ---- */

static tr_consumer_supervisor_opts options;
static tr_err refused;

static tr_err crew_init(const void *arg, tr_consumer_supervisor_opts *opts)
{
    (void)arg;
    *opts = options;
    return refused;
}
static const tr_consumer_supervisor crew = {.name = "crew", .init = crew_init};

static tr_dest sup;

static tr_err start_crew(const tr_gen_server *server, tr_restart restart, int64_t shutdown,
                         tr_subscription to)
{
    static const int64_t spec_arg = 0;
    static tr_subscription from;
    from = to;
    options.child = (tr_child_spec){.server = server,
                                    .restart = restart,
                                    .shutdown_ms = shutdown,
                                    .arg = &spec_arg,
                                    .arg_bytes = sizeof spec_arg};
    options.subscribe_to = to.to.pid == TR_NO_PID ? NULL : &from;
    options.subscribe_count = to.to.pid != TR_NO_PID;
    tr_err err = tr_consumer_supervisor_start_link(&crew, NULL, 0, NULL, &started);
    sup = tr_to(started.pid);
    return err;
}

static void a_crew(tr_restart restart)
{
    tr_trap_exit(true);
    EXPECT(start_crew(worker_server, restart, TR_SHUTDOWN_DEFAULT, (tr_subscription){0}) == TR_OK);
}

static tr_pid child(int64_t n)
{
    tr_sup_result result = tr_consumer_supervisor_start_child(sup, &(number){n}, sizeof(number));
    EXPECT(result.err == TR_OK && result.pid != TR_NO_PID);
    return result.pid;
}

static bool count_is(size_t specs, size_t active)
{
    tr_child_counts counts = {0};
    EXPECT(tr_consumer_supervisor_count_children(sup, &counts) == TR_OK);
    return counts.specs == specs && counts.active == active && counts.workers == specs;
}

/* The child that is there. */
static tr_pid the_child(void)
{
    const tr_pid *pids = NULL;
    size_t count = 0;
    EXPECT(tr_consumer_supervisor_which_children(sup, &pids, &count) == TR_OK && count == 1);
    return count == 1 ? pids[0] : TR_NO_PID;
}

static void ends(tr_pid pid, tr_term reason)
{
    TR_SEND(pid, end_with, .reason = reason);
    settle();
}

static void stop_crew(void)
{
    EXPECT(tr_gen_server_stop(sup, TR_ATOM(SHUTDOWN), TR_INFINITY, NULL) == TR_OK);
}

/* ---- start_link/3 ---- */

/* start_link/3 with non-ok init, with bad child_spec, with new syntax */
SCENE(consumer_supervisor, what_init_says_decides)
{
    tr_trap_exit(true);
    refused = TR_E_IGNORE;
    EXPECT(start_crew(worker_server, TR_TEMPORARY, 0, (tr_subscription){0}) == TR_E_IGNORE);
    refused = TR_E_LIMIT;
    EXPECT(start_crew(worker_server, TR_TEMPORARY, 0, (tr_subscription){0}) == TR_E_EXIT);
    TERM_IS(started.reason, "'TR_E_LIMIT'");
    refused = TR_OK;
    EXPECT(start_crew(worker_server, TR_PERMANENT, 0, (tr_subscription){0}) == TR_E_EXIT);
    TERM_IS(started.reason, "{bad_opts,restart}");
    EXPECT(start_crew(NULL, TR_TEMPORARY, 0, (tr_subscription){0}) == TR_E_EXIT);
    TERM_IS(started.reason, "{bad_opts,child}");
    EXPECT(start_crew(worker_server, TR_TEMPORARY, -8, (tr_subscription){0}) == TR_E_EXIT);
    TERM_IS(started.reason, "{bad_opts,shutdown}");
    options.intensity = -5;
    EXPECT(start_crew(worker_server, TR_TEMPORARY, 0, (tr_subscription){0}) == TR_E_EXIT);
    TERM_IS(started.reason, "{bad_opts,intensity}");
    options.intensity = 0;
    EXPECT(start_crew(worker_server, TR_TEMPORARY, 0, SUB(tr_self(), .max_demand = -1)) == TR_E_EXIT);
    TERM_IS(started.reason, "{bad_opts,max_demand}");
    stage.reported.used = 0;
    EXPECT(start_crew(worker_server, TR_TRANSIENT, 0, (tr_subscription){0}) == TR_OK);
    EXPECT(count_is(0, 0));
}

/* ---- start_child/2 ---- */

/* start_child/2 */
SCENE(consumer_supervisor, children_may_be_started_by_hand)
{
    a_crew(TR_TEMPORARY);
    tr_pid first = child(1);
    (void)child(2);
    SAID("+1", "+2");
    EXPECT(count_is(2, 2) && tr_is_alive(first));
    ignoring = 1;
    EXPECT(tr_consumer_supervisor_start_child(sup, &(number){3}, sizeof(number)).err == TR_E_IGNORE);
    failing = 1;
    tr_sup_result result = tr_consumer_supervisor_start_child(sup, &(number){4}, sizeof(number));
    EXPECT(result.err == TR_E_EXIT);
    TERM_IS(result.reason, "cannot");
    EXPECT(count_is(2, 2));
    stage.reported.used = 0;
    forget_lines();
}

/* temporary child is not restarted regardless of reason */
SCENE(consumer_supervisor, temporary_children_are_not_restarted)
{
    a_crew(TR_TEMPORARY);
    ends(child(1), TR_ATOM(SHUTDOWN));
    ends(child(2), tr_atom("bug"));
    SAID("+1", "-1 shutdown", "+2", "-2 bug");
    EXPECT(count_is(0, 0));
    stage.reported.used = 0;
}

/* child is restarted with different values: with its own argument */
SCENE(consumer_supervisor, transient_children_are_restarted_when_they_fail)
{
    a_crew(TR_TRANSIENT);
    tr_pid pid = child(1);
    ends(pid, tr_atom("bug"));
    SAID("+1", "-1 bug", "+1");
    EXPECT(count_is(1, 1) && the_child() != pid);
    ends(the_child(), TR_ATOM(NORMAL));
    EXPECT(count_is(0, 0));
    SAID("-1 normal");
    pid = child(2);
    ignoring = 1;
    ends(pid, tr_atom("bug"));
    EXPECT(count_is(0, 0));
    SAID("+2", "-2 bug", "+2");
    stage.reported.used = 0;
}

/* child is restarted when trying again */
SCENE(consumer_supervisor, a_restart_is_tried_again)
{
    a_crew(TR_TRANSIENT);
    tr_pid pid = child(1);
    failing = 2;
    ends(pid, tr_atom("bug"));
    SAID("+1", "-1 bug", "+1", "+1", "+1");
    EXPECT(count_is(1, 1) && the_child() != pid && tr_is_alive(the_child()));
    stage.reported.used = 0;
}

/* child triggers maximum restarts */
SCENE(consumer_supervisor, too_many_restarts_end_it)
{
    options.intensity = 1;
    a_crew(TR_TRANSIENT);
    tr_ref end = tr_monitor(sup, NULL);
    (void)child(1);
    ends(the_child(), tr_atom("bug"));
    EXPECT(count_is(1, 1));
    ends(the_child(), tr_atom("bug"));
    TERM_IS(TR_MATCH(tr_receive_ref(end, 5000), tr_down_msg)->reason, "shutdown");
    options.intensity = 0;
    forget_lines();
    stage.reported.used = 0;
}

/* child triggers maximum intensity when trying again */
SCENE(consumer_supervisor, too_many_tries_end_it)
{
    options.intensity = 3;
    a_crew(TR_TRANSIENT);
    tr_ref end = tr_monitor(sup, NULL);
    tr_pid pid = child(1);
    failing = 10;
    ends(pid, tr_atom("bug"));
    TERM_IS(TR_MATCH(tr_receive_ref(end, 5000), tr_down_msg)->reason, "shutdown");
    SAID("+1", "-1 bug", "+1", "+1", "+1");
    failing = options.intensity = 0;
    stage.reported.used = 0;
}

/* Restarts long enough apart do not count together. */
SCENE(consumer_supervisor, restarts_are_forgotten_after_the_period)
{
    options.intensity = 1;
    a_crew(TR_TRANSIENT);
    (void)child(1);
    for (int i = 0; i < 4; i++) {
        ends(the_child(), tr_atom("bug"));
        tr_sleep(7000);
    }
    EXPECT(count_is(1, 1));
    options.intensity = 0;
    forget_lines();
    stage.reported.used = 0;
}

/* ---- terminating ---- */

static void two_children_end(const tr_gen_server *server, int64_t shutdown)
{
    tr_trap_exit(true);
    EXPECT(start_crew(server, TR_TEMPORARY, shutdown, (tr_subscription){0}) == TR_OK);
    tr_pid first = child(1), second = child(2);
    forget_lines();
    stop_crew();
    EXPECT(!tr_is_alive(first) && !tr_is_alive(second));
}

/* terminates children with brutal kill */
SCENE(consumer_supervisor, children_are_killed)
{
    two_children_end(worker_server, TR_SHUTDOWN_BRUTAL_KILL);
    SAID();
    REPORTED();
}

/* terminates children with infinity shutdown, with integer shutdown */
SCENE(consumer_supervisor, children_are_asked_to_stop)
{
    two_children_end(worker_server, TR_INFINITY);
    SAID("-1 shutdown", "-2 shutdown");
    two_children_end(worker_server, 500);
    SAID("-1 shutdown", "-2 shutdown");
    REPORTED();
}

/* terminates children with integer shutdown and abnormal reason */
SCENE(consumer_supervisor, a_bad_end_of_a_child_is_reported)
{
    two_children_end(stubborn_server, 500);
    SAID("-1 shutdown", "-2 shutdown");
    EXPECT(strstr(stage.reported.text, "supervisor.shutdown_failed late") != NULL);
    stage.reported.used = 0;
}

/* terminates children with expired integer shutdown */
SCENE(consumer_supervisor, children_that_take_too_long_are_killed)
{
    int64_t begin = tr_now_ms();
    two_children_end(stubborn_server, 50);
    EXPECT(tr_now_ms() - begin < 60);
    SAID("-1 shutdown", "-2 shutdown");
    REPORTED("supervisor.shutdown_failed killed", "supervisor.shutdown_failed killed");
}

/* terminates child with brutal kill; terminates restarting child */
SCENE(consumer_supervisor, one_child_is_terminated_for_good)
{
    a_crew(TR_TRANSIENT);
    tr_pid pid = child(1);
    EXPECT(tr_consumer_supervisor_terminate_child(sup, pid).err == TR_OK);
    SAID("+1", "-1 shutdown");
    EXPECT(tr_consumer_supervisor_terminate_child(sup, pid).err == TR_E_NOT_FOUND);
    options.intensity = 1000000;
    stop_crew();
    a_crew(TR_TRANSIENT);
    pid = child(2);
    failing = 1000;
    TR_SEND(pid, end_with, .reason = tr_atom("bug"));
    tr_yield();
    while (count_is(1, 1)) { /* until it could not be started */
        tr_yield();
    }
    EXPECT(count_is(1, 0));
    EXPECT(tr_consumer_supervisor_terminate_child(sup, pid).err == TR_OK);
    EXPECT(count_is(0, 0));
    failing = options.intensity = 0;
    stage.reported.used = 0;
    forget_lines();
}

/* ---- sync_subscribe ---- */

/* [sync_subscribe] returns ok with reference; returns errors on bad options */
SCENE(consumer_supervisor, it_subscribes_as_any_stage)
{
    tr_pid p = PLAYS(producer, "p", .count = 2);
    a_crew(TR_TEMPORARY);
    subscribed(sup.pid, SUB(p));
    settle();
    SAID("+0", "+1");
    EXPECT(tr_stage_subscribe(sup, &SUB(p, .max_demand = -1), 5000, NULL) == TR_E_BADARG);
    EXPECT(count_is(2, 2));
}

/* [sync_subscribe] supervisor exits when producer is dead and subscription is permanent */
SCENE(consumer_supervisor, it_ends_with_a_permanent_producer)
{
    tr_pid p = PLAYS(producer, "p", .count = 1);
    a_crew(TR_TEMPORARY);
    tr_ref end = tr_monitor(sup, NULL);
    subscribed(sup.pid, SUB(p));
    settle();
    tr_exit_signal(tr_to(p), TR_ATOM(KILL));
    TERM_IS(TR_MATCH(tr_receive_ref(end, 5000), tr_down_msg)->reason, "killed");
    SAID("+0", "-0 shutdown");
    stage.reported.used = 0;
}

/* [sync_subscribe] supervisor does not exit when there is no named producer, when producer is dead, and subscription is
 * temporary; its children live on */
SCENE(consumer_supervisor, it_outlives_a_temporary_producer)
{
    tr_pid p = PLAYS(producer, "p", .count = 1);
    a_crew(TR_TEMPORARY);
    subscribed(sup.pid, SUB(p, .cancel = TR_CANCEL_TEMPORARY));
    settle();
    tr_exit_signal(tr_to(p), TR_ATOM(KILL));
    settle();
    subscribed(sup.pid, SUB(p, .cancel = TR_CANCEL_TEMPORARY));
    tr_subscription nobody = {.to = tr_to_name(tr_atom("nobody")), .cancel = TR_CANCEL_TEMPORARY};
    subscribed(sup.pid, nobody);
    settle();
    EXPECT(count_is(1, 1));
    ends(the_child(), TR_ATOM(NORMAL));
    EXPECT(count_is(0, 0));
    forget_lines();
    stage.reported.used = 0;
}

/* ---- supervisor consuming start args ---- */

static void consuming(tr_restart restart, tr_pid p, int64_t max, int64_t min)
{
    tr_trap_exit(true);
    EXPECT(start_crew(worker_server, restart, TR_SHUTDOWN_DEFAULT,
                      SUB(p, .max_demand = max, .min_demand = min)) == TR_OK);
    settle();
}

/* [supervisor consuming start args] start child limited by max_demand; (start child with stream: a stage as any) */
SCENE(consumer_supervisor, so_many_live_at_once)
{
    tr_pid p = PLAYS(producer, "p", .count = 100, .says_demand = true);
    consuming(TR_TEMPORARY, p, 2, 1);
    SAID("p demand 2", "+0", "+1");
    EXPECT(count_is(2, 2));
    const tr_pid *pids;
    size_t count;
    EXPECT(tr_consumer_supervisor_which_children(sup, &pids, &count) == TR_OK && count == 2);
    tr_pid one = pids[0];
    ends(one, TR_ATOM(NORMAL));
    EXPECT(count_is(2, 2));
    EXPECT(strstr(stage.said.text, "p demand 1\n+2\n") != NULL);
    forget_lines();
}

/* [supervisor consuming start args] restarting children counted in max_demand */
SCENE(consumer_supervisor, restarted_children_keep_their_place)
{
    tr_pid p = PLAYS(producer, "p", .count = 100, .says_demand = true);
    consuming(TR_TRANSIENT, p, 1, TR_DEMAND_NONE);
    SAID("p demand 1", "+0");
    failing = 1;
    ends(the_child(), tr_atom("bug"));
    SAID("-0 bug", "+0", "+0");
    EXPECT(count_is(1, 1));
    ends(the_child(), TR_ATOM(NORMAL));
    SAID("-0 normal", "p demand 1", "+1");
    stage.reported.used = 0;
}

static void end_one(void)
{
    const tr_pid *pids;
    size_t count;
    EXPECT(tr_consumer_supervisor_which_children(sup, &pids, &count) == TR_OK && count > 0);
    ends(pids[0], TR_ATOM(NORMAL));
}

/* Asks when so many are left. */
static void asks_at(int64_t max, int64_t min)
{
    tr_pid p = PLAYS(producer, "p", .count = max, .says_demand = true);
    consuming(TR_TEMPORARY, p, max, min);
    for (int64_t left = max - 1; left >= (min > 0 ? min : 0); left--) {
        forget_lines();
        EXPECT(strstr(stage.said.text, "demand") == NULL);
        end_one();
        EXPECT((strstr(stage.said.text, "p demand") != NULL) == (left == (min > 0 ? min : 0)));
    }
    char text[32];
    snprintf(text, sizeof text, "p demand %" PRId64 "\n", max - (min > 0 ? min : 0));
    EXPECT(strstr(stage.said.text, text) != NULL);
    forget_lines();
}

/* [supervisor consuming start args] ask for more events when count reaches min_demand (high), (low) */
SCENE(consumer_supervisor, asks_for_more_when_enough_have_ended)
{
    asks_at(4, 3);
    asks_at(4, 1);
    asks_at(4, TR_DEMAND_NONE);
}

/* What could not be started, or ignored its event, makes room at once. */
SCENE(consumer_supervisor, failed_starts_make_room)
{
    tr_pid p = PLAYS(producer, "p", .count = 4, .says_demand = true);
    failing = 1;
    ignoring = 1;
    consuming(TR_TEMPORARY, p, 2, 1);
    SAID("p demand 2", "+0", "+1", "p demand 2", "+2", "+3");
    EXPECT(count_is(2, 2));
    stage.reported.used = 0;
}

/* Plain processes as children; more of them than the table had room for at first. */
SCENE(consumer_supervisor, children_may_be_plain_processes)
{
    tr_pid p = PLAYS(producer, "p", .count = 300);
    static tr_subscription from;
    static const int64_t spec_arg = 0;
    from = SUB(p, .max_demand = 100);
    options = (tr_consumer_supervisor_opts){
        .child = {.main = brief, .restart = TR_TRANSIENT, .arg = &spec_arg, .arg_bytes = sizeof spec_arg},
        .subscribe_to = &from,
        .subscribe_count = 1};
    EXPECT(tr_consumer_supervisor_start_link(&crew, NULL, 0, NULL, &started) == TR_OK);
    sup = tr_to(started.pid);
    tr_sleep(10);
    for (int n = 0; n < 300; n += 13) {
        char text[32];
        snprintf(text, sizeof text, "ran %d\n", n);
        EXPECT(strstr(stage.said.text, text) != NULL);
    }
    EXPECT(count_is(0, 0));
    options = (tr_consumer_supervisor_opts){0};
    forget_lines();
}

SCENE(consumer_supervisor, many_children_live_side_by_side)
{
    tr_pid p = PLAYS(producer, "p", .count = 300);
    tr_child_spec spec;
    static tr_subscription from;
    static const int64_t spec_arg = 0;
    from = SUB(p, .max_demand = 1000);
    tr_trap_exit(true);
    options = (tr_consumer_supervisor_opts){.child = {.server = worker_server,
                                                      .restart = TR_TRANSIENT,
                                                      .arg = &spec_arg,
                                                      .arg_bytes = sizeof spec_arg},
                                            .subscribe_to = &from,
                                            .subscribe_count = 1};
    tr_consumer_supervisor_child_spec(&crew, &spec_arg, sizeof spec_arg, tr_atom("crew"), &spec);
    tr_supervisor top = {.name = "top", .children = &spec, .child_count = 1};
    EXPECT(tr_supervisor_start_link(&top, NULL, 0, NULL, &started) == TR_OK);
    sup = tr_to_name(tr_atom("crew"));
    tr_sleep(10);
    EXPECT(count_is(300, 300));
    tr_term state;
    EXPECT(tr_sys_get_state(sup, 5000, &state) == TR_OK);
    TERM_IS(state, "{crew,300,0}");
    EXPECT(tr_gen_server_stop(tr_to(started.pid), TR_ATOM(SHUTDOWN), TR_INFINITY, NULL) == TR_OK);
    options = (tr_consumer_supervisor_opts){0};
    forget_lines();
}
