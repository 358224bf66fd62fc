/* partition_supervisor.c: a supervisor of N copies of one child, and a table that finds a copy without asking
 * it.
 *
 *     name --(bucket, list)--> entry --> table { owner, count, pids[] }   <-- the children's slots point here
 *
 * Invariants
 *  1. Readers take no lock and never wait. Entries and tables are never freed, so whatever a reader holds
 *     stays memory; a
 *     supervisor that starts again under its name takes over its entry, and the table if it is large enough.
 *  2. Writers (a partition supervisor's start and end) hold one mutex for a few instructions.
 *  3. A pid is in the table from its start until its supervisor has heard of its end. Only its own supervisor
 *     takes it
 *     out, by compare-and-swap, so a late end of an old supervisor does not touch the pids of the new one.
 * Limits: 2^20 partitions; a name is an atom, or the key under which a registry knows the supervisor; tables of names that are not used any more are kept (a node has
 * few).
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/otp/supervisor.h"
#include "runtime/sys/atomic.h"
#include "runtime/sys/lock.h"

#define BUCKETS        64u
#define PARTITIONS_MAX (1u << 20)
#define ARGUMENT_BYTES 256u
#define LABEL_BYTES    64u

/* ---- the table
 * ---------------------------------------------------------------------------------------------------- */

typedef struct partition_table {
    struct partition_table *smaller; /* the one it replaced: a reader may still look at it */
    tr_pid owner;
    tr__partition_size size;
    uint32_t room;
    tr_pid pids[]; /* atomic */
} partition_table;

typedef struct partition_entry {
    struct partition_entry *next;
    tr_term name;
    partition_table *table; /* atomic */
} partition_entry;

static struct {
    pthread_mutex_t lock;
    partition_entry *buckets[BUCKETS]; /* atomic heads; lists only grow */
} tables = {.lock = PTHREAD_MUTEX_INITIALIZER};

static partition_entry **bucket_of(tr_term name)
{
    uint64_t hash = tr_is_atom(name) ? name.word >> TR__TAG_BITS : tr_term_hash(name);
    return &tables.buckets[hash % BUCKETS];
}

static bool is_name(tr_term known, tr_term name)
{
    return tr_same(known, name) || (!tr_is_atom(name) && tr_term_equal(known, name));
}

static partition_entry *entry_find(tr_term name)
{
    partition_entry *entry = tr__load_acquire(bucket_of(name));
    while (entry != NULL && !is_name(entry->name, name)) {
        entry = entry->next;
    }
    return entry;
}

static const partition_table *table_find(tr_term name)
{
    const partition_entry *entry = entry_find(name);
    return entry == NULL ? NULL : tr__load_acquire(&entry->table);
}

/* Under the lock. */
static partition_entry *entry_make(tr_term name)
{
    partition_entry *entry = entry_find(name);
    if (entry == NULL) {
        entry = calloc(1, sizeof(*entry));
        TR_ASSERT(entry != NULL);
        entry->name = tr_term_keep(name);
        entry->next = *bucket_of(name);
        tr__store_release(bucket_of(name), entry);
    }
    return entry;
}

/* Under the lock. Grows at least by half, so that the tables kept for late readers add up to little. */
static partition_table *table_make(partition_entry *entry, uint32_t count)
{
    partition_table *old = entry->table;
    if (old != NULL && old->room >= count) {
        return old;
    }
    uint32_t room = old != NULL && count < old->room + old->room / 2 ? old->room + old->room / 2 : count;
    partition_table *table = calloc(1, sizeof(*table) + room * sizeof(table->pids[0]));
    TR_ASSERT(table != NULL);
    table->room = room;
    table->smaller = old;
    if (old != NULL) {
        tr__store_release(&old->size.now, 0u);
    }
    tr__store_release(&entry->table, table);
    return table;
}

static partition_table *table_claim(tr_term name, uint32_t count)
{
    tr__lock(&tables.lock);
    partition_table *table = table_make(entry_make(name), count);
    table->owner = tr_self();
    for (uint32_t i = 0; i < count; i++) {
        tr__store_release(&table->pids[i], TR_NO_PID);
    }
    table->size.most = count;
    tr__store_release(&table->size.now, count);
    tr__unlock(&tables.lock);
    return table;
}

