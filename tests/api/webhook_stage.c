#include "tests/api/webhook_stage.h"

#include "api/payments/payments.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
    char directory[256];
    struct store *store;
} stage;

static void require(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "webhook_stage: %s\n", what);
        abort();
    }
}

static void open_store(void)
{
    size_t of_webhooks = 0;
    size_t of_payments = 0;
    struct store_error error;
    struct store_schema schemas[] = {*webhooks_schemas(&of_webhooks), *payments_schemas(&of_payments)};
    struct store_options options = {.schemas = schemas, .schema_count = sizeof(schemas) / sizeof(schemas[0])};
    require(of_webhooks == 1 && of_payments == 1, "a schema for each room");
    require(store_open(stage.directory, &options, &stage.store, &error) == STORE_OK, "store_open");
}

static void setup(void)
{
    char why[200] = "";
    static const struct settings settings = {.max_webhooks = 1000,
                                             .webhook_url_max = WEBHOOK_URL_MAX,
                                             .webhook_outbox_max = 1000000,
                                             .webhook_log_max = 1000000,
                                             .webhook_concurrency = 8,
                                             .webhook_timeout_ms = 60000,
                                             .webhook_retry_first_ms = 1,
                                             .webhook_disable_after_ms = 1000000000,
                                             .webhook_retention_ms = 1000000000,
                                             .webhook_secret_overlap_ms = 1000000,
                                             .server_max_restarts = 1000000,
                                             .server_max_seconds = 1,
                                             .allow_private_addresses = true};
    require(webhooks_setup(&settings, stage.store, why, sizeof(why)), why);
}

void webhook_stage_open(void)
{
    const char *top = getenv("TMPDIR");
    snprintf(stage.directory, sizeof(stage.directory), "%s/webhooks-test-XXXXXX", top == NULL ? "/tmp" : top);
    require(mkdtemp(stage.directory) != NULL, "mkdtemp");
    open_store();
    setup();
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
    (void)info;
    (void)kind;
    (void)at;
    return remove(path);
}

void webhook_stage_close(void)
{
    webhooks_teardown();
    require(store_close(stage.store) == STORE_OK, "store_close");
    nftw(stage.directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void webhook_stage_reopen(void)
{
    webhooks_teardown();
    require(store_close(stage.store) == STORE_OK, "store_close");
    open_store();
    setup();
}

/* ---- the store, waiting ---- */

struct writing {
    struct store_write write; /* first */
    store_writer_fn fn;
    const void *arg;
    void *result;
    enum store_status status;
};

static enum store_status apply(struct store_tx *tx, void *arg)
{
    struct writing *writing = arg;
    return writing->fn(tx, writing->arg, writing->result);
}

static void done(struct store_write *write, enum store_status status)
{
    ((struct writing *)(void *)write)->status = status;
}

enum store_status stage_write(store_writer_fn fn, const void *arg, void *result)
{
    struct writing writing = {.write = {.apply = apply, .done = done},
                              .fn = fn,
                              .arg = arg,
                              .result = result,
                              .status = STORE_CLOSED};
    writing.write.arg = &writing;
    require(store_submit(stage.store, &writing.write), "store_submit");
    (void)store_quiesce(stage.store);
    return writing.status;
}

enum store_status stage_read(store_read_fn fn, const void *arg, void *result, struct store_rows *rows)
{
    struct store_reader *reader = NULL;
    require(store_reader_open(stage.store, 60000, &reader, NULL) == STORE_OK, "store_reader_open");
    enum store_status status = fn(reader, arg, result, rows);
    store_reader_close(reader);
    return status;
}

int64_t stage_int(const char *sql)
{
    struct store_reader *reader = NULL;
    int64_t value = 0;
    bool found = false;
    require(store_reader_open(stage.store, 60000, &reader, NULL) == STORE_OK, "store_reader_open");
    require(store_reader_int(reader, sql, STORE_NO_VALUES, &value, &found) == STORE_OK, sql);
    store_reader_close(reader);
    return value;
}

/* ---- short forms ---- */

int64_t stage_put(const char *name, const char *url, const char *events)
{
    struct webhook_put put = {
        .expected = WEBHOOKS_ANY_VERSION, .now_ms = 1000, .max = webhooks.settings->max_webhooks};
    struct webhook_changed changed = {.id = 0};
    snprintf(put.webhook.name, sizeof(put.webhook.name), "%s", name);
    snprintf(put.webhook.url, sizeof(put.webhook.url), "%s", url);
    snprintf(put.webhook.events, sizeof(put.webhook.events), "%s", events);
    require(webhook_secret_read(text_of(STAGE_SECRET), &put.secret), "secret");
    atomic_store(&webhooks.any, true);
    require(stage_write(webhooks_sql_put, &put, &changed) == STORE_OK, "put");
    return changed.webhook.id;
}

static enum store_status enqueue(struct store_tx *tx, const void *arg, void *result)
{
    (void)result;
    return webhooks_enqueue(tx, arg);
}

enum store_status stage_event(const char *subject, int64_t sequence, const char *type)
{
    char data[64];
    int count = snprintf(data, sizeof(data), "{\"n\":%d}", (int)sequence);
    struct webhook_event event = {.subject = subject,
                                  .sequence = sequence,
                                  .type = type,
                                  .at_ms = 1000 + sequence,
                                  .data = {data, (size_t)count}};
    return stage_write(enqueue, &event, NULL);
}

enum store_status stage_note(int64_t webhook, int64_t row, int64_t attempt, enum webhook_outcome outcome,
                             struct webhook_noted *noted)
{
    struct webhook_note note = {.webhook = webhook,
                                .row = row,
                                .attempt = attempt,
                                .at_ms = 5000,
                                .now_ms = 5000,
                                .outcome = outcome,
                                .status = outcome == WEBHOOK_OUTCOME_DELIVERED ? 204 : 500,
                                .due_at_ms = 9000};
    return stage_write(webhooks_sql_note, &note, noted);
}

struct webhook_due stage_due(int64_t webhook, int64_t now_ms)
{
    struct webhook_look look = {.webhook = webhook, .now_ms = now_ms, .limit = WEBHOOKS_DUE_MAX};
    struct webhook_due due = {.count = 0};
    require(stage_read(webhooks_read_due, &look, &due, NULL) == STORE_OK, "due");
    return due;
}
