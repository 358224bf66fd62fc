/* The open operation of a payment: noted, asked for in a task, settled by the gateway's word, queried while that is unknown. */
#include "api/payments/machine_internal.h"

#include "server/log.h"
#include "server/settings_run_time.h"

#include <string.h>

#define GIVE_UP_MARGIN_MS 2000 /* a task that outlives its deadline by this is killed */
#define QUERY_FIRST_MS    250
#define QUERY_LAST_MS     60000
#define QUERY_TIMEOUT_MS  10000

TR_MESSAGE(gateway_job, {
    struct gateway_operation operation;
    int64_t deadline_ms;
    bool query;
});
TR_MESSAGE(gateway_said, { struct gateway_outcome outcome; });

/* ---- asking ---- */

static tr_msg *ask_gateway(const gateway_job *job)
{
    gateway_said said = {.outcome = {.result = GATEWAY_UNKNOWN}};
    (job->query ? payments.gateway->query : payments.gateway->perform)(&job->operation, job->deadline_ms,
                                                                       &said.outcome);
    return tr_msg_new(TR_TYPE(gateway_said), &said);
}

/* Starts the task. Returns: false when none can be had: then nothing was sent. */
static bool ask(payment_machine *self, const struct gateway_operation *operation, bool query)
{
    int64_t timeout_ms =
        query ? QUERY_TIMEOUT_MS : (int64_t)SETTINGS_NOW(payments.settings->gateway_timeout_ms);
    tr_err err =
        tr_task_supervisor_async_nolink(tr_to_name(tr_atom("payments.tasks")),
                                        TR_TASK(ask_gateway, gateway_job, .operation = *operation,
                                                .deadline_ms = tr_now_ms() + timeout_ms, .query = query),
                                        TR_SHUTDOWN_BRUTAL_KILL, &self->task);
    self->asked = err == TR_OK;
    self->queried = query;
    return self->asked;
}

static tr_action give_up_after(bool query)
{
    int64_t timeout_ms =
        query ? QUERY_TIMEOUT_MS : (int64_t)SETTINGS_NOW(payments.settings->gateway_timeout_ms);
    return TR_GENERIC_TIMEOUT("give_up", timeout_ms + GIVE_UP_MARGIN_MS, machine_tick);
}

/* What the gateway is told of an operation of this payment. */
static struct gateway_operation operation_of(const payment_machine *self,
                                             const struct payment_operation *open)
{
    struct gateway_operation operation = {.kind = open->kind, .amount = open->amount};
    memcpy(operation.id, open->id, sizeof(operation.id));
    memcpy(operation.payment_id, self->payment.id, sizeof(operation.payment_id));
    memcpy(operation.currency, self->payment.currency, sizeof(operation.currency));
    return operation;
}

/* ---- beginning ---- */

static int64_t amount_of(const payment_machine *self, enum operation_kind kind,
                         const struct payment_command *command)
{
    switch (kind) {
    case OPERATION_AUTHORIZE:
        return self->payment.amount;
    case OPERATION_REFUND:
        return command->amount;
    default:
        return self->payment.authorized_amount;
    }
}

/* Whether it may begin at all; otherwise nothing is noted. */
static enum payment_outcome judge(const payment_machine *self, const struct payment_command *command)
{
    if (command->if_version != 0 && command->if_version != self->payment.version) {
        return OUTCOME_VERSION_CONFLICT;
    }
    if (tr_now_ms() >= command->deadline_ms) {
        return OUTCOME_IN_PROGRESS; /* its client has been told so, or will be now */
    }
    return payments.gateway->available() ? OUTCOME_DONE : OUTCOME_GATEWAY_UNAVAILABLE;
}

static struct request *request_new(const tr_event *event, const struct payment_command *command)
{
    struct request *request = tr_alloc(sizeof(*request));
    *request = (struct request){
        .from = event->from, .waits = true, .keyed = command->key.key[0] != 0, .key = command->key};
    memcpy(request->request_id, command->request_id, sizeof(request->request_id));
    return request;
}

