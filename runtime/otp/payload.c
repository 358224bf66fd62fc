#include "runtime/otp/payload.h"

#include <string.h>

static tr_term *term_member(void *payload, const tr_type *type, uint16_t i)
{
    return (tr_term *)(void *)((char *)payload + type->terms[i]);
}

tr_blob *tr__payload_copy(const tr_type *type, const void *arg, size_t bytes_max)
{
    size_t payload = (type->size + 7u) & ~(size_t)7;
    size_t bytes = payload;
    TR_CHECK(type->blob_count == 0);
    for (uint16_t i = 0; i < type->term_count; i++) {
        bytes += tr_term_flat_bytes(*(const tr_term *)(const void *)((const char *)arg + type->terms[i]));
    }
    TR_CHECK(bytes <= bytes_max);
    if (bytes == 0) {
        return NULL;
    }
    tr_blob *blob = tr_blob_new(NULL, bytes);
    memcpy(blob->bytes, arg, type->size);
    uint8_t *free_space = blob->bytes + payload;
    for (uint16_t i = 0; i < type->term_count; i++) {
        tr_term *member = term_member(blob->bytes, type, i);
        size_t flat = tr_term_flat_bytes(*member);
        *member = tr_term_flatten(*member, free_space);
        free_space += flat;
    }
    return blob;
}

void tr__payload_give(tr_msg *msg, tr_blob *blob)
{
    TR_ASSERT(msg->type->blob_count == 1);
    *(tr_blob **)(void *)((char *)msg->tr__data + msg->type->blobs[0]) = blob;
}
