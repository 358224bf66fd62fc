/* message.h: the short ways of a message's life, to be inlined: made of a plain type, held by its process, freed. The long ways
 * (terms, blobs, a message held behind others) are in message.c.
 *
 * Invariants
 *  1. A message is in exactly one place: on its way (an inbox), in a queue, in the list of held messages of one process
 *     (TR__F_HELD says so), or in the hands of the function that runs.
 *  2. Only the process that holds a message takes it out of its list.
 */
#ifndef TROUPE_CORE_MESSAGE_H
#define TROUPE_CORE_MESSAGE_H

#include <string.h>

#include "runtime/core/core.h"
#include "runtime/core/mem.h"

/* The long ways. */
tr_msg *tr__msg_make_slowly(const tr_type *type, const void *payload, uint8_t signal, tr_ref ref);
void tr__msg_free_slowly(tr_msg *msg);
void tr__msg_unhold_slowly(tr_msg *msg);

/* Of whole words. Payloads are nearly always a few of them: then the copy is a few moves, not a call (which gcc would make of the
 * loop again, did it see what each turn does). */
static inline void tr__words_copy(void *to, const void *from, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += 8) {
        uint64_t word;
        memcpy(&word, (const char *)from + at, 8);
        __asm__("" : "+r"(word));
        memcpy((char *)to + at, &word, 8);
    }
}

/* Nothing to flatten or to count, a few words. */
static inline bool tr__msg_is_simple(const tr_type *type)
{
    return type->term_count == 0 && type->blob_count == 0 && type->size % 8 == 0 &&
           sizeof(tr_msg) + type->size <= TR__MEM_SMALL;
}

/** A message of this type (NULL: none) with a copy of payload; never NULL (without memory the process ends). */
static inline __attribute__((always_inline)) tr_msg *tr__msg_make(const tr_type *type, const void *payload,
                                                                  uint8_t signal, tr_ref ref)
{
    tr__core *core = tr__core_self();
    if (!TR__POOLING_INLINE || core == NULL || type == NULL || !tr__msg_is_simple(type)) {
        return tr__msg_make_slowly(type, payload, signal, ref);
    }
    size_t bytes = sizeof(tr_msg) + type->size;
    uint8_t mem_class = tr__mem_small_class(bytes);
    struct tr__free_block *block = core->pool[mem_class];
    if (block == NULL) {
        return tr__msg_make_slowly(type, payload, signal, ref);
    }
    core->pool[mem_class] = block->next;
    core->pooled[mem_class]--;
    tr__bump(&core->stats.bytes_allocated, bytes);
    tr_msg *msg = (tr_msg *)(void *)block;
    msg->tr__next = NULL;
    msg->type = type;
    msg->tr__ref = ref;
    msg->tr__bytes = (uint32_t)bytes;
    msg->tr__signal = signal;
    msg->tr__flags = 0;
    msg->tr__class = mem_class;
    tr__words_copy(msg->tr__data, payload, type->size);
    return msg;
}

static inline void tr__msg_free(tr_msg *msg)
{
    if (msg->type != NULL && msg->type->blob_count != 0) {
        tr__msg_free_slowly(msg);
        return;
    }
    tr__mem_free(msg, msg->tr__bytes, msg->tr__class);
}

/* ---- what a process holds: singly linked, newest first ---- */

static inline void tr__held_add(tr__proc *proc, tr_msg *msg)
{
    if ((msg->tr__flags & TR__F_HELD) != 0) {
        return;
    }
    msg->tr__flags |= TR__F_HELD;
    msg->tr__next = proc->held;
    proc->held = msg;
}

/** Takes it out of the calling process's held messages, if it is there: whoever takes a message calls this
 *  first. */
static inline void tr__msg_unhold(tr_msg *msg)
{
    if ((msg->tr__flags & TR__F_HELD) != 0) {
        tr__proc *proc = tr__core_self()->current;
        if (proc->held == msg) {
            proc->held = msg->tr__next;
            msg->tr__next = NULL;
            msg->tr__flags &= (uint8_t)~TR__F_HELD;
        } else {
            tr__msg_unhold_slowly(msg);
        }
    }
}

static inline void tr__held_drop_all(tr__proc *proc)
{
    while (proc->held != NULL) {
        tr_msg *msg = proc->held;
        proc->held = msg->tr__next;
        tr__msg_free(msg);
    }
}

#endif
