#include <troupe/registry.h>

#include <string.h>

#include "runtime/core/core.h"
#include "runtime/core/foreign.h"
#include "runtime/otp/entries.h"
#include "runtime/sys/lock.h"

static struct {
    pthread_mutex_t lock; /* for making one */
    tr_registry *all;     /* atomic: pushed onto, never taken from while the node runs */
    tr_registry *names;   /* atomic: made when first used */
} registries = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- which registries there are ---- */

tr_registry *tr_registry_find(const char *name)
{
    tr_registry *registry = tr__load_acquire(&registries.all);
    while (registry != NULL && strcmp(registry->name, name) != 0) {
        registry = registry->next;
    }
    return registry;
}

tr_registry *tr_registry_new(const char *name)
{
    tr__lock(&registries.lock);
    tr_registry *registry = tr_registry_find(name);
    if (registry == NULL) {
        registry = tr__registry_create(name);
        registry->next = registries.all;
        tr__store_release(&registries.all, registry); /* readers follow it without the lock */
    }
    tr__unlock(&registries.lock);
    return registry;
}

/* Registered names are one registry among others: its keys are atoms, and a process may hold one of them. */
static tr_registry *names_registry(void)
{
    tr_registry *names = tr__load_acquire(&registries.names);
    if (names != NULL) {
        return names;
    }
    tr__lock(&registries.lock);
    if (registries.names == NULL) {
        names = tr__registry_create("names");
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
        tr__registry_destroy(registry);
    }
    if (registries.names != NULL) {
        tr__registry_destroy(registries.names);
    }
    tr__store_release(&registries.all, NULL);
    tr__store_release(&registries.names, NULL);
}

/* ---- entries ---- */

tr_err tr_registry_register(tr_registry *registry, tr_term key, tr_term value, tr_pid *owner)
{
    tr_pid self = tr_self();
    if (self == TR_NO_PID) {
        return TR_E_STATE;
    }
    TR_CHECK(!tr_is_none(key));
    return tr__entry_add(registry, key, value, self, owner);
}

void tr_registry_unregister(tr_registry *registry, tr_term key)
{
    tr_pid self = tr_self();
    if (self != TR_NO_PID) {
        (void)tr__entry_remove(registry, key, self);
    }
}

tr_pid tr_registry_lookup(tr_registry *registry, tr_term key, tr_term *value)
{
    return tr__entry_lookup(registry, key, value);
}

size_t tr_registry_count(tr_registry *registry)
{
    size_t count = 0;
    for (unsigned i = 0; i < TR__SHARDS; i++) {
        count += tr__load_relaxed(&registry->shards[i].live);
    }
    return count;
}

void tr_registry_each(tr_registry *registry, bool (*fn)(tr_term key, tr_term value, tr_pid owner, void *ctx),
                      void *ctx)
{
    for (unsigned i = 0; i < TR__SHARDS; i++) {
        /* fn gets copies: it may block, register and unregister. */
        for (tr__found *found = tr__entries_of_shard(registry, i); found != NULL; found = found->next) {
            if (!fn(found->key, found->value, found->pid, ctx)) {
                return;
            }
        }
    }
}

/* ---- registered names ---- */

tr_err tr_register(tr_term name, tr_pid pid)
{
    if (!tr_is_atom(name) || tr_same(name, TR_ATOM(UNDEFINED)) || pid == TR_NO_PID) {
        return TR_E_BADARG;
    }
    return tr__entry_add(names_registry(), name, TR_TERM_NONE_VALUE, pid, NULL);
}

tr_err tr_unregister(tr_term name)
{
    tr_pid owner = tr__entry_lookup(names_registry(), name, NULL);
    return owner != TR_NO_PID && tr__entry_remove(names_registry(), name, owner) ? TR_OK : TR_E_NOT_FOUND;
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

tr_pid tr_whereis(tr_dest dest)
{
    switch (dest.kind) {
    case TR_TO_PID:
        return dest.pid;
    case TR_TO_NAME:
        return name_owner(dest.name);
    case TR_TO_VIA:
        return tr__entry_lookup(dest.registry, dest.name, NULL);
    case TR_TO_ALIAS:
        return dest.alias.owner;
    }
    return TR_NO_PID;
}

void tr__names_release(tr_pid pid, void **names)
{
    tr__entries_release(pid, names);
}
