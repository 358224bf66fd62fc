/* Exhaustive interleavings of the two protocols on which everything rests, by depth-first search over small step machines.
 *
 * Each step is one access to shared memory, in sequentially consistent order; what an order weaker than that allows is left to
 * ThreadSanitizer and to the comments beside each access. The machines mirror, function by function:
 *   runtime/core/mailbox.c  tr__inbox_push     P_LOAD (the load of the word), P_SWAP (compare-and-swap; from IDLE: schedule)
 *                           tr__fetch          O_LOOK (has_mail), O_TAKE (the exchange)
 *   runtime/core/process.h  tr__inbox_rest     O_REST (the compare-and-swap EMPTY -> IDLE)
 *   runtime/core/mailbox.h  tr__hand_over      P_SWAP (the compare-and-swap IDLE -> EMPTY), P_QUEUE (the owner's queue), P_SCHEDULE
 *   runtime/core/bury.c     inbox_close        O_CLOSE (the exchange)
 *   runtime/core/table.c    tr__table_take/open  O_REOPEN (the slot's next life: another tag)
 *   runtime/core/core.c     inbox_push + tr__core_wake   S_PUSH (the swap), S_LOOK (load of sleeping), S_WAKE (exchange, async_send)
 *                           core_sleep         C_PUBLISH (exchange of sleeping), C_CHECK (nothing_to_do), C_WAIT (uv_run: goes on
 *                                              only when a wake-up was sent), C_UP (exchange of sleeping), C_DRAIN (tr__core_drain)
 *                           ring_push + offer  R_PUSH (the tail), R_SEARCHING, R_WAKE; steal: T_SEARCH, T_SCAN, T_DONE
 * What must hold in every final state: each message is handled once or refused, by the life it was meant for; nobody runs a process
 * that another runs or that nobody scheduled; no core sleeps for good while there is work.
 * Mutations of each protocol, each of which the search must catch, show that it can. */
#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* One system under search: a state without pointers, and a step function per thread. */
typedef struct machine {
    size_t bytes;
    int threads;
    /* Advances that thread by one step. False: it cannot move (ended, or waiting). */
    bool (*step)(void *state, int thread);
    /* Does the invariant hold here? final: no thread can move. */
    bool (*holds)(const void *state, bool final);
} machine;

typedef struct search {
    const machine *of;
    uint64_t states;
    bool broken;
    uint64_t *seen; /* hashes of states that were visited: an open table */
    size_t room;
} search;

static uint64_t hash_bytes(const uint8_t *bytes, size_t count)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < count; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
        hash ^= hash >> 29;
    }
    return hash | 1u;
}

static bool visit(search *in, const uint8_t *state)
{
    uint64_t hash = hash_bytes(state, in->of->bytes);
    for (size_t i = hash & (in->room - 1);; i = (i + 1) & (in->room - 1)) {
        if (in->seen[i] == hash) {
            return false;
        }
        if (in->seen[i] == 0) {
            in->seen[i] = hash;
            in->states++;
            cr_assert(in->states < in->room / 2, "the search outgrew its table");
            return true;
        }
    }
}

/* Depth-first with a stack of its own. Returns: were all reachable states good? */
static bool explore(const machine *of, const void *initial, uint64_t *states)
{
    enum { ROOM = 1 << 20, STACK = 1 << 18 };
    search in = {.of = of, .room = ROOM};
    in.seen = calloc(ROOM, sizeof *in.seen);
    uint8_t *stack = malloc((size_t)STACK * of->bytes);
    cr_assert(in.seen != NULL && stack != NULL);
    size_t top = 0;
    memcpy(stack, initial, of->bytes);
    top++;
    visit(&in, stack);
    uint8_t *state = malloc(of->bytes);
    uint8_t *next = malloc(of->bytes);
    while (top > 0 && !in.broken) {
        top--;
        memcpy(state, stack + top * of->bytes, of->bytes);
        bool moved = false;
        for (int thread = 0; thread < of->threads; thread++) {
            memcpy(next, state, of->bytes);
            if (!of->step(next, thread)) {
                continue;
            }
            moved = true;
            if (visit(&in, next)) {
                cr_assert(top < STACK);
                memcpy(stack + top++ * of->bytes, next, of->bytes);
            }
        }
        in.broken = !of->holds(state, !moved);
    }
    *states = in.states;
    free(in.seen);
    free(stack);
    free(state);
    free(next);
    return !in.broken;
}

