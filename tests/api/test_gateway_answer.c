/* What an HTTP gateway's answer says, by GATEWAY.md: nothing is believed that is not said plainly. */
#include "api/payments/gateway_answer.h"

#include "server/json.h"

#include <criterion/criterion.h>
#include <stdio.h>

TestSuite(gateway_answer, .init = json_init);

static const struct gateway_operation operation = {
    .kind = OPERATION_CAPTURE, .id = "op_000000000000000000000001", .amount = 10000, .currency = "USD"};

static struct gateway_outcome read_body(const char *body)
{
    struct gateway_outcome out;
    gateway_answer_read(text_of(body), &operation, &out);
    return out;
}

/* The answer of a status with more members behind it. */
static struct gateway_outcome read_status(const char *status, const char *more)
{
    char body[512];
    snprintf(body, sizeof(body), "{\"id\":\"%s\",\"status\":\"%s\"%s}", operation.id, status, more);
    return read_body(body);
}

Test(gateway_answer, applied_says_what_was_moved)
{
    struct gateway_outcome out =
        read_status("applied", ",\"amount\":10000,\"currency\":\"USD\",\"reference\":\"ch_1\",\"more\":[1]");
    cr_expect_eq(out.result, GATEWAY_APPLIED);
    cr_expect_eq(out.amount, 10000);
    cr_expect_str_eq(out.currency, "USD");
    cr_expect_str_eq(out.reference, "ch_1");
}

Test(gateway_answer, declined_void_and_pending)
{
    struct gateway_outcome out = read_status("declined", ",\"decline_code\":\"expired_card\"");
    cr_expect_eq(out.result, GATEWAY_DECLINED);
    cr_expect_str_eq(out.decline_code, "expired_card");
    cr_expect_str_eq(read_status("declined", "").decline_code, "declined");
    cr_expect_eq(read_status("void", "").result, GATEWAY_NEVER);
    out = read_status("pending", "");
    cr_expect_eq(out.result, GATEWAY_UNKNOWN);
    cr_expect_str_eq(out.detail, "pending");
}

Test(gateway_answer, a_currency_is_not_cut_to_fit)
{
    static const char *const others[] = {"USDX", "US", "", "USD "};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        char more[64];
        snprintf(more, sizeof(more), ",\"amount\":10000,\"currency\":\"%s\"", others[i]);
        struct gateway_outcome out = read_status("applied", more);
        cr_expect_eq(out.result, GATEWAY_UNKNOWN, "%s", others[i]);
        cr_expect_str_eq(out.detail, "bad_answer");
    }
    cr_expect_str_eq(read_status("applied", ",\"amount\":10000,\"currency\":\"EUR\"").currency, "EUR");
}

Test(gateway_answer, what_makes_no_sense_is_unknown)
{
    static const char *const bodies[] = {
        "",
        "<html>",
        "[]",
        "null",
        "{\"status\":\"applied\",\"amount\":10000,\"currency\":\"USD\"}",
        "{\"id\":\"op_000000000000000000000002\",\"status\":\"applied\",\"amount\":10000,\"currency\":\"USD\"}",
        "{\"id\":\"op_000000000000000000000001\",\"status\":\"done\"}",
        "{\"id\":\"op_000000000000000000000001\",\"status\":1}",
        "{\"id\":\"op_000000000000000000000001\",\"status\":\"void\"} trailing",
        "{\"id\":\"op_000000000000000000000001\",\"status\":\"void\",\"status\":\"applied\"}",
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct gateway_outcome out = read_body(bodies[i]);
        cr_expect_eq(out.result, GATEWAY_UNKNOWN, "%s", bodies[i]);
        cr_expect_str_eq(out.detail, "bad_answer", "%s", bodies[i]);
    }
    static const char *const amounts[] = {"", ",\"amount\":\"10000\"", ",\"amount\":1e4",
                                          ",\"amount\":10000.0"};
    for (size_t i = 0; i < sizeof(amounts) / sizeof(amounts[0]); i++) {
        char more[96];
        snprintf(more, sizeof(more), "%s,\"currency\":\"USD\"", amounts[i]);
        cr_expect_eq(read_status("applied", more).result, GATEWAY_UNKNOWN, "%s", amounts[i]);
    }
}

Test(gateway_answer, long_texts_are_cut_and_ended)
{
    char more[400] = ",\"decline_code\":\"";
    size_t at = strlen(more);
    memset(more + at, 'x', 300);
    memcpy(more + at + 300, "\"", 2);
    struct gateway_outcome out = read_status("declined", more);
    cr_expect_eq(strlen(out.decline_code), GATEWAY_TEXT_BYTES - 1);
}
