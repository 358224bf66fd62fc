/* What is made from the table to be read: --help, the Markdown reference, and --check-config. */
#include "server/settings_doc.h"

#include <cjson/cJSON.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HELP_COLUMNS = 80, HELP_INDENT = 30 };

/* Text without the marks of Markdown, broken between words. */
static void print_wrapped(FILE *out, const char *text, size_t indent, size_t column)
{
    for (const char *at = text; *at != '\0';) {
        size_t bytes = strcspn(at, " ");
        size_t marks = 0;
        for (size_t i = 0; i < bytes; i++) {
            marks += at[i] == '`';
        }
        if (column > indent && column + 1 + bytes - marks > HELP_COLUMNS) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', out);
            column++;
        }
        for (size_t i = 0; i < bytes; i++) {
            if (at[i] != '`') {
                fputc(at[i], out);
            }
        }
        column += bytes - marks;
        at += bytes + strspn(at + bytes, " ");
    }
    fputc('\n', out);
}

void settings_print_groups(FILE *out, const char *before, const char *after, settings_print_fn print)
{
    for (unsigned group = 0; group < SETTINGS_GROUPS; group++) {
        fprintf(out, "%s%s%s", before, settings_group_titles[group], after);
        for (size_t i = 0; i < settings_row_count; i++) {
            if (settings_rows[i].group == group) {
                print(out, &settings_rows[i]);
            }
        }
    }
}

void settings_value_name(const struct settings_row *row, char *name, size_t bytes)
{
    if (row->value != NULL) {
        snprintf(name, bytes, " %s", row->value);
    } else if (row->kind == SETTINGS_INTEGER) {
        bool counts =
            strcmp(row->unit, "ms") != 0 && strcmp(row->unit, "bytes") != 0 && strcmp(row->unit, "s") != 0;
        snprintf(name, bytes, " %s", counts ? "n" : row->unit);
        for (char *at = name; *at != '\0'; at++) {
            *at = (char)toupper((unsigned char)*at);
        }
    } else if (row->choices[0] != NULL) {
        size_t used = 0;
        for (size_t i = 0; row->choices[i] != NULL && used < bytes; i++) {
            used += (size_t)snprintf(name + used, bytes - used, "%c%s", i == 0 ? ' ' : '|', row->choices[i]);
        }
    } else {
        snprintf(name, bytes, "%s", "");
    }
}

const char *settings_reserved_text(const struct settings_row *row)
{
    return row->reserved ? "; reserved: nothing heeds it yet" : "";
}

static void help_row(FILE *out, const struct settings_row *row)
{
    char name[SETTINGS_NAME_MAX];
    char value[64];
    char text[512];
    settings_spell(row, SETTINGS_AS_FLAG, name);
    settings_value_name(row, value, sizeof value);
    int column = fprintf(out, "  %s%s", name, value);
    if (column >= HELP_INDENT - 1) {
        fprintf(out, "\n%*s", HELP_INDENT, "");
    } else {
        fprintf(out, "%*s", HELP_INDENT - column, "");
    }
    bool sources = row->kind == SETTINGS_SOURCES;
    bool shown = row->fallback != NULL && row->kind != SETTINGS_BOOLEAN;
    bool zero = shown && row->zero != NULL;
    const char *joint = !zero ? "" : strcmp(row->fallback, "0") == 0 ? ": " : "; 0: ";
    snprintf(text, sizeof text, "%s%s%s%s%s%s%s%s", row->text,
             settings_is_list(row) ? "; may be repeated" : "", settings_reserved_text(row),
             shown ? " (default " : "",
             !shown    ? ""
             : sources ? "its own demo"
                       : row->fallback,
             joint, zero ? row->zero : "", shown ? ")" : "");
    print_wrapped(out, text, HELP_INDENT, HELP_INDENT);
}

static void help_paragraphs(FILE *out, const char *const texts[])
{
    for (size_t i = 0; texts[i] != NULL; i++) {
        print_wrapped(out, texts[i], 0, 0);
        fputs(texts[i + 1] != NULL ? "\n" : "", out);
    }
}

