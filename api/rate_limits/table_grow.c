/* Adding and removing lines, and the splits that make room for them. */
#include "api/rate_limits/table_impl.h"

/* More splits in a row than this mean that the hash is not one. */
#define SPLITS_MAX 4

/* --- one slot --- */

static void open_slot_journal(rl_table *t, rl_slot slot, uint64_t keys_without)
{
    RL_PUT(t->journal.a, slot);
    RL_PUT(t->journal.b, keys_without);
    RL_PUT(t->journal.op, (uint64_t)OP_SLOT);
}

static void close_journal(rl_table *t)
{
    RL_PUT(t->journal.op, (uint64_t)OP_NONE);
}

void rl__table_free_slot(rl_table *t, rl_slot slot)
{
    open_slot_journal(t, slot, t->keys - 1);
    RL_PUT(*slot_tag(t, slot), (unsigned char)0);
    RL_PUT(t->keys, t->keys - 1);
    close_journal(t);
    table_unclaim(t, 1);
}

static void fill_slot(rl_table *t, rl_slot slot, const rl_hash *hash, rl_u128 full_at, uint32_t rate_id)
{
    rl_line *line = slot_line(t, slot);

    /* Nobody reads the line before its tag is stored (I1). */
    line->hash[0] = hash->word[0];
    line->hash[1] = hash->word[1];
    line_write(line, full_at, rate_id, WORD_CHANGED);
    segment_changed(t, slot_segment(slot));
    open_slot_journal(t, slot, t->keys);
    RL_PUT(*slot_tag(t, slot), hash_tag(hash));
    RL_PUT(t->keys, t->keys + 1);
    close_journal(t);
}

/* --- splitting a segment --- */

static inline bool line_moves(const rl_line *line, unsigned depth)
{
    return (line->hash[0] >> (63 - depth) & 1) != 0;
}

static bool split(rl_table *t, uint32_t from, const rl_hash *hash)
{
    unsigned depth = t->heads[from].depth;
    uint32_t to = t->segment_count;
    unsigned char *from_tags = segment_tags(t, from);
    unsigned char *to_tags = segment_tags(t, to);

    if (depth >= t->directory_bits || to >= t->segments_max ||
        !rl_region_grow(&t->line_region, (size_t)((to + 1) * t->segment_bytes))) {
        return false;
    }
    RL_PUT(t->journal.a, (uint64_t)from);
    RL_PUT(t->journal.b, (uint64_t)to);
    RL_PUT(t->journal.c, (uint64_t)depth);
    /* The first directory entry of the upper half of what `from` serves. */
    RL_PUT(t->journal.d, ((hash->word[0] >> (63 - depth)) | 1) << (t->directory_bits - depth - 1));
    RL_PUT(t->journal.op, (uint64_t)OP_SPLIT_COPY);
    for (uint32_t i = 0; i < t->slots; i++) {
        if (from_tags[i] != 0 && line_moves(&segment_lines(t, from)[i], depth)) {
            segment_lines(t, to)[i] = segment_lines(t, from)[i];
            RL_PUT(to_tags[i], from_tags[i]);
        }
    }
    RL_PUT(t->heads[to].depth, (uint8_t)(depth + 1));
    RL_PUT(t->heads[to].changed, t->heads[from].changed);
    RL_PUT(t->segment_count, to + 1);
    RL_PUT(t->journal.op, (uint64_t)OP_SPLIT_SWITCH);
    rl__table_finish_split(t);
    return true;
}

void rl__table_finish_split(rl_table *t)
{
    uint32_t from = (uint32_t)t->journal.a;
    uint32_t to = (uint32_t)t->journal.b;
    unsigned depth = (unsigned)t->journal.c;
    uint64_t entries = UINT64_C(1) << (t->directory_bits - depth - 1);
    unsigned char *tags = segment_tags(t, from);

    for (uint64_t i = 0; i < entries; i++) {
        RL_PUT(t->directory[t->journal.d + i], to);
    }
    RL_PUT(t->heads[from].depth, (uint8_t)(depth + 1));
    for (uint32_t i = 0; i < t->slots; i++) {
        if (tags[i] != 0 && line_moves(&segment_lines(t, from)[i], depth)) {
            RL_PUT(tags[i], (unsigned char)0);
        }
    }
    close_journal(t);
}

