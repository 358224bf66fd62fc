#include "api/payments/gateway_sandbox.h"

#include "runtime/sys/clock.h"
#include "server/store/store_writer.h"
#include "server/text.h"

#include <string.h>

#define SLOW_MS          3000
#define STORE_TIMEOUT_MS 30000

/* ---- what tokens do ---- */

enum manner {
    PLAIN,
    SLOW,   /* approves after SLOW_MS */
    SILENT, /* never answers, never applied */
    FLAKY   /* applied, then the connection is lost */
};

static const struct token {
    const char *name;
    const char *decline_code; /* of the authorization; NULL: approved */
    enum manner manner;
    enum operation_kind refused; /* a later operation that is declined */
} tokens[] = {
    {.name = "tok_visa"},
    {.name = "tok_declined", .decline_code = "card_declined"},
    {.name = "tok_insufficient_funds", .decline_code = "insufficient_funds"},
    {.name = "tok_expired_card", .decline_code = "expired_card"},
    {.name = "tok_slow", .manner = SLOW},
    {.name = "tok_timeout", .manner = SILENT},
    {.name = "tok_flaky", .manner = FLAKY},
    {.name = "tok_capture_fails", .refused = OPERATION_CAPTURE},
    {.name = "tok_refund_fails", .refused = OPERATION_REFUND},
};

/* What is done with a token that the sandbox does not know: a card that does not exist. */
static const struct token no_such_card = {.name = "", .decline_code = "invalid_token"};

static const struct token *find_token(const char *name)
{
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        if (strcmp(tokens[i].name, name) == 0) {
            return &tokens[i];
        }
    }
    return &no_such_card;
}

/* ---- the ledger ---- */

static const char *const migrations[] = {
    "CREATE TABLE sandbox_ledger("
    "  operation TEXT PRIMARY KEY, payment TEXT NOT NULL, kind INTEGER NOT NULL, amount INTEGER NOT NULL,"
    "  currency TEXT NOT NULL, token TEXT NOT NULL, result INTEGER NOT NULL, code TEXT NOT NULL,"
    "  at_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX sandbox_ledger_payment ON sandbox_ledger(payment);",
    /* Tokens that are none of the sandbox's own are nobody's business: they were kept once. */
    "UPDATE sandbox_ledger SET token = '' WHERE token NOT IN ('tok_visa', 'tok_declined', 'tok_insufficient_funds',"
    " 'tok_expired_card', 'tok_slow', 'tok_timeout', 'tok_flaky', 'tok_capture_fails', 'tok_refund_fails');",
};

const struct store_schema gateway_sandbox_schema = {
    .name = "sandbox", .version = sizeof(migrations) / sizeof(migrations[0]), .migrations = migrations};

struct entry {
    struct gateway_operation operation;
    int64_t at_ms;
};

static int copy_outcome(void *arg, const struct store_row *row)
{
    struct gateway_outcome *out = arg;
    const char *currency = store_row_text(row, 2, NULL);
    const char *code = store_row_text(row, 3, NULL);
    out->result = (enum gateway_result)store_row_int(row, 0);
    out->amount = store_row_int(row, 1);
    text_fill(out->currency, sizeof(out->currency), currency);
    text_fill(out->decline_code, sizeof(out->decline_code), code);
    return 1;
}

/* What the ledger says of an operation; GATEWAY_UNKNOWN when it has no row. */
static enum store_status find(struct store_tx *tx, const char *operation, struct gateway_outcome *out)
{
    *out = (struct gateway_outcome){.result = GATEWAY_UNKNOWN};
    return store_tx_query(tx,
                          "SELECT result, amount, currency, code FROM sandbox_ledger WHERE operation = ?1",
                          STORE_VALUES(store_text(operation)), copy_outcome, out);
}

static enum store_status write(struct store_tx *tx, const struct entry *entry, struct gateway_outcome *out)
{
    const struct gateway_operation *operation = &entry->operation;
    if (out->result == GATEWAY_APPLIED) {
        out->amount = operation->amount;
        memcpy(out->currency, operation->currency, sizeof(out->currency));
    }
    return store_tx_run(
        tx,
        "INSERT INTO sandbox_ledger(operation, payment, kind, amount, currency, token, result, code, at_ms) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        STORE_VALUES(store_text(operation->id), store_text(operation->payment_id), store_int(operation->kind),
                     store_int(operation->amount), store_text(operation->currency),
                     store_text(find_token(operation->card_token)->name), store_int(out->result),
                     store_text(out->decline_code), store_int(entry->at_ms)));
}

/* ---- judging ---- */

struct account {
    int64_t authorized, captured, refunded;
    bool cancelled;
    char token[CARD_TOKEN_BYTES];
};

