/* What reads payments over HTTP: one, a list, the events, what is open, and the machine's diagram. */
#include "api/payments/payment_json.h"
#include "api/payments/payment_routes.h"
#include "api/payments/service.h"
#include "server/http/path.h"
#include "server/timestamp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MAX_MS       60000
#define WAIT_MARGIN_MS    2000
#define DIAGRAM_BYTES_MAX 32768

/* Notes an error of a parameter that is there and does not fit. */
static void read_query_number(struct http_request *request, const char *name, int64_t max, int64_t *out,
                              struct json_errors *errors)
{
    struct text text = http_request_query(request, name);
    if (text.bytes != NULL && !http_read_int(text, 0, max, out)) {
        json_errors_add_query(errors, text_of(name), "is not a whole number in its range");
    }
}

static bool answer_errors(struct http_request *request, const struct json_errors *errors)
{
    if (errors->count > 0) {
        http_answer_errors(request, errors);
        return true;
    }
    return false;
}

/* ---- one ---- */

struct look {
    struct payment_name name;
    int64_t wait_ms;
    int64_t version;
    int64_t deadline_ms;
};

/* Waits for a newer version at the machine. Returns: whether that answered. */
static bool wait_for_newer(struct http_request *request, const struct look *look)
{
    tr_pid machine = machine_find_or_start(look->name.id);
    tr_msg *reply = NULL;
    if (machine == TR_NO_PID) {
        return false;
    }
    tr_err err = tr_gen_statem_call(
        tr_to(machine),
        TR_MSG(payment_watch, .version = (uint64_t)look->version, .deadline_ms = look->deadline_ms),
        look->wait_ms + WAIT_MARGIN_MS, &reply, NULL);
    if (err == TR_OK) {
        payment_answer_forward(request, reply);
        tr_msg_drop(reply);
    }
    return err == TR_OK;
}

static void answer_payment(struct http_request *request, const struct payment *payment)
{
    if (http_request_precondition(request, payment->version)) {
        http_answer_etag(request, payment->version);
        payment_write(http_answer_out(request), payment);
        http_answer_json(request, 200);
    }
}

static void look(struct http_request *request)
{
    const struct look *look = http_request_state(request);
    struct store_found found = {0};
    struct payment payment;
    struct store_read read = {.fn = records_payment,
                              .arg = &look->name,
                              .arg_bytes = sizeof(look->name),
                              .timeout_ms = PAYMENTS_READ_TIMEOUT_MS};
    enum store_status status = store_read_rows(&read, &found);
    if (status != STORE_OK) {
        payment_answer_unreadable(request, status);
        return;
    }
    if (!records_next_payment(&(struct text){.bytes = found.bytes, .count = found.count}, &payment)) {
        payment_answer_unknown(request);
    } else if (look->wait_ms == 0 || (look->version > 0 && (uint64_t)look->version < payment.version) ||
               !wait_for_newer(request, look)) {
        answer_payment(request, &payment);
    }
    tr_msg_drop(found.reply);
}

void payment_route_get(struct http_request *request)
{
    struct text id = http_request_param(request, 0);
    struct look *look_up = json_arena_take(http_request_arena(request), sizeof(*look_up));
    struct json_errors errors;
    json_errors_init(&errors);
    if (look_up == NULL) {
        http_answer_call_failed(request, TR_E_NOMEM);
        return;
    }
    *look_up = (struct look){0};
    read_query_number(request, "wait_ms", WAIT_MAX_MS, &look_up->wait_ms, &errors);
    read_query_number(request, "version", INT64_MAX, &look_up->version, &errors);
    if (answer_errors(request, &errors)) {
        return;
    }
    if (!payment_id_fits(id)) {
        payment_answer_unknown(request);
        return;
    }
    memcpy(look_up->name.id, id.bytes, id.count);
    look_up->deadline_ms = tr_now_ms() + look_up->wait_ms;
    if (look_up->wait_ms > 0) {
        http_request_set_timeout(request, look_up->wait_ms + http_request_left_ms(request));
    }
    http_request_set_state(request, look_up);
    http_request_spawn(request, look);
}

