/* stage.h: tests of behaviours in virtual time, as scenes: plain processes that act, while everyone writes down what happens.
 *
 *     SCENE(sys, suspending_twice_is_one_suspension)
 *     {
 *         tr_pid server = ...;
 *         EXPECT(tr_sys_suspend(tr_to(server), 5000) == TR_OK);
 *         SAID("s info 1", "s terminate normal");
 *     }
 *
 * 1. A scene runs in a process of its own on a fresh node in virtual time; sleeping in it moves the clock and costs nothing.
 * 2. say() writes a line, from any process; SAID compares all lines since the last SAID, in order. Reports of the runtime are lines too,
 *    kept apart: REPORTED.
 * 3. EXPECT and the others never leave the scene; the Criterion test fails afterwards with all that did not hold.
 *    In simulation (tests/sim) processes interleave at random: there lines are compared lane by lane, a line's lane being its first word,
 *    and reports in any order. What one process says stays in its order, if its lines begin with its own word.
 * 4. When a scene is over, nothing of what the runtime allocated in it may be left. */
#ifndef TESTS_RUNTIME_STAGE_H
#define TESTS_RUNTIME_STAGE_H

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <troupe/troupe.h>

#include "runtime/sim/sim.h"

typedef struct stage_log {
    char text[16384];
    size_t used;
} stage_log;

static struct stage {
    stage_log said, reported, failed;
    bool over;
} stage;

static inline void TR_PRINTF(2, 0) stage_write(stage_log *log, const char *format, va_list args)
{
    size_t room = sizeof log->text - log->used;
    int length = vsnprintf(log->text + log->used, room, format, args);
    log->used += length > 0 && (size_t)length < room ? (size_t)length : 0;
}

static inline void TR_PRINTF(2, 3) stage_add(stage_log *log, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    stage_write(log, format, args);
    va_end(args);
}

/** Writes a line that SAID compares. */
static inline void TR_PRINTF(1, 2) say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    stage_write(&stage.said, format, args);
    va_end(args);
    stage_add(&stage.said, "\n");
}

static inline bool stage_expect(bool holds, const char *what, int line)
{
    if (!holds) {
        stage_add(&stage.failed, "line %d: does not hold: %s\n", line, what);
    }
    return holds;
}

/* ---- order, as far as it is promised in simulation ---- */

enum { STAGE_LINES_MAX = 1024 };

static inline size_t stage_lane(const stage_log *log, const char *line)
{
    return strcspn(line, log == &stage.reported ? "\n" : " \n");
}

static inline bool stage_before(const stage_log *log, const char *a, const char *b)
{
    size_t la = stage_lane(log, a), lb = stage_lane(log, b);
    int order = strncmp(a, b, la < lb ? la : lb);
    return order != 0 ? order < 0 : la < lb;
}

/* Sorts the lines of a text by lane; lines of one lane keep their order. kind tells how to find a lane. */
static inline void stage_sort(stage_log *log, const stage_log *kind)
{
    static char sorted[sizeof log->text];
    const char *lines[STAGE_LINES_MAX];
    size_t count = 0, used = 0;
    for (const char *at = log->text; *at != '\0' && count < STAGE_LINES_MAX; at += strcspn(at, "\n") + 1) {
        size_t place = count++;
        for (; place > 0 && stage_before(kind, at, lines[place - 1]); place--) {
            lines[place] = lines[place - 1];
        }
        lines[place] = at;
    }
    for (size_t i = 0; i < count; i++) {
        size_t length = strcspn(lines[i], "\n") + 1;
        memcpy(sorted + used, lines[i], length);
        used += length;
    }
    memcpy(log->text, sorted, used);
}

static inline void stage_compare(stage_log *log, const char *const *lines, size_t count, int line)
{
    stage_log wanted = {.used = 0};
    for (size_t i = 0; i < count; i++) {
        stage_add(&wanted, "%s\n", lines[i]);
    }
    if (tr__sim_is_on()) {
        stage_sort(log, log);
        stage_sort(&wanted, log);
    }
    if (strcmp(log->text, wanted.text) != 0) {
        stage_add(&stage.failed, "line %d: expected\n%sbut it was\n%s", line, wanted.text, log->text);
    }
    log->used = 0;
    log->text[0] = '\0';
}

