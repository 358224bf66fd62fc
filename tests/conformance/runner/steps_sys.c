/* steps_sys.c: ["sys", D, WHAT, ...]. */
#include <string.h>

#include "tests/conformance/runner/server.h"
#include "tests/conformance/runner/step.h"

#define SYS_TIMEOUT_MS 5000

/* The reason names the request and whom it was for; traces show the latter only where the former is a
 * tuple. */
static outcome failed_request(tr_err err, tr_term request, tr_term whom)
{
    tr_term reason = err == TR_E_TIMEOUT        ? TR_ATOM(TIMEOUT)
                     : err == TR_E_CALLING_SELF ? TR_ATOM(CALLING_SELF)
                                                : TR_ATOM(NOPROC);
    return outcome_exit(tr_tuple(reason, tr_tuple(TR_ATOM(SYS), request, whom)));
}

static outcome failed(tr_err err, const char *what)
{
    return failed_request(err, tr_atom(what), tr_list_n(0, NULL));
}

static tr_term whom(tr_dest dest)
{
    return tr_list(dest.kind == TR_TO_PID ? tr_pid_term(dest.pid) : dest.name);
}

static outcome ok_or(tr_err err, const char *what)
{
    return err == TR_OK ? outcome_value(TR_ATOM(OK)) : failed(err, what);
}

static outcome term_or(tr_err err, tr_term value, const char *what)
{
    return err == TR_OK ? outcome_value(value) : failed(err, what);
}

/* ---- replace_state: runs inside the server, so what it came to travels through here ------------------------------ */
typedef struct replacement {
    tr_term expression;
    bool failed;
    tr_term value; /* kept */
} replacement;

static void replace(void *self, void *ctx)
{
    replacement *of = ctx;
    outcome result = server_replace_state(self, of->expression);
    of->failed = outcome_failed(result);
    of->value = tr_term_keep(result.value);
}

static outcome replace_state(tr_dest dest, tr_term expression)
{
    replacement of = {.expression = expression};
    tr_err err = tr_sys_replace_state(dest, replace, &of, SYS_TIMEOUT_MS);
    if (err != TR_OK) {
        return failed_request(err, tr_tuple(tr_atom("replace_state"), tr_atom("fun")), whom(dest));
    }
    tr_term value = value_copy(of.value);
    tr_term_free(of.value);
    if (of.failed) {
        return outcome_error(tr_tuple(tr_atom("callback_failed"), value));
    }
    return outcome_value(value);
}

static outcome statistics(tr_dest dest, tr_term what)
{
    if (!value_is(what, "get")) {
        return ok_or(tr_sys_statistics_on(dest, tr_same(what, TR_ATOM(TRUE)), SYS_TIMEOUT_MS), "statistics");
    }
    tr_sys_statistics now;
    tr_err err = tr_sys_statistics_get(dest, SYS_TIMEOUT_MS, &now);
    if (err == TR_E_STATE) {
        return outcome_value(tr_tuple(TR_ATOM(OK), tr_atom("no_statistics")));
    }
    return term_or(err,
                   tr_tuple(tr_atom("in"), tr_int((int64_t)now.messages_in), tr_atom("out"),
                            tr_int((int64_t)now.messages_out)),
                   "statistics");
}

/* How many events are kept is told, not which. */
static outcome log_events(tr_dest dest, tr_term what)
{
    size_t count = 0;
    const tr_term *events;
    if (!value_is(what, "get")) {
        uint32_t room = tr_same(what, TR_ATOM(TRUE)) ? TR_SYS_LOG_DEFAULT : 0;
        return ok_or(tr_sys_log(dest, room, SYS_TIMEOUT_MS), "log");
    }
    tr_err err = tr_sys_log_get(dest, SYS_TIMEOUT_MS, &events, &count);
    return term_or(err, tr_tuple(TR_ATOM(OK), tr_int((int64_t)count)), "log");
}

static outcome do_sys(const step_args *args)
{
    tr_dest dest;
    tr_term value = TR_TERM_NONE_VALUE;
    TRY(step_dest(args->item[0], &dest));
    const char *what = tr_atom_text(args->item[1]);
    if (strcmp(what, "get_state") == 0) {
        tr_err err = tr_sys_get_state(dest, SYS_TIMEOUT_MS, &value);
        return term_or(err, value, what);
    }
    if (strcmp(what, "get_status") == 0) {
        tr_err err = tr_sys_get_status(dest, SYS_TIMEOUT_MS, &value);
        return term_or(err, value, what);
    }
    if (strcmp(what, "suspend") == 0) {
        return ok_or(tr_sys_suspend(dest, SYS_TIMEOUT_MS), what);
    }
    if (strcmp(what, "resume") == 0) {
        return ok_or(tr_sys_resume(dest, SYS_TIMEOUT_MS), what);
    }
    if (strcmp(what, "replace_state") == 0) {
        return replace_state(dest, step_arg(args, 2));
    }
    if (strcmp(what, "terminate") == 0) {
        TRY(step_eval(args, 2, &value));
        return ok_or(tr_sys_terminate(dest, value, SYS_TIMEOUT_MS), what);
    }
    if (strcmp(what, "statistics") == 0) {
        return statistics(dest, step_arg(args, 2));
    }
    if (strcmp(what, "log") == 0) {
        return log_events(dest, step_arg(args, 2));
    }
    world_unsupported(value_format("sys %s", what));
}

const step_verb steps_sys[] = {
    {"sys", 2, 3, do_sys},
    {NULL, 0, 0, NULL},
};
