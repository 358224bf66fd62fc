/* gen_stage: subscriptions and how they end, callbacks, wrong messages; the cases of gen_stage_test, by their names. */
#include "runtime/core/behaviour.h"
#include "runtime/stage/stage.h"
#include "tests/runtime/actors.h"

static tr_term end_of(tr_pid pid)
{
    tr_msg *down = tr_receive_ref(tr_monitor(tr_to(pid), NULL), 5000);
    return EXPECT(down != NULL) ? TR_MATCH(down, tr_down_msg)->reason : TR_TERM_NONE_VALUE;
}

static void kill_and_settle(tr_pid pid)
{
    tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
    settle();
}

/* ---- sync_subscribe/2, sync_resubscribe/2, async_resubscribe/2 ---- */

/* [sync_subscribe/2] returns ok with reference */
SCENE(gen_stage_subscribe, a_subscription_has_a_reference)
{
    tr_pid p = PLAYS(producer, "p", .count = 1);
    tr_pid c = PLAYS(consumer, "c");
    subscribed(c, SUB(p));
    settle();
    SAID("c 0");
}

/* [sync_subscribe/2] returns errors on bad options; [producer_consumer callbacks], [consumer callbacks]
 * handle_subscribe/4 with invalid demand */
SCENE(gen_stage_subscribe, demands_must_make_sense)
{
    tr_pid p = PLAYS(producer, "p");
    tr_pid c = PLAYS(consumer, "c");
    EXPECT(tr_stage_subscribe(tr_to(c), &SUB(p, .max_demand = -5), 5000, NULL) == TR_E_BADARG);
    EXPECT(tr_stage_subscribe(tr_to(c), &SUB(p, .max_demand = 5, .min_demand = 5), 5000, NULL) ==
           TR_E_BADARG);
    EXPECT(tr_stage_subscribe(tr_to(c), &SUB(p, .min_demand = -7), 5000, NULL) == TR_E_BADARG);
    EXPECT(tr_stage_subscribe(tr_to(c), &SUB(p, .cancel = (tr_cancel)9), 5000, NULL) == TR_E_BADARG);
    EXPECT(tr_is_alive(c) && tr_is_alive(p));
    EXPECT(start_part(consumer_stage, (part){.name = "d", .to = {SUB(p, .max_demand = -1)}}) == TR_E_EXIT);
    TERM_IS(started.reason, "{bad_opts,max_demand}");
    EXPECT(start_part(both_stage, (part){.name = "d", .to = {SUB(p, .max_demand = 1, .min_demand = 1)}}) ==
           TR_E_EXIT);
    TERM_IS(started.reason, "{bad_opts,min_demand}");
    REPORTED("process.crashed {bad_opts,max_demand}", "process.crashed {bad_opts,min_demand}");
}

/* [producer callbacks] init/1, [producer_consumer callbacks] init/1 */
SCENE(gen_stage_subscribe, options_must_make_sense)
{
    tr_pid p = PLAYS(producer, "p");
    EXPECT(start_part(producer_stage, (part){.opts = {.buffer_size = -9}}) == TR_E_EXIT);
    TERM_IS(started.reason, "{bad_opts,buffer_size}");
    EXPECT(start_part(producer_stage, (part){.opts = {.dispatcher = {.kind = TR_DISPATCH_PARTITION}}}) ==
           TR_E_EXIT);
    TERM_IS(started.reason, "{bad_opts,dispatcher}");
    EXPECT(start_part(producer_stage, (part){.opts = {.dispatcher = {.kind = (tr_dispatch)7}}}) == TR_E_EXIT);
    TERM_IS(started.reason, "{bad_opts,dispatcher}");
    EXPECT(start_part(producer_stage, (part){.to = {SUB(p)}}) == TR_E_EXIT);
    TERM_IS(started.reason, "{bad_opts,subscribe_to}");
    EXPECT(start_part(both_stage, (part){.opts = {.accumulate = true}}) == TR_E_EXIT);
    TERM_IS(started.reason, "{bad_opts,accumulate}");
}

