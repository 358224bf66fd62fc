/* source: where a part of a profile comes from.
 *
 * Invariants
 *  1. A place of `items` is filled once and stays what it is until the node stopped; only the counters change (atomic). So
 *     requests and tasks name a source by its place, and finish with those they began with whatever happens to the list.
 *  2. The list says which places are asked now: at start those of the settings, later what sources_take() is given. A source
 *     that comes again unchanged has its old place, with counters and guard. SOURCE_PLACES are all there are until a restart.
 *  3. What the layers said is the operator's; other sources reach private addresses only with allow_private_addresses.
 *  4. `url` holds {user_id} or {id}, or neither; `self` ones lead to this service and carry its token.
 */
#ifndef API_PROFILES_SOURCE_H
#define API_PROFILES_SOURCE_H

#include "server/settings.h"
#include "server/text.h"

#include <troupe/troupe.h>

#define SOURCES_MAX      64
#define SOURCE_PLACES    256
#define SOURCE_URL_BYTES 4096
#define USER_ID_BYTES    256

enum source_status { SOURCE_OK, SOURCE_TIMEOUT, SOURCE_ERROR, SOURCE_SKIPPED, SOURCE_STATUS_COUNT };

struct source {
    char *name;
    char *given;           /* the template as it was given */
    char *url;             /* template, complete */
    const char *unix_path; /* NULL: TCP */
    const char *fallback;  /* JSON */
    bool self;
    bool private_allowed;
    tr_term guard;                        /* name of its process */
    uint64_t counts[SOURCE_STATUS_COUNT]; /* atomic */
};

struct profile_sources {
    const struct settings *settings;
    size_t count; /* atomic: places that are filled */
    struct source items[SOURCE_PLACES];
    char base[300]; /* of `self` ones: scheme and authority */
    char unix_path[128];
};

/* Sources that are asked, by their places, in the order of the answer. */
struct source_list {
    size_t count;
    uint16_t places[SOURCES_MAX];
};

extern struct profile_sources profile_sources;

/** base: the address of this service, "http://..." or "unix:/path". */
bool sources_init(const struct settings *settings, const char *base, char *why, size_t bytes);
void sources_fini(void);
/** The list as it is now.   Blocks: for a copy.   Context: any thread. */
void sources_now(struct source_list *list);
/** For settings_run_time_on_sources(): the list becomes this one. A new source's guard is started when profiles.sup is there, else
 *  by that.   Blocks: parks (then_take).   Context: process for then_take, one at a time; else any thread. */
bool sources_take(const struct settings_sources *given, bool then_take, struct settings_error *error);
tr_child_spec source_guard_spec(const struct source *source);
/** Its index in the list; -1: there is none of this name. */
int source_find(const struct source_list *list, struct text name);
/** Writes the URL of one user, escaped. Returns: false when it is too long. */
bool source_url(const struct source *source, struct text user, char *out, size_t bytes);
/** Token for this service's own sources; NULL: none is needed. */
const char *source_token(const struct source *source);
void source_count(struct source *source, enum source_status status);
/** "ok", "timeout", "error", "skipped". */
const char *source_status_word(enum source_status status);

#endif
