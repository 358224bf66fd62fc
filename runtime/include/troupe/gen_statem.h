/* gen_statem.h: a state machine process: states, events, time-outs. Semantics are OTP 25's gen_statem.
 *
 *     start_link --> init --> [enter call] --> [ wait ] --event--> callback --> transition --+
 *                     |            ^              ^ ^---- next events, postponed, 0 ms ------+
 *                stop/ignore       +-- change, repeat ---------------------------------------+
 *                                            stop, crash, parent's EXIT (trapping) --> terminate(reason) --> end
 *
 * A machine has exactly one of: `handle_event` (one function for all states, which may be any terms), `states` (a
 * function a state), `table` (transitions as data: statem_table.h).
 *
 * Invariants
 *  1. Callbacks of one machine never overlap. Each runs on a borrowed stack and may block in direct style; what it
 *     receives there is never one of the machine's own time-outs.
 *  2. States are compared exactly. Only a change retries postponed events and ends a state time-out; going to the same
 *     state is staying.
 *  3. Events come in this order: next events as inserted, postponed ones after a change (oldest first), what else waits
 *     inside, time-outs of 0 ms in the order they were set, the mailbox.
 *  4. An event time-out ends with any event, a state time-out with a change, a generic one, known by its name, only when
 *     set anew or cancelled. One that ended is never delivered, also when its time had come already.
 *  5. Actions are carried out from first to last: replies at once, before the enter call; time-outs when the transition is
 *     over, the last one of a kind counts, and one that the enter call sets wins over the transition's.
 *  6. TR_STOP_STATEM: its replies go out before terminate runs (a gen_server's after).
 *  7. A message in an action belongs to the machine from the action's making on; a crash or a kill frees it.
 */
#ifndef TROUPE_GEN_STATEM_H
#define TROUPE_GEN_STATEM_H

#include <troupe/gen_server.h>

typedef enum tr_event_type {
    TR_EVENT_CALL,
    TR_EVENT_CAST,
    TR_EVENT_INFO,
    TR_EVENT_INTERNAL, /* only ever inserted by TR_NEXT_EVENT */
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
    tr_term old_state; /* ENTER; the first one has the state itself */
    const tr_msg *msg; /* all but ENTER */
} tr_event;

/** The payload of an event whose message is known to be a T (by the row of a table, say): another one is this process's bug
 *  (TR_CHECK). TR_MATCH(event->msg, T) asks. */
#define TR_EVENT_DATA(event, T) ((const T *)tr__event_data((event), TR_TYPE(T)))
static inline const void *tr__event_data(const tr_event *event, const tr_type *type)
{
    TR_CHECK(event->msg != NULL && event->msg->type == type);
    return tr_msg_data(event->msg);
}

/* ---- what a callback returns ---- */

typedef enum tr_action_kind {
    TR_ACTION_REPLY = 1,
    TR_ACTION_NEXT_EVENT,
    TR_ACTION_POSTPONE, /* .on */
    TR_ACTION_TIMEOUT,  /* .ms; TR_INFINITY cancels */
    TR_ACTION_UPDATE,   /* another message for a time-out that runs, or else one of 0 ms */
    TR_ACTION_HIBERNATE,
    TR_ACTION_BAD, /* what no action is: the machine ends with bad_action_from_state_function */
} tr_action_kind;

