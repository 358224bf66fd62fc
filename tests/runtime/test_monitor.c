/* Monitors and aliases. */
#include "tests/runtime/stage.h"

TR_MESSAGE(num, { int64_t n; });
TR_MESSAGE(from_alias, { tr_ref alias; });

static void end_when_told(const void *arg)
{
    (void)arg;
    TR_RECEIVE(num, TR_INFINITY);
    tr_exit(tr_atom("done"));
}

static tr_pid make(void)
{
    tr_pid pid;
    EXPECT(tr_spawn(NULL, end_when_told, NULL, 0, &pid) == TR_OK);
    return pid;
}

static const tr_down_msg *next_down(void)
{
    return TR_RECEIVE(tr_down_msg, 10);
}

SCENE(monitor, each_of_several_fires_once)
{
    tr_pid pid = make();
    tr_ref refs[3];
    for (int i = 0; i < 3; i++) {
        refs[i] = tr_monitor(tr_to(pid), NULL);
    }
    TR_SEND(pid, num, 1);
    for (int i = 0; i < 3; i++) {
        const tr_down_msg *down = TR_MATCH(tr_receive_ref(refs[i], 10), tr_down_msg);
        EXPECT(down != NULL && down->pid == pid && tr_ref_equal(down->ref, refs[i]) &&
               tr_is_none(down->name));
        TERM_IS(down->reason, "done");
    }
    EXPECT(next_down() == NULL);
}

SCENE(monitor, of_the_absent_fires_noproc_at_once)
{
    tr_ref ref = tr_monitor(tr_to_name(tr_atom("nobody")), NULL);
    const tr_down_msg *down = TR_MATCH(tr_receive_ref(ref, 0), tr_down_msg);
    TERM_IS(down->reason, "noproc");
    TERM_IS(down->name, "nobody");
    EXPECT(down->pid == TR_NO_PID);
    EXPECT(!tr_demonitor(ref, false));
}

SCENE(monitor, of_oneself_never_fires)
{
    EXPECT(tr_register(tr_atom("me"), tr_self()) == TR_OK);
    tr_ref by_pid = tr_monitor(tr_to(tr_self()), NULL);
    (void)tr_monitor(tr_to_name(tr_atom("me")), NULL); /* left to the end of the process */
    EXPECT(next_down() == NULL);
    EXPECT(!tr_demonitor(by_pid, true));
}

SCENE(monitor, by_name_means_the_holder_of_that_moment_and_its_down_carries_the_name)
{
    tr_pid first = make();
    EXPECT(tr_register(tr_atom("n"), first) == TR_OK);
    tr_ref ref = tr_monitor(tr_to_name(tr_atom("n")), NULL);
    EXPECT(tr_unregister(tr_atom("n")) == TR_OK);
    tr_pid second = make();
    EXPECT(tr_register(tr_atom("n"), second) == TR_OK);
    TR_SEND(second, num, 1);
    EXPECT(next_down() == NULL);
    TR_SEND(first, num, 1);
    const tr_down_msg *down = TR_MATCH(tr_receive_ref(ref, 10), tr_down_msg);
    TERM_IS(down->name, "n");
    EXPECT(down->pid == first);
}

SCENE(monitor, a_tag_replaces_down)
{
    tr_pid pid = make();
    tr_ref ref = tr_monitor(tr_to(pid), &(tr_monitor_opts){.tag = tr_tuple(tr_atom("my"), tr_string("tag"))});
    TR_SEND(pid, num, 1);
    TERM_IS(TR_MATCH(tr_receive_ref(ref, 10), tr_down_msg)->tag, "{my,\"tag\"}");
}

SCENE(monitor, nothing_comes_after_demonitor_and_flush_takes_what_is_queued)
{
    tr_pid pid = make();
    tr_ref ref = tr_monitor(tr_to(pid), NULL);
    EXPECT(tr_demonitor(ref, false));
    EXPECT(!tr_demonitor(ref, false));
    tr_ref queued = tr_monitor(tr_to(pid), NULL);
    tr_ref kept = tr_monitor(tr_to(pid), NULL);
    TR_SEND(pid, num, 1);
    tr_sleep(1);
    EXPECT(!tr_demonitor(queued, true));
    EXPECT(!tr_demonitor(kept, false));
    EXPECT(tr_receive_ref(queued, 0) == NULL);
    EXPECT(tr_receive_ref(ref, 0) == NULL);
    EXPECT(tr_receive_ref(kept, 0) != NULL);
}

