/* policy_map: policy id -> what a limiter process knows of it. A small open table in the process's own memory, rebuilt from
 * the table's rates when a process starts.
 *
 * Invariant: at most half full, so a search ends.  Life cycle: zeroed -> put, erase, find -> gone with the process.
 */
#ifndef API_RATE_LIMITS_POLICY_MAP_H
#define API_RATE_LIMITS_POLICY_MAP_H

#include <stddef.h>
#include <stdint.h>

typedef struct rl_policy_slot {
    uint32_t policy_id; /* 0: free */
    uint32_t rate_id;
    uint32_t overrides; /* keys with numbers of their own, in this partition */
} rl_policy_slot;

typedef struct rl_policy_map {
    rl_policy_slot *slots;
    uint32_t mask;
    uint32_t count;
} rl_policy_map;

static inline rl_policy_slot *rl_policy_map_find(const rl_policy_map *map, uint32_t policy_id)
{
    if (map->count == 0) {
        return NULL;
    }
    for (uint32_t i = policy_id & map->mask;; i = (i + 1) & map->mask) {
        if (map->slots[i].policy_id == policy_id) {
            return &map->slots[i];
        }
        if (map->slots[i].policy_id == 0) {
            return NULL;
        }
    }
}

/** Adds a policy that is not there.  Returns: its slot, good until the next put or erase. Context: process. */
rl_policy_slot *rl_policy_map_put(rl_policy_map *map, uint32_t policy_id, uint32_t rate_id);

/** Takes a policy out; fine when absent. */
void rl_policy_map_erase(rl_policy_map *map, uint32_t policy_id);

#endif
