#include "runtime/otp/sys_debug.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <troupe/timer.h>

#include "runtime/core/behaviour.h"
#include "runtime/otp/sys.h"

#define LOG_BYTES_MAX  ((size_t)1 << 20) /* of an answer */
#define LINE_BYTES_MAX ((size_t)4096)    /* of a line in a file */

typedef struct watcher {
    struct watcher *next;
    tr_term id; /* kept */
    tr_sys_debug_fn fn;
    _Alignas(16) unsigned char own[];
} watcher;

typedef struct log_file {
    tr_resource resource; /* first */
    FILE *stream;
    tr_term path; /* kept */
} log_file;

typedef struct tr__sys_debug {
    const tr__sys_ops *ops;
    void *data;
    bool statistics, trace;
    int64_t start_ms;
    uint64_t in, out, reductions;
    tr_term *log; /* a ring of kept events */
    uint32_t log_room, log_first, log_count;
    log_file *file;
    watcher *watchers; /* in the order they came */
} tr__sys_debug;

/* ---- whether there is any ---- */

tr__sys_debug *tr__debug_of(tr__sys *sys, const tr__sys_ops *ops, void *data)
{
    if (sys->debug == NULL) {
        sys->debug = tr_alloc(sizeof *sys->debug);
        sys->debug->ops = ops;
        sys->debug->data = data;
    }
    return sys->debug;
}

void tr__debug_tidy(tr__sys *sys)
{
    const tr__sys_debug *debug = sys->debug;
    if (debug != NULL && !debug->statistics && !debug->trace && debug->log == NULL && debug->file == NULL &&
        debug->watchers == NULL) {
        tr_free(sys->debug);
        sys->debug = NULL;
    }
}

void tr__sys_debug_start(struct tr__proc *proc, tr__sys *sys, const tr__sys_ops *ops, void *data,
                         uint32_t debug)
{
    if (debug == 0) {
        return;
    }
    sys->debug = tr__arena_alloc(proc, sizeof *sys->debug);
    *sys->debug = (tr__sys_debug){.ops = ops,
                                  .data = data,
                                  .statistics = (debug & TR_DEBUG_STATISTICS) != 0,
                                  .trace = (debug & TR_DEBUG_TRACE) != 0,
                                  .start_ms = tr_now_ms()};
    if ((debug & TR_DEBUG_LOG) != 0) {
        sys->debug->log_room = TR_SYS_LOG_DEFAULT;
        sys->debug->log = tr__arena_alloc(proc, TR_SYS_LOG_DEFAULT * sizeof(tr_term));
    }
}

/* ---- statistics ---- */

void tr__sys_count(tr__sys *sys, uint32_t in, uint32_t out)
{
    sys->debug->in += in;
    sys->debug->out += out;
}

static void statistics_on(tr__sys_debug *debug)
{
    if (!debug->statistics) {
        debug->statistics = true;
        debug->start_ms = tr_now_ms();
        debug->in = debug->out = 0;
        debug->reductions = tr__reductions();
    }
}

static void statistics_get(const tr__sys_debug *debug, tr__sys_reply *reply)
{
    if (debug == NULL || !debug->statistics) {
        reply->err = TR_E_STATE;
        return;
    }
    reply->statistics = (tr_sys_statistics){
        .start_ms = debug->start_ms,
        .now_ms = tr_now_ms(),
        .messages_in = debug->in,
        .messages_out = debug->out,
        .reductions = tr__reductions() - debug->reductions,
    };
}

/* ---- the log ---- */

static tr_term log_at(const tr__sys_debug *debug, uint32_t i)
{
    return debug->log[(debug->log_first + i) % debug->log_room];
}

static void log_drop_oldest(tr__sys_debug *debug)
{
    tr_free_term(debug->log[debug->log_first]);
    debug->log_first = (debug->log_first + 1) % debug->log_room;
    debug->log_count--;
}

static void log_add(tr__sys_debug *debug, tr_term event)
{
    if (debug->log_count == debug->log_room) {
        log_drop_oldest(debug);
    }
    debug->log[(debug->log_first + debug->log_count) % debug->log_room] = tr_keep(event);
    debug->log_count++;
}