/* ---- the mailbox word ---- */

enum { EMPTY, IDLE, CLOSED, FIRST_MESSAGE };
enum { SENDERS = 2, EACH = 2, MESSAGES = SENDERS * EACH };
enum { P_LOAD, P_SWAP, P_QUEUE, P_SCHEDULE, P_END };
enum { O_LOOK, O_TAKE, O_REST, O_WAIT, O_CLOSE, O_REOPEN, O_SECOND_LIFE, O_SECOND_TAKE, O_END };

typedef enum mailbox_mutation {
    MAILBOX_AS_IT_IS,
    REST_BY_STORE,    /* says IDLE without comparing: what came meanwhile is lost           */
    SCHEDULE_ALWAYS,  /* schedules whatever the word was: two run one process               */
    NO_TAG,           /* the word does not tell lives apart: the next tenant gets the mail  */
    TAKE_LEAVES_IDLE, /* fetching says IDLE though the owner goes on                        */
    FORGET_SCHEDULE,  /* the sender that found IDLE does not schedule                       */
    HAND_TO_RUNNING,  /* hands over to one that runs, too: two touch its queue              */
    SCHEDULE_FIRST,   /* schedules before it queues: two touch its queue                    */
    HAND_BY_STORE,    /* takes it out of its rest without comparing: so does another        */
} mailbox_mutation;

typedef struct mailbox {
    /* shared */
    uint8_t top;            /* EMPTY, IDLE, CLOSED or a message                    */
    uint8_t tag;            /* which life                                          */
    uint8_t runs;           /* how often it is scheduled or running: 0 or 1        */
    uint8_t next[MESSAGES]; /* what a message was pushed upon                      */
    uint8_t taken[MESSAGES];
    uint8_t refused[MESSAGES];
    uint8_t wrong_life;
    uint8_t wrong_order;   /* a message of a sender was handled before an earlier one of his */
    uint8_t hands;         /* senders that own it: between taking it out of its rest and scheduling it */
    uint8_t queue;         /* what was handed over: a chain as the inbox's, or EMPTY */
    uint8_t done[SENDERS]; /* of his messages */
    /* owner */
    uint8_t owner, handled;
    /* senders */
    uint8_t at[SENDERS], sent[SENDERS], saw_top[SENDERS], saw_tag[SENDERS];
    uint8_t mutation;
    uint8_t handers; /* the senders that hand over when they can: those with a core */
} mailbox;

/* Oldest first. */
static void take_chain(mailbox *box, uint8_t top, uint8_t life)
{
    if (top < FIRST_MESSAGE) {
        return;
    }
    uint8_t message = (uint8_t)(top - FIRST_MESSAGE);
    take_chain(box, box->next[message], life);
    box->taken[message]++;
    box->wrong_life |= life != 0; /* all were meant for the first life */
    box->wrong_order |= box->done[message / EACH] > message % EACH;
    box->done[message / EACH] = (uint8_t)(message % EACH);
    box->handled++;
}

static void refuse_chain(mailbox *box, uint8_t top)
{
    while (top >= FIRST_MESSAGE) {
        box->refused[top - FIRST_MESSAGE]++;
        top = box->next[top - FIRST_MESSAGE];
    }
}

