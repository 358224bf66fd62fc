/* world.c: tables of one scenario, and the witness. */
#include "tests/conformance/runner/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/runner/trace.h"
#include "tests/conformance/runner/value.h"

enum { EXIT_UNSUPPORTED = 77 };

TR_MESSAGE(world_watch, {
    tr_pid pid;
    tr_pid asker; /* who waits for world_watched; none outside of processes */
});
TR_MESSAGE(world_watched, { tr_pid pid; });

typedef struct block {
    struct block *next;
    _Alignas(16) char memory[];
} block;

typedef struct named {
    struct named *next;
    name_space space;
    tr_term name, value;
} named;

typedef struct failing {
    struct failing *next;
    tr_term name, how;
    int64_t left;
} failing;

static struct {
    block *blocks;
    puppet **puppets;
    size_t count, capacity;
    named *names; /* newest first */
    failing *failures;
    tr_pid witness;
} world;

/* ---- memory ------------------------------------------------------------------------------------------------------ */
static void *must(void *memory)
{
    if (memory == NULL) {
        perror("conformance_runner");
        _Exit(2);
    }
    return memory;
}

void *world_alloc(size_t bytes)
{
    block *made = must(calloc(1, sizeof(block) + bytes));
    made->next = world.blocks;
    world.blocks = made;
    return made->memory;
}

const char *world_text(const char *text)
{
    return strcpy(world_alloc(strlen(text) + 1), text);
}

tr_term world_keep(tr_term term)
{
    size_t bytes = tr_term_flat_bytes(term);
    return bytes == 0 ? term : tr_term_flatten(term, world_alloc(bytes));
}

void world_begin(void)
{
    memset(&world, 0, sizeof world);
}

void world_end(void)
{
    while (world.blocks != NULL) {
        block *next = world.blocks->next;
        free(world.blocks);
        world.blocks = next;
    }
    free(world.puppets);
    memset(&world, 0, sizeof world);
}

void world_unsupported(const char *what)
{
    fprintf(stderr, "not offered by the library: %s\n", what);
    _Exit(EXIT_UNSUPPORTED);
}

actor *world_actor(tr_term kind, tr_term name, tr_term opts, const char *lane)
{
    actor *made = world_alloc(sizeof *made);
    made->self = made;
    made->kind = kind;
    made->name = name;
    made->opts = world_keep(opts);
    made->lane = lane;
    made->extra = world_keep(value_get(opts, "extra"));
    return made;
}

/* ---- puppets ----------------------------------------------------------------------------------------------------- */
size_t world_count(void)
{
    return world.count;
}

puppet *world_at(size_t index)
{
    return world.puppets[index];
}

puppet *world_by_pid(tr_pid pid)
{
    for (size_t i = 0; i < world.count; i++) {
        if (world.puppets[i]->pid == pid) {
            return world.puppets[i];
        }
    }
    return NULL;
}

puppet *world_self(void)
{
    return world_by_pid(tr_self());
}

puppet *world_by_name(tr_term name)
{
    for (size_t i = world.count; i > 0; i--) {
        if (tr_same(world.puppets[i - 1]->name, name)) {
            return world.puppets[i - 1];
        }
    }
    return NULL;
}

puppet *world_by_incarnation(tr_term name, int64_t incarnation)
{
    for (size_t i = 0; i < world.count; i++) {
        if (tr_same(world.puppets[i]->name, name) && world.puppets[i]->incarnation == incarnation) {
            return world.puppets[i];
        }
    }
    return NULL;
}

const char *world_label(tr_pid pid)
{
    const puppet *found = world_by_pid(pid);
    return found == NULL ? "?" : found->label;
}

static puppet *add_puppet(tr_pid pid, tr_term name, const actor *as)
{
    const puppet *before = world_by_name(name);
    puppet *made = world_alloc(sizeof *made);
    made->pid = pid;
    made->name = name;
    made->incarnation = before == NULL ? 1 : before->incarnation + 1;
    const char *base = value_text(name);
    made->label = world_text(made->incarnation == 1 ? base : value_format("%s.%u", base, made->incarnation));
    made->lane = as == NULL || as->lane == NULL ? made->label : as->lane;
    made->actor = as;
    if (world.count == world.capacity) {
        world.capacity = world.capacity == 0 ? 64 : 2 * world.capacity;
        world.puppets = must(realloc(world.puppets, world.capacity * sizeof(puppet *)));
    }
    world.puppets[world.count] = made;
    world.count++;
    return made;
}

