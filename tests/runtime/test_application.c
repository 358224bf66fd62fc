/* Applications: application_SUITE and what a real controller showed. Each says its callbacks. */
#include "tests/runtime/stage.h"

/* What the applications of a scene do: by their argument. */
typedef struct plan {
    const char *name;
    enum { RUNS, RETURNS_ERROR, RETURNS_GARBAGE, IGNORED, CRASHES_IN_START, HANGS } start;
    const char *bad_phase;
    int64_t stop_ms;
} plan;

TR_MESSAGE_TERMS(
    end_with, { tr_term reason; }, offsetof(end_with, reason));

static tr_pid stray; /* a process an application left behind */

static void stray_main(const void *arg)
{
    (void)arg;
    tr_sleep(TR_INFINITY);
}

static void top_main(const void *arg)
{
    const plan *p = *(const plan *const *)arg;
    EXPECT(tr_spawn(NULL, stray_main, NULL, 0, &stray) == TR_OK);
    tr_trap_exit(true);
    tr_init_ack(TR_TERM_NONE_VALUE);
    for (;;) {
        tr_msg *msg = tr_receive(NULL, NULL, TR_INFINITY);
        const end_with *end = TR_MATCH(msg, end_with);
        const tr_exit_msg *exit_msg = TR_MATCH(msg, tr_exit_msg);
        if (end != NULL) {
            tr_exit(end->reason);
        }
        if (exit_msg != NULL) {
            tr_sleep(p->stop_ms);
            say("%s down", p->name);
            tr_exit(exit_msg->reason);
        }
    }
}

static tr_err plan_start(const void *arg, tr_pid *top, void **state, tr_term *reason)
{
    const plan *p = arg;
    tr_started started;
    say("%s start", p->name);
    *state = (void *)(uintptr_t)p;
    *reason = tr_atom("no");
    switch (p->start) {
    case RETURNS_ERROR:
        return TR_E_EXIT;
    case RETURNS_GARBAGE:
        return TR_E_BADARG;
    case IGNORED:
        return TR_E_IGNORE;
    case CRASHES_IN_START:
        tr_exit(tr_atom("boom"));
    case HANGS:
        tr_sleep(TR_INFINITY);
        break;
    case RUNS:
        break;
    }
    tr_err err = tr_proc_lib_start_link(top_main, &p, sizeof(const plan *), NULL, &started, NULL);
    *top = started.pid;
    *reason = started.reason;
    return err;
}

static tr_err plan_phase(const tr_app_phase *phase, void *state, tr_term *reason)
{
    const plan *p = state;
    say("%s phase %s %s", p->name, phase->name, (const char *)phase->arg);
    if (p->bad_phase == NULL || strcmp(phase->name, p->bad_phase) != 0) {
        return TR_OK;
    }
    *reason = tr_atom("badphase");
    return TR_E_EXIT;
}

static void plan_prep_stop(void *state)
{
    say("%s prep_stop", ((const plan *)state)->name);
}

static void plan_stop(void *state)
{
    say("%s stop", ((const plan *)state)->name);
}

/* An application that does what HOW(...) says of its plan. */
#define HOW(...) __VA_ARGS__
#define APPLICATION(id, text, how, ...)                            \
    static const plan id##_plan = {.name = (text), how};           \
    static const tr_application id = {.name = (text),              \
                                      .start = plan_start,         \
                                      .arg = &id##_plan,           \
                                      .prep_stop = plan_prep_stop, \
                                      .stop = plan_stop,           \
                                      __VA_ARGS__}

static const char *const needs_a[] = {"a", NULL};
static const char *const needs_ab[] = {"a", "b", NULL};
static const char *const needs_none_such[] = {"a", "none_such", NULL};
static const char *const none_such[] = {"none_such", NULL};

APPLICATION(app_a, "a", HOW(), .description = "the first", .version = "1.0");
APPLICATION(app_b, "b", HOW(), .applications = needs_a);
APPLICATION(app_c, "c", HOW(), .applications = needs_ab);
APPLICATION(app_bad, "bad", HOW(.start = RETURNS_ERROR), .applications = needs_ab);

static tr_pid controller;

static void controller_starts(const tr_app_controller_opts *opts)
{
    tr_started started;
    tr_trap_exit(true);
    EXPECT(tr_application_controller_start_link(opts, &started) == TR_OK);
    controller = started.pid;
}

