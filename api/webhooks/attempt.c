#include "api/webhooks/attempt.h"

#include "runtime/sys/clock.h"
#include "server/digits.h"
#include "server/log.h"
#include "server/settings_run_time.h"
#include "server/store/store_writer.h"

#include <stdio.h>

#define ANSWER_MAX    262144 /* nobody reads it; a receiver that answers with more has failed */
#define NOTE_AGAIN_MS 1000
#define NS_PER_MS     INT64_C(1000000)
#define SECONDS_BYTES 24

/* ---- the request ---- */

static uint32_t chance(void)
{
    uint32_t random = 0;
    (void)digest_random(&random, sizeof(random)); /* without any, delays are the least: no harm */
    return random;
}

/* Why there is no answer, as the log has it; "" when there is one. */
static const char *failure_of(tr_err err, const struct http_reply *reply)
{
    if (err != TR_OK) {
        return err == TR_E_LIMIT ? "busy" : "not_sent";
    }
    return reply->failure == HTTP_FAILURE_NONE ? "" : http_failure_word(reply->failure);
}

static tr_err send_signed(const struct webhook_sending *sending, struct text payload, const char *signatures,
                          const char *id, const char *timestamp, struct http_reply *reply)
{
    const struct http_call_header headers[] = {{"Content-Type", "application/json"},
                                               {"webhook-id", id},
                                               {"webhook-timestamp", timestamp},
                                               {"webhook-signature", signatures}};
    return webhooks.transport(
        &(struct http_call){.method = "POST",
                            .url = sending->url,
                            .headers = headers,
                            .header_count = sizeof(headers) / sizeof(headers[0]),
                            .body = payload.bytes,
                            .body_bytes = payload.count,
                            .timeout_ms = SETTINGS_NOW(webhooks.settings->webhook_timeout_ms),
                            .response_max_bytes = ANSWER_MAX,
                            .private_allowed = webhooks.private_allowed,
                            .repeatable = true},
        reply);
}

/* Sends; fills in what the note says of it. */
static struct webhook_ending send_it(struct webhook_sending *sending, struct text payload,
                                     struct webhook_note *note)
{
    char id[WEBHOOK_MESSAGE_MAX];
    char timestamp[SECONDS_BYTES];
    char signatures[WEBHOOK_SIGNATURES_BYTES];
    struct http_reply reply = {.retry_after_ms = -1};
    webhook_message_id(sending->subject, sending->sequence, id);
    note->at_ms = tr__clock_wall_ms();
    *digits_put(timestamp, (uint64_t)note->at_ms / 1000) = '\0';
    if (sending->old_until_ms <= note->at_ms) {
        sending->old_secret.count = 0;
    }
    webhook_sign(&sending->secret, &sending->old_secret, id, timestamp, payload, signatures);
    int64_t begin_ms = tr_now_ms();
    tr_err err = send_signed(sending, payload, signatures, id, timestamp, &reply);
    note->duration_ms = tr_now_ms() - begin_ms;
    const char *failure = failure_of(err, &reply);
    snprintf(note->failure, sizeof(note->failure), "%s", failure);
    note->status = *failure == '\0' ? (int64_t)reply.status : 0;
    struct webhook_ending ending = {.status = (unsigned)note->status,
                                    .retry_after_ms = *failure == '\0' ? reply.retry_after_ms : -1};
    http_reply_release(&reply);
    return ending;
}

/* ---- its end ---- */

/* Until it is durable, or turns out to have been already. */
static struct webhook_noted note_down(const struct webhook_note *note)
{
    struct webhook_noted noted = {.promoted = 0};
    for (;;) {
        enum store_status status = store_writer_run(webhooks_sql_note, note, sizeof(*note), &noted,
                                                    sizeof(noted), WEBHOOKS_STORE_TIMEOUT_MS);
        if (status == STORE_OK) {
            return noted;
        }
        if (status == STORE_REJECTED) {
            return (struct webhook_noted){.promoted = 0};
        }
        tr_sleep(NOTE_AGAIN_MS);
    }
}

static void tell(const struct webhook_sending *sending, const struct webhook_note *note, bool disabled)
{
    if (note->outcome != WEBHOOK_OUTCOME_DELIVERED) {
        char id[WEBHOOK_MESSAGE_MAX];
        webhook_message_id(sending->subject, sending->sequence, id);
        log_event(note->outcome == WEBHOOK_OUTCOME_FAILED && note->attempt > 1 ? LOG_DEBUG : LOG_WARN,
                  EVENT_WEBHOOK_FAILED, log_str("webhook", sending->name), log_str("message", id),
                  log_int("attempt", note->attempt), log_str("outcome", webhook_outcome_text(note->outcome)),
                  log_int("status", note->status), log_str("failure", note->failure));
    }
    if (disabled) {
        metric_count(webhooks.metrics.disabled, 1);
        log_event(LOG_ERROR, EVENT_WEBHOOK_DISABLED, log_str("webhook", sending->name),
                  log_str("why", note->outcome == WEBHOOK_OUTCOME_GONE
                                     ? "its receiver answered 410 Gone"
                                     : "no attempt has succeeded for too long; PUT it again to go on"));
    }
    metric_count(webhooks.metrics.outcomes[note->outcome], 1);
    metric_observe(webhooks.metrics.duration, (uint64_t)(note->duration_ms * NS_PER_MS));
}

static tr_msg *attempt(const webhook_job *job, struct webhook_sending *sending, struct text payload)
{
    struct webhook_note note;
    memset(&note, 0, sizeof(note));
    note.webhook = job->webhook;
    note.row = job->row;
    note.attempt = sending->attempts + 1;
    struct webhook_ending ending = send_it(sending, payload, &note);
    note.outcome = webhook_judge(&ending, (unsigned)note.attempt);
    note.now_ms = tr__clock_wall_ms();
    note.disable_before_ms = note.now_ms - webhooks.disable_after_ms;
    if (note.outcome == WEBHOOK_OUTCOME_FAILED) {
        note.due_at_ms = note.now_ms +
                         webhook_retry_ms(&ending, (unsigned)note.attempt, webhooks.retry_first_ms, chance());
    } else if (note.outcome == WEBHOOK_OUTCOME_GONE) {
        note.due_at_ms = note.now_ms;
    }
    struct webhook_noted noted = note_down(&note);
    tell(sending, &note, noted.disabled);
    return TR_MSG(webhook_done, .tried = true, .ending = ending, .outcome = note.outcome,
                  .disabled = noted.disabled, .promoted = noted.promoted, .due_at_ms = note.due_at_ms);
}

tr_msg *webhook_attempt(const webhook_job *job)
{
    struct store_found found;
    struct store_read read = {.fn = webhooks_read_sending,
                              .arg = &job->row,
                              .arg_bytes = sizeof(job->row),
                              .timeout_ms = WEBHOOKS_STORE_TIMEOUT_MS};
    enum store_status status = store_read_rows(&read, &found);
    if (status != STORE_OK) {
        return TR_MSG(webhook_done, .tried = false);
    }
    struct webhook_sending *sending = tr_alloc(sizeof(*sending));
    memcpy(sending, found.bytes, sizeof(*sending));
    struct text payload = {found.bytes + sizeof(*sending), sending->payload_bytes};
    return attempt(job, sending, payload);
}
