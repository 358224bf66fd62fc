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
 *  3. tr_port_call, tr_port_ask and tr_port_monitor belong to the core's thread, outside any process.
 *  4. A call costs its process a monitor that comes and goes. Where many requests ask the same few processes, one
 *     tr_port_monitor a process and tr_port_ask for each request do the same for less: every request that was sent
 *     before the process ended is answered before the DOWN comes, or never.
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

/** The same without a monitor: when the process ends without having answered, nothing comes. For processes that
 *  tr_port_monitor watches. Takes request. TR_E_NOPROC: it ended before. */
TR_MUST_CHECK tr_err tr_port_ask(tr_pid port, uint64_t number, tr_pid pid, tr_msg *request);

/** When pid ends, `answer` is called with this number, no answer and the reason, once. Cannot be taken back.
 *  Errors: TR_E_NOPROC when it has ended already; nothing will come. */
TR_MUST_CHECK tr_err tr_port_monitor(tr_pid port, uint64_t number, tr_pid pid);

#endif
