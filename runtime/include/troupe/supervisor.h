/* supervisor.h: starts children in order, restarts them by strategy, stops them in reverse. Semantics are OTP
 * 25's supervisor; the defaults of intensity are Elixir's (3 in 5 s).
 *
 * Invariants
 *  1. A supervisor never parks in the middle of a callback: starting, stopping and restarting are a plan of
 *     steps that it
 *     works off between messages, so it can always be killed, handed over and looked at.
 *  2. While a start or stop is under way it serves nothing but what that step waits for, as OTP's does.
 *  3. Restart intensity counts in whole monotonic seconds with an inclusive edge; giving up exits with
 *     shutdown.
 *  4. Children stay linked until they are dead.
 */
#ifndef TROUPE_SUPERVISOR_H
#define TROUPE_SUPERVISOR_H

#include <troupe/gen_server.h>
#include <troupe/gen_statem.h>
#include <troupe/proc_lib.h>

typedef enum tr_strategy {
    TR_ONE_FOR_ONE,
    TR_ONE_FOR_ALL,
    TR_REST_FOR_ONE,
    TR_SIMPLE_ONE_FOR_ONE,
    TR_DYNAMIC /* a DynamicSupervisor: see dynamic_supervisor.h */
} tr_strategy;
typedef enum tr_restart { TR_PERMANENT, TR_TRANSIENT, TR_TEMPORARY } tr_restart;
typedef enum tr_child_type { TR_WORKER, TR_SUPERVISOR } tr_child_type;
typedef enum tr_auto_shutdown {
    TR_AUTO_NEVER,
    TR_AUTO_ANY_SIGNIFICANT,
    TR_AUTO_ALL_SIGNIFICANT
} tr_auto_shutdown;

#define TR_SHUTDOWN_DEFAULT     ((int64_t)0) /* 5000 ms for workers, infinity for supervisors */
#define TR_SHUTDOWN_BRUTAL_KILL ((int64_t)-2)
/* TR_INFINITY and any number of ms >= 1 are the others; TR_SHUTDOWN_NOW is 0 ms. */
#define TR_SHUTDOWN_NOW ((int64_t)-3)

struct tr_supervisor;
struct tr_start_request;

/** How to start one child. Exactly one of server, statem, supervisor, main, start_fn is set. */
typedef struct tr_child_spec {
    tr_term id;                  /* any term; copied */
    const tr_gen_server *server; /* a gen_server ...                                                  */
    const tr_gen_statem *statem; /* ... or a gen_statem ...                                           */
    const struct tr_supervisor
        *supervisor; /* ... or a supervisor ...                                           */
    tr_main_fn
        main; /* ... or a plain process (acknowledged when it starts, or by tr_ack if manual_ack) ... */
    bool manual_ack; /* main only: started when it calls tr_init_ack                       */
    /** ... or a function run in the supervisor, which must not block: fills *pid and returns TR_OK; or
     *  TR_E_IGNORE; or any error with *reason ({error, reason}); TR_E_BADARG with *reason: returned garbage.
     *  *info (optional) is kept as start_child's info. */
    tr_err (*start_fn)(const void *arg, tr_pid *pid, tr_term *info, tr_term *reason);
    const void *arg;
    size_t arg_bytes;    /* copied; 0: the pointer itself is handed on */
    tr_start_opts start; /* name, registry, key, timeout, spawn options */
    tr_restart restart;
    int64_t shutdown_ms; /* TR_SHUTDOWN_DEFAULT ...    */
    tr_child_type type;  /* supervisors: set by .supervisor != NULL as well */
    bool significant;
    tr_pid
        *slot; /* optional: the live pid is stored here at every start (atomically), TR_NO_PID at its end */
} tr_child_spec;

#define TR_INTENSITY_NONE    (-1)
#define TR_MAX_CHILDREN_NONE ((int64_t)-1)
typedef struct tr_sup_flags {
    tr_strategy strategy;
    int32_t intensity; /* restarts allowed ...; 0: default 3; TR_INTENSITY_NONE: the first failure gives up */
    int32_t period_s;  /* ... in this many seconds; 0: default 5 */
    tr_auto_shutdown auto_shutdown;
    /* TR_DYNAMIC only */
    int64_t max_children;  /* 0: no limit; TR_MAX_CHILDREN_NONE: not even one */
    const void *extra_arg; /* extra_bytes of it are copied, and come before the argument of every child */
    size_t extra_bytes;
} tr_sup_flags;

/** A supervisor module: its name and init. Static children need no init: give them directly. */
typedef struct tr_supervisor {
    const char *name;
    tr_sup_flags flags;
    const tr_child_spec *children;
    size_t child_count;
    /** Optional: computes flags and children from arg; they are copied. Returns TR_OK, TR_E_IGNORE, or
     *  TR_E_EXIT with *reason (stop). Must not block. */
    tr_err (*init)(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                   tr_term *reason);
} tr_supervisor;

/** Starts a supervisor and all its children; waits for that. Errors as tr_gen_server_start_link; reason e.g.
 *  {shutdown, {failed_to_start_child, Id, Reason}} or {start_spec, ...}. Blocks: parks. Context: process. */
TR_MUST_CHECK tr_err tr_supervisor_start_link(const tr_supervisor *supervisor, const void *arg,
                                              size_t arg_bytes, const tr_start_opts *opts,
                                              tr_started *started);

