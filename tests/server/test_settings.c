#include "server/settings.h"
#include "server/settings_table.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARGS(...) ((const char *const[]){"trouped", ##__VA_ARGS__, NULL})
#define ENV(...)  ((const char *const[]){"HOME=/", ##__VA_ARGS__, NULL})

static struct settings_error error;

/* Loads or fails the test. */
static struct settings *load(const char *const argv[], const char *const environment[])
{
    struct settings *settings = NULL;
    error.text[0] = '\0';
    int result = settings_load(argv, environment, &settings, &error);
    cr_assert_eq(result, 0, "%s", error.text);
    return settings;
}

/* Loads and must be refused with a text that has all of the given parts. */
static void refused(const char *const argv[], const char *const environment[], const char *a, const char *b)
{
    struct settings *settings = NULL;
    error.text[0] = '\0';
    cr_assert_eq(settings_load(argv, environment, &settings, &error), -1, "was accepted: %s", argv[1]);
    cr_assert_null(settings);
    cr_assert_not_null(strstr(error.text, a), "\"%s\" is missing in: %s", a, error.text);
    cr_assert_not_null(strstr(error.text, b), "\"%s\" is missing in: %s", b, error.text);
    cr_assert_null(strchr(error.text, '\n'));
}

static char *temporary(const char *text)
{
    static char path[4][64];
    static unsigned next;
    char *name = path[next++ % 4];
    snprintf(name, sizeof path[0], "/tmp/test_settings.XXXXXX");
    int fd = mkstemp(name);
    cr_assert(fd >= 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return name;
}

static struct settings *load_file(const char *text)
{
    char *file = temporary(text);
    struct settings *settings = load(ARGS("--config", file), ENV());
    unlink(file);
    return settings;
}

static void refused_file(const char *text, const char *a, const char *b)
{
    char *file = temporary(text);
    refused(ARGS("--config", file), ENV(), a, b);
    cr_assert_not_null(strstr(error.text, file), "%s", error.text);
    unlink(file);
}

Test(settings, without_any_layer_has_the_built_in_values)
{
    struct settings *s = load(ARGS(), ENV());
    cr_assert_eq(s->listen.count, 1);
    cr_assert_str_eq(s->listen.items[0].text, "127.0.0.1:8080");
    cr_assert(s->listen.items[0].loopback);
    cr_assert_str_eq(s->data, "./data");
    cr_assert_eq(s->max_keys, 1000000);
    cr_assert_eq(s->max_body_bytes, 1048576);
    cr_assert_eq(s->header_timeout_ms, 5000);
    cr_assert_eq(s->fault_limit.count, 100);
    cr_assert_eq(s->fault_limit.seconds, 5);
    cr_assert_eq(s->log_level, LOG_INFO);
    cr_assert_eq(s->access_log, LOG_ACCESS_ERRORS);
    cr_assert_str_eq(s->gateway, "sandbox");
    cr_assert_eq(s->source.count, 3);
    cr_assert_not(s->allow_anonymous);
    cr_assert_null(s->log_file);
    cr_assert_null(s->config_json);
    settings_destroy(s);
}

/* One value of each type in each layer; the later layer must win. */
Test(settings, later_layers_win_for_every_type)
{
    char *file = temporary(
        "{\"workers\":1,\"data\":\"f\",\"enable_drills\":true,\"log_level\":\"warn\",\"access_log\":\"all\","
        "\"fault_limit\":\"1/1\",\"listen\":[\"127.0.0.1:1\"],\"client_token\":[\"f1\",\"f2\"],"
        "\"admin_token\":\"f3\",\"source\":[\"user=http://f/\"]}");
    struct settings *s = load(ARGS("--config", file), ENV());
    cr_assert_eq(s->workers, 1);
    cr_assert_str_eq(s->data, "f");
    cr_assert(s->enable_drills);
    cr_assert_eq(s->log_level, LOG_WARN);
    cr_assert_eq(s->access_log, LOG_ACCESS_ALL);
    cr_assert_eq(s->fault_limit.count, 1);
    cr_assert_str_eq(s->listen.items[0].text, "127.0.0.1:1");
    cr_assert_eq(s->client_token.count, 2);
    cr_assert_eq(s->admin_token.count, 1, "a text alone is a list of one");
    cr_assert_str_eq(s->source.items[0].url_template, "http://f/");
    settings_destroy(s);

    const char *const *environment =
        ENV("TROUPE_WORKERS=2", "TROUPE_DATA=e", "TROUPE_ENABLE_DRILLS=false", "TROUPE_LOG_LEVEL=error",
            "TROUPE_ACCESS_LOG=off", "TROUPE_FAULT_LIMIT=2/2", "TROUPE_LISTEN=127.0.0.1:2, unix:/e",
            "TROUPE_CLIENT_TOKEN=e1", "TROUPE_SOURCE=user=http://e/,other=https://e/");
    s = load(ARGS("--config", file), environment);
    cr_assert_eq(s->workers, 2);
    cr_assert_str_eq(s->data, "e");
    cr_assert_not(s->enable_drills);
    cr_assert_eq(s->log_level, LOG_ERROR);
    cr_assert_eq(s->access_log, LOG_ACCESS_OFF);
    cr_assert_eq(s->fault_limit.seconds, 2);
    cr_assert_eq(s->listen.count, 2);
    cr_assert_str_eq(s->listen.items[1].text, "unix:/e");
    cr_assert_eq(s->client_token.count, 1);
    cr_assert_eq(s->source.count, 4, "a named source replaces only that source");
    cr_assert_str_eq(s->source.items[0].url_template, "http://e/");
    settings_destroy(s);

    s = load(ARGS("--config", file, "--workers=3", "--data", "a", "--enable-drills", "--log-level", "debug",
                  "--access-log=errors", "--fault-limit", "3/3", "--listen", "[::1]:3", "--listen", "unix:/a",
                  "--client-token", "a1", "--client-token=a2", "--source", "user=http://a/", "--source",
                  "other="),
             environment);
    cr_assert_eq(s->workers, 3);
    cr_assert_str_eq(s->data, "a");
    cr_assert(s->enable_drills);
    cr_assert_eq(s->log_level, LOG_DEBUG);
    cr_assert_eq(s->access_log, LOG_ACCESS_ERRORS);
    cr_assert_eq(s->fault_limit.count, 3);
    cr_assert_eq(s->listen.count, 2);
    cr_assert_str_eq(s->listen.items[0].text, "[::1]:3");
    cr_assert_str_eq(s->client_token.items[1], "a2");
    cr_assert_eq(s->source.count, 3, "NAME= removes a source");
    cr_assert_str_eq(s->source.items[0].url_template, "http://a/");
    settings_destroy(s);
    unlink(file);
}

Test(settings, the_file_may_be_named_by_the_environment_and_a_flag_beats_it)
{
    char *one = temporary("{\"workers\":1}");
    char *two = temporary("{\"workers\":2}");
    char variable[80];
    snprintf(variable, sizeof variable, "TROUPE_CONFIG=%s", one);
    struct settings *s = load(ARGS(), ENV(variable));
    cr_assert_eq(s->workers, 1);
    settings_destroy(s);
    s = load(ARGS("--config", two), ENV(variable));
    cr_assert_eq(s->workers, 2);
    settings_destroy(s);
    unlink(one);
    unlink(two);
}

Test(settings, booleans_are_bare_with_equals_or_with_a_word)
{
    static const char *const forms[][3] = {
        {"--allow-anonymous", NULL}, {"--allow-anonymous=true", NULL}, {"--allow-anonymous", "true", NULL}};
    for (size_t i = 0; i < 3; i++) {
        struct settings *s = load(ARGS(forms[i][0], forms[i][1]), ENV());
        cr_assert(s->allow_anonymous);
        settings_destroy(s);
    }
    struct settings *s = load(ARGS("--enable-drills", "--allow-anonymous", "false", "--workers", "4"), ENV());
    cr_assert(s->enable_drills);
    cr_assert_not(s->allow_anonymous);
    cr_assert_eq(s->workers, 4);
    settings_destroy(s);
    refused(ARGS("--allow-anonymous=1"), ENV(), "flag --allow-anonymous", "true or false");
    refused(ARGS("--allow-anonymous="), ENV(), "flag --allow-anonymous", "true or false");
    refused(ARGS(), ENV("TROUPE_ALLOW_ANONYMOUS=yes"), "environment variable TROUPE_ALLOW_ANONYMOUS",
            "true or false");
    refused_file("{\"allow_anonymous\":1}", "\"allow_anonymous\"", "is a number; it must be true or false");
}

/* A value no setting of its type can take, through each layer, for every row of the table. */
Test(settings, every_setting_refuses_a_bad_value_in_every_layer)
{
    for (size_t i = 0; i < settings_row_count; i++) {
        const struct settings_row *row = &settings_rows[i];
        const char *bad = "\x01";
        char flag[SETTINGS_NAME_MAX];
        char variable[SETTINGS_NAME_MAX];
        char text[160];
        settings_spell(row, SETTINGS_AS_FLAG, flag);
        settings_spell(row, SETTINGS_AS_VARIABLE, variable);
        snprintf(text, sizeof text, "%s=%s", flag, bad);
        refused(ARGS(text), ENV(), row->not_in_file ? "settings file" : flag, ":");
        snprintf(text, sizeof text, "%s=%s", variable, bad);
        refused(ARGS(), ENV(text), row->not_in_file ? "settings file" : variable, ":");
        if (!row->not_in_file) {
            snprintf(text, sizeof text, "{\"%s\":{\"x\":[]}}", row->member);
            refused_file(text, row->member, "must be");
            snprintf(text, sizeof text, "{\"%s\":null}", row->member);
            refused_file(text, row->member, "is null; it must be");
        }
    }
}

Test(settings, every_integer_is_judged_by_its_range_and_its_writing)
{
    static const char *const never[] = {"",
                                        "-",
                                        "+1",
                                        "1.0",
                                        "1.5",
                                        "1e2",
                                        "0x10",
                                        " 1",
                                        "1 ",
                                        "01",
                                        "-0",
                                        "x",
                                        "99999999999999999999",
                                        "9223372036854775808",
                                        "true"};
    for (size_t i = 0; i < settings_row_count; i++) {
        const struct settings_row *row = &settings_rows[i];
        char variable[SETTINGS_NAME_MAX];
        char text[160];
        if (row->kind != SETTINGS_INTEGER) {
            continue;
        }
        settings_spell(row, SETTINGS_AS_VARIABLE, variable);
        for (size_t j = 0; j < sizeof never / sizeof never[0]; j++) {
            snprintf(text, sizeof text, "%s=%s", variable, never[j]);
            refused(ARGS(), ENV(text), variable, "it must be an integer from");
        }
        const int64_t outside[] = {row->min - 1, row->max + 1};
        const int64_t inside[] = {row->min, row->max};
        for (size_t j = 0; j < 2; j++) {
            snprintf(text, sizeof text, "%s=%lld", variable, (long long)outside[j]);
            refused(ARGS(), ENV(text), variable, row->unit);
            snprintf(text, sizeof text, "{\"%s\":%lld}", row->member, (long long)outside[j]);
            refused_file(text, row->member, row->unit);
            snprintf(text, sizeof text, "{\"%s\":%lld}", row->member, (long long)inside[j]);
            struct settings *s = load_file(text);
            cr_assert_eq(*(int64_t *)settings_member(s, row), inside[j], "%s", text);
            settings_destroy(s);
        }
    }
    refused_file("{\"workers\":1.0}", "\"workers\"", "\"1.0\" is not possible");
    refused_file("{\"workers\":1e1}", "\"workers\"", "\"1e1\" is not possible");
    refused_file("{\"workers\":\"1\"}", "\"workers\"", "is a string; it must be an integer from 0 to 256");
}

Test(settings, choices_and_rates_say_what_they_take)
{
    refused(ARGS("--log-level=verbose"), ENV(), "\"verbose\"", "debug, info, warn or error");
    refused(ARGS("--access-log=INFO"), ENV(), "--access-log", "off, errors or all");
    static const char *const rates[] = {"5",   "5/",    "/5",   "0/5",       "5/0", "5/5/5",
                                        "a/5", "5 / 5", "-1/5", "1000001/5", ""};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        refused(ARGS("--fault-limit", rates[i]), ENV(), "--fault-limit", "N/SECONDS, for example 100/5");
    }
}

