/* proc_lib: the start protocol for plain processes, and what it says of their ends. The protocol of gen_server is in
 * test_gen_server_start.c; scenarios process/proc_lib_* hold the acknowledgement against a BEAM. */
#include "tests/runtime/puppet.h"

typedef enum fate { ACKS, FAILS, IGNORES, CRASHES, ENDS_BEFORE, HANGS } fate;

/* What the started process does: then it waits for a message, and ends with `done`. */
static void started_main(const void *arg)
{
    switch (*(const fate *)arg) {
    case ACKS:
        tr_init_ack(tr_atom("ready"));
        tr_init_ack(tr_atom("again")); /* only the first counts */
        break;
    case FAILS:
        tr_init_fail(tr_atom("told"), tr_atom("own"));
    case IGNORES:
        tr_init_ignore();
    case CRASHES:
        tr_error(tr_atom("crashed"));
    case ENDS_BEFORE:
        return;
    case HANGS:
        break;
    }
    TR_RECEIVE(act, TR_INFINITY);
    tr_exit(tr_atom("done"));
}

typedef tr_err start_fn(tr_main_fn fn, const void *arg, size_t arg_bytes, const tr_start_opts *opts,
                        tr_started *got, tr_term *info);

static tr_err starts(start_fn *start, fate what, const tr_start_opts *opts, tr_term *info)
{
    return start(started_main, &what, sizeof what, opts, &started, info);
}

/* Says the next message: an exit or a DOWN. */
static void says_signal(void)
{
    char text[64];
    tr_msg *msg = tr_receive(NULL, NULL, 100);
    const tr_exit_msg *exit_msg = TR_MATCH(msg, tr_exit_msg);
    const tr_down_msg *down_msg = TR_MATCH(msg, tr_down_msg);
    if (exit_msg == NULL && down_msg == NULL) {
        say("nothing");
        return;
    }
    tr_term_print(exit_msg != NULL ? exit_msg->reason : down_msg->reason, text, sizeof text);
    say("%s %s", exit_msg != NULL ? "EXIT" : "DOWN", text);
    tr_msg_drop(msg);
}

/* proc_lib_SUITE: sync_start_link */
SCENE(proc_lib, start_link_waits_and_tells_how_it_went)
{
    tr_term info = TR_TERM_NONE_VALUE;
    tr_trap_exit(true);
    EXPECT(starts(tr_proc_lib_start_link, ACKS, NULL, &info) == TR_OK);
    TERM_IS(info, "ready");
    TR_SEND(started.pid, act, .n = 1);
    says_signal();
    EXPECT(starts(tr_proc_lib_start_link, FAILS, NULL, NULL) == TR_E_EXIT);
    TERM_IS(started.reason, "told");
    says_signal();
    EXPECT(starts(tr_proc_lib_start_link, IGNORES, NULL, NULL) == TR_E_IGNORE);
    says_signal();
    EXPECT(starts(tr_proc_lib_start_link, CRASHES, NULL, NULL) == TR_E_EXIT);
    TERM_IS(started.reason, "crashed");
    says_signal();
    EXPECT(starts(tr_proc_lib_start_link, ENDS_BEFORE, NULL, NULL) == TR_E_EXIT);
    TERM_IS(started.reason, "normal");
    says_signal();
    says_signal();
    SAID("EXIT done", "EXIT own", "EXIT normal", "EXIT crashed", "EXIT normal", "nothing");
    REPORTED("process.crashed done", "process.crashed own", "process.crashed crashed");
}

/* proc_lib_SUITE: sync_start_monitor */
SCENE(proc_lib, start_monitor_leaves_the_monitor_whatever_happens)
{
    EXPECT(starts(tr_proc_lib_start_monitor, ACKS, NULL, NULL) == TR_OK);
    TR_SEND(started.pid, act, .n = 1);
    says_signal();
    EXPECT(starts(tr_proc_lib_start_monitor, FAILS, NULL, NULL) == TR_E_EXIT);
    says_signal();
    EXPECT(starts(tr_proc_lib_start_monitor, CRASHES, NULL, NULL) == TR_E_EXIT);
    says_signal();
    EXPECT(starts(tr_proc_lib_start_monitor, HANGS, &(tr_start_opts){.timeout_ms = 100}, NULL) ==
           TR_E_TIMEOUT);
    TERM_IS(started.reason, "timeout");
    says_signal();
    says_signal();
    SAID("DOWN done", "DOWN own", "DOWN crashed", "DOWN killed", "nothing");
}

/* proc_lib_SUITE: sync_start_monitor_link */
SCENE(proc_lib, start_monitor_may_link_too)
{
    const tr_start_opts linked = {.spawn = {.link = true}};
    tr_trap_exit(true);
    EXPECT(starts(tr_proc_lib_start_monitor, ACKS, &linked, NULL) == TR_OK);
    tr_ref watched = started.monitor;
    TR_SEND(started.pid, act, .n = 1);
    says_signal(); /* links are told first */
    says_end(watched);
    says_signal();
    SAID("EXIT done", "end done", "nothing");
}

