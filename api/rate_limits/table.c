#include "api/rate_limits/table.h"

#include "api/rate_limits/table_impl.h"

#define MAGIC      UINT64_C(0x54524f5550453031)
#define GROUPS_MAX 64u
#define GROUPS_MIN 4u
#define EXTRA_BITS 2u /* a segment may split this much further than the average one */

/* --- life --- */

static uint64_t mix(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return sum ^ (sum >> 29);
}

static uint64_t frame_check(const rl_table *t)
{
    uint64_t sum = mix(t->magic, t->start_ns);

    sum = mix(sum, (uint64_t)t->max_keys << 32 | t->groups);
    sum = mix(sum, (uint64_t)t->slots << 32 | t->directory_bits);
    sum = mix(sum, (uint64_t)t->segments_max << 32 | t->rates_max);
    sum = mix(sum, t->rates_live_max);
    sum = mix(sum, t->segment_bytes);
    sum = mix(sum, (uintptr_t)t->segments);
    sum = mix(sum, (uintptr_t)t->rates);
    sum = mix(sum, (uintptr_t)t->directory);
    return mix(sum, (uintptr_t)t->heads);
}

/* Chooses the shape in which max_keys fill four fifths of the lines. */
static void set_shape(rl_table *t)
{
    uint64_t lines = (uint64_t)t->max_keys + (t->max_keys + 3) / 4;
    uint32_t bits = 0;
    uint64_t groups;

    while (lines > (uint64_t)GROUPS_MAX * GROUP_LINES << bits) {
        bits++;
    }
    groups = (lines + ((uint64_t)GROUP_LINES << bits) - 1) / ((uint64_t)GROUP_LINES << bits);
    t->groups = groups > GROUPS_MIN ? (uint32_t)groups : GROUPS_MIN;
    t->slots = t->groups * GROUP_LINES;
    t->segment_bytes = (uint64_t)t->slots * (1 + sizeof(rl_line));
    t->directory_bits = bits + EXTRA_BITS;
    t->segments_max = (1u << bits) + (1u << bits) / 2 + 2;
}

static bool make_parts(rl_table *t)
{
    if (!rl_region_init(&t->line_region, (size_t)(t->segments_max * t->segment_bytes))) {
        return false;
    }
    if (!rl_region_init(&t->rate_region, (size_t)t->rates_max * sizeof(rl_rate_entry))) {
        return false;
    }
    t->directory = calloc((size_t)1 << t->directory_bits, sizeof *t->directory);
    t->heads = calloc(t->segments_max, sizeof *t->heads);
    if (t->directory == NULL || t->heads == NULL) {
        return false;
    }
    t->segments = t->line_region.base;
    t->rates = (rl_rate_entry *)(void *)t->rate_region.base;
    return rl_region_grow(&t->line_region, (size_t)t->segment_bytes) &&
           rl_region_grow(&t->rate_region, sizeof(rl_rate_entry));
}

enum rl_result rl_table_create(const rl_table_options *options, rl_table **out)
{
    rl_table *t;

    if (options->max_keys < 1 || options->max_keys > MAX_KEYS || options->max_rates < 1 ||
        options->max_rates > MAX_RATES) {
        return RL_E_RANGE;
    }
    t = calloc(1, sizeof *t);
    if (t == NULL) {
        return RL_E_NOMEM;
    }
    t->magic = MAGIC;
    t->start_ns = options->start_ns;
    t->max_keys = options->max_keys;
    t->budget = options->budget;
    t->rates_live_max = options->max_rates;
    t->rates_max = 2 * options->max_rates + RATES_SPARE;
    set_shape(t);
    if (!make_parts(t)) {
        rl_table_destroy(t);
        return RL_E_NOMEM;
    }
    t->segment_count = 1;
    t->rate_scan = 1;
    t->frame_check = frame_check(t);
    *out = t;
    return RL_OK;
}

void rl_table_destroy(rl_table *table)
{
    if (table == NULL) {
        return;
    }
    rl_region_fini(&table->line_region);
    rl_region_fini(&table->rate_region);
    free(table->directory);
    free(table->heads);
    free(table);
}

/* --- adoption --- */

