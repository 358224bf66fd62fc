/* probe.h: a state machine that says what it hears and does what the event brings along; for the tests of gen_statem.
 *
 * 1. Each event is written as "TYPE NAME in STATE" before anything else; the enter call as "enter OLD in STATE"; terminate as
 *    "terminate REASON in STATE".
 * 2. An event (`ev`) carries a function, which decides what happens; without one the state is kept, and a call answered
 *    with n.
 * 3. probe_statem is one handle_event for all states; guarded_statem traps exits; entering_statem has enter calls;
 *    quiet_statem has no terminate. by_state_statem has state functions for open, closed and done. All start as
 *    `brief` says, in open by default. */
#ifndef TESTS_RUNTIME_PROBE_H
#define TESTS_RUNTIME_PROBE_H

#include "tests/runtime/stage.h"

typedef struct probe probe;
typedef tr_step act_fn(probe *self, const tr_event *event);

TR_MESSAGE_TERMS(
    ev,
    {
        const char *name;
        act_fn *act;
        int64_t n;
        tr_term term;
    },
    offsetof(ev, term));
TR_MESSAGE(answer, { int64_t n; });

/* What a probe is started with. */
typedef struct brief {
    tr_step (*init)(probe *self); /* NULL: TR_KEEP_STATE */
    act_fn *enter;                /* NULL: TR_KEEP_STATE */
    void (*terminate)(tr_term reason);
    bool format_crashes;
} brief;

struct probe {
    brief brief;
    int64_t n;
    tr_from kept;
};

static inline const char *text_of(tr_term term)
{
    return tr_is_none(term) ? "?" : tr_term_text(term);
}

static inline tr_step probe_answers(const tr_event *event, int64_t n)
{
    return TR_WITH(TR_KEEP_STATE, TR_REPLY_TO(event->from, answer, .n = n));
}

static inline tr_step probe_entered(probe *self, tr_term state, const tr_event *event)
{
    say("enter %s in %s", text_of(event->old_state), text_of(state));
    return self->brief.enter == NULL ? TR_KEEP_STATE : self->brief.enter(self, event);
}

static inline tr_step probe_handle_event(probe *self, tr_term state, const tr_event *event)
{
    static const char *const types[] = {"call", "cast", "info", "internal", "timeout", "state_timeout"};
    const ev *e = TR_MATCH(event->msg, ev);
    if (event->type == TR_EVENT_ENTER) {
        return probe_entered(self, state, event);
    }
    const char *type = event->type == TR_EVENT_GENERIC_TIMEOUT ? text_of(event->name) : types[event->type];
    say("%s %s in %s", type, e != NULL ? e->name : event->msg->type->name, text_of(state));
    if (e != NULL && e->act != NULL) {
        return e->act(self, event);
    }
    return event->type == TR_EVENT_CALL ? probe_answers(event, e == NULL ? 0 : e->n) : TR_KEEP_STATE;
}

static inline tr_step probe_in_state(probe *self, const tr_event *event)
{
    return probe_handle_event(self, tr_gen_statem_state(self), event);
}

static inline tr_step probe_init(probe *self, const void *arg)
{
    if (arg != NULL) {
        self->brief = *(const brief *)arg;
    }
    return self->brief.init == NULL ? TR_KEEP_STATE : self->brief.init(self);
}

static inline void probe_terminate(probe *self, tr_term state, tr_term reason)
{
    say("terminate %s in %s", text_of(reason), text_of(state));
    if (self->brief.terminate != NULL) {
        self->brief.terminate(reason);
    }
}

static inline tr_term probe_format(const probe *self)
{
    if (self->brief.format_crashes) {
        tr_exit(tr_atom("cannot_format"));
    }
    return tr_int(self->n);
}

typedef probe guarded, entering, quiet, by_state;
#define PROBE_CALLBACKS .first = "open", .init = probe_init, .format_data = probe_format
TR_GEN_STATEM(probe, PROBE_CALLBACKS, .handle_event = probe_handle_event, .terminate = probe_terminate);
TR_GEN_STATEM(guarded, PROBE_CALLBACKS, .handle_event = probe_handle_event, .terminate = probe_terminate,
              .trap_exit = true);
