#include "tests/api/webhook_stage.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(webhook_records, .init = webhook_stage_open, .fini = webhook_stage_close, .timeout = 120);

#define URL   "https://example.org/hook"
#define LATER INT64_C(1000000)

/* Of each webhook and subject the oldest row and no other is due (W1), and the counts are right (W2). */
static void assert_sound(void)
{
    cr_assert_eq(
        stage_int("SELECT count(*) FROM webhooks_outbox o WHERE (due_at_ms IS NOT NULL) <> "
                  "(id = (SELECT min(id) FROM webhooks_outbox p WHERE p.webhook = o.webhook AND p.subject = "
                  "o.subject))"),
        0);
    cr_assert_eq(stage_int("SELECT count(*) FROM webhooks WHERE waiting <> "
                           "(SELECT count(*) FROM webhooks_outbox o WHERE o.webhook = webhooks.id)"),
                 0);
    cr_assert_eq(
        stage_int(
            "SELECT count(*) FROM webhooks_outbox a JOIN webhooks_outbox b ON a.webhook = b.webhook AND "
            "a.subject = b.subject AND a.id < b.id AND a.sequence >= b.sequence"),
        0);
}

static void assert_read(const char *name, struct webhook *out)
{
    char padded[WEBHOOK_NAME_MAX + 1] = "";
    snprintf(padded, sizeof(padded), "%s", name);
    cr_assert_eq(stage_read(webhooks_read_one, padded, out, NULL), STORE_OK);
}

/* ---- events ---- */

Test(webhook_records, an_event_is_there_for_who_wants_it)
{
    int64_t all = stage_put("all", URL, "*");
    int64_t some = stage_put("some", URL, "payment.captured order.*");
    cr_assert_eq(stage_event("pay_a", 1, "payment.created"), STORE_OK);
    cr_assert_eq(stage_event("pay_a", 2, "payment.captured"), STORE_OK);
    cr_assert_eq(stage_event("pay_b", 1, "payment.created"), STORE_OK);
    cr_expect_eq(stage_due(all, LATER).count, 2);
    cr_expect_eq(stage_due(some, LATER).count, 1);
    cr_expect_eq(stage_int("SELECT count(*) FROM webhooks_outbox"), 4);
    assert_sound();
}

static enum store_status enqueue_and_refuse(struct store_tx *tx, const void *arg, void *result)
{
    (void)result;
    return webhooks_enqueue(tx, arg) == STORE_OK ? STORE_REJECTED : STORE_BAD;
}

Test(webhook_records, an_event_that_did_not_happen_is_not_there)
{
    stage_put("all", URL, "*");
    struct webhook_event event = {
        .subject = "pay_a", .sequence = 1, .type = "payment.created", .at_ms = 1, .data = TEXT("{}")};
    cr_assert_eq(stage_write(enqueue_and_refuse, &event, NULL), STORE_REJECTED);
    cr_expect_eq(stage_int("SELECT count(*) FROM webhooks_outbox"), 0);
    cr_assert_eq(stage_event("pay_a", 1, "payment.created"), STORE_OK);
    cr_expect_eq(stage_int("SELECT count(*) FROM webhooks_outbox"), 1);
    assert_sound();
}

Test(webhook_records, an_event_twice_is_one)
{
    stage_put("all", URL, "*");
    cr_assert_eq(stage_event("pay_a", 1, "payment.created"), STORE_OK);
    cr_assert_eq(stage_event("pay_a", 1, "payment.created"), STORE_OK);
    cr_expect_eq(stage_int("SELECT count(*) FROM webhooks_outbox"), 1);
    assert_sound();
}

Test(webhook_records, the_payload_is_made_once_and_stays)
{
    int64_t hook = stage_put("all", URL, "*");
    struct store_rows rows = {0};
    cr_assert_eq(stage_event("pay_a", 3, "payment.created"), STORE_OK);
    int64_t row = stage_due(hook, LATER).rows[0];
    cr_assert_eq(stage_read(webhooks_read_sending, &row, NULL, &rows), STORE_OK);
    const struct webhook_sending *sending = (const void *)rows.bytes;
    static const struct text expected =
        TEXT("{\"type\":\"payment.created\",\"timestamp\":\"1970-01-01T00:00:01.003Z\",\"data\":{\"n\":3}}");
    cr_expect(text_equal((struct text){rows.bytes + sizeof(*sending), sending->payload_bytes}, expected));
    cr_expect_str_eq(sending->url, URL);
    cr_expect_str_eq(sending->subject, "pay_a");
    cr_expect_eq(sending->attempts, 0);
    cr_expect_eq(sending->secret.count, 32);
    cr_expect_eq(sending->old_secret.count, 0);
    free(rows.bytes);
}

