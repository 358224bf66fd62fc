/* proc_lib.h: plain processes that are started as behaviours are: the starter waits until the new one says that
 * it is ready. Semantics are OTP 25's proc_lib.
 *
 *     static void listener_main(const void *arg)
 *     {
 *         ... open what it needs; on failure: tr_init_fail(tr_atom("eaddrinuse"), tr_atom("eaddrinuse"));
 *         tr_init_ack(TR_TERM_NONE_VALUE);      the starter goes on
 *         ... the rest of its life
 *     }
 *     err = tr_proc_lib_start_link(listener_main, &arg, sizeof arg, NULL, &started, NULL);
 *
 * Invariants
 *  1. A start returns when the process acknowledged, failed or ended, or when time is up; it never hangs on one
 *     that died.
 *  2. Only the first acknowledgement counts.
 *  3. An abnormal end is reported (process.crashed), unlike that of a process made by tr_spawn.
 *  4. Link and monitor are set with the spawn. start_monitor leaves the monitor alone, so that the DOWN comes
 *     also when the start failed; opts->spawn.link links as well.
 */
#ifndef TROUPE_PROC_LIB_H
#define TROUPE_PROC_LIB_H

#include <troupe/gen_server.h>

/** Starts fn(arg) in a process and waits for its tr_init_ack. arg_bytes of arg are copied. opts may be NULL.
 *  On TR_OK started->pid is set, and *info (NULL allowed) is what it acknowledged with, on the caller's scratch.
 *  Errors: TR_E_EXIT (it failed or ended first: started->reason), TR_E_IGNORE, TR_E_TIMEOUT (killed, and its link
 *  taken off), TR_E_ALREADY_STARTED, TR_E_LIMIT. A linked starter that does not trap dies with it, as in OTP.
 *  Blocks: parks the calling process. Context: process. */
TR_MUST_CHECK tr_err tr_proc_lib_start(tr_main_fn fn, const void *arg, size_t arg_bytes,
                                       const tr_start_opts *opts, tr_started *started, tr_term *info);
TR_MUST_CHECK tr_err tr_proc_lib_start_link(tr_main_fn fn, const void *arg, size_t arg_bytes,
                                            const tr_start_opts *opts, tr_started *started, tr_term *info);
/** The same; started->monitor is set also on errors that a process caused, and its DOWN comes. */
TR_MUST_CHECK tr_err tr_proc_lib_start_monitor(tr_main_fn fn, const void *arg, size_t arg_bytes,
                                               const tr_start_opts *opts, tr_started *started, tr_term *info);

/** In the new process: the starter goes on; info (or none) is the start's third value. Does nothing when nobody
 *  waits. Also for children of supervisors with manual_ack. Context: process. */
void tr_init_ack(tr_term info);
/** Gives the names back, tells the starter `told`, ends with exit_reason. */
TR_NORETURN void tr_init_fail(tr_term told, tr_term exit_reason);
/** The starter gets TR_E_IGNORE; the process ends normally. */
TR_NORETURN void tr_init_ignore(void);

/** Ends any process that answers sys requests, behind what is queued. As tr_gen_server_stop. Blocks: parks. */
TR_MUST_CHECK tr_err tr_proc_lib_stop(tr_dest dest, tr_term reason, int64_t timeout_ms, tr_term *actual);

#endif
