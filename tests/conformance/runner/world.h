/* world.h: what is shared by the controller and all puppets of one scenario: who is who, what has which name.
 *
 * 1. One core runs everything (virtual time), so nothing here is locked.
 * 2. Memory of the world lives until world_end.
 * 3. A puppet is in the table from world_enter on, dead or alive; the latest one under a name is the one meant.
 * 4. A puppet's end is written to the trace by the witness, a process that sees the exit signal of all of them: those
 *    that enter themselves are linked to it, those entered by their starter are monitored. Neither is ever shown.
 */
#ifndef TESTS_CONFORMANCE_WORLD_H
#define TESTS_CONFORMANCE_WORLD_H

#include <troupe/troupe.h>

/** How an actor is to be started: from an op, a child spec or a start command. */
typedef struct actor {
    struct actor *self; /* copied into processes: &actor->self is their argument */
    tr_term kind, name, opts;
    tr_term extra;    /* none, or an extra argument of the start */
    const char *lane; /* NULL: its own */
    tr_gen_server server;
    tr_gen_statem machine;
    tr_supervisor supervisor;
} actor;

typedef struct puppet {
    tr_pid pid;
    tr_term name;
    unsigned incarnation; /* 1 for the first under its name */
    const char *label;
    const char *lane;      /* where it logs */
    const char *tree_lane; /* supervisors: where their children log; NULL: in their own lanes */
    const actor *actor;    /* NULL: bare process without options */
    bool hold, leave;      /* plain processes */
} puppet;

/** Names that the scenario gives to things. */
typedef enum name_space { NAME_VAR, NAME_ALIAS, NAME_REF, NAME_INTERVAL, NAME_REQUEST, NAME_TASK } name_space;

void world_begin(void);
void world_end(void);
/** Zeroed memory of the world. */
void *world_alloc(size_t bytes);
const char *world_text(const char *text);
tr_term world_keep(tr_term term);

/** A new actor; terms are kept. */
actor *world_actor(tr_term kind, tr_term name, tr_term opts, const char *lane);

/** The calling process begins its life as a puppet. Does not block. */
puppet *world_enter_self(const actor *as);
/** A process that was just spawned by the caller, and waits for its go, becomes a puppet. Blocks: parks the calling process until the witness
 *  watches; outside of a process: until the next run. */
puppet *world_enter(tr_pid pid, tr_term name, const actor *as);
/** Starts the witness; once, before anyone enters. */
void world_start_witness(void);

puppet *world_self(void);
puppet *world_by_pid(tr_pid pid);
/** The latest puppet under a name, or the incarnation of that number; NULL. */
puppet *world_by_name(tr_term name);
puppet *world_by_incarnation(tr_term name, int64_t incarnation);
size_t world_count(void);
puppet *world_at(size_t index);
/** Label of a process, "?" for strangers. */
const char *world_label(tr_pid pid);
const char *world_ref_label(tr_ref ref);

void world_put(name_space space, tr_term name, tr_term value);
/** None when the name was never given. */
tr_term world_get(name_space space, tr_term name);

/** The next count starts of name fail like this. */
void world_set_failing(tr_term name, int64_t count, tr_term how);
/** How this start has to fail; none: it does not. Counts. */
tr_term world_take_failure(tr_term name);

/** Ends the program: this scenario uses something that the library does not offer. */
TR_NORETURN void world_unsupported(const char *what);

#endif
