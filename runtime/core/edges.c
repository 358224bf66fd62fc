#include "runtime/core/edges.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/core/mem.h"

#define SMALL 8u

static uint32_t hash_of(tr__edge_kind kind, uint64_t key)
{
    uint64_t h = (key ^ ((uint64_t)kind << 61)) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 32);
}

static uint32_t index_room(const tr__edges *edges)
{
    return edges->room * 2;
}

/* The index cell that leads to item at, or the free cell where it belongs. */
static uint32_t *index_cell(const tr__edges *edges, tr__edge_kind kind, uint64_t key, uint32_t wanted)
{
    uint32_t mask = index_room(edges) - 1;
    for (uint32_t i = hash_of(kind, key) & mask;; i = (i + 1) & mask) {
        uint32_t at = edges->index[i];
        if (at == wanted) {
            return &edges->index[i];
        }
        if (at == 0) {
            return &edges->index[i];
        }
    }
}

/* owner: whose watcher it must be; 0: the key says it all. */
static bool is_edge(const tr__edge *edge, tr__edge_kind kind, uint64_t key, tr_pid owner)
{
    return edge->key == key && edge->kind == kind && (owner == TR_NO_PID || edge->other == owner);
}

static tr__edge *find(tr__edges *edges, tr__edge_kind kind, uint64_t key, tr_pid owner)
{
    if (edges->index == NULL) {
        for (uint32_t i = edges->count; i-- > 0;) {
            if (is_edge(&edges->items[i], kind, key, owner)) {
                return &edges->items[i];
            }
        }
        return NULL;
    }
    uint32_t mask = index_room(edges) - 1;
    for (uint32_t i = hash_of(kind, key) & mask; edges->index[i] != 0; i = (i + 1) & mask) {
        tr__edge *edge = &edges->items[edges->index[i] - 1];
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

static void index_rebuild(tr__edges *edges)
{
    free(edges->index);
    edges->index = must(calloc(index_room(edges), sizeof(uint32_t)));
    for (uint32_t i = 0; i < edges->count; i++) {
        *index_cell(edges, edges->items[i].kind, edges->items[i].key, 0) = i + 1;
    }
}

static void grow(tr__edges *edges)
{
    edges->room = edges->room == 0 ? 2 : edges->room * 2;
    edges->items = must(realloc(edges->items, edges->room * sizeof(tr__edge)));
    if (edges->room > SMALL) {
        index_rebuild(edges);
    }
}

tr__edge *tr__edges_add(tr__edges *edges, tr__edge_kind kind, uint64_t key, uint64_t other)
{
    if (edges->count == edges->room) {
        grow(edges);
    }
    tr__edge *edge = &edges->items[edges->count++];
    *edge = (tr__edge){.key = key, .other = other, .kind = (uint8_t)kind};
    if (edges->index != NULL) {
        *index_cell(edges, kind, key, 0) = edges->count;
    }
    return edge;
}

/* Empties one cell and moves later ones of its probe run back, so that no tombstone is needed. */
static void index_delete(tr__edges *edges, uint32_t *cell)
{
    uint32_t mask = index_room(edges) - 1;
    uint32_t hole = (uint32_t)(cell - edges->index);
    edges->index[hole] = 0;
    for (uint32_t i = (hole + 1) & mask; edges->index[i] != 0; i = (i + 1) & mask) {
        tr__edge *edge = &edges->items[edges->index[i] - 1];
        uint32_t wants = hash_of(edge->kind, edge->key) & mask;
        if (((i - wants) & mask) >= ((i - hole) & mask)) {
            edges->index[hole] = edges->index[i];
            edges->index[i] = 0;
            hole = i;
        }
    }
}

static void extra_free(tr__edge *edge)
{
    if (edge->extra != NULL) {
        tr_term_free(edge->extra->name);
        tr_term_free(edge->extra->tag);
        free(edge->extra);
    }
}

void tr__edges_remove(tr__edges *edges, tr__edge *edge)
{
    extra_free(edge);
    uint32_t at = (uint32_t)(edge - edges->items);
    uint32_t last = edges->count - 1;
    if (edges->index != NULL) {
        index_delete(edges, index_cell(edges, edge->kind, edge->key, at + 1));
        if (at != last) {
            tr__edge *moved = &edges->items[last];
            *index_cell(edges, moved->kind, moved->key, last + 1) = at + 1;
        }
    }
    edges->items[at] = edges->items[last];
    edges->count = last;
    if (last == 0) {
        tr__edges_fini(edges);
    }
}

void tr__edges_fini(tr__edges *edges)
{
    for (uint32_t i = 0; i < edges->count; i++) {
        extra_free(&edges->items[i]);
    }
    free(edges->items);
    free(edges->index);
    memset(edges, 0, sizeof(*edges));
}

size_t tr__edges_count(const tr__edges *edges, tr__edge_kind kind)
{
    size_t count = 0;
    for (uint32_t i = 0; i < edges->count; i++) {
        count += edges->items[i].kind == kind;
    }
    return count;
}
