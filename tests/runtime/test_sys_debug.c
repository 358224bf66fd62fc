/* sys: what watches a process: OTP's sys_SUITE (log, stats, trace, suspend), files, debug functions, start options. */
#include <stdlib.h>
#include <unistd.h>

#include "tests/runtime/puppet.h"
#include "tests/runtime/sys_log.h"

static void casts(tr_pid pid, int n)
{
    (void)tr_gen_server_cast(tr_to(pid), DO(.n = n));
}

static void says_cast(tr_pid pid, tr_term term)
{
    (void)tr_gen_server_cast(tr_to(pid), TR_MSG(tr_term_msg, .value = term));
}

/* ---- log ---- */

/* sys_SUITE: log */
SCENE(sys_debug, log)
{
    tr_pid s = a_server(puppet_server);
    LOG_IS(s, "");
    EXPECT(tr_sys_log(tr_to(s), TR_SYS_LOG_DEFAULT, 5000) == TR_OK);
    says_cast(s, tr_tuple(tr_atom("put"), tr_int(1)));
    (void)tr_send_term(tr_to(s), tr_atom("hello"));
    LOG_IS(s, "{in,{'$gen_cast',{put,1}}} {noreply,s} {in,hello} {noreply,s}");
    calls(s, DO(.n = 7), 5000);
    LOG_IS(s,
           "{in,{'$gen_cast',{put,1}}} {noreply,s} {in,hello} {noreply,s} {in,{'$gen_call',{,#Ref},{act}}} "
           "{out,{answer},,s}");
    EXPECT(tr_sys_log(tr_to(s), 3, 5000) == TR_OK); /* the newest stay */
    LOG_IS(s, "{noreply,s} {in,{'$gen_call',{,#Ref},{act}}} {out,{answer},,s}");
    says_cast(s, tr_int(2));
    LOG_IS(s, "{out,{answer},,s} {in,{'$gen_cast',2}} {noreply,s}");
    EXPECT(tr_sys_log(tr_to(s), 100, 5000) == TR_OK);
    says_cast(s, tr_int(3));
    LOG_IS(s, "{out,{answer},,s} {in,{'$gen_cast',2}} {noreply,s} {in,{'$gen_cast',3}} {noreply,s}");
    REPORTED();
    EXPECT(tr_sys_log(tr_to(s), 0, 5000) == TR_OK);
    LOG_IS(s, "");
    says_cast(s, tr_int(4));
    LOG_IS(s, "");
}

SCENE(sys_debug, log_print_reports_what_is_kept)
{
    tr_pid s = a_server(puppet_server);
    EXPECT(tr_sys_log_print(tr_to(s), 5000) == TR_OK);
    REPORTED();
    EXPECT(tr_sys_log(tr_to(s), 2, 5000) == TR_OK);
    says_cast(s, tr_int(1));
    says_cast(s, tr_int(2));
    EXPECT(tr_sys_log_print(tr_to(s), 5000) == TR_OK);
    REPORTED("sys.event {in,{'$gen_cast',2}}", "sys.event {noreply,s}");
}

SCENE(sys_debug, every_kind_of_message_is_logged_as_erlang_would_see_it)
{
    tr_pid s = a_server(trapper_server);
    EXPECT(tr_sys_log(tr_to(s), 20, 5000) == TR_OK);
    tr_exit_signal(tr_to(s), tr_atom("stranger"));
    (void)tr_gen_server_cast(tr_to(s), DO(.n = 1, .idles = true, .idle_ms = 10));
    tr_sleep(20);
    (void)tr_start_timer(1, tr_to(s), TR_MSG(tr_term_msg, .value = tr_atom("late")));
    tr_sleep(20);
    (void)tr_gen_server_cast(tr_to(s), DO(.verb = CONTINUE, .n = 2));
    LOG_IS(s, "{in,{'EXIT',,stranger}} {noreply,s} {in,{'$gen_cast',{act}}} {noreply,s} {in,timeout} "
              "{noreply,s} {in,{timeout,#Ref,late}} {noreply,s} {in,{'$gen_cast',{act}}} {noreply,s} "
              "{continue,{act}} {noreply,s}");
}

SCENE(sys_debug, the_answer_after_terminate_is_an_event_too)
{
    tr_pid s = a_server(puppet_server);
    EXPECT(tr_sys_trace(tr_to(s), true, 5000) == TR_OK);
    calls(s, DO(.verb = STOP_REPLY, .n = 3, .term = TR_ATOM(NORMAL)), 5000);
    EXPECT(strstr(stage.reported.text, "sys.event {out,{answer},<") != NULL);
    SAID("s call 3", "s terminate normal", "= 3");
}

/* ---- statistics ---- */

