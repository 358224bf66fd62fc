/* Event managers: gen_event_SUITE. A noter says all that it sees under the name it was added with. */
#include "tests/runtime/stage.h"

typedef enum wish { STAY, LEAVE, GIVE_WAY, CRASH, RETURN_GARBAGE, RETURN_NOTHING } wish;

TR_MESSAGE_TERMS(
    event,
    {
        wish wish;
        int n;
        tr_term name; /* only this one does it, unless none */
    },
    offsetof(event, name));
TR_MESSAGE(answer, { int n; });

typedef struct noter {
    char name[16];
    int seen;
} noter;

static tr_term noter_terminate(noter *self, tr_term args)
{
    say("%s terminate %s", self->name, tr_term_text(args));
    return tr_same(args, tr_atom("crash")) ? (tr_exit(tr_atom("bad_end")), args)
                                           : tr_tuple(tr_atom(self->name), tr_int(self->seen));
}

static tr_err noter_init(noter *self, tr_term args, tr_term *reason)
{
    bool takes_over = tr_term_kind_of(args) == TR_TERM_TUPLE;
    tr_term name = takes_over ? tr_term_items(args)[0] : args;
    snprintf(self->name, sizeof self->name, "%s", tr_atom_text(name));
    say("%s init %s", self->name, tr_term_text(args));
    if (tr_same(name, tr_atom("refuses"))) {
        *reason = tr_atom("no");
        return TR_E_EXIT;
    }
    if (tr_same(name, tr_atom("crashes"))) {
        tr_exit(tr_atom("boom"));
    }
    return TR_OK;
}

static tr_event_id successor(void);

static tr_event_next wishes(noter *self, const event *e)
{
    if (!tr_is_none(e->name) && !tr_same(e->name, tr_atom(self->name))) {
        return TR_EVENT_OK;
    }
    switch (e->wish) {
    case STAY:
        break;
    case LEAVE:
        return TR_EVENT_REMOVE;
    case GIVE_WAY:
        return TR_EVENT_SWAP(tr_atom("gives_way"), successor(), tr_atom("next"));
    case CRASH:
        tr_exit(tr_atom("bang"));
    case RETURN_GARBAGE:
        return (tr_event_next){.kind = TR_EVENT_NEXT_BAD, .args = tr_atom("garbage")};
    case RETURN_NOTHING:
        return (tr_event_next){.kind = (tr_event_next_kind)0};
    }
    return TR_EVENT_OK;
}

static tr_event_next heard(noter *self, const char *kind, const tr_msg *msg)
{
    const event *e = TR_MATCH(msg, event);
    if (e == NULL) {
        say("%s %s %s", self->name, kind, msg->type->name);
        return TR_EVENT_OK;
    }
    self->seen++;
    say("%s %s %d", self->name, kind, e->n);
    return wishes(self, e);
}

static tr_event_next noter_handle_event(noter *self, const tr_msg *msg)
{
    return heard(self, "event", msg);
}

static tr_event_next noter_handle_info(noter *self, const tr_msg *msg)
{
    return heard(self, "info", msg);
}

static tr_event_next noter_handle_call(noter *self, tr_from from, const tr_msg *msg)
{
    tr_event_next next = heard(self, "call", msg);
    TR_ANSWER(from, answer, .n = self->seen);
    return next;
}

static tr_term noter_format_state(const noter *self)
{
    return tr_int(self->seen);
}

TR_EVENT_HANDLER(noter, .init = noter_init, .handle_event = noter_handle_event,
                 .handle_call = noter_handle_call, .handle_info = noter_handle_info,
                 .terminate = noter_terminate, .format_state = noter_format_state);

typedef noter heir; /* another module */
TR_EVENT_HANDLER(heir, .init = noter_init, .handle_event = noter_handle_event, .terminate = noter_terminate);

typedef struct bare {
    int unused;
} bare;
TR_EVENT_HANDLER(bare);

static tr_event_id successor(void)
{
    return TR_EVENT(heir);
}

static tr_dest events;

static void manager_starts(void)
{
    tr_started started;
    EXPECT(tr_gen_event_start_link(NULL, &started) == TR_OK);
    events = tr_to(started.pid);
}

/* A noter whose id and name are this. */
static tr_event_id noter_of(const char *name)
{
    return TR_EVENT_WITH(noter, tr_atom(name));
}

static void adds(const char *name)
{
    EXPECT(tr_gen_event_add_handler(events, noter_of(name), tr_atom(name), NULL) == TR_OK);
}