/* The newest ones stay. */
static void log_resize(tr__sys_debug *debug, uint32_t room)
{
    while (debug->log_count > room) {
        log_drop_oldest(debug);
    }
    tr_term *log = room == 0 ? NULL : tr_alloc(room * sizeof *log);
    for (uint32_t i = 0; i < debug->log_count; i++) {
        log[i] = log_at(debug, i);
    }
    tr_free(debug->log);
    debug->log = log;
    debug->log_room = room;
    debug->log_first = 0;
}

static tr_term log_term(const tr__sys_debug *debug)
{
    uint32_t count = debug == NULL ? 0 : debug->log_count;
    size_t bytes = 0;
    uint32_t from = count;
    while (from > 0 && bytes < LOG_BYTES_MAX) {
        from--;
        bytes += sizeof(tr_term) + tr_term_flat_bytes(log_at(debug, from));
    }
    tr_term *events = tr_scratch_alloc((count + 1) * sizeof *events);
    for (uint32_t i = from; i < count; i++) {
        events[i - from] = log_at(debug, i);
    }
    return tr_list_n(count - from, events);
}

static void report(tr_term event)
{
    tr__report(TR_REPORT_SYS_EVENT, event, NULL, TR_TERM_NONE_VALUE, TR_NO_PID, TR_TERM_NONE_VALUE, 0);
}

static void log_print(const tr__sys_debug *debug)
{
    for (uint32_t i = 0; debug != NULL && i < debug->log_count; i++) {
        report(log_at(debug, i));
    }
}

/* ---- the file ---- */

static void file_destroy(tr_resource *resource)
{
    (void)fclose(((log_file *)(void *)resource)->stream);
}

static void file_close(tr__sys_debug *debug)
{
    if (debug->file != NULL) {
        tr_resource_remove(&debug->file->resource);
        file_destroy(&debug->file->resource);
        tr_free_term(debug->file->path);
        tr_free(debug->file);
        debug->file = NULL;
    }
}

static void file_open(tr__sys_debug *debug, tr_term path, tr__sys_reply *reply)
{
    size_t length;
    FILE *stream = fopen(tr_string_bytes(path, &length), "we");
    if (stream == NULL) {
        reply->err = TR_E_BADARG;
        return;
    }
    debug->file = tr_alloc(sizeof *debug->file);
    *debug->file = (log_file){.resource.destroy = file_destroy, .stream = stream, .path = tr_keep(path)};
    tr_resource_add(&debug->file->resource);
}

/* What is on disk is whole lines also when the process crashes next. */
static void file_write(const log_file *file, tr_term event)
{
    char *line = tr_scratch_alloc(LINE_BYTES_MAX);
    (void)tr_term_print(event, line, LINE_BYTES_MAX);
    (void)fprintf(file->stream, "*DBG* %u.%u %s\n", TR_PID_SLOT(tr_self()), TR_PID_GENERATION(tr_self()),
                  line);
    (void)fflush(file->stream);
}

/* ---- debug functions ---- */

static watcher **watcher_find(tr__sys_debug *debug, tr_term id)
{
    watcher **at = &debug->watchers;
    while (*at != NULL && !tr_term_equal((*at)->id, id)) {
        at = &(*at)->next;
    }
    return at;
}

static void watcher_take(watcher **at)
{
    watcher *gone = *at;
    if (gone != NULL) {
        *at = gone->next;
        tr_free_term(gone->id);
        tr_free(gone);
    }
}

void tr__debug_install(tr__sys *sys, const tr__sys_ops *ops, void *data, const tr__sys_install *install,
                       tr__sys_reply *reply)
{
    (void)reply;
    watcher **at = watcher_find(tr__debug_of(sys, ops, data), install->id);
    if (*at == NULL) {
        size_t bytes = install->own == NULL ? 0 : install->own->size;
        watcher *made = tr_alloc(sizeof *made + bytes);
        made->fn = install->fn;
        made->id = tr_keep(install->id);
        if (bytes != 0) {
            memcpy(made->own, install->own->bytes, bytes);
        }
        *at = made;
    }
}

/* ---- events ---- */

typedef struct telling {
    tr__sys_debug *debug;
    watcher *watcher;
    tr_sys_event *event;
    bool stays;
} telling;

static void run_state(void *ctx)
{
    telling *of = ctx;
    of->event->state = of->debug->ops->state(of->debug->data);
}

static void run_watcher(void *ctx)
{
    telling *of = ctx;
    of->stays = of->watcher->fn(of->watcher->own, of->event);
}

