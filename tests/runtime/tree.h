/* A supervision tree under test, in virtual time. A test's body runs in a process of its own and may block; actors
 * write what happens to them into one trace.
 *
 *     TREE_TEST(supervisor, stops_in_reverse_order)
 *     {
 *         tr_pid top = tree_start(TREE(.strategy = TR_ONE_FOR_ONE), ACTOR("a"), ACTOR("b"));
 *         tree_stop(top);
 *         tree_trace("a+ b+ b-shutdown a-shutdown");
 *     }
 *
 * Trace: "a+" init of a, "a!" its init fails, "a-reason" its terminate, "a?x" a message x that a plain process logged.
 * Afterwards every byte must have been given back. Each actor is registered under its name; tree_pid("a") is the living one. */
#ifndef TESTS_RUNTIME_TREE_H
#define TESTS_RUNTIME_TREE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <troupe/troupe.h>

#define TREE_TEST(suite, name)                             \
    static void tree_body_##name(const void *tree_unused); \
    Test(suite, name, .timeout = 60)                       \
    {                                                      \
        tree_run(tree_body_##name);                        \
    }                                                      \
    static void tree_body_##name(__attribute__((unused)) const void *tree_unused)

/* ---- the trace and the reports --------------------------------------------------------------------------------- */

static struct {
    char text[8192];
    unsigned reports[16]; /* by kind */
    char last_reason[16][256];
    bool over;
} tree;

__attribute__((unused, format(printf, 1, 2))) static void tree_log(const char *format, ...)
{
    size_t used = strlen(tree.text);
    va_list args;
    va_start(args, format);
    vsnprintf(tree.text + used, sizeof tree.text - used, format, args);
    va_end(args);
    used = strlen(tree.text);
    snprintf(tree.text + used, sizeof tree.text - used, " ");
}

static int tree_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

__attribute__((unused)) static void tree_sort(char *text)
{
    char copy[8192];
    char *words[256];
    size_t count = 0;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok(copy, " "); word != NULL && count < 256; word = strtok(NULL, " ")) {
        words[count++] = word;
    }
    qsort(words, count, sizeof words[0], tree_compare);
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        used += (size_t)sprintf(text + used, "%s%s", i == 0 ? "" : " ", words[i]);
    }
}

/* What was traced since the last time. */
#define tree_trace(expected)                                                                           \
    do {                                                                                               \
        tree_settle();                                                                                 \
        size_t tree_length = strlen(tree.text);                                                        \
        if (tree_length > 0) {                                                                         \
            tree.text[tree_length - 1] = '\0';                                                         \
        }                                                                                              \
        cr_expect_str_eq(tree.text, (expected), "trace is \"%s\", not \"%s\"", tree.text, (expected)); \
        tree.text[0] = '\0';                                                                           \
    } while (0)

/* The same where different processes write and nothing orders them: the words are compared in sorted order. */
#define tree_trace_unordered(expected)                                                                  \
    do {                                                                                                \
        char tree_words[512];                                                                           \
        snprintf(tree_words, sizeof tree_words, "%s", (expected));                                      \
        tree_settle();                                                                                  \
        tree_sort(tree_words);                                                                          \
        tree_sort(tree.text);                                                                           \
        cr_expect_str_eq(tree.text, tree_words, "trace has \"%s\", not \"%s\"", tree.text, tree_words); \
        tree.text[0] = '\0';                                                                            \
    } while (0)

#define tree_term_is(term, expected)                                                          \
    do {                                                                                      \
        tr_term tree_got = (term);                                                            \
        const char *tree_text = tr_is_none(tree_got) ? "none" : tr_term_text(tree_got);       \
        cr_expect_str_eq(tree_text, (expected), "term is %s, not %s", tree_text, (expected)); \
    } while (0)

