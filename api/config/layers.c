#define _GNU_SOURCE
#include "api/config/layers.h"

#include "api/config/service_settings.h"
#include "server/json.h"
#include "server/json_out.h"
#include "server/settings_run_time.h"
#include "server/settings_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define VARIABLE "TROUPE_CONFIG_"

/* A value on its way: texts of its own. */
struct item {
    char *key;
    char *value;
    size_t value_bytes;
    enum config_source source;
    bool secret;
    size_t order; /* among equals the last one wins */
};

struct gathering {
    const struct settings *settings;
    struct item *items;
    size_t count, room;
    char *why;
};

static bool fail(struct gathering *all, const char *place, const char *what)
{
    snprintf(all->why, CONFIG_WHY_BYTES, "%s: %s", place, what);
    return false;
}

/* ---- values ---- */

/* The tree's text; NULL when it is too long. */
static char *text_of_tree(const cJSON *tree, size_t bytes_max, size_t *bytes)
{
    struct json_out out;

    json_out_init_growing(&out, 256, bytes_max);
    json_out_tree(&out, tree);
    char *text = json_out_take(&out, bytes);
    json_out_fini(&out);
    return text;
}

static bool add(struct gathering *all, struct text key, const cJSON *value, enum config_source source,
                const char *place)
{
    char text[CONFIG_WHY_BYTES / 2];

    if (!config_key_ok(key, (size_t)all->settings->max_config_key_bytes)) {
        snprintf(text, sizeof(text), "a key is 1 to %lld bytes of letters, digits and . _ : / -",
                 (long long)all->settings->max_config_key_bytes);
        return fail(all, place, text);
    }
    if (config_is_setting(key)) {
        return fail(all, place,
                    "keys that begin with trouped. are settings of the service: set them as such");
    }
    if (all->count == all->room) {
        size_t room = all->room == 0 ? 32 : 2 * all->room;
        struct item *items = realloc(all->items, room * sizeof(*items));
        if (items == NULL) {
            return fail(all, place, "out of memory");
        }
        all->items = items;
        all->room = room;
    }
    struct item *item = &all->items[all->count];
    *item = (struct item){.source = source, .order = all->count, .secret = text_equal(key, TEXT("api_key"))};
    item->value = text_of_tree(value, (size_t)all->settings->max_config_value_bytes, &item->value_bytes);
    item->key = strndup(key.bytes, key.count);
    if (item->value == NULL || item->key == NULL) {
        free(item->value);
        free(item->key);
        snprintf(text, sizeof(text), "a value takes at most %lld bytes of JSON",
                 (long long)all->settings->max_config_value_bytes);
        return fail(all, place, text);
    }
    all->count++;
    return true;
}

static bool add_built_in(struct gathering *all)
{
    cJSON *none = cJSON_CreateNull();
    cJSON *timeout = cJSON_CreateNumber(5000);
    cJSON *retries = cJSON_CreateNumber(3);
    bool fits = none != NULL && timeout != NULL && retries != NULL &&
                add(all, TEXT("api_key"), none, CONFIG_DEFAULT, "built in") &&
                add(all, TEXT("timeout"), timeout, CONFIG_DEFAULT, "built in") &&
                add(all, TEXT("retry_attempts"), retries, CONFIG_DEFAULT, "built in");

    cJSON_Delete(none);
    cJSON_Delete(timeout);
    cJSON_Delete(retries);
    return fits;
}

/* ---- the settings file ---- */

static bool add_file(struct gathering *all, const char *json)
{
    struct json_error error;
    cJSON *root = NULL;
    bool fits = true;

    if (json == NULL || json[0] == '\0') {
        return true;
    }
    if (!json_document_parse(text_of(json), &json_limits_default, &root, &error)) {
        return fail(all, "member `config` of the settings file", json_fault_text(error.fault));
    }
    for (const cJSON *value = root->child; fits && value != NULL; value = value->next) {
        char place[128];
        snprintf(place, sizeof(place), "config file member /config/%.60s", value->string);
        fits = add(all, text_of(value->string), value, CONFIG_FILE, place);
    }
    cJSON_Delete(root);
    return fits;
}

static bool add_file_anew(struct gathering *all)
{
    struct settings_error error;
    char *json = NULL;

    if (all->settings->config == NULL) {
        return true;
    }
    if (settings_read_config_member(all->settings->config, &json, &error) != 0) {
        snprintf(all->why, CONFIG_WHY_BYTES, "%s", error.text);
        return false;
    }
    bool fits = add_file(all, json);
    free(json);
    return fits;
}

/* ---- the environment ---- */

/* "TIMEOUT__MS" is the key "timeout.ms". */
static size_t key_of_variable(const char *name, size_t bytes, char *key)
{
    size_t count = 0;

    for (size_t i = 0; i < bytes; i++) {
        bool dot = name[i] == '_' && i + 1 < bytes && name[i + 1] == '_';
        key[count++] = dot ? '.' : (char)text_lower((unsigned char)name[i]);
        i += dot;
    }
    return count;
}