static void loads(const tr_application *app)
{
    EXPECT(tr_application_load(app) == TR_OK);
}

static void controller_with_abc(void)
{
    controller_starts(NULL);
    loads(&app_a);
    loads(&app_b);
    loads(&app_c);
}

#define FAILS(call, wanted, text)            \
    do {                                     \
        tr_term reason = TR_TERM_NONE_VALUE; \
        EXPECT((call) == (wanted));          \
        TERM_IS(reason, text);               \
    } while (0)

static tr_err start_it(const char *name, tr_app_type type, tr_term *reason)
{
    return tr_application_start(tr_atom(name), type, reason);
}

static tr_pid top_of(const char *name)
{
    tr_app_info info = {0};
    EXPECT(tr_application_get(tr_atom(name), &info) == TR_OK && info.running);
    return info.top;
}

/* The controller's own end, said. */
static void says_controller_end(void)
{
    char text[128];
    tr_msg *msg = tr_receive(NULL, NULL, 100000);
    const tr_exit_msg *exit_msg = TR_MATCH(msg, tr_exit_msg);
    if (EXPECT(exit_msg != NULL && exit_msg->from == controller)) {
        tr_term_print(exit_msg->reason, text, sizeof text);
        say("controller %s", text);
    }
}

/* application_SUITE: ensure_started */
SCENE(application, starts_and_stops_and_tells_when_it_cannot)
{
    controller_with_abc();
    FAILS(start_it("b", TR_APP_TEMPORARY, &reason), TR_E_STATE, "{not_started,a}");
    FAILS(start_it("x", TR_APP_TEMPORARY, &reason), TR_E_NOT_FOUND, "{not_loaded,x}");
    EXPECT(start_it("a", TR_APP_TEMPORARY, NULL) == TR_OK);
    EXPECT(start_it("b", TR_APP_TEMPORARY, NULL) == TR_OK);
    FAILS(start_it("b", TR_APP_TEMPORARY, &reason), TR_E_ALREADY_STARTED, "{already_started,b}");
    EXPECT(tr_application_ensure_started(tr_atom("b"), TR_APP_TEMPORARY, NULL) == TR_OK);
    EXPECT(tr_application_unload(tr_atom("a")) == TR_E_RUNNING);
    EXPECT(tr_application_load(&app_a) == TR_E_ALREADY_PRESENT);
    EXPECT(tr_application_stop(tr_atom("a"), NULL) == TR_OK); /* although b needs it */
    EXPECT(tr_application_stop(tr_atom("b"), NULL) == TR_OK);
    FAILS(tr_application_stop(tr_atom("b"), &reason), TR_E_STATE, "{not_started,b}");
    EXPECT(tr_application_unload(tr_atom("a")) == TR_OK);
    EXPECT(tr_application_unload(tr_atom("a")) == TR_E_NOT_FOUND);
    SAID("a start", "b start", "a prep_stop", "a down", "a stop", "b prep_stop", "b down", "b stop");
}

/* application_SUITE: ensure_started (ensure_all_started) */
SCENE(application, ensure_all_started_goes_in_order_of_dependency)
{
    const tr_term *list;
    size_t count = 0;
    controller_with_abc();
    EXPECT(tr_application_ensure_all_started(tr_atom("c"), TR_APP_TEMPORARY, &list, &count, NULL) == TR_OK);
    EXPECT(count == 3 && tr_same(list[0], tr_atom("a")) && tr_same(list[2], tr_atom("c")));
    EXPECT(tr_application_ensure_all_started(tr_atom("c"), TR_APP_TEMPORARY, &list, &count, NULL) == TR_OK);
    EXPECT(count == 0);
    const tr_app_info *infos;
    EXPECT(tr_application_which(&infos, &count) == TR_OK && count == 3);
    EXPECT(tr_same(infos[0].name, tr_atom("c")) && tr_same(infos[2].name, tr_atom("a")));
    EXPECT(tr_application_controller_stop(10000) == TR_OK); /* newest first */
    SAID("a start", "b start", "c start", "c prep_stop", "c down", "c stop", "b prep_stop", "b down",
         "b stop", "a prep_stop", "a down", "a stop");
}

