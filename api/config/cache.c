#include "api/config/cache_state.h"
#include "api/config/changes.h"
#include "api/config/watch.h"

#include "api/config/service_settings.h"
#include "server/log.h"
#include "server/settings_run_time.h"
#include "server/store/store_writer.h"

#include <time.h>

#define STORE_TIMEOUT_MS 30000

tr_snapshot config_now;
struct config_service config_service;

/* ---- rows ---- */

static size_t seek(const config_agent *self, struct text key)
{
    size_t low = 0;
    size_t high = self->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (config_key_compare(config_row_key(self->rows[middle]), key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

config_row *config_agent_find(const config_agent *self, struct text key)
{
    size_t at = seek(self, key);

    return at < self->count && text_equal(config_row_key(self->rows[at]), key) ? self->rows[at] : NULL;
}

config_parts config_agent_parts(const config_agent *self, struct text key)
{
    const config_row *row = config_agent_find(self, key);

    return row != NULL ? config_row_parts(row) : (config_parts){.key = key};
}

static void *grown(void *items, size_t count, size_t *room)
{
    if (count < *room) {
        return items;
    }
    *room = *room == 0 ? 64 : 2 * *room;
    return tr_realloc(items, *room * sizeof(config_row *));
}

static void count_row(config_agent *self, const config_row *row)
{
    self->present += config_row_present(row);
    self->bytes += row->bytes;
}

/* Takes row, which is memory of the agent. */
static void put_row(config_agent *self, config_row *row)
{
    size_t at = seek(self, config_row_key(row));

    if (at < self->count && text_equal(config_row_key(self->rows[at]), config_row_key(row))) {
        self->present -= config_row_present(self->rows[at]);
        self->bytes -= self->rows[at]->bytes;
        tr_free(self->rows[at]);
    } else {
        self->rows = grown(self->rows, self->count, &self->room);
        memmove(&self->rows[at + 1], &self->rows[at], (self->count - at) * sizeof(config_row *));
        self->count++;
    }
    self->rows[at] = row;
    count_row(self, row);
}

/* Tombstones that the store has forgotten, too. */
static void forget_tombstones(config_agent *self)
{
    size_t kept = 0;

    for (size_t i = 0; i < self->count; i++) {
        config_row *row = self->rows[i];
        if (config_row_present(row) || row->revision > self->floor) {
            self->rows[kept++] = row;
        } else {
            self->bytes -= row->bytes;
            tr_free(row);
        }
    }
    self->count = kept;
}

/* ---- edits ---- */

static int64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void config_edit_add(const config_agent *self, config_edit *edit, config_parts *parts, bool is_seen)
{
    const config_row *old = config_agent_find(self, parts->key);

    parts->is_new = is_seen;
    if (is_seen) {
        edit->at_ms = edit->at_ms != 0 ? edit->at_ms : wall_ms();
        parts->version = (old == NULL ? 0 : old->version) + 1;
        parts->revision = self->revision + 1;
        parts->at_ms = edit->at_ms;
        edit->is_seen = true;
    }
    config_row *row = tr_alloc(config_row_bytes(parts));
    config_row_write(parts, row);
    edit->rows = grown(edit->rows, edit->count, &edit->room);
    edit->rows[edit->count++] = row;
    edit->bytes += row->bytes;
    edit->bytes_change += (int64_t)row->bytes - (old == NULL ? 0 : (int64_t)old->bytes);
    edit->present_change += config_row_present(row) - (old != NULL && config_row_present(old));
}

void config_edit_drop(config_edit *edit)
{
    for (size_t i = 0; i < edit->count; i++) {
        tr_free(edit->rows[i]);
    }
    tr_free(edit->rows);
    *edit = (config_edit){0};
}

/* OK, or why nothing was written. */
static enum config_outcome run_commit(const config_edit *edit, const config_commit *head)
{
    size_t bytes = sizeof(*head) + edit->bytes;
    config_commit *commit = tr_alloc(bytes);
    char *at = (char *)commit->rows;

    *commit = *head;
    for (size_t i = 0; i < edit->count; i++) {
        memcpy(at, edit->rows[i], edit->rows[i]->bytes);
        at += edit->rows[i]->bytes;
    }
    enum store_status status = store_writer_run(config_sql_commit, commit, bytes, NULL, 0, STORE_TIMEOUT_MS);
    tr_free(commit);
    if (status == STORE_UNKNOWN) {
        tr_error(tr_atom("store_unknown")); /* the successor finds out */
    }
    return status == STORE_OK     ? CONFIG_DONE
           : status == STORE_FULL ? CONFIG_STORAGE_FULL
                                  : CONFIG_STORAGE_FAILED;
}

static enum config_outcome judge_size(const config_agent *self, const config_edit *edit)
{
    int64_t keys = (int64_t)self->present + edit->present_change;
    int64_t bytes = (int64_t)self->bytes + edit->bytes_change;

    if (edit->present_change > 0 && keys > SETTINGS_NOW(config_service.settings->max_config_keys)) {
        return CONFIG_TOO_MANY_KEYS;
    }
    return edit->bytes_change > 0 && bytes > (int64_t)CONFIG_TOTAL_BYTES_MAX ? CONFIG_TOO_LARGE : CONFIG_DONE;
}

enum config_outcome config_edit_commit(config_agent *self, config_edit *edit)
{
    uint64_t kept = (uint64_t)SETTINGS_NOW(config_service.settings->max_config_history);
    uint64_t revision = self->revision + edit->is_seen;
    uint64_t floor = revision > kept && revision - kept > self->floor ? revision - kept : self->floor;
    enum config_outcome outcome = judge_size(self, edit);

    if (outcome == CONFIG_DONE && edit->count != 0) {
        outcome = run_commit(edit, &(config_commit){.revision = revision,
                                                    .floor = floor,
                                                    .old_floor = self->floor,
                                                    .count = (uint32_t)edit->count});
    }
    if (outcome != CONFIG_DONE || edit->count == 0) {
        config_edit_drop(edit);
        return outcome;
    }
    for (size_t i = 0; i < edit->count; i++) {
        put_row(self, edit->rows[i]);
        config_setting_apply(edit->rows[i]);
    }
    if (revision != self->revision) {
        config_changes_add(revision, edit->rows, edit->count);
        config_watch_wake();
        log_event(LOG_INFO, EVENT_CONFIG_CHANGED, log_uint("revision", revision),
                  log_uint("keys", edit->count));
    }
    self->revision = revision;
    if (floor != self->floor) {
        self->floor = floor;
        forget_tombstones(self);
    }
    edit->count = 0; /* the rows are in place */
    config_edit_drop(edit);
    return CONFIG_DONE;
}

enum config_outcome config_read(enum store_status (*fn)(struct store_tx *, const void *, void *),
                                const void *arg, size_t arg_bytes, config_page *page)
{
    enum store_status status = store_writer_run(fn, arg, arg_bytes, page, sizeof(*page), STORE_TIMEOUT_MS);

    return status == STORE_REJECTED ? CONFIG_DONE : CONFIG_STORAGE_FAILED;
}

/* ---- the agent ---- */

/* All rows from the store: behind whatever a predecessor had submitted. */
static void load(config_agent *self)
{
    config_page *page = tr_alloc(sizeof(*page));
    config_load after = {0};

    do {
        TR_CHECK(config_read(config_sql_load, &after, sizeof(after), page) == CONFIG_DONE);
        const config_row *row = (const config_row *)(const void *)page->rows;
        for (uint32_t i = 0; i < page->count; i++, row = config_row_next(row)) {
            config_row *mine = tr_alloc(row->bytes);
            memcpy(mine, row, row->bytes);
            put_row(self, mine);
            config_setting_apply(mine);
            struct text key = config_row_key(mine);
            after.key_bytes = (uint32_t)key.count;
            (void)text_put(after.key, key);
        }
        self->revision = page->revision;
        self->floor = page->floor;
    } while (page->more);
    tr_free(page);
}

/* The latest revisions, for watchers that knew a predecessor. They stand newest first; the last of a page that ended early
 * may lack rows, and is left out. */
static void load_changes(const config_agent *self)
{
    config_page *page = tr_alloc(sizeof(*page));

    TR_CHECK(config_read(config_sql_recent, NULL, 0, page) == CONFIG_DONE);
    config_row **rows = tr_alloc((page->count + 1u) * sizeof(config_row *));
    const config_row *at = (const config_row *)(const void *)page->rows;
    for (uint32_t i = 0; i < page->count; i++, at = config_row_next(at)) {
        rows[page->count - 1 - i] = (config_row *)(uintptr_t)at;
    }
    size_t from = 0;
    uint64_t base = page->count == 0 || !page->more ? self->floor : rows[0]->revision;
    while (from < page->count && rows[from]->revision <= base) {
        from++;
    }
    config_changes_reset(from == page->count ? self->revision : rows[from]->revision - 1);
    for (size_t end = from; from < page->count; from = end) {
        while (end < page->count && rows[end]->revision == rows[from]->revision) {
            end++;
        }
        config_changes_add(rows[from]->revision, &rows[from], end - from);
    }
    tr_free(rows);
    tr_free(page);
}

static void config_agent_init(config_agent *self, const void *arg)
{
    (void)arg;
    load(self);
    if (self->revision == 0 || config_changes_newest() != self->revision) {
        load_changes(self);
    }
    config_watch_wake(); /* of what a predecessor wrote and could not publish */
    if (__atomic_load_n(&config_service.synced, __ATOMIC_ACQUIRE) == 0) {
        TR_CHECK(config_agent_take_layers(self, config_service.layers, config_service.layers_bytes, true,
                                          NULL) == CONFIG_DONE);
        __atomic_store_n(&config_service.synced, 1, __ATOMIC_RELEASE);
    }
}

static void config_agent_view(const config_agent *self, void *view)
{
    config_view *out = view;
    size_t bytes = config_image_bytes(self->rows, self->count);
    config_image *image = tr_alloc(bytes);

    config_image_write(self->rows, self->count, image);
    out->revision = self->revision;
    out->image = tr_string_n(image, bytes);
    tr_free(image);
}

static tr_term config_agent_format_state(const config_agent *self)
{
    return tr_map_n(2, (tr_term[]){tr_atom("keys"), tr_int((int64_t)self->present), tr_atom("revision"),
                                   tr_int((int64_t)self->revision)});
}

TR_AGENT(config_agent, .init = config_agent_init, .format_state = config_agent_format_state,
         .snapshot = &config_now, .view_type = TR_TYPE(config_view), .view = config_agent_view);

tr_child_spec config_cache_child_spec(void)
{
    return (tr_child_spec){.id = tr_atom("config"),
                           .server = &TR_AGENT_OF(config_agent)->server,
                           .start = {.name = tr_atom("config")}};
}

/* ---- its callers ---- */

tr_err config_cache_change(const config_change *change, int64_t timeout_ms, config_changed *out)
{
    return TR_AGENT_GET_AND_UPDATE(tr_atom("config"), timeout_ms, config_agent, config_agent_change,
                                   config_changed, out, config_change, .ops = change->ops);
}

tr_err config_cache_rollback(const config_rollback *rollback, int64_t timeout_ms, config_rolled_back *out)
{
    return TR_AGENT_GET_AND_UPDATE(tr_atom("config"), timeout_ms, config_agent, config_agent_rollback,
                                   config_rolled_back, out, config_rollback, .version = rollback->version,
                                   .expected = rollback->expected, .key = rollback->key);
}

tr_err config_cache_reload(bool keep_overrides, int64_t timeout_ms, config_reloaded *out)
{
    return TR_AGENT_GET_AND_UPDATE(tr_atom("config"), timeout_ms, config_agent, config_agent_reload,
                                   config_reloaded, out, config_reload, .keep_overrides = keep_overrides);
}
