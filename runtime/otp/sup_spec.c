/* Child specs and flags: what is wrong with them, in OTP's words, and copies of them that the supervisor
 * owns. */
#include <string.h>

#include "runtime/otp/supervisor.h"

#define INTENSITY_DEFAULT   3
#define PERIOD_DEFAULT_S    5
#define SHUTDOWN_DEFAULT_MS 5000

/* ---- errors
 * ------------------------------------------------------------------------------------------------------ */

static tr_term invalid(const char *what, tr_term value)
{
    return tr_tuple(tr_atom(what), value);
}

static tr_term start_error(const tr_child_spec *spec)
{
    tr_term kinds[5];
    size_t count = 0;
    if (spec->server != NULL) {
        kinds[count++] = TR_ATOM(GEN_SERVER);
    }
    if (spec->statem != NULL) {
        kinds[count++] = tr_atom("gen_statem");
    }
    if (spec->supervisor != NULL) {
        kinds[count++] = TR_ATOM(SUPERVISOR);
    }
    if (spec->main != NULL) {
        kinds[count++] = TR_ATOM(PROCESS);
    }
    if (spec->start_fn != NULL) {
        kinds[count++] = tr_atom("start_fn");
    }
    if (count == 0) {
        return tr_atom("missing_start");
    }
    return count == 1 ? TR_TERM_NONE_VALUE : invalid("invalid_mfa", tr_list_n(count, kinds));
}

static tr_term bad_combination(const char *key, const char *value)
{
    return invalid("bad_combination", tr_list(tr_tuple(tr_atom(key), tr_atom(value)),
                                              tr_tuple(tr_atom("significant"), TR_ATOM(TRUE))));
}

static tr_term significant_error(const tr_child_spec *spec, const tr_auto_shutdown *auto_shutdown)
{
    if (spec->significant && auto_shutdown != NULL && *auto_shutdown == TR_AUTO_NEVER) {
        return bad_combination("auto_shutdown", "never");
    }
    if (spec->significant && spec->restart == TR_PERMANENT) {
        return bad_combination("restart", "permanent");
    }
    return TR_TERM_NONE_VALUE;
}

tr_term tr__spec_error(const tr_child_spec *spec, const tr_auto_shutdown *auto_shutdown)
{
    if (tr_is_none(spec->id)) {
        return tr_atom("missing_id");
    }
    tr_term error = start_error(spec);
    if (!tr_is_none(error)) {
        return error;
    }
    if ((unsigned)spec->restart > TR_TEMPORARY) {
        return invalid("invalid_restart_type", tr_int((int64_t)spec->restart));
    }
    error = significant_error(spec, auto_shutdown);
    if (!tr_is_none(error)) {
        return error;
    }
    if ((unsigned)spec->type > TR_SUPERVISOR) {
        return invalid("invalid_child_type", tr_int((int64_t)spec->type));
    }
    if (spec->shutdown_ms < TR_SHUTDOWN_NOW) {
        return invalid("invalid_shutdown", tr_int(spec->shutdown_ms));
    }
    return TR_TERM_NONE_VALUE;
}

/* Position of the first spec whose id occurred before, or count. */
static size_t duplicate_at(const tr_child_spec *specs, size_t count)
{
    size_t room = 8;
    while (room < count * 2) {
        room *= 2;
    }
    size_t *seen = tr_scratch_alloc(room * sizeof(*seen));
    memset(seen, 0, room * sizeof(*seen));
    for (size_t i = 0; i < count; i++) {
        size_t at = (size_t)tr_term_hash(specs[i].id) & (room - 1);
        while (seen[at] != 0) {
            if (tr_term_equal(specs[seen[at] - 1].id, specs[i].id)) {
                return i;
            }
            at = (at + 1) & (room - 1);
        }
        seen[at] = i + 1;
    }
    return count;
}

