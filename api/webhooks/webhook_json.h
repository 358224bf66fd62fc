/* webhook_json: webhooks and their log as JSON, and the body of a PUT. */
#ifndef TROUPE_API_WEBHOOKS_WEBHOOK_JSON_H
#define TROUPE_API_WEBHOOKS_WEBHOOK_JSON_H

#include "api/webhooks/records.h"
#include "server/json_out.h"
#include "server/json_shape.h"

/* What a PUT may say of a URL. */
struct webhook_rules {
    int64_t url_max;
    bool private_allowed;
};

/** Reads the body of a PUT: url and events into put->webhook; a secret that was given, or asked for, into put->secret with
 *  new_secret set.   Returns: false, with errors, when it does not fit. */
bool webhook_read(const cJSON *body, const struct webhook_rules *rules, struct webhook_put *put,
                  struct json_errors *errors);

/** Writes a webhook as an object. secret: shown when it is not NULL. */
void webhook_write(struct json_out *out, const struct webhook *webhook, const struct webhook_secret *secret);

/** Writes an attempt of the log as an object. */
void webhook_delivery_write(struct json_out *out, const struct webhook_delivery *delivery);

#endif
