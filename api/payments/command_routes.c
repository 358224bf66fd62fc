/* What changes payments over HTTP: creation, and the four commands. Each runs in a process of its request. */
#include "api/payments/idempotency.h"
#include "api/payments/payment_json.h"
#include "api/payments/payment_routes.h"
#include "api/payments/service.h"

#include "runtime/sys/clock.h"

#include <string.h>

#define ATTEMPTS         4    /* at a machine that has just ended itself */
#define ANSWER_MARGIN_MS 3000 /* the machine answers by its own clock; this much later nobody waits for it */

/* ---- answering ---- */

int64_t payments_wall_ms(void)
{
    return tr__clock_wall_ms();
}

void payment_request_id(const struct http_request *request, char out[PAYMENT_REQUEST_ID_MAX + 1])
{
    struct text id = http_request_id(request);
    size_t count = id.count < PAYMENT_REQUEST_ID_MAX ? id.count : PAYMENT_REQUEST_ID_MAX;
    memcpy(out, id.bytes, count);
    out[count] = 0;
}

void payment_answer_send(struct http_request *request, unsigned status, uint64_t version, struct text body)
{
    if (status < 300 && version > 0) {
        http_answer_etag(request, version);
    }
    http_answer_bytes(request, status, status < 400 ? "application/json" : PROBLEM_MEDIA_TYPE, body);
}

void payment_answer_forward(struct http_request *request, const tr_msg *msg)
{
    const payment_answer *answer = TR_MATCH(msg, payment_answer);
    unsigned retry_s = answer_retry_after_s(answer->outcome);
    if (retry_s > 0) {
        http_answer_headerf(request, "Retry-After", "%u", retry_s);
    }
    if (answer->status >= 400) {
        metric_count(payments.metrics.refused, 1);
    }
    payment_answer_send(
        request, answer->status, answer->version,
        (struct text){.bytes = (const char *)answer->body->bytes, .count = answer->body->size});
}

void payment_answer_unknown(struct http_request *request)
{
    http_answer_problem(request, PROBLEM_PAYMENT_NOT_FOUND, "there is no payment with this id");
}

void payment_answer_unreadable(struct http_request *request, enum store_status status)
{
    http_answer_call_failed(request, status == STORE_TIMEOUT ? TR_E_TIMEOUT : TR_E_NOPROC);
}

/* A refusal that no payment is needed for. */
static void answer_outcome(struct http_request *request, enum payment_outcome outcome)
{
    char request_id[PAYMENT_REQUEST_ID_MAX + 1];
    payment_request_id(request, request_id);
    tr_msg *answer = append_answer(NULL, outcome, "", request_id);
    payment_answer_forward(request, answer);
    tr_msg_drop(answer);
}

/* ---- creation ---- */

struct creation {
    struct payment payment;
    struct idempotency_key key;
};

static void create(struct http_request *request)
{
    struct creation *creation = http_request_state(request);
    char request_id[PAYMENT_REQUEST_ID_MAX + 1];
    bool keyed = creation->key.key[0] != 0;
    if (idempotency_look(request, &creation->key) == KEY_ANSWERED) {
        return;
    }
    payment_id_make(creation->payment.id);
    payment_request_id(request, request_id);
    struct draft draft = {.has_event = true,
                          .event = {.type = EVENT_PAYMENT_CREATED, .amount = creation->payment.amount},
                          .key_step = keyed ? KEY_ENDS : KEY_STAYS,
                          .key = &creation->key,
                          .outcome = OUTCOME_CREATED,
                          .code = "",
                          .request_id = request_id};
    memcpy(draft.event.code, creation->payment.currency, sizeof(creation->payment.currency));
    struct appended appended = append_draft(&creation->payment, &draft, PAYMENT_PENDING);
    bool lost =
        appended.outcome == OUTCOME_ASK_AGAIN && idempotency_look(request, &creation->key) == KEY_ANSWERED;
    if (!lost) {
        if (appended.written) {
            http_answer_headerf(request, "Location", "/v1/payments/%s", creation->payment.id);
        }
        payment_answer_forward(request, appended.answer);
    }
    tr_msg_drop(appended.answer);
}

void payment_route_create(struct http_request *request)
{
    struct creation *creation = json_arena_take(http_request_arena(request), sizeof(*creation));
    struct json_errors errors;
    if (creation == NULL) {
        http_answer_call_failed(request, TR_E_NOMEM);
        return;
    }
    json_errors_init(&errors);
    if (!payment_read(http_request_json(request), http_request_arena(request), &creation->payment, &errors)) {
        http_answer_errors(request, &errors);
        return;
    }
    if (idempotency_read(request, &creation->key)) {
        http_request_set_state(request, creation);
        http_request_spawn(request, create);
    }
}

/* ---- commands ---- */

struct order {
    enum operation_kind kind;
    char payment_id[PAYMENT_ID_BYTES];
    bool conditional; /* If-Match or If-None-Match are there */
    struct payment_command command;
};

/* The payment's row. Returns: false when an answer was sent. */
static bool read_row(struct http_request *request, const char *id, struct payment *payment)
{
    struct payment_name name = {0};
    struct store_found found = {0};
    text_fill(name.id, sizeof(name.id), id);
    enum store_status status = store_read_rows(&(struct store_read){.fn = records_payment,
                                                                    .arg = &name,
                                                                    .arg_bytes = sizeof(name),
                                                                    .timeout_ms = PAYMENTS_READ_TIMEOUT_MS},
                                               &found);
    if (status != STORE_OK) {
        payment_answer_unreadable(request, status);
        return false;
    }
    bool exists = records_next_payment(&(struct text){.bytes = found.bytes, .count = found.count}, payment);
    if (!exists) {
        payment_answer_unknown(request);
    }
    tr_msg_drop(found.reply);
    return exists;
}

