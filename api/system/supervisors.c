/* GET /v1/supervisors: the tree, asked supervisor by supervisor. */
#include "api/system/process_text.h"
#include "api/system/system_impl.h"

#define TREE_DEPTH_MAX    32
#define TREE_CHILDREN_MAX 500 /* shown of one supervisor; child_count tells all */
#define GRACE_MS          100

/* A supervisor whose children are being written. which_children gives the newest first: it is read backwards. */
struct tree_frame {
    const tr_child_info *children;
    size_t left;
    size_t shown;
};

static const char *strategy_text(tr_strategy strategy)
{
    static const char *const texts[] = {"one_for_one", "one_for_all", "rest_for_one", "simple_one_for_one",
                                        "dynamic"};
    return texts[strategy];
}

static const char *restart_text(tr_restart restart)
{
    static const char *const texts[] = {"permanent", "transient", "temporary"};
    return texts[restart];
}

static const char *state_text(tr_child_state state)
{
    static const char *const texts[] = {"running", "stopped", "restarting"};
    return texts[state];
}

static void write_name(struct json_out *out, const char *member, tr_term name)
{
    char buffer[NAME_BYTES_MAX];
    struct text text = process_name_text(name, buffer);
    if (text.bytes == NULL) {
        json_out_member_null(out, member);
    } else {
        json_out_member_text(out, member, text);
    }
}

/* Asks a supervisor; false when it has just ended. */
static bool ask(tr_pid pid, tr_sup_info *info, struct tree_frame *frame)
{
    size_t count = 0;
    if (tr_supervisor_info(tr_to(pid), info) != TR_OK ||
        tr_supervisor_which_children(tr_to(pid), &frame->children, &count) != TR_OK) {
        return false;
    }
    frame->left = count;
    frame->shown = 0;
    return true;
}

/* What a supervisor says of itself; its list of children stays open. */
static void open_supervisor(struct json_out *out, const tr_sup_info *info, const struct tree_frame *frame)
{
    json_out_member_string(out, "strategy", strategy_text(info->flags.strategy));
    json_out_member_int(out, "max_restarts", info->flags.intensity < 0 ? 0 : info->flags.intensity);
    json_out_member_int(out, "max_seconds", info->flags.period_s);
    json_out_member_int(out, "child_restarts", info->restarts);
    json_out_member_int(out, "child_count", (int64_t)frame->left);
    json_out_key(out, "children");
    json_out_open_array(out);
}

static bool is_supervisor(tr_pid pid, tr_term *name)
{
    tr_process_summary summary;
    if (pid == TR_NO_PID || tr_process_summary_of(pid, &summary) != TR_OK) {
        return false;
    }
    *name = summary.name;
    return text_equal(text_of(summary.behaviour), TEXT("supervisor"));
}

/* Opens a child's object. Returns: whether its own list of children was opened too, in *frame. */
static bool open_child(struct json_out *out, const tr_child_info *child, bool may_descend,
                       struct tree_frame *frame)
{
    tr_term name = TR_TERM_NONE_VALUE;
    tr_sup_info info;
    bool supervisor = is_supervisor(child->pid, &name);
    json_out_open_object(out);
    write_name(out, "id", child->id);
    json_out_key(out, "pid");
    json_out_pid(out, child->pid);
    write_name(out, "name", name);
    json_out_member_string(out, "type", child->type == TR_SUPERVISOR ? "supervisor" : "worker");
    json_out_member_string(out, "status", state_text(child->state));
    json_out_member_string(out, "restart", restart_text(child->restart));
    json_out_member_int(out, "restarts", child->restarts);
    if (!supervisor || !may_descend || !ask(child->pid, &info, frame)) {
        return false;
    }
    open_supervisor(out, &info, frame);
    return true;
}

static void write_children(struct json_out *out, const struct tree_frame *root)
{
    struct tree_frame frames[TREE_DEPTH_MAX];
    frames[0] = *root;
    for (size_t depth = 1; depth > 0;) {
        struct tree_frame *frame = &frames[depth - 1];
        if (frame->left == 0 || frame->shown == TREE_CHILDREN_MAX) {
            json_out_close_array(out);
            json_out_close_object(out);
            depth--;
            continue;
        }
        frame->shown++;
        const tr_child_info *child = &frame->children[--frame->left];
        if (open_child(out, child, depth < TREE_DEPTH_MAX, &frames[depth < TREE_DEPTH_MAX ? depth : 0])) {
            depth++;
        } else {
            json_out_close_object(out);
        }
    }
}

static void answer_tree(struct http_request *request)
{
    /* A supervisor in the middle of a long stop answers nobody, and these calls wait for ever: the deadline ends us. */
    (void)tr_exit_after(http_request_left_ms(request) + GRACE_MS, tr_to(tr_self()), TR_ATOM(KILL));
    tr_term name = tr_atom(system_context_get()->root_name);
    tr_pid root = tr_whereis(tr_to_name(name));
    tr_sup_info info;
    struct tree_frame frame;
    if (root == TR_NO_PID || !ask(root, &info, &frame)) {
        http_answer_call_failed(request, TR_E_NOPROC);
        return;
    }
    struct json_out *out = http_answer_out(request);
    json_out_open_object(out);
    write_name(out, "name", name);
    json_out_key(out, "pid");
    json_out_pid(out, root);
    json_out_member_int(out, "restarts", info.restarts);
    open_supervisor(out, &info, &frame);
    write_children(out, &frame);
    http_answer_json(request, 200);
}

void system_supervisors(struct http_request *request)
{
    http_request_spawn(request, answer_tree);
}
