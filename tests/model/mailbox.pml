/* The mailbox word: senders that push, an owner that fetches, rests and dies, and a slot that is used again.
 *
 * Mirrors
 *   runtime/core/mailbox.c  tr__inbox_push    load of the word; load of the pid; load of mailbox_max and the two adds of counted;
 *                                             compare-and-swap; from IDLE: tr__schedule
 *                           tr__fetch         load of the word, exchange to EMPTY, reverse, then message by message
 *                           tr__queue_take    counted - 1
 *                           tr__inbox_rest    load of the word, compare-and-swap EMPTY -> IDLE
 *   runtime/core/bury.c     inbox_close       exchange to CLOSED, then tr__signal_refuse of what was there; queue_drop
 *   runtime/core/table.c    tr__table_give, tr__table_take, tr__table_open     pid = 0, pid of the next life, the word with its tag
 *   runtime/core/slice.c    run_slice         on whichever core took it: two cores, one queue between them
 *
 * The word is (tag, top). A tag is the life's number: the model has fewer lives than tags, so what 65 536 lives do is not in it.
 * All senders hold the pid of the first life, as stale pids do; the second life begins with a message of its own.
 * mailbox_max is MAX in the first life and 0 (no limit) in the second, so a sender that slept through may read either.
 *
 * Invariants
 *   1. Each message is settled exactly once: handled, refused by the grave, or given back to its sender (no process, or full).
 *   2. It is handled by the life it was sent to, and in the order in which its sender pushed.
 *   3. At most one core runs the process, and it is queued or running whenever its word is not IDLE or CLOSED.
 *   4. In the end nothing is left in the inbox or the queue, and counted is 0.
 *
 * MUTATION_1: the word carries no tag, so a sender that slept through a reuse of the slot succeeds.
 * MUTATION_2: resting stores IDLE without comparing.
 * MUTATION_3: whoever dies looks at the inbox before it closes it, in two steps. */
#ifdef SMALL
#define SENDERS 2
#define EACH    1
#else
#define SENDERS 2
#define EACH    2
#endif
#define MESSAGES (SENDERS * EACH + 1) /* the last is the second life's own */
#define MAX      1

#define EMPTY  0
#define IDLE   1
#define CLOSED 2
#define FIRST  3 /* FIRST + m: message m is the newest */

#ifdef MUTATION_1
#define SAME_TAG   true
#define OF_MY_LIFE true
#else
#define SAME_TAG   (tag == seen_tag)
#define OF_MY_LIFE (seen_tag == 1)
#endif

/* shared */
byte top = EMPTY, tag = 1, id = 1, max = MAX, counted;
byte next[MESSAGES];
byte queued = 1; /* how often it stands in the run queue: 0 or 1 */

/* the owner's, whoever that is */
chan queue = [MESSAGES] of { byte };
byte life = 1;

/* ghosts */
byte running;
bit settled[MESSAGES];
bit spawned;

inline settle(m)
{
    d_step { assert(!settled[m]); settled[m] = 1 }
}

proctype sender(byte me)
{
    byte seen_top, seen_tag, n, limit;
    bit limited;

    do
    :: n < EACH ->
        d_step { seen_top = top; seen_tag = tag };
again:
        if
        :: !OF_MY_LIFE || seen_top == CLOSED -> goto no_process
        :: else
        fi;
        if
        :: id != 1 -> goto no_process
        :: else
        fi;
        limit = max;
        if
        :: limit != 0 && !limited ->
            d_step { limit = (counted >= limit); counted++ };
            if
            :: limit -> counted--; goto is_full
            :: else -> limited = 1
            fi
        :: else
        fi;
        limit = 0;
        next[me * EACH + n] = (seen_top > CLOSED -> seen_top : EMPTY);
        if
        :: d_step { top == seen_top && SAME_TAG -> top = FIRST + me * EACH + n };
            if
            :: seen_top == IDLE -> d_step { queued++; assert(queued == 1 && running == 0) }
            :: else
            fi;
            goto pushed
        :: d_step { !(top == seen_top && SAME_TAG) -> seen_top = top; seen_tag = tag };
            goto again
        fi;
no_process:
        if
        :: limited -> counted--
        :: else
        fi;
is_full:
        settle(me * EACH + n);
pushed:
        limited = 0;
        limit = 0;
        seen_top = 0;
        seen_tag = 0;
        n++
    :: else -> break
    od
}

