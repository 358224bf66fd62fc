#include "api/payments/gateway_http.h"

#include "api/payments/gateway_answer.h"
#include "server/client/http_client.h"
#include "server/client/upstream.h"
#include "server/json_out.h"
#include "server/metrics.h"

#include <stdio.h>
#include <string.h>

#define GUARD                 "payments.gateway"
#define GUARD_TIMEOUT_MS      1000
#define CONNECT_TIMEOUT_MS    3000
#define ANSWER_BYTES_MAX      65536
#define BODY_BYTES            1024
#define URL_BYTES             (HTTP_CLIENT_URL_BYTES_MAX + 64)
#define BACK_OFF_FIRST_MS     50
#define BACK_OFF_LAST_MS      1000
#define SENDING_AGAIN_LEFT_MS 200 /* with less time left it is not worth it */

static struct {
    const struct settings *settings;
    struct {
        metric_counter results[4], again;
        metric_histogram duration;
    } metrics;
} self;

/* ---- one exchange ---- */

/* What an attempt came to, besides the outcome. */
struct attempt {
    bool may_have_arrived; /* the gateway may know of the operation now */
    bool again;            /* sending it again may help */
    int64_t wait_ms;       /* before that; 0: as usual */
    enum breaker_outcome breaker;
};

static void say(struct gateway_outcome *out, enum gateway_result result, const char *detail)
{
    *out = (struct gateway_outcome){.result = result};
    snprintf(out->detail, sizeof(out->detail), "%s", detail);
}

static size_t write_body(const struct gateway_operation *operation, char out[BODY_BYTES])
{
    struct json_out json;
    json_out_init(&json, out, BODY_BYTES);
    json_out_open_object(&json);
    json_out_member_string(&json, "id", operation->id);
    json_out_member_string(&json, "payment", operation->payment_id);
    json_out_member_string(&json, "kind", operation_kind_text(operation->kind));
    json_out_member_int(&json, "amount", operation->amount);
    json_out_member_string(&json, "currency", operation->currency);
    if (operation->card_token[0] != 0) {
        json_out_member_string(&json, "card_token", operation->card_token);
    }
    json_out_close_object(&json);
    struct text text = json_out_text(&json);
    TR_CHECK(text.bytes != NULL);
    return text.count;
}

/* Statuses that are given before an operation is looked at, by a gateway or by whoever stands before it. All others of the 4xx may
 * come from a proxy that lost patience while the gateway went on (408, 499), or from nobody knows whom. */
static bool is_refused_at_the_door(unsigned status)
{
    static const unsigned refusals[] = {400, 401, 403, 404, 405, 413, 415, 422, 429};
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        if (refusals[i] == status) {
            return true;
        }
    }
    return false;
}

/* The gateway spoke; its status says how its body is to be taken (GATEWAY.md, answers). */
static void judge_status(const struct http_reply *reply, const struct gateway_operation *operation,
                         struct attempt *attempt, struct gateway_outcome *out)
{
    char detail[GATEWAY_TEXT_BYTES];
    struct text body = reply->body == NULL ? TEXT("")
                                           : (struct text){.bytes = (const char *)reply->body->bytes,
                                                           .count = reply->body->size};
    snprintf(detail, sizeof(detail), "status_%u", reply->status);
    attempt->breaker = reply->status >= 500 ? BREAKER_FAILURE : BREAKER_SUCCESS;
    attempt->may_have_arrived = !is_refused_at_the_door(reply->status);
    attempt->again = reply->status == 429 || reply->status >= 500;
    attempt->wait_ms = reply->retry_after_ms > 0 ? reply->retry_after_ms : 0;
    if (reply->status == 200 || reply->status == 202 || reply->status == 402 || reply->status == 409) {
        gateway_answer_read(body, operation, out);
    } else {
        say(out, attempt->may_have_arrived ? GATEWAY_UNKNOWN : GATEWAY_NEVER, detail);
    }
}