static int add_to_account(void *arg, const struct store_row *row)
{
    struct account *account = arg;
    int64_t amount = store_row_int(row, 1);
    const char *token = store_row_text(row, 2, NULL);
    switch ((enum operation_kind)store_row_int(row, 0)) {
    case OPERATION_AUTHORIZE:
        account->authorized += amount;
        text_fill(account->token, sizeof(account->token), token);
        break;
    case OPERATION_CAPTURE:
        account->captured += amount;
        break;
    case OPERATION_REFUND:
        account->refunded += amount;
        break;
    default:
        account->cancelled = true;
    }
    return 0;
}

/* Why an operation is declined; NULL: it is approved. */
static const char *judge(const struct gateway_operation *operation, const struct account *account)
{
    const struct token *token =
        find_token(operation->kind == OPERATION_AUTHORIZE ? operation->card_token : account->token);
    int64_t held = account->captured > 0 ? account->captured : account->authorized;
    if (operation->kind == OPERATION_AUTHORIZE) {
        return account->authorized > 0 ? "already_authorized" : token->decline_code;
    }
    if (account->authorized == 0 || account->cancelled) {
        return "not_authorized";
    }
    if (token->refused == operation->kind) {
        return operation->kind == OPERATION_CAPTURE ? "capture_failed" : "refund_failed";
    }
    if (operation->kind == OPERATION_REFUND) {
        return operation->amount <= held - account->refunded ? NULL : "amount_too_large";
    }
    if (account->captured > 0 || account->refunded > 0) {
        return "already_captured";
    }
    return operation->amount <= account->authorized ? NULL : "amount_too_large";
}

static enum store_status apply(struct store_tx *tx, const void *arg, void *result)
{
    const struct entry *entry = arg;
    struct gateway_outcome *out = result;
    struct account account = {0};
    enum store_status status = find(tx, entry->operation.id, out);
    if (status != STORE_OK || out->result != GATEWAY_UNKNOWN) {
        return status;
    }
    status = store_tx_query(
        tx, "SELECT kind, amount, token FROM sandbox_ledger WHERE payment = ?1 AND result = ?2",
        STORE_VALUES(store_text(entry->operation.payment_id), store_int(GATEWAY_APPLIED)), add_to_account,
        &account);
    if (status != STORE_OK) {
        return status;
    }
    const char *declined = judge(&entry->operation, &account);
    out->result = declined == NULL ? GATEWAY_APPLIED : GATEWAY_DECLINED;
    text_fill(out->decline_code, sizeof(out->decline_code), declined);
    return write(tx, entry, out);
}

static enum store_status fence(struct store_tx *tx, const void *arg, void *result)
{
    const struct entry *entry = arg;
    struct gateway_outcome *out = result;
    enum store_status status = find(tx, entry->operation.id, out);
    if (status == STORE_OK && out->result == GATEWAY_UNKNOWN) {
        out->result = GATEWAY_NEVER;
        status = write(tx, entry, out);
    }
    return status;
}

/* ---- the gateway ---- */

static bool is_available(void)
{
    return true;
}

static void run(store_writer_fn fn, const struct gateway_operation *operation, struct gateway_outcome *out)
{
    struct entry entry = {.operation = *operation, .at_ms = tr__clock_wall_ms()};
    enum store_status status =
        store_writer_run(fn, &entry, sizeof(entry), out, sizeof(*out), STORE_TIMEOUT_MS);
    if (status != STORE_OK) {
        *out = (struct gateway_outcome){.result = GATEWAY_UNKNOWN, .detail = "ledger_not_written"};
    } else if (out->result == GATEWAY_APPLIED) {
        memcpy(out->reference, operation->id, sizeof(operation->id));
    } else if (out->result == GATEWAY_NEVER) {
        strcpy(out->detail, "not_applied");
    }
}

static void perform(const struct gateway_operation *operation, int64_t deadline_ms,
                    struct gateway_outcome *out)
{
    enum manner manner =
        operation->kind == OPERATION_AUTHORIZE ? find_token(operation->card_token)->manner : PLAIN;
    if (manner == SILENT) {
        tr_sleep(deadline_ms > tr_now_ms() ? deadline_ms - tr_now_ms() : 0);
        *out = (struct gateway_outcome){.result = GATEWAY_UNKNOWN, .detail = "timeout"};
        return;
    }
    if (manner == SLOW) {
        int64_t left_ms = deadline_ms - tr_now_ms();
        tr_sleep(left_ms < 0 ? 0 : left_ms < SLOW_MS ? left_ms : SLOW_MS);
    }
    if (deadline_ms <= tr_now_ms()) {
        *out = (struct gateway_outcome){.result = GATEWAY_UNKNOWN, .detail = "timeout"};
        return;
    }
    run(apply, operation, out);
    if (manner == FLAKY && out->result == GATEWAY_APPLIED) {
        *out = (struct gateway_outcome){.result = GATEWAY_UNKNOWN, .detail = "connection_lost"};
    }
}

static void query(const struct gateway_operation *operation, int64_t deadline_ms, struct gateway_outcome *out)
{
    (void)deadline_ms;
    run(fence, operation, out);
}

const struct gateway gateway_sandbox = {
    .name = "sandbox", .available = is_available, .perform = perform, .query = query};