Test(webhook_records, a_full_outbox_does_without_and_says_so)
{
    int64_t hook = stage_put("small", URL, "*");
    struct webhook webhook;
    struct webhook_noted noted;
    webhooks.outbox_max = 2;
    for (int64_t i = 1; i <= 5; i++) {
        cr_assert_eq(stage_event("pay_a", i, "payment.created"), STORE_OK);
    }
    assert_read("small", &webhook);
    cr_expect_eq(webhook.waiting, 2);
    cr_expect_eq(webhook.dropped, 3);
    cr_assert_eq(stage_note(hook, stage_due(hook, LATER).rows[0], 1, WEBHOOK_OUTCOME_DELIVERED, &noted),
                 STORE_OK);
    cr_assert_eq(stage_event("pay_a", 6, "payment.created"), STORE_OK);
    assert_read("small", &webhook);
    cr_expect_eq(webhook.waiting, 2);
    cr_expect_eq(webhook.dropped, 3);
    assert_sound();
}

Test(webhook_records, a_subject_that_is_none_is_a_bug_of_the_caller)
{
    stage_put("all", URL, "*");
    cr_expect_eq(stage_event("a.b", 1, "payment.created"), STORE_BAD);
}

/* ---- attempts ---- */

Test(webhook_records, a_failing_event_holds_up_its_subject_only)
{
    int64_t hook = stage_put("all", URL, "*");
    struct webhook_noted noted;
    cr_assert_eq(stage_event("pay_a", 1, "payment.created"), STORE_OK);
    cr_assert_eq(stage_event("pay_a", 2, "payment.captured"), STORE_OK);
    cr_assert_eq(stage_event("pay_b", 1, "payment.created"), STORE_OK);
    struct webhook_due due = stage_due(hook, LATER);
    cr_assert_eq(due.count, 2);
    cr_assert_eq(stage_note(hook, due.rows[0], 1, WEBHOOK_OUTCOME_FAILED, &noted), STORE_OK);
    assert_sound();
    struct webhook_due now = stage_due(hook, 8999);
    cr_expect_eq(now.count, 1);
    cr_expect_eq(now.rows[0], due.rows[1]);
    cr_expect_eq(now.next_at_ms, 9000);
    cr_assert_eq(stage_event("pay_a", 3, "payment.refunded"), STORE_OK);
    cr_expect_eq(stage_due(hook, 8999).count, 1);
    cr_expect_eq(stage_due(hook, 9000).count, 2);
    cr_assert_eq(stage_note(hook, due.rows[0], 2, WEBHOOK_OUTCOME_DELIVERED, &noted), STORE_OK);
    cr_expect_eq(noted.promoted, due.rows[0] + 1);
    assert_sound();
}

Test(webhook_records, a_note_made_twice_counts_once)
{
    int64_t hook = stage_put("all", URL, "*");
    struct webhook_noted noted;
    cr_assert_eq(stage_event("pay_a", 1, "payment.created"), STORE_OK);
    int64_t row = stage_due(hook, LATER).rows[0];
    cr_assert_eq(stage_note(hook, row, 1, WEBHOOK_OUTCOME_FAILED, &noted), STORE_OK);
    cr_expect_eq(stage_note(hook, row, 1, WEBHOOK_OUTCOME_FAILED, &noted), STORE_REJECTED);
    cr_expect_eq(stage_note(hook, row, 3, WEBHOOK_OUTCOME_DELIVERED, &noted), STORE_REJECTED);
    cr_assert_eq(stage_note(hook, row, 2, WEBHOOK_OUTCOME_DELIVERED, &noted), STORE_OK);
    cr_expect_eq(stage_note(hook, row, 2, WEBHOOK_OUTCOME_DELIVERED, &noted), STORE_REJECTED);
    cr_expect_eq(stage_int("SELECT count(*) FROM webhooks_deliveries"), 2);
    cr_expect_eq(stage_int("SELECT count(*) FROM webhooks_outbox"), 0);
    assert_sound();
}

Test(webhook_records, an_event_given_up_lets_the_next_one_go)
{
    int64_t hook = stage_put("all", URL, "*");
    struct webhook_noted noted;
    cr_assert_eq(stage_event("pay_a", 1, "payment.created"), STORE_OK);
    cr_assert_eq(stage_event("pay_a", 2, "payment.captured"), STORE_OK);
    int64_t row = stage_due(hook, LATER).rows[0];
    cr_assert_eq(stage_note(hook, row, 1, WEBHOOK_OUTCOME_GIVEN_UP, &noted), STORE_OK);
    cr_expect_eq(noted.promoted, row + 1);
    cr_expect_not(noted.disabled);
    cr_expect_eq(stage_due(hook, 5000).rows[0], row + 1);
    assert_sound();
}