/* ---- lists ---- */

/* A cursor is "<created_ms>.<id>". */
static bool read_cursor(struct text cursor, struct payment_query *query)
{
    const char *dot = memchr(cursor.bytes, '.', cursor.count);
    if (dot == NULL) {
        return false;
    }
    size_t digits = (size_t)(dot - cursor.bytes);
    struct text id = {.bytes = dot + 1, .count = cursor.count - digits - 1};
    if (!payment_id_fits(id) || !http_read_int((struct text){.bytes = cursor.bytes, .count = digits}, 0,
                                               INT64_MAX, &query->cursor_ms)) {
        return false;
    }
    memcpy(query->cursor_id, id.bytes, id.count);
    query->cursor_id[id.count] = 0;
    return true;
}

static void read_filters(struct http_request *request, struct payment_query *query,
                         struct json_errors *errors)
{
    struct text state = http_request_query(request, "state");
    struct text reference = http_request_query(request, "reference");
    struct text after = http_request_query(request, "created_after");
    enum payment_state wanted;
    query->state = -1;
    query->after_ms = INT64_MIN;
    if (state.bytes != NULL && !payment_state_of(state, &wanted)) {
        json_errors_add_query(errors, TEXT("state"), "is not a payment's state");
    } else if (state.bytes != NULL) {
        query->state = (int)wanted;
    }
    if (reference.bytes != NULL && (reference.count == 0 || reference.count > PAYMENT_REFERENCE_MAX)) {
        json_errors_add_query(errors, TEXT("reference"), "is empty or too long");
    } else if (reference.bytes != NULL) {
        memcpy(query->reference, reference.bytes, reference.count);
        query->reference[reference.count] = 0;
    }
    if (after.bytes != NULL && !timestamp_parse(after, &query->after_ms)) {
        json_errors_add_query(errors, TEXT("created_after"), "is not an RFC 3339 time");
    }
}

static void list(struct http_request *request)
{
    const struct payment_query *query = http_request_state(request);
    struct store_found found = {0};
    struct payment payment;
    char next[64] = "";
    struct store_read read = {.fn = records_list,
                              .arg = query,
                              .arg_bytes = sizeof(*query),
                              .timeout_ms = PAYMENTS_READ_TIMEOUT_MS};
    enum store_status status = store_read_rows(&read, &found);
    if (status != STORE_OK) {
        payment_answer_unreadable(request, status);
        return;
    }
    struct text rows = {.bytes = found.bytes, .count = found.count};
    struct json_out *out = http_answer_out(request);
    json_out_open_object(out);
    json_out_key(out, "items");
    json_out_open_array(out);
    for (int64_t i = 0; i < query->limit && records_next_payment(&rows, &payment); i++) {
        payment_write(out, &payment);
        snprintf(next, sizeof(next), "%lld.%s", (long long)payment.created_at_ms, payment.id);
    }
    json_out_close_array(out);
    http_answer_page(request, rows.count > 0 ? text_of(next) : (struct text){0});
    json_out_close_object(out);
    http_answer_json(request, 200);
    tr_msg_drop(found.reply);
}

void payment_route_list(struct http_request *request)
{
    struct payment_query *query = json_arena_take(http_request_arena(request), sizeof(*query));
    struct json_errors errors;
    struct text cursor;
    json_errors_init(&errors);
    if (query == NULL) {
        http_answer_call_failed(request, TR_E_NOMEM);
        return;
    }
    *query = (struct payment_query){0};
    if (!http_request_page(request, &query->limit, &cursor)) {
        return;
    }
    if (cursor.bytes != NULL && !read_cursor(cursor, query)) {
        json_errors_add_query(&errors, TEXT("cursor"), "is not a cursor that this list gave out");
    }
    read_filters(request, query, &errors);
    if (!answer_errors(request, &errors)) {
        http_request_set_state(request, query);
        http_request_spawn(request, list);
    }
}

/* ---- events ---- */

