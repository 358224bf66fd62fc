/* consumer_supervisor.h: starts one child for each event, and asks for more as children end. Semantics are those of
 * GenStage's ConsumerSupervisor. It is a stage: tr_stage_subscribe and the calls of sys are the same.
 *
 *     static tr_err printers_init(const void *arg, tr_consumer_supervisor_opts *opts)
 *     {
 *         opts->child = (tr_child_spec){.server = printer_server, .restart = TR_TEMPORARY};
 *         opts->subscribe_to = ...; (max_demand is how many children live at once)
 *         return TR_OK;
 *     }
 *     static const tr_consumer_supervisor printers = {.name = "printers", .init = printers_init};
 *
 * Invariants
 *  1. Children of a subscription that live, are to be restarted, or are still to come are never more than its max_demand;
 *     it asks anew when they have fallen to min_demand.
 *  2. A child that ended for good makes room for another; so does one that could not be started or ignored.
 *  3. A transient child that failed is started again for the same event. More than intensity such starts in period_s seconds
 *     end the supervisor with shutdown.
 *  4. Its end stops all children in parallel, within the child's shutdown time, and awaits them.
 *  5. A child's argument is the spec's bytes followed by the event's payload. So events have no terms: one that has
 *     cannot be started.
 * Limits: children are gen_servers (.server) or plain processes (.main); a slow init holds the others up.
 */
#ifndef TROUPE_CONSUMER_SUPERVISOR_H
#define TROUPE_CONSUMER_SUPERVISOR_H

#include <troupe/gen_stage.h>
#include <troupe/supervisor.h>

typedef struct tr_consumer_supervisor_opts {
    tr_child_spec
        child; /* temporary or transient; arg_bytes of its argument are copied; id and names are not used */
    int32_t intensity;                   /* 0: 3; TR_INTENSITY_NONE: none */
    int32_t period_s;                    /* 0: 5 */
    const tr_subscription *subscribe_to; /* as a stage's */
    size_t subscribe_count;
} tr_consumer_supervisor_opts;

typedef struct tr_consumer_supervisor {
    const char *name;
    /** Fills opts. TR_OK; TR_E_IGNORE: it is not started; any other error is the reason. Must not block. */
    tr_err (*init)(const void *arg, tr_consumer_supervisor_opts *opts);
} tr_consumer_supervisor;

/** Starts one. module must outlive it; arg_bytes of arg are copied. Errors: as tr_gen_server_start_link; {bad_opts, What} for
 *  what is wrong with the child, the intensity or a subscription. Blocks: parks. */
TR_MUST_CHECK tr_err tr_consumer_supervisor_start_link(const tr_consumer_supervisor *module, const void *arg,
                                                       size_t arg_bytes, const tr_start_opts *opts,
                                                       tr_started *started);
/** Fills *spec with a child that is one, registered under name (none: without). Copies arg to the caller's scratch. */
void tr_consumer_supervisor_child_spec(const tr_consumer_supervisor *module, const void *arg,
                                       size_t arg_bytes, tr_term name, tr_child_spec *spec);

/** Starts a child without an event; it counts for no subscription. TR_E_IGNORE, TR_E_EXIT with reason. Blocks: parks. */
tr_sup_result tr_consumer_supervisor_start_child(tr_dest supervisor, const void *extra, size_t extra_bytes);
/** Stops a child for good and awaits it. TR_E_NOT_FOUND. Blocks: parks. */
tr_sup_result tr_consumer_supervisor_terminate_child(tr_dest supervisor, tr_pid pid);
/** specs counts all children, active those that are not to be restarted. Blocks: parks. */
TR_MUST_CHECK tr_err tr_consumer_supervisor_count_children(tr_dest supervisor, tr_child_counts *counts);
/** Their pids (of one to be restarted: the last), in no order, on the caller's scratch. Blocks: parks. */
TR_MUST_CHECK tr_err tr_consumer_supervisor_which_children(tr_dest supervisor, const tr_pid **pids,
                                                           size_t *count);

#endif
