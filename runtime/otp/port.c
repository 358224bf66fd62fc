#include <troupe/port.h>

#include "runtime/core/behaviour.h"

static void port_start(void *data)
{
    (void)data;
    tr__init_ack(TR_TERM_NONE_VALUE);
}

static void port_handle(void *data, tr_msg *msg)
{
    const tr_port_opts *port = data;
    switch (tr_msg_kind_of(msg)) {
    case TR_MSG_REPLY:
        port->answer(port->ctx, tr_msg_ref(msg).id, msg, TR_TERM_NONE_VALUE);
        break;
    case TR_MSG_DOWN:
        port->answer(port->ctx, tr_msg_ref(msg).id, NULL, TR_MATCH(msg, tr_down_msg)->reason);
        break;
    default:
        if (port->message != NULL) {
            port->message(port->ctx, msg);
        }
        break;
    }
}

static const tr__behaviour port_behaviour = {
    .name = "port", .start = port_start, .handle = port_handle, .never_parks = true};

static void port_fill(struct tr__proc *proc, void *data, void *ctx)
{
    (void)proc;
    *(tr_port_opts *)data = *(const tr_port_opts *)ctx;
}

tr_err tr_port_open(const tr_port_opts *opts, tr_pid *port)
{
    tr__spawn spawn = {
        .behaviour = &port_behaviour,
        .data_bytes = sizeof(*opts),
        .fill = port_fill,
        .fill_ctx = (void *)(uintptr_t)opts,
        .open_replies = true,
        .opts = {.label = opts->label, .core = opts->core + 1, .link = tr_self() != TR_NO_PID}};
    return tr__spawn_process(&spawn, port);
}

tr_err tr_port_call(tr_pid port, uint64_t number, tr_dest dest, tr_msg *request)
{
    return tr__send_kind_monitored(dest, TR_MSG_CALL, (tr_ref){port, number}, request);
}

tr_err tr_port_ask(tr_pid port, uint64_t number, tr_pid pid, tr_msg *request)
{
    return tr__send_kind(tr_to(pid), TR_MSG_CALL, (tr_ref){port, number}, request);
}

tr_err tr_port_monitor(tr_pid port, uint64_t number, tr_pid pid)
{
    return tr__monitor_for((tr_ref){port, number}, pid);
}