static void list_events(struct http_request *request)
{
    const struct event_query *query = http_request_state(request);
    struct store_found found = {0};
    int64_t exists = 0;
    char next[32] = "";
    struct store_read read = {.fn = records_events,
                              .arg = query,
                              .arg_bytes = sizeof(*query),
                              .result = &exists,
                              .result_bytes = sizeof(exists),
                              .timeout_ms = PAYMENTS_READ_TIMEOUT_MS};
    enum store_status status = store_read_rows(&read, &found);
    if (status != STORE_OK) {
        payment_answer_unreadable(request, status);
        return;
    }
    if (exists == 0) {
        payment_answer_unknown(request);
        tr_msg_drop(found.reply);
        return;
    }
    size_t count = found.count / sizeof(struct payment_event);
    struct json_out *out = http_answer_out(request);
    json_out_open_object(out);
    json_out_key(out, "items");
    json_out_open_array(out);
    for (size_t i = 0; i < count && i < (size_t)query->limit; i++) {
        struct payment_event event;
        memcpy(&event, found.bytes + i * sizeof(event), sizeof(event));
        payment_event_write(out, &event);
        snprintf(next, sizeof(next), "%llu", (unsigned long long)event.seq);
    }
    json_out_close_array(out);
    http_answer_page(request, count > (size_t)query->limit ? text_of(next) : (struct text){0});
    json_out_close_object(out);
    http_answer_json(request, 200);
    tr_msg_drop(found.reply);
}

void payment_route_events(struct http_request *request)
{
    struct text id = http_request_param(request, 0);
    struct event_query *query = json_arena_take(http_request_arena(request), sizeof(*query));
    struct json_errors errors;
    struct text cursor;
    int64_t after = 0;
    json_errors_init(&errors);
    if (query == NULL) {
        http_answer_call_failed(request, TR_E_NOMEM);
        return;
    }
    *query = (struct event_query){0};
    if (!http_request_page(request, &query->limit, &cursor)) {
        return;
    }
    if (cursor.bytes != NULL && !http_read_int(cursor, 0, INT64_MAX, &after)) {
        json_errors_add_query(&errors, TEXT("cursor"), "is not a cursor that this list gave out");
    }
    if (answer_errors(request, &errors)) {
        return;
    }
    if (!payment_id_fits(id)) {
        payment_answer_unknown(request);
        return;
    }
    memcpy(query->id, id.bytes, id.count);
    query->after = (uint64_t)after;
    http_request_set_state(request, query);
    http_request_spawn(request, list_events);
}

/* ---- what is open ---- */

static void write_open(struct json_out *out, const struct payment *payment)
{
    json_out_open_object(out);
    json_out_member_string(out, "payment", payment->id);
    json_out_member_string(out, "operation", payment->operation.id);
    json_out_member_string(out, "kind", operation_kind_text(payment->operation.kind));
    json_out_member_int(out, "amount", payment->operation.amount);
    json_out_member_string(out, "currency", payment->currency);
    json_out_member_time(out, "since", payment->operation.since_ms);
    int64_t age_ms = payments_wall_ms() - payment->operation.since_ms;
    json_out_member_int(out, "age_ms", age_ms > 0 ? age_ms : 0);
    json_out_close_object(out);
}

static void list_open(struct http_request *request)
{
    const struct open_query *query = http_request_state(request);
    struct store_found found = {0};
    struct payment payment = {.id = ""};
    struct store_read read = {.fn = records_open,
                              .arg = query,
                              .arg_bytes = sizeof(*query),
                              .timeout_ms = PAYMENTS_READ_TIMEOUT_MS};
    enum store_status status = store_read_rows(&read, &found);
    if (status != STORE_OK) {
        payment_answer_unreadable(request, status);
        return;
    }
    struct text rows = {.bytes = found.bytes, .count = found.count};
    struct json_out *out = http_answer_out(request);
    json_out_open_object(out);
    json_out_key(out, "items");
    json_out_open_array(out);
    for (int64_t i = 0; i < query->limit && records_next_payment(&rows, &payment); i++) {
        write_open(out, &payment);
    }
    json_out_close_array(out);
    http_answer_page(request, rows.count > 0 ? text_of(payment.id) : (struct text){0});
    json_out_close_object(out);
    http_answer_json(request, 200);
    tr_msg_drop(found.reply);
}

