#include "server/json_shape.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct json_arena arena;
static struct json_errors errors;

static void set_up(void)
{
    json_init();
    json_arena_init(&arena, NULL, 0, 16 << 20);
    json_errors_init(&errors);
}

static void tear_down(void)
{
    json_arena_fini(&arena);
}

TestSuite(json_shape, .init = set_up, .fini = tear_down);

struct refill {
    int64_t amount;
    int style;
};

struct policy {
    struct text name;
    int64_t limit;
    bool shadow;
    const cJSON *refill;
    const cJSON *tags;
    const cJSON *any;
};

static const char *const styles[] = {"gradual", "interval", NULL};

static const struct json_member refill_members[] = {
    JSON_MEMBER("amount", JSON_INT, struct refill, amount, .required = true, .min = 1, .max = INT32_MAX),
    JSON_MEMBER("style", JSON_WORD, struct refill, style, .words = styles),
};
static const struct json_shape refill_shape = JSON_SHAPE(refill_members);

static const struct json_member policy_members[] = {
    JSON_MEMBER("name", JSON_TEXT, struct policy, name, .nullable = true, .min = 1, .max = 8),
    JSON_MEMBER("limit", JSON_INT, struct policy, limit, .required = true),
    JSON_MEMBER("shadow", JSON_BOOL, struct policy, shadow),
    JSON_MEMBER("refill", JSON_OBJECT, struct policy, refill),
    JSON_MEMBER("tags", JSON_ARRAY, struct policy, tags, .min = 1, .max = 2),
    JSON_MEMBER("any", JSON_ANY, struct policy, any),
};
static const struct json_shape policy_shape = JSON_SHAPE(policy_members);

static cJSON *parse(const char *text)
{
    cJSON *root = NULL;
    struct json_error error;
    cr_assert(json_parse(&arena, text_of(text), &json_limits_default, &root, &error), "%s", text);
    return root;
}

static bool has_error(const char *pointer, const char *detail)
{
    for (size_t i = 0; i < errors.count; i++) {
        if (text_equal(errors.items[i].pointer, text_of(pointer)) &&
            text_equal(errors.items[i].detail, text_of(detail))) {
            return true;
        }
    }
    return false;
}

Test(json_shape, reads_members_and_leaves_defaults)
{
    struct policy policy = {.limit = -1, .shadow = true, .name = TEXT("kept")};
    cr_assert(
        json_read_object(parse("{\"limit\":9007199254740991,\"refill\":{\"amount\":5,\"style\":\"interval\"},"
                               "\"tags\":[1],\"any\":null,\"name\":null}"),
                         NULL, &policy_shape, &policy, &errors));
    cr_expect_eq(errors.count, 0);
    cr_expect_eq(policy.limit, JSON_INTEGER_MAX);
    cr_expect(policy.shadow);
    cr_expect(text_equal(policy.name, TEXT("kept")));
    cr_expect(cJSON_IsNull(policy.any));
    struct refill refill = {.style = 0};
    struct json_where where = {.name = "refill"};
    cr_assert(json_read_object(policy.refill, &where, &refill_shape, &refill, &errors));
    cr_expect_eq(refill.amount, 5);
    cr_expect_eq(refill.style, 1);
}

Test(json_shape, reports_every_misfit_with_its_pointer)
{
    struct policy policy = {.limit = -1};
    cr_expect_not(json_read_object(
        parse("{\"a/b~c\":1,\"\":2,\"name\":\"123456789\",\"shadow\":1,\"refill\":[],\"tags\":[1,2,3]}"),
        NULL, &policy_shape, &policy, &errors));
    cr_expect(has_error("/a~1b~0c", "is not a known member"));
    cr_expect(has_error("/", "is not a known member"));
    cr_expect(has_error("/name", "must be 1 to 8 bytes long"));
    cr_expect(has_error("/shadow", "must be true or false"));
    cr_expect(has_error("/refill", "must be an object"));
    cr_expect(has_error("/tags", "must have 1 to 2 items"));
    cr_expect(has_error("/limit", "is required"));
    cr_expect_eq(errors.count, 7);
    cr_expect_eq(policy.limit, -1);
}

Test(json_shape, points_into_nested_values)
{
    struct json_where checks = {.name = "checks"};
    struct json_where third = {.parent = &checks, .index = 3};
    struct refill refill;
    cr_expect_not(
        json_read_object(parse("{\"amount\":0,\"style\":\"x\"}"), &third, &refill_shape, &refill, &errors));
    cr_expect(has_error("/checks/3/amount", "must be an integer from 1 to 2147483647"));
    cr_expect(has_error("/checks/3/style", "must be one of: gradual, interval"));
    json_errors_add(&errors, &third, NULL, "cost %d exceeds", 5);
    cr_expect(has_error("/checks/3", "cost 5 exceeds"));
}

