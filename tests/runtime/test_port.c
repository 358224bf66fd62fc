/* Ports: answers and ends reach the code that asked, whichever way it asked. Virtual time; this thread is the core's. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <troupe/troupe.h>

TR_MESSAGE(question, { int64_t n; });
TR_MESSAGE(reply, { int64_t n; });

typedef struct answerer {
    tr_from held;
} answerer;

/* 0 is never answered; 1 is answered with the next one. */
static tr_next answerer_handle_call(answerer *self, tr_from from, const tr_msg *msg)
{
    const question *asked = TR_MATCH(msg, question);
    if (asked->n == 0) {
        return TR_NOREPLY;
    }
    if (asked->n == 1) {
        self->held = from;
        return TR_NOREPLY;
    }
    if (self->held.ref.id != 0) {
        TR_ANSWER(self->held, reply, .n = 1);
    }
    return TR_REPLY(from, reply, .n = asked->n);
}
TR_GEN_SERVER(answerer, .handle_call = answerer_handle_call);

static char heard[512];

static void hear(void *ctx, uint64_t number, const tr_msg *answer, tr_term reason)
{
    size_t used = strlen(heard);
    char why[64] = "";
    const reply *got = TR_MATCH(answer, reply);
    if (got == NULL) {
        tr_term_print(reason, why, sizeof why);
    } else {
        snprintf(why, sizeof why, "%d", (int)got->n);
    }
    snprintf(heard + used, sizeof heard - used, "%s%d:%s ", (const char *)ctx, (int)number, why);
}

static tr_pid port_a, port_b, server;

static void start_server(const void *arg)
{
    (void)arg;
    tr_started started;
    TR_CHECK(tr_gen_server_start(answerer_server, NULL, 0, NULL, &started) == TR_OK);
    server = started.pid;
}

static tr_pid open_port(const char *name)
{
    tr_pid port;
    tr_port_opts opts = {.core = 0, .label = name, .answer = hear, .ctx = (void *)(uintptr_t)name};
    cr_assert(tr_port_open(&opts, &port) == TR_OK);
    return port;
}

static void setup(void)
{
    heard[0] = '\0';
    cr_assert(tr_node_start(&(tr_node_opts){.virtual_time = true}) == TR_OK);
    cr_assert(tr_spawn(NULL, start_server, NULL, 0, NULL) == TR_OK);
    port_a = open_port("a");
    port_b = open_port("b");
    tr_virtual_run();
}

static void teardown(void)
{
    tr_node_stop();
}

TestSuite(port, .init = setup, .fini = teardown);

static tr_err call(tr_pid port, uint64_t number, int64_t n)
{
    return tr_port_call(port, number, tr_to(server), TR_MSG(question, .n = n));
}

static tr_err ask(tr_pid port, uint64_t number, int64_t n)
{
    return tr_port_ask(port, number, server, TR_MSG(question, .n = n));
}

static void kill_server(void)
{
    tr_exit_signal(tr_to(server), TR_ATOM(KILL));
    tr_virtual_run();
}

Test(port, a_call_brings_one_answer_or_the_end)
{
    cr_assert(call(port_a, 7, 70) == TR_OK && call(port_a, 8, 0) == TR_OK);
    tr_virtual_run();
    cr_expect_str_eq(heard, "a7:70 ");
    kill_server();
    cr_expect_str_eq(heard, "a7:70 a8:killed ");
    cr_expect(call(port_a, 9, 90) != TR_OK, "nothing will come of it, and it says so");
}

Test(port, two_ports_may_use_one_number)
{
    /* b's call is answered, a's of the same number is not: the monitor that goes must be b's */
    cr_assert(call(port_a, 7, 0) == TR_OK && call(port_b, 7, 70) == TR_OK);
    tr_virtual_run();
    cr_expect_str_eq(heard, "b7:70 ");
    kill_server();
    cr_expect_str_eq(heard, "b7:70 a7:killed ");
}

Test(port, two_ports_may_use_one_number_when_the_older_is_answered)
{
    cr_assert(call(port_a, 7, 1) == TR_OK && call(port_b, 7, 0) == TR_OK && call(port_b, 6, 60) == TR_OK);
    tr_virtual_run();
    cr_expect_str_eq(heard, "a7:1 b6:60 ");
    kill_server();
    cr_expect_str_eq(heard, "a7:1 b6:60 b7:killed ");
}

Test(port, what_was_asked_is_answered_before_the_end_is_told_or_never)
{
    cr_assert(tr_port_monitor(port_a, 1, server) == TR_OK && tr_port_monitor(port_b, 1, server) == TR_OK);
    cr_assert(ask(port_a, 7, 70) == TR_OK && ask(port_a, 8, 0) == TR_OK);
    tr_virtual_run();
    cr_expect_str_eq(heard, "a7:70 ");
    cr_assert(ask(port_b, 9, 90) == TR_OK);
    tr_virtual_run();
    tr_exit_signal(tr_to(server), TR_ATOM(KILL));
    cr_assert(ask(port_b, 10, 100) == TR_OK, "it has not heard of its death yet");
    tr_virtual_run();
    cr_expect_str_eq(heard, "a7:70 b9:90 a1:killed b1:killed ");
    cr_expect(ask(port_a, 11, 110) == TR_E_NOPROC);
    cr_expect(tr_port_monitor(port_a, 2, server) == TR_E_NOPROC);
}

Test(port, a_monitor_that_the_process_never_read_fires_too)
{
    tr_exit_signal(tr_to(server), TR_ATOM(KILL));
    cr_assert(tr_port_monitor(port_a, 3, server) == TR_OK && ask(port_a, 4, 40) == TR_OK);
    tr_virtual_run();
    cr_expect_str_eq(heard, "a3:noproc ");
}