Test(settings, addresses_of_listeners_are_parsed_or_explained)
{
    static const struct {
        const char *text;
        int family;
        int port;
        bool loopback;
    } good[] = {{"127.0.0.1:8080", AF_INET, 8080, true},
                {"127.9.9.9:1", AF_INET, 1, true},
                {"localhost:81", AF_INET, 81, true},
                {"[::1]:65535", AF_INET6, 65535, true},
                {"0.0.0.0:0", AF_INET, 0, false},
                {"[::]:80", AF_INET6, 80, false},
                {"[::ffff:127.0.0.1]:9", AF_INET6, 9, true},
                {"192.0.2.1:80", AF_INET, 80, false}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct settings_listener listener;
        cr_assert_null(settings_parse_listener(good[i].text, &listener), "%s", good[i].text);
        cr_assert_eq(listener.address.any.sa_family, good[i].family, "%s", good[i].text);
        cr_assert_eq(listener.loopback, good[i].loopback, "%s", good[i].text);
        in_port_t port = good[i].family == AF_INET ? ((struct sockaddr_in *)&listener.address)->sin_port
                                                   : ((struct sockaddr_in6 *)&listener.address)->sin6_port;
        cr_assert_eq(ntohs(port), good[i].port, "%s", good[i].text);
    }
    struct settings_listener local;
    cr_assert_null(settings_parse_listener("unix:/run/x.sock", &local));
    cr_assert_str_eq(local.address.local.sun_path, "/run/x.sock");
    cr_assert(local.loopback);
    static const char *const bad[] = {
        "8080",         "",       "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1",
        "127.0.0.1:8o", "::1:80", "[::1]",     "[::1]80",    "[127.0.0.1]:80",  "example.com:80",
        ":80",          "*:80",   "unix:",     "unix:@x",    "256.0.0.1:80",    "127.0.0.1:000080"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        refused(ARGS("--listen", bad[i]), ENV(), "flag --listen", bad[i]);
    }
    char path[140] = "unix:/";
    memset(path + 6, 'p', 120);
    refused(ARGS("--listen", path), ENV(), "--listen", "107 bytes");
    refused(ARGS("--listen", "unix:/a", "--listen", "unix:/a"), ENV(), "--listen", "twice");
    refused(ARGS(), ENV("TROUPE_LISTEN="), "listen", "the list is empty");
    refused(ARGS(), ENV("TROUPE_LISTEN=unix:/a,,unix:/b"), "TROUPE_LISTEN", "empty item");
}

