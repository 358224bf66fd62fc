/* The table with a death before every single store of every operation: it is compiled in here once more with RL_STEP()
 * defined, so that the hook costs the product nothing. */
#include <setjmp.h>

static jmp_buf grave;
static long steps_left = -1; /* -1: live on */

static void death_step(void)
{
    if (steps_left >= 0 && steps_left-- == 0) {
        longjmp(grave, 1);
    }
}

#define RL_STEP() death_step()

#include "api/rate_limits/region.c"
#include "api/rate_limits/table.c"
#include "api/rate_limits/table_grow.c"
#include "api/rate_limits/table_rates.c"
#include "api/rate_limits/table_sweep.c"
#include "tests/api/rate_limit_support.h"

#include <criterion/criterion.h>

#define KEYS     900 /* looked at in every case */
#define OLD_KEYS 700 /* have lines before the operation */
#define NEW_KEY  800
#define OWN_KEY  699 /* has an override */
#define NOW      (100 * SEC)

typedef struct bench {
    rl_table *table;
    uint32_t main_rate;
    uint32_t own_rate;
    uint32_t idle_rate; /* live, no lines */
    uint64_t filler;    /* next key for filling up */
} bench;

typedef rl_u128 debts[KEYS];

static void take_key(bench *b, uint32_t rate_id, uint64_t key, uint64_t cost)
{
    rl_hash hash = key_number(key);
    rl_verdict verdict;

    rl_table_check(b->table, NOW, rate_id, &hash, cost, &verdict);
}

/* Two segments, lines at three generations of numbers, some of them full by now, a damaged one. */
static bench build(uint32_t max_keys)
{
    rl_table_options options = {.max_keys = max_keys, .max_rates = 10};
    rl_rate first = rate_of(20, 1, 1000, RL_GRADUAL);
    rl_rate second = rate_of(30, 1, 700, RL_GRADUAL);
    rl_rate own = rate_of(50, 1, 3000, RL_GRADUAL);
    bench b = {.filler = 1000000};
    rl_hash hash;
    rl_verdict verdict;

    cr_assert_eq(rl_table_create(&options, &b.table), RL_OK);
    cr_assert_eq(rl_table_rate_add(b.table, &first, 1, 0, &b.main_rate), RL_OK);
    cr_assert_eq(rl_table_rate_add(b.table, &own, 1, 5, &b.own_rate), RL_OK);
    cr_assert_eq(rl_table_rate_add(b.table, &own, 2, 0, &b.idle_rate), RL_OK);
    for (uint64_t key = 0; key < OLD_KEYS; key++) {
        hash = key_number(key);
        rl_table_check(b.table, 90 * SEC + key * MS, key == OWN_KEY ? b.own_rate : b.main_rate, &hash,
                       1 + key % 20, &verdict);
        cr_assert_eq(verdict.status, RL_ALLOWED);
        if (key == 300) {
            cr_assert_eq(
                rl_table_rate_replace(b.table, 90 * SEC + 301 * MS, b.main_rate, &second, &b.main_rate),
                RL_OK);
        }
    }
    hash = key_number(650);
    rl_slot slot;
    cr_assert(rl__table_find(b.table, &hash, &slot));
    slot_line(b.table, slot)->low[0] ^= 1;
    slot_line(b.table, slot)->low[1] ^= 1;
    (void)pass_time(b.table, NOW);
    return b;
}

/* The one live rate of policy 1 with this cookie; 0 = none. */
static uint32_t live_rate(const rl_table *t, uint64_t cookie)
{
    uint32_t found = 0;
    rl_rate_info got;

    for (uint32_t id = 1; id <= rl_table_rate_last(t); id++) {
        if (rl_table_rate_get(t, id, &got) && got.policy_id == 1 && got.cookie == cookie) {
            cr_assert_eq(found, 0, "two live rates for one policy");
            found = id;
        }
    }
    return found;
}

static void measure(const rl_table *t, debts out)
{
    uint32_t main_rate = live_rate(t, 0);
    uint32_t own_rate = live_rate(t, 5);

    for (uint64_t key = 0; key < KEYS; key++) {
        rl_hash hash = key_number(key);
        rl_verdict verdict;
        rl_table_peek(t, NOW, key == OWN_KEY && own_rate != 0 ? own_rate : main_rate, &hash, 0, &verdict);
        out[key] = verdict.rate != NULL ? verdict.debt : 0;
    }
}