static void says_handlers(void)
{
    char line[128] = "handlers";
    const tr_event_id *list;
    size_t count = 0;
    EXPECT(tr_gen_event_which_handlers(events, &list, &count) == TR_OK);
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(line);
        snprintf(line + used, sizeof line - used, " %s%s%s", list[i].handler->name,
                 tr_is_none(list[i].id) ? "" : ":", tr_is_none(list[i].id) ? "" : tr_term_text(list[i].id));
    }
    say("%s", line);
}

static void syncs(wish w, int n, const char *name)
{
    tr_term only = name == NULL ? TR_TERM_NONE_VALUE : tr_atom(name);
    EXPECT(tr_gen_event_sync_notify(events, TR_MSG(event, .wish = w, .n = n, .name = only)) == TR_OK);
}

/* gen_event_SUITE: start, add_handler */
SCENE(gen_event, handlers_see_each_event_newest_first)
{
    manager_starts();
    syncs(STAY, 0, NULL); /* nobody there */
    adds("a");
    adds("b");
    TR_NOTIFY(events, event, .n = 1);
    syncs(STAY, 2, NULL);
    says_handlers();
    tr_term reason = TR_TERM_NONE_VALUE;
    EXPECT(tr_gen_event_add_handler(events, noter_of("x"), tr_atom("refuses"), &reason) == TR_E_EXIT);
    TERM_IS(reason, "no");
    EXPECT(tr_gen_event_add_handler(events, noter_of("x"), tr_atom("crashes"), &reason) == TR_E_EXIT);
    TERM_IS(reason, "{'EXIT',boom}");
    says_handlers();
    SAID("a init a", "b init b", "b event 1", "a event 1", "b event 2", "a event 2",
         "handlers noter:b noter:a", "refuses init refuses", "crashes init crashes",
         "handlers noter:b noter:a");
}

/* gen_event_SUITE: start, start_opt: by name, stopped in good order */
SCENE(gen_event, a_stop_ends_every_handler)
{
    tr_started started;
    EXPECT(tr_gen_event_start(&(tr_start_opts){.name = tr_atom("events")}, &started) == TR_OK);
    EXPECT(tr_gen_event_start(&(tr_start_opts){.name = tr_atom("events")}, &started) == TR_E_ALREADY_STARTED);
    events = tr_to_name(tr_atom("events"));
    adds("a");
    adds("b");
    TR_NOTIFY(events, event, .n = 1);
    EXPECT(tr_gen_event_stop(events, TR_ATOM(NORMAL), 1000, NULL) == TR_OK);
    EXPECT(tr_gen_event_sync_notify(events, TR_MSG(event, .n = 2)) == TR_E_NOPROC);
    TR_NOTIFY(events, event, .n = 3);
    SAID("a init a", "b init b", "b event 1", "a event 1", "b terminate stop", "a terminate stop");
}

/* gen_event_SUITE: delete_handler */
SCENE(gen_event, deleting_gives_what_terminate_returned)
{
    tr_term result = TR_TERM_NONE_VALUE;
    manager_starts();
    adds("a");
    adds("b");
    syncs(STAY, 1, NULL);
    EXPECT(tr_gen_event_delete_handler(events, noter_of("a"), tr_atom("args"), &result) == TR_OK);
    TERM_IS(result, "{a,1}");
    EXPECT(tr_gen_event_delete_handler(events, noter_of("a"), tr_atom("args"), &result) == TR_E_NOT_FOUND);
    TERM_IS(result, "module_not_found");
    EXPECT(tr_gen_event_delete_handler(events, noter_of("b"), tr_atom("crash"), &result) == TR_OK);
    TERM_IS(result, "{'EXIT',bad_end}");
    says_handlers();
    SAID("a init a", "b init b", "b event 1", "a event 1", "a terminate args", "b terminate crash",
         "handlers");
    REPORTED("gen_server.terminated {'EXIT',bad_end} state noter");
}

