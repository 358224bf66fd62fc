/* payment.c: a payment as a state machine that is a table: it runs a payment from authorization to a partial refund, and
 * draws itself: payment --diagram mermaid|dot|json [STATE]. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <troupe/troupe.h>

#define GATEWAY_TIMEOUT_MS 10000

TR_MESSAGE(authorize, { char card_token[32]; });
TR_MESSAGE_EMPTY(capture);
TR_MESSAGE(refund, { int64_t amount; });
TR_MESSAGE_EMPTY(cancel);
TR_MESSAGE(outcome, { const char *error; }); /* what every call is answered with; NULL: ok */
TR_MESSAGE(gateway_said, {
    uint64_t attempt;
    bool approved;
});
typedef struct gateway_order {
    tr_pid payment;
    uint64_t attempt;
    char card_token[32];
} gateway_order;

typedef struct payment {
    int64_t amount, authorized_amount, captured_amount;
    tr_from client;   /* of the authorization that the gateway was asked for ... */
    uint64_t attempt; /* ... for this time */
} payment;

static tr_step answer(const tr_event *event, const char *error)
{
    return TR_WITH(TR_KEEP_STATE, TR_REPLY_TO(event->from, outcome, .error = error));
}

/* ---- guards ---- */

static bool is_approved(const payment *self, const tr_event *event)
{
    (void)self;
    return TR_EVENT_DATA(event, gateway_said)->approved;
}

/* An answer to an attempt that was given up. */
static bool is_stale(const payment *self, const tr_event *event)
{
    return TR_EVENT_DATA(event, gateway_said)->attempt != self->attempt;
}

static bool fits_authorized(const payment *self, const tr_event *event)
{
    int64_t amount = TR_EVENT_DATA(event, refund)->amount;
    return amount > 0 && amount <= self->authorized_amount;
}

static bool fits_captured(const payment *self, const tr_event *event)
{
    int64_t amount = TR_EVENT_DATA(event, refund)->amount;
    return amount > 0 && amount <= self->captured_amount;
}

/* ---- acts ---- */

/* The gateway is another process; it answers with an event, and until then all other events wait. */
static void gateway(const void *arg)
{
    const gateway_order *order = arg;
    TR_SEND(order->payment, gateway_said, .attempt = order->attempt,
            .approved = strcmp(order->card_token, "tok_visa") == 0);
}

static tr_step ask_gateway(payment *self, const tr_event *event)
{
    gateway_order order = {.payment = tr_self(), .attempt = ++self->attempt};
    self->client = event->from;
    memcpy(order.card_token, TR_EVENT_DATA(event, authorize)->card_token, sizeof order.card_token);
    TR_CHECK(tr_spawn(&(tr_spawn_opts){.label = "gateway"}, gateway, &order, sizeof order, NULL) == TR_OK);
    return TR_KEEP_STATE;
}

static tr_step take_authorization(payment *self, const tr_event *event)
{
    (void)event;
    self->authorized_amount = self->amount;
    return TR_WITH(TR_KEEP_STATE, TR_REPLY_TO(self->client, outcome, .error = NULL));
}

static tr_step tell_declined(payment *self, const tr_event *event)
{
    bool late = event->type == TR_EVENT_STATE_TIMEOUT;
    return TR_WITH(TR_KEEP_STATE,
                   TR_REPLY_TO(self->client, outcome, .error = late ? "gateway_timeout" : "card_declined"));
}

static tr_step take_capture(payment *self, const tr_event *event)
{
    self->captured_amount = self->authorized_amount;
    return answer(event, NULL);
}

static tr_step give_back_authorized(payment *self, const tr_event *event)
{
    self->authorized_amount -= TR_EVENT_DATA(event, refund)->amount;
    return answer(event, NULL);
}

static tr_step give_back_captured(payment *self, const tr_event *event)
{
    self->captured_amount -= TR_EVENT_DATA(event, refund)->amount;
    return answer(event, NULL);
}

static tr_step tell_invalid_amount(payment *self, const tr_event *event)
{
    (void)self;
    return answer(event, "invalid_amount");
}

static tr_step say_ok(payment *self, const tr_event *event)
{
    (void)self;
    return answer(event, NULL);
}

static tr_step refuse(payment *self, tr_term state, const tr_event *event)
{
    (void)self;
    if (event->type != TR_EVENT_CALL) {
        return TR_KEEP_STATE; /* the gateway spoke after its time was up */
    }
    bool open = tr_same(state, tr_atom("pending")) || tr_same(state, tr_atom("authorized"));
    return answer(event, open ? "invalid_event" : "terminal_state");
}

/* ---- the machine ---- */

