/* The node: starting and stopping all cores, references, statistics, joining, virtual time. */
#define _GNU_SOURCE
#include <troupe/node.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/core/core.h"
#include "runtime/core/fatal.h"
#include "runtime/core/foreign.h"
#include "runtime/core/mem.h"
#include "runtime/core/report.h"
#include "runtime/sim/sim.h"
#include "runtime/sys/clock.h"
#include "runtime/sys/lock.h"

#define STACK_BYTES           ((size_t)64 * 1024)
#define STACK_BYTES_SANITIZED ((size_t)256 * 1024)

tr__node tr__the_node;

static pthread_barrier_t barrier; /* cores and the stopper meet here when the node stops */

/* ---- how many workers
 * ------------------------------------------------------------------------------------------- */

/* Quota of cgroup v2 in whole CPUs, rounded up; 0 when there is none. */
static int cgroup_cpus(void)
{
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "re");
    if (file == NULL) {
        return 0;
    }
    char line[64] = "";
    bool got = fgets(line, sizeof(line), file) != NULL;
    fclose(file);
    char *rest = line;
    long long quota = strtoll(line, &rest, 10); /* "max 100000" when there is none: 0 */
    long long period = strtoll(rest, NULL, 10);
    return got && period > 0 && quota > 0 ? (int)((quota + period - 1) / period) : 0;
}

static int cpus_allowed(void)
{
    cpu_set_t set;
    int cpus = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    int quota = cgroup_cpus();
    if (quota > 0 && quota < cpus) {
        cpus = quota;
    }
    return cpus < 1 ? 1 : cpus > TR__CORE_MAX ? TR__CORE_MAX : cpus;
}

int tr_node_workers_of(int asked)
{
    int workers = asked <= 0 ? cpus_allowed() : asked;
    return workers > TR__CORE_MAX ? TR__CORE_MAX : workers;
}

static void opts_complete(tr_node_opts *opts)
{
    opts->workers = opts->virtual_time ? 1 : tr_node_workers_of(opts->workers);
    if (opts->process_max == 0) {
        opts->process_max = 1u << 20;
    } else if (opts->process_max > 1u << 24) {
        opts->process_max = 1u << 24;
    }
    if (opts->stack_bytes == 0) {
#if defined(__SANITIZE_ADDRESS__)
        opts->stack_bytes = STACK_BYTES_SANITIZED;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
        opts->stack_bytes = STACK_BYTES_SANITIZED;
#else
        opts->stack_bytes = STACK_BYTES;
#endif
#else
        opts->stack_bytes = STACK_BYTES;
#endif
    }
    long page = sysconf(_SC_PAGESIZE);
    opts->stack_bytes = (opts->stack_bytes + (size_t)page - 1) / (size_t)page * (size_t)page;
    if (opts->stack_max == 0) {
        opts->stack_max = 16384;
    }
}

/* ---- starting
 * --------------------------------------------------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int ready;
    tr_err err;
} starting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, TR_OK};

static void core_is_ready(tr_err err)
{
    pthread_mutex_lock(&starting.lock);
    starting.ready++;
    if (err != TR_OK) {
        starting.err = err;
    }
    pthread_cond_signal(&starting.changed);
    pthread_mutex_unlock(&starting.lock);
}

/* Everything that was posted runs, the hooks close what they opened, the thread's scratch goes. */
static void core_last_words(tr__core *core)
{
    const tr_core_hooks *hooks = &tr__the_node.opts.hooks;
    tr__core_enter(core);
    while (tr__core_run_posts(core)) {
    }
    if (hooks->stop != NULL && core->loop_open) {
        hooks->stop(core->index, &core->loop, hooks->ctx);
    }
    tr__core_enter(NULL);
}

static void *core_thread(void *arg)
{
    tr__core *core = arg;
    tr__node *node = &tr__the_node;
    tr__core_enter(core);
    const tr_core_hooks *hooks = &node->opts.hooks;
    core_is_ready(hooks->start == NULL ? TR_OK : hooks->start(core->index, &core->loop, hooks->ctx));
    tr__core_enter(NULL);
    tr__core_main(core);
    pthread_barrier_wait(&barrier); /* all cores are out of their turns */
    pthread_barrier_wait(&barrier); /* the stopper has buried everyone  */
    core_last_words(core);
    return NULL;
}

