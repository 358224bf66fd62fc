#include "api/system/process_text.h"

#include "server/http/path.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* ---- pids and names ---- */

struct text process_pid_text(tr_pid pid, char out[PID_TEXT_BYTES])
{
    if (pid == TR_NO_PID) {
        return (struct text){0};
    }
    int count =
        snprintf(out, PID_TEXT_BYTES, "%" PRIu32 ".%" PRIu32, TR_PID_SLOT(pid), TR_PID_GENERATION(pid));
    return (struct text){.bytes = out, .count = (size_t)count};
}

bool process_pid_read(struct text text, tr_pid *pid)
{
    const char *dot = text.count == 0 ? NULL : memchr(text.bytes, '.', text.count);
    if (dot == NULL) {
        return false;
    }
    struct text first = {.bytes = text.bytes, .count = (size_t)(dot - text.bytes)};
    struct text second = {.bytes = dot + 1, .count = text.count - first.count - 1};
    int64_t slot = 0;
    int64_t generation = 0;
    if (!http_read_int(first, 0, UINT32_MAX, &slot) || !http_read_int(second, 0, UINT32_MAX, &generation)) {
        return false;
    }
    tr_pid read = (tr_pid)generation << 32 | (tr_pid)slot;
    char again[PID_TEXT_BYTES];
    if (!text_equal(process_pid_text(read, again), text)) {
        return false; /* leading zeros, or no process at all */
    }
    *pid = read;
    return true;
}

static struct text print_term(tr_term term, char out[NAME_BYTES_MAX])
{
    size_t wanted = tr_term_print(term, out, NAME_BYTES_MAX);
    return (struct text){.bytes = out, .count = wanted < NAME_BYTES_MAX ? wanted : strlen(out)};
}

struct text process_name_text(tr_term name, char out[NAME_BYTES_MAX])
{
    if (tr_is_none(name)) {
        return (struct text){0};
    }
    switch (tr_term_kind_of(name)) {
    case TR_TERM_ATOM:
        return text_of(tr_atom_text(name));
    case TR_TERM_STRING: {
        size_t count = 0;
        const char *bytes = tr_string_bytes(name, &count);
        return (struct text){.bytes = bytes, .count = count};
    }
    default:
        return print_term(name, out);
    }
}

const char *process_status_text(tr_status status)
{
    switch (status) {
    case TR_STATUS_RUNNABLE:
        return "runnable";
    case TR_STATUS_RUNNING:
        return "running";
    case TR_STATUS_WAITING:
        return "waiting";
    case TR_STATUS_SUSPENDED:
        return "suspended";
    case TR_STATUS_EXITING:
        break;
    }
    return "exiting";
}

/* ---- JSON ---- */

static void text_or_null(struct json_out *out, struct text text)
{
    if (text.bytes == NULL) {
        json_out_null(out);
    } else {
        json_out_text_value(out, text);
    }
}

void json_out_pid(struct json_out *out, tr_pid pid)
{
    char text[PID_TEXT_BYTES];
    text_or_null(out, process_pid_text(pid, text));
}

/* A container that is being written: what is left of it. */
struct term_frame {
    const tr_term *items;
    size_t left;
    bool map;
};

static bool is_container(tr_term_kind kind)
{
    return kind == TR_TERM_TUPLE || kind == TR_TERM_LIST || kind == TR_TERM_MAP;
}

static void write_number(struct json_out *out, double value)
{
    char text[40];
    if (!isfinite(value)) {
        json_out_null(out);
        return;
    }
    snprintf(text, sizeof(text), "%.17g", value);
    json_out_raw(out, text_of(text));
}

static void write_leaf(struct json_out *out, tr_term term)
{
    char buffer[NAME_BYTES_MAX];
    switch (tr_is_none(term) ? TR_TERM_NONE : tr_term_kind_of(term)) {
    case TR_TERM_NONE:
        json_out_null(out);
        break;
    case TR_TERM_INT:
        json_out_int(out, tr_int_value(term));
        break;
    case TR_TERM_FLOAT:
        write_number(out, tr_float_value(term));
        break;
    case TR_TERM_PID:
        json_out_pid(out, tr_pid_value(term));
        break;
    case TR_TERM_ATOM:
        if (tr_same(term, TR_ATOM(TRUE)) || tr_same(term, TR_ATOM(FALSE))) {
            json_out_bool(out, tr_same(term, TR_ATOM(TRUE)));
            break;
        }
        if (tr_same(term, TR_ATOM(NIL)) || tr_same(term, TR_ATOM(UNDEFINED))) {
            json_out_null(out);
            break;
        }
        json_out_text_value(out, process_name_text(term, buffer));
        break;
    default:
        json_out_text_value(out, process_name_text(term, buffer));
        break;
    }
}

static void open_container(struct json_out *out, tr_term term, struct term_frame *frame)
{
    bool map = tr_term_kind_of(term) == TR_TERM_MAP;
    *frame = (struct term_frame){.items = tr_term_items(term), .left = tr_term_count(term), .map = map};
    if (map) {
        json_out_open_object(out);
    } else {
        json_out_open_array(out);
    }
}

static void close_container(struct json_out *out, const struct term_frame *frame)
{
    if (frame->map) {
        json_out_close_object(out);
    } else {
        json_out_close_array(out);
    }
}

/* Takes the next value of a container; writes a map's key before it. */
static tr_term next_value(struct json_out *out, struct term_frame *frame)
{
    char buffer[NAME_BYTES_MAX];
    frame->left--;
    if (!frame->map) {
        return *frame->items++;
    }
    struct text key = process_name_text(frame->items[0], buffer);
    json_out_key_text(out, key.bytes == NULL ? TEXT("") : key);
    frame->items += 2;
    return frame->items[-1];
}

void json_out_term(struct json_out *out, tr_term term)
{
    struct term_frame frames[TERM_DEPTH_MAX];
    size_t depth = 0;
    size_t nodes = 0;
    for (;;) {
        bool container = !tr_is_none(term) && is_container(tr_term_kind_of(term));
        bool too_much = ++nodes > TERM_NODES_MAX;
        if (too_much || (container && depth == TERM_DEPTH_MAX)) {
            json_out_text_value(out, TEXT("..."));
        } else if (container) {
            open_container(out, term, &frames[depth++]);
        } else {
            write_leaf(out, term);
        }
        while (depth > 0 && (frames[depth - 1].left == 0 || too_much)) {
            close_container(out, &frames[--depth]);
        }
        if (depth == 0) {
            return;
        }
        term = next_value(out, &frames[depth - 1]);
    }
}

void process_write_members(struct json_out *out, const tr_process_summary *summary, int64_t now_ms)
{
    char buffer[NAME_BYTES_MAX];
    json_out_key(out, "pid");
    json_out_pid(out, summary->pid);
    json_out_key(out, "name");
    text_or_null(out, process_name_text(summary->name, buffer));
    json_out_member_string(out, "label", summary->label);
    json_out_member_string(out, "behaviour", summary->behaviour);
    json_out_member_string(out, "status", process_status_text(summary->status));
    json_out_member_int(out, "mailbox", summary->mailbox);
    json_out_key(out, "memory_bytes");
    json_out_uint(out, summary->memory_bytes);
    json_out_key(out, "messages");
    json_out_uint(out, summary->messages);
    json_out_key(out, "parent");
    json_out_pid(out, summary->parent);
    json_out_member_int(out, "uptime_ms", now_ms > summary->started_ms ? now_ms - summary->started_ms : 0);
    json_out_member_int(out, "restarts", summary->restarts);
}
