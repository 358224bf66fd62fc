/* idempotency: the request's side of Idempotency-Key: reading the field, and what is known of a key before any work is done.
 *
 * A key belongs to whoever holds the token it came with; it stands for one request: method, path and body. What is stored
 * and when is in records.h (3) and answers.h (2).
 */
#ifndef TROUPE_API_PAYMENTS_IDEMPOTENCY_H
#define TROUPE_API_PAYMENTS_IDEMPOTENCY_H

#include "api/payments/records.h"
#include "server/http/request.h"

/** Reads the key of a request into *key (its text "" when there is none).
 *  Returns: false when the field makes no sense: the answer has been sent.   Context: handler on the core. */
bool idempotency_read(struct http_request *request, struct idempotency_key *key);

enum key_state {
    KEY_NEW,      /* nothing is known: go on */
    KEY_ANSWERED, /* the answer has been sent: replayed, in use, reused, or the store cannot be read */
};

/** Looks a key up and answers if anything is known of it.   Blocks: parks.   Context: the request's process. */
enum key_state idempotency_look(struct http_request *request, const struct idempotency_key *key);

#endif
