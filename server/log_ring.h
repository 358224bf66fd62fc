/* A thread's own queue of log records: one producer (the thread), one consumer (the log's writer), bounded.
 *
 * 1. Records are contiguous and become visible only by log_ring_publish(): a producer that is stopped between
 *    reserve and publish leaves nothing, and its next reserve gives the same place again.
 * 2. head is written by the producer only, tail by the consumer only; each reads the other's with acquire or
 *    stronger.
 * 3. A drained ring has room for all of LOG_RING_BYTES but the padding at its end, which is less than one
 *    record.
 *
 * Life cycle: log.c maps one for a thread slot when its thread logs first and keeps it for the slot's next
 * owner.
 * Limits: LOG_RING_BYTES.
 */
#ifndef TROUPE_SERVER_LOG_RING_H
#define TROUPE_SERVER_LOG_RING_H

#include "server/log.h"

enum log_record_type { LOG_RECORD_PAD, LOG_RECORD_LINE, LOG_RECORD_ACCESS };

struct log_record {
    uint32_t payload_bytes;
    uint32_t type;
    int64_t wall_ns;
    char payload[];
};

struct log_ring {
    _Alignas(64) _Atomic uint64_t head; /* bytes ever published */
    uint64_t reserved_at;               /* the producer's: where the reserved record begins */
    _Atomic uint64_t dropped;           /* the producer's: records there was no room for */
    _Alignas(64) _Atomic uint64_t tail; /* bytes ever consumed */
    _Alignas(64) char bytes[LOG_RING_BYTES];
};

/** Makes an empty ring. Pages are touched as they are used.
 *  Returns: NULL when there is no memory.   Context: any thread. */
struct log_ring *log_ring_create(void);

/** A place for a record of at most max_payload bytes, to be filled in and published.
 *  Returns: NULL when there is no room.   Blocks: no.   Context: the producer. */
struct log_record *log_ring_reserve(struct log_ring *ring, size_t max_payload);

/** Makes the reserved record visible. The store is sequentially consistent: log.c's sleep protocol rests on
 *  it.
 *  Returns: bytes now waiting.   Blocks: no.   Context: the producer. */
size_t log_ring_publish(struct log_ring *ring, struct log_record *record, size_t payload_bytes);

/** The record at *position, or NULL at `end`. Moves *position over padding.
 *  Borrows: valid until log_ring_release() past it.   Context: the consumer. */
const struct log_record *log_ring_peek(const struct log_ring *ring, uint64_t *position, uint64_t end);

/** The position after a record got from log_ring_peek() at `position`.   Context: the consumer. */
uint64_t log_ring_after(uint64_t position, const struct log_record *record);

/** Gives everything before `position` back to the producer.   Context: the consumer. */
void log_ring_release(struct log_ring *ring, uint64_t position);

#endif
