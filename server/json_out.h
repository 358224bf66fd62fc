/* json_out: writes JSON text straight into a buffer; the hot paths' way out.
 *
 * Invariants
 *   1. What comes out is one RFC 8259 text in valid UTF-8, provided the calls nest; a call that does not (a
 *      value where a key is due, an unbalanced close, two documents) sets `failed` instead.
 *   2. Strings are escaped; bytes that are not valid UTF-8 come out as U+FFFD, U+0000 as \u0000.
 *   3. Integers come out as digits, whatever their size.
 *   4. Over `bytes_max`, or when memory is short, `failed` is set and nothing more is written: check it once,
 *      at the end, with json_out_text() or json_out_take().
 *
 *   5. `first` is the caller's buffer that a spilling writer begins in; bytes == first until it was too small.
 *
 * Life cycle: init (caller's buffer), init_growing (heap) or init_spilling (both) -> values -> text/take -> fini.
 */
#ifndef TROUPE_SERVER_JSON_OUT_H
#define TROUPE_SERVER_JSON_OUT_H

#include "server/json.h"

#define JSON_OUT_DEPTH_MAX 60

struct json_out {
    char *bytes;
    char *first;
    size_t count;
    size_t capacity;
    size_t bytes_max;
    uint64_t objects; /* bit d: the container at depth d is an object */
    unsigned depth;
    bool growing;
    bool comma; /* a value stands before the next one in this container */
    bool keyed; /* a key has been written and waits for its value */
    bool failed;
};

/** Writes into the caller's buffer and never beyond. Borrows: buffer. */
void json_out_init(struct json_out *out, char *buffer, size_t bytes);

/** Writes into the heap, growing up to bytes_max. Errors: `failed` when the first allocation fails. */
void json_out_init_growing(struct json_out *out, size_t bytes, size_t bytes_max);

/** Writes into the caller's buffer and goes on in the heap, up to bytes_max, when that is full. Borrows: buffer,
 *  which outlives the text. */
void json_out_init_spilling(struct json_out *out, char *buffer, size_t bytes, size_t bytes_max);

/** Frees a growing buffer that was not taken; harmless otherwise. */
void json_out_fini(struct json_out *out);

/** What was written, or the absent text when it failed or a container is still open. Borrows: until fini. */
struct text json_out_text(const struct json_out *out);

/** Gives a growing buffer away (free() it, unless it is the one that was given to init_spilling), or NULL as
 *  json_out_text(). *count is its length. */
char *json_out_take(struct json_out *out, size_t *count);

void json_out_open_object(struct json_out *out);
void json_out_close_object(struct json_out *out);
void json_out_open_array(struct json_out *out);
void json_out_close_array(struct json_out *out);

/** A member's name; its value comes next. */
void json_out_key_text(struct json_out *out, struct text name);
static inline void json_out_key(struct json_out *out, const char *name)
{
    json_out_key_text(out, text_of(name));
}

void json_out_text_value(struct json_out *out, struct text value);
void json_out_int(struct json_out *out, int64_t value);
void json_out_uint(struct json_out *out, uint64_t value);
void json_out_bool(struct json_out *out, bool value);
void json_out_null(struct json_out *out);

/** An RFC 3339 time with milliseconds; null outside years 0..9999. */
void json_out_time(struct json_out *out, int64_t unix_ms);

/** Room for `bytes` more, NULL when there is none or a key waits for its value: for whole members (or elements) that
 *  the caller writes himself, commas between them included. They count once json_out_commit() is told where they end. */
char *json_out_reserve(struct json_out *out, size_t bytes);
static inline void json_out_commit(struct json_out *out, const char *end)
{
    out->comma = true;
    out->count = (size_t)(end - out->bytes);
}

/** Text that is JSON already, written by this module or checked by json_parse(). */
void json_out_raw(struct json_out *out, struct text json);

/** A cJSON tree of any origin: exact integers as digits, other numbers as they were read, or with 17 digits;
 *  what JSON cannot say (infinite, not a number) as null. Errors: `failed` for trees deeper than the
 *  limit. */
void json_out_tree(struct json_out *out, const cJSON *tree);

/* A key and its value in one call. */
static inline void json_out_member_int(struct json_out *out, const char *name, int64_t value)
{
    json_out_key(out, name);
    json_out_int(out, value);
}

static inline void json_out_member_text(struct json_out *out, const char *name, struct text value)
{
    json_out_key(out, name);
    json_out_text_value(out, value);
}

static inline void json_out_member_string(struct json_out *out, const char *name, const char *value)
{
    json_out_member_text(out, name, text_of(value));
}

static inline void json_out_member_bool(struct json_out *out, const char *name, bool value)
{
    json_out_key(out, name);
    json_out_bool(out, value);
}

static inline void json_out_member_null(struct json_out *out, const char *name)
{
    json_out_key(out, name);
    json_out_null(out);
}

static inline void json_out_member_time(struct json_out *out, const char *name, int64_t unix_ms)
{
    json_out_key(out, name);
    json_out_time(out, unix_ms);
}

#endif
