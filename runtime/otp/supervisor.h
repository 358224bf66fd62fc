/* supervisor.h: the inside of a supervisor: its children, the plan it works off, the messages it answers. Not
 * public.
 *
 * A supervisor is one behaviour process that never parks. Whatever takes more than one message (starting,
 * stopping, restarting) is a plan: first a run of stops, backwards through the children, then a run of
 * starts, forwards, then `done`:
 *
 *        set by a call, an EXIT,        +----------------------- next child ------------------------+
 *        a retry, or the start          v                                                           |
 *     IDLE ---------------------> [ STOPPING ] -- monitor, exit signal --> (waits: DOWN; timer -> kill)
 *      ^  serves calls in order         | none left
 *      |                                v               spawn
 *      |                          [ STARTING ] ------------------------------> (waits: ack, EXIT or timer)
 *      |                                | none left, or one failed                                  |
 *      |                                v                                        next child <-------+
 *      +--- answer, retry, ack ---- [ done ] --- may set the next plan (group restart, unwinding) --->
 *      STOPPING
 *                                       |
 *                                       +--- finish: the supervisor itself ends
 *
 * Invariants
 *  1. While a step waits, the mailbox filter lets only what that step waits for through; all else stays
 *     queued, in order. So
 *     neither calls, sys requests nor the parent's EXIT are served in the middle of a plan.
 *  2. children.first .. last is start order; it changes only by appending, and by removing one child.
 *  3. by_pid holds every running child, and under simple_one_for_one also those being restarted, under their
 *     last pid.
 *  4. by_id holds every listed child of the other strategies.
 *  5. A retry of a failed restart is a message to itself; it does nothing unless the child still is
 *     restarting.
 *  6. Terms, arguments and specs that outlive a message are in the process's own memory, owned by exactly one
 *     record.
 * Life cycle: tr__supervisor_spawn fills the data in the spawner, start runs init and the first plan;
 * everything is freed with the process.
 */
#ifndef TROUPE_OTP_SUPERVISOR_H
#define TROUPE_OTP_SUPERVISOR_H

#include <troupe/supervisor.h>
#include <troupe/timer.h>

#include "runtime/core/behaviour.h"
#include "runtime/otp/sys.h"

/* ---- starting one
 * ----------------------------------------------------------------------------------------------- */

/** What the spawner hands to a new supervisor; must live until tr__spawn_process / tr__start returned. */
typedef struct tr__supervisor_args {
    const tr_supervisor *supervisor;
    const void *arg; /* arg_bytes of it are copied; 0: the pointer itself is handed to init */
    size_t arg_bytes;
    /** Optional: replaces what the copied argument points to by copies in the new process. Runs in the
     *  spawner. */
    void (*deepen)(struct tr__proc *proc, void *arg);
    uint32_t debug; /* set by tr__supervisor_spawn */
} tr__supervisor_args;

/** Fills *spawn so that it starts this supervisor. Left to the caller: opts.link, opts.monitor, ack,
 *  restarts. */
void tr__supervisor_spawn(tr__spawn *spawn, tr__supervisor_args *args, const tr_start_opts *opts);

/* ---- children (sup_children.c)
 * ---------------------------------------------------------------------------------- */

typedef struct tr__child {
    struct tr__child *prev, *next; /* start order */
    tr_pid pid;                    /* running: the live one; dynamic and not running: the last one */
    tr_child_spec *spec;           /* its own, or (simple_one_for_one) the supervisor's */
    void *arg;                     /* simple_one_for_one: what it is started with; else NULL */
    uint32_t arg_bytes;
    uint32_t restarts;
    uint8_t state; /* tr_child_state */
    bool listed;
    bool was_started; /* at least once: the next start is a restart */
    bool ended;       /* stopping all: its reason is known */
    bool is_down;     /* stopping all: its DOWN came, without a reason */
} tr__child;

/* Open addressing with linear probing; no tombstones. */
typedef struct tr__child_map {
    tr__child **slots;
    uint32_t room, count;
} tr__child_map;

typedef struct tr__children {
    tr__child *first, *last;
    size_t count, active;
    tr__child_map by_pid, by_id;
} tr__children;

struct tr__sup;
/** A child record that is not listed yet; spec becomes its own unless it is the supervisor's. */
tr__child *tr__child_new(tr_child_spec *spec);
void tr__child_list(struct tr__sup *sup, tr__child *child);
/** Takes it off the list if it is on it and frees it. */
void tr__child_remove(struct tr__sup *sup, tr__child *child);
void tr__child_up(struct tr__sup *sup, tr__child *child, tr_pid pid);
/** It does not run (any more): stopped or restarting. */
void tr__child_down(struct tr__sup *sup, tr__child *child, tr_child_state state);
tr__child *tr__child_by_pid(const struct tr__sup *sup, tr_pid pid);
tr__child *tr__child_by_id(const struct tr__sup *sup, tr_term id);
/** The id that reports and lists show. */
tr_term tr__child_id(const struct tr__sup *sup, const tr__child *child);

