/* atom.c: an append-only hash table, read without a lock, written under one. */
#include "runtime/core/atom.h"

#include "runtime/sys/atomic.h"
#include "runtime/sys/lock.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BITS  12u
#define CHUNK_SLOTS (1u << CHUNK_BITS)
#define CHUNKS      (TR__ATOM_MAX / CHUNK_SLOTS)
#define FIRST_SLOTS 1024u
#define TEXT_BLOCK  ((size_t)64 * 1024)

typedef struct entry {
    uint32_t hash;
    uint32_t length;
    char text[];
} entry;

/* index + 1 in each used slot; linear probing; at most half full. */
typedef struct table {
    struct table *outgrown; /* kept for readers that are still in it */
    uint32_t mask;
    uint32_t slots[];
} table;

static struct {
    pthread_mutex_t lock;
    table *table; /* NULL until the first look-up */
    uint32_t count;
    entry **chunks[CHUNKS];
    char *block; /* where the next texts go */
    size_t block_left;
} atoms = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const char *const known[] = {
#define KNOWN_TEXT(name, text) text,
    TR_ATOM_MAP(KNOWN_TEXT)
#undef KNOWN_TEXT
};

static uint32_t hash_text(const char *text, size_t length)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (uint8_t)text[i]) * 16777619u;
    }
    return hash ^ (hash >> 15);
}

static const entry *entry_at(uint32_t index)
{
    entry **chunk = tr__load_acquire(&atoms.chunks[index >> CHUNK_BITS]);
    return tr__load_acquire(&chunk[index & (CHUNK_SLOTS - 1)]);
}

/* Index + 1 of this text, or 0. */
static uint32_t find(const table *from, uint32_t hash, const char *text, size_t length)
{
    if (from == NULL) {
        return 0;
    }
    for (uint32_t at = hash & from->mask;; at = (at + 1) & from->mask) {
        uint32_t found = tr__load_acquire(&from->slots[at]);
        if (found == 0) {
            return 0;
        }
        const entry *other = entry_at(found - 1);
        if (other->hash == hash && other->length == length && memcmp(other->text, text, length) == 0) {
            return found;
        }
    }
}

/* ---- writing: all below under the lock
 * --------------------------------------------------------------------------- */
static void *must(void *memory)
{
    TR_ASSERT(memory != NULL);
    return memory;
}

static entry *new_entry(uint32_t hash, const char *text, size_t length)
{
    size_t bytes = (sizeof(entry) + length + 1 + 7) & ~(size_t)7;
    if (bytes > atoms.block_left) {
        atoms.block = must(malloc(TEXT_BLOCK));
        atoms.block_left = TEXT_BLOCK;
    }
    entry *made = (entry *)(void *)atoms.block;
    atoms.block += bytes;
    atoms.block_left -= bytes;
    made->hash = hash;
    made->length = (uint32_t)length;
    memcpy(made->text, text, length);
    made->text[length] = '\0';
    return made;
}

static void put_slot(table *into, uint32_t hash, uint32_t index)
{
    uint32_t at = hash & into->mask;
    while (into->slots[at] != 0) {
        at = (at + 1) & into->mask;
    }
    tr__store_release(&into->slots[at], index + 1);
}

static void grow(void)
{
    table *old = atoms.table;
    uint32_t slots = old == NULL ? FIRST_SLOTS : 2 * (old->mask + 1);
    table *larger = must(calloc(1, sizeof(table) + slots * sizeof(uint32_t)));
    larger->outgrown = old;
    larger->mask = slots - 1;
    for (uint32_t i = 0; i < atoms.count; i++) {
        put_slot(larger, entry_at(i)->hash, i);
    }
    tr__store_release(&atoms.table, larger);
}

static uint32_t insert(uint32_t hash, const char *text, size_t length)
{
    TR_ASSERT(atoms.count < TR__ATOM_MAX);
    uint32_t index = atoms.count;
    entry **chunk = atoms.chunks[index >> CHUNK_BITS];
    if (chunk == NULL) {
        chunk = must(calloc(CHUNK_SLOTS, sizeof(entry *)));
        tr__store_release(&atoms.chunks[index >> CHUNK_BITS], chunk);
    }
    tr__store_release(&chunk[index & (CHUNK_SLOTS - 1)], new_entry(hash, text, length));
    if (2 * (index + 1) > atoms.table->mask) {
        grow();
    }
    tr__store_relaxed(&atoms.count, index + 1);
    put_slot(atoms.table, hash, index);
    return index + 1;
}

static void insert_known(void)
{
    grow();
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        size_t length = strlen(known[i]);
        insert(hash_text(known[i], length), known[i], length);
    }
}

static uint32_t find_or_insert(uint32_t hash, const char *text, size_t length)
{
    tr__lock(&atoms.lock);
    if (atoms.table == NULL) {
        insert_known();
    }
    uint32_t found = find(atoms.table, hash, text, length);
    if (found == 0) {
        found = insert(hash, text, length);
    }
    tr__unlock(&atoms.lock);
    return found;
}

/* ---- the interface
 * ----------------------------------------------------------------------------------------------- */
static tr_term atom_at(uint32_t index)
{
    return (tr_term){((uint64_t)index << TR__TAG_BITS) | TR__TAG_ATOM};
}

tr_term tr_atom(const char *text)
{
    return tr_atom_n(text, strlen(text));
}

tr_term tr_atom_n(const char *text, size_t length)
{
    TR_CHECK(length <= TR__ATOM_BYTES_MAX && memchr(text, '\0', length) == NULL);
    uint32_t hash = hash_text(text, length);
    uint32_t found = find(tr__load_acquire(&atoms.table), hash, text, length);
    if (found == 0) {
        found = find_or_insert(hash, text, length);
    }
    return atom_at(found - 1);
}

bool tr_atom_find(const char *text, size_t length, tr_term *atom)
{
    if (length > TR__ATOM_BYTES_MAX) {
        return false;
    }
    uint32_t hash = hash_text(text, length);
    table *seen = tr__load_acquire(&atoms.table);
    if (seen == NULL) {
        (void)find_or_insert(hash_text(known[0], strlen(known[0])), known[0], strlen(known[0]));
        seen = tr__load_acquire(&atoms.table);
    }
    uint32_t found = find(seen, hash, text, length);
    if (found == 0) {
        return false;
    }
    *atom = atom_at(found - 1);
    return true;
}

const char *tr__atom_text(uint32_t index, size_t *length)
{
    if (index < TR__ATOM_KNOWN) {
        if (length != NULL) {
            *length = strlen(known[index]);
        }
        return known[index];
    }
    const entry *found = entry_at(index);
    if (length != NULL) {
        *length = found->length;
    }
    return found->text;
}

uint32_t tr__atom_count(void)
{
    uint32_t count = tr__load_relaxed(&atoms.count);
    return count < TR__ATOM_KNOWN ? TR__ATOM_KNOWN : count;
}
