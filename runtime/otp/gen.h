/* gen.h: what gen_server, gen_statem and their kin share: how one is spawned, started, and given its argument.
 * Not public. Named after OTP's module of the same kind.
 *
 * Invariants
 *  1. The argument is the process's own copy, or (arg_bytes 0) the starter's pointer as it is. tr__gen_arg_drop gives the
 *     copy back as soon as init was called: an idle process keeps nothing that it does not need.
 *  2. tr__sys.flag says whose the argument is until it was dropped; from then on the flag is the behaviour's.
 *  3. The parent is the starter only when it linked; OTP's start without link has itself as parent, so its starter's exit
 *     is a plain info.
 */
#ifndef TROUPE_OTP_GEN_H
#define TROUPE_OTP_GEN_H

#include "runtime/core/behaviour.h"
#include "runtime/otp/sys.h"

/** What the spawner hands to a new process. */
typedef struct tr__gen_args {
    const void *arg; /* arg_bytes of it are copied; 0: the pointer itself is handed to init */
    size_t arg_bytes;
    bool linked;    /* the spawner becomes the parent */
    uint32_t debug; /* set by tr__gen_options, for tr__sys_debug_start */
} tr__gen_args;

/** Takes the start options (NULL allowed) into *spawn, whose label and behaviour are set. Left to the caller: opts.link,
 *  opts.monitor, ack, restarts. */
void tr__gen_options(tr__spawn *spawn, const tr_start_opts *opts, bool trap_exit, tr__gen_args *args);
/** Runs in the spawner's fill: sets sys->parent. Returns: the argument for init. */
const void *tr__gen_fill(struct tr__proc *proc, tr__sys *sys, const tr__gen_args *args);
/** init was called with this argument. */
void tr__gen_arg_drop(tr__sys *sys, const void *arg);
/** Starts and waits for init. Errors and *started (NULL allowed) as tr_gen_server_start. Blocks: parks. */
tr_err tr__gen_start(tr__spawn *spawn, tr__start_how how, const tr_start_opts *opts, tr_started *started);

/** Is this the EXIT that ends the process, because its parent ended? */
bool tr__gen_is_parents_exit(const tr__sys *sys, const tr_msg *msg);
/** {name, bytes}: what is shown of memory that nobody described. */
tr_term tr__gen_opaque(const char *name, size_t bytes);
/** Its type's name, or NULL. */
const char *tr__gen_msg_name(const tr_msg *msg);

#endif
