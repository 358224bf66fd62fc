#include "api/payments/machine_internal.h"

#include "server/log.h"

#include <string.h>

/* ---- guards ---- */

static bool is_free(const payment_machine *self, const tr_event *event)
{
    (void)event;
    return self->payment.operation.kind == OPERATION_NONE;
}

static bool fits(const payment_machine *self, const tr_event *event)
{
    int64_t amount = TR_EVENT_DATA(event, payment_refund)->command.amount;
    return is_free(self, event) && amount > 0 && amount <= payment_refundable(&self->payment);
}

static bool leaves_some(const payment_machine *self, const tr_event *event)
{
    int64_t amount = TR_EVENT_DATA(event, payment_refunded)->event.amount;
    return self->payment.refunds_multiple && amount < payment_refundable(&self->payment);
}

/* ---- acts: commands ---- */

static tr_step authorize(payment_machine *self, const tr_event *event)
{
    return operation_begin(self, event, OPERATION_AUTHORIZE);
}

static tr_step capture(payment_machine *self, const tr_event *event)
{
    return operation_begin(self, event, OPERATION_CAPTURE);
}

static tr_step refund(payment_machine *self, const tr_event *event)
{
    return operation_begin(self, event, OPERATION_REFUND);
}

static tr_step cancel(payment_machine *self, const tr_event *event)
{
    return operation_begin(self, event, OPERATION_CANCEL);
}

/* A refusal, kept for the command's key if it has one. */
static tr_step refuse(payment_machine *self, const tr_event *event, enum payment_outcome outcome)
{
    const struct payment_command *command = tr_msg_data(event->msg);
    if (command->key.key[0] == 0 || !answer_is_kept(outcome)) {
        return machine_refuse(self, event, outcome);
    }
    struct draft draft = {.key_step = KEY_ENDS,
                          .key = &command->key,
                          .outcome = outcome,
                          .code = "",
                          .request_id = command->request_id};
    tr_msg *telling;
    struct appended appended = machine_append(self, &draft, &telling);
    return machine_say(event->from, &appended);
}

static tr_step refuse_amount(payment_machine *self, const tr_event *event)
{
    return refuse(self, event, OUTCOME_INVALID_AMOUNT);
}

/* Nothing was asked of the gateway yet: there is nothing to take back there. */
static tr_step cancel_here(payment_machine *self, const tr_event *event)
{
    const struct payment_command *command = tr_msg_data(event->msg);
    if (command->if_version != 0 && command->if_version != self->payment.version) {
        return refuse(self, event, OUTCOME_VERSION_CONFLICT);
    }
    struct draft draft = {.has_event = true,
                          .event = {.type = EVENT_PAYMENT_CANCELLED_EVENT},
                          .key_step = command->key.key[0] != 0 ? KEY_ENDS : KEY_STAYS,
                          .key = &command->key,
                          .outcome = OUTCOME_DONE,
                          .code = "",
                          .request_id = command->request_id};
    tr_msg *telling;
    struct appended appended = machine_append(self, &draft, &telling);
    tr_step step = machine_say(event->from, &appended);
    if (!appended.written) {
        return step;
    }
    return TR_WITH(step,
                   ((tr_action){.kind = TR_ACTION_NEXT_EVENT, .type = TR_EVENT_INTERNAL, .msg = telling}));
}

/* ---- acts: what happened ---- */

/* The row goes where machine_target says: both read the table. */
static tr_step apply(payment_machine *self, const tr_event *event)
{
    const struct payment_event *happened = &((const payment_noted *)tr_msg_data(event->msg))->event;
    payment_apply(&self->payment, happened, machine_target(self, event->msg));
    if (self->loaded) {
        watchers_tell(self);
    }
    return TR_KEEP_STATE;
}

/* ---- all the rest: time-outs, the gateway, those who wait, and what the table has no row for ---- */

static tr_step otherwise(payment_machine *self, tr_term state, const tr_event *event);

/* ---- the table ---- */

