/* sys_debug.h: what watches a process: statistics, log, trace, file, debug functions. Internal to sys.
 *
 * Invariants
 *  1. tr__sys.debug points to one of these exactly while something watches: whoever takes the last thing away
 *     frees it (tr__debug_tidy).
 *  2. All memory is the process's; terms of the log are kept copies, owned by their place.
 *  3. A file is closed by whoever takes it away, or as a resource when the process ends.
 */
#ifndef TROUPE_OTP_SYS_DEBUG_H
#define TROUPE_OTP_SYS_DEBUG_H

#include "runtime/otp/sys_wire.h"

#define TR__SYS_LOG_MAX 100000u

struct tr__sys;
struct tr__sys_ops;

/** What there is, or a fresh one. ops and data: as tr__sys_handle. */
struct tr__sys_debug *tr__debug_of(struct tr__sys *sys, const struct tr__sys_ops *ops, void *data);
/** Frees it when nothing watches any more. */
void tr__debug_tidy(struct tr__sys *sys);
/** Serves a request about watching, filling in the reply. Returns: false when it is about something else. */
bool tr__debug_request(struct tr__sys *sys, const struct tr__sys_ops *ops, void *data,
                       const tr__sys_request *asked, tr__sys_reply *reply);
void tr__debug_install(struct tr__sys *sys, const struct tr__sys_ops *ops, void *data,
                       const tr__sys_install *install, tr__sys_reply *reply);
/** OTP's list of what watches. */
tr_term tr__debug_term(const struct tr__sys *sys);

#endif