/* ---- specs (sup_spec.c)
 * ----------------------------------------------------------------------------------------- */

/** OTP's error term for an invalid spec, or none. auto_shutdown: NULL when unknown. */
tr_term tr__spec_error(const tr_child_spec *spec, const tr_auto_shutdown *auto_shutdown);
/** The same for a list: also {duplicate_child_name, Id}. */
tr_term tr__specs_error(const tr_child_spec *specs, size_t count, const tr_auto_shutdown *auto_shutdown);
/** Fills in defaults. Returns: the error term, or none. */
tr_term tr__flags_resolve(tr_sup_flags *flags);
/** A deep copy in the calling process's memory, with shutdown and type resolved. */
tr_child_spec *tr__spec_copy(const tr_child_spec *spec);
void tr__spec_free(tr_child_spec *spec);

/* ---- the supervisor
 * --------------------------------------------------------------------------------------------- */

typedef enum tr__wait { TR__WAIT_NOTHING, TR__WAIT_START, TR__WAIT_STOP, TR__WAIT_STOP_ALL } tr__wait;

/* Reasons with which children ended that should have ended by shutdown, told in one report each. */
#define TR__STOP_REASONS 8
typedef struct tr__stop_errors {
    tr_term reasons[TR__STOP_REASONS]; /* kept */
    tr_pid first[TR__STOP_REASONS];
    uint32_t counts[TR__STOP_REASONS];
    uint32_t used;
} tr__stop_errors;

typedef struct tr__plan {
    tr__child *stop, *stop_last;   /* the next to stop, backwards to stop_last */
    tr__child *start, *start_last; /* the next to start, forwards to start_last */
    void (*done)(struct tr__sup *sup);
    tr__child *subject; /* whom the plan is about: the failed child, the one to start ... */
    tr__child *failed;  /* whose start failed; ends the run of starts */
    tr_term reason;     /* kept: why it failed */
    tr_term info;       /* kept: third value of the last start */
    tr_from from;       /* whom to answer; id 0: nobody */

    tr__wait wait;
    tr__child *child; /* the step's */
    tr_pid pid;
    tr_ref monitor, timer;
    tr_term ended;           /* STOP, kept: reason of the EXIT that came before the DOWN */
    bool is_down;            /* STOP: the DOWN came, without a reason */
    tr__child *signal_next;  /* STOP_ALL: the first that was not signalled (or not killed) yet */
    bool killing;            /* STOP_ALL: those whose time is up are being killed */
    int64_t signalled_ms;    /* STOP_ALL: when the last was signalled */
    int64_t limit_ms;        /* STOP_ALL: the time limit that is over, -1: none yet ... */
    int64_t next_limit_ms;   /* ... and the next one; TR_INFINITY: none */
    size_t remaining;        /* STOP_ALL: signalled and not down */
    tr__stop_errors *errors; /* STOP_ALL */
} tr__plan;

/* Restarts in one second. */
typedef struct tr__restart_second {
    int64_t second;
    uint32_t count;
} tr__restart_second;

typedef struct tr__sup {
    tr__sys sys; /* first */
    const tr_supervisor *module;
    const void *arg;
    tr_sup_flags flags;
    tr__children children;
    tr_child_spec *dynamic; /* simple_one_for_one: the one spec */
    tr_ref ack;             /* alias under which children acknowledge their starts */
    tr__plan plan;
    tr__restart_second *seconds; /* oldest first */
    uint32_t seconds_used, seconds_room, restarts_counted;
    uint32_t restarts;
    tr_term exit_reason; /* kept: what it ends with */
    struct {             /* while partitions are started or stopped, one by one */
        bool grows;
        uint32_t at, end; /* the next one; the first that is left as it is */
        uint32_t before;  /* how many there were */
    } resize;
    tr_resource slots; /* clears the children's slots at the end */
} tr__sup;

/** Children come and go, and are known by their pids only. */
static inline bool tr__sup_is_dynamic(const tr__sup *sup)
{
    return sup->flags.strategy == TR_SIMPLE_ONE_FOR_ONE || sup->flags.strategy == TR_DYNAMIC;
}

/* ---- dynamic supervisors (dynamic_supervisor.c)
 * ----------------------------------------------------------------- */

/** Is there no room for one more child. */
bool tr__dynamic_is_full(const tr__sup *sup);
/** The child's own copy of spec, with the supervisor's extra argument before its own. */
tr_child_spec *tr__dynamic_spec(const tr__sup *sup, const tr_child_spec *spec);
/** Why it cannot be a child of a dynamic supervisor, or none. sup: NULL in the caller, who does not know it. */
tr_term tr__dynamic_spec_error(const tr__sup *sup, const tr_child_spec *spec);

/* ---- plans (sup_plan.c)
 * ----------------------------------------------------------------------------------------- */

