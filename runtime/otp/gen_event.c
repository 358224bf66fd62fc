/* gen_event.c: the manager: its list of handlers, and what becomes of each. */
#include <string.h>
#include <troupe/sys.h>

#include "runtime/otp/gen_event.h"

typedef struct handler {
    struct handler *next; /* older */
    const tr_event_handler *module;
    tr_term id;        /* kept */
    tr_pid supervisor; /* or TR_NO_PID */
    void *state;
} handler;

typedef struct manager {
    handler *newest;
} manager;

/* ---- running one callback ---- */

typedef enum callback_kind { ON_INIT, ON_EVENT, ON_CALL, ON_INFO, ON_TERMINATE } callback_kind;

typedef struct turn {
    handler *h;
    callback_kind kind;
    const tr_msg *msg;
    tr_from from;
    tr_term args; /* ON_INIT, ON_TERMINATE; then the result of terminate */
    tr_err err;   /* ON_INIT */
    tr_event_next next;
} turn;

static void run_callback(void *ctx)
{
    turn *t = ctx;
    const tr_event_handler *module = t->h->module;
    switch (t->kind) {
    case ON_INIT:
        t->err = module->init(t->h->state, t->args, &t->args);
        break;
    case ON_EVENT:
        t->next = module->handle_event(t->h->state, t->msg);
        break;
    case ON_CALL:
        t->next = module->handle_call(t->h->state, t->from, t->msg);
        break;
    case ON_INFO:
        t->next = module->handle_info(t->h->state, t->msg);
        break;
    case ON_TERMINATE:
        t->args = module->terminate(t->h->state, t->args);
        break;
    }
}

static bool has_callback(const tr_event_handler *module, callback_kind kind)
{
    switch (kind) {
    case ON_INIT:
        return module->init != NULL;
    case ON_EVENT:
        return module->handle_event != NULL;
    case ON_CALL:
        return module->handle_call != NULL;
    case ON_INFO:
        return module->handle_info != NULL;
    case ON_TERMINATE:
        return module->terminate != NULL;
    }
    return false;
}

static tr_term crashed(tr_term reason)
{
    return tr_tuple(TR_ATOM(EXIT), reason);
}

/* ---- the list ---- */

static handler *handler_create(tr_event_id who, tr_pid supervisor)
{
    handler *h = tr_alloc(sizeof(*h));
    *h = (handler){.module = who.handler,
                   .id = tr_keep(who.id),
                   .supervisor = supervisor,
                   .state = tr_alloc(who.handler->state_bytes)};
    return h;
}

static void handler_destroy(handler *h)
{
    tr_free_term(h->id);
    tr_free(h->state);
    tr_free(h);
}

/* The link that leads to it, or to NULL. */
static handler **find(manager *self, tr_event_id who)
{
    handler **at = &self->newest;
    while (*at != NULL && !((*at)->module == who.handler && tr_term_equal((*at)->id, who.id))) {
        at = &(*at)->next;
    }
    return at;
}

/* Another handler of it may be left. */
static void unlink_supervisor(const manager *self, tr_pid supervisor)
{
    const handler *h = self->newest;
    while (h != NULL && h->supervisor != supervisor) {
        h = h->next;
    }
    if (supervisor != TR_NO_PID && h == NULL) {
        tr_unlink(tr_to(supervisor));
    }
}

/* ---- the end of a handler ---- */

static void tell_supervisor(const handler *h, tr_term reason)
{
    if (h->supervisor != TR_NO_PID) {
        TR_SEND(h->supervisor, tr_event_exit_msg, .manager = tr_self(), .handler = h->module, .id = h->id,
                .reason = reason);
    }
}

static void report(const handler *h, tr_term reason, const tr_msg *last)
{
    tr__report(TR_REPORT_SERVER_TERMINATED, reason, last == NULL ? NULL : last->type->name,
               tr_atom(h->module->name), TR_NO_PID, TR_TERM_NONE_VALUE, 0);
}

