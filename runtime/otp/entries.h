/* entries.h: the entries of all registries, each in two places: its registry's table by key, and its
 * process's list. Internal to the registry.
 *
 * A registry is 64 shards, each an open-addressed table of pointers to immutable entries. Writers lock a
 * shard; readers load the table and walk it inside a grace section. A fuller table is built aside and
 * published whole; the old one is retired. A process's list begins in its control block (tr__proc_names); its
 * first entry is what the process is shown under.
 *
 * A slot of a registry with duplicate keys holds the oldest entry of a key and a partition; the others hang on
 * it in the order they came, each knowing its neighbours, so that adding and taking one away are O(1).
 *
 * Invariants
 *  1. An entry does not change from its publication to its release, but for its links: in the list (writers
 *     only), and to its twin, which readers follow. One that was taken out still leads to those behind it.
 *  2. Order of locks: a shard of a registry, then the lock of a process's list.
 *  3. Whoever takes an entry out of its process's list retires it, so it is retired once: the thread that
 *     unregisters or replaces it, or
 *     the one that buries its process.
 *  4. Nothing is put into the list of a process that has left it for good. For its own entries that is plain.
 *     For another process it is
 *     looked at under the list's lock, after `foreign` was raised: a death first publishes "not alive", then
 *     reads `foreign`, and
 *     takes the lock unless that is 0 (all sequentially consistent). So either the death waits, or it was
 *     seen.
 *  5. The registered name of a process is the first of its list, so it is found in one step and shown before
 *     any key.
 *  6. Probing ends: a table is at most half full, tombstones included.
 *  7. A served registry takes an entry only while the partition that its process was linked to serves, which is
 *     looked at under the shard's lock. A partition that ends first says that it does not serve, then takes its
 *     entries out of every shard: so an entry comes too late, or is taken out.
 *  8. What a registry is made of (tr__setup) is never changed nor freed while the node runs; a registry that is
 *     started again in another shape gets another one.
 */
#ifndef TROUPE_OTP_ENTRIES_H
#define TROUPE_OTP_ENTRIES_H

#include <pthread.h>
#include <troupe/registry.h>

#include "runtime/otp/grace.h"
#include "runtime/sys/atomic.h"

#define TR__SHARDS 64u

/* head.marks of an entry */
enum {
    TR__ENTRY_FOREIGN, /* registered by another process */
    TR__ENTRY_LISTED,  /* in its process's list; guarded by that list's lock */
    TR__ENTRY_TABLED,  /* in its registry's table; guarded by its shard's lock */
};

typedef struct tr__entry {
    tr__grace_block head; /* .next: the list */
    struct tr__entry *prev;
    struct tr__entry *twin;      /* atomic: the next one of this key and partition */
    struct tr__entry *twin_prev; /* the one before; of the oldest: the newest */
    uint64_t hash;
    tr_pid pid;
    tr_registry *registry;
    tr_term key, value; /* flattened behind the entry */
    uint64_t memory[];
} tr__entry;

typedef struct tr__table {
    tr__grace_block head;
    size_t mask;
    tr__entry *slots[]; /* atomic; NULL: never used */
} tr__table;

typedef struct tr__shard {
    _Alignas(TR__CACHE_LINE) pthread_mutex_t lock;
    tr__table *table; /* atomic; NULL until the first entry */
    uint32_t live;    /* atomic: entries */
    uint32_t keys;    /* slots that hold an entry */
    uint32_t used;    /* slots that are not NULL */
    tr__grace grace;
} tr__shard;

/* Of what kind a registry is, and who serves it. */
typedef struct tr__setup {
    struct tr__setup *older; /* what it replaced: somebody may still look at it */
    tr_registry_keys keys;
    uint32_t partitions;
    uint32_t listeners;
    bool
        served; /* by a supervisor and one process a partition; else by nobody: it lives as long as the node */
    const tr_term *names; /* of the listeners: atoms */
    tr_pid pids[];        /* atomic: the partitions, TR_NO_PID where none serves */
} tr__setup;

