/* application.c: the controller of applications: who is loaded, who runs, in which order. Its callers are in
 * app_admin.c. */
#include <string.h>

#include "runtime/otp/application.h"

typedef enum app_state { LOADED, STARTING, RUNNING, STOPPING } app_state;

typedef struct waiter {
    struct waiter *next;
    tr_from from;
} waiter;

typedef struct record {
    struct record *next; /* loaded: newest first */
    const tr_application *app;
    tr_term name;
    app_state state;
    tr_app_type type;
    tr_pid master, top;
    uint64_t started; /* counts starts: the order in which they are stopped */
    waiter *waiters;
} record;

typedef struct controller {
    int64_t shutdown_ms;
    record *first;
    uint64_t starts;
    tr_resource env; /* empties the environment at the end */
} controller;

/* ---- records ---- */

static record *find(controller *self, tr_term name)
{
    record *r = self->first;
    while (r != NULL && !tr_same(r->name, name)) {
        r = r->next;
    }
    return r;
}

static record *find_master(controller *self, tr_pid master)
{
    record *r = self->first;
    while (r != NULL && r->master != master) {
        r = r->next;
    }
    return r;
}

static void wait_for(record *r, tr_from from)
{
    waiter *w = tr_alloc(sizeof(*w));
    *w = (waiter){.next = r->waiters, .from = from};
    r->waiters = w;
}

static void answer(tr_from from, tr_err err, tr_term reason)
{
    TR_ANSWER(from, tr__app_answer, .err = err, .reason = reason);
}

static void answer_waiters(record *r, tr_err err, tr_term reason)
{
    while (r->waiters != NULL) {
        waiter *w = r->waiters;
        r->waiters = w->next;
        answer(w->from, err, reason);
        tr_free(w);
    }
}

static tr_term about(const char *what, tr_term name)
{
    return tr_tuple(tr_atom(what), name);
}

/* ---- load, unload ---- */

static void load(controller *self, tr_from from, const tr_application *app)
{
    tr_term name = tr_atom(app->name);
    if (find(self, name) != NULL) {
        answer(from, TR_E_ALREADY_PRESENT, about("already_loaded", name));
        return;
    }
    record *r = tr_alloc(sizeof(*r));
    *r = (record){.next = self->first, .app = app, .name = name};
    self->first = r;
    tr__app_env_load(name, app->env == NULL ? tr_map_n(0, NULL) : app->env());
    answer(from, TR_OK, TR_TERM_NONE_VALUE);
}

static void unload(controller *self, tr_from from, record *r)
{
    if (r->state != LOADED) {
        answer(from, TR_E_RUNNING, about("running", r->name));
        return;
    }
    record **at = &self->first;
    while (*at != r) {
        at = &(*at)->next;
    }
    *at = r->next;
    tr__app_env_unload(r->name);
    tr_free(r);
    answer(from, TR_OK, TR_TERM_NONE_VALUE);
}

/* ---- start ---- */

bool tr__app_is_named(const char *const *names, const char *name)
{
    while (names != NULL && *names != NULL && strcmp(*names, name) != 0) {
        names++;
    }
    return names != NULL && *names != NULL;
}

/* What it needs and does not run, or none. An optional one that is not even loaded is not missed. */
static tr_term missing(controller *self, const tr_application *app)
{
    for (const char *const *need = app->applications; need != NULL && *need != NULL; need++) {
        record *r = find(self, tr_atom(*need));
        bool may_miss = r == NULL && tr__app_is_named(app->optional, *need);
        if (!may_miss && (r == NULL || r->state != RUNNING)) {
            return tr_atom(*need);
        }
    }
    return TR_TERM_NONE_VALUE;
}

static void start(controller *self, tr_from from, record *r, tr_app_type type)
{
    if (r->state == STARTING) {
        wait_for(r, from);
        return;
    }
    if (r->state != LOADED) {
        answer(from, TR_E_ALREADY_STARTED, about("already_started", r->name));
        return;
    }
    tr_term needed = missing(self, r->app);
    if (!tr_is_none(needed)) {
        answer(from, TR_E_STATE, about("not_started", needed));
        return;
    }
    tr_err err = tr__app_master_start(r->app, &r->master);
    if (err != TR_OK) {
        answer(from, TR_E_EXIT, tr_atom("system_limit"));
        return;
    }
    r->state = STARTING;
    r->type = type;
    wait_for(r, from);
}

