/* service: what the files of api/payments share: the store, the settings, the chosen gateway, the counters. Written before the
 * node runs; read by everyone. */
#ifndef TROUPE_API_PAYMENTS_SERVICE_H
#define TROUPE_API_PAYMENTS_SERVICE_H

#include "api/payments/gateway.h"
#include "server/metrics.h"

#include <stdatomic.h>

#define PAYMENTS_STORE_TIMEOUT_MS 30000
#define PAYMENTS_READ_TIMEOUT_MS  5000
#define PAYMENTS_ANSWER_AFTER_MS  5000 /* a client waits that long for an outcome, then gets 202 */

struct payments_service {
    struct store *store;
    const struct settings *settings;
    const struct gateway *gateway;
    tr_registry *registry; /* payment id -> machine */
    _Atomic uint64_t machines, unknown;
    _Atomic int64_t oldest_unknown_ms; /* wall clock; 0: there is none */
    struct {
        metric_counter events[16]; /* by event type */
        metric_counter replays, refused, keys_swept, stale;
    } metrics;
};
extern struct payments_service payments;

/** Wall clock, for what is stored. */
int64_t payments_wall_ms(void);

#endif
