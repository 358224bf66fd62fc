#include "tests/server/listener_fixture.h"

#include "server/json.h"
#include "server/metrics.h"
#include "tests/server/listener_routes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CORES_MAX 64
#define FLAGS_MAX 32

static struct {
    struct settings *settings;
    struct router *router;
    struct listener *listener;
    tr_pid ports[CORES_MAX]; /* atomic: kept by the supervisor */
    char why[512];
} fixture;

/* ---- life ---- */

static void refuse_to_go_on(const char *what, const char *why)
{
    fprintf(stderr, "listener_fixture: %s: %s\n", what, why);
    abort();
}

static struct settings *settings_of(const char *const *flags)
{
    static const char *const environment[] = {NULL};
    const char *argv[FLAGS_MAX + 3] = {"fixture", "--listen=127.0.0.1:0", "--log-level=error"};
    size_t count = 3;
    bool given = false;
    for (; flags != NULL && *flags != NULL && count < FLAGS_MAX; flags++) {
        if (strncmp(*flags, "--listen", 8) == 0 && !given) {
            argv[1] = *flags;
            given = true;
        } else {
            argv[count++] = *flags;
        }
    }
    argv[count] = NULL;
    struct settings *settings;
    struct settings_error error;
    if (settings_load(argv, environment, &settings, &error) != 0) {
        refuse_to_go_on("settings", error.text);
    }
    return settings;
}

static tr_err port_start(const void *arg, tr_pid *pid, tr_term *info, tr_term *reason)
{
    (void)info;
    int core;
    memcpy(&core, arg, sizeof(core));
    tr_err err = listener_start_core(fixture.listener, core, pid);
    if (err != TR_OK) {
        *reason = tr_atom(tr_err_name(err));
    }
    return err;
}

static tr_err tree_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                        tr_term *reason)
{
    (void)arg;
    (void)reason;
    int cores = tr_node_workers();
    tr_child_spec *specs = tr_scratch_alloc(((size_t)cores + 1) * sizeof(*specs));
    specs[0] = routes_server();
    for (int i = 0; i < cores; i++) {
        int *core = tr_scratch_alloc(sizeof(*core));
        *core = i;
        specs[i + 1] = (tr_child_spec){.id = tr_int(i),
                                       .start_fn = port_start,
                                       .arg = core,
                                       .arg_bytes = sizeof(*core),
                                       .slot = &fixture.ports[i]};
    }
    *flags = (tr_sup_flags){.intensity = 1000000, .period_s = 1};
    *children = specs;
    *count = (size_t)cores + 1;
    return TR_OK;
}

static void tree_main(const void *arg)
{
    static const tr_supervisor tree = {.name = "fixture", .init = tree_init};
    tr_started started;
    (void)arg;
    tr_trap_exit(true);
    TR_CHECK(tr_supervisor_start_link(&tree, NULL, 0, NULL, &started) == TR_OK);
    for (;;) {
        tr_msg_drop(tr_receive(NULL, NULL, TR_INFINITY));
    }
}

static void report_nothing(const tr_report *report, void *ctx)
{
    (void)report;
    (void)ctx;
}

static bool is_open(void *unused)
{
    (void)unused;
    return listener_is_open(fixture.listener);
}

static struct router *router_of_routes(void)
{
    struct route_table table = routes_table();
    struct router *router = router_create(&table, 1, fixture.why, sizeof(fixture.why));
    if (router == NULL) {
        refuse_to_go_on("router", fixture.why);
    }
    return router;
}

