/* The parts of a profile in virtual time, with sources that are functions; and the guard of a source. */
#include <criterion/criterion.h>
#include <string.h>

#include "api/profiles/aggregate.h"
#include "server/client/upstream.h"

static struct {
    bool over;
    const char *failed;
    int begun;
    tr_pid owner;
} seen;

#define EXPECT(cond)                          \
    do {                                      \
        if (!(cond) && seen.failed == NULL) { \
            seen.failed = #cond;              \
        }                                     \
    } while (0)

static void no_report(const tr_report *report, void *ctx)
{
    (void)report;
    (void)ctx;
}

static tr_msg *answer(int64_t ms)
{
    tr_sleep(ms);
    tr_blob *body = tr_blob_new("{}", 2);
    tr_msg *msg = TR_MSG(fetch_result, .status = SOURCE_OK, .elapsed_ms = ms, .attempts = 1, .body = body);
    tr_blob_drop(body);
    return msg;
}

/* Sources 0, 1, 2 take what the guide's take; 3 hangs, 4 crashes, 5 fails. */
static tr_msg *fake(const fetch_order *order)
{
    static const int64_t times_ms[] = {100, 150, 200};
    seen.begun++;
    switch (order->source) {
    case 3:
        tr_sleep(TR_INFINITY);
        return NULL;
    case 4:
        tr_exit(tr_atom("boom"));
    case 5:
        return TR_MSG(fetch_result, .status = SOURCE_ERROR, .why = "connect", .elapsed_ms = 0, .attempts = 3);
    default:
        return answer(times_ms[order->source]);
    }
}

static void with_tasks(void)
{
    tr_started started;
    EXPECT(tr_task_supervisor_start_link(NULL, &(tr_start_opts){.name = tr_atom("profiles.tasks")},
                                         &started) == TR_OK);
}

static int64_t aggregate(struct profile_part *parts, size_t count, int64_t timeout_ms)
{
    int64_t began_ms = tr_now_ms();
    for (size_t i = 0; i < count; i++) {
        parts[i] = (struct profile_part){.wanted = true, .source = (uint32_t)i};
    }
    profile_aggregate(fake, TEXT("42"), timeout_ms, parts, count);
    return tr_now_ms() - began_ms;
}

static void in_parallel(const void *arg)
{
    (void)arg;
    struct profile_part parts[3];
    with_tasks();
    EXPECT(aggregate(parts, 3, 5000) == 200);
    for (size_t i = 0; i < 3; i++) {
        EXPECT(parts[i].status == SOURCE_OK && parts[i].body != NULL && parts[i].body->size == 2);
    }
    seen.over = true;
}

static void partial(const void *arg)
{
    (void)arg;
    struct profile_part parts[6];
    const tr_pid *left = NULL;
    size_t count = 1;
    with_tasks();
    EXPECT(aggregate(parts, 6, 1000) == 1000);
    EXPECT(parts[0].status == SOURCE_OK && parts[2].status == SOURCE_OK);
    EXPECT(parts[3].status == SOURCE_TIMEOUT && parts[3].body == NULL && parts[3].elapsed_ms == 1000);
    EXPECT(parts[4].status == SOURCE_ERROR && strcmp(parts[4].why, "crashed") == 0);
    EXPECT(parts[5].status == SOURCE_ERROR && parts[5].attempts == 3);
    EXPECT(tr_task_supervisor_children(tr_to_name(tr_atom("profiles.tasks")), &left, &count) == TR_OK);
    EXPECT(count == 0);
    EXPECT(aggregate(parts, 2, 120) == 120);
    EXPECT(parts[0].status == SOURCE_OK && parts[1].status == SOURCE_TIMEOUT);
    seen.over = true;
}

static void owner_main(const void *arg)
{
    (void)arg;
    struct profile_part parts[4];
    (void)aggregate(parts, 4, 60000);
}

static void cancelled(const void *arg)
{
    (void)arg;
    const tr_pid *left = NULL;
    size_t count = 0;
    tr_pid owner;
    with_tasks();
    EXPECT(tr_spawn(NULL, owner_main, NULL, 0, &owner) == TR_OK);
    tr_sleep(1000);
    EXPECT(tr_task_supervisor_children(tr_to_name(tr_atom("profiles.tasks")), &left, &count) == TR_OK &&
           count == 1);
    tr_exit_signal(tr_to(owner), TR_ATOM(SHUTDOWN));
    tr_sleep(1);
    EXPECT(tr_task_supervisor_children(tr_to_name(tr_atom("profiles.tasks")), &left, &count) == TR_OK &&
           count == 0);
    seen.over = true;
}

