/* Time-outs by kind and name, and in the order in which those of 0 ms were set. */
#include <troupe/timer.h>

#include "runtime/core/process.h"
#include "runtime/otp/statem.h"

/* Tells which bucket to look in, so that a time-out which was cancelled is not needed to see that it was. */
TR_MESSAGE(tr__statem_timer_msg, {
    tr_event_type type;
    uint64_t hash;
});

/* ---- places ---- */

static uint64_t hash_of(const tr_event *event)
{
    return event->type == TR_EVENT_GENERIC_TIMEOUT ? tr_term_hash(event->name) : 0;
}

/* Where the chain of this kind and hash begins; NULL: there is none yet. */
static tr__statem_entry **chain_of(tr__statem_timeouts *timeouts, tr_event_type type, uint64_t hash)
{
    switch (type) {
    case TR_EVENT_TIMEOUT:
        return &timeouts->event;
    case TR_EVENT_STATE_TIMEOUT:
        return &timeouts->state;
    default:
        return timeouts->room == 0 ? NULL : &timeouts->buckets[hash & (timeouts->room - 1)];
    }
}

static tr__statem_entry **find(tr__statem_timeouts *timeouts, const tr_event *event)
{
    tr__statem_entry **at = chain_of(timeouts, event->type, hash_of(event));
    while (at != NULL && *at != NULL && !tr_term_equal((*at)->event.name, event->name)) {
        at = &(*at)->next;
    }
    return at;
}

static void chain(tr__statem_entry **at, tr__statem_entry *entry)
{
    entry->next = *at;
    *at = entry;
}

/* Room for one more generic time-out. */
static void grow(tr__statem_timeouts *timeouts)
{
    if (timeouts->count < timeouts->room) {
        return;
    }
    tr__statem_entry **old = timeouts->buckets;
    uint32_t old_room = timeouts->room;
    timeouts->room = old_room == 0 ? 4 : 2 * old_room;
    timeouts->buckets = tr_alloc(timeouts->room * sizeof(tr__statem_entry *));
    for (uint32_t i = 0; i < old_room; i++) {
        while (old[i] != NULL) {
            tr__statem_entry *entry = old[i];
            old[i] = entry->next;
            chain(chain_of(timeouts, TR_EVENT_GENERIC_TIMEOUT, hash_of(&entry->event)), entry);
        }
    }
    tr_free(old);
}

static void zero_add(tr__statem_timeouts *timeouts, tr__statem_entry *entry)
{
    entry->before = timeouts->zero_last;
    entry->after = NULL;
    if (entry->before != NULL) {
        entry->before->after = entry;
    } else {
        timeouts->zero_first = entry;
    }
    timeouts->zero_last = entry;
}

static void zero_remove(tr__statem_timeouts *timeouts, tr__statem_entry *entry)
{
    if (entry->before != NULL) {
        entry->before->after = entry->after;
    } else {
        timeouts->zero_first = entry->after;
    }
    if (entry->after != NULL) {
        entry->after->before = entry->before;
    } else {
        timeouts->zero_last = entry->before;
    }
}

/* ---- one time-out ---- */

static void add(tr__statem_timeouts *timeouts, tr__statem_entry *entry)
{
    uint64_t hash = hash_of(&entry->event);
    if (entry->event.type == TR_EVENT_GENERIC_TIMEOUT) {
        grow(timeouts);
        timeouts->count++;
    }
    chain(chain_of(timeouts, entry->event.type, hash), entry);
    if (entry->ms == 0 && !entry->absolute) {
        zero_add(timeouts, entry);
        return;
    }
    int64_t ms = entry->absolute ? entry->ms - tr_now_ms() : entry->ms;
    entry->timer = tr__timer_start(ms, tr_self(), TR_MSG_ACK,
                                   TR_MSG(tr__statem_timer_msg, .type = entry->event.type, .hash = hash));
}

static tr__statem_entry *take_at(tr__statem_timeouts *timeouts, tr__statem_entry **at)
{
    tr__statem_entry *entry = *at;
    *at = entry->next;
    entry->next = NULL;
    timeouts->count -= entry->event.type == TR_EVENT_GENERIC_TIMEOUT ? 1 : 0;
    if (entry->timer.id == 0) {
        zero_remove(timeouts, entry);
    }
    return entry;
}

/* One that has fired already finds no entry with its reference, and is dropped. */
static void cancel_at(tr__statem_timeouts *timeouts, tr__statem_entry **at)
{
    if (at == NULL || *at == NULL) {
        return;
    }
    tr__statem_entry *entry = take_at(timeouts, at);
    if (entry->timer.id != 0) {
        tr__forget_timer(entry->timer);
    }
    tr__statem_entry_free(entry);
}

void tr__statem_timeout_set(tr__statem_timeouts *timeouts, tr__statem_entry *entry)
{
    tr__statem_entry **old = find(timeouts, &entry->event);
    if (entry->update && old != NULL && *old != NULL) {
        tr_msg *msg = (*old)->msg;
        (*old)->event.msg = (*old)->msg = entry->msg;
        entry->msg = msg;
        tr__statem_entry_free(entry);
        return;
    }
    cancel_at(timeouts, old);
    if (entry->ms == TR_INFINITY && !entry->absolute) {
        tr__statem_entry_free(entry);
    } else {
        add(timeouts, entry);
    }
}

void tr__statem_timeout_cancel(tr__statem_timeouts *timeouts, tr_event_type type, tr_term name)
{
    cancel_at(timeouts, find(timeouts, &(tr_event){.type = type, .name = name}));
}

bool tr__statem_is_timer(const tr_msg *msg)
{
    return msg->type == TR_TYPE(tr__statem_timer_msg);
}

tr__statem_entry *tr__statem_timeout_fired(tr__statem_timeouts *timeouts, const tr_msg *msg)
{
    const tr__statem_timer_msg *timer = tr_msg_data(msg);
    tr__statem_entry **at = chain_of(timeouts, timer->type, timer->hash);
    while (at != NULL && *at != NULL && !tr_ref_equal((*at)->timer, tr_msg_ref(msg))) {
        at = &(*at)->next;
    }
    return at == NULL || *at == NULL ? NULL : take_at(timeouts, at);
}

tr__statem_entry *tr__statem_timeout_zero(tr__statem_timeouts *timeouts)
{
    tr__statem_entry *entry = timeouts->zero_first;
    if (entry == NULL) {
        return NULL;
    }
    tr__statem_entry **at = chain_of(timeouts, entry->event.type, hash_of(&entry->event));
    while (*at != entry) {
        at = &(*at)->next;
    }
    return take_at(timeouts, at);
}

/* ---- all of them ---- */

void tr__statem_timeouts_each(const tr__statem_timeouts *timeouts,
                              void (*fn)(tr__statem_entry *entry, void *ctx), void *ctx)
{
    if (timeouts->event != NULL) {
        fn(timeouts->event, ctx);
    }
    if (timeouts->state != NULL) {
        fn(timeouts->state, ctx);
    }
    for (uint32_t i = 0; i < timeouts->room; i++) {
        for (tr__statem_entry *entry = timeouts->buckets[i]; entry != NULL; entry = entry->next) {
            fn(entry, ctx);
        }
    }
}

static void drop(tr__statem_entry *entry, void *ctx)
{
    (void)ctx;
    if (entry->timer.id != 0) {
        tr__forget_timer(entry->timer);
    }
    tr__statem_entry_drop(entry);
}

void tr__statem_timeouts_drop(tr__statem_timeouts *timeouts)
{
    tr__statem_timeouts_each(timeouts, drop, NULL);
}
