/* registry_meta.c: what a registry keeps for its users: few pairs, rarely changed; a list under a lock. */
#include <stdlib.h>

#include "runtime/otp/registry.h"
#include "runtime/sys/lock.h"

typedef struct tr__meta {
    struct tr__meta *next;
    tr_term key, value; /* kept */
} tr__meta;

/* Lock held. */
static tr__meta **place_of(tr_registry *registry, tr_term key)
{
    tr__meta **at = &registry->meta;
    while (*at != NULL && !tr_term_equal((*at)->key, key)) {
        at = &(*at)->next;
    }
    return at;
}

static void take(tr__meta **at)
{
    tr__meta *pair = *at;
    *at = pair->next;
    tr_term_free(pair->key);
    tr_term_free(pair->value);
    free(pair);
}

void tr__meta_clear(tr_registry *registry)
{
    tr__lock(&registry->meta_lock);
    while (registry->meta != NULL) {
        take(&registry->meta);
    }
    tr__unlock(&registry->meta_lock);
}

/* Lock held. Copies the value if it fits into bytes. Returns: the bytes it wants. */
static size_t copy_value(const tr__meta *pair, void *memory, size_t bytes, tr_term *value)
{
    size_t wanted = tr_term_flat_bytes(pair->value);
    if (wanted <= bytes) {
        *value = tr_term_flatten(pair->value, memory);
    }
    return wanted;
}

tr_err tr_registry_meta(tr_registry *registry, tr_term key, tr_term *value)
{
    tr_err err = TR_OK;
    size_t bytes = 0;
    for (size_t wanted = 256; bytes < wanted && err == TR_OK;) {
        bytes = wanted; /* room is asked for without the lock: who gets none ends right there */
        void *memory = tr_scratch_alloc(bytes);
        tr__lock(&registry->meta_lock);
        const tr__meta *pair = *place_of(registry, key);
        err = pair != NULL ? TR_OK : tr__registry_runs(registry) ? TR_E_NOT_FOUND : TR_E_NOPROC;
        wanted = pair != NULL ? copy_value(pair, memory, bytes, value) : 0;
        tr__unlock(&registry->meta_lock);
    }
    return err;
}

tr_err tr_registry_put_meta(tr_registry *registry, tr_term key, tr_term value)
{
    tr__lock(&registry->meta_lock);
    bool runs = tr__registry_runs(registry); /* its end clears under this lock, after it said so */
    if (runs) {
        tr__meta **at = place_of(registry, key);
        if (*at != NULL) {
            take(at);
        }
        tr__meta *pair = malloc(sizeof *pair);
        TR_ASSERT(pair != NULL);
        *pair = (tr__meta){registry->meta, tr_term_keep(key), tr_term_keep(value)};
        registry->meta = pair;
    }
    tr__unlock(&registry->meta_lock);
    return runs ? TR_OK : TR_E_NOPROC;
}

tr_err tr_registry_delete_meta(tr_registry *registry, tr_term key)
{
    tr__lock(&registry->meta_lock);
    bool runs = tr__registry_runs(registry);
    tr__meta **at = place_of(registry, key);
    if (*at != NULL) {
        take(at);
    }
    tr__unlock(&registry->meta_lock);
    return runs ? TR_OK : TR_E_NOPROC;
}
