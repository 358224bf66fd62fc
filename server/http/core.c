/* One core's part of the listener: its daemon in its loop, requests by number, deadlines. */
#include "server/http/core.h"

#include <stdlib.h>

#include "server/log.h"
#include "server/settings_run_time.h"

#define TICK_BUSY_MS    50
#define TICK_IDLE_MS    500
#define TICK_MAX_MS     60000
#define LAST_ANSWERS_MS 200 /* to be taken by their clients when the node stops */

/* The port's answer function: in the port's process, on this core's thread. */
static void port_answer(void *ctx, uint64_t number, const tr_msg *answer, tr_term reason)
{
    struct http_core *core = ctx;
    unsigned tag;
    struct http_request *request = request_by_number(core, number, &tag);
    if (number <= WATCHES_MAX) {
        watch_down(core, number, reason);
    } else if (request != NULL && request->reply != NULL) {
        request->watch = 0;
        request->reply(request, tag, answer, reason);
    }
}

/* ---- the daemon ---- */

static void read_clocks(struct http_core *core)
{
    core->now_ns = (int64_t)tr_now_ns();
    core->now_ms = core->now_ns / 1000000;
    http_date_update(&core->date, time(NULL));
}

void http_core_run(struct http_core *core)
{
    tr_scratch_mark mark = tr_scratch(); /* handlers may make terms */
    core->ready = false;
    read_clocks(core);
    MHD_run(core->daemon);
    tr_scratch_release(mark);
}

static bool wants_run(struct http_core *core)
{
    MHD_UNSIGNED_LONG_LONG timeout = 0;
    return MHD_get_timeout(core->daemon, &timeout) == MHD_YES && timeout == 0;
}

static void resume_answered(struct http_core *core)
{
    while (core->resume != NULL) {
        struct http_request *request = core->resume;
        core->resume = request->resume_next;
        request->resuming = false;
        if (request->dry) {
            request->dry = false;
            core->suspended--;
            MHD_resume_connection(request->connection);
        } else if (request->connection != NULL && request->state == EXCHANGE_SUSPENDED) {
            MHD_resume_connection(request->connection);
        }
        core->ready = true;
    }
}

static void daemon_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    ((struct http_core *)poll->data)->ready = true;
}

bool http_core_before(int index, void *ctx)
{
    struct listener *listener = ctx;
    struct http_core *core = &listener->cores[index];
    if (core->daemon == NULL) {
        return false;
    }
    if (core->ready) {
        http_core_run(core);
    }
    return core->waiting != 0;
}

bool http_core_after(int index, void *ctx)
{
    struct listener *listener = ctx;
    struct http_core *core = &listener->cores[index];
    if (core->daemon == NULL) {
        return false;
    }
    resume_answered(core);
    if (core->ready || core->waiting != 0) {
        http_core_run(core);
    }
    if (wants_run(core)) {
        core->ready = true;
    }
    tick_wanted(core);
    return core->ready || core->waiting != 0;
}

/* ---- the tick: deadlines; runs only while there is something to watch ---- */

static void tick(uv_timer_t *timer)
{
    struct http_core *core = timer->data;
    tr_scratch_mark mark = tr_scratch();
    core->now_ms = tr_now_ms();
    pending_tick(core, core->now_ms);
    streams_tick(core, core->now_ms);
    connections_tick(core, core->now_ms);
    if (__atomic_load_n(&core->deaf, __ATOMIC_RELAXED) != 0) {
        ears_open(core); /* there may be descriptors again */
    }
    tr_scratch_release(mark);
    core->tick_ms = 0;
    tick_wanted(core);
}

/* How soon to look again; 0: there is nothing to look at. Connections that nothing happens on cost nothing
 * until the first of their deadlines. */
static unsigned tick_due_ms(const struct http_core *core)
{
    if (core->pending != NULL) {
        return TICK_BUSY_MS;
    }
    if (__atomic_load_n(&core->deaf, __ATOMIC_RELAXED) != 0 || core->streams != NULL ||
        (core->touched && core->connections != NULL)) {
        return TICK_IDLE_MS;
    }
    if (core->connections == NULL || core->connections_next_ms == INT64_MAX) {
        return 0;
    }
    int64_t left_ms = core->connections_next_ms - core->now_ms;
    return left_ms < TICK_IDLE_MS ? TICK_IDLE_MS : left_ms > TICK_MAX_MS ? TICK_MAX_MS : (unsigned)left_ms;
}

void tick_wanted(struct http_core *core)
{
    unsigned wanted = tick_due_ms(core);
    if (wanted == 0 && core->tick_ms != 0) {
        uv_timer_stop(&core->tick);
        core->tick_ms = 0;
    } else if (wanted != 0 && (core->tick_ms == 0 || wanted < core->tick_ms)) {
        uv_timer_start(&core->tick, tick, wanted, 0);
        core->tick_ms = wanted;
    }
}

/* ---- hooks ---- */

