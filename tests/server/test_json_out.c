#include "server/digits.h"
#include "server/json_out.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect(struct json_out *out, const char *text)
{
    struct text written = json_out_text(out);
    cr_expect(text_equal(written, text_of(text)), "%.*s", (int)written.count,
              written.bytes == NULL ? "" : written.bytes);
    json_out_fini(out);
}

Test(json_out, writes_every_kind_with_commas_where_they_belong)
{
    struct json_out out;
    char buffer[512];
    json_out_init(&out, buffer, sizeof(buffer));
    json_out_open_object(&out);
    json_out_member_bool(&out, "allowed", true);
    json_out_member_string(&out, "policy", "default");
    json_out_member_int(&out, "remaining", -99);
    json_out_member_null(&out, "retry_after_ms");
    json_out_member_string(&out, "none", NULL);
    json_out_key(&out, "list");
    json_out_open_array(&out);
    json_out_open_object(&out);
    json_out_close_object(&out);
    json_out_open_array(&out);
    json_out_close_array(&out);
    json_out_int(&out, 1);
    json_out_raw(&out, TEXT("{\"x\":2}"));
    json_out_close_array(&out);
    json_out_member_time(&out, "at", 1738367999123);
    json_out_close_object(&out);
    expect(&out,
           "{\"allowed\":true,\"policy\":\"default\",\"remaining\":-99,\"retry_after_ms\":null,\"none\":null,"
           "\"list\":[{},[],1,{\"x\":2}],\"at\":\"2025-01-31T23:59:59.123Z\"}");
}

