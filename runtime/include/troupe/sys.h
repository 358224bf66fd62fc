/* sys.h: looking into and holding any behaviour process (OTP's sys). Requests wait behind nothing but the
 * running callback's predecessors in the mailbox; a suspended process handles only these and its parent's
 * EXIT.
 *
 * Debugging: a process that is watched tells what it hears and says: to its statistics, its log, the node's reports
 * (trace), a file, and functions that were installed. One that is not watched pays for one branch a message.
 *
 * Invariants
 *  1. Nothing that watches can harm the process: a crash in a debug function takes that function away, one in
 *     format_state leaves the state out of the event.
 *  2. Everything that watches runs inside the process, between its callbacks, and must not block it for long.
 *  3. Errors of all requests: TR_E_NOPROC, TR_E_TIMEOUT, TR_E_EXIT (it ended meanwhile), TR_E_CALLING_SELF.
 * There is no change_code: C has no code to load under a running process. What OTP does with it (state of an old
 * version into one of a new) is suspend, tr_sys_replace_state, resume.
 */
#ifndef TROUPE_SYS_H
#define TROUPE_SYS_H

#include <troupe/process.h>

/** The state as a term (format_state). On the caller's scratch. Errors: TR_E_NOPROC, TR_E_TIMEOUT, TR_E_EXIT.
 *  Blocks: parks. */
TR_MUST_CHECK tr_err tr_sys_get_state(tr_dest dest, int64_t timeout_ms, tr_term *state);
/** Runs fn(state memory, ctx) inside the server; fn must not block. ctx must live until the call returns. A
 *  crash in fn ends nothing: TR_E_EXIT. */
TR_MUST_CHECK tr_err tr_sys_replace_state(tr_dest dest, void (*fn)(void *self, void *ctx), void *ctx,
                                          int64_t timeout_ms);
TR_MUST_CHECK tr_err tr_sys_suspend(tr_dest dest, int64_t timeout_ms);
TR_MUST_CHECK tr_err tr_sys_resume(tr_dest dest, int64_t timeout_ms);
/** TR_ATOM(RUNNING) or TR_ATOM(SUSPENDED). */
TR_MUST_CHECK tr_err tr_sys_get_status(tr_dest dest, int64_t timeout_ms, tr_term *status);
/** All of OTP's get_status. Terms are on the caller's scratch. */
typedef struct tr_sys_status {
    tr_pid pid;
    tr_pid parent; /* whose EXIT ends it, or TR_NO_PID */
    const char *behaviour;
    bool suspended;
    tr_term
        debug; /* what watches: [statistics, {log,N}, trace, {log_to_file,Path}, {install,Id}], as far as on */
    tr_term state;
} tr_sys_status;
TR_MUST_CHECK tr_err tr_sys_status_of(tr_dest dest, int64_t timeout_ms, tr_sys_status *out);
/** Ends it through terminate, like tr_gen_server_stop, without waiting for the end. */
TR_MUST_CHECK tr_err tr_sys_terminate(tr_dest dest, tr_term reason, int64_t timeout_ms);
/** Counters kept while on. */
typedef struct tr_sys_statistics {
    int64_t start_ms, now_ms;
    uint64_t messages_in, messages_out, reductions;
} tr_sys_statistics;
TR_MUST_CHECK tr_err tr_sys_statistics_on(tr_dest dest, bool on, int64_t timeout_ms);
/** Errors: TR_E_STATE when statistics are off. */
TR_MUST_CHECK tr_err tr_sys_statistics_get(tr_dest dest, int64_t timeout_ms, tr_sys_statistics *out);

/* ---- events ---- */

typedef enum tr_sys_event_kind {
    TR_SYS_IN,       /* {in, Msg}: it hears a message (also its time-out)                       */
    TR_SYS_OUT,      /* {out, Msg, To, State}: what a callback returned is an answer to To      */
    TR_SYS_NOREPLY,  /* {noreply, State}: a callback returned without an answer                 */
    TR_SYS_CONTINUE, /* {continue, Msg}: handle_continue has run                                */
    /* of state machines, which tell {in, {Type, Content}, State} as well */
    TR_SYS_POSTPONE, /* {postpone, {Type, Content}, State}: it has had its turn, and waits      */
    TR_SYS_CONSUME,  /* {consume, {Type, Content}, State}: it has had its turn, and led here    */
} tr_sys_event_kind;

/** Something that a watched process heard or said. Borrowed. */
typedef struct tr_sys_event {
    tr_sys_event_kind kind;
    const tr_msg *msg; /* what was heard, or is put away; of an answer only when it goes out after terminate;
                        * else NULL */
    tr_pid to;         /* OUT */
    tr_term state; /* OUT, NOREPLY: as tr_sys_get_state; of a machine's IN, POSTPONE, CONSUME: its state */
    tr_term term;  /* the event as OTP's term; a message that is no term shows as {type_name} */
} tr_sys_event;

/** A debug function: runs inside the process for each event. Returns: false when it is done, and goes. */
typedef bool (*tr_sys_debug_fn)(void *own, const tr_sys_event *event);
/** Installs it under an id with a copy of bytes of own, which it may change. One with this id that is there stays.
 *  Errors: also TR_E_BADARG without an id. */
TR_MUST_CHECK tr_err tr_sys_install(tr_dest dest, tr_term id, tr_sys_debug_fn fn, const void *own,
                                    size_t bytes, int64_t timeout_ms);
/** Takes it away; fine when absent. */
TR_MUST_CHECK tr_err tr_sys_remove(tr_dest dest, tr_term id, int64_t timeout_ms);

#define TR_SYS_LOG_DEFAULT 10u
/** Keeps the last `events` events; 0: none (any more). Another number keeps the newest of what is there. At most
 *  100 000. */
TR_MUST_CHECK tr_err tr_sys_log(tr_dest dest, uint32_t events, int64_t timeout_ms);
/** The kept events, oldest first, on scratch; none when logging is off. When they are larger than 1 MiB: the newest. */
TR_MUST_CHECK tr_err tr_sys_log_get(tr_dest dest, int64_t timeout_ms, const tr_term **events, size_t *count);
/** Reports each kept event, as trace does. */
TR_MUST_CHECK tr_err tr_sys_log_print(tr_dest dest, int64_t timeout_ms);
/** Reports each event (TR_REPORT_SYS_EVENT) while on. */
TR_MUST_CHECK tr_err tr_sys_trace(tr_dest dest, bool on, int64_t timeout_ms);
/** Writes a line for each event into this file, which is emptied first; NULL: not any more. The process writes it
 *  itself, blocking: for debugging only. Errors: also TR_E_BADARG when it cannot be opened. */
TR_MUST_CHECK tr_err tr_sys_log_to_file(tr_dest dest, const char *path, int64_t timeout_ms);
/** Nothing watches any more. */
TR_MUST_CHECK tr_err tr_sys_no_debug(tr_dest dest, int64_t timeout_ms);

#endif