/* A term, and its text in the column of the settings' texts. */
static void help_notes(FILE *out, const char *title, const struct settings_note notes[])
{
    fprintf(out, "\n%s:\n", title);
    for (size_t i = 0; notes[i].term != NULL; i++) {
        int column = fprintf(out, "  %s", notes[i].term);
        fprintf(out, "%*s", column < HELP_INDENT ? HELP_INDENT - column : 2, "");
        print_wrapped(out, notes[i].text, HELP_INDENT, HELP_INDENT);
    }
}

/* What a command is for, and the command under it. */
static void help_examples(FILE *out)
{
    fputs("\nExamples:\n", out);
    for (size_t i = 0; settings_examples[i].term != NULL; i++) {
        fputs("  # ", out);
        print_wrapped(out, settings_examples[i].text, 4, 4);
        fprintf(out, "  %s\n", settings_examples[i].term);
    }
}

char *settings_help(void)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (out == NULL) {
        return NULL;
    }
    fputs("Usage: trouped [SETTING]...\n\n", out);
    help_paragraphs(out, settings_about);
    help_examples(out);
    fputc('\n', out);
    help_paragraphs(out, settings_layers);
    help_notes(out, "Commands", settings_commands);
    settings_print_groups(out, "\n", ":\n", help_row);
    help_notes(out, "Environment", settings_variables);
    help_notes(out, "Files", settings_files);
    help_notes(out, "Signals", settings_signals);
    help_notes(out, "Exit status", settings_exits);
    fputs("\nMore: man trouped; the running service tells of its API at / and /openapi.yaml.\n", out);
    return fclose(out) == 0 ? text : NULL;
}

const char *settings_type_name(const struct settings_row *row)
{
    switch (row->kind) {
    case SETTINGS_INTEGER:
        return strcmp(row->unit, "ms") == 0 ? "duration" : "integer";
    case SETTINGS_BOOLEAN:
        return "boolean";
    case SETTINGS_LOG_LEVEL:
    case SETTINGS_ACCESS_MODE:
        return "choice";
    case SETTINGS_RATE:
        return "text";
    case SETTINGS_STRING:
        return row->check == settings_check_gateway ? "text" : "path";
    case SETTINGS_LISTENERS:
        return "list of addresses";
    case SETTINGS_TOKENS:
        return "list of tokens (secret)";
    case SETTINGS_FILES:
        return "list of paths";
    case SETTINGS_SOURCES:
        return "list of NAME=URL";
    }
    return "text";
}

static void markdown_row(FILE *out, const struct settings_row *row)
{
    char flag[SETTINGS_NAME_MAX];
    char variable[SETTINGS_NAME_MAX];
    char allowed[200];
    settings_spell(row, SETTINGS_AS_FLAG, flag);
    settings_spell(row, SETTINGS_AS_VARIABLE, variable);
    settings_allowed(row, allowed, sizeof allowed);
    fprintf(out, "\n### `%s`\n\n", row->member);
    fprintf(out, "%c%s.%s%s\n\n", toupper((unsigned char)row->text[0]), row->text + 1,
            row->more != NULL ? " " : "", row->more != NULL ? row->more : "");
    fprintf(out, "- Flag `%s`, environment `%s`%s\n", flag, variable,
            row->not_in_file ? "; not in the file" : "");
    fprintf(out, "- Type: %s; %s\n", settings_type_name(row), allowed);
    if (row->run_time) {
        fprintf(out, "- While the service runs: `PUT /v1/config/trouped.%s`\n", row->member);
    }
    if (row->reserved) {
        fputs("- Reserved: it is judged, but nothing heeds it yet\n", out);
    }
    fprintf(out, "- Default: %s%s%s\n", row->fallback != NULL ? "`" : "",
            row->fallback != NULL ? row->fallback : "none", row->fallback != NULL ? "`" : "");
}

