#include "runtime/otp/entries.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/core/mem.h"
#include "runtime/core/process.h"
#include "runtime/otp/entries_list.h"
#include "runtime/sys/lock.h"

#define TABLE_SLOTS_MIN 8u

/* Where an entry was taken away: matches no key, and does not end a probe. */
static tr__entry gone;

/* ---- the tables by key ---- */

static tr__shard *shard_of(tr_registry *registry, uint64_t hash)
{
    return &registry->shards[hash >> 58];
}

/* Entries of one key in different partitions are in different places. */
static uint64_t hash_of(tr_term key, uint32_t partition)
{
    return tr_term_hash(key) + partition * UINT64_C(0xd6e8feb86659fd93);
}

static tr__table *table_create(size_t slots)
{
    tr__table *table = calloc(1, sizeof(tr__table) + slots * sizeof(tr__entry *));
    TR_ASSERT(table != NULL);
    table->mask = slots - 1;
    return table;
}

/* The oldest entry of a key, or NULL; and its slot, for writers (a reader's slot may hold something else by
 * now). */
static tr__entry *table_find(tr__table *table, uint64_t hash, tr_term key, tr__entry ***slot)
{
    if (table == NULL) {
        return NULL;
    }
    for (size_t i = hash & table->mask;; i = (i + 1) & table->mask) {
        tr__entry *entry = tr__load_seq(&table->slots[i]);
        if (entry == NULL) {
            return NULL;
        }
        if (entry->hash == hash && tr_term_equal(entry->key, key)) {
            *slot = &table->slots[i];
            return entry;
        }
    }
}

/* Lock held. A slot that a new entry can go to; the key is not in the table. */
static tr__entry **table_free_slot(tr__table *table, uint64_t hash)
{
    size_t i = hash & table->mask;
    while (table->slots[i] != NULL && table->slots[i] != &gone) {
        i = (i + 1) & table->mask;
    }
    return &table->slots[i];
}

/* Lock held. Room for one more: when half the slots are used, a table of the right size for what lives takes
 * its place. */
static void shard_make_room(tr__shard *shard)
{
    tr__table *old = shard->table;
    if (old != NULL && 2 * (shard->used + 1) <= old->mask + 1) {
        return;
    }
    size_t slots = TABLE_SLOTS_MIN;
    while (slots < 4 * ((size_t)shard->keys + 1)) {
        slots *= 2;
    }
    tr__table *table = table_create(slots);
    for (size_t i = 0; old != NULL && i <= old->mask; i++) {
        if (old->slots[i] != NULL && old->slots[i] != &gone) {
            *table_free_slot(table, old->slots[i]->hash) = old->slots[i];
        }
    }
    shard->used = shard->keys;
    tr__store_seq(&shard->table, table);
    if (old != NULL) {
        tr__grace_retire(&shard->grace, &old->head);
    }
}

/* Lock of its shard held; it is out of table and list. */
static void entry_retire(tr__shard *shard, tr__entry *entry)
{
    if (entry->head.marks[TR__ENTRY_FOREIGN]) {
        (void)tr__sub_seq(&tr__entries_foreign, 1u);
    }
    tr__grace_retire(&shard->grace, &entry->head);
}

static tr__entry *entry_create(const tr__entry_new *wanted)
{
    bool duplicate = wanted->setup->keys == TR_DUPLICATE_KEYS;
    size_t key_bytes = tr_term_flat_bytes(wanted->key);
    size_t bytes = sizeof(tr__entry) + key_bytes + tr_term_flat_bytes(wanted->value);
    uint8_t mem_class;
    tr__entry *entry = tr__mem_alloc(bytes, &mem_class);
    if (entry == NULL) {
        tr__out_of_memory();
    }
    *entry = (tr__entry){
        .head = {.bytes = (uint32_t)bytes, .mem_class = mem_class, .marks = {wanted->pid != tr_self()}},
        .hash = hash_of(wanted->key, duplicate ? tr__partition_of(wanted->setup, wanted->pid) : 0),
        .pid = wanted->pid,
        .registry = wanted->registry,
    };
    entry->key = tr_term_flatten(wanted->key, entry->memory);
    entry->value = tr_term_flatten(wanted->value, (char *)entry->memory + key_bytes);
    return entry;
}