void payment_route_reconciliation(struct http_request *request)
{
    struct open_query *query = json_arena_take(http_request_arena(request), sizeof(*query));
    struct text cursor;
    struct json_errors errors;
    json_errors_init(&errors);
    if (query == NULL) {
        http_answer_call_failed(request, TR_E_NOMEM);
        return;
    }
    *query = (struct open_query){.unknown_only = true};
    if (!http_request_page(request, &query->limit, &cursor)) {
        return;
    }
    if (cursor.bytes != NULL && !payment_id_fits(cursor)) {
        json_errors_add_query(&errors, TEXT("cursor"), "is not a cursor that this list gave out");
    } else if (cursor.bytes != NULL) {
        memcpy(query->after, cursor.bytes, cursor.count);
    }
    if (!answer_errors(request, &errors)) {
        http_request_set_state(request, query);
        http_request_spawn(request, list_open);
    }
}

/* ---- the machine's diagram ---- */

static const struct format {
    const char *name;
    tr_diagram diagram;
    const char *media_type;
} formats[] = {
    {"mermaid", TR_DIAGRAM_MERMAID, "text/vnd.mermaid; charset=utf-8"},
    {"dot", TR_DIAGRAM_DOT, "text/vnd.graphviz; charset=utf-8"},
    {"json", TR_DIAGRAM_JSON, "application/json"},
};

/* ?format=, mermaid by default. NULL: 422 was sent. */
static const struct format *format_of(struct http_request *request)
{
    struct text name = http_request_query(request, "format");
    struct json_errors errors;
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (name.bytes == NULL || text_equal(name, text_of(formats[i].name))) {
            return &formats[i];
        }
    }
    json_errors_init(&errors);
    json_errors_add_query(&errors, TEXT("format"), "is none of mermaid, dot, json");
    http_answer_errors(request, &errors);
    return NULL;
}

static void draw(struct http_request *request, const struct format *format, const char *current)
{
    char *text = malloc(DIAGRAM_BYTES_MAX);
    size_t bytes =
        text == NULL ? 0
                     : tr_statem_diagram(machine_table(), format->diagram, current, text, DIAGRAM_BYTES_MAX);
    if (bytes == 0 || bytes >= DIAGRAM_BYTES_MAX) {
        free(text);
        http_answer_call_failed(request, TR_E_NOMEM);
        return;
    }
    http_answer_take(request, 200, format->media_type, text, bytes);
}

void payment_route_table(struct http_request *request)
{
    const struct format *format = format_of(request);
    if (format != NULL) {
        draw(request, format, NULL);
    }
}

struct drawing {
    struct payment_name name;
    const struct format *format;
};

static void draw_payment(struct http_request *request)
{
    const struct drawing *drawing = http_request_state(request);
    struct store_found found = {0};
    struct payment payment;
    struct store_read read = {.fn = records_payment,
                              .arg = &drawing->name,
                              .arg_bytes = sizeof(drawing->name),
                              .timeout_ms = PAYMENTS_READ_TIMEOUT_MS};
    enum store_status status = store_read_rows(&read, &found);
    if (status != STORE_OK) {
        payment_answer_unreadable(request, status);
        return;
    }
    if (records_next_payment(&(struct text){.bytes = found.bytes, .count = found.count}, &payment)) {
        draw(request, drawing->format, payment_state_text(payment.state));
    } else {
        payment_answer_unknown(request);
    }
    tr_msg_drop(found.reply);
}

void payment_route_diagram(struct http_request *request)
{
    struct text id = http_request_param(request, 0);
    const struct format *format = format_of(request);
    struct drawing *drawing = json_arena_take(http_request_arena(request), sizeof(*drawing));
    if (format == NULL) {
        return;
    }
    if (!payment_id_fits(id) || drawing == NULL) {
        payment_answer_unknown(request);
        return;
    }
    *drawing = (struct drawing){.format = format};
    memcpy(drawing->name.id, id.bytes, id.count);
    http_request_set_state(request, drawing);
    http_request_spawn(request, draw_payment);
}
