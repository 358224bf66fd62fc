/* sys: what watches a state machine sees its events as OTP's gen_statem tells them: in, out, postpone, consume. */
#include "tests/runtime/probe.h"
#include "tests/runtime/sys_log.h"

#define TELL_TERM(pid, word) (void)tr_gen_server_cast(tr_to(pid), TR_MSG(tr_term_msg, .value = tr_atom(word)))

typedef struct lamp {
    int unused;
} lamp;

/* off: press -> on, anything else waits. on: a time-out leads back. */
static tr_step lamp_handle_event(lamp *self, tr_term state, const tr_event *event)
{
    const tr_term_msg *said = TR_MATCH(event->msg, tr_term_msg);
    (void)self;
    if (event->type == TR_EVENT_STATE_TIMEOUT) {
        return TR_NEXT_STATE(tr_atom("off"));
    }
    if (event->type == TR_EVENT_CALL) {
        return TR_WITH(TR_KEEP_STATE, TR_REPLY_TO(event->from, answer, .n = 1));
    }
    if (said != NULL && tr_same(said->value, tr_atom("press"))) {
        return TR_WITH(TR_NEXT_STATE(tr_atom("on")), TR_STATE_TIMEOUT(100, tr_timeout_msg));
    }
    return tr_same(state, tr_atom("off")) ? TR_WITH(TR_KEEP_STATE, TR_POSTPONE) : TR_KEEP_STATE;
}

TR_GEN_STATEM(lamp, .first = "off", .handle_event = lamp_handle_event);

static tr_pid a_lamp(uint32_t debug)
{
    tr_started started = {.pid = TR_NO_PID};
    EXPECT(tr_gen_statem_start(lamp_statem, NULL, 0, &(tr_start_opts){.debug = debug}, &started) == TR_OK);
    return started.pid;
}

SCENE(statem_debug, a_log_tells_what_becomes_of_each_event)
{
    tr_pid one = a_lamp(0);
    EXPECT(tr_sys_log(tr_to(one), 20, 5000) == TR_OK);
    TELL_TERM(one, "early");
    TELL_TERM(one, "press");
    LOG_IS(one, "{in,{cast,early},off} {postpone,{cast,early},off} {in,{cast,press},off} "
                "{consume,{cast,press},on} {consume,{cast,early},on}");
    EXPECT(tr_sys_log(tr_to(one), 0, 5000) == TR_OK);
    EXPECT(tr_sys_log(tr_to(one), 20, 5000) == TR_OK);
    tr_sleep(200);
    LOG_IS(one, "{in,{state_timeout,timeout},on} {consume,{state_timeout,timeout},off}");
}

SCENE(statem_debug, start_options_watch_from_the_first_event_on)
{
    answer got;
    tr_sys_statistics counted;
    tr_pid one = a_lamp(TR_DEBUG_LOG | TR_DEBUG_STATISTICS);
    EXPECT(TR_CALL(one, 5000, answer, &got, ev, .name = "ask") == TR_OK && got.n == 1);
    LOG_IS(one, "{in,{call,{ev}},off} {out,{answer},,{off,{lamp,4}}} {consume,{call,{ev}},off}");
    EXPECT(tr_sys_statistics_get(tr_to(one), 5000, &counted) == TR_OK);
    EXPECT(counted.messages_in == 1 && counted.messages_out == 1);
}

SCENE(statem_debug, a_trace_reports_and_a_function_sees_each_event)
{
    tr_pid one = a_lamp(0);
    EXPECT(tr_sys_trace(tr_to(one), true, 5000) == TR_OK);
    TELL_TERM(one, "press");
    EXPECT(tr_sys_trace(tr_to(one), false, 5000) == TR_OK);
    TELL_TERM(one, "unseen");
    REPORTED("sys.event {in,{cast,press},off}", "sys.event {consume,{cast,press},on}");
}
