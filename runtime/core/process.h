/* process.h: the control block of a process, and the table that finds it by pid. Internal to the runtime.
 *
 * Invariants
 *  1. Control blocks are type-stable: a slot's memory is never given back while the node runs, so a stale pid
 *     may be
 *     looked up at any time without a lock. Whoever holds one validates by pid.
 *  2. `inbox` is the one word that decides who may run a process: IDLE means nobody has scheduled it. Whoever
 *     moves it
 *     from IDLE to anything else must schedule it, exactly once. CLOSED refuses pushes. Its upper 16 bits
 *     repeat the generation,
 *     so a compare-and-swap of a sender that slept through a whole reuse of the slot fails.
 *  3. All that follows the line marked "owner" is touched only by the thread that runs the process (or buries
 *     it), except the
 *     counters that summaries read, which it writes with relaxed stores.
 *  4. Everything a process owns hangs here, so burying needs none of its frames. What only running frames need
 *     (catches, the timer of a wait) hangs on their stack: an idle process does not pay for it.
 * Life cycle: tr__proc_new (inbox running, not yet scheduled) -> scheduled -> slices ... -> tr__proc_bury ->
 * slot free.
 */
#ifndef TROUPE_CORE_PROCESS_H
#define TROUPE_CORE_PROCESS_H

#include <setjmp.h>

#include "runtime/core/behaviour.h"
#include "runtime/core/edges.h"
#include "runtime/core/scratch.h"
#include "runtime/core/wheel.h"
#include "runtime/sim/sim.h"
#include "runtime/sys/atomic.h"
#include "runtime/sys/stack.h"

/* States of the inbox word below its generation tag; anything larger is the newest message. */
#define TR__INBOX_EMPTY     0u /* running or scheduled, nothing new */
#define TR__INBOX_IDLE      1u /* nobody runs it                    */
#define TR__INBOX_CLOSED    2u /* dead                              */
#define TR__INBOX_PTR(word) ((word)&0xffffffffffffu)
#define TR__INBOX_TAG(pid)  ((uint64_t)(uint16_t)TR_PID_GENERATION(pid) << 48)

/* A frame of tr__catch. */
struct tr__catch {
    jmp_buf buf;
    struct tr__catch *outer;
    tr_term reason;
};

/* A block of a process's arena. */
struct tr__block {
    struct tr__block *next, *prev;
    uint32_t bytes;
    uint8_t mem_class;
};

typedef struct tr__proc {
    /* senders */
    _Alignas(TR__CACHE_LINE) uint64_t inbox;
    tr_pid pid;       /* 0: slot is free */
    uint32_t counted; /* user messages waiting; kept only when mailbox_max != 0 */
    uint32_t mailbox_max;
    int32_t home;   /* core it must run on, or -1 */
    uint8_t status; /* tr_status */
    uint8_t dying;
    uint8_t open_replies;      /* takes replies to any reference of its own: it keeps the books itself */
    uint8_t label_is_lent;     /* its behaviour's, not ours to free; under the label lock */
    struct tr__proc *run_next; /* in a queue */

    /* counters: the owner writes them with relaxed stores, summaries read them */
    uint64_t messages, reductions, memory;
    int64_t started_ms;
    const tr__behaviour *behaviour;
    tr_pid parent;
    uint32_t queued; /* fetched and waiting */
    uint32_t restarts;
    const char *label; /* changed and read under the label lock (summary.c) */
    tr_term name;      /* kept; under the label lock */
    uint32_t turn;     /* core's thread: where its ring ended when this one became pinned */

    /* owner */
    bool trap_exit, bound, started, acked, report_crash, silent, timer_fired, suspended;
    uint32_t data_bytes;
    _Alignas(TR__CACHE_LINE) tr_msg *head; /* fetched messages, oldest first */
    tr_msg **tail;
    tr_msg *held; /* handed out, not yet dropped */
    void *data;   /* data_bytes of its own, not in the arena: it has no use for a block's head */
    bool (*filter)(void *data, const tr_msg *msg);
    tr_msg **scan;    /* with a filter: everything before this link was refused by it */
    tr__stack *stack; /* parked on it */
    tr__scratch scratch;
    struct tr__block *blocks;
    tr__edges edges;
    tr_resource *resources;
    void *names;
    struct tr__dict *dict;
    union {
        struct tr__boot_name *boot_name; /* until it runs: registered first thing in the new process */
        tr_term exit_reason;             /* from tr__proc_doom on: kept (tr_term_keep) */
    };
    tr_ref ack;
} tr__proc;

