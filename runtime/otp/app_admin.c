/* app_admin.c: the callers of the controller of applications. */
#include <string.h>

#include "runtime/otp/application.h"

tr_err tr_application_controller_stop(int64_t timeout_ms)
{
    return tr_gen_server_stop(tr_to_name(TR__APP_CONTROLLER), TR_ATOM(NORMAL), timeout_ms, NULL);
}

static tr_err ask(tr_msg *request, tr_term *reason)
{
    tr_msg *reply;
    tr_term why = TR_TERM_NONE_VALUE;
    tr_err err = tr_gen_server_call(tr_to_name(TR__APP_CONTROLLER), request, TR_INFINITY, &reply, &why);
    if (err == TR_OK) {
        const tr__app_answer *told = TR_MATCH(reply, tr__app_answer);
        err = told->err;
        why = tr__to_scratch(told->reason);
        tr_msg_drop(reply);
    }
    if (err != TR_OK && reason != NULL) {
        *reason = why;
    }
    return err;
}

tr_err tr_application_load(const tr_application *app)
{
    if (app->name == NULL || (app->start != NULL && app->supervisor != NULL)) {
        return TR_E_BADARG;
    }
    return ask(TR_MSG(tr__app_load, .app = app), NULL);
}

tr_err tr_application_unload(tr_term name)
{
    return ask(TR_MSG(tr__app_request, .op = TR__APP_UNLOAD, .name = name), NULL);
}

tr_err tr_application_start(tr_term name, tr_app_type type, tr_term *reason)
{
    return ask(TR_MSG(tr__app_request, .op = TR__APP_START, .name = name, .type = type), reason);
}

tr_err tr_application_ensure_started(tr_term name, tr_app_type type, tr_term *reason)
{
    tr_err err = tr_application_start(name, type, reason);
    return err == TR_E_ALREADY_STARTED ? TR_OK : err;
}

tr_err tr_application_stop(tr_term name, tr_term *reason)
{
    return ask(TR_MSG(tr__app_request, .op = TR__APP_STOP, .name = name), reason);
}

/* ---- pictures ---- */

static tr_err infos(bool running_only, const tr_app_info **list, size_t *count)
{
    tr_msg *reply;
    tr_err err = tr_gen_server_call(tr_to_name(TR__APP_CONTROLLER),
                                    TR_MSG(tr__app_request, .op = TR__APP_LIST), TR_INFINITY, &reply, NULL);
    if (err != TR_OK) {
        return err;
    }
    const tr__app_list *told = TR_MATCH(reply, tr__app_list);
    size_t shown = running_only ? told->running : told->count;
    tr_app_info *copy = tr_scratch_alloc((shown + 1) * sizeof(*copy));
    memcpy(copy, told->list->bytes, shown * sizeof(*copy));
    tr_msg_drop(reply);
    *list = copy;
    *count = shown;
    return TR_OK;
}

tr_err tr_application_which(const tr_app_info **list, size_t *count)
{
    return infos(true, list, count);
}

tr_err tr_application_loaded(const tr_app_info **list, size_t *count)
{
    return infos(false, list, count);
}

tr_err tr_application_get(tr_term name, tr_app_info *info)
{
    const tr_app_info *list;
    size_t count;
    tr_err err = infos(false, &list, &count);
    for (size_t i = 0; err == TR_OK && i < count; i++) {
        if (tr_same(list[i].name, name)) {
            *info = list[i];
            return TR_OK;
        }
    }
    return err == TR_OK ? TR_E_NOT_FOUND : err;
}

/* ---- ensure_all_started: in the caller, which visits what is needed depth first ---- */

typedef struct visit {
    tr_app_type type;
    const tr_app_info *known; /* all that are loaded */
    size_t count;
    bool *visited;    /* by position in known */
    tr_term *started; /* room for all */
    size_t started_count;
    tr_term name, reason; /* whose start failed, and why */
} visit;

/* Its position, or count. */
static size_t known_at(const visit *v, tr_term name)
{
    size_t at = 0;
    while (at < v->count && !tr_same(v->known[at].name, name)) {
        at++;
    }
    return at;
}

static const tr_application *known_app(const visit *v, tr_term name)
{
    size_t at = known_at(v, name);
    return at == v->count ? NULL : v->known[at].app;
}

static tr_err start_visited(visit *v, tr_term name)
{
    v->name = name;
    v->visited[known_at(v, name)] = true;
    tr_err err = tr_application_start(name, v->type, &v->reason);
    if (err == TR_OK) {
        v->started[v->started_count++] = name;
    }
    return err == TR_E_ALREADY_STARTED ? TR_OK : err;
}

/* Where a path stands in an application's needs. */
typedef struct step {
    tr_term name;
    const tr_application *app;
    const char *const *next; /* need to look at next */
} step;

static bool is_on_path(const step *path, size_t depth, tr_term name)
{
    while (depth > 0 && !tr_same(path[depth - 1].name, name)) {
        depth--;
    }
    return depth > 0;
}

/* A need that is not loaded fails the start of who needs it, unless optional. Needs that go in a circle end in
 * not_started of the first that is tried. */
static tr_err visit_all(visit *v, tr_term name)
{
    step *path = tr_scratch_alloc((v->count + 2) * sizeof(*path));
    size_t depth = 0;
    path[depth++] = (step){.name = name, .app = known_app(v, name)};
    if (path[0].app != NULL) {
        path[0].next = path[0].app->applications;
    }
    while (depth > 0) {
        step *top = &path[depth - 1];
        if (top->next == NULL || *top->next == NULL) {
            tr_err err = start_visited(v, top->name);
            if (err != TR_OK) {
                return err;
            }
            depth--;
            continue;
        }
        const char *need = *top->next++;
        tr_term need_name = tr_atom(need);
        const tr_application *app = known_app(v, need_name);
        bool skipped =
            app == NULL ? tr__app_is_named(top->app->optional, need) : v->visited[known_at(v, need_name)];
        if (!skipped && !is_on_path(path, depth, need_name)) {
            path[depth++] = (step){need_name, app, app == NULL ? NULL : app->applications};
        }
    }
    return TR_OK;
}

tr_err tr_application_ensure_all_started(tr_term name, tr_app_type type, const tr_term **list, size_t *count,
                                         tr_term *reason)
{
    visit v = {.type = type};
    tr_err err = tr_application_loaded(&v.known, &v.count);
    if (err != TR_OK) {
        return err;
    }
    v.started = tr_scratch_alloc((v.count + 1) * sizeof(*v.started));
    v.visited = tr_scratch_alloc(v.count + 1); /* one more: for a name that is not known */
    memset(v.visited, 0, v.count + 1);
    err = visit_all(&v, name);
    if (err != TR_OK) {
        while (v.started_count > 0) {
            (void)!tr_application_stop(v.started[--v.started_count], NULL);
        }
        if (reason != NULL) {
            *reason = tr_tuple(v.name, v.reason);
        }
        return err;
    }
    if (list != NULL) {
        *list = v.started;
        *count = v.started_count;
    }
    return TR_OK;
}