tr_term tr__sys_content(const tr_msg *msg)
{
    if (msg->type == TR_TYPE(tr_term_msg)) {
        return ((const tr_term_msg *)tr_msg_data(msg))->value;
    }
    return msg->type == TR_TYPE(tr_timeout_msg) ? TR_ATOM(TIMEOUT) : tr_tuple(tr_atom(msg->type->name));
}

static tr_term term_of_down(const tr_down_msg *down)
{
    tr_term tag = tr_is_none(down->tag) ? TR_ATOM(DOWN) : down->tag;
    tr_term object = tr_is_none(down->name) ? tr_pid_term(down->pid) : down->name;
    return tr_tuple(tag, tr_ref_term(down->ref), TR_ATOM(PROCESS), object, down->reason);
}

/* The message as an Erlang process would see it. */
static tr_term term_of_msg(const tr_msg *msg)
{
    const tr_exit_msg *exit = TR_MATCH(msg, tr_exit_msg);
    tr_term caller;
    switch (tr_msg_kind_of(msg)) {
    case TR_MSG_CALL:
        caller = tr_tuple(tr_pid_term(tr_msg_ref(msg).owner), tr_ref_term(tr_msg_ref(msg)));
        return tr_tuple(tr_atom("$gen_call"), caller, tr__sys_content(msg));
    case TR_MSG_CAST:
        return tr_tuple(tr_atom("$gen_cast"), tr__sys_content(msg));
    case TR_MSG_EXIT:
        return tr_tuple(TR_ATOM(EXIT), tr_pid_term(exit->from), exit->reason);
    case TR_MSG_DOWN:
        return term_of_down(tr_msg_data(msg));
    case TR_MSG_TIMER:
        return tr_tuple(TR_ATOM(TIMEOUT), tr_ref_term(tr_msg_ref(msg)), tr__sys_content(msg));
    case TR_MSG_REPLY:
        return tr_tuple(tr_ref_term(tr_msg_ref(msg)), tr__sys_content(msg));
    default:
        return tr__sys_content(msg);
    }
}

static tr_term term_of_event(const tr_sys_event *event, const tr_type *answer)
{
    switch (event->kind) {
    case TR_SYS_IN:
        return tr_tuple(tr_atom("in"), term_of_msg(event->msg));
    case TR_SYS_OUT:
        return tr_tuple(tr_atom("out"),
                        answer != NULL ? tr_tuple(tr_atom(answer->name)) : tr__sys_content(event->msg),
                        tr_pid_term(event->to), event->state);
    case TR_SYS_NOREPLY:
        return tr_tuple(tr_atom("noreply"), event->state);
    case TR_SYS_CONTINUE:
        return tr_tuple(tr_atom("continue"), tr__sys_content(event->msg));
    case TR_SYS_POSTPONE:
    case TR_SYS_CONSUME:
        break; /* told in words of their own */
    }
    return TR_ATOM(UNDEFINED);
}

static void fill_in(telling *of, const tr_type *answer)
{
    tr_term crash;
    tr_sys_event *event = of->event;
    bool has_state = event->kind == TR_SYS_OUT || event->kind == TR_SYS_NOREPLY;
    if (has_state && tr__catch(run_state, of, &crash)) {
        event->state = tr_tuple(tr_atom("format_state_crashed"), crash);
    }
    event->term = term_of_event(event, answer);
}

/* One that is done, or crashed, goes. */
static void tell_watchers(telling *of)
{
    tr_term crash;
    for (watcher **at = &of->debug->watchers; *at != NULL;) {
        of->watcher = *at;
        if (tr__catch(run_watcher, of, &crash) || !of->stays) {
            watcher_take(at);
        } else {
            at = &(*at)->next;
        }
    }
}

static bool wants_events(const tr__sys_debug *debug)
{
    return debug->trace || debug->log != NULL || debug->file != NULL || debug->watchers != NULL;
}

static void tell(telling *of)
{
    tr__sys_debug *debug = of->debug;
    tr_term event = of->event->term;
    if (debug->log != NULL) {
        log_add(debug, event);
    }
    if (debug->trace) {
        report(event);
    }
    if (debug->file != NULL) {
        file_write(debug->file, event);
    }
    tell_watchers(of);
}