/* Lock held. Puts the entry into a slot, or behind the others of its key. */
static void shard_put(tr__shard *shard, tr__entry *entry, tr__entry *oldest)
{
    entry->head.marks[TR__ENTRY_TABLED] = true;
    tr__store_relaxed(&shard->live, shard->live + 1);
    if (oldest != NULL) {
        tr__entry *newest = oldest->twin_prev;
        entry->twin_prev = newest;
        oldest->twin_prev = entry;
        tr__store_seq(&newest->twin, entry);
        return;
    }
    tr__entry **slot = table_free_slot(shard->table, entry->hash);
    entry->twin_prev = entry;
    shard->keys++;
    shard->used += *slot == NULL;
    tr__store_seq(slot, entry);
}

/* Lock held. Takes the entry out of its slot, or from among the others of its key. What it leads to stays as it
 * is: somebody may stand on it. */
static void shard_take(tr__shard *shard, tr__entry **slot, tr__entry *entry)
{
    tr__entry *oldest = *slot;
    tr__entry *after = entry->twin;
    entry->head.marks[TR__ENTRY_TABLED] = false;
    tr__store_relaxed(&shard->live, shard->live - 1);
    if (after != NULL) {
        after->twin_prev = entry->twin_prev;
    } else if (entry != oldest) {
        oldest->twin_prev = entry->twin_prev;
    }
    if (entry != oldest) {
        tr__store_seq(&entry->twin_prev->twin, after);
    } else if (after != NULL) {
        tr__store_seq(slot, after);
    } else {
        shard->keys--;
        tr__store_seq(slot, &gone);
    }
}

/* Lock held. The entry was taken out of this table. */
static void shard_forget(tr__shard *shard, tr__entry *entry)
{
    if (tr__list_remove(entry)) {
        entry_retire(shard, entry);
    }
}

/* Lock held. A new entry takes the place of one that has no twins. */
static void shard_replace(tr__shard *shard, tr__entry **slot, tr__entry *entry)
{
    tr__entry *old = *slot;
    entry->head.marks[TR__ENTRY_TABLED] = true;
    entry->twin_prev = entry;
    old->head.marks[TR__ENTRY_TABLED] = false;
    tr__store_seq(slot, entry);
    shard_forget(shard, old);
}

/* Lock held: invariant 7. */
static bool is_served(const tr__entry_new *wanted)
{
    const tr__setup *setup = wanted->setup;
    return !setup->served ||
           (tr__load_seq(&wanted->registry->setup) == setup &&
            tr__load_seq(&setup->pids[tr__partition_of(setup, wanted->pid)]) == wanted->server);
}

/* Publishes the entry, or says why not. */
static tr_err shard_add(tr__shard *shard, const tr__entry_new *wanted, tr__entry *entry, tr_pid *owner)
{
    tr__lock(&shard->lock);
    shard_make_room(shard);
    tr__entry **slot = NULL;
    tr__entry *old = table_find(shard->table, entry->hash, entry->key, &slot);
    bool unique = wanted->setup->keys == TR_UNIQUE_KEYS;
    bool taken = unique && old != NULL && tr__proc_is_alive(old->pid);
    tr_err err = !is_served(wanted) ? TR_E_NOPROC : taken ? TR_E_ALREADY_STARTED : tr__list_add(entry);
    if (err == TR_E_ALREADY_STARTED && old != NULL) {
        *owner = old->pid;
    } else if (err == TR_OK && unique && old != NULL) {
        shard_replace(shard, slot, entry);
    } else if (err == TR_OK) {
        shard_put(shard, entry, old);
    }
    tr__unlock(&shard->lock);
    return err;
}

tr_err tr__entry_add(const tr__entry_new *wanted, tr_pid *owner)
{
    tr_pid holder = TR_NO_PID;
    tr__entry *entry = entry_create(wanted);
    bool foreign = entry->head.marks[TR__ENTRY_FOREIGN];
    if (foreign) {
        (void)tr__add_seq(&tr__entries_foreign, 1u); /* before "alive" is looked at: invariant 4 */
    }
    tr_err err = shard_add(shard_of(wanted->registry, entry->hash), wanted, entry, &holder);
    if (err != TR_OK) {
        if (foreign) {
            (void)tr__sub_seq(&tr__entries_foreign, 1u);
        }
        tr__mem_free(entry, entry->head.bytes, entry->head.mem_class);
    }
    if (err == TR_E_ALREADY_STARTED && owner != NULL) {
        *owner = holder;
    }
    return err;
}

