/* jobs.c: a process for each event, so many at a time: a consumer supervisor asks its producer for as many jobs as it has room
 * for, and for more as they end. A job that crashes is tried again. */
#include <stdio.h>
#include <troupe/troupe.h>

enum { JOBS = 40, AT_ONCE = 4 };
TR_MESSAGE(job, { int number; });
TR_MESSAGE(job_done, { int number; });

/* ---- the producer ---- */

typedef struct queue {
    int next;
} queue;

static tr_next queue_handle_demand(queue *self, uint64_t demand)
{
    for (; demand > 0 && self->next < JOBS; demand--) {
        TR_EMIT(self, job, .number = self->next++);
    }
    return TR_NOREPLY;
}

TR_GEN_STAGE(queue, .type = TR_PRODUCER, .handle_demand = queue_handle_demand);

/* ---- a job: its argument is that of the child spec, and behind it the event ---- */

typedef struct job_arg {
    tr_pid boss;
    job what;
} job_arg;

static void work(const void *arg)
{
    static int failures; /* the first run of job 7 crashes */
    const job_arg *it = arg;
    tr_sleep(1);
    TR_CHECK(it->what.number != 7 || failures++ > 0);
    TR_SEND(it->boss, job_done, .number = it->what.number);
}

static tr_err workers_init(const void *arg, tr_consumer_supervisor_opts *opts)
{
    tr_subscription *to = tr_scratch_alloc(sizeof *to);
    *to = (tr_subscription){.to = tr_to_name(tr_atom("queue")), .max_demand = AT_ONCE};
    opts->child =
        (tr_child_spec){.main = work, .arg = arg, .arg_bytes = sizeof(tr_pid), .restart = TR_TRANSIENT};
    opts->subscribe_to = to;
    opts->subscribe_count = 1;
    return TR_OK;
}

static const tr_consumer_supervisor workers = {.name = "workers", .init = workers_init};

static void run(const void *arg)
{
    (void)arg;
    tr_pid self = tr_self();
    tr_started started;
    tr_child_spec children[2];
    children[0] =
        (tr_child_spec){.id = tr_int(1), .server = &queue_stage->server, .start = {.name = tr_atom("queue")}};
    tr_consumer_supervisor_child_spec(&workers, &self, sizeof self, tr_atom("workers"), &children[1]);
    tr_supervisor root = {
        .name = "root", .flags = {.strategy = TR_REST_FOR_ONE}, .children = children, .child_count = 2};
    TR_CHECK(tr_supervisor_start_link(&root, NULL, 0, NULL, &started) == TR_OK);
    bool done[JOBS] = {false};
    for (int i = 0; i < JOBS; i++) {
        const job_done *one = TR_RECEIVE(job_done, 30000);
        TR_CHECK(one != NULL && !done[one->number]);
        done[one->number] = true;
    }
    printf("%d jobs, %d at a time\n", JOBS, AT_ONCE);
}

int main(void)
{
    return tr_node_run(NULL, run, NULL);
}
