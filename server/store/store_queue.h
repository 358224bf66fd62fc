/* The way in: many threads push writes, the commit thread takes them all at once.
 *
 * 1. push never blocks and never allocates: one compare-and-swap on a stack; the taker turns it into
 *    submission order.
 * 2. A pusher wakes the taker only when it announced that it sleeps: no lost wake-up, no needless system
 *    call.
 *    (push: stack, then `sleeping`; wait: `sleeping`, then stack; all sequentially consistent.)
 * 3. A push that begins after stop is refused, so that writes that submit themselves again cannot keep the
 *    store from
 *    closing; one that was under way is taken, or refused by close_if_empty.
 * 4. `pushers` counts threads inside push: fini waits for them, so the queue may be freed as soon as the
 *    last write was answered.
 */
#ifndef TROUPE_SERVER_STORE_QUEUE_H
#define TROUPE_SERVER_STORE_QUEUE_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct store_write;

struct store__queue {
    struct store_write *_Atomic head;
    _Atomic uint32_t pushers;
    _Atomic bool sleeping;
    _Atomic bool stopping;
    sem_t wake;
};

/* A chain in order of submission. */
struct store__list {
    struct store_write *head;
    struct store_write *tail;
};

void store__list_append(struct store__list *list, struct store_write *write);
struct store_write *store__list_pop(struct store__list *list);
/* Puts all of `front` before what is in `list`, and empties it. */
void store__list_prepend(struct store__list *list, struct store__list *front);

void store__queue_init(struct store__queue *queue);
void store__queue_fini(struct store__queue *queue);

/* Any thread. Returns false when the queue is closed. */
bool store__queue_push(struct store__queue *queue, struct store_write *write);

/* Any thread: refuses new pushes, and makes wait return at once from now on. */
void store__queue_stop(struct store__queue *queue);

/* The rest is for the one taker. take appends all that was pushed to `list` and tells whether there was
 * anything. */
bool store__queue_take(struct store__queue *queue, struct store__list *list);
bool store__queue_close_if_empty(struct store__queue *queue);
/* Returns when something was pushed, the queue was stopped, or timeout_ms passed (0 = no limit). */
void store__queue_wait(struct store__queue *queue, uint32_t timeout_ms);

#endif
