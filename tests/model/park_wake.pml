/* Parking and waking of cores: no runnable process is left lying while a core that could run it sleeps.
 *
 * Mirrors runtime/core/core.c
 *   inbox_push, tr__core_wake   the swap into another core's inbox; then load sleeping, exchange it, uv_async_send
 *   wake_a_thief                loads of asleep and searching, then tr__core_wake of one after the other until one was woken
 *   ring_push, offer            the tail, the count, a thief when this core does not take it next; a full ring overflows
 *   global_push, global_pop     the counted queue under its lock: one step each
 *   tr__core_next               LIFO slot, ring, pinned, global (the rules against starvation are left out)
 *   steal                       searching + 1; a scan from any core on; the claim (head) and the publication of the others (tail)
 *                               in two steps; searching - 1; the last searcher that found something looks at all queues again
 *   pass_on_the_call            whoever got up and takes a process looks at all queues for the next sleeper
 *   core_sleep, nothing_to_do   publish sleeping and asleep; look at the inbox, the global queue, every ring; wait
 *
 * A queue is a number of runnable processes. A step is one access to shared memory, all in one order: the code asks for sequential
 * consistency at each of them. The backstop, timers and I/O are left out, for they would hide a lost wake-up. Core 0 has pinned
 * processes and never hangs; on the others any callback may never come back.
 *
 * Invariants, when nothing moves any more
 *   1. Every queue is empty: whatever became runnable was run. A hanging core keeps its LIFO slot, as documented.
 *   2. Each core that does not hang waits and is counted in asleep; nobody is searching.
 *
 * MUTATION_1: the core looks at the queues before it publishes its sleep.
 * MUTATION_2: whoever pushes to an inbox looks for the sleeper first.
 * MUTATION_3: the last searcher that found something does not look again.
 * MUTATION_4: whoever calls a sleeper that gets up by itself at that moment calls no other one. The code did that once: this one may
 *             have come for other work, and hang in it.
 * MUTATION_5: a core that got up takes a process and looks no further, though it was called for another one. So did the code. */
#define CORES 3
#define ROOM  2 /* of a ring */
/* MAKES processes are made runnable by the callbacks of core 1, FOREIGN come from outside. */
#ifdef SMALL
#define MAKES   2
#define FOREIGN 0
#elif defined(MUTATION_4) || defined(MUTATION_5) /* they need both */
#define MAKES   2
#define FOREIGN 1
#else
#define MAKES   3
#define FOREIGN 0
#endif

byte inbox[CORES], ring[CORES], global;
byte sleeping[CORES], async[CORES];
byte asleep, searching;
byte hanging; /* ghost */

/* got: did this wake it? */
inline core_wake(other)
{
    got = sleeping[other];
    if
    :: got -> d_step { got = sleeping[other]; sleeping[other] = 0 };
        if
        :: got -> async[other] = 1
        :: else
        fi
    :: else
    fi
}

inline wake_a_thief(first)
{
    if
    :: asleep == 0
    :: else ->
        if
        :: searching != 0
        :: else ->
            i = 0;
            do
            :: i == CORES -> break
            :: i < CORES ->
#ifdef MUTATION_4
                if
                :: sleeping[(first + i) % CORES] != 0 -> core_wake((first + i) % CORES); break
                :: else -> i++
                fi
#else
                core_wake((first + i) % CORES);
                if
                :: got -> break
                :: else -> i++
                fi
#endif
            od;
            i = 0;
            got = 0
        fi
    fi
}

inline inbox_push(other)
{
#ifdef MUTATION_2
    got = sleeping[other];
    inbox[other]++;
    if
    :: got -> core_wake(other)
    :: else
    fi;
#else
    inbox[other]++;
    core_wake(other);
#endif
    got = 0
}

/* busy: something else is what this core does next */
inline offer(busy)
{
    count = ring[me];
    if
    :: count > 1 || (count == 1 && (busy)) -> wake_a_thief(me + 1)
    :: else
    fi;
    count = 0
}

inline ring_push(busy)
{
    if
    :: d_step { ring[me] < ROOM -> ring[me]++ }
    :: else -> /* half of the ring goes to the global queue, and the new one */
        d_step {
            if
            :: ring[me] > 0 -> ring[me]--; count = 1
            :: else
            fi
        };
        global = global + count;
        count = 0;
        global++
    fi;
    offer(busy)
}

/* tr__schedule on a core of one that may run anywhere: into the LIFO slot, and who was there to the ring */
inline schedule()
{
    if
    :: lifo -> ring_push(true)
    :: else -> lifo = 1
    fi
}

