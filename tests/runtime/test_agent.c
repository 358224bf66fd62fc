/* Agents: what the scenarios of tests/conformance/scenarios/agent cannot see: types, memory, terms, reports. */
#include "tests/runtime/stage.h"

typedef struct stock {
    int64_t left;
    tr_term note; /* kept */
} stock;
typedef struct basket {
    int64_t items;
} basket;

TR_MESSAGE_EMPTY(nothing);
TR_MESSAGE(amount, { int64_t n; });
TR_MESSAGE_TERMS(
    note,
    {
        int64_t n;
        tr_term first;
        tr_term second;
    },
    offsetof(note, first), offsetof(note, second));
TR_MESSAGE_BLOBS(
    parcel, { tr_blob *blob; }, offsetof(parcel, blob));

static void stock_init(stock *self, const void *arg)
{
    if (arg != NULL && *(const int64_t *)arg < 0) {
        tr_exit(tr_atom("negative"));
    }
    self->left = arg == NULL ? 0 : *(const int64_t *)arg;
}

static tr_term stock_format(const stock *self)
{
    return tr_tuple(tr_atom("left"), tr_int(self->left));
}

TR_AGENT(stock, .init = stock_init, .format_state = stock_format);
TR_AGENT(basket);

static tr_pid an_agent(int64_t begin)
{
    tr_started started = {.pid = TR_NO_PID};
    EXPECT(tr_agent_start(TR_AGENT_OF(stock), &begin, sizeof begin, NULL, &started) == TR_OK);
    return started.pid;
}

static tr_pid a_basket(void)
{
    tr_started started = {.pid = TR_NO_PID};
    EXPECT(tr_agent_start(TR_AGENT_OF(basket), NULL, 0, NULL, &started) == TR_OK);
    return started.pid;
}

/* ---- functions ---- */

static void left(const stock *self, const nothing *unused, amount *out)
{
    (void)unused;
    out->n = self->left;
}

static void add(stock *self, const amount *by)
{
    self->left += by->n;
}

static void take(stock *self, const amount *by, amount *taken)
{
    taken->n = by->n < self->left ? by->n : self->left;
    self->left -= taken->n;
}

static void count(const basket *self, const nothing *unused, amount *out)
{
    (void)unused;
    out->n = self->items;
}

static void nap(stock *self, const amount *ms)
{
    tr_sleep(ms->n);
    self->left++;
}

static void crash(stock *self, const note *why)
{
    (void)self;
    tr_exit(tr_tuple(why->first, why->second));
}

static void keep_note(stock *self, const note *n)
{
    tr_free_term(self->note);
    self->note = tr_keep(tr_list(n->first, n->second));
}

static void read_note(const stock *self, const nothing *unused, note *out)
{
    (void)unused;
    EXPECT(out->n == 0 && tr_is_none(out->second));
    out->first = self->note;
}

static tr_blob *shared_blob;

static void give_blob(const stock *self, const nothing *unused, parcel *out)
{
    (void)self;
    (void)unused;
    out->blob = shared_blob;
}

static void take_parcel(stock *self, const parcel *unused)
{
    (void)unused;
    self->left++;
}

static int64_t left_of(tr_pid agent)
{
    amount got = {-1};
    EXPECT(TR_AGENT_GET(agent, 5000, stock, left, amount, &got, nothing) == TR_OK);
    return got.n;
}

/* ---- scenes ---- */

SCENE(agent, functions_read_change_and_do_both)
{
    tr_pid agent = an_agent(5);
    amount got = {0};
    EXPECT(left_of(agent) == 5);
    EXPECT(TR_AGENT_UPDATE(agent, 5000, stock, add, amount, .n = 2) == TR_OK);
    EXPECT(TR_AGENT_CAST(agent, stock, add, amount, .n = 3) == TR_OK);
    EXPECT(TR_AGENT_GET_AND_UPDATE(agent, 5000, stock, take, amount, &got, amount, .n = 100) == TR_OK);
    EXPECT(got.n == 10);
    EXPECT(left_of(agent) == 0);
    EXPECT(tr_agent_stop(tr_to(agent), TR_ATOM(NORMAL), TR_INFINITY, NULL) == TR_OK);
    EXPECT(TR_AGENT_CAST(agent, stock, add, amount, .n = 1) == TR_OK);
    EXPECT(TR_AGENT_UPDATE(agent, 5000, stock, add, amount, .n = 1) == TR_E_NOPROC);
    REPORTED();
}

