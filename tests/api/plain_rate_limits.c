/* The rate limits on real workers, with a store: many callers, partitions killed, policies changed, snapshots read, all at once. */
#include "api/rate_limits/asking.h"
#include "api/rate_limits/limiter.h"
#include "api/rate_limits/policies.h"
#include "server/json.h"
#include "server/log.h"
#include "server/store/store_writer.h"

#include "tests/api/limiter_stage.h"
#include "tests/support/plain.h"

#include <sys/resource.h>

enum {
    WORKERS = 3,
    CALLERS = 12,
    CALLS = 4000 / PLAIN_SLOWER,
    KILLS = 60 / PLAIN_SLOWER,
    CHANGES = 120 / PLAIN_SLOWER
};

static struct scene {
    char directory[64];
    struct settings settings;
    struct store *store;
    _Atomic uint64_t admitted, unknown;
    _Atomic int callers, over;
} scene;

/* --- a service without HTTP --- */

static tr_err root_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children, size_t *count,
                        tr_term *reason)
{
    tr_child_spec *specs = tr_scratch_alloc(2 * sizeof(*specs));
    (void)arg;
    (void)reason;
    specs[0] = store_writer_child_spec(scene.store);
    specs[1] = rate_limits_child_spec();
    *flags = (tr_sup_flags){.intensity = 1000000, .period_s = 1};
    *children = specs;
    *count = 2;
    return TR_OK;
}

static void log_nothing(const tr_report *report, void *ctx)
{
    (void)report;
    (void)ctx;
}

static void open_store(void)
{
    size_t count = 0;
    struct store_options options = {.schemas = rate_limits_schemas(&count)};
    struct store_error error;
    options.schema_count = count;
    if (!PLAIN_CHECK(store_open(scene.directory, &options, &scene.store, &error) == STORE_OK)) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
}

/* Runs fn in a process beside the tree, then stops all. */
static void run(tr_main_fn fn)
{
    char why[200] = "";
    tr_pid pid;
    tr_node_opts opts = {.workers = WORKERS, .report = log_nothing};
    scene.settings = (struct settings){.max_keys = 100000,
                                       .partitions = 4,
                                       .save_interval_ms = 100,
                                       .server_max_restarts = 1000000,
                                       .server_max_seconds = 1};
    log_set_level(LOG_ERROR);
    open_store();
    PLAIN_CHECK(rate_limits_setup(&scene.settings, scene.store, WORKERS, why, sizeof(why)));
    PLAIN_CHECK(tr_node_start(&opts) == TR_OK);
    PLAIN_CHECK(tr_spawn(NULL, fn, NULL, 0, &pid) == TR_OK);
    tr_node_join(pid, NULL);
    tr_node_stop();
    rate_limits_teardown();
    PLAIN_CHECK(store_close(scene.store) == STORE_OK);
}

static tr_pid tree_start(void)
{
    static const tr_supervisor root = {.name = "root", .init = root_init};
    tr_started started;
    TR_CHECK(tr_supervisor_start_link(&root, NULL, 0, NULL, &started) == TR_OK);
    return started.pid;
}

static void tree_stop(tr_pid root)
{
    PLAIN_CHECK(rate_limits_save_all(30000));
    tr_unlink(tr_to(root));
    PLAIN_CHECK(tr_gen_server_stop(tr_to(root), TR_ATOM(SHUTDOWN), 60000, NULL) == TR_OK);
}

static void fresh_directory(void)
{
    snprintf(scene.directory, sizeof(scene.directory), "/tmp/troupe-plain-XXXXXX");
    PLAIN_CHECK(mkdtemp(scene.directory) != NULL);
}

static void remove_directory(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", scene.directory);
    PLAIN_CHECK(system(command) == 0);
}

/* --- asking as routes do, from processes --- */

