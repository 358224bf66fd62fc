/* timer.h: messages later.
 *
 * Invariants
 *  1. Timers with the same deadline, set by one process, fire in the order they were set.
 *  2. A name is resolved when the timer fires. A timer for a pid that died goes away. The setter's death
 *     changes nothing.
 *  3. tr_cancel_timer's false does not mean the message was handled: it may be in the mailbox.
 *  4. Intervals have an absolute schedule: no drift.
 * Resolution 1 ms; never early. Limit: 2^48 ms.
 */
#ifndef TROUPE_TIMER_H
#define TROUPE_TIMER_H

#include <troupe/process.h>

/** After ms the bare message goes to dest. Takes msg. Returns: the timer. Context: process. */
tr_ref tr_send_after(int64_t ms, tr_dest dest, tr_msg *msg);
#define TR_SEND_AFTER(ms, dest, T, ...) tr_send_after((ms), TR_DEST(dest), TR_MSG(T, __VA_ARGS__))
/** The same, delivered with kind TR_MSG_TIMER and the timer's reference ({timeout, Ref, Msg}). */
tr_ref tr_start_timer(int64_t ms, tr_dest dest, tr_msg *msg);
/** The same two at a point of tr_now_ms' time (OTP's option abs); one that is over is now. */
tr_ref tr_send_at(int64_t at_ms, tr_dest dest, tr_msg *msg);
tr_ref tr_start_timer_at(int64_t at_ms, tr_dest dest, tr_msg *msg);
/** Milliseconds that were left, or -1 when it had fired, was cancelled or is unknown. Blocks: parks when
 *  another core holds it. */
int64_t tr_cancel_timer(tr_ref timer);
/** Milliseconds left, or -1. */
int64_t tr_read_timer(tr_ref timer);

/* OTP's module timer, without its server. Each returns TR_NO_REF when ms is negative ({error, badarg}). */

/** A copy of msg every ms (0 is 1), first after ms; ends with tr_cancel_interval or when dest's process dies. Takes
 *  msg. */
tr_ref tr_send_interval(int64_t ms, tr_dest dest, tr_msg *msg);
/** An exit signal to dest after ms (kill_after: reason kill). It comes from nobody (TR_NO_PID), as it comes from a
 *  process nobody knows in OTP: never from a parent or from dest itself. */
tr_ref tr_exit_after(int64_t ms, tr_dest dest, tr_term reason);
static inline tr_ref tr_kill_after(int64_t ms, tr_dest dest)
{
    return tr_exit_after(ms, dest, TR_ATOM(KILL));
}
/** Runs fn(arg) in a fresh process after ms. arg is copied. */
tr_ref tr_apply_after(int64_t ms, tr_main_fn fn, const void *arg, size_t arg_bytes);
/** The same every ms (0 is 1), whether the last one has ended or not; ends with tr_cancel_interval or when the calling
 *  process dies. */
tr_ref tr_apply_interval(int64_t ms, tr_main_fn fn, const void *arg, size_t arg_bytes);
/** The same, but the next one waits until the last one has ended. Those that are late follow one another at once, until
 *  as many ran as time has passed for. (OTP 26's apply_repeatedly.) TR_NO_REF also when there is no room for one more
 *  process. Context: process. */
tr_ref tr_apply_repeatedly(int64_t ms, tr_main_fn fn, const void *arg, size_t arg_bytes);
/** Cancels any of these; TR_OK also for unknown references, as in OTP. */
tr_err tr_cancel_interval(tr_ref timer);
/** Runs fn(arg) here. Returns: how long it took, in microseconds. Context: any thread. */
int64_t tr_tc(tr_main_fn fn, const void *arg);

/** Monotonic time of the running turn. ns is finer but costs a clock read. Context: any thread. */
int64_t tr_now_ms(void);
uint64_t tr_now_ns(void);

#endif