/* [sync_subscribe/2] consumer exits when there is no named producer and subscription is permanent */
SCENE(gen_stage_subscribe, a_producer_that_is_not_there_ends_the_consumer)
{
    tr_pid c = PLAYS(consumer, "c");
    tr_subscription to = {.to = tr_to_name(tr_atom("nobody"))};
    EXPECT(tr_stage_subscribe(tr_to(c), &to, 5000, NULL) == TR_OK);
    TERM_IS(end_of(c), "noproc");
    SAID("c terminate noproc");
    stage.reported.used = 0;
}

/* [sync_subscribe/2] consumer exits when producer is dead and subscription is permanent; does not exit when producer is
 * dead and subscription is temporary */
SCENE(gen_stage_subscribe, a_dead_producer_ends_the_consumer_unless_temporary)
{
    tr_pid p = PLAYS(producer, "p");
    tr_pid c = PLAYS(consumer, "c");
    tr_pid d = PLAYS(consumer, "d");
    tr_pid e = PLAYS(consumer, "e");
    kill_and_settle(p);
    subscribed(c, SUB(p));
    subscribed(d, SUB(p, .cancel = TR_CANCEL_TEMPORARY));
    subscribed(e, SUB(p, .cancel = TR_CANCEL_TRANSIENT));
    settle();
    EXPECT(!tr_is_alive(c) && tr_is_alive(d) && !tr_is_alive(e));
    SAID("c down noproc", "c terminate noproc", "d down noproc", "e down noproc", "e terminate noproc");
    tr_subscription nobody = {.to = tr_to_name(tr_atom("nobody")), .cancel = TR_CANCEL_TEMPORARY};
    subscribed(d, nobody);
    EXPECT(tr_is_alive(d));
    stage.reported.used = 0;
}

/* [sync_subscribe/2] handles subscription error gracefully; gen_stage broadcast_dispatcher_test: subscribing is
 * idempotent */
SCENE(gen_stage_subscribe, a_refused_subscription_is_a_cancel)
{
    tr_pid p = PLAYS(producer, "p", .count = 1, .opts = {.dispatcher = {.kind = TR_DISPATCH_BROADCAST}});
    tr_pid c = PLAYS(consumer, "c", .to = {SUB(p)});
    settle();
    subscribed(c, SUB(p, .cancel = TR_CANCEL_TEMPORARY));
    settle();
    SAID("c 0", "c cancel already_subscribed");
    EXPECT(tr_is_alive(c) && tr_is_alive(p));
}

/* [sync_resubscribe/2], [async_resubscribe/2] returns ok with reference; even if previous subscription does not exist;
 * returns errors on bad options */
SCENE(gen_stage_subscribe, resubscribes_in_one_step)
{
    tr_pid p = PLAYS(producer, "p", .says_subscribed = true);
    tr_pid c = PLAYS(consumer, "c");
    tr_ref first = subscribed(c, SUB(p, .cancel = TR_CANCEL_TEMPORARY));
    tr_ref second = TR_NO_REF;
    tr_subscription again = SUB(p, .cancel = TR_CANCEL_TEMPORARY);
    settle();
    SAID("p subscribed consumer");
    EXPECT(tr_stage_resubscribe(tr_to(c), first, tr_atom("changed"), &again, 5000, &second) == TR_OK);
    settle();
    SAID("p cancel changed", "p subscribed consumer", "c cancel changed");
    EXPECT(!tr_ref_equal(first, second));
    EXPECT(tr_stage_async_resubscribe(tr_to(c), first, tr_atom("gone_before"), &again) == TR_OK);
    settle();
    SAID("p subscribed consumer");
    again.max_demand = -1;
    EXPECT(tr_stage_resubscribe(tr_to(c), second, tr_atom("changed"), &again, 5000, NULL) == TR_E_BADARG);
    EXPECT(tr_stage_async_resubscribe(tr_to(c), second, tr_atom("changed"), &again) == TR_OK);
    settle();
    SAID();
    REPORTED("message.ignored last tr__stage_subscribe_to");
}

