/* The API's description: what it says about itself, and that it names the same calls as the routes. */
#include "api/rate_limits/rate_limits.h"
#include "api/system/openapi.h"
#include "api/system/system.h"
#include "server/json.h"

#include <criterion/criterion.h>
#include <stdio.h>

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
    struct route_table tables[] = {system_routes(), rate_limits_routes()};
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

/* Walks the document without recursion: a cJSON tree is followed through child and next. */
Test(openapi, every_reference_leads_somewhere)
{
    const cJSON *open[REFS_DEPTH_MAX];
    size_t depth = 0;
    size_t references = 0;
    const cJSON *at = document;
    while (at != NULL) {
        if (at->string != NULL && strcmp(at->string, "$ref") == 0) {
            cr_assert_not_null(resolve(at->valuestring), "%s leads nowhere", at->valuestring);
            references++;
        }
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
    cr_assert(references > 100);
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
        const cJSON *parameter = NULL;
        cJSON_ArrayForEach(parameter, member(item, "parameters"))
        {
            const cJSON *reference = member(parameter, "$ref");
            const cJSON *meant = reference == NULL ? parameter : resolve(reference->valuestring);
            if (strcmp(member(meant, "in")->valuestring, "path") == 0) {
                declared++;
                cr_assert_not_null(member(meant, "example"), "%s", item->string);
            }
        }
        cr_assert_eq(declared, wanted, "%s", item->string);
    }
}
