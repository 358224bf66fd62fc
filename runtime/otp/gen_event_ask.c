/* gen_event_ask.c: the callers of an event manager. */
#include <string.h>

#include "runtime/otp/gen_event.h"
#include "runtime/otp/payload.h"

#define REQUEST_MAX ((size_t)64 << 10)

static const uint16_t request_terms[] = {offsetof(tr__event_request, who.id)};
static const uint16_t request_blobs[] = {offsetof(tr__event_request, payload)};
const tr_type tr__event_request__type = {
    .name = "tr__event_request",
    .size = sizeof(tr__event_request),
    .term_count = 1,
    .blob_count = 1,
    .terms = request_terms,
    .blobs = request_blobs,
};

/* TR_OK and *term, or the error it tells. Takes reply. */
static tr_err take_answer(tr_msg *reply, tr_term *term)
{
    const tr__event_answer *told = TR_MATCH(reply, tr__event_answer);
    tr_err err = told == NULL ? TR_E_TYPE : told->err;
    if (told != NULL && term != NULL) {
        *term = tr__to_scratch(told->term);
    }
    tr_msg_drop(reply);
    return err;
}

static tr_err ask(tr_dest dest, tr_msg *request, tr_term *term)
{
    tr_msg *reply;
    tr_err err = tr_gen_server_call(dest, request, TR_INFINITY, &reply, term);
    return err == TR_OK ? take_answer(reply, term) : err;
}

static tr_err administer(tr_dest dest, const tr__event_admin *request, tr_term *term)
{
    return ask(dest, tr_msg_new(TR_TYPE(tr__event_admin), request), term);
}

tr_err tr_gen_event_sync_notify(tr_dest dest, tr_msg *event)
{
    return ask(dest, event, NULL);
}

tr_err tr_gen_event_add_handler(tr_dest dest, tr_event_id who, tr_term args, tr_term *reason)
{
    return administer(dest, &(tr__event_admin){.op = TR__EVENT_ADD, .who = who, .args = args}, reason);
}

tr_err tr_gen_event_add_sup_handler(tr_dest dest, tr_event_id who, tr_term args, tr_term *reason)
{
    return administer(
        dest, &(tr__event_admin){.op = TR__EVENT_ADD, .who = who, .args = args, .supervisor = tr_self()},
        reason);
}

tr_err tr_gen_event_delete_handler(tr_dest dest, tr_event_id who, tr_term args, tr_term *result)
{
    return administer(dest, &(tr__event_admin){.op = TR__EVENT_DELETE, .who = who, .args = args}, result);
}

static tr_err swap(tr_dest dest, tr__event_admin request, tr_term *reason)
{
    request.op = TR__EVENT_SWAP;
    return administer(dest, &request, reason);
}

tr_err tr_gen_event_swap_handler(tr_dest dest, tr_event_id who, tr_term args, tr_event_id to, tr_term to_args,
                                 tr_term *reason)
{
    return swap(dest, (tr__event_admin){.who = who, .args = args, .to = to, .to_args = to_args}, reason);
}

tr_err tr_gen_event_swap_sup_handler(tr_dest dest, tr_event_id who, tr_term args, tr_event_id to,
                                     tr_term to_args, tr_term *reason)
{
    return swap(
        dest,
        (tr__event_admin){.who = who, .args = args, .to = to, .to_args = to_args, .supervisor = tr_self()},
        reason);
}

tr_err tr_gen_event_which_handlers(tr_dest dest, const tr_event_id **found, size_t *count)
{
    tr_msg *reply;
    tr_err err =
        tr_gen_server_call(dest, TR_MSG(tr__event_admin, .op = TR__EVENT_WHICH), TR_INFINITY, &reply, NULL);
    if (err != TR_OK) {
        return err;
    }
    const tr__event_list *told = TR_MATCH(reply, tr__event_list);
    if (told == NULL) {
        tr_msg_drop(reply);
        return TR_E_TYPE;
    }
    tr_term ids = tr__to_scratch(told->ids);
    size_t n = tr_term_count(ids);
    const char *modules = tr_string_bytes(told->modules, NULL);
    tr_event_id *copy = tr_scratch_alloc((n + 1) * sizeof(*copy));
    for (size_t i = 0; i < n; i++) {
        tr_term id = tr_term_items(ids)[i];
        uintptr_t module;
        memcpy(&module, modules + i * sizeof(module), sizeof(module));
        copy[i].handler = (const tr_event_handler *)module;
        copy[i].id = tr_same(id, TR_ATOM(UNDEFINED)) ? TR_TERM_NONE_VALUE : id;
    }
    tr_msg_drop(reply);
    *found = copy;
    *count = n;
    return TR_OK;
}

/* ---- asking one ---- */

static tr_msg *request_of(tr_event_id who, tr_msg *request)
{
    tr_msg *msg =
        tr_msg_new(&tr__event_request__type, &(tr__event_request){.who = who, .type = request->type});
    tr__payload_give(msg, tr__payload_copy(request->type, tr_msg_data(request), REQUEST_MAX));
    tr_msg_drop(request);
    return msg;
}

tr_err tr_gen_event_response(tr_msg *reply, tr_term *reason)
{
    return TR_MATCH(reply, tr__event_answer) == NULL ? TR_OK : take_answer(reply, reason);
}

tr_err tr_gen_event_call(tr_dest dest, tr_event_id who, tr_msg *request, int64_t timeout_ms, tr_msg **reply,
                         tr_term *reason)
{
    tr_err err = tr_gen_server_call(dest, request_of(who, request), timeout_ms, reply, reason);
    return err == TR_OK ? tr_gen_event_response(*reply, reason) : err;
}

tr_ref tr_gen_event_send_request(tr_dest dest, tr_event_id who, tr_msg *request)
{
    return tr_send_request(dest, request_of(who, request));
}