static bool add_variable(struct gathering *all, struct text name, const char *value, const char *place)
{
    char key[CONFIG_KEY_BYTES_MAX];
    bool is_api_key = text_equal(name, TEXT("API_KEY"));
    size_t prefix = sizeof(VARIABLE) - 1;
    struct json_error error;
    cJSON *tree = NULL;

    if (!is_api_key && (name.count <= prefix || memcmp(name.bytes, VARIABLE, prefix) != 0)) {
        return true; /* somebody else's */
    }
    if (name.count > sizeof(key)) {
        return fail(all, place, "a variable's name is too long");
    }
    size_t count = is_api_key ? key_of_variable(name.bytes, name.count, key)
                              : key_of_variable(name.bytes + prefix, name.count - prefix, key);
    if (is_api_key || !json_document_parse(text_of(value), &json_limits_default, &tree, &error)) {
        tree = cJSON_CreateString(value);
    }
    bool fits = tree == NULL ? fail(all, place, "out of memory")
                             : add(all, (struct text){key, count}, tree, CONFIG_ENVIRONMENT, place);
    cJSON_Delete(tree);
    return fits;
}

static bool add_environment(struct gathering *all)
{
    bool fits = true;

    for (char **at = environ; fits && at != NULL && *at != NULL; at++) {
        const char *equals = strchr(*at, '=');
        if (equals != NULL) {
            struct text name = {*at, (size_t)(equals - *at)};
            char place[128];
            snprintf(place, sizeof(place), "environment %.*s", (int)(name.count > 80 ? 80 : name.count),
                     name.bytes);
            fits = add_variable(all, name, equals + 1, place);
        }
    }
    return fits;
}

/* ---- --env-file ---- */

static char *trim(char *text)
{
    size_t count = strlen(text);

    while (count > 0 && strchr(" \t\r", text[count - 1]) != NULL) {
        text[--count] = '\0';
    }
    return text + strspn(text, " \t");
}

/* NAME=value; a pair of quotes around the value goes; "export " before the name too. */
static bool add_line(struct gathering *all, char *line, const char *place)
{
    char *name = trim(line);
    char *value;

    if (*name == '\0' || *name == '#') {
        return true;
    }
    name += strncmp(name, "export ", 7) == 0 ? 7 : 0;
    value = strchr(name, '=');
    if (value == NULL || value == name) {
        return fail(all, place, "not of the form NAME=value");
    }
    *value++ = '\0';
    value = trim(value);
    size_t count = strlen(value);
    if (count >= 2 && (value[0] == '"' || value[0] == '\'') && value[count - 1] == value[0]) {
        value[count - 1] = '\0';
        value++;
    }
    return add_variable(all, text_of(trim(name)), value, place);
}

static bool add_env_file(struct gathering *all)
{
    const char *file = all->settings->env_file;
    const char *problem = NULL;
    size_t bytes = 0;
    unsigned number = 0;
    bool fits = true;
    char place[300];
    char *rest;

    if (file == NULL) {
        return true;
    }
    snprintf(place, sizeof(place), "%.200s", file);
    char *text = settings_read_whole(file, &bytes, &problem);
    if (text == NULL) {
        return fail(all, place, problem);
    }
    if (strlen(text) != bytes) {
        fits = fail(all, place, "holds a NUL");
    }
    rest = text;
    for (char *line = strsep(&rest, "\n"); fits && line != NULL; line = strsep(&rest, "\n")) {
        snprintf(place, sizeof(place), "%.200s line %u", file, ++number);
        fits = add_line(all, line, place);
    }
    free(text);
    return fits;
}

/* ---- together ---- */

static int by_key(const void *one, const void *other)
{
    const struct item *a = one;
    const struct item *b = other;
    int order = config_key_compare(text_of(a->key), text_of(b->key));

    return order != 0 ? order : (a->order > b->order) - (a->order < b->order);
}

static config_parts parts_of(const struct item *item)
{
    return (config_parts){.key = text_of(item->key),
                          .layer = {.bytes = item->value, .count = item->value_bytes},
                          .layer_source = item->source,
                          .layer_secret = item->secret};
}

/* Whether a later layer has the same key. */
static bool is_hidden(const struct gathering *all, size_t i)
{
    return i + 1 < all->count && strcmp(all->items[i].key, all->items[i + 1].key) == 0;
}

static config_row *pack(struct gathering *all, size_t *bytes)
{
    size_t total = 0;
    size_t keys = 0;

    qsort(all->items, all->count, sizeof(*all->items), by_key);
    for (size_t i = 0; i < all->count; i++) {
        config_parts parts = parts_of(&all->items[i]);
        total += is_hidden(all, i) ? 0 : config_row_bytes(&parts);
        keys += !is_hidden(all, i);
    }
    if (keys > (size_t)SETTINGS_NOW(all->settings->max_config_keys)) {
        (void)fail(all, "configuration", "the layers have more keys than max_config_keys allows");
        return NULL;
    }
    config_row *rows = malloc(total);
    config_row *at = rows;
    if (rows == NULL) {
        (void)fail(all, "configuration", "out of memory");
        return NULL;
    }
    for (size_t i = 0; i < all->count; i++) {
        if (!is_hidden(all, i)) {
            config_parts parts = parts_of(&all->items[i]);
            config_row_write(&parts, at);
            at = (config_row *)(void *)((char *)at + at->bytes);
        }
    }
    *bytes = total;
    return rows;
}

config_row *config_layers_read(const struct settings *settings, const char *file_json, size_t *bytes,
                               char why[CONFIG_WHY_BYTES])
{
    struct gathering all = {.settings = settings, .why = why};
    config_row *rows = NULL;

    if (add_built_in(&all) && (file_json == NULL ? add_file_anew(&all) : add_file(&all, file_json)) &&
        add_environment(&all) && add_env_file(&all)) {
        rows = pack(&all, bytes);
    }
    for (size_t i = 0; i < all.count; i++) {
        free(all.items[i].key);
        free(all.items[i].value);
    }
    free(all.items);
    return rows;
}
