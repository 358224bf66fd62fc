/* Requests that bring bytes along, when memory runs out in the middle of making them: whoever ends leaves nothing. */
#include "tests/sim/scene.h"

enum { ASKERS = 4, ROUNDS = 20 };

typedef struct sum {
    int64_t total;
} sum;
TR_AGENT(sum);
TR_MESSAGE_TERMS(
    addend,
    {
        int64_t n;
        tr_term why;
    },
    offsetof(addend, why));
TR_MESSAGE(total, { int64_t n; });

static void add(sum *self, const addend *more, total *now)
{
    self->total += more->n;
    now->n = self->total;
}

static bool sees_nothing(void *own, const tr_sys_event *event)
{
    (void)own;
    (void)event;
    return true;
}

static void worker_main(const void *arg)
{
    (void)arg;
    tr_sleep(any(20));
}

static const tr_supervisor crew_module = {.name = "crew",
                                          .flags = {.strategy = TR_DYNAMIC, .max_children = 3}};

static void asks(const void *arg)
{
    tr_pid agent = *(const tr_pid *)arg;
    tr_started crew;
    char own[100] = "";
    (void)!tr_supervisor_start_link(&crew_module, NULL, 0, NULL, &crew);
    for (int i = 0; i < ROUNDS; i++) {
        total now;
        tr_term why = tr_tuple(tr_atom("round"), tr_int(i));
        (void)!TR_AGENT_GET_AND_UPDATE(agent, 100, sum, add, total, &now, addend, .n = 1, .why = why);
        (void)!tr_sys_install(tr_to(agent), tr_int(i), sees_nothing, own, sizeof own, 100);
        tr_child_spec spec = {
            .main = worker_main, .restart = TR_TEMPORARY, .arg = own, .arg_bytes = sizeof own};
        (void)tr_dynamic_supervisor_start_child(tr_to(crew.pid), &spec);
    }
}

void scene_requests_are_not_lost(const void *arg)
{
    (void)arg;
    scene_over = true; /* what counts is what is left in the end */
    tr_started agent;
    CHECK(tr_agent_start(TR_AGENT_OF(sum), NULL, 0, NULL, &agent) == TR_OK);
    tr__sim_fail(TR__SIM_MEMORY, 10 + any(100));
    for (int i = 0; i < ASKERS; i++) {
        (void)!tr_spawn(&(tr_spawn_opts){.core = any_core()}, asks, &agent.pid, sizeof agent.pid, NULL);
    }
}