static inline void stage_term(tr_term term, const char *wanted, int line)
{
    char text[512];
    tr_term_print(term, text, sizeof text);
    if (strcmp(text, wanted) != 0) {
        stage_add(&stage.failed, "line %d: expected the term %s but it was %s\n", line, wanted, text);
    }
}

#define EXPECT(...) stage_expect((__VA_ARGS__), #__VA_ARGS__, __LINE__)
/** The lines said, or the reports made, since the last such comparison; without arguments: none. */
#define SAID(...)     STAGE_LINES(&stage.said, __VA_ARGS__)
#define REPORTED(...) STAGE_LINES(&stage.reported, __VA_ARGS__)
#define STAGE_LINES(log, ...)                                            \
    stage_compare((log), (const char *const[]){NULL, ##__VA_ARGS__} + 1, \
                  sizeof((const char *const[]){NULL, ##__VA_ARGS__}) / sizeof(char *) - 1, __LINE__)
/** The text of a term. */
#define TERM_IS(term, text) stage_term((term), (text), __LINE__)

static inline void stage_report_term(const char *what, tr_term term)
{
    char text[512];
    if (!tr_is_none(term)) {
        tr_term_print(term, text, sizeof text);
        stage_add(&stage.reported, " %s%s", what, text);
    }
}

/* event reason last_message state queue postponed timeouts, as far as there are any */
static inline void stage_report(const tr_report *report, void *ctx)
{
    (void)ctx;
    stage_add(&stage.reported, "%s", tr_report_event(report->kind));
    stage_report_term("", report->reason);
    if (report->last_message != NULL) {
        stage_add(&stage.reported, " last %s", report->last_message);
    }
    stage_report_term("state ", report->state);
    stage_report_term("queue ", report->queue);
    stage_report_term("postponed ", report->postponed);
    stage_report_term("timeouts ", report->timeouts);
    stage_add(&stage.reported, "\n");
}

static inline bool stage_kill(const tr_process_summary *summary, void *ctx)
{
    (void)ctx;
    tr_exit_signal(tr_to(summary->pid), TR_ATOM(KILL));
    return true;
}

/* What is left of a scene is killed, and its timers come to nobody. */
static inline int64_t stage_bytes_left(void)
{
    tr_node_stats stats;
    tr_process_each(stage_kill, NULL);
    tr_virtual_run();
    tr_virtual_advance(24 * 3600 * 1000);
    tr_node_stats_get(&stats);
    cr_expect(stats.processes == 0, "%" PRIu64 " processes are left", stats.processes);
    return (int64_t)(stats.bytes_allocated - stats.bytes_freed);
}

static inline void stage_run(tr_main_fn scene)
{
    tr_node_opts opts = {.virtual_time = true, .report = stage_report};
    tr_pid pid;
    memset(&stage, 0, sizeof stage);
    cr_assert(tr_node_start(&opts) == TR_OK);
    cr_assert(tr_spawn(&(tr_spawn_opts){.label = "scene"}, scene, NULL, 0, &pid) == TR_OK);
    tr_virtual_run();
    for (int rounds = 0; !stage.over && rounds < 100; rounds++) {
        tr_virtual_advance(60000);
    }
    bool over = stage.over;
    int64_t bytes_left = stage_bytes_left();
    tr_node_stop();
    cr_expect(over, "the scene did not come to its end; said so far:\n%s%s", stage.said.text,
              stage.reported.text);
    cr_expect(stage.failed.used == 0, "%s", stage.failed.text);
    cr_expect(bytes_left == 0, "%" PRId64 " bytes are left", bytes_left);
}

/** One test: its body is the scene. */
#define SCENE(suite, name)                         \
    static void scene_##name(void);                \
    static void scene_main_##name(const void *arg) \
    {                                              \
        (void)arg;                                 \
        scene_##name();                            \
        stage.over = true;                         \
    }                                              \
    Test(suite, name)                              \
    {                                              \
        stage_run(scene_main_##name);              \
    }                                              \
    static void scene_##name(void)

#endif
