/* source: where a part of a profile comes from.
 *
 * Invariants
 *  1. Made before the node starts, read by everyone, freed after it stopped; only the counters change (atomic).
 *  2. `url` holds {user_id} or {id}, or neither; `self` ones lead to this service and carry its token.
 */
#ifndef API_PROFILES_SOURCE_H
#define API_PROFILES_SOURCE_H

#include "server/settings.h"
#include "server/text.h"

#include <troupe/troupe.h>

#define SOURCES_MAX      64
#define SOURCE_URL_BYTES 4096
#define USER_ID_BYTES    256

enum source_status { SOURCE_OK, SOURCE_TIMEOUT, SOURCE_ERROR, SOURCE_SKIPPED, SOURCE_STATUS_COUNT };

struct source {
    const char *name;
    char *url;             /* template, complete */
    const char *unix_path; /* NULL: TCP */
    const char *fallback;  /* JSON */
    bool self;
    tr_term guard;                        /* name of its process */
    uint64_t counts[SOURCE_STATUS_COUNT]; /* atomic */
};

struct profile_sources {
    const struct settings *settings;
    size_t count;
    struct source items[SOURCES_MAX];
    char unix_path[128];
};

extern struct profile_sources profile_sources;

/** base: the address of this service, "http://..." or "unix:/path". */
bool sources_init(const struct settings *settings, const char *base, char *why, size_t bytes);
void sources_fini(void);
/** -1: there is none of this name. */
int source_find(struct text name);
/** Writes the URL of one user, escaped. Returns: false when it is too long. */
bool source_url(const struct source *source, struct text user, char *out, size_t bytes);
/** Token for this service's own sources; NULL: none is needed. */
const char *source_token(const struct source *source);
void source_count(struct source *source, enum source_status status);
/** "ok", "timeout", "error", "skipped". */
const char *source_status_word(enum source_status status);

#endif