void tr__sys_event(tr__sys *sys, tr_sys_event_kind kind, const tr_msg *msg, tr_pid to, const tr_type *answer)
{
    tr_sys_event event = {.kind = kind, .msg = msg, .to = to};
    telling of = {.debug = sys->debug, .event = &event};
    tr__sys_count(sys, kind == TR_SYS_IN, kind == TR_SYS_OUT);
    if (wants_events(sys->debug)) {
        tr_scratch_mark mark = tr_scratch();
        fill_in(&of, answer);
        tell(&of);
        tr_scratch_release(mark);
        tr__debug_tidy(sys);
    }
}

static const char *word_of(tr_sys_event_kind kind)
{
    return kind == TR_SYS_IN ? "in" : kind == TR_SYS_POSTPONE ? "postpone" : "consume";
}

void tr__sys_told(tr__sys *sys, tr_sys_event_kind kind, const tr_msg *msg, tr_term what, tr_term state)
{
    tr__sys_count(sys, kind == TR_SYS_IN, 0);
    if (wants_events(sys->debug)) {
        tr_sys_event event = {.kind = kind, .msg = msg, .state = state};
        telling of = {.debug = sys->debug, .event = &event};
        event.term = tr_tuple(tr_atom(word_of(kind)), what, state);
        tell(&of);
        tr__debug_tidy(sys);
    }
}

/* ---- requests ---- */

static void all_off(tr__sys_debug *debug)
{
    debug->statistics = false;
    debug->trace = false;
    log_resize(debug, 0);
    file_close(debug);
    while (debug->watchers != NULL) {
        watcher_take(&debug->watchers);
    }
}

static void change(tr__sys_debug *debug, const tr__sys_request *asked, tr__sys_reply *reply)
{
    switch (asked->op) {
    case TR__SYS_STATISTICS_ON:
        statistics_on(debug);
        break;
    case TR__SYS_STATISTICS_OFF:
        debug->statistics = false;
        break;
    case TR__SYS_TRACE:
        debug->trace = asked->number != 0;
        break;
    case TR__SYS_LOG:
        log_resize(debug, asked->number < TR__SYS_LOG_MAX ? asked->number : TR__SYS_LOG_MAX);
        break;
    case TR__SYS_LOG_TO_FILE:
        file_close(debug);
        if (!tr_is_none(asked->term)) {
            file_open(debug, asked->term, reply);
        }
        break;
    case TR__SYS_REMOVE:
        watcher_take(watcher_find(debug, asked->term));
        break;
    default:
        all_off(debug);
        break;
    }
}

bool tr__debug_request(tr__sys *sys, const tr__sys_ops *ops, void *data, const tr__sys_request *asked,
                       tr__sys_reply *reply)
{
    switch (asked->op) {
    case TR__SYS_STATISTICS_GET:
        statistics_get(sys->debug, reply);
        return true;
    case TR__SYS_LOG_GET:
        reply->term = log_term(sys->debug);
        return true;
    case TR__SYS_LOG_PRINT:
        log_print(sys->debug);
        return true;
    case TR__SYS_STATISTICS_ON:
    case TR__SYS_STATISTICS_OFF:
    case TR__SYS_TRACE:
    case TR__SYS_LOG:
    case TR__SYS_LOG_TO_FILE:
    case TR__SYS_REMOVE:
    case TR__SYS_NO_DEBUG:
        change(tr__debug_of(sys, ops, data), asked, reply);
        tr__debug_tidy(sys);
        return true;
    default:
        return false;
    }
}

static size_t count_watchers(const tr__sys_debug *debug)
{
    size_t count = 0;
    for (const watcher *each = debug->watchers; each != NULL; each = each->next) {
        count++;
    }
    return count;
}

tr_term tr__debug_term(const tr__sys *sys)
{
    const tr__sys_debug *debug = sys->debug;
    if (debug == NULL) {
        return tr_list_n(0, NULL);
    }
    tr_term *items = tr_scratch_alloc((4 + count_watchers(debug)) * sizeof *items);
    size_t count = 0;
    if (debug->statistics) {
        items[count++] = tr_atom("statistics");
    }
    if (debug->log != NULL) {
        items[count++] = tr_tuple(tr_atom("log"), tr_int(debug->log_room));
    }
    if (debug->trace) {
        items[count++] = tr_atom("trace");
    }
    if (debug->file != NULL) {
        items[count++] = tr_tuple(tr_atom("log_to_file"), debug->file->path);
    }
    for (const watcher *each = debug->watchers; each != NULL; each = each->next) {
        items[count++] = tr_tuple(tr_atom("install"), each->id);
    }
    return tr_list_n(count, items);
}
