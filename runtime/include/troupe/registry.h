/* registry.h: names for processes: keys (any term) to pids with values. Semantics are Elixir 1.14's Registry.
 *
 *     tr_registry_start_link(&(tr_registry_opts){.name = tr_atom("rooms"), .keys = TR_DUPLICATE_KEYS}, &started);
 *     tr_registry *rooms = tr_registry_find("rooms");
 *     tr_registry_register(rooms, tr_int(7), tr_atom("guest"), NULL);
 *     tr_registry_dispatch(rooms, tr_int(7), tells_all, &text);
 *
 * Invariants
 *  1. Only a live process is found; an entry goes before anyone hears of its owner's death (a restarted owner
 *     never meets its predecessor's name). Elixir takes it away a moment later.
 *  2. Readers never wait: a look-up takes no lock.
 *  3. A registry that was started is a supervisor with one process a partition. Who registers is linked to the
 *     process of its partition until its last entry goes; so it ends with the registry. Its entries go with the
 *     partition, before any link is told.
 *  4. A registry made by tr_registry_new has no process: it lives as long as the node, and nobody is linked.
 *  5. The pointer stays valid for the life of the node. While the registry does not run it has no entries,
 *     nothing can be registered, and tr_registry_find does not find it.
 * Limits: 2^16 partitions. What a registry had before it was started again in another shape is kept (a few bytes).
 * Ending one walks over its whole table for each partition. A key and a value of which listeners are told: 64 KiB.
 */
#ifndef TROUPE_REGISTRY_H
#define TROUPE_REGISTRY_H

#include <troupe/pattern.h>
#include <troupe/supervisor.h>

typedef struct tr_registry tr_registry;

typedef enum tr_registry_keys { TR_UNIQUE_KEYS, TR_DUPLICATE_KEYS } tr_registry_keys;

/* ---- which there are ---- */

/** A key and a value kept by the registry itself. */
typedef struct tr_registry_meta_pair {
    tr_term key, value;
} tr_registry_meta_pair;

typedef struct tr_registry_opts {
    tr_term name; /* atom: also the registered name of its supervisor */
    tr_registry_keys keys;
    uint32_t partitions;      /* 0: 1 */
    const tr_term *listeners; /* atoms: registered names that are told of each registration */
    size_t listener_count;
    const tr_registry_meta_pair *meta;
    size_t meta_count;
} tr_registry_opts;

/** Starts a registry and waits until its partitions run. Everything is copied. Errors: as tr_supervisor_start_link;
 *  reason badarg when the options are wrong, already_present when tr_registry_new made one with this name.
 *  Blocks: parks. Context: process. */
TR_MUST_CHECK tr_err tr_registry_start_link(const tr_registry_opts *opts, tr_started *started);
/** The same as a child of a supervisor: fills *spec (its memory is the caller's *opts, which must outlive the tree). */
void tr_registry_child_spec(const tr_registry_opts *opts, tr_child_spec *spec);

/** Makes a registry with unique keys, this name and no process, or finds the one with this name. Returns: borrowed
 *  for the life of the node. Context: any thread. */
tr_registry *tr_registry_new(const char *name);
/** The registry with this name, or NULL when none runs. */
tr_registry *tr_registry_find(const char *name);
tr_registry_keys tr_registry_keys_of(tr_registry *registry);

/* ---- registering ---- */

/** Registers the calling process under key with a value (or none). Errors: TR_E_ALREADY_STARTED (unique keys, also
 *  for oneself), *owner tells who (NULL allowed); TR_E_NOPROC when the registry does not run; TR_E_STATE outside a
 *  process. */
TR_MUST_CHECK tr_err tr_registry_register(tr_registry *registry, tr_term key, tr_term value, tr_pid *owner);
/** Takes all entries of the calling process under this key away; fine when absent. */
void tr_registry_unregister(tr_registry *registry, tr_term key);
/** The same for those whose value matches. */
void tr_registry_unregister_match(tr_registry *registry, tr_term key, const tr_pattern *value);
/** Makes fn(old value) the value of the calling process's unique key. *fresh and *old (NULL allowed) are on scratch.
 *  A crash in fn changes nothing. Errors: TR_E_NOT_FOUND: not its key; TR_E_BADARG: keys are duplicate. */
TR_MUST_CHECK tr_err tr_registry_update_value(tr_registry *registry, tr_term key,
                                              tr_term (*fn)(tr_term old, void *ctx), void *ctx,
                                              tr_term *fresh, tr_term *old);

