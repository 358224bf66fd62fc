/* A consumer whose events become children. It asks by hand, as children end. */
#include <string.h>
#include <troupe/consumer_supervisor.h>
#include <troupe/timer.h>

#include "runtime/core/behaviour.h"
#include "runtime/stage/stage.h"

enum { INTENSITY_DEFAULT = 3, PERIOD_DEFAULT_S = 5, BUCKETS_MIN = 64, SHUTDOWN_DEFAULT_MS = 5000 };

TR_MESSAGE_BLOBS(
    tr__cs_start, { tr_blob *extra; }, offsetof(tr__cs_start, extra));
TR_MESSAGE(tr__cs_terminate, { tr_pid pid; });
TR_MESSAGE_EMPTY(tr__cs_count);
TR_MESSAGE_EMPTY(tr__cs_which);
TR_MESSAGE(tr__cs_retry, { tr_pid pid; });
TR_MESSAGE_TERMS(
    tr__cs_result,
    {
        tr_err err;
        tr_pid pid;
        tr_term reason;
    },
    offsetof(tr__cs_result, reason));
TR_MESSAGE(tr__cs_counts, { tr_child_counts counts; });
TR_MESSAGE_BLOBS(
    tr__cs_pids, { tr_blob *pids; }, offsetof(tr__cs_pids, pids));

/* What a new supervisor is told, in one piece. */
typedef struct order {
    const tr_consumer_supervisor *module;
    size_t arg_bytes;
    const void *arg; /* when arg_bytes is 0 */
    _Alignas(16) unsigned char bytes[];
} order;

/* A subscription. live counts children that live or are to be restarted. */
typedef struct source {
    struct source *next;
    tr_stage_from from;
    int64_t live, room; /* room: children that ended since it asked last */
    int64_t min, max;
} source;

typedef struct child {
    struct child *next; /* in its bucket */
    tr_pid pid;
    tr_ref subscription; /* id 0: started by hand */
    bool restarting;
    size_t arg_bytes;
    _Alignas(16) unsigned char arg[]; /* the spec's and the event's; kept for restarts */
} child;

typedef struct consumer_supervisor {
    tr_child_spec spec;
    size_t spec_bytes; /* of its own argument */
    const char *name;
    int32_t intensity, period_s;
    int64_t *restarts; /* seconds of the last ones, at most intensity */
    int32_t restart_count;
    source *sources;
    child **buckets;
    uint32_t bucket_count;
    size_t children, restarting;
} consumer_supervisor;

/* ---- children by pid ---- */

static child **bucket_of(consumer_supervisor *self, tr_pid pid)
{
    return &self->buckets[TR_PID_SLOT(pid) & (self->bucket_count - 1)];
}

static child **place_of(consumer_supervisor *self, tr_pid pid)
{
    child **at = bucket_of(self, pid);
    while (*at != NULL && (*at)->pid != pid) {
        at = &(*at)->next;
    }
    return at;
}

static void put(consumer_supervisor *self, child *c)
{
    child **bucket = bucket_of(self, c->pid);
    c->next = *bucket;
    *bucket = c;
}

static void grow(consumer_supervisor *self)
{
    child **old = self->buckets;
    uint32_t count = self->bucket_count;
    self->bucket_count = 2 * count;
    self->buckets = tr_alloc(self->bucket_count * sizeof(child *));
    for (uint32_t i = 0; i < count; i++) {
        for (child *c = old[i], *next; c != NULL; c = next) {
            next = c->next;
            put(self, c);
        }
    }
    tr_free(old);
}

static void child_add(consumer_supervisor *self, child *c)
{
    if (++self->children > self->bucket_count) {
        grow(self);
    }
    put(self, c);
}

static void child_take_off(consumer_supervisor *self, child *c)
{
    *place_of(self, c->pid) = c->next;
    self->children--;
}

/* ---- asking ---- */

static source *source_find(const consumer_supervisor *self, tr_ref subscription)
{
    source *s = self->sources;
    while (s != NULL && !tr_ref_equal(s->from.ref, subscription)) {
        s = s->next;
    }
    return s;
}