/** One action; build it with the macros below. .msg is taken. */
typedef struct tr_action {
    tr_action_kind kind;
    tr_event_type type; /* which time-out, or what the next event is */
    bool on;            /* postpone */
    bool absolute;      /* .ms is a monotonic time (tr_now_ms), not a duration */
    int64_t ms;
    tr_term name; /* of a generic time-out */
    tr_term what; /* what the exit reason shows when it is not allowed here; none: made from the rest */
    tr_from from; /* whom to reply to; of a next event that is a call */
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

/** What a callback wants to happen next. actions lie on scratch memory. */
typedef struct tr_step {
    tr_step_kind kind;
    tr_term state, reason;
    size_t count;
    const tr_action *actions;
} tr_step;

/** Stay (from init: start in the first state); enter again; go to a state (any term, or its name); end. */
#define TR_KEEP_STATE     ((tr_step){.kind = TR_STEP_KEEP})
#define TR_REPEAT_STATE   ((tr_step){.kind = TR_STEP_REPEAT})
#define TR_NEXT_STATE(s)  ((tr_step){.kind = TR_STEP_NEXT, .state = TR__STATE(s)})
#define TR_STOP_STATEM(r) ((tr_step){.kind = TR_STEP_STOP, .reason = (r)})
#define TR_IGNORE_STATEM  ((tr_step){.kind = TR_STEP_IGNORE})
#define TR__STATE(s)      (_Generic((s), tr_term : tr__state_term, char * : tr_atom, const char * : tr_atom)(s))
static inline tr_term tr__state_term(tr_term state)
{
    return state;
}

/** Adds actions behind those that step has: TR_WITH(TR_NEXT_STATE("open"), TR_STATE_TIMEOUT(5000, relock), TR_POSTPONE).
 *  Takes their messages; copies the rest. Context: the machine's callbacks. */
#define TR_WITH(step, ...)                                                       \
    tr_step_with((step), sizeof((tr_action[]){__VA_ARGS__}) / sizeof(tr_action), \
                 (const tr_action[]){__VA_ARGS__})
tr_step tr_step_with(tr_step step, size_t count, const tr_action *actions);

/** Keeps the event until the state changes. */
#define TR_POSTPONE  ((tr_action){.kind = TR_ACTION_POSTPONE, .on = true})
#define TR_HIBERNATE ((tr_action){.kind = TR_ACTION_HIBERNATE})
/** Answers a call: TR_REPLY_TO(event->from, door_is, .open = true). */
#define TR_REPLY_TO(whom, T, ...) \
    ((tr_action){.kind = TR_ACTION_REPLY, .from = (whom), .msg = TR_MSG(T, __VA_ARGS__)})
/** An event that comes before everything that waits: TR_NEXT_EVENT(TR_EVENT_INTERNAL, door_check). */
#define TR_NEXT_EVENT(kind_, T, ...) \
    ((tr_action){.kind = TR_ACTION_NEXT_EVENT, .type = (kind_), .msg = TR_MSG(T, __VA_ARGS__)})
/** Time-outs: after so many ms the machine is told this message; 0 ms comes before the mailbox. The event time-out, the
 *  state time-out, and generic ones, each with a name (any term, or an atom's text). */
#define TR_EVENT_TIMEOUT_IN(after_ms, T, ...) \
    TR__TIMEOUT_IN(TR_EVENT_TIMEOUT, TR_TERM_NONE_VALUE, (after_ms), T, __VA_ARGS__)
#define TR_STATE_TIMEOUT(after_ms, T, ...) \
    TR__TIMEOUT_IN(TR_EVENT_STATE_TIMEOUT, TR_TERM_NONE_VALUE, (after_ms), T, __VA_ARGS__)
#define TR_GENERIC_TIMEOUT(name_, after_ms, T, ...) \
    TR__TIMEOUT_IN(TR_EVENT_GENERIC_TIMEOUT, TR__STATE(name_), (after_ms), T, __VA_ARGS__)
#define TR__TIMEOUT_IN(type_, name_, ms_, T, ...) \
    ((tr_action){.kind = TR_ACTION_TIMEOUT,       \
                 .type = (type_),                 \
                 .name = (name_),                 \
                 .ms = (ms_),                     \
                 .msg = TR_MSG(T, __VA_ARGS__)})
/** Cancels one: TR_CANCEL(TR_EVENT_STATE_TIMEOUT), TR_CANCEL_GENERIC("idle"). */
#define TR_CANCEL(type_) ((tr_action){.kind = TR_ACTION_TIMEOUT, .type = (type_), .ms = TR_INFINITY})
#define TR_CANCEL_GENERIC(name_)                   \
    ((tr_action){.kind = TR_ACTION_TIMEOUT,        \
                 .type = TR_EVENT_GENERIC_TIMEOUT, \
                 .name = TR__STATE(name_),         \
                 .ms = TR_INFINITY})
/** Another message for one that runs; when none does it comes at once. */
#define TR_UPDATE(type_, T, ...) \
    ((tr_action){.kind = TR_ACTION_UPDATE, .type = (type_), .msg = TR_MSG(T, __VA_ARGS__)})
#define TR_UPDATE_GENERIC(name_, T, ...)           \
    ((tr_action){.kind = TR_ACTION_UPDATE,         \
                 .type = TR_EVENT_GENERIC_TIMEOUT, \
                 .name = TR__STATE(name_),         \
                 .msg = TR_MSG(T, __VA_ARGS__)})

/* ---- machines ---- */

/** A state and its function, for `states`; read through this type whatever the machine's data is. */
typedef struct __attribute__((may_alias)) tr_state_function {
    const char *name;
    tr_step (*call)(void *data, const tr_event *event);
} tr_state_function;
struct tr_statem_table;

/** A machine. All but one of handle_event, states and table is optional. data points to data_bytes of zeroed memory that
 *  lives as long as the process. A machine that makes no sense (no or two callback modes, an unknown first state, a bad
 *  table) does not start: TR_E_EXIT with {bad_machine, Why}. */
typedef struct tr_gen_statem {
    const char *name;
    size_t data_bytes;
    const char
        *first; /* the state when there is no init, or it returns TR_KEEP_STATE; a table brings its own */
    bool enter_calls; /* state enter calls; a table has them when it needs them */
    tr_step (*init)(void *data, const void *arg);
    tr_step (*handle_event)(void *data, tr_term state, const tr_event *event);
    const tr_state_function *states; /* ends with one without name; see TR_STATES */
    const struct tr_statem_table *table;
    void (*terminate)(void *data, tr_term state, tr_term reason);
    /** The data as a term for sys_get_state (with the state: {State, Data}), reports and process lists; NULL: {name,
     *  bytes}. Secrets do not belong in it. */
    tr_term (*format_data)(const void *data);
    bool trap_exit; /* from the first moment */
} tr_gen_statem;

/** Declares `T_statem` from typed callbacks; T is the data's type, and callbacks take T * where tr_gen_statem has void *:
 *
 *      TR_GEN_STATEM(door, .first = "locked",
 *                    .states = TR_STATES(door, {"locked", door_locked}, {"open", door_open}));
 */
#define TR_GEN_STATEM(T, ...)                                                          \
    static const union {                                                               \
        struct {                                                                       \
            const char *name;                                                          \
            size_t data_bytes;                                                         \
            const char *first;                                                         \
            bool enter_calls;                                                          \
            tr_step (*init)(T * data, const void *arg);                                \
            tr_step (*handle_event)(T * data, tr_term state, const tr_event *event);   \
            const tr_state_function *states;                                           \
            const struct tr_statem_table *table;                                       \
            void (*terminate)(T * data, tr_term state, tr_term reason);                \
            tr_term (*format_data)(const T *data);                                     \
            bool trap_exit;                                                            \
        } tr__typed;                                                                   \
        tr_gen_statem machine;                                                         \
    } T##__statem = {.tr__typed = {.name = #T, .data_bytes = sizeof(T), __VA_ARGS__}}; \
    static const tr_gen_statem *const T##_statem __attribute__((unused)) = &T##__statem.machine
#define TR_STATES(T, ...)                                     \
    ((const tr_state_function *)(const void *)(const struct { \
        const char *name;                                     \
        tr_step (*call)(T * data, const tr_event *event);     \
    }[]){__VA_ARGS__, {NULL, NULL}})

/** For an event that the machine does not know: ends it with {unexpected_event, {Type, Message}}. Context: its
 *  callbacks. */
TR_NORETURN tr_step tr_unexpected_event(const tr_event *event);

/** Start as tr_gen_server_start and its kin do. In a child spec: .statem = door_statem. */
TR_MUST_CHECK tr_err tr_gen_statem_start(const tr_gen_statem *machine, const void *arg, size_t arg_bytes,
                                         const tr_start_opts *opts, tr_started *started);
TR_MUST_CHECK tr_err tr_gen_statem_start_link(const tr_gen_statem *machine, const void *arg, size_t arg_bytes,
                                              const tr_start_opts *opts, tr_started *started);
TR_MUST_CHECK tr_err tr_gen_statem_start_monitor(const tr_gen_statem *machine, const void *arg,
                                                 size_t arg_bytes, const tr_start_opts *opts,
                                                 tr_started *started);

/** The calling plain process, started by whatever protocol (tr_init_ack), becomes this machine: init is not called; data_bytes
 *  of data are copied (NULL: zeroed), and step says the first state (TR_KEEP_STATE: the machine's own) with actions. Its
 *  parent is the process that spawned it. The frames of the old life are dropped. A machine that makes no sense ends it with
 *  {bad_machine, Why}. Context: a plain process. */
TR_NORETURN void tr_gen_statem_enter_loop(const tr_gen_statem *machine, const void *data, tr_step step);

/* ---- asking: a machine understands what a gen_server does, TR_CALL, TR_CAST, tr_reply, tr_send_request included ---- */

/** As tr_gen_server_call. OTP's default time-out here is TR_INFINITY. */
TR_MUST_CHECK static inline tr_err tr_gen_statem_call(tr_dest dest, tr_msg *request, int64_t timeout_ms,
                                                      tr_msg **reply, tr_term *reason)
{
    return tr_gen_server_call(dest, request, timeout_ms, reply, reason);
}
/** As tr_gen_server_cast. */
static inline tr_err tr_gen_statem_cast(tr_dest dest, tr_msg *msg)
{
    return tr_gen_server_cast(dest, msg);
}
/** As tr_gen_server_stop. */
TR_MUST_CHECK static inline tr_err tr_gen_statem_stop(tr_dest dest, tr_term reason, int64_t timeout_ms,
                                                      tr_term *actual)
{
    return tr_gen_server_stop(dest, reason, timeout_ms, actual);
}

/** The state of the machine whose data this is: in its callbacks, and in the function of tr_sys_replace_state. Borrowed. */
tr_term tr_gen_statem_state(const void *data);
/** Another state, copied; no enter call, no retry of what was postponed. Only in the function of tr_sys_replace_state,
 *  which fails for a state that the machine does not have. */
void tr_gen_statem_set_state(void *data, tr_term state);

#endif
