/* json_read: the strict parser behind json_parse(), see json.h for its invariants. */
#ifndef TROUPE_SERVER_JSON_READ_H
#define TROUPE_SERVER_JSON_READ_H

#include "server/json.h"

/** Bytes an arena needs at most for a text of that length: items, strings, sorted keys of large objects. */
#define JSON_ARENA_BYTES(text_bytes, tokens) (4096 + 10 * (text_bytes) + 2 * ((tokens) + 1) * sizeof(cJSON))

#endif