Test(json_shape, the_wrong_document_type_points_at_the_document)
{
    static const char *const documents[] = {"[]", "1", "null", "\"{}\"", "true"};
    for (size_t i = 0; i < 5; i++) {
        struct policy policy;
        json_errors_init(&errors);
        cr_expect_not(json_read_object(parse(documents[i]), NULL, &policy_shape, &policy, &errors));
        cr_expect_eq(errors.count, 1);
        cr_expect(has_error("", "must be an object"));
    }
}

Test(json_shape, integers_are_digits_only)
{
    static const char *const bad[] = {"1.5",
                                      "1.0",
                                      "1e2",
                                      "1e400",
                                      "\"1\"",
                                      "true",
                                      "null",
                                      "[]",
                                      "{}",
                                      "9007199254740992",
                                      "-9007199254740992"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[64];
        struct policy policy = {.limit = -1};
        json_errors_init(&errors);
        sprintf(text, "{\"limit\":%s}", bad[i]);
        cr_expect_not(json_read_object(parse(text), NULL, &policy_shape, &policy, &errors), "%s", text);
        cr_expect_eq(errors.count, 1);
        cr_expect(text_equal(errors.items[0].pointer, TEXT("/limit")));
        cr_expect_eq(policy.limit, -1);
    }
}

Test(json_shape, names_are_case_sensitive)
{
    struct policy policy;
    cr_expect_not(json_read_object(parse("{\"Limit\":1}"), NULL, &policy_shape, &policy, &errors));
    cr_expect(has_error("/Limit", "is not a known member"));
    cr_expect(has_error("/limit", "is required"));
}

Test(json_shape, many_and_huge_errors_are_counted_not_overrun)
{
    static char text[70000];
    struct policy policy;
    size_t used = (size_t)sprintf(text, "{\"limit\":1");
    for (int i = 0; i < 1000; i++) {
        used += (size_t)sprintf(text + used, ",\"unknown%d\":1", i);
    }
    (void)sprintf(text + used, "}");
    cr_expect_not(json_read_object(parse(text), NULL, &policy_shape, &policy, &errors));
    cr_expect_eq(errors.count, JSON_ERRORS_MAX);
    cr_expect_eq(errors.count + errors.dropped, 1000);
    memset(text, 'k', 60000);
    memcpy(text, "{\"limit\":1,\"", 12);
    strcpy(text + 60000, "\":1}");
    json_errors_init(&errors);
    cr_expect_not(json_read_object(parse(text), NULL, &policy_shape, &policy, &errors));
    cr_expect(has_error("", "is not a known member"));
}

Test(json_shape, a_first_error_whose_name_fills_the_list_is_kept_all_the_same)
{
    /* Found by fuzzing: the pointer fitted, its detail did not, and a refused document looked accepted. */
    for (size_t length = JSON_ERRORS_BYTES - 80; length < JSON_ERRORS_BYTES + 80; length++) {
        char text[JSON_ERRORS_BYTES + 200];
        int bytes = snprintf(text, sizeof(text), "{\"%0*d\":1}", (int)length, 0);
        cJSON *root = NULL;
        struct json_error error;
        cr_assert(json_parse(&arena, (struct text){.bytes = text, .count = (size_t)bytes},
                             &json_limits_default, &root, &error));
        json_errors_init(&errors);
        cr_assert_not(json_read_object(root, NULL, &(struct json_shape){0}, NULL, &errors));
        cr_assert_eq(errors.count, 1, "a name of %zu bytes", length);
        cr_assert_gt(errors.items[0].detail.count, 0);
        json_arena_reset(&arena);
    }
}

Test(json_shape, query_parameters_have_their_own_kind_of_error)
{
    json_errors_add_query(&errors, TEXT("co/st"), "is not a known query parameter");
    cr_expect(has_error("/co~1st", "is not a known query parameter"));
    cr_expect(errors.items[0].in_query);
}

Test(json_shape, tells_a_given_member_from_an_absent_one)
{
    cJSON *object = parse("{\"a\":1,\"b\":null}");
    cr_expect(json_has_member(object, "a"));
    cr_expect_not(json_has_member(object, "A"));
    cr_expect_not(json_has_member(object, "b"));
    cr_expect_not(json_has_member(object, "c"));
}
