/* Batches in one partition: parts that go at once, locks that are held, and everything that waits for locked keys. */
#include "api/rate_limits/limiter.h"

#include <stdlib.h>

/* --- items --- */

static bool same_key(const rl_batch_item *one, const rl_batch_item *other)
{
    return one->hash.word[0] == other->hash.word[0] && one->hash.word[1] == other->hash.word[1];
}

static void write_down(rl_batch_item *item, const rl_verdict *verdict)
{
    item->status = verdict->status;
    if (verdict->status != RL_UNKNOWN_RATE) {
        rl_decision_make(verdict, &item->decision);
    }
}

/* Each for itself. */
static void decide_items(limiter *self, rl_batch *batch, uint32_t first, uint32_t count)
{
    uint64_t now_ns = tr_now_ns();
    rl_tally tally = {0};
    rl_verdict verdict;

    for (uint32_t i = first; i < first + count; i++) {
        rl_batch_item *item = &batch->items[i];
        uint32_t rate_id = rl__limiter_rate(self, item->policy_id, &item->hash);
        rl_table_check(self->partition->table, now_ns, rate_id, &item->hash, item->cost, &verdict);
        rl__limiter_tally(&tally, &verdict);
        write_down(item, &verdict);
    }
    rl__limiter_count(self, &tally);
}

static void look_at_items(limiter *self, rl_batch *batch, uint32_t first, uint32_t count)
{
    uint64_t now_ns = tr_now_ns();
    rl_verdict verdict;

    for (uint32_t i = first; i < first + count; i++) {
        rl_batch_item *item = &batch->items[i];
        uint32_t rate_id = rl__limiter_rate(self, item->policy_id, &item->hash);
        rl_table_peek(self->partition->table, now_ns, rate_id, &item->hash, item->cost, &verdict);
        write_down(item, &verdict);
    }
}

/* Would they all pass? Takes nothing. Costs on one key add up: items of one key are neighbours. */
static bool evaluate_items(limiter *self, rl_batch *batch, uint32_t first, uint32_t count)
{
    uint64_t now_ns = tr_now_ns();
    rl_tally tally = {0};
    rl_verdict verdict;
    uint64_t sum = 0;
    bool pass = true;

    for (uint32_t i = first; i < first + count; i++) {
        rl_batch_item *item = &batch->items[i];
        uint32_t rate_id = rl__limiter_rate(self, item->policy_id, &item->hash);
        sum = (i > first && same_key(item, item - 1) ? sum : 0) + item->cost;
        rl_table_enough(self->partition->table, now_ns, rate_id, &item->hash, sum, &verdict);
        if (verdict.status == RL_ALLOWED) {
            verdict.debt += (rl_u128)sum * verdict.rate->unit;
        } else if (!verdict.admitted) {
            pass = false;
            rl__limiter_tally(&tally, &verdict);
        }
        write_down(item, &verdict);
    }
    rl__limiter_count(self, &tally);
    return pass;
}

/* The numbers may have become smaller since the item was judged: then what is there goes, as if it had been taken before. */
static void take_item(limiter *self, uint64_t now_ns, const rl_batch_item *item, rl_tally *tally)
{
    uint32_t rate_id = rl__limiter_rate(self, item->policy_id, &item->hash);
    rl_table *table = self->partition->table;
    rl_verdict verdict;
    rl_decision left;

    rl_table_peek(table, now_ns, rate_id, &item->hash, item->cost, &verdict);
    if (item->status == RL_ALLOWED &&
        (verdict.status == RL_DENIED || verdict.status == RL_COST_EXCEEDS_LIMIT)) {
        rl_decision_make(&verdict, &left);
        rl_table_take(table, now_ns, rate_id, &item->hash, left.remaining, &verdict);
    } else {
        rl_table_take(table, now_ns, rate_id, &item->hash, item->cost, &verdict);
    }
    rl__limiter_tally(tally, &verdict);
}

/* Takes from item `*done` on; *done is kept where a successor finds it. */
static void take_items(limiter *self, const rl_batch *batch, uint32_t first, uint32_t count, uint32_t *done)
{
    uint64_t now_ns = tr_now_ns();
    rl_tally tally = {0};

    while (*done < count) {
        take_item(self, now_ns, &batch->items[first + *done], &tally);
        __atomic_store_n(done, *done + 1, __ATOMIC_RELAXED);
    }
    rl__limiter_count(self, &tally);
}

/* --- standing in line --- */

static void waiting_destroy(tr_resource *resource)
{
    rl_waiting *waiting = (rl_waiting *)(void *)((char *)resource - offsetof(rl_waiting, resource));

    tr_blob_drop(waiting->batch);
}

static rl_waiting *waiting_new(enum rl_waiting_kind kind, tr_from from, tr_blob *batch, uint32_t places)
{
    rl_waiting *waiting = tr_alloc(sizeof(*waiting) + places * sizeof(rl_place));

    waiting->kind = kind;
    waiting->from = from;
    if (batch != NULL) {
        waiting->batch = tr_blob_retain(batch);
        waiting->resource.destroy = waiting_destroy;
        tr_resource_add(&waiting->resource);
    }
    return waiting;
}

