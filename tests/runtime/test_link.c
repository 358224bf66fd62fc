/* Links: one edge, unlink as a barrier, what an end does to those linked. */
#include "tests/runtime/stage.h"

#include "runtime/core/core.h"

TR_MESSAGE_EMPTY(go);

static void wait_then_exit(const void *arg)
{
    (void)arg;
    TR_RECEIVE(go, TR_INFINITY);
    tr_exit(tr_atom("gone"));
}

static tr_pid make(tr_main_fn fn, bool link)
{
    tr_pid pid;
    EXPECT(tr_spawn(&(tr_spawn_opts){.link = link}, fn, NULL, 0, &pid) == TR_OK);
    return pid;
}

static const char *exit_seen(void)
{
    tr_msg *msg = tr_receive(NULL, NULL, 10);
    const tr_exit_msg *down = TR_MATCH(msg, tr_exit_msg);
    return msg == NULL ? "nothing" : down == NULL ? "something else" : tr_term_text(down->reason);
}

SCENE(link, the_end_of_one_reaches_the_other_as_a_message_when_it_traps)
{
    tr_trap_exit(true);
    tr_pid pid = make(wait_then_exit, true);
    TR_SEND(pid, go);
    tr_msg *msg = tr_receive(NULL, NULL, 10);
    EXPECT(tr_msg_kind_of(msg) == TR_MSG_EXIT && TR_MATCH(msg, tr_exit_msg)->from == pid);
    TERM_IS(TR_MATCH(msg, tr_exit_msg)->reason, "gone");
    EXPECT(strcmp(exit_seen(), "nothing") == 0);
}

SCENE(link, linking_twice_is_one_link_and_one_unlink_ends_it)
{
    tr_trap_exit(true);
    tr_pid pid = make(wait_then_exit, true);
    EXPECT(tr_link(tr_to(pid)) == TR_OK && tr_link(tr_to(pid)) == TR_OK);
    tr_unlink(tr_to(pid));
    TR_SEND(pid, go);
    EXPECT(strcmp(exit_seen(), "nothing") == 0);
}

/* A yield that does not look at the mailbox. */
static void yield_blindly(void)
{
    tr__core_self()->stack->catch_top = NULL;
    tr__core_self()->leave = TR__LEAVE_YIELD_STACK;
    tr__stack_leave(&tr__core_self()->home, tr__core_self()->stack);
}

SCENE(link, an_exit_signal_under_way_is_dropped_by_unlink)
{
    tr_trap_exit(true);
    tr_pid pid = make(wait_then_exit, true);
    TR_SEND(pid, go);
    tr_yield(); /* it has ended; its signal has been received here: yield fetches */
    EXPECT(strcmp(exit_seen(), "gone") == 0);
    pid = make(wait_then_exit, true);
    TR_SEND(pid, go);
    while (tr__proc_is_alive(pid)) {
        yield_blindly();
    }
    EXPECT(tr__inbox_has_mail(tr__proc_self()));
    tr_unlink(tr_to(pid));
    EXPECT(strcmp(exit_seen(), "nothing") == 0);
}

static void link_then_wait(const void *arg)
{
    EXPECT(tr_link(tr_to(*(const tr_pid *)arg)) == TR_OK);
    wait_then_exit(NULL);
}

/* Found by tests/model/link.pml: a LINK that crossed the unlink made an entry that nothing took away. */
SCENE(link, to_the_dead_does_not_forget_an_unlink_under_way)
{
    tr_trap_exit(true);
    tr_pid self = tr_self();
    tr_pid pid;
    EXPECT(tr_spawn(NULL, link_then_wait, &self, sizeof self, &pid) == TR_OK);
    while (!tr__inbox_has_mail(tr__proc_self())) {
        yield_blindly(); /* its link waits here, unseen */
    }
    EXPECT(tr_link(tr_to(pid)) == TR_OK);
    tr_unlink(tr_to(pid));
    TR_SEND(pid, go);
    while (tr__proc_is_alive(pid)) {
        yield_blindly();
    }
    EXPECT(tr_link(tr_to(pid)) == TR_OK);
    EXPECT(strcmp(exit_seen(), "noproc") == 0 && strcmp(exit_seen(), "nothing") == 0);
    tr_process_info info;
    EXPECT(tr_process_info_of(self, false, 0, &info) == TR_OK);
    EXPECT(info.link_count == 0);
}

