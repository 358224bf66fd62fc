#include "runtime/otp/registry.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/core/core.h"
#include "runtime/core/foreign.h"
#include "runtime/sys/lock.h"

static struct {
    pthread_mutex_t lock; /* for making one, and for changing what it is made of */
    tr_registry *all;     /* atomic: pushed onto, never taken from while the node runs */
    tr_registry *names;   /* atomic: made when first used */
} registries = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- what a registry is made of ---- */

static tr__setup *setup_create(const tr_registry_opts *opts, bool served)
{
    uint32_t partitions = opts->partitions == 0 ? 1 : opts->partitions;
    size_t pids = partitions * sizeof(tr_pid);
    tr__setup *setup = calloc(1, sizeof *setup + pids + opts->listener_count * sizeof(tr_term));
    TR_ASSERT(setup != NULL);
    setup->keys = opts->keys;
    setup->partitions = partitions;
    setup->served = served;
    setup->listeners = (uint32_t)opts->listener_count;
    setup->names = (const tr_term *)(const void *)(setup->pids + partitions);
    if (opts->listener_count != 0) {
        memcpy(setup->pids + partitions, opts->listeners, opts->listener_count * sizeof(tr_term));
    }
    return setup;
}

static bool setup_is_same(const tr__setup *a, const tr__setup *b)
{
    return a->served == b->served && a->keys == b->keys && a->partitions == b->partitions &&
           a->listeners == b->listeners &&
           (a->listeners == 0 || memcmp(a->names, b->names, a->listeners * sizeof(tr_term)) == 0);
}

/* Under the lock. The old one stays: somebody may look at it. */
static void setup_change(tr_registry *registry, tr__setup *setup)
{
    tr__setup *old = registry->setup;
    if (old != NULL && setup_is_same(old, setup)) {
        free(setup);
        return;
    }
    setup->older = old;
    tr__store_seq(&registry->setup, setup);
}

static tr_registry *registry_create(const char *name, const tr_registry_opts *opts, bool served)
{
    tr_registry *registry = tr__registry_create(name);
    registry->setup = setup_create(opts, served);
    return registry;
}

static void registry_destroy(tr_registry *registry)
{
    for (tr__setup *setup = registry->setup, *older; setup != NULL; setup = older) {
        older = setup->older;
        free(setup);
    }
    tr__meta_clear(registry);
    tr__registry_destroy(registry);
}

/* ---- which registries there are ---- */

static tr_registry *find(const char *name)
{
    tr_registry *registry = tr__load_acquire(&registries.all);
    while (registry != NULL && strcmp(registry->name, name) != 0) {
        registry = registry->next;
    }
    return registry;
}

/* Under the lock. */
static tr_registry *add(const char *name, const tr_registry_opts *opts, bool served)
{
    tr_registry *registry = registry_create(name, opts, served);
    registry->next = registries.all;
    tr__store_release(&registries.all, registry); /* readers follow it without the lock */
    return registry;
}

bool tr__registry_runs(tr_registry *registry)
{
    return !tr__setup_of(registry)->served || tr__load_seq(&registry->owner) != TR_NO_PID;
}

tr_registry *tr_registry_find(const char *name)
{
    tr_registry *registry = find(name);
    return registry != NULL && tr__registry_runs(registry) ? registry : NULL;
}

/* Under the lock. Nobody serves it any more, and nothing is in it. */
static void registry_empty(tr_registry *registry)
{
    tr__setup *setup = registry->setup;
    for (uint32_t i = 0; i < setup->partitions; i++) {
        tr__store_seq(&setup->pids[i], TR_NO_PID);
    }
    tr__entries_sweep(registry, setup, TR__ALL_PARTITIONS);
    tr__meta_clear(registry);
}

tr_registry *tr_registry_new(const char *name)
{
    static const tr_registry_opts plain;
    tr__lock(&registries.lock);
    tr_registry *registry = find(name);
    if (registry == NULL) {
        registry = add(name, &plain, false);
    } else if (!tr__registry_runs(registry)) {
        registry_empty(registry);
        setup_change(registry, setup_create(&plain, false));
    }
    tr__unlock(&registries.lock);
    return registry;
}

tr_registry_keys tr_registry_keys_of(tr_registry *registry)
{
    return tr__setup_of(registry)->keys;
}

tr_registry *tr__registry_claim(const tr_registry_opts *opts)
{
    const char *name = tr_atom_text(opts->name);
    tr__lock(&registries.lock);
    tr_registry *registry = find(name);
    if (registry == NULL) {
        registry = add(name, opts, true);
        tr__store_seq(&registry->owner, tr_self());
    } else if (registry->setup->served) {
        registry_empty(registry);
        setup_change(registry, setup_create(opts, true));
        tr__store_seq(&registry->owner, tr_self());
    } else {
        registry = NULL;
    }
    tr__unlock(&registries.lock);
    return registry;
}