static enum rl_outcome put_policy(const char *name, uint32_t limit, uint64_t *version)
{
    rl_ask_put_policy ask = {.expected = RL_ANY_VERSION};
    rl_policy_request request = {.limit = limit, .amount = 1, .every_ms = 86400000, .default_cost = 1};
    rl_policy_answer answer;
    snprintf(ask.wanted.name, sizeof(ask.wanted.name), "%s", name);
    ask.wanted.name_bytes = (uint8_t)strlen(name);
    TR_CHECK(rl_policy_make(&request, &ask.wanted.policy) == 0);
    tr_msg *reply = NULL;
    if (tr_gen_server_call(tr_to_name(rl_service.policies_name), tr_msg_new(TR_TYPE(rl_ask_put_policy), &ask),
                           60000, &reply, NULL) != TR_OK) {
        return RL_STORAGE_FAILED;
    }
    answer = *TR_MATCH(reply, rl_policy_answer);
    tr_msg_drop(reply);
    *version = answer.entry.version;
    return (enum rl_outcome)answer.outcome;
}

/* Names and ids only: the copy is made without a park in between. */
static bool find_policy(const char *name, rl_policy_entry *out)
{
    const rl_policy_entry *entry = rl_snapshot_find(rl_snapshot_now(&rl_service.policies), text_of(name));
    if (entry != NULL) {
        *out = *entry;
    }
    return entry != NULL;
}

static tr_err check_key(const char *policy, const char *key, enum rl_how how, rl_decided *out)
{
    rl_policy_entry entry;
    if (!find_policy(policy, &entry)) {
        return TR_E_NOT_FOUND;
    }
    rl_hash hash = rl_key_hash(&rl_service.seed, entry.policy_id, key, strlen(key));
    tr_pid pid = rl_partition_pid(rl_partition_of(&hash));
    return pid == TR_NO_PID ? TR_E_NOPROC
                            : TR_CALL(pid, 60000, rl_decided, out, rl_check, .hash = hash, .cost = 1,
                                      .policy_id = entry.policy_id, .how = (uint32_t)how);
}

/* --- callers, killers, changers at once --- */

static void caller(const void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < CALLS; i++) {
        rl_decided decided;
        if (check_key("exact", "one", RL_HOW_TAKE, &decided) != TR_OK) {
            scene.unknown++;
            tr_sleep(1);
        } else if (decided.decision.allowed) {
            scene.admitted++;
        }
        tr_scratch_release((tr_scratch_mark){0});
    }
    scene.callers--;
}

static void killer(const void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < KILLS; i++) {
        tr_exit_signal(tr_to(rl_partition_pid(i % rl_service.partition_count)), TR_ATOM(KILL));
        if (i % 4 == 0) {
            tr_exit_signal(tr_to_name(rl_service.policies_name), TR_ATOM(KILL));
            tr_exit_signal(tr_to_name(rl_service.saver_name), TR_ATOM(KILL));
        }
        tr_sleep(5);
    }
    scene.over++;
}

static void changer(const void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < CHANGES; i++) {
        uint64_t version;
        (void)put_policy(i % 2 == 0 ? "other" : "exact", i % 2 == 0 ? 5 + i : 1000000 + i % 3, &version);
        tr_scratch_release((tr_scratch_mark){0});
    }
    scene.over++;
}

static void storm(const void *arg)
{
    (void)arg;
    tr_pid root = tree_start();
    uint64_t version;
    PLAIN_CHECK(put_policy("exact", 1000000, &version) == RL_DONE_CREATED);
    scene.callers = CALLERS;
    scene.over = 0;
    for (int i = 0; i < CALLERS; i++) {
        PLAIN_CHECK(tr_spawn(NULL, caller, NULL, 0, NULL) == TR_OK);
    }
    PLAIN_CHECK(tr_spawn(NULL, killer, NULL, 0, NULL) == TR_OK);
    PLAIN_CHECK(tr_spawn(NULL, changer, NULL, 0, NULL) == TR_OK);
    while (scene.callers > 0 || scene.over < 2) {
        tr_sleep(5);
    }
    enum rl_outcome outcome;
    while ((outcome = put_policy("exact", 1000000, &version)) == RL_STORAGE_FAILED) {
        tr_sleep(5);
    }
    PLAIN_CHECK(outcome == RL_DONE_REPLACED || outcome == RL_DONE_SAME);
    rl_decided decided;
    while (check_key("exact", "one", RL_HOW_PEEK, &decided) != TR_OK) {
        tr_sleep(1);
    }
    uint64_t taken = 1000000 - decided.decision.remaining;
    /* Each change of the limit up and down again leaves the level as it is: the bucket is never near full or empty. */
    PLAIN_CHECK(scene.admitted <= taken && taken <= scene.admitted + scene.unknown);
    tree_stop(root);
}

