/* The clock hand, and saving and restoring in slices. */
#include "api/rate_limits/table_impl.h"

bool rl__table_tend(rl_table *t, uint64_t at_ns, rl_slot slot)
{
    rl_line *line = slot_line(t, slot);
    rl_u128 full_at;
    uint32_t rate_id;
    uint32_t line_rate;
    const rl_rate *rate;
    uint64_t full_ns;

    if (!line_read(line, &full_at, &rate_id)) {
        return false; /* its rate is not known; the key's next check empties it (L2) */
    }
    line_rate = rate_id;
    if (!rl__table_carry(t, &full_at, &rate_id)) {
        t->reclaimed++;
        rl__table_free_slot(t, slot);
        return true;
    }
    rate = &t->rates[rate_id].rate;
    if (full_at <= rl_rate_clock(rate, at_ns)) {
        t->reclaimed++;
        rl__table_free_slot(t, slot);
        return true;
    }
    if (line_rate != rate_id) {
        segment_changed(t, slot_segment(slot));
        line_write(line, full_at, rate_id, WORD_CHANGED);
    }
    full_ns = rl_rate_full_at_ns(rate, full_at);
    if (full_ns < t->round_min) {
        t->round_min = full_ns;
    }
    return false;
}

/* The hand starts again. Its place first: were the round counted twice for one, rates would be freed too early. */
static void end_round(rl_table *t)
{
    RL_PUT(t->hand, UINT64_C(0));
    RL_PUT(t->sweeps, t->sweeps + 1);
    t->rounds++;
    t->no_full_before = t->round_min;
    t->round_min = NO_FULL_BEFORE;
}

uint32_t rl__table_sweep(rl_table *t, uint64_t at_ns, uint32_t lines)
{
    uint64_t all = (uint64_t)t->segment_count * t->slots;
    uint32_t dropped = 0;

    /* A small table is gone over once, from wherever the hand is: no full bucket in it is missed. */
    for (uint32_t i = 0; i < lines && i < all; i++) {
        rl_slot slot = slot_make((uint32_t)(t->hand / t->slots), (uint32_t)(t->hand % t->slots));
        if (slot_segment(slot) >= t->segment_count) {
            end_round(t);
            slot = 0;
        }
        if (*slot_tag(t, slot) != 0 && rl__table_tend(t, at_ns, slot)) {
            dropped++;
        }
        RL_PUT(t->hand, t->hand + 1);
    }
    return dropped;
}

uint32_t rl_table_sweep(rl_table *table, uint64_t now_ns, uint32_t lines)
{
    return rl__table_sweep(table, pass_time(table, now_ns), lines);
}

uint64_t rl_table_room_in_ns(const rl_table *table, uint64_t now_ns)
{
    uint64_t at_ns = since_start(table, now_ns);

    return table->no_full_before > at_ns ? table->no_full_before - at_ns : 0;
}

/* --- saving --- */

/* A record of a bucket that is not full, or false. */
static bool record_make(const rl_table *t, uint64_t at_ns, const rl_line *line, rl_record *out)
{
    rl_u128 full_at;
    uint32_t rate_id;
    const rl_rate_entry *entry;
    rl_u128 debt;

    if (!line_read(line, &full_at, &rate_id) || !rl__table_carry(t, &full_at, &rate_id)) {
        return false;
    }
    entry = &t->rates[rate_id];
    debt = rl_bucket_debt(&entry->rate, full_at, rl_rate_clock(&entry->rate, at_ns));
    if (debt == 0) {
        return false;
    }
    *out = (rl_record){.hash = {{line->hash[0], line->hash[1]}},
                       .cookie = entry->cookie,
                       .policy_id = entry->policy_id,
                       .debt_tokens = (uint32_t)(debt / entry->rate.unit),
                       .debt_part = (uint64_t)(debt % entry->rate.unit),
                       .debt_unit = entry->rate.unit};
    full_at = rl_rate_time_for(&entry->rate, at_ns, debt);
    out->full_in_ns = full_at < UINT64_MAX ? (uint64_t)full_at : UINT64_MAX;
    return true;
}

static bool save_slot(rl_table *t, uint64_t at_ns, enum rl_save what, rl_slot slot, rl_record *out)
{
    rl_line *line = slot_line(t, slot);
    bool live;

    if (*slot_tag(t, slot) == 0 || (what == RL_SAVE_CHANGED && (line->word & WORD_CHANGED) == 0)) {
        return false;
    }
    live = record_make(t, at_ns, line, out);
    if (what == RL_SAVE_CHANGED) {
        rl_u128 full_at;
        uint32_t rate_id;
        if (line_read(line, &full_at, &rate_id)) {
            line_saved(line); /* a damaged line is not given a check that holds */
        }
    }
    return live;
}

