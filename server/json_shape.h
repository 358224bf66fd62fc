/* json_shape: reads a JSON object into a C struct by a table, and says precisely what does not fit.
 *
 *     struct check { struct text key; int64_t cost; };
 *     static const struct json_member check_members[] = {
 *         JSON_MEMBER("key", JSON_TEXT, struct check, key, .required = true, .min = 1, .max = 256),
 *         JSON_MEMBER("cost", JSON_INT, struct check, cost, .min = 1, .max = INT32_MAX),
 *     };
 *     static const struct json_shape check_shape = JSON_SHAPE(check_members);
 *     struct check check = {.cost = 1};                  // defaults stand where a member is absent
 *     json_read_object(body, NULL, &check_shape, &check, &errors);
 *
 * Invariants
 *   1. Every unknown, missing, mistyped and out-of-range member yields one entry with its RFC 6901 pointer;
 *      the first JSON_ERRORS_MAX are kept, the rest counted.
 *   2. A JSON_INT is written as digits only: 1.5, 1.0, 1e2, "1" and true are errors.
 *   3. A target is written only when its member is present and fits; `nullable` members may be null, which
 *      counts as absent.
 *   4. What is stored (text, items) is borrowed from the tree.
 */
#ifndef TROUPE_SERVER_JSON_SHAPE_H
#define TROUPE_SERVER_JSON_SHAPE_H

#include "server/json.h"

#define JSON_ERRORS_MAX        16
#define JSON_ERRORS_BYTES      2048
#define JSON_SHAPE_MEMBERS_MAX 32

/* Where a value stands: a chain on the caller's stack; NULL is the document itself (pointer ""). */
struct json_where {
    const struct json_where *parent;
    const char *name; /* NULL: `index` counts */
    size_t index;
};

struct json_errors {
    size_t count;   /* kept */
    size_t dropped; /* seen, but no room was left */
    struct {
        struct text pointer;
        struct text detail;
        bool in_query; /* the pointer names a query parameter */
    } items[JSON_ERRORS_MAX];
    size_t used;
    char bytes[JSON_ERRORS_BYTES];
};

enum json_kind {
    JSON_INT,    /* int64_t; min..max is its range */
    JSON_TEXT,   /* struct text; min..max is its length in bytes */
    JSON_WORD,   /* int: index into `words` */
    JSON_BOOL,   /* bool */
    JSON_OBJECT, /* const cJSON * */
    JSON_ARRAY,  /* const cJSON *; min..max is its length */
    JSON_ANY,    /* const cJSON *, any JSON, null included */
};

struct json_member {
    const char *name;
    enum json_kind kind;
    size_t offset; /* of the target in the struct */
    bool required;
    bool nullable;
    int64_t min;
    int64_t max;              /* min == max == 0: no range */
    const char *const *words; /* JSON_WORD: NULL-terminated */
};

struct json_shape {
    const struct json_member *members;
    size_t count;
};

/** A row of a shape's table: the member's name, its kind, and the field of the struct it is read into. A
 *  field whose size is not the kind's does not compile. */
#define JSON_MEMBER(member_name, member_kind, type, field, ...)                                          \
    {                                                                                                    \
        .name = (member_name), .kind = (member_kind),                                                    \
        .offset = offsetof(type, field) +                                                                \
                  0 * sizeof(char[sizeof(((type *)0)->field) == JSON_KIND_BYTES(member_kind) ? 1 : -1]), \
        ##__VA_ARGS__                                                                                    \
    }
#define JSON_KIND_BYTES(kind)                    \
    ((kind) == JSON_INT    ? sizeof(int64_t)     \
     : (kind) == JSON_TEXT ? sizeof(struct text) \
     : (kind) == JSON_WORD ? sizeof(int)         \
     : (kind) == JSON_BOOL ? sizeof(bool)        \
                           : sizeof(const cJSON *))

/** A shape over a table of at most JSON_SHAPE_MEMBERS_MAX members (more do not compile). */
#define JSON_SHAPE(table)                                    \
    {                                                        \
        .members = (table), .count = JSON_SHAPE_COUNT(table) \
    }
#define JSON_SHAPE_COUNT(table)           \
    (sizeof(table) / sizeof((table)[0]) + \
     0 * sizeof(char[sizeof(table) / sizeof((table)[0]) <= JSON_SHAPE_MEMBERS_MAX ? 1 : -1]))

/** Makes an empty list of errors. Cost: O(1), the text is not cleared. */
static inline void json_errors_init(struct json_errors *errors)
{
    errors->count = 0;
    errors->dropped = 0;
    errors->used = 0;
}

/** Notes an error at `where`, or at its member `name` when that is not NULL. printf form; the text is kept.
 *  Bytes of the arguments that are not valid UTF-8 never reach a client: the JSON writer replaces them. */
void json_errors_add(struct json_errors *errors, const struct json_where *where, const char *name,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));

/** Notes an error of a query parameter; its pointer is "/" and the escaped name. */
void json_errors_add_query(struct json_errors *errors, struct text name, const char *detail);

/** Reads an object into `out` by a shape.
 *  Returns: whether everything fitted; errors has been added to otherwise.
 *  Cost: O(members of the object x members of the shape); no allocation. */
bool json_read_object(const cJSON *value, const struct json_where *where, const struct json_shape *shape,
                      void *out, struct json_errors *errors);

/** Whether an object has a member of that name that is not null (to tell a default from the same value
 *  given). */
bool json_has_member(const cJSON *object, const char *name);

#endif
