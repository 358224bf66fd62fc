#include "api/rate_limits/snapshot.h"

#include <stdlib.h>
#include <troupe/troupe.h>

struct rl_snapshot {
    rl_snapshot *next;   /* in place->past, or in the list of those that may be freed */
    uint32_t cores_left; /* atomic: that have not passed a turn since it was replaced */
    uint32_t freeable;   /* atomic */
    uint32_t count;
    uint32_t mask;
    uint32_t *buckets; /* index + 1, by hash of the name; 0: free */
    rl_policy_entry entries[];
};

static uint32_t name_hash(struct text name)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < name.count; i++) {
        hash = (hash ^ (unsigned char)name.bytes[i]) * 16777619u;
    }
    return hash ^ hash >> 15;
}

static struct text name_of(const rl_policy_entry *entry)
{
    return (struct text){.bytes = entry->name, .count = entry->name_bytes};
}

static int by_name(const void *one, const void *other)
{
    return strcmp(((const rl_policy_entry *)one)->name, ((const rl_policy_entry *)other)->name);
}

rl_snapshot *rl_snapshot_create(const rl_policy_entry *entries, uint32_t count)
{
    rl_snapshot *made = calloc(1, sizeof(*made) + count * sizeof(*entries));
    uint32_t room = 8;

    while (room < 2 * count) {
        room *= 2;
    }
    if (made == NULL || (made->buckets = calloc(room, sizeof(*made->buckets))) == NULL) {
        free(made);
        return NULL;
    }
    made->count = count;
    made->mask = room - 1;
    memcpy(made->entries, entries, count * sizeof(*entries));
    qsort(made->entries, count, sizeof(*entries), by_name);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = name_hash(name_of(&made->entries[i])) & made->mask;
        while (made->buckets[at] != 0) {
            at = (at + 1) & made->mask;
        }
        made->buckets[at] = i + 1;
    }
    return made;
}

static void snapshot_free(rl_snapshot *snapshot)
{
    free(snapshot->buckets);
    free(snapshot);
}

const rl_policy_entry *rl_snapshot_find(const rl_snapshot *snapshot, struct text name)
{
    for (uint32_t at = name_hash(name) & snapshot->mask; snapshot->buckets[at] != 0;
         at = (at + 1) & snapshot->mask) {
        const rl_policy_entry *entry = &snapshot->entries[snapshot->buckets[at] - 1];
        if (text_equal(name_of(entry), name)) {
            return entry;
        }
    }
    return NULL;
}

const rl_policy_entry *rl_snapshot_entries(const rl_snapshot *snapshot, uint32_t *count)
{
    *count = snapshot->count;
    return snapshot->entries;
}

/* On each core, between two turns: whatever was read there before is forgotten. */
static void core_passed(void *ctx)
{
    rl_snapshot *snapshot = ctx;

    if (__atomic_sub_fetch(&snapshot->cores_left, 1, __ATOMIC_ACQ_REL) == 0) {
        __atomic_store_n(&snapshot->freeable, 1, __ATOMIC_RELEASE);
    }
}

/* Frees what no core can read any more. Only publishers change the list, one at a time. */
static void sweep_past(rl_snapshot_place *place)
{
    rl_snapshot **link = &place->past;

    while (*link != NULL) {
        rl_snapshot *old = *link;
        if (__atomic_load_n(&old->freeable, __ATOMIC_ACQUIRE) != 0) {
            *link = old->next;
            snapshot_free(old);
        } else {
            link = &old->next;
        }
    }
}

void rl_snapshot_publish(rl_snapshot_place *place, rl_snapshot *snapshot)
{
    rl_snapshot *old = place->now;
    int cores = tr_node_workers();

    sweep_past(place);
    if (old == NULL) {
        __atomic_store_n(&place->now, snapshot, __ATOMIC_RELEASE);
        return;
    }
    old->next = place->past;
    old->cores_left = cores > 0 ? (uint32_t)cores : 1;
    place->past = old;
    __atomic_store_n(&place->now, snapshot, __ATOMIC_RELEASE);
    for (int i = 0; i < cores; i++) {
        tr_node_post(i, core_passed, old);
    }
}

void rl_snapshot_fini(rl_snapshot_place *place)
{
    while (place->past != NULL) {
        rl_snapshot *old = place->past;
        place->past = old->next;
        snapshot_free(old);
    }
    if (place->now != NULL) {
        snapshot_free(place->now);
        place->now = NULL;
    }
}