struct tr_registry {
    tr__shard shards[TR__SHARDS];
    tr_registry *next; /* all of them, newest first */
    tr__setup *setup;  /* atomic */
    tr_pid owner;      /* atomic: the supervisor of a served one */
    bool names;        /* the registered names: one a process */
    pthread_mutex_t meta_lock;
    struct tr__meta *meta;
    char name[];
};

static inline tr__setup *tr__setup_of(tr_registry *registry)
{
    return tr__load_acquire(&registry->setup);
}
/** The partition that a process belongs to. */
static inline uint32_t tr__partition_of(const tr__setup *setup, tr_pid pid)
{
    return (uint32_t)((pid * UINT64_C(0x9e3779b97f4a7c15) >> 32) % setup->partitions);
}
/** Partitions that a key may be in: 1 with unique keys, whose table is one. */
static inline uint32_t tr__partitions_of_key(const tr__setup *setup)
{
    return setup->keys == TR_DUPLICATE_KEYS ? setup->partitions : 1;
}

/** Makes a registry; name is copied. Never NULL. */
tr_registry *tr__registry_create(const char *name);
/** Frees it with all its entries; there are no other threads any more. */
void tr__registry_destroy(tr_registry *registry);

/** A new entry of pid; setup and server are what its process was linked by (server: TR_NO_PID when not served). */
typedef struct tr__entry_new {
    tr_registry *registry;
    const tr__setup *setup;
    tr_pid server;
    tr_term key, value;
    tr_pid pid;
} tr__entry_new;
/** Adds it. Errors: TR_E_ALREADY_STARTED and *owner (NULL allowed); TR_E_NOPROC when pid is dead, or the registry not
 *  served as the caller thinks; TR_E_BADARG when pid has a name already (names only). A dead owner is replaced.
 *  Context: any thread. */
tr_err tr__entry_add(const tr__entry_new *wanted, tr_pid *owner);
/** Gives the calling process's entry of a unique key another value. Errors: TR_E_NOT_FOUND. */
tr_err tr__entry_replace(tr_registry *registry, tr_term key, tr_term value);
/** The live owner of a unique key or TR_NO_PID; *value (NULL allowed) on the caller's scratch. Takes no lock.
 *  Context: any thread. */
tr_pid tr__entry_lookup(tr_registry *registry, tr_term key, tr_term *value);

/** Copies of entries, on the caller's scratch. */
typedef struct tr__found {
    struct tr__found *next;
    const tr__entry *entry; /* only to be compared: it may be gone */
    tr_term key, value;
    tr_pid pid;
} tr__found;
typedef struct tr__finds {
    tr__found *first, *last;
    size_t count;
} tr__finds;
/** Which entries are wanted: those with a live owner that fit everything that is given. */
typedef struct tr__query {
    const tr_pattern *pattern; /* NULL: all; `when` is not asked */
    bool whole;                /* the pattern is of {Key, Pid, Value}, not of the value */
    tr_pid pid;                /* TR_NO_PID: anybody's */
} tr__query;
/** Adds those of one key in one partition, oldest first, or of one shard, to *finds. Takes no lock. */
void tr__entries_of_key(tr_registry *registry, tr_term key, uint32_t partition, const tr__query *query,
                        tr__finds *finds);
void tr__entries_of_shard(tr_registry *registry, unsigned shard, const tr__query *query, tr__finds *finds);
/** The keys of a process, one for each of its entries, in no order; on the caller's scratch. */
const tr_term *tr__entries_keys(tr_registry *registry, tr_pid pid, size_t *count);

/** Takes entries of pid under a key away: all, or (which != NULL) those found. Returns: how many.
 *  Context: any thread. */
size_t tr__entries_remove(tr_registry *registry, tr_term key, tr_pid pid, const tr__finds *which);
/** Has the process an entry in this registry? */
bool tr__entries_any(tr_registry *registry, tr_pid pid);
#define TR__ALL_PARTITIONS UINT32_MAX
/** Takes the entries of a partition that does not serve any more (or of all) away. Context: any thread. */
void tr__entries_sweep(tr_registry *registry, const tr__setup *setup, uint32_t partition);
/** Takes away all entries of a process that is being buried or gives up its names. list: as tr__proc_names.
 *  */
void tr__entries_release(tr_pid pid, void **list);

#endif