void tr__registry_give_up(tr_registry *registry, tr_pid owner)
{
    tr__lock(&registries.lock);
    if (registry->owner == owner) {
        tr__store_seq(&registry->owner, TR_NO_PID);
        tr__meta_clear(registry);
    }
    tr__unlock(&registries.lock);
}

/* Registered names are one registry among others: its keys are atoms, and a process may hold one of them. */
static tr_registry *names_registry(void)
{
    static const tr_registry_opts plain;
    tr_registry *names = tr__load_acquire(&registries.names);
    if (names != NULL) {
        return names;
    }
    tr__lock(&registries.lock);
    if (registries.names == NULL) {
        names = registry_create("names", &plain, false);
        names->names = true;
        tr__store_release(&registries.names, names);
    }
    names = registries.names;
    tr__unlock(&registries.lock);
    return names;
}

void tr__names_fini(void)
{
    for (tr_registry *registry = registries.all, *next; registry != NULL; registry = next) {
        next = registry->next;
        registry_destroy(registry);
    }
    if (registries.names != NULL) {
        registry_destroy(registries.names);
    }
    tr__store_release(&registries.all, NULL);
    tr__store_release(&registries.names, NULL);
}

/* ---- registering ---- */

/* Sends each listener a copy; one that is not there hears nothing. */
static void tell_listeners(tr_registry *registry, const tr_type *type, const void *notice)
{
    const tr__setup *setup = tr__setup_of(registry);
    for (uint32_t i = 0; i < setup->listeners; i++) {
        (void)tr_send(tr_to_name(setup->names[i]), type, notice);
    }
}

static void tell_registered(tr_registry *registry, tr_term key, tr_term value)
{
    if (tr__setup_of(registry)->listeners != 0) {
        tr_registry_registered notice = {tr_atom(registry->name), key, value, tr_self()};
        tell_listeners(registry, TR_TYPE(tr_registry_registered), &notice);
    }
}

static void tell_unregistered(tr_registry *registry, tr_term key)
{
    if (tr__setup_of(registry)->listeners != 0) {
        tr_registry_unregistered notice = {tr_atom(registry->name), key, tr_self()};
        tell_listeners(registry, TR_TYPE(tr_registry_unregistered), &notice);
    }
}

static void unlink_without_entries(tr_registry *registry, const tr__setup *setup)
{
    if (setup->served && !tr__entries_any(registry, tr_self())) {
        tr_unlink(tr_to(tr__load_seq(&setup->pids[tr__partition_of(setup, tr_self())])));
    }
}

tr_err tr_registry_register(tr_registry *registry, tr_term key, tr_term value, tr_pid *owner)
{
    tr_pid self = tr_self();
    if (self == TR_NO_PID) {
        return TR_E_STATE;
    }
    TR_CHECK(!tr_is_none(key));
    const tr__setup *setup = tr__setup_of(registry);
    tr__entry_new wanted = {.registry = registry, .setup = setup, .key = key, .value = value, .pid = self};
    if (setup->served) { /* linked first: whatever happens, it does not outlive the registry with an entry */
        wanted.server = tr__load_seq(&setup->pids[tr__partition_of(setup, self)]);
        if (wanted.server == TR_NO_PID || tr_link(tr_to(wanted.server)) != TR_OK) {
            return TR_E_NOPROC;
        }
    }
    tr_err err = tr__entry_add(&wanted, owner);
    if (err == TR_OK) {
        tell_registered(registry, key, value);
    } else {
        unlink_without_entries(registry, setup);
    }
    return err;
}

void tr_registry_unregister(tr_registry *registry, tr_term key)
{
    if (tr_self() != TR_NO_PID) {
        (void)tr__entries_remove(registry, key, tr_self(), NULL);
        unlink_without_entries(registry, tr__setup_of(registry));
        tell_unregistered(registry, key);
    }
}

/* Those of the calling process whose value matches; *all is how many it has under the key. */
static tr__finds own_matching(tr_registry *registry, tr_term key, const tr_pattern *value, size_t *all)
{
    const tr__setup *setup = tr__setup_of(registry);
    tr__finds own = {0};
    tr__finds wanted = {0};
    uint32_t partition = setup->keys == TR_DUPLICATE_KEYS ? tr__partition_of(setup, tr_self()) : 0;
    tr__entries_of_key(registry, key, partition, &(tr__query){.pid = tr_self()}, &own);
    *all = own.count;
    for (tr__found *found = own.first, *next; found != NULL; found = next) {
        next = found->next;
        if (tr_pattern_matches(value, found->value, NULL)) {
            found->next = wanted.first;
            wanted.first = found;
            wanted.count++;
        }
    }
    return wanted;
}

