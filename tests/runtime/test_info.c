/* Looking at processes. */
#include "tests/runtime/stage.h"

TR_MESSAGE(num, { int64_t n; });

static void wait_for_ever(const void *arg)
{
    (void)arg;
    tr_sleep(TR_INFINITY);
}

static tr_pid make(const tr_spawn_opts *opts)
{
    tr_pid pid;
    EXPECT(tr_spawn(opts, wait_for_ever, NULL, 0, &pid) == TR_OK);
    return pid;
}

SCENE(info, counts_what_the_asker_sent_before)
{
    tr_pid pid = make(NULL);
    tr_process_info info;
    for (int i = 0; i < 3; i++) {
        TR_SEND(pid, num, i);
    }
    EXPECT(tr_send_term(tr_to(pid), tr_tuple(tr_atom("x"), tr_int(1))) == TR_OK);
    EXPECT(tr_process_info_of(pid, true, 10, &info) == TR_OK);
    EXPECT(info.message_count == 4);
    TERM_IS(info.messages[0], "{num}");
    TERM_IS(info.messages[3], "{x,1}");
    EXPECT(info.summary.status == TR_STATUS_WAITING);
    EXPECT(strcmp(info.summary.behaviour, "process") == 0 && info.summary.parent == tr_self());
}

SCENE(info, tells_links_monitors_and_watchers)
{
    tr_pid pid = make(&(tr_spawn_opts){.link = true, .label = "the one", .trap_exit = true});
    EXPECT(tr_register(tr_atom("n"), pid) == TR_OK);
    (void)tr_monitor(tr_to(pid), NULL);
    (void)tr_monitor(tr_to_name(tr_atom("n")), NULL);
    (void)tr_monitor(tr_to(tr_self()), NULL);
    tr_process_info info;
    EXPECT(tr_process_info_of(pid, false, 10, &info) == TR_OK);
    EXPECT(info.link_count == 1 && info.links[0] == tr_self());
    EXPECT(info.monitored_by_count == 2 && info.monitored_by[0] == tr_self());
    EXPECT(info.trap_exit && info.messages == NULL);
    TERM_IS(info.summary.name, "n");
    EXPECT(strcmp(info.summary.label, "the one") == 0);
    EXPECT(tr_process_info_of(tr_self(), false, 10, &info) == TR_OK);
    EXPECT(info.link_count == 1 && info.monitor_count == 2);
    EXPECT(info.monitors[0] == pid && tr_is_none(info.monitor_names[0]));
    TERM_IS(info.monitor_names[1], "n");
    EXPECT(info.summary.status == TR_STATUS_RUNNING);
    EXPECT(tr_unregister(tr_atom("n")) == TR_OK);
    tr_unlink(tr_to(pid));
}

SCENE(info, of_the_dead_is_noproc)
{
    tr_pid pid = make(NULL);
    tr_process_info info;
    tr_process_summary summary;
    tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
    EXPECT(!tr_is_alive(pid)); /* counts the signal it sent itself */
    EXPECT(tr_process_info_of(pid, false, 10, &info) == TR_E_NOPROC);
    EXPECT(tr_process_summary_of(pid, &summary) == TR_E_NOPROC);
    EXPECT(!tr_is_alive(TR_NO_PID));
    EXPECT(tr_is_alive(tr_self()));
}

static void never_looks(const void *arg)
{
    (void)arg;
    while (tr_whereis(tr_to_name(tr_atom("enough"))) == TR_NO_PID) {
        tr_yield();
    }
}

SCENE(info, many_links_and_a_huge_mailbox_do_not_harm_the_one_who_is_asked)
{
    tr_pid pid = make(NULL);
    static char text[4000];
    memset(text, 'x', sizeof text - 1);
    tr_scratch_mark mark = tr_scratch();
    for (int i = 0; i < 6000; i++) { /* 24 MB: more than one term may be */
        EXPECT(tr_send_term(tr_to(pid), tr_string(text)) == TR_OK);
        tr_scratch_release(mark);
    }
    tr_process_info info;
    EXPECT(tr_process_info_of(pid, true, 10, &info) == TR_OK);
    EXPECT(info.summary.mailbox == 6000);
    EXPECT(info.message_count > 100 && info.message_count < 6000);
    EXPECT(tr_is_alive(pid));
}

