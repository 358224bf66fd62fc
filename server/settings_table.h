/* The settings table, and what the files settings_*.c share. Inside of the settings only: others use
 * settings.h.
 *
 * 1. Rows are in the order of settings.def and of struct settings.
 * 2. A value is set only by settings_set() and settings_add(), which judge it; every layer goes through them.
 *
 * Life cycle: the table is constant; a struct settings_origin lives on its caller's stack.
 */
#ifndef TROUPE_SERVER_SETTINGS_TABLE_H
#define TROUPE_SERVER_SETTINGS_TABLE_H

#include "server/settings.h"

#include <cjson/cJSON.h>

enum {
    SETTINGS_NAME_MAX = 64, /* of any form of a key, NUL included */
    SETTINGS_ITEM_MAX = 8192,
};

enum settings_kind {
    SETTINGS_STRING,
    SETTINGS_INTEGER,
    SETTINGS_BOOLEAN,
    SETTINGS_LOG_LEVEL,
    SETTINGS_ACCESS_MODE,
    SETTINGS_LISTENERS, /* from here on: lists */
    SETTINGS_TOKENS,
    SETTINGS_FILES,
    SETTINGS_SOURCES,
    SETTINGS_RATE,
};

enum settings_group {
    SETTINGS_START,
    SETTINGS_ACCESS,
    SETTINGS_HTTP,
    SETTINGS_LOG,
    SETTINGS_RATE_LIMITS,
    SETTINGS_SERVICES,
    SETTINGS_RUNTIME,
    SETTINGS_GROUPS,
};

struct settings_row {
    const char *member;
    size_t offset; /* in struct settings */
    enum settings_kind kind;
    enum settings_group group;
    const char *fallback;
    int64_t min;
    int64_t max;
    const char *unit;
    const char *zero;
    const char *value;
    const char *choices[5];
    const char *(*check)(const char *text); /* NULL = fine, else what is wrong */
    bool secret;
    bool not_in_file;
    bool run_time; /* an entry `trouped.<member>` of the configuration may change it (settings_run_time.h) */
    bool reserved; /* for a service that is not there yet: judged, but nothing reads it */
    const char *text;
    const char *more;
};

enum settings_layer {
    SETTINGS_BUILT_IN,
    SETTINGS_FROM_FILE,
    SETTINGS_FROM_ENVIRONMENT,
    SETTINGS_FROM_FLAG,
    SETTINGS_FROM_ENTRY /* of the configuration, while the service runs */
};

/* Where a value comes from, for errors. */
struct settings_origin {
    enum settings_layer layer;
    const char *name; /* "--workers", "TROUPE_WORKERS", or the member's name */
    const char *file; /* SETTINGS_FROM_FILE: its path */
};

/* How a key is spelled. */
enum settings_spelling { SETTINGS_AS_MEMBER, SETTINGS_AS_FLAG, SETTINGS_AS_VARIABLE };

extern const struct settings_row settings_rows[];
extern const size_t settings_row_count;

/** Spells the key: max_keys, --max-keys or TROUPE_MAX_KEYS. */
void settings_spell(const struct settings_row *row, enum settings_spelling spelling,
                    char name[SETTINGS_NAME_MAX]);

/** The row whose key is spelled so, or NULL. In the file '-' and '_' are the same. */
const struct settings_row *settings_find(const char *name, enum settings_spelling spelling);

/** The nearest name, when one is near enough to be meant.
 *  Returns: false when none is; `nearest` is untouched then. */
bool settings_suggest(const char *name, enum settings_spelling spelling, char nearest[SETTINGS_NAME_MAX]);

bool settings_is_list(const struct settings_row *row);

/** Writes "<layer> <name>: <what is wrong>" into the error.   Returns: -1, so that callers can return it. */
int settings_fail(struct settings_error *error, const struct settings_origin *origin, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** What a value must be, for example "an integer from 0 to 256 (0 = no limit)". */
void settings_allowed(const struct settings_row *row, char *text, size_t bytes);

/** Bytes for a printable, bounded copy of something that came from outside. */
enum { SETTINGS_SHOWN_MAX = 96 };
const char *settings_show(const char *text, char shown[SETTINGS_SHOWN_MAX]);

/** Memory that lives as long as the settings. Returns: zeroed memory; ends the program when there is none. */
void *settings_alloc(struct settings *settings, size_t bytes);
char *settings_copy(struct settings *settings, const char *text, size_t bytes);

/** Where the row's member is. */
void *settings_member(const struct settings *settings, const struct settings_row *row);

/** Sets a value that is no list.   Returns: 0, or -1 and *error. */
int settings_set(struct settings *settings, const struct settings_row *row, const char *text,
                 const struct settings_origin *origin, struct settings_error *error);

/** Empties a list because a later layer has it; sources stay. */
void settings_clear(struct settings *settings, const struct settings_row *row);

/** Adds an item to a list.   Returns: 0, or -1 and *error. */
int settings_add(struct settings *settings, const struct settings_row *row, const char *text,
                 const struct settings_origin *origin, struct settings_error *error);

/** Clears the list and adds all items of a text with commas.   Returns: 0, or -1 and *error. */
int settings_set_list(struct settings *settings, const struct settings_row *row, const char *text,
                      const struct settings_origin *origin, struct settings_error *error);

/** Parses one address of `listen`.   Returns: NULL, or what is wrong. */
const char *settings_parse_listener(const char *text, struct settings_listener *listener);

/** NULL when `url` is an http or https URL one may fetch, else what is wrong. */
const char *settings_check_url(const char *url);
const char *settings_check_gateway(const char *text);
const char *settings_check_readable(const char *path);
const char *settings_check_template(const char *text);

/** Sets a value given as JSON: the tree, and the text it was read from.   Returns: 0, or -1 and *error. */
int settings_set_json(struct settings *settings, const struct settings_row *row, const cJSON *value,
                      const char *text, size_t bytes, const struct settings_origin *origin,
                      struct settings_error *error);

/** Puts the file's members into the settings.   Returns: 0, or -1 and *error. */
int settings_apply_file(struct settings *settings, const char *file, struct settings_error *error);

/** Reads a whole file.   Returns: NULL and *problem, or text to free(), NUL behind its *bytes. */
char *settings_read_whole(const char *file, size_t *bytes, const char **problem);

extern const char *const settings_group_titles[SETTINGS_GROUPS];

#endif
