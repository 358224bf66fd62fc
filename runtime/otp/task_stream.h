/* task_stream.h: what a stream's consumer and its keeper say to each other. Not public; <troupe/task_stream.h> is.
 *
 * Both directions are messages of kind TR_MSG_ACK, which no receive of the consumer sees. What comes to the consumer, from
 * the keeper or from a task, carries the reference {keeper, slot + 1}.
 *
 * Invariants
 *  1. The consumer gives a slot to each running task, and gives it again only when the keeper told of the task's end. What
 *     a task sent came before that, for it was sent before it died.
 *  2. The keeper's own end comes after all of its tasks': when the consumer sees it, everything of the stream is in its
 *     mailbox. (Not when the keeper is killed: then links end the tasks.)
 */
#ifndef TROUPE_OTP_TASK_STREAM_H
#define TROUPE_OTP_TASK_STREAM_H

#include <troupe/task_stream.h>

#include "runtime/otp/task.h"

/* To the keeper: start a task in this slot, or (no_more) kill all and end. */
TR_MESSAGE(tr__stream_order, {
    uint32_t slot;
    bool no_more;
    tr_pid sup;
});

typedef enum tr__stream_news { TR__STREAM_STARTED, TR__STREAM_REFUSED, TR__STREAM_ENDED } tr__stream_news;
/* To the consumer. */
TR_MESSAGE_TERMS(
    tr__stream_event,
    {
        tr__stream_news news;
        uint32_t slot;
        tr_pid pid; /* STARTED: it waits for its work */
        tr_err err; /* REFUSED */
        bool late;  /* ENDED: killed because its time was up */
        tr_term reason;
    },
    offsetof(tr__stream_event, reason));

/** What a keeper is started with. The birth of its tasks follows. */
typedef struct tr__stream_keeping {
    _Alignas(16) tr_pid consumer;
    int64_t timeout_ms;
    int64_t shutdown_ms;
    bool supervised;
    bool link;
    const char *name;
    size_t birth_bytes;
} tr__stream_keeping;

/** The keeper's main function; its argument is a tr__stream_keeping. */
void tr__stream_keeper(const void *keeping);

#endif
