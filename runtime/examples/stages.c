/* stages.c: a pipeline of three stages. The source could give a million numbers at once; the sink writes slowly and asks for
 * ten at a time, so there are never more on their way than were asked for, however long the line is. */
#include <inttypes.h>
#include <stdio.h>
#include <troupe/troupe.h>

enum { ORDERS = 1000, AT_ONCE = 10 };
TR_MESSAGE(order, { int64_t id; });
TR_MESSAGE(invoice, {
    int64_t id;
    int64_t cents;
});
TR_MESSAGE(all_written, {
    int64_t invoices;
    int64_t cents;
});

/* ---- the source: gives what is asked for ---- */
typedef struct source {
    int64_t next;
} source;

static tr_next source_handle_demand(source *self, uint64_t demand)
{
    TR_CHECK(demand <= AT_ONCE);
    for (; demand > 0 && self->next < ORDERS; demand--) {
        TR_EMIT(self, order, .id = self->next++);
    }
    return TR_NOREPLY;
}

TR_GEN_STAGE(source, .type = TR_PRODUCER, .handle_demand = source_handle_demand);

/* ---- the office: makes an invoice of each paid order ---- */
typedef struct office {
    int64_t seen;
} office;

/* On scratch memory: init's caller reads it at once. */
static void subscribe_to(const char *name, tr_stage_opts *opts)
{
    tr_subscription *to = tr_scratch_alloc(sizeof *to);
    *to = (tr_subscription){.to = tr_to_name(tr_atom(name)), .max_demand = AT_ONCE};
    opts->subscribe_to = to;
    opts->subscribe_count = 1;
}

static tr_next office_init(office *self, const void *arg, tr_stage_opts *opts)
{
    (void)self, (void)arg;
    subscribe_to("source", opts);
    return TR_INIT_OK;
}

static tr_next office_handle_events(office *self, tr_stage_from from, const tr_stage_event *events,
                                    size_t count)
{
    (void)from;
    for (size_t i = 0; i < count; i++) {
        const order *o = TR_EVENT_MATCH(&events[i], order);
        TR_EMIT(self, invoice, .id = o->id, .cents = 100 * (o->id % 7));
    }
    self->seen += (int64_t)count;
    return TR_NOREPLY;
}

TR_GEN_STAGE(office, .type = TR_PRODUCER_CONSUMER, .init = office_init,
             .handle_events = office_handle_events);

/* ---- the sink: slow ---- */
typedef struct sink {
    tr_pid boss;
    int64_t invoices, cents;
} sink;

static tr_next sink_init(sink *self, const void *arg, tr_stage_opts *opts)
{
    self->boss = *(const tr_pid *)arg;
    subscribe_to("office", opts);
    return TR_INIT_OK;
}

static tr_next sink_handle_events(sink *self, tr_stage_from from, const tr_stage_event *events, size_t count)
{
    (void)from;
    for (size_t i = 0; i < count; i++) {
        const invoice *in = TR_EVENT_MATCH(&events[i], invoice);
        TR_CHECK(in->id == self->invoices); /* none is lost, none comes twice, and in order */
        self->invoices++;
        self->cents += in->cents;
    }
    tr_sleep(1); /* the disk */
    if (self->invoices == ORDERS) {
        TR_SEND(self->boss, all_written, .invoices = self->invoices, .cents = self->cents);
    }
    return TR_NOREPLY;
}

TR_GEN_STAGE(sink, .type = TR_CONSUMER, .init = sink_init, .handle_events = sink_handle_events);

static void run(const void *arg)
{
    tr_pid self = tr_self();
    (void)arg;
    tr_child_spec stages[] = {
        {.id = tr_int(1), .server = &source_stage->server, .start = {.name = tr_atom("source")}},
        {.id = tr_int(2), .server = &office_stage->server, .start = {.name = tr_atom("office")}},
        {.id = tr_int(3), .server = &sink_stage->server, .arg = &self, .arg_bytes = sizeof self},
    };
    /* A stage that ends takes those behind it along; they start anew and subscribe again. */
    tr_supervisor module = {
        .name = "pipeline", .flags = {.strategy = TR_REST_FOR_ONE}, .children = stages, .child_count = 3};
    tr_started top;
    TR_CHECK(tr_supervisor_start_link(&module, NULL, 0, NULL, &top) == TR_OK);
    const all_written *written = TR_RECEIVE(all_written, 60000);
    TR_CHECK(written != NULL && written->invoices == ORDERS);
    printf("%" PRId64 " invoices, %" PRId64 " cents\n", written->invoices, written->cents);
}

int main(void)
{
    return tr_node_run(NULL, run, NULL);
}
