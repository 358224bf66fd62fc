/* The file layer: read, scan strictly (settings_scan.h), parse with cJSON, put each member through the table.
 * Numbers are judged by their text: cJSON knows doubles only. */
#include "server/settings_scan.h"
#include "server/settings_table.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *settings_read_whole(const char *file, size_t *bytes, const char **problem)
{
    char *text = malloc(SETTINGS_FILE_MAX + 2);
    int fd = text != NULL ? open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY) : -1;
    size_t used = 0;
    ssize_t n = -1;
    while (fd >= 0 && used <= SETTINGS_FILE_MAX) {
        n = read(fd, text + used, SETTINGS_FILE_MAX + 1 - used);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        used += (size_t)n;
    }
    int saved = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (n < 0 || used > SETTINGS_FILE_MAX) {
        *problem = n < 0 ? strerror(saved) : "it is larger than 1 MiB";
        free(text);
        return NULL;
    }
    text[used] = '\0';
    *bytes = used;
    return text;
}

/* A settings file while it is read. */
struct document {
    const char *file;
    char *text;
    struct settings_scan scan;
    cJSON *root;
    struct settings_error *error;
};

static int __attribute__((format(printf, 2, 3))) fail(struct document *document, const char *format, ...)
{
    char what[sizeof document->error->text];
    char shown[SETTINGS_SHOWN_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    snprintf(document->error->text, sizeof document->error->text, "settings file %s: %.400s",
             settings_show(document->file, shown), what);
    return -1;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Looks for a repeated name in one object. */
static int refuse_repeated(struct document *document, const cJSON *object)
{
    size_t count = (size_t)cJSON_GetArraySize(object);
    const char **names = calloc(count + 1, sizeof *names);
    const cJSON *member = object->child;
    if (names == NULL) {
        return fail(document, "there is not enough memory");
    }
    for (size_t i = 0; i < count; i++, member = member->next) {
        names[i] = member->string;
    }
    qsort(names, count, sizeof *names, compare_names);
    int result = 0;
    for (size_t i = 1; i < count && result == 0; i++) {
        if (strcmp(names[i - 1], names[i]) == 0) {
            char shown[SETTINGS_SHOWN_MAX];
            result = fail(document, "member \"%s\" is there twice", settings_show(names[i], shown));
        }
    }
    free(names);
    return result;
}

/* In all objects; the scanner has bounded the depth. */
static int refuse_repeated_below(struct document *document, const cJSON *value)
{
    if (cJSON_IsObject(value) && refuse_repeated(document, value) != 0) {
        return -1;
    }
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, value)
    {
        if ((cJSON_IsObject(item) || cJSON_IsArray(item)) && refuse_repeated_below(document, item) != 0) {
            return -1;
        }
    }
    return 0;
}

static int refuse_syntax(struct document *document)
{
    size_t line = 1;
    size_t line_start = 0;
    for (size_t i = 0; i < document->scan.at; i++) {
        if (document->text[i] == '\n') {
            line++;
            line_start = i + 1;
        }
    }
    return fail(document, "line %zu, column %zu: not JSON: %s", line, document->scan.at - line_start + 1,
                document->scan.problem);
}

static void close_document(struct document *document)
{
    cJSON_Delete(document->root);
    free(document->scan.members);
    if (document->text != NULL) {
        explicit_bzero(document->text, document->scan.bytes); /* tokens */
    }
    free(document->text);
}

static int open_document(struct document *document, const char *file, struct settings_error *error)
{
    size_t bytes = 0;
    const char *problem = NULL;
    *document = (struct document){.file = file, .error = error};
    document->text = settings_read_whole(file, &bytes, &problem);
    if (document->text == NULL) {
        return fail(document, "cannot be read: %s", problem);
    }
    if (!settings_scan(&document->scan, document->text, bytes)) {
        return refuse_syntax(document);
    }
    const char *end = NULL;
    document->root = cJSON_ParseWithLengthOpts(document->text, bytes + 1, &end, 1);
    if (document->root == NULL || (size_t)cJSON_GetArraySize(document->root) != document->scan.member_count) {
        return fail(document, "cannot be parsed");
    }
    return refuse_repeated_below(document, document->root);
}

static const char *type_name(const cJSON *value)
{
    return cJSON_IsString(value)   ? "a string"
           : cJSON_IsNumber(value) ? "a number"
           : cJSON_IsBool(value)   ? "a boolean"
           : cJSON_IsNull(value)   ? "null"
           : cJSON_IsArray(value)  ? "an array"
                                   : "an object";
}

static int wrong_type(const cJSON *value, const char *wanted, const struct settings_origin *origin,
                      struct settings_error *error)
{
    return settings_fail(error, origin, "is %s; it must be %s", type_name(value), wanted);
}

static int apply_array(struct settings *settings, const struct settings_row *row, const cJSON *array,
                       const struct settings_origin *origin, struct settings_error *error)
{
    const cJSON *item = NULL;
    settings_clear(settings, row);
    cJSON_ArrayForEach(item, array)
    {
        if (!cJSON_IsString(item)) {
            return settings_fail(error, origin, "has %s as an item; it must be an array of strings",
                                 type_name(item));
        }
        if (settings_add(settings, row, item->valuestring, origin, error) != 0) {
            return -1;
        }
    }
    return 0;
}

/* {"user":"http://..."}: the same as ["user=http://..."]. */
static int apply_sources(struct settings *settings, const struct settings_row *row, const cJSON *object,
                         const struct settings_origin *origin, struct settings_error *error)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, object)
    {
        if (!cJSON_IsString(item)) {
            return settings_fail(error, origin, "has %s as a URL; it must be an object of strings",
                                 type_name(item));
        }
        size_t bytes = strlen(item->string) + strlen(item->valuestring) + 2;
        char *text = settings_alloc(settings, bytes);
        snprintf(text, bytes, "%s=%s", item->string, item->valuestring);
        if (strchr(item->string, '=') != NULL) {
            return settings_fail(error, origin, "has a name with '=' in it");
        }
        if (settings_add(settings, row, text, origin, error) != 0) {
            return -1;
        }
    }
    return 0;
}

