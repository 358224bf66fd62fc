#include "server/settings_table.h"
#include "server/utf8.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct settings_block {
    struct settings_block *next;
    size_t bytes;
    _Alignas(16) char memory[];
};

void *settings_alloc(struct settings *settings, size_t bytes)
{
    struct settings_block *block = calloc(1, sizeof *block + bytes);
    if (block == NULL) {
        fputs("trouped: no memory for settings\n", stderr);
        abort();
    }
    block->bytes = bytes;
    block->next = settings->blocks;
    settings->blocks = block;
    return block->memory;
}

char *settings_copy(struct settings *settings, const char *text, size_t bytes)
{
    char *copy = settings_alloc(settings, bytes + 1);
    memcpy(copy, text, bytes);
    return copy;
}

void settings_destroy(struct settings *settings)
{
    if (settings == NULL) {
        return;
    }
    for (struct settings_block *block = settings->blocks; block != NULL;) {
        struct settings_block *next = block->next;
        explicit_bzero(block->memory, block->bytes); /* tokens */
        free(block);
        block = next;
    }
    free(settings);
}

void *settings_member(const struct settings *settings, const struct settings_row *row)
{
    return (char *)(uintptr_t)settings + row->offset;
}

/* ---- Single values ---- */

static int refuse(const struct settings_row *row, const char *text, const struct settings_origin *origin,
                  struct settings_error *error)
{
    char allowed[200];
    char shown[SETTINGS_SHOWN_MAX];
    settings_allowed(row, allowed, sizeof allowed);
    return settings_fail(error, origin, "\"%s\" is not possible; it must be %s", settings_show(text, shown),
                         allowed);
}

/* Digits only, with a '-' perhaps; within the range. */
static bool parse_integer(const char *text, size_t bytes, int64_t min, int64_t max, int64_t *value)
{
    bool negative = bytes > 0 && text[0] == '-';
    size_t at = negative ? 1 : 0;
    if (at == bytes || bytes - at > 18 || (text[at] == '0' && bytes - at > 1)) {
        return false;
    }
    int64_t result = 0;
    for (; at < bytes; at++) {
        if (text[at] < '0' || text[at] > '9') {
            return false;
        }
        result = result * 10 + (text[at] - '0');
    }
    result = negative ? -result : result;
    if (result < min || result > max || (negative && result == 0)) {
        return false;
    }
    *value = result;
    return true;
}

static bool set_rate(const struct settings_row *row, const char *text, struct settings_rate *rate)
{
    const char *slash = strchr(text, '/');
    return slash != NULL && parse_integer(text, (size_t)(slash - text), row->min, row->max, &rate->count) &&
           parse_integer(slash + 1, strlen(slash + 1), row->min, row->max, &rate->seconds);
}

static bool set_choice(const struct settings_row *row, const char *text, int *choice)
{
    for (int i = 0; row->choices[i] != NULL; i++) {
        if (strcmp(text, row->choices[i]) == 0) {
            *choice = i;
            return true;
        }
    }
    return false;
}

/* What is wrong with any text from outside, or NULL. */
static const char *text_problem(const char *text, size_t min, size_t max)
{
    size_t bytes = strlen(text);
    if (bytes == 0 && min > 0) {
        return "is empty";
    }
    if (bytes > max) {
        return "is too long";
    }
    for (size_t i = 0; i < bytes; i++) {
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F) {
            return "has a control character";
        }
    }
    return utf8_valid(text, bytes) ? NULL : "is not UTF-8";
}

/* An URL may have a password where it should not: then it is not shown. */
static const char *show_url(const char *text, char shown[SETTINGS_SHOWN_MAX])
{
    return strchr(text, '@') != NULL ? "..." : settings_show(text, shown);
}

static int set_string(struct settings *settings, const struct settings_row *row, const char *text,
                      const struct settings_origin *origin, struct settings_error *error)
{
    char shown[SETTINGS_SHOWN_MAX];
    const char *problem = text_problem(text, (size_t)row->min, (size_t)row->max);
    if (problem != NULL) {
        char allowed[200];
        settings_allowed(row, allowed, sizeof allowed);
        return settings_fail(error, origin, "the value %s; it must be %s", problem, allowed);
    }
    problem = row->check != NULL ? row->check(text) : NULL;
    if (problem != NULL) {
        return settings_fail(error, origin, "\"%s\" %s", show_url(text, shown), problem);
    }
    *(char **)settings_member(settings, row) = settings_copy(settings, text, strlen(text));
    return 0;
}

