/* What a dynamic supervisor has of its own: room for children, their specs, the caller's side. The rest is any
 * supervisor's. */
#include <string.h>

#include <troupe/dynamic_supervisor.h>

#include "runtime/otp/supervisor.h"

/* ---- the supervisor's side
 * ----------------------------------------------------------------------------------------- */

bool tr__dynamic_is_full(const tr__sup *sup)
{
    int64_t most = sup->flags.max_children;
    return most == TR_MAX_CHILDREN_NONE || (most > 0 && sup->children.count >= (uint64_t)most);
}

tr_child_spec *tr__dynamic_spec(const tr__sup *sup, const tr_child_spec *spec)
{
    const tr_sup_flags *flags = &sup->flags;
    tr_child_spec whole = *spec;
    if (flags->extra_bytes == 0) {
        return tr__spec_copy(&whole);
    }
    whole.arg_bytes = flags->extra_bytes + spec->arg_bytes;
    char *arg = tr_alloc(whole.arg_bytes);
    memcpy(arg, flags->extra_arg, flags->extra_bytes);
    if (spec->arg_bytes != 0) {
        memcpy(arg + flags->extra_bytes, spec->arg, spec->arg_bytes);
    }
    whole.arg = arg;
    tr_child_spec *copy = tr__spec_copy(&whole);
    tr_free(arg);
    return copy;
}

/* An argument without a size is a bare pointer: nothing can come before what it points to. */
static bool loses_its_argument(const tr__sup *sup, const tr_child_spec *spec)
{
    return sup != NULL && sup->flags.extra_bytes != 0 && spec->arg != NULL && spec->arg_bytes == 0;
}

tr_term tr__dynamic_spec_error(const tr__sup *sup, const tr_child_spec *spec)
{
    if (spec->significant) {
        return tr_tuple(tr_atom("invalid_significant"), TR_ATOM(TRUE));
    }
    tr_term error = tr__spec_error(spec, NULL);
    if (tr_is_none(error) && loses_its_argument(sup, spec)) {
        return tr_tuple(tr_atom("invalid_argument"), tr_atom("extra_arguments"));
    }
    return error;
}

/* ---- the caller's side
 * --------------------------------------------------------------------------------------------- */

tr_sup_result tr_dynamic_supervisor_start_child(tr_dest sup, const tr_child_spec *spec)
{
    tr_child_spec named = *spec;
    named.id = tr_is_none(spec->id) ? TR_ATOM(UNDEFINED) : spec->id;
    tr_term error = tr__dynamic_spec_error(NULL, &named);
    if (!tr_is_none(error)) {
        return (tr_sup_result){.err = TR_E_BADARG, .reason = error};
    }
    tr_sup_result result = tr_supervisor_start_child(sup, &named);
    if (result.err == TR_OK && result.pid == TR_NO_PID) {
        result.err = TR_E_IGNORE;
    }
    return result;
}

tr_sup_result tr_dynamic_supervisor_terminate_child(tr_dest sup, tr_pid pid)
{
    return tr_supervisor_terminate_child_pid(sup, pid);
}

tr_err tr_dynamic_supervisor_which_children(tr_dest sup, const tr_child_info **children, size_t *count)
{
    return tr_supervisor_which_children(sup, children, count);
}

tr_err tr_dynamic_supervisor_count_children(tr_dest sup, tr_child_counts *counts)
{
    return tr_supervisor_count_children(sup, counts);
}

tr_err tr_dynamic_supervisor_stop(tr_dest sup, tr_term reason, int64_t timeout_ms, tr_term *actual)
{
    return tr_gen_server_stop(sup, reason, timeout_ms, actual);
}
