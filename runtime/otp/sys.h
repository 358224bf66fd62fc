/* sys.h: the one place that answers sys requests (TR_MSG_SYSTEM) for every behaviour. Not public.
 *
 *     handle(data, msg): if (tr__sys_handle(&d->sys, msg, &ops, d)) { return; } first thing in each
 *     behaviour's handle
 *
 * Invariants
 *  1. A suspended process is given nothing but TR_MSG_SYSTEM and its parent's EXIT (the mailbox filter
 *     belongs to this module
 *     meanwhile); the rest stays queued in order and comes after resume. Suspending twice is one suspension.
 *  2. terminate: the requester is answered first, then ops->terminate runs; suspension is over by then. A
 *     stop is a terminate
 *     that is answered by nothing but the end of the process.
 *  3. A crash in ops->state or in the function of replace_state harms nobody: the requester gets TR_E_EXIT.
 *  4. The function of replace_state never runs after its requester stopped waiting or died: whoever is first
 *     claims the ticket.
 *  5. debug is NULL while nothing watches: a behaviour asks that (one branch) before it makes an event.
 * Life cycle: zeroed memory plus .parent is a running process that nothing watches; nothing to release (all
 * memory is the process's, an open file a resource of it).
 */
#ifndef TROUPE_OTP_SYS_H
#define TROUPE_OTP_SYS_H

#include <troupe/sys.h>

/** The first member of each behaviour's data: the mailbox filter of a suspended process finds it there. */
typedef struct tr__sys {
    tr_pid parent;               /* whose EXIT ends the process; set by the behaviour; TR_NO_PID: nobody's */
    struct tr__sys_debug *debug; /* NULL: nothing watches */
    bool suspended;
    bool flag; /* the behaviour's own, so that it need not begin another word */
} tr__sys;

/** What sys needs to know about a behaviour. All run inside the process; data is the behaviour's. */
typedef struct tr__sys_ops {
    /** The state as a term, on scratch. */
    tr_term (*state)(void *data);
    /** Optional: the memory that replace_state's function gets; absent: replace_state is refused
     *  (TR_E_STATE). */
    void *(*memory)(void *data);
    /** Ends the process with this reason, or begins to (a supervisor) and returns. reason is on scratch: keep
     *  it if it is needed after the running handle. */
    void (*terminate)(void *data, tr_term reason);
} tr__sys_ops;

/** Handles a sys request. Returns false when msg is something else (untouched). The message stays the
 *  caller's. */
bool tr__sys_handle(tr__sys *sys, tr_msg *msg, const tr__sys_ops *ops, void *data);
/** Ends a suspension, because the process begins to terminate for another reason (its parent's EXIT). Fine
 *  when there is none. */
void tr__sys_end(tr__sys *sys);

/* ---- what a behaviour tells of itself: one branch when nothing watches (sys_debug.c) ---- */

struct tr__proc;
/** For a process that is being filled: what its start options ask for (TR_DEBUG_...). data: what ops get. */
void tr__sys_debug_start(struct tr__proc *proc, tr__sys *sys, const tr__sys_ops *ops, void *data,
                         uint32_t debug);

static inline bool tr__sys_is_watched(const tr__sys *sys)
{
    return __builtin_expect(sys->debug != NULL, 0);
}
/** It is watched, and this happened. msg, to: as in tr_sys_event; answer: of which type it was, when it is gone. */
__attribute__((cold)) void tr__sys_event(tr__sys *sys, tr_sys_event_kind kind, const tr_msg *msg, tr_pid to,
                                         const tr_type *answer);
/** It is watched, and says {kind, what, state} in its own words; they are on scratch. */
__attribute__((cold)) void tr__sys_told(tr__sys *sys, tr_sys_event_kind kind, const tr_msg *msg, tr_term what,
                                        tr_term state);
/** What a message is in an event: its term, or {type_name}. On scratch. */
tr_term tr__sys_content(const tr_msg *msg);
/** It hears a message. */
static inline void tr__sys_heard(tr__sys *sys, const tr_msg *msg)
{
    if (tr__sys_is_watched(sys)) {
        tr__sys_event(sys, TR_SYS_IN, msg, TR_NO_PID, NULL);
    }
}
/** An answer of this type goes (went) to somebody. */
static inline void tr__sys_answered(tr__sys *sys, tr_pid to, const tr_type *type)
{
    if (tr__sys_is_watched(sys)) {
        tr__sys_event(sys, TR_SYS_OUT, NULL, to, type);
    }
}
/** For behaviours that tell of numbers only. */
void tr__sys_count(tr__sys *sys, uint32_t in, uint32_t out);
static inline void tr__sys_in(tr__sys *sys)
{
    if (tr__sys_is_watched(sys)) {
        tr__sys_count(sys, 1, 0);
    }
}
static inline void tr__sys_out(tr__sys *sys)
{
    if (tr__sys_is_watched(sys)) {
        tr__sys_count(sys, 0, 1);
    }
}

/** Asks a behaviour to end with reason and waits for its end: the work of every stop function. Errors as
 *  tr_gen_server_stop. */
tr_err tr__sys_stop(tr_dest dest, tr_term reason, int64_t timeout_ms, tr_term *actual);

#endif