/* [subscribe_to names] can be pid; can be a via name */
SCENE(gen_stage_subscribe, producers_have_names)
{
    struct tr_registry *registry = tr_registry_new("stages");
    tr_start_opts via = {.registry = registry, .key = tr_int(7)};
    part p = {.name = "p", .count = 2};
    EXPECT(tr_stage_start(producer_stage, &p, sizeof p, &via, &started) == TR_OK);
    tr_pid c = PLAYS(consumer, "c");
    tr_subscription to = {.to = tr_to_via(registry, tr_int(7))};
    subscribed(c, to);
    settle();
    SAID("c 0..1");
}

/* ---- manual demand ---- */

/* [manual demand] can be set on subscribe on init */
SCENE(gen_stage_subscribe, a_manual_consumer_asks_by_itself)
{
    tr_pid p = PLAYS(producer, "p", .count = 100, .says_demand = true);
    tr_pid c = PLAYS(consumer, "c", .manual = true, .to = {SUB(p, .max_demand = 2)});
    settle();
    SAID();
    TELLS(c, ask_for, .count = 5);
    SAID("p demand 5", "c 0..4"); /* in one batch: max and min do not count */
    TELLS(c, ask_for, .count = 0);
    SAID();
}

/* [producer_consumer callbacks] producer handle_subscribe/4 does not accept manual demand */
SCENE(gen_stage_subscribe, a_producer_consumer_is_never_manual)
{
    tr_pid p = PLAYS(producer, "p");
    EXPECT(start_part(both_stage, (part){.name = "b", .manual = true, .to = {SUB(p)}}) == TR_E_EXIT);
    TERM_IS(started.reason, "{bad_return_value,manual}");
}

/* ---- callbacks ---- */

/* [producer callbacks], [consumer callbacks], [producer_consumer callbacks] handle_subscribe/4 */
SCENE(gen_stage_subscribe, both_sides_hear_of_a_subscription)
{
    tr_pid p = PLAYS(producer, "p", .says_subscribed = true);
    tr_pid b = PLAYS(both, "b", .says_subscribed = true, .to = {SUB(p)});
    PLAYS(consumer, "c", .says_subscribed = true, .to = {SUB(b)});
    settle();
    SAID("b subscribed producer", "p subscribed consumer", "c subscribed producer", "b subscribed consumer");
}

/* [producer callbacks] handle_cancel/3; [consumer callbacks] handle_cancel/3 with temporary subscription, with non-normal
 * transient subscription, with permanent subscription */
static void cancelled_by_the_consumer(tr_cancel cancel, bool ends)
{
    tr_pid p = PLAYS(producer, "p", .says_demand = true);
    tr_pid c = PLAYS(consumer, "c", .to = {SUB(p, .cancel = cancel)});
    settle();
    SAID("p demand 1000");
    TELLS(c, cancel_it);
    if (ends) {
        SAID("p cancel bored", "c cancel bored", "c terminate bored");
    } else {
        SAID("p cancel bored", "c cancel bored");
    }
    EXPECT(tr_is_alive(c) == !ends && tr_is_alive(p));
    stage.reported.used = 0;
}

SCENE(gen_stage_subscribe, a_cancel_ends_a_permanent_consumer)
{
    cancelled_by_the_consumer(TR_CANCEL_PERMANENT, true);
}

SCENE(gen_stage_subscribe, a_cancel_ends_a_transient_consumer_unless_clean)
{
    cancelled_by_the_consumer(TR_CANCEL_TRANSIENT, true);
}

SCENE(gen_stage_subscribe, a_cancel_does_not_end_a_temporary_consumer)
{
    cancelled_by_the_consumer(TR_CANCEL_TEMPORARY, false);
}

