#include "server/json_arena.h"

#include <stdlib.h>

#define CHUNK_BYTES_MIN ((size_t)4096)
#define CHUNK_BYTES_MAX ((size_t)262144)

struct json_chunk {
    struct json_chunk *older;
    size_t bytes;
    uint64_t memory[];
};

static char *align_up(char *at)
{
    return at + (-(uintptr_t)at & 7);
}

static void open_first(struct json_arena *arena)
{
    arena->at = NULL;
    arena->end = NULL;
    if (arena->first != NULL && arena->first_bytes >= 16) {
        arena->at = align_up(arena->first);
        arena->end = arena->first + arena->first_bytes;
    }
}

void json_arena_init(struct json_arena *arena, void *buffer, size_t buffer_bytes, size_t bytes_max)
{
    *arena = (struct json_arena){.first = buffer, .first_bytes = buffer_bytes, .bytes_max = bytes_max};
    open_first(arena);
}

void json_arena_reset(struct json_arena *arena)
{
    while (arena->chunks != NULL) {
        struct json_chunk *older = arena->chunks->older;
        free(arena->chunks);
        arena->chunks = older;
    }
    arena->chunk_bytes = 0;
    open_first(arena);
}

void json_arena_fini(struct json_arena *arena)
{
    json_arena_reset(arena);
    arena->at = NULL;
    arena->end = NULL;
}

void *json_arena_grow(struct json_arena *arena, size_t bytes)
{
    size_t rounded = (bytes + 7) & ~(size_t)7;
    if (rounded < bytes || rounded > arena->bytes_max || arena->chunk_bytes > arena->bytes_max - rounded) {
        return NULL;
    }
    /* Chunks double, so that a big document costs few of them; the cap keeps the waste of the last one
     * small. */
    size_t size = arena->chunk_bytes < CHUNK_BYTES_MIN ? CHUNK_BYTES_MIN : arena->chunk_bytes;
    size = size > CHUNK_BYTES_MAX ? CHUNK_BYTES_MAX : size;
    size = size > arena->bytes_max - arena->chunk_bytes ? arena->bytes_max - arena->chunk_bytes : size;
    size = (size < rounded ? rounded : size) & ~(size_t)7;
    struct json_chunk *chunk = malloc(sizeof(*chunk) + size);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->older = arena->chunks;
    chunk->bytes = size;
    arena->chunks = chunk;
    arena->chunk_bytes += size;
    arena->at = (char *)chunk->memory + rounded;
    arena->end = (char *)chunk->memory + size;
    return chunk->memory;
}

bool json_arena_owns(const struct json_arena *arena, const void *pointer)
{
    const char *p = pointer;
    if (arena->first != NULL && p >= arena->first && p < arena->first + arena->first_bytes) {
        return true;
    }
    for (const struct json_chunk *chunk = arena->chunks; chunk != NULL; chunk = chunk->older) {
        if (p >= (const char *)chunk->memory && p < (const char *)chunk->memory + chunk->bytes) {
            return true;
        }
    }
    return false;
}
