/* registry_lock.c: locks of a registry: one process at a time runs a function under a key. Kept by the processes of the
 * partitions, in a table of their own memory.
 *
 *     caller --tr__registry_lock--> partition: free -> a holder, watched, and told     taken -> waits, in order
 *     caller --tr__registry_unlock--> partition: the next one holds it                  (also who gave up waiting)
 *     DOWN of the holder --> the same
 *
 * Invariants
 *  1. A lock is in the table while somebody holds it. Whoever is first in its list holds it.
 *  2. A holder is watched by a monitor whose tag is the key. A waiter that ended meanwhile is found out when its turn
 *     comes: its monitor fires at once.
 *  3. An unlock names the request: one that was granted in the moment its caller gave up is given back, not lost.
 * Killed in the middle: the caller's DOWN gives back what it holds; a partition that ends forgets its locks, as in Elixir:
 * their holders go on, and who waits hears of the end.
 */
#include "runtime/core/core.h"
#include "runtime/otp/registry.h"

typedef struct asker {
    struct asker *next;
    tr_from from;
} asker;

typedef struct tr__lock {
    struct tr__lock *next;
    tr_term key; /* kept */
    tr_ref monitor;
    asker *first, *last; /* the holder, and who waits */
} lock;

TR_MESSAGE_TERMS(
    tr__registry_lock, { tr_term key; }, offsetof(tr__registry_lock, key));
TR_MESSAGE_EMPTY(tr__registry_locked);
TR_MESSAGE_TERMS(
    tr__registry_unlock,
    {
        tr_term key;
        tr_ref request;
    },
    offsetof(tr__registry_unlock, key));

/* ---- in the partition ---- */

static lock **place_of(tr__locks *locks, tr_term key)
{
    lock **place = &locks->buckets[tr_term_hash(key) % TR__LOCK_BUCKETS];
    while (*place != NULL && !tr_term_equal((*place)->key, key)) {
        place = &(*place)->next;
    }
    return place;
}

static void grant(lock *held)
{
    tr_monitor_opts opts = {.tag = held->key};
    tr_from from = held->first->from;
    held->monitor = tr_monitor(tr_to(from.ref.owner), &opts);
    TR_ANSWER(from, tr__registry_locked);
}

/* Takes the holder's place away; the next one holds it, or nobody. */
static void pass_on(lock **place)
{
    lock *held = *place;
    asker *gone = held->first;
    held->first = gone->next;
    tr_free(gone);
    if (held->first != NULL) {
        grant(held);
        return;
    }
    *place = held->next;
    tr_free_term(held->key);
    tr_free(held);
}

static void leave_queue(lock *held, tr_ref request)
{
    asker *before = held->first;
    while (before->next != NULL && !tr_ref_equal(before->next->from.ref, request)) {
        before = before->next;
    }
    asker *gone = before->next;
    if (gone != NULL) {
        before->next = gone->next;
        held->last = gone == held->last ? before : held->last;
        tr_free(gone);
    }
}

static void unlock(tr__locks *locks, const tr__registry_unlock *what)
{
    lock **place = place_of(locks, what->key);
    lock *held = *place;
    if (held == NULL) { /* its holder's end came first */
        return;
    }
    if (tr_ref_equal(held->first->from.ref, what->request)) {
        (void)tr_demonitor(held->monitor, true);
        pass_on(place);
    } else {
        leave_queue(held, what->request);
    }
}

static void holder_ended(tr__locks *locks, const tr_down_msg *down)
{
    lock **place = place_of(locks, down->tag);
    if (*place != NULL && tr_ref_equal((*place)->monitor, down->ref)) {
        pass_on(place);
    }
}

bool tr__locks_call(tr__locks *locks, tr_from from, const tr_msg *msg)
{
    const tr__registry_lock *wanted = TR_MATCH(msg, tr__registry_lock);
    if (wanted == NULL) {
        return false;
    }
    lock **place = place_of(locks, wanted->key);
    asker *one = tr_alloc(sizeof *one);
    one->from = from;
    if (*place != NULL) {
        (*place)->last->next = one;
        (*place)->last = one;
        return true;
    }
    lock *fresh = tr_alloc(sizeof *fresh);
    *fresh = (lock){.key = tr_keep(wanted->key), .first = one, .last = one};
    *place = fresh;
    grant(fresh);
    return true;
}

void tr__locks_info(tr__locks *locks, const tr_msg *msg)
{
    const tr__registry_unlock *what = TR_MATCH(msg, tr__registry_unlock);
    const tr_down_msg *down = TR_MATCH(msg, tr_down_msg);
    if (what != NULL) {
        unlock(locks, what);
    } else if (down != NULL) {
        holder_ended(locks, down);
    }
}

/* ---- in the caller ---- */

/* Runs it; when it crashes and somebody above catches that, *reason is why, and the caller has to go on with it. Where
 * nobody does, the process ends, and that gives the lock back. */
static bool run_caught(void (*fn)(void *ctx), void *ctx, tr_term *reason)
{
    if (tr__core_self()->stack->catch_top != NULL) {
        return tr__catch(fn, ctx, reason);
    }
    fn(ctx);
    return false;
}

tr_err tr_registry_lock(tr_registry *registry, tr_term key, int64_t timeout_ms, void (*fn)(void *ctx),
                        void *ctx)
{
    const tr__setup *setup = tr__setup_of(registry);
    if (tr_self() == TR_NO_PID || !setup->served) {
        return TR_E_STATE;
    }
    tr_msg *reply;
    tr_term reason;
    tr_dest keeper = tr_to(tr__load_seq(&setup->pids[tr_term_hash(key) % setup->partitions]));
    tr_ref request = tr_send_request(keeper, TR_MSG(tr__registry_lock, .key = key));
    tr_err err = tr_receive_response(request, timeout_ms, &reply, NULL);
    if (err == TR_OK) {
        tr_msg_drop(reply);
        bool crashed = run_caught(fn, ctx, &reason);
        TR_SEND(keeper, tr__registry_unlock, .key = key, .request = request);
        if (crashed) {
            tr_exit(reason);
        }
    } else if (err == TR_E_TIMEOUT) {
        TR_SEND(keeper, tr__registry_unlock, .key = key, .request = request);
    }
    return err == TR_E_EXIT ? TR_E_NOPROC : err;
}
