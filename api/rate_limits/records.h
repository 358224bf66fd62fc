/* records: the tables of this room in the store, and every statement on them.
 *
 * Functions named rl_sql_* run on the store's commit thread inside a transaction (store_writer_run): argument and result are plain
 * memory. Those that only read answer STORE_REJECTED, so that nothing is committed for them. rl_read_* are for setup.
 *
 * Invariants
 *  R1  policy ids, override ids and versions (one row of numbers for policies and overrides) are never used again.
 *  R2  a key's level is named by its hash: it means something with the seed kept beside it only.
 *  R3  levels are written over each other; those that are full by now are taken out now and then.
 */
#ifndef API_RATE_LIMITS_RECORDS_H
#define API_RATE_LIMITS_RECORDS_H

#include "api/rate_limits/snapshot.h"
#include "api/rate_limits/table.h"
#include "server/store/store_reader.h"
#include "server/store/store_schema.h"
#include "server/store/store_tx.h"

#define RL_PAGE_POLICIES  64
#define RL_PAGE_OVERRIDES 32
#define RL_NEVER          INT64_MAX

extern const struct store_schema rl_schema;

typedef struct rl_key_name {
    uint32_t policy_id;
    uint32_t key_bytes;
    char key[RL_KEY_BYTES_MAX];
} rl_key_name;

typedef struct rl_override_row {
    rl_key_name name;
    uint64_t cookie;
    rl_policy policy;      /* its default_cost means nothing */
    int64_t expires_at_ms; /* wall clock; RL_NEVER: stays */
    uint64_t version;      /* of the last write; 0: not written yet */
} rl_override_row;

/* --- policies --- */
/* arg: rl_policy_entry with name and policy; result: the same with id and version. */
enum store_status rl_sql_put_policy(struct store_tx *tx, const void *arg, void *result);
/* arg: uint32_t policy id; result: none. Its overrides go too. */
enum store_status rl_sql_drop_policy(struct store_tx *tx, const void *arg, void *result);

typedef struct rl_policy_page {
    uint32_t count;
    rl_policy_entry entries[RL_PAGE_POLICIES];
} rl_policy_page;
/* arg: uint32_t id after which to begin; result: rl_policy_page. Reads only. */
enum store_status rl_sql_list_policies(struct store_tx *tx, const void *arg, void *result);

/* --- overrides --- */
typedef struct rl_override_written {
    uint64_t cookie;
    uint64_t version; /* of a put */
    bool existed;
} rl_override_written;
/* arg: rl_override_row; result: rl_override_written. */
enum store_status rl_sql_put_override(struct store_tx *tx, const void *arg, void *result);
/* arg: rl_key_name; result: rl_override_written. */
enum store_status rl_sql_drop_override(struct store_tx *tx, const void *arg, void *result);

typedef struct rl_override_found {
    bool found;
    rl_override_row row;
} rl_override_found;
/* arg: rl_key_name; result: rl_override_found. Reads only. */
enum store_status rl_sql_get_override(struct store_tx *tx, const void *arg, void *result);

typedef struct rl_expired_page {
    uint32_t count;
    int64_t next_at_ms; /* RL_NEVER: none; counts those of this page as well */
    rl_key_name names[RL_PAGE_OVERRIDES];
} rl_expired_page;
/* arg: int64_t wall time; result: rl_expired_page. Reads only. */
enum store_status rl_sql_expired(struct store_tx *tx, const void *arg, void *result);

/* --- levels --- */
#define RL_LEVELS_MAX 4096
typedef struct rl_levels_arg {
    int64_t saved_at_ms;
    uint32_t count;
    rl_record records[]; /* up to RL_LEVELS_MAX */
} rl_levels_arg;
enum store_status rl_sql_put_levels(struct store_tx *tx, const void *arg, void *result);
/* arg: rl_hash. */
enum store_status rl_sql_forget_level(struct store_tx *tx, const void *arg, void *result);
/* arg: int64_t wall time: takes out some that are full by then. result: int64_t how many. */
enum store_status rl_sql_clean_levels(struct store_tx *tx, const void *arg, void *result);

/* --- setup --- */
/** Makes the seed and the default policy where they are missing. arg: rl_seed to use when there is none. */
enum store_status rl_sql_first_rows(struct store_tx *tx, const void *arg, void *result);
enum store_status rl_read_seed(struct store_reader *reader, rl_seed *seed, bool *found);
/** Each calls fn once a row; fn returns 0 to go on. Rows that make no sense are left out. */
enum store_status rl_read_policies(struct store_reader *reader,
                                   int (*fn)(void *ctx, const rl_policy_entry *entry), void *ctx);
enum store_status rl_read_overrides(struct store_reader *reader,
                                    int (*fn)(void *ctx, const rl_override_row *row), void *ctx);
enum store_status rl_read_levels(struct store_reader *reader,
                                 int (*fn)(void *ctx, const rl_record *record, int64_t saved_at_ms),
                                 void *ctx);

#endif
