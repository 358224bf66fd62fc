/* The children of a supervisor: a list in start order and two hash tables, so that a start and an end cost
 * O(1). */
#include "runtime/otp/supervisor.h"
#include "runtime/sys/atomic.h"

/* ---- the tables
 * -------------------------------------------------------------------------------------------------- */

#define MAP_ROOM_MIN 8u

/* How the key of a table is taken from a child. */
typedef enum child_key { BY_PID, BY_ID } child_key;

static uint64_t hash_pid(tr_pid pid)
{
    uint64_t h = (pid ^ (pid >> 32)) * 0x9e3779b97f4a7c15u;
    return h ^ (h >> 29);
}

static uint64_t hash_child(child_key key, const tr__child *child)
{
    return key == BY_PID ? hash_pid(child->pid) : tr_term_hash(child->spec->id);
}

static void map_place(tr__child_map *map, child_key key, tr__child *child)
{
    uint32_t mask = map->room - 1;
    uint32_t at = (uint32_t)hash_child(key, child) & mask;
    while (map->slots[at] != NULL) {
        at = (at + 1) & mask;
    }
    map->slots[at] = child;
}

static void map_resize(tr__child_map *map, child_key key, uint32_t room)
{
    tr__child **old = map->slots;
    uint32_t old_room = map->room;
    map->slots = tr_alloc((size_t)room * sizeof(tr__child *));
    map->room = room;
    for (uint32_t i = 0; i < old_room; i++) {
        if (old[i] != NULL) {
            map_place(map, key, old[i]);
        }
    }
    if (old != NULL) {
        tr_free(old);
    }
}

static void map_put(tr__child_map *map, child_key key, tr__child *child)
{
    if ((map->count + 1) * 2 > map->room) {
        map_resize(map, key, map->room == 0 ? MAP_ROOM_MIN : map->room * 2);
    }
    map_place(map, key, child);
    map->count++;
}

/* Closes the hole at `hole` by moving back whatever was displaced over it. */
static void map_close(tr__child_map *map, child_key key, uint32_t hole)
{
    uint32_t mask = map->room - 1;
    for (uint32_t at = (hole + 1) & mask; map->slots[at] != NULL; at = (at + 1) & mask) {
        uint32_t home = (uint32_t)hash_child(key, map->slots[at]) & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            map->slots[hole] = map->slots[at];
            hole = at;
        }
    }
    map->slots[hole] = NULL;
}

static void map_remove(tr__child_map *map, child_key key, tr__child *child)
{
    uint32_t mask = map->room - 1;
    uint32_t at = (uint32_t)hash_child(key, child) & mask;
    while (map->slots[at] != child) {
        TR_ASSERT(map->slots[at] != NULL);
        at = (at + 1) & mask;
    }
    map_close(map, key, at);
    map->count--;
    if (map->room > MAP_ROOM_MIN && map->count * 8 < map->room) {
        map_resize(map, key, map->room / 2);
    }
}

tr__child *tr__child_by_pid(const tr__sup *sup, tr_pid pid)
{
    const tr__child_map *map = &sup->children.by_pid;
    if (map->count == 0) {
        return NULL;
    }
    uint32_t mask = map->room - 1;
    for (uint32_t at = (uint32_t)hash_pid(pid) & mask; map->slots[at] != NULL; at = (at + 1) & mask) {
        if (map->slots[at]->pid == pid) {
            return map->slots[at];
        }
    }
    return NULL;
}

tr__child *tr__child_by_id(const tr__sup *sup, tr_term id)
{
    const tr__child_map *map = &sup->children.by_id;
    if (map->count == 0) {
        return NULL;
    }
    uint32_t mask = map->room - 1;
    for (uint32_t at = (uint32_t)tr_term_hash(id) & mask; map->slots[at] != NULL; at = (at + 1) & mask) {
        if (tr_term_equal(map->slots[at]->spec->id, id)) {
            return map->slots[at];
        }
    }
    return NULL;
}

/* ---- records
 * ------------------------------------------------------------------------------------------------------ */

tr__child *tr__child_new(tr_child_spec *spec)
{
    tr__child *child = tr_alloc(sizeof(*child));
    child->spec = spec;
    child->state = TR_CHILD_STOPPED;
    return child;
}

void tr__child_list(tr__sup *sup, tr__child *child)
{
    tr__children *children = &sup->children;
    child->listed = true;
    child->prev = children->last;
    child->next = NULL;
    *(children->last == NULL ? &children->first : &children->last->next) = child;
    children->last = child;
    children->count++;
    if (!tr__sup_is_dynamic(sup)) {
        map_put(&children->by_id, BY_ID, child);
    }
}

static void unlist(tr__sup *sup, tr__child *child)
{
    tr__children *children = &sup->children;
    *(child->prev == NULL ? &children->first : &child->prev->next) = child->next;
    *(child->next == NULL ? &children->last : &child->next->prev) = child->prev;
    children->count--;
    if (!tr__sup_is_dynamic(sup)) {
        map_remove(&children->by_id, BY_ID, child);
    }
}

void tr__child_remove(tr__sup *sup, tr__child *child)
{
    tr__child_down(sup, child, TR_CHILD_STOPPED);
    if (child->pid != TR_NO_PID) {
        map_remove(&sup->children.by_pid, BY_PID, child);
    }
    if (child->listed) {
        unlist(sup, child);
    }
    if (child->arg_bytes != 0) {
        tr_free(child->arg);
    }
    if (child->spec != sup->dynamic) {
        tr__spec_free(child->spec);
    }
    tr_free(child);
}

/* The slot may have a new owner already when an old supervisor ends late: only one's own pid is taken out. */
static void slot_clear(tr_pid *slot, tr_pid pid)
{
    if (slot != NULL) {
        (void)tr__cas_acq_rel(slot, &pid, TR_NO_PID);
    }
}

void tr__child_up(tr__sup *sup, tr__child *child, tr_pid pid)
{
    if (child->pid != TR_NO_PID) {
        map_remove(&sup->children.by_pid, BY_PID, child);
    }
    child->pid = pid;
    child->state = TR_CHILD_RUNNING;
    child->ended = false;
    child->is_down = false;
    if (child->was_started) {
        child->restarts++;
    }
    child->was_started = true;
    sup->children.active++;
    map_put(&sup->children.by_pid, BY_PID, child);
    if (child->spec->slot != NULL) {
        tr__store_release(child->spec->slot, pid);
    }
}

void tr__child_down(tr__sup *sup, tr__child *child, tr_child_state state)
{
    if (child->state == TR_CHILD_RUNNING) {
        sup->children.active--;
        slot_clear(child->spec->slot, child->pid);
        if (!tr__sup_is_dynamic(sup)) {
            map_remove(&sup->children.by_pid, BY_PID, child);
            child->pid = TR_NO_PID;
        }
    }
    child->state = (uint8_t)state;
}

tr_term tr__child_id(const tr__sup *sup, const tr__child *child)
{
    return tr__sup_is_dynamic(sup) ? TR_ATOM(UNDEFINED) : child->spec->id;
}