SCENE(application, ensure_all_started_takes_back_what_it_started_when_one_fails)
{
    controller_with_abc();
    loads(&app_bad);
    EXPECT(start_it("a", TR_APP_TEMPORARY, NULL) == TR_OK);
    FAILS(tr_application_ensure_all_started(tr_atom("bad"), TR_APP_TEMPORARY, NULL, NULL, &reason), TR_E_EXIT,
          "{bad,{no,{bad,start}}}");
    SAID("a start", "b start", "bad start", "b prep_stop", "b down", "b stop");
    EXPECT(top_of("a") != TR_NO_PID);
}

/* application_SUITE: optional_applications */
SCENE(application, an_optional_one_is_waited_for_only_when_it_is_loaded)
{
    APPLICATION(missing, "missing", HOW(), .applications = needs_none_such);
    APPLICATION(fine, "fine", HOW(), .applications = needs_none_such, .optional = none_such);
    APPLICATION(late, "none_such", HOW(), );
    controller_with_abc();
    loads(&missing);
    loads(&fine);
    FAILS(tr_application_ensure_all_started(tr_atom("missing"), TR_APP_TEMPORARY, NULL, NULL, &reason),
          TR_E_NOT_FOUND, "{none_such,{not_loaded,none_such}}");
    EXPECT(tr_application_ensure_all_started(tr_atom("fine"), TR_APP_TEMPORARY, NULL, NULL, NULL) == TR_OK);
    EXPECT(tr_application_stop(tr_atom("fine"), NULL) == TR_OK);
    SAID("a start", "a prep_stop", "a down", "a stop", "a start", "fine start", "fine prep_stop", "fine down",
         "fine stop");
    loads(&late);
    FAILS(start_it("fine", TR_APP_TEMPORARY, &reason), TR_E_STATE, "{not_started,none_such}");
    EXPECT(tr_application_ensure_all_started(tr_atom("fine"), TR_APP_TEMPORARY, NULL, NULL, NULL) == TR_OK);
    SAID("none_such start", "fine start");
}

SCENE(application, needs_in_a_circle_are_an_error_and_no_hang)
{
    static const char *const needs_two[] = {"two", NULL};
    static const char *const needs_one[] = {"one", NULL};
    APPLICATION(one, "one", HOW(), .applications = needs_two);
    APPLICATION(two, "two", HOW(), .applications = needs_one);
    controller_starts(NULL);
    loads(&one);
    loads(&two);
    FAILS(tr_application_ensure_all_started(tr_atom("one"), TR_APP_TEMPORARY, NULL, NULL, &reason),
          TR_E_STATE, "{two,{not_started,one}}");
    SAID();
}

/* application_SUITE: otp_4227, a start that fails can be tried again; the reasons are OTP's */
SCENE(application, a_failing_start_tells_why_and_leaves_nothing)
{
    APPLICATION(garbage, "garbage", HOW(.start = RETURNS_GARBAGE), );
    APPLICATION(ignored, "ignored", HOW(.start = IGNORED), );
    APPLICATION(crash, "crash", HOW(.start = CRASHES_IN_START), );
    controller_starts(NULL);
    loads(&garbage);
    loads(&ignored);
    loads(&crash);
    for (int i = 0; i < 2; i++) {
        FAILS(start_it("garbage", TR_APP_TEMPORARY, &reason), TR_E_EXIT, "{bad_return,{{garbage,start},no}}");
        FAILS(start_it("ignored", TR_APP_TRANSIENT, &reason), TR_E_EXIT,
              "{bad_return,{{ignored,start},ignore}}");
        FAILS(start_it("crash", TR_APP_TEMPORARY, &reason), TR_E_EXIT,
              "{bad_return,{{crash,start},{'EXIT',boom}}}");
        SAID("garbage start", "ignored start", "crash start");
    }
    const tr_app_info *infos;
    size_t count;
    EXPECT(tr_application_which(&infos, &count) == TR_OK && count == 0);
    EXPECT(tr_application_loaded(&infos, &count) == TR_OK && count == 3);
}