SCENE(link, an_exit_message_already_queued_stays_after_unlink)
{
    tr_trap_exit(true);
    tr_pid pid = make(wait_then_exit, true);
    TR_SEND(pid, go);
    tr_sleep(1);
    tr_unlink(tr_to(pid));
    EXPECT(strcmp(exit_seen(), "gone") == 0);
}

SCENE(link, to_oneself_changes_nothing)
{
    EXPECT(tr_register(tr_atom("me"), tr_self()) == TR_OK);
    EXPECT(tr_link(tr_to(tr_self())) == TR_OK);
    EXPECT(tr_link(tr_to_name(tr_atom("me"))) == TR_OK);
    tr_process_info info;
    EXPECT(tr_process_info_of(tr_self(), false, 0, &info) == TR_OK);
    EXPECT(info.link_count == 0);
    tr_unlink(tr_to_name(tr_atom("me")));
}

static void die_at_once(const void *arg)
{
    (void)arg;
}

SCENE(link, to_the_dead_is_an_error_or_a_noproc_message_when_trapping)
{
    tr_pid pid = make(die_at_once, false);
    tr_sleep(1);
    EXPECT(tr_link(tr_to(pid)) == TR_E_NOPROC);
    EXPECT(tr_link(tr_to_name(tr_atom("nobody"))) == TR_E_NOPROC);
    tr_trap_exit(true);
    EXPECT(tr_link(tr_to(pid)) == TR_OK);
    EXPECT(strcmp(exit_seen(), "noproc") == 0);
}

SCENE(link, to_one_that_is_doomed_brings_noproc)
{
    tr_trap_exit(true);
    tr_pid pid = make(wait_then_exit, false);
    tr_sleep(1);
    tr_exit_signal(tr_to(pid), TR_ATOM(KILL)); /* it will act on this first */
    EXPECT(tr_link(tr_to(pid)) == TR_OK);
    EXPECT(strcmp(exit_seen(), "noproc") == 0);
    EXPECT(strcmp(exit_seen(), "nothing") == 0);
}

static void exit_normal_when_told(const void *arg)
{
    (void)arg;
    TR_RECEIVE(go, TR_INFINITY);
}
static void exit_kill_when_told(const void *arg)
{
    (void)arg;
    TR_RECEIVE(go, TR_INFINITY);
    tr_exit(TR_ATOM(KILL));
}
static void link_to_and_wait(const void *arg)
{
    EXPECT(tr_link(tr_to(*(const tr_pid *)arg)) == TR_OK);
    tr_sleep(TR_INFINITY);
}

/* How does one that is linked to fn and does not trap end, when fn ends (or is signalled)? */
static void linked_end(tr_main_fn fn, tr_term signal, const char *wanted, int line)
{
    tr_ref monitor;
    tr_pid linked;
    tr_pid pid = make(fn, false);
    EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &monitor}, link_to_and_wait, &pid, sizeof pid, &linked) ==
           TR_OK);
    tr_sleep(1);
    if (tr_is_none(signal)) {
        TR_SEND(pid, go);
    } else {
        tr_exit_signal(tr_to(pid), signal);
    }
    const tr_down_msg *down = TR_MATCH(tr_receive_ref(monitor, 10), tr_down_msg);
    stage_term(down == NULL ? tr_atom("alive") : down->reason, wanted, line);
}

SCENE(link, the_reason_travels_unchanged_and_kill_is_nothing_special)
{
    linked_end(exit_normal_when_told, TR_TERM_NONE_VALUE, "alive", __LINE__);
    linked_end(wait_then_exit, TR_TERM_NONE_VALUE, "gone", __LINE__);
    linked_end(exit_kill_when_told, TR_TERM_NONE_VALUE, "kill", __LINE__);
    linked_end(wait_then_exit, TR_ATOM(KILL), "killed", __LINE__);
}

SCENE(link, a_kill_by_link_can_be_trapped)
{
    tr_trap_exit(true);
    TR_SEND(make(exit_kill_when_told, true), go);
    EXPECT(strcmp(exit_seen(), "kill") == 0);
}

