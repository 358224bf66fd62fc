/* Idempotency keys in the store, at made-up times: how long they are kept, whatever the clock does (C26). */
#include "api/payments/records.h"
#include "tests/api/webhook_stage.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(payment_keys, .init = webhook_stage_open, .fini = webhook_stage_close, .timeout = 120);

#define NOW  INT64_C(1700000000000)
#define HOUR INT64_C(3600000)

/* Creates one more payment under the key at a time; `operation`: of a key that stays open, or NULL. */
static enum batch_result create_under(const char *key, int64_t now_ms, const char *operation)
{
    static unsigned made;
    struct payment_batch batch = {.payment = {.amount = 100, .currency = "USD", .version = 1},
                                  .key_step = operation == NULL ? KEY_ENDS : KEY_OPENS,
                                  .status = 201,
                                  .now_ms = now_ms};
    enum batch_result result = BATCH_STALE;

    snprintf(batch.payment.id, sizeof(batch.payment.id), "pay_%026u", ++made);
    snprintf(batch.key.key, sizeof(batch.key.key), "%s", key);
    snprintf(batch.operation, sizeof(batch.operation), "%s", operation == NULL ? "" : operation);
    enum store_status status = stage_write(records_append, &batch, &result);
    cr_assert_eq(status, result == BATCH_APPENDED ? STORE_OK : STORE_REJECTED, "%d", status);
    return result;
}

static int64_t swept_at(int64_t now_ms)
{
    int64_t count = -1;
    cr_assert_eq(stage_write(records_sweep_keys, &now_ms, &count), STORE_OK);
    return count;
}

Test(payment_keys, a_key_stands_for_one_request_for_a_day)
{
    cr_expect_eq(create_under("k", NOW, NULL), BATCH_APPENDED);
    cr_expect_eq(create_under("k", NOW + IDEMPOTENCY_KEPT_MS - 1, NULL), BATCH_KEY_TAKEN);
    cr_expect_eq(create_under("k", NOW + IDEMPOTENCY_KEPT_MS, NULL), BATCH_APPENDED);
    cr_expect_eq(stage_int("SELECT count(*) FROM payments"), 2);
}

Test(payment_keys, a_clock_that_is_set_back_frees_none)
{
    cr_expect_eq(create_under("k", NOW, NULL), BATCH_APPENDED);
    cr_expect_eq(swept_at(NOW - 48 * HOUR), 0);
    cr_expect_eq(create_under("k", NOW - 48 * HOUR, NULL), BATCH_KEY_TAKEN);
    cr_expect_eq(stage_int("SELECT count(*) FROM payments"), 1);
}

Test(payment_keys, the_key_of_an_open_operation_is_kept_for_as_long_as_it_is_open)
{
    cr_expect_eq(create_under("k", NOW, "op_1"), BATCH_APPENDED);
    cr_expect_eq(swept_at(NOW + 1000 * HOUR), 0);
    cr_expect_eq(create_under("k", NOW + 1000 * HOUR, NULL), BATCH_KEY_TAKEN);
}

Test(payment_keys, the_sweep_takes_what_is_a_day_old_and_answered)
{
    cr_expect_eq(create_under("old", NOW, NULL), BATCH_APPENDED);
    cr_expect_eq(create_under("young", NOW + HOUR, NULL), BATCH_APPENDED);
    cr_expect_eq(create_under("open", NOW, "op_1"), BATCH_APPENDED);
    cr_expect_eq(swept_at(NOW + IDEMPOTENCY_KEPT_MS - 1), 0);
    cr_expect_eq(swept_at(NOW + IDEMPOTENCY_KEPT_MS), 1);
    cr_expect_eq(create_under("old", NOW + IDEMPOTENCY_KEPT_MS, NULL), BATCH_APPENDED);
    cr_expect_eq(create_under("young", NOW + IDEMPOTENCY_KEPT_MS, NULL), BATCH_KEY_TAKEN);
}