/* What the journal names exists. */
static bool journal_is_sound(const rl_table *t)
{
    const rl_journal *journal = &t->journal;

    switch (journal->op) {
    case OP_NONE:
        return true;
    case OP_SLOT:
        return slot_segment(journal->a) < t->segment_count && slot_index(journal->a) < t->slots;
    case OP_SPLIT_COPY:
    case OP_SPLIT_SWITCH:
        return journal->a < t->segment_count && journal->b >= 1 && journal->b <= t->segment_count &&
               journal->b < t->segments_max && journal->c < t->directory_bits &&
               journal->d < UINT64_C(1) << t->directory_bits;
    case OP_RATE:
        return journal->a <= t->rate_last && journal->b <= t->rate_last;
    default:
        return false;
    }
}

static bool frame_is_sound(const rl_table *t)
{
    size_t entries;

    if (t->magic != MAGIC || t->frame_check != frame_check(t) || t->segment_count < 1 ||
        t->segment_count > t->segments_max || t->rate_last >= t->rates_max || !journal_is_sound(t)) {
        return false;
    }
    entries = (size_t)1 << t->directory_bits;
    for (size_t i = 0; i < entries; i++) {
        if (t->directory[i] >= t->segment_count) {
            return false;
        }
    }
    for (uint32_t i = 0; i < t->segment_count; i++) {
        if (t->heads[i].depth > t->directory_bits) {
            return false;
        }
    }
    return true;
}

static void undo_split(rl_table *t)
{
    uint32_t segment = (uint32_t)t->journal.b;
    unsigned char *tags = segment_tags(t, segment);

    for (uint32_t i = 0; i < t->slots; i++) {
        if (tags[i] != 0) {
            RL_PUT(tags[i], (unsigned char)0);
        }
    }
    RL_PUT(t->segment_count, segment);
}

static void settle_rate_change(rl_table *t)
{
    const rl_rate_entry *old = &t->rates[t->journal.a];
    rl_rate_entry *new = &t->rates[t->journal.b];
    bool ended = rate_kind(old) == RATE_RETIRED && rate_next(old) == t->journal.b;

    RL_PUT(new->state, (uint64_t)(ended ? RATE_LIVE : RATE_FREE));
}

enum rl_result rl_table_adopt(rl_table *table)
{
    if (!frame_is_sound(table)) {
        return RL_E_CORRUPT;
    }
    switch ((enum journal_op)table->journal.op) {
    case OP_NONE:
        break;
    case OP_SLOT:
        RL_PUT(table->keys, table->journal.b + (*slot_tag(table, table->journal.a) != 0));
        break;
    case OP_SPLIT_COPY:
        undo_split(table);
        break;
    case OP_SPLIT_SWITCH:
        rl__table_finish_split(table);
        break;
    case OP_RATE:
        settle_rate_change(table);
        break;
    }
    RL_PUT(table->journal.op, (uint64_t)OP_NONE);
    if (table->claimed > table->keys) {
        table_unclaim(table, table->claimed - table->keys);
    }
    /* Hints are rebuilt, not trusted: they may have been half updated. */
    table->no_full_before = 0;
    table->round_min = 0;
    table->adoptions++;
    return RL_OK;
}

/* --- finding --- */

/* A line is the key's if either half of the hash agrees: when only one does, the line is damaged, and it is ours. */
static inline bool line_is(const rl_line *line, const rl_hash *hash)
{
    return line->hash[0] == hash->word[0] || line->hash[1] == hash->word[1];
}

static inline int find_in_group(const unsigned char *tags, const rl_line *lines, const rl_hash *hash)
{
    unsigned char tag = hash_tag(hash);

    for (int half = 0; half < 2; half++) {
        for (uint64_t hits = bytes_equal(tags + 8 * half, tag); hits != 0; hits &= hits - 1) {
            int i = 8 * half + __builtin_ctzll(hits) / 8;
            if (line_is(&lines[i], hash)) {
                return i;
            }
        }
    }
    return -1;
}

static inline bool find(const rl_table *t, const rl_hash *hash, rl_slot *slot)
{
    uint32_t segment = hash_segment(t, hash);
    const unsigned char *tags = segment_tags(t, segment);
    const rl_line *lines = segment_lines(t, segment);
    uint32_t one = hash_group_one(t, hash) * GROUP_LINES;
    uint32_t two = hash_group_two(t, hash) * GROUP_LINES;
    int i;

    __builtin_prefetch(tags + two);
    i = find_in_group(tags + one, lines + one, hash);
    if (i >= 0) {
        *slot = slot_make(segment, one + (uint32_t)i);
        return true;
    }
    i = find_in_group(tags + two, lines + two, hash);
    if (i >= 0) {
        *slot = slot_make(segment, two + (uint32_t)i);
        return true;
    }
    return false;
}