static void tree_report(const tr_report *report, void *ctx)
{
    (void)ctx;
    tree.reports[report->kind]++;
    if (!tr_is_none(report->reason)) {
        tr_term_print(report->reason, tree.last_reason[report->kind], sizeof tree.last_reason[0]);
    }
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

/* Everything that can run has run. */
__attribute__((unused)) static void tree_settle(void)
{
    tr_sleep(1);
}

struct tree_main {
    void (*body)(const void *unused);
};

static void tree_main(const void *arg)
{
    tr_trap_exit(true); /* a failing start must not take the test along */
    ((const struct tree_main *)arg)->body(NULL);
    tree.over = true;
}

static bool tree_end_one(const tr_process_summary *summary, void *ctx)
{
    (void)ctx;
    tr_exit_signal(tr_to(summary->pid), TR_ATOM(KILL));
    return true;
}

/* When a test is over, what is left is killed, and nothing of what the runtime allocated may be left then. */
static void tree_nothing_is_left(void)
{
    tr_node_stats stats;
    tr_process_each(tree_end_one, NULL);
    tr_virtual_run();
    tr_virtual_advance(24 * 3600 * 1000);
    tr_node_stats_get(&stats);
    cr_expect_eq(stats.processes, 0);
    cr_expect_eq(stats.bytes_allocated, stats.bytes_freed, "%lld bytes are left",
                 (long long)(stats.bytes_allocated - stats.bytes_freed));
}

static void tree_run(void (*body)(const void *unused))
{
    tr_node_opts opts = {.virtual_time = true, .report = tree_report, .stack_bytes = 512 * 1024};
    cr_assert_eq(tr_node_start(&opts), TR_OK);
    tr_pid pid;
    struct tree_main arg = {body};
    cr_assert_eq(tr_spawn(&(tr_spawn_opts){.label = "test"}, tree_main, &arg, sizeof arg, &pid), TR_OK);
    tr_virtual_run();
    for (int i = 0; i < 100000 && !tree.over; i++) {
        tr_virtual_advance(10);
    }
    cr_expect(tree.over, "the test's body hangs");
    tr_virtual_run();
    tree_nothing_is_left();
    tr_node_stop();
}

/* ---- actors ------------------------------------------------------------------------------------------------------ */

TR_MESSAGE_TERMS(
    actor_stop, { tr_term reason; }, offsetof(actor_stop, reason));
TR_MESSAGE_EMPTY(actor_ask);
TR_MESSAGE(actor_told, { int64_t starts; });

/* How the next starts of an actor go. */
enum actor_fate { ACTOR_STARTS, ACTOR_STOPS, ACTOR_IGNORES, ACTOR_CRASHES, ACTOR_HANGS };
#define ACTORS_MAX 64
struct actor_plan {
    char name[24];
    enum actor_fate fate;
    int failures;
    int64_t starts;
};
static struct actor_plan actor_plans[ACTORS_MAX];

static struct actor_plan *actor_plan(const char *name)
{
    size_t i = 0;
    while (i < ACTORS_MAX - 1 && actor_plans[i].name[0] != '\0' && strcmp(actor_plans[i].name, name) != 0) {
        i++;
    }
    snprintf(actor_plans[i].name, sizeof actor_plans[i].name, "%s", name);
    return &actor_plans[i];
}

/* The next `failures` starts of that actor go this way. */
__attribute__((unused)) static void actor_fails(const char *name, int failures, enum actor_fate fate)
{
    struct actor_plan *plan = actor_plan(name);
    plan->failures = failures;
    plan->fate = fate;
}

static enum actor_fate actor_begin(const char *name)
{
    struct actor_plan *plan = actor_plan(name);
    if (plan->failures > 0) {
        plan->failures--;
        tree_log("%s!", name);
        return plan->fate;
    }
    plan->starts++;
    tree_log("%s+", name);
    return ACTOR_STARTS;
}

typedef struct actor {
    char name[24];
} actor;

static tr_next actor_init(actor *self, const void *arg)
{
    snprintf(self->name, sizeof self->name, "%s", (const char *)arg);
    switch (actor_begin(self->name)) {
    case ACTOR_STOPS:
        return TR_STOP(tr_atom("nope"));
    case ACTOR_IGNORES:
        return TR_IGNORE_START;
    case ACTOR_CRASHES:
        tr_error(tr_atom("boom"));
    case ACTOR_HANGS:
        tr_sleep(TR_INFINITY);
        break;
    case ACTOR_STARTS:
        break;
    }
    return TR_INIT_OK;
}

static tr_next actor_handle_call(actor *self, tr_from from, const tr_msg *msg)
{
    if (TR_MATCH(msg, actor_ask) == NULL) {
        return tr_unexpected(msg);
    }
    return TR_REPLY(from, actor_told, .starts = actor_plan(self->name)->starts);
}

static tr_next actor_handle_info(actor *self, const tr_msg *msg)
{
    (void)self;
    const actor_stop *stop = TR_MATCH(msg, actor_stop);
    return stop != NULL ? TR_STOP(stop->reason) : TR_NOREPLY;
}

static void actor_terminate(actor *self, tr_term reason)
{
    tree_log("%s-%s", self->name, tr_term_text(reason));
}

TR_GEN_SERVER(actor, .init = actor_init, .handle_call = actor_handle_call, .handle_info = actor_handle_info,
              .terminate = actor_terminate, .trap_exit = true);

/* A plain process that acknowledges itself when told to; traps exits, logs and ignores them. */
TR_MESSAGE_TERMS(
    plain_ack, { tr_term info; }, offsetof(plain_ack, info));

__attribute__((unused)) static void plain_main(const void *arg)
{
    const char *name = arg;
    actor_begin(name);
    tr_trap_exit(true);
    for (;;) {
        tr_msg *msg = tr_receive(NULL, NULL, TR_INFINITY);
        if (TR_MATCH(msg, plain_ack) != NULL) {
            tr_init_ack(TR_MATCH(msg, plain_ack)->info);
        } else if (TR_MATCH(msg, actor_stop) != NULL) {
            tr_exit(TR_MATCH(msg, actor_stop)->reason);
        } else if (TR_MATCH(msg, tr_exit_msg) != NULL) {
            tree_log("%s?%s", name, tr_term_text(TR_MATCH(msg, tr_exit_msg)->reason));
        }
        tr_msg_drop(msg);
    }
}

/* ---- trees ------------------------------------------------------------------------------------------------------- */

#define TREE_NAMED(text) \
    .id = tr_atom(text), .start = {.name = tr_atom(text)}, .arg = (text), .arg_bytes = sizeof(text)
#define ACTOR(text, ...) ((tr_child_spec){.server = actor_server, TREE_NAMED(text), __VA_ARGS__})
#define PLAIN(text, ...) ((tr_child_spec){.main = plain_main, TREE_NAMED(text), __VA_ARGS__})
#define BRANCH(text, module, ...) \
    ((tr_child_spec){             \
        .id = tr_atom(text), .supervisor = (module), .start = {.name = tr_atom(text)}, __VA_ARGS__})
#define TREE(...) ((tr_sup_flags){__VA_ARGS__})

#define tree_start(flags, ...)                                  \
    tree_start_n((flags), (const tr_child_spec[]){__VA_ARGS__}, \
                 sizeof((const tr_child_spec[]){__VA_ARGS__}) / sizeof(tr_child_spec))
#define tree_try(started, flags, ...)                                    \
    tree_try_n((started), (flags), (const tr_child_spec[]){__VA_ARGS__}, \
               sizeof((const tr_child_spec[]){__VA_ARGS__}) / sizeof(tr_child_spec))

__attribute__((unused)) static tr_err tree_try_n(tr_started *started, tr_sup_flags flags,
                                                 const tr_child_spec *children, size_t count)
{
    static tr_supervisor modules[32]; /* a module outlives its tree */
    static size_t used;
    tr_supervisor *module = &modules[used++ % 32];
    *module = (tr_supervisor){.name = "tree", .flags = flags, .children = children, .child_count = count};
    return tr_supervisor_start_link(module, NULL, 0, NULL, started);
}

__attribute__((unused)) static tr_pid tree_start_n(tr_sup_flags flags, const tr_child_spec *children,
                                                   size_t count)
{
    tr_started started;
    tr_err err = tree_try_n(&started, flags, children, count);
    cr_expect_eq(err, TR_OK, "start: %s", tr_err_name(err));
    return started.pid;
}

__attribute__((unused)) static tr_pid tree_pid(const char *name)
{
    return tr_whereis(tr_to_name(tr_atom(name)));
}

/* Kills the living process of that name, and lets its supervisor act. */
__attribute__((unused)) static void tree_kill(const char *name)
{
    tr_exit_signal(tr_to_name(tr_atom(name)), TR_ATOM(KILL));
    tree_settle();
}

__attribute__((unused)) static void tree_end(const char *name, tr_term reason)
{
    TR_SEND(tr_atom(name), actor_stop, .reason = reason);
    tree_settle();
}

/* Stops a supervisor and waits for its end. */
__attribute__((unused)) static void tree_stop(tr_pid top)
{
    tr_term actual = TR_TERM_NONE_VALUE;
    cr_expect_eq(tr_gen_server_stop(tr_to(top), TR_ATOM(SHUTDOWN), TR_INFINITY, &actual), TR_OK);
}

/* The reason with which a linked (trapped) supervisor ended, if it did. */
__attribute__((unused)) static bool tree_is_exit_of(const tr_msg *msg, void *ctx)
{
    const tr_exit_msg *exit_msg = TR_MATCH(msg, tr_exit_msg);
    return exit_msg != NULL && exit_msg->from == *(const tr_pid *)ctx;
}

__attribute__((unused)) static tr_term tree_ended(tr_pid top)
{
    tr_msg *msg = tr_receive(tree_is_exit_of, &top, 1);
    return msg == NULL ? TR_TERM_NONE_VALUE : TR_MATCH(msg, tr_exit_msg)->reason;
}

/* Children as "c b:stopped a:restarting", newest first. */
__attribute__((unused)) static const char *tree_children(tr_pid top)
{
    static char text[1024];
    const tr_child_info *children;
    size_t count;
    text[0] = '\0';
    tr_err err = tr_supervisor_which_children(tr_to(top), &children, &count);
    cr_expect_eq(err, TR_OK, "which_children: %s", tr_err_name(err));
    for (size_t i = 0; err == TR_OK && i < count; i++) {
        static const char *const states[] = {"", ":stopped", ":restarting"};
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s%s", i == 0 ? "" : " ", tr_term_text(children[i].id),
                 states[children[i].state]);
        cr_expect((children[i].pid != TR_NO_PID) == (children[i].state == TR_CHILD_RUNNING));
    }
    return text;
}
#define tree_children_are(top, expected)                                                                   \
    do {                                                                                                   \
        const char *tree_list = tree_children(top);                                                        \
        cr_expect_str_eq(tree_list, (expected), "children are \"%s\", not \"%s\"", tree_list, (expected)); \
    } while (0)

/* Something run in a process of its own, which may block. */
__attribute__((unused)) static tr_pid tree_aside(tr_main_fn fn, tr_pid top)
{
    tr_pid pid = TR_NO_PID;
    cr_expect_eq(tr_spawn(NULL, fn, &top, sizeof top, &pid), TR_OK);
    tree_settle();
    return pid;
}

#endif
