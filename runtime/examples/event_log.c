/* event_log.c: one manager, several handlers that all see each event: one counts, one keeps the last lines. Handlers come and
 * go while events pass; one that crashes is taken away, and who asked for it is told. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <troupe/troupe.h>

enum { LINES = 3 };
TR_MESSAGE(request_done, {
    int64_t status;
    char path[24];
});
TR_MESSAGE_EMPTY(get_counts);
TR_MESSAGE(counts, { int64_t good, bad; });

/* ---- a handler that counts ---- */

typedef struct meter {
    counts seen;
} meter;

static tr_event_next meter_handle_event(meter *self, const tr_msg *event)
{
    const request_done *done = TR_MATCH(event, request_done);
    if (done != NULL) {
        *(done->status < 400 ? &self->seen.good : &self->seen.bad) += 1;
    }
    return TR_EVENT_OK; /* it does not care for other events */
}

static tr_event_next meter_handle_call(meter *self, tr_from from, const tr_msg *request)
{
    TR_CHECK(TR_MATCH(request, get_counts) != NULL);
    TR_ANSWER(from, counts, .good = self->seen.good, .bad = self->seen.bad);
    return TR_EVENT_OK;
}

TR_EVENT_HANDLER(meter, .handle_event = meter_handle_event, .handle_call = meter_handle_call);

/* ---- a handler that keeps the last lines, and hands them on to who takes its place ---- */

typedef struct recent {
    char lines[LINES][24];
    int64_t count;
} recent;

static tr_err recent_init(recent *self, tr_term args, tr_term *reason)
{
    (void)reason;
    if (tr_term_kind_of(args) == TR_TERM_TUPLE) { /* {args, what the one before it returned at its end} */
        self->count = tr_int_value(tr_term_items(args)[1]);
    }
    return TR_OK;
}

static tr_event_next recent_handle_event(recent *self, const tr_msg *event)
{
    const request_done *done = TR_MATCH(event, request_done);
    if (done != NULL) {
        TR_CHECK(done->path[0] == '/'); /* what is not a path is somebody's bug: let it crash */
        memcpy(self->lines[self->count++ % LINES], done->path, sizeof done->path);
    }
    return TR_EVENT_OK;
}

static tr_term recent_terminate(recent *self, tr_term args)
{
    printf("recent: %" PRId64 " events, the last was %s (%s)\n", self->count,
           self->lines[(self->count + LINES - 1) % LINES], tr_term_text(args));
    return tr_int(self->count);
}

TR_EVENT_HANDLER(recent, .init = recent_init, .handle_event = recent_handle_event,
                 .terminate = recent_terminate);

static void happen(int64_t status, const char *path)
{
    request_done done = {.status = status};
    snprintf(done.path, sizeof done.path, "%s", path);
    TR_CHECK(tr_gen_event_notify(tr_to_name(tr_atom("events")), tr_msg_new(TR_TYPE(request_done), &done)) ==
             TR_OK);
}

static void show_counts(tr_dest events)
{
    tr_msg *reply;
    TR_CHECK(tr_gen_event_call(events, TR_EVENT(meter), TR_MSG(get_counts), 5000, &reply, NULL) == TR_OK);
    const counts *seen = TR_MATCH(reply, counts);
    printf("meter: %" PRId64 " good, %" PRId64 " bad\n", seen->good, seen->bad);
}

static void run(const void *arg)
{
    tr_child_spec manager = {.id = tr_int(1), .server = &tr_gen_event, .start = {.name = tr_atom("events")}};
    tr_supervisor root = {.name = "root", .children = &manager, .child_count = 1};
    tr_dest events = tr_to_name(tr_atom("events"));
    TR_CHECK(tr_supervisor_start_link(&root, arg, 0, NULL, NULL) == TR_OK);
    TR_CHECK(tr_gen_event_add_handler(events, TR_EVENT(meter), TR_TERM_NONE_VALUE, NULL) == TR_OK);
    TR_CHECK(tr_gen_event_add_sup_handler(events, TR_EVENT(recent), tr_atom("first"), NULL) == TR_OK);
    happen(200, "/items");
    happen(404, "/nothing");
    TR_CHECK(tr_gen_event_swap_sup_handler(events, TR_EVENT(recent), tr_atom("swap"), TR_EVENT(recent),
                                           tr_atom("second"), NULL) == TR_OK);
    happen(200, "/items/1");
    happen(500, "oops");
    show_counts(events); /* behind the events; the meter has seen them all */
    const tr_event_exit_msg *gone;
    do { /* the one of the swap says {swapped, recent, Pid} */
        gone = TR_RECEIVE(tr_event_exit_msg, 5000);
        TR_CHECK(gone != NULL && gone->handler == TR_EVENT(recent).handler);
    } while (!tr_same(tr_term_items(gone->reason)[0], tr_atom("EXIT")));
    printf("recent crashed\n");
    const tr_event_id *handlers;
    size_t count;
    TR_CHECK(tr_gen_event_which_handlers(events, &handlers, &count) == TR_OK && count == 1);
    printf("%zu handler is left: %s\n", count, handlers[0].handler->name);
}

int main(void)
{
    return tr_node_run(NULL, run, NULL);
}
