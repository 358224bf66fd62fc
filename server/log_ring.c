#include "server/log_ring.h"

#include <assert.h>
#include <sys/mman.h>

static_assert((LOG_RING_BYTES & (LOG_RING_BYTES - 1)) == 0, "positions are masked");

static size_t record_bytes(size_t payload_bytes)
{
    size_t align = sizeof(struct log_record);
    return (sizeof(struct log_record) + payload_bytes + align - 1) / align * align;
}

struct log_ring *log_ring_create(void)
{
    void *ring = mmap(NULL, sizeof(struct log_ring), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return ring != MAP_FAILED ? ring : NULL;
}

static struct log_record *record_at(struct log_ring *ring, uint64_t position)
{
    return (struct log_record *)(void *)(ring->bytes + (position & (LOG_RING_BYTES - 1)));
}

struct log_record *log_ring_reserve(struct log_ring *ring, size_t max_payload)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    uint64_t offset = head & (LOG_RING_BYTES - 1);
    uint64_t to_end = LOG_RING_BYTES - offset;
    uint64_t start = head;
    if (to_end < record_bytes(max_payload)) {
        start = head + to_end;
    }
    if (start + record_bytes(max_payload) - tail > LOG_RING_BYTES) {
        return NULL;
    }
    if (start != head) {
        struct log_record *pad = record_at(ring, head); /* at least 16 bytes: records are multiples of that */
        pad->type = LOG_RECORD_PAD;
        pad->payload_bytes = (uint32_t)(to_end - sizeof *pad);
    }
    ring->reserved_at = start;
    return record_at(ring, start);
}

size_t log_ring_publish(struct log_ring *ring, struct log_record *record, size_t payload_bytes)
{
    record->payload_bytes = (uint32_t)payload_bytes;
    uint64_t head = ring->reserved_at + record_bytes(payload_bytes);
    atomic_store_explicit(&ring->head, head, memory_order_seq_cst);
    return (size_t)(head - atomic_load_explicit(&ring->tail, memory_order_relaxed));
}

const struct log_record *log_ring_peek(const struct log_ring *ring, uint64_t *position, uint64_t end)
{
    while (*position != end) {
        const struct log_record *record =
            (const struct log_record *)(const void *)(ring->bytes + (*position & (LOG_RING_BYTES - 1)));
        if (record->type != LOG_RECORD_PAD) {
            return record;
        }
        *position = log_ring_after(*position, record);
    }
    return NULL;
}

uint64_t log_ring_after(uint64_t position, const struct log_record *record)
{
    return position + record_bytes(record->payload_bytes);
}

void log_ring_release(struct log_ring *ring, uint64_t position)
{
    atomic_store_explicit(&ring->tail, position, memory_order_release);
}