static void threads_start(tr__node *node)
{
    starting.ready = 0;
    starting.err = TR_OK;
    for (int i = 0; i < node->core_count; i++) {
        TR_ASSERT(pthread_create(&node->cores[i].thread, NULL, core_thread, &node->cores[i]) == 0);
        char name[16];
        snprintf(name, sizeof(name), "core.%u", (unsigned)i % 100u);
        pthread_setname_np(node->cores[i].thread, name);
    }
    pthread_mutex_lock(&starting.lock);
    while (starting.ready < node->core_count) {
        pthread_cond_wait(&starting.changed, &starting.lock);
    }
    pthread_mutex_unlock(&starting.lock);
}

static void stats_reset(tr__stats *stats)
{
    tr__store_relaxed(&stats->spawned, (uint64_t)0);
    tr__store_relaxed(&stats->buried, (uint64_t)0);
    tr__store_relaxed(&stats->sent, (uint64_t)0);
    tr__store_relaxed(&stats->dead_letter, (uint64_t)0);
    tr__store_relaxed(&stats->refused, (uint64_t)0);
    tr__store_relaxed(&stats->slices, (uint64_t)0);
    tr__store_relaxed(&stats->steals, (uint64_t)0);
    tr__store_relaxed(&stats->wakeups, (uint64_t)0);
    tr__store_relaxed(&stats->parked, (uint64_t)0);
    tr__store_relaxed(&stats->bytes_allocated, (uint64_t)0);
    tr__store_relaxed(&stats->bytes_freed, (uint64_t)0);
}

tr_err tr_node_start(const tr_node_opts *opts)
{
    tr__node *node = &tr__the_node;
    if (node->running) {
        return TR_E_STATE;
    }
    memset(node, 0, offsetof(tr__node, foreign));
    stats_reset(&node->foreign);
    if (opts != NULL) {
        node->opts = *opts;
    }
    opts_complete(&node->opts);
    int simulated = node->opts.virtual_time ? tr__sim_begin() : 0;
    node->opts.workers = simulated != 0 ? simulated : node->opts.workers;
    tr__fatal_hook = node->opts.fatal;
    node->core_count = node->opts.workers;
    node->cores = aligned_alloc(128, (size_t)node->core_count * sizeof(tr__core));
    if (node->cores == NULL) {
        return TR_E_NOMEM;
    }
    memset(node->cores, 0, (size_t)node->core_count * sizeof(tr__core));
    pthread_mutex_init(&node->global_lock, NULL);
    node->global_tail = &node->global_head;
    tr__table_init(node->opts.process_max);
    if (node->opts.virtual_time) {
        tr__clock_virtual(true, (uint64_t)1000 * 1000 * 1000 * 1000);
    }
    for (int i = 0; i < node->core_count; i++) {
        tr__core_init(&node->cores[i], i);
    }
    if (simulated != 0) {
        tr__sim_cores(tr__core_main, node->cores, sizeof(tr__core), node->core_count);
    }
    node->running = true;
    tr__foreign_open();
    if (node->opts.virtual_time) {
        return TR_OK;
    }
    pthread_barrier_init(&barrier, NULL, (unsigned)node->core_count + 1);
    threads_start(node);
    if (starting.err != TR_OK) {
        tr_err err = starting.err;
        tr_node_stop();
        return err;
    }
    return TR_OK;
}

/* ---- stopping
 * --------------------------------------------------------------------------------------------------- */

static bool timer_is_due(int core)
{
    return tr__wheel_next(tr__the_node.cores[core].wheel) <= tr__clock_ms();
}

