/* The API's description: what it says about itself, and that it names the same calls as the routes. */
#include "api/config/config.h"
#include "api/flags/flags.h"
#include "api/payments/payments.h"
#include "api/profiles/profiles.h"
#include "api/rate_limits/rate_limits.h"
#include "api/system/openapi.h"
#include "api/system/system.h"
#include "api/webhooks/webhooks.h"
#include "server/json.h"
#include "server/problem.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define REFS_DEPTH_MAX 64

static cJSON *document;

static void open_document(void)
{
    struct text text = {.bytes = (const char *)openapi_json, .count = openapi_json_bytes};
    struct json_error error;
    cr_assert(json_document_parse(text, &json_limits_default, &document, &error), "%s at %zu",
              json_fault_text(error.fault), error.offset);
}

static void close_document(void)
{
    cJSON_Delete(document);
}

TestSuite(openapi, .init = open_document, .fini = close_document);

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const cJSON *resolve(const char *reference)
{
    const cJSON *at = document;
    char part[128];
    cr_assert(strncmp(reference, "#/", 2) == 0, "%s", reference);
    for (const char *next = reference + 2; at != NULL && *next != '\0';) {
        size_t count = strcspn(next, "/");
        snprintf(part, sizeof(part), "%.*s", (int)count, next);
        at = member(at, part);
        next += count + (next[count] == '/' ? 1 : 0);
    }
    return at;
}

/* A pattern's rest, which OpenAPI cannot say, is the parameter {rest} there. */
static void path_of(const char *pattern, char *out, size_t bytes)
{
    size_t count = strlen(pattern);
    bool rest = count > 4 && strcmp(pattern + count - 4, "/...") == 0;
    snprintf(out, bytes, "%.*s%s", (int)(rest ? count - 4 : count), pattern, rest ? "/{rest}" : "");
}

static const char *const verbs[] = {"get", "post", "put", "patch", "delete"};
static const unsigned verb_bits[] = {HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_PATCH, HTTP_DELETE};
#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static void expect_documented(const struct route *route)
{
    char path[256];
    path_of(route->pattern, path, sizeof(path));
    const cJSON *item = member(member(document, "paths"), path);
    cr_assert_not_null(item, "%s is not in the document", path);
    for (size_t i = 0; i < VERBS; i++) {
        bool any = route->methods == HTTP_ANY;
        if (any ? i < 2 : (route->methods & verb_bits[i]) != 0) {
            cr_assert_not_null(member(item, verbs[i]), "%s %s is not in the document", verbs[i], path);
        }
    }
}

static bool is_routed(const struct route_table *tables, size_t count, const char *path, unsigned verb)
{
    char pattern[256];
    for (size_t t = 0; t < count; t++) {
        for (size_t i = 0; i < tables[t].count; i++) {
            path_of(tables[t].routes[i].pattern, pattern, sizeof(pattern));
            if (strcmp(pattern, path) == 0 && (tables[t].routes[i].methods & verb) != 0) {
                return true;
            }
        }
    }
    return false;
}

Test(openapi, is_version_3_1_and_the_yaml_is_there_too)
{
    cr_assert_str_eq(member(document, "openapi")->valuestring, "3.1.0");
    cr_assert(openapi_yaml_bytes > 1000);
    cr_assert(memcmp(openapi_yaml, "openapi: \"3.1.0\"\n", 17) == 0);
}

Test(openapi, names_every_route_and_no_other)
{
    struct route_table tables[] = {system_routes(),   config_routes(),   rate_limits_routes(),
                                   payments_routes(), webhooks_routes(), profiles_routes(),
                                   flags_routes()};
    size_t count = sizeof(tables) / sizeof(tables[0]);
    for (size_t t = 0; t < count; t++) {
        for (size_t i = 0; i < tables[t].count; i++) {
            expect_documented(&tables[t].routes[i]);
        }
    }
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, member(document, "paths"))
    {
        for (size_t i = 0; i < VERBS; i++) {
            cr_assert(member(item, verbs[i]) == NULL || is_routed(tables, count, item->string, verb_bits[i]),
                      "%s %s is documented, but not routed", verbs[i], item->string);
        }
    }
}

Test(openapi, open_routes_and_no_others_are_documented_as_open)
{
    struct route_table table = system_routes();
    for (size_t i = 0; i < table.count; i++) {
        const cJSON *get = member(member(member(document, "paths"), table.routes[i].pattern), "get");
        if (get != NULL) {
            const cJSON *security = member(get, "security");
            bool open = security != NULL && cJSON_GetArraySize(security) == 0;
            cr_assert_eq(open, table.routes[i].access == ROUTE_ACCESS_OPEN, "%s", table.routes[i].pattern);
        }
    }
}

