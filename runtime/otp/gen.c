#include "runtime/otp/gen.h"

#include <string.h>

void tr__gen_options(tr__spawn *spawn, const tr_start_opts *opts, bool trap_exit, tr__gen_args *args)
{
    if (opts != NULL) {
        spawn->start = *opts;
        spawn->opts = opts->spawn;
        args->debug = opts->debug;
    }
    spawn->opts.trap_exit = spawn->opts.trap_exit || trap_exit;
}

const void *tr__gen_fill(struct tr__proc *proc, tr__sys *sys, const tr__gen_args *args)
{
    sys->parent = args->linked ? tr_self() : TR_NO_PID;
    if (args->arg_bytes == 0) {
        return args->arg;
    }
    sys->flag = true;
    return memcpy(tr__arena_alloc(proc, args->arg_bytes), args->arg, args->arg_bytes);
}

void tr__gen_arg_drop(tr__sys *sys, const void *arg)
{
    if (sys->flag) {
        tr_free((void *)(uintptr_t)arg);
    }
    sys->flag = false;
}

tr_err tr__gen_start(tr__spawn *spawn, tr__start_how how, const tr_start_opts *opts, tr_started *started)
{
    tr_started unused;
    int64_t timeout_ms = opts == NULL || opts->timeout_ms == 0 ? TR_INFINITY : opts->timeout_ms;
    return tr__start(spawn, how, timeout_ms, started != NULL ? started : &unused, NULL);
}

bool tr__gen_is_parents_exit(const tr__sys *sys, const tr_msg *msg)
{
    return tr_msg_kind_of(msg) == TR_MSG_EXIT && sys->parent != TR_NO_PID &&
           tr_msg_ref(msg).owner == sys->parent;
}

tr_term tr__gen_opaque(const char *name, size_t bytes)
{
    return tr_tuple(tr_atom(name), tr_int((int64_t)bytes));
}

const char *tr__gen_msg_name(const tr_msg *msg)
{
    return msg != NULL && msg->type != NULL ? msg->type->name : NULL;
}
