/* gen_server.h: a server's own data, and what the supervisor needs of gen_server. Not public;
 * <troupe/gen_server.h> is.
 *
 * Invariants
 *  1. A server's parent, whose EXIT ends it, is its starter when it was started with a link, else nobody.
 *  2. At most one timer of a server is outstanding, however often its idle time-out is set and cancelled:
 *     cancelling only forgets
 *     the deadline; setting it again starts a timer only when none is under way that fires in time.
 *  3. An idle server keeps nothing but this, its state and what it allocated: so hibernation has nothing left
 *     to give back.
 */
#ifndef TROUPE_OTP_GEN_SERVER_H
#define TROUPE_OTP_GEN_SERVER_H

#include "runtime/otp/gen.h"

/* The idle time-out of a server that ever set one. */
typedef struct tr__idle {
    tr_resource resource; /* takes the timer away when the server ends */
    tr_ref timer;         /* id 0: none is outstanding */
    int64_t timer_due_ms;
    int64_t deadline_ms; /* later than timer_due_ms when it was put off since */
    int64_t period_ms;
} tr__idle;

typedef struct tr__gen_server {
    tr__sys sys; /* first: see sys.h. flag: see gen.h; after init: an idle time-out is set */
    const tr_gen_server *module;
    union {
        tr__idle *idle;       /* NULL: it never set a time-out */
        const void *init_arg; /* until init was called */
    };
    _Alignas(16) unsigned char state[];
} tr__gen_server;
_Static_assert(sizeof(tr__gen_server) == 48, "an idle server must stay small");

/** What the spawner hands to a new server; must live until tr__spawn_process / tr__start returned. */
typedef struct tr__gen_server_args {
    const tr_gen_server *server;
    tr__gen_args gen;
} tr__gen_server_args;

/** Fills *spawn so that it starts this server: behaviour, data, trapping, label, start options (opts may be
 *  NULL). Left to the caller: opts.link, opts.monitor, ack, restarts. */
void tr__gen_server_spawn(tr__spawn *spawn, tr__gen_server_args *args, const tr_start_opts *opts);

extern const tr__behaviour tr__gen_server_behaviour;
extern const tr__sys_ops tr__gen_server_sys_ops;

/** The answer to a call becomes *out (type's struct). Takes reply unless it holds what *out points to.
 *  Errors: TR_E_TYPE. */
tr_err tr__reply_unpack(tr_msg *reply, const tr_type *type, void *out);

/* ---- the idle time-out (gen_server_idle.c) ---- */
/** Sets the time-out that a callback asked for, or none. */
void tr__idle_set(tr__gen_server *server, const tr_next *next);
/** Begins a full period anew, after a sys request. */
void tr__idle_restart(tr__gen_server *server);
/** The mailbox is empty. Returns: a time-out of 0 ms has come (and is no longer set). */
bool tr__idle_is_due_now(tr__gen_server *server);
/** Is this the server's own timer? Then *due tells whether the time-out has come (and is no longer set). */
bool tr__idle_timer(tr__gen_server *server, const tr_msg *msg, bool *due);

#endif