/* Does the compare-and-swap of the short way succeed now? */
static bool hands_over(const mailbox *box, int who)
{
    if ((box->handers >> who & 1) == 0 || box->saw_tag[who] != 0) {
        return false;
    }
    bool was_idle = box->saw_top[who] == IDLE;
    bool is_idle = box->top == IDLE && box->tag == 0;
    return (was_idle &&
            (is_idle || (box->mutation == HAND_BY_STORE && box->tag == 0 && box->top == EMPTY))) ||
           (box->mutation == HAND_TO_RUNNING && box->saw_top[who] == EMPTY && box->top == EMPTY &&
            box->tag == 0);
}

static void sent_one(mailbox *box, int who)
{
    box->sent[who]++;
    box->at[who] = box->sent[who] == EACH ? P_END : P_LOAD;
}

static bool hand_over_step(mailbox *box, int who)
{
    bool queues = box->at[who] == P_QUEUE;
    if (queues) {
        uint8_t message = (uint8_t)(who * EACH + box->sent[who]);
        box->next[message] = box->queue;
        box->queue = (uint8_t)(FIRST_MESSAGE + message);
        box->wrong_life |= box->runs != 0; /* somebody else may be at its queue */
    } else {
        box->hands--;
        box->runs++;
    }
    if (queues == (box->mutation == SCHEDULE_FIRST)) {
        sent_one(box, who);
    } else {
        box->at[who] = queues ? P_SCHEDULE : P_QUEUE;
    }
    return true;
}

static bool sender_step(mailbox *box, int who)
{
    if (box->at[who] == P_LOAD) {
        box->saw_top[who] = box->top;
        box->saw_tag[who] = box->tag;
        box->at[who] = P_SWAP;
        return true;
    }
    if (box->at[who] == P_QUEUE || box->at[who] == P_SCHEDULE) {
        return hand_over_step(box, who);
    }
    if (box->at[who] != P_SWAP) {
        return false;
    }
    uint8_t message = (uint8_t)(who * EACH + box->sent[who]);
    if (hands_over(box, who)) {
        box->top = EMPTY;
        box->hands++;
        box->at[who] = box->mutation == SCHEDULE_FIRST ? P_SCHEDULE : P_QUEUE;
        return true;
    }
    bool other_life = box->mutation != NO_TAG && box->saw_tag[who] != 0;
    if (other_life || box->saw_top[who] == CLOSED) {
        box->refused[message]++;
    } else if (box->top == box->saw_top[who] && (box->mutation == NO_TAG || box->tag == box->saw_tag[who])) {
        box->next[message] = box->saw_top[who] >= FIRST_MESSAGE ? box->saw_top[who] : EMPTY;
        box->top = (uint8_t)(FIRST_MESSAGE + message);
        bool schedule = box->mutation == SCHEDULE_ALWAYS || box->saw_top[who] == IDLE;
        box->runs = (uint8_t)(box->runs + (schedule && box->mutation != FORGET_SCHEDULE));
    } else {
        box->at[who] = P_LOAD; /* the swap failed */
        return true;
    }
    sent_one(box, who);
    return true;
}

/* What was handed over is handled before anything that is fetched. */
static void take_queue(mailbox *box)
{
    take_chain(box, box->queue, box->tag);
    box->queue = EMPTY;
}

/* Dies after it has handled one message fewer than all, so that closing races with the last ones. */
static bool owner_step(mailbox *box)
{
    switch (box->owner) {
    case O_LOOK:
        take_queue(box);
        box->owner = box->handled >= MESSAGES - 1 ? O_CLOSE : box->top != EMPTY ? O_TAKE : O_REST;
        return true;
    case O_TAKE:
        take_chain(box, box->top, box->tag);
        box->top = box->mutation == TAKE_LEAVES_IDLE ? IDLE : EMPTY;
        box->owner = O_LOOK;
        return true;
    case O_REST:
        if (box->mutation == REST_BY_STORE || box->top == EMPTY) {
            box->top = IDLE;
            box->runs--;
            box->owner = O_WAIT;
        } else {
            box->owner = O_LOOK;
        }
        return true;
    case O_WAIT:
        box->owner = box->runs > 0 ? O_LOOK : O_WAIT;
        return box->runs > 0;
    case O_CLOSE:
        refuse_chain(box, box->top);
        box->top = CLOSED;
        box->owner = O_REOPEN;
        return true;
    case O_REOPEN:
        box->top = EMPTY;
        box->tag = 1;
        box->owner = O_SECOND_LIFE;
        return true;
    case O_SECOND_LIFE:
        box->owner = box->top != EMPTY ? O_SECOND_TAKE : O_END;
        return true;
    case O_SECOND_TAKE:
        take_chain(box, box->top, box->tag);
        box->top = EMPTY;
        box->owner = O_END;
        return true;
    default:
        return false;
    }
}