/** Works the plan off until it waits or is done. A step that waits sets the mailbox filter, the end of the
 *  plan takes it off. */
void tr__plan_go(tr__sup *sup);
/** The filter of every wait. */
bool tr__plan_wants(void *sup, const tr_msg *msg);
/** What the step waited for has come. */
void tr__plan_wait_over(tr__plan *plan);
/** A message that the filter let through. */
void tr__plan_message(tr__sup *sup, tr_msg *msg);
/** More of a step that was cut in pieces. Returns: did it do something. */
bool tr__plan_idle(tr__sup *sup);
/** Keeps this term in *place, freeing what was there. */
void tr__sup_keep(tr_term *place, tr_term term);

/* ---- one start, one stop (sup_start.c, sup_stop.c)
 * -------------------------------------------------------------- */

/** Begins to start; then either plan.wait is set or the outcome is recorded. */
void tr__child_start(tr__sup *sup, tr__child *child);
void tr__child_start_message(tr__sup *sup, tr_msg *msg);
/** Begins to stop; then plan.wait is set, unless it does not run. */
void tr__child_stop(tr__sup *sup, tr__child *child);
void tr__child_stop_message(tr__sup *sup, tr_msg *msg);
void tr__children_stop_all(tr__sup *sup);
bool tr__children_stop_more(tr__sup *sup);
void tr__children_stop_all_message(tr__sup *sup, tr_msg *msg);

/* ---- restarts (sup_restart.c)
 * ----------------------------------------------------------------------------------- */

void tr__sup_child_ended(tr__sup *sup, tr__child *child, tr_term reason);
void tr__sup_retry(tr__sup *sup, const tr_msg *msg);
/** Stops all children, then ends with reason (copied). */
void tr__sup_exit(tr__sup *sup, tr_term reason);

/* ---- calls (sup_calls.c)
 * ---------------------------------------------------------------------------------------- */

/** Answers a call or sets the plan that will. Returns false when it is none of the supervisor's. */
bool tr__sup_call(tr__sup *sup, tr_msg *msg);

/* ---- partition supervisors (partition_supervisor.c)
 * ------------------------------------------------------------- */

typedef struct tr__partition_size {
    uint32_t now;  /* atomic: so many are found; 0: none, or nobody serves this name */
    uint32_t most; /* it started with so many */
} tr__partition_size;
/** That of the calling process, or NULL when it is no partition supervisor. */
tr__partition_size *tr__partition_size_own(void);
/** Asks a partition supervisor for another size. *info of the result: the old one. Blocks: parks. */
tr_sup_result tr__supervisor_resize(tr_dest sup, uint32_t partitions);

/* ---- messages
 * --------------------------------------------------------------------------------------------------- */

typedef enum tr__sup_op {
    TR__SUP_TERMINATE_CHILD,
    TR__SUP_RESTART_CHILD,
    TR__SUP_DELETE_CHILD,
    TR__SUP_GET_CHILDSPEC,
    TR__SUP_WHICH_CHILDREN,
    TR__SUP_COUNT_CHILDREN,
    TR__SUP_INFO,
    TR__SUP_RESIZE, /* id: how many partitions */
} tr__sup_op;

TR_MESSAGE_TERMS(
    tr__sup_request,
    {
        tr__sup_op op;
        tr_term id;
    },
    offsetof(tr__sup_request, id));

/* A spec on its way: its terms are in the message, its argument in a blob, its label inside. */
#define TR__LABEL_BYTES 64
typedef struct tr__sup_start_child {
    tr_child_spec spec;
    tr_blob *arg; /* when spec.arg_bytes != 0 */
    bool has_label;
    char label[TR__LABEL_BYTES];
} tr__sup_start_child;
extern const tr_type tr__sup_start_child__type;

/* simple_one_for_one: what is appended to the spec's argument. */
TR_MESSAGE_BLOBS(
    tr__sup_start_arg,
    {
        const void *pointer; /* when there is no blob */
        tr_blob *arg;
    },
    offsetof(tr__sup_start_arg, arg));

TR_MESSAGE_TERMS(
    tr__sup_answer,
    {
        tr_err err;
        tr_pid pid;
        tr_term info;
        tr_term reason;
    },
    offsetof(tr__sup_answer, info), offsetof(tr__sup_answer, reason));

/* An array of tr_child_info; ids are in the same blob. */
TR_MESSAGE_BLOBS(
    tr__sup_children,
    {
        size_t count;
        tr_blob *list;
    },
    offsetof(tr__sup_children, list));

TR_MESSAGE(tr__sup_counts, { tr_child_counts counts; });
TR_MESSAGE(tr__sup_picture, { tr_sup_info info; });

/* To itself: try that restart again. id is the child's, or its last pid when dynamic. */
TR_MESSAGE_TERMS(
    tr__sup_try_again, { tr_term id; }, offsetof(tr__sup_try_again, id));
TR_MESSAGE_EMPTY(tr__sup_timer);

#endif