Test(settings, strangers_need_tokens_or_permission)
{
    refused(ARGS("--listen=0.0.0.0:80"), ENV(), "0.0.0.0:80 is not loopback", "--allow-anonymous");
    refused(ARGS("--listen=127.0.0.1:80", "--listen=[::]:80"), ENV(), "[::]:80 is not loopback",
            "client_token");
    settings_destroy(load(ARGS("--listen=0.0.0.0:80", "--allow-anonymous"), ENV()));
    settings_destroy(load(ARGS("--listen=0.0.0.0:80", "--admin-token=x"), ENV()));
    settings_destroy(load(ARGS("--listen=0.0.0.0:80"), ENV("TROUPE_CLIENT_TOKEN=x")));
}

static void opens(struct settings *settings, const char *address)
{
    const char *open = settings_open_listener(settings);
    cr_assert_eq(open == NULL, address == NULL);
    cr_assert(open == NULL || strcmp(open, address) == 0, "%s", open);
    settings_destroy(settings);
}

Test(settings, the_listener_open_to_strangers_is_named)
{
    opens(load(ARGS("--listen=127.0.0.1:80", "--listen=[::]:80", "--allow-anonymous"), ENV()), "[::]:80");
    opens(load(ARGS("--listen=127.0.0.1:80", "--listen=unix:/a", "--allow-anonymous"), ENV()), NULL);
    opens(load(ARGS("--listen=0.0.0.0:80", "--allow-anonymous", "--client-token=x"), ENV()), NULL);
    opens(load(ARGS("--listen=0.0.0.0:80", "--allow-anonymous", "--admin-token=x"), ENV()), NULL);
}

