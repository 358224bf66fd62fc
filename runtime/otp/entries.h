/* entries.h: the entries of all registries, each in two places: its registry's table by key, and its
 * process's list. Internal to the registry.
 *
 * A registry is 64 shards, each an open-addressed table of pointers to immutable entries. Writers lock a
 * shard; readers load the table and walk it inside a grace section. A fuller table is built aside and
 * published whole; the old one is retired. A process's list begins in its control block (tr__proc_names); its
 * first entry is what the process is shown under.
 *
 * Invariants
 *  1. An entry does not change from its publication to its release, but for its links in the list (writers
 *     only).
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
 */
#ifndef TROUPE_OTP_ENTRIES_H
#define TROUPE_OTP_ENTRIES_H

#include <pthread.h>
#include <troupe/registry.h>

#include "runtime/otp/grace.h"
#include "runtime/sys/atomic.h"

#define TR__SHARDS 64u

/* head.marks of an entry */
enum { TR__ENTRY_FOREIGN /* registered by another process */, TR__ENTRY_LISTED /* in its process's list */ };

typedef struct tr__entry {
    tr__grace_block head; /* .next: the list */
    struct tr__entry *prev;
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
    uint32_t used;    /* slots that are not NULL */
    tr__grace grace;
} tr__shard;

struct tr_registry {
    tr__shard shards[TR__SHARDS];
    tr_registry *next; /* all of them, newest first */
    bool names;        /* the registered names: one a process */
    char name[];
};

/** Makes a registry; name is copied. Never NULL. */
tr_registry *tr__registry_create(const char *name);
/** Frees it with all its entries; there are no other threads any more. */
void tr__registry_destroy(tr_registry *registry);

/** Adds an entry. Errors: TR_E_ALREADY_STARTED and *owner (NULL allowed); TR_E_NOPROC when pid is dead;
 *  TR_E_BADARG when it has a name already (names only). A dead owner is replaced. Context: any thread. */
tr_err tr__entry_add(tr_registry *registry, tr_term key, tr_term value, tr_pid pid, tr_pid *owner);
/** Takes the entry of a key away. only: when it belongs to this process (TR_NO_PID: to any). Returns: was
 *  there one. */
bool tr__entry_remove(tr_registry *registry, tr_term key, tr_pid only);
/** The live owner of a key or TR_NO_PID; *value (NULL allowed) on the caller's scratch. Takes no lock.
 *  Context: any thread. */
tr_pid tr__entry_lookup(tr_registry *registry, tr_term key, tr_term *value);
/** Copies of a shard's entries with a live owner, on the caller's scratch. */
typedef struct tr__found {
    struct tr__found *next;
    tr_term key, value;
    tr_pid pid;
} tr__found;
tr__found *tr__entries_of_shard(tr_registry *registry, unsigned shard);
/** Takes away all entries of a process that is being buried or gives up its names. list: as tr__proc_names.
 *  */
void tr__entries_release(tr_pid pid, void **list);

#endif
