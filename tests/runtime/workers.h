/* workers.h: a body that runs in a process on four workers, for plain tests of behaviours. Afterwards everybody must be
 * gone, every timer, and every byte given back. */
#ifndef TESTS_RUNTIME_WORKERS_H
#define TESTS_RUNTIME_WORKERS_H

#include <troupe/troupe.h>

#include "tests/support/plain.h"

enum { WORKERS = 4 };

static inline void workers_no_report(const tr_report *report, void *ctx)
{
    (void)report;
    (void)ctx;
}

/* A body may have killed somebody who had set a timer, or who has children that take their time. */
static inline bool workers_eventually_quiet(tr_node_stats *stats)
{
    for (int i = 0; i < 20000; i++) {
        tr_node_stats_get(stats);
        if (stats->processes == 0 && stats->timers == 0) {
            return true;
        }
        usleep(1000);
    }
    return false;
}

/* The body traps exits and must end normally. meanwhile (NULL allowed) runs on the test's thread beside it. */
static inline void run_on_workers(tr_main_fn body, const void *arg, size_t arg_bytes,
                                  void (*meanwhile)(bool begins))
{
    tr_node_opts opts = {.workers = WORKERS, .report = workers_no_report};
    tr_pid pid;
    tr_term reason;
    tr_node_stats stats;
    if (!PLAIN_CHECK(tr_node_start(&opts) == TR_OK)) {
        return;
    }
    if (meanwhile != NULL) {
        meanwhile(true);
    }
    PLAIN_CHECK(tr_spawn(&(tr_spawn_opts){.trap_exit = true}, body, arg, arg_bytes, &pid) == TR_OK);
    tr_node_join(pid, &reason);
    PLAIN_CHECK(tr_same(reason, TR_ATOM(NORMAL)));
    if (meanwhile != NULL) {
        meanwhile(false);
    }
    PLAIN_CHECK(workers_eventually_quiet(&stats));
    PLAIN_CHECK(stats.bytes_allocated == stats.bytes_freed);
    tr_node_stop();
}

#endif