/* application_SUITE: start_phases */
SCENE(application, phases_run_in_order_when_the_tree_stands)
{
    static const tr_app_phase phases[] = {{"init", "one"}, {"go", "two"}};
    APPLICATION(good, "good", HOW(), .phases = phases, .phase_count = 2, .start_phase = plan_phase);
    APPLICATION(bad, "bad", HOW(.bad_phase = "init"), .phases = phases, .phase_count = 2,
                .start_phase = plan_phase);
    controller_starts(NULL);
    loads(&good);
    loads(&bad);
    EXPECT(start_it("good", TR_APP_TEMPORARY, NULL) == TR_OK);
    SAID("good start", "good phase init one", "good phase go two");
    FAILS(start_it("bad", TR_APP_TEMPORARY, &reason), TR_E_EXIT, "{badphase,{{bad,start_phase},init}}");
    SAID("bad start", "bad phase init one", "bad down");
}

/* application_SUITE: otp_2973, two that start one application at the same time */
static void starts_slowly(const void *arg)
{
    (void)arg;
    say("= %d", start_it("a", TR_APP_TEMPORARY, NULL));
}

SCENE(application, two_that_start_one_at_once_both_hear_of_it)
{
    controller_with_abc();
    for (int i = 0; i < 2; i++) {
        EXPECT(tr_spawn(NULL, starts_slowly, NULL, 0, NULL) == TR_OK);
    }
    tr_sleep(10);
    SAID("a start", "= 0", "= 0");
}

/* application_SUITE: shutdown_func, the types; the reasons of a permanent and a transient end */
SCENE(application, the_end_of_a_permanent_one_ends_all_newest_first)
{
    controller_with_abc();
    EXPECT(start_it("a", TR_APP_TEMPORARY, NULL) == TR_OK);
    EXPECT(start_it("b", TR_APP_PERMANENT, NULL) == TR_OK);
    EXPECT(start_it("c", TR_APP_TEMPORARY, NULL) == TR_OK);
    TR_SEND(top_of("b"), end_with, .reason = TR_ATOM(NORMAL));
    says_controller_end();
    SAID("a start", "b start", "c start", "b stop", "c prep_stop", "c down", "c stop", "a prep_stop",
         "a down", "a stop", "controller {application_terminated,b,normal}");
}

SCENE(application, a_transient_one_may_end_normally_only)
{
    controller_with_abc();
    EXPECT(start_it("a", TR_APP_TRANSIENT, NULL) == TR_OK);
    TR_SEND(top_of("a"), end_with, .reason = TR_ATOM(NORMAL));
    tr_sleep(1);
    EXPECT(start_it("a", TR_APP_TRANSIENT, NULL) == TR_OK);
    SAID("a start", "a stop", "a start");
    TR_SEND(top_of("a"), end_with, .reason = TR_ATOM(SHUTDOWN));
    says_controller_end();
    SAID("a stop", "controller {application_terminated,a,shutdown}");
}

SCENE(application, the_end_of_a_temporary_one_is_only_reported)
{
    controller_with_abc();
    EXPECT(start_it("a", TR_APP_TEMPORARY, NULL) == TR_OK);
    TR_SEND(top_of("a"), end_with, .reason = TR_ATOM(SHUTDOWN));
    tr_sleep(1);
    EXPECT(start_it("a", TR_APP_TEMPORARY, NULL) == TR_OK);
    REPORTED("supervisor.child_terminated shutdown");
    SAID("a start", "a stop", "a start");
}

SCENE(application, the_failed_start_of_a_permanent_one_ends_the_controller)
{
    controller_with_abc();
    loads(&app_bad);
    EXPECT(start_it("a", TR_APP_TEMPORARY, NULL) == TR_OK);
    EXPECT(start_it("b", TR_APP_TEMPORARY, NULL) == TR_OK);
    FAILS(start_it("bad", TR_APP_PERMANENT, &reason), TR_E_EXIT, "{no,{bad,start}}");
    says_controller_end();
    EXPECT(start_it("a", TR_APP_TEMPORARY, NULL) == TR_E_NOPROC);
    SAID("a start", "b start", "bad start", "b prep_stop", "b down", "b stop", "a prep_stop", "a down",
         "a stop", "controller {application_start_failure,bad,{no,{bad,start}}}");
}

/* application_SUITE: shutdown_deadlock */
static void starts_hanging(const void *arg)
{
    (void)arg;
    say("hangs %d", start_it("hangs", TR_APP_TEMPORARY, NULL) == TR_E_EXIT ||
                        start_it("hangs", TR_APP_TEMPORARY, NULL) == TR_E_NOPROC);
}

