#include "runtime/otp/sys.h"

#include "runtime/core/behaviour.h"
#include "runtime/core/process.h"
#include "runtime/otp/sys_debug.h"
#include "runtime/sys/atomic.h"

/* One request and what is needed to serve it; also the context of what may crash. */
typedef struct request {
    tr__sys *sys;
    const tr__sys_ops *ops;
    void *data;
    tr__sys_ticket *ticket;
    tr__sys_reply reply;
} request;

static void answer(const tr_msg *msg, const tr__sys_reply *reply)
{
    (void)tr__reply(tr_msg_from(msg), tr_msg_new(TR_TYPE(tr__sys_reply), reply));
}

/* ---- suspension ---- */

static bool passes_suspension(void *data, const tr_msg *msg)
{
    const tr__sys *sys = data;
    tr_msg_kind kind = tr_msg_kind_of(msg);
    return kind == TR_MSG_SYSTEM ||
           (kind == TR_MSG_EXIT && sys->parent != TR_NO_PID && tr_msg_ref(msg).owner == sys->parent);
}

static void suspend(tr__sys *sys)
{
    sys->suspended = true;
    tr__set_filter(passes_suspension);
    tr__set_suspended(true);
}

void tr__sys_end(tr__sys *sys)
{
    if (sys->suspended) {
        sys->suspended = false;
        tr__set_filter(NULL);
        tr__set_suspended(false);
    }
}

/* ---- the state ---- */

static void state_run(void *ctx)
{
    request *r = ctx;
    r->reply.term = r->ops->state(r->data);
}

static void state_replace(void *ctx)
{
    request *r = ctx;
    r->ticket->fn(r->ops->memory(r->data), r->ticket->ctx);
}

static void guarded(request *r, void (*fn)(void *ctx))
{
    tr_term reason;
    if (tr__catch(fn, r, &reason)) {
        r->reply.err = TR_E_EXIT;
        r->reply.term = reason;
    }
}

static void handle_replace(request *r, const tr_msg *msg, const tr__sys_replace *replace)
{
    uint32_t open = TR__TICKET_OPEN;
    r->ticket = tr__sys_ticket_of(replace->ticket);
    if (r->ops->memory == NULL) {
        r->reply.err = TR_E_STATE;
    } else if (tr__cas_acq_rel(&r->ticket->state, &open, (uint32_t)TR__TICKET_RUNNING)) {
        guarded(r, state_replace);
        tr__store_release(&r->ticket->state, (uint32_t)TR__TICKET_DONE);
    } else {
        return; /* revoked: nobody waits for an answer */
    }
    answer(msg, &r->reply);
}

/* ---- requests ---- */

static void terminate(request *r, tr_term reason)
{
    tr__sys_end(r->sys);
    r->ops->terminate(r->data, reason);
}

/* A state that cannot be shown is left out. */
static void status_of(request *r)
{
    guarded(r, state_run);
    if (r->reply.err != TR_OK) {
        r->reply.err = TR_OK;
        r->reply.term = TR_TERM_NONE_VALUE;
    }
    r->reply.status = (tr_sys_status){.pid = tr_self(),
                                      .parent = r->sys->parent,
                                      .behaviour = tr__proc_self()->behaviour->name,
                                      .suspended = r->sys->suspended,
                                      .debug = tr__debug_term(r->sys)};
}

static void handle_request(request *r, const tr_msg *msg, const tr__sys_request *asked)
{
    switch (asked->op) {
    case TR__SYS_GET_STATE:
        guarded(r, state_run);
        break;
    case TR__SYS_SUSPEND:
        suspend(r->sys);
        break;
    case TR__SYS_RESUME:
        tr__sys_end(r->sys);
        break;
    case TR__SYS_GET_STATUS:
        r->reply.term = r->sys->suspended ? TR_ATOM(SUSPENDED) : TR_ATOM(RUNNING);
        break;
    case TR__SYS_STATUS_OF:
        status_of(r);
        break;
    case TR__SYS_TERMINATE:
        answer(msg, &r->reply);
        terminate(r, asked->term);
        return;
    case TR__SYS_STOP:
        terminate(r, asked->term);
        return;
    default:
        (void)tr__debug_request(r->sys, r->ops, r->data, asked, &r->reply);
        break;
    }
    answer(msg, &r->reply);
}

bool tr__sys_handle(tr__sys *sys, tr_msg *msg, const tr__sys_ops *ops, void *data)
{
    if (tr_msg_kind_of(msg) != TR_MSG_SYSTEM) {
        return false;
    }
    request r = {.sys = sys, .ops = ops, .data = data};
    const tr__sys_request *asked = TR_MATCH(msg, tr__sys_request);
    if (asked != NULL) {
        handle_request(&r, msg, asked);
        return true;
    }
    const tr__sys_replace *replace = TR_MATCH(msg, tr__sys_replace);
    if (replace != NULL) {
        handle_replace(&r, msg, replace);
    }
    const tr__sys_install *install = TR_MATCH(msg, tr__sys_install);
    if (install != NULL) {
        tr__debug_install(sys, ops, data, install, &r.reply);
        answer(msg, &r.reply);
    }
    return true;
}
