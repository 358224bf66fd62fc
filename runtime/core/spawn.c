/* Birth of a process, and the start protocol (proc_lib). */
#include <stdlib.h>
#include <string.h>
#include <troupe/registry.h>

#include "runtime/core/core.h"
#include "runtime/core/foreign.h"
#include "runtime/core/mem.h"
#include "runtime/core/message.h"
#include "runtime/sys/clock.h"

/* What a plain process runs. */
struct plain {
    tr_main_fn main;
    bool manual_ack;
    bool has_arg; /* a copy in the arena: tr_hibernate's */
    bool hibernates;
    const void *arg;
    _Alignas(16) unsigned char copied[]; /* what arg points to, unless tr_hibernate changed it */
};

static void plain_start(void *data)
{
    struct plain *plain = data;
    if (!plain->manual_ack) {
        tr__init_ack(TR_TERM_NONE_VALUE);
    }
    plain->main(plain->arg);
    tr__finish(TR_ATOM(NORMAL));
}

/* Hibernating: the first message, which stays queued, begins main. */
static bool plain_idle(void *data)
{
    struct plain *plain = data;
    if (!plain->hibernates || tr__proc_self()->head == NULL) {
        return false;
    }
    plain->hibernates = false;
    tr__set_filter(NULL);
    plain->main(plain->arg);
    tr__finish(TR_ATOM(NORMAL));
}

const tr__behaviour tr__plain_behaviour = {.name = "process", .start = plain_start, .idle = plain_idle};

static bool wants_nothing(void *data, const tr_msg *msg)
{
    (void)data;
    (void)msg;
    return false;
}

void tr_hibernate(tr_main_fn fn, const void *arg, size_t arg_bytes)
{
    tr__proc *proc = tr__proc_self();
    TR_CHECK(proc != NULL && proc->behaviour == &tr__plain_behaviour);
    struct plain *plain = proc->data;
    void *old = plain->has_arg ? (void *)(uintptr_t)plain->arg : NULL;
    plain->main = fn;
    plain->arg = arg;
    plain->has_arg = arg_bytes != 0;
    plain->hibernates = true;
    if (arg_bytes != 0) {
        void *copy = tr__arena_alloc(proc, arg_bytes);
        memcpy(copy, arg, arg_bytes);
        plain->arg = copy;
    }
    tr_free(old);
    tr__set_filter(wants_nothing);
    tr__drop_frames();
}

void *tr__data_alloc(tr__proc *proc, size_t bytes)
{
    uint8_t mem_class;
    void *data = bytes > UINT32_MAX ? NULL : tr__mem_alloc(bytes, &mem_class);
    if (data == NULL) {
        tr__out_of_memory();
    }
    memset(data, 0, bytes);
    proc->data = data;
    proc->data_bytes = (uint32_t)bytes;
    tr__bump(&proc->memory, bytes);
    return data;
}

/* Its argument lies behind it in the same block. Returns false when there is no memory. */
static bool plain_fill(tr__proc *proc, const tr__spawn *spawn)
{
    size_t bytes = sizeof(struct plain) + spawn->arg_bytes;
    uint8_t mem_class;
    struct plain *plain = bytes > UINT32_MAX ? NULL : tr__mem_alloc(bytes, &mem_class);
    if (plain == NULL) {
        return false;
    }
    *plain = (struct plain){.main = spawn->main, .manual_ack = spawn->manual_ack, .arg = spawn->arg};
    if (spawn->arg_bytes != 0) {
        plain->arg = memcpy(plain->copied, spawn->arg, spawn->arg_bytes);
    }
    proc->data = plain;
    proc->data_bytes = (uint32_t)bytes;
    tr__bump(&proc->memory, bytes);
    return true;
}

/* The name it is to take, kept in its arena until it runs. */
struct tr__boot_name {
    tr_term name, key, value;
    tr_registry *registry;
};

