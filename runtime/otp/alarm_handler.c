/* alarm_handler.c: a gen_server with a list of alarms, one handler, and the processes that want to know. */
#include <string.h>
#include <troupe/alarm_handler.h>

#include "runtime/core/behaviour.h"

#define ALARM_HANDLER tr_atom("alarm_handler")

typedef struct alarm {
    struct alarm *next; /* older */
    tr_alarm is;        /* kept */
} alarm;

typedef struct subscriber {
    struct subscriber *next;
    tr_pid pid;
    tr_ref monitor;
} subscriber;

typedef struct alarms {
    alarm *newest;
    size_t count;
    subscriber *subscribers;
    const tr_alarm_module *module; /* NULL: none */
    void *module_state;
} alarms;

/* ---- messages ---- */

TR_MESSAGE_TERMS(
    alarm_set,
    {
        tr_term id;
        tr_term description;
    },
    offsetof(alarm_set, id), offsetof(alarm_set, description));
TR_MESSAGE_TERMS(
    alarm_clear, { tr_term id; }, offsetof(alarm_clear, id));
typedef enum alarm_op { ALARM_GET, ALARM_SUBSCRIBE, ALARM_UNSUBSCRIBE, ALARM_SWAP } alarm_op;
TR_MESSAGE(alarm_request, {
    alarm_op op;
    tr_pid pid;
    const tr_alarm_module *module;
});
/* A list of {Id, Description}. */
TR_MESSAGE_TERMS(
    alarm_list, { tr_term list; }, offsetof(alarm_list, list));

/* ---- the handler: a crash in it takes it away ---- */

typedef struct handler_call {
    alarms *self;
    enum { ON_TAKE_OVER, ON_SET, ON_CLEAR, ON_TERMINATE } kind;
    const tr_alarm *list; /* ON_TAKE_OVER: all; ON_SET: one; ON_CLEAR: its id */
} handler_call;

static void run_handler(void *ctx)
{
    const handler_call *call = ctx;
    const tr_alarm_module *module = call->self->module;
    void *state = call->self->module_state;
    switch (call->kind) {
    case ON_TAKE_OVER:
        if (module->init != NULL) {
            module->init(state, call->list, call->self->count);
        }
        break;
    case ON_SET:
        if (module->set != NULL) {
            module->set(state, call->list);
        }
        break;
    case ON_CLEAR:
        if (module->clear != NULL) {
            module->clear(state, call->list->id);
        }
        break;
    case ON_TERMINATE:
        if (module->terminate != NULL) {
            module->terminate(state);
        }
        break;
    }
}

static void handler_drop(alarms *self)
{
    tr_free(self->module_state);
    self->module_state = NULL;
    self->module = NULL;
}

static void tell_handler(handler_call call)
{
    tr_term crash;
    if (call.self->module != NULL && tr__catch(run_handler, &call, &crash)) {
        tr__report(TR_REPORT_SERVER_TERMINATED, crash, call.self->module->name, TR_TERM_NONE_VALUE, TR_NO_PID,
                   TR_TERM_NONE_VALUE, 0);
        handler_drop(call.self);
    }
}

static const tr_alarm *copy_list(const alarms *self)
{
    tr_alarm *list = tr_scratch_alloc((self->count + 1) * sizeof(*list));
    size_t at = 0;
    for (const alarm *a = self->newest; a != NULL; a = a->next) {
        list[at++] = a->is;
    }
    return list;
}

static void swap(alarms *self, const tr_alarm_module *module)
{
    tell_handler((handler_call){.self = self, .kind = ON_TERMINATE});
    handler_drop(self);
    if (module != NULL) {
        self->module = module;
        self->module_state = tr_alloc(module->state_bytes);
        tell_handler((handler_call){.self = self, .kind = ON_TAKE_OVER, .list = copy_list(self)});
    }
}

/* ---- alarms ---- */

static void set(alarms *self, tr_alarm is)
{
    alarm *a = tr_alloc(sizeof(*a));
    *a = (alarm){.next = self->newest, .is = {tr_keep(is.id), tr_keep(is.description)}};
    self->newest = a;
    self->count++;
    for (const subscriber *s = self->subscribers; s != NULL; s = s->next) {
        TR_SEND(s->pid, tr_alarm_was_set, .id = is.id, .description = is.description);
    }
    tell_handler((handler_call){.self = self, .kind = ON_SET, .list = &is});
}

static void clear(alarms *self, tr_term id)
{
    alarm **at = &self->newest;
    while (*at != NULL && !tr_term_equal((*at)->is.id, id)) {
        at = &(*at)->next;
    }
    alarm *gone = *at;
    if (gone != NULL) {
        *at = gone->next;
        self->count--;
        tr_free_term(gone->is.id);
        tr_free_term(gone->is.description);
        tr_free(gone);
        for (const subscriber *s = self->subscribers; s != NULL; s = s->next) {
            TR_SEND(s->pid, tr_alarm_was_cleared, .id = id);
        }
    }
    tell_handler((handler_call){.self = self, .kind = ON_CLEAR, .list = &(tr_alarm){.id = id}});
}

/* ---- subscribers ---- */

static subscriber **find_subscriber(alarms *self, tr_pid pid)
{
    subscriber **at = &self->subscribers;
    while (*at != NULL && (*at)->pid != pid) {
        at = &(*at)->next;
    }
    return at;
}