void fixture_start(const char *const *flags)
{
    json_init();
    memset(&routes_state, 0, sizeof(routes_state));
    fixture.settings = settings_of(flags);
    log_set_level(fixture.settings->log_level);
    fixture.router = router_of_routes();
    int workers = tr_node_workers_of((int)fixture.settings->workers);
    fixture.listener =
        listener_setup(fixture.settings, fixture.router, workers, fixture.why, sizeof(fixture.why));
    if (fixture.listener == NULL) {
        refuse_to_go_on("listener", fixture.why);
    }
    tr_node_opts opts = {.workers = workers,
                         .process_max = 4096,
                         .hooks = listener_hooks(fixture.listener),
                         .report = report_nothing};
    tr_pid root;
    if (tr_node_start(&opts) != TR_OK || tr_spawn(NULL, tree_main, NULL, 0, &root) != TR_OK) {
        refuse_to_go_on("node", "it does not start");
    }
    if (!fixture_eventually(is_open, NULL)) {
        refuse_to_go_on("listener", "it does not open");
    }
}

void fixture_halt(void)
{
    tr_node_stop();
    listener_teardown(fixture.listener);
    fixture.listener = NULL;
}

void fixture_stop(void)
{
    if (fixture.listener != NULL) {
        fixture_halt();
    }
    router_destroy(fixture.router);
    settings_destroy(fixture.settings);
}

const char *fixture_refusal(const char *const *flags)
{
    struct settings *settings = settings_of(flags);
    struct router *router = router_of_routes();
    struct listener *listener = listener_setup(settings, router, 2, fixture.why, sizeof(fixture.why));
    if (listener != NULL) {
        listener_teardown(listener);
    }
    router_destroy(router);
    settings_destroy(settings);
    return listener == NULL ? fixture.why : NULL;
}

/* ---- what is going on ---- */

struct listener *fixture_listener(void)
{
    return fixture.listener;
}

uint16_t fixture_port(size_t index)
{
    const struct settings_listener *item = &fixture.settings->listen.items[index];
    return ntohs(item->address.any.sa_family == AF_INET6
                     ? ((const struct sockaddr_in6 *)(const void *)&item->address)->sin6_port
                     : ((const struct sockaddr_in *)(const void *)&item->address)->sin_port);
}

tr_pid fixture_port_pid(int core)
{
    return __atomic_load_n(&fixture.ports[core], __ATOMIC_ACQUIRE);
}

tr_pid fixture_server_pid(void)
{
    return __atomic_load_n(&routes_state.server, __ATOMIC_ACQUIRE);
}

void fixture_kill(tr_pid pid)
{
    tr_scratch_mark mark = tr_scratch();
    tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
    tr_scratch_release(mark);
}

void fixture_release(void)
{
    __atomic_store_n(&routes_state.released, 1, __ATOMIC_SEQ_CST);
}

int fixture_jobs_begun(void)
{
    return __atomic_load_n(&routes_state.begun, __ATOMIC_SEQ_CST);
}

int fixture_jobs_ended(void)
{
    return __atomic_load_n(&routes_state.ended, __ATOMIC_SEQ_CST);
}

struct label_count {
    const char *label;
    int count;
};

static bool count_label(const tr_process_summary *summary, void *ctx)
{
    struct label_count *counted = ctx;
    counted->count += strcmp(summary->label, counted->label) == 0;
    return true;
}

int fixture_processes(const char *label)
{
    struct label_count counted = {.label = label};
    tr_scratch_mark mark = tr_scratch();
    tr_process_each(count_label, &counted);
    tr_scratch_release(mark);
    return counted.count;
}

bool fixture_eventually(bool (*holds)(void *ctx), void *ctx)
{
    int64_t end = tr_now_ms() + FIXTURE_PATIENCE_MS;
    const struct timespec pause = {.tv_nsec = 1000000};
    while (!holds(ctx)) {
        if (tr_now_ms() > end) {
            return false;
        }
        nanosleep(&pause, NULL);
    }
    return true;
}

static int64_t open_connections(void)
{
    char *text;
    size_t bytes;
    text = metrics_text(&bytes);
    const char *at = text == NULL ? NULL : strstr(text, "\ntroupe_http_connections ");
    int64_t count = at == NULL ? -1 : strtoll(at + strlen("\ntroupe_http_connections "), NULL, 10);
    free(text);
    return count;
}