static void boot_fill(tr__proc *proc, const tr__spawn *spawn, const tr__proc *self)
{
    /* Whoever lists processes sees it already: what summaries show changes by atomic stores. */
    tr__store_relaxed(&proc->behaviour, spawn->behaviour != NULL ? spawn->behaviour : &tr__plain_behaviour);
    tr__store_relaxed(&proc->parent, self == NULL ? TR_NO_PID : self->pid);
    proc->trap_exit = spawn->opts.trap_exit;
    proc->ack = spawn->ack;
    proc->report_crash = spawn->report_crash || spawn->behaviour != NULL;
    tr__store_relaxed(&proc->mailbox_max,
                      spawn->opts.mailbox_max != 0 ? spawn->opts.mailbox_max : tr__the_node.opts.mailbox_max);
    tr__store_relaxed(&proc->restarts, spawn->restarts);
    tr__core *core = tr__core_self();
    tr__store_relaxed(&proc->started_ms,
                      core == NULL ? tr__clock_ms() : (int64_t)(tr__core_recent_ns(core) / 1000000u));
    tr__store_relaxed(&proc->status, (uint8_t)TR_STATUS_RUNNABLE);
    if (spawn->opts.core > 0) {
        TR_ASSERT(spawn->opts.core <= tr__the_node.core_count);
        tr__store_relaxed(&proc->home, spawn->opts.core - 1);
        proc->bound = true;
    }
    if (spawn->opts.resource != NULL) {
        *spawn->opts.resource = (tr_resource){.destroy = spawn->opts.resource->destroy};
        proc->resources = spawn->opts.resource;
    }
}

static bool takes_a_name(const tr__spawn *spawn)
{
    return !tr_is_none(spawn->start.name) || spawn->start.registry != NULL;
}

/* What may end in want of memory. */
static void memory_fill(tr__proc *proc, const tr__spawn *spawn)
{
    if (takes_a_name(spawn)) {
        struct tr__boot_name *boot = tr__arena_alloc(proc, sizeof(*boot));
        *boot = (struct tr__boot_name){.name = spawn->start.name,
                                       .registry = spawn->start.registry,
                                       .key = tr__arena_keep(proc, spawn->start.key),
                                       .value = tr__arena_keep(proc, spawn->start.value)};
        proc->boot_name = boot;
    }
    if (spawn->behaviour == NULL) {
        if (!plain_fill(proc, spawn)) {
            tr__out_of_memory();
        }
        return;
    }
    if (spawn->data_bytes != 0) {
        tr__data_alloc(proc, spawn->data_bytes);
    }
    if (spawn->fill != NULL) {
        spawn->fill(proc, proc->data, spawn->fill_ctx);
    }
}

struct filling {
    tr__proc *proc;
    const tr__spawn *spawn;
};

static void fill_it(void *ctx)
{
    const struct filling *filling = ctx;
    memory_fill(filling->proc, filling->spawn);
}

/* Out of memory half-way: nobody knows of it yet, so its slot and all it has go back. */
static bool filled(tr__proc *proc, const tr__spawn *spawn, const tr__proc *self)
{
    boot_fill(proc, spawn, self);
    bool full = true;
    tr_term reason;
    if (spawn->behaviour == NULL && !takes_a_name(spawn)) {
        full = plain_fill(proc, spawn); /* one block: no need to catch */
    } else if (self != NULL) {
        full = !tr__catch(fill_it, &(struct filling){proc, spawn}, &reason);
    } else {
        memory_fill(proc, spawn);
    }
    if (!full) {
        tr__proc_discard(proc);
    }
    return full;
}

/* Links and monitors stand before the child can run: it cannot die unseen. */
static void relate(tr__proc *proc, const tr__spawn *spawn, tr__proc *self)
{
    if (spawn->opts.link) {
        tr__edges_add(&self->edges, TR__EDGE_LINK, proc->pid, 0);
        tr__edges_add(&proc->edges, TR__EDGE_LINK, self->pid, 0);
    }
    if (spawn->opts.monitor != NULL) {
        tr_ref ref = tr__ref_new(self->pid);
        tr__monitor_edge(self, ref, proc->pid, TR_TERM_NONE_VALUE, spawn->opts.monitor_opts);
        tr__edges_add(&proc->edges, TR__EDGE_WATCHER, ref.id, self->pid);
        *spawn->opts.monitor = ref;
    }
    if (spawn->await_ack) {
        tr_ref ref = tr__ref_new(self->pid);
        tr__edges_add(&self->edges, TR__EDGE_MONITOR, ref.id, proc->pid)->alias = TR_ALIAS_REPLY_DEMONITOR;
        tr__edges_add(&proc->edges, TR__EDGE_WATCHER, ref.id, self->pid);
        proc->ack = ref;
        *spawn->await_ack = ref;
    }
}