tr_step operation_begin(payment_machine *self, const tr_event *event, enum operation_kind kind)
{
    const struct payment_command *command = tr_msg_data(event->msg);
    enum payment_outcome judged = judge(self, command);
    if (judged != OUTCOME_DONE) {
        return machine_refuse(self, event, judged);
    }
    bool keyed = command->key.key[0] != 0;
    struct draft draft = {
        .has_event = true,
        .event = {.type = EVENT_OPERATION_STARTED, .kind = kind, .amount = amount_of(self, kind, command)},
        .key_step = keyed ? KEY_OPENS : KEY_STAYS,
        .key = &command->key,
        .operation = draft.event.operation,
        .outcome = OUTCOME_ACCEPTED,
        .code = "",
        .request_id = command->request_id};
    operation_id_make(draft.event.operation);
    tr_msg *telling;
    struct appended appended = machine_append(self, &draft, &telling);
    if (!appended.written) {
        return machine_say(event->from, &appended);
    }
    tr_msg_drop(appended.answer);
    self->request = request_new(event, command);
    self->attempts = 0;

    struct payment_operation open = {.kind = kind, .amount = draft.event.amount};
    memcpy(open.id, draft.event.operation, sizeof(open.id));
    struct gateway_operation operation = operation_of(self, &open);
    memcpy(operation.card_token, command->card_token, sizeof(operation.card_token));
    tr_step step = TR_WITH(
        TR_KEEP_STATE, ((tr_action){.kind = TR_ACTION_NEXT_EVENT, .type = TR_EVENT_INTERNAL, .msg = telling}),
        TR_GENERIC_TIMEOUT("answer", PAYMENTS_ANSWER_AFTER_MS, machine_tick), give_up_after(false));
    if (!ask(self, &operation, false)) {
        step = TR_WITH(step, TR_NEXT_EVENT(TR_EVENT_INTERNAL, gateway_said,
                                           .outcome = {.result = GATEWAY_NEVER, .detail = "not_sent"}));
    }
    return step;
}

/* ---- unknown ---- */

/* Doubles from a quarter of a second to a minute, spread by the operation's id so that many do not ask at once. */
static int64_t query_delay_ms(const payment_machine *self)
{
    const char *id = self->payment.operation.id;
    int64_t delay_ms = self->attempts > 8 ? QUERY_LAST_MS : (int64_t)QUERY_FIRST_MS << self->attempts;
    delay_ms = delay_ms < QUERY_LAST_MS ? delay_ms : QUERY_LAST_MS;
    int64_t spread =
        ((int64_t)id[4] * 7 + (int64_t)id[5] * 13 + (int64_t)self->attempts * 31) % 41 - 20; /* percent */
    return delay_ms + delay_ms * spread / 100;
}

static tr_action query_later(const payment_machine *self)
{
    return TR_GENERIC_TIMEOUT("query", query_delay_ms(self), machine_tick);
}

/* Nobody can say what became of it: noted once, then asked again and again. */
static tr_step become_unknown(payment_machine *self, const char *why)
{
    if (self->payment.operation.status == OPERATION_STATUS_UNKNOWN) {
        return TR_WITH(TR_KEEP_STATE, query_later(self));
    }
    struct draft draft = {.has_event = true,
                          .event = {.type = EVENT_OPERATION_UNKNOWN,
                                    .kind = self->payment.operation.kind,
                                    .amount = self->payment.operation.amount},
                          .outcome = OUTCOME_ACCEPTED,
                          .code = "",
                          .request_id = self->request->request_id};
    memcpy(draft.event.operation, self->payment.operation.id, sizeof(draft.event.operation));
    text_fill(draft.event.code, sizeof(draft.event.code), why);
    tr_msg *telling;
    struct appended appended = machine_append(self, &draft, &telling);
    tr_msg_drop(appended.answer);
    if (appended.stop) {
        return TR_STOP_STATEM(tr_tuple(TR_ATOM(SHUTDOWN), tr_atom("stale")));
    }
    tr_step step = TR_WITH(TR_KEEP_STATE, query_later(self), TR_CANCEL_GENERIC("give_up"));
    if (!appended.written) {
        return step; /* not written: it is in flight for everyone else, and queried all the same */
    }
    log_event(LOG_WARN, EVENT_OPERATION_LEFT_UNKNOWN, log_str("payment", self->payment.id),
              log_str("operation", self->payment.operation.id), log_str("why", why));
    waiting_refuse_all(self);
    return TR_WITH(step,
                   ((tr_action){.kind = TR_ACTION_NEXT_EVENT, .type = TR_EVENT_INTERNAL, .msg = telling}));
}