/* sys_SUITE: stats */
SCENE(sys_debug, stats)
{
    tr_sys_statistics now;
    tr_pid s = a_server(puppet_server);
    EXPECT(tr_sys_statistics_on(tr_to(s), true, 5000) == TR_OK);
    calls(s, DO(.n = 1), 5000);
    calls(s, DO(.n = 2), 5000);
    casts(s, 3);
    EXPECT(tr_sys_statistics_get(tr_to(s), 5000, &now) == TR_OK);
    EXPECT(now.messages_in == 3 && now.messages_out == 2 && now.reductions > 0);
    EXPECT(tr_sys_log(tr_to(s), 1, 5000) == TR_OK); /* others who watch change nothing */
    casts(s, 4);
    EXPECT(tr_sys_statistics_get(tr_to(s), 5000, &now) == TR_OK && now.messages_in == 4);
    EXPECT(tr_sys_statistics_on(tr_to(s), false, 5000) == TR_OK);
    EXPECT(tr_sys_statistics_get(tr_to(s), 5000, &now) == TR_E_STATE);
    EXPECT(tr_sys_statistics_on(tr_to(s), true, 5000) == TR_OK); /* from zero again */
    EXPECT(tr_sys_statistics_get(tr_to(s), 5000, &now) == TR_OK && now.messages_in == 0);
}

/* ---- trace ---- */

/* sys_SUITE: trace */
SCENE(sys_debug, trace)
{
    tr_pid s = a_server(puppet_server);
    EXPECT(tr_sys_trace(tr_to(s), true, 5000) == TR_OK);
    says_cast(s, tr_int(1));
    EXPECT(tr_sys_trace(tr_to(s), false, 5000) == TR_OK);
    REPORTED("sys.event {in,{'$gen_cast',1}}", "sys.event {noreply,s}");
    says_cast(s, tr_int(2));
    tr_sleep(1);
    REPORTED();
}

/* ---- suspend ---- */

/* sys_SUITE: suspend */
SCENE(sys_debug, suspend)
{
    tr_pid s = a_server(puppet_server);
    EXPECT(tr_sys_suspend(tr_to(s), 5000) == TR_OK);
    calls(s, DO(.n = 1), 1000);
    SAID("! TR_E_TIMEOUT timeout");
    EXPECT(tr_sys_log(tr_to(s), 5, 5000) == TR_OK); /* answered meanwhile */
    EXPECT(tr_sys_suspend(tr_to(s), 5000) == TR_OK && tr_sys_resume(tr_to(s), 5000) == TR_OK);
    calls(s, DO(.n = 2), 1000);
    SAID("s call 1", "s call 2", "= 2"); /* the first request stayed in the queue */
}

/* ---- file ---- */

static void file_is(const char *path, const char *wanted)
{
    char text[1024] = "";
    FILE *file = fopen(path, "r");
    if (EXPECT(file != NULL)) {
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        (void)fclose(file);
    }
    char got[1024] = "";
    for (char *save, *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
        char *event = strstr(line, "*DBG* ") == line ? strchr(line + 6, ' ') : NULL;
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s", event == NULL ? "?" : event);
    }
    if (strcmp(got, wanted) != 0) {
        stage_add(&stage.failed, "expected in the file\n%s\nbut it was\n%s\n", wanted, got);
    }
}

SCENE(sys_debug, log_to_file_writes_a_line_for_each_event)
{
    char path[] = "/tmp/troupe_sys_XXXXXX";
    int made = mkstemp(path);
    tr_pid s = a_server(puppet_server);
    EXPECT(made >= 0 && write(made, "old\n", 4) == 4 && close(made) == 0);
    EXPECT(tr_sys_log_to_file(tr_to(s), "/no/such/folder/file", 5000) == TR_E_BADARG);
    EXPECT(tr_sys_log_to_file(tr_to(s), path, 5000) == TR_OK);
    says_cast(s, tr_int(1));
    EXPECT(tr_sys_log_to_file(tr_to(s), NULL, 5000) == TR_OK);
    says_cast(s, tr_int(2));
    tr_sleep(1);
    file_is(path, " {in,{'$gen_cast',1}} {noreply,s}");
    EXPECT(tr_sys_log_to_file(tr_to(s), path, 5000) == TR_OK); /* emptied */
    says_cast(s, tr_int(3));
    tr_sleep(1);
    tr_exit_signal(tr_to(s), TR_ATOM(KILL)); /* closed with the process */
    tr_sleep(1);
    file_is(path, " {in,{'$gen_cast',3}} {noreply,s}");
    EXPECT(unlink(path) == 0);
}

/* ---- debug functions ---- */

typedef struct counting {
    const char *name;
    int left;
} counting;

