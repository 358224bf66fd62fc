/* Links, monitors, aliases, exit signals: the caller's side. */
#include <stdlib.h>

#include "runtime/core/core.h"
#include "runtime/core/message.h"
#include "runtime/sim/sim.h"

static tr__proc *self_checked(void)
{
    tr__proc *proc = tr__proc_self();
    TR_ASSERT(proc != NULL);
    return proc;
}

/* ---- exit signals ---- */

void tr_exit_signal(tr_dest dest, tr_term reason)
{
    tr__proc *self = tr__proc_self();
    tr_pid to = tr_whereis(dest);
    tr_msg *msg = tr__exit_make(TR__SIG_EXIT, self == NULL ? TR_NO_PID : self->pid, reason);
    if (tr__push(to, msg) != TR_OK) {
        tr__msg_free(msg);
    } else if (self != NULL && to == self->pid) {
        tr__fetch(self); /* a signal to oneself is acted on before this returns */
    }
}

bool tr_trap_exit(bool on)
{
    tr__proc *self = self_checked();
    bool old = self->trap_exit;
    self->trap_exit = on;
    return old;
}

/* ---- links ---- */

static tr_err link_to_dead(tr__proc *self, tr_pid pid)
{
    if (!self->trap_exit) {
        return TR_E_NOPROC;
    }
    tr__fetch(self); /* what it sent before it died comes first */
    tr_msg *msg = tr__exit_make(TR_MSG_EXIT, pid, TR_ATOM(NOPROC));
    tr__queue_put(self, msg);
    return TR_OK;
}

tr_err tr_link(tr_dest dest)
{
    tr__proc *self = self_checked();
    tr_pid pid = tr_whereis(dest);
    if (pid == self->pid) {
        return TR_OK;
    }
    tr__edge *edge = tr__edges_find(&self->edges, TR__EDGE_LINK, pid);
    if (edge != NULL && edge->other == 0) {
        return TR_OK;
    }
    tr_msg *msg = tr__msg_make(NULL, NULL, TR__SIG_LINK, (tr_ref){self->pid, 0});
    if (tr__push(pid, msg) != TR_OK) {
        tr__msg_free(msg);
        return link_to_dead(self, pid); /* the entry of an unlink stays: its confirmation is under way */
    }
    if (edge != NULL) {
        edge->other = 0; /* an unlink was under way: linked anew */
    } else {
        tr__edges_add(&self->edges, TR__EDGE_LINK, pid, 0);
    }
    return TR_OK;
}

void tr_unlink(tr_dest dest)
{
    tr__proc *self = self_checked();
    tr_pid pid = tr_whereis(dest);
    if (pid == TR_NO_PID && dest.kind == TR_TO_PID) {
        return;
    }
    tr__edge *edge = tr__edges_find(&self->edges, TR__EDGE_LINK, pid);
    if (edge == NULL || edge->other != 0) {
        return;
    }
    tr_ref id = tr__ref_new(self->pid);
    tr_msg *msg = tr__msg_make(NULL, NULL, TR__SIG_UNLINK, id);
    if (tr__push(pid, msg) == TR_OK) {
        edge->other = id.id;
    } else if (tr__planted(TR__PLANT_UNLINK_RACE)) {
        tr__msg_free(msg);
    } else {
        tr__msg_free(msg);
        tr__edges_remove(&self->edges, edge); /* dead: its exit signal, if under way, finds no link */
    }
}

/* ---- monitors ---- */

static void extra_keep(tr__edge *edge, tr_term name, tr_term tag)
{
    if (!tr_is_none(name) || !tr_is_none(tag)) {
        edge->extra = malloc(sizeof(tr__edge_extra));
        TR_ASSERT(edge->extra != NULL);
        *edge->extra = (tr__edge_extra){.name = tr_term_keep(name), .tag = tr_term_keep(tag)};
    }
}

void tr__monitor_edge(tr__proc *self, tr_ref ref, tr_pid target, tr_term name, const tr_monitor_opts *opts)
{
    tr__edge *edge = tr__edges_add(&self->edges, TR__EDGE_MONITOR, ref.id, target);
    edge->alias = opts == NULL ? TR_ALIAS_NONE : (uint8_t)opts->alias;
    extra_keep(edge, name, opts == NULL ? TR_TERM_NONE_VALUE : opts->tag);
}