/* gen_event_SUITE: sync_notify, call: what handlers may want */
SCENE(gen_event, handlers_leave_give_way_or_fall_and_the_others_stay)
{
    manager_starts();
    adds("a");
    adds("b");
    adds("c");
    adds("d");
    adds("e");
    stage.said = (stage_log){.used = 0};
    syncs(LEAVE, 1, "e");
    syncs(CRASH, 2, "b");
    syncs(RETURN_GARBAGE, 3, "c");
    syncs(RETURN_NOTHING, 4, "d");
    syncs(GIVE_WAY, 5, "a");
    SAID("e event 1", "e terminate remove_handler", "d event 1", "c event 1", "b event 1", "a event 1",
         "d event 2", "c event 2", "b event 2", "b terminate {error,{'EXIT',bang}}", "a event 2", "d event 3",
         "c event 3", "c terminate {error,garbage}", "a event 3", "d event 4", "d terminate {error,0}",
         "a event 4", "a event 5", "a terminate gives_way", "next init {next,{a,5}}");
    REPORTED("gen_server.terminated {'EXIT',bang} last event state noter",
             "gen_server.terminated garbage last event state noter",
             "gen_server.terminated 0 last event state noter");
    says_handlers();
    syncs(STAY, 6, NULL);
    SAID("handlers heir", "next event 6");
}

/* gen_event_SUITE: swap_handler */
SCENE(gen_event, a_swap_hands_over_what_terminate_returned)
{
    tr_term reason = TR_TERM_NONE_VALUE;
    manager_starts();
    adds("a");
    EXPECT(tr_gen_event_swap_handler(events, noter_of("a"), tr_atom("swap"), TR_EVENT(heir), tr_atom("h"),
                                     NULL) == TR_OK);
    EXPECT(tr_gen_event_swap_handler(events, noter_of("a"), tr_atom("swap"), noter_of("b"), tr_atom("b"),
                                     NULL) == TR_OK); /* a was not there */
    EXPECT(tr_gen_event_swap_handler(events, noter_of("b"), tr_atom("swap"), noter_of("c"),
                                     tr_atom("refuses"), &reason) == TR_E_EXIT);
    TERM_IS(reason, "no");
    says_handlers();
    SAID("a init a", "a terminate swap", "h init {h,{a,0}}", "b init {b,error}", "b terminate swap",
         "refuses init {refuses,{b,0}}", "handlers heir");
}

/* Says the next tr_event_exit_msg. */
static void says_gone(void)
{
    const tr_event_exit_msg *gone = TR_RECEIVE(tr_event_exit_msg, 10);
    if (gone == NULL) {
        say("nobody gone");
    } else {
        tr_term id = tr_is_none(gone->id) ? TR_ATOM(UNDEFINED) : gone->id;
        say("gone %s:%s", gone->handler->name, tr_term_text(id));
        say("%s", tr_is_tagged(gone->reason, "swapped", 3) ? "swapped" : tr_term_text(gone->reason));
    }
}

static void adds_supervised(const char *name)
{
    EXPECT(tr_gen_event_add_sup_handler(events, noter_of(name), tr_atom(name), NULL) == TR_OK);
}

/* gen_event_SUITE: add_handler (add_sup_handler), swap_sup_handler */
SCENE(gen_event, who_supervises_a_handler_hears_of_its_end)
{
    manager_starts();
    tr_trap_exit(true);
    adds_supervised("a");
    adds_supervised("b");
    adds_supervised("c");
    adds_supervised("d");
    stage.said = (stage_log){.used = 0};
    syncs(LEAVE, 1, "a");
    says_gone();
    syncs(CRASH, 2, "b");
    says_gone();
    EXPECT(tr_gen_event_delete_handler(events, noter_of("c"), tr_atom("args"), NULL) == TR_OK);
    says_gone();
    EXPECT(tr_gen_event_swap_sup_handler(events, noter_of("d"), tr_atom("args"), TR_EVENT(heir), tr_atom("h"),
                                         NULL) == TR_OK);
    says_gone();
    SAID("d event 1", "c event 1", "b event 1", "a event 1", "a terminate remove_handler", "gone noter:a",
         "normal", "d event 2", "c event 2", "b event 2", "b terminate {error,{'EXIT',bang}}", "gone noter:b",
         "{'EXIT',bang}", "c terminate args", "gone noter:c", "normal", "d terminate args",
         "h init {h,{d,2}}", "gone noter:d", "swapped");
    EXPECT(tr_gen_event_swap_handler(events, TR_EVENT(heir), tr_atom("args"), noter_of("k"), tr_atom("k"),
                                     NULL) == TR_OK); /* its supervisor goes with the place */
    says_gone();
    EXPECT(tr_gen_event_stop(events, TR_ATOM(NORMAL), 1000, NULL) == TR_OK);
    says_gone();
    SAID("h terminate args", "k init {k,{h,0}}", "gone heir:undefined", "swapped", "k terminate stop",
         "gone noter:k", "shutdown");
}

