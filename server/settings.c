#include "server/settings.h"

#include "server/healthcheck.h"
#include "server/settings_table.h"
#include "server/version.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Layers ---- */

static int apply_built_in(struct settings *settings, struct settings_error *error)
{
    for (size_t i = 0; i < settings_row_count; i++) {
        const struct settings_row *row = &settings_rows[i];
        const struct settings_origin origin = {SETTINGS_BUILT_IN, row->member, NULL};
        if (row->fallback != NULL && settings_set(settings, row, row->fallback, &origin, error) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Kubernetes tells every pod about a service called "troupe..." in variables like TROUPE_PORT_8080_TCP_ADDR.
 * */
static bool is_service_link(const char *name, const char *value)
{
    const char *port = strstr(name, "PORT_");
    size_t digits = port != NULL ? strspn(port + 5, "0123456789") : 0;
    bool numbered = digits > 0 && (strncmp(port + 5 + digits, "_TCP", 4) == 0 ||
                                   strncmp(port + 5 + digits, "_UDP", 4) == 0);
    bool url = strncmp(value, "tcp://", 6) == 0 || strncmp(value, "udp://", 6) == 0;
    return numbered || strstr(name, "SERVICE_HOST") != NULL || strstr(name, "SERVICE_PORT") != NULL ||
           (url && strlen(name) >= 4 && strcmp(name + strlen(name) - 4, "PORT") == 0);
}

static int refuse_unknown(const struct settings_origin *origin, enum settings_spelling spelling,
                          struct settings_error *error)
{
    char nearest[SETTINGS_NAME_MAX];
    if (settings_suggest(origin->name, spelling, nearest)) {
        return settings_fail(error, origin, "there is no such setting; did you mean %s?", nearest);
    }
    return settings_fail(error, origin, "there is no such setting; trouped --help lists them");
}

static int apply_variable(struct settings *settings, const char *entry, struct settings_error *error)
{
    const char *equals = strchr(entry, '=');
    if (strncmp(entry, "TROUPE_", 7) != 0 || equals == NULL || strncmp(entry, "TROUPE_CONFIG_", 14) == 0) {
        return 0;
    }
    char name[256];
    snprintf(name, sizeof name, "%.*s", (int)(equals - entry), entry);
    const struct settings_origin origin = {SETTINGS_FROM_ENVIRONMENT, name, NULL};
    const struct settings_row *row = settings_find(name, SETTINGS_AS_VARIABLE);
    if (row == NULL) {
        return is_service_link(name, equals + 1) ? 0 : refuse_unknown(&origin, SETTINGS_AS_VARIABLE, error);
    }
    return settings_set(settings, row, equals + 1, &origin, error);
}

static int apply_environment(struct settings *settings, const char *const environment[],
                             struct settings_error *error)
{
    for (size_t i = 0; environment[i] != NULL; i++) {
        if (apply_variable(settings, environment[i], error) != 0) {
            return -1;
        }
    }
    return 0;
}

/* One flag of a command line. */
struct flag {
    char name[SETTINGS_NAME_MAX * 2]; /* as given, without the value */
    const struct settings_row *row;
    const char *value;
};

/* Reads the flag at argv[*at] and moves *at behind it. */
static int next_flag(const char *const argv[], size_t *at, struct flag *flag, struct settings_error *error)
{
    const char *argument = argv[(*at)++];
    const struct settings_origin origin = {SETTINGS_FROM_FLAG, flag->name, NULL};
    const char *equals = strchr(argument, '=');
    size_t bytes = equals != NULL ? (size_t)(equals - argument) : strlen(argument);
    snprintf(flag->name, sizeof flag->name, "%.*s", (int)(bytes < 200 ? bytes : 200), argument);
    if (strncmp(argument, "--", 2) != 0) {
        return settings_fail(error, &origin, "is not a flag; flags begin with --");
    }
    flag->row = bytes < sizeof flag->name ? settings_find(flag->name, SETTINGS_AS_FLAG) : NULL;
    if (flag->row == NULL) {
        return refuse_unknown(&origin, SETTINGS_AS_FLAG, error);
    }
    const char *next = argv[*at];
    if (equals != NULL) {
        flag->value = equals + 1;
        return 0;
    }
    if (flag->row->kind == SETTINGS_BOOLEAN) {
        bool given = next != NULL && (strcmp(next, "true") == 0 || strcmp(next, "false") == 0);
        flag->value = given ? next : "true";
        *at += given;
        return 0;
    }
    if (next == NULL || strncmp(next, "--", 2) == 0) {
        return settings_fail(error, &origin, "needs a value");
    }
    flag->value = next;
    ++*at;
    return 0;
}

static int apply_flags(struct settings *settings, const char *const argv[], struct settings_error *error)
{
    bool *cleared = settings_alloc(settings, settings_row_count * sizeof *cleared);
    for (size_t at = 1; argv[0] != NULL && argv[at] != NULL;) {
        struct flag flag;
        const struct settings_origin origin = {SETTINGS_FROM_FLAG, flag.name, NULL};
        if (next_flag(argv, &at, &flag, error) != 0) {
            return -1;
        }
        if (!settings_is_list(flag.row)) {
            if (settings_set(settings, flag.row, flag.value, &origin, error) != 0) {
                return -1;
            }
            continue;
        }
        size_t index = (size_t)(flag.row - settings_rows);
        if (!cleared[index]) {
            settings_clear(settings, flag.row);
            cleared[index] = true;
        }
        if (settings_add(settings, flag.row, flag.value, &origin, error) != 0) {
            return -1;
        }
    }
    return 0;
}

/* The path of the settings file, which must be known before the layers above it are applied. */
static int find_file(const char *const argv[], const char *const environment[], const char **file,
                     struct settings_error *error)
{
    *file = NULL;
    for (size_t i = 0; environment[i] != NULL; i++) {
        if (strncmp(environment[i], "TROUPE_CONFIG=", 14) == 0) {
            *file = environment[i] + 14;
        }
    }
    for (size_t at = 1; argv[0] != NULL && argv[at] != NULL;) {
        struct flag flag;
        if (next_flag(argv, &at, &flag, error) != 0) {
            return -1;
        }
        if (strcmp(flag.row->member, "config") == 0) {
            *file = flag.value;
        }
    }
    return 0;
}

/* ---- What concerns several settings ---- */

/* Adds the tokens in a file. Not a token's text, only its line is named. */
static int add_token_file(struct settings *settings, const char *list, const char *file,
                          struct settings_error *error)
{
    char shown[SETTINGS_SHOWN_MAX];
    size_t bytes = 0;
    const char *problem = NULL;
    char *text = settings_read_whole(file, &bytes, &problem);
    if (text == NULL) {
        snprintf(error->text, sizeof error->text, "%s_file: %s cannot be read: %s", list,
                 settings_show(file, shown), problem);
        return -1;
    }
    const struct settings_row *row = settings_find(list, SETTINGS_AS_MEMBER);
    int result = 0;
    size_t number = 1;
    for (char *line = text, *end = NULL; result == 0 && line < text + bytes; line = end + 1, number++) {
        end = line + strcspn(line, "\n");
        size_t length = (size_t)(end - line);
        while (length > 0 && (line[length - 1] == '\r' || line[length - 1] == ' ')) {
            length--;
        }
        if (length > 0 && line[0] != '#') {
            char name[SETTINGS_NAME_MAX];
            snprintf(name, sizeof name, "line %zu", number);
            const struct settings_origin origin = {SETTINGS_FROM_FILE, name, file};
            struct settings_error detail;
            result = settings_add(settings, row, settings_copy(settings, line, length), &origin, &detail);
            if (result != 0) {
                snprintf(error->text, sizeof error->text, "%s_file: %.500s", list, detail.text);
            }
        }
    }
    explicit_bzero(text, bytes);
    free(text);
    return result;
}

static int read_token_files(struct settings *settings, struct settings_error *error)
{
    for (size_t i = 0; i < settings->client_token_file.count; i++) {
        if (add_token_file(settings, "client_token", settings->client_token_file.items[i], error) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < settings->admin_token_file.count; i++) {
        if (add_token_file(settings, "admin_token", settings->admin_token_file.items[i], error) != 0) {
            return -1;
        }
    }
    return 0;
}

static int judge_tokens(const struct settings *settings, struct settings_error *error)
{
    for (size_t i = 0; i < settings->client_token.count; i++) {
        for (size_t j = 0; j < settings->admin_token.count; j++) {
            if (strcmp(settings->client_token.items[i], settings->admin_token.items[j]) == 0) {
                snprintf(
                    error->text, sizeof error->text,
                    "client_token and admin_token: the same token is in both; an admin token may make client calls "
                    "anyway");
                return -1;
            }
        }
    }
    return 0;
}

const char *settings_open_listener(const struct settings *settings)
{
    if (settings->client_token.count + settings->admin_token.count != 0) {
        return NULL;
    }
    for (size_t i = 0; i < settings->listen.count; i++) {
        if (!settings->listen.items[i].loopback) {
            return settings->listen.items[i].text;
        }
    }
    return NULL;
}

static int judge_listeners(const struct settings *settings, struct settings_error *error)
{
    const char *open = settings_open_listener(settings);
    if (settings->listen.count == 0) {
        snprintf(error->text, sizeof error->text,
                 "listen: the list is empty; it must have 1 to 16 addresses");
        return -1;
    }
    if (open != NULL && !settings->allow_anonymous) {
        char shown[SETTINGS_SHOWN_MAX];
        snprintf(error->text, sizeof error->text,
                 "listen: %s is not loopback and there are no tokens, so anybody could use the service; set "
                 "client_token and admin_token (or their files), or say --allow-anonymous",
                 settings_show(open, shown));
        return -1;
    }
    return 0;
}

int settings_load(const char *const argv[], const char *const environment[], struct settings **settings,
                  struct settings_error *error)
{
    struct settings *made = calloc(1, sizeof *made);
    const char *file = NULL;
    if (made == NULL) {
        snprintf(error->text, sizeof error->text, "there is not enough memory");
        return -1;
    }
    if (apply_built_in(made, error) != 0 || find_file(argv, environment, &file, error) != 0 ||
        (file != NULL && settings_apply_file(made, file, error) != 0) ||
        apply_environment(made, environment, error) != 0 || apply_flags(made, argv, error) != 0 ||
        read_token_files(made, error) != 0 || judge_tokens(made, error) != 0 ||
        judge_listeners(made, error) != 0) {
        settings_destroy(made);
        return -1;
    }
    *settings = made;
    return 0;
}

/* ---- The command line ---- */

enum verb { VERB_RUN, VERB_HELP, VERB_VERSION, VERB_CHECK, VERB_HEALTH, VERB_MARKDOWN, VERB_MAN };

static enum verb verb_of(const char *argument)
{
    static const struct {
        const char *text;
        enum verb verb;
    } verbs[] = {
        {"--help", VERB_HELP},
        {"-h", VERB_HELP},
        {"--version", VERB_VERSION},
        {"-V", VERB_VERSION},
        {"--check-config", VERB_CHECK},
        {"--healthcheck", VERB_HEALTH},
        {"--help-settings-markdown", VERB_MARKDOWN},
        {"--help-man", VERB_MAN},
    };
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(argument, verbs[i].text) == 0) {
            return verbs[i].verb;
        }
    }
    return VERB_RUN;
}

/* Takes the verbs out of the arguments.   Returns: the rest, to be freed. */
static const char **without_verbs(const char *const argv[], enum verb *verb)
{
    size_t count = 0;
    while (argv[count] != NULL) {
        count++;
    }
    const char **rest = calloc(count + 1, sizeof *rest);
    size_t kept = 0;
    *verb = VERB_RUN;
    for (size_t i = 0; i < count && rest != NULL; i++) {
        enum verb found = i > 0 ? verb_of(argv[i]) : VERB_RUN;
        if (found == VERB_RUN) {
            rest[kept++] = argv[i];
        } else if (*verb == VERB_RUN) {
            *verb = found;
        }
    }
    return rest;
}

static int print_and_free(char *text)
{
    bool done = text != NULL && fputs(text, stdout) >= 0 && fflush(stdout) == 0;
    free(text);
    return done ? TROUPED_EXIT_OK : TROUPED_EXIT_BROKEN;
}

static int check_health(const struct settings *settings)
{
    char problem[200];
    for (size_t i = 0; i < settings->listen.count; i++) {
        if (healthcheck(&settings->listen.items[i], problem, sizeof problem) == 0) {
            return TROUPED_EXIT_OK;
        }
        fprintf(stderr, "trouped: %s: %s\n", settings->listen.items[i].text, problem);
    }
    return TROUPED_EXIT_UNHEALTHY;
}

bool settings_main(const char *const argv[], const char *const environment[], struct settings **settings,
                   int *exit_status)
{
    enum verb verb = VERB_RUN;
    struct settings *made = NULL;
    struct settings_error error;
    const char **rest = without_verbs(argv, &verb);
    if (verb == VERB_HELP || verb == VERB_MARKDOWN || verb == VERB_MAN) {
        *exit_status = print_and_free(verb == VERB_HELP  ? settings_help()
                                      : verb == VERB_MAN ? settings_man()
                                                         : settings_markdown());
    } else if (verb == VERB_VERSION) {
        printf("trouped %s (%s)\n", version_number(), version_commit());
        *exit_status = fflush(stdout) == 0 ? TROUPED_EXIT_OK : TROUPED_EXIT_BROKEN;
    } else if (rest == NULL || settings_load(rest, environment, &made, &error) != 0) {
        fprintf(stderr, "trouped: %s\n", rest != NULL ? error.text : "there is not enough memory");
        *exit_status = verb == VERB_HEALTH ? TROUPED_EXIT_UNHEALTHY : TROUPED_EXIT_BAD_SETTINGS;
    } else if (verb == VERB_RUN) {
        free(rest);
        *settings = made;
        return true;
    } else {
        *exit_status = verb == VERB_CHECK ? print_and_free(settings_to_json(made)) : check_health(made);
    }
    free(rest);
    settings_destroy(made);
    return false;
}
