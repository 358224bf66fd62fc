#include "server/settings_table.h"

#include <assert.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* rows name only what differs from zero */

const struct settings_row settings_rows[] = {
#define SETTING(row_kind, row_member, row_group, ...) \
    {.member = #row_member,                           \
     .offset = offsetof(struct settings, row_member), \
     .kind = SETTINGS_##row_kind,                     \
     .group = SETTINGS_##row_group,                   \
     __VA_ARGS__},
#include "server/settings.def"
#undef SETTING
};

const size_t settings_row_count = sizeof settings_rows / sizeof settings_rows[0];

const char *const settings_group_titles[SETTINGS_GROUPS] = {
    [SETTINGS_START] = "Start and stop",    [SETTINGS_ACCESS] = "Access",
    [SETTINGS_HTTP] = "Limits of HTTP",     [SETTINGS_LOG] = "Log",
    [SETTINGS_RATE_LIMITS] = "Rate limits", [SETTINGS_SERVICES] = "Payments, profiles, configuration",
    [SETTINGS_RUNTIME] = "Runtime",
};

static_assert(sizeof(enum log_level) == sizeof(int) && sizeof(enum log_access_mode) == sizeof(int),
              "choices are stored as int");

bool settings_is_list(const struct settings_row *row)
{
    return row->kind == SETTINGS_LISTENERS || row->kind == SETTINGS_TOKENS || row->kind == SETTINGS_FILES ||
           row->kind == SETTINGS_SOURCES;
}

void settings_spell(const struct settings_row *row, enum settings_spelling spelling,
                    char name[SETTINGS_NAME_MAX])
{
    static const char *const before[] = {"", "--", "TROUPE_"};
    snprintf(name, SETTINGS_NAME_MAX, "%s%s", before[spelling], row->member);
    for (char *at = name + strlen(before[spelling]); *at != '\0'; at++) {
        if (spelling == SETTINGS_AS_FLAG && *at == '_') {
            *at = '-';
        } else if (spelling == SETTINGS_AS_VARIABLE) {
            *at = (char)toupper((unsigned char)*at);
        }
    }
}

static bool spelled_same(const char *a, const char *b, enum settings_spelling spelling)
{
    for (; *a != '\0' && *b != '\0'; a++, b++) {
        bool joiner = spelling == SETTINGS_AS_MEMBER && *a == '-' && *b == '_';
        if (*a != *b && !joiner) {
            return false;
        }
    }
    return *a == *b;
}

const struct settings_row *settings_find(const char *name, enum settings_spelling spelling)
{
    for (size_t i = 0; i < settings_row_count; i++) {
        char spelled[SETTINGS_NAME_MAX];
        settings_spell(&settings_rows[i], spelling, spelled);
        if (spelled_same(name, spelled, spelling)) {
            return &settings_rows[i];
        }
    }
    return NULL;
}

/* Changes of one letter it takes to get from a to b; case and '-' or '_' are no difference. */
static size_t distance(const char *a, const char *b)
{
    size_t row[SETTINGS_NAME_MAX + 1];
    size_t length = strlen(b);
    for (size_t j = 0; j <= length; j++) {
        row[j] = j;
    }
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= length; j++) {
            int x = a[i - 1] == '-' ? '_' : tolower((unsigned char)a[i - 1]);
            int y = b[j - 1] == '-' ? '_' : tolower((unsigned char)b[j - 1]);
            size_t change = diagonal + (x != y);
            diagonal = row[j];
            size_t shift = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = change < shift ? change : shift;
        }
    }
    return row[length];
}

