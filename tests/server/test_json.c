#include "server/json.h"

#include "server/json_out.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct json_arena arena;
static char first[1024];

static void set_up(void)
{
    json_init();
    json_arena_init(&arena, first, sizeof(first), 64 << 20);
}

static void tear_down(void)
{
    json_arena_fini(&arena);
}

TestSuite(json, .init = set_up, .fini = tear_down);

/* The text is copied to a block of its exact size, so that a read behind it is seen by AddressSanitizer. */
static enum json_fault fault_of(const char *text, size_t count)
{
    cJSON *root = NULL;
    struct json_error error = {0};
    char *exact = malloc(count == 0 ? 1 : count);
    memcpy(exact, text, count);
    bool ok = json_parse(&arena, (struct text){exact, count}, &json_limits_default, &root, &error);
    cr_expect_eq(ok, root != NULL);
    cr_expect_leq(error.offset, count);
    free(exact);
    return ok ? JSON_FAULT_NONE : error.fault;
}

static cJSON *parse(const char *text)
{
    cJSON *root = NULL;
    struct json_error error;
    cr_assert(json_parse(&arena, text_of(text), &json_limits_default, &root, &error), "%s: %s", text,
              json_fault_text(error.fault));
    return root;
}

struct row {
    const char *text;
    size_t count;
    enum json_fault fault;
};

#define BAD(text, fault)                           \
    {                                              \
        text, sizeof(text) - 1, JSON_FAULT_##fault \
    }

/* Whatever cJSON 1.7.15 lets pass, and the rest of what RFC 8259 and the API rule out. */
static const struct row refused[] = {
    BAD("", EMPTY),
    BAD(" \n\t\r ", EMPTY),
    BAD("01", NUMBER),
    BAD("-01", NUMBER),
    BAD("00", NUMBER),
    BAD("1.", NUMBER),
    BAD("-.5", NUMBER),
    BAD(".5", SYNTAX),
    BAD("+1", SYNTAX),
    BAD("-", NUMBER),
    BAD("--1", NUMBER),
    BAD("1e", NUMBER),
    BAD("1e+", NUMBER),
    BAD("1.e1", NUMBER),
    BAD("1.2.3", TRAILING),
    BAD("0x10", TRAILING),
    BAD("1 2", TRAILING),
    BAD("{} x", TRAILING),
    BAD("{}{}", TRAILING),
    BAD("{}\0", TRAILING),
    BAD("\0{}", SYNTAX),
    BAD("nullx", TRAILING),
    BAD("nul", SYNTAX),
    BAD("True", SYNTAX),
    BAD("NaN", SYNTAX),
    BAD("Infinity", SYNTAX),
    BAD("-Infinity", NUMBER),
    BAD("'a'", SYNTAX),
    BAD("\xEF\xBB\xBF{}", SYNTAX),
    BAD("\v1", SYNTAX),
    BAD("\xC2\xA0"
        "1",
        SYNTAX),
    BAD("\"a", SYNTAX),
    BAD("\"a\\", SYNTAX),
    BAD("\"a\\\"", SYNTAX),
    BAD("\"\t\"", CONTROL),
    BAD("\"12345678\n\"", CONTROL),
    BAD("\"\x1F\"", CONTROL),
    BAD("\"a\0b\"", NUL),
    BAD("\"a\\u0000b\"", NUL),
    BAD("{\"a\\u0000\":1}", NUL),
    BAD("\"\\x\"", ESCAPE),
    BAD("\"\\u12g4\"", ESCAPE),
    BAD("\"\\u12\"", ESCAPE),
    BAD("\"\\ud800\"", ESCAPE),
    BAD("\"\\ud800x\"", ESCAPE),
    BAD("\"\\ud800\\n\"", ESCAPE),
    BAD("\"\\ud800\\u0041\"", ESCAPE),
    BAD("\"\\udc00\"", ESCAPE),
    BAD("\"\\\n\"", ESCAPE),
    BAD("\"\x80\"", UTF8),
    BAD("\"\xC0\xAF\"", UTF8),
    BAD("\"\xE0\x80\xAF\"", UTF8),
    BAD("\"\xED\xA0\x80\"", UTF8),
    BAD("\"\xF4\x90\x80\x80\"", UTF8),
    BAD("\"\xC3\"", UTF8),
    BAD("\"12345678\xC3", UTF8),
    BAD("{\"\xFF\":1}", UTF8),
    BAD("{\"a\":1,\"a\":2}", REPEATED_KEY),
    BAD("{\"a\":1,\"b\":2,\"\\u0061\":3}", REPEATED_KEY),
    BAD("{\"\":1,\"\":2}", REPEATED_KEY),
    BAD("[{\"x\":{\"k\":1,\"k\":1}}]", REPEATED_KEY),
    BAD("{\"a\"}", SYNTAX),
    BAD("{\"a\":}", SYNTAX),
    BAD("{\"a\" 1}", SYNTAX),
    BAD("{\"a\":1,}", SYNTAX),
    BAD("{,\"a\":1}", SYNTAX),
    BAD("{a:1}", SYNTAX),
    BAD("{1:1}", SYNTAX),
    BAD("{", SYNTAX),
    BAD("{\"a\":1", SYNTAX),
    BAD("[1,]", SYNTAX),
    BAD("[,1]", SYNTAX),
    BAD("[1 2]", SYNTAX),
    BAD("[1", SYNTAX),
    BAD("[1}", SYNTAX),
    BAD("]", SYNTAX),
    BAD("[] // c", TRAILING),
};

