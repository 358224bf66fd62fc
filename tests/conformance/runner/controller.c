/* controller.c: the ops of a scenario. */
#include "tests/conformance/runner/controller.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/runner/plain.h"
#include "tests/conformance/runner/scenario.h"
#include "tests/conformance/runner/step.h"
#include "tests/conformance/runner/trace.h"
#include "tests/conformance/runner/world.h"

/* ---- commands ---------------------------------------------------------------------------------------------------- */
static void command(tr_pid pid, tr_term step)
{
    TR_SEND(pid, plain_do, .command = step);
    tr_virtual_run();
}

/* [NAME, [VERB, ...]], or [VERB, ...] for ctl. */
static void run_command(tr_term op)
{
    tr_term first = value_item(op, 0);
    tr_term second = value_item(op, 1);
    const puppet *ctl = world_by_name(tr_atom("ctl"));
    const puppet *named = world_by_name(first);
    bool is_named =
        value_count(op) == 2 && tr_is_atom(first) && value_is_tuple(second) && !value_is(first, "sys");
    if (is_named && named != NULL) {
        command(named->pid, second);
    } else {
        command(ctl->pid, op);
    }
}

/* ---- snap -------------------------------------------------------------------------------------------------------- */
static int compare_labels(const void *a, const void *b)
{
    return strcmp((*(puppet *const *)a)->label, (*(puppet *const *)b)->label);
}

static void snap_one(const puppet *of)
{
    static const char *const items[] = {"links", "monitors", "message_queue_len"};
    static const env nothing;
    const char *texts[3];
    if (!tr_is_alive(of->pid)) {
        return;
    }
    for (int i = 0; i < 3; i++) {
        tr_term step = tr_tuple(tr_atom("info"), tr_pid_term(of->pid), tr_atom(items[i]));
        texts[i] = value_text(step_run(step, &nothing).value);
    }
    trace_add("~snap", of->label,
              value_format("snap links %s monitors %s queue %s", texts[0], texts[1], texts[2]));
}

static void snap_main(const void *unused)
{
    (void)unused;
    size_t count = world_count();
    puppet **all = tr_scratch_alloc((count + 1) * sizeof *all);
    for (size_t i = 0; i < count; i++) {
        all[i] = world_at(i);
    }
    qsort(all, count, sizeof *all, compare_labels);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(all[i]->label, "ctl") != 0) {
            snap_one(all[i]);
        }
    }
}

/* Looking at processes is for processes: a short-lived stranger does it. */
static void snap(void)
{
    tr_pid pid;
    if (tr_spawn(NULL, snap_main, NULL, 0, &pid) == TR_OK) {
        tr_virtual_run();
    }
}

/* ---- ops --------------------------------------------------------------------------------------------------------- */
static void align(void)
{
    int64_t into_second = tr_now_ms() % 1000;
    tr_virtual_advance(into_second < 100 ? 100 - into_second : 1100 - into_second);
}

static void new_puppet(tr_term op)
{
    tr_term opts = value_item(op, 2);
    (void)plain_spawn(value_item(op, 1), tr_is_none(opts) ? tr_map_n(0, NULL) : opts,
                      &(tr_spawn_opts){.link = false});
    tr_virtual_run();
}

static void set_failing(tr_term op)
{
    tr_term how = value_item(op, 3);
    tr_term otherwise = tr_tuple(tr_atom("stop"), tr_atom("nope"));
    world_set_failing(value_item(op, 1), tr_int_value(value_item(op, 2)), tr_is_none(how) ? otherwise : how);
}

static void play_op(tr_term op)
{
    tr_term verb = value_item(op, 0);
    size_t count = value_count(op);
    if (!value_is_tuple(op)) {
        return;
    }
    if (value_is(verb, "proc") && (count == 2 || count == 3)) {
        new_puppet(op);
    } else if (value_is(verb, "wait") && count == 2) {
        tr_virtual_advance(tr_int_value(value_item(op, 1)));
    } else if (value_is(verb, "align") && count == 1) {
        align();
    } else if (value_is(verb, "fail") && count >= 3) {
        set_failing(op);
    } else if (value_is(verb, "unordered") && count == 2) {
        trace_unordered(tr_atom_text(value_item(op, 1)));
    } else if (value_is(verb, "mask") && count == 3) {
        trace_mask(value_text(value_item(op, 1)), tr_atom_text(value_item(op, 2)));
    } else if (value_is(verb, "snap") && count == 1) {
        snap();
    } else if (!value_is(verb, "note")) {
        run_command(op);
    }
}

static void ignore_report(const tr_report *report, void *ctx)
{
    (void)report;
    (void)ctx;
}

static void play(const scenario *of)
{
    world_start_witness();
    (void)plain_spawn(tr_atom("ctl"), tr_map_n(0, NULL), &(tr_spawn_opts){.link = false});
    tr_virtual_run();
    for (size_t i = 0; i < of->count; i++) {
        tr_scratch_mark mark = tr_scratch();
        trace_set_op((int)i + 1);
        play_op(of->ops[i]);
        tr_scratch_release(mark);
    }
    trace_print();
}

int controller_play(const char *path)
{
    scenario of;
    tr_node_opts opts = {.virtual_time = true, .report = ignore_report, .process_max = 4096};
    world_begin();
    if (!scenario_read(path, &of)) {
        world_end();
        return 2;
    }
    if (tr_node_start(&opts) != TR_OK) {
        fprintf(stderr, "the node does not start\n");
        world_end();
        return 2;
    }
    trace_begin();
    play(&of);
    tr_node_stop();
    trace_end();
    world_end();
    return fflush(stdout) == 0 ? 0 : 2;
}
