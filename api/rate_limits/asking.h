/* asking: one decision for one request: from the key to the limiter process and back, for checks, looks and gates alike.
 *
 *     rl_ask_start -> policy found in the snapshot -> key hashed -> its partition asked -> rl_ask.answer
 *                                                            limiter full: other partitions are asked for room -> asked again
 *
 * Invariants
 *  1. One message out, one back, in the usual case; nothing is allocated but the request's own state.
 *  2. A partition that is not there, dies or does not answer by the request's deadline: 503 and Retry-After, nothing else.
 *  3. `answer` sees every status but RL_UNKNOWN_RATE (404) and RL_LIMITER_FULL after a futile search for room (503).
 */
#ifndef API_RATE_LIMITS_ASKING_H
#define API_RATE_LIMITS_ASKING_H

#include "api/rate_limits/messages.h"
#include "api/rate_limits/service.h"
#include "server/http/request.h"

typedef struct rl_ask {
    struct text policy;
    struct text key;
    uint64_t cost; /* 0: the policy's default */
    enum rl_how how;
    unsigned pass_status; /* of a gate */
    unsigned deny_status;
    void (*answer)(struct http_request *request, const struct rl_ask *ask, const rl_decided *decided);

    /* filled in on the way */
    rl_hash hash;
    uint32_t policy_id;
    uint32_t partition;
    uint32_t room_asked; /* partitions asked for room so far */
    uint64_t room_in_ns; /* soonest that any of them knows; 0: one does not know */
} rl_ask;

/** Memory for an ask that lives as long as the request, zeroed; NULL: answered with 503. */
rl_ask *rl_ask_new(struct http_request *request);

/** Asks. Answers 404 when there is no such policy.  Context: handler. */
void rl_ask_start(struct http_request *request, rl_ask *ask);

/** 503 unavailable with Retry-After: 1. A timeout function, too. */
void rl_answer_unavailable(struct http_request *request);
void rl_answer_not_reached(struct http_request *request, tr_term reason);
void rl_answer_no_policy(struct http_request *request, struct text policy);

/** Whether a key may be one; otherwise notes why. */
bool rl_key_fits(struct text key, struct json_errors *errors);

#endif