SCENE(application, one_that_hangs_in_its_start_holds_up_nobody)
{
    APPLICATION(hangs, "hangs", HOW(.start = HANGS), );
    controller_with_abc();
    loads(&hangs);
    EXPECT(tr_spawn(NULL, starts_hanging, NULL, 0, NULL) == TR_OK);
    tr_sleep(1);
    EXPECT(start_it("a", TR_APP_TEMPORARY, NULL) == TR_OK);
    EXPECT(tr_application_controller_stop(10000) == TR_OK);
    tr_sleep(1);
    SAID("hangs start", "a start", "a prep_stop", "a down", "a stop", "hangs 1");
}

SCENE(application, one_that_takes_too_long_at_the_end_is_killed)
{
    APPLICATION(slow, "slow", HOW(.stop_ms = 60000), );
    controller_starts(&(tr_app_controller_opts){.shutdown_ms = 1000});
    loads(&app_a);
    loads(&slow);
    EXPECT(start_it("a", TR_APP_TEMPORARY, NULL) == TR_OK);
    EXPECT(start_it("slow", TR_APP_TEMPORARY, NULL) == TR_OK);
    int64_t began = tr_now_ms();
    EXPECT(tr_application_controller_stop(TR_INFINITY) == TR_OK);
    EXPECT(tr_now_ms() - began == 1000);
    SAID("a start", "slow start", "slow prep_stop", "a prep_stop", "a down", "a stop");
}

/* What the tree left behind goes with the application, as with OTP's group leader. */
SCENE(application, processes_that_descend_from_it_go_with_it)
{
    controller_with_abc();
    EXPECT(start_it("a", TR_APP_TEMPORARY, NULL) == TR_OK);
    tr_pid left = stray;
    EXPECT(tr_is_alive(left));
    EXPECT(tr_application_stop(tr_atom("a"), NULL) == TR_OK);
    EXPECT(!tr_is_alive(left) && tr_is_alive(controller));
    SAID("a start", "a prep_stop", "a down", "a stop");
}

SCENE(application, a_killed_controller_takes_all_applications_along)
{
    controller_with_abc();
    EXPECT(start_it("a", TR_APP_TEMPORARY, NULL) == TR_OK);
    tr_pid top = top_of("a");
    tr_exit_signal(tr_to(controller), TR_ATOM(KILL));
    says_controller_end();
    tr_sleep(10);
    EXPECT(!tr_is_alive(top));
    SAID("a start", "controller killed", "a prep_stop", "a down", "a stop");
}

/* application_SUITE: +shutdown_application_call, callbacks may call the controller while it stops them */
static void asks_in_stop(void *state)
{
    const tr_app_info *infos;
    size_t count = 0;
    (void)state;
    EXPECT(tr_application_which(&infos, &count) == TR_OK);
    say("%zu run", count);
}

SCENE(application, callbacks_may_ask_the_controller)
{
    static const plan quiet = {.name = "curious"};
    static const tr_application curious = {
        .name = "curious", .start = plan_start, .arg = &quiet, .prep_stop = asks_in_stop};
    controller_starts(NULL);
    loads(&curious);
    EXPECT(start_it("curious", TR_APP_TEMPORARY, NULL) == TR_OK);
    EXPECT(tr_application_stop(tr_atom("curious"), NULL) == TR_OK);
    SAID("curious start", "1 run", "curious down");
}

/* ---- the environment ---- */

static tr_term env_of_e(void)
{
    return tr_map_n(2, (tr_term[]){tr_atom("k"), tr_int(1), tr_atom("j"), tr_tuple(tr_int(2), tr_int(3))});
}
static const tr_application app_e = {.name = "e", .env = env_of_e};

#define E tr_atom("e")

/* application_SUITE: get_env, set_env; elixir application_test: application environment */
SCENE(application, the_environment_is_read_set_and_unset)
{
    controller_starts(NULL);
    EXPECT(tr_is_none(tr_application_get_env(E, tr_atom("k"))));
    tr_application_set_env(E, tr_atom("k"), tr_int(9)); /* loading puts its own over it */
    loads(&app_e);
    TERM_IS(tr_application_get_env(E, tr_atom("k")), "1");
    TERM_IS(tr_application_get_all_env(E), "#{j=>{2,3},k=>1}");
    tr_application_set_env(E, tr_atom("k"), tr_string("text"));
    tr_application_set_env(E, tr_string("other"), tr_int(5));
    tr_application_unset_env(E, tr_atom("j"));
    TERM_IS(tr_application_get_all_env(E), "#{k=>\"text\",\"other\"=>5}");
    EXPECT(tr_is_none(tr_application_get_env(tr_atom("f"), tr_atom("k"))));
    EXPECT(start_it("e", TR_APP_TEMPORARY, NULL) == TR_OK); /* a library: no process, but it runs */
    EXPECT(top_of("e") == TR_NO_PID);
    EXPECT(tr_application_stop(E, NULL) == TR_OK);
    EXPECT(tr_application_unload(E) == TR_OK);
    TERM_IS(tr_application_get_all_env(E), "#{}");
}