Test(openapi, query_parameters_are_those_the_routes_know)
{
    struct route_table table = system_routes();
    for (size_t i = 0; i < table.count; i++) {
        const cJSON *get = member(member(member(document, "paths"), table.routes[i].pattern), "get");
        int known = 0;
        for (; table.routes[i].query != NULL && table.routes[i].query[known] != NULL; known++) {
        }
        if (get != NULL) {
            cr_assert_eq(cJSON_GetArraySize(member(get, "parameters")), known, "%s", table.routes[i].pattern);
        }
    }
}

/* Calls `look` for every value of the document, without recursion: a cJSON tree is followed through child and next. */
static void walk(void (*look)(const cJSON *at))
{
    const cJSON *open[REFS_DEPTH_MAX];
    size_t depth = 0;
    const cJSON *at = document;
    while (at != NULL) {
        look(at);
        if (at->child != NULL) {
            cr_assert(depth < REFS_DEPTH_MAX);
            open[depth++] = at;
            at = at->child;
            continue;
        }
        while (at->next == NULL && depth > 0) {
            at = open[--depth];
        }
        at = at->next;
    }
}

static bool is_called(const cJSON *at, const char *name)
{
    return at->string != NULL && strcmp(at->string, name) == 0;
}

static const cJSON *meant(const cJSON *item)
{
    const cJSON *reference = member(item, "$ref");
    return reference == NULL ? item : resolve(reference->valuestring);
}

static size_t references;

static void look_at_reference(const cJSON *at)
{
    if (is_called(at, "$ref")) {
        cr_assert_not_null(resolve(at->valuestring), "%s leads nowhere", at->valuestring);
        references++;
    }
}

Test(openapi, every_reference_leads_somewhere)
{
    references = 0;
    walk(look_at_reference);
    cr_assert(references > 100);
}

static char wanted_reference[128];

static void look_for_wanted(const cJSON *at)
{
    if (is_called(at, "$ref") && strcmp(at->valuestring, wanted_reference) == 0) {
        references++;
    }
}

Test(openapi, every_component_is_used)
{
    const char *const kinds[] = {"headers", "parameters", "responses", "schemas"};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const cJSON *component = NULL;
        cJSON_ArrayForEach(component, member(member(document, "components"), kinds[i]))
        {
            references = 0;
            snprintf(wanted_reference, sizeof(wanted_reference), "#/components/%s/%s", kinds[i],
                     component->string);
            walk(look_for_wanted);
            cr_assert(references > 0, "%s is used nowhere", wanted_reference);
        }
    }
}

/* Codes stand in the description, in backquotes; other words there hold no hyphen. Returns: how many there are. */
static size_t expect_codes(const char *description, int status, const char *where)
{
    size_t codes = 0;
    for (const char *at = strchr(description, '`'); at != NULL;) {
        const char *end = strchr(at + 1, '`');
        cr_assert_not_null(end, "%s: %s", where, description);
        struct text word = {.bytes = at + 1, .count = (size_t)(end - at - 1)};
        enum problem_code code = problem_by_text(word);
        bool is_code = memchr(word.bytes, '-', word.count) != NULL && islower((unsigned char)word.bytes[0]);
        cr_assert(code != PROBLEM_NONE || !is_code, "%s: %.*s is no code", where, (int)word.count,
                  word.bytes);
        if (code != PROBLEM_NONE) {
            cr_assert_eq(problem_status(code), (unsigned)status, "%s: %.*s", where, (int)word.count,
                         word.bytes);
            codes++;
        }
        at = strchr(end + 1, '`');
    }
    return codes;
}

/* What is no problem: readiness has a report, OFREP errors of its own. */
static bool is_own_error(int status, const char *where)
{
    bool ofrep = strcmp(where, "evaluateFlag") == 0 || strcmp(where, "evaluateFlags") == 0;

    return strcmp(where, "getReadiness") == 0 || (ofrep && (status == 400 || status == 404));
}

static void expect_content(const cJSON *content, int status, const char *where)
{
    const cJSON *type = NULL;
    cJSON_ArrayForEach(type, content)
    {
        cr_assert_not_null(member(type, "schema"), "%s: %d %s has no schema", where, status, type->string);
        if (status >= 400 && !is_own_error(status, where)) {
            cr_assert_str_eq(type->string, PROBLEM_MEDIA_TYPE, "%s: %d", where, status);
        }
    }
}

static void expect_response(const cJSON *named, const char *where)
{
    const cJSON *response = meant(named);
    const cJSON *content = member(response, "content");
    bool is_default = strcmp(named->string, "default") == 0;
    int status = is_default ? 0 : (int)strtol(named->string, NULL, 10);
    cr_assert(is_default || (status >= 200 && status <= 599 && strlen(named->string) == 3), "%s: %s", where,
              named->string);
    cr_assert(cJSON_IsString(member(response, "description")), "%s: %d", where, status);
    expect_content(content, status, where);
    if (status == 204 || status == 304) {
        cr_assert_null(content, "%s: %d has a body", where, status);
    }
    if (status >= 400 && content != NULL && !is_own_error(status, where)) {
        size_t codes = expect_codes(member(response, "description")->valuestring, status, where);
        cr_assert(codes > 0, "%s: %d names no code", where, status);
    }
}