static void ask_if_low(source *s)
{
    if (s->max - s->room <= s->min) {
        tr_stage_ask(s->from, (uint64_t)s->room);
        s->room = 0;
    }
}

/* A child is gone for good. */
static void child_forget(consumer_supervisor *self, child *c)
{
    source *s = source_find(self, c->subscription);
    child_take_off(self, c);
    self->restarting -= c->restarting;
    tr_free(c);
    if (s != NULL) {
        s->live--;
        s->room++;
        ask_if_low(s);
    }
}

/* ---- starting ---- */

static void report(const consumer_supervisor *self, tr_report_kind kind, tr_term reason, tr_pid pid)
{
    tr__report(kind, reason, NULL, TR_TERM_NONE_VALUE, pid, tr_atom(self->name), 0);
}

static child *child_new(const consumer_supervisor *self, tr_ref subscription, const void *extra, size_t bytes)
{
    child *c = tr_alloc(sizeof *c + self->spec_bytes + bytes);
    c->subscription = subscription;
    c->arg_bytes = self->spec_bytes + bytes;
    if (self->spec_bytes > 0) {
        memcpy(c->arg, self->spec.arg, self->spec_bytes);
    }
    if (bytes > 0) {
        memcpy(c->arg + self->spec_bytes, extra, bytes);
    }
    return c;
}

static tr_err child_start(const consumer_supervisor *self, child *c, tr_term *reason)
{
    const tr_child_spec *spec = &self->spec;
    const void *arg = c->arg_bytes == 0 ? spec->arg : c->arg;
    if (spec->main != NULL) {
        tr_spawn_opts opts = spec->start.spawn;
        opts.link = true;
        return tr_spawn(&opts, spec->main, arg, c->arg_bytes, &c->pid);
    }
    tr_started started = {.reason = TR_TERM_NONE_VALUE};
    tr_err err = tr_gen_server_start_link(spec->server, arg, c->arg_bytes, &spec->start, &started);
    c->pid = started.pid;
    *reason = started.reason;
    return err;
}

static tr_err child_begin(consumer_supervisor *self, child *c, tr_term *reason)
{
    tr_err err = child_start(self, c, reason);
    if (err == TR_OK) {
        child_add(self, c);
    } else if (err != TR_E_IGNORE) {
        report(self, TR_REPORT_CHILD_START_FAILED, *reason, TR_NO_PID);
    }
    return err;
}

/* One child of an event. False: none, and its room is free. */
static bool start_for(consumer_supervisor *self, const source *s, const tr_stage_event *event)
{
    tr_term reason = tr_tuple(tr_atom("event_with_terms"), tr_atom(event->type->name));
    if (event->type->term_count > 0) {
        report(self, TR_REPORT_CHILD_START_FAILED, reason, TR_NO_PID);
        return false;
    }
    child *c = child_new(self, s->from.ref, event->data, event->type->size);
    if (child_begin(self, c, &reason) != TR_OK) {
        tr_free(c);
        return false;
    }
    return true;
}

static tr_next consumer_supervisor_handle_events(consumer_supervisor *self, tr_stage_from from,
                                                 const tr_stage_event *events, size_t count)
{
    source *s = source_find(self, from.ref);
    if (s->live + (int64_t)count > s->max) {
        tr__stage_warn("events_in_excess", tr_int(s->live + (int64_t)count - s->max));
    }
    for (size_t i = 0; i < count; i++) {
        bool lives = start_for(self, s, &events[i]);
        s->live += lives;
        s->room += !lives;
    }
    ask_if_low(s);
    return TR_NOREPLY;
}

/* ---- restarting ---- */

/* Whole seconds, with an inclusive edge, as in a supervisor. */
static bool may_restart(consumer_supervisor *self)
{
    int64_t now = tr_now_ms() / 1000;
    int32_t kept = 0;
    for (int32_t i = 0; i < self->restart_count; i++) {
        if (now <= self->restarts[i] + self->period_s) {
            self->restarts[kept++] = self->restarts[i];
        }
    }
    self->restart_count = kept;
    if (kept >= self->intensity) {
        return false;
    }
    self->restarts[self->restart_count++] = now;
    return true;
}

