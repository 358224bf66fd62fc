/* The texts of help and manual page that are not about one setting. */
#include "server/settings_doc.h"

const char *const settings_about[] = {
    "Decides rate limits over HTTP and JSON: exact token buckets in supervised processes, durable in a directory. "
    "Without settings it listens on 127.0.0.1:8080 and keeps its data in ./data. A first question to it, answered from "
    "the built-in policy of 100 tokens and 10 more a second:",
    "curl -i localhost:8080/v1/rate-limits/default/keys/alice/check",
    NULL,
};

const char *const settings_layers[] = {
    "A setting has one name in three spellings: the flag `--max-keys`, the environment variable `TROUPE_MAX_KEYS`, and "
    "the member `max_keys` of the JSON file given by `--config`. A flag beats the environment, the environment beats the "
    "file, the file beats the default. A name that is unknown, or a value that is out of range, ends the program at once "
    "with one line that says where and what is allowed.",
    "Values follow as `--flag value` or `--flag=value`; a boolean flag alone means true. Numbers are digits without a "
    "suffix: `MS` is milliseconds, `S` seconds, `BYTES` bytes, `N` a count. Lists: repeat the flag, separate by commas in "
    "the environment, use an array in the file (a text alone is a list of one); a later layer's list replaces an earlier "
    "one.",
    NULL,
};

const struct settings_note settings_commands[] = {
    {"-h, --help", "this text"},
    {"-V, --version", "version and source revision"},
    {"--check-config",
     "judge all settings, print them as JSON without secrets (a file for `--config`), and exit: 0, or 64 "
     "when one is bad"},
    {"--healthcheck", "ask the running service at its address for /healthz and exit: 0 healthy, 1 not"},
    {"--help-man", "the manual page, for man -l"},
    {"--help-settings-markdown", "reference of all settings"},
    {NULL, NULL},
};

const struct settings_note settings_examples[] = {
    {"trouped", "try it: loopback only, no tokens needed, data in ./data"},
    {"trouped --listen unix:/run/troupe.sock --data /var/lib/troupe", "behind a proxy on the same machine"},
    {"trouped --listen 0.0.0.0:8080 --client-token-file keys --admin-token-file ops",
     "open to a network: callers need a token, one a line in these files"},
    {"TROUPE_LOG_LEVEL=debug TROUPE_LISTEN=127.0.0.1:8080,[::1]:8080 trouped",
     "settings from the environment"},
    {"trouped --config troupe.json --check-config",
     "judge a file, like {\"max_keys\":5000000}, without starting"},
    {"kill -TERM $(pidof trouped)", "stop in order: answer what is there, save, exit 0"},
    {NULL, NULL},
};

const struct settings_note settings_variables[] = {
    {"TROUPE_<SETTING>", "a setting; other names that begin so are refused"},
    {"TROUPE_CONFIG_<KEY>", "kept for values of the configuration service; not a setting"},
    {NULL, NULL},
};

const struct settings_note settings_files[] = {
    {"--config FILE", "one JSON object; its members are settings. Nothing is read that is not named."},
    {"--data DIR",
     "policies, overrides, saved levels: an SQLite database and a lock. Copy it while the service is stopped."},
    {"--log-file FILE", "one JSON object a line; without it the log goes to standard error"},
    {NULL, NULL},
};

const struct settings_note settings_signals[] = {
    {"SIGTERM, SIGINT", "finish what runs, save, exit 0"},
    {"SIGHUP", "open the log file anew"},
    {NULL, NULL},
};

const struct settings_note settings_exits[] = {
    {"0", "stopped in order"},
    {"1", "`--healthcheck` only: not healthy"},
    {"64", "bad settings; an address or a data directory that is in use"},
    {"70", "too many faults, or a broken invariant"},
    {"74", "the storage failed"},
    {NULL, NULL},
};
