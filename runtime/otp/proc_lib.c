/* proc_lib.c: starting plain processes by the start protocol; the protocol itself is in core/spawn.c. */
#include <troupe/proc_lib.h>

#include "runtime/core/behaviour.h"
#include "runtime/otp/sys.h"

static tr_err start(tr__spawn spawn, const tr_start_opts *opts, tr__start_how how, tr_started *started,
                    tr_term *info)
{
    spawn.manual_ack = true;
    spawn.report_crash = true;
    if (opts != NULL) {
        spawn.start = *opts;
        spawn.opts = opts->spawn;
    }
    int64_t timeout_ms = opts == NULL || opts->timeout_ms == 0 ? TR_INFINITY : opts->timeout_ms;
    return tr__start(&spawn, how, timeout_ms, started, info);
}

tr_err tr_proc_lib_start(tr_main_fn fn, const void *arg, size_t arg_bytes, const tr_start_opts *opts,
                         tr_started *started, tr_term *info)
{
    return start((tr__spawn){.main = fn, .arg = arg, .arg_bytes = arg_bytes}, opts, TR__START_ALONE, started,
                 info);
}

tr_err tr_proc_lib_start_link(tr_main_fn fn, const void *arg, size_t arg_bytes, const tr_start_opts *opts,
                              tr_started *started, tr_term *info)
{
    return start((tr__spawn){.main = fn, .arg = arg, .arg_bytes = arg_bytes}, opts, TR__START_LINKED, started,
                 info);
}

tr_err tr_proc_lib_start_monitor(tr_main_fn fn, const void *arg, size_t arg_bytes, const tr_start_opts *opts,
                                 tr_started *started, tr_term *info)
{
    return start((tr__spawn){.main = fn, .arg = arg, .arg_bytes = arg_bytes}, opts, TR__START_WATCHED,
                 started, info);
}

/* ---- in the new process ---- */

void tr_init_ack(tr_term info)
{
    tr__init_ack(info);
}

void tr_init_fail(tr_term told, tr_term exit_reason)
{
    tr__init_fail(TR__ACK_ERROR, told, exit_reason);
}

void tr_init_ignore(void)
{
    tr__init_fail(TR__ACK_IGNORE, TR_TERM_NONE_VALUE, TR_ATOM(NORMAL));
}

tr_err tr_proc_lib_stop(tr_dest dest, tr_term reason, int64_t timeout_ms, tr_term *actual)
{
    return tr__sys_stop(dest, reason, timeout_ms, actual);
}
