#define _GNU_SOURCE
#include "server/app.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "api/config/config.h"
#include "api/flags/flags.h"
#include "api/payments/gateway.h"
#include "api/payments/payments.h"
#include "api/profiles/profiles.h"
#include "api/rate_limits/rate_limits.h"
#include "api/system/system.h"
#include "api/webhooks/webhooks.h"
#include "server/client/http_client.h"
#include "server/core_hooks.h"
#include "server/http/listener.h"
#include "server/json.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/reports.h"
#include "server/restarts.h"
#include "server/settings_run_time.h"
#include "server/store/db_connection.h"
#include "server/store/store_metrics.h"
#include "server/store/store_writer.h"
#include "server/version.h"

#define SAVE_TIMEOUT_MS    10000
#define STOP_TIMEOUT_MS    10000
#define SCHEMAS_MAX        16
#define DRAIN_STEP_MS      10
#define DESCRIPTORS_BESIDE 256 /* database, logs, loops, upstreams */

static struct {
    struct settings *settings;
    struct listener *listener;
    struct router *router;
    struct store *store;
    tr_pid root; /* the process that starts and stops everything */
    int64_t started_ms;
    uint32_t ready;    /* atomic */
    uint32_t finished; /* atomic: root has ended */
    int status;        /* written by root before it ends */
} app;

TR_MESSAGE_EMPTY(app_opened); /* all cores accept */
TR_MESSAGE_EMPTY(app_stop);   /* drained: stop everything */

/* ---- the store
 * ------------------------------------------------------------------------------------------------- */

static void store_fatal(void *arg, const struct store_error *error)
{
    (void)arg;
    log_fatal_now(EVENT_STORE_BROKEN, log_str("status", store_status_name(error->status)),
                  log_str("reason", error->text), log_int("exit", TROUPED_EXIT_STORAGE));
    _exit(TROUPED_EXIT_STORAGE);
}

static void store_event(void *arg, const char *event, const char *detail)
{
    (void)arg;
    for (int i = 0; i < LOG_EVENT_COUNT; i++) {
        if (strcmp(log_event_text((enum log_event_id)i), event) == 0) {
            log_event(LOG_WARN, (enum log_event_id)i, log_str("detail", detail));
            return;
        }
    }
    log_event(LOG_WARN, EVENT_STORE_FAILED, log_str("what", event), log_str("detail", detail));
}

/* The tables of all rooms. */
static size_t schemas_of_rooms(struct store_schema out[SCHEMAS_MAX])
{
    static const struct store_schema *(*const rooms[])(size_t * count) = {
        config_schemas,   flags_schemas,   rate_limits_schemas,
        payments_schemas, gateway_schemas, webhooks_schemas};
    size_t all = 0;
    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
        size_t count;
        const struct store_schema *schemas = rooms[i](&count);
        TR_CHECK(all + count <= SCHEMAS_MAX);
        memcpy(&out[all], schemas, count * sizeof(*schemas));
        all += count;
    }
    return all;
}

static int store_start(void)
{
    struct store_schema schemas[SCHEMAS_MAX];
    struct store_options options = {.schemas = schemas,
                                    .schema_count = schemas_of_rooms(schemas),
                                    .group_writes_max = (uint32_t)app.settings->store_group_max,
                                    .fatal = store_fatal,
                                    .event = store_event};
    struct store_error error;
    enum store_status status = store_open(app.settings->data, &options, &app.store, &error);
    if (status == STORE_OK) {
        struct store_recovery found;
        store_recovery_of(app.store, &found);
        log_event(LOG_INFO, EVENT_STORE_OPENED, log_str("directory", app.settings->data),
                  log_bool("created", found.created), log_bool("unclean", found.unclean),
                  log_uint("frames_restored", found.frames_restored),
                  log_uint("frames_dropped", found.frames_dropped));
        store_metrics_register(app.store);
        return TROUPED_EXIT_OK;
    }
    fprintf(stderr, "trouped: cannot open the data directory %s: %s\n", app.settings->data, error.text);
    return status == STORE_LOCKED ? TROUPED_EXIT_BAD_SETTINGS : TROUPED_EXIT_STORAGE;
}