/* The claim of one supervisor, given up at its end. */
typedef struct claim {
    tr_resource resource; /* first */
    partition_table *table;
    tr_pid owner;
} claim;

static void claim_end(tr_resource *resource)
{
    claim *mine = (claim *)resource;
    tr__lock(&tables.lock);
    if (mine->table->owner == mine->owner) {
        mine->table->owner = TR_NO_PID;
        tr__store_release(&mine->table->size.now, 0u);
    }
    tr__unlock(&tables.lock);
}

/* ---- init
 * ---------------------------------------------------------------------------------------------------------
 * */

/* The argument of partition i: asked for again when the first room was too small. */
static void with_arguments(const tr_partition_opts *opts, uint32_t i, tr_child_spec *spec)
{
    size_t room = ARGUMENT_BYTES;
    void *out = tr_scratch_alloc(room);
    size_t bytes = opts->with_arguments(i, opts->child.arg, out, room);
    if (bytes > room) {
        room = bytes;
        out = tr_scratch_alloc(room);
        bytes = opts->with_arguments(i, opts->child.arg, out, room);
        TR_CHECK(bytes <= room);
    }
    spec->arg = out;
    spec->arg_bytes = bytes;
}

static const tr_child_spec *make_specs(const tr_partition_opts *opts, partition_table *table, tr_term name,
                                       uint32_t count)
{
    tr_child_spec *specs = tr_scratch_alloc(count * sizeof(*specs));
    for (uint32_t i = 0; i < count; i++) {
        specs[i] = opts->child;
        specs[i].id = tr_int(i);
        specs[i].slot = &table->pids[i];
        if (opts->with_arguments != NULL) {
            with_arguments(opts, i, &specs[i]);
        }
        if (specs[i].start.spawn.label == NULL) {
            char *label = tr_scratch_alloc(LABEL_BYTES);
            (void)snprintf(label, LABEL_BYTES, "%s/%u", tr_term_text(name), i);
            specs[i].start.spawn.label = label;
        }
    }
    return specs;
}

static tr_term own_name(void)
{
    tr_process_summary summary;
    return tr_process_summary_of(tr_self(), &summary) == TR_OK ? summary.name : TR_TERM_NONE_VALUE;
}

tr__partition_size *tr__partition_size_own(void)
{
    tr_term name = own_name();
    tr__lock(&tables.lock);
    partition_entry *entry = tr_is_none(name) ? NULL : entry_find(name);
    partition_table *table = entry == NULL ? NULL : entry->table;
    bool is_own = table != NULL && table->owner == tr_self();
    tr__unlock(&tables.lock);
    return is_own ? &table->size : NULL;
}

static tr_term invalid_flag(const char *what, int64_t value)
{
    return tr_tuple(tr_atom("supervisor_data"), tr_tuple(tr_atom(what), tr_int(value)));
}

/* Partitions have ids and all run, so what makes some of them special is refused. */
static tr_term flags_error(const tr_sup_flags *flags)
{
    if (flags->auto_shutdown != TR_AUTO_NEVER) {
        return invalid_flag("invalid_auto_shutdown", (int64_t)flags->auto_shutdown);
    }
    if (flags->strategy == TR_SIMPLE_ONE_FOR_ONE || flags->strategy == TR_DYNAMIC) {
        return invalid_flag("invalid_strategy", (int64_t)flags->strategy);
    }
    return TR_TERM_NONE_VALUE;
}

static tr_err partition_init(const void *arg, tr_sup_flags *flags, const tr_child_spec **children,
                             size_t *count, tr_term *reason)
{
    const tr_partition_opts *opts = arg;
    tr_term name = own_name();
    uint32_t partitions = opts->partitions == 0 ? (uint32_t)tr_node_workers() : opts->partitions;
    if (tr_is_none(name) || partitions > PARTITIONS_MAX) {
        *reason = TR_ATOM(BADARG);
        return TR_E_EXIT;
    }
    *reason = flags_error(&opts->flags);
    if (!tr_is_none(*reason)) {
        return TR_E_EXIT;
    }
    claim *mine = tr_alloc(sizeof(*mine));
    mine->resource.destroy = claim_end;
    mine->owner = tr_self();
    mine->table = table_claim(name, partitions);
    tr_resource_add(&mine->resource);
    *flags = opts->flags;
    *children = make_specs(opts, mine->table, name, partitions);
    *count = partitions;
    return TR_OK;
}