_Static_assert(sizeof(tr__proc) == 4 * TR__CACHE_LINE, "an idle process must stay small");

/* ---- table
 * ------------------------------------------------------------------------------------------------------ */
void tr__table_init(uint32_t process_max);
void tr__table_fini(void);
/** A free slot with a fresh pid, zeroed but for that; its inbox is still closed. NULL: all in use. */
tr__proc *tr__table_take(void);
/** Opens the inbox of a process that is complete: messages get in. The caller must schedule it. */
void tr__table_open(tr__proc *proc);
/** pid must be cleared and the inbox closed. */
void tr__table_give(tr__proc *proc);
uint32_t tr__table_slots(void);

#define TR__TABLE_CHUNK_BITS 10u
#define TR__TABLE_CHUNK      (1u << TR__TABLE_CHUNK_BITS)
#define TR__TABLE_CHUNKS     (1u << (24 - TR__TABLE_CHUNK_BITS))
/* Only for the look-ups below. */
extern struct tr__table_index {
    uint32_t slots;                     /* atomic: slots that exist */
    tr__proc *chunks[TR__TABLE_CHUNKS]; /* atomic: published once */
} tr__proc_table;

static inline tr__proc *tr__table_slot(uint32_t slot)
{
    if (slot >= tr__load_acquire(&tr__proc_table.slots)) {
        return NULL;
    }
    tr__proc *chunk = tr__load_acquire(&tr__proc_table.chunks[slot >> TR__TABLE_CHUNK_BITS]);
    return &chunk[slot & (TR__TABLE_CHUNK - 1)];
}
/** The control block of that slot, or NULL if never used. Validate by pid. */
static inline tr__proc *tr__table_at(tr_pid pid)
{
    return tr__table_slot(TR_PID_SLOT(pid));
}

/* ---- life
 * ------------------------------------------------------------------------------------------------------- */
tr__proc *tr__proc_self(void);
/** Frees everything and tells everyone; on the scheduler's stack. */
void tr__proc_bury(tr__proc *proc);
/** Takes back a slot whose process was never opened, with what memory it has got. */
void tr__proc_discard(tr__proc *proc);
/** No memory: ends the running process with nomem; outside of one, or when it is ending already, the program. */
TR_NORETURN void tr__out_of_memory(void);
/** It is going to end with this reason (copied) as soon as it leaves its stack. signalled: an exit signal did
 *  it (no crash report). */
void tr__proc_doom(tr__proc *proc, tr_term reason, bool signalled);
/** From the process's own stack: never returns. reason is copied. signalled: an exit signal did it. */
TR_NORETURN void tr__proc_end(tr__proc *proc, tr_term reason, bool signalled);
/** A doomed process leaves its stack; the scheduler buries it. */
TR_NORETURN void tr__proc_leave_for_good(tr__proc *proc);
bool tr__proc_is_alive(tr_pid pid);
void **tr__proc_names(tr__proc *proc);
/** The dictionary as a map on the caller's scratch; what is beyond bytes_max is left out. */
tr_term tr__proc_dictionary(const tr__proc *proc, size_t bytes_max);
void *tr__arena_realloc(tr__proc *proc, void *memory, size_t bytes);
void tr__arena_free(tr__proc *proc, void *memory);
/** False when proc is no longer pid. */
bool tr__summary_fill(tr__proc *proc, tr_pid pid, tr_process_summary *out);
/** The name a process is shown under (copied); none takes it away. Context: any thread. */
void tr__proc_note_name(tr_pid pid, tr_term name);
/** Sets the label. Owner, or the spawner before it runs. lend: it is borrowed for the process's life. */
void tr__summary_label(tr__proc *proc, const char *label);
void tr__summary_lend_label(tr__proc *proc, const char *label);
/** Frees label and name. Owner. */
void tr__summary_forget(tr__proc *proc);

