/* table_impl: how a table lies in memory. Only the table_*.c files include this.
 *
 *   directory[hash >> ..] -> segment -> two groups of 16 lines (two choices), found by one tag byte a line
 *
 * Invariants
 *  I1  tag 0 = the slot is free, whatever its line holds; storing the tag is what adds or removes a key.
 *  I2  a line has two copies of full_at; its word selects one and checks it. The spare one is written first.
 *  I3  a key's slot is in the segment the directory names, in group one or two of its hash; a split keeps the slot's
 *      index, so it only copies.
 *  I4  an operation that touches more than one word is written down in the journal first, op last; op 0 = none open.
 *  I5  no line names a retired or removed rate after two whole sweeps from its end; only then is the id used again.
 *
 * Limits: rate ids have 24 bits.
 */
#ifndef API_RATE_LIMITS_TABLE_IMPL_H
#define API_RATE_LIMITS_TABLE_IMPL_H

#include "api/rate_limits/region.h"
#include "api/rate_limits/table.h"
#include "api/rate_limits/torn.h"

#include <assert.h>
#include <string.h>

#define GROUP_LINES    16u
#define RATE_ID_MAX    0xffffffu
#define RATES_SPARE    4096u
#define MAX_RATES      4000000u
#define MAX_KEYS       (UINT32_C(1) << 30)
#define NO_FULL_BEFORE UINT64_MAX

typedef struct rl_line {
    uint64_t hash[2];
    uint64_t word; /* 24 bits rate id, 1 selector, 1 changed, 38 check */
    uint64_t low[2];
    uint32_t high[2];
} rl_line;

static_assert(sizeof(rl_line) == 48, "a line is 48 bytes");

#define WORD_RATE     UINT64_C(0x0ffffff)
#define WORD_SELECTOR UINT64_C(0x1000000)
#define WORD_CHANGED  UINT64_C(0x2000000)
#define WORD_META     UINT64_C(0x3ffffff)

enum rate_kind { RATE_FREE, RATE_LIVE, RATE_RETIRED, RATE_REMOVED };

/* The state of a rate is one word: 8 bits kind, 24 bits id of the successor, 32 bits of the sweep it ended in. */
typedef struct rl_rate_entry {
    rl_rate rate;
    uint64_t state;
    uint64_t ended_at_ns;
    uint64_t cookie;
    uint32_t policy_id;
    rl_rate_counts counts;
} __attribute__((aligned(64))) rl_rate_entry;

static_assert(sizeof(rl_rate_entry) == 128, "a rate is two cache lines");

typedef struct rl_segment_head {
    uint8_t depth;   /* how many hash bits all keys here share */
    uint8_t changed; /* 0 nothing to save, 1 written to, 2 being saved */
} rl_segment_head;

enum journal_op {
    OP_NONE,
    OP_SLOT,         /* a = slot, b = keys without it: a tag is being set or cleared */
    OP_SPLIT_COPY,   /* a -> b, c = depth of a: b is filled, nobody knows it yet */
    OP_SPLIT_SWITCH, /* same: the directory turns to b, then a is cleaned */
    OP_RATE          /* a is being ended in favour of b */
};

typedef struct rl_journal {
    uint64_t op;
    uint64_t a, b, c, d;
} rl_journal;

struct rl_table {
    /* Fixed at creation, under frame_check. */
    uint64_t magic;
    uint64_t start_ns;
    uint32_t max_keys;
    uint32_t groups;         /* in a segment */
    uint32_t slots;          /* groups x 16 */
    uint32_t directory_bits; /* >= 1 */
    uint32_t segments_max;
    uint32_t rates_max; /* entries, [0] is not used */
    uint32_t rates_live_max;
    uint32_t pad;
    uint64_t segment_bytes;
    unsigned char *segments; /* = lines.base */
    rl_rate_entry *rates;
    uint32_t *directory;
    rl_segment_head *heads;
    uint64_t frame_check;

    rl_budget *budget; /* NULL: none */
    uint64_t claimed;  /* of the budget; = keys but for the moment of a death */
    rl_journal journal;
    uint64_t latest_ns; /* since service start */
    uint64_t keys;
    uint32_t segment_count;
    uint32_t rate_last; /* highest id ever used */
    uint32_t rate_scan;
    uint32_t sweeps;         /* whole rounds; wraps */
    uint64_t hand;           /* next slot of the clock hand, counted over all segments */
    uint64_t no_full_before; /* no bucket is full before this; 0 = not known */
    uint64_t round_min;      /* the same, of this round so far */
    rl_region line_region;
    rl_region rate_region;

