/* edges.h: the links, monitors and aliases of one process: a small table that grows into a hash.
 *
 * One entry per relation, found by (kind, key): LINK by the other's pid; MONITOR (ours) and ALIAS by our
 * reference id; WATCHER (someone monitors us) by their reference: the id and whose it is, for ports number
 * their references themselves, so two ports may use one number.
 * Invariants: 1. only the owner touches it; 2. up to 8 entries are scanned, more are hashed; 3. removal moves
 * the last entry into the hole, so pointers to entries die with any change; 4. iteration order depends on the
 * history only, never on addresses.
 */
#ifndef TROUPE_CORE_EDGES_H
#define TROUPE_CORE_EDGES_H

#include <troupe/process.h>

typedef enum tr__edge_kind {
    TR__EDGE_LINK,
    TR__EDGE_MONITOR,
    TR__EDGE_WATCHER,
    TR__EDGE_ALIAS
} tr__edge_kind;

/* Monitors with a name or a tag keep them here (kept terms). */
typedef struct tr__edge_extra {
    tr_term name, tag;
} tr__edge_extra;

typedef struct tr__edge {
    uint64_t key;
    uint64_t other; /* MONITOR: target pid; WATCHER: owner pid; LINK: id of an unlink under way, or 0 */
    tr__edge_extra *extra;
    uint8_t kind;
    uint8_t alias; /* MONITOR, ALIAS: tr_alias_kind */
} tr__edge;

struct tr__edge_table {
    uint32_t count;
    uint32_t room : 24;
    uint32_t mem_class : 8;
    uint32_t *index; /* NULL while small; positions + 1, linear probing */
    tr__edge items[];
};

/* One word in every process; most have no edge. */
typedef struct tr__edges {
    struct tr__edge_table *table; /* NULL: none */
} tr__edges;

/** How many there are; the one at a position below that. */
static inline uint32_t tr__edges_total(const tr__edges *edges)
{
    return edges->table == NULL ? 0 : edges->table->count;
}
static inline const tr__edge *tr__edges_at(const tr__edges *edges, uint32_t at)
{
    return &edges->table->items[at];
}

tr__edge *tr__edges_find(tr__edges *edges, tr__edge_kind kind, uint64_t key);
tr__edge *tr__edges_find_watcher(tr__edges *edges, tr_ref ref);
/** Adds an entry that is not there yet. */
tr__edge *tr__edges_add(tr__edges *edges, tr__edge_kind kind, uint64_t key, uint64_t other);
/** Removes an entry and frees its extra. */
void tr__edges_remove(tr__edges *edges, tr__edge *edge);
void tr__edges_fini(tr__edges *edges);
size_t tr__edges_count(const tr__edges *edges, tr__edge_kind kind);

#endif
