/* JsonLogic against a table of what json-logic-js and flagd answer. */
#include "api/flags/flag.h"
#include "api/flags/rule.h"
#include "server/json_out.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct json_arena arena;

static void begin(void)
{
    json_init();
    json_arena_init(&arena, NULL, 0, (size_t)64 << 20);
}

static void end(void)
{
    json_arena_fini(&arena);
}

TestSuite(rule, .init = begin, .fini = end);

static cJSON *parsed(const char *text)
{
    struct json_error error;
    cJSON *root = NULL;
    cr_assert(json_parse(&arena, text_of(text), &json_limits_default, &root, &error), "%s", text);
    return root;
}

static bool compiled(rule_build *build, const char *rule)
{
    struct json_errors errors;
    json_errors_init(&errors);
    *build = (rule_build){.nodes = json_arena_take(&arena, RULE_NODES_MAX * sizeof(rule_node)),
                          .nodes_max = RULE_NODES_MAX,
                          .texts = json_arena_take(&arena, strlen(rule) + 1),
                          .texts_max = strlen(rule)};
    bool ok = rule_compile(build, parsed(rule), NULL, &errors);
    cr_assert_eq(ok, errors.count == 0);
    return ok;
}

static enum rule_outcome ran(const char *rule, const char *context, rule_value *value)
{
    rule_build build;
    cr_assert(compiled(&build, rule), "%s", rule);
    return rule_run(&(rule_run_args){.nodes = build.nodes,
                                     .texts = build.texts,
                                     .context = parsed(context),
                                     .flag_key = TEXT("banner"),
                                     .now_s = 1700000000,
                                     .arena = &arena,
                                     .steps = RULE_STEPS_MAX,
                                     .bytes = RULE_BYTES_MAX},
                    value);
}

static void write_value(struct json_out *out, const rule_value *value)
{
    switch ((enum rule_value_kind)value->kind) {
    case RULE_IS_NULL:
        json_out_null(out);
        break;
    case RULE_IS_BOOL:
        json_out_bool(out, value->truth);
        break;
    case RULE_IS_NUMBER:
        json_out_tree(out, &(cJSON){.type = cJSON_Number, .valuedouble = value->is.number});
        break;
    case RULE_IS_TEXT:
        json_out_text_value(out, rule_value_text(value));
        break;
    case RULE_IS_LIST:
        json_out_open_array(out);
        for (uint32_t i = 0; i < value->count; i++) {
            write_value(out, &value->is.items[i]);
        }
        json_out_close_array(out);
        break;
    default:
        json_out_text_value(out, TEXT("object"));
    }
}

