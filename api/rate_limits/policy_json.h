/* policy_json: policies and overrides as JSON, in and out. */
#ifndef API_RATE_LIMITS_POLICY_JSON_H
#define API_RATE_LIMITS_POLICY_JSON_H

#include "api/rate_limits/policies.h"
#include "server/http/request.h"

#define RL_EXPIRES_IN_MS_MAX RL_EVERY_MS_MAX

/** Reads a policy's body; `name` is the path's, which the body may repeat.
 *  Returns: false with errors added. */
bool rl_policy_read(const cJSON *body, struct text name, rl_policy *out, struct json_errors *errors);

/** Reads an override's body. A mode that is not given is `mode`. *expires_in_ms 0: never. */
bool rl_override_read(const cJSON *body, enum rl_mode mode, rl_policy *out, int64_t *expires_in_ms,
                      struct json_errors *errors);

/** Writes the document of a policy. */
void rl_policy_write(struct json_out *out, const rl_policy_entry *entry);

/** Writes the document of an override. */
void rl_override_write(struct json_out *out, struct text policy, const rl_override_row *row);

#endif
