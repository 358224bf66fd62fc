/* Where a part of a profile comes from. */
#include "api/profiles/source.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/client/http_client.h"
#include "server/client/upstream.h"
#include "server/http/path.h"

#define SELF "self:"

struct profile_sources profile_sources;

static const char *fallback_of(const char *name)
{
    static const char *const rows[][2] = {{"user", "{}"}, {"preferences", "{}"}, {"recent_activity", "[]"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i][0], name) == 0) {
            return rows[i][1];
        }
    }
    return "null";
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* What listens everywhere is reached on this machine. */
static void reachable(const char *base, char *out, size_t bytes)
{
    static const char any4[] = "http://0.0.0.0:";
    static const char any6[] = "http://[::]:";
    if (begins(base, any4)) {
        snprintf(out, bytes, "http://127.0.0.1:%s", base + sizeof(any4) - 1);
    } else if (begins(base, any6)) {
        snprintf(out, bytes, "http://[::1]:%s", base + sizeof(any6) - 1);
    } else {
        snprintf(out, bytes, "%s", begins(base, "unix:") ? "http://localhost" : base);
    }
}

static struct source_list list_now;
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER; /* held for a copy */

/* What the layers say is the operator's. */
static bool is_operators(const struct settings_source *given)
{
    const struct settings_sources *said = &profile_sources.settings->source;
    for (size_t i = 0; i < said->count; i++) {
        if (strcmp(said->items[i].name, given->name) == 0 &&
            strcmp(said->items[i].url_template, given->url_template) == 0) {
            return true;
        }
    }
    return false;
}

static char *complete_url(const char *given)
{
    size_t room = sizeof(profile_sources.base) + strlen(given);
    char *url = malloc(room);
    bool self = begins(given, SELF);
    if (url != NULL) {
        snprintf(url, room, "%s%s", self ? profile_sources.base : "", given + (self ? strlen(SELF) : 0));
    }
    return url;
}

static void source_fini(struct source *source)
{
    free(source->name);
    free(source->given);
    free(source->url);
    *source = (struct source){0};
}

/* Fills a place, or whatever memory is judged. */
static const char *source_init(struct source *source, const struct settings_source *given, size_t place)
{
    char name[128];
    char sample[SOURCE_URL_BYTES];
    const char *fault = NULL;
    snprintf(name, sizeof(name),
             place < SOURCES_MAX ? "profiles.source.%.100s" : "profiles.source.%.100s.%zu", given->name,
             place);
    *source = (struct source){.name = strdup(given->name),
                              .given = strdup(given->url_template),
                              .url = complete_url(given->url_template),
                              .fallback = fallback_of(given->name),
                              .self = begins(given->url_template, SELF),
                              .private_allowed =
                                  is_operators(given) || profile_sources.settings->allow_private_addresses,
                              .guard = tr_atom(name)};
    source->unix_path =
        source->self && profile_sources.unix_path[0] != '\0' ? profile_sources.unix_path : NULL;
    if (source->name == NULL || source->given == NULL || source->url == NULL) {
        fault = "out of memory";
    } else if (source->self && !source->private_allowed) {
        fault = "self: at run time needs allow_private_addresses";
    } else if (!source_url(source, TEXT("x"), sample, sizeof(sample))) {
        fault = "the URL is too long";
    } else if (http_client_url_ok(sample, &fault)) {
        return NULL;
    }
    source_fini(source);
    return fault;
}

static size_t places_filled(void)
{
    return __atomic_load_n(&profile_sources.count, __ATOMIC_ACQUIRE);
}

/* The place of such a source; SOURCE_PLACES: none has it. */
static size_t place_of_given(const struct settings_source *given)
{
    size_t count = places_filled();
    for (size_t i = 0; i < count; i++) {
        const struct source *source = &profile_sources.items[i];
        if (strcmp(source->name, given->name) == 0 && strcmp(source->given, given->url_template) == 0) {
            return i;
        }
    }
    return SOURCE_PLACES;
}

static bool judge_all(const struct settings_sources *given, struct settings_error *error)
{
    size_t needed = places_filled();
    for (size_t i = 0; i < given->count; i++) {
        struct source tried;
        if (place_of_given(&given->items[i]) != SOURCE_PLACES) {
            continue;
        }
        const char *fault = source_init(&tried, &given->items[i], needed);
        if (fault == NULL && ++needed > SOURCE_PLACES) {
            fault = "too many different sources since the start; restart the service";
        }
        if (fault != NULL) {
            snprintf(error->text, sizeof(error->text), "source %s: %s", given->items[i].name, fault);
        }
        source_fini(&tried);
        if (fault != NULL) {
            return false;
        }
    }
    return true;
}

