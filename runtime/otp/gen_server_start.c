#include "runtime/otp/gen_server.h"

static void fill(struct tr__proc *proc, void *data, void *ctx)
{
    const tr__gen_server_args *args = ctx;
    tr__gen_server *server = data;
    server->module = args->server;
    server->init_arg = tr__gen_fill(proc, &server->sys, &args->gen);
    tr__sys_debug_start(proc, &server->sys, &tr__gen_server_sys_ops, server, args->gen.debug);
}

void tr__gen_server_spawn(tr__spawn *spawn, tr__gen_server_args *args, const tr_start_opts *opts)
{
    const tr_gen_server *module = args->server;
    *spawn = (tr__spawn){
        .behaviour = &tr__gen_server_behaviour,
        .data_bytes = sizeof(tr__gen_server) + module->state_bytes,
        .label = module->name,
        .fill = fill,
        .fill_ctx = args,
    };
    tr__gen_options(spawn, opts, module->trap_exit, &args->gen);
}

static tr_err start(tr__gen_server_args args, const tr_start_opts *opts, tr__start_how how,
                    tr_started *started)
{
    tr__spawn spawn;
    args.gen.linked = how == TR__START_LINKED;
    tr__gen_server_spawn(&spawn, &args, opts);
    return tr__gen_start(&spawn, how, opts, started);
}

tr_err tr_gen_server_start(const tr_gen_server *server, const void *arg, size_t arg_bytes,
                           const tr_start_opts *opts, tr_started *started)
{
    return start((tr__gen_server_args){.server = server, .gen = {.arg = arg, .arg_bytes = arg_bytes}}, opts,
                 TR__START_ALONE, started);
}

tr_err tr_gen_server_start_link(const tr_gen_server *server, const void *arg, size_t arg_bytes,
                                const tr_start_opts *opts, tr_started *started)
{
    return start((tr__gen_server_args){.server = server, .gen = {.arg = arg, .arg_bytes = arg_bytes}}, opts,
                 TR__START_LINKED, started);
}

tr_err tr_gen_server_start_monitor(const tr_gen_server *server, const void *arg, size_t arg_bytes,
                                   const tr_start_opts *opts, tr_started *started)
{
    return start((tr__gen_server_args){.server = server, .gen = {.arg = arg, .arg_bytes = arg_bytes}}, opts,
                 TR__START_MONITORED, started);
}
