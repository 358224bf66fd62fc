/* Accepting connections, and cutting those that miss their deadlines. */
#define _GNU_SOURCE
#include "server/http/core.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/log.h"
#include "server/settings_run_time.h"

#define ACCEPTS_A_TURN 64
#define LOOK_EVERY_MS \
    400 /* at the deadlines of connections; less than an idle tick, so that none is skipped */

/* ---- ears: open, shut, deaf ---- */

static void ear_heard(uv_poll_t *poll, int status, int events);

void ears_open(struct http_core *core)
{
    __atomic_store_n(&core->deaf, 0, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&core->listener->closing, __ATOMIC_ACQUIRE) != 0 || core->port == TR_NO_PID) {
        return;
    }
    for (size_t i = 0; i < core->ear_count; i++) {
        struct ear *ear = &core->ears[i];
        if (ear->live && !ear->open && uv_poll_start(&ear->poll, UV_READABLE, ear_heard) == 0) {
            ear->open = true;
        }
    }
}

void ears_close(struct http_core *core)
{
    for (size_t i = 0; i < core->ear_count; i++) {
        if (core->ears[i].open) {
            uv_poll_stop(&core->ears[i].poll);
            core->ears[i].open = false;
        }
    }
}

static bool is_full(const struct listener *listener)
{
    return __atomic_load_n(&listener->connections, __ATOMIC_SEQ_CST) >= listener->settings->max_connections;
}

/* The kernel's backlog holds new ones until a place is free. Deaf first, then the look: who frees a place
 * looks the other way round, so one of the two sees the other. */
static void go_deaf(struct http_core *core, bool for_places)
{
    ears_close(core);
    __atomic_store_n(&core->deaf, 1, __ATOMIC_SEQ_CST);
    if (for_places && !is_full(core->listener)) {
        ears_open(core);
    }
}

static void place_free(void *ctx)
{
    ears_open(ctx);
}

void connection_uncount(struct listener *listener)
{
    __atomic_sub_fetch(&listener->connections, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < listener->core_count; i++) {
        struct http_core *core = &listener->cores[i];
        if (__atomic_load_n(&core->deaf, __ATOMIC_SEQ_CST) != 0 &&
            __atomic_exchange_n(&core->deaf, 0, __ATOMIC_SEQ_CST) != 0) {
            tr_node_post(i, place_free, core);
        }
    }
}

/* ---- accepting ---- */

struct dealt {
    struct http_core *core;
    struct sockaddr_storage address;
    socklen_t address_bytes;
    struct connection facts;
};

static void connection_take(struct dealt *dealt)
{
    struct http_core *core = dealt->core;
    struct listener *listener = core->listener;
    core->accepted = dealt->facts;
    core->accepted.core = core;
    core->now_ms = tr_now_ms();
    /* libmicrohttpd closes the descriptor when it fails. Whether connection_notify took over is told by
     * accepted.core. */
    if (MHD_add_connection(core->daemon, dealt->facts.fd, (struct sockaddr *)&dealt->address,
                           dealt->address_bytes) != MHD_YES) {
        metric_count(listener->metrics.refused_connections, 1);
    }
    if (core->accepted.core != NULL) {
        peer_limit_leave(listener->per_ip, &core->accepted.from);
        connection_uncount(listener);
    }
    core->ready = true;
}

static void connection_dealt(void *ctx)
{
    connection_take(ctx);
    free(ctx);
}

static void turn_away(struct listener *listener, struct dealt *dealt)
{
    close(dealt->facts.fd);
    metric_count(listener->metrics.refused_connections, 1);
    peer_limit_leave(listener->per_ip, &dealt->facts.from);
    connection_uncount(listener);
}

/* A unix listener has one socket: core 0 accepts and deals round. */
static void deal(struct ear *ear, struct dealt *dealt)
{
    struct listener *listener = ear->core->listener;
    int to = ear->is_unix ? (int)(ear->dealt++ % (unsigned)listener->core_count) : ear->core->index;
    dealt->core = &listener->cores[to];
    if (to == ear->core->index) {
        connection_take(dealt);
        return;
    }
    struct dealt *copy = malloc(sizeof(*copy));
    if (copy == NULL) {
        turn_away(listener, dealt);
        return;
    }
    *copy = *dealt;
    tr_node_post(to, connection_dealt, copy);
}

