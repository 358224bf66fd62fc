/* Outgoing HTTP for processes: what a process does, and the client's life. */
#include "server/client/http_client.h"

#include <stdlib.h>
#include <string.h>

#include "server/client/transfer.h"

#define GRACE_MS             2000 /* behind libcurl's own time-out, for a core that is late */
#define CONNECTIONS_MAX      1024
#define CONNECTIONS_PER_HOST 512
#define TRANSFERS_MAX        10000

struct http_client http_client_the;

static const struct {
    const char *word, *text;
} failures[] = {
#define HTTP_FAILURE_ROW(name, word_, text_) [HTTP_FAILURE_##name] = {word_, text_},
    HTTP_FAILURES(HTTP_FAILURE_ROW)
#undef HTTP_FAILURE_ROW
};

const char *http_failure_word(enum http_failure failure)
{
    return failures[failure].word;
}

const char *http_failure_text(enum http_failure failure)
{
    return failures[failure].text;
}

/* ---- a process's call ---- */

static void time_is_up(struct http_reply *reply)
{
    *reply = (struct http_reply){
        .failure = HTTP_FAILURE_TIMEOUT, .may_have_been_sent = true, .retry_after_ms = -1};
}

static bool take_place(struct client_core *core)
{
    int64_t now = __atomic_add_fetch(&core->transfers, 1, __ATOMIC_RELAXED);
    if (now <= (int64_t)http_client_the.options.transfers_max) {
        return true;
    }
    __atomic_sub_fetch(&core->transfers, 1, __ATOMIC_RELAXED);
    return false;
}

static void await_reply(struct transfer *transfer, tr_ref alias, struct http_reply *reply)
{
    tr_msg *msg = tr_receive_ref(alias, transfer->timeout_ms + GRACE_MS);
    tr_resource_remove(&transfer->resource);
    const http_client_done *done = TR_MATCH(msg, http_client_done);
    if (done != NULL) {
        *reply = done->reply;
        reply->held = msg;
        transfer_drop(transfer);
    } else {
        (void)tr_unalias(alias);
        client_core_cancel(transfer);
        time_is_up(reply);
    }
}

tr_err http_client_run(const struct http_call *call, struct http_reply *reply)
{
    struct client_core *core = client_core_here();
    if (core == NULL) {
        return TR_E_STATE;
    }
    tr_ref alias = tr_alias(TR_ALIAS_REPLY); /* may end this process: nothing is held yet */
    struct transfer *transfer = NULL;
    tr_err err = take_place(core) ? TR_OK : TR_E_LIMIT;
    if (err == TR_OK) {
        err = transfer_create(call, core, &transfer);
        if (err != TR_OK) {
            __atomic_sub_fetch(&core->transfers, 1, __ATOMIC_RELAXED);
        }
    }
    if (err != TR_OK) {
        (void)tr_unalias(alias);
        return err;
    }
    transfer->from = (tr_from){alias};
    tr_resource_add(&transfer->resource);
    client_core_begin(transfer);
    await_reply(transfer, alias, reply);
    return TR_OK;
}

void http_reply_release(struct http_reply *reply)
{
    if (reply->held != NULL) {
        tr_msg_drop(reply->held);
    }
    reply->held = NULL;
    reply->body = NULL;
}

/* ---- URLs ---- */

static const char *judge_parts(CURLU *url)
{
    char *scheme = NULL;
    char *user = NULL;
    const char *why = NULL;
    if (curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)) {
        why = "it must begin with http:// or https://";
    } else if (curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_OK) {
        why = "it must not hold a user or a password";
    }
    curl_free(scheme);
    curl_free(user);
    return why;
}

