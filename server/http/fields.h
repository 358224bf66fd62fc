/* fields: the header fields of one answer, kept as the bytes that go out.
 *
 * Invariants
 *   1. `bytes` is a run of "\r\nName: value": no CR, LF or other control byte (but HT) stands in a value.
 *   2. `bytes` is `small` until that is full, then from the heap, up to FIELDS_BYTES_MAX.
 *   3. A field that does not fit, or whose value may not stand in a field, leaves the run as it was.
 *
 * Life cycle: init -> add, or reserve and commit -> fini.
 */
#ifndef TROUPE_SERVER_HTTP_FIELDS_H
#define TROUPE_SERVER_HTTP_FIELDS_H

#include "server/text.h"

#define FIELDS_SMALL_BYTES 512
#define FIELDS_BYTES_MAX   4096

struct fields {
    char *bytes;
    size_t count;
    size_t room;
    char small[FIELDS_SMALL_BYTES];
};

static inline void fields_init(struct fields *fields)
{
    fields->bytes = fields->small;
    fields->count = 0;
    fields->room = FIELDS_SMALL_BYTES;
}

void fields_fini(struct fields *fields);

/** Adds a field; the value is copied. Errors: false, and nothing is added (invariant 3). */
bool fields_add(struct fields *fields, struct text name, struct text value);

/** Room for `bytes` more bytes of whole fields that the caller writes himself (invariant 1); NULL when that is
 *  too much. They count once fields_commit() is told where they end. */
char *fields_reserve(struct fields *fields, size_t bytes);

static inline void fields_commit(struct fields *fields, const char *end)
{
    fields->count = (size_t)(end - fields->bytes);
}

/** Whether a field of that name, spelled like that, was added. */
bool fields_have(const struct fields *fields, struct text name);

#endif