int settings_set(struct settings *settings, const struct settings_row *row, const char *text,
                 const struct settings_origin *origin, struct settings_error *error)
{
    void *member = settings_member(settings, row);
    bool done = false;
    struct settings_rate rate = {0};
    switch (row->kind) {
    case SETTINGS_STRING:
        return set_string(settings, row, text, origin, error);
    case SETTINGS_INTEGER:
        done = parse_integer(text, strlen(text), row->min, row->max, member);
        break;
    case SETTINGS_BOOLEAN:
        done = strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
        if (done) {
            *(bool *)member = text[0] == 't';
        }
        break;
    case SETTINGS_LOG_LEVEL:
    case SETTINGS_ACCESS_MODE:
        done = set_choice(row, text, member);
        break;
    case SETTINGS_RATE:
        done = set_rate(row, text, &rate);
        if (done) {
            *(struct settings_rate *)member = rate;
        }
        break;
    case SETTINGS_LISTENERS:
    case SETTINGS_TOKENS:
    case SETTINGS_FILES:
    case SETTINGS_SOURCES:
        return settings_set_list(settings, row, text, origin, error);
    }
    return done ? 0 : refuse(row, text, origin, error);
}

/* ---- Lists ---- */

/* Room for one more item: the array is copied when it has grown to a power of two. */
static void *grow(struct settings *settings, void *items, size_t count, size_t item_bytes)
{
    if (count != 0 && (count & (count - 1)) != 0) {
        return items;
    }
    void *larger = settings_alloc(settings, (count == 0 ? 1 : 2 * count) * item_bytes);
    if (count > 0) {
        memcpy(larger, items, count * item_bytes);
    }
    return larger;
}

static const char *token_problem(const char *token)
{
    size_t bytes = strlen(token);
    for (size_t i = 0; i < bytes; i++) {
        if (token[i] <= ' ' || token[i] > '~') {
            return "a token has a character other than visible ASCII";
        }
    }
    return bytes == 0 ? "a token is empty" : bytes > 512 ? "a token has more than 512 characters" : NULL;
}

static bool source_name(const char *name, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (!isalnum((unsigned char)name[i]) && strchr("._-", name[i]) == NULL) {
            return false;
        }
    }
    return bytes >= 1 && bytes <= 64;
}

static void remove_source(struct settings_sources *sources, size_t at)
{
    sources->count--;
    memmove(&sources->items[at], &sources->items[at + 1], (sources->count - at) * sizeof sources->items[0]);
}

/* NAME=URL replaces the source of that name or adds one; NAME= removes it. */
static int add_source(struct settings *settings, const struct settings_row *row, const char *text,
                      const struct settings_origin *origin, struct settings_error *error)
{
    struct settings_sources *sources = settings_member(settings, row);
    char shown[SETTINGS_SHOWN_MAX];
    const char *equals = strchr(text, '=');
    size_t name_bytes = equals != NULL ? (size_t)(equals - text) : 0;
    if (equals == NULL || !source_name(text, name_bytes)) {
        return settings_fail(
            error, origin,
            "\"%s\" is not NAME=URL with a name of 1 to 64 of the characters A-Z a-z 0-9 . _ -",
            show_url(text, shown));
    }
    const char *problem = equals[1] != '\0' ? text_problem(text, 1, 2048) : NULL;
    problem = problem == NULL && equals[1] != '\0' ? settings_check_template(equals + 1) : problem;
    if (problem != NULL) {
        return settings_fail(error, origin, "\"%s\": the URL %s", show_url(text, shown), problem);
    }
    size_t at = 0;
    while (at < sources->count && (strncmp(sources->items[at].name, text, name_bytes) != 0 ||
                                   sources->items[at].name[name_bytes] != '\0')) {
        at++;
    }
    if (equals[1] == '\0') {
        if (at < sources->count) {
            remove_source(sources, at);
        }
        return 0;
    }
    if (at == sources->count) {
        if (sources->count >= (size_t)row->max) {
            return settings_fail(error, origin, "too many sources; it must be at most %lld",
                                 (long long)row->max);
        }
        /* a removal may have left the count off a power of two: copy every time, the list is short */
        struct settings_source *items = settings_alloc(settings, (sources->count + 1) * sizeof *items);
        if (sources->count > 0) {
            memcpy(items, sources->items, sources->count * sizeof *items);
        }
        sources->items = items;
        sources->items[at].name = settings_copy(settings, text, name_bytes);
        sources->count++;
    }
    sources->items[at].url_template = settings_copy(settings, equals + 1, strlen(equals + 1));
    return 0;
}