/* Every line is counted once, findable, and where the directory says. */
static void check_counts(const rl_table *t)
{
    uint64_t lines = 0;

    for (uint32_t segment = 0; segment < t->segment_count; segment++) {
        for (uint32_t i = 0; i < t->slots; i++) {
            const rl_line *line = &segment_lines(t, segment)[i];
            rl_hash hash = {{line->hash[0], line->hash[1]}};
            rl_slot slot;
            if (segment_tags(t, segment)[i] == 0) {
                continue;
            }
            lines++;
            cr_assert(rl__table_find(t, &hash, &slot));
            cr_assert_eq(slot, slot_make(segment, i), "a line is there twice or where nobody looks");
        }
    }
    cr_assert_eq(t->keys, lines);
    cr_assert_eq(t->journal.op, OP_NONE);
    for (uint32_t segment = t->segment_count; segment < t->segments_max; segment++) {
        if ((segment + 1) * t->segment_bytes > t->line_region.usable_bytes) {
            break;
        }
        for (uint32_t i = 0; i < t->slots; i++) {
            cr_assert_eq(segment_tags(t, segment)[i], 0, "an unused segment is not clean");
        }
    }
}

/* --- the operations --- */

static void op_take(bench *b)
{
    take_key(b, b->main_rate, 500, 3);
}

static void op_take_at_old_numbers(bench *b)
{
    take_key(b, b->main_rate, 219, 2);
}

static void op_deny_at_old_numbers(bench *b)
{
    take_key(b, b->main_rate, 219, 30);
}

static void op_check_damaged(bench *b)
{
    take_key(b, b->main_rate, 650, 1);
}

static void op_insert(bench *b)
{
    take_key(b, b->main_rate, NEW_KEY, 7);
}

static void op_reset(bench *b)
{
    rl_hash hash = key_number(519);

    (void)rl_table_reset(b->table, &hash);
}

static void op_sweep(bench *b)
{
    (void)rl_table_sweep(b->table, NOW, 5000);
}

static void op_replace(bench *b)
{
    rl_rate third = rate_of(25, 2, 1100, RL_INTERVAL);
    uint32_t id;

    (void)rl_table_rate_replace(b->table, NOW, b->main_rate, &third, &id);
}

static void op_add_rate(bench *b)
{
    rl_rate third = rate_of(25, 2, 1100, RL_INTERVAL);
    uint32_t id;

    (void)rl_table_rate_add(b->table, &third, 3, 0, &id);
}

static void op_merge(bench *b)
{
    (void)rl_table_rate_merge(b->table, NOW, b->own_rate, b->main_rate);
}

static void op_remove(bench *b)
{
    (void)rl_table_rate_remove(b->table, NOW, b->idle_rate);
}

static void op_rebase(bench *b)
{
    rl_hash hash = key_number(OWN_KEY);

    (void)rl_table_rebase(b->table, NOW, b->own_rate, &hash);
    hash = key_number(280);
    (void)rl_table_rebase(b->table, NOW, b->main_rate, &hash);
}

static void op_give_back(bench *b)
{
    rl_hash hash = key_number(519);

    (void)rl_table_give_back(b->table, NOW, b->main_rate, &hash, 4);
}

static void op_restore(bench *b)
{
    rl_record record = {.hash = key_number(NEW_KEY), .debt_tokens = 9, .debt_part = 5, .debt_unit = 77};

    (void)rl_table_restore(b->table, NOW, b->main_rate, &record, SEC);
    record.hash = key_number(540);
    record.debt_tokens = 28;
    (void)rl_table_restore(b->table, NOW, b->main_rate, &record, 0);
}

static void op_save(bench *b)
{
    rl_record records[100];
    rl_cursor cursor = {0};

    while (!cursor.done) {
        (void)rl_table_save(b->table, NOW, RL_SAVE_CHANGED, &cursor, 300, records, 100);
    }
}

static void op_enough(bench *b)
{
    rl_hash hash = key_number(NEW_KEY);
    rl_verdict verdict;

    rl_table_enough(b->table, NOW, b->main_rate, &hash, 7, &verdict);
}

static void op_fill_until_split(bench *b)
{
    uint32_t before = b->table->segment_count;

    while (b->table->segment_count == before && b->table->keys < b->table->max_keys) {
        take_key(b, b->main_rate, b->filler++, 9);
    }
}

