/* statem.h: the parts of gen_statem. Not public.
 *
 *     gen_statem.c        the behaviour: start, messages, sys
 *     statem_loop.c       one event: callback, actions, enter call, what comes next
 *     statem_actions.c    what a callback asked for
 *     statem_timeouts.c   time-outs by kind and name
 *     statem_queue.c      events that wait
 *     statem_callback.c   which function gets an event; what is wrong with a machine
 *     statem_report.c     the end, and what is said about it
 *     statem_table.c, statem_check.c    transitions as data; statem_diagram.c, statem_mermaid.c, statem_dot.c draw them
 *
 * Invariants
 *  1. An entry is in exactly one place: current, one of the lists, or the time-outs. Its message is the machine's own there,
 *     so whatever ends the process frees each once (tr__statem.resource); the entry itself is process memory. But for the event
 *     that a message brings: its entry is lent, and becomes such a one only if it is postponed.
 *  2. Adding to a list, taking its first, joining two, and setting, finding, cancelling a time-out cost O(1).
 *  3. A time-out's timer sends TR_MSG_ACK, a kind that no receive of a callback sees and that waits while the machine is
 *     suspended. One whose reference no time-out has any more was cancelled too late and is dropped.
 *  4. between two events that one message causes lies tr__boundary: a kill is honoured there.
 *  5. `place` is the position of the state in states or in the table, whenever there is one of them.
 */
#ifndef TROUPE_OTP_STATEM_H
#define TROUPE_OTP_STATEM_H

#include <troupe/gen_statem.h>
#include <troupe/statem_table.h>

#include "runtime/otp/gen.h"

/* An event that waits, or a time-out: one record, for one becomes the other. */
typedef struct tr__statem_entry {
    struct tr__statem_entry *next; /* in its list, or in its bucket */
    tr_event event;                /* name is kept */
    tr_msg *msg;                   /* ours */
    /* of a time-out */
    struct tr__statem_entry *before, *after; /* 0 ms: in the order they were set */
    tr_ref timer;                            /* id 0: 0 ms */
    int64_t ms;
    bool update, absolute;
    bool superseded; /* by a later one of the same transition */
} tr__statem_entry;

/* ---- lists (statem_queue.c) ---- */

typedef struct tr__statem_list {
    tr__statem_entry *first, *last;
} tr__statem_list;

/** A new entry, which owns msg (NULL allowed) from now on. */
tr__statem_entry *tr__statem_entry_new(tr_event_type type, tr_term name, tr_msg *msg);
void tr__statem_entry_free(tr__statem_entry *entry);
/** At the process's end, outside the process: only what its memory does not take along. */
void tr__statem_entry_drop(tr__statem_entry *entry);
void tr__statem_put(tr__statem_list *list, tr__statem_entry *entry);
/** The first one, or NULL. */
tr__statem_entry *tr__statem_take(tr__statem_list *list);
/** Puts all of rest behind list; rest is empty then. */
void tr__statem_join(tr__statem_list *list, tr__statem_list *rest);
void tr__statem_list_drop(tr__statem_list *list);

/* ---- time-outs (statem_timeouts.c) ---- */

/* The event and the state time-out are alone of their kind; generic ones are in buckets by the hash of their name. */
typedef struct tr__statem_timeouts {
    tr__statem_entry *event, *state;
    tr__statem_entry **buckets;
    uint32_t room, count; /* of buckets; of generic time-outs */
    tr__statem_entry *zero_first, *zero_last;
} tr__statem_timeouts;

/** Sets the time-out that entry asks for (taken), in place of the one of the same kind and name. */
void tr__statem_timeout_set(tr__statem_timeouts *timeouts, tr__statem_entry *entry);
void tr__statem_timeout_cancel(tr__statem_timeouts *timeouts, tr_event_type type, tr_term name);
/** The time-out that this timer's message stands for, taken out; NULL: it was cancelled. */
tr__statem_entry *tr__statem_timeout_fired(tr__statem_timeouts *timeouts, const tr_msg *msg);
/** Is this a message of such a timer? */
bool tr__statem_is_timer(const tr_msg *msg);
/** The oldest time-out of 0 ms, taken out, or NULL. */
tr__statem_entry *tr__statem_timeout_zero(tr__statem_timeouts *timeouts);
/** Calls fn for each. */
void tr__statem_timeouts_each(const tr__statem_timeouts *timeouts,
                              void (*fn)(tr__statem_entry *entry, void *ctx), void *ctx);
void tr__statem_timeouts_drop(tr__statem_timeouts *timeouts);

/* A table made ready to run, once in the life of the OS process: of a state only the rows that can apply, in order. */
typedef struct tr__statem_row {
    const tr_transition *row;
    uint32_t target; /* TR__STAYS, TR__ENDS, or a state's place */
    tr_term timeout; /* atom of a generic time-out */
} tr__statem_row;
#define TR__STAYS UINT32_MAX
#define TR__ENDS  (UINT32_MAX - 1)
typedef struct tr__statem_plan {
    const tr_statem_table *table;
    uint32_t state_count;
    bool enters;     /* some state has something to do when it is entered */
    tr_term *states; /* atoms */
    uint32_t *rows;  /* state i: of[rows[i]] up to of[rows[i + 1]] */
    tr__statem_row of[];
} tr__statem_plan;

