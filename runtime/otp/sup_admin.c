/* Administration of supervisors, the caller's side: each function is one call without a time limit. */
#include <string.h>

#include "runtime/otp/payload.h"
#include "runtime/otp/supervisor.h"

/* A spec travels with all that it points to, so that the caller may be killed while it waits. */
static const uint16_t start_child_terms[] = {
    offsetof(tr__sup_start_child, spec.id),
    offsetof(tr__sup_start_child, spec.start.name),
    offsetof(tr__sup_start_child, spec.start.key),
    offsetof(tr__sup_start_child, spec.start.value),
};
static const uint16_t start_child_blobs[] = {offsetof(tr__sup_start_child, arg)};
const tr_type tr__sup_start_child__type = {
    .name = "tr__sup_start_child",
    .size = sizeof(tr__sup_start_child),
    .term_count = 4,
    .blob_count = 1,
    .terms = start_child_terms,
    .blobs = start_child_blobs,
};

/* The answer of type `type`, or an error. A supervisor that ended before it answered is gone, too. */
static tr_err call(tr_dest sup, tr_msg *request, const tr_type *type, tr_msg **reply, tr_term *reason)
{
    tr_err err = tr_gen_server_call(sup, request, TR_INFINITY, reply, reason);
    if (err == TR_E_EXIT) {
        return TR_E_NOPROC;
    }
    if (err == TR_OK && (*reply)->type != type && (*reply)->type != TR_TYPE(tr__sup_answer)) {
        tr_msg_drop(*reply);
        return TR_E_TYPE;
    }
    return err;
}

static tr_sup_result call_for_result(tr_dest sup, tr_msg *request)
{
    tr_msg *reply = NULL;
    tr_sup_result result = {0};
    result.err = call(sup, request, TR_TYPE(tr__sup_answer), &reply, &result.reason);
    if (result.err == TR_OK) {
        const tr__sup_answer *answer = TR_MATCH(reply, tr__sup_answer);
        result = (tr_sup_result){.err = answer->err,
                                 .pid = answer->pid,
                                 .info = tr__to_scratch(answer->info),
                                 .reason = tr__to_scratch(answer->reason)};
        tr_msg_drop(reply);
    }
    return result;
}

static tr_sup_result call_about(tr_dest sup, tr__sup_op op, tr_term id)
{
    return call_for_result(sup, TR_MSG(tr__sup_request, .op = op, .id = id));
}

/* A reply of another kind than an answer; an answer is an error here. */
static tr_err call_for(tr_dest sup, tr__sup_op op, tr_term id, const tr_type *type, tr_msg **reply)
{
    tr_term reason;
    tr_err err = call(sup, TR_MSG(tr__sup_request, .op = op, .id = id), type, reply, &reason);
    const tr__sup_answer *answer = err == TR_OK ? TR_MATCH(*reply, tr__sup_answer) : NULL;
    if (answer != NULL) {
        err = answer->err;
        tr_msg_drop(*reply);
    }
    return err;
}

/* ---- children
 * ----------------------------------------------------------------------------------------------------- */

tr_sup_result tr_supervisor_start_child(tr_dest sup, const tr_child_spec *spec)
{
    tr__sup_start_child request = {.spec = *spec};
    const char *label = spec->start.spawn.label;
    request.spec.start.spawn.label = NULL;
    if (label != NULL) {
        request.has_label = true;
        strncpy(request.label, label, sizeof(request.label) - 1);
    }
    if (spec->arg_bytes != 0) {
        request.spec.arg = NULL;
    }
    tr_msg *msg = tr_msg_new(TR_TYPE(tr__sup_start_child), &request);
    if (spec->arg_bytes != 0) {
        tr__payload_give(msg, tr_blob_new(spec->arg, spec->arg_bytes));
    }
    return call_for_result(sup, msg);
}

tr_sup_result tr_supervisor_start_child_arg(tr_dest sup, const void *arg, size_t arg_bytes)
{
    tr__sup_start_arg request = {.pointer = arg_bytes == 0 ? arg : NULL};
    tr_msg *msg = tr_msg_new(TR_TYPE(tr__sup_start_arg), &request);
    if (arg_bytes != 0) {
        tr__payload_give(msg, tr_blob_new(arg, arg_bytes));
    }
    return call_for_result(sup, msg);
}

tr_sup_result tr_supervisor_terminate_child(tr_dest sup, tr_term id)
{
    return call_about(sup, TR__SUP_TERMINATE_CHILD, id);
}

tr_sup_result tr_supervisor_terminate_child_pid(tr_dest sup, tr_pid pid)
{
    return call_about(sup, TR__SUP_TERMINATE_CHILD, tr_pid_term(pid));
}

tr_sup_result tr_supervisor_restart_child(tr_dest sup, tr_term id)
{
    return call_about(sup, TR__SUP_RESTART_CHILD, id);
}

tr_sup_result tr_supervisor_delete_child(tr_dest sup, tr_term id)
{
    return call_about(sup, TR__SUP_DELETE_CHILD, id);
}

tr_sup_result tr__supervisor_resize(tr_dest sup, uint32_t partitions)
{
    return call_about(sup, TR__SUP_RESIZE, tr_int(partitions));
}

/* ---- pictures
 * ----------------------------------------------------------------------------------------------------- */

static tr_child_info *copy_infos(const tr__sup_children *answer)
{
    tr_child_info *infos = tr_scratch_alloc((answer->count + 1) * sizeof(*infos));
    if (answer->count != 0) {
        memcpy(infos, answer->list->bytes, answer->count * sizeof(*infos));
    }
    for (size_t i = 0; i < answer->count; i++) {
        infos[i].id = tr__to_scratch(infos[i].id);
    }
    return infos;
}

tr_err tr_supervisor_which_children(tr_dest sup, const tr_child_info **children, size_t *count)
{
    tr_msg *reply = NULL;
    tr_err err = call_for(sup, TR__SUP_WHICH_CHILDREN, TR_TERM_NONE_VALUE, TR_TYPE(tr__sup_children), &reply);
    if (err == TR_OK) {
        const tr__sup_children *answer = TR_MATCH(reply, tr__sup_children);
        *children = copy_infos(answer);
        *count = answer->count;
        tr_msg_drop(reply);
    }
    return err;
}

tr_err tr_supervisor_get_childspec(tr_dest sup, tr_term id, tr_child_info *info)
{
    tr_msg *reply = NULL;
    tr_err err = call_for(sup, TR__SUP_GET_CHILDSPEC, id, TR_TYPE(tr__sup_children), &reply);
    if (err == TR_OK) {
        *info = copy_infos(TR_MATCH(reply, tr__sup_children))[0];
        tr_msg_drop(reply);
    }
    return err;
}

tr_err tr_supervisor_count_children(tr_dest sup, tr_child_counts *counts)
{
    tr_msg *reply = NULL;
    tr_err err = call_for(sup, TR__SUP_COUNT_CHILDREN, TR_TERM_NONE_VALUE, TR_TYPE(tr__sup_counts), &reply);
    if (err == TR_OK) {
        *counts = TR_MATCH(reply, tr__sup_counts)->counts;
        tr_msg_drop(reply);
    }
    return err;
}

tr_err tr_supervisor_info(tr_dest sup, tr_sup_info *info)
{
    tr_msg *reply = NULL;
    tr_err err = call_for(sup, TR__SUP_INFO, TR_TERM_NONE_VALUE, TR_TYPE(tr__sup_picture), &reply);
    if (err == TR_OK) {
        *info = TR_MATCH(reply, tr__sup_picture)->info;
        tr_msg_drop(reply);
    }
    return err;
}