tr_step operation_adopt(payment_machine *self)
{
    self->attempts = 0;
    return become_unknown(self, "restarted");
}

tr_step operation_query(payment_machine *self)
{
    struct gateway_operation operation = operation_of(self, &self->payment.operation);
    self->attempts++;
    if (self->asked || self->payment.operation.kind == OPERATION_NONE) {
        return TR_KEEP_STATE;
    }
    return ask(self, &operation, true) ? TR_WITH(TR_KEEP_STATE, give_up_after(true))
                                       : TR_WITH(TR_KEEP_STATE, query_later(self));
}

/* ---- settling ---- */

/* The draft of an operation's end; the caller says which event and which answer. */
static struct draft end_of(const payment_machine *self, enum payment_event_type type,
                           enum payment_outcome outcome, const struct gateway_outcome *said)
{
    const struct payment_operation *open = &self->payment.operation;
    struct draft draft = {.has_event = true,
                          .event = {.type = type, .kind = open->kind, .amount = open->amount},
                          .key_step = !self->request->keyed                    ? KEY_STAYS
                                      : outcome == OUTCOME_GATEWAY_UNAVAILABLE ? KEY_FREES
                                                                               : KEY_SETTLES,
                          .operation = open->id,
                          .outcome = outcome,
                          .code = said->decline_code,
                          .request_id = self->request->request_id};
    memcpy(draft.event.operation, open->id, sizeof(draft.event.operation));
    memcpy(draft.event.reference, said->reference, sizeof(draft.event.reference));
    memcpy(draft.event.code, said->result == GATEWAY_DECLINED ? said->decline_code : said->detail,
           sizeof(draft.event.code));
    return draft;
}

/* Writes the end of the operation, tells who waits, and lets the next one begin. */
static tr_step finish(payment_machine *self, struct draft *draft)
{
    tr_msg *telling;
    struct appended appended = machine_append(self, draft, &telling);
    if (!appended.written) { /* the truth is the gateway's: it is asked again, by this machine or the next */
        tr_msg_drop(appended.answer);
        return appended.stop ? TR_STOP_STATEM(tr_tuple(TR_ATOM(SHUTDOWN), tr_atom("stale")))
                             : TR_WITH(TR_KEEP_STATE, query_later(self));
    }
    if (self->request->waits) {
        (void)tr_reply_msg(self->request->from, appended.answer);
    } else {
        tr_msg_drop(appended.answer);
    }
    tr_free(self->request);
    self->request = NULL;
    return TR_WITH(TR_KEEP_STATE,
                   ((tr_action){.kind = TR_ACTION_NEXT_EVENT, .type = TR_EVENT_INTERNAL, .msg = telling}),
                   TR_NEXT_EVENT(TR_EVENT_INTERNAL, machine_resume), TR_CANCEL_GENERIC("answer"),
                   TR_CANCEL_GENERIC("give_up"), TR_CANCEL_GENERIC("query"));
}

