/* snapshot.h: the newest version of a value, read without a message. Ours, not OTP's: what the BEAM does with
 * persistent_term or a read-optimised ETS table.
 *
 *     static tr_snapshot prices_now;                               zeroed memory is an empty place
 *     tr_snapshot_publish(&prices_now, TR_TYPE(prices), &next);    its writer, an agent say
 *     const prices *now = TR_SNAPSHOT_GET(&prices_now, prices);    any process or thread
 *     ...
 *     tr_snapshot_release(now);
 *
 * Invariants
 *  1. A version that was published is never changed; it lives while a reader holds it or it is the newest.
 *  2. Readers never wait, take no lock, and see versions in their order: what was published before a reader came is
 *     the least it gets. A publisher never waits for readers.
 *  3. A place belongs to the program (static, or memory that outlives all its readers), not to the process that
 *     publishes: that one may crash and come back, readers go on with the last version.
 *  4. Inside a process a reference is a resource of that process: its end gives it back, whatever ends it. Outside,
 *     whoever got it must release it.
 * Limits: a value is copied with its terms (each reader sees the same copy), 64 MiB at most, and has no blobs.
 */
#ifndef TROUPE_SNAPSHOT_H
#define TROUPE_SNAPSHOT_H

#include <pthread.h>
#include <troupe/message.h>

/** A place for versions. Its fields are the runtime's. */
typedef struct tr_snapshot {
    struct tr__version *tr__now; /* atomic */
    uint64_t tr__number;         /* atomic: of the newest */
    pthread_mutex_t tr__lock; /* among publishers, and whoever gives back the last reference of an old one */
    void *tr__retired[3];     /* a grace list */
} tr_snapshot;

/** Replaces the newest version by a copy of value. Returns: the version's number; the first one is 1, each later
 *  one larger by one. Context: any thread; a process that gets no memory exits with nomem. */
uint64_t tr_snapshot_publish(tr_snapshot *place, const tr_type *type, const void *value);
/** The newest version, as a reference to be released; NULL when nothing was published, or something of another
 *  type. *number (NULL allowed) is its number. Context: any thread. */
const void *tr_snapshot_get(tr_snapshot *place, const tr_type *type, uint64_t *number);
#define TR_SNAPSHOT_GET(place, T) ((const T *)tr_snapshot_get((place), TR_TYPE(T), NULL))
/** Gives a reference back. NULL is fine. Context: where it was got: the same process, or outside of any. */
void tr_snapshot_release(const void *value);
/** Number of the newest version, 0 when there is none. Context: any thread. */
uint64_t tr_snapshot_number(const tr_snapshot *place);
/** Takes the newest version away, as if nothing had been published; numbers go on. For the end of a program, when
 *  nobody reads any more. Context: any thread. */
void tr_snapshot_clear(tr_snapshot *place);

#endif