    uint64_t reclaimed, refused, damaged, adoptions, rounds;
};

/* Where a line is: the segment in the upper half. */
typedef uint64_t rl_slot;

static inline rl_slot slot_make(uint32_t segment, uint32_t index)
{
    return (uint64_t)segment << 32 | index;
}

static inline uint32_t slot_segment(rl_slot slot)
{
    return (uint32_t)(slot >> 32);
}

static inline uint32_t slot_index(rl_slot slot)
{
    return (uint32_t)slot;
}

static inline unsigned char *segment_tags(const rl_table *t, uint32_t segment)
{
    return t->segments + (size_t)segment * t->segment_bytes;
}

static inline rl_line *segment_lines(const rl_table *t, uint32_t segment)
{
    return (rl_line *)(void *)(segment_tags(t, segment) + t->slots);
}

static inline unsigned char *slot_tag(const rl_table *t, rl_slot slot)
{
    return segment_tags(t, slot_segment(slot)) + slot_index(slot);
}

static inline rl_line *slot_line(const rl_table *t, rl_slot slot)
{
    return segment_lines(t, slot_segment(slot)) + slot_index(slot);
}

/* --- where a key belongs --- */

static inline uint32_t hash_segment(const rl_table *t, const rl_hash *hash)
{
    return t->directory[hash->word[0] >> (64 - t->directory_bits)];
}

static inline unsigned char hash_tag(const rl_hash *hash)
{
    unsigned char tag = (unsigned char)hash->word[0];

    return tag != 0 ? tag : 1;
}

static inline uint32_t hash_group_one(const rl_table *t, const rl_hash *hash)
{
    return (uint32_t)((hash->word[1] & UINT32_MAX) * t->groups >> 32);
}

static inline uint32_t hash_group_two(const rl_table *t, const rl_hash *hash)
{
    return (uint32_t)((hash->word[1] >> 32) * t->groups >> 32);
}

/* 0x80 in every byte of `bytes` that equals `byte`, lowest address lowest. */
static inline uint64_t bytes_equal(const unsigned char *bytes, unsigned char byte)
{
    const uint64_t low7 = UINT64_C(0x7f7f7f7f7f7f7f7f);
    uint64_t x;

    memcpy(&x, bytes, sizeof x);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    x ^= UINT64_C(0x0101010101010101) * byte;
    return ~(((x & low7) + low7) | x | low7);
}

/* --- a line's content --- */

static inline uint64_t line_check(const uint64_t hash[2], uint64_t low, uint32_t high, uint64_t meta)
{
    uint64_t x = (low ^ hash[0]) * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t y = (((uint64_t)high << 32 | meta) ^ hash[1]) * UINT64_C(0xd6e8feb86659fd93);

    x ^= y ^ (y >> 31);
    x *= UINT64_C(0xff51afd7ed558ccd);
    return x & ~WORD_META;
}

static inline bool line_read(const rl_line *line, rl_u128 *full_at, uint32_t *rate_id)
{
    uint64_t word = line->word;
    unsigned which = (word & WORD_SELECTOR) != 0;
    uint64_t low = line->low[which];
    uint32_t high = line->high[which];

    *full_at = (rl_u128)high << 64 | low;
    *rate_id = (uint32_t)(word & WORD_RATE);
    return (word & ~WORD_META) == line_check(line->hash, low, high, word & WORD_META);
}

/* I2: spare copy, then the word. */
static inline void line_write(rl_line *line, rl_u128 full_at, uint32_t rate_id, uint64_t changed)
{
    uint64_t meta = ((line->word & WORD_SELECTOR) ^ WORD_SELECTOR) | changed | rate_id;
    unsigned which = (meta & WORD_SELECTOR) != 0;
    uint64_t low = (uint64_t)full_at;
    uint32_t high = (uint32_t)(full_at >> 64);

    RL_PUT(line->low[which], low);
    RL_PUT(line->high[which], high);
    RL_PUT(line->word, meta | line_check(line->hash, low, high, meta));
}