static const struct {
    const char *name;
    void (*run)(bench *b);
    uint32_t max_keys;
    bool splits;
} operations[] = {
    {"take", op_take, 5000, false},
    {"take at old numbers", op_take_at_old_numbers, 5000, false},
    {"deny at old numbers", op_deny_at_old_numbers, 5000, false},
    {"check a damaged line", op_check_damaged, 5000, false},
    {"insert", op_insert, 5000, false},
    {"insert at max_keys", op_insert, OLD_KEYS, false},
    {"enough at max_keys", op_enough, OLD_KEYS, false},
    {"reset", op_reset, 5000, false},
    {"sweep", op_sweep, 5000, false},
    {"replace a rate", op_replace, 5000, false},
    {"add a rate", op_add_rate, 5000, false},
    {"merge a rate", op_merge, 5000, false},
    {"remove a rate", op_remove, 5000, false},
    {"rebase", op_rebase, 5000, false},
    {"give back", op_give_back, 5000, false},
    {"restore", op_restore, 5000, false},
    {"save", op_save, 5000, false},
    {"split", op_fill_until_split, 5000, true},
};

#define OPERATIONS (sizeof operations / sizeof *operations)

/* Runs `run` with a death before store number `steps`.  Returns: whether it died. */
static bool dies(void (*run)(bench *b), bench *b, long steps)
{
    if (setjmp(grave) != 0) {
        return true;
    }
    steps_left = steps;
    run(b);
    steps_left = -1;
    return false;
}

static void adopt(bench *b)
{
    cr_assert_eq(rl_table_adopt(b->table), RL_OK);
}

/* Adoption itself may be died in, over and over. */
static void adopt_dying(bench *b)
{
    for (long steps = 0; dies(adopt, b, steps); steps++) {
    }
}

/* Up to the insert that splits, so that only this one is died in. */
static void approach(bench *b, bool splits)
{
    static uint64_t last_filler;
    bench probe;

    if (!splits) {
        return;
    }
    if (last_filler == 0) {
        probe = build(5000);
        op_fill_until_split(&probe);
        cr_assert_gt(probe.table->segment_count, b->table->segment_count, "nothing was split");
        last_filler = probe.filler - 1;
        rl_table_destroy(probe.table);
    }
    while (b->filler < last_filler) {
        take_key(b, b->main_rate, b->filler++, 9);
    }
}

static void go_on_serving(bench *b, const char *name, long steps)
{
    uint32_t rate_id = live_rate(b->table, 0);
    rl_hash hash = key_number(899);
    rl_verdict verdict;

    cr_assert_neq(rate_id, 0, "%s, death %ld: the policy has no rate", name, steps);
    b->main_rate = rate_id;
    rl_table_check(b->table, NOW, rate_id, &hash, 20, &verdict);
    cr_assert(verdict.status == RL_ALLOWED ||
              (b->table->max_keys == OLD_KEYS && verdict.status == RL_LIMITER_FULL));
    if (verdict.status == RL_ALLOWED) {
        rl_table_check(b->table, NOW, rate_id, &hash, 15, &verdict);
        cr_assert_eq(verdict.status, RL_DENIED);
    }
    op_fill_until_split(b);
    op_sweep(b);
    check_counts(b->table);
}

static void die_everywhere(size_t which)
{
    debts before;
    debts complete;
    debts after;
    bench b = build(operations[which].max_keys);
    long steps = 0;
    bool died = true;

    approach(&b, operations[which].splits);
    measure(b.table, before);
    operations[which].run(&b);
    measure(b.table, complete);
    rl_table_destroy(b.table);
    for (; died; steps++) {
        b = build(operations[which].max_keys);
        approach(&b, operations[which].splits);
        died = dies(operations[which].run, &b, steps);
        adopt_dying(&b);
        check_counts(b.table);
        measure(b.table, after);
        for (int key = 0; key < KEYS; key++) {
            cr_assert(after[key] == before[key] || after[key] == complete[key],
                      "%s, death %ld: key %d is neither", operations[which].name, steps, key);
        }
        go_on_serving(&b, operations[which].name, steps);
        rl_table_destroy(b.table);
    }
    cr_assert_gt(steps, 1, "%s has no store to die before", operations[which].name);
    cr_log_info("%s: %ld deaths", operations[which].name, steps - 1);
}

Test(table_torn, a_death_before_any_store_leaves_every_bucket_before_or_after, .timeout = 600)
{
    for (size_t which = 0; which < OPERATIONS; which++) {
        die_everywhere(which);
    }
}

