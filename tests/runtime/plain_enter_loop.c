/* Processes that drop their frames on real workers: they hibernate, then become servers, while others wake, call and
 * kill them. Nobody hears a wrong answer, nobody is left, and every byte was given back. */
#include <stdatomic.h>

#include "tests/runtime/workers.h"

#if PLAIN_SLOWER > 1
enum { ROUNDS = 100 };
#else
enum { ROUNDS = 1000 };
#endif
enum { CLIENTS = 6 };

TR_MESSAGE(poke, { int64_t n; });
TR_MESSAGE(told, { int64_t n; });

static atomic_uint finished, answered, killed;

typedef struct echo {
    int64_t base;
} echo;

static tr_next echo_handle_call(echo *self, tr_from from, const tr_msg *msg)
{
    const poke *asked = TR_MATCH(msg, poke);
    return asked == NULL ? tr_unexpected(msg) : TR_REPLY(from, told, .n = self->base + asked->n);
}
TR_GEN_SERVER(echo, .handle_call = echo_handle_call);

static void becomes_a_server(const void *arg)
{
    const echo state = {.base = *(const int64_t *)arg};
    (void)TR_RECEIVE(poke, 0); /* what woke it; held, and freed with the frames */
    tr_gen_server_enter_loop(echo_server, &state, TR_INIT_OK);
}

static void sleeps_first(const void *arg)
{
    const int64_t base = *(const int64_t *)arg;
    tr_hibernate(becomes_a_server, &base, sizeof base);
}

static void client(const void *arg)
{
    unsigned seed = *(const unsigned *)arg;
    for (int i = 0; i < ROUNDS; i++) {
        tr_pid pid;
        told got = {0};
        int64_t base = rand_r(&seed);
        bool killed_first = rand_r(&seed) % 4 == 0;
        PLAIN_CHECK(tr_spawn(NULL, sleeps_first, &base, sizeof base, &pid) == TR_OK);
        if (rand_r(&seed) % 2 == 0) {
            tr_yield();
        }
        TR_SEND(pid, poke, .n = 0);
        if (killed_first) {
            tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
        }
        tr_err err = TR_CALL(pid, TR_INFINITY, told, &got, poke, .n = i);
        PLAIN_CHECK(killed_first ? err == TR_E_NOPROC || err == TR_E_EXIT
                                 : err == TR_OK && got.n == base + i);
        atomic_fetch_add(err == TR_OK ? &answered : &killed, 1U);
        tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
    }
    atomic_fetch_add(&finished, 1U);
}

static void all_at_once(const void *arg)
{
    unsigned seed = *(const unsigned *)arg;
    for (int i = 0; i < CLIENTS; i++) {
        unsigned own = (unsigned)rand_r(&seed);
        PLAIN_CHECK(tr_spawn(NULL, client, &own, sizeof own, NULL) == TR_OK);
    }
    while (atomic_load(&finished) < CLIENTS) {
        tr_sleep(5);
    }
}

PLAIN_TEST(sleepers_that_become_servers_answer_or_are_gone)
{
    unsigned seed = plain_seed();
    run_on_workers(all_at_once, &seed, sizeof seed, NULL);
    PLAIN_CHECK(atomic_load(&answered) > 0 && atomic_load(&killed) > 0);
    printf("%u answered, %u killed before\n", atomic_load(&answered), atomic_load(&killed));
}