static tr_err spawn_process(const tr__spawn *spawn, tr_pid *pid)
{
    tr__proc *self = tr__proc_self();
    if (self == NULL && (spawn->opts.link || spawn->opts.monitor != NULL || spawn->await_ack != NULL)) {
        return TR_E_STATE;
    }
    tr__proc *proc = tr__table_take();
    if (proc == NULL) {
        return TR_E_LIMIT;
    }
    if (!filled(proc, spawn, self)) {
        return TR_E_NOMEM;
    }
    relate(proc, spawn, self);
    if (spawn->opts.label != NULL) {
        tr__summary_label(proc, spawn->opts.label);
    } else if (spawn->label != NULL) {
        tr__summary_lend_label(proc, spawn->label);
    }
    tr__store_relaxed(&proc->open_replies, (uint8_t)spawn->open_replies);
    TR__COUNT(spawned, 1);
    if (pid != NULL) {
        *pid = proc->pid;
    }
    tr__table_open(proc);
    tr__schedule(proc);
    return TR_OK;
}

tr_err tr__spawn_process(const tr__spawn *spawn, tr_pid *pid)
{
    if (tr__core_self() != NULL) {
        return spawn_process(spawn, pid);
    }
    if (!tr__foreign_enter()) {
        return TR_E_STATE;
    }
    tr_err err = spawn_process(spawn, pid);
    tr__foreign_leave();
    return err;
}

tr_err tr_spawn(const tr_spawn_opts *opts, tr_main_fn fn, const void *arg, size_t arg_bytes, tr_pid *pid)
{
    tr__spawn spawn = {.main = fn, .arg = arg, .arg_bytes = arg_bytes};
    if (opts != NULL) {
        spawn.opts = *opts;
    }
    return tr__spawn_process(&spawn, pid);
}

/* ---- in the new process
 * ----------------------------------------------------------------------------------------- */

static tr_err boot_register(tr__proc *proc, const struct tr__boot_name *boot, tr_pid *owner)
{
    if (!tr_is_none(boot->name)) {
        tr_err err = tr_register(boot->name, proc->pid);
        *owner = err == TR_OK ? proc->pid : tr_whereis(tr_to_name(boot->name));
        if (err != TR_OK) {
            return err;
        }
    }
    if (boot->registry == NULL) {
        return TR_OK;
    }
    if (tr_registry_keys_of(boot->registry) != TR_UNIQUE_KEYS) {
        return TR_E_BADARG; /* nobody could find it by that name */
    }
    return tr_registry_register(boot->registry, boot->key, boot->value, owner);
}

void tr__boot(tr__proc *proc)
{
    struct tr__boot_name *boot = proc->boot_name;
    if (boot == NULL) {
        return;
    }
    proc->boot_name = NULL;
    tr_pid owner = TR_NO_PID;
    tr_err err = boot_register(proc, boot, &owner);
    if (err != TR_OK) {
        tr_term reason = err == TR_E_ALREADY_STARTED ? tr_tuple(TR_ATOM(ALREADY_STARTED), tr_pid_term(owner))
                                                     : TR_ATOM(BADARG);
        tr__init_fail(TR__ACK_ERROR, reason, TR_ATOM(NORMAL));
    }
    tr_free_term(boot->key);
    tr_free_term(boot->value);
    tr_free(boot);
}

static void send_ack(tr__proc *proc, tr__ack_kind kind, tr_term info)
{
    if (proc->acked || proc->ack.id == 0) {
        return;
    }
    proc->acked = true;
    tr_msg *msg = tr__msg_make(TR_TYPE(tr__ack), &(tr__ack){.kind = kind, .pid = proc->pid, .info = info},
                               TR_MSG_ACK, proc->ack);
    msg->tr__flags |= TR__F_ALIAS | TR__F_DEMONITORED;
    tr__edge *edge = tr__edges_find_watcher(&proc->edges, proc->ack);
    if (edge != NULL) {
        tr__edges_remove(&proc->edges, edge);
    }
    if (tr__push(proc->ack.owner, msg) != TR_OK) {
        tr__msg_free(msg);
    }
}