static bool mailbox_step(void *state, int thread)
{
    mailbox *box = state;
    return thread == 0 ? owner_step(box) : sender_step(box, thread - 1);
}

static bool mailbox_holds(const void *state, bool final)
{
    const mailbox *box = state;
    int owners = box->runs + box->hands;
    if (owners > 1 || box->wrong_life || box->wrong_order ||
        (owners == 0) != (box->owner == O_WAIT && box->top == IDLE)) {
        return false; /* run by two, by the wrong one, out of order, or idle while somebody runs it */
    }
    int settled = 0;
    for (int i = 0; i < MESSAGES; i++) {
        if (box->taken[i] + box->refused[i] > 1) {
            return false;
        }
        settled += box->taken[i] + box->refused[i];
    }
    return !final || settled == MESSAGES;
}

static bool mailbox_holds_with(mailbox_mutation mutation, uint8_t handers, uint64_t *states)
{
    static const machine of = {sizeof(mailbox), 1 + SENDERS, mailbox_step, mailbox_holds};
    mailbox initial = {
        .top = EMPTY, .queue = EMPTY, .runs = 1, .mutation = (uint8_t)mutation, .handers = handers};
    return explore(&of, &initial, states);
}

/* None, one, or both of the senders hand over. */
static bool mailbox_is_good(mailbox_mutation mutation, uint64_t *states)
{
    bool good = true;
    *states = 0;
    for (uint8_t handers = 0; handers < 1 << SENDERS && good; handers++) {
        uint64_t some;
        good = mailbox_holds_with(mutation, handers, &some);
        *states += some;
    }
    return good;
}

Test(interleave, the_mailbox_word_settles_each_message_once_in_every_order)
{
    uint64_t states;
    cr_assert(mailbox_is_good(MAILBOX_AS_IT_IS, &states));
    cr_assert(states > 1000, "only %lu states", (unsigned long)states);
}

Test(interleave, each_mutation_of_the_mailbox_word_is_caught)
{
    uint64_t states;
    for (mailbox_mutation mutation = REST_BY_STORE; mutation <= HAND_BY_STORE; mutation++) {
        cr_expect(!mailbox_is_good(mutation, &states), "mutation %d survived", (int)mutation);
    }
}

/* ---- falling asleep and being woken ----
 * Thread 0 is the core that falls asleep; 1 pushes to its inbox (foreign thread, or another core); 2 is a running core that pushes
 * onto its own ring and then stays busy; 3 is a third core, searching as the others begin: it finds the item of another queue, or none. */

enum { C_PUBLISH, C_CHECK, C_WAIT, C_UP, C_DRAIN, C_STEAL, C_END };
enum { S_PUSH, S_LOOK, S_WAKE, S_END };
enum { R_PUSH, R_ASLEEP, R_SEARCHING, R_LOOK, R_WAKE, R_END };
enum { T_SCAN, T_DONE, T_AGAIN, T_LOOK, T_WAKE, T_BUSY, T_PUBLISH, T_CHECK, T_SLEEP, T_END };