static bool store_check(void *ctx, char *detail, size_t bytes)
{
    (void)ctx;
    bool healthy = store_is_healthy(app.store);
    snprintf(detail, bytes, "%s",
             !healthy                   ? "broken"
             : store_is_full(app.store) ? "the last write found no space; reads and checks go on"
                                        : "takes writes");
    return healthy;
}

static bool started_check(void *ctx, char *detail, size_t bytes)
{
    (void)ctx;
    bool ready = __atomic_load_n(&app.ready, __ATOMIC_ACQUIRE) != 0;
    snprintf(detail, bytes, "%s", ready ? "all listeners accept" : "starting");
    return ready;
}

static bool draining_check(void *ctx, char *detail, size_t bytes)
{
    (void)ctx;
    bool draining = listener_is_draining(app.listener);
    snprintf(detail, bytes, "%s", draining ? "draining: this instance is being stopped" : "takes requests");
    return !draining;
}

static bool config_check(void *ctx, char *detail, size_t bytes)
{
    (void)ctx;
    return config_ready(detail, bytes);
}

static bool rate_limits_check(void *ctx, char *detail, size_t bytes)
{
    (void)ctx;
    return rate_limits_ready(detail, bytes);
}

/* ---- rooms
 * ----------------------------------------------------------------------------------------------------- */

static bool routes_setup(char *why, size_t bytes)
{
    struct route_table tables[] = {system_routes(),   config_routes(),   rate_limits_routes(),
                                   payments_routes(), webhooks_routes(), profiles_routes(),
                                   flags_routes()};
    app.router = router_create(tables, sizeof(tables) / sizeof(tables[0]), why, bytes);
    return app.router != NULL;
}

static void system_room_setup(void)
{
    static const struct system_check checks[] = {
        {"started", started_check, NULL},
        {"draining", draining_check, NULL},
        {"store", store_check, NULL},
        {"config", config_check, NULL},
        {"rate_limits", rate_limits_check, NULL},
    };
    system_setup(&(struct system_context){.settings = app.settings,
                                          .checks = checks,
                                          .check_count = sizeof(checks) / sizeof(checks[0]),
                                          .root_name = "root"});
}

/* ---- the tree
 * -------------------------------------------------------------------------------------------------- */

struct port_arg {
    int core;
};

static tr_err port_start(const void *arg, tr_pid *pid, tr_term *info, tr_term *reason)
{
    (void)info;
    tr_err err = listener_start_core(app.listener, ((const struct port_arg *)arg)->core, pid);
    if (err != TR_OK) {
        *reason = tr_atom(tr_err_name(err));
    }
    return err;
}

static tr_err http_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                        tr_term *reason)
{
    (void)arg;
    (void)reason;
    int cores = tr_node_workers();
    tr_child_spec *specs = tr_scratch_alloc((size_t)cores * sizeof(*specs));
    struct port_arg *args = tr_scratch_alloc((size_t)cores * sizeof(*args));
    for (int i = 0; i < cores; i++) {
        char id[32];
        snprintf(id, sizeof(id), "http.listener.%d", i);
        args[i].core = i;
        specs[i] = (tr_child_spec){
            .id = tr_atom(id), .start_fn = port_start, .arg = &args[i], .arg_bytes = sizeof(args[i])};
    }
    *flags = restarts_allowed(app.settings);
    *children = specs;
    *count = (size_t)cores;
    return TR_OK;
}

static const tr_supervisor http_supervisor = {.name = "http.sup", .init = http_init};

static tr_child_spec http_spec(void)
{
    return (tr_child_spec){
        .id = tr_atom("http.sup"), .supervisor = &http_supervisor, .start = {.name = tr_atom("http.sup")}};
}

static tr_child_spec writer_spec(void)
{
    return store_writer_child_spec(app.store);
}

static tr_child_spec connections_spec(void)
{
    return db_connections_child_spec(app.store);
}