/* --- room for a key --- */

static unsigned free_lines(const unsigned char *tags)
{
    return (unsigned)(__builtin_popcountll(bytes_equal(tags, 0)) +
                      __builtin_popcountll(bytes_equal(tags + 8, 0)));
}

static uint32_t first_free(const unsigned char *tags)
{
    uint64_t low = bytes_equal(tags, 0);

    if (low != 0) {
        return (uint32_t)__builtin_ctzll(low) / 8;
    }
    return 8 + (uint32_t)__builtin_ctzll(bytes_equal(tags + 8, 0)) / 8;
}

/* The emptier of the key's two groups keeps both of them away from being full for long. */
static bool free_slot_for(const rl_table *t, const rl_hash *hash, rl_slot *slot)
{
    uint32_t segment = hash_segment(t, hash);
    const unsigned char *tags = segment_tags(t, segment);
    uint32_t one = hash_group_one(t, hash) * GROUP_LINES;
    uint32_t two = hash_group_two(t, hash) * GROUP_LINES;
    unsigned free_one = free_lines(tags + one);
    unsigned free_two = free_lines(tags + two);
    uint32_t group = free_two > free_one ? two : one;

    if (free_one == 0 && free_two == 0) {
        return false;
    }
    *slot = slot_make(segment, group + first_free(tags + group));
    return true;
}

static uint32_t tend_group(rl_table *t, uint64_t at_ns, uint32_t segment, uint32_t first)
{
    uint32_t dropped = 0;

    for (uint32_t i = first; i < first + GROUP_LINES; i++) {
        rl_slot slot = slot_make(segment, i);
        if (*slot_tag(t, slot) != 0 && rl__table_tend(t, at_ns, slot)) {
            dropped++;
        }
    }
    return dropped;
}

/* Drops the full buckets among the lines that this key could use. */
static uint32_t tend_groups_of(rl_table *t, uint64_t at_ns, const rl_hash *hash)
{
    uint32_t segment = hash_segment(t, hash);
    uint32_t one = hash_group_one(t, hash);
    uint32_t two = hash_group_two(t, hash);
    uint32_t dropped = tend_group(t, at_ns, segment, one * GROUP_LINES);

    if (two != one) {
        dropped += tend_group(t, at_ns, segment, two * GROUP_LINES);
    }
    return dropped;
}

bool rl__table_make_room(rl_table *t, uint64_t at_ns, const rl_hash *hash)
{
    if (table_has_room(t)) {
        return true;
    }
    if (t->no_full_before > at_ns) {
        return false;
    }
    if (tend_groups_of(t, at_ns, hash) > 0 && table_has_room(t)) {
        return true;
    }
    (void)rl__table_sweep(t, at_ns, RL_SWEEP_LINES);
    return table_has_room(t);
}

bool rl__table_insert(rl_table *t, uint64_t at_ns, const rl_hash *hash, rl_u128 full_at, uint32_t rate_id,
                      bool above_max)
{
    rl_slot slot;
    int splits = 0;

    if ((!above_max && !rl__table_make_room(t, at_ns, hash)) || !table_claim(t, above_max)) {
        return false;
    }
    while (!free_slot_for(t, hash, &slot)) {
        if (tend_groups_of(t, at_ns, hash) == 0 &&
            (splits++ == SPLITS_MAX || !split(t, hash_segment(t, hash), hash))) {
            table_unclaim(t, 1);
            return false;
        }
    }
    table_full_at_hint(t, rl_rate_full_at_ns(&t->rates[rate_id].rate, full_at));
    fill_slot(t, slot, hash, full_at, rate_id);
    return true;
}