/* rule, context, value; what is no number (NaN, infinite) is written as null */
static const char *const table[][3] = {
    /* truth */
    {"{\"!!\":[[]]}", "{}", "false"},
    {"{\"!!\":[[0]]}", "{}", "true"},
    {"{\"!!\":[\"0\"]}", "{}", "true"},
    {"{\"!!\":[\"\"]}", "{}", "false"},
    {"{\"!!\":[0]}", "{}", "false"},
    {"{\"!!\":{\"var\":\"a\"}}", "{\"a\":{}}", "true"},
    {"{\"!\":[null]}", "{}", "true"},
    {"{\"!\":{\"-\":[\"x\",1]}}", "{}", "true"},
    /* equality */
    {"{\"==\":[1,\"1\"]}", "{}", "true"},
    {"{\"==\":[1,\" 1.0 \"]}", "{}", "true"},
    {"{\"==\":[0,\"\"]}", "{}", "true"},
    {"{\"==\":[0,false]}", "{}", "true"},
    {"{\"==\":[\"0\",false]}", "{}", "true"},
    {"{\"==\":[\"1\",true]}", "{}", "true"},
    {"{\"==\":[\"true\",true]}", "{}", "false"},
    {"{\"==\":[null,0]}", "{}", "false"},
    {"{\"==\":[null,false]}", "{}", "false"},
    {"{\"==\":[null,{\"var\":\"x\"}]}", "{}", "true"},
    {"{\"==\":[\"1,2\",[1,2]]}", "{}", "true"},
    {"{\"==\":[[1],1]}", "{}", "true"},
    {"{\"==\":[[],0]}", "{}", "true"},
    {"{\"==\":[16,\"0x10\"]}", "{}", "true"},
    {"{\"==\":[{\"var\":\"a\"},\"[object Object]\"]}", "{\"a\":{}}", "true"},
    {"{\"===\":[1,\"1\"]}", "{}", "false"},
    {"{\"===\":[1,1.0]}", "{}", "true"},
    {"{\"!=\":[1,\"1\"]}", "{}", "false"},
    {"{\"!==\":[1,\"1\"]}", "{}", "true"},
    /* order */
    {"{\"<\":[\"10\",\"9\"]}", "{}", "true"},
    {"{\"<\":[\"10\",9]}", "{}", "false"},
    {"{\"<\":[1,\"x\"]}", "{}", "false"},
    {"{\">=\":[1,\"x\"]}", "{}", "false"},
    {"{\"<\":[null,1]}", "{}", "true"},
    {"{\"<=\":[null,0]}", "{}", "true"},
    {"{\"<\":[1,5,10]}", "{}", "true"},
    {"{\"<\":[1,11,10]}", "{}", "false"},
    {"{\"<=\":[1,1,10]}", "{}", "true"},
    {"{\">\":[2,true]}", "{}", "true"},
    {"{\"max\":[1,\"3\",2]}", "{}", "3"},
    {"{\"max\":[1,\"x\"]}", "{}", "null"},
    {"{\"min\":[1,null]}", "{}", "0"},
    /* arithmetic */
    {"{\"+\":[1,\"2\",3]}", "{}", "6"},
    {"{\"+\":\"3.5kg\"}", "{}", "3.5"},
    {"{\"+\":[1,null]}", "{}", "null"},
    {"{\"*\":[2,\"3x\"]}", "{}", "6"},
    {"{\"-\":[2]}", "{}", "-2"},
    {"{\"-\":[\"5\",null]}", "{}", "5"},
    {"{\"/\":[7,2]}", "{}", "3.5"},
    {"{\"/\":[1,0]}", "{}", "null"},
    {"{\"%\":[-7,3]}", "{}", "-1"},
    /* logic */
    {"{\"and\":[1,\"\",3]}", "{}", "\"\""},
    {"{\"and\":[1,2]}", "{}", "2"},
    {"{\"or\":[0,\"\",\"x\"]}", "{}", "\"x\""},
    {"{\"or\":[0,false]}", "{}", "false"},
    {"{\"if\":[false,\"a\"]}", "{}", "null"},
    {"{\"if\":[\"alone\"]}", "{}", "\"alone\""},
    {"{\"if\":[false,\"a\",false,\"b\",\"c\"]}", "{}", "\"c\""},
    {"{\"if\":[false,\"a\",true,\"b\",\"c\"]}", "{}", "\"b\""},
    {"{\"?:\":[[],\"a\",\"b\"]}", "{}", "\"b\""},
    /* var */
    {"{\"var\":\"a.b.1\"}", "{\"a\":{\"b\":[1,2]}}", "2"},
    {"{\"var\":[\"x\",7]}", "{}", "7"},
    {"{\"var\":[\"x\",7]}", "{\"x\":null}", "null"},
    {"{\"var\":[\"x.y\",7]}", "{\"x\":null}", "7"},
    {"{\"var\":\"\"}", "{}", "\"object\""},
    {"{\"var\":\"$flagd.flagKey\"}", "{\"$flagd\":{\"flagKey\":\"forged\"}}", "\"banner\""},
    {"{\"var\":\"$flagd.timestamp\"}", "{}", "1700000000"},
    {"{\"var\":{\"cat\":[\"a\",\".\",0]}}", "{\"a\":[5]}", "5"},
    {"{\"missing\":[\"a\",\"b\",\"c\"]}", "{\"a\":1,\"b\":\"\"}", "[\"b\",\"c\"]"},
    {"{\"missing\":[[\"a\"]]}", "{}", "[\"a\"]"},
    {"{\"missing_some\":[1,[\"a\",\"b\"]]}", "{\"a\":1}", "[]"},
    {"{\"missing_some\":[2,[\"a\",\"b\"]]}", "{\"a\":1}", "[\"b\"]"},
    /* arrays */
    {"{\"map\":[{\"var\":\"l\"},{\"*\":[{\"var\":\"\"},2]}]}", "{\"l\":[1,2,3]}", "[2,4,6]"},
    {"{\"map\":[{\"var\":\"x\"},1]}", "{}", "[]"},
    {"{\"filter\":[{\"var\":\"l\"},{\">\":[{\"var\":\"\"},1]}]}", "{\"l\":[1,2,3]}", "[2,3]"},
    {"{\"reduce\":[{\"var\":\"l\"},{\"+\":[{\"var\":\"current\"},{\"var\":\"accumulator\"}]},0]}",
     "{\"l\":[1,2,3]}", "6"},
    {"{\"reduce\":[{\"var\":\"x\"},1,9]}", "{}", "9"},
    {"{\"all\":[[],true]}", "{}", "false"},
    {"{\"all\":[[1,2],{\">\":[{\"var\":\"\"},0]}]}", "{}", "true"},
    {"{\"none\":[[],true]}", "{}", "true"},
    {"{\"some\":[[1,2],{\">\":[{\"var\":\"\"},1]}]}", "{}", "true"},
    {"{\"some\":[{\"var\":\"l\"},{\"==\":[{\"var\":\"k\"},1]}]}", "{\"l\":[{\"k\":0},{\"k\":1}]}", "true"},
    {"{\"merge\":[1,[2,3],[[4]]]}", "{}", "[1,2,3,[4]]"},
    {"{\"in\":[\"a\",[\"b\",\"a\"]]}", "{}", "true"},
    {"{\"in\":[1,[\"1\"]]}", "{}", "false"},
    {"{\"in\":[\"ing\",\"Spring\"]}", "{}", "true"},
    {"{\"in\":[1,\"a1\"]}", "{}", "true"},
    {"{\"in\":[\"a\",null]}", "{}", "false"},
    /* texts */
    {"{\"cat\":[\"a\",1,null,true,1.5,[1,[2,null]]]}", "{}", "\"a1true1.51,2,\""},
    {"{\"cat\":[1e21,\" \",1e20,\" \",1e-7,\" \",0.000001,\" \",-0.1,\" \",123456.789]}", "{}",
     "\"1e+21 100000000000000000000 1e-7 0.000001 -0.1 123456.789\""},
    {"{\"cat\":\"x\"}", "{}", "\"x\""},
    {"{\"substr\":[\"jsonlogic\",4]}", "{}", "\"logic\""},
    {"{\"substr\":[\"jsonlogic\",-5]}", "{}", "\"logic\""},
    {"{\"substr\":[\"jsonlogic\",1,3]}", "{}", "\"son\""},
    {"{\"substr\":[\"jsonlogic\",4,-2]}", "{}", "\"log\""},
    {"{\"substr\":[\"jsonlogic\",99]}", "{}", "\"\""},
    {"{\"substr\":[\"\\u00e4\\u00f6\\u00fc\",1,1]}", "{}", "\"\xc3\xb6\""},
    {"{\"starts_with\":[\"192.168.0.1\",\"192.168\"]}", "{}", "true"},
    {"{\"starts_with\":[1,\"1\"]}", "{}", "false"},
    {"{\"ends_with\":[\"a@example.com\",\"@example.com\"]}", "{}", "true"},
    {"{\"ends_with\":[\"a\",\"ba\"]}", "{}", "false"},
    {"{\"sem_ver\":[{\"var\":\"v\"},\">=\",\"1.0.0\"]}", "{\"v\":\"v1.0.1\"}", "true"},
    {"{\"sem_ver\":[\"x\",\"=\",\"x\"]}", "{}", "false"},
    /* fractional */
    {"{\"fractional\":[\"test\",[\"a\",0],[\"b\",1]]}", "{}", "\"b\""},
    {"{\"fractional\":[\"test\",[\"a\",72],[\"b\",28]]}", "{}", "\"b\""}, /* 0xba6bd213: 72.8 of 100 */
    {"{\"fractional\":[\"test\",[\"a\",73],[\"b\",27]]}", "{}", "\"a\""},
    {"{\"fractional\":[\"test\",[\"a\"],[\"b\"]]}", "{}", "\"b\""},
    {"{\"fractional\":[\"test\",[\"a\",0]]}", "{}", "null"},
    {"{\"fractional\":[{\"var\":\"e\"},[{\"if\":[true,\"a\"]},{\"var\":\"w\"}]]}", "{\"e\":\"x\",\"w\":3}",
     "\"a\""},
    {"{\"fractional\":[\"x\",[\"a\",{\"var\":\"w\"}]]}", "{\"w\":-1}", "null"},
};

