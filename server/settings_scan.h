/* A strict reader of the outer shape of a JSON text: what cJSON would let pass is found here, with its place.
 *
 * 1. Accepts exactly RFC 8259 in UTF-8: no comments, no bytes after the document, no control characters or
 *    NUL in strings, no `\u0000`, no lone surrogates, no leading zeros, at most SETTINGS_SCAN_DEPTH levels.
 * 2. Says where the values of the outermost object's members lie, so that numbers can be judged as they are
 *    written.
 *
 * Life cycle: settings_scan() fills the struct, free(scan.members) ends it. The text is borrowed.
 * Limits: repeated names are not found here.
 */
#ifndef TROUPE_SERVER_SETTINGS_SCAN_H
#define TROUPE_SERVER_SETTINGS_SCAN_H

#include <stdbool.h>
#include <stddef.h>

enum { SETTINGS_SCAN_DEPTH = 32 };

struct settings_span {
    size_t start;
    size_t bytes;
};

struct settings_scan {
    const char *text;
    size_t bytes;
    size_t at;
    const char *problem;           /* NULL = none */
    struct settings_span *members; /* of the outermost object, in order */
    size_t member_count;
};

/** Reads a document whose outermost value is an object.
 *  Returns: false with scan->problem and scan->at.   Context: any thread.   Cost: O(bytes). */
bool settings_scan(struct settings_scan *scan, const char *text, size_t bytes);

#endif
