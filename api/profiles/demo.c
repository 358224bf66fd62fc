/* The demo sources, which take 100, 150 and 200 ms as those of the guide do. */
#include "api/profiles/demo.h"

#define USERS_MS       100
#define PREFERENCES_MS 150
#define ACTIVITY_MS    200

TR_MESSAGE(demo_ask, { int64_t ms; });
TR_MESSAGE(demo_due, { tr_from from; });
TR_MESSAGE_EMPTY(demo_answer);

typedef struct demo {
    uint64_t asked;
} demo;

static tr_next demo_handle_call(demo *self, tr_from from, const tr_msg *msg)
{
    const demo_ask *ask = TR_MATCH(msg, demo_ask);
    if (ask == NULL) {
        return tr_unexpected(msg);
    }
    self->asked++;
    (void)TR_SEND_AFTER(ask->ms, tr_self(), demo_due, .from = from);
    return TR_NOREPLY;
}

static tr_next demo_handle_info(demo *self, const tr_msg *msg)
{
    (void)self;
    const demo_due *due = TR_MATCH(msg, demo_due);
    if (due != NULL) {
        TR_ANSWER(due->from, demo_answer);
    }
    return TR_NOREPLY;
}

TR_GEN_SERVER(demo, .handle_call = demo_handle_call, .handle_info = demo_handle_info);

tr_child_spec demo_child_spec(void)
{
    return (tr_child_spec){
        .id = tr_atom("profiles.demo"), .server = demo_server, .start = {.name = tr_atom("profiles.demo")}};
}

/* ---- routes ---- */

static void write_users(struct json_out *out, struct text id)
{
    json_out_open_object(out);
    json_out_member_text(out, "id", id);
    json_out_member_string(out, "name", "Demo User");
    json_out_close_object(out);
}

static void write_preferences(struct json_out *out, struct text id)
{
    (void)id;
    json_out_open_object(out);
    json_out_member_string(out, "theme", "dark");
    json_out_member_string(out, "language", "en");
    json_out_close_object(out);
}

static void write_activity(struct json_out *out, struct text id)
{
    (void)id;
    json_out_open_array(out);
    json_out_text_value(out, TEXT("login"));
    json_out_text_value(out, TEXT("purchase"));
    json_out_close_array(out);
}

typedef void writer(struct json_out *out, struct text id);

static void answer(struct http_request *request, const tr_msg *reply, writer *write)
{
    if (reply == NULL) {
        http_answer_call_failed(request, TR_E_NOPROC);
        return;
    }
    write(http_answer_out(request), http_request_param(request, 0));
    http_answer_json(request, 200);
}

#define DEMO_ROUTE(what, ms_)                                                                                \
    static void what##_came(struct http_request *request, unsigned tag, const tr_msg *reply, tr_term reason) \
    {                                                                                                        \
        (void)tag;                                                                                           \
        (void)reason;                                                                                        \
        answer(request, reply, write_##what);                                                                \
    }                                                                                                        \
    void demo_route_##what(struct http_request *request)                                                     \
    {                                                                                                        \
        http_request_ask(request, tr_whereis(tr_to_name(tr_atom("profiles.demo"))),                          \
                         TR_MSG(demo_ask, .ms = (ms_)), what##_came);                                        \
    }

DEMO_ROUTE(users, USERS_MS)
DEMO_ROUTE(preferences, PREFERENCES_MS)
DEMO_ROUTE(activity, ACTIVITY_MS)