static void die_at_once(const void *arg)
{
    (void)arg;
    tr_exit(tr_atom("quick"));
}

SCENE(monitor, set_with_the_spawn_sees_even_the_shortest_life)
{
    for (int i = 0; i < 50; i++) {
        tr_ref ref;
        EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &ref}, die_at_once, NULL, 0, NULL) == TR_OK);
        tr_msg *msg = tr_receive_ref(ref, 10);
        TERM_IS(TR_MATCH(msg, tr_down_msg)->reason, "quick");
        tr_msg_drop(msg);
    }
}

SCENE(monitor, messages_sent_before_the_end_come_before_the_down)
{
    tr_pid pid = make();
    tr_ref ref = tr_monitor(tr_to(pid), NULL);
    TR_SEND(pid, num, 1);
    tr_sleep(1);
    TR_SEND(tr_self(), num, 2);
    tr_msg *first = tr_receive(NULL, NULL, 0);
    EXPECT(tr_ref_equal(tr_msg_ref(first), ref) && tr_msg_kind_of(first) == TR_MSG_DOWN);
}

/* ---- aliases ---- */

static void answer_twice(const void *arg)
{
    (void)arg;
    const from_alias *to = TR_RECEIVE(from_alias, TR_INFINITY);
    TR_SEND(to->alias, num, 1);
    TR_SEND(to->alias, num, 2);
    tr_exit(tr_atom("answered"));
}

/* What comes through an alias of this kind: the numbers received, and whether a DOWN came. */
static void alias_story(tr_alias_kind kind, bool monitors, const char *wanted, int line)
{
    char story[64] = "";
    tr_pid pid;
    EXPECT(tr_spawn(NULL, answer_twice, NULL, 0, &pid) == TR_OK);
    tr_ref alias = monitors ? tr_monitor(tr_to(pid), &(tr_monitor_opts){.alias = kind}) : tr_alias(kind);
    TR_SEND(pid, from_alias, alias);
    for (tr_msg *msg; (msg = tr_receive(NULL, NULL, 10)) != NULL; tr_msg_drop(msg)) {
        const num *answer = TR_MATCH(msg, num);
        strcat(story, answer == NULL ? "D" : answer->n == 1 ? "1" : "2");
    }
    TR_SEND(alias, num, 3);
    strcat(story, TR_RECEIVE(num, 10) != NULL ? "+" : "-");
    if (tr_unalias(alias)) {
        strcat(story, "u");
    }
    stage_expect(strcmp(story, wanted) == 0, story, line);
}

SCENE(monitor, aliases_live_as_long_as_their_kind_says)
{
    alias_story(TR_ALIAS_EXPLICIT, false, "12+u", __LINE__);
    alias_story(TR_ALIAS_REPLY, false, "1-", __LINE__);
    alias_story(TR_ALIAS_EXPLICIT, true, "12D+u", __LINE__);
    alias_story(TR_ALIAS_DEMONITOR, true, "12D-", __LINE__);
    alias_story(TR_ALIAS_REPLY_DEMONITOR, true, "1-", __LINE__);
}

SCENE(monitor, a_message_to_an_alias_is_judged_when_it_is_received)
{
    tr_ref alias = tr_alias(TR_ALIAS_EXPLICIT);
    TR_SEND(alias, num, 1);
    EXPECT(tr_unalias(alias));
    EXPECT(!tr_unalias(alias));
    EXPECT(TR_RECEIVE(num, 1) == NULL);
}

SCENE(monitor, an_alias_outlives_its_demonitored_monitor_only_when_explicit)
{
    tr_pid pid = make();
    tr_ref one = tr_monitor(tr_to(pid), &(tr_monitor_opts){.alias = TR_ALIAS_EXPLICIT});
    tr_ref two = tr_monitor(tr_to(pid), &(tr_monitor_opts){.alias = TR_ALIAS_DEMONITOR});
    EXPECT(tr_demonitor(one, true) && tr_demonitor(two, true));
    TR_SEND(one, num, 1);
    TR_SEND(two, num, 2);
    const num *got = TR_RECEIVE(num, 1);
    EXPECT(got != NULL && got->n == 1);
    EXPECT(TR_RECEIVE(num, 1) == NULL);
}

