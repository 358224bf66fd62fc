/* Requests that wait for an answer: found by number when it comes, expired when it does not. */
#define _GNU_SOURCE
#include "server/http/core.h"

#include <poll.h>
#include <stdlib.h>

#define SLOTS_FIRST    256u
#define PARKED_LOOK_MS 1000

/* ---- requests by number: slot 24 bits, generation 32, tag 8 ---- */

uint64_t request_number(const struct http_request *request, unsigned tag)
{
    return (uint64_t)request->slot << 40 | (uint64_t)request->generation << 8 | tag;
}

struct http_request *request_by_number(struct http_core *core, uint64_t number, unsigned *tag)
{
    uint32_t slot = (uint32_t)(number >> 40);
    uint32_t generation = (uint32_t)(number >> 8);
    *tag = (unsigned)(number & 0xff);
    if (slot == 0 || slot >= core->slot_count || core->slots[slot].generation != generation) {
        return NULL;
    }
    return core->slots[slot].request;
}

static bool slots_grow(struct http_core *core)
{
    uint32_t count = core->slot_count == 0 ? SLOTS_FIRST : core->slot_count * 2;
    struct request_slot *slots = realloc(core->slots, count * sizeof(*slots));
    if (slots == NULL) {
        return false;
    }
    uint32_t first = core->slot_count == 0 ? 1 : core->slot_count; /* slot 0 means none */
    slots[0] = (struct request_slot){0};
    for (uint32_t i = first; i < count; i++) {
        slots[i] = (struct request_slot){.next_free = i + 1 < count ? i + 1 : 0};
    }
    core->slots = slots;
    core->slot_free = first;
    core->slot_count = count;
    return true;
}

void request_take_slot(struct http_request *request)
{
    struct http_core *core = request->core;
    if (request->slot != 0) {
        return;
    }
    if (core->slot_free == 0 && !slots_grow(core)) {
        tr__assert_failed("no memory for requests", __FILE__, __LINE__);
    }
    uint32_t slot = core->slot_free;
    core->slot_free = core->slots[slot].next_free;
    core->slots[slot].request = request;
    request->slot = slot;
    request->generation = ++core->slots[slot].generation;
}

void request_give_slot(struct http_request *request)
{
    struct http_core *core = request->core;
    if (request->slot == 0) {
        return;
    }
    core->slots[request->slot].request = NULL;
    core->slots[request->slot].generation++; /* late words find another generation at once */
    core->slots[request->slot].next_free = core->slot_free;
    core->slot_free = request->slot;
    request->slot = 0;
}

/* ---- unanswered requests, and their deadlines ---- */

void pending_add(struct http_request *request)
{
    struct http_core *core = request->core;
    request->pending = true;
    request->pending_prev = NULL;
    request->pending_next = core->pending;
    if (core->pending != NULL) {
        core->pending->pending_prev = request;
    }
    core->pending = request;
}

void pending_remove(struct http_request *request)
{
    if (!request->pending) {
        return;
    }
    request->pending = false;
    if (request->pending_prev != NULL) {
        request->pending_prev->pending_next = request->pending_next;
    } else {
        request->core->pending = request->pending_next;
    }
    if (request->pending_next != NULL) {
        request->pending_next->pending_prev = request->pending_prev;
    }
}

/* libmicrohttpd does not look at suspended connections. */
bool client_left(const struct http_request *request)
{
    struct pollfd one = {.fd = request->peer == NULL ? -1 : request->peer->fd, .events = POLLRDHUP};
    return poll(&one, 1, 0) > 0;
}

static void look_for_client(struct http_request *request)
{
    tr_pid job = __atomic_load_n(&request->job_pid, __ATOMIC_RELAXED);
    if (job == TR_NO_PID || !client_left(request)) {
        return;
    }
    request->watch_client = false;
    request->client_gone = true;
    tr_exit_signal(tr_to(job), TR_ATOM(SHUTDOWN));
}

/* Parked requests may be many, and wait long. */
static bool is_parked_in_vain(struct http_request *request, int64_t now_ms)
{
    if (!request->parked || now_ms < request->look_ms) {
        return false;
    }
    request->look_ms = now_ms + PARKED_LOOK_MS;
    request->client_gone = client_left(request);
    return request->client_gone;
}

static bool is_over(struct http_request *request, int64_t now_ms, bool draining)
{
    return request->deadline_ms <= now_ms || (request->parked && draining) ||
           is_parked_in_vain(request, now_ms);
}

void pending_tick(struct http_core *core, int64_t now_ms)
{
    struct http_request *next = NULL;
    bool draining = __atomic_load_n(&core->listener->draining, __ATOMIC_RELAXED) != 0;
    for (struct http_request *request = core->pending; request != NULL; request = next) {
        next = request->pending_next;
        if (is_over(request, now_ms, draining)) {
            exchange_expire(request);
        } else if (request->watch_client && request->handed) {
            look_for_client(request);
        }
    }
}

/* A request that waits for its own process, or has asked nobody, does not depend on the port. */
void pending_port_died(struct http_core *core)
{
    struct http_request *next = NULL;
    for (struct http_request *request = core->pending; request != NULL; request = next) {
        next = request->pending_next;
        if (!request->handed && request->slot != 0) {
            answer_reset(&request->answer);
            http_answer_problem(request, PROBLEM_UNAVAILABLE, "the listener was restarted");
        }
    }
}

void pending_stop(struct http_core *core)
{
    while (core->pending != NULL) {
        struct http_request *request = core->pending;
        request->handed = false; /* its process is gone */
        answer_reset(&request->answer);
        http_answer_problem(request, PROBLEM_UNAVAILABLE, "the service stops");
    }
}
