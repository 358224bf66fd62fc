/* service: what the files of this room share.
 *
 * Invariants
 *   1. Written by webhooks_setup before the node runs, and then read only, but for the atomics.
 *   2. `any` is set before the first webhook is durable and never taken back while the service runs: without it an event
 *      costs no statement, a wake no message.
 *   3. `told` is set while a wake is on its way to the manager: more of them are the same one.
 */
#ifndef TROUPE_API_WEBHOOKS_SERVICE_H
#define TROUPE_API_WEBHOOKS_SERVICE_H

#include "api/webhooks/records.h"
#include "server/client/http_client.h"
#include "server/metrics.h"
#include "server/settings.h"

#include <stdatomic.h>
#include <troupe/troupe.h>

#define WEBHOOKS_STORE_TIMEOUT_MS 10000
#define WEBHOOK_LANES_MAX         64 /* the most that webhook_concurrency may say */

/* What carries a request out: http_client_run, or a test's own. */
typedef tr_err webhook_transport(const struct http_call *call, struct http_reply *reply);

struct webhooks_service {
    struct store *store;
    webhook_transport *transport;
    bool private_allowed;
    const struct settings *settings; /* what may change while it runs: read by SETTINGS_NOW() */
    int64_t url_max, outbox_max, log_max;
    int64_t concurrency;
    int64_t retry_first_ms, disable_after_ms, retention_ms, overlap_ms;
    tr_sup_flags restarts;        /* what its supervisors allow */
    struct tr_registry *registry; /* {webhook, Id} -> its deliverer */
    tr_term manager, deliverers;  /* their names */

    atomic_bool any, told;
    _Atomic int64_t waiting, oldest_at_ms, enabled; /* a moment old; for metrics */
    _Atomic int64_t
        dropped; /* events left out, as far as the metric has counted them; of before the start too */
    struct {
        metric_counter outcomes[WEBHOOK_OUTCOMES_COUNT];
        metric_counter dropped, disabled;
        metric_histogram duration;
    } metrics;
};

extern struct webhooks_service webhooks;

/** The key of a webhook's process in the registry. On scratch memory. */
static inline tr_term webhook_key(int64_t id)
{
    return tr_tuple(tr_atom("webhook"), tr_int(id));
}

/** Look for what is due. To the manager: tell all deliverers; to a deliverer: look. */
TR_MESSAGE_EMPTY(webhooks_look);
/** To the manager: this webhook was made or changed. */
TR_MESSAGE(webhooks_renewed, { int64_t id; });

/** The processes, in the order they start. */
tr_child_spec webhook_deliverers_child_spec(void);
tr_child_spec webhooks_manager_child_spec(void);
/** The spec of one webhook's process. arg is borrowed until the spec was used. */
tr_child_spec webhook_deliverer_child_spec(const int64_t *webhook);

#endif
