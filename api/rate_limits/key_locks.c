#include "api/rate_limits/key_locks.h"

#include <string.h>
#include <troupe/troupe.h>

#define BUCKETS_FIRST 64u

typedef struct rl_key_line {
    struct rl_key_line *next;
    rl_hash hash;
    rl_place *head, *tail;
} rl_key_line;

static bool same(const rl_hash *one, const rl_hash *other)
{
    return one->word[0] == other->word[0] && one->word[1] == other->word[1];
}

static rl_key_line **bucket_of(const rl_key_locks *locks, const rl_hash *hash)
{
    return &locks->buckets[hash->word[1] & (locks->bucket_count - 1)];
}

static rl_key_line *find(const rl_key_locks *locks, const rl_hash *hash)
{
    rl_key_line *line = locks->keys == 0 ? NULL : *bucket_of(locks, hash);

    while (line != NULL && !same(&line->hash, hash)) {
        line = line->next;
    }
    return line;
}

bool rl_key_locks_taken(const rl_key_locks *locks, const rl_hash *hash)
{
    return find(locks, hash) != NULL;
}

static void grow(rl_key_locks *locks)
{
    rl_key_locks bigger = {.bucket_count =
                               locks->bucket_count == 0 ? BUCKETS_FIRST : 4 * locks->bucket_count};

    bigger.buckets = tr_alloc(bigger.bucket_count * sizeof(rl_key_line *));
    for (uint32_t i = 0; i < locks->bucket_count; i++) {
        for (rl_key_line *line = locks->buckets[i], *next; line != NULL; line = next) {
            rl_key_line **bucket = bucket_of(&bigger, &line->hash);
            next = line->next;
            line->next = *bucket;
            *bucket = line;
        }
    }
    tr_free(locks->buckets);
    bigger.keys = locks->keys;
    *locks = bigger;
}

static rl_key_line *open_line(rl_key_locks *locks, const rl_hash *hash)
{
    rl_key_line *line = tr_alloc(sizeof(*line));
    rl_key_line **bucket;

    if (locks->keys >= locks->bucket_count) {
        grow(locks);
    }
    bucket = bucket_of(locks, hash);
    *line = (rl_key_line){.hash = *hash, .next = *bucket};
    *bucket = line;
    locks->keys++;
    return line;
}

static void close_line(rl_key_locks *locks, rl_key_line *line)
{
    rl_key_line **link = bucket_of(locks, &line->hash);

    while (*link != line) {
        link = &(*link)->next;
    }
    *link = line->next;
    locks->keys--;
    tr_free(line);
}

bool rl_key_locks_enter(rl_key_locks *locks, rl_ticket *ticket, const rl_hash *const *hashes, uint32_t count,
                        rl_place *places)
{
    *ticket = (rl_ticket){.count = count, .places = places};
    for (uint32_t i = 0; i < count; i++) {
        rl_key_line *line = find(locks, hashes[i]);
        if (line == NULL) {
            line = open_line(locks, hashes[i]);
        }
        places[i] = (rl_place){.ticket = ticket, .line = line};
        if (line->head == NULL) {
            line->head = &places[i];
        } else {
            line->tail->next = &places[i];
            ticket->ahead++;
        }
        line->tail = &places[i];
    }
    return ticket->ahead == 0;
}

/* Takes one place out of its line. Returns: the ticket that heads the line now because of that, or NULL. */
static rl_ticket *step_out(rl_key_locks *locks, rl_place *place)
{
    rl_key_line *line = place->line;
    rl_place **link = &line->head;
    rl_place *before = NULL;

    while (*link != place) {
        before = *link;
        link = &before->next;
    }
    *link = place->next;
    if (line->tail == place) {
        line->tail = before;
    }
    if (line->head == NULL) {
        close_line(locks, line);
        return NULL;
    }
    return before == NULL ? line->head->ticket : NULL;
}

rl_ticket *rl_key_locks_leave(rl_key_locks *locks, rl_ticket *ticket)
{
    rl_ticket *ready = NULL;
    rl_ticket **last = &ready;

    for (uint32_t i = 0; i < ticket->count; i++) {
        rl_ticket *next = step_out(locks, &ticket->places[i]);
        if (next != NULL && --next->ahead == 0) {
            next->next_ready = NULL;
            *last = next;
            last = &next->next_ready;
        }
    }
    return ready;
}
