#include "server/problem.h"

#include <criterion/criterion.h>
#include <string.h>

static char buffer[8192];

static cJSON *written(struct json_out *out)
{
    struct text text = json_out_text(out);
    cr_assert_not_null(text.bytes);
    cJSON *body = cJSON_ParseWithLength(text.bytes, text.count);
    cr_assert_not_null(body);
    return body;
}

static const char *string_of(const cJSON *body, const char *name)
{
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(body, name));
    return value == NULL ? "(none)" : value;
}

Test(problem, every_code_has_its_own_text_title_and_an_error_status)
{
    for (int a = PROBLEM_NONE + 1; a < PROBLEM_CODES_COUNT; a++) {
        enum problem_code code = (enum problem_code)a;
        const char *text = problem_code_text(code);
        cr_expect_geq(problem_status(code), 400u);
        cr_expect_lt(problem_status(code), 600u);
        cr_expect_gt(strlen(problem_title(code)), 0);
        cr_expect_lt(strlen(text), 60);
        cr_expect_eq(strspn(text, "abcdefghijklmnopqrstuvwxyz-"), strlen(text), "%s", text);
        cr_expect_eq(problem_by_text(text_of(text)), code, "%s twice", text);
        for (int b = a + 1; b < PROBLEM_CODES_COUNT; b++) {
            cr_expect_str_neq(problem_title(code), problem_title((enum problem_code)b));
        }
    }
    cr_expect_eq(problem_by_text(TEXT("no-such-code")), PROBLEM_NONE);
    cr_expect_eq(problem_by_text(TEXT("")), PROBLEM_NONE);
}

Test(problem, has_the_codes_and_statuses_of_the_contract)
{
    static const struct {
        const char *code;
        unsigned status;
    } rows[] = {{"invalid-json", 400},
                {"invalid-request", 422},
                {"method-not-allowed", 405},
                {"not-found", 404},
                {"overloaded", 503},
                {"timeout", 504},
                {"invalid-path", 400},
                {"version-conflict", 412},
                {"unauthorized", 401},
                {"forbidden", 403},
                {"policy-protected", 409},
                {"policy-not-found", 404},
                {"rate-limited", 429},
                {"cost-exceeds-limit", 422},
                {"limiter-full", 503},
                {"card-declined", 402},
                {"gateway-declined", 402},
                {"payment-not-found", 404},
                {"invalid-event", 409},
                {"terminal-state", 409},
                {"operation-in-progress", 409},
                {"invalid-amount", 422},
                {"idempotency-key-reused", 422},
                {"idempotency-key-in-use", 409},
                {"config-key-not-found", 404},
                {"config-conflict", 409},
                {"config-invalid", 422},
                {"revision-compacted", 410},
                {"source-failed", 502},
                {"process-not-found", 404}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum problem_code code = problem_by_text(text_of(rows[i].code));
        cr_expect_neq(code, PROBLEM_NONE, "%s", rows[i].code);
        cr_expect_eq(problem_status(code), rows[i].status, "%s", rows[i].code);
    }
}

Test(problem, the_body_is_rfc_9457_with_our_members)
{
    struct json_out out;
    json_out_init(&out, buffer, sizeof(buffer));
    problem_write(&out, &(struct problem){.code = PROBLEM_NOT_FOUND,
                                          .detail = TEXT("no \"such\" path"),
                                          .request_id = TEXT("r-1")});
    cr_expect(text_equal(
        json_out_text(&out),
        TEXT("{\"type\":\"urn:troupe:problem:not-found\",\"title\":\"Not found\",\"status\":404,"
             "\"detail\":\"no \\\"such\\\" path\",\"code\":\"not-found\",\"request_id\":\"r-1\"}")));
}

Test(problem, without_a_detail_the_title_stands_there)
{
    struct json_out out;
    json_out_init(&out, buffer, sizeof(buffer));
    problem_write(&out, &(struct problem){.code = PROBLEM_OVERLOADED, .request_id = TEXT("r")});
    cJSON *body = written(&out);
    cr_expect_str_eq(string_of(body, "detail"), "Overloaded");
    cJSON_Delete(body);
}

Test(problem, lists_errors_and_tells_of_omitted_ones)
{
    static struct json_errors errors;
    struct json_where where = {.name = "checks"};
    struct json_out out;
    json_errors_init(&errors);
    json_errors_add(&errors, &where, "a/b", "bad %s", "\xFF");
    json_errors_add_query(&errors, TEXT("cost"), "is not a known query parameter");
    errors.dropped = 3;
    json_out_init(&out, buffer, sizeof(buffer));
    problem_write(
        &out, &(struct problem){.code = PROBLEM_INVALID_REQUEST, .request_id = TEXT("r"), .errors = &errors});
    cJSON *body = written(&out);
    cJSON *list = cJSON_GetObjectItemCaseSensitive(body, "errors");
    cr_assert_eq(cJSON_GetArraySize(list), 2);
    cr_expect_str_eq(string_of(cJSON_GetArrayItem(list, 0), "pointer"), "/checks/a~1b");
    cr_expect_str_eq(string_of(cJSON_GetArrayItem(list, 0), "detail"), "bad \xEF\xBF\xBD");
    cr_expect_str_eq(string_of(cJSON_GetArrayItem(list, 1), "pointer"), "/cost");
    cr_expect_str_eq(string_of(cJSON_GetArrayItem(list, 1), "in"), "query");
    cr_expect_eq(cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(body, "errors_omitted")), 3);
    cJSON_Delete(body);
}

Test(problem, takes_members_of_its_own)
{
    struct json_out out;
    json_out_init(&out, buffer, sizeof(buffer));
    problem_begin(&out, &(struct problem){.code = PROBLEM_RATE_LIMITED, .request_id = TEXT("r")});
    json_out_member_bool(&out, "allowed", false);
    json_out_member_int(&out, "retry_after_ms", 100);
    problem_end(&out);
    cJSON *body = written(&out);
    cr_expect(cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(body, "allowed")));
    cr_expect_str_eq(string_of(body, "code"), "rate-limited");
    cJSON_Delete(body);
}

Test(problem, an_unknown_code_is_our_own_error)
{
    cr_expect_eq(problem_status(PROBLEM_NONE), 500u);
    cr_expect_str_eq(problem_code_text((enum problem_code)9999), "internal-error");
}
