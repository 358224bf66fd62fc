/* port.h: how code that is no process (an HTTP library on a core's loop, say) calls processes.
 *
 * A port is a process bound to one core that stands for such code: requests are sent in its name, each under
 * a number that the code chose; the answer, or the end of the process that was asked, comes back to one
 * function on that core's thread, between the loop and the next turn's hooks.
 *
 * Invariants
 *  1. Each request gets at most one answer; a number may be used again after its answer came. The port keeps
 *     no table: the
 *     program's number must tell old from new (slot and generation), for a late answer comes all the same.
 *  2. The process that is asked must answer by itself; one that hands the request on should be called by a
 *     process instead.
 *  3. tr_port_call belongs to the core's thread, outside any process.
 */
#ifndef TROUPE_PORT_H
#define TROUPE_PORT_H

#include <troupe/process.h>

typedef struct tr_port_opts {
    int core;
    const char *label;
    /** Borrows answer until it returns; must not park. answer NULL: the process asked ended with reason. */
    void (*answer)(void *ctx, uint64_t number, const tr_msg *answer, tr_term reason);
    /** Any other message sent to the port; may be NULL. */
    void (*message)(void *ctx, const tr_msg *msg);
    void *ctx;
} tr_port_opts;

/** Opens a port, linked to the calling process if there is one. Errors: as tr_spawn. */
TR_MUST_CHECK tr_err tr_port_open(const tr_port_opts *opts, tr_pid *port);

/** Sends request as a gen_server call from port. Takes request. TR_E_NOPROC, TR_E_FULL: nothing will come. */
TR_MUST_CHECK tr_err tr_port_call(tr_pid port, uint64_t number, tr_dest dest, tr_msg *request);

#endif
