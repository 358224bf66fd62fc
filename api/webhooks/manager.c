/* manager: the process `webhooks.manager`: sees to it that each enabled webhook has its deliverer, passes wakes on, cleans.
 *
 *     wake (an event was made) ---> all deliverers: look
 *     renewed (a PUT) ------------> its deliverer is started, or looks
 *     tick ---------------------> those that are missing are started, all look, numbers for the metrics; now and then: clean
 *
 * Invariants
 *   1. It keeps nothing that the store or the registry has not.
 *   2. A wake that was lost (whoever should have sent it died) costs at most one tick.
 *   3. While there never was a webhook it does nothing but tick.
 */
#include "api/webhooks/service.h"

#include "runtime/sys/clock.h"
#include "server/log.h"
#include "server/store/store_writer.h"

#define TICK_MS  2000
#define CLEAN_MS 60000

TR_MESSAGE_EMPTY(webhooks_tick);

typedef struct manager {
    int64_t cleaned_ms;
} manager;

/* ---- deliverers ---- */

static bool pass_on(tr_term key, tr_term value, tr_pid owner, void *ctx)
{
    (void)key;
    (void)value;
    (void)ctx;
    (void)TR_SEND(owner, webhooks_look);
    return true;
}

static void look_all(void)
{
    tr_registry_each(webhooks.registry, pass_on, NULL);
}

/* One that is just ending has its name still: the next tick starts its successor. */
static void ensure(int64_t id)
{
    if (tr_registry_lookup(webhooks.registry, webhook_key(id), NULL) == TR_NO_PID) {
        tr_child_spec spec = webhook_deliverer_child_spec(&id);
        (void)tr_dynamic_supervisor_start_child(tr_to_name(webhooks.deliverers), &spec);
    }
}

static void ensure_all(void)
{
    struct store_found found;
    struct store_read read = {.fn = webhooks_read_enabled, .timeout_ms = WEBHOOKS_STORE_TIMEOUT_MS};
    if (store_read_rows(&read, &found) != STORE_OK) {
        return;
    }
    const int64_t *ids = (const int64_t *)(const void *)found.bytes;
    size_t count = found.count / sizeof(*ids);
    for (size_t i = 0; i < count; i++) {
        ensure(ids[i]);
    }
    atomic_store(&webhooks.enabled, (int64_t)count);
    tr_msg_drop(found.reply);
}

/* ---- numbers ---- */

static void count_dropped(int64_t dropped)
{
    int64_t more = dropped - atomic_exchange(&webhooks.dropped, dropped);
    if (more > 0) { /* it shrinks when a webhook is removed */
        metric_count(webhooks.metrics.dropped, (uint64_t)more);
        log_event(LOG_ERROR, EVENT_WEBHOOK_FILLED, log_int("events", more),
                  log_int("webhook_outbox_max", webhooks.outbox_max));
    }
}

static void take_numbers(void)
{
    struct webhooks_overview overview;
    if (store_read(webhooks_read_overview, NULL, 0, &overview, sizeof(overview), WEBHOOKS_STORE_TIMEOUT_MS) ==
        STORE_OK) {
        atomic_store(&webhooks.waiting, overview.waiting);
        atomic_store(&webhooks.oldest_at_ms, overview.oldest_at_ms);
        count_dropped(overview.dropped);
    }
}

static void clean(manager *self)
{
    int64_t now_ms = tr_now_ms();
    if (now_ms - self->cleaned_ms < CLEAN_MS) {
        return;
    }
    struct webhooks_clean ask = {.before_ms = tr__clock_wall_ms() - webhooks.retention_ms,
                                 .log_max = webhooks.log_max};
    int64_t gone = 0;
    enum store_status status = store_writer_run(webhooks_sql_clean, &ask, sizeof(ask), &gone, sizeof(gone),
                                                WEBHOOKS_STORE_TIMEOUT_MS);
    if (status == STORE_REJECTED || gone == 0) { /* all is clean; else there may be more */
        self->cleaned_ms = now_ms;
    }
}

/* ---- the process ---- */

static void tick(manager *self)
{
    (void)TR_SEND_AFTER(TICK_MS, tr_self(), webhooks_tick);
    if (atomic_load(&webhooks.any)) {
        ensure_all();
        look_all();
        take_numbers();
        clean(self);
    }
}

static tr_next manager_init(manager *self, const void *arg)
{
    (void)arg;
    self->cleaned_ms = tr_now_ms();
    atomic_store(&webhooks.told, false); /* a predecessor may have died with a wake in its mailbox */
    (void)TR_SEND(tr_self(), webhooks_tick);
    return TR_INIT_OK;
}

static tr_next manager_handle_info(manager *self, const tr_msg *msg)
{
    const webhooks_renewed *renewed = TR_MATCH(msg, webhooks_renewed);
    if (renewed != NULL) {
        ensure(renewed->id);
        look_all();
    } else if (TR_MATCH(msg, webhooks_look) != NULL) {
        atomic_store(&webhooks.told, false); /* before the look: what comes from now on is another wake */
        look_all();
    } else if (TR_MATCH(msg, webhooks_tick) != NULL) {
        tick(self);
    }
    return TR_NOREPLY;
}

TR_GEN_SERVER(manager, .init = manager_init, .handle_info = manager_handle_info);

tr_child_spec webhooks_manager_child_spec(void)
{
    return (tr_child_spec){
        .id = webhooks.manager, .server = manager_server, .start = {.name = webhooks.manager}};
}

tr_child_spec webhook_deliverers_child_spec(void)
{
    static tr_supervisor supervisor = {.name = "webhooks.deliverers"};
    supervisor.flags = webhooks.restarts;
    supervisor.flags.strategy = TR_DYNAMIC;
    return (tr_child_spec){
        .id = webhooks.deliverers, .supervisor = &supervisor, .start = {.name = webhooks.deliverers}};
}