static tr_step applied(payment_machine *self, const struct gateway_outcome *said)
{
    static const enum payment_event_type events[] = {
        [OPERATION_AUTHORIZE] = EVENT_PAYMENT_AUTHORIZED_EVENT,
        [OPERATION_CAPTURE] = EVENT_PAYMENT_CAPTURED_EVENT,
        [OPERATION_REFUND] = EVENT_PAYMENT_REFUNDED_EVENT,
        [OPERATION_CANCEL] = EVENT_PAYMENT_CANCELLED_EVENT,
    };
    const struct payment_operation *open = &self->payment.operation;
    if (said->amount != open->amount || strcmp(said->currency, self->payment.currency) != 0) {
        log_event(LOG_ERROR, EVENT_PAYMENT_DISAGREED, log_str("payment", self->payment.id),
                  log_str("operation", open->id), log_int("amount", open->amount),
                  log_int("gateway_amount", said->amount));
        return become_unknown(self, "integrity_failure");
    }
    struct draft draft = end_of(self, events[open->kind], OUTCOME_DONE, said);
    return finish(self, &draft);
}

static tr_step settle(payment_machine *self, const struct gateway_outcome *said)
{
    bool authorizes = self->payment.operation.kind == OPERATION_AUTHORIZE;
    struct draft draft;
    switch (said->result) {
    case GATEWAY_APPLIED:
        return applied(self, said);
    case GATEWAY_DECLINED:
        draft = end_of(self, authorizes ? EVENT_PAYMENT_DECLINED : EVENT_OPERATION_FAILED,
                       authorizes ? OUTCOME_CARD_DECLINED : OUTCOME_GATEWAY_DECLINED, said);
        return finish(self, &draft);
    case GATEWAY_NEVER:
        draft = end_of(self, EVENT_OPERATION_FAILED, OUTCOME_GATEWAY_UNAVAILABLE, said);
        return finish(self, &draft);
    default:
        return become_unknown(self, said->detail);
    }
}

bool operation_heard(payment_machine *self, const tr_event *event, tr_step *step)
{
    const gateway_said *said = TR_MATCH(event->msg, gateway_said);
    const tr_down_msg *down = TR_MATCH(event->msg, tr_down_msg);
    struct gateway_outcome lost = {.result = GATEWAY_UNKNOWN, .detail = "task_ended"};
    if (said == NULL && down == NULL) {
        return false;
    }
    *step = TR_KEEP_STATE;
    bool own =
        event->type == TR_EVENT_INTERNAL ||
        (self->asked && tr_ref_equal(said != NULL ? tr_msg_ref(event->msg) : down->ref, self->task.ref));
    if (own) {
        self->asked = false;
        *step = settle(self, said != NULL ? &said->outcome : &lost);
    }
    return true;
}

/* ---- time is up ---- */

tr_step operation_answer_late(payment_machine *self)
{
    struct request *request = self->request;
    if (request == NULL || !request->waits) {
        return TR_KEEP_STATE;
    }
    struct draft draft = {.key_step = request->keyed ? KEY_SETTLES : KEY_STAYS,
                          .operation = self->payment.operation.id,
                          .outcome = OUTCOME_ACCEPTED,
                          .code = "",
                          .request_id = request->request_id};
    tr_msg *answer = append_answer(&self->payment, OUTCOME_ACCEPTED, "", request->request_id);
    request->waits = false;
    if (request->keyed) { /* kept or not: the operation is open, and that is what the client has to know */
        tr_msg *telling;
        struct appended appended = machine_append(self, &draft, &telling);
        tr_msg_drop(appended.answer);
    }
    return TR_WITH(TR_KEEP_STATE,
                   ((tr_action){.kind = TR_ACTION_REPLY, .from = request->from, .msg = answer}));
}

tr_step operation_give_up(payment_machine *self)
{
    struct gateway_outcome silent = {.result = GATEWAY_UNKNOWN, .detail = "timeout"};
    if (!self->asked) {
        return TR_KEEP_STATE;
    }
    self->asked = false;
    tr_task_result last = tr_task_shutdown(self->task, TR_SHUTDOWN_BRUTAL_KILL);
    const gateway_said *said = last.err == TR_OK ? TR_MATCH(last.value, gateway_said) : NULL;
    return settle(self, said != NULL ? &said->outcome : &silent);
}