/* When all cores sleep: a queue that holds something lost its wake-up. */
static const char *work_is_left(void)
{
    for (int i = 0; i < tr__the_node.core_count; i++) {
        const tr__core *core = &tr__the_node.cores[i];
        if (core->inbox != NULL || core->posts != NULL || core->lifo != NULL || core->pinned_head != NULL) {
            return "every core sleeps and a core's inbox holds work";
        }
    }
    return tr__work_is_queued() ? "every core sleeps and work is queued" : NULL;
}

static const char *nothing_is_stuck(void)
{
    return NULL;
}

static void bury_all(void)
{
    uint32_t slots = tr__table_slots();
    for (uint32_t i = 0; i < slots; i++) {
        tr__proc *proc = tr__table_slot(i);
        if (proc->pid == TR_NO_PID) {
            continue;
        }
        if (proc->stack != NULL) {
            tr__stack_destroy(proc->stack);
            proc->stack = NULL;
        }
        tr__proc_doom(proc, TR_ATOM(KILLED), true);
        tr__proc_bury(proc);
    }
}

static void posts_free(tr__core *core)
{
    while (core->posts != NULL) {
        struct tr__post *post = core->posts;
        core->posts = post->next;
        free(post);
    }
}

/* What the cores counted outlives them: sums can still be compared when all is over. */
static void stats_fold(tr__stats *total, const tr__stats *part)
{
    tr__add_relaxed(&total->spawned, part->spawned);
    tr__add_relaxed(&total->buried, part->buried);
    tr__add_relaxed(&total->sent, part->sent);
    tr__add_relaxed(&total->dead_letter, part->dead_letter);
    tr__add_relaxed(&total->refused, part->refused);
    tr__add_relaxed(&total->slices, part->slices);
    tr__add_relaxed(&total->steals, part->steals);
    tr__add_relaxed(&total->wakeups, part->wakeups);
    tr__add_relaxed(&total->parked, part->parked);
    tr__add_relaxed(&total->bytes_allocated, part->bytes_allocated);
    tr__add_relaxed(&total->bytes_freed, part->bytes_freed);
}

void tr_node_stop(void)
{
    tr__node *node = &tr__the_node;
    if (!node->running) {
        return;
    }
    tr__store_seq(&node->stopping, 1u);
    bool threads = !node->opts.virtual_time;
    for (int i = 0; i < node->core_count && (threads || tr__sim_is_on()); i++) {
        tr__store_seq(&node->cores[i].sleeping, 0u);
        tr__core_ring(&node->cores[i]);
    }
    if (threads) {
        pthread_barrier_wait(&barrier);
    } else if (tr__sim_is_on()) {
        tr__sim_run(timer_is_due, nothing_is_stuck);
    }
    tr__foreign_shut();
    bury_all();
    if (threads) {
        pthread_barrier_wait(&barrier);
        for (int i = 0; i < node->core_count; i++) {
            pthread_join(node->cores[i].thread, NULL);
        }
        pthread_barrier_destroy(&barrier);
    }
    for (int i = 0; i < node->core_count && !threads; i++) {
        core_last_words(&node->cores[i]);
    }
    tr__names_fini();
    for (int i = 0; i < node->core_count; i++) {
        posts_free(&node->cores[i]);
        tr__core_fini(&node->cores[i]);
        stats_fold(&node->foreign, &node->cores[i].stats);
    }
    tr__table_fini();
    tr__mem_fini();
    pthread_mutex_destroy(&node->global_lock);
    free(node->cores);
    if (node->opts.virtual_time) {
        tr__clock_virtual(false, 0);
        tr__sim_end();
    }
    node->cores = NULL;
    node->core_count = 0;
    node->stacks = 0;
    node->running = false;
    tr__foreign_done();
}

/* ---- joining
 * ---------------------------------------------------------------------------------------------------- */

struct joiner {
    struct joiner *next;
    tr_pid pid;
    bool done;
    tr_term reason; /* kept */
};

#define JOIN_CLASSES 64u

static struct {
    pthread_mutex_t lock;
    pthread_cond_t done;
    struct joiner *list;
    uint32_t
        counts[JOIN_CLASSES]; /* atomic: joiners of pids of each class, so that other ends need no lock */
} joining = {.lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};