/* ---- the machine ---- */

typedef struct tr__statem {
    tr__sys sys; /* first: see sys.h. flag: see gen.h */
    const tr_gen_statem *module;
    const void *init_arg; /* until init was called */
    tr_resource resource; /* drops messages and timers at the end */
    tr_term state;        /* kept */
    uint32_t place;
    bool postpone; /* the current event, when its transition is over */
    bool lent;     /* current lies on the frames of who handles its message, which stays the process's own */
    tr__statem_entry *current;
    tr__statem_list queue, postponed;
    tr__statem_list next_events, new_timeouts; /* of the transition under way */
    tr__statem_timeouts timeouts;
    const struct tr__statem_plan *plan; /* of a table */
    _Alignas(16) unsigned char data[];
} tr__statem;

/** What the spawner hands to a new machine; must live until tr__spawn_process / tr__start returned. */
typedef struct tr__statem_args {
    const tr_gen_statem *machine;
    tr__gen_args gen;
} tr__statem_args;

extern const tr__behaviour tr__statem_behaviour;
/** Fills *spawn so that it starts this machine; as tr__gen_server_spawn. */
void tr__statem_spawn(tr__spawn *spawn, tr__statem_args *args, const tr_start_opts *opts);

/* ---- one event (statem_loop.c) ---- */

/** init returned this step (checked): enters the first state and works off what its actions ask for. */
void tr__statem_begin(tr__statem *m, const tr_step *step);
/** Handles an event (taken) and all that it causes. Does not return when the machine ends. */
void tr__statem_event(tr__statem *m, tr__statem_entry *entry);
/** The same with an entry that the caller lends, for a message that the running slice holds: it is copied when it must wait. */
void tr__statem_event_lent(tr__statem *m, tr__statem_entry *entry);

/* ---- actions (statem_actions.c) ---- */

/** Carries out all actions of a step. entering: of an enter call, which may not do everything. */
void tr__statem_act(tr__statem *m, const tr_step *step, bool entering);
/** The replies of a step that stops. */
void tr__statem_act_last(tr__statem *m, const tr_step *step);

/* ---- callbacks (statem_callback.c) ---- */

/** Calls what handles events in the state that the machine is in. */
static inline tr_step tr__statem_call(tr__statem *m, const tr_event *event);
static inline bool tr__statem_has_enter_calls(const tr__statem *m)
{
    return m->plan != NULL ? m->plan->enters : m->module->enter_calls;
}
/** The state when init names none, or none. */
tr_term tr__statem_first(const tr__statem *m);
/** Sets the state (copied) and its place; the old one is the caller's to free. Returns false, and does nothing, when the machine has
 *  no such state. */
bool tr__statem_go(tr__statem *m, tr_term state);
/** Prepares for callbacks. Returns: what is wrong with the machine, as a term, or none. */
tr_term tr__statem_prepare(tr__statem *m);

/* ---- the end (statem_report.c) ---- */

/** terminate, report, end. */
TR_NORETURN void tr__statem_end(tr__statem *m, tr_term reason);
/** The end with {what, value}. */
TR_NORETURN void tr__statem_bad(tr__statem *m, const char *what, tr_term value);
/** {State, Data}. */
tr_term tr__statem_state(void *m);
/** {Type, Message}, as far as a message can be shown. */
tr_term tr__statem_event_term(const tr_event *event);
/** For whom watches: an event is heard, put off or done with. */
void tr__statem_tell(tr__statem *m, tr_sys_event_kind kind, const tr__statem_entry *entry);
static inline void tr__statem_told(tr__statem *m, tr_sys_event_kind kind, const tr__statem_entry *entry)
{
    if (tr__sys_is_watched(&m->sys)) {
        tr__statem_tell(m, kind, entry);
    }
}
/** What is shown of a step that may not be returned where it was. */
tr_term tr__statem_step_term(const tr_step *step);

/* ---- tables (statem_table.c, statem_check.c) ---- */

/** The table's plan. Returns NULL with *error (on scratch) when the table is wrong. Context: any thread. */
const tr__statem_plan *tr__statem_plan_of(const tr_statem_table *table, tr_term *error);
/** Does row apply in this state? TR_ANY_STATE stands for all that are not final. */
bool tr__statem_row_applies(const tr_transition *row, const tr_state *state);
/** Position of a state, or its count. */
uint32_t tr__statem_state_at(const tr_statem_table *table, const char *name);
/** What is wrong with a table, or none. */
tr_term tr__statem_table_error(const tr_statem_table *table);
/** What the table says about an event in this state. */
tr_step tr__statem_table_step(const tr__statem_plan *plan, uint32_t place, void *data, const tr_event *event);

static inline tr_step tr__statem_call(tr__statem *m, const tr_event *event)
{
    const tr_gen_statem *module = m->module;
    if (module->handle_event != NULL) {
        return module->handle_event(m->data, m->state, event);
    }
    if (module->states != NULL) {
        return module->states[m->place].call(m->data, event);
    }
    return tr__statem_table_step(m->plan, m->place, m->data, event);
}

#endif
