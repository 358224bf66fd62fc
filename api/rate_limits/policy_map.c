#include "api/rate_limits/policy_map.h"

#include <troupe/troupe.h>

#define SLOTS_FIRST 16u

static rl_policy_slot *place(rl_policy_map *map, const rl_policy_slot *slot)
{
    uint32_t i = slot->policy_id & map->mask;

    while (map->slots[i].policy_id != 0) {
        i = (i + 1) & map->mask;
    }
    map->slots[i] = *slot;
    map->count++;
    return &map->slots[i];
}

static void rebuild(rl_policy_map *map, uint32_t room, uint32_t without)
{
    rl_policy_map old = *map;

    *map = (rl_policy_map){.slots = tr_alloc(room * sizeof(*map->slots)), .mask = room - 1};
    for (uint32_t i = 0; old.slots != NULL && i <= old.mask; i++) {
        if (old.slots[i].policy_id != 0 && old.slots[i].policy_id != without) {
            (void)place(map, &old.slots[i]);
        }
    }
    tr_free(old.slots);
}

rl_policy_slot *rl_policy_map_put(rl_policy_map *map, uint32_t policy_id, uint32_t rate_id)
{
    rl_policy_slot slot = {.policy_id = policy_id, .rate_id = rate_id};

    if (map->slots == NULL) {
        rebuild(map, SLOTS_FIRST, 0);
    } else if (2 * (map->count + 1) > map->mask + 1) {
        rebuild(map, 2 * (map->mask + 1), 0);
    }
    return place(map, &slot);
}

void rl_policy_map_erase(rl_policy_map *map, uint32_t policy_id)
{
    if (rl_policy_map_find(map, policy_id) != NULL) {
        rebuild(map, map->mask + 1, policy_id);
    }
}
