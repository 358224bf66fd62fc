/* key_locks: who may touch which keys of a partition while an all-or-nothing batch holds some of them.
 *
 * A ticket stands in line for its keys, first come, first served on each key. It is granted when it is at the head of all
 * its lines; tickets without a key in common never meet.
 *
 * Invariants
 *  1. With no ticket about, nothing costs more than one comparison.
 *  2. A ticket waits only for tickets that came before it, so the lines of one partition have no cycle.
 *  3. A ticket names each key once.
 *
 * Life cycle: init; enter -> (waits -> granted) -> leave. Memory is the process's own: it goes with it.
 */
#ifndef API_RATE_LIMITS_KEY_LOCKS_H
#define API_RATE_LIMITS_KEY_LOCKS_H

#include "api/rate_limits/siphash.h"

#include <stdbool.h>
#include <stdint.h>

struct rl_key_line;
struct rl_ticket;

typedef struct rl_place {
    struct rl_place *next; /* behind it in the line */
    struct rl_ticket *ticket;
    struct rl_key_line *line;
} rl_place;

typedef struct rl_ticket {
    struct rl_ticket *next_ready;
    uint32_t count;
    uint32_t ahead; /* lines it does not head yet */
    rl_place *places;
} rl_ticket;

typedef struct rl_key_locks {
    struct rl_key_line **buckets;
    uint32_t bucket_count;
    uint32_t keys; /* with a line; 0: nobody holds or waits */
} rl_key_locks;

/** Whether somebody holds or waits for this key. */
bool rl_key_locks_taken(const rl_key_locks *locks, const rl_hash *hash);

/** Puts a ticket into the lines of its keys (each once); places is room for count.
 *  Returns: granted at once. */
bool rl_key_locks_enter(rl_key_locks *locks, rl_ticket *ticket, const rl_hash *const *hashes, uint32_t count,
                        rl_place *places);

/** Takes a ticket out, granted or waiting.
 *  Returns: the tickets that are granted by that, linked by next_ready. */
rl_ticket *rl_key_locks_leave(rl_key_locks *locks, rl_ticket *ticket);

#endif