Test(json, refuses_what_must_be_refused)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        enum json_fault fault = fault_of(refused[i].text, refused[i].count);
        cr_expect_eq(fault, refused[i].fault, "row %zu (%s): %s", i, refused[i].text, json_fault_text(fault));
        cr_expect_gt(strlen(json_fault_text(fault)), 0);
    }
}

Test(json, takes_what_rfc_8259_has)
{
    static const char *const good[] = {"0",
                                       "-0",
                                       "1",
                                       "-1",
                                       "1.5",
                                       "1.0",
                                       "1e2",
                                       "1E+2",
                                       "0.1e-2",
                                       "1e400",
                                       "12345678901234567890",
                                       "true",
                                       "false",
                                       "null",
                                       "\"\"",
                                       "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"",
                                       "\"\x7F\"",
                                       "\"\xF0\x9F\x98\x80\"",
                                       " [ ] ",
                                       "{ }",
                                       "[[],{},[{}]]",
                                       "{\"a\":1,\"A\":2}",
                                       "{\"a\":{\"a\":{\"a\":1}}}",
                                       "\"\\ufffe\\uffff\""};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        enum json_fault fault = fault_of(good[i], strlen(good[i]));
        cr_expect_eq(fault, JSON_FAULT_NONE, "%s: %s", good[i], json_fault_text(fault));
    }
}

Test(json, unescapes_to_utf8)
{
    cJSON *item = parse("\"a\\u00e9\\ud83d\\ude00\\u20ac\\n\\/\"");
    cr_expect_str_eq(item->valuestring, "a\xC3\xA9\xF0\x9F\x98\x80\xE2\x82\xAC\n/");
    cr_expect_eq(json_string(item).count, strlen(item->valuestring));
}

Test(json, nesting_ends_at_the_limit)
{
    char text[128] = "";
    for (int depth = 31; depth <= 33; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        cr_expect_eq(fault_of(text, 2 * (size_t)depth), depth <= 32 ? JSON_FAULT_NONE : JSON_FAULT_DEPTH,
                     "%d", depth);
    }
}

Test(json, values_end_at_the_limit)
{
    struct json_limits limits = json_limits_default;
    struct json_error error;
    cJSON *root;
    limits.tokens_max = 4;
    cr_expect(json_parse(&arena, TEXT("[1,2,3]"), &limits, &root, &error));
    cr_expect_not(json_parse(&arena, TEXT("[1,2,3,4]"), &limits, &root, &error));
    cr_expect_eq(error.fault, JSON_FAULT_TOO_MANY);
    limits.string_bytes_max = 3;
    cr_expect(json_parse(&arena, TEXT("\"abc\""), &limits, &root, &error));
    cr_expect_not(json_parse(&arena, TEXT("\"abcd\""), &limits, &root, &error));
    cr_expect_eq(error.fault, JSON_FAULT_TOO_LONG);
    cr_expect_not(json_parse(&arena, TEXT("12.5"), &limits, &root, &error));
    cr_expect_eq(error.fault, JSON_FAULT_TOO_LONG);
}

Test(json, a_number_of_any_length_is_json)
{
    struct json_error error;
    cJSON *root;
    char number[5000];
    memset(number, '1', sizeof(number));
    struct text text = {.bytes = number, .count = sizeof(number)};
    cr_assert(json_parse(&arena, text, &json_limits_default, &root, &error));
    int64_t value;
    cr_expect(cJSON_IsNumber(root) && !json_integer(root, &value), "a number, and no integer of ours");
    cr_expect(strlen(root->valuestring) == sizeof(number), "kept as it was written");
}