static void forward(const void *arg)
{
    const tr_pid *to = arg;
    tr_ref alias = tr_alias(TR_ALIAS_REPLY);
    TR_SEND(*to, from_alias, alias);
    tr_msg *msg = tr_receive(NULL, NULL, TR_INFINITY);
    EXPECT(tr_send_msg(tr_to(*to), msg) == TR_OK); /* a message that was received may be passed on whole */
    tr_sleep(1);
}

SCENE(monitor, a_message_received_through_an_alias_can_be_passed_on)
{
    tr_pid self = tr_self();
    EXPECT(tr_spawn(NULL, forward, &self, sizeof self, NULL) == TR_OK);
    const from_alias *where = TR_RECEIVE(from_alias, 10);
    TR_SEND(where->alias, num, 42);
    const num *back = TR_RECEIVE(num, 10);
    EXPECT(back != NULL && back->n == 42);
}

/* process_SUITE: spawn_monitor_alias, monitor_tag */
SCENE(monitor, of_a_spawn_may_have_an_alias_and_a_tag)
{
    tr_ref ref;
    tr_pid pid;
    const tr_monitor_opts opts = {.alias = TR_ALIAS_REPLY_DEMONITOR, .tag = tr_atom("gone")};
    EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &ref, .monitor_opts = &opts}, answer_twice, NULL, 0, &pid) ==
           TR_OK);
    TR_SEND(pid, from_alias, ref);
    const num *got = TR_RECEIVE(num, 10);
    EXPECT(got != NULL && got->n == 1);
    EXPECT(tr_receive(NULL, NULL, 10) == NULL); /* neither the second answer nor a DOWN */
    const tr_monitor_opts tagged = {.tag = tr_atom("gone")};
    EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &ref, .monitor_opts = &tagged}, die_at_once, NULL, 0, NULL) ==
           TR_OK);
    const tr_down_msg *down = next_down();
    TERM_IS(down->tag, "gone");
    TERM_IS(down->reason, "quick");
}

/* monitor_SUITE: monitor_3_noproc_gh6185, down_on_alias_gh5310 */
SCENE(monitor, of_the_absent_keeps_its_tag_and_its_alias_ends_with_the_down)
{
    tr_pid pid = make();
    tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
    tr_sleep(1);
    const tr_monitor_opts opts = {.alias = TR_ALIAS_DEMONITOR, .tag = tr_tuple(tr_atom("t"), tr_int(1))};
    tr_ref ref = tr_monitor(tr_to(pid), &opts);
    tr_ref named = tr_monitor(tr_to_name(tr_atom("absent")), &opts);
    TR_SEND(ref, num, 1);
    TR_SEND(named, num, 2);
    for (int i = 0; i < 2; i++) {
        const tr_down_msg *down = next_down();
        TERM_IS(down->tag, "{t,1}");
        TERM_IS(down->reason, "noproc");
    }
    EXPECT(TR_RECEIVE(num, 10) == NULL);
    EXPECT(!tr_unalias(ref) && !tr_unalias(named));
}

typedef struct couple {
    tr_pid watched;
    tr_ref *ref;
} couple;

static void watches(const void *arg)
{
    const couple *c = arg;
    *c->ref = tr_monitor(tr_to(c->watched), NULL);
    TR_RECEIVE(num, TR_INFINITY);
}

static size_t watchers_of(tr_pid pid)
{
    tr_process_info info;
    return tr_process_info_of(pid, false, 10, &info) == TR_OK ? info.monitored_by_count : SIZE_MAX;
}