static bool survives(const tr_gen_stage *module, tr_cancel cancel, tr_term reason)
{
    tr_pid p = PLAYS(producer, "p");
    tr_pid c = play(module, (part){.name = "c", .to = {SUB(p, .cancel = cancel)}});
    settle();
    tr_exit_signal(tr_to(p), reason);
    settle();
    bool alive = tr_is_alive(c);
    stage.reported.used = 0;
    kill_and_settle(c);
    return alive;
}

/* [consumer callbacks] handle_cancel/3 on producer down with temporary, permanent subscription; [producer_consumer
 * callbacks] consumer handle_cancel/3 with permanent subscription, on producer down with temporary, permanent
 * subscription, on producer normal down with transient subscription */
SCENE(gen_stage_subscribe, the_end_of_a_producer_means_what_the_subscription_says)
{
    const tr_gen_stage *const kinds[] = {consumer_stage, both_stage};
    for (int i = 0; i < 2; i++) {
        EXPECT(survives(kinds[i], TR_CANCEL_TEMPORARY, tr_atom("broken")));
        SAID("c down broken");
        EXPECT(!survives(kinds[i], TR_CANCEL_PERMANENT, tr_atom("broken")));
        SAID("c down broken", "c terminate broken");
        EXPECT(!survives(kinds[i], TR_CANCEL_PERMANENT, TR_ATOM(SHUTDOWN)));
        SAID("c down shutdown", "c terminate shutdown");
        EXPECT(survives(kinds[i], TR_CANCEL_TRANSIENT, TR_ATOM(SHUTDOWN)));
        SAID("c down shutdown");
        EXPECT(!survives(kinds[i], TR_CANCEL_TRANSIENT, TR_ATOM(KILL)));
        SAID("c down killed", "c terminate killed");
    }
}

/* [producer callbacks] handle_cancel/3 on consumer down; [producer_consumer callbacks] producer handle_cancel/3 on
 * consumer down */
SCENE(gen_stage_subscribe, a_producer_hears_of_its_consumers_end)
{
    tr_pid p = PLAYS(producer, "p");
    tr_pid b = PLAYS(both, "b", .to = {SUB(p)});
    tr_pid c = PLAYS(consumer, "c", .to = {SUB(b)});
    settle();
    kill_and_settle(c);
    SAID("b down killed");
    kill_and_settle(b);
    SAID("p down killed");
}

SCENE(gen_stage_subscribe, handle_cancel_may_end_the_stage)
{
    tr_pid p = PLAYS(producer, "p", .stops_at_cancel = true);
    tr_pid c = PLAYS(consumer, "c", .to = {SUB(p, .cancel = TR_CANCEL_TEMPORARY)});
    settle();
    TELLS(c, cancel_it);
    SAID("p cancel bored", "p terminate enough", "c cancel bored");
    EXPECT(tr_is_alive(c));
    stage.reported.used = 0;
}

/* [producer callbacks] handle_call/3 sends events before reply: with tr_stage_flush */
SCENE(gen_stage_subscribe, events_may_go_out_before_a_reply)
{
    done out;
    tr_pid p = PLAYS(producer, "p");
    PLAYS(consumer, "c", .to = {SUB(p)});
    settle();
    EXPECT(TR_CALL(p, 5000, done, &out, emit, .first = 1, .last = 3, .flush = true) == TR_OK);
    SAID("c 1..3");
    EXPECT(TR_CALL(p, 5000, done, &out, emit, .first = 4, .last = 5) == TR_OK);
    settle();
    SAID("c 4..5");
}

/* [producer callbacks] handle_call/3 may shut stage down; terminate/2 */
SCENE(gen_stage_subscribe, a_call_may_end_the_stage)
{
    done out;
    tr_pid p = PLAYS(producer, "p");
    PLAYS(consumer, "c", .to = {SUB(p, .cancel = TR_CANCEL_TEMPORARY)});
    settle();
    EXPECT(TR_CALL(p, 5000, done, &out, emit, .first = 1, .last = 3, .stop = true) == TR_OK);
    settle();
    SAID("p terminate shutdown", "c down shutdown"); /* what it emitted in that callback did not go out */
    EXPECT(!tr_is_alive(p));
}

