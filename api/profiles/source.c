/* Where a part of a profile comes from. */
#include "api/profiles/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/client/http_client.h"
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

static bool source_init(struct source *source, const struct settings_source *given, const char *base)
{
    char host[300];
    char name[128];
    size_t room = sizeof(host) + strlen(given->url_template);
    reachable(base, host, sizeof(host));
    snprintf(name, sizeof(name), "profiles.source.%.100s", given->name);
    source->name = given->name;
    source->self = begins(given->url_template, SELF);
    source->fallback = fallback_of(given->name);
    source->guard = tr_atom(name);
    source->unix_path = source->self && begins(base, "unix:") ? profile_sources.unix_path : NULL;
    source->url = malloc(room);
    if (source->url != NULL) {
        snprintf(source->url, room, "%s%s", source->self ? host : "",
                 given->url_template + (source->self ? strlen(SELF) : 0));
    }
    return source->url != NULL;
}

bool sources_init(const struct settings *settings, const char *base, char *why, size_t bytes)
{
    profile_sources = (struct profile_sources){.settings = settings};
    if (begins(base, "unix:")) {
        snprintf(profile_sources.unix_path, sizeof(profile_sources.unix_path), "%s", base + strlen("unix:"));
    }
    for (size_t i = 0; i < settings->source.count && i < SOURCES_MAX; i++) {
        struct source *source = &profile_sources.items[i];
        const char *fault = NULL;
        if (!source_init(source, &settings->source.items[i], base)) {
            snprintf(why, bytes, "out of memory");
            return false;
        }
        profile_sources.count++;
        char sample[SOURCE_URL_BYTES];
        if (!source_url(source, TEXT("x"), sample, sizeof(sample)) || !http_client_url_ok(sample, &fault)) {
            snprintf(why, bytes, "source %s: %s", source->name,
                     fault == NULL ? "the URL is too long" : fault);
            return false;
        }
    }
    return true;
}

void sources_fini(void)
{
    for (size_t i = 0; i < profile_sources.count; i++) {
        free(profile_sources.items[i].url);
    }
    profile_sources.count = 0;
}

int source_find(struct text name)
{
    for (size_t i = 0; i < profile_sources.count; i++) {
        if (text_equal(text_of(profile_sources.items[i].name), name)) {
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