static tr_err root_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                        tr_term *reason)
{
    (void)arg;
    (void)reason;
    static const struct child { /* in the order they start */
        tr_child_spec (*spec)(void);
    } order[] = {{writer_spec},
                 {connections_spec},
                 {config_child_spec},
                 {rate_limits_child_spec},
                 {webhooks_child_spec},
                 {payments_child_spec},
                 {profiles_child_spec},
                 {flags_child_spec},
                 {http_spec}};
    size_t all = sizeof(order) / sizeof(order[0]);
    tr_child_spec *specs = tr_scratch_alloc(all * sizeof(*specs));
    for (size_t i = 0; i < all; i++) {
        specs[i] = order[i].spec();
    }
    *flags = restarts_allowed(app.settings);
    *children = specs;
    *count = all;
    return TR_OK;
}

static const tr_supervisor root_supervisor = {.name = "root", .init = root_init};

/* ---- the process that owns the tree
 * ---------------------------------------------------------------------------- */

static void announce(void)
{
    __atomic_store_n(&app.ready, 1, __ATOMIC_RELEASE);
    char addresses[1024];
    size_t used = 0;
    for (size_t i = 0; i < app.settings->listen.count && used < sizeof(addresses); i++) {
        char one[256];
        listener_address(app.listener, i, one, sizeof(one));
        used += (size_t)snprintf(addresses + used, sizeof(addresses) - used, i == 0 ? "%s" : ",%s", one);
    }
    const char *open = settings_open_listener(app.settings);
    if (open != NULL) {
        log_event(LOG_WARN, EVENT_LISTENER_OPENED, log_str("address", open),
                  log_str("notice", "whoever reaches this address may do everything; to ask for tokens, set "
                                    "TROUPE_ADMIN_TOKEN and TROUPE_CLIENT_TOKEN"));
    }
    log_event(LOG_INFO, EVENT_SERVICE_READY, log_str("address", addresses),
              log_int("workers", tr_node_workers()), log_int("start_ms", tr_now_ms() - app.started_ms),
              log_str("version", version_number()));
}

static void root_gave_up(const tr_exit_msg *end)
{
    log_event(LOG_ERROR, EVENT_SERVICE_FAILED, log_str("what", "the root supervisor ended"),
              log_str("reason", tr_term_text(end->reason)));
    app.status = TROUPED_EXIT_BROKEN;
}

static void stop_tree(tr_pid root)
{
    bool saved = rate_limits_save_all(SAVE_TIMEOUT_MS);
    if (!saved) {
        log_event(LOG_ERROR, EVENT_SERVICE_FAILED,
                  log_str("what", "levels could not be saved: what was taken since the last save comes back"),
                  log_int("exit", TROUPED_EXIT_STORAGE));
    }
    tr_unlink(tr_to(root));
    tr_term actual = TR_TERM_NONE_VALUE;
    tr_err err = tr_gen_server_stop(tr_to(root), TR_ATOM(SHUTDOWN), STOP_TIMEOUT_MS, &actual);
    if (err != TR_OK) {
        log_event(LOG_WARN, EVENT_SERVICE_FAILED, log_str("what", "the tree did not stop in time"),
                  log_str("reason", tr_err_text(err)));
    }
    app.status = saved ? TROUPED_EXIT_OK : TROUPED_EXIT_STORAGE;
}

static void app_main(const void *arg)
{
    (void)arg;
    tr_trap_exit(true);
    tr_started started;
    tr_err err = tr_supervisor_start_link(&root_supervisor, NULL, 0,
                                          &(tr_start_opts){.name = tr_atom("root")}, &started);
    if (err != TR_OK) {
        log_event(LOG_ERROR, EVENT_SERVICE_FAILED, log_str("what", "the root supervisor did not start"),
                  log_str("reason", tr_term_text(started.reason)));
        app.status = TROUPED_EXIT_BROKEN;
        return;
    }
    for (;;) {
        tr_msg *msg = tr_receive(NULL, NULL, TR_INFINITY);
        const tr_exit_msg *end = TR_MATCH(msg, tr_exit_msg);
        if (TR_MATCH(msg, app_opened) != NULL) {
            announce();
        } else if (TR_MATCH(msg, app_stop) != NULL) {
            stop_tree(started.pid);
            return;
        } else if (end != NULL && end->from == started.pid) {
            root_gave_up(end);
            return;
        }
        tr_msg_drop(msg);
    }
}