Test(json, memory_ends_at_the_limit)
{
    struct json_arena small;
    char buffer[256];
    cJSON *root;
    struct json_error error;
    json_arena_init(&small, buffer, sizeof(buffer), 0);
    cr_expect_not(json_parse(&small, TEXT("[1,2,3,4,5,6,7,8]"), &json_limits_default, &root, &error));
    cr_expect_eq(error.fault, JSON_FAULT_MEMORY);
    json_arena_fini(&small);
}

Test(json, large_objects_find_a_repeated_key_anywhere)
{
    static char text[20000];
    for (int repeat = -1; repeat < 300; repeat += 43) {
        size_t used = (size_t)sprintf(text, "{");
        for (int i = 0; i < 300; i++) {
            used += (size_t)sprintf(text + used, "\"key%d\":%d,", (i * 7919) % 300, i);
        }
        used += (size_t)sprintf(text + used, "\"key%d\":0}", repeat < 0 ? 1000 : repeat);
        cr_expect_eq(fault_of(text, used), repeat < 0 ? JSON_FAULT_NONE : JSON_FAULT_REPEATED_KEY, "%d",
                     repeat);
    }
}

Test(json, knows_exact_integers_from_other_numbers)
{
    static const struct {
        const char *text;
        bool integer;
        int64_t value;
    } cases[] = {{"0", true, 0},
                 {"-0", true, 0},
                 {"42", true, 42},
                 {"-42", true, -42},
                 {"9007199254740991", true, JSON_INTEGER_MAX},
                 {"-9007199254740991", true, -JSON_INTEGER_MAX},
                 {"9007199254740992", false, 0},
                 {"-9007199254740992", false, 0},
                 {"9999999999999999", false, 0},
                 {"10000000000000000", false, 0},
                 {"123456789012345678901234567890", false, 0},
                 {"1.5", false, 0},
                 {"1.0", false, 0},
                 {"1e2", false, 0},
                 {"1e400", false, 0},
                 {"\"1\"", false, 0},
                 {"true", false, 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t value = 77;
        cJSON *item = parse(cases[i].text);
        cr_expect_eq(json_integer(item, &value), cases[i].integer, "%s", cases[i].text);
        cr_expect_eq(value, cases[i].integer ? cases[i].value : 77, "%s", cases[i].text);
    }
    cr_expect(isinf(parse("1e400")->valuedouble));
    cr_expect_eq(parse("1.5")->valuedouble, 1.5);
}

Test(json, builds_a_tree_cjson_understands)
{
    static const char text[] = "{\"a\":[1,2.5,\"x\",null,true,{\"b\":[]}],\"c\":{\"d\":false}}";
    cJSON *root = parse(text);
    cJSON *theirs = cJSON_Parse(text);
    cr_expect(cJSON_Compare(root, theirs, 1));
    cr_expect_eq(cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(root, "a")), 6);
    cJSON *copy = cJSON_Duplicate(root, 1);
    json_arena_reset(&arena);
    cr_expect(cJSON_Compare(copy, theirs, 1));
    char *printed = cJSON_PrintUnformatted(copy);
    cr_expect_str_eq(printed, text);
    cJSON_free(printed);
    cJSON_Delete(copy);
    cJSON_Delete(theirs);
}

Test(json, documents_live_on_the_heap_and_keep_their_marks)
{
    cJSON *root = NULL;
    struct json_error error;
    char text[] =
        "{\"n\":9007199254740991,\"f\":1.50,\"big\":12345678901234567890,\"s\":\"\\u00e9\",\"l\":[1,[2],{}]}";
    cr_assert(json_document_parse(text_of(text), &json_limits_default, &root, &error));
    memset(text, 'x', sizeof(text) - 1);
    int64_t value = 0;
    cr_expect(json_integer(cJSON_GetObjectItemCaseSensitive(root, "n"), &value));
    cr_expect_eq(value, JSON_INTEGER_MAX);
    cr_expect_not(json_integer(cJSON_GetObjectItemCaseSensitive(root, "f"), &value));
    cr_expect_eq(json_string(cJSON_GetObjectItemCaseSensitive(root, "s")).count, 2);
    struct json_out out;
    json_out_init_growing(&out, 16, 4096);
    json_out_tree(&out, root);
    cr_expect(text_equal(json_out_text(&out),
                         TEXT("{\"n\":9007199254740991,\"f\":1.50,\"big\":12345678901234567890,"
                              "\"s\":\"\xC3\xA9\",\"l\":[1,[2],{}]}")));
    json_out_fini(&out);
    cJSON_Delete(root);
    cr_expect_not(json_document_parse(TEXT("{\"a\":1,\"a\":1}"), &json_limits_default, &root, &error));
    cr_expect_eq(error.fault, JSON_FAULT_REPEATED_KEY);
    cr_expect_not(json_document_parse(TEXT(""), &json_limits_default, &root, &error));
}

