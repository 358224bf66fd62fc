/* steps_process.c: processes, links, monitors, messages, names. */
#include <string.h>

#include "tests/conformance/runner/plain.h"
#include "tests/conformance/runner/step.h"
#include "tests/conformance/runner/world.h"

static outcome ok(void)
{
    return outcome_value(TR_ATOM(OK));
}

static outcome badarg(void)
{
    return outcome_error(TR_ATOM(BADARG));
}

/* ---- links and signals ------------------------------------------------------------------------------------------- */
static outcome do_trap(const step_args *args)
{
    return outcome_value(value_bool(tr_trap_exit(tr_same(args->item[0], TR_ATOM(TRUE)))));
}

static outcome do_link(const step_args *args)
{
    tr_pid pid;
    TRY(step_pid(args->item[0], &pid));
    return tr_link(tr_to(pid)) == TR_OK ? outcome_value(TR_ATOM(TRUE)) : outcome_error(TR_ATOM(NOPROC));
}

static outcome do_unlink(const step_args *args)
{
    tr_pid pid;
    TRY(step_pid(args->item[0], &pid));
    tr_unlink(tr_to(pid));
    return outcome_value(TR_ATOM(TRUE));
}

static outcome do_signal(const step_args *args)
{
    tr_pid pid;
    tr_term reason;
    TRY(step_pid(args->item[0], &pid));
    TRY(step_eval(args, 1, &reason));
    tr_exit_signal(tr_to(pid), reason);
    return outcome_value(TR_ATOM(TRUE));
}

/* ---- monitors and aliases ---------------------------------------------------------------------------------------- */
static tr_alias_kind alias_kind(tr_term name)
{
    return value_is(name, "explicit_unalias")  ? TR_ALIAS_EXPLICIT
           : value_is(name, "reply")           ? TR_ALIAS_REPLY
           : value_is(name, "demonitor")       ? TR_ALIAS_DEMONITOR
           : value_is(name, "reply_demonitor") ? TR_ALIAS_REPLY_DEMONITOR
                                               : TR_ALIAS_NONE;
}

static outcome do_monitor(const step_args *args)
{
    tr_dest dest;
    tr_monitor_opts opts = {.alias = TR_ALIAS_NONE};
    TRY(step_dest(args->item[1], &dest));
    tr_term list = step_arg(args, 2);
    for (size_t i = 0; i < value_count(list); i++) {
        tr_term opt = value_item(list, i);
        if (value_is(value_item(opt, 0), "alias")) {
            opts.alias = alias_kind(value_item(opt, 1));
        } else if (value_is(value_item(opt, 0), "tag")) {
            opts.tag = value_item(opt, 1);
        }
    }
    tr_term ref = tr_ref_term(tr_monitor(dest, &opts));
    world_put(NAME_REF, args->item[0], ref);
    if (opts.alias != TR_ALIAS_NONE) {
        world_put(NAME_ALIAS, args->item[0], ref);
    }
    return ok();
}

static bool has(tr_term list, const char *atom)
{
    for (size_t i = 0; i < value_count(list); i++) {
        if (value_is(value_item(list, i), atom)) {
            return true;
        }
    }
    return false;
}

static outcome do_demonitor(const step_args *args)
{
    tr_term ref = world_get(NAME_REF, args->item[0]);
    if (tr_is_none(ref)) {
        return badarg();
    }
    tr_term opts = step_arg(args, 1);
    bool active = tr_demonitor(tr_ref_value(ref), has(opts, "flush"));
    return outcome_value(value_bool(active || !has(opts, "info")));
}

static outcome do_alias(const step_args *args)
{
    tr_term opts = step_arg(args, 1);
    tr_alias_kind kind = has(opts, "reply") ? TR_ALIAS_REPLY : TR_ALIAS_EXPLICIT;
    tr_term ref = tr_ref_term(tr_alias(kind));
    world_put(NAME_REF, args->item[0], ref);
    world_put(NAME_ALIAS, args->item[0], ref);
    return ok();
}

static outcome do_unalias(const step_args *args)
{
    tr_term ref = world_get(NAME_ALIAS, args->item[0]);
    return tr_is_none(ref) ? badarg() : outcome_value(value_bool(tr_unalias(tr_ref_value(ref))));
}

