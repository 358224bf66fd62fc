/* What scenarios of state machines cannot see: reports, and that no memory or timer is left. */
#include "tests/runtime/stage.h"

TR_MESSAGE(job, { int n; });

static tr_step on_event(void *data, tr_term state, const tr_event *event)
{
    (void)data, (void)state;
    const job *j = TR_MATCH(event->msg, job);
    say("%d type %d", j->n, (int)event->type);
    if (event->type == TR_EVENT_CALL) {
        return tr_step_with(TR_KEEP_STATE, 1, &TR_POSTPONE);
    }
    if (j->n == 1) {
        return tr_step_with(TR_KEEP_STATE, 1, &TR_STATE_TIMEOUT(100, job, .n = 5));
    }
    if (j->n == 2) {
        tr_exit(tr_atom("boom"));
    }
    return TR_KEEP_STATE;
}

static const tr_gen_statem machine = {.name = "jobs", .first = "open", .handle_event = on_event};

SCENE(gen_statem, a_crash_is_reported_and_leaves_no_postponed_event_and_no_timer)
{
    tr_started started;
    EXPECT(tr_gen_statem_start(&machine, NULL, 0, NULL, &started) == TR_OK);
    tr_ref request = tr_send_request(tr_to(started.pid), TR_MSG(job, .n = 7));
    TR_CAST(started.pid, job, .n = 1);
    TR_CAST(started.pid, job, .n = 2);
    tr_msg *reply;
    tr_term reason;
    EXPECT(tr_wait_response(request, TR_INFINITY, &reply, &reason) == TR_E_EXIT);
    TERM_IS(reason, "boom");
    SAID("7 type 0", "1 type 1", "2 type 1");
    REPORTED(
        "gen_statem.terminated boom last job state {open,{jobs,0}} queue [{cast,job}] postponed [{call,job}] "
        "timeouts [{state_timeout,job}]",
        "process.crashed boom");
}

SCENE(gen_statem, a_typed_state_timeout_comes_once)
{
    tr_started started;
    EXPECT(tr_gen_statem_start(&machine, NULL, 0, NULL, &started) == TR_OK);
    TR_CAST(started.pid, job, .n = 1);
    tr_sleep(1000);
    SAID("1 type 1", "5 type 5");
    tr_exit_signal(tr_to(started.pid), TR_ATOM(KILL));
}