static const tr_supervisor partition_supervisor = {.name = "partition_supervisor", .init = partition_init};

/* ---- starting
 * ----------------------------------------------------------------------------------------------------- */

static void *copy_bytes(struct tr__proc *proc, const void *bytes, size_t size)
{
    void *copy = tr__arena_alloc(proc, size);
    memcpy(copy, bytes, size);
    return copy;
}

/* The options were copied into the new process; what they point to follows. */
static void deepen(struct tr__proc *proc, void *arg)
{
    tr_child_spec *child = &((tr_partition_opts *)arg)->child;
    child->id = TR_TERM_NONE_VALUE;
    child->start.name = tr__arena_keep(proc, child->start.name);
    child->start.key = tr__arena_keep(proc, child->start.key);
    child->start.value = tr__arena_keep(proc, child->start.value);
    if (child->arg_bytes != 0) {
        child->arg = copy_bytes(proc, child->arg, child->arg_bytes);
    }
    const char *label = child->start.spawn.label;
    if (label != NULL) {
        child->start.spawn.label = copy_bytes(proc, label, strlen(label) + 1);
    }
}

tr_err tr_partition_supervisor_start_link(const tr_partition_opts *partition, const tr_start_opts *opts,
                                          tr_started *started)
{
    bool by_key = opts != NULL && opts->registry != NULL && tr_is_none(opts->name);
    if (opts == NULL || !(by_key || tr_is_atom(opts->name))) {
        *started = (tr_started){.reason = TR_ATOM(BADARG)};
        return TR_E_BADARG;
    }
    tr__spawn spawn;
    tr__supervisor_args args = {.supervisor = &partition_supervisor,
                                .arg = partition,
                                .arg_bytes = sizeof(*partition),
                                .deepen = deepen};
    tr__supervisor_spawn(&spawn, &args, opts);
    return tr__start(&spawn, TR__START_LINKED, opts->timeout_ms == 0 ? TR_INFINITY : opts->timeout_ms,
                     started, NULL);
}

void tr_partition_child_spec(const tr_partition_opts *partition, tr_term name, tr_child_spec *spec)
{
    *spec = (tr_child_spec){
        .id = name,
        .supervisor = &partition_supervisor,
        .arg = partition,
        .start = {.name = name},
        .type = TR_SUPERVISOR,
    };
}

/* ---- finding
 * ------------------------------------------------------------------------------------------------------ */

static uint64_t spread(tr_term key)
{
    if (tr_term_kind_of(key) != TR_TERM_INT) {
        return tr_term_hash(key);
    }
    int64_t value = tr_int_value(key);
    return value < 0 ? 0u - (uint64_t)value : (uint64_t)value;
}

tr_pid tr_partition_whereis(tr_term name, tr_term key)
{
    const partition_table *table = table_find(name);
    uint32_t count = table == NULL ? 0 : tr__load_acquire(&table->size.now);
    return count == 0 ? TR_NO_PID : tr__load_acquire(&table->pids[spread(key) % count]);
}

tr_pid tr_partition_at(tr_term name, uint32_t index)
{
    const partition_table *table = table_find(name);
    uint32_t count = table == NULL ? 0 : tr__load_acquire(&table->size.now);
    return index >= count ? TR_NO_PID : tr__load_acquire(&table->pids[index]);
}

uint32_t tr_partition_count(tr_term name)
{
    const partition_table *table = table_find(name);
    return table == NULL ? 0 : tr__load_acquire(&table->size.now);
}

/* ---- resizing
 * ----------------------------------------------------------------------------------------------------- */

static tr_pid owner_of(tr_term name)
{
    tr__lock(&tables.lock);
    partition_entry *entry = entry_find(name);
    tr_pid owner = entry == NULL || entry->table == NULL ? TR_NO_PID : entry->table->owner;
    tr__unlock(&tables.lock);
    return owner;
}

tr_err tr_partition_resize(tr_term name, uint32_t partitions, uint32_t *before)
{
    tr_pid owner = owner_of(name);
    tr_sup_result result = {.err = TR_E_NOPROC};
    if (owner != TR_NO_PID) {
        result = tr__supervisor_resize(tr_to(owner), partitions);
    }
    if (result.err == TR_OK && before != NULL) {
        *before = (uint32_t)tr_int_value(result.info);
    }
    return result.err;
}
