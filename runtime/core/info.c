/* process_info and is_alive: asked by a signal, so everything the asker sent before counts. */
#include <string.h>

#include "runtime/core/core.h"
#include "runtime/core/message.h"

TR_MESSAGE_TERMS(
    tr__info_reply,
    {
        bool alive;
        bool trap_exit;
        tr_process_summary summary;
        tr_term links;
        tr_term monitors;
        tr_term monitor_names;
        tr_term monitored_by;
        tr_term messages;
        tr_term initial_call;
        tr_term dictionary;
    },
    offsetof(tr__info_reply, summary.name), offsetof(tr__info_reply, links),
    offsetof(tr__info_reply, monitors), offsetof(tr__info_reply, monitor_names),
    offsetof(tr__info_reply, monitored_by), offsetof(tr__info_reply, messages),
    offsetof(tr__info_reply, initial_call), offsetof(tr__info_reply, dictionary));

/* ---- the asked ---- */

/* What is told at most: an answer must stay far below the limit of a term. */
#define MESSAGES_BYTES_MAX ((size_t)1 << 20)
#define EDGES_MAX          ((size_t)1 << 18)
#define ANCESTORS_MAX      64u

static bool is_told(const tr__edge *edge, tr__edge_kind kind)
{
    bool unlinking = kind == TR__EDGE_LINK && edge->other != 0;
    return edge->kind == kind && !unlinking;
}

/* The pids of one kind of edge, as bytes: a supervisor of a million is still a term that can be copied. */
static tr_term edge_pids(tr__proc *proc, tr__edge_kind kind)
{
    size_t count = tr__edges_count(&proc->edges, kind);
    tr_pid *pids = tr_scratch_alloc((count + 1) * sizeof(tr_pid));
    size_t n = 0;
    for (uint32_t i = 0; i < tr__edges_total(&proc->edges) && n < EDGES_MAX; i++) {
        const tr__edge *edge = tr__edges_at(&proc->edges, i);
        if (is_told(edge, kind)) {
            pids[n++] = kind == TR__EDGE_LINK ? edge->key : edge->other;
        }
    }
    return tr_string_n(pids, n * sizeof(tr_pid));
}

/* The names that monitors were set by, nil where by pid. */
static tr_term monitor_names(tr__proc *proc)
{
    size_t count = tr__edges_count(&proc->edges, TR__EDGE_MONITOR);
    tr_term *items = tr_scratch_alloc((count + 1) * sizeof(tr_term));
    size_t n = 0;
    for (uint32_t i = 0; i < tr__edges_total(&proc->edges) && n < EDGES_MAX; i++) {
        const tr__edge *edge = tr__edges_at(&proc->edges, i);
        if (is_told(edge, TR__EDGE_MONITOR)) {
            items[n++] =
                edge->extra != NULL && !tr_is_none(edge->extra->name) ? edge->extra->name : TR_ATOM(NIL);
        }
    }
    return tr_list_n(n, items);
}

static tr_term message_term(const tr_msg *msg)
{
    if (msg->type == TR_TYPE(tr_term_msg)) {
        return ((const tr_term_msg *)tr_msg_data(msg))->value;
    }
    return tr_tuple(tr_atom(msg->type == NULL ? "signal" : msg->type->name));
}

static tr_term message_list(tr__proc *proc)
{
    tr_term *items = tr_scratch_alloc((proc->queued + 1u) * sizeof(tr_term));
    size_t n = 0;
    size_t bytes = 0;
    for (tr_msg *msg = proc->head; msg != NULL && bytes < MESSAGES_BYTES_MAX; msg = msg->tr__next) {
        items[n] = message_term(msg);
        bytes += sizeof(tr_term) + tr_term_flat_bytes(items[n++]);
    }
    return tr_list_n(n, items);
}

static tr_term initial_call(const tr__proc *proc)
{
    const tr__behaviour *behaviour = proc->behaviour;
    if (behaviour == &tr__plain_behaviour) {
        return TR_ATOM(UNDEFINED);
    }
    const char *module = behaviour->module == NULL ? NULL : behaviour->module(proc->data);
    return tr_tuple(tr_atom(module == NULL ? behaviour->name : module), tr_atom("init"));
}

static void reply_fill(tr__proc *proc, bool with_messages, tr__info_reply *reply)
{
    *reply = (tr__info_reply){.alive = true, .trap_exit = proc->trap_exit};
    (void)tr__summary_fill(proc, proc->pid, &reply->summary);
    reply->summary.mailbox = proc->queued;
    reply->links = edge_pids(proc, TR__EDGE_LINK);
    reply->monitors = edge_pids(proc, TR__EDGE_MONITOR);
    reply->monitor_names = monitor_names(proc);
    reply->monitored_by = edge_pids(proc, TR__EDGE_WATCHER);
    reply->initial_call = initial_call(proc);
    reply->dictionary = tr__proc_dictionary(proc, MESSAGES_BYTES_MAX);
    if (with_messages) {
        reply->messages = message_list(proc);
    }
}

static void send_reply(tr_ref asker, const tr__info_reply *reply)
{
    tr_msg *msg = tr__msg_make(TR_TYPE(tr__info_reply), reply, TR_MSG_REPLY, asker);
    msg->tr__flags |= TR__F_ALIAS | TR__F_OWN;
    if (tr__push(asker.owner, msg) != TR_OK) {
        tr__msg_free(msg);
    }
}

