/* json_arena: a bump arena for one request's JSON; everything in it goes at once.
 *
 * Invariants
 *   1. Memory handed out is aligned to 8 bytes and stays valid until reset or fini; nothing is freed singly.
 *   2. The arena never holds more than `bytes_max` bytes of chunks; over it, json_arena_take() gives NULL.
 *   3. One arena belongs to one request (or process) at a time; there is no locking.
 *
 * Life cycle: init (with a first buffer of the caller, may be NULL) -> take* -> reset -> take* -> fini.
 */
#ifndef TROUPE_SERVER_JSON_ARENA_H
#define TROUPE_SERVER_JSON_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_chunk;

struct json_arena {
    char *at;
    char *end;
    struct json_chunk *chunks; /* newest first */
    size_t chunk_bytes;        /* sum over chunks */
    size_t bytes_max;
    char *first; /* the caller's buffer */
    size_t first_bytes;
};

/** Prepares an arena on the caller's buffer. Borrows: buffer, until fini. Blocks: no. */
void json_arena_init(struct json_arena *arena, void *buffer, size_t buffer_bytes, size_t bytes_max);

/** Forgets everything taken and gives all chunks back. */
void json_arena_reset(struct json_arena *arena);

/** Gives all chunks back; the caller's buffer stays the caller's. */
void json_arena_fini(struct json_arena *arena);

/** Slow path of json_arena_take(): opens a new chunk. */
void *json_arena_grow(struct json_arena *arena, size_t bytes);

/** Whether a pointer was handed out by this arena. Cost: O(chunks). */
bool json_arena_owns(const struct json_arena *arena, const void *pointer);

/** Uninitialised memory, or NULL over bytes_max or when malloc fails. Cost: O(1). */
static inline void *json_arena_take(struct json_arena *arena, size_t bytes)
{
    size_t rounded = (bytes + 7) & ~(size_t)7;
    if (rounded < bytes || rounded > (size_t)(arena->end - arena->at)) {
        return json_arena_grow(arena, bytes);
    }
    char *taken = arena->at;
    arena->at += rounded;
    return taken;
}

#endif
