/* sys.h: looking into and holding any behaviour process (OTP's sys). Requests wait behind nothing but the
 * running callback's predecessors in the mailbox; a suspended process handles only these and its parent's
 * EXIT.
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

#endif
