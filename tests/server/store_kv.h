/* A small user of the store for its tests: keys with values and versions, and a journal that gets a row for
 * each change, so that half a write would show. Also: data directories that come and go.
 *
 * 1. A kv_put is submitted and waited for by one thread; its memory is the caller's.
 * 2. kv_hold keeps the commit thread inside a write, which is rejected in the end, until kv_release: what is
 *    submitted meanwhile is in the same group.
 * 3. For every key: the value of version v is what the journal says about (key, v), and versions have no
 *    holes
 *    (kv_is_consistent).
 */
#ifndef TESTS_SERVER_STORE_KV_H
#define TESTS_SERVER_STORE_KV_H

#include "server/store/store.h"
#include "server/store/store_reader.h"

#include <semaphore.h>

extern const struct store_schema kv_schema;

struct kv_put {
    struct store_write write;
    char key[32];
    char value[64];
    int64_t expect;       /* version the key must have, -1 = any */
    size_t padding_bytes; /* of the row, to use up space */
    bool fail_half_way;   /* violate a constraint after the first change */
    uint32_t applied;     /* how often apply ran */
    int64_t version;      /* after the change */
    enum store_status status;
    sem_t done;
};

/* A new directory (removed by kv_dir_remove); its name is in static memory of each thread. */
const char *kv_dir_make(void);
void kv_dir_remove(const char *path);

/* Opens with the kv schema; options may be NULL. Aborts the program when that fails. */
struct store *kv_open(const char *path, const struct store_options *options);

void kv_put_init(struct kv_put *put, const char *key, const char *value);
void kv_put_start(struct store *store, struct kv_put *put);
/* Waits for a started put and frees what init took. */
enum store_status kv_put_wait(struct kv_put *put);
/* init, start and wait in one. */
enum store_status kv_set(struct store *store, const char *key, const char *value);

struct kv_hold {
    struct store_write write;
    bool held; /* apply may run again, it holds only once */
    sem_t entered;
    sem_t release;
    sem_t done;
};
void kv_hold(struct store *store, struct kv_hold *hold);
void kv_release(struct kv_hold *hold);

/* Reads a value; "" when the key is not there. */
const char *kv_get(struct store *store, const char *key);
int64_t kv_count(struct store *store);
bool kv_is_consistent(struct store *store);

#endif