Test(settings, token_files_are_added_and_judged)
{
    char *clients = temporary("# clients\n\nalpha\r\nbeta\n");
    char *admins = temporary("gamma");
    struct settings *s = load(
        ARGS("--client-token-file", clients, "--admin-token-file", admins, "--client-token=zero"), ENV());
    cr_assert_eq(s->client_token.count, 3);
    cr_assert_str_eq(s->client_token.items[0], "zero");
    cr_assert_str_eq(s->client_token.items[1], "alpha");
    cr_assert_str_eq(s->client_token.items[2], "beta");
    cr_assert_str_eq(s->admin_token.items[0], "gamma");
    settings_destroy(s);
    refused(ARGS("--client-token-file", clients, "--admin-token=beta"), ENV(), "same token", "admin_token");
    cr_assert_null(strstr(error.text, "beta"));
    refused(ARGS("--client-token-file", "/nonexistent"), ENV(), "client_token_file", "cannot be read");
    char *spaced = temporary("good\nnot a token\n");
    refused(ARGS("--admin-token-file", spaced), ENV(), "line 2", "visible ASCII");
    unlink(clients);
    unlink(admins);
    unlink(spaced);
}

Test(settings, secrets_never_reach_errors_or_the_effective_settings)
{
    refused(ARGS("--client-token=hush hush"), ENV(), "--client-token", "visible ASCII");
    cr_assert_null(strstr(error.text, "hush"));
    refused(ARGS(), ENV("TROUPE_ADMIN_TOKEN=ok,h\xC3\xBCsh"), "TROUPE_ADMIN_TOKEN", "visible ASCII");
    cr_assert_null(strstr(error.text, "sh,"));
    refused(ARGS("--client-tokens=hush"), ENV(), "--client-tokens", "did you mean --client-token?");
    cr_assert_null(strstr(error.text, "hush"));
    refused_file("{\"client_token\":{\"hush\":\"hush\"}}", "client_token", "is an object");
    cr_assert_null(strstr(error.text, "hush"));
    refused(ARGS("--gateway=http://me:hush@bank/"), ENV(), "--gateway", "user or password");
    cr_assert_null(strstr(error.text, "hush"));
    refused(ARGS("--source=a=http://me:hush@bank/"), ENV(), "--source", "user or password");
    cr_assert_null(strstr(error.text, "hush"));
    struct settings *s = load(ARGS("--client-token=hush1", "--admin-token=hush2"), ENV());
    char *json = settings_to_json(s);
    cr_assert_null(strstr(json, "hush"));
    cr_assert_not_null(strstr(json, "\"client_token\":\tnull"));
    cr_assert_not_null(strstr(json, "\"admin_token\":\tnull"));
    free(json);
    settings_destroy(s);
}