/* Returns: false when there is nothing more to be had in this turn. */
static bool accept_one(struct ear *ear)
{
    struct http_core *core = ear->core;
    struct listener *listener = core->listener;
    if (__atomic_fetch_add(&listener->connections, 1, __ATOMIC_SEQ_CST) >=
        listener->settings->max_connections) {
        connection_uncount(listener);
        go_deaf(core, true);
        return false;
    }
    struct dealt dealt = {.facts = {.loopback = ear->loopback, .is_unix = ear->is_unix},
                          .address_bytes = sizeof(dealt.address)};
    dealt.facts.fd = accept4(ear->fd, (struct sockaddr *)&dealt.address, &dealt.address_bytes,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (dealt.facts.fd < 0) {
        int error = errno;
        connection_uncount(listener);
        if (error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS) {
            log_event(LOG_WARN, EVENT_CONNECTION_REFUSED, log_str("reason", strerror(error)));
            go_deaf(core, false);
        }
        return error == ECONNABORTED || error == EINTR;
    }
    if (!peer_limit_enter(listener->per_ip, (struct sockaddr *)&dealt.address, &dealt.facts.from)) {
        turn_away(listener, &dealt);
        return true;
    }
    int on = 1;
    if (!ear->is_unix) {
        setsockopt(dealt.facts.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    }
    deal(ear, &dealt);
    return true;
}

static void ear_heard(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN && accept_one(poll->data); i++) {
    }
}

/* ---- connections ---- */

void connection_deadline(struct connection *connection, int64_t timeout_ms)
{
    connection->deadline_ms = timeout_ms < 0 ? INT64_MAX : connection->core->now_ms + timeout_ms;
    connection->unseen_end = false;
    connection->core->touched = true;
}

void connection_listens(struct connection *connection, int64_t timeout_ms)
{
    connection_deadline(connection, timeout_ms);
    connection->unseen_end = true;
}

static void connection_started(struct http_core *core, struct MHD_Connection *mhd, void **socket_context)
{
    struct listener *listener = core->listener;
    struct connection *connection = malloc(sizeof(*connection));
    *socket_context = connection;
    if (connection == NULL) {
        shutdown(core->accepted.fd, SHUT_RDWR); /* nobody would watch its deadlines */
        return;
    }
    *connection = core->accepted;
    connection->mhd = mhd;
    connection->fresh = true;
    connection->started_ms = core->now_ms;
    connection->next = core->connections;
    connection->prev = NULL;
    if (core->connections != NULL) {
        core->connections->prev = connection;
    }
    core->connections = connection;
    core->accepted.core = NULL;
    metric_count(listener->metrics.connections, 1);
    /* Whether a unix peer has said anything cannot be seen, so it has the idle time. */
    connection_listens(connection, connection->is_unix ? SETTINGS_NOW(listener->settings->idle_timeout_ms)
                                                       : SETTINGS_NOW(listener->settings->header_timeout_ms));
}

void connection_notify(void *cls, struct MHD_Connection *mhd, void **socket_context,
                       enum MHD_ConnectionNotificationCode code)
{
    struct http_core *core = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        connection_started(core, mhd, socket_context);
        return;
    }
    struct connection *connection = *socket_context;
    if (connection == NULL) {
        return;
    }
    if (connection->prev != NULL) {
        connection->prev->next = connection->next;
    } else {
        core->connections = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->prev = connection->prev;
    }
    peer_limit_leave(core->listener->per_ip, &connection->from);
    free(connection);
    connection_uncount(core->listener);
}

/* A client of a fresh connection that only holds the line open may do so for the idle time. */
static bool may_stay(struct connection *connection, int64_t now_ms)
{
    int64_t idle_until_ms =
        connection->started_ms + SETTINGS_NOW(connection->core->listener->settings->idle_timeout_ms);
    if (!connection->fresh || idle_until_ms <= now_ms || connection->deadline_ms >= idle_until_ms ||
        !peer_said_nothing(connection->fd)) {
        return false;
    }
    connection->deadline_ms = idle_until_ms;
    return true;
}

/* libmicrohttpd 0.9.75 polls edge-triggered and takes a short read for all there is: an end that came
 * together with data makes no edge of its own and stays unseen. It is looked for once, at the first tick of
 * each wait for bytes. */
static bool has_left(struct connection *connection)
{
    if (!connection->unseen_end) {
        return false;
    }
    char byte;
    ssize_t got = recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    connection->unseen_end = got > 0;
    connection->core->touched = connection->core->touched || got > 0;
    return got == 0;
}

static bool may_go_on(struct connection *connection, int64_t now_ms)
{
    return !has_left(connection) && (connection->deadline_ms > now_ms || may_stay(connection, now_ms));
}

/* libmicrohttpd sees the end and closes. What a slow reader has not taken would stay in the kernel, for as long as
 * that reader likes: it is thrown away and the connection reset, which also tells an answer that is cut off. */
static void cut(struct connection *connection)
{
    struct linger none = {.l_onoff = 1, .l_linger = 0};
    int unsent = 0;
    if (ioctl(connection->fd, SIOCOUTQ, &unsent) == 0 && unsent > 0) {
        setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    }
    connection->cut = true;
    shutdown(connection->fd, SHUT_RDWR);
}

void connections_tick(struct http_core *core, int64_t now_ms)
{
    if (now_ms < core->connections_due_ms) {
        return;
    }
    core->connections_due_ms = now_ms + LOOK_EVERY_MS;
    core->connections_next_ms = INT64_MAX;
    core->touched = false;
    for (struct connection *connection = core->connections; connection != NULL;
         connection = connection->next) {
        if (connection->cut) {
            continue;
        }
        if (may_go_on(connection, now_ms)) {
            if (connection->deadline_ms < core->connections_next_ms) {
                core->connections_next_ms = connection->deadline_ms;
            }
            continue;
        }
        metric_count(core->listener->metrics.cut_connections, connection->deadline_ms <= now_ms);
        cut(connection);
    }
}
