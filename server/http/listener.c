/* The listener: binding addresses, the hooks, draining. */
#define _GNU_SOURCE
#include "server/http/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/http/core.h"

#define BACKLOG 4096

/* ---- binding ---- */

/* SO_REUSEPORT lets several of our sockets share a port, and would let a second service steal half of our
 * connections. So the address is first bound without it: that fails when anybody holds it, whatever they set.
 * */
static bool address_is_free(const struct settings_listener *item, char *why, size_t why_bytes)
{
    int fd = socket(item->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    bool is_free = fd >= 0;
    if (is_free) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        is_free = bind(fd, &item->address.any, item->address_bytes) == 0 && listen(fd, 1) == 0;
    }
    if (!is_free) {
        snprintf(why, why_bytes, "cannot listen on %s: %s", item->text, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return is_free;
}

static int bind_one(struct settings_listener *item, bool shared, char *why, size_t why_bytes)
{
    int fd = socket(item->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    bool ok = fd >= 0;
    ok = ok && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0;
    ok = ok && (!shared || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == 0);
    ok = ok && bind(fd, &item->address.any, item->address_bytes) == 0 && listen(fd, BACKLOG) == 0;
    if (!ok) {
        snprintf(why, why_bytes, "cannot listen on %s: %s", item->text, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    /* Port 0: the others must share the one the system chose, and people want to know it. */
    item->address_bytes = sizeof(item->address.storage);
    getsockname(fd, &item->address.any, &item->address_bytes);
    return fd;
}

/* A socket file that nobody answers on is left over from a killed service. */
static bool unix_path_is_free(const struct settings_listener *item, char *why, size_t why_bytes)
{
    struct stat found;
    if (stat(item->address.local.sun_path, &found) != 0) {
        return true;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool refused =
        fd >= 0 && connect(fd, &item->address.any, item->address_bytes) != 0 && errno == ECONNREFUSED;
    if (fd >= 0) {
        close(fd);
    }
    bool is_socket = S_ISSOCK(found.st_mode);
    if (!refused || !is_socket) { /* no other error shows that nobody is there */
        snprintf(why, why_bytes, "cannot listen on %s: %s", item->text,
                 is_socket ? "somebody listens there" : "a file is in the way");
        return false;
    }
    unlink(item->address.local.sun_path);
    return true;
}

static bool bind_address(struct listener *listener, size_t at, struct settings_listener *item, char *why,
                         size_t why_bytes)
{
    bool local = item->address.any.sa_family == AF_UNIX;
    bool is_free = local ? unix_path_is_free(item, why, why_bytes) : address_is_free(item, why, why_bytes);
    if (!is_free) {
        return false;
    }
    for (int i = 0; i < (local ? 1 : listener->core_count); i++) {
        int fd = bind_one(item, !local, why, why_bytes);
        if (fd < 0) {
            return false;
        }
        struct http_core *core = &listener->cores[i];
        core->ears[at] = (struct ear){.core = core, .fd = fd, .loopback = item->loopback, .is_unix = local};
        core->ear_count = at + 1;
    }
    return true;
}

static void close_all(struct listener *listener)
{
    for (int i = 0; i < listener->core_count; i++) {
        for (size_t j = 0; j < listener->cores[i].ear_count; j++) {
            if (listener->cores[i].ears[j].core != NULL) {
                close(listener->cores[i].ears[j].fd);
            }
        }
    }
    for (size_t i = 0; i < listener->settings->listen.count; i++) {
        const struct settings_listener *item = &listener->settings->listen.items[i];
        if (item->address.any.sa_family == AF_UNIX && item->bound) {
            unlink(item->address.local.sun_path);
        }
    }
}

/* ---- metrics ---- */

/* The registry keeps what is registered for good; a second listener of this program (in tests) goes on with
 * the same series. */
static struct {
    pthread_mutex_t lock;
    struct listener *listener; /* that the gauges show */
    bool registered;
    struct http_metrics metrics;
} shown = {.lock = PTHREAD_MUTEX_INITIALIZER};

static double read_shown(size_t offset)
{
    pthread_mutex_lock(&shown.lock);
    int64_t value =
        shown.listener == NULL
            ? 0
            : __atomic_load_n((int64_t *)(void *)((char *)shown.listener + offset), __ATOMIC_RELAXED);
    pthread_mutex_unlock(&shown.lock);
    return (double)value;
}

static double read_inflight(void *context)
{
    (void)context;
    return read_shown(offsetof(struct listener, inflight));
}

static double read_held(void *context)
{
    (void)context;
    return read_shown(offsetof(struct listener, held));
}

static double read_connections(void *context)
{
    (void)context;
    return read_shown(offsetof(struct listener, connections));
}

static void metrics_register(struct http_metrics *metrics)
{
    static const char *const classes[6] = {"other", "1xx", "2xx", "3xx", "4xx", "5xx"};
    for (int i = 0; i < 6; i++) {
        metrics->requests[i] =
            metrics_counter(&(struct metric_options){.name = "troupe_http_requests_total",
                                                     .help = "Requests answered, by class of status.",
                                                     .labels = {{"status", classes[i]}}});
    }
    for (int code = PROBLEM_NONE + 1; code < PROBLEM_CODES_COUNT; code++) {
        metrics->problems[code] = metrics_counter(
            &(struct metric_options){.name = "troupe_http_problems_total",
                                     .help = "Requests answered with a problem, by its code.",
                                     .labels = {{"code", problem_code_text((enum problem_code)code)}}});
    }
    metrics->duration =
        metrics_histogram(&(struct metric_options){.name = "troupe_http_request_duration_seconds",
                                                   .help = "From the request line to the answer sent.",
                                                   .unit = METRIC_SECONDS});
    metrics->connections = metrics_counter(
        &(struct metric_options){.name = "troupe_http_connections_total", .help = "Connections accepted."});
    metrics->refused_connections =
        metrics_counter(&(struct metric_options){.name = "troupe_http_connections_refused_total",
                                                 .help = "Connections closed at once: a limit was reached."});
    metrics->cut_connections = metrics_counter(&(struct metric_options){
        .name = "troupe_http_connections_cut_total", .help = "Connections closed for missing a deadline."});
    metrics->timeouts = metrics_counter(&(struct metric_options){
        .name = "troupe_http_timeouts_total", .help = "Requests not answered by their deadline."});
    metrics->overloaded = metrics_counter(&(struct metric_options){
        .name = "troupe_http_overloaded_total", .help = "Requests refused because too many were in work."});
    metrics->bytes_in = metrics_counter(&(struct metric_options){.name = "troupe_http_body_bytes_total",
                                                                 .help = "Bytes of request bodies read."});
    metrics_gauge_callback(&(struct metric_options){
        .name = "troupe_http_requests_in_flight", .help = "Requests in work.", .read = read_inflight});
    metrics_gauge_callback(
        &(struct metric_options){.name = "troupe_http_held_bytes",
                                 .help = "Bytes of large bodies, and of the JSON read from them, in memory.",
                                 .read = read_held});
    metrics_gauge_callback(&(struct metric_options){
        .name = "troupe_http_connections", .help = "Connections open.", .read = read_connections});
}

static void metrics_open(struct listener *listener)
{
    if (!shown.registered) {
        metrics_register(&shown.metrics);
        shown.registered = true;
    }
    listener->metrics = shown.metrics;
    pthread_mutex_lock(&shown.lock);
    shown.listener = listener;
    pthread_mutex_unlock(&shown.lock);
}

static void metrics_leave(void)
{
    pthread_mutex_lock(&shown.lock);
    shown.listener = NULL;
    pthread_mutex_unlock(&shown.lock);
}

/* ---- life ---- */

static void listener_free(struct listener *listener)
{
    peer_limit_destroy(listener->per_ip);
    free(listener->cores);
    free(listener);
}

struct listener *listener_setup(struct settings *settings, const struct router *router, int workers,
                                char *why, size_t why_bytes)
{
    if (!guard_library_known()) {
        snprintf(why, why_bytes, "libmicrohttpd %s is not the version this service was built for",
                 MHD_get_version());
        return NULL;
    }
    signal(SIGPIPE, SIG_IGN);
    struct listener *listener = calloc(1, sizeof(*listener));
    if (listener == NULL || (listener->cores = calloc((size_t)workers, sizeof(struct http_core))) == NULL) {
        free(listener);
        snprintf(why, why_bytes, "out of memory");
        return NULL;
    }
    listener->settings = settings;
    listener->router = router;
    listener->core_count = workers;
    listener->open_access = settings->client_token.count == 0 && settings->admin_token.count == 0;
    listener->host_checked = true;
    for (int i = 0; i < workers; i++) {
        listener->cores[i].listener = listener;
        listener->cores[i].index = i;
    }
    if (settings->max_connections_per_ip > 0 &&
        (listener->per_ip = peer_limit_create(settings->max_connections_per_ip)) == NULL) {
        snprintf(why, why_bytes, "out of memory");
        listener_free(listener);
        return NULL;
    }
    for (size_t i = 0; i < settings->listen.count; i++) {
        if (!bind_address(listener, i, &settings->listen.items[i], why, why_bytes)) {
            close_all(listener);
            listener_free(listener);
            return NULL;
        }
        settings->listen.items[i].bound = true;
    }
    metrics_open(listener);
    return listener;
}

tr_core_hooks listener_hooks(struct listener *listener)
{
    return (tr_core_hooks){.start = http_core_start,
                           .before_run = http_core_before,
                           .after_run = http_core_after,
                           .stop = http_core_stop,
                           .ctx = listener};
}

void listener_teardown(struct listener *listener)
{
    metrics_leave();
    close_all(listener);
    listener_free(listener);
}

void listener_on_open(struct listener *listener, void (*fn)(void *ctx), void *ctx)
{
    listener->on_open = fn;
    listener->on_open_ctx = ctx;
}

void listener_core_opened(struct listener *listener)
{
    int opened = __atomic_add_fetch(&listener->opened, 1, __ATOMIC_ACQ_REL);
    if (opened == listener->core_count && listener->on_open != NULL) {
        listener->on_open(listener->on_open_ctx);
    }
}

void listener_address(const struct listener *listener, size_t index, char *out, size_t bytes)
{
    const struct settings_listener *item = &listener->settings->listen.items[index];
    char host[NI_MAXHOST];
    char port[NI_MAXSERV];
    if (item->address.any.sa_family == AF_UNIX ||
        getnameinfo(&item->address.any, item->address_bytes, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        snprintf(out, bytes, "%s", item->text);
    } else {
        snprintf(out, bytes, item->address.any.sa_family == AF_INET6 ? "http://[%s]:%s" : "http://%s:%s",
                 host, port);
    }
}

/* ---- state ---- */

bool listener_is_open(const struct listener *listener)
{
    for (int i = 0; i < listener->core_count; i++) {
        if (!(__atomic_load_n(&listener->cores[i].accepting, __ATOMIC_ACQUIRE) != 0)) {
            return false;
        }
    }
    return true;
}

void listener_drain(struct listener *listener)
{
    __atomic_store_n(&listener->draining, 1, __ATOMIC_RELEASE);
}

bool listener_is_draining(const struct listener *listener)
{
    return __atomic_load_n(&listener->draining, __ATOMIC_ACQUIRE) != 0;
}

int64_t listener_inflight(const struct listener *listener)
{
    return __atomic_load_n(&listener->inflight, __ATOMIC_RELAXED);
}
