#include "api/rate_limits/key_index.h"

#include "api/rate_limits/torn.h"

#define RATE_BITS   24
#define WORD_FREE   UINT64_C(0)
#define WORD_ERASED UINT64_C(1) /* no entry: its cookie would be 0 */
#define SLOTS_FIRST UINT64_C(64)
#define SLOTS_MAX   (UINT64_C(1) << 27)

typedef struct rl_key_slot {
    uint64_t hash[2];
    uint64_t word;
} rl_key_slot;

typedef struct rl_key_slots {
    uint64_t mask;
    uint64_t used; /* slots that are not free: entries and erased ones */
    rl_key_slot slots[];
} rl_key_slots;

struct rl_key_index {
    rl_key_slots *slots;
};

static rl_key_slots *slots_create(uint64_t count)
{
    rl_key_slots *made = calloc(1, sizeof(*made) + count * sizeof(rl_key_slot));

    if (made != NULL) {
        made->mask = count - 1;
    }
    return made;
}

rl_key_index *rl_key_index_create(void)
{
    rl_key_index *index = calloc(1, sizeof(*index));

    if (index == NULL) {
        return NULL;
    }
    index->slots = slots_create(SLOTS_FIRST);
    if (index->slots == NULL) {
        free(index);
        return NULL;
    }
    return index;
}

void rl_key_index_destroy(rl_key_index *index)
{
    if (index != NULL) {
        free(index->slots);
        free(index);
    }
}

static inline uint64_t word_of(const rl_key_entry *entry)
{
    return entry->cookie << RATE_BITS | entry->rate_id;
}

static inline rl_key_entry entry_of(uint64_t word)
{
    return (rl_key_entry){.cookie = word >> RATE_BITS, .rate_id = (uint32_t)(word & ((1u << RATE_BITS) - 1))};
}

/* The slot of a key, or the free one where its search ends. */
static rl_key_slot *slot_of(rl_key_slots *slots, const rl_hash *hash)
{
    for (uint64_t i = hash->word[1] & slots->mask;; i = (i + 1) & slots->mask) {
        rl_key_slot *slot = &slots->slots[i];
        if (slot->word == WORD_FREE ||
            (slot->word != WORD_ERASED && slot->hash[0] == hash->word[0] && slot->hash[1] == hash->word[1])) {
            return slot;
        }
    }
}

bool rl_key_index_find(const rl_key_index *index, const rl_hash *hash, rl_key_entry *out)
{
    uint64_t word = slot_of(index->slots, hash)->word;

    if (word == WORD_FREE) {
        return false;
    }
    *out = entry_of(word);
    return true;
}

uint64_t rl_key_index_count(const rl_key_index *index)
{
    uint64_t count = 0;

    for (uint64_t i = 0; i <= index->slots->mask; i++) {
        count += index->slots->slots[i].word > WORD_ERASED;
    }
    return count;
}

static void fill(rl_key_slots *slots, rl_key_slot *slot, uint64_t hash_0, uint64_t hash_1, uint64_t word)
{
    /* Counted first: a death behind it makes the count too high, which only means to grow early. */
    slots->used++;
    slot->hash[0] = hash_0;
    slot->hash[1] = hash_1;
    RL_PUT(slot->word, word);
}

static bool make_room(rl_key_index *index)
{
    rl_key_slots *old = index->slots;
    rl_key_slots *bigger;
    uint64_t live;
    uint64_t count = SLOTS_FIRST;

    if (old->used < (old->mask + 1) / 4 * 3) {
        return true;
    }
    live = rl_key_index_count(index);
    while (count < 2 * (live + 1)) {
        count *= 2;
    }
    bigger = count > SLOTS_MAX ? NULL : slots_create(count);
    if (bigger == NULL) {
        return old->used < old->mask; /* a search must find an end */
    }
    for (uint64_t i = 0; i <= old->mask; i++) {
        const rl_key_slot *from = &old->slots[i];
        if (from->word > WORD_ERASED) {
            rl_hash hash = {{from->hash[0], from->hash[1]}};
            fill(bigger, slot_of(bigger, &hash), from->hash[0], from->hash[1], from->word);
        }
    }
    RL_PUT(index->slots, bigger);
    free(old);
    return true;
}

bool rl_key_index_put(rl_key_index *index, const rl_hash *hash, const rl_key_entry *entry)
{
    rl_key_slot *slot = slot_of(index->slots, hash);

    if (slot->word != WORD_FREE) {
        RL_PUT(slot->word, word_of(entry));
        return true;
    }
    if (!make_room(index)) {
        return false;
    }
    fill(index->slots, slot_of(index->slots, hash), hash->word[0], hash->word[1], word_of(entry));
    return true;
}

void rl_key_index_erase(rl_key_index *index, const rl_hash *hash)
{
    rl_key_slot *slot = slot_of(index->slots, hash);

    if (slot->word != WORD_FREE) {
        RL_PUT(slot->word, WORD_ERASED);
    }
}

bool rl_key_index_next(const rl_key_index *index, uint64_t *at, rl_hash *hash, rl_key_entry *out)
{
    while (*at <= index->slots->mask) {
        const rl_key_slot *slot = &index->slots->slots[(*at)++];
        if (slot->word > WORD_ERASED) {
            *hash = (rl_hash){{slot->hash[0], slot->hash[1]}};
            *out = entry_of(slot->word);
            return true;
        }
    }
    return false;
}