tr_term tr__specs_error(const tr_child_spec *specs, size_t count, const tr_auto_shutdown *auto_shutdown)
{
    size_t valid = 0;
    tr_term error = TR_TERM_NONE_VALUE;
    while (valid < count && tr_is_none(error)) {
        error = tr__spec_error(&specs[valid], auto_shutdown);
        valid += tr_is_none(error) ? 1 : 0;
    }
    /* the list is checked from its head: a duplicate before the first invalid spec is found first */
    size_t duplicate = duplicate_at(specs, valid);
    return duplicate < valid ? invalid("duplicate_child_name", specs[duplicate].id) : error;
}

tr_err tr_supervisor_check_childspecs(const tr_child_spec *specs, size_t count, tr_term *reason)
{
    tr_term error = tr__specs_error(specs, count, NULL);
    if (tr_is_none(error)) {
        return TR_OK;
    }
    if (reason != NULL) {
        *reason = error;
    }
    return TR_E_BADARG;
}

tr_term tr__flags_resolve(tr_sup_flags *flags)
{
    if ((unsigned)flags->strategy > TR_DYNAMIC) {
        return invalid("invalid_strategy", tr_int((int64_t)flags->strategy));
    }
    if (flags->intensity < TR_INTENSITY_NONE) {
        return invalid("invalid_intensity", tr_int(flags->intensity));
    }
    if (flags->period_s < 0) {
        return invalid("invalid_period", tr_int(flags->period_s));
    }
    if ((unsigned)flags->auto_shutdown > TR_AUTO_ALL_SIGNIFICANT) {
        return invalid("invalid_auto_shutdown", tr_int((int64_t)flags->auto_shutdown));
    }
    if (flags->max_children < TR_MAX_CHILDREN_NONE) {
        return invalid("invalid_max_children", tr_int(flags->max_children));
    }
    if (flags->extra_arg == NULL && flags->extra_bytes != 0) {
        return invalid("invalid_extra_arguments", tr_int((int64_t)flags->extra_bytes));
    }
    flags->intensity = flags->intensity == 0 ? INTENSITY_DEFAULT : flags->intensity;
    flags->period_s = flags->period_s == 0 ? PERIOD_DEFAULT_S : flags->period_s;
    return TR_TERM_NONE_VALUE;
}

/* ---- copies
 * ------------------------------------------------------------------------------------------------------ */

static int64_t shutdown_resolved(const tr_child_spec *spec)
{
    if (spec->shutdown_ms == TR_SHUTDOWN_DEFAULT) {
        return spec->type == TR_SUPERVISOR ? TR_INFINITY : SHUTDOWN_DEFAULT_MS;
    }
    return spec->shutdown_ms == TR_SHUTDOWN_NOW ? 0 : spec->shutdown_ms;
}

static void *copy_bytes(const void *bytes, size_t size)
{
    void *copy = tr_alloc(size);
    memcpy(copy, bytes, size);
    return copy;
}

tr_child_spec *tr__spec_copy(const tr_child_spec *spec)
{
    tr_child_spec *copy = copy_bytes(spec, sizeof(*spec));
    if (spec->supervisor != NULL) {
        copy->type = TR_SUPERVISOR;
    }
    copy->shutdown_ms = shutdown_resolved(copy);
    copy->id = tr_keep(spec->id);
    copy->start.name = tr_keep(spec->start.name);
    copy->start.key = tr_keep(spec->start.key);
    copy->start.value = tr_keep(spec->start.value);
    if (spec->arg_bytes != 0) {
        copy->arg = copy_bytes(spec->arg, spec->arg_bytes);
    }
    tr_spawn_opts *spawn = &copy->start.spawn;
    if (spawn->label != NULL) {
        spawn->label = copy_bytes(spawn->label, strlen(spawn->label) + 1);
    }
    spawn->link = true;
    spawn->monitor = NULL;
    return copy;
}

void tr__spec_free(tr_child_spec *spec)
{
    tr_free_term(spec->id);
    tr_free_term(spec->start.name);
    tr_free_term(spec->start.key);
    tr_free_term(spec->start.value);
    if (spec->arg_bytes != 0) {
        tr_free((void *)(uintptr_t)spec->arg);
    }
    if (spec->start.spawn.label != NULL) {
        tr_free((void *)(uintptr_t)spec->start.spawn.label);
    }
    tr_free(spec);
}