tr_err tr__entry_replace(tr_registry *registry, tr_term key, tr_term value)
{
    tr__entry *entry = entry_create(&(tr__entry_new){
        .registry = registry, .setup = tr__setup_of(registry), .key = key, .value = value, .pid = tr_self()});
    tr__shard *shard = shard_of(registry, entry->hash);
    tr__lock(&shard->lock);
    tr__entry **slot = NULL;
    const tr__entry *old = table_find(shard->table, entry->hash, key, &slot);
    bool found = old != NULL && old->pid == entry->pid;
    if (found) {
        (void)tr__list_add(entry); /* its own list, and it lives */
        shard_replace(shard, slot, entry);
    }
    tr__unlock(&shard->lock);
    if (!found) {
        tr__mem_free(entry, entry->head.bytes, entry->head.mem_class);
    }
    return found ? TR_OK : TR_E_NOT_FOUND;
}

/* ---- taking away ---- */

static bool was_found(const tr__finds *which, const tr__entry *entry)
{
    const tr__found *found = which->first;
    while (found != NULL && found->entry != entry) {
        found = found->next;
    }
    return found != NULL;
}

size_t tr__entries_remove(tr_registry *registry, tr_term key, tr_pid pid, const tr__finds *which)
{
    const tr__setup *setup = tr__setup_of(registry);
    bool duplicate = setup->keys == TR_DUPLICATE_KEYS;
    uint64_t hash = hash_of(key, duplicate ? tr__partition_of(setup, pid) : 0);
    tr__shard *shard = shard_of(registry, hash);
    tr__entry **slot = NULL;
    size_t count = 0;
    tr__lock(&shard->lock);
    for (tr__entry *entry = table_find(shard->table, hash, key, &slot), *after; entry != NULL;
         entry = after) {
        after = entry->twin;
        if (entry->pid == pid && (which == NULL || was_found(which, entry))) {
            shard_take(shard, slot, entry);
            shard_forget(shard, entry);
            count++;
        }
    }
    tr__unlock(&shard->lock);
    return count;
}

void tr__entries_sweep(tr_registry *registry, const tr__setup *setup, uint32_t partition)
{
    for (tr__shard *shard = registry->shards; shard < registry->shards + TR__SHARDS; shard++) {
        tr__lock(&shard->lock);
        for (size_t i = 0; shard->table != NULL && i <= shard->table->mask; i++) {
            tr__entry **slot = &shard->table->slots[i];
            for (tr__entry *entry = *slot, *after; entry != NULL && entry != &gone; entry = after) {
                after = entry->twin;
                if (partition == TR__ALL_PARTITIONS || tr__partition_of(setup, entry->pid) == partition) {
                    shard_take(shard, slot, entry);
                    shard_forget(shard, entry);
                }
            }
        }
        tr__unlock(&shard->lock);
    }
}

void tr__entries_release(tr_pid pid, void **list)
{
    /* Most processes have no name and pay for two loads. Without foreign entries only the process itself puts
     * any into its list; others may take some out meanwhile, and have left it alone when the list is seen
     * empty. */
    if (tr__load_seq(&tr__entries_foreign) == 0 && tr__load_acquire(list) == NULL) {
        return;
    }
    for (tr__entry *entry = tr__list_take(pid, list), *next; entry != NULL; entry = next) {
        next = tr__list_next(entry);
        tr__shard *shard = shard_of(entry->registry, entry->hash);
        tr__lock(&shard->lock);
        if (entry->head.marks[TR__ENTRY_TABLED]) { /* else somebody who wanted the key was faster */
            tr__entry **slot = NULL;
            (void)table_find(shard->table, entry->hash, entry->key, &slot);
            shard_take(shard, slot, entry);
        }
        entry_retire(shard, entry);
        tr__unlock(&shard->lock);
    }
}

/* ---- reading ---- */

static tr_term whole_of(const tr__entry *entry)
{
    tr_term value = tr_is_none(entry->value) ? TR_ATOM(NIL) : entry->value;
    return tr_tuple(entry->key, tr_pid_term(entry->pid), value);
}