typedef enum sleep_mutation {
    SLEEP_AS_IT_IS,
    CHECK_BEFORE_PUBLISH, /* looks at the queues first and says so after: the push between is lost      */
    LOOK_BEFORE_PUSH,     /* the sender looks whether it sleeps before it pushed                        */
    NO_SECOND_LOOK,       /* sleeps without looking again                                               */
    NO_LAST_SEARCHER,     /* a searcher that found something does not look for what was pushed meanwhile */
    WAKE_BY_LOAD,         /* two wakers, no exchange: not wrong, just two wake-ups                      */
} sleep_mutation;

typedef struct sleeping {
    /* shared */
    uint8_t inbox, ring, other_ring; /* items waiting */
    uint8_t sleeping[2];             /* of core 0 and of the third core */
    uint8_t asleep, searching;
    uint8_t signals[2]; /* wake-ups sent */
    uint8_t done;       /* items somebody took */
    uint8_t core, foreign, runner, third;
    uint8_t mutation, found;
} sleeping;

static bool queues_are_empty(const sleeping *at)
{
    return at->inbox == 0 && at->ring == 0 && at->other_ring == 0;
}

static bool core_step(sleeping *at)
{
    bool check_first = at->mutation == CHECK_BEFORE_PUBLISH;
    switch (at->core) {
    case C_PUBLISH:
        at->sleeping[0] = 1;
        at->asleep++;
        at->core = check_first || at->mutation == NO_SECOND_LOOK ? C_WAIT : C_CHECK;
        return true;
    case C_CHECK:
        if (check_first) {
            at->core = queues_are_empty(at) ? C_PUBLISH : C_DRAIN;
        } else {
            at->core = queues_are_empty(at) ? C_WAIT : C_UP;
        }
        return true;
    case C_WAIT:
        if (at->signals[0] == 0) {
            return false;
        }
        at->signals[0] = 0; /* the loop takes them together */
        at->core = C_UP;
        return true;
    case C_UP:
        at->sleeping[0] = 0;
        at->asleep--;
        at->core = C_DRAIN;
        return true;
    case C_DRAIN:
        at->done = (uint8_t)(at->done + at->inbox);
        at->inbox = 0;
        at->core = C_STEAL;
        return true;
    case C_STEAL: /* searching is left out here: one scan, then it runs what it found or falls asleep again */
        if (at->ring + at->other_ring > 0) {
            at->done++;
            if (at->ring > 0) {
                at->ring--;
            } else {
                at->other_ring--;
            }
        } else {
            at->core = check_first ? C_CHECK : C_PUBLISH;
        }
        return true;
    default:
        return false;
    }
}

static bool foreign_step(sleeping *at)
{
    bool look_first = at->mutation == LOOK_BEFORE_PUSH;
    switch (at->foreign) {
    case S_PUSH:
        at->inbox++;
        at->foreign = look_first ? (at->found ? S_WAKE : S_END) : S_LOOK;
        return true;
    case S_LOOK:
        if (look_first) {
            at->found = at->sleeping[0];
            at->foreign = S_PUSH;
        } else {
            at->foreign = at->sleeping[0] ? S_WAKE : S_END;
        }
        return true;
    case S_WAKE:
        if (at->sleeping[0] || at->mutation == WAKE_BY_LOAD) {
            at->sleeping[0] = 0;
            at->signals[0] = 1;
        }
        at->foreign = S_END;
        return true;
    default:
        return false;
    }
}

/* wake_a_thief, from where it reads `asleep`. Returns: the next place, `end` when it is over. */
static uint8_t wake_step(sleeping *at, uint8_t place, uint8_t end)
{
    switch (place) {
    case R_ASLEEP:
        return at->asleep == 0 ? end : R_SEARCHING;
    case R_SEARCHING:
        return at->searching != 0 ? end : R_LOOK;
    case R_LOOK:
        return at->sleeping[0] || at->sleeping[1] ? R_WAKE : end;
    default:
        for (int i = 0; i < 2; i++) {
            if (at->sleeping[i]) {
                at->sleeping[i] = 0;
                at->signals[i] = 1;
                break;
            }
        }
        return end;
    }
}

