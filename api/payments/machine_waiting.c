/* Who waits at a payment: commands behind an open operation, watchers of its version. */
#include "api/payments/machine_internal.h"

#include <string.h>

/* ---- deadlines ---- */

/* The time-out of the one whose time is up first. */
static tr_action deadline_timer(const payment_machine *self)
{
    int64_t first_ms = INT64_MAX;
    for (const struct waiting *one = self->waiting; one != NULL; one = one->next) {
        first_ms = one->deadline_ms < first_ms ? one->deadline_ms : first_ms;
    }
    for (const struct watcher *one = self->watchers; one != NULL; one = one->next) {
        first_ms = one->deadline_ms < first_ms ? one->deadline_ms : first_ms;
    }
    if (first_ms == INT64_MAX) {
        return TR_CANCEL_GENERIC("deadline");
    }
    tr_action action = TR_GENERIC_TIMEOUT("deadline", first_ms, machine_tick);
    action.absolute = true;
    return action;
}

static void answer(payment_machine *self, tr_from from, enum payment_outcome outcome, const char *request_id)
{
    (void)tr_reply_msg(from, append_answer(&self->payment, outcome, "", request_id));
}

/* ---- commands ---- */

/* A key that somebody at this payment has who was not answered yet. */
static const struct idempotency_key *find_key(const payment_machine *self, const struct idempotency_key *key)
{
    const struct request *request = self->request;
    if (key->key[0] == 0) {
        return NULL;
    }
    if (request != NULL && request->keyed &&
        memcmp(request->key.scope, key->scope, sizeof(key->scope)) == 0 &&
        strcmp(request->key.key, key->key) == 0) {
        return &request->key;
    }
    for (const struct waiting *one = self->waiting; one != NULL; one = one->next) {
        const struct idempotency_key *other = &one->command.key;
        if (memcmp(other->scope, key->scope, sizeof(key->scope)) == 0 && strcmp(other->key, key->key) == 0) {
            return other;
        }
    }
    return NULL;
}

/* Why a command may not wait; DONE when it may. */
static enum payment_outcome refusal_of(const payment_machine *self, const struct payment_command *command)
{
    const struct idempotency_key *taken = find_key(self, &command->key);
    if (taken != NULL) {
        bool same = memcmp(taken->fingerprint, command->key.fingerprint, sizeof(taken->fingerprint)) == 0;
        return same ? OUTCOME_KEY_IN_USE : OUTCOME_KEY_REUSED;
    }
    bool unknown = self->payment.operation.status == OPERATION_STATUS_UNKNOWN;
    bool full = self->waiting_count >= MACHINE_WAITING_MAX;
    return unknown || full || command->deadline_ms <= tr_now_ms() ? OUTCOME_IN_PROGRESS : OUTCOME_DONE;
}

tr_step waiting_add(payment_machine *self, const tr_event *event)
{
    const struct payment_command *command = tr_msg_data(event->msg);
    enum payment_outcome refusal = refusal_of(self, command);
    if (refusal != OUTCOME_DONE) {
        answer(self, event->from, refusal, command->request_id);
        return TR_KEEP_STATE;
    }
    struct waiting **last = &self->waiting;
    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = tr_alloc(sizeof(**last));
    **last = (struct waiting){.from = event->from,
                              .deadline_ms = command->deadline_ms,
                              .type = event->msg->type,
                              .command = *command};
    self->waiting_count++;
    return TR_WITH(TR_KEEP_STATE, deadline_timer(self));
}

/* Takes one out of the list and frees it. */
static void drop(payment_machine *self, struct waiting **at)
{
    struct waiting *one = *at;
    *at = one->next;
    self->waiting_count--;
    tr_free(one);
}

tr_step waiting_resume(payment_machine *self)
{
    if (self->waiting == NULL || self->payment.operation.kind != OPERATION_NONE) {
        return TR_WITH(TR_KEEP_STATE, deadline_timer(self));
    }
    struct waiting *one = self->waiting;
    tr_action again = {.kind = TR_ACTION_NEXT_EVENT,
                       .type = TR_EVENT_CALL,
                       .from = one->from,
                       .msg = tr_msg_new(one->type, &one->command)};
    drop(self, &self->waiting);
    return TR_WITH(TR_KEEP_STATE, again, TR_NEXT_EVENT(TR_EVENT_INTERNAL, machine_resume));
}

void waiting_refuse_all(payment_machine *self)
{
    while (self->waiting != NULL) {
        answer(self, self->waiting->from, OUTCOME_IN_PROGRESS, self->waiting->command.request_id);
        drop(self, &self->waiting);
    }
}

/* ---- watchers ---- */

static void tell(payment_machine *self, struct watcher **at)
{
    struct watcher *one = *at;
    answer(self, one->from, OUTCOME_DONE, "");
    *at = one->next;
    self->waiting_count--;
    tr_free(one);
}

tr_step watcher_add(payment_machine *self, const tr_event *event)
{
    const payment_watch *watch = TR_EVENT_DATA(event, payment_watch);
    uint64_t version = watch->version == 0 ? self->payment.version : watch->version;
    if (version < self->payment.version || self->waiting_count >= MACHINE_WAITING_MAX ||
        watch->deadline_ms <= tr_now_ms()) {
        answer(self, event->from, OUTCOME_DONE, "");
        return TR_KEEP_STATE;
    }
    struct watcher *one = tr_alloc(sizeof(*one));
    *one = (struct watcher){
        .next = self->watchers, .from = event->from, .deadline_ms = watch->deadline_ms, .version = version};
    self->watchers = one;
    self->waiting_count++;
    return TR_WITH(TR_KEEP_STATE, deadline_timer(self));
}

void watchers_tell(payment_machine *self)
{
    struct watcher **at = &self->watchers;
    while (*at != NULL) {
        if ((*at)->version < self->payment.version) {
            tell(self, at);
        } else {
            at = &(*at)->next;
        }
    }
}

/* ---- time is up ---- */

tr_step waiting_expire(payment_machine *self)
{
    int64_t now_ms = tr_now_ms();
    struct waiting **at = &self->waiting;
    while (*at != NULL) {
        if ((*at)->deadline_ms <= now_ms) {
            answer(self, (*at)->from, OUTCOME_IN_PROGRESS, (*at)->command.request_id);
            drop(self, at);
        } else {
            at = &(*at)->next;
        }
    }
    struct watcher **watching = &self->watchers;
    while (*watching != NULL) {
        if ((*watching)->deadline_ms <= now_ms) {
            tell(self, watching);
        } else {
            watching = &(*watching)->next;
        }
    }
    return TR_WITH(TR_KEEP_STATE, deadline_timer(self));
}
