/* A call with a time-out against its reply, the server's death, and a reply by somebody else.
 *
 * Mirrors
 *   runtime/core/send.c    tr__request    the monitor's edge with its one-shot alias, then one push: a request that is its monitor too
 *                          tr__await      receive; when time is up: tr_demonitor with flush, and one last look
 *                          tr__reply      the server's own reply takes its watcher away and says so (TR__F_DEMONITORED)
 *   runtime/core/signal.c  message_received, alias_admits, demonitor_received, down_received, tr__signal_refuse
 *   runtime/core/link.c    tr_demonitor   the edge goes, a signal to the server, DOWNs that wait are flushed
 *   runtime/core/bury.c    inbox_close, queue_drop, tell_all
 *
 * An inbox is a channel: one push or one handled signal is a step (mailbox.pml is about what is below). The caller calls CALLS times,
 * one after the other, and may be killed while it waits. The server answers, answers twice, lets a delegate answer, never answers, or
 * dies, in any order. The clock may ring at any time.
 *
 * Invariants
 *   1. A call ends with the reply, with a DOWN of a server that is dead, or by its time-out; never twice, never by another call's.
 *   2. When it has ended, nothing of it ever shows up in the caller's queue, and the caller has no edge of it.
 *   3. In the end a server that lives has no watcher left.
 *   4. The last look after a time-out finds nothing: the queue was read to its end, and what is fetched later finds no alias.
 *
 * MUTATION_1: the time-out takes the monitor away, but leaves the alias.
 * MUTATION_2: the server says that it dropped the monitor, but keeps its watcher.
 * MUTATION_3: a reply by another process does not end the monitor at the server. */
#ifdef SMALL
#define CALLS 2
#else
#define CALLS 4
#endif
#define ROOM 12

mtype = { CALL, REPLY, DOWN, DEMONITOR };

/* kind, reference, flag DEMONITORED */
chan to_caller = [ROOM] of { mtype, byte, bit };
chan to_server = [ROOM] of { mtype, byte, bit };
chan to_delegate = [CALLS] of { byte };
bit caller_open = 1, server_open = 1;

/* the caller's, the server's */
chan queue = [ROOM] of { mtype, byte };
bit monitor[CALLS], alias[CALLS];
bit watcher[CALLS];

inline push_to_caller(kind, ref, flag)
{
    if
    :: caller_open -> assert(nfull(to_caller)); to_caller ! kind, ref, flag
    :: else
    fi
}

inline push_to_server(kind, ref)
{
    if
    :: server_open -> assert(nfull(to_server)); to_server ! kind, ref, 0
    :: else
    fi
}

/* tr__fetch of the caller: one signal */
inline caller_fetches()
{
    if
    :: to_caller ? REPLY, r, flag ->
        if
        :: alias[r] -> /* alias_admits */
            alias[r] = 0;
            if
            :: monitor[r] ->
                monitor[r] = 0;
#ifndef MUTATION_3
                if
                :: !flag -> push_to_server(DEMONITOR, r)
                :: else
                fi
#endif
            :: else
            fi;
            queue ! REPLY, r
        :: else /* a dead letter */
        fi
    :: to_caller ? DOWN, r, flag ->
        if
        :: monitor[r] -> monitor[r] = 0; alias[r] = 0; queue ! DOWN, r
        :: else
        fi
    fi;
    r = 0;
    flag = 0
}

proctype caller()
{
    byte ref, r;
    bit flag;

    do
    :: ref < CALLS ->
        atomic { /* tr__request */
            if
            :: server_open -> monitor[ref] = 1; alias[ref] = 1; push_to_server(CALL, ref)
            :: else -> goto ended
            fi
        };
        do /* tr__await */
        :: atomic { nempty(to_caller) -> caller_fetches() }
        :: atomic { queue ?? [REPLY, eval(ref)] -> queue ?? REPLY, eval(ref); break }
        :: atomic { queue ?? [DOWN, eval(ref)] -> assert(!server_open); queue ?? DOWN, eval(ref); break }
        :: atomic { /* time is up; it has fetched and found nothing */
               empty(to_caller) && empty(queue) ->
               if
               :: monitor[ref] ->
                   monitor[ref] = 0; /* tr_demonitor */
#ifndef MUTATION_1
                   alias[ref] = 0;
#endif
                   push_to_server(DEMONITOR, ref)
               :: else
               fi
           };
            do /* the last look: fetch what came meanwhile, then scan */
            :: atomic { nempty(to_caller) -> caller_fetches() }
            :: break
            od;
#ifndef MUTATION_1
            assert(!(queue ?? [REPLY, eval(ref)]) && !(queue ?? [DOWN, eval(ref)]));
#endif
            break
        :: atomic { caller_open = 0 }; goto killed
        od;
ended:
        assert(empty(queue) && !monitor[ref]);
        ref++
    :: else -> break
    od;
end_done:
    do /* it lives on, and what comes late is handled */
    :: atomic { nempty(to_caller) -> caller_fetches(); assert(empty(queue)) }
    od;
killed: /* what is in its inbox needs no answer; tell_all */
    atomic {
        if
        :: monitor[ref] -> push_to_server(DEMONITOR, ref)
        :: else
        fi;
        monitor[ref] = 0;
        alias[ref] = 0
    }
}

/* tr__reply in the server */
inline reply(ref)
{
    own = watcher[ref];
#ifndef MUTATION_2
    watcher[ref] = 0;
#endif
    push_to_caller(REPLY, ref, own);
    own = 0
}

proctype server()
{
    byte r, i, again;
    bit own, mortal;
    chan calls = [CALLS] of { byte };

    if /* else it lives to the end */
    :: mortal = 1
    :: true
    fi;
end:
    do
    :: atomic {
           nempty(to_server) ->
           if
           :: to_server ? CALL, r, _ -> watcher[r] = 1; calls ! r
           :: to_server ? DEMONITOR, r, _ -> watcher[r] = 0
           fi;
           r = 0
       }
    :: atomic {
           calls ? r ->
           if
           :: reply(r)
           :: to_delegate ! r
           :: true /* {noreply, State} */
           :: reply(r); again = r + 1
           fi;
           r = 0
       }
    :: atomic { again > 0 -> reply(again - 1); again = 0 }
    :: atomic { mortal -> server_open = 0 }; break
    od;
    again = 0;
    do /* inbox_close: calls that were never handled are answered */
    :: atomic {
           nempty(to_server) ->
           if
           :: to_server ? CALL, r, _ -> push_to_caller(DOWN, r, 0)
           :: to_server ? DEMONITOR, r, _
           fi;
           r = 0
       }
    :: empty(to_server) -> break
    od;
    do
    :: i < CALLS ->
        atomic {
            if
            :: watcher[i] -> watcher[i] = 0; push_to_caller(DOWN, i, 0)
            :: else
            fi;
            i++
        }
    :: else -> break
    od
}

proctype delegate()
{
    byte r;
end:
    do
    :: atomic { to_delegate ? r -> push_to_caller(REPLY, r, 0); r = 0 }
    od
}

init
{
    byte i;

    atomic {
        run caller();
        run server();
        run delegate()
    };
    timeout ->
    for (i : 0 .. CALLS - 1) {
        assert(!monitor[i] && !alias[i] && (!server_open || !watcher[i]))
    };
    assert(!caller_open || empty(queue))
}
