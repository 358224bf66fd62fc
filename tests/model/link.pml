/* Links: link, unlink with its acknowledgement, and exit signals, from both sides at once.
 *
 * Mirrors
 *   runtime/core/link.c    tr_link (LINK first, then the own entry), link_to_dead, tr_unlink (the entry stays, marked with the id)
 *   runtime/core/signal.c  link_received, unlink_received + unlink_acknowledge, unlink_acknowledged, exit_by_link, tr__signal_refuse
 *   runtime/core/bury.c    inbox_close, tell_edge (a link that is being unlinked tells nothing)
 * The ids and acknowledgements are those of OTP since release 23.
 *
 * Two processes that trap exits; each links and unlinks OPS times and may end at any time. An inbox is a channel: one push or one
 * handled signal is a step, as an operation touches nothing shared but one push (mailbox.pml is about what is below).
 *
 * Invariants
 *   1. After unlink no exit counts until a link is made anew: by this side, or by a LINK that the other sent after it had handled the
 *      unlink. One that crossed it is not accepted. (As in OTP, an unlink of one that is dead, or not linked, stops no LINK under way.)
 *   2. The other's end gives one exit message at most, beside the noproc of a link to one that is dead already.
 *   3. When all signals are handled, both sides agree (linked or not), and no unlink is left open.
 *   4. Then, too, who linked last and did not unlink has heard of the other's end, unless the other unlinked.
 *
 * MUTATION_1: any acknowledgement clears the entry, whatever its id.
 * MUTATION_2: an exit counts although the entry is marked as unlinked.
 * MUTATION_3: unlink removes the entry at once and expects no acknowledgement.
 * MUTATION_4: a link to a dead process removes the entry of an open unlink. The code did that once: a LINK that was sent before the
 * unlink was handled then made an entry that nothing ever took away. */
#ifdef SMALL
#define OPS 3
#else
#define OPS 5
#endif
#define ROOM 16

mtype = { LINK, UNLINK, ACK, EXIT };
#define NONE   255 /* no entry */
#define LINKED 0   /* else: the id of an unlink under way */

/* kind, id; ghost: LINK tells the newest of the receiver's unlinks that its sender had handled */
chan inbox[2] = [ROOM] of { mtype, byte, byte };
bit open[2] = { 1, 1 };
byte entry[2] = { NONE, NONE };

/* ghosts */
byte unlinks[2];     /* by this side; their ids are 1.. */
byte handled[2];     /* the other's newest unlink that this side handled */
bit asked[2];        /* the last operation was link */
bit heard_link[2];   /* a LINK was accepted since the last unlink */
byte barrier[2];     /* the newest unlink that was sent and not followed by a link */
bit exits[2];        /* an exit signal counted */
bit told[2];         /* of the other's end, since the last link operation */
#define OTHER (1 - me)

inline push(kind, id)
{
    assert(nfull(inbox[OTHER]));
    inbox[OTHER] ! kind, id, handled[me]
}

inline push_or_free(kind, id)
{
    if
    :: open[OTHER] -> push(kind, id)
    :: else
    fi
}

/* an exit by a link that stands: its message is queued */
inline exit_received()
{
    assert(asked[me] || heard_link[me]);
    assert(!exits[me]);
    exits[me] = 1;
    told[me] = 1
}

inline link()
{
    asked[me] = 1;
    barrier[me] = 0;
    told[me] = 0;
    if
    :: entry[me] == LINKED
    :: entry[me] != LINKED && open[OTHER] -> push(LINK, 0); entry[me] = LINKED
    :: entry[me] != LINKED && !open[OTHER] -> /* the entry of an unlink stays: its confirmation is under way */
#ifdef MUTATION_4
        entry[me] = NONE;
#endif
        to_dead = 1
    fi
}

inline unlink()
{
    asked[me] = 0;
    heard_link[me] = 0;
    if
    :: entry[me] != LINKED
    :: entry[me] == LINKED && open[OTHER] ->
        unlinks[me]++;
        push(UNLINK, unlinks[me]);
        barrier[me] = unlinks[me];
#ifdef MUTATION_3
        entry[me] = NONE
#else
        entry[me] = unlinks[me]
#endif
    :: entry[me] == LINKED && !open[OTHER] -> entry[me] = NONE
    fi
}

/* tr__signal_handle */
inline fetch()
{
    inbox[me] ? kind, id, seen;
    if
    :: kind == LINK ->
        if
        :: entry[me] == NONE -> assert(seen >= barrier[me]); heard_link[me] = 1; entry[me] = LINKED
        :: else
        fi
    :: kind == UNLINK ->
        handled[me] = id;
        if
        :: entry[me] == LINKED -> entry[me] = NONE
        :: else
        fi;
        push_or_free(ACK, id)
    :: kind == ACK ->
#ifdef MUTATION_1
        entry[me] = NONE
#else
        if
        :: entry[me] == id && id != LINKED -> entry[me] = NONE
        :: else
        fi
#endif
    :: kind == EXIT ->
#ifdef MUTATION_2
        if
        :: entry[me] != NONE -> exit_received()
        :: else
        fi;
#else
        if
        :: entry[me] == LINKED -> exit_received()
        :: else
        fi;
#endif
        entry[me] = NONE
    fi;
    kind = 0;
    id = 0;
    seen = 0
}

proctype process(bit me)
{
    byte left = OPS, id, seen;
    mtype kind;
    bit mortal, to_dead;

    if /* else it lives to the end */
    :: mortal = 1
    :: true
    fi;
end:
    do
    :: atomic { nempty(inbox[me]) -> fetch() }
    :: atomic { left > 0 -> left--; link() };
        if
        :: to_dead -> /* link_to_dead: what it sent before it died comes first */
            do
            :: atomic { nempty(inbox[me]) -> fetch() }
            :: atomic { empty(inbox[me]) -> to_dead = 0; told[me] = 1; break }
            od
        :: else
        fi
    :: atomic { left > 0 -> left--; unlink() }
    :: atomic { mortal -> open[me] = 0; left = 0 }; break
    od;

    /* the grave: signals that were never handled, then the links */
    do
    :: atomic {
           nempty(inbox[me]) -> inbox[me] ? kind, id, seen;
           if
           :: kind == LINK -> push_or_free(EXIT, 0)
           :: kind == UNLINK -> push_or_free(ACK, id)
           :: else
           fi;
           kind = 0;
           id = 0;
           seen = 0
       }
    :: empty(inbox[me]) -> break
    od;
    atomic {
        if
        :: entry[me] == LINKED -> push_or_free(EXIT, 0)
        :: else
        fi;
        entry[me] = NONE
    }
}

init
{
    byte me;

    atomic {
        run process(0);
        run process(1)
    };
    timeout ->
    if
    :: open[0] && open[1] -> assert(entry[0] == entry[1] && (entry[0] == NONE || entry[0] == LINKED))
    :: else ->
        for (me : 0 .. 1) {
            assert(!open[me] || entry[me] == NONE);
            assert(!open[me] || !asked[me] || unlinks[OTHER] > 0 || told[me])
        }
    fi
}
