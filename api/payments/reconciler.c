#include "api/payments/reconciler.h"

#include "api/payments/machine.h"
#include "api/payments/service.h"
#include "server/store/store_writer.h"

#include <string.h>

#define RECONCILE_EVERY_MS 10000
#define PAGE               200
#define STARTS_PAUSE_MS    20 /* after each page: others want the disk, too */

TR_MESSAGE_EMPTY(reconcile);

typedef struct reconciler {
    uint64_t walks;
    uint64_t open;
} reconciler;

struct walk {
    uint64_t open, unknown;
    int64_t oldest_ms;
};

static void see(struct walk *walk, const struct payment *payment)
{
    walk->open++;
    if (payment->operation.status == OPERATION_STATUS_UNKNOWN) {
        walk->unknown++;
        if (walk->oldest_ms == 0 || payment->operation.since_ms < walk->oldest_ms) {
            walk->oldest_ms = payment->operation.since_ms;
        }
    }
    (void)machine_find_or_start(payment->id);
}

/* One page. Returns: whether there may be more. */
static bool walk_page(struct walk *walk, struct open_query *query)
{
    struct store_found found = {0};
    struct payment payment;
    bool more = false;
    enum store_status status = store_read_rows(&(struct store_read){.fn = records_open,
                                                                    .arg = query,
                                                                    .arg_bytes = sizeof(*query),
                                                                    .timeout_ms = PAYMENTS_STORE_TIMEOUT_MS},
                                               &found);
    if (status != STORE_OK) {
        return false; /* the next walk sees what this one did not */
    }
    struct text rows = {.bytes = found.bytes, .count = found.count};
    for (int64_t i = 0; i < query->limit && records_next_payment(&rows, &payment); i++) {
        see(walk, &payment);
        memcpy(query->after, payment.id, sizeof(query->after));
        more = i + 1 == query->limit;
    }
    tr_msg_drop(found.reply);
    return more;
}

static void sweep_keys(void)
{
    int64_t now_ms = payments_wall_ms();
    int64_t swept = 0;
    if (store_writer_run(records_sweep_keys, &now_ms, sizeof(now_ms), &swept, sizeof(swept),
                         PAYMENTS_STORE_TIMEOUT_MS) == STORE_OK) {
        metric_count(payments.metrics.keys_swept, (uint64_t)swept);
    }
}

static tr_next walk_all(reconciler *self)
{
    struct open_query query = {.limit = PAGE};
    struct walk walk = {0};
    while (walk_page(&walk, &query)) {
        tr_sleep(STARTS_PAUSE_MS);
    }
    atomic_store_explicit(&payments.unknown, walk.unknown, memory_order_relaxed);
    atomic_store_explicit(&payments.oldest_unknown_ms, walk.oldest_ms, memory_order_relaxed);
    sweep_keys();
    self->walks++;
    self->open = walk.open;
    (void)TR_SEND_AFTER(RECONCILE_EVERY_MS, tr_self(), reconcile);
    return TR_NOREPLY;
}

static tr_next reconciler_init(reconciler *self, const void *arg)
{
    (void)self;
    (void)arg;
    (void)TR_SEND(tr_self(), reconcile);
    return TR_INIT_OK;
}

static tr_next reconciler_handle_info(reconciler *self, const tr_msg *msg)
{
    return TR_MATCH(msg, reconcile) != NULL ? walk_all(self) : TR_NOREPLY;
}

static tr_term reconciler_format_state(const reconciler *self)
{
    return tr_map_n(2, (tr_term[]){tr_atom("walks"), tr_int((int64_t)self->walks), tr_atom("open"),
                                   tr_int((int64_t)self->open)});
}

TR_GEN_SERVER(reconciler, .init = reconciler_init, .handle_info = reconciler_handle_info,
              .format_state = reconciler_format_state);

tr_child_spec reconciler_child_spec(void)
{
    return (tr_child_spec){.id = tr_atom("payments.reconciler"),
                           .server = reconciler_server,
                           .start = {.name = tr_atom("payments.reconciler")}};
}