TR_STATEM_TABLE(
    payment, .initial = "pending", .otherwise = refuse,
    .states = TR_TABLE_STATES(payment, {.name = "pending"},
                              {.name = "authorizing", .timeout_ms = GATEWAY_TIMEOUT_MS},
                              {.name = "authorized"}, {.name = "captured"},
                              {.name = "refunded", .final = true}, {.name = "cancelled", .final = true}),
    .transitions = TR_TRANSITIONS(
        payment, {.from = "pending", .on = TR_ON(authorize), .to = "authorizing", .act = TR_FN(ask_gateway)},
        {.from = "pending", .on = TR_ON(cancel), .to = "cancelled", .act = TR_FN(say_ok)},
        {.from = "authorizing", .on = TR_ON(gateway_said), .guard = TR_FN(is_stale)},
        {.from = "authorizing",
         .on = TR_ON(gateway_said),
         .guard = TR_FN(is_approved),
         .to = "authorized",
         .act = TR_FN(take_authorization)},
        {.from = "authorizing", .on = TR_ON(gateway_said), .to = "pending", .act = TR_FN(tell_declined)},
        {.from = "authorizing", .on = TR_ON_STATE_TIMEOUT, .to = "pending", .act = TR_FN(tell_declined)},
        {.from = "authorizing", .on = TR_ON(authorize), .postpone = true},
        {.from = "authorizing", .on = TR_ON(capture), .postpone = true},
        {.from = "authorizing", .on = TR_ON(refund), .postpone = true},
        {.from = "authorizing", .on = TR_ON(cancel), .postpone = true},
        {.from = "authorized", .on = TR_ON(capture), .to = "captured", .act = TR_FN(take_capture)},
        {.from = "authorized", .on = TR_ON(cancel), .to = "cancelled", .act = TR_FN(say_ok)},
        {.from = "authorized",
         .on = TR_ON(refund),
         .guard = TR_FN(fits_authorized),
         .to = "refunded",
         .act = TR_FN(give_back_authorized)},
        {.from = "authorized", .on = TR_ON(refund), .act = TR_FN(tell_invalid_amount)},
        {.from = "captured",
         .on = TR_ON(refund),
         .guard = TR_FN(fits_captured),
         .to = "refunded",
         .act = TR_FN(give_back_captured)},
        {.from = "captured", .on = TR_ON(refund), .act = TR_FN(tell_invalid_amount)}));

static tr_step payment_init(payment *self, const void *arg)
{
    self->amount = *(const int64_t *)arg;
    return TR_KEEP_STATE;
}

static tr_term payment_format(const payment *self)
{
    return tr_map_n(3, (tr_term[]){tr_atom("amount"), tr_int(self->amount), tr_atom("authorized"),
                                   tr_int(self->authorized_amount), tr_atom("captured"),
                                   tr_int(self->captured_amount)});
}

TR_GEN_STATEM(payment, .table = payment_table, .init = payment_init, .format_data = payment_format);

/* ---- a walk through it ---- */

static void told(const char *what, tr_pid pid, tr_err err, const outcome *out)
{
    tr_term state;
    TR_CHECK(err == TR_OK);
    TR_CHECK(tr_sys_get_state(tr_to(pid), TR_CALL_TIMEOUT_MS, &state) == TR_OK);
    printf("%-22s %-16s %s\n", what, out->error == NULL ? "ok" : out->error, tr_term_text(state));
}

/* Does it, and says what came of it. */
#define TELL(pid, what, T, ...)                                                            \
    do {                                                                                   \
        outcome told_out;                                                                  \
        tr_err told_err = TR_CALL((pid), TR_INFINITY, outcome, &told_out, T, __VA_ARGS__); \
        told((what), (pid), told_err, &told_out);                                          \
    } while (0)

static void walk(const void *arg)
{
    (void)arg;
    tr_started started;
    int64_t amount = 10000;
    TR_CHECK(tr_gen_statem_start_link(payment_statem, &amount, sizeof amount, NULL, &started) == TR_OK);
    tr_pid pid = started.pid;
    TELL(pid, "capture", capture);
    TELL(pid, "authorize tok_declined", authorize, .card_token = "tok_declined");
    TELL(pid, "authorize tok_visa", authorize, .card_token = "tok_visa");
    TELL(pid, "capture", capture);
    TELL(pid, "refund 20000", refund, .amount = 20000);
    TELL(pid, "refund 5000", refund, .amount = 5000);
    TELL(pid, "refund 5000", refund, .amount = 5000);
    TR_CHECK(tr_gen_statem_stop(tr_to(pid), TR_ATOM(NORMAL), TR_INFINITY, NULL) == TR_OK);
}

static int draw(const char *format, const char *current)
{
    char text[16384];
    tr_diagram diagram = strcmp(format, "mermaid") == 0 ? TR_DIAGRAM_MERMAID
                         : strcmp(format, "dot") == 0   ? TR_DIAGRAM_DOT
                                                        : TR_DIAGRAM_JSON;
    if (tr_statem_diagram(payment_table, diagram, current, text, sizeof text) >= sizeof text) {
        return 1;
    }
    fputs(text, stdout);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc >= 3 && strcmp(argv[1], "--diagram") == 0) {
        return draw(argv[2], argc > 3 ? argv[3] : NULL);
    }
    return tr_node_run(NULL, walk, NULL);
}
