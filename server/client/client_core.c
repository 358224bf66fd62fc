/* One core's part of the HTTP client: libcurl's multi handle in its loop. */
#define _GNU_SOURCE
#include "server/client/client_core.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/client/transfer.h"

/* ---- from outside: the two stacks ---- */

/* Returns: was the stack empty. */
static bool push(struct transfer **stack, struct transfer *transfer, struct transfer **next)
{
    struct transfer *head = __atomic_load_n(stack, __ATOMIC_RELAXED);
    do {
        *next = head;
    } while (!__atomic_compare_exchange_n(stack, &head, transfer, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    return head == NULL;
}

static struct transfer *take_all(struct transfer **stack)
{
    return __atomic_exchange_n(stack, NULL, __ATOMIC_ACQUIRE);
}

static void look(void *ctx);

void client_core_begin(struct transfer *transfer)
{
    struct client_core *core = transfer->core;
    if (push(&core->arrivals, transfer, &transfer->arrival_next)) {
        tr_node_post(core->index, look, core);
    }
}

void client_core_cancel(struct transfer *transfer)
{
    struct client_core *core = transfer->core;
    if (push(&core->cancels, transfer, &transfer->cancel_next)) {
        tr_node_post(core->index, look, core);
    }
}

/* ---- connections ---- */

static bool flip(struct client_core *core, curl_socket_t fd, bool wanted)
{
    uint64_t bit = UINT64_C(1) << ((unsigned)fd % 64);
    if (fd < 0 || fd >= CLIENT_FDS_MAX || ((core->established[fd / 64] & bit) != 0) == wanted) {
        return false;
    }
    core->established[fd / 64] ^= bit;
    return true;
}

void client_core_connected(struct client_core *core, curl_socket_t fd)
{
    if (flip(core, fd, true)) {
        __atomic_add_fetch(&core->connections, 1, __ATOMIC_RELAXED);
        __atomic_add_fetch(&core->connected, 1, __ATOMIC_RELAXED);
        metric_count(http_client_the.metrics.connects, 1);
    }
}

void client_core_closed(struct client_core *core, curl_socket_t fd)
{
    if (flip(core, fd, false)) {
        __atomic_sub_fetch(&core->connections, 1, __ATOMIC_RELAXED);
    }
}

/* ---- transfers ---- */

static void running_add(struct client_core *core, struct transfer *transfer)
{
    transfer->next = core->running;
    transfer->link = &core->running;
    if (core->running != NULL) {
        core->running->link = &transfer->next;
    }
    core->running = transfer;
}

static void running_remove(struct transfer *transfer)
{
    *transfer->link = transfer->next;
    if (transfer->next != NULL) {
        transfer->next->link = transfer->link;
    }
    transfer->link = NULL;
}

/* libcurl lets go of it; a connection that was in the middle of something is closed. */
static void detach(struct transfer *transfer)
{
    if (transfer->link != NULL) {
        running_remove(transfer);
        curl_multi_remove_handle(transfer->core->multi, transfer->easy);
    }
    transfer_close(transfer);
}

static void count_down(struct client_core *core)
{
    __atomic_sub_fetch(&core->transfers, 1, __ATOMIC_RELAXED);
}

static void finish(struct transfer *transfer, CURLcode result)
{
    struct client_core *core = transfer->core;
    transfer_judge(transfer, result);
    detach(transfer);
    __atomic_add_fetch(&core->finished, 1, __ATOMIC_RELAXED);
    if (transfer->reply.timings.reused) {
        __atomic_add_fetch(&core->reused, 1, __ATOMIC_RELAXED);
        metric_count(http_client_the.metrics.reuses, 1);
    }
    metric_count(http_client_the.metrics.outcomes[transfer->reply.failure], 1);
    metric_observe(http_client_the.metrics.duration, (uint64_t)transfer->reply.timings.total_us * 1000);
    transfer_answer(transfer);
    count_down(core);
    transfer_drop(transfer);
}

static void finish_all(struct client_core *core)
{
    int left = 0;
    for (CURLMsg *msg; (msg = curl_multi_info_read(core->multi, &left)) != NULL;) {
        CURLcode result = msg->data.result;
        struct transfer *transfer = NULL;
        if (msg->msg == CURLMSG_DONE &&
            curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&transfer) == CURLE_OK) {
            finish(transfer, result); /* msg is gone */
        }
    }
}

static void idle_over(uv_timer_t *timer)
{
    struct client_core *core = timer->data;
    if (core->running == NULL && core->multi != NULL) {
        curl_multi_cleanup(core->multi);
        core->multi = NULL;
    }
}

/* After anything that may have ended transfers. */
static void settle(struct client_core *core)
{
    finish_all(core);
    if (core->running == NULL) {
        uv_update_time(core->loop);
        uv_timer_start(&core->idle, idle_over, HTTP_CLIENT_IDLE_MS, 0);
    }
}

/* ---- libcurl in the loop ---- */

/* libcurl 7.88 closes a socket that never came to a connection without a word, and says only afterwards that it is
 * not to be watched any more; by then its number may be another thread's, or that of the next attempt. So the loop
 * watches a descriptor of its own, and a watch whose number is opened anew is bound to the new socket. */
struct watch {
    uv_poll_t poll; /* first: closing gives it back */
    struct client_core *core;
    struct watch *next, **link; /* in core->watches */
    curl_socket_t fd;           /* libcurl's */
    int own;
    int events;
};

static void watch_closed(uv_handle_t *handle)
{
    free(handle);
}

static void watch_rang(uv_poll_t *poll, int status, int events)
{
    const struct watch *watch = (const struct watch *)(const void *)poll;
    struct client_core *core = watch->core;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    flags |= (events & UV_READABLE) != 0 ? CURL_CSELECT_IN : 0;
    flags |= (events & UV_WRITABLE) != 0 ? CURL_CSELECT_OUT : 0;
    int running = 0;
    curl_multi_socket_action(core->multi, watch->fd, flags, &running); /* watch may be gone */
    settle(core);
}

static struct watch *watch_new(struct client_core *core, curl_socket_t fd)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    int own = watch == NULL ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0 || uv_poll_init(core->loop, &watch->poll, own) != 0) {
        if (own >= 0) {
            close(own);
        }
        free(watch);
        return NULL;
    }
    *watch = (struct watch){.poll = watch->poll, .core = core, .next = core->watches, .link = &core->watches};
    watch->fd = fd;
    watch->own = own;
    if (core->watches != NULL) {
        core->watches->link = &watch->next;
    }
    core->watches = watch;
    curl_multi_assign(core->multi, fd, watch);
    return watch;
}

