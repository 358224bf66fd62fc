/* The payment's table against a model written from the contract: every sequence of up to six events, over all events and the amounts
 * -1, 0, 1, half, all, all + 1. The machine's own rows, guards and fold are run, without its process and its gateway. */
#include "api/payments/machine_internal.h"
#include "tests/runtime/stage.h"

enum { AMOUNT = 10, LENGTH_MAX = 6, EVENTS = 9 };

static const struct event {
    enum operation_kind kind;
    int64_t amount;
} events[EVENTS] = {
    {OPERATION_AUTHORIZE, 0},       {OPERATION_CAPTURE, 0},     {OPERATION_CANCEL, 0},
    {OPERATION_REFUND, -1},         {OPERATION_REFUND, 0},      {OPERATION_REFUND, 1},
    {OPERATION_REFUND, AMOUNT / 2}, {OPERATION_REFUND, AMOUNT}, {OPERATION_REFUND, AMOUNT + 1}};

/* ---- the model ---- */

struct model {
    enum payment_state state;
    int64_t authorized, captured, refunded;
};

static enum payment_outcome model_refund(struct model *model, int64_t amount, int64_t *left, bool multiple)
{
    if (amount < 1 || amount > *left) {
        return OUTCOME_INVALID_AMOUNT;
    }
    bool all = amount == *left || model->state == PAYMENT_AUTHORIZED || !multiple;
    *left -= amount;
    model->refunded += amount;
    model->state = all ? PAYMENT_REFUNDED : PAYMENT_PARTIALLY_REFUNDED;
    return OUTCOME_DONE;
}

static enum payment_outcome model_pending(struct model *model, const struct event *event)
{
    if (event->kind == OPERATION_AUTHORIZE) {
        model->state = PAYMENT_AUTHORIZED;
        model->authorized = AMOUNT;
        return OUTCOME_DONE;
    }
    if (event->kind == OPERATION_CANCEL) {
        model->state = PAYMENT_CANCELLED;
        return OUTCOME_DONE;
    }
    return OUTCOME_INVALID_EVENT;
}

static enum payment_outcome model_authorized(struct model *model, const struct event *event, bool multiple)
{
    switch (event->kind) {
    case OPERATION_CAPTURE:
        model->state = PAYMENT_CAPTURED;
        model->captured = model->authorized;
        return OUTCOME_DONE;
    case OPERATION_CANCEL:
        model->state = PAYMENT_CANCELLED;
        return OUTCOME_DONE;
    case OPERATION_REFUND:
        return model_refund(model, event->amount, &model->authorized, multiple);
    default:
        return OUTCOME_INVALID_EVENT;
    }
}

static enum payment_outcome model_step(struct model *model, const struct event *event, bool multiple)
{
    switch (model->state) {
    case PAYMENT_PENDING:
        return model_pending(model, event);
    case PAYMENT_AUTHORIZED:
        return model_authorized(model, event, multiple);
    case PAYMENT_CAPTURED:
    case PAYMENT_PARTIALLY_REFUNDED:
        return event->kind == OPERATION_REFUND
                   ? model_refund(model, event->amount, &model->captured, multiple)
                   : OUTCOME_TERMINAL_STATE;
    default:
        return OUTCOME_TERMINAL_STATE;
    }
}

/* ---- the table ---- */

static void tell(payment_machine *machine, enum payment_event_type type, int64_t amount)
{
    struct payment_event event = {
        .type = type, .seq = machine->payment.version + 1, .kind = OPERATION_NONE, .amount = amount};
    tr_msg *telling = machine_telling(&event);
    payment_apply(&machine->payment, &event, machine_target(machine, telling));
    tr_msg_drop(telling);
}