Test(settings, unknown_names_are_refused_with_the_nearest_one)
{
    refused(ARGS("--wokers", "3"), ENV(), "flag --wokers", "did you mean --workers?");
    refused(ARGS("--max_keys=3"), ENV(), "flag --max_keys", "did you mean --max-keys?");
    refused(ARGS("--frobnicate"), ENV(), "flag --frobnicate", "trouped --help");
    refused(ARGS("-x"), ENV(), "-x", "is not a flag");
    refused(ARGS("data"), ENV(), "data", "is not a flag");
    refused(ARGS("--workers"), ENV(), "--workers", "needs a value");
    refused(ARGS("--workers", "--data"), ENV(), "--workers", "needs a value");
    refused(ARGS(), ENV("TROUPE_MAXKEYS=3"), "environment variable TROUPE_MAXKEYS",
            "did you mean TROUPE_MAX_KEYS?");
    refused(ARGS(), ENV("TROUPE_ZZZ=3"), "TROUPE_ZZZ", "no such setting");
    refused_file("{\"max_key\":3}", "member \"max_key\"", "did you mean \"max_keys\"?");
    refused_file("{\"zzz\":3}", "member \"zzz\"", "no such setting");
}

Test(settings, other_peoples_variables_are_left_alone)
{
    struct settings *s = load(ARGS(), ENV("TROUPE_CONFIG_TIMEOUT=1", "TROUPES=1", "XTROUPE_DATA=1",
                                          "TROUPE_SERVICE_HOST=10.0.0.1", "TROUPE_SERVICE_PORT_HTTP=80",
                                          "TROUPE_PORT=tcp://10.0.0.1:80", "TROUPE_PORT_80_TCP=tcp://x",
                                          "TROUPE_PORT_80_TCP_ADDR=10.0.0.1", "TROUPE_API_SERVICE_PORT=80"));
    settings_destroy(s);
    for (size_t i = 0; i < settings_row_count; i++) {
        cr_assert_neq(strncmp(settings_rows[i].member, "config_", 7), 0, "TROUPE_CONFIG_ is taken");
    }
}

