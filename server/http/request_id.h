/* request_id: the id of a request (X-Request-Id) and the trace it belongs to (W3C traceparent).
 *
 * Invariants
 *   1. An id is 1..128 bytes of [A-Za-z0-9._-]; a client's is taken over when it is one, else one is made.
 *   2. A made id is 32 hex digits: 64 bits drawn once per source, 64 bits a bijection of a counter. One
 *      source never repeats; two sources clash with probability 2^-64 a pair. It is unique, not secret.
 *   3. One source belongs to one thread (core); making an id needs no system call and no lock.
 *   4. A trace is never all zeros; a traceparent that is not valid is ignored and a new trace starts.
 */
#ifndef TROUPE_SERVER_HTTP_REQUEST_ID_H
#define TROUPE_SERVER_HTTP_REQUEST_ID_H

#include "server/text.h"

#include <stdint.h>

#define REQUEST_ID_BYTES_MAX  128
#define REQUEST_ID_MADE_BYTES 32
#define TRACEPARENT_BYTES     55

struct request_id_source {
    uint64_t prefix;
    uint64_t offset;
    uint64_t counter;
};

struct request_id {
    uint8_t count;
    char bytes[REQUEST_ID_BYTES_MAX];
};

struct trace_context {
    uint64_t trace_high;
    uint64_t trace_low;
    uint64_t parent; /* the caller's span; 0 when this request starts the trace */
    uint64_t span;   /* this request's own */
    uint8_t flags;
    bool continued;
};

/** Draws a source's random parts. Returns: false when the system has no randomness to give. Blocks: at boot
 *  only. */
bool request_id_source_init(struct request_id_source *source);

/** A source with given parts, for tests and simulation. */
void request_id_source_seed(struct request_id_source *source, uint64_t prefix, uint64_t offset);

/** Whether a client's X-Request-Id may be taken over. */
bool request_id_valid(struct text value);

/** Takes the client's id over when valid (absent is not), else makes one. */
void request_id_choose(struct request_id *id, struct request_id_source *source, struct text client);

static inline struct text request_id_text(const struct request_id *id)
{
    return (struct text){.bytes = id->bytes, .count = id->count};
}

/** Continues the trace of a traceparent header, or starts one when it is absent or not valid. */
void trace_context_choose(struct trace_context *trace, struct request_id_source *source,
                          struct text traceparent);

/** The header for calls made on behalf of this request: version 00, this request's span as parent. */
void trace_context_write(const struct trace_context *trace, char out[TRACEPARENT_BYTES]);

#endif