/* Its old pid names it until a start succeeds. */
static tr_next child_restart(consumer_supervisor *self, child *c)
{
    tr_term reason = TR_TERM_NONE_VALUE;
    tr_pid old = c->pid;
    if (!may_restart(self)) {
        report(self, TR_REPORT_SUPERVISOR_GAVE_UP, TR_ATOM(REACHED_MAX_RESTART_INTENSITY), old);
        child_forget(self, c);
        return TR_STOP(TR_ATOM(SHUTDOWN));
    }
    child_take_off(self, c);
    self->restarting -= c->restarting;
    tr_err err = child_start(self, c, &reason);
    c->restarting = err != TR_OK && err != TR_E_IGNORE;
    c->pid = err == TR_OK ? c->pid : old;
    self->restarting += c->restarting;
    child_add(self, c);
    if (c->restarting) {
        report(self, TR_REPORT_CHILD_START_FAILED, reason, old);
        tr__stage_send(tr_self(), TR_NO_REF, TR_MSG(tr__cs_retry, .pid = old));
    } else if (err == TR_E_IGNORE) {
        child_forget(self, c);
    }
    return TR_NOREPLY;
}

static tr_next child_ended(consumer_supervisor *self, child *c, tr_term reason)
{
    if (tr_reason_is_clean(reason)) {
        child_forget(self, c);
        return TR_NOREPLY;
    }
    report(self, TR_REPORT_CHILD_TERMINATED, reason, c->pid);
    if (self->spec.restart == TR_TEMPORARY) {
        child_forget(self, c);
        return TR_NOREPLY;
    }
    return child_restart(self, c);
}

static tr_next consumer_supervisor_handle_info(consumer_supervisor *self, const tr_msg *msg)
{
    const tr_exit_msg *end = TR_MATCH(msg, tr_exit_msg);
    const tr__cs_retry *retry = TR_MATCH(msg, tr__cs_retry);
    child *c = end != NULL ? *place_of(self, end->from) : retry != NULL ? *place_of(self, retry->pid) : NULL;
    if (c != NULL && end != NULL && !c->restarting) {
        return child_ended(self, c, end->reason);
    }
    if (c != NULL && retry != NULL && c->restarting) {
        return child_restart(self, c);
    }
    if (end == NULL && retry == NULL) {
        tr__stage_ignore(msg);
    }
    return TR_NOREPLY; /* of one that was terminated meanwhile, or could not be started */
}

/* ---- stopping ---- */

static int64_t shutdown_ms(const consumer_supervisor *self)
{
    switch (self->spec.shutdown_ms) {
    case TR_SHUTDOWN_DEFAULT:
        return SHUTDOWN_DEFAULT_MS;
    case TR_SHUTDOWN_NOW:
        return 0;
    default:
        return self->spec.shutdown_ms;
    }
}

static bool ended_as_told(tr_term reason, bool brutal)
{
    return brutal ? tr_same(reason, TR_ATOM(KILLED)) : tr_reason_is_clean(reason);
}

/* Its monitor is made; it was told to stop. Waits until the deadline, then kills it. */
static void child_await(const consumer_supervisor *self, const child *c, tr_ref monitor, int64_t deadline_ms)
{
    bool brutal = self->spec.shutdown_ms == TR_SHUTDOWN_BRUTAL_KILL;
    int64_t left = deadline_ms == TR_INFINITY ? TR_INFINITY : deadline_ms - tr_now_ms();
    tr_msg *down = tr_receive_ref(monitor, left < 0 && deadline_ms != TR_INFINITY ? 0 : left);
    if (down == NULL) {
        tr_exit_signal(tr_to(c->pid), TR_ATOM(KILL));
        down = tr_receive_ref(monitor, TR_INFINITY);
    }
    tr_term reason = TR_MATCH(down, tr_down_msg)->reason;
    if (!ended_as_told(reason, brutal) && !tr_same(reason, TR_ATOM(NOPROC))) {
        report(self, TR_REPORT_CHILD_SHUTDOWN_ERROR, reason, c->pid);
    }
    tr_msg_drop(down);
}

