#include "api/payments/append.h"

#include "api/payments/machine.h"
#include "api/payments/payment_json.h"
#include "api/payments/service.h"
#include "api/webhooks/webhooks.h"
#include "server/store/store_writer.h"

#include <string.h>

#define BODY_BYTES_MAX (PAYMENT_JSON_MAX + 4096) /* a payment, or a problem */

tr_msg *append_answer(const struct payment *payment, enum payment_outcome outcome, const char *code,
                      const char *request_id)
{
    char *room = tr_scratch_alloc(BODY_BYTES_MAX);
    struct json_out out;
    json_out_init(&out, room, BODY_BYTES_MAX);
    unsigned status = answer_write(&out, outcome, payment, code, request_id);
    struct text body = json_out_text(&out);
    TR_CHECK(body.bytes != NULL);
    tr_blob *blob = tr_blob_new(body.bytes, body.count);
    tr_msg *answer = TR_MSG(payment_answer, .outcome = outcome, .status = status,
                            .version = payment == NULL ? 0 : payment->version, .body = blob);
    tr_blob_drop(blob);
    return answer;
}

static struct text payment_text(const struct payment *payment)
{
    char *room = tr_scratch_alloc(PAYMENT_JSON_MAX);
    struct json_out out;
    json_out_init(&out, room, PAYMENT_JSON_MAX);
    payment_write(&out, payment);
    struct text text = json_out_text(&out);
    TR_CHECK(text.bytes != NULL);
    return text;
}

/* The payment as the draft leaves it; the event is completed on the way. */
static struct payment after(const struct payment *before, struct draft *draft, enum payment_state to)
{
    struct payment payment = *before;
    if (draft->has_event) {
        draft->event.seq = before->version + 1;
        draft->event.at_ms = payments_wall_ms();
        text_fill(draft->event.request_id, sizeof(draft->event.request_id), draft->request_id);
        payment_apply(&payment, &draft->event, to);
    }
    return payment;
}

/* The batch on scratch memory, its texts behind it. */
static struct payment_batch *batch_of(const struct payment *before, const struct draft *draft,
                                      const struct payment *payment, const payment_answer *answer,
                                      size_t *bytes)
{
    bool keeps_answer = draft->key_step == KEY_ENDS || draft->key_step == KEY_SETTLES;
    struct text metadata = {.bytes = payment->metadata.bytes,
                            .count = before->version == 0 ? payment->metadata.count : 0};
    struct text body = {.bytes = (const char *)answer->body->bytes,
                        .count = keeps_answer ? answer->body->size : 0};
    struct text data = draft->has_event ? payment_text(payment) : (struct text){.bytes = "", .count = 0};
    *bytes = sizeof(struct payment_batch) + metadata.count + body.count + data.count;
    struct payment_batch *batch = tr_scratch_alloc(*bytes);
    *batch = (struct payment_batch){.payment = *payment,
                                    .expected = before->version,
                                    .has_event = draft->has_event,
                                    .key_step = draft->key_step,
                                    .status = answer->status,
                                    .now_ms = payments_wall_ms(),
                                    .metadata_bytes = metadata.count,
                                    .answer_bytes = body.count,
                                    .data_bytes = data.count};
    if (draft->has_event) {
        batch->event = draft->event;
    }
    if (draft->key != NULL) {
        batch->key = *draft->key;
    }
    text_fill(batch->operation, sizeof(batch->operation), draft->operation);
    text_put(text_put(text_put(batch->bytes, metadata), body), data);
    return batch;
}

/* What a write that was not done means: for the client, and for the machine. */
static enum payment_outcome outcome_of(enum store_status status, enum batch_result result, bool *stop)
{
    *stop = false;
    switch (status) {
    case STORE_OK:
        return OUTCOME_DONE;
    case STORE_REJECTED:
        *stop = result == BATCH_STALE;
        if (*stop) {
            metric_count(payments.metrics.stale, 1);
        }
        return OUTCOME_ASK_AGAIN;
    case STORE_FULL:
        return OUTCOME_STORAGE_FULL;
    case STORE_BUSY:
    case STORE_NOMEM:
        return OUTCOME_UNAVAILABLE;
    default: /* nobody knows what was written: what is stored decides, for the next machine */
        *stop = true;
        return OUTCOME_UNAVAILABLE;
    }
}

struct appended append_draft(const struct payment *before, struct draft *draft, enum payment_state to)
{
    size_t bytes;
    struct payment payment = after(before, draft, to);
    struct appended appended = {.outcome = draft->outcome};
    appended.answer = append_answer(&payment, draft->outcome, draft->code, draft->request_id);
    const struct payment_batch *batch =
        batch_of(before, draft, &payment, TR_MATCH(appended.answer, payment_answer), &bytes);
    enum batch_result result = BATCH_APPENDED;
    enum store_status status =
        store_writer_run(records_append, batch, bytes, &result, sizeof(result), PAYMENTS_STORE_TIMEOUT_MS);
    appended.written = status == STORE_OK;
    if (!appended.written) {
        tr_msg_drop(appended.answer);
        appended.outcome = outcome_of(status, result, &appended.stop);
        appended.answer =
            append_answer(before->version == 0 ? NULL : before, appended.outcome, "", draft->request_id);
    } else if (draft->has_event) {
        metric_count(payments.metrics.events[draft->event.type], 1);
        webhooks_wake();
    }
    return appended;
}