/* Drops the mark that the line has to be saved: one store. */
static inline void line_saved(rl_line *line)
{
    uint64_t meta = line->word & WORD_META & ~WORD_CHANGED;
    unsigned which = (meta & WORD_SELECTOR) != 0;

    RL_PUT(line->word, meta | line_check(line->hash, line->low[which], line->high[which], meta));
}

static inline void segment_changed(rl_table *t, uint32_t segment)
{
    if (t->heads[segment].changed != 1) {
        RL_PUT(t->heads[segment].changed, (uint8_t)1);
    }
}

/* --- rates --- */

static inline enum rate_kind rate_kind(const rl_rate_entry *rate)
{
    return (enum rate_kind)(rate->state & 0xff);
}

static inline uint32_t rate_next(const rl_rate_entry *rate)
{
    return (uint32_t)(rate->state >> 8) & RATE_ID_MAX;
}

static inline bool rate_is_live(const rl_table *t, uint32_t rate_id)
{
    return rate_id >= 1 && rate_id <= t->rate_last && rate_kind(&t->rates[rate_id]) == RATE_LIVE;
}

/* --- time --- */

static inline uint64_t since_start(const rl_table *t, uint64_t now_ns)
{
    uint64_t at_ns = now_ns > t->start_ns ? now_ns - t->start_ns : 0;

    return at_ns > t->latest_ns ? at_ns : t->latest_ns;
}

static inline uint64_t pass_time(rl_table *t, uint64_t now_ns)
{
    uint64_t at_ns = since_start(t, now_ns);

    if (at_ns != t->latest_ns) {
        RL_PUT(t->latest_ns, at_ns);
    }
    return at_ns;
}

/* --- room --- */

static inline bool table_has_room(const rl_table *t)
{
    return t->keys < t->max_keys &&
           (t->budget == NULL || __atomic_load_n(&t->budget->used, __ATOMIC_RELAXED) < t->budget->max);
}

static inline void table_unclaim(rl_table *t, uint64_t keys)
{
    if (t->budget != NULL) {
        __atomic_fetch_sub(&t->budget->used, keys, __ATOMIC_RELAXED);
        t->claimed -= keys;
    }
}

/* A key's share of the budget. A death just behind the first line costs the budget one key for good. */
static inline bool table_claim(rl_table *t, bool above_max)
{
    if (t->budget == NULL) {
        return true;
    }
    if (__atomic_fetch_add(&t->budget->used, 1, __ATOMIC_RELAXED) >= t->budget->max && !above_max) {
        __atomic_fetch_sub(&t->budget->used, 1, __ATOMIC_RELAXED);
        return false;
    }
    t->claimed++;
    return true;
}

/* --- shared between the files of the table --- */

/** Finds a key's slot. */
bool rl__table_find(const rl_table *t, const rl_hash *hash, rl_slot *slot);

/** Adds a key that has no line; its bucket is full at full_at. With `above_max` the bound is not looked at.
 *  Returns: false when there is no room. */
bool rl__table_insert(rl_table *t, uint64_t at_ns, const rl_hash *hash, rl_u128 full_at, uint32_t rate_id,
                      bool above_max);

/** Makes keys < max_keys if it can with a bounded effort. */
bool rl__table_make_room(rl_table *t, uint64_t at_ns, const rl_hash *hash);

/** Takes a key's line out. */
void rl__table_free_slot(rl_table *t, rl_slot slot);

/** Goes on with a split whose directory entries may be half switched. */
void rl__table_finish_split(rl_table *t);

/** Follows a line's rate to the live one that replaced it, settling on the way.
 *  Returns: false when the line is to be taken as absent (its rate was removed). */
bool rl__table_carry(const rl_table *t, rl_u128 *full_at, uint32_t *rate_id);

/** What the clock hand does with one line.  Returns: whether it was dropped. */
bool rl__table_tend(rl_table *t, uint64_t at_ns, rl_slot slot);

/** Moves the clock hand. */
uint32_t rl__table_sweep(rl_table *t, uint64_t at_ns, uint32_t lines);

/** Notes a bucket that becomes full at full_ns, perhaps earlier than the hand has seen; 0 = nobody knows when. */
static inline void table_full_at_hint(rl_table *t, uint64_t full_ns)
{
    if (full_ns < t->no_full_before) {
        t->no_full_before = full_ns;
    }
    if (full_ns < t->round_min) {
        t->round_min = full_ns;
    }
}

#endif
