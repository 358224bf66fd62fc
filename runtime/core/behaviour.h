/* behaviour.h: what the core offers to the behaviours in runtime/otp/ (gen_server, supervisor ...). Not
 * public.
 *
 * A behaviour process is driven by messages: the scheduler borrows a stack and calls `handle` for each
 * message; when none is left it calls `idle`, and when that did nothing the process waits without a stack.
 *
 * Invariants
 *  1. start, handle and idle of one process never overlap; each may end the process (tr__finish, tr_exit) or,
 *     unless
 *     never_parks, park it in the middle.
 *  2. After start and after each handle: messages the process holds are freed (the one handled and replies
 *     fetched by calls)
 *     and its scratch memory is released. What must live longer is kept: tr_keep, tr_alloc, tr__msg_keep.
 *  3. Signals (exit, link, monitor, info) never reach a behaviour; the core acts on them. A trapped exit
 *     signal and a
 *     monitor that fired arrive as messages of kind TR_MSG_EXIT and TR_MSG_DOWN, in order with the others. So
 *     do sys requests
 *     (TR_MSG_SYSTEM), start acknowledgements (TR_MSG_ACK) and stray replies (TR_MSG_REPLY: drop them).
 *  4. An untrapped exit signal ends the process without asking the behaviour.
 */
#ifndef TROUPE_CORE_BEHAVIOUR_H
#define TROUPE_CORE_BEHAVIOUR_H

#include <troupe/gen_server.h>
#include <troupe/node.h>

struct tr__proc;

typedef struct tr__behaviour {
    const char *name;          /* "gen_server": shown in summaries                                  */
    void (*start)(void *data); /* first thing in the new process                                    */
    void (*handle)(void *data, tr_msg *msg);
    bool (*idle)(void *data); /* may be NULL. True: it did something, look at the mailbox again    */
    bool never_parks;         /* parking is the runtime's bug (TR_ASSERT)                          */
    const char *(*module)(const void *data); /* may be NULL. Whose init it ran: for initial_call */
    void (*crashed)(
        void *data,
        tr_term reason); /* where tr_exit and tr_error in a callback lead (tr__guard_begin); never returns */
} tr__behaviour;

/* ---- starting
 * --------------------------------------------------------------------------------------------------- */
typedef struct tr__spawn {
    const tr__behaviour *behaviour; /* NULL: plain process running main(arg)                             */
    tr_main_fn main;
    const void *arg; /* plain: copied                                                     */
    size_t arg_bytes;
    size_t data_bytes; /* behaviour: zeroed memory of the new process, handed to its functions  */
    const char *label; /* shown when opts.label is NULL; borrowed: it must outlive the process  */
    void (*fill)(struct tr__proc *proc, void *data,
                 void *ctx); /* runs in the spawner before the process can run */
    void *fill_ctx;
    tr_spawn_opts opts; /* link and monitor as in tr_spawn                                   */
    tr_ref ack;         /* alias of the starter that waits for tr__init_ack / tr__init_fail; id 0: nobody */
    tr_ref *
        await_ack; /* out, instead of ack: a monitor-and-alias of the spawner, set up atomically; the ACK or a DOWN comes to it */
    bool open_replies; /* takes replies to any reference it owns, without an alias */
    bool
        manual_ack; /* plain: acknowledged by tr_init_ack; else a plain process with .ack acknowledges itself first */
    bool report_crash;   /* proc_lib: abnormal ends are reported as crashes (behaviours: always) */
    tr_start_opts start; /* its name/registry/key/value are registered in the new process before start runs
                                             (copied); when taken: init fails with {already_started, Pid}      */
    uint32_t restarts;   /* shown in its summary                                              */
} tr__spawn;
tr_err tr__spawn_process(const tr__spawn *spawn, tr_pid *pid);

/** The calling plain process becomes a process of this behaviour (enter_loop of OTP). fill gets its zeroed data and
 *  copies what it needs of the old life; then start runs, on the frames there are, which are dropped after it. Held
 *  messages and scratch are given back; its arena stays. */
TR_NORETURN void tr__become(const tr__behaviour *behaviour, size_t data_bytes,
                            void (*fill)(void *data, void *ctx), void *ctx);
/** Drops the frames of the calling process: the next message goes to its behaviour. */
TR_NORETURN void tr__drop_frames(void);

/* Memory of a process that is being filled (fill) or of the calling one. */
void *tr__arena_alloc(struct tr__proc *proc, size_t bytes);
tr_term tr__arena_keep(struct tr__proc *proc, tr_term term);

/** A copy of a term on the caller's scratch memory. */
tr_term tr__to_scratch(tr_term term);

/* Start protocol (proc_lib). The ack is a message of kind TR_MSG_ACK, type tr__ack, to the starter's alias.
 * */
typedef enum tr__ack_kind { TR__ACK_OK, TR__ACK_IGNORE, TR__ACK_ERROR } tr__ack_kind;
TR_MESSAGE_TERMS(
    tr__ack,
    {
        tr__ack_kind kind;
        tr_pid pid;
        tr_term info; /* OK: third value of {ok, Pid, Info}, or none; ERROR: the reason */
    },
    offsetof(tr__ack, info));
/** Tells the starter (if one waits; only the first time). */
void tr__init_ack(tr_term info);
/** Unregisters the process's names, tells the starter, ends the process with exit_reason (ignore: normal). */
TR_NORETURN void tr__init_fail(tr__ack_kind kind, tr_term told, tr_term exit_reason);

