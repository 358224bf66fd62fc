/* process.h: processes, links, monitors, aliases, exit signals, receive.
 *
 * A process is either *plain* (a function on its own stack that runs until it returns) or a *behaviour*
 * (gen_server.h ...: callbacks on a borrowed stack; idle, it holds no stack). Both may block anywhere in
 * direct style.
 *
 * Invariants
 *  1. Links are one edge; unlink is a barrier; monitors stack; see each function.
 *  2. kill is magic only as a signal (tr_exit_signal); it cannot be trapped and is honoured at the target's
 *     next
 *     boundary: no further callback of it runs, frames of a parked one are dropped.
 *  3. At death: name and registry entries go first, then resources (newest first), then links and monitors
 *     are told,
 *     then all memory goes.
 *  4. A process that is parked in the middle of a function continues on the thread that parked it.
 * Context of everything here, unless said: inside a process.
 */
#ifndef TROUPE_PROCESS_H
#define TROUPE_PROCESS_H

#include <troupe/base.h>
#include <troupe/message.h>
#include <troupe/term.h>

/* ---- destinations
 * ----------------------------------------------------------------------------------------------- */
typedef enum tr_dest_kind { TR_TO_PID, TR_TO_NAME, TR_TO_VIA, TR_TO_ALIAS } tr_dest_kind;
struct tr_registry;

/** Where to send: a pid, a registered name, a key of a registry (or a partition), or an alias. A name is
 *  resolved when used. */
typedef struct tr_dest {
    tr_dest_kind kind;
    tr_pid pid;                   /* PID                                   */
    tr_term name;                 /* NAME: atom; VIA: the key              */
    struct tr_registry *registry; /* VIA                                   */
    tr_ref alias;                 /* ALIAS                                 */
} tr_dest;

static inline tr_dest tr_to(tr_pid pid)
{
    return (tr_dest){.kind = TR_TO_PID, .pid = pid};
}
static inline tr_dest tr_to_name(tr_term atom)
{
    return (tr_dest){.kind = TR_TO_NAME, .name = atom};
}
static inline tr_dest tr_to_via(struct tr_registry *registry, tr_term key)
{
    return (tr_dest){.kind = TR_TO_VIA, .name = key, .registry = registry};
}
static inline tr_dest tr_to_alias(tr_ref alias)
{
    return (tr_dest){.kind = TR_TO_ALIAS, .alias = alias};
}
static inline tr_dest tr__dest_same(tr_dest dest)
{
    return dest;
}
/** TR_DEST(x): x is a tr_pid, a tr_ref (alias), a name (tr_term atom) or a tr_dest. */
#define TR_DEST(x) \
    (_Generic((x), tr_pid : tr_to, tr_ref : tr_to_alias, tr_term : tr_to_name, tr_dest : tr__dest_same)(x))

/** The process a destination means now, or TR_NO_PID. An alias gives its owner. Context: any thread. */
tr_pid tr_whereis(tr_dest dest);

/** Something that is no memory (a descriptor, a handle): destroy runs at the process's end on a clean stack,
 *  newest first, outside the process. Embed it; caller's memory must live until then (the process's own
 *  memory does). */
typedef struct tr_resource {
    struct tr_resource *tr__next, *tr__prev;
    void (*destroy)(struct tr_resource *self);
} tr_resource;

/* ---- spawn
 * ------------------------------------------------------------------------------------------------------ */
typedef void (*tr_main_fn)(const void *arg);

typedef enum tr_alias_kind {
    TR_ALIAS_NONE,
    TR_ALIAS_EXPLICIT,        /* until tr_unalias                                             */
    TR_ALIAS_REPLY,           /* dies with the first message received through it              */
    TR_ALIAS_DEMONITOR,       /* monitors: dies with demonitor or DOWN                        */
    TR_ALIAS_REPLY_DEMONITOR, /* monitors: the first message received through it ends alias and monitor */
} tr_alias_kind;

typedef struct tr_monitor_opts {
    tr_alias_kind alias;
    tr_term tag; /* replaces 'DOWN' */
} tr_monitor_opts;

typedef struct tr_spawn_opts {
    const char *label; /* for people; copied; default: "process"                                          */
    bool link;         /* linked to the spawner, atomically                                               */
    tr_ref *monitor;   /* out: monitored by the spawner, atomically ...                                   */
    const tr_monitor_opts *monitor_opts; /* ... with these; NULL: none */
    bool trap_exit; /* trapping from its first moment                                                  */
    int core;       /* 1 + core it is bound to; 0: any                                                 */
    uint32_t
        mailbox_max; /* 0: the node's default                                                           */
    tr_resource
        *resource; /* added before the process can run: destroyed at its end, whatever ends it        */
} tr_spawn_opts;

/** Starts a plain process that runs fn(arg) and ends normally when fn returns. arg_bytes of arg are copied
 *  into the new process. opts may be NULL. Errors: TR_E_LIMIT when all slots are in use, TR_E_NOMEM.
 *  Context: any thread; outside a process link and monitor are refused (TR_E_STATE). */
