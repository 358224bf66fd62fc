/* The room's beginning, its tree, its numbers. */
#include "api/webhooks/service.h"
#include "api/webhooks/webhooks.h"

#include "runtime/sys/clock.h"
#include "server/restarts.h"

#include <stdio.h>

#define READ_LIMIT_MS 60000

struct webhooks_service webhooks = {.transport = http_client_run};

const struct store_schema *webhooks_schemas(size_t *count)
{
    *count = 1;
    return &webhooks_schema;
}

/* ---- metrics ---- */

static double read_waiting(void *context)
{
    (void)context;
    return (double)atomic_load(&webhooks.waiting);
}

static double read_oldest(void *context)
{
    (void)context;
    int64_t at_ms = atomic_load(&webhooks.oldest_at_ms);
    int64_t age_ms = at_ms == 0 ? 0 : tr__clock_wall_ms() - at_ms;
    return age_ms < 0 ? 0 : (double)age_ms / 1000;
}

static double read_enabled(void *context)
{
    (void)context;
    return (double)atomic_load(&webhooks.enabled);
}

static metric_counter counter(const char *name, const char *help)
{
    return metrics_counter(&(struct metric_options){.name = name, .help = help});
}

static void gauge(const char *name, const char *help, double (*read)(void *context))
{
    metrics_gauge_callback(&(struct metric_options){.name = name, .help = help, .read = read});
}

static void metrics_init(void)
{
    static bool registered;
    if (registered) {
        return;
    }
    registered = true;
    for (int i = 0; i < WEBHOOK_OUTCOMES_COUNT; i++) {
        webhooks.metrics.outcomes[i] = metrics_counter(
            &(struct metric_options){.name = "troupe_webhook_deliveries_total",
                                     .help = "Attempts to deliver an event to a webhook, by outcome.",
                                     .labels = {{"outcome", webhook_outcome_text((enum webhook_outcome)i)}}});
    }
    webhooks.metrics.duration =
        metrics_histogram(&(struct metric_options){.name = "troupe_webhook_delivery_seconds",
                                                   .help = "How long receivers of webhooks took.",
                                                   .unit = METRIC_SECONDS});
    webhooks.metrics.dropped = counter("troupe_webhook_events_dropped_total",
                                       "Events left out because a webhook's outbox was full.");
    webhooks.metrics.disabled = counter("troupe_webhook_disables_total", "Webhooks that were disabled.");
    gauge("troupe_webhooks_enabled", "Webhooks that are not disabled.", read_enabled);
    gauge("troupe_webhook_outbox_events", "Events that wait for a webhook.", read_waiting);
    gauge("troupe_webhook_outbox_oldest_seconds", "Age of the oldest of them.", read_oldest);
}

/* ---- setup ---- */

static void take_settings(const struct settings *settings)
{
    webhooks.private_allowed = settings->allow_private_addresses;
    webhooks.settings = settings;
    webhooks.url_max = settings->webhook_url_max;
    webhooks.outbox_max = settings->webhook_outbox_max;
    webhooks.log_max = settings->webhook_log_max;
    webhooks.concurrency = settings->webhook_concurrency;
    webhooks.retry_first_ms = settings->webhook_retry_first_ms;
    webhooks.disable_after_ms = settings->webhook_disable_after_ms;
    webhooks.retention_ms = settings->webhook_retention_ms;
    webhooks.overlap_ms = settings->webhook_secret_overlap_ms;
    webhooks.restarts = restarts_allowed(settings);
}

static enum store_status read_overview(struct store *store, struct webhooks_overview *overview)
{
    struct store_reader *reader = NULL;
    enum store_status status = store_reader_open(store, READ_LIMIT_MS, &reader, NULL);
    if (status == STORE_OK) {
        status = webhooks_read_overview(reader, NULL, overview, NULL);
        store_reader_close(reader);
    }
    return status;
}

bool webhooks_setup(const struct settings *settings, struct store *store, char *why, size_t bytes)
{
    struct webhooks_overview overview = {0};
    enum store_status status = read_overview(store, &overview);
    if (status != STORE_OK) {
        snprintf(why, bytes, "the webhooks cannot be read: %s", store_status_text(status));
        return false;
    }
    webhooks.store = store;
    webhooks.registry = tr_registry_new("webhooks.deliverer");
    webhooks.manager = tr_atom("webhooks.manager");
    webhooks.deliverers = tr_atom("webhooks.deliverers");
    take_settings(settings);
    atomic_store(&webhooks.any, overview.webhooks + overview.removed != 0);
    atomic_store(&webhooks.dropped, overview.dropped);
    atomic_store(&webhooks.told, false);
    metrics_init();
    return true;
}

void webhooks_teardown(void)
{
    atomic_store(&webhooks.any, false);
}

/* ---- the tree ---- */

static tr_err sup_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                       tr_term *reason)
{
    (void)arg;
    (void)reason;
    tr_child_spec *specs = tr_scratch_alloc(2 * sizeof(*specs));
    specs[0] = webhook_deliverers_child_spec();
    specs[1] = webhooks_manager_child_spec(); /* starts deliverers, so it begins anew when they are gone */
    *flags = webhooks.restarts;
    flags->strategy = TR_REST_FOR_ONE;
    *children = specs;
    *count = 2;
    return TR_OK;
}

tr_child_spec webhooks_child_spec(void)
{
    static const tr_supervisor supervisor = {.name = "webhooks.sup", .init = sup_init};
    return (tr_child_spec){
        .id = tr_atom("webhooks.sup"), .supervisor = &supervisor, .start = {.name = tr_atom("webhooks.sup")}};
}