/** start / start_link / start_monitor for any tr__spawn: spawns, waits for the ack, the end, or the time-out,
 *  as proc_lib does. Parks the caller. Checks the name before spawning (already_started). */
typedef enum tr__start_how {
    TR__START_ALONE,
    TR__START_LINKED,
    TR__START_MONITORED, /* gen's: a failed start takes the monitor away */
    TR__START_WATCHED,   /* proc_lib's: the monitor stays; opts.link is honoured */
} tr__start_how;
tr_err tr__start(tr__spawn *spawn, tr__start_how how, int64_t timeout_ms, tr_started *started, tr_term *info);

/* ---- running
 * ---------------------------------------------------------------------------------------------------- */
/** Calls fn(ctx). Returns false when it returned; true when it ended in tr_exit/tr_error/TR_CHECK, and then
 *  *reason (scratch). Signals from outside are not caught. Frames skipped are just dropped. */
bool tr__catch(void (*fn)(void *ctx), void *ctx, tr_term *reason);

/** Ends the calling process now, past every tr__catch, with this reason. No report is made for it (the
 *  behaviour made its own) except the crash report of proc_lib when reason is not clean. */
TR_NORETURN void tr__finish(tr_term reason);

/** From now on handle gets only messages that wants() accepts, oldest first; the others stay queued in order.
 *  NULL: all. */
void tr__set_filter(bool (*wants)(void *data, const tr_msg *msg));

/** The same for a wait whose message cannot be queued yet: what is in the queue now is not even looked at. */
void tr__set_filter_new(bool (*wants)(void *data, const tr_msg *msg));

/** What lies between two callbacks of one handle (chained continues): held messages are freed, scratch is
 *  released, a reduction is counted, signals are acted on (kill!), and now and then others run first. keep
 *  (NULL allowed) stays held across it. */
void tr__boundary(tr_msg *keep);

/** A timer of the calling process's core for pid `to`, delivered as this kind with the timer's reference.
 *  Takes msg. */
tr_ref tr__timer_start(int64_t ms, tr_pid to, tr_msg_kind kind, tr_msg *msg);
/** Cancels without an answer; never parks. */
void tr__forget_timer(tr_ref timer);

/** The message stays alive after handle; the caller owns it (tr_msg_drop). For queues of deferred messages.
 *  */
void tr__msg_keep(tr_msg *msg);

/** Reply plumbing: answers from.ref with msg as kind TR_MSG_REPLY; takes msg. */
tr_err tr__reply(tr_from from, tr_msg *msg);
/** Sends msg with this kind: CALL (from = who waits), CAST, SYSTEM, ACK ... Takes msg. */
tr_err tr__send_kind(tr_dest dest, tr_msg_kind kind, tr_ref ref, tr_msg *msg);
/** The same for a request whose asker (ref.owner) hears of the target's end: for processes with open_replies.
 *  */
tr_err tr__send_kind_monitored(tr_dest dest, tr_msg_kind kind, tr_ref ref, tr_msg *msg);
/** The same to whom an alias stands for; dropped there when the alias is dead by then. */
tr_err tr__send_alias(tr_ref alias, tr_msg_kind kind, tr_msg *msg);
/** tr_receive that looks at a behaviour's own messages, too; match is not NULL. */
tr_msg *tr__receive_own(tr_match_fn match, void *ctx, int64_t timeout_ms);
/** Does this monitor of the calling process stand: it neither fired nor was taken off? */
bool tr__monitor_stands(tr_ref ref);
/** Asks `pid` to tell ref.owner, a process with open_replies, of its end. TR_E_NOPROC: nothing will come. */
tr_err tr__monitor_for(tr_ref ref, tr_pid pid);
/** The first half of a call: makes a monitor-and-alias of the target (TR_ALIAS_REPLY_DEMONITOR) and sends msg
 *  with this kind (CALL or SYSTEM) in one signal. Returns: the reference; its REPLY or DOWN will come. *err:
 *  TR_E_NOPROC (nothing will come), TR_E_FULL. */
tr_ref tr__request(tr_dest dest, tr_msg_kind kind, tr_msg *msg, tr_err *err);
/** The same when it is known already whom dest means. */
tr_ref tr__request_to(const tr_dest *dest, tr_pid to, tr_msg_kind kind, tr_msg *msg, tr_err *err);
/** The second half, right after the first (nothing may be fetched between the two: a long queue is not looked at):
 *  waits for the REPLY or DOWN. On TR_E_TIMEOUT the request is abandoned (late answers are
 *  dropped). On TR_E_EXIT / TR_E_NOPROC *reason (may be NULL) is the DOWN's reason. */
tr_err tr__await(tr_ref ref, int64_t timeout_ms, tr_msg **reply, tr_term *reason);

/** Statistics of sys. */
uint64_t tr__reductions(void);
/** The caller's own status word in summaries: suspended by sys. */
void tr__set_suspended(bool on);
/** A report, filled with the caller's pid, label, name, behaviour. */
void tr__report(tr_report_kind kind, tr_term reason, const char *last_message, tr_term state, tr_pid child,
                tr_term child_id, int64_t value);
/** The same for a report with other fields, filled likewise. */
void tr__report_made(tr_report *report);

#endif
