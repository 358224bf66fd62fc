#include "server/store/store_queue.h"

#include "server/store/store.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <time.h>

/* Stands in the head of a closed queue; never looked into. */
static struct store_write closed_mark;
#define CLOSED (&closed_mark)

void store__list_append(struct store__list *list, struct store_write *write)
{
    write->next_ = NULL;
    if (list->tail == NULL) {
        list->head = write;
    } else {
        list->tail->next_ = write;
    }
    list->tail = write;
}

struct store_write *store__list_pop(struct store__list *list)
{
    struct store_write *write = list->head;
    if (write != NULL) {
        list->head = write->next_;
        if (list->head == NULL) {
            list->tail = NULL;
        }
        write->next_ = NULL;
    }
    return write;
}

void store__list_prepend(struct store__list *list, struct store__list *front)
{
    if (front->head == NULL) {
        return;
    }
    front->tail->next_ = list->head;
    if (list->tail == NULL) {
        list->tail = front->tail;
    }
    list->head = front->head;
    *front = (struct store__list){NULL, NULL};
}

void store__queue_init(struct store__queue *queue)
{
    atomic_init(&queue->head, NULL);
    atomic_init(&queue->pushers, 0);
    atomic_init(&queue->sleeping, false);
    atomic_init(&queue->stopping, false);
    int failed = sem_init(&queue->wake, 0, 0);
    assert(failed == 0);
    (void)failed;
}

void store__queue_fini(struct store__queue *queue)
{
    /* A pusher between its push and its return: a few instructions, at most one sem_post. */
    while (atomic_load_explicit(&queue->pushers, memory_order_acquire) != 0) {
        sched_yield();
    }
    sem_destroy(&queue->wake);
}

static void wake_taker(struct store__queue *queue)
{
    if (atomic_load(&queue->sleeping) && atomic_exchange(&queue->sleeping, false)) {
        sem_post(&queue->wake);
    }
}

bool store__queue_push(struct store__queue *queue, struct store_write *write)
{
    atomic_fetch_add_explicit(&queue->pushers, 1, memory_order_relaxed);
    struct store_write *head = atomic_load_explicit(&queue->head, memory_order_relaxed);
    bool open = !atomic_load(&queue->stopping);
    do {
        if (!open || head == CLOSED) {
            open = false;
            break;
        }
        write->next_ = head;
    } while (!atomic_compare_exchange_weak(&queue->head, &head, write));
    if (open) {
        wake_taker(queue);
    }
    atomic_fetch_sub_explicit(&queue->pushers, 1, memory_order_release);
    return open;
}

void store__queue_stop(struct store__queue *queue)
{
    atomic_store(&queue->stopping, true);
    wake_taker(queue);
}

bool store__queue_take(struct store__queue *queue, struct store__list *list)
{
    if (atomic_load_explicit(&queue->head, memory_order_relaxed) == NULL) {
        return false;
    }
    struct store_write *newest = atomic_exchange_explicit(&queue->head, NULL, memory_order_acquire);
    struct store_write *last = newest;
    struct store_write *first = NULL;
    while (newest != NULL) {
        struct store_write *older = newest->next_;
        newest->next_ = first;
        first = newest;
        newest = older;
    }
    if (list->tail == NULL) {
        list->head = first;
    } else {
        list->tail->next_ = first;
    }
    list->tail = last;
    return true;
}

bool store__queue_close_if_empty(struct store__queue *queue)
{
    struct store_write *empty = NULL;
    return atomic_compare_exchange_strong(&queue->head, &empty, CLOSED);
}

static bool nothing_to_do(struct store__queue *queue)
{
    return atomic_load(&queue->head) == NULL && !atomic_load(&queue->stopping);
}

void store__queue_wait(struct store__queue *queue, uint32_t timeout_ms)
{
    struct timespec until = {0, 0};
    if (timeout_ms != 0) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += timeout_ms / 1000;
        until.tv_nsec += (long)(timeout_ms % 1000) * 1000000L;
        if (until.tv_nsec >= 1000000000L) {
            until.tv_sec += 1;
            until.tv_nsec -= 1000000000L;
        }
    }
    atomic_store(&queue->sleeping, true);
    bool posted = false;
    if (nothing_to_do(queue)) {
        int failed;
        do {
            failed = timeout_ms == 0 ? sem_wait(&queue->wake)
                                     : sem_clockwait(&queue->wake, CLOCK_MONOTONIC, &until);
        } while (failed != 0 && errno == EINTR);
        posted = failed == 0;
    }
    if (!posted && !atomic_exchange(&queue->sleeping, false)) {
        /* A pusher saw us asleep while we were getting up: its post is on the way and has to be consumed. */
        while (sem_wait(&queue->wake) != 0 && errno == EINTR) {
        }
    }
}