puppet *world_enter_self(const actor *as)
{
    puppet *made = add_puppet(tr_self(), as->name, as);
    if (tr_link(tr_to(world.witness)) != TR_OK) {
        trace_log("has no witness");
    }
    return made;
}

static bool is_watched(const tr_msg *msg, void *pid)
{
    const world_watched *watched = TR_MATCH(msg, world_watched);
    return watched != NULL && watched->pid == *(tr_pid *)pid;
}

puppet *world_enter(tr_pid pid, tr_term name, const actor *as)
{
    puppet *made = add_puppet(pid, name, as);
    TR_SEND(world.witness, world_watch, .pid = pid, .asker = tr_self());
    if (tr_self() == TR_NO_PID) {
        tr_virtual_run();
    } else {
        tr_msg_drop(tr_receive(is_watched, &pid, TR_INFINITY));
    }
    return made;
}

/* ---- the witness ------------------------------------------------------------------------------------------------- */
static void saw_exit(tr_pid pid, tr_term reason)
{
    trace_add("~", world_label(pid), value_format("exit %s", value_text(reason)));
}

static void witness_main(const void *unused)
{
    (void)unused;
    for (;;) {
        tr_scratch_mark mark = tr_scratch();
        tr_msg *msg = tr_receive(NULL, NULL, TR_INFINITY);
        const world_watch *watch = TR_MATCH(msg, world_watch);
        const tr_exit_msg *exit = TR_MATCH(msg, tr_exit_msg);
        const tr_down_msg *down = TR_MATCH(msg, tr_down_msg);
        if (watch != NULL) {
            tr_monitor(tr_to(watch->pid), NULL);
            if (watch->asker != TR_NO_PID) {
                TR_SEND(watch->asker, world_watched, .pid = watch->pid);
            }
        } else if (exit != NULL) {
            saw_exit(exit->from, exit->reason);
        } else if (down != NULL) {
            saw_exit(down->pid, down->reason);
        }
        tr_msg_drop(msg);
        tr_scratch_release(mark);
    }
}

void world_start_witness(void)
{
    tr_spawn_opts opts = {.label = "witness", .trap_exit = true};
    if (tr_spawn(&opts, witness_main, NULL, 0, &world.witness) != TR_OK) {
        fprintf(stderr, "no witness\n");
        _Exit(2);
    }
    tr_virtual_run();
}

/* ---- names ------------------------------------------------------------------------------------------------------- */
void world_put(name_space space, tr_term name, tr_term value)
{
    named *made = world_alloc(sizeof *made);
    *made =
        (named){.next = world.names, .space = space, .name = world_keep(name), .value = world_keep(value)};
    world.names = made;
}

tr_term world_get(name_space space, tr_term name)
{
    for (const named *each = world.names; each != NULL; each = each->next) {
        if (each->space == space && tr_term_equal(each->name, name)) {
            return each->value;
        }
    }
    return TR_TERM_NONE_VALUE;
}

const char *world_ref_label(tr_ref ref)
{
    for (const named *each = world.names; each != NULL; each = each->next) {
        if (each->space == NAME_REF && tr_ref_equal(tr_ref_value(each->value), ref)) {
            return tr_atom_text(each->name);
        }
    }
    return "?";
}

/* ---- failing starts ---------------------------------------------------------------------------------------------- */
void world_set_failing(tr_term name, int64_t count, tr_term how)
{
    failing *made = world_alloc(sizeof *made);
    *made = (failing){.next = world.failures, .name = name, .how = world_keep(how), .left = count};
    world.failures = made;
}

tr_term world_take_failure(tr_term name)
{
    for (failing *each = world.failures; each != NULL; each = each->next) {
        if (tr_same(each->name, name)) {
            if (each->left <= 0) {
                break;
            }
            each->left--;
            return each->how;
        }
    }
    return TR_TERM_NONE_VALUE;
}