/* ---- messages ---------------------------------------------------------------------------------------------------- */
static outcome do_send(const step_args *args)
{
    tr_dest dest;
    tr_term value;
    TRY(step_dest(args->item[0], &dest));
    TRY(step_eval(args, 1, &value));
    if (tr_send_term(dest, value) == TR_E_NOPROC) {
        return badarg();
    }
    return outcome_value(tr_atom("sent"));
}

static bool matches(const tr_msg *msg, void *pattern)
{
    if (plain_is_command(msg)) {
        return false;
    }
    tr_term wanted = *(tr_term *)pattern;
    tr_term message = value_from_message(msg);
    return value_is(wanted, "_") || tr_term_equal(message, wanted) ||
           (value_is_tuple(message) && value_count(message) > 0 &&
            tr_term_equal(value_item(message, 0), wanted));
}

static tr_term taken(tr_msg *msg)
{
    tr_term message = value_from_message(msg);
    tr_msg_drop(msg);
    return message;
}

static outcome do_recv(const step_args *args)
{
    tr_term pattern;
    TRY(step_eval(args, 0, &pattern));
    tr_msg *msg = tr_receive(matches, &pattern, value_ms(args->item[1]));
    return outcome_value(msg == NULL ? TR_ATOM(TIMEOUT) : taken(msg));
}

static outcome do_flush(const step_args *args)
{
    tr_term items[VALUE_ITEMS_MAX];
    tr_term anything = tr_atom("_");
    size_t count = 0;
    (void)args;
    tr_msg *msg;
    while (count < VALUE_ITEMS_MAX && (msg = tr_receive(matches, &anything, 0)) != NULL) {
        items[count] = taken(msg);
        count++;
    }
    return outcome_value(tr_list_n(count, items));
}

static outcome do_hold(const step_args *args)
{
    puppet *self = world_self();
    if (self != NULL) {
        self->hold = tr_same(args->item[0], TR_ATOM(TRUE));
    }
    return ok();
}

static outcome do_sleep(const step_args *args)
{
    tr_sleep(tr_int_value(args->item[0]));
    return ok();
}

static outcome do_block(const step_args *args)
{
    (void)args;
    plain_hang();
}

/* ---- spawning ---------------------------------------------------------------------------------------------------- */
static outcome spawn(tr_term name, tr_term opts, tr_spawn_opts *how)
{
    const puppet *made = plain_spawn(name, opts, how);
    return made == NULL ? outcome_error(tr_atom("system_limit")) : outcome_value(tr_pid_term(made->pid));
}

static outcome do_spawn(const step_args *args)
{
    return spawn(args->item[0], step_arg(args, 1), &(tr_spawn_opts){.link = false});
}

static outcome do_spawn_link(const step_args *args)
{
    return spawn(args->item[0], step_arg(args, 1), &(tr_spawn_opts){.link = true});
}

static outcome do_spawn_monitor(const step_args *args)
{
    tr_ref ref;
    outcome pid = spawn(args->item[0], step_arg(args, 2), &(tr_spawn_opts){.monitor = &ref});
    TRY(pid);
    world_put(NAME_REF, args->item[1], tr_ref_term(ref));
    return outcome_value(tr_tuple(pid.value, tr_ref_term(ref)));
}

static outcome do_ack(const step_args *args)
{
    (void)args;
    const puppet *self = world_self();
    bool has_opts = self != NULL && self->actor != NULL;
    tr_init_ack(has_opts ? value_get(self->actor->opts, "info") : TR_TERM_NONE_VALUE);
    return ok();
}

/* ---- names ------------------------------------------------------------------------------------------------------- */
static outcome do_register(const step_args *args)
{
    tr_pid pid;
    TRY(step_pid(args->item[1], &pid));
    return tr_register(args->item[0], pid) == TR_OK ? outcome_value(TR_ATOM(TRUE)) : badarg();
}

static outcome do_unregister(const step_args *args)
{
    return tr_unregister(args->item[0]) == TR_OK ? outcome_value(TR_ATOM(TRUE)) : badarg();
}

static outcome do_whereis(const step_args *args)
{
    tr_pid pid = tr_whereis(tr_to_name(args->item[0]));
    return outcome_value(pid == TR_NO_PID ? TR_ATOM(UNDEFINED) : tr_pid_term(pid));
}