SCENE(agent, without_init_the_state_is_zeroed)
{
    amount got = {-1};
    EXPECT(TR_AGENT_GET(a_basket(), 5000, basket, count, amount, &got, nothing) == TR_OK);
    EXPECT(got.n == 0);
}

SCENE(agent, a_crash_in_init_fails_the_start_with_its_reason)
{
    int64_t begin = -1;
    tr_started started = {.pid = TR_NO_PID};
    EXPECT(tr_agent_start(TR_AGENT_OF(stock), &begin, sizeof begin, NULL, &started) == TR_E_EXIT);
    TERM_IS(started.reason, "negative");
}

SCENE(agent, a_function_for_another_state_never_runs)
{
    tr_pid agent = a_basket();
    tr_term reason = TR_TERM_NONE_VALUE;
    amount got = {-1};
    const tr_agent_job *job = TR_AGENT_ASK_JOB(stock, const stock, left, amount, nothing);
    EXPECT(tr_agent_call(tr_to(agent), job, 5000, &got, &reason) == TR_E_EXIT);
    TERM_IS(reason, "function_clause");
    EXPECT(got.n == -1);
    EXPECT(!tr_is_alive(agent));
}

SCENE(agent, a_crash_ends_the_agent_and_reaches_the_caller_with_its_terms)
{
    tr_pid agent = an_agent(3);
    tr_term reason = TR_TERM_NONE_VALUE;
    const tr_agent_job *job = TR_AGENT_TELL_JOB(stock, crash, note, .first = tr_atom("sold_out"),
                                                .second = tr_list(tr_int(1), tr_string("two")));
    EXPECT(tr_agent_call(tr_to(agent), job, 5000, NULL, &reason) == TR_E_EXIT);
    TERM_IS(reason, "{sold_out,[1,\"two\"]}");
    EXPECT(!tr_is_alive(agent));
    REPORTED("gen_server.terminated {sold_out,[1,\"two\"]} last tr__agent_request state {left,3}",
             "process.crashed {sold_out,[1,\"two\"]}");
}

SCENE(agent, terms_travel_both_ways)
{
    tr_pid agent = an_agent(0);
    note got = {.n = 7};
    tr_scratch_mark mark = tr_scratch();
    EXPECT(TR_AGENT_CAST(agent, stock, keep_note, note, .first = tr_tuple(tr_atom("a"), tr_string("text")),
                         .second = tr_int(2)) == TR_OK);
    tr_scratch_release(mark); /* the argument is a copy */
    EXPECT(TR_AGENT_GET(agent, 5000, stock, read_note, note, &got, nothing) == TR_OK);
    TERM_IS(got.first, "[{a,\"text\"},2]");
    EXPECT(got.n == 0);
}

SCENE(agent, a_result_may_have_a_blob)
{
    tr_pid agent = an_agent(0);
    parcel got = {NULL};
    shared_blob = tr_blob_new("abc", 3);
    EXPECT(TR_AGENT_GET(agent, 5000, stock, give_blob, parcel, &got, nothing) == TR_OK);
    EXPECT(got.blob != NULL && got.blob->size == 3 && memcmp(got.blob->bytes, "abc", 3) == 0);
    tr_blob_drop(shared_blob);
}

static void sends_a_blob(const void *agent)
{
    (void)TR_AGENT_CAST(*(const tr_pid *)agent, stock, take_parcel, parcel, .blob = NULL);
}

SCENE(agent, a_blob_in_an_argument_ends_the_caller)
{
    tr_pid agent = an_agent(0);
    tr_pid caller;
    tr_ref end;
    EXPECT(tr_spawn(&(tr_spawn_opts){.monitor = &end}, sends_a_blob, &agent, sizeof agent, &caller) == TR_OK);
    const tr_down_msg *down = tr_msg_data(tr_receive_ref(end, 5000));
    EXPECT(tr_is_tagged(down->reason, "check_failed", 4));
    EXPECT(left_of(agent) == 0);
}

