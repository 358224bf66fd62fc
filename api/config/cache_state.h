/* cache_state: what the agent holds, and how a change gets into it. Inside the agent only (cache.h has its promises).
 *
 *     config_edit edit = {0};
 *     config_edit_add(self, &edit, parts, is_seen);      for each key that changes
 *     outcome = config_edit_commit(self, &edit);         durable, then in `rows`; the edit's memory is gone either way
 *
 * Invariants
 *  1. `rows` is sorted by key, one row a key, tombstones included; each row is memory of the agent.
 *  2. While an edit is open `rows` is as the store has it.
 */
#ifndef API_CONFIG_CACHE_STATE_H
#define API_CONFIG_CACHE_STATE_H

#include "api/config/cache.h"
#include "api/config/records.h"

typedef struct config_agent {
    config_row **rows;
    size_t count, room;
    size_t present; /* rows that are no tombstones */
    size_t bytes;   /* of all rows */
    uint64_t revision;
    uint64_t floor;
} config_agent;

/* Rows that shall replace those of the same keys, or come in. */
typedef struct config_edit {
    config_row **rows;
    size_t count, room;
    size_t bytes;
    int64_t present_change;
    int64_t bytes_change;
    int64_t at_ms;
    bool is_seen; /* some reader sees a difference: a new revision */
} config_edit;

/** The row of a key, also a tombstone, or NULL. */
config_row *config_agent_find(const config_agent *self, struct text key);

/** Its version as clients know it: 0 when there is none. */
static inline uint64_t config_version_seen(const config_row *row)
{
    return row == NULL || !config_row_present(row) ? 0 : row->version;
}

/** What a key has now, with texts of the row; a new key has nothing. */
config_parts config_agent_parts(const config_agent *self, struct text key);

/** Adds a row: with is_seen it gets the next version and the coming revision, which are written to *parts. */
void config_edit_add(const config_agent *self, config_edit *edit, config_parts *parts, bool is_seen);

/** CONFIG_DONE, also for an edit without rows; CONFIG_TOO_MANY_KEYS, CONFIG_TOO_LARGE, CONFIG_STORAGE_...: nothing
 *  changed.   Blocks: parks the agent.  A fate that is not known ends it. */
enum config_outcome config_edit_commit(config_agent *self, config_edit *edit);
/** Forgets the edit. */
void config_edit_drop(config_edit *edit);

/** A store function that only reads. Errors: CONFIG_STORAGE_FAILED.  Blocks: parks the agent. */
enum config_outcome config_read(enum store_status (*fn)(struct store_tx *, const void *, void *),
                                const void *arg, size_t arg_bytes, config_page *page);

/* The functions that run inside the agent. */
void config_agent_change(config_agent *self, const config_change *change, config_changed *out);
void config_agent_rollback(config_agent *self, const config_rollback *rollback, config_rolled_back *out);
void config_agent_reload(config_agent *self, const config_reload *reload, config_reloaded *out);

/** Brings the rows to what these layers say. *out (may be NULL) is told what changed. */
enum config_outcome config_agent_take_layers(config_agent *self, const config_row *layers, size_t bytes,
                                             bool keep_overrides, config_reloaded *out);

#endif