static void supervises_and_ends(const void *arg)
{
    (void)arg;
    adds_supervised("s");
    adds("t");
    TR_RECEIVE(answer, TR_INFINITY);
    tr_exit(tr_atom("why"));
}

SCENE(gen_event, the_end_of_who_supervises_a_handler_takes_it_away)
{
    tr_pid pid;
    tr_started started;
    EXPECT(tr_gen_event_start(NULL, &started) == TR_OK);
    events = tr_to(started.pid);
    EXPECT(tr_spawn(NULL, supervises_and_ends, NULL, 0, &pid) == TR_OK);
    tr_sleep(1);
    TR_SEND(pid, answer, .n = 1);
    tr_sleep(1);
    says_handlers();
    SAID("s init s", "t init t", "s terminate {stop,why}", "handlers noter:t");
    tr_process_info info;
    EXPECT(tr_process_info_of(started.pid, false, 10, &info) == TR_OK && info.link_count == 0);
}

/* The link goes with the last handler. */
SCENE(gen_event, who_supervises_nobody_any_more_is_not_linked)
{
    tr_process_info info;
    tr_started started;
    EXPECT(tr_gen_event_start(NULL, &started) == TR_OK);
    events = tr_to(started.pid);
    adds_supervised("a");
    adds_supervised("b");
    syncs(LEAVE, 1, "a");
    EXPECT(tr_process_info_of(tr_self(), false, 0, &info) == TR_OK && info.link_count == 1);
    syncs(LEAVE, 2, "b");
    tr_sleep(1);
    EXPECT(tr_process_info_of(tr_self(), false, 0, &info) == TR_OK && info.link_count == 0);
}

static void asks(const char *name, wish w, int n)
{
    tr_msg *reply = NULL;
    tr_term reason = TR_TERM_NONE_VALUE;
    tr_err err =
        tr_gen_event_call(events, noter_of(name), TR_MSG(event, .wish = w, .n = n), 1000, &reply, &reason);
    if (err == TR_OK) {
        say("= %d", TR_MATCH(reply, answer)->n);
        tr_msg_drop(reply);
    } else {
        say("! %s %s", tr_err_name(err), tr_term_text(reason));
    }
}

/* gen_event_SUITE: call */
SCENE(gen_event, a_call_reaches_one_handler)
{
    manager_starts();
    adds("a");
    adds("b");
    asks("a", STAY, 1);
    asks("b", LEAVE, 2);
    asks("b", STAY, 3);
    asks("a", CRASH, 4);
    asks("a", STAY, 5);
    SAID("a init a", "b init b", "a call 1", "= 1", "b call 2", "b terminate remove_handler", "= 1",
         "! TR_E_NOT_FOUND bad_module", "a call 4", "a terminate {error,{'EXIT',bang}}",
         "! TR_E_EXIT {'EXIT',bang}", "! TR_E_NOT_FOUND bad_module");
}

/* gen_event_SUITE: send_request_wait_reqid_collection, send_request_check_reqid_collection */
SCENE(gen_event, requests_to_handlers_can_be_collected)
{
    tr_response response;
    tr_term reason = TR_TERM_NONE_VALUE;
    tr_reqids *ids = tr_reqids_new();
    manager_starts();
    adds("a");
    tr_ref good = tr_gen_event_send_request(events, noter_of("a"), TR_MSG(event, .n = 1));
    tr_ref bad = tr_gen_event_send_request(events, noter_of("b"), TR_MSG(event, .n = 2));
    EXPECT(tr_reqids_add(ids, good, tr_int(1)) == TR_OK && tr_reqids_add(ids, bad, tr_int(2)) == TR_OK);
    EXPECT(tr_reqids_wait_response(ids, 100, true, &response) == TR_OK && response.err == TR_OK);
    TERM_IS(response.label, "1");
    EXPECT(tr_gen_event_response(response.reply, &reason) == TR_OK);
    EXPECT(TR_MATCH(response.reply, answer)->n == 1);
    tr_msg *msg = tr_receive(NULL, NULL, 100);
    EXPECT(tr_reqids_check_response(ids, msg, true, &response) == TR_OK);
    EXPECT(tr_gen_event_response(response.reply, &reason) == TR_E_NOT_FOUND);
    TERM_IS(reason, "bad_module");
    EXPECT(tr_reqids_size(ids) == 0);
}

