/* The idle time-out of a gen_server. */
#include <troupe/timer.h>

#include "runtime/core/process.h"
#include "runtime/otp/gen_server.h"

/* Comes as TR_MSG_SYSTEM, so that a callback that receives whatever comes does not see it. */
TR_MESSAGE_EMPTY(tr__idle_timer_msg);

/* If it has fired already, its message finds another reference and is dropped. */
static void timer_forget(tr__idle *idle)
{
    if (idle->timer.id != 0) {
        tr__forget_timer(idle->timer);
        idle->timer = TR_NO_REF;
    }
}

static void timer_start(tr__idle *idle, int64_t ms)
{
    idle->timer_due_ms = idle->deadline_ms;
    idle->timer = tr__timer_start(ms, tr_self(), TR_MSG_SYSTEM, TR_MSG(tr__idle_timer_msg));
}

static void idle_destroy(tr_resource *resource)
{
    timer_forget((tr__idle *)(void *)resource);
}

static tr__idle *idle_of(tr__gen_server *server)
{
    if (server->idle == NULL) {
        server->idle = tr_alloc(sizeof *server->idle);
        server->idle->resource.destroy = idle_destroy;
        tr_resource_add(&server->idle->resource);
    }
    return server->idle;
}

void tr__idle_restart(tr__gen_server *server)
{
    tr__idle *idle = server->idle;
    if (!server->sys.flag || server->sys.suspended || idle->period_ms == 0) {
        return; /* a time-out of 0 needs no timer: tr__idle_is_due_now */
    }
    idle->deadline_ms = tr__deadline(idle->period_ms);
    if (idle->timer_due_ms > idle->deadline_ms) {
        timer_forget(idle);
    }
    if (idle->timer.id == 0) {
        timer_start(idle, idle->period_ms);
    }
}

void tr__idle_set(tr__gen_server *server, const tr_next *next)
{
    server->sys.flag = next->has_timeout;
    if (next->has_timeout) {
        idle_of(server)->period_ms = next->timeout_ms > 0 ? next->timeout_ms : 0;
        tr__idle_restart(server);
    }
}

bool tr__idle_is_due_now(tr__gen_server *server)
{
    bool due = server->sys.flag && server->idle->period_ms == 0 && !server->sys.suspended;
    server->sys.flag = server->sys.flag && !due;
    return due;
}

/* The timer came. It may be an old one: what it was set for was cancelled, or put off. */
static bool timer_fired(tr__gen_server *server)
{
    tr__idle *idle = server->idle;
    idle->timer = TR_NO_REF;
    if (!server->sys.flag || server->sys.suspended || idle->period_ms == 0) {
        return false;
    }
    int64_t rest_ms = idle->deadline_ms - tr_now_ms();
    if (idle->deadline_ms > idle->timer_due_ms && rest_ms > 0) {
        timer_start(idle, rest_ms);
        return false;
    }
    server->sys.flag = false;
    return true;
}

bool tr__idle_timer(tr__gen_server *server, const tr_msg *msg, bool *due)
{
    if (msg->type != TR_TYPE(tr__idle_timer_msg)) {
        return false;
    }
    *due = tr_ref_equal(tr_msg_ref(msg), server->idle->timer) && timer_fired(server);
    return true;
}