static void completed(void *cls, struct MHD_Connection *connection, void **con_cls,
                      enum MHD_RequestTerminationCode code)
{
    (void)connection;
    (void)code;
    struct http_core *core = cls;
    struct http_request *request = *con_cls;
    *con_cls = NULL;
    if (request == NULL) {
        return;
    }
    if (request->peer != NULL && request->state != EXCHANGE_HEAD) {
        connection_listens(request->peer, SETTINGS_NOW(core->listener->settings->idle_timeout_ms));
    }
    request_log(request, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    exchange_end(request);
}

static void *uri_read(void *cls, const char *uri, struct MHD_Connection *connection)
{
    return exchange_new(cls, connection, uri);
}

__attribute__((format(printf, 2, 0))) static void daemon_says(void *cls, const char *format, va_list args)
{
    (void)cls;
    char text[256];
    vsnprintf(text, sizeof(text), format, args);
    text[strcspn(text, "\r\n")] = '\0';
    log_event(LOG_DEBUG, EVENT_CONNECTION_FAILED, log_str("reason", text));
}

static struct MHD_Daemon *daemon_start(struct http_core *core)
{
    const struct settings *settings = core->listener->settings;
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)daemon_says, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)settings->max_connections + 16, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)settings->max_header_bytes + ANSWER_HEAD_BYTES, NULL},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)completed, core},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)connection_notify, core},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)uri_read, core},
        {MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)guard_unescape, NULL},
        {MHD_OPTION_STRICT_FOR_CLIENT, 0, NULL},
        {MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
                                MHD_USE_ERROR_LOG,
                            0, NULL, NULL, exchange_handler, core, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
}

tr_err http_core_start(int index, uv_loop_t *loop, void *ctx)
{
    struct listener *listener = ctx;
    struct http_core *core = &listener->cores[index];
    core->loop = loop;
    if (!request_id_source_init(&core->ids) || (core->daemon = daemon_start(core)) == NULL) {
        return TR_E_NOMEM;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(core->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    if (info == NULL || uv_poll_init(loop, &core->poll, info->epoll_fd) != 0) {
        return TR_E_NOMEM;
    }
    core->poll.data = core;
    uv_timer_init(loop, &core->tick);
    core->tick.data = core;
    core->up = true;
    for (size_t i = 0; i < core->ear_count; i++) {
        struct ear *ear = &core->ears[i];
        if (ear->core == NULL) {
            continue; /* a unix listener's, which core 0 has */
        }
        if (uv_poll_init(loop, &ear->poll, ear->fd) != 0) {
            return TR_E_NOMEM;
        }
        ear->poll.data = ear;
        ear->live = true;
    }
    return uv_poll_start(&core->poll, UV_READABLE, daemon_readable) == 0 ? TR_OK : TR_E_NOMEM;
}

/* libmicrohttpd must not be stopped with suspended connections. Running it may bring further requests on
 * connections that are kept alive: `stopping` refuses them at once, so this ends. */
static void answer_all(struct http_core *core)
{
    core->stopping = true;
    int64_t give_up_ms = tr_now_ms() + LAST_ANSWERS_MS;
    do {
        read_clocks(core); /* a request may come in that is this daemon's first */
        pending_stop(core);
        streams_stop(core);
        resume_answered(core);
        MHD_run_wait(core->daemon, 1);
    } while (core->waiting != 0 || core->suspended != 0 || (core->unsent != 0 && tr_now_ms() < give_up_ms));
}

static void loop_leave(struct http_core *core)
{
    if (!core->up) {
        return;
    }
    uv_poll_stop(&core->poll);
    uv_close((uv_handle_t *)&core->poll, NULL);
    uv_close((uv_handle_t *)&core->tick, NULL);
    ears_close(core);
    for (size_t i = 0; i < core->ear_count; i++) {
        if (core->ears[i].live) {
            uv_close((uv_handle_t *)&core->ears[i].poll, NULL);
        }
    }
}

/* No process lives any more; what still waits is answered, then everything of the loop is closed. */
void http_core_stop(int index, uv_loop_t *loop, void *ctx)
{
    (void)loop;
    struct listener *listener = ctx;
    struct http_core *core = &listener->cores[index];
    if (core->daemon != NULL) {
        answer_all(core);
        loop_leave(core);
        MHD_stop_daemon(core->daemon);
        core->daemon = NULL;
    }
    while (core->free_requests != NULL) {
        struct http_request *request = core->free_requests;
        core->free_requests = request->next_free;
        free(request);
    }
    free(core->slots);
    core->slots = NULL;
}

/* ---- the port, and accepting ---- */

struct port_opened {
    struct http_core *core;
    tr_pid port;
};

/* Calls are sent from the new port from now on; answers to the old one's calls will not come. */
static void port_opened(void *ctx)
{
    struct port_opened *opened = ctx;
    struct http_core *core = opened->core;
    core->port = opened->port;
    free(opened);
    watches_forget(core);
    pending_port_died(core);
    ears_open(core);
    if (__atomic_exchange_n(&core->accepting, 1, __ATOMIC_ACQ_REL) == 0) {
        listener_core_opened(core->listener);
    }
}

tr_err listener_start_core(struct listener *listener, int index, tr_pid *pid)
{
    struct http_core *core = &listener->cores[index];
    struct port_opened *opened = malloc(sizeof(*opened));
    if (opened == NULL) {
        return TR_E_NOMEM;
    }
    char label[32];
    snprintf(label, sizeof(label), "http.listener.%d", index);
    tr_err err =
        tr_port_open(&(tr_port_opts){.core = index, .label = label, .answer = port_answer, .ctx = core}, pid);
    if (err != TR_OK) {
        free(opened);
        return err;
    }
    if (tr_register(tr_atom(label), *pid) != TR_OK) {
        log_event(LOG_WARN, EVENT_LISTENER_FAILED, log_str("what", "the port's name is taken"),
                  log_str("name", label));
    }
    *opened = (struct port_opened){core, *pid};
    tr_node_post(index, port_opened, opened);
    return TR_OK;
}

static void close_ears(void *ctx)
{
    ears_close(ctx);
}

void listener_close(struct listener *listener)
{
    __atomic_store_n(&listener->closing, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < listener->core_count; i++) {
        tr_node_post(i, close_ears, &listener->cores[i]);
    }
}