/* Its master is gone, or will be at once. */
static void over(record *r)
{
    r->state = LOADED;
    r->master = TR_NO_PID;
    r->top = TR_NO_PID;
}

static tr_next start_failed(record *r, tr_term reason)
{
    answer_waiters(r, TR_E_EXIT, reason);
    over(r);
    if (r->type != TR_APP_PERMANENT) {
        return TR_NOREPLY;
    }
    return TR_STOP(tr_tuple(tr_atom("application_start_failure"), r->name, reason));
}

static tr_next told(controller *self, const tr__app_told *how)
{
    record *r = find_master(self, how->master);
    if (r == NULL || r->state != STARTING) {
        return TR_NOREPLY;
    }
    if (how->err != TR_OK) {
        tr_unlink(tr_to(how->master)); /* it ends by itself now */
        return start_failed(r, how->reason);
    }
    r->state = RUNNING;
    r->top = how->top;
    r->started = ++self->starts;
    answer_waiters(r, TR_OK, TR_TERM_NONE_VALUE);
    return TR_NOREPLY;
}

/* ---- stop, and ends ---- */

static void stop(tr_from from, record *r)
{
    if (r->state == RUNNING) {
        r->state = STOPPING;
        TR_SEND(r->master, tr__app_stop);
    }
    if (r->state == STOPPING) {
        wait_for(r, from);
    } else {
        answer(from, TR_E_STATE, about("not_started", r->name));
    }
}

static tr_next exited(controller *self, const tr_exit_msg *msg)
{
    record *r = find_master(self, msg->from);
    if (r == NULL) {
        return TR_NOREPLY;
    }
    app_state state = r->state;
    if (state == STARTING) {
        return start_failed(r, msg->reason);
    }
    over(r);
    if (state == STOPPING) {
        answer_waiters(r, TR_OK, TR_TERM_NONE_VALUE);
        return TR_NOREPLY;
    }
    tr__report(TR_REPORT_CHILD_TERMINATED, msg->reason, NULL, TR_TERM_NONE_VALUE, msg->from, r->name, 0);
    bool harmless =
        r->type == TR_APP_TEMPORARY || (r->type == TR_APP_TRANSIENT && tr_same(msg->reason, TR_ATOM(NORMAL)));
    if (harmless) {
        return TR_NOREPLY;
    }
    return TR_STOP(tr_tuple(tr_atom("application_terminated"), r->name, msg->reason));
}

/* ---- the end of the controller ---- */

/* The last started of those that run and were started before that start; UINT64_MAX: of all. */
static record *newest(controller *self, uint64_t before)
{
    record *best = NULL;
    for (record *r = self->first; r != NULL; r = r->next) {
        bool runs = r->state == RUNNING || r->state == STOPPING;
        if (runs && r->started < before && (best == NULL || r->started > best->started)) {
            best = r;
        }
    }
    return best;
}

static bool is_exit_of(const tr_msg *msg, void *ctx)
{
    return tr_msg_kind_of(msg) == TR_MSG_EXIT &&
           ((const tr_exit_msg *)tr_msg_data(msg))->from == *(const tr_pid *)ctx;
}

static void end_one(controller *self, record *r)
{
    tr_pid master = r->master;
    if (r->state == RUNNING) {
        TR_SEND(master, tr__app_stop);
    }
    int64_t limit = self->shutdown_ms == 0 ? TR_INFINITY : self->shutdown_ms;
    tr_msg *msg = tr_receive(is_exit_of, &master, limit);
    if (msg == NULL) {
        tr_exit_signal(tr_to(master), TR_ATOM(KILL));
        msg = tr_receive(is_exit_of, &master, TR_INFINITY);
    }
    tr_msg_drop(msg);
    over(r);
}

