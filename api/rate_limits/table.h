/* table: the buckets of one limiter partition, in memory that outlives the limiter's process.
 *
 * A key is known by a 128-bit keyed hash (siphash.h), its bucket by one 96-bit number (bucket.h) and the id of the rate
 * it was last settled with. An absent key is a full bucket, so full buckets are dropped whenever room is wanted.
 *
 * Invariants
 *  L1  whatever instruction a process dies at, after rl_table_adopt() every bucket is as it was before the operation or
 *      after it, and the counts agree. The dying operation's statistics may be lost.
 *  L2  a line that fails its check is empty, never full, from its next check on.
 *  L3  every operation is bounded: the longest are a split of one segment (1024 lines, and 4 bytes of directory for
 *      each 256 keys of max_keys at the very first one) and a slice of the sweep (RL_SWEEP_LINES, or what was asked).
 *  L4  keys <= max_keys, and the keys of all tables that share a budget <= its max, but for rl_table_take() after
 *      rl_table_enough(): by no more than are between the two.
 *  L5  only rl_table_check(), _take(), _restore() with RL_ALLOWED add a line; looking never does.
 *  L6  time does not go back: an earlier now_ns counts as the latest one seen.
 *
 * Life cycle: create (by the supervisor's side), add rates, use from one thread at a time, adopt after the death of a
 * user, destroy. Rates change by replace, merge and remove; lines follow when they are next touched or swept.
 * Limits: 1..2^30 keys, up to 4 000 000 live rates, 61 to 64 bytes a key at max_keys (see NOTES.md).
 */
#ifndef API_RATE_LIMITS_TABLE_H
#define API_RATE_LIMITS_TABLE_H

#include "api/rate_limits/bucket.h"
#include "api/rate_limits/decision.h"
#include "api/rate_limits/siphash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Lines looked at for room, at most, by one check of a new key in a table at max_keys. */
#define RL_SWEEP_LINES 512

typedef struct rl_table rl_table;

/* A bound on the keys of several tables together. Tables on different threads may share it. */
typedef struct rl_budget {
    uint64_t max;
    uint64_t used; /* atomic */
} rl_budget;

typedef struct rl_table_options {
    uint64_t start_ns;  /* monotonic time of service start: ticks of interval buckets count from it */
    uint32_t max_keys;  /* 1..2^30 */
    uint32_t max_rates; /* live policies and overrides, 1..4 000 000 */
    rl_budget *budget;  /* NULL: max_keys alone counts; borrowed until the table is destroyed */
} rl_table_options;

enum rl_result {
    RL_OK,
    RL_E_RANGE,        /* an argument is outside its limits */
    RL_E_NOMEM,        /* the system refused memory */
    RL_E_UNKNOWN_RATE, /* not the id of a live rate */
    RL_E_RATES_FULL,   /* more than max_rates live, or their lines not swept yet: sweep, then retry */
    RL_E_TABLE_FULL,   /* no room for a new key */
    RL_E_CORRUPT       /* the table's frame is not as it was made: end the service */
};

typedef struct rl_table_info {
    uint64_t keys; /* lines in use, full ones that were not dropped yet included */
    uint64_t max_keys;
    uint64_t memory_bytes; /* everything, for the segments in use */
    uint64_t segments;
    uint64_t lines;     /* room in those segments */
    uint64_t sweeps;    /* whole rounds of the clock hand */
    uint64_t reclaimed; /* full or removed buckets dropped */
    uint64_t refused;   /* RL_LIMITER_FULL verdicts */
    uint64_t damaged;   /* lines that failed their check and were emptied */
    uint64_t adoptions;
} rl_table_info;

/** Statistics of one rate; a death may lose the last count. */
typedef struct rl_rate_counts {
    uint64_t allowed;
    uint64_t denied;        /* refused */
    uint64_t shadow_denied; /* would have been refused */
    uint64_t refused_full;  /* no room for the key */
} rl_rate_counts;

typedef struct rl_rate_info {
    rl_rate rate;
    uint32_t policy_id;
    uint64_t cookie;
    rl_rate_counts counts;
} rl_rate_info;

/** One bucket that is not full, as saved. Means something only with the same seed and the same policy ids. */
typedef struct rl_record {
    rl_hash hash;
    uint64_t cookie; /* of the rate: tells the saver's policy from its overrides */
    uint32_t policy_id;
    uint32_t debt_tokens; /* level = limit - debt_tokens - debt_part/debt_unit */
    uint64_t debt_part;   /* < debt_unit */
    uint64_t debt_unit;
    uint64_t full_in_ns; /* time to full when it was saved */
} rl_record;

/** Where a walk over the table stands. Zero it to begin. */
typedef struct rl_cursor {
    uint64_t next_line;
    bool done;
} rl_cursor;

/* --- life ---------------------------------------------------------------------------------------------------- */

/** Makes an empty table.
 *  Errors: RL_E_RANGE, RL_E_NOMEM; *out is untouched.   Cost: reserves addresses, touches a few pages. */
enum rl_result rl_table_create(const rl_table_options *options, rl_table **out);

/** Frees the table.  Takes: table, NULL is fine. */
void rl_table_destroy(rl_table *table);

/** Makes the table sound after the death of whoever used it, wherever that was. Harmless otherwise.
 *  Errors: RL_E_CORRUPT when its frame was overwritten; it must not be used then.
 *  Cost: one pass over the directory and the segments' heads, not over the lines; at most one split is finished. */
enum rl_result rl_table_adopt(rl_table *table);

void rl_table_info_get(const rl_table *table, rl_table_info *out);