SCENE(info, a_process_that_was_never_run_can_be_asked)
{
    tr_pid pid;
    EXPECT(tr_spawn(NULL, never_looks, NULL, 0, &pid) == TR_OK);
    EXPECT(tr_is_alive(pid));
    EXPECT(tr_register(tr_atom("enough"), tr_self()) == TR_OK);
    tr_sleep(1);
    EXPECT(tr_unregister(tr_atom("enough")) == TR_OK);
}

static bool count_them(const tr_process_summary *summary, void *ctx)
{
    (void)summary;
    return ++*(int *)ctx < 5;
}

SCENE(info, listing_stops_when_told)
{
    int seen = 0;
    for (int i = 0; i < 10; i++) {
        (void)make(NULL);
    }
    tr_process_each(count_them, &seen);
    EXPECT(seen == 5);
}

SCENE(info, a_long_label_is_cut)
{
    char label[200];
    memset(label, 'l', sizeof label - 1);
    label[sizeof label - 1] = '\0';
    tr_set_label(label);
    tr_process_summary summary;
    EXPECT(tr_process_summary_of(tr_self(), &summary) == TR_OK);
    EXPECT(strlen(summary.label) == 63);
    tr_set_label("short");
    EXPECT(tr_process_summary_of(tr_self(), &summary) == TR_OK);
    EXPECT(strcmp(summary.label, "short") == 0);
}

static void answer_nothing(const void *arg)
{
    (void)arg;
    TR_RECEIVE(num, TR_INFINITY);
}

static tr_pid grandchild;

static void make_a_child(const void *arg)
{
    EXPECT(tr_spawn(NULL, wait_for_ever, NULL, 0, &grandchild) == TR_OK);
    answer_nothing(arg);
}

/* process_SUITE: process_info_2_list */
SCENE(info, tells_ancestors_as_far_as_they_live)
{
    tr_pid child;
    tr_process_info info;
    EXPECT(tr_spawn(NULL, make_a_child, NULL, 0, &child) == TR_OK);
    tr_sleep(1);
    EXPECT(tr_process_info_of(grandchild, false, 10, &info) == TR_OK);
    EXPECT(info.ancestor_count == 2 && info.ancestors[0] == child && info.ancestors[1] == tr_self());
    TERM_IS(info.initial_call, "undefined");
    TR_SEND(child, num, 1);
    tr_sleep(1);
    EXPECT(tr_process_info_of(grandchild, false, 10, &info) == TR_OK);
    EXPECT(info.ancestor_count == 1 && info.ancestors[0] == child);
}

typedef struct clerk {
    int unused;
} clerk;

static tr_next clerk_init(clerk *self, const void *arg)
{
    (void)self;
    (void)arg;
    tr_put(tr_atom("colour"), tr_tuple(tr_atom("rgb"), tr_int(1)));
    tr_put(tr_atom("gone"), tr_int(2));
    TERM_IS(tr_erase(tr_atom("gone")), "2");
    EXPECT(tr_is_none(tr_erase(tr_atom("gone"))));
    return TR_INIT_OK;
}
TR_GEN_SERVER(clerk, .init = clerk_init);

/* process_SUITE: process_info_dict_lookup; elixir process_test: dictionary */
SCENE(info, tells_dictionary_and_initial_call_of_a_server)
{
    tr_started started;
    tr_process_info info;
    EXPECT(tr_gen_server_start(clerk_server, NULL, 0, NULL, &started) == TR_OK);
    EXPECT(tr_process_info_of(started.pid, false, 10, &info) == TR_OK);
    TERM_IS(info.initial_call, "{clerk,init}");
    TERM_IS(info.dictionary, "#{colour=>{rgb,1}}");
    EXPECT(tr_process_info_of(tr_self(), false, 10, &info) == TR_OK);
    TERM_IS(info.dictionary, "#{}");
}

