/* app_master.c: the process between the controller and an application's tree. It runs the callbacks, which may block,
 * and ends with the application. */
#include <stdlib.h>
#include <string.h>

#include "runtime/otp/application.h"

typedef struct master {
    const tr_application *app;
    tr_pid controller;
    tr_pid top; /* TR_NO_PID: a library */
    void *state;
    tr_err err;
    tr_term reason;
    const tr_app_phase *phase;
    void (*callback)(void *state); /* prep_stop or stop */
} master;

/* ---- the start ---- */

static void run_start(void *ctx)
{
    master *m = ctx;
    const tr_application *app = m->app;
    if (app->start != NULL) {
        m->err = app->start(app->arg, &m->top, &m->state, &m->reason);
    } else if (app->supervisor != NULL) {
        tr_started started;
        m->err = tr_supervisor_start_link(app->supervisor, app->arg, 0, NULL, &started);
        m->top = started.pid;
        m->reason = started.reason;
    }
}

static tr_term callback_name(const master *m, const char *function)
{
    return tr_tuple(tr_atom(m->app->name), tr_atom(function));
}

/* OTP's words: a start that returned an error, and one that crashed or returned anything else. */
static void start_application(master *m)
{
    tr_term crash;
    if (tr__catch(run_start, m, &crash)) {
        m->err = TR_E_EXIT;
        m->reason = tr_tuple(tr_atom("bad_return"),
                             tr_tuple(callback_name(m, "start"), tr_tuple(TR_ATOM(EXIT), crash)));
    } else if (m->err == TR_E_IGNORE || m->err == TR_E_BADARG) {
        tr_term returned = m->err == TR_E_IGNORE ? TR_ATOM(IGNORE) : m->reason;
        m->reason = tr_tuple(tr_atom("bad_return"), tr_tuple(callback_name(m, "start"), returned));
    } else if (m->err != TR_OK) {
        m->reason = tr_tuple(m->reason, callback_name(m, "start"));
    }
}

static void run_phase(void *ctx)
{
    master *m = ctx;
    m->err = m->app->start_phase(m->phase, m->state, &m->reason);
}

static void start_phases(master *m)
{
    tr_term crash;
    size_t count = m->app->start_phase == NULL ? 0 : m->app->phase_count;
    for (size_t i = 0; i < count && m->err == TR_OK; i++) {
        m->phase = &m->app->phases[i];
        if (tr__catch(run_phase, m, &crash)) {
            m->err = TR_E_EXIT;
            m->reason = crash;
        }
        if (m->err != TR_OK) {
            m->reason =
                tr_tuple(m->reason, tr_tuple(callback_name(m, "start_phase"), tr_atom(m->phase->name)));
        }
    }
}

static void tell(const master *m)
{
    (void)tr_gen_server_cast(tr_to(m->controller), TR_MSG(tr__app_told, .master = tr_self(), .top = m->top,
                                                          .err = m->err, .reason = m->reason));
}

/* ---- its family: what the tree left behind ---- */

typedef struct relative {
    tr_pid pid, parent;
    bool descends;
} relative;

typedef struct family {
    relative *list;
    size_t count, room;
} family;

static bool family_add(const tr_process_summary *summary, void *ctx)
{
    family *f = ctx;
    if (f->count == f->room) {
        f->room = f->room == 0 ? 256 : f->room * 2;
        f->list = tr_realloc(f->list, f->room * sizeof(*f->list));
    }
    f->list[f->count++] = (relative){.pid = summary->pid, .parent = summary->parent};
    return true;
}

static int by_pid(const void *a, const void *b)
{
    tr_pid left = ((const relative *)a)->pid;
    tr_pid right = ((const relative *)b)->pid;
    return left < right ? -1 : left > right;
}