/* ---- the guard ---- */

static void enter_and_wait(const void *arg)
{
    struct upstream_pass pass;
    (void)arg;
    EXPECT(upstream_enter(tr_to_name(tr_atom("guard")), true, 1000, &pass) == TR_OK &&
           pass.verdict == UPSTREAM_GO);
    tr_sleep(TR_INFINITY);
}

static void guard(const void *arg)
{
    (void)arg;
    tr_pid holders[2];
    struct upstream_pass pass;
    struct upstream_stats stats;
    tr_started started;
    tr_dest dest = tr_to_name(tr_atom("guard"));
    struct upstream_rules rules = {
        .breaker = {.window = 4, .least = 2, .open_ms = 100}, .budget = {.most = 1}, .concurrent_max = 2};
    tr_child_spec spec = upstream_child_spec(tr_atom("guard"), &rules);
    EXPECT(tr_gen_server_start_link(spec.server, spec.arg, spec.arg_bytes, &spec.start, &started) == TR_OK);
    for (int i = 0; i < 2; i++) {
        EXPECT(tr_spawn(NULL, enter_and_wait, NULL, 0, &holders[i]) == TR_OK);
    }
    tr_sleep(1);
    EXPECT(upstream_enter(dest, true, 1000, &pass) == TR_OK && pass.verdict == UPSTREAM_FULL);
    tr_exit_signal(tr_to(holders[0]), TR_ATOM(KILL));
    tr_exit_signal(tr_to(holders[1]), TR_ATOM(KILL));
    tr_sleep(1);
    for (int i = 0; i < 2; i++) {
        EXPECT(upstream_enter(dest, true, 1000, &pass) == TR_OK && pass.verdict == UPSTREAM_GO);
        upstream_leave(&pass, BREAKER_FAILURE);
        upstream_leave(&pass, BREAKER_FAILURE); /* once is all that counts */
    }
    EXPECT(upstream_enter(dest, true, 1000, &pass) == TR_OK && pass.verdict == UPSTREAM_OPEN &&
           pass.wait_ms == 100);
    EXPECT(upstream_may_retry(dest, 1000) && !upstream_may_retry(dest, 1000));
    EXPECT(upstream_stats_of(dest, 1000, &stats) == TR_OK);
    EXPECT(stats.unknown == 2 && stats.failed == 2 && stats.concurrent == 0 && stats.state == BREAKER_OPEN);
    EXPECT(stats.refused_full == 1 && stats.refused_open == 1 && stats.retried == 1 &&
           stats.retries_refused == 1);
    tr_sleep(100);
    EXPECT(upstream_enter(dest, true, 1000, &pass) == TR_OK && pass.verdict == UPSTREAM_GO);
    upstream_leave(&pass, BREAKER_SUCCESS);
    EXPECT(upstream_stats_of(dest, 1000, &stats) == TR_OK && stats.state == BREAKER_CLOSED);
    seen.over = true;
}

static void play(tr_main_fn fn)
{
    memset(&seen, 0, sizeof(seen));
    tr_node_stats stats;
    tr_pid pid;
    cr_assert_eq(tr_node_start(&(tr_node_opts){.virtual_time = true, .report = no_report}), TR_OK);
    cr_assert_eq(tr_spawn(NULL, fn, NULL, 0, &pid), TR_OK);
    for (int i = 0; i < 200 && !seen.over; i++) {
        tr_virtual_advance(500);
    }
    tr_node_stop();
    tr_node_stats_get(&stats);
    cr_assert(seen.over);
    cr_assert_null(seen.failed, "%s", seen.failed);
    cr_assert_eq(stats.bytes_allocated, stats.bytes_freed);
}

Test(profiles, sources_of_100_150_and_200_ms_take_200_ms)
{
    play(in_parallel);
}

Test(profiles, late_crashed_and_failing_sources_leave_the_others_alone)
{
    play(partial);
}

Test(profiles, tasks_end_with_their_request)
{
    play(cancelled);
}

Test(upstream, places_come_back_from_the_dead_and_the_breaker_hears_of_the_living)
{
    play(guard);
}
