#include "api/system/process_walk.h"

#include "api/system/process_text.h"

struct walk {
    bool (*fn)(const tr_process_summary *summary, void *ctx);
    void *ctx;
    unsigned seen;
    tr_scratch_mark mark;
};

static bool step(const tr_process_summary *summary, void *ctx)
{
    struct walk *walk = ctx;
    bool go_on = walk->fn(summary, walk->ctx);
    tr_scratch_release(walk->mark);
    if (go_on && ++walk->seen % WALK_SLICE == 0) {
        tr_yield();
    }
    return go_on;
}

void process_walk(bool (*fn)(const tr_process_summary *summary, void *ctx), void *ctx)
{
    struct walk walk = {.fn = fn, .ctx = ctx, .mark = tr_scratch()};
    tr_process_each(step, &walk);
}

struct search {
    struct text name;
    tr_pid found;
};

static bool compare(const tr_process_summary *summary, void *ctx)
{
    struct search *search = ctx;
    char buffer[NAME_BYTES_MAX];
    struct text name = process_name_text(summary->name, buffer);
    if (name.bytes != NULL && text_equal(name, search->name)) {
        search->found = summary->pid;
    }
    return search->found == TR_NO_PID;
}

tr_pid process_find(struct text text)
{
    tr_pid pid = TR_NO_PID;
    if (process_pid_read(text, &pid)) {
        tr_process_summary summary;
        return tr_process_summary_of(pid, &summary) == TR_OK ? pid : TR_NO_PID;
    }
    tr_term atom = TR_TERM_NONE_VALUE;
    if (tr_atom_find(text.bytes, text.count, &atom)) {
        pid = tr_whereis(tr_to_name(atom));
    }
    if (pid != TR_NO_PID) {
        return pid;
    }
    /* A key of a registry, perhaps: nobody knows all registries, but the processes know their names. */
    struct search search = {.name = text, .found = TR_NO_PID};
    process_walk(compare, &search);
    return search.found;
}