PLAIN_TEST(nothing_is_lost_or_given_back_in_a_storm)
{
    fresh_directory();
    run(storm);
    remove_directory();
}

/* --- what was saved is there again --- */

static void fill(const void *arg)
{
    (void)arg;
    tr_pid root = tree_start();
    uint64_t version;
    rl_decided decided;
    char key[16];
    PLAIN_CHECK(put_policy("kept", 10, &version) == RL_DONE_CREATED);
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof(key), "key-%d", i);
        for (int n = 0; n <= i % 3; n++) {
            PLAIN_CHECK(check_key("kept", key, RL_HOW_TAKE, &decided) == TR_OK);
        }
        tr_scratch_release((tr_scratch_mark){0});
    }
    tree_stop(root);
}

static void find_again(const void *arg)
{
    (void)arg;
    tr_pid root = tree_start();
    rl_decided decided;
    char key[16];
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof(key), "key-%d", i);
        PLAIN_CHECK(check_key("kept", key, RL_HOW_PEEK, &decided) == TR_OK);
        PLAIN_CHECK(decided.decision.limit == 10 && decided.decision.remaining == 10 - (uint32_t)(i % 3) - 1);
        tr_scratch_release((tr_scratch_mark){0});
    }
    tree_stop(root);
}

PLAIN_TEST(levels_and_policies_are_there_after_a_restart)
{
    fresh_directory();
    run(fill);
    run(find_again);
    remove_directory();
}

/* --- a full disk --- */

static void file_bytes_max(rlim_t bytes)
{
    struct rlimit limit;
    PLAIN_CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    limit.rlim_cur = bytes;
    PLAIN_CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
}

static void on_a_full_disk(const void *arg)
{
    (void)arg;
    tr_pid root = tree_start();
    uint64_t version, kept;
    rl_decided decided;
    PLAIN_CHECK(put_policy("full", 10, &kept) == RL_DONE_CREATED);
    file_bytes_max(1);
    for (uint32_t left = 10; left-- > 0;) {
        PLAIN_CHECK(check_key("full", "a", RL_HOW_TAKE, &decided) == TR_OK &&
                    decided.decision.remaining == left);
    }
    PLAIN_CHECK(check_key("full", "a", RL_HOW_TAKE, &decided) == TR_OK && decided.status == RL_DENIED);
    PLAIN_CHECK(put_policy("full", 20, &version) == RL_STORAGE_FULL);
    PLAIN_CHECK(!rate_limits_save_all(30000));
    PLAIN_CHECK(check_key("full", "a", RL_HOW_PEEK, &decided) == TR_OK && decided.decision.limit == 10);
    PLAIN_CHECK(put_policy("full", 10, &version) == RL_DONE_SAME && version == kept);
    file_bytes_max(RLIM_INFINITY);
    PLAIN_CHECK(put_policy("full", 20, &version) == RL_DONE_REPLACED && version > kept);
    PLAIN_CHECK(check_key("full", "a", RL_HOW_PEEK, &decided) == TR_OK && decided.decision.remaining == 10);
    tree_stop(root);
}

PLAIN_TEST(checks_go_on_when_the_disk_is_full)
{
    signal(SIGXFSZ, SIG_IGN);
    fresh_directory();
    run(on_a_full_disk);
    remove_directory();
}
