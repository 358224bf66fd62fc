/* Events in memory. A payload's terms lie behind it in the same block, so that one allocation and one free are all. */
#include <string.h>

#include "runtime/stage/stage.h"

static const tr_term *term_at(const tr_type *type, const void *payload, uint16_t i)
{
    return (const tr_term *)(const void *)((const char *)payload + type->terms[i]);
}

static size_t rounded(size_t bytes)
{
    return (bytes + 15u) & ~(size_t)15;
}

static size_t payload_bytes(const tr_type *type, const void *payload)
{
    size_t bytes = rounded(type->size);
    for (uint16_t i = 0; i < type->term_count; i++) {
        bytes += rounded(tr_term_flat_bytes(*term_at(type, payload, i)));
    }
    return bytes;
}

/* Copies a payload and its terms to memory. Returns: the end of what was written. */
static unsigned char *payload_write(const tr_type *type, const void *payload, unsigned char *memory)
{
    unsigned char *room = memory + rounded(type->size);
    if (type->size > 0) {
        memcpy(memory, payload, type->size);
    }
    for (uint16_t i = 0; i < type->term_count; i++) {
        const tr_term *term = term_at(type, payload, i);
        size_t bytes = tr_term_flat_bytes(*term);
        tr_term copy = bytes == 0 ? *term : tr_term_flatten(*term, room);
        memcpy(memory + type->terms[i], &copy, sizeof copy);
        room += rounded(bytes);
    }
    return room;
}

tr__record *tr__record_new(const tr_type *type, const void *payload)
{
    TR_CHECK(type->blob_count == 0);
    tr__record *record = tr_alloc(sizeof *record + payload_bytes(type, payload));
    record->type = type;
    (void)payload_write(type, payload, record->data);
    return record;
}

/* ---- lists ---- */

void tr__records_append(tr__records *list, tr__record *record)
{
    record->next = NULL;
    if (list->first == NULL) {
        list->first = record;
    } else {
        list->last->next = record;
    }
    list->last = record;
    list->events += !record->is_info;
}

tr__record *tr__records_pop(tr__records *list)
{
    tr__record *record = list->first;
    if (record != NULL) {
        list->first = record->next;
        list->events -= !record->is_info;
    }
    return record;
}

void tr__records_join(tr__records *list, tr__records *from)
{
    if (from->first == NULL) {
        return;
    }
    if (list->first == NULL) {
        list->first = from->first;
    } else {
        list->last->next = from->first;
    }
    list->last = from->last;
    list->events += from->events;
    *from = (tr__records){0};
}

tr__records tr__records_take(tr__records *list, uint64_t n)
{
    tr__records taken = {0};
    while (n > 0 && list->first != NULL && !list->first->is_info) {
        tr__records_append(&taken, tr__records_pop(list));
        n--;
    }
    return taken;
}

void tr__records_free(tr__records *list)
{
    for (tr__record *record; (record = tr__records_pop(list)) != NULL;) {
        tr_free(record);
    }
}

tr_stage_event *tr__records_events(const tr__records *list)
{
    tr_stage_event *events = tr_scratch_alloc((list->events + 1) * sizeof *events);
    size_t count = 0;
    for (const tr__record *r = list->first; r != NULL; r = r->next) {
        events[count++] = (tr_stage_event){r->type, r->data};
    }
    return events;
}

/* ---- batches ---- */

tr_blob *tr__batch_new(const tr_stage_event *events, uint64_t count)
{
    size_t head = rounded(count * sizeof *events);
    size_t bytes = head + 16;
    for (uint64_t i = 0; i < count; i++) {
        bytes += payload_bytes(events[i].type, events[i].data);
    }
    tr_blob *blob = tr_blob_new(NULL, bytes);
    tr_stage_event *copies = (tr_stage_event *)(void *)blob->bytes;
    unsigned char *room = blob->bytes + head;
    for (uint64_t i = 0; i < count; i++) {
        copies[i] = (tr_stage_event){events[i].type, room};
        room = payload_write(events[i].type, events[i].data, room);
    }
    return blob;
}

tr_blob *tr__payload_blob(const tr_type *type, const void *payload)
{
    return tr__batch_new(&(tr_stage_event){type, payload}, 1);
}