static uint32_t join_class(tr_pid pid)
{
    return TR_PID_SLOT(pid) % JOIN_CLASSES;
}

void tr__join_notify(tr_pid pid, tr_term reason)
{
    if (tr__load_seq(&joining.counts[join_class(pid)]) == 0) {
        return;
    }
    tr__lock(&joining.lock);
    for (struct joiner *joiner = joining.list; joiner != NULL; joiner = joiner->next) {
        if (joiner->pid == pid) {
            joiner->reason = tr_term_keep(reason);
            joiner->done = true;
            pthread_cond_broadcast(&joining.done);
        }
    }
    tr__unlock(&joining.lock);
}

/* Lock held. */
static void joiner_leave(struct joiner *joiner)
{
    struct joiner **at = &joining.list;
    while (*at != joiner) {
        at = &(*at)->next;
    }
    *at = joiner->next;
    tr__sub_seq(&joining.counts[join_class(joiner->pid)], 1u);
}

static bool slot_is_held(tr_pid pid)
{
    tr__proc *proc = pid == TR_NO_PID ? NULL : tr__table_at(pid);
    return proc != NULL && tr__load_seq(&proc->pid) == pid;
}

void tr_node_join(tr_pid pid, tr_term *reason)
{
    struct joiner joiner = {.pid = pid};
    tr__lock(&joining.lock);
    joiner.next = joining.list;
    joining.list = &joiner;
    tr__add_seq(&joining.counts[join_class(pid)], 1u);
    while (!joiner.done && slot_is_held(pid)) {
        pthread_cond_wait(&joining.done, &joining.lock);
    }
    joiner_leave(&joiner);
    tr__unlock(&joining.lock);
    if (reason != NULL) {
        size_t bytes = tr_term_flat_bytes(joiner.reason);
        *reason = !joiner.done ? TR_ATOM(NOPROC)
                  : bytes == 0 ? joiner.reason
                               : tr_term_flatten(joiner.reason, tr_scratch_alloc(bytes));
    }
    tr_term_free(joiner.reason);
}

struct main_args {
    tr_main_fn fn;
    const void *arg;
};

static void main_process(const void *arg)
{
    const struct main_args *args = arg;
    args->fn(args->arg);
}

int tr_node_run(const tr_node_opts *opts, tr_main_fn fn, const void *arg)
{
    tr_err err = tr_node_start(opts);
    if (err != TR_OK) {
        fprintf(stderr, "troupe: cannot start: %s\n", tr_err_text(err));
        return 1;
    }
    struct main_args args = {.fn = fn, .arg = arg};
    tr__spawn spawn = {.main = main_process,
                       .arg = &args,
                       .arg_bytes = sizeof(args),
                       .report_crash = true,
                       .opts = {.label = "main"}};
    struct joiner joiner = {.next = NULL};
    tr__lock(&joining.lock);
    /* Its pid is not known yet: until it is, every end looks into the list, and waits for the lock we hold.
     * */
    for (uint32_t i = 0; i < JOIN_CLASSES; i++) {
        tr__add_seq(&joining.counts[i], 1u);
    }
    err = tr__spawn_process(&spawn, &joiner.pid);
    for (uint32_t i = 0; i < JOIN_CLASSES; i++) {
        tr__sub_seq(&joining.counts[i], i == join_class(joiner.pid) ? 0u : 1u);
    }
    joiner.next = joining.list;
    joining.list = &joiner;
    while (err == TR_OK && !joiner.done) {
        pthread_cond_wait(&joining.done, &joining.lock);
    }
    joiner_leave(&joiner);
    tr__unlock(&joining.lock);
    bool clean = err == TR_OK && tr_reason_is_clean(joiner.reason);
    tr_term_free(joiner.reason);
    tr_node_stop();
    return clean ? 0 : 1;
}

/* ---- small things
 * ----------------------------------------------------------------------------------------------- */

int tr_node_workers(void)
{
    return tr__the_node.core_count;
}

int tr_node_core(void)
{
    tr__core *core = tr__core_self();
    return core == NULL ? -1 : core->index;
}