/* application_SUITE: set_env_persistent, persistent_env */
SCENE(application, persistent_values_outlive_unloading)
{
    controller_starts(NULL);
    loads(&app_e);
    tr_application_set_env_persistent(E, tr_atom("k"), tr_int(5));
    tr_application_set_env(E, tr_atom("j"), tr_int(7));
    EXPECT(tr_application_unload(E) == TR_OK);
    EXPECT(tr_is_none(tr_application_get_env(E, tr_atom("k"))));
    loads(&app_e);
    TERM_IS(tr_application_get_all_env(E), "#{j=>{2,3},k=>5}");
    EXPECT(tr_application_controller_stop(1000) == TR_OK);
    TERM_IS(tr_application_get_all_env(E), "#{}"); /* the environment ends with the controller */
}

/* application_SUITE: get_key */
SCENE(application, everything_it_was_declared_with_can_be_read)
{
    tr_app_info info;
    controller_with_abc();
    EXPECT(tr_application_get(tr_atom("a"), &info) == TR_OK && info.app == &app_a && !info.running);
    EXPECT(strcmp(info.app->description, "the first") == 0 && strcmp(info.app->version, "1.0") == 0);
    EXPECT(tr_application_get(tr_atom("x"), &info) == TR_E_NOT_FOUND);
    EXPECT(tr_application_load(&(tr_application){.name = NULL}) == TR_E_BADARG);
}

static tr_next always_dies(void *self, const tr_msg *msg)
{
    (void)self;
    (void)msg;
    tr_exit(tr_atom("bug"));
}

/* supervisor_SUITE: faulty_application_shutdown: a tree that gives up ends the application with shutdown */
SCENE(application, a_tree_that_gives_up_is_no_failure_of_the_others)
{
    static const tr_gen_server faulty = {.name = "faulty", .handle_info = always_dies};
    static const tr_child_spec child = {
        .id = TR_ATOM(PROCESS), .server = &faulty, .start = {.name = TR_ATOM(PROCESS)}};
    static const tr_supervisor top = {
        .name = "top", .flags = {.intensity = 1}, .children = &child, .child_count = 1};
    static const tr_application app = {.name = "faulty", .supervisor = &top};
    tr_app_info info = {.running = true};
    controller_with_abc();
    loads(&app);
    EXPECT(start_it("faulty", TR_APP_TEMPORARY, NULL) == TR_OK);
    for (int i = 0; i < 2; i++) {
        TR_SEND(TR_ATOM(PROCESS), end_with, .reason = TR_ATOM(OK));
        tr_sleep(1);
    }
    EXPECT(tr_application_get(tr_atom("faulty"), &info) == TR_OK && !info.running);
    stage.reported = (stage_log){.used = 0};
    EXPECT(start_it("faulty", TR_APP_TEMPORARY, NULL) == TR_OK); /* and can be started again */
    REPORTED("supervisor.child_started");
}

/* The usual case: a tree given as data. */
static const tr_supervisor empty_tree = {.name = "empty"};
static const tr_application app_tree = {.name = "tree", .supervisor = &empty_tree};

SCENE(application, a_supervisor_is_an_application)
{
    tr_term actual;
    controller_starts(NULL);
    loads(&app_tree);
    EXPECT(start_it("tree", TR_APP_PERMANENT, NULL) == TR_OK);
    tr_child_counts counts;
    EXPECT(tr_supervisor_count_children(tr_to(top_of("tree")), &counts) == TR_OK);
    EXPECT(tr_gen_server_stop(tr_to(top_of("tree")), TR_ATOM(SHUTDOWN), 1000, &actual) == TR_OK);
    says_controller_end();
    SAID("controller {application_terminated,tree,shutdown}");
}