Test(rule, answers_as_json_logic_js_does)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char bytes[256];
        struct json_out out;
        rule_value value;
        cr_assert_eq(ran(table[i][0], table[i][1], &value), RULE_DONE, "%s", table[i][0]);
        json_out_init(&out, bytes, sizeof(bytes));
        write_value(&out, &value);
        struct text text = json_out_text(&out);
        cr_assert(text_equal(text, text_of(table[i][2])), "%s over %s: %.*s, not %s", table[i][0],
                  table[i][1], (int)text.count, text.bytes, table[i][2]);
    }
}

Test(rule, fractional_needs_something_to_go_by)
{
    rule_value value;
    const char *rule = "{\"fractional\":[[\"a\",1],[\"b\",1]]}";
    cr_assert_eq(ran(rule, "{}", &value), RULE_NO_TARGETING_KEY);
    cr_assert_eq(ran(rule, "{\"targetingKey\":\"u\"}", &value), RULE_DONE);
    cr_assert(value.split);
    cr_assert_eq(ran("{\"fractional\":[{\"var\":\"e\"},[\"a\",1]]}", "{}", &value), RULE_NO_TARGETING_KEY);
}

/* 20 000 keys: each share within four standard deviations of what its weight says, and the same the second time. */
Test(rule, fractional_keeps_its_weights)
{
    enum { KEYS = 20000 };
    static const int weights[3] = {10, 30, 60};
    int seen[3] = {0};
    rule_build build;
    cr_assert(compiled(&build, "{\"fractional\":[{\"var\":\"k\"},[\"0\",10],[\"1\",30],[\"2\",60]]}"));
    for (int i = 0; i < 2 * KEYS; i++) {
        struct json_arena small;
        static char share[KEYS];
        char context[64];
        rule_value value;
        struct json_error error;
        cJSON *root = NULL;
        json_arena_init(&small, NULL, 0, 1 << 20);
        snprintf(context, sizeof(context), "{\"k\":\"user-%d\"}", i % KEYS);
        cr_assert(json_parse(&small, text_of(context), &json_limits_default, &root, &error));
        cr_assert_eq(rule_run(&(rule_run_args){.nodes = build.nodes,
                                               .texts = build.texts,
                                               .context = root,
                                               .arena = &small,
                                               .steps = RULE_STEPS_MAX,
                                               .bytes = RULE_BYTES_MAX},
                              &value),
                     RULE_DONE);
        if (i < KEYS) {
            share[i] = value.is.bytes[0];
            seen[value.is.bytes[0] - '0']++;
        } else {
            cr_assert_eq(share[i - KEYS], value.is.bytes[0]);
        }
        json_arena_fini(&small);
    }
    for (int i = 0; i < 3; i++) {
        double p = weights[i] / 100.0;
        cr_assert(fabs(seen[i] - KEYS * p) < 4 * sqrt(KEYS * p * (1 - p)), "share %d: %d", i, seen[i]);
    }
}