void tr_node_post(int core, void (*fn)(void *ctx), void *ctx)
{
    TR_ASSERT(core >= 0 && core < tr__the_node.core_count);
    tr__core *to = &tr__the_node.cores[core];
    struct tr__post *post = malloc(sizeof(*post));
    TR_ASSERT(post != NULL);
    *post = (struct tr__post){.fn = fn, .ctx = ctx};
    struct tr__post *head = tr__load_relaxed(&to->posts);
    do {
        post->next = head;
    } while (!tr__cas_seq(&to->posts, &head, post));
    tr__core_wake(to);
}

static uint64_t foreign_refs;

tr_ref tr__ref_new(tr_pid owner)
{
    tr__core *core = tr__core_self();
    uint64_t count = core != NULL ? ++core->refs : tr__add_relaxed(&foreign_refs, (uint64_t)1) + 1;
    uint64_t at = core != NULL ? (uint64_t)core->index : 255;
    return (tr_ref){.owner = owner, .id = at << 56 | count};
}

static void stats_add(tr_node_stats *out, const tr__stats *stats)
{
    out->processes_spawned += tr__load_relaxed(&stats->spawned);
    out->processes += tr__load_relaxed(&stats->spawned) - tr__load_relaxed(&stats->buried);
    out->messages_sent += tr__load_relaxed(&stats->sent);
    out->messages_dead_letter += tr__load_relaxed(&stats->dead_letter);
    out->messages_refused += tr__load_relaxed(&stats->refused);
    out->slices += tr__load_relaxed(&stats->slices);
    out->steals += tr__load_relaxed(&stats->steals);
    out->wakeups += tr__load_relaxed(&stats->wakeups);
    out->parked += tr__load_relaxed(&stats->parked);
    out->bytes_allocated += tr__load_relaxed(&stats->bytes_allocated);
    out->bytes_freed += tr__load_relaxed(&stats->bytes_freed);
}

void tr_node_stats_get(tr_node_stats *out)
{
    tr__node *node = &tr__the_node;
    memset(out, 0, sizeof(*out));
    stats_add(out, &node->foreign);
    for (int i = 0; i < node->core_count; i++) {
        tr__core *core = &node->cores[i];
        stats_add(out, &core->stats);
        out->timers += tr__timers_count(core->timers);
        out->stacks_free += tr__load_relaxed(&core->stacks_free);
    }
    out->stacks = tr__load_relaxed(&node->stacks);
}

/* ---- virtual time
 * ----------------------------------------------------------------------------------------------- */

static void run_until_quiet(tr__core *core)
{
    int64_t now = tr__clock_ms();
    do {
        while (tr__core_run_some(core) || tr__core_drain(core)) {
        }
    } while (tr__wheel_next(core->wheel) <= now && tr__wheel_advance(core->wheel, now, 1) > 0);
}

void tr_virtual_run(void)
{
    tr__core *core = &tr__the_node.cores[0];
    TR_ASSERT(tr__the_node.opts.virtual_time && tr__core_self() == NULL);
    if (tr__sim_is_on()) {
        tr__sim_run(timer_is_due, work_is_left);
        return;
    }
    tr__core_enter(core);
    tr__home_init(&core->home);
    run_until_quiet(core);
    tr__core_enter(NULL);
}

static int64_t next_deadline(void)
{
    int64_t next = INT64_MAX;
    for (int i = 0; i < tr__the_node.core_count; i++) {
        int64_t of_core = tr__wheel_next(tr__the_node.cores[i].wheel);
        next = of_core < next ? of_core : next;
    }
    return next;
}

void tr_virtual_advance(int64_t ms)
{
    int64_t end = tr__clock_ms() + ms;
    tr_virtual_run();
    for (int64_t next = next_deadline(); next <= end; next = next_deadline()) {
        if (next > tr__clock_ms()) {
            tr__clock_set((uint64_t)next * 1000000u);
        }
        tr_virtual_run();
    }
    tr__clock_set((uint64_t)end * 1000000u);
    tr_virtual_run();
}
