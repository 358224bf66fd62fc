#include "api/config/changes.h"

#include <pthread.h>
#include <stdlib.h>

static struct {
    pthread_mutex_t lock;
    config_revision *first, *last;
    size_t bytes;
    uint64_t base;
    uint64_t newest;
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER};

void config_revision_drop(config_revision *revision)
{
    /* acq_rel: what other readers read comes before the memory is given back */
    if (revision != NULL && __atomic_sub_fetch(&revision->references, 1, __ATOMIC_ACQ_REL) == 0) {
        free(revision);
    }
}

static void forget_first(void)
{
    config_revision *first = kept.first;

    kept.first = first->next;
    kept.last = kept.first == NULL ? NULL : kept.last;
    kept.bytes -= first->bytes;
    kept.base = first->revision;
    config_revision_drop(first);
}

/* NULL when it is too large, or memory is short: then watchers have to read the map anew. */
static config_revision *revision_new(uint64_t number, config_row *const *rows, size_t count)
{
    size_t bytes = 0;

    for (size_t i = 0; i < count; i++) {
        bytes += rows[i]->is_new ? rows[i]->bytes : 0;
    }
    config_revision *revision =
        bytes > CONFIG_REVISION_BYTES_MAX ? NULL : malloc(sizeof(config_revision) + bytes);
    if (revision == NULL) {
        return NULL;
    }
    *revision = (config_revision){.revision = number, .references = 1, .bytes = bytes};
    char *at = (char *)revision->rows;
    for (size_t i = 0; i < count; i++) {
        if (rows[i]->is_new) {
            memcpy(at, rows[i], rows[i]->bytes);
            at += rows[i]->bytes;
            revision->count++;
        }
    }
    return revision;
}

static void forget_all(uint64_t base)
{
    while (kept.first != NULL) {
        forget_first();
    }
    kept.base = kept.newest = base;
}

void config_changes_add(uint64_t number, config_row *const *rows, size_t count)
{
    config_revision *revision = revision_new(number, rows, count);

    pthread_mutex_lock(&kept.lock);
    if (revision == NULL || number != kept.newest + 1) {
        forget_all(revision == NULL ? number : number - 1);
    }
    if (revision != NULL) {
        *(kept.last == NULL ? &kept.first : &kept.last->next) = revision;
        kept.last = revision;
        kept.bytes += revision->bytes;
        kept.newest = number;
    }
    while (kept.first != NULL && kept.bytes > CONFIG_CHANGES_BYTES_MAX) {
        forget_first();
    }
    pthread_mutex_unlock(&kept.lock);
}

void config_changes_reset(uint64_t base)
{
    pthread_mutex_lock(&kept.lock);
    forget_all(base);
    pthread_mutex_unlock(&kept.lock);
}

uint64_t config_changes_newest(void)
{
    pthread_mutex_lock(&kept.lock);
    uint64_t newest = kept.newest;
    pthread_mutex_unlock(&kept.lock);
    return newest;
}

/* Under the lock. Most who ask have seen all but the last. */
static config_revision *behind(uint64_t since)
{
    if (kept.last != NULL && kept.last->revision == since + 1) {
        return kept.last;
    }
    config_revision *at = kept.first;
    while (at != NULL && at->revision <= since) {
        at = at->next;
    }
    return at;
}

enum config_after config_changes_after(uint64_t since, uint64_t until, config_revision **out)
{
    enum config_after after = CONFIG_AFTER_NONE;

    *out = NULL;
    if (since >= until) {
        return since == until ? CONFIG_AFTER_NONE : CONFIG_AFTER_UNKNOWN;
    }
    pthread_mutex_lock(&kept.lock);
    config_revision *found = since < kept.base ? NULL : behind(since);
    if (since < kept.base) {
        after = CONFIG_AFTER_COMPACTED;
    } else if (found != NULL && found->revision <= until) {
        __atomic_add_fetch(&found->references, 1, __ATOMIC_RELAXED);
        *out = found;
        after = CONFIG_AFTER_FOUND;
    }
    pthread_mutex_unlock(&kept.lock);
    return after;
}