TR_MUST_CHECK tr_err tr_spawn(const tr_spawn_opts *opts, tr_main_fn fn, const void *arg, size_t arg_bytes,
                              tr_pid *pid);

/** The calling process; TR_NO_PID outside. */
tr_pid tr_self(void);
/** The process that started the calling one; TR_NO_PID when started from outside. */
tr_pid tr_parent(void);

/* ---- sending
 * ---------------------------------------------------------------------------------------------------- */
/** Sends a bare message. A dead pid or a dead alias is TR_OK, as in OTP, and counted; a name nobody holds is
 *  TR_E_NOPROC; a mailbox over its limit is TR_E_FULL (the message is dropped, counted). Never blocks.
 *  Context: any thread. */
tr_err tr_send(tr_dest dest, const tr_type *type, const void *payload);
/** The same with a message that exists; takes it, whatever happens. */
tr_err tr_send_msg(tr_dest dest, tr_msg *msg);
/** tr_send to a pid: what TR_SEND makes of one, and the quickest way there is. */
tr_err tr_send_pid(tr_pid pid, const tr_type *type, const void *payload);
static inline tr_err tr__send_alias_to(tr_ref alias, const tr_type *type, const void *payload)
{
    return tr_send(tr_to_alias(alias), type, payload);
}
static inline tr_err tr__send_name(tr_term name, const tr_type *type, const void *payload)
{
    return tr_send(tr_to_name(name), type, payload);
}
/** TR_SEND(dest, T, .member = value ...): dest as for TR_DEST. */
#define TR_SEND(dest, T, ...)              \
    (_Generic((dest), tr_pid               \
              : tr_send_pid, tr_ref        \
              : tr__send_alias_to, tr_term \
              : tr__send_name, tr_dest     \
              : tr_send)((dest), TR_TYPE(T), &(T){__VA_ARGS__}))
/** Sends a term as a tr_term_msg. */
tr_err tr_send_term(tr_dest dest, tr_term value);

/* ---- receiving (plain processes; behaviours may, in the middle of a callback)
 * ----------------------------------- */
/** Does this message match? Must not block. */
typedef bool (*tr_match_fn)(const tr_msg *msg, void *ctx);

/** Takes the oldest message that matches (NULL: any), waiting up to timeout_ms; others stay in order. 0 looks
 *  once. A behaviour's own messages (sys, time-outs) are not looked at.
 *  Returns: the message, owned by the process until tr_msg_drop or its end; NULL when time is up.
 *  Blocks: parks the calling process. */
tr_msg *tr_receive(tr_match_fn match, void *ctx, int64_t timeout_ms);
/** The oldest message of type T: TR_RECEIVE(ping, 1000). Returns const T * or NULL. */
#define TR_RECEIVE(T, timeout_ms) ((const T *)tr__receive_type(TR_TYPE(T), (timeout_ms)))
const void *tr__receive_type(const tr_type *type, int64_t timeout_ms);
/** The message that carries this reference (a reply, a DOWN, a timer). */
tr_msg *tr_receive_ref(tr_ref ref, int64_t timeout_ms);

/** Parks the calling process for at least ms milliseconds. */
void tr_sleep(int64_t ms);
/** Lets others run; comes back after the run queue went round. */
void tr_yield(void);

/** The calling plain process gives its stack back until there is a message, at once when one is queued; then it
 *  runs fn(arg), and ends normally when fn returns. arg_bytes of arg are copied; 0: the pointer is handed on. What
 *  it received and did not drop, and its scratch memory, are freed; all else it owns stays. Never returns: the
 *  frames that called it are dropped. Context: plain process. */
TR_NORETURN void tr_hibernate(tr_main_fn fn, const void *arg, size_t arg_bytes);

/* ---- ending
 * ----------------------------------------------------------------------------------------------------- */
/** Ends the calling process with this reason, from any depth; nothing below is run, everything it owns is
 *  freed. Inside a gen_server callback it is a crash of that callback: terminate runs. */
TR_NORETURN void tr_exit(tr_term reason);
/** The same for a bug: reported as a crash even in a plain process; a clean reason becomes {reason, error},
 *  for a bug is no clean end. */
TR_NORETURN void tr_error(tr_term reason);
/** Sends an exit signal (exit/2). kill cannot be trapped; normal is ignored by others that do not trap.
 *  Context: any thread. */
void tr_exit_signal(tr_dest dest, tr_term reason);
/** Switches trapping of exit signals. Returns: the old value. */
bool tr_trap_exit(bool on);

/* ---- links
 * ------------------------------------------------------------------------------------------------------ */
/** Links both ways; linking twice or to oneself changes nothing. Errors: TR_E_NOPROC when the target is dead
 *  and the caller does not trap exits (when it traps, TR_OK and {'EXIT', pid, noproc} arrives). */
TR_MUST_CHECK tr_err tr_link(tr_dest dest);
/** After it returns no exit signal of that link is delivered; an EXIT message already queued stays. */
void tr_unlink(tr_dest dest);

/* ---- monitors and aliases
 * --------------------------------------------------------------------------------------- */
