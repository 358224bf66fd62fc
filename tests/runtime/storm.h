/* storm.h: what plain tests of pools and stages share: a node with real workers whose books must balance, dice, patience.
 *
 * 1. storm() runs body in a process that traps exits; when it has ended, no process, no timer and no byte may be left.
 * 2. Dice are a word each, so that every actor plays its own game; the first comes from plain_seed(). */
#ifndef TESTS_RUNTIME_STORM_H
#define TESTS_RUNTIME_STORM_H

#include <troupe/troupe.h>

#include "tests/support/plain.h"

static atomic_uint storm_warnings; /* of stages */

static inline void storm_report(const tr_report *report, void *ctx)
{
    (void)ctx;
    if (report->kind == TR_REPORT_STAGE_WARNED) {
        atomic_fetch_add(&storm_warnings, 1U);
    }
}

static uint32_t storm_seed;

static inline void storm(tr_main_fn body)
{
    storm_seed = (uint32_t)plain_seed();
    tr_node_opts opts = {.workers = 4, .report = storm_report};
    tr_pid pid;
    tr_term reason = TR_TERM_NONE_VALUE;
    tr_node_stats stats = {.processes = 1};
    if (!PLAIN_CHECK(tr_node_start(&opts) == TR_OK)) {
        return;
    }
    PLAIN_CHECK(tr_spawn(&(tr_spawn_opts){.trap_exit = true}, body, NULL, 0, &pid) == TR_OK);
    tr_node_join(pid, &reason);
    PLAIN_CHECK(tr_same(reason, TR_ATOM(NORMAL)));
    for (int i = 0; i < 20000; i++) {
        tr_node_stats_get(&stats);
        if (stats.processes + stats.timers == 0 && stats.bytes_allocated == stats.bytes_freed) {
            break;
        }
        usleep(1000);
    }
    PLAIN_CHECK(stats.processes == 0);
    PLAIN_CHECK(stats.timers == 0);
    PLAIN_CHECK(stats.bytes_allocated == stats.bytes_freed);
    tr_node_stop();
}

static inline uint32_t dice(uint32_t *seed, uint32_t sides)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed % sides;
}

/** Seeds for actor i of this run. */
static inline uint32_t dice_of(uint32_t i)
{
    uint32_t seed = storm_seed + 0x9E3779B9u * (i + 1);
    return seed == 0 ? 1 : seed;
}

/** Waits in a process until holds(ctx); half a minute at least. */
static inline bool eventually(bool (*holds)(void *ctx), void *ctx)
{
    for (int i = 0; i < 15000; i++) {
        tr_scratch_mark mark = tr_scratch();
        bool done = holds(ctx);
        tr_scratch_release(mark);
        if (done) {
            return true;
        }
        tr_sleep(2);
    }
    return false;
}

#endif
