/* registry.h: names for processes: unique keys (any term) to pids, with `via` addressing.
 *
 * Invariants
 *  1. Only a live process is found; an entry goes before anyone hears of its owner's death (a restarted owner
 *     never
 *     meets its predecessor's name).
 *  2. Readers never wait: a look-up takes no lock.
 *  3. A registry lives until the runtime stops; making one is rare.
 */
#ifndef TROUPE_REGISTRY_H
#define TROUPE_REGISTRY_H

#include <troupe/process.h>

typedef struct tr_registry tr_registry;

/** Makes a registry with this name, or finds it. Returns: borrowed for the life of the node. Context: any
 *  thread. */
tr_registry *tr_registry_new(const char *name);
/** The registry with this name, or NULL. */
tr_registry *tr_registry_find(const char *name);
/** Registers the calling process under key with a value (or none). Errors: TR_E_ALREADY_STARTED, *owner tells
 *  who (NULL allowed). */
TR_MUST_CHECK tr_err tr_registry_register(tr_registry *registry, tr_term key, tr_term value, tr_pid *owner);
/** Takes the calling process's entry away; fine when absent. */
void tr_registry_unregister(tr_registry *registry, tr_term key);
/** Live owner of key or TR_NO_PID; *value (NULL allowed) on the caller's scratch. Context: any thread. */
tr_pid tr_registry_lookup(tr_registry *registry, tr_term key, tr_term *value);
size_t tr_registry_count(tr_registry *registry);
/** Calls fn for each entry until it returns false. The key and value are borrowed for that call. */
void tr_registry_each(tr_registry *registry, bool (*fn)(tr_term key, tr_term value, tr_pid owner, void *ctx),
                      void *ctx);

#endif