/** First thing in a new process, on its stack: takes its names or fails its start. (spawn.c) */
void tr__boot(tr__proc *proc);
/** Zeroed memory that its behaviour's functions get from now on (proc->data); what was there is the caller's. */
void *tr__data_alloc(tr__proc *proc, size_t bytes);
extern const tr__behaviour tr__plain_behaviour;

/* ---- mailbox (mailbox.c)
 * ---------------------------------------------------------------------------------------- */
/** Puts msg into the process's inbox if it still is pid, and schedules it when it was idle. Takes msg on
 *  TR_OK only. */
tr_err tr__inbox_push(tr__proc *proc, tr_pid pid, tr_msg *msg);
/** The same by pid. Takes msg on TR_OK only. */
tr_err tr__push(tr_pid pid, tr_msg *msg);
/** New mail since the last fetch? */
static inline bool tr__inbox_has_mail(const tr__proc *proc)
{
    return TR__INBOX_PTR(tr__load_relaxed(&proc->inbox)) != TR__INBOX_EMPTY;
}
void tr__fetch_mail(tr__proc *proc); /* the rest of tr__fetch: there is mail */
/** Detaches what is new, acts on signals, queues messages. May end the process. */
static inline void tr__fetch(tr__proc *proc)
{
    if (tr__inbox_has_mail(proc)) {
        tr__fetch_mail(proc);
    }
}
/** What the mailbox limit applies to. */
static inline bool tr__msg_is_limited(const tr_msg *msg)
{
    return msg->tr__signal == TR_MSG_INFO || msg->tr__signal == TR_MSG_CALL || msg->tr__signal == TR_MSG_CAST;
}
/** Unlinks a queued message (at points to the link that leads to it). */
static inline tr_msg *tr__queue_take(tr__proc *proc, tr_msg **at)
{
    tr_msg *msg = *at;
    *at = msg->tr__next;
    if (*at == NULL) {
        proc->tail = at;
    }
    if (proc->scan == &msg->tr__next) {
        proc->scan = at;
    }
    tr__store_relaxed(&proc->queued, proc->queued - 1);
    tr__bump(&proc->messages, 1u);
    if (proc->mailbox_max != 0 && tr__msg_is_limited(msg)) {
        tr__sub_relaxed(&proc->counted, 1u);
    }
    return msg;
}
static inline void tr__queue_put(tr__proc *proc, tr_msg *msg)
{
    msg->tr__next = NULL;
    *proc->tail = msg;
    proc->tail = &msg->tr__next;
    tr__store_relaxed(&proc->queued, proc->queued + 1);
}
/** Says IDLE if nothing came in. After true the process may be running elsewhere: do not touch it. */
static inline bool tr__inbox_rest(tr__proc *proc)
{
    uint64_t tag = TR__INBOX_TAG(proc->pid);
    uint64_t word = tag | TR__INBOX_EMPTY;
    if (tr__load_relaxed(&proc->inbox) != word) {
        return false;
    }
    if (tr__planted(TR__PLANT_LOST_REST)) {
        tr__store_relaxed(&proc->inbox, tag | TR__INBOX_IDLE);
        return true;
    }
    tr__store_relaxed(&proc->status, (uint8_t)(proc->suspended ? TR_STATUS_SUSPENDED : TR_STATUS_WAITING));
    if (tr__cas_acq_rel(&proc->inbox, &word, tag | TR__INBOX_IDLE)) {
        return true;
    }
    tr__store_relaxed(&proc->status, (uint8_t)TR_STATUS_RUNNING);
    return false;
}
/** Makes it runnable without a message (its park timer fired). */
void tr__inbox_wake(tr__proc *proc);

/** tr_receive_ref for a reference that no queued message can carry: what was fetched before is not looked at.
 *  Nothing may have been fetched since the reference was made. */
tr_msg *tr__receive_ref_new(tr_ref ref, int64_t timeout_ms);

