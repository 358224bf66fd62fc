#include "api/webhooks/webhook_json.h"

#include "server/client/http_client.h"

#include <inttypes.h>

struct webhook_body {
    struct text url;
    const cJSON *events;
    struct text secret;
    bool rotate_secret;
};

static const struct json_member members[] = {
    JSON_MEMBER("url", JSON_TEXT, struct webhook_body, url, .required = true),
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): the macro compares the sizes of pointers */
    JSON_MEMBER("events", JSON_ARRAY, struct webhook_body, events, .required = true, .min = 1,
                .max = WEBHOOK_PATTERNS_MAX),
    JSON_MEMBER("secret", JSON_TEXT, struct webhook_body, secret),
    JSON_MEMBER("rotate_secret", JSON_BOOL, struct webhook_body, rotate_secret),
};
static const struct json_shape shape = JSON_SHAPE(members);

/* ---- reading ---- */

static bool read_url(struct text url, const struct webhook_rules *rules, struct webhook *out,
                     struct json_errors *errors)
{
    const char *why = NULL;
    if ((int64_t)url.count > rules->url_max) {
        json_errors_add(errors, NULL, "url", "must have at most %" PRId64 " bytes", rules->url_max);
        return false;
    }
    memcpy(out->url, url.bytes, url.count);
    out->url[url.count] = '\0';
    if (!http_client_url_ok(out->url, &why)) {
        json_errors_add(errors, NULL, "url", "%s", why);
        return false;
    }
    if (!rules->private_allowed && webhook_url_is_private(out->url)) {
        json_errors_add(errors, NULL, "url", "leads to a private address");
        return false;
    }
    return true;
}

static bool read_events(const cJSON *events, struct webhook *out, struct json_errors *errors)
{
    const struct json_where where = {.name = "events"};
    char *at = out->events;
    size_t index = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, events)
    {
        struct text pattern = cJSON_IsString(item) ? json_string(item) : (struct text){0};
        if (pattern.bytes == NULL || !webhook_pattern_fits(pattern)) {
            const struct json_where here = {.parent = &where, .index = index};
            json_errors_add(errors, &here, NULL,
                            "must be a type of event, its beginning with \".*\", or \"*\"");
            return false;
        }
        at = text_put(index == 0 ? at : text_put(at, TEXT(" ")), pattern);
        index++;
    }
    *at = '\0';
    return true;
}

static bool read_secret(const struct webhook_body *body, struct webhook_put *put, struct json_errors *errors)
{
    put->new_secret = body->secret.bytes != NULL || body->rotate_secret;
    if (body->secret.bytes == NULL) {
        return true;
    }
    if (body->rotate_secret) {
        json_errors_add(errors, NULL, "rotate_secret", "does not go with a secret of your own");
        return false;
    }
    if (!webhook_secret_read(body->secret, &put->secret)) {
        json_errors_add(errors, NULL, "secret", "must be \"whsec_\" and the base64 of %d to %d bytes",
                        WEBHOOK_SECRET_MIN, WEBHOOK_SECRET_MAX);
        return false;
    }
    return true;
}

bool webhook_read(const cJSON *body, const struct webhook_rules *rules, struct webhook_put *put,
                  struct json_errors *errors)
{
    struct webhook_body given = {.rotate_secret = false};
    bool fits = json_read_object(body, NULL, &shape, &given, errors);
    if (given.url.bytes != NULL) {
        fits = read_url(given.url, rules, &put->webhook, errors) && fits;
    }
    if (given.events != NULL) {
        fits = read_events(given.events, &put->webhook, errors) && fits;
    }
    return read_secret(&given, put, errors) && fits;
}

/* ---- writing ---- */

static void write_events(struct json_out *out, const char *events)
{
    TR_CHECK(events != NULL);
    json_out_key(out, "events");
    json_out_open_array(out);
    while (*events != '\0') {
        size_t length = strcspn(events, " ");
        json_out_text_value(out, (struct text){events, length});
        events += length + (events[length] == ' ');
    }
    json_out_close_array(out);
}

/* A time that may not be there. */
static void write_time(struct json_out *out, const char *name, int64_t at_ms)
{
    if (at_ms == 0) {
        json_out_member_null(out, name);
    } else {
        json_out_member_time(out, name, at_ms);
    }
}

void webhook_write(struct json_out *out, const struct webhook *webhook, const struct webhook_secret *secret)
{
    json_out_open_object(out);
    json_out_member_string(out, "name", webhook->name);
    json_out_member_string(out, "url", webhook->url);
    write_events(out, webhook->events);
    if (secret != NULL) {
        char text[WEBHOOK_SECRET_TEXT_BYTES];
        webhook_secret_write(secret, text);
        json_out_member_string(out, "secret", text);
        digest_wipe(text, sizeof(text));
    }
    json_out_member_string(out, "state", webhook_state_text(webhook->state));
    write_time(out, "disabled_at", webhook->disabled_at_ms);
    write_time(out, "failing_since", webhook->failing_since_ms);
    json_out_member_int(out, "waiting", webhook->waiting);
    json_out_member_int(out, "dropped", webhook->dropped);
    json_out_member_int(out, "version", (int64_t)webhook->version);
    json_out_member_time(out, "created_at", webhook->created_at_ms);
    json_out_member_time(out, "updated_at", webhook->updated_at_ms);
    json_out_close_object(out);
}

void webhook_delivery_write(struct json_out *out, const struct webhook_delivery *delivery)
{
    char id[WEBHOOK_MESSAGE_MAX];
    webhook_message_id(delivery->subject, delivery->sequence, id);
    json_out_open_object(out);
    json_out_member_string(out, "id", id);
    json_out_member_string(out, "type", delivery->type);
    json_out_member_string(out, "subject", delivery->subject);
    json_out_member_int(out, "attempt", delivery->attempt);
    json_out_member_time(out, "at", delivery->at_ms);
    json_out_member_int(out, "duration_ms", delivery->duration_ms);
    json_out_member_string(out, "outcome", webhook_outcome_text(delivery->outcome));
    if (delivery->status == 0) {
        json_out_member_null(out, "status");
        json_out_member_string(out, "failure", delivery->failure);
    } else {
        json_out_member_int(out, "status", delivery->status);
        json_out_member_null(out, "failure");
    }
    write_time(out, "next_attempt_at", delivery->outcome == WEBHOOK_OUTCOME_FAILED ? delivery->due_at_ms : 0);
    json_out_close_object(out);
}