static void watch_end(struct watch *watch)
{
    *watch->link = watch->next;
    if (watch->next != NULL) {
        watch->next->link = watch->link;
    }
    uv_poll_stop(&watch->poll);
    uv_close((uv_handle_t *)&watch->poll, watch_closed);
    close(watch->own);
}

static void watch_wants(struct watch *watch, int what)
{
    watch->events = (what & CURL_POLL_IN) != 0 ? UV_READABLE : 0;
    watch->events |= (what & CURL_POLL_OUT) != 0 ? UV_WRITABLE : 0;
    uv_poll_start(&watch->poll, watch->events, watch_rang);
}

/* The copy keeps its number, and stands for the new socket. */
static void watch_rebind(struct watch *watch)
{
    uv_poll_stop(&watch->poll);
    if (dup3(watch->fd, watch->own, O_CLOEXEC) >= 0) {
        uv_poll_start(&watch->poll, watch->events, watch_rang);
    }
}

void client_core_opened(struct client_core *core, curl_socket_t fd)
{
    for (struct watch *watch = core->watches; watch != NULL; watch = watch->next) {
        if (watch->fd == fd) {
            watch_rebind(watch);
        }
    }
}

/* Without memory a socket is not watched: its transfer ends by its time-out. */
static int socket_wanted(CURL *easy, curl_socket_t fd, int what, void *ctx, void *assigned)
{
    (void)easy;
    struct client_core *core = ctx;
    struct watch *watch = assigned;
    if (what == CURL_POLL_REMOVE) {
        if (watch != NULL) {
            watch_end(watch);
            curl_multi_assign(core->multi, fd, NULL);
        }
        return 0;
    }
    if (watch == NULL) {
        watch = watch_new(core, fd);
    }
    if (watch != NULL) {
        watch_wants(watch, what);
    }
    return 0;
}