static void child_tell(const consumer_supervisor *self, const child *c, tr_ref *monitor)
{
    bool brutal = self->spec.shutdown_ms == TR_SHUTDOWN_BRUTAL_KILL;
    *monitor = tr_monitor(tr_to(c->pid), NULL);
    tr_unlink(tr_to(c->pid));
    tr_exit_signal(tr_to(c->pid), brutal ? TR_ATOM(KILL) : TR_ATOM(SHUTDOWN));
}

static int64_t deadline(const consumer_supervisor *self)
{
    int64_t ms = shutdown_ms(self);
    return ms == TR_INFINITY || ms == TR_SHUTDOWN_BRUTAL_KILL ? TR_INFINITY : tr_now_ms() + ms;
}

static void consumer_supervisor_terminate(consumer_supervisor *self, tr_term reason)
{
    int64_t until = deadline(self);
    tr_ref *monitors = tr_alloc((self->children + 1) * sizeof *monitors);
    size_t told = 0;
    (void)reason;
    for (uint32_t i = 0; i < self->bucket_count; i++) {
        for (const child *c = self->buckets[i]; c != NULL; c = c->next) {
            child_tell(self, c, &monitors[told++]);
        }
    }
    told = 0;
    for (uint32_t i = 0; i < self->bucket_count; i++) {
        for (const child *c = self->buckets[i]; c != NULL; c = c->next) {
            child_await(self, c, monitors[told++], until);
        }
    }
}

/* ---- requests ---- */

static tr_next start_by_hand(consumer_supervisor *self, tr_from from, const tr__cs_start *request)
{
    tr_term reason = TR_TERM_NONE_VALUE;
    const tr_blob *extra = request->extra;
    child *c =
        child_new(self, TR_NO_REF, extra == NULL ? NULL : extra->bytes, extra == NULL ? 0 : extra->size);
    tr_err err = child_begin(self, c, &reason);
    TR_ANSWER(from, tr__cs_result, .err = err, .pid = err == TR_OK ? c->pid : TR_NO_PID, .reason = reason);
    if (err != TR_OK) {
        tr_free(c);
    }
    return TR_NOREPLY;
}

static tr_next terminate_child(consumer_supervisor *self, tr_from from, tr_pid pid)
{
    child *c = *place_of(self, pid);
    if (c == NULL) {
        return TR_REPLY(from, tr__cs_result, .err = TR_E_NOT_FOUND, .reason = TR_ATOM(NOT_FOUND));
    }
    tr_ref monitor;
    child_tell(self, c, &monitor);
    child_await(self, c, monitor, deadline(self));
    child_forget(self, c);
    return TR_REPLY(from, tr__cs_result, .err = TR_OK);
}

static tr_next tell_pids(const consumer_supervisor *self, tr_from from)
{
    tr_blob *blob = tr_blob_new(NULL, (self->children + 1) * sizeof(tr_pid));
    tr_pid *pids = (tr_pid *)(void *)blob->bytes;
    size_t count = 0;
    for (uint32_t i = 0; i < self->bucket_count; i++) {
        for (const child *c = self->buckets[i]; c != NULL; c = c->next) {
            pids[count++] = c->pid;
        }
    }
    pids[count] = TR_NO_PID;
    TR_ANSWER(from, tr__cs_pids, .pids = blob);
    tr_blob_drop(blob);
    return TR_NOREPLY;
}

static tr_next consumer_supervisor_handle_call(consumer_supervisor *self, tr_from from, const tr_msg *msg)
{
    const tr__cs_start *begin = TR_MATCH(msg, tr__cs_start);
    const tr__cs_terminate *end = TR_MATCH(msg, tr__cs_terminate);
    if (begin != NULL) {
        return start_by_hand(self, from, begin);
    }
    if (end != NULL) {
        return terminate_child(self, from, end->pid);
    }
    if (TR_MATCH(msg, tr__cs_count) != NULL) {
        tr_child_counts counts = {
            .specs = self->children, .active = self->children - self->restarting, .workers = self->children};
        return TR_REPLY(from, tr__cs_counts, .counts = counts);
    }
    return TR_MATCH(msg, tr__cs_which) != NULL ? tell_pids(self, from) : tr_unexpected(msg);
}