/** What listeners get. They are not told of entries that go with their process, as in Elixir; one that is not there
 *  hears nothing. */
TR_MESSAGE_TERMS(
    tr_registry_registered,
    {
        tr_term registry; /* its name */
        tr_term key;
        tr_term value;
        tr_pid pid;
    },
    offsetof(tr_registry_registered, registry), offsetof(tr_registry_registered, key),
    offsetof(tr_registry_registered, value));
TR_MESSAGE_TERMS(
    tr_registry_unregistered,
    {
        tr_term registry;
        tr_term key;
        tr_pid pid;
    },
    offsetof(tr_registry_unregistered, registry), offsetof(tr_registry_unregistered, key));

/* ---- looking up: from any thread; arrays and terms on the caller's scratch ---- */

/** Live owner of a unique key or TR_NO_PID; *value (NULL allowed) on the caller's scratch. With duplicate keys: of
 *  one of them. */
tr_pid tr_registry_lookup(tr_registry *registry, tr_term key, tr_term *value);

typedef struct tr_registry_entry {
    tr_pid pid;
    tr_term key, value;
} tr_registry_entry;

/** All entries of a key; those of one partition in the order they came. */
const tr_registry_entry *tr_registry_entries(tr_registry *registry, tr_term key, size_t *count);
/** Those whose value matches. */
const tr_registry_entry *tr_registry_match(tr_registry *registry, tr_term key, const tr_pattern *value,
                                           size_t *count);
size_t tr_registry_count_match(tr_registry *registry, tr_term key, const tr_pattern *value);
/** The keys of a process, one for each entry, in no order. */
const tr_term *tr_registry_keys_list(tr_registry *registry, tr_pid pid, size_t *count);
/** The values of a process under a key. */
const tr_term *tr_registry_values(tr_registry *registry, tr_term key, tr_pid pid, size_t *count);
/** All entries. */
size_t tr_registry_count(tr_registry *registry);

/** For each entry, as {Key, Pid, Value}: the body of the first pattern that matches. In no order. */
const tr_term *tr_registry_select(tr_registry *registry, const tr_pattern *patterns, size_t pattern_count,
                                  size_t *count);
size_t tr_registry_count_select(tr_registry *registry, const tr_pattern *patterns, size_t pattern_count);

/** Calls fn for each entry until it returns false. The key and value are borrowed for that call. */
void tr_registry_each(tr_registry *registry, bool (*fn)(tr_term key, tr_term value, tr_pid owner, void *ctx),
                      void *ctx);

/* ---- dispatch ---- */

/** What is to be done with the entries of a key in one partition; there is at least one. */
typedef void (*tr_dispatch_fn)(const tr_registry_entry *entries, size_t count, const void *arg);

/** Calls fn for each partition that has entries of the key, one after the other. */
void tr_registry_dispatch(tr_registry *registry, tr_term key, tr_dispatch_fn fn, const void *arg);
/** The same in one linked process a partition, with a copy of arg each; waits for all. One partition: in the caller.
 *  Errors: TR_E_EXIT when one crashed and the caller traps exits (else it dies by the link). Blocks: parks. */
TR_MUST_CHECK tr_err tr_registry_dispatch_parallel(tr_registry *registry, tr_term key, tr_dispatch_fn fn,
                                                   const void *arg, size_t arg_bytes);

/* ---- locks ---- */

/** Runs fn(ctx) here while nobody else runs under this key; keys of locks have nothing to do with keys of entries. Others
 *  wait in order of their asking. A holder that crashes, or is killed, gives it back; one whose registry ends goes on
 *  unguarded. Do not ask again for a key that one holds: that waits for oneself. (Elixir 1.18's lock, with a time limit.)
 *  Errors, and fn did not run: TR_E_TIMEOUT; TR_E_NOPROC when the registry does not run, or ended meanwhile; TR_E_STATE
 *  outside of a process, and with one that tr_registry_new made. Blocks: parks. */
TR_MUST_CHECK tr_err tr_registry_lock(tr_registry *registry, tr_term key, int64_t timeout_ms,
                                      void (*fn)(void *ctx), void *ctx);

/* ---- metadata: goes with the registry. Context: any thread ---- */

/** Errors: TR_E_NOT_FOUND; TR_E_NOPROC when the registry does not run. */
TR_MUST_CHECK tr_err tr_registry_meta(tr_registry *registry, tr_term key, tr_term *value);
tr_err tr_registry_put_meta(tr_registry *registry, tr_term key, tr_term value);
tr_err tr_registry_delete_meta(tr_registry *registry, tr_term key);

#endif