char *settings_markdown(void)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    if (out == NULL) {
        return NULL;
    }
    fputs(
        "# Settings of trouped\n\n"
        "Made by `trouped --help-settings-markdown` from `server/settings.def`; do not edit.\n\n"
        "A setting has one name: `max_keys` is the member of the JSON file (`--config FILE`), `TROUPE_MAX_KEYS` the\n"
        "environment variable and `--max-keys` the flag. Built-in values are overridden by the file, the file by the\n"
        "environment, the environment by flags. Lists are arrays in the file, comma-separated in the environment and\n"
        "repeated as flags; a later layer's list replaces an earlier one. Unknown names and bad values end the\n"
        "program with exit status 64 and one line that says which layer and what is allowed; `--check-config` judges\n"
        "everything without starting.\n\n"
        "Some may change while the service runs: their entry says so. An entry `trouped.<name>` of the configuration service\n"
        "is judged as at start, holds at once and over restarts, and lies above flags, environment and file; when it is\n"
        "deleted, what those say holds again. For any other name such an entry is refused.\n",
        out);
    settings_print_groups(out, "\n## ", "\n", markdown_row);
    return fclose(out) == 0 ? text : NULL;
}

/* ---- Effective settings ---- */

static cJSON *text_or_null(const char *text)
{
    return text != NULL ? cJSON_CreateString(text) : cJSON_CreateNull();
}

static cJSON *list_to_json(const void *member, enum settings_kind kind)
{
    cJSON *array = cJSON_CreateArray();
    size_t count = *(const size_t *)member;
    for (size_t i = 0; i < count; i++) {
        if (kind == SETTINGS_LISTENERS) {
            cJSON_AddItemToArray(
                array, cJSON_CreateString(((const struct settings_listeners *)member)->items[i].text));
        } else if (kind == SETTINGS_FILES) {
            cJSON_AddItemToArray(array,
                                 cJSON_CreateString(((const struct settings_texts *)member)->items[i]));
        } else {
            const struct settings_source *source = &((const struct settings_sources *)member)->items[i];
            char text[SETTINGS_ITEM_MAX];
            snprintf(text, sizeof text, "%s=%s", source->name, source->url_template);
            cJSON_AddItemToArray(array, cJSON_CreateString(text));
        }
    }
    return array;
}

static cJSON *value_to_json(const struct settings *settings, const struct settings_row *row)
{
    const void *member = settings_member(settings, row);
    char text[48];
    const struct settings_rate *rate = member;
    if (row->secret) {
        return cJSON_CreateNull();
    }
    switch (row->kind) {
    case SETTINGS_STRING:
        return text_or_null(*(char *const *)member);
    case SETTINGS_INTEGER:
        snprintf(text, sizeof text, "%lld", (long long)*(const int64_t *)member);
        return cJSON_CreateRaw(text); /* cJSON's own numbers are doubles */
    case SETTINGS_BOOLEAN:
        return cJSON_CreateBool(*(const bool *)member);
    case SETTINGS_LOG_LEVEL:
    case SETTINGS_ACCESS_MODE:
        return cJSON_CreateString(row->choices[*(const int *)member]);
    case SETTINGS_RATE:
        snprintf(text, sizeof text, "%lld/%lld", (long long)rate->count, (long long)rate->seconds);
        return cJSON_CreateString(text);
    case SETTINGS_TOKENS: /* always secret */
        return cJSON_CreateNull();
    case SETTINGS_LISTENERS:
    case SETTINGS_FILES:
    case SETTINGS_SOURCES:
        return list_to_json(member, row->kind);
    }
    return NULL;
}

char *settings_to_json(const struct settings *settings)
{
    cJSON *root = cJSON_CreateObject();
    for (size_t i = 0; i < settings_row_count && root != NULL; i++) {
        if (!settings_rows[i].not_in_file) {
            cJSON_AddItemToObject(root, settings_rows[i].member, value_to_json(settings, &settings_rows[i]));
        }
    }
    char *text = root != NULL ? cJSON_Print(root) : NULL;
    cJSON_Delete(root);
    size_t bytes = text != NULL ? strlen(text) : 0;
    char *line = text != NULL ? realloc(text, bytes + 2) : NULL;
    if (line == NULL) {
        free(text);
        return NULL;
    }
    memcpy(line + bytes, "\n", 2);
    return line;
}