/* Runs terminate and forgets the handler at *at. reason: what its supervisor is told. Returns: what terminate
 * returned; a crash in it is a result, too, and reported. */
static tr_term end(manager *self, handler **at, tr_term args, tr_term reason, const tr_msg *last)
{
    handler *h = *at;
    turn t = {.h = h, .kind = ON_TERMINATE, .args = args};
    tr_term crash;
    *at = h->next;
    tr_term result = TR_ATOM(OK);
    if (has_callback(h->module, ON_TERMINATE)) {
        bool fell = tr__catch(run_callback, &t, &crash);
        result = fell ? crashed(crash) : t.args;
        if (fell) {
            report(h, result, last);
        }
    }
    tell_supervisor(h, reason);
    unlink_supervisor(self, h->supervisor);
    handler_destroy(h);
    return result;
}

static void end_badly(manager *self, handler **at, tr_term why, const tr_msg *last)
{
    report(*at, why, last);
    (void)end(self, at, tr_tuple(TR_ATOM(ERROR), why), why, last);
}

/* ---- the beginning of one ---- */

/* *at: what it comes before. */
static tr_err begin(handler **at, tr_event_id who, tr_term args, tr_pid supervisor, tr_term *reason)
{
    handler *h = handler_create(who, supervisor);
    turn t = {.h = h, .kind = ON_INIT, .args = args};
    tr_term crash;
    if (has_callback(h->module, ON_INIT)) {
        if (tr__catch(run_callback, &t, &crash)) {
            t.err = TR_E_EXIT;
            t.args = crashed(crash);
        }
        if (t.err != TR_OK) {
            *reason = t.args;
            handler_destroy(h);
            return TR_E_EXIT;
        }
    }
    h->next = *at;
    *at = h;
    if (supervisor != TR_NO_PID) {
        tr_err err = tr_link(tr_to(supervisor));
        TR_ASSERT(err == TR_OK); /* the manager traps exits: of a dead one it gets the EXIT */
    }
    return TR_OK;
}

/* Whoever is in the place of *at gives way; NULL: nobody was there. */
static tr_err swap(manager *self, handler **at, tr_term args, tr_event_id to, tr_term to_args,
                   tr_pid supervisor, tr_term *reason)
{
    tr_term result = TR_ATOM(ERROR);
    if (at == NULL) {
        at = &self->newest;
    } else {
        tr_term by = supervisor == TR_NO_PID ? TR_ATOM(FALSE) : tr_pid_term(supervisor);
        tr_term told = tr_tuple(tr_atom("swapped"), tr_atom(to.handler->name), by);
        result = end(self, at, args, told, NULL);
    }
    return begin(at, to, tr_tuple(to_args, result), supervisor, reason);
}

/* ---- events ---- */

/* Returns: the link to go on from: the handler's own, or its follower's when it stays. */
static handler **act(manager *self, handler **at, const tr_event_next *next, const tr_msg *msg)
{
    tr_term unused;
    switch (next->kind) {
    case TR_EVENT_NEXT_OK:
        return &(*at)->next;
    case TR_EVENT_NEXT_REMOVE:
        (void)end(self, at, tr_atom("remove_handler"), TR_ATOM(NORMAL), msg);
        return at;
    case TR_EVENT_NEXT_SWAP:
        if (swap(self, at, next->args, next->to, next->to_args, (*at)->supervisor, &unused) == TR_OK) {
            return &(*at)->next;
        }
        return at;
    case TR_EVENT_NEXT_BAD:
        end_badly(self, at, next->args, msg);
        return at;
    }
    end_badly(self, at, tr_int((int64_t)next->kind), msg);
    return at;
}