Test(json, an_arena_takes_what_cjson_makes)
{
    struct json_arena *outer = json_arena_swap(&arena);
    cr_expect_null(outer);
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "name", "value");
    cJSON_DeleteItemFromObjectCaseSensitive(object, "name");
    cJSON *parsed = cJSON_Parse("[1,2,3]");
    cr_expect(json_arena_owns(&arena, object));
    cr_expect(json_arena_owns(&arena, parsed));
    cr_expect_eq(json_arena_swap(outer), &arena);
    cJSON *heap = cJSON_CreateNull();
    cr_expect_not(json_arena_owns(&arena, heap));
    cJSON_Delete(heap);
}

Test(json, an_arena_is_bounded_and_reusable)
{
    struct json_arena small;
    json_arena_init(&small, NULL, 0, 10000);
    size_t taken = 0;
    while (json_arena_take(&small, 100) != NULL) {
        taken += 104;
    }
    cr_expect_leq(taken, 10000);
    cr_expect_geq(taken, 8000);
    cr_expect_null(json_arena_take(&small, SIZE_MAX));
    json_arena_reset(&small);
    void *again = json_arena_take(&small, 9000);
    cr_expect_not_null(again);
    cr_expect_eq((uintptr_t)again % 8, 0);
    json_arena_fini(&small);
}

/* ---- against cJSON: whatever is taken here, it must take and read alike ---- */

struct random {
    uint64_t state;
};

static uint64_t draw(struct random *r, uint64_t below)
{
    r->state = r->state * 6364136223846793005u + 1442695040888963407u;
    return (r->state >> 33) % below;
}

static void put_random(struct random *r, struct json_out *out, int depth);

static void put_random_string(struct random *r, struct json_out *out, bool key)
{
    char bytes[40];
    size_t count = draw(r, sizeof(bytes));
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (char)(draw(r, 3) == 0 ? 1 + draw(r, 255) : 'a' + draw(r, 26));
    }
    if (key) {
        json_out_key_text(out, (struct text){bytes, count});
    } else {
        json_out_text_value(out, (struct text){bytes, count});
    }
}

static void put_random(struct random *r, struct json_out *out, int depth)
{
    uint64_t kind = draw(r, depth > 5 ? 5 : 7);
    if (kind == 0) {
        json_out_int(out, (int64_t)(draw(r, UINT64_MAX) << draw(r, 64)));
    } else if (kind == 1) {
        put_random_string(r, out, false);
    } else if (kind == 2) {
        json_out_bool(out, draw(r, 2) == 1);
    } else if (kind == 3) {
        json_out_null(out);
    } else if (kind == 4) {
        json_out_time(out, (int64_t)draw(r, 4000000000) * 1000);
    } else if (kind == 5) {
        json_out_open_array(out);
        for (uint64_t i = draw(r, 6); i > 0; i--) {
            put_random(r, out, depth + 1);
        }
        json_out_close_array(out);
    } else {
        json_out_open_object(out);
        for (uint64_t i = draw(r, 6); i > 0; i--) {
            put_random_string(r, out, true);
            put_random(r, out, depth + 1);
        }
        json_out_close_object(out);
    }
}

Test(json, whatever_is_written_parses_back_alike_here_and_in_cjson)
{
    struct random r = {.state = 42};
    size_t repeated = 0;
    for (int round = 0; round < 20000; round++) {
        struct json_out out;
        struct json_error error;
        cJSON *ours = NULL;
        json_out_init_growing(&out, 64, 1 << 20);
        put_random(&r, &out, 0);
        struct text text = json_out_text(&out);
        cr_assert_not_null(text.bytes, "round %d", round);
        cJSON *theirs = cJSON_ParseWithLength(text.bytes, text.count);
        cr_assert_not_null(theirs, "round %d: %.*s", round, (int)text.count, text.bytes);
        if (json_parse(&arena, text, &json_limits_default, &ours, &error)) {
            cr_assert(cJSON_Compare(ours, theirs, 1), "round %d: %.*s", round, (int)text.count, text.bytes);
            struct json_out again;
            json_out_init_growing(&again, 64, 1 << 20);
            json_out_tree(&again, ours);
            cr_assert(text_equal(json_out_text(&again), text), "round %d: %.*s", round, (int)text.count,
                      text.bytes);
            json_out_fini(&again);
        } else {
            cr_assert_eq(error.fault, JSON_FAULT_REPEATED_KEY, "round %d: %s", round,
                         json_fault_text(error.fault));
            repeated++;
        }
        cJSON_Delete(theirs);
        json_out_fini(&out);
        json_arena_reset(&arena);
    }
    cr_expect_lt(repeated, 5000);
}
