#define _GNU_SOURCE
/* scenario.c: lines of JSON. */
#include "tests/conformance/runner/scenario.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/runner/value.h"
#include "tests/conformance/runner/world.h"

/* Length of the string at text, with its quotes. */
static size_t string_length(const char *text)
{
    size_t length = 1;
    while (text[length] != '\0' && text[length] != '"') {
        length += text[length] == '\\' && text[length + 1] != '\0' ? 2 : 1;
    }
    return text[length] == '"' ? length + 1 : length;
}

/* The line with floats marked; to be freed. */
static char *mark_floats(const char *line)
{
    char *marked;
    size_t size;
    FILE *out = open_memstream(&marked, &size);
    if (out == NULL) {
        return NULL;
    }
    for (const char *at = line; *at != '\0';) {
        size_t length = 1;
        if (*at == '"') {
            length = string_length(at);
            fwrite(at, 1, length, out);
        } else if (*at == '-' || (*at >= '0' && *at <= '9')) {
            length = strspn(at, "+-0123456789.eE");
            bool is_float = strcspn(at, ".eE") < length;
            fprintf(out, is_float ? "{\"$float\":%.*s}" : "%.*s", (int)length, at);
        } else {
            fputc(*at, out);
        }
        at += length;
    }
    return fclose(out) == 0 ? marked : NULL;
}

static bool read_op(const char *line, tr_term *op)
{
    *op = TR_TERM_NONE_VALUE;
    if (line[strspn(line, " \t\r\n")] == '\0') {
        return true;
    }
    char *marked = mark_floats(line);
    cJSON *json = marked == NULL ? NULL : cJSON_Parse(marked);
    free(marked);
    if (json == NULL) {
        return false;
    }
    tr_scratch_mark mark = tr_scratch();
    *op = world_keep(value_from_json(json));
    tr_scratch_release(mark);
    cJSON_Delete(json);
    return true;
}

static bool read_ops(FILE *file, const char *path, scenario *out)
{
    char *line = NULL;
    size_t size = 0;
    size_t capacity = 0;
    bool good = true;
    while (good && getline(&line, &size, file) >= 0) {
        if (out->count == capacity) {
            tr_term *larger = world_alloc((2 * capacity + 64) * sizeof *larger);
            if (out->count > 0) {
                memcpy(larger, out->ops, out->count * sizeof *larger);
            }
            out->ops = larger;
            capacity = 2 * capacity + 64;
        }
        good = read_op(line, &out->ops[out->count]);
        out->count++;
    }
    if (!good) {
        fprintf(stderr, "%s:%zu: no JSON value\n", path, out->count);
    }
    free(line);
    return good;
}

bool scenario_read(const char *path, scenario *out)
{
    *out = (scenario){.count = 0};
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        perror(path);
        return false;
    }
    bool good = read_ops(file, path, out);
    fclose(file);
    return good;
}
