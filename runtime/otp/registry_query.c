/* registry_query.c: which entries there are, and doing something with all those of a key. */
#include <string.h>

#include "runtime/otp/registry.h"

/* ---- arrays ---- */

static const tr_registry_entry *to_array(const tr__finds *finds, size_t *count)
{
    tr_registry_entry *entries = tr_scratch_alloc((finds->count + 1) * sizeof *entries);
    size_t n = 0;
    for (const tr__found *found = finds->first; found != NULL; found = found->next) {
        entries[n++] = (tr_registry_entry){found->pid, found->key, found->value};
    }
    *count = n;
    return entries;
}

static tr__finds of_key(tr_registry *registry, tr_term key, const tr__query *query)
{
    tr__finds finds = {0};
    uint32_t partitions = tr__partitions_of_key(tr__setup_of(registry));
    for (uint32_t i = 0; i < partitions; i++) {
        tr__entries_of_key(registry, key, i, query, &finds);
    }
    return finds;
}

/* ---- of one key ---- */

const tr_registry_entry *tr_registry_entries(tr_registry *registry, tr_term key, size_t *count)
{
    tr__finds finds = of_key(registry, key, &(tr__query){0});
    return to_array(&finds, count);
}

/* What fits the pattern was copied; now `when` may say no. */
static tr__finds matching(tr_registry *registry, tr_term key, const tr_pattern *value)
{
    tr__finds fitting = of_key(registry, key, &(tr__query){.pattern = value});
    tr__finds finds = {0};
    if (value->when == NULL) {
        return fitting;
    }
    for (tr__found *found = fitting.first; found != NULL; found = found->next) {
        if (tr_pattern_matches(value, found->value, NULL)) {
            *(finds.last == NULL ? &finds.first : &finds.last->next) = found;
            finds.last = found;
            finds.count++;
        }
    }
    if (finds.last != NULL) {
        finds.last->next = NULL;
    }
    return finds;
}

const tr_registry_entry *tr_registry_match(tr_registry *registry, tr_term key, const tr_pattern *value,
                                           size_t *count)
{
    tr__finds finds = matching(registry, key, value);
    return to_array(&finds, count);
}

size_t tr_registry_count_match(tr_registry *registry, tr_term key, const tr_pattern *value)
{
    tr_scratch_mark mark = tr_scratch();
    size_t count = matching(registry, key, value).count;
    tr_scratch_release(mark);
    return count;
}

const tr_term *tr_registry_values(tr_registry *registry, tr_term key, tr_pid pid, size_t *count)
{
    tr__finds finds = of_key(registry, key, &(tr__query){.pid = pid});
    tr_term *values = tr_scratch_alloc((finds.count + 1) * sizeof *values);
    *count = 0;
    for (const tr__found *found = finds.first; found != NULL && pid != TR_NO_PID; found = found->next) {
        values[(*count)++] = found->value;
    }
    return values;
}

const tr_term *tr_registry_keys_list(tr_registry *registry, tr_pid pid, size_t *count)
{
    *count = 0;
    return pid == TR_NO_PID ? NULL : tr__entries_keys(registry, pid, count);
}

/* ---- of all keys ---- */

static const tr_pattern *first_match(const tr_pattern *patterns, size_t pattern_count, const tr__found *found,
                                     tr_bindings *bindings)
{
    tr_term value = tr_is_none(found->value) ? TR_ATOM(NIL) : found->value;
    tr_term whole = tr_tuple(found->key, tr_pid_term(found->pid), value);
    for (size_t i = 0; i < pattern_count; i++) {
        if (tr_pattern_matches(&patterns[i], whole, bindings)) {
            return &patterns[i];
        }
    }
    return NULL;
}

/* With one pattern what does not fit is not even copied. */
static tr__finds of_shard(tr_registry *registry, unsigned shard, const tr_pattern *patterns,
                          size_t pattern_count)
{
    tr__finds finds = {0};
    tr__query query = {.pattern = pattern_count == 1 ? patterns : NULL, .whole = true};
    tr__entries_of_shard(registry, shard, &query, &finds);
    return finds;
}

typedef struct terms {
    tr_term *items;
    size_t count, room;
} terms;

static void terms_add(terms *to, tr_term term)
{
    if (to->count == to->room) {
        size_t room = to->room == 0 ? 64 : 2 * to->room;
        tr_term *items = tr_scratch_alloc(room * sizeof *items);
        if (to->count != 0) {
            memcpy(items, to->items, to->count * sizeof *items);
        }
        to->items = items;
        to->room = room;
    }
    to->items[to->count++] = term;
}

const tr_term *tr_registry_select(tr_registry *registry, const tr_pattern *patterns, size_t pattern_count,
                                  size_t *count)
{
    terms results = {0};
    tr_bindings bindings;
    for (unsigned i = 0; i < TR__SHARDS; i++) {
        tr__finds finds = of_shard(registry, i, patterns, pattern_count);
        for (const tr__found *found = finds.first; found != NULL; found = found->next) {
            const tr_pattern *matched = first_match(patterns, pattern_count, found, &bindings);
            if (matched != NULL) {
                terms_add(&results, tr_pattern_body(matched, &bindings));
            }
        }
    }
    *count = results.count;
    return results.items;
}