Test(webhook_records, gone_disables_and_a_put_goes_on)
{
    int64_t hook = stage_put("all", URL, "*");
    struct webhook_noted noted;
    struct webhook webhook;
    struct webhook_due due;
    struct webhook_look look = {.webhook = hook, .now_ms = LATER, .limit = 10};
    cr_assert_eq(stage_event("pay_a", 1, "payment.created"), STORE_OK);
    int64_t row = stage_due(hook, LATER).rows[0];
    cr_assert_eq(stage_note(hook, row, 1, WEBHOOK_OUTCOME_GONE, &noted), STORE_OK);
    cr_expect(noted.disabled);
    assert_read("all", &webhook);
    cr_expect_eq(webhook.state, WEBHOOK_GONE);
    cr_expect_eq(webhook.disabled_at_ms, 5000);
    cr_expect_eq(stage_read(webhooks_read_due, &look, &due, NULL), STORE_REJECTED);
    cr_assert_eq(stage_event("pay_a", 2, "payment.captured"), STORE_OK); /* not for this one */
    cr_expect_eq(stage_put("all", URL, "*"), hook);
    assert_read("all", &webhook);
    cr_expect_eq(webhook.state, WEBHOOK_ENABLED);
    cr_expect_eq(webhook.waiting, 1);
    cr_expect_eq(stage_due(hook, 1000).rows[0], row);
    assert_sound();
}

/* A note says how long ago a bad time may have begun. */
static struct webhook_noted fail(int64_t hook, int64_t attempt, int64_t now_ms, int64_t disable_before_ms)
{
    struct webhook_noted noted = {.disabled = false};
    struct webhook_note note = {.webhook = hook,
                                .row = stage_due(hook, INT64_MAX - 1).rows[0],
                                .attempt = attempt,
                                .at_ms = now_ms,
                                .now_ms = now_ms,
                                .outcome = WEBHOOK_OUTCOME_FAILED,
                                .due_at_ms = now_ms + 1,
                                .disable_before_ms = disable_before_ms};
    cr_assert_eq(stage_write(webhooks_sql_note, &note, &noted), STORE_OK);
    return noted;
}

Test(webhook_records, failing_for_too_long_disables)
{
    int64_t hook = stage_put("all", URL, "*");
    struct webhook webhook;
    struct webhook_noted noted;
    cr_assert_eq(stage_event("pay_a", 1, "payment.created"), STORE_OK);
    cr_assert_eq(stage_event("pay_a", 2, "payment.created"), STORE_OK);
    cr_expect_not(fail(hook, 1, 10000, 5000).disabled);
    cr_expect_not(fail(hook, 2, 15000, 10000).disabled);
    assert_read("all", &webhook);
    cr_expect_eq(webhook.failing_since_ms, 10000);
    cr_assert_eq(stage_note(hook, stage_due(hook, LATER).rows[0], 3, WEBHOOK_OUTCOME_DELIVERED, &noted),
                 STORE_OK);
    assert_read("all", &webhook);
    cr_expect_eq(webhook.failing_since_ms, 0); /* one success in between */
    cr_expect_not(fail(hook, 1, 20000, 15000).disabled);
    cr_expect(fail(hook, 2, 25002, 20001).disabled);
    assert_read("all", &webhook);
    cr_expect_eq(webhook.state, WEBHOOK_FAILING);
}

/* ---- webhooks ---- */

static struct webhook_changed put_with(const struct webhook_put *put, enum store_status expected)
{
    struct webhook_changed changed = {.id = 0};
    cr_assert_eq(stage_write(webhooks_sql_put, put, &changed), expected);
    return changed;
}

