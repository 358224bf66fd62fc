/* node.h: starting and stopping the runtime, its options, the hooks of a program that shares the workers'
 * loops, virtual time.
 *
 * One node an OS process. tr_node_run is all that most programs need:
 *
 *     int main(void) { return tr_node_run(NULL, my_main, NULL); }
 *
 * Threads: N workers, each running one *core* (a libuv loop, a run queue, a timer wheel). In virtual time
 * there is one core, run by the thread that calls tr_virtual_*, and no clock but the one it moves.
 */
#ifndef TROUPE_NODE_H
#define TROUPE_NODE_H

#include <troupe/process.h>

struct uv_loop_s;

/** A program's part in a core's turn; every hook runs on that core's thread, outside any process. All
 *  optional.
 *  Turn: inbox -> loop (uv_run) -> before_run -> processes -> after_run -> sleep when nothing is left. */
typedef struct tr_core_hooks {
    /** Once, when the core's thread starts, before its first turn. Errors stop the node. */
    tr_err (*start)(int core, struct uv_loop_s *loop, void *ctx);
    /** Returns true when it has more to do at once (the core does not sleep). */
    bool (*before_run)(int core, void *ctx);
    bool (*after_run)(int core, void *ctx);
    /** Once, when the node stops, after the last process ended; closes its uv handles. */
    void (*stop)(int core, struct uv_loop_s *loop, void *ctx);
    void *ctx;
} tr_core_hooks;

/** A report: crash of a process, a supervisor's report, a progress or a warning. Fields that do not apply are
 *  none / NULL. */
typedef enum tr_report_kind {
    TR_REPORT_PROCESS_CRASHED,      /* process.crashed: abnormal end of a process              */
    TR_REPORT_SERVER_TERMINATED,    /* gen_server.terminated: with last message and state      */
    TR_REPORT_CHILD_TERMINATED,     /* supervisor.child_terminated                             */
    TR_REPORT_CHILD_START_FAILED,   /* supervisor.start_failed                                 */
    TR_REPORT_CHILD_SHUTDOWN_ERROR, /* supervisor.shutdown_failed                              */
    TR_REPORT_SUPERVISOR_GAVE_UP,   /* supervisor.gave_up                                      */
    TR_REPORT_CHILD_STARTED,        /* supervisor.child_started (info)                         */
    TR_REPORT_CHILD_RESTARTED,      /* supervisor.restarted (warning)                          */
    TR_REPORT_MESSAGE_IGNORED,      /* message.ignored: no handle_info, stray to a supervisor  */
    TR_REPORT_SYS_EVENT,            /* sys.event (info): reason is the event, see sys.h        */
    TR_REPORT_CALLBACK_RAN_LONG,    /* callback.ran_long                                       */
    TR_REPORT_STAGE_WARNED,         /* stage.warned: {events_discarded, N} ...                 */
    TR_REPORT_STATEM_TERMINATED,    /* gen_statem.terminated: also queue, postponed, timeouts  */
} tr_report_kind;
typedef struct tr_report {
    tr_report_kind kind;
    tr_pid pid;
    const char *label;
    tr_term name;
    const char *behaviour;
    tr_term reason;
    const char *last_message; /* its type's name */
    tr_term state;
    tr_pid child;
    tr_term child_id;
    int64_t value; /* a duration or a count */
    /* gen_statem: lists of {Type, Message}. What it was doing and what waited inside; what waited for a change; what runs. */
    tr_term queue, postponed, timeouts;
} tr_report;
const char *tr_report_event(tr_report_kind kind);
/** Writes a report as one JSON object without newline. Returns: the length it wanted, like snprintf. */
size_t tr_report_json(const tr_report *report, char *out, size_t size);

typedef struct tr_node_opts {
    int workers;          /* 0: CPUs allowed by affinity and cgroup quota                      */
    uint32_t process_max; /* 0: 2^20 ... at most 2^24. From 4096 on a core may hold up to 62 free ones back */
    uint32_t mailbox_max; /* default of processes; 0: unlimited                                */
    size_t stack_bytes;   /* 0: 64 KiB (256 KiB under AddressSanitizer)                        */
    uint32_t stack_max;   /* stacks alive at once; 0: 16384                                    */
    bool virtual_time;    /* one core, run by tr_virtual_*                                     */
    tr_core_hooks hooks;
    /** Where reports go; default: a JSON line on stderr for everything but progress. Context: any thread;
     *  must not block. */
    void (*report)(const tr_report *report, void *ctx);
    void *report_ctx;
    /** Last words before the OS process ends by TR_ASSERT. */
    void (*fatal)(const char *text);
} tr_node_opts;

/** Starts the workers and returns. opts may be NULL. Errors: TR_E_STATE when running, TR_E_NOMEM, or what a
 *  start hook said. */
TR_MUST_CHECK tr_err tr_node_start(const tr_node_opts *opts);
/** Kills what still lives (shutdown is the program's job: stop your root supervisor first), joins the
 *  workers, frees everything. */
void tr_node_stop(void);
/** tr_node_start, one process that runs fn(arg), tr_node_stop when it ended. Returns: 0 after a normal end, 1
 *  otherwise. */
int tr_node_run(const tr_node_opts *opts, tr_main_fn fn, const void *arg);
/** Waits (blocks the thread, not for processes) until a process ended; its reason is kept on the thread's
 *  scratch. */
void tr_node_join(tr_pid pid, tr_term *reason);

int tr_node_workers(void);
/** How many workers tr_node_start would run when asked for that many (0: one for each CPU allowed). */
int tr_node_workers_of(int asked);
/** The core the calling thread runs, or -1. */
int tr_node_core(void);
/** Runs fn(ctx) once on that core's thread between turns, outside any process. Context: any thread. */
void tr_node_post(int core, void (*fn)(void *ctx), void *ctx);

/** Counters of the whole node, summed over cores at the call. */
typedef struct tr_node_stats {
    uint64_t processes, processes_spawned, messages_sent, messages_dead_letter, messages_refused, slices,
        steals, wakeups, timers, stacks, stacks_free, bytes_allocated, bytes_freed, parked;
} tr_node_stats;
void tr_node_stats_get(tr_node_stats *out);

/* ---- virtual time (tr_node_opts.virtual_time)
 * -------------------------------------------------------------------- */
/** Runs until no process can run. Timers do not fire (but those already due do). */
void tr_virtual_run(void);
/** Moves the clock by ms: timers fire in order of deadline, then of creation; after each deadline everything
 *  runs until quiet. */
void tr_virtual_advance(int64_t ms);

#endif