static bool counts_down(void *own, const tr_sys_event *event)
{
    counting *of = own;
    if (event->kind == TR_SYS_IN) {
        const act *a = TR_MATCH(event->msg, act);
        say("%s in %d", of->name, a == NULL ? -1 : a->n);
        of->left--;
    } else if (event->kind == TR_SYS_OUT) {
        say("%s out %d", of->name, event->to == tr_whereis(tr_to_name(tr_atom("scene"))));
    }
    return of->left > 0;
}

static bool crashes(void *own, const tr_sys_event *event)
{
    (void)own, (void)event;
    say("crashes");
    tr_exit(tr_atom("boom"));
}

/* sys: install and remove; a debug function ends by being done. */
SCENE(sys_debug, debug_functions_see_every_event_until_they_are_done)
{
    tr_pid s = a_server(puppet_server);
    EXPECT(tr_register(tr_atom("scene"), tr_self()) == TR_OK);
    EXPECT(tr_sys_install(tr_to(s), TR_TERM_NONE_VALUE, counts_down, NULL, 0, 5000) == TR_E_BADARG);
    EXPECT(tr_sys_install(tr_to(s), tr_atom("a"), counts_down, &(counting){"a", 2}, sizeof(counting), 5000) ==
           TR_OK);
    EXPECT(tr_sys_install(tr_to(s), tr_atom("b"), counts_down, &(counting){"b", 9}, sizeof(counting), 5000) ==
           TR_OK);
    EXPECT(tr_sys_install(tr_to(s), tr_atom("b"), counts_down, &(counting){"c", 9}, sizeof(counting), 5000) ==
           TR_OK); /* there is one: it stays */
    calls(s, DO(.n = 1), 5000);
    SAID("a in 1", "b in 1", "s call 1", "a out 1", "b out 1", "= 1");
    casts(s, 2);
    tr_sleep(1);
    SAID("a in 2", "b in 2", "s cast 2"); /* a is done */
    casts(s, 3);
    tr_sleep(1);
    SAID("b in 3", "s cast 3");
    EXPECT(tr_sys_remove(tr_to(s), tr_atom("b"), 5000) == TR_OK);
    EXPECT(tr_sys_remove(tr_to(s), tr_atom("b"), 5000) == TR_OK);
    casts(s, 4);
    tr_sleep(1);
    SAID("s cast 4");
}

SCENE(sys_debug, a_crash_in_a_debug_function_takes_it_away_and_nothing_else)
{
    tr_pid s = a_server(puppet_server);
    EXPECT(tr_sys_install(tr_to(s), tr_atom("a"), crashes, NULL, 0, 5000) == TR_OK);
    EXPECT(tr_sys_install(tr_to(s), tr_atom("b"), counts_down, &(counting){"b", 9}, sizeof(counting), 5000) ==
           TR_OK);
    casts(s, 1);
    casts(s, 2);
    tr_sleep(1);
    SAID("crashes", "b in 1", "s cast 1", "b in 2", "s cast 2");
    REPORTED();
}

typedef struct shy {
    int unused;
} shy;
static tr_term shy_format_state(const shy *self)
{
    (void)self;
    tr_exit(tr_atom("secret"));
}
static tr_next shy_handle_cast(shy *self, const tr_msg *msg)
{
    (void)self, (void)msg;
    return TR_NOREPLY;
}
TR_GEN_SERVER(shy, .handle_cast = shy_handle_cast, .format_state = shy_format_state);

SCENE(sys_debug, a_state_that_cannot_be_shown_harms_nobody)
{
    tr_sys_status status;
    EXPECT(tr_gen_server_start(shy_server, NULL, 0, NULL, &started) == TR_OK);
    EXPECT(tr_sys_log(tr_to(started.pid), 5, 5000) == TR_OK);
    casts(started.pid, 1);
    LOG_IS(started.pid, "{in,{'$gen_cast',{act}}} {noreply,{format_state_crashed,secret}}");
    EXPECT(tr_sys_status_of(tr_to(started.pid), 5000, &status) == TR_OK);
    EXPECT(tr_is_none(status.state));
}

/* ---- status, all off, start options ---- */