Test(webhook_records, versions_are_judged_and_never_used_again)
{
    struct webhook_put put = {
        .webhook = {.name = "a", .url = URL, .events = "*"}, .max = 10, .secret = {.count = 24}};
    put.expected = 5;
    cr_expect_eq(put_with(&put, STORE_REJECTED).change, WEBHOOK_CONFLICT);
    put.expected = 0;
    struct webhook_changed made = put_with(&put, STORE_OK);
    cr_expect_eq(made.change, WEBHOOK_CREATED);
    cr_expect_eq(put_with(&put, STORE_REJECTED).change, WEBHOOK_CONFLICT);
    put.expected = made.webhook.version;
    struct webhook_changed again = put_with(&put, STORE_OK);
    cr_expect_eq(again.change, WEBHOOK_REPLACED);
    cr_expect_gt(again.webhook.version, made.webhook.version);
    struct webhook_drop drop = {.name = "a", .expected = made.webhook.version};
    struct webhook_changed dropped;
    cr_expect_eq(stage_write(webhooks_sql_drop, &drop, &dropped), STORE_REJECTED);
    cr_expect_eq(dropped.change, WEBHOOK_CONFLICT);
    drop.expected = WEBHOOKS_ANY_VERSION;
    cr_expect_eq(stage_write(webhooks_sql_drop, &drop, &dropped), STORE_OK);
    cr_expect_eq(stage_write(webhooks_sql_drop, &drop, &dropped), STORE_REJECTED);
    cr_expect_eq(dropped.change, WEBHOOK_MISSING);
    put.expected = WEBHOOKS_ANY_VERSION;
    struct webhook_changed new = put_with(&put, STORE_OK);
    cr_expect_gt(new.webhook.version, again.webhook.version);
    cr_expect_gt(new.webhook.id, made.webhook.id);
}

Test(webhook_records, there_may_be_so_many)
{
    struct webhook_put put = {.webhook = {.name = "a", .url = URL, .events = "*"},
                              .max = 1,
                              .expected = WEBHOOKS_ANY_VERSION,
                              .secret = {.count = 24}};
    put_with(&put, STORE_OK);
    put_with(&put, STORE_OK); /* the one that is there */
    put.webhook.name[0] = 'b';
    cr_expect_eq(put_with(&put, STORE_REJECTED).change, WEBHOOK_TOO_MANY);
}

static void read_first(int64_t hook, struct webhook_sending *out)
{
    struct store_rows rows = {0};
    int64_t row = stage_due(hook, LATER).rows[0];
    cr_assert_eq(stage_read(webhooks_read_sending, &row, NULL, &rows), STORE_OK);
    memcpy(out, rows.bytes, sizeof(*out));
    free(rows.bytes);
}

Test(webhook_records, a_replaced_secret_goes_on_beside_the_new_one)
{
    int64_t hook = stage_put("a", URL, "*");
    struct webhook_put put = {.webhook = {.name = "a", .url = URL, .events = "*"},
                              .max = 10,
                              .expected = WEBHOOKS_ANY_VERSION,
                              .now_ms = 2000,
                              .overlap_ms = 500};
    struct webhook_sending before;
    struct webhook_sending after;
    cr_assert(webhook_secret_make(&put.secret));
    cr_assert_eq(stage_event("pay_a", 1, "payment.created"), STORE_OK);
    read_first(hook, &before);
    put_with(&put, STORE_OK); /* without new_secret the old one stays */
    read_first(hook, &after);
    cr_expect_eq(memcmp(&after.secret, &before.secret, sizeof(before.secret)), 0);
    put.new_secret = true;
    put_with(&put, STORE_OK);
    read_first(hook, &after);
    cr_expect_eq(memcmp(after.secret.bytes, put.secret.bytes, put.secret.count), 0);
    cr_expect_eq(memcmp(after.old_secret.bytes, before.secret.bytes, before.secret.count), 0);
    cr_expect_eq(after.old_until_ms, 2500);
    put_with(&put, STORE_OK); /* the same again is no rotation */
    read_first(hook, &after);
    cr_expect_eq(memcmp(after.old_secret.bytes, before.secret.bytes, before.secret.count), 0);
}

Test(webhook_records, another_url_begins_anew)
{
    int64_t hook = stage_put("a", URL, "*");
    struct webhook_noted noted;
    struct webhook_sending sending;
    cr_assert_eq(stage_event("pay_a", 1, "payment.created"), STORE_OK);
    cr_assert_eq(stage_note(hook, stage_due(hook, LATER).rows[0], 1, WEBHOOK_OUTCOME_FAILED, &noted),
                 STORE_OK);
    stage_put("a", URL, "payment.*");
    cr_expect_eq(stage_due(hook, 8999).count, 0); /* the same URL: its time stays */
    stage_put("a", "https://example.org/other", "*");
    cr_expect_eq(stage_due(hook, 8999).count, 1);
    read_first(hook, &sending);
    cr_expect_eq(sending.attempts, 0);
}

/* ---- cleaning, restart ---- */

static int64_t clean(int64_t before_ms, int64_t log_max)
{
    struct webhooks_clean ask = {.before_ms = before_ms, .log_max = log_max};
    int64_t gone = -1;
    enum store_status status = stage_write(webhooks_sql_clean, &ask, &gone);
    cr_assert_eq(status, gone == 0 ? STORE_REJECTED : STORE_OK);
    return gone;
}