/* monitor_SUITE: case_1, case_1a, case_2a, list_cleanup */
SCENE(monitor, goes_with_the_end_of_either_side)
{
    enum { MANY = 20 };
    static tr_ref refs[MANY];
    tr_pid watched = make();
    tr_pid watchers[MANY];
    for (int i = 0; i < MANY; i++) {
        couple c = {watched, &refs[i]};
        EXPECT(tr_spawn(NULL, watches, &c, sizeof c, &watchers[i]) == TR_OK);
    }
    tr_sleep(1);
    EXPECT(watchers_of(watched) == MANY);
    for (int i = 0; i < MANY / 2; i++) {
        tr_exit_signal(tr_to(watchers[i]), TR_ATOM(KILL));
    }
    tr_sleep(1);
    EXPECT(watchers_of(watched) == MANY / 2);
    TR_SEND(watched, num, 1); /* ends with those left as watchers: they get a DOWN each */
    tr_sleep(1);
    tr_process_info info;
    EXPECT(tr_process_info_of(watchers[MANY - 1], true, 10, &info) == TR_OK);
    EXPECT(info.monitor_count == 0 && info.message_count == 1);
    EXPECT(!tr_is_alive(watched) && !tr_is_alive(watchers[0]));
}

/* monitor_SUITE: mon_e_1, demon_e_1: what the types leave possible */
SCENE(monitor, strange_references_and_pids_are_harmless)
{
    tr_pid pid = make();
    tr_ref ref = tr_monitor(tr_to(pid), NULL);
    EXPECT(!tr_demonitor(TR_NO_REF, true));
    EXPECT(!tr_demonitor((tr_ref){tr_self(), UINT64_MAX}, false));
    EXPECT(!tr_unalias(TR_NO_REF) && !tr_unalias(ref));
    tr_ref nobody = tr_monitor(tr_to(TR_NO_PID), NULL);
    const tr_down_msg *down = next_down();
    EXPECT(down != NULL && tr_ref_equal(down->ref, nobody));
    TERM_IS(down->reason, "noproc");
    EXPECT(watchers_of(pid) == 1);
}

static void ends_with_much(const void *arg)
{
    const int *n = arg;
    tr_term *items = tr_scratch_alloc((size_t)*n * sizeof(tr_term));
    for (int i = 0; i < *n; i++) {
        items[i] = tr_tuple(tr_int(i), tr_string("a part of a large reason"));
    }
    tr_exit(tr_list_n((size_t)*n, items));
}

/* monitor_SUITE: large_exit */
SCENE(monitor, a_large_reason_reaches_every_watcher)
{
    enum { LARGE = 20000, WATCHERS = 5 };
    int n = LARGE;
    tr_pid pid;
    EXPECT(tr_spawn(NULL, ends_with_much, &n, sizeof n, &pid) == TR_OK);
    for (int i = 0; i < WATCHERS; i++) {
        (void)tr_monitor(tr_to(pid), NULL);
    }
    for (int i = 0; i < WATCHERS; i++) {
        const tr_down_msg *down = next_down();
        if (EXPECT(down != NULL && tr_term_count(down->reason) == LARGE)) {
            TERM_IS(tr_term_items(down->reason)[LARGE - 1], "{19999,\"a part of a large reason\"}");
        }
    }
}

/* signal_SUITE: monitor_named_order_local, monitor_order */
static void sends_and_ends(const void *arg)
{
    const tr_pid *to = arg;
    TR_RECEIVE(num, TR_INFINITY);
    for (int i = 0; i < 100; i++) {
        TR_SEND(*to, num, i);
    }
}

SCENE(monitor, the_down_comes_after_all_messages_also_when_set_by_name)
{
    tr_pid self = tr_self();
    tr_pid pid;
    EXPECT(tr_spawn(NULL, sends_and_ends, &self, sizeof self, &pid) == TR_OK);
    EXPECT(tr_register(tr_atom("sender"), pid) == TR_OK);
    (void)tr_monitor(tr_to_name(tr_atom("sender")), NULL);
    TR_SEND(tr_atom("sender"), num, 0);
    tr_sleep(1);
    for (int i = 0; i < 100; i++) {
        const num *got = TR_MATCH(tr_receive(NULL, NULL, 0), num);
        EXPECT(got != NULL && got->n == i);
    }
    const tr_down_msg *down = TR_MATCH(tr_receive(NULL, NULL, 0), tr_down_msg);
    EXPECT(down != NULL && down->pid == pid);
    TERM_IS(down->name, "sender");
}