/* gen_event_SUITE: info, undef_handle_info, undef_handle_event, undef_init, undef_terminate, auto_hibernate */
SCENE(gen_event, missing_callbacks_crash_but_handle_info_is_skipped)
{
    tr_term result = TR_TERM_NONE_VALUE;
    manager_starts();
    EXPECT(tr_gen_event_add_handler(events, TR_EVENT(bare), tr_atom("unused"), NULL) == TR_OK);
    adds("a");
    TR_SEND(events.pid, event, .n = 1);
    TR_SEND(events.pid, answer, .n = 2);
    says_handlers();
    EXPECT(tr_gen_event_delete_handler(events, TR_EVENT(bare), tr_atom("args"), &result) == TR_OK);
    TERM_IS(result, "ok");
    EXPECT(tr_gen_event_add_handler(events, TR_EVENT(bare), tr_atom("unused"), NULL) == TR_OK);
    syncs(STAY, 3, NULL);
    says_handlers();
    SAID("a init a", "a info 1", "a info answer", "handlers noter:a bare", "a event 3", "handlers noter:a");
    REPORTED("gen_server.terminated {'EXIT',undef} last event state bare");
}

/* gen_event_SUITE: call_format_status */
SCENE(gen_event, sys_shows_the_state_of_each_handler)
{
    tr_term state;
    manager_starts();
    adds("a");
    EXPECT(tr_gen_event_add_handler(events, TR_EVENT(bare), tr_atom("unused"), NULL) == TR_OK);
    asks("a", STAY, 1);
    EXPECT(tr_sys_get_state(events, 1000, &state) == TR_OK);
    TERM_IS(state, "[{bare,undefined,4},{noter,a,1}]");
}

typedef struct wanted {
    int seen;
    const char *crashes;
} wanted;

static void replaces(tr_event_id who, void *self, void *ctx)
{
    const wanted *how = ctx;
    noter *state = self;
    if (who.handler == noter_of("a").handler) { /* the others are of other types */
        say("replaces %s %d", tr_term_text(who.id), state->seen);
        state->seen = how->seen;
        TR_CHECK(how->crashes == NULL || strcmp(how->crashes, state->name) != 0);
    }
}

/* gen_event_SUITE: replace_state */
SCENE(gen_event, states_are_replaced_but_those_of_handlers_where_that_crashes)
{
    tr_term state;
    wanted how = {.seen = 7};
    manager_starts();
    adds("a");
    adds("b");
    EXPECT(tr_gen_event_add_handler(events, TR_EVENT(bare), tr_atom("unused"), NULL) == TR_OK);
    EXPECT(tr_gen_event_replace_state(events, replaces, &how, 1000) == TR_OK);
    EXPECT(tr_sys_get_state(events, 1000, &state) == TR_OK);
    TERM_IS(state, "[{bare,undefined,4},{noter,b,7},{noter,a,7}]");
    how = (wanted){.seen = 9, .crashes = "b"};
    EXPECT(tr_gen_event_replace_state(events, replaces, &how, 1000) == TR_OK);
    EXPECT(tr_sys_get_state(events, 1000, &state) == TR_OK);
    TERM_IS(state, "[{bare,undefined,4},{noter,b,7},{noter,a,9}]");
    EXPECT(tr_sys_suspend(events, 1000) == TR_OK);
    how = (wanted){.seen = 1};
    EXPECT(tr_gen_event_replace_state(events, replaces, &how, 1000) == TR_OK);
    EXPECT(tr_sys_resume(events, 1000) == TR_OK);
    asks("b", STAY, 1);
    EXPECT(tr_gen_event_replace_state(tr_to_name(tr_atom("nobody")), replaces, &how, 1000) == TR_E_NOPROC);
    SAID("a init a", "b init b", "replaces b 0", "replaces a 0", "replaces b 7", "replaces a 7",
         "replaces b 7", "replaces a 9", "b call 1", "= 2");
}

/* Whatever holds the events when it is killed goes with it. */
SCENE(gen_event, a_killed_manager_leaves_nothing)
{
    tr_started started;
    EXPECT(tr_gen_event_start(NULL, &started) == TR_OK);
    events = tr_to(started.pid);
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        adds(name);
    }
    for (int i = 0; i < 20; i++) {
        TR_NOTIFY(events, event, .n = i, .name = tr_atom("nobody"));
        (void)tr_gen_event_send_request(events, noter_of("n1"),
                                        TR_MSG(event, .n = i, .name = tr_atom("nobody")));
    }
    tr_exit_signal(events, TR_ATOM(KILL));
    tr_sleep(1);
    EXPECT(!tr_is_alive(started.pid));
}