/* clang-format off */
#define WHEN(message, shown) {TR_ON_KIND_MESSAGE, shown, TR_TYPE(message)}
#define REFUNDS(state)                                                                                             \
    {.from = state, .on = WHEN(payment_refund, "refund"), .guard = TR_FN(fits), .act = TR_FN(refund)},             \
    {.from = state, .on = WHEN(payment_refund, "refund"), .guard = TR_FN(is_free), .act = TR_FN(refuse_amount)}

TR_STATEM_TABLE(
    payment_machine, .initial = "pending", .otherwise = otherwise,
    .states = TR_TABLE_STATES(payment_machine, {.name = "pending"}, {.name = "authorized"}, {.name = "captured"},
                              {.name = "partially_refunded"}, {.name = "refunded", .final = true},
                              {.name = "cancelled", .final = true}),
    .transitions = TR_TRANSITIONS(
        payment_machine,
        {.from = "pending", .on = WHEN(payment_authorize, "authorize"), .guard = TR_FN(is_free), .act = TR_FN(authorize)},
        {.from = "pending", .on = WHEN(payment_authorized, "authorized"), .to = "authorized", .act = TR_FN(apply)},
        {.from = "pending", .on = WHEN(payment_declined, "declined"), .act = TR_FN(apply)},
        {.from = "pending", .on = WHEN(payment_cancel, "cancel"), .guard = TR_FN(is_free), .act = TR_FN(cancel_here)},
        {.from = "pending", .on = WHEN(payment_cancelled, "cancelled"), .to = "cancelled", .act = TR_FN(apply)},
        {.from = "authorized", .on = WHEN(payment_capture, "capture"), .guard = TR_FN(is_free), .act = TR_FN(capture)},
        {.from = "authorized", .on = WHEN(payment_captured, "captured"), .to = "captured", .act = TR_FN(apply)},
        REFUNDS("authorized"),
        {.from = "authorized", .on = WHEN(payment_refunded, "refunded"), .to = "refunded", .act = TR_FN(apply)},
        {.from = "authorized", .on = WHEN(payment_cancel, "cancel"), .guard = TR_FN(is_free), .act = TR_FN(cancel)},
        {.from = "authorized", .on = WHEN(payment_cancelled, "cancelled"), .to = "cancelled", .act = TR_FN(apply)},
        REFUNDS("captured"),
        {.from = "captured", .on = WHEN(payment_refunded, "refunded"), .guard = TR_FN(leaves_some),
         .to = "partially_refunded", .act = TR_FN(apply)},
        {.from = "captured", .on = WHEN(payment_refunded, "refunded"), .to = "refunded", .act = TR_FN(apply)},
        REFUNDS("partially_refunded"),
        {.from = "partially_refunded", .on = WHEN(payment_refunded, "refunded"), .guard = TR_FN(leaves_some),
         .act = TR_FN(apply)},
        {.from = "partially_refunded", .on = WHEN(payment_refunded, "refunded"), .to = "refunded", .act = TR_FN(apply)}));
/* clang-format on */

const tr_statem_table *machine_table(void)
{
    return payment_machine_table;
}

const tr_transition *machine_row(const payment_machine *self, const tr_msg *msg)
{
    const char *from = payment_state_text(self->payment.state);
    tr_event event = {.type = TR_EVENT_INTERNAL, .msg = msg};
    for (const tr_transition *row = payment_machine_table->transitions; row->from != NULL; row++) {
        if (row->on.type == msg->type && strcmp(row->from, from) == 0 &&
            (row->guard.call == NULL || row->guard.call(self, &event))) {
            return row;
        }
    }
    return NULL;
}

enum payment_state machine_target(const payment_machine *self, const tr_msg *happened)
{
    const tr_transition *row = machine_row(self, happened);
    enum payment_state to = self->payment.state;
    TR_CHECK(row == NULL || row->to == NULL || payment_state_of(text_of(row->to), &to));
    return to;
}

/* ---- types ---- */

const tr_type *machine_command_type(enum operation_kind kind)
{
    switch (kind) {
    case OPERATION_AUTHORIZE:
        return TR_TYPE(payment_authorize);
    case OPERATION_CAPTURE:
        return TR_TYPE(payment_capture);
    case OPERATION_REFUND:
        return TR_TYPE(payment_refund);
    default:
        return TR_TYPE(payment_cancel);
    }
}