bool rl__table_find(const rl_table *t, const rl_hash *hash, rl_slot *slot)
{
    return find(t, hash, slot);
}

/* --- deciding --- */

/* A key as it stands, settled for the rate it is asked with. */
typedef struct rl_view {
    rl_slot slot;
    bool has_line;
    bool settled; /* the line itself does not say full_at yet */
    bool damaged;
    rl_u128 full_at;
} rl_view;

/* The rare part of look(): the line was last settled with other numbers. */
static __attribute__((noinline)) void look_through(const rl_table *t, uint64_t at_ns, uint32_t line_rate,
                                                   uint32_t rate_id, rl_view *view)
{
    view->settled = true;
    if (!rl__table_carry(t, &view->full_at, &line_rate)) {
        view->full_at = 0;
    } else if (line_rate != rate_id) {
        view->full_at =
            rl_bucket_carry(&t->rates[line_rate].rate, &t->rates[rate_id].rate, view->full_at, at_ns);
    }
}

static inline void look(const rl_table *t, uint64_t at_ns, rl_u128 clock, uint32_t rate_id,
                        const rl_hash *hash, rl_view *view)
{
    uint32_t line_rate;

    *view = (rl_view){.has_line = false};
    if (!find(t, hash, &view->slot)) {
        return;
    }
    view->has_line = true;
    if (!line_read(slot_line(t, view->slot), &view->full_at, &line_rate)) {
        view->damaged = true;
        view->settled = true;
        view->full_at = clock + t->rates[rate_id].rate.capacity;
    } else if (line_rate != rate_id) {
        look_through(t, at_ns, line_rate, rate_id, view);
    }
}

static void view_write(rl_table *t, const rl_hash *hash, const rl_view *view, rl_u128 full_at,
                       uint32_t rate_id)
{
    rl_line *line = slot_line(t, view->slot);

    segment_changed(t, slot_segment(view->slot));
    if (view->settled) {
        table_full_at_hint(t, 0);
    }
    if (view->damaged) {
        /* With this word the check fails until the new one is stored: a death in between leaves the line empty. */
        RL_PUT(line->word, UINT64_C(0));
        RL_PUT(line->hash[0], hash->word[0]);
        RL_PUT(line->hash[1], hash->word[1]);
        t->damaged++;
    }
    line_write(line, full_at, rate_id, WORD_CHANGED);
}

enum how { HOW_LOOK, HOW_CHECK, HOW_ENOUGH, HOW_TAKE };

static inline bool judge(const rl_table *t, uint64_t at_ns, uint32_t rate_id, const rl_hash *hash,
                         uint64_t cost, rl_view *view, rl_u128 *clock, rl_verdict *verdict)
{
    const rl_rate *rate;

    *verdict = (rl_verdict){.status = RL_UNKNOWN_RATE, .at_ns = at_ns, .cost = cost};
    if (!rate_is_live(t, rate_id)) {
        return false;
    }
    rate = &t->rates[rate_id].rate;
    *clock = rl_rate_clock(rate, at_ns);
    look(t, at_ns, *clock, rate_id, hash, view);
    verdict->rate = rate;
    verdict->known = view->has_line;
    verdict->debt = rl_bucket_debt(rate, view->full_at, *clock);
    verdict->status = rl_bucket_judge(rate, verdict->debt, cost);
    return true;
}

static inline void finish(const rl_rate *rate, rl_verdict *verdict)
{
    verdict->admitted = verdict->status == RL_ALLOWED ||
                        (rate->mode == RL_SHADOW && verdict->status != RL_COST_EXCEEDS_LIMIT);
}

static void refuse_for_room(rl_table *t, uint64_t at_ns, rl_verdict *verdict)
{
    verdict->status = RL_LIMITER_FULL;
    t->refused++;
    if (t->no_full_before > at_ns) {
        verdict->room_in_ns = t->no_full_before - at_ns;
    }
}

/* Writes an allowed cost down. */
static inline void take(rl_table *t, uint32_t rate_id, const rl_hash *hash, const rl_view *view,
                        rl_u128 clock, bool above_max, rl_verdict *verdict)
{
    rl_u128 debt = verdict->debt + (rl_u128)verdict->cost * verdict->rate->unit;

    if (view->has_line) {
        view_write(t, hash, view, clock + debt, rate_id);
    } else if (!rl__table_insert(t, verdict->at_ns, hash, clock + debt, rate_id, above_max)) {
        refuse_for_room(t, verdict->at_ns, verdict);
        return;
    }
    verdict->debt = debt;
}