/* [producer callbacks], [consumer callbacks] handle_info/2 is called for unmatched down messages; other messages too */
SCENE(gen_stage_subscribe, other_messages_are_the_users)
{
    tr_pid p = PLAYS(producer, "p");
    tr_pid c = PLAYS(consumer, "c");
    tr_down_msg down = {.reason = TR_ATOM(NORMAL)};
    (void)tr__send_kind(tr_to(p), TR_MSG_DOWN, TR_NO_REF, tr_msg_new(TR_TYPE(tr_down_msg), &down));
    (void)tr__send_kind(tr_to(c), TR_MSG_DOWN, TR_NO_REF, tr_msg_new(TR_TYPE(tr_down_msg), &down));
    TR_SEND(c, hello);
    TR_CAST(p, hello);
    settle();
    SAID("p info tr_down_msg", "p info hello", "c info tr_down_msg", "c info hello");
}

/* [consumer callbacks] terminate/1 */
SCENE(gen_stage_subscribe, a_stage_stops_as_any_server)
{
    tr_pid c = PLAYS(consumer, "c");
    EXPECT(tr_gen_server_stop(tr_to(c), TR_ATOM(NORMAL), 5000, NULL) == TR_OK);
    SAID("c terminate normal");
}

/* ---- $gen_producer, $gen_consumer message errors ---- */

/* The scene plays a stage. */
static tr_msg *next_of(const tr_type *type)
{
    tr_msg *msg = tr_receive(NULL, NULL, 5000);
    EXPECT(msg != NULL && msg->type == type);
    return msg;
}

/* [$gen_producer message errors] duplicated subscriptions; unknown demand */
SCENE(gen_stage_subscribe, a_producer_refuses_what_makes_no_sense)
{
    tr_pid p = PLAYS(producer, "p", .count = 5);
    tr_stage_from us = {tr_self(), tr_alias(TR_ALIAS_NONE)};
    TR__STAGE_SEND(p, us.ref, tr__stage_subscribe, .consumer = us);
    TR__STAGE_SEND(p, us.ref, tr__stage_subscribe, .consumer = us);
    tr_msg *msg = next_of(TR_TYPE(tr__stage_cancelled));
    TERM_IS(TR_MATCH(msg, tr__stage_cancelled)->reason, "duplicated_subscription");
    EXPECT(tr_ref_equal(TR_MATCH(msg, tr__stage_cancelled)->ref, us.ref));
    REPORTED("message.ignored last tr__stage_subscribe");
    tr_stage_from stranger = {tr_self(), tr_alias(TR_ALIAS_NONE)};
    TR__STAGE_SEND(p, stranger.ref, tr__stage_ask, .consumer = stranger, .count = 3);
    msg = next_of(TR_TYPE(tr__stage_cancelled));
    TERM_IS(TR_MATCH(msg, tr__stage_cancelled)->reason, "unknown_subscription");
    TR__STAGE_SEND(p, us.ref, tr__stage_ask, .consumer = us, .count = 3);
    msg = next_of(TR_TYPE(tr__stage_events));
    EXPECT(TR_MATCH(msg, tr__stage_events)->count == 3);
    SAID();
}

/* [$gen_consumer message errors] unknown events */
SCENE(gen_stage_subscribe, a_consumer_refuses_events_of_strangers)
{
    tr_pid c = PLAYS(consumer, "c");
    tr_stage_from us = {tr_self(), tr_alias(TR_ALIAS_NONE)};
    tr_blob *batch = tr__payload_blob(TR_TYPE(number), &(number){1});
    TR__STAGE_SEND(c, us.ref, tr__stage_events, .producer = us, .count = 1, .batch = batch);
    tr_blob_drop(batch);
    tr_msg *msg = next_of(TR_TYPE(tr__stage_cancel));
    TERM_IS(TR_MATCH(msg, tr__stage_cancel)->reason, "unknown_subscription");
    SAID();
}