/** Monitors dest. One DOWN comes at its end, at once with noproc when absent. Monitoring oneself never fires.
 *  opts may be NULL. A name is bound to its holder now; its DOWN carries the name. Returns: the reference. */
tr_ref tr_monitor(tr_dest dest, const tr_monitor_opts *opts);
/** No DOWN is delivered after it returns. flush also removes one that is queued.
 *  Returns: was the monitor still active. */
bool tr_demonitor(tr_ref ref, bool flush);

/** Makes an alias of the calling process. Messages sent to it after it died are dropped when received. */
tr_ref tr_alias(tr_alias_kind kind);
/** Returns: was it active. */
bool tr_unalias(tr_ref alias);

/* ---- memory and resources
 * --------------------------------------------------------------------------------------- */
/** Memory of the calling process, zeroed, 16-byte aligned; freed at its end at the latest. Never NULL (exits
 *  with nomem). */
void *tr_alloc(size_t bytes);
void *tr_realloc(void *memory, size_t bytes);
void tr_free(void *memory);
/** A term in the process's own memory: lives until tr_free_term or the end of the process. */
tr_term tr_keep(tr_term term);
void tr_free_term(tr_term kept);

void tr_resource_add(tr_resource *resource);
/** Takes it off without running destroy. */
void tr_resource_remove(tr_resource *resource);

/* ---- names, dictionary
 * ------------------------------------------------------------------------------------------ */
/** Registers pid under an atom. Errors: TR_E_ALREADY_STARTED (taken), TR_E_NOPROC (dead), TR_E_BADARG (has a
 *  name already, or the atom is undefined). Context: any thread. */
TR_MUST_CHECK tr_err tr_register(tr_term name, tr_pid pid);
/** Errors: TR_E_NOT_FOUND. */
TR_MUST_CHECK tr_err tr_unregister(tr_term name);
/** Process dictionary: old value, or none. */
tr_term tr_put(tr_term key, tr_term value);
tr_term tr_get(tr_term key);
/** Takes the key out. Returns: the old value (on the caller's scratch), or none. */
tr_term tr_erase(tr_term key);
/** A text for people, shown in process lists and reports. Copied, cut at 63 bytes. */
void tr_set_label(const char *label);

/* ---- looking at processes
 * --------------------------------------------------------------------------------------- */
typedef enum tr_status {
    TR_STATUS_RUNNABLE,
    TR_STATUS_RUNNING,
    TR_STATUS_WAITING,
    TR_STATUS_SUSPENDED,
    TR_STATUS_EXITING
} tr_status;

/** Cheap picture of one process, read from its counters without disturbing it; numbers may be a moment old.
 *  */
typedef struct tr_process_summary {
    tr_pid pid, parent;
    tr_term name; /* atom, a registry key, or none; on the caller's scratch memory  */
    char label[64];
    const char *behaviour; /* "gen_server", "supervisor", "process" ... ; static             */
    tr_status status;
    uint32_t mailbox;      /* messages waiting                                               */
    uint64_t memory_bytes; /* control block, arena, waiting messages                         */
    uint64_t messages;     /* messages handled so far                                        */
    uint64_t reductions;   /* callbacks run                                                  */
    int64_t started_ms;    /* monotonic                                                      */
    uint32_t restarts;     /* which incarnation of its child spec: 0 the first                */
} tr_process_summary;
/** Errors: TR_E_NOPROC. Context: any thread. */
tr_err tr_process_summary_of(tr_pid pid, tr_process_summary *out);
/** Calls fn for every live process, until it returns false. Context: any thread. */
void tr_process_each(bool (*fn)(const tr_process_summary *summary, void *ctx), void *ctx);

/** Exact picture, asked by a signal: everything the caller sent before is counted. Arrays are on the caller's
 *  scratch.
 *  Errors: TR_E_NOPROC when dead, TR_E_TIMEOUT when it does not come to a boundary within timeout_ms.
 *  Blocks: parks the calling process. */
typedef struct tr_process_info {
    tr_process_summary summary;
    bool trap_exit;
    size_t link_count, monitor_count, monitored_by_count, message_count;
    const tr_pid *links;
    const tr_pid *monitors;       /* monitors by name give the pid meant then; see monitor_names */
    const tr_term *monitor_names; /* none where monitored by pid                                 */
    const tr_pid *monitored_by;
    const tr_term *messages; /* only when asked: queued term messages, others as {type_name} */
    tr_term initial_call;    /* {module, init} of a behaviour; undefined for a plain process */
    tr_term dictionary;      /* a map; cut at a million bytes */
    /* Its parent first, then the parent's, as far as they live: of a dead one no parent is known. */
    const tr_pid *ancestors;
    size_t ancestor_count;
} tr_process_info;
TR_MUST_CHECK tr_err tr_process_info_of(tr_pid pid, bool with_messages, int64_t timeout_ms,
                                        tr_process_info *out);
/** Is it alive, counting everything the caller sent it before (an exit signal, say)? Blocks: parks the
 *  calling process. */
bool tr_is_alive(tr_pid pid);

#endif