static void app_ended(tr_resource *resource)
{
    (void)resource;
    __atomic_store_n(&app.finished, 1, __ATOMIC_RELEASE);
    kill(getpid(), SIGUSR2); /* wakes the main thread out of its wait for signals */
}

static void on_open(void *ctx)
{
    (void)ctx;
    (void)TR_SEND(app.root, app_opened);
}

/* ---- the main thread: signals
 * ---------------------------------------------------------------------------------- */

static void signals_block(sigset_t *set)
{
    sigemptyset(set);
    const int wanted[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR2};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        sigaddset(set, wanted[i]);
    }
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static bool has_finished(void)
{
    return __atomic_load_n(&app.finished, __ATOMIC_ACQUIRE) != 0;
}

static void exit_on_second(int signal_number)
{
    if (signal_number == SIGTERM || signal_number == SIGINT) {
        log_fatal_now(EVENT_SERVICE_STOPPED, log_str("why", "a second signal: not drained"));
        _exit(128 + signal_number);
    }
}

static void drain(const sigset_t *set)
{
    listener_drain(app.listener);
    log_event(LOG_INFO, EVENT_DRAIN_STARTED, log_int("in_flight", listener_inflight(app.listener)));
    int64_t give_up = tr_now_ms() + SETTINGS_NOW(app.settings->drain_timeout_ms);
    const struct timespec step = {.tv_nsec = DRAIN_STEP_MS * 1000000L};
    while (listener_inflight(app.listener) > 0 && tr_now_ms() < give_up && !has_finished()) {
        exit_on_second(sigtimedwait(set, NULL, &step));
    }
    listener_close(app.listener);
    (void)TR_SEND(app.root, app_stop);
    while (!has_finished()) {
        exit_on_second(sigtimedwait(set, NULL, &step));
    }
    log_event(LOG_INFO, EVENT_SERVICE_DRAINED, log_int("left_in_flight", listener_inflight(app.listener)));
}

static void serve(const sigset_t *set)
{
    while (!has_finished()) {
        int number = sigwaitinfo(set, NULL);
        if (number == SIGHUP) {
            log_event(LOG_INFO, EVENT_SIGNAL_RECEIVED, log_str("signal", "SIGHUP"));
            log_reopen();
            config_reload_later();
        } else if (number == SIGTERM || number == SIGINT) {
            log_event(LOG_INFO, EVENT_SIGNAL_RECEIVED,
                      log_str("signal", number == SIGTERM ? "SIGTERM" : "SIGINT"));
            drain(set);
            return;
        }
    }
}

/* ---- start and stop
 * -------------------------------------------------------------------------------------------- */

static void last_words(const char *text)
{
    log_fatal_now(EVENT_SERVICE_FAILED, log_str("what", "a broken invariant of the runtime"),
                  log_str("reason", text), log_int("exit", TROUPED_EXIT_BROKEN));
    _exit(TROUPED_EXIT_BROKEN);
}

static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    rlim_t wanted = (rlim_t)app.settings->max_connections + DESCRIPTORS_BESIDE;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < wanted) {
        limit.rlim_cur = limit.rlim_max == RLIM_INFINITY || wanted < limit.rlim_max ? wanted : limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        if (limit.rlim_cur < wanted) {
            log_event(
                LOG_WARN, EVENT_SETTINGS_LOADED,
                log_str("notice", "the limit of open files allows fewer connections than max_connections"),
                log_uint("open_files", limit.rlim_cur));
        }
    }
}