/* Existence and conditions, where the live machine does not say it all. Returns: false when an answer was sent. */
static bool precheck(struct http_request *request, struct order *order)
{
    struct payment payment;
    if (!order->conditional && machine_find(text_of(order->payment_id)) != TR_NO_PID) {
        return true;
    }
    if (!read_row(request, order->payment_id, &payment)) {
        return false;
    }
    if (order->conditional) {
        order->command.if_version = payment.version;
        return http_request_precondition(request, payment.version);
    }
    return true;
}

/* Whether a call came to an end that took nothing of it along: the machine left before its turn. */
static bool was_not_begun(tr_err err, tr_term reason)
{
    if (err == TR_E_NOPROC) {
        return true;
    }
    return err == TR_E_EXIT && (tr_same(reason, TR_ATOM(NORMAL)) || tr_same(reason, TR_ATOM(NOPROC)) ||
                                tr_is_tagged(reason, "shutdown", 2));
}

/* Asks the machine. Returns: its answer, the caller's to drop; NULL: an answer was sent. */
static tr_msg *ask(struct http_request *request, const struct order *order)
{
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        tr_msg *reply = NULL;
        tr_term reason = TR_TERM_NONE_VALUE;
        tr_pid machine = machine_find_or_start(order->payment_id);
        if (machine == TR_NO_PID) {
            break;
        }
        int64_t patience_ms =
            order->command.deadline_ms - tr_now_ms() + PAYMENTS_ANSWER_AFTER_MS + ANSWER_MARGIN_MS;
        tr_err err =
            tr_gen_statem_call(tr_to(machine), tr_msg_new(machine_command_type(order->kind), &order->command),
                               patience_ms, &reply, &reason);
        if (err == TR_OK && TR_MATCH(reply, payment_answer)->outcome != OUTCOME_ASK_AGAIN) {
            return reply;
        }
        if (err == TR_OK) {
            tr_msg_drop(reply);
            if (idempotency_look(request, &order->command.key) == KEY_ANSWERED) {
                return NULL;
            }
        } else if (!was_not_begun(err, reason)) {
            break;
        }
    }
    answer_outcome(request, OUTCOME_UNAVAILABLE);
    return NULL;
}

static void run(struct http_request *request)
{
    struct order *order = http_request_state(request);
    if (idempotency_look(request, &order->command.key) == KEY_ANSWERED || !precheck(request, order)) {
        return;
    }
    tr_msg *answer = ask(request, order);
    if (answer != NULL) {
        payment_answer_forward(request, answer);
        tr_msg_drop(answer);
    }
}

/* The order of a command's path and fields, without what its body says. NULL: an answer was sent. */
static struct order *order_of(struct http_request *request, enum operation_kind kind)
{
    struct text id = http_request_param(request, 0);
    struct order *order = json_arena_take(http_request_arena(request), sizeof(*order));
    if (order == NULL) {
        http_answer_call_failed(request, TR_E_NOMEM);
        return NULL;
    }
    *order =
        (struct order){.kind = kind,
                       .conditional = http_request_header(request, HTTP_FIELD_IF_MATCH).bytes != NULL ||
                                      http_request_header(request, HTTP_FIELD_IF_NONE_MATCH).bytes != NULL,
                       .command.deadline_ms = http_request_deadline_ms(request)};
    if (id.count < sizeof(order->payment_id)) {
        memcpy(order->payment_id, id.bytes, id.count);
    }
    payment_request_id(request, order->command.request_id);
    return order;
}

/* Takes the order on: existence is judged after the shape. */
static void start(struct http_request *request, struct order *order)
{
    if (!payment_id_fits(http_request_param(request, 0))) {
        payment_answer_unknown(request);
        return;
    }
    if (idempotency_read(request, &order->command.key)) {
        int64_t left_ms = http_request_left_ms(request);
        http_request_set_timeout(request, left_ms + PAYMENTS_ANSWER_AFTER_MS + 2 * ANSWER_MARGIN_MS);
        http_request_set_state(request, order);
        http_request_spawn(request, run);
    }
}

void payment_route_authorize(struct http_request *request)
{
    struct order *order = order_of(request, OPERATION_AUTHORIZE);
    struct json_errors errors;
    json_errors_init(&errors);
    if (order != NULL && payment_read_token(http_request_json(request), order->command.card_token, &errors)) {
        start(request, order);
    } else if (order != NULL) {
        http_answer_errors(request, &errors);
    }
}

void payment_route_refund(struct http_request *request)
{
    struct order *order = order_of(request, OPERATION_REFUND);
    struct json_errors errors;
    json_errors_init(&errors);
    if (order != NULL && payment_read_amount(http_request_json(request), &order->command.amount, &errors)) {
        start(request, order);
    } else if (order != NULL) {
        http_answer_errors(request, &errors);
    }
}

/* capture and cancel take nothing: no body, or {}. */
static void start_bare(struct http_request *request, enum operation_kind kind)
{
    static const struct json_shape nothing = {.members = NULL, .count = 0};
    struct order *order = order_of(request, kind);
    const cJSON *body = http_request_json(request);
    struct json_errors errors;
    json_errors_init(&errors);
    if (order != NULL && (body == NULL || json_read_object(body, NULL, &nothing, NULL, &errors))) {
        start(request, order);
    } else if (order != NULL) {
        http_answer_errors(request, &errors);
    }
}

void payment_route_capture(struct http_request *request)
{
    start_bare(request, OPERATION_CAPTURE);
}

void payment_route_cancel(struct http_request *request)
{
    start_bare(request, OPERATION_CANCEL);
}
