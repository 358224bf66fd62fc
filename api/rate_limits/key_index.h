/* key_index: which keys of a partition have numbers of their own: hash -> override and its rate.
 *
 * Like the table it is held on the supervisor's side, used by one process at a time, and sound after a death at any
 * instruction (torn.h): an entry is there once its word is, and growing fills new slots before one pointer turns to them.
 *
 * Invariants
 *  K1  an entry's word holds the override's id (cookie, 40 bits, >= 1) and its rate in the table (24 bits).
 *  K2  a death leaves every entry as it was or as it should become; at worst the memory of one growth is lost.
 *
 * Life cycle: create, put / erase / find, destroy.  Limits: 2^26 keys.
 */
#ifndef API_RATE_LIMITS_KEY_INDEX_H
#define API_RATE_LIMITS_KEY_INDEX_H

#include "api/rate_limits/siphash.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct rl_key_index rl_key_index;

typedef struct rl_key_entry {
    uint64_t cookie;
    uint32_t rate_id;
} rl_key_entry;

/** Makes an empty index; NULL without memory. */
rl_key_index *rl_key_index_create(void);
void rl_key_index_destroy(rl_key_index *index);

bool rl_key_index_find(const rl_key_index *index, const rl_hash *hash, rl_key_entry *out);

/** Adds a key or changes its entry.  Returns: false without memory (a key that is there can always be changed). */
bool rl_key_index_put(rl_key_index *index, const rl_hash *hash, const rl_key_entry *entry);

/** Takes a key out; fine when absent. */
void rl_key_index_erase(rl_key_index *index, const rl_hash *hash);

uint64_t rl_key_index_count(const rl_key_index *index);

/** Walks over the entries; *at begins at 0.  Returns: false at the end. Erasing and changing on the way is fine, adding is
 *  not. */
bool rl_key_index_next(const rl_key_index *index, uint64_t *at, rl_hash *hash, rl_key_entry *out);

#endif