Test(webhook_records, what_a_removed_webhook_leaves_is_taken_out)
{
    int64_t hook = stage_put("a", URL, "*");
    int64_t other = stage_put("b", URL, "*");
    struct webhook_noted noted;
    struct webhook_changed changed;
    struct webhook_drop drop = {.name = "a", .expected = WEBHOOKS_ANY_VERSION};
    cr_assert_eq(stage_event("pay_a", 1, "payment.created"), STORE_OK);
    cr_assert_eq(stage_event("pay_b", 1, "payment.created"), STORE_OK);
    cr_assert_eq(stage_note(hook, stage_due(hook, LATER).rows[0], 1, WEBHOOK_OUTCOME_FAILED, &noted),
                 STORE_OK);
    cr_expect_eq(clean(0, 1000), 0);
    cr_assert_eq(stage_write(webhooks_sql_drop, &drop, &changed), STORE_OK);
    cr_expect_eq(clean(0, 1000), 4);
    cr_expect_eq(clean(0, 1000), 0);
    cr_expect_eq(stage_int("SELECT count(*) FROM webhooks_removed"), 0);
    cr_expect_eq(stage_due(other, LATER).count, 2);
    assert_sound();
}

Test(webhook_records, the_log_has_its_time_and_its_length)
{
    int64_t hook = stage_put("a", URL, "*");
    struct webhook_noted noted;
    for (int64_t i = 1; i <= 6; i++) {
        cr_assert_eq(stage_event("pay_a", i, "payment.created"), STORE_OK);
        cr_assert_eq(stage_note(hook, stage_due(hook, LATER).rows[0], 1, WEBHOOK_OUTCOME_DELIVERED, &noted),
                     STORE_OK);
    }
    cr_expect_eq(clean(5000, 1000), 0); /* all are of 5000 */
    cr_expect_eq(clean(0, 4), 2);
    cr_expect_eq(stage_int("SELECT min(sequence) FROM webhooks_deliveries"), 3);
    cr_expect_eq(clean(5001, 1000), 4);
}

Test(webhook_records, what_waits_for_a_disabled_webhook_has_its_time)
{
    int64_t hook = stage_put("a", URL, "*");
    struct webhook_noted noted;
    struct webhook webhook;
    cr_assert_eq(stage_event("pay_a", 1, "payment.created"), STORE_OK);
    cr_assert_eq(stage_note(hook, stage_due(hook, LATER).rows[0], 1, WEBHOOK_OUTCOME_GONE, &noted), STORE_OK);
    cr_expect_eq(clean(5000, 1000), 0);
    cr_expect_geq(clean(5001, 1000), 1);
    assert_read("a", &webhook);
    cr_expect_eq(webhook.waiting, 0);
    assert_sound();
}

Test(webhook_records, a_restart_knows_that_there_is_something_to_do)
{
    cr_assert_eq(stage_event("pay_a", 1, "payment.created"), STORE_OK);
    webhook_stage_reopen();
    cr_expect_not(atomic_load(&webhooks.any));
    int64_t hook = stage_put("a", URL, "*");
    cr_assert_eq(stage_event("pay_a", 2, "payment.created"), STORE_OK);
    webhook_stage_reopen();
    cr_expect(atomic_load(&webhooks.any));
    cr_expect_eq(stage_due(hook, LATER).count, 1);
}

/* ---- lists ---- */

Test(webhook_records, the_log_is_read_from_its_newest_end)
{
    int64_t hook = stage_put("a", URL, "*");
    struct webhook_noted noted;
    for (int64_t i = 1; i <= 5; i++) {
        cr_assert_eq(stage_event("pay_a", i, "payment.created"), STORE_OK);
        cr_assert_eq(stage_note(hook, stage_due(hook, LATER).rows[0], 1, WEBHOOK_OUTCOME_DELIVERED, &noted),
                     STORE_OK);
    }
    struct webhook_deliveries_page page = {.webhook = hook, .before = INT64_MAX, .limit = 2};
    for (int64_t expected = 5; expected >= 1; expected -= 2) {
        struct store_rows rows = {0};
        cr_assert_eq(stage_read(webhooks_read_deliveries, &page, NULL, &rows), STORE_OK);
        const struct webhook_delivery *items = (const void *)rows.bytes;
        size_t count = rows.count / sizeof(*items);
        cr_assert_eq(count, expected == 1 ? 1 : 2);
        cr_expect_eq(items[0].sequence, expected);
        cr_expect_str_eq(items[0].type, "payment.created");
        cr_expect_eq(items[0].status, 204);
        page.before = items[count - 1].id;
        free(rows.bytes);
    }
}