/* ---- as a stage ---- */

static tr_next consumer_supervisor_handle_subscribe(consumer_supervisor *self, tr_stage_role role,
                                                    const tr_subscription *opts, tr_stage_from from,
                                                    bool *manual)
{
    (void)role;
    source *s = tr_alloc(sizeof *s);
    *s = (source){.next = self->sources, .from = from, .min = opts->min_demand, .max = opts->max_demand};
    self->sources = s;
    *manual = true;
    tr_stage_ask(from, (uint64_t)s->max);
    return TR_NOREPLY;
}

/* Its children live on. */
static tr_next consumer_supervisor_handle_cancel(consumer_supervisor *self, tr_stage_end end,
                                                 tr_stage_from from)
{
    (void)end;
    source **at = &self->sources;
    while (!tr_ref_equal((*at)->from.ref, from.ref)) {
        at = &(*at)->next;
    }
    source *gone = *at;
    *at = gone->next;
    tr_free(gone);
    return TR_NOREPLY;
}

static const char *wrong_in(const tr_consumer_supervisor_opts *opts)
{
    const tr_child_spec *spec = &opts->child;
    if ((spec->server == NULL) == (spec->main == NULL) || spec->supervisor != NULL ||
        spec->start_fn != NULL) {
        return "child";
    }
    if (spec->restart != TR_TEMPORARY && spec->restart != TR_TRANSIENT) {
        return "restart"; /* one event, one life: a permanent child would never make room */
    }
    if (spec->shutdown_ms < TR_SHUTDOWN_NOW) {
        return "shutdown";
    }
    return opts->intensity < TR_INTENSITY_NONE || opts->period_s < 0 ? "intensity" : NULL;
}

static void keep_opts(consumer_supervisor *self, const tr_consumer_supervisor_opts *opts)
{
    self->spec = opts->child;
    self->spec.start =
        (tr_start_opts){.timeout_ms = opts->child.start.timeout_ms, .spawn = opts->child.start.spawn};
    self->spec_bytes = opts->child.arg_bytes;
    if (self->spec_bytes > 0) {
        void *copy = tr_alloc(self->spec_bytes);
        memcpy(copy, opts->child.arg, self->spec_bytes);
        self->spec.arg = copy;
    }
    self->intensity = opts->intensity == 0                   ? INTENSITY_DEFAULT
                      : opts->intensity == TR_INTENSITY_NONE ? 0
                                                             : opts->intensity;
    self->period_s = opts->period_s == 0 ? PERIOD_DEFAULT_S : opts->period_s;
    self->restarts = tr_alloc(((size_t)self->intensity + 1) * sizeof *self->restarts);
    self->bucket_count = BUCKETS_MIN;
    self->buckets = tr_alloc(BUCKETS_MIN * sizeof(child *));
}

static tr_next consumer_supervisor_init(consumer_supervisor *self, const void *arg, tr_stage_opts *stage_opts)
{
    const order *o = arg;
    tr_consumer_supervisor_opts opts = {0};
    tr_err err = o->module->init(o->arg_bytes > 0 ? o->bytes : o->arg, &opts);
    if (err != TR_OK) {
        return err == TR_E_IGNORE ? TR_IGNORE_START : TR_STOP(tr_atom(tr_err_name(err)));
    }
    const char *wrong = wrong_in(&opts);
    if (wrong != NULL) {
        return TR_STOP(tr_tuple(tr_atom("bad_opts"), tr_atom(wrong)));
    }
    self->name = o->module->name;
    tr_trap_exit(true);
    keep_opts(self, &opts);
    stage_opts->subscribe_to = opts.subscribe_to;
    stage_opts->subscribe_count = opts.subscribe_count;
    return TR_INIT_OK;
}