Test(openapi, answers_have_schemas_and_errors_name_codes_of_their_status)
{
    const cJSON *item = NULL;
    size_t answers = 0;
    cJSON_ArrayForEach(item, member(document, "paths"))
    {
        for (size_t v = 0; v < VERBS; v++) {
            const cJSON *operation = member(item, verbs[v]);
            const cJSON *response = NULL;
            cJSON_ArrayForEach(response, member(operation, "responses"))
            {
                expect_response(response, member(operation, "operationId")->valuestring);
                answers++;
            }
            cr_assert(operation == NULL || member(member(operation, "responses"), "default") != NULL, "%s",
                      item->string);
        }
    }
    cr_assert(answers > 150);
}

static size_t examples;

/* The Problem of an example has the numbers and words of the table. */
static void look_at_problem(const cJSON *at)
{
    const cJSON *code = member(at, "code");
    const cJSON *type = member(at, "type");
    if (is_called(at, "example") && cJSON_IsString(code) && cJSON_IsString(type)) {
        enum problem_code known = problem_by_text(text_of(code->valuestring));
        cr_assert_neq(known, PROBLEM_NONE, "%s", code->valuestring);
        cr_assert_eq((unsigned)member(at, "status")->valueint, problem_status(known), "%s",
                     code->valuestring);
        cr_assert_str_eq(member(at, "title")->valuestring, problem_title(known));
        cr_assert_str_eq(type->valuestring + strlen(PROBLEM_TYPE_PREFIX), code->valuestring);
        examples++;
    }
}

Test(openapi, examples_of_problems_are_of_the_table)
{
    examples = 0;
    walk(look_at_problem);
    cr_assert(examples >= 10);
}

Test(openapi, operations_have_ids_of_their_own_summaries_tags_and_answers)
{
    const char *ids[256];
    size_t count = 0;
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, member(document, "paths"))
    {
        for (size_t v = 0; v < VERBS; v++) {
            const cJSON *operation = member(item, verbs[v]);
            if (operation == NULL) {
                continue;
            }
            cr_assert(cJSON_IsString(member(operation, "operationId")), "%s", item->string);
            const char *id = member(operation, "operationId")->valuestring;
            for (size_t i = 0; i < count; i++) {
                cr_assert_str_neq(ids[i], id);
            }
            ids[count++] = id;
            cr_assert(cJSON_IsString(member(operation, "summary")), "%s", id);
            cr_assert(cJSON_GetArraySize(member(operation, "tags")) == 1, "%s", id);
            cr_assert(cJSON_GetArraySize(member(operation, "responses")) >= 2, "%s", id);
        }
    }
    cr_assert(count >= 25);
}

static bool path_has(const char *path, const char *name)
{
    char part[128];
    snprintf(part, sizeof(part), "{%s}", name);
    return strstr(path, part) != NULL;
}

Test(openapi, path_parameters_are_declared_with_examples)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, member(document, "paths"))
    {
        size_t wanted = 0;
        size_t declared = 0;
        for (const char *at = strchr(item->string, '{'); at != NULL; at = strchr(at + 1, '{')) {
            wanted++;
        }
        const cJSON *one = NULL;
        cJSON_ArrayForEach(one, member(item, "parameters"))
        {
            const cJSON *parameter = meant(one);
            if (strcmp(member(parameter, "in")->valuestring, "path") == 0) {
                declared++;
                cr_assert_not_null(member(parameter, "example"), "%s", item->string);
                cr_assert(cJSON_IsTrue(member(parameter, "required")), "%s", item->string);
                cr_assert(path_has(item->string, member(parameter, "name")->valuestring), "%s", item->string);
            }
        }
        cr_assert_eq(declared, wanted, "%s", item->string);
    }
}

Test(openapi, parameters_and_bodies_have_schemas_and_bodies_examples)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, member(document, "paths"))
    {
        for (size_t v = 0; v < VERBS; v++) {
            const cJSON *operation = member(item, verbs[v]);
            const cJSON *one = NULL;
            cJSON_ArrayForEach(one, member(operation, "parameters"))
            {
                cr_assert_not_null(member(meant(one), "schema"), "%s", item->string);
                cr_assert_str_neq(member(meant(one), "in")->valuestring, "path", "%s", item->string);
            }
            const cJSON *body = member(operation, "requestBody");
            const cJSON *content = member(member(body, "content"), "application/json");
            cr_assert(body == NULL ||
                          (member(content, "schema") != NULL && member(content, "example") != NULL),
                      "%s %s", verbs[v], item->string);
        }
    }
}
