/* JSON in and out: what the strict reader takes, cJSON takes and reads alike; it comes out as it went in;
 * whatever does not fit a shape becomes a problem body that parses. */
#include "server/json_shape.h"
#include "server/problem.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct target {
    struct text key;
    int64_t cost;
    const cJSON *checks;
    int mode;
    bool flag;
};

static const char *const modes[] = {"independent", "all_or_nothing", NULL};
static const struct json_member members[] = {
    JSON_MEMBER("key", JSON_TEXT, struct target, key, .required = true, .min = 1, .max = 256),
    JSON_MEMBER("cost", JSON_INT, struct target, cost, .min = 1, .max = 1000),
    JSON_MEMBER("checks", JSON_ARRAY, struct target, checks, .min = 1, .max = 3),
    JSON_MEMBER("mode", JSON_WORD, struct target, mode, .words = modes),
    JSON_MEMBER("flag", JSON_BOOL, struct target, flag, .nullable = true),
};
static const struct json_shape shape = JSON_SHAPE(members);

static void check(bool truth)
{
    if (!truth) {
        abort();
    }
}

static bool has_infinity(const cJSON *item)
{
    for (; item != NULL; item = item->next) {
        if ((cJSON_IsNumber(item) && isinf(item->valuedouble)) ||
            (item->child != NULL && has_infinity(item->child))) {
            return true;
        }
    }
    return false;
}

static void check_round_trip(struct json_arena *arena, const cJSON *root)
{
    struct json_out first;
    struct json_out second;
    struct json_error error;
    cJSON *again = NULL;
    json_out_init_growing(&first, 0, 1 << 22);
    json_out_tree(&first, root);
    struct text text = json_out_text(&first);
    check(text.bytes != NULL && json_parse(arena, text, &json_limits_default, &again, &error));
    json_out_init_growing(&second, 0, 1 << 22);
    json_out_tree(&second, again);
    check(text_equal(text, json_out_text(&second)));
    json_out_fini(&first);
    json_out_fini(&second);
}

static void check_shape(struct json_arena *arena, const cJSON *root)
{
    static struct json_errors errors;
    struct target target;
    struct json_error error;
    struct json_out out;
    cJSON *body = NULL;
    json_errors_init(&errors);
    bool ok = json_read_object(root, NULL, &shape, &target, &errors);
    check(ok == (errors.count == 0 && errors.dropped == 0));
    json_out_init_growing(&out, 0, 1 << 16);
    problem_write(&out, &(struct problem){.code = PROBLEM_INVALID_REQUEST, .errors = &errors});
    check(json_parse(arena, json_out_text(&out), &json_limits_default, &body, &error));
    json_out_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_arena arena;
    struct json_error error = {0};
    cJSON *root = NULL;
    char *text = malloc(size + (size == 0)); /* exactly as long as the text */
    memcpy(text, data, size);
    json_init();
    json_arena_init(&arena, NULL, 0, 64 << 20);
    bool ok = json_parse(&arena, (struct text){text, size}, &json_limits_default, &root, &error);
    check(ok || (error.fault != JSON_FAULT_NONE && error.offset <= size));
    if (ok) {
        cJSON *theirs = cJSON_ParseWithLength(text, size);
        cJSON *document = NULL;
        check(theirs != NULL);
        check(has_infinity(root) || cJSON_Compare(root, theirs, 1));
        check(json_document_parse((struct text){text, size}, &json_limits_default, &document, &error));
        check_round_trip(&arena, document);
        check_round_trip(&arena, root);
        check_shape(&arena, root);
        cJSON_Delete(document);
        cJSON_Delete(theirs);
    }
    json_arena_fini(&arena);
    free(text);
    return 0;
}