static tr_term consumer_supervisor_format_state(const consumer_supervisor *self)
{
    return tr_tuple(tr_atom(self->name), tr_int((int64_t)self->children), tr_int((int64_t)self->restarting));
}

TR_GEN_STAGE(consumer_supervisor, .type = TR_CONSUMER, .init = consumer_supervisor_init,
             .handle_events = consumer_supervisor_handle_events,
             .handle_subscribe = consumer_supervisor_handle_subscribe,
             .handle_cancel = consumer_supervisor_handle_cancel,
             .handle_call = consumer_supervisor_handle_call, .handle_info = consumer_supervisor_handle_info,
             .terminate = consumer_supervisor_terminate, .format_state = consumer_supervisor_format_state);

/* ---- its users ---- */

static const order *order_of(const tr_consumer_supervisor *module, const void *arg, size_t arg_bytes)
{
    order *o = tr_scratch_alloc(sizeof *o + arg_bytes);
    *o = (order){.module = module, .arg_bytes = arg_bytes, .arg = arg};
    if (arg_bytes > 0) {
        memcpy(o->bytes, arg, arg_bytes);
    }
    return o;
}

tr_err tr_consumer_supervisor_start_link(const tr_consumer_supervisor *module, const void *arg,
                                         size_t arg_bytes, const tr_start_opts *opts, tr_started *started)
{
    return tr_stage_start_link(consumer_supervisor_stage, order_of(module, arg, arg_bytes),
                               sizeof(order) + arg_bytes, opts, started);
}

void tr_consumer_supervisor_child_spec(const tr_consumer_supervisor *module, const void *arg,
                                       size_t arg_bytes, tr_term name, tr_child_spec *spec)
{
    *spec = (tr_child_spec){.id = tr_is_none(name) ? tr_atom(module->name) : name,
                            .server = &consumer_supervisor_stage->server,
                            .arg = order_of(module, arg, arg_bytes),
                            .arg_bytes = sizeof(order) + arg_bytes,
                            .type = TR_SUPERVISOR,
                            .start = {.name = name}};
}

static tr_sup_result ask_for_result(tr_dest supervisor, tr_msg *request)
{
    tr__cs_result result = {.err = TR_OK};
    tr_err err = tr__call_typed(supervisor, request, TR_INFINITY, TR_TYPE(tr__cs_result), &result);
    if (err != TR_OK) {
        return (tr_sup_result){.err = err};
    }
    return (tr_sup_result){.err = result.err, .pid = result.pid, .reason = result.reason};
}

tr_sup_result tr_consumer_supervisor_start_child(tr_dest supervisor, const void *extra, size_t extra_bytes)
{
    tr_blob *blob = extra_bytes == 0 ? NULL : tr_blob_new(extra, extra_bytes);
    tr_msg *request = TR_MSG(tr__cs_start, .extra = blob);
    if (blob != NULL) {
        tr_blob_drop(blob);
    }
    return ask_for_result(supervisor, request);
}

tr_sup_result tr_consumer_supervisor_terminate_child(tr_dest supervisor, tr_pid pid)
{
    return ask_for_result(supervisor, TR_MSG(tr__cs_terminate, .pid = pid));
}

tr_err tr_consumer_supervisor_count_children(tr_dest supervisor, tr_child_counts *counts)
{
    tr__cs_counts out;
    tr_err err = TR_CALL(supervisor, TR_INFINITY, tr__cs_counts, &out, tr__cs_count);
    if (err == TR_OK) {
        *counts = out.counts;
    }
    return err;
}

tr_err tr_consumer_supervisor_which_children(tr_dest supervisor, const tr_pid **pids, size_t *count)
{
    tr__cs_pids out;
    tr_err err = TR_CALL(supervisor, TR_INFINITY, tr__cs_pids, &out, tr__cs_which);
    if (err == TR_OK) {
        *count = out.pids->size / sizeof(tr_pid) - 1;
        tr_pid *copy = tr_scratch_alloc(out.pids->size);
        memcpy(copy, out.pids->bytes, out.pids->size);
        *pids = copy;
    }
    return err;
}
