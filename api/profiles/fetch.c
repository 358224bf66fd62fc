/* One source's part for one user. */
#include "api/profiles/fetch.h"

#include <stdio.h>
#include <string.h>

#include "server/client/http_client.h"
#include "server/client/upstream.h"
#include "server/json.h"

#define FAIR_MS     1000 /* a source that had less is not to blame for being late */
#define BACKOFF_MS  20
#define ARENA_MAX   ((size_t)8 << 20)
#define TOKEN_BYTES 600

struct attempt {
    enum source_status status;
    const char *why;
    bool may_mend; /* another attempt might go better */
};

static int64_t left_ms(const fetch_order *order)
{
    int64_t left = order->deadline_ms - tr_now_ms();
    return left < 0 ? 0 : left;
}

static bool is_json(const tr_blob *body)
{
    struct json_arena arena;
    cJSON *root = NULL;
    struct json_error error;
    if (body == NULL) {
        return false;
    }
    struct json_limits limits = json_limits_default;
    limits.depth_max = JSON_DEPTH_LIMIT - 2; /* it stands inside the profile */
    json_arena_init(&arena, NULL, 0, ARENA_MAX);
    bool is =
        json_parse(&arena, (struct text){(const char *)body->bytes, body->size}, &limits, &root, &error);
    json_arena_fini(&arena);
    return is;
}

static struct attempt judge(const struct http_reply *reply)
{
    if (reply->failure == HTTP_FAILURE_TIMEOUT) {
        return (struct attempt){SOURCE_TIMEOUT, "timeout", false};
    }
    if (reply->failure != HTTP_FAILURE_NONE) {
        bool may_mend = reply->failure == HTTP_FAILURE_CONNECT || reply->failure == HTTP_FAILURE_LOST ||
                        reply->failure == HTTP_FAILURE_RESOLVE;
        return (struct attempt){SOURCE_ERROR, http_failure_word(reply->failure), may_mend};
    }
    if (reply->status < 200 || reply->status > 299) {
        return (struct attempt){SOURCE_ERROR, "status", reply->status >= 502 && reply->status <= 504};
    }
    return is_json(reply->body) ? (struct attempt){SOURCE_OK, NULL, false}
                                : (struct attempt){SOURCE_ERROR, "not_json", false};
}

/* What an attempt says about the source's health. One that answers as it should is well, whatever it says; and a caller
 * in a hurry must not open the breaker for the others. */
static enum breaker_outcome outcome_of(const struct attempt *attempt, const struct http_reply *reply,
                                       int64_t granted_ms)
{
    if (attempt->status == SOURCE_TIMEOUT && granted_ms < FAIR_MS) {
        return BREAKER_UNKNOWN;
    }
    bool client_error = reply->failure == HTTP_FAILURE_NONE && reply->status >= 400 && reply->status < 500;
    return attempt->status == SOURCE_OK || client_error ? BREAKER_SUCCESS : BREAKER_FAILURE;
}

static tr_err run(const fetch_order *order, const struct source *source, struct http_reply *reply)
{
    char *url = tr_alloc(SOURCE_URL_BYTES);
    char bearer[TOKEN_BYTES];
    const char *token = source_token(source);
    struct http_call_header header = {"Authorization", bearer};
    snprintf(bearer, sizeof(bearer), "Bearer %s", token == NULL ? "" : token);
    if (!source_url(source, (struct text){order->user, order->user_bytes}, url, SOURCE_URL_BYTES)) {
        tr_free(url);
        return TR_E_BADARG;
    }
    tr_err err = http_client_run(&(struct http_call){.url = url,
                                                     .headers = &header,
                                                     .header_count = token == NULL ? 0 : 1,
                                                     .timeout_ms = left_ms(order) < 1 ? 1 : left_ms(order),
                                                     .response_max_bytes = FETCH_BODY_BYTES_MAX,
                                                     .private_allowed = source->private_allowed,
                                                     .unix_path = source->unix_path},
                                 reply);
    tr_free(url);
    return err;
}

static struct attempt try_once(const fetch_order *order, const struct source *source, bool first,
                               struct http_reply *reply)
{
    struct upstream_pass pass;
    tr_err err = upstream_enter(tr_to_name(source->guard), first, left_ms(order), &pass);
    if (err != TR_OK) {
        return err == TR_E_TIMEOUT ? (struct attempt){SOURCE_TIMEOUT, "timeout", false}
                                   : (struct attempt){SOURCE_ERROR, "guard_down", true};
    }
    if (pass.verdict != UPSTREAM_GO) {
        return (struct attempt){SOURCE_ERROR,
                                pass.verdict == UPSTREAM_OPEN ? "breaker_open" : "bulkhead_full", false};
    }
    int64_t granted_ms = left_ms(order);
    err = run(order, source, reply);
    if (err != TR_OK) {
        upstream_leave(&pass, BREAKER_UNKNOWN);
        return (struct attempt){SOURCE_ERROR, "client_full", false};
    }
    struct attempt attempt = judge(reply);
    upstream_leave(&pass, outcome_of(&attempt, reply, granted_ms));
    return attempt;
}

tr_msg *fetch_source(const fetch_order *order)
{
    struct source *source = &profile_sources.items[order->source];
    int64_t began_ms = tr_now_ms();
    struct http_reply reply = {.held = NULL};
    struct attempt attempt = {SOURCE_ERROR, "none", true};
    uint32_t attempts = 0;
    for (;;) {
        http_reply_release(&reply);
        attempt = try_once(order, source, attempts == 0, &reply);
        attempts++;
        int64_t pause_ms = BACKOFF_MS << attempts;
        if (!attempt.may_mend || attempts == FETCH_TRIES || left_ms(order) <= pause_ms ||
            !upstream_may_retry(tr_to_name(source->guard), left_ms(order))) {
            break;
        }
        tr_sleep(pause_ms);
    }
    return TR_MSG(fetch_result, .status = attempt.status, .why = attempt.why,
                  .elapsed_ms = tr_now_ms() - began_ms, .attempts = attempts,
                  .body = attempt.status == SOURCE_OK ? reply.body : NULL);
}