static bool fits(const tr__query *query, const tr__entry *entry)
{
    if (query->pid != TR_NO_PID && query->pid != entry->pid) {
        return false;
    }
    if (query->pattern == NULL) {
        return true;
    }
    tr_bindings found;
    tr_scratch_mark mark = tr_scratch();
    bool yes = tr__pattern_fits(query->pattern, query->whole ? whole_of(entry) : entry->value, &found);
    tr_scratch_release(mark);
    return yes;
}

static void finds_add(tr__finds *finds, const tr__entry *entry)
{
    tr__found *found = tr_scratch_alloc(sizeof *found);
    *found = (tr__found){.entry = entry,
                         .key = tr__to_scratch(entry->key),
                         .value = tr__to_scratch(entry->value),
                         .pid = entry->pid};
    if (finds->last == NULL) {
        finds->first = found;
    } else {
        finds->last->next = found;
    }
    finds->last = found;
    finds->count++;
}

/* Inside a grace section: the entry and its twins. */
static void finds_add_fitting(tr__finds *finds, const tr__query *query, const tr__entry *entry)
{
    for (; entry != NULL && entry != &gone; entry = tr__load_seq(&entry->twin)) {
        if (tr__proc_is_alive(entry->pid) && fits(query, entry)) {
            finds_add(finds, entry);
        }
    }
}

void tr__entries_of_key(tr_registry *registry, tr_term key, uint32_t partition, const tr__query *query,
                        tr__finds *finds)
{
    uint64_t hash = hash_of(key, partition);
    tr__entry **slot;
    unsigned stripe = tr__grace_enter();
    tr__table *table = tr__load_seq(&shard_of(registry, hash)->table);
    finds_add_fitting(finds, query, table_find(table, hash, key, &slot));
    tr__grace_leave(stripe);
}

void tr__entries_of_shard(tr_registry *registry, unsigned shard, const tr__query *query, tr__finds *finds)
{
    unsigned stripe = tr__grace_enter();
    const tr__table *table = tr__load_seq(&registry->shards[shard].table);
    for (size_t i = 0; table != NULL && i <= table->mask; i++) {
        finds_add_fitting(finds, query, tr__load_seq(&table->slots[i]));
    }
    tr__grace_leave(stripe);
}

tr_pid tr__entry_lookup(tr_registry *registry, tr_term key, tr_term *value)
{
    uint64_t hash = tr_term_hash(key);
    tr_pid pid = TR_NO_PID;
    tr__entry **slot;
    unsigned stripe = tr__grace_enter();
    const tr__entry *entry = table_find(tr__load_seq(&shard_of(registry, hash)->table), hash, key, &slot);
    if (entry != NULL && tr__proc_is_alive(entry->pid)) {
        pid = entry->pid;
        if (value != NULL) {
            *value = tr__to_scratch(entry->value);
        }
    }
    tr__grace_leave(stripe);
    return pid;
}

/* ---- registries ---- */

tr_registry *tr__registry_create(const char *name)
{
    size_t length = strlen(name);
    tr_registry *registry = aligned_alloc(TR__CACHE_LINE, (sizeof(tr_registry) + length + TR__CACHE_LINE) &
                                                              ~(size_t)(TR__CACHE_LINE - 1));
    TR_ASSERT(registry != NULL);
    memset(registry, 0, sizeof *registry);
    memcpy(registry->name, name, length + 1);
    pthread_mutex_init(&registry->meta_lock, NULL);
    for (unsigned i = 0; i < TR__SHARDS; i++) {
        pthread_mutex_init(&registry->shards[i].lock, NULL);
    }
    return registry;
}

void tr__registry_destroy(tr_registry *registry)
{
    for (unsigned i = 0; i < TR__SHARDS; i++) {
        tr__shard *shard = &registry->shards[i];
        tr__grace_fini(&shard->grace);
        for (size_t j = 0; shard->table != NULL && j <= shard->table->mask; j++) {
            tr__entry *entry = shard->table->slots[j];
            for (tr__entry *twin; entry != NULL && entry != &gone; entry = twin) {
                twin = entry->twin;
                tr__mem_free(entry, entry->head.bytes, entry->head.mem_class);
            }
        }
        free(shard->table);
        pthread_mutex_destroy(&shard->lock);
    }
    free(registry);
}
