/* registry.h: what the files of the registry share. Not public; <troupe/registry.h> is.
 *
 *     registry.c        which registries there are; registering; registered names
 *     registry_serve.c  a registry as a supervisor with one process a partition
 *     registry_query.c  match, select, dispatch
 *     registry_lock.c   locks, kept by the processes of the partitions
 *     registry_meta.c   metadata
 *     entries.c         the entries themselves
 *
 * Invariants
 *  1. A tr_registry is made once a name and lives as long as the node. While it is served, `owner` is its
 *     supervisor; who ends or takes over swaps that out first, so it is given up once.
 *  2. A supervisor that finds its registry still owned by a predecessor, which is dead but not buried yet, takes
 *     everything away itself; the late burials then find that they own nothing any more.
 */
#ifndef TROUPE_OTP_REGISTRY_H
#define TROUPE_OTP_REGISTRY_H

#include "runtime/otp/entries.h"

/** A served registry in this shape for the calling supervisor: found or made, without entries and metadata.
 *  NULL when there is one that is not served. */
tr_registry *tr__registry_claim(const tr_registry_opts *opts);
/** The supervisor `owner` ends. Fine when another one took over. */
void tr__registry_give_up(tr_registry *registry, tr_pid owner);
/** Does it run, or is it one without processes? */
bool tr__registry_runs(tr_registry *registry);

#define TR__LOCK_BUCKETS 16u
/** The locks that a partition keeps: zeroed at first, and in the memory of its process. */
typedef struct tr__locks {
    struct tr__lock *buckets[TR__LOCK_BUCKETS];
} tr__locks;
/** Answers it, now or when the lock is free. Returns false when it is no request for a lock. */
bool tr__locks_call(tr__locks *locks, tr_from from, const tr_msg *msg);
/** A lock was given back, or its holder ended; other messages are left alone. */
void tr__locks_info(tr__locks *locks, const tr_msg *msg);

/** Takes all metadata away. */
void tr__meta_clear(tr_registry *registry);

#endif
