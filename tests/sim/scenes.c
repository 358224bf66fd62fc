/* scenes.c: plays scenes under seeds: sim_scenes [--plant NAME] [--scene NAME] FIRST COUNT, and --list (scenes), --plants.
 * The first seed that fails is printed with its one command, and the program ends with 1.
 *
 * Each run is a process of its own, begun from the same state: what the runtime keeps for the life of a program (atoms,
 * tables made ready once) takes locks the first time only, so a second run in one program would have another schedule, and
 * its seed alone would not replay it. */
#include "tests/sim/scene.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VIRTUAL_MINUTES = 60 };

uint64_t scene_received;
bool scene_over;
static bool failed;

static const struct scene {
    const char *name;
    tr_main_fn run;
} scenes[] = {
#define X(name) {#name, scene_##name},
    SCENES(X)
#undef X
};
enum { SCENE_COUNT = sizeof(scenes) / sizeof(scenes[0]) };

bool scene_check(bool holds, const char *what, const char *file, int line)
{
    if (!holds && !failed) {
        fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    }
    failed = failed || !holds;
    return holds;
}

unsigned scene_drain(void)
{
    unsigned count = 0;
    for (tr_msg *msg; (msg = tr_receive(NULL, NULL, 0)) != NULL; tr_msg_drop(msg)) {
        scene_received += tr_msg_kind_of(msg) == TR_MSG_INFO;
        count++;
    }
    return count;
}

/* ---- one run ---- */

static void say_nothing(const tr_report *report, void *ctx)
{
    (void)report, (void)ctx;
}

static bool kill_one(const tr_process_summary *summary, void *ctx)
{
    (void)ctx;
    tr_exit_signal(tr_to(summary->pid), TR_ATOM(KILL));
    return true;
}

static void play(tr_main_fn run)
{
    tr_node_opts opts = {.virtual_time = true, .report = say_nothing, .process_max = 48};
    scene_received = 0;
    scene_over = false;
    CHECK(tr_node_start(&opts) == TR_OK);
    CHECK(tr_spawn(NULL, run, NULL, 0, NULL) == TR_OK);
    tr_virtual_run();
    for (int minutes = 0; minutes < VIRTUAL_MINUTES && !scene_over; minutes++) {
        tr_virtual_advance(60000);
    }
    CHECK(scene_over);
    for (int what = 0; what < TR__SIM_FAILURES; what++) {
        tr__sim_fail((tr__sim_failure)what, 0);
    }
    tr_process_each(kill_one, NULL);
    tr_virtual_advance(24 * 3600 * 1000);
    tr_node_stats stats;
    tr_node_stats_get(&stats);
    CHECK(stats.processes == 0);
    tr_node_stop();
    tr_node_stats_get(&stats);
    CHECK(stats.bytes_allocated == stats.bytes_freed);
    CHECK(stats.messages_sent >= scene_received + stats.messages_dead_letter + stats.messages_refused);
}

/* What replays the run that is on; written before it, so that a crash has only to print it. */
static char replay[160];

static void say_replay(void)
{
    (void)!write(STDOUT_FILENO, replay, strlen(replay));
}

static void crashed(int number)
{
    say_replay();
    signal(number, SIG_DFL);
    raise(number);
}

/* A child that fails or crashes prints how it is replayed. */
static void play_apart(tr_main_fn run)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* one that hangs does not outlive who waits for it */
        signal(SIGSEGV, crashed);
        signal(SIGABRT, crashed);
        play(run);
        if (failed) {
            say_replay();
        }
        exit(failed ? 1 : 0);
    }
    (void)CHECK(child > 0 && waitpid(child, &status, 0) == child);
    failed = failed || status != 0;
}

static void play_seed(uint64_t seed, const char *only)
{
    const char *plant = getenv("TROUPE_SIM_PLANT");
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, seed);
    setenv("TROUPE_SIM_SEED", text, 1);
    for (int i = 0; i < SCENE_COUNT && !failed; i++) {
        if (only == NULL || strcmp(only, scenes[i].name) == 0) {
            snprintf(replay, sizeof(replay), "failed: sim_scenes%s%s --scene %s %" PRIu64 " 1\n",
                     plant == NULL ? "" : " --plant ", plant == NULL ? "" : plant, scenes[i].name, seed);
            play_apart(scenes[i].run);
        }
    }
}

/* ---- arguments ---- */

static int list(bool plants)
{
    static const char *const texts[] = {
#define X(name, text) #name ": " text,
#include "runtime/sim/plants.def"
#undef X
    };
    for (size_t i = 0; plants && i < sizeof(texts) / sizeof(texts[0]); i++) {
        puts(texts[i]);
    }
    for (int i = 0; !plants && i < SCENE_COUNT; i++) {
        puts(scenes[i].name);
    }
    return 0;
}

static int usage(void)
{
    fputs("usage: sim_scenes [--plant NAME] [--scene NAME] FIRST COUNT | --list | --plants\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    const char *only = NULL;
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--list") == 0 || strcmp(argv[at], "--plants") == 0) {
            return list(strcmp(argv[at], "--plants") == 0);
        }
        if (at + 1 < argc && strcmp(argv[at], "--plant") == 0) {
            setenv("TROUPE_SIM_PLANT", argv[++at], 1);
        } else if (at + 1 < argc && strcmp(argv[at], "--scene") == 0) {
            only = argv[++at];
        } else {
            return usage();
        }
    }
    if (argc - at != 2) {
        return usage();
    }
    uint64_t first = strtoull(argv[at], NULL, 10), count = strtoull(argv[at + 1], NULL, 10);
    for (uint64_t seed = first; seed < first + count && !failed; seed++) {
        play_seed(seed, only);
    }
    return failed ? 1 : 0;
}