/* What the machine does with a command whose gateway says yes. */
static enum payment_outcome table_step(payment_machine *machine, const struct event *event)
{
    static const enum payment_event_type types[] = {[OPERATION_AUTHORIZE] = EVENT_PAYMENT_AUTHORIZED_EVENT,
                                                    [OPERATION_CAPTURE] = EVENT_PAYMENT_CAPTURED_EVENT,
                                                    [OPERATION_REFUND] = EVENT_PAYMENT_REFUNDED_EVENT,
                                                    [OPERATION_CANCEL] = EVENT_PAYMENT_CANCELLED_EVENT};
    struct payment_command command = {.amount = event->amount};
    tr_msg *msg = tr_msg_new(machine_command_type(event->kind), &command);
    const tr_transition *row = machine_row(machine, msg);
    tr_msg_drop(msg);
    if (row == NULL) {
        return payment_is_terminal(machine->payment.state) ? OUTCOME_TERMINAL_STATE : OUTCOME_INVALID_EVENT;
    }
    if (strcmp(row->act.name, "refuse_amount") == 0) {
        return OUTCOME_INVALID_AMOUNT;
    }
    tell(machine, types[event->kind], event->amount);
    return OUTCOME_DONE;
}

/* ---- both, side by side ---- */

static struct walk {
    uint64_t steps, differences;
    bool multiple;
} walk_state;

static void compare(const payment_machine *machine, const struct model *model, enum payment_outcome a,
                    enum payment_outcome b)
{
    const struct payment *payment = &machine->payment;
    bool same = a == b && payment->state == model->state && payment->authorized_amount == model->authorized &&
                payment->captured_amount == model->captured && payment->refunded_amount == model->refunded;
    bool sound = payment->captured_amount >= 0 && payment->captured_amount <= AMOUNT && /* I1, I2 */
                 payment->captured_amount + payment->refunded_amount <= AMOUNT;
    walk_state.differences += !same || !sound;
    walk_state.steps++;
}

/* Depth first, without recursion: one level an event of the sequence. */
static void walk_all(bool multiple)
{
    static payment_machine machines[LENGTH_MAX + 1];
    struct model models[LENGTH_MAX + 1] = {{.state = PAYMENT_PENDING}};
    int next[LENGTH_MAX + 1] = {0};
    int depth = 0;
    walk_state = (struct walk){.multiple = multiple};
    machines[0] = (payment_machine){.payment = {.amount = AMOUNT, .refunds_multiple = multiple}};
    tell(&machines[0], EVENT_PAYMENT_CREATED, AMOUNT);
    while (depth >= 0) {
        if (depth == LENGTH_MAX || next[depth] == EVENTS) {
            next[depth--] = 0;
            continue;
        }
        const struct event *event = &events[next[depth]++];
        machines[depth + 1] = machines[depth];
        models[depth + 1] = models[depth];
        enum payment_outcome a = table_step(&machines[depth + 1], event);
        enum payment_outcome b = model_step(&models[depth + 1], event, multiple);
        depth++;
        compare(&machines[depth], &models[depth], a, b);
    }
}

enum { SEQUENCES = 9 + 81 + 729 + 6561 + 59049 + 531441 };

SCENE(payment_table, every_sequence_of_six_with_single_refunds)
{
    walk_all(false);
    EXPECT(walk_state.steps == SEQUENCES);
    EXPECT(walk_state.differences == 0);
}

SCENE(payment_table, every_sequence_of_six_with_multiple_refunds)
{
    walk_all(true);
    EXPECT(walk_state.steps == SEQUENCES);
    EXPECT(walk_state.differences == 0);
}

SCENE(payment_table, the_table_is_whole)
{
    tr_term wrong;
    EXPECT(tr_statem_table_check(machine_table(), &wrong) == TR_OK);
}

SCENE(payment_table, ids_are_unique_and_have_their_form)
{
    char a[PAYMENT_ID_BYTES], b[PAYMENT_ID_BYTES];
    payment_id_make(a);
    payment_id_make(b);
    EXPECT(strcmp(a, b) != 0);
    EXPECT(payment_id_fits(text_of(a)));
    a[10] = '-';
    EXPECT(!payment_id_fits(text_of(a)));
    EXPECT(currency_is_known(TEXT("USD")) && currency_is_known(TEXT("AED")) &&
           currency_is_known(TEXT("ZWL")));
    EXPECT(!currency_is_known(TEXT("ED ")) && !currency_is_known(TEXT("QQQ")) &&
           !currency_is_known(TEXT("US")));
}
