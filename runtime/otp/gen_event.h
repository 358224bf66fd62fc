/* gen_event.h: what the callers of an event manager and the manager say to each other. Not public;
 * <troupe/gen_event.h> is.
 *
 * An event is a message of its own type: a cast (notify) or a call (sync_notify). Everything else is of the types
 * below, so no type of an event can be mistaken for them.
 */
#ifndef TROUPE_OTP_GEN_EVENT_H
#define TROUPE_OTP_GEN_EVENT_H

#include <troupe/gen_event.h>

#include "runtime/core/behaviour.h"

typedef enum tr__event_op {
    TR__EVENT_ADD,
    TR__EVENT_DELETE,
    TR__EVENT_SWAP,
    TR__EVENT_WHICH,
} tr__event_op;

TR_MESSAGE_TERMS(
    tr__event_admin,
    {
        tr__event_op op;
        tr_pid supervisor; /* or TR_NO_PID */
        tr_event_id who;
        tr_term args;
        tr_event_id to;
        tr_term to_args;
    },
    offsetof(tr__event_admin, who.id), offsetof(tr__event_admin, args), offsetof(tr__event_admin, to.id),
    offsetof(tr__event_admin, to_args));

/* A request for one handler: what it is made of again in the manager. */
typedef struct tr__event_request {
    tr_event_id who;
    const tr_type *type;
    tr_blob *payload; /* NULL: it has no bytes */
} tr__event_request;
extern const tr_type tr__event_request__type;

/* Every answer that is not a handler's own. */
TR_MESSAGE_TERMS(
    tr__event_answer,
    {
        tr_err err;
        tr_term term; /* delete: the result; an error: why */
    },
    offsetof(tr__event_answer, term));

/* All handlers: their modules' addresses as bytes, and their ids; an id of none is undefined. */
TR_MESSAGE_TERMS(
    tr__event_list,
    {
        tr_term modules;
        tr_term ids;
    },
    offsetof(tr__event_list, modules), offsetof(tr__event_list, ids));

#endif