/* Runs one handler's callback and does what it wants. Returns: the link to go on from; *crash is set when it fell. */
static handler **run(manager *self, handler **at, turn t, tr_term *crash)
{
    tr_term why;
    t.h = *at;
    if (!has_callback(t.h->module, t.kind)) {
        if (t.kind == ON_INFO) {
            return &t.h->next;
        }
        why = crashed(TR_ATOM(UNDEF));
    } else if (!tr__catch(run_callback, &t, &why)) {
        return act(self, at, &t.next, t.msg);
    } else {
        why = crashed(why);
    }
    end_badly(self, at, why, t.msg);
    *crash = why;
    return at;
}

static void run_all(manager *self, callback_kind kind, const tr_msg *msg)
{
    tr_term crash;
    for (handler **at = &self->newest; *at != NULL;) {
        at = run(self, at, (turn){.kind = kind, .msg = msg}, &crash);
    }
}

/* ---- requests ---- */

static void answer(tr_from from, tr_err err, tr_term term)
{
    TR_ANSWER(from, tr__event_answer, .err = err, .term = term);
}

static void call_one(manager *self, tr_from from, const tr__event_request *request)
{
    handler **at = find(self, request->who);
    if (*at == NULL) {
        answer(from, TR_E_NOT_FOUND, tr_atom("bad_module"));
        return;
    }
    const void *payload = request->payload == NULL ? (const void *)request : request->payload->bytes;
    tr_msg *msg = tr_msg_new(request->type, payload);
    tr_term crash = TR_TERM_NONE_VALUE;
    (void)run(self, at, (turn){.kind = ON_CALL, .msg = msg, .from = from}, &crash);
    if (!tr_is_none(crash)) {
        answer(from, TR_E_EXIT, crash);
    }
    tr_msg_drop(msg);
}

static void list(const manager *self, tr_from from)
{
    size_t count = 0;
    for (const handler *h = self->newest; h != NULL; h = h->next) {
        count++;
    }
    uintptr_t *modules = tr_scratch_alloc((count + 1) * sizeof(*modules));
    tr_term *ids = tr_scratch_alloc((count + 1) * sizeof(*ids));
    size_t i = 0;
    for (const handler *h = self->newest; h != NULL; h = h->next, i++) {
        modules[i] = (uintptr_t)h->module;
        ids[i] = tr_is_none(h->id) ? TR_ATOM(UNDEFINED) : h->id;
    }
    TR_ANSWER(from, tr__event_list, .modules = tr_string_n(modules, count * sizeof(*modules)),
              .ids = tr_list_n(count, ids));
}

static void admin(manager *self, tr_from from, const tr__event_admin *request)
{
    tr_term reason = TR_TERM_NONE_VALUE;
    handler **at = find(self, request->who);
    switch (request->op) {
    case TR__EVENT_ADD: {
        tr_err err = begin(&self->newest, request->who, request->args, request->supervisor, &reason);
        answer(from, err, reason);
        break;
    }
    case TR__EVENT_DELETE:
        if (*at == NULL) {
            answer(from, TR_E_NOT_FOUND, tr_atom("module_not_found"));
        } else {
            answer(from, TR_OK, end(self, at, request->args, TR_ATOM(NORMAL), NULL));
        }
        break;
    case TR__EVENT_SWAP: {
        tr_pid supervisor = request->supervisor;
        if (supervisor == TR_NO_PID && *at != NULL) {
            supervisor = (*at)->supervisor; /* it goes with the place */
        }
        tr_err err = swap(self, *at == NULL ? NULL : at, request->args, request->to, request->to_args,
                          supervisor, &reason);
        answer(from, err, reason);
        break;
    }
    case TR__EVENT_WHICH:
        list(self, from);
        break;
    }
}

/* ---- the server ---- */

static tr_next manager_handle_call(void *state, tr_from from, const tr_msg *msg)
{
    manager *self = state;
    const tr__event_admin *administers = TR_MATCH(msg, tr__event_admin);
    const tr__event_request *asks = TR_MATCH(msg, tr__event_request);
    if (administers != NULL) {
        admin(self, from, administers);
    } else if (asks != NULL) {
        call_one(self, from, asks);
    } else { /* sync_notify */
        run_all(self, ON_EVENT, msg);
        answer(from, TR_OK, TR_TERM_NONE_VALUE);
    }
    return (tr_next){.kind = TR_NEXT_NOREPLY, .replied = true};
}