/* proc_lib_SUITE: sync_start_link_timeout */
SCENE(proc_lib, a_start_link_that_takes_too_long_is_killed_and_unlinked)
{
    tr_trap_exit(true);
    EXPECT(starts(tr_proc_lib_start_link, HANGS, &(tr_start_opts){.timeout_ms = 100}, NULL) == TR_E_TIMEOUT);
    TERM_IS(started.reason, "timeout");
    says_signal();
    SAID("nothing");
    REPORTED();
}

/* proc_lib_SUITE: sync_start_monitor_link_timeout */
SCENE(proc_lib, a_start_monitor_with_link_that_takes_too_long_brings_the_down_only)
{
    const tr_start_opts opts = {.timeout_ms = 100, .spawn = {.link = true}};
    tr_trap_exit(true);
    EXPECT(starts(tr_proc_lib_start_monitor, HANGS, &opts, NULL) == TR_E_TIMEOUT);
    says_signal();
    says_signal();
    SAID("DOWN killed", "nothing");
}

/* proc_lib_SUITE: crash; which ends are reported, and that tr_spawn's are not */
SCENE(proc_lib, abnormal_ends_are_reported_and_others_are_not)
{
    const tr_term quiet[] = {TR_ATOM(NORMAL), TR_ATOM(SHUTDOWN), tr_tuple(TR_ATOM(SHUTDOWN), tr_int(1))};
    for (size_t i = 0; i < sizeof quiet / sizeof quiet[0]; i++) {
        TR_SEND(a_server(bare_server), act, .n = 1); /* has no handle_info */
        EXPECT(tr_proc_lib_stop(tr_to(started.pid), quiet[i], 1000, NULL) == TR_OK);
        REPORTED("message.ignored last act");
    }
    EXPECT(starts(tr_proc_lib_start, ACKS, NULL, NULL) == TR_OK);
    tr_exit_signal(tr_to(started.pid), tr_atom("signalled")); /* not its own doing */
    tr_sleep(1);
    REPORTED();
    EXPECT(starts(tr_proc_lib_start, ACKS, NULL, NULL) == TR_OK);
    TR_SEND(started.pid, act, .n = 1);
    tr_sleep(1);
    REPORTED("process.crashed done");
    tr_pid pid;
    fate f = ACKS;
    EXPECT(tr_spawn(NULL, started_main, &f, sizeof f, &pid) == TR_OK);
    TR_SEND(pid, act, .n = 1);
    tr_sleep(1);
    REPORTED();
}

/* proc_lib_SUITE: stop */
SCENE(proc_lib, stop_is_ok_only_for_the_reason_asked_for)
{
    tr_term actual = TR_TERM_NONE_VALUE;
    tr_pid s = a_server(puppet_server);
    EXPECT(tr_proc_lib_stop(tr_to(s), tr_atom("reason"), 1000, &actual) == TR_OK);
    EXPECT(tr_proc_lib_stop(tr_to(s), TR_ATOM(NORMAL), 1000, &actual) == TR_E_NOPROC);
    EXPECT(tr_proc_lib_stop(tr_to_name(tr_atom("nobody")), TR_ATOM(NORMAL), 1000, &actual) == TR_E_NOPROC);
    EXPECT(start_as(puppet_server, (role){.at_end = {.verb = CRASH, .term = tr_atom("other")}}, NULL) ==
           TR_OK);
    EXPECT(tr_proc_lib_stop(tr_to(started.pid), TR_ATOM(NORMAL), 1000, &actual) == TR_E_EXIT);
    TERM_IS(actual, "other");
    EXPECT(start_as(puppet_server, (role){.at_end = {.verb = SLEEP, .ms = 500}}, NULL) == TR_OK);
    EXPECT(tr_proc_lib_stop(tr_to(started.pid), TR_ATOM(NORMAL), 100, &actual) == TR_E_TIMEOUT);
    tr_sleep(1000);
}

SCENE(proc_lib, a_failed_start_gives_its_name_back_before_it_tells)
{
    const tr_start_opts named = {.name = tr_atom("worker")};
    EXPECT(starts(tr_proc_lib_start, FAILS, &named, NULL) == TR_E_EXIT);
    EXPECT(tr_whereis(tr_to_name(tr_atom("worker"))) == TR_NO_PID);
    EXPECT(starts(tr_proc_lib_start, ACKS, &named, NULL) == TR_OK);
    tr_pid first = started.pid;
    EXPECT(starts(tr_proc_lib_start, ACKS, &named, NULL) == TR_E_ALREADY_STARTED);
    EXPECT(tr_whereis(tr_to_name(tr_atom("worker"))) == first);
}
