/* app_env.c: the environment of applications: a list under a lock. Programs have some dozens of values, read them at
 * their start and copy what they read. */
#include <pthread.h>
#include <stdlib.h>

#include "runtime/otp/application.h"

typedef struct entry {
    struct entry *next;
    tr_term name;       /* atom */
    tr_term key, value; /* kept; a value of none: hidden until it is loaded again */
    tr_term persistent; /* kept: what loading must not replace, or none */
} entry;

static struct {
    pthread_mutex_t lock;
    entry *first;
} env = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- under the lock ---- */

static entry **find(tr_term name, tr_term key)
{
    entry **at = &env.first;
    while (*at != NULL && !(tr_same((*at)->name, name) && tr_term_equal((*at)->key, key))) {
        at = &(*at)->next;
    }
    return at;
}

static void erase(entry **at)
{
    entry *gone = *at;
    *at = gone->next;
    tr_term_free(gone->key);
    tr_term_free(gone->value);
    tr_term_free(gone->persistent);
    free(gone);
}

static entry *find_or_add(tr_term name, tr_term key)
{
    entry **at = find(name, key);
    if (*at == NULL) {
        *at = calloc(1, sizeof(entry));
        TR_ASSERT(*at != NULL);
        (*at)->name = name;
        (*at)->key = tr_term_keep(key);
    }
    return *at;
}

static void replace(tr_term *place, tr_term value)
{
    tr_term_free(*place);
    *place = tr_term_keep(value);
}

/* ---- anywhere ---- */

tr_term tr_application_get_env(tr_term name, tr_term key)
{
    pthread_mutex_lock(&env.lock);
    const entry *found = *find(name, key);
    tr_term value = found == NULL ? TR_TERM_NONE_VALUE : tr__to_scratch(found->value);
    pthread_mutex_unlock(&env.lock);
    return value;
}

static void set(tr_term name, tr_term key, tr_term value, bool persistent)
{
    pthread_mutex_lock(&env.lock);
    entry *e = find_or_add(name, key);
    replace(&e->value, value);
    if (persistent) {
        replace(&e->persistent, value);
    }
    pthread_mutex_unlock(&env.lock);
}

void tr_application_set_env(tr_term name, tr_term key, tr_term value)
{
    set(name, key, value, false);
}

void tr_application_set_env_persistent(tr_term name, tr_term key, tr_term value)
{
    set(name, key, value, true);
}

void tr_application_unset_env(tr_term name, tr_term key)
{
    pthread_mutex_lock(&env.lock);
    entry **at = find(name, key);
    if (*at != NULL) {
        erase(at);
    }
    pthread_mutex_unlock(&env.lock);
}

tr_term tr_application_get_all_env(tr_term name)
{
    size_t count = 0;
    pthread_mutex_lock(&env.lock);
    for (const entry *e = env.first; e != NULL; e = e->next) {
        count++;
    }
    tr_term *pairs = tr_scratch_alloc((count + 1) * 2 * sizeof(*pairs));
    size_t used = 0;
    for (const entry *e = env.first; e != NULL; e = e->next) {
        if (tr_same(e->name, name) && !tr_is_none(e->value)) {
            pairs[used++] = tr__to_scratch(e->key);
            pairs[used++] = tr__to_scratch(e->value);
        }
    }
    pthread_mutex_unlock(&env.lock);
    return tr_map_n(used / 2, pairs);
}

void tr__app_env_load(tr_term name, tr_term defaults)
{
    const tr_term *pairs = tr_term_items(defaults);
    pthread_mutex_lock(&env.lock);
    for (size_t i = 0; i < tr_term_count(defaults); i++) {
        replace(&find_or_add(name, pairs[2 * i])->value, pairs[2 * i + 1]);
    }
    for (entry *e = env.first; e != NULL; e = e->next) {
        if (tr_same(e->name, name) && !tr_is_none(e->persistent)) {
            replace(&e->value, e->persistent);
        }
    }
    pthread_mutex_unlock(&env.lock);
}

void tr__app_env_unload(tr_term name)
{
    pthread_mutex_lock(&env.lock);
    for (entry **at = &env.first; *at != NULL;) {
        entry *e = *at;
        if (tr_same(e->name, name) && tr_is_none(e->persistent)) {
            erase(at);
            continue;
        }
        if (tr_same(e->name, name)) {
            replace(&e->value, TR_TERM_NONE_VALUE);
        }
        at = &e->next;
    }
    pthread_mutex_unlock(&env.lock);
}

void tr__app_env_clear(void)
{
    pthread_mutex_lock(&env.lock);
    while (env.first != NULL) {
        erase(&env.first);
    }
    pthread_mutex_unlock(&env.lock);
}