void tr_registry_unregister_match(tr_registry *registry, tr_term key, const tr_pattern *value)
{
    size_t all;
    if (tr_self() == TR_NO_PID) {
        return;
    }
    tr__finds wanted = own_matching(registry, key, value, &all);
    if (wanted.count != 0) {
        (void)tr__entries_remove(registry, key, tr_self(), &wanted);
        unlink_without_entries(registry, tr__setup_of(registry));
        if (wanted.count == all) { /* as in Elixir: told when nothing is left under the key */
            tell_unregistered(registry, key);
        }
    }
}

tr_err tr_registry_update_value(tr_registry *registry, tr_term key, tr_term (*fn)(tr_term old, void *ctx),
                                void *ctx, tr_term *fresh, tr_term *old)
{
    tr_term before = TR_TERM_NONE_VALUE;
    if (tr_registry_keys_of(registry) != TR_UNIQUE_KEYS) {
        return TR_E_BADARG;
    }
    if (tr_self() == TR_NO_PID || tr__entry_lookup(registry, key, &before) != tr_self()) {
        return TR_E_NOT_FOUND;
    }
    tr_term after = fn(before, ctx); /* only the owner changes its entry: nothing can come between */
    tr_err err = tr__entry_replace(registry, key, after);
    if (err == TR_OK && fresh != NULL) {
        *fresh = after;
    }
    if (err == TR_OK && old != NULL) {
        *old = before;
    }
    return err;
}

tr_pid tr_registry_lookup(tr_registry *registry, tr_term key, tr_term *value)
{
    const tr__setup *setup = tr__setup_of(registry);
    if (setup->keys == TR_UNIQUE_KEYS) {
        return tr__entry_lookup(registry, key, value);
    }
    size_t count;
    const tr_registry_entry *entries = tr_registry_entries(registry, key, &count);
    if (count != 0 && value != NULL) {
        *value = entries[0].value;
    }
    return count == 0 ? TR_NO_PID : entries[0].pid;
}

size_t tr_registry_count(tr_registry *registry)
{
    size_t count = 0;
    for (unsigned i = 0; i < TR__SHARDS; i++) {
        count += tr__load_relaxed(&registry->shards[i].live);
    }
    return count;
}

/* ---- registered names ---- */

tr_err tr_register(tr_term name, tr_pid pid)
{
    if (!tr_is_atom(name) || tr_same(name, TR_ATOM(UNDEFINED)) || pid == TR_NO_PID) {
        return TR_E_BADARG;
    }
    tr_registry *names = names_registry();
    tr__entry_new wanted = {.registry = names, .setup = tr__setup_of(names), .key = name, .pid = pid};
    return tr__entry_add(&wanted, NULL);
}

tr_err tr_unregister(tr_term name)
{
    tr_pid owner = tr__entry_lookup(names_registry(), name, NULL);
    return owner != TR_NO_PID && tr__entries_remove(names_registry(), name, owner, NULL) != 0
               ? TR_OK
               : TR_E_NOT_FOUND;
}

/* The node frees the names when it stops; other registries are their owners' to keep. */
static tr_pid name_owner(tr_term name)
{
    if (tr__core_self() != NULL) {
        return tr__entry_lookup(names_registry(), name, NULL);
    }
    if (!tr__foreign_enter()) {
        return TR_NO_PID;
    }
    tr_pid owner = tr__entry_lookup(names_registry(), name, NULL);
    tr__foreign_leave();
    return owner;
}

/* With duplicate keys a key is no address. */
static tr_pid via_owner(tr_registry *registry, tr_term key)
{
    return tr_registry_keys_of(registry) == TR_UNIQUE_KEYS ? tr__entry_lookup(registry, key, NULL)
                                                           : TR_NO_PID;
}

tr_pid tr_whereis(tr_dest dest)
{
    switch (dest.kind) {
    case TR_TO_PID:
        return dest.pid;
    case TR_TO_NAME:
        return name_owner(dest.name);
    case TR_TO_VIA:
        return via_owner(dest.registry, dest.name);
    case TR_TO_ALIAS:
        return dest.alias.owner;
    }
    return TR_NO_PID;
}

void tr__names_release(tr_pid pid, void **names)
{
    tr__entries_release(pid, names);
}