/* found: is anything in the global queue or a ring? */
inline work_is_queued()
{
    i = 0;
    found = global != 0;
    do
    :: i == CORES || found -> break
    :: else -> found = ring[i] != 0; i++
    od;
    i = 0
}

proctype core(byte me)
{
    byte budget = (me == 1 -> MAKES : 0);
    byte count, got, i, found, want, pinned;
    bit lifo, last, stolen, got_up;

turn: /* tr__core_turn */
    if
    :: inbox[me] != 0 -> /* tr__core_drain: who comes this way is pinned here */
        d_step { want = inbox[me]; inbox[me] = 0 };
        do
        :: want > 0 -> want--; pinned++; offer(true)
        :: else -> break
        od
    :: else
    fi;

next: /* tr__core_next */
    if
    :: lifo -> lifo = 0; goto runs
    :: else
    fi;
    if
    :: d_step { ring[me] > 0 -> ring[me]-- }; goto runs
    :: ring[me] == 0
    fi;
    if
    :: pinned > 0 -> pinned--; goto runs
    :: else
    fi;
    if
    :: d_step { global > 0 -> global-- }; goto runs
    :: global == 0
    fi;
    if
    :: inbox[me] != 0 -> goto turn /* tr__core_run_some drains once more */
    :: else
    fi;

    /* steal */
    searching++;
    if
    :: count = me + 1
    :: count = me + 2
    fi;
    i = 0;
    do
    :: i == CORES || stolen -> i = 0; break
    :: i < CORES && !stolen && (count + i) % CORES == me -> i++
    :: i < CORES && !stolen && (count + i) % CORES != me ->
        if
        :: d_step {
               ring[(count + i) % CORES] > 0 ->
               want = ring[(count + i) % CORES] - ring[(count + i) % CORES] / 2;
               ring[(count + i) % CORES] = ring[(count + i) % CORES] - want
           };
           ring[me] = ring[me] + want - 1;
           want = 0;
           stolen = 1
        :: ring[(count + i) % CORES] == 0
        fi;
        i++
    od;
    count = 0;
    d_step { searching--; last = searching == 0 };
    if
    :: stolen ->
#ifndef MUTATION_3
        if
        :: last -> work_is_queued();
            if
            :: found -> found = 0; wake_a_thief(me + 1)
            :: else
            fi
        :: else
        fi;
#endif
        last = 0;
        goto runs
    :: else -> last = 0
    fi;

    /* core_sleep */
#ifdef MUTATION_1
    found = inbox[me] != 0;
    if
    :: !found -> work_is_queued()
    :: else
    fi;
    sleeping[me] = 1;
    asleep++;
#else
    sleeping[me] = 1;
    asleep++;
    found = inbox[me] != 0;
    if
    :: !found -> work_is_queued()
    :: else
    fi;
#endif
    got_up = 1;
    if
    :: !found ->
end_wait:
        d_step { async[me] == 1 -> async[me] = 0 };
        asleep--;
        sleeping[me] = 0
    :: else ->
        found = 0;
        asleep--;
        sleeping[me] = 0;
        async[me] = 0 /* the loop runs once, without waiting */
    fi;
    goto turn;

runs:
    if
    :: got_up -> got_up = 0; /* pass_on_the_call */
#ifndef MUTATION_5
        work_is_queued();
        if
        :: found -> found = 0; wake_a_thief(me + 1)
        :: else
        fi
#endif
    :: else
    fi;
    /* a callback: it makes others runnable */
    do
    :: budget > 0 -> budget--; schedule()
    :: budget > 0 && me != 0 -> budget--; inbox_push(0)
    :: budget > 0 && me == 0 -> budget--; pinned++; offer(true)
    :: break
    od;
    if
    :: me != 0 -> hanging++; goto hangs
    :: budget > 0 -> budget--; ring_push(lifo || pinned > 0) /* it yields: yield_current, tr__schedule_last */
    :: true
    fi;
    if
    :: stolen -> stolen = 0; goto turn
    :: else -> goto next
    fi;

hangs:
end_hangs:
    false
}

/* A thread outside: tr__schedule without a core. */
proctype foreign()
{
    byte got, i, budget = FOREIGN;
    do
    :: budget > 0 ->
        budget--;
        if
        :: global++; wake_a_thief(budget) /* next_core */
        :: inbox_push(0)
        fi
    :: else -> break
    od
}

init
{
    atomic {
        ring[1] = 1; /* the first process, which spawns the others */
        run core(0);
        run core(1);
        run core(2);
        run foreign()
    };
    timeout ->
    assert(global == 0 && ring[0] == 0 && ring[1] == 0 && ring[2] == 0 && inbox[0] == 0);
    assert(searching == 0 && asleep + hanging == CORES)
}
