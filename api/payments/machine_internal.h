/* The machine's own data and the seams between its files. For api/payments/machine*.c only.
 *
 * All of it belongs to the machine's process; clients, waiting commands and watchers are its memory (tr_alloc).
 */
#ifndef TROUPE_API_PAYMENTS_MACHINE_INTERNAL_H
#define TROUPE_API_PAYMENTS_MACHINE_INTERNAL_H

#include "api/payments/append.h"
#include "api/payments/machine.h"
#include "api/payments/service.h"

/* Things that happened and are durable, told to the machine by itself. All carry the event: */
TR_MESSAGE(payment_authorized, { struct payment_event event; });
TR_MESSAGE(payment_declined, { struct payment_event event; });
TR_MESSAGE(payment_captured, { struct payment_event event; });
TR_MESSAGE(payment_refunded, { struct payment_event event; });
TR_MESSAGE(payment_cancelled, { struct payment_event event; });
TR_MESSAGE(payment_noted,
           { struct payment_event event; }); /* created, operation.*: no state changes by them */

TR_MESSAGE_EMPTY(machine_load);   /* first of all */
TR_MESSAGE_EMPTY(machine_loaded); /* all stored events were told */
TR_MESSAGE_EMPTY(machine_resume); /* the next of those that wait */
TR_MESSAGE_EMPTY(machine_tick);   /* of all time-outs */

/* The request behind the open operation. */
struct request {
    tr_from from;
    bool waits; /* for its answer */
    bool keyed; /* its key wants the answer */
    char request_id[PAYMENT_REQUEST_ID_MAX + 1];
    struct idempotency_key key;
};

/* A command that waits for the open operation to end. */
struct waiting {
    struct waiting *next;
    tr_from from;
    int64_t deadline_ms;
    const tr_type *type;
    struct payment_command command;
};
struct watcher {
    struct watcher *next;
    tr_from from;
    int64_t deadline_ms;
    uint64_t version;
};

typedef struct payment_machine {
    struct payment payment;  /* as the events that were told make it */
    struct payment *stored;  /* while it loads: its row, for the comparison */
    struct request *request; /* NULL: no operation is open */
    struct waiting *waiting;
    struct watcher *watchers;
    uint32_t waiting_count;
    uint32_t attempts; /* queries so far */
    tr_task task;      /* the running call to the gateway, if asked */
    bool asked;
    bool queried; /* it is a query */
    bool loaded;
    int64_t busy_ms;     /* when it last had something to do */
    tr_resource counted; /* one of machines_live */
} payment_machine;

/* ---- machine.c ---- */

/** The row of the table that fits; NULL when none does. */
const tr_transition *machine_row(const payment_machine *self, const tr_msg *msg);
/** The state to which the table leads with a durable event. */
enum payment_state machine_target(const payment_machine *self, const tr_msg *happened);
/** The message that tells an event. */
tr_msg *machine_telling(const struct payment_event *event);

/** Appends a draft durably. *telling: the message that tells its event to the machine; NULL when it has none or was not
 *  written.   Blocks: parks. */
struct appended machine_append(payment_machine *self, struct draft *draft, tr_msg **telling);

/* ---- machine_operation.c ---- */

/** Begins an operation for a command: notes it, then asks the gateway. */
tr_step operation_begin(payment_machine *self, const tr_event *event, enum operation_kind kind);
/** The gateway's word, or the end of the task that asked for it. false: this event is not about it. */
bool operation_heard(payment_machine *self, const tr_event *event, tr_step *step);
/** Time is up for: the client's patience (202), the task, the next query. */
tr_step operation_answer_late(payment_machine *self);
tr_step operation_give_up(payment_machine *self);
tr_step operation_query(payment_machine *self);
/** An operation was found open when the machine was loaded. */
tr_step operation_adopt(payment_machine *self);

/* ---- machine_waiting.c ---- */

/** Keeps a command until the open operation ends, or refuses it. */
tr_step waiting_add(payment_machine *self, const tr_event *event);
/** Tells the next command that waits, if any may begin. */
tr_step waiting_resume(payment_machine *self);
/** Refuses all of them: the operation became unknown. */
void waiting_refuse_all(payment_machine *self);
/** Refuses those whose time is up, answers watchers. */
tr_step waiting_expire(payment_machine *self);
tr_step watcher_add(payment_machine *self, const tr_event *event);
/** Answers watchers of older versions. */
void watchers_tell(payment_machine *self);

/** Answers a command with what came of its append; stops if the machine cannot go on. */
tr_step machine_say(tr_from from, const struct appended *appended);
/** Answers a command for which nothing was written. */
tr_step machine_refuse(const payment_machine *self, const tr_event *event, enum payment_outcome outcome);

#endif