static void exchange(const struct http_call *call, const struct gateway_operation *operation,
                     struct attempt *attempt, struct gateway_outcome *out)
{
    struct http_reply reply;
    tr_err err = http_client_run(call, &reply);
    if (err != TR_OK) {
        *attempt = (struct attempt){.breaker = BREAKER_UNKNOWN};
        say(out, GATEWAY_NEVER, "not_sent");
        return;
    }
    metric_observe(self.metrics.duration, (uint64_t)reply.timings.total_us * 1000);
    if (reply.failure == HTTP_FAILURE_NONE) {
        judge_status(&reply, operation, attempt, out);
    } else {
        *attempt = (struct attempt){
            .breaker = BREAKER_FAILURE, .may_have_arrived = reply.may_have_been_sent, .again = true};
        say(out, reply.may_have_been_sent ? GATEWAY_UNKNOWN : GATEWAY_NEVER,
            http_failure_word(reply.failure));
    }
    http_reply_release(&reply);
}

/* ---- attempts ---- */

static tr_dest guard(void)
{
    return tr_to_name(tr_atom(GUARD));
}

/* Asks the guard, then the gateway. Returns: false when the guard let nothing through. */
static bool try_once(const struct http_call *call, const struct gateway_operation *operation, bool first,
                     struct attempt *attempt, struct gateway_outcome *out)
{
    struct upstream_pass pass;
    if (upstream_enter(guard(), first, GUARD_TIMEOUT_MS, &pass) != TR_OK || pass.verdict != UPSTREAM_GO) {
        *attempt = (struct attempt){.breaker = BREAKER_UNKNOWN};
        say(out, GATEWAY_NEVER, "gateway_unavailable");
        return false;
    }
    exchange(call, operation, attempt, out);
    upstream_leave(&pass, attempt->breaker);
    return true;
}

static int64_t back_off_ms(unsigned tries, const char *id)
{
    int64_t most_ms = tries > 4 ? BACK_OFF_LAST_MS : (int64_t)BACK_OFF_FIRST_MS << tries;
    int64_t dice = ((int64_t)id[3] * 31 + (int64_t)id[4] * 7 + (int64_t)tries * 17 + tr_now_ms()) % 100;
    return most_ms / 2 + most_ms * dice / 200;
}

/* Waits before the next attempt. Returns: false when there is no time or no budget for one. */
static bool wait_for_next(const struct attempt *attempt, unsigned tries, const char *id, int64_t deadline_ms)
{
    int64_t wait_ms = attempt->wait_ms > 0 ? attempt->wait_ms : back_off_ms(tries, id);
    if (!attempt->again || tr_now_ms() + wait_ms + SENDING_AGAIN_LEFT_MS > deadline_ms ||
        !upstream_may_retry(guard(), GUARD_TIMEOUT_MS)) {
        return false;
    }
    metric_count(self.metrics.again, 1);
    tr_sleep(wait_ms);
    return true;
}

/* Sends until there is an answer, or no sense in sending again. */
static void run(struct http_call *call, const struct gateway_operation *operation, int64_t deadline_ms,
                struct gateway_outcome *out)
{
    bool may_have_arrived = false;
    struct attempt attempt;
    for (unsigned tries = 0;; tries++) {
        int64_t left_ms = deadline_ms - tr_now_ms();
        call->timeout_ms = left_ms > 1 ? left_ms : 1;
        bool asked = try_once(call, operation, tries == 0, &attempt, out);
        may_have_arrived = may_have_arrived || attempt.may_have_arrived;
        bool final = out->result == GATEWAY_APPLIED || out->result == GATEWAY_DECLINED ||
                     (out->result == GATEWAY_NEVER && attempt.may_have_arrived); /* void: its own word */
        if (final || !asked || !wait_for_next(&attempt, tries, operation->id, deadline_ms)) {
            break;
        }
    }
    if (out->result == GATEWAY_NEVER && may_have_arrived && !attempt.may_have_arrived) {
        out->result = GATEWAY_UNKNOWN; /* an earlier attempt may have been taken */
    }
    metric_count(self.metrics.results[out->result], 1);
}

/* ---- the gateway ---- */

/* Fields of every request; texts live in the caller's frame. */
struct fields {
    char authorization[512];
    struct http_call_header list[4];
    size_t count;
};

static void add_field(struct fields *fields, const char *name, const char *value)
{
    fields->list[fields->count++] = (struct http_call_header){.name = name, .value = value};
}