static bool is_command(const tr_msg *msg)
{
    return msg != NULL && (msg->type == TR_TYPE(payment_authorize) || msg->type == TR_TYPE(payment_capture) ||
                           msg->type == TR_TYPE(payment_refund) || msg->type == TR_TYPE(payment_cancel));
}

tr_msg *machine_telling(const struct payment_event *event)
{
    switch (event->type) {
    case EVENT_PAYMENT_AUTHORIZED_EVENT:
        return TR_MSG(payment_authorized, .event = *event);
    case EVENT_PAYMENT_DECLINED:
        return TR_MSG(payment_declined, .event = *event);
    case EVENT_PAYMENT_CAPTURED_EVENT:
        return TR_MSG(payment_captured, .event = *event);
    case EVENT_PAYMENT_REFUNDED_EVENT:
        return TR_MSG(payment_refunded, .event = *event);
    case EVENT_PAYMENT_CANCELLED_EVENT:
        return TR_MSG(payment_cancelled, .event = *event);
    default:
        return TR_MSG(payment_noted, .event = *event);
    }
}

/* ---- appending and answering ---- */

struct appended machine_append(payment_machine *self, struct draft *draft, tr_msg **telling)
{
    enum payment_state to = self->payment.state;
    *telling = NULL;
    self->busy_ms = tr_now_ms();
    if (draft->has_event) {
        tr_msg *as_told = machine_telling(&draft->event);
        to = machine_target(self, as_told);
        tr_msg_drop(as_told);
    }
    struct appended appended = append_draft(&self->payment, draft, to);
    if (appended.written && draft->has_event) {
        *telling = machine_telling(&draft->event);
    }
    return appended;
}

tr_step machine_say(tr_from from, const struct appended *appended)
{
    tr_step step =
        appended->stop ? TR_STOP_STATEM(tr_tuple(TR_ATOM(SHUTDOWN), tr_atom("stale"))) : TR_KEEP_STATE;
    return TR_WITH(step, ((tr_action){.kind = TR_ACTION_REPLY, .from = from, .msg = appended->answer}));
}

tr_step machine_refuse(const payment_machine *self, const tr_event *event, enum payment_outcome outcome)
{
    const struct payment_command *command = tr_msg_data(event->msg);
    struct appended refused = {.answer = append_answer(&self->payment, outcome, "", command->request_id)};
    return machine_say(event->from, &refused);
}

/* ---- loading ---- */

/* A payment as it was before its first event. */
static void begin_fold(payment_machine *self, const struct payment *stored)
{
    char *metadata = tr_alloc(stored->metadata.count + 1);
    memcpy(metadata, stored->metadata.bytes, stored->metadata.count);
    self->stored = tr_alloc(sizeof(*stored));
    *self->stored = *stored;
    self->payment = (struct payment){.amount = stored->amount,
                                     .refunds_multiple = stored->refunds_multiple,
                                     .has_reference = stored->has_reference,
                                     .metadata = {.bytes = metadata, .count = stored->metadata.count}};
    memcpy(self->payment.id, stored->id, sizeof(stored->id));
    memcpy(self->payment.currency, stored->currency, sizeof(stored->currency));
    memcpy(self->payment.reference, stored->reference, sizeof(stored->reference));
}

static tr_step load(payment_machine *self)
{
    struct payment_name name = {0};
    struct store_found found = {0};
    struct payment stored;
    memcpy(name.id, self->payment.id, sizeof(name.id));
    enum store_status status = store_read_rows(&(struct store_read){.fn = records_load,
                                                                    .arg = &name,
                                                                    .arg_bytes = sizeof(name),
                                                                    .timeout_ms = PAYMENTS_STORE_TIMEOUT_MS},
                                               &found);
    if (status != STORE_OK) {
        return TR_STOP_STATEM(tr_tuple(TR_ATOM(SHUTDOWN), tr_atom(store_status_name(status))));
    }
    struct text rows = {.bytes = found.bytes, .count = found.count};
    if (!records_next_payment(&rows, &stored)) {
        return TR_STOP_STATEM(tr_tuple(TR_ATOM(SHUTDOWN), TR_ATOM(NOT_FOUND)));
    }
    begin_fold(self, &stored);
    size_t count = rows.count / sizeof(struct payment_event);
    tr_action *actions = tr_scratch_alloc((count + 1) * sizeof(*actions));
    for (size_t i = 0; i < count; i++) {
        struct payment_event event;
        memcpy(&event, rows.bytes + i * sizeof(event), sizeof(event));
        actions[i] = (tr_action){
            .kind = TR_ACTION_NEXT_EVENT, .type = TR_EVENT_INTERNAL, .msg = machine_telling(&event)};
    }
    actions[count] = TR_NEXT_EVENT(TR_EVENT_INTERNAL, machine_loaded);
    tr_msg_drop(found.reply);
    return tr_step_with(TR_KEEP_STATE, count + 1, actions);
}