SCENE(agent, a_call_that_times_out_leaves_no_monitor_and_no_reply_and_its_function_runs)
{
    tr_pid agent = an_agent(0);
    tr_process_info info;
    EXPECT(TR_AGENT_UPDATE(agent, 100, stock, nap, amount, .n = 200) == TR_E_TIMEOUT);
    tr_sleep(200);
    EXPECT(left_of(agent) == 1);
    EXPECT(tr_receive(NULL, NULL, 0) == NULL);
    EXPECT(tr_process_info_of(agent, false, 5000, &info) == TR_OK);
    EXPECT(info.monitored_by_count == 0 && info.monitor_count == 0);
}

SCENE(agent, killed_with_requests_queued_it_leaves_nothing)
{
    tr_pid agent = an_agent(0);
    EXPECT(TR_AGENT_CAST(agent, stock, nap, amount, .n = 1000) == TR_OK);
    for (int i = 0; i < 100; i++) {
        EXPECT(TR_AGENT_CAST(agent, stock, keep_note, note, .first = tr_string("a text of some length"),
                             .second = tr_int(i)) == TR_OK);
    }
    tr_sleep(1);
    tr_exit_signal(tr_to(agent), TR_ATOM(KILL));
    EXPECT(!tr_is_alive(agent));
}

static void replace(void *self, void *to)
{
    ((stock *)self)->left = *(int64_t *)to;
}

SCENE(agent, sys_sees_and_replaces_the_state_itself)
{
    tr_pid agent = an_agent(4);
    tr_term state = TR_TERM_NONE_VALUE;
    int64_t to = 9;
    tr_sys_statistics statistics;
    EXPECT(tr_sys_get_state(tr_to(agent), 5000, &state) == TR_OK);
    TERM_IS(state, "{left,4}");
    EXPECT(tr_sys_replace_state(tr_to(agent), replace, &to, 5000) == TR_OK);
    EXPECT(tr_sys_statistics_on(tr_to(agent), true, 5000) == TR_OK);
    EXPECT(left_of(agent) == 9);
    EXPECT(tr_sys_statistics_get(tr_to(agent), 5000, &statistics) == TR_OK);
    EXPECT(statistics.messages_in == 1 && statistics.messages_out == 1);
    EXPECT(tr_sys_get_state(tr_to(a_basket()), 5000, &state) == TR_OK);
    TERM_IS(state, "{basket,8}");
}

SCENE(agent, a_job_with_a_result_cannot_be_cast)
{
    tr_pid agent = an_agent(0);
    const tr_agent_job *job = TR_AGENT_ASK_JOB(stock, const stock, left, amount, nothing);
    EXPECT(tr_agent_cast(tr_to(agent), job) == TR_OK);
    tr_sleep(1);
    EXPECT(!tr_is_alive(agent));
}

SCENE(agent, it_is_a_child_like_any_server)
{
    int64_t begin = 6;
    tr_child_spec child = {.id = tr_atom("stock"),
                           .server = &TR_AGENT_OF(stock)->server,
                           .arg = &begin,
                           .arg_bytes = sizeof begin,
                           .start = {.name = tr_atom("stock")}};
    tr_supervisor top = {.name = "top", .children = &child, .child_count = 1};
    tr_started started;
    amount got = {0};
    EXPECT(tr_supervisor_start_link(&top, NULL, 0, NULL, &started) == TR_OK);
    EXPECT(TR_AGENT_UPDATE(tr_atom("stock"), 5000, stock, add, amount, .n = 1) == TR_OK);
    tr_exit_signal(tr_to_name(tr_atom("stock")), TR_ATOM(KILL));
    tr_sleep(1);
    EXPECT(TR_AGENT_GET(tr_atom("stock"), 5000, stock, left, amount, &got, nothing) == TR_OK);
    EXPECT(got.n == 6);
}
