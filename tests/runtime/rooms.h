/* rooms.h: a registry named rooms and processes in it; for the tests of the registry.
 *
 *     CASE(registry_unique, TR_UNIQUE_KEYS, unregisters_with_no_entries) { tr_registry_unregister(rooms, KEY); }
 *
 * 1. A case runs twice in one scene, with 1 and with 8 partitions, each time on a fresh registry, as Elixir's do.
 * 2. The scene traps exits: it outlives its registry. Nothing of the links may be left in its mailbox. */
#ifndef TESTS_RUNTIME_ROOMS_H
#define TESTS_RUNTIME_ROOMS_H

#include "tests/runtime/stage.h"

static tr_registry *rooms;
static uint32_t partitions;
static tr_pid rooms_pid;

#define KEY        tr_atom("hello")
#define VALUE(...) (&(tr_pattern){__VA_ARGS__})

static inline void rooms_open(const tr_registry_opts *opts)
{
    tr_started started;
    tr_registry_opts with_name = *opts;
    with_name.name = tr_atom("rooms");
    EXPECT(tr_registry_start_link(&with_name, &started) == TR_OK);
    rooms_pid = started.pid;
    rooms = tr_registry_find("rooms");
    TR_CHECK(rooms != NULL);
}

static inline void rooms_close(void)
{
    EXPECT(tr_gen_server_stop(tr_to(rooms_pid), TR_ATOM(NORMAL), TR_INFINITY, NULL) == TR_OK);
    EXPECT(tr_registry_find("rooms") == NULL);
    EXPECT(tr_registry_count(rooms) == 0);
    for (tr_msg *msg; (msg = tr_receive(NULL, NULL, 0)) != NULL; tr_msg_drop(msg)) {
        EXPECT(TR_MATCH(msg, tr_exit_msg) != NULL);
    }
}

#define CASE(suite, kind, name)                                                        \
    static void case_##name(void);                                                     \
    SCENE(suite, name)                                                                 \
    {                                                                                  \
        static const uint32_t counts[] = {1, 8};                                       \
        tr_trap_exit(true);                                                            \
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {                \
            partitions = counts[i];                                                    \
            rooms_open(&(tr_registry_opts){.keys = (kind), .partitions = partitions}); \
            case_##name();                                                             \
            rooms_close();                                                             \
        }                                                                              \
    }                                                                                  \
    static void case_##name(void)

static inline bool registers(tr_term key, tr_term value)
{
    return tr_registry_register(rooms, key, value, NULL) == TR_OK;
}

/* ---- other processes ---- */

TR_MESSAGE_EMPTY(guest_ready);
TR_MESSAGE_TERMS(
    guest_entry,
    {
        tr_pid host;
        tr_term key;
        tr_term value;
    },
    offsetof(guest_entry, key), offsetof(guest_entry, value));

static inline void guest_main(const void *arg)
{
    (void)arg;
    for (;;) {
        const guest_entry *entry = TR_RECEIVE(guest_entry, TR_INFINITY);
        TR_CHECK(tr_registry_register(rooms, entry->key, entry->value, NULL) == TR_OK);
        TR_SEND(entry->host, guest_ready);
    }
}

/* A process with this entry; it waits until it is ended. */
static inline tr_pid a_guest(tr_term key, tr_term value)
{
    tr_pid pid;
    TR_CHECK(tr_spawn(&(tr_spawn_opts){.label = "guest"}, guest_main, NULL, 0, &pid) == TR_OK);
    TR_SEND(pid, guest_entry, .host = tr_self(), .key = key, .value = value);
    TR_RECEIVE(guest_ready, TR_INFINITY);
    return pid;
}

static inline tr_term end_of(tr_pid pid)
{
    const tr_msg *msg = tr_receive_ref(tr_monitor(tr_to(pid), NULL), 10000);
    return EXPECT(msg != NULL) ? TR_MATCH(msg, tr_down_msg)->reason : TR_TERM_NONE_VALUE;
}

static inline void kill_and_wait(tr_pid pid)
{
    tr_ref ref = tr_monitor(tr_to(pid), NULL);
    tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
    tr_msg_drop(tr_receive_ref(ref, TR_INFINITY));
}

/* ---- what is found, as text: pids are "self" or "other" ---- */

static inline int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static inline const char *sorted_text(const char **texts, size_t count)
{
    char *all = tr_scratch_alloc(4096);
    size_t used = 0;
    all[0] = '\0';
    qsort(texts, count, sizeof texts[0], by_text);
    for (size_t i = 0; i < count; i++) {
        used += (size_t)snprintf(all + used, 4096 - used, i == 0 ? "%s" : " %s", texts[i]);
    }
    return all;
}

static inline const char *terms_text(const tr_term *terms, size_t count)
{
    const char **texts = tr_scratch_alloc((count + 1) * sizeof *texts);
    for (size_t i = 0; i < count; i++) {
        texts[i] = tr_term_text(terms[i]);
    }
    return sorted_text(texts, count);
}

static inline const char *entries_text(const tr_registry_entry *entries, size_t count)
{
    tr_term *terms = tr_scratch_alloc((count + 1) * sizeof *terms);
    for (size_t i = 0; i < count; i++) {
        tr_term who = tr_atom(entries[i].pid == tr_self() ? "self" : "other");
        terms[i] = tr_is_none(entries[i].value) ? who : tr_tuple(who, entries[i].value);
    }
    return terms_text(terms, count);
}

static inline const char *looked_up(tr_term key)
{
    size_t count;
    const tr_registry_entry *entries = tr_registry_entries(rooms, key, &count);
    return entries_text(entries, count);
}

static inline const char *matched(tr_term key, const tr_pattern *value)
{
    size_t count;
    const tr_registry_entry *entries = tr_registry_match(rooms, key, value, &count);
    EXPECT(tr_registry_count_match(rooms, key, value) == count);
    return entries_text(entries, count);
}

static inline const char *selected(const tr_pattern *patterns, size_t pattern_count)
{
    size_t count;
    const tr_term *terms = tr_registry_select(rooms, patterns, pattern_count, &count);
    EXPECT(tr_registry_count_select(rooms, patterns, pattern_count) == count);
    return terms_text(terms, count);
}

static inline const char *keys_text(tr_pid pid)
{
    size_t count;
    const tr_term *keys = tr_registry_keys_list(rooms, pid, &count);
    return terms_text(keys, count);
}

static inline const char *values_text(tr_term key, tr_pid pid)
{
    size_t count;
    const tr_term *values = tr_registry_values(rooms, key, pid, &count);
    return terms_text(values, count);
}

static inline void text_is(const char *text, const char *wanted, int line)
{
    if (strcmp(text, wanted) != 0) {
        stage_add(&stage.failed, "line %d, %u partitions: expected '%s' but it was '%s'\n", line, partitions,
                  wanted, text);
    }
}
#define IS(text, wanted) text_is((text), (wanted), __LINE__)

static inline size_t link_count(void)
{
    tr_process_info info;
    return tr_process_info_of(tr_self(), false, 1000, &info) == TR_OK ? info.link_count : 0;
}

/* A pattern of {Key, Pid, Value} with this key and value. */
static inline tr_term whole(tr_term key, tr_term value)
{
    return tr_tuple(key, TR_ANY, value);
}

static inline tr_term size_of(int width, int height)
{
    return tr_tuple(tr_atom("size"), tr_int(width), tr_int(height));
}

#endif