Test(rule, is_given_up_when_it_takes_too_long)
{
    rule_value value;
    const char *list =
        "{\"l\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30]}";
    cr_assert_eq(
        ran("{\"cat\":{\"reduce\":[{\"var\":\"l\"},[{\"var\":\"accumulator\"},{\"var\":\"accumulator\"}],1]}}",
            list, &value),
        RULE_TOO_LONG);
    cr_assert_eq(
        ran("{\"reduce\":[{\"var\":\"l\"},{\"merge\":[{\"var\":\"accumulator\"},{\"var\":\"accumulator\"}]},[1]]}",
            list, &value),
        RULE_TOO_LONG);
}

Test(rule, refuses_what_it_does_not_know)
{
    static const char *const bad[] = {"{\"log\":1}",
                                      "{\"$ref\":\"x\"}",
                                      "{}",
                                      "{\"a\":1,\"b\":2}",
                                      "{\"==\":[1]}",
                                      "{\"<\":[1,2,3,4]}",
                                      "{\"if\":[]}",
                                      "{\"sem_ver\":[\"1\"]}",
                                      "{\"fractional\":[[\"a\",1.5],[\"b\",1]]}",
                                      "{\"fractional\":[[],[\"b\",1]]}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        rule_build build;
        cr_assert_not(compiled(&build, bad[i]), "%s", bad[i]);
    }
}