static void waiting_free(rl_waiting *waiting)
{
    if (waiting->link != NULL) {
        *waiting->link = waiting->next;
        if (waiting->next != NULL) {
            waiting->next->link = waiting->link;
        }
    }
    if (waiting->batch != NULL) {
        tr_resource_remove(&waiting->resource);
        tr_blob_drop(waiting->batch);
    }
    tr_free(waiting);
}

static bool enter_one(limiter *self, rl_waiting *waiting, const rl_hash *hash)
{
    return rl_key_locks_enter(&self->locks, &waiting->ticket, &hash, 1, waiting->places);
}

/* The different keys of a batch's items here. Returns: how many. */
static uint32_t keys_of(const rl_batch *batch, uint32_t first, uint32_t count, const rl_hash **hashes)
{
    uint32_t keys = 0;

    for (uint32_t i = first; i < first + count; i++) {
        if (i == first || !same_key(&batch->items[i], &batch->items[i - 1])) {
            hashes[keys++] = &batch->items[i].hash;
        }
    }
    return keys;
}

static bool enter_items(limiter *self, rl_waiting *waiting, uint32_t first, uint32_t count)
{
    rl_batch *batch = rl_batch_of(waiting->batch);
    const rl_hash **hashes = tr_alloc(count * sizeof(rl_hash *));
    uint32_t keys;
    bool granted;

    rl_batch_sort(batch, first, count); /* a ticket names each key once */
    keys = keys_of(batch, first, count, hashes);
    granted = rl_key_locks_enter(&self->locks, &waiting->ticket, hashes, keys, waiting->places);

    waiting->first = first;
    waiting->count = count;
    tr_free(hashes);
    return granted;
}

static void grant(limiter *self, rl_waiting *waiting, rl_ticket **ready);

/* Takes a ticket out, and serves everybody who is next by that, and those who are next by them. */
static void leave(limiter *self, rl_waiting *waiting)
{
    rl_ticket *ready = rl_key_locks_leave(&self->locks, &waiting->ticket);

    waiting_free(waiting);
    while (ready != NULL) {
        rl_ticket *next = ready->next_ready;
        rl_ticket *more = NULL;
        rl_ticket **last;
        grant(self, (rl_waiting *)(void *)ready, &more);
        for (last = &more; *last != NULL; last = &(*last)->next_ready) {
        }
        *last = next;
        ready = more;
    }
}

bool rl__limiter_wait_check(limiter *self, tr_from from, const rl_check *check)
{
    rl_waiting *waiting;

    if (!rl_key_locks_taken(&self->locks, &check->hash)) {
        return false;
    }
    waiting = waiting_new(RL_WAITS_CHECK, from, NULL, 1);
    waiting->check = *check;
    (void)enter_one(self, waiting, &waiting->check.hash);
    return true;
}

bool rl__limiter_wait_reset(limiter *self, tr_from from, const rl_hash *hash)
{
    rl_waiting *waiting;

    if (!rl_key_locks_taken(&self->locks, hash)) {
        return false;
    }
    waiting = waiting_new(RL_WAITS_RESET, from, NULL, 1);
    waiting->check.hash = *hash;
    (void)enter_one(self, waiting, &waiting->check.hash);
    return true;
}

/* --- parts: batches of independent items, and all-or-nothing ones that lie in this partition alone --- */

static void serve_part(limiter *self, tr_from from, tr_blob *blob, uint32_t first, uint32_t count)
{
    rl_batch *batch = rl_batch_of(blob);
    uint32_t done = 0;

    if (batch->looking) {
        look_at_items(self, batch, first, count);
    } else if (!batch->all_or_nothing) {
        decide_items(self, batch, first, count);
    } else if (evaluate_items(self, batch, first, count)) {
        take_items(self, batch, first, count, &done);
        (void)rl_batch_decide(batch, RL_BATCH_COMMITTED);
    } else {
        (void)rl_batch_decide(batch, RL_BATCH_ABORTED);
    }
    TR_ANSWER(from, rl_batch_part_done, .batch = blob);
}

static bool any_taken(const limiter *self, const rl_batch *batch, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; self->locks.keys != 0 && i < first + count; i++) {
        if (rl_key_locks_taken(&self->locks, &batch->items[i].hash)) {
            return true;
        }
    }
    return false;
}

tr_next rl__limiter_batch_part(limiter *self, tr_from from, const rl_batch_part *part)
{
    rl_batch *batch = rl_batch_of(part->batch);
    rl_waiting *waiting;

    if (!any_taken(self, batch, part->first, part->count)) {
        serve_part(self, from, part->batch, part->first, part->count);
        return TR_NOREPLY;
    }
    waiting = waiting_new(RL_WAITS_PART, from, part->batch, part->count);
    (void)enter_items(self, waiting, part->first, part->count);
    return TR_NOREPLY;
}

/* --- locks --- */