/* I4: what the events make is what the row says. */
static bool agrees(const struct payment *folded, const struct payment *stored)
{
    return folded->state == stored->state && folded->version == stored->version &&
           folded->authorized_amount == stored->authorized_amount &&
           folded->captured_amount == stored->captured_amount &&
           folded->refunded_amount == stored->refunded_amount &&
           folded->operation.kind == stored->operation.kind &&
           strcmp(folded->operation.id, stored->operation.id) == 0;
}

static tr_step loaded(payment_machine *self)
{
    if (!agrees(&self->payment, self->stored)) {
        log_event(LOG_ERROR, EVENT_PAYMENT_DISAGREED, log_str("payment", self->payment.id),
                  log_uint("events", self->payment.version), log_uint("row", self->stored->version));
        return TR_STOP_STATEM(tr_atom("events_and_row_disagree"));
    }
    tr_free(self->stored);
    self->stored = NULL;
    self->loaded = true;
    tr_step step = self->payment.operation.kind == OPERATION_NONE ? TR_KEEP_STATE : operation_adopt(self);
    return TR_WITH(step, TR_GENERIC_TIMEOUT("idle", payments.settings->payments_idle_ms, machine_tick));
}

/* created, operation.*: the table does not lead anywhere by them. */
static tr_step note(payment_machine *self, const tr_event *event)
{
    const struct payment_event *happened = &TR_EVENT_DATA(event, payment_noted)->event;
    if (!self->loaded && happened->type == EVENT_OPERATION_STARTED) {
        tr_free(self->request);
        self->request = tr_alloc(sizeof(*self->request));
        *self->request = (struct request){.keyed = true}; /* perhaps: then it wants its answer */
        memcpy(self->request->request_id, happened->request_id, sizeof(happened->request_id));
    }
    return apply(self, event);
}

/* ---- otherwise ---- */

static tr_step command_without_row(payment_machine *self, const tr_event *event)
{
    if (self->payment.operation.kind != OPERATION_NONE) {
        return waiting_add(self, event);
    }
    return refuse(self, event,
                  payment_is_terminal(self->payment.state) ? OUTCOME_TERMINAL_STATE : OUTCOME_INVALID_EVENT);
}

static tr_step idle(payment_machine *self)
{
    bool busy = self->payment.operation.kind != OPERATION_NONE || self->waiting_count > 0;
    int64_t left_ms = self->busy_ms + payments.settings->payments_idle_ms - tr_now_ms();
    if (!busy && left_ms <= 0) {
        return TR_STOP_STATEM(TR_ATOM(NORMAL));
    }
    return TR_WITH(TR_KEEP_STATE,
                   TR_GENERIC_TIMEOUT("idle", left_ms > 0 ? left_ms : payments.settings->payments_idle_ms,
                                      machine_tick));
}

static tr_step time_is_up(payment_machine *self, tr_term name)
{
    if (tr_same(name, tr_atom("answer"))) {
        return operation_answer_late(self);
    }
    if (tr_same(name, tr_atom("give_up"))) {
        return operation_give_up(self);
    }
    if (tr_same(name, tr_atom("query"))) {
        return operation_query(self);
    }
    return tr_same(name, tr_atom("deadline")) ? waiting_expire(self) : idle(self);
}