/* tr__signal_handle of an ordinary message; counted goes down when it leaves the queue */
inline handle(m)
{
    assert((m == MESSAGES - 1) == (life == 2));
    assert(m == MESSAGES - 1 || m % EACH == 0 || settled[m - 1]);
    settle(m)
}

inline uncount()
{
    if
    :: life == 1 -> counted--
    :: else
    fi
}

/* chain: newest first, private by now */
inline reverse()
{
    d_step {
        m = EMPTY;
        do
        :: chain >= FIRST ->
            other = next[chain - FIRST];
            next[chain - FIRST] = m;
            m = chain;
            chain = other
        :: else -> break
        od;
        chain = m;
        m = 0;
        other = 0
    }
}

proctype core()
{
    byte chain, m, other;

rested:
end_idle:
    if
    :: d_step { queued > 0 -> queued--; running++; assert(running == 1) }
    fi;

slice:
    if
    :: top != EMPTY -> /* tr__fetch */
        d_step { chain = top; top = EMPTY };
        reverse();
        d_step {
            do
            :: chain >= FIRST -> queue ! (chain - FIRST); chain = next[chain - FIRST]
            :: else -> break
            od;
            chain = 0
        }
    :: top == EMPTY
    fi;
    if
    :: goto dies
    :: nempty(queue) -> queue ? m; uncount(); handle(m); m = 0; goto slice
    :: nempty(queue) -> d_step { running--; queued++ }; goto rested /* it yields */
    :: empty(queue)
    fi;
#ifdef MUTATION_2
    atomic { top = IDLE; running-- };
    goto rested;
#else
    if
    :: d_step { top == EMPTY -> top = IDLE; running-- }; goto rested
    :: top != EMPTY -> goto slice
    fi;
#endif

dies: /* inbox_close */
#ifdef MUTATION_3
    chain = top;
    top = CLOSED;
#else
    atomic { chain = top; top = CLOSED };
#endif
    reverse();
    do
    :: chain >= FIRST -> uncount(); settle(chain - FIRST); chain = next[chain - FIRST]
    :: else -> break
    od;
    chain = 0;
    do
    :: nempty(queue) -> queue ? m; uncount(); settle(m)
    :: empty(queue) -> break
    od;
    m = 0;
    atomic { running--; id = 0 }; /* tr__table_give */
    goto rested
}

proctype spawner()
{
    byte seen;

end_no_death:
    id == 0;
    d_step { spawned = 1; id = 2; life = 2 }; /* tr__table_take */
    max = 0;
    d_step { tag = 2; top = EMPTY }; /* tr__table_open */
    queued++;
    do
    :: seen = top;
        if
        :: seen == CLOSED -> settle(MESSAGES - 1); break
        :: else
        fi;
        next[MESSAGES - 1] = (seen >= FIRST -> seen : EMPTY);
        if
        :: d_step { top == seen -> top = FIRST + MESSAGES - 1 };
            if
            :: seen == IDLE -> queued++
            :: else
            fi;
            break
        :: top != seen
        fi
    od
}

init
{
    byte i;

    atomic {
        run core();
        run core();
        run spawner();
        for (i : 0 .. SENDERS - 1) {
            run sender(i)
        }
    };
    timeout ->
    for (i : 0 .. MESSAGES - 1) {
        assert(settled[i] || (i == MESSAGES - 1 && !spawned))
    };
    assert(counted == 0 && empty(queue) && queued == 0 && running == 0 && (top == IDLE || top == CLOSED))
}
