/* Any bytes as a settings file, and as the value of each environment variable: accepted or refused with one line, and
 * what was accepted is within its ranges and comes back the same when it is written out and read again. */
#include "server/settings.h"

#include "server/settings_table.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void demand(int holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "broken: %s\n", what);
        abort();
    }
}

static void judge_error(const struct settings_error *error)
{
    size_t length = strnlen(error->text, sizeof error->text);
    demand(length > 0 && length < sizeof error->text, "an error has a text");
    demand(strchr(error->text, '\n') == NULL, "an error is one line");
}

static void judge_settings(const struct settings *settings)
{
    for (size_t i = 0; i < settings_row_count; i++) {
        const struct settings_row *row = &settings_rows[i];
        if (row->kind == SETTINGS_INTEGER) {
            int64_t value = *(const int64_t *)settings_member(settings, row);
            demand(value >= row->min && value <= row->max, row->member);
        }
    }
    demand(settings->listen.count > 0 && settings->data != NULL && settings->gateway != NULL,
           "what is needed is there");
    for (size_t i = 0; i < settings->source.count; i++) {
        demand(settings->source.items[i].name[0] != '\0' && settings->source.items[i].url_template[0] != '\0',
               "a source has a name and a URL");
    }
    char *json = settings_to_json(settings);
    demand(json != NULL && json[0] == '{', "settings can be shown");
    free(json);
}

static struct settings *load(const char *text, size_t bytes, char *variable)
{
    char path[64];
    struct settings *settings = NULL;
    struct settings_error error = {{0}};
    int fd = memfd_create("settings", MFD_CLOEXEC);
    demand(fd >= 0 && write(fd, text, bytes) == (ssize_t)bytes, "a file can be made");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const char *const argv[] = {"trouped", bytes > 0 ? "--config" : NULL, path, NULL};
    const char *const environment[] = {variable, NULL};
    if (settings_load(argv, environment, &settings, &error) != 0) {
        demand(settings == NULL, "outputs are untouched on error");
        judge_error(&error);
    }
    close(fd);
    return settings;
}

static void try_file(const uint8_t *data, size_t bytes)
{
    struct settings *settings = load((const char *)data, bytes, NULL);
    if (settings == NULL) {
        return;
    }
    judge_settings(settings);
    if (settings->config_json != NULL) {
        size_t room = strlen(settings->config_json) + 32;
        char *text = malloc(room);
        demand(text != NULL, "memory");
        int length = snprintf(text, room, "{\"config\":%s}", settings->config_json);
        struct settings *again = load(text, (size_t)length, NULL);
        demand(again != NULL && strcmp(again->config_json, settings->config_json) == 0,
               "config is kept as written");
        settings_destroy(again);
        free(text);
    }
    settings_destroy(settings);
}

/* The first byte chooses the variable. */
static void try_variable(const uint8_t *data, size_t bytes)
{
    char text[4096];
    char name[SETTINGS_NAME_MAX];
    if (bytes == 0 || bytes > 2000) {
        return;
    }
    settings_spell(&settings_rows[1 + data[0] % (settings_row_count - 1)], SETTINGS_AS_VARIABLE, name);
    snprintf(text, sizeof text, "%s=%.*s", name, (int)bytes - 1, (const char *)data + 1);
    struct settings *settings = load(NULL, 0, text);
    if (settings != NULL) {
        judge_settings(settings);
        settings_destroy(settings);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    try_file(data, bytes);
    try_variable(data, bytes);
    return 0;
}