static int run_node(const sigset_t *set)
{
    struct http_client_options client = {.cores = tr_node_workers_of((int)app.settings->workers),
                                         .user_agent = "trouped"};
    if (http_client_setup(&client) != TR_OK) {
        log_event(LOG_ERROR, EVENT_SERVICE_FAILED, log_str("what", "outgoing HTTP cannot be had"));
        return TROUPED_EXIT_BROKEN;
    }
    core_hooks_add(listener_hooks(app.listener));
    core_hooks_add(http_client_hooks());
    tr_node_opts opts = {.workers = tr_node_workers_of((int)app.settings->workers),
                         .mailbox_max = (uint32_t)app.settings->mailbox_max,
                         .hooks = core_hooks_all(),
                         .report = reports_log,
                         .fatal = last_words};
    if (tr_node_start(&opts) != TR_OK) {
        log_event(LOG_ERROR, EVENT_SERVICE_FAILED, log_str("what", "the workers did not start"));
        return TROUPED_EXIT_BROKEN;
    }
    listener_on_open(app.listener, on_open, NULL);
    static tr_resource end = {.destroy = app_ended};
    tr_spawn_opts spawn = {.label = "app", .resource = &end};
    if (tr_spawn(&spawn, app_main, NULL, 0, &app.root) == TR_OK) {
        if (!config_watch_files()) {
            log_event(LOG_WARN, EVENT_SERVICE_FAILED,
                      log_str("what", "files are not watched: after a change ask for a reload"));
        }
        serve(set);
        config_unwatch_files();
    } else {
        app.status = TROUPED_EXIT_BROKEN;
    }
    tr_node_stop();
    core_hooks_clear();
    http_client_teardown();
    return app.status;
}

/* The rooms that need the store, and the node while it runs. */
static int run_with_store(const sigset_t *set, char *why, size_t bytes)
{
    int status = TROUPED_EXIT_OK;
    int workers = tr_node_workers_of((int)app.settings->workers);
    if (!payments_setup(app.settings, app.store, why, bytes)) {
        status = TROUPED_EXIT_BAD_SETTINGS;
    } else if (!webhooks_setup(app.settings, app.store, why, bytes) ||
               !rate_limits_setup(app.settings, app.store, workers, why, bytes)) {
        status = TROUPED_EXIT_STORAGE;
    } else {
        status = run_node(set);
        rate_limits_teardown();
    }
    webhooks_teardown();
    db_connections_teardown();
    enum store_status closed = store_close(app.store);
    log_event(LOG_INFO, EVENT_STORE_CLOSED, log_str("status", store_status_name(closed)));
    return status;
}

/* The rooms that need a listener, or nothing. */
static int run_with_listener(const sigset_t *set, char *why, size_t bytes)
{
    int status = TROUPED_EXIT_BAD_SETTINGS;
    if (profiles_setup(app.settings, app.listener, why, bytes) && config_setup(app.settings, why, bytes)) {
        system_room_setup();
        flags_setup(app.settings);
        status = store_start();
        if (status == TROUPED_EXIT_OK) {
            status = run_with_store(set, why, bytes);
        }
    }
    flags_teardown();
    config_teardown();
    profiles_teardown();
    return status;
}

/* What is wrong with the settings is told on standard error, by whoever finds it in why. */
static int open_and_run(const sigset_t *set)
{
    char why[512] = "";
    int status = TROUPED_EXIT_BROKEN;
    if (routes_setup(why, sizeof(why))) {
        status = TROUPED_EXIT_BAD_SETTINGS;
        int workers = tr_node_workers_of((int)app.settings->workers);
        app.listener = listener_setup(app.settings, app.router, workers, why, sizeof(why));
        if (app.listener != NULL) {
            status = run_with_listener(set, why, sizeof(why));
            listener_teardown(app.listener);
        }
    }
    if (why[0] != '\0') {
        fprintf(stderr, "trouped: %s\n", why);
    }
    return status;
}

int app_run(struct settings *settings)
{
    app.settings = settings;
    app.started_ms = tr_now_ms();
    sigset_t set;
    signals_block(&set);
    json_init();
    metrics_register_process();
    raise_descriptor_limit();
    log_event(LOG_INFO, EVENT_SERVICE_STARTED, log_str("version", version_number()),
              log_int("pid", getpid()));
    int status = open_and_run(&set);
    if (app.router != NULL) {
        router_destroy(app.router);
    }
    log_event(LOG_INFO, EVENT_SERVICE_STOPPED, log_int("exit", status));
    return status;
}
