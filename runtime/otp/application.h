/* application.h: what the controller and the masters of applications say to each other. Not public;
 * <troupe/application.h> is.
 *
 * Invariants
 *  1. A master is linked to the controller and traps exits. It tells how its start went exactly once, unless it is
 *     killed; its end is heard of by the link.
 *  2. A record of the controller is in one of three states; waiters are answered when the state ends:
 *
 *        LOADED --start--> STARTING --told ok--> RUNNING --stop--> STOPPING --EXIT--> LOADED
 *           ^                 | told failed, EXIT    | EXIT (may end the controller)
 *           +-----------------+----------------------+
 *  3. Records, waiters and terms are in the controller's memory; the environment is in a table of its own that any
 *     thread reads, and which the controller empties at its end.
 */
#ifndef TROUPE_OTP_APPLICATION_H
#define TROUPE_OTP_APPLICATION_H

#include <troupe/application.h>

#include "runtime/core/behaviour.h"

/** Starts the master of an application, linked to the calling controller. TR_OK: it will tell. */
tr_err tr__app_master_start(const tr_application *app, tr_pid *master);

/* From the master: how its start went. */
TR_MESSAGE_TERMS(
    tr__app_told,
    {
        tr_pid master;
        tr_pid top;
        tr_err err;
        tr_term reason;
    },
    offsetof(tr__app_told, reason));
/* To the master: stop, and end normally. */
TR_MESSAGE_EMPTY(tr__app_stop);

/* ---- calls ---- */
#define TR__APP_CONTROLLER tr_atom("application_controller")

TR_MESSAGE(tr__app_load, { const tr_application *app; });
typedef enum tr__app_op { TR__APP_UNLOAD, TR__APP_START, TR__APP_STOP, TR__APP_LIST } tr__app_op;
TR_MESSAGE_TERMS(
    tr__app_request,
    {
        tr__app_op op;
        tr_app_type type;
        tr_term name;
    },
    offsetof(tr__app_request, name));
TR_MESSAGE_TERMS(
    tr__app_answer,
    {
        tr_err err;
        tr_term reason;
    },
    offsetof(tr__app_answer, reason));
/* All as tr_app_info: the running ones first, newest first. Names are atoms. */
TR_MESSAGE_BLOBS(
    tr__app_list,
    {
        size_t count;
        size_t running;
        tr_blob *list;
    },
    offsetof(tr__app_list, list));

/** Is name in this list of names (NULL: it is empty). */
bool tr__app_is_named(const char *const *names, const char *name);

/* ---- the environment (app_env.c) ---- */
/** Puts the defaults over what was set, except where that was set persistently. */
void tr__app_env_load(tr_term name, tr_term defaults);
void tr__app_env_unload(tr_term name);
void tr__app_env_clear(void);

#endif