/* ---- messages (message.h, message.c)
 * --------------------------------------------------------------------------------------- */
enum tr__signal {
    /* 0.. : tr_msg_kind, the messages */
    TR__SIG_EXIT_LINK = 16, /* tr_exit_msg: a linked process ended          */
    TR__SIG_EXIT,           /* tr_exit_msg: exit/2                          */
    TR__SIG_LINK,           /* ref.owner = sender                           */
    TR__SIG_UNLINK,         /* ref = sender, id of the unlink               */
    TR__SIG_UNLINK_ACK,
    TR__SIG_MONITOR, /* ref = monitor                                */
    TR__SIG_DEMONITOR,
    TR__SIG_DOWN, /* tr_down_msg                                  */
    TR__SIG_INFO, /* ref = whom to answer                         */
};
#define TR__F_MONITORS      1u /* a call that also sets up its monitor          */
#define TR__F_ALIAS         2u /* addressed to an alias: tr__ref of the address is in tr__ref */
#define TR__F_DEMONITORED   4u /* a reply whose server has dropped the monitor already */
#define TR__F_WITH_MESSAGES 8u
#define TR__F_HELD          16u /* in its process's list of held messages */
#define TR__F_OWN           32u /* the runtime answers itself: in nobody's books */
#define TR__F_JUDGED \
    (TR__F_ALIAS | TR__F_MONITORS) /* more to do with it, when it is received, than to queue it */

/** An exit reason or the like as a message; from and reason copied. */
tr_msg *tr__exit_make(uint8_t signal, tr_pid from, tr_term reason);
/** What messages_sent counts: no exits, DOWNs and acknowledgements, no answers about processes and timers. */
static inline bool tr__msg_was_sent(const tr_msg *msg)
{
    return (msg->tr__flags & TR__F_OWN) == 0 && msg->tr__signal <= TR_MSG_SYSTEM &&
           msg->tr__signal != TR_MSG_EXIT && msg->tr__signal != TR_MSG_DOWN;
}

/* ---- slices and parking (slice.c)
 * ------------------------------------------------------------------------------- */
/** Entry of every process stack. */
void tr__slice_entry(void);
/** Leaves the stack until new mail or tr__inbox_wake. Asserts against never_parks. */
void tr__park(tr__proc *proc);
/** Parks until woken or deadline_ms (TR_INFINITY: no limit). Returns: false when time is up. */
bool tr__park_until(tr__proc *proc, int64_t deadline_ms);
/** Deadline in whole milliseconds, never early: now + timeout_ms, TR_INFINITY stays. */
int64_t tr__deadline(int64_t timeout_ms);

/* ---- signals (signal.c)
 * ----------------------------------------------------------------------------------------- */
/** Acts on one signal or message just detached from the inbox. */
void tr__signal_handle(tr__proc *proc, tr_msg *msg);
/** A signal or call that never was handled: its sender is told. Takes msg. */
void tr__signal_refuse(tr__proc *proc, tr_msg *msg);
void tr__exit_link_signal(tr_pid to, tr_pid from, tr_term reason);
void tr__down_signal(tr_ref ref, tr_pid pid, tr_term reason);
void tr__demonitor_signal(tr_pid target, tr_ref ref);
/** Answers an INFO signal / tells that the process is dead. Takes it. (info.c) */
void tr__info_answer(tr__proc *proc, tr_msg *request);
void tr__info_refuse(tr_msg *request);

/** Our end of a new monitor: the name it was set by (or none), and what opts (may be NULL) ask for. (link.c) */
void tr__monitor_edge(tr__proc *self, tr_ref ref, tr_pid target, tr_term name, const tr_monitor_opts *opts);

/** A report about proc. (summary.c) */
void tr__report_about(tr__proc *proc, tr_report_kind kind, tr_term reason);

/* ---- names (otp/registry.c)
 * ------------------------------------------------------------------------------------- */
void tr__names_release(tr_pid pid, void **names);
/** Frees all registries; the node has stopped. */
void tr__names_fini(void);

/** Tells threads in tr_node_join. (node.c) */
void tr__join_notify(tr_pid pid, tr_term reason);

#endif