/* A dictionary larger than what is told is cut, not refused. */
SCENE(info, a_huge_dictionary_is_cut)
{
    static char text[1 << 16];
    tr_process_info info;
    memset(text, 'x', sizeof text);
    for (int i = 0; i < 40; i++) {
        tr_put(tr_int(i), tr_string_n(text, sizeof text));
    }
    EXPECT(tr_process_info_of(tr_self(), false, 10, &info) == TR_OK);
    EXPECT(tr_term_count(info.dictionary) > 10 && tr_term_count(info.dictionary) < 16);
}

static void rests(const void *arg)
{
    tr_trap_exit(true);
    wait_for_ever(arg);
}

/* process_SUITE: process_info_other_status, process_info_status_handled_signal */
SCENE(info, a_process_that_only_handled_signals_is_still_waiting)
{
    tr_process_info info;
    tr_process_summary summary;
    tr_pid pid;
    EXPECT(tr_spawn(NULL, rests, NULL, 0, &pid) == TR_OK);
    EXPECT(tr_process_summary_of(pid, &summary) == TR_OK && summary.status == TR_STATUS_RUNNABLE);
    tr_sleep(1);
    for (int i = 0; i < 3; i++) {
        tr_exit_signal(tr_to(pid), tr_atom("trapped"));
        (void)tr_demonitor(tr_monitor(tr_to(pid), NULL), true);
        EXPECT(tr_process_info_of(pid, false, 10, &info) == TR_OK);
        EXPECT(info.summary.status == TR_STATUS_WAITING && info.message_count == (size_t)i + 1);
    }
    EXPECT(tr_process_summary_of(tr_self(), &summary) == TR_OK && summary.status == TR_STATUS_RUNNING);
}

/* process_SUITE: process_info_self_signal, process_info_self_msgq_len_messages, process_info_self_msgq_len_more */
SCENE(info, of_oneself_counts_what_one_sent_oneself_before)
{
    tr_process_info info;
    for (int i = 0; i < 5; i++) {
        TR_SEND(tr_self(), num, i);
        EXPECT(tr_process_info_of(tr_self(), true, 0, &info) == TR_OK);
        EXPECT(info.message_count == (size_t)i + 1 && info.summary.mailbox == (uint32_t)i + 1);
        TERM_IS(info.messages[i], "{num}");
    }
    tr_trap_exit(true);
    tr_exit_signal(tr_to(tr_self()), tr_atom("signal"));
    EXPECT(tr_process_info_of(tr_self(), false, 0, &info) == TR_OK);
    EXPECT(info.trap_exit && info.message_count == 6);
}

static bool asks_about(const tr_process_summary *summary, void *ctx)
{
    tr_pid *pids = ctx;
    pids[++pids[0]] = summary->pid;
    return pids[0] < 30;
}

/* process_SUITE: process_info_smoke_all */
SCENE(info, everyone_can_be_asked_everything)
{
    static tr_pid pids[32];
    tr_started started;
    pids[0] = 0;
    EXPECT(tr_gen_server_start(clerk_server, NULL, 0, NULL, &started) == TR_OK);
    EXPECT(tr_alarm_handler_start_link(&started) == TR_OK);
    (void)make(&(tr_spawn_opts){.link = true});
    (void)make(NULL);
    tr_process_each(asks_about, pids);
    EXPECT(pids[0] == 5);
    for (tr_pid i = 1; i <= pids[0]; i++) {
        tr_process_info info;
        EXPECT(tr_process_info_of(pids[i], true, 100, &info) == TR_OK);
        EXPECT(info.summary.pid == pids[i] && !tr_is_none(info.initial_call) &&
               info.summary.memory_bytes > 0);
    }
}

static int infants;

static void infant(const void *arg)
{
    (void)arg;
    infants += TR_RECEIVE(num, 1000) != NULL ? 1 : 0;
}

static bool greets(const tr_process_summary *summary, void *ctx)
{
    (void)ctx;
    TR_SEND(summary->pid, num, 1);
    return true;
}

/* process_SUITE: processes_send_infant */
SCENE(info, a_newborn_that_is_listed_can_be_sent_to)
{
    infants = 0;
    for (int i = 0; i < 50; i++) {
        EXPECT(tr_spawn(NULL, infant, NULL, 0, NULL) == TR_OK);
    }
    tr_process_each(greets, NULL); /* none of them has run yet */
    tr_sleep(10);
    EXPECT(infants == 50);
}