/* Fills the next place. It is seen when it is whole. */
static size_t place_new(const struct settings_source *given)
{
    size_t place = profile_sources.count;
    if (source_init(&profile_sources.items[place], given, place) != NULL) {
        return SOURCE_PLACES;
    }
    __atomic_store_n(&profile_sources.count, place + 1, __ATOMIC_RELEASE);
    return place;
}

tr_child_spec source_guard_spec(const struct source *source)
{
    return upstream_child_spec(source->guard, &(struct upstream_rules){0});
}

static bool fill_list(const struct settings_sources *given, bool start_guards, struct settings_error *error)
{
    struct source_list list = {0};
    if (!judge_all(given, error)) {
        return false;
    }
    for (size_t i = 0; i < given->count && i < SOURCES_MAX; i++) {
        size_t place = place_of_given(&given->items[i]);
        bool is_new = place == SOURCE_PLACES;
        place = is_new ? place_new(&given->items[i]) : place;
        if (place == SOURCE_PLACES) {
            snprintf(error->text, sizeof(error->text), "out of memory");
            return false;
        }
        if (is_new && start_guards) {
            tr_child_spec spec = source_guard_spec(&profile_sources.items[place]);
            (void)tr_supervisor_start_child(tr_to_name(tr_atom("profiles.sup")), &spec);
        }
        list.places[list.count++] = (uint16_t)place;
    }
    pthread_mutex_lock(&list_lock);
    list_now = list;
    pthread_mutex_unlock(&list_lock);
    return true;
}

bool sources_take(const struct settings_sources *given, bool then_take, struct settings_error *error)
{
    return then_take ? fill_list(given, true, error) : judge_all(given, error);
}

void sources_now(struct source_list *list)
{
    pthread_mutex_lock(&list_lock);
    *list = list_now;
    pthread_mutex_unlock(&list_lock);
}

bool sources_init(const struct settings *settings, const char *base, char *why, size_t bytes)
{
    struct settings_error error;
    profile_sources = (struct profile_sources){.settings = settings};
    reachable(base, profile_sources.base, sizeof(profile_sources.base));
    if (begins(base, "unix:")) {
        snprintf(profile_sources.unix_path, sizeof(profile_sources.unix_path), "%s", base + strlen("unix:"));
    }
    if (!fill_list(&settings->source, false, &error)) {
        snprintf(why, bytes, "%s", error.text);
        return false;
    }
    return true;
}

void sources_fini(void)
{
    for (size_t i = 0; i < profile_sources.count; i++) {
        source_fini(&profile_sources.items[i]);
    }
    profile_sources.count = 0;
}

int source_find(const struct source_list *list, struct text name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (text_equal(text_of(profile_sources.items[list->places[i]].name), name)) {
            return (int)i;
        }
    }
    return -1;
}

static size_t place_of(const char *at)
{
    return begins(at, "{user_id}") ? strlen("{user_id}") : begins(at, "{id}") ? strlen("{id}") : 0;
}

bool source_url(const struct source *source, struct text user, char *out, size_t bytes)
{
    char *at = out;
    for (const char *from = source->url; *from != '\0';) {
        size_t place = place_of(from);
        size_t needed = place == 0 ? 1 : 3 * user.count;
        if (needed >= bytes - (size_t)(at - out)) {
            return false;
        }
        if (place == 0) {
            *at++ = *from++;
        } else {
            for (size_t i = 0; i < user.count; i++) {
                at += http_escape_byte(user.bytes[i], at);
            }
            from += place;
        }
    }
    *at = '\0';
    return true;
}

const char *source_token(const struct source *source)
{
    const struct settings *settings = profile_sources.settings;
    if (!source->self) {
        return NULL;
    }
    return settings->client_token.count != 0  ? settings->client_token.items[0]
           : settings->admin_token.count != 0 ? settings->admin_token.items[0]
                                              : NULL;
}

void source_count(struct source *source, enum source_status status)
{
    __atomic_add_fetch(&source->counts[status], 1, __ATOMIC_RELAXED);
}

const char *source_status_word(enum source_status status)
{
    static const char *const words[] = {"ok", "timeout", "error", "skipped"};
    return words[status];
}