size_t tr_registry_count_select(tr_registry *registry, const tr_pattern *patterns, size_t pattern_count)
{
    size_t count = 0;
    tr_bindings bindings;
    for (unsigned i = 0; i < TR__SHARDS; i++) {
        tr_scratch_mark mark = tr_scratch();
        tr__finds finds = of_shard(registry, i, patterns, pattern_count);
        for (const tr__found *found = finds.first; found != NULL; found = found->next) {
            count += first_match(patterns, pattern_count, found, &bindings) != NULL;
        }
        tr_scratch_release(mark);
    }
    return count;
}

void tr_registry_each(tr_registry *registry, bool (*fn)(tr_term key, tr_term value, tr_pid owner, void *ctx),
                      void *ctx)
{
    for (unsigned i = 0; i < TR__SHARDS; i++) {
        /* fn gets copies: it may block, register and unregister. */
        tr__finds finds = {0};
        tr__entries_of_shard(registry, i, &(tr__query){0}, &finds);
        for (tr__found *found = finds.first; found != NULL; found = found->next) {
            if (!fn(found->key, found->value, found->pid, ctx)) {
                return;
            }
        }
    }
}

/* ---- dispatch ---- */

static void dispatch(tr_registry *registry, tr_term key, uint32_t partition, tr_dispatch_fn fn,
                     const void *arg)
{
    size_t count;
    tr__finds finds = {0};
    tr__entries_of_key(registry, key, partition, &(tr__query){0}, &finds);
    if (finds.count != 0) {
        const tr_registry_entry *entries = to_array(&finds, &count);
        fn(entries, count, arg);
    }
}

void tr_registry_dispatch(tr_registry *registry, tr_term key, tr_dispatch_fn fn, const void *arg)
{
    uint32_t partitions = tr__partitions_of_key(tr__setup_of(registry));
    for (uint32_t i = 0; i < partitions; i++) {
        dispatch(registry, key, i, fn, arg);
    }
}

/* What a process of a parallel dispatch is started with; it gets the key as its first message, because a term
 * cannot be copied byte by byte. */
typedef struct errand {
    tr_registry *registry;
    tr_dispatch_fn fn;
    uint32_t partition;
    _Alignas(16) unsigned char arg[];
} errand;

static void errand_main(const void *arg)
{
    const errand *mine = arg;
    const tr_term_msg *key = TR_RECEIVE(tr_term_msg, TR_INFINITY);
    dispatch(mine->registry, key->value, mine->partition, mine->fn, mine->arg);
}

static bool is_exit_of(const tr_msg *msg, void *pid)
{
    const tr_exit_msg *exit = TR_MATCH(msg, tr_exit_msg);
    return exit != NULL && exit->from == *(const tr_pid *)pid;
}

/* Waits for one process. A trapping caller finds no trace of one that ended well. */
static bool errand_end(tr_pid pid, tr_ref watched)
{
    tr_msg *down = tr_receive_ref(watched, TR_INFINITY);
    bool well = tr_same(TR_MATCH(down, tr_down_msg)->reason, TR_ATOM(NORMAL));
    tr_msg_drop(down);
    tr_msg *exit = well ? tr_receive(is_exit_of, &pid, 0) : NULL;
    if (exit != NULL) {
        tr_msg_drop(exit);
    }
    return well;
}

tr_err tr_registry_dispatch_parallel(tr_registry *registry, tr_term key, tr_dispatch_fn fn, const void *arg,
                                     size_t arg_bytes)
{
    uint32_t partitions = tr__partitions_of_key(tr__setup_of(registry));
    if (partitions == 1) {
        tr_registry_dispatch(registry, key, fn, arg);
        return TR_OK;
    }
    tr_pid *pids = tr_scratch_alloc(partitions * sizeof *pids);
    tr_ref *watched = tr_scratch_alloc(partitions * sizeof *watched);
    errand *made = tr_scratch_alloc(sizeof *made + arg_bytes);
    *made = (errand){.registry = registry, .fn = fn};
    if (arg_bytes != 0) {
        memcpy(made->arg, arg, arg_bytes);
    }
    uint32_t started = 0;
    tr_err err = TR_OK;
    while (started < partitions && err == TR_OK) {
        made->partition = started;
        tr_spawn_opts opts = {.label = "dispatch", .link = true, .monitor = &watched[started]};
        err = tr_spawn(&opts, errand_main, made, sizeof *made + arg_bytes, &pids[started]);
        if (err == TR_OK) {
            (void)tr_send_term(tr_to(pids[started++]), key);
        }
    }
    for (uint32_t i = 0; i < started; i++) {
        err = errand_end(pids[i], watched[i]) ? err : TR_E_EXIT;
    }
    return err;
}