/** Result of an administration call: err, and OTP's error term in reason (on the caller's scratch). */
typedef struct tr_sup_result {
    tr_err err;
    tr_pid pid; /* start_child, restart_child; TR_NO_PID when init ignored  */
    tr_term info;
    tr_term reason;
} tr_sup_result;

/** Administration, as in OTP. All block (park) without limit; TR_E_NOPROC when the supervisor is gone.
 *  tr_supervisor_start_child_arg: the child's argument is the spec's arg bytes followed by the extra bytes
 *  (OTP: A ++ Extra). start_child: TR_E_ALREADY_PRESENT, TR_E_ALREADY_STARTED (pid), TR_E_EXIT (start
 *  failed). simple_one_for_one: extra_arg instead of spec (tr_supervisor_start_child_arg). terminate_child
 *  keeps the spec (temporary: deletes it). restart_child / delete_child: TR_E_RUNNING, TR_E_RESTARTING,
 *  TR_E_NOT_FOUND. */
tr_sup_result tr_supervisor_start_child(tr_dest sup, const tr_child_spec *spec);
tr_sup_result tr_supervisor_start_child_arg(tr_dest sup, const void *arg, size_t arg_bytes);
tr_sup_result tr_supervisor_terminate_child(tr_dest sup, tr_term id);
tr_sup_result tr_supervisor_terminate_child_pid(tr_dest sup, tr_pid pid);
tr_sup_result tr_supervisor_restart_child(tr_dest sup, tr_term id);
tr_sup_result tr_supervisor_delete_child(tr_dest sup, tr_term id);

typedef enum tr_child_state { TR_CHILD_RUNNING, TR_CHILD_STOPPED, TR_CHILD_RESTARTING } tr_child_state;
typedef struct tr_child_info {
    tr_term id;
    tr_pid pid;
    tr_child_state state;
    tr_child_type type;
    tr_restart restart;
    int64_t shutdown_ms; /* effective: defaults resolved */
    bool significant;
    uint32_t restarts; /* how often this child was restarted */
} tr_child_info;
/** Children, newest started first as in OTP; the array is on the caller's scratch. */
TR_MUST_CHECK tr_err tr_supervisor_which_children(tr_dest sup, const tr_child_info **children, size_t *count);
TR_MUST_CHECK tr_err tr_supervisor_get_childspec(tr_dest sup, tr_term id, tr_child_info *info);
typedef struct tr_child_counts {
    size_t specs, active, supervisors, workers;
} tr_child_counts;
TR_MUST_CHECK tr_err tr_supervisor_count_children(tr_dest sup, tr_child_counts *counts);
typedef struct tr_sup_info {
    tr_sup_flags flags; /* effective */
    uint32_t restarts;  /* since it started */
} tr_sup_info;
TR_MUST_CHECK tr_err tr_supervisor_info(tr_dest sup, tr_sup_info *info);
/** Validates specs only. Returns TR_OK, or TR_E_BADARG with OTP's error term in *reason. */
tr_err tr_supervisor_check_childspecs(const tr_child_spec *specs, size_t count, tr_term *reason);

/* ---- partition supervisor
 * --------------------------------------------------------------------------------------- */
/** N copies of one child, ids 0..N-1. */
typedef struct tr_partition_opts {
    uint32_t partitions; /* 0: one a worker */
    tr_child_spec child; /* id is ignored */
    /** Optional: the argument of partition i instead of child.arg: writes at most bytes into out, returns its
     *  size. */
    size_t (*with_arguments)(uint32_t partition, const void *arg, void *out, size_t bytes);
    tr_sup_flags flags; /* any strategy but simple_one_for_one and dynamic; no auto_shutdown */
} tr_partition_opts;
/** Starts it under a registered name (opts->name, an atom), or under a key of a registry (opts->registry and key);
 *  the functions below find it by that name or key, which should be no other partition supervisor's. Blocks: parks. */
TR_MUST_CHECK tr_err tr_partition_supervisor_start_link(const tr_partition_opts *partition,
                                                        const tr_start_opts *opts, tr_started *started);
/** The process of the partition that owns key: integer keys modulo N, others by hash. TR_NO_PID while it
 *  restarts or when there is no such supervisor. Takes no message. Context: any thread. */
tr_pid tr_partition_whereis(tr_term name, tr_term key);
/** The same by index; TR_NO_PID when out of range. */
tr_pid tr_partition_at(tr_term name, uint32_t index);
/** 0 when there is no such partition supervisor, or it was resized to none. */
uint32_t tr_partition_count(tr_term name);
/** From now on so many partitions: those above are not found any more and stopped, or they are started again and then
 *  found; one after the other, in order of their ids. *before (NULL allowed): how many there were. With none, keys lead to
 *  TR_NO_PID. (Elixir 1.18's resize!) Errors: TR_E_BADARG: more than it started with; TR_E_EXIT: one did not start,
 *  so the size stays; TR_E_NOT_FOUND: the spec of one was deleted; TR_E_NOPROC. Blocks: parks without limit. */
TR_MUST_CHECK tr_err tr_partition_resize(tr_term name, uint32_t partitions, uint32_t *before);
/** Child specs of partition supervisors can be nested in trees: fills *spec (its memory is static or the
 *  caller's opts; both must outlive the tree). */
void tr_partition_child_spec(const tr_partition_opts *partition, tr_term name, tr_child_spec *spec);

#endif