static outcome do_alive(const step_args *args)
{
    tr_pid pid;
    TRY(step_pid(args->item[0], &pid));
    return outcome_value(value_bool(tr_is_alive(pid)));
}

/* ---- info -------------------------------------------------------------------------------------------------------- */
static tr_term puppets_only(const tr_pid *pids, size_t count)
{
    tr_term items[VALUE_ITEMS_MAX];
    size_t kept = 0;
    for (size_t i = 0; i < count && kept < VALUE_ITEMS_MAX; i++) {
        if (world_by_pid(pids[i]) != NULL) {
            items[kept] = tr_pid_term(pids[i]);
            kept++;
        }
    }
    return value_sorted(kept, items);
}

static tr_term monitored(const tr_process_info *info)
{
    tr_term items[VALUE_ITEMS_MAX];
    size_t count = info->monitor_count < VALUE_ITEMS_MAX ? info->monitor_count : VALUE_ITEMS_MAX;
    for (size_t i = 0; i < count; i++) {
        items[i] = tr_is_none(info->monitor_names[i]) ? tr_pid_term(info->monitors[i])
                                                      : tr_tuple(info->monitor_names[i], tr_atom("node"));
    }
    return value_sorted(count, items);
}

static const char *status_text(tr_status status)
{
    return status == TR_STATUS_WAITING     ? "waiting"
           : status == TR_STATUS_SUSPENDED ? "waiting"
           : status == TR_STATUS_RUNNING   ? "running"
           : status == TR_STATUS_EXITING   ? "exiting"
                                           : "runnable";
}

static outcome info_item(const tr_process_info *info, const char *item)
{
    if (strcmp(item, "links") == 0) {
        return outcome_value(puppets_only(info->links, info->link_count));
    }
    if (strcmp(item, "monitors") == 0) {
        return outcome_value(monitored(info));
    }
    if (strcmp(item, "monitored_by") == 0) {
        return outcome_value(puppets_only(info->monitored_by, info->monitored_by_count));
    }
    if (strcmp(item, "trap_exit") == 0) {
        return outcome_value(value_bool(info->trap_exit));
    }
    if (strcmp(item, "message_queue_len") == 0) {
        return outcome_value(tr_int((int64_t)info->message_count));
    }
    if (strcmp(item, "messages") == 0) {
        return outcome_value(tr_list_n(info->message_count, info->messages));
    }
    if (strcmp(item, "registered_name") == 0) {
        return outcome_value(tr_is_atom(info->summary.name) ? info->summary.name : tr_list_n(0, NULL));
    }
    if (strcmp(item, "status") == 0) {
        return outcome_value(tr_atom(status_text(info->summary.status)));
    }
    return badarg();
}

static outcome do_info(const step_args *args)
{
    tr_pid pid;
    tr_process_info info;
    TRY(step_pid(args->item[0], &pid));
    if (tr_process_info_of(pid, value_is(args->item[1], "messages"), TR_INFINITY, &info) != TR_OK) {
        return outcome_value(TR_ATOM(UNDEFINED));
    }
    return info_item(&info, tr_atom_text(args->item[1]));
}

const step_verb steps_process[] = {
    {"trap", 1, 1, do_trap},
    {"link", 1, 1, do_link},
    {"unlink", 1, 1, do_unlink},
    {"signal", 2, 2, do_signal},
    {"monitor", 2, 3, do_monitor},
    {"demonitor", 1, 2, do_demonitor},
    {"alias", 1, 2, do_alias},
    {"unalias", 1, 1, do_unalias},
    {"send", 2, 2, do_send},
    {"recv", 2, 2, do_recv},
    {"flush", 0, 0, do_flush},
    {"hold", 1, 1, do_hold},
    {"sleep", 1, 1, do_sleep},
    {"block", 0, 0, do_block},
    {"spawn", 1, 2, do_spawn},
    {"spawn_link", 1, 2, do_spawn_link},
    {"spawn_monitor", 2, 3, do_spawn_monitor},
    {"ack", 0, 0, do_ack},
    {"register", 2, 2, do_register},
    {"unregister", 1, 1, do_unregister},
    {"whereis", 1, 1, do_whereis},
    {"alive", 1, 1, do_alive},
    {"info", 2, 2, do_info},
    {NULL, 0, 0, NULL},
};