static tr_step otherwise(payment_machine *self, tr_term state, const tr_event *event)
{
    (void)state;
    tr_step step;
    if (event->type == TR_EVENT_GENERIC_TIMEOUT) {
        return time_is_up(self, event->name);
    }
    if (TR_MATCH(event->msg, payment_noted) != NULL) {
        return note(self, event);
    }
    if (TR_MATCH(event->msg, machine_load) != NULL) {
        return load(self);
    }
    if (TR_MATCH(event->msg, machine_loaded) != NULL) {
        return loaded(self);
    }
    if (TR_MATCH(event->msg, machine_resume) != NULL) {
        return waiting_resume(self);
    }
    if (operation_heard(self, event, &step)) {
        return step;
    }
    if (event->type == TR_EVENT_CALL && is_command(event->msg)) {
        return command_without_row(self, event);
    }
    if (event->type == TR_EVENT_CALL && TR_MATCH(event->msg, payment_watch) != NULL) {
        self->busy_ms = tr_now_ms();
        return watcher_add(self, event);
    }
    return tr_unexpected_event(event);
}

/* ---- the process ---- */

static void uncount(tr_resource *resource)
{
    (void)resource;
    atomic_fetch_sub_explicit(&payments.machines, 1, memory_order_relaxed);
}

static tr_step payment_machine_init(payment_machine *self, const void *arg)
{
    const struct payment_name *name = arg;
    memcpy(self->payment.id, name->id, sizeof(name->id));
    self->counted.destroy = uncount;
    tr_resource_add(&self->counted);
    atomic_fetch_add_explicit(&payments.machines, 1, memory_order_relaxed);
    self->busy_ms = tr_now_ms();
    return TR_WITH(TR_KEEP_STATE, TR_NEXT_EVENT(TR_EVENT_INTERNAL, machine_load));
}

static tr_term payment_machine_format(const payment_machine *self)
{
    return tr_map_n(4, (tr_term[]){tr_atom("version"), tr_int((int64_t)self->payment.version),
                                   tr_atom("waiting"), tr_int(self->waiting_count), tr_atom("operation"),
                                   tr_atom(operation_kind_text(self->payment.operation.kind)),
                                   tr_atom("queries"), tr_int(self->attempts)});
}

TR_GEN_STATEM(payment_machine, .table = payment_machine_table, .init = payment_machine_init,
              .format_data = payment_machine_format);

/* ---- finding and starting ---- */

uint64_t machines_live(void)
{
    return atomic_load_explicit(&payments.machines, memory_order_relaxed);
}

tr_pid machine_find(struct text payment_id)
{
    return tr_registry_lookup(payments.registry, tr_string_n(payment_id.bytes, payment_id.count), NULL);
}

tr_pid machine_find_or_start(const char *payment_id)
{
    tr_pid pid = machine_find(text_of(payment_id));
    if (pid != TR_NO_PID) {
        return pid;
    }
    struct payment_name name = {0};
    text_fill(name.id, sizeof(name.id), payment_id);
    tr_child_spec spec = {.id = tr_atom("payment"),
                          .statem = payment_machine_statem,
                          .arg = &name,
                          .arg_bytes = sizeof(name),
                          .restart = TR_TEMPORARY,
                          .start = {.registry = payments.registry, .key = tr_string(payment_id)}};
    tr_sup_result started =
        tr_dynamic_supervisor_start_child(tr_to_name(tr_atom("payments.machines")), &spec);
    return started.err == TR_OK ? started.pid : machine_find(text_of(payment_id)); /* another was faster */
}

tr_child_spec machines_child_spec(void)
{
    static tr_supervisor supervisor = {.name = "payments.machines", .flags = {.strategy = TR_DYNAMIC}};
    supervisor.flags.max_children = payments.settings->payments_live_max;
    return (tr_child_spec){.id = tr_atom("payments.machines"),
                           .supervisor = &supervisor,
                           .start = {.name = tr_atom("payments.machines")}};
}

tr_child_spec machine_tasks_child_spec(void)
{
    static const tr_task_supervisor_opts opts = {.max_children = 0};
    tr_child_spec spec = tr_task_supervisor_child_spec(&opts);
    spec.id = tr_atom("payments.tasks");
    spec.start.name = tr_atom("payments.tasks");
    return spec;
}
