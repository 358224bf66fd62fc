#include "server/json.h"

#include "server/json_read.h"

#include <pthread.h>
#include <stdlib.h>

/* Where cJSON allocates on this thread: NULL is the heap. Set and put back within one function, never over a
 * park. */
static _Thread_local struct json_arena *current_arena;

static void *hook_malloc(size_t bytes)
{
    return current_arena != NULL ? json_arena_take(current_arena, bytes) : malloc(bytes);
}

static void hook_free(void *pointer)
{
    if (current_arena == NULL || !json_arena_owns(current_arena, pointer)) {
        free(pointer);
    }
}

static void install_hooks(void)
{
    cJSON_Hooks hooks = {.malloc_fn = hook_malloc, .free_fn = hook_free};
    cJSON_InitHooks(&hooks);
}

void json_init(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, install_hooks);
}

struct json_arena *json_arena_swap(struct json_arena *arena)
{
    struct json_arena *previous = current_arena;
    current_arena = arena;
    return previous;
}

const char *json_fault_text(enum json_fault fault)
{
#define JSON_FAULT_TEXT(name, text) [JSON_FAULT_##name] = text,
    static const char *const texts[JSON_FAULTS_COUNT] = {JSON_FAULTS(JSON_FAULT_TEXT)};
#undef JSON_FAULT_TEXT
    return (unsigned)fault < JSON_FAULTS_COUNT ? texts[fault] : "";
}

/* The next item in document order, or NULL. `up` holds the containers above; depth is theirs. */
static cJSON *next_item(cJSON *item, cJSON **up, unsigned *depth)
{
    if (item->child != NULL) {
        up[(*depth)++] = item;
        return item->child;
    }
    while (item->next == NULL && *depth > 0) {
        item = up[--*depth];
    }
    return *depth == 0 ? NULL : item->next;
}

/* Carries the marks of the strictly read tree over to cJSON's tree of the same text; false if shapes
 * differ. */
static bool copy_marks(cJSON *strict, cJSON *tree)
{
    cJSON *strict_up[JSON_DEPTH_LIMIT + 1];
    cJSON *tree_up[JSON_DEPTH_LIMIT + 1];
    unsigned strict_depth = 0;
    unsigned tree_depth = 0;
    while (strict != NULL && tree != NULL) {
        if ((strict->type & 0xFF) != (tree->type & 0xFF) ||
            (strict->child == NULL) != (tree->child == NULL)) {
            return false;
        }
        tree->type |= strict->type & JSON_INTEGER;
        if (cJSON_IsString(tree)) {
            tree->valueint = strict->valueint;
        } else if (cJSON_IsNumber(tree) && strict->valuestring != NULL) {
            size_t bytes = strlen(strict->valuestring) + 1;
            tree->valuestring = cJSON_malloc(bytes);
            if (tree->valuestring == NULL) {
                return false;
            }
            memcpy(tree->valuestring, strict->valuestring, bytes);
        }
        strict = next_item(strict, strict_up, &strict_depth);
        tree = next_item(tree, tree_up, &tree_depth);
    }
    return strict == NULL && tree == NULL;
}

bool json_document_parse(struct text text, const struct json_limits *limits, cJSON **root,
                         struct json_error *error)
{
    struct json_arena arena;
    struct json_arena *outer = json_arena_swap(NULL);
    cJSON *strict = NULL;
    cJSON *tree = NULL;
    json_arena_init(&arena, NULL, 0, JSON_ARENA_BYTES(text.count, limits->tokens_max));
    bool ok = json_parse(&arena, text, limits, &strict, error);
    if (ok) {
        /* cJSON's length counts no NUL here, and "require NUL" would then always fail: json_parse() has
         * already seen to it that nothing stands behind the document. */
        tree = cJSON_ParseWithLengthOpts(text.bytes, text.count, NULL, 0);
        ok = tree != NULL && copy_marks(strict, tree);
        if (!ok) {
            cJSON_Delete(tree);
            *error = (struct json_error){.fault = JSON_FAULT_MEMORY};
        }
    }
    if (ok) {
        *root = tree;
    }
    json_arena_fini(&arena);
    (void)json_arena_swap(outer);
    return ok;
}
