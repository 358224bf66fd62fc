#include "api/payments/payment_json.h"

#include <string.h>

/* ---- out ---- */

static const char *operation_status_text(enum operation_status status)
{
    return status == OPERATION_IN_FLIGHT ? "in_flight" : "unknown";
}

static void write_operation(struct json_out *out, const struct payment_operation *operation)
{
    json_out_key(out, "operation");
    if (operation->kind == OPERATION_NONE) {
        json_out_null(out);
        return;
    }
    json_out_open_object(out);
    json_out_member_string(out, "id", operation->id);
    json_out_member_string(out, "kind", operation_kind_text(operation->kind));
    json_out_member_string(out, "status", operation_status_text(operation->status));
    json_out_member_time(out, "since", operation->since_ms);
    json_out_close_object(out);
}

void payment_write(struct json_out *out, const struct payment *payment)
{
    json_out_open_object(out);
    json_out_member_string(out, "id", payment->id);
    json_out_member_int(out, "amount", payment->amount);
    json_out_member_string(out, "currency", payment->currency);
    json_out_member_string(out, "state", payment_state_text(payment->state));
    json_out_member_int(out, "authorized_amount", payment->authorized_amount);
    json_out_member_int(out, "captured_amount", payment->captured_amount);
    json_out_member_int(out, "refunded_amount", payment->refunded_amount);
    write_operation(out, &payment->operation);
    json_out_member_string(out, "refunds", payment->refunds_multiple ? "multiple" : "single");
    json_out_key(out, "reference");
    if (payment->has_reference) {
        json_out_text_value(out, text_of(payment->reference));
    } else {
        json_out_null(out);
    }
    json_out_key(out, "metadata");
    json_out_raw(out, payment->metadata);
    json_out_member_int(out, "version", (int64_t)payment->version);
    json_out_member_time(out, "created_at", payment->created_at_ms);
    json_out_member_time(out, "updated_at", payment->updated_at_ms);
    json_out_close_object(out);
}

/* A member that is left out when its text is empty. */
static void write_text(struct json_out *out, const char *name, const char *text)
{
    if (text[0] != 0) {
        json_out_member_string(out, name, text);
    }
}

static void write_data(struct json_out *out, const struct payment_event *event)
{
    json_out_key(out, "data");
    json_out_open_object(out);
    if (event->kind != OPERATION_NONE) {
        json_out_member_string(out, "operation", event->operation);
        json_out_member_string(out, "kind", operation_kind_text(event->kind));
    }
    if (event->amount > 0) {
        json_out_member_int(out, "amount", event->amount);
    }
    write_text(out,
               event->type == EVENT_PAYMENT_CREATED    ? "currency"
               : event->type == EVENT_PAYMENT_DECLINED ? "decline_code"
                                                       : "reason",
               event->code);
    write_text(out, "gateway_reference", event->reference);
    json_out_close_object(out);
}

void payment_event_write(struct json_out *out, const struct payment_event *event)
{
    json_out_open_object(out);
    json_out_member_int(out, "seq", (int64_t)event->seq);
    json_out_member_string(out, "type", payment_event_text(event->type));
    json_out_member_time(out, "at", event->at_ms);
    json_out_member_string(out, "request_id", event->request_id);
    write_data(out, event);
    json_out_close_object(out);
}

/* ---- in ---- */

struct creation {
    int64_t amount;
    struct text currency, reference;
    const cJSON *metadata;
    int refunds;
};

static const char *const refund_words[] = {"single", "multiple", NULL};

static const struct json_member creation_members[] = {
    JSON_MEMBER("amount", JSON_INT, struct creation, amount, .required = true, .min = 1,
                .max = PAYMENT_AMOUNT_MAX),
    JSON_MEMBER("currency", JSON_TEXT, struct creation, currency, .required = true),
    JSON_MEMBER("reference", JSON_TEXT, struct creation, reference, .nullable = true, .min = 1,
                .max = PAYMENT_REFERENCE_MAX),
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the macro compares the sizes of pointers */
    JSON_MEMBER("metadata", JSON_OBJECT, struct creation, metadata, .nullable = true),
    JSON_MEMBER("refunds", JSON_WORD, struct creation, refunds, .words = refund_words),
};
static const struct json_shape creation_shape = JSON_SHAPE(creation_members);

static const struct json_where whole_metadata = {.name = "metadata"};

/* The metadata's text, as it is kept and given back. */
static bool copy_metadata(const cJSON *metadata, struct json_arena *arena, struct text *text,
                          struct json_errors *errors)
{
    *text = TEXT("{}");
    if (metadata == NULL) {
        return true;
    }
    char *room = json_arena_take(arena, PAYMENT_METADATA_MAX);
    if (room == NULL) {
        json_errors_add(errors, &whole_metadata, NULL, "is too large");
        return false;
    }
    struct json_out out;
    json_out_init(&out, room, PAYMENT_METADATA_MAX);
    json_out_tree(&out, metadata);
    *text = json_out_text(&out);
    if (text->bytes == NULL) {
        json_errors_add(errors, &whole_metadata, NULL, "is longer than %d bytes", PAYMENT_METADATA_MAX);
        return false;
    }
    return true;
}

bool payment_read(const cJSON *body, struct json_arena *arena, struct payment *payment,
                  struct json_errors *errors)
{
    struct creation creation = {0};
    if (!json_read_object(body, NULL, &creation_shape, &creation, errors)) {
        return false;
    }
    if (!currency_is_known(creation.currency)) {
        json_errors_add(errors, NULL, "currency", "is not an ISO 4217 currency code");
        return false;
    }
    if (creation.reference.bytes != NULL &&
        memchr(creation.reference.bytes, 0, creation.reference.count) != NULL) {
        json_errors_add(errors, NULL, "reference", "has a NUL in it");
        return false;
    }
    *payment = (struct payment){.amount = creation.amount,
                                .refunds_multiple = creation.refunds == 1,
                                .has_reference = creation.reference.bytes != NULL};
    memcpy(payment->currency, creation.currency.bytes, 3);
    if (creation.reference.bytes != NULL) {
        memcpy(payment->reference, creation.reference.bytes, creation.reference.count);
    }
    return copy_metadata(creation.metadata, arena, &payment->metadata, errors);
}

bool payment_read_token(const cJSON *body, char token[CARD_TOKEN_BYTES], struct json_errors *errors)
{
    struct authorization {
        struct text card_token;
    } read = {0};
    static const struct json_member members[] = {JSON_MEMBER("card_token", JSON_TEXT, struct authorization,
                                                             card_token, .required = true, .min = 1,
                                                             .max = CARD_TOKEN_BYTES - 1)};
    static const struct json_shape shape = JSON_SHAPE(members);
    if (!json_read_object(body, NULL, &shape, &read, errors)) {
        return false;
    }
    if (memchr(read.card_token.bytes, 0, read.card_token.count) != NULL) {
        json_errors_add(errors, NULL, "card_token", "has a NUL in it");
        return false;
    }
    memcpy(token, read.card_token.bytes, read.card_token.count);
    token[read.card_token.count] = 0;
    return true;
}

bool payment_read_amount(const cJSON *body, int64_t *amount, struct json_errors *errors)
{
    struct refund {
        int64_t amount;
    } read = {0};
    static const struct json_member members[] = {
        JSON_MEMBER("amount", JSON_INT, struct refund, amount, .required = true)};
    static const struct json_shape shape = JSON_SHAPE(members);
    if (!json_read_object(body, NULL, &shape, &read, errors)) {
        return false;
    }
    *amount = read.amount;
    return true;
}