Test(json_out, integers_come_out_as_digits_whatever_their_size)
{
    static const struct {
        int64_t value;
        const char *text;
    } cases[] = {{0, "0"},
                 {9, "9"},
                 {10, "10"},
                 {99, "99"},
                 {100, "100"},
                 {-1, "-1"},
                 {1700000000000010, "1700000000000010"},
                 {5000000000000001, "5000000000000001"},
                 {JSON_INTEGER_MAX, "9007199254740991"},
                 {INT64_MAX, "9223372036854775807"},
                 {INT64_MIN, "-9223372036854775808"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct json_out out;
        char buffer[32];
        json_out_init(&out, buffer, sizeof(buffer));
        json_out_int(&out, cases[i].value);
        expect(&out, cases[i].text);
    }
    struct json_out out;
    char buffer[32];
    json_out_init(&out, buffer, sizeof(buffer));
    json_out_uint(&out, UINT64_MAX);
    expect(&out, "18446744073709551615");
}

Test(json_out, strings_are_escaped_and_always_valid_utf8)
{
    static const struct {
        struct text value;
        const char *text;
    } cases[] = {{{"", 0}, "\"\""},
                 {{"plain text longer than eight", 28}, "\"plain text longer than eight\""},
                 {{"a\"b\\c/d", 7}, "\"a\\\"b\\\\c/d\""},
                 {{"\b\f\n\r\t\x01\x1F\x7F", 8}, "\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7F\""},
                 {{"a\0b", 3}, "\"a\\u0000b\""},
                 {{"\xC3\xA9\xF0\x9F\x98\x80", 6}, "\"\xC3\xA9\xF0\x9F\x98\x80\""},
                 {{"\xC3", 1}, "\"\xEF\xBF\xBD\""},
                 {{"a\xFFz", 3}, "\"a\xEF\xBF\xBDz\""},
                 {{"\xED\xA0\x80", 3}, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct json_out out;
        json_out_init_growing(&out, 1, 4096);
        json_out_text_value(&out, cases[i].value);
        expect(&out, cases[i].text);
    }
}

Test(json_out, never_writes_behind_its_buffer)
{
    for (size_t size = 0; size < 20; size++) {
        struct json_out out;
        char *buffer = malloc(size == 0 ? 1 : size);
        json_out_init(&out, buffer, size);
        json_out_open_array(&out);
        json_out_text_value(&out, TEXT("\x01q"));
        json_out_int(&out, -12345);
        json_out_close_array(&out);
        cr_expect_eq(json_out_text(&out).bytes != NULL, size >= 18, "%zu", size);
        cr_expect_eq(out.failed, size < 18);
        free(buffer);
    }
}

Test(json_out, grows_up_to_its_limit_and_gives_the_buffer_away)
{
    struct json_out out;
    size_t count = 0;
    json_out_init_growing(&out, 0, 1000);
    json_out_open_array(&out);
    for (int i = 0; i < 450; i++) {
        json_out_int(&out, 1);
    }
    json_out_close_array(&out);
    char *bytes = json_out_take(&out, &count);
    cr_assert_not_null(bytes);
    cr_expect_eq(count, 901);
    cr_expect_eq(bytes[900], ']');
    free(bytes);
    json_out_fini(&out);
    json_out_init_growing(&out, 0, 1000);
    json_out_open_array(&out);
    for (int i = 0; i < 600; i++) {
        json_out_int(&out, 1);
    }
    json_out_close_array(&out);
    cr_expect_null(json_out_take(&out, &count));
    cr_expect(out.failed);
    json_out_fini(&out);
}

/* ---- calls that do not nest ---- */

static void value_without_key(struct json_out *out)
{
    json_out_open_object(out);
    json_out_int(out, 1);
    json_out_close_object(out);
}

static void key_in_array(struct json_out *out)
{
    json_out_open_array(out);
    json_out_key(out, "a");
    json_out_int(out, 1);
    json_out_close_array(out);
}

static void two_keys(struct json_out *out)
{
    json_out_open_object(out);
    json_out_key(out, "a");
    json_out_key(out, "b");
    json_out_int(out, 1);
    json_out_close_object(out);
}

static void key_without_value(struct json_out *out)
{
    json_out_open_object(out);
    json_out_key(out, "a");
    json_out_close_object(out);
}

static void wrong_close(struct json_out *out)
{
    json_out_open_array(out);
    json_out_close_object(out);
}

static void close_too_many(struct json_out *out)
{
    json_out_open_array(out);
    json_out_close_array(out);
    json_out_close_array(out);
}

static void two_documents(struct json_out *out)
{
    json_out_int(out, 1);
    json_out_int(out, 2);
}

static void left_open(struct json_out *out)
{
    json_out_open_array(out);
}

static void key_alone(struct json_out *out)
{
    json_out_key(out, "a");
}

static void nothing(struct json_out *out)
{
    (void)out;
}

static void too_deep(struct json_out *out)
{
    for (int i = 0; i < JSON_OUT_DEPTH_MAX + 1; i++) {
        json_out_open_array(out);
    }
    for (int i = 0; i < JSON_OUT_DEPTH_MAX + 1; i++) {
        json_out_close_array(out);
    }
}

Test(json_out, calls_that_do_not_nest_give_no_text)
{
    static void (*const wrong[])(struct json_out *) = {
        value_without_key, key_in_array, two_keys,  key_without_value, wrong_close, close_too_many,
        two_documents,     left_open,    key_alone, nothing,           too_deep};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct json_out out;
        char buffer[512];
        json_out_init(&out, buffer, sizeof(buffer));
        wrong[i](&out);
        cr_expect_null(json_out_text(&out).bytes, "%zu", i);
    }
}

Test(json_out, trees_of_any_origin_come_out_as_json)
{
    struct json_out out;
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "id", 1700000000000010.0);
    cJSON_AddNumberToObject(object, "half", 0.5);
    cJSON_AddNumberToObject(object, "inf", INFINITY);
    cJSON_AddStringToObject(object, "bad", "\xFF");
    cJSON_AddItemToObject(object, "raw", cJSON_CreateRaw("[1]"));
    cJSON_AddItemToObject(object, "list", cJSON_CreateIntArray((const int[]){1, 2}, 2));
    json_out_init_growing(&out, 0, 4096);
    json_out_tree(&out, object);
    expect(&out, "{\"id\":1700000000000010,\"half\":0.5,\"inf\":null,\"bad\":\"\xEF\xBF\xBD\",\"raw\":[1],"
                 "\"list\":[1,2]}");
    cJSON_Delete(object);
}