/* The asker may be the asked's own parked state: what it looks like *now* is waiting, unless it is runnable
 * by itself. */
void tr__info_answer(tr__proc *proc, tr_msg *request)
{
    tr_scratch_mark mark = tr_scratch();
    tr__info_reply reply;
    reply_fill(proc, (request->tr__flags & TR__F_WITH_MESSAGES) != 0, &reply);
    reply.summary.status = proc->suspended ? TR_STATUS_SUSPENDED : TR_STATUS_WAITING;
    send_reply(request->tr__ref, &reply);
    tr_scratch_release(mark);
    tr__msg_free(request);
}

void tr__info_refuse(tr_msg *request)
{
    tr__info_reply reply = {.alive = false};
    send_reply(request->tr__ref, &reply);
    tr__msg_free(request);
}

/* ---- the asker ---- */

/* *answer is to be dropped when its terms were copied. */
static tr_err ask(tr_pid pid, uint8_t flags, int64_t timeout_ms, tr_msg **answer)
{
    tr_ref ref = tr_alias(TR_ALIAS_REPLY);
    tr_msg *request = tr__msg_make(NULL, NULL, TR__SIG_INFO, ref);
    request->tr__flags = flags;
    if (tr__push(pid, request) != TR_OK) {
        tr__msg_free(request);
        (void)tr_unalias(ref);
        return TR_E_NOPROC;
    }
    tr_msg *msg = tr__receive_ref_new(ref, timeout_ms);
    if (msg == NULL) {
        (void)tr_unalias(ref);
        return TR_E_TIMEOUT;
    }
    if (!TR_MATCH(msg, tr__info_reply)->alive) {
        tr_msg_drop(msg);
        return TR_E_NOPROC;
    }
    *answer = msg;
    return TR_OK;
}

static const tr_pid *pid_array(tr_term bytes, size_t *count)
{
    size_t length;
    const char *from = tr_string_bytes(bytes, &length);
    tr_pid *pids = tr_scratch_alloc(length + sizeof(tr_pid));
    memcpy(pids, from, length);
    *count = length / sizeof(tr_pid);
    return pids;
}

static const tr_term *name_array(tr_term list, size_t count)
{
    tr_term *names = tr_scratch_alloc((count + 1) * sizeof(tr_term));
    for (size_t i = 0; i < count; i++) {
        tr_term name = tr_term_items(list)[i];
        names[i] = tr_same(name, TR_ATOM(NIL)) ? TR_TERM_NONE_VALUE : name;
    }
    return names;
}

/* A pid is never reused, so a chain of parents has an end, and no dead one hides in it. */
static void ancestors_fill(tr_process_info *out)
{
    tr_pid *pids = tr_scratch_alloc(ANCESTORS_MAX * sizeof(*pids));
    tr_process_summary parent = out->summary;
    while (parent.parent != TR_NO_PID && out->ancestor_count < ANCESTORS_MAX) {
        tr_pid pid = parent.parent;
        pids[out->ancestor_count++] = pid;
        if (tr_process_summary_of(pid, &parent) != TR_OK) {
            break;
        }
    }
    out->ancestors = pids;
}

static void info_fill(const tr__info_reply *reply, bool with_messages, tr_process_info *out)
{
    *out = (tr_process_info){.summary = reply->summary, .trap_exit = reply->trap_exit};
    out->summary.name = tr__to_scratch(reply->summary.name);
    out->links = pid_array(reply->links, &out->link_count);
    out->monitors = pid_array(reply->monitors, &out->monitor_count);
    out->monitor_names = name_array(reply->monitor_names, out->monitor_count);
    out->monitored_by = pid_array(reply->monitored_by, &out->monitored_by_count);
    out->message_count = reply->summary.mailbox;
    out->initial_call = tr__to_scratch(reply->initial_call);
    out->dictionary = tr__to_scratch(reply->dictionary);
    ancestors_fill(out);
    if (with_messages) {
        tr_term messages = tr__to_scratch(reply->messages);
        out->messages = tr_term_items(messages);
        out->message_count = tr_term_count(messages);
    }
}

tr_err tr_process_info_of(tr_pid pid, bool with_messages, int64_t timeout_ms, tr_process_info *out)
{
    tr__proc *self = tr__proc_self();
    TR_ASSERT(self != NULL);
    if (pid == self->pid) {
        tr__info_reply reply;
        tr__fetch(self);
        reply_fill(self, with_messages, &reply);
        info_fill(&reply, with_messages, out);
        return TR_OK;
    }
    tr_msg *answer;
    tr_err err = ask(pid, with_messages ? TR__F_WITH_MESSAGES : 0, timeout_ms, &answer);
    if (err == TR_OK) {
        info_fill(TR_MATCH(answer, tr__info_reply), with_messages, out);
        tr_msg_drop(answer);
    }
    return err;
}

bool tr_is_alive(tr_pid pid)
{
    tr__proc *self = tr__proc_self();
    TR_ASSERT(self != NULL);
    tr_msg *answer;
    if (pid == self->pid) {
        return true;
    }
    if (ask(pid, 0, TR_INFINITY, &answer) != TR_OK) {
        return false;
    }
    tr_msg_drop(answer);
    return true;
}
