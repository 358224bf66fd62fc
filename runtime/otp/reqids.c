/* reqids.c: the requests under way in a table by the number of their reference: open addressing, linear probing. */
#include <string.h>
#include <troupe/reqids.h>

#include "runtime/core/behaviour.h"

#define ROOM_FIRST 8u

struct tr_reqids {
    tr_reqid *slots; /* request.id 0: free */
    uint32_t room;   /* a power of two, 0 at first; at most half of it is used */
    uint32_t count;
};

/* ---- the table ---- */

static uint32_t home_of(const tr_reqids *ids, tr_ref request)
{
    return (uint32_t)((request.id * 0x9e3779b97f4a7c15u) >> 32) & (ids->room - 1);
}

/* Where it is, or the free slot where it would be. */
static tr_reqid *slot_of(const tr_reqids *ids, tr_ref request)
{
    uint32_t at = home_of(ids, request);
    while (ids->slots[at].request.id != 0 && !tr_ref_equal(ids->slots[at].request, request)) {
        at = (at + 1) & (ids->room - 1);
    }
    return &ids->slots[at];
}

static tr_reqid *find(const tr_reqids *ids, tr_ref request)
{
    tr_reqid *slot = ids->count == 0 || request.id == 0 ? NULL : slot_of(ids, request);
    return slot == NULL || slot->request.id == 0 ? NULL : slot;
}

static void grow(tr_reqids *ids)
{
    tr_reqids larger = {.room = ids->room == 0 ? ROOM_FIRST : ids->room * 2};
    larger.slots = tr_alloc(larger.room * sizeof(*larger.slots));
    for (uint32_t i = 0; i < ids->room; i++) {
        if (ids->slots[i].request.id != 0) {
            *slot_of(&larger, ids->slots[i].request) = ids->slots[i];
        }
    }
    tr_free(ids->slots);
    ids->slots = larger.slots;
    ids->room = larger.room;
}

/* Frees the slot and moves back what was probed past it. */
static void take_out(tr_reqids *ids, tr_reqid *slot)
{
    uint32_t hole = (uint32_t)(slot - ids->slots);
    uint32_t mask = ids->room - 1;
    tr_free_term(slot->label);
    for (uint32_t at = (hole + 1) & mask; ids->slots[at].request.id != 0; at = (at + 1) & mask) {
        uint32_t home = home_of(ids, ids->slots[at].request);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            ids->slots[hole] = ids->slots[at];
            hole = at;
        }
    }
    ids->slots[hole] = (tr_reqid){0};
    ids->count--;
}

tr_reqids *tr_reqids_new(void)
{
    return tr_alloc(sizeof(tr_reqids));
}

void tr_reqids_free(tr_reqids *ids)
{
    if (ids == NULL) {
        return;
    }
    for (uint32_t i = 0; i < ids->room; i++) {
        tr_free_term(ids->slots[i].label);
    }
    tr_free(ids->slots);
    tr_free(ids);
}

tr_err tr_reqids_add(tr_reqids *ids, tr_ref request, tr_term label)
{
    if (request.id == 0 || find(ids, request) != NULL) {
        return TR_E_BADARG;
    }
    if ((ids->count + 1) * 2 > ids->room) {
        grow(ids);
    }
    *slot_of(ids, request) = (tr_reqid){.request = request, .label = tr_keep(label)};
    ids->count++;
    return TR_OK;
}

size_t tr_reqids_size(const tr_reqids *ids)
{
    return ids->count;
}

const tr_reqid *tr_reqids_to_list(const tr_reqids *ids, size_t *count)
{
    tr_reqid *list = tr_scratch_alloc((ids->count + 1) * sizeof(*list));
    size_t used = 0;
    for (uint32_t i = 0; i < ids->room; i++) {
        if (ids->slots[i].request.id != 0) {
            list[used++] = ids->slots[i];
        }
    }
    *count = used;
    return list;
}

/* ---- asking ---- */

tr_ref tr_reqids_send_request(tr_reqids *ids, tr_dest dest, tr_msg *request, tr_term label)
{
    tr_ref ref = tr_send_request(dest, request);
    tr_err err = tr_reqids_add(ids, ref, label);
    TR_ASSERT(err == TR_OK); /* a fresh reference is in no collection */
    return ref;
}

/* ---- answers ---- */

static bool answers_one(const tr_msg *msg, void *ctx)
{
    tr_msg_kind kind = tr_msg_kind_of(msg);
    return (kind == TR_MSG_REPLY || kind == TR_MSG_DOWN) && find(ctx, tr_msg_ref(msg)) != NULL;
}

static void respond(tr_reqids *ids, tr_msg *msg, bool delete_answered, tr_response *response)
{
    tr_reqid *slot = find(ids, tr_msg_ref(msg));
    *response = (tr_response){.request = slot->request, .label = tr__to_scratch(slot->label)};
    response->err = tr_check_response(msg, slot->request, &response->reply, &response->reason);
    if (delete_answered) {
        take_out(ids, slot);
    }
}

tr_err tr_reqids_wait_response(tr_reqids *ids, int64_t timeout_ms, bool delete_answered,
                               tr_response *response)
{
    if (ids->count == 0) {
        return TR_E_NOT_FOUND;
    }
    tr_msg *msg = tr_receive(answers_one, ids, timeout_ms);
    if (msg == NULL) {
        return TR_E_TIMEOUT;
    }
    respond(ids, msg, delete_answered, response);
    if (response->err != TR_OK) {
        tr_msg_drop(msg);
    }
    return TR_OK;
}

tr_err tr_reqids_receive_response(tr_reqids *ids, int64_t timeout_ms, bool delete_answered,
                                  tr_response *response)
{
    tr_err err = tr_reqids_wait_response(ids, timeout_ms, delete_answered, response);
    if (err != TR_E_TIMEOUT) {
        return err;
    }
    for (uint32_t i = 0; i < ids->room; i++) {
        if (ids->slots[i].request.id != 0) {
            (void)tr_demonitor(ids->slots[i].request, true);
        }
    }
    return tr_reqids_wait_response(ids, 0, delete_answered, response); /* the last look */
}

tr_err tr_reqids_check_response(tr_reqids *ids, tr_msg *msg, bool delete_answered, tr_response *response)
{
    if (ids->count == 0) {
        return TR_E_STATE;
    }
    if (msg == NULL || !answers_one(msg, ids)) {
        return TR_E_NOT_FOUND;
    }
    respond(ids, msg, delete_answered, response);
    return TR_OK;
}
