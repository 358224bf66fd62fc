/* payment_json: payments and their events as JSON, and the bodies that clients send. */
#ifndef TROUPE_API_PAYMENTS_PAYMENT_JSON_H
#define TROUPE_API_PAYMENTS_PAYMENT_JSON_H

#include "api/payments/payment.h"
#include "server/json_out.h"
#include "server/json_shape.h"

/* The longest text of a payment: its metadata and everything else. */
#define PAYMENT_JSON_MAX (PAYMENT_METADATA_MAX + 6 * PAYMENT_REFERENCE_MAX + 1024)

/** Writes a payment as an object. */
void payment_write(struct json_out *out, const struct payment *payment);

/** Writes an event as an object: seq, type, at, request_id, data. */
void payment_event_write(struct json_out *out, const struct payment_event *event);

/** Reads the body of a creation into everything but id, times and version. payment->metadata is written into arena.
 *  Returns: false, with errors, when it does not fit. */
bool payment_read(const cJSON *body, struct json_arena *arena, struct payment *payment,
                  struct json_errors *errors);

/** Reads the body of an authorization. token gets at most CARD_TOKEN_BYTES with the NUL. */
bool payment_read_token(const cJSON *body, char token[CARD_TOKEN_BYTES], struct json_errors *errors);

/** Reads the body of a refund; the amount's range is judged later, after the state. */
bool payment_read_amount(const cJSON *body, int64_t *amount, struct json_errors *errors);

#endif