static tr_next manager_handle_cast(void *state, const tr_msg *msg)
{
    run_all(state, ON_EVENT, msg);
    return TR_NOREPLY;
}

/* The end of a supervisor takes its handlers away and is shown to none. Returns: did it have any. */
static bool supervisor_ended(manager *self, const tr_exit_msg *msg)
{
    bool any = false;
    for (handler **at = &self->newest; *at != NULL;) {
        if ((*at)->supervisor == msg->from) {
            (void)end(self, at, tr_tuple(tr_atom("stop"), msg->reason), msg->reason, NULL);
            any = true;
        } else {
            at = &(*at)->next;
        }
    }
    return any;
}

static tr_next manager_handle_info(void *state, const tr_msg *msg)
{
    const tr_exit_msg *exit_msg = TR_MATCH(msg, tr_exit_msg);
    if (exit_msg == NULL || !supervisor_ended(state, exit_msg)) {
        run_all(state, ON_INFO, msg);
    }
    return TR_NOREPLY;
}

static void manager_terminate(void *state, tr_term reason)
{
    manager *self = state;
    (void)reason;
    while (self->newest != NULL) {
        (void)end(self, &self->newest, tr_atom("stop"), TR_ATOM(SHUTDOWN), NULL);
    }
}

/* [{Module, Id, State}] */
static tr_term manager_format_state(const void *state)
{
    const manager *self = state;
    size_t count = 0;
    for (const handler *h = self->newest; h != NULL; h = h->next) {
        count++;
    }
    tr_term *items = tr_scratch_alloc((count + 1) * sizeof(*items));
    size_t i = 0;
    for (const handler *h = self->newest; h != NULL; h = h->next, i++) {
        const tr_event_handler *module = h->module;
        tr_term shown = module->format_state != NULL ? module->format_state(h->state)
                                                     : tr_int((int64_t)module->state_bytes);
        items[i] = tr_tuple(tr_atom(module->name), tr_is_none(h->id) ? TR_ATOM(UNDEFINED) : h->id, shown);
    }
    return tr_list_n(count, items);
}

/* ---- replacing states, for sys ---- */

typedef struct replacing {
    tr_event_replace_fn fn;
    void *ctx;
    const handler *h;
} replacing;

static void replace_one(void *ctx)
{
    const replacing *r = ctx;
    r->fn((tr_event_id){.handler = r->h->module, .id = r->h->id}, r->h->state, r->ctx);
}

/* Runs in the manager, between two events. */
static void replace_all(void *self, void *ctx)
{
    replacing *r = ctx;
    for (r->h = ((const manager *)self)->newest; r->h != NULL; r->h = r->h->next) {
        size_t bytes = r->h->module->state_bytes;
        void *before = tr_scratch_alloc(bytes + 1);
        tr_term crash;
        memcpy(before, r->h->state, bytes);
        if (tr__catch(replace_one, r, &crash)) {
            memcpy(r->h->state, before, bytes);
        }
    }
}

tr_err tr_gen_event_replace_state(tr_dest dest, tr_event_replace_fn fn, void *ctx, int64_t timeout_ms)
{
    replacing all = {.fn = fn, .ctx = ctx};
    return tr_sys_replace_state(dest, replace_all, &all, timeout_ms);
}

const tr_gen_server tr_gen_event = {.name = "gen_event",
                                    .state_bytes = sizeof(manager),
                                    .handle_call = manager_handle_call,
                                    .handle_cast = manager_handle_cast,
                                    .handle_info = manager_handle_info,
                                    .terminate = manager_terminate,
                                    .format_state = manager_format_state,
                                    .trap_exit = true};