static inline void count(rl_rate_counts *counts, const rl_verdict *verdict)
{
    if (verdict->status == RL_ALLOWED) {
        counts->allowed++;
    } else if (verdict->status == RL_DENIED || verdict->status == RL_BLOCKED) {
        if (verdict->admitted) {
            counts->shadow_denied++;
        } else {
            counts->denied++;
        }
    } else if (verdict->status == RL_LIMITER_FULL) {
        counts->refused_full++;
    }
}

static inline void decide(rl_table *t, uint64_t now_ns, uint32_t rate_id, const rl_hash *hash, uint64_t cost,
                          bool above_max, rl_verdict *verdict)
{
    uint64_t at_ns = pass_time(t, now_ns);
    rl_view view;
    rl_u128 clock;

    if (!judge(t, at_ns, rate_id, hash, cost, &view, &clock, verdict)) {
        return;
    }
    if (verdict->status == RL_ALLOWED && cost > 0) {
        take(t, rate_id, hash, &view, clock, above_max, verdict);
    } else if (view.settled) {
        /* A line met with other numbers, or damaged, starts from here. */
        view_write(t, hash, &view, clock + verdict->debt, rate_id);
    }
    finish(verdict->rate, verdict);
    count(&t->rates[rate_id].counts, verdict);
}

void rl_table_check(rl_table *table, uint64_t now_ns, uint32_t rate_id, const rl_hash *hash, uint64_t cost,
                    rl_verdict *verdict)
{
    decide(table, now_ns, rate_id, hash, cost, false, verdict);
}

void rl_table_take(rl_table *table, uint64_t now_ns, uint32_t rate_id, const rl_hash *hash, uint64_t cost,
                   rl_verdict *verdict)
{
    decide(table, now_ns, rate_id, hash, cost, true, verdict);
}

void rl_table_peek(const rl_table *table, uint64_t now_ns, uint32_t rate_id, const rl_hash *hash,
                   uint64_t cost, rl_verdict *verdict)
{
    rl_view view;
    rl_u128 clock;

    if (judge(table, since_start(table, now_ns), rate_id, hash, cost, &view, &clock, verdict)) {
        finish(verdict->rate, verdict);
    }
}

void rl_table_enough(rl_table *table, uint64_t now_ns, uint32_t rate_id, const rl_hash *hash, uint64_t cost,
                     rl_verdict *verdict)
{
    uint64_t at_ns = pass_time(table, now_ns);
    rl_view view;
    rl_u128 clock;

    if (!judge(table, at_ns, rate_id, hash, cost, &view, &clock, verdict)) {
        return;
    }
    if (verdict->status == RL_ALLOWED && cost > 0 && !view.has_line &&
        !rl__table_make_room(table, at_ns, hash)) {
        refuse_for_room(table, at_ns, verdict);
    }
    finish(verdict->rate, verdict);
}

enum rl_result rl_table_give_back(rl_table *table, uint64_t now_ns, uint32_t rate_id, const rl_hash *hash,
                                  uint64_t cost)
{
    uint64_t at_ns = pass_time(table, now_ns);
    rl_verdict verdict;
    rl_view view;
    rl_u128 clock;
    rl_u128 back;

    if (!judge(table, at_ns, rate_id, hash, 0, &view, &clock, &verdict)) {
        return RL_E_UNKNOWN_RATE;
    }
    if (!view.has_line) {
        return RL_OK;
    }
    back = (rl_u128)cost * verdict.rate->unit;
    verdict.debt = verdict.debt > back ? verdict.debt - back : 0;
    table_full_at_hint(table, 0);
    view_write(table, hash, &view, clock + verdict.debt, rate_id);
    return RL_OK;
}

bool rl_table_reset(rl_table *table, const rl_hash *hash)
{
    rl_slot slot;

    if (!find(table, hash, &slot)) {
        return false;
    }
    rl__table_free_slot(table, slot);
    return true;
}

enum rl_result rl_table_rebase(rl_table *table, uint64_t now_ns, uint32_t rate_id, const rl_hash *hash)
{
    uint64_t at_ns = pass_time(table, now_ns);
    rl_verdict verdict;
    rl_view view;
    rl_u128 clock;

    if (!judge(table, at_ns, rate_id, hash, 0, &view, &clock, &verdict)) {
        return RL_E_UNKNOWN_RATE;
    }
    if (view.settled) {
        view_write(table, hash, &view, clock + verdict.debt, rate_id);
    }
    return RL_OK;
}
