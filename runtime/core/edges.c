#include "runtime/core/edges.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/core/mem.h"

#define SMALL      8u
#define FIRST_ROOM 2u

typedef struct tr__edge_table edge_table;

static uint32_t hash_of(tr__edge_kind kind, uint64_t key)
{
    uint64_t h = (key ^ ((uint64_t)kind << 61)) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 32);
}

static uint32_t index_room(const edge_table *table)
{
    return table->room * 2;
}

/* The index cell that leads to item at, or the free cell where it belongs. */
static uint32_t *index_cell(const edge_table *table, tr__edge_kind kind, uint64_t key, uint32_t wanted)
{
    uint32_t mask = index_room(table) - 1;
    for (uint32_t i = hash_of(kind, key) & mask;; i = (i + 1) & mask) {
        uint32_t at = table->index[i];
        if (at == wanted) {
            return &table->index[i];
        }
        if (at == 0) {
            return &table->index[i];
        }
    }
}

/* owner: whose watcher it must be; 0: the key says it all. */
static bool is_edge(const tr__edge *edge, tr__edge_kind kind, uint64_t key, tr_pid owner)
{
    return edge->key == key && edge->kind == kind && (owner == TR_NO_PID || edge->other == owner);
}

static inline tr__edge *find(const tr__edges *edges, tr__edge_kind kind, uint64_t key, tr_pid owner)
{
    edge_table *table = edges->table;
    if (table == NULL) {
        return NULL;
    }
    if (table->index == NULL) {
        for (uint32_t i = table->count; i-- > 0;) {
            if (is_edge(&table->items[i], kind, key, owner)) {
                return &table->items[i];
            }
        }
        return NULL;
    }
    uint32_t mask = index_room(table) - 1;
    for (uint32_t i = hash_of(kind, key) & mask; table->index[i] != 0; i = (i + 1) & mask) {
        tr__edge *edge = &table->items[table->index[i] - 1];
        if (is_edge(edge, kind, key, owner)) {
            return edge;
        }
    }
    return NULL;
}

tr__edge *tr__edges_find(tr__edges *edges, tr__edge_kind kind, uint64_t key)
{
    return find(edges, kind, key, TR_NO_PID);
}

tr__edge *tr__edges_find_watcher(tr__edges *edges, tr_ref ref)
{
    return find(edges, TR__EDGE_WATCHER, ref.id, ref.owner);
}

static void *must(void *memory)
{
    TR_ASSERT(memory != NULL);
    return memory;
}

static void index_rebuild(edge_table *table)
{
    free(table->index);
    table->index = must(calloc(index_room(table), sizeof(uint32_t)));
    for (uint32_t i = 0; i < table->count; i++) {
        *index_cell(table, table->items[i].kind, table->items[i].key, 0) = i + 1;
    }
}

static size_t table_bytes(uint32_t room)
{
    return sizeof(edge_table) + room * sizeof(tr__edge);
}

/* Twice the room, with what there was. */
static edge_table *enlarge(tr__edges *edges)
{
    edge_table *old = edges->table;
    uint32_t room = old->room * 2;
    TR_ASSERT(room < 1u << 24);
    uint8_t mem_class;
    edge_table *table = tr__mem_alloc_surely(table_bytes(room), &mem_class);
    memcpy(table, old, table_bytes(old->room));
    tr__mem_free(old, table_bytes(old->room), (uint8_t)old->mem_class);
    table->room = room & 0xffffffu;
    table->mem_class = mem_class;
    edges->table = table;
    if (room > SMALL) {
        index_rebuild(table);
    }
    return table;
}

/* From the core's pools: a call takes and gives a table on both sides. */
static inline edge_table *grow(tr__edges *edges)
{
    if (edges->table != NULL) {
        return enlarge(edges);
    }
    uint8_t mem_class;
    edge_table *table = tr__mem_alloc_surely(table_bytes(FIRST_ROOM), &mem_class);
    table->count = 0;
    table->room = FIRST_ROOM;
    table->mem_class = mem_class;
    table->index = NULL;
    edges->table = table;
    return table;
}

tr__edge *tr__edges_add(tr__edges *edges, tr__edge_kind kind, uint64_t key, uint64_t other)
{
    edge_table *table = edges->table;
    if (table == NULL || table->count == table->room) {
        table = grow(edges);
    }
    tr__edge *edge = &table->items[table->count++];
    edge->key = key;
    edge->other = other;
    edge->extra = NULL;
    edge->kind = (uint8_t)kind;
    edge->alias = TR_ALIAS_NONE;
    if (table->index != NULL) {
        *index_cell(table, kind, key, 0) = table->count;
    }
    return edge;
}

/* Empties one cell and moves later ones of its probe run back, so that no tombstone is needed. */
static void index_delete(edge_table *table, uint32_t *cell)
{
    uint32_t mask = index_room(table) - 1;
    uint32_t hole = (uint32_t)(cell - table->index);
    table->index[hole] = 0;
    for (uint32_t i = (hole + 1) & mask; table->index[i] != 0; i = (i + 1) & mask) {
        tr__edge *edge = &table->items[table->index[i] - 1];
        uint32_t wants = hash_of(edge->kind, edge->key) & mask;
        if (((i - wants) & mask) >= ((i - hole) & mask)) {
            table->index[hole] = table->index[i];
            table->index[i] = 0;
            hole = i;
        }
    }
}

static inline void extra_free(tr__edge *edge)
{
    if (edge->extra != NULL) {
        tr_term_free(edge->extra->name);
        tr_term_free(edge->extra->tag);
        free(edge->extra);
    }
}

static void table_free(tr__edges *edges)
{
    edge_table *table = edges->table;
    free(table->index);
    tr__mem_free(table, table_bytes(table->room), (uint8_t)table->mem_class);
    edges->table = NULL;
}

void tr__edges_remove(tr__edges *edges, tr__edge *edge)
{
    edge_table *table = edges->table;
    extra_free(edge);
    uint32_t at = (uint32_t)(edge - table->items);
    uint32_t last = table->count - 1;
    if (last == 0) {
        table_free(edges);
        return;
    }
    if (table->index != NULL) {
        index_delete(table, index_cell(table, edge->kind, edge->key, at + 1));
        if (at != last) {
            tr__edge *moved = &table->items[last];
            *index_cell(table, moved->kind, moved->key, last + 1) = at + 1;
        }
    }
    table->items[at] = table->items[last];
    table->count = last;
}

void tr__edges_fini(tr__edges *edges)
{
    edge_table *table = edges->table;
    if (table == NULL) {
        return;
    }
    for (uint32_t i = 0; i < table->count; i++) {
        extra_free(&table->items[i]);
    }
    table_free(edges);
}

size_t tr__edges_count(const tr__edges *edges, tr__edge_kind kind)
{
    size_t count = 0;
    for (uint32_t i = 0; i < tr__edges_total(edges); i++) {
        count += tr__edges_at(edges, i)->kind == kind;
    }
    return count;
}