static void down_at_once(tr__proc *self, tr_ref ref, tr_pid pid)
{
    tr_msg *msg =
        tr__msg_make(TR_TYPE(tr_down_msg), &(tr_down_msg){.ref = ref, .pid = pid, .reason = TR_ATOM(NOPROC)},
                     TR__SIG_DOWN, ref);
    tr__signal_handle(self, msg);
}

tr_ref tr_monitor(tr_dest dest, const tr_monitor_opts *opts)
{
    tr__proc *self = self_checked();
    tr_pid pid = tr_whereis(dest);
    tr_ref ref = tr__ref_new(self->pid);
    if (pid == self->pid) {
        return ref; /* legal, and nothing more than a fresh reference */
    }
    tr__monitor_edge(self, ref, pid, dest.kind == TR_TO_NAME ? dest.name : TR_TERM_NONE_VALUE, opts);
    tr_msg *msg = tr__msg_make(NULL, NULL, TR__SIG_MONITOR, ref);
    if (tr__push(pid, msg) != TR_OK) {
        tr__msg_free(msg);
        tr__fetch(self); /* what came before is before the DOWN */
        down_at_once(self, ref, pid);
    }
    return ref;
}

static bool is_down_of(const tr_msg *msg, tr_ref ref)
{
    return msg->tr__signal == TR_MSG_DOWN && tr_ref_equal(msg->tr__ref, ref);
}

/* There is one at most. */
static void flush_down(tr__proc *self, tr_ref ref)
{
    tr_msg **at = &self->head;
    while (*at != NULL && !is_down_of(*at, ref)) {
        at = &(*at)->tr__next;
    }
    if (*at != NULL) {
        tr__msg_free(tr__queue_take(self, at));
    }
}

tr_err tr__monitor_for(tr_ref ref, tr_pid pid)
{
    tr_msg *msg = tr__msg_make(NULL, NULL, TR__SIG_MONITOR, ref);
    tr_err err = tr__push(pid, msg);
    if (err != TR_OK) {
        tr__msg_free(msg);
    }
    return err;
}

bool tr__monitor_stands(tr_ref ref)
{
    return tr__edges_find(&self_checked()->edges, TR__EDGE_MONITOR, ref.id) != NULL;
}

bool tr_demonitor(tr_ref ref, bool flush)
{
    tr__proc *self = self_checked();
    tr__edge *edge = tr__edges_find(&self->edges, TR__EDGE_MONITOR, ref.id);
    bool active = edge != NULL;
    if (active) {
        tr_pid target = edge->other;
        bool outlives = edge->alias == TR_ALIAS_EXPLICIT;
        tr__edges_remove(&self->edges, edge);
        if (outlives) {
            tr__edges_add(&self->edges, TR__EDGE_ALIAS, ref.id, 0)->alias = TR_ALIAS_EXPLICIT;
        }
        if (target != self->pid) {
            tr__demonitor_signal(target, ref);
        }
    }
    if (flush && !active &&
        !tr__planted(TR__PLANT_MISSED_FLUSH)) { /* a monitor that stood has no DOWN in the queue */
        flush_down(self, ref);
    }
    return active;
}

/* ---- aliases ---- */

tr_ref tr_alias(tr_alias_kind kind)
{
    tr__proc *self = self_checked();
    tr_ref ref = tr__ref_new(self->pid);
    tr__edges_add(&self->edges, TR__EDGE_ALIAS, ref.id, 0)->alias = (uint8_t)kind;
    return ref;
}

bool tr_unalias(tr_ref alias)
{
    tr__proc *self = self_checked();
    tr__edge *edge = tr__edges_find(&self->edges, TR__EDGE_ALIAS, alias.id);
    if (edge != NULL) {
        tr__edges_remove(&self->edges, edge);
        return true;
    }
    edge = tr__edges_find(&self->edges, TR__EDGE_MONITOR, alias.id);
    if (edge != NULL && edge->alias != TR_ALIAS_NONE) {
        edge->alias = TR_ALIAS_NONE; /* the monitor itself stays */
        return true;
    }
    return false;
}