static void chain(const void *arg)
{
    int left = *(const int *)arg - 1;
    if (left > 0) {
        EXPECT(tr_spawn(&(tr_spawn_opts){.link = true}, chain, &left, sizeof left, NULL) == TR_OK);
        tr_sleep(TR_INFINITY);
    }
    tr_sleep(5);
    tr_exit(tr_atom("fell"));
}

SCENE(link, a_chain_falls_from_its_end)
{
    int length = 200;
    tr_ref monitor;
    EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &monitor}, chain, &length, sizeof length, NULL) == TR_OK);
    TERM_IS(TR_MATCH(tr_receive_ref(monitor, 100), tr_down_msg)->reason, "fell");
}

static size_t links_of(tr_pid pid)
{
    tr_process_info info;
    return tr_process_info_of(pid, false, 100, &info) == TR_OK ? info.link_count : SIZE_MAX;
}

static void idle(const void *arg)
{
    (void)arg;
    tr_sleep(TR_INFINITY);
}

SCENE(link, made_again_before_the_unlink_was_confirmed_it_stands_on_both_sides)
{
    tr_trap_exit(true);
    tr_pid pid = make(wait_then_exit, true);
    tr_unlink(tr_to(pid));
    EXPECT(links_of(tr_self()) == 0);
    EXPECT(tr_link(tr_to(pid)) == TR_OK);
    EXPECT(links_of(tr_self()) == 1);
    EXPECT(links_of(pid) == 1);
    tr_sleep(1);
    EXPECT(links_of(tr_self()) == 1);
    tr_unlink(tr_to(pid));
    EXPECT(links_of(pid) == 0);
    EXPECT(tr_link(tr_to(pid)) == TR_OK);
    TR_SEND(pid, go);
    EXPECT(strcmp(exit_seen(), "gone") == 0);
}

TR_MESSAGE(act, {
    bool link;
    tr_pid whom;
});
static void actor(const void *arg)
{
    (void)arg;
    tr_trap_exit(true);
    for (;;) {
        tr_msg *msg = tr_receive(NULL, NULL, TR_INFINITY);
        const act *order = TR_MATCH(msg, act);
        if (order != NULL && order->link) {
            EXPECT(tr_link(tr_to(order->whom)) == TR_OK);
        } else if (order != NULL) {
            tr_unlink(tr_to(order->whom));
        }
        tr_msg_drop(msg);
    }
}

SCENE(link, unlinks_and_links_that_cross_leave_both_sides_in_agreement)
{
    /* All sequences of three steps of two processes, started in pairs so that their signals cross. */
    for (unsigned code = 0; code < 64; code++) {
        tr_pid a = make(actor, false);
        tr_pid b = make(actor, false);
        TR_SEND(a, act, true, b);
        tr_sleep(1);
        for (unsigned step = 0; step < 3; step++) {
            TR_SEND(a, act, (code >> step & 1u) != 0, b);
            TR_SEND(b, act, (code >> (step + 3) & 1u) != 0, a);
            if ((code + step) % 3 == 0) {
                tr_yield();
            }
        }
        tr_sleep(1);
        EXPECT(links_of(a) == links_of(b));
        tr_exit_signal(tr_to(a), TR_ATOM(KILL));
        tr_exit_signal(tr_to(b), TR_ATOM(KILL));
    }
}

SCENE(link, many_links_are_all_told)
{
    tr_trap_exit(true);
    enum { COUNT = 300 };
    tr_pid pids[COUNT];
    for (int i = 0; i < COUNT; i++) {
        pids[i] = make(idle, true);
    }
    EXPECT(links_of(tr_self()) == COUNT);
    for (int i = 0; i < COUNT; i += 3) {
        tr_unlink(tr_to(pids[i]));
    }
    for (int i = 0; i < COUNT; i++) {
        tr_exit_signal(tr_to(pids[i]), tr_atom("stop"));
    }
    int heard = 0;
    while (strcmp(exit_seen(), "stop") == 0) {
        heard++;
    }
    EXPECT(heard == COUNT - COUNT / 3);
    EXPECT(links_of(tr_self()) == 0);
}

SCENE(link, trapping_is_judged_when_the_signal_is_received)
{
    tr_pid pid = make(idle, true);
    tr_exit_signal(tr_to(pid), tr_atom("late"));
    EXPECT(!tr_trap_exit(true)); /* sent before, received after */
    EXPECT(strcmp(exit_seen(), "late") == 0);
    EXPECT(tr_trap_exit(false));
}
