#include <string.h>

#include "runtime/otp/gen_server.h"

static void fill(struct tr__proc *proc, void *data, void *ctx)
{
    const tr__gen_server_args *args = ctx;
    tr__gen_server *server = data;
    server->module = args->server;
    server->sys.parent = args->linked ? tr_self() : TR_NO_PID;
    server->init_arg = args->arg;
    tr__sys_debug_start(proc, &server->sys, &tr__gen_server_sys_ops, server, args->debug);
    if (args->arg_bytes != 0) {
        void *copy = tr__arena_alloc(proc, args->arg_bytes);
        memcpy(copy, args->arg, args->arg_bytes);
        server->init_arg = copy;
        server->sys.flag = true;
    }
}

void tr__gen_server_spawn(tr__spawn *spawn, tr__gen_server_args *args, const tr_start_opts *opts)
{
    const tr_gen_server *module = args->server;
    *spawn = (tr__spawn){
        .behaviour = &tr__gen_server_behaviour,
        .data_bytes = sizeof(tr__gen_server) + module->state_bytes,
        .fill = fill,
        .fill_ctx = args,
    };
    if (opts != NULL) {
        spawn->start = *opts;
        spawn->opts = opts->spawn;
        args->debug = opts->debug;
    }
    spawn->opts.trap_exit = spawn->opts.trap_exit || module->trap_exit;
    spawn->label = module->name;
}

static tr_err start(tr__gen_server_args args, const tr_start_opts *opts, tr__start_how how,
                    tr_started *started)
{
    tr__spawn spawn;
    args.linked = how == TR__START_LINKED;
    tr__gen_server_spawn(&spawn, &args, opts);
    int64_t timeout_ms = opts == NULL || opts->timeout_ms == 0 ? TR_INFINITY : opts->timeout_ms;
    return tr__start(&spawn, how, timeout_ms, started, NULL);
}

tr_err tr_gen_server_start(const tr_gen_server *server, const void *arg, size_t arg_bytes,
                           const tr_start_opts *opts, tr_started *started)
{
    return start((tr__gen_server_args){.server = server, .arg = arg, .arg_bytes = arg_bytes}, opts,
                 TR__START_ALONE, started);
}

tr_err tr_gen_server_start_link(const tr_gen_server *server, const void *arg, size_t arg_bytes,
                                const tr_start_opts *opts, tr_started *started)
{
    return start((tr__gen_server_args){.server = server, .arg = arg, .arg_bytes = arg_bytes}, opts,
                 TR__START_LINKED, started);
}

tr_err tr_gen_server_start_monitor(const tr_gen_server *server, const void *arg, size_t arg_bytes,
                                   const tr_start_opts *opts, tr_started *started)
{
    return start((tr__gen_server_args){.server = server, .arg = arg, .arg_bytes = arg_bytes}, opts,
                 TR__START_MONITORED, started);
}