static bool descends(const family *f, tr_pid pid, tr_pid ancestor)
{
    const relative wanted = {.pid = pid};
    const relative *found =
        pid == ancestor ? NULL : bsearch(&wanted, f->list, f->count, sizeof wanted, by_pid);
    return pid == ancestor || (found != NULL && found->descends);
}

/* Everyone whose parents lead to the calling process; each round goes one generation down. */
static family family_of_self(void)
{
    family f = {0};
    tr_scratch_mark mark = tr_scratch();
    tr_process_each(family_add, &f);
    tr_scratch_release(mark);
    qsort(f.list, f.count, sizeof(*f.list), by_pid);
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < f.count; i++) {
            if (!f.list[i].descends && descends(&f, f.list[i].parent, tr_self())) {
                f.list[i].descends = true;
                more = true;
            }
        }
    }
    return f;
}

static void family_kill(const family *f)
{
    for (size_t i = 0; i < f->count; i++) {
        if (f->list[i].descends) {
            tr_exit_signal(tr_to(f->list[i].pid), TR_ATOM(KILL));
        }
    }
}

/* ---- the end ---- */

static void run_callback(void *ctx)
{
    const master *m = ctx;
    m->callback(m->state);
}

/* A crash in prep_stop or stop changes nothing, as in OTP. */
static void call_back(master *m, void (*callback)(void *state))
{
    tr_term crash;
    m->callback = callback;
    if (callback != NULL && tr__catch(run_callback, m, &crash)) {
        tr__report(TR_REPORT_PROCESS_CRASHED, crash, NULL, TR_TERM_NONE_VALUE, TR_NO_PID, TR_TERM_NONE_VALUE,
                   0);
    }
}

static bool is_end_of_top(const tr_msg *msg, void *ctx)
{
    return tr_msg_kind_of(msg) == TR_MSG_EXIT &&
           ((const tr_exit_msg *)tr_msg_data(msg))->from == *(const tr_pid *)ctx;
}

static void end_top(master *m)
{
    if (m->top != TR_NO_PID) {
        tr_exit_signal(tr_to(m->top), TR_ATOM(SHUTDOWN));
        (void)tr_receive(is_end_of_top, &m->top, TR_INFINITY);
    }
}

TR_NORETURN static void stop(master *m, tr_term reason)
{
    call_back(m, m->app->prep_stop);
    family f = family_of_self();
    end_top(m);
    call_back(m, m->app->stop);
    family_kill(&f);
    tr__finish(reason);
}

/* The tree ended by itself: there is nothing left to prepare. */
TR_NORETURN static void ended(master *m, tr_term reason)
{
    call_back(m, m->app->stop);
    tr__finish(reason);
}

static void master_main(const void *arg)
{
    master m = *(const master *)arg;
    start_application(&m);
    if (m.err == TR_OK) {
        start_phases(&m);
    }
    if (m.err != TR_OK) {
        end_top(&m);
        tell(&m);
        return;
    }
    tell(&m);
    for (;;) {
        tr_scratch_mark mark = tr_scratch();
        tr_msg *msg = tr_receive(NULL, NULL, TR_INFINITY);
        const tr_exit_msg *exit_msg = TR_MATCH(msg, tr_exit_msg);
        if (TR_MATCH(msg, tr__app_stop) != NULL) {
            stop(&m, TR_ATOM(NORMAL));
        } else if (exit_msg != NULL && exit_msg->from == m.controller) {
            stop(&m, exit_msg->reason);
        } else if (exit_msg != NULL && exit_msg->from == m.top && m.top != TR_NO_PID) {
            ended(&m, exit_msg->reason);
        }
        tr_msg_drop(msg);
        tr_scratch_release(mark);
    }
}

tr_err tr__app_master_start(const tr_application *app, tr_pid *pid)
{
    master m = {.app = app, .controller = tr_self()};
    tr_spawn_opts opts = {.label = app->name, .link = true, .trap_exit = true};
    return tr_spawn(&opts, master_main, &m, sizeof m, pid);
}
