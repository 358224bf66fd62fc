/* sys_wire.h: what travels between the asking side (sys_ask.c) and the answering side (sys.c) of sys.
 * Internal to both.
 *
 * The function of replace_state and its ctx are the requester's and die with it, so they travel in a ticket,
 * a blob that both hold. Invariants
 *  1. A ticket leaves OPEN once: to RUNNING by the server, or to REVOKED by the requester (which gave up, or
 *     is being buried).
 *  2. fn runs only in RUNNING; a requester that finds RUNNING waits until it is over. So fn must not block.
 */
#ifndef TROUPE_OTP_SYS_WIRE_H
#define TROUPE_OTP_SYS_WIRE_H

#include <troupe/sys.h>

typedef enum tr__sys_op {
    TR__SYS_GET_STATE,
    TR__SYS_SUSPEND,
    TR__SYS_RESUME,
    TR__SYS_GET_STATUS,
    TR__SYS_TERMINATE, /* answered, then begun */
    TR__SYS_STOP,      /* not answered: the requester waits for the end */
    TR__SYS_STATISTICS_ON,
    TR__SYS_STATISTICS_OFF,
    TR__SYS_STATISTICS_GET,
    TR__SYS_STATUS_OF,
    TR__SYS_TRACE, /* number: on */
    TR__SYS_LOG,   /* number: how many */
    TR__SYS_LOG_GET,
    TR__SYS_LOG_PRINT,
    TR__SYS_LOG_TO_FILE, /* term: the path or none */
    TR__SYS_REMOVE,      /* term: the id */
    TR__SYS_NO_DEBUG,
} tr__sys_op;

TR_MESSAGE_TERMS(
    tr__sys_request,
    {
        tr__sys_op op;
        uint32_t number;
        tr_term term; /* TERMINATE, STOP: the reason */
    },
    offsetof(tr__sys_request, term));

/* A debug function on its way; its memory travels as bytes. */
typedef struct tr__sys_install {
    tr_sys_debug_fn fn;
    tr_term id;
    tr_blob *own;
} tr__sys_install;
extern const tr_type tr__sys_install__type;

typedef enum tr__sys_ticket_state {
    TR__TICKET_OPEN,
    TR__TICKET_RUNNING,
    TR__TICKET_DONE,
    TR__TICKET_REVOKED
} tr__sys_ticket_state;
typedef struct tr__sys_ticket {
    uint32_t state; /* atomic: tr__sys_ticket_state */
    void (*fn)(void *self, void *ctx);
    void *ctx;
} tr__sys_ticket;
TR_MESSAGE_BLOBS(
    tr__sys_replace, { tr_blob *ticket; }, offsetof(tr__sys_replace, ticket));

TR_MESSAGE_TERMS(
    tr__sys_reply,
    {
        tr_err err;
        tr_term term; /* the state, the status, the log, or the reason of TR_E_EXIT */
        tr_sys_statistics statistics;
        tr_sys_status status; /* its state is .term */
    },
    offsetof(tr__sys_reply, term), offsetof(tr__sys_reply, status.debug));

static inline tr__sys_ticket *tr__sys_ticket_of(tr_blob *blob)
{
    return (tr__sys_ticket *)(void *)blob->bytes;
}

#endif