Test(settings, the_file_is_judged_strictly)
{
    refused_file("", "line 1, column 1", "an object must be here");
    refused_file("[]", "line 1, column 1", "an object must be here");
    refused_file("{\"workers\":1}x", "line 1, column 14", "the document ended before this");
    refused_file("{\"workers\":1,}", "column 14", "a string must begin here");
    refused_file("{\n  \"workers\": 01\n}", "line 2, column 16", "a number");
    refused_file("{\"workers\":1,\"workers\":1}", "\"workers\"", "twice");
    refused_file("{\"workers\":1,\"w\\u006frkers\":1}", "\"workers\"", "twice");
    refused_file("{\"max-keys\":1,\"max_keys\":1}", "\"max_keys\"", "twice");
    refused_file("{\"config\":{\"a\":{\"b\":1,\"b\":2}}}", "\"b\"", "twice");
    refused_file("{\"data\":\"a\\u0000b\"}", "line 1", "NUL");
    refused_file("{\"data\":\"a\tb\"}", "line 1", "control character");
    refused_file("{\"data\":\"\xFF\"}", "line 1", "UTF-8");
    refused_file("{\"data\":\"\\ud800\"}", "line 1", "surrogate");
    refused_file("{\"data\":\"\\x\"}", "line 1", "escape");
    refused_file("{\"workers\":1.}", "line 1", "after its point");
    refused_file("{\"workers\":+1}", "line 1", "a value must be here");
    refused_file("{\"workers\":NaN}", "line 1", "a value must be here");
    refused_file("// no\n{}", "line 1, column 1", "an object");
    refused_file("{\"data\":\"x", "line 1", "does not end");
    refused_file("{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}", "line 1",
                 "too deep");
    refused_file("{\"listen\":1}", "\"listen\"", "is a number; it must be a string or an array of strings");
    refused_file("{\"listen\":\"127.0.0.1:1,127.0.0.1:2\"}", "\"listen\"", "127.0.0.1:1,127.0.0.1:2");
    refused_file("{\"listen\":[1]}", "\"listen\"", "a number as an item");
    refused_file("{\"source\":{\"user\":1}}", "\"source\"", "a number as a URL");
    refused(ARGS("--config", "/nonexistent"), ENV(), "settings file /nonexistent", "No such file");
    refused(ARGS("--config", "/"), ENV(), "settings file /", "cannot be read");
}

Test(settings, a_file_over_the_limit_is_refused)
{
    char name[] = "/tmp/test_settings.XXXXXX";
    int fd = mkstemp(name);
    cr_assert_eq(ftruncate(fd, SETTINGS_FILE_MAX + 1), 0);
    close(fd);
    refused(ARGS("--config", name), ENV(), "settings file", "larger than 1 MiB");
    unlink(name);
}

Test(settings, the_member_config_is_kept_as_it_is_written)
{
    struct settings *s =
        load_file("{\"max-keys\":5,\"config\": { \"a\" : [1.50, \"\\u00e4\"] } ,\"workers\":2}");
    cr_assert_str_eq(s->config_json, "{ \"a\" : [1.50, \"\\u00e4\"] }");
    cr_assert_eq(s->max_keys, 5, "'-' and '_' are the same in the file");
    cr_assert_eq(s->workers, 2);
    settings_destroy(s);
    refused_file("{\"config\":\"x.json\"}", "\"config\"", "is a string; it must be an object");

    char *file = temporary("{\"workers\":2,\"config\":{\"k\":1}}");
    char *empty = temporary("{}");
    char *bad = temporary("{\"config\":[]}");
    char *json = NULL;
    cr_assert_eq(settings_read_config_member(file, &json, &error), 0);
    cr_assert_str_eq(json, "{\"k\":1}");
    free(json);
    cr_assert_eq(settings_read_config_member(empty, &json, &error), 0);
    cr_assert_null(json);
    json = empty;
    cr_assert_eq(settings_read_config_member(bad, &json, &error), -1);
    cr_assert_eq(json, empty, "untouched on error");
    cr_assert_not_null(strstr(error.text, "must be an object"));
    unlink(file);
    unlink(empty);
    unlink(bad);
}