/* A process that keeps dying at random must not lose or mint a token of any key over a long life. */
Test(table_torn, a_long_life_of_deaths_agrees_with_plain_buckets, .timeout = 600)
{
    enum { LIFE_KEYS = 3000 };
    static rl_bucket buckets[LIFE_KEYS];
    rl_table_options options = {.max_keys = 4000, .max_rates = 10};
    rl_rate rate = rate_of(20, 3, 700, RL_GRADUAL);
    static test_random random;
    static uint64_t at_ns;
    static uint64_t key;
    static rl_table *table;
    static uint32_t rate_id;
    static long deaths;

    random = random_start(31);
    cr_assert_eq(rl_table_create(&options, &table), RL_OK);
    cr_assert_eq(rl_table_rate_add(table, &rate, 1, 0, &rate_id), RL_OK);
    for (volatile unsigned i = 0; i < 400000; i++) {
        rl_verdict verdict;
        rl_hash hash;
        key = random_below(&random, LIFE_KEYS);
        at_ns += random_below(&random, 3 * MS);
        hash = key_number(key);
        if (setjmp(grave) == 0) {
            steps_left = random_below(&random, 4) == 0 ? (long)random_below(&random, 16) : -1;
            rl_table_check(table, at_ns, rate_id, &hash, 3, &verdict);
            steps_left = -1;
            cr_assert_eq(verdict.status, rl_bucket_take(&buckets[key], &rate, at_ns, 3));
            continue;
        }
        deaths++;
        rl_bucket taken = buckets[key];
        (void)rl_bucket_take(&taken, &rate, at_ns, 3);
        cr_assert_eq(rl_table_adopt(table), RL_OK);
        rl_table_peek(table, at_ns, rate_id, &hash, 0, &verdict);
        rl_u128 level = rate.capacity - verdict.debt;
        cr_assert(level == rl_bucket_level(&buckets[key], &rate, at_ns) ||
                  level == rl_bucket_level(&taken, &rate, at_ns));
        if (level != rl_bucket_level(&buckets[key], &rate, at_ns)) {
            buckets[key] = taken;
        }
    }
    check_counts(table);
    cr_assert_gt(deaths, 50000);
    rl_table_destroy(table);
}

/* --- damage from outside --- */

static rl_line *line_of(const bench *b, uint64_t key)
{
    rl_hash hash = key_number(key);
    rl_slot slot;

    cr_assert(rl__table_find(b->table, &hash, &slot));
    return slot_line(b->table, slot);
}

Test(table_torn, a_line_with_any_bit_flipped_is_empty_and_refills_from_then)
{
    for (unsigned bit = 0; bit < 8 * sizeof(rl_line); bit++) {
        bench b = build(5000);
        rl_hash hash = key_number(600);
        rl_line *line = line_of(&b, 600);
        unsigned spare = (line->word & WORD_SELECTOR) == 0; /* index of the copy that is not in use */
        bool in_spare = (bit >= 192 + 64 * spare && bit < 256 + 64 * spare) ||
                        (bit >= 320 + 32 * spare && bit < 352 + 32 * spare);
        rl_verdict verdict;
        ((unsigned char *)line)[bit / 8] ^= (unsigned char)(1u << bit % 8);
        rl_table_peek(b.table, NOW, b.main_rate, &hash, 0, &verdict);
        cr_assert_eq(verdict.debt == verdict.rate->capacity, !in_spare, "bit %u", bit);
        if (!in_spare) {
            rl_table_check(b.table, NOW, b.main_rate, &hash, 1, &verdict);
            cr_assert_eq(verdict.status, RL_DENIED, "bit %u", bit);
            rl_table_check(b.table, NOW + 700 * MS, b.main_rate, &hash, 1, &verdict);
            cr_assert_eq(verdict.status, RL_ALLOWED, "bit %u", bit);
            rl_table_check(b.table, NOW + 700 * MS, b.main_rate, &hash, 1, &verdict);
            cr_assert_eq(verdict.status, RL_DENIED, "bit %u", bit);
            cr_assert_eq(b.table->damaged, 1);
        }
        rl_table_destroy(b.table);
    }
}

Test(table_torn, an_overwritten_frame_is_refused)
{
    bench b = build(5000);

    b.table->directory[3] = 77;
    cr_assert_eq(rl_table_adopt(b.table), RL_E_CORRUPT);
    b.table->directory[3] = 0;
    b.table->segment_count = 0;
    cr_assert_eq(rl_table_adopt(b.table), RL_E_CORRUPT);
    b.table->segment_count = 1;
    b.table->journal.op = OP_SLOT;
    b.table->journal.a = UINT64_MAX;
    cr_assert_eq(rl_table_adopt(b.table), RL_E_CORRUPT);
    b.table->journal.op = 99;
    cr_assert_eq(rl_table_adopt(b.table), RL_E_CORRUPT);
    b.table->journal.op = OP_NONE;
    b.table->slots++;
    cr_assert_eq(rl_table_adopt(b.table), RL_E_CORRUPT);
    b.table->slots--;
    cr_assert_eq(rl_table_adopt(b.table), RL_OK);
    rl_table_destroy(b.table);
}