static void open_batch(limiter *self, rl_waiting *waiting)
{
    rl_open_batch *open = calloc(1, sizeof(*open));

    TR_CHECK(open != NULL);
    *open = (rl_open_batch){.next = self->partition->open,
                            .batch = tr_blob_retain(waiting->batch),
                            .first = waiting->first,
                            .count = waiting->count};
    waiting->open = open;
    __atomic_store_n(&self->partition->open, open, __ATOMIC_RELAXED);
}

static void close_batch(limiter *self, rl_open_batch *open)
{
    rl_open_batch **link = &self->partition->open;

    while (*link != open) {
        link = &(*link)->next;
    }
    __atomic_store_n(link, open->next, __ATOMIC_RELAXED);
    tr_blob_drop(open->batch);
    free(open);
}

/* Commits or forgets an open batch by its word; one that nobody decided is aborted. */
static void settle_open(limiter *self, rl_open_batch *open)
{
    rl_batch *batch = rl_batch_of(open->batch);

    if (rl_batch_decide(batch, RL_BATCH_ABORTED) == RL_BATCH_COMMITTED) {
        take_items(self, batch, open->first, open->count, &open->done);
    }
    close_batch(self, open);
}

/* A lock is granted: its items are judged; if they pass the keys are held. Returns: they are. */
static bool judge_lock(limiter *self, rl_waiting *waiting)
{
    rl_batch *batch = rl_batch_of(waiting->batch);
    bool held = false;

    if (__atomic_load_n(&batch->state, __ATOMIC_ACQUIRE) != RL_BATCH_OPEN) {
        return false; /* given up while it waited */
    }
    if (!evaluate_items(self, batch, waiting->first, waiting->count)) {
        __atomic_store_n(&batch->doomed, true, __ATOMIC_RELAXED);
    } else if (!__atomic_load_n(&batch->doomed, __ATOMIC_RELAXED)) {
        open_batch(self, waiting);
        held = true;
    }
    TR_ANSWER(waiting->from, rl_batch_locked);
    return held;
}

tr_next rl__limiter_batch_lock(limiter *self, tr_from from, const rl_batch_lock *lock)
{
    rl_waiting *waiting = waiting_new(RL_WAITS_LOCK, from, lock->batch, lock->count);

    waiting->next = self->locks_asked;
    waiting->link = &self->locks_asked;
    if (waiting->next != NULL) {
        waiting->next->link = &waiting->next;
    }
    self->locks_asked = waiting;
    waiting->monitor = tr_monitor(tr_to(lock->coordinator), NULL);
    if (enter_items(self, waiting, lock->first, lock->count) && !judge_lock(self, waiting)) {
        (void)tr_demonitor(waiting->monitor, true);
        leave(self, waiting);
    }
    return TR_NOREPLY;
}

/* Ends a lock, held or waiting. */
static void end_lock(limiter *self, rl_waiting *waiting)
{
    (void)tr_demonitor(waiting->monitor, true);
    if (waiting->open != NULL) {
        settle_open(self, waiting->open);
    } else {
        (void)rl_batch_decide(rl_batch_of(waiting->batch), RL_BATCH_ABORTED);
    }
    leave(self, waiting);
}

void rl__limiter_batch_settle(limiter *self, const tr_blob *batch)
{
    rl_waiting *waiting = self->locks_asked;

    while (waiting != NULL && waiting->batch != batch) {
        waiting = waiting->next;
    }
    if (waiting != NULL) {
        end_lock(self, waiting);
    }
}

void rl__limiter_coordinator_down(limiter *self, tr_ref monitor)
{
    rl_waiting *waiting = self->locks_asked;

    while (waiting != NULL && !tr_ref_equal(waiting->monitor, monitor)) {
        waiting = waiting->next;
    }
    if (waiting != NULL) {
        end_lock(self, waiting);
    }
}

void rl__limiter_settle_all(limiter *self)
{
    while (self->partition->open != NULL) {
        settle_open(self, self->partition->open);
    }
}

/* --- granted --- */

static void grant(limiter *self, rl_waiting *waiting, rl_ticket **ready)
{
    rl_decided decided = {.status = RL_UNKNOWN_RATE};

    switch (waiting->kind) {
    case RL_WAITS_CHECK:
        rl__limiter_check(self, &waiting->check, &decided);
        (void)tr_reply(waiting->from, TR_TYPE(rl_decided), &decided);
        break;
    case RL_WAITS_RESET:
        TR_ANSWER(waiting->from, rl_was_reset, .known = rl__limiter_reset(self, &waiting->check.hash));
        break;
    case RL_WAITS_PART:
        serve_part(self, waiting->from, waiting->batch, waiting->first, waiting->count);
        break;
    case RL_WAITS_LOCK:
        if (judge_lock(self, waiting)) {
            return;
        }
        (void)tr_demonitor(waiting->monitor, true);
        break;
    }
    *ready = rl_key_locks_leave(&self->locks, &waiting->ticket);
    waiting_free(waiting);
}