int settings_set_json(struct settings *settings, const struct settings_row *row, const cJSON *value,
                      const char *text, size_t bytes, const struct settings_origin *origin,
                      struct settings_error *error)
{
    char allowed[200];
    settings_allowed(row, allowed, sizeof allowed);
    if (settings_is_list(row)) {
        if (row->kind == SETTINGS_SOURCES && cJSON_IsObject(value)) {
            return apply_sources(settings, row, value, origin, error);
        }
        if (cJSON_IsString(value)) {
            settings_clear(settings, row);
            return settings_add(settings, row, value->valuestring, origin, error);
        }
        return cJSON_IsArray(value) ? apply_array(settings, row, value, origin, error)
                                    : wrong_type(value, "a string or an array of strings", origin, error);
    }
    bool fits = row->kind == SETTINGS_INTEGER   ? cJSON_IsNumber(value)
                : row->kind == SETTINGS_BOOLEAN ? cJSON_IsBool(value)
                                                : cJSON_IsString(value);
    if (!fits) {
        return wrong_type(value, allowed, origin, error);
    }
    const char *given = cJSON_IsString(value) ? value->valuestring : settings_copy(settings, text, bytes);
    return settings_set(settings, row, given, origin, error);
}

static int apply_member(struct settings *settings, struct document *document, const cJSON *member,
                        const struct settings_span *span, bool *seen)
{
    const struct settings_origin origin = {SETTINGS_FROM_FILE, member->string, document->file};
    const char *text = document->text + span->start;
    if (strcmp(member->string, "config") == 0) {
        if (!cJSON_IsObject(member)) {
            return wrong_type(member, "an object: the keys of the configuration service", &origin,
                              document->error);
        }
        settings->config_json = settings_copy(settings, text, span->bytes);
        return 0;
    }
    const struct settings_row *row = settings_find(member->string, SETTINGS_AS_MEMBER);
    if (row == NULL || row->not_in_file) {
        char nearest[SETTINGS_NAME_MAX];
        bool near = settings_suggest(member->string, SETTINGS_AS_MEMBER, nearest);
        return settings_fail(document->error, &origin, "there is no such setting%s%s%s",
                             near ? "; did you mean \"" : "", near ? nearest : "", near ? "\"?" : "");
    }
    size_t index = (size_t)(row - settings_rows);
    if (seen[index]) {
        return settings_fail(document->error, &origin, "is there twice, with '-' and with '_'");
    }
    seen[index] = true;
    return settings_set_json(settings, row, member, text, span->bytes, &origin, document->error);
}

int settings_apply_file(struct settings *settings, const char *file, struct settings_error *error)
{
    struct document document;
    int result = open_document(&document, file, error);
    bool *seen = settings_alloc(settings, settings_row_count * sizeof *seen);
    const cJSON *member = result == 0 ? document.root->child : NULL;
    for (size_t i = 0; member != NULL && result == 0; member = member->next, i++) {
        result = apply_member(settings, &document, member, &document.scan.members[i], seen);
    }
    close_document(&document);
    return result;
}

int settings_read_config_member(const char *file, char **json, struct settings_error *error)
{
    struct document document;
    char *text = NULL;
    int result = open_document(&document, file, error);
    const cJSON *member = result == 0 ? document.root->child : NULL;
    size_t at = 0;
    for (; member != NULL && strcmp(member->string, "config") != 0; member = member->next) {
        at++;
    }
    if (member != NULL && !cJSON_IsObject(member)) {
        result = fail(&document, "member \"config\": is %s; it must be an object", type_name(member));
    } else if (member != NULL) {
        const struct settings_span *span = &document.scan.members[at];
        text = strndup(document.text + span->start, span->bytes);
        result = text != NULL ? 0 : fail(&document, "there is not enough memory");
    }
    close_document(&document);
    if (result == 0) {
        *json = text;
    }
    return result;
}
