/* gen_statem.h: a state machine process: events, states, time-outs. Semantics are OTP 25's gen_statem.
 *
 * Invariants
 *  1. A state is any term, compared exactly. Only a change retries postponed events and ends a state time-out.
 *  2. Events come in this order: next_event, postponed ones after a change, time-outs of 0, the mailbox.
 *  3. An event time-out ends with any event; a generic one, known by its name, only when set anew or cancelled.
 *  4. TR_STEP_STOP: its replies go out before terminate runs.
 * Limits, of a first version that agrees with the BEAM's traces and lacks comfort: one callback for all states; no
 * child spec for supervisors; adding to many postponed or inserted events walks them; messages made for actions and not
 * handed over, because the callback crashed in between, are not given back; a crash is reported as a gen_server's.
 */
#ifndef TROUPE_GEN_STATEM_H
#define TROUPE_GEN_STATEM_H

#include <troupe/gen_server.h>

typedef enum tr_event_type {
    TR_EVENT_CALL,
    TR_EVENT_CAST,
    TR_EVENT_INFO,
    TR_EVENT_INTERNAL,
    TR_EVENT_TIMEOUT,
    TR_EVENT_STATE_TIMEOUT,
    TR_EVENT_GENERIC_TIMEOUT,
    TR_EVENT_ENTER, /* never queued: the state enter call */
} tr_event_type;

/** What a machine is told. Borrowed until the callback returns. */
typedef struct tr_event {
    tr_event_type type;
    tr_from from;      /* CALL */
    tr_term name;      /* GENERIC_TIMEOUT */
    tr_term old_state; /* ENTER */
    const tr_msg *msg; /* all but ENTER */
} tr_event;

typedef enum tr_action_kind {
    TR_ACTION_REPLY = 1,
    TR_ACTION_NEXT_EVENT,
    TR_ACTION_POSTPONE, /* .on */
    TR_ACTION_TIMEOUT,  /* .ms; TR_INFINITY cancels */
    TR_ACTION_UPDATE,   /* another message for a running time-out, or one of 0 ms */
    TR_ACTION_HIBERNATE,
    TR_ACTION_BAD,
} tr_action_kind;

/** One action; the machine takes .msg. .type tells which time-out, or what a next event is. */
typedef struct tr_action {
    tr_action_kind kind;
    tr_event_type type;
    bool on;
    int64_t ms;
    tr_term name; /* of a generic time-out */
    tr_term what; /* what the exit reason shows when the action is not allowed here */
    tr_from from;
    tr_msg *msg;
} tr_action;

typedef enum tr_step_kind {
    TR_STEP_KEEP = 1,
    TR_STEP_NEXT,   /* .state */
    TR_STEP_REPEAT, /* enter the state again */
    TR_STEP_STOP,   /* .reason; actions: replies only */
    TR_STEP_IGNORE, /* init only */
    TR_STEP_BAD,    /* .reason is what was returned */
} tr_step_kind;

/** What a callback wants to happen next. actions lie on scratch memory: see TR_ACTIONS. */
typedef struct tr_step {
    tr_step_kind kind;
    tr_term state, reason;
    size_t count;
    const tr_action *actions;
} tr_step;

/** Callbacks; init and terminate are optional. data points to data_bytes of zeroed memory of the process. */
typedef struct tr_gen_statem {
    const char *name;
    size_t data_bytes;
    const char *first; /* state without init: an atom */
    bool enter_calls;
    tr_step (*init)(void *data, const void *arg);
    tr_step (*handle_event)(void *data, tr_term state, const tr_event *event);
    void (*terminate)(void *data, tr_term state, tr_term reason);
    tr_term (*format_data)(const void *data);
    bool trap_exit;
} tr_gen_statem;

#define TR_KEEP_STATE     ((tr_step){.kind = TR_STEP_KEEP})
#define TR_REPEAT_STATE   ((tr_step){.kind = TR_STEP_REPEAT})
#define TR_NEXT_STATE(s)  ((tr_step){.kind = TR_STEP_NEXT, .state = (s)})
#define TR_STOP_STATEM(r) ((tr_step){.kind = TR_STEP_STOP, .reason = (r)})
/** Adds actions to a step, first to last: tr_step_with(TR_KEEP_STATE, 1, (tr_action[]){TR_POSTPONE}). Copied. */
tr_step tr_step_with(tr_step step, size_t count, const tr_action *actions);
#define TR_POSTPONE ((tr_action){.kind = TR_ACTION_POSTPONE, .on = true})
#define TR_ACTION_REPLY_TO(whom, T, ...) \
    ((tr_action){.kind = TR_ACTION_REPLY, .from = (whom), .msg = TR_MSG(T, __VA_ARGS__)})
#define TR_STATE_TIMEOUT(after_ms, T, ...)       \
    ((tr_action){.kind = TR_ACTION_TIMEOUT,      \
                 .type = TR_EVENT_STATE_TIMEOUT, \
                 .ms = (after_ms),               \
                 .msg = TR_MSG(T, __VA_ARGS__)})

/** Start as tr_gen_server_start and its kin do. */
TR_MUST_CHECK tr_err tr_gen_statem_start(const tr_gen_statem *machine, const void *arg, size_t arg_bytes,
                                         const tr_start_opts *opts, tr_started *started);
TR_MUST_CHECK tr_err tr_gen_statem_start_link(const tr_gen_statem *machine, const void *arg, size_t arg_bytes,
                                              const tr_start_opts *opts, tr_started *started);
TR_MUST_CHECK tr_err tr_gen_statem_start_monitor(const tr_gen_statem *machine, const void *arg,
                                                 size_t arg_bytes, const tr_start_opts *opts,
                                                 tr_started *started);

/** Inside the function of tr_sys_replace_state, with the memory it got: the state, borrowed; another one, copied. */
tr_term tr_gen_statem_state(const void *data);
void tr_gen_statem_set_state(void *data, tr_term state);

#endif
