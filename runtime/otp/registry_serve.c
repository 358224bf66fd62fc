/* registry_serve.c: a registry that runs: a supervisor with one process a partition.
 *
 * The processes keep locks (registry_lock.c), and live: who registers is linked to the one of its partition, and their ends, which run
 * outside of them and whatever ends them, take the entries away. With unique keys one end takes all partitions along
 * (one_for_all), with duplicate keys each is alone, as in Elixir. */
#include <stdio.h>
#include <string.h>

#include "runtime/otp/registry.h"
#include "runtime/otp/supervisor.h"

#define PARTITIONS_MAX (1u << 16)
#define LABEL_BYTES    64u

/* ---- a partition ---- */

typedef struct registry_partition {
    tr_resource resource; /* first */
    tr_registry *registry;
    tr__setup *setup;
    uint32_t index;
    tr_pid self;
    tr__locks locks;
} registry_partition;

static void partition_end(tr_resource *resource)
{
    const registry_partition *mine = (const registry_partition *)(const void *)resource;
    tr_pid self = mine->self;
    if (tr__cas_seq(&mine->setup->pids[mine->index], &self, TR_NO_PID)) {
        tr__entries_sweep(mine->registry, mine->setup, mine->index);
    }
}

static tr_next partition_init(registry_partition *self, const void *arg)
{
    *self = *(const registry_partition *)arg;
    self->resource.destroy = partition_end;
    self->self = tr_self();
    tr_resource_add(&self->resource);
    tr__store_seq(&self->setup->pids[self->index], self->self);
    return TR_INIT_OK;
}

static tr_next partition_handle_call(registry_partition *self, tr_from from, const tr_msg *msg)
{
    return tr__locks_call(&self->locks, from, msg) ? TR_NOREPLY : tr_unexpected(msg);
}

/* Also the ends of those who are linked; their entries went before. */
static tr_next partition_handle_info(registry_partition *self, const tr_msg *msg)
{
    tr__locks_info(&self->locks, msg);
    return TR_NOREPLY;
}

TR_GEN_SERVER(registry_partition, .init = partition_init, .handle_call = partition_handle_call,
              .handle_info = partition_handle_info, .trap_exit = true);

/* ---- the supervisor ---- */

typedef struct claim {
    tr_resource resource; /* first */
    tr_registry *registry;
    tr_pid owner;
} claim;

static void claim_end(tr_resource *resource)
{
    const claim *mine = (const claim *)(const void *)resource;
    tr__registry_give_up(mine->registry, mine->owner);
}

static bool are_atoms(const tr_term *terms, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!tr_is_atom(terms[i])) {
            return false;
        }
    }
    return true;
}

static bool are_valid(const tr_registry_opts *opts)
{
    return tr_is_atom(opts->name) && opts->partitions <= PARTITIONS_MAX &&
           (opts->keys == TR_UNIQUE_KEYS || opts->keys == TR_DUPLICATE_KEYS) &&
           are_atoms(opts->listeners, opts->listener_count);
}

static const tr_child_spec *make_specs(tr_registry *registry, tr__setup *setup)
{
    tr_child_spec *specs = tr_scratch_alloc(setup->partitions * sizeof *specs);
    for (uint32_t i = 0; i < setup->partitions; i++) {
        registry_partition *arg = tr_scratch_alloc(sizeof *arg);
        char *label = tr_scratch_alloc(LABEL_BYTES);
        *arg = (registry_partition){.registry = registry, .setup = setup, .index = i};
        (void)snprintf(label, LABEL_BYTES, "%s/%u", registry->name, i);
        specs[i] = (tr_child_spec){.id = tr_int(i),
                                   .server = registry_partition_server,
                                   .arg = arg,
                                   .arg_bytes = sizeof *arg,
                                   /* without a limit: an unlock that is refused would be a lock for ever */
                                   .start = {.spawn = {.label = label, .mailbox_max = UINT32_MAX}}};
    }
    return specs;
}

static tr_err registry_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children,
                            size_t *count, tr_term *reason)
{
    const tr_registry_opts *opts = arg;
    tr_registry *registry = are_valid(opts) ? tr__registry_claim(opts) : NULL;
    if (registry == NULL) {
        *reason = are_valid(opts) ? TR_ATOM(ALREADY_PRESENT) : TR_ATOM(BADARG);
        return TR_E_EXIT;
    }
    claim *mine = tr_alloc(sizeof *mine);
    *mine = (claim){.resource.destroy = claim_end, .registry = registry, .owner = tr_self()};
    tr_resource_add(&mine->resource);
    for (size_t i = 0; i < opts->meta_count; i++) {
        (void)tr_registry_put_meta(registry, opts->meta[i].key, opts->meta[i].value);
    }
    tr__setup *setup = tr__setup_of(registry);
    flags->strategy = opts->keys == TR_UNIQUE_KEYS ? TR_ONE_FOR_ALL : TR_ONE_FOR_ONE;
    *children = make_specs(registry, setup);
    *count = setup->partitions;
    return TR_OK;
}

static const tr_supervisor registry_supervisor = {.name = "registry", .init = registry_init};

/* ---- starting ---- */

/* The options were copied into the new process; what they point to follows. */
static void deepen(struct tr__proc *proc, void *arg)
{
    tr_registry_opts *opts = arg;
    tr_term *listeners = tr__arena_alloc(proc, (opts->listener_count + 1) * sizeof *listeners);
    tr_registry_meta_pair *meta = tr__arena_alloc(proc, (opts->meta_count + 1) * sizeof *meta);
    for (size_t i = 0; i < opts->listener_count; i++) {
        listeners[i] = tr__arena_keep(proc, opts->listeners[i]);
    }
    for (size_t i = 0; i < opts->meta_count; i++) {
        meta[i].key = tr__arena_keep(proc, opts->meta[i].key);
        meta[i].value = tr__arena_keep(proc, opts->meta[i].value);
    }
    opts->listeners = listeners;
    opts->meta = meta;
}

tr_err tr_registry_start_link(const tr_registry_opts *opts, tr_started *started)
{
    if (!are_valid(opts)) {
        *started = (tr_started){.reason = TR_ATOM(BADARG)};
        return TR_E_BADARG;
    }
    tr__spawn spawn;
    tr_start_opts start = {.name = opts->name};
    tr__supervisor_args args = {
        .supervisor = &registry_supervisor, .arg = opts, .arg_bytes = sizeof *opts, .deepen = deepen};
    tr__supervisor_spawn(&spawn, &args, &start);
    return tr__start(&spawn, 1, TR_INFINITY, started, NULL);
}

void tr_registry_child_spec(const tr_registry_opts *opts, tr_child_spec *spec)
{
    *spec = (tr_child_spec){
        .id = opts->name,
        .supervisor = &registry_supervisor,
        .arg = opts,
        .start = {.name = opts->name},
        .type = TR_SUPERVISOR,
    };
}
