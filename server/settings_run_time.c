/* Settings that may change while the service runs. */
#include "server/settings_run_time.h"

#include "server/json.h"
#include "server/settings_table.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    struct settings *live;
    struct settings *said; /* by the layers; scalars only, never freed: as long as the program */
    settings_sources_fn *on_sources;
} run_time;

/* A row's scalar, wherever it is. Log levels and modes are stored as int. */
static void copy_scalar(const struct settings_row *row, struct settings *to, const struct settings *from)
{
    void *target = settings_member(to, row);
    const void *source = settings_member(from, row);

    if (row->kind == SETTINGS_INTEGER) {
        __atomic_store_n((int64_t *)target, *(const int64_t *)source, __ATOMIC_RELAXED);
    } else {
        __atomic_store_n((int *)target, *(const int *)source, __ATOMIC_RELAXED);
    }
}

/* The log has copies of its own. */
static void tell_log(const struct settings *settings)
{
    log_set_level(settings->log_level);
    log_set_access(settings->access_log, settings->slow_request_ms);
}

static void take(const struct settings_row *row, const struct settings *from)
{
    copy_scalar(row, run_time.live, from);
    if (row->group == SETTINGS_LOG) {
        tell_log(run_time.live);
    }
}

void settings_run_time_setup(struct settings *settings)
{
    static struct settings said;

    run_time.live = settings;
    run_time.said = &said;
    for (size_t i = 0; i < settings_row_count; i++) {
        if (settings_rows[i].run_time && settings_rows[i].kind != SETTINGS_SOURCES) {
            copy_scalar(&settings_rows[i], &said, settings);
        }
    }
}

void settings_run_time_on_sources(settings_sources_fn *fn)
{
    run_time.on_sources = fn;
}

/* An entry names the sources that differ from those of the layers; the array is changed in place, so it is a copy. */
static void begin_with_sources(struct settings *made)
{
    const struct settings_sources *said = &run_time.live->source;

    made->source.items = settings_alloc(made, (said->count + 1) * sizeof(*said->items));
    made->source.count = said->count;
    if (said->count > 0) {
        memcpy(made->source.items, said->items, said->count * sizeof(*said->items));
    }
}

static int hand_on(const struct settings *made, bool then_take, struct settings_error *error)
{
    struct settings_error why;

    if (run_time.on_sources != NULL && !run_time.on_sources(&made->source, then_take, &why)) {
        snprintf(error->text, sizeof(error->text), "setting source: %.600s", why.text);
        return -1;
    }
    return 0;
}

/* One setting has one name here: no '-' for '_'. */
static const struct settings_row *find(struct text name)
{
    for (size_t i = 0; i < settings_row_count; i++) {
        if (text_equal(text_of(settings_rows[i].member), name)) {
            return &settings_rows[i];
        }
    }
    return NULL;
}

static int refuse_name(struct text name, const struct settings_row *row, const struct settings_origin *origin,
                       struct settings_error *error)
{
    char nearest[SETTINGS_NAME_MAX];

    if (row != NULL) {
        return settings_fail(error, origin, "cannot change while the service runs: set it at start");
    }
    bool near = name.count < SETTINGS_NAME_MAX && settings_suggest(origin->name, SETTINGS_AS_MEMBER, nearest);
    return settings_fail(error, origin, "there is no such setting%s%s%s", near ? "; did you mean \"" : "",
                         near ? nearest : "", near ? "\"?" : "");
}

/* Reads the value into `made`. */
static int read_value(struct text name, struct text json, struct settings *made,
                      const struct settings_row **row, struct settings_error *error)
{
    char spelled[SETTINGS_NAME_MAX];
    struct settings_origin origin = {.layer = SETTINGS_FROM_ENTRY, .name = spelled};
    struct json_error fault;
    cJSON *tree = NULL;

    snprintf(spelled, sizeof(spelled), "%.*s",
             (int)(name.count < sizeof(spelled) ? name.count : sizeof(spelled) - 1), name.bytes);
    *row = find(name);
    if (*row == NULL || !(*row)->run_time) {
        return refuse_name(name, *row, &origin, error);
    }
    if (!json_document_parse(json, &json_limits_default, &tree, &fault)) {
        return settings_fail(error, &origin, "not JSON: %s", json_fault_text(fault.fault));
    }
    if ((*row)->kind == SETTINGS_SOURCES) {
        begin_with_sources(made);
    }
    int result = settings_set_json(made, *row, tree, json.bytes, json.count, &origin, error);
    cJSON_Delete(tree);
    return result;
}

static int judge_into(struct text name, struct text json, bool then_take, struct settings_error *error)
{
    const struct settings_row *row = NULL;
    struct settings *made = calloc(1, sizeof(*made));

    if (made == NULL) {
        snprintf(error->text, sizeof(error->text), "there is not enough memory");
        return -1;
    }
    int result = read_value(name, json, made, &row, error);
    if (result == 0 && row->kind == SETTINGS_SOURCES) {
        result = hand_on(made, then_take, error);
    } else if (result == 0 && then_take) {
        take(row, made);
    }
    settings_destroy(made);
    return result;
}

int settings_run_time_judge(struct text name, struct text json, struct settings_error *error)
{
    return judge_into(name, json, false, error);
}

int settings_run_time_set(struct text name, struct text json, struct settings_error *error)
{
    return judge_into(name, json, true, error);
}

void settings_run_time_restore(struct text name)
{
    const struct settings_row *row = find(name);

    if (row != NULL && row->run_time && row->kind == SETTINGS_SOURCES) {
        struct settings_error error;
        (void)hand_on(run_time.live, true, &error); /* they were taken before */
    } else if (row != NULL && row->run_time) {
        take(row, run_time.said);
    }
}