static void run_due(struct client_core *core)
{
    int running = 0;
    curl_multi_socket_action(core->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    settle(core);
}

static void timer_rang(uv_timer_t *timer)
{
    struct client_core *core = timer->data;
    if (core->multi != NULL) {
        run_due(core);
    }
}

static int timer_wanted(CURLM *multi, long timeout_ms, void *ctx)
{
    (void)multi;
    struct client_core *core = ctx;
    if (timeout_ms < 0) {
        uv_timer_stop(&core->timer);
        return 0;
    }
    uv_update_time(core->loop); /* a turn may have been long since the loop looked */
    uv_timer_start(&core->timer, timer_rang, (uint64_t)timeout_ms, 0);
    return 0;
}

static long share_of(uint32_t all)
{
    uint32_t cores = (uint32_t)http_client_the.options.cores;
    return (long)((all + cores - 1) / cores);
}

static bool multi_ready(struct client_core *core)
{
    if (core->multi != NULL) {
        return true;
    }
    CURLM *multi = curl_multi_init();
    if (multi == NULL) {
        return false;
    }
    const struct http_client_options *options = &http_client_the.options;
    long all = share_of(options->connections_max);
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, socket_wanted);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, core);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, timer_wanted);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, core);
    curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, all);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, all);
    curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, share_of(options->connections_per_host));
    core->multi = multi;
    return true;
}

/* ---- the look ---- */

static void begin(struct client_core *core, struct transfer *transfer)
{
    __atomic_add_fetch(&core->started, 1, __ATOMIC_RELAXED);
    if (!multi_ready(core) || !transfer_open(transfer) ||
        curl_multi_add_handle(core->multi, transfer->easy) != CURLM_OK) {
        finish(transfer, CURLE_OUT_OF_MEMORY);
        return;
    }
    running_add(core, transfer);
}

static void cancel(struct client_core *core, struct transfer *transfer)
{
    if (transfer->link != NULL) {
        detach(transfer);
        __atomic_add_fetch(&core->cancelled, 1, __ATOMIC_RELAXED);
        metric_count(http_client_the.metrics.cancelled, 1);
        count_down(core);
        transfer_drop(transfer);
    }
    transfer_drop(transfer);
}

/* Turns what was pushed into the order it was pushed in. */
static struct transfer *arrivals_in_order(struct client_core *core)
{
    struct transfer *newest = take_all(&core->arrivals);
    struct transfer *oldest = NULL;
    while (newest != NULL) {
        struct transfer *next = newest->arrival_next;
        newest->arrival_next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

/* On the core's thread between turns. Cancels are taken first and carried out last: what is cancelled has arrived. */
static void look(void *ctx)
{
    struct client_core *core = ctx;
    if (!core->up) {
        return;
    }
    struct transfer *cancelled = take_all(&core->cancels);
    struct transfer *next = NULL;
    for (struct transfer *at = arrivals_in_order(core); at != NULL; at = next) {
        next = at->arrival_next;
        begin(core, at);
    }
    for (struct transfer *at = cancelled; at != NULL; at = next) {
        next = at->cancel_next;
        cancel(core, at);
    }
    if (core->multi != NULL) {
        run_due(core);
    }
}

/* ---- hooks ---- */

struct client_core *client_core_here(void)
{
    int index = tr_node_core();
    if (index < 0 || index >= http_client_the.options.cores || http_client_the.cores == NULL) {
        return NULL;
    }
    struct client_core *core = &http_client_the.cores[index];
    return core->up ? core : NULL;
}

tr_err client_core_start(int index, uv_loop_t *loop, void *ctx)
{
    (void)ctx;
    TR_ASSERT(index < http_client_the.options.cores);
    struct client_core *core = &http_client_the.cores[index];
    core->index = index;
    core->loop = loop;
    uv_timer_init(loop, &core->timer);
    uv_timer_init(loop, &core->idle);
    core->timer.data = core->idle.data = core;
    core->up = true;
    return TR_OK;
}

/* No process lives: each has let go of its transfers on `cancels`, and the core does the rest. */
void client_core_stop(int index, uv_loop_t *loop, void *ctx)
{
    (void)loop;
    (void)ctx;
    struct client_core *core = &http_client_the.cores[index];
    if (!core->up) {
        return;
    }
    look(core);
    TR_ASSERT(core->running == NULL && core->transfers == 0);
    core->up = false;
    if (core->multi != NULL) {
        curl_multi_cleanup(core->multi);
        core->multi = NULL;
    }
    uv_close((uv_handle_t *)&core->timer, NULL);
    uv_close((uv_handle_t *)&core->idle, NULL);
}
