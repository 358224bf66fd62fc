/* One process: looked at, ended, suspended, resumed. */
#include "api/system/process_text.h"
#include "api/system/process_walk.h"
#include "api/system/reason.h"
#include "api/system/system_impl.h"

#include <troupe/sys.h>

#define LOOK_MS  500 /* what a look waits for a process that is busy */
#define PIDS_MAX 500 /* shown of its links and monitors */

/* The process of {pid}, or TR_NO_PID with a 404 sent. */
static tr_pid find_or_refuse(struct http_request *request)
{
    tr_pid pid = process_find(http_request_param(request, 0));
    if (pid == TR_NO_PID) {
        http_answer_problem(request, PROBLEM_PROCESS_NOT_FOUND, "no process has this pid or name");
    }
    return pid;
}

static int64_t look_ms(const struct http_request *request)
{
    int64_t left = http_request_left_ms(request) / 3;
    return left < LOOK_MS ? left : LOOK_MS;
}

/* Behaviours answer sys requests; plain processes and ports do not. */
static bool answers_sys(const tr_process_summary *summary)
{
    struct text behaviour = text_of(summary->behaviour);
    return !text_equal(behaviour, TEXT("process")) && !text_equal(behaviour, TEXT("port"));
}

/* ---- looking ---- */

static void write_pids(struct json_out *out, const char *name, const tr_pid *pids, size_t count)
{
    json_out_key(out, name);
    json_out_open_array(out);
    for (size_t i = 0; i < count && i < PIDS_MAX; i++) {
        json_out_pid(out, pids[i]);
    }
    json_out_close_array(out);
}

static void write_relations(struct json_out *out, const tr_process_info *info)
{
    json_out_member_bool(out, "trap_exit", info->trap_exit);
    json_out_member_int(out, "link_count", (int64_t)info->link_count);
    json_out_member_int(out, "monitor_count", (int64_t)info->monitor_count);
    json_out_member_int(out, "monitored_by_count", (int64_t)info->monitored_by_count);
    write_pids(out, "links", info->links, info->link_count);
    write_pids(out, "monitors", info->monitors, info->monitor_count);
    write_pids(out, "monitored_by", info->monitored_by, info->monitored_by_count);
}

static void write_no_relations(struct json_out *out)
{
    static const char *const members[] = {"trap_exit", "link_count", "monitor_count", "monitored_by_count",
                                          "links",     "monitors",   "monitored_by"};
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        json_out_member_null(out, members[i]);
    }
}

/* What could be learned is said; `note` says why something is null. */
static void answer_process(struct http_request *request)
{
    tr_pid pid = find_or_refuse(request);
    if (pid == TR_NO_PID) {
        return;
    }
    const char *note = NULL;
    tr_process_info info = {0};
    tr_process_summary summary;
    tr_err err = tr_process_info_of(pid, false, look_ms(request), &info);
    if (tr_process_summary_of(pid, &summary) != TR_OK) {
        http_answer_problem(request, PROBLEM_PROCESS_NOT_FOUND, "the process has ended");
        return;
    }
    struct json_out *out = http_answer_out(request);
    json_out_open_object(out);
    process_write_members(out, &summary, tr_now_ms());
    if (err == TR_OK) {
        write_relations(out, &info);
    } else {
        note = "the process is busy in the middle of something";
        write_no_relations(out);
    }
    tr_term state = TR_TERM_NONE_VALUE;
    if (err == TR_OK && answers_sys(&summary) &&
        tr_sys_get_state(tr_to(pid), look_ms(request), &state) != TR_OK) {
        note = "the process did not give its state in time";
    }
    json_out_key(out, "state");
    json_out_term(out, state);
    json_out_key(out, "note");
    if (note == NULL) {
        json_out_null(out);
    } else {
        json_out_text_value(out, text_of(note));
    }
    json_out_close_object(out);
    http_answer_json(request, 200);
}

void system_process(struct http_request *request)
{
    http_request_spawn(request, answer_process);
}

/* ---- ending ---- */

struct exit_body {
    struct text reason;
};

static void answer_exit(struct http_request *request)
{
    const struct exit_body *body = http_request_state(request);
    tr_pid pid = find_or_refuse(request);
    if (pid == TR_NO_PID) {
        return;
    }
    tr_exit_signal(tr_to(pid), reason_of_text(body->reason));
    struct json_out *out = http_answer_out(request);
    json_out_open_object(out);
    json_out_key(out, "pid");
    json_out_pid(out, pid);
    json_out_member_text(out, "reason", body->reason);
    json_out_close_object(out);
    http_answer_json(request, 202);
}

void system_process_exit(struct http_request *request)
{
    static const struct json_member members[] = {
        JSON_MEMBER("reason", JSON_TEXT, struct exit_body, reason, .required = true, .min = 1,
                    .max = REASON_BYTES_MAX),
    };
    static const struct json_shape shape = JSON_SHAPE(members);
    struct json_errors errors;
    json_errors_init(&errors);
    struct exit_body *body = json_arena_take(http_request_arena(request), sizeof(*body));
    if (body == NULL) {
        http_answer_problem(request, PROBLEM_OVERLOADED, "out of memory");
        return;
    }
    if (!json_read_object(http_request_json(request), NULL, &shape, body, &errors)) {
        http_answer_errors(request, &errors);
        return;
    }
    http_request_set_state(request, body);
    http_request_spawn(request, answer_exit);
}

/* ---- suspending ---- */

typedef tr_err sys_verb(tr_dest dest, int64_t timeout_ms);

static void answer_verb(struct http_request *request, sys_verb *verb, const char *status)
{
    tr_pid pid = find_or_refuse(request);
    if (pid == TR_NO_PID) {
        return;
    }
    tr_process_summary summary;
    if (tr_process_summary_of(pid, &summary) == TR_OK && !answers_sys(&summary)) {
        struct json_errors errors;
        json_errors_init(&errors);
        json_errors_add(&errors, NULL, NULL, "a %s cannot be suspended or resumed", summary.behaviour);
        http_answer_errors(request, &errors);
        return;
    }
    tr_err err = verb(tr_to(pid), http_request_left_ms(request));
    if (err == TR_E_NOPROC || err == TR_E_EXIT) {
        http_answer_problem(request, PROBLEM_PROCESS_NOT_FOUND, "the process has ended");
        return;
    }
    if (err != TR_OK) {
        http_answer_call_failed(request, err);
        return;
    }
    struct json_out *out = http_answer_out(request);
    json_out_open_object(out);
    json_out_key(out, "pid");
    json_out_pid(out, pid);
    json_out_member_string(out, "status", status);
    json_out_close_object(out);
    http_answer_json(request, 200);
}

static void answer_suspend(struct http_request *request)
{
    answer_verb(request, tr_sys_suspend, "suspended");
}

static void answer_resume(struct http_request *request)
{
    answer_verb(request, tr_sys_resume, "resumed");
}

/* The body is none or {}. */
static void spawn_verb(struct http_request *request, void (*answer)(struct http_request *request))
{
    static const struct json_shape nothing = {.members = NULL, .count = 0};
    const cJSON *body = http_request_json(request);
    struct json_errors errors;
    json_errors_init(&errors);
    if (body != NULL && !json_read_object(body, NULL, &nothing, NULL, &errors)) {
        http_answer_errors(request, &errors);
        return;
    }
    http_request_spawn(request, answer);
}

void system_process_suspend(struct http_request *request)
{
    spawn_verb(request, answer_suspend);
}

void system_process_resume(struct http_request *request)
{
    spawn_verb(request, answer_resume);
}