TR_GEN_STATEM(entering, PROBE_CALLBACKS, .handle_event = probe_handle_event, .terminate = probe_terminate,
              .enter_calls = true);
TR_GEN_STATEM(quiet, PROBE_CALLBACKS, .handle_event = probe_handle_event);
TR_GEN_STATEM(by_state, PROBE_CALLBACKS, .terminate = probe_terminate, .enter_calls = true,
              .states = TR_STATES(by_state, {"open", probe_in_state}, {"closed", probe_in_state},
                                  {"done", probe_in_state}));

/* ---- what events do ---- */

static inline const ev *ev_of(const tr_event *event)
{
    return TR_MATCH(event->msg, ev);
}

/* To the state .term. */
static inline tr_step goes(probe *self, const tr_event *event)
{
    (void)self;
    return TR_NEXT_STATE(ev_of(event)->term);
}

static inline tr_step postpones(probe *self, const tr_event *event)
{
    (void)self;
    (void)event;
    return TR_WITH(TR_KEEP_STATE, TR_POSTPONE);
}

/* Ends with .term. */
static inline tr_step stops(probe *self, const tr_event *event)
{
    (void)self;
    return TR_STOP_STATEM(ev_of(event)->term);
}

static inline tr_step crashes(probe *self, const tr_event *event)
{
    (void)self;
    tr_exit(ev_of(event)->term);
}

/* Sets n, which is the data that is shown. */
static inline tr_step sets(probe *self, const tr_event *event)
{
    self->n = ev_of(event)->n;
    return TR_KEEP_STATE;
}

/* Takes .n ms, in the middle of the callback. */
static inline tr_step sleeps(probe *self, const tr_event *event)
{
    (void)self;
    tr_sleep(ev_of(event)->n);
    return event->type == TR_EVENT_CALL ? probe_answers(event, ev_of(event)->n) : TR_KEEP_STATE;
}

/* ---- what scenes do ---- */

static inline tr_pid a_machine(const tr_gen_statem *machine, brief b)
{
    tr_started started = {.pid = TR_NO_PID};
    EXPECT(tr_gen_statem_start(machine, &b, sizeof b, NULL, &started) == TR_OK);
    return started.pid;
}

#define TELL(pid, what, ...) TR_CAST((pid), ev, .name = (what), ##__VA_ARGS__)

/* A call, said as "= n" or "! ERROR reason". */
static inline tr_err calls_in(tr_dest dest, tr_msg *request, int64_t timeout_ms)
{
    tr_msg *reply = NULL;
    tr_term reason = TR_TERM_NONE_VALUE;
    tr_err err = tr_gen_statem_call(dest, request, timeout_ms, &reply, &reason);
    if (err == TR_OK) {
        say("= %" PRId64, TR_MATCH(reply, answer)->n);
        tr_msg_drop(reply);
    } else {
        say("! %s %s", tr_err_name(err), text_of(reason));
    }
    return err;
}
#define ASK(pid, what, ...) \
    (void)calls_in(TR_DEST(pid), TR_MSG(ev, .name = (what), ##__VA_ARGS__), TR_INFINITY)

/* Waits for the answer to a request, said likewise. */
static inline void says_response(tr_ref request)
{
    tr_msg *reply = NULL;
    tr_term reason = TR_TERM_NONE_VALUE;
    tr_err err = tr_receive_response(request, 10000, &reply, &reason);
    if (err == TR_OK) {
        say("= %" PRId64, TR_MATCH(reply, answer)->n);
        tr_msg_drop(reply);
    } else {
        say("! %s %s", tr_err_name(err), text_of(reason));
    }
}

/* The end of a process that is monitored, said. */
static inline void says_end(tr_ref watched)
{
    tr_msg *msg = tr_receive_ref(watched, 10000);
    if (EXPECT(msg != NULL)) {
        say("end %s", text_of(TR_MATCH(msg, tr_down_msg)->reason));
        tr_msg_drop(msg);
    }
}

/* A normal stop, which has to succeed. */
static inline void stops_well(tr_pid pid)
{
    EXPECT(tr_gen_statem_stop(tr_to(pid), TR_ATOM(NORMAL), TR_INFINITY, NULL) == TR_OK);
}

#endif