static void subscribe(alarms *self, tr_pid pid)
{
    if (*find_subscriber(self, pid) == NULL) {
        subscriber *s = tr_alloc(sizeof(*s));
        *s = (subscriber){.next = self->subscribers, .pid = pid, .monitor = tr_monitor(tr_to(pid), NULL)};
        self->subscribers = s;
    }
}

static void unsubscribe(alarms *self, tr_pid pid)
{
    subscriber **at = find_subscriber(self, pid);
    subscriber *gone = *at;
    if (gone != NULL) {
        *at = gone->next;
        (void)tr_demonitor(gone->monitor, true);
        tr_free(gone);
    }
}

/* ---- the server ---- */

static tr_term list_term(const void *state)
{
    const alarms *self = state;
    tr_term *items = tr_scratch_alloc((self->count + 1) * sizeof(*items));
    size_t at = 0;
    for (const alarm *a = self->newest; a != NULL; a = a->next) {
        items[at++] = tr_tuple(a->is.id, a->is.description);
    }
    return tr_list_n(at, items);
}

static tr_next alarms_handle_call(void *state, tr_from from, const tr_msg *msg)
{
    alarms *self = state;
    const alarm_request *request = TR_MATCH(msg, alarm_request);
    if (request == NULL) {
        return tr_unexpected(msg);
    }
    switch (request->op) {
    case ALARM_GET:
        break;
    case ALARM_SUBSCRIBE:
        subscribe(self, request->pid);
        break;
    case ALARM_UNSUBSCRIBE:
        unsubscribe(self, request->pid);
        break;
    case ALARM_SWAP:
        swap(self, request->module);
        break;
    }
    return TR_REPLY(from, alarm_list, .list = list_term(self));
}

static tr_next alarms_handle_cast(void *state, const tr_msg *msg)
{
    const alarm_set *sets = TR_MATCH(msg, alarm_set);
    const alarm_clear *clears = TR_MATCH(msg, alarm_clear);
    if (sets != NULL) {
        set(state, (tr_alarm){sets->id, sets->description});
    } else if (clears != NULL) {
        clear(state, clears->id);
    } else {
        return tr_unexpected(msg);
    }
    return TR_NOREPLY;
}

static tr_next alarms_handle_info(void *state, const tr_msg *msg)
{
    const tr_down_msg *down = TR_MATCH(msg, tr_down_msg);
    if (down != NULL) {
        unsubscribe(state, down->pid);
    }
    return TR_NOREPLY;
}

static void alarms_terminate(void *state, tr_term reason)
{
    (void)reason;
    tell_handler((handler_call){.self = state, .kind = ON_TERMINATE});
}

const tr_gen_server tr_alarm_handler = {.name = "alarm_handler",
                                        .state_bytes = sizeof(alarms),
                                        .handle_call = alarms_handle_call,
                                        .handle_cast = alarms_handle_cast,
                                        .handle_info = alarms_handle_info,
                                        .terminate = alarms_terminate,
                                        .format_state = list_term,
                                        .trap_exit = true};

tr_err tr_alarm_handler_start_link(tr_started *started)
{
    const tr_start_opts named = {.name = ALARM_HANDLER};
    return tr_gen_server_start_link(&tr_alarm_handler, NULL, 0, &named, started);
}

/* ---- its callers ---- */

tr_err tr_alarm_set(tr_term id, tr_term description)
{
    return TR_CAST(tr_to_name(ALARM_HANDLER), alarm_set, .id = id, .description = description);
}

tr_err tr_alarm_clear(tr_term id)
{
    return TR_CAST(tr_to_name(ALARM_HANDLER), alarm_clear, .id = id);
}

static tr_err ask(const alarm_request *request, tr_term *list)
{
    tr_msg *reply;
    tr_err err = tr_gen_server_call(tr_to_name(ALARM_HANDLER), tr_msg_new(TR_TYPE(alarm_request), request),
                                    TR_CALL_TIMEOUT_MS, &reply, NULL);
    if (err == TR_OK) {
        *list = tr__to_scratch(TR_MATCH(reply, alarm_list)->list);
        tr_msg_drop(reply);
    }
    return err;
}

static tr_err ask_for_list(alarm_op op, const tr_alarm **list, size_t *count)
{
    tr_term told;
    tr_err err = ask(&(alarm_request){.op = op, .pid = tr_self()}, &told);
    if (err != TR_OK) {
        return err;
    }
    size_t n = tr_term_count(told);
    tr_alarm *copy = tr_scratch_alloc((n + 1) * sizeof(*copy));
    for (size_t i = 0; i < n; i++) {
        const tr_term *pair = tr_term_items(tr_term_items(told)[i]);
        copy[i] = (tr_alarm){.id = pair[0], .description = pair[1]};
    }
    *list = copy;
    *count = n;
    return TR_OK;
}

tr_err tr_alarm_get(const tr_alarm **list, size_t *count)
{
    return ask_for_list(ALARM_GET, list, count);
}

tr_err tr_alarm_subscribe(const tr_alarm **list, size_t *count)
{
    return ask_for_list(ALARM_SUBSCRIBE, list, count);
}

tr_err tr_alarm_unsubscribe(void)
{
    tr_term list;
    return ask(&(alarm_request){.op = ALARM_UNSUBSCRIBE, .pid = tr_self()}, &list);
}

tr_err tr_alarm_swap_handler(const tr_alarm_module *module)
{
    tr_term list;
    return ask(&(alarm_request){.op = ALARM_SWAP, .module = module}, &list);
}
