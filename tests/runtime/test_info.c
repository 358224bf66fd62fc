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
