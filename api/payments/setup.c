/* The room's beginning, and its tree. */
#include "api/payments/machine.h"
#include "api/payments/payments.h"
#include "api/payments/reconciler.h"
#include "api/payments/service.h"
#include "server/restarts.h"

struct payments_service payments;

/* ---- metrics ---- */

static double read_machines(void *context)
{
    (void)context;
    return (double)machines_live();
}

static double read_unknown(void *context)
{
    (void)context;
    return (double)atomic_load_explicit(&payments.unknown, memory_order_relaxed);
}

static double read_oldest(void *context)
{
    (void)context;
    int64_t oldest_ms = atomic_load_explicit(&payments.oldest_unknown_ms, memory_order_relaxed);
    return oldest_ms == 0 ? 0 : (double)(payments_wall_ms() - oldest_ms) / 1000;
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
    for (int i = 0; i < PAYMENT_EVENTS_COUNT; i++) {
        payments.metrics.events[i] = metrics_counter(
            &(struct metric_options){.name = "troupe_payment_events_total",
                                     .help = "Events of payments that became durable, by type.",
                                     .labels = {{"type", payment_event_text((enum payment_event_type)i)}}});
    }
    payments.metrics.replays =
        counter("troupe_payment_replays_total", "Requests answered again from their idempotency key.");
    payments.metrics.refused =
        counter("troupe_payment_refusals_total", "Requests for payments that were refused.");
    payments.metrics.keys_swept =
        counter("troupe_payment_keys_swept_total", "Idempotency keys forgotten after their time.");
    payments.metrics.stale = counter("troupe_payment_stale_machines_total",
                                     "Payments in memory that found a newer version in the store.");
    gauge("troupe_payments_live", "Payments in memory.", read_machines);
    gauge("troupe_payment_operations_unknown", "Operations whose outcome the gateway has not told yet.",
          read_unknown);
    gauge("troupe_payment_operations_unknown_oldest_seconds", "Age of the oldest of them.", read_oldest);
}

/* ---- setup ---- */

const struct store_schema *payments_schemas(size_t *count)
{
    *count = 1;
    return &payments_schema;
}

bool payments_setup(const struct settings *settings, struct store *store, char *why, size_t bytes)
{
    tr_term wrong;
    payments.store = store;
    payments.settings = settings;
    payments.registry = tr_registry_new("payments");
    TR_CHECK(tr_statem_table_check(machine_table(), &wrong) == TR_OK);
    metrics_init();
    if (!gateway_setup(settings, store, why, bytes)) {
        return false;
    }
    payments.gateway = gateway_chosen();
    return true;
}

/* ---- the tree ---- */

static tr_err sup_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                       tr_term *reason)
{
    (void)arg;
    (void)reason;
    tr_child_spec *specs = tr_scratch_alloc((GATEWAY_CHILDREN_MAX + 3) * sizeof(*specs));
    size_t all = payments.gateway->children == NULL ? 0 : payments.gateway->children(specs);
    specs[all++] = machine_tasks_child_spec();
    specs[all++] = machines_child_spec();
    specs[all++] = reconciler_child_spec();
    *flags = restarts_allowed(payments.settings);
    *children = specs;
    *count = all;
    return TR_OK;
}

tr_child_spec payments_child_spec(void)
{
    static const tr_supervisor supervisor = {.name = "payments.sup", .init = sup_init};
    return (tr_child_spec){
        .id = tr_atom("payments.sup"), .supervisor = &supervisor, .start = {.name = tr_atom("payments.sup")}};
}