/* --- rates: the numbers buckets are settled with --------------------------------------------------------------- */

/** Adds the numbers of a policy or an override. policy_id and cookie are the caller's; they are given back by
 *  rl_table_rate_get() and in saved records.
 *  Errors: RL_E_RATES_FULL; *rate_id is untouched.   Returns: ids are 1 or more. */
enum rl_result rl_table_rate_add(rl_table *table, const rl_rate *rate, uint32_t policy_id, uint64_t cookie,
                                 uint32_t *rate_id);

/** Changes the numbers at now_ns: every line of rate_id is settled at the old ones up to now_ns and then carried over
 *  (bucket.h B4), when it is next touched. The old id is dead at once; the new one has its policy id, cookie and counts.
 *  Same numbers: the same id comes back and nothing changes, except the mode.
 *  Errors: RL_E_UNKNOWN_RATE, RL_E_RATES_FULL; nothing is changed.   Cost: sweeps a bounded slice. */
enum rl_result rl_table_rate_replace(rl_table *table, uint64_t now_ns, uint32_t rate_id, const rl_rate *rate,
                                     uint32_t *new_id);

/** Ends a rate and carries its lines over into another live one (an override that is removed or expires). */
enum rl_result rl_table_rate_merge(rl_table *table, uint64_t now_ns, uint32_t rate_id, uint32_t into_id);

/** Ends a rate together with all its lines: they count as absent at once and are freed as they are met. */
enum rl_result rl_table_rate_remove(rl_table *table, uint64_t now_ns, uint32_t rate_id);

/** Reads a live rate. A restarted process walks 1..rl_table_rate_last() to find what is there. */
bool rl_table_rate_get(const rl_table *table, uint32_t rate_id, rl_rate_info *out);
uint32_t rl_table_rate_last(const rl_table *table);

/* --- decisions ------------------------------------------------------------------------------------------------ */

/** Decides, takes the cost if there is enough, counts. The hot path.
 *  A cost of 0 takes nothing; a denial takes nothing, in shadow mode too. */
void rl_table_check(rl_table *table, uint64_t now_ns, uint32_t rate_id, const rl_hash *hash, uint64_t cost,
                    rl_verdict *verdict);

/** Decides and changes nothing at all, not even the table's idea of the latest time. */
void rl_table_peek(const rl_table *table, uint64_t now_ns, uint32_t rate_id, const rl_hash *hash,
                   uint64_t cost, rl_verdict *verdict);

/** The first step of an all-or-nothing batch: would rl_table_check() allow it? Takes and counts nothing, but makes
 *  room for a new key, so that RL_LIMITER_FULL is known now. The caller keeps others off the key until the second. */
void rl_table_enough(rl_table *table, uint64_t now_ns, uint32_t rate_id, const rl_hash *hash, uint64_t cost,
                     rl_verdict *verdict);

/** The second step, for keys that rl_table_enough() called RL_ALLOWED: as rl_table_check(), but a new key is let in
 *  above max_keys. RL_LIMITER_FULL is then left for a system that is out of memory: give back what the batch already
 *  took. Two items on one key: ask once with the sum, take once with the sum. */
void rl_table_take(rl_table *table, uint64_t now_ns, uint32_t rate_id, const rl_hash *hash, uint64_t cost,
                   rl_verdict *verdict);

/** Gives tokens back, at most up to full. */
enum rl_result rl_table_give_back(rl_table *table, uint64_t now_ns, uint32_t rate_id, const rl_hash *hash,
                                  uint64_t cost);

/** Makes one key full.  Returns: whether it had a line. */
bool rl_table_reset(rl_table *table, const rl_hash *hash);

/** Settles one key's line now and carries it over to rate_id (a key that gets its own numbers).
 *  Errors: RL_E_UNKNOWN_RATE. A key without a line is fine. */
enum rl_result rl_table_rebase(rl_table *table, uint64_t now_ns, uint32_t rate_id, const rl_hash *hash);

/* --- care, in slices ------------------------------------------------------------------------------------------ */

/** Moves the clock hand over at most `lines` lines: drops full and removed buckets, carries lines over to the rates
 *  that replaced theirs.  Returns: how many were dropped. */
uint32_t rl_table_sweep(rl_table *table, uint64_t now_ns, uint32_t lines);

/** When the next bucket is due to be full, in ns from now_ns; 0 when nobody knows: a sweep may find some. */
uint64_t rl_table_room_in_ns(const rl_table *table, uint64_t now_ns);

enum rl_save { RL_SAVE_ALL, RL_SAVE_CHANGED };

/** Copies out buckets that are not full. RL_SAVE_CHANGED: only those written since they were last saved by it; if what it
 *  gave could not be stored, save all next time. A bucket may come twice in one walk, none is missed.
 *  Takes: room for `room` records at out; looks at no more than `lines` lines (a clean segment counts as one).
 *  Returns: records written; cursor->done at the end of the table. */
size_t rl_table_save(rl_table *table, uint64_t now_ns, enum rl_save what, rl_cursor *cursor, uint32_t lines,
                     rl_record *out, size_t room);

/** Puts a saved bucket back, elapsed_ns after it was saved (rl_wall_elapsed_ns()): at most up to full. Where the key has
 *  a line already, the emptier of the two stays.
 *  Errors: RL_E_UNKNOWN_RATE, RL_E_RANGE for a record that cannot be, RL_E_TABLE_FULL. */
enum rl_result rl_table_restore(rl_table *table, uint64_t now_ns, uint32_t rate_id, const rl_record *record,
                                uint64_t elapsed_ns);

#endif
