/* Settings of the service: one table (settings.def), four layers, plain members.
 *
 * 1. A later layer wins: built-in value < JSON file < environment TROUPE_<KEY> < flag. Within a layer the
 *    last one wins.
 * 2. A later layer's list replaces an earlier one; sources are replaced one by one, by name.
 * 3. A struct settings handed out is complete and valid; afterwards only settings_run_time.h changes it: scalars whose
 *    row has .run_time, which are read by SETTINGS_NOW().
 * 4. Secrets never reach an error text, --check-config or a log.
 * 5. An unknown name is an error in every layer: flags, environment variables that begin with TROUPE_, file
 *    members. TROUPE_CONFIG_<KEY> belongs to the configuration service.
 *
 * Life cycle: settings_main() once in main(), then read members from any thread, settings_destroy() at the
 * end.
 * Limits: a settings file has at most SETTINGS_FILE_MAX bytes.
 */
#ifndef TROUPE_SERVER_SETTINGS_H
#define TROUPE_SERVER_SETTINGS_H

#include "server/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { SETTINGS_FILE_MAX = 1 << 20 };

/* What trouped exits with. */
enum trouped_exit {
    TROUPED_EXIT_OK = 0,
    TROUPED_EXIT_UNHEALTHY = 1,     /* --healthcheck only */
    TROUPED_EXIT_BAD_SETTINGS = 64, /* also an address that is in use */
    TROUPED_EXIT_BROKEN = 70,       /* too many faults, or a broken invariant */
    TROUPED_EXIT_STORAGE = 74,
};

struct settings_listener {
    const char *text; /* as given */
    union {
        struct sockaddr any;
        struct sockaddr_storage storage;
        struct sockaddr_un local;
    } address;
    socklen_t address_bytes;
    bool loopback; /* unix sockets count as such */
    bool bound;    /* by the listener: a unix path is its own now */
};

struct settings_listeners {
    size_t count;
    struct settings_listener *items;
};

struct settings_texts {
    size_t count;
    char **items;
};

struct settings_rate {
    int64_t count;
    int64_t seconds;
};

struct settings_source {
    char *name;
    char *url_template;
};

struct settings_sources {
    size_t count;
    struct settings_source *items;
};

/* The members are those of settings.def, of these types. A STRING without a value is NULL. */
#define SETTINGS_C_STRING      char *
#define SETTINGS_C_INTEGER     int64_t
#define SETTINGS_C_BOOLEAN     bool
#define SETTINGS_C_LOG_LEVEL   enum log_level
#define SETTINGS_C_ACCESS_MODE enum log_access_mode
#define SETTINGS_C_LISTENERS   struct settings_listeners
#define SETTINGS_C_TOKENS      struct settings_texts
#define SETTINGS_C_FILES       struct settings_texts
#define SETTINGS_C_RATE        struct settings_rate
#define SETTINGS_C_SOURCES     struct settings_sources

struct settings {
#define SETTING(kind, member, ...) SETTINGS_C_##kind member;
#include "server/settings.def"
#undef SETTING
    char *config_json;             /* text of the file's member `config`, an object; NULL = none */
    struct settings_block *blocks; /* memory of all of the above */
};

/* One line, without a newline, that says which layer, which setting, what is wrong and what is allowed. */
struct settings_error {
    char text[640];
};

/** Builds settings from all layers. `argv` (main's, cast to const) ends in NULL, argv[0] is skipped;
 *  `environment` ends in NULL.
 *  --config is followed; the verbs (--help and so on) are not accepted here.
 *  Returns: 0 and *settings, to be given to settings_destroy(); -1 and *error.
 *  Blocks: reads files.   Context: any thread. */
int settings_load(const char *const argv[], const char *const environment[], struct settings **settings,
                  struct settings_error *error);

/** What main() calls first: loads settings, or does what --help, --version, --check-config, --healthcheck,
 *  --help-man and --help-settings-markdown ask for. Errors go to stderr as one line.
 *  Returns: true and *settings when the service is to run; false and *exit_status when main() is to return
 *  that.
 *  Blocks: reads files; --healthcheck up to two seconds.   Context: main(), before threads. */
bool settings_main(const char *const argv[], const char *const environment[], struct settings **settings,
                   int *exit_status);

/** The first address, as it was given, where strangers need no token; NULL when there is none: tokens are set, or all
 *  listeners are loopback. */
const char *settings_open_listener(const struct settings *settings);

/** Wipes and frees; NULL is fine. */
void settings_destroy(struct settings *settings);

/** Reads the member `config` of a settings file anew, for a reload; the file is judged as strictly as at
 *  start.
 *  Returns: 0 and *json (free() it; NULL when there is no such member); -1 and *error.
 *  Blocks: reads a file.   Context: any thread that may block. */
int settings_read_config_member(const char *file, char **json, struct settings_error *error);

/** The effective settings as a JSON object: the members of a settings file; secrets, and what has no value,
 *  are null.
 *  Returns: text to free(), or NULL without memory. */
char *settings_to_json(const struct settings *settings);

/** The text of --help.   Returns: text to free(), or NULL without memory. */
char *settings_help(void);

/** The reference of all settings in Markdown (server/SETTINGS.md). Returns: text to free(), or NULL without
 *  memory. */
char *settings_markdown(void);

/** The manual page, in the man macros of roff.   Returns: text to free(), or NULL without memory. */
char *settings_man(void);

#endif