Test(json_out, trees_deeper_than_the_limit_fail)
{
    cJSON *root = cJSON_CreateArray();
    for (int i = 0; i < 100; i++) {
        cJSON *outer = cJSON_CreateArray();
        cJSON_AddItemToArray(outer, root);
        root = outer;
    }
    struct json_out out;
    json_out_init_growing(&out, 0, 4096);
    json_out_tree(&out, root);
    cr_expect_null(json_out_text(&out).bytes);
    json_out_fini(&out);
    cJSON_Delete(root);
}

Test(json_out, a_spilling_writer_goes_on_in_the_heap_when_the_buffer_is_full)
{
    for (size_t room = 0; room <= 40; room++) {
        char buffer[64];
        struct json_out out;
        memset(buffer, '#', sizeof(buffer));
        json_out_init_spilling(&out, buffer, room, 4096);
        json_out_open_object(&out);
        json_out_member_string(&out, "name", "0123456789");
        json_out_member_int(&out, "number", -12345);
        json_out_close_object(&out);
        size_t count = 0;
        char *bytes = json_out_take(&out, &count);
        static const char wanted[] = "{\"name\":\"0123456789\",\"number\":-12345}";
        cr_assert_not_null(bytes);
        cr_expect(count == strlen(wanted) && memcmp(bytes, wanted, count) == 0);
        cr_expect((bytes == buffer) == (room >= count), "%zu", room);
        cr_expect(buffer[room] == '#', "written beyond %zu", room);
        if (bytes != buffer) {
            free(bytes);
        }
        json_out_fini(&out);
    }
}

Test(json_out, a_spilling_writer_that_was_not_taken_frees_its_heap_only)
{
    char buffer[8];
    struct json_out out;
    json_out_init_spilling(&out, buffer, sizeof(buffer), 4096);
    json_out_text_value(&out, TEXT("longer than the buffer"));
    cr_expect(json_out_text(&out).count == 24);
    json_out_fini(&out);
    json_out_init_spilling(&out, buffer, sizeof(buffer), 10);
    json_out_text_value(&out, TEXT("longer than the most"));
    cr_expect(out.failed);
    json_out_fini(&out);
}

Test(json_out, reserved_members_stand_among_the_others)
{
    char buffer[64];
    struct json_out out;
    json_out_init(&out, buffer, sizeof(buffer));
    json_out_open_object(&out);
    char *at = json_out_reserve(&out, 10);
    cr_assert_not_null(at);
    json_out_commit(&out, text_put(at, TEXT("\"a\":1")));
    json_out_member_int(&out, "b", 2);
    json_out_close_object(&out);
    cr_expect(text_equal(json_out_text(&out), TEXT("{\"a\":1,\"b\":2}")));
    json_out_init(&out, buffer, sizeof(buffer));
    json_out_open_object(&out);
    json_out_key(&out, "a");
    cr_expect_null(json_out_reserve(&out, 10), "a value is due");
    json_out_init(&out, buffer, sizeof(buffer));
    cr_expect_null(json_out_reserve(&out, sizeof(buffer) + 1));
}

Test(json_out, digits_are_those_of_printf)
{
    uint64_t number = 1;
    for (int i = 0; i < 200; i++) {
        const uint64_t near[] = {number - 1, number, number + 1, UINT64_MAX - number, UINT64_MAX};
        for (size_t k = 0; k < sizeof(near) / sizeof(near[0]); k++) {
            char ours[DIGITS_MAX + 1] = {0};
            char theirs[DIGITS_MAX + 1];
            char *end = digits_put(ours, near[k]);
            int count = snprintf(theirs, sizeof(theirs), "%llu", (unsigned long long)near[k]);
            cr_expect(end == ours + count && strcmp(ours, theirs) == 0, "%s, wanted %s", ours, theirs);
        }
        number = i % 2 == 0 ? number * 3 : number + number / 7; /* all lengths come by */
        number = number == 0 ? 1 : number;
    }
    for (uint64_t power = 1, i = 0; i < 20; i++, power *= 10) {
        char ours[DIGITS_MAX + 1] = {0};
        digits_put(ours, power);
        cr_expect(strlen(ours) == i + 1);
        memset(ours, 0, sizeof(ours));
        digits_put(ours, power - 1);
        cr_expect(strlen(ours) == (i == 0 ? 1 : i));
    }
}
