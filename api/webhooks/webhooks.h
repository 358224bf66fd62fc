/* webhooks: tells other services of events, signed as Standard Webhooks, at least once and in order for each subject.
 *
 * Invariants
 *   1. webhooks_enqueue runs inside the transaction that makes the event: either both are durable or neither is.
 *   2. A delivery is at least once, with the same webhook-id each time; the receiver's 2xx is noted durably before the next one of the
 *      same subject goes to the same webhook.
 *   3. What one receiver does (slow, dead, hostile) holds up nobody else.
 */
#ifndef TROUPE_API_WEBHOOKS_WEBHOOKS_H
#define TROUPE_API_WEBHOOKS_WEBHOOKS_H

#include "server/http/router.h"
#include "server/settings.h"
#include "server/store/store.h"
#include "server/text.h"

#include <troupe/troupe.h>

struct webhook_event {
    const char *subject; /* what the order is kept for: a payment's id */
    int64_t sequence; /* grows with each event of the subject; with the subject it is the event's identity */
    const char *type; /* payment.captured, ...; matched against a webhook's "events" (payment.*) */
    int64_t at_ms;    /* wall clock */
    struct text data; /* a JSON object: member `data` of the payload */
};

bool webhooks_setup(const struct settings *settings, struct store *store, char *why, size_t bytes);
const struct store_schema *webhooks_schemas(size_t *count);
struct route_table webhooks_routes(void);
tr_child_spec webhooks_child_spec(void);

/** Notes an event for every webhook that wants it. Errors: the store's.   Context: inside apply (the commit thread). */
enum store_status webhooks_enqueue(struct store_tx *tx, const struct webhook_event *event);

/** Something may have been enqueued: look soon. Cheap, also when there are no webhooks.   Blocks: no.   Context: any process. */
void webhooks_wake(void);

/** Gives back what webhooks_setup made, after the node stopped. */
void webhooks_teardown(void);

#endif