static void fill_fields(struct fields *fields, const struct gateway_operation *operation)
{
    fields->count = 0;
    add_field(fields, "Content-Type", "application/json");
    add_field(fields, "Accept", "application/json");
    add_field(fields, "Idempotency-Key", operation->id);
    if (self.settings->gateway_token != NULL && self.settings->gateway_token[0] != 0) {
        snprintf(fields->authorization, sizeof(fields->authorization), "Bearer %s",
                 self.settings->gateway_token);
        add_field(fields, "Authorization", fields->authorization);
    }
}

static void ask(const struct gateway_operation *operation, const char *path, int64_t deadline_ms,
                struct gateway_outcome *out)
{
    char body[BODY_BYTES];
    char url[URL_BYTES];
    struct fields fields;
    fill_fields(&fields, operation);
    size_t base = strlen(self.settings->gateway);
    base -= base > 0 && self.settings->gateway[base - 1] == '/';
    snprintf(url, sizeof(url), "%.*s%s", (int)base, self.settings->gateway, path);
    struct http_call call = {.method = "POST",
                             .url = url,
                             .headers = fields.list,
                             .header_count = fields.count,
                             .body = body,
                             .body_bytes = write_body(operation, body),
                             .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                             .response_max_bytes = ANSWER_BYTES_MAX,
                             .private_allowed = true, /* the operator's own address */
                             .repeatable = true};     /* it carries its key */
    run(&call, operation, deadline_ms, out);
}

static void perform(const struct gateway_operation *operation, int64_t deadline_ms,
                    struct gateway_outcome *out)
{
    ask(operation, "/operations", deadline_ms, out);
}

static void query(const struct gateway_operation *operation, int64_t deadline_ms, struct gateway_outcome *out)
{
    char path[64];
    snprintf(path, sizeof(path), "/operations/%s/query", operation->id);
    ask(operation, path, deadline_ms, out);
    if (out->result == GATEWAY_NEVER && strcmp(out->detail, "not_applied") != 0) {
        out->result = GATEWAY_UNKNOWN; /* the query was not answered: that says nothing of the operation */
    }
}

static bool is_available(void)
{
    struct upstream_stats stats;
    if (upstream_stats_of(guard(), GUARD_TIMEOUT_MS, &stats) != TR_OK) {
        return true; /* the guard restarts: the attempt will tell */
    }
    return stats.state != BREAKER_OPEN || stats.wait_ms == 0;
}

static size_t children(tr_child_spec out[GATEWAY_CHILDREN_MAX])
{
    static const struct upstream_rules rules = {.breaker = {.open_ms = 2000, .open_max_ms = 30000},
                                                .budget = {.percent = 20, .each_second = 2, .most = 20}};
    out[0] = upstream_child_spec(tr_atom(GUARD), &rules);
    return 1;
}

const struct gateway gateway_http = {
    .name = "http", .available = is_available, .perform = perform, .query = query, .children = children};

static void metrics_init(void)
{
    static const char *const results[] = {[GATEWAY_UNKNOWN] = "unknown",
                                          [GATEWAY_APPLIED] = "applied",
                                          [GATEWAY_DECLINED] = "declined",
                                          [GATEWAY_NEVER] = "never"};
    static bool registered;
    if (registered) {
        return;
    }
    registered = true;
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        self.metrics.results[i] = metrics_counter(&(struct metric_options){
            .name = "troupe_gateway_calls_total",
            .help = "Operations and queries that the gateway was asked for, by what it said.",
            .labels = {{"result", results[i]}}});
    }
    self.metrics.again = metrics_counter(
        &(struct metric_options){.name = "troupe_gateway_retries_total",
                                 .help = "Attempts at the gateway beyond the first of a call."});
    self.metrics.duration =
        metrics_histogram(&(struct metric_options){.name = "troupe_gateway_attempt_duration_seconds",
                                                   .help = "Time of attempts at the gateway.",
                                                   .unit = METRIC_SECONDS});
}

bool gateway_http_setup(const struct settings *settings, char *why, size_t bytes)
{
    const char *problem = NULL;
    self.settings = settings;
    metrics_init();
    if (!http_client_url_ok(settings->gateway, &problem)) {
        snprintf(why, bytes, "the gateway's URL cannot be used: %s", problem);
        return false;
    }
    return true;
}