/* At the first line of a segment: is there anything to do in it? */
static bool enter_segment(rl_table *t, enum rl_save what, uint32_t segment)
{
    if (what == RL_SAVE_ALL) {
        return true;
    }
    if (t->heads[segment].changed == 0) {
        return false;
    }
    RL_PUT(t->heads[segment].changed, (uint8_t)2);
    return true;
}

/* Clean, unless somebody wrote to the segment after it was entered. A walk that was given up leaves 2: not clean. */
static void leave_segment(rl_table *t, enum rl_save what, uint32_t segment)
{
    if (what == RL_SAVE_CHANGED && t->heads[segment].changed == 2) {
        RL_PUT(t->heads[segment].changed, (uint8_t)0);
    }
}

size_t rl_table_save(rl_table *table, uint64_t now_ns, enum rl_save what, rl_cursor *cursor, uint32_t lines,
                     rl_record *out, size_t room)
{
    uint64_t at_ns = since_start(table, now_ns);
    size_t written = 0;

    for (uint32_t i = 0; i < lines && written < room; i++) {
        uint32_t segment = (uint32_t)(cursor->next_line / table->slots);
        uint32_t index = (uint32_t)(cursor->next_line % table->slots);
        if (segment >= table->segment_count) {
            cursor->done = true;
            break;
        }
        if (index == 0 && !enter_segment(table, what, segment)) {
            cursor->next_line += table->slots;
            continue;
        }
        written += save_slot(table, at_ns, what, slot_make(segment, index), &out[written]);
        cursor->next_line++;
        if (index + 1 == table->slots) {
            leave_segment(table, what, segment);
        }
    }
    return written;
}

/* --- restoring --- */

static rl_u128 restored_debt(const rl_rate *rate, const rl_record *record, uint64_t elapsed_ns)
{
    rl_u128 debt = (rl_u128)record->debt_tokens * record->debt_unit + record->debt_part;
    rl_u128 refill = rl_rate_clock(rate, elapsed_ns);

    debt = rl_debt_convert(debt, record->debt_unit, rate->unit);
    debt = debt < rate->capacity ? debt : rate->capacity;
    return debt > refill ? debt - refill : 0;
}

/* The emptier of what is there and what was saved stays. A damaged line is empty already (L2). */
static void restore_line(rl_table *t, uint64_t at_ns, uint32_t rate_id, rl_slot slot, rl_u128 debt)
{
    const rl_rate *rate = &t->rates[rate_id].rate;
    rl_line *line = slot_line(t, slot);
    rl_u128 present_debt = 0;
    rl_record present;
    rl_u128 full_at;
    uint32_t line_rate;

    if (!line_read(line, &full_at, &line_rate)) {
        return;
    }
    if (record_make(t, at_ns, line, &present)) {
        present_debt = restored_debt(rate, &present, 0);
    }
    if (debt > present_debt) {
        table_full_at_hint(t, 0);
        segment_changed(t, slot_segment(slot));
        line_write(line, rl_rate_clock(rate, at_ns) + debt, rate_id, WORD_CHANGED);
    }
}

enum rl_result rl_table_restore(rl_table *table, uint64_t now_ns, uint32_t rate_id, const rl_record *record,
                                uint64_t elapsed_ns)
{
    uint64_t at_ns = pass_time(table, now_ns);
    const rl_rate *rate;
    rl_u128 debt;
    rl_slot slot;

    if (!rate_is_live(table, rate_id)) {
        return RL_E_UNKNOWN_RATE;
    }
    if (record->debt_unit < 1 || record->debt_unit > (uint64_t)RL_EVERY_MS_MAX * 1000000 ||
        record->debt_part >= record->debt_unit || record->debt_tokens > RL_LIMIT_MAX) {
        return RL_E_RANGE;
    }
    rate = &table->rates[rate_id].rate;
    debt = restored_debt(rate, record, elapsed_ns);
    if (debt == 0) {
        return RL_OK;
    }
    if (rl__table_find(table, &record->hash, &slot)) {
        restore_line(table, at_ns, rate_id, slot, debt);
        return RL_OK;
    }
    return rl__table_insert(table, at_ns, &record->hash, rl_rate_clock(rate, at_ns) + debt, rate_id, false)
               ? RL_OK
               : RL_E_TABLE_FULL;
}