bool fixture_is_quiet(void *unused)
{
    (void)unused;
    return listener_inflight(fixture.listener) == 0 && open_connections() == 0;
}

bool fixture_inflight_is(void *number)
{
    return listener_inflight(fixture.listener) == *(int64_t *)number;
}

/* ---- the client ---- */

int fixture_connect_to(size_t index)
{
    const struct settings_listener *item = &fixture.settings->listen.items[index];
    int fd = socket(item->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = FIXTURE_PATIENCE_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(fd, &item->address.any, item->address_bytes) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

int fixture_connect(void)
{
    return fixture_connect_to(0);
}

bool client_send(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        bytes += sent;
        count -= (size_t)sent;
    }
    return true;
}

bool client_say(int fd, const char *text)
{
    return client_send(fd, text, strlen(text));
}

/* Byte by byte: what follows belongs to the next answer. */
static bool read_head(int fd, struct reply *reply)
{
    size_t used = 0;
    while (used < sizeof(reply->head) - 1) {
        ssize_t got = recv(fd, reply->head + used, 1, 0);
        if (got <= 0) {
            reply->timed_out = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
            reply->head[used] = '\0';
            return false;
        }
        used++;
        if (used >= 4 && memcmp(reply->head + used - 4, "\r\n\r\n", 4) == 0) {
            reply->head[used] = '\0';
            return true;
        }
    }
    return false;
}

struct reply client_read(int fd, bool head_only)
{
    struct reply reply = {0};
    do {
        if (!read_head(fd, &reply) || strncmp(reply.head, "HTTP/1.", 7) != 0) {
            return reply;
        }
        reply.status = (unsigned)strtoul(reply.head + 9, NULL, 10);
    } while (reply.status == 100);
    const char *length = reply_header(&reply, "Content-Length");
    size_t bytes = length == NULL || head_only ? 0 : strtoul(length, NULL, 10);
    reply.body = malloc(bytes + 1);
    if (reply.body == NULL) {
        abort();
    }
    while (reply.body_bytes < bytes) {
        ssize_t got = recv(fd, reply.body + reply.body_bytes, bytes - reply.body_bytes, 0);
        if (got <= 0) {
            reply.status = 0;
            break;
        }
        reply.body_bytes += (size_t)got;
    }
    reply.body[reply.body_bytes] = '\0';
    return reply;
}

struct reply client_ask(int fd, const char *request)
{
    (void)client_say(fd, request); /* a refusal may be there before all of it is taken */
    return client_read(fd, strncmp(request, "HEAD ", 5) == 0);
}

struct reply client_get(int fd, const char *path)
{
    char request[1024];
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    return client_ask(fd, request);
}

unsigned client_status(const char *request)
{
    int fd = fixture_connect();
    if (fd < 0) {
        return 0;
    }
    struct reply reply = client_ask(fd, request);
    unsigned status = reply.status;
    reply_free(&reply);
    close(fd);
    return status;
}

bool client_is_closed(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, 0);
    return got == 0 || (got < 0 && errno == ECONNRESET);
}

const char *reply_header(const struct reply *reply, const char *name)
{
    static _Thread_local char value[4096];
    size_t length = strlen(name);
    for (const char *line = strstr(reply->head, "\r\n"); line != NULL; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, length) == 0 && line[2 + length] == ':') {
            const char *from = line + 2 + length + 1;
            from += strspn(from, " ");
            snprintf(value, sizeof(value), "%.*s", (int)strcspn(from, "\r\n"), from);
            return value;
        }
    }
    return NULL;
}

bool reply_has(const struct reply *reply, const char *text)
{
    return reply->body != NULL && strstr(reply->body, text) != NULL;
}

void reply_free(struct reply *reply)
{
    free(reply->body);
    reply->body = NULL;
}