Test(settings, sources_are_judged_and_can_be_an_object)
{
    struct settings *s =
        load_file("{\"source\":{\"user\":\"http://h/{id}\",\"preferences\":\"\",\"n\":\"self:/x\"}}");
    cr_assert_eq(s->source.count, 3);
    cr_assert_str_eq(s->source.items[0].url_template, "http://h/{id}");
    cr_assert_str_eq(s->source.items[1].name, "recent_activity");
    cr_assert_str_eq(s->source.items[2].name, "n");
    settings_destroy(s);
    static const char *const bad[] = {"x",
                                      "=http://h/",
                                      "a b=http://h/",
                                      "a=ftp://h/",
                                      "a=http://",
                                      "a=http://:80/",
                                      "a=http://h/{",
                                      "a=http://h/{name}",
                                      "a=http://{id}/",
                                      "a=http://h/ b",
                                      "a=self:x",
                                      "a=http://h/#f",
                                      "a=http://h/\xC3\xA4"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        refused(ARGS("--source", bad[i]), ENV(), "flag --source", bad[i]);
    }
    static const char *const gateways[] = {"Sandbox", "file:///x", "http://", "http://h/{id}", ""};
    for (size_t i = 0; i < sizeof gateways / sizeof gateways[0]; i++) {
        refused(ARGS("--gateway", gateways[i]), ENV(), "flag --gateway", gateways[i]);
    }
    settings_destroy(load(ARGS("--gateway=https://bank.example:8443/v1"), ENV()));
    refused(ARGS("--env-file=/nonexistent"), ENV(), "--env-file", "cannot be read");
}

Test(settings, texts_from_outside_are_shown_short_and_printable)
{
    char value[4000] = "--log-level=";
    memset(value + strlen(value), 'x', 3000);
    refused(ARGS(value), ENV(), "--log-level", "xxx...");
    cr_assert_lt(strlen(error.text), 300);
    refused(ARGS("--log-level=a\x1b[31m\n"), ENV(), "--log-level", "\"a?[31m?\"");
    char name[4000] = "--";
    memset(name + 2, 'n', 3000);
    refused(ARGS(name), ENV(), "--nnn", "no such setting");
}

Test(settings, help_tells_of_every_setting_and_fits_the_terminal)
{
    char *help = settings_help();
    for (size_t i = 0; i < settings_row_count; i++) {
        char flag[SETTINGS_NAME_MAX];
        char line[SETTINGS_NAME_MAX + 8];
        settings_spell(&settings_rows[i], SETTINGS_AS_FLAG, flag);
        snprintf(line, sizeof line, "\n  %s", flag);
        cr_assert_not_null(strstr(help, line), "%s", flag);
        cr_assert_not_null(settings_rows[i].text);
    }
    static const char *const parts[] = {"Usage:",         "Examples:",     "Environment:", "Exit status:",
                                        "--check-config", "--healthcheck", "--version"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        cr_assert_not_null(strstr(help, parts[i]), "%s", parts[i]);
    }
    for (const char *line = help; *line != '\0'; line += strcspn(line, "\n") + 1) {
        cr_assert_leq(strcspn(line, "\n"), 84, "%.100s", line);
    }
    free(help);
}

Test(settings, the_reference_in_the_repository_is_in_sync)
{
    char path[512];
    snprintf(path, sizeof path, "%s", __FILE__);
    char *room = strstr(path, "tests/server/");
    cr_assert_not_null(room);
    snprintf(room, sizeof path - (size_t)(room - path), "server/SETTINGS.md");
    size_t bytes = 0;
    const char *problem = NULL;
    char *committed = settings_read_whole(path, &bytes, &problem);
    cr_assert_not_null(committed, "%s: %s (tests run in the root of the repository)", path, problem);
    char *made = settings_markdown();
    cr_assert_str_eq(committed, made, "run: trouped --help-settings-markdown > server/SETTINGS.md");
    for (size_t i = 0; i < settings_row_count; i++) {
        char heading[SETTINGS_NAME_MAX + 8];
        snprintf(heading, sizeof heading, "\n### `%s`\n", settings_rows[i].member);
        cr_assert_not_null(strstr(made, heading), "%s", heading);
    }
    free(made);
    free(committed);
}