static bool runner_step(sleeping *at)
{
    if (at->runner == R_END) {
        return false; /* busy for ever: what it pushed must be taken by others */
    }
    if (at->runner == R_PUSH) {
        at->ring++;
        at->runner = R_ASLEEP;
    } else {
        at->runner = wake_step(at, at->runner, R_END);
    }
    return true;
}

/* Began as a searcher. Takes what it finds in the other ring first (and is then busy for ever), else in the runner's. */
static bool third_step(sleeping *at)
{
    switch (at->third) {
    case T_SCAN:
        at->found = at->other_ring > 0 || at->ring > 0;
        if (at->other_ring > 0) {
            at->other_ring--;
            at->done++;
        } else if (at->ring > 0) {
            at->ring--;
            at->done++;
        }
        at->third = T_DONE;
        return true;
    case T_DONE:
        at->searching--;
        at->third = !at->found ? T_PUBLISH : at->mutation == NO_LAST_SEARCHER ? T_BUSY : T_AGAIN;
        return true;
    case T_AGAIN: /* work_is_queued */
        at->third = at->ring + at->other_ring > 0 ? T_LOOK : T_BUSY;
        return true;
    case T_LOOK:
        at->third = at->asleep != 0 && at->searching == 0 && at->sleeping[0] ? T_WAKE : T_BUSY;
        return true;
    case T_WAKE:
        if (at->sleeping[0]) {
            at->sleeping[0] = 0;
            at->signals[0] = 1;
        }
        at->third = T_BUSY;
        return true;
    case T_PUBLISH:
        at->sleeping[1] = 1;
        at->asleep++;
        at->third = T_CHECK;
        return true;
    case T_CHECK:
        if (queues_are_empty(at)) {
            at->third = T_SLEEP;
            return true;
        }
        at->sleeping[1] = 0;
        at->asleep--;
        at->searching++;
        at->third = T_SCAN;
        return true;
    case T_SLEEP:
        if (at->signals[1] == 0) {
            return false;
        }
        at->signals[1] = 0;
        at->sleeping[1] = 0;
        at->asleep--;
        at->searching++;
        at->third = T_SCAN;
        return true;
    default:
        return false;
    }
}

static bool sleeping_step(void *state, int thread)
{
    sleeping *at = state;
    switch (thread) {
    case 0:
        return core_step(at);
    case 1:
        return foreign_step(at);
    case 2:
        return runner_step(at);
    default:
        return third_step(at);
    }
}

/* At the end core 0 waits, and nothing that it could have taken is left. */
static bool sleeping_holds(const void *state, bool final)
{
    const sleeping *at = state;
    return !final || (at->core == C_WAIT && queues_are_empty(at) && at->done == 3);
}

static bool sleeping_is_good(sleep_mutation mutation, uint64_t *states)
{
    static const machine of = {sizeof(sleeping), 4, sleeping_step, sleeping_holds};
    sleeping initial = {.other_ring = 1, .searching = 1, .mutation = (uint8_t)mutation};
    initial.core = mutation == CHECK_BEFORE_PUBLISH ? C_CHECK : C_PUBLISH;
    initial.foreign = mutation == LOOK_BEFORE_PUSH ? S_LOOK : S_PUSH;
    return explore(&of, &initial, states);
}

Test(interleave, no_core_sleeps_while_there_is_work_in_any_order)
{
    uint64_t states;
    cr_assert(sleeping_is_good(SLEEP_AS_IT_IS, &states));
    cr_assert(states > 500, "only %lu states", (unsigned long)states);
    cr_assert(sleeping_is_good(WAKE_BY_LOAD, &states), "a wake-up too many does no harm");
}

Test(interleave, each_mutation_of_the_sleep_is_caught)
{
    uint64_t states;
    for (sleep_mutation mutation = CHECK_BEFORE_PUBLISH; mutation <= NO_LAST_SEARCHER; mutation++) {
        cr_expect(!sleeping_is_good(mutation, &states), "mutation %d survived", (int)mutation);
    }
}
