/* json: JSON text in. One strict pass checks everything RFC 8259 and the contract ask for and builds a cJSON tree.
 *
 * The tree consists of plain cJSON items, so cJSON's own functions read, compare, copy and print it; the text
 * is read by this file because cJSON's parser takes what must be refused (01, raw control bytes, repeated
 * keys, bad UTF-8, \u0000, trailing bytes) and forgets how a number was written.
 *
 * Invariants
 *   1. Accepted text is one RFC 8259 value in valid UTF-8, at most `depth_max` deep, with at most
 *      `tokens_max` values, no key twice in an object (compared after unescaping), no U+0000 anywhere,
 *      nothing behind it.
 *   2. A number written as digits only (with or without '-') and within +-(2^53 - 1) carries JSON_INTEGER in
 *      `type`, and its value is exact. Any other number keeps its text in `valuestring`.
 *   3. A string's length in bytes is in `valueint` (json_string() reads it); the bytes hold no NUL.
 *   4. A tree made by json_parse() belongs to its arena: never cJSON_Delete() it. A tree made by
 *      json_document_parse() is the caller's: cJSON_Delete() it.
 *   5. Values are changed by replacing items: cJSON_SetValuestring() and cJSON_SetNumberValue() know nothing
 *      of
 *      the marks and would leave old ones behind.
 *
 * Life cycle: json_init() once before threads; json_arena_init(); json_parse(); read; json_arena_reset().
 */
#ifndef TROUPE_SERVER_JSON_H
#define TROUPE_SERVER_JSON_H

#include "server/json_arena.h"
#include "server/text.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Bit in cJSON.type of a number that is an exact integer written as digits only. */
#define JSON_INTEGER     (1 << 16)
#define JSON_INTEGER_MAX INT64_C(9007199254740991)

#define JSON_DEPTH_LIMIT 32 /* the parser's own stack; json_limits.depth_max may only be smaller */

struct json_limits {
    unsigned depth_max;      /* containers within containers; [] is 1 deep */
    size_t tokens_max;       /* values, containers included */
    size_t string_bytes_max; /* of a number as well */
};

/** What the contract promises: depth 32; 65 536 values; a string may fill the body. */
extern const struct json_limits json_limits_default;

/* name, text for the problem's detail */
#define JSON_FAULTS(X)                            \
    X(NONE, "")                                   \
    X(EMPTY, "the document is empty")             \
    X(SYNTAX, "not JSON")                         \
    X(NUMBER, "not a JSON number")                \
    X(ESCAPE, "bad escape in a string")           \
    X(CONTROL, "control byte in a string")        \
    X(UTF8, "not valid UTF-8")                    \
    X(NUL, "U+0000 is not taken")                 \
    X(DEPTH, "nested too deeply")                 \
    X(REPEATED_KEY, "a key is repeated")          \
    X(TRAILING, "bytes after the document")       \
    X(TOO_MANY, "too many values")                \
    X(TOO_LONG, "a string or number is too long") \
    X(MEMORY, "the document needs too much memory")

#define JSON_FAULT_NAME(name, text) JSON_FAULT_##name,
enum json_fault { JSON_FAULTS(JSON_FAULT_NAME) JSON_FAULTS_COUNT };
#undef JSON_FAULT_NAME

struct json_error {
    enum json_fault fault;
    size_t offset; /* of the byte that could not be taken */
};

/** Installs cJSON's allocation hooks; again is harmless. Context: before other threads use cJSON. */
void json_init(void);

/** Parses text strictly into a tree in the arena.
 *  Borrows: text. Returns: false and *error when refused; the arena then still holds what was built.
 *  Blocks: no.  Context: any thread, one arena each.  Cost: O(bytes), O(n log n) for large objects. */
bool json_parse(struct json_arena *arena, struct text text, const struct json_limits *limits, cJSON **root,
                struct json_error *error);

/** Parses a document that outlives its request: the strict check, then cJSON's own parser, on the heap.
 *  Returns: a tree the caller owns (cJSON_Delete), with the marks of invariants 2 and 3.
 *  Errors: as json_parse(); JSON_FAULT_MEMORY also when cJSON gives up. */
bool json_document_parse(struct text text, const struct json_limits *limits, cJSON **root,
                         struct json_error *error);

/** Text of a fault, for a problem's detail. Static. */
const char *json_fault_text(enum json_fault fault);

/** Makes `arena` the place where this thread's cJSON_Create*, _Duplicate and _Add* calls allocate; NULL ends
 *  it. Returns the previous one, to be put back by the same function that changed it, with no park in
 *  between. */
struct json_arena *json_arena_swap(struct json_arena *arena);

/** The text of a string item, of any origin. Borrows: valid as long as the item. */
static inline struct text json_string(const cJSON *item)
{
    if (item->valueint > 0) {
        return (struct text){.bytes = item->valuestring, .count = (size_t)item->valueint};
    }
    return text_of(item->valuestring);
}

/** Whether the item is an exact integer (invariant 2); its value then. */
static inline bool json_integer(const cJSON *item, int64_t *value)
{
    if ((item->type & JSON_INTEGER) == 0) {
        return false;
    }
    *value = (int64_t)item->valuedouble;
    return true;
}

#endif