Test(settings, the_manual_page_tells_of_every_setting)
{
    char *manual = settings_man();
    for (size_t i = 0; i < settings_row_count; i++) {
        char variable[SETTINGS_NAME_MAX];
        char line[SETTINGS_NAME_MAX + 24];
        settings_spell(&settings_rows[i], SETTINGS_AS_VARIABLE, variable);
        snprintf(line, sizeof line, "; environment %s", variable);
        cr_assert_not_null(strstr(manual, line), "%s", variable);
    }
    static const char *const sections[] = {"NAME",        "SYNOPSIS", "DESCRIPTION", "COMMANDS",
                                           "SETTINGS",    "FILES",    "ENVIRONMENT", "SIGNALS",
                                           "EXIT STATUS", "EXAMPLES", "SEE ALSO"};
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        char line[32];
        snprintf(line, sizeof line, "\n.SH %s\n", sections[i]);
        cr_assert_not_null(strstr(manual, line), "%s", sections[i]);
    }
    free(manual);
}

Test(settings, check_config_prints_what_a_file_can_say_again, .init = cr_redirect_stdout)
{
    struct settings *s = NULL;
    int status = -1;
    cr_assert_not(
        settings_main(ARGS("--check-config", "--workers=7", "--source=x=http://h/{id}"), ENV(), &s, &status));
    cr_assert_eq(status, 0);
    cr_assert_null(s);
    struct settings *first = load(ARGS("--workers=7", "--fault-limit=9/9", "--listen=unix:/a"), ENV());
    char *json = settings_to_json(first);
    for (char *null = json;
         (null = strstr(null, ":\tnull")) != NULL;) { /* members without a value are left out */
        char *start = null;
        while (*start != '\n') {
            start--;
        }
        memmove(start, null + strcspn(null, "\n"), strlen(null + strcspn(null, "\n")) + 1);
        null = start;
    }
    struct settings *second = load_file(json);
    cr_assert_eq(second->workers, 7);
    cr_assert_eq(second->fault_limit.seconds, 9);
    cr_assert_str_eq(second->listen.items[0].text, "unix:/a");
    free(json);
    settings_destroy(first);
    settings_destroy(second);
}

Test(settings, bad_settings_exit_64_with_one_line, .init = cr_redirect_stderr)
{
    struct settings *s = NULL;
    int status = -1;
    cr_assert_not(settings_main(ARGS("--workers=x"), ENV(), &s, &status));
    cr_assert_eq(status, 64);
    fflush(stderr);
    cr_assert_stderr_eq_str(
        "trouped: flag --workers: \"x\" is not possible; it must be an integer from 0 to 256 threads "
        "(0 = one for each CPU this process may use)\n");
}

Test(settings, check_config_exits_64_on_bad_settings, .init = cr_redirect_stderr)
{
    struct settings *s = NULL;
    int status = -1;
    cr_assert_not(settings_main(ARGS("--check-config", "--workers=x"), ENV(), &s, &status));
    cr_assert_eq(status, 64);
}

Test(settings, help_and_version_win_over_bad_settings, .init = cr_redirect_stdout)
{
    struct settings *s = NULL;
    int status = -1;
    cr_assert_not(settings_main(ARGS("--workers=x", "--help"), ENV("TROUPE_X=1"), &s, &status));
    cr_assert_eq(status, 0);
    status = -1;
    cr_assert_not(settings_main(ARGS("-V", "--workers=x"), ENV(), &s, &status));
    cr_assert_eq(status, 0);
}

Test(settings, without_a_verb_the_service_runs)
{
    struct settings *s = NULL;
    int status = -1;
    cr_assert(settings_main(ARGS("--workers=3"), ENV(), &s, &status));
    cr_assert_eq(s->workers, 3);
    cr_assert_eq(status, -1);
    settings_destroy(s);
}
