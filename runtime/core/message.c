#include "runtime/core/message.h"

#include "runtime/core/box.h"

static const tr_term *term_member(const void *payload, const tr_type *type, uint16_t i)
{
    return (const tr_term *)(const void *)((const char *)payload + type->terms[i]);
}

static tr_blob **blob_member(void *payload, const tr_type *type, uint16_t i)
{
    return (tr_blob **)(void *)((char *)payload + type->blobs[i]);
}

static tr_msg *msg_block(size_t payload_bytes)
{
    size_t bytes = sizeof(tr_msg) + payload_bytes;
    uint8_t mem_class;
    tr_msg *msg = tr__mem_alloc(bytes, &mem_class);
    if (msg == NULL) {
        tr__out_of_memory();
    }
    msg->tr__next = NULL;
    msg->tr__bytes = (uint32_t)bytes;
    msg->tr__flags = 0;
    msg->tr__class = mem_class;
    return msg;
}

/* Terms of a payload follow it in the same block, each member pointing to its copy. */
static void flatten_members(tr_msg *msg, const tr_type *type, const void *payload)
{
    char *free_space = (char *)msg->tr__data + ((type->size + 7u) & ~(size_t)7);
    for (uint16_t i = 0; i < type->term_count; i++) {
        tr_term term = *term_member(payload, type, i);
        if (!tr__is_box(term)) {
            continue; /* its word was copied with the rest */
        }
        tr_term *copy = (tr_term *)(void *)((char *)msg->tr__data + type->terms[i]);
        *copy = tr_term_flatten(term, free_space);
        free_space += tr_term_flat_bytes(term);
    }
}

/* Bytes behind the payload that its terms need. */
static size_t terms_bytes(const tr_type *type, const void *payload)
{
    size_t bytes = 0;
    for (uint16_t i = 0; i < type->term_count; i++) {
        tr_term term = *term_member(payload, type, i);
        bytes += tr__is_box(term) ? tr_term_flat_bytes(term) : 0;
    }
    return bytes;
}

static void retain_members(tr_msg *msg, const tr_type *type)
{
    for (uint16_t i = 0; i < type->blob_count; i++) {
        tr_blob *blob = *blob_member(msg->tr__data, type, i);
        if (blob != NULL) {
            tr_blob_retain(blob);
        }
    }
}

tr_msg *tr__msg_make_slowly(const tr_type *type, const void *payload, uint8_t signal, tr_ref ref)
{
    size_t extra = type == NULL ? 0 : terms_bytes(type, payload);
    size_t bytes = type == NULL ? 0 : extra == 0 ? type->size : ((type->size + 7u) & ~(size_t)7) + extra;
    tr_msg *msg = msg_block(bytes);
    msg->type = type;
    msg->tr__signal = signal;
    msg->tr__ref = ref;
    if (bytes != 0) {
        memcpy(msg->tr__data, payload, type->size);
    }
    if (extra != 0) {
        flatten_members(msg, type, payload);
    }
    if (type != NULL && type->blob_count != 0) {
        retain_members(msg, type);
    }
    return msg;
}

/* Made in a process it belongs to that process until something takes it: a kill in between frees it. */
tr_msg *tr_msg_new(const tr_type *type, const void *payload)
{
    tr_msg *msg = tr__msg_make(type, payload, TR_MSG_INFO, TR_NO_REF);
    const tr__core *core = tr__core_self();
    if (core != NULL && core->current != NULL) {
        tr__held_add(core->current, msg);
    }
    return msg;
}

tr_msg *tr__exit_make(uint8_t signal, tr_pid from, tr_term reason)
{
    return tr__msg_make(TR_TYPE(tr_exit_msg), &(tr_exit_msg){.from = from, .reason = reason}, signal,
                        (tr_ref){from, 0});
}

void tr__msg_free_slowly(tr_msg *msg)
{
    const tr_type *type = msg->type;
    if (type != NULL) {
        for (uint16_t i = 0; i < type->blob_count; i++) {
            tr_blob_drop(*blob_member(msg->tr__data, type, i));
        }
    }
    tr__mem_free(msg, msg->tr__bytes, msg->tr__class);
}

tr_msg_kind tr_msg_kind_of(const tr_msg *msg)
{
    return (tr_msg_kind)msg->tr__signal;
}

/* ---- what a process holds ---- */

void tr__msg_unhold_slowly(tr_msg *msg)
{
    tr__proc *proc = tr__proc_self();
    msg->tr__flags &= (uint8_t)~TR__F_HELD;
    for (tr_msg **at = &proc->held; *at != NULL; at = &(*at)->tr__next) {
        if (*at == msg) {
            *at = msg->tr__next;
            msg->tr__next = NULL;
            return;
        }
    }
}

void tr_msg_drop(tr_msg *msg)
{
    if (msg != NULL) {
        tr__msg_unhold(msg);
        tr__msg_free(msg);
    }
}

void tr__msg_keep(tr_msg *msg)
{
    tr__msg_unhold(msg);
}

/* ---- blobs ---- */

tr_blob *tr_blob_new(const void *bytes, size_t size)
{
    uint8_t mem_class;
    size_t total = sizeof(tr_blob) + size;
    tr_blob *blob = tr__mem_alloc(total, &mem_class);
    if (blob == NULL) {
        tr__out_of_memory();
    }
    blob->tr__count = 1;
    blob->tr__spare = mem_class;
    blob->size = size;
    if (bytes != NULL) {
        memcpy(blob->bytes, bytes, size);
    }
    return blob;
}

tr_blob *tr_blob_retain(tr_blob *blob)
{
    tr__add_relaxed(&blob->tr__count, 1u);
    return blob;
}

void tr_blob_drop(tr_blob *blob)
{
    /* acq_rel: what others did with the bytes happened before they are freed */
    if (blob != NULL && tr__sub_acq_rel(&blob->tr__count, 1u) == 1) {
        tr__mem_free(blob, sizeof(tr_blob) + blob->size, (uint8_t)blob->tr__spare);
    }
}