bool http_client_url_ok(const char *url, const char **why)
{
    if (strnlen(url, HTTP_CLIENT_URL_BYTES_MAX + 1) > HTTP_CLIENT_URL_BYTES_MAX) {
        *why = "it is too long";
        return false;
    }
    CURLU *parsed = curl_url();
    *why = parsed == NULL ? "out of memory"
           : curl_url_set(parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK
               ? "it is no absolute URL"
               : judge_parts(parsed);
    curl_url_cleanup(parsed);
    return *why == NULL;
}

/* ---- life ---- */

static double connections_now(void *ctx)
{
    (void)ctx;
    struct http_client_stats stats;
    http_client_stats_get(&stats);
    return (double)stats.connections;
}

static double transfers_now(void *ctx)
{
    (void)ctx;
    struct http_client_stats stats;
    http_client_stats_get(&stats);
    return (double)stats.transfers;
}

static metric_counter outcome_counter(const char *outcome)
{
    return metrics_counter(&(struct metric_options){.name = "troupe_client_requests_total",
                                                    .help = "Outgoing HTTP requests by outcome.",
                                                    .labels = {{"outcome", outcome}}});
}

static void register_metrics(struct client_metrics *metrics)
{
    for (int i = 0; i < HTTP_FAILURE_COUNT; i++) {
        const char *word = http_failure_word((enum http_failure)i);
        metrics->outcomes[i] = outcome_counter(i == HTTP_FAILURE_NONE ? "answered" : word);
    }
    metrics->cancelled = outcome_counter("cancelled");
    metrics->connects = metrics_counter(&(struct metric_options){
        .name = "troupe_client_connects_total", .help = "Connections that outgoing HTTP requests opened."});
    metrics->reuses = metrics_counter(
        &(struct metric_options){.name = "troupe_client_reuses_total",
                                 .help = "Outgoing HTTP requests on a connection that was kept."});
    metrics->duration =
        metrics_histogram(&(struct metric_options){.name = "troupe_client_request_duration_seconds",
                                                   .help = "Time of outgoing HTTP requests.",
                                                   .unit = METRIC_SECONDS});
    metrics_gauge_callback(&(struct metric_options){.name = "troupe_client_connections",
                                                    .help = "Open connections of outgoing HTTP.",
                                                    .read = connections_now});
    metrics_gauge_callback(&(struct metric_options){.name = "troupe_client_transfers",
                                                    .help = "Outgoing HTTP requests under way.",
                                                    .read = transfers_now});
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value == 0 ? fallback : value;
}

tr_err http_client_setup(const struct http_client_options *options)
{
    static bool registered;
    struct http_client *client = &http_client_the;
    if (client->cores != NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        return TR_E_STATE;
    }
    client->cores = calloc((size_t)options->cores, sizeof(*client->cores));
    if (client->cores == NULL) {
        curl_global_cleanup();
        return TR_E_NOMEM;
    }
    client->options = *options;
    client->options.connections_max = or_default(options->connections_max, CONNECTIONS_MAX);
    client->options.connections_per_host = or_default(options->connections_per_host, CONNECTIONS_PER_HOST);
    client->options.transfers_max = or_default(options->transfers_max, TRANSFERS_MAX);
    if (!registered) {
        register_metrics(&client->metrics);
        registered = true;
    }
    return TR_OK;
}

tr_core_hooks http_client_hooks(void)
{
    return (tr_core_hooks){.start = client_core_start, .stop = client_core_stop};
}

void http_client_teardown(void)
{
    free(http_client_the.cores);
    http_client_the.cores = NULL;
    curl_global_cleanup();
}

void http_client_stats_get(struct http_client_stats *out)
{
    *out = (struct http_client_stats){0};
    for (int i = 0; http_client_the.cores != NULL && i < http_client_the.options.cores; i++) {
        const struct client_core *core = &http_client_the.cores[i];
        out->started += __atomic_load_n(&core->started, __ATOMIC_RELAXED);
        out->finished += __atomic_load_n(&core->finished, __ATOMIC_RELAXED);
        out->cancelled += __atomic_load_n(&core->cancelled, __ATOMIC_RELAXED);
        out->connected += __atomic_load_n(&core->connected, __ATOMIC_RELAXED);
        out->reused += __atomic_load_n(&core->reused, __ATOMIC_RELAXED);
        out->transfers += __atomic_load_n(&core->transfers, __ATOMIC_RELAXED);
        out->connections += __atomic_load_n(&core->connections, __ATOMIC_RELAXED);
    }
}