SCENE(sys_debug, status_tells_who_and_what_watches)
{
    tr_sys_status status;
    tr_pid s = a_server(puppet_server);
    EXPECT(tr_sys_status_of(tr_to(s), 5000, &status) == TR_OK);
    EXPECT(status.pid == s && status.parent == TR_NO_PID && !status.suspended);
    EXPECT(strcmp(status.behaviour, "gen_server") == 0);
    TERM_IS(status.state, "s");
    TERM_IS(status.debug, "[]");
    EXPECT(tr_sys_suspend(tr_to(s), 5000) == TR_OK);
    EXPECT(tr_sys_statistics_on(tr_to(s), true, 5000) == TR_OK && tr_sys_log(tr_to(s), 7, 5000) == TR_OK);
    EXPECT(tr_sys_trace(tr_to(s), true, 5000) == TR_OK);
    EXPECT(tr_sys_log_to_file(tr_to(s), "/dev/null", 5000) == TR_OK);
    EXPECT(tr_sys_install(tr_to(s), tr_string("id"), crashes, NULL, 0, 5000) == TR_OK);
    EXPECT(tr_sys_status_of(tr_to(s), 5000, &status) == TR_OK);
    EXPECT(status.suspended);
    TERM_IS(status.debug, "[statistics,{log,7},trace,{log_to_file,\"/dev/null\"},{install,\"id\"}]");
    EXPECT(tr_sys_no_debug(tr_to(s), 5000) == TR_OK);
    EXPECT(tr_sys_no_debug(tr_to(s), 5000) == TR_OK);
    EXPECT(tr_sys_status_of(tr_to(s), 5000, &status) == TR_OK);
    TERM_IS(status.debug, "[]");
    EXPECT(status.suspended); /* that is another matter */
    EXPECT(tr_sys_status_of(tr_to_name(tr_atom("nobody")), 5000, &status) == TR_E_NOPROC);
}

SCENE(sys_debug, start_options_watch_from_the_first_message_on)
{
    tr_sys_statistics now;
    tr_start_opts opts = {.debug = TR_DEBUG_STATISTICS | TR_DEBUG_LOG | TR_DEBUG_TRACE};
    EXPECT(start_as(puppet_server, (role){.init = {.verb = SEND_SELF}}, &opts) == TR_OK);
    tr_sleep(1);
    SAID("s init", "s info 1");
    REPORTED("sys.event {in,{act}}", "sys.event {noreply,s}");
    LOG_IS(started.pid, "{in,{act}} {noreply,s}");
    EXPECT(tr_sys_statistics_get(tr_to(started.pid), 5000, &now) == TR_OK && now.messages_in == 1);
    for (int i = 0; i < 20; i++) {
        casts(started.pid, i);
    }
    EXPECT(tr_sys_no_debug(tr_to(started.pid), 5000) == TR_OK);
    LOG_IS(started.pid, "");
}

SCENE(sys_debug, supervisors_and_agents_are_watched_alike)
{
    tr_supervisor top = {.name = "top"};
    tr_child_counts counts;
    tr_start_opts opts = {.debug = TR_DEBUG_LOG};
    EXPECT(tr_supervisor_start_link(&top, NULL, 0, &opts, &started) == TR_OK);
    EXPECT(tr_supervisor_count_children(tr_to(started.pid), &counts) == TR_OK);
    size_t count;
    const tr_term *events;
    EXPECT(tr_sys_log_get(tr_to(started.pid), 5000, &events, &count) == TR_OK && count == 2);
    EXPECT(tr_is_tagged(events[0], "in", 2) && tr_is_tagged(events[1], "out", 4));
    EXPECT(tr_sys_no_debug(tr_to(started.pid), 5000) == TR_OK);
}

SCENE(sys_debug, a_watched_process_that_is_killed_leaves_nothing)
{
    tr_pid s = a_server(puppet_server);
    EXPECT(tr_sys_log(tr_to(s), 100, 5000) == TR_OK &&
           tr_sys_log_to_file(tr_to(s), "/dev/null", 5000) == TR_OK);
    EXPECT(tr_sys_install(tr_to(s), tr_string("an id with memory"), counts_down, &(counting){"a", 99},
                          sizeof(counting), 5000) == TR_OK);
    for (int i = 0; i < 30; i++) {
        says_cast(s, tr_list(tr_string("a message"), tr_int(i)));
    }
    tr_sleep(1);
    tr_exit_signal(tr_to(s), TR_ATOM(KILL)); /* the scene counts the bytes */
}

/* ---- requests to nobody ---- */

SCENE(sys_debug, requests_about_watching_fail_as_all_others)
{
    size_t count;
    const tr_term *events;
    tr_dest nobody = tr_to_name(tr_atom("nobody"));
    tr_dest self = tr_to(tr_self());
    EXPECT(tr_sys_log(nobody, 1, 5000) == TR_E_NOPROC && tr_sys_trace(nobody, true, 5000) == TR_E_NOPROC);
    EXPECT(tr_sys_log_get(nobody, 5000, &events, &count) == TR_E_NOPROC);
    EXPECT(tr_sys_install(nobody, tr_int(1), crashes, NULL, 0, 5000) == TR_E_NOPROC);
    EXPECT(tr_sys_install(self, tr_int(1), crashes, "bytes", 5, 5000) == TR_E_CALLING_SELF);
    EXPECT(tr_sys_no_debug(self, 5000) == TR_E_CALLING_SELF);
    EXPECT(tr_sys_remove(nobody, tr_int(1), 5000) == TR_E_NOPROC);
    EXPECT(tr_sys_log_to_file(nobody, "/dev/null", 5000) == TR_E_NOPROC);
}
