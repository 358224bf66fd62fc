/* Alarms: sasl's alarm_handler_SUITE, and what this one has in place of an event manager. */
#include "tests/runtime/stage.h"

static tr_pid handler;

static void handler_starts(void)
{
    tr_started started;
    EXPECT(tr_alarm_handler_start_link(&started) == TR_OK);
    handler = started.pid;
}

static void sets(const char *id, const char *description)
{
    EXPECT(tr_alarm_set(tr_atom(id), tr_string(description)) == TR_OK);
}

static void clears(const char *id)
{
    EXPECT(tr_alarm_clear(tr_atom(id)) == TR_OK);
}

/* Says alarms as "list id=description id=description". */
static void says_list(const tr_alarm *list, size_t count)
{
    char line[256] = "list";
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(line);
        snprintf(line + used, sizeof line - used, " %s=%s", tr_term_text(list[i].id),
                 tr_term_text(list[i].description));
    }
    say("%s", line);
}

static void says_alarms(void)
{
    const tr_alarm *list;
    size_t count;
    if (EXPECT(tr_alarm_get(&list, &count) == TR_OK)) {
        says_list(list, count);
    }
}

static void says_changes(void)
{
    tr_sleep(1);
    for (tr_msg *msg; (msg = tr_receive(NULL, NULL, 0)) != NULL; tr_msg_drop(msg)) {
        const tr_alarm_was_set *set = TR_MATCH(msg, tr_alarm_was_set);
        const tr_alarm_was_cleared *cleared = TR_MATCH(msg, tr_alarm_was_cleared);
        if (set != NULL) {
            say("set %s %s", tr_term_text(set->id), tr_term_text(set->description));
        } else if (EXPECT(cleared != NULL)) {
            say("cleared %s", tr_term_text(cleared->id));
        }
    }
}

/* alarm_handler_SUITE: set_alarm */
SCENE(alarm_handler, lists_newest_first_and_clears_the_newest_of_an_id)
{
    handler_starts();
    says_alarms();
    sets("a", "1");
    sets("b", "2");
    sets("a", "3");
    says_alarms();
    clears("a");
    clears("unknown");
    says_alarms();
    clears("a");
    clears("b");
    says_alarms();
    SAID("list", "list a=\"3\" b=\"2\" a=\"1\"", "list b=\"2\" a=\"1\"", "list");
}

typedef struct logbook {
    int entries;
} logbook;

static void logbook_init(void *self, const tr_alarm *list, size_t count)
{
    ((logbook *)self)->entries = 100;
    says_list(list, count);
}

static void logbook_set(void *self, const tr_alarm *alarm)
{
    say("handler set %s %d", tr_term_text(alarm->id), ++((logbook *)self)->entries);
    if (tr_same(alarm->id, tr_atom("crash"))) {
        tr_error(tr_atom("boom"));
    }
}

static void logbook_clear(void *self, tr_term id)
{
    say("handler clear %s %d", tr_term_text(id), ++((logbook *)self)->entries);
}

static void logbook_terminate(void *self)
{
    say("handler gone %d", ((logbook *)self)->entries);
}

static const tr_alarm_module logbook_module = {.name = "logbook",
                                               .state_bytes = sizeof(logbook),
                                               .init = logbook_init,
                                               .set = logbook_set,
                                               .clear = logbook_clear,
                                               .terminate = logbook_terminate};
static const tr_alarm_module silent_module = {.name = "silent"};

/* alarm_handler_SUITE: swap */
SCENE(alarm_handler, a_new_handler_takes_over_the_list)
{
    handler_starts();
    sets("a", "1");
    sets("b", "2");
    EXPECT(tr_alarm_swap_handler(&logbook_module) == TR_OK);
    sets("c", "3");
    clears("a");
    clears("unknown");
    EXPECT(tr_alarm_swap_handler(&silent_module) == TR_OK);
    sets("d", "4");
    EXPECT(tr_alarm_swap_handler(NULL) == TR_OK);
    says_alarms();
    SAID("list b=\"2\" a=\"1\"", "handler set c 101", "handler clear a 102", "handler clear unknown 103",
         "handler gone 103", "list d=\"4\" c=\"3\" b=\"2\"");
}

SCENE(alarm_handler, a_handler_that_crashes_is_taken_away_and_the_list_stays)
{
    handler_starts();
    EXPECT(tr_alarm_swap_handler(&logbook_module) == TR_OK);
    sets("crash", "1");
    sets("b", "2");
    says_alarms();
    SAID("list", "handler set crash 101", "list b=\"2\" crash=\"1\"");
    REPORTED("gen_server.terminated boom last logbook");
    EXPECT(tr_is_alive(handler));
}

SCENE(alarm_handler, a_handler_hears_of_the_end)
{
    handler_starts();
    EXPECT(tr_alarm_swap_handler(&logbook_module) == TR_OK);
    EXPECT(tr_gen_server_stop(tr_to(handler), TR_ATOM(NORMAL), 1000, NULL) == TR_OK);
    SAID("list", "handler gone 100");
}

SCENE(alarm_handler, subscribers_get_each_change_from_the_list_on)
{
    const tr_alarm *list;
    size_t count;
    handler_starts();
    sets("a", "1");
    EXPECT(tr_alarm_subscribe(&list, &count) == TR_OK);
    says_list(list, count);
    EXPECT(tr_alarm_subscribe(&list, &count) == TR_OK); /* twice is once */
    sets("b", "2");
    clears("a");
    clears("a"); /* not set: nobody is told */
    says_changes();
    EXPECT(tr_alarm_unsubscribe() == TR_OK);
    sets("c", "3");
    says_changes();
    SAID("list a=\"1\"", "set b \"2\"", "cleared a");
}

static void subscribes_and_ends(const void *arg)
{
    const tr_alarm *list;
    size_t count;
    (void)arg;
    EXPECT(tr_alarm_subscribe(&list, &count) == TR_OK);
}

SCENE(alarm_handler, a_subscriber_that_ended_is_forgotten)
{
    tr_process_info info;
    handler_starts();
    for (int i = 0; i < 10; i++) {
        EXPECT(tr_spawn(NULL, subscribes_and_ends, NULL, 0, NULL) == TR_OK);
    }
    tr_sleep(1);
    EXPECT(tr_process_info_of(handler, false, 100, &info) == TR_OK && info.monitor_count == 0);
    sets("a", "1");
    says_alarms();
    SAID("list a=\"1\"");
}

SCENE(alarm_handler, without_one_setting_is_harmless_and_asking_fails)
{
    const tr_alarm *list;
    size_t count;
    sets("a", "1");
    EXPECT(tr_alarm_get(&list, &count) == TR_E_NOPROC);
    EXPECT(tr_alarm_subscribe(&list, &count) == TR_E_NOPROC);
}

/* Alarms are of the moment: one that still holds is set again by who sees it. */
SCENE(alarm_handler, is_a_child_that_comes_back_without_alarms)
{
    static tr_child_spec child = {.server = &tr_alarm_handler};
    static tr_supervisor top = {.name = "top", .children = &child, .child_count = 1};
    tr_started started;
    child.id = child.start.name = tr_atom("alarm_handler");
    EXPECT(tr_supervisor_start_link(&top, NULL, 0, NULL, &started) == TR_OK);
    sets("a", "1");
    says_alarms();
    tr_exit_signal(tr_to_name(tr_atom("alarm_handler")), TR_ATOM(KILL));
    tr_sleep(1);
    says_alarms();
    SAID("list a=\"1\"", "list");
}
