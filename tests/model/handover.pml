/* Handing a core from a thread that does not come back to a spare one. DESIGN, not yet code.
 *
 * The protocol. Each thread that has a core has two words: in_rt (1 while it is inside the runtime; only it writes) and claim:
 *   HELD   the core is this thread's;   ASKED   the watchdog wants it;   TAKEN   it is gone
 * entry   in_rt = 1 (a plain store: no fence in the hot path), then claim is read: HELD: the core's fields may be touched; else the
 *         paths of threads outside are used for this entry.
 * exit    in_rt = 0 (release).
 * return  of the callback to the scheduler: an entry; when claim is not HELD, compare-and-swap ASKED -> HELD says whose the core is.
 * watchdog  compare-and-swap HELD -> ASKED; membarrier; read in_rt; 0: compare-and-swap ASKED -> TAKEN, and a spare thread gets the
 *         core; 1: compare-and-swap ASKED -> HELD, and it tries again at its next tick.
 * tr_blocking_begin   an entry; compare-and-swap HELD -> TAKEN by the thread itself, and a spare thread gets the core.
 *
 * Stores of a thread go through a buffer of its own, oldest first, and reach memory at any later time (x86; on aarch64 the release
 * of exit and the barrier order the same stores). A compare-and-swap and the end of the buffer's thread flush it; membarrier flushes
 * everyone's. The core is one field, a version that whoever holds it increments: a load that misses a store shows.
 *
 * Invariants
 *   1. No two threads touch the core at a time.
 *   2. Who gets the core sees all that was stored to it before.
 *   3. When nothing moves any more, exactly one thread has the core, and a thread that lost it knows.
 *
 * MUTATION_1: no membarrier between asking and reading in_rt.
 * MUTATION_2: entry reads claim before it stores in_rt.
 * MUTATION_3: the watchdog takes without comparing, so that it meets a thread that returned meanwhile. */
#define THREADS 2 /* one has the core, the other is spare; they swap */
#ifdef SMALL
#define ENTRIES 2
#define TICKS   2
#else
#define ENTRIES 4
#define TICKS   4
#endif
#define ROOM 4 /* of a store buffer */

#define HELD  0
#define ASKED 1
#define TAKEN 2

/* memory */
bit in_rt[THREADS];
byte claim[THREADS] = { HELD, TAKEN };
byte version;

/* store buffers: IN_RT with its value, or VERSION */
mtype = { IN_RT, VERSION };
chan buffer[THREADS] = [ROOM] of { mtype, byte };

/* the spare thread waits here for a core */
chan spare[THREADS] = [1] of { bit };

/* ghosts */
byte touching, newest;
bit has[THREADS] = { 1, 0 }; /* what a thread believes */
byte entries = ENTRIES;

inline drain(who)
{
    do
    :: buffer[who] ? IN_RT, value -> in_rt[who] = value
    :: buffer[who] ? VERSION, value -> version = value
    :: empty(buffer[who]) -> break
    od;
    value = 0
}

inline membarrier()
{
    drain(0);
    drain(1)
}

/* The hardware: any thread's oldest store reaches memory, at any time. */
proctype memory(bit who)
{
    byte value;
end:
    do
    :: atomic { buffer[who] ? IN_RT, value -> in_rt[who] = value; value = 0 }
    :: atomic { buffer[who] ? VERSION, value -> version = value; value = 0 }
    od
}

/* A load sees the thread's own stores first: it is the only writer while it holds the core, so the newest one counts. */
inline load_version(to)
{
    if
    :: mine != 0 -> to = mine
    :: else -> to = version
    fi
}

inline touch()
{
    touching++;
    assert(touching == 1);
    load_version(seen);
    assert(seen == newest);
    atomic { newest++; mine = newest; buffer[me] ! VERSION, newest };
    touching--;
    seen = 0
}

inline enter()
{
#ifdef MUTATION_2
    word = claim[me];
    buffer[me] ! IN_RT, 1
#else
    buffer[me] ! IN_RT, 1;
    word = claim[me]
#endif
}

inline leave()
{
    buffer[me] ! IN_RT, 0
}

proctype thread(bit me)
{
    byte word, seen, mine, value;

    if
    :: me == 0 -> goto callback
    :: else -> goto idle
    fi;

idle:
end_idle:
    atomic { spare[me] ? _ -> drain(me); in_rt[me] = 1; claim[me] = HELD; has[me] = 1; mine = 0 };

scheduler: /* inside the runtime, the core is its own */
    touch();
    leave();

callback: /* user code */
    do
    :: atomic { entries > 0 -> entries-- }; /* it sends a message, or the like */
        enter();
        if
        :: word == HELD -> touch()
        :: else /* as from outside: inboxes, the global queue */
        fi;
        leave()
    :: atomic { entries > 0 -> entries-- }; /* tr_blocking_begin ... end */
        enter();
        atomic {
            drain(me);
            if
            :: claim[me] == HELD -> claim[me] = TAKEN; has[me] = 0; mine = 0; spare[1 - me] ! 1
            :: else
            fi
        };
        leave()
    :: atomic { entries > 0 -> entries-- }; goto returns
    :: goto runs_on
    od;

runs_on: /* and never comes back */
end_runs_on:
    false;

returns:
    enter();
    if
    :: word != HELD ->
        atomic { /* compare-and-swap ASKED -> HELD */
            drain(me);
            if
            :: claim[me] == ASKED -> claim[me] = HELD
            :: else
            fi;
            word = claim[me]
        }
    :: else
    fi;
    if
    :: word == HELD -> goto scheduler
    :: else -> has[me] = 0; mine = 0; leave(); goto idle /* a spare from now on */
    fi
}

proctype watchdog()
{
    byte ticks = TICKS, value;
    bit who, busy;

    do
    :: ticks > 0 ->
        ticks--;
        if
        :: who = 0
        :: who = 1
        fi;
        if
        :: atomic { claim[who] == HELD -> claim[who] = ASKED };
#ifndef MUTATION_1
            atomic { membarrier() };
#endif
            busy = in_rt[who];
            if
            :: !busy ->
                atomic {
                    if
#ifdef MUTATION_3
                    :: true -> claim[who] = TAKEN; spare[1 - who] ! 1
#else
                    :: claim[who] == ASKED -> claim[who] = TAKEN; spare[1 - who] ! 1
                    :: else
#endif
                    fi
                }
            :: else ->
                atomic {
                    if
                    :: claim[who] == ASKED -> claim[who] = HELD
                    :: else
                    fi
                }
            fi;
            busy = 0
        :: claim[who] != HELD
        fi;
        who = 0
    :: else -> break
    od
}

init
{
    atomic {
        run thread(0);
        run thread(1);
        run memory(0);
        run memory(1);
        run watchdog()
    };
    timeout ->
    assert((claim[0] == HELD) + (claim[1] == HELD) + len(spare[0]) + len(spare[1]) == 1)
}