bool settings_suggest(const char *name, enum settings_spelling spelling, char nearest[SETTINGS_NAME_MAX])
{
    size_t best = SIZE_MAX;
    size_t length = strlen(name);
    for (size_t i = 0; i < settings_row_count && length < SETTINGS_NAME_MAX; i++) {
        char spelled[SETTINGS_NAME_MAX];
        settings_spell(&settings_rows[i], spelling, spelled);
        size_t d = distance(name, spelled);
        size_t own = strlen(settings_rows[i].member);
        if (d < best && d <= (own < 6 ? 1U : own < 9 ? 2U : 3U)) {
            best = d;
            memcpy(nearest, spelled, sizeof spelled);
        }
    }
    return best != SIZE_MAX;
}

const char *settings_show(const char *text, char shown[SETTINGS_SHOWN_MAX])
{
    size_t i = 0;
    for (; text[i] != '\0' && i < SETTINGS_SHOWN_MAX - 4; i++) {
        unsigned char c = (unsigned char)text[i];
        shown[i] = c < 0x20 || c == 0x7F || c == '"' ? '?' : (char)c;
    }
    while (text[i] != '\0' && i > 0 && ((unsigned char)text[i] & 0xC0) == 0x80) {
        i--; /* no character in two */
    }
    snprintf(shown + i, 4, "%s", text[i] != '\0' ? "..." : "");
    return shown;
}

int settings_fail(struct settings_error *error, const struct settings_origin *origin, const char *format, ...)
{
    char what[sizeof error->text];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    char shown[2][SETTINGS_SHOWN_MAX];
    const char *name = settings_show(origin->name, shown[0]);
    switch (origin->layer) {
    case SETTINGS_BUILT_IN:
        snprintf(error->text, sizeof error->text, "built-in value of %s: %.400s", name, what);
        break;
    case SETTINGS_FROM_FILE:
        snprintf(error->text, sizeof error->text, "settings file %s: member \"%s\": %.400s",
                 settings_show(origin->file, shown[1]), name, what);
        break;
    case SETTINGS_FROM_ENVIRONMENT:
        snprintf(error->text, sizeof error->text, "environment variable %s: %.400s", name, what);
        break;
    case SETTINGS_FROM_ENTRY:
        snprintf(error->text, sizeof error->text, "setting %s: %.400s", name, what);
        break;
    case SETTINGS_FROM_FLAG:
        snprintf(error->text, sizeof error->text, "flag %s: %.400s", name, what);
        break;
    }
    return -1;
}

static void allowed_choices(const struct settings_row *row, char *text, size_t bytes)
{
    size_t used = 0;
    for (size_t i = 0; row->choices[i] != NULL && used < bytes; i++) {
        const char *joint = i == 0 ? "" : row->choices[i + 1] == NULL ? " or " : ", ";
        used += (size_t)snprintf(text + used, bytes - used, "%s%s", joint, row->choices[i]);
    }
}

void settings_allowed(const struct settings_row *row, char *text, size_t bytes)
{
    switch (row->kind) {
    case SETTINGS_INTEGER:
        snprintf(text, bytes, "an integer from %lld to %lld %s%s%s%s", (long long)row->min,
                 (long long)row->max, row->unit, row->zero != NULL ? " (0 = " : "",
                 row->zero != NULL ? row->zero : "", row->zero != NULL ? ")" : "");
        break;
    case SETTINGS_BOOLEAN:
        snprintf(text, bytes, "true or false");
        break;
    case SETTINGS_LOG_LEVEL:
    case SETTINGS_ACCESS_MODE:
        allowed_choices(row, text, bytes);
        break;
    case SETTINGS_RATE:
        snprintf(text, bytes, "N/SECONDS, for example %s, both from %lld to %lld", row->fallback,
                 (long long)row->min, (long long)row->max);
        break;
    case SETTINGS_STRING:
        snprintf(text, bytes, "text of %lld to %lld bytes", (long long)row->min, (long long)row->max);
        break;
    case SETTINGS_LISTENERS:
    case SETTINGS_TOKENS:
    case SETTINGS_FILES:
    case SETTINGS_SOURCES:
        snprintf(text, bytes, "a list of %lld to %lld", (long long)row->min, (long long)row->max);
        break;
    }
}