/* One that is still starting may hang in its start: it is not asked but killed. */
static void controller_terminate(controller *self, tr_term reason)
{
    (void)reason;
    for (record *r = self->first; r != NULL; r = r->next) {
        if (r->state == STARTING) {
            tr_exit_signal(tr_to(r->master), TR_ATOM(KILL));
        }
    }
    for (record *r = newest(self, UINT64_MAX); r != NULL; r = newest(self, UINT64_MAX)) {
        end_one(self, r);
    }
}

static void env_end(tr_resource *resource)
{
    (void)resource;
    tr__app_env_clear();
}

/* ---- the server ---- */

static void list(controller *self, tr_from from)
{
    size_t count = 0;
    for (const record *r = self->first; r != NULL; r = r->next) {
        count++;
    }
    tr_blob *blob = tr_blob_new(NULL, count * sizeof(tr_app_info));
    tr_app_info *infos = (tr_app_info *)(void *)blob->bytes;
    size_t running = 0;
    for (record *r = newest(self, UINT64_MAX); r != NULL; r = newest(self, r->started)) {
        infos[running++] =
            (tr_app_info){.name = r->name, .app = r->app, .running = true, .type = r->type, .top = r->top};
    }
    size_t at = running;
    for (const record *r = self->first; r != NULL; r = r->next) {
        if (r->state != RUNNING && r->state != STOPPING) {
            infos[at++] = (tr_app_info){.name = r->name, .app = r->app};
        }
    }
    TR_ANSWER(from, tr__app_list, .count = count, .running = running, .list = blob);
    tr_blob_drop(blob);
}

static void serve(controller *self, tr_from from, const tr__app_request *request)
{
    record *r = find(self, request->name);
    if (request->op == TR__APP_LIST) {
        list(self, from);
    } else if (request->op == TR__APP_STOP && r == NULL) {
        answer(from, TR_E_STATE, about("not_started", request->name));
    } else if (r == NULL) {
        answer(from, TR_E_NOT_FOUND, about("not_loaded", request->name));
    } else if (request->op == TR__APP_UNLOAD) {
        unload(self, from, r);
    } else if (request->op == TR__APP_START) {
        start(self, from, r, request->type);
    } else {
        stop(from, r);
    }
}

static tr_next controller_init(controller *self, const void *arg)
{
    const tr_app_controller_opts *opts = arg;
    self->shutdown_ms = opts->shutdown_ms;
    self->env.destroy = env_end;
    tr_resource_add(&self->env);
    return TR_INIT_OK;
}

static tr_next controller_handle_call(controller *self, tr_from from, const tr_msg *msg)
{
    const tr__app_load *loads = TR_MATCH(msg, tr__app_load);
    const tr__app_request *request = TR_MATCH(msg, tr__app_request);
    if (loads != NULL) {
        load(self, from, loads->app);
    } else if (request != NULL) {
        serve(self, from, request);
    } else {
        return tr_unexpected(msg);
    }
    return TR_NOREPLY;
}

static tr_next controller_handle_cast(controller *self, const tr_msg *msg)
{
    const tr__app_told *how = TR_MATCH(msg, tr__app_told);
    return how == NULL ? TR_NOREPLY : told(self, how);
}

static tr_next controller_handle_info(controller *self, const tr_msg *msg)
{
    const tr_exit_msg *exit_msg = TR_MATCH(msg, tr_exit_msg);
    return exit_msg == NULL ? TR_NOREPLY : exited(self, exit_msg);
}

TR_GEN_SERVER(controller, .init = controller_init, .handle_call = controller_handle_call,
              .handle_cast = controller_handle_cast, .handle_info = controller_handle_info,
              .terminate = controller_terminate, .trap_exit = true);

/* ---- starting ---- */

tr_err tr_application_controller_start_link(const tr_app_controller_opts *opts, tr_started *started)
{
    static const tr_app_controller_opts defaults;
    const tr_start_opts named = {.name = TR__APP_CONTROLLER};
    return tr_gen_server_start_link(controller_server, opts != NULL ? opts : &defaults, sizeof defaults,
                                    &named, started);
}