static int add_listener(struct settings *settings, struct settings_listeners *list, const char *text,
                        const struct settings_origin *origin, struct settings_error *error)
{
    struct settings_listener listener;
    char shown[SETTINGS_SHOWN_MAX];
    const char *problem = settings_parse_listener(text, &listener);
    if (problem != NULL) {
        return settings_fail(error, origin, "\"%s\" %s", settings_show(text, shown), problem);
    }
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].text, text) == 0) {
            return settings_fail(error, origin, "\"%s\" is there twice", settings_show(text, shown));
        }
    }
    listener.text = settings_copy(settings, text, strlen(text));
    list->items = grow(settings, list->items, list->count, sizeof list->items[0]);
    list->items[list->count++] = listener;
    return 0;
}

static int add_text(struct settings *settings, const struct settings_row *row, const char *text,
                    const struct settings_origin *origin, struct settings_error *error)
{
    struct settings_texts *list = settings_member(settings, row);
    const char *problem = row->kind == SETTINGS_TOKENS ? token_problem(text) : text_problem(text, 1, 4096);
    if (problem != NULL) {
        return settings_fail(error, origin, row->kind == SETTINGS_TOKENS ? "%s" : "the value %s", problem);
    }
    list->items = grow(settings, list->items, list->count, sizeof list->items[0]);
    list->items[list->count++] = settings_copy(settings, text, strlen(text));
    return 0;
}

static size_t list_count(const struct settings *settings, const struct settings_row *row)
{
    return *(const size_t *)settings_member(settings, row); /* `count` is the first member of every list */
}

void settings_clear(struct settings *settings, const struct settings_row *row)
{
    if (row->kind != SETTINGS_SOURCES) {
        *(size_t *)settings_member(settings, row) = 0;
    }
}

int settings_add(struct settings *settings, const struct settings_row *row, const char *text,
                 const struct settings_origin *origin, struct settings_error *error)
{
    const char *problem = text_problem(text, 0, SETTINGS_ITEM_MAX);
    if (problem != NULL) {
        return settings_fail(error, origin, "an item %s", problem);
    }
    if (row->kind == SETTINGS_SOURCES) {
        return add_source(settings, row, text, origin, error);
    }
    if (list_count(settings, row) >= (size_t)row->max) {
        char allowed[200];
        settings_allowed(row, allowed, sizeof allowed);
        return settings_fail(error, origin, "too many items; it must be %s", allowed);
    }
    if (row->kind == SETTINGS_LISTENERS) {
        return add_listener(settings, settings_member(settings, row), text, origin, error);
    }
    return add_text(settings, row, text, origin, error);
}

int settings_set_list(struct settings *settings, const struct settings_row *row, const char *text,
                      const struct settings_origin *origin, struct settings_error *error)
{
    settings_clear(settings, row);
    if (text[0] == '\0') {
        return 0; /* the empty list; a list that must not be empty is judged at the end */
    }
    for (const char *at = text;; at++) {
        at += strspn(at, " ");
        size_t bytes = strcspn(at, ",");
        size_t trimmed = bytes;
        while (trimmed > 0 && at[trimmed - 1] == ' ') {
            trimmed--;
        }
        if (trimmed == 0) {
            return settings_fail(error, origin, "the list has an empty item");
        }
        char *item = settings_copy(settings, at, trimmed);
        if (settings_add(settings, row, item, origin, error) != 0) {
            return -1;
        }
        at += bytes;
        if (*at == '\0') {
            return 0;
        }
    }
}