/* The scene hears the subscription, and sends more than was asked for. */
SCENE(gen_stage_subscribe, events_in_excess_are_reported_and_handled)
{
    tr_pid c = PLAYS(consumer, "c", .to = {SUB(tr_self(), .max_demand = 2, .min_demand = TR_DEMAND_NONE)});
    tr_ref ref = TR_MATCH(next_of(TR_TYPE(tr__stage_subscribe)), tr__stage_subscribe)->consumer.ref;
    EXPECT(TR_MATCH(next_of(TR_TYPE(tr__stage_ask)), tr__stage_ask)->count == 2);
    tr_stage_event events[3];
    number numbers[3] = {{1}, {2}, {3}};
    for (int i = 0; i < 3; i++) {
        events[i] = (tr_stage_event){TR_TYPE(number), &numbers[i]};
    }
    tr_blob *batch = tr__batch_new(events, 3);
    TR__STAGE_SEND(c, ref, tr__stage_events, .producer = {tr_self(), ref}, .count = 3, .batch = batch);
    tr_blob_drop(batch);
    settle();
    SAID("c 1..2", "c 3");
    REPORTED("stage.warned {events_in_excess,1}");
}

/* [$gen_consumer message errors] not a consumer; a producer cannot subscribe; wrong sides */
SCENE(gen_stage_subscribe, stages_keep_to_their_side)
{
    tr_pid p = PLAYS(producer, "p");
    tr_pid c = PLAYS(consumer, "c");
    tr_stage_from us = {tr_self(), tr_alias(TR_ALIAS_NONE)};
    EXPECT(tr_stage_subscribe(tr_to(p), &SUB(c), 5000, NULL) == TR_E_STATE);
    TR__STAGE_SEND(c, us.ref, tr__stage_ask, .consumer = us, .count = 1);
    TR__STAGE_SEND(p, us.ref, tr__stage_cancelled, .ref = us.ref);
    EXPECT(tr_stage_demand(tr_to(c), false) == TR_OK);
    settle();
    REPORTED("message.ignored last tr__stage_ask", "message.ignored last tr__stage_set_demand",
             "message.ignored last tr__stage_cancelled");
    EXPECT(tr_is_alive(p) && tr_is_alive(c));
}

/* ---- what ours has beyond ---- */

SCENE(gen_stage_subscribe, a_stage_is_a_server)
{
    tr_term state;
    tr_pid p = PLAYS(producer, "p");
    EXPECT(tr_sys_get_state(tr_to(p), 5000, &state) == TR_OK);
    TERM_IS(tr_is_tagged(state, "producer", 2) ? tr_atom("ok") : state, "ok");
    tr_child_spec spec = {.id = tr_atom("c"),
                          .server = &consumer_stage->server,
                          .arg = &(part){.name = "c"},
                          .arg_bytes = sizeof(part)};
    tr_supervisor top = {.name = "top", .children = &spec, .child_count = 1};
    tr_trap_exit(true);
    EXPECT(tr_supervisor_start_link(&top, NULL, 0, NULL, &started) == TR_OK);
    EXPECT(tr_gen_server_stop(tr_to(started.pid), TR_ATOM(SHUTDOWN), 5000, NULL) == TR_OK);
}

/* Limits of mailboxes are no limits of subscriptions. */
SCENE(gen_stage_subscribe, events_pass_a_mailbox_limit)
{
    part p = {.name = "p", .count = 100};
    tr_start_opts limited = {.spawn = {.mailbox_max = 1}};
    EXPECT(tr_stage_start(producer_stage, &p, sizeof p, &limited, &started) == TR_OK);
    part c = {.name = "c", .to = {SUB(started.pid, .max_demand = 2)}};
    EXPECT(tr_stage_start(consumer_stage, &c, sizeof c, &limited, &started) == TR_OK);
    TR_CAST(started.pid, nap, .ms = 10);
    tr_sleep(20);
    EXPECT(strstr(stage.said.text, "c 99\n") != NULL);
    forget_lines();
}
