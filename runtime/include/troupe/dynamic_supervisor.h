/* dynamic_supervisor.h: children that are started on demand, each with a spec of its own, known by their pids.
 * Semantics are those of Elixir 1.14's DynamicSupervisor. It is a supervisor of strategy TR_DYNAMIC:
 *
 *     static const tr_supervisor pool = {
 *         .name = "pool", .flags = {.strategy = TR_DYNAMIC, .max_children = 100}};
 *     tr_supervisor_start_link(&pool, NULL, 0, NULL, &started);  or as a child: {.supervisor = &pool}
 *     tr_child_spec spec = {.server = &session, .restart = TR_TEMPORARY};
 *     tr_sup_result result = tr_dynamic_supervisor_start_child(tr_to(started.pid), &spec);
 *
 * Invariants
 *  1. It starts empty, also when it is restarted.
 *  2. max_children counts children that run or are to be restarted: one start at a time, so it is exact.
 *  3. A restarted child has a new pid; the old one is not found any more.
 *  4. Its end stops all children in parallel, each within its own shutdown time, and awaits all of them.
 */
#ifndef TROUPE_DYNAMIC_SUPERVISOR_H
#define TROUPE_DYNAMIC_SUPERVISOR_H

#include <troupe/supervisor.h>

/** Starts a child; its id is not used, and may be missing. The flags' extra argument comes before the spec's own,
 *  at restarts too; with it, a spec's argument has a size or is NULL (else TR_E_BADARG). err: TR_OK (pid; info), TR_E_IGNORE,
 *  TR_E_EXIT (start failed), TR_E_BADARG (invalid spec: no message is sent), TR_E_STATE (reason max_children),
 *  TR_E_NOPROC. Blocks: parks without limit. Context: process. */
tr_sup_result tr_dynamic_supervisor_start_child(tr_dest sup, const tr_child_spec *spec);
/** Stops a child and awaits its end. TR_E_NOT_FOUND when pid is none of its children (any more). Blocks: parks. */
tr_sup_result tr_dynamic_supervisor_terminate_child(tr_dest sup, tr_pid pid);
/** As of any supervisor: the children, newest first, with the id undefined. Blocks: parks. */
TR_MUST_CHECK tr_err tr_dynamic_supervisor_which_children(tr_dest sup, const tr_child_info **children,
                                                          size_t *count);
/** specs counts all children, active those that are not being restarted. Blocks: parks. */
TR_MUST_CHECK tr_err tr_dynamic_supervisor_count_children(tr_dest sup, tr_child_counts *counts);
/** Stops the supervisor with reason, as tr_gen_server_stop. Blocks: parks. */
TR_MUST_CHECK tr_err tr_dynamic_supervisor_stop(tr_dest sup, tr_term reason, int64_t timeout_ms,
                                                tr_term *actual);

#endif