void tr__init_ack(tr_term info)
{
    send_ack(tr__proc_self(), TR__ACK_OK, info);
}

void tr__init_fail(tr__ack_kind kind, tr_term told, tr_term exit_reason)
{
    tr__proc *proc = tr__proc_self();
    tr__names_release(proc->pid, &proc->names);
    send_ack(proc, kind, told);
    tr__finish(exit_reason);
}

/* ---- in the starter
 * --------------------------------------------------------------------------------------------- */

static bool name_taken(const tr_start_opts *start, tr_pid *owner)
{
    *owner = TR_NO_PID;
    if (!tr_is_none(start->name)) {
        *owner = tr_whereis(tr_to_name(start->name));
    }
    if (*owner == TR_NO_PID && start->registry != NULL) {
        *owner = tr_whereis(tr_to_via(start->registry, start->key));
    }
    return *owner != TR_NO_PID;
}

static tr_err ack_result(const tr__ack *ack, tr_started *started, tr_term *info)
{
    switch (ack->kind) {
    case TR__ACK_OK:
        started->pid = ack->pid;
        if (info != NULL) {
            *info = ack->info;
        }
        return TR_OK;
    case TR__ACK_IGNORE:
        started->reason = TR_ATOM(IGNORE);
        return TR_E_IGNORE;
    case TR__ACK_ERROR:
        break;
    }
    started->reason = ack->info;
    return tr_is_tagged(ack->info, "already_started", 2) ? TR_E_ALREADY_STARTED : TR_E_EXIT;
}

/* Time is up: the child is killed and nothing of it reaches the starter any more. */
static tr_err start_timed_out(tr_pid pid, tr_ref ack)
{
    tr_unlink(tr_to(pid));
    tr_exit_signal(tr_to(pid), TR_ATOM(KILL));
    tr_demonitor(ack, true);
    return TR_E_TIMEOUT;
}

static tr_err await_start(tr_pid pid, tr_ref ack, int64_t timeout_ms, tr_started *started, tr_term *info)
{
    tr_msg *msg = tr__receive_ref_new(ack, timeout_ms);
    if (msg == NULL) {
        started->reason = TR_ATOM(TIMEOUT);
        return start_timed_out(pid, ack);
    }
    const tr__ack *told = TR_MATCH(msg, tr__ack);
    if (told == NULL) {
        started->reason = ((const tr_down_msg *)tr_msg_data(msg))->reason;
        return TR_E_EXIT;
    }
    tr_err err = ack_result(told, started, info);
    if (err == TR_OK && info == NULL) {
        tr_msg_drop(msg); /* one that starts many and never returns would hold as many */
    }
    return err;
}

tr_err tr__start(tr__spawn *spawn, tr__start_how how, int64_t timeout_ms, tr_started *started, tr_term *info)
{
    tr_started unused;
    started = started != NULL ? started : &unused;
    *started = (tr_started){0};
    tr_pid pid;
    if (name_taken(&spawn->start, &pid)) {
        started->reason = tr_tuple(TR_ATOM(ALREADY_STARTED), tr_pid_term(pid));
        return TR_E_ALREADY_STARTED;
    }
    tr_ref ack;
    spawn->await_ack = &ack;
    bool watched = how == TR__START_WATCHED;
    spawn->opts.link = how == TR__START_LINKED || (watched && spawn->opts.link);
    spawn->opts.monitor = watched || how == TR__START_MONITORED ? &started->monitor : NULL;
    tr_err err = tr__spawn_process(spawn, &pid);
    if (err != TR_OK) {
        started->reason = tr_atom(err == TR_E_LIMIT ? "system_limit" : "nomem");
        return err;
    }
    err = await_start(pid, ack, timeout_ms, started, info);
    if (err != TR_OK && how == TR__START_MONITORED) {
        tr_demonitor(started->monitor, true);
        started->monitor = TR_NO_REF;
    }
    return err;
}
